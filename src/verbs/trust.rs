//! `tuf-mirror` → the files of `trusted-root` and `signing-config`, brought up to date. It never
//! replaces a file that the user gave.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::environment::Environment;
use crate::error::Remedy as _;
use crate::github::RunContext;
use crate::inputs::TrustInputs;
use crate::report::Report;
use crate::sigstore::tuf::{SIGNING_CONFIG, TRUSTED_ROOT};

/// Names the fetched files in the inputs, where the user wants that.
pub(super) async fn update(
    trust: &mut TrustInputs,
    env: &Environment,
    context: &RunContext,
    report: &Report,
) -> anyhow::Result<()> {
    let Some(mirror) = &trust.tuf_mirror else { return Ok(()) };
    let (names, places): (Vec<_>, Vec<_>) =
        [(TRUSTED_ROOT, &mut trust.trusted_root), (SIGNING_CONFIG, &mut trust.signing_config)]
            .into_iter()
            .filter(|(_, file)| file.is_none())
            .unzip();
    let fetched = mirror
        .fetch(&context.network.client()?, &caches(env, context)?, &names, jiff::Timestamp::now())
        .await
        .context("whom to believe is not known")?;
    if let Some(why) = fetched.unreachable {
        report
            .notice(&format!("TUF repository `{}` cannot be reached: {why}; what it served last is used, and has not expired", mirror.url));
    }
    for (place, file) in places.into_iter().zip(fetched.files) {
        *place = Some(file);
    }
    Ok(())
}

/// Where what was seen is kept, so that nobody leads a later run back behind it.
fn caches(env: &Environment, context: &RunContext) -> anyhow::Result<PathBuf> {
    let get =
        |name: &str| env.get(name).filter(|value| !value.trim().is_empty()).map(PathBuf::from);
    get("XDG_CACHE_HOME")
        .or_else(|| get("HOME").map(|home| home.join(".cache")))
        .or_else(|| context.temp.clone())
        .map(|folder| folder.join("supply-action/tuf"))
        .context("there is no folder to keep TUF metadata in")
        .hint("set `HOME` or `XDG_CACHE_HOME`")
}
