//! A run and the inputs of docker/metadata-action → version, tags, labels and annotations. Pure:
//! event, texts and clock in, names out; nothing is asked or read.
//!
//! Reference: <https://github.com/docker/metadata-action>.

mod arguments;
mod expression;
mod javascript;
pub mod line;
mod moment;
mod remarks;
mod rules;
mod version;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use self::expression::Expressions;
use self::line::ReleaseLine;
use self::rules::ImageRule;
use self::version::RuleVersion;
use crate::environment::Environment;
use crate::text::csv::CsvError;

pub use self::arguments::BuildArguments;
pub use self::remarks::{Remark, remarks, remarks_of_item, strange};
pub use self::rules::entries;
pub use self::version::{TagOrigin, sanitised};

/// The inputs as texts, empty when not set; each has the name of its input.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    pub images: String,
    pub tags: String,
    pub flavor: String,
    pub labels: String,
    pub annotations: String,
    /// Build arguments, which may name what labels can name.
    pub build_args: String,
    /// Whole references in place of `images` and `tags`, which then list what these name.
    pub references: Vec<TagReference>,
}

/// A repository, and the one rule that gives its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagReference {
    /// As it was written.
    pub text: String,
    pub image: String,
    pub tag: String,
}

/// What metadata depends on beside the inputs.
#[derive(Debug, Clone)]
pub struct MetadataRun<'a> {
    pub event_name: &'a str,
    pub git_ref: String,
    pub sha: String,
    pub payload: &'a Value,
    /// GitHub's answer about the repository: name, description, URL, licence, default branch.
    pub repository: &'a Value,
    pub commit_date: Timestamp,
    pub now: Timestamp,
    pub env: &'a Environment,
}

/// What an image is called and says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageMetadata {
    /// The first name: what the image is a version of.
    pub version: Option<String>,
    /// Every tag, in order, without repositories.
    pub tag_names: Vec<String>,
    /// What each of them stands for.
    pub made: Vec<TagOrigin>,
    /// The repositories that are enabled.
    pub images: Vec<String>,
    /// The tags of each repository, where they are not the same.
    pub own: Vec<(String, Vec<String>)>,
    /// Sorted by key.
    pub labels: Vec<(String, String)>,
    /// `level:key=value`, level by level.
    pub annotations: Vec<String>,
    pub build_args: BuildArguments,
    pub warnings: Vec<String>,
}

/// An input that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MetadataError {
    #[error("input `{input}`: {error}")]
    List { input: &'static str, error: CsvError },
    #[error("input `{input}`: {error}, in `{entry}`; quote the whole field: `\"value=a,b\"`")]
    Entry { input: &'static str, entry: String, error: CsvError },
    #[error("input `images`: `enable` takes `true` or `false`, in `{0}`")]
    ImageEnable(String),
    #[error(
        "input `images`: there is no attribute `{key}`, in `{entry}`; it takes `name` and `enable`"
    )]
    ImageAttribute { entry: String, key: String },
    #[error("input `images`: the name is empty, in `{0}`")]
    ImageName(String),
    #[error(
        "input `tags`: there is no type `{name}`, in `{entry}`; the types are schedule, semver, pep440, match, edge, ref, raw and sha"
    )]
    Type { name: String, entry: String },
    #[error("input `tags`: attribute `{attribute}` is missing, in `{entry}`")]
    Missing { attribute: &'static str, entry: String },
    #[error("input `tags`: event `{event}` is none of `branch`, `tag`, `pr`, in `{entry}`")]
    RefEvent { event: String, entry: String },
    #[error("input `tags`: format `{format}` is neither `short` nor `long`, in `{entry}`")]
    ShaFormat { format: String, entry: String },
    #[error("input `tags`: group `{group}` is not a number, in `{entry}`")]
    Group { group: String, entry: String },
    #[error("input `tags`: `enable` gave `{0}`, which is neither `true` nor `false`")]
    Enable(String),
    #[error("input `tags`: `{pattern}` is not a regular expression: {why}")]
    Pattern { pattern: String, why: String },
    #[error("input `tags`: `match={0}` has no group for the version; put it into parentheses")]
    NoGroup(String),
    #[error("input `flavor`: `{0}` is not `key=value`")]
    FlavorEntry(String),
    #[error("input `flavor`: `latest` is `auto`, `true` or `false`, in `{0}`")]
    FlavorLatest(String),
    #[error("input `flavor`: `onlatest` is `true` or `false`, not `{0}`")]
    FlavorOnLatest(String),
    #[error("input `flavor`: `{0}` is none of `latest`, `prefix`, `suffix`, `onlatest`")]
    FlavorAttribute(String),
    #[error("the expression in `{template}` cannot be filled in: {why}")]
    Template { template: String, why: String },
    #[error("variable `DOCKER_METADATA_SHORT_SHA_LENGTH`: `{0}` is not a number")]
    ShaLength(String),
    #[error("labels cannot be sorted: {0}")]
    Order(String),
}

/// The names that `images` lists, enabled or not.
pub fn image_names(text: &str) -> Result<Vec<String>, MetadataError> {
    Ok(rules::images(text)?.into_iter().map(|image| image.name.to_lowercase()).collect())
}

/// The same list with other names.
pub fn renamed_images(
    text: &str,
    rename: &mut dyn FnMut(&str) -> String,
) -> Result<String, MetadataError> {
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    let renamed = rules::images(text)?
        .into_iter()
        .map(|image| format!("name={},enable={}", rename(&image.name), image.enable));
    Ok(renamed.collect::<Vec<_>>().join("\n"))
}

/// Makes the metadata of one run.
pub fn metadata(texts: &Texts, run: &MetadataRun<'_>) -> Result<ImageMetadata, MetadataError> {
    let run = &run.as_docker_sees_it();
    let images = rules::images(&texts.images)?;
    let rules = rules::rules(&texts.tags)?;
    let flavor = rules::flavor(&texts.flavor)?;
    let expressions = Expressions::new(run.globals()?, run.now, run.commit_date);
    let RuleVersion { main, partial, mut made, first, latest, mut warnings } =
        version::version(&rules, &flavor, run, &expressions)?;
    if main.is_none() {
        warnings.push("No Docker image version has been generated. Check tags input.".to_owned());
        warnings.push("No Docker tag has been generated. Check tags input.".to_owned());
    }
    let tag_names = tag_names(&main, partial, latest, &flavor);
    if tag_names.len() > made.len() {
        made.push(TagOrigin { entry: None, line: ReleaseLine::Latest(first) });
    }
    let own_names = own_names(&texts.references, &flavor, run, &expressions)?;
    // What the rules are written with, and what they gave.
    let mut globals = run.globals()?;
    globals["version"] = main.as_deref().unwrap_or_default().into();
    let build_args = arguments::fill(&texts.build_args, &globals, &expressions)?;
    let described = Expressions::new(globals, run.now, run.commit_date);
    let standard = run.standard_labels(main.as_deref());
    let own = |input, text: &str| -> Result<Vec<(String, String)>, MetadataError> {
        let lines: Vec<String> = entries(input, text)?
            .iter()
            .map(|line| described.global(line))
            .collect::<Result<_, _>>()?;
        sorted(standard.iter().cloned().chain(lines))
    };
    let labels = own("labels", &texts.labels)?;
    let lines: Vec<String> = own("annotations", &texts.annotations)?
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let levels = run.variable("DOCKER_METADATA_ANNOTATIONS_LEVELS").unwrap_or("manifest");
    let annotations = levels
        .split(',')
        .flat_map(|level| lines.iter().map(move |line| format!("{level}:{line}")))
        .collect();
    for warning in expressions.take_warnings().into_iter().chain(described.take_warnings()) {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    let images = images
        .into_iter()
        .filter(|image| image.enable)
        .map(|ImageRule { name, .. }| name.to_lowercase())
        .collect();
    Ok(ImageMetadata {
        version: main,
        tag_names,
        made,
        images,
        own: own_names,
        labels,
        annotations,
        build_args,
        warnings,
    })
}

/// Every name that the rules gave, and `latest` where it is one.
fn tag_names(
    main: &Option<String>,
    partial: Vec<String>,
    latest: Option<bool>,
    flavor: &rules::Flavor,
) -> Vec<String> {
    let mut names: Vec<String> = main.iter().cloned().chain(partial).collect();
    if latest == Some(true) {
        let affix = |on, affix: &str| if on { affix.to_owned() } else { String::new() };
        let latest = format!(
            "{}latest{}",
            affix(flavor.prefix_latest, &flavor.prefix),
            affix(flavor.suffix_latest, &flavor.suffix)
        );
        let latest = sanitised(&latest);
        if !names.contains(&latest) {
            names.push(latest);
        }
    }
    names
}

/// The tags of each repository; nothing where every repository has every tag.
fn own_names(
    references: &[TagReference],
    flavor: &rules::Flavor,
    run: &MetadataRun<'_>,
    expressions: &Expressions,
) -> Result<Vec<(String, Vec<String>)>, MetadataError> {
    let mut tags: Vec<(&str, Vec<&str>)> = Vec::new();
    for TagReference { image, tag, .. } in references {
        match tags.iter_mut().find(|(known, _)| known == image) {
            Some((_, its)) if its.contains(&tag.as_str()) => {}
            Some((_, its)) => its.push(tag),
            None => tags.push((image, vec![tag])),
        }
    }
    let same = |its: &[&str]| {
        tags.iter()
            .all(|(_, other)| other.len() == its.len() && other.iter().all(|tag| its.contains(tag)))
    };
    if tags.first().is_none_or(|(_, its)| same(its)) {
        return Ok(Vec::new());
    }
    let of = |(image, its): &(&str, Vec<&str>)| {
        let RuleVersion { main, partial, latest, .. } =
            version::version(&rules::rules(&its.join("\n"))?, flavor, run, expressions)?;
        Ok(((*image).to_owned(), tag_names(&main, partial, latest, flavor)))
    };
    tags.iter().map(of).collect()
}

/// The pairs of `key=value` lines, the last of a key, in the order of a dictionary. Lines without
/// `=` say nothing.
fn sorted(lines: impl Iterator<Item = String>) -> Result<Vec<(String, String)>, MetadataError> {
    let order = javascript::order().map_err(MetadataError::Order)?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    for line in lines {
        let Some((key, value)) = line.split_once('=') else { continue };
        match pairs.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value.to_owned(),
            None => pairs.push((key.to_owned(), value.to_owned())),
        }
    }
    pairs.sort_by(|(one, _), (other, _)| order.compare(one, other));
    Ok(pairs)
}

impl MetadataRun<'_> {
    /// With the merge ref of a pull request whose workflow runs on its base, and with its head
    /// commit where that is asked for.
    fn as_docker_sees_it(&self) -> Self {
        let mut run = self.clone();
        if run.event_name.contains("pull_request_target") {
            let number = &run.payload["number"];
            run.git_ref = format!("refs/pull/{number}/merge");
        }
        let head = run.payload["pull_request"]["head"]["sha"].as_str();
        let wanted = run
            .variable("DOCKER_METADATA_PR_HEAD_SHA")
            .is_some_and(|value| value.to_lowercase().contains("true"));
        if let Some(head) = head.filter(|_| wanted && run.event_name.contains("pull_request")) {
            run.sha = head.to_owned();
        }
        run
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn branch(&self) -> Option<&str> {
        self.git_ref.strip_prefix("refs/heads/")
    }

    fn tag(&self) -> Option<&str> {
        self.git_ref.strip_prefix("refs/tags/")
    }

    /// As GitHub says it, which the event need not.
    fn default_branch(&self) -> &str {
        self.repository["default_branch"].as_str().unwrap_or_default()
    }

    fn short_sha(&self) -> Result<String, MetadataError> {
        let length = match self.variable("DOCKER_METADATA_SHORT_SHA_LENGTH") {
            None => 7.0,
            Some(text) => Some(javascript::number(text))
                .filter(|length| !length.is_nan())
                .ok_or_else(|| MetadataError::ShaLength(text.to_owned()))?,
        };
        Ok(self
            .sha
            .chars()
            .enumerate()
            .take_while(|(at, _)| u32::try_from(*at).is_ok_and(|at| f64::from(at) + 1.0 <= length))
            .map(|(_, letter)| letter)
            .collect())
    }

    /// What every template may name.
    fn globals(&self) -> Result<Value, MetadataError> {
        let base_ref = match (self.tag(), self.git_ref.starts_with("refs/pull/")) {
            (Some(_), _) => self.payload["base_ref"]
                .as_str()
                .map(|base| base.strip_prefix("refs/heads/").unwrap_or(base)),
            (None, true) => self.payload["pull_request"]["base"]["ref"].as_str(),
            (None, false) => None,
        };
        let on_default = self.is_default_branch();
        Ok(json!({
            "branch": self.branch().unwrap_or_default(),
            "tag": self.tag().unwrap_or_default(),
            "sha": self.short_sha()?,
            "base_ref": base_ref.unwrap_or_default(),
            "is_default_branch": on_default.to_string(),
            "is_not_default_branch": (!on_default).to_string(),
        }))
    }

    /// As the event says it. Some events always run on the default branch.
    fn is_default_branch(&self) -> bool {
        let branch = self.branch().unwrap_or(&self.git_ref);
        let of_default = ["create", "discussion", "issues", "schedule"]
            .iter()
            .any(|event| self.event_name.contains(event));
        // A rehearsal has no event, and knows it all the same. An event that names no repository
        // names no default branch either, as docker/metadata-action reads it.
        let has_event = self.payload.as_object().is_some_and(|event| !event.is_empty());
        let is_default = if has_event {
            self.payload["repository"]["default_branch"] == branch
        } else {
            self.default_branch() == branch
        };
        !branch.is_empty() && (is_default || of_default)
    }

    /// <https://specs.opencontainers.org/image-spec/annotations/#pre-defined-annotation-keys>.
    fn standard_labels(&self, version: Option<&str>) -> [String; 8] {
        let of_repository = |name: &str| self.repository[name].as_str().unwrap_or_default();
        [
            ("title", of_repository("name")),
            ("description", of_repository("description")),
            ("url", of_repository("html_url")),
            ("source", of_repository("html_url")),
            ("version", version.unwrap_or_default()),
            ("created", &iso(self.now)),
            ("revision", &self.sha),
            ("licenses", self.repository["license"]["spdx_id"].as_str().unwrap_or_default()),
        ]
        .map(|(name, value)| format!("org.opencontainers.image.{name}={value}"))
    }
}

/// As `Date.prototype.toISOString`.
fn iso(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

impl ImageMetadata {
    /// Every full name: repository by repository, or the tags alone where none is enabled.
    pub fn tags(&self) -> Vec<String> {
        if self.images.is_empty() {
            return self.tag_names.clone();
        }
        if !self.own.is_empty() {
            return self
                .own
                .iter()
                .flat_map(|(image, tags)| tags.iter().map(move |tag| format!("{image}:{tag}")))
                .collect();
        }
        self.images
            .iter()
            .flat_map(|image| self.tag_names.iter().map(move |tag| format!("{image}:{tag}")))
            .collect()
    }

    /// Whether a repository gets a tag.
    pub fn names(&self, image: &str, tag: &str) -> bool {
        self.own.is_empty()
            || self
                .own
                .iter()
                .any(|(known, tags)| known == image && tags.iter().any(|known| known == tag))
    }

    /// `key=value` lines.
    pub fn label_lines(&self) -> Vec<String> {
        self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    /// The output `json`.
    pub fn json(&self) -> Value {
        json!({ "tags": self.tags(), "tag-names": self.tag_names, "labels": self.label_map(), "annotations": self.annotations })
    }

    /// A label's value ends with its line there.
    fn label_map(&self) -> Map<String, Value> {
        let first_line = |value: &str| {
            value.split(['\n', '\r', '\u{2028}', '\u{2029}']).next().unwrap_or_default().to_owned()
        };
        self.labels
            .iter()
            .map(|(key, value)| (key.clone(), Value::String(first_line(value))))
            .collect()
    }

    /// The files for `docker buildx bake`, by the names of their outputs. Reference:
    /// <https://docs.docker.com/build/bake/>.
    pub fn bake_files(&self, target: &str) -> [(&'static str, Value); 4] {
        let args = match &self.version {
            Some(version) => {
                json!({ "DOCKER_META_IMAGES": self.images.join(","), "DOCKER_META_VERSION": version })
            }
            None => json!({ "DOCKER_META_IMAGES": self.images.join(",") }),
        };
        let file = |content: Value| json!({ "target": { target: content } });
        [
            ("bake-file-tags", file(json!({ "tags": self.tags(), "args": args }))),
            ("bake-file-labels", file(json!({ "labels": self.label_map() }))),
            ("bake-file-annotations", file(json!({ "annotations": self.annotations }))),
            (
                "bake-file",
                file(json!({ "tags": self.tags(), "labels": self.label_map(), "args": args })),
            ),
        ]
    }
}

#[cfg(test)]
mod conformance;
