//! Whose statements count: who signed, and of which repository, commit and run. It compares with
//! what certificates say, and never with labels, which anybody writes. Pure.

use std::fmt;
use std::str::FromStr;

use crate::error::Remedied;
use crate::sigstore::source::{CertificateSource, repository_of_workflow};
use crate::sigstore::verifier::{BundleError, Signer};

/// Where a repository is that names no server.
pub const GITHUB: &str = "https://github.com";
/// Who vouches for workflows there.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Whose statements count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerPolicy {
    pub signer: Signer,
    pub source: SourceRule,
}

impl From<Signer> for SignerPolicy {
    /// Nothing is asked of the source but what always is.
    fn from(signer: Signer) -> Self {
        Self { signer, source: SourceRule::default() }
    }
}

impl SignerPolicy {
    /// Whether a statement that verified counts, by who signed it and where.
    pub fn admits(
        &self,
        by: &Signer,
        source: Option<&CertificateSource>,
    ) -> Result<(), NotAdmitted> {
        self.signer.expect(by)?;
        match by {
            // Who holds the key answers for what it signs.
            Signer::Key(_) => Ok(()),
            Signer::Keyless { identity, .. } => {
                self.source.admits(identity, source.unwrap_or(&CertificateSource::default()))
            }
        }
    }
}

/// What is asked of a signature's source; what is `None` is not asked.
///
/// A reusable workflow signs in its own name for whoever calls it, so its name alone says nothing
/// of whose image it is. Where it is not of the run's repository, `repository` or `repository_id`
/// must be asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceRule {
    pub repository: Option<SourceRepository>,
    pub repository_id: Option<RepositoryId>,
    pub git_ref: Option<SourceRef>,
    pub commit: Option<SourceCommit>,
    pub trigger: Option<Trigger>,
    pub runner: Option<Runner>,
}

impl SourceRule {
    /// Whether a run of this source, signed in the name of `identity`, is one that is asked for.
    pub fn admits(&self, identity: &str, source: &CertificateSource) -> Result<(), NotAdmitted> {
        if let Some(repository) = &self.repository
            && !source.repository.as_deref().is_some_and(|found| repository.is(found))
        {
            return Err(NotAdmitted::differs(
                "repository",
                repository,
                source.repository.as_deref(),
            ));
        }
        expect("repository id", self.repository_id.as_ref(), source.repository_id.as_deref())?;
        if self.repository.is_none() && self.repository_id.is_none() {
            expect_own_workflow(identity, source)?;
        }
        expect("ref", self.git_ref.as_ref(), source.git_ref.as_deref())?;
        expect("commit", self.commit.as_ref(), source.commit.as_deref())?;
        expect("trigger", self.trigger.as_ref(), source.trigger.as_deref())?;
        expect("runner", self.runner.as_ref(), source.runner.as_deref())
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn expect<T: fmt::Display>(
    what: &'static str,
    wanted: Option<&T>,
    found: Option<&str>,
) -> Result<(), NotAdmitted> {
    match wanted {
        Some(wanted) if found != Some(wanted.to_string().as_str()) => {
            Err(NotAdmitted::differs(what, wanted, found))
        }
        _ => Ok(()),
    }
}

/// The workflow that signed must be the run's own repository's; a name that is not a workflow's needs
/// no source.
fn expect_own_workflow(identity: &str, source: &CertificateSource) -> Result<(), NotAdmitted> {
    let workflow = repository_of_workflow(identity);
    match (workflow, source.repository.as_deref()) {
        (None, None) => Ok(()),
        (Some(workflow), Some(repository)) if workflow.eq_ignore_ascii_case(repository) => Ok(()),
        (_, None) => Err(NotAdmitted::Unsaid { identity: identity.to_owned() }),
        (_, Some(repository)) => Err(NotAdmitted::Shared {
            identity: identity.to_owned(),
            repository: repository.to_owned(),
        }),
    }
}

/// Why a signature that verifies does not count.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    #[error(transparent)]
    Signer(#[from] BundleError),
    #[error("{}", differs(what, wanted, found.as_deref()))]
    Differs { what: &'static str, wanted: String, found: Option<String> },
    #[error(
        "`{identity}` signed it for a run of `{repository}`, as it does for any repository that calls it"
    )]
    Shared { identity: String, repository: String },
    #[error("its certificate does not name the repository whose run used `{identity}`")]
    Unsaid { identity: String },
}

impl NotAdmitted {
    fn differs(what: &'static str, wanted: &impl fmt::Display, found: Option<&str>) -> Self {
        Self::Differs { what, wanted: wanted.to_string(), found: found.map(str::to_owned) }
    }
}

fn differs(what: &str, wanted: &str, found: Option<&str>) -> String {
    match found {
        Some(found) => format!("its {what} is `{found}`, not `{wanted}`"),
        None => format!("its certificate names no {what}, but `{wanted}` is required"),
    }
}

impl Remedied for NotAdmitted {
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Shared { .. } => Some(
                "name the repository whose image you expect with --source-repository OWNER/NAME \
                 (or --repo); the workflow alone does not identify it"
                    .to_owned(),
            ),
            Self::Differs { found: Some(_), .. } => {
                Some("pass the value that was found if you trust that run; otherwise do not use the image".to_owned())
            }
            Self::Differs { found: None, .. } | Self::Unsaid { .. } => Some(
                "the certificate authority must write Fulcio's extensions into certificates: \
                 https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md"
                    .to_owned(),
            ),
            Self::Signer(_) => None,
        }
    }
}

/// A repository on its server, as `OWNER/NAME` (on github.com) or a URL. GitHub does not tell case
/// apart, nor do host names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRepository(String);

impl SourceRepository {
    /// A repository of this server, such as `https://github.com`.
    pub fn at(server: &str, path: &str) -> Result<Self, String> {
        format!("{}/{path}", server.trim_end_matches('/')).parse()
    }

    /// Where it is: `https://github.com`.
    pub fn server(&self) -> &str {
        let begin = self.0.find("://").map_or(0, |at| at + "://".len());
        self.0[begin..].find('/').map_or(self.0.as_str(), |end| &self.0[..begin + end])
    }

    /// Whether a certificate's URL names it.
    pub fn is(&self, url: &str) -> bool {
        self.0.eq_ignore_ascii_case(url)
    }
}

/// What stands behind the server in a repository's URL.
pub fn path_of(url: &str) -> &str {
    url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or(url, |(_, path)| path)
}

impl FromStr for SourceRepository {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither OWNER/NAME nor the URL of a repository");
        let (server, path) = match text.split_once("://") {
            None => (GITHUB, text),
            Some(("https" | "http", rest)) => {
                let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
                (&text[..text.len() - rest.len() + host.len()], path)
            }
            Some(_) => return Err(wrong()),
        };
        let path = path.trim_end_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let parts: Vec<&str> = path.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && !part.bytes().all(|byte| byte == b'.')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        // Without a server it is GitHub's, which has no deeper ones.
        let is_deep_enough = if text.contains("://") { parts.len() >= 2 } else { parts.len() == 2 };
        let host_is_one = !server.ends_with('/') && !server.contains(['@', ' ', '?', '#']);
        if is_deep_enough && host_is_one && parts.iter().all(is_word) {
            Ok(Self(format!("{server}/{path}")))
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for SourceRepository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A word of which only one spelling counts, checked when it is read.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $valid:expr, $wrong:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.to_owned())) } else { Err(format!("`{text}` {}", $wrong)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

word!(
    /// The number of a repository, which names nothing else after it is deleted.
    RepositoryId,
    |text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'),
    "is not a repository's number, such as `1296269`"
);
word!(
    /// A whole ref.
    SourceRef,
    |text| text.starts_with("refs/") && !text.ends_with('/') && !text.contains([' ', '*', '~', '^', ':', '?', '[']),
    "is not a whole ref, such as `refs/heads/main` or `refs/tags/v1.2.3`"
);
word!(
    /// A whole commit: an abbreviation would name several.
    SourceCommit,
    |text| [40, 64].contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
    "is not a whole commit: 40 or 64 hexadecimal digits, in lower case"
);
word!(
    /// The event that starts a run.
    Trigger,
    |text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
    "is not an event, such as `push` or `workflow_dispatch`"
);
word!(
    /// Whose runner it is.
    Runner,
    |text| ["github-hosted", "self-hosted"].contains(&text),
    "is neither `github-hosted` nor `self-hosted`"
);
