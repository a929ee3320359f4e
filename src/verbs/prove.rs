//! `BuiltImage` → `VerifiedImage`, for all images of a run at once and with one certificate: sign,
//! attest, read back. It names nothing.

use std::cell::Cell;
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::{Either, try_join_all};
use tokio::sync::{oneshot, watch};

use super::outside::Outside;
use super::release::SigningAuthority;
use super::scanning::Scanning;
use super::searching::Searching;
use crate::assess::Scanned;
use crate::assess::bases::{BasedImage, PlatformMaterials, based};
use crate::assess::search::{Searched, SearchedLayers, UNSEARCHED};
use crate::attest::provenance::{Foreign, WorkflowOfRun};
use crate::attest::sboms::Sboms;
use crate::attest::{self, AcceptedEvidence, AttestedImage};
use crate::build::BuiltImage;
use crate::build::checks::DockerfileChecks;
use crate::error::OrRemedy as _;
use crate::github::RunContext;
use crate::image::{Digest, ImageRef, Repository};
use crate::plan::PublishTarget;
use crate::provenance::{self, ProvenanceTerms};
use crate::registry::Registry;
use crate::registry::contents::PlatformImage;
use crate::scan::known::KnownFindings;
use crate::sigstore::Services;
use crate::sigstore::session::Session;
use crate::text::plural;
use crate::verify::existing::ExistingStatements;
use crate::verify::policy::EvidencePolicy;
use crate::verify::signer::SignerPolicy;
use crate::verify::{self, Unproven, VerifiedImage};

/// The session of the run, once it is open.
type OpenedSession = watch::Receiver<Option<Arc<Session>>>;

/// What is told of one image.
#[derive(Default)]
struct ProgressOfImage {
    signatures: usize,
    attestations: usize,
    reused: bool,
    left_out: Vec<String>,
}

/// What evidence is made of, and made with.
pub struct EvidenceMeans<'a> {
    pub sboms: &'a Sboms<'a>,
    /// One for each image.
    pub targets: &'a [PublishTarget],
    pub scanning: &'a Scanning,
    pub searching: &'a Searching,
    /// What is found in layers, whoever reads them.
    pub layers: Arc<SearchedLayers>,
    /// What of each image refuses nothing; nothing of those that are not listed.
    pub known: &'a [Option<KnownFindings>],
}

/// An image with its evidence attached, and what its scan and its search found.
pub struct Proven {
    pub attested: AttestedImage,
    pub scanned: Scanned,
    pub searched: Searched,
    /// Of each platform, where somebody asks which of its layers are its own.
    pub images: Arc<Vec<BasedImage>>,
}

impl EvidenceMeans<'_> {
    /// Which layers are the image's own. Only who searches them must know.
    async fn based(
        &self,
        registry: &Registry,
        repository: &Repository,
        platforms: &[PlatformImage],
        materials: &[PlatformMaterials],
    ) -> anyhow::Result<Vec<BasedImage>> {
        let based = based(registry, repository, platforms, materials);
        match (self.searching, self.scanning) {
            (Searching::Search(_), _) => based.await.context(UNSEARCHED),
            (Searching::Not(_), Scanning::Scan(_)) => Ok(based.await.unwrap_or_default()),
            (Searching::Not(_), Scanning::Not(_)) => Ok(Vec::new()),
        }
    }
}

/// Sign, attest and scan, by the policy of each image: drafts are collected while the certificate
/// is asked for, and scanned and signed while the signatures go up.
pub async fn prove(
    outside: &Outside,
    context: &RunContext,
    authority: SigningAuthority,
    built: Vec<BuiltImage>,
    policies: &[EvidencePolicy],
    means: &EvidenceMeans<'_>,
) -> anyhow::Result<(Vec<Proven>, String)> {
    let EvidenceMeans { sboms, targets, .. } = means;
    let workflow = WorkflowOfRun::new(context, authority.workflow_ref());
    let workflows: Vec<WorkflowOfRun> = targets
        .iter()
        .zip(policies)
        .map(|(target, policy)| WorkflowOfRun {
            versions: target.lines.versions(),
            provenance_versions: policy.requirements.provenance_versions(),
            ..workflow.clone()
        })
        .collect();
    let workflow = |at: usize| workflows.get(at).unwrap_or(&workflow);
    let by = if policies.iter().any(|policy| policy.signer.signer.key().is_some()) {
        "one key"
    } else {
        "one certificate"
    };
    let reusable: Vec<SignerPolicy> =
        policies.iter().map(|policy| authority.reusable(&policy.signer)).collect();
    let (hand_over, opened) = watch::channel(None);
    let run = provenance::ProvenanceRun::of(context);
    let (hand_over_accepted, accepted): (Vec<_>, Vec<_>) =
        built.iter().map(|_| oneshot::channel()).unzip();
    let parts: Vec<attest::DraftParts> = built.iter().map(attest::DraftParts::of).collect();
    let accepting = parts.iter().zip(targets.iter().zip(policies));
    let accepting = accepting.map(async |(parts, (target, policy))| {
        let terms = ProvenanceTerms { asked: target.asked.clone(), run: run.clone() };
        let versions = policy.requirements.provenance_versions();
        attest::accept(&outside.registry, parts, &terms, sboms, &versions).await
    });
    // Nothing is signed before all that others say of all images is accepted: who is refused leaves
    // no signature.
    let opening = async {
        let session = authority.session(&outside.http, context, &outside.services);
        let (session, all) = futures_util::try_join!(session, try_join_all(accepting))?;
        // Whoever waits for these is gone only when something failed.
        for (hand_over, accepted) in hand_over_accepted.into_iter().zip(all) {
            let _ = hand_over.send(accepted);
        }
        let _ = hand_over.send(Some(Arc::new(session)));
        anyhow::Ok(())
    };
    let wanted = policies.iter().zip(&reusable);
    let images = built.into_iter().zip(wanted).zip(accepted).enumerate();
    let (first, after) =
        without_twins(images.map(|(at, ((built, wanted), accepted))| ImageToProve {
            built,
            wanted,
            accepted,
            known: means.known.get(at).and_then(Option::as_ref),
        }));
    let proving = async {
        let first = first.into_iter().map(|(at, image)| {
            let proven = prove_one(outside, opened.clone(), workflow(at), image, means);
            async move { anyhow::Ok((at, proven.await?)) }
        });
        let mut proven = try_join_all(first).await?;
        for (at, image) in after {
            let one = prove_one(outside, opened.clone(), workflow(at), image, means);
            proven.push((at, one.await?));
        }
        Ok(proven)
    };
    let ((), mut proven) = futures_util::try_join!(opening, proving)?;
    proven.sort_by_key(|(at, _)| *at);
    let (images, told): (Vec<Proven>, Vec<ProgressOfImage>) =
        proven.into_iter().map(|(_, proven)| proven).unzip();
    let reused =
        if told.iter().any(|told| told.reused) { ", those that were there are reused" } else { "" };
    let left_out: String =
        told.iter().flat_map(|told| &told.left_out).map(|told| format!("; {told}")).collect();
    let signatures = plural(told.iter().map(|told| told.signatures).sum(), "signature");
    let attestations = plural(told.iter().map(|told| told.attestations).sum(), "attestation");
    Ok((images, format!("{signatures}, {attestations}, {by}{reused}{left_out}")))
}

/// What an image needs, and whose evidence it need not make again.
type WantedEvidence<'a> = (&'a EvidencePolicy, &'a SignerPolicy);

/// An image to be proven.
struct ImageToProve<'a> {
    built: BuiltImage,
    wanted: WantedEvidence<'a>,
    accepted: oneshot::Receiver<AcceptedEvidence>,
    known: Option<&'a KnownFindings>,
}

type Numbered<'a> = Vec<(usize, ImageToProve<'a>)>;

/// The images that may be proven at once, and those to prove after: they share a part, in a
/// repository, with one before, and find its evidence there instead of making it twice.
fn without_twins<'a>(
    images: impl Iterator<Item = ImageToProve<'a>>,
) -> (Numbered<'a>, Numbered<'a>) {
    let (mut first, mut after): (Numbered<'_>, Numbered<'_>) = (Vec::new(), Vec::new());
    for (at, image) in images.enumerate() {
        let is_twin = first.iter().any(|(_, other)| share_a_part(&image.built, &other.built));
        if is_twin { &mut after } else { &mut first }.push((at, image));
    }
    (first, after)
}

fn share_a_part(one: &BuiltImage, other: &BuiltImage) -> bool {
    let in_one_place =
        one.repositories().iter().any(|repository| other.repositories().contains(repository));
    let parts = other.subjects();
    in_one_place
        && one
            .subjects()
            .iter()
            .any(|(_, part)| parts.iter().any(|(_, its)| its.digest == part.digest))
}

/// Hands on what an image was built from, as soon as its layers may be searched: where SBOMs are
/// made of layers, who makes them has seen the layers by then, and none is read twice.
struct MaterialsGate {
    after_layers: bool,
    sender: Cell<Option<oneshot::Sender<Vec<PlatformMaterials>>>>,
    materials: Cell<Vec<PlatformMaterials>>,
}

impl MaterialsGate {
    fn accepted(&self, materials: &[PlatformMaterials]) {
        self.materials.set(materials.to_vec());
        if !self.after_layers {
            self.open();
        }
    }

    fn open(&self) {
        if let Some(sender) = self.sender.take() {
            // Whoever waits for it is gone only when something failed.
            let _ = sender.send(self.materials.take());
        }
    }
}

/// Proves an image, and searches its layers meanwhile.
async fn prove_one(
    outside: &Outside,
    opened: OpenedSession,
    workflow: &WorkflowOfRun,
    image: ImageToProve<'_>,
    means: &EvidenceMeans<'_>,
) -> anyhow::Result<(Proven, ProgressOfImage)> {
    let (sender, materials) = oneshot::channel();
    let gate = MaterialsGate {
        after_layers: matches!(means.sboms, Sboms::Layers(_)),
        sender: Cell::new(Some(sender)),
        materials: Cell::default(),
    };
    let repository = image.built.repositories().first().cloned().context("no repository")?;
    let platforms = image.built.platforms().to_vec();
    let searching = async {
        let materials = materials.await.unwrap_or_default();
        let images = means.based(&outside.registry, &repository, &platforms, &materials).await?;
        let (registry, images) = (&outside.registry, Arc::new(images));
        let searched =
            means.searching.search(registry, &repository, &images, &means.layers).await?;
        anyhow::Ok((searched, images))
    };
    let signing = sign_one(outside, opened, workflow, image, means, &gate);
    let ((attested, scanned, told), (mut searched, images)) =
        futures_util::try_join!(signing, searching)?;
    add_checks(&mut searched, attested.built().checks());
    Ok((Proven { attested, scanned, searched, images }, told))
}

/// Beside what the layers and the config show, what BuildKit says of the Dockerfile.
fn add_checks(searched: &mut Searched, checks: &DockerfileChecks) {
    match checks {
        DockerfileChecks::NotAsked => {}
        DockerfileChecks::NotRun(why) => searched.add_checks(&[], Some(why)),
        DockerfileChecks::Done(report) => {
            searched.add_checks(&report.weaknesses, report.broken.as_deref());
        }
    }
}

async fn sign_one(
    outside: &Outside,
    mut opened: OpenedSession,
    workflow: &WorkflowOfRun,
    ImageToProve { built, wanted: (policy, reusable), accepted, known }: ImageToProve<'_>,
    EvidenceMeans { sboms, scanning, .. }: &EvidenceMeans<'_>,
    gate: &MaterialsGate,
) -> anyhow::Result<(AttestedImage, Scanned, ProgressOfImage)> {
    let wanted = &policy.requirements;
    let Outside { registry, services, .. } = outside;
    let now = jiff::Timestamp::now();
    let repositories = built.repositories().to_vec();
    let empty_configs =
        try_join_all(repositories.iter().map(|repository| registry.stage_empty_config(repository)));
    // Most images carry nothing yet; asking costs no time beside the certificate.
    let subjects: Vec<&Digest> =
        built.subjects().iter().map(|(_, subject)| &subject.digest).collect();
    let existing = ExistingStatements::read(
        registry,
        &outside.verifier,
        &repositories,
        &subjects,
        reusable,
        &wanted.formats,
    );
    let parts = attest::DraftParts::of(&built);
    let mut foreign = Vec::new();
    let noted = &mut foreign;
    let accepted = async {
        let accepted =
            accepted.await.context("statements of others about the image were not read")?;
        noted.extend(accepted.foreign().iter().map(Foreign::shown));
        gate.accepted(accepted.materials());
        Ok(accepted)
    };
    let drafts = attest::draft(registry, &parts, workflow, sboms, accepted);
    let drafts = drafts.inspect(|_| gate.open()).boxed_local();
    let mut told = ProgressOfImage {
        signatures: crate::sign::signed_parts(&built, wanted).len(),
        ..ProgressOfImage::default()
    };
    let session = async {
        opened
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|session| session.clone())
            .context("no session was opened")
    };
    let ready = async {
        futures_util::try_join!(session, existing, async {
            empty_configs.await.remedied().map(drop)
        })
    };
    // Drafts take longer than a certificate, and signing the image needs none.
    let (ready, drafts) = match futures_util::future::select(std::pin::pin!(ready), drafts).await {
        Either::Left((ready, drafts)) => (ready, drafts),
        Either::Right((drafts, ready)) => (ready.await, async { drafts }.boxed_local()),
    };
    let (session, existing, ()) = ready?;
    told.reused = !existing.is_empty();
    let mut scanned = Scanned::Not(String::new());
    let (counted, found) = (&mut told, &mut scanned);
    let drafts = async {
        let limit = envelope_limit(services);
        let (mut drafts, left_out) = attest::of_index::completed(&parts, drafts.await?, limit)?;
        let (scanned, results) = scanning.drafts(&parts, &drafts, limit, known).await?;
        *found = scanned;
        drafts.extend(results);
        (counted.attestations, counted.left_out) = (drafts.len(), left_out);
        Ok(attest::lacking(drafts, &repositories, &wanted.formats, &existing))
    };
    let signing =
        crate::sign::sign(registry, &session, built, wanted, &outside.annotations, &existing, now);
    let attested =
        attest::attest(registry, &session, &repositories, &wanted.formats, now, drafts, signing)
            .await?;
    told.left_out.extend(foreign);
    Ok((attested, scanned, told))
}

/// The log of version 1 takes whole envelopes; later versions take what was signed of them.
pub(super) fn envelope_limit(services: &Services) -> usize {
    if services.rekor.as_ref().is_some_and(|rekor| rekor.version == 1) {
        attest::lean::ENVELOPE_LIMIT
    } else {
        usize::MAX
    }
}

/// Whether the same image may verify in a moment.
fn passes(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Unproven>().is_some_and(|unproven| unproven.passes)
}

/// Seconds that the clock of a log may be ahead of this machine's.
const CLOCKS: u32 = 10;

/// Every image in all its repositories, before the first tag is set on any.
pub async fn verify_all(
    outside: &Outside,
    attested: &[AttestedImage],
    policies: &[EvidencePolicy],
) -> anyhow::Result<(Vec<Vec<VerifiedImage>>, String)> {
    let mut patience = CLOCKS;
    let verified = loop {
        let checks =
            attested.iter().zip(policies).map(|(attested, policy)| async move {
                let images: Vec<ImageRef> = attested.built().images().collect();
                try_join_all(images.iter().map(|image| {
                    verify::verify(&outside.registry, &outside.verifier, image, policy)
                }))
                .await
            });
        match try_join_all(checks).await {
            // A log whose clock is ahead of ours has signed in our future; that passes.
            Err(error) if patience > 0 && passes(&error) => {
                patience -= 1;
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            outcome => break outcome.context("what the registry holds does not verify")?,
        }
    };
    let statements: usize = verified
        .iter()
        .flatten()
        .flat_map(|image| &image.evidence().subjects)
        .map(|subject| subject.signatures.len() + subject.attestations.len())
        .sum();
    Ok((verified, format!("{} read back and checked", plural(statements, "statement"))))
}
