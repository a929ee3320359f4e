//! Which texts among the inputs are secret, for masking before anything is parsed. It reads
//! leniently: a text too many is masked rather than one too few.

use super::signing_key;
use super::table::{self, InputSecret};
use crate::environment::Environment;
use crate::report::text;
use crate::text::lists;

/// Variables beside the inputs whose whole value is secret.
const WHOLE: [&str; 4] =
    ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", signing_key::KEY, signing_key::PASSWORD];

/// The secret texts in the environment, of the inputs of any action.
pub fn secret_texts(env: &Environment) -> Vec<String> {
    let set = || env.iter().filter(|(_, value)| !value.trim().is_empty());
    let mut texts: Vec<String> = set()
        .filter(|(name, _)| WHOLE.contains(&name.as_str()))
        .map(|(_, value)| value.clone())
        .collect();
    texts.extend(set().flat_map(|(name, value)| of_input(name, value)));
    texts.extend(env.iter().flat_map(|(name, value)| of_addresses(name, value)));
    texts
}

/// What the row of an input says is secret, in whichever way its name is written.
fn of_input(variable: &str, value: &str) -> Vec<String> {
    let name = variable.strip_prefix("INPUT_").unwrap_or_default();
    let row = table::input(&name.to_lowercase().replace('_', "-"));
    match row.map_or(InputSecret::Nothing, |row| row.secret) {
        InputSecret::Nothing => Vec::new(),
        InputSecret::Whole => vec![value.to_owned()],
        InputSecret::Values => of_build(value),
        // Names of registries and roles stand in our errors, so only passwords are hidden.
        InputSecret::Passwords => passwords(value),
    }
}

/// The passwords of addresses, wherever they are written; that of a proxy needs no scheme.
fn of_addresses(name: &str, value: &str) -> Vec<String> {
    let is_proxy = name.to_lowercase().ends_with("_proxy") && !value.contains("://");
    if is_proxy { text::passwords(&format!("http://{value}")) } else { text::passwords(value) }
}

/// The values of `ID=value` lines; all of a text that cannot be split.
fn of_build(list: &str) -> Vec<String> {
    match lists::untrimmed_records(list) {
        Ok(lines) => lines
            .iter()
            .map(|line| line.split_once('=').map_or(line.as_str(), |(_, value)| value).to_owned())
            .collect(),
        Err(_) => vec![list.to_owned()],
    }
}

/// What follows each `password:`, in YAML or JSON, to the end of its quotes, its line, or its
/// braces.
fn passwords(list: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in list.split("password").skip(1) {
        let Some(value) = rest
            .trim_start_matches(['"', '\'', ' '])
            .strip_prefix(':')
            .map(|value| value.trim_start_matches([' ', '\t']))
        else {
            continue;
        };
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap_or_default(),
            // A block (`|`, `>`) goes on below: everything there is hidden, at the price of hiding
            // more than the password.
            Some('|' | '>') => {
                found.extend(
                    value
                        .lines()
                        .skip(1)
                        .map(|line| line.trim().to_owned())
                        .filter(|line| !line.is_empty()),
                );
                ""
            }
            _ => value
                .lines()
                .next()
                .unwrap_or_default()
                .split(" #")
                .next()
                .unwrap_or_default()
                .trim_end_matches(['}', ']', ',', ' ']),
        };
        if !value.is_empty() {
            found.push(value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(name: &str, value: &str) -> Vec<String> {
        secret_texts(&Environment::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn passwords_are_found_however_they_are_written() {
        for (text, expected) in [
            ("- registry: r.io\n  username: u\n  password: hunter2\n", vec!["hunter2"]),
            ("- password: \"a, b: c\"\n  registry: r.io", vec!["a, b: c"]),
            (
                r#"[{"registry":"r.io","username":"u","password":"p}1"},{"password":"p2"}]"#,
                vec!["p}1", "p2"],
            ),
            ("[{registry: r.io, password: p1}]", vec!["p1"]),
            ("- password: 'it'\n", vec!["it"]),
            ("- password: |\n    line one\n", vec!["line one"]),
            ("- registry: r.io\n  aws-role: arn:aws:iam::1:role/x\n", vec![]),
        ] {
            assert_eq!(texts("INPUT_REGISTRY-AUTH", text), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_is_hidden_however_its_input_is_written() {
        for name in ["INPUT_GITHUB-TOKEN", "INPUT_GITHUB_TOKEN", "INPUT_github-token"] {
            assert_eq!(texts(name, "ghs_1"), ["ghs_1"], "{name}");
        }
        assert_eq!(texts("INPUT_USERNAME", "octo"), Vec::<String>::new());
        assert_eq!(texts("GITHUB_TOKEN", "t"), Vec::<String>::new());
    }

    #[test]
    fn build_secrets_are_hidden_without_their_ids() {
        assert_eq!(texts("INPUT_SECRETS", "TOKEN=s3cr3t\n\"KEY=a\nb\""), ["s3cr3t", "a\nb"]);
        assert_eq!(texts("INPUT_SECRETS", "bare"), ["bare"]);
        assert_eq!(texts("AWS_SECRET_ACCESS_KEY", "k"), ["k"]);
    }
}
