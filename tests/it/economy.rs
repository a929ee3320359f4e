//! What a promotion asks of each registry, by purpose: nothing twice, and no more than its bars.

use std::collections::BTreeMap;

use supply_action::sandbox::{FaultEffect, Request, SandboxService};

use crate::promote::{Stage, has_no_name, requests, says, there};
use crate::support::{World, always};

/// Requests of copying alone, without those of verification: where nothing is there yet, and where
/// all is.
const COPYING: (usize, usize) = (290, 58);
/// Of verification, at each end.
const VERIFYING: usize = 70;

/// What was asked since then, but for tags that people pull.
fn asked(world: &World, before: usize) -> Vec<Request> {
    let is_name = |request: &Request| {
        let named = request.path.split_once("/manifests/").map(|(_, reference)| reference);
        named.is_some_and(|named| !named.starts_with("sha256"))
    };
    requests(world).split_off(before).into_iter().filter(|request| !is_name(request)).collect()
}

/// What was read more than once, and how often.
fn repeated(asked: &[Request]) -> BTreeMap<String, usize> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for request in asked.iter().filter(|request| ["GET", "HEAD"].contains(&&*request.method)) {
        *times.entry(format!("{} {}", request.method, request.path)).or_default() += 1;
    }
    times.retain(|_, times| *times > 1);
    times
}

/// The two ends during one run.
struct AskedEnds {
    source: Vec<Request>,
    there: Vec<Request>,
}

impl AskedEnds {
    async fn of(stage: &Stage, to: &World, change: &[(&str, &str)]) -> Self {
        let before = (requests(&stage.world).len(), requests(to).len());
        let run = stage.promoted_with(&[to], change).await;
        assert_eq!(run.code, Some(0), "{}", run.log);
        Self { source: asked(&stage.world, before.0), there: asked(to, before.1) }
    }
}

/// How many requests the verification of the image takes by itself.
async fn verifying(stage: &Stage) -> usize {
    let before = requests(&stage.world).len();
    let root = stage.world.sandbox.trusted_root().display().to_string();
    let (_, issuer) = stage.world.identity();
    let image = format!("{}@{}", stage.world.repository(), stage.digest);
    let arguments = ["verify", "--repo", "example/hello", "--certificate-oidc-issuer", &issuer];
    let all = [&arguments[..], &["--trusted-root", &root, &image]].concat();
    let run = stage.world.run(&all, &[]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    asked(&stage.world, before).len()
}

#[tokio::test]
async fn one_look_at_each_end_serves_verification_and_copying() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let alone = verifying(&stage).await;
    let cold = AskedEnds::of(&stage, &to, &[]).await;
    stage.arrived(&to).await;
    let rehearsed = AskedEnds::of(&stage, &to, &[("INPUT_DRY-RUN", "true")]).await;
    let again = AskedEnds::of(&stage, &to, &[]).await;
    // A rehearsal ends before anything is read back.
    let read_back = again.there.len() - rehearsed.there.len();
    let copying = |ends: &AskedEnds| (ends.source.len() + ends.there.len()) - alone - read_back;
    let told = format!(
        "verification alone {alone}; cold {} + {}, again {} + {}, of which {read_back} are read back; copying alone {} cold, {} again",
        cold.source.len(),
        cold.there.len(),
        again.source.len(),
        again.there.len(),
        copying(&cold),
        copying(&again),
    );
    assert!(alone <= VERIFYING && read_back <= VERIFYING, "{told}");
    assert!(copying(&cold) <= COPYING.0 && copying(&again) <= COPYING.1, "{told}");
    for asked in [&cold.source, &rehearsed.source, &rehearsed.there, &again.source] {
        assert_eq!(repeated(asked), BTreeMap::new());
    }
    // Once to know whether it is there, and once to read it back.
    let twice = repeated(&again.there);
    assert!(twice.values().all(|times| *times == 2), "{twice:#?}");
    assert!(again.there.iter().all(|request| request.method != "PATCH"));
    let puts = again.there.iter().filter(|request| request.path.contains("/manifests/"));
    assert!(puts.clone().all(|request| request.method != "PUT"), "{:#?}", puts.collect::<Vec<_>>());
}

/// What is read back comes from the registry, and is hashed: a manifest and a bundle that were
/// changed after they were copied are noticed.
#[tokio::test]
async fn what_arrived_is_read_after_it_was_copied() {
    let stage = Stage::new().await;
    let to = World::new().await;
    let run = stage.promoted(&[&to]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let read = |method: &str, part: &str| {
        let all = requests(&to).into_iter();
        let mut one =
            all.filter(|it| it.method == method && it.path.contains(part)).map(|it| it.path);
        one.next_back().unwrap()
    };
    let paths = [
        read("GET", "/manifests/sha256:"),
        read("GET", "/blobs/sha256:"),
        read("GET", "/referrers/sha256:"),
        read("GET", ".att"),
    ];
    for path in paths {
        let other = World::new().await;
        let effect = match path.contains("/referrers/") {
            true => FaultEffect::Body(
                br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
                    .to_vec(),
            ),
            false => FaultEffect::Corrupt,
        };
        let fault = always(SandboxService::Registry, Some("GET"), &path, effect);
        other.sandbox.faults().add(fault);
        // Of statements in two formats one that is wrong would be enough.
        let both = [("INPUT_SIGNATURE-FORMATS", "bundle,legacy")];
        let run = stage.promoted_with(&[&other], &both).await;
        assert!(matches!(run.code, Some(1 | 4)), "{path}: {}", run.log);
        says(&run, &["nothing was tagged"]);
        has_no_name(&other).await;
    }
}

/// Some registries list what they lost. What is not there when it is read back is brought again.
#[tokio::test]
async fn what_is_listed_and_not_there_is_brought_once_more() {
    let (stage, to) = (Stage::new().await, World::new().await);
    let run = stage.promoted(&[&to]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    let subject = stage.digest.parse().unwrap();
    let listed = to.registry().referrers(&there(&to), &subject).await.unwrap();
    let kept = to.folder.path().join("sandbox/registry/repositories/mirror/app/_manifests");
    let lost = kept.join(listed[0].digest.hex());
    std::fs::remove_file(&lost).unwrap();
    let still = to.registry().referrers(&there(&to), &subject).await.unwrap();
    assert_eq!(still.len(), listed.len());
    let run = stage.promoted(&[&to]).await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    assert!(lost.exists());
    stage.arrived(&to).await;
}
