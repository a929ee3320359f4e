//! The event that started the run → whether it publishes, why, and which tags it gets when the user
//! wrote none. Pure.

use serde::Serialize;
use serde_json::Value;

use crate::metadata::line::{BranchReading, LineVersion, ReleaseLine, Scheme, reading};
use crate::metadata::sanitised;

/// The input `push`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenToPush {
    /// As the event suggests.
    Auto,
    Always,
    Never,
}

/// What the run will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerDecision {
    Publish,
    /// For another job to publish; never the event's own answer.
    PushByDigest,
    BuildOnly,
}

/// What is known of the event.
#[derive(Debug, Clone, Copy)]
pub struct TriggerEvent<'a> {
    pub name: &'a str,
    /// `refs/heads/main`, `refs/tags/v1`, `refs/pull/1/merge`; empty outside a workflow.
    pub git_ref: &'a str,
    pub sha: &'a str,
    pub payload: &'a Value,
    pub default_branch: Option<&'a str>,
    /// Whether the commit of a tag is on the default branch; `None` when nobody could say.
    pub on_default_branch: Option<bool>,
    /// Whether there are Git tags of the line that the branch's name reads as; `None` when nobody
    /// could say.
    pub line_has_tags: Option<bool>,
}

/// A rule for `metadata`, and what the name that it gives stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggeredRule {
    pub text: String,
    pub line: ReleaseLine,
}

/// The answer for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerAnswer {
    pub decision: TriggerDecision,
    pub reason: String,
    /// The tags for when the input `tags` is not set: rules for `metadata`, and whether `latest` is
    /// among them.
    pub rules: Vec<TriggeredRule>,
    pub latest: bool,
    /// The version that the Git tag names, by which `latest` is compared.
    pub version: Option<LineVersion>,
    /// What a user should know about it.
    pub notices: Vec<String>,
}

/// Decides.
pub fn decide(push: WhenToPush, event: &TriggerEvent<'_>) -> TriggerAnswer {
    let (decision, reason) = match push {
        WhenToPush::Never => (TriggerDecision::BuildOnly, "`push: false`".to_owned()),
        WhenToPush::Always => (TriggerDecision::Publish, "`push: true`".to_owned()),
        WhenToPush::Auto => automatic(event),
    };
    let mut answer = TriggerAnswer {
        decision,
        reason,
        rules: Vec::new(),
        latest: false,
        version: None,
        notices: Vec::new(),
    };
    rules(event, &mut answer);
    answer
}

fn automatic(event: &TriggerEvent<'_>) -> (TriggerDecision, String) {
    let build_only = |why: &str| (TriggerDecision::BuildOnly, why.to_owned());
    let publish = |why: String| (TriggerDecision::Publish, why);
    match event.name {
        name if is_of_pull_request(name) => {
            build_only("a pull request is built and checked, and publishes nothing")
        }
        "merge_group" => {
            build_only("a merge queue builds and checks; the push to the branch publishes")
        }
        "release" => match event.payload["action"].as_str() {
            Some("published" | "released" | "prereleased") => {
                publish(format!("a release of `{}`", short(event.git_ref)))
            }
            action => build_only(&format!(
                "a release that is `{}` publishes nothing; one that is `published` does",
                action.unwrap_or("changed")
            )),
        },
        "push" if event.payload["deleted"] == true => {
            build_only("a deleted ref has nothing to publish")
        }
        "push" => publish(match kind(event.git_ref) {
            Ref::Tag(tag) => format!("a push of tag `{tag}`"),
            _ => format!("a push to `{}`", short(event.git_ref)),
        }),
        "workflow_dispatch" => publish(format!("started by hand on `{}`", short(event.git_ref))),
        "schedule" => publish("a scheduled build of the default branch".to_owned()),
        "repository_dispatch" => publish("asked for by `repository_dispatch`".to_owned()),
        "workflow_run" => match untrusted_run(event.payload) {
            Some(why) => build_only(&why),
            None => publish("another workflow succeeded".to_owned()),
        },
        "" => publish("not in a workflow".to_owned()),
        other => build_only(&format!(
            "event `{other}` publishes nothing by itself; set `push: true` if it should"
        )),
    }
}

/// Whether a run of this event publishes nothing, whatever its payload says.
pub fn only_builds(push: WhenToPush, event_name: &str) -> bool {
    push == WhenToPush::Never
        || (push == WhenToPush::Auto
            && (is_of_pull_request(event_name) || event_name == "merge_group"))
}

fn is_of_pull_request(event_name: &str) -> bool {
    ["pull_request", "pull_request_target", "pull_request_review"].contains(&event_name)
}

/// Events whose runs are of what is in the repository; those of a pull request, and those that a
/// run of another one starts, may be of a stranger's.
const OF_THE_REPOSITORY: [&str; 5] =
    ["push", "schedule", "workflow_dispatch", "repository_dispatch", "release"];

/// Why nothing is published after the run of another workflow; what is not known of it is no reason
/// to publish.
fn untrusted_run(payload: &Value) -> Option<String> {
    let run = &payload["workflow_run"];
    let text = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    if payload["action"] != "completed" {
        return Some(
            "a workflow that has not ended publishes nothing; one that is `completed` does"
                .to_owned(),
        );
    }
    if run["conclusion"] != "success" {
        return Some(format!(
            "the workflow that ended has the conclusion `{}`; only `success` publishes",
            text(&run["conclusion"])
        ));
    }
    if !run["event"].as_str().is_some_and(|event| OF_THE_REPOSITORY.contains(&event)) {
        return Some(format!(
            "the workflow that ended was started by `{}`, so it may be of a pull request",
            text(&run["event"])
        ));
    }
    let (theirs, ours) = (&run["head_repository"], &payload["repository"]);
    let is_elsewhere = match (theirs["full_name"].as_str(), ours["full_name"].as_str()) {
        (Some(theirs), Some(ours)) => !theirs.eq_ignore_ascii_case(ours),
        _ => theirs["fork"] == true,
    };
    is_elsewhere.then(|| "the workflow that ended ran for a fork".to_owned())
}

enum Ref<'a> {
    Branch(&'a str),
    Tag(&'a str),
    Other,
}

fn kind(git_ref: &str) -> Ref<'_> {
    match (git_ref.strip_prefix("refs/heads/"), git_ref.strip_prefix("refs/tags/")) {
        (Some(branch), _) => Ref::Branch(branch),
        (_, Some(tag)) => Ref::Tag(tag),
        _ => Ref::Other,
    }
}

fn short(git_ref: &str) -> &str {
    git_ref.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/")
}

const NO_LATEST: &str = "no `latest` by itself";

/// The tags of a run without the input `tags`: names of one version or commit first.
fn rules(event: &TriggerEvent<'_>, answer: &mut TriggerAnswer) {
    let number = |value: &Value| value.as_u64().map(|number| number.to_string());
    match kind(event.git_ref) {
        // Its ref is the branch that it wants to change.
        _ if event.name == "pull_request_target" => {
            let numbered = number(&event.payload["number"])
                .or_else(|| number(&event.payload["pull_request"]["number"]));
            answer
                .rules
                .extend(numbered.map(|number| raw(&format!("pr-{number}"), ReleaseLine::Free)));
        }
        // Its ref is the default branch, whatever ran.
        _ if event.name == "workflow_run" && untrusted_run(event.payload).is_some() => {
            answer.notices.push(format!(
                "after that workflow the image gets no tag of `{}`",
                short(event.git_ref)
            ));
        }
        Ref::Tag(tag) => of_tag(tag, event, answer),
        Ref::Branch(branch) => of_branch(branch, event, answer),
        Ref::Other => {
            if let Some(number) =
                event.git_ref.strip_prefix("refs/pull/").and_then(|rest| rest.split('/').next())
            {
                answer.rules.extend(
                    legal(&format!("pr-{number}")).ok().map(|name| raw(&name, ReleaseLine::Free)),
                );
            }
        }
    }
    if !event.sha.is_empty() {
        answer.rules.push(TriggeredRule {
            text: "type=sha,format=long".to_owned(),
            line: ReleaseLine::Free,
        });
    }
}

fn raw(name: &str, line: ReleaseLine) -> TriggeredRule {
    TriggeredRule { text: format!("type=raw,value={name}"), line }
}

/// The longest tag.
const LONGEST: usize = 128;

/// What a ref's name is as a tag, or why it is none. What a ref becomes by leaving out letters at
/// its beginning is no release's name.
fn legal(name: &str) -> Result<String, String> {
    let whole = sanitised(name);
    let name = whole.trim_start_matches(['.', '-']);
    if name.trim_matches(['.', '-', '_']).is_empty() {
        return Err("no letter of it may be in a tag".to_owned());
    }
    if name.len() > LONGEST {
        return Err(format!("it has {} letters, and a tag has {LONGEST} at most", name.len()));
    }
    if name.len() != whole.len() && reading(name).is_some() {
        return Err(format!("as a tag it would be `{name}`, which is a release's tag"));
    }
    Ok(name.to_owned())
}

/// A branch gets its name, unless people would take it for a release's: `latest` of another than
/// the default branch, a whole version, or a line of versions that has releases, or may have.
fn of_branch(branch: &str, event: &TriggerEvent<'_>, answer: &mut TriggerAnswer) {
    let is_default = event.default_branch == Some(branch);
    answer.latest = is_default;
    let name = match legal(branch) {
        Ok(name) => name,
        Err(why) => return answer.notices.push(unnamed("branch", branch, &why)),
    };
    let left_out = match reading(&name) {
        Some(BranchReading::Latest) if !is_default => {
            Some("it is not the default branch".to_owned())
        }
        Some(BranchReading::WholeVersion) => {
            Some("it reads as a version, which is a release's tag".to_owned())
        }
        Some(BranchReading::Line(line)) if !is_default => match event.line_has_tags {
            Some(false) => None,
            Some(true) => Some(format!("there are releases of `{line}`, whose tag it is")),
            None => Some(format!(
                "it is not known whether there are releases of `{line}`, whose tag it would be"
            )),
        },
        _ => None,
    };
    match left_out {
        None => answer.rules.push(raw(&name, ReleaseLine::Ref(event.git_ref.to_owned()))),
        Some(why) => {
            answer
                .notices
                .push(format!("branch `{branch}` does not give the image the tag `{name}`: {why}; `tags: type=ref,event=branch` does"));
        }
    }
}

fn unnamed(kind: &str, name: &str, why: &str) -> String {
    format!("{kind} `{name}` gives the image no tag of its own: {why}; a rule of `tags` can")
}

/// A version gets its ranges and, when it lies on the default branch, `latest`; a prerelease gets
/// nothing that floats.
fn of_tag(tag: &str, event: &TriggerEvent<'_>, answer: &mut TriggerAnswer) {
    match legal(tag) {
        Ok(name) => answer.rules.push(raw(&name, ReleaseLine::Ref(event.git_ref.to_owned()))),
        Err(why) => return answer.notices.push(unnamed("tag", tag, &why)),
    }
    answer.version = LineVersion::read(tag, Scheme::Any);
    let (prefix, version) = match tag.strip_prefix('v') {
        Some(rest) => ("v", rest),
        None => ("", tag),
    };
    let Ok(version) = semver::Version::parse(version) else { return };
    if !version.pre.is_empty() {
        answer.notices.push(format!(
            "`{tag}` is a prerelease: it gets its version and commit, and {NO_LATEST}"
        ));
        return;
    }
    if event.name == "release" && event.payload["release"]["prerelease"] == true {
        answer.notices.push(format!("the release of `{tag}` is marked as a prerelease: it gets its version and commit, and {NO_LATEST}"));
        return;
    }
    let line =
        ReleaseLine::Version { version: LineVersion::within(tag, tag, Scheme::Any), whole: false };
    answer.rules.push(raw(&format!("{prefix}{}.{}", version.major, version.minor), line.clone()));
    // Before 1.0.0 any change may break, so `v0` would promise what nobody keeps.
    if version.major > 0 {
        answer.rules.push(raw(&format!("{prefix}{}", version.major), line));
    }
    match event.on_default_branch {
        Some(true) => answer.latest = true,
        Some(false) => answer
            .notices
            .push(format!("tag `{tag}` is not on the default branch, so it gets {NO_LATEST}")),
        None => answer.notices.push(format!(
            "it is not known whether tag `{tag}` is on the default branch, so it gets {NO_LATEST}. Set `github-token`, or check out with `fetch-depth: 0`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules_for(git_ref: &str, on_default_branch: Option<bool>) -> Vec<String> {
        names_of(git_ref, "main", on_default_branch, None)
    }

    fn names_of(
        git_ref: &str,
        default: &str,
        on_default_branch: Option<bool>,
        line_has_tags: Option<bool>,
    ) -> Vec<String> {
        let default_branch = Some(default);
        let event = TriggerEvent {
            name: "push",
            git_ref,
            sha: "abc",
            payload: &Value::Null,
            default_branch,
            on_default_branch,
            line_has_tags,
        };
        let answer = decide(WhenToPush::Auto, &event);
        let rules = answer.rules.iter().map(|rule| {
            rule.text.replace("type=raw,value=", "").replace("type=sha,format=long", "sha")
        });
        rules.chain(answer.latest.then(|| "latest".to_owned())).collect()
    }

    #[test]
    fn each_ref_has_its_tags() {
        for (git_ref, on_default, expected) in [
            ("refs/heads/main", None, vec!["main", "sha", "latest"]),
            ("refs/heads/feature/x y", None, vec!["feature-x-y", "sha"]),
            ("refs/tags/v1.2.3", Some(true), vec!["v1.2.3", "v1.2", "v1", "sha", "latest"]),
            ("refs/tags/1.2.3", Some(false), vec!["1.2.3", "1.2", "1", "sha"]),
            ("refs/tags/v1.2.3", None, vec!["v1.2.3", "v1.2", "v1", "sha"]),
            ("refs/tags/v0.2.3", None, vec!["v0.2.3", "v0.2", "sha"]),
            ("refs/tags/v2.0.0-rc.1", Some(true), vec!["v2.0.0-rc.1", "sha"]),
            ("refs/tags/nightly", Some(true), vec!["nightly", "sha"]),
            ("refs/pull/7/merge", None, vec!["pr-7", "sha"]),
            ("refs/tags/@octo/app@1.2.3", Some(true), vec!["octo-app-1.2.3", "sha"]),
            ("refs/tags/日本語", Some(true), vec!["sha"]),
            ("refs/tags/.v1.2.3", Some(true), vec!["sha"]),
            ("refs/tags/@latest", Some(true), vec!["sha"]),
            ("refs/heads/.github-fix", None, vec!["github-fix", "sha"]),
            ("refs/heads/--latest", None, vec!["sha"]),
            ("refs/heads/日本語", None, vec!["sha"]),
        ] {
            assert_eq!(rules_for(git_ref, on_default), expected, "{git_ref}");
        }
    }

    #[test]
    fn a_branch_takes_no_name_of_a_release() {
        for (branch, default, line_has_tags, expected) in [
            ("latest", "main", Some(false), vec!["sha"]),
            ("latest", "latest", None, vec!["latest", "sha", "latest"]),
            ("feature/latest", "main", None, vec!["feature-latest", "sha"]),
            ("v9.9.9", "main", Some(false), vec!["sha"]),
            ("9.9.9-rc.1", "main", Some(false), vec!["sha"]),
            ("v9.9.9", "v9.9.9", None, vec!["sha", "latest"]),
            ("v1", "main", Some(true), vec!["sha"]),
            ("v1", "main", None, vec!["sha"]),
            ("v1", "main", Some(false), vec!["v1", "sha"]),
            ("6.x", "6.x", None, vec!["6.x", "sha", "latest"]),
            ("6.x", "7.x", None, vec!["sha"]),
            ("2024.1", "2024.1", Some(true), vec!["2024.1", "sha", "latest"]),
            ("2024.1", "main", Some(true), vec!["sha"]),
            ("1.2-alpine", "main", Some(true), vec!["sha"]),
            ("release/1.2.3", "main", Some(true), vec!["release-1.2.3", "sha"]),
        ] {
            assert_eq!(
                names_of(&format!("refs/heads/{branch}"), default, None, line_has_tags),
                expected,
                "{branch} {line_has_tags:?}"
            );
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_left_out_with_a_notice() {
        for (letters, named) in [(128, true), (129, false)] {
            let git_ref = format!("refs/heads/{}", "x".repeat(letters));
            let event = TriggerEvent { git_ref: &git_ref, ..run_of("push", &Value::Null) };
            let answer = decide(WhenToPush::Auto, &event);
            assert_eq!(
                (answer.rules.len(), answer.notices.is_empty()),
                (if named { 2 } else { 1 }, named),
                "{letters}: {answer:?}"
            );
        }
    }

    fn run_of<'a>(name: &'a str, payload: &'a Value) -> TriggerEvent<'a> {
        TriggerEvent {
            name,
            git_ref: "refs/heads/main",
            sha: "abc",
            payload,
            default_branch: Some("main"),
            on_default_branch: None,
            line_has_tags: None,
        }
    }

    fn given(answer: &TriggerAnswer) -> Vec<String> {
        let rules = answer.rules.iter().map(|rule| {
            rule.text.replace("type=raw,value=", "").replace("type=sha,format=long", "sha")
        });
        rules.chain(answer.latest.then(|| "latest".to_owned())).collect()
    }

    #[test]
    fn the_run_of_another_workflow_publishes_only_when_it_is_known_to_be_of_this_repository() {
        let own = json!({ "full_name": "octo/app", "fork": true });
        let run = |conclusion: &str, event: &str, head: Value| json!({ "conclusion": conclusion, "event": event, "head_repository": head });
        for (action, run, publishes) in [
            ("completed", run("success", "push", own.clone()), true),
            ("completed", run("success", "schedule", Value::Null), true),
            ("completed", run("success", "release", json!({ "full_name": "Octo/App" })), true),
            ("requested", run("success", "push", own.clone()), false),
            ("in_progress", run("success", "push", own.clone()), false),
            ("completed", run("failure", "push", own.clone()), false),
            ("completed", run("skipped", "push", own.clone()), false),
            ("completed", run("success", "pull_request", own.clone()), false),
            ("completed", run("success", "pull_request_target", own.clone()), false),
            ("completed", run("success", "workflow_run", own.clone()), false),
            ("completed", run("success", "issue_comment", own.clone()), false),
            ("completed", run("success", "push", json!({ "full_name": "stranger/app" })), false),
            ("completed", run("success", "push", json!({ "fork": true })), false),
            ("completed", json!({ "conclusion": "success" }), false),
            ("completed", json!(null), false),
        ] {
            let payload = json!({ "action": action, "workflow_run": run, "repository": { "full_name": "octo/app" } });
            let (auto, forced) = (
                decide(WhenToPush::Auto, &run_of("workflow_run", &payload)),
                decide(WhenToPush::Always, &run_of("workflow_run", &payload)),
            );
            assert_eq!(
                auto.decision == TriggerDecision::Publish,
                publishes,
                "{payload}: {}",
                auto.reason
            );
            let names = if publishes { vec!["main", "sha", "latest"] } else { vec!["sha"] };
            assert_eq!(given(&forced), names, "{payload}");
        }
        assert_eq!(
            decide(WhenToPush::Auto, &run_of("workflow_run", &Value::Null)).decision,
            TriggerDecision::BuildOnly
        );
    }

    #[test]
    fn a_pull_request_gets_no_name_of_the_branch_that_it_wants_to_change() {
        let numbered = json!({ "number": 7 });
        let nested = json!({ "pull_request": { "number": 8 } });
        for (payload, names) in [
            (&numbered, vec!["pr-7", "sha"]),
            (&nested, vec!["pr-8", "sha"]),
            (&Value::Null, vec!["sha"]),
        ] {
            assert_eq!(
                given(&decide(WhenToPush::Always, &run_of("pull_request_target", payload))),
                names
            );
        }
        assert!(
            only_builds(WhenToPush::Auto, "pull_request_target")
                && !only_builds(WhenToPush::Always, "pull_request")
                && only_builds(WhenToPush::Never, "push")
        );
    }

    #[test]
    fn a_release_that_is_marked_as_a_prerelease_gets_nothing_that_floats() {
        let release = |prerelease: bool| json!({ "action": "published", "release": { "prerelease": prerelease } });
        for (prerelease, names) in
            [(true, vec!["v1.2.3", "sha"]), (false, vec!["v1.2.3", "v1.2", "v1", "sha", "latest"])]
        {
            let payload = release(prerelease);
            let event = TriggerEvent {
                git_ref: "refs/tags/v1.2.3",
                on_default_branch: Some(true),
                ..run_of("release", &payload)
            };
            assert_eq!(given(&decide(WhenToPush::Auto, &event)), names);
        }
    }

    #[test]
    fn each_event_has_a_stated_answer() {
        let published = json!({ "action": "published" });
        let edited = json!({ "action": "edited" });
        for (name, payload, decision) in [
            ("push", &Value::Null, TriggerDecision::Publish),
            ("pull_request", &Value::Null, TriggerDecision::BuildOnly),
            ("pull_request_target", &Value::Null, TriggerDecision::BuildOnly),
            ("merge_group", &Value::Null, TriggerDecision::BuildOnly),
            ("workflow_dispatch", &Value::Null, TriggerDecision::Publish),
            ("schedule", &Value::Null, TriggerDecision::Publish),
            ("repository_dispatch", &Value::Null, TriggerDecision::Publish),
            ("release", &published, TriggerDecision::Publish),
            ("release", &edited, TriggerDecision::BuildOnly),
            ("issue_comment", &Value::Null, TriggerDecision::BuildOnly),
            ("", &Value::Null, TriggerDecision::Publish),
        ] {
            let event = TriggerEvent {
                name,
                git_ref: "refs/heads/main",
                sha: "abc",
                payload,
                default_branch: Some("main"),
                on_default_branch: None,
                line_has_tags: None,
            };
            let answer = decide(WhenToPush::Auto, &event);
            assert_eq!(answer.decision, decision, "{name}");
            assert!(!answer.reason.is_empty());
            assert_eq!(decide(WhenToPush::Never, &event).decision, TriggerDecision::BuildOnly);
            assert_eq!(decide(WhenToPush::Always, &event).decision, TriggerDecision::Publish);
        }
    }
}
