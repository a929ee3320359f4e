//! Why a registry could not be used, as situations with a remedy each.

use reqwest::StatusCode;

use crate::error::{self, Remedied};
use crate::github::network::certificate_remedy;
use crate::image::Digest;
use crate::page::RefusalPage;

/// A registry's refusal or failure. Only `Absent` means that something is not there.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{what} is not in the registry")]
    Absent { what: String },
    #[error("{what} does not hash to its digest: the bytes received are `{computed}`")]
    Mismatch { what: String, computed: Digest },
    #[error("{what} is larger than {limit} bytes")]
    TooLarge { what: String, limit: usize },
    #[error("{what} has more than {limit} referrers: this is a flood, not evidence")]
    Flood { what: String, limit: usize },
    #[error("`{request}` was refused: {status}{detail}")]
    Refused { request: String, status: StatusCode, detail: String },
    #[error("`{request}` did not succeed in {attempts} attempts: {status}{detail}")]
    Unwell { request: String, attempts: u32, status: StatusCode, detail: String },
    #[error("`{request}` got no answer in {attempts} attempts: {cause}")]
    Unreachable { request: String, attempts: u32, cause: String },
    #[error("no token from `{realm}`: {cause}")]
    NoToken { realm: String, cause: String },
    #[error("`{request}` was answered with {what}")]
    Protocol { request: String, what: String },
    /// What is there is not what every program takes for an image.
    #[error("`{image}` {what}")]
    Content {
        image: String,
        what: String,
        remedy: Option<String>,
        /// The argument of `verify` with which it is taken all the same.
        accepted_by: Option<String>,
    },
}

impl RegistryError {
    /// Whether the registry gave no answer to go by: nobody knows what it holds. All else is said
    /// of what it holds.
    pub fn is_no_answer(&self) -> bool {
        match self {
            Self::Refused { .. }
            | Self::Unwell { .. }
            | Self::Unreachable { .. }
            | Self::NoToken { .. }
            | Self::Protocol { .. } => true,
            Self::Absent { .. }
            | Self::Mismatch { .. }
            | Self::TooLarge { .. }
            | Self::Flood { .. }
            | Self::Content { .. } => false,
        }
    }

    /// What somebody can do who only reads: nothing of this run's login, and nothing of building
    /// again.
    pub fn remedy_for_reader(&self) -> Option<String> {
        if let Self::Unreachable { cause, .. } | Self::NoToken { cause, .. } = self
            && let Some(remedy) = certificate_remedy(cause)
        {
            return Some(remedy.to_owned());
        }
        let text = match self {
            Self::Refused { status: StatusCode::UNAUTHORIZED, .. } | Self::NoToken { .. } => {
                "log in with `docker login`; registries often give this answer for an image that is private or missing"
            }
            Self::Refused { request, status: StatusCode::FORBIDDEN, .. }
                if request.starts_with("DELETE ") =>
            {
                "use a login that has permission to delete here"
            }
            Self::Refused { status: StatusCode::FORBIDDEN, .. } => {
                "use a login that has permission to read here; at ghcr.io it needs \"packages: read\", and a private package must grant access to this repository or person"
            }
            Self::Unwell { status: StatusCode::TOO_MANY_REQUESTS, .. } => {
                "try later, or log in to raise the limit: the registry limits requests"
            }
            Self::Unwell { .. } => "look at the registry's status page, and try later",
            Self::Unreachable { .. } => {
                "check the registry's name, and that this machine can reach it"
            }
            Self::Protocol { .. } => {
                "check that this is a registry, and that no proxy or login page answers in its \
                 place"
            }
            Self::Content { accepted_by, .. } => {
                return accepted_by
                    .as_ref()
                    .map(|argument| format!("accept it with {argument} if you expect it"));
            }
            Self::Mismatch { .. } => return self.remedy(),
            _ => return None,
        };
        Some(text.to_owned())
    }
}

impl RegistryError {
    /// What lies behind a failure that several requests meet: a registry that lets nobody in, a
    /// repository that may not be used.
    pub fn cause(&self) -> Option<String> {
        let (request, status) = match self {
            Self::Refused { request, status, .. } | Self::Unwell { request, status, .. } => {
                (request, status.as_u16())
            }
            Self::Unreachable { request, .. } => (request, 0),
            Self::NoToken { realm, .. } => return Some(format!("no token from {realm}")),
            _ => return None,
        };
        let address = request.split_once("://")?.1;
        let (host, path) = address.split_once('/')?;
        // Who may come in may still not use each repository.
        let part = match status {
            401 | 0 | 429 | 500.. => "",
            _ => ["/manifests/", "/blobs/", "/referrers/"]
                .iter()
                .find_map(|end| Some(path.rsplit_once(end)?.0))
                .unwrap_or(path),
        };
        Some(format!("{status} at {host} {part}"))
    }
}

/// The same failure, told to somebody who publishes nothing: with other remedies, where it is a
/// registry's.
pub fn for_reader(error: anyhow::Error) -> anyhow::Error {
    let Some(cause) = error.chain().find_map(|link| link.downcast_ref::<RegistryError>()) else {
        return error;
    };
    let publishers = cause.remedy();
    let others = error::hints(&error).into_iter().filter(|hint| Some(hint) != publishers.as_ref());
    let hints = cause.remedy_for_reader().into_iter().chain(others);
    hints.fold(anyhow::anyhow!(error::message(&error)), error::with_hint)
}

impl Remedied for RegistryError {
    fn remedy(&self) -> Option<String> {
        if let Self::Unreachable { cause, .. } | Self::NoToken { cause, .. } = self
            && let Some(remedy) = certificate_remedy(cause)
        {
            return Some(remedy.to_owned());
        }
        let remedy = match self {
            Self::Refused { status: StatusCode::UNAUTHORIZED, .. } | Self::NoToken { .. } => {
                "give credentials for this registry with `registry-auth`, or `username` and `password`; for the registry of the server that runs the workflow, such as ghcr.io, the default `github-token` is enough"
            }
            Self::Refused { request, status: StatusCode::FORBIDDEN, .. }
                if ["GET ", "HEAD "].iter().any(|read| request.starts_with(read)) =>
            {
                "use a login that has permission to read here; at ghcr.io it needs \"packages: read\", and a private package must grant access to this repository or person"
            }
            Self::Refused { status: StatusCode::FORBIDDEN, .. } => {
                "use a login that has permission to push here; for ghcr.io add \"permissions: packages: write\" and give this repository the role Write on the package's page"
            }
            Self::Refused { detail, .. } if detail.contains("immutable") => {
                "leave floating tags such as `latest` out of `tags`, because tags of this repository are immutable; or exempt them in its settings, and also `sha256-*`, which lists the evidence"
            }
            Self::Refused { status: StatusCode::NOT_FOUND, .. } => {
                "create the repository first: some registries, such as Amazon ECR, do not create \
                 it at the first push"
            }
            Self::Unwell { status: StatusCode::TOO_MANY_REQUESTS, .. } => {
                "run the workflow again later, or log in to raise the limit: the registry limits requests"
            }
            Self::Unreachable { .. } => {
                "check the registry's name, and that this machine can reach it; a later run reuses what is already there"
            }
            Self::Unwell { .. } => {
                "look at the registry's status page and run the workflow again: it reuses what is already there"
            }
            Self::Mismatch { .. } => {
                "do not use this image: something between this machine and the registry changes its bytes"
            }
            Self::Content { remedy, .. } => return remedy.clone(),
            _ => return None,
        };
        Some(remedy.to_owned())
    }

    fn see(&self) -> Option<RefusalPage> {
        match self {
            Self::NoToken { cause, .. } | Self::Unreachable { cause, .. }
                if certificate_remedy(cause).is_some() =>
            {
                Some(RefusalPage::CertificateOfAnUnknownIssuer)
            }
            Self::Refused { status: StatusCode::UNAUTHORIZED, .. } | Self::NoToken { .. } => {
                Some(RefusalPage::NoLogin)
            }
            Self::Refused { status: StatusCode::FORBIDDEN, .. } => Some(RefusalPage::NoRightToPush),
            Self::Unreachable { .. } | Self::Unwell { .. } => Some(RefusalPage::NoAnswer),
            Self::Content { .. } => Some(RefusalPage::ReadOtherwiseByOtherPrograms),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_fail_for_one_reason_have_one_cause() {
        let refused = |request: &str, status: u16| {
            RegistryError::Refused {
                request: request.to_owned(),
                status: StatusCode::from_u16(status).unwrap(),
                detail: String::new(),
            }
            .cause()
        };
        let (read, push) =
            ("GET https://r.io/v2/o/a/manifests/v1", "POST https://r.io/v2/o/a/blobs/uploads/");
        let other = "POST https://r.io/v2/o/b/blobs/uploads/";
        assert_eq!(refused(read, 401), refused(other, 401), "nobody is let in");
        assert_eq!(refused(read, 403), refused(push, 403), "one repository");
        assert_ne!(
            refused(push, 403),
            refused(other, 403),
            "each repository lets in whom it likes"
        );
        assert_ne!(refused(push, 401), refused(push, 403));
        assert_ne!(refused(push, 401), refused("POST https://other.io/v2/o/a/blobs/uploads/", 401));
        assert_eq!(RegistryError::Absent { what: "x".to_owned() }.cause(), None);
    }
}
