//! Load generator and crash audit: a user of Kafka that knows nothing of the engine.
//!
//! Exit codes: 0 measured and clean; 1 measured, and something was lost, repeated or too slow; 2 not measured.

mod audit;
mod broker;
mod child;
mod client;
mod compare;
mod crash;
mod document;
mod drain;
mod failure;
mod figures;
mod floor;
mod generator;
mod http;
mod latency;
mod load;
mod members;
mod pauses;
mod payload;
mod produce;
mod proxy;
mod report;
mod require;
mod schedule;
mod soak;
mod stages;
mod target;
mod topics;
mod traffic;
mod transactions;
mod verdict;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures a stream job between two Kafka topics, from outside
#[derive(Parser)]
#[command(name = "thalweg-loadtest", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fill a topic with invoices of about 227 bytes
    Produce(produce::ProduceArgs),
    /// Send at a fixed schedule and measure from the scheduled time to the output
    Latency(latency::LatencyArgs),
    /// A bare librdkafka forwarder between two topics: the least there can be
    Floor(floor::FloorArgs),
    /// Preload a topic and measure how fast a command works it off
    Drain(drain::DrainArgs),
    /// Kill a command (or the broker) under load again and again and account for every key
    Crash(Box<crash::CrashArgs>),
    /// Restart, kill, add and remove members of a shared job under load: how long each partition waits
    Members(Box<members::MembersArgs>),
    /// Run a command under an even load for a long time: what it holds must not grow
    Soak(Box<soak::SoakArgs>),
    /// Measure commands and the floor in turns and show ratios
    Compare(Box<compare::CompareArgs>),
    /// Render results of several runs as one Markdown table
    Report(report::ReportArgs),
    /// A TCP proxy that adds a round trip
    Proxy(proxy::ProxyArgs),
}

fn main() -> ExitCode {
    let clean = |()| true;
    let outcome = match Cli::parse().command {
        Command::Produce(args) => produce::run(&args).map(clean),
        Command::Latency(args) => latency::run(&args),
        Command::Floor(args) => floor::run(&args).map(clean),
        Command::Drain(args) => drain::run(&args).map(clean),
        Command::Crash(args) => crash::run(&args),
        Command::Members(args) => members::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Report(args) => report::run(&args).map(clean),
        Command::Proxy(args) => proxy::run(&args).map(clean),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("thalweg-loadtest: {failure}");
            ExitCode::from(2)
        }
    }
}
