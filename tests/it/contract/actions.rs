//! The `action.yml` files, made of the tables of inputs and outputs. What an action declares is
//! what the program reads and writes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};
use supply_action::environment::Environment;
use supply_action::github::RunContext;
use supply_action::inputs::table::InputGroup;
use supply_action::inputs::{Action, Inputs};
use supply_action::summary::declared;

use crate::bake;
use crate::markdown::read;
use crate::support::World;

/// An input or an output as an action declares it.
#[derive(PartialEq)]
pub(super) struct Declared {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) default: Option<&'static str>,
}

/// A heading and what stands below it.
pub(super) type Section = (&'static str, Vec<Declared>);

pub(super) const MOST_USED: &str = "Most used";

pub(super) fn inputs(action: Action) -> Vec<Section> {
    let below = |group: Option<InputGroup>| {
        action
            .inputs()
            .filter(|input| {
                group.map_or(input.common, |it| !input.common && input.group(action) == it)
            })
            .map(|input| Declared {
                name: input.name,
                description: input.description(action),
                default: input.default(action),
            })
            .collect::<Vec<_>>()
    };
    let groups = InputGroup::ALL.map(|group| (group.title(), below(Some(group))));
    let mut sections = vec![(MOST_USED, below(None))];
    sections.extend(groups.into_iter().filter(|(_, inputs)| !inputs.is_empty()));
    sections
}

pub(super) fn outputs(action: Action) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for output in declared::outputs(action) {
        let row = Declared { name: output.name, description: output.description, default: None };
        match sections.iter_mut().find(|(title, _)| *title == output.group) {
            Some((_, rows)) => rows.push(row),
            None => sections.push((output.group, vec![row])),
        }
    }
    sections
}

pub(super) fn file(action: Action) -> String {
    match action {
        Action::Publish => "action.yml".to_owned(),
        _ => format!("{}/action.yml", action.verb()),
    }
}

/// A text as YAML: plain where that reads as the same text.
fn scalar(text: &str) -> String {
    let plain = serde_saphyr::from_str::<Value>(&format!("it: {text}\n"));
    if plain.is_ok_and(|value| value == json!({ "it": text })) {
        return text.to_owned();
    }
    json!(text).to_string()
}

pub(super) fn made(action: Action) -> String {
    let (name, up, arguments) = match action {
        Action::Publish => (String::new(), "", String::new()),
        _ => (
            format!(" {}", action.verb()),
            "../",
            format!(
                " # zizmor: ignore[unpinned-images] it is built from this repository\n  args: [{}]",
                action.verb()
            ),
        ),
    };
    let mut text = format!(
        "# Made by `make docs` from src/inputs/table and src/summary/declared.rs.\n\
         name: supply-action{name}\n\
         description: {}\n\
         author: the supply-action authors\n\
         branding:\n  icon: package\n  color: green\n",
        scalar(action.about())
    );
    for (title, sections) in [("inputs", inputs(action)), ("outputs", outputs(action))] {
        let _ = write!(text, "\n{title}:\n");
        for (heading, rows) in sections {
            let _ = writeln!(text, "  # {heading}");
            for row in rows {
                let _ = writeln!(text, "  {}:", row.name);
                let _ = writeln!(text, "    description: {}", scalar(row.description));
                if let Some(default) = row.default {
                    let _ = writeln!(text, "    default: {}", scalar(default));
                }
            }
        }
    }
    let _ = write!(text, "\nruns:\n  using: docker\n  image: {up}Dockerfile{arguments}\n");
    text
}

#[test]
fn ten_inputs_of_publish_come_first_and_every_group_has_its_title_once() {
    assert_eq!(inputs(Action::Publish)[0].1.len(), 10);
    let titles: BTreeSet<&str> = InputGroup::ALL.map(InputGroup::title).into();
    assert_eq!(titles.len(), InputGroup::ALL.len());
    for action in Action::ALL {
        let listed: usize = inputs(action).iter().map(|(_, rows)| rows.len()).sum();
        assert_eq!(listed, action.inputs().count(), "{action:?}: a group is not in `Group::ALL`");
    }
}

#[test]
fn the_container_runs_the_program_with_nothing_between() {
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.trim_end().ends_with("ENTRYPOINT [\"/supply-action\"]"));
    // What the program starts by name must be in the image.
    assert!(
        dockerfile.contains("/usr/local/bin/buildx") && dockerfile.contains("ca-certificates.crt")
    );
}

/// An input that an action takes and does not use would be a promise nobody keeps: a value that
/// cannot be right is told by its name.
#[test]
fn every_action_reads_every_input_it_declares() {
    let of_action = |action: Action| action.inputs().map(move |input| (action, input.name));
    for (action, name) in Action::ALL.into_iter().flat_map(of_action) {
        let read = |value: &str| {
            let env: Environment = [
                match action {
                    Action::Bake => ("INPUT_REGISTRY", "r.io"),
                    Action::Promote => ("INPUT_DESTINATIONS", "r.io/o/a"),
                    Action::Scan => ("INPUT_IMAGE", "r.io/o/a:1"),
                    Action::Publish | Action::Merge => ("INPUT_IMAGES", "r.io/o/a"),
                },
                ("INPUT_USERNAME", "octo"),
                ("INPUT_PASSWORD", "secret"),
                ("INPUT_TUF-MIRROR", "https://tuf.example"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            // What `promote` reads about a scan, it reads where it scans.
            .chain(
                (action == Action::Promote).then(|| ("INPUT_RESCAN".to_owned(), "true".to_owned())),
            )
            .chain([(format!("INPUT_{}", name.to_uppercase()), value.to_owned())])
            .collect();
            format!("{:?}", Inputs::of(action, &env, &RunContext::default()))
        };
        assert_ne!(read("9:{%"), read(""), "{action:?}: `{name}` changes nothing");
    }
}

#[tokio::test]
async fn runs_write_exactly_the_outputs_that_are_declared() {
    let declared = |action: Action| -> BTreeSet<String> {
        declared::outputs(action).map(|output| output.name.to_owned()).collect()
    };
    let mut world = World::new().await;
    let workspace = world.folder.path().display().to_string();
    world.set("GITHUB_WORKSPACE", &workspace);
    let published = world.run(&[], &[("INPUT_BAKE-TARGET", "app")]).await;
    let pushed = world.run(&[], &[("INPUT_PUSH-BY-DIGEST", "true")]).await;
    let both = published.outputs.keys().chain(pushed.outputs.keys());
    assert_eq!(both.cloned().collect::<BTreeSet<_>>(), declared(Action::Publish));
    let merged = world.run(&["merge"], &[("INPUT_DIGESTS", &pushed.outputs["digests"])]).await;
    assert_eq!(
        merged.outputs.into_keys().collect::<BTreeSet<_>>(),
        declared(Action::Merge),
        "{}",
        merged.log
    );
    let world = bake::world().await;
    for push in ["true", "false"] {
        let baked = bake::succeeds(&world, &[("INPUT_PUSH", push)]).await;
        let written = baked.outputs.into_keys().collect::<BTreeSet<_>>();
        assert_eq!(written, declared(Action::Bake), "push: {push}");
    }
}
