//! Publishes container images only with complete, verified evidence.
//!
//! ```text
//! Inputs ─plan→ Plan ─build→ BuiltImage ─sign→ SignedImage ─attest→ AttestedImage ─verify→ VerifiedImage ─publish→ Published ─summarize→ Summary
//! ```
//! Nothing is tagged before everything is verified from the registry. Modules lowest first: each
//! imports from those before it alone (`tests/it/tidy.rs`).

pub mod advisories;
pub mod answer;
pub mod assess;
pub mod attest;
pub mod build;
pub mod cli;
pub mod command;
pub mod environment;
pub mod error;
pub mod evidence;
pub mod files;
pub mod github;
pub mod image;
pub mod inputs;
pub mod login;
pub mod metadata;
pub mod oci;
pub mod page;
pub mod plan;
pub mod preflight;
pub mod problems;
pub mod provenance;
pub mod publish;
pub mod registry;
pub mod report;
pub mod retention;
pub mod sandbox;
pub mod sbom;
pub mod scan;
pub mod secrets;
pub mod sign;
pub mod sigstore;
pub mod summary;
pub mod text;
pub mod trigger;
pub mod verbs;
pub mod verify;
