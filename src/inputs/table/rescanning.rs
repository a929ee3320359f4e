//! Inputs of `scan` alone: which published images are scanned again, and what becomes of the result.
//! Data alone.

use super::{Input, InputGroup, ROW, SCAN};

pub(super) const RESCANNING: &[Input] = &[
    Input {
        name: "image",
        group: InputGroup::Policy,
        common: true,
        of: &[SCAN],
        description: "\
            The images to scan, a repository with a tag or a digest, one a line, such as \
            ghcr.io/octo/app:latest. Tags are resolved once, at the start. Default is latest of \
            the repository of this run, in the registry of its server.",
        ..ROW
    },
    Input {
        name: "verify",
        group: InputGroup::Policy,
        common: true,
        default: Some("true"),
        of: &[SCAN],
        description: "\
            Whether the evidence of each image is verified first. The scan then reads its signed \
            SBOM; without an SBOM, or with false, it reads the layers. The result of an image that \
            is not verified is never signed.",
        ..ROW
    },
    Input {
        name: "attest",
        group: InputGroup::Scan,
        common: true,
        default: Some("auto"),
        of: &[SCAN],
        description: "\
            Whether the new result is signed and attached to the image, auto, true or false. auto \
            signs if the job can (id-token: write, or a key) and the event is not a pull request.",
        ..ROW
    },
    Input {
        name: "upload-sarif",
        group: InputGroup::Scan,
        common: true,
        default: Some("false"),
        of: &[SCAN],
        description: "\
            Whether the findings go to code scanning, auto, true or false. It needs \
            security-events: write. If that is not possible, auto says why in a notice, and true \
            fails.",
        ..ROW
    },
    Input {
        name: "open-issue",
        group: InputGroup::Scan,
        common: true,
        default: Some("false"),
        of: &[SCAN],
        description: "\
            Whether one issue of the repository says which images are refused and why, true or \
            false. The action opens and closes it, and adds new findings as comments. It needs \
            issues: write.",
        ..ROW
    },
];
