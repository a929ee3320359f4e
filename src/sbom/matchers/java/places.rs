//! What the name of a Java archive's file tells: coordinates where it lies in a repository, and
//! where the artifact ends and the version begins. It looks at nothing else.

use super::text::Coordinates;

/// Roots of repositories in Maven's layout; the surer ones first.
const ROOTS: [&str; 9] = [
    ".m2/repository/",
    "maven-repo/",
    "maven2/",
    "repository/",
    "m2/",
    "maven/",
    "repo/",
    "releases/",
    "snapshots/",
];
/// What the first part of a group is as a rule: groups are domains backwards.
const DOMAINS: [&str; 40] = [
    "ai", "app", "at", "be", "biz", "ca", "cc", "ch", "cn", "co", "com", "cz", "de", "dev", "dk",
    "edu", "es", "eu", "fi", "fr", "gov", "info", "io", "it", "jakarta", "javax", "jp", "me",
    "net", "nl", "no", "nu", "org", "pl", "ru", "se", "software", "tech", "uk", "us",
];
/// What a file's name has behind its version, where it is one of several archives of an artifact.
const CLASSIFIERS: [&str; 25] = [
    "all",
    "bundle",
    "exec",
    "fat",
    "jakarta",
    "jar",
    "javadoc",
    "linux",
    "macos",
    "macosx",
    "jdk13",
    "jdk14",
    "jdk15",
    "nodeps",
    "osx",
    "shaded",
    "shadow",
    "sources",
    "standalone",
    "test",
    "tests",
    "uber",
    "win32",
    "win64",
    "windows",
];
/// Words that are part of a version.
const QUALIFIERS: [&str; 27] = [
    "alpha",
    "android",
    "atlassian",
    "b",
    "beta",
    "build",
    "cr",
    "dev",
    "ea",
    "final",
    "ga",
    "incubating",
    "jdk",
    "jre",
    "m",
    "milestone",
    "p",
    "patch",
    "pre",
    "preview",
    "r",
    "rc",
    "redhat",
    "release",
    "snapshot",
    "sp",
    "v",
];

/// The archive's name without directories and suffix.
pub(super) fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// Coordinates by the layout of a repository or of a build tool's cache.
pub(super) fn coordinates(name: &str) -> Option<Coordinates> {
    let path = name.rsplit("!/").next().unwrap_or(name);
    gradle(path).or_else(|| ivy(path)).or_else(|| maven(path))
}

/// Coordinates of a library that Quarkus laid beside its application, as `GROUP.ARTIFACT-VERSION.jar`.
/// Where the artifact begins it does not say: with the last part before the first dash, or where
/// the group begins anew.
pub(super) fn in_quarkus(name: &str, stated: &[&str]) -> Option<Coordinates> {
    let path = name.rsplit("!/").next().unwrap_or(name);
    let (directory, _) = path.rsplit_once('/')?;
    let is_layout = ["lib/main", "lib/boot", "lib/deployment"].iter().any(|it| {
        directory.strip_suffix(it).is_some_and(|before| before.is_empty() || before.ends_with('/'))
    });
    let (whole, version) = split(stem(path), stated);
    let first = whole.split('.').next().filter(|first| DOMAINS.contains(first))?;
    let before_dash = whole.split('-').next()?;
    let again = before_dash.match_indices(&format!(".{first}.")).map(|(at, _)| at).find(|at| {
        let group = before_dash.get(..*at).unwrap_or_default();
        whole.get(at + 1..).is_some_and(|artifact| artifact.starts_with(group))
    });
    let at = again.or_else(|| before_dash.rfind('.'))?;
    let (group, artifact) = (whole.get(..at)?, whole.get(at + 1..)?);
    (is_layout && group.contains('.')).then(|| told(group, artifact, version?)).flatten()
}

fn is_part(part: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-+".contains(letter);
    part.starts_with(|letter: char| letter.is_ascii_alphanumeric()) && part.chars().all(plain)
}

fn told(group: &str, artifact: &str, version: &str) -> Option<Coordinates> {
    [group, artifact, version]
        .iter()
        .all(|part| is_part(part))
        .then(|| (group.to_owned(), artifact.to_owned(), version.to_owned()))
}

/// `files-2.1/GROUP/ARTIFACT/VERSION/SUM/FILE`.
fn gradle(path: &str) -> Option<Coordinates> {
    let (_, inside) = path.split_once("files-2.1/")?;
    match inside.split('/').collect::<Vec<_>>()[..] {
        [group, artifact, version, _, file] if file.starts_with(artifact) => {
            told(group, artifact, version)
        }
        _ => None,
    }
}

/// `cache/GROUP/ARTIFACT/jars/ARTIFACT-VERSION.jar` and
/// `local/GROUP/ARTIFACT/VERSION/jars/ARTIFACT.jar`.
fn ivy(path: &str) -> Option<Coordinates> {
    const KINDS: [&str; 3] = ["jars", "bundles", "orbits"];
    let (_, inside) = path.split_once(".ivy2/")?;
    match inside.split('/').collect::<Vec<_>>()[..] {
        ["cache", group, artifact, kind, file] if KINDS.contains(&kind) => {
            let version = stem(file).strip_prefix(artifact)?.strip_prefix('-')?;
            told(group, artifact, version)
        }
        ["local", group, artifact, version, kind, file]
            if KINDS.contains(&kind) && stem(file) == artifact =>
        {
            told(group, artifact, version)
        }
        _ => None,
    }
}

/// `GROUP/ARTIFACT/VERSION/ARTIFACT-VERSION.jar`, in which the group has a directory for each part.
fn maven(path: &str) -> Option<Coordinates> {
    let parts: Vec<&str> = path.split('/').collect();
    let [directories @ .., artifact, version, file] = &parts[..] else { return None };
    let file = stem(file).strip_prefix(artifact)?.strip_prefix('-')?;
    let base = version.strip_suffix("SNAPSHOT").unwrap_or(version);
    let rest = file.strip_prefix(version).or_else(|| {
        // Of a snapshot, files have the time in their names.
        file.strip_prefix(base).filter(|rest| base != *version && rest.starts_with("20"))
    })?;
    if !(rest.is_empty() || rest.starts_with('-') || base != *version) {
        return None;
    }
    let above = format!("{}/", directories.join("/"));
    let under_root = |root: &&str| {
        let at = if above.starts_with(*root) { 0 } else { above.find(&format!("/{root}"))? + 1 };
        above.get(at + root.len()..).filter(|group| !group.is_empty())
    };
    let by_domain = || {
        let at = directories.iter().position(|part| DOMAINS.contains(part))?;
        Some(directories.get(at..)?.join("/"))
    };
    let group = |inside: &str| {
        let parts: Vec<&str> = inside.trim_end_matches('/').split('/').collect();
        // A directory whose name has dots is no part of a group.
        let plain = parts.iter().all(|part| is_part(part) && !part.contains('.'));
        plain.then(|| parts.join("."))
    };
    let of_root = ROOTS.iter().find_map(|root| group(under_root(root)?));
    told(&of_root.or_else(|| group(&by_domain()?))?, artifact, version)
}

/// Artifact and version of `guava-31.1-jre` or, as Eclipse writes it, `org.eclipse.osgi_3.18.0`.
/// The versions that the manifest states tell where the one ends and the other begins.
pub(super) fn split<'a>(stem: &'a str, stated: &[&str]) -> (&'a str, Option<&'a str>) {
    let by_manifest = stated.iter().find_map(|version| at_version(stem, version));
    by_manifest
        .or_else(|| by_shape(stem))
        .map_or((stem, None), |(artifact, version)| (artifact, Some(without_classifier(version))))
}

fn at_version<'a>(stem: &'a str, version: &str) -> Option<(&'a str, &'a str)> {
    stem.match_indices(version).find_map(|(at, _)| {
        let artifact = stem.get(..at)?.strip_suffix(['-', '_'])?;
        let rest = stem.get(at + version.len()..)?;
        (!artifact.is_empty() && (rest.is_empty() || rest.starts_with(['-', '.', '+', '_'])))
            .then(|| (artifact, stem.get(at..).unwrap_or_default()))
    })
}

fn by_shape(stem: &str) -> Option<(&str, &str)> {
    let starts = |at: &usize| {
        stem.get(at + 1..)
            .is_some_and(|tail| tail.starts_with(|letter: char| letter.is_ascii_digit()))
    };
    let places: Vec<usize> =
        stem.match_indices(['-', '_']).map(|(at, _)| at).filter(starts).collect();
    let cut = |at: usize| Some((stem.get(..at)?, stem.get(at + 1..)?));
    let fitting = places.iter().copied().find(|at| {
        cut(*at).is_some_and(|(artifact, tail)| {
            !artifact.is_empty()
                && !is_of_scala(stem.as_bytes().get(*at), tail)
                && !names_go_on(tail)
        })
    });
    cut(fitting.or_else(|| places.last().copied())?).filter(|(artifact, _)| !artifact.is_empty())
}

/// `_2.13-2.6.20`: the version of Scala that an artifact is for is part of its name.
fn is_of_scala(separator: Option<&u8>, tail: &str) -> bool {
    let Some((scala, rest)) = tail.split_once('-') else { return false };
    let parts: Vec<&str> = scala.split('.').collect();
    let is_scala = matches!(&parts[..], ["3"] | ["2", _] | ["2", _, _]);
    separator == Some(&b'_') && is_scala && rest.starts_with(|letter: char| letter.is_ascii_digit())
}

/// `1.2-api-2.23.1`: after what looks like a version comes a word, and then a version.
fn names_go_on(tail: &str) -> bool {
    let mut words = tail.split(['-', '_']).skip(1);
    words.any(|word| !is_qualifier(word) && !CLASSIFIERS.contains(&word))
        && tail.split(['-', '_']).skip(2).any(|word| {
            word.contains('.') && word.starts_with(|letter: char| letter.is_ascii_digit())
        })
}

fn is_qualifier(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let letters = lower.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    let is_commit = word.len() >= 7 && word.chars().all(|letter| letter.is_ascii_hexdigit());
    word.starts_with(|letter: char| letter.is_ascii_digit())
        || QUALIFIERS.contains(&letters)
        || is_commit
}

fn without_classifier(version: &str) -> &str {
    let end = version.match_indices('-').map(|(at, _)| at).find(|at| {
        let word = version.get(at + 1..).unwrap_or_default();
        CLASSIFIERS.contains(&word.split(['-', '_']).next().unwrap_or_default())
    });
    version.get(..end.unwrap_or(version.len())).unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarkus_names_libraries_by_group_and_artifact() {
        let check = |name: &str, expected: Option<(&str, &str, &str)>| {
            let path = format!("app/quarkus-app/lib/main/{name}");
            let found = in_quarkus(&path, &[]);
            let found = found.as_ref().map(|(g, a, v)| (g.as_str(), a.as_str(), v.as_str()));
            assert_eq!(found, expected, "{name}");
        };
        check(
            "org.jetbrains.kotlin.kotlin-stdlib-1.9.10.jar",
            Some(("org.jetbrains.kotlin", "kotlin-stdlib", "1.9.10")),
        );
        check(
            "com.google.guava.guava-31.1-jre.jar",
            Some(("com.google.guava", "guava", "31.1-jre")),
        );
        check(
            "jakarta.enterprise.jakarta.enterprise.cdi-api-4.0.1.jar",
            Some(("jakarta.enterprise", "jakarta.enterprise.cdi-api", "4.0.1")),
        );
        check("kotlin-stdlib-1.9.10.jar", None);
        check("io.x-1.0.jar", None);
        assert_eq!(in_quarkus("app/lib/com.google.guava.guava-31.1-jre.jar", &[]), None);
    }

    #[test]
    fn repositories_and_caches_tell_all_in_their_paths() {
        let check = |path: &str, expected: Option<&str>| {
            let found = coordinates(path).map(|(g, a, v)| format!("{g}:{a}:{v}"));
            assert_eq!(found.as_deref(), expected, "{path}");
        };
        let spring = Some("org.springframework:spring-core:5.3.18");
        for root in [
            "root/.m2/repository",
            "home/u/.m2/repository",
            "app/repo",
            "opt/maven2",
            "srv/org.example/x",
            "",
        ] {
            let jar = "org/springframework/spring-core/5.3.18/spring-core-5.3.18.jar";
            check(format!("{root}/{jar}").trim_start_matches('/'), spring);
        }
        check(
            "root/.gradle/caches/modules-2/files-2.1/org.springframework/spring-core/5.3.18/0f/spring-core-5.3.18.jar",
            spring,
        );
        check(
            "root/.cache/coursier/v1/https/repo.example/maven2/org/typelevel/cats-core_2.13/2.10.0/cats-core_2.13-2.10.0.jar",
            Some("org.typelevel:cats-core_2.13:2.10.0"),
        );
        check(
            "root/.ivy2/cache/org.scala-lang/scala-library/jars/scala-library-2.13.12.jar",
            Some("org.scala-lang:scala-library:2.13.12"),
        );
        check("root/.ivy2/local/com.x/y_2.13/0.1/jars/y_2.13.jar", Some("com.x:y_2.13:0.1"));
        check("app/repo/junit/junit/4.13.2/junit-4.13.2.jar", Some("junit:junit:4.13.2"));
        check(
            "m2/io/netty/netty-epoll/4.1.9.Final/netty-epoll-4.1.9.Final-linux-x86_64.jar",
            Some("io.netty:netty-epoll:4.1.9.Final"),
        );
        check("x/.m2/repository/g/a/1-SNAPSHOT/a-1-20240101.010203-4.jar", Some("g:a:1-SNAPSHOT"));
        check("app.war!/WEB-INF/lib/a-1.jar", None);
        check("usr/share/java/a-1.jar", None);
        check("opt/x/y/a/1/b-1.jar", None);
        check("opt/x/y/a/1/a-1.jar", None);
        check("opt/x/org/a/1/a-12.jar", None);
    }

    #[test]
    fn names_are_cut_where_the_version_begins() {
        let check = |stem: &str, stated: &[&str], artifact: &str, version: Option<&str>| {
            assert_eq!(split(stem, stated), (artifact, version), "{stem}");
        };
        check("guava-31.1-jre", &[], "guava", Some("31.1-jre"));
        check(
            "org.eclipse.osgi_3.19.0.v20240213-1246",
            &[],
            "org.eclipse.osgi",
            Some("3.19.0.v20240213-1246"),
        );
        check("akka-actor_2.13-2.6.20", &["2.6.20"], "akka-actor_2.13", Some("2.6.20"));
        check("kafka_2.13-3.7.0", &[], "kafka_2.13", Some("3.7.0"));
        check("scala3-library_3-3.4.1", &[], "scala3-library_3", Some("3.4.1"));
        check("x_3-1.0.0-RC1", &[], "x_3", Some("1.0.0-RC1"));
        check("log4j-1.2-api-2.23.1", &[], "log4j-1.2-api", Some("2.23.1"));
        check("geronimo-jms_1.1_spec-1.1.1", &[], "geronimo-jms_1.1_spec", Some("1.1.1"));
        check("bcprov-jdk15on-1.70", &[], "bcprov-jdk15on", Some("1.70"));
        check("mssql-jdbc-12.6.1.jre11", &["12.6.1"], "mssql-jdbc", Some("12.6.1.jre11"));
        check(
            "netty-epoll-4.1.9.Final-linux-x86_64",
            &["4.1.9.Final"],
            "netty-epoll",
            Some("4.1.9.Final"),
        );
        check("netty-epoll-4.1.9.Final-linux-x86_64", &[], "netty-epoll", Some("4.1.9.Final"));
        check("jansi-2.4.0-sources", &[], "jansi", Some("2.4.0"));
        check("a-1.0-beta-2", &[], "a", Some("1.0-beta-2"));
        check("a-1.0-20240101.010203-4", &[], "a", Some("1.0-20240101.010203-4"));
        check("javax.inject-1", &[], "javax.inject", Some("1"));
        check("app", &["1.0"], "app", None);
        check("-1", &[], "-1", None);
        check("漢字-1.0", &[], "漢字", Some("1.0"));
    }
}
