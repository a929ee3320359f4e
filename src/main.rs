//! The doorway: parse, run, render a failure, exit. It decides nothing.

use std::process::ExitCode;

use clap::Parser as _;

/// musl's own gives memory back to the kernel after every other file, which takes a tenth of the time that an SBOM takes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    supply_action::cli::run(supply_action::cli::Cli::parse(), supply_action::github::environment())
}
