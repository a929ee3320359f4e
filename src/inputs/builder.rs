//! The inputs of docker/setup-buildx-action → `RunBuilder`. Pure; it starts nothing.

use std::path::Path;

use super::InputProblems;
use super::texts::InputTexts;
use crate::build::builder::{
    BuilderConfig, BuilderNode, BuilderRegistries, Created, Driver, RunBuilder, appended_nodes,
};
use crate::text::lists;

pub(super) fn builder(given: &InputTexts, problems: &mut InputProblems) -> RunBuilder {
    if let Some(name) = given.owned("builder") {
        for input in ["driver", "builder-endpoint", "append"] {
            if given.get(input).is_some() {
                problems.say(
                    input,
                    format_args!("it makes a builder, but `builder: {name}` uses an existing one; set only one of them"),
                );
            }
        }
        return RunBuilder::Existing(name);
    }
    let driver = match given.get("driver").map(str::trim).map(str::parse) {
        Some(Ok(driver)) => driver,
        Some(Err(error)) => {
            problems.say("driver", error);
            Driver::DockerContainer
        }
        // An address alone is BuildKit's.
        None if given.get("builder-endpoint").is_some() => Driver::Remote,
        None => Driver::DockerContainer,
    };
    let mut nodes = vec![BuilderNode {
        name: None,
        endpoint: given.owned("builder-endpoint"),
        driver_opts: lists::lines(given.get("driver-opts").unwrap_or_default()),
        buildkitd_flags: given.owned("buildkitd-flags"),
        platforms: Vec::new(),
    }];
    match given.get("append").map(appended_nodes) {
        Some(Ok(more)) => nodes.extend(more),
        Some(Err(error)) => problems.say("append", error),
        None => {}
    }
    if driver == Driver::Remote && nodes.iter().any(|node| node.endpoint.is_none()) {
        problems.say(
            "builder-endpoint",
            "driver `remote` needs an address for each node, such as `tcp://buildkit:1234`",
        );
    }
    check_certificates(&nodes, problems);
    let config = match (given.owned("buildkitd-config"), given.owned("buildkitd-config-inline")) {
        (Some(_), Some(_)) => {
            problems
                .say("buildkitd-config", "it and `buildkitd-config-inline` are both set; set one");
            None
        }
        (Some(file), None) if !Path::new(&file).is_file() => {
            problems.say("buildkitd-config", format_args!("there is no file `{file}`"));
            None
        }
        (Some(file), None) => Some(BuilderConfig::File(file)),
        (None, Some(toml)) => Some(BuilderConfig::Inline(toml)),
        (None, None) => None,
    };
    let cleanup = given.switch("cleanup", problems);
    let keep_state = given.switch("keep-state", problems);
    RunBuilder::Created(Created {
        driver,
        nodes,
        config,
        registries: BuilderRegistries::default(),
        cleanup,
        keep_state,
    })
}

/// TLS files are named in the driver's options; one that is not there fails late and obscurely.
fn check_certificates(nodes: &[BuilderNode], problems: &mut InputProblems) {
    for (option, file) in
        nodes.iter().flat_map(|node| &node.driver_opts).filter_map(|option| option.split_once('='))
    {
        if ["cacert", "cert", "key"].contains(&option) && !Path::new(file).is_file() {
            problems.say("driver-opts", format_args!("`{option}`: there is no file `{file}`"));
        }
    }
}
