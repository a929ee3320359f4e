//! BuildKit's own provenance of version 0.2 beside the one that is made of its version 1: one build
//! of one source, told twice.

use serde_json::Value;
use supply_action::provenance::Provenance;

use crate::support::{accepts, checkout, required, tool, world};

/// What a build says of itself in this version, by the metadata file of buildx.
fn told(version: &str) -> Value {
    let (context, metadata) = (checkout("hello"), world().folder.join(format!("{version}.json")));
    let (buildx, provenance) = (tool("BUILDX"), format!("mode=max,version={version}"));
    let words = [
        "BUILDX_METADATA_PROVENANCE=max",
        buildx.to_str().unwrap(),
        "build",
        "--builder",
        "versions",
        "--platform",
        "linux/amd64",
        "--provenance",
        &provenance,
        "--output",
        "type=cacheonly",
        "--metadata-file",
        metadata.to_str().unwrap(),
        context.to_str().unwrap(),
    ];
    accepts("/usr/bin/env".as_ref(), &words);
    let written: Value = serde_json::from_slice(&std::fs::read(&metadata).unwrap()).unwrap();
    written["buildx.build.provenance"].clone()
}

/// Without what differs between two runs of one build.
fn lasting(mut predicate: Value) -> Value {
    let metadata = predicate["metadata"].as_object_mut().unwrap();
    for name in ["buildInvocationID", "buildStartedOn", "buildFinishedOn"] {
        assert!(metadata.remove(name).is_some_and(|value| value.is_string()), "{name}");
    }
    predicate
}

#[test]
fn what_is_made_of_version_1_is_what_buildkit_writes_in_version_02() {
    let endpoint = required("SUPPLY_ACTION_BUILDER");
    let create = ["create", "--driver", "remote", "--name", "versions"];
    accepts(&tool("BUILDX"), &[&create[..], &[endpoint.to_str().unwrap()]].concat());
    told("v1"); // what is built now is in the cache for the others
    let made = Provenance::older(&told("v1").to_string()).unwrap();
    let made = lasting(serde_json::from_str(&made).unwrap());
    let native = lasting(told("v0.2"));
    assert!(native["buildConfig"]["llbDefinition"].as_array().unwrap().len() > 1, "{native:#}");
    assert_eq!(made, native);
}
