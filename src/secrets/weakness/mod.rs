//! The config of an image → what is unwise in it, each with a hint. It judges no package and no
//! program.

mod entries;
mod lint;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

pub use self::entries::{LayerEntry, LayerEntryKind, of_entry};
pub use self::lint::{BadLint, LintReport, read_lint};
use super::config::{RunConfig, assignments, is_named, is_secret};
use super::leak::{Confidence, Leak, LeakPlace};
use crate::text::seen::visible;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    Note,
    Warning,
    Error,
}

impl Gravity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// In the words that inputs and other scanners have.
    pub fn severity(self) -> &'static str {
        match self {
            Self::Note => "low",
            Self::Warning => "medium",
            Self::Error => "high",
        }
    }
}

/// Something that is set in an unwise way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Weakness {
    pub rule: Cow<'static, str>,
    pub gravity: Gravity,
    pub message: String,
    pub hint: String,
    pub place: WeakPlace,
}

/// Where it is set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeakPlace {
    Config,
    Environment(String),
    /// A step, counted from one.
    History(usize),
    Entry(String),
    /// A line of a Dockerfile, counted from one.
    Line {
        file: String,
        line: u32,
    },
}

impl fmt::Display for WeakPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => formatter.write_str("config"),
            Self::Environment(name) => write!(formatter, "environment {}", visible(name)),
            Self::History(step) => write!(formatter, "history, step {step}"),
            Self::Entry(path) => formatter.write_str(&visible(path)),
            Self::Line { file, line } => write!(formatter, "{}:{line}", visible(file)),
        }
    }
}

/// What is looked for here; the checks of BuildKit have names of their own, behind `buildkit/`.
const RULES: [&str; 13] = [
    "root-user",
    "moving-base",
    "no-healthcheck",
    "exposes-ssh",
    "secret-in-environment",
    "secret-in-build",
    "unchecked-download",
    "sudo",
    "argument-for-secret",
    "setuid",
    "setgid",
    "world-writable-directory",
    "world-writable-file",
];

/// Whether a weakness may have this id.
pub fn is_rule(id: &str) -> bool {
    RULES.contains(&id) || id.starts_with("buildkit/")
}

fn weakness(
    rule: &'static str,
    gravity: Gravity,
    place: WeakPlace,
    message: impl Into<String>,
    hint: &str,
) -> Weakness {
    let (message, hint) = (message.into(), hint.to_owned());
    Weakness { rule: Cow::Borrowed(rule), gravity, message, hint, place }
}

/// `base` is the name of the base image, where it is known.
pub fn of_config(config: &RunConfig, base: Option<&str>) -> Vec<Weakness> {
    let mut found = Vec::new();
    found.extend(root(config));
    found.extend(base.and_then(moving_base));
    let wishes = config.config.as_ref();
    if wishes.is_none_or(|it| it.healthcheck.is_none()) {
        found.push(weakness(
            "no-healthcheck",
            Gravity::Note,
            WeakPlace::Config,
            "no health check is set",
            "Add `HEALTHCHECK`, unless the platform has its own probes.",
        ));
    }
    let ports = wishes.and_then(|it| it.exposed_ports.as_ref());
    if ports.is_some_and(|ports| ports.keys().any(|port| matches!(port.as_str(), "22" | "22/tcp")))
    {
        found.push(weakness(
            "exposes-ssh",
            Gravity::Warning,
            WeakPlace::Config,
            "port 22 is exposed",
            "Use the platform's `exec` in place of a server for SSH.",
        ));
    }
    found.extend(secrets(config));
    found.extend(steps(config));
    found
}

fn root(config: &RunConfig) -> Option<Weakness> {
    let user = config.config.as_ref().and_then(|it| it.user.as_deref()).unwrap_or_default();
    let name = user.split(':').next().unwrap_or_default().trim();
    let is_zero = !name.is_empty() && name.bytes().all(|it| it == b'0');
    (name.is_empty() || name == "root" || is_zero).then(|| {
        let message = match name {
            "" => "no user is set, so it runs as root",
            _ => "it runs as root",
        };
        let hint = "Set a `USER` that is not root, by its number.";
        weakness("root-user", Gravity::Warning, WeakPlace::Config, message, hint)
    })
}

/// A name without a tag or digest, or with the tag that moves most.
fn moving_base(base: &str) -> Option<Weakness> {
    let last = base.rsplit('/').next().unwrap_or(base);
    let is_moving = match last.rsplit_once(':') {
        Some((_, tag)) => tag == "latest",
        None => true,
    };
    let is_fixed = base.contains('@') || base == "scratch" || base.is_empty();
    (is_moving && !is_fixed).then(|| {
        let message = format!("the base image {} names no version", visible(base));
        let hint = "Name a version, best with its digest: `FROM name:1.2@sha256:…`.";
        weakness("moving-base", Gravity::Warning, WeakPlace::Config, message, hint)
    })
}

fn secrets(config: &RunConfig) -> Vec<Weakness> {
    let leaks = config.leaks();
    let mut places = BTreeSet::new();
    let of_leak = |leak: &Leak| {
        let (rule, place) = match &leak.place {
            LeakPlace::Environment { name } => {
                ("secret-in-environment", WeakPlace::Environment(name.clone()))
            }
            LeakPlace::History { step } => ("secret-in-build", WeakPlace::History(*step)),
            _ => return None,
        };
        let gravity = match leak.confidence {
            Confidence::Verifiable => Gravity::Error,
            Confidence::Told => Gravity::Warning,
        };
        let hint = match rule {
            "secret-in-environment" => "Give it to the container when it starts.",
            _ => "Mount it for one step: `RUN --mount=type=secret,id=…`.",
        };
        let message = format!("{} is kept in the image", leak.rule.what);
        Some(weakness(rule, gravity, place, message, hint))
    };
    let mut found: Vec<Weakness> = leaks.iter().filter_map(of_leak).collect();
    found.retain(|it| places.insert(it.place.clone()));
    found
}

fn steps(config: &RunConfig) -> Vec<Weakness> {
    let mut found = Vec::new();
    for (step, text) in config.steps() {
        let place = || WeakPlace::History(step);
        let words: Vec<&str> = text.split_whitespace().collect();
        let is_add = words.iter().take(4).any(|word| *word == "ADD");
        let is_remote = |word: &&str| word.starts_with("http://") || word.starts_with("https://");
        if is_add && words.iter().any(is_remote) && !text.contains("--checksum=") {
            found.push(weakness(
                "unchecked-download",
                Gravity::Warning,
                place(),
                "`ADD` downloads a file without checking its content",
                "Give its digest: `ADD --checksum=sha256:…`.",
            ));
        }
        if words.iter().any(|word| *word == "sudo" || word.ends_with("/bin/sudo")) {
            found.push(weakness(
                "sudo",
                Gravity::Note,
                place(),
                "`sudo` is used or installed",
                "Change `USER` between steps; the image needs no `sudo`.",
            ));
        }
        let is_argument = words.first() == Some(&"ARG");
        for (name, _) in assignments(text).iter().filter(|(name, value)| {
            is_argument && is_named(name) && !is_secret(value) && !value.is_empty()
        }) {
            found.push(weakness(
                "argument-for-secret",
                Gravity::Note,
                place(),
                format!("argument {} has a default", visible(name)),
                "Mount secrets for one step: `RUN --mount=type=secret,id=…`.",
            ));
        }
    }
    found
}
