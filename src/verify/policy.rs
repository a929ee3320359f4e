//! What must be proven about an image: who signed, and which statements each of its parts needs.
//! Pure.

use crate::evidence::EvidenceFormat;
use crate::evidence::EvidenceKind;
use crate::evidence::EvidencePart;
use std::str::FromStr;

use serde::Serialize;

use super::signer::SignerPolicy;
use crate::evidence;
use crate::evidence::SLSA_1;
use crate::image::Platform;
use crate::oci::Allowed;
use crate::provenance::Slsa;

use super::check::Check;

/// In which formats a statement that is needed must be there.
#[derive(Debug, Clone, Copy)]
pub enum FormatsAccepted<'a> {
    /// In each of these.
    Each(&'a [EvidenceFormat]),
    /// In one of those that were read, whichever.
    Any,
}

/// A kind of statement that a part needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvidenceNeed {
    /// Of this predicate type and no other.
    Type(String),
    /// Of this kind, whichever of its predicate types.
    Kind(EvidenceKind),
}

impl EvidenceNeed {
    pub fn is_met_by(&self, predicate_type: &str) -> bool {
        match self {
            Self::Type(wanted) => wanted == predicate_type,
            Self::Kind(kind) => kind.is(predicate_type),
        }
    }

    /// What it is; `None` of a predicate type that no row of the table has.
    pub fn kind(&self) -> Option<EvidenceKind> {
        match self {
            Self::Type(wanted) => EvidenceKind::of(wanted),
            Self::Kind(kind) => Some(*kind),
        }
    }

    /// What a text asks of a part; of no part is asked what cannot be about it.
    pub fn about(part: EvidencePart, text: &str) -> Result<Self, String> {
        let need: Self = text.parse()?;
        match need.kind() {
            Some(kind) if !kind.belongs_to(part) => Err(format!(
                "`{part}` can only have a signature, not `{text}`; require that of `index` or `platforms`"
            )),
            _ => Ok(need),
        }
    }

    fn types(&self) -> Vec<&str> {
        match self {
            Self::Type(wanted) => vec![wanted.as_str()],
            Self::Kind(kind) => kind.types().collect(),
        }
    }
}

impl FromStr for EvidenceNeed {
    type Err = String;

    /// A word of the table of kinds, or a predicate type.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            // Signatures have one type, and the message about one that is missing names it alone.
            Ok(EvidenceKind::Signature) => Ok(Self::Type(evidence::SIGNATURE.to_owned())),
            Ok(kind) => Ok(Self::Kind(kind)),
            Err(_) if text.contains("://") => Ok(Self::Type(text.to_owned())),
            Err(why) => Err(format!("{why}, nor a predicate type (a URL)")),
        }
    }
}

impl std::fmt::Display for EvidenceNeed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let types: Vec<String> = self.types().iter().map(|kind| format!("`{kind}`")).collect();
        formatter.write_str(&types.join(" or "))
    }
}

impl Serialize for EvidenceNeed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.types().join(" or "))
    }
}

/// A statement that a part needs, and what it must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRule {
    pub need: EvidenceNeed,
    /// All of which must hold; without one it is enough that the statement is there.
    pub checks: Vec<Check>,
    /// Who must have signed it, where that is another than the image's signer: who scans again.
    pub by: Option<SignerPolicy>,
}

impl From<EvidenceNeed> for PolicyRule {
    fn from(need: EvidenceNeed) -> Self {
        Self { need, checks: Vec::new(), by: None }
    }
}

impl Serialize for PolicyRule {
    /// What is needed; a plan says apart what it must say.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.need.serialize(serializer)
    }
}

/// Which statements the parts of an image need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// Every platform that must be there.
    pub platforms: Vec<Platform>,
    pub index: Vec<PolicyRule>,
    pub platform: Vec<PolicyRule>,
    pub attestations: Vec<PolicyRule>,
    /// Those that are read.
    pub formats: Vec<EvidenceFormat>,
    /// What an image may hold that is refused otherwise.
    pub allowed: Allowed,
}

impl Requirements {
    pub fn new(
        platforms: &[Platform],
        sboms: &[&str],
        build_provenance: bool,
        signed: &[EvidencePart],
        formats: &[EvidenceFormat],
    ) -> Self {
        let need = |kind: &str| PolicyRule::from(EvidenceNeed::Type(kind.to_owned()));
        let signature =
            |part: EvidencePart| signed.contains(&part).then(|| need(evidence::SIGNATURE));
        let statements = |part: EvidencePart, is_proven: bool| {
            let provenance = is_proven.then_some(SLSA_1);
            let kinds = sboms.iter().copied().chain(provenance).map(need);
            signature(part).into_iter().chain(kinds).collect()
        };
        Self {
            platforms: platforms.to_vec(),
            index: statements(EvidencePart::Index, true),
            platform: statements(EvidencePart::Platform, build_provenance),
            attestations: signature(EvidencePart::Attestations).into_iter().collect(),
            formats: formats.to_vec(),
            allowed: Allowed::default(),
        }
    }

    /// With provenances of these versions of SLSA, wherever one is needed.
    pub fn proving(mut self, versions: &[Slsa]) -> Self {
        let rule = |version: &Slsa| {
            PolicyRule::from(EvidenceNeed::Type(version.predicate_type().to_owned()))
        };
        for rules in [&mut self.index, &mut self.platform] {
            if rules.contains(&rule(&Slsa::V1)) {
                let others = versions.iter().filter(|version| **version != Slsa::V1);
                rules.extend(others.map(rule));
            }
        }
        self
    }

    /// With the results of a scan in these predicate types, on the index and on each platform, of
    /// which these checks hold.
    pub fn scanned(mut self, types: &[&str], checks: &[Check]) -> Self {
        for kind in types {
            let need = EvidenceNeed::Type((*kind).to_owned());
            let rule = PolicyRule { checks: checks.to_vec(), ..PolicyRule::from(need) };
            self.index.push(rule.clone());
            self.platform.push(rule);
        }
        self
    }

    /// The same where no result of a scan is needed.
    pub fn without_scan(mut self) -> Self {
        for rules in [&mut self.index, &mut self.platform] {
            rules.retain(|rule| rule.need.kind() != Some(EvidenceKind::Vulnerabilities));
        }
        self
    }

    /// Asks these checks of the results of scans that are needed, signed by somebody else where
    /// that is said; where none is needed yet, the index and each platform need one.
    pub fn checking_scans(mut self, checks: &[Check], by: Option<&SignerPolicy>) -> Self {
        if checks.is_empty() && by.is_none() {
            return self;
        }
        let is_scan = |rule: &PolicyRule| rule.need.kind() == Some(EvidenceKind::Vulnerabilities);
        if !self.index.iter().chain(&self.platform).any(is_scan) {
            let rule = PolicyRule::from(EvidenceNeed::Kind(EvidenceKind::Vulnerabilities));
            self.index.push(rule.clone());
            self.platform.push(rule);
        }
        for rule in self.index.iter_mut().chain(&mut self.platform).filter(|rule| is_scan(rule)) {
            rule.checks.extend_from_slice(checks);
            rule.by = by.cloned();
        }
        self
    }

    /// Asks this of the verification summaries that are needed, signed by somebody else where that
    /// is said: what they say is nothing before that.
    pub fn checking_summaries(mut self, check: &Check, by: Option<&SignerPolicy>) -> Self {
        for rule in self.index.iter_mut().chain(&mut self.platform) {
            if rule.need.kind() == Some(EvidenceKind::VerificationSummary) {
                rule.checks.push(check.clone());
                rule.by = by.cloned();
            }
        }
        self
    }

    /// The versions of SLSA in which provenances are needed.
    pub fn provenance_versions(&self) -> Vec<Slsa> {
        let is_needed = |version: &Slsa| {
            self.index.iter().any(|rule| {
                matches!(&rule.need, EvidenceNeed::Type(wanted) if wanted == version.predicate_type())
            })
        };
        [Slsa::V1, Slsa::V02].into_iter().filter(is_needed).collect()
    }

    pub fn allowing(self, allowed: &Allowed) -> Self {
        Self { allowed: allowed.clone(), ..self }
    }

    /// What images have at least that earlier versions of this program published: their indexes
    /// have no SBOM, and nothing was scanned.
    pub fn of_earlier_versions(&self) -> Self {
        self.with_older_indexes().without_scan()
    }

    /// The same but for the SBOM of the index.
    pub fn with_older_indexes(&self) -> Self {
        let mut requirements = self.clone();
        requirements.index.retain(|rule| rule.need.kind() != Some(EvidenceKind::Sbom));
        requirements
    }

    /// Whether a part needs a signature of its own.
    pub fn signs(&self, part: EvidencePart) -> bool {
        self.of(part).iter().any(|rule| rule.need.is_met_by(evidence::SIGNATURE))
    }

    /// Asks these checks of the provenances of builds, which each platform then needs.
    pub fn checking_builds(mut self, checks: &[Check]) -> Self {
        if !checks.is_empty() {
            let rule = PolicyRule::from(EvidenceNeed::Kind(EvidenceKind::Provenance));
            self.platform.push(PolicyRule { checks: checks.to_vec(), ..rule });
        }
        self
    }

    /// What a part needs.
    pub fn of(&self, part: EvidencePart) -> &[PolicyRule] {
        match part {
            EvidencePart::Index | EvidencePart::Artifact => &self.index,
            EvidencePart::Platform => &self.platform,
            EvidencePart::Attestations => &self.attestations,
        }
    }
}

/// The gate: nothing is tagged that does not pass it.
#[derive(Debug, Clone)]
pub struct EvidencePolicy {
    /// Whose statements count.
    pub signer: SignerPolicy,
    pub requirements: Requirements,
}

impl EvidencePolicy {
    /// The same where the result of a scan is not needed.
    pub fn without_scan(self) -> Self {
        Self { requirements: self.requirements.without_scan(), ..self }
    }

    /// For an image that an earlier run of this commit published, and that gets its other names by
    /// what was proven then: it was scanned, where that is asked for.
    pub fn with_older_indexes(&self) -> Self {
        let requirements = self.requirements.with_older_indexes();
        Self { signer: self.signer.clone(), requirements }
    }

    /// For what stands on a name already, whichever version of this program put it there.
    pub fn of_earlier_versions(&self) -> Self {
        let requirements = self.requirements.of_earlier_versions();
        Self { signer: self.signer.clone(), requirements }
    }
}
