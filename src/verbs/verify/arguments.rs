//! Arguments of `supply-action verify`, as text of the command line. Parsing only.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args};

use crate::error::{WithExit, exit};
use crate::evidence::{EvidenceFormat, EvidenceKind, EvidencePart};
use crate::image::spelling::ReferenceParts;
use crate::image::{ImageRef, Platform, Repository, Tag};
use crate::oci::Allowed;
use crate::scan::severity::SeverityLevel;
use crate::sigstore::verifier::Signer;
use crate::text::age::Age;
use crate::verify::check::Check;
use crate::verify::policy::{EvidenceNeed, PolicyRule, Requirements};
use crate::verify::signer::{
    GITHUB_ISSUER, RepositoryId, Runner, SignerPolicy, SourceCommit, SourceRef, SourceRepository,
    SourceRule, Trigger,
};
use crate::verify::summary::{SlsaLevel, SummarizedResource, SummaryTerms};

/// Arguments of `supply-action verify`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("signer"),
    group = ArgGroup::new("whose").args(["certificate_identity", "certificate_identity_regexp", "key", "repo"]).required(true).multiple(true),
    after_help = EXAMPLES
)]
pub struct VerifyArguments {
    #[allow(rustdoc::bare_urls, reason = "this is what --help prints")]
    /// The exact identity that must have signed every part: a workflow as
    /// https://github.com/OWNER/REPO/PATH@REF, or an e-mail address
    #[arg(long, value_name = "ID", group = "signer")]
    pub certificate_identity: Option<String>,
    /// As --certificate-identity, but a regular expression for the whole identity (it becomes
    /// ^(?:…)$)
    #[arg(long, value_name = "REGEX", group = "signer")]
    pub certificate_identity_regexp: Option<String>,
    /// The signer's public key in PEM, in place of an identity
    #[arg(long, value_name = "PEM_FILE", group = "signer")]
    pub key: Option<PathBuf>,
    /// Accept what the key signed without an entry in a transparency log: anyone who ever had the
    /// key may have signed it, at any time
    #[arg(long, requires = "key", conflicts_with_all = ["certificate_identity", "certificate_identity_regexp", "repo"])]
    pub insecure_ignore_tlog: bool,
    /// The repository whose image it is, as OWNER/NAME on github.com or as a URL: one of its
    /// workflows must have signed, in one of its runs, and its server must have vouched for it.
    /// With an identity as well, that identity must have signed, in a run of this repository
    #[arg(short = 'R', long, value_name = "REPOSITORY", conflicts_with_all = ["key", "source_repository"])]
    pub repo: Option<SourceRepository>,
    #[allow(rustdoc::bare_urls, reason = "this is what --help prints")]
    /// The exact OIDC issuer that must have vouched for the signer [default:
    /// https://token.actions.githubusercontent.com, or with --repo the issuer of its server]
    #[arg(long, value_name = "URL")]
    pub certificate_oidc_issuer: Option<String>,
    /// The repository whose run must have signed, as OWNER/NAME on github.com or as a URL: required
    /// if the workflow that signed belongs to another repository, because it signs for every caller
    #[arg(long, value_name = "REPOSITORY", conflicts_with = "key")]
    pub source_repository: Option<SourceRepository>,
    /// The same repository by its number, which no other repository of that name gets
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
    /// The kind of runner that must have signed: github-hosted or self-hosted
    #[arg(long, value_name = "KIND", conflicts_with = "key")]
    pub runner: Option<Runner>,
    /// Sigstore trusted root (JSON); by default the public-good root that is built into this
    /// program
    #[arg(long, value_name = "FILE")]
    pub trusted_root: Option<PathBuf>,
    /// What a part must have, as PART=KIND,KIND: parts are index, platforms and attestations, kinds
    /// are signature, sbom (SPDX or CycloneDX), provenance (SLSA, of version 1 or 0.2), vuln, vex,
    /// test-result, verification-summary or a predicate type [default: index=signature,provenance
    /// platforms=signature, or with --verifier-id index=verification-summary]
    #[arg(long, value_name = "PART=KINDS")]
    pub require: Vec<RequiredKinds>,
    /// Require the result of a scan that is not older than this: a number of hours (`36h`) or days
    /// (`7d`). The newest counts, and only results of this program can be read
    #[arg(long, value_name = "AGE")]
    pub max_scan_age: Option<Age>,
    /// Require the result of a scan without an open vulnerability of this severity or worse
    /// (critical, high, medium or low), as it was signed; nothing is looked up today
    #[arg(long, value_name = "LEVEL")]
    pub fail_on: Option<SeverityLevel>,
    /// With --fail-on, whether only vulnerabilities with a fix count
    #[arg(long, value_name = "BOOL", default_value_t = false, action = clap::ArgAction::Set, requires = "fail_on")]
    pub only_fixed: bool,
    #[allow(rustdoc::bare_urls, reason = "this is what --help prints")]
    /// Who must have signed the results of scans, if not the signer of the image: a workflow that
    /// scans again, as https://github.com/OWNER/REPO/PATH@REF
    #[arg(long, value_name = "ID")]
    pub scan_identity: Option<String>,
    /// The exact builder that the provenance of each platform must name
    #[arg(long, value_name = "ID")]
    pub builder_id: Option<String>,
    /// The repository that the provenance of each platform must name as its source
    #[arg(long, value_name = "URL")]
    pub build_source: Option<String>,
    #[allow(rustdoc::bare_urls, reason = "this is what --help prints")]
    /// The verifier whose SLSA verification summary replaces the evidence: the exact verifier.id in
    /// it, such as https://github.com/OWNER/REPO/.github/workflows/promote.yml. It must say PASSED,
    /// of this image in this repository. Anybody can write that name, so name its signer as well
    #[arg(long, value_name = "ID")]
    pub verifier_id: Option<String>,
    #[allow(rustdoc::bare_urls, reason = "this is what --help prints")]
    /// Who must have signed verification summaries, if not the signer of the rest: a workflow as
    /// https://github.com/OWNER/REPO/PATH@REF
    #[arg(long, value_name = "IDENTITY", requires = "verifier_id")]
    pub verifier_identity: Option<String>,
    /// The lowest level that the verification summary may state, such as SLSA_BUILD_LEVEL_2; a
    /// level implies the lower levels of its track
    #[arg(long, value_name = "LEVEL", requires = "verifier_id")]
    pub min_level: Option<SlsaLevel>,
    /// The exact resourceUri that the verification summary must name [default: the
    /// repository of the image, in any spelling, with no digest but that of the part]
    #[arg(long, value_name = "URI", requires = "verifier_id")]
    pub resource_uri: Option<String>,
    /// A platform that the image must have
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Vec<Platform>,
    /// Formats that must each hold all required evidence, bundle or legacy; by default each
    /// statement may be in either format
    #[arg(long, value_delimiter = ',', value_name = "FORMATS")]
    pub signature_formats: Vec<EvidenceFormat>,
    /// Accept layers that name addresses outside of the registry, and say so
    #[arg(long)]
    pub allow_foreign_layers: bool,
    /// Accept entries of the index of this artifact type, which are neither images nor
    /// attestations, and say so
    #[arg(long, value_name = "TYPE")]
    pub allow_index_entries: Vec<String>,
    /// Reach the image's registry over plain HTTP
    #[arg(long)]
    pub allow_http_registry: bool,
    /// Print what was found as JSON, for machines
    #[arg(long)]
    pub json: bool,
    /// An image on disk in place of one in a registry: an OCI layout in a folder or in one archive, as
    /// PATH, PATH:NAME or PATH@sha256:…, and every blob is hashed
    #[arg(long, value_name = "PATH")]
    pub layout: Option<String>,
    /// The image: name@sha256:…, name:tag, or name for name:latest
    #[arg(value_name = "IMAGE", required_unless_present = "layout", conflicts_with = "layout")]
    pub image: Option<WantedReference>,
}

const EXAMPLES: &str = "Logins come from Docker's configuration (DOCKER_CONFIG or ~/.docker/config.json).

An image of this repository, signed by any of its workflows:
  supply-action verify --repo octo/app ghcr.io/octo/app:v1.2.3

A release of this repository, with any tag:
  supply-action verify --certificate-identity-regexp \\
    'https://github\\.com/octo/app/\\.github/workflows/release\\.yml@refs/tags/v.*' ghcr.io/octo/app:v1.2.3

Published through a reusable workflow, which alone does not say whose image it is:
  supply-action verify --repo octo/app --runner github-hosted --certificate-identity \\
    https://github.com/org/supply-action/.github/workflows/publish.yml@refs/tags/v1 ghcr.io/octo/app:v1.2.3

With an SBOM and provenance for every platform:
  supply-action verify --certificate-identity … --require index=signature --require platforms=signature,sbom,provenance IMAGE

Scanned in the last week, with no critical vulnerability left open:
  supply-action verify --repo octo/app --max-scan-age 7d --fail-on critical ghcr.io/octo/app:v1.2.3

Verified by the workflow that promoted it, by its verification summary:
  supply-action verify --repo octo/app --certificate-identity-regexp '.*/promote\\.yml@.*' \\
    --verifier-id https://github.com/octo/app/.github/workflows/promote.yml --min-level SLSA_BUILD_LEVEL_2 quay.io/octo/app:v1.2.3

The image that a rehearsal left on disk:
  supply-action verify --layout rehearsal/image --trusted-root rehearsal/trusted_root.json --repo example/hello \\
    --certificate-oidc-issuer http://127.0.0.1:PORT

Signed by a key, without a log entry:
  supply-action verify --key cosign.pub --insecure-ignore-tlog --require index=signature IMAGE

Exit codes: 0 verified, 1 not verified, 2 the arguments are wrong, 4 it could not be found out (no answer, a time-out, 401, 403, 429, 5xx)";

impl VerifyArguments {
    /// What is asked of the run that signed.
    pub(super) fn source(&self) -> SourceRule {
        SourceRule {
            repository: self.repo.clone().or_else(|| self.source_repository.clone()),
            repository_id: self.source_repository_id.clone(),
            git_ref: self.source_ref.clone(),
            commit: self.source_commit.clone(),
            trigger: self.trigger.clone(),
            runner: self.runner.clone(),
        }
    }

    /// What a part must have, by the user's words or by default.
    pub(super) fn required(&self) -> Vec<RequiredKinds> {
        let default = match &self.verifier_id {
            Some(_) => &["index=verification-summary"][..],
            None => &["index=signature,provenance", "platforms=signature"],
        };
        match self.require.is_empty() {
            true => default.iter().filter_map(|text| text.parse().ok()).collect(),
            false => self.require.clone(),
        }
    }

    /// Refuses words that ask for nothing together.
    pub(super) fn agree(&self) -> anyhow::Result<()> {
        let required = self.required();
        let needs = required.iter().flat_map(|required| &required.needs);
        let kinds: Vec<_> = needs.filter_map(EvidenceNeed::kind).collect();
        let wrong = match (&self.verifier_id, kinds.contains(&EvidenceKind::VerificationSummary)) {
            (None, true) => {
                "`verification-summary` needs a verifier: name the one that you trust with --verifier-id"
            }
            (Some(_), false) => {
                "--verifier-id has no effect, because --require does not name \
                 `verification-summary`"
            }
            _ => return Ok(()),
        };
        Err(WithExit { code: exit::BAD_INPUT, message: wrong.to_owned() }.into())
    }

    /// What a verification summary must say about what lies in a repository.
    fn summary(&self, repository: &Repository) -> Option<Check> {
        let resource = match &self.resource_uri {
            Some(uri) => SummarizedResource::Uri(uri.clone()),
            None => SummarizedResource::In(repository.clone()),
        };
        let verifier = self.verifier_id.clone()?;
        Some(Check::Summarized(SummaryTerms { verifier, resource, lowest: self.min_level.clone() }))
    }

    /// What is asked of each part of an image that lies in a repository. Both formats are read unless
    /// some are named.
    pub(super) fn requirements(&self, repository: &Repository) -> Requirements {
        let required = self.required();
        let of = |part: EvidencePart| -> Vec<PolicyRule> {
            required
                .iter()
                .filter(|required| required.part == part)
                .flat_map(|required| required.needs.iter().cloned().map(PolicyRule::from))
                .collect()
        };
        let checks: Vec<Check> = self
            .max_scan_age
            .map(Check::ScannedWithin)
            .into_iter()
            .chain(self.fail_on.map(|lowest| Check::NoFinding {
                lowest,
                only_fixed: self.only_fixed,
                only_new: false,
            }))
            .collect();
        let builds: Vec<Check> = self
            .builder_id
            .iter()
            .map(|id| Check::BuiltBy(id.clone()))
            .chain(self.build_source.iter().map(|uri| Check::BuiltFrom(uri.clone())))
            .collect();
        let formats = if self.signature_formats.is_empty() {
            &[EvidenceFormat::Bundle, EvidenceFormat::Legacy][..]
        } else {
            &self.signature_formats
        };
        let requirements = Requirements {
            platforms: self.platform.clone(),
            index: of(EvidencePart::Index),
            platform: of(EvidencePart::Platform),
            attestations: of(EvidencePart::Attestations),
            formats: formats.to_vec(),
            allowed: Allowed {
                foreign_layers: self.allow_foreign_layers,
                index_entries: self.allow_index_entries.clone(),
                artifacts: true,
            },
        }
        .checking_scans(&checks, self.scan_signer().as_ref())
        .checking_builds(&builds);
        match self.summary(repository) {
            Some(check) => requirements.checking_summaries(&check, self.verifier().as_ref()),
            None => requirements,
        }
    }

    /// Who signs for the verifier, in a run of the repository that its workflow is of.
    fn verifier(&self) -> Option<SignerPolicy> {
        let identity = self.verifier_identity.clone()?;
        let issuer = self.certificate_oidc_issuer.clone();
        let issuer = issuer.unwrap_or_else(|| GITHUB_ISSUER.to_owned());
        Some(Signer::Keyless { identity, issuer }.into())
    }

    /// Who scans again, in a run of the image's repository.
    fn scan_signer(&self) -> Option<SignerPolicy> {
        let identity = self.scan_identity.clone()?;
        let issuer = self.certificate_oidc_issuer.clone();
        let issuer = issuer.unwrap_or_else(|| GITHUB_ISSUER.to_owned());
        let source = SourceRule {
            repository: self.repo.clone().or_else(|| self.source_repository.clone()),
            repository_id: self.source_repository_id.clone(),
            ..SourceRule::default()
        };
        Some(SignerPolicy { signer: Signer::Keyless { identity, issuer }, source })
    }
}

/// `PART=KIND,KIND`.
#[derive(Debug, Clone)]
pub struct RequiredKinds {
    pub(super) part: EvidencePart,
    pub(super) needs: Vec<EvidenceNeed>,
    text: String,
}

impl std::fmt::Display for RequiredKinds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for RequiredKinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (part, kinds) = text.split_once('=').ok_or_else(|| {
            format!("`{text}` is not PART=KINDS, such as `platforms=signature,sbom`")
        })?;
        let part: EvidencePart = part.trim().parse()?;
        let needs = kinds
            .split(',')
            .map(str::trim)
            .filter(|kind| !kind.is_empty())
            .map(|text| EvidenceNeed::about(part, text))
            .collect::<Result<_, _>>()?;
        Ok(Self { part, needs, text: text.to_owned() })
    }
}

/// An image as people name it.
#[derive(Debug, Clone)]
pub enum WantedReference {
    Digest(ImageRef),
    Tag(Repository, Tag),
}

impl WantedReference {
    pub(super) fn repository(&self) -> &Repository {
        match self {
            Self::Digest(image) => &image.repository,
            Self::Tag(repository, _) => repository,
        }
    }
}

impl FromStr for WantedReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ReferenceParts { name, tag, digest } = ReferenceParts::of(text);
        if let Some(digest) = digest {
            // As everybody reads it: the digest says which image, and the tag what it was called.
            tag.map(str::parse::<Tag>).transpose().map_err(|error| error.to_string())?;
            return format!("{name}@{digest}")
                .parse()
                .map(Self::Digest)
                .map_err(|error: crate::image::ImageError| error.to_string());
        }
        let tag = tag.unwrap_or("latest");
        let name: Repository =
            name.parse().map_err(|error: crate::image::ImageError| error.to_string())?;
        Ok(Self::Tag(
            name,
            tag.parse().map_err(|error: crate::image::ImageError| error.to_string())?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_as_people_name_them() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, read) in [
            ("ghcr.io/o/a", "ghcr.io/o/a:latest".to_owned()),
            ("ghcr.io/o/a:v1", "ghcr.io/o/a:v1".to_owned()),
            ("localhost:5000/a", "localhost:5000/a:latest".to_owned()),
            ("[::1]:5000/a/b:v1", "[::1]:5000/a/b:v1".to_owned()),
            ("[::1]:5000/a/b", "[::1]:5000/a/b:latest".to_owned()),
            ("[2001:DB8::2]/a:v1", "[2001:db8::2]/a:v1".to_owned()),
            (&format!("[::1]:5000/a@{digest}"), format!("[::1]:5000/a@{digest}")),
            (&format!("[::1]:5000/a:v1@{digest}"), format!("[::1]:5000/a@{digest}")),
            (&format!("ghcr.io/o/a:v1@{digest}"), format!("ghcr.io/o/a@{digest}")),
        ] {
            let named = match text.parse().unwrap() {
                WantedReference::Digest(image) => image.to_string(),
                WantedReference::Tag(name, tag) => format!("{name}:{tag}"),
            };
            assert_eq!(named, read, "{text}");
        }
        for text in [
            "",
            "[::1]:5000",
            "a:",
            "a:v1:v2",
            "a@sha256:00",
            &format!("a:v 1@{digest}"),
            &format!("a@{digest}@{digest}"),
        ] {
            assert!(text.parse::<WantedReference>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_required_is_a_word_or_a_predicate_type() {
        let required: RequiredKinds =
            "platforms=signature, sbom,https://example.com/scan/v1".parse().unwrap();
        assert_eq!(required.needs.len(), 3);
        assert!(
            required.needs[1].is_met_by("https://cyclonedx.org/bom")
                && required.needs[1].is_met_by("https://spdx.dev/Document/v2.3")
        );
        for other in [
            "https://spdx.dev/DocumentX",
            "https://spdx.dev/Document/",
            "https://cyclonedx.org/bomb",
            "https://spdx.dev",
        ] {
            assert!(!required.needs[1].is_met_by(other), "{other}");
        }
        for wrong in [
            "signature",
            "index=Signature",
            "images=signature",
            "index=sbom;provenance",
            "attestations=sbom",
        ] {
            assert!(wrong.parse::<RequiredKinds>().is_err(), "{wrong}");
        }
    }
}
