//! Sources, sinks, formats, expressions and the SQL of Thalweg.
//!
//! Everything with the name of a product or a format lives here. The contracts it implements stand in
//! `thalweg-engine`; nothing here knows an actor or an epoch.

#[cfg(any(feature = "kinesis", feature = "object-store"))]
mod aside;
#[cfg(feature = "avro")]
mod avro;
pub mod checkpoints;
pub mod codecs;
#[cfg(any(feature = "parquet", feature = "orc"))]
mod columnar;
pub mod connect;
pub mod connectors;
pub mod coordinates;
mod exchange;
pub mod expr;
pub mod extensions;
pub mod files;
mod formats;
pub mod hearing;
pub mod job_error;
pub mod kafka;
mod kinesis;
pub mod models;
mod objects;
pub mod plan;
mod secrets;
pub mod sinks;
pub mod sources;
pub mod sql;
pub mod stateful;
pub mod table;
pub mod transforms;
