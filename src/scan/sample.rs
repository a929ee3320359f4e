//! One scan for the tests of all outputs: a flaw of each sort, and names that would be commands,
//! links or Markdown. It is never part of the program.

use std::collections::{BTreeMap, BTreeSet};

use super::attestation::ScanInvocation;
use super::exploited::{Epss, Kev};
use super::findings::{AbsentCode, Finding, FindingKind, Unassessed};
use super::question::Gap;
use super::report::{
    AcceptedStatus, AdvisorySource, FindingAcceptance, FindingOrigin, ImageScan, JudgedFinding,
    Justification, NewerBase, SCANNER, SCANNER_VERSION, ScannedBase, SourceLine,
};
use super::severity::{Severity, SeverityLevel};
use crate::image::{Digest, Platform};

pub(super) const HOSTILE: &str =
    "a|b\n::error::x ##[add-mask]y `c` <img src=x> [l](https://e.example) @octo \u{202e}\u{1b}[2J";

pub(crate) fn scan(architecture: &str) -> ImageScan {
    ImageScan {
        image: "ghcr.io/acme/app".to_owned(),
        digest: Some(Digest::of(architecture.as_bytes())),
        platform: Some(Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
        }),
        started: "2026-11-28T10:00:00Z".parse().unwrap(),
        finished: "2026-11-28T10:00:02Z".parse().unwrap(),
        sources: vec![AdvisorySource {
            uri: "https://osv.example".to_owned(),
            newest: "2026-11-27T08:00:00Z".parse().unwrap(),
        }],
        findings: findings(architecture),
        unassessed: vec![
            Unassessed {
                purl: "pkg:conda/numpy@1.0".to_owned(),
                name: "numpy".to_owned(),
                version: Some("1.0".to_owned()),
                gap: Gap::NoSource { of: "conda".to_owned() },
            },
            Unassessed {
                purl: format!("pkg:generic/{}", "x"),
                name: HOSTILE.to_owned(),
                version: None,
                gap: Gap::NoVersion,
            },
        ],
        absent: vec![AbsentCode {
            purl: "pkg:golang/golang.org/x/crypto@v0.54.0".to_owned(),
            id: "GO-2026-5932".to_owned(),
            ids: ["GO-2026-5932".to_owned()].into(),
        }],
        assessed: 40,
        ecosystems: ["Debian:12", "Go", "Maven"].map(str::to_owned).into(),
        base: Some(ScannedBase {
            name: "debian:12".to_owned(),
            newer: Some(NewerBase { digest: Digest::of(b"newer"), repairs: 1, of: 1 }),
        }),
    }
}

pub(crate) fn invocation() -> ScanInvocation {
    ScanInvocation {
        uri: "https://github.com/acme/app/actions/runs/1/attempts/1".to_owned(),
        event_id: "1".to_owned(),
        builder: "https://github.com/acme/app/.github/workflows/release.yml".to_owned(),
        parameters: BTreeMap::from([("fail-on".to_owned(), "critical".to_owned())]),
    }
}

/// A document as it is recorded: without what changes with each release.
pub(super) fn recorded(document: &serde_json::Value) -> String {
    let text = serde_json::to_string_pretty(document).unwrap() + "\n";
    let ours = format!("\"{SCANNER_VERSION}\"");
    text.replace(&ours, "\"VERSION\"")
        .replace(&format!("{SCANNER} {SCANNER_VERSION}"), "SCANNER VERSION")
        .replace(&format!("\"{SCANNER}\""), "\"SCANNER\"")
}

/// A finding of a Debian package.
pub(crate) fn finding(id: &str, name: &str, architecture: &str, level: SeverityLevel) -> Finding {
    Finding {
        id: id.to_owned(),
        ids: [id.to_owned()].into(),
        records: BTreeSet::new(),
        summary: None,
        kind: FindingKind::Vulnerability,
        severity: Severity { level, source: id.to_owned(), ..Severity::default() },
        fixed: None,
        is_doubtful: false,
        kev: None,
        epss: None,
        purl: format!("pkg:deb/debian/{name}@1.0-1?arch={architecture}&distro=debian-12"),
        name: name.to_owned(),
        version: "1.0-1".to_owned(),
        paths: ["var/lib/dpkg/status".to_owned()].into(),
        layers: [format!("sha256:{}", "1".repeat(64))].into(),
        owner: None,
        also: BTreeSet::new(),
    }
}

fn findings(architecture: &str) -> Vec<JudgedFinding> {
    let of = |id: &str, name: &str, level: SeverityLevel| finding(id, name, architecture, level);
    let accepted = |status, reason: &str, until: Option<&str>| FindingAcceptance {
        status,
        reason: reason.to_owned(),
        by: ".supply-action/accepted.yaml".to_owned(),
        since: Some("2026-10-01".parse().unwrap()),
        until: until.map(|until| until.parse().unwrap()),
    };
    let worst = Finding {
        ids: ["CVE-2026-1", "GHSA-1111-2222-3333"].map(str::to_owned).into(),
        summary: Some("Remote code execution".to_owned()),
        severity: Severity {
            level: SeverityLevel::Critical,
            score: Some(10.0),
            vector: Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H".to_owned()),
            word: None,
            source: "GHSA-1111-2222-3333".to_owned(),
        },
        fixed: Some("2.15.0".to_owned()),
        kev: Some(Kev { due: Some("2026-12-24".parse().unwrap()), is_used_for_ransom: true }),
        epss: Some(Epss { probability: 0.94358, percentile: 0.99958 }),
        purl: "pkg:maven/org.example/logger@2.14.1".to_owned(),
        name: "org.example:logger".to_owned(),
        version: "2.14.1".to_owned(),
        paths: ["app/app.jar!/lib/logger-2.14.1.jar".to_owned()].into(),
        ..of("CVE-2026-1", "x", SeverityLevel::Critical)
    };
    let own = FindingOrigin {
        is_base: false,
        line: Some(SourceLine { path: "docker/Dockerfile".to_owned(), line: 7 }),
    };
    let base = FindingOrigin {
        is_base: true,
        line: Some(SourceLine { path: "docker/Dockerfile".to_owned(), line: 1 }),
    };
    let mitigated = AcceptedStatus::NotAffected(Justification::CodeNotInExecutePath);
    let taken = accepted(AcceptedStatus::Affected, "needs a shell", Some("2026-12-31"));
    let denied = accepted(mitigated, "never called", None);
    vec![
        JudgedFinding { refuses: true, origin: Some(own), ..JudgedFinding::open(worst) },
        JudgedFinding {
            origin: Some(base),
            ..JudgedFinding::open(of("CVE-2026-2", "zlib1g", SeverityLevel::High))
        },
        JudgedFinding {
            acceptance: Some(taken),
            ..JudgedFinding::open(of("CVE-2026-3", "bash", SeverityLevel::Medium))
        },
        JudgedFinding {
            acceptance: Some(denied),
            ..JudgedFinding::open(of("CVE-2026-4", "perl", SeverityLevel::High))
        },
        JudgedFinding::open(Finding {
            summary: Some(HOSTILE.to_owned()),
            fixed: Some(HOSTILE.to_owned()),
            name: HOSTILE.to_owned(),
            paths: [HOSTILE.to_owned()].into(),
            ..of("CVE-2026-5", "evil", SeverityLevel::Unknown)
        }),
        JudgedFinding::open(Finding {
            kind: FindingKind::Informational("unmaintained".to_owned()),
            ..of("RUSTSEC-2026-1", "old", SeverityLevel::Unknown)
        }),
        JudgedFinding::open(Finding {
            kind: FindingKind::KernelHeaders,
            ..of("CVE-2026-6", "linux-libc-dev", SeverityLevel::High)
        }),
    ]
}
