//! What of the inputs contradicts the plan, or changes nothing in it. Pure; it decides nothing but
//! to refuse.

use std::collections::BTreeSet;

use super::refuse;
use super::scanning::unused_scan;
use crate::build::flags::Flags;
use crate::build::outputs;
use crate::build::recipe::Build;
use crate::error::Remedy as _;
use crate::image::Repository;
use crate::image::spelling::{self, NamedImage};
use crate::inputs::{Inputs, Login};
use crate::metadata::ImageMetadata;
use crate::page::RefusalPage;
use crate::preflight;
use crate::provenance::Slsa;

/// What the plan does with what is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Check,
    PushByDigest,
    Publish,
}

/// Refuses what cannot be meant, and tells what is not heeded.
pub(super) fn told(
    inputs: &Inputs,
    build: &Build,
    metadata: &ImageMetadata,
    images: &[Repository],
    goal: Goal,
) -> anyhow::Result<Vec<String>> {
    let names = metadata.tags();
    let caches: Vec<&str> = build.flags.values("--cache-to").collect();
    preflight::cache_under_a_name(&caches, images, &names)?;
    if goal != Goal::Check {
        no_registry(inputs)?;
        named_outputs(&build.flags, images, &names, goal)?;
    }
    let mut notices = unused_outputs(inputs, &build.flags, goal);
    notices.extend(unused_evidence_dir(inputs, goal));
    notices.extend(unused_scan(inputs, goal));
    let of_merge = [
        (!inputs.signing.signature_annotations.is_empty(), "signature-annotations"),
        (inputs.sboms.provenance_versions.contains(&Slsa::V02), "provenance-versions"),
    ];
    for (_, input) in of_merge.iter().filter(|(given, _)| *given && goal == Goal::PushByDigest) {
        notices.push(format!("input `{input}` is not used: `merge` signs; give it there"));
    }
    let elsewhere: Vec<&str> = ["--cache-to", "--cache-from", "--build-context"]
        .iter()
        .flat_map(|flag| build.flags.values(flag))
        .collect();
    notices.extend(unserved(&inputs.logins.registry_auth, images, &elsewhere));
    Ok(notices)
}

/// Names of Docker Hub's own images are nobody's to push, so a name alone was meant for another
/// registry.
fn no_registry(inputs: &Inputs) -> anyhow::Result<()> {
    let alone =
        inputs.names.metadata.references.iter().find(|reference| !reference.text.contains('/'));
    let Some(reference) = alone else { return Ok(()) };
    let name = reference.image.rsplit('/').next().unwrap_or_default();
    let registry = inputs
        .logins
        .registry_auth
        .iter()
        .find(|login| login.is_given)
        .map_or("ghcr.io", |login| login.registry.as_str());
    refuse(&format!("input `tags`: `{}` names no registry, and an image of that name at Docker Hub is Docker's own", reference.text)).hint(
        format!(
            "write the whole name, such as `{registry}/octo/{name}:{0}`, or `images: {registry}/octo/{name}` and `tags: {0}`",
            reference.tag
        ),
    )
}

/// What an image's output calls the image must be what it is called here.
fn named_outputs(
    flags: &Flags,
    images: &[Repository],
    names: &[String],
    goal: Goal,
) -> anyhow::Result<()> {
    for name in
        flags.values("--output").filter(|output| outputs::is_image(output)).flat_map(outputs::names)
    {
        let Some(named) = NamedImage::of(&name) else {
            return refuse(&format!("input `outputs`: `{name}` is not the name of an image"))
                .map_err(Into::into);
        };
        let is_tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let is_image = images.iter().any(|image| {
            NamedImage::of(&image.to_string()).is_some_and(|image| image.lies_beside(&named))
        });
        if !is_image {
            let listed: Vec<String> = images.iter().map(|image| format!("`{image}`")).collect();
            return refuse(&format!(
                "input `outputs`: `{name}` is none of the images of this run: {}",
                listed.join(", ")
            ))
            .hint(format!(
                "write `images: {}/{}`, and leave `name` out of `outputs`",
                named.registry, named.path
            ));
        }
        if is_tagged && goal == Goal::PushByDigest {
            return refuse(&format!(
                "input `outputs`: `{name}` has a tag, and what is pushed by digest gets none"
            ))
            .hint("write the name without its tag; the action `merge` takes `tags`");
        }
        if is_tagged && !names.iter().any(|known| NamedImage::of(known).as_ref() == Some(&named)) {
            return refuse(&format!(
                "input `outputs`: `{name}` is none of the tags that this run sets"
            ))
            .hint(format!(
                "tags belong in `tags`: write `tags: {}`, and leave `name` out of `outputs`",
                named.tag
            ));
        }
    }
    Ok(())
}

/// There is evidence of what is published alone.
pub(super) fn unused_evidence_dir(inputs: &Inputs, goal: Goal) -> Option<String> {
    inputs.evidence_dir.as_ref()?;
    match goal {
        Goal::Publish => None,
        Goal::Check => Some("input `evidence-dir` has no effect, because this run publishes nothing".to_owned()),
        Goal::PushByDigest => Some("input `evidence-dir` has no effect here; set it in the action `merge`, which publishes".to_owned()),
    }
}

fn unused_outputs(inputs: &Inputs, flags: &Flags, goal: Goal) -> Vec<String> {
    let mut notices = Vec::new();
    let given: Vec<&str> = flags.values("--output").collect();
    let loads = inputs.build.texts.load
        || given.iter().any(|output| outputs::kind(output).as_deref() == Some("docker"));
    if goal != Goal::Check && loads {
        let what =
            if inputs.build.texts.load { "input `load`" } else { "input `outputs`: `type=docker`" };
        notices.push(format!("{what} has no effect when the image is pushed; pull it by its digest, or build with `push: false`"));
    }
    if goal == Goal::Check
        && given.iter().any(|output| {
            outputs::is_image(output) && outputs::switch(output, "push") == Some(true)
        })
    {
        notices.push(
            "input `outputs`: `push=true` has no effect, because this run publishes nothing; set `push: true` to publish".to_owned(),
        );
    }
    notices
}

/// Logins that serve no image of the run, nor a cache or a context that is named.
pub(super) fn unserved(logins: &[Login], images: &[Repository], elsewhere: &[&str]) -> Vec<String> {
    let mut served: BTreeSet<String> =
        images.iter().map(|image| spelling::registry(image.registry())).collect();
    for text in elsewhere {
        let named = text
            .split_once("docker-image://")
            .map(|(_, name)| name.to_owned())
            .or_else(|| preflight::cache_reference(text));
        served.extend(named.and_then(|name| NamedImage::of(&name)).map(|named| named.registry));
    }
    let listed: Vec<String> = images
        .iter()
        .map(|image| format!("`{}`", image.registry()))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let unserved = logins
        .iter()
        .filter(|login| login.is_given && !served.contains(&spelling::registry(&login.registry)));
    unserved
        .map(|login| {
            format!(
                "the login at `{}` is for none of this run's images ({}); only base images can need it",
                login.registry,
                if listed.is_empty() { "there is none".to_owned() } else { listed.join(", ") }
            )
        })
        .collect()
}

/// What the build writes is SLSA provenance 1.0, of which another version is made where it is asked
/// for; a build that writes another would be in vain.
pub(super) fn provenance_version(inputs: &Inputs, flags: &Flags) -> anyhow::Result<()> {
    for attest in flags
        .values("--attest")
        .filter(|attest| outputs::kind(attest).as_deref() == Some("provenance"))
    {
        let version = outputs::value(attest, "version").map(|version| version.trim().to_owned());
        let Some(version) = version
            .filter(|version| version != "v1" && outputs::switch(attest, "disabled") != Some(true))
        else {
            continue;
        };
        let given = !inputs.build.texts.provenance.is_empty();
        let (input, leading) = if given {
            ("provenance", None)
        } else {
            ("attests", Some("type=provenance".to_owned()))
        };
        let own = outputs::fields(attest)
            .into_iter()
            .filter(|(key, _)| !["type", "version", "builder-id"].contains(&key.as_str()));
        let rest: Vec<String> =
            leading.into_iter().chain(own.map(|(key, value)| format!("{key}={value}"))).collect();
        let rest = if rest.is_empty() { "true".to_owned() } else { rest.join(",") };
        let signed = if inputs.sboms.provenance_versions.contains(&Slsa::V02) {
            "which is enough with `provenance-versions: v1,v0.2`"
        } else {
            "and `provenance-versions: v1,v0.2` where it is signed: then both versions are, and `cosign verify-attestation --type slsaprovenance` passes"
        };
        return refuse(&format!(
            "input `{input}`: `version={version}`: builds write SLSA provenance 1.0 (`v1`) here, and version 0.2 is made of it"
        ))
        .hint(format!("write `{input}: {rest}`, {signed}"))
        .see(RefusalPage::Provenance02);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;
    use crate::github::RunContext;
    use crate::github::facts::GitHubFacts;
    use crate::plan::{PublishPlan, plan};

    /// The plan of a push to `main`, in which these inputs are given.
    fn planned(event: &str, inputs: &[(&str, &str)]) -> anyhow::Result<PublishPlan> {
        let env: Environment = inputs
            .iter()
            .map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), (*value).to_owned()))
            .collect();
        let git_ref = if event == "push" { "refs/heads/main" } else { "refs/pull/7/merge" };
        let context = RunContext {
            repository: Some("octo/app".into()),
            server_url: "https://github.com".into(),
            git_ref: git_ref.into(),
            event_name: event.into(),
            sha: "c0ffee5e1f3a9b7d2c4e6f8091a3b5c7d9e1f203".into(),
            ..RunContext::default()
        };
        let facts = GitHubFacts { default_branch: Some("main".into()), ..GitHubFacts::default() };
        plan(&Inputs::read(&env, &context)?, &context, &env, &facts, None)
    }

    fn json(event: &str, inputs: &[(&str, &str)]) -> serde_json::Value {
        planned(event, inputs).unwrap_or_else(|error| panic!("{inputs:?}: {error:?}")).json()
    }

    fn refused(inputs: &[(&str, &str)], parts: &[&str]) {
        let Err(error) = planned("push", inputs) else { panic!("{inputs:?} is planned") };
        assert_eq!(crate::error::exit_code(&error), crate::error::exit::BAD_INPUT, "{error:?}");
        let said = format!(
            "{}\n{}",
            crate::error::message(&error),
            crate::error::hints(&error).join("\n")
        );
        for part in parts {
            assert!(said.contains(part), "{inputs:?}: `{part}` is missing in {said}");
        }
    }

    fn notices(plan: &serde_json::Value) -> String {
        plan["notices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|notice| notice.as_str().unwrap())
            .collect::<Vec<_>>()
            .join("\n")
    }

    const LEG: &str =
        "type=image,\"name=ghcr.io/octo/app\",push-by-digest=true,name-canonical=true,push=true";

    #[test]
    fn a_leg_is_pushed_by_digest_and_names_nothing() {
        let plan = json(
            "push",
            &[("images", "ghcr.io/octo/app"), ("platforms", "linux/arm64"), ("outputs", LEG)],
        );
        assert_eq!(plan["decision"], "push-by-digest");
        assert!(notices(&plan).contains("`push-by-digest: true`"), "{plan}");
        // What it names is the image where nothing else does; the repository's own name would be
        // another.
        let plan = json(
            "push",
            &[(
                "outputs",
                "type=image,\"name=octo/other,quay.io/octo/other\",push-by-digest=true,push=true",
            )],
        );
        assert_eq!(
            (&plan["decision"], &plan["images"]),
            (&"push-by-digest".into(), &serde_json::json!(["octo/other", "quay.io/octo/other"]))
        );
        assert_eq!(json("pull_request", &[("outputs", LEG)])["decision"], "build-only");
        refused(
            &[("images", "ghcr.io/octo/else"), ("outputs", LEG)],
            &["is none of the images of this run", "images: ghcr.io/octo/app"],
        );
        refused(
            &[("outputs", "type=image,name=octo/app:1,push=true")],
            &["is none of the images of this run", "images: docker.io/octo/app`"],
        );
        refused(
            &[("images", "r.io/a"), ("outputs", "type=image,name=r.io/a:1,push-by-digest=true")],
            &["has a tag", "without its tag"],
        );
        refused(
            &[("outputs", "type=image,push=false"), ("push", "true")],
            &["`push=false` contradicts `push: true`"],
        );
        assert_eq!(json("push", &[("outputs", "type=image,push=false")])["decision"], "build-only");
    }

    #[test]
    fn an_images_output_keeps_its_attributes_and_its_name_is_a_name_of_the_run() {
        let given = "type=image,compression=zstd,force-compression=true,rewrite-timestamp=true,oci-mediatypes=true";
        let plan = json("push", &[("images", "ghcr.io/octo/app"), ("outputs", given)]);
        let pushed = "type=image,name=ghcr.io/octo/app,push=true,push-by-digest=true,name-canonical=true,compression=zstd,\
                      force-compression=true,rewrite-timestamp=true,oci-mediatypes=true";
        assert!(
            plan["buildx"].as_array().unwrap().iter().any(|argument| argument == pushed),
            "{plan}"
        );
        assert_eq!(plan["decision"], "publish");
        for fits in [
            "type=image,name=ghcr.io/octo/app,push=true",
            "type=image,name=GHCR.io/octo/app:latest",
            "type=registry",
        ] {
            assert_eq!(
                json("push", &[("images", "ghcr.io/octo/app"), ("outputs", fits)])["decision"],
                "publish"
            );
        }
        for other in [
            "type=image,name=ghcr.io/octo/app:v9,push=true",
            "type=registry,\"name=ghcr.io/octo/app,ghcr.io/octo/app:v9\"",
        ] {
            refused(
                &[("images", "ghcr.io/octo/app"), ("outputs", other)],
                &["none of the tags that this run sets", "tags: v9"],
            );
        }
        refused(
            &[("outputs", "type=registry,name=quay.io/octo/app")],
            &["none of the images of this run"],
        );
        let plan = json("push", &[("load", "true")]);
        assert!(notices(&plan).contains("input `load` has no effect"), "{plan}");
        let plan = json("pull_request", &[("outputs", "type=image,push=true")]);
        assert!(notices(&plan).contains("`push=true` has no effect"), "{plan}");
    }

    #[test]
    fn a_cache_is_written_under_no_name_of_the_image_however_it_is_spelt() {
        for cache in [
            "type=registry,ref=ghcr.io/octo/app,mode=max",
            "type=registry,\"ref=GHCR.io/Octo/App\"",
            "ghcr.io/octo/app",
        ] {
            for tags in ["latest", "dev"] {
                let inputs = [("images", "ghcr.io/octo/app"), ("tags", tags), ("cache-to", cache)];
                refused(&inputs, &["`cache-to`", "ghcr.io/octo/app:buildcache"]);
            }
        }
        refused(
            &[("images", "octo/app"), ("cache-to", "type=registry,ref=docker.io/octo/app:main")],
            &["`cache-to`"],
        );
        // A pull request writes it, too.
        planned("pull_request", &[("cache-to", "type=registry,ref=ghcr.io/octo/app")]).unwrap_err();
        for cache in [
            "type=registry,ref=ghcr.io/octo/app:buildcache",
            "type=gha,mode=max",
            "type=registry,ref=ghcr.io/octo/app-cache",
            "type=inline",
        ] {
            json(
                "push",
                &[("images", "ghcr.io/octo/app"), ("tags", "latest"), ("cache-to", cache)],
            );
        }
    }

    #[test]
    fn provenance_of_an_older_version_is_refused_before_anything_is_built() {
        refused(
            &[("provenance", "mode=max,version=v0.2")],
            &[
                "input `provenance`",
                "`version=v0.2`",
                "write `provenance: mode=max`, and `provenance-versions: v1,v0.2`",
            ],
        );
        refused(
            &[("provenance", "mode=max,version=v0.2"), ("provenance-versions", "v1,v0.2")],
            &["write `provenance: mode=max`, which is enough with `provenance-versions"],
        );
        refused(&[("provenance", "version=v0.2")], &["write `provenance: true`"]);
        refused(
            &[("attests", "type=provenance,mode=min,\"version=v0.2\"")],
            &["write `attests: type=provenance,mode=min`"],
        );
        refused(
            &[("provenance", "mode=max,version=0.2"), ("push-by-digest", "true")],
            &["`version=0.2`"],
        );
        for provenance in [
            "mode=max,version=v1",
            "mode=max",
            "false",
            "mode=max,builder-id=https://x/?version=v0.2",
        ] {
            json("push", &[("provenance", provenance)]);
        }
    }

    #[test]
    fn a_login_that_serves_nothing_is_told_and_a_pair_never_goes_astray() {
        let pair = |more: &[(&'static str, &'static str)]| {
            [&[("username", "u"), ("password", "hunter2")], more].concat()
        };
        let logins = |plan: &serde_json::Value| {
            plan["logins"]
                .as_array()
                .unwrap()
                .iter()
                .map(|login| login["registry"].clone())
                .collect::<Vec<_>>()
        };
        let plan = json("push", &pair(&[("images", "octo/app"), ("registry", "quay.io")]));
        assert!(
            notices(&plan)
                .contains("the login at `quay.io` is for none of this run's images (`docker.io`)"),
            "{plan}"
        );
        for served in [
            ("cache-to", "type=registry,ref=quay.io/octo/cache:a"),
            ("build-contexts", "base=docker-image://quay.io/octo/base"),
        ] {
            let plan =
                json("push", &pair(&[("images", "octo/app"), ("registry", "quay.io"), served]));
            assert!(!notices(&plan).contains("the login"), "{plan}");
        }
        for alike in [
            "https://index.docker.io/v1/",
            "docker.io",
            "registry-1.docker.io",
            "HTTPS://Docker.io/",
        ] {
            let plan = json("push", &pair(&[("images", "octo/app"), ("registry", alike)]));
            assert!(
                !notices(&plan).contains("the login") && logins(&plan)[0] == "docker.io",
                "{plan}"
            );
        }
        // docker/login-action takes a pair without a registry for Docker Hub.
        for images in [
            "ghcr.io/octo/app\nocto/app",
            "ghcr.io/octo/app\nregistry-1.docker.io/octo/app",
            "octo/app\nghcr.io/octo/app",
            "name=octo/app,enable=false\nghcr.io/octo/app",
        ] {
            let plan = json("push", &pair(&[("images", images), ("github-token", "t")]));
            assert_eq!(logins(&plan), ["docker.io", "ghcr.io"], "{images}");
        }
        let plan = json("push", &pair(&[("images", "quay.io/octo/app\nquay.io/octo/other")]));
        assert_eq!(logins(&plan), ["quay.io"]);
        refused(
            &pair(&[("images", "ghcr.io/octo/app\nquay.io/octo/app")]),
            &["`ghcr.io` and `quay.io`", "which of them", "registry-auth"],
        );
        refused(&pair(&[("tags", "ghcr.io/octo/app:1\nquay.io/octo/app:1")]), &["which of them"]);
        refused(
            &pair(&[("registry", "ghcr.io/octo")]),
            &["`ghcr.io/octo` is not a registry; write `ghcr.io`"],
        );
        refused(
            &[("registry-auth", "[{registry: quay.io/octo, username: u, password: p}]")],
            &["input `registry-auth`", "write `quay.io`"],
        );
        assert!(notices(&json("push", &[("registry", "ghcr.io")])).contains("has no effect"));
    }

    #[test]
    fn every_repository_gets_the_tags_that_are_written_with_it() {
        for tags in [
            "quay.io/octo/app:latest,ghcr.io/octo/app:1.2-90dd603",
            "quay.io/octo/app,,ghcr.io/Octo/app:1.2-90dd603,",
        ] {
            let plan = json("push", &[("tags", tags)]);
            assert_eq!(
                plan["tags"],
                serde_json::json!(["quay.io/octo/app:latest", "ghcr.io/octo/app:1.2-90dd603"]),
                "{plan}"
            );
            let PublishPlan::Publish(publish) = planned("push", &[("tags", tags)]).unwrap() else {
                panic!("{plan}")
            };
            let names: Vec<String> =
                publish.release.names().iter().map(ToString::to_string).collect();
            assert_eq!(names, ["ghcr.io/octo/app:1.2-90dd603", "quay.io/octo/app:latest"]);
            assert!(publish.release.images().len() == 2);
        }
        let plan = json(
            "push",
            &[("tags", "r.io/a:1\nr.io/b:1\nr.io/b:{{branch}}"), ("flavor", "prefix=x-")],
        );
        assert_eq!(plan["tags"], serde_json::json!(["r.io/a:x-1", "r.io/b:x-1", "r.io/b:x-main"]));
    }

    #[test]
    fn a_name_without_a_registry_is_never_published_and_may_be_built() {
        refused(
            &[("tags", "app:latest")],
            &["`app:latest` names no registry", "ghcr.io/octo/app:latest"],
        );
        let login = [
            ("tags", "agones-client:0.1.0"),
            ("registry", "octo.azurecr.io"),
            ("username", "u"),
            ("password", "p"),
        ];
        refused(&login, &["names no registry", "octo.azurecr.io/octo/agones-client:0.1.0"]);
        refused(&[("tags", "app:latest"), ("push-by-digest", "true")], &["names no registry"]);
        assert_eq!(
            json("push", &[("tags", "app:test"), ("push", "false")])["tags"][0],
            "docker.io/library/app:test"
        );
        assert_eq!(json("push", &[("tags", "octo/app:v1")])["tags"][0], "docker.io/octo/app:v1");
        for either in ["octo/app", "feature/x"] {
            refused(
                &[("tags", either)],
                &[
                    "could be a tag or an image",
                    &format!("docker.io/{either}:latest"),
                    &either.replace('/', "-"),
                ],
            );
        }
        let plan = json("push", &[("images", "ghcr.io/octo/app"), ("tags", "feature/x\nv1 2")]);
        assert_eq!(plan["tag_names"], serde_json::json!(["feature-x", "v1-2"]));
        assert!(
            notices(&plan).contains("`feature/x` is not a legal tag, and becomes `feature-x`")
                && notices(&plan).contains("`v1-2`"),
            "{plan}"
        );
        refused(
            &[("images", "ghcr.io/octo/app"), ("tags", "ghcr.io/octo/app")],
            &["is a whole reference beside `images`"],
        );
    }
}
