//! Plans → what people and machines read of it. Pure; it decides nothing.

use serde_json::{Value, json};

use super::{DigestPush, PlanReasons, PlannedRelease, Publish, PublishPlan, PublishTarget, tools};
use crate::build::arguments::{self, Destination, Generator};
use crate::build::recipe::Build;
use crate::evidence::{CYCLONEDX, EvidenceKind, EvidencePart, SLSA_1, SPDX};
use crate::github::server::is_loopback;
use crate::image::Repository;
use crate::preflight;
use crate::provenance::Slsa;
use crate::report::shell::quoted;
use crate::report::text;
use crate::trigger::TriggerDecision;
use crate::verify::policy::PolicyRule;

/// A plan for people, a line each; of a list, each entry has its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What opens a log: no more than `SHORT` lines.
    pub short: Vec<String>,
    pub rest: Vec<String>,
}

/// So many lines of a plan are always shown.
pub const SHORT: usize = 6;

impl Words {
    pub fn all(&self) -> Vec<String> {
        self.short.iter().chain(&self.rest).cloned().collect()
    }
}

impl PublishPlan {
    /// The plan for machines; the keys are promised to users.
    pub fn json(&self) -> Value {
        let mut json = self.about().json(match self {
            Self::BuildOnly(_) => TriggerDecision::BuildOnly,
            Self::Push(_) => TriggerDecision::PushByDigest,
            Self::Publish(_) => TriggerDecision::Publish,
        });
        json["platforms"] = json!(self.build().platforms);
        json["buildx"] = json!(self.arguments());
        json["permissions"] = json!(self.permissions());
        if let Self::Publish(plan) = self {
            plan.release.add_to(&mut json);
        }
        hide_passwords(&mut json);
        json
    }

    /// What buildx will be told, with `<…>` for what is known only then.
    fn arguments(&self) -> Vec<String> {
        let secrets: Vec<&str> = self.build().flags.secrets.iter().map(|_| "<file>").collect();
        match self {
            Self::BuildOnly(plan) => {
                arguments::build(&plan.build, "<builder>", &Destination::Check, &secrets)
            }
            Self::Push(DigestPush { images, build, .. }) => pushed(build, images, &secrets),
            Self::Publish(Publish { release, build }) => pushed(build, &release.images(), &secrets),
        }
    }

    /// The plan for people.
    pub fn words(&self) -> Words {
        let (about, build) = (self.about(), self.build());
        let what = match self {
            Self::BuildOnly(_) => "build only",
            Self::Push(_) => "push by digest",
            Self::Publish(_) => "publish",
        };
        let (mut short, mut rest) = (about.lines(what), Vec::new());
        let platforms = format!("Platforms:  {}", joined(&build.platforms));
        match self {
            Self::BuildOnly(_) => {
                let why = if about.event.starts_with("pull_request") {
                    "PR build"
                } else {
                    "nothing is published"
                };
                short.extend([
                    platforms,
                    "Pushed:     nothing".to_owned(),
                    format!("Provenance: skipped ({why})"),
                    format!("Scanned:    nothing ({why}); `supply-action scan` scans a checkout or an archive"),
                ]);
            }
            Self::Push(plan) => {
                let signed = "Signed:     nothing yet; `merge` signs, attests and tags".to_owned();
                short.extend([format!("Images:     {}", joined(&plan.images)), platforms, signed]);
            }
            Self::Publish(plan) => {
                short.extend(plan.release.names_lines());
                short.push(platforms);
                rest.extend(plan.release.lines());
            }
        }
        short.push(format!("Needs:      {}", joined(&self.permissions())));
        listed(&mut rest, "Labels:", &about.metadata.label_lines());
        listed(&mut rest, "Annotated:", &about.metadata.annotations);
        let filled: Vec<String> =
            about.metadata.build_args.filled.iter().map(|word| without_secret(word)).collect();
        listed(&mut rest, "Arguments:", &filled);
        rest.extend(words(&about.builder).map(|builder| format!("Builder:    {builder}")));
        listed(&mut rest, "Logins:", &about.login_lines());
        let words: Vec<String> =
            self.arguments().iter().map(|word| quoted(&without_secret(word))).collect();
        rest.push(format!("buildx:     {}", words.join(" ")));
        Words { short, rest }
    }

    /// What the workflow must grant.
    fn permissions(&self) -> Vec<&'static str> {
        match self {
            Self::BuildOnly(_) => vec!["contents: read"],
            Self::Push(plan) => {
                let mut permissions = vec!["contents: read"];
                permissions.extend(plan.about.packages(&plan.images));
                permissions
            }
            Self::Publish(plan) => plan.release.permissions(),
        }
    }
}

fn pushed(build: &Build, images: &[Repository], secrets: &[&str]) -> Vec<String> {
    let destination = Destination::ByDigest {
        repositories: images,
        metadata: "<metadata-file>".as_ref(),
        generator: &Generator::BuildKits,
    };
    arguments::build(build, "<builder>", &destination, secrets)
}

impl PlanReasons {
    /// What the job needs to push there with its own token: elsewhere a login is given. A registry
    /// on this machine plays the real one in a rehearsal, whose plan says what the release needs.
    fn packages(&self, images: &[Repository]) -> Option<&'static str> {
        let is_own = |image: &Repository| {
            Some(image.registry()) == self.own_registry.as_deref() || is_loopback(image.registry())
        };
        images.iter().any(is_own).then_some("packages: write")
    }

    /// What all plans say for machines; the keys are promised to users.
    fn json(&self, decision: TriggerDecision) -> Value {
        json!({
            "decision": decision,
            "reason": self.reason,
            "notices": self.notices,
            "event": { "name": self.event, "ref": self.git_ref },
            "builder": self.builder,
            "logins": self.logins,
            "version": self.metadata.version.as_deref().unwrap_or_default(),
            "images": self.metadata.images,
            "tags": self.metadata.tags(),
            "tag_names": self.metadata.tag_names,
            "labels": self.metadata.label_lines(),
            "annotations": self.metadata.annotations,
            "subjects": [], "forward": [], "permissions": ["contents: read"],
        })
    }

    /// The plan of a run that publishes nothing, for machines.
    pub(super) fn json_of_nothing(&self) -> Value {
        let mut json = self.json(TriggerDecision::BuildOnly);
        hide_passwords(&mut json);
        json
    }

    pub(super) fn lines(&self, what: &str) -> Vec<String> {
        let event = if self.event.is_empty() {
            "none".to_owned()
        } else {
            format!("{} ({})", self.event, self.git_ref)
        };
        vec![format!("Plan:       {what}: {}", self.reason), format!("Event:      {event}")]
    }

    pub(super) fn login_lines(&self) -> Vec<String> {
        let logins = self.logins.as_array().into_iter().flatten();
        logins
            .map(|login| format!("{} ({})", plain(&login["registry"]), plain(&login["method"])))
            .collect()
    }
}

impl PlannedRelease {
    /// The plan of an image that others built, for machines.
    pub(super) fn json(&self) -> Value {
        let mut json = self.about.json(TriggerDecision::Publish);
        json["permissions"] = json!(self.permissions());
        self.add_to(&mut json);
        hide_passwords(&mut json);
        json
    }

    fn add_to(&self, json: &mut Value) {
        json["forward"] = self.targets.iter().flat_map(PublishTarget::forward).collect();
        json["scan"] = self.scan.json();
        json["search"] = self.search.json();
        json["sarif"] = tools::json(self.tools.as_ref());
        json["trust"] = self.trust_json();
        json["subjects"] = self.targets.iter().flat_map(PublishTarget::subjects).collect();
    }

    /// Images and their tags, for people.
    pub(super) fn names_lines(&self) -> Vec<String> {
        let of = |target: &PublishTarget| {
            [
                format!("Images:     {}", joined(&target.images)),
                format!("Tags:       {}", joined(&target.tags())),
            ]
        };
        self.targets.iter().flat_map(of).collect()
    }

    /// How names move, and the evidence.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for forward in
            self.targets.iter().map(PublishTarget::forward).filter(|forward| !forward.is_empty())
        {
            lines.push(format!(
                "Forward:    {} (never to an older version or commit)",
                joined(&forward)
            ));
        }
        lines.extend(
            self.about.metadata.version.iter().map(|version| format!("Version:    {version}")),
        );
        lines.extend(self.evidence_lines());
        lines.extend(self.trust_lines());
        lines
    }

    /// What the workflow must grant.
    pub(super) fn permissions(&self) -> Vec<&'static str> {
        let mut permissions = vec!["contents: read"];
        permissions.extend(self.about.packages(&self.images()));
        permissions
            .extend((self.key.is_none() || self.logs_in_by_oidc).then_some("id-token: write"));
        permissions.extend(self.stores_at_github.then_some("attestations: write"));
        permissions
    }

    /// What is signed and attested; of several images it is the same.
    pub(super) fn evidence_lines(&self) -> Vec<String> {
        let with = self.key.as_ref().map(|key| format!(", with a key ({key})")).unwrap_or_default();
        let lines = self.targets.first().map(|target| target.evidence_lines(&with));
        let scanned = format!("Scanned:    {}", self.scan.words());
        let searched = format!("Searched:   {}", self.search.words());
        let tools = self.tools.iter().map(|terms| format!("SARIF:      {}", tools::words(terms)));
        lines.unwrap_or_default().into_iter().chain([scanned, searched]).chain(tools).collect()
    }
}

impl PublishTarget {
    /// The tags, each once, where the image has the same in each of its repositories; otherwise
    /// whole names.
    fn tags(&self) -> Vec<String> {
        let mut tags: Vec<String> = self.names.iter().map(|name| name.tag.to_string()).collect();
        let mut seen = std::collections::HashSet::new();
        tags.retain(|tag| seen.insert(tag.clone()));
        if tags.len() * self.images.len() == self.names.len() {
            tags
        } else {
            self.names.iter().map(ToString::to_string).collect()
        }
    }

    /// The tags that move forward only, in their order.
    fn forward(&self) -> Vec<String> {
        let forward = self.lines.forward();
        let mut tags: Vec<String> = Vec::new();
        for tag in self.names.iter().map(|name| name.tag.as_str()) {
            if forward.contains(&tag) && !tags.iter().any(|known| known == tag) {
                tags.push(tag.to_owned());
            }
        }
        tags
    }

    fn evidence_lines(&self, with: &str) -> Vec<String> {
        let has_sboms = self.attests(SPDX) || self.attests(CYCLONEDX);
        let attested = match (has_sboms, self.attests(SLSA_1)) {
            (true, true) => "SBOM and provenance of each platform, ",
            (true, false) => "SBOM of each platform, ",
            (false, true) => "provenance of each platform, ",
            (false, false) => "",
        };
        // The image of one platform alone is its own index.
        let has_index = self.requirements.platforms.len() != 1 || self.made_in_build;
        let of_index = if has_sboms && has_index { "SBOM of the index, " } else { "" };
        let versions = match self.requirements.provenance_versions().contains(&Slsa::V02) {
            true => "; provenances in SLSA 1 and 0.2",
            false => "",
        };
        let scan = match self.requirements.platform.iter().any(is_scan) {
            true => ", result of the scan of each",
            false => "",
        };
        let signs = |part| self.requirements.signs(part);
        let signed: Vec<&str> = [
            (signs(EvidencePart::Index), "the index"),
            (signs(EvidencePart::Platform), "the image of each platform"),
            (self.attestation_manifests(), "BuildKit's attestations of each"),
        ]
        .into_iter()
        .filter(|(is_signed, _)| *is_signed)
        .map(|(_, part)| part)
        .collect();
        vec![
            format!("Signed:     {}{with}", signed.join(", ")),
            format!("Attested:   {attested}{of_index}provenance of the workflow{versions}{scan}"),
        ]
    }
}

fn is_scan(rule: &PolicyRule) -> bool {
    rule.need.kind() == Some(EvidenceKind::Vulnerabilities)
}

/// Addresses without their passwords: what a machine reads is kept, too.
fn hide_passwords(value: &mut Value) {
    match value {
        Value::String(text) => *text = text::without_passwords(text),
        Value::Array(items) => items.iter_mut().for_each(hide_passwords),
        Value::Object(fields) => fields.values_mut().for_each(hide_passwords),
        _ => {}
    }
}

/// An object as `name value, name value`.
pub(super) fn words(value: &Value) -> Option<String> {
    Some(
        value
            .as_object()?
            .iter()
            .map(|(name, value)| format!("{name} {}", plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
    )
}

/// A build argument that looks like a secret, without its value: this text is in every run's log.
fn without_secret(word: &str) -> String {
    match word.split_once('=') {
        Some((name, value)) if preflight::looks_secret(name, value) => format!("{name}=<hidden>"),
        _ => word.to_owned(),
    }
}

/// The entries of a list under its name, one a line; an empty list is left out.
pub(super) fn listed(lines: &mut Vec<String>, name: &str, entries: &[String]) {
    for (at, entry) in entries.iter().enumerate() {
        lines.push(format!("{:<12}{entry}", if at == 0 { name } else { "" }));
    }
}

pub(super) fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
