//! The bill of materials of an image: files in, packages out, SPDX 2.3 at the end. It uses no
//! network and nothing else of this program.
//!
//! A [`source`] tells which files and links there are, [`collect`] hands each file to the
//! [`matchers`] that want it, [`catalog`] joins what they found, [`spdx`] writes it down and
//! [`scanner`] does all of it for BuildKit.

#[cfg(test)]
mod cases;
pub mod catalog;
pub mod collect;
pub mod cyclonedx;
pub mod diff;
pub mod exclude;
mod files;
pub mod foreign;
pub mod image;
pub mod index;
pub mod layers;
pub mod licence;
pub mod linked;
pub mod matchers;
mod maven;
mod node_modules;
pub mod package;
pub mod profile;
pub mod purl;
pub mod scanner;
pub mod source;
pub mod spdx;
pub mod table;
#[cfg(test)]
mod tests;
mod text;
mod words;

/// Why there is no SBOM. There is never half of one: what cannot be read stops the scan.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    #[error("nothing was scanned: `{name}` is not set")]
    MissingVariable { name: &'static str },
    #[error("nothing was scanned: `SOURCE_DATE_EPOCH` is `{value}`, not a number of seconds")]
    BadEpoch { value: String },
    #[error("nothing was scanned: `FILES` is `{value}`, neither `none` nor `owned`")]
    BadFiles { value: String },
    #[error("no sbom was written: `{path}` cannot be read")]
    Unreadable { path: String, source: std::io::Error },
    #[error(
        "no sbom was written: `{path}` has more than `{cap}` bytes, which is more than such a file can need"
    )]
    TooLarge { path: String, cap: u64 },
    #[error("no sbom was written: `{path}` is malformed: {reason}")]
    Malformed { path: String, reason: String },
    #[error("no sbom was written: layer `{layer}` {reason}")]
    BadLayer { layer: String, reason: String },
    #[error("no sbom was written: layer `{layer}` cannot be read")]
    UnreadableLayer { layer: String, source: std::io::Error },
    #[error("no sbom was written: the cache of layers `{path}` cannot be written")]
    Cache { path: String, source: std::io::Error },
    #[error("no sbom was written: {0}")]
    BadImage(String),
    #[error("no sbom was written: `{path}` does not name a scan")]
    Nameless { path: String },
    #[error(
        "the sbom of `{name}` was not written: it has `{size}` bytes, and BuildKit fails a build over more than `{cap}`"
    )]
    DocumentTooLarge { name: String, size: usize, cap: usize },
    #[error("the sbom of `{name}` was not written: `{path}` cannot be written")]
    Unwritable { name: String, path: String, source: std::io::Error },
}
