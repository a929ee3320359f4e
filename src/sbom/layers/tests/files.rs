//! Files that packages own, of layers as of the root file system that a container runtime would
//! make of them; each checksum is made once more here.

use serde_json::Value;

use super::*;

/// A database that says it brought every file of which a random layer may be made.
fn of_everything() -> String {
    let names = [
        "status",
        "package.json",
        "node",
        "tool",
        "lib",
        "app",
        "installed",
        "dpkg",
        "etc/os-release",
        "real",
    ];
    let directories = [
        "",
        "lib",
        "usr/lib",
        "var/lib/dpkg",
        "app",
        "app/node_modules/a",
        "opt/state",
        "lib/apk/db",
        "proc",
    ];
    let list = |directory: &&str| {
        format!("F:{directory}\n{}", names.map(|name| format!("R:{name}\n")).concat())
    };
    format!("P:all\nV:1\n{}", directories.iter().map(list).collect::<String>())
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn any_layers_give_the_files_that_their_root_file_system_has(image in image()) {
        let mut image = image;
        image.push(vec![File("lib/apk/db/installed".into(), of_everything().into_bytes())]);
        let Some(root) = unpacked(&image) else { return Err(TestCaseError::reject("no runtime could unpack it")) };
        let rootfs = Catalog::with(&Rootfs::new(root.path()), true, Exclude::default());
        let layers = layered_with(&image, true).map(without_layers);
        match (rootfs, layers) {
            (Ok(rootfs), Ok(layers)) => {
                for (path, sum) in &layers.files {
                    // Where it is an absolute link, it leads elsewhere on this machine; that both
                    // say the same is checked below.
                    let Ok(bytes) = fs::read(root.path().join(path)) else { continue };
                    prop_assert_eq!(sum, &hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &bytes)));
                }
                prop_assert_eq!(layers, rootfs);
            }
            (_, Err(SbomError::Malformed { .. })) => {}
            (rootfs, layers) => prop_assert!(false, "{:?} {:?}", rootfs.map(|_| ()), layers.map(|_| ())),
        }
    }
}

#[test]
fn packages_own_what_their_lists_name_and_what_is_there() {
    let record = "a/__init__.py,,\n../../bin/a,,\na-1.dist-info/METADATA,,\ngone.py,,\n";
    let image = [
        vec![
            file("etc/os-release", "ID=debian\n"),
            Link("bin".into(), "usr/bin".into()),
            file(
                "var/lib/dpkg/status",
                "Package: base\nVersion: 1\nArchitecture: amd64\n\nPackage: other\nVersion: 1\nArchitecture: amd64\n",
            ),
            file(
                "var/lib/dpkg/info/base:amd64.list",
                "/.\n/bin\n/bin/tool\n/bin/link\n/usr/share/doc/base/gone\n/usr/bin/later\n",
            ),
            file("var/lib/dpkg/info/other.list", "/usr/bin/tool\n"),
            file("usr/bin/tool", "abc"),
            file("usr/bin/later", "old"),
            file("usr/share/doc/base/gone", "x"),
            Link("usr/bin/link".into(), "tool".into()),
            file("opt/lib/site-packages/a-1.dist-info/METADATA", "Name: a\nVersion: 1\n\n"),
            file("opt/lib/site-packages/a-1.dist-info/RECORD", record),
            file("opt/lib/site-packages/a/__init__.py", ""),
            file("opt/lib/site-packages/nobodys.py", ""),
        ],
        vec![
            Whiteout("usr/share/doc/base/gone".into()),
            Hard("opt/bin/a".into(), "usr/bin/tool".into()),
            file("usr/bin/later", "abc"),
        ],
    ];
    let root = unpacked(&image).unwrap();
    let catalog = without_layers(layered_with(&image, true).unwrap());
    assert_eq!(
        catalog,
        Catalog::with(&Rootfs::new(root.path()), true, Exclude::default()).unwrap()
    );
    let owned = |name: &str| -> Vec<&str> {
        let listed = catalog.packages.iter().find(|listed| listed.package.name == name).unwrap();
        listed.files.iter().map(String::as_str).collect()
    };
    assert_eq!(owned("base"), ["usr/bin/later", "usr/bin/tool"]);
    assert_eq!(owned("other"), ["usr/bin/tool"]);
    let site = "opt/lib/site-packages";
    assert_eq!(
        owned("a"),
        [
            "opt/bin/a".to_owned(),
            format!("{site}/a-1.dist-info/METADATA"),
            format!("{site}/a/__init__.py")
        ]
    );
    let abc = "a9993e364706816aba3e25717850c26c9cd0d89d";
    assert_eq!(
        ["usr/bin/later", "usr/bin/tool", "opt/bin/a"].map(|path| catalog.files[path].as_str()),
        [abc; 3]
    );
    assert_eq!(catalog.files.len(), 5);
    let document: Value =
        serde_json::from_str(&crate::sbom::spdx::document(&catalog, &Default::default())).unwrap();
    assert_eq!(document["files"][3]["fileName"], "./usr/bin/later");
    let other = document["packages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|package| package["name"] == "other")
        .unwrap();
    // From `printf a9993e364706816aba3e25717850c26c9cd0d89d | sha1sum`.
    assert_eq!(
        other["packageVerificationCode"]["packageVerificationCodeValue"],
        "9ef2bdeea2b1bae79b9ddb930427d0b2c880bdac"
    );
    assert_eq!(
        without_layers(layered(&image).unwrap()).files.len(),
        0,
        "only where they are asked for"
    );
}

#[test]
fn layers_with_files_are_kept_beside_those_without() {
    let folder = tempfile::tempdir().unwrap();
    let cache = |files| Cache::new(folder.path()).with_files(files);
    let layer =
        tar_of(&[file("lib/apk/db/installed", "P:a\nV:1\nF:bin\nR:a\n"), file("bin/a", "abc")]);
    let mut memory = LayersInMemory::default();
    let image = [memory.add(&layer, gzip(&layer))];
    for (files, opened) in [(false, 1), (true, 2), (true, 2), (false, 2)] {
        memory.files = files;
        let catalog =
            Catalog::from_collected(memory.collect(&image, 1, Some(&cache(files))).unwrap());
        assert_eq!(
            (catalog.files.len(), memory.opened.lock().unwrap().len()),
            (usize::from(files), opened)
        );
    }
}

#[test]
fn hard_links_of_another_layer_into_and_out_of_mount_points_are_as_the_root_file_system_has_them() {
    let database = || file("lib/apk/db/installed", of_everything());
    let inward = [
        vec![file("opt/state/real", "abc")],
        vec![Hard("proc/status".into(), "opt/state/real".into()), database()],
    ];
    let outward = [
        vec![file("proc/real", "abc")],
        vec![Hard("app/real".into(), "proc/real".into()), database()],
    ];
    for (image, expected) in [(inward, "opt/state/real"), (outward, "app/real")] {
        let root = unpacked(&image).unwrap();
        let catalog = without_layers(layered_with(&image, true).unwrap());
        assert_eq!(
            catalog,
            Catalog::with(&Rootfs::new(root.path()), true, Exclude::default()).unwrap()
        );
        assert_eq!(
            catalog.files.keys().collect::<Vec<_>>(),
            if expected < "lib" {
                [expected, "lib/apk/db/installed"]
            } else {
                ["lib/apk/db/installed", expected]
            }
        );
    }
}
