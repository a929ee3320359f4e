//! The action as a workflow runs it: our image from our Dockerfile, in a Docker engine, by a runner
//! that we did not write (act), against the sandbox. A missing program is a failure, never a skip;
//! `make e2e` brings them, each named by an environment variable.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and starts programs"
)]

mod contract;
mod drivers;
mod examples;
mod failures;
mod legs;
mod release;
mod workflow;
mod world;
