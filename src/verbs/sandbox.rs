//! `supply-action sandbox`: the embedded world as services, until interrupted.

use anyhow::Context as _;

use crate::cli::Sandbox;
use crate::report::Report;
use crate::sandbox;

pub async fn run(arguments: Sandbox, report: &Report) -> anyhow::Result<()> {
    let mut config = sandbox::Config::new(arguments.dir.clone());
    config.latency = arguments.latency;
    config.referrers_api = !arguments.no_referrers;
    config.registry_port = arguments.registry_port;
    config.preload = arguments.preload;
    let world = sandbox::start(config).await.context("the sandbox could not start")?;
    report.say(&format!("registry      {}", world.registry()));
    report.say(&format!("trusted root  {}", world.trusted_root().display()));
    report.say(&format!("environment   . {}", arguments.dir.join("sandbox.env").display()));
    report.say("ready");
    std::future::pending::<()>().await;
    Ok(())
}
