//! Inputs about known vulnerabilities: where they are looked up, and what refuses an image. Data
//! alone.

use super::reasons::{NO_FILES, OF_MERGE};
use super::{BAKE, Input, InputGroup, MERGE, PROMOTE, PUBLISH, ROW, SCAN};

/// What only jobs with the caller's files can be given.
const OF_FILES: &[super::InputOfAction] =
    &[PUBLISH.withheld(OF_MERGE), MERGE.withheld(NO_FILES), BAKE, SCAN];
const OF_ALL: &[super::InputOfAction] = &[PUBLISH.withheld(OF_MERGE), MERGE, BAKE, SCAN];
/// What a promotion that scans again has as well.
const OF_FILES_AND_PROMOTE: &[super::InputOfAction] =
    &[PUBLISH.withheld(OF_MERGE), MERGE.withheld(NO_FILES), BAKE, SCAN, PROMOTE.withheld(NO_FILES)];
/// What is about the release beside the scan.
const OF_RELEASE: &[super::InputOfAction] = &[PUBLISH.withheld(OF_MERGE), MERGE, BAKE];

pub(super) const SCANNING: &[Input] = &[
    Input {
        name: "scan",
        group: InputGroup::Scan,
        default: Some("auto"),
        of: OF_RELEASE,
        description: "\
            Whether known vulnerabilities are looked up before a tag is set, auto, true or false. \
            The scan reads the signed SBOM of every platform, and its result is signed as well. \
            auto scans if there are SBOMs. Names and versions of packages go to the service of \
            osv-url, unless advisories are at hand.",
        ..ROW
    },
    Input {
        name: "fail-on",
        group: InputGroup::Scan,
        default: Some("critical"),
        of: &[
            PUBLISH.withheld(OF_MERGE),
            MERGE,
            BAKE,
            PROMOTE.below(InputGroup::Policy).own(
                None,
                "\
                    Require the signed result of a scan without an open vulnerability of this \
                    severity or worse, critical, high, medium or low. The newest result counts, as \
                    it was signed.",
            ),
            SCAN.own(Some("critical"), "The lowest severity for which the step fails, critical, high, medium, low, or none."),
        ],
        description: "\
            The lowest severity for which nothing is tagged, critical, high, medium, low, or none.",
        ..ROW
    },
    Input {
        name: "only-fixed",
        group: InputGroup::Scan,
        default: Some("true"),
        of: &[
            PUBLISH.withheld(OF_MERGE),
            MERGE,
            BAKE,
            PROMOTE.below(InputGroup::Policy).own(
                None,
                "Whether only vulnerabilities that a newer version repairs count for fail-on.",
            ),
            SCAN,
        ],
        description: "Whether only vulnerabilities that a newer version repairs count for fail-on.",
        ..ROW
    },
    Input {
        name: "new-since-release",
        group: InputGroup::Scan,
        default: Some("false"),
        of: OF_RELEASE,
        description: "\
            Whether only findings count that the image does not have which the moved tag points to \
            now, by its signed result. Without such an image or result every finding counts, and a \
            notice says why.",
        ..ROW
    },
    Input {
        name: "max-scan-age",
        group: InputGroup::Policy,
        of: &[
            PROMOTE,
            SCAN.below(InputGroup::Scan).own(
                Some("7d"),
                "\
                    How old the signed result may be where images are pulled or promoted, a number \
                    of hours (36h) or days (7d). A new one is signed if it says something else, or \
                    if the last is older than half of this age.",
            ),
        ],
        description: "\
            Require the signed result of a scan that is not older than this, a number of hours \
            (36h) or days (7d).",
        ..ROW
    },
    Input {
        name: "fail-on-unassessed",
        group: InputGroup::Scan,
        default: Some("false"),
        of: OF_ALL,
        description: "Whether an image is refused where no source covers one of its packages.",
        ..ROW
    },
    Input {
        name: "fail-on-unknown",
        group: InputGroup::Scan,
        default: Some("false"),
        of: OF_ALL,
        description: "Whether vulnerabilities count that have no severity in any source.",
        ..ROW
    },
    Input {
        name: "fail-on-kev",
        group: InputGroup::Scan,
        default: Some("false"),
        of: OF_ALL,
        description: "\
            Whether vulnerabilities that CISA lists as exploited count, at any severity, with or \
            without a fix. It needs kev.",
        ..ROW
    },
    Input {
        name: "kev",
        group: InputGroup::Scan,
        of: OF_ALL,
        description: "\
            CISA's catalogue of exploited vulnerabilities in JSON, as a file of the workspace or \
            an address.",
        ..ROW
    },
    Input {
        name: "epss",
        group: InputGroup::Scan,
        of: OF_ALL,
        description: "\
            FIRST's EPSS scores, in CSV or compressed by gzip, as a file of the workspace or an \
            address. The vulnerabilities most likely to be exploited are listed first.",
        ..ROW
    },
    Input {
        name: "fail-on-secrets",
        group: InputGroup::Scan,
        default: Some("verifiable"),
        of: OF_ALL,
        description: "\
            Secrets in the image's own layers and its config that refuse the image, verifiable, \
            any, none or skip. verifiable means private keys, and tokens whose format proves them. \
            With none they are listed, and skip reads no layer.",
        ..ROW
    },
    Input {
        name: "fail-on-misconfig",
        group: InputGroup::Scan,
        default: Some("none"),
        of: OF_ALL,
        description: "\
            The lowest severity of misconfiguration that refuses the image, high, medium, low or \
            none. high is a secret in the environment, and medium is root as user, or a file that \
            everybody may change.",
        ..ROW
    },
    Input {
        name: "ignore-file",
        group: InputGroup::Scan,
        of: OF_FILES_AND_PROMOTE,
        description: "\
            Files of accepted risks, one a line, each risk with its reason. A YAML file of this \
            program's, .trivyignore, .grype.yaml or osv-scanner.toml. They are read from the \
            workspace, so a checkout comes before.",
        ..ROW
    },
    Input {
        name: "vex",
        group: InputGroup::Scan,
        of: OF_FILES_AND_PROMOTE,
        description: "\
            OpenVEX documents whose authors you trust, one file of the workspace a line. Or the \
            https address of one, with its hash after #sha256=.",
        ..ROW
    },
    Input {
        name: "advisories",
        group: InputGroup::Scan,
        of: OF_FILES_AND_PROMOTE,
        description: "\
            Advisories at hand, one directory or archive of OSV records in the workspace a line, as supply-action \
            advisories update makes them. Or the https address of an archive, with its hash after \
            #sha256=. Then no service is asked unless osv-url names one.",
        ..ROW
    },
    Input {
        name: "osv-url",
        group: InputGroup::Scan,
        of: &[PUBLISH.withheld(OF_MERGE), MERGE, BAKE, SCAN, PROMOTE],
        description: "\
            The OSV service to ask about packages that advisories does not cover. Default is the \
            public one, api.osv.dev.",
        ..ROW
    },
    Input {
        name: "max-advisory-age",
        group: InputGroup::Scan,
        default: Some("7d"),
        of: OF_FILES_AND_PROMOTE,
        description: "\
            How old the newest of the advisories at hand may be, a number of hours (36h) or days \
            (7d).",
        ..ROW
    },
    Input {
        name: "on-scan-failure",
        group: InputGroup::Scan,
        default: Some("fail"),
        of: OF_RELEASE,
        description: "\
            What to do if a question is not answered. fail tags nothing; warn publishes the image \
            without the result of a scan, and says so.",
        ..ROW
    },
    Input {
        name: "vuln-attestation",
        group: InputGroup::Scan,
        default: Some("both"),
        of: OF_ALL,
        description: "\
            Format of the signed result, cosign (cosign verify-attestation --type vuln), in-toto \
            (https://in-toto.io/attestation/vulns/v0.2), or both.",
        ..ROW
    },
    Input {
        name: "sarif-file",
        group: InputGroup::Scan,
        of: OF_FILES,
        description: "\
            A file in the workspace for the result as SARIF 2.1.0, which \
            github/codeql-action/upload-sarif takes. It is also written if the scan refuses the \
            image.",
        ..ROW
    },
    Input {
        name: "sarif-files",
        group: InputGroup::Scan,
        of: OF_FILES,
        description: "\
            SARIF 2.1.0 files that other tools wrote in steps before, one a line, in the workspace. \
            Their runs go into sarif-file as well, each under its own category, and fail-on-sarif \
            judges them.",
        ..ROW
    },
    Input {
        name: "fail-on-sarif",
        group: InputGroup::Scan,
        default: Some("false"),
        of: OF_FILES,
        description: "\
            Whether results in sarif-files count for fail-on, by their security-severity or else by \
            their level. What a file suppresses, and what ignore-file accepts by its rule or CVE, \
            does not count.",
        ..ROW
    },
];
