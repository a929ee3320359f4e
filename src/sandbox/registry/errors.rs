//! Makes the distribution specification's error documents; it never hides which digest or name a
//! refusal is about.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde_json::json;

#[derive(Debug, thiserror::Error)]
pub(super) enum ServedError {
    #[error("`{name}` is not a repository name")]
    NameInvalid { name: String },
    #[error("repository `{name}` is not known")]
    NameUnknown { name: String },
    #[error("`{tag}` is not a tag")]
    TagInvalid { tag: String },
    #[error("digest `{digest}` is invalid or does not match the content")]
    DigestInvalid { digest: String },
    #[error("blob `{digest}` is not known")]
    BlobUnknown { digest: String },
    #[error("upload `{id}` is not known")]
    UploadUnknown { id: String },
    #[error("the upload has `{size}` bytes and cannot continue at `{range}`")]
    UploadRange { size: u64, range: String },
    #[error("range `{range}` is not within `{size}` bytes")]
    Range { size: u64, range: String },
    #[error("manifest `{reference}` is not known")]
    ManifestUnknown { reference: String },
    #[error("the manifest is invalid: {reason}")]
    ManifestInvalid { reason: String },
    #[error("the manifest refers to `{digest}`, which is not in the repository")]
    ManifestBlobUnknown { digest: String },
    #[error("a manifest may have at most `{limit}` bytes")]
    TooLarge { limit: usize },
    #[error("the tag is not at `{expected}` any more")]
    Precondition { expected: String },
    #[error(
        "the image tag `{tag}` already exists and cannot be overwritten because the tag is immutable"
    )]
    Immutable { tag: String },
    #[error("you have reached your pull rate limit")]
    TooMany { wait: u64 },
    #[error("the pull came back before it was due")]
    Impatient,
    #[error("authentication is required")]
    Unauthorized { challenge: String },
    #[error("the operation is not supported")]
    Unsupported,
    #[error("the request body ended early")]
    Body,
    #[error("the registry cannot use its storage")]
    Storage(#[from] std::io::Error),
}

impl PartialEq for ServedError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl ServedError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NameInvalid { .. } => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
            Self::NameUnknown { .. } => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            Self::TagInvalid { .. } => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
            Self::DigestInvalid { .. } => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            Self::BlobUnknown { .. } => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            Self::UploadUnknown { .. } => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            Self::UploadRange { .. } | Self::Range { .. } => {
                (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID")
            }
            Self::ManifestUnknown { .. } => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            Self::ManifestInvalid { .. } => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            Self::ManifestBlobUnknown { .. } => (StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            Self::Precondition { .. } => (StatusCode::PRECONDITION_FAILED, "DENIED"),
            Self::Immutable { .. } => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
            Self::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            Self::Impatient => (StatusCode::FORBIDDEN, "DENIED"),
            Self::Unauthorized { .. } => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::Unsupported => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            Self::Body => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            Self::Storage(_) => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
        }
    }
}

impl IntoResponse for ServedError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let body =
            Json(json!({"errors": [{"code": code, "message": self.to_string(), "detail": {}}]}));
        match self {
            Self::Unauthorized { challenge } => {
                (status, [(WWW_AUTHENTICATE, challenge)], body).into_response()
            }
            Self::TooMany { wait } => {
                (status, [(RETRY_AFTER, wait.to_string())], body).into_response()
            }
            Self::UploadRange { size, .. } => {
                (status, [("range", super::blobs::received(size))], body).into_response()
            }
            Self::Range { size, .. } => {
                (status, [(CONTENT_RANGE, format!("bytes */{size}"))], body).into_response()
            }
            _ => (status, body).into_response(),
        }
    }
}
