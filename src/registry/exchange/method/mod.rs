//! From an entry of `registry-auth` to the way of logging in. It never asks anybody: what is wrong
//! with an entry shows before anything is built.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::environment::Environment;

const KEYS: [&str; 8] = [
    "registry",
    "username",
    "password",
    "aws-role",
    "gcp-workload-identity-provider",
    "gcp-service-account",
    "azure-client-id",
    "azure-tenant-id",
];

/// One entry of `registry-auth` as it was written. Every value is secret until it is known not to
/// be.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct RegistryAuthEntry(BTreeMap<String, Option<SecretString>>);

/// How to log in at one registry.
#[derive(Debug, Clone)]
pub enum Method {
    Password { username: String, password: SecretString },
    AwsRole { role: String, ecr: Ecr },
    AwsKeys { keys: AwsKeys, ecr: Ecr },
    Google { provider: String, service_account: Option<String> },
    Azure { client_id: String, tenant_id: String },
}

/// Keys of an IAM user, or temporary ones of a role.
#[derive(Debug, Clone)]
pub struct AwsKeys {
    pub access_key_id: SecretString,
    pub secret_access_key: SecretString,
    pub session_token: Option<SecretString>,
}

/// What the name of a registry of Amazon ECR says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ecr {
    pub public: bool,
    pub region: String,
    pub domain: &'static str,
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MethodError {
    #[error("an entry has no `registry`")]
    NoRegistry,
    #[error("the entry for `{registry}` has an unknown key `{key}`; the keys are {}", KEYS.map(|key| format!("`{key}`")).join(", "))]
    Unknown { registry: String, key: String },
    #[error(
        "the entry for `{registry}` has both `{one}` and `{other}`; keep one way of logging in"
    )]
    Together { registry: String, one: &'static str, other: &'static str },
    #[error("the entry for `{registry}` has `{given}`, so it needs `{missing}` too")]
    Missing { registry: String, given: &'static str, missing: &'static str },
    #[error("`{key}` is for {wanted}, and `{registry}` is not one")]
    WrongRegistry { registry: String, key: &'static str, wanted: &'static str },
    #[error("`{key}` of `{registry}` is not of the form `{form}`")]
    Malformed { registry: String, key: &'static str, form: &'static str },
    #[error(
        "`aws-role` of `{registry}` is of partition `{given}`, and the registry is of partition `{wanted}`"
    )]
    Partition { registry: String, given: String, wanted: &'static str },
    #[error("the entry for `{registry}` has no login; give {needed}")]
    Nothing { registry: String, needed: &'static str },
    #[error("`{given}` is in the environment without `{missing}`")]
    HalfKeys { given: &'static str, missing: &'static str },
    #[error("`{name}` in the environment has characters that no key has")]
    IllegalKeys { name: &'static str },
}

impl RegistryAuthEntry {
    /// The registry's name without scheme and slash.
    pub fn registry(&self) -> Result<&str, MethodError> {
        let name = self
            .get("registry")
            .unwrap_or_default()
            .trim_start_matches("https://")
            .trim_end_matches('/');
        if name.is_empty() { Err(MethodError::NoRegistry) } else { Ok(name) }
    }

    /// Whether a value was written and is empty, as that of a secret which the run does not get.
    pub fn lacks_a_secret(&self) -> bool {
        self.0.keys().any(|key| key != "registry" && self.get(key).is_none())
    }

    fn get(&self, key: &str) -> Option<&str> {
        // `password: ${{ secrets.X }}` of a secret that is not there is empty.
        let value = self.0.get(key)?.as_ref()?.expose_secret();
        (!value.trim().is_empty()).then_some(value)
    }
}

impl Method {
    /// Whether the login is made from an OIDC token of this run.
    pub fn needs_oidc(&self) -> bool {
        match self {
            Self::AwsRole { .. } | Self::Google { .. } | Self::Azure { .. } => true,
            Self::Password { .. } | Self::AwsKeys { .. } => false,
        }
    }

    /// How this way of logging in is called, for people and plans.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Password { .. } => "password",
            Self::AwsRole { .. } => "aws-role",
            Self::AwsKeys { .. } => "aws-keys",
            Self::Google { .. } => "gcp-workload-identity",
            Self::Azure { .. } => "azure",
        }
    }

    /// `keys` are those of the environment; they serve registries of Amazon ECR that have no other
    /// login.
    pub fn new(entry: &RegistryAuthEntry, keys: Option<&AwsKeys>) -> Result<Self, MethodError> {
        let registry = entry.registry()?.to_owned();
        if let Some(key) = entry.0.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(MethodError::Unknown { registry, key: key.clone() });
        }
        let given: Vec<&'static str> =
            KEYS[1..].iter().copied().filter(|key| entry.get(key).is_some()).collect();
        if let [one, .., other] = given.as_slice()
            && way(one) != way(other)
        {
            return Err(MethodError::Together { registry, one, other });
        }
        match given.first().copied().map(way) {
            Some(FederationWay::Password) => password(entry, registry),
            Some(FederationWay::Aws) => role(entry, registry),
            Some(FederationWay::Google) => google(entry, registry),
            Some(FederationWay::Azure) => azure(entry, registry),
            None => match (ecr(&registry), keys) {
                (Some(ecr), Some(keys)) => Ok(Self::AwsKeys { keys: keys.clone(), ecr }),
                (Some(_), None) => Err(MethodError::Nothing {
                    registry,
                    needed: "`aws-role`, or `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the environment of the step",
                }),
                _ if is_google(&registry) => Err(MethodError::Nothing {
                    registry,
                    needed: "`gcp-workload-identity-provider`",
                }),
                _ if is_azure(&registry) => Err(MethodError::Nothing {
                    registry,
                    needed: "`azure-client-id` and `azure-tenant-id`",
                }),
                _ => Err(MethodError::Nothing { registry, needed: "`username` and `password`" }),
            },
        }
    }
}

impl AwsKeys {
    /// Names: <https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html>.
    pub fn from_environment(env: &Environment) -> Result<Option<Self>, MethodError> {
        const ID: &str = "AWS_ACCESS_KEY_ID";
        const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
        const SESSION: &str = "AWS_SESSION_TOKEN";
        let get = |name: &str| {
            env.get(name)
                .filter(|value| !value.trim().is_empty())
                .map(|value| SecretString::from(value.trim()))
        };
        for name in [ID, SECRET, SESSION] {
            if get(name).is_some_and(|value| {
                !value.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())
            }) {
                return Err(MethodError::IllegalKeys { name });
            }
        }
        match (get(ID), get(SECRET)) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(MethodError::HalfKeys { given: ID, missing: SECRET }),
            (None, Some(_)) => Err(MethodError::HalfKeys { given: SECRET, missing: ID }),
            (Some(access_key_id), Some(secret_access_key)) => {
                Ok(Some(Self { access_key_id, secret_access_key, session_token: get(SESSION) }))
            }
        }
    }
}

impl Ecr {
    pub(super) fn partition(&self) -> &'static str {
        match (self.domain, self.region.starts_with("us-gov-")) {
            ("amazonaws.com.cn", _) => "aws-cn",
            (_, true) => "aws-us-gov",
            _ => "aws",
        }
    }
}

#[derive(PartialEq, Eq)]
enum FederationWay {
    Password,
    Aws,
    Google,
    Azure,
}

fn way(key: &str) -> FederationWay {
    match key.split_once('-').map(|(first, _)| first) {
        Some("aws") => FederationWay::Aws,
        Some("gcp") => FederationWay::Google,
        Some("azure") => FederationWay::Azure,
        _ => FederationWay::Password,
    }
}

/// Both of two keys that need each other.
fn pair(
    entry: &RegistryAuthEntry,
    registry: &str,
    one: &'static str,
    other: &'static str,
) -> Result<(String, String), MethodError> {
    let registry = || registry.to_owned();
    match (entry.get(one), entry.get(other)) {
        (Some(first), Some(second)) => Ok((first.to_owned(), second.to_owned())),
        (Some(_), None) => {
            Err(MethodError::Missing { registry: registry(), given: one, missing: other })
        }
        _ => Err(MethodError::Missing { registry: registry(), given: other, missing: one }),
    }
}

fn password(entry: &RegistryAuthEntry, registry: String) -> Result<Method, MethodError> {
    let (username, password) = pair(entry, &registry, "username", "password")?;
    Ok(Method::Password { username, password: password.into() })
}

fn role(entry: &RegistryAuthEntry, registry: String) -> Result<Method, MethodError> {
    const KEY: &str = "aws-role";
    let Some(ecr) = ecr(&registry) else {
        return Err(MethodError::WrongRegistry {
            registry,
            key: KEY,
            wanted: "registries of Amazon ECR, `<account>.dkr.ecr.<region>.amazonaws.com` or `public.ecr.aws`",
        });
    };
    let role = entry.get(KEY).unwrap_or_default().trim();
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let legal = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+=,.@-".contains(&byte))
    };
    match parts.as_slice() {
        ["arn", given, "iam", "", account, name]
            if is_account(account)
                && name
                    .strip_prefix("role/")
                    .is_some_and(|name| !name.is_empty() && legal(name)) =>
        {
            if *given != ecr.partition() {
                return Err(MethodError::Partition {
                    registry,
                    given: (*given).to_owned(),
                    wanted: ecr.partition(),
                });
            }
            Ok(Method::AwsRole { role: role.to_owned(), ecr })
        }
        _ => Err(MethodError::Malformed {
            registry,
            key: KEY,
            form: "arn:aws:iam::123456789012:role/name",
        }),
    }
}

fn google(entry: &RegistryAuthEntry, registry: String) -> Result<Method, MethodError> {
    const PROVIDER: &str = "gcp-workload-identity-provider";
    const ACCOUNT: &str = "gcp-service-account";
    if !is_google(&registry) {
        let key = if entry.get(PROVIDER).is_some() { PROVIDER } else { ACCOUNT };
        return Err(MethodError::WrongRegistry {
            registry,
            key,
            wanted: "registries of Google, `<region>-docker.pkg.dev` or `gcr.io`",
        });
    }
    let Some(provider) = entry.get(PROVIDER).map(str::trim) else {
        return Err(MethodError::Missing { registry, given: ACCOUNT, missing: PROVIDER });
    };
    let id = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match provider.split('/').collect::<Vec<_>>().as_slice() {
        [
            "projects",
            project,
            "locations",
            "global",
            "workloadIdentityPools",
            pool,
            "providers",
            name,
        ] if number(project) && id(pool) && id(name) => {}
        _ => {
            let form = "projects/<number>/locations/global/workloadIdentityPools/<pool>/providers/<provider>";
            return Err(MethodError::Malformed { registry, key: PROVIDER, form });
        }
    }
    let service_account = entry.get(ACCOUNT).map(str::trim);
    let legal = |account: &str| {
        account.split_once('@').is_some_and(|(name, domain)| {
            !name.is_empty()
                && domain.ends_with("gserviceaccount.com")
                && account
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"@.-".contains(&byte))
        })
    };
    if service_account.is_some_and(|account| !legal(account)) {
        return Err(MethodError::Malformed {
            registry,
            key: ACCOUNT,
            form: "name@project.iam.gserviceaccount.com",
        });
    }
    Ok(Method::Google {
        provider: provider.to_owned(),
        service_account: service_account.map(str::to_owned),
    })
}

fn azure(entry: &RegistryAuthEntry, registry: String) -> Result<Method, MethodError> {
    const CLIENT: &str = "azure-client-id";
    const TENANT: &str = "azure-tenant-id";
    if !is_azure(&registry) {
        let key = if entry.get(CLIENT).is_some() { CLIENT } else { TENANT };
        return Err(MethodError::WrongRegistry {
            registry,
            key,
            wanted: "registries of Azure, `<name>.azurecr.io`",
        });
    }
    let (client_id, tenant_id) = pair(entry, &registry, CLIENT, TENANT)?;
    for (key, value) in [(CLIENT, client_id.trim()), (TENANT, tenant_id.trim())] {
        // Only the hyphenated form may stand in a URL.
        if value.len() != 36 || uuid::Uuid::try_parse(value).is_err() {
            return Err(MethodError::Malformed {
                registry,
                key,
                form: "00000000-0000-0000-0000-000000000000",
            });
        }
    }
    Ok(Method::Azure {
        client_id: client_id.trim().to_owned(),
        tenant_id: tenant_id.trim().to_owned(),
    })
}

/// Names: <https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html>.
fn ecr(registry: &str) -> Option<Ecr> {
    if registry == "public.ecr.aws" {
        // Its API is there only:
        // <https://docs.aws.amazon.com/AmazonECR/latest/public/public-registry-auth.html>.
        return Some(Ecr { public: true, region: "us-east-1".to_owned(), domain: "amazonaws.com" });
    }
    let (name, domain) = ["amazonaws.com.cn", "amazonaws.com"]
        .into_iter()
        .find_map(|domain| Some((registry.strip_suffix(domain)?.strip_suffix('.')?, domain)))?;
    let (account, region) = name.split_once(".dkr.ecr.")?;
    let legal = region.contains('-')
        && region
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let china = region.starts_with("cn-") == (domain == "amazonaws.com.cn");
    (is_account(account) && legal && china).then(|| Ecr {
        public: false,
        region: region.to_owned(),
        domain,
    })
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_google(registry: &str) -> bool {
    registry == "gcr.io"
        || registry.strip_suffix(".gcr.io").is_some_and(is_label)
        || registry.strip_suffix("-docker.pkg.dev").is_some_and(is_label)
}

fn is_azure(registry: &str) -> bool {
    registry.strip_suffix(".azurecr.io").is_some_and(is_label)
}

/// One part of a host name, so that nothing else can stand in a URL made of it.
fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests;
