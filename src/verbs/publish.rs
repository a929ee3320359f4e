//! `supply-action publish`: the pipeline as a table of contents, and what surrounds it: preflight, outputs, summary.

use anyhow::Context as _;
use futures_util::FutureExt as _;

use crate::attest::{self, AttestedImage, provenance::Workflow};
use crate::build::BuiltImage;
use crate::build::buildx::{Buildx, Place};
use crate::build::scanner::Scanner;
use crate::error::{self, OrRemedy as _, Remedy as _, exit};
use crate::github::{Context, Environment, workflow};
use crate::image::ImageRef;
use crate::inputs::{Inputs, secret_texts};
use crate::plan::{self, Plan};
use crate::publish::{self, Baseline, Published, Terms};
use crate::registry::{Credentials, Registry};
use crate::report::Report;
use crate::sigstore::identity::{self, OidcToken};
use crate::sigstore::session::Session;
use crate::sigstore::verifier::{BundleVerifier, Signer};
use crate::sigstore::{self, Services};
use crate::summary;
use crate::verify::policy::Policy;
use crate::verify::{self, VerifiedImage};

/// The verb: everything a workflow step does.
pub async fn run(env: &Environment, report: &Report) -> anyhow::Result<()> {
    report.mask(&secret_texts(env));
    let context = Context::new(env);
    let inputs = Inputs::read(env, &context).context("nothing was built")?;
    match plan::plan(&inputs).context("nothing was built")? {
        Plan::BuildOnly(build) => build_only(env, &context, &inputs, &build, report).await,
        Plan::Publish(plan) => {
            let published = publish(env, &context, &inputs, &plan, report).await.map_err(with_consequence)?;
            hand_over(&published, &context, &inputs, report)
        }
    }
}

/// A failure before the first name says so, because that is what a user wants to know.
fn with_consequence(error: anyhow::Error) -> anyhow::Error {
    let told = error::exit_code(&error) == exit::PARTLY_PUBLISHED || error::message(&error).starts_with("nothing was");
    if told { error } else { error.context("nothing was tagged") }
}

async fn build_only(env: &Environment, context: &Context, inputs: &Inputs, build: &plan::Build, report: &Report) -> anyhow::Result<()> {
    let private = private_folder(context)?;
    let place = Place { env, private: private.path(), terminal: report.is_terminal() };
    let notice = |text: &str| report.notice(text);
    let buildx =
        Buildx::set_up(&place, &credentials(inputs), &inputs.builder, &build.platforms, &notice).await.context("nothing was built")?;
    let built = report
        .stage("build", async {
            buildx.check(build, &inputs.secrets).await?;
            Ok(((), format!("{} built, nothing pushed (`push: false`)", plural(build.platforms.len(), "platform"))))
        })
        .await;
    buildx.close().await;
    built
}

/// What every stage of a release talks to.
struct Outside {
    http: reqwest::Client,
    registry: Registry,
    services: Services,
    verifier: BundleVerifier,
}

impl Outside {
    fn new(inputs: &Inputs) -> anyhow::Result<Self> {
        let http = http_client()?;
        let root = sigstore::load_trusted_root(inputs.trusted_root.as_deref())?;
        Ok(Self {
            registry: Registry::new(http.clone(), credentials(inputs)),
            services: Services::load(inputs.signing_config.as_deref())?,
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
    let outside = Outside::new(inputs)?;
    let (token, baseline) = report.stage("preflight", preflight(&outside, context, plan)).await?;
    let policy = Policy { signer: signer(&token, context), requirements: plan.requirements.clone() };
    let built = report.stage("build", build(env, context, inputs, plan, &outside, report)).await?;
    let attested = report.stage("prove", prove(&outside, context, token, built)).await?;
    let verified = report.stage("verify", verify_all(&outside, &attested, &policy)).await?;
    report.stage("publish", name(&outside, context, plan, &baseline, &policy, verified, report)).await
}

/// Everything that can be known to fail before an hour of building: the right to sign, to push, and what the names mean now.
async fn preflight(outside: &Outside, context: &Context, plan: &plan::Publish) -> anyhow::Result<((OidcToken, Baseline), String)> {
    let probes = futures_util::future::try_join_all(plan.images.iter().map(|repository| outside.registry.probe_push(repository)));
    let (token, baseline, ()) = futures_util::try_join!(
        identity::token(&outside.http, context),
        Baseline::observe(&outside.registry, &plan.images, &plan.tags),
        async { probes.await.remedied().map(drop) },
    )?;
    let outcome = format!("may sign as {} and push to {}", token.unverified.job_workflow_ref, plural(plan.images.len(), "repository"));
    Ok(((token, baseline), outcome))
}

async fn build(
    env: &Environment,
    context: &Context,
    inputs: &Inputs,
    plan: &plan::Publish,
    outside: &Outside,
    report: &Report,
) -> anyhow::Result<(BuiltImage, String)> {
    let private = private_folder(context)?;
    let place = Place { env, private: private.path(), terminal: report.is_terminal() };
    let scanner = scanner(env, plan, outside).await?;
    let notice = |text: &str| report.notice(text);
    let buildx = Buildx::set_up(&place, &credentials(inputs), &inputs.builder, &plan.build.platforms, &notice).await?;
    let built = buildx.build(&outside.registry, &plan.build, &inputs.secrets, &plan.images, scanner.as_ref()).await;
    buildx.close().await;
    let built = built?;
    let outcome = format!("{} for {}", built.root().digest, plural(built.platforms().len(), "platform"));
    Ok((built, outcome))
}

/// Our scanner image beside the image to be, or the one that `SUPPLY_ACTION_SCANNER` names: for builders of another architecture.
async fn scanner(env: &Environment, plan: &plan::Publish, outside: &Outside) -> anyhow::Result<Option<ImageRef>> {
    match (plan.build.sbom, env.get("SUPPLY_ACTION_SCANNER")) {
        (false, _) => Ok(None),
        (true, Some(named)) => Ok(Some(named.parse().context("environment variable `SUPPLY_ACTION_SCANNER`")?)),
        (true, None) => Scanner::of_this_program()?.ensure(&outside.registry, &plan.images[0]).await.map(Some),
    }
}

/// Sign and attest: drafts are collected while the certificate is asked for, and signed while the signatures go up.
async fn prove(outside: &Outside, context: &Context, token: OidcToken, built: BuiltImage) -> anyhow::Result<(AttestedImage, String)> {
    let Outside { http, registry, services, .. } = outside;
    let now = jiff::Timestamp::now();
    let workflow = Workflow::new(context, &token.unverified);
    let repositories = built.repositories().to_vec();
    let empty_configs = futures_util::future::try_join_all(repositories.iter().map(|repository| registry.stage_empty_config(repository)));
    let (session, drafts, ()) = futures_util::try_join!(
        async {
            let token = identity::refreshed(http, context, token).await?;
            Session::open(http, services, &token).await.remedied()
        },
        attest::draft(registry, &built, &workflow),
        async { empty_configs.await.remedied().map(drop) },
    )?;
    let (signatures, attestations) = (built.subjects().len(), drafts.len());
    let (signed, sealed) = futures_util::try_join!(
        crate::sign::sign(registry, &session, built, now),
        attest::seal(registry, &session, &repositories, drafts, now),
    )?;
    let attested = attest::attest(registry, signed, sealed).await?;
    Ok((attested, format!("{}, {}, one certificate", plural(signatures, "signature"), plural(attestations, "attestation"))))
}

/// All repositories, before the first name is put on any.
async fn verify_all(outside: &Outside, attested: &AttestedImage, policy: &Policy) -> anyhow::Result<(Vec<VerifiedImage>, String)> {
    let images: Vec<ImageRef> = attested.built().images().collect();
    let checks = images.iter().map(|image| verify::verify(&outside.registry, &outside.verifier, image, policy));
    let verified = futures_util::future::try_join_all(checks).await.context("what the registry holds does not verify")?;
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
    let same_commit = |image: ImageRef| {
        async move {
            let theirs = verify::verify(&outside.registry, &outside.verifier, &image, policy).await;
            theirs.is_ok_and(|theirs| !context.sha.is_empty() && theirs.commits().contains(&context.sha.as_str()))
        }
        .boxed_local()
    };
    let terms =
        Terms { baseline, rule: plan.on_tag_conflict, same_commit: &same_commit, on_put: &|name| report.say(&format!("put {name}")) };
    let published = publish::publish(&outside.registry, verified, &plan.tags, &terms).await?;
    let outcome = plural(published.names.len(), "name");
    Ok((published, outcome))
}

/// Outputs for later steps, the job summary, and on a terminal the picture of the run.
fn hand_over(published: &Published, context: &Context, inputs: &Inputs, report: &Report) -> anyhow::Result<()> {
    let commands = summary::commands::commands(published, inputs.trusted_root.as_deref());
    let unwritten = "the image is published and its names are put, but the workflow cannot be told";
    if let Some(file) = &context.output_file {
        for (name, value) in summary::outputs(published) {
            workflow::write_output(file, name, &value).with_context(|| format!("output `{name}`")).context(unwritten)?;
        }
    }
    if let Some(file) = &context.summary_file {
        let markdown = summary::markdown::summary(published, &commands, &report.stages(), report.elapsed());
        workflow::append_summary(file, &markdown).context("the job summary").context(unwritten)?;
    }
    for line in summary::picture::picture(published, &report.stages(), report.elapsed()) {
        report.say(&line);
    }
    if let Some(first) = commands.first() {
        report.say(&format!("check it:  {}", first.text));
    }
    Ok(())
}

fn signer(token: &OidcToken, context: &Context) -> Signer {
    Signer { identity: format!("{}/{}", context.server_url, token.unverified.job_workflow_ref), issuer: token.unverified.iss.clone() }
}

fn credentials(inputs: &Inputs) -> Credentials {
    let mut credentials = Credentials::default();
    for login in &inputs.registry_auth {
        credentials.add(&login.registry, &login.username, login.password.clone());
    }
    credentials
}

/// One client for everything: connections are reused, certificates come from the system.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("supply-action/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(std::time::Duration::from_secs(15))
        .read_timeout(std::time::Duration::from_secs(60))
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
