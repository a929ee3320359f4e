//! What consumers run: every row of the table of commands in docs/verify.md, and our `verify` on
//! what cosign signed with a key and no log.

use std::path::Path;

use crate::evidence::{signer, statement_of};
use crate::keys::key;
use crate::markdown;
use crate::support::{
    Run, accepts, cosigns, judge, publish, published, required, tool, trust, world,
};

/// The rows between the marks of this name: a command, and what cosign 3 and 2 say to it.
fn rows(name: &str) -> Vec<[String; 3]> {
    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify.md"))
            .unwrap();
    let table = document
        .split(&format!("<!-- {name} -->"))
        .nth(1)
        .unwrap()
        .split(&format!("<!-- /{name} -->"))
        .next()
        .unwrap()
        .to_owned();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = |line: &str| -> [String; 3] {
        let cells: Vec<String> = line
            .trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect();
        cells.try_into().unwrap()
    };
    rows.map(cells).collect()
}

#[test]
fn every_row_of_the_table_of_commands_is_as_it_says() {
    let rows = rows("commands");
    assert!(rows.len() >= 9, "{rows:?}");
    each_is_as_it_says(published(), &rows);
}

fn each_is_as_it_says(run: &Run, rows: &[[String; 3]]) {
    let (identity, issuer) = signer();
    let root = world().sandbox.trusted_root().to_str().unwrap();
    let platform = run.json("platforms")["linux/amd64"].as_str().unwrap().to_owned();
    for [command, newer, older_says] in rows {
        for (name, expected) in [("COSIGN3", newer), ("COSIGN2", older_says)] {
            let who = trust(root, &identity, &issuer);
            let (tagged, of_platform) = (
                format!("{}:v1.2.3", run.outputs["image"]),
                format!("{}@{platform}", run.outputs["image"]),
            );
            let mut words: Vec<&str> = Vec::new();
            for word in command.strip_prefix("cosign ").unwrap().split_whitespace() {
                match word {
                    "WHO" => words.extend_from_slice(&who),
                    "IMAGE:TAG" => words.push(&tagged),
                    "IMAGE@PLATFORM" => words.push(&of_platform),
                    "OWNER/NAME" => words.push("example/hello"),
                    word => words.push(word),
                }
            }
            let (success, said) = judge(&tool(name), &words);
            assert_eq!(success, expected == "passes", "{name} {command}: {said}");
            assert!(success || said.contains(expected.as_str()), "{name} {command}: {said}");
        }
    }
}

/// In both versions, of real builds: what guides read of the older one, and what it has of the newer.
#[test]
fn cosign_accepts_provenances_of_both_versions_with_what_guides_read_of_them() {
    let image = format!("{}/hello-slsa-02", world().sandbox.registry());
    let run = publish("hello", &image, &[("INPUT_PROVENANCE-VERSIONS", "v1,v0.2")]);
    assert_eq!(run.code, Some(0), "{}", run.log);
    let rows = rows("commands-02");
    assert!(rows.len() >= 4, "{rows:?}");
    each_is_as_it_says(&run, &rows);
    let (identity, issuer) = signer();
    let trust = trust(world().sandbox.trusted_root().to_str().unwrap(), &identity, &issuer);
    for (cosign, extra) in cosigns() {
        for (kind, digest) in run.subjects() {
            if kind == "attestations" {
                continue;
            }
            let image = format!("{image}@{digest}");
            let predicate = |version: &str| {
                let verb = ["verify-attestation", "--type", version];
                let said = accepts(&cosign, &[&verb, extra, &trust, &[image.as_str()]].concat());
                statement_of(&said)["predicate"].clone()
            };
            let (newer, older) = (predicate("slsaprovenance1"), predicate("slsaprovenance"));
            let invocation = &older["invocation"];
            assert!(
                older["metadata"]["buildStartedOn"].as_str().unwrap().ends_with('Z')
                    && !invocation["parameters"].as_object().unwrap().is_empty(),
                "{kind}: {older:#}"
            );
            assert_eq!(older["builder"]["id"], newer["runDetails"]["builder"]["id"]);
            let materials = older["materials"].as_array().unwrap().len();
            let dependencies = newer["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
            assert_eq!(materials, dependencies.len(), "{kind}");
            if kind == "index" {
                assert_eq!(
                    invocation["configSource"]["digest"]["sha1"],
                    dependencies[0]["digest"]["gitCommit"]
                );
            } else {
                assert_eq!(older["buildType"], "https://mobyproject.org/buildkit@v1");
                assert_eq!(invocation["environment"]["platform"], "linux/amd64");
                assert_eq!(
                    invocation["parameters"],
                    newer["buildDefinition"]["externalParameters"]["request"]
                );
            }
        }
    }
}

/// What README and pages tell people to run with cosign, as it stands but for names and trust.
#[test]
fn every_command_of_cosigns_in_the_pages_passes() {
    let run = published();
    let (identity, issuer) = signer();
    let root = world().sandbox.trusted_root().to_str().unwrap();
    let image = &run.outputs["image"];
    let platform = run.json("platforms")["linux/amd64"].as_str().unwrap().to_owned();
    let who = format!("--certificate-identity {identity} --certificate-oidc-issuer {issuer}");
    let mut count = 0;
    for page in markdown::documents() {
        for block in markdown::blocks(&markdown::read(&page)) {
            let joined = block.text.replace("\\\n", " ");
            let lines = joined.lines().filter(|_| block.language == "sh");
            // Summaries lie beside promoted images alone: `summaries` runs their command.
            let lines = lines.filter(|line| !line.contains("/verification_summary/"));
            for command in lines.filter_map(|line| line.strip_prefix("cosign ")) {
                count += 1;
                let here: Vec<String> = command
                    .replace("WHO", &who)
                    .replace("IMAGE@PLATFORM", &format!("{image}@{platform}"))
                    .replace("IMAGE:TAG", &format!("{image}:v1.2.3"))
                    .replace("ghcr.io/OWNER/REPO", image)
                    .replace("https://token.actions.githubusercontent.com", &issuer)
                    .split_whitespace()
                    .map(|word| match word.contains("github.com/OWNER/REPO/.github/workflows/") {
                        true => identity.clone(),
                        false => word.to_owned(),
                    })
                    .collect();
                let trusted = ["--trusted-root", root, "--allow-http-registry"];
                let words: Vec<&str> = here.iter().map(String::as_str).chain(trusted).collect();
                accepts(&tool("COSIGN3"), &words);
            }
        }
    }
    assert!(count >= 4, "{count}");
}

#[test]
fn ours_finds_what_the_documents_say_from_the_tag() {
    let run = published();
    let (_, issuer) = signer();
    let image = format!("{}:v1.2.3", run.outputs["image"]);
    let root = world().sandbox.trusted_root().to_str().unwrap();
    let ours = required("SUPPLY_ACTION_BIN");
    let who = [
        "verify",
        "--trusted-root",
        root,
        "--certificate-oidc-issuer",
        &issuer,
        "--repo",
        "example/hello",
    ];
    for required in [
        &[][..],
        &["--require", "platforms=sbom"],
        &["--require", "index=signature", "--require", "platforms=signature,sbom,provenance"],
    ] {
        let said = accepts(&ours, &[&who[..], required, &[&image]].concat());
        assert!(said.contains("verified   "), "{said}");
    }
}

/// Signed anew by cosign, in the older format and as a bundle, with a key and nothing else.
#[test]
fn what_cosign_signed_with_a_key_and_no_log_is_verified_when_that_is_asked_for() {
    let ours = required("SUPPLY_ACTION_BIN");
    let (private, public, other) = (key("test.key"), key("test.pub"), key("other.pub"));
    let root = world().sandbox.trusted_root().to_str().unwrap();
    let newer = ["--use-signing-config=false", "--new-bundle-format=true"];
    let older = ["--use-signing-config=false", "--new-bundle-format=false"];
    for (name, tool_name, flags) in [
        ("newer", "COSIGN3", &newer[..]),
        ("older", "COSIGN3", &older),
        ("cosign2", "COSIGN2", &[]),
    ] {
        // By another signer, whose evidence is none of this key.
        let run = publish("hello", &format!("{}/unlogged-{name}", world().sandbox.registry()), &[]);
        assert_eq!(run.code, Some(0), "{}", run.log);
        let image = run.outputs["image-ref"].as_str();
        let sign = [
            "sign",
            "--yes",
            "--key",
            private.to_str().unwrap(),
            "--tlog-upload=false",
            "--allow-http-registry",
        ];
        let cosign = tool(tool_name);
        let command = [
            &["COSIGN_PASSWORD=a test password", cosign.to_str().unwrap()],
            &sign[..],
            flags,
            &[image],
        ]
        .concat();
        accepts("/usr/bin/env".as_ref(), &command);
        let verify = |key: &Path, more: &[&str]| {
            let who = [
                "verify",
                "--trusted-root",
                root,
                "--key",
                key.to_str().unwrap(),
                "--require",
                "index=signature",
            ];
            judge(&ours, &[&who[..], more, &[image]].concat())
        };
        let (success, said) = verify(&public, &[]);
        assert!(!success && said.contains("--insecure-ignore-tlog"), "{name}: {said}");
        let (success, said) = verify(&public, &["--insecure-ignore-tlog"]);
        assert!(success && said.contains("without a log entry"), "{name}: {said}");
        let (success, said) = verify(&other, &["--insecure-ignore-tlog"]);
        assert!(!success, "{name}: {said}");
    }
}
