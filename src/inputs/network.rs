//! The inputs `ca-certificates` and `http-registries` → what the builder is told of them, and what
//! a user should know. Whatever reaches the network by itself reads them in `github::network`.

use super::texts::InputTexts;
use super::{InputProblems, Login};
use crate::build::builder::{BuilderRegistries, Created, Driver, RunBuilder};
use crate::environment::Environment;
use crate::github::network::Network;
use crate::github::server::Server;
use crate::image::Repository;

/// What of the run the builder's part depends on.
pub(super) struct NetworkOfRun<'a> {
    pub(super) env: &'a Environment,
    pub(super) network: &'a Network,
    pub(super) server: Server,
    /// As `images` has them.
    pub(super) images: &'a str,
    pub(super) logins: &'a [Login],
}

/// Tells the builder what it must know to reach the registries, where this run makes it.
pub(super) fn equip(
    builder: &mut RunBuilder,
    given: &InputTexts,
    about: &NetworkOfRun<'_>,
    problems: &mut InputProblems,
    notices: &mut Vec<String>,
) {
    if given.get("ca-certificates").is_some()
        && let Err(error) = about.network.client()
    {
        problems.said.push(format!("{error:#}"));
    }
    let plain = plain(given.get("http-registries").unwrap_or_default(), &about.server, problems);
    for registry in &plain {
        notices.push(format!("`{registry}` is reached over plain HTTP: logins and images can be read and changed on the way there"));
    }
    let own_ca = given.get("ca-certificates").is_some();
    if let RunBuilder::Created(created) = &*builder {
        notices.extend(unknown_proxy(created, about.env));
    }
    if plain.is_empty() && !own_ca {
        return;
    }
    match builder {
        RunBuilder::Created(created)
            if created.config.is_none() && created.driver != Driver::Remote =>
        {
            let trusted = if own_ca { registries(about) } else { Vec::new() };
            created.registries = BuilderRegistries { plain, trusted };
        }
        _ => {
            let inputs: Vec<&str> =
                [("`ca-certificates`", own_ca), ("`http-registries`", !plain.is_empty())]
                    .into_iter()
                    .filter(|(_, set)| *set)
                    .map(|(name, _)| name)
                    .collect();
            notices.push(format!(
                "the builder does not get {}, because this run does not make its configuration: \
                 list the registries in its `buildkitd.toml`, with `ca` or `http = true`",
                inputs.join(" and ")
            ));
        }
    }
}

/// Hosts that are named exactly; those whose logins must not be read on the way are refused.
fn plain(text: &str, server: &Server, problems: &mut InputProblems) -> Vec<String> {
    let words = text
        .split(|letter: char| letter == ',' || letter.is_whitespace())
        .filter(|word| !word.is_empty());
    let mut hosts = Vec::new();
    for word in words {
        let host = word.to_ascii_lowercase();
        let is_host = format!("{host}/x")
            .parse::<Repository>()
            .is_ok_and(|repository| repository.registry() == host);
        if !is_host {
            problems.say(
                "http-registries",
                format_args!("`{word}` is not a registry such as `registry.lan:5000`"),
            );
        } else if host == "docker.io" || server.owns(&host) {
            problems.say("http-registries", format_args!("`{word}` is reached over https alone"));
        } else if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// The registries that this run is known to talk to.
fn registries(about: &NetworkOfRun<'_>) -> Vec<String> {
    let of_images = about.images.lines().flat_map(|line| line.split(',')).filter_map(|field| {
        let name = field.trim().trim_start_matches("name=");
        Some(name.parse::<Repository>().ok()?.registry().to_owned())
    });
    let of_logins = about.logins.iter().map(|login| login.registry.clone());
    let mut all: Vec<String> = of_images
        .chain(of_logins)
        .chain(about.server.registry())
        .chain(["docker.io".to_owned()])
        .collect();
    all.sort();
    all.dedup();
    all
}

/// BuildKit in a container of Docker's gets no variable of the job.
fn unknown_proxy(created: &Created, env: &Environment) -> Option<String> {
    let is_set = |name: &&str| env.get(*name).is_some_and(|value| !value.trim().is_empty());
    let variable = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]
        .into_iter()
        .find(|name| is_set(name))?;
    let is_told = created
        .nodes
        .iter()
        .flat_map(|node| &node.driver_opts)
        .any(|option| option.to_ascii_lowercase().contains("_proxy="));
    (created.driver == Driver::DockerContainer && !is_told).then(|| {
        format!(
            "`{variable}` applies to this action and to buildx, but not to BuildKit in its \
             container; `driver-opts: env.{variable}=ADDRESS` sets it there"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_without_tls_are_hosts_that_need_no_secret_of_the_server() {
        let mut problems = InputProblems::default();
        let server = Server::of("https://github.com");
        assert_eq!(
            plain("Registry.lan:5000, 10.0.0.5:5000\nregistry.lan:5000", &server, &mut problems),
            ["registry.lan:5000", "10.0.0.5:5000"]
        );
        assert!(problems.said.is_empty());
        for wrong in [
            "http://registry.lan:5000",
            "registry.lan/x",
            "registry",
            "*.lan",
            "ghcr.io",
            "docker.io",
            "a\"b.lan",
        ] {
            let mut problems = InputProblems::default();
            assert!(
                plain(wrong, &server, &mut problems).is_empty() && problems.said.len() == 1,
                "{wrong}: {:?}",
                problems.said
            );
        }
    }
}
