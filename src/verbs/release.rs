//! A release, wherever its images come from: preflight, sign, attest, verify, tag. `publish`,
//! `merge` and `bake` share these stages; it neither builds nor merges.

use crate::text::plural;
use std::future::Future;

use anyhow::Context as _;
use futures_util::FutureExt as _;

use super::hand_over::UNWRITTEN;
use super::judged::{JudgedRelease, JudgedRun};
use super::outside::Outside;
use super::prove::{EvidenceMeans, prove, verify_all};
use super::scanning::Scanning;
use super::searching::Searching;
use super::taken::{is_of_this_commit, taken_versions};
use super::{evidence_dir, store, tools};
use crate::assess::Scanned;
use crate::assess::tools::ToolFindings;
use crate::attest::sboms::{LayerSboms, Sboms};
use crate::build::BuiltImage;
use crate::build::arguments::Generator;
use crate::build::recipe::Build;
use crate::build::sbom::Sbom;
use crate::environment::Environment;
use crate::error::{self, Consequence, OrRemedy as _, Remedy as _, exit};
use crate::github::RunContext;
use crate::github::api::Api;
use crate::github::facts::Visibility;
use crate::image::name::ImageName;
use crate::image::{ImageRef, Repository};
use crate::inputs::RunSettings;
use crate::login::{self, LoginsAsked};
use crate::oci::Allowed;
use crate::plan::PlannedRelease;
use crate::preflight;
use crate::problems::Problems;
use crate::publish::{
    self, Baseline, KeptName, NamingTerms, OnTagConflict, Published, VerifiedLot,
};
use crate::registry::exchange::Endpoints;
use crate::registry::{Credentials, Registry};
use crate::report::Report;
use crate::scan::known::KnownFindings;
use crate::sigstore::Services;
use crate::sigstore::identity::{self, OidcToken, UnverifiedClaims};
use crate::sigstore::key::SigningKey;
use crate::sigstore::session::Session;
use crate::sigstore::settled::SettledTrust;
use crate::sigstore::verifier::Signer;
use crate::verify::VerifiedImage;
use crate::verify::policy::EvidencePolicy;
use crate::verify::signer::{SignerPolicy, SourceRepository, SourceRule};

/// A failure before the first name says so, because that is what a user wants to know.
pub(super) fn with_consequence(error: anyhow::Error) -> anyhow::Error {
    let is_told =
        error::exit_code(&error) == exit::PARTLY_PUBLISHED || error::consequence(&error).is_some();
    if is_told { error } else { error.context(Consequence::NothingTagged) }
}

/// Where the SBOMs come from, once it is known what the builder could run.
pub(super) fn sboms(made: &Sbom, generator: Generator, layers: Option<LayerSboms>) -> Sboms<'_> {
    match (made, generator) {
        (Sbom::Registry(_), _) | (Sbom::Ours(_), Generator::Nothing) => {
            Sboms::Layers(layers.unwrap_or_default())
        }
        (Sbom::Files(own), _) => Sboms::Files(own),
        (Sbom::Ours(_) | Sbom::Generator | Sbom::Off, _) => Sboms::Build,
    }
}

/// What a run publishes, and what it is told about it.
pub struct ReleaseRun<'a> {
    pub env: &'a Environment,
    pub context: &'a RunContext,
    pub settings: &'a RunSettings,
    pub trust: &'a SettledTrust,
    pub release: &'a PlannedRelease,
    pub report: &'a Report,
}

/// What the preflight found.
pub struct ReleaseReady {
    authority: SigningAuthority,
    baseline: Baseline,
    /// Where attestations are stored as well.
    github: Option<Api>,
    /// One for each target of the release.
    policies: Vec<EvidencePolicy>,
    /// The names of each target that stay where they are.
    kept: Vec<Vec<KeptName>>,
    /// The image of each target, where an earlier run of this commit has published all.
    earlier: Option<Vec<Vec<VerifiedImage>>>,
    scanning: Scanning,
    searching: Searching,
    tools: ToolFindings,
    /// What each target has already, where only new findings refuse.
    known: Vec<Option<KnownFindings>>,
}

impl ReleaseReady {
    /// Whether an earlier run has published what this one would make, so that there is nothing to
    /// build.
    pub fn is_published(&self) -> bool {
        self.earlier.is_some()
    }

    /// What the issuer says of the job that signs; `None` where a key does.
    pub(super) fn claims(&self) -> Option<&UnverifiedClaims> {
        match &self.authority {
            SigningAuthority::Oidc(token) => Some(&token.unverified),
            SigningAuthority::Key { .. } => None,
        }
    }
}

impl ReleaseRun<'_> {
    /// Logins, and what they serve for.
    pub async fn outside(&self) -> anyhow::Result<(Outside, Credentials)> {
        self.outside_with(&[]).await
    }

    /// The same, where these repositories are read as well.
    pub async fn outside_with(
        &self,
        read: &[Repository],
    ) -> anyhow::Result<(Outside, Credentials)> {
        let images = [&self.release.images(), read].concat();
        let asked = LoginsAsked {
            logins: &self.settings.logins.registry_auth,
            images: &images,
            env: self.env,
            context: self.context,
            token: self.settings.logins.github_token.as_ref(),
        };
        let credentials = login::credentials(&asked, &Endpoints::default(), self.report)
            .await
            .context("no login")?;
        let RunSettings { network, signature_annotations, .. } = self.settings;
        Ok((Outside::new(network, self.trust, signature_annotations, &credentials)?, credentials))
    }

    /// How SBOMs are made of layers, if that may be needed.
    pub fn layers(&self, build: &Build, problems: &mut Problems) -> Option<LayerSboms> {
        let prepared = || {
            let RunSettings { sbom_cache, sbom_cache_key, .. } = self.settings;
            let (cache, key) = (sbom_cache.as_deref(), sbom_cache_key.as_ref());
            LayerSboms::prepare(cache, key, build.written(), self.env)
        };
        let layers = build.sbom.may_be_of_layers().then(|| problems.take(prepared())).flatten();
        layers.map(|layers| layers.with_search(self.release.search.is_wanted()))
    }

    /// Everything that can be known to fail before an hour of building, as one list: the right to
    /// sign and to push, what the names mean now, what would become public, the `problems` that
    /// were found before, and what `maker` needs to make the image.
    pub async fn preflight<T>(
        &self,
        outside: &Outside,
        mut problems: Problems,
        maker: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<((ReleaseReady, T), String)> {
        let Self { context, settings, release, report, .. } = self;
        let Outside { http, registry, services, .. } = outside;
        let (images, names) = (release.images(), release.names());
        if let Some(dir) = &settings.evidence_dir {
            problems.take(evidence_dir::folder(dir, context));
        }
        let (authority, baseline, probes, made, github, scanning) = tokio::join!(
            SigningAuthority::of_run(http, context, settings.signing_key.as_ref(), services),
            Baseline::observe(registry, &names),
            futures_util::future::join_all(
                images.iter().map(|repository| registry.probe_push(repository))
            ),
            maker,
            store::keeper(context, settings, report),
            Scanning::open(&release.scan, context),
        );
        say_elsewhere(registry, report).await;
        let github = problems.take(github).flatten();
        problems.take(self.public_log(services, authority.as_ref().ok()));
        let authority = problems.take(authority);
        let baseline = problems.take(baseline);
        let made = problems.take(made);
        let scanning = problems.take(scanning);
        // Who scans reads the same files first, and has said what is wrong with them.
        let searching = match Searching::open(&release.search) {
            Err(_) if scanning.is_none() => None,
            opened => problems.take(opened),
        };
        let is_told = scanning.is_none() || searching.is_none();
        let tools = tools::open(release.tools.as_ref(), &images, context, is_told, &mut problems);
        for probe in probes {
            problems.take(probe.remedied());
        }
        problems.into_result()?;
        let (Some(authority), Some(baseline), Some(made), Some(scanning), Some(searching)) =
            (authority, baseline, made, scanning, searching)
        else {
            anyhow::bail!("the preflight lost a result")
        };
        let signer = authority.signer(context)?;
        let policies: Vec<EvidencePolicy> = release
            .targets
            .iter()
            .map(|target| target.requirements.clone())
            .map(|requirements| EvidencePolicy { signer: signer.clone(), requirements })
            .collect();
        let of_others = authority.reusable(&signer);
        let reusable: Vec<EvidencePolicy> = policies
            .iter()
            .map(|policy| EvidencePolicy { signer: of_others.clone(), ..policy.clone() })
            .collect();
        let earlier = self.earlier(outside, &reusable, &baseline).await;
        if earlier.is_none() && release.on_tag_conflict == OnTagConflict::Fail {
            taken_versions(outside, context, &signer, &release.targets, &baseline).await?;
        }
        let outcome =
            format!("{} and push to {}", authority.shown(), plural(images.len(), "repository"));
        let kept = self.kept(outside, &signer.signer, &baseline).await?;
        let known = match earlier {
            Some(_) => Vec::new(),
            None => self.known(outside, &of_others, &baseline, &kept).await,
        };
        let ready = ReleaseReady {
            authority,
            baseline,
            github,
            policies,
            kept,
            earlier,
            scanning,
            searching,
            tools: tools.unwrap_or_default(),
            known,
        };
        Ok(((ready, made), outcome))
    }

    /// Puts the names on what an earlier run of this commit published, which was verified just now.
    pub async fn complete(
        &self,
        outside: &Outside,
        ready: ReleaseReady,
    ) -> anyhow::Result<Vec<Published>> {
        let ReleaseReady { baseline, policies, kept, earlier, tools, .. } = ready;
        let verified = earlier.context("no earlier run has published this commit")?;
        let tallies = self.judged_again(&tools)?;
        for image in verified.iter().filter_map(|images| images.first()) {
            self.report.notice(&format!(
                "`{}` is kept: an earlier run of this commit published it, and its evidence is complete; nothing is built (`on-tag-conflict: overwrite` builds again)",
                image.image()
            ));
        }
        let differs = |image: &&VerifiedImage| !image.is_signed_with(&outside.annotations);
        for image in verified.iter().flatten().filter(differs) {
            self.report.notice(&format!(
                "input `signature-annotations` has no effect: `{}` keeps its signatures, which have other annotations (`on-tag-conflict: overwrite` signs again)",
                image.image()
            ));
        }
        let mut published = self
            .report
            .stage("tag", self.name(outside, &baseline, &policies, verified, kept))
            .await?;
        published.iter_mut().for_each(|published| published.reused = true);
        if let Some(first) = published.first_mut() {
            first.tools = tallies;
        }
        self.write_evidence(outside, &published).await?;
        Ok(published)
    }

    /// What would become public by signing, now that the token says as well whose repository it is.
    /// Without a token nothing is signed, and only what is known to be private is worth a word.
    pub(super) fn public_log(
        &self,
        services: &Services,
        authority: Option<&SigningAuthority>,
    ) -> anyhow::Result<()> {
        let claimed = authority.map(SigningAuthority::visibility).unwrap_or_default();
        let visibility = self.release.visibility.and(claimed);
        if authority.is_none() && visibility == Visibility::Unknown {
            return Ok(());
        }
        preflight::told_by_signing(
            self.context.repository.as_deref().unwrap_or_default(),
            services,
            visibility,
            self.release.key.is_some(),
            self.release.allow_public_log,
        )
    }

    /// Sign, attest, verify, tag.
    pub async fn conclude(
        &self,
        outside: &Outside,
        ready: ReleaseReady,
        built: BuiltImage,
        sboms: &Sboms<'_>,
    ) -> anyhow::Result<Published> {
        self.conclude_all(outside, ready, vec![built], sboms)
            .await?
            .pop()
            .context("the image was lost on the way")
    }

    /// The same for an image of each target, in their order: all are proven and verified before the
    /// first is named.
    pub async fn conclude_all(
        &self,
        outside: &Outside,
        ready: ReleaseReady,
        built: Vec<BuiltImage>,
        sboms: &Sboms<'_>,
    ) -> anyhow::Result<Vec<Published>> {
        let Self { context, settings, release, report, .. } = self;
        let ReleaseReady {
            authority,
            baseline,
            github,
            policies,
            kept,
            scanning,
            searching,
            tools,
            known,
            ..
        } = ready;
        let layers = sboms.searched_layers();
        let (scanning, searching) = (&scanning, &searching);
        let means = EvidenceMeans {
            sboms,
            targets: &release.targets,
            scanning,
            searching,
            layers,
            known: &known,
        };
        let proving = prove(outside, context, authority, built, &policies, &means);
        let proven = report.stage("sign, attest", sboms.shown(report, proving)).await?;
        let (mut attested, mut scanned, mut searched) = (Vec::new(), Vec::new(), Vec::new());
        for mut proven in proven {
            if let Some(repository) = proven.attested.built().repositories().first() {
                let (found, images) = (&mut proven.scanned, &proven.images);
                scanning.origins(&outside.registry, repository, found, images, report).await;
            }
            attested.push(proven.attested);
            scanned.push(proven.scanned);
            searched.push(proven.searched);
        }
        let judging = JudgedRun { scanning, searching, tools: &tools, settings, context, report };
        let JudgedRelease { searched, tallies } = judging.judged(&attested, &scanned, &searched)?;
        let policies: Vec<EvidencePolicy> = policies
            .into_iter()
            .zip(&scanned)
            .map(|(policy, scanned)| match scanned {
                Scanned::Unanswered(_) => policy.without_scan(),
                Scanned::Not(_) | Scanned::Done(_) => policy,
            })
            .collect();
        let verified = report.stage("verify", verify_all(outside, &attested, &policies)).await?;
        self.tell_of_what_was_allowed(&verified);
        let stored = match &github {
            Some(github) => store::store(github, settings, &attested, report).await?,
            None => Vec::new(),
        };
        let mut published =
            report.stage("tag", self.name(outside, &baseline, &policies, verified, kept)).await?;
        for (published, attested) in published.iter_mut().zip(&attested) {
            published.work = attested.built().work().to_vec();
        }
        for (published, stored) in published.iter_mut().zip(stored) {
            published.stored = stored;
        }
        for (published, (scanned, searched)) in
            published.iter_mut().zip(scanned.into_iter().zip(searched))
        {
            (published.scanned, published.searched) = (scanned, searched);
        }
        if let Some(first) = published.first_mut() {
            first.tools = tallies;
        }
        self.write_evidence(outside, &published).await?;
        Ok(published)
    }

    /// Files of what was published, where the user wants them.
    async fn write_evidence(
        &self,
        outside: &Outside,
        published: &[Published],
    ) -> anyhow::Result<()> {
        let Some(dir) = &self.settings.evidence_dir else { return Ok(()) };
        let folder = evidence_dir::folder(dir, self.context).context(UNWRITTEN)?;
        let count =
            evidence_dir::write(&outside.registry, &folder, &self.release.targets, published)
                .await?;
        self.report.say(&format!("evidence: {} in `{}`", plural(count, "file"), dir.display()));
        Ok(())
    }

    /// What images hold because it was allowed, each thing once; and that nothing did, where
    /// something was.
    fn tell_of_what_was_allowed(&self, verified: &[Vec<VerifiedImage>]) {
        let images = verified.iter().filter_map(|repositories| repositories.first());
        let told: Vec<String> = images
            .flat_map(|image| {
                image.told().iter().map(|told| format!("`{}`: {told}", image.image()))
            })
            .collect();
        told.iter().for_each(|told| self.report.notice(told));
        let Allowed { foreign_layers, index_entries, .. } = &self.release.allowed;
        let inputs = [
            (*foreign_layers, "allow-foreign-layers"),
            (!index_entries.is_empty(), "allow-index-entries"),
        ];
        for (_, input) in inputs.iter().filter(|(is_set, _)| *is_set && told.is_empty()) {
            self.report
                .notice(&format!("input `{input}` had no effect: no image holds what it allows"));
        }
    }

    async fn name(
        &self,
        outside: &Outside,
        baseline: &Baseline,
        policies: &[EvidencePolicy],
        verified: Vec<Vec<VerifiedImage>>,
        kept: Vec<Vec<KeptName>>,
    ) -> anyhow::Result<(Vec<Published>, String)> {
        let Self { context, release, report, .. } = self;
        let policy_for = |name: &ImageName| {
            policies.iter().zip(&release.targets).find(|(_, target)| target.names.contains(name))
        };
        let same_commit = |name: ImageName, image: ImageRef| {
            async move {
                match policy_for(&name) {
                    Some((policy, _)) => is_of_this_commit(outside, context, policy, &image).await,
                    None => false,
                }
            }
            .boxed_local()
        };
        let terms = NamingTerms {
            baseline,
            rule: release.on_tag_conflict,
            same_commit: &same_commit,
            on_put: &|name| report.say(&format!("tagged {name}")),
        };
        let stays = |name: &ImageName| kept.iter().flatten().any(|kept| kept.name == *name);
        let moving: Vec<Vec<ImageName>> = release
            .targets
            .iter()
            .map(|target| target.names.iter().filter(|name| !stays(name)).cloned().collect())
            .collect();
        let lots = verified
            .into_iter()
            .zip(&moving)
            .map(|(verified, names)| VerifiedLot { verified, names })
            .collect();
        let mut published = publish::publish(&outside.registry, lots, &terms).await?;
        let mut outcome =
            plural(published.iter().map(|published| published.names.len()).sum(), "tag");
        let staying: usize = kept.iter().map(Vec::len).sum();
        if staying > 0 {
            outcome.push_str(&format!(", {staying} kept where they are"));
        }
        for (published, kept) in published.iter_mut().zip(kept) {
            published.kept = kept;
        }
        Ok((published, outcome))
    }
}

/// In whose name this run signs.
pub enum SigningAuthority {
    /// This workflow's, by a certificate that is asked for when it is needed.
    Oidc(OidcToken),
    /// That of a key which the user gave, and of the workflow that the runner names.
    Key { key: SigningKey, workflow_ref: String },
}

impl SigningAuthority {
    pub(super) async fn of_run(
        http: &reqwest::Client,
        context: &RunContext,
        key: Option<&SigningKey>,
        services: &Services,
    ) -> anyhow::Result<Self> {
        let Some(key) = key.cloned() else {
            let token = identity::token(http, context, &services.issuers).await?;
            identity::taken_by(services.fulcio.as_deref(), &token.unverified.iss)?;
            return Ok(Self::Oidc(token));
        };
        if context.workflow_ref.is_empty() {
            return Err(anyhow::anyhow!("this run names no workflow, so its provenance could not say what built the image"))
                .hint("run it in a workflow, or set `GITHUB_WORKFLOW_REF` and the other variables that a runner sets");
        }
        Ok(Self::Key { key, workflow_ref: context.workflow_ref.clone() })
    }

    /// What the token says of the repository.
    pub(super) fn visibility(&self) -> Visibility {
        match self {
            Self::Oidc(token) => token.unverified.visibility(),
            Self::Key { .. } => Visibility::Unknown,
        }
    }

    /// Who must be found to have signed, for this commit of this repository.
    pub(super) fn signer(&self, context: &RunContext) -> anyhow::Result<SignerPolicy> {
        let token = match self {
            Self::Oidc(token) => &token.unverified,
            Self::Key { key, .. } => return Ok(Signer::Key(key.public().clone()).into()),
        };
        let wrong = |why: String| anyhow::anyhow!("this run cannot be identified: {why}");
        let repository = context.repository.as_deref().unwrap_or(&token.repository);
        let id = Some(&context.repository_id).filter(|id| !id.is_empty());
        let source = SourceRule {
            repository: Some(SourceRepository::at(&context.server_url, repository).map_err(wrong)?),
            repository_id: id.map(|id| id.parse().map_err(wrong)).transpose()?,
            commit: Some(token.sha.parse().map_err(wrong)?),
            ..SourceRule::default()
        };
        let identity = format!("{}/{}", context.server_url, token.job_workflow_ref);
        Ok(SignerPolicy { signer: Signer::Keyless { identity, issuer: token.iss.clone() }, source })
    }

    /// Whose evidence is as good as this run's own: that of a run on the same ref, by the same
    /// event, on a runner of the same kind. Who pins one of these must find it in what this run
    /// publishes.
    pub(super) fn reusable(&self, signer: &SignerPolicy) -> SignerPolicy {
        let Self::Oidc(token) = self else { return signer.clone() };
        let token = &token.unverified;
        let source = SourceRule {
            git_ref: token.git_ref.parse().ok(),
            trigger: token.event_name.parse().ok(),
            runner: token.runner_environment.parse().ok(),
            ..signer.source.clone()
        };
        SignerPolicy { source, ..signer.clone() }
    }

    /// The workflow that holds the job. Without an OIDC token nobody tells a reusable one, so it is
    /// the run's own.
    pub(super) fn workflow_ref(&self) -> &str {
        match self {
            Self::Oidc(token) => &token.unverified.job_workflow_ref,
            Self::Key { workflow_ref, .. } => workflow_ref,
        }
    }

    /// Who signs, for people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Oidc(token) => format!("may sign as `{}`", token.unverified.job_workflow_ref),
            Self::Key { key, .. } => format!("signs with key {}", key.name()),
        }
    }

    pub(super) async fn session(
        self,
        http: &reqwest::Client,
        context: &RunContext,
        services: &Services,
    ) -> anyhow::Result<Session> {
        match self {
            Self::Oidc(token) => {
                let token = identity::refreshed(http, context, &services.issuers, token).await?;
                Session::open(http, services, &token).await.remedied()
            }
            Self::Key { key, .. } => Ok(Session::with_key(http, services, &key)),
        }
    }
}

/// Which registries had their credentials sent to a host of another name. That is what they asked
/// for, and a user should know.
pub(super) async fn say_elsewhere(registry: &Registry, report: &Report) {
    for (registry, host) in registry.token_services_elsewhere().await {
        report.notice(&format!("`{registry}` names `{host}` as its token service, so the login for `{registry}` is sent there"));
    }
}
