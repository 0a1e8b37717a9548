//! What `run`, `check`, `test` and `demo` take.

use std::path::PathBuf;

use clap::Args;

use super::pair;

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
    /// With --against: as a start with this flag, which lets what the checkpoints have no state of begin empty.
    #[arg(long, requires = "against")]
    pub(crate) accept_new_state: bool,
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
