//! The command line as a function, so that a program with functions and connectors of its own has it too.

use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use clap::error::ErrorKind;
use thalweg_operators::extensions::Extensions;

use crate::cli::{CheckpointCommand, Cli, Command, DlqCommand};
use crate::refusal::{End, Refusal};
use crate::{
    check, checkpoint, completions, console, copying, demo, dlq, explain, functions, inspect,
    leave, open_files, run, stop, telemetry, test_job, top, upgrading, verify, version, why_slow,
};

/// The whole command line of `thalweg` (`run`, `check`, `test`, `inspect` and the rest), for jobs that may also use these
/// extensions. A program's `main` ends with it.
///
/// It sets the signals and the log of the process, and ends the process by itself: threads of client libraries may still run,
/// and exit handlers would take from them what they use.
pub fn command_line(extensions: Extensions) -> ! {
    let started = Instant::now();
    let extensions = Arc::new(extensions);
    // A file that reaches the limit of sizes (`ulimit -f`) is then an error like a full disk, and kills no job.
    // SAFETY: sets how a signal is treated before any other thread of ours lives.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    open_files::raise();
    let cli = Cli::try_parse().unwrap_or_else(|told| said(&told));
    // A command that answers and ends has no story to tell beside its answer.
    let level = match cli.command {
        Command::Run(_) | Command::Demo(_) => "info",
        _ => "error",
    };
    let done = telemetry::start(&cli.telemetry, level)
        .map_err(Refusal::new)
        .and_then(|()| match &cli.command {
            Command::Run(args) => run::run(args, &extensions),
            Command::Check(args) => check::check(args, &extensions),
            Command::Test(args) => test_job::test(args, &extensions),
            Command::Demo(args) => demo::demo(args, started),
            Command::Inspect(args) => inspect::inspect(args),
            Command::Checkpoint(CheckpointCommand::Set(args)) => checkpoint::set(args, &extensions),
            Command::Checkpoint(CheckpointCommand::Rollback(args)) => checkpoint::rollback(args),
            Command::Checkpoint(CheckpointCommand::Copy(args)) => copying::copy(args),
            Command::Checkpoint(CheckpointCommand::Upgrade(args)) => upgrading::upgrade(args),
            Command::Verify(args) => verify::verify(args, &extensions),
            Command::Dlq(DlqCommand::List(args)) => dlq::list(args, &extensions),
            Command::Dlq(DlqCommand::Show(args)) => dlq::show(args, &extensions),
            Command::Dlq(DlqCommand::Replay(args)) => dlq::replay(args, &extensions),
            Command::Leave(args) => leave::leave(args),
            Command::WhySlow(args) => why_slow::why_slow(args),
            Command::Top(args) => top::top(args),
            Command::ExplainRecord(args) => explain::explain(args, &extensions),
            Command::Functions(args) => functions::functions(args, &extensions),
            Command::Completions(args) => Ok(completions::completions(args)),
            Command::Version => Ok(version::version()),
        });
    let end = done.unwrap_or_else(|refusal| {
        telemetry::fatal(refusal.message());
        End::Refused
    });
    leave_well(end)
}

/// What the command line alone says: help, the version, or what is wrong with it.
fn said(told: &clap::Error) -> ! {
    match told.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            console::note(told.print());
            leave_well(End::Clean)
        }
        _ => told.exit(),
    }
}

/// Ends the process; nothing is well that could not be said.
fn leave_well(end: End) -> ! {
    let unwritten = console::unwritten().filter(|_| end == End::Clean);
    stop::leave(unwritten.map_or(end, |why| {
        telemetry::fatal(&format!("stdout cannot be written: {why}"));
        End::Failed
    }))
}
