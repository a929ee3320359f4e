//! .NET packages, from the `*.deps.json` beside each application or inside one of a single file, and
//! from the versions in assemblies that no such file names. It runs nothing, and takes an
//! application's own projects for no packages.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{FileFacts, MOST_PACKAGES, MalformedDatabase, parent};
use crate::sbom::package::{Ecosystem, FoundPackage, Package, PackageNeed};

mod bundle;
mod pe;

pub(super) use bundle::{is_executable, read as read_bundle};
pub(super) use pe::{is_assembly, read as read_assembly};

pub(super) fn is_manifest(path: &str) -> bool {
    path.ends_with(".deps.json")
}

/// See <https://github.com/dotnet/sdk/blob/main/documentation/specs/runtime-configuration-file.md>.
pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let manifest: Value = match serde_json::from_slice(bytes) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(FileFacts::warning(format!("`{path}` is not listed: {error}"))),
    };
    let libraries = manifest.get("libraries").and_then(Value::as_object).into_iter().flatten();
    let mut needs = needs(&manifest);
    let (files, has_targets) = files(&manifest);
    let found = libraries.take(MOST_PACKAGES).filter_map(|(key, library)| {
        // A package that brought no file was needed to build, such as an analyzer.
        if has_targets && !files.contains_key(key.as_str()) && !key.starts_with(PACK) {
            return None;
        }
        let requires = needs.remove(key.as_str()).unwrap_or_default();
        Some(FoundPackage {
            provides: vec![key.clone()],
            requires: requires.into_iter().map(|key| vec![PackageNeed::named(key)]).collect(),
            ..FoundPackage::alone(package(key, library)?, path)
        })
    });
    let packages = found.collect();
    let directory = parent(path);
    let owns = files.values().flatten().map(|name| format!("{directory}{name}")).collect();
    Ok(FileFacts { packages, owns, ..FileFacts::default() })
}

/// What the key of a runtime's pack begins with; these packs are published under the name behind it.
const PACK: &str = "runtimepack.";

/// The files that each library brings for running, by their names alone, and whether the manifest
/// tells of any.
fn files(manifest: &Value) -> (BTreeMap<&str, BTreeSet<&str>>, bool) {
    let mut files: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let targets = manifest.get("targets").and_then(Value::as_object).into_iter().flatten();
    for (key, library) in targets.filter_map(|(_, target)| target.as_object()).flatten() {
        let kinds = ["runtime", "native", "runtimeTargets", "resources"];
        let named = kinds.iter().filter_map(|kind| library.get(kind)?.as_object()).flatten();
        let names = named.filter_map(|(path, _)| path.rsplit('/').next());
        // A placeholder for platforms that have the library already.
        let names: BTreeSet<&str> = names.filter(|name| *name != "_._").collect();
        if !names.is_empty() {
            files.entry(key).or_default().extend(names);
        }
    }
    let has_targets = !files.is_empty();
    (files, has_targets)
}

/// Keys are `name/version`. Projects are the application's own, no packages; what is `reference` is
/// known by a file name only.
fn package(key: &str, library: &Value) -> Option<Package> {
    let kind = library.get("type").and_then(Value::as_str)?.to_ascii_lowercase();
    if !["package", "runtimepack"].contains(&kind.as_str()) {
        return None;
    }
    let (name, version) =
        key.split_once('/').filter(|(name, version)| !name.is_empty() && !version.is_empty())?;
    let name = name.strip_prefix(PACK).unwrap_or(name);
    Some(Package { version: Some(version.to_owned()), ..Package::named(Ecosystem::Nuget, name) })
}

/// What each library needs on any target, by name and exact version.
fn needs(manifest: &Value) -> BTreeMap<&str, BTreeSet<String>> {
    let mut needs: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let targets = manifest.get("targets").and_then(Value::as_object).into_iter().flatten();
    for (key, library) in targets.filter_map(|(_, target)| target.as_object()).flatten() {
        let dependencies =
            library.get("dependencies").and_then(Value::as_object).into_iter().flatten();
        let keys = dependencies
            .filter_map(|(name, version)| Some(format!("{name}/{}", version.as_str()?)));
        needs.entry(key).or_default().extend(keys);
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = r#"{"runtimeTarget":{"name":".NETCoreApp,Version=v8.0/linux-x64"},
        "targets":{".NETCoreApp,Version=v8.0":{},".NETCoreApp,Version=v8.0/linux-x64":{
            "App/1.0.0":{"dependencies":{"Serilog.Json":"4.0.0","Lib":"1.0.0"},"runtime":{"App.dll":{}}},
            "Serilog.Json/4.0.0":{"dependencies":{"Newtonsoft.Json":"13.0.3"},"runtime":{"lib/net8.0/Serilog.Json.dll":{}}},
            "Lib/1.0.0":{"runtime":{"Lib.dll":{}}},
            "Microsoft.SourceLink.GitHub/1.1.1":{},
            "System.Memory/4.5.5":{"runtime":{"lib/netcoreapp2.1/_._":{}}},
            "Native/1.0.0":{"runtimeTargets":{"runtimes/linux-x64/native/libx.so":{"rid":"linux-x64"}}},
            "Newtonsoft.Json/13.0.3":{"runtime":{"lib/net6.0/Newtonsoft.Json.dll":{}}}}},
        "libraries":{
            "App/1.0.0":{"type":"project","serviceable":false,"sha512":""},
            "Lib/1.0.0":{"type":"project"},
            "Serilog.Json/4.0.0":{"type":"package"},
            "Native/1.0.0":{"type":"package"},
            "System.Memory/4.5.5":{"type":"package"},
            "Microsoft.SourceLink.GitHub/1.1.1":{"type":"package"},
            "Newtonsoft.Json/13.0.3":{"type":"package","serviceable":true,"sha512":"sha512-x","path":"newtonsoft.json/13.0.3"},
            "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.0":{"type":"runtimepack"},
            "Local/1.0.0.0":{"type":"reference"}}}"#;

    #[test]
    fn packages_that_brought_a_file_are_listed_and_projects_are_not() {
        assert!(is_manifest("app/App.deps.json") && !is_manifest("app/deps.json"));
        let mut collected = crate::sbom::collect::CollectedPackages::default();
        collected
            .facts
            .insert("app/App.deps.json".into(), read("app/App.deps.json", APP.as_bytes()).unwrap());
        let catalog = crate::sbom::catalog::Catalog::from_collected(collected);
        let purls: Vec<&str> = catalog.packages.iter().map(|listed| listed.purl.as_str()).collect();
        let expected = [
            "pkg:nuget/Microsoft.NETCore.App.Runtime.linux-x64@8.0.0",
            "pkg:nuget/Native@1.0.0",
            "pkg:nuget/Newtonsoft.Json@13.0.3",
            "pkg:nuget/Serilog.Json@4.0.0",
        ];
        assert_eq!(purls, expected);
        assert_eq!(catalog.dependencies.iter().copied().collect::<Vec<_>>(), [(3, 2)]);
        let owns = read("app/App.deps.json", APP.as_bytes()).unwrap().owns;
        assert!(owns.contains(&"app/App.dll".to_owned()), "{owns:?}");
        // Without targets, nothing tells which packages brought files.
        let bare = br#"{"libraries":{"A/1":{"type":"package"},"B/1":{"type":"project"}}}"#;
        assert_eq!(read("a.deps.json", bare).unwrap().packages.len(), 1);
    }

    #[test]
    fn what_is_malformed_is_told() {
        assert_eq!(read("a.deps.json", b"{").unwrap().warnings.len(), 1);
        for text in [
            "[]",
            "{}",
            r#"{"libraries":[]}"#,
            r#"{"libraries":{"a":{"type":"package"},"/1":{"type":"package"},"b/1":1}}"#,
        ] {
            assert_eq!(read("a.deps.json", text.as_bytes()), Ok(FileFacts::default()), "{text}");
        }
    }
}
