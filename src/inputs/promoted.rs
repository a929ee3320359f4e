//! The inputs of `promote` alone → which image goes where, and what must be proven of it. Pure; the
//! words of its policy are those of `verify`, which reads them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::source_images::source_images;
use super::table::InputGroup;
use super::texts::InputTexts;
use super::{InputProblems, unique};
use crate::attest::summary::TrustedBuilder;
use crate::build::merge::claims::SourceImage;
use crate::image::spelling::ReferenceParts;
use crate::image::{Repository, Tag};
use crate::text::lists;

/// What `promote` alone is told.
#[derive(Debug, Default)]
pub struct Promoted {
    /// Without one, the image that this commit was published as.
    pub source: Option<PromotionSource>,
    /// OCI layouts on disk to promote to, beside repositories.
    pub layouts: Vec<PathBuf>,
    pub policy: PolicyTexts,
    /// Whether it is scanned again before it is copied.
    pub rescan: bool,
    /// How long the image may still be on its way.
    pub wait_for_source: Duration,
    pub dry_run: bool,
    /// Whether the commit of a tag may lie outside of the default branch.
    pub allow_any_branch: bool,
    /// Whether what was verified is said, signed, at each destination.
    pub verification_summary: bool,
    /// Whose provenance a summary counts as SLSA Build Level 3.
    pub trusted_builders: Vec<TrustedBuilder>,
}

/// Where an image is promoted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromotionSource {
    Registry(SourceImage),
    /// An OCI layout on disk: a path, with the image's name or digest behind it.
    Layout(String),
}

impl fmt::Display for PromotionSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(image) => image.fmt(formatter),
            Self::Layout(path) => write!(formatter, "{LAYOUT}{path}"),
        }
    }
}

/// How the name of a layout on disk begins.
const LAYOUT: &str = "oci-layout:";
/// The image of a promotion that goes to no repository; nobody is asked for it.
pub const NOWHERE: &str = "oci-layout.invalid/image";

/// What must be proven, as options of `verify`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PolicyTexts {
    /// `--name=value`.
    pub options: Vec<String>,
    /// Whether any of them says whose image it is.
    pub names_signer: bool,
}

impl PolicyTexts {
    /// The options that were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let name = |option: &'_ String| option.trim_start_matches("--").find('=').unwrap_or(0);
        self.options.iter().map(move |option| option.get(2..2 + name(option)).unwrap_or_default())
    }
}

/// Longer is no wait but a run that nobody looks at.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 60 * 60);

pub(super) fn promoted(given: &InputTexts, problems: &mut InputProblems) -> Promoted {
    let verification_summary = given.switch("verification-summary", problems);
    let rescan = given.switch("rescan", problems);
    if !rescan {
        // `osv-url` is what a workflow may set for all of its runs.
        let ours = ["advisories", "ignore-file", "vex", "max-advisory-age"];
        for name in given.set_of(InputGroup::Scan).into_iter().filter(|it| ours.contains(it)) {
            problems.say(name, "it has no effect without `rescan: true`");
        }
    }
    // What is known today takes the place of what the signed result says.
    let asked = if rescan { &OF_PROMOTION[2..] } else { &OF_PROMOTION };
    Promoted {
        source: source(given, problems),
        layouts: layouts(given, problems),
        policy: policy(given, asked, problems),
        rescan,
        wait_for_source: given
            .get("wait-for-source")
            .map(|text| wait(text, problems))
            .unwrap_or_default(),
        dry_run: given.switch("dry-run", problems),
        allow_any_branch: given.switch("allow-any-branch", problems),
        trusted_builders: of_summary(verification_summary, given, problems),
        verification_summary,
    }
}

/// The workflows that a summary counts as isolated. What only changes a summary is refused where
/// there is none.
fn of_summary(
    is_wanted: bool,
    given: &InputTexts,
    problems: &mut InputProblems,
) -> Vec<TrustedBuilder> {
    if !is_wanted {
        let set =
            |name: &str| given.get(name).is_some_and(|text| !["", "false"].contains(&text.trim()));
        for name in ["trusted-builders", "allow-public-log"].into_iter().filter(|name| set(name)) {
            problems.say(name, "it has no effect without `verification-summary: true`");
        }
    }
    match given.get("trusted-builders") {
        Some(text) => problems.some("trusted-builders", text),
        None => Vec::new(),
    }
}

fn source(given: &InputTexts, problems: &mut InputProblems) -> Option<PromotionSource> {
    let text = given.get("source").unwrap_or_default();
    if let Some(path) = text.trim().strip_prefix(LAYOUT) {
        if path.is_empty() {
            problems.say("source", "`oci-layout:` names no path");
        }
        return Some(PromotionSource::Layout(path.to_owned()));
    }
    let mut sources = source_images("source", text, problems);
    if sources.len() > 1 {
        problems.say("source", "one image is promoted at a time");
    }
    sources.pop().map(PromotionSource::Registry)
}

fn layouts(given: &InputTexts, problems: &mut InputProblems) -> Vec<PathBuf> {
    let words = lists::words(given.get("destinations").unwrap_or_default());
    let paths: Vec<PathBuf> =
        words.iter().filter_map(|word| word.strip_prefix(LAYOUT)).map(PathBuf::from).collect();
    if paths.iter().any(|path| path.file_name().is_none()) {
        problems.say("destinations", "`oci-layout:` names no path");
    }
    unique(paths)
}

/// The tags of a promotion that runs in no workflow and is told none: the name that the image has
/// at its source.
pub(super) fn tags(given: &InputTexts, event: &str) -> Option<String> {
    if given.get("tags").is_some() || !event.is_empty() {
        return None;
    }
    let source = given.get("source")?.trim();
    let name = ReferenceParts::of(source.strip_prefix(LAYOUT).unwrap_or(source));
    name.tag.filter(|tag| tag.parse::<Tag>().is_ok()).map(str::to_owned)
}

/// Each destination once, in their order.
pub(super) fn destinations(given: &InputTexts, problems: &mut InputProblems) -> Option<String> {
    let text = given.get("destinations")?;
    let mut names = Vec::new();
    let words = lists::words(text);
    if !words.is_empty() && words.iter().all(|word| word.starts_with(LAYOUT)) {
        return Some(NOWHERE.to_owned());
    }
    for word in words.into_iter().filter(|word| !word.starts_with(LAYOUT)) {
        match word.to_lowercase().parse::<Repository>() {
            Ok(repository) => names.push(repository.to_string()),
            Err(error) => problems.say("destinations", error),
        }
    }
    Some(unique(names).join("\n"))
}

/// What a promotion asks besides: of results of scans, and of the word of another verifier.
const OF_PROMOTION: [&str; 7] = [
    "fail-on",
    "only-fixed",
    "max-scan-age",
    "verifier-id",
    "verifier-identity",
    "min-level",
    "resource-uri",
];

/// The words of a policy, and those that one action has besides.
pub(super) fn policy(
    given: &InputTexts,
    besides: &[&'static str],
    problems: &mut InputProblems,
) -> PolicyTexts {
    let one = [
        "certificate-identity",
        "certificate-identity-regexp",
        "repo",
        "key",
        "certificate-oidc-issuer",
        "source-repository",
        "source-repository-id",
        "source-ref",
        "source-commit",
        "trigger",
        "runner",
    ];
    let mut options = Vec::new();
    let mut names_signer = false;
    for (at, name) in one.into_iter().chain(besides.iter().copied()).enumerate() {
        if let Some(text) = given.get(name).map(str::trim) {
            names_signer |= at < 4;
            options.push(format!("--{name}={text}"));
        }
    }
    if let Some(text) = given.get("require") {
        for line in text.split_whitespace() {
            if !line.contains('=') {
                problems.say(
                    "require",
                    format_args!("`{line}` is not PART=KINDS, such as `platforms=signature,sbom`"),
                );
            }
            options.push(format!("--require={line}"));
        }
    }
    let listed = [
        ("platform", "platforms"),
        ("signature-formats", "signature-formats"),
        ("allow-index-entries", "allow-index-entries"),
    ];
    for (option, name) in listed {
        let words = lists::words(given.get(name).unwrap_or_default());
        options.extend(words.into_iter().map(|word| format!("--{option}={word}")));
    }
    PolicyTexts { options, names_signer }
}

/// `30m`, `90s`, `2h`.
fn wait(text: &str, problems: &mut InputProblems) -> Duration {
    let text = text.trim();
    let seconds = text.char_indices().next_back().and_then(|(at, unit)| {
        let count: u64 = text[..at].parse().ok()?;
        let unit = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            _ => return None,
        };
        count.checked_mul(unit)
    });
    match seconds.map(Duration::from_secs) {
        Some(wait) if wait <= LONGEST_WAIT => wait,
        Some(_) => {
            problems.say("wait-for-source", format_args!("`{text}` is longer than `6h`"));
            Duration::ZERO
        }
        None => {
            problems.say(
                "wait-for-source",
                format_args!("`{text}` is not a time such as `30m`, `90s` or `2h`"),
            );
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Action;

    #[test]
    fn a_wait_is_a_number_and_its_unit() {
        let read = |text: &str| {
            let mut problems = InputProblems::default();
            let read = wait(text, &mut problems);
            problems.said.is_empty().then_some(read.as_secs())
        };
        for (text, seconds) in [("30m", 1800), ("90s", 90), (" 2h ", 7200), ("0s", 0)] {
            assert_eq!(read(text), Some(seconds), "{text}");
        }
        for text in ["", "m", "30", "30min", "-1m", "1.5h", "7h", "99999999999999999999h", "30м"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_place_is_a_repository_or_a_layout_on_disk() {
        let read = |source: &str, destinations: &str| {
            let env = [("INPUT_SOURCE", source), ("INPUT_DESTINATIONS", destinations)];
            let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let given = InputTexts::of(Action::Promote, &env).unwrap();
            let mut problems = InputProblems::default();
            let repositories = super::destinations(&given, &mut problems);
            let promoted = promoted(&given, &mut problems);
            let source = promoted.source.map(|source| source.to_string());
            let tags = tags(&given, "");
            (source, tags, repositories, promoted.layouts, problems.said.len())
        };
        let (source, tag, to, layouts, wrong) =
            read("oci-layout:a.tar:v1", "oci-layout:x\noci-layout:y.tar");
        assert_eq!(source.as_deref(), Some("oci-layout:a.tar:v1"));
        assert_eq!((tag.as_deref(), to.as_deref(), wrong), (Some("v1"), Some(NOWHERE), 0));
        assert_eq!(layouts, [PathBuf::from("x"), PathBuf::from("y.tar")]);
        let (_, tag, to, layouts, _) = read("oci-layout:/a:b/c.tar", "r.io/o/a, oci-layout:x");
        assert_eq!((tag, to.as_deref(), layouts.len()), (None, Some("r.io/o/a"), 1));
        let (source, tag, ..) = read("r.io:5000/o/a:v2@sha256:00", "r.io/o/a");
        assert_eq!((source, tag.as_deref()), (None, Some("v2")), "a digest that is none");
        for (source, to) in [
            ("oci-layout:", "r.io/o/a"),
            ("r.io/o/a:1", "oci-layout:"),
            ("r.io/o/a:1", "oci-layout:.."),
        ] {
            assert_eq!(read(source, to).4, 1, "{source} {to}");
        }
    }

    #[test]
    fn words_of_the_policy_are_options_of_verify() {
        let env = [
            ("INPUT_CERTIFICATE-IDENTITY", " https://github.com/o/r/x.yml@refs/tags/v1\n"),
            ("INPUT_REQUIRE", "index=signature\nplatforms=signature,sbom"),
            ("INPUT_PLATFORMS", "linux/amd64, linux/arm64"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let given = InputTexts::of(Action::Promote, &env).unwrap();
        let mut problems = InputProblems::default();
        let policy = policy(&given, &[], &mut problems);
        assert!(problems.said.is_empty() && policy.names_signer);
        assert_eq!(
            policy.options,
            [
                "--certificate-identity=https://github.com/o/r/x.yml@refs/tags/v1",
                "--require=index=signature",
                "--require=platforms=signature,sbom",
                "--platform=linux/amd64",
                "--platform=linux/arm64",
            ]
        );
    }
}
