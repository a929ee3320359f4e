//! A promotion to an OCI layout on disk: regctl brings all of it from there to a registry, as a
//! folder and as an archive, and the evidence still verifies.

use supply_action::image::Digest;

use crate::evidence::signer;
use crate::support::{accepts, cosigns, published, run, tool, trust, world};

#[test]
fn regctl_brings_image_and_evidence_from_a_layout() {
    let source = published();
    let folder = tempfile::tempdir().unwrap();
    let (layout, archive) = (folder.path().join("layout"), folder.path().join("image.tar"));
    let places = format!("oci-layout:{}\noci-layout:{}", layout.display(), archive.display());
    let named = format!("{}:v1.2.3", source.outputs["image"]);
    let (identity, issuer) = signer();
    let promoted = run(
        &["promote"],
        "greeter",
        "",
        &[
            ("INPUT_SOURCE", named.as_str()),
            ("INPUT_DESTINATIONS", places.as_str()),
            ("INPUT_CERTIFICATE-OIDC-ISSUER", issuer.as_str()),
            ("INPUT_ALLOW-ANY-BRANCH", "true"),
        ],
    );
    assert_eq!(promoted.code, Some(0), "{}", promoted.log);
    let (regctl, registry) = (tool("REGCTL"), world().sandbox.registry());
    accepts(&regctl, &["registry", "set", registry, "--tls", "disabled"]);
    let of_folder = format!("{registry}/layouts/folder");
    let from = format!("ocidir://{}:v1.2.3", layout.display());
    let to = format!("{of_folder}:v1.2.3");
    accepts(&regctl, &["image", "copy", "--referrers", "--digest-tags", &from, &to]);
    let of_archive = format!("{registry}/layouts/archive:v1.2.3");
    let archive = archive.to_str().unwrap();
    accepts(&regctl, &["image", "import", "--name", "v1.2.3", &of_archive, archive]);
    for image in [&to, &of_archive] {
        let digest: Digest = accepts(&regctl, &["image", "digest", image]).trim().parse().unwrap();
        assert_eq!(digest.as_str(), source.outputs["digest"], "{image}");
    }
    let trust = trust(world().sandbox.trusted_root().to_str().unwrap(), &identity, &issuer);
    for (cosign, extra) in cosigns() {
        for (_, digest) in source.subjects() {
            let part = format!("{of_folder}@{digest}");
            accepts(&cosign, &[&["verify"], extra, &trust, &[part.as_str()]].concat());
        }
    }
}
