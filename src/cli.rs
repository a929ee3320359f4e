//! The command line: verbs and their arguments, the log, signals, the exit code. It never does a
//! verb's work.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::environment::Environment;
use crate::error::{WithExit, exit, exit_code, with_hint};
use crate::report::{Report, log};
use crate::verbs;

/// Publishes container images only with complete, verified evidence.
///
/// Build (pushed by digest, no tag) → sign → attest → verify from the registry → only then tag.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Option<CliVerb>,
    /// Show the whole plan before the run starts
    #[arg(long, global = true)]
    verbose: bool,
}

const EXIT_CODES: &str = "Exit codes:
  0    done
  1    failed; nothing was tagged, unless the message says that the image is published
  2    invalid input or arguments; nothing was started
  3    some tags were set and others not; run again to complete
  4    no result: a registry or a service gave no answer, or something could not be read
  130  interrupted, 143  terminated; nothing was tagged, or the log says which tags were

Try it on this machine, offline, with your own Dockerfile:
  supply-action rehearse .";

#[derive(Debug, Subcommand)]
enum CliVerb {
    /// Build, sign, attest, verify, tag (the default). Inputs come from INPUT_* and GITHUB_*, as a
    /// workflow runner passes them
    Publish {
        /// An input of action.yml as NAME=VALUE; stands for the variable INPUT_NAME
        #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = verbs::input)]
        inputs: Vec<(String, String)>,
    },
    /// Make one image of what several jobs pushed with `push-by-digest`, then sign, attest, verify,
    /// tag as `publish` does
    Merge {
        /// An input of merge/action.yml as NAME=VALUE; stands for the variable INPUT_NAME
        #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = verbs::input)]
        inputs: Vec<(String, String)>,
    },
    /// Build the targets of bake files together, then sign, attest, verify, tag them all as
    /// `publish` does
    Bake {
        /// An input of bake/action.yml as NAME=VALUE; stands for the variable INPUT_NAME
        #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = verbs::input)]
        inputs: Vec<(String, String)>,
    },
    /// Copy a published image with all its evidence to other repositories, or to an archive and back:
    /// verify it, copy it byte for byte, verify it again there, and only then tag it
    Promote {
        /// The image, as the input `source`: in a registry, or on disk as oci-layout:PATH:NAME
        #[arg(long, value_name = "IMAGE")]
        source: Option<String>,
        /// Where it goes, as the input `destinations`: a repository, or oci-layout:DIR or
        /// oci-layout:FILE.tar on disk
        #[arg(long, value_name = "PLACE")]
        to: Vec<String>,
        /// An input of promote/action.yml as NAME=VALUE; stands for the variable INPUT_NAME
        #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = verbs::input)]
        inputs: Vec<(String, String)>,
    },
    /// Show what an action would do, for this environment or another event, without doing it
    Plan {
        #[command(flatten)]
        arguments: verbs::plan::PlanArguments,
        /// An input of the action as NAME=VALUE
        #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = verbs::input)]
        inputs: Vec<(String, String)>,
    },
    /// Run the whole pipeline on this machine, offline, against a registry and a Sigstore of its
    /// own
    Rehearse(verbs::rehearse::Rehearse),
    /// Check an image in a registry as any consumer would: who signed it, and that every part has
    /// its evidence
    Verify(Box<verbs::verify::VerifyArguments>),
    /// List the packages of an image, wherever it is: in a registry, an OCI layout, a saved
    /// archive, or a directory
    Sbom(verbs::sbom::SbomArguments),
    /// Say which known vulnerabilities an image has, wherever it is, or what an SBOM lists
    ///
    /// Without IMAGE this is the action `scan`: it verifies published images, scans them again, and
    /// signs the new result. Inputs come from INPUT_* and GITHUB_*
    Scan(Box<verbs::scan::ScanArguments>),
    /// List private keys and tokens in the layers and the config of an image, or in the files of a
    /// directory such as a checkout; fail on those whose format says that they are real
    Secrets(Box<verbs::secrets::SecretsArguments>),
    /// Delete images and evidence that no tag leads to any more; images that stay keep all their
    /// parts and evidence; a dry run without --delete
    Prune(verbs::prune::PruneArguments),
    /// Keep advisories on this machine, for scans that ask no service
    Advisories(verbs::advisories::AdvisoriesArguments),
    /// Check a Sigstore bundle about a file or a digest, offline
    VerifyBundle(verbs::verify_bundle::VerifyBundleArguments),
    /// Sign a file or an in-toto statement with an OIDC token, and write the Sigstore bundle
    SignBundle(verbs::sign_bundle::SignBundleArguments),
    /// Serve a registry, an OIDC issuer, Fulcio, Rekor and a timestamp authority on loopback
    Sandbox(verbs::sandbox::SandboxArguments),
    /// Speak BuildKit's SBOM scanner protocol; BuildKit runs this inside the scanner image
    #[command(name = crate::build::scanner::VERB, hide = true)]
    SbomScanner,
}

/// Runs a verb to its end, or until a signal ends it, and tells how it went.
pub fn run(cli: Cli, env: Environment) -> ExitCode {
    start_log(&env);
    let report = Report::new(
        env.get("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
        env.contains_key("NO_COLOR"),
        cli.verbose,
    );
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report.failure(&anyhow::Error::new(error).context("the program could not start"));
            return ExitCode::from(exit::FAILED);
        }
    };
    let verb = cli.verb.unwrap_or(CliVerb::Publish { inputs: Vec::new() });
    let is_summed_up = matches!(
        verb,
        CliVerb::Publish { .. }
            | CliVerb::Merge { .. }
            | CliVerb::Bake { .. }
            | CliVerb::Promote { .. }
            | CliVerb::Verify(_)
    ) || matches!(&verb, CliVerb::Scan(arguments) if arguments.of_action().is_some());
    // What a signal may leave half done, which who sent it cannot see.
    let unfinished = match &verb {
        CliVerb::Prune(arguments) => arguments.unfinished(),
        _ => None,
    };
    let result = runtime.block_on(async {
        // Dropping the verb's future ends its child programs and removes its private files.
        tokio::select! {
            result = dispatch(verb, &env, &report) => result,
            ended = signalled() => match report.is_serving() {
                true => Ok(()),
                false => Err(unfinished.into_iter().map(str::to_owned).fold(ended.into(), with_hint)),
            },
        }
    });
    // A blocking task that still runs must not keep a terminated process alive.
    runtime.shutdown_timeout(Duration::from_millis(500));
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.failure(&error);
            if is_summed_up {
                verbs::ending::failed(&env, &report, &error);
            }
            ExitCode::from(exit_code(&error))
        }
    };
    log::close();
    code
}

async fn dispatch(verb: CliVerb, env: &Environment, report: &Report) -> anyhow::Result<()> {
    match verb {
        CliVerb::Publish { inputs } => verbs::publish::run(&with_inputs(env, inputs), report).await,
        CliVerb::Merge { inputs } => verbs::merge::run(&with_inputs(env, inputs), report).await,
        CliVerb::Bake { inputs } => verbs::bake::run(&with_inputs(env, inputs), report).await,
        CliVerb::Promote { source, to, mut inputs } => {
            inputs.extend(source.map(|source| ("source".to_owned(), source)));
            if !to.is_empty() {
                inputs.push(("destinations".to_owned(), to.join("\n")));
            }
            verbs::promote::run(&with_inputs(env, inputs), report).await
        }
        CliVerb::Plan { arguments, inputs } => {
            verbs::plan::run(&arguments, &with_inputs(env, inputs), report).await
        }
        CliVerb::Rehearse(arguments) => verbs::rehearse::run(&arguments, env, report).await,
        CliVerb::Verify(arguments) => verbs::verify::run(&arguments, env, report).await,
        CliVerb::Sbom(arguments) => verbs::sbom::run(&arguments, env, report).await,
        CliVerb::Scan(arguments) => match arguments.of_action() {
            Some(inputs) => verbs::rescan::run(&with_inputs(env, inputs), report).await,
            None => verbs::scan::run(&arguments, env, report).await,
        },
        CliVerb::Secrets(arguments) => verbs::secrets::run(&arguments, env, report).await,
        CliVerb::Prune(arguments) => verbs::prune::run(&arguments, env, report).await,
        CliVerb::Advisories(arguments) => verbs::advisories::run(&arguments, env, report).await,
        CliVerb::VerifyBundle(arguments) => verbs::verify_bundle::run(&arguments, report),
        CliVerb::SignBundle(arguments) => verbs::sign_bundle::run(&arguments, env, report).await,
        CliVerb::Sandbox(arguments) => verbs::sandbox::run(arguments, report).await,
        CliVerb::SbomScanner => verbs::sbom_scanner::run(env, report),
    }
}

/// The environment with inputs from the command line, which win.
fn with_inputs(env: &Environment, inputs: Vec<(String, String)>) -> Environment {
    let mut env = env.clone();
    env.extend(
        inputs.into_iter().map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), value)),
    );
    env
}

/// Waits for SIGINT or SIGTERM.
async fn signalled() -> WithExit {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => WithExit { code: exit::INTERRUPTED, message: "interrupted".to_owned() },
        _ = terminate.recv() => WithExit { code: exit::TERMINATED, message: "terminated".to_owned() },
    }
}

/// Details for debugging, off unless asked for: `RUST_LOG`, or the runner's "enable debug logging".
fn start_log(env: &Environment) {
    use tracing_subscriber::EnvFilter;
    let filter = match env.get("RUST_LOG") {
        Some(filter) => EnvFilter::new(filter),
        None if env.get("RUNNER_DEBUG").is_some_and(|value| value == "1") => {
            EnvFilter::new("supply_action=debug")
        }
        None => EnvFilter::new("warn"),
    };
    // A second start, in a test, is no failure.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(log::LineWriter::default)
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
