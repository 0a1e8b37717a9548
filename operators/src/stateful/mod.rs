//! Steps that keep state: each in memory in compact form, saved by what changed since the last epoch.

pub mod accumulators;
pub mod aggregate;
pub mod bytes;
pub mod columns;
pub mod grid;
pub mod grouping;
mod groups;
pub mod keyed_state;
pub mod over;
mod pane_changes;
mod panes;
mod session;
mod sweep;
