//! Whole trees to whole documents, as BuildKit would have them scanned.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use super::scanner;

const DEBIAN: &str =
    "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n";
const MIT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Expat\n";

struct TestTree(tempfile::TempDir);

impl TestTree {
    fn new(files: &[(&str, &str)], links: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            let path = tree.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for (path, target) in links {
            let path = tree.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
        }
        tree
    }

    fn root(&self) -> std::path::PathBuf {
        self.0.path().join("sbom")
    }

    fn bytes(&self) -> Vec<u8> {
        let path = |path: &Path| path.display().to_string();
        let env = BTreeMap::from([
            ("BUILDKIT_SCAN_SOURCE".to_owned(), path(&self.root())),
            ("BUILDKIT_SCAN_DESTINATION".to_owned(), path(self.0.path())),
            ("SOURCE_DATE_EPOCH".to_owned(), "0".to_owned()),
        ]);
        scanner::run(&env).unwrap();
        fs::read(self.0.path().join("sbom.spdx.json")).unwrap()
    }

    fn document(&self) -> Value {
        serde_json::from_slice::<Value>(&self.bytes()).unwrap()["predicate"].take()
    }
}

fn facts(document: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = document["packages"].as_array().unwrap().iter().skip(1);
    packages
        .map(|package| {
            (
                text(&package["externalRefs"][0]["referenceLocator"]),
                text(package.get("licenseDeclared").unwrap_or(&Value::from("NOASSERTION"))),
            )
        })
        .collect()
}

fn check(tree: &TestTree, expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> =
        expected.iter().map(|(purl, licence)| (purl.to_string(), licence.to_string())).collect();
    assert_eq!(facts(&tree.document()), expected);
}

#[test]
fn a_distroless_tree_is_cataloged() {
    let tree = TestTree::new(
        &[
            ("usr/lib/os-release", DEBIAN),
            (
                "var/lib/dpkg/status.d/libc6",
                "Package: libc6\nSource: glibc\nVersion: 2.36-9\nArchitecture: amd64\n",
            ),
            ("var/lib/dpkg/status.d/libc6.md5sums", "0123  lib/x\n"),
            (
                "var/lib/dpkg/status.d/app",
                "Package: app\nVersion: 1:2\nArchitecture: amd64\nDepends: libc6 (>= 2)\n",
            ),
            ("usr/share/doc/base/copyright", MIT),
        ],
        &[("etc/os-release", "../usr/lib/os-release"), ("usr/share/doc/app", "base")],
    );
    check(
        &tree,
        &[
            ("pkg:deb/debian/app@1:2?arch=amd64&distro=debian-12", "MIT"),
            (
                "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc",
                "NOASSERTION",
            ),
        ],
    );
    let document = tree.document();
    let last = document["relationships"].as_array().unwrap().last().unwrap();
    assert_eq!(last["relationshipType"], "DEPENDENCY_OF");
    assert_eq!(last["relatedSpdxElement"], document["packages"][1]["SPDXID"]);
    assert!(document.get("comment").is_none(), "nothing is missing or assumed");
}

#[test]
fn an_alpine_tree_with_merged_usr_is_cataloged_once() {
    let tree = TestTree::new(
        &[
            ("usr/lib/os-release", "ID=wolfi\nVERSION_ID=\"20230201\"\n"),
            ("usr/lib/apk/db/installed", "P:musl\nV:1-r0\nA:x86_64\nL:MIT\n"),
        ],
        &[("lib", "usr/lib"), ("etc/os-release", "/usr/lib/os-release")],
    );
    check(&tree, &[("pkg:apk/wolfi/musl@1-r0?arch=x86_64&distro=wolfi-20230201", "MIT")]);
}

#[test]
fn the_order_of_creation_does_not_show() {
    let files = [
        ("etc/os-release", DEBIAN),
        ("var/lib/dpkg/status", "Package: b\nVersion: 1\n\nPackage: a\nVersion: 1\nDepends: b\n"),
        ("opt/other/var/lib/dpkg/status", "Package: b\nVersion: 1\n"),
    ];
    let reversed: Vec<_> = files.iter().rev().copied().collect();
    assert_eq!(TestTree::new(&files, &[]).bytes(), TestTree::new(&reversed, &[]).bytes());
}

#[test]
fn links_to_the_machine_are_not_followed() {
    let tree = TestTree::new(
        &[("etc/x", "")],
        &[
            ("var/lib/dpkg", "/var/lib/dpkg"),
            ("etc/os-release", "/etc/os-release"),
            ("a", "/"),
            ("b", "b"),
        ],
    );
    check(&tree, &[]);
}

#[test]
fn packages_of_many_ecosystems_are_cataloged_beside_those_of_the_distribution() {
    let node = format!("{}node.js/v20.9.0\0", "\0".repeat(2000));
    let tree = TestTree::new(
        &[
            ("etc/os-release", DEBIAN),
            ("var/lib/dpkg/status", "Package: nodejs\nVersion: 20\nArchitecture: amd64\n"),
            ("var/lib/dpkg/info/nodejs.list", "/.\n/bin/node\n"),
            ("usr/bin/node", &node),
            ("opt/node/bin/node", &node),
            (
                "app/node_modules/@a/b/package.json",
                r#"{"name":"@a/b","version":"1.0.0","license":"MIT"}"#,
            ),
            (
                "usr/lib/python3/dist-packages/Zope.x-1.dist-info/METADATA",
                "Name: Zope.x\nVersion: 1+deb\n",
            ),
            ("opt/conda/conda-meta/x.json", r#"{"name":"x","version":"1","channel":"pkgs/main"}"#),
            ("gems/specifications/r.gemspec", "s.name = 'r'\ns.version = '2'\n"),
            ("app/vendor/composer/installed.json", r#"[{"name":"Psr/Log","version":"3.0.0"}]"#),
            ("app/App.deps.json", r#"{"libraries":{"N.J/13.0.3":{"type":"package"}}}"#),
            ("usr/local/go/VERSION", "go1.21.3\n"),
        ],
        &[("bin", "usr/bin")],
    );
    let expected = [
        ("pkg:composer/psr/log@3.0.0", "NOASSERTION"),
        ("pkg:conda/x@1?channel=main", "NOASSERTION"),
        ("pkg:deb/debian/nodejs@20?arch=amd64&distro=debian-12", "NOASSERTION"),
        ("pkg:gem/r@2", "NOASSERTION"),
        ("pkg:generic/go@1.21.3", "NOASSERTION"),
        ("pkg:generic/node@20.9.0", "NOASSERTION"),
        ("pkg:npm/%40a/b@1.0.0", "MIT"),
        ("pkg:nuget/N.J@13.0.3", "NOASSERTION"),
        ("pkg:pypi/zope-x@1%2Bdeb", "NOASSERTION"),
    ];
    check(&tree, &expected);
    let document = tree.document();
    let node = document["packages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|package| package["name"] == "node")
        .unwrap();
    assert_eq!(node["sourceInfo"], "read from the program's own contents: /opt/node/bin/node");
}
