//! Sigstore's services: which to use, one signing session for a run, and the check of a bundle. The
//! one module that knows the `sigstore-*` crates.

pub mod artifact;
mod form;
pub mod identity;
pub mod key;
mod remembered;
pub mod session;
pub mod settled;
pub mod source;
mod strict;
pub mod tuf;
pub mod verifier;
mod voucher;

use std::path::Path;

use anyhow::Context as _;
use sigstore_trust_root::{
    SIGSTORE_PRODUCTION_SIGNING_CONFIG, SIGSTORE_PRODUCTION_TRUSTED_ROOT,
    SIGSTORE_STAGING_SIGNING_CONFIG, SIGSTORE_STAGING_TRUSTED_ROOT, SigningConfig, TrustedRoot,
};

use crate::error::{Remedy as _, WithExit, exit};
use crate::github::network::{certificate_remedy, unreachable_page};
use crate::image::Digest;
use crate::page::RefusalPage;

/// The media type of a Sigstore bundle, which is also the artifact type of its referrer.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Where to sign. Read from a signing config:
/// <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto>.
#[derive(Debug, Clone)]
pub struct Services {
    /// `None` only where a key of one's own signs.
    pub fulcio: Option<String>,
    /// `None`: nothing is logged, and a timestamp proves the time.
    pub rekor: Option<Rekor>,
    pub timestamp: Option<String>,
    /// Who issues the tokens that the certificate authority takes; a private instance has its own.
    pub issuers: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Rekor {
    pub url: String,
    pub version: u32,
}

impl Services {
    /// Reads a signing config file, or takes the public-good instance's, which is part of this
    /// program.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let services = Self::load_for_key(file)?;
        anyhow::ensure!(
            services.fulcio.is_some(),
            "input `signing-config`: {} names no certificate authority that is valid now",
            shown(file)
        );
        Ok(services)
    }

    /// As `load`, for a run that signs with a key of its own and needs no certificate.
    pub fn load_for_key(file: Option<&Path>) -> anyhow::Result<Self> {
        Self::read(&read_or(file, "signing-config", SIGSTORE_PRODUCTION_SIGNING_CONFIG)?, file)
    }

    /// The staging instance's, which is part of this program.
    pub fn staging() -> anyhow::Result<Self> {
        Self::read(SIGSTORE_STAGING_SIGNING_CONFIG, None)
    }

    fn read(text: &str, file: Option<&Path>) -> anyhow::Result<Self> {
        let config = SigningConfig::from_json(text)
            .with_context(|| {
                format!("input `signing-config`: {} is not a signing config", shown(file))
            })
            .hint("make one with `cosign signing-config create`, version 0.2")?;
        let fulcio = config.fulcio_url().map(|service| trimmed(&service.url));
        let rekor = config.rekor_url(None).map(|service| Rekor {
            url: trimmed(&service.url),
            version: service.major_api_version,
        });
        let timestamp = config.tsa_url().map(|service| service.url.clone());
        if timestamp.is_none() && rekor.as_ref().is_none_or(|rekor| rekor.version > 1) {
            anyhow::bail!(
                "input `signing-config`: {} names neither a timestamp authority nor a version 1 log, so nothing could prove when an image was signed",
                shown(file)
            );
        }
        // Those of the public-good instance are of people, and those of workflows are the servers'
        // own.
        let issuers = file.map(|_| {
            config.eligible_oidc_urls().into_iter().map(|service| trimmed(&service.url)).collect()
        });
        Ok(Self { fulcio, rekor, timestamp, issuers: issuers.unwrap_or_default() })
    }
}

/// Whom to believe. Reads a trusted root file, or takes the public-good instance's, which is part
/// of this program.
pub fn load_trusted_root(file: Option<&Path>) -> anyhow::Result<TrustedRoot> {
    read_trusted_root(&read_or(file, "trusted-root", SIGSTORE_PRODUCTION_TRUSTED_ROOT)?, file)
}

/// The staging instance's, which is part of this program.
pub fn staging_trusted_root() -> anyhow::Result<TrustedRoot> {
    read_trusted_root(SIGSTORE_STAGING_TRUSTED_ROOT, None)
}

/// Of the bytes that `load_trusted_root` reads.
pub fn trusted_root_digest(file: Option<&Path>) -> anyhow::Result<Digest> {
    Ok(Digest::of(read_or(file, "trusted-root", SIGSTORE_PRODUCTION_TRUSTED_ROOT)?.as_bytes()))
}

fn read_trusted_root(text: &str, file: Option<&Path>) -> anyhow::Result<TrustedRoot> {
    TrustedRoot::from_json(text)
        .with_context(|| format!("input `trusted-root`: {} is not a trusted root", shown(file)))
        .hint("make one with `cosign trusted-root create`, or take the one your Sigstore instance serves")
}

fn read_or(file: Option<&Path>, input: &str, embedded: &str) -> anyhow::Result<String> {
    match file {
        None => Ok(embedded.to_owned()),
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            let message = format!("input `{input}`: `{}` cannot be read: {error}", path.display());
            WithExit { code: exit::BAD_INPUT, message }.into()
        }),
    }
}

fn shown(file: Option<&Path>) -> String {
    file.map_or_else(|| "the embedded file".to_owned(), |path| format!("`{}`", path.display()))
}

fn trimmed(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

/// Why a Sigstore service could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SigstoreError {
    #[error("{service} `{url}` refused: {detail}")]
    Refused { service: &'static str, url: String, detail: String },
    #[error("{service} `{url}` did not answer in {attempts} attempts: {detail}")]
    Unreachable { service: &'static str, url: String, attempts: u32, detail: String },
    #[error("{service} `{url}` gave an unusable answer: {detail}")]
    Unusable { service: &'static str, url: String, detail: String },
}

impl crate::error::Remedied for SigstoreError {
    fn remedy(&self) -> Option<String> {
        if let Self::Unreachable { detail, .. } = self
            && let Some(remedy) = certificate_remedy(detail)
        {
            return Some(remedy.to_owned());
        }
        Some(match self {
            Self::Refused { service: "Fulcio", .. } => {
                "Fulcio must trust the issuer of this run's OIDC token, and the token must be fresh; see `signing-config`".to_owned()
            }
            Self::Refused { .. } | Self::Unusable { .. } => "check the services that `signing-config` names".to_owned(),
            Self::Unreachable { .. } => {
                "look at https://status.sigstore.dev, or at the instance that `signing-config` names, and run the workflow again".to_owned()
            }
        })
    }

    fn see(&self) -> Option<RefusalPage> {
        match self {
            Self::Unreachable { detail, .. } => Some(unreachable_page(detail)),
            Self::Refused { .. } | Self::Unusable { .. } => None,
        }
    }
}

/// Runs a request to a service again while it fails in a passing way.
async fn persistently<T, F>(
    service: &'static str,
    url: &str,
    mut request: impl FnMut() -> F,
) -> Result<T, SigstoreError>
where
    F: Future<Output = Result<T, RequestFailure>>,
{
    const ATTEMPTS: u32 = 4;
    const WITHIN: std::time::Duration = std::time::Duration::from_secs(90);
    let mut attempt = 1;
    loop {
        let url = || url.to_owned();
        // The clients of these services limit neither time nor size of a body.
        let whole = tokio::time::timeout(WITHIN, request()).await;
        let late = || {
            RequestFailure::Passing(format!("the answer did not end within {} s", WITHIN.as_secs()))
        };
        match whole.unwrap_or_else(|_| Err(late())) {
            Ok(value) => return Ok(value),
            Err(RequestFailure::Final(detail)) => {
                return Err(SigstoreError::Refused { service, url: url(), detail });
            }
            Err(RequestFailure::Nonsense(detail)) => {
                return Err(SigstoreError::Unusable { service, url: url(), detail });
            }
            Err(RequestFailure::Passing(detail)) if attempt == ATTEMPTS => {
                return Err(SigstoreError::Unreachable {
                    service,
                    url: url(),
                    attempts: attempt,
                    detail,
                });
            }
            Err(RequestFailure::Passing(_)) => {
                tokio::time::sleep(crate::registry::backoff(attempt)).await
            }
        }
        attempt += 1;
    }
}

/// One failed request, before it is known whether another helps.
enum RequestFailure {
    Passing(String),
    Final(String),
    Nonsense(String),
}

impl RequestFailure {
    fn of_status(status: u16, detail: String) -> Self {
        if matches!(status, 408 | 425 | 429 | 500..) {
            Self::Passing(format!("HTTP {status}: {detail}"))
        } else {
            Self::Final(format!("HTTP {status}: {detail}"))
        }
    }
}
