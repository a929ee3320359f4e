//! Layers against the root file system that a container runtime would make of them.

use std::fs;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::sbom::catalog::Catalog;
use crate::sbom::matchers::cargo::tests::auditable;
use crate::sbom::source::rootfs::Rootfs;

mod files;
mod hostile;
mod lent;
mod promises;
mod stores;

/// One entry of a layer.
#[derive(Debug, Clone)]
enum Op {
    File(String, Vec<u8>),
    Directory(String),
    Link(String, String),
    Hard(String, String),
    Whiteout(String),
    Opaque(String),
}

use Op::{Directory, File, Hard, Link, Opaque, Whiteout};
use promises::refused;

fn file(path: &str, text: impl AsRef<[u8]>) -> Op {
    File(path.into(), text.as_ref().to_vec())
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn tar_of(ops: &[Op]) -> Vec<u8> {
    let mut tar = ::tar::Builder::new(Vec::new());
    for op in ops {
        let mut header = ::tar::Header::new_gnu();
        header.set_mtime(7);
        header.set_mode(0o644);
        let mut add = |kind: ::tar::EntryType, path: &str, bytes: &[u8]| {
            header.set_entry_type(kind);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header.clone(), path, bytes).unwrap();
        };
        match op {
            File(path, bytes) => add(::tar::EntryType::Regular, path, bytes),
            Directory(path) => add(::tar::EntryType::Directory, path, b""),
            Whiteout(path) => add(
                ::tar::EntryType::Regular,
                &paths::join(split(path).0, &format!(".wh.{}", split(path).1)),
                b"",
            ),
            Opaque(path) => add(::tar::EntryType::Regular, &paths::join(path, ".wh..wh..opq"), b""),
            Link(path, target) | Hard(path, target) => {
                header.set_entry_type(if matches!(op, Link(..)) {
                    ::tar::EntryType::Symlink
                } else {
                    ::tar::EntryType::Link
                });
                header.set_size(0);
                tar.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    tar.into_inner().unwrap()
}

/// Layers in memory, and how often each was opened.
#[derive(Default)]
struct LayersInMemory {
    layers: BTreeMap<String, Vec<u8>>,
    /// Layers whose diffID is another's.
    by_digest: BTreeMap<String, Vec<u8>>,
    opened: Mutex<Vec<String>>,
    /// Whether files are asked for.
    files: bool,
    diff_ids: bool,
}

impl LayerBlobs for LayersInMemory {
    fn open(&self, blob: &Blob) -> io::Result<Box<dyn Read + Send>> {
        self.opened.lock().unwrap().push(blob.diff_id.clone());
        let liar = blob.digest.as_ref().and_then(|digest| self.by_digest.get(digest));
        Ok(Box::new(io::Cursor::new(liar.unwrap_or_else(|| &self.layers[&blob.diff_id]).clone())))
    }
}

fn sum(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tightest(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl LayersInMemory {
    /// Adds a layer, as it is or compressed.
    fn add(&mut self, plain: &[u8], compressed: Vec<u8>) -> Blob {
        let blob = Blob {
            digest: Some(sum(&compressed)),
            size: Some(compressed.len() as u64),
            diff_id: sum(plain),
            is_foreign: false,
            is_encrypted: false,
        };
        self.layers.insert(blob.diff_id.clone(), compressed);
        blob
    }

    fn collect(
        &self,
        image: &[Blob],
        threads: usize,
        cache: Option<&Cache>,
    ) -> Result<CollectedPackages, SbomError> {
        let reading = LayerReading {
            cache,
            files: self.files,
            diff_ids: self.diff_ids,
            ..LayerReading::of(self, threads)
        };
        collect(&[image.to_vec()], &reading).map(|mut found| found.pop().unwrap())
    }
}

fn layered(image: &[Vec<Op>]) -> Result<CollectedPackages, SbomError> {
    layered_with(image, false)
}

fn layered_with(image: &[Vec<Op>], files: bool) -> Result<CollectedPackages, SbomError> {
    let mut memory = LayersInMemory { files, ..LayersInMemory::default() };
    let blobs: Vec<Blob> =
        image.iter().map(|ops| tar_of(ops)).map(|tar| memory.add(&tar, gzip(&tar))).collect();
    memory.collect(&blobs, 2, None)
}

/// Where a path really is below `root`; links stay inside, as a runtime keeps them.
fn real(root: &Path, path: &str) -> Option<PathBuf> {
    let (mut ahead, mut reached, mut hops): (Vec<String>, Vec<String>, _) =
        (path.split('/').rev().map(str::to_owned).collect(), Vec::new(), 0);
    while let Some(part) = ahead.pop() {
        match part.as_str() {
            "" | "." => {}
            ".." => drop(reached.pop()),
            _ => {
                reached.push(part);
                if let Ok(target) = fs::read_link(root.join(reached.join("/"))) {
                    hops += 1;
                    let target = target.to_str()?.to_owned();
                    if target.starts_with('/') {
                        reached.clear()
                    } else {
                        drop(reached.pop())
                    }
                    ahead.extend(target.split('/').rev().map(str::to_owned));
                }
            }
        }
        if hops > 40 {
            return None;
        }
    }
    Some(root.join(reached.join("/")))
}

fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// Unpacks one entry; nothing for what no runtime could unpack, and for a mark below a file, which
/// hides the file where layers are mounted over one another, and nothing where they are copied.
fn unpack(root: &Path, op: &Op) -> Option<()> {
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| !found.is_dir());
    let path = match op {
        Opaque(directory) => {
            let directory = real(root, directory)?;
            if directory.ancestors().take_while(|above| above.starts_with(root)).any(is_file) {
                return None;
            }
            let below = fs::read_dir(directory).into_iter().flatten();
            below.for_each(|entry| remove(&entry.unwrap().path()));
            return Some(());
        }
        File(path, _) | Directory(path) | Link(path, _) | Hard(path, _) | Whiteout(path) => path,
    };
    let place = |path: &str| Some(real(root, split(path).0)?.join(split(path).1));
    let at = place(path)?;
    if let Whiteout(_) = op {
        if at.ancestors().skip(1).take_while(|above| above.starts_with(root)).any(is_file) {
            return None;
        }
        remove(&at);
        return Some(());
    }
    fs::create_dir_all(at.parent()?).ok()?;
    if !(matches!(op, Directory(_)) && fs::symlink_metadata(&at).is_ok_and(|found| found.is_dir()))
    {
        if let Hard(_, target) = op {
            let target = place(target)?;
            fs::symlink_metadata(&target)
                .ok()
                .filter(|found| !found.is_dir() && target != at && !target.starts_with(&at))?;
            remove(&at);
            return fs::hard_link(target, at).ok();
        }
        remove(&at);
    }
    match op {
        File(_, bytes) => {
            fs::write(&at, bytes).unwrap();
            fs::File::options()
                .write(true)
                .open(&at)
                .unwrap()
                .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(7))
                .unwrap();
        }
        Directory(_) => fs::create_dir_all(&at).unwrap(),
        Link(_, target) => symlink(target, &at).unwrap(),
        Hard(..) | Whiteout(_) | Opaque(_) => {}
    }
    Some(())
}

fn unpacked(image: &[Vec<Op>]) -> Option<tempfile::TempDir> {
    let root = tempfile::tempdir().unwrap();
    for op in image.iter().flatten() {
        unpack(root.path(), op)?;
    }
    Some(root)
}

fn without_layers(collected: CollectedPackages) -> Catalog {
    let mut catalog = Catalog::from_collected(collected);
    catalog.packages.iter_mut().for_each(|listed| listed.layers.clear());
    catalog
}

/// The same image in both ways; gives the purls.
fn check(image: &[Vec<Op>], expected: &[&str]) {
    let root = unpacked(image).unwrap();
    let from_layers = without_layers(layered(image).unwrap());
    assert_eq!(from_layers, Catalog::of(&Rootfs::new(root.path())).unwrap(), "{image:?}");
    assert_eq!(
        from_layers.packages.iter().map(|listed| listed.purl.as_str()).collect::<Vec<_>>(),
        expected
    );
}

const APK: &str = "P:musl\nV:1\n";
const NODE: &str = "\0node.js/v20.9.0\0";

fn npm(name: &str) -> String {
    format!(r#"{{"name":"{name}","version":"1.0.0"}}"#)
}

#[test]
fn upper_layers_replace_and_take_away() {
    let app = |name: &str| file("app/package.json", npm(name));
    check(&[vec![app("a")], vec![app("b")]], &["pkg:npm/b@1.0.0"]);
    check(&[vec![app("a")], vec![Whiteout("app/package.json".into())]], &[]);
    check(&[vec![app("a")], vec![Whiteout("app".into())]], &[]);
    check(
        &[
            vec![app("a")],
            vec![
                Directory("app".into()),
                Opaque("app".into()),
                file("app/x/package.json", npm("b")),
            ],
        ],
        &["pkg:npm/b@1.0.0"],
    );
    check(&[vec![app("a")], vec![Opaque(String::new())]], &[]);
    check(&[vec![app("a")], vec![file("app", "now a file")]], &[]);
    check(&[vec![app("a")], vec![Link("app".into(), "elsewhere".into())]], &[]);
    check(&[vec![app("a")], vec![Directory("app".into())]], &["pkg:npm/a@1.0.0"]);
    check(&[vec![app("a")], vec![Directory("app/package.json".into())]], &[]);
    check(&[vec![app("a"), app("b")]], &["pkg:npm/b@1.0.0"]);
    check(
        &[vec![app("a"), Directory("app".into()), file("app", ""), Directory("app".into())]],
        &[],
    );
    check(&[vec![app("a")], vec![Whiteout("app".into())], vec![app("c")]], &["pkg:npm/c@1.0.0"]);
}

#[test]
fn entries_pass_through_links_of_their_own_and_of_lower_layers() {
    let usr = || Link("lib".into(), "usr/lib".into());
    check(&[vec![usr(), file("lib/apk/db/installed", APK)]], &["pkg:apk/alpine/musl@1"]);
    check(
        &[vec![Directory("usr/lib".into()), usr()], vec![file("lib/apk/db/installed", APK)]],
        &["pkg:apk/alpine/musl@1"],
    );
    check(
        &[
            vec![file("usr/lib/apk/db/installed", APK), usr()],
            vec![Whiteout("lib/apk/db/installed".into())],
        ],
        &[],
    );
    check(
        &[vec![file("usr/lib/apk/db/installed", APK), usr()], vec![Directory("lib".into())]],
        &["pkg:apk/alpine/musl@1"],
    );
    // So do the targets of hard links.
    let opt = vec![Link("app/lib".into(), "/opt".into())];
    check(
        &[
            opt,
            vec![file("opt/real", npm("x")), Hard("package.json".into(), "app/lib/real".into())],
        ],
        &["pkg:npm/x@1.0.0"],
    );
    // A link that the layer takes away is none to pass through.
    let below = vec![file("var/lib/x", ""), Link("var/lib/dpkg".into(), "../lib".into())];
    for hidden in [
        Opaque("var/lib/dpkg".into()),
        Whiteout("var/lib/dpkg".into()),
        Whiteout("var/lib".into()),
        Opaque("var".into()),
    ] {
        check(
            &[below.clone(), vec![hidden, file("var/lib/dpkg/package.json", npm("x"))]],
            &["pkg:npm/x@1.0.0"],
        );
    }
    let far = [
        vec![Directory("b/c".into()), Link("a".into(), "/b".into())],
        vec![Link("b/d".into(), "c".into())],
        vec![file("a/d/package.json", npm("x")), Hard("z.json".into(), "a/d/package.json".into())],
    ];
    check(&far, &["pkg:npm/x@1.0.0"]);
}

#[test]
fn databases_behind_links_are_found_under_their_usual_name() {
    let status = "Package: a\nVersion: 1\n";
    check(
        &[
            vec![file("opt/state/status", status)],
            vec![Link("var/lib/dpkg".into(), "/opt/state".into())],
        ],
        &["pkg:deb/debian/a@1"],
    );
    check(
        &[
            vec![file("opt/state/status", "")],
            vec![Link("var/lib/dpkg".into(), "/opt/state".into())],
            vec![file("var/lib/dpkg/status", status)],
        ],
        &["pkg:deb/debian/a@1"],
    );
    check(
        &[vec![
            file("var/lib/dpkg/real", status),
            Link("var/lib/dpkg/status".into(), "real".into()),
        ]],
        &["pkg:deb/debian/a@1"],
    );
    let hidden = [
        vec![file("var/lib/dpkg/real", status)],
        vec![file("var/lib/dpkg/real", ""), Link("var/lib/dpkg/status".into(), "real".into())],
    ];
    check(&hidden, &[]);
}

#[test]
fn a_database_is_read_with_its_journal_wherever_the_two_lie() {
    const DATABASE: &[u8] = include_bytes!("../../../../tests/fixtures/sbom/rpmdb.sqlite");
    const JOURNAL: &[u8] = include_bytes!("../../../../tests/fixtures/sbom/rpmdb.sqlite-wal");
    let (database, journal) =
        (file("var/lib/rpm/rpmdb.sqlite", DATABASE), file("var/lib/rpm/rpmdb.sqlite-wal", JOURNAL));
    let versions = |image: &[Vec<Op>]| {
        let root = unpacked(image).unwrap();
        let catalog = without_layers(layered(image).unwrap());
        assert_eq!(catalog, Catalog::of(&Rootfs::new(root.path())).unwrap());
        let packages = catalog.packages.into_iter().map(|listed| listed.package);
        packages.filter_map(|package| package.version).collect::<Vec<_>>().join(" ")
    };
    let (stale, fresh) = (
        "1.0-1.el9 2.0-1.el9 3.0-1.el9 4.0-1.el9 5.0-1.el9 6.0-1.el9 7.0-1.el9 8.0-1.el9",
        "1.0-1.el9 3.0-1.el9 4.0-1.el9 5.0-1.el9 6.0-1.el9 7.0-1.el9 9.0-1.el9",
    );
    assert_eq!(versions(&[vec![database.clone()]]), stale);
    assert_eq!(versions(&[vec![database.clone(), journal.clone()]]), fresh);
    assert_eq!(versions(&[vec![journal.clone(), database.clone()]]), fresh);
    assert_eq!(versions(&[vec![database.clone()], vec![journal.clone()]]), fresh);
    let gone = Whiteout("var/lib/rpm/rpmdb.sqlite-wal".into());
    assert_eq!(versions(&[vec![database.clone(), journal.clone()], vec![gone]]), stale);
    let catalog = without_layers(layered(&[vec![journal]]).unwrap());
    assert!(catalog.warnings[0].contains("could not be read with it"), "{:?}", catalog.warnings);
    let linked = [
        vec![file("usr/lib/sysimage/rpm/rpmdb.sqlite", DATABASE)],
        vec![Link("var/lib/rpm".into(), "../../usr/lib/sysimage/rpm".into())],
        vec![file("usr/lib/sysimage/rpm/rpmdb.sqlite-wal", JOURNAL)],
    ];
    assert_eq!(versions(&linked), fresh);
}

#[test]
fn hard_links_tell_what_their_files_tell() {
    let hard = |path: &str, target: &str| Hard(path.into(), target.into());
    let crates = ["pkg:cargo/app@0.1.0", "pkg:cargo/rand@0.7.3", "pkg:cargo/rand@0.8.5"];
    check(&[vec![file("bin/a", auditable()), hard("bin/b", "bin/a")]], &crates);
    check(
        &[
            vec![file("bin/a", auditable())],
            vec![hard("bin/b", "bin/a")],
            vec![Whiteout("bin/a".into())],
        ],
        &crates,
    );
    check(&[vec![file("proc/a", auditable()), hard("bin/b", "proc/a")]], &crates);
    check(
        &[vec![file("store/1", npm("a")), hard("app/package.json", "store/1")]],
        &["pkg:npm/a@1.0.0"],
    );
    check(
        &[vec![
            file("a/package.json", npm("a")),
            hard("b/package.json", "a/package.json"),
            file("a/package.json", npm("c")),
        ]],
        &["pkg:npm/a@1.0.0", "pkg:npm/c@1.0.0"],
    );
    check(
        &[vec![
            file("bin/node", NODE),
            hard("bin/nodejs", "bin/node"),
            hard("opt/node", "bin/nodejs"),
        ]],
        &["pkg:generic/node@20.9.0"],
    );
    let chain = [
        vec![file("store/1", npm("a")), hard("store/2", "store/1")],
        vec![hard("app/package.json", "store/2")],
        vec![Whiteout("store".into())],
    ];
    check(&chain, &["pkg:npm/a@1.0.0"]);
    let error = layered(&[vec![hard("a", "b")]]).unwrap_err().to_string();
    assert!(error.ends_with("`a` is a hard link to `b`, which is not there"), "{error}");
    let error = layered(&[vec![file("b", "")], vec![Whiteout("b".into())], vec![hard("a", "b")]])
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("`a` is a hard link to `b`, which is not there"), "{error}");
    for (ops, reason) in [
        (vec![hard("a", "a")], "to itself"),
        (vec![Directory("b".into()), hard("a", "b")], "to the directory `b`"),
    ] {
        let error = layered(&[ops]).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

fn place() -> impl Strategy<Value = String> {
    let directory = prop_oneof![
        Just(""),
        Just("lib/"),
        Just("usr/lib/"),
        Just("var/lib/dpkg/"),
        Just("app/"),
        Just("app/node_modules/a/"),
        Just("opt/state/"),
        Just("lib/apk/db/"),
        Just("proc/")
    ];
    let name = prop_oneof![
        Just("status"),
        Just("package.json"),
        Just("node"),
        Just("tool"),
        Just("lib"),
        Just("app"),
        Just("installed"),
        Just("dpkg"),
        Just("etc/os-release"),
        Just("real")
    ];
    (directory, name).prop_map(|(directory, name)| format!("{directory}{name}"))
}

fn op() -> impl Strategy<Value = Op> {
    let contents = prop_oneof![
        Just(Vec::new()),
        Just(npm("a").into_bytes()),
        Just(npm("b").into_bytes()),
        Just(b"Package: a\nVersion: 1\n".to_vec()),
        Just(APK.into()),
        Just(NODE.into()),
        Just(auditable()),
        Just(b"ID=debian\nVERSION_ID=12\n".to_vec()),
    ];
    let directory = || {
        prop_oneof![
            Just("lib".to_owned()),
            Just("usr/lib".to_owned()),
            Just("var/lib/dpkg".to_owned()),
            Just("app".to_owned()),
            Just("opt/state".to_owned()),
            place()
        ]
    };
    let target = prop_oneof![
        Just("usr/lib".to_owned()),
        Just("/opt/state".to_owned()),
        Just("../lib".to_owned()),
        Just("real".to_owned()),
        Just("/app".to_owned()),
        place().prop_map(|path| format!("/{path}"))
    ];
    prop_oneof![
        4 => (place(), contents).prop_map(|(path, bytes)| File(path, bytes)),
        1 => directory().prop_map(Directory),
        2 => (directory(), target).prop_map(|(path, target)| Link(path, target)),
        1 => (place(), place()).prop_map(|(path, target)| Hard(path, target)),
        1 => place().prop_map(Whiteout),
        1 => directory().prop_map(Opaque),
    ]
}

/// What layers hide, comes first in each: that is the one order in which all runtimes agree.
fn image() -> impl Strategy<Value = Vec<Vec<Op>>> {
    let layer = proptest::collection::vec(op(), 0..7).prop_map(|mut ops| {
        ops.sort_by_key(|op| !matches!(op, Whiteout(_) | Opaque(_)));
        ops
    });
    proptest::collection::vec(layer, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn any_layers_give_what_their_root_file_system_gives(image in image()) {
        let Some(root) = unpacked(&image) else { return Err(TestCaseError::reject("no runtime could unpack it")) };
        let rootfs = Catalog::of(&Rootfs::new(root.path()));
        let layers = layered(&image).map(without_layers);
        match (rootfs, layers) {
            (Ok(rootfs), Ok(layers)) => prop_assert_eq!(layers, rootfs),
            // A file that is no database, which a higher layer may have hidden.
            (_, Err(SbomError::Malformed { .. })) => {}
            (rootfs, layers) => prop_assert!(false, "{:?} {:?}", rootfs.map(|_| ()), layers.map(|_| ())),
        }
    }
}
