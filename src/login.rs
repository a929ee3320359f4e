//! Inputs and the caller's Docker configuration → `Credentials`, exchanged where the input says so.
//! It asks only token services that an entry names, and writes nothing.

use secrecy::{ExposeSecret as _, SecretString};

use crate::environment::Environment;
use crate::error::{OrRemedy as _, Remedy as _, remedied};
use crate::github::RunContext;
use crate::github::server::Server;
use crate::image::Repository;
use crate::inputs::Login;
use crate::page::RefusalPage;
use crate::registry::exchange::{self, DockerLogin, Endpoints, Method};
use crate::registry::{Credentials, LoginSecret};
use crate::report::Report;
use crate::sigstore::identity;

/// Which registries a run will talk to, and where its logins come from.
pub struct LoginsAsked<'a> {
    pub logins: &'a [Login],
    pub images: &'a [Repository],
    pub env: &'a Environment,
    pub context: &'a RunContext,
    /// The token of the workflow's own server, whatever password it is given as.
    pub token: Option<&'a SecretString>,
}

/// Every login of the run; what was exchanged is masked at once.
///
/// # Errors
/// When an exchange is refused, or the only login at a registry of `images` needs a program that is
/// not here.
pub async fn credentials(
    asked: &LoginsAsked<'_>,
    endpoints: &Endpoints,
    report: &Report,
) -> anyhow::Result<Credentials> {
    let mut credentials = Credentials::default();
    from_docker_config(asked, &mut credentials)?;
    // Requests of an exchange hold tokens, which no redirect may carry elsewhere.
    let http = asked.context.network.client_without_redirects()?;
    for login in asked.logins {
        let token =
            async |audience: &str| identity::raw_token(&http, asked.context, audience).await;
        let now = jiff::Timestamp::now();
        let (username, password) =
            exchange::login(&http, endpoints, &login.method, &login.registry, token, now)
                .await
                .remedied()?;
        if !matches!(login.method, Method::Password { .. }) {
            report.mask(&[password.expose_secret().to_owned()]);
        }
        credentials.add(&login.registry, &username, LoginSecret::Password(password));
    }
    in_its_place(asked, credentials)
}

/// The logins that cost no question: for a build that publishes nothing, and may not ask for
/// tokens.
pub fn stored_credentials(asked: &LoginsAsked<'_>) -> anyhow::Result<Credentials> {
    let mut credentials = Credentials::default();
    from_docker_config(asked, &mut credentials)?;
    for login in asked.logins {
        if let Method::Password { username, password } = &login.method {
            credentials.add(&login.registry, username, LoginSecret::Password(password.clone()));
        }
    }
    in_its_place(asked, credentials)
}

/// The token of a server is no password for the registry of another, which could do with it what
/// the workflow may.
fn in_its_place(
    asked: &LoginsAsked<'_>,
    mut credentials: Credentials,
) -> anyhow::Result<Credentials> {
    if let Some(token) = asked.token.filter(|token| !token.expose_secret().is_empty()) {
        credentials.bind(token.clone(), Server::of(&asked.context.server_url));
    }
    if let Some((registry, server)) = credentials.misplaced() {
        return Err(anyhow::anyhow!("the password for `{registry}` is the workflow's own token, which is sent to hosts of `{server}` only"))
            .hint(format!("give a password of `{registry}` itself, with `registry-auth` or `username` and `password`"))
            .see(RefusalPage::WorkflowTokenForAnotherHost);
    }
    Ok(credentials)
}

/// Reads `config.json` of `DOCKER_CONFIG`, or of the home directory.
fn from_docker_config(
    asked: &LoginsAsked<'_>,
    credentials: &mut Credentials,
) -> anyhow::Result<()> {
    let get = |name: &str| asked.env.get(name).filter(|value| !value.is_empty());
    let folder = get("DOCKER_CONFIG")
        .map(std::path::PathBuf::from)
        .or_else(|| get("HOME").map(|home| std::path::Path::new(home).join(".docker")));
    let Some(text) =
        folder.and_then(|folder| std::fs::read_to_string(folder.join("config.json")).ok())
    else {
        return Ok(());
    };
    let registries: Vec<&str> = asked.images.iter().map(Repository::registry).collect();
    let config = exchange::docker_config(&text, &registries).remedied()?;
    for login in config.logins {
        match login {
            DockerLogin::Password { registry, username, password } => {
                credentials.add(&registry, &username, LoginSecret::Password(password))
            }
            DockerLogin::IdentityToken { registry, token } => {
                credentials.add(&registry, "<token>", LoginSecret::IdentityToken(token))
            }
        }
    }
    let otherwise = |registry: &str| asked.logins.iter().any(|login| login.registry == registry);
    match config.elsewhere.into_iter().find(|missing| !otherwise(&missing.registry)) {
        // On a person's machine the helper is at hand, and buildx asks it; here only programs in a
        // container lack it.
        Some(missing) if asked.context.in_actions => Err(remedied(missing)),
        _ => {
            credentials.keep_docker_config(&text);
            Ok(())
        }
    }
}
