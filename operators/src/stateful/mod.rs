//! Steps that keep state: each in memory in compact form, saved by what changed since the last epoch.

pub mod accumulators;
pub mod bytes;
pub mod grouping;
pub mod join;
