//! The command line: what the user may write, and the texts of `--help`.

mod checkpoints;
mod job;
mod served;
mod topics;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use checkpoints::{
    CheckpointCommand, CopyArgs, InspectArgs, RollbackArgs, SetArgs, StoreArgs, UpgradeArgs,
};
pub(crate) use job::{CheckArgs, DemoArgs, JobArgs, RunArgs, TestArgs};
pub(crate) use served::{LeaveArgs, TopArgs, WhySlowArgs};
pub(crate) use topics::{
    BrokerArgs, DlqChoiceArgs, DlqCommand, DlqListArgs, DlqReplayArgs, DlqShowArgs, DlqTopicArgs,
    ExplainArgs, VerifyArgs,
};

/// The exit codes, as the help shows them.
const EXIT_CODES: &str = "\
Exit codes: 0 ended cleanly; 1 something failed after the start; 2 refused before the first record was read (job file, \
option, command line, checkpoint).";

/// The exit codes of an account.
const VERIFY_EXIT_CODES: &str = "\
Exit codes: 0 every record is accounted for, or there is none; 1 one is missing, doubled, out of place or unexpected; 2 the topics cannot be \
read, no output has coordinates, or something is wrong in the job or the command line.";

/// The exit codes of a test.
const TEST_EXIT_CODES: &str = "\
Exit codes: 0 all as expected; 1 something differs, or a query failed; 2 something is wrong in the job or the files.";

/// The exit codes of an explanation.
const EXPLAIN_EXIT_CODES: &str = "\
Exit codes: 0 explained; 1 no checkpoint is kept from before the record, so that only what the output holds is shown; 2 it \
cannot be explained (no such record, another job's checkpoints, no broker).";

const EXAMPLES: &str = "\
Try it without any server:
  thalweg demo --seconds 5

Run a job of your own on a file, and see what comes out:
  thalweg run loyalty.sql --input invoices=sample.jsonl --output notification=-

Check a job, then run it until Ctrl-C or SIGTERM:
  thalweg check loyalty.sql --connect
  thalweg run loyalty.sql

Exit codes: 0 ended cleanly; 1 something failed after the start; 2 refused before the first record was read (job file, \
option, command line, checkpoint).";

/// A continuous-processing, low-latency stream engine: SQL jobs over Kafka, one actor per partition, nothing lost.
#[derive(Debug, Parser)]
#[command(name = "thalweg", version, propagate_version = false, after_help = EXAMPLES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) telemetry: Telemetry,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the process speaks of itself on stderr.
#[derive(Args, Debug)]
#[command(next_help_heading = "Logging")]
pub(crate) struct Telemetry {
    /// How log lines look on stderr: for people, or one JSON object a line.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace or off; also by component, as in `info,thalweg_engine=debug`.
    /// The Kafka client and others that the program is made of only warn unless they are named: `info,kafka=debug`.
    /// Without it the environment's THALWEG_LOG, else info for run and demo, error for the other commands.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

/// The look of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a job until Ctrl-C, SIGTERM, or the end of its inputs.
    #[command(after_help = EXIT_CODES)]
    Run(RunArgs),
    /// Check a job and show its inputs, typed plans, outputs and settings.
    Check(CheckArgs),
    /// Try a job on the files of a folder, in virtual time, and compare what it writes with what is expected.
    #[command(after_help = TEST_EXIT_CODES)]
    Test(TestArgs),
    /// Run the job that comes with the program: made-up card payments, the suspicious ones on the screen.
    Demo(DemoArgs),
    /// Show the checkpoints of a job or a query, and where a restart would go on. Changes nothing.
    Inspect(InspectArgs),
    /// Move a stopped query: to a time, to offsets, over a record, or back to a kept epoch.
    #[command(subcommand, arg_required_else_help = true)]
    Checkpoint(CheckpointCommand),
    /// Account for every record of an input topic: outputs, dead letter or filtered. Needs outputs with coordinates.
    #[command(after_help = VERIFY_EXIT_CODES)]
    Verify(VerifyArgs),
    /// Look at the dead letters of a job, and send them again after a fix.
    #[command(subcommand, arg_required_else_help = true)]
    Dlq(DlqCommand),
    /// Ask a running process to leave those that share its job: it commits, gives its partitions to the others at once, and
    /// ends.
    Leave(LeaveArgs),
    /// Show the slowest records of the last minutes of a running job: where they are, where their time went, and what the
    /// engine was doing meanwhile.
    WhySlow(WhySlowArgs),
    /// Show what a running job does, as its page does, anew each second until Ctrl-C.
    Top(TopArgs),
    /// Explain one record of a Kafka topic: the values of every step, from the newest kept checkpoint before it.
    #[command(after_help = EXPLAIN_EXIT_CODES)]
    ExplainRecord(ExplainArgs),
    /// List the SQL functions, each with an example; with a name, all about one.
    Functions(FunctionsArgs),
    /// Write what a shell needs to complete commands and flags: `source <(thalweg completions bash)`.
    Completions(CompletionsArgs),
    /// Show the version, the features of this build and the commit that it was built from.
    Version,
}

#[derive(Args, Debug)]
pub(crate) struct FunctionsArgs {
    /// A function's name, or a part of one.
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: CompletedShell,
}

/// A shell that completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompletedShell {
    Bash,
    Zsh,
    Fish,
}

/// Splits `name=value`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        Some(_) => Err("something must stand on both sides of the `=`".to_owned()),
        None => Err("it has no `=`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err());
        assert!(pair("=b").is_err());
    }
}
