//! The exact commands with which anybody checks what was published. Pure; the oracle tests run them
//! as they stand.

use crate::evidence;
use crate::report::shell::quoted;
use std::path::Path;

use crate::evidence::{EvidenceFormat, EvidencePart, SLSA_1};
use crate::image::ImageRef;
use crate::publish::Published;
use crate::sigstore::source::CertificateSource;
use crate::sigstore::verifier::Signer;
use crate::verify::signer::{GITHUB, GITHUB_ISSUER, path_of};
use crate::verify::{SubjectEvidence, VerifiedEvidence, common_kinds};

/// One command and what it checks.
#[derive(Debug, Clone)]
pub struct Command {
    pub checks: String,
    pub text: String,
}

/// `cosign verify` and `verify-attestation` for each part of the first image, then what checks the
/// whole. `trusted_root` is named where it is not the public one.
pub fn commands(published: &Published, trusted_root: Option<&Path>) -> Vec<Command> {
    let Some(image) = published.images.first() else { return Vec::new() };
    let evidence = &published.evidence;
    let mut commands = Vec::new();
    for subject in &published.evidence.subjects {
        let part = if subject.platform.is_none() {
            "the index".to_owned()
        } else {
            super::part_name(subject)
        };
        let target = image.repository.at(&subject.digest);
        commands.push(Command {
            checks: format!("signature of {part}"),
            text: cosign("verify", "", &target, evidence, trusted_root),
        });
        let mut kinds: Vec<&str> = subject
            .attestations
            .iter()
            .map(|statement| statement.predicate_type.as_str())
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            let kind = evidence::cosign_type(kind);
            let text = cosign(
                "verify-attestation",
                &format!(" --type {}", quoted(kind)),
                &target,
                evidence,
                trusted_root,
            );
            commands.push(Command { checks: format!("{kind} of {part}"), text });
        }
    }
    let gh = gh(image, evidence).filter(|_| trusted_root.is_none());
    commands.extend(
        gh.map(|text| Command { checks: "provenance, with GitHub's program".to_owned(), text }),
    );
    let text = ours(&image.to_string(), evidence, trusted_root);
    commands.push(Command { checks: "all of it, with this program".to_owned(), text });
    commands
}

fn cosign(
    verb: &str,
    kind: &str,
    image: &ImageRef,
    evidence: &VerifiedEvidence,
    trusted_root: Option<&Path>,
) -> String {
    let root = trust(trusted_root);
    let http = if crate::registry::is_loopback(image.repository.registry()) {
        " --allow-http-registry"
    } else {
        ""
    };
    format!("cosign {verb}{kind} {}{root}{http} {image}", who(evidence))
}

fn trust(root: Option<&Path>) -> String {
    root.map(|path| format!(" --trusted-root {}", quoted(&path.display().to_string())))
        .unwrap_or_default()
}

/// Who must have signed, and for whose run, as cosign's flags; a key is read from `KEY_FILE`.
/// cosign has none for the number of a repository, nor for its server.
pub(crate) fn who(evidence: &VerifiedEvidence) -> String {
    match &evidence.signer {
        Signer::Keyless { identity, issuer } => {
            let repository = the_one(evidence, |source| source.repository.as_deref()).map(path_of);
            let source = repository
                .map(|path| format!(" --certificate-github-workflow-repository {}", quoted(path)));
            let (identity, issuer) = (quoted(identity), quoted(issuer));
            format!(
                "--certificate-identity {identity} --certificate-oidc-issuer {issuer}{}",
                source.unwrap_or_default()
            )
        }
        Signer::Key(_) => format!("--key {KEY_FILE}"),
    }
}

/// What all runs that signed have in common.
fn the_one<'a>(
    evidence: &'a VerifiedEvidence,
    said: impl Fn(&'a CertificateSource) -> Option<&'a str>,
) -> Option<&'a str> {
    let first = said(evidence.sources.first()?)?;
    evidence.sources.iter().all(|source| said(source) == Some(first)).then_some(first)
}

/// `gh attestation verify`, which knows GitHub's own workflows and provenance in bundles.
fn gh(image: &ImageRef, evidence: &VerifiedEvidence) -> Option<String> {
    let Signer::Keyless { identity, issuer } = &evidence.signer else { return None };
    let repository = the_one(evidence, |source| source.repository.as_deref())?
        .strip_prefix(GITHUB)?
        .strip_prefix('/')?;
    let (workflow, _) = identity
        .strip_prefix("https://")
        .filter(|_| identity.starts_with(GITHUB))?
        .split_once('@')?;
    let proven = |subject: &&SubjectEvidence| {
        let kept =
            |format: EvidenceFormat, kind: &str| format == EvidenceFormat::Bundle && kind == SLSA_1;
        subject.digest == image.digest
            && subject.attestations.iter().any(|found| kept(found.format, &found.predicate_type))
    };
    evidence.subjects.iter().find(proven)?;
    let issuer = if issuer == GITHUB_ISSUER {
        String::new()
    } else {
        format!(" --cert-oidc-issuer {}", quoted(issuer))
    };
    Some(format!(
        "gh attestation verify oci://{image} --bundle-from-oci --repo {} --signer-workflow {}{issuer}",
        quoted(repository),
        quoted(workflow)
    ))
}

/// Our own `verify` of an image on disk.
pub(crate) fn of_layout(folder: &str, evidence: &VerifiedEvidence, trusted_root: &Path) -> String {
    ours(&format!("--layout {}", quoted(folder)), evidence, Some(trusted_root))
}

/// Our own `verify`, asking for every kind that all parts of a kind have.
fn ours(image: &str, evidence: &VerifiedEvidence, trusted_root: Option<&Path>) -> String {
    let who = match &evidence.signer {
        Signer::Key(_) => format!("--key {KEY_FILE}"),
        Signer::Keyless { identity, issuer } => {
            let mut who = format!("--certificate-identity {}", quoted(identity));
            if issuer != GITHUB_ISSUER {
                who += &format!(" --certificate-oidc-issuer {}", quoted(issuer));
            }
            if let Some(repository) = the_one(evidence, |source| source.repository.as_deref()) {
                let on_github =
                    repository.strip_prefix(GITHUB).and_then(|path| path.strip_prefix('/'));
                who += &format!(" --source-repository {}", quoted(on_github.unwrap_or(repository)));
            }
            if let Some(id) = the_one(evidence, |source| source.repository_id.as_deref()) {
                who += &format!(" --source-repository-id {}", quoted(id));
            }
            who
        }
    };
    let kinds = [(EvidencePart::Index, "index"), (EvidencePart::Platform, "platforms")].map(
        |(part, name)| {
            let kinds = common_kinds(&evidence.subjects, part);
            if kinds.is_empty() {
                String::new()
            } else {
                format!(" --require {}", quoted(&format!("{name}={}", kinds.join(","))))
            }
        },
    );
    format!("supply-action verify {who}{}{} {image}", kinds.concat(), trust(trusted_root))
}

/// Where the commands look for the signer's public key.
pub(crate) const KEY_FILE: &str = "cosign.pub";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(
            quoted("https://github.com/o/r@refs/heads/main"),
            "https://github.com/o/r@refs/heads/main"
        );
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted("it's\n\u{202e}x\\"), r"$'it\'s\x0a\U0000202ex\\'");
    }

    /// What a run of `octo/app` left that called a workflow of `org/tool`.
    fn evidence(repository: &str, issuer: &str) -> (ImageRef, VerifiedEvidence) {
        let digest = crate::image::Digest::of(b"x");
        let identity = format!("{GITHUB}/org/tool/.github/workflows/publish.yml@refs/tags/v1");
        let signer = Signer::Keyless { identity, issuer: issuer.to_owned() };
        let source = CertificateSource {
            repository: Some(repository.to_owned()),
            repository_id: Some("7".to_owned()),
            ..CertificateSource::default()
        };
        let statement = |kind: &str| crate::verify::VerifiedStatement {
            manifest: None,
            bundle: digest.clone(),
            payload: digest.clone(),
            signer: signer.clone(),
            source: Some(source.clone()),
            ..crate::verify::sample::statement(kind)
        };
        let subject = SubjectEvidence {
            kind: EvidencePart::Index,
            digest: digest.clone(),
            platform: None,
            signatures: vec![statement(evidence::SIGNATURE)],
            attestations: vec![statement(SLSA_1)],
        };
        let image = "ghcr.io/octo/app".parse::<crate::image::Repository>().unwrap().at(&digest);
        (
            image,
            VerifiedEvidence {
                signer: signer.clone(),
                sources: vec![source],
                subjects: vec![subject],
            },
        )
    }

    #[test]
    fn the_commands_say_whose_run_must_have_signed() {
        let (image, evidence) = evidence("https://github.com/octo/app", GITHUB_ISSUER);
        assert!(
            who(&evidence).ends_with(" --certificate-github-workflow-repository octo/app"),
            "{}",
            who(&evidence)
        );
        assert_eq!(
            gh(&image, &evidence).unwrap(),
            format!(
                "gh attestation verify oci://{image} --bundle-from-oci --repo octo/app \
                 --signer-workflow github.com/org/tool/.github/workflows/publish.yml"
            )
        );
        let ours = ours(&image.to_string(), &evidence, None);
        for part in [
            " --source-repository octo/app --source-repository-id 7",
            " --require index=signature,provenance",
        ] {
            assert!(ours.contains(part), "{ours}");
        }
    }

    #[test]
    fn what_runs_do_not_have_in_common_is_not_asked_for() {
        let (image, mut evidence) = evidence("https://ghes.example.com/octo/app", "https://i");
        assert!(
            ours(&image.to_string(), &evidence, None)
                .contains(" --source-repository https://ghes.example.com/octo/app ")
        );
        assert_eq!(gh(&image, &evidence), None);
        evidence.sources.push(CertificateSource {
            repository: Some("https://github.com/octo/other".to_owned()),
            ..CertificateSource::default()
        });
        assert!(!who(&evidence).contains("workflow-repository"));
        assert!(!ours(&image.to_string(), &evidence, None).contains("--source-"));
    }
}
