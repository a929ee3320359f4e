//! Promotions to an OCI layout on disk and back: all of the evidence in one archive, verified on
//! both sides, offline; and archives that somebody changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use supply_action::inputs::Action;
use supply_action::sandbox::SandboxConfig;
use supply_action::summary::declared;

use crate::promote::{Stage, count, has_no_name, requests, says, there};
use crate::support::{Run, World};

/// Of `stage`, to a place on disk.
async fn packed(stage: &Stage, to: &Path, change: &[(&str, &str)]) -> Run {
    let destinations = format!("oci-layout:{}", to.display());
    let change = [&[("INPUT_DESTINATIONS", destinations.as_str())], change].concat();
    stage.world.run(&["promote"], &change).await
}

/// On a machine that runs no workflow and reaches nothing but the registry: nobody who built or
/// published the image is there.
async fn unpacked(stage: &Stage, words: &[&str]) -> Run {
    let (_, issuer) = stage.world.identity();
    let issuer = format!("certificate-oidc-issuer={issuer}");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_supply-action"));
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command.env("SUPPLY_ACTION_TRUSTED_ROOT", stage.world.sandbox.trusted_root());
    command.args(["promote", "-i", "repo=example/hello", "-i", &issuer]).args(words);
    let output = command.output().await.unwrap();
    stage.world.run_of(output.status.code(), &output.stderr)
}

fn sent(world: &World) -> usize {
    let asked = requests(world);
    ["PUT", "PATCH", "POST"].iter().map(|method| count(&asked, method, "")).sum()
}

#[tokio::test]
async fn an_image_crosses_an_air_gap_with_all_its_evidence() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("below/hello.tar");
    let before = sent(&stage.world);
    let run = packed(&stage, &archive, &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert_eq!(sent(&stage.world), before, "nothing was sent anywhere");
    assert_eq!(run.outputs["digest"], stage.digest);
    let shown = format!("oci-layout:{}", archive.display());
    assert_eq!(run.outputs["image-ref"], format!("{shown}@{}", stage.digest));
    assert_eq!(run.outputs["tags"].lines().count(), 4, "{}", run.outputs["tags"]);
    assert!(run.outputs["tags"].contains(&format!("{shown}:v1.2.3")));
    let copied: Value = serde_json::from_str(&run.outputs["copied"]).unwrap();
    assert!(copied[&shown]["bytes"].as_u64().unwrap() > 1000, "{copied}");
    let declared: Vec<&str> =
        declared::outputs(Action::Promote).map(|output| output.name).collect();
    assert_eq!(run.outputs.len(), declared.len(), "{:?}", run.outputs);
    assert!(run.summary.contains("oci-layout:"), "{}", run.summary);
    // The other side.
    let to = World::new().await;
    let source = format!("{shown}:v1.2.3");
    let place = there(&to).to_string();
    let run = unpacked(&stage, &["--source", &source, "--to", &place]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let tags = to.tags_of("mirror/app").await;
    assert_eq!(tags, BTreeMap::from([("v1.2.3".to_owned(), stage.digest.clone())]));
    let tags = ["-i", "tags=v1.2.3\nv1.2\nv1\nlatest"];
    let run = unpacked(&stage, &[&["--source", &source, "--to", &place], &tags[..]].concat()).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    says(&run, &["everything is there in 1 repository"]);
    stage.arrived(&to).await;
}

/// Wherever it comes from and however that registry keeps evidence, an archive is the same bytes.
#[tokio::test]
async fn the_same_image_is_the_same_archive() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = packed(&stage, &path("one.tar"), &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let fallback = World::with(|config: &mut SandboxConfig| config.referrers_api = false).await;
    let run = stage.promoted(&[&fallback]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let source = format!("{}:v1.2.3", there(&fallback));
    let run = packed(&stage, &path("two.tar"), &[("INPUT_SOURCE", &source)]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let unpacked = format!("oci-layout:{}", path("one.tar").display());
    let run = packed(&stage, &path("three.tar"), &[("INPUT_SOURCE", &unpacked)]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let bytes = |name: &str| std::fs::read(path(name)).unwrap();
    assert!(bytes("one.tar") == bytes("two.tar"), "from another kind of registry");
    assert!(bytes("one.tar") == bytes("three.tar"), "from an archive");
}

#[tokio::test]
async fn a_folder_is_read_by_verify_and_goes_beside_repositories() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    let places = format!("{}\noci-layout:{}", there(&to), layout.display());
    let run = stage.world.run(&["promote"], &[("INPUT_DESTINATIONS", places.as_str())]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    stage.arrived(&to).await;
    assert_eq!(run.outputs["image-ref"], format!("{}@{}", there(&to), stage.digest));
    assert_eq!(run.outputs["tags"].lines().count(), 8, "{}", run.outputs["tags"]);
    let (_, issuer) = stage.world.identity();
    let root = stage.world.sandbox.trusted_root().display().to_string();
    let place = format!("{}:v1.2", layout.display());
    let words = ["verify", "--repo", "example/hello", "--certificate-oidc-issuer", &issuer];
    let formats = ["--signature-formats", "bundle,legacy", "--trusted-root", &root];
    let run = stage.world.run(&[&words[..], &formats, &["--layout", &place]].concat(), &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
}

#[tokio::test]
async fn what_is_in_the_way_is_told_first_and_stays() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("taken.tar");
    std::fs::write(&taken, "mine").unwrap();
    let run = packed(&stage, &taken, &[]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(&run, &["nothing was tagged", "already exists"]);
    assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
    let run = packed(&stage, &folder.path().join("dry.tar"), &[("INPUT_DRY-RUN", "true")]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    says(&run, &["all of it to 1 layout", "would write oci-layout:"]);
    let evil = [("INPUT_REPO", "example/other")];
    let run = packed(&stage, &folder.path().join("evil.tar"), &evil).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(&run, &["is not verified"]);
    let wanted = [("INPUT_VERIFICATION-SUMMARY", "true")];
    let run = packed(&stage, &folder.path().join("said.tar"), &wanted).await;
    assert_eq!(run.code, Some(2), "{}", run.log);
    says(&run, &["input `verification-summary`", "layout on disk"]);
    for source in ["oci-layout:", "oci-layout:/none.tar", "oci-layout:/none"] {
        let run = packed(&stage, &folder.path().join("x.tar"), &[("INPUT_SOURCE", source)]).await;
        assert!(matches!(run.code, Some(1 | 2)), "{source}: {}", run.log);
        says(&run, &["nothing was "]);
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["taken.tar"], "nothing is left beside");
}

/// A checkout may hold a link that leads anywhere.
#[tokio::test]
async fn no_link_of_a_checkout_is_followed_to_write() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
    let mut command = stage.world.command();
    command.arg("promote").env("INPUT_DESTINATIONS", "oci-layout:out/image.tar");
    let output = command.current_dir(folder.path()).output().await.unwrap();
    let run = stage.world.run_of(output.status.code(), &output.stderr);
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(&run, &["nothing was tagged", "leads through the link"]);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

/// Names and bytes of an archive.
fn files(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(std::fs::File::open(archive).unwrap());
    let read = |entry: std::io::Result<tar::Entry<'_, std::fs::File>>| {
        use std::io::Read as _;
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    };
    tar.entries().unwrap().map(read).collect()
}

fn repacked(folder: &Path, name: &str, files: &[(String, Vec<u8>)]) -> PathBuf {
    let path = folder.join(name);
    let mut tar = tar::Builder::new(std::fs::File::create(&path).unwrap());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    tar.finish().unwrap();
    path
}

#[tokio::test]
async fn refuses_an_archive_that_was_changed_on_its_way() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.tar");
    let run = packed(&stage, &good, &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let all = files(&good);
    let blobs: Vec<usize> =
        (0..all.len()).filter(|at| all[*at].0.starts_with("blobs/sha256/")).collect();
    let to = World::new().await;
    let place = there(&to).to_string();
    let mut refused = 0;
    // Every third blob, be it layer, manifest or bundle.
    for at in blobs.iter().copied().step_by(3) {
        let mut changed = all.clone();
        changed[at].1[0] ^= 1;
        let mut lacking = all.clone();
        lacking.remove(at);
        for files in [changed, lacking] {
            let archive = repacked(folder.path(), "bad.tar", &files);
            let source = format!("oci-layout:{}:v1.2.3", archive.display());
            let run = unpacked(&stage, &["--source", &source, "--to", &place]).await;
            assert_eq!(run.code, Some(1), "{}: {}", all[at].0, run.log);
            says(&run, &["nothing was tagged"]);
            refused += 1;
        }
    }
    assert!(refused > 10, "{refused}");
    // Without the evidence it is an image like any other.
    let mut bare = all.clone();
    let index = bare.iter_mut().find(|(name, _)| name == "index.json").unwrap();
    let mut read: Value = serde_json::from_slice(&index.1).unwrap();
    let names =
        |entry: &Value| entry["annotations"]["org.opencontainers.image.ref.name"] == "v1.2.3";
    read["manifests"].as_array_mut().unwrap().retain(names);
    index.1 = read.to_string().into_bytes();
    let archive = repacked(folder.path(), "bare.tar", &bare);
    let source = format!("oci-layout:{}:v1.2.3", archive.display());
    let run = unpacked(&stage, &["--source", &source, "--to", &place]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    says(&run, &["nothing was tagged", "is not verified"]);
    let cut = std::fs::read(&good).unwrap();
    std::fs::write(folder.path().join("cut.tar"), &cut[..cut.len() / 2]).unwrap();
    let source = format!("oci-layout:{}:v1.2.3", folder.path().join("cut.tar").display());
    let run = unpacked(&stage, &["--source", &source, "--to", &place]).await;
    assert_eq!(run.code, Some(1), "{}", run.log);
    has_no_name(&to).await;
    assert_eq!(count(&requests(&to), "PUT", "/manifests/"), 0);
}
