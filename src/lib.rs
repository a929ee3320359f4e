//! Publishes container images only with complete, verified evidence.
//!
//! ```text
//! Inputs ─plan→ Plan ─build→ BuiltImage ─sign→ SignedImage ─attest→ AttestedImage ─verify→ VerifiedImage ─publish→ Published ─summarize→ Summary
//! ```
//! Nothing is tagged before everything is verified from the registry. Modules in the order of
//! reading:

// words
pub mod answer;
pub mod error;
pub mod image;
pub mod oci;
pub mod page;
// outside
pub mod command;
pub mod files;
pub mod github;
pub mod provenance;
pub mod registry;
pub mod report;
pub mod sigstore;
// stages
pub mod attest;
pub mod build;
pub mod inputs;
pub mod login;
pub mod metadata;
pub mod plan;
pub mod preflight;
pub mod publish;
pub mod retention;
pub mod sign;
pub mod summary;
pub mod trigger;
pub mod verify;
// verbs and edge
pub mod cli;
pub mod verbs;
// apart: packages and advisories in, findings and a verdict out
pub mod scan;
// apart: these import nothing of the above, but `sbom` reads images by `oci`
pub mod sandbox;
pub mod sbom;
