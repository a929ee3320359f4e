//! Trust material from a TUF repository on loopback: taken where it verifies, refused where it is
//! old, expired, changed or another's.

use std::path::PathBuf;

use crate::support::{Run, World};
use crate::tuf_repository::{FAR, Repository, SIGNING_CONFIG, TRUSTED_ROOT};

/// A world whose runs take their trust from the repository, which serves what is right for its
/// sandbox.
struct Trusting {
    world: World,
    repository: Repository,
}

impl Trusting {
    async fn new() -> Self {
        let (mut world, repository) = (World::new().await, Repository::start().await);
        for file in ["SIGNING-CONFIG", "TRUSTED-ROOT", "SIGNING_CONFIG", "TRUSTED_ROOT"] {
            world.unset(&format!("INPUT_{file}")).unset(&format!("SUPPLY_ACTION_{file}"));
        }
        let (root, caches) =
            (world.folder.path().join("root.json"), world.folder.path().join("caches"));
        std::fs::write(&root, repository.root()).unwrap();
        world
            .set("INPUT_TUF-MIRROR", &repository.url)
            .set("INPUT_TUF-ROOT", root.to_str().unwrap());
        world.set("XDG_CACHE_HOME", caches.to_str().unwrap());
        let trusting = Self { world, repository };
        trusting.serve(1, FAR);
        trusting
    }

    fn targets(&self) -> [(&'static str, Vec<u8>); 2] {
        let sandbox = &self.world.sandbox;
        [
            (TRUSTED_ROOT, std::fs::read(sandbox.trusted_root()).unwrap()),
            (SIGNING_CONFIG, std::fs::read(sandbox.signing_config()).unwrap()),
        ]
    }

    fn serve(&self, version: u64, expires: &str) {
        self.repository.serve(version, expires, &self.targets());
    }

    /// The cache of the one repository.
    fn kept(&self, name: &str) -> PathBuf {
        let caches = self.world.folder.path().join("caches/supply-action/tuf");
        std::fs::read_dir(caches)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path()
            .join("targets")
            .join(name)
    }

    async fn published(&self) -> Run {
        let run = self.world.publish().await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        self.world.verify(&run.outputs["digest"]).await.unwrap();
        for (name, bytes) in self.targets() {
            assert_eq!(std::fs::read(self.kept(name)).unwrap(), bytes, "{name}");
        }
        run
    }

    async fn refused(&self, parts: &[&str]) {
        let before = self.world.beyond_questions().len();
        let run = self.world.publish().await;
        assert_eq!(run.code, Some(1), "{}", run.log);
        for part in ["nothing was tagged: the trusted root is not known: TUF repository"]
            .iter()
            .chain(parts)
        {
            assert!(run.log.contains(part), "{part} is missing in {}", run.log);
        }
        assert_eq!(self.world.beyond_questions().len(), before, "{}", run.log);
    }
}

#[tokio::test]
async fn services_and_trust_come_from_the_repository_to_the_byte() {
    let trusting = Trusting::new().await;
    let run = trusting.published().await;
    assert!(
        run.summary.contains(&format!("--trusted-root {}", trusting.kept(TRUSTED_ROOT).display())),
        "{}",
        run.summary
    );
    trusting.serve(2, FAR);
    trusting.published().await;
}

#[tokio::test]
async fn without_the_repository_what_was_seen_serves_until_it_expires() {
    let mut trusting = Trusting::new().await;
    trusting.published().await;
    trusting.repository.leave().await;
    let run = trusting.published().await;
    assert!(
        run.log.contains("cannot be reached") && run.log.contains("the run uses its last metadata"),
        "{}",
        run.log
    );
    // Whoever writes into the cache gets no further than he who serves.
    std::fs::write(trusting.kept(TRUSTED_ROOT), "{}").unwrap();
    trusting.refused(&["cannot be reached", "cannot be used"]).await;
}

#[tokio::test]
async fn a_repository_that_is_out_of_order_is_as_it_was_and_one_without_metadata_is_refused() {
    let trusting = Trusting::new().await;
    trusting.published().await;
    trusting.repository.files.lock().unwrap().clear();
    let run = trusting.published().await;
    assert!(
        run.log.contains("status 503") && run.log.contains("the run uses its last metadata"),
        "{}",
        run.log
    );
    trusting.repository.files.lock().unwrap().insert("index.html".into(), b"moved".to_vec());
    trusting.refused(&["timestamp.json not found", "below it must be `timestamp.json`"]).await;
}

#[tokio::test]
async fn what_is_kept_expires_too() {
    let mut trusting = Trusting::new().await;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    trusting.serve(2, &jiff::Timestamp::from_second(soon.as_second()).unwrap().to_string());
    trusting.published().await;
    trusting.repository.leave().await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    trusting.refused(&["cannot be reached", "timestamp metadata expired at"]).await;
}

#[tokio::test]
async fn nothing_kept_and_nobody_there_is_a_failure() {
    let mut trusting = Trusting::new().await;
    trusting.repository.leave().await;
    trusting
        .refused(&[
            "cannot be reached",
            "cannot be used: transport error: timestamp.json not found",
            "check `tuf-mirror`",
        ])
        .await;
}

#[tokio::test]
async fn older_metadata_than_was_seen_is_refused() {
    let trusting = Trusting::new().await;
    trusting.serve(3, FAR);
    trusting.published().await;
    trusting.serve(2, FAR);
    trusting
        .refused(&[
            "rollback detected for timestamp: trusted version 3 > new version 2",
            "as kept in",
            "set up anew",
        ])
        .await;
}

#[tokio::test]
async fn expired_metadata_is_refused() {
    let trusting = Trusting::new().await;
    trusting.serve(1, "2020-01-01T00:00:00Z");
    trusting.refused(&["timestamp metadata expired at 2020-01-01T00:00:00Z", "clock"]).await;
}

#[tokio::test]
async fn a_changed_target_and_another_signer_are_refused() {
    let trusting = Trusting::new().await;
    let good = trusting.repository.files.lock().unwrap().clone();
    for (name, bytes) in trusting.repository.files.lock().unwrap().iter_mut() {
        if name.ends_with(TRUSTED_ROOT) {
            *bytes = String::from_utf8(bytes.clone())
                .unwrap()
                .replace("http://127", "http://128")
                .into_bytes();
        }
    }
    assert_ne!(*trusting.repository.files.lock().unwrap(), good);
    trusting.refused(&["integrity check failed", "a file was changed after it was signed"]).await;
    let stranger = Repository::start().await;
    stranger.serve(5, FAR, &trusting.targets());
    *trusting.repository.files.lock().unwrap() = stranger.files.lock().unwrap().clone();
    trusting
        .refused(&["signature threshold not met for role timestamp: 0/1", "in `tuf-root`"])
        .await;
}

#[tokio::test]
async fn a_repository_without_the_file_says_what_to_give_instead() {
    let mut trusting = Trusting::new().await;
    trusting.repository.serve(1, FAR, &trusting.targets()[..1]);
    trusting
        .refused(&[
            "\"signing_config.v0.2.json\" is not listed",
            "give a file with `signing-config` instead",
        ])
        .await;
    let file = trusting.world.sandbox.signing_config().display().to_string();
    let run = trusting.world.set("INPUT_SIGNING-CONFIG", &file).publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
}

#[tokio::test]
async fn the_public_root_is_where_trust_begins_unless_another_is_given() {
    let mut trusting = Trusting::new().await;
    trusting.world.unset("INPUT_TUF-ROOT");
    trusting.refused(&["signature threshold not met", "in `tuf-root`"]).await;
}

#[tokio::test]
async fn wrong_inputs_are_said_before_anything_is_fetched() {
    for (inputs, why) in [
        (
            &[("TUF-ROOT", "root.json")][..],
            "input `tuf-root`: it has no effect without `tuf-mirror`, for which it is the first \
             root",
        ),
        (
            &[("TUF-MIRROR", "ftp://x")],
            "input `tuf-mirror`: `ftp://x` is not an address that begins with https:// or http://",
        ),
        (
            &[("TUF-MIRROR", "https://x"), ("TRUSTED-ROOT", "a"), ("SIGNING-CONFIG", "b")],
            "input `tuf-mirror`: it has no effect beside `trusted-root` and `signing-config`: nothing is left to fetch",
        ),
    ] {
        let mut world = World::new().await;
        for (name, value) in inputs {
            world.set(&format!("INPUT_{name}"), value);
        }
        let run = world.publish().await;
        assert!(run.code == Some(2) && run.log.contains(why), "{why} is missing in {}", run.log);
    }
}

#[test]
fn a_plan_says_that_its_trust_cannot_be_read() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_supply-action"))
        .args(["plan", "-i", "images=registry.example/app", "-i", "tags=v1"])
        .args(["-i", "trusted-root=/nowhere/root.json"])
        .env_clear()
        .envs([("GITHUB_EVENT_NAME", "push"), ("GITHUB_REF", "refs/tags/v1")])
        .envs([("GITHUB_REPOSITORY", "octo/app"), ("GITHUB_ACTIONS", "true")])
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        said.contains("to publish this would be refused") && said.contains("`/nowhere/root.json`"),
        "{said}"
    );
    assert!(!said.contains("Trust:"), "{said}");
}
