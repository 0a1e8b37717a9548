//! The `thalweg` command: reads a job, wires it, runs it, shows it.

use std::process::ExitCode;

use clap::Parser;

mod check;
mod checkpoint;
mod cli;
mod console;
mod demo;
mod duration;
mod folder;
mod functions;
mod http;
mod inspect;
mod job_file;
mod refusal;
mod run;
mod stop;
mod telemetry;
mod wiring;

use cli::{CheckpointCommand, Cli, Command};
use refusal::{End, Refusal};

/// Small allocations of many lengths on few threads are what a job does all day.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let started = std::time::Instant::now();
    let cli = Cli::parse();
    let done = telemetry::start(&cli.telemetry)
        .map_err(Refusal::new)
        .and_then(|()| match &cli.command {
            Command::Run(args) => run::run(args),
            Command::Check(args) => check::check(args),
            Command::Demo(args) => demo::demo(args, started),
            Command::Inspect(args) => inspect::inspect(args),
            Command::Checkpoint(CheckpointCommand::Set(args)) => checkpoint::set(args),
            Command::Checkpoint(CheckpointCommand::Rollback(args)) => checkpoint::rollback(args),
            Command::Functions(args) => functions::functions(args),
            Command::Version => {
                console::line(concat!("thalweg ", env!("CARGO_PKG_VERSION")));
                Ok(End::Clean)
            }
        });
    match done {
        Ok(end) => end.into(),
        Err(refusal) => {
            telemetry::fatal(refusal.message());
            End::Refused.into()
        }
    }
}
