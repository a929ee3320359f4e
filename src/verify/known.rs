//! A published image → what its newest result of a scan found, as this workflow signed it. It
//! believes no result of another workflow, and takes no failure to read for "nothing was found".

use super::VerifiedStatement;
use super::signer::{SignerPolicy, SourceRule};
use crate::evidence::{EvidenceFormat, EvidenceKind};
use crate::image::ImageRef;
use crate::registry::Registry;
use crate::scan::known::KnownFindings;
use crate::sigstore::verifier::{BundleVerifier, Signer};

/// What an image is known to have. `ours`: whose evidence serves this run.
///
/// # Errors
/// Why nobody knows.
pub async fn known(
    registry: &Registry,
    verifier: &BundleVerifier,
    image: &ImageRef,
    ours: &SignerPolicy,
) -> anyhow::Result<KnownFindings> {
    let formats = [EvidenceFormat::Bundle, EvidenceFormat::Legacy];
    let key = ours.signer.key();
    let found = super::statements(registry, verifier, image, key, &formats).await?;
    of_newest(&found, image, ours).map_err(anyhow::Error::msg)
}

fn of_newest(
    found: &[VerifiedStatement],
    image: &ImageRef,
    ours: &SignerPolicy,
) -> Result<KnownFindings, String> {
    let is_result = |it: &&VerifiedStatement| EvidenceKind::Vulnerabilities.is(&it.predicate_type);
    let results: Vec<&VerifiedStatement> = found.iter().filter(is_result).collect();
    let finished = |it: &VerifiedStatement| Some(it.scan.as_ref()?.as_ref().ok()?.finished);
    let own = results.iter().filter(|it| is_by(ours, it));
    let read: Vec<_> = own.filter_map(|it| Some((finished(it)?, *it))).collect();
    let Some(newest) = read.iter().map(|(finished, _)| *finished).max() else {
        return Err(match results.is_empty() {
            true => "it has no signed result of a scan".to_owned(),
            false => "its results are not by a run of this workflow".to_owned(),
        });
    };
    // The same result in another format may be whole where this one is not.
    let mut why = String::new();
    for (_, statement) in read.iter().filter(|(finished, _)| *finished == newest) {
        let Some(document) = &statement.document else { continue };
        match KnownFindings::read(&image.digest, &statement.predicate_type, document) {
            Ok(known) => return Ok(known),
            Err(reason) => why = reason,
        }
    }
    Err(format!("its newest result does not tell its findings apart: {why}"))
}

/// Whether a run of the same workflow signed it: on the same ref, or on another tag where this run
/// is on one. The commit differs.
fn is_by(ours: &SignerPolicy, statement: &VerifiedStatement) -> bool {
    let is_same = match (&ours.signer, &statement.signer) {
        (
            Signer::Keyless { identity: own, issuer },
            Signer::Keyless { identity: theirs, issuer: other },
        ) => issuer == other && workflow(own) == workflow(theirs),
        (own, theirs) => own == theirs,
    };
    let is_tag = |git_ref: &str| git_ref.starts_with("refs/tags/");
    let own_ref = ours.source.git_ref.as_ref().map(ToString::to_string);
    let their_ref = statement.source.as_ref().and_then(|source| source.git_ref.as_deref());
    let is_on_tags = own_ref.as_deref().is_some_and(is_tag) && their_ref.is_some_and(is_tag);
    let rule = SourceRule {
        commit: None,
        trigger: None,
        git_ref: ours.source.git_ref.clone().filter(|_| !is_on_tags),
        ..ours.source.clone()
    };
    let of_statement = SignerPolicy { signer: statement.signer.clone(), source: rule };
    is_same && of_statement.admits(&statement.signer, statement.source.as_ref()).is_ok()
}

/// The file of a workflow, without the ref that it was taken from.
fn workflow(identity: &str) -> &str {
    identity.split_once("@refs/").map_or(identity, |(workflow, _)| workflow)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::evidence::COSIGN_VULNERABILITIES;
    use crate::image::Digest;
    use crate::scan::attestation::{ScanStatement, lean, predicate};
    use crate::scan::report::EarlierState;
    use crate::scan::sample;
    use crate::sigstore::source::CertificateSource;
    use crate::verify::sample::statement;

    const WORKFLOW: &str = "https://github.com/octo/app/.github/workflows/release.yml";

    fn ours(git_ref: &str) -> SignerPolicy {
        let source = SourceRule {
            repository: Some("octo/app".parse().unwrap()),
            commit: Some("c".repeat(40).parse().unwrap()),
            git_ref: Some(git_ref.parse().unwrap()),
            trigger: Some("push".parse().unwrap()),
            runner: Some("github-hosted".parse().unwrap()),
            ..SourceRule::default()
        };
        SignerPolicy { signer: keyless(WORKFLOW, git_ref), source }
    }

    fn keyless(workflow: &str, git_ref: &str) -> Signer {
        Signer::Keyless {
            identity: format!("{workflow}@{git_ref}"),
            issuer: "https://i".to_owned(),
        }
    }

    fn result(workflow: &str, git_ref: &str, day: &str, is_lean: bool) -> VerifiedStatement {
        let mut scan = sample::scan("amd64");
        scan.started = format!("2026-11-{day}T00:00:00Z").parse().unwrap();
        scan.finished = scan.started;
        let mut made = predicate(COSIGN_VULNERABILITIES, &[&scan], &sample::invocation()).unwrap();
        if is_lean {
            made = lean(made);
        }
        VerifiedStatement {
            signer: keyless(workflow, git_ref),
            source: Some(CertificateSource {
                repository: Some("https://github.com/octo/app".to_owned()),
                commit: Some("d".repeat(40)),
                git_ref: Some(git_ref.to_owned()),
                trigger: Some("workflow_dispatch".to_owned()),
                runner: Some("github-hosted".to_owned()),
                ..CertificateSource::default()
            }),
            scan: Some(
                ScanStatement::read(COSIGN_VULNERABILITIES, &made).map_err(|why| why.to_string()),
            ),
            document: Some(Arc::new(made)),
            ..statement(COSIGN_VULNERABILITIES)
        }
    }

    fn told(found: &[VerifiedStatement], git_ref: &str) -> Result<KnownFindings, String> {
        let image = "r.io/a".parse::<crate::image::Repository>().unwrap().at(&Digest::of(b"x"));
        of_newest(found, &image, &ours(git_ref))
    }

    #[test]
    fn a_result_of_this_workflow_counts_and_no_other() {
        let (tag, main) = ("refs/tags/v1.1.0", "refs/heads/main");
        let of = |workflow: &str, git_ref: &str| [result(workflow, git_ref, "28", false)];
        assert_eq!(
            told(&of(WORKFLOW, tag), "refs/tags/v1.2.0").unwrap().since,
            EarlierState::Image(Digest::of(b"x"))
        );
        told(&of(WORKFLOW, main), main).unwrap();
        let other = WORKFLOW.replace("release", "evil");
        for (found, git_ref) in [
            (of(&other, main), main),
            (of(WORKFLOW, "refs/heads/evil"), main),
            (of(WORKFLOW, "refs/heads/evil"), tag),
            (of(WORKFLOW, tag), main),
        ] {
            let why = told(&found, git_ref).unwrap_err();
            assert_eq!(why, "its results are not by a run of this workflow");
        }
        let mut elsewhere = of(WORKFLOW, main);
        elsewhere[0].source.as_mut().unwrap().repository =
            Some("https://github.com/evil/app".to_owned());
        assert!(told(&elsewhere, main).is_err());
        let mut self_hosted = of(WORKFLOW, main);
        self_hosted[0].source.as_mut().unwrap().runner = Some("self-hosted".to_owned());
        assert!(told(&self_hosted, main).is_err());
        assert_eq!(told(&[], main).unwrap_err(), "it has no signed result of a scan");
    }

    #[test]
    fn the_newest_counts_even_where_it_tells_too_little() {
        let main = "refs/heads/main";
        let of = |day, is_lean| result(WORKFLOW, main, day, is_lean);
        told(&[of("20", true), of("28", false)], main).unwrap();
        let why = told(&[of("20", false), of("28", true)], main).unwrap_err();
        assert!(why.contains("does not tell its findings apart"), "{why}");
        told(&[of("28", true), of("28", false)], main).unwrap();
    }
}
