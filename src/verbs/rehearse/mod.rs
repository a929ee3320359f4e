//! `supply-action rehearse`: the pipeline of `publish`, unchanged, against the embedded sandbox;
//! ends with everything on disk.

mod offline;
mod play;
mod step;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use self::play::Played;
use crate::environment::Environment;
use crate::error::{OrRemedy as _, Remedy as _, WithExit, exit};
use crate::evidence::EvidenceFormat;
use crate::files::OpenFolder;
use crate::github::git;
use crate::image::Digest;
use crate::publish::Published;
use crate::registry::{Credentials, Registry};
use crate::report::Report;
use crate::sandbox::{self, Sandbox};
use crate::summary;
use crate::summary::commands::Command;
use crate::verbs::evidence_dir::{self, EvidenceFile};

/// Where the repository of a rehearsal would lie.
const SERVER: &str = "https://github.com";

/// An action as a word of the command line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ActionWord {
    #[default]
    Publish,
    Merge,
    Bake,
}

/// Arguments of `supply-action rehearse`.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// The folder to build
    #[arg(default_value = ".")]
    pub context: PathBuf,
    /// Dockerfile, if it is not in the context
    #[arg(short, long)]
    pub file: Option<PathBuf>,
    /// Platforms to build, separated by commas; by default linux/amd64,linux/arm64, or what the
    /// workflow says
    #[arg(long)]
    pub platforms: Option<String>,
    /// Tags to set at the end, separated by commas; by default those of a push of tag v1.2.3
    #[arg(short, long, default_value = "")]
    pub tags: String,
    /// Build arguments, NAME=value
    #[arg(long = "build-arg")]
    pub build_args: Vec<String>,
    /// An input of action.yml as NAME=VALUE, which wins over the options here
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = crate::verbs::input)]
    pub inputs: Vec<(String, String)>,
    /// Which of the actions to rehearse; merge builds each platform by itself first, and bake takes
    /// the folder's bake files
    #[arg(long, value_enum, default_value_t)]
    pub action: ActionWord,
    /// The workflow whose step is to be rehearsed: its inputs, with what can be known of its
    /// expressions
    #[arg(long, value_name = "FILE")]
    pub workflow: Option<PathBuf>,
    /// Which step of the workflow, as JOB/ID, JOB or ID; by default the one that uses this action
    #[arg(long, value_name = "STEP", requires = "workflow")]
    pub step: Option<String>,
    /// The ref to play; by default refs/tags/v1.2.3 for a push or a release, refs/pull/1/merge for
    /// a pull request, else refs/heads/main
    #[arg(long = "ref")]
    pub git_ref: Option<String>,
    /// The event to play, such as pull_request
    #[arg(long, value_name = "NAME", default_value = "push")]
    pub event_name: String,
    /// The payload of the event, as JSON
    #[arg(long, value_name = "FILE")]
    pub event: Option<PathBuf>,
    /// Where evidence, image and bundles are kept; by default `rehearsal`, or a folder outside of
    /// the context where that would lie in it
    #[arg(short, long)]
    pub out: Option<PathBuf>,
    /// BuildKit's address; without it, Docker's buildx is used
    #[arg(long, env = "SUPPLY_ACTION_BUILDER")]
    pub builder_endpoint: Option<String>,
    /// OCI layouts to put into the registry first, under the names their index gives them
    #[arg(long)]
    pub preload: Vec<PathBuf>,
    /// The registry's port; any free one by default
    #[arg(long)]
    pub registry_port: Option<u16>,
    /// Keep the services up afterwards, until interrupted
    #[arg(long)]
    pub serve: bool,
}

pub async fn run(arguments: &Rehearse, env: &Environment, report: &Report) -> anyhow::Result<()> {
    let out = place(arguments, env).context("nothing was rehearsed")?;
    let state = tempfile::Builder::new()
        .prefix("supply-action-sandbox-")
        .tempdir()
        .context("no folder for the sandbox")?;
    let mut config = sandbox::SandboxConfig::new(state.path().to_owned());
    config.registry_port = arguments.registry_port;
    config.preload = arguments.preload.clone();
    let name = name_of(&arguments.context);
    let git_ref = played_ref(arguments);
    config.claims = match git::origin(arguments.context.clone(), SERVER).await {
        Some(origin) => {
            // What GitHub says of a repository of one's own, nobody asks it in a rehearsal.
            config.about = None;
            sandbox::Claims {
                sha: origin.sha.clone(),
                workflow_sha: origin.sha,
                ..sandbox::Claims::of(&origin.repository, &git_ref, &arguments.event_name)
            }
        }
        None => sandbox::Claims::of(&format!("example/{name}"), &git_ref, &arguments.event_name),
    };
    // Whom users will have to name: the workflow's own file.
    if let Some(file) = arguments.workflow.as_deref().and_then(Path::file_name) {
        let (path, played) = (file.to_string_lossy(), config.claims.clone());
        let workflow = format!("{}/.github/workflows/{path}@{git_ref}", played.repository);
        config.claims.workflow_ref.clone_from(&workflow);
        config.claims.job_workflow_ref = workflow;
    }
    let whose = config.claims.repository.clone();
    let world = sandbox::start(config)
        .await
        .context("nothing was rehearsed: the sandbox could not start")?;
    report.say(&format!(
        "rehearsing {} in `{whose}`: `{}` against a registry ({}) and a Sigstore on this machine; nothing leaves it",
        match arguments.event_name.as_str() {
            "push" => format!("a push of `{git_ref}`"),
            event => format!("`{event}` of `{git_ref}`"),
        },
        arguments.context.display(),
        world.registry()
    ));
    let result = rehearse(arguments, &out, env, (&world, &whose), report).await;
    if result.is_ok() && arguments.serve {
        report.say(&format!(
            "serving until interrupted: registry {}, environment `. {}`",
            world.registry(),
            state.path().join("sandbox.env").display()
        ));
        report.serve();
        std::future::pending::<()>().await;
    }
    world.stop().await;
    result
}

/// The ref that an event is usually about.
fn played_ref(arguments: &Rehearse) -> String {
    let usual = match arguments.event_name.as_str() {
        "push" | "release" | "create" => "refs/tags/v1.2.3",
        event if event.starts_with("pull_request") => "refs/pull/1/merge",
        _ => "refs/heads/main",
    };
    arguments.git_ref.clone().unwrap_or_else(|| usual.to_owned())
}

async fn rehearse(
    arguments: &Rehearse,
    out: &Path,
    env: &Environment,
    (world, repository): (&Sandbox, &str),
    report: &Report,
) -> anyhow::Result<()> {
    let root = world.trusted_root();
    let whose = summary::markdown::SummaryRun { server: SERVER, repository };
    let shown = |published: &Published| {
        // Afterwards nobody serves the image, and what is kept is checked where it lies.
        let commands = match arguments.serve {
            true => summary::commands::commands(published, Some(root)),
            false => kept_commands(published),
        };
        let (stages, elapsed) = (report.stages(), report.elapsed());
        summary::markdown::summary(published, &commands, &whose, &stages, elapsed)
    };
    match play::play(arguments, env, world, report).await? {
        Played::Nothing => {}
        Played::One(published) => {
            let markdown = shown(&published);
            report.stage("keep", keep(out, root, &published, &markdown)).await?;
            for line in summary::picture::picture(
                &published,
                &report.stages(),
                report.elapsed(),
                report.width(),
            ) {
                report.say(&line);
            }
            say_kept(out, &published, report);
        }
        Played::Several(targets) => {
            for (target, published) in &targets {
                let (out, markdown) = (out.join(target), shown(published));
                report.stage("keep", keep(&out, root, published, &markdown)).await?;
                say_kept(&out, published, report);
            }
        }
    }
    Ok(())
}

/// What checks a rehearsal that is over, in the folder of its summary.
fn kept_commands(published: &Published) -> Vec<Command> {
    let evidence = &published.evidence;
    let ours = summary::commands::of_layout("image", evidence, Path::new("trusted_root.json"));
    let of = |checks: &str, text: String| Command { checks: checks.to_owned(), text };
    vec![
        of("every bundle, with cosign 3", "sh verify.sh".to_owned()),
        of("all of it, with this program", ours),
    ]
}

/// What lies where, and how it is checked.
fn say_kept(out: &Path, published: &Published, report: &Report) {
    let shown = out.display();
    report.say(&format!("evidence:   {shown}/evidence.json"));
    report.say(&format!("image:      {shown}/image (OCI layout with every bundle)"));
    report
        .say(&format!("bundles:    {shown}/bundles, to be checked with {shown}/trusted_root.json"));
    let check = summary::commands::of_layout(
        &format!("{shown}/image"),
        &published.evidence,
        &out.join("trusted_root.json"),
    );
    report.say(&format!("summary:    {shown}/summary.md, as the workflow's run shows it"));
    report.say(&format!("check it:   {check}"));
    report.say(&format!("or with cosign 3: sh {shown}/verify.sh"));
}

/// Where results are kept. What lies in the context is sent to the next build and becomes part of
/// its image.
fn place(arguments: &Rehearse, env: &Environment) -> anyhow::Result<PathBuf> {
    let context = &arguments.context;
    let asked = arguments.out.clone().unwrap_or_else(|| PathBuf::from("rehearsal"));
    if !lies_in(&asked, context) || is_ignored(&asked, context) {
        return Ok(asked);
    }
    if arguments.out.is_some() {
        let (asked, context) = (asked.display(), context.display());
        let message = format!(
            "`--out {asked}` is inside the context `{context}`, so the next build would send it"
        );
        return Err(WithExit { code: exit::BAD_INPUT, message })
            .hint("name a folder outside of the context, or add it to `.dockerignore`");
    }
    let home = |name: &str, below: &str| {
        env.get(name).filter(|path| !path.is_empty()).map(|path| Path::new(path).join(below))
    };
    let state = home("XDG_STATE_HOME", "")
        .or_else(|| home("HOME", ".local/state"))
        .unwrap_or_else(std::env::temp_dir);
    Ok(state.join("supply-action/rehearsals").join(name_of(context)))
}

/// Whether a path lies in a folder, links followed as far as the path exists.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = absolute.ancestors().find_map(|there| {
        Some(there.canonicalize().ok()?.join(absolute.strip_prefix(there).ok()?))
    });
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    real.is_some_and(|real| real.starts_with(folder))
}

/// Whether `.dockerignore` names the path as it is. A pattern that might match it does not count:
/// the safe answer is that it does not.
fn is_ignored(path: &Path, context: &Path) -> bool {
    let Ok(lines) = fs::read_to_string(context.join(".dockerignore")) else { return false };
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Ok(folder) = std::path::absolute(context) else { return false };
    let Ok(inside) = absolute.strip_prefix(folder) else { return false };
    let lines: Vec<&str> = lines.lines().map(str::trim).collect();
    let names = |line: &&str| Path::new(line.trim_start_matches("**/").trim_matches('/')) == inside;
    lines.iter().any(names) && !lines.iter().any(|line| line.starts_with('!'))
}

/// The image is called as its folder is, made legal.
fn name_of(context: &Path) -> String {
    let folder = context.canonicalize().unwrap_or_else(|_| context.to_owned());
    let name: String = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    let name = name
        .trim_matches('-')
        .split('-')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    if name.is_empty() { "app".to_owned() } else { name }
}

/// Writes image, evidence, bundles, trust, commands, and the job summary as a workflow shows it.
async fn keep(
    out: &Path,
    root: &Path,
    published: &Published,
    markdown: &str,
) -> anyhow::Result<((), String)> {
    let bundles = out.join("bundles");
    // Of an earlier rehearsal nothing may be left that looks like this one's.
    for old in [out.join("image"), bundles.clone()] {
        if old.exists() {
            fs::remove_dir_all(&old)
                .with_context(|| format!("`{}` is in the way", old.display()))?;
        }
    }
    let here = Path::new("");
    let made = OpenFolder::make(out, here).and_then(|folder| {
        [&bundles, &out.join("image")]
            .map(|below| OpenFolder::make(below, here))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map(|_| folder)
    });
    let folder = made.remedied().with_context(|| format!("`{}` cannot be made", out.display()))?;
    let registry =
        Registry::new(crate::github::network::Network::default().client()?, Credentials::default());
    let names: Vec<String> = published.names.iter().map(|name| name.tag.to_string()).collect();
    let image = &published.images[0];
    let subjects: Vec<Digest> =
        published.evidence.subjects.iter().map(|subject| subject.digest.clone()).collect();
    crate::verbs::layout::write(&registry, image, &names, &subjects, &out.join("image")).await?;
    folder
        .write(
            Path::new("evidence.json"),
            serde_json::to_string_pretty(&summary::evidence(published))?.as_bytes(),
        )
        .remedied()?;
    folder.write(Path::new("trusted_root.json"), &fs::read(root)?).remedied()?;
    folder.write(Path::new("summary.md"), markdown.as_bytes()).remedied()?;
    let checks = evidence_dir::evidence_files(published, EvidenceFormat::Bundle);
    for check in &checks {
        fs::copy(
            out.join("image/blobs/sha256").join(check.statement.bundle.hex()),
            bundles.join(bundle_file(check)),
        )?;
    }
    folder.write(Path::new("verify.sh"), script(published, &checks).as_bytes()).remedied()?;
    Ok((
        (),
        format!(
            "{} and {} in `{}`",
            "the image",
            crate::text::plural(checks.len(), "bundle"),
            out.display()
        ),
    ))
}

fn bundle_file(file: &EvidenceFile<'_>) -> String {
    format!("{}.sigstore.json", file.stem)
}

/// A script that checks every bundle with cosign, offline, without the registry.
fn script(published: &Published, checks: &[EvidenceFile<'_>]) -> String {
    let who = summary::commands::who(&published.evidence);
    let mut text =
        "#!/bin/sh\n# Checks every bundle of this rehearsal with cosign 3, offline.\nset -eu\ncd \"$(dirname \"$0\")\"\n".to_owned();
    for check in checks {
        text.push_str(&format!(
            "cosign verify-blob-attestation --trusted-root trusted_root.json --bundle bundles/{} --type {} {who} --digest {} --digestAlg sha256\n",
            crate::report::shell::quoted(&bundle_file(check)),
            crate::report::shell::quoted(&check.statement.predicate_type),
            check.subject.hex(),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(context: &Path, out: Option<&Path>) -> Rehearse {
        Rehearse {
            context: context.to_owned(),
            file: None,
            platforms: None,
            tags: String::new(),
            build_args: Vec::new(),
            inputs: Vec::new(),
            git_ref: None,
            event_name: "push".to_owned(),
            event: None,
            action: ActionWord::Publish,
            workflow: None,
            step: None,
            out: out.map(Path::to_owned),
            builder_endpoint: None,
            preload: Vec::new(),
            registry_port: None,
            serve: false,
        }
    }

    #[test]
    fn what_is_kept_does_not_reach_the_next_build() {
        let (folder, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let context = folder.path().join("Web App");
        let link = folder.path().join("link");
        fs::create_dir(&context).unwrap();
        std::os::unix::fs::symlink(&context, &link).unwrap();
        let env = Environment::from([("HOME".to_owned(), home.path().display().to_string())]);
        let place = |out: Option<&Path>| place(&asked(&context, out), &env);
        for inside in [
            context.join("rehearsal"),
            context.join("a/b"),
            link.join("rehearsal"),
            context.join("../Web App/x"),
        ] {
            let error = place(Some(&inside)).unwrap_err();
            assert!(
                crate::error::message(&error).contains("the next build would send it"),
                "{inside:?}"
            );
            assert_eq!(crate::error::hints(&error).len(), 1);
        }
        let outside = folder.path().join("rehearsal");
        assert_eq!(place(Some(&outside)).unwrap(), outside);
        // The working folder of a test is not this context.
        assert_eq!(place(None).unwrap(), Path::new("rehearsal"));
        let here = std::env::current_dir().unwrap();
        let kept = super::place(&asked(&here, None), &env).unwrap();
        assert_eq!(
            kept,
            home.path().join(".local/state/supply-action/rehearsals").join(name_of(&here))
        );
        fs::write(context.join(".dockerignore"), "*.md\n/rehearsal/\n").unwrap();
        assert_eq!(place(Some(&context.join("rehearsal"))).unwrap(), context.join("rehearsal"));
        fs::write(context.join(".dockerignore"), "rehearsal\n!rehearsal/image\n").unwrap();
        place(Some(&context.join("rehearsal"))).unwrap_err();
    }
}
