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
            ghcr.io/octo/app:latest. What a tag points to is asked once, at the start. Default is \
            latest of the repository of this run, in the registry of its server.",
        ..ROW
    },
    Input {
        name: "verify",
        group: InputGroup::Policy,
        common: true,
        default: Some("true"),
        of: &[SCAN],
        description: "\
            Whether the evidence of each image is verified first. What is scanned is then its \
            signed SBOM; where it has none, and with false, its layers are read. Of an image that \
            is not verified no result is signed.",
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
            signs where the job may (id-token: write, or a key) and the event is no pull request.",
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
            security-events: write. auto says in a notice why it cannot; true fails then.",
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
            false. It is opened and closed by itself, and what is new is a comment. It needs \
            issues: write.",
        ..ROW
    },
];
