use super::*;
use proptest::prelude::*;

#[test]
fn each_path_has_its_matcher() {
    let check = |path: &str, expected: Option<&str>| {
        let found = MATCHERS.iter().find(
            |matcher| matches!(&matcher.wants, MatcherWants::Path { matches, .. } if matches(path)),
        );
        assert_eq!(found.map(|matcher| matcher.name), expected, "{path}");
    };
    check("var/lib/dpkg/status", Some("dpkg"));
    check("opt/root/var/lib/dpkg/status", Some("dpkg"));
    check("lib/dpkg/status", Some("dpkg"));
    check("var/lib/dpkg/status-old", None);
    check("var/xlib/dpkg/status", None);
    check("var/lib/dpkg/status.d/libc6", Some("dpkg"));
    check("var/lib/dpkg/status.d/libpython3.11", Some("dpkg"));
    check("var/lib/dpkg/status.d/libc6.md5sums", Some("dpkg-files"));
    check("var/lib/dpkg/status.d/sub/libc6", None);
    check("lib/apk/db/installed", Some("apk"));
    check("usr/lib/apk/db/installed", Some("apk"));
    check("lib/apk/db/scripts.tar", None);
    check("etc/os-release", Some("os-release"));
    check("usr/lib/os-release", Some("os-release"));
    check("opt/usr/lib/os-release", None);
    check("usr/share/doc/libc6/copyright", Some("copyright"));
    check("usr/share/doc/libc6/x/copyright", None);
    check("var/lib/rpm/Packages", Some("rpm"));
    check("app/node_modules/a/package.json", Some("npm"));
    check("opt/venv/lib/python3/site-packages/a.dist-info/METADATA", Some("python"));
    check("opt/conda/conda-meta/a.json", Some("conda"));
    check("gems/specifications/a.gemspec", Some("gem"));
    check("app/vendor/composer/installed.json", Some("composer"));
    check("app/App.deps.json", Some("dotnet"));
    check("opt/java/release", Some("runtime"));
    check("app/package.json.bak", None);
    check("var/lib/pacman/local/a-1-1/desc", Some("alpm"));
    check("var/lib/pacman/local/a-1-1/files", Some("alpm-files"));
    check("var/db/pkg/net-misc/curl-8.6.0/SLOT", Some("portage"));
    check("usr/lib/opkg/status", Some("opkg"));
    check("var/lib/opkg/info/a.control", Some("opkg"));
    check("var/lib/opkg/info/a.list", Some("opkg-files"));
    check("var/lib/chisel/manifest.wall", Some("chisel"));
    check("usr/lib/R/library/a/DESCRIPTION", Some("cran"));
    check("lib/luarocks/rocks-5.1/a/1-1/a-1-1.rockspec", Some("luarocks"));
    check("lib/a-1/ebin/a.app", Some("otp"));
    check("php/.registry/a.reg", Some("pear"));
    check("wp-content/plugins/a/a.php", Some("wordpress"));
    check("opt/bitnami/.bitnami_components.json", Some("bitnami"));
    check("opt/bitnami/redis/.spdx-redis.spdx", Some("sbom"));
    check("s/a-1.dist-info/sboms/a.json", Some("sbom"));
    check("s/a-1.dist-info/REQUESTED", Some("python-requests"));
    check("lib/a-1.module", Some("gradle-module"));
    check("app/yarn.lock", Some("lock"));
    check("app/Podfile.lock", Some("lock"));
    check("app/conanfile.txt", Some("lock"));
    check("app/full_deploy/host/a/1/conaninfo.txt", Some("conan"));
    check("snap/a/1/meta/snap.yaml", Some("snap"));
    check("hub/models--a--b/refs/main", Some("model-cache"));
}

/// JSON of any shape, with the keys that matchers know.
fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "(a/1|[a-zé@/.1]{0,5})".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let keys =
            "(name|version|license|licenses|author|authors|packages|libraries|targets|type|dependencies|depends|channel|require|components|purl|bomFormat|Packages|pins|state|component|variants|files|graph_lock|nodes|a/1)";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((keys, inner), 0..6).prop_map(|pairs| {
                pairs.into_iter().fold(json!({}), |mut object, (key, value)| {
                    object[key.as_str()] = value;
                    object
                })
            }),
        ]
    })
}

/// Lines that look like databases, with mistakes.
fn database() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![
        Just("Package: a\n".to_owned()),
        Just("Version: 1\n".to_owned()),
        Just("Status: install ok installed\n".to_owned()),
        Just("P:a\nV:1\n".to_owned()),
        Just(
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
                .to_owned()
        ),
        "[A-Za-z-]{0,9}:.{0,20}\n",
        "\\{\"(name|version|license)\":\"[a-z0-9.]{0,6}\",?",
        "(Depends|Provides|Source|License|Maintainer|D|p|m|L|ID): ?.{0,40}\n",
        " .{0,9}\n",
        Just("\n".to_owned()),
        "s\\.(name|version|licenses|authors) = ([\"'\\[%<]{0,3}[a-zé]{0,3}[\"'>]?){0,3}\n",
        "(Name|Version|Author|Requires-Dist|Package|Built|License|Stable tag|Plugin Name): .{0,9}\n",
        "%(NAME|VERSION|LICENSE|DEPENDS|FILES)%\n.{0,9}\n",
        "(obj|dir|sym) /?.{0,9} [0-9a-f]{0,4} ?[0-9]{0,3}\n",
        ".{0,12}",
    ];
    let text =
        proptest::collection::vec(words, 0..20).prop_map(|lines| lines.concat().into_bytes());
    prop_oneof![text, proptest::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #[test]
    fn no_json_makes_a_matcher_panic(value in json()) {
        let bytes = value.to_string().into_bytes();
        let others = [stated::read, stated::read_components, java::module::read, brew::read];
        for read in [npm::read, python::read_conda, composer::read, dotnet::read].iter().chain(&others) {
            let _facts = read("some/path", &bytes);
        }
        let locks = ["package-lock.json", "composer.lock", "conan.lock", "deno.lock", "Package.resolved", "Pipfile.lock", "packages.lock.json", "renv.lock"];
        for name in locks {
            let _facts = lock::read(name, &bytes);
        }
    }

    #[test]
    fn no_database_makes_a_matcher_panic(bytes in database()) {
        for matcher in MATCHERS {
            match matcher.wants {
                MatcherWants::Path { read, .. } => drop(read("some/lib/path", &bytes)),
                MatcherWants::Opened { read, .. } | MatcherWants::Magic { read, .. } => drop(read("bin/python3.1", &mut io::Cursor::new(&bytes))),
                MatcherWants::Scanned { scanner, .. } => {
                    let mut scanner = scanner("bin/python3.1");
                    scanner.feed(&bytes);
                    drop(scanner.finish());
                }
            }
        }
    }
}
