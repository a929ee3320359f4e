//! Provenances of every shape, and what they come to.

use serde_json::{Value, json};

use super::*;
use crate::error;
use crate::github::RunContext;

const SHA: &str = "0123456789012345678901234567890123456789";

fn run() -> ProvenanceRun {
    ProvenanceRun::of(&RunContext {
        server_url: "https://github.com".into(),
        repository: Some("octo/app".into()),
        sha: SHA.into(),
        run_id: "7".into(),
        run_attempt: "2".into(),
        ..RunContext::default()
    })
}

fn version_1(source: &Value, builder: &Value, materials: &Value) -> String {
    json!({
        "buildDefinition": { "buildType": BUILD_TYPE, "externalParameters": { "configSource": source }, "resolvedDependencies": materials },
        "runDetails": { "builder": builder },
    })
    .to_string()
}

fn version_02(source: &Value, builder: &Value, materials: &Value) -> String {
    json!({ "buildType": BUILD_TYPE_02, "builder": builder, "invocation": { "configSource": source }, "materials": materials }).to_string()
}

fn check(
    source: &Value,
    builder: &Value,
    materials: &Value,
    asked: &BuildAsked,
) -> Result<ProvenanceVerdict, String> {
    let terms = ProvenanceTerms { asked: asked.clone(), run: run() };
    let of = |kind: &str, text: &str| {
        terms.check(&Provenance::read(kind, text).unwrap()).map_err(|error| error::message(&error))
    };
    let verdict = of(SLSA_1, &version_1(source, builder, materials));
    assert_eq!(
        of(SLSA_02, &version_02(source, builder, materials)),
        verdict,
        "both versions say the same"
    );
    verdict
}

fn git(uri: &str, commit: &str) -> Value {
    json!({ "uri": uri, "digest": { "sha1": commit } })
}

#[test]
fn a_repository_is_known_in_every_spelling_and_no_other_is_taken_for_it() {
    let is_ours = |uri: &str| {
        check(&git(uri, SHA), &json!({ "id": "b" }), &json!([]), &BuildAsked::OfThisRun).is_ok()
    };
    for uri in [
        "https://github.com/octo/app.git#refs/heads/main",
        "https://github.com/octo/app.git#0123456789012345678901234567890123456789:images/web",
        "https://github.com/octo/app.git?ref=main&subdir=web",
        "https://github.com/octo/app",
        "https://github.com/Octo/APP.git/",
        "https://GitHub.com:443/octo/app.git",
        "https://x:y@github.com/octo/app.git",
        "git@github.com:octo/app.git#main",
        "ssh://git@github.com/octo/app.git",
        "ssh://git@github.com:22/octo/app.git",
        "git://github.com/octo/app.git",
        "github.com/octo/app",
        "git+https://github.com/octo/app@refs/heads/main",
    ] {
        assert!(is_ours(uri), "{uri}");
    }
    for uri in [
        "https://github.com/octo/app2.git",
        "https://github.com/octo/app.git.git",
        "https://github.com/mallory/app.git#octo/app",
        "https://github.com/octo/app/archive/main.tar.gz",
        "https://github.com/mallory/../octo/app.git",
        "https://github.com//octo//app.git",
        "https://github.com/octo%2Fapp.git",
        "https://github.com.evil.example/octo/app.git",
        "https://github.com@evil.example/octo/app.git",
        "https://evil.example/github.com/octo/app.git",
        "https://github.com:8443/octo/app.git",
        "https://github.com\\@evil.example/octo/app.git",
        "https://gith\u{fc}b.com/octo/app.git",
        "file:///octo/app.git",
        "octo/app",
    ] {
        assert!(!is_ours(uri), "{uri}");
    }
}

#[test]
fn commits_must_be_there_and_agree() {
    let own = "https://github.com/octo/app.git";
    let (other, builder) = ("f".repeat(40), json!({ "id": "b" }));
    let of = |source: Value, materials: Value| {
        check(&source, &builder, &materials, &BuildAsked::OfThisRun).map(|verdict| verdict.origin)
    };
    let at = |commit: &str| format!("{own}#{commit}");
    assert_eq!(of(git(&at("main"), SHA), json!([])), Ok(SourceOrigin::Run));
    assert_eq!(of(json!({ "uri": at(SHA) }), json!([])), Ok(SourceOrigin::Run));
    assert_eq!(
        of(json!({ "uri": own, "digest": { "gitCommit": SHA } }), json!([])),
        Ok(SourceOrigin::Run)
    );
    assert_eq!(
        of(json!({ "uri": at(&format!("{SHA}:web")) }), json!([git(&at(SHA), SHA)])),
        Ok(SourceOrigin::Run)
    );
    assert_eq!(
        of(json!({ "uri": at("main:web") }), json!([git(&at("main"), SHA)])),
        Ok(SourceOrigin::Run)
    );
    assert_eq!(
        of(git(&at(SHA), SHA), json!([git(&at(SHA), SHA), git(&at("v1"), &other)])),
        Ok(SourceOrigin::Run),
        "fetched besides"
    );
    assert_eq!(
        of(git(&at(SHA), SHA), json!([git("https://github.com/lib/x.git", &other)])),
        Ok(SourceOrigin::Run),
        "another's"
    );
    assert_eq!(of(json!({ "path": "Dockerfile" }), json!(null)), Ok(SourceOrigin::Files));
    for (source, materials, reason) in [
        (git(own, &other), json!([]), "but this run builds `https://github.com/octo/app` at `0123"),
        (json!({ "uri": own }), json!([]), "but this run builds"),
        (json!({ "uri": at("main") }), json!([git(&at("main"), &other)]), "but this run builds"),
        (
            json!({ "uri": own, "digest": { "sha1": SHA, "gitCommit": other } }),
            json!([]),
            "it contradicts itself",
        ),
        (git(&at(&other), SHA), json!([]), "it contradicts itself"),
        (git(&at("main"), SHA), json!([git(&at("main"), &other)]), "it contradicts itself"),
        (git(&at(SHA), SHA), json!([git(own, &other)]), "and it fetched `ffff"),
        (git(own, "01234567"), json!([]), "but this run builds"),
        (
            json!({ "uri": "https://h.example/x.tar.gz", "digest": { "sha256": SHA } }),
            json!([]),
            "but this run builds",
        ),
    ] {
        let told = of(source, materials).unwrap_err();
        assert!(told.contains(reason), "{told}");
    }
}

#[test]
fn what_is_asked_for_decides() {
    let asked = |context: &str| BuildAsked::of_context(context);
    let builder = json!({ "id": "b" });
    let of = |source: &Value, asked: &BuildAsked| {
        check(source, &builder, &json!([]), asked).map(|verdict| verdict.origin)
    };
    let (other, sha) = ("f".repeat(40), SHA);
    let ours = git("https://github.com/octo/app.git#main", sha);
    let evil = git("https://github.com/mallory/evil.git#main", &other);
    let foreign = || {
        Ok(SourceOrigin::Foreign(Resource {
            uri: "https://github.com/mallory/evil.git#main".into(),
            digest: [("sha1".into(), other.clone())].into(),
        }))
    };
    let default = asked(&format!("https://github.com/octo/app.git#{sha}"));
    assert_eq!(of(&ours, &default), Ok(SourceOrigin::Run));
    assert_eq!(
        of(&ours, &asked(&format!("https://github.com/octo/app.git?ref={sha}&subdir=web"))),
        Ok(SourceOrigin::Run)
    );
    for (source, asked) in [
        (json!({}), &default),
        (evil.clone(), &default),
        (evil.clone(), &BuildAsked::Files),
        (evil.clone(), &asked("https://github.com/mallory/good.git")),
        (evil.clone(), &asked(&format!("https://github.com/mallory/evil.git#{sha}"))),
        (json!({}), &asked("git@github.com:mallory/evil.git")),
        (evil.clone(), &asked("https://h.example/x.tar.gz")),
        (json!({}), &asked("https://h.example/x.tar.gz")),
        (json!({}), &BuildAsked::Declared("https://github.com/mallory/evil".into())),
        (evil.clone(), &BuildAsked::Declared(format!("https://github.com/mallory/evil#{sha}"))),
        (evil.clone(), &BuildAsked::Declared("https://github.com/mallory/good".into())),
        (evil.clone(), &BuildAsked::OfThisRun),
    ] {
        of(&source, asked).unwrap_err();
    }
    assert_eq!(of(&evil, &asked("https://github.com/mallory/evil.git#main")), foreign());
    assert_eq!(
        of(&evil, &BuildAsked::Declared("https://github.com/Mallory/evil".into())),
        foreign()
    );
    assert_eq!(of(&evil, &BuildAsked::Anything), foreign());
    assert_eq!(of(&json!({}), &BuildAsked::Anything), Ok(SourceOrigin::Unknown));
    assert_eq!(of(&json!({}), &BuildAsked::Files), Ok(SourceOrigin::Files));
    assert_eq!(of(&ours, &BuildAsked::Files), Ok(SourceOrigin::Run));
    let tar = json!({ "uri": "https://xxxxx:xxxxx@h.example/x.tar.gz" });
    assert!(matches!(
        of(&tar, &asked("https://u:p@h.example/x.tar.gz")),
        Ok(SourceOrigin::Foreign(_))
    ));
    for files in [".", "./app", "/work", "cwd://x", "C:/x"] {
        assert_eq!(asked(files), BuildAsked::Files, "{files}");
    }
}

#[test]
fn a_builder_is_put_in_where_none_is_named_and_another_repositorys_run_is_refused() {
    let mine = "https://github.com/octo/app/actions/runs/7/attempts/2";
    let of = |builder: Value, asked: &BuildAsked| {
        check(&json!({}), &builder, &json!([]), asked).map(|verdict| verdict.builder)
    };
    for none in [json!(null), json!({}), json!({ "id": null }), json!({ "id": "" })] {
        assert_eq!(of(none.clone(), &BuildAsked::OfThisRun), Ok(Some(mine.to_owned())));
        assert_eq!(of(none, &BuildAsked::Anything), Ok(None));
    }
    for own in [
        mine,
        "https://mallory.example/laptop",
        "https://github.com/Octo/App/actions/runs/1",
        "https://ghes.example/x/y/actions/runs/1",
    ] {
        assert_eq!(of(json!({ "id": own }), &BuildAsked::OfThisRun), Ok(None), "{own}");
    }
    for other in [
        "https://github.com/mallory/evil/actions/runs/1/attempts/1",
        "https://GITHUB.com/mallory/evil/Actions/runs/1",
    ] {
        of(json!({ "id": other }), &BuildAsked::OfThisRun).unwrap_err();
        of(json!({ "id": other }), &BuildAsked::Files).unwrap_err();
        assert_eq!(of(json!({ "id": other }), &BuildAsked::Anything), Ok(None));
    }
    let evil = git("https://github.com/mallory/evil.git", SHA);
    let declared = BuildAsked::Declared("https://github.com/mallory/evil".into());
    assert!(
        check(&evil, &json!({}), &json!([]), &declared)
            .unwrap_err()
            .contains("it names no builder")
    );
    assert_eq!(check(&evil, &json!({}), &json!([]), &BuildAsked::Anything).unwrap().builder, None);
}

#[test]
fn a_checkout_of_another_repository_is_refused_of_other_jobs_and_told_of_this_one() {
    let of = |source: &str, asked: BuildAsked| {
        let metadata = json!({ "https://mobyproject.org/buildkit@v1#metadata": { "vcs": { "source": source, "revision": "x" } } });
        let text = json!({ "buildDefinition": { "buildType": BUILD_TYPE }, "runDetails": { "metadata": metadata } }).to_string();
        let provenance = Provenance::read(SLSA_1, &text).unwrap();
        ProvenanceTerms { asked, run: run() }
            .check(&provenance)
            .map(|verdict| verdict.origin)
            .map_err(|error| error::message(&error))
    };
    assert_eq!(of("git@github.com:octo/app.git", BuildAsked::OfThisRun), Ok(SourceOrigin::Files));
    assert!(
        of("https://t0ken@github.com/mallory/evil", BuildAsked::OfThisRun)
            .unwrap_err()
            .contains("a checkout of `https://github.com/mallory/evil`")
    );
    assert!(
        matches!(of("https://github.com/mallory/evil", BuildAsked::Files), Ok(SourceOrigin::Foreign(source)) if source.uri == "https://github.com/mallory/evil")
    );
}

#[test]
fn what_is_no_provenance_of_buildkit_or_can_be_read_otherwise_is_refused_with_the_reason() {
    let good = version_1(
        &git("https://github.com/octo/app.git", SHA),
        &json!({ "id": "x" }),
        &json!([{ "uri": "pkg:docker/a@1", "digest": { "sha256": "b" } }]),
    );
    let read = Provenance::read(SLSA_1, &good).unwrap();
    assert_eq!(
        (read.builder.as_deref(), read.materials[0].kind()),
        (Some("x"), ResourceKind::Image)
    );
    Provenance::read(SLSA_1, &good.replace(BUILD_TYPE, BUILD_TYPE_02)).unwrap();
    for (from, to, reason) in [
        (good.as_str(), "{}", "its `buildDefinition` is missing"),
        (&good, r#"{"anything":"goes"}"#, "its `buildDefinition` is missing"),
        (&good, "[]", "it is not an object"),
        (&good, "\"x\"", "it is not an object"),
        (
            BUILD_TYPE,
            "https://slsa.example/other",
            "its build type is `https://slsa.example/other`",
        ),
        (BUILD_TYPE, "", "its `buildDefinition.buildType` is missing"),
        (
            r#""runDetails":"#,
            r#""RunDetails":{},"runDetails":"#,
            "it has `RunDetails`, which other programs take for `runDetails`",
        ),
        (
            r#""runDetails":"#,
            r#""runDetail\u017f":{},"runDetails":"#,
            "which other programs take for `runDetails`",
        ),
        (r#""builder":"#, r#""builder":{},"builder":"#, "its `runDetails` has `builder` twice"),
        (r#""id":"x""#, r#""id":7"#, "its `runDetails.builder.id` is not a text"),
        (
            r#""builder":{"id":"x"}"#,
            r#""builder":"x""#,
            "its `runDetails.builder` is not an object",
        ),
        (
            r#""configSource":{"#,
            r#""ConfigSource":{},"configSource":{"#,
            "which other programs take for `configSource`",
        ),
        (
            r#""uri":"https"#,
            r#""URI":"https://github.com/octo/app.git","uri":"https"#,
            "which other programs take for `uri`",
        ),
        (r#""uri":"https"#, r#""uri":"https://x.example","uri":"https"#, "has `uri` twice"),
        (r#""uri":"pkg"#, r#""uri":7,"urI":"pkg"#, "which other programs take for `uri`"),
        (r#""sha1":"#, r#""sha1":"f","sha1":"#, "has `sha1` twice"),
        (
            r#""resolvedDependencies":["#,
            r#""resolvedDependencies":[7,"#,
            "its `buildDefinition.resolvedDependencies[0]` is not an object",
        ),
        (r#""resolvedDependencies":"#, r#""resolvedDependencies":{},"x":"#, "is not a list"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let told = Provenance::read(SLSA_1, &text).unwrap_err().to_string();
        assert!(told.contains(reason), "{told}");
    }
    assert!(Provenance::read("https://slsa.dev/provenance/v2", &good).is_err());
    assert!(
        Provenance::read(SLSA_02, &good)
            .unwrap_err()
            .to_string()
            .contains("`buildType` is missing")
    );
}

#[test]
fn statements_are_read_as_strictly() {
    let good = r#"{"_type":"t","subject":[{"name":"_","digest":{"sha256":"a"}}],"predicateType":"p","predicate":{"a":1.0}}"#;
    let read = BuildStatement::read(good.as_bytes()).unwrap();
    assert_eq!((read.subjects, read.predicate), (vec![Some("a".to_owned())], r#"{"a":1.0}"#));
    for (from, to) in [
        (r#""predicate":"#, r#""Predicate":{},"predicate":"#),
        (r#""predicate":"#, r#""predicate":{},"predicate":"#),
        (r#""subject":"#, r#""\u017fubject":[],"subject":"#),
        (r#""digest":"#, r#""DIGEST":{},"digest":"#),
        (r#""predicateType":"p""#, r#""predicateType":null"#),
    ] {
        BuildStatement::read(good.replacen(from, to, 1).as_bytes()).unwrap_err();
    }
    BuildStatement::read(b"\xff").unwrap_err();
}

/// As BuildKit writes them, `mode=max`, of a repository.
const WHOLE: &str = r#"{
    "buildDefinition": {
        "buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
        "externalParameters": {
            "configSource": { "uri": "https://github.com/octo/app.git#main", "digest": { "sha1": "00" }, "path": "Dockerfile" },
            "request": { "frontend": "gateway.v0", "args": { "build-arg:A": "1" }, "locals": [ {"name": "context"} ] }
        },
        "internalParameters": { "buildConfig": { "llbDefinition": [{ "id": "step0", "n": 1.0 }] }, "builderPlatform": "linux/amd64", "team": "blue" },
        "resolvedDependencies": [ { "uri": "pkg:docker/debian@12", "digest": { "sha256": "aa" }, "name": "base" } ]
    },
    "runDetails": {
        "builder": { "id": "https://example.com/b", "version": { "buildkit": "1" } },
        "metadata": {
            "invocationID": "run-7", "startedOn": "2026-01-02T03:04:05.123456789Z", "finishedOn": "2026-01-02T03:04:09Z",
            "buildkit_completeness": { "request": true, "resolvedDependencies": false }, "buildkit_hermetic": true, "buildkit_reproducible": true,
            "buildkit_metadata": { "vcs": { "source": "https://github.com/octo/app", "revision": "00" } }
        }
    }
}"#;

#[test]
fn version_02_says_what_version_1_says_in_its_own_words() {
    let older = Provenance::older(WHOLE).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&older).unwrap(),
        json!({
            "builder": { "id": "https://example.com/b" },
            "buildType": "https://mobyproject.org/buildkit@v1",
            "invocation": {
                "configSource": { "uri": "https://github.com/octo/app.git#main", "digest": { "sha1": "00" }, "entryPoint": "Dockerfile" },
                "parameters": { "frontend": "gateway.v0", "args": { "build-arg:A": "1" }, "locals": [{ "name": "context" }] },
                "environment": { "platform": "linux/amd64", "team": "blue" },
            },
            "buildConfig": { "llbDefinition": [{ "id": "step0", "n": 1.0 }] },
            "metadata": {
                "buildInvocationID": "run-7",
                "buildStartedOn": "2026-01-02T03:04:05.123456789Z",
                "buildFinishedOn": "2026-01-02T03:04:09Z",
                "completeness": { "parameters": true, "environment": true, "materials": false },
                "reproducible": true,
                "https://mobyproject.org/buildkit@v1#hermetic": true,
                "https://mobyproject.org/buildkit@v1#metadata": { "vcs": { "source": "https://github.com/octo/app", "revision": "00" } },
            },
            "materials": [{ "uri": "pkg:docker/debian@12", "digest": { "sha256": "aa" } }],
        })
    );
    assert!(older.contains(r#""n": 1.0"#), "values are kept to the byte: {older}");
    // What reads the one reads the other.
    let read = |kind: &str, text: &str| Provenance::read(kind, text).unwrap();
    assert_eq!(read(SLSA_02, &older), read(SLSA_1, WHOLE));
}

#[test]
fn what_version_1_does_not_say_is_not_made_up() {
    let least = json!({ "buildDefinition": { "buildType": BUILD_TYPE } }).to_string();
    assert_eq!(
        serde_json::from_str::<Value>(&Provenance::older(&least).unwrap()).unwrap(),
        json!({
            "builder": {}, "buildType": BUILD_TYPE_02, "metadata": {}, "materials": [],
            "invocation": { "configSource": {}, "parameters": {}, "environment": {} },
        })
    );
    for (wrong, why) in [
        ("{}", "its `buildDefinition` is missing"),
        (r#"{"buildDefinition":{"buildType":"x"}}"#, "its build type is `x`"),
        (
            &WHOLE.replace("\"startedOn\"", "\"StartedOn\""),
            "has `StartedOn`, which other programs take for `startedOn`",
        ),
        (&WHOLE.replace("[ { \"uri\"", "[ 7, { \"uri\""), "is not an object"),
    ] {
        let told = Provenance::older(wrong).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn times_reach_from_the_first_start_to_the_last_end() {
    let times = |started: &str, finished: &str| BuildTimes {
        started: started.parse().ok(),
        finished: finished.parse().ok(),
    };
    let [early, late] = ["2026-01-02T03:04:05Z", "2026-01-02T03:04:09Z"];
    assert_eq!(times(late, early).with(times(early, late)), times(early, late));
    assert_eq!(times("", "").with(times(early, "")), times(early, ""));
    assert_eq!(times(early, late).with(BuildTimes::default()), times(early, late));
    let unread = WHOLE.replace("2026-01-02T03:04:09Z", "yesterday");
    assert_eq!(Provenance::read(SLSA_1, &unread).unwrap().times.finished, None);
}
