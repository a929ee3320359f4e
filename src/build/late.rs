//! Runs a build again whose push failed because the registry did not know yet of a blob that had
//! just been pushed; never for another reason.

use std::time::Duration;

use super::progress::BuildProgress;
use crate::command::{ChildOutput, Program};

/// How often it is run again. What was built is in the builder's cache, so this takes as long as
/// the push.
const AGAIN: u32 = 2;
const PAUSE: Duration = Duration::from_secs(2);

/// Runs buildx, and again where the registry was late:
/// <https://github.com/clemensv/real-time-sources/pull/351>. What is told of the build's steps is
/// of the first run, since another finds all of them in the cache.
pub(super) async fn run(
    program: &Program,
    arguments: &[String],
    output: ChildOutput,
    notice: &dyn Fn(&str),
) -> anyhow::Result<BuildProgress> {
    let mut progress = BuildProgress::default();
    let mut outcome = program.run_seen(arguments, output, &mut |line| progress.line(line)).await;
    for attempt in 1..=AGAIN {
        match outcome {
            Err(error) if is_late(&format!("{error:#}")) => {
                notice(
                    "the registry did not know a blob that the build had just pushed, so the build runs again, from its cache",
                );
                tokio::time::sleep(PAUSE * attempt).await;
                outcome = program.run(arguments, output).await;
            }
            ended => return ended.map(|()| progress),
        }
    }
    outcome.map(|()| progress)
}

/// Whether buildx ended because the registry did not know a blob. The output of a step is no push,
/// whatever it says.
fn is_late(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    let is_unknown = ["blob unknown", "blob_unknown"].iter().any(|word| error.contains(word))
        || error
            .split_once("unknown: blob ")
            .is_some_and(|(_, rest)| rest.contains("is not known"));
    is_unknown && !error.contains("did not complete successfully")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_registry_is_told_by_its_words() {
        for (said, late) in [
            (
                "failed to solve: failed to push ghcr.io/octo/app: unknown: blob `sha256:00` is not known",
                true,
            ),
            (
                "failed to solve: failed to push ghcr.io/octo/app: unknown: blob sha256:00 is not known to the registry",
                true,
            ),
            (
                "failed to push r.io/a: unexpected status: 404 Not Found: {\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\"}]}",
                true,
            ),
            ("failed to push r.io/a: manifest blob unknown: blob unknown to registry", true),
            ("failed to push r.io/a: denied: not allowed", false),
            ("failed to push r.io/a: name unknown: repository not known", false),
            (
                "process \"/bin/sh -c echo BLOB_UNKNOWN; exit 1\" did not complete successfully: exit code: 1",
                false,
            ),
            ("failed to solve: base: not found", false),
        ] {
            assert_eq!(is_late(said), late, "{said}");
        }
    }
}
