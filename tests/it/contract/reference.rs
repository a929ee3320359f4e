//! The generated files: each `action.yml` and the pages of inputs and outputs from their tables, the
//! page of the command line from `--help`. `make docs` renews them (`RENEW_DOCS=1`); a stale one
//! fails.

use std::fmt::Write as _;

use serde_json::{Value, json};
use supply_action::inputs::Action;
use supply_action::inputs::table::InputGroup;

use super::actions::{self, Declared, MOST_USED, Section};
use crate::markdown::root;

impl Declared {
    fn text(&self) -> String {
        let default = self.default.map(|value| format!(" Default `{value}`."));
        format!("{}{}", self.description, default.unwrap_or_default())
            .replace('|', "\\|")
            .replace('<', "&lt;")
    }
}

/// What an action is called in `uses`.
fn uses(action: Action) -> String {
    match action {
        Action::Publish => "org/supply-action".to_owned(),
        _ => format!("org/supply-action/{}", action.verb()),
    }
}

/// A page of tables: for each action its groups; what means the same as in `publish` is only named.
fn page(section: &str, head: &str, of: impl Fn(Action) -> Vec<Section>) -> String {
    let one = section.trim_end_matches('s');
    let publish: Vec<Declared> = of(Action::Publish).into_iter().flat_map(|it| it.1).collect();
    let mut text = head.to_owned();
    for action in Action::ALL {
        let verb = action.verb();
        let _ = write!(text, "\n## {verb}\n\n`uses: {}@v1`\n", uses(action));
        for (title, rows) in of(action) {
            let _ = write!(text, "\n### {}\n\n", titled(title, verb));
            let is_same = |row: &&Declared| action != Action::Publish && publish.contains(row);
            let (same, other): (Vec<&Declared>, Vec<&Declared>) = rows.iter().partition(is_same);
            if !other.is_empty() {
                let _ = write!(text, "| {one} | meaning |\n|---|---|\n");
            }
            for row in &other {
                let _ = writeln!(text, "| `{}` | {} |", row.name, row.text());
            }
            let mut gap = if other.is_empty() { "" } else { "\n" };
            if !same.is_empty() {
                let names = listed(same.iter().map(|row| row.name));
                let _ = writeln!(text, "{gap}As in [publish](#publish): {names}.");
                gap = "\n";
            }
            let above = above(action, title);
            if section == "inputs" && !above.is_empty() {
                let anchor = titled("most-used", verb).replace([' '], "-").replace(['(', ')'], "");
                let _ = writeln!(
                    text,
                    "{gap}Also of this group, [above](#{anchor}): {}.",
                    listed(above.into_iter())
                );
            }
        }
    }
    text
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The inputs of a group that stand among the most used.
fn above(action: Action, title: &str) -> Vec<&'static str> {
    let group =
        InputGroup::ALL.into_iter().find(|group| group.title() == title && title != MOST_USED);
    action
        .inputs()
        .filter(|input| input.common && Some(input.group(action)) == group)
        .map(|input| input.name)
        .collect()
}

/// Headings are told apart, so that their addresses do not depend on their order.
fn titled(title: &str, anchor: &str) -> String {
    if anchor == "publish" { title.to_owned() } else { format!("{title} ({anchor})") }
}

pub(super) fn renewed(file: &str, made: &str) {
    let path = root().join(file);
    if std::env::var_os("RENEW_DOCS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{file} is stale; `make docs` renews it");
}

const INPUTS: &str = "# Inputs

Made by `make docs` from the table that each `action.yml` is made of. A bad value
is an error that says which input it is, before anything is built. So is a name that is nearly that
of an input, and the name that another action has for one. Any other unknown name gets a notice. On
a command line an input is `--input NAME=VALUE`; in the environment it is `INPUT_NAME`.

[publish](#publish) builds and publishes one image. [merge](#merge) publishes what several jobs
pushed, and [bake](#bake) the targets of bake files. [promote](#promote) copies what is published, and [scan](#scan) looks it up again.
The ten inputs that most workflows need come first.
";

const OUTPUTS: &str = "# Outputs

Made by `make docs` from the table that each `action.yml` is made of. A run that publishes nothing
writes only what is known without an image. With `push-by-digest` it also writes `digest`, `image`,
`image-ref`, `digests` and `platforms`. Every run also writes a job summary.
";

#[test]
fn the_action_files_are_what_the_tables_declare() {
    for action in Action::ALL {
        let made = actions::made(action);
        let parsed: Value = serde_saphyr::from_str(&made).unwrap();
        for (key, sections) in
            [("inputs", actions::inputs(action)), ("outputs", actions::outputs(action))]
        {
            let rows: Vec<Declared> = sections.into_iter().flat_map(|(_, rows)| rows).collect();
            let kept = parsed[key].as_object().unwrap();
            assert_eq!(kept.len(), rows.len());
            for row in rows {
                let mut expected = json!({ "description": row.description });
                if let Some(default) = row.default {
                    expected["default"] = json!(default);
                }
                assert_eq!(kept[row.name], expected);
            }
        }
        renewed(&actions::file(action), &made);
    }
}

#[test]
fn the_page_of_inputs_is_what_is_declared() {
    renewed("docs/reference/inputs.md", &page("inputs", INPUTS, actions::inputs));
}

#[test]
fn the_page_of_outputs_is_what_is_declared() {
    renewed("docs/reference/outputs.md", &page("outputs", OUTPUTS, actions::outputs));
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
