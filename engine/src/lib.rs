//! Partition actors, epochs and checkpoints.
//!
//! One partition, one actor, one thread of thought: a lane owns its position, its operators, its state and its writer,
//! and a row goes through them by plain function calls. `flow` is what a record meets, `epoch` what a marker meets.

pub mod behalf;
mod claim;
pub mod clock;
pub mod counted;
pub mod elsewhere;
pub mod epoch;
pub mod error;
pub mod flow;
pub mod histogram;
pub mod huge_pages;
mod lanes;
pub(crate) mod launch;
pub mod memory;
pub mod metrics;
pub mod operator;
pub mod plan;
pub mod pull;
pub mod push;
pub mod query;
pub mod record;
pub mod recorder;
mod recovery;
pub mod replay;
pub mod restarts;
mod restoring;
pub mod row;
pub mod schema;
mod share;
pub mod sink;
pub mod source;
pub mod spans;
mod standby;
mod starting;
pub mod state;
pub mod status;
pub mod step_times;
pub mod testing;
mod warming;
pub mod workers;
