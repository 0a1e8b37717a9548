//! Thalweg as a library: the engine that the `thalweg` command runs, with functions, aggregates, sources, sinks and
//! stateful steps of your own.
//!
//! # A tour
//!
//! A [`Job`] is what runs. It is made of SQL, of [`Pipeline`]s built in Rust, or of both, and it is the same job that the
//! command line runs: the same checks, lanes, checkpoints, restarts and metrics.
//!
//! ```
//! use thalweg::Job;
//! # fn main() -> Result<(), thalweg::Error> {
//! let job = Job::parse(
//!     "CREATE TABLE clicks USING rate OPTIONS (rowsPerSecond '1000');
//!      CREATE TABLE out USING noop;
//!      INSERT INTO out SELECT value, value % 10 AS digit FROM clicks;",
//! )?;
//! println!("{}", job.check()?);
//! # Ok(())
//! # }
//! ```
//!
//! | you want | you write | example |
//! | --- | --- | --- |
//! | a function in the SQL of a job | a closure: [`ScalarFunction`] | `examples/own_function.rs` |
//! | an aggregate in GROUP BY | the state of a group: [`GroupState`] and [`AggregateFunction`] | `examples/own_aggregate.rs` |
//! | an input after USING | [`source::Source`], mostly a [`pull::PullSource`], and a [`Connector`] | `examples/own_source.rs` |
//! | an output after USING | [`sink::Sink`], mostly a [`push::PushSink`], and a [`Connector`] | `examples/own_sink.rs` |
//! | a step with state and timers | [`StatefulProcessor`] | `examples/own_processor.rs` |
//! | no SQL at all | [`Pipeline`] | `examples/pipeline.rs` |
//! | the whole command line, with all that | [`command_line`] | `examples/own_function.rs` |
//!
//! # What flows
//!
//! A [`row::Row`] is a list of [`row::Value`]s in the order of a [`schema::Schema`]. It comes with what is known of its
//! record, a [`record::RecordMeta`]: where it was read, when, its event time. One lane takes the rows of a partition one by
//! one through all steps; nothing that you write needs a lock, and nothing of it may block.
//!
//! # The contracts
//!
//! Each says in its own words when each of its methods is called and what may come next: [`source`], [`sink`],
//! [`StatefulProcessor`]. Two kinds of errors go through all of them ([`error`]): a [`error::RecordError`] is of one record, and the
//! job's `onError` decides what becomes of it; a [`error::Failure`] is of the run, and says whether a new run may help.
//!
//! What you write takes part in what Thalweg promises:
//!
//! - **Nothing is lost.** Your source says a position behind each record; your sink says when what it has taken is safe. A
//!   checkpoint names only positions whose rows are delivered.
//! - **A record is whole.** All outputs and all changes of state of a record stay, or none: `accept` or `reject`.
//! - **State goes on.** What a [`GroupState`] or a [`StatefulProcessor`] keeps is saved by what changed in an epoch, under
//!   a name; a restart, or a changed job, finds it again.
//!
//! The documents of the repository say the rest: `docs/rust.md` for all of this at more length, `docs/guarantees.md` for
//! what is promised, `docs/language.md` for the SQL.

mod at_rest;
mod check;
mod checkpoint;
mod cli;
mod command;
mod completions;
mod console;
mod copying;
mod demo;
mod difference;
mod dlq;
mod dump;
mod duration;
mod explain;
mod explained;
mod folder;
mod functions;
mod hold;
mod http;
mod inspect;
mod job;
mod job_error;
mod job_file;
mod leave;
mod loading;
mod log_lines;
mod member;
mod memory_limit;
mod model_metrics;
mod models;
mod numbers;
mod open_files;
#[cfg(feature = "otel")]
mod otel;
#[cfg(not(feature = "otel"))]
#[path = "otel/absent.rs"]
mod otel;
mod output_record;
mod place;
mod pod;
mod progress;
mod refusal;
mod rehearsal;
mod renewal;
mod replay;
mod run;
mod scoreboard;
mod slow;
mod static_tables;
mod stop;
mod telemetry;
mod test_job;
mod top;
mod topics;
mod upgrading;
mod verify;
mod version;
mod why_slow;
mod wiring;
mod working_set;

pub use smol_str::SmolStr;
pub use thalweg_engine::{error, memory, pull, push, record, row, schema, sink, source, state};
pub use thalweg_operators::connectors::{self, Connector};
pub use thalweg_operators::extensions::{
    AggregateFunction, Extensions, GroupState, ScalarFunction, Signature,
};
pub use thalweg_operators::job_error::{JobError, Location};
pub use thalweg_operators::plan::{Keyed, Pipeline};
pub use thalweg_operators::stateful::processor::{Key, StatefulProcessor, Timer};
pub use thalweg_operators::table;
pub use thalweg_operators::transforms::Rows;

pub use command::command_line;
pub use job::{Ended, Job, QueryEnded, Tested};
pub use job_error::Error;
pub use stop::Stop;
