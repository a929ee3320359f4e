//! What `buildx bake --print` says of the bake files → the targets to publish, and the file that is built in their place: no names, our own
//! attestations, and outputs by digest. Pure; it reads no bake file itself.
//!
//! Reference: <https://docs.docker.com/build/bake/reference/>.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::arguments::{Generator, csv_row, for_publishing, pushed_by_digest};
use super::caches;
use super::outputs::{self, is_image, is_kept, kind};
use super::source::Remote;
use super::variables;
use crate::command::Variables;
use crate::error::{Remedy as _, WithExit, exit};
use crate::github::Environment;
use crate::image::spelling::Spelling;
use crate::image::{Platform, Repository, Tag};
use crate::plan::Build;
use crate::plan::sbom::Sbom;
use crate::publish::Name;
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
pub struct Goods {
    pub target: String,
    pub images: Vec<Repository>,
    /// Those of one version first.
    pub names: Vec<Name>,
    pub platforms: Vec<Platform>,
    /// Where it is built from.
    pub context: String,
}

#[derive(Deserialize)]
struct Printed {
    #[serde(default)]
    group: BTreeMap<String, Group>,
    #[serde(default)]
    target: BTreeMap<String, Map<String, Value>>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    targets: Vec<String>,
}

impl Definition {
    /// Reads what buildx printed.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let printed: Printed = serde_json::from_str(text).context("what `buildx bake --print` wrote cannot be read")?;
        let mut asked = Vec::new();
        // Groups may hold groups; buildx has refused those that hold themselves, and each is opened once here.
        let mut waiting = vec!["default".to_owned()];
        let mut opened: Vec<String> = Vec::new();
        while let Some(name) = waiting.pop() {
            match printed.group.get(&name).filter(|_| !opened.contains(&name)) {
                Some(group) => {
                    waiting.extend(group.targets.iter().rev().cloned());
                    opened.push(name);
                }
                None if printed.target.contains_key(&name) && !asked.contains(&name) => asked.push(name),
                None => {}
            }
        }
        if asked.is_empty() {
            bail!("the bake files define nothing to build");
        }
        Ok(Self { asked, targets: printed.target, source: None })
    }

    /// Of files that lie in a repository: what is relative to them lies there, too.
    pub fn fetched_from(mut self, remote: &Remote) -> Self {
        self.targets.values_mut().for_each(|target| remote.move_contexts(target));
        Self { source: Some(remote.url.clone()), ..self }
    }

    /// Gives every tag another name, and takes away caches, which lie elsewhere; says of which targets.
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
    pub fn goods(&self) -> Result<Vec<Goods>, Vec<String>> {
        let (mut goods, mut wrong): (Vec<Goods>, Vec<String>) = (Vec::new(), Vec::new());
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
                    let context = target.get("context").and_then(Value::as_str).unwrap_or(".").to_owned();
                    goods.push(Goods { target: name.to_owned(), images, names, platforms, context });
                }
                (names, platforms) => wrong.extend([names.err(), platforms.err()].into_iter().flatten().flatten()),
            }
        }
        for (at, one) in goods.iter().enumerate() {
            for other in &goods[..at] {
                let shared = one.names.iter().filter(|name| other.names.contains(name));
                wrong
                    .extend(shared.map(|name| format!("`{name}` is a name of both target `{}` and target `{}`", other.target, one.target)));
            }
        }
        if wrong.is_empty() { Ok(goods) } else { Err(wrong) }
    }

    /// The build arguments of each target, those of the targets it is built from among them: a provenance publishes them.
    pub fn build_args(&self) -> impl Iterator<Item = (&str, Vec<String>)> {
        self.targets.iter().map(|(name, target)| {
            let args = target.get("args").and_then(Value::as_object).into_iter().flatten();
            (name.as_str(), args.map(|(key, value)| format!("{}={}", plain(key), plain(value.as_str().unwrap_or_default()))).collect())
        })
    }

    /// Targets that are built from another which is not built for all their platforms: its one image then goes into each of them.
    pub fn uneven(&self) -> Vec<String> {
        let platforms = |target: &Map<String, Value>| of_target("", target).unwrap_or_default();
        let mut told = Vec::new();
        for (name, target) in &self.targets {
            let contexts = target.get("contexts").and_then(Value::as_object).into_iter().flatten();
            for base in contexts.filter_map(|(_, context)| context.as_str()?.strip_prefix("target:")) {
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
            let unheeded = entries(target, "output").into_iter().flat_map(|output| outputs::unheeded(&output));
            unheeded.map(|attribute| format!("target `{name}`: `{attribute}` of an image is ignored here")).collect::<Vec<_>>()
        };
        self.asked().flat_map(of).collect()
    }

    /// Caches and named contexts, where a login may be needed.
    pub fn elsewhere(&self) -> Vec<String> {
        let caches = self.targets.values().flat_map(|target| ["cache-to", "cache-from"].map(|key| entries(target, key)).concat());
        let contexts = self.targets.values().flat_map(|target| target.get("contexts").and_then(Value::as_object).into_iter().flatten());
        caches
            .chain(
                contexts.filter_map(|(_, context)| {
                    context.as_str().filter(|context| context.starts_with("docker-image://")).map(str::to_owned)
                }),
            )
            .collect()
    }

    /// The job's variables that the targets' SSH agents and caches need, or everything that stands in their way: a secret with the value of a variable
    /// that nobody named, a cache that would be told a token.
    pub fn variables(&self, env: &Environment, named: &Variables) -> anyhow::Result<Vec<String>> {
        let (mut names, mut wrong) = (Vec::new(), Vec::new());
        for (name, target) in &self.targets {
            let secrets = entries(target, "secret").into_iter().filter_map(|secret| variables::of_secret(&secret));
            for variable in secrets.filter(|variable| env.contains_key(variable) && !named.has(variable)) {
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
            let kept: Vec<String> = entries(target, "output").into_iter().filter(|output| is_kept(output)).collect();
            target.remove("attest");
            kept
        })
    }

    /// The file to build where everything is published: pushed by digest, with the evidence of `build`.
    pub fn for_publishing(&self, goods: &[Goods], build: &Build, generator: &Generator, env: &Environment) -> Value {
        let mut attests: Vec<String> = build.flags.values("--attest").map(for_publishing).collect();
        if matches!(build.sbom, Sbom::Ours(_)) {
            attests.extend(generator.attest(build));
        }
        self.rewritten(env, |name, target| {
            let given = entries(target, "output");
            let mut kept: Vec<String> =
                given.iter().filter(|output| is_kept(output) && kind(output).as_deref() != Some("docker")).cloned().collect();
            let images = goods.iter().find(|goods| goods.target == name).map(|goods| goods.images.as_slice()).unwrap_or_default();
            let image = pushed_by_digest(images, &outputs::kept_of_images(&given));
            kept.push(image);
            target.insert("attest".to_owned(), json!(attests));
            kept
        })
    }

    /// The targets without names and with these outputs; those that they are built from put out nothing, and carry no evidence of their own.
    fn rewritten(&self, env: &Environment, mut outputs: impl FnMut(&str, &mut Map<String, Value>) -> Vec<String>) -> Value {
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
            let put_out = if put_out.is_empty() { vec!["type=cacheonly".to_owned()] } else { put_out };
            target.insert("output".to_owned(), json!(put_out));
            for key in ["cache-from", "cache-to"] {
                let caches = entries(&target, key);
                if !caches.is_empty() {
                    let caches: Vec<String> = caches.into_iter().filter_map(|cache| caches::completed(cache, env)).collect();
                    target.insert(key.to_owned(), json!(caches));
                }
            }
            for (_, value) in target.iter_mut().filter(|(key, _)| !PRINTED_ESCAPED.contains(&key.as_str())) {
                escape(value);
            }
            targets.insert(name.clone(), Value::Object(target));
        }
        json!({ "group": { "default": { "targets": self.asked } }, "target": targets })
    }
}

/// Why a target makes no image for a registry, or one under a name that nobody put there on purpose.
fn no_image(name: &str, target: &Map<String, Value>) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(call) = target.get("call").and_then(Value::as_str).filter(|call| !["", "build"].contains(call)) {
        wrong.push(format!("target `{name}` makes no image: `call` is `{call}`"));
    }
    let given = entries(target, "output");
    if !given.is_empty() && !given.iter().any(|output| is_image(output)) {
        let kinds: Vec<String> = given.iter().map(|output| format!("`{output}`")).collect();
        wrong.push(format!("target `{name}` makes no image for a registry: its output is {}", kinds.join(", ")));
    }
    for output in given.iter().filter(|output| is_image(output)) {
        if let Some(named) = outputs::value(output, "name").filter(|named| !named.is_empty()) {
            wrong.push(format!("target `{name}` names its image `{named}` in `output`; names belong in `tags`"));
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
fn names(name: &str, target: &Map<String, Value>) -> Result<Vec<Name>, Vec<String>> {
    let tags: Vec<&str> = target.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if tags.is_empty() {
        return Err(vec![format!("target `{name}` has no `tags`")]);
    }
    let (mut names, mut wrong): (Vec<Name>, _) = (Vec::new(), Vec::new());
    for tag in tags {
        match reference(tag) {
            Some(name) if names.contains(&name) => {}
            Some(name) => names.push(name),
            None => wrong.push(format!("target `{name}` has `{tag}` among its `tags`, which is no full reference (`registry/name:tag`)")),
        }
    }
    if wrong.is_empty() { Ok(names) } else { Err(wrong) }
}

/// `registry/name:tag`, as a bake file must write it.
fn reference(text: &str) -> Option<Name> {
    let (repository, tag) = text.trim().rsplit_once(':').filter(|(repository, _)| repository.contains('/'))?;
    Some(Name { repository: repository.parse().ok()?, tag: tag.parse::<Tag>().ok()? })
}

fn of_target(name: &str, target: &Map<String, Value>) -> Result<Vec<Platform>, Vec<String>> {
    let listed = target.get("platforms").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let (mut platforms, mut wrong) = (Vec::new(), Vec::new());
    for text in listed {
        match text.parse::<Platform>().map(|platform| (platform.spelling(), platform)) {
            Ok((Spelling::Slip(meant), _)) => {
                wrong.push(format!("target `{name}`: no platform is called `{text}`; did you mean `{meant}`?"))
            }
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
                    .map(|(key, value)| format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
                    .collect::<Vec<_>>(),
            )
        }
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    target.get(key).and_then(Value::as_array).into_iter().flatten().map(row).collect()
}

/// buildx reads every text of a file as a template; of those that it prints, these alone are written so that they survive.
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
mod tests {
    use super::*;

    fn definition(targets: Value) -> Definition {
        let names: Vec<&String> = targets.as_object().unwrap().keys().collect();
        Definition::read(&json!({ "group": { "default": { "targets": names } }, "target": targets }).to_string()).unwrap()
    }

    #[test]
    fn groups_in_groups_are_opened_and_targets_that_others_are_built_from_are_not_asked_for() {
        let printed = json!({
            "group": { "default": { "targets": ["tool", "web"] }, "web": { "targets": ["web-a", "web-b", "tool"] } },
            "target": { "base": {}, "tool": {}, "web-a": {}, "web-b": {} },
        });
        assert_eq!(Definition::read(&printed.to_string()).unwrap().targets(), ["tool", "web-a", "web-b"]);
        let circle = json!({ "group": { "default": { "targets": ["default"] } }, "target": {} });
        assert!(Definition::read(&circle.to_string()).unwrap_err().to_string().contains("define nothing to build"));
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
            "target `g` names its image `r.io/o/evil:1` in `output`", "`r.io/o/y:1` is a name of both target `a` and target `d`",
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
        assert_eq!(goods[0].names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["q.io/o/a:1.0.0", "r.io/o/a:latest"]);
        let mut build = Build {
            flags: crate::build::flags::Flags::default(),
            platforms: Vec::new(),
            sbom: Sbom::Ours(crate::plan::sbom::Otherwise::Registry),
            supplier: None,
            files: false,
            allowed: crate::oci::Allowed::default(),
        };
        build.flags.flags.push(crate::build::flags::Flag {
            name: "--attest",
            value: crate::build::flags::FlagValue::Text("type=provenance,mode=max".to_owned()),
        });
        let scanner: crate::image::ImageRef = format!("r.io/o/a@{}", crate::image::Digest::of(b"")).parse().unwrap();
        let file = printed.for_publishing(&goods, &build, &Generator::Scanner(scanner.clone()), &Environment::new());
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
                told.len() == 1 && told[0].starts_with("target `app` is built from target `base`") && told[0].contains("linux/arm64"),
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
}
