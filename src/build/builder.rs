//! Which builder builds: its driver and nodes as `buildx create` commands, and what `buildx
//! inspect` says of it. Pure; it starts nothing.
//!
//! Reference: <https://docs.docker.com/build/builders/drivers/>.

use serde::Deserialize;

use crate::image::Platform;
use crate::text::lists;

/// BuildKit for the `docker-container` driver, by digest: a tag that moves would change what builds
/// run on.
pub const BUILDKIT_IMAGE: &str =
    "moby/buildkit:v0.33.0@sha256:6c2fa84a6b61ccd72899dde4239f8d5717f05f9a8ca6f3cad185fb1a95a94de3";
/// What docker/setup-buildx-action gives a `docker-container` builder, so that `allow:` of a build
/// works the same.
const DEFAULT_FLAGS: &str =
    "--allow-insecure-entitlement security.insecure --allow-insecure-entitlement network.host";

/// The builder a run uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunBuilder {
    /// One that is there, by its name; never changed and never removed.
    Existing(String),
    Created(Created),
}

impl RunBuilder {
    /// For a plan that machines read.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Existing(name) => serde_json::json!({ "name": name }),
            Self::Created(created) => {
                let endpoints: Vec<&str> =
                    created.nodes.iter().filter_map(|node| node.endpoint.as_deref()).collect();
                serde_json::json!({ "driver": created.driver.as_str(), "endpoints": endpoints, "cleanup": created.cleanup })
            }
        }
    }
}

/// A builder of this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub driver: Driver,
    /// At least one.
    pub nodes: Vec<BuilderNode>,
    /// `buildkitd.toml`.
    pub config: Option<BuilderConfig>,
    /// What is told in a `buildkitd.toml` of this run's own, where there is no other.
    pub registries: BuilderRegistries,
    /// Whether it is removed at the end.
    pub cleanup: bool,
    /// Whether its cache is kept when it is removed.
    pub keep_state: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    DockerContainer,
    Remote,
    Kubernetes,
}

impl Driver {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DockerContainer => "docker-container",
            Self::Remote => "remote",
            Self::Kubernetes => "kubernetes",
        }
    }
}

impl std::str::FromStr for Driver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "docker-container" => Ok(Self::DockerContainer),
            "remote" => Ok(Self::Remote),
            "kubernetes" => Ok(Self::Kubernetes),
            "docker" => {
                Err("`docker` cannot push several platforms by digest; use `docker-container`, `remote` or `kubernetes`".to_owned())
            }
            other => Err(format!("`{other}` is none of `docker-container`, `remote`, `kubernetes`")),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuilderConfig {
    File(String),
    Inline(String),
}

/// How BuildKit reaches registries that it could not by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuilderRegistries {
    /// Over plain HTTP.
    pub plain: Vec<String>,
    /// With certificates of CAs of the user's own.
    pub trusted: Vec<String>,
}

impl BuilderRegistries {
    /// As `buildkitd.toml` has it: <https://docs.docker.com/build/buildkit/toml-configuration/>.
    /// buildx copies the file of certificates to the builder.
    pub fn toml(&self, certificates: Option<&str>) -> Option<String> {
        let plain =
            self.plain.iter().map(|host| format!("[registry.{}]\n  http = true\n", quoted(host)));
        let trusted = certificates.into_iter().flat_map(|file| {
            let hosts = self.trusted.iter().filter(|host| !self.plain.contains(host));
            hosts.map(move |host| {
                format!("[registry.{}]\n  ca = [{}]\n", quoted(host), quoted(file))
            })
        });
        let text: String = plain.chain(trusted).collect();
        (!text.is_empty()).then_some(text)
    }
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// One node of a builder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuilderNode {
    pub name: Option<String>,
    pub endpoint: Option<String>,
    pub driver_opts: Vec<String>,
    pub buildkitd_flags: Option<String>,
    pub platforms: Vec<String>,
}

/// An entry of the input `append`, as docker/setup-buildx-action reads it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct AppendedNode {
    name: Option<String>,
    endpoint: Option<String>,
    #[serde(default)]
    driver_opts: OneOrManyNodes,
    buildkitd_flags: Option<String>,
    #[serde(default)]
    platforms: OneOrManyNodes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum OneOrManyNodes {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl OneOrManyNodes {
    fn list(self, split: impl Fn(&str) -> Vec<String>) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(text) => split(&text),
            Self::Many(list) => list,
        }
    }
}

/// Reads the input `append`: more nodes, as YAML.
pub fn appended_nodes(yaml: &str) -> Result<Vec<BuilderNode>, String> {
    let nodes: Vec<AppendedNode> = serde_saphyr::from_str(yaml)
        .map_err(|_| "not a list of nodes in YAML with `name`, `endpoint`, `driver-opts`, `buildkitd-flags`, `platforms`".to_owned())?;
    let made = nodes.into_iter().map(|node| BuilderNode {
        name: node.name,
        endpoint: node.endpoint,
        driver_opts: node.driver_opts.list(lists::lines),
        buildkitd_flags: node.buildkitd_flags,
        platforms: node.platforms.list(lists::words),
    });
    Ok(made.collect())
}

impl Created {
    /// The `buildx create` commands, one a node. `config` is where `buildkitd.toml` lies.
    pub fn commands(&self, name: &str, config: Option<&str>) -> Vec<Vec<String>> {
        self.nodes
            .iter()
            .enumerate()
            .map(|(number, node)| self.command(name, number, node, config))
            .collect()
    }

    fn command(
        &self,
        name: &str,
        number: usize,
        node: &BuilderNode,
        config: Option<&str>,
    ) -> Vec<String> {
        let mut arguments: Vec<String> = ["create", "--name", name].map(str::to_owned).to_vec();
        let mut push =
            |option: &str, value: &str| arguments.extend([option.to_owned(), value.to_owned()]);
        push("--driver", self.driver.as_str());
        if let Some(name) = &node.name {
            push("--node", name);
        }
        let in_docker = self.driver == Driver::DockerContainer;
        if in_docker && !node.driver_opts.iter().any(|option| option.starts_with("image=")) {
            push("--driver-opt", &format!("image={BUILDKIT_IMAGE}"));
        }
        for option in &node.driver_opts {
            push("--driver-opt", option);
        }
        match (&node.buildkitd_flags, self.driver) {
            (Some(flags), Driver::DockerContainer | Driver::Kubernetes) => {
                push("--buildkitd-flags", flags)
            }
            (None, Driver::DockerContainer) => push("--buildkitd-flags", DEFAULT_FLAGS),
            _ => {}
        }
        if !node.platforms.is_empty() {
            push("--platform", &node.platforms.join(","));
        }
        if let Some(config) = config.filter(|_| number == 0) {
            push("--buildkitd-config", config);
        }
        if number > 0 {
            arguments.push("--append".to_owned());
        }
        arguments.extend(node.endpoint.clone());
        arguments
    }

    /// How to remove it.
    pub fn removal(&self, name: &str) -> Vec<String> {
        let mut arguments: Vec<String> = ["rm", "--force", name].map(str::to_owned).to_vec();
        if self.keep_state {
            arguments.push("--keep-state".to_owned());
        }
        arguments
    }
}

/// What `buildx inspect` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspected {
    pub driver: Option<String>,
    /// Of the first node.
    pub buildkit_version: Option<String>,
    /// Of all nodes.
    pub platforms: Vec<Platform>,
    /// Of each node.
    pub nodes: Vec<Vec<Platform>>,
}

/// Reads the text that `buildx inspect --bootstrap` prints.
pub fn inspected(text: &str) -> Inspected {
    let mut found = Inspected::default();
    for (key, value) in text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim(), value.trim()))
    {
        match key {
            "Driver" => found.driver = found.driver.or_else(|| Some(value.to_owned())),
            "BuildKit version" => {
                found.buildkit_version = found.buildkit_version.or_else(|| Some(value.to_owned()))
            }
            "Platforms" => {
                let listed = value.split(',').map(|platform| platform.trim().trim_end_matches('*'));
                let node: Vec<Platform> =
                    listed.filter_map(|platform| platform.parse().ok()).collect();
                found.platforms.extend(node.iter().cloned());
                found.nodes.push(node);
            }
            _ => {}
        }
    }
    found
}

impl Inspected {
    /// The wanted platforms that no node builds, natively or emulated.
    pub fn missing<'a>(&self, wanted: &'a [Platform]) -> Vec<&'a Platform> {
        wanted
            .iter()
            .filter(|wanted| !self.platforms.iter().any(|built| wanted.is_met_by(built)))
            .collect()
    }

    /// Whether each node runs this platform's programs, natively or emulated; a scanner runs on the
    /// node that builds.
    pub fn runs_everywhere(&self, platform: &Platform) -> bool {
        self.nodes.iter().all(|node| node.iter().any(|built| platform.is_met_by(built)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(driver: Driver, nodes: Vec<BuilderNode>) -> Created {
        Created {
            driver,
            nodes,
            config: None,
            registries: BuilderRegistries::default(),
            cleanup: true,
            keep_state: false,
        }
    }

    #[test]
    fn registries_are_told_to_the_builder() {
        let registries = BuilderRegistries {
            plain: vec!["r.lan:5000".into()],
            trusted: vec!["ghcr.io".into(), "r.lan:5000".into()],
        };
        let toml = "[registry.\"r.lan:5000\"]\n  http = true\n[registry.\"ghcr.io\"]\n  ca = [\"/p/ca.pem\"]\n";
        assert_eq!(registries.toml(Some("/p/ca.pem")).as_deref(), Some(toml));
        assert_eq!(
            (
                BuilderRegistries::default().toml(Some("/p/ca.pem")),
                BuilderRegistries::default().toml(None)
            ),
            (None, None)
        );
    }

    #[test]
    fn a_builder_in_docker_is_pinned_by_digest_unless_the_user_names_an_image() {
        let plain = created(Driver::DockerContainer, vec![BuilderNode::default()])
            .commands("b", Some("/p/buildkitd.toml"));
        assert_eq!(plain.len(), 1);
        assert!(
            plain[0].contains(&format!("image={BUILDKIT_IMAGE}"))
                && BUILDKIT_IMAGE.contains("@sha256:"),
            "{plain:?}"
        );
        assert!(
            plain[0].ends_with(&["--buildkitd-config".to_owned(), "/p/buildkitd.toml".to_owned()]),
            "{plain:?}"
        );
        let named = BuilderNode {
            driver_opts: vec!["image=x:1".into(), "network=host".into()],
            buildkitd_flags: Some("--debug".into()),
            ..BuilderNode::default()
        };
        let named = created(Driver::DockerContainer, vec![named]).commands("b", None);
        assert_eq!(
            named[0],
            [
                "create",
                "--name",
                "b",
                "--driver",
                "docker-container",
                "--driver-opt",
                "image=x:1",
                "--driver-opt",
                "network=host",
                "--buildkitd-flags",
                "--debug"
            ]
        );
    }

    #[test]
    fn several_remote_nodes_are_appended() {
        let first = BuilderNode {
            endpoint: Some("tcp://amd:1234".into()),
            driver_opts: vec!["cacert=/ca.pem".into()],
            ..BuilderNode::default()
        };
        let mut nodes = vec![first];
        nodes.extend(
            appended_nodes(
                "- endpoint: tcp://arm:1234\n  name: arm\n  platforms: linux/arm64,linux/arm/v7\n  driver-opts:\n  - cert=/c.pem\n",
            )
            .unwrap(),
        );
        let commands = created(Driver::Remote, nodes).commands("b", None);
        assert_eq!(
            commands[0],
            [
                "create",
                "--name",
                "b",
                "--driver",
                "remote",
                "--driver-opt",
                "cacert=/ca.pem",
                "tcp://amd:1234"
            ]
        );
        #[rustfmt::skip]
        assert_eq!(commands[1], [
            "create", "--name", "b", "--driver", "remote", "--node", "arm", "--driver-opt", "cert=/c.pem", "--platform", "linux/arm64,linux/arm/v7", "--append", "tcp://arm:1234",
        ]);
    }

    #[test]
    fn nodes_that_are_not_nodes_are_refused() {
        for yaml in ["x", "- endpoints: x", "{", "- 1"] {
            appended_nodes(yaml).unwrap_err();
        }
        assert!("docker".parse::<Driver>().unwrap_err().contains("by digest"));
    }

    #[test]
    fn inspect_tells_which_platforms_are_missing() {
        let text = "Name:   b\nDriver: remote\nNodes:\nName: b0\nBuildKit version: v0.33.0\nPlatforms: linux/amd64*, linux/amd64/v2, linux/386\nName: b1\nPlatforms: linux/arm64\n";
        let found = inspected(text);
        assert_eq!(
            (found.driver.as_deref(), found.buildkit_version.as_deref()),
            (Some("remote"), Some("v0.33.0"))
        );
        let wanted = ["linux/amd64", "linux/arm64/v8", "linux/riscv64"]
            .map(|platform| platform.parse().unwrap());
        assert_eq!(found.missing(&wanted), [&wanted[2]]);
        assert!(!found.runs_everywhere(&wanted[0]), "the second node only runs arm64");
        assert!(inspected("Platforms: linux/arm64, linux/amd64*").runs_everywhere(&wanted[0]));
    }
}
