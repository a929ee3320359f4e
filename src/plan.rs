//! Inputs, run and facts → `Plan`: every decision before anything is done. Pure; stages contain no "if push".

use serde_json::{Value, json};

use crate::build::arguments::{self, Destination};
use crate::build::caches;
use crate::build::flags::{self, Flags};
use crate::error::{Remedy as _, WithExit, exit};
use crate::github::facts::Facts;
use crate::github::{Context, Environment};
use crate::image::{ImageError, Platform, Repository, Tag};
use crate::inputs::{Inputs, OnTagConflict};
use crate::trigger::{self, Decision, Event};
use crate::verify::policy::Requirements;

/// What this run will do.
#[derive(Debug)]
pub enum Plan {
    /// Build every platform and push nothing.
    BuildOnly(BuildOnly),
    Publish(Publish),
}

/// Why the plan is as it is.
#[derive(Debug, Clone)]
pub struct About {
    /// The event's name and ref, as GitHub writes them.
    pub event: String,
    pub git_ref: String,
    pub reason: String,
    pub notices: Vec<String>,
    /// How the builder is made, or its name.
    pub builder: Value,
    /// Where the run logs in, and how; no secret.
    pub logins: Value,
}

#[derive(Debug)]
pub struct BuildOnly {
    pub about: About,
    pub build: Build,
}

/// What is built.
#[derive(Debug, Clone)]
pub struct Build {
    pub flags: Flags,
    pub platforms: Vec<Platform>,
    pub sbom: Sbom,
}

/// Who makes the SBOMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sbom {
    /// Our own scanner.
    Ours,
    /// A generator that the user names, in `sbom` or `attests`.
    Given,
    Off,
}

impl Build {
    /// Whether BuildKit writes a provenance, and whether it holds every build argument.
    fn provenance(&self) -> Option<&str> {
        self.flags.values("--attest").find(|attest| attest.contains("type=provenance")).filter(|attest| !attest.contains("disabled=true"))
    }

    pub fn publishes_build_args(&self) -> bool {
        self.provenance().is_some_and(|attest| attest.contains("mode=max"))
    }
}

/// What is published, and what must be proven before.
#[derive(Debug)]
pub struct Publish {
    pub about: About,
    pub build: Build,
    pub images: Vec<Repository>,
    /// Names of one version first, floating ones last.
    pub tags: Vec<Tag>,
    pub requirements: Requirements,
    pub on_tag_conflict: OnTagConflict,
    /// Whether what signing writes into a public log may tell of a private repository.
    pub private: bool,
    pub allow_public_log: bool,
}

/// Decides.
pub fn plan(inputs: &Inputs, context: &Context, env: &Environment, facts: &Facts) -> anyhow::Result<Plan> {
    let event = Event {
        name: &context.event_name,
        git_ref: &context.git_ref,
        sha: &context.sha,
        payload: &facts.event,
        default_branch: facts.default_branch.as_deref(),
        on_default_branch: facts.on_default_branch,
    };
    let answer = trigger::decide(inputs.push, &event);
    let tags_are_ours = inputs.tags.is_empty();
    let of_tags = tags_are_ours && answer.decision == Decision::Publish;
    let mut about = About {
        builder: inputs.builder.json(),
        logins: inputs.registry_auth.iter().map(|login| json!({ "registry": login.registry, "method": login.method.name() })).collect(),
        event: context.event_name.clone(),
        git_ref: context.git_ref.clone(),
        reason: answer.reason,
        notices: inputs.notices.iter().cloned().chain(answer.notices.into_iter().filter(|_| of_tags)).collect(),
    };
    let (build, mut notices) = build(inputs, context, env, facts)?;
    about.notices.append(&mut notices);
    if answer.decision == Decision::BuildOnly {
        return Ok(Plan::BuildOnly(BuildOnly { about, build }));
    }
    if build.flags.values("--call").any(|call| call != "build") {
        about.reason = format!("`call: {}` looks at the build and makes no image", inputs.build.call);
        return Ok(Plan::BuildOnly(BuildOnly { about, build }));
    }
    if !inputs.sign {
        return refuse("input `sign`: `false` beside publishing would put a name on an image without proof")
            .hint("set `push: false` to build without publishing, or leave `sign` out");
    }
    let tags = if tags_are_ours { own_tags(&answer.tags)? } else { inputs.tags.clone() };
    if tags.is_empty() {
        return refuse("input `tags`: not set, and there is no commit or ref to take a name from").hint("write for example `tags: v1.2.3`");
    }
    Ok(Plan::Publish(Publish {
        about,
        requirements: Requirements::new(&build.platforms, build.sbom != Sbom::Off, build.provenance().is_some()),
        images: inputs.images.clone(),
        tags: in_order(tags),
        on_tag_conflict: inputs.on_tag_conflict,
        private: facts.private,
        allow_public_log: inputs.allow_public_log,
        build,
    }))
}

fn refuse<T>(message: &str) -> Result<T, WithExit> {
    Err(WithExit { code: exit::BAD_INPUT, message: message.to_owned() })
}

/// The user's flags, with what this action adds: caches that work, our SBOM, where the source is from.
fn build(inputs: &Inputs, context: &Context, env: &Environment, facts: &Facts) -> anyhow::Result<(Build, Vec<String>)> {
    let mut texts = inputs.build.clone();
    if inputs.source_args {
        texts.build_args = with_source(&texts.build_args, context);
    }
    let sbom = match texts.sbom.trim() {
        "" if texts.attests.contains("type=sbom") => Sbom::Given,
        "" | "true" | "True" | "TRUE" => Sbom::Ours,
        "false" | "False" | "FALSE" => Sbom::Off,
        _ => Sbom::Given,
    };
    match sbom {
        Sbom::Ours => texts.sbom.clear(), // its generator is known only when it lies in the registry
        Sbom::Off => texts.sbom = "false".to_owned(),
        Sbom::Given => {}
    }
    let file_exists = |path: &str| std::path::Path::new(path).is_file();
    let facts = flags::Facts { env, event: &facts.event, file_exists: &file_exists };
    let mut flags = flags::flags(&texts, &facts).map_err(|error| WithExit { code: exit::BAD_INPUT, message: error.to_string() })?;
    caches::complete(&mut flags, env);
    let notices = std::mem::take(&mut flags.notices);
    Ok((Build { flags, platforms: inputs.platforms.clone(), sbom }, notices))
}

/// Where the source is from, as build arguments; the user's own values win.
fn with_source(given: &str, context: &Context) -> String {
    let repository = context.repository.as_ref().map(|repository| format!("{}/{repository}", context.server_url)).unwrap_or_default();
    let mut text = given.trim_end().to_owned();
    for (name, value) in [("SOURCE_REPOSITORY", &repository), ("SOURCE_COMMIT", &context.sha), ("BUILD_WORKFLOW", &context.workflow_ref)] {
        let set = given.lines().any(|line| line.trim().split('=').next() == Some(name));
        if !set && !value.is_empty() {
            text.push_str(&format!("\n{name}={value}"));
        }
    }
    text
}

fn own_tags(names: &[String]) -> anyhow::Result<Vec<Tag>> {
    let tags: Result<Vec<Tag>, ImageError> = names.iter().map(|name| name.parse()).collect();
    tags.map_err(|error| WithExit { code: exit::BAD_INPUT, message: format!("the ref gives an image's tag that is not legal: {error}") })
        .hint("name the tags with the input `tags`")
}

fn in_order(mut tags: Vec<Tag>) -> Vec<Tag> {
    tags.sort_by_key(Tag::floats);
    tags
}

impl Plan {
    pub fn about(&self) -> &About {
        match self {
            Self::BuildOnly(plan) => &plan.about,
            Self::Publish(plan) => &plan.about,
        }
    }

    pub fn build(&self) -> &Build {
        match self {
            Self::BuildOnly(plan) => &plan.build,
            Self::Publish(plan) => &plan.build,
        }
    }

    /// The plan for machines; the keys are promised to users.
    pub fn json(&self) -> Value {
        let (about, build) = (self.about(), self.build());
        let mut json = json!({
            "decision": match self { Self::BuildOnly(_) => Decision::BuildOnly, Self::Publish(_) => Decision::Publish },
            "reason": about.reason,
            "notices": about.notices,
            "event": { "name": about.event, "ref": about.git_ref },
            "builder": about.builder,
            "logins": about.logins,
            "version": "",
            "platforms": build.platforms,
            "labels": build.flags.values("--label").collect::<Vec<_>>(),
            "annotations": build.flags.values("--annotation").collect::<Vec<_>>(),
            "buildx": self.arguments(),
            "images": [], "tags": [], "tag_names": [], "subjects": [], "permissions": ["contents: read"],
        });
        if let Self::Publish(plan) = self {
            json["images"] = json!(plan.images);
            json["version"] = json!(plan.tags.first());
            json["tag_names"] = json!(plan.tags);
            json["tags"] = json!(plan.names());
            json["subjects"] = plan.subjects();
            json["permissions"] = json!(["contents: read", "packages: write", "id-token: write"]);
        }
        json
    }

    /// What buildx will be told, with `<…>` for what is known only then.
    fn arguments(&self) -> Vec<String> {
        let secrets: Vec<&str> = self.build().flags.secrets.iter().map(|_| "<file>").collect();
        match self {
            Self::BuildOnly(plan) => arguments::build(&plan.build, "<builder>", &Destination::Check, &secrets),
            Self::Publish(plan) => {
                let destination = Destination::ByDigest { repositories: &plan.images, metadata: "<metadata-file>".as_ref(), scanner: None };
                arguments::build(&plan.build, "<builder>", &destination, &secrets)
            }
        }
    }

    /// The plan for people, a line each.
    pub fn lines(&self) -> Vec<String> {
        let (about, build) = (self.about(), self.build());
        let list = |items: &[String]| items.join(", ");
        let platforms: Vec<String> = build.platforms.iter().map(ToString::to_string).collect();
        let event = if about.event.is_empty() { "none".to_owned() } else { format!("{} ({})", about.event, about.git_ref) };
        let mut lines = vec![format!("Event:      {event}"), format!("Platforms:  {}", list(&platforms))];
        match self {
            Self::BuildOnly(_) => {
                lines.insert(0, format!("Plan:       build only: {}", about.reason));
                lines.push("Pushed:     nothing".to_owned());
                lines.push(format!(
                    "Provenance: skipped ({})",
                    if about.event.starts_with("pull_request") { "PR build" } else { "nothing is published" }
                ));
            }
            Self::Publish(plan) => {
                lines.insert(0, format!("Plan:       publish: {}", about.reason));
                let images: Vec<String> = plan.images.iter().map(ToString::to_string).collect();
                let tags: Vec<String> = plan.tags.iter().map(ToString::to_string).collect();
                lines.push(format!("Images:     {}", list(&images)));
                lines.push(format!("Tags:       {}", list(&tags)));
                let attested = match (build.sbom != Sbom::Off, build.provenance().is_some()) {
                    (true, true) => "SBOM and provenance of each platform, ",
                    (true, false) => "SBOM of each platform, ",
                    (false, true) => "provenance of each platform, ",
                    (false, false) => "",
                };
                lines.push("Signed:     the index and the image of each platform".to_owned());
                lines.push(format!("Attested:   {attested}provenance of the workflow"));
            }
        }
        lines
    }
}

impl Publish {
    /// Every full name, in the order in which they are put.
    pub fn names(&self) -> Vec<String> {
        self.tags.iter().flat_map(|tag| self.images.iter().map(move |image| format!("{image}:{tag}"))).collect()
    }

    fn subjects(&self) -> Value {
        let index = json!({ "subject": "index", "predicateTypes": self.requirements.index });
        let platforms =
            self.build.platforms.iter().map(|platform| json!({ "subject": platform, "predicateTypes": self.requirements.platform }));
        std::iter::once(index).chain(platforms).collect()
    }
}
