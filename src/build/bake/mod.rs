//! What `buildx bake --print` says of the bake files → the targets to publish, and the file that is
//! built in their place: no names, our own attestations, and outputs by digest. Pure; it reads no
//! bake file itself.
//!
//! Reference: <https://docs.docker.com/build/bake/reference/>.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::arguments::{Generator, csv_row, for_publishing, pushed_by_digest};
use super::caches;
use super::outputs::{self, is_image, is_kept, kind};
use super::source::RemoteSource;
use super::variables;
use crate::build::recipe::Build;
use crate::build::sbom::Sbom;
use crate::command::Variables;
use crate::environment::Environment;
use crate::error::{Remedy as _, WithExit, exit};
use crate::image::name::ImageName;
use crate::image::spelling::PlatformSpelling;
use crate::image::{Platform, Repository, Tag};
use crate::report::text;

/// The bake files, with every group, matrix, variable and override resolved.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The targets that were asked for, in the order of the groups.
    asked: Vec<String>,
    targets: BTreeMap<String, Map<String, Value>>,
    /// The repository they lie in, unless it is a folder.
    source: Option<String>,
}

/// What is published of one target.
#[derive(Debug, Clone)]
pub struct BakedImage {
    pub target: String,
    pub images: Vec<Repository>,
    /// Those of one version first.
    pub names: Vec<ImageName>,
    pub platforms: Vec<Platform>,
    /// Where it is built from.
    pub context: String,
}

#[derive(Deserialize)]
struct Printed {
    #[serde(default)]
    group: BTreeMap<String, BakeGroup>,
    #[serde(default)]
    target: BTreeMap<String, Map<String, Value>>,
}

#[derive(Deserialize)]
struct BakeGroup {
    #[serde(default)]
    targets: Vec<String>,
}

impl Definition {
    /// Reads what buildx printed.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let printed: Printed = serde_json::from_str(text)
            .context("what `buildx bake --print` wrote cannot be read")?;
        let mut asked = Vec::new();
        // Groups may hold groups; buildx has refused those that hold themselves, and each is opened
        // once here.
        let mut waiting = vec!["default".to_owned()];
        let mut opened: Vec<String> = Vec::new();
        while let Some(name) = waiting.pop() {
            match printed.group.get(&name).filter(|_| !opened.contains(&name)) {
                Some(group) => {
                    waiting.extend(group.targets.iter().rev().cloned());
                    opened.push(name);
                }
                None if printed.target.contains_key(&name) && !asked.contains(&name) => {
                    asked.push(name)
                }
                None => {}
            }
        }
        if asked.is_empty() {
            bail!("the bake files define nothing to build");
        }
        Ok(Self { asked, targets: printed.target, source: None })
    }

    /// Of files that lie in a repository: what is relative to them lies there, too.
    pub fn fetched_from(mut self, remote: &RemoteSource) -> Self {
        self.targets.values_mut().for_each(|target| remote.move_contexts(target));
        Self { source: Some(remote.url.clone()), ..self }
    }

    /// Gives every tag another name, and takes away caches, which lie elsewhere; says of which
    /// targets.
    pub fn move_names(&mut self, rename: &mut dyn FnMut(&str) -> String) -> Vec<String> {
        let mut without_caches = Vec::new();
        for (name, target) in &mut self.targets {
            for tag in target.get_mut("tags").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(text) = tag.as_str() {
                    *tag = rename(text).into();
                }
            }
            let taken = [target.remove("cache-from"), target.remove("cache-to")];
            if taken.iter().any(Option::is_some) {
                without_caches.push(name.clone());
            }
        }
        without_caches
    }

    /// The repository that the files lie in, unless it is a folder.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    pub(super) fn asked(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        self.asked.iter().filter_map(|name| Some((name.as_str(), self.targets.get(name)?)))
    }

    /// The platforms of all targets, each once, and what of them cannot be read.
    pub fn platforms(&self) -> Result<Vec<Platform>, Vec<String>> {
        let (mut platforms, mut wrong): (Vec<Platform>, _) = (Vec::new(), Vec::new());
        for (name, target) in self.asked() {
            match of_target(name, target) {
                Ok(its) => its.into_iter().for_each(|platform| {
                    if !platforms.contains(&platform) {
                        platforms.push(platform);
                    }
                }),
                Err(mut errors) => wrong.append(&mut errors),
            }
        }
        if wrong.is_empty() { Ok(platforms) } else { Err(wrong) }
    }

    /// The targets' names, for people.
    pub fn targets(&self) -> &[String] {
        &self.asked
    }

    /// What is to be published, or everything that stands in its way.
    pub fn goods(&self) -> Result<Vec<BakedImage>, Vec<String>> {
        let (mut goods, mut wrong): (Vec<BakedImage>, Vec<String>) = (Vec::new(), Vec::new());
        for (name, target) in self.asked() {
            wrong.extend(no_image(name, target));
            let names = names(name, target);
            let platforms = of_target(name, target);
            match (names, platforms) {
                (Ok(mut names), Ok(platforms)) => {
                    let mut images: Vec<Repository> = Vec::new();
                    for name in &names {
                        if !images.contains(&name.repository) {
                            images.push(name.repository.clone());
                        }
                    }
                    names.sort_by_key(|name| name.tag.floats());
                    let context =
                        target.get("context").and_then(Value::as_str).unwrap_or(".").to_owned();
                    goods.push(BakedImage {
                        target: name.to_owned(),
                        images,
                        names,
                        platforms,
                        context,
                    });
                }
                (names, platforms) => {
                    wrong.extend([names.err(), platforms.err()].into_iter().flatten().flatten())
                }
            }
        }
        for (at, one) in goods.iter().enumerate() {
            for other in &goods[..at] {
                let shared = one.names.iter().filter(|name| other.names.contains(name));
                wrong.extend(shared.map(|name| {
                    format!(
                        "`{name}` is a tag of both target `{}` and target `{}`",
                        other.target, one.target
                    )
                }));
            }
        }
        if wrong.is_empty() { Ok(goods) } else { Err(wrong) }
    }

    /// The build arguments of each target, those of the targets it is built from among them: a
    /// provenance publishes them.
    pub fn build_args(&self) -> impl Iterator<Item = (&str, Vec<String>)> {
        self.targets.iter().map(|(name, target)| {
            let args = target.get("args").and_then(Value::as_object).into_iter().flatten();
            (
                name.as_str(),
                args.map(|(key, value)| {
                    format!("{}={}", plain(key), plain(value.as_str().unwrap_or_default()))
                })
                .collect(),
            )
        })
    }

    /// Targets that are built from another which is not built for all their platforms: its one
    /// image then goes into each of them.
    pub fn uneven(&self) -> Vec<String> {
        let platforms = |target: &Map<String, Value>| of_target("", target).unwrap_or_default();
        let mut told = Vec::new();
        for (name, target) in &self.targets {
            let contexts = target.get("contexts").and_then(Value::as_object).into_iter().flatten();
            for base in
                contexts.filter_map(|(_, context)| context.as_str()?.strip_prefix("target:"))
            {
                let built = self.targets.get(base).map(platforms).unwrap_or_default();
                let lacking: Vec<String> = platforms(target)
                    .iter()
                    .filter(|wanted| !built.iter().any(|built| wanted.is_met_by(built)))
                    .map(ToString::to_string)
                    .collect();
                if !lacking.is_empty() {
                    told.push(format!(
                        "target `{name}` is built from target `{base}`, whose `platforms` lack {}: what it takes from there may be of another",
                        lacking.join(", ")
                    ));
                }
            }
        }
        told
    }

    /// Attributes of the targets' outputs that change nothing.
    pub fn unheeded(&self) -> Vec<String> {
        let of = |(name, target): (&str, &Map<String, Value>)| {
            let unheeded =
                entries(target, "output").into_iter().flat_map(|output| outputs::unheeded(&output));
            unheeded
                .map(|attribute| {
                    format!("target `{name}`: `{attribute}` of an image is ignored here")
                })
                .collect::<Vec<_>>()
        };
        self.asked().flat_map(of).collect()
    }

    /// Caches and named contexts, where a login may be needed.
    pub fn elsewhere(&self) -> Vec<String> {
        let caches = self
            .targets
            .values()
            .flat_map(|target| ["cache-to", "cache-from"].map(|key| entries(target, key)).concat());
        let contexts = self.targets.values().flat_map(|target| {
            target.get("contexts").and_then(Value::as_object).into_iter().flatten()
        });
        caches
            .chain(contexts.filter_map(|(_, context)| {
                context
                    .as_str()
                    .filter(|context| context.starts_with("docker-image://"))
                    .map(str::to_owned)
            }))
            .collect()
    }

    /// The job's variables that the targets' SSH agents and caches need, or everything that stands
    /// in their way: a secret with the value of a variable that nobody named, a cache that would be
    /// told a token.
    pub fn variables(&self, env: &Environment, named: &Variables) -> anyhow::Result<Vec<String>> {
        let (mut names, mut wrong) = (Vec::new(), Vec::new());
        for (name, target) in &self.targets {
            let secrets = entries(target, "secret")
                .into_iter()
                .filter_map(|secret| variables::of_secret(&secret));
            for variable in
                secrets.filter(|variable| env.contains_key(variable) && !named.has(variable))
            {
                wrong.push(format!(
                    "target `{name}` has a build secret of variable `{variable}`, which this job sets and bake files do not get"
                ));
            }
            match variables::of_target(name, target, env, named) {
                Ok(needed) => names.extend(needed),
                Err(told) => wrong.push(told),
            }
        }
        match wrong.as_slice() {
            [] => Ok(names),
            [..] => Err(WithExit { code: exit::BAD_INPUT, message: format!("bake files: {}", wrong.join("; ")) })
                .hint("name the variables with `build-env` if the bake files and all that they build may have them"),
        }
    }

    /// The passwords of all addresses in them.
    pub fn passwords(&self) -> Vec<String> {
        fn of(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::String(text) => found.extend(text::passwords(text)),
                Value::Array(items) => items.iter().for_each(|item| of(item, found)),
                Value::Object(fields) => fields.values().for_each(|field| of(field, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        self.targets.values().flat_map(Map::values).for_each(|value| of(value, &mut found));
        found
    }

    /// Where caches are written to, as buildx's attributes.
    pub fn caches(&self) -> Vec<String> {
        self.targets.values().flat_map(|target| entries(target, "cache-to")).collect()
    }

    /// The file to build where nothing is published: outputs that stay on this machine are kept.
    pub fn for_checking(&self, env: &Environment) -> Value {
        self.rewritten(env, |_, target| {
            let kept: Vec<String> =
                entries(target, "output").into_iter().filter(|output| is_kept(output)).collect();
            target.remove("attest");
            kept
        })
    }

    /// The file to build where everything is published: pushed by digest, with the evidence of
    /// `build`.
    pub fn for_publishing(
        &self,
        goods: &[BakedImage],
        build: &Build,
        generator: &Generator,
        env: &Environment,
    ) -> Value {
        let mut attests: Vec<String> = build.flags.values("--attest").map(for_publishing).collect();
        if matches!(build.sbom, Sbom::Ours(_)) {
            attests.extend(generator.attest(build));
        }
        self.rewritten(env, |name, target| {
            let given = entries(target, "output");
            let mut kept: Vec<String> = given
                .iter()
                .filter(|output| is_kept(output) && kind(output).as_deref() != Some("docker"))
                .cloned()
                .collect();
            let images = goods
                .iter()
                .find(|goods| goods.target == name)
                .map(|goods| goods.images.as_slice())
                .unwrap_or_default();
            let image = pushed_by_digest(images, &outputs::kept_of_images(&given));
            kept.push(image);
            target.insert("attest".to_owned(), json!(attests));
            kept
        })
    }

    /// The targets without names and with these outputs; those that they are built from put out
    /// nothing, and carry no evidence of their own.
    fn rewritten(
        &self,
        env: &Environment,
        mut outputs: impl FnMut(&str, &mut Map<String, Value>) -> Vec<String>,
    ) -> Value {
        let mut targets = Map::new();
        for (name, target) in &self.targets {
            let mut target = target.clone();
            target.remove("tags");
            target.remove("call");
            let put_out = if self.asked.contains(name) {
                outputs(name, &mut target)
            } else {
                target.remove("attest");
                Vec::new()
            };
            let put_out =
                if put_out.is_empty() { vec!["type=cacheonly".to_owned()] } else { put_out };
            target.insert("output".to_owned(), json!(put_out));
            for key in ["cache-from", "cache-to"] {
                let caches = entries(&target, key);
                if !caches.is_empty() {
                    let caches: Vec<String> = caches
                        .into_iter()
                        .filter_map(|cache| caches::completed(cache, env))
                        .collect();
                    target.insert(key.to_owned(), json!(caches));
                }
            }
            for (_, value) in
                target.iter_mut().filter(|(key, _)| !PRINTED_ESCAPED.contains(&key.as_str()))
            {
                escape(value);
            }
            targets.insert(name.clone(), Value::Object(target));
        }
        json!({ "group": { "default": { "targets": self.asked } }, "target": targets })
    }
}

/// Why a target makes no image for a registry, or one under a name that nobody put there on
/// purpose.
fn no_image(name: &str, target: &Map<String, Value>) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(call) =
        target.get("call").and_then(Value::as_str).filter(|call| !["", "build"].contains(call))
    {
        wrong.push(format!("target `{name}` makes no image: `call` is `{call}`"));
    }
    let given = entries(target, "output");
    if !given.is_empty() && !given.iter().any(|output| is_image(output)) {
        let kinds: Vec<String> = given.iter().map(|output| format!("`{output}`")).collect();
        wrong.push(format!(
            "target `{name}` makes no image for a registry: its output is {}",
            kinds.join(", ")
        ));
    }
    for output in given.iter().filter(|output| is_image(output)) {
        if let Some(named) = outputs::value(output, "name").filter(|named| !named.is_empty()) {
            wrong.push(format!(
                "target `{name}` names its image `{named}` in `output`; tags belong in `tags`"
            ));
        }
        if outputs::switch(output, "push-by-digest") == Some(true) {
            wrong.push(format!(
                "target `{name}` is pushed by digest alone by its `output`, and bake tags what it builds; a leg of several is built by \
                 `publish` with `push-by-digest: true`"
            ));
        }
        if outputs::switch(output, "push") == Some(false) {
            wrong.push(format!(
                "target `{name}` says `push=false` in `output`, and bake publishes it; leave it out of `targets`, or `push: false`"
            ));
        }
    }
    wrong
}

/// The names of a target.
fn names(name: &str, target: &Map<String, Value>) -> Result<Vec<ImageName>, Vec<String>> {
    let tags: Vec<&str> = target
        .get("tags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if tags.is_empty() {
        return Err(vec![format!("target `{name}` has no `tags`")]);
    }
    let (mut names, mut wrong): (Vec<ImageName>, _) = (Vec::new(), Vec::new());
    for tag in tags {
        match reference(tag) {
            Some(name) if names.contains(&name) => {}
            Some(name) => names.push(name),
            None => wrong.push(format!("target `{name}` has `{tag}` among its `tags`, which is not a full reference (`registry/name:tag`)")),
        }
    }
    if wrong.is_empty() { Ok(names) } else { Err(wrong) }
}

/// `registry/name:tag`, as a bake file must write it.
fn reference(text: &str) -> Option<ImageName> {
    let (repository, tag) =
        text.trim().rsplit_once(':').filter(|(repository, _)| repository.contains('/'))?;
    Some(ImageName { repository: repository.parse().ok()?, tag: tag.parse::<Tag>().ok()? })
}

fn of_target(name: &str, target: &Map<String, Value>) -> Result<Vec<Platform>, Vec<String>> {
    let listed = target
        .get("platforms")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let (mut platforms, mut wrong) = (Vec::new(), Vec::new());
    for text in listed {
        match text.parse::<Platform>().map(|platform| (platform.spelling(), platform)) {
            Ok((PlatformSpelling::Slip(meant), _)) => wrong.push(format!(
                "target `{name}`: no platform is called `{text}`; did you mean `{meant}`?"
            )),
            Ok((_, platform)) => platforms.push(platform),
            Err(error) => wrong.push(format!("target `{name}`: {error}")),
        }
    }
    if wrong.is_empty() { Ok(platforms) } else { Err(wrong) }
}

/// A list of attributes, which buildx prints as objects, as rows of CSV.
pub(super) fn entries(target: &Map<String, Value>, key: &str) -> Vec<String> {
    let row = |entry: &Value| match entry {
        Value::Object(fields) => {
            // `type` first, as people write it.
            let (kind, rest): (Vec<_>, Vec<_>) = fields.iter().partition(|(key, _)| *key == "type");
            let fields = kind.into_iter().chain(rest);
            csv_row(
                &fields
                    .map(|(key, value)| {
                        format!(
                            "{key}={}",
                            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
                        )
                    })
                    .collect::<Vec<_>>(),
            )
        }
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    target.get(key).and_then(Value::as_array).into_iter().flatten().map(row).collect()
}

/// buildx reads every text of a file as a template; of those that it prints, these alone are
/// written so that they survive.
const PRINTED_ESCAPED: [&str; 4] = ["annotations", "args", "dockerfile-inline", "labels"];

fn escape(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("${", "$${").replace("%{", "%%{"),
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(fields) => fields.values_mut().for_each(escape),
        _ => {}
    }
}

fn plain(text: &str) -> String {
    text.replace("$${", "${").replace("%%{", "%{")
}

#[cfg(test)]
mod tests;
