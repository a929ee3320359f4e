use super::*;
use proptest::prelude::*;

fn decide(
    inputs: &[(&str, String)],
    git_ref: &str,
    event_name: &str,
) -> anyhow::Result<PublishPlan> {
    let env: Environment =
        inputs.iter().map(|(name, value)| (format!("INPUT_{name}"), value.clone())).collect();
    let context = RunContext {
        repository: Some("octo/app".into()),
        server_url: "https://github.com".into(),
        git_ref: git_ref.to_owned(),
        event_name: event_name.to_owned(),
        sha: "c0ffee5e1f3a9b7d2c4e6f8091a3b5c7d9e1f203".into(),
        ..RunContext::default()
    };
    plan(
        &Inputs::read(&env, &context)?,
        &context,
        &env,
        &GitHubFacts { default_branch: Some("main".into()), ..GitHubFacts::default() },
        None,
    )
}

/// Texts that look like rules now and then.
fn rule_like() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("type=semver,pattern={{version}}".to_owned()),
        Just("type=ref,event=branch".to_owned()),
        Just("type=sha".to_owned()),
        Just("type=raw,value=".to_owned()),
        Just("type=match,pattern=".to_owned()),
        Just(",prefix=".to_owned()),
        Just("{{branch}}".to_owned()),
        Just("{{date '".to_owned()),
        Just("'}}".to_owned()),
        Just("\n".to_owned()),
        Just("\"".to_owned()),
        "[ -~]{0,6}",
        "\\PC{0,4}",
    ];
    proptest::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_is_given_the_plan_is_the_same_twice_and_its_tags_are_legal(
        tags in rule_like(), flavor in rule_like(), labels in rule_like(), images in prop_oneof![8 => Just(String::new()), 1 => rule_like()], build_args in rule_like(),
        git_ref in "refs/(heads|tags|pull)/\\PC{0,20}", event in "(push|schedule|release|pull_request_target|create)",
    ) {
        let inputs = [("TAGS", tags), ("FLAVOR", flavor), ("LABELS", labels), ("IMAGES", images), ("BUILD-ARGS", build_args)];
        let (once, again) = (decide(&inputs, &git_ref, &event), decide(&inputs, &git_ref, &event));
        let shown = |plan: &anyhow::Result<PublishPlan>| plan.as_ref().map(PublishPlan::json).map_err(crate::error::message);
        prop_assert_eq!(shown(&once), shown(&again));
        if let Ok(PublishPlan::Publish(plan)) = once {
            let names = plan.release.about.metadata.tag_names;
            prop_assert!(!names.is_empty());
            for name in names {
                // The grammar of https://github.com/distribution/reference, spelt out once more.
                let mut letters = name.bytes();
                let first = letters.next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                prop_assert!(first && name.len() <= 128 && letters.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)), "{name}");
            }
        }
    }
}
