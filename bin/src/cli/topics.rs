//! What `verify`, `dlq` and `explain-record` take: commands that look into topics.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::pair;
use crate::verify::Outputs;

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
    /// How many outputs a record has that is not filtered, where the job's steps do not say; 0..1 where other records decide
    /// whether it has one (DISTINCT, QUALIFY, joins).
    #[arg(long, value_name = "N|N..M", default_value = "1")]
    pub(crate) expect: Outputs,
    /// How many faults are listed; all are counted.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u64,
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
    /// Only of this reason, as in `thalweg-error-class`.
    #[arg(long, value_name = "REASON", ignore_case = true, value_parser = ["decode", "expression", "write"])]
    pub(crate) reason: Vec<String>,
    /// Only those that came at or after this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Only those that came before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Only those of this input partition, such as invoices/3, or of this topic.
    #[arg(long, value_name = "TOPIC[/N]")]
    pub(crate) input: Vec<String>,
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
