//! Every output as a row: which actions write it, and what later steps find in it. Each `action.yml`
//! and the page of outputs come from here. It makes none of them.

use crate::inputs::Action;

/// An output, by its name in workflows.
#[derive(Debug, Clone, Copy)]
pub struct DeclaredOutput {
    pub name: &'static str,
    /// The heading it stands below.
    pub group: &'static str,
    /// The actions that write it.
    pub of: &'static [Action],
    pub description: &'static str,
}

const MOST_USED: &str = "Most used";
const EVIDENCE: &str = "Evidence";
const NAMES: &str = "Tags, labels, annotations";
const FINDINGS: &str = "Findings";
const ALIASES: &str = "The same by other names";
const LATER: &str = "For jobs and steps that come after";

/// The outputs of an action, by group.
pub fn outputs(action: Action) -> impl Iterator<Item = &'static DeclaredOutput> {
    OUTPUTS.iter().filter(move |output| output.of.contains(&action))
}

const OUTPUTS: &[DeclaredOutput] = &[
    DeclaredOutput {
        name: "digest",
        group: MOST_USED,
        of: &[Action::Publish, Action::Merge, Action::Promote, Action::Scan],
        description: "Digest of the image (of its index).",
    },
    DeclaredOutput {
        name: "image",
        group: MOST_USED,
        of: &[Action::Publish, Action::Merge, Action::Promote],
        description: "Name of the first image, without tag.",
    },
    DeclaredOutput {
        name: "image-ref",
        group: MOST_USED,
        of: &[Action::Publish, Action::Merge, Action::Promote, Action::Scan],
        description: "Name and digest of the first image.",
    },
    DeclaredOutput {
        name: "tags",
        group: MOST_USED,
        of: &[Action::Publish, Action::Merge, Action::Promote],
        description: "Every tag that was set, as a whole reference, one a line.",
    },
    DeclaredOutput {
        name: "dest_image_full",
        group: MOST_USED,
        of: &[Action::Promote],
        description: "Name, first tag and digest of the image at the first destination.",
    },
    DeclaredOutput {
        name: "version",
        group: MOST_USED,
        of: &[Action::Publish, Action::Merge],
        description: "\
            The first tag; what the image is a version of. Also set when nothing is published.",
    },
    DeclaredOutput {
        name: "evidence",
        group: EVIDENCE,
        of: &[Action::Publish, Action::Merge, Action::Promote],
        description: "\
            Each subject with its signatures and attestations, log indexes and the signer, as a \
            JSON object.",
    },
    DeclaredOutput {
        name: "vulnerabilities",
        group: EVIDENCE,
        of: &[Action::Publish, Action::Merge],
        description: "\
            Result of the scan of all platforms, as a JSON object with counts by severity, those \
            with a fix, what was accepted, and packages that no source covers; null if nothing was \
            scanned.",
    },
    DeclaredOutput {
        name: "secrets-found",
        group: EVIDENCE,
        of: &[Action::Publish, Action::Merge],
        description: "\
            Result of the search of layers and config, as a JSON object with counts of secrets and \
            of misconfigurations by severity. It also says how many layers were read or could not \
            be read. It holds no secret, and is null if nothing was searched.",
    },
    DeclaredOutput {
        name: "copied",
        group: EVIDENCE,
        of: &[Action::Promote],
        description: "\
            For each destination the numbers of manifests and blobs, the bytes that were sent, \
            what was already there, and the blobs that were mounted, as a JSON object.",
    },
    DeclaredOutput {
        name: "verification-summaries",
        group: EVIDENCE,
        of: &[Action::Promote],
        description: "\
            Each verification summary that is attached, with its image, verifier, levels, format \
            and bundle, as a JSON list; empty if none was requested.",
    },
    DeclaredOutput {
        name: "platforms",
        group: EVIDENCE,
        of: &[Action::Publish, Action::Merge],
        description: "Digest of each platform's image, as a JSON object.",
    },
    DeclaredOutput {
        name: "metadata",
        group: EVIDENCE,
        of: &[Action::Publish, Action::Merge],
        description: "Names, digest, tags and platforms, as a JSON object.",
    },
    DeclaredOutput {
        name: "kept-tags",
        group: NAMES,
        of: &[Action::Publish, Action::Merge, Action::Promote],
        description: "\
            Every tag that was not moved, because this image is older than the tagged one or their \
            order is not known, one a line.",
    },
    DeclaredOutput {
        name: "tag-names",
        group: NAMES,
        of: &[Action::Publish, Action::Merge],
        description: "Every tag without the image's name, one a line.",
    },
    DeclaredOutput {
        name: "labels",
        group: NAMES,
        of: &[Action::Publish, Action::Merge],
        description: "The labels, KEY=value, one a line.",
    },
    DeclaredOutput {
        name: "annotations",
        group: NAMES,
        of: &[Action::Publish, Action::Merge],
        description: "The annotations with their level, one a line.",
    },
    DeclaredOutput {
        name: "json",
        group: NAMES,
        of: &[Action::Publish, Action::Merge],
        description: "tags, tag-names, labels and annotations, as a JSON object.",
    },
    DeclaredOutput {
        name: "digests",
        group: LATER,
        of: &[Action::Publish],
        description: "\
            With push-by-digest, the digest of what was pushed for each platform, as a JSON \
            object, for the input digests of merge.",
    },
    DeclaredOutput {
        name: "bake-file",
        group: LATER,
        of: &[Action::Publish],
        description: "\
            With bake-target, the path of a bake file with tags and labels, below the workspace.",
    },
    DeclaredOutput {
        name: "bake-file-tags",
        group: LATER,
        of: &[Action::Publish],
        description: "\
            With bake-target, the path of a bake file with the tags, below the workspace.",
    },
    DeclaredOutput {
        name: "bake-file-labels",
        group: LATER,
        of: &[Action::Publish],
        description: "\
            With bake-target, the path of a bake file with the labels, below the workspace.",
    },
    DeclaredOutput {
        name: "bake-file-annotations",
        group: LATER,
        of: &[Action::Publish],
        description: "\
            With bake-target, the path of a bake file with the annotations, below the workspace.",
    },
    DeclaredOutput {
        name: "targets",
        group: MOST_USED,
        of: &[Action::Bake],
        description: "\
            Each target as a JSON object, with its image, image-ref, digest, tags, kept-tags and \
            the digests of its platforms. tags are those that were set, and kept-tags those that \
            were not moved, because this image is older. If nothing is published, as on a pull \
            request, tags, kept-tags and platforms are empty and the others are missing.",
    },
    DeclaredOutput {
        name: "evidence",
        group: EVIDENCE,
        of: &[Action::Bake],
        description: "\
            Each target with its subjects, their signatures and attestations, log indexes and the \
            signer, as a JSON object. If nothing is published, each target is empty.",
    },
    DeclaredOutput {
        name: "metadata",
        group: EVIDENCE,
        of: &[Action::Bake],
        description: "\
            Each target with its image.name, containerimage.digest and tags, as a JSON object like \
            that of docker/bake-action. If nothing is published, each target is empty.",
    },
    DeclaredOutput {
        name: "passed",
        group: MOST_USED,
        of: &[Action::Scan],
        description: "Whether the rules let every image pass, true or false.",
    },
    DeclaredOutput {
        name: "attestation-attached",
        group: MOST_USED,
        of: &[Action::Scan],
        description: "\
            Whether this run signed a new result and attached it to every image, true or false.",
    },
    DeclaredOutput {
        name: "critical",
        group: FINDINGS,
        of: &[Action::Scan],
        description: "How many open vulnerabilities are critical, each counted once.",
    },
    DeclaredOutput {
        name: "high",
        group: FINDINGS,
        of: &[Action::Scan],
        description: "How many are high.",
    },
    DeclaredOutput {
        name: "medium",
        group: FINDINGS,
        of: &[Action::Scan],
        description: "How many are medium.",
    },
    DeclaredOutput {
        name: "low",
        group: FINDINGS,
        of: &[Action::Scan],
        description: "How many are low.",
    },
    DeclaredOutput {
        name: "unknown",
        group: FINDINGS,
        of: &[Action::Scan],
        description: "How many have a severity that no source gives.",
    },
    DeclaredOutput {
        name: "result",
        group: FINDINGS,
        of: &[Action::Scan],
        description: "Each image, whether it passed, and every finding, as a JSON array.",
    },
    DeclaredOutput {
        name: "sarif-files",
        group: FINDINGS,
        of: &[Action::Scan],
        description: "\
            The files that sarif-file took, one a line; GitHub takes twenty runs a file.",
    },
    DeclaredOutput {
        name: "trivy_image_scan_passed",
        group: ALIASES,
        of: &[Action::Scan],
        description: "As passed, for pipelines that read this name.",
    },
    DeclaredOutput {
        name: "vuln_attestation_attached",
        group: ALIASES,
        of: &[Action::Scan],
        description: "As attestation-attached, for pipelines that read this name.",
    },
];
