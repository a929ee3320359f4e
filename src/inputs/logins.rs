//! `registry-auth`, `username` and `password`, `github-token` → logins. Pure; it asks no token
//! service, and gives the token of a server to no registry but its own.

use secrecy::{ExposeSecret as _, SecretString};

use super::texts::InputTexts;
use super::{InputProblems, Login};
use crate::environment::Environment;
use crate::github::server::Server;
use crate::image::{Repository, spelling};
use crate::metadata;
use crate::registry::exchange::{AwsKeys, Method, MethodError, RegistryAuthEntry};

/// For whom logins are read.
pub(super) struct LoginReader<'a> {
    pub(super) env: &'a Environment,
    pub(super) server: &'a Server,
    /// Where nothing is published, a login whose secret is not there is not missed.
    pub(super) publishes: bool,
}

/// Entries of `registry-auth` first, then the pair for `registry` or that of the images, then the
/// token for the registry of its server.
pub(super) fn logins(
    given: &InputTexts,
    images: &str,
    asker: &LoginReader<'_>,
    problems: &mut InputProblems,
    notices: &mut Vec<String>,
) -> Vec<Login> {
    let own = asker.server.registry();
    let mut logins = given
        .secret("registry-auth")
        .map(|text| entries(&text, asker, problems, notices))
        .unwrap_or_default();
    match (given.get("username"), given.secret("password")) {
        (Some(username), Some(password)) => {
            let given = given.get("registry").map(|registry| registry_alone("registry", registry, problems));
            let registry = given.unwrap_or_else(|| registry_of(images, own.as_deref(), problems));
            let method = Method::Password { username: username.to_owned(), password };
            logins.push(Login { registry, method, is_given: true });
        }
        (Some(_), None) | (None, Some(_)) if !asker.publishes => notices.push(left_out(given.get("registry"))),
        (Some(_), None) => problems.say("password", "`username` is set, so `password` must be too"),
        (None, Some(_)) => problems.say("username", "`password` is set, so `username` must be too"),
        (None, None) => notices.extend(given.get("registry").map(|registry| {
            format!(
                "input `registry`: `{registry}` has no effect, because neither `username` nor `password` is set"
            )
        })),
    }
    if let (Some(token), Some(registry)) = (given.secret("github-token"), own)
        && !logins.iter().any(|login| spelling::registry(&login.registry) == registry)
    {
        // It takes any user name beside a workflow token.
        let method = Method::Password { username: "x-access-token".to_owned(), password: token };
        logins.push(Login { registry, method, is_given: false });
    }
    logins
}

/// A registry's name in small letters, without scheme; what stands behind it was meant for
/// `images`.
fn registry_alone(input: &str, name: &str, problems: &mut InputProblems) -> String {
    let given = name.trim().to_lowercase();
    let given =
        given.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    if spelling::registry(given) == "docker.io" {
        return "docker.io".to_owned();
    }
    let host = given.split('/').next().unwrap_or_default();
    if host != given {
        problems.say(input, format_args!("`{name}` is not a registry; write `{host}`, and the whole name of the image into `images`"));
    }
    host.to_owned()
}

/// Where a pair without `registry` is for. docker/login-action takes it for Docker Hub, so where
/// several registries may be meant nothing else gets it. Images that are not enabled count, too: a
/// password must not go elsewhere by a switch.
fn registry_of(images: &str, own: Option<&str>, problems: &mut InputProblems) -> String {
    let names = metadata::image_names(images).unwrap_or_default();
    let registries = names
        .iter()
        .filter_map(|name| name.parse::<Repository>().ok())
        .map(|image| image.registry().to_owned());
    let registries = super::unique(registries.collect());
    match registries.as_slice() {
        [] => own.map(str::to_owned).unwrap_or_else(|| {
            problems.say(
                "registry",
                "not set, and no image says which registry `username` and `password` are for",
            );
            String::new()
        }),
        [only] => only.clone(),
        several if several.iter().any(|registry| spelling::registry(registry) == "docker.io") => {
            "docker.io".to_owned()
        }
        several => {
            let listed: Vec<String> =
                several.iter().map(|registry| format!("`{registry}`")).collect();
            problems.say(
                "registry",
                format_args!("not set, and the images are at {}: it is not clear which of them `username` and `password` are for", listed.join(" and ")),
            );
            problems
                .hint("name it with `registry`, or give each its own login with `registry-auth`");
            several[0].clone()
        }
    }
}

/// Runs for pull requests of forks, and those of Dependabot, get no secrets of the repository.
fn left_out(registry: Option<&str>) -> String {
    let place = registry.map(|registry| format!(" at `{registry}`")).unwrap_or_default();
    format!(
        "the login{place} is left out, because its user name or password is empty: pull requests \
         from forks and from Dependabot get no secrets, and this run publishes nothing"
    )
}

fn entries(
    text: &SecretString,
    asker: &LoginReader<'_>,
    problems: &mut InputProblems,
    notices: &mut Vec<String>,
) -> Vec<Login> {
    let keys = match AwsKeys::from_environment(asker.env) {
        Ok(keys) => keys,
        Err(error) => {
            problems.say("registry-auth", error);
            None
        }
    };
    // The parser's own message quotes the text, and the text holds passwords.
    let Ok(entries) = serde_saphyr::from_str::<Vec<RegistryAuthEntry>>(text.expose_secret()) else {
        problems.say(
            "registry-auth",
            "not a list of `registry`, `username`, `password` in YAML or JSON",
        );
        return Vec::new();
    };
    let mut logins = Vec::new();
    for entry in entries {
        match Method::new(&entry, keys.as_ref())
            .and_then(|method| Ok((entry.registry()?.to_owned(), method)))
        {
            Ok((registry, method)) => {
                logins.push(Login {
                    registry: registry_alone("registry-auth", &registry, problems),
                    method,
                    is_given: true,
                });
            }
            Err(MethodError::Missing { registry, .. } | MethodError::Nothing { registry, .. })
                if !asker.publishes && entry.lacks_a_secret() =>
            {
                notices.push(left_out(Some(&registry)));
            }
            Err(error) => problems.say("registry-auth", error),
        }
    }
    logins
}
