//! `supply-action verify IMAGE`: the gate of the pipeline as a command, for any image in a registry. It only reads, and believes only what it
//! fetched and hashed.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::release::{line, say_elsewhere};
use crate::error::{self, OrRemedy as _, Remedy as _, WithExit, exit};
use crate::github::network::Plain;
use crate::github::{Context, Environment};
use crate::image::{ImageRef, Platform, Repository, Tag};
use crate::login::{self, Asked};
use crate::oci::Allowed;
use crate::registry::Registry;
use crate::report::Report;
use crate::sigstore::artifact::Identity;
use crate::sigstore::verifier::{BundleVerifier, Signer};
use crate::sigstore::{SIGNATURE_PREDICATE, load_trusted_root};
use crate::summary::source::said;
use crate::verify::policy::{Format, Part, Policy, Requirements, SLSA_PROVENANCE, SPDX};
use crate::verify::signer::{
    GITHUB_ISSUER, RepositoryId, Runner, SignerPolicy, SourceCommit, SourceRef, SourceRepository, SourceRule, Trigger,
};
use crate::verify::{self, VerifiedImage, claims};

/// What `verify` is asked.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("signer").required(true), after_help = EXAMPLES)]
pub struct Arguments {
    #[allow(rustdoc::bare_urls, reason = "this is what --help prints")]
    /// Who must have signed every part, exactly: a workflow as https://github.com/OWNER/REPO/PATH@REF, or an e-mail address
    #[arg(long, value_name = "ID", group = "signer")]
    pub certificate_identity: Option<String>,
    /// As --certificate-identity, as a pattern for the whole of it (we put ^(?:…)$ around)
    #[arg(long, value_name = "REGEX", group = "signer")]
    pub certificate_identity_regexp: Option<String>,
    /// The signer's public key in PEM, in place of an identity
    #[arg(long, value_name = "PEM_FILE", group = "signer")]
    pub key: Option<PathBuf>,
    /// Who must have vouched for the signer, exactly
    #[arg(long, value_name = "URL", default_value = GITHUB_ISSUER)]
    pub certificate_oidc_issuer: String,
    /// The repository whose run must have signed, as OWNER/NAME on github.com or as a URL: demanded where the workflow that signed
    /// is another repository's, as that signs for whoever calls it
    #[arg(long, value_name = "REPOSITORY", conflicts_with = "key")]
    pub source_repository: Option<SourceRepository>,
    /// The same by its number, which does not pass to another repository of the name
    #[arg(long, value_name = "NUMBER", conflicts_with = "key")]
    pub source_repository_id: Option<RepositoryId>,
    /// The ref whose run must have signed, such as refs/tags/v1.2.3
    #[arg(long, value_name = "REF", conflicts_with = "key")]
    pub source_ref: Option<SourceRef>,
    /// The commit whose run must have signed, in full
    #[arg(long, value_name = "COMMIT", conflicts_with = "key")]
    pub source_commit: Option<SourceCommit>,
    /// The event that must have started the run, such as push
    #[arg(long, value_name = "EVENT", conflicts_with = "key")]
    pub trigger: Option<Trigger>,
    /// Whose runner must have signed: github-hosted or self-hosted
    #[arg(long, value_name = "KIND", conflicts_with = "key")]
    pub runner: Option<Runner>,
    /// Whom to believe; without it the public-good instance, as this program knows it
    #[arg(long, value_name = "FILE")]
    pub trusted_root: Option<PathBuf>,
    /// What a part must have, as PART=KIND,KIND: parts are index, platforms and attestations, kinds are signature, sbom, provenance or a
    /// predicate type
    #[arg(long, value_name = "PART=KINDS", default_values_t = [of(Part::Index, "signature,provenance"), of(Part::Platform, "signature")])]
    pub require: Vec<Required>,
    /// A platform that must be there
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Vec<Platform>,
    /// The formats in which everything must be, bundle or legacy; without it, one of them is enough
    #[arg(long, value_delimiter = ',', value_name = "FORMATS")]
    pub signature_formats: Vec<Format>,
    /// Accept layers that name addresses outside of the registry, and say so
    #[arg(long)]
    pub allow_foreign_layers: bool,
    /// Accept entries of the index of this artifact type, which are neither images nor attestations, and say so
    #[arg(long, value_name = "TYPE")]
    pub allow_index_entries: Vec<String>,
    /// Reach the image's registry over plain HTTP
    #[arg(long)]
    pub allow_http_registry: bool,
    /// Print what was found as JSON, for machines
    #[arg(long)]
    pub json: bool,
    /// The image: name@sha256:…, name:tag, or name for name:latest
    #[arg(value_name = "IMAGE")]
    pub image: Wanted,
}

const EXAMPLES: &str = "Logins are taken from Docker's configuration (DOCKER_CONFIG or ~/.docker/config.json).

A release of this repository, whichever its tag:
  supply-action verify --certificate-identity-regexp \\
    'https://github\\.com/octo/app/\\.github/workflows/release\\.yml@refs/tags/v.*' ghcr.io/octo/app:v1.2.3

Published through a workflow that others call as well, which alone does not say whose image it is:
  supply-action verify --source-repository octo/app --runner github-hosted --certificate-identity \\
    https://github.com/org/supply-action/.github/workflows/publish.yml@refs/tags/v1 ghcr.io/octo/app:v1.2.3

With an SBOM and provenance for every platform:
  supply-action verify --certificate-identity … --require index=signature --require platforms=signature,sbom,provenance IMAGE

Exit codes: 0 verified, 1 not verified or not to be found out, 2 the arguments are wrong";

/// `PART=KIND,KIND`.
#[derive(Debug, Clone)]
pub struct Required {
    part: Part,
    kinds: Vec<String>,
    text: String,
}

fn of(part: Part, kinds: &str) -> Required {
    let name = match part {
        Part::Index => "index",
        Part::Platform => "platforms",
        Part::Attestations => "attestations",
    };
    Required { part, kinds: kinds.split(',').map(str::to_owned).collect(), text: format!("{name}={kinds}") }
}

impl std::fmt::Display for Required {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for Required {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (part, kinds) =
            text.split_once('=').ok_or_else(|| format!("`{text}` is not PART=KINDS, such as `platforms=signature,sbom`"))?;
        let kinds: Vec<String> = kinds.split(',').map(str::trim).filter(|kind| !kind.is_empty()).map(str::to_owned).collect();
        match kinds.iter().find(|kind| !["signature", "sbom", "provenance"].contains(&kind.as_str()) && !kind.contains("://")) {
            Some(kind) => Err(format!("`{kind}` is none of `signature`, `sbom`, `provenance`, nor a predicate type (a URL)")),
            None => Ok(Self { part: part.trim().parse()?, kinds, text: text.to_owned() }),
        }
    }
}

/// An image as people name it.
#[derive(Debug, Clone)]
pub enum Wanted {
    Digest(ImageRef),
    Tag(Repository, Tag),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            return text.parse().map(Self::Digest).map_err(|error: crate::image::ImageError| error.to_string());
        }
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (text, "latest"),
        };
        let name: Repository = name.parse().map_err(|error: crate::image::ImageError| error.to_string())?;
        Ok(Self::Tag(name, tag.parse().map_err(|error: crate::image::ImageError| error.to_string())?))
    }
}

pub async fn run(arguments: &Arguments, env: &Environment, report: &Report) -> anyhow::Result<()> {
    let outcome = checked(arguments, env, report).await;
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
                report.json(&json!({ "verified": false, "reason": error::message(&error) }).to_string());
            }
            Err(error)
        }
    }
}

/// A verified image, and how each format fared.
struct Found {
    image: VerifiedImage,
    formats: Vec<(Format, Option<String>)>,
}

async fn checked(arguments: &Arguments, env: &Environment, report: &Report) -> anyhow::Result<Found> {
    let repository = match &arguments.image {
        Wanted::Digest(image) => &image.repository,
        Wanted::Tag(repository, _) => repository,
    };
    let mut context = Context::new(env);
    if arguments.allow_http_registry {
        context.network.plain = Plain::of([repository.registry().to_owned()]);
    }
    let asked = Asked { logins: &[], images: std::slice::from_ref(repository), env, context: &context, token: None };
    let registry = Registry::new(line(&context.network)?, login::stored_credentials(&asked).context("nothing was verified")?);
    let verifier = BundleVerifier::new(&load_trusted_root(arguments.trusted_root.as_deref())?)?;
    let image = match &arguments.image {
        Wanted::Digest(image) => image.clone(),
        Wanted::Tag(repository, tag) => {
            let named = registry.tagged(repository, tag).await.remedied().context("nothing was verified")?;
            let named = named.with_context(|| format!("nothing was verified: there is no `{repository}:{tag}`"))?;
            repository.at(&named.descriptor.digest)
        }
    };
    let signers = signers(arguments, &registry, &image).await.with_context(|| format!("`{image}` is not verified"))?;
    say_elsewhere(&registry, report).await;
    let mut refused = None;
    // Every part must be by one signer, so each is tried for the whole image.
    for signer in signers {
        let signer = SignerPolicy { signer, source: source(arguments) };
        match in_formats(arguments, &registry, &verifier, &image, &signer).await {
            Ok(found) => return Ok(found),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| anyhow::anyhow!("nobody signed it"))).with_context(|| format!("`{image}` is not verified"))
}

/// What is asked of the run that signed.
fn source(arguments: &Arguments) -> SourceRule {
    SourceRule {
        repository: arguments.source_repository.clone(),
        repository_id: arguments.source_repository_id.clone(),
        git_ref: arguments.source_ref.clone(),
        commit: arguments.source_commit.clone(),
        trigger: arguments.trigger.clone(),
        runner: arguments.runner.clone(),
    }
}

/// The signers to try: the one that is named, or all that claim a name of the pattern.
async fn signers(arguments: &Arguments, registry: &Registry, image: &ImageRef) -> anyhow::Result<Vec<Signer>> {
    let issuer = &arguments.certificate_oidc_issuer;
    if let Some(file) = &arguments.key {
        return Ok(vec![Signer::Key(super::verify_bundle::public_key(file)?)]);
    }
    if let Some(identity) = &arguments.certificate_identity {
        return Ok(vec![Signer::Keyless { identity: identity.clone(), issuer: issuer.clone() }]);
    }
    let pattern = arguments.certificate_identity_regexp.as_deref().unwrap_or_default();
    let wanted = Identity::pattern(pattern).map_err(|error| WithExit {
        code: exit::BAD_INPUT,
        message: format!("nothing was verified: --certificate-identity-regexp `{pattern}` is not a pattern: {error}"),
    })?;
    let claimed = claims::signers(registry, image).await?;
    let (matching, others): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|(identity, of)| of == issuer && wanted.matches(identity));
    if !matching.is_empty() {
        return Ok(matching.into_iter().map(|(identity, issuer)| Signer::Keyless { identity, issuer }).collect());
    }
    let others: Vec<String> = others.iter().map(|(identity, issuer)| format!("`{identity}` ({issuer})")).collect();
    let claims =
        if others.is_empty() { "it has no signature at all".to_owned() } else { format!("it claims to be by {}", others.join(", ")) };
    Err(anyhow::anyhow!("no signature is by `{pattern}` of `{issuer}`; {claims}"))
        .hint("the pattern must match the whole identity; if one of these is whom you trust, name it")
}

async fn in_formats(
    arguments: &Arguments,
    registry: &Registry,
    verifier: &BundleVerifier,
    image: &ImageRef,
    signer: &SignerPolicy,
) -> anyhow::Result<Found> {
    let try_formats = async |formats: &[Format]| {
        let policy = Policy { signer: signer.clone(), requirements: requirements(arguments, formats) };
        verify::verify(registry, verifier, image, &policy).await
    };
    if !arguments.signature_formats.is_empty() {
        let formats = arguments.signature_formats.iter().map(|format| (*format, None)).collect();
        return Ok(Found { image: try_formats(&arguments.signature_formats).await?, formats });
    }
    let (bundles, layers) = (try_formats(&[Format::Bundle]).await, try_formats(&[Format::Legacy]).await);
    let told = |outcome: &anyhow::Result<VerifiedImage>| outcome.as_ref().err().map(error::message);
    let formats = vec![(Format::Bundle, told(&bundles)), (Format::Legacy, told(&layers))];
    // What is in both is shown whole.
    let image = match (bundles, layers) {
        (Ok(_), Ok(_)) => try_formats(&[Format::Bundle, Format::Legacy]).await?,
        (Ok(image), Err(_)) | (Err(_), Ok(image)) => image,
        (Err(bundles), Err(_)) => return Err(bundles),
    };
    Ok(Found { image, formats })
}

fn requirements(arguments: &Arguments, formats: &[Format]) -> Requirements {
    let of = |part: Part| -> Vec<String> {
        let kinds = arguments.require.iter().filter(|required| required.part == part).flat_map(|required| &required.kinds);
        kinds
            .map(|kind| match kind.as_str() {
                "signature" => SIGNATURE_PREDICATE.to_owned(),
                "sbom" => SPDX.to_owned(),
                "provenance" => SLSA_PROVENANCE.to_owned(),
                url => url.to_owned(),
            })
            .collect()
    };
    Requirements {
        platforms: arguments.platform.clone(),
        index: of(Part::Index),
        platform: of(Part::Platform),
        attestations: of(Part::Attestations),
        formats: formats.to_vec(),
        allowed: Allowed { foreign_layers: arguments.allow_foreign_layers, index_entries: arguments.allow_index_entries.clone() },
    }
}

impl Found {
    fn json(&self) -> Value {
        let formats: serde_json::Map<String, Value> = self
            .formats
            .iter()
            .filter_map(|(format, why)| {
                Some((json!(format).as_str()?.to_owned(), why.as_ref().map_or(json!("verified"), |why| json!(why))))
            })
            .collect();
        let evidence = self.image.evidence();
        json!({
            "verified": true, "image": self.image.image().to_string(), "signer": evidence.signer, "formats": formats,
            "sources": evidence.sources, "subjects": evidence.subjects, "allowed": self.image.told(),
        })
    }

    fn lines(&self) -> Vec<String> {
        let evidence = self.image.evidence();
        let mut lines = vec![format!("verified   {}", self.image.image()), format!("signed by  {}", evidence.signer)];
        if let Signer::Keyless { issuer, .. } = &evidence.signer {
            lines.push(format!("issuer     {issuer}"));
        }
        for source in &evidence.sources {
            lines.extend(said(source, evidence).into_iter().map(|(name, value)| format!("{name:<10} {value}")));
        }
        for (format, why) in &self.formats {
            let name = if *format == Format::Bundle { "bundles" } else { "legacy" };
            lines.push(format!("{name:<10} {}", why.as_deref().unwrap_or("verified")));
        }
        lines.extend(self.image.told().iter().map(|told| format!("allowed    {told}")));
        lines.push(String::new());
        lines.extend(evidence.subjects.iter().map(crate::summary::picture::subject_line));
        lines
    }
}
