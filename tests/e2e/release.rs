//! Our own release workflow: the action publishes itself with itself, and the commit that runs what
//! was published becomes `v1`. It pushes to a repository on this machine alone.

use std::path::Path;

use crate::examples::published;
use crate::workflow::Workflow;
use crate::world::{copy, root, world};

/// This repository, with an image that is built already in place of what the Dockerfile compiles.
fn ourselves(checkout: &Path) {
    for name in ["Cargo.toml", "action.yml", "merge", "bake", "examples", "tools"] {
        if root().join(name).exists() {
            copy(&root().join(name), &checkout.join(name));
        }
    }
    std::fs::write(checkout.join("Dockerfile"), format!("FROM {}\n", world().image)).unwrap();
}

#[test]
fn a_release_publishes_the_action_with_itself_and_moves_the_major_tag() {
    let run =
        Workflow::of_file(root().join(".github/workflows/release.yml"), "push", "refs/tags/v1.2.3")
            .with(ourselves);
    let ended = run.run();
    let digest = published(&ended, "", &["latest", "sha-COMMIT", "v1", "v1.2", "v1.2.3"]);
    for name in ["v1", "release/v1.2.3"] {
        let action = ended.pushed(&format!("{name}:action.yml"));
        assert!(
            action.ends_with(&format!("\n  image: docker://{}@{digest}", ended.image(""))),
            "{name}: {action}"
        );
        assert!(
            ended.pushed(&format!("{name}:examples/workflows/push.yml")).contains(" # v1.2.3\n")
        );
    }
    assert!(
        ended.pushed("v1.2.3:action.yml").ends_with("\n  image: Dockerfile"),
        "the tag that was pushed stays"
    );
}
