//! Stories of expressions: what Spark answers, where errors point, and that nothing panics.

mod ansi;
mod casts;
mod coercion;
mod grammar;
mod names;
mod properties;
mod spark;
