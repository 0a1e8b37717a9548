//! Steps that keep state: each in memory in compact form, saved by what changed since the last epoch.

pub mod accumulators;
#[cfg(test)]
mod adopt_tests;
pub mod aggregate;
pub mod bytes;
pub mod columns;
pub mod contents;
pub mod dedup;
mod families;
mod fetch;
pub mod grid;
pub mod grouping;
mod groups;
mod in_order;
pub mod join;
pub mod keyed_state;
pub mod limit;
#[cfg(test)]
mod model;
pub mod over;
mod pane_changes;
mod panes;
pub mod processor;
mod round;
mod runs;
#[cfg(test)]
mod saving_tests;
mod session;
pub mod sort;
mod sweep;
#[cfg(test)]
mod tests;
