use serde_json::json;

use super::*;
use crate::evidence::VERIFICATION_SUMMARY;
use crate::verify::sample;

const WHO: &str = "https://v.example/promote";

fn subject() -> Digest {
    Digest::of(b"image")
}

fn predicate() -> Value {
    json!({
        "verifier": { "id": WHO },
        "timeVerified": "2026-11-29T12:00:00Z",
        "resourceUri": format!("oci://quay.io/octo/app@{}", subject()),
        "policy": { "uri": "https://v.example/policy" },
        "inputAttestations": [{ "digest": { "sha256": "00" } }],
        "verificationResult": "PASSED",
        "verifiedLevels": ["SLSA_BUILD_LEVEL_2", "OCTO_REVIEWED"],
        "slsaVersion": "1.2",
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut predicate = predicate();
    predicate[field] = value;
    predicate
}

fn statement(predicate: &Value) -> VerifiedStatement {
    let summary = Some(SummaryStatement::read(predicate, &subject()));
    VerifiedStatement { summary, ..sample::statement(VERIFICATION_SUMMARY) }
}

fn terms() -> SummaryTerms {
    SummaryTerms {
        verifier: WHO.to_owned(),
        resource: SummarizedResource::In("quay.io/octo/app".parse().unwrap()),
        lowest: None,
    }
}

fn now() -> Timestamp {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

fn told(terms: &SummaryTerms, predicate: &Value) -> Result<(), String> {
    terms.hold(&statement(predicate), now()).map_err(|why| why.to_string())
}

#[test]
fn what_says_all_that_is_asked_passes() {
    assert_eq!(told(&terms(), &predicate()), Ok(()));
    let unknown = with("https://octo.example/field", json!({ "x": 1 }));
    assert_eq!(told(&terms(), &unknown), Ok(()), "unknown fields are ignored");
    for absent in ["timeVerified", "inputAttestations", "dependencyLevels", "slsaVersion"] {
        let mut predicate = predicate();
        predicate.as_object_mut().unwrap().remove(absent);
        assert_eq!(told(&terms(), &predicate), Ok(()), "{absent} is optional");
    }
}

#[test]
fn what_is_malformed_says_nothing() {
    for (field, value, why) in [
        ("verificationResult", json!("passed"), "neither `PASSED` nor `FAILED`"),
        ("verificationResult", json!(true), "no `verificationResult`"),
        ("verifier", json!("x"), "no `verifier.id`"),
        ("verifier", json!({ "id": "" }), "no `verifier.id`"),
        ("resourceUri", Value::Null, "no `resourceUri`"),
        ("policy", json!({ "digest": { "sha256": "00" } }), "no `policy.uri`"),
        ("timeVerified", json!("yesterday"), "is not a time"),
        ("timeVerified", json!(1), "is not a time"),
        ("verifiedLevels", Value::Null, "no list `verifiedLevels`"),
        ("verifiedLevels", json!("SLSA_BUILD_LEVEL_3"), "no list `verifiedLevels`"),
        ("verifiedLevels", json!([3]), "not all texts"),
        ("verifiedLevels", json!(["FAILED"]), "`FAILED` among"),
        (
            "verifiedLevels",
            json!(["SLSA_BUILD_LEVEL_1", "SLSA_BUILD_LEVEL_3"]),
            "two levels of track `BUILD`",
        ),
        ("inputAttestations", json!({}), "are no list"),
        ("inputAttestations", json!([{ "uri": "x" }]), "has no digest"),
        ("inputAttestations", json!([{ "digest": { "sha256": 1 } }]), "has no digest"),
    ] {
        let said = told(&terms(), &with(field, value.clone())).unwrap_err();
        assert!(said.contains("cannot be used") && said.contains(why), "{field} {value}: {said}");
    }
    assert!(SummaryStatement::read(&json!([]), &subject()).is_err());
}

#[test]
fn another_verifier_resource_result_or_time_does_not_pass() {
    let other = Digest::of(b"other");
    for (field, value, why) in [
        ("verifier", json!({ "id": "https://v.example/promote/" }), "is by verifier"),
        ("verifier", json!({ "id": "https://V.example/promote" }), "is by verifier"),
        ("verificationResult", json!("FAILED"), "says `FAILED`"),
        ("timeVerified", json!("2026-11-29T12:05:01Z"), "which is in the future"),
        ("resourceUri", json!("oci://quay.io/octo/apps"), "is about"),
        ("resourceUri", json!(format!("oci://quay.io/octo/app@{other}")), "is about"),
        ("resourceUri", json!("oci://quay.io/octo/app:v1"), "is about"),
        ("resourceUri", json!("oci://ghcr.io/octo/app"), "is about"),
        ("resourceUri", json!("https://quay.io.evil.example/octo/app"), "is about"),
        ("resourceUri", json!("pkg:oci/app?repository_url=ghcr.io/octo/app"), "is about"),
        ("resourceUri", json!("pkg:oci/app"), "is about"),
        ("resourceUri", json!("pkg:oci/app?repository_url=%zz"), "is about"),
    ] {
        let said = told(&terms(), &with(field, value.clone())).unwrap_err();
        assert!(said.contains(why), "{field} {value}: {said}");
    }
    assert_eq!(told(&terms(), &with("timeVerified", json!("2026-11-29T12:05:00Z"))), Ok(()));
}

#[test]
fn one_resource_has_several_spellings() {
    let digest = subject();
    for uri in [
        format!("quay.io/octo/app@{digest}"),
        format!("quay.io/octo/app:v1@{digest}"),
        format!("docker://quay.io/octo/app@{digest}"),
        "oci://quay.io/octo/app".to_owned(),
        format!("pkg:oci/app@sha256%3A{}?repository_url=quay.io%2Focto%2Fapp", digest.hex()),
        format!("pkg:oci/app@{digest}?arch=amd64&repository_url=quay.io/octo/app"),
    ] {
        assert_eq!(told(&terms(), &with("resourceUri", json!(uri))), Ok(()), "{uri}");
    }
    let hub = SummaryTerms {
        resource: SummarizedResource::In("docker.io/library/app".parse().unwrap()),
        ..terms()
    };
    assert_eq!(told(&hub, &with("resourceUri", json!(format!("app@{digest}")))), Ok(()));
    let by_uri = SummaryTerms {
        resource: SummarizedResource::Uri("https://x.example/prod".to_owned()),
        ..terms()
    };
    assert_eq!(told(&by_uri, &with("resourceUri", json!("https://x.example/prod"))), Ok(()));
    assert!(told(&by_uri, &predicate()).is_err());
}

#[test]
fn a_level_implies_those_below_it_on_its_track_alone() {
    let told = |wanted: &str, levels: Value| {
        let terms = SummaryTerms { lowest: Some(wanted.parse().unwrap()), ..terms() };
        told(&terms, &with("verifiedLevels", levels)).is_ok()
    };
    for (wanted, levels, passes) in [
        ("SLSA_BUILD_LEVEL_2", json!(["SLSA_BUILD_LEVEL_2"]), true),
        ("SLSA_BUILD_LEVEL_2", json!(["SLSA_BUILD_LEVEL_3"]), true),
        ("SLSA_BUILD_LEVEL_2", json!(["SLSA_BUILD_LEVEL_10"]), true),
        ("SLSA_BUILD_LEVEL_2", json!(["SLSA_BUILD_LEVEL_1"]), false),
        ("SLSA_BUILD_LEVEL_2", json!(["SLSA_SOURCE_LEVEL_3"]), false),
        ("SLSA_BUILD_LEVEL_2", json!(["SLSA_BUILD_LEVEL_UNEVALUATED"]), false),
        ("SLSA_BUILD_LEVEL_0", json!(["SLSA_BUILD_LEVEL_UNEVALUATED"]), false),
        ("SLSA_BUILD_LEVEL_UNEVALUATED", json!(["SLSA_BUILD_LEVEL_1"]), true),
        ("SLSA_BUILD_LEVEL_2", json!([]), false),
        ("SLSA_BUILD_LEVEL_2", json!(["slsa_build_level_2", "SLSA_BUILD_LEVEL_+2"]), false),
        ("OCTO_REVIEWED", json!(["OCTO_REVIEWED"]), true),
        ("OCTO_REVIEWED", json!(["OCTO_REVIEWED_2"]), false),
    ] {
        assert_eq!(told(wanted, levels.clone()), passes, "{wanted} {levels}");
    }
    for wrong in ["", "FAILED", "SLSA_BUILD", "SLSA__LEVEL_1", "SLSA_BUILD_LEVEL_x", "a b"] {
        assert!(wrong.parse::<SlsaLevel>().is_err(), "{wrong}");
    }
}

#[test]
fn the_newest_of_the_verifier_counts() {
    let at = |time: &str, result: &str| {
        let mut said = with("timeVerified", json!(time));
        said["verificationResult"] = json!(result);
        statement(&said)
    };
    let passed = at("2026-11-28T00:00:00Z", "PASSED");
    let failed = at("2026-11-29T00:00:00Z", "FAILED");
    let elsewhere = statement(&with("resourceUri", json!("oci://ghcr.io/octo/app")));
    let counts = |found: &[&VerifiedStatement]| {
        let newest = terms().newest(found.iter().copied()).unwrap().clone();
        terms().hold(&newest, now()).is_ok()
    };
    assert!(!counts(&[&passed, &failed]) && !counts(&[&failed, &passed]));
    assert!(counts(&[&at("2026-11-29T01:00:00Z", "PASSED"), &failed]));
    assert!(counts(&[&passed, &elsewhere]), "another's is not asked");
    assert!(!counts(&[&elsewhere]));
    let unreadable = |at: &str| VerifiedStatement {
        signed_at: Some(at.to_owned()),
        ..statement(&with("verificationResult", json!("MAYBE")))
    };
    assert!(counts(&[&passed, &unreadable("2026-11-27T00:00:00Z")]));
    assert!(!counts(&[&passed, &unreadable("2026-11-29T00:00:00Z")]));
}

#[test]
fn two_that_differ_in_time_alone_say_the_same() {
    let later = with("timeVerified", json!("2026-12-01T00:00:00Z"));
    assert_eq!(said(&predicate()), said(&later));
    assert_ne!(said(&predicate()), said(&with("verifiedLevels", json!([]))));
}
