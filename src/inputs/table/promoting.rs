//! Inputs of `promote`, where an image goes, and of its policy, which `scan` has as well: whose it is,
//! and what must be proven of it. The words of the policy are those of `verify`. Data alone.

use super::reasons::NO_FILES;
use super::{Input, InputGroup, PROMOTE, ROW, SCAN};

pub(super) const PROMOTING: &[Input] = &[
    Input {
        name: "destinations",
        group: InputGroup::Names,
        common: true,
        of: &[PROMOTE],
        description: "\
            Repositories to promote to, separated by commas or lines, at one registry or several, \
            or an OCI layout on disk as oci-layout:DIR or oci-layout:FILE.tar. Default is the \
            repository of the server's own registry, where only tags are set if the image is \
            already there.",
        ..ROW
    },
    Input {
        name: "dry-run",
        group: InputGroup::Names,
        common: true,
        default: Some("false"),
        of: &[PROMOTE],
        description: "\
            Whether to verify the image and list what would be copied and which tags would be set, \
            without any change.",
        ..ROW
    },
    Input {
        name: "rescan",
        group: InputGroup::Scan,
        common: true,
        default: Some("false"),
        of: &[PROMOTE],
        description: "\
            Whether the image is scanned again before it is copied, true or false. fail-on \
            (critical by default) and only-fixed then judge what is known today, not the signed \
            result.",
        ..ROW
    },
    Input {
        name: "wait-for-source",
        group: InputGroup::Names,
        common: true,
        of: &[PROMOTE],
        description: "\
            How long to wait for an image that is still being published, such as 30m. Default is \
            not to wait.",
        ..ROW
    },
    Input {
        name: "allow-any-branch",
        group: InputGroup::Names,
        default: Some("false"),
        of: &[PROMOTE],
        description: "\
            Whether a Git tag may be promoted whose commit is not on the default branch.",
        ..ROW
    },
    Input {
        name: "verification-summary",
        group: InputGroup::Signing,
        common: true,
        default: Some("false"),
        of: &[PROMOTE],
        description: "\
            Whether to sign an SLSA verification summary (VSA) of each part that was verified, and \
            to attach it at each destination before the tags are set. Needs the permission \
            id-token: write.",
        ..ROW
    },
    Input {
        name: "trusted-builders",
        group: InputGroup::Signing,
        of: &[PROMOTE],
        description: "\
            Workflows whose provenance a verification summary counts as SLSA_BUILD_LEVEL_3, one a \
            line as https://github.com/OWNER/REPO/.github/workflows/FILE@REF, where a * may end the \
            ref. Name only workflows that keep their callers away from the build. Others count as \
            level 2 at most.",
        ..ROW
    },
    Input {
        name: "repo",
        group: InputGroup::Policy,
        of: &[PROMOTE, SCAN],
        description: "\
            The repository whose image it is, as OWNER/NAME on github.com or as a URL. One of its \
            workflows must have signed every part, in one of its runs. Default is the repository \
            of this run, where no other signer is named.",
        ..ROW
    },
    Input {
        name: "certificate-identity",
        group: InputGroup::Policy,
        of: &[PROMOTE, SCAN],
        description: "\
            The exact identity that must have signed every part, a workflow as \
            https://github.com/OWNER/REPO/PATH@REF.",
        ..ROW
    },
    Input {
        name: "certificate-identity-regexp",
        group: InputGroup::Policy,
        of: &[PROMOTE, SCAN],
        description: "As certificate-identity, but a regular expression for the whole identity.",
        ..ROW
    },
    Input {
        name: "certificate-oidc-issuer",
        group: InputGroup::Policy,
        of: &[PROMOTE, SCAN],
        description: "\
            The exact OIDC issuer that must have vouched for the signer. Default is the issuer for \
            workflows of the repository's server.",
        ..ROW
    },
    Input {
        name: "key",
        group: InputGroup::Policy,
        of: &[PROMOTE.withheld(NO_FILES), SCAN],
        description: "\
            A file in the workspace with the signer's public key in PEM, in place of an identity.",
        ..ROW
    },
    Input {
        name: "source-repository",
        group: InputGroup::Policy,
        of: &[PROMOTE, SCAN],
        description: "\
            The repository whose run must have signed, beside the identity of a workflow that \
            other repositories call, too.",
        ..ROW
    },
    Input {
        name: "source-repository-id",
        group: InputGroup::Policy,
        of: &[PROMOTE, SCAN],
        description: "The same repository, by its number.",
        ..ROW
    },
    Input {
        name: "source-ref",
        group: InputGroup::Policy,
        of: &[PROMOTE, SCAN],
        description: "The ref whose run must have signed, such as refs/heads/main.",
        ..ROW
    },
    Input {
        name: "source-commit",
        group: InputGroup::Policy,
        of: &[PROMOTE, SCAN],
        description: "The commit whose run must have signed, in full.",
        ..ROW
    },
    Input {
        name: "trigger",
        group: InputGroup::Policy,
        of: &[PROMOTE, SCAN],
        description: "The event that must have started the run that signed, such as push.",
        ..ROW
    },
    Input {
        name: "runner",
        group: InputGroup::Policy,
        of: &[PROMOTE, SCAN],
        description: "The kind of runner that must have signed, github-hosted or self-hosted.",
        ..ROW
    },
    Input {
        name: "require",
        group: InputGroup::Policy,
        of: &[PROMOTE, SCAN],
        description: "\
            What a part must have, as PART=KIND,KIND, one a line, as verify takes it. Parts are \
            index, platforms and attestations; kinds are signature, sbom, provenance or a \
            predicate type. Default is index=signature,provenance and platforms=signature.",
        ..ROW
    },
    Input {
        name: "verifier-id",
        group: InputGroup::Policy,
        of: &[PROMOTE],
        description: "\
            The verifier whose verification summary replaces the evidence, as the verifier.id in \
            the summary. Without require, the index then needs only a verification-summary.",
        ..ROW
    },
    Input {
        name: "verifier-identity",
        group: InputGroup::Policy,
        of: &[PROMOTE],
        description: "\
            Who must have signed that verification summary, if not the signer of the rest.",
        ..ROW
    },
    Input {
        name: "min-level",
        group: InputGroup::Policy,
        of: &[PROMOTE],
        description: "\
            The lowest level that the verification summary may state, such as SLSA_BUILD_LEVEL_2.",
        ..ROW
    },
    Input {
        name: "resource-uri",
        group: InputGroup::Policy,
        of: &[PROMOTE],
        description: "\
            The exact resourceUri that the verification summary must name. Default is the \
            repository of the source; a layout on disk has none.",
        ..ROW
    },
];
