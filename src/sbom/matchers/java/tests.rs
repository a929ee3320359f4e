use super::super::zip::tests::archive;
use super::*;

fn properties(group: &str, artifact: &str, version: &str) -> (String, Vec<u8>) {
    let text = format!(
        "#Created by Apache Maven 3.8.6\nversion={version}\r\ngroupId={group}\nartifactId={artifact}\n"
    );
    (format!("META-INF/maven/{group}/{artifact}/pom.properties"), text.into_bytes())
}

fn jar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    archive(
        &members.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect::<Vec<_>>(),
    )
}

fn facts(path: &str, bytes: Vec<u8>) -> FileFacts {
    read(path, &mut Cursor::new(bytes)).unwrap()
}

fn purls(facts: &FileFacts) -> Vec<String> {
    facts.packages.iter().map(|found| crate::sbom::purl::of(&found.package, None)).collect()
}

#[test]
fn archives_are_known_by_name() {
    for path in ["a.jar", "opt/b.WAR", "x/y.hpi", "z.lpkg"] {
        assert!(is_archive(path), "{path}");
    }
    assert!(!is_archive("a.zip") && !is_archive("jar") && !is_archive("ä.é"));
}

#[test]
fn coordinates_manifest_and_file_name_tell_in_this_order() {
    let check = |path: &str, members: &[(String, Vec<u8>)], expected: &[&str]| {
        let facts = facts(path, jar(members));
        assert_eq!(purls(&facts), expected, "{path}");
    };
    let manifest = |text: &str| (MANIFEST.to_owned(), text.as_bytes().to_vec());
    let lang = properties("org.apache.commons", "commons-lang3", "3.12.0");
    check(
        "lib/commons-lang3-3.12.0.jar",
        &[lang],
        &["pkg:maven/org.apache.commons/commons-lang3@3.12.0"],
    );
    let shaded = properties("com.google.guava", "guava", "31.1-jre");
    let parent = properties("org.x", "app", "1");
    let own = properties("org.x", "app-cli", "1");
    check(
        "app-cli-1.jar",
        &[shaded.clone(), parent.clone(), own],
        &[
            "pkg:maven/org.x/app-cli@1",
            "pkg:maven/com.google.guava/guava@31.1-jre",
            "pkg:maven/org.x/app@1",
        ],
    );
    let unrelated = manifest(
        "Manifest-Version: 1.0\r\nImplementation-Version: 7\r\n\r\nName: x\r\nBundle-Version: 9\r\n",
    );
    let both =
        ["pkg:maven/tool@7", "pkg:maven/com.google.guava/guava@31.1-jre", "pkg:maven/org.x/app@1"];
    check("tool.jar", &[shaded, parent, unrelated], &both);
    check("own-3.0.2.jar", &[], &["pkg:maven/own@3.0.2"]);
    check("jsr305-3.0.2.jar", &[], &["pkg:maven/com.google.code.findbugs/jsr305@3.0.2"]);
    let (shaded, version) = (properties("cglib", "cglib", "3.2.9"), "Bundle-Version: 4.2.3\n");
    check(
        "guice.jar",
        &[shaded, manifest(version)],
        &["pkg:maven/com.google.inject/guice@4.2.3", "pkg:maven/cglib/cglib@3.2.9"],
    );
    let own = properties("org.apache.maven", "maven-core", "3.8");
    check(
        "maven3-core.jar",
        &[own, manifest("Bundle-Version: 3.8.0\n")],
        &["pkg:maven/org.apache.maven/maven-core@3.8"],
    );
    let bundle = manifest(
        "Bundle-SymbolicName: com.fasterxml.jackson.core.jackson-annot\n ations;singleton:=true\nBundle-Version: 2.14.0\n",
    );
    check(
        "jackson-annotations.jar",
        &[bundle],
        &["pkg:maven/com.fasterxml.jackson.core/jackson-annotations@2.14.0"],
    );
    check(
        "git.hpi",
        &[manifest("Group-Id: org.jenkins-ci.plugins\nShort-Name: git\nPlugin-Version: 5.2.1\n")],
        &["pkg:maven/org.jenkins-ci.plugins/git@5.2.1"],
    );
    check(
        "org.eclipse.osgi_3.18.0.v2022.jar",
        &[],
        &["pkg:maven/org.eclipse.platform/org.eclipse.osgi@3.18.0.v2022"],
    );
    let project = ("META-INF/maven/com.example/lib-a/pom.xml".to_owned(), b"<project/>".to_vec());
    check("lib-a-2.0.jar", &[project], &["pkg:maven/com.example/lib-a@2.0"]);
    check(
        "usr/share/maven-repo/org/jsr-305/jsr305/0.1/jsr305-0.1.jar",
        &[],
        &["pkg:maven/org.jsr-305/jsr305@0.1"],
    );
    check("app.jar", &[], &[]);
    check("app.jar", &[properties("${project.groupId}", "a", "1")], &[]);
}

#[test]
fn symbolic_names_tell_groups_as_far_as_they_can() {
    let check = |artifact: &str, symbol: &str, module: &str, expected: &str| {
        let text = format!(
            "Bundle-SymbolicName: {symbol};singleton:=true\nAutomatic-Module-Name: {module}\n"
        );
        let facts =
            facts(&format!("lib/{artifact}-1.jar"), jar(&[(MANIFEST.into(), text.into_bytes())]));
        assert_eq!(purls(&facts), [format!("pkg:maven/{expected}@1")], "{symbol} {module}");
    };
    // Coordinates as at Maven Central.
    check(
        "jackson-core",
        "com.fasterxml.jackson.core.jackson-core",
        "",
        "com.fasterxml.jackson.core/jackson-core",
    );
    // Of one word, which is the artifact's name and the end of the group, nothing is certain.
    check("own", "org.fusesource.own", "", "own");
    check("jsoup", "org.jsoup", "org.jsoup", "org.jsoup/jsoup");
    check("maven-core", "org.apache.maven.core", "", "org.apache.maven/maven-core");
    check(
        "jetty-util-ajax",
        "org.eclipse.jetty.util.ajax",
        "",
        "org.eclipse.jetty/jetty-util-ajax",
    );
    check("okhttp-jvm", "com.squareup.okhttp3", "okhttp3", "com.squareup.okhttp3/okhttp-jvm");
    check("okio-jvm", "com.squareup.okio", "okio", "com.squareup.okio/okio-jvm");
    check("allure-model", "", "io.qameta.allure.model", "io.qameta.allure/allure-model");
    // What would be guessed is wrong.
    check("commons-xy", "org.apache.commons.commons-xy", "org.apache.commons.xy", "commons-xy");
    check("converter-jackson", "", "retrofit2.converter.jackson", "converter-jackson");
    check("guice-no-aop", "com.google.inject", "com.google.guice", "guice-no-aop");
    check("over-slf4j", "", "org.apache.log4j", "over-slf4j");
    // What is known is told in spite of it.
    check("log4j-over-slf4j", "", "org.apache.log4j", "org.slf4j/log4j-over-slf4j");
    check(
        "commons-io",
        "org.apache.commons.commons-io",
        "org.apache.commons.io",
        "commons-io/commons-io",
    );
    check("é", "é", ".é-é..", "%C3%A9");
}

#[test]
fn manifests_state_licence_and_supplier() {
    let text = "Bundle-License: https://www.apache.org/licenses/LICENSE-2.0.txt\nImplementation-Vendor: The Apache Software Foundation\n";
    let found = facts("a-1.jar", jar(&[(MANIFEST.into(), text.into())])).packages.remove(0).package;
    assert_eq!(found.licence, Licence::Expression("Apache-2.0".into()));
    assert_eq!(found.supplier.unwrap().to_spdx(), "Organization: The Apache Software Foundation");
}

#[test]
fn where_the_manifest_states_no_vendor_the_projects_organization_is_the_supplier() {
    let check = |pom: &str, manifest: &str, expected: Option<&str>| {
        let own = (
            "META-INF/maven/g/a/pom.xml".to_owned(),
            format!("<project>{pom}</project>").into_bytes(),
        );
        let other = (
            "META-INF/maven/h/b/pom.xml".to_owned(),
            b"<organization><name>Other</name></organization>".to_vec(),
        );
        let bytes =
            jar(&[other, own, properties("g", "a", "1"), (MANIFEST.into(), manifest.into())]);
        let package = facts("a-1.jar", bytes).packages.remove(0).package;
        assert_eq!(
            (package.name.as_str(), package.supplier.map(|found| found.to_spdx()).as_deref()),
            ("g:a", expected),
            "{pom}"
        );
    };
    check(
        "<organization>\n <url>x</url><name>R&amp;D\n Ltd</name></organization>",
        "",
        Some("Organization: RandD Ltd"),
    );
    check(
        "<organization><name>O</name></organization>",
        "Bundle-Vendor: V\n",
        Some("Organization: V"),
    );
    check(
        "<developers><developer><name>D</name><organization>E</organization></developer></developers>",
        "",
        None,
    );
    check("<organization><name>${who}</name></organization>", "", None);
    check("<name>A</name>", "", None);
}

#[test]
fn an_archive_has_the_checksum_of_its_bytes_and_what_is_shaded_into_it_none() {
    // From `sha1sum` of the same bytes.
    assert_eq!(
        checksum(&mut Cursor::new(b"abc".to_vec())).unwrap().as_deref(),
        Some("a9993e364706816aba3e25717850c26c9cd0d89d")
    );
    let bytes = jar(&[properties("org.x", "app", "1"), properties("org.y", "shaded", "2")]);
    let whole = checksum(&mut Cursor::new(bytes.clone())).unwrap().unwrap();
    let found = facts("app-1.jar", bytes).packages;
    let of = |at: usize| found[at].package.common_checksums().collect::<Vec<_>>();
    assert_eq!((of(0), of(1)), (vec![(Algorithm::Sha1, whole.as_str())], vec![]));
}

#[test]
fn archives_in_archives_are_read_down_to_a_limit() {
    let mut inner = jar(&[properties("g", "deep", "1")]);
    for name in ["BOOT-INF/lib/c-3.jar", "b-2.jar"] {
        inner = jar(&[(name.to_owned(), inner)]);
    }
    let found = facts("app.war", inner.clone());
    assert_eq!(purls(&found), ["pkg:maven/b@2", "pkg:maven/g/deep@1"]);
    let told = facts("app.war", jar(&[("y.jar".into(), jar(&[("x.jar".into(), inner)]))]));
    assert_eq!(
        told.warnings,
        [
            "`app.war!/y.jar!/x.jar!/b-2.jar!/BOOT-INF/lib/c-3.jar` is not listed: it is too deep inside other archives"
        ]
    );
}

#[test]
fn bombs_and_damage_are_told() {
    let huge = vec![b' '; usize::try_from(LARGEST_TEXT).unwrap() + 1];
    let told = facts("a-1.jar", jar(&[(MANIFEST.into(), huge)]));
    assert_eq!(told.warnings, ["`a-1.jar!/META-INF/MANIFEST.MF` is not listed: it is too large"]);
    assert_eq!(purls(&told), ["pkg:maven/a@1"]);
    assert_eq!(
        facts("a-1.jar", b"not a zip".to_vec()).warnings,
        ["`a-1.jar` is not listed: it is not a zip archive"]
    );
}

#[test]
fn archives_need_those_beside_them_or_inside_the_same() {
    let project = |artifact: &str, needs: &[&str]| {
        let one = |it: &&str| {
            format!("<dependency><groupId>g</groupId><artifactId>{it}</artifactId></dependency>")
        };
        let needs: String = needs.iter().map(one).collect();
        let text = format!("<project><dependencies>{needs}</dependencies></project>");
        let pom = (format!("META-INF/maven/g/{artifact}/pom.xml"), text.into_bytes());
        jar(&[properties("g", artifact, "1"), pom])
    };
    let mut collected = crate::sbom::collect::CollectedPackages::default();
    let mut add = |path: &str, bytes: Vec<u8>| {
        collected.facts.insert(path.to_owned(), facts(path, bytes));
    };
    add("lib/a-1.jar", project("a", &["b", "c", "gone"]));
    add("lib/b-1.jar", project("b", &[]));
    add("other/c-1.jar", project("c", &[]));
    let text = "<project><dependencies><dependency><groupId>g</groupId><artifactId>d</artifactId></dependency></dependencies></project>";
    let whole = [
        properties("g", "app", "1"),
        ("META-INF/maven/g/app/pom.xml".to_owned(), text.as_bytes().to_vec()),
        ("BOOT-INF/lib/d-1.jar".to_owned(), project("d", &["e", "b"])),
        ("BOOT-INF/lib/e-1.jar".to_owned(), project("e", &[])),
    ];
    add("lib/app-1.jar", jar(&whole));
    let catalog = crate::sbom::catalog::Catalog::from_collected(collected);
    let name = |index: usize| catalog.packages[index].package.name.as_str();
    let pairs: Vec<String> = catalog
        .dependencies
        .iter()
        .map(|(from, to)| format!("{} {}", name(*from), name(*to)))
        .collect();
    assert_eq!(pairs, ["g:a g:b", "g:app g:d", "g:d g:e"]);
}
