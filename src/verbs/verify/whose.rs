//! Whose signature is asked for, and who of those that signed an image it may be. Pure but for the
//! key, which is read from its file.

use sigstore_types::DerPublicKey;

use super::arguments::VerifyArguments;
use crate::error::{WithExit, exit};
use crate::github::server::Server;
use crate::sigstore::artifact::Identity;
use crate::sigstore::source::repository_of_workflow;
use crate::sigstore::verifier::Signer;
use crate::verify::SignerClaim;
use crate::verify::signer::{GITHUB_ISSUER, SourceRepository};

/// Whose signature is asked for.
pub(super) enum SignatureAskedFor {
    Key(DerPublicKey),
    /// Whom a certificate names, vouched for by an issuer.
    Name {
        name: CertificateName,
        issuer: String,
    },
}

/// Whom a certificate must name.
pub(super) enum CertificateName {
    Exact(String),
    Pattern(Identity),
    /// Any workflow of a repository.
    WorkflowOf(SourceRepository),
}

impl SignatureAskedFor {
    pub(super) fn of(arguments: &VerifyArguments) -> anyhow::Result<Self> {
        if let Some(file) = &arguments.key {
            return Ok(Self::Key(crate::verbs::verify_bundle::public_key(file)?));
        }
        let name = match (
            &arguments.certificate_identity,
            &arguments.certificate_identity_regexp,
            &arguments.repo,
        ) {
            (Some(identity), ..) => CertificateName::Exact(identity.clone()),
            (None, None, Some(repository)) => CertificateName::WorkflowOf(repository.clone()),
            (None, pattern, _) => {
                let pattern = pattern.as_deref().unwrap_or_default();
                CertificateName::Pattern(Identity::pattern(pattern).map_err(|error| WithExit {
                    code: exit::BAD_INPUT,
                    message: format!("nothing was verified: --certificate-identity-regexp `{pattern}` is not a pattern: {error}"),
                })?)
            }
        };
        let issuer = match (&arguments.certificate_oidc_issuer, &arguments.repo) {
            (Some(issuer), _) => issuer.clone(),
            (None, Some(repository)) => issuer_of(repository)?,
            (None, None) => GITHUB_ISSUER.to_owned(),
        };
        Ok(Self::Name { name, issuer })
    }

    pub(super) fn key(&self) -> Option<&DerPublicKey> {
        if let Self::Key(key) = self { Some(key) } else { None }
    }

    /// The signers to try: the one that is named, or all whose name is one that is asked for.
    pub(super) fn signers(&self, claims: &[SignerClaim]) -> Vec<Signer> {
        match self {
            Self::Key(key) => vec![Signer::Key(key.clone())],
            Self::Name { name: CertificateName::Exact(identity), issuer } => {
                vec![Signer::Keyless { identity: identity.clone(), issuer: issuer.clone() }]
            }
            Self::Name { name, issuer } => {
                let meant = claims
                    .iter()
                    .filter(|claim| claim.issuer == *issuer && name.is(&claim.identity));
                // Who signed nothing that holds makes no image pass; one of them tells why.
                let (holding, others): (Vec<&SignerClaim>, Vec<&SignerClaim>) =
                    meant.partition(|claim| claim.holds);
                let tried =
                    if holding.is_empty() { others.into_iter().take(1).collect() } else { holding };
                tried
                    .into_iter()
                    .map(|claim| Signer::Keyless {
                        identity: claim.identity.clone(),
                        issuer: issuer.clone(),
                    })
                    .collect()
            }
        }
    }

    /// Issuers of certificates that name whom is asked for, and are not of the issuer that is.
    pub(super) fn other_issuers<'a>(&self, claims: &'a [SignerClaim]) -> Vec<&'a str> {
        let Self::Name { name, issuer } = self else { return Vec::new() };
        let mut others: Vec<&str> = claims
            .iter()
            .filter(|claim| claim.holds && claim.issuer != *issuer && name.is(&claim.identity))
            .map(|claim| claim.issuer.as_str())
            .collect();
        others.sort_unstable();
        others.dedup();
        others
    }
}

impl CertificateName {
    fn is(&self, identity: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == identity,
            Self::Pattern(pattern) => pattern.matches(identity),
            Self::WorkflowOf(repository) => {
                repository_of_workflow(identity).is_some_and(|of| repository.is(of))
            }
        }
    }
}

impl std::fmt::Display for SignatureAskedFor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => write!(formatter, "{}", Signer::Key(key.clone())),
            Self::Name { name, issuer } => match name {
                CertificateName::Exact(identity) => write!(formatter, "`{identity}` of `{issuer}`"),
                CertificateName::Pattern(pattern) => {
                    // As it was given: what stands around it is ours.
                    let pattern = pattern.to_string();
                    let given = pattern
                        .strip_prefix("^(?:")
                        .and_then(|rest| rest.strip_suffix(")$"))
                        .unwrap_or(&pattern);
                    write!(formatter, "`{given}` of `{issuer}`")
                }
                CertificateName::WorkflowOf(repository) => {
                    write!(formatter, "a workflow of `{repository}`, of `{issuer}`")
                }
            },
        }
    }
}

/// Who vouches for the workflows of a repository's server.
fn issuer_of(repository: &SourceRepository) -> anyhow::Result<String> {
    let unknown = || WithExit {
        code: exit::BAD_INPUT,
        message: format!(
            "nothing was verified: the OIDC issuer for workflows of `{repository}` is not known; name it with --certificate-oidc-issuer"
        ),
    };
    Ok(Server::of(repository.server()).issuer().ok_or_else(unknown)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = GITHUB_ISSUER;

    fn claim(identity: &str, issuer: &str, holds: bool) -> SignerClaim {
        SignerClaim { identity: identity.to_owned(), issuer: issuer.to_owned(), holds }
    }

    fn of(repository: &str) -> SignatureAskedFor {
        SignatureAskedFor::Name {
            name: CertificateName::WorkflowOf(repository.parse().unwrap()),
            issuer: ISSUER.to_owned(),
        }
    }

    #[test]
    fn a_repository_stands_for_all_its_workflows_and_for_no_others() {
        let ours = [
            "Octo/App/.github/workflows/release.yml@refs/tags/v1",
            "octo/app/.github/workflows/x.yml@refs/heads/main",
        ];
        let others = [
            "octo/app2/.github/workflows/release.yml@refs/tags/v1",
            "octo/app-evil/.github/workflows/release.yml@refs/tags/v1",
            "evil/x/.github/workflows/octo/app/.github/workflows/x.yml@refs/heads/main",
            "evil/x/.github/workflows/x.yml@refs/heads/https://github.com/octo/app/.github/workflows/x.yml",
            "octo/app@refs/heads/main",
            "octo/app/x/.github/workflows/x.yml@refs/heads/main",
        ];
        for (names, expected) in [(&ours[..], true), (&others[..], false)] {
            for name in names {
                let claims = [claim(&format!("https://github.com/{name}"), ISSUER, true)];
                assert_eq!(!of("octo/app").signers(&claims).is_empty(), expected, "{name}");
            }
        }
        for (identity, issuer) in [
            ("https://git.example.com/octo/app/.github/workflows/x.yml@refs/heads/main", ISSUER),
            (
                "https://github.com/octo/app/.github/workflows/x.yml@refs/heads/main",
                "https://git.example.com/_services/token",
            ),
            (
                "https://github.com/octo/app/.github/workflows/x.yml@refs/heads/main",
                "https://token.actions.githubusercontent.com/octo",
            ),
            ("octo/app", ISSUER),
        ] {
            assert!(
                of("octo/app").signers(&[claim(identity, issuer, true)]).is_empty(),
                "{identity}"
            );
        }
    }

    #[test]
    fn only_an_issuer_that_really_vouched_is_named() {
        let identity = "https://github.com/octo/app/.github/workflows/x.yml@refs/heads/main";
        let (own, enterprise) =
            (claim(identity, ISSUER, true), claim(identity, "https://i/octo", true));
        let claims = [
            own,
            enterprise,
            claim(identity, "https://claimed", false),
            claim("https://x", "https://i/x", true),
        ];
        assert_eq!(of("octo/app").other_issuers(&claims), ["https://i/octo"]);
    }

    #[test]
    fn a_server_has_its_issuer() {
        for (repository, issuer) in [
            ("octo/app", Some(ISSUER)),
            ("https://github.com/octo/app", Some(ISSUER)),
            ("https://octo.ghe.com/octo/app", Some("https://token.actions.octo.ghe.com")),
            ("https://git.example.com/octo/app", Some("https://git.example.com/_services/token")),
            ("http://git.example.com/octo/app", None),
        ] {
            assert_eq!(
                issuer_of(&repository.parse().unwrap()).ok().as_deref(),
                issuer,
                "{repository}"
            );
        }
    }
}
