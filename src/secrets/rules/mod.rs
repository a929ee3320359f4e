//! The table of secrets: what each is called, where to look, its exact shape, and what proves it.
//! It holds no secret and searches nothing.

mod clouds;
mod files;
mod forges;
mod services;

use std::fmt;
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

use super::leak::Confidence;

/// A row of the table.
pub struct SecretRule {
    /// Stays for good: people accept by it.
    pub id: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    pub confidence: Confidence,
    /// One of them is in every match.
    pub(super) anchors: &'static [&'static str],
    pub(super) reach: Reach,
    pub(super) form: Form,
    pub(super) proof: Proof,
    /// People choose it, so that its hash would tell it.
    pub(super) is_guessable: bool,
    /// Its neighbours on either side say nothing.
    pub(super) is_loose: bool,
    /// How paths end that it is looked for in; none for any.
    pub(super) only_in: &'static [&'static str],
}

/// How far before its anchor a match begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Here,
    Back(usize),
    /// As many digits as there are.
    Digits,
}

/// What a match looks like from its begin on.
pub(super) enum Form {
    /// A regular expression; its first group is the value, or else all of it.
    Text(&'static str),
    /// Gives nothing where there is no such thing.
    Read(fn(&Around<'_>) -> Option<Capture>),
}

/// What must be true of a match besides its form.
pub(super) enum Proof {
    /// Of the value, which has a checksum.
    Checksum(fn(&[u8]) -> bool),
    /// The value decodes as what it says it is.
    Structure(fn(&[u8]) -> bool),
    /// What stands around it says the same.
    Context(fn(&Around<'_>, &[u8]) -> bool),
    /// As many bits a letter, and no placeholder.
    Entropy(f64),
    /// The form says all.
    Form,
}

/// The bytes around a match, which begins at `at`.
pub(super) struct Around<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// What a reader found.
pub(super) struct Capture {
    /// In the file.
    pub(super) length: usize,
    /// In one spelling, whatever the file's.
    pub(super) value: Vec<u8>,
}

/// No match is longer.
pub(super) const MOST_SPAN: usize = 32 << 10;
/// How far around a match what belongs to it is looked for.
pub(super) const NEAR: usize = 4 << 10;

impl<'a> Around<'a> {
    pub(super) fn ahead(&self) -> &'a [u8] {
        let end = self.bytes.len().min(self.at + MOST_SPAN);
        self.bytes.get(self.at..end).unwrap_or_default()
    }

    pub(super) fn before(&self, most: usize) -> &'a [u8] {
        self.bytes.get(self.at.saturating_sub(most)..self.at).unwrap_or_default()
    }

    pub(super) fn near(&self, most: usize) -> &'a [u8] {
        let end = self.bytes.len().min(self.at + most);
        self.bytes.get(self.at.saturating_sub(most)..end).unwrap_or_default()
    }
}

pub(super) const fn token(
    id: &'static str,
    what: &'static str,
    anchors: &'static [&'static str],
    shape: &'static str,
) -> SecretRule {
    row(id, what, anchors, Form::Text(shape), Proof::Entropy(3.5))
}

pub(super) const fn row(
    id: &'static str,
    what: &'static str,
    anchors: &'static [&'static str],
    form: Form,
    proof: Proof,
) -> SecretRule {
    SecretRule {
        id,
        what,
        confidence: Confidence::Verifiable,
        anchors,
        reach: Reach::Here,
        form,
        proof,
        is_guessable: false,
        is_loose: false,
        only_in: &[],
    }
}

impl SecretRule {
    const fn proved(mut self, proof: Proof) -> Self {
        self.is_loose = self.is_loose || matches!(proof, Proof::Checksum(_));
        self.proof = proof;
        self
    }

    const fn told(mut self) -> Self {
        self.confidence = Confidence::Told;
        self
    }

    const fn reaching(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    const fn loose(mut self) -> Self {
        self.is_loose = true;
        self
    }

    const fn guessable(mut self) -> Self {
        self.is_guessable = true;
        self
    }

    const fn only_in(mut self, endings: &'static [&'static str]) -> Self {
        self.only_in = endings;
        self
    }
}

/// Rules are told apart by their names.
impl PartialEq for SecretRule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for SecretRule {}

impl fmt::Debug for SecretRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.id)
    }
}

/// By a name that says so; only in the config of an image.
pub(super) static NAMED: SecretRule = row(
    "named-secret",
    "value whose name says that it is secret",
    &[],
    Form::Text(""),
    Proof::Form,
)
.told()
.guessable();
/// Likewise.
pub(super) static ADDRESS: SecretRule =
    row("address-with-password", "address with a password", &[], Form::Text(""), Proof::Form)
        .told()
        .guessable();

/// All rows that files are searched for; of two that match at one place the first one counts.
pub fn all() -> impl Iterator<Item = &'static SecretRule> {
    [files::ROWS, forges::ROWS, clouds::ROWS, services::ROWS].into_iter().flatten()
}

/// Whether a secret may be found by a rule of this id.
pub fn is_rule(id: &str) -> bool {
    all().chain([&NAMED, &ADDRESS]).any(|rule| rule.id == id)
}

/// The rows with their shapes ready, compiled when they are first asked for.
pub(super) fn ready() -> &'static [CompiledRule] {
    static READY: OnceLock<Vec<CompiledRule>> = OnceLock::new();
    READY.get_or_init(|| all().map(|rule| CompiledRule { rule, shape: OnceLock::new() }).collect())
}

pub(super) struct CompiledRule {
    pub(super) rule: &'static SecretRule,
    shape: OnceLock<Option<Regex>>,
}

impl CompiledRule {
    /// `None` of a row that is read otherwise; a test compiles all.
    pub(super) fn shape(&self) -> Option<&Regex> {
        let compiled = self.shape.get_or_init(|| match self.rule.form {
            Form::Text(shape) => compiled(shape).ok(),
            Form::Read(_) => None,
        });
        compiled.as_ref()
    }
}

pub(super) fn compiled(shape: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!(r"\A(?:{shape})")).unicode(false).dot_matches_new_line(true).build()
}
