//! Names that float: runs of older versions and commits, reruns, branches that are called as
//! releases are, and two runs at once.

use std::collections::BTreeMap;

use supply_action::sandbox::{Fault, FaultEffect, Habit, SandboxService};

use crate::consumers::without_sbom_of_index;
use crate::support::{Run, World, always, parse_outputs};

/// Commits, told apart by a letter.
fn sha(letter: &str) -> String {
    letter.repeat(40)
}

/// A world whose history is a-b-c on `main`, with d beside b.
async fn world() -> World {
    world_with(None).await
}

async fn world_with(habit: Option<Habit>) -> World {
    let mut world = World::with(|config| config.habit = habit).await;
    world.unset("INPUT_TAGS");
    world.sandbox.history(|history| {
        for (commit, parents) in
            [("a", vec![]), ("b", vec!["a"]), ("c", vec!["b"]), ("d", vec!["a"])]
        {
            let parents: Vec<String> = parents.into_iter().map(sha).collect();
            history.commit(&sha(commit), &parents.iter().map(String::as_str).collect::<Vec<_>>());
        }
        history.point("refs/heads/main", &sha("c"));
    });
    world
}

/// Publishes `commit` on `git_ref`; every run builds another image.
async fn run(world: &mut World, git_ref: &str, commit: &str) -> Run {
    let salt = format!("{git_ref} {commit} {}", world.sandbox.requests().len());
    world.at(git_ref, &sha(commit)).set("FAKE_BUILDX_SALT", &salt);
    world.publish().await
}

async fn published(world: &mut World, git_ref: &str, commit: &str) -> (String, Run) {
    let run = run(world, git_ref, commit).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    (run.outputs["digest"].clone(), run)
}

/// The letters of what these tags name.
fn named(tags: &BTreeMap<String, String>, digests: &[(&str, &str)], wanted: &[&str]) -> String {
    let letter = |tag: &&str| {
        let digest = tags.get(*tag)?;
        digests.iter().find(|(_, known)| known == digest).map(|(letter, _)| *letter)
    };
    wanted.iter().map(|tag| letter(tag).unwrap_or("?")).collect()
}

fn kept(run: &Run) -> Vec<String> {
    run.outputs["kept-tags"]
        .lines()
        .map(|name| name.rsplit(':').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_rerun_of_an_old_release_and_a_backport_take_no_name_back() {
    let mut world = world().await;
    let (one, _) = published(&mut world, "refs/tags/v1.2.3", "a").await;
    let (two, _) = published(&mut world, "refs/tags/v1.3.0", "b").await;
    let (three, _) = published(&mut world, "refs/tags/v2.0.0", "c").await;
    let digests = [("1", one.as_str()), ("2", two.as_str()), ("3", three.as_str())];
    let all = ["v1.2.3", "v1.2", "v1", "v2", "latest"];
    assert_eq!(named(&world.tags().await, &digests, &all), "11233");
    // The whole version stands with all its evidence, so the rerun keeps it and builds nothing.
    let (again, rerun) = published(&mut world, "refs/tags/v1.2.3", "a").await;
    assert_eq!(
        (again.as_str(), kept(&rerun)),
        (one.as_str(), vec!["v1".to_owned(), "latest".to_owned()])
    );
    assert!(
        rerun.log.contains("nothing is built")
            && rerun.log.contains("it points to version `1.3.0`, and this is `1.2.3`"),
        "{}",
        rerun.log
    );
    assert!(
        rerun.summary.contains("| kept | ") && rerun.summary.contains("| reused | "),
        "{}",
        rerun.summary
    );
    assert!(
        !rerun.outputs["tags"].contains(":latest") && rerun.outputs["tags"].contains(":v1.2.3"),
        "{}",
        rerun.outputs["tags"]
    );
    assert_eq!(named(&world.tags().await, &digests, &all), "11233");
    // On a branch of its own, so `latest` is not among its names.
    let (fourth, backport) = published(&mut world, "refs/tags/v1.2.4", "d").await;
    assert_eq!(kept(&backport), ["v1"]);
    let digests = [digests.as_slice(), &[("4", fourth.as_str())]].concat();
    assert_eq!(
        named(&world.tags().await, &digests, &["v1.2.3", "v1.2.4", "v1.2", "v1", "v2", "latest"]),
        "144233"
    );
    // Another commit's whole version is a refusal.
    let other = run(&mut world, "refs/tags/v1.2.3", "d").await;
    assert!(other.code == Some(1) && other.log.contains("v1.2.3` already exists"), "{}", other.log);
}

#[tokio::test]
async fn an_older_run_of_a_branch_takes_no_name_back_and_a_force_push_moves_them() {
    let mut world = world().await;
    let main = "refs/heads/main";
    let (first, _) = published(&mut world, main, "a").await;
    let (second, _) = published(&mut world, main, "b").await;
    let names = ["main", "latest"];
    let digests = [("a", first.as_str()), ("b", second.as_str())];
    assert_eq!(named(&world.tags().await, &digests, &names), "bb");
    world.set("GITHUB_RUN_ATTEMPT", "2");
    let (_, older) = published(&mut world, main, "a").await;
    assert_eq!(
        (kept(&older), named(&world.tags().await, &digests, &names)),
        (vec!["main".to_owned(), "latest".to_owned()], "bb".to_owned())
    );
    let evidence: serde_json::Value = serde_json::from_str(&older.outputs["evidence"]).unwrap();
    assert_eq!(evidence["kept"][0]["digest"], second.as_str());
    // `main` is moved to a commit beside what stands there.
    world.sandbox.history(|history| history.point(main, &sha("d")));
    let (third, moved) = published(&mut world, main, "d").await;
    assert_eq!(
        (kept(&moved).len(), named(&world.tags().await, &[("d", &third)], &names)),
        (0, "dd".to_owned())
    );
    // What was in the branch before is not in it any more.
    let (_, before) = published(&mut world, main, "b").await;
    assert_eq!(kept(&before), ["main", "latest"]);
}

#[tokio::test]
async fn who_cannot_say_the_order_of_commits_moves_nothing() {
    let mut world = world().await;
    let main = "refs/heads/main";
    let (first, _) = published(&mut world, main, "a").await;
    for effect in [
        FaultEffect::Status(500),
        FaultEffect::Status(403),
        FaultEffect::Status(404),
        FaultEffect::Body(b"{}".to_vec()),
        FaultEffect::Drop,
    ] {
        world.sandbox.faults().clear();
        world.sandbox.faults().add(always(
            SandboxService::GitHub,
            None,
            "/compare/",
            effect.clone(),
        ));
        world.sandbox.faults().add(always(
            SandboxService::GitHub,
            None,
            "/commits/",
            effect.clone(),
        ));
        let (_, silent) = published(&mut world, main, "b").await;
        assert_eq!(kept(&silent), ["main", "latest"], "{effect:?}");
        assert!(silent.log.contains("neither GitHub nor the checkout says"), "{}", silent.log);
        assert_eq!(named(&world.tags().await, &[("a", &first)], &["main", "latest"]), "aa");
    }
    let (second, insisted) =
        published(world.set("INPUT_ON-TAG-CONFLICT", "overwrite"), main, "b").await;
    assert!(
        kept(&insisted).is_empty() && insisted.log.contains("`on-tag-conflict: overwrite` insists"),
        "{}",
        insisted.log
    );
    assert_eq!(named(&world.tags().await, &[("b", &second)], &["main", "latest"]), "bb");
}

#[tokio::test]
async fn a_rollback_by_hand_holds_until_something_newer_comes() {
    let mut world = world().await;
    let (one, _) = published(&mut world, "refs/tags/v1.2.3", "a").await;
    let (two, _) = published(&mut world, "refs/tags/v1.3.0", "b").await;
    for tag in ["latest", "v1"] {
        crate::conflicts::move_tag(&world, tag, &one).await;
    }
    // A backport is compared with what stands there, and not with 1.3.0.
    let (backport, run) = published(&mut world, "refs/tags/v1.2.4", "c").await;
    assert_eq!(kept(&run), Vec::<String>::new());
    let digests = [("1", one.as_str()), ("2", two.as_str()), ("4", backport.as_str())];
    assert_eq!(named(&world.tags().await, &digests, &["latest", "v1", "v1.3"]), "442");
}

/// Earlier versions of this program gave no SBOM to an index. What they published counts as it did,
/// and what is published now has one.
#[tokio::test]
async fn images_of_earlier_versions_are_kept_by_reruns_and_followed_by_releases() {
    let mut world = world().await;
    let (one, first) = published(&mut world, "refs/tags/v1.2.3", "a").await;
    world.verify(&one).await.unwrap();
    without_sbom_of_index(&world, &first).await;
    let why = format!("{:#}", world.verify(&one).await.unwrap_err());
    assert!(why.contains("the index (") && why.contains("https://spdx.dev/Document"), "{why}");
    let (again, rerun) = published(&mut world, "refs/tags/v1.2.3", "a").await;
    assert!(again == one && rerun.log.contains("nothing is built"), "{}", rerun.log);
    let (two, next) = published(&mut world, "refs/tags/v1.3.0", "b").await;
    assert_eq!(kept(&next), Vec::<String>::new(), "{}", next.log);
    assert_eq!(named(&world.tags().await, &[("1", &one), ("2", &two)], &["v1.2.3", "v1"]), "12");
    world.verify(&two).await.unwrap();
    let other = run(&mut world, "refs/tags/v1.2.3", "d").await;
    assert!(other.code == Some(1) && other.log.contains("v1.2.3` already exists"), "{}", other.log);
}

/// Nor is a version refused to the commit that has it, where several images of it stand.
#[tokio::test]
async fn a_version_of_an_earlier_version_is_no_other_commits() {
    let mut world = world().await;
    for tag in ["v1.2.3", "1.2.3"] {
        world.set("INPUT_TAGS", tag);
        let (_, made) = published(&mut world, "refs/tags/v1.2.3", "a").await;
        without_sbom_of_index(&world, &made).await;
    }
    world.set("INPUT_TAGS", "v1.2.3\n1.2.3");
    let (digest, _) = published(&mut world, "refs/tags/v1.2.3", "a").await;
    assert_eq!(named(&world.tags().await, &[("1", &digest)], &["v1.2.3", "1.2.3"]), "11");
    world.verify(&digest).await.unwrap();
}

#[tokio::test]
async fn an_image_of_somebody_else_is_replaced_with_a_word() {
    let mut world = world().await;
    let (one, _) = published(&mut world, "refs/tags/v1.2.3", "a").await;
    // Without any evidence, as images are that were there before this action.
    world.set("FAKE_BUILDX_SALT", "stranger").set("INPUT_PUSH-BY-DIGEST", "true");
    let stranger = world.publish().await.outputs["digest"].clone();
    assert_ne!(one, stranger);
    world.unset("INPUT_PUSH-BY-DIGEST");
    for tag in ["latest", "v1"] {
        crate::conflicts::move_tag(&world, tag, &stranger).await;
    }
    let (two, run) = published(&mut world, "refs/tags/v1.2.2", "a").await;
    assert!(run.log.contains("without evidence of this repository"), "{}", run.log);
    assert_eq!(
        (kept(&run), named(&world.tags().await, &[("2", &two)], &["latest", "v1"])),
        (vec!["v1.2".to_owned()], "22".to_owned())
    );
}

#[tokio::test]
async fn evidence_in_the_older_format_alone_counts_too() {
    let mut world = world().await;
    world.set("INPUT_SIGNATURE-FORMATS", "legacy");
    published(&mut world, "refs/tags/v1.3.0", "b").await;
    let (_, run) =
        published(world.set("INPUT_SIGNATURE-FORMATS", "bundle"), "refs/tags/v1.2.3", "a").await;
    assert_eq!(kept(&run), ["v1", "latest"]);
}

#[tokio::test]
async fn rules_say_which_names_are_compared() {
    let mut world = world().await;
    world.set(
        "INPUT_TAGS",
        "type=semver,pattern={{version}},match=web/v(.*),prefix=web-\ntype=semver,pattern={{major}},match=web/v(.*),prefix=web-\n\
         type=raw,value=free\ntype=sha\ntype=schedule",
    );
    world.set("INPUT_FLAVOR", "latest=true\nprefix=web-,onlatest=true");
    let (newer, _) = published(&mut world, "refs/tags/web/v2.1.0", "b").await;
    let (older, run) = published(&mut world, "refs/tags/web/v2.0.9", "a").await;
    assert_eq!(kept(&run), ["web-2", "web-latest"]);
    let digests = [("n", newer.as_str()), ("o", older.as_str())];
    assert_eq!(
        named(&world.tags().await, &digests, &["web-2", "web-latest", "web-2.0.9", "web-free"]),
        "nnoo"
    );
    // The version is a value, and the ref a branch: what the run signed tells it.
    world.set("INPUT_TAGS", "type=semver,pattern={{major}},value=3.1.0\ntype=semver,pattern={{version}},value=3.1.0").unset("INPUT_FLAVOR");
    let (newer, _) = published(&mut world, "refs/heads/main", "c").await;
    world.set(
        "INPUT_TAGS",
        "type=semver,pattern={{major}},value=3.0.9\ntype=semver,pattern={{version}},value=3.0.9",
    );
    let (_, run) = published(&mut world, "refs/heads/main", "c").await;
    assert_eq!(
        (kept(&run), world.tags().await["3"].as_str()),
        (vec!["3".to_owned(), "latest".to_owned()], newer.as_str())
    );
}

#[tokio::test]
async fn a_branch_takes_no_name_of_a_release_by_itself() {
    let mut world = world().await;
    world.sandbox.history(|history| history.point("refs/tags/v1.2.3", &sha("a")));
    for (branch, name, why) in [
        ("latest", "latest", "not the default branch"),
        ("v9.9.9", "v9.9.9", "reads as a version"),
        ("v1", "v1", "there are releases"),
    ] {
        let (_, run) = published(&mut world, &format!("refs/heads/{branch}"), "b").await;
        assert_eq!(
            world.tags().await.keys().collect::<Vec<_>>(),
            [&format!("sha-{}", sha("b"))],
            "{branch}"
        );
        assert!(
            run.log.contains(why) && run.log.contains(&format!("the tag `{name}`")),
            "{}",
            run.log
        );
    }
    published(&mut world, "refs/heads/v2", "b").await;
    assert!(world.tags().await.contains_key("v2"), "it has no releases");
    // Nobody knows whether there are releases.
    world.sandbox.faults().add(always(
        SandboxService::GitHub,
        None,
        "/git/matching-refs/",
        FaultEffect::Status(503),
    ));
    published(&mut world, "refs/heads/v3", "b").await;
    assert!(!world.tags().await.contains_key("v3"));
    // Who asks for it gets it.
    published(world.set("INPUT_TAGS", "type=ref,event=branch"), "refs/heads/v1", "b").await;
    assert!(world.tags().await.contains_key("v1"));
}

#[tokio::test]
async fn a_rerun_completes_the_names_of_what_it_keeps_in_every_repository() {
    let mut world = world().await;
    let images = format!("{0}/app, {0}/mirror/app", world.sandbox.registry());
    world.set("INPUT_IMAGES", &images).at("refs/tags/v1.2.3", &sha("a"));
    world.sandbox.faults().add(Fault {
        service: SandboxService::Registry,
        method: Some("PUT"),
        path_contains: "/manifests/v1.2".into(),
        skip: 2,
        times: usize::MAX,
        effect: FaultEffect::Status(403),
    });
    let partly = world.publish().await;
    assert_eq!(partly.code, Some(3), "{}", partly.log);
    let first = world.tags().await["v1.2.3"].clone();
    world.sandbox.faults().clear();
    let (again, run) = published(&mut world, "refs/tags/v1.2.3", "a").await;
    assert_eq!(again, first, "{}", run.log);
    for path in ["app", "mirror/app"] {
        let tags = world.tags_of(path).await;
        assert!(["v1.2.3", "v1.2", "v1"].iter().all(|tag| tags[*tag] == first), "{path} {tags:?}");
    }
}

#[tokio::test]
async fn incomplete_evidence_is_made_anew() {
    let mut world = world().await;
    world.set("INPUT_SIGNATURE-FORMATS", "bundle");
    let (first, _) = published(&mut world, "refs/tags/v1.2.3", "a").await;
    // The policy asks for more than what stands there has.
    let (second, run) = published(
        world
            .set("INPUT_SIGNATURE-FORMATS", "legacy, bundle")
            .set("INPUT_ON-TAG-CONFLICT", "overwrite"),
        "refs/tags/v1.2.3",
        "a",
    )
    .await;
    assert_ne!(first, second, "{}", run.log);
}

/// A run that is held at its last name while another moves a name that it has put.
async fn outrun(habit: Option<Habit>) -> (World, Run) {
    let mut world = World::with(|config| config.habit = habit).await;
    world
        .set("INPUT_TAGS", "v1\nlatest")
        .at("refs/heads/main", &sha("a"))
        .set("FAKE_BUILDX_SALT", "other");
    let other = world.publish().await.outputs["digest"].clone();
    world.at("refs/heads/main", &sha("b")).set("FAKE_BUILDX_SALT", "this");
    // The answer to the last PUT comes late enough for the other run.
    world.sandbox.faults().add(Fault {
        service: SandboxService::Registry,
        method: Some("PUT"),
        path_contains: "/manifests/latest".into(),
        skip: 0,
        times: 1,
        effect: FaultEffect::Delay(std::time::Duration::from_millis(2500)),
    });
    let _ = std::fs::remove_file(world.folder.path().join("output"));
    let mut child = world.command().stderr(std::process::Stdio::piped()).spawn().unwrap();
    while world.tags().await["v1"] == other && child.try_wait().unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    crate::conflicts::move_tag(&world, "v1", &other).await;
    let output = child.wait_with_output().await.unwrap();
    let run = world.run_of(output.status.code(), &output.stderr);
    (world, run)
}

#[tokio::test]
async fn a_run_that_lost_a_name_to_another_says_so() {
    for habit in [None, Some(Habit::Harbor)] {
        let (world, run) = outrun(habit).await;
        assert_eq!(run.code, Some(3), "{}", run.log);
        let tags = world.tags().await;
        for word in [
            "moved by somebody else meanwhile",
            &format!("v1` points to `{}` now", tags["v1"]),
            "this one lost those tags",
        ] {
            assert!(run.log.contains(word), "`{word}` is missing in {}", run.log);
        }
        assert!(!run.outputs.contains_key("tags"), "{:?}", run.outputs);
    }
}

#[tokio::test]
async fn of_two_runs_at_once_each_says_what_stands() {
    // One heeds conditions, the other does not, and learns late of what was just pushed.
    for habit in [None, Some(Habit::Ghcr)] {
        race(world_with(habit).await).await;
    }
}

async fn race(mut world: World) {
    world.set("INPUT_TAGS", "type=semver,pattern={{version}}\ntype=semver,pattern=v{{major}}\ntype=raw,value=one\ntype=raw,value=two");
    for round in 0..3 {
        let mut runs = Vec::new();
        for (commit, version) in [("a", "0"), ("b", "1")] {
            let git_ref = format!("refs/tags/v{}.{version}.0", round + 1);
            // Tokens are of one run at a time, so the first is past its check before the second
            // begins.
            world.at(&git_ref, &sha(commit)).set("FAKE_BUILDX_SALT", &format!("{round} {commit}"));
            let output = world.folder.path().join(format!("output-{round}-{commit}"));
            let mut command = world.command();
            command
                .env("GITHUB_OUTPUT", &output)
                .env("GITHUB_STEP_SUMMARY", output.with_extension("md"));
            let _ = std::fs::remove_file(&output);
            let certificates = certificates(&world);
            let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
            while runs.is_empty()
                && certificates == self::certificates(&world)
                && child.try_wait().unwrap().is_none()
            {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            runs.push((child, output));
        }
        let mut said = Vec::new();
        for (child, output) in runs {
            let ended = child.wait_with_output().await.unwrap();
            let log = String::from_utf8_lossy(&ended.stderr).into_owned();
            let outputs = parse_outputs(&std::fs::read_to_string(output).unwrap_or_default());
            let lost =
                log.contains("nothing was tagged") || log.contains("only some tags were set");
            assert_eq!(
                (ended.status.code() == Some(0), outputs.contains_key("tags")),
                (!lost, !lost),
                "{log}"
            );
            said.extend(outputs.get("digest").cloned());
        }
        let tags = world.tags().await;
        // Where both say so, the second began to look after the first was done.
        if let Some(last) = said.last() {
            assert!(["one", "two"].iter().all(|tag| tags[*tag] == *last), "{tags:?} {said:?}");
        } else {
            assert_ne!(tags["one"], tags["two"], "nobody won, and nobody had to lose");
        }
    }
}

fn certificates(world: &World) -> usize {
    world
        .sandbox
        .requests()
        .iter()
        .filter(|request| request.service == SandboxService::Fulcio)
        .count()
}
