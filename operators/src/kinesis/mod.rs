//! Kinesis: shards of a stream as partitions, read by polling.
//!
//! `client` is the only room that speaks to the service, on a thread of its own (`crate::aside`), and `fetch` the task that
//! reads one shard there. `settings`, `starting`, `place`, `shards` and `aggregated` decide and touch nothing. All but the
//! manual is there with the feature `kinesis` only.

mod manual;

#[cfg(feature = "kinesis")]
mod aggregated;
#[cfg(feature = "kinesis")]
mod client;
#[cfg(feature = "kinesis")]
mod connect;
#[cfg(feature = "kinesis")]
mod fetch;
#[cfg(feature = "kinesis")]
mod place;
#[cfg(feature = "kinesis")]
mod reader;
#[cfg(feature = "kinesis")]
mod settings;
#[cfg(feature = "kinesis")]
mod shards;
#[cfg(feature = "kinesis")]
mod source;
#[cfg(feature = "kinesis")]
mod starting;
#[cfg(feature = "kinesis")]
mod trouble;

pub(crate) use manual::OPTIONS;

use thalweg_engine::record::Position;

use crate::table::Table;

/// The position behind a record's own: see `place`.
pub(crate) fn behind(record: &Position) -> Option<Position> {
    match record {
        Position::Token(token) => after(token).map(|token| Position::Token(token.into())),
        Position::Number(_) | Position::Row(..) => None,
    }
}

/// The stream that a table reads, and where that is, as far as the table says it.
pub(crate) fn read_by(table: &Table) -> Option<String> {
    let option = |names: &[&str]| {
        let mut given = names.iter().filter_map(|name| table.options.get(name));
        given.next().map(|value| value.trim().to_owned())
    };
    let stream = option(manual::STREAM)?;
    let places = [option(manual::ENDPOINT), option(manual::REGION)];
    let places: Vec<String> = places.into_iter().flatten().collect();
    Some(if places.is_empty() {
        stream
    } else {
        format!("{stream}` at `{}", places.join("` in `"))
    })
}

fn after(token: &str) -> Option<String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match token.split_once('+') {
        Some((sequence, part)) if is_number(sequence) => {
            let part: u32 = part.parse().ok()?;
            Some(format!("{sequence}+{}", part.checked_add(1)?))
        }
        None if is_number(token) => Some(format!("after:{token}")),
        _ => None,
    }
}

#[cfg(feature = "kinesis")]
pub(crate) use {
    connect::check_connect,
    reader::{Fill, Shape},
    settings::Settings,
    source::KinesisSource,
};
