//! A workflow file → what its step would tell this action, as far as a rehearsal can know it; and
//! what it cannot. It runs nothing of the file.
//!
//! Specification: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax>.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::environment::Environment;
use crate::error::{Remedy as _, WithExit, exit};
use crate::github::expression::{Unvalued, evaluated, expanded};
use crate::inputs::Action;

/// A step that uses this action.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ActionStep {
    pub action: Action,
    /// `job`, or `job/step` where the step has an id.
    pub name: String,
    /// Its inputs whose values are known.
    pub inputs: Vec<(String, String)>,
    /// What is not as in the workflow, for people.
    pub notices: Vec<String>,
}

/// A workflow file, read once.
pub(super) struct WorkflowFile {
    shown: String,
    document: Value,
}

impl WorkflowFile {
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display().to_string();
        let wrong = |why: String| WithExit {
            code: exit::BAD_INPUT,
            message: format!("`--workflow {shown}` {why}"),
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let document = serde_saphyr::from_str(&text)
            .map_err(|error| wrong(format!("is not a workflow: {error}")))?;
        Ok(Self { shown, document })
    }

    /// The one step that uses this action, or the one that `wanted` names.
    pub(super) fn step(
        &self,
        wanted: Option<&str>,
        env: &Environment,
    ) -> anyhow::Result<ActionStep> {
        let steps = steps(&self.document);
        let listed = |steps: &[&FoundStep<'_>]| {
            steps.iter().map(|step| format!("`{}`", step.name)).collect::<Vec<_>>().join(", ")
        };
        let is_meant = |step: &&FoundStep<'_>| match wanted {
            Some(wanted) => {
                let is_its_job = || wanted == step.job && step.action.is_some();
                wanted == step.name || Some(wanted) == step.id || is_its_job()
            }
            None => step.action.is_some(),
        };
        let chosen: Vec<&FoundStep<'_>> = steps.iter().filter(is_meant).collect();
        let shown = &self.shown;
        let (message, hint) = match (chosen.as_slice(), wanted) {
            ([only], _) => return Ok(filled(&self.document, only, env)),
            ([], Some(wanted)) => (
                format!("`--step {wanted}`: `{shown}` has no such step"),
                format!("its steps are {}", listed(&steps.iter().collect::<Vec<_>>())),
            ),
            ([], None) => (
                format!("no step of `{shown}` uses this action"),
                "name the one that does with `--step JOB/ID`".to_owned(),
            ),
            (several, _) => (
                format!("several steps of `{shown}` use this action: {}", listed(several)),
                "name one with `--step JOB/ID`".to_owned(),
            ),
        };
        Err(WithExit { code: exit::BAD_INPUT, message }).hint(hint)
    }

    /// The step that builds what another merges: the one that publishes, if there is but one.
    pub(super) fn legs(&self, env: &Environment) -> Option<ActionStep> {
        let steps = steps(&self.document);
        let mut building = steps.iter().filter(|step| step.action == Some(Action::Publish));
        building
            .next()
            .filter(|_| building.next().is_none())
            .map(|step| filled(&self.document, step, env))
    }
}

struct FoundStep<'a> {
    action: Option<Action>,
    name: String,
    job: &'a str,
    id: Option<&'a str>,
    definition: &'a Value,
}

fn steps(workflow: &Value) -> Vec<FoundStep<'_>> {
    let mut found: Vec<FoundStep<'_>> = Vec::new();
    for (job, definition) in workflow["jobs"].as_object().into_iter().flatten() {
        for (at, step) in definition["steps"].as_array().into_iter().flatten().enumerate() {
            let (action, id) = (step["uses"].as_str().and_then(action), step["id"].as_str());
            let name = id.map_or_else(|| format!("{job}/{at}"), |id| format!("{job}/{id}"));
            found.push(FoundStep { action, name, job, id, definition: step });
        }
    }
    found
}

/// Which of our actions `uses:` names.
fn action(uses: &str) -> Option<Action> {
    let path = uses.split('@').next().unwrap_or_default().trim_end_matches('/');
    let (path, action) = match path.rsplit_once('/') {
        Some((path, "merge")) => (path, Action::Merge),
        Some((path, "bake")) => (path, Action::Bake),
        _ => (path, Action::Publish),
    };
    let is_ours = path == "." || path.rsplit('/').next() == Some("supply-action");
    is_ours.then_some(action)
}

fn filled(workflow: &Value, found: &FoundStep<'_>, env: &Environment) -> ActionStep {
    let mut notices = Vec::new();
    let job = &workflow["jobs"][found.job];
    let mut contexts = Map::new();
    contexts.insert("github".to_owned(), github(env));
    contexts.insert("inputs".to_owned(), inputs(workflow));
    contexts.insert("env".to_owned(), json!({}));
    if let Some(leg) = leg(&job["strategy"]["matrix"], &contexts) {
        notices.push(format!("of job `{}` one leg of its matrix is rehearsed: `{leg}`", found.job));
        contexts.insert("matrix".to_owned(), leg);
    }
    for place in [workflow, job, found.definition] {
        let known: Vec<(String, Value)> = variables(&place["env"], &contexts);
        if let Some(Value::Object(env)) = contexts.get_mut("env") {
            env.extend(known);
        }
    }
    let mut inputs = Vec::new();
    for (name, value) in found.definition["with"].as_object().into_iter().flatten() {
        let Some(text) = text(value) else {
            notices.push(format!("input `{name}` is left out: it is not a text"));
            continue;
        };
        match expanded(&text, &contexts) {
            Ok(value) => inputs.push((name.clone(), value)),
            Err(error @ Unvalued::Unknown(_)) => {
                notices.push(format!(
                    "input `{name}` is left out: {error}; `--input {name}=…` says what it would be"
                ));
            }
            Err(error) => notices.push(format!("input `{name}` is left out: {error}")),
        }
    }
    let condition = found.definition["if"]
        .as_str()
        .map(|condition| condition.trim().trim_start_matches("${{").trim_end_matches("}}"));
    if let Some(condition) = condition
        && evaluated(condition, &contexts)
            .is_ok_and(|value| value == json!(false) || value == json!(""))
    {
        notices.push(format!("the workflow would not run this step: `if: {}`", condition.trim()));
    }
    ActionStep {
        action: found.action.unwrap_or(Action::Publish),
        name: found.name.clone(),
        inputs,
        notices,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Null => Some(String::new()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Those whose values are known.
fn variables(definition: &Value, contexts: &Map<String, Value>) -> Vec<(String, Value)> {
    let pairs = definition.as_object().into_iter().flatten();
    pairs
        .filter_map(|(name, value)| {
            Some((name.clone(), expanded(&text(value)?, contexts).ok()?.into()))
        })
        .collect()
}

/// `github`, as the variables of the run say it.
fn github(env: &Environment) -> Value {
    const NAMES: [&str; 19] = [
        "actor",
        "actor_id",
        "api_url",
        "base_ref",
        "event_name",
        "head_ref",
        "ref",
        "ref_name",
        "ref_type",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "run_attempt",
        "run_id",
        "run_number",
        "server_url",
        "sha",
        "workflow",
    ];
    let known = NAMES.iter().filter_map(|name| {
        Some((
            (*name).to_owned(),
            env.get(&format!("GITHUB_{}", name.to_uppercase()))?.clone().into(),
        ))
    });
    let mut known: Map<String, Value> = known.collect();
    known.insert(
        "ref_protected".to_owned(),
        (env.get("GITHUB_REF_PROTECTED").map(String::as_str) == Some("true")).into(),
    );
    let event = env
        .get("GITHUB_EVENT_PATH")
        .and_then(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok());
    known.extend(event.map(|event| ("event".to_owned(), event)));
    Value::Object(known)
}

/// The inputs of the workflow itself, as their defaults say.
fn inputs(workflow: &Value) -> Value {
    let mut known = Map::new();
    for event in ["workflow_dispatch", "workflow_call"] {
        for (name, input) in workflow["on"][event]["inputs"].as_object().into_iter().flatten() {
            let nothing = match input["type"].as_str() {
                Some("boolean") => json!(false),
                Some("number") => json!(0),
                _ => json!(""),
            };
            match (&input["default"], input["required"].as_bool()) {
                (Value::Null, Some(true)) => {}
                (Value::Null, _) => drop(known.insert(name.clone(), nothing)),
                (default, _) => drop(known.insert(name.clone(), default.clone())),
            }
        }
    }
    Value::Object(known)
}

/// The first leg of a matrix.
fn leg(matrix: &Value, contexts: &Map<String, Value>) -> Option<Value> {
    let value = |value: &Value| match value.as_str() {
        Some(text) if text.trim_start().starts_with("${{") => {
            evaluated(text.trim().trim_start_matches("${{").trim_end_matches("}}"), contexts)
                .unwrap_or_default()
        }
        _ => value.clone(),
    };
    let matrix = value(matrix);
    let axes = matrix
        .as_object()?
        .iter()
        .filter(|(name, _)| !["include", "exclude"].contains(&name.as_str()));
    let mut leg: Map<String, Value> = axes
        .filter_map(|(name, values)| {
            Some((name.clone(), value(values).as_array()?.first()?.clone()))
        })
        .collect();
    let included: Vec<Value> = value(&matrix["include"]).as_array().cloned().unwrap_or_default();
    if leg.is_empty() {
        leg = included.first()?.as_object()?.clone();
    } else {
        let axes = leg.clone();
        for more in included.iter().filter_map(Value::as_object) {
            if more.iter().all(|(name, value)| axes.get(name).is_none_or(|axis| axis == value)) {
                leg.extend(more.clone());
            }
        }
    }
    Some(Value::Object(leg))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Environment {
        [
            ("GITHUB_REPOSITORY", "octo/app"),
            ("GITHUB_REF", "refs/tags/v1.2.3"),
            ("GITHUB_REF_NAME", "v1.2.3"),
            ("GITHUB_EVENT_NAME", "push"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect()
    }

    fn step(workflow: &str, wanted: Option<&str>) -> Result<ActionStep, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), workflow).unwrap();
        let step =
            WorkflowFile::open(file.path()).and_then(|workflow| workflow.step(wanted, &env()));
        step.map_err(|error| {
            assert_eq!(crate::error::exit_code(&error), exit::BAD_INPUT);
            crate::error::message(&error)
        })
    }

    const WORKFLOW: &str = r#"
on:
  workflow_dispatch:
    inputs:
      flavor: { type: string, default: slim }
      debug: { type: boolean }
      who: { type: string, required: true }
env: { REGISTRY: ghcr.io, IMAGE: '${{ env.REGISTRY }}/${{ github.repository }}', SECRET: '${{ secrets.S }}' }
jobs:
  test:
    steps: [{ run: 'true' }, { uses: actions/checkout@v6 }]
  publish:
    strategy:
      matrix:
        arch: ${{ fromJSON('["amd64","arm64"]') }}
        include: [{ arch: arm64, runner: arm }, { arch: amd64, runner: intel }, { extra: yes-always }]
    steps:
      - uses: actions/checkout@v6
      - uses: octo/supply-action@0123456789abcdef
        id: image
        env: { REGISTRY: quay.io, IMAGE: '${{ env.REGISTRY }}/${{ github.repository }}' }
        if: github.event_name == 'release'
        with:
          images: ${{ env.IMAGE }}
          platforms: linux/${{ matrix.arch }}
          tags: |
            type=raw,value=${{ github.ref_name }}-${{ inputs.flavor }}
            type=raw,value=main,enable={{is_default_branch}}
          build-args: RUNNER=${{ matrix.runner }} ${{ matrix.extra }}
          push: true
          no-cache: ${{ inputs.debug }}
          password: ${{ secrets.TOKEN }}
          labels: who=${{ inputs.who }}
          target: ${{ env.SECRET }}
          flavor:
      - uses: org/supply-action/bake@v1
"#;

    #[test]
    fn what_a_step_is_told_is_what_its_expressions_say() {
        let step = step(WORKFLOW, Some("publish/image")).unwrap();
        let expected = [
            // A step's variables see those of the workflow and the job, not one another.
            ("images", "ghcr.io/octo/app"),
            ("platforms", "linux/amd64"),
            (
                "tags",
                "type=raw,value=v1.2.3-slim\ntype=raw,value=main,enable={{is_default_branch}}\n",
            ),
            ("build-args", "RUNNER=intel yes-always"),
            ("push", "true"),
            ("no-cache", "false"),
            ("flavor", ""),
        ];
        let mut inputs: Vec<(&str, &str)> =
            step.inputs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut expected = expected.to_vec();
        inputs.sort_unstable();
        expected.sort_unstable();
        assert_eq!(
            (inputs, step.action, step.name.as_str()),
            (expected, Action::Publish, "publish/image")
        );
        let told = step.notices.join("\n");
        for expected in [
            "input `password` is left out: `secrets.TOKEN` is not known here; `--input password=…` says",
            "input `labels` is left out: `inputs.who` is not known here",
            "input `target` is left out: `env.SECRET` is not known here",
            "one leg of its matrix is rehearsed",
            "the workflow would not run this step: `if: github.event_name == 'release'`",
        ] {
            assert!(told.contains(expected), "{expected}: {told}");
        }
        assert_eq!(step.notices.len(), 5);
    }

    #[test]
    fn the_step_is_the_one_that_uses_this_action_or_the_one_that_is_named() {
        assert!(step(WORKFLOW, None).unwrap_err().contains("several steps of"));
        assert_eq!(step(WORKFLOW, Some("publish/2")).unwrap().action, Action::Bake);
        assert!(step(WORKFLOW, Some("nobody")).unwrap_err().contains("has no such step"));
        assert!(
            step("jobs: { a: { steps: [{ uses: x/y@v1 }] } }", None)
                .unwrap_err()
                .contains("uses this action")
        );
        assert!(step("jobs: [", None).unwrap_err().contains("is not a workflow"));
        assert_eq!(step("jobs: { a: { steps: [{ uses: ./ }] } }", None).unwrap().name, "a/0");
        assert_eq!(
            step("jobs: { a: { steps: [{ uses: o/supply-action/merge@v1 }] } }", Some("a"))
                .unwrap()
                .action,
            Action::Merge
        );
    }
}
