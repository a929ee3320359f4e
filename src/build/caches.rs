//! `type=gha` caches inside a container action: what buildx needs to know of the runner's cache
//! service is added, and where there is none they are left out with a notice. Pure.
//!
//! Reference: <https://docs.docker.com/build/cache/backends/gha/>.

use super::flags::{FlagValue, Flags};
use crate::environment::Environment;

/// Completes or drops the entries; gives the notice that says so.
pub fn complete(flags: &mut Flags, env: &Environment) {
    let before = flags.flags.len();
    flags.flags.retain_mut(|flag| {
        let FlagValue::Text(text) = &mut flag.value else { return true };
        if !["--cache-from", "--cache-to"].contains(&flag.name) {
            return true;
        }
        completed(std::mem::take(text), env).map(|completed| *text = completed).is_some()
    });
    if flags.flags.len() < before {
        flags.notices.push(
            "there is no GitHub Actions cache here, so `type=gha` caches are left out".to_owned(),
        );
    }
}

/// A cache's attributes with what buildx needs to know; `None` where there is no such cache here.
pub fn completed(cache: String, env: &Environment) -> Option<String> {
    let get = |name: &str| env.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let fields: Vec<&str> = cache.split(',').map(str::trim).collect();
    let has = |name: &str| fields.iter().any(|field| field.split('=').next() == Some(name));
    // Its own address: the user knows better. The token is buildx's to find, in its environment.
    if !fields.contains(&"type=gha") || has("url") || has("url_v2") {
        return Some(cache);
    }
    get("ACTIONS_RUNTIME_TOKEN")?;
    // A container action gets the address of version 2, and not the variable that says so.
    match (get("ACTIONS_RESULTS_URL"), has("version")) {
        (Some(url), false) => Some(format!("{cache},version=2,url_v2={url}")),
        (Some(_), true) => Some(cache),
        (None, _) => get("ACTIONS_CACHE_URL").map(|_| cache.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::flags::{self, BuildTexts, FlagFacts};

    fn cached(env: &[(&str, &str)]) -> Flags {
        let env: Environment =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let texts = BuildTexts {
            cache_from: "type=gha,scope=a\ntype=registry,ref=r".into(),
            cache_to: "type=gha,mode=max,url_v2=mine".into(),
            ..BuildTexts::default()
        };
        let mut flags = flags::flags(
            &texts,
            &FlagFacts {
                env: &env,
                event: &serde_json::Value::Null,
                file_exists: &|_| true,
                private: true,
            },
        )
        .unwrap();
        complete(&mut flags, &env);
        flags
    }

    #[test]
    fn a_container_action_is_told_where_the_cache_is() {
        let flags =
            cached(&[("ACTIONS_RESULTS_URL", "https://results/"), ("ACTIONS_RUNTIME_TOKEN", "t")]);
        assert_eq!(
            flags.values("--cache-from").collect::<Vec<_>>(),
            ["type=gha,scope=a,version=2,url_v2=https://results/", "type=registry,ref=r"]
        );
        assert_eq!(
            flags.values("--cache-to").collect::<Vec<_>>(),
            ["type=gha,mode=max,url_v2=mine"]
        );
        assert!(flags.notices.is_empty());
    }

    #[test]
    fn without_a_cache_service_a_notice_and_no_failure() {
        let flags = cached(&[]);
        assert_eq!(flags.values("--cache-from").collect::<Vec<_>>(), ["type=registry,ref=r"]);
        assert_eq!(flags.notices.len(), 1);
    }
}
