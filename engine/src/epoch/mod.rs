//! What an epoch marker meets.

pub mod checkpoint;
pub mod checkpoint_log;
pub mod coordinator;
pub mod ledger;
pub mod messages;
pub mod retention;
pub mod store;
