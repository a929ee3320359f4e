//! The provenance that BuildKit writes of one build → what it says: builder, source, materials.
//! Pure; it believes nothing, and takes no document that other programs could read otherwise.
//!
//! Reference: <https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md>.

mod address;
mod lines;
mod members;
mod older;
mod statement;
mod terms;
#[cfg(test)]
mod tests;

use crate::evidence::SLSA_1;
use crate::evidence::SLSA_02;
use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Serialize;

use self::members::ObjectMembers;
pub use address::Git;
pub use lines::BuildLines;
pub use statement::BuildStatement;
pub use terms::{BuildAsked, ProvenanceRun, ProvenanceTerms, ProvenanceVerdict, SourceOrigin};

/// A version of SLSA's provenance that can be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slsa {
    V1,
    /// The same facts in the words of version 0.2, for who asks for no other.
    V02,
}

impl Slsa {
    pub fn predicate_type(self) -> &'static str {
        match self {
            Self::V1 => SLSA_1,
            Self::V02 => SLSA_02,
        }
    }
}

impl FromStr for Slsa {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "v1" => Ok(Self::V1),
            "v0.2" => Ok(Self::V02),
            other => Err(format!("`{other}` is neither `v1` nor `v0.2`")),
        }
    }
}

/// When builds ran, as far as they say it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BuildTimes {
    pub started: Option<jiff::Timestamp>,
    pub finished: Option<jiff::Timestamp>,
}

impl BuildTimes {
    /// From the start of the first to the end of the last.
    pub fn with(self, other: Self) -> Self {
        Self {
            started: self.started.into_iter().chain(other.started).min(),
            finished: self.finished.max(other.finished),
        }
    }
}

/// What BuildKit calls what it does; of version 1 it wrote both.
const BUILD_TYPE: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
const BUILD_TYPE_02: &str = "https://mobyproject.org/buildkit@v1";

/// What the provenance of one build says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// Who built it; BuildKit knows only what it was told.
    pub builder: Option<String>,
    /// What it was built from. A build of files that a client sent has none.
    pub source: Option<Resource>,
    /// The repository that a client said those files are from.
    pub checkout: Option<String>,
    /// All that was fetched: base images, repositories, downloads.
    pub materials: Vec<Resource>,
    #[serde(skip)]
    pub times: BuildTimes,
}

/// Something that was fetched, and the digests of what came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resource {
    pub uri: String,
    pub digest: BTreeMap<String, String>,
}

/// How the address of an image begins, of whatever registry.
pub const OF_IMAGE: &str = "pkg:oci/";

/// What kind of thing a resource is, as its address says.
#[derive(Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// The purl of an image.
    Image,
    Git(Git),
    Other,
}

impl Resource {
    pub fn kind(&self) -> ResourceKind {
        if ["pkg:docker/", OF_IMAGE].iter().any(|start| self.uri.starts_with(start)) {
            return ResourceKind::Image;
        }
        Git::of(&self.uri).map_or(ResourceKind::Other, ResourceKind::Git)
    }

    /// The commits that it names: in its address, and as its digest.
    pub fn commits(&self) -> Vec<String> {
        let named = Git::of(&self.uri).and_then(|git| git.commit().map(str::to_owned));
        let digests =
            ["sha1", "gitCommit", "sha256"].iter().filter_map(|kind| self.digest.get(*kind));
        named.into_iter().chain(digests.filter(|digest| !digest.is_empty()).cloned()).collect()
    }
}

/// Why a document is not taken for BuildKit's provenance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadProvenance {
    #[error("its `{0}` is missing")]
    Missing(String),
    #[error("{} is not {expected}", shown(.place))]
    Wrong { place: String, expected: &'static str },
    #[error("{} has `{name}` twice", shown(.place))]
    Twice { place: String, name: String },
    #[error("{} has `{name}`, which other programs take for `{known}`", shown(.place))]
    Case { place: String, name: String, known: String },
    #[error("its build type is `{0}`, and BuildKit's is `{BUILD_TYPE}`")]
    BuildType(String),
    #[error("`{0}` is no provenance that is read here")]
    Predicate(String),
}

fn shown(place: &str) -> String {
    if place.is_empty() { "it".to_owned() } else { format!("its `{place}`") }
}

const RESOURCE: [&str; 2] = ["uri", "digest"];
const METADATA: [&str; 2] = ["buildkit_metadata", "https://mobyproject.org/buildkit@v1#metadata"];
const TIMES: [&str; 2] = ["startedOn", "finishedOn"];
const TIMES_02: [&str; 2] = ["buildStartedOn", "buildFinishedOn"];

impl Provenance {
    /// Reads a predicate.
    pub fn read(predicate_type: &str, predicate: &str) -> Result<Self, UnreadProvenance> {
        match predicate_type {
            SLSA_1 => Self::of_version_1(predicate),
            SLSA_02 => Self::of_version_02(predicate),
            other => Err(UnreadProvenance::Predicate(other.to_owned())),
        }
    }

    fn of_version_1(predicate: &str) -> Result<Self, UnreadProvenance> {
        let whole = ObjectMembers::read(predicate, "", &["buildDefinition", "runDetails"])?;
        let definition = whole.demanded(
            "buildDefinition",
            &["buildType", "externalParameters", "internalParameters", "resolvedDependencies"],
        )?;
        is_buildkits(&definition, &[BUILD_TYPE, BUILD_TYPE_02], "buildDefinition.buildType")?;
        let parameters = definition.object("externalParameters", &["configSource", "request"])?;
        let details = whole.object("runDetails", &["builder", "metadata", "byproducts"])?;
        let builder =
            within(details.as_ref(), "builder", &["id", "version", "builderDependencies"])?;
        let metadata = within(details.as_ref(), "metadata", &[METADATA, TIMES].concat())?;
        Ok(Self {
            times: times(metadata.as_ref(), TIMES),
            builder: builder.map(|builder| builder.text("id")).transpose()?.flatten(),
            source: source(within(
                parameters.as_ref(),
                "configSource",
                &["uri", "digest", "path"],
            )?)?,
            checkout: checkout(metadata)?,
            materials: resources(&definition, "resolvedDependencies")?,
        })
    }

    fn of_version_02(predicate: &str) -> Result<Self, UnreadProvenance> {
        let whole = ObjectMembers::read(
            predicate,
            "",
            &["buildType", "builder", "invocation", "materials", "metadata", "buildConfig"],
        )?;
        is_buildkits(&whole, &[BUILD_TYPE_02], "buildType")?;
        let invocation =
            whole.object("invocation", &["configSource", "parameters", "environment"])?;
        let metadata = whole.object("metadata", &[METADATA, TIMES_02].concat())?;
        Ok(Self {
            times: times(metadata.as_ref(), TIMES_02),
            builder: whole
                .object("builder", &["id"])?
                .map(|builder| builder.text("id"))
                .transpose()?
                .flatten(),
            source: source(within(
                invocation.as_ref(),
                "configSource",
                &["uri", "digest", "entryPoint"],
            )?)?,
            checkout: checkout(metadata)?,
            materials: resources(&whole, "materials")?,
        })
    }

    /// What a predicate of version 1 says, as one of version 0.2.
    pub fn older(predicate: &str) -> Result<String, UnreadProvenance> {
        older::of_version_1(predicate)
    }

    /// The predicate with this builder in it, the rest to the byte.
    pub fn completed(
        predicate_type: &str,
        predicate: &str,
        builder: &str,
    ) -> Result<String, UnreadProvenance> {
        let path: &[&str] = if predicate_type == SLSA_02 {
            &["builder", "id"]
        } else {
            &["runDetails", "builder", "id"]
        };
        members::with_text(predicate, path, builder)
    }
}

fn is_buildkits(
    of: &ObjectMembers<'_>,
    types: &[&str],
    place: &str,
) -> Result<(), UnreadProvenance> {
    match of.text("buildType")? {
        Some(kind) if types.contains(&kind.as_str()) => Ok(()),
        Some(other) => Err(UnreadProvenance::BuildType(other)),
        None => Err(UnreadProvenance::Missing(place.to_owned())),
    }
}

fn within<'a>(
    object: Option<&ObjectMembers<'a>>,
    name: &str,
    known: &[&str],
) -> Result<Option<ObjectMembers<'a>>, UnreadProvenance> {
    object.map_or(Ok(None), |object| object.object(name, known))
}

fn source(of: Option<ObjectMembers<'_>>) -> Result<Option<Resource>, UnreadProvenance> {
    let Some(of) = of else { return Ok(None) };
    match (of.text("uri")?, of.texts("digest")?) {
        (Some(uri), digest) => Ok(Some(Resource { uri, digest })),
        (None, digest) if digest.is_empty() => Ok(None),
        (None, _) => Err(UnreadProvenance::Missing("configSource.uri".to_owned())),
    }
}

/// What is not a time is as none.
fn times(metadata: Option<&ObjectMembers<'_>>, [started, finished]: [&str; 2]) -> BuildTimes {
    let time = |name: &str| metadata?.text(name).ok()??.parse().ok();
    BuildTimes { started: time(started), finished: time(finished) }
}

/// Where a client said that the files are from which it sent; in either version below the same
/// names.
fn checkout(metadata: Option<ObjectMembers<'_>>) -> Result<Option<String>, UnreadProvenance> {
    let Some(metadata) = metadata else { return Ok(None) };
    for name in METADATA {
        if let Some(own) = metadata.object(name, &["vcs"])?
            && let Some(source) = own.texts("vcs")?.remove("source")
        {
            return Ok(Some(source).filter(|source| !source.is_empty()));
        }
    }
    Ok(None)
}

fn resources(of: &ObjectMembers<'_>, name: &str) -> Result<Vec<Resource>, UnreadProvenance> {
    let resource = |(text, place): (&str, String)| {
        let entry = ObjectMembers::read(text, &place, &RESOURCE)?;
        Ok(Resource { uri: entry.text("uri")?.unwrap_or_default(), digest: entry.texts("digest")? })
    };
    of.list(name)?.into_iter().map(resource).collect()
}
