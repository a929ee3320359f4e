use super::*;

fn definition(targets: Value) -> Definition {
    let names: Vec<&String> = targets.as_object().unwrap().keys().collect();
    Definition::read(
        &json!({ "group": { "default": { "targets": names } }, "target": targets }).to_string(),
    )
    .unwrap()
}

#[test]
fn groups_in_groups_are_opened_and_targets_that_others_are_built_from_are_not_asked_for() {
    let printed = json!({
        "group": { "default": { "targets": ["tool", "web"] }, "web": { "targets": ["web-a", "web-b", "tool"] } },
        "target": { "base": {}, "tool": {}, "web-a": {}, "web-b": {} },
    });
    assert_eq!(
        Definition::read(&printed.to_string()).unwrap().targets(),
        ["tool", "web-a", "web-b"]
    );
    let circle = json!({ "group": { "default": { "targets": ["default"] } }, "target": {} });
    assert!(
        Definition::read(&circle.to_string())
            .unwrap_err()
            .to_string()
            .contains("define nothing to build")
    );
    Definition::read("[").unwrap_err();
}

#[test]
fn everything_that_is_wrong_with_the_targets_is_told_at_once() {
    let wrong = definition(json!({
        "a": { "tags": ["r.io/o/x:1", "r.io/o/y:1", "r.io/o/x:1"] },
        "b": { "tags": ["r.io/o/x:1"], "platforms": ["linux"] },
        "c": { "tags": ["app:1", "r.io/o/c", "r.io/o/c:1"] },
        "d": { "tags": ["r.io/o/y:1", "r.io/o/d:1"] },
        "e": {},
        "f": { "tags": ["r.io/o/f:1"], "output": [{ "type": "local", "dest": "out" }] },
        "g": { "tags": ["r.io/o/g:1"], "output": ["type=image,name=r.io/o/evil:1,push=true"], "call": "check" },
    }))
    .goods()
    .unwrap_err();
    #[rustfmt::skip]
    let expected = [
        "target `b`: ", "target `c` has `app:1` among its `tags`", "target `c` has `r.io/o/c` among its `tags`", "target `e` has no `tags`",
        "target `f` makes no image for a registry: its output is `type=local,dest=out`", "target `g` makes no image: `call` is `check`",
        "target `g` names its image `r.io/o/evil:1` in `output`", "`r.io/o/y:1` is a tag of both target `a` and target `d`",
    ];
    assert_eq!(wrong.len(), expected.len(), "{wrong:#?}");
    for (told, expected) in wrong.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}, not {expected}");
    }
}

#[test]
fn names_are_taken_out_and_outputs_are_pushed_by_digest_alone() {
    let printed = definition(json!({
        "a": {
            "tags": ["r.io/o/a:latest", "q.io/o/a:1.0.0"],
            "attest": [{ "type": "sbom", "generator": "theirs" }],
            "output": [{ "type": "image", "push": "true", "compression": "zstd", "push-by-digest": "false" }, { "type": "local", "dest": "a,b" }],
            "args": { "A": "$${B}" },
            "secret": [{ "id": "s", "src": "${x}" }],
        },
    }));
    let goods = printed.goods().unwrap();
    assert_eq!(
        goods[0].names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["q.io/o/a:1.0.0", "r.io/o/a:latest"]
    );
    let mut build = Build {
        flags: crate::build::flags::Flags::default(),
        platforms: Vec::new(),
        sbom: Sbom::Ours(crate::build::sbom::Otherwise::Registry),
        supplier: None,
        files: false,
        allowed: crate::oci::Allowed::default(),
    };
    build.flags.flags.push(crate::build::flags::Flag {
        name: "--attest",
        value: crate::build::flags::FlagValue::Text("type=provenance,mode=max".to_owned()),
    });
    let scanner: crate::image::ImageRef =
        format!("r.io/o/a@{}", crate::image::Digest::of(b"")).parse().unwrap();
    let file = printed.for_publishing(
        &goods,
        &build,
        &Generator::Scanner(scanner.clone()),
        &Environment::new(),
    );
    let expected = json!({
        "attest": ["type=provenance,mode=max,version=v1", format!("type=sbom,generator={scanner}")],
        "output": [
            "type=local,\"dest=a,b\"",
            "type=image,\"name=r.io/o/a,q.io/o/a\",push=true,push-by-digest=true,name-canonical=true,oci-mediatypes=true,compression=zstd",
        ],
        "args": { "A": "$${B}" },
        "secret": [{ "id": "s", "src": "$${x}" }],
    });
    assert_eq!(file["target"]["a"], expected);
    assert_eq!(printed.build_args().next().unwrap().1, ["A=${B}"]);
    let check = printed.for_checking(&Environment::new());
    assert_eq!(
        check["target"]["a"],
        json!({ "output": ["type=local,\"dest=a,b\""], "args": { "A": "$${B}" }, "secret": [{ "id": "s", "src": "$${x}" }] })
    );
}

#[test]
fn a_target_built_from_one_for_other_platforms_is_told() {
    let both = json!(["linux/amd64", "linux/arm64"]);
    let app = json!({ "platforms": both, "contexts": { "here": "target:base", "there": "docker-image://base" } });
    let told = |base: Value| definition(json!({ "app": app, "base": base })).uneven();
    assert_eq!(told(json!({ "platforms": both })), Vec::<String>::new());
    for base in [json!({}), json!({ "platforms": ["linux/amd64"] })] {
        let told = told(base);
        assert!(
            told.len() == 1
                && told[0].starts_with("target `app` is built from target `base`")
                && told[0].contains("linux/arm64"),
            "{told:?}"
        );
    }
}

#[test]
fn a_target_that_others_are_built_from_puts_out_nothing() {
    let printed = json!({
        "group": { "default": { "targets": ["a"] } },
        "target": { "a": { "tags": ["r.io/o/a:1"] }, "base": { "tags": ["r.io/o/base:1"], "attest": ["type=sbom"], "output": ["type=registry"], "cache-to": [{ "type": "gha" }] } },
    });
    let file = Definition::read(&printed.to_string()).unwrap().for_checking(&Environment::new());
    assert_eq!(file["target"]["base"], json!({ "output": ["type=cacheonly"], "cache-to": [] }));
    assert_eq!(file["target"]["a"], json!({ "output": ["type=cacheonly"] }));
    assert_eq!(file["group"], json!({ "default": { "targets": ["a"] } }));
}
