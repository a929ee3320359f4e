//! The generated pages: inputs and outputs from the `action.yml` files, the command line from
//! `--help`. `make docs` renews them (`RENEW_DOCS=1`); a stale one fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::markdown::{read, root};

#[derive(Deserialize, Default)]
struct Action {
    inputs: BTreeMap<String, Described>,
    outputs: BTreeMap<String, Described>,
}

#[derive(Deserialize, Default, Clone, PartialEq)]
struct Described {
    description: String,
    #[serde(default)]
    default: Option<String>,
}

impl Described {
    fn text(&self) -> String {
        let default = self.default.as_deref().map(|value| format!(" Default `{value}`."));
        format!("{}{}", self.description.trim(), default.unwrap_or_default())
            .replace('|', "\\|")
            .replace('<', "&lt;")
    }
}

/// Names in their groups, as the comments of the file have them.
fn groups(file: &str, section: &str) -> Vec<(String, Vec<String>)> {
    let text = read(file);
    let body = text.split(&format!("\n{section}:\n")).nth(1).unwrap();
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for line in body.lines().take_while(|line| line.is_empty() || line.starts_with("  ")) {
        let inner = line.strip_prefix("  ").unwrap_or_default();
        if let Some(title) = inner.strip_prefix("# ") {
            groups.push((title.to_owned(), Vec::new()));
        } else if let Some(name) = inner.strip_suffix(':').filter(|name| !name.starts_with(' ')) {
            let group = groups.last_mut();
            group.unwrap_or_else(|| panic!("{file}: `{name}` is in no group")).1.push(name.into());
        }
    }
    groups
}

fn action(file: &str) -> Action {
    serde_saphyr::from_str(&read(file)).unwrap()
}

/// What an action is called in `uses`, the anchor of its heading, and its file.
const ACTIONS: [(&str, &str, &str); 3] = [
    ("org/supply-action", "publish", "action.yml"),
    ("org/supply-action/merge", "merge", "merge/action.yml"),
    ("org/supply-action/bake", "bake", "bake/action.yml"),
];

/// A page of tables: for each action its groups; what means the same as in `publish` is only named.
fn page(section: &str, head: &str) -> String {
    let one = section.trim_end_matches('s');
    let publish = action("action.yml");
    let mut text = head.to_owned();
    for (uses, anchor, file) in ACTIONS {
        let own = action(file);
        let _ = write!(text, "\n## {anchor}\n\n`uses: {uses}@v1`\n");
        let of = |action: &Action, name: &str| {
            if section == "inputs" { &action.inputs } else { &action.outputs }.get(name).cloned()
        };
        for (title, names) in groups(file, section) {
            let _ = write!(text, "\n### {title}\n\n", title = titled(&title, anchor));
            let is_same =
                |name: &&String| anchor != "publish" && of(&publish, name) == of(&own, name);
            let (same, other): (Vec<&String>, Vec<&String>) = names.iter().partition(is_same);
            if !other.is_empty() {
                let _ = write!(text, "| {one} | meaning |\n|---|---|\n");
            }
            for name in &other {
                let _ = writeln!(text, "| `{name}` | {} |", of(&own, name).unwrap().text());
            }
            if !same.is_empty() {
                let listed: Vec<String> = same.iter().map(|name| format!("`{name}`")).collect();
                let gap = if other.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}As in [publish](#publish): {}.", listed.join(", "));
            }
        }
    }
    text
}

/// Headings are told apart, so that their addresses do not depend on their order.
fn titled(title: &str, anchor: &str) -> String {
    if anchor == "publish" { title.to_owned() } else { format!("{title} ({anchor})") }
}

fn renewed(file: &str, made: &str) {
    let path = root().join(file);
    if std::env::var_os("RENEW_DOCS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{file} is stale; `make docs` renews it");
}

const INPUTS: &str = "# Inputs

Made from the `action.yml` of each action by `make docs`. A bad value or a misspelt name is an error
that says which input it is, before anything is built. On a command line an input is `--input
NAME=VALUE`; in the environment it is `INPUT_NAME`.

[publish](#publish) builds and publishes one image. [merge](#merge) publishes what several jobs
pushed, and [bake](#bake) the targets of bake files. The ten inputs that most workflows need come
first.
";

const OUTPUTS: &str = "# Outputs

Made from the `action.yml` of each action by `make docs`. A run that publishes nothing writes only
what is known without an image. With `push-by-digest` it also writes `digest`, `image`, `image-ref`,
`digests` and `platforms`. Every run also writes a job summary.
";

#[test]
fn the_page_of_inputs_is_what_is_declared() {
    renewed("docs/reference/inputs.md", &page("inputs", INPUTS));
}

#[test]
fn the_page_of_outputs_is_what_is_declared() {
    renewed("docs/reference/outputs.md", &page("outputs", OUTPUTS));
}

/// An input without a group would be missing from the page.
#[test]
fn every_input_and_output_is_in_a_group_once_and_ten_come_first() {
    for (_, _, file) in ACTIONS {
        for (section, declared) in [
            ("inputs", action(file).inputs.into_keys().collect::<Vec<_>>()),
            ("outputs", action(file).outputs.into_keys().collect()),
        ] {
            let groups = groups(file, section);
            let mut grouped: Vec<String> =
                groups.iter().flat_map(|(_, names)| names.clone()).collect();
            grouped.sort();
            assert_eq!(grouped, declared, "{file}: {section}");
        }
    }
    let first = &groups("action.yml", "inputs")[0];
    assert_eq!((first.0.as_str(), first.1.len()), ("Most used", 10));
}

#[test]
fn the_page_of_the_command_line_is_what_help_says() {
    let help = |verb: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_supply-action"))
            .args(verb)
            .arg("--help")
            .env_clear()
            .output()
            .unwrap();
        assert!(output.status.success());
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
    };
    let all = help(&[]);
    let listed = all.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let verbs = listed.lines().filter_map(|line| line.split_whitespace().next());
    let mut text =
        "# Command line\n\nWhat `--help` says, written here by `make docs`.\n".to_owned();
    let _ = write!(text, "\n## supply-action\n\n```text\n{all}```\n");
    let mut count = 0;
    for verb in verbs.filter(|verb| *verb != "help") {
        count += 1;
        let _ = write!(text, "\n## {verb}\n\n```text\n{}```\n", help(&[verb]));
        if verb == "sbom" {
            let _ = write!(text, "\n## sbom diff\n\n```text\n{}```\n", help(&["sbom", "diff"]));
        }
    }
    assert!(count > 8, "{count}");
    renewed("docs/reference/command-line.md", &text);
}
