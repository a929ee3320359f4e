//! `supply-action rehearse`: the pipeline of `publish`, unchanged, against the embedded sandbox; ends with everything on disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::evidence_dir::{self, EvidenceFile};
use crate::error::{OrRemedy as _, Remedy as _, WithExit, exit};
use crate::files::Folder;
use crate::github::{Context, Environment, facts, git};
use crate::inputs::{Inputs, signing_key};
use crate::plan::{self, Plan};
use crate::publish::Published;
use crate::registry::{Credentials, Registry};
use crate::report::Report;
use crate::sandbox::{self, Sandbox};
use crate::summary;
use crate::verify::policy::Format;

/// Where the repository of a rehearsal would lie.
const SERVER: &str = "https://github.com";

/// What `rehearse` may be told.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// The folder to build
    #[arg(default_value = ".")]
    pub context: PathBuf,
    /// Dockerfile, if it is not in the context
    #[arg(short, long)]
    pub file: Option<PathBuf>,
    /// Platforms to build
    #[arg(long, default_value = "linux/amd64,linux/arm64")]
    pub platforms: String,
    /// Tags to put at the end, separated by commas; by default those of a push of tag v1.2.3
    #[arg(short, long, default_value = "")]
    pub tags: String,
    /// Build arguments, NAME=value
    #[arg(long = "build-arg")]
    pub build_args: Vec<String>,
    /// An input of action.yml as NAME=VALUE, which wins over the options here
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = super::input)]
    pub inputs: Vec<(String, String)>,
    /// The ref to play a push of
    #[arg(long = "ref", default_value = "refs/tags/v1.2.3")]
    pub git_ref: String,
    /// Where evidence, image and bundles are kept; by default `rehearsal`, or a folder outside of the context where that would lie in it
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
    let state = tempfile::Builder::new().prefix("supply-action-sandbox-").tempdir().context("no folder for the sandbox")?;
    let mut config = sandbox::Config::new(state.path().to_owned());
    config.registry_port = arguments.registry_port;
    config.preload = arguments.preload.clone();
    let name = name_of(&arguments.context);
    config.claims = match git::origin(arguments.context.clone(), SERVER).await {
        Some(origin) => {
            // What GitHub says of a repository of one's own, nobody asks it in a rehearsal.
            config.about = None;
            sandbox::Claims {
                sha: origin.sha.clone(),
                workflow_sha: origin.sha,
                ..sandbox::Claims::of(&origin.repository, &arguments.git_ref, "push")
            }
        }
        None => sandbox::Claims::of(&format!("example/{name}"), &arguments.git_ref, "push"),
    };
    let whose = config.claims.repository.clone();
    let world = sandbox::start(config).await.context("nothing was rehearsed: the sandbox could not start")?;
    report.say(&format!(
        "rehearsing a push of `{}` to `{whose}`: `{}` against a registry ({}) and a Sigstore on this machine; nothing leaves it",
        arguments.git_ref,
        arguments.context.display(),
        world.registry()
    ));
    let result = rehearse(arguments, &out, env, &world, report).await;
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

async fn rehearse(arguments: &Rehearse, out: &Path, env: &Environment, world: &Sandbox, report: &Report) -> anyhow::Result<()> {
    let env = environment(arguments, env, world);
    let context = Context::new(&env);
    let inputs = Inputs::read(&env, &context).context("nothing was rehearsed")?;
    let facts = facts::gather(&context, &env, None, inputs.wanted(jiff::Timestamp::now(), &context.git_ref))
        .await
        .context("nothing was rehearsed")?;
    let plan = plan::plan(&inputs, &context, &env, &facts).context("nothing was rehearsed")?;
    super::publish::say_plan(&plan.words(), plan.about(), report);
    let Plan::Publish(plan) = plan else { anyhow::bail!("nothing was rehearsed: {}", plan.about().reason) };
    let published =
        super::publish::publish(&env, &context, &inputs, &plan, report).await.context("the release would fail: nothing was tagged")?;
    report.stage("keep", keep(out, &inputs, &published)).await?;
    for line in summary::picture::picture(&published, &report.stages(), report.elapsed(), report.width()) {
        report.say(&line);
    }
    let out = out.display();
    report.say(&format!("evidence:   {out}/evidence.json"));
    report.say(&format!("image:      {out}/image (OCI layout with every bundle)"));
    report.say(&format!("bundles:    {out}/bundles, to be checked with {out}/trusted_root.json"));
    report.say(&format!("check it:   sh {out}/verify.sh   (needs cosign 3)"));
    Ok(())
}

/// The environment a workflow on a tag push would have, with the sandbox's services in place of GitHub's and Sigstore's.
fn environment(arguments: &Rehearse, env: &Environment, world: &Sandbox) -> Environment {
    let mut made: Environment = env
        .iter()
        // A key's real signatures are not for rehearsals.
        .filter(|(name, _)| !["INPUT_", "GITHUB_", "ACTIONS_", signing_key::KEY].iter().any(|prefix| name.starts_with(prefix)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    made.extend(world.environment());
    let input = |name: &str, value: String| (format!("INPUT_{name}"), value);
    made.extend([
        input("IMAGES", format!("{}/{}", world.registry(), name_of(&arguments.context))),
        input("TAGS", arguments.tags.replace(',', "\n")),
        input("PLATFORMS", arguments.platforms.clone()),
        input("CONTEXT", arguments.context.display().to_string()),
        input("BUILD-ARGS", arguments.build_args.join("\n")),
        input("SIGNING-CONFIG", world.signing_config().display().to_string()),
        input("TRUSTED-ROOT", world.trusted_root().display().to_string()),
        input("BUILDER-ENDPOINT", arguments.builder_endpoint.clone().unwrap_or_default()),
        // A builder in Docker sees this machine's loopback, where the registry is, only on the host's network.
        input("DRIVER-OPTS", if arguments.builder_endpoint.is_none() { "network=host".to_owned() } else { String::new() }),
        input("FILE", arguments.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default()),
    ]);
    made.extend(arguments.inputs.iter().map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), value.clone())));
    made
}

/// Where results are kept. What lies in the context is sent to the next build and becomes part of its image.
fn place(arguments: &Rehearse, env: &Environment) -> anyhow::Result<PathBuf> {
    let context = &arguments.context;
    let asked = arguments.out.clone().unwrap_or_else(|| PathBuf::from("rehearsal"));
    if !lies_in(&asked, context) || is_ignored(&asked, context) {
        return Ok(asked);
    }
    if arguments.out.is_some() {
        let (asked, context) = (asked.display(), context.display());
        let message = format!("`--out {asked}` lies in the context `{context}`, so the next build would send it");
        return Err(WithExit { code: exit::BAD_INPUT, message }).hint("name a folder outside of the context, or add it to `.dockerignore`");
    }
    let home = |name: &str, below: &str| env.get(name).filter(|path| !path.is_empty()).map(|path| Path::new(path).join(below));
    let state = home("XDG_STATE_HOME", "").or_else(|| home("HOME", ".local/state")).unwrap_or_else(std::env::temp_dir);
    Ok(state.join("supply-action/rehearsals").join(name_of(context)))
}

/// Whether a path lies in a folder, links followed as far as the path exists.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = absolute.ancestors().find_map(|there| Some(there.canonicalize().ok()?.join(absolute.strip_prefix(there).ok()?)));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    real.is_some_and(|real| real.starts_with(folder))
}

/// Whether `.dockerignore` names the path as it is. A pattern that might match it does not count: the safe answer is that it does not.
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
    let name = name.trim_matches('-').split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    if name.is_empty() { "app".to_owned() } else { name }
}

/// Writes image, evidence, bundles, trust and commands.
async fn keep(out: &Path, inputs: &Inputs, published: &Published) -> anyhow::Result<((), String)> {
    let bundles = out.join("bundles");
    // Of an earlier rehearsal nothing may be left that looks like this one's.
    for old in [out.join("image"), bundles.clone()] {
        if old.exists() {
            fs::remove_dir_all(&old).with_context(|| format!("`{}` is in the way", old.display()))?;
        }
    }
    let here = Path::new("");
    let made = Folder::make(out, here).and_then(|folder| {
        [&bundles, &out.join("image")].map(|below| Folder::make(below, here)).into_iter().collect::<Result<Vec<_>, _>>().map(|_| folder)
    });
    let folder = made.remedied().with_context(|| format!("`{}` cannot be made", out.display()))?;
    let registry = Registry::new(crate::github::network::Network::default().client()?, Credentials::default());
    let names: Vec<String> = published.names.iter().map(|name| name.tag.to_string()).collect();
    let image = &published.images[0];
    super::layout::write(&registry, image, &names, &out.join("image")).await?;
    folder.write(Path::new("evidence.json"), serde_json::to_string_pretty(&summary::evidence(published))?.as_bytes()).remedied()?;
    let root = inputs.trusted_root.as_ref().context("a rehearsal has a trusted root")?;
    folder.write(Path::new("trusted_root.json"), &fs::read(root)?).remedied()?;
    let checks = evidence_dir::evidence_files(published, Format::Bundle);
    for check in &checks {
        fs::copy(out.join("image/blobs/sha256").join(check.statement.bundle.hex()), bundles.join(bundle_file(check)))?;
    }
    folder.write(Path::new("verify.sh"), script(published, &checks).as_bytes()).remedied()?;
    Ok(((), format!("{} and {} in `{}`", "the image", super::release::plural(checks.len(), "bundle"), out.display())))
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
            summary::commands::quoted(&bundle_file(check)),
            summary::commands::quoted(&check.statement.predicate_type),
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
            platforms: String::new(),
            tags: String::new(),
            build_args: Vec::new(),
            inputs: Vec::new(),
            git_ref: String::new(),
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
        for inside in [context.join("rehearsal"), context.join("a/b"), link.join("rehearsal"), context.join("../Web App/x")] {
            let error = place(Some(&inside)).unwrap_err();
            assert!(crate::error::message(&error).contains("the next build would send it"), "{inside:?}");
            assert_eq!(crate::error::hints(&error).len(), 1);
        }
        let outside = folder.path().join("rehearsal");
        assert_eq!(place(Some(&outside)).unwrap(), outside);
        // The working folder of a test is not this context.
        assert_eq!(place(None).unwrap(), Path::new("rehearsal"));
        let here = std::env::current_dir().unwrap();
        let kept = super::place(&asked(&here, None), &env).unwrap();
        assert_eq!(kept, home.path().join(".local/state/supply-action/rehearsals").join(name_of(&here)));
        fs::write(context.join(".dockerignore"), "*.md\n/rehearsal/\n").unwrap();
        assert_eq!(place(Some(&context.join("rehearsal"))).unwrap(), context.join("rehearsal"));
        fs::write(context.join(".dockerignore"), "rehearsal\n!rehearsal/image\n").unwrap();
        place(Some(&context.join("rehearsal"))).unwrap_err();
    }
}
