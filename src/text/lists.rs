//! How inputs write lists and switches: lines, commas, quotes, YAML booleans. Pure; it never knows
//! which input it reads.

use super::csv::{self, CsvDialect};

/// Lines, trimmed; blank lines and `#` comments are dropped.
pub fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// Lines or comma-separated values, trimmed, empty ones dropped.
pub fn words(text: &str) -> Vec<String> {
    lines(text)
        .iter()
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Records as docker/actions-toolkit reads lists: CSV in which quotes may also stand inside a
/// field, one record a line. With `whole`, a record is one entry and its commas are text; without,
/// each field is an entry. Entries are trimmed, empty ones dropped.
pub fn records(text: &str, whole: bool) -> Result<Vec<String>, String> {
    // A quoted field that stands alone is split all the same.
    let split = |fields: Vec<String>| match fields.as_slice() {
        [only] => only.split(',').map(str::to_owned).collect(),
        _ => fields,
    };
    let entries = if whole {
        untrimmed_records(text)?
    } else {
        csv_records(text)?.into_iter().flat_map(split).collect()
    };
    Ok(entries
        .into_iter()
        .map(|entry| entry.trim().to_owned())
        .filter(|entry| !entry.is_empty())
        .collect())
}

/// As whole records, with the spaces around them: they may belong to a secret.
pub fn untrimmed_records(text: &str) -> Result<Vec<String>, String> {
    let records = csv_records(text)?;
    Ok(records
        .into_iter()
        .map(|fields| fields.join(","))
        .filter(|entry| !entry.trim().is_empty())
        .collect())
}

fn csv_records(text: &str) -> Result<Vec<Vec<String>>, String> {
    csv::read(text, CsvDialect { loose_quotes: true, comments: false })
        .map_err(|error| error.to_string())
}

/// Lines whose quotes are kept, for attributes that buildx itself splits.
pub fn lines_with_quotes(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// `key=value`; the key is not empty.
pub fn key_value(line: &str) -> Option<(&str, &str)> {
    line.split_once('=').map(|(key, value)| (key.trim(), value)).filter(|(key, _)| !key.is_empty())
}

/// A boolean as the YAML 1.2 core schema writes it, which is what `core.getBooleanInput` takes.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_as_the_field_expects() {
        assert_eq!(lines(" a \n\n# no\nb,c\r\n"), ["a", "b,c"]);
        assert_eq!(
            words("linux/amd64, linux/arm64\nlinux/s390x,"),
            ["linux/amd64", "linux/arm64", "linux/s390x"]
        );
        assert_eq!(
            records("A=1\n\"B=x\ny \"\"z\"\"\"\nC=a,b", true).unwrap(),
            ["A=1", "B=x\ny \"z\"", "C=a,b"]
        );
        assert_eq!(records("a, b\nc\r\n\n", false).unwrap(), ["a", "b", "c"]);
        assert_eq!(untrimmed_records("A= x ").unwrap(), ["A= x "]);
        records("\"A=1\nB=2", true).unwrap_err();
        assert_eq!(key_value("A=b=c"), Some(("A", "b=c")));
        assert_eq!(key_value("=c"), None);
        assert_eq!(boolean("yes"), None);
    }

    #[derive(serde::Deserialize)]
    struct ListCase {
        text: String,
        whole: bool,
        comments: bool,
        #[serde(default)]
        entries: Vec<String>,
        #[serde(default)]
        error: bool,
    }

    /// Made by running csv-parse with the options of docker/actions-toolkit.
    #[test]
    fn lists_are_read_as_dockers_actions_read_them() {
        let cases: Vec<ListCase> = include_str!("../../tests/fixtures/lists.jsonl")
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for case in &cases {
            // The runner's library trims an input first.
            let text = case
                .text
                .trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
            let ours = if case.comments {
                crate::metadata::entries("tags", text).map_err(|error| error.to_string())
            } else {
                records(text, case.whole)
            };
            match ours {
                Ok(entries) => {
                    // An entry of nothing but spaces stays there, as an empty one.
                    let theirs: Vec<&String> =
                        case.entries.iter().filter(|entry| !entry.is_empty()).collect();
                    assert!(
                        !case.error && entries.iter().collect::<Vec<_>>() == theirs,
                        "{:?}: {entries:?}, not {theirs:?}",
                        case.text
                    );
                }
                Err(error) => assert!(case.error, "{:?}: {error}", case.text),
            }
        }
        assert!(cases.len() >= 40);
    }
}
