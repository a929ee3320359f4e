//! Configs, entries and checks → what is unwise.

use super::token;
use crate::secrets::config::RunConfig;
use crate::secrets::shown;
use crate::secrets::weakness::{
    Gravity, LayerEntry, LayerEntryKind, LintReport, WeakPlace, Weakness, of_config, of_entry,
    read_lint,
};

fn weak(config: serde_json::Value, base: Option<&str>) -> Vec<Weakness> {
    of_config(&RunConfig::read(config.to_string().as_bytes()).unwrap(), base)
}

fn rules(found: &[Weakness]) -> Vec<&str> {
    found.iter().map(|it| it.rule.as_ref()).collect()
}

#[test]
fn root_is_whoever_has_no_other_number() {
    let user = |user: &str| {
        rules(&weak(serde_json::json!({ "config": { "User": user } }), None)).contains(&"root-user")
    };
    for root in ["", "root", "0", "0:0", "root:root", "00", "0:1000", ":1000"] {
        assert!(user(root), "{root}");
    }
    for other in ["1000", "nobody", "65532:0", "10"] {
        assert!(!user(other), "{other}");
    }
    assert_eq!(rules(&weak(serde_json::json!({}), None)), ["root-user", "no-healthcheck"]);
}

#[test]
fn a_base_without_a_version_moves() {
    let moves =
        |base: &str| rules(&weak(serde_json::json!({}), Some(base))).contains(&"moving-base");
    for moving in ["debian", "debian:latest", "host:5000/debian", "h/x:latest"] {
        assert!(moves(moving), "{moving}");
    }
    for fixed in
        ["debian:13", "scratch", "debian@sha256:1", "debian:latest@sha256:1", "host:5000/x:1"]
    {
        assert!(!moves(fixed), "{fixed}");
    }
}

#[test]
fn a_config_shows_its_secrets_downloads_and_ports() {
    let config = serde_json::json!({
        "config": {
            "User": "1000",
            "Env": [format!("GH_TOKEN={}", token())],
            "ExposedPorts": { "22/tcp": {}, "8080/tcp": {} },
            "Healthcheck": { "Test": ["CMD", "x"] },
        },
        "history": [
            { "created_by": "ADD https://h/x.tgz / # buildkit" },
            { "created_by": "ADD --checksum=sha256:12 https://h/x.tgz / # buildkit" },
            { "created_by": "RUN /bin/sh -c apt-get install -y sudo # buildkit" },
            { "created_by": "ARG DB_PASSWORD=hunter" },
            { "created_by": format!("|1 T={} /bin/sh -c x", token()) },
        ],
    });
    let found = weak(config, None);
    let told: Vec<(&str, String)> =
        found.iter().map(|it| (it.rule.as_ref(), it.place.to_string())).collect();
    let expected = [
        ("exposes-ssh", "config"),
        ("secret-in-environment", "environment GH_TOKEN"),
        ("unchecked-download", "history, step 1"),
        ("sudo", "history, step 3"),
        ("argument-for-secret", "history, step 4"),
    ];
    assert_eq!(told, expected.map(|(rule, place)| (rule, place.to_owned())));
    assert_eq!(found[1].gravity, Gravity::Error);
    let table = shown::weaknesses_table(&found);
    assert!(table.lines().nth(1).unwrap().starts_with("high"), "{table}");
    assert!(!table.contains(&token()[4..]) && !format!("{found:?}").contains(&token()[4..]));
}

#[test]
fn modes_say_who_may_do_what() {
    let of = |path, mode, uid, kind| {
        let found = of_entry(&LayerEntry { path, mode, uid, kind });
        found.into_iter().map(|it| (it.rule.into_owned(), it.gravity)).collect::<Vec<_>>()
    };
    let one = |rule: &str, gravity| vec![(rule.to_owned(), gravity)];
    assert_eq!(of("usr/bin/su", 0o4755, 0, LayerEntryKind::File), one("setuid", Gravity::Note));
    assert_eq!(of("app/run", 0o4755, 0, LayerEntryKind::File), one("setuid", Gravity::Warning));
    assert_eq!(of("app/run", 0o2755, 0, LayerEntryKind::File), one("setgid", Gravity::Warning));
    assert_eq!(of("app/data", 0o4644, 0, LayerEntryKind::File), []);
    assert_eq!(of("var/mail", 0o2775, 0, LayerEntryKind::Directory), []);
    assert_eq!(of("tmp", 0o1777, 0, LayerEntryKind::Directory), []);
    assert_eq!(
        of("app", 0o777, 0, LayerEntryKind::Directory),
        one("world-writable-directory", Gravity::Warning)
    );
    assert_eq!(
        of("app/x", 0o666, 0, LayerEntryKind::File),
        one("world-writable-file", Gravity::Warning)
    );
    assert_eq!(of("bin/sh", 0o777, 0, LayerEntryKind::Other), []);
    assert_eq!(of("app/x", 0o6777, 7, LayerEntryKind::File).len(), 2);
}

#[test]
fn the_checks_of_a_build_are_read() {
    let json = serde_json::json!({
        "warnings": [
            { "ruleName": "SecretsUsedInArgOrEnv", "description": "Sensitive data", "url": "https://docs.docker.com/go/x",
              "detail": "Do not use ARG\n::error::", "location": { "ranges": [{ "start": { "line": 3 }, "end": { "line": 3 } }] } },
            { "ruleName": "FromAsCasing", "description": "casing", "location": { "sourceIndex": -1, "ranges": null } },
        ],
        "sources": [{ "filename": "build/Dockerfile", "language": "Dockerfile", "definition": {}, "data": "RlJPTSB4" }],
        "buildError": { "message": "no such stage", "location": {} },
    });
    let LintReport { weaknesses: found, broken } = read_lint(json.to_string().as_bytes()).unwrap();
    assert_eq!(rules(&found), ["buildkit/SecretsUsedInArgOrEnv", "buildkit/FromAsCasing"]);
    assert_eq!(broken.as_deref(), Some("build/Dockerfile:1: no such stage"));
    assert_eq!(found[0].place, WeakPlace::Line { file: "build/Dockerfile".to_owned(), line: 3 });
    assert_eq!(found[0].gravity, Gravity::Warning);
    assert!(!found[0].message.contains('\n'));
    assert_eq!(found[1].place, WeakPlace::Line { file: "Dockerfile".to_owned(), line: 1 });
    assert_eq!(found[1].gravity, Gravity::Note);
    assert_eq!(read_lint(b"{\"warnings\":null}").unwrap(), LintReport::default());
    let many = serde_json::json!({ "warnings": vec![&json["warnings"][0]; 1002] }).to_string();
    let many = read_lint(many.as_bytes()).unwrap();
    assert_eq!(many.weaknesses.len(), 1000);
    assert_eq!(many.broken.as_deref(), Some("2 more of them are not listed"));
    assert!(read_lint(b"[1").is_err());
}
