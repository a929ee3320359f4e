//! Which stream of a module an advisory of Red Hat's family is about. It compares no builds of two
//! streams: PostgreSQL 9.6 is not repaired by what repairs 12.

use super::question::AdvisoryQuestion;
use super::record::{AdvisoryRecord, Affected, RangeEvent};
use super::versions::VersionOrder;

/// What a record says of the streams of modules.
#[derive(Debug)]
pub(super) struct Streams {
    is_installed_modular: bool,
    is_rpm: bool,
    /// As its summary names them: `postgresql:12`.
    named: Vec<String>,
    /// The release of the distribution that the installed package was built for, where one of the
    /// record's repairs was built for the same: `el8.4.0`.
    build: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModuleVerdict {
    Comparable,
    OtherStream,
    Unknown,
}

impl Streams {
    pub(super) fn of(record: &AdvisoryRecord, asked: &AdvisoryQuestion) -> Self {
        let is_rpm = VersionOrder::of(&asked.ecosystem) == Some(VersionOrder::Rpm);
        let installed = build(&asked.version).filter(|_| is_rpm);
        let has_repair = |built: &str| {
            let about = record.affected.iter().filter(|affected| {
                let package = affected.package.as_ref();
                package.is_some_and(|package| asked.is_about(&package.ecosystem, &package.name))
            });
            about.flat_map(repairs).any(|repair| build(repair) == Some(built))
        };
        Self {
            is_installed_modular: installed.is_some(),
            is_rpm,
            named: record.summary.as_deref().map(named).unwrap_or_default(),
            build: installed.filter(|built| has_repair(built)).map(str::to_owned),
        }
    }

    /// Whether one entry of the record can be compared with the installed package.
    pub(super) fn verdict(&self, affected: &Affected, installed: Option<&str>) -> ModuleVerdict {
        let builds: Vec<Option<&str>> = repairs(affected).map(build).collect();
        if !self.is_rpm || builds.is_empty() {
            return ModuleVerdict::Comparable;
        }
        let is_modular = builds.iter().any(Option::is_some);
        match (self.is_installed_modular, is_modular) {
            (false, false) => ModuleVerdict::Comparable,
            // A build outside of modules belongs to no stream of one.
            (false, true) => ModuleVerdict::OtherStream,
            (true, false) => ModuleVerdict::Unknown,
            (true, true) => match installed {
                Some(installed) if self.named.iter().any(|named| named == installed) => {
                    match &self.build {
                        Some(own) if !builds.contains(&Some(own.as_str())) => {
                            ModuleVerdict::OtherStream
                        }
                        _ => ModuleVerdict::Comparable,
                    }
                }
                Some(_) if !self.named.is_empty() => ModuleVerdict::OtherStream,
                _ => ModuleVerdict::Unknown,
            },
        }
    }
}

fn repairs(affected: &Affected) -> impl Iterator<Item = &str> {
    affected.ranges.iter().flat_map(|range| &range.events).filter_map(|event| match event {
        RangeEvent::Fixed(text) | RangeEvent::LastAffected(text) => Some(text.as_str()),
        _ => None,
    })
}

/// `el8.4.0` of `1-2.module+el8.4.0+2496+12421f43` or `….module_el8.4.0+2496+12421f43`.
fn build(version: &str) -> Option<&str> {
    let (_, rest) = version.split_once(".module")?;
    rest.get(1..)?.split('+').next()
}

/// The streams in a summary: `Important: postgresql:12 security update`.
fn named(summary: &str) -> Vec<String> {
    let words = summary.split([' ', ',', '(', ')']);
    let is_stream = |word: &&str| {
        let plain = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"._-+".contains(&it))
        };
        word.split_once(':').is_some_and(|(name, stream)| plain(name) && plain(stream))
    };
    words.filter(is_stream).map(str::to_owned).collect()
}
