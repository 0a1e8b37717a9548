//! What an epoch marker meets.

mod beginning;
mod blocks;
pub mod checkpoint;
pub mod checkpoint_log;
mod committing;
pub mod coordinator;
mod launching;
pub mod ledger;
pub mod measured;
pub mod merging;
pub mod messages;
pub mod retention;
pub mod segment;
pub mod state_chain;
pub mod state_store;
pub mod store;
