//! What `inspect` and `checkpoint` take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::pair;

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
    /// Write what lies in the state of the newest checkpoint, each thing as one JSON object on a line. It holds content of
    /// records.
    #[arg(long, conflicts_with = "json")]
    pub(crate) dump: bool,
    /// With --dump: only of steps with this in their name.
    #[arg(
        long,
        value_name = "STEP",
        requires = "dump",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) step: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// Write a new epoch with other positions. The query must be stopped; the next start goes on from there.
    Set(SetArgs),
    /// Write a new epoch that says what a kept one said. The query must be stopped; nothing is deleted.
    Rollback(RollbackArgs),
    /// Copy the checkpoints of a stopped job to another place, a folder or an object store, with all that they name.
    Copy(CopyArgs),
    /// Go on in the checkpoint format of this version, which versions before it cannot read. The job must be stopped; nothing is
    /// deleted.
    Upgrade(UpgradeArgs),
}

#[derive(Args, Debug)]
pub(crate) struct UpgradeArgs {
    /// A checkpointLocation, or the folder of one query in it; also s3://, gs:// and az://.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) sure: SureArgs,
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
    #[command(flatten)]
    pub(crate) sure: SureArgs,
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
    #[command(flatten)]
    pub(crate) sure: SureArgs,
}

/// What whoever moves a query is sure of.
#[derive(Args, Debug)]
pub(crate) struct SureArgs {
    /// Do not ask for confirmation.
    #[arg(long)]
    pub(crate) yes: bool,
    /// The job is known to be stopped: where no lock tells, do not wait to see whether it commits an epoch.
    #[arg(long)]
    pub(crate) stopped: bool,
}
