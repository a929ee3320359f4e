//! The SLSA v1 provenance of a workflow run, as actions/attest-build-provenance writes it, and the
//! same in the words of version 0.2. Pure.
//!
//! Build type: <https://actions.github.io/buildtypes/workflow/v1>.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::build::merge::TakenImage;
use crate::github::RunContext;
use crate::metadata::line::LineVersion;
use crate::provenance::{BuildTimes, OF_IMAGE, Resource, Slsa, SourceOrigin};
use crate::registry::contents::PlatformImage;

/// An image that was built from something else than this run's commit, or from nobody knows what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    platform: String,
    /// Of the image.
    digest: String,
    source: Option<Resource>,
}

impl Foreign {
    /// Those of one platform.
    pub(super) fn of(part: &PlatformImage, origins: &[SourceOrigin]) -> Vec<Self> {
        let source = |origin: &SourceOrigin| match origin {
            SourceOrigin::Run | SourceOrigin::Files => None,
            SourceOrigin::Foreign(source) => Some(Some(source.clone())),
            SourceOrigin::Unknown => Some(None),
        };
        let foreign = origins.iter().filter_map(source);
        foreign
            .map(|source| Self {
                platform: part.platform.to_string(),
                digest: part.descriptor.digest.hex().to_owned(),
                source,
            })
            .collect()
    }

    /// One of which no build says anything.
    pub(super) fn unknown(part: &PlatformImage) -> Self {
        Self {
            platform: part.platform.to_string(),
            digest: part.descriptor.digest.hex().to_owned(),
            source: None,
        }
    }

    /// As a resource of the workflow's provenance.
    fn resource(&self) -> Value {
        match &self.source {
            Some(source) => {
                json!({ "name": format!("build source of {}", self.platform), "uri": source.uri, "digest": source.digest })
            }
            None => json!({
                "name": format!("image of {}, whose build names no source", self.platform),
                "digest": { "sha256": self.digest },
            }),
        }
    }

    /// For people.
    pub fn shown(&self) -> String {
        match &self.source {
            Some(source) => format!(
                "`{}` is built from `{}`, not from this run's commit",
                self.platform, source.uri
            ),
            None => format!("the source of `{}` is not known", self.platform),
        }
    }
}

/// What the predicate says about the run.
#[derive(Debug, Clone)]
pub struct WorkflowOfRun {
    pub context: RunContext,
    /// `owner/repo/path@ref` of the workflow that holds the job; differs from the run's own for
    /// reusable workflows.
    pub job_workflow_ref: String,
    /// The version that each name of the image stands for, so that a later run can tell whether it
    /// comes after it.
    pub versions: BTreeMap<String, LineVersion>,
    /// Of SLSA, in which it is said.
    pub provenance_versions: Vec<Slsa>,
}

impl WorkflowOfRun {
    pub fn new(context: &RunContext, job_workflow_ref: &str) -> Self {
        Self {
            context: context.clone(),
            job_workflow_ref: job_workflow_ref.to_owned(),
            versions: BTreeMap::new(),
            provenance_versions: vec![Slsa::V1],
        }
    }
}

/// An image that was not built here, as a resource: what its tag named, by digest.
fn resource(taken: &TakenImage) -> Value {
    json!({ "name": taken.name(), "uri": address(taken), "digest": { "sha256": taken.digest.hex() } })
}

/// Reference: <https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md>.
fn address(taken: &TakenImage) -> String {
    let repository = taken.source.repository.to_string();
    let name = repository.rsplit('/').next().unwrap_or_default();
    let escaped: String = repository
        .bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let tag = taken.source.tag.as_ref().map(|tag| format!("&tag={tag}")).unwrap_or_default();
    format!("{OF_IMAGE}{name}@{}?repository_url={escaped}{tag}", taken.digest)
}

/// The predicate of type `https://slsa.dev/provenance/v1`.
pub fn predicate(workflow: &WorkflowOfRun, taken: &[TakenImage], foreign: &[Foreign]) -> Value {
    let run = &workflow.context;
    let repository = run.repository.as_deref().unwrap_or_default();
    let home = format!("{}/{repository}", run.server_url);
    let own =
        json!({ "uri": format!("git+{home}@{}", run.git_ref), "digest": { "gitCommit": run.sha } });
    let dependencies: Vec<Value> = std::iter::once(own)
        .chain(taken.iter().map(resource))
        .chain(foreign.iter().map(Foreign::resource))
        .collect();
    let mut predicate = json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": { "workflow": { "ref": run.git_ref, "repository": home, "path": path(&run.workflow_ref, repository) } },
            "internalParameters": { "github": {
                "event_name": run.event_name,
                "repository_id": run.repository_id,
                "repository_owner_id": run.repository_owner_id,
                "runner_environment": run.runner_environment,
            } },
            "resolvedDependencies": dependencies,
        },
        "runDetails": {
            "builder": { "id": format!("{}/{}", run.server_url, workflow.job_workflow_ref) },
            "metadata": { "invocationId": format!("{home}/actions/runs/{}/attempts/{}", run.run_id, run.run_attempt) },
        },
    });
    if !workflow.versions.is_empty() {
        predicate["buildDefinition"]["internalParameters"]["versions"] = json!(workflow.versions);
    }
    predicate
}

/// The same as a predicate of type `https://slsa.dev/provenance/v0.2`. That one says when a build
/// began, which of a workflow its builds tell.
///
/// Specification: <https://slsa.dev/spec/v0.2/provenance>.
pub fn older(predicate: &Value, times: BuildTimes) -> Value {
    let (definition, details) = (&predicate["buildDefinition"], &predicate["runDetails"]);
    let dependencies = definition["resolvedDependencies"].as_array().cloned().unwrap_or_default();
    let materials: Vec<Value> = dependencies.iter().map(material).collect();
    let mut source = materials.first().cloned().unwrap_or_default();
    source["entryPoint"] = definition["externalParameters"]["workflow"]["path"].clone();
    let mut metadata = json!({
        "buildInvocationID": details["metadata"]["invocationId"],
        // A workflow may run on whatever else it fetches.
        "completeness": { "parameters": false, "environment": false, "materials": false },
        "reproducible": false,
    });
    for (name, time) in [("buildStartedOn", times.started), ("buildFinishedOn", times.finished)] {
        if let Some(time) = time {
            metadata[name] = Value::from(time.to_string());
        }
    }
    json!({
        "builder": details["builder"],
        "buildType": definition["buildType"],
        "invocation": {
            "configSource": source,
            "parameters": definition["externalParameters"],
            "environment": definition["internalParameters"],
        },
        "metadata": metadata,
        "materials": materials,
    })
}

/// A dependency by its address and digests; the older version knows no names, and a commit as any
/// other SHA-1.
fn material(dependency: &Value) -> Value {
    let mut material = serde_json::Map::new();
    if let Some(uri) = dependency.get("uri") {
        material.insert("uri".to_owned(), uri.clone());
    }
    let digests = dependency["digest"].as_object().cloned().unwrap_or_default();
    let digests: serde_json::Map<String, Value> = digests
        .into_iter()
        .map(|(kind, digest)| match kind.as_str() {
            "gitCommit" => ("sha1".to_owned(), digest),
            _ => (kind, digest),
        })
        .collect();
    material.insert("digest".to_owned(), Value::Object(digests));
    Value::Object(material)
}

/// `owner/repo/.github/workflows/x.yml@ref` → `.github/workflows/x.yml`.
fn path<'a>(workflow_ref: &'a str, repository: &str) -> &'a str {
    let inside = workflow_ref
        .strip_prefix(repository)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(workflow_ref);
    inside.split('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::line::Scheme;

    #[test]
    fn names_the_run_and_the_workflow_that_held_the_job() {
        let context = RunContext {
            server_url: "https://github.com".into(),
            repository: Some("o/r".into()),
            git_ref: "refs/tags/v1".into(),
            sha: "abc".into(),
            workflow_ref: "o/r/.github/workflows/release.yml@refs/tags/v1".into(),
            run_id: "7".into(),
            run_attempt: "2".into(),
            ..RunContext::default()
        };
        let mut workflow =
            WorkflowOfRun::new(&context, "org/shared/.github/workflows/build.yml@refs/tags/v3");
        workflow
            .versions
            .extend([("v1".to_owned(), LineVersion::within("v1.2.3", "v1.2.3", Scheme::Any))]);
        let digest = crate::image::Digest::of(b"image");
        let image = |text: &str| TakenImage {
            source: crate::build::merge::claims::SourceImage {
                repository: "registry.lan:5000/octo/app".parse().unwrap(),
                tag: text.parse().ok(),
                digest: None,
            },
            digest: digest.clone(),
            platforms: Vec::new(),
        };
        let made = predicate(&workflow, &[image("v1-arm64"), image("")], &[]);
        let whole = format!("pkg:oci/app@{digest}?repository_url=registry.lan%3A5000%2Focto%2Fapp");
        for (pointer, value) in [
            ("/buildDefinition/externalParameters/workflow/path", ".github/workflows/release.yml"),
            ("/buildDefinition/externalParameters/workflow/repository", "https://github.com/o/r"),
            (
                "/buildDefinition/resolvedDependencies/0/uri",
                "git+https://github.com/o/r@refs/tags/v1",
            ),
            ("/buildDefinition/resolvedDependencies/0/digest/gitCommit", "abc"),
            ("/buildDefinition/resolvedDependencies/1/uri", &format!("{whole}&tag=v1-arm64")),
            ("/buildDefinition/resolvedDependencies/1/name", "registry.lan:5000/octo/app:v1-arm64"),
            ("/buildDefinition/resolvedDependencies/1/digest/sha256", digest.hex()),
            ("/buildDefinition/resolvedDependencies/2/uri", &whole),
            (
                "/runDetails/builder/id",
                "https://github.com/org/shared/.github/workflows/build.yml@refs/tags/v3",
            ),
            ("/buildDefinition/internalParameters/versions/v1/version", "1.2.3"),
            (
                "/runDetails/metadata/invocationId",
                "https://github.com/o/r/actions/runs/7/attempts/2",
            ),
        ] {
            assert_eq!(made.pointer(pointer).and_then(Value::as_str), Some(value), "{pointer}");
        }
    }
}
