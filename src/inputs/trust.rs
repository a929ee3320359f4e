//! The inputs about whom to believe → `TrustInputs`. Pure; it fetches nothing.

use std::path::PathBuf;

use super::InputProblems;
use super::texts::InputTexts;
use crate::sigstore::tuf::TufMirror;

/// Whom to believe, and where that is said.
#[derive(Debug)]
pub struct TrustInputs {
    pub signing_config: Option<PathBuf>,
    pub trusted_root: Option<PathBuf>,
    /// Where either of these is fetched from that is not given.
    pub tuf_mirror: Option<TufMirror>,
}

impl TrustInputs {
    pub(super) fn read(given: &InputTexts, problems: &mut InputProblems) -> Self {
        Self {
            signing_config: given.path("signing-config"),
            trusted_root: given.path("trusted-root"),
            tuf_mirror: mirror(given, problems),
        }
    }
}

fn mirror(given: &InputTexts, problems: &mut InputProblems) -> Option<TufMirror> {
    let Some(url) = given.get("tuf-mirror").map(str::trim) else {
        if given.get("tuf-root").is_some() {
            problems.say(
                "tuf-root",
                "it has no effect without `tuf-mirror`, for which it is the first \
                    root",
            );
        }
        return None;
    };
    if !["https://", "http://"]
        .iter()
        .any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
    {
        problems.say(
            "tuf-mirror",
            format_args!("`{url}` is not an address that begins with https:// or http://"),
        );
    }
    if given.get("trusted-root").is_some() && given.get("signing-config").is_some() {
        problems.say(
            "tuf-mirror",
            "it has no effect beside `trusted-root` and `signing-config`: nothing is left to fetch",
        );
    }
    Some(TufMirror { url: url.to_owned(), root: given.path("tuf-root") })
}
