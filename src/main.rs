//! The doorway: parse, run, render a failure, exit. It decides nothing.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    supply_action::cli::run(
        supply_action::cli::Cli::parse(),
        supply_action::environment::captured(),
    )
}
