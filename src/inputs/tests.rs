use super::*;
use crate::publish::OnTagConflict;
use proptest::prelude::*;

fn env(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(pairs: &[(&str, &str)]) -> anyhow::Result<Inputs> {
    let context = RunContext {
        repository: Some("Octo/App".into()),
        server_url: "https://github.com".into(),
        ..RunContext::default()
    };
    Inputs::read(&env(pairs), &context)
}

#[test]
fn defaults_do_it_all() {
    let inputs = read(&[("INPUT_TAGS", "v1")]).unwrap();
    assert_eq!(inputs.names.metadata.images, "ghcr.io/octo/app");
    assert_eq!(
        inputs.build.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["linux/amd64", "linux/arm64"]
    );
    assert!(
        inputs.push.push == WhenToPush::Auto
            && inputs.signing.sign
            && inputs.build.texts.context.is_empty()
    );
}

#[test]
fn an_empty_input_is_one_that_is_not_set() {
    let inputs =
        read(&[("INPUT_TAGS", " "), ("INPUT_PUSH", ""), ("INPUT_BUILD-ARGS", "\n")]).unwrap();
    assert!(
        inputs.names.metadata.tags.is_empty()
            && inputs.push.push == WhenToPush::Auto
            && inputs.build.texts.build_args.trim().is_empty()
    );
}

#[test]
fn a_shell_may_write_underscores_for_dashes() {
    let inputs = read(&[
        ("INPUT_BUILD_ARGS", "A=1"),
        ("INPUT_ON_TAG_CONFLICT", "fail"),
        ("INPUT_ON-TAG-CONFLICT", "overwrite"),
    ])
    .unwrap();
    assert_eq!(
        (inputs.build.texts.build_args.as_str(), inputs.names.on_tag_conflict),
        ("A=1", OnTagConflict::Overwrite)
    );
}

#[test]
fn variables_of_a_sandbox_stand_in_for_inputs_that_are_not_set() {
    let inputs = read(&[
        ("SUPPLY_ACTION_TRUSTED_ROOT", "/s/root.json"),
        ("SUPPLY_ACTION_SIGNING_CONFIG", "/s/c.json"),
        ("INPUT_SIGNING-CONFIG", "/mine.json"),
    ])
    .unwrap();
    assert_eq!(inputs.trust.trusted_root.unwrap().to_str(), Some("/s/root.json"));
    assert_eq!(inputs.trust.signing_config.unwrap().to_str(), Some("/mine.json"));
}

#[test]
fn a_list_of_nothing_is_no_list() {
    let message = crate::error::message(&read(&[("INPUT_PLATFORMS", " , ")]).unwrap_err());
    assert_eq!(message, "input `platforms`: `,` lists nothing");
}

#[test]
fn a_misspelt_input_is_not_silently_ignored() {
    for (given, meant) in [
        ("INPUT_PLATFROMS", "platforms"),
        ("INPUT_BUILD_ARG", "build-args"),
        ("INPUT_TAG", "tags"),
        ("INPUT_REGISTRY-AUTHS", "registry-auth"),
    ] {
        let message = crate::error::message(&read(&[(given, "x")]).unwrap_err());
        assert!(message.contains(&format!("did you mean `{meant}`?")), "{message}");
    }
    for name in ["INPUT_DOCKERFILE", "INPUT_CONTAINERFILE"] {
        let message = crate::error::message(&read(&[(name, "x")]).unwrap_err());
        assert!(message.contains("did you mean `file`?"), "{message}");
    }
    let inputs = read(&[("INPUT_WEBHOOK", "x"), ("INPUT_QUX", "")]).unwrap();
    assert_eq!(inputs.notices, ["input `webhook` is not one of this action's and is ignored"]);
}

#[test]
fn names_with_dashes_arrive_as_the_runner_passes_them() {
    let inputs =
        read(&[("INPUT_BUILD-ARGS", "A=1,2\nB"), ("INPUT_ON-TAG-CONFLICT", "overwrite")]).unwrap();
    assert_eq!(inputs.build.texts.build_args, "A=1,2\nB");
    assert_eq!(inputs.names.on_tag_conflict, OnTagConflict::Overwrite);
}

#[test]
fn every_bad_value_is_named_with_its_input_and_a_remedy() {
    let error = read(&[
        ("INPUT_METADATA-CONTEXT", "event"),
        ("INPUT_PLATFORMS", "linux"),
        ("INPUT_PUSH", "yes"),
        ("INPUT_NO-CACHE", "1"),
        ("INPUT_ON-TAG-CONFLICT", "ask"),
        ("INPUT_USERNAME", "octo"),
    ])
    .unwrap_err();
    let message = crate::error::message(&error);
    for part in [
        "input `metadata-context`: `event`",
        "input `platforms`: `linux`",
        "input `push`: `yes`",
        "input `no-cache`: `1`",
        "input `on-tag-conflict`: `ask`",
        "input `password`",
    ] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
    assert_eq!(crate::error::exit_code(&error), crate::error::exit::BAD_INPUT);
}

#[test]
fn a_secret_stands_in_no_error_and_no_debug_text() {
    let error = read(&[("INPUT_REGISTRY-AUTH", "{hunter2hunter2: [")]).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let inputs = read(&[
        ("INPUT_SECRETS", "A=hunter2"),
        ("INPUT_GITHUB-TOKEN", "ghs_hunter2"),
        ("INPUT_USERNAME", "u"),
        ("INPUT_PASSWORD", "hunter2"),
    ])
    .unwrap();
    assert!(!format!("{inputs:?}").contains("hunter2"), "{inputs:?}");
}

#[test]
fn logins_come_from_yaml_json_the_pair_and_the_token() {
    for text in [
        "- registry: r.io\n  username: u\n  password: p\n",
        r#"[{"registry":"r.io","username":"u","password":"p"}]"#,
    ] {
        let inputs = read(&[("INPUT_REGISTRY-AUTH", text), ("INPUT_GITHUB-TOKEN", "t")]).unwrap();
        let registries: Vec<&str> =
            inputs.logins.registry_auth.iter().map(|login| login.registry.as_str()).collect();
        assert_eq!(registries, ["r.io", "ghcr.io"]);
    }
    let inputs = read(&[
        ("INPUT_IMAGES", "docker.io/octo/app"),
        ("INPUT_USERNAME", "u"),
        ("INPUT_PASSWORD", "p"),
    ])
    .unwrap();
    assert_eq!(inputs.logins.registry_auth[0].registry, "docker.io");
    let inputs =
        read(&[("INPUT_REGISTRY", "r.io"), ("INPUT_USERNAME", "u"), ("INPUT_PASSWORD", "p")])
            .unwrap();
    assert_eq!(inputs.logins.registry_auth[0].registry, "r.io");
}

#[test]
fn an_entry_that_mixes_ways_of_logging_in_is_refused_without_showing_a_password() {
    let text = "- registry: 123456789012.dkr.ecr.eu-west-1.amazonaws.com\n  aws-role: arn:aws:iam::123456789012:role/push\n  username: u\n  password: hunter2\n";
    let error = read(&[("INPUT_REGISTRY-AUTH", text)]).unwrap_err();
    let message = crate::error::message(&error);
    assert!(
        message.contains("input `registry-auth`")
            && message.contains("keep one way")
            && !format!("{error:?}").contains("hunter2"),
        "{message}"
    );
    let good = "- registry: 123456789012.dkr.ecr.eu-west-1.amazonaws.com\n  aws-role: arn:aws:iam::123456789012:role/push\n";
    assert!(matches!(
        read(&[("INPUT_REGISTRY-AUTH", good)]).unwrap().logins.registry_auth[0].method,
        crate::registry::exchange::Method::AwsRole { .. }
    ));
}

#[test]
fn whole_references_name_the_images_too() {
    let named = |tags: &str| {
        read(&[("INPUT_TAGS", tags)])
            .map(|inputs| (inputs.names.metadata.images, inputs.names.metadata.tags))
    };
    for (tags, images, names) in [
        ("octo/app:v1", "docker.io/octo/app", "v1"),
        ("ghcr.io/octo/app:v1, ghcr.io/octo/app:latest", "ghcr.io/octo/app", "v1\nlatest"),
        ("r.io:5000/a/b:1\nr.io/a/b:1", "r.io:5000/a/b\nr.io/a/b", "1"),
        ("r.io/a/b:1\nr.io/c/d:2", "r.io/a/b\nr.io/c/d", "1\n2"),
        ("r.io/A/b,,r.io/a/b:2,", "r.io/a/b", "latest\n2"),
        ("v1,", "ghcr.io/octo/app", "\"v1\""),
        (",", "ghcr.io/octo/app", ","),
        ("v1", "ghcr.io/octo/app", "v1"),
        ("type=raw,value=a/b:c", "ghcr.io/octo/app", "type=raw,value=a/b:c"),
    ] {
        assert_eq!(named(tags).unwrap(), (images.to_owned(), names.to_owned()), "{tags}");
    }
    let message = crate::error::message(&named("r.io/a/b:1\nv2").unwrap_err());
    assert!(message.contains("some are whole references and some are not"), "{message}");
    let message = crate::error::message(
        &read(&[("INPUT_IMAGES", "r.io/a/b"), ("INPUT_TAGS", "r.io/a/b:1")]).unwrap_err(),
    );
    assert_eq!(
        message,
        "input `tags`: `r.io/a/b:1` is a whole reference beside `images`; write `1` alone"
    );
}

#[test]
fn several_tags_on_one_line_are_told() {
    let inputs = read(&[("INPUT_TAGS", "one,two")]).unwrap();
    assert_eq!(
        inputs.notices,
        ["input `tags`: `one,two` is one rule, in which the last name wins; write one tag a line"]
    );
}

#[test]
fn a_separator_may_be_a_space() {
    let inputs = read(&[("INPUT_SEP-TAGS", " "), ("INPUT_SEP-LABELS", "")]).unwrap();
    assert_eq!(
        (inputs.names.separators.tags.as_str(), inputs.names.separators.labels.as_str()),
        (" ", "\n")
    );
}

proptest! {
    #[test]
    fn no_input_panics(images in ".*", tags in ".*", platforms in ".*", args in ".*", secrets in ".*", auth in ".*") {
        let _ = read(&[("INPUT_IMAGES", &images), ("INPUT_TAGS", &tags), ("INPUT_PLATFORMS", &platforms), ("INPUT_BUILD-ARGS", &args), ("INPUT_SECRETS", &secrets), ("INPUT_REGISTRY-AUTH", &auth)]);
    }
}

#[test]
fn a_slip_in_a_platform_is_told_and_one_that_nobody_knows_is_the_builders() {
    let error = read(&[("INPUT_PLATFORMS", "linux/amd46,linux/arm64")]).unwrap_err();
    assert_eq!(
        crate::error::message(&error),
        "input `platforms`: no platform is called `linux/amd46`; did you mean `linux/amd64`?"
    );
    let inputs = read(&[("INPUT_PLATFORMS", "linux/e2k,windows/amd64,linux/arm/v7")]).unwrap();
    assert_eq!(
        (inputs.build.platforms.len(), inputs.notices.len()),
        (3, 1),
        "{:?}",
        inputs.notices
    );
}

#[test]
fn an_attribute_that_no_rule_has_is_told() {
    let error = read(&[(
        "INPUT_TAGS",
        "type=semver,pattern=v{{version}},enabled=false\ntype=ref,event=tag,enabled=false",
    )])
    .unwrap_err();
    assert!(
        crate::error::message(&error).contains("there is no attribute `enabled`")
            && crate::error::message(&error).contains("`enable`?")
    );
    let inputs = read(&[("INPUT_TAGS", "type=raw,value=x,color=blue\ntype=raw,value=")]).unwrap();
    assert_eq!(inputs.notices.len(), 2, "{:?}", inputs.notices);
}
