//! The command line: what the user may write, and the texts of `--help`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The exit codes, as the help shows them.
const EXIT_CODES: &str = "\
Exit codes: 0 ended cleanly; 1 something failed after the start; 2 refused before the first record was read (job file, \
option, command line, checkpoint).";

/// The exit codes of an account.
const VERIFY_EXIT_CODES: &str = "\
Exit codes: 0 every record is accounted for; 1 one is missing, doubled, out of place or unexpected; 2 the topics cannot be \
read, or something is wrong in the job or the command line.";

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
#[command(
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
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
    /// What is logged: error, warn, info, debug, trace or off; also by module, as in `info,thalweg_engine=debug`.
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

/// What changes a job without touching its file.
#[derive(Args, Debug, Default)]
pub(crate) struct JobArgs {
    /// The job file.
    #[arg(value_name = "JOB.sql")]
    pub(crate) job: PathBuf,
    /// Give a setting a value, over every SET of that name; `query.name=value` for one query only.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Read JSON lines from a file in place of a table; `-` is stdin.
    #[arg(long, value_name = "TABLE=FILE", value_parser = pair)]
    pub(crate) input: Vec<(String, String)>,
    /// Write JSON lines to a file in place of a table; `-` is stdout.
    #[arg(long, value_name = "TABLE=FILE", value_parser = pair)]
    pub(crate) output: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Where the page, /metrics, /live, /ready and the API are served; `off` for nowhere.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    pub(crate) http: String,
    /// Ask for a token under /api/v1: a file with one token a line, TOKEN or NAME TOKEN, read again when it changes. Without it
    /// only this machine may change something.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Begin anew where there is no checkpoint, although the Kafka group says that this query once had one.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Let a step or an aggregate that the checkpoint has no state of begin empty.
    #[arg(long)]
    pub(crate) accept_new_state: bool,
    /// End all queries when one of them fails.
    #[arg(long)]
    pub(crate) fail_together: bool,
    /// The name of this process among those that share the job (assignment = 'group'), the same after a restart; without it
    /// the name of the machine.
    #[arg(long, value_name = "NAME")]
    pub(crate) member: Option<String>,
    /// Stay up when the job is refused: /live says yes, /ready says why, SIGTERM ends it with the exit code of the refusal.
    /// For supervisors that roll a job out and must be able to undo that. Checkpoints that another process has are not
    /// waited for.
    #[arg(long)]
    pub(crate) hold_on_refusal: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Also ask the brokers: do they answer, are the topics there, may this user read and write them?
    #[arg(long)]
    pub(crate) connect: bool,
    /// Also say what becomes of the state in these checkpoints, of the job or of one query, when the job runs on from them:
    /// kept, new, dropped or refused.
    #[arg(long, value_name = "CHECKPOINTS")]
    pub(crate) against: Option<PathBuf>,
    /// Also say how much memory the steps with state take, of so many different keys. Needs --rate.
    #[arg(long, value_name = "N", requires = "rate", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) keys: Option<u64>,
    /// How many rows a second come, for --keys.
    #[arg(long, value_name = "R", requires = "keys", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) rate: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    /// The job file.
    #[arg(value_name = "JOB.sql")]
    pub(crate) job: PathBuf,
    /// The folder of the test: TABLE.jsonl or TABLE.txt for each input, TABLE.expected.jsonl for each output
    /// (console.expected.jsonl for a SELECT alone).
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Write the expected files instead of comparing with them.
    #[arg(long)]
    pub(crate) update: bool,
    /// Restart the query after every record, from what a checkpoint would hold.
    #[arg(long)]
    pub(crate) restarts: bool,
    /// Give a setting a value, over every SET of that name; `query.name=value` for one query only.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Stop after this many seconds; without it on Ctrl-C.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: Option<u64>,
    /// Where the page, /metrics, /live, /ready and the API are served; `off` for nowhere.
    #[arg(long, value_name = "ADDRESS", default_value = "off")]
    pub(crate) http: String,
    /// Score by rules, also where a model could be used.
    #[arg(long)]
    pub(crate) rules: bool,
    /// Only write transactions to this file as JSON lines, what was planted among them: to train a model with.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seconds", "rules"])]
    pub(crate) transactions: Option<PathBuf>,
    /// How many of them.
    #[arg(long, value_name = "N", default_value_t = 200_000, requires = "transactions",
        value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) count: u64,
    /// Ask for a token under /api/v1: a file with one token a line, TOKEN or NAME TOKEN, read again when it changes. Without it
    /// only this machine may change something.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// How an object store is reached, where no job says it.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StoreArgs {
    /// An option of the object store, such as fs.s3a.endpoint=https://minio:9000; without it the environment's AWS_* and the
    /// like. A value of the form ${NAME} is taken from the environment.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) option: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// A checkpointLocation, or the folder of one query in it; also s3://, gs:// and az://.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Write JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write what lies in the state of the newest checkpoint, each thing as one JSON object on a line; with STEP only of
    /// steps with that in their name. It holds content of records.
    #[arg(long, value_name = "STEP", num_args = 0..=1, default_missing_value = "", conflicts_with = "json")]
    pub(crate) dump: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// Write a new epoch with other positions. The query must be stopped; the next start goes on from there.
    Set(SetArgs),
    /// Write a new epoch that says what a kept one said. The query must be stopped; nothing is deleted.
    Rollback(RollbackArgs),
    /// Copy the checkpoints of a stopped job to another place, a folder or an object store, with all that they name.
    Copy(CopyArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CopyArgs {
    /// A checkpointLocation, or the folder of one query in it; also s3://, gs:// and az://.
    #[arg(value_name = "FROM")]
    pub(crate) from: PathBuf,
    /// Where the same is to lie. Must be empty, or hold what an interrupted copy of the same has left.
    #[arg(value_name = "TO")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// An option of TO, where both are object stores that are reached in different ways; --option is of FROM then.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) to_option: Vec<(String, String)>,
    /// Remove the checkpoints that lie where the copies are to be.
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("move").required(true).multiple(true))]
pub(crate) struct SetArgs {
    /// The folder of one query: checkpointLocation/queryName; also s3://, gs:// and az://.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Every partition to its first record at or after this time: `2026-01-31T12:00:00Z`, `2026-01-31 12:00` (UTC) or
    /// milliseconds since 1970. Needs --job.
    #[arg(long, value_name = "TIME", group = "move", requires = "job", conflicts_with_all = ["to_offset", "skip"])]
    pub(crate) to_time: Option<String>,
    /// One partition to this offset: the next record that is read.
    #[arg(long, value_name = "PARTITION=N", group = "move", value_parser = pair)]
    pub(crate) to_offset: Vec<(String, String)>,
    /// Step over one record: the partition must stand exactly there.
    #[arg(long, value_name = "PARTITION@N", group = "move")]
    pub(crate) skip: Vec<String>,
    /// The job file, whose broker is asked which offsets a time has.
    #[arg(long, value_name = "JOB.sql")]
    pub(crate) job: Option<PathBuf>,
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RollbackArgs {
    /// The folder of one query: checkpointLocation/queryName; also s3://, gs:// and az://.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The kept epoch to go back to; `thalweg inspect DIR` lists them.
    #[arg(value_name = "N")]
    pub(crate) epoch: u64,
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// The brokers, where no job names them.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct BrokerArgs {
    /// Brokers to ask first, separated by commas.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) brokers: Option<String>,
    /// An option of a Kafka table, such as kafka.security.protocol=SASL_SSL. A value of the form ${NAME} is taken from the
    /// environment.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) option: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The input topic; without it all that the job's query reads.
    #[arg(long, value_name = "TOPIC", required_unless_present = "job")]
    pub(crate) input: Option<String>,
    /// The output topic; without it that of the job's query.
    #[arg(long, value_name = "TOPIC", required_unless_present = "job")]
    pub(crate) output: Option<String>,
    /// The topic of the dead letters; without it that of the job's query.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) dead_letters: Option<String>,
    /// The job file: names brokers and topics, and its steps that keep no rows say how many outputs each record has. Without
    /// it a filtered record counts as missing.
    #[arg(long, value_name = "JOB.sql")]
    pub(crate) job: Option<PathBuf>,
    /// Which query of the job; or, without --job, of JOB/QUERY the outputs are, where several write the topic.
    #[arg(long, value_name = "QUERY")]
    pub(crate) query: Option<String>,
    /// The first record: a time, or PARTITION=OFFSET for each partition that is looked at. Without it the first that is
    /// there.
    #[arg(long, value_name = "TIME|PARTITION=N")]
    pub(crate) from: Vec<String>,
    /// The end: a time, or PARTITION=OFFSET of the record behind the last. Without it the end that is there now.
    #[arg(long, value_name = "TIME|PARTITION=N")]
    pub(crate) until: Vec<String>,
    /// Where in the output to begin, as with --from. Without it the whole output is read.
    #[arg(long, value_name = "TIME|PARTITION=N")]
    pub(crate) output_from: Vec<String>,
    /// How many outputs a record has that is not filtered, where the job's steps do not say.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) expect: u32,
    /// How many faults are shown; all are counted.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) show: u64,
    #[command(flatten)]
    pub(crate) brokers: BrokerArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List dead letters: where each comes from, when, and why; and how many there are of each reason.
    List(DlqListArgs),
    /// Show one dead letter: its error, its place, its headers, key and value.
    Show(DlqShowArgs),
    /// Send dead letters again, each once, to the topic that the job's input also reads.
    Replay(DlqReplayArgs),
}

/// Where the dead letters are.
#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("where").required(true).multiple(true))]
pub(crate) struct DlqTopicArgs {
    /// The job file whose `deadLetterTable` is meant.
    #[arg(long, value_name = "JOB.sql", group = "where")]
    pub(crate) job: Option<PathBuf>,
    /// Which query of the job.
    #[arg(long, value_name = "QUERY", requires = "job")]
    pub(crate) query: Option<String>,
    /// The topic, where no job names it.
    #[arg(long, value_name = "TOPIC", group = "where", conflicts_with = "job")]
    pub(crate) topic: Option<String>,
    #[command(flatten)]
    pub(crate) brokers: BrokerArgs,
}

/// Which dead letters.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DlqChoiceArgs {
    /// Only of this reason: decode, expression, write, ... as in `thalweg-error-class`.
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: Vec<String>,
    /// Only those that came at or after this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only those that came before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Only those of this input partition, such as invoices/3, or of this topic.
    #[arg(long, value_name = "TOPIC[/N]")]
    pub(crate) from: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct DlqListArgs {
    #[command(flatten)]
    pub(crate) topic: DlqTopicArgs,
    #[command(flatten)]
    pub(crate) choice: DlqChoiceArgs,
    /// How many are listed; all are counted.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) limit: u64,
    /// Write one JSON object a line, and no summary.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DlqShowArgs {
    /// Which: PARTITION@OFFSET of the dead-letter topic, as `list` shows it.
    #[arg(value_name = "PARTITION@N")]
    pub(crate) place: String,
    #[command(flatten)]
    pub(crate) topic: DlqTopicArgs,
}

#[derive(Args, Debug)]
pub(crate) struct DlqReplayArgs {
    #[command(flatten)]
    pub(crate) topic: DlqTopicArgs,
    #[command(flatten)]
    pub(crate) choice: DlqChoiceArgs,
    /// Only these: PARTITION@OFFSET of the dead-letter topic, as `list` shows it.
    #[arg(long, value_name = "PARTITION@N")]
    pub(crate) only: Vec<String>,
    /// Where to send them. Without it to the retry topic of the topic that each comes from, TOPIC.retry, which the job's
    /// input must read.
    #[arg(long, value_name = "TOPIC", conflicts_with = "to_source")]
    pub(crate) to: Option<String>,
    /// Send each back to the topic that it comes from. Other readers of that topic see it again too.
    #[arg(long)]
    pub(crate) to_source: bool,
    /// How many a second.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// Only say what would be sent.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Send also those of which it cannot be told any more whether they were sent before.
    #[arg(long)]
    pub(crate) accept_doubles: bool,
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct LeaveArgs {
    /// Where the process serves HTTP.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9464")]
    pub(crate) url: String,
    /// Only where this Kubernetes pod goes because its StatefulSet wants fewer pods, else leave it alone: a pod that is replaced
    /// comes back and keeps its partitions. Asks the cluster's API with the pod's service account.
    #[arg(long)]
    pub(crate) if_scaled_down: bool,
    /// A file that holds a token of the job, where it asks for one.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct WhySlowArgs {
    /// Where the job serves HTTP.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9464")]
    pub(crate) url: String,
    /// How many minutes to look back; ten are kept.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(crate) minutes: u32,
    /// How many records to show of each query.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) limit: u32,
    /// Write the job's answer as it is, in JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// A file that holds a token of the job, where it asks for one.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct TopArgs {
    /// Where the job serves HTTP.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:9464")]
    pub(crate) url: String,
    /// Show it once, and end: for a pipe or a file.
    #[arg(long)]
    pub(crate) once: bool,
    /// A file that holds a token of the job, where it asks for one.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The record: `invoices/3/4711` is offset 4711 of partition 3 of the topic `invoices`.
    #[arg(value_name = "TOPIC/PARTITION/OFFSET")]
    pub(crate) record: String,
    /// The job file.
    #[arg(long, value_name = "JOB.sql")]
    pub(crate) job: PathBuf,
    /// The query, where several read the topic.
    #[arg(long, value_name = "NAME")]
    pub(crate) query: Option<String>,
    /// Give a setting a value, over every SET of that name; `query.name=value` for one query only.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Write JSON.
    #[arg(long)]
    pub(crate) json: bool,
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
        _ => Err("write NAME=VALUE".to_owned()),
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
