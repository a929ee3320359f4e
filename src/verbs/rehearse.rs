//! `supply-action rehearse`: the pipeline of `publish`, unchanged, against the embedded sandbox; ends with everything on disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::github::{Context, Environment, facts};
use crate::inputs::{Inputs, signing_key};
use crate::plan::{self, Plan};
use crate::publish::Published;
use crate::registry::{Credentials, Registry};
use crate::report::Report;
use crate::sandbox::{self, Sandbox};
use crate::summary;
use crate::verify::policy::{Format, Part};

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
    /// Where evidence, image and bundles are kept
    #[arg(short, long, default_value = "rehearsal")]
    pub out: PathBuf,
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
    let state = tempfile::Builder::new().prefix("supply-action-sandbox-").tempdir().context("no folder for the sandbox")?;
    let mut config = sandbox::Config::new(state.path().to_owned());
    config.registry_port = arguments.registry_port;
    config.preload = arguments.preload.clone();
    config.claims = sandbox::Claims::of("example/hello", "refs/tags/v1.2.3", "push");
    let world = sandbox::start(config).await.context("nothing was rehearsed: the sandbox could not start")?;
    report.say(&format!(
        "rehearsing `{}` against a registry ({}) and a Sigstore on this machine; nothing leaves it",
        arguments.context.display(),
        world.registry()
    ));
    let result = rehearse(arguments, env, &world, report).await;
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

async fn rehearse(arguments: &Rehearse, env: &Environment, world: &Sandbox, report: &Report) -> anyhow::Result<()> {
    let env = environment(arguments, env, world);
    let context = Context::new(&env);
    let inputs = Inputs::read(&env, &context).context("nothing was rehearsed")?;
    let facts = facts::gather(&context, &env, None, inputs.wanted(jiff::Timestamp::now())).await.context("nothing was rehearsed")?;
    let plan = plan::plan(&inputs, &context, &env, &facts).context("nothing was rehearsed")?;
    super::publish::say_plan(&plan.lines(), plan.about(), report);
    let Plan::Publish(plan) = plan else { anyhow::bail!("a rehearsal publishes") };
    let published =
        super::publish::publish(&env, &context, &inputs, &plan, report).await.context("the release would fail: nothing was tagged")?;
    report.stage("keep", keep(arguments, &inputs, &published)).await?;
    for line in summary::picture::picture(&published, &report.stages(), report.elapsed(), report.width()) {
        report.say(&line);
    }
    let out = arguments.out.display();
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
    made
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
async fn keep(arguments: &Rehearse, inputs: &Inputs, published: &Published) -> anyhow::Result<((), String)> {
    let out = &arguments.out;
    let bundles = out.join("bundles");
    // Of an earlier rehearsal nothing may be left that looks like this one's.
    for old in [out.join("image"), bundles.clone()] {
        if old.exists() {
            fs::remove_dir_all(&old).with_context(|| format!("`{}` is in the way", old.display()))?;
        }
    }
    fs::create_dir_all(&bundles).with_context(|| format!("`{}` cannot be made", out.display()))?;
    let registry = Registry::new(super::release::http_client()?, Credentials::default());
    let names: Vec<String> = published.names.iter().map(|name| name.tag.to_string()).collect();
    let image = &published.images[0];
    super::layout::write(&registry, image, &names, &out.join("image")).await?;
    fs::write(out.join("evidence.json"), serde_json::to_string_pretty(&summary::evidence(published))?)?;
    let root = inputs.trusted_root.as_ref().context("a rehearsal has a trusted root")?;
    fs::copy(root, out.join("trusted_root.json"))?;
    let checks = bundle_files(published);
    for check in &checks {
        fs::copy(out.join("image/blobs/sha256").join(check.bundle.hex()), bundles.join(&check.file))?;
    }
    fs::write(out.join("verify.sh"), script(published, &checks))?;
    Ok(((), format!("{} and {} in `{}`", "the image", super::release::plural(checks.len(), "bundle"), out.display())))
}

/// A bundle on disk and what it proves.
struct BundleFile {
    file: PathBuf,
    bundle: crate::image::Digest,
    subject: crate::image::Digest,
    predicate_type: String,
}

fn bundle_files(published: &Published) -> Vec<BundleFile> {
    let mut files = Vec::new();
    for subject in &published.evidence.subjects {
        let platform = subject.platform.as_ref().map_or_else(|| "index".to_owned(), |platform| platform.to_string().replace('/', "-"));
        let part = if subject.kind == Part::Attestations { format!("{platform}-attestations") } else { platform };
        let statements = subject.signatures.iter().chain(&subject.attestations);
        for statement in statements.filter(|statement| statement.format == Format::Bundle) {
            let kind = match statement.predicate_type.as_str() {
                crate::sigstore::SIGNATURE_PREDICATE => "signature",
                crate::verify::policy::SPDX | crate::verify::policy::CYCLONEDX => "sbom",
                _ => "provenance",
            };
            files.push(BundleFile {
                file: format!("{part}.{kind}.sigstore.json").into(),
                bundle: statement.bundle.clone(),
                subject: subject.digest.clone(),
                predicate_type: statement.predicate_type.clone(),
            });
        }
    }
    files
}

/// A script that checks every bundle with cosign, offline, without the registry.
fn script(published: &Published, checks: &[BundleFile]) -> String {
    let who = summary::commands::who(&published.evidence);
    let mut text =
        "#!/bin/sh\n# Checks every bundle of this rehearsal with cosign 3, offline.\nset -eu\ncd \"$(dirname \"$0\")\"\n".to_owned();
    for check in checks {
        text.push_str(&format!(
            "cosign verify-blob-attestation --trusted-root trusted_root.json --bundle bundles/{} --type {} {who} --digest {} --digestAlg sha256\n",
            check.file.display(),
            check.predicate_type,
            check.subject.hex(),
        ));
    }
    text
}
