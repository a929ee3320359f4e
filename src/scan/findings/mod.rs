//! Packages and records → findings: one for each flaw and package, how bad it is and who says so,
//! and which packages nothing is known of. It accepts nothing and refuses nothing: that is the
//! gate's.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::affected::{Circumstances, Judgement, VersionHit};
use super::exploited::{Epss, Exploited, Kev};
use super::question::{Gap, Inquiry, from_purl, inquire, of_other_kind};
use super::record::AdvisoryRecord;
use super::records::{AdvisoryRecords, Flaws};
use super::severity::{Severity, SeverityLevel};
use super::versions::{VersionOrder, compare};
use crate::sbom::linked::LinkedPackages;
use crate::sbom::matchers::os_release::OsRelease;
use crate::sbom::package::Package;

/// A package to be scanned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanSubject {
    /// By which people and documents know it.
    pub purl: String,
    pub name: String,
    pub version: Option<String>,
    pub inquiry: Inquiry,
    /// The files that tell of it, those within archives behind `!/`.
    pub paths: BTreeSet<String>,
    /// The diffIDs of the layers that brought it.
    pub layers: BTreeSet<String>,
    /// The place in the list of the distribution's package that owns its files.
    pub owner: Option<usize>,
    /// The Go packages in the program, where its function table could be read.
    pub linked: Option<LinkedPackages>,
    /// The stream of its module, such as `postgresql:12`.
    pub module_stream: Option<String>,
}

/// All that is known about the packages of an image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// What to do first comes first.
    pub findings: Vec<Finding>,
    /// In the order of their purls.
    pub unassessed: Vec<Unassessed>,
    /// Flaws of code that the programs do not have.
    pub absent: Vec<AbsentCode>,
    /// How many packages sources cover.
    pub assessed: usize,
    /// Of the packages that sources cover.
    pub ecosystems: BTreeSet<String>,
    /// When the newest record at hand was modified.
    pub newest: Option<Timestamp>,
}

/// A flaw that a package has.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The CVE if there is one, else what it is known by.
    pub id: String,
    /// All ids that mean it, and those of the records that say so.
    pub ids: BTreeSet<String>,
    /// Of the records that name the package.
    pub records: BTreeSet<String>,
    pub summary: Option<String>,
    pub kind: FindingKind,
    pub severity: Severity,
    /// The oldest version that is repaired.
    pub fixed: Option<String>,
    /// Whether the record names a repair of another line of versions.
    pub is_doubtful: bool,
    pub kev: Option<Kev>,
    pub epss: Option<Epss>,
    pub purl: String,
    pub name: String,
    pub version: String,
    pub paths: BTreeSet<String>,
    pub layers: BTreeSet<String>,
    /// The purl of the distribution's package that owns its files.
    pub owner: Option<String>,
    /// Purls of packages within it that have the same flaw.
    pub also: BTreeSet<String>,
}

/// What a finding is; only the first two can gate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    Vulnerability,
    /// Software that is made to do harm.
    Malicious,
    /// No vulnerability, and the record's word for it: `unmaintained`, `unsound`, `bug fix` …
    Informational(String),
    /// As Debian judges it.
    Unimportant,
    /// Of a kernel whose code is not there.
    KernelHeaders,
}

/// A package of which silence says nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unassessed {
    pub purl: String,
    pub name: String,
    pub version: Option<String>,
    pub gap: Gap,
}

/// A flaw of a package in code that the program was built without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AbsentCode {
    pub purl: String,
    pub id: String,
    pub ids: BTreeSet<String>,
}

impl ScanSubject {
    /// A package as the cataloger lists it.
    pub fn of(package: &Package, purl: &str, release: Option<&OsRelease>, now: Timestamp) -> Self {
        let stream = package.qualifiers.iter().find(|(name, _)| *name == "rpmmod");
        Self {
            purl: purl.to_owned(),
            name: package.name.clone(),
            version: package.version.clone(),
            inquiry: inquire(package, release, now),
            module_stream: stream.map(|(_, stream)| stream.clone()),
            linked: package.linked.clone(),
            ..Self::default()
        }
    }

    /// A package as another program's document lists it; `name` is what the document calls it.
    pub fn of_purl(purl: &str, name: &str, now: Timestamp) -> Self {
        if let Some(question) = of_other_kind(purl) {
            return Self {
                purl: purl.to_owned(),
                name: name.to_owned(),
                version: Some(question.version.clone()),
                inquiry: Inquiry { questions: vec![question], ..Inquiry::default() },
                ..Self::default()
            };
        }
        match from_purl(purl) {
            Ok((package, release)) => Self::of(&package, purl, release.as_ref(), now),
            Err(gap) => Self {
                purl: purl.to_owned(),
                name: name.to_owned(),
                inquiry: Inquiry { gap: Some(gap), ..Inquiry::default() },
                ..Self::default()
            },
        }
    }
}

impl Finding {
    /// Whether it can be a reason to refuse an image.
    pub fn can_gate(&self) -> bool {
        matches!(self.kind, FindingKind::Vulnerability | FindingKind::Malicious)
            && !self.is_doubtful
    }
}

/// Distributions that list flaws before they are repaired, too: what they do not list of a package
/// of theirs, it does not have.
const LISTS_UNREPAIRED: [&str; 5] = ["Debian", "Red Hat", "SUSE", "Ubuntu", "openSUSE"];

impl Findings {
    /// `platform` is `GOOS` and `GOARCH` of the image.
    pub fn of(
        subjects: &[ScanSubject],
        records: &AdvisoryRecords,
        exploited: &Exploited,
        platform: Option<(&str, &str)>,
    ) -> Self {
        let flaws = Flaws::of(records);
        let mut all = Self { newest: records.newest(), ..Self::default() };
        let mut found: BTreeMap<(usize, usize), Finding> = BTreeMap::new();
        for (at, subject) in subjects.iter().enumerate() {
            if subject.owner.and_then(|owner| subjects.get(owner)).is_some_and(answers_for_all) {
                all.assessed += 1;
                continue;
            }
            let circumstances = Circumstances {
                linked: subject.linked.as_ref(),
                platform,
                module_stream: subject.module_stream.as_deref(),
            };
            let known = KnownFlaws::of(subject, circumstances, records, &flaws);
            all.count(subject, &known);
            for (flaw, hits) in &known.hits {
                let finding = finding(subject, *flaw, hits, &flaws, records, exploited);
                found.insert((at, *flaw), finding);
            }
            all.absent.extend(known.absent.iter().map(|flaw| {
                let ids: BTreeSet<String> = flaws.members(*flaw).map(str::to_owned).collect();
                AbsentCode { purl: subject.purl.clone(), id: shown(&ids), ids }
            }));
        }
        all.findings = with_owners(found, subjects);
        all.findings.sort_by(first_things_first);
        all.unassessed.sort();
        all.absent.sort();
        all
    }

    fn count(&mut self, subject: &ScanSubject, known: &KnownFlaws<'_>) {
        let gap = subject.inquiry.gap.clone().or_else(|| known.gap.clone());
        if let Some(gap) = gap {
            self.unassessed.push(Unassessed {
                purl: subject.purl.clone(),
                name: subject.name.clone(),
                version: subject.version.clone(),
                gap,
            });
        } else {
            self.assessed += 1;
            let ecosystems = subject.inquiry.questions.iter().map(|it| it.ecosystem.clone());
            self.ecosystems.extend(ecosystems);
        }
    }
}

fn answers_for_all(owner: &ScanSubject) -> bool {
    let mut questions = owner.inquiry.questions.iter();
    let family = questions.next().and_then(|question| question.ecosystem.split(':').next());
    owner.inquiry.gap.is_none() && family.is_some_and(|family| LISTS_UNREPAIRED.contains(&family))
}

/// What records say of one package.
struct KnownFlaws<'a> {
    hits: BTreeMap<usize, Vec<(&'a AdvisoryRecord, VersionHit)>>,
    absent: BTreeSet<usize>,
    /// The first record that cannot be compared, of a flaw that no other one finds.
    gap: Option<Gap>,
}

impl<'a> KnownFlaws<'a> {
    fn of(
        subject: &ScanSubject,
        circumstances: Circumstances<'_>,
        records: &'a AdvisoryRecords,
        flaws: &Flaws,
    ) -> Self {
        let mut hits: BTreeMap<usize, Vec<(&AdvisoryRecord, VersionHit)>> = BTreeMap::new();
        let (mut absent, mut denied) = (BTreeSet::new(), BTreeSet::new());
        let mut unclear = Vec::new();
        for question in &subject.inquiry.questions {
            for record in records.about(question) {
                let judged = record.judge(question, circumstances);
                if matches!(judged, Judgement::Unrelated) {
                    continue;
                }
                for flaw in flaws.of_record(record, records) {
                    match &judged {
                        Judgement::Affected(hit) => {
                            hits.entry(flaw).or_default().push((record, hit.clone()));
                        }
                        Judgement::CodeAbsent => drop(absent.insert(flaw)),
                        Judgement::NotAffected if record.id.starts_with("GHSA-") => {
                            denied.insert(flaw);
                        }
                        Judgement::Unknown(why) => {
                            let advisory = record.id.clone();
                            unclear.push((flaw, Gap::Unclear { advisory, why: why.clone() }));
                        }
                        Judgement::NotAffected | Judgement::Unrelated => {}
                    }
                }
            }
        }
        // Go's database knows which packages of a module have the flaw; others know the module.
        let has_code = |hits: &[(&AdvisoryRecord, VersionHit)]| {
            hits.iter().any(|(it, _)| it.id.starts_with("GO-"))
        };
        absent.retain(|flaw| hits.get(flaw).is_none_or(|hits| !has_code(hits)));
        hits.retain(|flaw, hits| {
            // One that says so of every version knows less than one that names versions.
            hits.retain(|(_, hit)| !(hit.is_every_version && denied.contains(flaw)));
            !absent.contains(flaw) && !hits.is_empty()
        });
        for hits in hits.values_mut() {
            hits.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
            hits.dedup_by(|(one, _), (other, _)| one.id == other.id);
        }
        unclear.retain(|(flaw, _)| !hits.contains_key(flaw) && !absent.contains(flaw));
        let gap = unclear.into_iter().map(|(_, gap)| gap).min();
        Self { hits, absent, gap }
    }
}

fn finding(
    subject: &ScanSubject,
    flaw: usize,
    hits: &[(&AdvisoryRecord, VersionHit)],
    flaws: &Flaws,
    records: &AdvisoryRecords,
    exploited: &Exploited,
) -> Finding {
    let members = || flaws.members(flaw);
    let own: BTreeSet<String> = members().map(str::to_owned).collect();
    let matched: BTreeSet<String> = hits.iter().map(|(record, _)| record.id.clone()).collect();
    let rank = |id: &str| match id {
        id if id.starts_with("CVE-") => 2,
        id if id.starts_with("GHSA-") => 1,
        _ => 0,
    };
    let mut rated: Vec<(&AdvisoryRecord, Option<usize>)> =
        hits.iter().map(|(record, hit)| (*record, Some(hit.entry))).collect();
    rated.sort_by_key(|(record, _)| (rank(&record.id), record.id.clone()));
    let others = members().filter(|id| !matched.contains(*id));
    let mut others: Vec<&AdvisoryRecord> = others
        .filter_map(|id| records.get(id))
        .filter(|record| record.withdrawn.is_none())
        .collect();
    others.sort_by_key(|record| (rank(&record.id), record.id.clone()));
    rated.extend(others.iter().map(|record| (*record, None)));
    let kind = kind(subject, &own, hits);
    let severity = match &kind {
        FindingKind::Malicious => {
            Severity::of_malware(own.iter().find(|id| id.starts_with("MAL-")).map_or("", |id| id))
        }
        _ => Severity::first(rated.iter().copied()),
    };
    let order = subject.inquiry.questions.first().and_then(|it| VersionOrder::of(&it.ecosystem));
    let fixed = hits.iter().filter_map(|(_, hit)| hit.fixed.as_deref());
    let fixed = fixed.min_by(|one, other| {
        let compared = order.and_then(|order| compare(order, one, other).ok());
        compared.unwrap_or_else(|| one.cmp(other))
    });
    Finding {
        id: shown(&own),
        kev: exploited.kev(members()),
        epss: exploited.epss(members()),
        summary: rated.iter().find_map(|(record, _)| record.summary.clone()),
        ids: own.into_iter().chain(matched.iter().cloned()).collect(),
        records: matched,
        kind,
        severity,
        fixed: fixed.map(str::to_owned),
        is_doubtful: hits.iter().all(|(_, hit)| hit.is_doubtful),
        purl: subject.purl.clone(),
        name: subject.name.clone(),
        version: subject.version.clone().unwrap_or_default(),
        paths: subject.paths.clone(),
        layers: subject.layers.clone(),
        owner: None,
        also: BTreeSet::new(),
    }
}

fn kind(
    subject: &ScanSubject,
    own: &BTreeSet<String>,
    hits: &[(&AdvisoryRecord, VersionHit)],
) -> FindingKind {
    if own.iter().any(|id| id.starts_with("MAL-")) {
        return FindingKind::Malicious;
    }
    if subject.inquiry.is_kernel_headers {
        return FindingKind::KernelHeaders;
    }
    let words: Vec<Option<String>> =
        hits.iter().map(|(record, hit)| informational(record, hit)).collect();
    if let Some(Some(word)) = words.first().filter(|_| words.iter().all(Option::is_some)) {
        return FindingKind::Informational(word.clone());
    }
    let is_unimportant = |(record, hit): &(&AdvisoryRecord, VersionHit)| {
        let urgency = record.affected.get(hit.entry).and_then(|it| it.specific.urgency.as_deref());
        urgency == Some("unimportant")
    };
    match hits.iter().all(is_unimportant) {
        true => FindingKind::Unimportant,
        false => FindingKind::Vulnerability,
    }
}

/// The word of a record that is about no vulnerability.
fn informational(record: &AdvisoryRecord, hit: &VersionHit) -> Option<String> {
    let told = record.affected.get(hit.entry).and_then(|entry| entry.informational.clone());
    let repairs_none = !record.related.iter().any(|id| id.starts_with("CVE-"));
    let of_distribution = match record.id.split('-').next() {
        Some("ALBA") if repairs_none => Some("bug fix"),
        Some("ALEA") if repairs_none => Some("enhancement"),
        _ => None,
    };
    told.or_else(|| of_distribution.map(str::to_owned))
}

/// The id that most people know a flaw by.
fn shown(ids: &BTreeSet<String>) -> String {
    let known = ["MAL-", "CVE-", "GHSA-"];
    let best = known.iter().find_map(|kind| ids.iter().find(|id| id.starts_with(kind)));
    best.or(ids.first()).cloned().unwrap_or_default()
}

/// Where a distribution's package and one within it have one flaw, it is shown once.
fn with_owners(
    mut found: BTreeMap<(usize, usize), Finding>,
    subjects: &[ScanSubject],
) -> Vec<Finding> {
    let inner: Vec<(usize, usize)> = found
        .keys()
        .copied()
        .filter(|(at, _)| subjects.get(*at).is_some_and(|subject| subject.owner.is_some()))
        .collect();
    for (at, flaw) in inner {
        let Some(owner) = subjects.get(at).and_then(|subject| subject.owner) else { continue };
        let Some(mut finding) = found.remove(&(at, flaw)) else { continue };
        match found.get_mut(&(owner, flaw)) {
            Some(of_owner) => {
                of_owner.also.insert(finding.purl);
            }
            None => {
                finding.owner = subjects.get(owner).map(|owner| owner.purl.clone());
                found.insert((at, flaw), finding);
            }
        }
    }
    found.into_values().collect()
}

/// Exploited ones, those that can be repaired, those likely to be exploited, the worst, and then by
/// name.
fn first_things_first(one: &Finding, other: &Finding) -> Ordering {
    let risk = |finding: &Finding| {
        let score = finding.severity.score.unwrap_or(match finding.severity.level {
            SeverityLevel::Critical => 9.0,
            SeverityLevel::High => 7.0,
            SeverityLevel::Medium => 4.0,
            SeverityLevel::Low | SeverityLevel::Unknown => 0.1,
        });
        finding.epss.map_or(0.0, |epss| epss.probability) * score
    };
    let order = |finding: &Finding| {
        let gates = Reverse(finding.can_gate());
        let worst = Reverse(finding.severity.level);
        (Reverse(finding.kev.is_some()), gates, Reverse(finding.fixed.is_some()), worst)
    };
    let (one_first, one_gates, one_fixed, one_worst) = order(one);
    let (other_first, other_gates, other_fixed, other_worst) = order(other);
    let names = |finding: &Finding| {
        (finding.name.clone(), finding.version.clone(), finding.purl.clone(), finding.id.clone())
    };
    one_first
        .cmp(&other_first)
        .then(one_gates.cmp(&other_gates))
        .then(one_fixed.cmp(&other_fixed))
        .then_with(|| risk(other).total_cmp(&risk(one)))
        .then(one_worst.cmp(&other_worst))
        .then_with(|| {
            let score = |finding: &Finding| finding.severity.score.unwrap_or_default();
            score(other).total_cmp(&score(one))
        })
        .then_with(|| names(one).cmp(&names(other)))
}

/// `pkg:npm` of `pkg:npm/a@1`: packages of two ecosystems may have one name and version.
pub fn ecosystem(purl: &str) -> &str {
    purl.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
