use super::*;

type Add = fn(&mut AcceptedRisks, &str, &str) -> Result<(), BadFile>;

fn read(add: Add, text: &str) -> Vec<AcceptedRisk> {
    let mut accepted = AcceptedRisks::default();
    add(&mut accepted, "f", text).unwrap();
    accepted.risks
}

fn refused(add: Add, text: &str) -> String {
    let mut accepted = AcceptedRisks::default();
    let error = add(&mut accepted, "f", text).unwrap_err().to_string();
    assert_eq!(accepted.risks, [], "a part of a file that is refused");
    error.strip_prefix("`f` accepts nothing: ").unwrap().to_owned()
}

#[test]
fn our_own_file_has_a_reason_for_each_id() {
    let risks = read(
        AcceptedRisks::add_ignores,
        "accepted:\n  - id: CVE-2024-1\n    package: pkg:deb/openssl\n    reason: |\n      we do not parse\n      certificates\n    expires: 2030-12-31\n  - id: GHSA-1\n    package: lodash\n    reason: 'only in tests'\n",
    );
    let [one, two] = &risks[..] else { panic!("two") };
    assert_eq!(one.place, "f:rule 1");
    assert_eq!(one.expires.unwrap().to_string(), "2030-12-31");
    assert_eq!(one.package.as_ref().unwrap().purl.as_deref(), Some("pkg:deb/openssl"));
    assert!(one.reason.starts_with("we do not parse"));
    assert_eq!(two.package.as_ref().unwrap().name.as_deref(), Some("lodash"));
    assert_eq!(read(AcceptedRisks::add_ignores, "accepted: []"), []);
}

#[test]
fn a_mistake_in_our_own_file_is_named() {
    let check = |yaml: &str, expected: &str| {
        let error = refused(AcceptedRisks::add_ignores, yaml);
        assert!(error.contains(expected), "{yaml}: {error}");
    };
    check("accepted: [{id: CVE-1}]", "rule 1: it gives no reason");
    check("accepted: [{id: CVE-1, reason: ' '}]", "rule 1: it gives no reason");
    check("accepted: [{id: CVE-1, reason: r, expire: 2030-01-01}]", "expire");
    check("accepted: [{id: CVE-1, reason: r, expires: soon}]", "`soon` is not a date");
    check("accepted: [{id: CVE-1, reason: r, expires: 2030-02-30}]", "is not a date");
    check("accepted: [{reason: r}]", "id");
    check("accepted: [{id: '', reason: r}]", "is not an id");
    check("accepted: [{id: 'CVE 1', reason: r}]", "`CVE 1` is not an id");
    check("accepted: [{id: CVE-1, reason: r, package: 'pkg:x'}]", "`pkg:x` is not a purl");
    check("accepted: [{id: CVE-1, id: CVE-2, reason: r}]", "duplicate");
    check("ignored: []", "ignored");
    check("", "unexpected end");
    check("accepted: {", "");
    check(&format!("accepted: [{{id: CVE-1, reason: {}}}]", "r".repeat(MOST_BYTES)), "bytes");
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\naccepted: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    check(bomb, "");
}

#[test]
fn trivyignore_is_read() {
    let risks = read(
        AcceptedRisks::add_trivyignore,
        "# one\n# reason\nCVE-1 exp:2030-01-01\n\n# nobody's\n\nCVE-2\nGHSA-3 # here\n",
    );
    let told: Vec<(&str, &str, Option<String>)> = risks
        .iter()
        .map(|it| {
            (it.id.as_deref().unwrap(), it.reason.as_str(), it.expires.map(|it| it.to_string()))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("CVE-1", "one reason", Some("2030-01-01".to_owned())),
            ("CVE-2", "none is given in `.trivyignore`", None),
            ("GHSA-3", "here", None),
        ]
    );
    assert_eq!(risks[0].place, "f:line 3");
    assert!(refused(AcceptedRisks::add_trivyignore, "CVE-1 exp:soon").contains("line 1: `soon`"));
    assert!(
        refused(AcceptedRisks::add_trivyignore, "CVE-1 CVE-2").contains("`CVE-2` is not known")
    );
}

#[test]
fn grypes_rules_are_read_or_refused() {
    let risks = read(
        AcceptedRisks::add_grype,
        "output: table\nignore:\n- vulnerability: CVE-1\n  include-aliases: true\n  reason: r\n  fix-state: not-fixed\n  package: {name: libcurl, version: 1.5.1, type: go-module}\n- package: {name: x}\n",
    );
    let [one, two] = &risks[..] else { panic!("two") };
    let package = one.package.as_ref().unwrap();
    assert_eq!(package.kind.as_deref(), Some("golang"));
    assert_eq!((one.is_fixed, one.reason.as_str()), (Some(false), "r"));
    assert_eq!(
        (two.id.as_deref(), two.package.as_ref().unwrap().name.as_deref()),
        (None, Some("x"))
    );
    assert_eq!(read(AcceptedRisks::add_grype, "output: table\n"), []);
    let check = |rule: &str, expected: &str| {
        let error = refused(AcceptedRisks::add_grype, &format!("ignore:\n- {rule}\n"));
        assert!(error.contains(expected), "{rule}: {error}");
    };
    check("{vulnerability: CVE-1, namespace: debian:12}", "namespace");
    check("{vulnerability: CVE-1, package: {location: /usr/**}}", "location");
    check("{package: {name: 'lib.*'}}", "pattern `lib.*` cannot be followed");
    check("{fix-state: unknown, vulnerability: CVE-1}", "fix state `unknown`");
    check("{fix-state: fixed}", "neither a vulnerability nor a package");
    check("{package: {type: deb}}", "neither a vulnerability nor a package");
}

#[test]
fn osv_scanners_rules_are_read_or_refused() {
    let risks = read(
        AcceptedRisks::add_osv_scanner,
        "GoVersionOverride = '1.20'\n[[IgnoredVulns]]\nid = 'GO-1'\nignoreUntil = 2030-11-09\nreason = 'no SSH'\n[[IgnoredVulns]]\nid = 'GO-2'\nignoreUntil = 2030-11-09T10:00:00Z\n[[PackageOverrides]]\nname = 'lib'\nversion = '1.0.0'\necosystem = 'Go'\nignore = true\n[[PackageOverrides]]\nname = 'other'\nlicense.override = ['MIT']\n[[PackageOverrides]]\nname = 'third'\nvulnerability.ignore = true\neffectiveUntil = 2030-01-01\nreason = 'abc'\n",
    );
    let told: Vec<(Option<&str>, Option<String>, &str)> = risks
        .iter()
        .map(|it| (it.id.as_deref(), it.expires.map(|it| it.to_string()), it.reason.as_str()))
        .collect();
    let none = "none is given in `osv-scanner.toml`";
    assert_eq!(
        told,
        [
            (Some("GO-1"), Some("2030-11-09".to_owned()), "no SSH"),
            (Some("GO-2"), Some("2030-11-09".to_owned()), none),
            (None, None, none),
            (None, Some("2030-01-01".to_owned()), "abc"),
        ]
    );
    assert_eq!(risks[2].package.as_ref().unwrap().kind.as_deref(), Some("golang"));
    let check = |toml: &str, expected: &str| {
        let error = refused(AcceptedRisks::add_osv_scanner, toml);
        assert!(error.contains(expected), "{toml}: {error}");
    };
    check("[[IgnoredVulns]]\nid = 'A'\nignoreuntil = 2030-01-01\n", "ignoreuntil");
    check("[[IgnoredVulns]]\nid = 'A'\nignoreUntil = '2030'\n", "");
    check("[[IgnoredVulns]]\nreason = 'x'\n", "id");
    check("[[PackageOverrides]]\necosystem = 'Go'\nignore = true\n", "neither");
    check("[[PackageOverrides]]\nname = 'x'\ngroup = 'dev'\nignore = true\n", "group `dev`");
    check("[[PackageOverrides]]\nname = 'x'\necosystem = 'Z'\nignore = true\n", "ecosystem `Z`");
    check("id = ", "");
}

#[test]
fn openvex_that_says_too_little_is_refused() {
    let refused = |json: &str| {
        let error = AcceptedRisks::default().add_openvex("f", json.as_bytes()).unwrap_err();
        error.to_string()
    };
    let document = |more: &str, statement: &str| {
        format!(
            r#"{{"@context":"https://openvex.dev/ns","author":"Ann"{more},"statements":[{statement}]}}"#
        )
    };
    let check = |more: &str, statement: &str, expected: &str| {
        let error = refused(&document(more, statement));
        assert!(error.contains(expected), "{statement}: {error}");
    };
    let time = r#","timestamp":"2026-01-01T00:00:00Z""#;
    let with =
        |rest: &str| format!(r#"{{"vulnerability":"CVE-1","products":["pkg:npm/x"],{rest}}}"#);
    check("", &with(r#""status":"fixed""#), "statement 1: it gives no time");
    check(r#","timestamp":"now""#, &with(r#""status":"fixed""#), "`now` is not a time");
    check(time, &with(r#""status":"not_affected""#), "neither justification nor impact");
    check(time, &with(r#""status":"not_affected","justification":"trust_me""#), "`trust_me`");
    check(time, &with(r#""status":"fine""#), "`fine` is not a status");
    check(time, r#"{"vulnerability":"CVE-1","status":"fixed"}"#, "it names no product");
    check(
        time,
        r#"{"vulnerability":{"name":"CVE-1","name":"CVE-2"},"products":["p"],"status":"fixed"}"#,
        "",
    );
    check(time, r#"{"products":["p"],"status":"fixed"}"#, "vulnerability");
    assert!(refused("[]").contains("f` accepts nothing"));
    assert!(
        refused(r#"{"@context":"https://example.com","author":"a","statements":[]}"#)
            .contains("not OpenVEX")
    );
    assert!(
        refused(r#"{"@context":"https://openvex.dev/ns","author":" ","statements":[]}"#)
            .contains("no author")
    );
    assert!(refused(r#"{"@context":"https://openvex.dev/ns","statements":[]}"#).contains("author"));
}
