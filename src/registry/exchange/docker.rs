//! The logins in a Docker `config.json` that `docker login` wrote. It never starts a credential
//! helper: helpers are programs of the machine that wrote the file, and are not in this container.
//!
//! Format: <https://docs.docker.com/reference/cli/docker/login/#credential-stores>.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::error::Remedied;
use crate::page::RefusalPage;

/// What a file says about the registries that were asked about.
#[derive(Debug, Default)]
pub struct DockerConfig {
    pub logins: Vec<DockerLogin>,
    /// Those whose logins lie elsewhere. No failure where another input gives a login, or none is
    /// needed.
    pub elsewhere: Vec<NeedsHelper>,
}

/// A login at one registry.
#[derive(Debug)]
pub enum DockerLogin {
    Password {
        registry: String,
        username: String,
        password: SecretString,
    },
    /// For the token service's `grant_type=refresh_token`:
    /// <https://distribution.github.io/distribution/spec/auth/oauth/>.
    IdentityToken {
        registry: String,
        token: SecretString,
    },
}

/// A login that only a credential helper can tell.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the login at `{registry}` is kept by the credential helper `docker-credential-{helper}`, which is not in this container"
)]
pub struct NeedsHelper {
    pub registry: String,
    pub helper: String,
}

impl Remedied for NeedsHelper {
    fn remedy(&self) -> Option<String> {
        let instead = match self.helper.as_str() {
            "ecr-login" => "`aws-role`",
            "gcloud" | "gcr" => "`gcp-workload-identity-provider`",
            "acr-env" | "acr-linux" => "`azure-client-id` and `azure-tenant-id`",
            _ => "`username` and `password`",
        };
        Some(format!("give an entry for `{}` in `registry-auth`, with {instead}", self.registry))
    }

    fn see(&self) -> Option<RefusalPage> {
        Some(RefusalPage::CredentialHelper)
    }
}

/// Why a file cannot be read. It quotes nothing of the file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DockerConfigError {
    #[error("the Docker `config.json` cannot be read: line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error(
        "`auth` of `{registry}` in the Docker `config.json` is not `username:password` in base64"
    )]
    Auth { registry: String },
    #[error(
        "the entry of `{registry}` in the Docker `config.json` has `{given}` without `{missing}`"
    )]
    Half { registry: String, given: &'static str, missing: &'static str },
}

impl Remedied for DockerConfigError {
    fn remedy(&self) -> Option<String> {
        Some("log in again with `docker login`, or give the login in `registry-auth`".to_owned())
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfigFile {
    auths: BTreeMap<String, DockerAuth>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DockerAuth {
    auth: SecretString,
    username: String,
    password: SecretString,
    identitytoken: SecretString,
}

/// Reads the logins at `registries` (their names as in image names); entries of others are not
/// looked at.
pub fn docker_config(text: &str, registries: &[&str]) -> Result<DockerConfig, DockerConfigError> {
    // The parser's own message can quote a value.
    let file: DockerConfigFile = serde_json::from_str(text).map_err(|error| {
        DockerConfigError::NotJson { line: error.line(), column: error.column() }
    })?;
    let mut found = DockerConfig::default();
    for registry in registries {
        // `docker.io` alone is a name of Docker Hub that some tools write; the exact name wins over
        // other spellings.
        let entry = file.auths.get(*registry).or_else(|| {
            file.auths.iter().find(|(key, _)| names(key, registry)).map(|(_, auth)| auth)
        });
        if let Some(login) = entry.map(|entry| login(entry, registry)).transpose()?.flatten() {
            found.logins.push(login);
            continue;
        }
        let own = file
            .cred_helpers
            .iter()
            .find(|(key, _)| names(key, registry))
            .map(|(_, helper)| helper);
        // With a store, `docker login` leaves an empty entry behind for each registry.
        let store = (entry.is_some() && !file.creds_store.is_empty()).then_some(&file.creds_store);
        if let Some(helper) = own.or(store) {
            found
                .elsewhere
                .push(NeedsHelper { registry: (*registry).to_owned(), helper: helper.clone() });
        }
    }
    Ok(found)
}

/// Keys are host names, and for older clients URLs. One with a path of its own is for other tools,
/// and for a part of a registry.
fn names(key: &str, registry: &str) -> bool {
    let key =
        key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let host = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    let hub = |name: &str| matches!(name, "docker.io" | "index.docker.io" | "registry-1.docker.io");
    host == registry || (hub(host) && hub(registry))
}

fn login(entry: &DockerAuth, registry: &str) -> Result<Option<DockerLogin>, DockerConfigError> {
    let registry = registry.to_owned();
    if !entry.identitytoken.expose_secret().is_empty() {
        return Ok(Some(DockerLogin::IdentityToken {
            registry,
            token: entry.identitytoken.clone(),
        }));
    }
    if !entry.auth.expose_secret().is_empty() {
        let plain = STANDARD
            .decode(entry.auth.expose_secret())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        return match plain.as_deref().and_then(|plain| plain.split_once(':')) {
            // Old clients padded passwords with NUL, and Docker strips it.
            Some((username, password)) if !username.is_empty() => Ok(Some(DockerLogin::Password {
                registry,
                username: username.to_owned(),
                password: password.trim_matches('\0').into(),
            })),
            _ => Err(DockerConfigError::Auth { registry }),
        };
    }
    match (entry.username.as_str(), entry.password.expose_secret()) {
        ("", "") => Ok(None),
        ("", _) => {
            Err(DockerConfigError::Half { registry, given: "password", missing: "username" })
        }
        (_, "") => {
            Err(DockerConfigError::Half { registry, given: "username", missing: "password" })
        }
        (username, _) => Ok(Some(DockerLogin::Password {
            registry,
            username: username.to_owned(),
            password: entry.password.clone(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `registry=username:password` or `registry=token`, one a line, then `registry!helper`.
    fn check(text: &str, registries: &[&str], expected: &[&str]) {
        let found = docker_config(text, registries).unwrap();
        let logins = found.logins.iter().map(|login| match login {
            DockerLogin::Password { registry, username, password } => {
                format!("{registry}={username}:{}", password.expose_secret())
            }
            DockerLogin::IdentityToken { registry, token } => {
                format!("{registry}={}", token.expose_secret())
            }
        });
        let elsewhere =
            found.elsewhere.iter().map(|needs| format!("{}!{}", needs.registry, needs.helper));
        assert_eq!(logins.chain(elsewhere).collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn each_form_of_login_is_read_for_the_registries_in_use() {
        let text = r#"{
            "auths": {
                "ghcr.io": { "auth": "dTpwOnE=" },
                "https://index.docker.io/v1/": { "auth": "aHViOnMzY3JldAAA", "email": "x@y" },
                "quay.io": { "username": "u", "password": "p" },
                "octo.azurecr.io": { "auth": "MDAwOg==", "identitytoken": "refresh" },
                "other.example": { "auth": "not looked at" }
            },
            "HttpHeaders": { "User-Agent": "Docker-Client/27" }
        }"#;
        let registries = ["ghcr.io", "docker.io", "quay.io", "octo.azurecr.io", "absent.example"];
        check(
            text,
            &registries,
            &["ghcr.io=u:p:q", "docker.io=hub:s3cret", "quay.io=u:p", "octo.azurecr.io=refresh"],
        );
        check("{}", &registries, &[]);
        let debug = format!("{:?}", docker_config(text, &registries).unwrap());
        assert!(!debug.contains("s3cret") && !debug.contains("refresh"), "{debug}");
    }

    #[test]
    fn keys_are_hosts_or_old_urls_but_not_parts_of_a_registry() {
        let auths = |key: &str| format!(r#"{{"auths":{{"{key}":{{"auth":"dTpw"}}}}}}"#);
        for key in ["ghcr.io", "https://ghcr.io", "https://ghcr.io/v2/", "ghcr.io/v1"] {
            check(&auths(key), &["ghcr.io"], &["ghcr.io=u:p"]);
        }
        for key in ["ghcr.io/octo", "ghcr.io.evil.example", "notghcr.io", "ghcr.io:443"] {
            check(&auths(key), &["ghcr.io"], &[]);
        }
        check(&auths("registry-1.docker.io"), &["docker.io"], &["docker.io=u:p"]);
    }

    #[test]
    fn helpers_are_named_only_for_registries_in_use_without_a_login() {
        let text = r#"{
            "auths": { "ghcr.io": {}, "quay.io": { "auth": "dTpw" } },
            "credsStore": "desktop",
            "credHelpers": { "public.ecr.aws": "ecr-login", "gcr.io": "gcloud" }
        }"#;
        check(
            text,
            &["ghcr.io", "quay.io", "public.ecr.aws", "docker.io"],
            &["quay.io=u:p", "ghcr.io!desktop", "public.ecr.aws!ecr-login"],
        );
        let needs = docker_config(text, &["public.ecr.aws"]).unwrap().elsewhere.remove(0);
        assert_eq!(
            needs.to_string(),
            "the login at `public.ecr.aws` is kept by the credential helper `docker-credential-ecr-login`, which is not in this container"
        );
        assert_eq!(
            needs.remedy().unwrap(),
            "give an entry for `public.ecr.aws` in `registry-auth`, with `aws-role`"
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_and_not_quoted() {
        let used = ["ghcr.io"];
        for (text, says) in [
            ("", "cannot be read: line 1"),
            (r#"{"auths":{"ghcr.io":"s3cret"}}"#, "cannot be read: line 1"),
            (r#"{"auths":{"ghcr.io":{"auth":"s3cret!"}}}"#, "`auth` of `ghcr.io`"),
            (r#"{"auths":{"ghcr.io":{"auth":"czNjcmV0"}}}"#, "`auth` of `ghcr.io`"),
            (r#"{"auths":{"ghcr.io":{"auth":"OnMzY3JldA=="}}}"#, "`auth` of `ghcr.io`"),
            (r#"{"auths":{"ghcr.io":{"password":"s3cret"}}}"#, "has `password` without `username`"),
            (r#"{"auths":{"ghcr.io":{"username":"s3cret"}}}"#, "has `username` without `password`"),
        ] {
            let error = docker_config(text, &used).unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains(says) && !message.contains("s3cret") && error.remedy().is_some(),
                "{message}"
            );
        }
    }
}
