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
const LATER: &str = "For jobs and steps that come after";

/// The outputs of an action, by group.
pub fn outputs(action: Action) -> impl Iterator<Item = &'static DeclaredOutput> {
    OUTPUTS.iter().filter(move |output| output.of.contains(&action))
}

const OUTPUTS: &[DeclaredOutput] = &[
    DeclaredOutput {
        name: "digest",
        group: MOST_USED,
        of: &[Action::Publish, Action::Merge, Action::Promote],
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
        of: &[Action::Publish, Action::Merge, Action::Promote],
        description: "Name and digest of the first image.",
    },
    DeclaredOutput {
        name: "tags",
        group: MOST_USED,
        of: &[Action::Publish, Action::Merge, Action::Promote],
        description: "Every name that was put, one a line.",
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
            What the scan of all platforms comes to, counts by severity, those with a fix, what was \
            accepted, and packages that no source covers, as a JSON object; null where nothing was \
            scanned.",
    },
    DeclaredOutput {
        name: "secrets-found",
        group: EVIDENCE,
        of: &[Action::Publish, Action::Merge],
        description: "\
            What the search of layers and config comes to, counts of secrets and of \
            misconfigurations by severity, how many layers were read, and what could not be, as a \
            JSON object without any value; null where nothing was searched.",
    },
    DeclaredOutput {
        name: "copied",
        group: EVIDENCE,
        of: &[Action::Promote],
        description: "\
            For each destination how many manifests and blobs it got, the bytes that were sent, \
            what was skipped as it was there, and the blobs that were mounted, as a JSON object.",
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
            Every name that stays where it is, because this image would be a step back for it or \
            nobody could say, one a line.",
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
            object; what the input digests of merge takes.",
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
            Each target with its image, image-ref, digest, tags (every name that was put), \
            kept-tags (every name that stays where it is, because this image would be a step back) \
            and the digests of its platforms, as a JSON object. Where nothing is published, as on \
            a pull request, tags, kept-tags and platforms are empty and the others are missing.",
    },
    DeclaredOutput {
        name: "evidence",
        group: EVIDENCE,
        of: &[Action::Bake],
        description: "\
            Each target with its subjects, their signatures and attestations, log indexes and the \
            signer, as a JSON object. Where nothing is published, each target with nothing.",
    },
    DeclaredOutput {
        name: "metadata",
        group: EVIDENCE,
        of: &[Action::Bake],
        description: "\
            Each target with its image.name, containerimage.digest and tags, as a JSON object like \
            that of docker/bake-action. Where nothing is published, each target with nothing.",
    },
];
