//! Images that were scanned again → what later steps and people read of them: outputs, and the job
//! summary. Pure. It lets no text of others become Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::markdown::{code, plain, times, tools};
use crate::assess::Assessed;
use crate::image::ImageRef;
use crate::report::{Stage, seconds};
use crate::scan::report::{ImageScan, LevelCounts};
use crate::scan::rows::summary;
use crate::scan::severity::SeverityLevel;
use crate::scan::shown;
use crate::scan::tools::gate::ToolTally;

/// One image, and what is known about it now.
pub struct RescannedImage<'a> {
    pub image: &'a ImageRef,
    /// `None` where nothing was verified.
    pub signer: Option<String>,
    /// Of each platform.
    pub assessed: &'a [Assessed],
    /// Whether this run attached the result.
    pub is_attested: bool,
}

impl RescannedImage<'_> {
    fn scans(&self) -> Vec<&ImageScan> {
        self.assessed.iter().map(|assessed| &assessed.scan).collect()
    }

    fn passes(&self) -> bool {
        self.assessed.iter().all(|it| it.verdict.passes() && it.scan.is_known())
    }
}

/// What a scan tells later steps; `files` are those of `sarif-file`. `tools`: whether what other
/// tools found lets the images pass.
pub fn outputs(
    images: &[RescannedImage<'_>],
    files: &[String],
    tools: bool,
) -> Vec<(&'static str, String)> {
    let all: Vec<&ImageScan> = images.iter().flat_map(RescannedImage::scans).collect();
    let counts: LevelCounts = summary(&all).tally.counts;
    let passed = (tools && images.iter().all(RescannedImage::passes)).to_string();
    let is_attested = !images.is_empty() && images.iter().all(|image| image.is_attested);
    let attested = is_attested.to_string();
    let result: Vec<Value> = images
        .iter()
        .map(|image| {
            json!({
                "image": image.image.to_string(),
                "passed": image.passes(),
                "attestationAttached": image.is_attested,
                "result": shown::json(&image.scans()),
            })
        })
        .collect();
    let first = images.first().map(|image| image.image);
    let of = |level| counts.of(level).to_string();
    vec![
        ("digest", first.map(|image| image.digest.to_string()).unwrap_or_default()),
        ("image-ref", first.map(ToString::to_string).unwrap_or_default()),
        ("passed", passed.clone()),
        ("attestation-attached", attested.clone()),
        ("critical", of(SeverityLevel::Critical)),
        ("high", of(SeverityLevel::High)),
        ("medium", of(SeverityLevel::Medium)),
        ("low", of(SeverityLevel::Low)),
        ("unknown", of(SeverityLevel::Unknown)),
        ("result", Value::Array(result).to_string()),
        ("sarif-files", files.join("\n")),
        ("trivy_image_scan_passed", passed),
        ("vuln_attestation_attached", attested),
    ]
}

/// Rows of findings that people read; the rest is in the signed result.
const MOST: usize = 50;

/// The summary that `GITHUB_STEP_SUMMARY` shows. `unsigned`: why no result is signed.
pub fn markdown(
    images: &[RescannedImage<'_>],
    unsigned: Option<&str>,
    tallies: &[ToolTally],
    (stages, elapsed): (&[Stage], Duration),
) -> String {
    let mut text = String::new();
    for image in images {
        let mark = if image.passes() { "🔍" } else { "❌" };
        // Writing into a string cannot fail.
        let _ = write!(text, "## {mark} {}\n\n", code(image.image));
        text += &match &image.signer {
            Some(signer) => format!("Verified, signed by {}. ", code(signer)),
            None => "⚠️ Not verified, as `verify` is false. ".to_owned(),
        };
        text += &match (unsigned, image.is_attested) {
            (Some(why), _) => format!("The result is not signed: {}.\n", plain(why)),
            (None, true) => "The new result is signed and attached.\n".to_owned(),
            (None, false) => "The signed result says the same, and is recent.\n".to_owned(),
        };
        text += &shown::markdown(&image.scans(), MOST);
        text.push('\n');
    }
    text += &tools(tallies);
    let _ = write!(text, "\nScanned in {}.\n\n", seconds(elapsed));
    text + &times(stages)
}
