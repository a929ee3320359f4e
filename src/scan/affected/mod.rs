//! Whether a record says that an installed version is affected, and which version repairs it. What
//! a record does not say is unknown, and neither yes nor no.

use super::modules::{self, Streams};
use super::question::AdvisoryQuestion;
use super::record::{AdvisoryRecord, Affected, GoImport, Range, RangeEvent, RangeKind};
use super::text::plain;
use super::versions::{ComparedVersion, VersionOrder};
use crate::sbom::linked::LinkedPackages;
use std::cmp::Ordering;

/// What is known of an installed package beside its name and version.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// The Go packages in the program's function table, where it could be read.
    pub linked: Option<&'a LinkedPackages>,
    /// `GOOS` and `GOARCH`.
    pub platform: Option<(&'a str, &'a str)>,
    /// The stream of its module, such as `postgresql:12`.
    pub module_stream: Option<&'a str>,
}

/// What a record says of an installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It names neither this package nor this release.
    Unrelated,
    NotAffected,
    /// The version is affected, but the program lacks the packages that are, or is built for
    /// another platform.
    CodeAbsent,
    Affected(VersionHit),
    /// It cannot be told, and why.
    Unknown(Unclear),
}

/// How a version is affected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionHit {
    /// Which of the record's entries says so.
    pub entry: usize,
    /// The oldest version above the installed one that is repaired.
    pub fixed: Option<String>,
    /// The record says so of every version there ever was, as databases do for want of knowledge.
    pub is_every_version: bool,
    /// The repair belongs to another line of versions than the installed one.
    pub is_doubtful: bool,
}

/// Why a record and a version cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unclear {
    #[error("the versions of `{}` have no known order", plain(ecosystem))]
    Order { ecosystem: String },
    #[error("`{}` cannot be ordered among versions", plain(version))]
    Version { version: String },
    #[error("the advisory is written in an unknown way")]
    Advisory,
    #[error("the stream of its module is not known")]
    ModuleStream,
    #[error("a version that comes from a commit cannot be compared with tags")]
    Commit,
}

impl AdvisoryRecord {
    /// `version` may be of any ecosystem and unreadable.
    pub fn judge(&self, asked: &AdvisoryQuestion, circumstances: Circumstances<'_>) -> Judgement {
        if self.withdrawn.is_some() {
            return Judgement::NotAffected;
        }
        let streams = Streams::of(self, asked);
        let mut judged = Judgement::Unrelated;
        for (entry, affected) in self.affected.iter().enumerate() {
            let is_about = affected
                .package
                .as_ref()
                .is_some_and(|package| asked.is_about(&package.ecosystem, &package.name));
            if !is_about {
                continue;
            }
            let says = match streams.verdict(affected, circumstances.module_stream) {
                modules::ModuleVerdict::Comparable => says(affected, entry, asked, circumstances),
                modules::ModuleVerdict::OtherStream => Judgement::NotAffected,
                modules::ModuleVerdict::Unknown => Judgement::Unknown(Unclear::ModuleStream),
            };
            judged = stronger(judged, says, asked);
        }
        judged
    }
}

/// Any entry is enough; of several repairs the oldest one does.
fn stronger(one: Judgement, other: Judgement, asked: &AdvisoryQuestion) -> Judgement {
    let rank = |judgement: &Judgement| match judgement {
        Judgement::Unrelated => 0,
        Judgement::NotAffected => 1,
        Judgement::CodeAbsent => 2,
        Judgement::Unknown(_) => 3,
        Judgement::Affected(_) => 4,
    };
    match (one, other) {
        (Judgement::Affected(one), Judgement::Affected(other)) => {
            let order = VersionOrder::of(&asked.ecosystem);
            let is_older = match (&one.fixed, &other.fixed, order) {
                (None, Some(_), _) => true,
                (Some(one), Some(other), Some(order)) => {
                    super::versions::compare(order, other, one) == Ok(Ordering::Less)
                }
                _ => false,
            };
            Judgement::Affected(if is_older { other } else { one })
        }
        (one, other) if rank(&other) > rank(&one) => other,
        (one, _) => one,
    }
}

fn says(
    affected: &Affected,
    entry: usize,
    asked: &AdvisoryQuestion,
    circumstances: Circumstances<'_>,
) -> Judgement {
    let is_go = asked.ecosystem == "Go";
    let says_only_all = is_only_all(&affected.ranges);
    let custom = &affected.specific.custom_ranges;
    let is_custom = is_go && says_only_all && !custom.is_empty();
    let ranges = if is_custom { custom } else { &affected.ranges };
    let order = VersionOrder::of(&asked.ecosystem).or_else(|| {
        ranges.iter().any(|it| it.kind == RangeKind::Semver).then_some(VersionOrder::Semver)
    });
    let installed = order.and_then(|order| ComparedVersion::parse(order, &asked.version).ok());
    let mut unclear = None;
    let mut is_affected = affected.versions.contains(&asked.version);
    let mut fixed = Vec::new();
    for range in ranges {
        let said = match (order, &installed) {
            _ if range.kind == RangeKind::Git => continue,
            _ if is_custom && is_commit(&asked.version) => Err(Unclear::Commit),
            (None, _) => Err(Unclear::Order { ecosystem: asked.ecosystem.clone() }),
            (_, None) => Err(Unclear::Version { version: asked.version.clone() }),
            (Some(order), Some(installed)) => within(range, order, installed),
        };
        match said {
            Ok((true, next)) => {
                is_affected = true;
                fixed.extend(next);
            }
            Ok((false, _)) => {}
            Err(why) => unclear = Some(why),
        }
    }
    if !is_affected {
        match (order, &installed) {
            (Some(order), Some(installed)) => {
                is_affected = affected.versions.iter().any(|listed| {
                    ComparedVersion::parse(order, listed)
                        .is_ok_and(|it| it.compare(installed) == Some(Ordering::Equal))
                });
            }
            _ if !affected.versions.is_empty() => {
                unclear = unclear.or(Some(Unclear::Version { version: asked.version.clone() }));
            }
            _ => {}
        }
    }
    if !is_affected {
        return unclear.map_or(Judgement::NotAffected, Judgement::Unknown);
    }
    if is_go && is_code_absent(&affected.specific.imports, circumstances) {
        return Judgement::CodeAbsent;
    }
    if fixed.is_empty()
        && let (Some(order), Some(installed)) = (order, &installed)
    {
        fixed.extend(ranges.iter().filter_map(|range| next_repair(range, order, installed)));
    }
    let fixed = fixed.into_iter().min_by(|(a, _), (b, _)| a.compare(b).unwrap_or(Ordering::Equal));
    let fixed = fixed.map(|(_, text)| text);
    Judgement::Affected(VersionHit {
        entry,
        is_every_version: says_only_all && !is_custom && affected.versions.is_empty(),
        is_doubtful: is_go && is_of_another_line(asked, fixed.as_deref()),
        fixed,
    })
}

/// Whether a range has the version, and the next repair.
type RangeResult = (bool, Option<(ComparedVersion, String)>);

/// The last event at or below the version decides. `0` is below everything.
fn within(
    range: &Range,
    order: VersionOrder,
    installed: &ComparedVersion,
) -> Result<RangeResult, Unclear> {
    if range.kind == RangeKind::Unknown {
        return Err(Unclear::Advisory);
    }
    /// The version of an event, or `None` for the beginning of all, and what it ranks among
    /// events of one version.
    type Place = (Option<ComparedVersion>, u8);
    let mut last: Option<Place> = None;
    let mut limits: Option<bool> = None;
    for event in &range.events {
        let (text, rank) = match event {
            RangeEvent::Introduced(text) => (text, INTRODUCED),
            RangeEvent::LastAffected(text) => (text, INTRODUCED + 1),
            RangeEvent::Fixed(text) => (text, INTRODUCED + 2),
            RangeEvent::Limit(text) if text == "*" => {
                limits = Some(true);
                continue;
            }
            RangeEvent::Limit(text) => (text, INTRODUCED + 3),
            RangeEvent::Unknown => return Err(Unclear::Advisory),
        };
        let version = match text.as_str() {
            "0" => None,
            text => Some(
                ComparedVersion::parse(order, text)
                    .map_err(|error| Unclear::Version { version: error.version })?,
            ),
        };
        let against_installed =
            version.as_ref().map_or(Some(Ordering::Less), |version| version.compare(installed));
        let against_installed = against_installed.ok_or(Unclear::Advisory)?;
        if matches!(event, RangeEvent::Limit(_)) {
            limits = Some(limits.unwrap_or(false) || against_installed.is_gt());
            continue;
        }
        let applies = match event {
            RangeEvent::LastAffected(_) => against_installed.is_lt(),
            _ => against_installed.is_le(),
        };
        let is_later = |(before, rank_before): &Place| {
            let order = match (before, &version) {
                (None, None) => Some(Ordering::Equal),
                (None, Some(_)) => Some(Ordering::Less),
                (Some(_), None) => Some(Ordering::Greater),
                (Some(before), Some(version)) => before.compare(version),
            };
            order.is_some_and(|order| order.then(rank_before.cmp(&rank)).is_le())
        };
        if applies && last.as_ref().is_none_or(is_later) {
            last = Some((version, rank));
        }
    }
    let is_in = last.is_some_and(|(_, rank)| rank == INTRODUCED) && limits.unwrap_or(true);
    Ok((is_in, next_repair(range, order, installed)))
}

/// Of the events of one version, what begins comes first.
const INTRODUCED: u8 = 0;

/// The oldest `fixed` above the version.
fn next_repair(
    range: &Range,
    order: VersionOrder,
    installed: &ComparedVersion,
) -> Option<(ComparedVersion, String)> {
    let repairs = range.events.iter().filter_map(|event| match event {
        RangeEvent::Fixed(text) if range.kind != RangeKind::Git => {
            Some((ComparedVersion::parse(order, text).ok()?, text.clone()))
        }
        _ => None,
    });
    repairs
        .filter(|(version, _)| version.compare(installed) == Some(Ordering::Greater))
        .min_by(|(a, _), (b, _)| a.compare(b).unwrap_or(Ordering::Equal))
}

fn is_only_all(ranges: &[Range]) -> bool {
    let mut usable = ranges.iter().filter(|range| range.kind != RangeKind::Git).peekable();
    usable.peek().is_some()
        && usable.all(
            |range| matches!(&range.events[..], [RangeEvent::Introduced(version)] if version == "0"),
        )
}

/// A version that Go made of a commit before any tag: `v0.0.0-20240208101112-0123456789ab`.
pub(super) fn is_commit(version: &str) -> bool {
    let version = version.strip_prefix('v').unwrap_or(version);
    let version = version.split('+').next().unwrap_or_default();
    let Some((_, rest)) = version.split_once(".0.0-") else { return false };
    let Some((time, hash)) = rest.split_once('-') else { return false };
    time.len() == 14
        && time.bytes().all(|it| it.is_ascii_digit())
        && hash.len() == 12
        && hash.bytes().all(|it| it.is_ascii_hexdigit())
}

/// Whether the flaw is in packages that the program does not have.
fn is_code_absent(imports: &[GoImport], circumstances: Circumstances<'_>) -> bool {
    if imports.is_empty() {
        return false;
    }
    let names = |list: &[String], own: &str| list.is_empty() || list.iter().any(|it| it == own);
    !imports.iter().any(|import| {
        let is_built = circumstances
            .platform
            .is_none_or(|(os, arch)| names(&import.goos, os) && names(&import.goarch, arch));
        let is_linked = match (&import.path, circumstances.linked) {
            (Some(path), Some(linked)) => linked.has(path),
            _ => true,
        };
        is_built && is_linked
    })
}

/// The modules that Kubernetes is staged in are `0.N` where Kubernetes is `1.N`; some records name
/// the versions of Kubernetes for them.
fn is_of_another_line(asked: &AdvisoryQuestion, fixed: Option<&str>) -> bool {
    let major = |text: &str| text.split('.').next().unwrap_or_default().to_owned();
    asked.name.starts_with("k8s.io/")
        && major(&asked.version) == "0"
        && fixed.is_some_and(|fixed| major(fixed) != "0")
}

#[cfg(test)]
mod tests;
