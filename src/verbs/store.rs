//! Attestations → GitHub's own store, where a workflow may and wants to. It never decides whether
//! an image is published.

use anyhow::Context as _;

use crate::attest::AttestedImage;
use crate::error::Remedy as _;
use crate::github::RunContext;
use crate::github::api::Api;
use crate::inputs::{AutoSwitch, RunSettings};
use crate::page::RefusalPage;
use crate::report::Report;

const HINT: &str = "add \"permissions: attestations: write\", or set `github-attestations: false`";

/// GitHub, when it will keep the attestations of this run. The right is tried before anything is
/// built.
pub(super) async fn keeper(
    context: &RunContext,
    settings: &RunSettings,
    report: &Report,
) -> anyhow::Result<Option<Api>> {
    let asked = settings.github_attestations == AutoSwitch::Always;
    // What a key signed, `gh attestation verify` does not take.
    if settings.signing_key.is_some()
        || settings.github_attestations == AutoSwitch::Never
        || (!context.in_actions && !asked)
    {
        return Ok(None);
    }
    let api = Api::new(context, settings.logins.github_token.as_ref())
        .context("GitHub's API cannot be used")?;
    let why = match (&api, &settings.logins.github_token) {
        (None, _) => "there is no `GITHUB_REPOSITORY`".to_owned(),
        (_, None) => "there is no `github-token`".to_owned(),
        (Some(api), Some(_)) => match api.may_store_attestations().await {
            Ok(()) => return Ok(Some(Api::clone(api))),
            Err(why) => why,
        },
    };
    let message = format!("attestations cannot be stored at GitHub: {why}");
    if asked {
        return Err(anyhow::anyhow!("input `github-attestations`: {message}"))
            .hint(HINT)
            .see(RefusalPage::AttestationsAtGithub);
    }
    report.notice(&format!("{message}; they are in the registry (to store them, {HINT})"));
    Ok(None)
}

/// Stores what was attested in this run, and gives the numbers that GitHub has for it, image by
/// image. With `auto` a failure is told, and the image is published all the same.
pub(super) async fn store(
    api: &Api,
    settings: &RunSettings,
    attested: &[AttestedImage],
    report: &Report,
) -> anyhow::Result<Vec<Vec<u64>>> {
    let bundles: Vec<_> = attested
        .iter()
        .enumerate()
        .flat_map(|(at, image)| image.bundles().iter().map(move |bundle| (at, bundle)))
        .collect();
    let storing = bundles.iter().map(|(at, bundle)| async move {
        let bundle = serde_json::from_slice(bundle).map_err(|error| error.to_string())?;
        api.store_attestation(bundle).await.map(|id| (*at, id))
    });
    let (mut stored, mut failed) = (vec![Vec::new(); attested.len()], None);
    for outcome in futures_util::future::join_all(storing).await {
        match outcome {
            Ok((at, id)) => stored[at].extend(id),
            Err(why) => failed = failed.or(Some(why)),
        }
    }
    match failed {
        None => report.say(&format!(
            "{} stored at GitHub",
            crate::text::plural(bundles.len(), "attestation")
        )),
        Some(why) if settings.github_attestations == AutoSwitch::Always => {
            return Err(anyhow::anyhow!("GitHub did not store an attestation: {why}")).hint(HINT);
        }
        Some(why) => report.notice(&format!(
            "GitHub did not store an attestation: {why}; the registry has them all"
        )),
    }
    Ok(stored)
}
