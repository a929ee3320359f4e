//! Excuses, verdicts and what people see of them.

use jiff::civil::date;

use super::{Numbers, ids, token};
use crate::secrets::config::RunConfig;
use crate::secrets::detector::read_bytes;
use crate::secrets::excuses::excuse;
use crate::secrets::leak::{Confidence, Excuse, Leak, LeakPlace};
use crate::secrets::verdict::{SecretsTerms, Waiver, judge_leaks};
use crate::secrets::{sarif, shown};

fn leak(path: &str) -> Leak {
    read_bytes(path, token().as_bytes()).leaks.remove(0)
}

fn waiver(id: &str) -> Waiver {
    Waiver {
        id: id.to_owned(),
        path: None,
        reason: "known".to_owned(),
        expires: Some(date(2030, 1, 31)),
        place: "ignore.yaml:rule 1".to_owned(),
    }
}

#[test]
fn what_packages_bring_is_told() {
    let told = |path: &str| excuse(path, None).is_some();
    assert!(told("/usr/lib/python3.13/site-packages/tornado/test/test.key"));
    assert!(told("usr/local/lib/python3.13/test/certdata/keycert.pem"));
    assert!(told("app/node_modules/x/test/key.pem"));
    assert!(told("root/go/pkg/mod/a.b/c@v1.0.0/testdata/key.pem"));
    assert!(told("usr/share/doc/x/key.pem"));
    assert!(told("etc/ssl/private/ssl-cert-snakeoil.key"));
    assert!(told("usr/local/go/src/crypto/tls/example_test.go"));
    assert!(told("usr/lib/python3/dist-packages/x/test_tls.py"));
    assert!(!told("app/tests/key.pem"));
    assert!(!told("usr/lib/python3.13/site-packages/mine/key.pem"));
    assert!(!told("home/me/.ssh/id_ed25519"));
    assert!(!told("etc/ssl/private/server.key"));
    assert_eq!(excuse("usr/lib/x", Some("gnutls")), Some(Excuse::Package("gnutls".to_owned())));
    assert_eq!(excuse("etc/x.conf", Some("x")), None);
}

#[test]
fn an_excuse_takes_a_secret_out_of_the_verdict_and_stays() {
    let leaks =
        [leak("a").excused(excuse("node_modules/a", None)), leak("b").in_layer("sha256:1", true)];
    assert_eq!(leaks[1].excuse, Some(Excuse::BaseLayer));
    assert_eq!(
        leaks[1].clone().excused(Some(Excuse::KnownPlace("x"))).excuse,
        Some(Excuse::BaseLayer)
    );
    for terms in [SecretsTerms::Verifiable, SecretsTerms::Any] {
        let verdict = judge_leaks(&[leak("a"), leaks[1].clone()], terms, &[], date(2030, 1, 1));
        assert_eq!(verdict.reasons.len(), 1);
        assert_eq!(verdict.reasons[0].leaks, [0]);
    }
    let verdict = judge_leaks(&leaks[1..], SecretsTerms::default(), &[], date(2030, 1, 1));
    assert!(verdict.passes());
}

#[test]
fn one_secret_in_two_places_is_one_reason() {
    let verdict =
        judge_leaks(&[leak("a"), leak("b")], SecretsTerms::default(), &[], date(2030, 1, 1));
    assert_eq!(verdict.reasons.len(), 1);
    assert_eq!(
        (verdict.reasons[0].rule, verdict.reasons[0].leaks.as_slice()),
        ("github-token", &[0, 1][..])
    );
    assert!(!verdict.passes());
    assert!(judge_leaks(&[leak("a")], SecretsTerms::Never, &[], date(2030, 1, 1)).passes());
}

#[test]
fn a_waiver_holds_until_its_day_and_for_its_path() {
    let leaks = [leak("app/a/key"), leak("app/b")];
    let judged = |waiver: Waiver, day| judge_leaks(&leaks, SecretsTerms::default(), &[waiver], day);
    let by_print = waiver(&leaks[0].fingerprint.to_string());
    assert!(judged(by_print.clone(), date(2030, 1, 31)).passes());
    let expired = judged(by_print.clone(), date(2030, 2, 1));
    assert_eq!((expired.passes(), expired.expired.as_slice()), (false, &[0][..]));
    let below = Waiver { path: Some("/app/a".to_owned()), ..waiver("github-token") };
    assert_eq!(judged(below, date(2030, 1, 1)).reasons[0].leaks, [1]);
    let half = Waiver { path: Some("app/a/k".to_owned()), ..waiver("github-token") };
    assert_eq!(judged(half, date(2030, 1, 1)).unused, [0]);
    let silent = Waiver { reason: " ".to_owned(), ..by_print };
    assert!(!judged(silent, date(2030, 1, 1)).passes());
    assert_eq!(judged(waiver("jwt"), date(2030, 1, 1)).unused, [0]);
}

#[test]
fn people_see_what_where_and_why() {
    let layer = "sha256:12";
    let leaks = [
        leak("usr/share/doc/a").excused(excuse("usr/share/doc/a", None)),
        leak("app/b").in_layer(layer, false),
    ];
    let table = shown::leaks_table(&leaks);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("SECRET"), "{table}");
    assert!(
        lines[1].contains("github-token")
            && lines[1].contains("app/b:1")
            && lines[1].contains(layer)
    );
    assert!(
        lines[1].ends_with("refused")
            && lines[2].ends_with("listed: it is in a place for documents of packages"),
        "{table}"
    );
    assert!(!table.contains(&token()[4..]));
    assert_eq!(shown::leaks_table(&[]), "");
    let waivers = [Waiver { path: Some("app".to_owned()), ..waiver("github-token") }];
    let verdict = judge_leaks(&leaks, SecretsTerms::default(), &waivers, date(2030, 1, 1));
    let rows = sarif::rows(&leaks, &verdict, &waivers, 7);
    assert_eq!((rows.rules.len(), rows.results.len()), (1, 2));
    assert_eq!(rows.results[1]["ruleIndex"], 7);
    assert_eq!(rows.results[0]["level"], "note");
    assert_eq!(rows.results[1]["suppressions"][0]["justification"], "known");
    assert_eq!(
        rows.results[1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "app/b"
    );
    assert!(!serde_json::to_string(&rows.results).unwrap().contains(&token()[4..]));
}

#[test]
fn a_config_is_searched_by_rules_and_by_names() {
    let password = Numbers(3).any(18);
    let config = serde_json::json!({
        "config": {
            "Env": ["PATH=/usr/bin", format!("DB_PASSWORD={password}"), "API_TOKEN=/run/secrets/token", "X_SECRET=${OTHER}", format!("DSN=postgres://u:{password}@db/x"), "LOG_TOKEN=disabled"],
            "Labels": { "build": token() },
            "Cmd": ["serve", "--x"],
        },
        "history": [
            { "created_by": "ARG A" },
            { "created_by": format!("|1 NPM_TOKEN={password} /bin/sh -c npm ci # buildkit") },
            { "created_by": format!("RUN curl -H {} x", token()) },
        ],
    });
    let leaks = RunConfig::read(config.to_string().as_bytes()).unwrap().leaks();
    let told: Vec<(&str, String)> =
        leaks.iter().map(|it| (it.rule.id, it.place.to_string())).collect();
    assert_eq!(
        told,
        [
            ("github-token", "label build".to_owned()),
            ("named-secret", "environment DB_PASSWORD".to_owned()),
            ("address-with-password", "environment DSN".to_owned()),
            ("named-secret", "history, step 2".to_owned()),
        ]
    );
    assert_eq!(leaks[0].times, 2);
    assert!(leaks.iter().skip(1).all(|it| it.confidence == Confidence::Told));
    let whole = format!("{leaks:?} {}", serde_json::to_string(&leaks).unwrap());
    assert!(!whole.contains(&password) && !whole.contains(&token()[4..]));
}

#[test]
fn an_id_and_its_key_in_two_variables_are_a_pair() {
    let mut random = Numbers(11);
    let (id, key) = (random.letters(super::BASE32, 16), format!("aZ9{}bY8", random.any(34)));
    let config =
        serde_json::json!({ "config": { "Env": [format!("A=AKIA{id}"), format!("B={key}")] } });
    let leaks = RunConfig::read(config.to_string().as_bytes()).unwrap().leaks();
    assert_eq!(ids(&leaks), ["aws-key-pair"]);
    assert_eq!(leaks[0].place, LeakPlace::Environment { name: "A".to_owned() });
}

#[test]
fn a_config_that_is_none_says_nothing_of_its_bytes() {
    let error =
        RunConfig::read(format!("{{\"config\": \"{}\"}}", token()).as_bytes()).err().unwrap();
    assert!(!format!("{error} {error:?}").contains(&token()[4..]));
    assert!(RunConfig::read(b"{\"config\":null,\"history\":null}").unwrap().leaks().is_empty());
}
