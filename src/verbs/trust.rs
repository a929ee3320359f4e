//! The inputs about trust → whom a run believes: what `tuf-mirror` serves is brought up to date, and
//! the files are read. It never replaces a file that the user gave.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::environment::Environment;
use crate::error::Remedy as _;
use crate::github::RunContext;
use crate::inputs::TrustInputs;
use crate::report::Report;
use crate::sigstore::settled::{SettledTrust, TrustFile};
use crate::sigstore::tuf::{SIGNING_CONFIG, TRUSTED_ROOT};

/// Fetches what the user wants fetched, and reads it. `by_key`: a key of the user's own signs.
pub(super) async fn settle(
    trust: &TrustInputs,
    by_key: bool,
    env: &Environment,
    context: &RunContext,
    report: &Report,
) -> anyhow::Result<SettledTrust> {
    let given = |path: &Option<PathBuf>| TrustFile { path: path.clone(), mirror: None };
    let (mut root, mut config) = (given(&trust.trusted_root), given(&trust.signing_config));
    if let Some(mirror) = &trust.tuf_mirror {
        let (names, places): (Vec<_>, Vec<_>) =
            [(TRUSTED_ROOT, &mut root), (SIGNING_CONFIG, &mut config)]
                .into_iter()
                .filter(|(_, file)| file.path.is_none())
                .unzip();
        let (http, now) = (context.network.client()?, jiff::Timestamp::now());
        let fetched = mirror
            .fetch(&http, &caches(env, context)?, &names, now)
            .await
            .context("the trusted root is not known")?;
        if let Some(why) = fetched.unreachable {
            report
                .notice(&format!("TUF repository `{}` cannot be reached: {why}; the run uses its last metadata, which has not expired", mirror.url));
        }
        for (place, file) in places.into_iter().zip(fetched.files) {
            *place = TrustFile { path: Some(file), mirror: Some(mirror.url.clone()) };
        }
    }
    SettledTrust::read(root, config, by_key)
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
