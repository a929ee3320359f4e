//! .NET packages, from the `*.deps.json` beside each application. It never looks into assemblies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Facts, MOST_PACKAGES, Malformed};
use crate::sbom::package::{Ecosystem, Found, Need, Package};

pub(super) fn is_manifest(path: &str) -> bool {
    path.ends_with(".deps.json")
}

/// See <https://github.com/dotnet/sdk/blob/main/documentation/specs/runtime-configuration-file.md>.
pub(super) fn read(path: &str, bytes: &[u8]) -> Result<Facts, Malformed> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let manifest: Value = match serde_json::from_slice(bytes) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(Facts::warning(format!("`{path}` is not listed: {error}"))),
    };
    let libraries = manifest.get("libraries").and_then(Value::as_object).into_iter().flatten();
    let mut needs = needs(&manifest);
    let found = libraries.take(MOST_PACKAGES).filter_map(|(key, library)| {
        let requires = needs.remove(key.as_str()).unwrap_or_default();
        Some(Found {
            provides: vec![key.clone()],
            requires: requires.into_iter().map(|key| vec![Need::named(key)]).collect(),
            ..Found::alone(package(key, library)?, path)
        })
    });
    let packages = found.collect();
    Ok(Facts { packages, ..Facts::default() })
}

/// Keys are `name/version`. Projects are the application's own; what is `reference` is known by a
/// file name only.
fn package(key: &str, library: &Value) -> Option<Package> {
    let kind = library.get("type").and_then(Value::as_str)?.to_ascii_lowercase();
    if !["package", "runtimepack", "project"].contains(&kind.as_str()) {
        return None;
    }
    let (name, version) =
        key.split_once('/').filter(|(name, version)| !name.is_empty() && !version.is_empty())?;
    // The runtime's packs are published under their name without this mark.
    let name = name.strip_prefix("runtimepack.").unwrap_or(name);
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
            "App/1.0.0":{"dependencies":{"Newtonsoft.Json":"13.0.3"},"runtime":{"App.dll":{}}},
            "Newtonsoft.Json/13.0.3":{}}},
        "libraries":{
            "App/1.0.0":{"type":"project","serviceable":false,"sha512":""},
            "Newtonsoft.Json/13.0.3":{"type":"package","serviceable":true,"sha512":"sha512-x","path":"newtonsoft.json/13.0.3"},
            "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.0":{"type":"runtimepack"},
            "Local/1.0.0.0":{"type":"reference"}}}"#;

    #[test]
    fn libraries_become_packages_that_need_each_other() {
        assert!(is_manifest("app/App.deps.json") && !is_manifest("app/deps.json"));
        let mut collected = crate::sbom::collect::Collected::default();
        collected
            .facts
            .insert("app/App.deps.json".into(), read("app/App.deps.json", APP.as_bytes()).unwrap());
        let catalog = crate::sbom::catalog::Catalog::from_collected(collected);
        let purls: Vec<&str> = catalog.packages.iter().map(|listed| listed.purl.as_str()).collect();
        let expected = [
            "pkg:nuget/App@1.0.0",
            "pkg:nuget/Microsoft.NETCore.App.Runtime.linux-x64@8.0.0",
            "pkg:nuget/Newtonsoft.Json@13.0.3",
        ];
        assert_eq!(purls, expected);
        assert_eq!(catalog.dependencies.iter().copied().collect::<Vec<_>>(), [(0, 2)]);
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
            assert_eq!(read("a.deps.json", text.as_bytes()), Ok(Facts::default()), "{text}");
        }
    }
}
