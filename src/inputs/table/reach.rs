//! Inputs about trust, the network, and what is refused without them. Data alone.

use super::reasons::{NO_FILES, OF_MERGE, OWN_IMAGES, OWN_NETWORK};
use super::{BAKE, Input, InputGroup, MERGE, PROMOTE, PUBLISH, ROW, SCAN};

pub(super) const REACH: &[Input] = &[
    Input {
        name: "allow-public-log",
        group: InputGroup::Trust,
        default: Some("false"),
        of: &[PUBLISH.withheld(OF_MERGE), MERGE, BAKE, PROMOTE, SCAN],
        description: "\
            Whether signing may write into a public log from a private repository. The log then \
            shows the names of repository and workflow, the commit and the digests. Of SBOM and \
            provenance it keeps hashes.",
        ..ROW
    },
    Input {
        name: "signing-config",
        group: InputGroup::Trust,
        of: &[
            PUBLISH.withheld(NO_FILES),
            MERGE.withheld(NO_FILES),
            BAKE,
            PROMOTE.withheld(NO_FILES),
            SCAN,
        ],
        description: "\
            A Sigstore signing config file that names the services to sign with. Default is \
            Sigstore's public instance.",
        ..ROW
    },
    Input {
        name: "trusted-root",
        group: InputGroup::Trust,
        of: &[
            PUBLISH.withheld(NO_FILES),
            MERGE.withheld(NO_FILES),
            BAKE,
            PROMOTE.withheld(NO_FILES),
            SCAN,
        ],
        description: "\
            A file with the Sigstore trusted root to verify with. Default is \
            Sigstore's public instance.",
        ..ROW
    },
    Input {
        name: "tuf-mirror",
        group: InputGroup::Trust,
        of: &[PUBLISH.withheld(OF_MERGE), MERGE, BAKE, PROMOTE, SCAN],
        description: "\
            A TUF repository, such as https://tuf-repo-cdn.sigstore.dev, to fetch the trusted root \
            and the signing config from where no file is given. Default is to fetch nothing and to \
            use what is part of the program.",
        ..ROW
    },
    Input {
        name: "tuf-root",
        group: InputGroup::Trust,
        of: &[
            PUBLISH.withheld(NO_FILES),
            MERGE.withheld(NO_FILES),
            BAKE,
            PROMOTE.withheld(NO_FILES),
            SCAN,
        ],
        description: "\
            The root.json with which trust in tuf-mirror begins. Default is that of Sigstore's \
            public instance.",
        ..ROW
    },
    Input {
        name: "ca-certificates",
        group: InputGroup::Network,
        of: &[
            PUBLISH.strict_withholds(OWN_NETWORK),
            MERGE.strict_withholds(OWN_NETWORK),
            BAKE,
            PROMOTE,
            SCAN,
        ],
        description: "\
            Certificates of CAs to trust beside those of the system, in PEM, as text or as a file \
            in the workspace. They count for registries, GitHub, Sigstore and proxies that end \
            TLS. A builder that is made by this run trusts them for the registries of the run; see \
            docs/proxies-and-own-CAs.md.",
        ..ROW
    },
    Input {
        name: "http-registries",
        group: InputGroup::Network,
        of: &[
            PUBLISH.strict_withholds(OWN_NETWORK),
            MERGE.strict_withholds(OWN_NETWORK),
            BAKE,
            PROMOTE,
            SCAN,
        ],
        description: "\
            Registries that are reached over plain HTTP, such as registry.lan:5000, separated by \
            commas or lines. No other registry is. Anyone on the way can read and change what is \
            sent there.",
        ..ROW
    },
    Input {
        name: "allow-foreign-layers",
        group: InputGroup::Accepted,
        default: Some("false"),
        of: &[PUBLISH.withheld(OWN_IMAGES), MERGE.withheld(OWN_IMAGES), BAKE, PROMOTE, SCAN],
        description: "\
            Whether layers may name addresses outside of the registry (urls, as base images of \
            Windows do). Whoever pulls the image fetches their bytes from there, and no evidence \
            covers the address.",
        ..ROW
    },
    Input {
        name: "allow-index-entries",
        group: InputGroup::Accepted,
        of: &[MERGE.withheld(OWN_IMAGES), PROMOTE, SCAN],
        description: "\
            Artifact types of entries in an index that are neither images nor attestations, such \
            as application/vnd.amazon.soci.index.v1+json, separated by commas or lines. Any other \
            such entry is refused.",
        ..ROW
    },
];
