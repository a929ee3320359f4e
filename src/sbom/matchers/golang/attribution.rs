//! The packages of a program → those of each of its modules. It reads no file, and says nothing of a
//! module that has none: its names may be made up, or its code elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::sbom::linked::LinkedPackages;

/// A module of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImportedModule {
    /// As its packages are imported.
    pub(super) imported: String,
    /// As it is listed: what replaces another has its own name.
    pub(super) listed: String,
}

/// The packages of each module, in the order of the modules, and those of the standard library.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AttributedPackages {
    pub(super) modules: Vec<Option<LinkedPackages>>,
    pub(super) standard: Option<LinkedPackages>,
}

/// `main` is the import path of the program itself, where that is known.
pub(super) fn attributed(
    paths: &BTreeSet<String>,
    main: Option<&str>,
    modules: &[ImportedModule],
) -> AttributedPackages {
    let known: BTreeMap<&str, usize> =
        modules.iter().enumerate().map(|(at, module)| (module.imported.as_str(), at)).collect();
    let mut of: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut standard = BTreeSet::new();
    for path in paths {
        let path = match (path.as_str(), main) {
            ("main", Some(main)) => main,
            ("main", None) => continue,
            (path, _) => path,
        };
        match owner(path, &known) {
            Some(at) => drop(of.entry(at).or_default().insert(renamed(path, modules.get(at)))),
            // No package of the standard library has a dot in its path but those of others that it
            // brings along, and all others have a host.
            None if !path.contains('.') || path.starts_with("vendor/") => {
                standard.insert(path.to_owned());
            }
            None => {}
        }
    }
    let some = |paths: &BTreeSet<String>| {
        let linked: LinkedPackages = paths.iter().collect();
        Some(linked).filter(|linked| !linked.is_empty())
    };
    let modules = (0..modules.len()).map(|at| of.get(&at).and_then(some)).collect();
    AttributedPackages { modules, standard: some(&standard) }
}

/// The module with the longest path that a package's begins with.
fn owner(path: &str, known: &BTreeMap<&str, usize>) -> Option<usize> {
    let mut rest = path;
    loop {
        if let Some(at) = known.get(rest) {
            return Some(*at);
        }
        rest = rest.rsplit_once('/')?.0;
    }
}

fn renamed(path: &str, module: Option<&ImportedModule>) -> String {
    match module.and_then(|it| Some((path.strip_prefix(it.imported.as_str())?, &it.listed))) {
        Some((rest, listed)) => format!("{listed}{rest}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(imported: &str, listed: &str) -> ImportedModule {
        ImportedModule { imported: imported.to_owned(), listed: listed.to_owned() }
    }

    fn some(paths: &[&str]) -> Option<LinkedPackages> {
        Some(paths.iter().collect())
    }

    #[test]
    fn a_package_is_of_the_module_with_the_longest_path_and_has_its_listed_name() {
        let paths = [
            "runtime",
            "net/http",
            "vendor/golang.org/x/net/http2/hpack",
            "main",
            "a.b/c",
            "a.b/c/d/e",
            "a.b/old/x",
            "a.b/cc",
            "app/own",
            "text/template.Template.text/template/parse",
        ];
        let paths = paths.map(str::to_owned).into();
        let modules = [
            module("app", "app"),
            module("a.b/c", "a.b/c"),
            module("a.b/c/d", "a.b/c/d"),
            module("a.b/old", "a.b/new"),
            module("a.b/unused", "a.b/unused"),
        ];
        let found = attributed(&paths, Some("app/cmd"), &modules);
        assert_eq!(
            found.modules,
            [
                some(&["app/cmd", "app/own"]),
                some(&["a.b/c"]),
                some(&["a.b/c/d/e"]),
                some(&["a.b/new/x"]),
                None,
            ]
        );
        assert_eq!(found.standard, some(&["runtime", "net/http", "vendor/golang.org/x/net"]));
        assert!(found.standard.unwrap().has("vendor/golang.org/x/crypto/chacha20"));
        assert_eq!(attributed(&paths, None, &modules).modules[0], some(&["app/own"]));
        assert_eq!(attributed(&BTreeSet::new(), None, &modules[..1]).modules, [None]);
    }
}
