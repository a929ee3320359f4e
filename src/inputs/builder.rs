//! The inputs of docker/setup-buildx-action → `Builder`. Pure; it starts nothing.

use std::path::Path;

use super::Problems;
use super::raw::Raw;
use crate::build::builder::{Builder, Config, Created, Driver, Node, Registries, appended_nodes};
use crate::text::lists;

/// The texts of the inputs about the builder.
#[derive(Debug, Default)]
pub(super) struct BuilderTexts {
    pub(super) builder: Option<String>,
    pub(super) driver: Option<String>,
    pub(super) driver_opts: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) buildkitd_flags: Option<String>,
    pub(super) buildkitd_config: Option<String>,
    pub(super) buildkitd_config_inline: Option<String>,
    pub(super) append: Option<String>,
    pub(super) cleanup: Option<String>,
    pub(super) keep_state: Option<String>,
}

impl BuilderTexts {
    pub(super) fn of(raw: &Raw) -> Self {
        Self {
            builder: raw.builder.clone(),
            driver: raw.driver.clone(),
            driver_opts: raw.driver_opts.clone(),
            endpoint: raw.builder_endpoint.clone(),
            buildkitd_flags: raw.buildkitd_flags.clone(),
            buildkitd_config: raw.buildkitd_config.clone(),
            buildkitd_config_inline: raw.buildkitd_config_inline.clone(),
            append: raw.append.clone(),
            cleanup: raw.cleanup.clone(),
            keep_state: raw.keep_state.clone(),
        }
    }
}

pub(super) fn builder(texts: BuilderTexts, problems: &mut Problems) -> Builder {
    if let Some(name) = texts.builder {
        for (input, text) in [
            ("driver", &texts.driver),
            ("builder-endpoint", &texts.endpoint),
            ("append", &texts.append),
        ] {
            if text.is_some() {
                problems.say(
                    input,
                    format_args!("it says how to make a builder, and `builder: {name}` names one that is there; set one of them"),
                );
            }
        }
        return Builder::Existing(name);
    }
    let driver = match texts.driver.as_deref().map(str::trim).map(str::parse) {
        Some(Ok(driver)) => driver,
        Some(Err(error)) => {
            problems.say("driver", error);
            Driver::DockerContainer
        }
        // An address alone is BuildKit's.
        None if texts.endpoint.is_some() => Driver::Remote,
        None => Driver::DockerContainer,
    };
    let mut nodes = vec![Node {
        name: None,
        endpoint: texts.endpoint,
        driver_opts: lists::lines(texts.driver_opts.as_deref().unwrap_or_default()),
        buildkitd_flags: texts.buildkitd_flags,
        platforms: Vec::new(),
    }];
    match texts.append.as_deref().map(appended_nodes) {
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
    let config = match (texts.buildkitd_config, texts.buildkitd_config_inline) {
        (Some(_), Some(_)) => {
            problems
                .say("buildkitd-config", "it and `buildkitd-config-inline` are both set; set one");
            None
        }
        (Some(file), None) if !Path::new(&file).is_file() => {
            problems.say("buildkitd-config", format_args!("there is no file `{file}`"));
            None
        }
        (Some(file), None) => Some(Config::File(file)),
        (None, Some(toml)) => Some(Config::Inline(toml)),
        (None, None) => None,
    };
    let cleanup = problems.switch("cleanup", texts.cleanup.as_deref(), true);
    let keep_state = problems.switch("keep-state", texts.keep_state.as_deref(), false);
    Builder::Created(Created {
        driver,
        nodes,
        config,
        registries: Registries::default(),
        cleanup,
        keep_state,
    })
}

/// TLS files are named in the driver's options; one that is not there fails late and obscurely.
fn check_certificates(nodes: &[Node], problems: &mut Problems) {
    for (option, file) in
        nodes.iter().flat_map(|node| &node.driver_opts).filter_map(|option| option.split_once('='))
    {
        if ["cacert", "cert", "key"].contains(&option) && !Path::new(file).is_file() {
            problems.say("driver-opts", format_args!("`{option}`: there is no file `{file}`"));
        }
    }
}
