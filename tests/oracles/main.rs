//! The judges: programs we did not write build, sign, store and verify what we publish. A missing
//! one is a failure, never a skip.
//! `make test` brings them; each is named by an environment variable (tools/with-tools,
//! tools/with-buildkit).

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts programs"
)]

mod admission;
mod bake;
mod consumers;
mod corpus;
mod documents;
mod evidence;
mod go_programs;
mod keys;
mod layouts;
#[path = "../markdown.rs"]
mod markdown;
mod merge;
mod packaging;
mod provenance;
mod registries;
mod rehearsal;
mod results;
mod sbom;
mod scan;
mod services;
mod summaries;
mod support;
mod trust;
#[path = "../tuf_repository.rs"]
mod tuf_repository;
mod workflows;
