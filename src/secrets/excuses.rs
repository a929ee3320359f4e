//! Paths → why a secret there is only told: packages bring it, for tests, as a sample, as a
//! document. It reads no file, and excuses nothing in a folder of the user's own.

use super::leak::Excuse;

/// Folders that package managers fill, as they stand in paths.
const TREES: [&str; 14] = [
    "/site-packages/",
    "/dist-packages/",
    "/node_modules/",
    "/pkg/mod/",
    "/registry/src/",
    "/usr/lib/go",
    "/usr/share/go",
    "/usr/local/go/",
    "/gems/",
    "/usr/lib/python",
    "/usr/local/lib/python",
    "/usr/lib/ruby/",
    "/usr/share/perl",
    "/usr/lib/node_modules/",
];
/// Those into which registries alone put files: all that is there is published.
const PUBLISHED: [(&str, &str); 4] = [
    ("/node_modules/", "packages of npm"),
    ("/pkg/mod/", "modules of Go"),
    ("/registry/src/", "crates of Rust"),
    ("/usr/local/go/src/", "sources of Go"),
];
/// Folders within them.
const KINDS: [(&str, &str); 26] = [
    ("test", "tests of packages"),
    ("tests", "tests of packages"),
    ("testing", "tests of packages"),
    ("testdata", "tests of packages"),
    ("test-data", "tests of packages"),
    ("test_data", "tests of packages"),
    ("testutil", "tests of packages"),
    ("testutils", "tests of packages"),
    ("test_util", "tests of packages"),
    ("unittests", "tests of packages"),
    ("__tests__", "tests of packages"),
    ("spec", "tests of packages"),
    ("specs", "tests of packages"),
    ("fixtures", "tests of packages"),
    ("mock", "tests of packages"),
    ("mocks", "tests of packages"),
    ("internal", "internals of packages"),
    ("example", "samples of packages"),
    ("examples", "samples of packages"),
    ("sample", "samples of packages"),
    ("samples", "samples of packages"),
    ("demo", "samples of packages"),
    ("demos", "samples of packages"),
    ("doc", "documents of packages"),
    ("docs", "documents of packages"),
    ("benchmarks", "tests of packages"),
];
/// Whole folders, wherever they come from.
const PLACES: [(&str, &str); 5] = [
    ("/usr/share/doc/", "documents of packages"),
    ("/usr/share/man/", "documents of packages"),
    ("/usr/share/info/", "documents of packages"),
    ("/usr/share/doc-base/", "documents of packages"),
    ("/etc/ssl/private/ssl-cert-snakeoil.key", "keys that Debian makes for tests"),
];

/// `owner` is the package that brings the file as it is. Leave it out for packages of the user's
/// own and for files that a later layer changed. Below `/etc` it excuses nothing: people write there.
pub fn excuse(path: &str, owner: Option<&str>) -> Option<Excuse> {
    let whole = format!("/{}", path.trim_start_matches('/'));
    if let Some(owner) = owner.filter(|_| !whole.starts_with("/etc/")) {
        return Some(Excuse::Package(owner.to_owned()));
    }
    let place = PLACES.iter().find(|(start, _)| whole.starts_with(start));
    let published = || PUBLISHED.iter().find(|(tree, _)| whole.contains(tree));
    let what = place.or_else(published).map(|(_, what)| *what).or_else(|| within_tree(&whole));
    what.map(Excuse::KnownPlace)
}

fn within_tree(whole: &str) -> Option<&'static str> {
    let end = TREES.iter().filter_map(|tree| whole.find(tree).map(|at| at + tree.len())).min()?;
    let inside = whole.get(end..)?;
    let (folders, name) = inside.rsplit_once('/').unwrap_or(("", inside));
    if is_test(name) {
        return Some("tests of packages");
    }
    folders
        .split('/')
        .find_map(|folder| KINDS.iter().find(|(kind, _)| folder.eq_ignore_ascii_case(kind)))
        .map(|(_, what)| *what)
}

/// As test runners find their files.
fn is_test(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    stem.starts_with("test_")
        || [".test", ".spec", "_test", "_spec"].iter().any(|end| stem.ends_with(end))
}
