//! Inputs about names, bake files, digests of several jobs, and logins. Data alone.

use super::reasons::{
    JOBS_TOKEN, NO_CLAIM, NO_FILES, OF_A_STEP, OF_DIGESTS, OF_MERGE, OWN_IMAGES, OWN_OUTPUT,
};
use super::{BAKE, Input, InputGroup, InputSecret, MERGE, PROMOTE, PUBLISH, ROW, SCAN};

pub(super) const NAMING: &[Input] = &[
    Input {
        name: "flavor",
        group: InputGroup::Names,
        of: &[PUBLISH, MERGE, PROMOTE],
        description: "\
            What all tags have in common, as docker/metadata-action takes it, such as latest=auto, \
            prefix= and suffix=.",
        ..ROW
    },
    Input {
        name: "labels",
        group: InputGroup::Names,
        of: &[PUBLISH],
        description: "\
            Labels for the image, KEY=value, one a line, beside the standard ones of the Open \
            Container Initiative; expressions such as {{sha}} are filled in.",
        ..ROW
    },
    Input {
        name: "annotations",
        group: InputGroup::Names,
        of: &[
            PUBLISH,
            MERGE.own(
                None,
                "\
                    Annotations for the index, KEY=value, one a line. With \
                    DOCKER_METADATA_ANNOTATIONS_LEVELS, as in the jobs that build, the standard \
                    ones of level index as well. What the jobs wrote is kept.",
            ),
        ],
        description: "\
            Annotations, KEY=value, one a line, beside the standard ones; \
            DOCKER_METADATA_ANNOTATIONS_LEVELS says where they go (manifest, index, ...).",
        ..ROW
    },
    Input {
        name: "metadata-context",
        group: InputGroup::Names,
        default: Some("workflow"),
        of: &[PUBLISH.withheld(NO_FILES), MERGE.withheld(NO_FILES)],
        description: "\
            What tags, labels and annotations are made from, workflow (the event) or git (the \
            repository in the workspace).",
        ..ROW
    },
    Input {
        name: "on-tag-conflict",
        group: InputGroup::Names,
        default: Some("fail"),
        of: &[PUBLISH.withheld(OF_MERGE), MERGE, BAKE, PROMOTE.own(Some("fail"), "What to do when a full version at a destination points to another image, or somebody moved a tag meanwhile, fail or overwrite.")],
        description: "\
            What to do when somebody moved a tag while this run was building, or a full version \
            already exists from another commit, fail or overwrite.",
        ..ROW
    },
    Input {
        name: "sep-tags",
        group: InputGroup::Names,
        of: &[PUBLISH.withheld(OF_A_STEP), MERGE.withheld(OWN_OUTPUT), PROMOTE.withheld(OWN_OUTPUT)],
        description: "\
            Separator of the entries of the outputs tags and tag-names. Default is a line \
            break.",
        ..ROW
    },
    Input {
        name: "sep-labels",
        group: InputGroup::Names,
        of: &[PUBLISH.withheld(OF_A_STEP)],
        description: "\
            Separator of the entries of the output labels. Default is a line break.",
        ..ROW
    },
    Input {
        name: "sep-annotations",
        group: InputGroup::Names,
        of: &[PUBLISH.withheld(OF_A_STEP), MERGE.withheld(OF_A_STEP)],
        description: "\
            Separator of the entries of the output annotations. Default is a line break.",
        ..ROW
    },
    Input {
        name: "bake-target",
        group: InputGroup::Names,
        of: &[PUBLISH.withheld(OF_A_STEP)],
        description: "\
            Name of a target; when set, bake files with tags, labels and annotations for it are \
            written into the workspace.",
        ..ROW
    },
    Input {
        name: "source",
        group: InputGroup::BakeFiles,
        of: &[BAKE, PROMOTE.below(InputGroup::Names).own(None, "The image to promote, a repository with a tag or a digest, such as ghcr.io/octo/app:sha-… or ghcr.io/octo/app@sha256:… Where both are given, the tag must point to the digest. The tag is resolved once, at the start. Default is the image that publish made from the commit of this run, sha- and the commit at the registry of the server.")],
        description: "\
            Where the bake files are, and what paths in them are relative to. Default is the \
            commit of this run, which BuildKit fetches by itself; write another Git repository as \
            for docker/bake-action, and a folder, such as . for the workspace, needs a checkout \
            before. {{defaultContext}} stands for the default, as in {{defaultContext}}:folder.",
        ..ROW
    },
    Input {
        name: "set",
        group: InputGroup::BakeFiles,
        of: &[BAKE],
        description: "\
            Overrides for targets, TARGET.KEY=value, one a line, as docker/bake-action takes them.",
        ..ROW
    },
    Input {
        name: "vars",
        group: InputGroup::BakeFiles,
        of: &[BAKE],
        description: "\
            Variables of the bake files, NAME=value, one a line. They win over defaults and over \
            the environment.",
        ..ROW
    },
    Input {
        name: "source-images",
        group: InputGroup::Digests,
        of: &[MERGE.withheld(OWN_IMAGES)],
        description: "\
            Images that no job of this run built, one a line, such as ghcr.io/octo/app:v1-amd64 or \
            quay.io/octo/base@sha256:… They come in addition to digests or in place of them. Tags \
            are resolved once, at the start. They are copied into images by digest, and signed and \
            verified there. build-source names their source, and sbom registry makes their SBOMs.",
        ..ROW
    },
    Input {
        name: "digest-files",
        group: InputGroup::Digests,
        of: &[
            PUBLISH.withheld(OF_DIGESTS),
            MERGE.withheld(OF_DIGESTS).own(
                None,
                "\
                    A folder of files named by the hexadecimal digits of a digest, as workflows \
                    pass them through artifacts, in place of digests or beside it.",
            ),
        ],
        description: "\
            With push-by-digest, a folder in which an empty file named by the digest is written, \
            for actions/upload-artifact.",
        ..ROW
    },
    Input {
        name: "build-source",
        group: InputGroup::Digests,
        of: &[MERGE.withheld(OWN_IMAGES)],
        description: "\
            Source of images that this run did not build, the address of a Git repository, or any. \
            By default the build's provenance must name the repository and commit of this run.",
        ..ROW
    },
    Input {
        name: "check-runners",
        group: InputGroup::Digests,
        default: Some("false"),
        of: &[MERGE.custom_withholds(NO_CLAIM)],
        description: "\
            Whether every job of publish.yml in this attempt must have run on a runner of \
            GitHub's, true or false. This needs the permission actions (read), because the run \
            asks GitHub's API. A job that ran elsewhere is refused; without an answer no build \
            level is claimed, and the summary says so.",
        ..ROW
    },
    Input {
        name: "registry",
        group: InputGroup::Logins,
        of: &[PUBLISH, MERGE, BAKE.own(None, "The registry that username and password are for."), PROMOTE, SCAN],
        description: "\
            The registry that username and password are for. Default is the registry of the \
            images; where these lie at several, Docker Hub if it is one of them, and otherwise an \
            error.",
        ..ROW
    },
    Input {
        name: "registry-auth",
        group: InputGroup::Logins,
        secret: InputSecret::Passwords,
        of: &[PUBLISH, MERGE, BAKE, PROMOTE, SCAN],
        description: "\
            Logins as a list in YAML or JSON, each with registry and either username and password, \
            or aws-role, or gcp-workload-identity-provider with gcp-service-account if wanted, or \
            azure-client-id and azure-tenant-id. An entry for Amazon ECR with the registry alone \
            uses the AWS keys of the environment.",
        ..ROW
    },
    Input {
        name: "github-token",
        group: InputGroup::Logins,
        default: Some("${{ github.token }}"),
        secret: InputSecret::Whole,
        of: &[
            PUBLISH.withheld(JOBS_TOKEN),
            MERGE.withheld(JOBS_TOKEN).own(
                Some("${{ github.token }}"),
                "\
                    Token for the registry of the server (ghcr.io on github.com) and for GitHub's \
                    API (default branch, commit of a tag, whether the repository is private). It \
                    is never sent to other hosts.",
            ),
            BAKE.own(
                Some("${{ github.token }}"),
                "\
                    Token for the registry of the server (ghcr.io on github.com) and for GitHub's \
                    API (default branch, commit of a tag, whether the repository is private). \
                    BuildKit fetches the default source of a private repository with it, as the \
                    build secret GIT_AUTH_TOKEN.<host>. It is never sent to other hosts.",
            ), PROMOTE.withheld(JOBS_TOKEN), SCAN.own(
                Some("${{ github.token }}"),
                "\
                    Token for the registry of the server (ghcr.io on github.com) and for \
                    upload-sarif. It is never sent to other hosts.",
            )],
        description: "\
            Token for the registry of the server (ghcr.io on github.com) and for GitHub's API \
            (default branch, commit of a tag, whether the repository is private). BuildKit fetches \
            the default context of a private repository with it, as the build secret \
            GIT_AUTH_TOKEN.<host>. It is never sent to other hosts.",
        ..ROW
    },
];
