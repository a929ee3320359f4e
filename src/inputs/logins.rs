//! `registry-auth`, `username` and `password`, `github-token` → logins. Pure; it asks no token service.

use secrecy::{ExposeSecret as _, SecretString};

use super::{Login, Problems, Raw};
use crate::github::Environment;
use crate::image::Repository;
use crate::metadata;
use crate::registry::exchange::{AwsKeys, Entry, Method};

/// Entries of `registry-auth` first, then the pair for `registry` or the first image's, then the token for ghcr.io.
pub(super) fn logins(raw: &Raw, images: &str, env: &Environment, problems: &mut Problems) -> Vec<Login> {
    let mut logins = raw.registry_auth.as_ref().map(|text| entries(text, env, problems)).unwrap_or_default();
    match (&raw.username, &raw.password) {
        (Some(username), Some(password)) => {
            let registry = raw.registry.clone().unwrap_or_else(|| first_registry(images));
            logins.push(Login { registry, method: Method::Password { username: username.clone(), password: password.clone() } });
        }
        (Some(_), None) => problems.say("password", "`username` is set, so `password` must be too"),
        (None, Some(_)) => problems.say("username", "`password` is set, so `username` must be too"),
        (None, None) => {}
    }
    if let Some(token) = &raw.github_token
        && !logins.iter().any(|login| login.registry == "ghcr.io")
    {
        // GHCR takes any user name beside a workflow token.
        let method = Method::Password { username: "x-access-token".to_owned(), password: token.clone() };
        logins.push(Login { registry: "ghcr.io".to_owned(), method });
    }
    logins
}

fn first_registry(images: &str) -> String {
    let names = metadata::image_names(images).unwrap_or_default();
    let first = names.first().and_then(|name| name.parse::<Repository>().ok());
    first.map_or_else(|| "ghcr.io".to_owned(), |image| image.registry().to_owned())
}

fn entries(text: &SecretString, env: &Environment, problems: &mut Problems) -> Vec<Login> {
    let keys = match AwsKeys::from_environment(env) {
        Ok(keys) => keys,
        Err(error) => {
            problems.say("registry-auth", error);
            None
        }
    };
    // The parser's own message quotes the text, and the text holds passwords.
    let Ok(entries) = serde_saphyr::from_str::<Vec<Entry>>(text.expose_secret()) else {
        problems.say("registry-auth", "not a list of `registry`, `username`, `password` in YAML or JSON");
        return Vec::new();
    };
    let mut logins = Vec::new();
    for entry in entries {
        match Method::new(&entry, keys.as_ref()).and_then(|method| Ok(Login { registry: entry.registry()?.to_owned(), method })) {
            Ok(login) => logins.push(login),
            Err(error) => problems.say("registry-auth", error),
        }
    }
    logins
}
