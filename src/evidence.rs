//! Kinds of evidence as one table: the word of a policy, the label for people, predicate types,
//! what cosign calls them and files are named after. It reads no statement, and no other file of
//! the program spells a predicate type.
//!
//! Predicates: <https://github.com/in-toto/attestation/tree/main/spec/predicates>; cosign's words:
//! <https://github.com/sigstore/cosign/blob/main/pkg/cosign/attestation/attestation.go>.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

pub const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";
pub const SPDX: &str = "https://spdx.dev/Document";
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
pub const SLSA_1: &str = "https://slsa.dev/provenance/v1";
pub const SLSA_02: &str = "https://slsa.dev/provenance/v0.2";
/// cosign's own statement about vulnerabilities.
pub const COSIGN_VULNERABILITIES: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
pub const IN_TOTO_VULNERABILITIES: &str = "https://in-toto.io/attestation/vulns/v0.2";
pub const OPENVEX: &str = "https://openvex.dev/ns";
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
pub const VERIFICATION_SUMMARY: &str = "https://slsa.dev/verification_summary/v1";

/// What carries evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidencePart {
    Index,
    /// The image of one platform.
    Platform,
    /// BuildKit's manifest of attestations about the image of one platform.
    Attestations,
    /// What is no image: a chart, a policy, a module. It needs what index and platforms do.
    Artifact,
}

/// How a signed statement is kept in a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceFormat {
    /// A Sigstore bundle, as a referrer.
    Bundle,
    /// cosign's older scheme: layers under the tags `.sig` and `.att`.
    Legacy,
}

/// What a statement is about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceKind {
    Signature,
    Sbom,
    /// SLSA, of whichever version.
    Provenance,
    Vulnerabilities,
    Vex,
    TestResult,
    VerificationSummary,
}

/// All that is said of one kind.
struct EvidenceRow {
    kind: EvidenceKind,
    /// In a policy.
    word: &'static str,
    /// For people.
    label: &'static str,
    /// The first is the one to make, or to ask for.
    types: &'static [Type],
    /// What such a statement can be about.
    parts: &'static [EvidencePart],
}

/// One predicate type.
struct Type {
    uri: &'static str,
    /// cosign's `--type`.
    cosign: Option<&'static str>,
    /// What a file of a bundle is named after.
    stem: &'static str,
    /// How a file ends that holds the predicate alone; `None` where only the statement is a
    /// document of its own.
    document: Option<&'static str>,
    /// What is said beside the label.
    version: Option<&'static str>,
    /// Whether writers put the version of the format behind, as in `…/v2.3`.
    has_versions: bool,
}

const fn row_type(uri: &'static str, cosign: Option<&'static str>, stem: &'static str) -> Type {
    Type { uri, cosign, stem, document: None, version: None, has_versions: false }
}

const IMAGES: &[EvidencePart] =
    &[EvidencePart::Index, EvidencePart::Platform, EvidencePart::Artifact];

const TABLE: [EvidenceRow; 7] = [
    EvidenceRow {
        kind: EvidenceKind::Signature,
        word: "signature",
        label: "signature",
        types: &[row_type(SIGNATURE, None, "signature")],
        parts: &[
            EvidencePart::Index,
            EvidencePart::Platform,
            EvidencePart::Attestations,
            EvidencePart::Artifact,
        ],
    },
    EvidenceRow {
        kind: EvidenceKind::Sbom,
        word: "sbom",
        label: "SBOM",
        types: &[
            Type {
                document: Some("spdx.json"),
                has_versions: true,
                ..row_type(SPDX, Some("spdxjson"), "sbom")
            },
            Type {
                document: Some("cdx.json"),
                has_versions: true,
                ..row_type(CYCLONEDX, Some("cyclonedx"), "sbom")
            },
        ],
        parts: IMAGES,
    },
    EvidenceRow {
        kind: EvidenceKind::Provenance,
        word: "provenance",
        label: "provenance",
        types: &[
            row_type(SLSA_1, Some("slsaprovenance1"), "provenance"),
            Type {
                version: Some("0.2"),
                ..row_type(SLSA_02, Some("slsaprovenance"), "provenance-v0-2")
            },
        ],
        parts: IMAGES,
    },
    EvidenceRow {
        kind: EvidenceKind::Vulnerabilities,
        word: "vuln",
        label: "vulnerability scan",
        types: &[
            row_type(COSIGN_VULNERABILITIES, Some("vuln"), "vulnerabilities"),
            row_type(IN_TOTO_VULNERABILITIES, None, "vulnerabilities-in-toto"),
            // Of cosign 1, which policies still name.
            row_type("cosign.sigstore.dev/attestation/vuln/v1", None, "vulnerabilities-cosign-1"),
        ],
        parts: IMAGES,
    },
    EvidenceRow {
        kind: EvidenceKind::Vex,
        word: "vex",
        label: "VEX",
        types: &[Type { has_versions: true, ..row_type(OPENVEX, Some("openvex"), "vex") }],
        parts: IMAGES,
    },
    EvidenceRow {
        kind: EvidenceKind::TestResult,
        word: "test-result",
        label: "test result",
        types: &[row_type(TEST_RESULT, None, "test-result")],
        parts: IMAGES,
    },
    EvidenceRow {
        kind: EvidenceKind::VerificationSummary,
        word: "verification-summary",
        label: "verification summary",
        types: &[row_type(VERIFICATION_SUMMARY, None, "verification-summary")],
        parts: IMAGES,
    },
];

impl Type {
    fn is(&self, predicate_type: &str) -> bool {
        predicate_type
            .strip_prefix(self.uri)
            .is_some_and(|rest| rest.is_empty() || (self.has_versions && rest.starts_with("/v")))
    }
}

fn found(predicate_type: &str) -> Option<(&'static EvidenceRow, &'static Type)> {
    TABLE.iter().find_map(|row| {
        row.types.iter().find(|known| known.is(predicate_type)).map(|known| (row, known))
    })
}

impl EvidenceKind {
    /// `None` of a predicate type that no row has.
    pub fn of(predicate_type: &str) -> Option<Self> {
        found(predicate_type).map(|(row, _)| row.kind)
    }

    fn row(self) -> &'static EvidenceRow {
        // The rows stand in the order of the kinds, as a test says.
        &TABLE[self as usize]
    }

    /// Whether a statement of this predicate type is of this kind.
    pub fn is(self, predicate_type: &str) -> bool {
        Self::of(predicate_type) == Some(self)
    }

    /// The word by which a policy asks for it.
    pub fn word(self) -> &'static str {
        self.row().word
    }

    /// Its predicate types, the one to ask for first.
    pub fn types(self) -> impl Iterator<Item = &'static str> {
        self.row().types.iter().map(|known| known.uri)
    }

    /// Whether such a statement can be about such a part.
    pub fn belongs_to(self, part: EvidencePart) -> bool {
        self.row().parts.contains(&part)
    }

    /// The words of all kinds, for messages.
    pub fn words() -> String {
        TABLE.iter().map(|row| format!("`{}`", row.word)).collect::<Vec<_>>().join(", ")
    }
}

impl FromStr for EvidenceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What the specification itself calls it for short.
        let text = if text == "vsa" { "verification-summary" } else { text };
        let row = TABLE.iter().find(|row| row.word == text);
        row.map(|row| row.kind).ok_or_else(|| format!("`{text}` is none of {}", Self::words()))
    }
}

/// The word by which a statement is asked for; of a kind that has none, its predicate type.
pub fn word(predicate_type: &str) -> &str {
    found(predicate_type).map_or(predicate_type, |(row, _)| row.word)
}

/// For people: `provenance 0.2`; of an unknown kind its predicate type.
pub fn label(predicate_type: &str) -> String {
    match found(predicate_type) {
        None => predicate_type.to_owned(),
        Some((row, Type { version: None, .. })) => row.label.to_owned(),
        Some((row, Type { version: Some(version), .. })) => format!("{} {version}", row.label),
    }
}

/// What cosign's `--type` takes: its own word, or the predicate type itself.
pub fn cosign_type(predicate_type: &str) -> &str {
    // With a version behind, cosign's word would ask for another type.
    found(predicate_type)
        .filter(|(_, known)| known.uri == predicate_type)
        .and_then(|(_, known)| known.cosign)
        .unwrap_or(predicate_type)
}

/// A name of a file has room for 255 bytes.
const LONGEST_STEM: usize = 60;

/// What the file of a bundle is named after: the table's word, or the last words of the address
/// for anything else.
pub fn file_stem(predicate_type: &str) -> String {
    if let Some((_, known)) = found(predicate_type).filter(|(_, known)| known.uri == predicate_type)
    {
        return known.stem.to_owned();
    }
    let words: Vec<&str> = predicate_type
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let last = words[words.len().saturating_sub(3)..].join("-").to_lowercase();
    let last = &last[last.len().saturating_sub(LONGEST_STEM)..];
    if last.is_empty() { "statement".to_owned() } else { last.to_owned() }
}

/// How a file ends that holds the predicate alone; `None` where that is no document of its own.
pub fn document_ending(predicate_type: &str) -> Option<&'static str> {
    found(predicate_type).and_then(|(_, known)| known.document)
}

/// Whether a statement is an SLSA provenance, be it of a version that nobody here can read.
pub fn is_slsa_provenance(predicate_type: &str) -> bool {
    predicate_type.starts_with("https://slsa.dev/provenance/")
}

impl FromStr for EvidencePart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "index" => Ok(Self::Index),
            "platforms" => Ok(Self::Platform),
            "attestations" => Ok(Self::Attestations),
            other => Err(format!("`{other}` is none of `index`, `platforms`, `attestations`")),
        }
    }
}

impl fmt::Display for EvidencePart {
    /// The word of a policy.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Index => "index",
            Self::Platform => "platforms",
            Self::Attestations => "attestations",
            Self::Artifact => "artifact",
        })
    }
}

impl FromStr for EvidenceFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "bundle" => Ok(Self::Bundle),
            "legacy" => Ok(Self::Legacy),
            other => Err(format!("`{other}` is neither `bundle` nor `legacy`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_row_and_its_own_words() {
        let kinds = [
            EvidenceKind::Signature,
            EvidenceKind::Sbom,
            EvidenceKind::Provenance,
            EvidenceKind::Vulnerabilities,
            EvidenceKind::Vex,
            EvidenceKind::TestResult,
            EvidenceKind::VerificationSummary,
        ];
        assert_eq!(TABLE.each_ref().map(|row| row.kind), kinds);
        let mut stems = Vec::new();
        for row in &TABLE {
            assert_eq!(row.word.parse(), Ok(row.kind));
            assert!(row.kind.types().all(|kind| row.kind.is(kind)));
            stems.extend(row.types.iter().map(|known| (row.kind, known.stem)));
        }
        // An image has its SBOM in one format.
        stems.dedup();
        let mut known: Vec<&str> = stems.iter().map(|(_, stem)| *stem).collect();
        known.sort_unstable();
        assert!(known.is_sorted_by(|left, right| left < right), "{known:?}");
    }

    #[test]
    fn a_version_behind_is_known_where_writers_put_one() {
        for (predicate_type, kind) in [
            ("https://spdx.dev/Document/v2.3", Some(EvidenceKind::Sbom)),
            ("https://cyclonedx.org/bom/v1.5", Some(EvidenceKind::Sbom)),
            ("https://openvex.dev/ns/v0.2.0", Some(EvidenceKind::Vex)),
            ("https://spdx.dev/DocumentX", None),
            ("https://spdx.dev/Document/", None),
            ("https://cyclonedx.org/bomb", None),
            ("https://slsa.dev/provenance/v1.1", None),
            ("https://slsa.dev/provenance/v1/v2", None),
            ("", None),
        ] {
            assert_eq!(EvidenceKind::of(predicate_type), kind, "{predicate_type}");
        }
        assert_eq!(cosign_type("https://spdx.dev/Document/v2.3"), "https://spdx.dev/Document/v2.3");
        assert_eq!(cosign_type(SPDX), "spdxjson");
        assert_eq!(cosign_type(IN_TOTO_VULNERABILITIES), IN_TOTO_VULNERABILITIES);
        assert_eq!(label(SLSA_02), "provenance 0.2");
        assert_eq!(label("https://x.example/y"), "https://x.example/y");
    }
}
