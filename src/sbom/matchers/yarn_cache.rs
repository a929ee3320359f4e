//! Node packages that Yarn keeps in zip archives, where programs are run from them with
//! Plug'n'Play. It unpacks only the `package.json` of each.

use std::io;

use super::zip::{bytes, members};
use super::{FileFacts, npm};
use crate::sbom::source::FileContents;

const LARGEST: u64 = 4 << 20;
const MOST_MEMBERS: usize = 1000;

/// `.yarn/cache/NAME-npm-VERSION-HASH.zip`, or in the folder that users share.
pub(super) fn is_archive(path: &str) -> bool {
    let Some((directory, name)) = path.rsplit_once('/') else { return false };
    let is_cache = [".yarn/cache", ".yarn/berry/cache", "yarn/berry/cache"]
        .iter()
        .any(|it| super::ends_with_path(directory, it));
    is_cache && name.ends_with(".zip")
}

pub(super) fn read(path: &str, contents: &mut dyn FileContents) -> io::Result<FileFacts> {
    let wanted = |member: &str| {
        let named = member.strip_suffix("/package.json").unwrap_or_default();
        let parts: Vec<&str> = named.rsplit('/').take(3).collect();
        match parts[..] {
            [name, "node_modules", ..] => !name.is_empty(),
            [_, scope, "node_modules"] => scope.starts_with('@'),
            _ => false,
        }
    };
    let found = match members(contents, MOST_MEMBERS, &wanted)? {
        Ok(found) => found,
        Err(problem) => {
            let why = problem.as_str();
            return Ok(FileFacts::warning(format!("`{path}` is not listed: {why}")));
        }
    };
    let mut facts = FileFacts::default();
    for member in found {
        let name = format!("{path}!/{}", member.name);
        match bytes(contents, &member, LARGEST)? {
            Ok(bytes) => facts.add(npm::read(&name, &bytes).unwrap_or_default()),
            Err(problem) => facts.warn(format!("`{name}` is not listed: {}", problem.as_str())),
        }
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::sbom::matchers::zip::tests::archive;

    #[test]
    fn archives_tell_their_packages() {
        let path = "app/.yarn/cache/lodash-npm-4.17.21-6382451519-eb835a2e51.zip";
        assert!(is_archive(path) && is_archive("root/.yarn/berry/cache/a.zip"));
        assert!(!is_archive("app/cache/a.zip") && !is_archive(".yarn/cache/a.tgz"));
        let file = archive(&[
            ("node_modules/lodash/package.json", br#"{"name":"lodash","version":"4.17.21"}"#),
            ("node_modules/@s/a/package.json", br#"{"name":"@s/a","version":"1.0.0"}"#),
            ("node_modules/lodash/fp/package.json", br#"{"name":"inner","version":"1.0.0"}"#),
            ("package.json", br#"{"name":"outer","version":"1.0.0"}"#),
        ]);
        let facts = read(path, &mut Cursor::new(file)).unwrap();
        let names: Vec<&str> =
            facts.packages.iter().map(|found| found.package.name.as_str()).collect();
        assert_eq!(names, ["lodash", "@s/a"]);
        assert_eq!(read(path, &mut Cursor::new(b"PK".to_vec())).unwrap().warnings.len(), 1);
    }
}
