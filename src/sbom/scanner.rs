//! BuildKit's scanner protocol: root file systems in, one in-toto statement per scan out. It writes
//! nothing else and nowhere else.
//!
//! See <https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md>.

use crate::evidence;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::SbomError;
use super::catalog::Catalog;
use super::exclude::Exclude;
use super::source::rootfs::Rootfs;
use super::spdx::{DocumentSubject, document, remarks};
use super::text::Text;

const SOURCE: &str = "BUILDKIT_SCAN_SOURCE";
const EXTRAS: &str = "BUILDKIT_SCAN_SOURCE_EXTRAS";
const DESTINATION: &str = "BUILDKIT_SCAN_DESTINATION";
/// The generator's `SUPPLIER=…` parameter: who supplies the image.
const SUPPLIER: &str = "BUILDKIT_SCAN_SUPPLIER";
/// The generator's `FILES=owned` parameter: list the files that packages brought.
const FILES: &str = "BUILDKIT_SCAN_FILES";
/// BuildKit passes build arguments to scanners only as parameters of the generator, hence the
/// second name.
const EPOCHS: [&str; 2] = ["SOURCE_DATE_EPOCH", "BUILDKIT_SCAN_SOURCE_DATE_EPOCH"];

/// BuildKit 0.32 and later reads no larger attestation.
const LARGEST: usize = 40 << 20;

/// A finished scan, for logging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedScan {
    pub name: String,
    pub packages: usize,
    pub bytes: usize,
    /// What is missing or assumed, one sentence each.
    pub remarks: Vec<String>,
}

/// Scans what BuildKit mounted and writes a statement for each; BuildKit adds the subject.
pub fn run(env: &BTreeMap<String, String>) -> Result<Vec<FinishedScan>, SbomError> {
    let source = required(env, SOURCE)?;
    let destination = Path::new(required(env, DESTINATION)?);
    let epoch = epoch(env)?;
    let mut roots = vec![PathBuf::from(source)];
    if let Some(extras) = env.get(EXTRAS).filter(|extras| !extras.is_empty()) {
        roots.extend(extra_roots(Path::new(extras))?);
    }
    let files = match env.get(FILES).map(String::as_str) {
        None | Some("" | "none") => false,
        Some("owned") => true,
        Some(other) => return Err(SbomError::BadFiles { value: other.to_owned() }),
    };
    let how = ScannerParameters { epoch, supplier: env.get(SUPPLIER).cloned(), files };
    // The image comes first; what comes after may be sources that it was built from.
    roots.iter().enumerate().map(|(at, root)| scan(root, destination, &how, at == 0)).collect()
}

fn required<'a>(
    env: &'a BTreeMap<String, String>,
    name: &'static str,
) -> Result<&'a str, SbomError> {
    env.get(name)
        .map(String::as_str)
        .filter(|value| !value.is_empty())
        .ok_or(SbomError::MissingVariable { name })
}

fn epoch(env: &BTreeMap<String, String>) -> Result<Option<jiff::Timestamp>, SbomError> {
    let Some(value) =
        EPOCHS.iter().find_map(|name| env.get(*name)).filter(|value| !value.is_empty())
    else {
        return Ok(None);
    };
    let seconds = value.parse().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    seconds.map(Some).ok_or_else(|| SbomError::BadEpoch { value: value.clone() })
}

/// One directory per further build stage or context.
fn extra_roots(extras: &Path) -> Result<Vec<PathBuf>, SbomError> {
    let unreadable = |source| SbomError::Unreadable { path: extras.display().to_string(), source };
    let mut roots = Vec::new();
    for entry in fs::read_dir(extras).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.file_type().map_err(unreadable)?.is_dir() {
            roots.push(entry.path());
        }
    }
    roots.sort();
    Ok(roots)
}

/// What the parameters say.
struct ScannerParameters {
    epoch: Option<jiff::Timestamp>,
    supplier: Option<String>,
    files: bool,
}

fn scan(
    root: &Path,
    destination: &Path,
    how: &ScannerParameters,
    is_image: bool,
) -> Result<FinishedScan, SbomError> {
    let name = root.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let name = name.ok_or_else(|| SbomError::Nameless { path: root.display().to_string() })?;
    let source = Rootfs::new(root);
    let catalog = match is_image {
        true => Catalog::of_image(&source, how.files)?,
        false => Catalog::with(&source, how.files, Exclude::default())?,
    };
    // Without an epoch, the packages' own age: the same image gives the same document.
    let newest = catalog.newest.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let created = how.epoch.or(newest).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let about = DocumentSubject {
        name: name.clone(),
        digest: None,
        supplier: how.supplier.clone(),
        created,
    };
    let mut statement = Text::new(
        json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": evidence::SPDX }),
    );
    statement.set_written("predicate", document(&catalog, &about));
    let bytes = statement.written();
    if bytes.len() > LARGEST {
        return Err(SbomError::DocumentTooLarge { name, size: bytes.len(), cap: LARGEST });
    }
    let path = destination.join(format!("{name}.spdx.json"));
    fs::write(&path, &bytes).map_err(|source| SbomError::Unwritable {
        name: name.clone(),
        path: path.display().to_string(),
        source,
    })?;
    let remarks = remarks(&catalog.warnings);
    Ok(FinishedScan { name, packages: catalog.packages.len(), bytes: bytes.len(), remarks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn env(pairs: &[(&str, &Path)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, path)| ((*name).to_owned(), path.display().to_string())).collect()
    }

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn lock_files_tell_of_sources_and_not_of_an_image() {
        let directory = tempfile::tempdir().unwrap();
        let lock = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://x.example/index\"\n";
        let (core, out) = (directory.path().join("core/sbom"), directory.path().join("out"));
        write(&core.join("app/Cargo.lock"), lock);
        write(&directory.path().join("extras/sbom-context/Cargo.lock"), lock);
        fs::create_dir(&out).unwrap();
        let extras = directory.path().join("extras");
        let scans = run(&env(&[(SOURCE, &core), (EXTRAS, &extras), (DESTINATION, &out)])).unwrap();
        let told: Vec<(&str, usize)> =
            scans.iter().map(|scan| (scan.name.as_str(), scan.packages)).collect();
        assert_eq!(told, [("sbom", 0), ("sbom-context", 1)]);
    }

    #[test]
    fn every_root_gets_one_statement() {
        let directory = tempfile::tempdir().unwrap();
        let (core, extras, out) = (
            directory.path().join("core/sbom"),
            directory.path().join("extras"),
            directory.path().join("out"),
        );
        write(&core.join("var/lib/dpkg/status.d/a"), "Package: a\nVersion: 1\n");
        write(&extras.join("sbom-build/lib/apk/db/installed"), "P:b\nV:2\n");
        fs::create_dir(&out).unwrap();
        let mut env = env(&[(SOURCE, &core), (EXTRAS, &extras), (DESTINATION, &out)]);
        env.insert("SOURCE_DATE_EPOCH".into(), "86400".into());
        let scans = run(&env).unwrap();
        let told: Vec<(&str, usize)> =
            scans.iter().map(|scan| (scan.name.as_str(), scan.packages)).collect();
        assert_eq!(told, [("sbom", 1), ("sbom-build", 1)]);
        let mut files: Vec<_> = fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(files, ["sbom-build.spdx.json", "sbom.spdx.json"]);
        let first = fs::read(out.join("sbom.spdx.json")).unwrap();
        let statement: Value = serde_json::from_slice(&first).unwrap();
        assert_eq!(statement["predicateType"], "https://spdx.dev/Document");
        assert_eq!(statement["predicate"]["creationInfo"]["created"], "1970-01-02T00:00:00Z");
        assert!(statement.get("subject").is_none());
        run(&env).unwrap();
        assert_eq!(
            fs::read(out.join("sbom.spdx.json")).unwrap(),
            first,
            "a second run writes equal bytes"
        );
    }

    #[test]
    fn without_an_epoch_the_newest_database_dates_the_document() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("sbom");
        write(&root.join("lib/apk/db/installed"), "P:b\nV:2\n");
        let file = fs::File::options().write(true).open(root.join("lib/apk/db/installed")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000))
            .unwrap();
        run(&env(&[(SOURCE, &root), (DESTINATION, directory.path())])).unwrap();
        let statement: Value =
            serde_json::from_slice(&fs::read(directory.path().join("sbom.spdx.json")).unwrap())
                .unwrap();
        assert_eq!(statement["predicate"]["creationInfo"]["created"], "2023-11-14T22:13:20Z");
    }

    #[test]
    fn what_is_missing_is_named() {
        let here = Path::new("/nonexistent/sbom");
        let check = |env: BTreeMap<String, String>, expected: &str| {
            assert_eq!(run(&env).unwrap_err().to_string(), expected)
        };
        check(BTreeMap::new(), "nothing was scanned: `BUILDKIT_SCAN_SOURCE` is not set");
        check(
            env(&[(SOURCE, here)]),
            "nothing was scanned: `BUILDKIT_SCAN_DESTINATION` is not set",
        );
        check(
            env(&[(SOURCE, here), (DESTINATION, here)]),
            "no sbom was written: `/nonexistent/sbom/` cannot be read",
        );
        check(
            env(&[(SOURCE, Path::new("/")), (DESTINATION, here)]),
            "no sbom was written: `/` does not name a scan",
        );
        let mut bad = env(&[(SOURCE, here), (DESTINATION, here)]);
        bad.insert("SOURCE_DATE_EPOCH".into(), "soon".into());
        check(bad, "nothing was scanned: `SOURCE_DATE_EPOCH` is `soon`, not a number of seconds");
        let mut bad = env(&[(SOURCE, here), (DESTINATION, here)]);
        bad.insert(FILES.into(), "all".into());
        check(bad, "nothing was scanned: `FILES` is `all`, neither `none` nor `owned`");
    }
}
