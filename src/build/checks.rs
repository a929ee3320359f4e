//! BuildKit's own checks of a Dockerfile (`call: check`) → what they say of each target. It builds
//! nothing, and takes no checks that did not run for passed ones.
//!
//! Reference: <https://docs.docker.com/build/checks/>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::secrets::weakness::{LintReport, read_lint};
use crate::text::seen::visible;

/// What is asked of buildx, and how it shall answer: whatever the checks say, they ran.
pub const CALL: &str = "check,format=json,ignorestatus=true";

/// What became of the checks of one image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DockerfileChecks {
    /// Nobody wanted them, or there is no Dockerfile here.
    #[default]
    NotAsked,
    /// Nobody knows what they would say, and why.
    NotRun(String),
    Done(LintReport),
}

impl DockerfileChecks {
    /// By what `buildx build` printed, or why it printed nothing.
    pub(super) fn of_build(printed: anyhow::Result<String>) -> Self {
        match printed {
            Ok(text) => Self::read(text.as_bytes()),
            Err(error) => Self::failed(&error),
        }
    }

    /// By what `buildx bake` printed, for each of these targets.
    pub(super) fn of_bake<'a>(
        printed: anyhow::Result<String>,
        targets: impl Iterator<Item = &'a str>,
    ) -> Vec<Self> {
        let read = printed.map(|text| serde_json::from_str::<BakedChecks>(&text));
        let of_target = |target: &str| match &read {
            Ok(Ok(checks)) => match checks.target.get(target).and_then(|it| it.check.as_deref()) {
                Some(check) => Self::read(check.get().as_bytes()),
                None => Self::NotRun(format!("buildx says nothing of `{}`", visible(target))),
            },
            Ok(Err(error)) => Self::NotRun(format!("their result cannot be read: {error}")),
            Err(error) => Self::failed(error),
        };
        targets.map(of_target).collect()
    }

    fn failed(error: &anyhow::Error) -> Self {
        let message = crate::error::message(error);
        let mut told = message.lines().map(str::trim).filter(|line| !line.is_empty());
        let reason = told.clone().find(|line| line.starts_with("ERROR"));
        Self::NotRun(visible(reason.or_else(|| told.next_back()).unwrap_or_default()))
    }

    fn read(json: &[u8]) -> Self {
        // bake puts an error of its own beside the result.
        let failed = serde_json::from_slice::<FailedBakeCheck>(json).ok().and_then(|it| it.error);
        match (read_lint(json), failed) {
            (Ok(report), None) => Self::Done(report),
            (Ok(LintReport { weaknesses, broken }), Some(failed)) => {
                let broken = broken.or_else(|| Some(visible(&failed)));
                Self::Done(LintReport { weaknesses, broken })
            }
            (Err(error), _) => Self::NotRun(error.to_string()),
        }
    }
}

#[derive(Deserialize)]
struct BakedChecks {
    #[serde(default)]
    target: BTreeMap<String, BakedCheck>,
}

#[derive(Deserialize)]
struct BakedCheck {
    #[serde(default)]
    check: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct FailedBakeCheck {
    #[serde(default)]
    error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARNED: &str = r#"{"warnings":[{"ruleName":"FromAsCasing","description":"casing","location":{"ranges":[{"start":{"line":2}}]}}],"sources":[{"filename":"Dockerfile"}]}"#;

    fn rules(checks: &DockerfileChecks) -> Vec<&str> {
        match checks {
            DockerfileChecks::Done(report) => {
                report.weaknesses.iter().map(|it| it.rule.as_ref()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn checks_that_did_not_run_are_not_passed() {
        let checks = DockerfileChecks::of_build(Ok(WARNED.to_owned()));
        assert_eq!(rules(&checks), ["buildkit/FromAsCasing"]);
        assert_eq!(rules(&DockerfileChecks::of_build(Ok("{}".to_owned()))), [] as [&str; 0]);
        let not_run = |printed: anyhow::Result<String>| match DockerfileChecks::of_build(printed) {
            DockerfileChecks::NotRun(why) => why,
            other => panic!("{other:?}"),
        };
        let old = anyhow::anyhow!("`buildx` ended with exit status: 125: unknown flag: --call\n");
        assert!(not_run(Err(old)).ends_with("unknown flag: --call"));
        let lines = "`buildx` ended with exit status: 1: #1 x\n  ERROR: no such stage\n  ------";
        assert_eq!(not_run(Err(anyhow::anyhow!(lines))), "ERROR: no such stage");
        let empty = not_run(Ok(String::new()));
        assert!(empty.contains("cannot be read at line 1"), "{empty}");
    }

    #[test]
    fn each_target_of_a_bake_file_has_its_own() {
        let printed = format!(
            r#"{{"group":{{"default":{{"targets":["a","b"]}}}},"target":{{"a":{{"build":{{}},"check":{WARNED}}},"b":{{"check":{{"error":"no such stage"}}}},"c":{{"build":{{}}}}}}}}"#
        );
        let targets = ["a", "b", "c", "d"];
        let checks = DockerfileChecks::of_bake(Ok(printed), targets.into_iter());
        assert_eq!(rules(&checks[0]), ["buildkit/FromAsCasing"]);
        let broken = LintReport { broken: Some("no such stage".into()), ..LintReport::default() };
        assert_eq!(checks[1], DockerfileChecks::Done(broken));
        assert_eq!(checks[2], DockerfileChecks::NotRun("buildx says nothing of `c`".into()));
        assert_eq!(checks[3], DockerfileChecks::NotRun("buildx says nothing of `d`".into()));
        let of_all = |printed| DockerfileChecks::of_bake(printed, targets.into_iter());
        for checks in [of_all(Ok("[".to_owned())), of_all(Err(anyhow::anyhow!("gone")))] {
            assert!(
                checks.iter().all(|it| matches!(it, DockerfileChecks::NotRun(_))),
                "{checks:?}"
            );
            assert_eq!(checks.len(), 4);
        }
    }
}
