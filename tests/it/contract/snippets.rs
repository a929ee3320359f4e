//! Every block of code in the documents: copies are copies, workflows are rehearsed, steps are
//! planned, commands are run. A block that nothing looks at fails.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};
use supply_action::environment::Environment;
use supply_action::github::RunContext;
use supply_action::inputs::{Action, Inputs};
use supply_action::sandbox::Claims;

use crate::markdown::{Block, blocks, documents, read, root};
use crate::support::World;

/// The blocks of every document, each with where it stands.
fn all() -> Vec<(String, Block)> {
    let found: Vec<(String, Block)> = documents()
        .into_iter()
        .flat_map(|page| {
            blocks(&read(&page))
                .into_iter()
                .map(move |block| (format!("{page}:{}", block.line), block))
        })
        .collect();
    assert!(found.len() > 40, "{}", found.len());
    found
}

/// As YAML: of a difference what is there afterwards.
fn yaml(block: &Block) -> Option<String> {
    match block.language.as_str() {
        "yaml" => Some(block.text.clone()),
        "diff" => {
            let after = block.text.lines().filter(|line| !line.starts_with('-'));
            let lines = after.map(|line| line.get(1..).unwrap_or_default());
            Some(lines.map(|line| format!("{line}\n")).collect())
        }
        _ => None,
    }
}

fn parsed(place: &str, text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}"))
}

fn is_workflow(value: &Value) -> bool {
    value["on"] != Value::Null && value["jobs"].is_object()
}

#[test]
fn every_block_is_of_a_kind_that_a_test_looks_at() {
    for (place, block) in all() {
        let known = ["yaml", "diff", "sh", "toml", "text", "mermaid"];
        assert!(known.contains(&block.language.as_str()), "{place}: `{}`", block.language);
        if block.language == "toml" {
            assert!(block.text.contains('='), "{place}");
        }
    }
}

#[test]
fn copies_of_files_are_what_the_files_hold() {
    let mut count = 0;
    for (place, block) in all() {
        let Some(file) = &block.file else { continue };
        count += 1;
        let text = read(file);
        let body = text.lines().skip_while(|line| line.starts_with('#'));
        let wanted: String = body.map(|line| format!("{line}\n")).collect();
        assert_eq!(block.text, wanted, "{place} is no copy of {file}");
    }
    assert!(count > 3, "{count}");
}

/// An expression of a workflow as it may be here.
fn evaluated(text: &str) -> String {
    let mut value = String::new();
    for (at, part) in text.split("${{").enumerate() {
        let Some((expression, rest)) = part.split_once("}}").filter(|_| at > 0) else {
            value += part;
            continue;
        };
        value += &match expression.trim() {
            "github.repository" => "octo/app".to_owned(),
            "toJSON(needs)" => {
                let digest = format!("sha256:{}", "1".repeat(64));
                let outputs =
                    serde_json::json!({ "digests": format!("{{\"linux/amd64\":\"{digest}\"}}") });
                serde_json::json!({ "build": { "result": "success", "outputs": outputs } })
                    .to_string()
            }
            "needs.build.outputs.digest" => format!("sha256:{}", "1".repeat(64)),
            "vars.CORPORATE_CA" => include_str!("../../fixtures/ca.pem").to_owned(),
            "github.ref_name" => "v1.2.3".to_owned(),
            known if known.starts_with("secrets.") || known.starts_with("vars.") => {
                "a secret of this repository".to_owned()
            }
            known if known.ends_with(".outputs.image-ref") => {
                format!("ghcr.io/octo/app@sha256:{}", "1".repeat(64))
            }
            known if known.starts_with("matrix.") || known.starts_with("inputs.") => String::new(),
            other if other.starts_with("github.") => other.replace("github.", ""),
            other => panic!("`{other}` is not known here"),
        };
        value += rest;
    }
    value
}

fn text_of(value: &Value) -> String {
    evaluated(value.as_str().map_or_else(|| value.to_string(), str::to_owned).as_str())
}

/// Steps of ours in a value, at any depth: whose they are, and what they set.
fn steps(value: &Value, found: &mut Vec<(String, Map<String, Value>)>) {
    match value {
        Value::Object(object) => {
            let uses = object.get("uses").and_then(Value::as_str).unwrap_or("org/supply-action@");
            if let Some(with) = object.get("with").and_then(Value::as_object) {
                found.push((uses.to_owned(), with.clone()));
            }
            object.values().for_each(|value| steps(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| steps(value, found)),
        _ => {}
    }
}

/// Inputs of every step and of every call in the documents are declared, and their values are taken.
#[tokio::test]
async fn every_step_is_taken_by_its_action() {
    let mut count = 0;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("digests")).unwrap();
    std::fs::write(folder.path().join("digests").join("1".repeat(64)), "").unwrap();
    for (place, block) in all() {
        let Some(text) = yaml(&block) else { continue };
        let value = parsed(&place, &text);
        let mut found = Vec::new();
        steps(&value, &mut found);
        if let Some(logins) = value.get("registry-auth") {
            let with = [("registry-auth".to_owned(), logins.clone())].into_iter().collect();
            found.push(("org/supply-action@".to_owned(), with));
        }
        for (uses, with) in found {
            let Some(name) = uses.strip_prefix("org/supply-action") else { continue };
            count += 1;
            let (name, _) = name.split_once('@').unwrap();
            if let Some(file) = name.strip_prefix("/.github/workflows/") {
                called(&place, file, &with);
                continue;
            }
            let action =
                super::of(name).unwrap_or_else(|| panic!("{place}: there is no action `{name}`"));
            for name in with.keys() {
                assert!(action.has(name), "{place}: `{name}` is no input");
            }
            taken(&place, action, &with, folder.path()).await;
        }
    }
    assert!(count > 20, "{count}");
}

fn called(place: &str, file: &str, with: &Map<String, Value>) {
    let workflow = parsed(file, &read(&format!(".github/workflows/{file}")));
    let declared = workflow["on"]["workflow_call"]["inputs"].as_object().unwrap();
    for name in with.keys() {
        assert!(declared.contains_key(name), "{place}: `{name}` is no input of {file}");
    }
}

/// `plan` for the action that it knows, and the inputs alone for the others.
async fn taken(place: &str, action: Action, with: &Map<String, Value>, folder: &Path) {
    let mut env: Environment = [
        ("GITHUB_REPOSITORY", "octo/app"),
        ("GITHUB_REF", "refs/tags/v1.2.3"),
        ("GITHUB_SHA", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("GITHUB_EVENT_NAME", "push"),
        // Nobody listens there.
        ("GITHUB_API_URL", "http://127.0.0.1:9"),
        ("GITHUB_WORKSPACE", folder.to_str().unwrap()),
        ("INPUT_GITHUB-TOKEN", "t0ken"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for (name, value) in with {
        let mut value = text_of(value);
        if name == "digest-files" {
            value = folder.join(value).display().to_string();
        }
        env.insert(format!("INPUT_{}", name.to_uppercase()), value);
    }
    if action != Action::Publish {
        let inputs = Inputs::of(action, &env, &RunContext::new(&env));
        assert!(inputs.is_ok(), "{place}: {:?}", inputs.err());
        return;
    }
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_supply-action"))
        .args(["plan", "--json"])
        .current_dir(folder)
        .env_clear()
        .envs(&env)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{place}: {said}");
}

/// Every whole workflow runs: its events are rehearsed.
#[tokio::test]
async fn every_workflow_is_rehearsed() {
    let world = World::new().await;
    let context = world.folder.path().join("context").display().to_string();
    let mut count = 0;
    for (place, block) in all() {
        let Some(text) = yaml(&block).filter(|_| block.file.is_none()) else { continue };
        let value = parsed(&place, &text);
        if !is_workflow(&value) || !text.contains("uses: org/supply-action@") {
            continue;
        }
        count += 1;
        let file = world.folder.path().join("workflow.yml");
        std::fs::write(&file, &text).unwrap();
        let mut events = vec!["push"];
        events.extend(value["on"].get("pull_request").map(|_| "pull_request"));
        for event in events {
            let out = world.folder.path().join(format!("kept-{count}-{event}"));
            let run = world
                .run(
                    &[
                        "rehearse",
                        &context,
                        "--workflow",
                        file.to_str().unwrap(),
                        "--event-name",
                        event,
                        "--platforms",
                        "linux/amd64",
                        "--out",
                        out.to_str().unwrap(),
                    ],
                    &[],
                )
                .await;
            assert_eq!(run.code, Some(0), "{place}: {event}: {}", run.log);
        }
    }
    assert!(count >= 3, "{count}");
}

/// Programs in commands that are not ours, with the documents' judges: the oracles run what cosign
/// is told, a test checks targets of the Makefile, and others set the stage.
const OTHERS: [&str; 3] = ["cosign", "make", "git"];

/// Each command of a block, whole.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.split(" # ").next().unwrap().trim().to_owned());
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn every_target_of_the_makefile_that_is_named_exists() {
    let makefile = read("Makefile");
    let page = blocks(&read("docs/rehearse.md"));
    let of_rehearsals: Vec<String> = page.iter().flat_map(|block| commands(&block.text)).collect();
    for (place, block) in all().into_iter().filter(|(_, block)| block.language == "sh") {
        for command in commands(&block.text) {
            let mut words = command.split_whitespace();
            let program = words.next().unwrap();
            let is_run = match program {
                "supply-action" => true,
                // `make e2e` runs what the page of rehearsals says.
                "docker" => of_rehearsals.contains(&command),
                program => OTHERS.contains(&program),
            };
            assert!(is_run, "{place}: nothing runs `{command}`");
            if program == "make" {
                let target = words.next().unwrap();
                let is_there = makefile
                    .lines()
                    .any(|line| line.starts_with(&format!("{target}: ")) && line.contains("## "));
                assert!(is_there, "{place}: `{target}` is no target of the Makefile");
            }
        }
    }
}

/// A place in which every command of the pages can be run as it stands: a clone with a Dockerfile,
/// a published image, files that they name, and the program in `PATH`.
struct Stage {
    world: World,
    issuer: String,
}

impl Stage {
    async fn new() -> Self {
        let mut world = World::new().await;
        world.act_as(Claims::of("octo/app", "refs/tags/v1.2.3", "push"));
        let image = format!("{}/octo/app", world.sandbox.registry());
        world.set("INPUT_IMAGES", &image).set("INPUT_TAGS", "");
        let run = world.publish().await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        let issuer = world.env["SIGSTORE_ISSUER"].clone();
        promoted(&mut world, &image, &issuer).await;
        let stage = Self { world, issuer };
        let clone = stage.clone();
        std::fs::create_dir_all(clone.join(".github/workflows")).unwrap();
        crate::rehearse::clone(&clone);
        let start = read("examples/workflows/start.yml");
        std::fs::write(clone.join(".github/workflows/publish.yml"), start).unwrap();
        std::fs::write(clone.join("Dockerfile"), "FROM scratch\n").unwrap();
        for checkout in ["base", "head"].map(|name| clone.join(name)) {
            std::fs::create_dir(&checkout).unwrap();
            std::fs::write(checkout.join("requirements.txt"), "requests==2.31.0\n").unwrap();
        }
        std::fs::write(clone.join("app.tar.gz"), "an archive").unwrap();
        let root = stage.world.sandbox.trusted_root();
        std::fs::copy(root, clone.join("trusted_root.json")).unwrap();
        let bake = serde_json::json!({ "target": { "default": {
            "context": ".", "platforms": ["linux/amd64"], "tags": ["ghcr.io/octo/app:v1"],
        } } });
        std::fs::write(clone.join("docker-bake.json"), bake.to_string()).unwrap();
        stage.program();
        stage
    }

    fn clone(&self) -> std::path::PathBuf {
        self.world.folder.path().join("clone")
    }

    /// The program, told where this world's services are; `sandbox` only reads its arguments, as it
    /// would serve without end.
    fn program(&self) {
        let bin = self.world.folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let program = env!("CARGO_BIN_EXE_supply-action");
        let (root, config) =
            (self.world.sandbox.trusted_root().display(), self.world.sandbox.signing_config());
        let config = config.display();
        let (issuer, osv) = (&self.issuer, self.world.sandbox.osv());
        let script = format!(
            "#!/bin/sh\nverb=$1\nshift\ncase $verb in\n\
             verify) case $* in *oidc-issuer*) ;; *) set -- --certificate-oidc-issuer {issuer} \"$@\" ;; esac\n\
             exec {program} verify --trusted-root {root} \"$@\" ;;\n\
             verify-bundle) exec {program} verify-bundle --trusted-root {root} \"$@\" ;;\n\
             sign-bundle) exec {program} sign-bundle --signing-config {config} --trusted-root {root} \"$@\" ;;\n\
             advisories) exec {program} advisories \"$@\" --from {osv} ;;\n\
             promote) exec {program} promote -i trusted-root={root} -i certificate-oidc-issuer={issuer} \"$@\" ;;\n\
             scan) exec {program} scan --osv-url {osv} \"$@\" ;;\n\
             sandbox) exec {program} sandbox \"$@\" --help ;;\n\
             *) exec {program} $verb \"$@\" ;;\nesac\n"
        );
        let file = bin.join("supply-action");
        std::fs::write(&file, script).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    async fn token(&self) -> String {
        let env: BTreeMap<String, String> = self.world.sandbox.environment().into_iter().collect();
        let answer = reqwest::Client::new()
            .get(format!("{}&audience=sigstore", env["ACTIONS_ID_TOKEN_REQUEST_URL"]))
            .bearer_auth(&env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
            .send()
            .await
            .unwrap();
        answer.json::<Value>().await.unwrap()["value"].as_str().unwrap().to_owned()
    }

    /// The names of this world in place of those of the pages.
    fn here(&self, command: &str) -> String {
        command
            .replace("OWNER/REPO", "octo/app")
            .replace("registry.lan", &format!("{}/lan", self.world.sandbox.registry()))
            .replace("ghcr.io/octo/app", &format!("{}/octo/app", self.world.sandbox.registry()))
            .replace("https://token.actions.githubusercontent.com/ENTERPRISE", &self.issuer)
            .replace("https://token.actions.githubusercontent.com", &self.issuer)
    }

    async fn run(&self, command: &str) -> (bool, String) {
        let path = format!(
            "{}:{}",
            self.world.folder.path().join("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let output = tokio::process::Command::new("sh")
            .args(["-c", &self.here(command)])
            .current_dir(self.clone())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.world.folder.path())
            .env("BUILDX", &self.world.env["BUILDX"])
            .env("SUPPLY_ACTION_SCANNER", &self.world.env["SUPPLY_ACTION_SCANNER"])
            .env("SUPPLY_ACTION_BUILDER", "unix:///nowhere")
            .env("GITHUB_API_URL", &self.world.env["GITHUB_API_URL"])
            .env("SIGSTORE_ID_TOKEN", self.token().await)
            .output()
            .await
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}

/// The same image, of which the workflow that promotes says that it verified it.
async fn promoted(world: &mut World, image: &str, issuer: &str) {
    let claims = || Claims::of("octo/app", "refs/tags/v1.2.3", "push");
    let workflow = "octo/app/.github/workflows/promote.yml@refs/tags/v1.2.3".to_owned();
    world.act_as(Claims { job_workflow_ref: workflow, ..claims() });
    let source = format!("{image}:v1.2.3");
    let inputs = [
        ("INPUT_SOURCE", source.as_str()),
        ("INPUT_DESTINATIONS", image),
        ("INPUT_CERTIFICATE-OIDC-ISSUER", issuer),
        ("INPUT_VERIFICATION-SUMMARY", "true"),
        ("INPUT_ALLOW-ANY-BRANCH", "true"),
    ];
    let run = world.run(&["promote"], &inputs).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    world.act_as(claims());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_ours_does_what_the_page_shows() {
    let stage = Stage::new().await;
    let mut count = 0;
    for (place, block) in all().into_iter().filter(|(_, block)| block.language == "sh") {
        for command in commands(&block.text) {
            if !command.starts_with("supply-action ") {
                continue;
            }
            count += 1;
            let (success, said) = stage.run(&command).await;
            assert!(success, "{place}: {command}: {said}");
        }
    }
    assert!(count > 20, "{count}");
}

/// What the reader is told to write is what the examples' own tests run.
#[test]
fn the_first_workflow_is_an_example() {
    for page in ["README.md", "docs/getting-started.md"] {
        let first = blocks(&read(page)).into_iter().find(|block| block.language == "yaml").unwrap();
        assert_eq!(first.file.as_deref(), Some("examples/workflows/start.yml"), "{page}");
    }
    assert!(root().join("examples/workflows/start.yml").exists());
}
