//! The inputs about SBOMs and provenances → `SbomInputs`; what `sbom` and `provenance` say is read
//! by `plan`. Pure; it makes no SBOM.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use super::InputProblems;
use super::texts::InputTexts;
use super::words::unique;
use crate::provenance::Slsa;
use crate::sbom::foreign;

/// How SBOMs and provenances are written, and what is kept to make them.
#[derive(Debug)]
pub struct SbomInputs {
    /// A folder for what layers held, for later runs.
    pub sbom_cache: Option<PathBuf>,
    /// Authenticates the entries of `sbom_cache`; without it a run that signs believes none.
    pub sbom_cache_key: Option<SecretString>,
    /// What the SBOMs that are signed are written in, where it was asked for.
    pub sbom_format: Option<foreign::ForeignFormat>,
    /// Whether SBOMs list the files that packages brought.
    pub sbom_files: bool,
    /// The versions of SLSA in which provenances are signed; version 1 is always among them.
    pub provenance_versions: Vec<Slsa>,
}

impl SbomInputs {
    pub(super) fn read(given: &InputTexts, problems: &mut InputProblems) -> Self {
        Self {
            sbom_cache: given.path("sbom-cache"),
            sbom_cache_key: sbom_cache_key(given, problems),
            sbom_format: sbom_format(given, problems),
            sbom_files: sbom_files(given, problems),
            provenance_versions: provenance_versions(given, problems),
        }
    }
}

/// Short keys can be guessed by whoever may write the cache.
fn sbom_cache_key(given: &InputTexts, problems: &mut InputProblems) -> Option<SecretString> {
    const SHORTEST: usize = 16;
    let key = given.secret("sbom-cache-key")?;
    if given.get("sbom-cache").is_none() {
        problems.say(
            "sbom-cache-key",
            "it has no effect without `sbom-cache`, whose entries it authenticates",
        );
    }
    if key.expose_secret().trim().len() < SHORTEST {
        problems.say(
            "sbom-cache-key",
            format_args!("it is shorter than {SHORTEST} characters; use a random secret"),
        );
    }
    Some(key)
}

fn sbom_files(given: &InputTexts, problems: &mut InputProblems) -> bool {
    match given.get("sbom-files").map(str::trim) {
        None | Some("none") => false,
        Some("owned") => true,
        Some(other) => {
            problems.say("sbom-files", format_args!("`{other}` is neither `none` nor `owned`"));
            false
        }
    }
}

fn sbom_format(given: &InputTexts, problems: &mut InputProblems) -> Option<foreign::ForeignFormat> {
    match given.get("sbom-format").map(str::trim)? {
        "spdx" => Some(foreign::ForeignFormat::Spdx),
        "cyclonedx" => Some(foreign::ForeignFormat::CycloneDx),
        other => {
            problems
                .say("sbom-format", format_args!("`{other}` is neither `spdx` nor `cyclonedx`"));
            None
        }
    }
}

/// The gate, reruns and later releases read version 1, so it is never left out.
fn provenance_versions(given: &InputTexts, problems: &mut InputProblems) -> Vec<Slsa> {
    let Some(text) = given.get("provenance-versions") else { return vec![Slsa::V1] };
    let versions = unique(problems.some("provenance-versions", text));
    if !versions.is_empty() && !versions.contains(&Slsa::V1) {
        problems.say(
            "provenance-versions",
            "version 1 is always signed, since this program and newer verifiers read it; write `v1,v0.2`",
        );
    }
    versions
}
