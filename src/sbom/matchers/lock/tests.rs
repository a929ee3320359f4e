use super::*;
use proptest::prelude::*;

fn purls(path: &str, text: &str) -> Vec<String> {
    let facts = read(path, text.as_bytes()).unwrap();
    let of = |found: &FoundPackage| {
        assert!(found.package.is_locked, "{path}");
        crate::sbom::purl::of(&found.package, None)
    };
    facts.packages.iter().map(of).collect()
}

#[test]
fn node_locks_name_packages() {
    let check = |path: &str, text: &str, expected: &[&str]| {
        assert_eq!(purls(path, text), expected, "{path}");
    };
    check(
        "package-lock.json",
        r#"{"lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0"},"node_modules/@babel/core":{"version":"7.1.0","dev":true},
            "node_modules/a/node_modules/b":{"version":"2.0.0"},"node_modules/alias":{"name":"real","version":"3.0.0"},"lib/own":{"version":"1.0.0"}}}"#,
        &["pkg:npm/%40babel/core@7.1.0", "pkg:npm/b@2.0.0", "pkg:npm/real@3.0.0"],
    );
    check(
        "npm-shrinkwrap.json",
        r#"{"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0"}}},"c":{"version":"npm:d@4.0.0"},"e":{"version":"file:e"}}}"#,
        &["pkg:npm/a@1.0.0", "pkg:npm/b@2.0.0", "pkg:npm/d@4.0.0"],
    );
    check(
        "yarn.lock",
        "# yarn lockfile v1\n\n\"@babel/core@^7.0.0\", \"@babel/core@^7.1.0\":\n  version \"7.1.0\"\n  dependencies:\n    version \"^9\"\n\nx@npm:y@^1:\n  version \"1.2.3\"\n",
        &["pkg:npm/%40babel/core@7.1.0", "pkg:npm/y@1.2.3"],
    );
    check(
        "yarn.lock",
        "__metadata:\n  version: 6\n\n\"lodash@npm:^4.17.21\":\n  version: 4.17.21\n  resolution: \"lodash@npm:4.17.21\"\n\n\"app@workspace:.\":\n  version: 0.0.0-use.local\n",
        &["pkg:npm/lodash@4.17.21"],
    );
    check(
        "yarn.lock",
        "a@^1:\n  \"version\" \"1.0.0\"\n\n\"b@npm:^1\":\n  \"version\": 1.1.0\n",
        &["pkg:npm/a@1.0.0", "pkg:npm/b@1.1.0"],
    );
    check(
        "pnpm-lock.yaml",
        "lockfileVersion: '9.0'\nimporters:\n  .:\n    x: 1\npackages:\n\n  '@babel/core@7.1.0':\n    resolution: {}\n\n  a@1.0.0:\n    resolution: {}\nsnapshots:\n  b@1.0.0: {}\n",
        &["pkg:npm/%40babel/core@7.1.0", "pkg:npm/a@1.0.0"],
    );
    check(
        "pnpm-lock.yaml",
        "packages:\n  /@babel/core/7.1.0:\n    dev: true\n  /a/1.0.0_b@2.0.0:\n    dev: true\n  /c@1.0.0(d@2.0.0):\n    dev: true\n",
        &["pkg:npm/%40babel/core@7.1.0", "pkg:npm/a@1.0.0", "pkg:npm/c@1.0.0"],
    );
    check(
        "bun.lock",
        "{\n  \"packages\": {\n    \"a\": [\"a@1.0.0\", \"\", {}],\n    \"w\": [\"w@workspace:w\"],\n  }\n}",
        &["pkg:npm/a@1.0.0"],
    );
    check(
        "deno.lock",
        r#"{"version":"4","npm":{"@s/a@1.0.0_b@2":{"integrity":"x"}}}"#,
        &["pkg:npm/%40s/a@1.0.0"],
    );
}

#[test]
fn other_locks_name_packages() {
    let check = |path: &str, text: &str, expected: &[&str]| {
        assert_eq!(purls(path, text), expected, "{path}");
    };
    let toml = "version = 3\n\n[[package]]\nname = \"time\"\nversion = \"0.1.43\"\ndependencies = [\n \"libc\",\n]\n\n[package.extras]\nname = \"x\"\n[[package]]\nname = \"libc\"\nversion = \"0.2.1\"\n[metadata]\nname = \"y\"\nversion = \"1\"\n";
    check("Cargo.lock", toml, &["pkg:cargo/time@0.1.43", "pkg:cargo/libc@0.2.1"]);
    check("sub/poetry.lock", toml, &["pkg:pypi/time@0.1.43", "pkg:pypi/libc@0.2.1"]);
    check(
        "requirements.txt",
        "# x==1\nDjango[bcrypt]==4.2.1 ; python_version > '3' --hash=sha256:0\nurllib3>=1\n-r other.txt\na == 1.0 # why\nb==1.*\nc==1.0 \\\n    --hash=x==y\n",
        &["pkg:pypi/django@4.2.1", "pkg:pypi/a@1.0", "pkg:pypi/c@1.0"],
    );
    check(
        "Pipfile.lock",
        r#"{"_meta":{},"default":{"a":{"version":"==1.0"}},"develop":{"b":{"version":"==2"},"c":{"git":"x"}}}"#,
        &["pkg:pypi/a@1.0", "pkg:pypi/b@2"],
    );
    check(
        "Gemfile.lock",
        "PATH\n  remote: .\n  specs:\n    own (1.0)\nGEM\n  remote: x\n  specs:\n    nokogiri (1.15.4-x86_64-linux)\n      racc (~> 1.4)\n    racc (1.7.1)\n\nPLATFORMS\n    ruby (1)\n",
        &["pkg:gem/nokogiri@1.15.4", "pkg:gem/racc@1.7.1"],
    );
    check(
        "composer.lock",
        r#"{"packages":[{"name":"psr/log","version":"3.0.0"}],"packages-dev":[{"name":"a/b","version":"v1"}]}"#,
        &["pkg:composer/psr/log@3.0.0", "pkg:composer/a/b@v1"],
    );
    check(
        "go.mod",
        "module example.com/app\n\ngo 1.22\n\nrequire golang.org/x/text v0.3.2 // indirect\nrequire (\n\tgithub.com/A/b v1.0.0\n\tx.y/z v1.1.0\n\tl.m/n v2.0.0\n)\nreplace x.y/z v1.1.0 => q.r/s v1.2.0\nreplace (\n\tl.m/n => ../n\n)\n",
        &[
            "pkg:golang/golang.org/x/text@v0.3.2",
            "pkg:golang/github.com/A/b@v1.0.0",
            "pkg:golang/q.r/s@v1.2.0",
        ],
    );
    check(
        "gradle.lockfile",
        "# made by Gradle\norg.slf4j:slf4j-api:2.0.1=runtimeClasspath\nempty=annotationProcessor\n",
        &["pkg:maven/org.slf4j/slf4j-api@2.0.1"],
    );
    check(
        "packages.lock.json",
        r#"{"version":1,"dependencies":{"net8.0":{"Newtonsoft.Json":{"type":"Direct","resolved":"13.0.1"},"own":{"type":"Project"}}}}"#,
        &["pkg:nuget/Newtonsoft.Json@13.0.1"],
    );
    check(
        "mix.lock",
        "%{\n  \"plug\": {:hex, :plug, \"1.15.2\", \"0\", [:mix], [], \"hexpm\", \"0\"},\n  \"g\": {:git, \"x\"},\n}\n",
        &["pkg:hex/plug@1.15.2"],
    );
    check(
        "pubspec.lock",
        "packages:\n  async:\n    dependency: direct\n    source: hosted\n    version: \"2.11.0\"\n  own:\n    source: path\n    version: \"1.0.0\"\nsdks:\n  dart: \"x\"\n",
        &["pkg:pub/async@2.11.0"],
    );
    check(
        "Package.resolved",
        r#"{"pins":[{"identity":"a","location":"https://github.com/O/A.git","state":{"version":"1.0.0"}},{"location":"git@github.com:O/B.git","state":{"version":"2.0.0"}}],"version":2}"#,
        &["pkg:swift/github.com/O/A@1.0.0", "pkg:swift/github.com/O/B@2.0.0"],
    );
    check(
        "conan.lock",
        r#"{"version":"0.5","requires":["zlib/1.2.13#rev%1.0"],"build_requires":["cmake/3.1@u/c"]}"#,
        &["pkg:conan/zlib@1.2.13", "pkg:conan/cmake@3.1?channel=c&user=u"],
    );
}

#[test]
fn older_and_newer_forms_are_read() {
    let check = |path: &str, text: &str, expected: &[&str]| {
        assert_eq!(purls(path, text), expected, "{path}");
    };
    let pylock = "lock-version = '1.0'\n\n[[packages]]\nname = 'attrs'\nversion = '25.1.0'\n[[packages.x]]\nname = 'y'\n";
    check("pylock.toml", pylock, &["pkg:pypi/attrs@25.1.0"]);
    let conan = r#"{"graph_lock":{"nodes":{"0":{"pref":null},"1":{"pref":"zlib/1.2.11@u/c#5f:19#58"},"2":{"ref":"a/1.0#r"}}}}"#;
    check("conan.lock", conan, &["pkg:conan/zlib@1.2.11?channel=c&user=u", "pkg:conan/a@1.0"]);
    let renv = r#"{"R":{"Version":"4.3"},"Packages":{"cli":{"Package":"cli","Version":"3.6.1","Source":"Repository"},
        "limma":{"Package":"limma","Version":"3.58.1","Source":"Bioconductor"},"x":{"Package":"x","Version":"1","Source":"GitHub"}}}"#;
    check("renv.lock", renv, &["pkg:cran/cli@3.6.1", "pkg:bioconductor/limma@3.58.1"]);
}

#[test]
fn what_is_no_lock_is_told() {
    assert!(
        is_lock("a/yarn.lock") && !is_lock("node_modules/a/yarn.lock") && !is_lock("a/flake.lock")
    );
    for name in ["package-lock.json", "composer.lock", "conan.lock"] {
        assert_eq!(read(name, b"[").unwrap().warnings.len(), 1, "{name}");
    }
    assert!(
        purls(
            "package-lock.json",
            r#"{"packages":{"node_modules/a":{"version":"1 2"},"node_modules/":{"version":"1"}}}"#
        )
        .is_empty()
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "([\\[\\]{}\":,@=()/ \n]|packages:|name|version|require|é|1){0,40}") {
        for (name, _) in FILES {
            drop(read(name, text.as_bytes()).unwrap());
        }
    }
}

#[test]
fn locks_of_c_and_swift_name_packages() {
    let check = |path: &str, text: &str, expected: &[&str]| {
        assert_eq!(purls(path, text), expected, "{path}");
    };
    // Made by Conan 2.34.
    check(
        "conan.lock",
        r#"{"version":"0.5","requires":["bbb/3.4@me/stable#42a584b5ed6c57bbadf8c87cb12f7893%1796018343.362591","aaa/1.2#98d8%1796018342.9"],
            "build_requires":[],"python_requires":[],"config_requires":[]}"#,
        &["pkg:conan/bbb@3.4?channel=stable&user=me", "pkg:conan/aaa@1.2"],
    );
    check(
        "conan.lock",
        r#"{"graph_lock":{"nodes":{"0":{"ref":"app/1.0","path":"conanfile.py","context":"host"},"1":{"ref":"zlib/1.2.11#r","path":null,"context":"build"}}},"version":"0.4"}"#,
        &["pkg:conan/zlib@1.2.11"],
    );
    check(
        "conanfile.txt",
        "[requires]\nzlib/1.2.13#98d8 # why\n# fmt/1.0\nfmt/[>=8]\nodd\n\n[tool_requires]\ncmake/3.25.0@u/c\n[generators]\na/1\n",
        &["pkg:conan/zlib@1.2.13", "pkg:conan/cmake@3.25.0?channel=c&user=u"],
    );
    let pins = r#"{"version":3,"originHash":"x","pins":[
        {"identity":"a","kind":"remoteSourceControl","location":"https://u@GitHub.com:443/O/A.git","state":{"revision":"x","version":"1.0.0"}},
        {"identity":"b","kind":"remoteSourceControl","location":"git@github.com:O/B.git","state":{"version":"2.0.0"}},
        {"identity":"c","kind":"remoteSourceControl","location":"https://github.com/O/C","state":{"branch":"main","revision":"x"}},
        {"identity":"d","kind":"localSourceControl","location":"/home/u/d","state":{"version":"1.0.0"}},
        {"identity":"e.f","kind":"registry","location":"","state":{"version":"1.0.0"}},
        {"location":7,"state":[]}, null]}"#;
    check(
        "Package.resolved",
        pins,
        &["pkg:swift/github.com/O/A@1.0.0", "pkg:swift/github.com/O/B@2.0.0"],
    );
    check(
        "Podfile.lock",
        "PODS:\n  - GlossButtonNode (3.1.2):\n    - Texture/Core (~> 3)\n  - \"GoogleUtilities/NSData+zlib (7.5.2)\"\n  - GoogleUtilities/Core (7.5.2):\n    - X\n  \
        - Local (0.1.0)\n  - odd\n  - .hidden (1)\n\nDEPENDENCIES:\n  - Other (1.0)\n\nEXTERNAL SOURCES:\n  Local:\n    :path: \"../local\"\n  GlossButtonNode:\n    :git: x\n\nCOCOAPODS: 1.12.1\n",
        &["pkg:cocoapods/GlossButtonNode@3.1.2", "pkg:cocoapods/GoogleUtilities@7.5.2"],
    );
}

proptest! {
    #[test]
    fn no_lines_make_locks_of_c_and_swift_panic(text in "((PODS|EXTERNAL SOURCES):\n|\\[requires\\]\n|  - |    |:path: |[a-zé/ (\":@#]{0,4}|[)]|\n){0,40}") {
        for name in ["Podfile.lock", "conanfile.txt"] {
            let _facts = read(name, text.as_bytes()).unwrap();
        }
    }
}
