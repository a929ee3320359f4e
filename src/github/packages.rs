//! The versions of a container package at GitHub: what its registry holds, with and without a name,
//! and since when. No list is taken for whole that is not, and nothing is deleted but by the number
//! that GitHub gave it.
//!
//! Reference: <https://docs.github.com/rest/packages/packages>.

use std::collections::BTreeSet;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;

use super::RunContext;
use super::api::{Api, encoded};
use super::server::Server;
use crate::image::{Digest, Repository, Tag};

const PAGE: usize = 100;
/// Versions that are read, in pages; a package with more is refused rather than half known.
const PAGES: usize = 1000;

/// One version: a manifest that was pushed.
#[derive(Debug, Clone)]
pub struct PackageVersion {
    pub id: u64,
    pub digest: Digest,
    pub tags: BTreeSet<Tag>,
    /// When it was pushed, or last changed.
    pub time: Timestamp,
}

/// One container package.
pub struct ContainerPackage {
    api: Api,
    /// `/orgs/octo/packages/container/app`.
    route: String,
}

/// Where the API of a server's registry is; `None` for registries that are not GitHub's. `known` is
/// the server that runs the workflow.
pub fn api_of(registry: &str, known: &RunContext) -> Option<String> {
    if registry == "ghcr.io" {
        return Some("https://api.github.com".to_owned());
    }
    if Server::of(&known.server_url).registry().as_deref() == Some(registry) {
        return Some(known.api_url.clone());
    }
    let tenant = registry.strip_prefix("containers.").filter(|host| host.ends_with(".ghe.com"))?;
    Some(format!("https://api.{tenant}"))
}

impl ContainerPackage {
    /// The package of this repository, at the API with this address.
    ///
    /// # Errors
    /// Why it cannot be asked about, or whose it is.
    pub async fn of(
        repository: &Repository,
        api_url: &str,
        known: &RunContext,
        token: &SecretString,
    ) -> anyhow::Result<Self> {
        let server_url =
            match api_url.strip_prefix("https://api.").map(|host| host.trim_end_matches('/')) {
                Some(host) if host == "github.com" || host.ends_with(".ghe.com") => {
                    format!("https://{host}")
                }
                _ => known.server_url.clone(),
            };
        let Some((owner, name)) = repository.path().split_once('/') else {
            anyhow::bail!("`{repository}` has no owner, as packages at GitHub have")
        };
        // The package may be of another repository than the run, or of none.
        let context = RunContext {
            repository: Some(format!("{owner}/{name}")),
            api_url: api_url.to_owned(),
            server_url,
            network: known.network.clone(),
            ..RunContext::default()
        };
        let Some(api) = Api::new(&context, Some(token))? else {
            anyhow::bail!("there is no repository to ask about")
        };
        let account = api
            .ask(&format!("/users/{}", encoded(owner)))
            .await
            .map_err(|why| anyhow::anyhow!("who `{owner}` is: {why}"))?;
        let kind = match account["type"].as_str() {
            Some("Organization") => "orgs",
            Some("User") => "users",
            _ => anyhow::bail!(
                "GitHub does not say whether `{owner}` is a person or an organization"
            ),
        };
        let route = format!("/{kind}/{}/packages/container/{}", encoded(owner), encoded(name));
        Ok(Self { api, route })
    }

    /// Every version.
    ///
    /// # Errors
    /// Why they are not known, or not all.
    pub async fn versions(&self) -> Result<Vec<PackageVersion>, String> {
        let mut versions: Vec<PackageVersion> = Vec::new();
        let mut known = BTreeSet::new();
        for page in 1..=PAGES {
            let listed = self
                .api
                .ask(&format!(
                    "{}/versions?package_type=container&per_page={PAGE}&page={page}",
                    self.route
                ))
                .await?;
            let listed = listed.as_array().ok_or("GitHub's answer is not a list of versions")?;
            for version in listed {
                let version = read(version).ok_or("GitHub's answer has a version without a number, a digest, its tags or its time")?;
                if known.insert(version.id) {
                    versions.push(version);
                }
            }
            // A page that is not full could be cut by somebody else than the end.
            if listed.is_empty() {
                return Ok(versions);
            }
        }
        Err(format!(
            "the package has more than {} versions, which is more than is read here",
            PAGE * PAGES
        ))
    }

    /// Takes one version away; `false` when it was not there any more.
    ///
    /// # Errors
    /// Why it is still there, or perhaps.
    pub async fn delete(&self, version: u64) -> Result<bool, String> {
        self.api.delete(&format!("{}/versions/{version}", self.route)).await
    }
}

fn read(version: &Value) -> Option<PackageVersion> {
    let time = |field: &str| version[field].as_str()?.parse::<Timestamp>().ok();
    let tags = version["metadata"]["container"]["tags"].as_array()?;
    Some(PackageVersion {
        id: version["id"].as_u64()?,
        digest: version["name"].as_str()?.parse().ok()?,
        tags: tags.iter().map(|tag| tag.as_str()?.parse().ok()).collect::<Option<_>>()?,
        time: time("created_at")?.max(time("updated_at")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_registry_of_github_has_its_api_and_others_have_none() {
        let known = |server: &str, api: &str| RunContext {
            server_url: server.into(),
            api_url: api.into(),
            ..RunContext::default()
        };
        let outside = known("https://github.com", "https://api.github.com");
        let own = known("https://git.example.com", "https://git.example.com/api/v3");
        for (registry, context, api) in [
            ("ghcr.io", &own, Some("https://api.github.com")),
            (
                "ghcr.io",
                &known("https://github.com", "http://evil.example"),
                Some("https://api.github.com"),
            ),
            ("containers.octo.ghe.com", &outside, Some("https://api.octo.ghe.com")),
            ("containers.git.example.com", &own, Some("https://git.example.com/api/v3")),
            ("containers.git.example.com", &outside, None),
            ("quay.io", &outside, None),
        ] {
            assert_eq!(api_of(registry, context).as_deref(), api, "{registry}");
        }
    }

    #[test]
    fn a_version_is_read_whole_or_not_at_all() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let whole = json!({
            "id": 7, "name": digest, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-02-01T00:00:00Z",
            "metadata": { "package_type": "container", "container": { "tags": ["v1"] } },
        });
        let version = read(&whole).unwrap();
        assert_eq!(
            (version.id, version.tags.len(), version.time),
            (7, 1, "2026-02-01T00:00:00Z".parse().unwrap())
        );
        for field in ["id", "name", "created_at", "updated_at", "metadata"] {
            let mut half = whole.clone();
            half[field] = Value::Null;
            assert!(read(&half).is_none(), "{field}");
        }
        let mut odd = whole;
        odd["metadata"]["container"]["tags"] = json!(["a/b"]);
        assert!(read(&odd).is_none());
    }
}
