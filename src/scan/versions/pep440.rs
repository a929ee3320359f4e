//! Versions of Python packages, in the order of the crate `pep440_rs`. It refuses what pip no
//! longer reads.
//!
//! Specification: <https://packaging.python.org/en/latest/specifications/version-specifiers/>.

pub(super) fn parse(text: &str) -> Option<pep440_rs::Version> {
    text.parse().ok()
}
