//! Inputs, run and facts → `Plan`: every decision before anything is done. Pure; stages contain no "if push".

use serde_json::{Value, json};

use crate::error::{Remedy as _, WithExit, exit};
use crate::github::Context;
use crate::github::facts::Facts;
use crate::image::{ImageError, Platform, Repository, Tag};
use crate::inputs::{Inputs, OnTagConflict, Provenance};
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
}

#[derive(Debug)]
pub struct BuildOnly {
    pub about: About,
    pub build: Build,
}

/// What is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub context: String,
    pub file: Option<String>,
    pub target: Option<String>,
    pub platforms: Vec<Platform>,
    pub build_args: Vec<String>,
    pub labels: Vec<String>,
    pub annotations: Vec<String>,
    pub provenance: Provenance,
    pub sbom: bool,
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
pub fn plan(inputs: &Inputs, context: &Context, facts: &Facts) -> anyhow::Result<Plan> {
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
    let about = About {
        event: context.event_name.clone(),
        git_ref: context.git_ref.clone(),
        reason: answer.reason,
        notices: inputs.notices.iter().cloned().chain(answer.notices.into_iter().filter(|_| of_tags)).collect(),
    };
    let build = Build {
        context: inputs.context.clone(),
        file: inputs.file.clone(),
        target: inputs.target.clone(),
        platforms: inputs.platforms.clone(),
        build_args: build_args(inputs, context),
        labels: inputs.labels.clone(),
        annotations: inputs.annotations.clone(),
        provenance: inputs.provenance,
        sbom: inputs.sbom,
    };
    if answer.decision == Decision::BuildOnly {
        // There is no image in a registry that evidence could be attached to.
        return Ok(Plan::BuildOnly(BuildOnly { about, build: Build { provenance: Provenance::Off, sbom: false, ..build } }));
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
        requirements: Requirements::new(&build.platforms, inputs.sbom, inputs.provenance != Provenance::Off),
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

/// The user's build arguments, and where the source is from when that is asked for; the user's own values win.
fn build_args(inputs: &Inputs, context: &Context) -> Vec<String> {
    let mut arguments = inputs.build_args.clone();
    if inputs.source_args {
        let repository = context.repository.as_ref().map(|repository| format!("{}/{repository}", context.server_url)).unwrap_or_default();
        for (name, value) in
            [("SOURCE_REPOSITORY", &repository), ("SOURCE_COMMIT", &context.sha), ("BUILD_WORKFLOW", &context.workflow_ref)]
        {
            let given = arguments.iter().any(|argument| argument.split('=').next() == Some(name));
            if !given && !value.is_empty() {
                arguments.push(format!("{name}={value}"));
            }
        }
    }
    arguments
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
            "platforms": build.platforms,
            "labels": build.labels,
            "annotations": build.annotations,
            "images": [], "tags": [], "tag_names": [], "subjects": [], "permissions": ["contents: read"],
        });
        if let Self::Publish(plan) = self {
            json["images"] = json!(plan.images);
            json["tag_names"] = json!(plan.tags);
            json["tags"] = json!(plan.names());
            json["subjects"] = plan.subjects();
            json["permissions"] = json!(["contents: read", "packages: write", "id-token: write"]);
        }
        json
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
                let attested = match (build.sbom, build.provenance != Provenance::Off) {
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
