//! Inputs about the build and its builder. Data alone.

use super::reasons::{NO_AGENT, NO_ENVIRONMENT, NO_FILES, OF_A_STEP, OWN_BUILDER, REACHES_IN};
use super::{BAKE, Input, InputGroup, PUBLISH, ROW};

pub(super) const BUILD: &[Input] = &[
    Input {
        name: "target",
        group: InputGroup::Build,
        of: &[PUBLISH],
        description: "The stage to build.",
        ..ROW
    },
    Input {
        name: "source-args",
        group: InputGroup::Build,
        default: Some("false"),
        of: &[PUBLISH],
        description: "\
            Whether the build gets SOURCE_REPOSITORY, SOURCE_COMMIT and BUILD_WORKFLOW as build \
            arguments.",
        ..ROW
    },
    Input {
        name: "secret-envs",
        group: InputGroup::Build,
        of: &[PUBLISH.withheld(NO_ENVIRONMENT)],
        description: "Secrets from the environment, ID=VARIABLE, separated by commas or lines.",
        ..ROW
    },
    Input {
        name: "secret-files",
        group: InputGroup::Build,
        of: &[PUBLISH.withheld(NO_FILES)],
        description: "Secrets from files, ID=path, one a line.",
        ..ROW
    },
    Input {
        name: "ssh",
        group: InputGroup::Build,
        of: &[PUBLISH.withheld(NO_AGENT)],
        description: "\
            SSH agent sockets or keys for RUN --mount=type=ssh, separated by commas or lines.",
        ..ROW
    },
    Input {
        name: "cache-from",
        group: InputGroup::Build,
        of: &[PUBLISH.strict_withholds(REACHES_IN)],
        description: "\
            Caches to read, one a line, such as type=gha or type=registry,ref=ghcr.io/octo/cache.",
        ..ROW
    },
    Input {
        name: "cache-to",
        group: InputGroup::Build,
        of: &[PUBLISH.strict_withholds(REACHES_IN)],
        description: "Caches to write, one a line, such as type=gha,mode=max.",
        ..ROW
    },
    Input {
        name: "no-cache",
        group: InputGroup::Build,
        default: Some("false"),
        of: &[PUBLISH, BAKE],
        description: "Build everything again.",
        ..ROW
    },
    Input {
        name: "no-cache-filters",
        group: InputGroup::Build,
        of: &[PUBLISH],
        description: "Stages to build again, separated by commas or lines.",
        ..ROW
    },
    Input {
        name: "pull",
        group: InputGroup::Build,
        default: Some("false"),
        of: &[PUBLISH, BAKE],
        description: "Always look for newer base images.",
        ..ROW
    },
    Input {
        name: "build-contexts",
        group: InputGroup::Build,
        of: &[PUBLISH.strict_withholds(REACHES_IN)],
        description: "More contexts, name=path or name=URL, one a line.",
        ..ROW
    },
    Input {
        name: "network",
        group: InputGroup::Build,
        of: &[PUBLISH.strict_withholds(REACHES_IN)],
        description: "Network mode of RUN, such as none or host.",
        ..ROW
    },
    Input {
        name: "add-hosts",
        group: InputGroup::Build,
        of: &[PUBLISH.strict_withholds(REACHES_IN)],
        description: "Host names for the build, name:address, separated by commas or lines.",
        ..ROW
    },
    Input {
        name: "allow",
        group: InputGroup::Build,
        of: &[PUBLISH.strict_withholds(REACHES_IN), BAKE],
        description: "\
            Entitlements for the build, such as network.host, separated by commas or lines.",
        ..ROW
    },
    Input {
        name: "attests",
        group: InputGroup::Build,
        of: &[PUBLISH.strict_withholds(REACHES_IN)],
        description: "More attestations for buildx, one a line, such as type=sbom,generator=image.",
        ..ROW
    },
    Input {
        name: "cgroup-parent",
        group: InputGroup::Build,
        of: &[PUBLISH.strict_withholds(REACHES_IN)],
        description: "Parent cgroup of the build's containers.",
        ..ROW
    },
    Input {
        name: "shm-size",
        group: InputGroup::Build,
        of: &[PUBLISH],
        description: "Size of /dev/shm of the build's containers, such as 2gb.",
        ..ROW
    },
    Input {
        name: "ulimit",
        group: InputGroup::Build,
        of: &[PUBLISH],
        description: "Limits of the build's containers, one a line, such as nofile=1024:1024.",
        ..ROW
    },
    Input {
        name: "build-env",
        group: InputGroup::Build,
        of: &[PUBLISH.withheld(NO_ENVIRONMENT), BAKE],
        description: "\
            Names of variables of the job that buildx and the bake files get, separated by commas \
            or lines. They always get what programs need (PATH, HOME, proxies, DOCKER_HOST and the \
            like, BUILDX_*, BUILDKIT_*, SOURCE_DATE_EPOCH) and what describes the run (GITHUB_SHA \
            and the like). They also get what secret-envs, build-args, ssh, driver and caches of \
            the build name. A bake file is refused if it reads another variable that the job sets.",
        ..ROW
    },
    Input {
        name: "call",
        group: InputGroup::Build,
        of: &[PUBLISH.withheld("it builds nothing, so there would be nothing to merge")],
        description: "\
            Look at the build instead of building, such as check. Nothing is published then.",
        ..ROW
    },
    Input {
        name: "load",
        group: InputGroup::Build,
        default: Some("false"),
        of: &[PUBLISH.withheld(OF_A_STEP)],
        description: "Load the result into Docker, when nothing is published.",
        ..ROW
    },
    Input {
        name: "outputs",
        group: InputGroup::Build,
        of: &[PUBLISH.withheld(OF_A_STEP)],
        description: "\
            More outputs, one a line, such as type=local,dest=out. Outputs that stay on the \
            machine work, local, tar, oci and cacheonly, and docker if nothing is published. This \
            action pushes the image itself. From an output type=image it takes compression, \
            compression-level, force-compression, rewrite-timestamp, oci-mediatypes and \
            annotations, and also push-by-digest=true and push=false, as the inputs of these \
            names.",
        ..ROW
    },
    Input {
        name: "push-by-digest",
        group: InputGroup::Build,
        default: Some("false"),
        of: &[PUBLISH],
        description: "\
            Whether to push by digest alone, for merge in a later job to publish, with no tag and \
            no evidence yet. Needs no id-token.",
        ..ROW
    },
    Input {
        name: "builder",
        group: InputGroup::Builder,
        of: &[PUBLISH.withheld(OWN_BUILDER), BAKE],
        description: "Name of a builder that is already set up; it is neither changed nor removed.",
        ..ROW
    },
    Input {
        name: "builder-endpoint",
        group: InputGroup::Builder,
        of: &[PUBLISH.withheld(OWN_BUILDER), BAKE],
        description: "\
            Address of a running BuildKit, such as unix:///run/buildkit/buildkitd.sock or \
            tcp://buildkit:1234. Without it a builder is started in Docker.",
        ..ROW
    },
    Input {
        name: "driver",
        group: InputGroup::Builder,
        of: &[PUBLISH.withheld(OWN_BUILDER), BAKE],
        description: "\
            Driver of the builder, docker-container, remote or kubernetes. Default is remote with \
            builder-endpoint and docker-container without.",
        ..ROW
    },
    Input {
        name: "driver-opts",
        group: InputGroup::Builder,
        of: &[PUBLISH.strict_withholds(REACHES_IN), BAKE],
        description: "\
            Options of the driver, one a line, such as network=host or, for TLS, cacert=ca.pem.",
        ..ROW
    },
    Input {
        name: "buildkitd-flags",
        group: InputGroup::Builder,
        of: &[PUBLISH.strict_withholds(REACHES_IN), BAKE],
        description: "Flags for the BuildKit that the builder starts.",
        ..ROW
    },
    Input {
        name: "buildkitd-config",
        group: InputGroup::Builder,
        of: &[PUBLISH.withheld(NO_FILES), BAKE],
        description: "A buildkitd.toml for the builder.",
        ..ROW
    },
    Input {
        name: "buildkitd-config-inline",
        group: InputGroup::Builder,
        of: &[PUBLISH.strict_withholds(REACHES_IN), BAKE],
        description: "The text of a buildkitd.toml for the builder.",
        ..ROW
    },
    Input {
        name: "append",
        group: InputGroup::Builder,
        of: &[PUBLISH.withheld(OWN_BUILDER), BAKE],
        description: "\
            More nodes for the builder, a list of name, endpoint, driver-opts, buildkitd-flags and \
            platforms in YAML.",
        ..ROW
    },
    Input {
        name: "cleanup",
        group: InputGroup::Builder,
        default: Some("true"),
        of: &[PUBLISH.withheld(OWN_BUILDER), BAKE],
        description: "Whether the builder that this action makes is removed at the end.",
        ..ROW
    },
    Input {
        name: "keep-state",
        group: InputGroup::Builder,
        default: Some("false"),
        of: &[PUBLISH.withheld(OWN_BUILDER), BAKE],
        description: "Whether the cache of a builder that is removed is kept.",
        ..ROW
    },
];
