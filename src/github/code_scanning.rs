//! SARIF → GitHub's code scanning: uploaded, and asked what became of it. It waits for nothing, and
//! takes no refusal for "there is nothing to show".
//!
//! Reference: <https://docs.github.com/rest/code-scanning/code-scanning#upload-an-analysis-as-sarif-data>.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, ApiRefusal};

/// What is uploaded.
pub struct SarifUpload<'a> {
    /// In full.
    pub commit: &'a str,
    /// In full, such as `refs/heads/main`.
    pub git_ref: &'a str,
    /// As `packed` makes it.
    pub sarif: String,
}

/// What became of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SarifOutcome {
    Pending,
    Complete,
    /// What GitHub says is wrong.
    Failed(Vec<String>),
}

/// Why GitHub does not take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RefusalKind {
    /// The product is not on in this repository.
    Off,
    /// The token has no right to.
    Forbidden,
    TooLarge,
    Other,
}

/// Why GitHub does not take it, in its words and with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("GitHub's code scanning does not accept the findings: {said}")]
pub struct UploadRefusal {
    kind: RefusalKind,
    said: String,
}

impl UploadRefusal {
    fn of(refusal: ApiRefusal) -> Self {
        let said = refusal.said.to_lowercase();
        let kind = match refusal.status {
            403 | 404 if said.contains("must be enabled") || said.contains("not enabled") => {
                RefusalKind::Off
            }
            403 => RefusalKind::Forbidden,
            // A private repository without the product answers so.
            404 => RefusalKind::Off,
            413 => RefusalKind::TooLarge,
            _ => RefusalKind::Other,
        };
        Self { kind, said: refusal.said }
    }

    /// What to do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self.kind {
            RefusalKind::Off => Some(
                "turn code scanning on in the repository's settings, or write `sarif-file` in place of `upload-sarif`",
            ),
            RefusalKind::Forbidden => Some(
                "add \"permissions: security-events: write\"; the token of a fork's pull request never has it",
            ),
            RefusalKind::TooLarge => Some("scan fewer images in one step"),
            RefusalKind::Other => None,
        }
    }
}

/// SARIF as GitHub takes it: compressed by gzip, in Base64.
pub fn packed(sarif: &str) -> std::io::Result<String> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(sarif.as_bytes())?;
    Ok(STANDARD.encode(packer.finish()?))
}

impl Api {
    /// Hands it over; returns its id.
    ///
    /// # Errors
    /// Why GitHub does not take it.
    pub async fn upload_sarif(&self, upload: &SarifUpload<'_>) -> Result<String, UploadRefusal> {
        let body = json!({
            "commit_sha": upload.commit,
            "ref": upload.git_ref,
            "sarif": upload.sarif,
            "tool_name": "supply-action",
        });
        let route = self.of_repository("/code-scanning/sarifs");
        let answer =
            self.answered(Method::POST, &route, Some(&body)).await.map_err(UploadRefusal::of)?;
        let id = answer["id"].as_str().filter(|id| {
            !id.is_empty() && id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
        });
        id.map(str::to_owned).ok_or_else(|| UploadRefusal {
            kind: RefusalKind::Other,
            said: "its answer has no id of the upload".to_owned(),
        })
    }

    /// What became of an upload.
    ///
    /// # Errors
    /// Why GitHub does not say.
    pub async fn sarif_outcome(&self, id: &str) -> Result<SarifOutcome, UploadRefusal> {
        let route = self.of_repository(&format!("/code-scanning/sarifs/{id}"));
        match self.answered(Method::GET, &route, None).await {
            Ok(answer) => Ok(outcome(&answer)),
            // It takes a moment until it is known there.
            Err(ApiRefusal { status: 404, .. }) => Ok(SarifOutcome::Pending),
            Err(refusal) => Err(UploadRefusal::of(refusal)),
        }
    }
}

fn outcome(answer: &Value) -> SarifOutcome {
    match answer["processing_status"].as_str() {
        Some("complete") => SarifOutcome::Complete,
        Some("failed") => {
            let errors = answer["errors"].as_array().into_iter().flatten();
            let errors: Vec<String> = errors.filter_map(Value::as_str).map(str::to_owned).collect();
            SarifOutcome::Failed(match errors.is_empty() {
                true => vec!["it does not say why".to_owned()],
                false => errors,
            })
        }
        _ => SarifOutcome::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_remedy() {
        let of = |status, said: &str| {
            UploadRefusal::of(ApiRefusal { status, said: said.to_owned() }).kind
        };
        for said in [
            "Advanced Security must be enabled for this repository to use code scanning.",
            "Code Security must be enabled for this repository to use code scanning.",
            "GitHub Code Security or GitHub Advanced Security must be enabled for this repository",
            "Code scanning is not enabled for this repository.",
        ] {
            assert_eq!(of(403, said), RefusalKind::Off, "{said}");
        }
        assert_eq!(of(403, "Resource not accessible by integration"), RefusalKind::Forbidden);
        assert_eq!(of(404, "Not Found"), RefusalKind::Off);
        assert_eq!(of(413, "Payload Too Large"), RefusalKind::TooLarge);
        for status in [0, 400, 422, 429, 500, 503] {
            assert_eq!(of(status, "x"), RefusalKind::Other, "{status}");
        }
    }

    #[test]
    fn only_the_word_complete_is_a_success() {
        assert_eq!(outcome(&json!({ "processing_status": "complete" })), SarifOutcome::Complete);
        for pending in [json!({}), json!({ "processing_status": "pending" }), json!([])] {
            assert_eq!(outcome(&pending), SarifOutcome::Pending, "{pending}");
        }
        let failed = json!({ "processing_status": "failed", "errors": ["rejecting SARIF"] });
        assert_eq!(outcome(&failed), SarifOutcome::Failed(vec!["rejecting SARIF".to_owned()]));
    }

    #[test]
    fn what_is_packed_is_unpacked_to_the_byte() {
        use std::io::Read as _;
        let bytes = STANDARD.decode(packed("{\"a\": \"é\"}").unwrap()).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"a\": \"é\"}");
    }
}
