//! The verbs: arguments → stages → report. A verb knows the order of things and leaves each thing to its stage.

pub mod bake;
mod hand_over;
pub mod layout;
pub mod merge;
pub mod plan;
pub mod prove;
pub mod publish;
pub mod rehearse;
pub mod release;
pub mod sandbox;
pub mod sbom;
pub mod sbom_scanner;
pub mod sign_bundle;
mod store;
mod trust;
pub mod verify;
pub mod verify_bundle;
