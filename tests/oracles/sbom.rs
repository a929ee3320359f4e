//! SPDX's and CycloneDX's own tools on our SBOMs: those that came out of BuildKit, out of our own
//! scanner image, and were signed; and those of real packages in both formats.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use supply_action::sbom::catalog::Catalog;
use supply_action::sbom::foreign::{ForeignFormat, ForeignPackage, packages};
use supply_action::sbom::index::{DocumentedIndex, IndexDetail, IndexPart};
use supply_action::sbom::source::rootfs::Rootfs;
use supply_action::sbom::spdx::DocumentSubject;
use supply_action::sbom::{cyclonedx, spdx};

use crate::evidence::{signer, statement_of};
use crate::support::{accepts, cosigns, get, judge, publish, published, tool, trust, world};

/// The SPDX document inside a bundle in the registry.
pub(crate) fn document(image: &str, bundle: &str) -> Value {
    use base64::Engine as _;
    let (host, path) = image.split_once('/').unwrap();
    let bundle: Value =
        serde_json::from_slice(&get(&format!("http://{host}/v2/{path}/blobs/{bundle}"))).unwrap();
    let payload = base64::engine::general_purpose::STANDARD
        .decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    statement["predicate"].clone()
}

#[test]
fn pyspdxtools_accepts_the_sbom_of_every_platform_and_of_their_index() {
    let run = published();
    let evidence = run.json("evidence");
    let mut listed: Vec<Vec<ForeignPackage>> = Vec::new();
    for subject in evidence["subjects"].as_array().unwrap() {
        for statement in subject["attestations"].as_array().unwrap().iter().filter(|found| {
            found["format"] == "bundle" && found["predicateType"] == "https://spdx.dev/Document"
        }) {
            let file = world().folder.join(format!("{}.spdx.json", listed.len()));
            let document =
                document(&run.outputs["image"], statement["bundle"].as_str().unwrap()).to_string();
            std::fs::write(&file, &document).unwrap();
            accepts(&tool("PYSPDXTOOLS"), &["-i", file.to_str().unwrap()]);
            fits_the_schema_of_spdx(&file);
            listed.push(packages(document.as_bytes()).unwrap());
        }
    }
    assert_eq!(listed.len(), 3);
    // The index lists what its platforms do, no less and no more.
    let mut of_platforms = listed[1..].concat();
    of_platforms.sort();
    of_platforms.dedup();
    assert_eq!(listed[0], of_platforms);
}

/// All that an index may say of real packages, in both formats.
#[test]
fn the_sbom_of_an_index_passes_its_judges_however_much_it_says() {
    let (catalog, spdx, cyclonedx) = real();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/python/judge.py");
    for (format, file) in [(ForeignFormat::Spdx, spdx), (ForeignFormat::CycloneDx, cyclonedx)] {
        let text = std::fs::read_to_string(file).unwrap();
        let other = text.replace("registry.example/real", "registry.example/other");
        let part = |platform: &str, document| IndexPart {
            platform: platform.to_owned(),
            digest: format!("sha256:{}", "1".repeat(64)),
            documents: vec![document],
        };
        let digest = format!("sha256:{}", "2".repeat(64));
        let parts = [part("linux/amd64", text.as_str()), part("linux/arm/v7", &other)];
        let index =
            DocumentedIndex::read(format, "registry.example/real", &digest, &parts).unwrap();
        for detail in IndexDetail::ALL {
            let written = index.document(detail);
            let file = world().folder.join(format!("index-{format:?}-{detail:?}.json"));
            std::fs::write(&file, &written).unwrap();
            let judged = file.to_str().unwrap();
            if format == ForeignFormat::Spdx {
                fits_the_schema_of_spdx(&file);
                accepts(&tool("PYSPDXTOOLS"), &["-i", judged]);
            } else {
                accepts(&tool("PYTHON"), &[script.to_str().unwrap(), "cyclonedx", judged]);
            }
            let listed = packages(written.as_bytes()).unwrap();
            let expected = match detail {
                IndexDetail::References => Vec::new(),
                IndexDetail::Whole | IndexDetail::Names => packages(text.as_bytes()).unwrap(),
            };
            assert!(listed == expected && catalog.packages.len() > 100, "{detail:?}");
        }
    }
}

fn fits_the_schema_of_spdx(file: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (script, schema) = (
        root.join("tools/python/judge.py"),
        root.join("tests/fixtures/schemas/spdx-schema-2.3.json"),
    );
    accepts(
        &tool("PYTHON"),
        &[script.to_str().unwrap(), "spdx", schema.to_str().unwrap(), file.to_str().unwrap()],
    );
}

/// The Debian packages of this machine and the Python tools that judge us, as an image would have
/// them; in both formats.
fn real() -> &'static (Catalog, PathBuf, PathBuf) {
    static REAL: OnceLock<(Catalog, PathBuf, PathBuf)> = OnceLock::new();
    REAL.get_or_init(|| {
        let root = tempfile::tempdir_in(&world().folder).unwrap();
        let take = |from: &Path, to: &Path| {
            let to = root.path().join(to.strip_prefix("/").unwrap_or(to));
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(from, to).unwrap();
        };
        for path in ["/var/lib/dpkg/status", "/etc/os-release"] {
            take(Path::new(path), Path::new(path));
        }
        for entry in std::fs::read_dir("/usr/share/doc").unwrap() {
            let copyright = entry.unwrap().path().join("copyright");
            if copyright.is_file() {
                take(&copyright, &copyright);
            }
        }
        let site = tool("PYTHON").parent().unwrap().join("../lib");
        for python in std::fs::read_dir(site).unwrap() {
            for package in std::fs::read_dir(python.unwrap().path().join("site-packages")).unwrap()
            {
                let package = package.unwrap();
                let metadata = package.path().join("METADATA");
                if metadata.is_file() {
                    take(
                        &metadata,
                        &Path::new("opt/venv").join(package.file_name()).join("METADATA"),
                    );
                }
            }
        }
        let catalog = Catalog::of(&Rootfs::new(root.path())).unwrap();
        let about = DocumentSubject {
            name: "registry.example/real".into(),
            digest: Some(format!("sha256:{}", "0".repeat(64))),
            supplier: Some("Example".into()),
            ..DocumentSubject::default()
        };
        let [spdx, cyclonedx] = [
            ("spdx", spdx::document(&catalog, &about)),
            ("cdx", cyclonedx::document(&catalog, &about)),
        ]
        .map(|(kind, document)| {
            let file = world().folder.join(format!("real.{kind}.json"));
            std::fs::write(&file, document).unwrap();
            file
        });
        (catalog, spdx, cyclonedx)
    })
}

#[test]
fn spdx_of_real_packages_passes_its_schema_its_tools_and_the_minimum_elements() {
    let (catalog, file, _) = real();
    assert!(catalog.packages.len() > 100, "{} packages", catalog.packages.len());
    fits_the_schema_of_spdx(file);
    accepts(&tool("PYSPDXTOOLS"), &["-i", file.to_str().unwrap()]);
    let lacking = without_supplier(file);
    let unknown: BTreeSet<String> = catalog
        .packages
        .iter()
        .filter(|listed| listed.package.supplier.is_none())
        .map(|listed| listed.package.name.clone())
        .collect();
    assert_eq!(lacking, unknown);
    assert!(lacking.len() * 20 < catalog.packages.len(), "{lacking:?}");
}

/// The packages for which NTIA's checker misses a supplier. Nothing else may keep a document from
/// the minimum elements, and without any it has them.
fn without_supplier(file: &Path) -> BTreeSet<String> {
    let (_, said) = judge(&tool("NTIA"), &[file.to_str().unwrap(), "--output", "json"]);
    let report: Value =
        serde_json::from_str(&said[said.find('{').unwrap()..=said.rfind('}').unwrap()]).unwrap();
    for element in ["componentNames", "componentVersions", "componentIdentifiers"] {
        assert_eq!(report[element]["allProvided"], true, "{element}: {report:#}");
    }
    for element in ["authorNameProvided", "timestampProvided", "dependencyRelationshipsProvided"] {
        assert_eq!(report[element], true, "{element}: {report:#}");
    }
    let lacking =
        report["componentSuppliers"]["nonconformantComponents"].as_array().unwrap().iter();
    let lacking: BTreeSet<String> = lacking.map(|name| name.as_str().unwrap().to_owned()).collect();
    assert_eq!(report["isNtiaConformant"], lacking.is_empty(), "{report:#}");
    lacking
}

#[test]
fn a_document_has_the_minimum_elements_where_every_package_names_its_supplier() {
    let images = crate::support::required("SUPPLY_ACTION_IMAGES");
    let silent = |document: &Value| -> BTreeSet<String> {
        let packages = document["packages"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|package| package["supplier"] == "NOASSERTION");
        packages.map(|package| package["name"].as_str().unwrap().to_owned()).collect()
    };
    for (image, is_conformant) in [("debian", true), ("golang", false)] {
        let shown = format!("oci-layout:{}", images.join(image).display());
        let document = cataloged(&[&shown, "--platform", "linux/amd64", "--supplier", "Example"]);
        let file = world().folder.join(format!("{image}.minimum.json"));
        std::fs::write(&file, document.to_string()).unwrap();
        let lacking = without_supplier(&file);
        assert_eq!((&lacking, lacking.is_empty()), (&silent(&document), is_conformant), "{image}");
    }
    // Of what the action publishes, the image has its supplier too: the owner of the repository.
    for (platform, document) in spdx_of_platforms(published()) {
        assert_ne!(document["packages"][0]["supplier"], "NOASSERTION", "{platform}");
        let file = world().folder.join(format!("minimum-{}.json", platform.replace('/', "-")));
        std::fs::write(&file, document.to_string()).unwrap();
        assert_eq!(without_supplier(&file), silent(&document), "{platform}");
    }
}

#[test]
fn cyclonedx_of_real_packages_passes_its_schema_and_is_read_back_whole() {
    let (catalog, _, file) = real();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/python/judge.py");
    let said =
        accepts(&tool("PYTHON"), &[script.to_str().unwrap(), "cyclonedx", file.to_str().unwrap()]);
    // The distribution is a component too.
    assert_eq!(said.trim(), format!("{} packages", catalog.packages.len() + 1));
}

#[test]
fn a_judge_refuses_what_is_no_such_document() {
    let (_, _, file) = real();
    let broken = world().folder.join("broken.cdx.json");
    std::fs::write(
        &broken,
        std::fs::read_to_string(file).unwrap().replacen("\"library\"", "\"thing\"", 1),
    )
    .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/python/judge.py");
    assert!(
        !judge(&tool("PYTHON"), &[script.to_str().unwrap(), "cyclonedx", broken.to_str().unwrap()])
            .0
    );
}

#[test]
fn syft_reads_both_formats_and_finds_every_package_in_them() {
    let (catalog, spdx, cyclonedx) = real();
    let purls = |bytes: &[u8]| {
        let document: Value = serde_json::from_slice(bytes).unwrap();
        let found = document["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|artifact| artifact["purl"].as_str());
        found
            .filter(|purl| !purl.starts_with("pkg:oci/"))
            .map(str::to_owned)
            .collect::<BTreeSet<String>>()
    };
    let ours: BTreeSet<String> =
        catalog.packages.iter().map(|listed| listed.purl.clone()).collect();
    for (kind, file) in [("spdx", spdx), ("cyclonedx", cyclonedx)] {
        let out = world().folder.join(format!("{kind}.syft.json"));
        accepts(
            &tool("SYFT"),
            &["convert", file.to_str().unwrap(), "-o", &format!("syft-json={}", out.display())],
        );
        let theirs = purls(&std::fs::read(out).unwrap());
        let missing: Vec<&String> = ours.difference(&theirs).take(10).collect();
        assert!(
            missing.is_empty(),
            "{kind}: {} of {} are missing, such as {missing:?}",
            ours.difference(&theirs).count(),
            ours.len()
        );
    }
}

#[test]
fn two_formats_of_one_catalog_do_not_differ_and_neither_does_what_syft_makes_of_them() {
    let (_, spdx, cyclonedx) = real();
    let read = |file: &Path| packages(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(read(spdx), read(cyclonedx));
    let out = world().folder.join("syft.cdx.json");
    accepts(
        &tool("SYFT"),
        &["convert", spdx.to_str().unwrap(), "-o", &format!("cyclonedx-json={}", out.display())],
    );
    let found = supply_action::sbom::diff::diff(&read(spdx), &read(&out));
    assert!(found.is_empty(), "{}", found.table());
}

#[test]
fn cosign_accepts_an_sbom_of_ones_own_as_cyclonedx_on_every_platform() {
    let (catalog, _, own) = real();
    let image = format!("{}/hello-own-sbom", world().sandbox.registry());
    let run = publish("hello", &image, &[("INPUT_SBOM", own.to_str().unwrap())]);
    assert_eq!(run.code, Some(0), "{}", run.log);
    let (identity, issuer) = signer();
    let trust = trust(world().sandbox.trusted_root().to_str().unwrap(), &identity, &issuer);
    for (kind, digest) in run.subjects().into_iter().filter(|(kind, _)| kind != "attestations") {
        let image = format!("{image}@{digest}");
        for (cosign, extra) in cosigns() {
            let said = accepts(
                &cosign,
                &[&["verify-attestation", "--type", "cyclonedx"], extra, &trust, &[image.as_str()]]
                    .concat(),
            );
            let predicate = &statement_of(&said)["predicate"];
            // Beside the packages there is the distribution; on the index, the platforms as well,
            // which share all that they contain.
            let beside = if kind == "index" { 3 } else { 1 };
            assert_eq!(
                predicate["components"].as_array().unwrap().len(),
                catalog.packages.len() + beside,
                "{kind}"
            );
        }
    }
}

/// Runs the program itself; gives the document.
pub(crate) fn cataloged(arguments: &[&str]) -> Value {
    let output = std::process::Command::new(crate::support::required("SUPPLY_ACTION_BIN"))
        .arg("sbom")
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every package without what only layers tell, and the document's own remarks.
fn facts(document: &Value) -> (Vec<Value>, Value) {
    let mut packages = document["packages"].as_array().unwrap()[1..].to_vec();
    for package in &mut packages {
        let source = package["sourceInfo"]
            .as_str()
            .unwrap()
            .split("; brought by layer")
            .next()
            .unwrap()
            .to_owned();
        package["sourceInfo"] = source.into();
    }
    (packages, document["comment"].clone())
}

/// Both formats of what was pushed: judged by CycloneDX's schema, accepted by cosign, and with the
/// packages of what the scanner wrote.
#[test]
fn cosign_accepts_cyclonedx_of_pushed_layers_and_it_lists_what_the_scanner_found() {
    let image = format!("{}/greeter-cyclonedx", world().sandbox.registry());
    let run = publish("greeter", &image, &[("INPUT_SBOM-FORMAT", "cyclonedx")]);
    assert_eq!(run.code, Some(0), "{}", run.log);
    let (identity, issuer) = signer();
    let trust = trust(world().sandbox.trusted_root().to_str().unwrap(), &identity, &issuer);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/python/judge.py");
    let scanned: Vec<Value> =
        spdx_of_platforms(published()).into_iter().map(|(_, document)| document).collect();
    let platforms: Vec<(String, String)> =
        run.subjects().into_iter().filter(|(kind, _)| kind == "platform").collect();
    assert_eq!((platforms.len(), scanned.len()), (2, 2));
    for ((_, digest), scanned) in platforms.iter().zip(&scanned) {
        let image = format!("{image}@{digest}");
        for (cosign, extra) in cosigns() {
            let said = accepts(
                &cosign,
                &[&["verify-attestation", "--type", "cyclonedx"], extra, &trust, &[image.as_str()]]
                    .concat(),
            );
            let predicate = &statement_of(&said)["predicate"];
            let file =
                world().folder.join(format!("layers-{}.cdx.json", &digest["sha256:".len()..]));
            std::fs::write(&file, predicate.to_string()).unwrap();
            accepts(
                &tool("PYTHON"),
                &[script.to_str().unwrap(), "cyclonedx", file.to_str().unwrap()],
            );
            let [ours, theirs] = [predicate, scanned]
                .map(|document| packages(document.to_string().as_bytes()).unwrap());
            let found = supply_action::sbom::diff::diff(&theirs, &ours);
            assert!(found.is_empty(), "{}", found.table());
            let (refused, said) = judge(
                &cosign,
                &[&["verify-attestation", "--type", "spdxjson"], extra, &trust, &[image.as_str()]]
                    .concat(),
            );
            assert!(!refused, "{said}");
        }
    }
}

/// The one SPDX document that was signed for each platform.
fn spdx_of_platforms(run: &crate::support::Run) -> Vec<(String, Value)> {
    let evidence = run.json("evidence");
    let is_sbom = |found: &&Value| {
        found["format"] == "bundle" && found["predicateType"] == "https://spdx.dev/Document"
    };
    let platforms = evidence["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|subject| subject["kind"] == "platform");
    platforms
        .map(|subject| {
            let sboms: Vec<&Value> =
                subject["attestations"].as_array().unwrap().iter().filter(is_sbom).collect();
            assert_eq!(sboms.len(), 1, "{subject:#}");
            let bundle = sboms[0]["bundle"].as_str().unwrap();
            (
                subject["platform"].as_str().unwrap().to_owned(),
                document(&run.outputs["image"], bundle),
            )
        })
        .collect()
}

#[test]
fn sboms_of_pushed_layers_hold_what_the_scanner_found_in_the_build() {
    let image = format!("{}/greeter-registry", world().sandbox.registry());
    let run = publish("greeter", &image, &[("INPUT_SBOM", "registry")]);
    assert_eq!(run.code, Some(0), "{}", run.log);
    let (of_layers, of_build) = (spdx_of_platforms(&run), spdx_of_platforms(published()));
    assert_eq!(of_layers.len(), 2);
    for ((platform, layers), (_, build)) in of_layers.iter().zip(&of_build) {
        let file = world().folder.join(format!("layers-{}.spdx.json", platform.replace('/', "-")));
        std::fs::write(&file, layers.to_string()).unwrap();
        accepts(&tool("PYSPDXTOOLS"), &["-i", file.to_str().unwrap()]);
        fits_the_schema_of_spdx(&file);
        assert_eq!(layers["name"], image.as_str());
        assert!(!facts(layers).0.is_empty(), "{platform}");
        assert_eq!(facts(layers), facts(build), "{platform}");
    }
}

/// The files of a real image in every way it can be read; judged by the tools of both formats, and
/// counted by dpkg's own lists.
#[test]
fn files_that_packages_own_are_the_same_in_every_way_and_stand_before_the_judges() {
    let layout = crate::support::required("SUPPLY_ACTION_IMAGES").join("debian");
    let shown = format!("oci-layout:{}", layout.display());
    let arguments = ["--platform", "linux/amd64", "--name", "x", "--files", "owned"];
    let document = cataloged(&[&[shown.as_str()], arguments.as_slice()].concat());
    let file = world().folder.join("files.spdx.json");
    std::fs::write(&file, document.to_string()).unwrap();
    accepts(&tool("PYSPDXTOOLS"), &["-i", file.to_str().unwrap()]);
    fits_the_schema_of_spdx(&file);
    let cyclonedx = cataloged(
        &[&[shown.as_str(), "--format", "cyclonedx-json"], arguments.as_slice()].concat(),
    );
    let other = world().folder.join("files.cdx.json");
    std::fs::write(&other, cyclonedx.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/python/judge.py");
    accepts(&tool("PYTHON"), &[script.to_str().unwrap(), "cyclonedx", other.to_str().unwrap()]);
    // What tar unpacks: every regular file that a list names is in the document with the checksum
    // that `sha1sum` makes.
    let root = tempfile::tempdir_in(&world().folder).unwrap();
    unpack_amd64(&layout, root.path());
    let of_root =
        cataloged(&[&format!("dir:{}", root.path().display()), "--name", "x", "--files", "owned"]);
    assert_eq!(of_root["files"], document["files"]);
    let lists = root.path().join("var/lib/dpkg/info");
    let lists = std::fs::read_dir(lists).unwrap().map(|entry| entry.unwrap().path());
    let lists = lists.filter(|path| path.extension().is_some_and(|kind| kind == "list"));
    let listed: Vec<String> = lists
        .flat_map(|path| {
            std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let is_file = |path: &&String| {
        std::fs::symlink_metadata(root.path().join(&path[1..])).is_ok_and(|found| found.is_file())
    };
    // `/bin` and others are links, through which several names lead to one file.
    let real = |path: &String| {
        std::fs::canonicalize(root.path().join(&path[1..]))
            .unwrap()
            .strip_prefix(root.path())
            .unwrap()
            .to_owned()
    };
    let expected: BTreeSet<PathBuf> = listed.iter().filter(is_file).map(real).collect();
    let files = document["files"].as_array().unwrap();
    let found: BTreeSet<PathBuf> =
        files.iter().map(|file| file["fileName"].as_str().unwrap()[2..].into()).collect();
    assert!(found.len() > 1000, "{}", found.len());
    assert_eq!(found, expected);
    let sums: String = files
        .iter()
        .map(|file| {
            format!(
                "{}  {}\n",
                file["checksums"][0]["checksumValue"].as_str().unwrap(),
                file["fileName"].as_str().unwrap()
            )
        })
        .collect();
    std::fs::write(root.path().join("sums"), sums).unwrap();
    accepts(
        "sh".as_ref(),
        &["-c", "cd \"$1\" && sha1sum --check --quiet sums", "sh", root.path().to_str().unwrap()],
    );
}

/// Unpacks the layers of a layout's image for amd64.
fn unpack_amd64(layout: &Path, root: &Path) {
    let read =
        |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let blob = |digest: &Value| {
        layout.join("blobs/sha256").join(&digest.as_str().unwrap()["sha256:".len()..])
    };
    let inner = read(&blob(&read(&layout.join("index.json"))["manifests"][0]["digest"]));
    let amd64 = inner["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["platform"]["architecture"] == "amd64")
        .unwrap();
    for layer in read(&blob(&amd64["digest"]))["layers"].as_array().unwrap() {
        // Real base images of one layer take nothing away, and devices are not needed.
        let path = blob(&layer["digest"]);
        accepts(
            "tar".as_ref(),
            &[
                "-C",
                root.to_str().unwrap(),
                "--exclude=./dev/*",
                "--exclude=dev/*",
                "-xf",
                path.to_str().unwrap(),
            ],
        );
    }
}

/// Real images: as a layout, as an archive of it, in a registry, and as the root file system that
/// tar unpacks.
#[test]
fn real_images_have_the_same_packages_in_every_way() {
    let images = crate::support::required("SUPPLY_ACTION_IMAGES");
    for (image, name) in [("debian", "library/debian"), ("golang", "library/golang")] {
        let folder = tempfile::tempdir_in(world().folder.as_path()).unwrap();
        let (root, archive) = (folder.path().join("root"), folder.path().join("image.tar"));
        std::fs::create_dir(&root).unwrap();
        let layout = images.join(image);
        let index: Value =
            serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
        let tagged = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
            .as_str()
            .unwrap()
            .to_owned();
        let platform = ["--platform", "linux/amd64", "--name", "x"];
        let shown = format!("oci-layout:{}:{tagged}", layout.display());
        let from_layout = cataloged(&[&[shown.as_str()], platform.as_slice()].concat());
        let remote = format!("registry:{}/{tagged}", world().sandbox.registry());
        assert!(remote.contains(name));
        let from_registry = cataloged(&[&[remote.as_str()], platform.as_slice()].concat());
        assert_eq!(from_registry, from_layout, "the registry's bytes are the layout's");
        accepts(
            "tar".as_ref(),
            &["-C", layout.to_str().unwrap(), "-cf", archive.to_str().unwrap(), "."],
        );
        let shown = format!("oci-archive:{}:{tagged}", archive.display());
        assert_eq!(
            cataloged(&[&[shown.as_str()], platform.as_slice(), &["--threads", "1"]].concat()),
            from_layout
        );
        unpack_amd64(&layout, &root);
        let from_root = cataloged(&[&format!("dir:{}", root.display()), "--name", "x"]);
        let (packages, remarks) = facts(&from_layout);
        assert!(packages.len() > 5, "{} packages", packages.len());
        assert_eq!((packages, remarks), facts(&from_root), "{image}");
    }
}
