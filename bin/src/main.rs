//! The `thalweg` command: reads a job, wires it, runs it, shows it.

use std::process::ExitCode;

use clap::Parser;

mod check;
mod checkpoint;
mod cli;
mod console;
mod demo;
mod difference;
mod dump;
mod duration;
mod folder;
mod functions;
mod http;
mod inspect;
mod job_file;
mod memory_limit;
mod numbers;
mod progress;
mod refusal;
mod rehearsal;
mod run;
mod stop;
mod telemetry;
mod test_job;
mod wiring;

use cli::{CheckpointCommand, Cli, Command};
use refusal::{End, Refusal};

/// Small allocations of many lengths on few threads are what a job does all day.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs before `main` and before anything is allocated: what is set here holds for the allocators' first page.
///
/// Huge pages would make every arena of every thread 2 MiB at least. Rust's side allocates with mimalloc; the Kafka
/// client, in C, with the system's allocator, which would give each of its threads an arena that grows by itself and
/// keeps its peak.
#[used]
#[unsafe(link_section = ".init_array.00101")]
static SPARE_MEMORY: extern "C" fn() = {
    extern "C" fn spare_memory() {
        // SAFETY: sets a flag of this process; no memory is passed. Where the kernel refuses, only memory is larger.
        unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
        #[cfg(target_env = "gnu")]
        // SAFETY: sets a limit of the allocator before any other thread lives.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 2)
        };
    }
    spare_memory
};

fn main() -> ExitCode {
    let started = std::time::Instant::now();
    // A file that reaches the limit of sizes (`ulimit -f`) is then an error like a full disk, and kills no job.
    // SAFETY: sets how a signal is treated before any other thread of ours lives.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let cli = Cli::parse();
    // A command that answers and ends has no story to tell beside its answer.
    let level = match cli.command {
        Command::Run(_) | Command::Demo(_) => "info",
        _ => "error",
    };
    let done = telemetry::start(&cli.telemetry, level)
        .map_err(Refusal::new)
        .and_then(|()| match &cli.command {
            Command::Run(args) => run::run(args),
            Command::Check(args) => check::check(args),
            Command::Test(args) => test_job::test(args),
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
