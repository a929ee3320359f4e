//! Verification summaries of a promotion: cosign reads and verifies them in both formats, and still
//! verifies the image by who published it.

use serde_json::json;

use crate::evidence::{signer, statement_of};
use crate::support::{accepts, cosigns, judge, published, run, trust, world};

const VSA: &str = "https://slsa.dev/verification_summary/v1";

#[test]
fn cosign_verifies_what_a_promotion_says_of_each_part() {
    let source = published();
    let image = format!("{}/mirror/greeter", world().sandbox.registry());
    let named = format!("{}:v1.2.3", source.outputs["image"]);
    let (identity, issuer) = signer();
    let promoted = run(
        &["promote"],
        "greeter",
        "",
        &[
            ("INPUT_SOURCE", named.as_str()),
            ("INPUT_DESTINATIONS", image.as_str()),
            ("INPUT_CERTIFICATE-OIDC-ISSUER", issuer.as_str()),
            ("INPUT_VERIFICATION-SUMMARY", "true"),
            ("INPUT_ALLOW-ANY-BRANCH", "true"),
        ],
    );
    assert_eq!(promoted.code, Some(0), "{}", promoted.log);
    let trust = trust(world().sandbox.trusted_root().to_str().unwrap(), &identity, &issuer);
    for (cosign, extra) in cosigns() {
        for (kind, digest) in source.subjects() {
            let part = format!("{image}@{digest}");
            accepts(&cosign, &[&["verify"], extra, &trust, &[part.as_str()]].concat());
            let asked = ["verify-attestation", "--type", VSA];
            let words = [&asked[..], extra, &trust, &[part.as_str()]].concat();
            if kind == "attestations" {
                assert!(!judge(&cosign, &words).0, "nobody asked about BuildKit's own");
                continue;
            }
            let statement = statement_of(&accepts(&cosign, &words));
            let predicate = &statement["predicate"];
            assert_eq!(statement["predicateType"], VSA);
            assert_eq!(predicate["verificationResult"], "PASSED");
            assert_eq!(predicate["resourceUri"], format!("oci://{part}"));
            assert_eq!(predicate["verifiedLevels"], json!(["SLSA_BUILD_LEVEL_2"]), "{kind}");
            let (verifier, _) = identity.split_once('@').unwrap();
            assert_eq!(predicate["verifier"]["id"], verifier);
        }
    }
}
