//! Makes a store of OSV records out of the embedded ones and a folder's; it never changes a byte of
//! a record.

use std::collections::BTreeMap;
use std::path::Path;

use axum::body::Bytes;
use serde_json::Value;

use super::ordering::may_be_affected;
use crate::sandbox::SandboxError;

/// Enough for a first look: real flaws, with their real versions.
const EMBEDDED: &str = include_str!("records.jsonl");

/// <https://ossf.github.io/osv-schema/#defined-ecosystems>.
pub(super) const ECOSYSTEMS: [&str; 47] = [
    "AlmaLinux",
    "Alpaquita",
    "Alpine",
    "Android",
    "Azure Linux",
    "BellSoft Hardened Containers",
    "Bioconductor",
    "Bitnami",
    "CRAN",
    "Chainguard",
    "CleanStart",
    "ConanCenter",
    "Debian",
    "Docker Hardened Images",
    "Echo",
    "FreeBSD",
    "GHC",
    "GIT",
    "GitHub Actions",
    "Go",
    "Hackage",
    "Hex",
    "Julia",
    "Kubernetes",
    "Linux",
    "Mageia",
    "Maven",
    "MinimOS",
    "NuGet",
    "OSS-Fuzz",
    "Packagist",
    "Photon OS",
    "Pub",
    "PyPI",
    "Red Hat",
    "Rocky Linux",
    "Root",
    "RubyGems",
    "SUSE",
    "SwiftURL",
    "Ubuntu",
    "VSCode",
    "Wolfi",
    "crates.io",
    "npm",
    "openEuler",
    "openSUSE",
];

/// One record, as it is served.
pub(super) struct ServedRecord {
    pub(super) id: String,
    pub(super) modified: String,
    pub(super) text: Bytes,
    value: Value,
}

impl ServedRecord {
    fn affected(&self) -> &[Value] {
        self.value["affected"].as_array().map(Vec::as_slice).unwrap_or_default()
    }
}

#[derive(Default)]
pub(super) struct ServedRecords {
    all: Vec<ServedRecord>,
    by_id: BTreeMap<String, usize>,
    /// By ecosystem without release, and name as the service compares it.
    by_name: BTreeMap<(String, String), Vec<usize>>,
}

/// An ecosystem without its release.
pub(super) fn base(ecosystem: &str) -> &str {
    ecosystem.split(':').next().unwrap_or(ecosystem)
}

/// The service finds `Ubuntu:22.04` under `Ubuntu:22.04:LTS` and `Ubuntu:Pro:22.04:LTS` too.
fn release(ecosystem: &str) -> String {
    let parts = ecosystem.split(':').filter(|part| !["Pro", "LTS"].contains(part));
    parts.collect::<Vec<_>>().join(":")
}

/// Python's names are compared as PEP 503 says, all others as they are.
fn compared(ecosystem: &str, name: &str) -> String {
    if base(ecosystem) == "PyPI" {
        name.to_lowercase().replace(['_', '.'], "-")
    } else {
        name.to_owned()
    }
}

impl ServedRecords {
    pub(super) fn open(folder: Option<&Path>) -> Result<Self, SandboxError> {
        let mut records = Self::default();
        for line in EMBEDDED.lines() {
            records.add(line.as_bytes(), Path::new("records.jsonl"))?;
        }
        let Some(folder) = folder else { return Ok(records) };
        let failed = |source| SandboxError::File { path: folder.to_owned(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            files.push(entry.map_err(failed)?.path());
        }
        files.sort();
        for path in files {
            let is = |wanted: &str| path.extension().is_some_and(|kind| kind == wanted);
            if !is("json") && !is("jsonl") {
                continue;
            }
            let bytes = std::fs::read(&path)
                .map_err(|source| SandboxError::File { path: path.clone(), source })?;
            if is("json") {
                records.add(&bytes, &path)?;
            } else {
                bytes
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                    .try_for_each(|line| records.add(line, &path))?;
            }
        }
        Ok(records)
    }

    fn add(&mut self, text: &[u8], path: &Path) -> Result<(), SandboxError> {
        let value: Value = serde_json::from_slice(text)
            .map_err(|source| SandboxError::Json { path: path.to_owned(), source })?;
        let at = self.all.len();
        let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let record = ServedRecord {
            id: field("id"),
            modified: field("modified"),
            text: Bytes::copy_from_slice(text),
            value,
        };
        for entry in record.affected() {
            let package = &entry["package"];
            let (Some(ecosystem), Some(name)) =
                (package["ecosystem"].as_str(), package["name"].as_str())
            else {
                continue;
            };
            let key = (base(ecosystem).to_owned(), compared(ecosystem, name));
            let known = self.by_name.entry(key).or_default();
            if known.last() != Some(&at) {
                known.push(at);
            }
        }
        self.by_id.insert(record.id.clone(), at);
        self.all.push(record);
        Ok(())
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&ServedRecord> {
        self.by_id.get(id).and_then(|at| self.all.get(*at))
    }

    pub(super) fn other_than(&self, id: &str) -> Option<&ServedRecord> {
        self.all.iter().find(|record| record.id != id)
    }

    /// What is known of a version of a package, and not withdrawn.
    pub(super) fn about(&self, ecosystem: &str, name: &str, version: &str) -> Vec<&ServedRecord> {
        let key = (base(ecosystem).to_owned(), compared(ecosystem, name));
        let concerns = |entry: &Value| {
            let of = entry["package"]["ecosystem"].as_str().unwrap_or_default();
            // Without a release, every release answers: <https://github.com/google/osv.dev/issues/4230>.
            (release(of) == release(ecosystem) || ecosystem == base(of))
                && compared(of, entry["package"]["name"].as_str().unwrap_or_default()) == key.1
                && may_be_affected(entry, version)
        };
        let places = self.by_name.get(&key).map(Vec::as_slice).unwrap_or_default();
        places
            .iter()
            .filter_map(|at| self.all.get(*at))
            .filter(|record| !record.value["withdrawn"].is_string())
            .filter(|record| record.affected().iter().any(concerns))
            .collect()
    }

    /// Every record that names an ecosystem, withdrawn ones too.
    pub(super) fn of(&self, ecosystem: &str) -> Vec<(String, Bytes)> {
        let names = |entry: &Value| {
            entry["package"]["ecosystem"].as_str().is_some_and(|of| base(of) == ecosystem)
        };
        self.all
            .iter()
            .filter(|record| record.affected().iter().any(names))
            .map(|record| (format!("{}.json", record.id), record.text.clone()))
            .collect()
    }
}
