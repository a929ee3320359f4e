//! Inputs about SBOMs, provenance, signatures and what is kept of them. Data alone.

use super::reasons::{ALWAYS, NO_FILES, OF_MERGE};
use super::{BAKE, Input, InputGroup, InputSecret, MERGE, PROMOTE, PUBLISH, ROW};

pub(super) const EVIDENCE: &[Input] = &[
    Input {
        name: "sbom",
        group: InputGroup::Sboms,
        of: &[
            PUBLISH,
            MERGE.own(
                Some("true"),
                "\
                    true requires that each platform comes with an SBOM from its build. registry \
                    makes SBOMs here, from the layers that the jobs pushed; with sbom registry in \
                    those jobs as well, they make none. false leaves SBOMs out.",
            ),
            BAKE.own(
                None,
                "\
                    Whether every target of the bake files gets SBOMs, true, false, or attributes \
                    of another generator. What the targets say of it themselves is replaced.",
            ),
        ],
        description: "\
            A signed SBOM for every platform, and one of the index that joins them. With auto (or \
            true) this action's own scanner makes it during the build, as SPDX 2.3; with scanner \
            the run fails if it cannot. registry makes the SBOMs from the pushed layers, as auto \
            does if the builder cannot run the scanner. buildkit uses BuildKit's generator and \
            generator=image another one, checked before it is signed. A path such as \
            ./sbom.{platform}.json names SBOMs of your own (SPDX 2 or CycloneDX in JSON; \
            {platform} is linux-amd64, {os} linux, {arch} amd64). false leaves it out. Default is \
            auto, unless attests names a generator.",
        ..ROW
    },
    Input {
        name: "sbom-format",
        group: InputGroup::Sboms,
        of: &[PUBLISH, MERGE, BAKE],
        description: "\
            Format of the SBOMs that are signed, spdx (2.3) or cyclonedx (1.6). CycloneDX is made \
            of the layers that were pushed (sbom registry), and attested as \
            https://cyclonedx.org/bom; what a generator in the build writes is SPDX, which is all \
            that BuildKit takes, and SBOMs of your own stay as they are. Default is spdx.",
        ..ROW
    },
    Input {
        name: "sbom-files",
        group: InputGroup::Sboms,
        of: &[PUBLISH, MERGE, BAKE],
        description: "\
            Files that SBOMs list beside packages, none or owned. With owned they are the files in \
            the lists of dpkg, apk, rpm and Python packages, each with its SHA-1. The document of \
            an image with an operating system has tens of thousands of them. Default is none.",
        ..ROW
    },
    Input {
        name: "sbom-cache",
        group: InputGroup::Sboms,
        of: &[PUBLISH.withheld(NO_FILES), MERGE.withheld(NO_FILES)],
        description: "\
            A folder that keeps the contents of each layer when SBOMs are made from layers (sbom \
            registry), for actions/cache to restore. Known layers are not fetched again, and the \
            SBOMs stay the same.",
        ..ROW
    },
    Input {
        name: "sbom-cache-key",
        group: InputGroup::Sboms,
        secret: InputSecret::Whole,
        of: &[PUBLISH.withheld(NO_FILES), MERGE.withheld(NO_FILES)],
        description: "\
            A secret, 16 characters or more, that authenticates what sbom-cache holds. Without it \
            a run that signs reads every layer again, since other jobs may write the cache.",
        ..ROW
    },
    Input {
        name: "provenance",
        group: InputGroup::Sboms,
        of: &[
            PUBLISH,
            MERGE.own(
                Some("true"),
                "\
                    Whether each platform must come with BuildKit's provenance (SLSA v1), made in \
                    its build. The provenance of the workflow is always made.",
            ),
            BAKE.own(
                None,
                "\
                    BuildKit's provenance (SLSA v1) of every target, true, false, or attributes \
                    such as mode=min. What the targets say of it themselves is replaced. The \
                    provenance of the workflow is always made.",
            ),
        ],
        description: "\
            BuildKit's provenance of every platform, such as mode=max or mode=min, or false. \
            Default is mode=max for a public repository and mode=min for a private one. The \
            provenance of the workflow is always made.",
        ..ROW
    },
    Input {
        name: "provenance-versions",
        group: InputGroup::Sboms,
        default: Some("v1"),
        of: &[PUBLISH.withheld(OF_MERGE), MERGE, BAKE],
        description: "\
            SLSA versions of the signed provenances, v1 or v1,v0.2. Version 0.2 says the same for \
            verifiers that ask for nothing newer (cosign verify-attestation --type \
            slsaprovenance); it is made from BuildKit's provenance in version 1.",
        ..ROW
    },
    Input {
        name: "sign",
        group: InputGroup::Signing,
        default: Some("true"),
        of: &[PUBLISH.withheld(ALWAYS), MERGE.withheld(ALWAYS), BAKE],
        description: "Must stay true to publish; an image without a signature gets no tag.",
        ..ROW
    },
    Input {
        name: "sign-subjects",
        group: InputGroup::Signing,
        default: Some("index,platforms,attestations"),
        of: &[PUBLISH.withheld(OF_MERGE), MERGE, BAKE],
        description: "\
            Parts that get a signature of their own, index, platforms (the image of each) and \
            attestations (BuildKit's manifest of them for each, which Docker's own policies look \
            at).",
        ..ROW
    },
    Input {
        name: "signature-formats",
        group: InputGroup::Signing,
        of: &[PUBLISH.withheld(OF_MERGE), MERGE, BAKE, PROMOTE.below(InputGroup::Policy).own(None, "Formats that must each hold all required evidence, bundle or legacy. By default each statement may be in either format. All evidence is copied in any case.")],
        description: "\
            How signatures and attestations are kept, bundle (Sigstore bundles as referrers, for \
            cosign 3 and other new verifiers) and legacy (the tags .sig and .att, for older ones). \
            Default is both, where the signing config names a log of version 1, which legacy \
            needs.",
        ..ROW
    },
    Input {
        name: "signature-annotations",
        group: InputGroup::Signing,
        of: &[PUBLISH.withheld(OF_MERGE), MERGE, BAKE],
        description: "\
            Annotations of every signature, KEY=VALUE, one a line, as cosign sign -a writes them \
            and cosign verify -a requires them.",
        ..ROW
    },
    Input {
        name: "github-attestations",
        group: InputGroup::Signing,
        default: Some("auto"),
        of: &[PUBLISH.withheld(OF_MERGE), MERGE, BAKE],
        description: "\
            Whether the attestations are stored at GitHub as well, for gh attestation verify and \
            the repository's page, auto, true or false. It needs the permission attestations \
            (write); auto stores them if the job has that permission.",
        ..ROW
    },
    Input {
        name: "evidence-dir",
        group: InputGroup::Signing,
        of: &[PUBLISH.withheld(OF_MERGE), MERGE.withheld(NO_FILES), BAKE],
        description: "\
            A folder in the workspace, not there yet or empty, for files of what was published, \
            for actions/upload-artifact or a release's assets. evidence.json, every Sigstore \
            bundle (linux-amd64.sbom.sigstore.json), and the SBOMs and provenances in them \
            (linux-amd64.sbom.spdx.json); with bake each target has a folder of its own.",
        ..ROW
    },
];
