//! `supply-action publish`: the pipeline as a table of contents, and what surrounds it: preflight, outputs, summary.

use anyhow::Context as _;
use futures_util::FutureExt as _;

use super::{store, trust};
use crate::attest::{self, AttestedImage, provenance::Workflow};
use crate::build::buildx::{Buildx, Place};
use crate::build::scanner::{self, Scanner};
use crate::build::{self, BuiltImage};
use crate::error::{self, OrRemedy as _, Remedy as _, exit};
use crate::github::api::Api;
use crate::github::{Context, Environment, facts, workflow};
use crate::image::{Digest, ImageRef};
use crate::inputs::{Inputs, OnTagConflict, lists, secret_texts};
use crate::login::{self, Asked};
use crate::metadata::Metadata;
use crate::plan::sbom::{Document, Sbom};
use crate::plan::{self, Plan};
use crate::preflight;
use crate::publish::{self, Baseline, Published, Terms};
use crate::registry::exchange::Endpoints;
use crate::registry::{Credentials, Registry};
use crate::report::Report;
use crate::sigstore::identity::{self, OidcToken};
use crate::sigstore::key::SigningKey;
use crate::sigstore::session::Session;
use crate::sigstore::verifier::{BundleVerifier, Signer};
use crate::sigstore::{self, Services};
use crate::summary;
use crate::verify::existing::Existing;
use crate::verify::policy::{Format, Policy, Requirements};
use crate::verify::{self, VerifiedImage};

/// The verb: everything a workflow step does.
pub async fn run(env: &Environment, report: &Report) -> anyhow::Result<()> {
    report.mask(&secret_texts(env));
    let context = Context::new(env);
    let mut inputs = Inputs::read(env, &context).context("nothing was built")?;
    let facts = facts::gather(&context, env, inputs.github_token.as_ref(), inputs.wanted(jiff::Timestamp::now()))
        .await
        .context("nothing was built")?;
    let plan = plan::plan(&inputs, &context, env, &facts).context("nothing was built")?;
    say_plan(&plan, report);
    match plan {
        Plan::BuildOnly(plan) => build_only(env, &context, &inputs, &plan, report).await,
        Plan::Publish(plan) => {
            trust::update(&mut inputs, env, &context, report).await.map_err(with_consequence)?;
            let published = publish(env, &context, &inputs, &plan, report).await.map_err(with_consequence)?;
            hand_over(&published, &plan.about.metadata, &context, &inputs, report)?;
            hand_over_metadata(Some(&published), &plan.about.metadata, env, &context, &inputs).context(UNWRITTEN)
        }
    }
}

/// What will be done opens every run's log.
pub(super) fn say_plan(plan: &Plan, report: &Report) {
    for line in plan.lines() {
        report.say(&line);
    }
    for notice in &plan.about().notices {
        report.notice(notice);
    }
}

/// A failure before the first name says so, because that is what a user wants to know.
fn with_consequence(error: anyhow::Error) -> anyhow::Error {
    let told = error::exit_code(&error) == exit::PARTLY_PUBLISHED || error::message(&error).starts_with("nothing was");
    if told { error } else { error.context("nothing was tagged") }
}

async fn build_only(env: &Environment, context: &Context, inputs: &Inputs, plan: &plan::BuildOnly, report: &Report) -> anyhow::Result<()> {
    let build = &plan.build;
    let private = private_folder(context)?;
    let place = Place { env, private: private.path(), terminal: report.is_terminal() };
    let notice = |text: &str| report.notice(text);
    let asked = Asked { logins: &inputs.registry_auth, images: &plan.images, env, context };
    let credentials = login::stored_credentials(&asked).context("nothing was built")?;
    let buildx = Buildx::set_up(&place, &credentials, &inputs.builder, &build.platforms, &notice).await.context("nothing was built")?;
    let built = report
        .stage("build", async {
            buildx.check(build).await?;
            Ok(((), format!("{} built, nothing pushed", plural(build.platforms.len(), "platform"))))
        })
        .await;
    buildx.close().await;
    built?;
    hand_over_metadata(None, &plan.about.metadata, env, context, inputs).context("everything built, but the workflow cannot be told")
}

/// What every stage of a release talks to.
pub struct Outside {
    http: reqwest::Client,
    registry: Registry,
    services: Services,
    verifier: BundleVerifier,
}

impl Outside {
    pub fn new(inputs: &Inputs, credentials: &Credentials) -> anyhow::Result<Self> {
        let http = http_client()?;
        let root = sigstore::load_trusted_root(inputs.trusted_root.as_deref())?;
        Ok(Self {
            registry: Registry::for_publishing(http.clone(), credentials.clone()),
            services: match &inputs.signing_key {
                None => Services::load(inputs.signing_config.as_deref())?,
                Some(_) => Services::load_for_key(inputs.signing_config.as_deref())?,
            },
            verifier: BundleVerifier::new(&root)?,
            http,
        })
    }
}

/// The pipeline.
pub async fn publish(
    env: &Environment,
    context: &Context,
    inputs: &Inputs,
    plan: &plan::Publish,
    report: &Report,
) -> anyhow::Result<Published> {
    let asked = Asked { logins: &inputs.registry_auth, images: &plan.images, env, context };
    let credentials = login::credentials(&asked, &Endpoints::default(), report).await.context("no login")?;
    let outside = Outside::new(inputs, &credentials)?;
    let requirements = possible(plan, &outside.services, report)?;
    // Declared before what uses it, so that it is removed after.
    let private = private_folder(context)?;
    let place = Place { env, private: private.path(), terminal: report.is_terminal() };
    let ready = report.stage("preflight", preflight(&outside, context, inputs, plan, &credentials, &place, report)).await?;
    let policy = Policy { signer: ready.authority.signer(context), requirements };
    let built = report.stage("build", build(env, plan, &outside, ready.buildx, &|text| report.notice(text))).await?;
    let attested = report.stage("prove", prove(&outside, context, ready.authority, built, &policy, plan.build.sbom.documents())).await?;
    let verified = report.stage("verify", verify_all(&outside, &attested, &policy)).await?;
    if let Some(github) = &ready.github {
        store::store(github, inputs, &attested, report).await?;
    }
    report.stage("publish", name(&outside, context, plan, &ready.baseline, &policy, verified, report)).await
}

/// The requirements that the services can meet: the older format needs a log of version 1.
fn possible(plan: &plan::Publish, services: &Services, report: &Report) -> anyhow::Result<Requirements> {
    let mut requirements = plan.requirements.clone();
    if requirements.formats.contains(&Format::Legacy) && services.rekor.as_ref().is_none_or(|rekor| rekor.version != 1) {
        let why = "the signing config names no transparency log of version 1, which `legacy` needs";
        if plan.formats_are_asked_for {
            return Err(anyhow::anyhow!("input `signature-formats`: {why}")).hint("leave `legacy` out, or name such a log");
        }
        report.notice(&format!("signatures and attestations are kept as bundles alone: {why}"));
        requirements.formats.retain(|format| *format != Format::Legacy);
    }
    Ok(requirements)
}

/// What the preflight found and set up.
struct Ready {
    authority: Authority,
    baseline: Baseline,
    buildx: Buildx,
    /// Where attestations are stored as well.
    github: Option<Api>,
}

/// In whose name this run signs.
pub enum Authority {
    /// This workflow's, by a certificate that is asked for when it is needed.
    Oidc(OidcToken),
    /// That of a key which the user gave, and of the workflow that the runner names.
    Key { key: SigningKey, workflow_ref: String },
}

impl Authority {
    async fn of_run(http: &reqwest::Client, context: &Context, inputs: &Inputs) -> anyhow::Result<Self> {
        let Some(key) = inputs.signing_key.clone() else { return identity::token(http, context).await.map(Self::Oidc) };
        if context.workflow_ref.is_empty() {
            return Err(anyhow::anyhow!("this run names no workflow, so its provenance could not say what built the image"))
                .hint("run it in a workflow, or set `GITHUB_WORKFLOW_REF` and the other variables that a runner sets");
        }
        Ok(Self::Key { key, workflow_ref: context.workflow_ref.clone() })
    }

    /// Who must be found to have signed.
    fn signer(&self, context: &Context) -> Signer {
        match self {
            Self::Oidc(token) => Signer::Keyless {
                identity: format!("{}/{}", context.server_url, token.unverified.job_workflow_ref),
                issuer: token.unverified.iss.clone(),
            },
            Self::Key { key, .. } => Signer::Key(key.public().clone()),
        }
    }

    /// The workflow that holds the job. Without an OIDC token nobody tells a reusable one, so it is the run's own.
    fn workflow_ref(&self) -> &str {
        match self {
            Self::Oidc(token) => &token.unverified.job_workflow_ref,
            Self::Key { workflow_ref, .. } => workflow_ref,
        }
    }

    /// Who signs, for people.
    fn shown(&self) -> String {
        match self {
            Self::Oidc(token) => format!("may sign as {}", token.unverified.job_workflow_ref),
            Self::Key { key, .. } => format!("signs with key {}", key.name()),
        }
    }

    async fn session(self, http: &reqwest::Client, context: &Context, services: &Services) -> anyhow::Result<Session> {
        match self {
            Self::Oidc(token) => {
                let token = identity::refreshed(http, context, token).await?;
                Session::open(http, services, &token).await.remedied()
            }
            Self::Key { key, .. } => Ok(Session::with_key(http, services, &key)),
        }
    }
}

/// Everything that can be known to fail before an hour of building, as one list: the right to sign and to push, what the names mean now,
/// the builder and its platforms, and what would become public.
async fn preflight(
    outside: &Outside,
    context: &Context,
    inputs: &Inputs,
    plan: &plan::Publish,
    credentials: &Credentials,
    place: &Place<'_>,
    report: &Report,
) -> anyhow::Result<(Ready, String)> {
    let Outside { http, registry, services, .. } = outside;
    let mut problems = preflight::Problems::default();
    problems.take(preflight::public_log(
        context.repository.as_deref().unwrap_or_default(),
        plan.private,
        services.rekor.as_ref().map(|rekor| rekor.url.as_str()),
        if plan.key.is_some() { preflight::TOLD_BY_KEY } else { preflight::TOLD_BY_CERTIFICATE },
        plan.allow_public_log,
    ));
    if plan.build.publishes_build_args() {
        let given: Vec<String> = plan.build.flags.values("--build-arg").map(str::to_owned).collect();
        problems.take(preflight::secret_build_args(&given));
    }
    let caches: Vec<&str> = plan.build.flags.values("--cache-to").collect();
    problems.take(preflight::cache_under_a_name(&caches, &plan.names()));
    problems.take(build::buildx::check_context(&plan.build));
    let notice = |text: &str| report.notice(text);
    let (authority, baseline, probes, buildx, github) = tokio::join!(
        Authority::of_run(http, context, inputs),
        Baseline::observe(registry, &plan.images, &plan.tags),
        futures_util::future::join_all(plan.images.iter().map(|repository| registry.probe_push(repository))),
        Buildx::set_up(place, credentials, &inputs.builder, &plan.build.platforms, &notice),
        store::keeper(context, inputs, report),
    );
    let github = problems.take(github).flatten();
    let authority = problems.take(authority);
    let baseline = problems.take(baseline);
    let buildx = problems.take(buildx);
    for probe in probes {
        problems.take(probe.remedied());
    }
    problems.into_result()?;
    let (Some(authority), Some(baseline), Some(buildx)) = (authority, baseline, buildx) else {
        anyhow::bail!("the preflight lost a result")
    };
    let policy = Policy { signer: authority.signer(context), requirements: plan.requirements.clone() };
    if plan.on_tag_conflict == OnTagConflict::Fail {
        taken_versions(outside, context, &policy, &baseline).await?;
    }
    let outcome = format!("{} and push to {}", authority.shown(), plural(plan.images.len(), "repository"));
    Ok((Ready { authority, baseline, buildx, github }, outcome))
}

/// A full version names one image for ever: refuses when it names one that no run of this commit published.
async fn taken_versions(outside: &Outside, context: &Context, policy: &Policy, baseline: &Baseline) -> anyhow::Result<()> {
    let mut problems = preflight::Problems::default();
    for (name, image) in baseline.taken().filter(|(name, _)| preflight::is_immutable(&name.tag)) {
        if !is_of_this_commit(outside, context, policy, &image).await {
            let taken = anyhow::anyhow!("`{name}` is taken: it names `{}`, which no run of this commit published", image.digest);
            problems.take(Err::<(), _>(taken).hint("publish under a new version, or set `on-tag-conflict: overwrite`"));
        }
    }
    problems.into_result()
}

/// Whether an image carries our evidence with a provenance of this very commit.
async fn is_of_this_commit(outside: &Outside, context: &Context, policy: &Policy, image: &ImageRef) -> bool {
    let theirs = verify::verify(&outside.registry, &outside.verifier, image, policy).await;
    theirs.is_ok_and(|theirs| !context.sha.is_empty() && theirs.commits().contains(&context.sha.as_str()))
}

/// Builds with what the preflight set up.
pub async fn build(
    env: &Environment,
    plan: &plan::Publish,
    outside: &Outside,
    buildx: Buildx,
    notice: &dyn Fn(&str),
) -> anyhow::Result<(BuiltImage, String)> {
    let scanner = our_scanner(env, plan, outside, &buildx, notice).await;
    let built = match scanner {
        Ok(scanner) => buildx.build(&outside.registry, &plan.build, &plan.images, scanner.as_ref()).await,
        Err(error) => Err(error),
    };
    buildx.close().await;
    let built = built?;
    let outcome = format!("{} for {}", built.root().digest, plural(built.platforms().len(), "platform"));
    Ok((built, outcome))
}

/// Our scanner image beside the image to be, or the one that `SUPPLY_ACTION_SCANNER` names: for builders of another architecture. `None`: BuildKit's
/// own generator, or none at all.
async fn our_scanner(
    env: &Environment,
    plan: &plan::Publish,
    outside: &Outside,
    buildx: &Buildx,
    notice: &dyn Fn(&str),
) -> anyhow::Result<Option<ImageRef>> {
    let Sbom::Ours { insist } = plan.build.sbom else { return Ok(None) };
    if let Some(named) = env.get("SUPPLY_ACTION_SCANNER") {
        return Ok(Some(named.parse().context("environment variable `SUPPLY_ACTION_SCANNER`")?));
    }
    let ours = scanner::platform()?;
    if !buildx.runs_everywhere(&ours) {
        let lacks = format!("a node of the builder does not run `{ours}`, which this action's scanner is made for");
        if insist {
            return Err(anyhow::anyhow!(lacks)).hint(
                "set `sbom: auto`, which takes BuildKit's generator there, or name a scanner for the builder with `SUPPLY_ACTION_SCANNER`",
            );
        }
        notice(&format!("{lacks}, so BuildKit's generator makes the SBOMs; they are checked before they are signed"));
        return Ok(None);
    }
    Scanner::of_this_program()?.ensure(&outside.registry, &plan.images[0]).await.map(Some)
}

/// Sign and attest: drafts are collected while the certificate is asked for, and signed while the signatures go up.
pub async fn prove(
    outside: &Outside,
    context: &Context,
    authority: Authority,
    built: BuiltImage,
    policy: &Policy,
    sboms: &[Document],
) -> anyhow::Result<(AttestedImage, String)> {
    let wanted = &policy.requirements;
    let Outside { http, registry, services, .. } = outside;
    let now = jiff::Timestamp::now();
    let workflow = Workflow::new(context, authority.workflow_ref());
    let repositories = built.repositories().to_vec();
    let empty_configs = futures_util::future::try_join_all(repositories.iter().map(|repository| registry.stage_empty_config(repository)));
    // Most images carry nothing yet; asking costs no time beside the certificate.
    let subjects: Vec<&Digest> = built.subjects().iter().map(|(_, subject)| &subject.digest).collect();
    let existing = Existing::read(registry, &outside.verifier, &repositories, &subjects, &policy.signer, &wanted.formats);
    let (session, drafts, existing, ()) = futures_util::try_join!(
        authority.session(http, context, services),
        attest::draft(registry, &built, &workflow, sboms),
        existing,
        async { empty_configs.await.remedied().map(drop) },
    )?;
    let by = if matches!(policy.signer, Signer::Key(_)) { "one key" } else { "one certificate" };
    let whole_envelopes = services.rekor.as_ref().is_some_and(|rekor| rekor.version == 1);
    let (drafts, left_out) = attest::lean::fitting(drafts, if whole_envelopes { attest::lean::ENVELOPE_LIMIT } else { usize::MAX })?;
    let (signatures, attestations) = (crate::sign::signed_parts(&built, wanted).len(), drafts.len());
    let drafts = attest::lacking(drafts, &repositories, &wanted.formats, &existing);
    let reused = if existing.is_empty() { String::new() } else { ", those that were there are reused".to_owned() };
    let (signed, sealed) = futures_util::try_join!(
        crate::sign::sign(registry, &session, built, wanted, &existing, now),
        attest::seal(registry, &session, &repositories, drafts, &wanted.formats, now),
    )?;
    let attested = attest::attest(registry, signed, sealed, &wanted.formats).await?;
    let left_out: String = left_out.iter().map(|told| format!("; {told}")).collect();
    let (signatures, attestations) = (plural(signatures, "signature"), plural(attestations, "attestation"));
    Ok((attested, format!("{signatures}, {attestations}, {by}{reused}{left_out}")))
}

/// Seconds that the clock of a log may be ahead of this machine's.
const CLOCKS: u32 = 10;

/// All repositories, before the first name is put on any.
pub async fn verify_all(outside: &Outside, attested: &AttestedImage, policy: &Policy) -> anyhow::Result<(Vec<VerifiedImage>, String)> {
    let images: Vec<ImageRef> = attested.built().images().collect();
    let mut patience = CLOCKS;
    let verified = loop {
        let checks = images.iter().map(|image| verify::verify(&outside.registry, &outside.verifier, image, policy));
        match futures_util::future::try_join_all(checks).await {
            // A log whose clock is ahead of ours has signed in our future; that passes.
            Err(error) if patience > 0 && error::message(&error).contains("is in the future") => {
                patience -= 1;
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            outcome => break outcome.context("what the registry holds does not verify")?,
        }
    };
    let statements: usize = verified
        .iter()
        .flat_map(|image| &image.evidence().subjects)
        .map(|subject| subject.signatures.len() + subject.attestations.len())
        .sum();
    Ok((verified, format!("{} read back and checked", plural(statements, "statement"))))
}

async fn name(
    outside: &Outside,
    context: &Context,
    plan: &plan::Publish,
    baseline: &Baseline,
    policy: &Policy,
    verified: Vec<VerifiedImage>,
    report: &Report,
) -> anyhow::Result<(Published, String)> {
    let same_commit = |image: ImageRef| async move { is_of_this_commit(outside, context, policy, &image).await }.boxed_local();
    let terms =
        Terms { baseline, rule: plan.on_tag_conflict, same_commit: &same_commit, on_put: &|name| report.say(&format!("put {name}")) };
    let published = publish::publish(&outside.registry, verified, &plan.tags, &terms).await?;
    let outcome = plural(published.names.len(), "name");
    Ok((published, outcome))
}

/// Outputs for later steps, the job summary, and on a terminal the picture of the run.
fn hand_over(published: &Published, metadata: &Metadata, context: &Context, inputs: &Inputs, report: &Report) -> anyhow::Result<()> {
    let commands = summary::commands::commands(published, inputs.trusted_root.as_deref());
    if let Some(file) = &context.output_file {
        for (name, value) in summary::outputs(published, metadata, &inputs.separators) {
            workflow::write_output(file, name, &value).with_context(|| format!("output `{name}`")).context(UNWRITTEN)?;
        }
    }
    if let (Some(file), Some(image)) = (&context.artifacts_file, published.images.first()) {
        workflow::append_artifact(file, &image.to_string()).context("the list of artifacts").context(UNWRITTEN)?;
    }
    if let Some(file) = &context.summary_file {
        let markdown = summary::markdown::summary(published, &commands, &report.stages(), report.elapsed());
        workflow::append_summary(file, &markdown).context("the job summary").context(UNWRITTEN)?;
    }
    for line in summary::picture::picture(published, &report.stages(), report.elapsed(), report.width()) {
        report.say(&line);
    }
    if let Some(first) = commands.first() {
        report.say(&format!("check it:  {}", first.text));
    }
    Ok(())
}

const UNWRITTEN: &str = "the image is published and its names are put, but the workflow cannot be told";

/// Metadata as outputs, as variables for later steps unless that is switched off, and as files for bake where they are asked for.
fn hand_over_metadata(
    published: Option<&Published>,
    metadata: &Metadata,
    env: &Environment,
    context: &Context,
    inputs: &Inputs,
) -> anyhow::Result<()> {
    let mut outputs = summary::metadata_outputs(metadata, &inputs.separators);
    if let Some(target) = &inputs.bake_target {
        let folder = context.workspace.clone().unwrap_or_default();
        for (output, content) in metadata.bake_files(target) {
            // Relative to the workspace, because a container's paths mean nothing to later steps.
            let name = format!("supply-action-{output}.json");
            std::fs::write(folder.join(&name), serde_json::to_string_pretty(&content)?).with_context(|| format!("file `{name}`"))?;
            outputs.push((output, name));
        }
    }
    if let Some(file) = &context.output_file {
        for (name, value) in &outputs {
            workflow::write_output(file, name, value).with_context(|| format!("output `{name}`"))?;
        }
    }
    let switched_off = env.get("DOCKER_METADATA_SET_OUTPUT_ENV").and_then(|text| lists::boolean(text)) == Some(false);
    if let Some(file) = context.environment_file.as_ref().filter(|_| !switched_off) {
        outputs.extend(published.map(|_| ("tags", metadata.tags().join(&inputs.separators.tags))));
        for (name, value) in &outputs {
            let name = format!("DOCKER_METADATA_OUTPUT_{}", name.replace('-', "_").to_uppercase());
            workflow::write_output(file, &name, value).with_context(|| format!("variable `{name}`"))?;
        }
    }
    Ok(())
}

/// One client for everything: connections are reused, certificates come from the system.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("supply-action/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(std::time::Duration::from_secs(15))
        .read_timeout(std::time::Duration::from_secs(60))
        .redirect(crate::registry::redirects())
        .build()
        .context("no HTTPS client could be made")
        .hint("this machine may lack CA certificates; install `ca-certificates`")
}

/// A folder only this user can enter, gone when the value is dropped.
fn private_folder(context: &Context) -> anyhow::Result<tempfile::TempDir> {
    let parent = context.temp.clone().filter(|folder| folder.is_dir()).unwrap_or_else(std::env::temp_dir);
    tempfile::Builder::new()
        .prefix("supply-action-")
        .tempdir_in(&parent)
        .with_context(|| format!("no private folder could be made in `{}`", parent.display()))
}

/// `1 tag`, `2 tags`, `2 repositories`.
pub(crate) fn plural(count: usize, word: &str) -> String {
    match (count, word.strip_suffix('y')) {
        (1, _) => format!("1 {word}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {word}s"),
    }
}
