//! A statement that nobody signed → its type, what it is about, and its predicate as text. It takes
//! none that other programs could read otherwise.
//!
//! Specification: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>.

use super::UnreadProvenance;
use super::members::ObjectMembers;

/// As BuildKit stores them beside an image.
#[derive(Debug)]
pub struct BuildStatement<'a> {
    pub predicate_type: String,
    /// The SHA-256 digest of each subject, where it has one.
    pub subjects: Vec<Option<String>>,
    pub predicate: &'a str,
}

impl<'a> BuildStatement<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, UnreadProvenance> {
        let wrong = |_| UnreadProvenance::Wrong { place: String::new(), expected: "text" };
        let text = std::str::from_utf8(bytes).map_err(wrong)?;
        let whole =
            ObjectMembers::read(text, "", &["_type", "subject", "predicateType", "predicate"])?;
        let subject = |(text, place): (&str, String)| {
            Ok(ObjectMembers::read(text, &place, &["name", "digest"])?
                .texts("digest")?
                .remove("sha256"))
        };
        Ok(Self {
            predicate_type: whole
                .text("predicateType")?
                .ok_or_else(|| UnreadProvenance::Missing("predicateType".to_owned()))?,
            subjects: whole.list("subject")?.into_iter().map(subject).collect::<Result<_, _>>()?,
            predicate: whole
                .get("predicate")
                .ok_or_else(|| UnreadProvenance::Missing("predicate".to_owned()))?,
        })
    }
}
