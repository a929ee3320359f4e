//! Which of the job's variables a build gets beside those that every program gets: what its own
//! flags name or cannot do without. Pure.
//!
//! Reference: <https://docs.docker.com/build/cache/backends/>, <https://docs.docker.com/build/building/secrets/>.

use serde_json::{Map, Value};

use super::bake::entries;
use super::flags::{FlagValue, Flags};
use super::outputs::{fields, kind};
use crate::command::Variables;
use crate::environment::Environment;

/// What buildx cannot do without where somebody asks for it; `*` stands for the rest of a name.
const SSH: &[&str] = &["SSH_AUTH_SOCK"];
pub(super) const KUBERNETES: &[&str] =
    &["KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"];
const RUNTIME: &[&str] = &[
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_RESULTS_URL",
    "ACTIONS_CACHE_URL",
    "ACTIONS_CACHE_SERVICE_V2",
];

/// The variables of a cloud or a runner that a cache of this kind needs.
fn of_cache(cache: &str) -> &'static [&'static str] {
    match kind(cache).as_deref() {
        Some("gha") => RUNTIME,
        Some("s3") => &["AWS_*"],
        Some("azblob") => &["AZURE_*"],
        Some("gcs") => &["GOOGLE_*", "CLOUDSDK_*"],
        _ => &[],
    }
}

/// Of a build: its secrets and arguments from the environment, its SSH agents, and its caches.
pub fn of_flags(flags: &Flags) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for flag in &flags.flags {
        let FlagValue::Text(text) = &flag.value else { continue };
        match flag.name {
            // `id=x,env=NAME`, as `secret-envs` writes it.
            "--secret" => names.extend(text.split_once(",env=").map(|(_, name)| name.to_owned())),
            // Without a value it is the environment's.
            "--build-arg" if !text.contains('=') => names.push(text.trim().to_owned()),
            "--ssh" => names.extend(owned(SSH)),
            "--cache-from" | "--cache-to" => names.extend(owned(of_cache(text))),
            "--build-context"
                if text.split_once('=').is_some_and(|(_, context)| by_ssh(context)) =>
            {
                names.extend(owned(SSH))
            }
            _ => {}
        }
    }
    if by_ssh(&flags.context) {
        names.extend(owned(SSH));
    }
    names
}

/// Of a target of a bake file: its SSH agents and caches; or where the runtime token of this job
/// would go besides.
pub(super) fn of_target(
    name: &str,
    target: &Map<String, Value>,
    env: &Environment,
    named: &Variables,
) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let contexts =
        target.get("contexts").and_then(Value::as_object).into_iter().flat_map(Map::values);
    if !entries(target, "ssh").is_empty()
        || target.get("context").into_iter().chain(contexts).filter_map(Value::as_str).any(by_ssh)
    {
        names.extend(owned(SSH));
    }
    for cache in ["cache-from", "cache-to"].into_iter().flat_map(|key| entries(target, key)) {
        let of_cache = of_cache(&cache);
        let fields = fields(&cache);
        let own_token = fields.iter().any(|(key, _)| key == "token");
        let is_runners = |url: &str| {
            ["ACTIONS_RESULTS_URL", "ACTIONS_CACHE_URL"]
                .iter()
                .any(|name| env.get(*name).is_some_and(|known| known == url))
        };
        if of_cache == RUNTIME
            && !named.has("ACTIONS_RUNTIME_TOKEN")
            && !own_token
            && let Some((_, url)) = fields
                .iter()
                .find(|(key, url)| ["url", "url_v2"].contains(&key.as_str()) && !is_runners(url))
        {
            return Err(format!(
                "target `{name}` has a cache of `type=gha` at `{url}`, to which the token of this job's cache would go"
            ));
        }
        names.extend(owned(of_cache));
    }
    Ok(names)
}

/// The variable whose value is the content of a build secret, as buildx reads its attributes.
pub(super) fn of_secret(secret: &str) -> Option<String> {
    let fields = fields(secret);
    let field = |names: &[&str]| {
        fields
            .iter()
            .rfind(|(key, value)| names.contains(&key.as_str()) && !value.is_empty())
            .map(|(_, value)| value)
    };
    let (id, source, variable) = (field(&["id"]), field(&["src", "source"]), field(&["env"]));
    let is_variable = field(&["type"]).is_some_and(|kind| kind == "env");
    // Of an id alone it is the variable of that name, if there is one.
    variable.or(source.filter(|_| is_variable)).or(id.filter(|_| source.is_none())).cloned()
}

/// Whether buildx fetches this through an SSH agent.
fn by_ssh(context: &str) -> bool {
    context.starts_with("ssh://") || context.starts_with("git@")
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::flags::{self, BuildTexts, FlagFacts};

    fn named(texts: &BuildTexts) -> Vec<String> {
        let facts = FlagFacts {
            env: &Environment::new(),
            event: &serde_json::Value::Null,
            file_exists: &|_| true,
            private: true,
        };
        of_flags(&flags::flags(texts, &facts).unwrap())
    }

    #[test]
    fn a_build_gets_the_variables_that_it_names_or_needs() {
        let text = |text: &str| text.to_owned();
        assert_eq!(
            named(&BuildTexts {
                context: text("."),
                cache_from: text("type=registry,ref=gha"),
                ..BuildTexts::default()
            }),
            [""; 0]
        );
        for (texts, expected) in [
            (BuildTexts { secret_envs: text("A=MINE"), ..BuildTexts::default() }, vec!["MINE"]),
            (
                BuildTexts { build_args: text("NAME\nOTHER=x"), ..BuildTexts::default() },
                vec!["NAME"],
            ),
            (BuildTexts { ssh: text("default"), ..BuildTexts::default() }, vec!["SSH_AUTH_SOCK"]),
            (
                BuildTexts { context: text("git@h:o/r.git"), ..BuildTexts::default() },
                vec!["SSH_AUTH_SOCK"],
            ),
            (
                BuildTexts {
                    build_contexts: text("lib=ssh://git@h/o/r.git"),
                    ..BuildTexts::default()
                },
                vec!["SSH_AUTH_SOCK"],
            ),
            (
                BuildTexts { cache_to: text("mode=max, Type=GHA"), ..BuildTexts::default() },
                RUNTIME.to_vec(),
            ),
            (
                BuildTexts { cache_from: text("type=s3,bucket=b"), ..BuildTexts::default() },
                vec!["AWS_*"],
            ),
            (
                BuildTexts { cache_from: text("type=azblob,name=b"), ..BuildTexts::default() },
                vec!["AZURE_*"],
            ),
            (
                BuildTexts { cache_from: text("type=gcs"), ..BuildTexts::default() },
                vec!["GOOGLE_*", "CLOUDSDK_*"],
            ),
        ] {
            assert_eq!(named(&texts), expected);
        }
    }

    #[test]
    fn the_variable_of_a_secret_is_found_however_it_is_written() {
        for (secret, variable) in [
            ("type=env,id=x,env=MINE", Some("MINE")),
            ("id=x,env=MINE,src=file", Some("MINE")),
            ("type=env,id=MINE", Some("MINE")),
            ("Type=env,id=x,Src=MINE", Some("MINE")),
            ("type=env,id=x,source=MINE", Some("MINE")),
            ("id=MINE", Some("MINE")),
            ("id=x,src=MINE", None),
            ("type=file,id=x,src=MINE", None),
            ("\"id=x\",\"env=MINE\"", Some("MINE")),
        ] {
            assert_eq!(of_secret(secret).as_deref(), variable, "{secret}");
        }
    }

    #[test]
    fn the_runtime_token_goes_to_the_runners_cache_alone() {
        let env =
            Environment::from([("ACTIONS_RESULTS_URL".to_owned(), "https://results/".to_owned())]);
        let of = |target: Value| {
            of_target("app", target.as_object().unwrap(), &env, &Variables::of(&env))
        };
        let runtime = owned(RUNTIME);
        assert_eq!(of(serde_json::json!({ "cache-to": [{ "type": "gha" }] })), Ok(runtime.clone()));
        assert_eq!(
            of(serde_json::json!({ "cache-from": ["type=gha,url_v2=https://results/"] })),
            Ok(runtime.clone())
        );
        assert_eq!(
            of(serde_json::json!({ "cache-from": ["type=gha,url=https://mine/,token=t"] })),
            Ok(runtime)
        );
        assert_eq!(of(serde_json::json!({ "ssh": [{ "id": "default" }] })), Ok(owned(SSH)));
        assert_eq!(of(serde_json::json!({ "context": "." })), Ok(Vec::new()));
        for cache in [
            "type=gha,url=https://evil.example/",
            "url_v2=https://evil.example/,type=GHA",
            "type=registry,type=gha,URL=https://evil.example/",
        ] {
            let told = of(serde_json::json!({ "cache-to": [cache] })).unwrap_err();
            assert!(
                told.contains("target `app`") && told.contains("`https://evil.example/`"),
                "{told}"
            );
        }
    }
}
