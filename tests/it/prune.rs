//! Retention: what no name leads to goes, everything else still verifies, and nothing goes while
//! anything is unknown; on registries as they are.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use supply_action::image::Repository;
use supply_action::sandbox::{Fault, FaultEffect, Habit, Request, SandboxService};

use crate::support::{World, always};

const PATH: &str = "octo/app";
/// What is left of a repository's past is old enough at once.
const AT_ONCE: [&str; 4] = ["--older-than", "0s", "--keep", "0"];

/// Two releases under one name, so that the first has none any more.
struct Published {
    world: World,
    first: String,
    second: String,
    github: bool,
}

/// How `prune` ended.
struct Pruned {
    code: Option<i32>,
    told: Value,
    log: String,
}

impl Published {
    async fn at(habit: Option<Habit>, referrers_api: bool) -> Self {
        let mut world = World::with(|config| {
            (config.habit, config.referrers_api) = (habit, referrers_api);
            config.owner_is_user = referrers_api;
            config.registry_login = Some(("octo".into(), "hunter2".into()));
        })
        .await;
        let images = format!("{}/{PATH}", world.sandbox.registry());
        world.set("INPUT_IMAGES", &images).set("INPUT_TAGS", "latest");
        let mut digests = Vec::new();
        for salt in ["one", "two"] {
            // As BuildKit, the fake does not push again what was refused for a blob that is not
            // known yet.
            let mut run = world.set("FAKE_BUILDX_SALT", salt).publish().await;
            for _ in 0..5 {
                if run.code == Some(0) || !run.log.contains("BLOB_UNKNOWN") {
                    break;
                }
                run = world.publish().await;
            }
            assert_eq!(run.code, Some(0), "{}", run.log);
            digests.push(run.outputs["digest"].clone());
        }
        let config = world.folder.path().join("config.json");
        std::fs::write(config, world.credentials().docker_config().to_string()).unwrap();
        let folder = world.folder.path().display().to_string();
        world.set("DOCKER_CONFIG", &folder).set("GITHUB_TOKEN", "a-token").unset("GITHUB_ACTIONS");
        let [first, second] = digests.try_into().unwrap();
        Self { world, first, second, github: habit == Some(Habit::Ghcr) }
    }

    fn repository(&self) -> Repository {
        format!("{}/{PATH}", self.world.sandbox.registry()).parse().unwrap()
    }

    async fn prune(&self, arguments: &[&str]) -> Pruned {
        let mut command = self.world.command();
        command
            .args(["prune", "--json"])
            .args(self.github.then_some("--github-packages"))
            .args(arguments);
        let output = command.arg(self.repository().to_string()).output().await.unwrap();
        Pruned {
            code: output.status.code(),
            told: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Every manifest of the repository.
    fn manifests(&self) -> BTreeSet<String> {
        let folder = self
            .world
            .folder
            .path()
            .join(format!("sandbox/registry/repositories/{PATH}/_manifests"));
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        files.filter(|name| !name.contains('.')).map(|name| format!("sha256:{name}")).collect()
    }

    fn deletions(&self) -> usize {
        self.world.sandbox.requests().iter().filter(|request| request.method == "DELETE").count()
    }

    async fn verifies(&self, digest: &str) -> bool {
        let image = self.repository().at(&digest.parse().unwrap());
        self.world
            .verify_image(&image, &["linux/amd64", "linux/arm64"], self.world.signer())
            .await
            .is_ok()
    }
}

fn count(told: &Value, list: &str) -> usize {
    told["totals"][list].as_u64().unwrap().try_into().unwrap()
}

#[tokio::test]
async fn what_no_name_leads_to_goes_and_what_is_kept_is_whole() {
    let habits =
        [(None, true), (None, false), (Some(Habit::Ghcr), true), (Some(Habit::Ghcr), false)];
    // With a referrers API the sandbox's ECR moves no tag, so that no image loses its name.
    let others = [
        (Habit::Quay, true),
        (Habit::Harbor, true),
        (Habit::Artifactory, true),
        (Habit::Ecr, false),
    ];
    let others = others.map(|(habit, referrers_api)| (Some(habit), referrers_api));
    for (habit, referrers_api) in habits.into_iter().chain(others) {
        let published = Published::at(habit, referrers_api).await;
        let before = published.manifests();

        let dry = published.prune(&AT_ONCE).await;
        assert_eq!(
            (dry.code, published.manifests() == before, published.deletions()),
            (Some(0), true, 0),
            "{habit:?}: {}",
            dry.log
        );
        let going = count(&dry.told, "toDelete");
        assert!(
            dry.told["toDelete"].to_string().contains(&published.first)
                && dry.told["dryRun"] == true,
            "{habit:?}: {}",
            dry.told
        );
        for (arguments, why) in
            [(&["--keep", "1"][..], "young"), (&["--keep", "2", "--older-than", "0s"], "newest")]
        {
            let kept = published.prune(arguments).await;
            assert!(
                !kept.told["toDelete"].to_string().contains(&published.first),
                "{habit:?} {arguments:?}: {}",
                kept.told
            );
            assert!(
                kept.told["kept"].to_string().contains(&format!("\"why\":\"{why}\"")),
                "{habit:?} {arguments:?}: {}",
                kept.told
            );
        }
        assert!(published.verifies(&published.first).await, "{habit:?}");

        let done = published.prune(&[&AT_ONCE[..], &["--delete"]].concat()).await;
        assert_eq!(
            (done.code, count(&done.told, "deleted"), count(&done.told, "toDelete")),
            (Some(0), going, 0),
            "{habit:?}: {}",
            done.log
        );
        let after = published.manifests();
        assert_eq!(after.len(), before.len() - going, "{habit:?}");
        assert!(
            !after.contains(&published.first) && published.verifies(&published.second).await,
            "{habit:?}"
        );
        let named = published.world.tags_of(PATH).await;
        assert!(named.len() == 1 && named["latest"] == published.second, "{habit:?}: {named:?}");
        if published.github {
            assert_eq!(count(&done.told, "kept"), after.len(), "{habit:?}");
        }
        let again = published.prune(&[&AT_ONCE[..], &["--delete"]].concat()).await;
        assert_eq!(
            (again.code, count(&again.told, "deleted")),
            (Some(0), 0),
            "{habit:?}: {}",
            again.log
        );
    }
}

/// GitHub says when each manifest came, whatever its evidence says.
#[tokio::test]
async fn at_github_the_time_of_the_push_counts() {
    let published = Published::at(Some(Habit::Ghcr), false).await;
    let folder = published
        .world
        .folder
        .path()
        .join(format!("sandbox/registry/repositories/{PATH}/_manifests"));
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = std::fs::File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(50 * 3600)).unwrap();
    }
    for (older_than, goes) in [("1d", true), ("3d", false)] {
        let pruned = published.prune(&["--keep", "0", "--older-than", older_than]).await;
        assert_eq!(
            pruned.told["toDelete"].to_string().contains(&published.first),
            goes,
            "{older_than}: {}",
            pruned.told
        );
    }
}

/// Whatever question is refused, gets no answer or nonsense: nothing is deleted.
#[tokio::test]
async fn nothing_goes_while_anything_is_unknown() {
    for habit in [Some(Habit::Ghcr), None] {
        let published = Published::at(habit, true).await;
        let before = published.manifests();
        let asked =
            |from: usize| -> Vec<Request> { published.world.sandbox.requests().split_off(from) };
        let start = published.world.sandbox.requests().len();
        assert_eq!(published.prune(&AT_ONCE).await.code, Some(0));
        let requests = asked(start);
        let all = [&AT_ONCE[..], &["--delete"]].concat();
        for service in [SandboxService::Registry, SandboxService::GitHub] {
            let questions = requests.iter().filter(|request| request.service == service).count();
            let each = (0..questions)
                .step_by((questions / 12).max(1))
                .map(|skip| (skip, FaultEffect::Status(403)));
            let effects = [
                FaultEffect::Status(401),
                FaultEffect::StatusRetryAfter(429, 3600),
                FaultEffect::Status(502),
                FaultEffect::Drop,
            ];
            let some = effects.into_iter().map(|effect| (questions / 2, effect));
            for (skip, effect) in each.chain(some).filter(|(skip, _)| *skip < questions) {
                let faults = published.world.sandbox.faults();
                faults.clear();
                faults.add(Fault {
                    skip,
                    times: usize::MAX,
                    ..always(service, None, "", effect.clone())
                });
                let pruned = published.prune(&all).await;
                assert!(
                    pruned.code == Some(1) && pruned.log.contains("nothing was deleted"),
                    "{habit:?} {skip} {effect:?}: {}",
                    pruned.log
                );
                assert!(
                    published.manifests() == before
                        && !pruned.log.contains("hunter2")
                        && !pruned.log.contains("a-token")
                );
            }
            faults_of_bodies(&published, service, &all, &before).await;
        }
        published.world.sandbox.faults().clear();
        assert!(
            published.deletions() == 0 && published.verifies(&published.first).await,
            "{habit:?}"
        );
    }
}

async fn faults_of_bodies(
    published: &Published,
    service: SandboxService,
    all: &[&str],
    before: &BTreeSet<String>,
) {
    let paths: &[&str] = match service {
        SandboxService::GitHub if published.github => &["/users/", "/versions"],
        SandboxService::GitHub => &[],
        _ => &["/tags/list", "/manifests/"],
    };
    for path in paths {
        for body in ["", "null", "{}", r#"[{"id":1}]"#, r#"{"tags":["a/b"]}"#] {
            let faults = published.world.sandbox.faults();
            faults.clear();
            faults.add(always(service, Some("GET"), path, FaultEffect::Body(body.into())));
            let pruned = published.prune(all).await;
            assert!(
                pruned.code == Some(1) && published.manifests() == *before,
                "{path} {body}: {}",
                pruned.log
            );
        }
    }
}

#[tokio::test]
async fn an_end_half_way_leaves_what_is_kept_whole_and_says_how_far_it_came() {
    let published = Published::at(Some(Habit::Quay), true).await;
    let all = [&AT_ONCE[..], &["--delete"]].concat();
    let fault =
        always(SandboxService::Registry, Some("DELETE"), "/manifests/", FaultEffect::Status(403));
    published.world.sandbox.faults().add(Fault { skip: 3, ..fault });
    let pruned = published.prune(&all).await;
    assert!(pruned.code == Some(1) && pruned.log.contains("3 of"), "{}", pruned.log);
    assert_eq!(count(&pruned.told, "deleted"), 3);
    // The images went first, and what was about them is an orphan from now on.
    for words in
        ["hint: use a login that has permission to delete here", "run again with `--orphans`"]
    {
        assert!(pruned.log.contains(words), "`{words}` is missing in {}", pruned.log);
    }
    assert!(
        published.verifies(&published.second).await
            && !published.manifests().contains(&published.first)
    );
    published.world.sandbox.faults().clear();
    let without = published.prune(&all).await;
    let kept = without.told["kept"].as_array().unwrap();
    assert!(kept.iter().any(|item| item["why"] == "orphan"), "{}", without.told);
    let again = published.prune(&[&all[..], &["--orphans"]].concat()).await;
    assert!(again.code == Some(0) && published.verifies(&published.second).await, "{}", again.log);
}

#[tokio::test]
async fn a_registry_that_deletes_nothing_is_told() {
    let published = Published::at(Some(Habit::DockerHub), true).await;
    let before = published.manifests();
    let pruned = published.prune(&[&AT_ONCE[..], &["--delete"]].concat()).await;
    for words in ["nothing was deleted", "does not delete manifests", "hint:"] {
        assert!(pruned.log.contains(words), "`{words}` is missing in {}", pruned.log);
    }
    assert!(pruned.code == Some(1) && published.manifests() == before);
}

/// A release that runs meanwhile may put a name on what had none.
#[tokio::test]
async fn what_gets_a_name_meanwhile_stays() {
    let published = Published::at(None, true).await;
    let late = always(
        SandboxService::Registry,
        Some("GET"),
        "/referrers/",
        FaultEffect::Delay(Duration::from_secs(3)),
    );
    published.world.sandbox.faults().add(Fault { times: 1, ..late });
    let seen = published.world.sandbox.requests().len();
    let all = [&AT_ONCE[..], &["--delete"]].concat();
    let rescue = async {
        let listed = || {
            published
                .world
                .sandbox
                .requests()
                .split_off(seen)
                .iter()
                .any(|request| request.path.ends_with("/tags/list"))
        };
        while !listed() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let tags = published
            .world
            .folder
            .path()
            .join(format!("sandbox/registry/repositories/{PATH}/_tags"));
        std::fs::write(tags.join("rescued"), &published.first).unwrap();
    };
    let (pruned, ()) = tokio::join!(published.prune(&all), rescue);
    assert!(
        pruned.code == Some(1) && pruned.log.contains("got the tag `rescued`"),
        "{}",
        pruned.log
    );
    assert!(published.deletions() == 0 && published.verifies(&published.first).await);
}

#[tokio::test]
async fn a_repository_without_any_name_is_left_alone() {
    let published = Published::at(None, true).await;
    let tags =
        published.world.folder.path().join(format!("sandbox/registry/repositories/{PATH}/_tags"));
    std::fs::remove_file(tags.join("latest")).unwrap();
    let pruned = published.prune(&["--older-than", "0s", "--keep", "0", "--delete"]).await;
    assert!(pruned.code == Some(1) && pruned.log.contains("has no tag"), "{}", pruned.log);
    assert_eq!(published.deletions(), 0);
}

/// One release at GitHub: what lies there, and how much of it under no name.
#[tokio::test]
async fn a_release_leaves_no_list_that_another_took_the_place_of() {
    let mut world = World::with(|config| config.habit = Some(Habit::Ghcr)).await;
    let images = format!("{}/{PATH}", world.sandbox.registry());
    let run =
        world.set("INPUT_IMAGES", &images).set("INPUT_TAGS", "v1.2.3\nlatest").publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let listed: Value = reqwest::get(format!(
        "{}/orgs/octo/packages/container/app/versions?per_page=100",
        world.env["GITHUB_API_URL"]
    ))
    .await
    .unwrap()
    .json()
    .await
    .unwrap();
    let versions = listed.as_array().unwrap();
    let untagged = versions
        .iter()
        .filter(|version| version["metadata"]["container"]["tags"].as_array().unwrap().is_empty())
        .count();
    // 17 bundles, 2 platforms and their 2 attestations have no name; an index, 5 lists, 5 `.sig`
    // and 3 `.att` have one. A scanner, which the tests do not push, is shared by all releases of
    // this program's version.
    assert_eq!((versions.len(), untagged), (35, 21), "{listed:#}");
}

/// What this process wrote and wrote again is taken away where that can be; what another wrote is
/// not.
#[tokio::test]
async fn a_list_of_ours_goes_when_the_next_takes_its_place() {
    use supply_action::registry::manifest::{Descriptor, OCI_MANIFEST};
    use supply_action::registry::{ReferrerArtifact, Registry};
    for (habit, lists) in [(None, 2), (Some(Habit::Ghcr), 3)] {
        let world =
            World::with(|config| (config.habit, config.referrers_api) = (habit, false)).await;
        let (subject, repository) = (Descriptor::of(b"image", OCI_MANIFEST), world.repository());
        let attach = async |registry: &Registry, text: &'static str| {
            let artifact = ReferrerArtifact {
                artifact_type: "application/vnd.test",
                layer: text.into(),
                annotations: Default::default(),
            };
            let place = registry.open_upload(&repository).await.unwrap();
            registry.stage_artifact(&repository, place, &artifact).await.unwrap();
            registry.attach_artifact(&repository, &subject, &artifact).await.unwrap();
        };
        let registry = || Registry::for_publishing(reqwest::Client::new(), world.credentials());
        attach(&registry(), "theirs").await;
        let ours = registry();
        for text in ["ours", "ours too"] {
            attach(&ours, text).await;
        }
        assert_eq!(
            world.registry().referrers(&repository, &subject.digest).await.unwrap().len(),
            3
        );
        let folder = world.folder.path().join("sandbox/registry/repositories/app/_manifests");
        let types = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some());
        let found =
            types.filter(|path| std::fs::read_to_string(path).unwrap().contains("index")).count();
        assert_eq!(found, lists, "{habit:?}");
    }
}
