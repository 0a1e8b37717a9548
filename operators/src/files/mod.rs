//! Folders of files as an input: what is in them and what comes later, file by file in the order of their times.
//!
//! One source serves all formats, and folders of this machine and of object stores (`depot`). A thread, the *walker*, finds files (`listing`, `watch`), remembers those it has
//! seen (`seen`), opens them and decodes them into batches of rows; the lane's stream (`stream`) makes records of
//! these. A format plugs in at one of two places: as a [`format::FileFormat`], which gives the rows of an open file (for
//! formats of blocks), or below it as a [`text::TextCodec`], which cuts text into records and decodes each. Either is a
//! row of [`FORMATS`], and its connector one of `connectors`.

mod blocks;
mod clean;
mod columns;
#[cfg(test)]
mod config_map;
pub mod content;
mod csv;
mod depot;
mod folder_values;
pub mod format;
#[cfg(test)]
mod goldens;
mod json;
mod kinds;
mod late;
pub mod lines;
mod listing;
mod options;
#[cfg(feature = "orc")]
mod orc_tail;
#[cfg(feature = "orc")]
mod orc_times;
#[cfg(feature = "parquet")]
mod parquet_schema;
#[cfg(feature = "object-store")]
mod patience;
mod pattern;
mod reach;
mod seen;
mod source;
pub(crate) mod spark_log;
mod stream;
pub mod text;
mod token;
mod unpack;
mod uri;
mod waiting;
mod walker;
mod watch;
pub(crate) mod whole;
mod whole_files;

pub use columns::{columns, metadata};
pub use options::OPTIONS;
pub(crate) use reach::reach;
pub use source::{behind, open};

use crate::table::{OptionSpec, joined};
use format::FormatSpec;

/// The formats, each under the name of its connector.
pub const FORMATS: &[FormatSpec] = &[
    kinds::TEXT,
    csv::CSV,
    json::JSON,
    blocks::PARQUET,
    blocks::ORC,
];

/// The manual of the connector `text`.
pub const TEXT_OPTIONS: &[OptionSpec] =
    &joined::<{ OPTIONS.len() + kinds::TEXT.options.len() }>(&[&OPTIONS, kinds::TEXT.options]);

/// The manual of the connector `csv`.
pub const CSV_OPTIONS: &[OptionSpec] =
    &joined::<{ OPTIONS.len() + csv::CSV.options.len() }>(&[&OPTIONS, csv::CSV.options]);

/// The manual of the connector `json`.
pub const JSON_OPTIONS: &[OptionSpec] =
    &joined::<{ OPTIONS.len() + json::JSON.options.len() }>(&[&OPTIONS, json::JSON.options]);

/// The manual of the connector `parquet`.
pub const PARQUET_OPTIONS: &[OptionSpec] = &joined::<
    { OPTIONS.len() + blocks::PARQUET.options.len() },
>(&[&OPTIONS, blocks::PARQUET.options]);

/// The manual of the connector `orc`.
pub const ORC_OPTIONS: &[OptionSpec] =
    &joined::<{ OPTIONS.len() + blocks::ORC.options.len() }>(&[&OPTIONS, blocks::ORC.options]);
