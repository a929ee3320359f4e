//! `supply-action verify IMAGE`: the gate of the pipeline as a command, for any image in a
//! registry. It only reads, and believes only what it fetched and hashed.

mod arguments;
mod effective;
mod policy;
mod told;
mod whose;

use anyhow::Context as _;

pub use self::arguments::{VerifyArguments, WantedReference};
pub(super) use self::policy::named_signer;
pub(super) use self::told::for_reader;
use self::told::{VerifiedFormats, VerifiedLayout};
use self::whose::SignatureAskedFor;
use super::outside::line;
use super::release::say_elsewhere;
use super::served_layout::ServedLayout;
use crate::environment::Environment;
use crate::error::OrRemedy as _;
use crate::github::RunContext;
use crate::github::network::Plain;
use crate::image::{ImageRef, Repository, Tag};
use crate::login::{self, LoginsAsked};
use crate::registry::{Credentials, Registry};
use crate::report::Report;
use crate::sigstore::load_trusted_root;
use crate::sigstore::verifier::BundleVerifier;
use crate::summary::source;
use crate::verify::policy::{EvidencePolicy, FormatsAccepted, Requirements};
use crate::verify::signer::SignerPolicy;
use crate::verify::{self, CarriedEvidence, Reasons, VerifiedImage};

pub async fn run(
    arguments: &VerifyArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<()> {
    let outcome = checked(arguments, env, report).await.map_err(told::for_reader);
    match outcome {
        Ok(found) => {
            if arguments.json {
                report.json(&found.json().to_string());
            } else {
                report.answer(&found.lines());
            }
            super::ending::verified(&found.image, env)
        }
        Err(error) => {
            if arguments.json {
                report.json(&told::refusal(&error).to_string());
            }
            Err(error)
        }
    }
}

async fn checked(
    arguments: &VerifyArguments,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<VerifiedFormats> {
    let Some(layout) = &arguments.layout else {
        let wanted = arguments.image.as_ref().context("nothing was verified: no image is named")?;
        return of_wanted(arguments, wanted, env, report).await;
    };
    let served = ServedLayout::open(layout).await.context("nothing was verified")?;
    let found = of_layout(arguments, &served, env, report).await;
    served.close().await;
    found
}

/// An image on disk: as one in a registry, and every blob of it.
async fn of_layout(
    arguments: &VerifyArguments,
    served: &ServedLayout,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<VerifiedFormats> {
    let mut found =
        of_wanted(arguments, &WantedReference::Digest(served.image.clone()), env, report).await?;
    let registry = Registry::new(line(&RunContext::new(env).network)?, Credentials::default());
    let blobs = served
        .whole(&registry)
        .await
        .with_context(|| format!("`{}` is not verified", served.shown))?;
    found.layout = Some(VerifiedLayout { shown: served.shown.clone(), blobs });
    Ok(found)
}

async fn of_wanted(
    arguments: &VerifyArguments,
    wanted: &WantedReference,
    env: &Environment,
    report: &Report,
) -> anyhow::Result<VerifiedFormats> {
    let judge = EvidenceJudge::new(arguments).context("nothing was verified")?;
    let repository = wanted.repository();
    let mut context = RunContext::new(env);
    if arguments.allow_http_registry {
        context.network.plain = Plain::of([repository.registry().to_owned()]);
    }
    let asked = LoginsAsked {
        logins: &[],
        images: std::slice::from_ref(repository),
        env,
        context: &context,
        token: None,
    };
    let credentials =
        login::stored_credentials(&asked).map_err(told::unknown).context("nothing was verified")?;
    let registry = Registry::new(line(&context.network)?, credentials);
    let image = match wanted {
        WantedReference::Digest(image) => image.clone(),
        WantedReference::Tag(repository, tag) => named(&registry, repository, tag).await?,
    };
    let mut found = judge.found(&registry, &image, repository).await;
    say_elsewhere(&registry, report).await;
    if let (WantedReference::Tag(_, tag), Ok(found)) = (wanted, &mut found) {
        found.other_version = source::other_version(tag, &found.image.evidence().sources);
    }
    found
}

/// Who must have signed what: asked of an image wherever it lies.
pub(super) struct EvidenceJudge<'a> {
    arguments: &'a VerifyArguments,
    whose: SignatureAskedFor,
    verifier: BundleVerifier,
    documents: verify::StatementDocuments,
}

impl<'a> EvidenceJudge<'a> {
    pub(super) fn new(arguments: &'a VerifyArguments) -> anyhow::Result<Self> {
        arguments.agree()?;
        let whose = SignatureAskedFor::of(arguments)?;
        let verifier = BundleVerifier::new(&load_trusted_root(arguments.trusted_root.as_deref())?)?;
        let verifier =
            if arguments.insecure_ignore_tlog { verifier.ignoring_logs() } else { verifier };
        Ok(Self { arguments, whose, verifier, documents: verify::StatementDocuments::Forgotten })
    }

    /// The same, for who scans what SBOMs list.
    pub(super) fn keeping_documents(self) -> Self {
        Self { documents: verify::StatementDocuments::Kept, ..self }
    }

    /// The policy in force, as canonical JSON.
    pub(super) fn policy(&self) -> anyhow::Result<Vec<u8>> {
        self.arguments.effective()
    }

    /// What is asked of each part of an image that lies in a repository.
    pub(super) fn requirements(&self, repository: &Repository) -> Requirements {
        self.arguments.requirements(repository)
    }

    /// The image, if it is verified. What is told of a failure is for somebody who only reads.
    pub(super) async fn image(
        &self,
        registry: &Registry,
        image: &ImageRef,
    ) -> anyhow::Result<VerifiedImage> {
        self.copy(registry, image, &image.repository).await
    }

    /// The same of an image that was copied from a repository: that is what those who verified it
    /// there speak of.
    pub(super) async fn copy(
        &self,
        registry: &Registry,
        image: &ImageRef,
        from: &Repository,
    ) -> anyhow::Result<VerifiedImage> {
        Ok(self.found(registry, image, from).await.map_err(told::for_reader)?.image)
    }

    async fn found(
        &self,
        registry: &Registry,
        image: &ImageRef,
        resource: &Repository,
    ) -> anyhow::Result<VerifiedFormats> {
        let Self { arguments, whose, verifier, documents } = self;
        let not_verified = || format!("`{image}` is not verified");
        let whole = if arguments.signature_formats.is_empty() {
            verify::WantedAmount::WhatCanBeRead
        } else {
            verify::WantedAmount::All
        };
        let requirements = arguments.requirements(resource);
        let carried = CarriedEvidence::read(
            registry,
            verifier,
            image,
            &requirements,
            whose.key(),
            (whole, *documents),
        )
        .await;
        let carried = carried.with_context(not_verified)?;
        self.judged(registry, carried, requirements).await.with_context(not_verified)
    }

    /// Every part must be by one signer, so each who may be is tried for the whole image.
    async fn judged(
        &self,
        registry: &Registry,
        mut carried: CarriedEvidence,
        requirements: Requirements,
    ) -> anyhow::Result<VerifiedFormats> {
        let Self { arguments, whose, .. } = self;
        let claims = carried.claims();
        let policy = |signer| EvidencePolicy {
            signer: SignerPolicy { signer, source: arguments.source() },
            requirements: requirements.clone(),
        };
        let among = if arguments.signature_formats.is_empty() {
            FormatsAccepted::Any
        } else {
            FormatsAccepted::Each(&arguments.signature_formats)
        };
        let mut refused: Option<(EvidencePolicy, Reasons)> = None;
        for signer in whose.signers(&claims) {
            let policy = policy(signer);
            match carried.judged(&policy, among, jiff::Timestamp::now()) {
                Ok(evidence) => {
                    let formats = told::formats(arguments, &carried, &policy);
                    let (artifact, ignores_log) =
                        (carried.artifact().map(str::to_owned), arguments.insecure_ignore_tlog);
                    return Ok(VerifiedFormats {
                        image: carried.verified(evidence)?,
                        formats,
                        ignores_log,
                        artifact,
                        layout: None,
                        other_version: None,
                    });
                }
                // Who lacks least is most likely who was meant.
                Err(reasons)
                    if refused
                        .as_ref()
                        .is_none_or(|(_, known)| reasons.extent() < known.extent()) =>
                {
                    refused = Some((policy, reasons))
                }
                Err(_) => {}
            }
        }
        if let Some((format, error)) = carried.unread() {
            return Err(error.context(format!("its {} could not be read", told::name(format))));
        }
        let unsigned = carried.unsigned(registry).await;
        Err(told::VerifyRefusal {
            whose,
            claims: &claims,
            carried: &carried,
            refused,
            unsigned: &unsigned,
        }
        .error())
    }
}

/// What a tag names now.
async fn named(
    registry: &Registry,
    repository: &Repository,
    tag: &Tag,
) -> anyhow::Result<ImageRef> {
    let named =
        registry.tagged(repository, tag).await.remedied().context("nothing was verified")?;
    let named =
        named.with_context(|| format!("nothing was verified: there is no `{repository}:{tag}`"))?;
    Ok(repository.at(&named.descriptor.digest))
}
