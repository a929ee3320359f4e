//! Which packages of a Go module are in a program, and that as text in documents. It reads no
//! program and knows no advisory.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// As Go names the module of its own packages, whose paths begin with no module's.
pub const STANDARD: &str = "stdlib";
/// The module's own directory is a package, too.
const ROOT: &str = ".";
/// More than any program has; a hostile one must not fill the memory.
pub const MOST_PACKAGES: usize = 20_000;
pub const MOST_BYTES: usize = 1 << 20;
const MOST_ELEMENTS: usize = 64;
const LONGEST_PATH: usize = 1024;

/// Import paths. What lies below a directory `internal` or `vendor` counts as that directory: there
/// are so many that documents would grow by a tenth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkedPackages(BTreeSet<String>);

impl LinkedPackages {
    /// Whether the program has this package. What could not be in any list counts as there.
    pub fn has(&self, path: &str) -> bool {
        !is_import_path(path) || self.0.contains(listed(path))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes its paths have.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(String::len).sum()
    }

    /// What one of two programs has.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Paths from the module's own on, with what they share written once: `ssh/{,agent},openpgp`.
    pub fn written(&self, module: &str) -> String {
        let mut paths: Vec<Vec<&str>> =
            self.0.iter().map(|path| within(module, path).split('/').collect()).collect();
        paths.sort();
        let mut text = String::new();
        write(&paths, 0, &mut text);
        text
    }

    /// `None` for what is not written so.
    pub fn read(text: &str, module: &str) -> Option<Self> {
        let mut reading = LinkedReading { module, found: Self::default(), bytes: 0 };
        let mut prefixes = vec![String::new()];
        let (mut word, mut is_closed) = (String::new(), false);
        for letter in text.chars().chain([',']) {
            match letter {
                '{' if word.ends_with('/') && !is_closed && prefixes.len() < MOST_ELEMENTS => {
                    let prefix = format!("{}{word}", prefixes.last()?);
                    prefixes.push(prefix);
                    word.clear();
                }
                ',' | '}' => {
                    if !is_closed {
                        reading.add(prefixes.last()?, &word)?;
                    }
                    word.clear();
                    is_closed = letter == '}';
                    if is_closed {
                        prefixes.pop().filter(|prefix| !prefix.is_empty())?;
                    }
                }
                letter if !is_closed && word.len() < LONGEST_PATH => word.push(letter),
                _ => return None,
            }
        }
        (prefixes.len() == 1).then_some(reading.found)
    }
}

impl<Path: AsRef<str>> FromIterator<Path> for LinkedPackages {
    fn from_iter<All: IntoIterator<Item = Path>>(paths: All) -> Self {
        let mut found = BTreeSet::new();
        for path in paths {
            let path = path.as_ref();
            if is_import_path(path) && !found.contains(listed(path)) {
                found.insert(listed(path).to_owned());
            }
        }
        Self(found)
    }
}

/// A text that is being read.
struct LinkedReading<'a> {
    module: &'a str,
    found: LinkedPackages,
    bytes: usize,
}

impl LinkedReading<'_> {
    fn add(&mut self, prefix: &str, word: &str) -> Option<()> {
        let inner = format!("{prefix}{word}");
        let inner = match word.is_empty() {
            true => inner.strip_suffix('/')?,
            false => &inner,
        };
        let path = match (self.module, inner) {
            (STANDARD, _) => inner.to_owned(),
            (module, ROOT) => module.to_owned(),
            (module, _) => format!("{module}/{inner}"),
        };
        self.bytes += path.len();
        let is_plausible = self.bytes <= MOST_BYTES && self.found.0.len() < MOST_PACKAGES;
        if !is_plausible || !is_import_path(&path) {
            return None;
        }
        self.found.0.insert(path);
        Some(())
    }
}

/// Sorted paths, all of which have the same first `depth` elements.
fn write(paths: &[Vec<&str>], depth: usize, text: &mut String) {
    let mut rest = paths;
    while let Some(first) = rest.first() {
        if rest.len() < paths.len() {
            text.push(',');
        }
        // A path that ends here is written as nothing.
        let Some(element) = first.get(depth) else {
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        let alike = rest.iter().take_while(|path| path.get(depth) == Some(element)).count();
        let (group, after) = rest.split_at(alike);
        text.push_str(element);
        let next = first.get(depth + 1);
        let is_one = group.iter().all(|path| path.get(depth + 1) == next);
        match (is_one, next) {
            (true, None) => {}
            (true, Some(_)) => {
                text.push('/');
                write(group, depth + 1, text);
            }
            (false, _) => {
                text.push_str("/{");
                write(group, depth + 1, text);
                text.push('}');
            }
        }
        rest = after;
    }
}

fn within<'a>(module: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(module) {
        Some("") => ROOT,
        Some(rest) => rest.strip_prefix('/').unwrap_or(path),
        None => path,
    }
}

/// The path that a package is listed under.
fn listed(path: &str) -> &str {
    let mut end = 0;
    for element in path.split('/') {
        end += element.len();
        if matches!(element, "internal" | "vendor") {
            return path.get(..end).unwrap_or(path);
        }
        end += 1;
    }
    path
}

/// <https://go.dev/ref/mod#go-mod-file-ident>
fn is_import_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+".contains(&byte);
    let is_element =
        |element: &str| !matches!(element, "" | "." | "..") && element.bytes().all(plain);
    path.len() <= LONGEST_PATH
        && path.split('/').count() <= MOST_ELEMENTS
        && path.split('/').all(is_element)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(paths: &[&str]) -> LinkedPackages {
        paths.iter().collect()
    }

    #[test]
    fn what_paths_share_is_written_once_and_read_back() {
        let check = |module: &str, paths: &[&str], text: &str| {
            let linked = of(paths);
            assert_eq!(linked.written(module), text);
            assert_eq!(LinkedPackages::read(text, module), Some(linked), "{text}");
        };
        let crypto = "golang.org/x/crypto";
        check(crypto, &["golang.org/x/crypto/ssh"], "ssh");
        check(
            crypto,
            &[
                "golang.org/x/crypto/ssh",
                "golang.org/x/crypto/ssh/agent",
                "golang.org/x/crypto/openpgp/armor",
                "golang.org/x/crypto/openpgp/packet",
                "golang.org/x/crypto/a/b/c",
            ],
            "a/b/c,openpgp/{armor,packet},ssh/{,agent}",
        );
        check("gopkg.in/yaml.v3", &["gopkg.in/yaml.v3"], ".");
        check("x.y/a", &["x.y/a", "x.y/a/b", "x.y/a/b-c", "x.y/a/b/c"], ".,b/{,c},b-c");
        check(
            STANDARD,
            &["net/http", "net", "fmt", "net/http/internal/http2", "internal/abi"],
            "fmt,internal,net/{,http/{,internal}}",
        );
    }

    #[test]
    fn what_is_internal_counts_as_one_and_what_cannot_be_listed_as_there() {
        let linked = of(&["a.b/c", "a.b/c/internal/d", "vendor/golang.org/x/net"]);
        assert!(linked.has("a.b/c") && linked.has("a.b/c/internal/other"));
        assert!(linked.has("a.b/c/internal") && linked.has("vendor/anything"));
        assert!(!linked.has("a.b/c/d") && !linked.has("a.b/c/internals") && !linked.has("a.b"));
        for path in ["", "a b", "a//b", "../a", "a{b}", &"a/".repeat(100), &"a".repeat(2000)] {
            assert!(linked.has(path), "{path}");
        }
        assert_eq!(of(&["a b", "", "a/../b"]), LinkedPackages::default());
    }

    #[test]
    fn a_text_that_nobody_wrote_is_not_read() {
        for text in [
            "",
            ",",
            "a,",
            "a{b}",
            "a/{b",
            "a}",
            "a/{b}c",
            "a/{b}{c}",
            "{a}",
            "/{a}",
            "a//b",
            "a b",
            "..",
            "./a",
            "a/{}",
            "a/{/b}",
            "a/{,/}",
            "a/{b,c}/d",
        ] {
            let read = LinkedPackages::read(text, "x.y/z");
            assert!(read.is_none() || text == "a/{}", "{text} {read:?}");
        }
        assert_eq!(LinkedPackages::read("a/{}", "x.y/z"), Some(of(&["x.y/z/a"])));
        let deep = "a/{".repeat(80) + "b" + &"}".repeat(80);
        assert_eq!(LinkedPackages::read(&deep, "x.y/z"), None);
        let many: Vec<String> = (0..30_000).map(|at| at.to_string()).collect();
        assert_eq!(LinkedPackages::read(&many.join(","), "x.y/z"), None);
    }

    proptest! {
        #[test]
        fn every_set_comes_back(paths in prop::collection::btree_set("[ab.]{1,2}(/[ab-]{1,2}){0,4}", 1..20)) {
            let whole: Vec<String> = paths.iter().map(|path| format!("x.y/z/{path}")).collect();
            let linked: LinkedPackages = whole.iter().collect();
            prop_assume!(!linked.is_empty());
            prop_assert_eq!(LinkedPackages::read(&linked.written("x.y/z"), "x.y/z"), Some(linked));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[ab./{},]{0,40}") {
            let _read = LinkedPackages::read(&text, "x.y/z");
        }
    }
}
