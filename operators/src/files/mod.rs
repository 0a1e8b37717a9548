//! Folders of files as an input: what is in them and what comes later, file by file in the order of their times.
//!
//! One source serves all formats. A thread, the *walker*, finds files (`listing`, `watch`), remembers those it has
//! seen (`seen`), opens them and decodes them into batches of rows; the lane's stream (`stream`) makes records of
//! these. A format plugs in at one of two places: as a [`format::FileFormat`], which gives the rows of an open file (for
//! formats of blocks), or below it as a [`text::TextCodec`], which cuts text into records and decodes each. Either is a
//! row of [`FORMATS`], and its connector one of `connectors`.

mod clean;
mod columns;
pub mod format;
mod kinds;
pub mod lines;
mod listing;
mod options;
mod pattern;
mod seen;
mod source;
mod stream;
pub mod text;
mod token;
mod unpack;
mod uri;
mod waiting;
mod walker;
mod watch;

pub use columns::{columns, metadata};
pub use options::OPTIONS;
pub use source::open;

use crate::table::OptionSpec;
use format::FormatSpec;

/// The formats, each under the name of its connector.
pub const FORMATS: &[FormatSpec] = &[kinds::TEXT, kinds::JSON];

/// The manual of the connector `text`.
pub const TEXT_OPTIONS: &[OptionSpec] =
    &joined::<{ OPTIONS.len() + kinds::TEXT.options.len() }>(kinds::TEXT.options);

/// The manual of the connector `json`.
pub const JSON_OPTIONS: &[OptionSpec] =
    &joined::<{ OPTIONS.len() + kinds::JSON.options.len() }>(kinds::JSON.options);

/// The options of all formats, then those of one.
const fn joined<const N: usize>(own: &[OptionSpec]) -> [OptionSpec; N] {
    let mut all = [OPTIONS[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < OPTIONS.len() {
            OPTIONS[at]
        } else {
            own[at - OPTIONS.len()]
        };
        at += 1;
    }
    all
}
