//! `Published`, once for each target of a bake file → what later steps read. Pure.

use serde_json::{Map, Value, json};

use super::{evidence, vulnerabilities};
use crate::evidence::EvidencePart;
use crate::publish::Published;

/// A target and what was published of it.
pub type BakedTarget<'a> = (&'a str, &'a Published);

/// Outputs by the name of the target; `metadata` has the keys of docker/bake-action's.
pub fn outputs(baked: &[BakedTarget<'_>]) -> Vec<(&'static str, String)> {
    let by_target = |value: &dyn Fn(&Published) -> Value| {
        let pairs =
            baked.iter().map(|(target, published)| ((*target).to_owned(), value(published)));
        Value::Object(pairs.collect()).to_string()
    };
    vec![
        ("targets", by_target(&target)),
        ("metadata", by_target(&metadata)),
        ("evidence", by_target(&evidence)),
    ]
}

/// The same where nothing was published: there are targets, and no digest or name of any.
pub fn outputs_of_built(targets: &[String]) -> Vec<(&'static str, String)> {
    let by_target = |value: &Value| {
        Value::Object(targets.iter().map(|target| (target.clone(), value.clone())).collect())
            .to_string()
    };
    let nothing = json!({});
    vec![
        ("targets", by_target(&json!({ "tags": [], "kept-tags": [], "platforms": {} }))),
        ("metadata", by_target(&nothing)),
        ("evidence", by_target(&nothing)),
    ]
}

fn names(published: &Published) -> Vec<String> {
    published.names.iter().map(ToString::to_string).collect()
}

fn target(published: &Published) -> Value {
    let Some(first) = published.images.first() else { return Value::Null };
    let subjects =
        published.evidence.subjects.iter().filter(|subject| subject.kind == EvidencePart::Platform);
    let platforms: Map<String, Value> = subjects
        .filter_map(|subject| Some((subject.platform.as_ref()?.to_string(), json!(subject.digest))))
        .collect();
    json!({
        "image": first.repository,
        "image-ref": first.to_string(),
        "digest": first.digest,
        "tags": names(published),
        "kept-tags": published.kept.iter().map(|kept| kept.name.to_string()).collect::<Vec<_>>(),
        "platforms": platforms,
        "vulnerabilities": vulnerabilities(published),
    })
}

fn metadata(published: &Published) -> Value {
    let digest = published.images.first().map(|image| &image.digest);
    json!({ "image.name": names(published).join(","), "containerimage.digest": digest, "tags": names(published) })
}
