//! Texts of strangers, wherever they stand: a runner obeys none of them, a terminal is steered by
//! none, Markdown is made of none.

use serde_json::Value;

use crate::support::{Run, World};

/// What the runner does with a log, as `ActionCommandManager.cs` and `ActionCommand.cs` of
/// actions/runner have it: the commands that it obeys.
fn obeyed(log: &str) -> Vec<String> {
    let (mut stopped, mut obeyed) = (None::<String>, Vec::new());
    for line in log.split(['\n', '\r']) {
        // Its comparisons skip what has no width.
        let line: String = line
            .chars()
            .filter(|letter| {
                !matches!(letter, '\0' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{fe0f}')
            })
            .collect();
        let new = line.trim_start().strip_prefix("::").and_then(|rest| rest.split_once("::"));
        let old = line.split_once("##[").and_then(|(_, rest)| rest.split_once(']'));
        let Some((info, data)) = new.or(old) else { continue };
        let name = info.split(' ').next().unwrap().to_lowercase();
        match &stopped {
            Some(token) if *token == name => stopped = None,
            Some(_) => {}
            None if name == "stop-commands" => stopped = Some(data.to_lowercase()),
            None => obeyed.push(format!("{name} {data}")),
        }
    }
    assert_eq!(stopped, None, "commands are obeyed again in the end:\n{log}");
    obeyed
}

/// Nothing but ours is obeyed, and nothing reads as a command even to those who overlook where
/// commands are stopped.
pub(crate) fn inert(run: &Run) {
    for command in obeyed(&run.log) {
        let ours = ["group ", "endgroup ", "notice ", "error ", "add-mask "];
        assert!(
            ours.iter().any(|known| command.starts_with(known)),
            "`{command}` is obeyed in\n{}",
            run.log
        );
    }
    for line in run.log.split(['\n', '\r']).filter(|line| !line.starts_with("::add-mask::")) {
        assert!(!line.contains("##["), "{line:?}");
        let ours = [
            "::group::",
            "::endgroup::",
            "::notice ",
            "::error ",
            "::stop-commands::supply-action-",
            "::supply-action-",
        ];
        assert!(
            !line.trim_start().starts_with("::")
                || ours.iter().any(|known| line.starts_with(known)),
            "{line:?}"
        );
        let unseen = line.chars().find(|letter| {
            (letter.is_control() && *letter != '\t')
                || ('\u{200b}'..='\u{202e}').contains(letter)
                    && !('\u{2010}'..='\u{2027}').contains(letter)
        });
        assert_eq!(unseen, None, "{line:?}");
    }
}

pub(crate) const HOSTILE: &str = "fix: typo\n\n::debug::a=b\n::set-output name=digest::sha256:evil\r::error::lone\u{b}::x\u{85}::y\u{2028}::z\n##[set-output name=image-ref]evil\n \
                       ::warning::w\n\u{200d}::add-mask::e\nbidi \u{202e}evil\u{2066} \u{1b}[2J\u{1b}]52;c;ZQ==\u{7} ##\u{ad}[add-mask]x";

#[tokio::test]
async fn no_output_of_a_build_is_obeyed() {
    let mut world = World::new().await;
    let lines = world.folder.path().join("lines");
    let mut bytes = b"#7 0.1 ::error::plain\n::warning::start\n   ::warning::indented\n\xe3\x80\x80::warning::wide\n#7 0.2 ##[add-mask]sha256\n#7 0.3 \
        progress\r::set-output name=digest::evil\r\n::stop-commands::mine\n#7 0.4 \x1b[32mgreen\x1b[0m ##\x1b[0m[set-output name=a]b\n::mine::\n\xff\xfe::error::x\n"
        .to_vec();
    bytes.extend(HOSTILE.as_bytes());
    std::fs::write(&lines, bytes).unwrap();
    world.set("FAKE_BUILDX_LINES", lines.to_str().unwrap());
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    inert(&run);
    for shown in [
        "#7 0.1 ::error::plain",
        "\\u{3a}:warning::start",
        "#7 0.3 progress",
        "\\u{3a}:set-output name=digest::evil",
        "#7 0.4 green ##\\u{5b}set",
    ] {
        assert!(run.log.contains(shown), "{shown:?} is missing in\n{}", run.log);
    }
    assert!(run.outputs["digest"].starts_with("sha256:"));
}

#[tokio::test]
async fn what_a_failed_build_says_is_quoted_as_text() {
    let mut world = World::new().await;
    let lines = world.folder.path().join("lines");
    std::fs::write(&lines, "ERROR: failed ##[add-mask]x\u{202e}\r\n::error::x").unwrap();
    world.set("FAKE_BUILDX_LINES", lines.to_str().unwrap()).set("FAKE_BUILDX", "wrong-digest");
    inert(&world.publish().await);
    // What a program says before it is known to have failed is kept, and then quoted.
    let program = world.folder.path().join("buildx");
    std::fs::write(
        &program,
        "#!/bin/sh\nprintf 'ERROR: no ##[add-mask]x\\r::set-output name=a::b\\n' >&2\nexit 1\n",
    )
    .unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    world.set("BUILDX", program.to_str().unwrap());
    let run = world.publish().await;
    assert!(
        run.code == Some(1) && run.log.contains("ERROR: no ##\\u{5b}add-mask]x"),
        "{}",
        run.log
    );
    inert(&run);
}

#[tokio::test]
async fn no_value_of_an_input_is_obeyed_in_the_plan_or_in_an_error() {
    let world = World::new().await;
    let quoted = format!("\"description={HOSTILE}\"");
    for (input, value) in [
        ("INPUT_LABELS", format!("description={HOSTILE}")),
        ("INPUT_LABELS", quoted.clone()),
        ("INPUT_ANNOTATIONS", quoted.clone()),
        ("INPUT_BUILD-ARGS", quoted.clone()),
        ("INPUT_BUILD-CONTEXTS", quoted.clone()),
        ("INPUT_CACHE-FROM", quoted),
        ("INPUT_TARGET", HOSTILE.to_owned()),
        ("INPUT_FILE", HOSTILE.to_owned()),
        ("INPUT_CONTEXT", HOSTILE.to_owned()),
        ("INPUT_PLATFORMS", HOSTILE.to_owned()),
        ("INPUT_IMAGES", HOSTILE.to_owned()),
        ("INPUT_TAGS", format!("type=raw,value={HOSTILE}")),
        ("INPUT_PUSH", HOSTILE.to_owned()),
        ("INPUT_REGISTRY-AUTH", HOSTILE.to_owned()),
        ("INPUT_DRIVER", HOSTILE.to_owned()),
        ("GITHUB_REF", format!("refs/heads/{HOSTILE}")),
        ("GITHUB_EVENT_NAME", HOSTILE.to_owned()),
        ("GITHUB_EVENT_PATH", HOSTILE.to_owned()),
        ("BUILDX", HOSTILE.to_owned().replace('\0', "")),
    ] {
        inert(&world.run(&[], &[(input, &value), ("INPUT_PUSH-BY-DIGEST", "false")]).await);
    }
    let mut world = World::new().await;
    world.set("INPUT_PUSH", "false").set("INPUT_LABELS", &format!("\"description={HOSTILE}\""));
    for (arguments, is_json) in [(&["plan"][..], false), (&["plan", "--json"][..], true)] {
        let output = world.command().args(arguments).output().await.unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        inert(&world.run_of(output.status.code(), told.as_bytes()));
        if is_json {
            let told: Value = serde_json::from_str(&told).unwrap();
            assert!(
                told["labels"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|label| label == &format!("description={HOSTILE}")),
                "{told:#}"
            );
        } else {
            assert!(told.contains("description=fix: typo\\n\\n::debug::a=b\\n"), "{told}");
        }
    }
}

#[tokio::test]
async fn secrets_are_hidden_in_every_form_in_which_they_may_be_seen() {
    let mut world = World::new().await;
    let (lines, context) =
        (world.folder.path().join("lines"), "https://octo:p%40ss-w0rd@git.example/x.git");
    std::fs::write(&lines, "one hidden-1\rhidden-2 ::hidden-3\n::hidden-3 ##[hidden-4 p@ss-w0rd p%40ss-w0rd\nhid\u{1b}[0mden-1\n").unwrap();
    world
        .set("FAKE_BUILDX_LINES", lines.to_str().unwrap())
        .set("INPUT_SECRETS", "B=::hidden-3\nC=##[hidden-4\n\"A=hidden-1\rhidden-2\"")
        .set("INPUT_BUILD-CONTEXTS", &format!("lib={context}"))
        .set("INPUT_CACHE-FROM", "type=registry,ref=https://octo:c4che-pass@r.example/x")
        .set(
            "INPUT_BUILD-ARGS",
            "URL=https://octo:4rg-pass@h.example/x\nTOKENS=http://ghp-t0ken-of-octo@h.example",
        )
        .set("HTTPS_PROXY", "octo:pr0xy-pass@127.0.0.1:9")
        .set("NO_PROXY", "127.0.0.1,localhost");
    let run = world.publish().await;
    assert_eq!(run.code, Some(0), "{}", run.log);
    inert(&run);
    let masked: Vec<&str> =
        run.log.lines().filter_map(|line| line.strip_prefix("::add-mask::")).collect();
    let shown: String = run
        .log
        .lines()
        .filter(|line| !line.starts_with("::add-mask::"))
        .collect::<Vec<_>>()
        .join("\n");
    let secrets = [
        "hidden-1",
        "hidden-2",
        "::hidden-3",
        "##[hidden-4",
        "p@ss-w0rd",
        "p%2540ss-w0rd",
        "c4che-pass",
        "4rg-pass",
        "ghp-t0ken-of-octo",
        "pr0xy-pass",
    ];
    for secret in secrets {
        assert!(masked.contains(&secret), "{secret} is not masked: {masked:?}");
        assert!(!shown.contains(&secret.replace("%25", "%")), "{secret} is shown:\n{shown}");
    }
    assert!(shown.contains("lib=https://octo:***@git.example/x.git"), "{shown}");
    assert!(shown.contains("http://***@h.example"), "{shown}");
    assert!(shown.contains("reaches buildx on its command line"), "{shown}");
    let output = world.command().args(["plan", "--json"]).output().await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("lib=https://octo:***@git.example/x.git") && !told.contains("ss-w0rd"),
        "{told}"
    );
}

#[tokio::test]
async fn a_run_that_is_ended_lets_the_runner_obey_again() {
    let mut world = World::new().await;
    world.set("FAKE_BUILDX", "slow");
    let child = world.command().stderr(std::process::Stdio::piped()).spawn().unwrap();
    while world.left_behind().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &child.id().unwrap().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().await.unwrap();
    let run = world.run_of(output.status.code(), &output.stderr);
    assert_eq!(run.code, Some(143), "{}", run.log);
    inert(&run);
    assert!(obeyed(&run.log).iter().any(|command| command.starts_with("error ")), "{}", run.log);
}

#[tokio::test]
async fn every_block_of_text_has_a_token_of_its_own() {
    let world = World::new().await;
    let run = world.publish().await;
    let tokens: Vec<&str> =
        run.log.lines().filter_map(|line| line.strip_prefix("::stop-commands::")).collect();
    let distinct: std::collections::BTreeSet<&str> = tokens.iter().copied().collect();
    assert!(
        tokens.len() > 3
            && distinct.len() == tokens.len()
            && tokens.iter().all(|token| token.len() >= 32),
        "{tokens:?}"
    );
    let mut stopped = false;
    for line in run.log.lines() {
        match line.strip_prefix("::").map(|rest| rest.starts_with("stop-commands::")) {
            Some(is_stop) => stopped = is_stop,
            None => assert!(stopped, "text stands where commands are obeyed: {line}"),
        }
    }
}

#[tokio::test]
async fn what_verify_says_is_text_for_people_and_json_for_programs() {
    let world = World::new().await;
    let published = world.publish().await;
    let image = published.outputs["image-ref"].clone();
    let root = world.sandbox.trusted_root().display().to_string();
    for more in [
        &["--certificate-identity", HOSTILE][..],
        &["--certificate-identity-regexp", ".*", "--certificate-oidc-issuer", HOSTILE],
        &["--key", HOSTILE],
    ] {
        for json in [&[][..], &["--json"]] {
            let mut command = world.command();
            let output = command
                .args(["verify", "--trusted-root", &root])
                .args(more)
                .args(json)
                .arg(&image)
                .output()
                .await
                .unwrap();
            let (told, said) = (
                String::from_utf8(output.stdout).unwrap(),
                world.run_of(output.status.code(), &output.stderr),
            );
            assert_eq!(said.code, Some(1), "{}", said.log);
            inert(&said);
            inert(&world.run_of(None, told.as_bytes()));
            if !json.is_empty() {
                let told: Value = serde_json::from_str(&told).unwrap();
                assert_eq!(told["verified"], false);
            }
        }
    }
}
