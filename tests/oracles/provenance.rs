//! BuildKit's own provenance of version 0.2 beside the one that is made of its version 1: one build
//! of one source, told twice.

use std::path::Path;

use serde_json::Value;
use supply_action::provenance::Provenance;

use crate::support::{accepts, checkout, required, tool, world};

/// What a build says of itself in this version, beside its image: buildx's own file of metadata has
/// version 0.2, whatever it is asked for.
fn told(version: &str) -> Value {
    let (context, layout) = (checkout("hello"), world().folder.join(format!("built-{version}")));
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    let provenance = format!("mode=max,version={version}");
    let words = [
        "build",
        "--builder",
        "versions",
        "--platform",
        "linux/amd64",
        "--provenance",
        &provenance,
        "--output",
        &output,
        context.to_str().unwrap(),
    ];
    accepts(&tool("BUILDX"), &words);
    let read =
        |file: &Path| -> Value { serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap() };
    let blob = |descriptor: &Value| {
        let hex = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        read(&layout.join("blobs/sha256").join(hex))
    };
    let index = blob(&read(&layout.join("index.json"))["manifests"][0]);
    let beside = blob(&index["manifests"][1]);
    let statement = blob(&beside["layers"][0]);
    let expected = format!("https://slsa.dev/provenance/{version}");
    assert_eq!(statement["predicateType"], expected, "{beside:#}");
    statement["predicate"].clone()
}

/// Without what differs between two runs of one build.
fn lasting(mut predicate: Value) -> Value {
    let metadata = predicate["metadata"].as_object_mut().unwrap();
    for name in ["buildInvocationID", "buildStartedOn", "buildFinishedOn"] {
        assert!(metadata.remove(name).is_some_and(|value| value.is_string()), "{name}");
    }
    let source = &mut metadata["https://mobyproject.org/buildkit@v1#metadata"]["source"];
    for info in source["infos"].as_array_mut().unwrap() {
        // Digests of steps that name the session of their build.
        assert!(info["digestMapping"].take().is_object());
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
