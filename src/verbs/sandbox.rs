//! `supply-action sandbox`: the embedded world as services, until interrupted.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::report::Report;
use crate::sandbox;

/// Arguments of `supply-action sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArguments {
    /// Where state, trusted_root.json, signing_config.json and sandbox.env are kept
    #[arg(long)]
    pub dir: PathBuf,
    /// Delay of every answer, such as 50ms
    #[arg(long, value_parser = duration, default_value = "0ms")]
    pub latency: Duration,
    /// Serve no referrers API, like older registries
    #[arg(long)]
    pub no_referrers: bool,
    /// Let the registry behave as a public one: ghcr, ecr, quay, docker-hub, harbor, artifactory,
    /// gitlab
    #[arg(long)]
    pub habit: Option<sandbox::Habit>,
    /// The registry's port; any free one by default
    #[arg(long)]
    pub registry_port: Option<u16>,
    /// OCI layouts to put into the registry first, under the names their index gives them
    #[arg(long)]
    pub preload: Vec<PathBuf>,
    /// A directory of OSV records (.json, or .jsonl with one a line) that the OSV service has
    /// beside its own few
    #[arg(long, value_name = "DIR")]
    pub advisories: Option<PathBuf>,
}

pub async fn run(arguments: SandboxArguments, report: &Report) -> anyhow::Result<()> {
    // `sandbox.env` is sourced from anywhere, so the paths in it are absolute.
    std::fs::create_dir_all(&arguments.dir)
        .with_context(|| format!("`{}` cannot be made", arguments.dir.display()))?;
    let dir = arguments
        .dir
        .canonicalize()
        .with_context(|| format!("`{}` cannot be entered", arguments.dir.display()))?;
    let mut config = sandbox::SandboxConfig::new(dir.clone());
    config.latency = arguments.latency;
    config.referrers_api = !arguments.no_referrers;
    config.habit = arguments.habit;
    config.registry_port = arguments.registry_port;
    config.preload = arguments.preload;
    config.advisories = arguments.advisories;
    let world = sandbox::start(config).await.context("the sandbox could not start")?;
    report.say(&format!("registry      {}", world.registry()));
    report.say(&format!("OSV service   {}", world.osv()));
    report.say(&format!("trusted root  {}", world.trusted_root().display()));
    report.say(&format!("environment   . {}", dir.join("sandbox.env").display()));
    report.say("ready");
    report.serve();
    std::future::pending::<()>().await;
    Ok(())
}

/// `50ms`, `2s`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as `50ms` or `2s`");
    let (digits, unit) =
        text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        for wrong in ["", "50", "ms", "1h", "-1s"] {
            duration(wrong).unwrap_err();
        }
    }
}
