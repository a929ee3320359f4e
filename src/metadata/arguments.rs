//! Build arguments that name what labels can name (`VERSION={{version}}`) → the same with its
//! value. It replaces the expressions it knows, and those alone: other braces belong to programs
//! that the build runs.

use serde_json::Value;

use super::MetadataError;
use super::expression::Expressions;
use crate::text::lists;

/// What `build-args` came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildArguments {
    /// Every entry; none where nothing was filled in.
    pub entries: Vec<String>,
    /// The entries in which something was.
    pub filled: Vec<String>,
    /// What looks like an expression and is none.
    pub unknown: Vec<String>,
}

/// Fills in the values of `globals`, and dates.
pub(super) fn fill(
    text: &str,
    globals: &Value,
    expressions: &Expressions,
) -> Result<BuildArguments, MetadataError> {
    let mut arguments = BuildArguments::default();
    // Quotes that do not pair are told by who writes the flags.
    let Some(entries) = lists::records(text, true).ok().filter(|_| text.contains("{{")) else {
        return Ok(arguments);
    };
    for entry in &entries {
        let done = match entry.split_once('=') {
            Some((name, value)) => {
                format!("{name}={}", value_of(value, globals, expressions, &mut arguments.unknown)?)
            }
            None => entry.clone(),
        };
        if done != *entry {
            arguments.filled.push(done.clone());
        }
        arguments.entries.push(done);
    }
    if arguments.filled.is_empty() {
        arguments.entries.clear();
    }
    Ok(arguments)
}

fn value_of(
    text: &str,
    globals: &Value,
    expressions: &Expressions,
    unknown: &mut Vec<String>,
) -> Result<String, MetadataError> {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inner, behind)) = after.split_once("}}") else { break };
        let word = inner.trim();
        let known = globals.get(word).and_then(Value::as_str);
        let is_ours = known.is_some() || is_date(word);
        match before.strip_suffix('\\') {
            // Escaped, as in labels.
            Some(before) if is_ours => done.push_str(&format!("{before}{{{{{inner}}}}}")),
            _ => {
                done.push_str(before);
                match known {
                    Some(value) => done.push_str(value),
                    None if is_date(word) => {
                        done.push_str(&expressions.global(&format!("{{{{{word}}}}}"))?)
                    }
                    None => {
                        let is_word = !word.is_empty()
                            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                        unknown.extend(is_word.then(|| word.to_owned()));
                        // What follows may hold an expression that begins within.
                        done.push_str("{{");
                        rest = after;
                        continue;
                    }
                }
            }
        }
        rest = behind;
    }
    done.push_str(rest);
    Ok(done)
}

/// `date 'FORMAT'` or `commit_date "FORMAT" tz='ZONE'`, and nothing that another program would read
/// otherwise.
fn is_date(word: &str) -> bool {
    let quoted = |text: &str| {
        let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
        let end = text[1..].find(quote)? + 1;
        Some(text[end + 1..].trim_start().to_owned())
    };
    let Some((name, rest)) = word.split_once(' ') else { return false };
    if !["date", "commit_date"].contains(&name) {
        return false;
    }
    match quoted(rest.trim_start()) {
        Some(rest) if rest.is_empty() => true,
        Some(rest) => rest.strip_prefix("tz=").and_then(quoted).is_some_and(|rest| rest.is_empty()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(text: &str) -> BuildArguments {
        let globals = json!({ "version": "1.2.3", "sha": "860c190", "branch": "a&b", "tag": "" });
        let now = "2026-11-28T01:02:03Z".parse().unwrap();
        let expressions =
            Expressions::new(globals.clone(), now, "2026-01-02T03:04:05Z".parse().unwrap());
        fill(text, &globals, &expressions).unwrap()
    }

    #[test]
    fn what_labels_can_name_is_filled_in() {
        for (given, made) in [
            ("VERSION={{version}}", "VERSION=1.2.3"),
            ("V=v{{ version }}-{{sha}}", "V=v1.2.3-860c190"),
            ("B={{branch}}", "B=a&b"),
            ("T=[{{tag}}]", "T=[]"),
            ("D={{date 'YYYYMMDD'}}", "D=20261128"),
            ("D={{commit_date \"YYYY-MM-DD\" tz='UTC'}}", "D=2026-01-02"),
            ("L=-X main.version={{version}} -s", "L=-X main.version=1.2.3 -s"),
            ("E=\\{{version}} is {{version}}", "E={{version}} is 1.2.3"),
            ("M={{.Go}}{{version}}", "M={{.Go}}1.2.3"),
        ] {
            assert_eq!(filled(given).entries, [made], "{given}");
        }
        let two = filled("A=1\n\"B={{version}},x\"\n# no comment={{sha}}\nNAME");
        assert_eq!(two.entries, ["A=1", "B=1.2.3,x", "# no comment=860c190", "NAME"]);
        assert_eq!(two.filled, ["B=1.2.3,x", "# no comment=860c190"]);
    }

    #[test]
    fn other_braces_belong_to_others() {
        for given in [
            "T={{.Version}}",
            "T={{ .Values.version }}",
            "T={{{version}}}",
            "T={{date \"2006\" .Now}}",
            "T={{ now | date '2006' }}",
            "T={{- version -}}",
            "T={{version",
            "T=version}}",
            "T={{range .}}{{end}}",
            "{{version}}=x",
            "T=${{ x }}",
            "T=\\{{major}}",
        ] {
            assert_eq!(
                filled(given),
                BuildArguments { unknown: filled(given).unknown, ..BuildArguments::default() },
                "{given}"
            );
        }
        assert_eq!(filled("T={{major}} {{.X}}").unknown, ["major"]);
    }
}
