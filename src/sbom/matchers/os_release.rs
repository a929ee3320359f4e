//! The distribution, from `os-release`. It runs no shell: only plain and quoted values are
//! understood.

use super::{FileFacts, MalformedDatabase};

/// Where it may be, best first; see os-release(5).
pub const PLACES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

/// Which distribution an image is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OsRelease {
    /// Such as `debian`.
    pub id: String,
    /// Such as `12`, or a code name where there is no number yet.
    pub version: Option<String>,
    /// Such as `Debian GNU/Linux 12 (bookworm)`.
    pub name: Option<String>,
}

impl OsRelease {
    /// The purl qualifier, such as `debian-12`.
    pub fn distro(&self) -> String {
        match &self.version {
            Some(version) => format!("{}-{version}", self.id),
            None => self.id.clone(),
        }
    }
}

pub(super) fn is_release(path: &str) -> bool {
    PLACES.contains(&path)
}

pub(super) fn read(path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    let text = String::from_utf8_lossy(bytes);
    let value = |key: &str| {
        let mut assigned = text.lines().filter_map(|line| line.trim().split_once('='));
        // As in a shell, the last assignment counts.
        assigned
            .rfind(|(name, _)| *name == key)
            .map(|(_, value)| unquoted(value))
            .filter(|value| !value.is_empty())
    };
    match value("ID") {
        Some(id) => {
            let version = value("VERSION_ID").or_else(|| value("VERSION_CODENAME"));
            let release =
                OsRelease { id: id.to_ascii_lowercase(), version, name: value("PRETTY_NAME") };
            Ok(FileFacts { release: Some(release), ..FileFacts::default() })
        }
        None => Ok(FileFacts::warning(format!("`{path}` has no `ID`"))),
    }
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner =
        ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let mut text = String::new();
    let mut letters = inner.unwrap_or(value).chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.extend(letters.next()),
            control if control.is_control() => {}
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_read() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let release = read("etc/os-release", text.as_bytes()).unwrap().release;
            let expected = expected.map(|(id, distro)| (id.to_owned(), distro.to_owned()));
            assert_eq!(
                release.map(|release| (release.id.clone(), release.distro())),
                expected,
                "{text}"
            );
        };
        check(
            "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
            Some(("debian", "debian-12")),
        );
        check("ID=alpine\nVERSION_ID=3.20.3\n", Some(("alpine", "alpine-3.20.3")));
        check("ID='Ubuntu'\nVERSION_ID=24.04", Some(("ubuntu", "ubuntu-24.04")));
        check("ID=debian\nVERSION_CODENAME=sid\n", Some(("debian", "debian-sid")));
        check("ID=\"wolfi\"\n", Some(("wolfi", "wolfi")));
        check("# ID=x\nNAME=none\n", None);
        check("ID=\n", None);
        check("ID=\"\\", Some(("\"", "\"")));
    }
}
