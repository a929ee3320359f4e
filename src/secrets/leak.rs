//! A secret that lies somewhere, as it may be told: rule, place, a few letters that are no secret.
//! It never holds the value.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::rules::SecretRule;
use crate::text::seen::visible;

/// How sure a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Shown to people, and no reason to refuse.
    Told,
    /// Its format says that it is one: a reason to refuse.
    Verifiable,
}

/// A secret in a file or in the config of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leak {
    #[serde(rename = "rule", serialize_with = "id_of_rule")]
    pub rule: &'static SecretRule,
    pub place: LeakPlace,
    /// In the file or the text that it was found in.
    pub offset: u64,
    /// How often the place has it.
    pub times: u32,
    /// The layer's digest or number, where the caller knows it.
    pub layer: Option<String>,
    pub shown: String,
    pub fingerprint: Fingerprint,
    pub confidence: Confidence,
    /// Why it is only told, though its format is sure.
    pub excuse: Option<Excuse>,
}

/// Where a secret lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeakPlace {
    File {
        path: String,
        spot: LeakSpot,
    },
    Environment {
        name: String,
    },
    Label {
        name: String,
    },
    /// Counted from one.
    History {
        step: usize,
    },
    Entrypoint,
    Command,
}

/// A line, counted from one, or in a binary file the byte, counted from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeakSpot {
    Line(u64),
    Byte(u64),
}

/// Why a secret of a sure format is no reason to refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Excuse {
    /// The layer is one of the base image's.
    BaseLayer,
    /// The file belongs to that package.
    Package(String),
    /// Packages put tests, samples or documents there.
    KnownPlace(&'static str),
}

impl fmt::Display for Excuse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BaseLayer => formatter.write_str("it is in the base image"),
            Self::Package(owner) => write!(formatter, "package {} owns it", visible(owner)),
            Self::KnownPlace(what) => write!(formatter, "it is in a place for {what}"),
        }
    }
}

/// The SHA-256 of a value, so that one secret in two places is one. Of what people could guess it
/// is the hash of rule and place, because a guess could be tried against the hash of a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of_value(value: &[u8]) -> Self {
        Self(Sha256::digest(value).into())
    }

    pub(super) fn of_place(rule: &str, place: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(rule.as_bytes());
        hasher.update([0]);
        hasher.update(place.as_bytes());
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn id_of_rule<S: Serializer>(rule: &&'static SecretRule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.id)
}

impl fmt::Display for LeakPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, spot: LeakSpot::Line(line) } => {
                write!(formatter, "{}:{line}", visible(path))
            }
            Self::File { path, spot: LeakSpot::Byte(byte) } => {
                write!(formatter, "{} (byte {byte})", visible(path))
            }
            Self::Environment { name } => write!(formatter, "environment {}", visible(name)),
            Self::Label { name } => write!(formatter, "label {}", visible(name)),
            Self::History { step } => write!(formatter, "history, step {step}"),
            Self::Entrypoint => formatter.write_str("entrypoint"),
            Self::Command => formatter.write_str("command"),
        }
    }
}

impl Leak {
    /// Of a layer, which may be the base image's.
    #[must_use]
    pub fn in_layer(mut self, layer: &str, is_base: bool) -> Self {
        self.layer = Some(layer.to_owned());
        if is_base { self.excused(Some(Excuse::BaseLayer)) } else { self }
    }

    /// Only told from here on, if there is a reason; the first one stays.
    #[must_use]
    pub fn excused(mut self, excuse: Option<Excuse>) -> Self {
        if self.confidence == Confidence::Verifiable
            && let Some(excuse) = excuse
        {
            (self.confidence, self.excuse) = (Confidence::Told, Some(excuse));
        }
        self
    }

    /// Where it lies, if that is a file.
    pub fn path(&self) -> Option<&str> {
        match &self.place {
            LeakPlace::File { path, .. } => Some(path),
            _ => None,
        }
    }
}
