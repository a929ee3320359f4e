//! What BuildKit writes of a build in SLSA version 1 → the same facts in the words of version 0.2,
//! as BuildKit itself would write them. Pure; values are kept to the byte, and none is made up.
//!
//! Specification: <https://slsa.dev/spec/v0.2/provenance>.

use serde_json::Value;

use super::members::ObjectMembers;
use super::{
    BUILD_TYPE, BUILD_TYPE_02, METADATA, RESOURCE, UnreadProvenance, is_buildkits, within,
};

/// A member's name and its text; one without a text is left out.
type OlderMember<'a> = (&'a str, Option<String>);

/// The predicate of version 0.2.
pub(super) fn of_version_1(predicate: &str) -> Result<String, UnreadProvenance> {
    let whole = ObjectMembers::read(predicate, "", &["buildDefinition", "runDetails"])?;
    let definition = whole.demanded(
        "buildDefinition",
        &["buildType", "externalParameters", "internalParameters", "resolvedDependencies"],
    )?;
    is_buildkits(&definition, &[BUILD_TYPE, BUILD_TYPE_02], "buildDefinition.buildType")?;
    let external = definition.object("externalParameters", &["configSource", "request"])?;
    let internal = definition.object("internalParameters", &["buildConfig", "builderPlatform"])?;
    let details = whole.object("runDetails", &["builder", "metadata", "byproducts"])?;
    let source = within(external.as_ref(), "configSource", &["uri", "digest", "path"])?;
    let builder = within(details.as_ref(), "builder", &["id", "version", "builderDependencies"])?;
    let source = source.map(|source| {
        object(&[
            ("uri", raw(&source, "uri")),
            ("digest", raw(&source, "digest")),
            ("entryPoint", raw(&source, "path")),
        ])
    });
    let request = external.and_then(|external| raw(&external, "request"));
    let invocation = object(&[
        ("configSource", Some(source.unwrap_or_else(none))),
        ("parameters", Some(request.unwrap_or_else(none))),
        ("environment", Some(internal.as_ref().map_or_else(none, environment))),
    ]);
    Ok(object(&[
        ("builder", Some(builder.map_or_else(none, |it| object(&[("id", raw(&it, "id"))])))),
        ("buildType", Some(Value::from(BUILD_TYPE_02).to_string())),
        ("invocation", Some(invocation)),
        ("buildConfig", internal.and_then(|internal| raw(&internal, "buildConfig"))),
        ("metadata", Some(metadata(details.as_ref())?)),
        ("materials", Some(materials(&definition)?)),
    ]))
}

/// On what it was built; whoever configures BuildKit may have it say more.
fn environment(internal: &ObjectMembers<'_>) -> String {
    let others = internal.members().filter(|(name, _)| *name != "buildConfig");
    let members: Vec<OlderMember<'_>> = others
        .map(|(name, text)| {
            let name = if name == "builderPlatform" { "platform" } else { name };
            (name, Some(text.to_owned()))
        })
        .collect();
    object(&members)
}

/// When it ran, and how much of it is told.
fn metadata(details: Option<&ObjectMembers<'_>>) -> Result<String, UnreadProvenance> {
    const OF_VERSION_1: [&str; 7] = [
        "startedOn",
        "finishedOn",
        "buildkit_completeness",
        "buildkit_hermetic",
        "buildkit_reproducible",
        METADATA[0],
        METADATA[1],
    ];
    let Some(told) = within(details, "metadata", &OF_VERSION_1)? else { return Ok(none()) };
    let complete = told.object("buildkit_completeness", &["request", "resolvedDependencies"])?;
    let is_told = |name: &str| {
        let told = complete.as_ref().and_then(|complete| raw(complete, name));
        Some(told.unwrap_or_else(|| "false".to_owned()))
    };
    let completeness = object(&[
        ("parameters", is_told("request")),
        ("environment", Some("true".to_owned())),
        ("materials", is_told("resolvedDependencies")),
    ]);
    let reproducible = raw(&told, "buildkit_reproducible").unwrap_or_else(|| "false".to_owned());
    Ok(object(&[
        // BuildKit has written both.
        ("buildInvocationID", raw(&told, "invocationId").or_else(|| raw(&told, "invocationID"))),
        ("buildStartedOn", raw(&told, "startedOn")),
        ("buildFinishedOn", raw(&told, "finishedOn")),
        ("completeness", Some(completeness)),
        ("reproducible", Some(reproducible)),
        (HERMETIC_02, raw(&told, "buildkit_hermetic")),
        (METADATA[1], raw(&told, METADATA[0]).or_else(|| raw(&told, METADATA[1]))),
    ]))
}

const HERMETIC_02: &str = "https://mobyproject.org/buildkit@v1#hermetic";

fn materials(definition: &ObjectMembers<'_>) -> Result<String, UnreadProvenance> {
    let material = |(text, place): (&str, String)| {
        let entry = ObjectMembers::read(text, &place, &RESOURCE)?;
        Ok(object(&[("uri", raw(&entry, "uri")), ("digest", raw(&entry, "digest"))]))
    };
    let materials: Vec<String> = definition
        .list("resolvedDependencies")?
        .into_iter()
        .map(material)
        .collect::<Result<_, _>>()?;
    Ok(format!("[{}]", materials.join(",")))
}

fn raw(object: &ObjectMembers<'_>, name: &str) -> Option<String> {
    object.get(name).map(str::to_owned)
}

fn none() -> String {
    "{}".to_owned()
}

fn object(members: &[OlderMember<'_>]) -> String {
    let members: Vec<String> = members
        .iter()
        .filter_map(|(name, text)| Some(format!("{}:{}", Value::from(*name), text.as_ref()?)))
        .collect();
    format!("{{{}}}", members.join(","))
}
