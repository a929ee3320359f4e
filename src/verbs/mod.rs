//! The verbs: arguments → stages → report. A verb knows the order of things and leaves each thing
//! to its stage.

pub mod advisories;
mod archive;
pub mod bake;
mod beginning;
pub mod ending;
mod evidence_dir;
mod forward;
mod hand_over;
mod judged;
pub mod layout;
pub mod merge;
pub mod outside;
pub mod plan;
mod private;
pub mod promote;
pub mod prove;
pub mod prune;
pub mod publish;
pub mod rehearse;
pub mod release;
pub mod rescan;
pub mod sandbox;
pub mod sbom;
pub mod sbom_scanner;
pub mod scan;
pub mod scanning;
pub mod searching;
pub mod secrets;
mod served_layout;
pub mod sign_bundle;
mod since;
mod store;
mod taken;
mod tools;
mod trust;
pub mod verify;
pub mod verify_bundle;

/// `tags=v1`; spaces in a name become underscores on a runner, and no input of ours has any.
pub fn input(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=VALUE"))?;
    Ok((name.trim().to_owned(), value.to_owned()))
}
