//! Logins that are exchanged, not stored: the OIDC token of the run, or the AWS keys of the job,
//! for a user name and a password of one registry. It never writes a credential anywhere, and no
//! error or log line holds one.

mod amazon;
mod azure;
mod call;
mod docker;
mod error;
mod google;
mod method;
mod sigv4;
#[cfg(test)]
mod stub;

use secrecy::SecretString;

pub use self::docker::{DockerConfig, DockerConfigError, DockerLogin, NeedsHelper, docker_config};
pub use self::error::{ExchangeError, ExchangeService};
pub use self::method::{AwsKeys, Ecr, Method, MethodError, RegistryAuthEntry};

type ExchangeResult<T> = std::result::Result<T, ExchangeError>;

/// Where the token services are. `{region}`, `{domain}` and `{registry}` stand for what the
/// registry's name says.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// <https://docs.aws.amazon.com/general/latest/gr/sts.html>
    pub sts_aws: String,
    /// <https://docs.aws.amazon.com/general/latest/gr/ecr.html>
    pub ecr: String,
    /// <https://docs.aws.amazon.com/general/latest/gr/ecr-public.html>
    pub ecr_public: String,
    pub google_sts: String,
    pub iamcredentials: String,
    pub microsoft: String,
    pub acr: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            // The regional one: tokens of the global one do not hold in regions an account had to
            // enable.
            sts_aws: "https://sts.{region}.{domain}".to_owned(),
            ecr: "https://api.ecr.{region}.{domain}".to_owned(),
            ecr_public: "https://api.ecr-public.{region}.{domain}".to_owned(),
            google_sts: "https://sts.googleapis.com".to_owned(),
            iamcredentials: "https://iamcredentials.googleapis.com".to_owned(),
            microsoft: "https://login.microsoftonline.com".to_owned(),
            acr: "https://{registry}".to_owned(),
        }
    }
}

/// A user name and a password for `registry`. `http` should follow no redirects: requests hold
/// tokens. `token` asks the runner for an OIDC token with the audience it is given.
pub async fn login(
    http: &reqwest::Client,
    endpoints: &Endpoints,
    method: &Method,
    registry: &str,
    token: impl AsyncFn(&str) -> anyhow::Result<SecretString>,
    now: jiff::Timestamp,
) -> ExchangeResult<(String, SecretString)> {
    let asked = async |audience: &str| {
        token(audience).await.map_err(|source| ExchangeError::NoToken {
            audience: audience.to_owned(),
            registry: registry.to_owned(),
            source,
        })
    };
    match method {
        Method::Password { username, password } => Ok((username.clone(), password.clone())),
        Method::AwsKeys { keys, ecr } => {
            amazon::login(http, endpoints, keys, ecr, registry, now).await
        }
        Method::AwsRole { role, ecr } => {
            let token = asked(amazon::audience(ecr)).await?;
            let keys = amazon::assume(http, endpoints, role, ecr, &token).await?;
            amazon::login(http, endpoints, &keys, ecr, registry, now).await
        }
        Method::Google { provider, service_account } => {
            let token = asked(&google::audience(provider)).await?;
            google::login(http, endpoints, provider, service_account.as_deref(), registry, &token)
                .await
        }
        Method::Azure { client_id, tenant_id } => {
            let token = asked(azure::AUDIENCE).await?;
            azure::login(http, endpoints, client_id, tenant_id, registry, &token).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[tokio::test]
    async fn a_password_is_taken_as_it_is_and_no_token_is_asked_for() {
        let method =
            Method::Password { username: "octo".into(), password: "hunter2".to_owned().into() };
        let token =
            async |_: &str| -> anyhow::Result<SecretString> { panic!("no token is needed") };
        let (username, password) = login(
            &reqwest::Client::new(),
            &Endpoints::default(),
            &method,
            "ghcr.io",
            token,
            jiff::Timestamp::UNIX_EPOCH,
        )
        .await
        .unwrap();
        assert_eq!((username.as_str(), password.expose_secret()), ("octo", "hunter2"));
    }

    #[tokio::test]
    async fn a_refused_token_says_for_whom_it_was_and_keeps_its_remedy() {
        use crate::error::Remedy as _;
        let method = Method::Azure { client_id: "c".into(), tenant_id: "t".into() };
        let token = async |_: &str| {
            Err(anyhow::anyhow!("this job has no permission to ask for an OIDC token"))
                .hint("add \"id-token: write\"")
        };
        let error = login(
            &reqwest::Client::new(),
            &Endpoints::default(),
            &method,
            "octo.azurecr.io",
            token,
            jiff::Timestamp::UNIX_EPOCH,
        )
        .await
        .unwrap_err();
        let error = crate::error::remedied(error);
        let message = crate::error::message(&error);
        assert_eq!(
            message,
            "no OIDC token for `api://AzureADTokenExchange`, which a login at `octo.azurecr.io` needs: this job has no permission to ask for an OIDC token"
        );
        assert_eq!(crate::error::hints(&error), ["add \"id-token: write\""]);
    }
}
