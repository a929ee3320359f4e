//! The hermetic tests: the whole program against the embedded sandbox, in one process tree, without
//! network or root.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts programs"
)]

mod advisories;
mod answers;
mod bake;
mod bundles;
mod cold;
mod conflicts;
mod consumers;
mod contract;
mod documents;
mod drop_in;
mod economy;
mod environment;
mod evidence_dir;
mod faults;
mod fetched;
mod forward;
mod gate;
mod golden;
mod hints;
mod hosts;
mod keys;
mod layouts;
mod leaks;
mod links;
#[path = "../markdown.rs"]
mod markdown;
mod merge;
mod networks;
mod origins;
mod other_tools;
mod pins;
mod promote;
mod provenance;
mod provenance_versions;
mod prune;
mod publish;
mod pusher;
mod refusals;
mod registries;
mod rehearse;
mod release;
mod rescan;
mod sbom;
mod sboms;
mod scan;
mod secrets;
mod signals;
mod signer;
mod since;
mod source_images;
mod summaries;
mod support;
mod text;
mod tidy;
mod told;
mod transfer;
mod triggers;
mod trust;
#[path = "../tuf_repository.rs"]
mod tuf_repository;
mod verify;
