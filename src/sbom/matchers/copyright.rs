//! A Debian package's licence, from a `copyright` file in the machine-readable format 1.0. It never
//! reads prose.

use std::collections::BTreeSet;

use super::deb822::stanzas;
use super::{FileFacts, MalformedDatabase};
use crate::sbom::licence::{Licence, from_debian_synopsis};

pub(super) fn is_copyright(path: &str) -> bool {
    let below = path
        .strip_prefix("usr/share/doc/")
        .or_else(|| path.split_once("/usr/share/doc/").map(|(_, below)| below));
    below
        .and_then(|below| below.strip_suffix("/copyright"))
        .is_some_and(|package| !package.is_empty() && !package.contains('/'))
}

/// Files that are not machine-readable tell nothing; those that are hold in all their parts or not
/// at all.
pub(super) fn read(_path: &str, bytes: &[u8]) -> Result<FileFacts, MalformedDatabase> {
    // A longer list says nothing that a reader could use.
    const MOST: usize = 64;
    let text = String::from_utf8_lossy(bytes);
    let mut synopses = BTreeSet::new();
    for (index, stanza) in stanzas(&text).enumerate() {
        if index == 0 && !stanza.get("Format").is_some_and(is_machine_readable) {
            return Ok(FileFacts::default());
        }
        // Stanzas without `Files` only spell out a licence named elsewhere; the header's covers the
        // package as a whole.
        if (index == 0 || stanza.get("Files").is_some())
            && let Some(licence) = stanza.get("License")
        {
            synopses.insert(licence.lines().next().unwrap_or_default().trim().to_owned());
        }
    }
    if synopses.len() > MOST {
        return Ok(FileFacts::default());
    }
    let expressions: Option<BTreeSet<String>> =
        synopses.iter().map(|synopsis| from_debian_synopsis(synopsis)).collect();
    let licence = expressions
        .filter(|expressions| !expressions.is_empty())
        .map(|expressions| Licence::from_field(&all_of(&expressions)));
    Ok(FileFacts {
        licence: licence.filter(|licence| matches!(licence, Licence::Expression(_))),
        ..FileFacts::default()
    })
}

fn is_machine_readable(format: &str) -> bool {
    format.contains("copyright-format") || format.contains("dep.debian.net/deps/dep5")
}

fn all_of(expressions: &BTreeSet<String>) -> String {
    let bracketed = |expression: &String| match expression.contains(" OR ") {
        true => format!("({expression})"),
        false => expression.clone(),
    };
    match expressions.len() {
        1 => expressions.iter().next().cloned().unwrap_or_default(),
        _ => expressions.iter().map(bracketed).collect::<Vec<_>>().join(" AND "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_all_certain_or_unknown() {
        let check = |rest: &str, expected: Option<&str>| {
            let text = format!(
                "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n{rest}"
            );
            let licence = read("usr/share/doc/a/copyright", text.as_bytes()).unwrap().licence;
            assert_eq!(
                licence,
                expected.map(|expression| Licence::Expression(expression.into())),
                "{rest}"
            );
        };
        check("\nFiles: *\nLicense: GPL-2+\n text\n", Some("GPL-2.0-or-later"));
        check(
            "\nFiles: *\nLicense: GPL-2+\n\nFiles: debian/*\nLicense: Expat\n",
            Some("GPL-2.0-or-later AND MIT"),
        );
        check(
            "\nFiles: *\nLicense: GPL-2+ or Expat\n\nFiles: x\nLicense: ISC\n",
            Some("(GPL-2.0-or-later OR MIT) AND ISC"),
        );
        check("\nFiles: *\nLicense: GPL-2+\n\nLicense: mystery\n text\n", Some("GPL-2.0-or-later"));
        check("\nFiles: *\nLicense: GPL-2+\n\nFiles: x\nLicense: public-domain\n", None);
        check("", None);
    }

    #[test]
    fn prose_is_not_read() {
        assert_eq!(
            read("p", b"This is free software.\n\nFiles: *\nLicense: GPL-2+\n"),
            Ok(FileFacts::default())
        );
    }
}
