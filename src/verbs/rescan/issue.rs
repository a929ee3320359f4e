//! What refuses published images → the issue about it, opened, changed or closed. It never decides
//! whether a scan passes.

use anyhow::Context as _;
use serde_json::json;

use crate::github::RunContext;
use crate::github::api::Api;
use crate::github::issues::IssueRefusal;
use crate::inputs::RunSettings;
use crate::summary::rescanned::RescannedImage;
use crate::summary::scan_issue::{IssueChange, TITLE, change, mark};

/// Brings the issue up to date.
///
/// # Errors
/// When GitHub does not take it.
pub(super) async fn keep(
    images: &[RescannedImage<'_>],
    context: &RunContext,
    settings: &RunSettings,
) -> anyhow::Result<((), String)> {
    let api = Api::new(context, settings.logins.github_token.as_ref())
        .context("GitHub's API cannot be used")?
        .context("there is no `GITHUB_REPOSITORY` whose issue it would be")?;
    anyhow::ensure!(settings.logins.github_token.is_some(), "there is no `github-token`");
    let workflow = context.workflow_ref.split('@').next().unwrap_or_default();
    let mark = mark(workflow);
    let known = api.issue_with(&mark).await.map_err(refused)?;
    let number = known.as_ref().map(|issue| issue.number).unwrap_or_default();
    let told = match change(images, &mark, known.as_ref().map(|issue| issue.body.as_str())) {
        IssueChange::Nothing => "nothing is new".to_owned(),
        IssueChange::Open(body) => {
            let number = api.open_issue(TITLE, &body).await.map_err(refused)?;
            format!("#{number} is opened")
        }
        IssueChange::Change(body, new) => {
            api.change_issue(number, &json!({ "body": body })).await.map_err(refused)?;
            if let Some(new) = new {
                api.comment(number, &new).await.map_err(refused)?;
            }
            format!("#{number} is up to date")
        }
        IssueChange::Close(why) => {
            api.comment(number, &why).await.map_err(refused)?;
            let closed = json!({ "state": "closed", "state_reason": "completed" });
            api.change_issue(number, &closed).await.map_err(refused)?;
            format!("#{number} is closed")
        }
    };
    Ok(((), told))
}

fn refused(refusal: IssueRefusal) -> anyhow::Error {
    super::with_remedy(&refusal, refusal.remedy())
}
