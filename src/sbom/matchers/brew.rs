//! Homebrew's formulas and casks, from the receipt that each installation has. It reads no formula.

use serde_json::Value;

use super::{FileFacts, MalformedDatabase, parent};
use crate::sbom::licence::Licence;
use crate::sbom::package::{Ecosystem, FoundPackage, Package, PackageNeed};

const RECEIPT: &str = "/INSTALL_RECEIPT.json";

/// `Cellar/NAME/VERSION/INSTALL_RECEIPT.json`.
pub(super) fn is_receipt(path: &str) -> bool {
    installed(path).is_some()
}

fn installed(path: &str) -> Option<(&str, &str)> {
    let (before, version) = path.strip_suffix(RECEIPT)?.rsplit_once('/')?;
    let (cellar, name) = before.rsplit_once('/')?;
    let is_cellar = cellar.rsplit('/').next() == Some("Cellar");
    (is_cellar && !name.is_empty() && !version.is_empty()).then_some((name, version))
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let Some((name, version)) = installed(path) else { return Ok(FileFacts::default()) };
    // The place says what it is; a receipt that cannot be read only says less.
    let receipt: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let tap = receipt.pointer("/source/tap").and_then(Value::as_str);
    let tap = tap.filter(|tap| *tap != "homebrew/core" && tap.split('/').count() == 2);
    let name = tap.map_or(name.to_owned(), |tap| format!("{tap}/{name}"));
    let needs = receipt.get("runtime_dependencies").and_then(Value::as_array).into_iter().flatten();
    let needs = needs.filter_map(|need| need.get("full_name")?.as_str());
    let package = Package {
        version: Some(version.to_owned()),
        licence: Licence::Unknown,
        ..Package::named(Ecosystem::Brew, name)
    };
    let cellar = parent(parent(parent(path).trim_end_matches('/')).trim_end_matches('/'));
    Ok(FileFacts {
        packages: vec![FoundPackage {
            requires: needs.map(|need| vec![PackageNeed::named(need)]).take(1000).collect(),
            ..FoundPackage::alone(package, cellar)
        }],
        ..FileFacts::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_lie_where_formulas_are_installed() {
        let check = |path: &str, text: &str, expected: Option<&str>| {
            let found = read(path, text.as_bytes()).unwrap().packages.pop();
            let purl = found.map(|found| crate::sbom::purl::of(&found.package, None));
            assert_eq!(purl.as_deref(), expected, "{path}");
            assert_eq!(is_receipt(path), expected.is_some(), "{path}");
        };
        let cellar = "home/linuxbrew/.linuxbrew/Cellar";
        check(
            &format!("{cellar}/sqlite/3.43.2{RECEIPT}"),
            r#"{"source":{"tap":"homebrew/core"},"runtime_dependencies":[{"full_name":"zlib"}]}"#,
            Some("pkg:brew/sqlite@3.43.2"),
        );
        check(
            &format!("{cellar}/postgresql@12/12.17_1{RECEIPT}"),
            "no JSON",
            Some("pkg:brew/postgresql%4012@12.17_1"),
        );
        check(
            &format!("{cellar}/app/1.0{RECEIPT}"),
            r#"{"source":{"tap":"some-org/some-tap"}}"#,
            Some("pkg:brew/some-org/some-tap/app@1.0"),
        );
        check("opt/app/1.0/INSTALL_RECEIPT.json", "{}", None);
        check("Cellar/1.0/INSTALL_RECEIPT.json", "{}", None);
    }
}
