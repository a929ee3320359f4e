//! Rules and a run → the version and the other names, in order. Pure; names are made of legal
//! letters, whether they are legal names is for others.
//!
//! Reference: <https://github.com/docker/metadata-action#typesemver> and its neighbours.

use serde_json::{Value, json};

use super::expression::{self, Expressions};
use super::line::{self, ReleaseLine, Scheme};
use super::rules::{Flavor, RuleKind, TagRule, VersionRule};
use super::{MetadataError, MetadataRun, javascript};

/// What the rules gave.
#[derive(Debug, Default)]
pub(super) struct RuleVersion {
    pub main: Option<String>,
    pub partial: Vec<String>,
    /// What the names stand for, in their order.
    pub made: Vec<TagOrigin>,
    /// The first version that a rule read, for `latest`.
    pub first: Option<line::LineVersion>,
    /// `None` while no rule gave a name.
    pub latest: Option<bool>,
    pub warnings: Vec<String>,
}

/// What a name stands for, and which entry of `tags` gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagOrigin {
    /// `None`: the flavor's `latest`.
    pub entry: Option<usize>,
    pub line: ReleaseLine,
}

/// A name from one rule, and whether it makes the image the latest when nobody says.
struct NamedVersion {
    name: String,
    latest: bool,
    line: ReleaseLine,
}

/// Applies the rules.
pub(super) fn version(
    rules: &[TagRule],
    flavor: &Flavor,
    run: &MetadataRun<'_>,
    expressions: &Expressions,
) -> Result<RuleVersion, MetadataError> {
    let mut version = RuleVersion::default();
    let maker = TagMaker { flavor, run, expressions };
    for rule in rules {
        match expressions.global(&rule.enable)?.as_str() {
            "true" => {}
            "false" => continue,
            other => return Err(MetadataError::Enable(other.to_owned())),
        }
        let Some(named) = maker.name(rule, &mut version.warnings)? else { continue };
        if named.name.is_empty() {
            continue;
        }
        let name = sanitised(&named.name);
        version.first = version.first.or_else(|| read_of(&named.line));
        version.latest.get_or_insert(flavor.latest.unwrap_or(named.latest));
        if version.main.is_none() {
            version.main = Some(name);
        } else if version.main.as_deref() != Some(&name) && !version.partial.contains(&name) {
            version.partial.push(name);
        } else {
            continue;
        }
        version.made.push(TagOrigin { entry: Some(rule.entry), line: named.line });
    }
    Ok(version)
}

/// The version that a name stands for, or the Git tag whose tag it is.
fn read_of(line: &ReleaseLine) -> Option<line::LineVersion> {
    match line {
        ReleaseLine::Ref(git_ref) => {
            line::LineVersion::read(git_ref.strip_prefix("refs/tags/")?, Scheme::Any)
        }
        line => line.version().cloned(),
    }
}

/// Runs of letters that no image's tag may have become `-`.
pub fn sanitised(name: &str) -> String {
    let mut text = String::new();
    let mut replaced = false;
    for letter in name.chars() {
        let legal = letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
        if legal {
            text.push(letter);
        } else if !replaced {
            text.push('-');
        }
        replaced = !legal;
    }
    text
}

struct TagMaker<'a> {
    flavor: &'a Flavor,
    run: &'a MetadataRun<'a>,
    expressions: &'a Expressions,
}

impl TagMaker<'_> {
    fn name(
        &self,
        rule: &TagRule,
        warnings: &mut Vec<String>,
    ) -> Result<Option<NamedVersion>, MetadataError> {
        let run = self.run;
        let named = |name: &str, latest, line| {
            self.affixed(name, rule).map(|name| Some(NamedVersion { name, latest, line }))
        };
        let affixed = |name: &str| named(name, false, ReleaseLine::Free);
        let of_branch = |name: &str, branch: &str| {
            named(name, false, ReleaseLine::Ref(format!("refs/heads/{branch}")))
        };
        match &rule.kind {
            RuleKind::Schedule { pattern } if run.event_name.contains("schedule") => {
                affixed(&self.expressions.dates(pattern)?)
            }
            RuleKind::Semver(version) => self.semver(version, rule, warnings),
            RuleKind::Pep440(version) => self.pep440(version, rule, warnings),
            RuleKind::Match { pattern, group, value } => {
                let Some(text) = self.value_or_tag(value)? else { return Ok(None) };
                let Some(part) = matched(pattern, group, &text, warnings)? else { return Ok(None) };
                let line = match line::LineVersion::read(&text, Scheme::Any) {
                    Some(version) => {
                        ReleaseLine::Version { whole: part.contains(version.text()), version }
                    }
                    None if value.is_empty() => ReleaseLine::Ref(run.git_ref.clone()),
                    None => ReleaseLine::Free,
                };
                named(&part, true, line)
            }
            RuleKind::Edge { branch } => match run.branch() {
                Some(on)
                    if on
                        == if branch.is_empty() {
                            run.default_branch()
                        } else {
                            branch.as_str()
                        } =>
                {
                    of_branch("edge", on)
                }
                _ => Ok(None),
            },
            RuleKind::Branch => run.branch().map_or(Ok(None), |branch| of_branch(branch, branch)),
            RuleKind::Tag => run
                .tag()
                .map_or(Ok(None), |tag| named(tag, true, ReleaseLine::Ref(run.git_ref.clone()))),
            RuleKind::PullRequest => match run.git_ref.strip_prefix("refs/pull/") {
                Some(pull) => affixed(pull.strip_suffix("/merge").unwrap_or(pull)),
                None => Ok(None),
            },
            RuleKind::Raw { value } => affixed(&self.expressions.global(value)?),
            RuleKind::Sha { .. } if run.sha.is_empty() => Ok(None),
            RuleKind::Sha { long: true } => affixed(&run.sha),
            RuleKind::Sha { long: false } => affixed(&run.short_sha()?),
            RuleKind::Schedule { .. } => Ok(None),
        }
    }

    /// A rule's own prefix and suffix, or the flavor's.
    fn affixed(&self, name: &str, rule: &TagRule) -> Result<String, MetadataError> {
        let prefix =
            self.expressions.global(rule.prefix.as_ref().unwrap_or(&self.flavor.prefix))?;
        let suffix =
            self.expressions.global(rule.suffix.as_ref().unwrap_or(&self.flavor.suffix))?;
        Ok(format!("{prefix}{name}{suffix}"))
    }

    /// The rule's value, or the Git tag of the run.
    fn value_or_tag(&self, value: &str) -> Result<Option<String>, MetadataError> {
        if value.is_empty() {
            Ok(self.run.tag().map(str::to_owned))
        } else {
            self.expressions.global(value).map(Some)
        }
    }

    /// The text a version is read from, and what it was before.
    fn version_text(
        &self,
        rule: &VersionRule,
        warnings: &mut Vec<String>,
    ) -> Result<Option<(String, String)>, MetadataError> {
        let Some(whole) = self.value_or_tag(&rule.value)? else { return Ok(None) };
        let mut text = whole.clone();
        if !rule.part.is_empty() {
            match regular_expression(&rule.part, "", &text)? {
                None => warnings.push(format!("{} does not match {text}.", rule.part)),
                Some(groups) => match groups.into_iter().nth(1).flatten() {
                    Some(part) => text = part,
                    None => return Err(MetadataError::NoGroup(rule.part.clone())),
                },
            }
        }
        let whole = if whole.contains(&text) { whole } else { text.clone() };
        Ok(Some((text.replace('/', "-"), whole)))
    }

    fn semver(
        &self,
        rule: &VersionRule,
        of: &TagRule,
        warnings: &mut Vec<String>,
    ) -> Result<Option<NamedVersion>, MetadataError> {
        let Some((text, whole)) = self.version_text(rule, warnings)? else { return Ok(None) };
        let Some(version) = strict_semver(&text) else {
            warnings.push(format!("{text} is not a valid semver. More info: https://semver.org/"));
            return Ok(None);
        };
        let plain = semver::Version { build: semver::BuildMetadata::EMPTY, ..version.clone() };
        let words = |text: &str| -> Vec<Value> {
            text.split('.')
                .filter(|word| !word.is_empty())
                .map(|word| word.parse::<u64>().map_or(json!(word), |number| json!(number)))
                .collect()
        };
        let fields = json!({
            "raw": text, "version": plain.to_string(), "major": version.major, "minor": version.minor, "patch": version.patch,
            "prerelease": words(version.pre.as_str()),
            "build": version.build.split('.').filter(|word| !word.is_empty()).collect::<Vec<_>>(),
        });
        // A prerelease is one version and no range, whatever the pattern.
        let stable = version.pre.is_empty();
        let pattern = if stable || expression::is_raw(&rule.pattern) {
            rule.pattern.as_str()
        } else {
            "{{version}}"
        };
        let made = self.expressions.fields(pattern, &fields)?;
        let version = line::LineVersion::within(&whole, javascript::trim(&text), Scheme::Any);
        let line = ReleaseLine::Version { version, whole: made.contains(&plain.to_string()) };
        Ok(Some(NamedVersion { name: self.affixed(&made, of)?, latest: stable, line }))
    }

    fn pep440(
        &self,
        rule: &VersionRule,
        of: &TagRule,
        warnings: &mut Vec<String>,
    ) -> Result<Option<NamedVersion>, MetadataError> {
        let Some((text, whole)) = self.version_text(rule, warnings)? else { return Ok(None) };
        let version = Some(&text)
            .filter(|text| text.trim() == text.as_str())
            .and_then(|text| text.parse::<pep440_rs::Version>().ok());
        let Some(version) = version else {
            warnings.push(format!("{text} does not conform to PEP 440. More info: https://www.python.org/dev/peps/pep-0440"));
            return Ok(None);
        };
        let release = version.release().to_vec();
        let number = |at: usize| release.get(at).copied().unwrap_or(0);
        let clean = version.to_string();
        // The parts of a local version are joined by commas there, which no tag may have; both end
        // as `-`.
        let clean = match clean.split_once('+') {
            Some((public, local)) => format!("{public}+{}", local.replace('.', ",")),
            None => clean,
        };
        let stable = !(version.any_prerelease() || version.is_post());
        let line = ReleaseLine::Version {
            version: line::LineVersion::within(&whole, &text, Scheme::Pep440),
            whole: !stable || rule.pattern.contains("version") || rule.pattern.contains("raw"),
        };
        let name = match (stable, expression::is_raw(&rule.pattern)) {
            (false, true) => text,
            (false, false) => clean,
            (true, _) => {
                let fields = json!({ "raw": text, "version": clean, "major": number(0), "minor": number(1), "patch": number(2) });
                self.expressions.fields(&rule.pattern, &fields)?
            }
        };
        Ok(Some(NamedVersion { name: self.affixed(&name, of)?, latest: stable, line }))
    }
}

/// <https://semver.org>, with an optional `v`, and numbers that JavaScript can count.
fn strict_semver(text: &str) -> Option<semver::Version> {
    let text = javascript::trim(text);
    let version = semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()?;
    let countable =
        [version.major, version.minor, version.patch].into_iter().all(|number| number < 1 << 53);
    Some(version).filter(|_| countable && text.len() <= 256)
}

fn regular_expression(
    pattern: &str,
    flags: &str,
    text: &str,
) -> Result<Option<Vec<Option<String>>>, MetadataError> {
    javascript::matches(pattern, flags, text)
        .map_err(|why| MetadataError::Pattern { pattern: pattern.to_owned(), why })
}

/// The group of `pattern`, which may be `/expression/flags`.
fn matched(
    pattern: &str,
    group: &str,
    text: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<String>, MetadataError> {
    let (expression, flags) = match pattern.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'))
    {
        Some((expression, flags)) if !expression.is_empty() => (expression, flags),
        _ => (pattern, ""),
    };
    let Some(groups) = regular_expression(expression, flags, text)? else {
        warnings.push(format!("{pattern} does not match {text}."));
        return Ok(None);
    };
    // A property of an array: `1` is one, `1.0` and `01` are not.
    let index = group.parse::<usize>().ok().filter(|index| index.to_string() == group);
    let part = index.and_then(|index| groups.into_iter().nth(index)).flatten();
    if part.is_none() {
        warnings.push(format!("Group {group} does not exist for {pattern} pattern."));
    }
    Ok(part)
}
