//! Whom a run believes → the formats that its evidence can have, and what the plan says of it. Pure.

use serde_json::{Value, json};

use super::PlannedRelease;
use crate::error::{Remedy as _, WithExit, exit};
use crate::evidence::EvidenceFormat;
use crate::inputs::Inputs;
use crate::sigstore::settled::SettledTrust;

/// Where the files of trust are from, in words.
#[derive(Debug, Clone)]
pub(super) struct PlannedTrust {
    trusted_root: String,
    signing_config: String,
}

impl PlannedTrust {
    pub(super) fn of(trust: &SettledTrust) -> Self {
        Self {
            trusted_root: trust.trusted_root.origin(),
            signing_config: trust.signing_config.origin(),
        }
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { trusted_root, signing_config } = self;
        if trusted_root == signing_config {
            return vec![format!("Trust:      {trusted_root}")];
        }
        vec![format!("Trust:      root: {trusted_root}; signing config: {signing_config}")]
    }

    /// For machines.
    pub(super) fn json(&self) -> Value {
        json!({ "trusted_root": self.trusted_root, "signing_config": self.signing_config })
    }
}

impl PlannedRelease {
    /// Settles the formats: the older one needs a log of version 1.
    pub(super) fn settled(
        mut self,
        inputs: &Inputs,
        trust: Option<&SettledTrust>,
    ) -> anyhow::Result<Self> {
        let Some(trust) = trust else { return Ok(self) };
        self.trust = Some(PlannedTrust::of(trust));
        let legacy = EvidenceFormat::Legacy;
        let wants_legacy =
            self.targets.iter().any(|target| target.requirements.formats.contains(&legacy));
        if !wants_legacy || trust.makes_legacy() {
            return Ok(self);
        }
        let why = "the signing config names no transparency log of version 1, which `legacy` needs";
        if inputs.signing.signature_formats.is_some() {
            let message = format!("input `signature-formats`: {why}");
            return Err(WithExit { code: exit::BAD_INPUT, message })
                .hint("leave `legacy` out, or name such a log");
        }
        self.about
            .notices
            .push(format!("signatures and attestations are kept as bundles alone: {why}"));
        for target in &mut self.targets {
            target.requirements.formats.retain(|format| *format != legacy);
        }
        Ok(self)
    }

    /// Whom the run believes, for people.
    pub(super) fn trust_lines(&self) -> Vec<String> {
        self.trust.as_ref().map(PlannedTrust::lines).unwrap_or_default()
    }

    /// The same for machines.
    pub(super) fn trust_json(&self) -> Value {
        self.trust.as_ref().map_or(Value::Null, PlannedTrust::json)
    }
}
