//! What Gradle publishes beside an archive: its coordinates, and the files that are meant. It lists
//! nothing by itself.

use serde_json::Value;

use super::text::is_word;
use crate::sbom::matchers::{FileFacts, MalformedDatabase, parent};
use crate::sbom::package::{Ecosystem, FoundPackage, Package};

/// No module has more files.
const MOST: usize = 1000;

pub fn is_module(path: &str) -> bool {
    path.len() > ".module".len() && path.ends_with(".module")
}

/// See <https://github.com/gradle/gradle/blob/master/platforms/documentation/docs/src/docs/design/gradle-module-metadata-latest-specification.md>.
pub(in crate::sbom::matchers) fn read(
    path: &str,
    bytes: &[u8],
) -> Result<FileFacts, MalformedDatabase> {
    // Other programs have files of such names.
    let Ok(module) = serde_json::from_slice::<Value>(bytes) else {
        return Ok(FileFacts::default());
    };
    let word = |key: &str| {
        let component = module.get("component")?;
        component.get(key)?.as_str().filter(|word| is_word(word))
    };
    let (Some(group), Some(name), Some(version)) = (word("group"), word("module"), word("version"))
    else {
        return Ok(FileFacts::default());
    };
    let variants = module.get("variants").and_then(Value::as_array).into_iter().flatten();
    let files = variants.filter_map(|variant| variant.get("files")?.as_array()).flatten();
    let named = files.filter_map(|file| file.get("name")?.as_str()).map(str::to_owned);
    let package = Package {
        version: Some(version.to_owned()),
        ..Package::named(Ecosystem::Maven, format!("{group}:{name}"))
    };
    Ok(FileFacts {
        packages: vec![FoundPackage {
            provides: named.take(MOST).collect(),
            ..FoundPackage::alone(package, parent(path))
        }],
        ..FileFacts::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_names_its_files() {
        let path = "app/lib/okio-jvm-3.9.0.module";
        let text = br#"{"formatVersion":"1.1","component":{"group":"com.squareup.okio","module":"okio-jvm","version":"3.9.0"},
            "variants":[{"name":"a","files":[{"name":"okio-jvm-3.9.0.jar"}]},{"name":"b"}]}"#;
        assert!(is_module(path) && !is_module(".module"));
        let found = read(path, text).unwrap().packages.remove(0);
        assert_eq!(found.package.name, "com.squareup.okio:okio-jvm");
        assert_eq!(
            (found.scope.as_str(), &found.provides[..]),
            ("app/lib/", &["okio-jvm-3.9.0.jar".to_owned()][..])
        );
        for text in
            ["", "[]", "<?php", r#"{"component":{"group":"a b","module":"x","version":"1"}}"#]
        {
            assert_eq!(read(path, text.as_bytes()), Ok(FileFacts::default()), "{text}");
        }
    }
}
