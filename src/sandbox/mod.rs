//! Makes an embedded world on loopback: registry, OIDC issuer, Fulcio, CT key, Rekor, timestamps,
//! GitHub and advisories; it never uses the program it judges.

mod claims;
mod der;
mod faults;
mod files;
mod fulcio;
mod github;
mod habits;
mod history;
mod keys;
mod merkle;
mod oidc;
mod osv;
mod proposed;
mod registry;
mod rekor;
mod server;
#[cfg(test)]
mod tests;
mod timestamp;
mod x509;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use claims::Claims;
pub use faults::{Fault, FaultEffect, Faults, Request, SandboxService};
pub use habits::Habit;
pub use history::CommitHistory;
pub use osv::OsvHabit;

use faults::held;
use server::ServerEdge;

pub struct SandboxConfig {
    /// Keys, logs, registry content and the three files for clients; a second start on it continues
    /// the same world.
    pub dir: PathBuf,
    /// `false`: the referrers endpoint answers 404 and manifests with a subject get no
    /// `OCI-Subject`.
    pub referrers_api: bool,
    /// The registry behaves as this public one.
    pub habit: Option<Habit>,
    /// Added to every answer of every service.
    pub latency: Duration,
    pub registry_port: Option<u16>,
    /// OCI layouts whose `org.opencontainers.image.ref.name` annotations say the names they get.
    pub preload: Vec<PathBuf>,
    /// OCI layouts that are served whole, names or not, each as the repository of this name.
    pub layouts: Vec<(PathBuf, String)>,
    /// User and password the registry's token endpoint takes; `None` leaves it open.
    pub registry_login: Option<(String, String)>,
    pub claims: Claims,
    /// What GitHub's API says of the repository: its description and its licence (SPDX).
    pub about: Option<(String, String)>,
    /// Whether owners of packages are people; else they are organizations.
    pub owner_is_user: bool,
    /// A folder of OSV records, `.json` or one a line in `.jsonl`, that are served beside the
    /// embedded ones.
    pub advisories: Option<PathBuf>,
}

impl SandboxConfig {
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            referrers_api: true,
            habit: None,
            latency: Duration::ZERO,
            registry_port: None,
            preload: Vec::new(),
            layouts: Vec::new(),
            registry_login: None,
            claims: Claims::default(),
            about: Some(("A container image with evidence".to_owned(), "Apache-2.0".to_owned())),
            owner_is_user: false,
            advisories: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("cannot use file `{}`", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("file `{}` is not the JSON it should be", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("key file `{}` holds no usable key", path.display())]
    Key { path: PathBuf },
    #[error("cannot make {what}")]
    Crypto { what: &'static str },
    #[error("cannot listen on port `{port}` of loopback")]
    Bind { port: u16, source: std::io::Error },
    #[error("OCI layout `{}` is unusable: {reason}", path.display())]
    Layout { path: PathBuf, reason: String },
    #[error("a start-up task ended early")]
    Interrupted,
}

/// A running world; it ends with `stop` or when dropped.
pub struct Sandbox {
    registry: String,
    trusted_root: PathBuf,
    signing_config: PathBuf,
    environment: Vec<(String, String)>,
    faults: Faults,
    issuer: Arc<oidc::Issuer>,
    github: Arc<github::GitHub>,
    osv: Arc<osv::OsvService>,
    osv_address: String,
    log: server::RequestLog,
    servers: Vec<JoinHandle<()>>,
}

impl Sandbox {
    /// Writes the history that GitHub tells.
    pub fn history(&self, write: impl FnOnce(&mut CommitHistory)) {
        write(&mut held(&self.github.history));
    }

    /// The address of the OSV service.
    pub fn osv(&self) -> &str {
        &self.osv_address
    }

    /// From now on the OSV service does this wrong, or nothing.
    pub fn osv_behaves(&self, habit: Option<OsvHabit>) {
        *held(&self.osv.habit) = habit;
    }

    /// Host and port, as in an image name.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    pub fn trusted_root(&self) -> &Path {
        &self.trusted_root
    }

    pub fn signing_config(&self) -> &Path {
        &self.signing_config
    }

    /// The lines of `sandbox.env`.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment.clone()
    }

    /// Another run from now on: its tokens say this. Returns the same facts as its runner exports
    /// them.
    pub fn act_as(&self, claims: Claims) -> Vec<(String, String)> {
        let variables = claims.environment_variables();
        self.issuer.act_as(claims);
        variables
    }

    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Every request seen so far, in the order of their answers.
    pub fn requests(&self) -> Vec<Request> {
        held(&self.log).clone()
    }

    /// Returns when no service listens any more.
    pub async fn stop(mut self) {
        for server in std::mem::take(&mut self.servers) {
            server.abort();
            let _ = server.await;
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

/// Returns when the files are written and every service listens.
#[expect(clippy::too_many_lines, reason = "one line for each file and service that starts")]
pub async fn start(config: SandboxConfig) -> Result<Sandbox, SandboxError> {
    let keys_dir = config.dir.join("keys");
    let rekor_dir = config.dir.join("rekor");
    for directory in [&config.dir, &keys_dir, &rekor_dir] {
        tokio::fs::create_dir_all(directory)
            .await
            .map_err(|source| SandboxError::File { path: directory.clone(), source })?;
    }
    let listeners = Listeners::bind(&config).await?;
    let addresses = listeners.addresses()?;
    let registry_address = listeners.host(SandboxService::Registry)?;
    let faults = Faults::default();
    let making = (keys_dir, rekor_dir, config.claims.clone(), faults.clone());
    let (authorities, addresses) = tokio::task::spawn_blocking(move || {
        let (keys_dir, rekor_dir, claims, faults) = making;
        Authorities::kept_in(&keys_dir, &rekor_dir, &addresses, claims, faults)
            .map(|made| (made, addresses))
    })
    .await
    .map_err(|_| SandboxError::Interrupted)??;
    let registry = registry::SandboxRegistry::open(
        &config,
        registry_address.clone(),
        listeners.host(SandboxService::Storage)?,
    )
    .await?;
    for layout in &config.preload {
        registry.preload(layout).await?;
    }
    for (layout, name) in &config.layouts {
        registry.preload_whole(layout, name).await?;
    }

    let trusted_root = config.dir.join("trusted_root.json");
    let signing_config = config.dir.join("signing_config.json");
    let anchors = authorities.anchors();
    files::write_atomically(
        &trusted_root,
        format!("{:#}\n", files::trusted_root(&addresses, &anchors)).as_bytes(),
    )?;
    files::write_atomically(
        &signing_config,
        format!("{:#}\n", files::signing_config(&addresses, &anchors)).as_bytes(),
    )?;
    let github_address = format!("http://{}", listeners.host(SandboxService::GitHub)?);
    let environment = environment(
        &config,
        &authorities.issuer,
        &registry_address,
        &github_address,
        &trusted_root,
        &signing_config,
        &format!("http://{}", listeners.host(SandboxService::Osv)?),
    );
    files::write_atomically(
        &config.dir.join("sandbox.env"),
        files::shell_exports(&environment).as_bytes(),
    )?;

    let github = Arc::new(github::GitHub::new(config.claims.clone(), config.about.clone()));
    let osv = Arc::new(osv::OsvService::open(config.advisories.as_deref())?);
    let osv_address = format!("http://{}", listeners.host(SandboxService::Osv)?);
    let issuer = authorities.issuer.clone();
    let packages = registry.clone().packages_router();
    let routers = [
        (SandboxService::Storage, registry.clone().storage_router()),
        (SandboxService::Registry, registry.router()),
        (SandboxService::Oidc, authorities.issuer.clone().router()),
        (SandboxService::Fulcio, authorities.fulcio.router()),
        (SandboxService::Rekor, authorities.rekor.router()),
        (SandboxService::Timestamp, authorities.timestamp.router()),
        (SandboxService::GitHub, github.clone().router().merge(packages)),
        (SandboxService::Osv, osv.clone().router()),
    ];
    let log: server::RequestLog = Arc::new(Mutex::new(Vec::new()));
    let servers = listeners.serve(routers, &faults, config.latency, &log);
    Ok(Sandbox {
        registry: registry_address,
        trusted_root,
        signing_config,
        environment,
        faults,
        issuer,
        github,
        osv,
        osv_address,
        log,
        servers,
    })
}

fn environment(
    config: &SandboxConfig,
    issuer: &oidc::Issuer,
    registry: &str,
    github: &str,
    trusted_root: &Path,
    signing_config: &Path,
    osv: &str,
) -> Vec<(String, String)> {
    let mut environment: Vec<(String, String)> = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", issuer.request_url()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", issuer.request_token().to_owned()),
        ("SUPPLY_ACTION_SIGNING_CONFIG", signing_config.display().to_string()),
        ("SUPPLY_ACTION_TRUSTED_ROOT", trusted_root.display().to_string()),
        ("SUPPLY_ACTION_REGISTRY", registry.to_owned()),
        ("SUPPLY_ACTION_OSV_URL", osv.to_owned()),
        ("SIGSTORE_ISSUER", issuer.url().to_owned()),
        ("GITHUB_API_URL", github.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    environment.extend(config.claims.environment_variables());
    environment
}

/// The keys and logs behind the Sigstore services.
struct Authorities {
    issuer: Arc<oidc::Issuer>,
    fulcio: Arc<fulcio::Fulcio>,
    rekor: Arc<rekor::SandboxLog>,
    timestamp: Arc<timestamp::TimestampAuthority>,
}

impl Authorities {
    fn kept_in(
        keys_dir: &Path,
        rekor_dir: &Path,
        addresses: &files::Addresses,
        claims: Claims,
        faults: Faults,
    ) -> Result<Self, SandboxError> {
        let issuer = Arc::new(oidc::Issuer::new(addresses.oidc.clone(), keys_dir, claims, faults)?);
        let fulcio = fulcio::Fulcio {
            authority: x509::SandboxAuthority::kept_in(keys_dir, "fulcio", x509::CODE_SIGNING)?,
            ct_key: keys::LogKey::kept_at(&keys_dir.join("ct-log.p8"))?,
            issuer: issuer.clone(),
        };
        let rekor_key = keys::LogKey::kept_at(&keys_dir.join("rekor.p8"))?;
        let rekor = rekor::SandboxLog::kept_in(rekor_dir, rekor_key, "127.0.0.1".to_owned())?;
        let authority =
            x509::SandboxAuthority::kept_in(keys_dir, "timestamp", x509::TIME_STAMPING)?;
        let (leaf_key, leaf) = authority.timestamp_leaf(keys_dir, "timestamp")?;
        let chain = std::iter::once(leaf).chain(authority.chain).collect();
        let timestamp = timestamp::TimestampAuthority::new(leaf_key, chain)?;
        Ok(Self {
            issuer,
            fulcio: Arc::new(fulcio),
            rekor: Arc::new(rekor),
            timestamp: Arc::new(timestamp),
        })
    }

    fn anchors(&self) -> files::Anchors<'_> {
        files::Anchors {
            rekor: self.rekor.public_der(),
            ct_log: self.fulcio.ct_key.public_der(),
            fulcio_chain: &self.fulcio.authority.chain,
            timestamp_chain: &self.timestamp.chain,
        }
    }
}

/// One socket per service: cosign's Rekor client drops the path of a base URL.
struct Listeners(HashMap<SandboxService, TcpListener>);

impl Listeners {
    const SERVICES: [(SandboxService, &'static str); 8] = [
        (SandboxService::Registry, "registry"),
        (SandboxService::Storage, "storage"),
        (SandboxService::Oidc, "oidc"),
        (SandboxService::Fulcio, "fulcio"),
        (SandboxService::Rekor, "rekor"),
        (SandboxService::Timestamp, "timestamp"),
        (SandboxService::GitHub, "github"),
        (SandboxService::Osv, "osv"),
    ];

    /// Ports of an earlier start are taken again when free, so that issuer and image names stay
    /// true.
    async fn bind(config: &SandboxConfig) -> Result<Self, SandboxError> {
        let path = config.dir.join("ports.json");
        let earlier: HashMap<String, u16> = tokio::fs::read(&path)
            .await
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let mut bound = HashMap::new();
        let mut ports = HashMap::new();
        for (service, name) in Self::SERVICES {
            let fixed = config.registry_port.filter(|_| service == SandboxService::Registry);
            let listener = server::bind(fixed, earlier.get(name).copied()).await?;
            ports.insert(name, port(&listener)?);
            bound.insert(service, listener);
        }
        let text = serde_json::to_vec(&ports)
            .map_err(|source| SandboxError::Json { path: path.clone(), source })?;
        files::write_atomically(&path, &text)?;
        Ok(Self(bound))
    }

    fn host(&self, service: SandboxService) -> Result<String, SandboxError> {
        let listener = self.0.get(&service).ok_or(SandboxError::Interrupted)?;
        Ok(format!("127.0.0.1:{}", port(listener)?))
    }

    fn addresses(&self) -> Result<files::Addresses, SandboxError> {
        let address = |service| Ok(format!("http://{}", self.host(service)?));
        Ok(files::Addresses {
            oidc: address(SandboxService::Oidc)?,
            fulcio: address(SandboxService::Fulcio)?,
            rekor: address(SandboxService::Rekor)?,
            timestamp: address(SandboxService::Timestamp)?,
        })
    }

    fn serve<const N: usize>(
        mut self,
        routers: [(SandboxService, Router); N],
        faults: &Faults,
        latency: Duration,
        log: &server::RequestLog,
    ) -> Vec<JoinHandle<()>> {
        let mut servers = Vec::new();
        for (service, router) in routers {
            if let Some(listener) = self.0.remove(&service) {
                let edge =
                    ServerEdge { service, faults: faults.clone(), latency, log: log.clone() };
                servers.push(server::serve(listener, router, edge));
            }
        }
        servers
    }
}

fn port(listener: &TcpListener) -> Result<u16, SandboxError> {
    listener
        .local_addr()
        .map(|address| address.port())
        .map_err(|source| SandboxError::Bind { port: 0, source })
}
