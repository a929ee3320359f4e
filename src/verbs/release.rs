//! A release, wherever its image comes from: preflight, sign, attest, verify, tag. `publish` and `merge` share these stages; neither builds
//! nor merges here.

use std::future::Future;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::Either;

use super::store;
use crate::attest::{self, AttestedImage, provenance::Workflow, sboms::Sboms};
use crate::build::BuiltImage;
use crate::error::{self, OrRemedy as _, Remedy as _, exit};
use crate::github::api::Api;
use crate::github::{Context, Environment};
use crate::image::{Digest, ImageRef};
use crate::inputs::{Inputs, OnTagConflict};
use crate::login::{self, Asked};
use crate::plan::Release;
use crate::preflight::{self, Problems};
use crate::publish::{self, Baseline, Published, Terms};
use crate::registry::exchange::Endpoints;
use crate::registry::{Credentials, Registry};
use crate::report::Report;
use crate::sigstore::identity::{self, OidcToken};
use crate::sigstore::key::SigningKey;
use crate::sigstore::session::Session;
use crate::sigstore::verifier::{BundleVerifier, Signer};
use crate::sigstore::{self, Services};
use crate::verify::existing::Existing;
use crate::verify::policy::{Format, Policy, Requirements};
use crate::verify::{self, VerifiedImage};

/// A failure before the first name says so, because that is what a user wants to know.
pub(super) fn with_consequence(error: anyhow::Error) -> anyhow::Error {
    let told = error::exit_code(&error) == exit::PARTLY_PUBLISHED || error::message(&error).starts_with("nothing was");
    if told { error } else { error.context("nothing was tagged") }
}

/// What every stage of a release talks to.
pub struct Outside {
    pub(super) http: reqwest::Client,
    pub(super) registry: Registry,
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

/// What a run publishes, and what it is told about it.
pub struct Run<'a> {
    pub env: &'a Environment,
    pub context: &'a Context,
    pub inputs: &'a Inputs,
    pub release: &'a Release,
    pub report: &'a Report,
}

/// What the preflight found.
pub struct Ready {
    authority: Authority,
    baseline: Baseline,
    /// Where attestations are stored as well.
    github: Option<Api>,
    policy: Policy,
}

impl Run<'_> {
    /// Logins, and what they serve for.
    pub async fn outside(&self) -> anyhow::Result<(Outside, Credentials)> {
        let asked = Asked { logins: &self.inputs.registry_auth, images: &self.release.images, env: self.env, context: self.context };
        let credentials = login::credentials(&asked, &Endpoints::default(), self.report).await.context("no login")?;
        Ok((Outside::new(self.inputs, &credentials)?, credentials))
    }

    /// Everything that can be known to fail before an hour of building, as one list: the right to sign and to push, what the names mean
    /// now, what would become public, the `problems` that were found before, and what `maker` needs to make the image.
    pub async fn preflight<T>(
        &self,
        outside: &Outside,
        mut problems: Problems,
        maker: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<((Ready, T), String)> {
        let Self { context, inputs, release, report, .. } = self;
        let Outside { http, registry, services, .. } = outside;
        let requirements = possible(release, services, report)?;
        problems.take(preflight::public_log(
            context.repository.as_deref().unwrap_or_default(),
            release.private,
            services.rekor.as_ref().map(|rekor| rekor.url.as_str()),
            if release.key.is_some() { preflight::TOLD_BY_KEY } else { preflight::TOLD_BY_CERTIFICATE },
            release.allow_public_log,
        ));
        let (authority, baseline, probes, made, github) = tokio::join!(
            Authority::of_run(http, context, inputs),
            Baseline::observe(registry, &release.images, &release.tags),
            futures_util::future::join_all(release.images.iter().map(|repository| registry.probe_push(repository))),
            maker,
            store::keeper(context, inputs, report),
        );
        let github = problems.take(github).flatten();
        let authority = problems.take(authority);
        let baseline = problems.take(baseline);
        let made = problems.take(made);
        for probe in probes {
            problems.take(probe.remedied());
        }
        problems.into_result()?;
        let (Some(authority), Some(baseline), Some(made)) = (authority, baseline, made) else {
            anyhow::bail!("the preflight lost a result")
        };
        let policy = Policy { signer: authority.signer(context), requirements };
        if release.on_tag_conflict == OnTagConflict::Fail {
            let requirements = release.requirements.clone();
            taken_versions(outside, context, &Policy { requirements, ..policy.clone() }, &baseline).await?;
        }
        let outcome = format!("{} and push to {}", authority.shown(), plural(release.images.len(), "repository"));
        Ok(((Ready { authority, baseline, github, policy }, made), outcome))
    }

    /// Sign, attest, verify, tag.
    pub async fn conclude(&self, outside: &Outside, ready: Ready, built: BuiltImage, sboms: &Sboms<'_>) -> anyhow::Result<Published> {
        let Self { context, inputs, report, .. } = self;
        let Ready { authority, baseline, github, policy } = ready;
        let attested = report.stage("prove", prove(outside, context, authority, built, &policy, sboms)).await?;
        let verified = report.stage("verify", verify_all(outside, &attested, &policy)).await?;
        if let Some(github) = &github {
            store::store(github, inputs, &attested, report).await?;
        }
        report.stage("publish", self.name(outside, &baseline, &policy, verified)).await
    }

    async fn name(
        &self,
        outside: &Outside,
        baseline: &Baseline,
        policy: &Policy,
        verified: Vec<VerifiedImage>,
    ) -> anyhow::Result<(Published, String)> {
        let Self { context, release, report, .. } = self;
        let same_commit = |image: ImageRef| async move { is_of_this_commit(outside, context, policy, &image).await }.boxed_local();
        let terms = Terms {
            baseline,
            rule: release.on_tag_conflict,
            same_commit: &same_commit,
            on_put: &|name| report.say(&format!("put {name}")),
        };
        let published = publish::publish(&outside.registry, verified, &release.tags, &terms).await?;
        let outcome = plural(published.names.len(), "name");
        Ok((published, outcome))
    }
}

/// The requirements that the services can meet: the older format needs a log of version 1.
fn possible(release: &Release, services: &Services, report: &Report) -> anyhow::Result<Requirements> {
    let mut requirements = release.requirements.clone();
    if requirements.formats.contains(&Format::Legacy) && services.rekor.as_ref().is_none_or(|rekor| rekor.version != 1) {
        let why = "the signing config names no transparency log of version 1, which `legacy` needs";
        if release.formats_are_asked_for {
            return Err(anyhow::anyhow!("input `signature-formats`: {why}")).hint("leave `legacy` out, or name such a log");
        }
        report.notice(&format!("signatures and attestations are kept as bundles alone: {why}"));
        requirements.formats.retain(|format| *format != Format::Legacy);
    }
    Ok(requirements)
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

/// Sign and attest: drafts are collected while the certificate is asked for, and signed while the signatures go up.
pub async fn prove(
    outside: &Outside,
    context: &Context,
    authority: Authority,
    built: BuiltImage,
    policy: &Policy,
    sboms: &Sboms<'_>,
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
    let parts = attest::Parts::of(&built);
    let drafts = attest::draft(registry, &parts, &workflow, sboms).boxed_local();
    let signatures = crate::sign::signed_parts(&built, wanted).len();
    let ready = async {
        futures_util::try_join!(authority.session(http, context, services), existing, async { empty_configs.await.remedied().map(drop) })
    };
    // Drafts take longer than a certificate, and signing the image needs none.
    let (ready, drafts) = match futures_util::future::select(std::pin::pin!(ready), drafts).await {
        Either::Left((ready, drafts)) => (ready, drafts),
        Either::Right((drafts, ready)) => (ready.await, async { drafts }.boxed_local()),
    };
    let (session, existing, ()) = ready?;
    let mut told = (0, Vec::new());
    let drafts = async {
        let (drafts, left_out) = attest::lean::fitting(drafts.await?, envelope_limit(services))?;
        told = (drafts.len(), left_out);
        Ok(attest::lacking(drafts, &repositories, &wanted.formats, &existing))
    };
    let signing = crate::sign::sign(registry, &session, built, wanted, &existing, now);
    let attested = attest::attest(registry, &session, &repositories, &wanted.formats, now, drafts, signing).await?;
    let by = if matches!(policy.signer, Signer::Key(_)) { "one key" } else { "one certificate" };
    let reused = if existing.is_empty() { "" } else { ", those that were there are reused" };
    let left_out: String = told.1.iter().map(|told| format!("; {told}")).collect();
    let (signatures, attestations) = (plural(signatures, "signature"), plural(told.0, "attestation"));
    Ok((attested, format!("{signatures}, {attestations}, {by}{reused}{left_out}")))
}

/// The log of version 1 takes whole envelopes; later versions take what was signed of them.
fn envelope_limit(services: &Services) -> usize {
    if services.rekor.as_ref().is_some_and(|rekor| rekor.version == 1) { attest::lean::ENVELOPE_LIMIT } else { usize::MAX }
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
pub(super) fn private_folder(context: &Context) -> anyhow::Result<tempfile::TempDir> {
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
