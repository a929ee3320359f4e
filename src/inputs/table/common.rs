//! The inputs that most workflows need; they come first, whatever their group. Data alone.

use super::{BAKE, Input, InputGroup, InputSecret, MERGE, PROMOTE, PUBLISH, ROW, SCAN};

pub(super) const COMMON: &[Input] = &[
    Input {
        name: "images",
        group: InputGroup::Names,
        common: true,
        of: &[PUBLISH, MERGE],
        description: "\
            Where to publish, one name a line, as docker/metadata-action takes it \
            (name=ghcr.io/octo/app,enable=true). Default is the repository's name at the registry \
            of the server (ghcr.io on github.com, containers.HOST on others). If tags holds whole \
            references, their names are the default.",
        ..ROW
    },
    Input {
        name: "files",
        group: InputGroup::BakeFiles,
        common: true,
        of: &[BAKE],
        description: "\
            Bake files (HCL, JSON or Compose), separated by commas or lines, as docker/bake-action \
            takes them; beside a repository, cwd://NAME is one in the workspace. Default is what \
            buildx looks for, such as docker-bake.hcl and compose.yaml.",
        ..ROW
    },
    Input {
        name: "targets",
        group: InputGroup::BakeFiles,
        common: true,
        of: &[BAKE],
        description: "\
            Targets and groups to build and publish, separated by commas or lines. Default is the \
            group default.",
        ..ROW
    },
    Input {
        name: "digests",
        group: InputGroup::Digests,
        common: true,
        of: &[MERGE],
        description: "\
            What the jobs pushed, as JSON. Write the expression toJSON(needs), which gives the \
            output digests of every needed job, and outputs whose names begin with digests-. An \
            object of platform and digest, several of them, or digests alone on lines work, too.",
        ..ROW
    },
    Input {
        name: "tags",
        group: InputGroup::Names,
        common: true,
        of: &[PUBLISH, MERGE, PROMOTE.own(None, "Tags to set on the verified image, one rule a line as docker/metadata-action takes it (type=semver,pattern=v{{version}}), or plain tags. Without it they come from the event; tag v1.2.3 gives v1.2.3, v1.2, v1 and latest, see docs/events-and-tags.md.")],
        description: "\
            Tags to set on the verified image, one rule a line as docker/metadata-action takes it \
            (type=semver,pattern=v{{version}}), or plain tags. Whole references give each \
            repository tags of its own. Without it they come from the event, see \
            docs/events-and-tags.md.",
        ..ROW
    },
    Input {
        name: "platforms",
        group: InputGroup::Build,
        common: true,
        default: Some("linux/amd64,linux/arm64"),
        of: &[
            PUBLISH,
            MERGE.own(
                None,
                "\
                    Platforms that the image must have, separated by commas or lines, in the order \
                    of the index. A missing platform is refused, and so is one that is not listed. \
                    Default is all platforms that the jobs pushed, in the order of their names.",
            ), PROMOTE.own(None, "Platforms that the image must have, separated by commas or lines. All platforms of the image are copied.")],
        description: "Platforms to build, separated by commas or lines.",
        ..ROW
    },
    Input {
        name: "context",
        group: InputGroup::Build,
        common: true,
        of: &[PUBLISH],
        description: "\
            What to build. Default is the commit of this run, which BuildKit fetches by itself; a \
            folder needs a checkout before. {{defaultContext}} stands for the default, as in \
            {{defaultContext}}:folder.",
        ..ROW
    },
    Input {
        name: "file",
        group: InputGroup::Build,
        common: true,
        of: &[PUBLISH],
        description: "The Dockerfile, if it is not in the context.",
        ..ROW
    },
    Input {
        name: "build-args",
        group: InputGroup::Build,
        common: true,
        of: &[PUBLISH],
        description: "\
            Build arguments, NAME=value, one a line. Values can hold the expressions of labels, \
            and the version as in VERSION={{version}}; other braces stay unchanged. They are \
            published in the provenance, so never put a secret here.",
        ..ROW
    },
    Input {
        name: "secrets",
        group: InputGroup::Build,
        common: true,
        secret: InputSecret::Values,
        of: &[PUBLISH],
        description: "\
            Secrets for RUN --mount=type=secret, ID=value, one a line; values of several lines in \
            double quotes.",
        ..ROW
    },
    Input {
        name: "username",
        group: InputGroup::Logins,
        common: true,
        of: &[PUBLISH, MERGE, BAKE, PROMOTE, SCAN],
        description: "User name for the registry.",
        ..ROW
    },
    Input {
        name: "password",
        group: InputGroup::Logins,
        common: true,
        secret: InputSecret::Whole,
        of: &[PUBLISH, MERGE, BAKE, PROMOTE, SCAN],
        description: "Password or token for the registry.",
        ..ROW
    },
    Input {
        name: "push",
        group: InputGroup::Names,
        common: true,
        default: Some("auto"),
        of: &[
            PUBLISH,
            MERGE.own(
                Some("auto"),
                "\
                    Whether to publish, auto, true or false. With auto a pull request publishes \
                    nothing, and a push, tag, release or manual run publishes.",
            ),
            BAKE.own(
                Some("auto"),
                "\
                    Whether to publish, auto, true or false. With auto a pull request is built and \
                    publishes nothing, and a push, tag, release or manual run publishes.",
            ),
        ],
        description: "\
            Whether to publish, auto, true or false. With auto a pull request is built and checked \
            and publishes nothing, and a push, tag, release or manual run publishes.",
        ..ROW
    },
];
