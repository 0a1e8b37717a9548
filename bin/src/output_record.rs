//! The records of an output topic that a record of an input has led to: found by the header that says where they come from.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Body, Micros, Partition, Position};
use thalweg_engine::replay;
use thalweg_engine::row::Value;
use thalweg_engine::source::SourceEvent;
use thalweg_operators::kafka::look;
use thalweg_operators::table::{OpenContext, Table};

use crate::duration;
use crate::replay::runtime;

/// The header that says where a record comes from: `v1;job;query;topic;partition;offset;index`.
pub(crate) const ORIGIN: &str = "thalweg-origin";

/// How much earlier the output's clock may be than the input's.
const SKEW_MILLIS: i64 = 60_000;

/// How long a partition may take to say anything.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A record of the output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Written {
    /// Its place: `topic/partition/offset`.
    pub(crate) record: String,
    pub(crate) timestamp: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    /// Where it says that it comes from.
    pub(crate) origin: String,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) records: Vec<Written>,
    /// Records that were looked at.
    pub(crate) looked_at: u64,
    /// Whether any of them says where it comes from.
    pub(crate) says_origin: bool,
}

/// Looks for the records that begin with this origin among those written since a moment, to the topic's end.
///
/// # Errors
/// When no broker answers, or the topic cannot be read.
pub(crate) fn find(
    table: &Table,
    topic: &str,
    origin: &str,
    since: Option<Micros>,
    context: &OpenContext,
) -> Result<Found, Failure> {
    let millis = since.map_or(0, |since| since / 1_000 - SKEW_MILLIS);
    let extents = look::since(table, topic, millis)?;
    let runtime = runtime()?;
    let source = look::records(table, topic, context)?;
    let looked = source.resolve(None).and_then(|_| {
        runtime.block_on(async {
            let mut found = Found::default();
            for (name, (from, until)) in extents.iter().filter(|(_, (from, until))| from < until) {
                let partition = Arc::new(Partition {
                    input: table.name.as_str().into(),
                    name: name.clone(),
                });
                let (from, until) = (Position::Number(*from), Position::Number(*until));
                let mut stream = source.read(&partition, &from, Some(&until))?;
                loop {
                    let event = tokio::time::timeout(SILENCE_MAX, replay::next(&mut stream)).await;
                    let silent =
                        || Failure::restart(format!("nothing came from {name} for a minute"));
                    match event.map_err(|_| silent())? {
                        Some(SourceEvent::Record(record)) => {
                            found.looked_at += 1;
                            if let Body::Row(row) = &record.body {
                                look_at(row, name, origin, &mut found);
                            }
                        }
                        Some(SourceEvent::CaughtUp(_)) => {}
                        Some(SourceEvent::Failed(failure)) => return Err(failure),
                        Some(SourceEvent::Ended) | None => break,
                    }
                }
            }
            Ok(found)
        })
    });
    source.close();
    looked
}

/// Takes up a record of [`look::RECORD_COLUMNS`] that comes from there.
fn look_at(row: &[Value], partition: &str, origin: &str, found: &mut Found) {
    let [
        key,
        value,
        _,
        _,
        Value::BigInt(offset),
        timestamp,
        _,
        headers,
    ] = row
    else {
        return;
    };
    let Some(said) = header(headers, ORIGIN) else {
        return;
    };
    found.says_origin = true;
    if said.starts_with(origin) {
        found.records.push(Written {
            record: format!("{partition}/{offset}"),
            timestamp: match timestamp {
                Value::Timestamp(micros) => Some(duration::time(*micros)),
                _ => None,
            },
            key: text(key),
            value: text(value),
            origin: said,
        });
    }
}

fn header(headers: &Value, name: &str) -> Option<String> {
    let Value::Array(headers) = headers else {
        return None;
    };
    headers.iter().find_map(|header| match header {
        Value::Struct(parts) => match &parts[..] {
            [Value::String(known), value] if known == name => text(value),
            _ => None,
        },
        _ => None,
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Binary(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}
