//! The packages that are scanned: modules that Go's database names, in versions that it calls
//! affected, and such as nobody knows. It looks up no answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

/// One record, and the modules that it names with an affected version each.
pub(crate) struct Record {
    pub(crate) json: String,
    id: String,
    affected: Vec<(String, String)>,
}

impl Record {
    /// Those of a folder, in the order of their ids.
    pub(crate) fn all(folder: &Path) -> Vec<Self> {
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut records: Vec<Self> = files
            .filter(|file| file.extension().is_some_and(|kind| kind == "json"))
            .map(|file| Self::of(&std::fs::read(file).unwrap()))
            .collect();
        records.sort_by(|one, other| one.id.cmp(&other.id));
        records
    }

    fn of(bytes: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(bytes).unwrap();
        let entries = json["affected"].as_array().into_iter().flatten();
        let affected = entries.filter(|_| json["withdrawn"].is_null()).filter_map(affected);
        Self {
            affected: affected.collect(),
            id: json["id"].as_str().unwrap().to_owned(),
            json: json.to_string(),
        }
    }
}

/// The last version from which on a module is affected; the first of all is `0.0.1`.
fn affected(entry: &Value) -> Option<(String, String)> {
    let name = entry["package"]["name"].as_str()?;
    let events = entry["ranges"][0]["events"].as_array()?;
    let introduced = events.iter().filter_map(|event| event["introduced"].as_str()).next_back()?;
    let version = if introduced == "0" { "0.0.1" } else { introduced };
    let is_module = !matches!(name, "stdlib" | "toolchain");
    is_module.then(|| (name.to_owned(), version.to_owned()))
}

/// Modules, each in one version.
pub(crate) struct Listed(BTreeMap<String, String>);

impl Listed {
    /// Of the newest records, as many as name so many modules.
    pub(crate) fn with_packages(records: &[Record], count: usize) -> Self {
        Self::until(records, |modules, _| modules == count)
    }

    /// Of the newest records, as many as are asked for, and the modules that they name.
    pub(crate) fn with_records(records: &[Record], count: usize) -> Self {
        Self::until(records, |_, met| met == count)
    }

    fn until(records: &[Record], is_enough: impl Fn(usize, usize) -> bool) -> Self {
        let (mut modules, mut met) = (BTreeMap::new(), BTreeSet::new());
        for record in records.iter().rev() {
            for (name, version) in &record.affected {
                if is_enough(modules.len(), met.len()) {
                    return Self(modules);
                }
                modules.entry(name.clone()).or_insert_with(|| version.clone());
                met.insert(&record.id);
            }
        }
        panic!("the database has too few records");
    }

    /// With modules that no record names.
    pub(crate) fn filled(mut self, count: usize) -> Self {
        for number in self.0.len()..count {
            self.0.insert(format!("example.com/unknown/module{number}"), "1.0.0".to_owned());
        }
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn cyclonedx(&self) -> Value {
        let component = |(name, version): (&String, &String)| json!({ "type": "library", "name": name, "purl": format!("pkg:golang/{name}@v{}", version.replace('+', "%2B")) });
        let components: Vec<Value> = self.0.iter().map(component).collect();
        json!({ "bomFormat": "CycloneDX", "specVersion": "1.5", "components": components })
    }

    pub(crate) fn for_osv_scanner(&self) -> Value {
        let package = |(name, version): (&String, &String)| json!({ "package": { "ecosystem": "Go", "name": name, "version": version } });
        let packages: Vec<Value> = self.0.iter().map(package).collect();
        json!({ "results": [{ "packages": packages }] })
    }
}
