//! What `leave`, `why-slow` and `top` take: commands that ask a running job.

use std::path::PathBuf;

use clap::Args;

/// The job that is asked.
#[derive(Args, Debug)]
pub(crate) struct ServedArgs {
    /// Where the job serves HTTP, as `run --http` says.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9464")]
    pub(crate) url: String,
    /// A file that holds a token of the job, where it asks for one.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct LeaveArgs {
    #[command(flatten)]
    pub(crate) served: ServedArgs,
    /// Only where this Kubernetes pod goes because its StatefulSet wants fewer pods, else leave it alone: a pod that is replaced
    /// comes back and keeps its partitions. Asks the cluster's API with the pod's service account.
    #[arg(long)]
    pub(crate) if_scaled_down: bool,
}

#[derive(Args, Debug)]
pub(crate) struct WhySlowArgs {
    #[command(flatten)]
    pub(crate) served: ServedArgs,
    /// How many minutes to look back; ten are kept.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(crate) minutes: u32,
    /// How many records to show of each query.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) limit: u32,
    /// Write the job's answer as it is, in JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) served: ServedArgs,
    /// Show it once, and end: for a pipe or a file.
    #[arg(long)]
    pub(crate) once: bool,
}
