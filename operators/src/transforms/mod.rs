//! Steps without state: they turn one row into none, one or several.

pub(crate) mod closure;
mod event_time;
mod explode;
mod filter;
mod fork;
mod lookup;
mod project;
#[cfg(test)]
pub(crate) mod stage;
mod tables_joined;

pub use closure::Rows;
pub use event_time::EventTime;
pub use explode::{Explode, Generator};
pub use filter::Filter;
pub use fork::Fork;
pub use lookup::{Edition, Lookup, Most, Shelf};
pub use project::{Cell, Project};
pub use tables_joined::TablesJoined;
