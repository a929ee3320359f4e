//! Runs that must fail, and what they must not leave: any name.

use supply_action::sandbox::{Fault, FaultEffect, SandboxService};

use crate::examples::monorepo;
use crate::workflow::{Ended, Workflow};
use crate::world::{build, world};

/// It failed for `why`, no name exists, and no later job ran.
fn tagged_nothing(ended: &Ended, why: &str) {
    assert!(!ended.success, "{}", ended.log);
    for part in ["nothing was tagged", why] {
        assert!(ended.log.contains(part), "{part} is missing in {}", ended.log);
    }
    for below in ["", "/greeter-en", "/greeter-de", "/clock"] {
        assert!(ended.tags(below).is_empty(), "{below}: {:?}", ended.tags(below));
    }
    assert!(
        !ended.log.contains("deploying ") && ended.summary.contains("## ❌ Nothing was tagged"),
        "{} {}",
        ended.log,
        ended.summary
    );
}

/// Both a run of one image and one of several.
fn fails(why: &str, change: impl Fn(Workflow) -> Workflow) {
    for run in
        [Workflow::example("push", "push", "refs/heads/main"), monorepo("push", "refs/heads/main")]
    {
        tagged_nothing(&change(run).run(), why);
    }
}

#[test]
fn a_signer_that_refuses_leaves_no_name() {
    let refused = Fault {
        service: SandboxService::Fulcio,
        method: Some("POST"),
        path_contains: String::new(),
        skip: 0,
        times: usize::MAX,
        effect: FaultEffect::Status(403),
    };
    fails("certificate", |run| run.fault(refused.clone()));
}

#[test]
fn a_scanner_that_fails_leaves_no_name() {
    let world = world();
    let context = world.folder.join("failing-scanner");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(
        context.join("Dockerfile"),
        "FROM busybox:1.35\nENTRYPOINT [\"/bin/sh\", \"-c\", \"echo no idea what this is >&2; exit 3\"]\n",
    )
    .unwrap();
    let scanner = build(
        &world.folder,
        &format!("{}/failing-scanner", world.mirror.registry()),
        &[context.to_str().unwrap()],
    );
    fails("no idea what this is", |run| run.variable("SUPPLY_ACTION_SCANNER", &scanner));
}
