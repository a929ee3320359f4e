//! Findings → GitHub's code scanning, where the job may and wants to. It never decides whether a
//! scan passes, and says what became of each file.

use std::time::Duration;

use anyhow::Context as _;

use crate::github::RunContext;
use crate::github::api::Api;
use crate::github::code_scanning::{SarifOutcome, SarifUpload, UploadRefusal, packed};
use crate::inputs::{AutoSwitch, RunSettings};
use crate::report::Report;
use crate::scan::report::ImageScan;
use crate::scan::sarif;
use crate::scan::tools::ToolRun;
use crate::text::plural;

/// How often GitHub is asked what became of a file, and how long in all.
const PAUSE: Duration = Duration::from_secs(2);
const LOOKS: usize = 60;

/// Uploads the findings of all images.
///
/// # Errors
/// With `true`, when GitHub does not take them; with `auto` that is a notice.
pub(super) async fn upload(
    wanted: AutoSwitch,
    (scans, tools): (Vec<ImageScan>, &[ToolRun]),
    context: &RunContext,
    settings: &RunSettings,
    report: &Report,
) -> anyhow::Result<()> {
    if wanted == AutoSwitch::Never {
        return Ok(());
    }
    let uploading = report.stage("upload", uploaded(&scans, tools, context, settings));
    match (uploading.await, wanted) {
        (Ok(()), _) => Ok(()),
        (Err(error), AutoSwitch::Auto) => {
            report.notice(&format!(
                "the findings are not in code scanning: {}",
                crate::error::message(&error)
            ));
            Ok(())
        }
        (Err(error), _) => Err(error.context("input `upload-sarif`: `true`")),
    }
}

async fn uploaded(
    scans: &[ImageScan],
    tools: &[ToolRun],
    context: &RunContext,
    settings: &RunSettings,
) -> anyhow::Result<((), String)> {
    let api = Api::new(context, settings.logins.github_token.as_ref())
        .context("GitHub's API cannot be used")?
        .context("there is no `GITHUB_REPOSITORY` whose code scanning it would be")?;
    anyhow::ensure!(settings.logins.github_token.is_some(), "there is no `github-token`");
    let documents = sarif::documents(scans, Vec::new(), tools)?;
    let mut errors = Vec::new();
    for document in &documents {
        let upload = SarifUpload {
            commit: &context.sha,
            git_ref: &context.git_ref,
            sarif: packed(&document.to_string())?,
        };
        let id = api.upload_sarif(&upload).await.map_err(refused)?;
        match processed(&api, &id).await? {
            SarifOutcome::Complete => {}
            SarifOutcome::Failed(why) => errors.extend(why),
            SarifOutcome::Pending => {
                let waited = PAUSE.as_secs() * LOOKS as u64;
                errors.push(format!("GitHub did not process it within {waited} s"));
            }
        }
    }
    if errors.is_empty() {
        return Ok(((), format!("{} in code scanning", plural(documents.len(), "file"))));
    }
    Err(anyhow::anyhow!("GitHub did not process the findings: {}", errors.join("; ")))
}

async fn processed(api: &Api, id: &str) -> anyhow::Result<SarifOutcome> {
    for _ in 0..LOOKS {
        match api.sarif_outcome(id).await.map_err(refused)? {
            SarifOutcome::Pending => tokio::time::sleep(PAUSE).await,
            done => return Ok(done),
        }
    }
    Ok(SarifOutcome::Pending)
}

fn refused(refusal: UploadRefusal) -> anyhow::Error {
    super::with_remedy(&refusal, refusal.remedy())
}
