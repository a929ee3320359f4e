//! The jobs of one attempt of a workflow run, as GitHub's API describes them → on whose machines
//! those ran that made an image. Pure; it asks nobody, and what the answer does not say is never
//! taken for good.
//!
//! Reference: <https://docs.github.com/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run-attempt>.

use std::collections::BTreeMap;

use serde_json::Value;

/// What GitHub calls the group of its own runners.
const HOSTED: &str = "GitHub Actions";
/// Between the name of a job that calls a workflow and the name of a job of that workflow.
const CALLS: &str = " / ";

/// On whose machines the jobs ran.
#[derive(Debug, PartialEq, Eq)]
pub enum RunnersVerdict {
    /// All of them on GitHub's.
    Hosted,
    /// These on others.
    SelfHosted(Vec<String>),
    /// Why the answer does not say.
    Unknown(String),
}

/// Looks at every workflow of the run that has jobs as `publish.yml` names them: `plan`, `build
/// PLATFORM` for each platform, and `publish`. Which of several such workflows this job belongs to
/// is not said, so all must be clean. A caller's own jobs are its own affair.
pub fn verdict(jobs: &[Value], platforms: &[String]) -> RunnersVerdict {
    if platforms.is_empty() {
        return RunnersVerdict::Unknown(
            "no platforms are named, so no jobs can be checked".to_owned(),
        );
    }
    let mut workflows: BTreeMap<&str, BTreeMap<&str, Vec<&Value>>> = BTreeMap::new();
    for job in jobs {
        let Some(name) = job["name"].as_str() else {
            return RunnersVerdict::Unknown(
                "GitHub's answer names a job without a name".to_owned(),
            );
        };
        let (caller, own) = name.rsplit_once(CALLS).unwrap_or(("", name));
        workflows.entry(caller).or_default().entry(own).or_default().push(job);
    }
    workflows.retain(|_, jobs| jobs.contains_key("publish"));
    // Started by hand, the workflow has no caller; called, jobs without one are the caller's.
    if workflows.len() > 1 {
        workflows.remove("");
    }
    let started =
        workflows.values().flatten().flat_map(|(_, jobs)| jobs).filter(|job| has_started(job));
    let others: Vec<String> = started
        .filter(|job| !is_hosted(job))
        .filter_map(|job| job["name"].as_str().map(str::to_owned))
        .collect();
    if !others.is_empty() {
        return RunnersVerdict::SelfHosted(others);
    }
    let needed: Vec<String> = platforms
        .iter()
        .map(|platform| format!("build {platform}"))
        .chain(["plan".to_owned()])
        .collect();
    let lacks = |jobs: &BTreeMap<&str, Vec<&Value>>| {
        let ended = |name: &&String| {
            jobs.get(name.as_str())
                .is_some_and(|jobs| jobs.iter().all(|job| job["conclusion"] == "success"))
        };
        needed.iter().find(|name| !ended(name)).cloned().or_else(|| {
            let signs = jobs["publish"].iter().any(|job| has_started(job));
            (!signs).then(|| "publish".to_owned())
        })
    };
    let mut lacking = None;
    for jobs in workflows.values() {
        match lacks(jobs) {
            None => return RunnersVerdict::Hosted,
            some => lacking = some,
        }
    }
    let lacking = lacking.unwrap_or_else(|| "publish".to_owned());
    RunnersVerdict::Unknown(format!(
        "GitHub's answer does not contain job {lacking} of this attempt"
    ))
}

/// Whether a machine has taken the job; one that waits or was left out has done nothing.
fn has_started(job: &Value) -> bool {
    let waits =
        matches!(job["status"].as_str(), Some("queued" | "waiting" | "pending" | "requested"));
    !waits && job["conclusion"] != "skipped"
}

/// The group, the name and the labels that GitHub's own runners have; a runner of one's own can
/// have one of these labels, but not the rest.
fn is_hosted(job: &Value) -> bool {
    let labels: Vec<&str> =
        job["labels"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let is_own = |label: &&str| label.starts_with("ubuntu-");
    job["runner_group_name"] == HOSTED
        && job["runner_name"]
            .as_str()
            .is_some_and(|name| name == HOSTED || name.starts_with("GitHub Actions "))
        && !labels.is_empty()
        && labels.iter().all(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(name: &str) -> Value {
        json!({
            "name": name, "status": "completed", "conclusion": "success", "labels": ["ubuntu-24.04"],
            "runner_name": "GitHub Actions 7", "runner_group_name": "GitHub Actions",
        })
    }

    fn with(name: &str, field: &str, value: Value) -> Value {
        let mut job = job(name);
        job[field] = value;
        job
    }

    fn run(caller: &str) -> Vec<Value> {
        let publish = with(&format!("{caller}publish"), "status", json!("in_progress"));
        ["plan", "build linux/amd64", "build linux/arm64"]
            .iter()
            .map(|name| job(&format!("{caller}{name}")))
            .chain([publish])
            .collect()
    }

    fn judged(jobs: &[Value]) -> RunnersVerdict {
        verdict(jobs, &["linux/amd64".to_owned(), "linux/arm64".to_owned()])
    }

    #[test]
    fn jobs_on_githubs_own_runners_are_told_from_others() {
        for caller in ["", "publish / ", "api / web (x) / "] {
            assert_eq!(judged(&run(caller)), RunnersVerdict::Hosted, "{caller}");
            for (at, name) in
                ["plan", "build linux/amd64", "build linux/arm64", "publish"].iter().enumerate()
            {
                let name = format!("{caller}{name}");
                for (field, value) in [
                    ("runner_group_name", json!("Default")),
                    ("runner_group_name", Value::Null),
                    ("runner_name", json!("build-box")),
                    ("runner_name", json!("GitHub Actionsx")),
                    ("runner_name", Value::Null),
                    ("labels", json!(["self-hosted", "ubuntu-24.04"])),
                    ("labels", json!(["gpu"])),
                    ("labels", json!([])),
                ] {
                    let mut jobs = run(caller);
                    jobs[at][field] = value.clone();
                    assert_eq!(
                        judged(&jobs),
                        RunnersVerdict::SelfHosted(vec![name.clone()]),
                        "{name}: {field} {value}"
                    );
                }
                let mut jobs = run(caller);
                jobs.remove(at);
                assert!(matches!(judged(&jobs), RunnersVerdict::Unknown(_)), "{name}");
            }
        }
    }

    #[test]
    fn a_callers_own_jobs_are_its_own_affair_and_cannot_stand_in_for_ours() {
        let own = with("test", "runner_group_name", json!("Default"));
        let mut jobs = run("images / ");
        jobs.extend([
            own.clone(),
            with("publish", "runner_name", json!("mine")),
            with("tools / build docs", "labels", json!(["mine"])),
        ]);
        assert_eq!(judged(&jobs), RunnersVerdict::Hosted);
        // A caller names its jobs as ours, so that ours need not be clean, or be there.
        let mut jobs = run("decoy / ");
        let mut ours = run("images / ");
        ours[0]["runner_group_name"] = json!("Default");
        jobs.extend(ours);
        assert_eq!(judged(&jobs), RunnersVerdict::SelfHosted(vec!["images / plan".to_owned()]));
        // A leg that a spoiled plan calls otherwise.
        let mut jobs = run("decoy / ");
        jobs.extend([
            job("images / plan"),
            with("images / build x", "runner_name", json!("mine")),
            job("images / publish"),
        ]);
        assert_eq!(judged(&jobs), RunnersVerdict::SelfHosted(vec!["images / build x".to_owned()]));
        // Two calls in one run, one of which has not begun.
        let mut jobs = run("one / ");
        jobs.extend(run("two / ").into_iter().map(|mut job| {
            job["status"] = json!("queued");
            job["conclusion"] = Value::Null;
            job["runner_name"] = Value::Null;
            job
        }));
        assert_eq!(judged(&jobs), RunnersVerdict::Hosted);
    }

    #[test]
    fn an_answer_that_does_not_say_is_no_good_answer() {
        let mut failed = run("p / ");
        failed[1]["conclusion"] = json!("failure");
        let mut waits = run("p / ");
        waits[3]["status"] = json!("queued");
        for jobs in [vec![], vec![json!({})], vec![job("plan")], failed, waits] {
            assert!(matches!(judged(&jobs), RunnersVerdict::Unknown(_)), "{jobs:?}");
        }
        assert!(matches!(verdict(&run("p / "), &[]), RunnersVerdict::Unknown(_)));
        assert!(matches!(
            verdict(&run("p / "), &["linux/s390x".to_owned()]),
            RunnersVerdict::Unknown(_)
        ));
    }
}
