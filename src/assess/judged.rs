//! Findings and a verdict → the scan that is shown. It judges nothing itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::AssessedAbout;
use crate::scan::findings::Findings;
use crate::scan::gate::{Acceptance, AcceptanceKind, GateVerdict, Reason};
use crate::scan::report::{
    AcceptedStatus, AdvisorySource, FindingAcceptance, ImageScan, JudgedFinding, Justification,
};

/// The scan of one image; `times`: when it began and ended.
pub(super) fn scan(
    known: Findings,
    verdict: &GateVerdict,
    about: AssessedAbout,
    sources: Vec<AdvisorySource>,
    times: (Timestamp, Timestamp),
) -> ImageScan {
    let mut scan = ImageScan {
        image: about.name,
        digest: about.digest,
        platform: about.platform,
        started: times.0,
        finished: times.1,
        sources,
        findings: Vec::new(),
        unassessed: Vec::new(),
        absent: Vec::new(),
        assessed: 0,
        ecosystems: BTreeSet::new(),
        base: None,
    };
    let accepted: BTreeMap<usize, &Acceptance> =
        verdict.accepted.iter().map(|acceptance| (acceptance.finding, acceptance)).collect();
    let refusing: BTreeSet<usize> = verdict
        .reasons
        .iter()
        .filter_map(|reason| match reason {
            Reason::Severe { finding }
            | Reason::Exploited { finding }
            | Reason::Unrated { finding } => Some(*finding),
            Reason::Unassessed { .. } => None,
        })
        .collect();
    let mut at = 0;
    scan.add(known, |finding| {
        let judged = JudgedFinding {
            acceptance: accepted.get(&at).map(|acceptance| shown(acceptance)),
            refuses: refusing.contains(&at),
            known_since: verdict.known.get(&at).cloned(),
            ..JudgedFinding::open(finding)
        };
        at += 1;
        judged
    });
    scan
}

fn shown(acceptance: &Acceptance) -> FindingAcceptance {
    let place = acceptance.place.clone();
    match &acceptance.how {
        AcceptanceKind::Risk { reason, expires } => FindingAcceptance {
            status: AcceptedStatus::Affected,
            reason: reason.clone(),
            by: place,
            since: None,
            until: *expires,
        },
        AcceptanceKind::Fixed { author } => FindingAcceptance {
            status: AcceptedStatus::Fixed,
            reason: "its author says that it is repaired".to_owned(),
            by: author.clone(),
            since: None,
            until: None,
        },
        AcceptanceKind::NotAffected { author, justification, impact } => {
            let known = Justification::ALL
                .into_iter()
                .find(|known| Some(known.as_str()) == justification.as_deref());
            FindingAcceptance {
                // Without one of its words OpenVEX has no place for it but that of a taken risk.
                status: known.map_or(AcceptedStatus::Affected, AcceptedStatus::NotAffected),
                reason: impact.clone().or(justification.clone()).unwrap_or_default(),
                by: author.clone(),
                since: None,
                until: None,
            }
        }
    }
}
