//! The SPDX tools on the SBOMs that came out of BuildKit, out of our own scanner image, and were signed.

use serde_json::Value;

use crate::support::{accepts, get, published, tool, world};

/// The SPDX document inside a bundle in the registry.
pub(crate) fn document(image: &str, bundle: &str) -> Value {
    use base64::Engine as _;
    let (host, path) = image.split_once('/').unwrap();
    let bundle: Value = serde_json::from_slice(&get(&format!("http://{host}/v2/{path}/blobs/{bundle}"))).unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    statement["predicate"].clone()
}

#[test]
fn pyspdxtools_accepts_the_sbom_of_every_platform() {
    let run = published();
    let evidence = run.json("evidence");
    let mut checked = 0;
    for subject in evidence["subjects"].as_array().unwrap() {
        for statement in subject["attestations"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|found| found["format"] == "bundle" && found["predicateType"] == "https://spdx.dev/Document")
        {
            let file = world().folder.join(format!("{checked}.spdx.json"));
            std::fs::write(&file, document(&run.outputs["image"], statement["bundle"].as_str().unwrap()).to_string()).unwrap();
            accepts(&tool("PYSPDXTOOLS"), &["-i", file.to_str().unwrap()]);
            checked += 1;
        }
    }
    assert_eq!(checked, 2);
}

/// Runs the program itself; gives the document.
fn cataloged(arguments: &[&str]) -> Value {
    let output = std::process::Command::new(crate::support::required("SUPPLY_ACTION_BIN")).arg("sbom").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every package without what only layers tell, and the document's own remarks.
fn facts(document: &Value) -> (Vec<Value>, Value) {
    let mut packages = document["packages"].as_array().unwrap()[1..].to_vec();
    for package in &mut packages {
        let source = package["sourceInfo"].as_str().unwrap().split("; brought by layer").next().unwrap().to_owned();
        package["sourceInfo"] = source.into();
    }
    (packages, document["comment"].clone())
}

/// Real images: as a layout, as an archive of it, in a registry, and as the root file system that tar unpacks.
#[test]
fn real_images_have_the_same_packages_in_every_way() {
    let images = crate::support::required("SUPPLY_ACTION_IMAGES");
    for (image, name) in [("debian", "library/debian"), ("golang", "library/golang")] {
        let folder = tempfile::tempdir_in(world().folder.as_path()).unwrap();
        let (root, archive) = (folder.path().join("root"), folder.path().join("image.tar"));
        std::fs::create_dir(&root).unwrap();
        let layout = images.join(image);
        let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
        let tagged = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap().to_owned();
        let platform = ["--platform", "linux/amd64", "--name", "x"];
        let shown = format!("oci-layout:{}:{tagged}", layout.display());
        let from_layout = cataloged(&[&[shown.as_str()], platform.as_slice()].concat());
        let remote = format!("registry:{}/{tagged}", world().sandbox.registry());
        assert!(remote.contains(name));
        let from_registry = cataloged(&[&[remote.as_str()], platform.as_slice()].concat());
        assert_eq!(from_registry, from_layout, "the registry's bytes are the layout's");
        accepts("tar".as_ref(), &["-C", layout.to_str().unwrap(), "-cf", archive.to_str().unwrap(), "."]);
        let shown = format!("oci-archive:{}:{tagged}", archive.display());
        assert_eq!(cataloged(&[&[shown.as_str()], platform.as_slice(), &["--threads", "1"]].concat()), from_layout);
        let read = |digest: &Value| -> Value {
            let path = layout.join("blobs/sha256").join(&digest.as_str().unwrap()["sha256:".len()..]);
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
        };
        let inner = read(&index["manifests"][0]["digest"]);
        let amd64 = inner["manifests"].as_array().unwrap().iter().find(|one| one["platform"]["architecture"] == "amd64").unwrap();
        for layer in read(&amd64["digest"])["layers"].as_array().unwrap() {
            let path = layout.join("blobs/sha256").join(&layer["digest"].as_str().unwrap()["sha256:".len()..]);
            // Real base images of one layer take nothing away, and devices are not needed.
            accepts("tar".as_ref(), &["-C", root.to_str().unwrap(), "--exclude=./dev/*", "--exclude=dev/*", "-xf", path.to_str().unwrap()]);
        }
        let from_root = cataloged(&[&format!("dir:{}", root.display()), "--name", "x"]);
        let (packages, remarks) = facts(&from_layout);
        assert!(packages.len() > 5, "{} packages", packages.len());
        assert_eq!((packages, remarks), facts(&from_root), "{image}");
    }
}
