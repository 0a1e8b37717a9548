//! What a record of the exchange topic holds: its headers, and its value.
//!
//! Headers: `thalweg-origin` `v1;job;query;topic;partition;offset;index` (the last two empty where it is a promise), and
//! `thalweg-prev` `v1;id;offset;index` of the coordinate before it on its way (`v1;id;;` where there is none).
//!
//! Value: a byte 1 for a row or 2 for a promise, a byte of flags, the times that the flags name as zigzag varints (the
//! event time, then the watermark), and of a row its columns as state writes them.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::record::Micros;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::coordinate::Coordinate;
use super::{Exchange, partition_name};
use crate::coordinates::{self, ORIGIN, ORIGIN_C};
use crate::kafka::{Facts, Header, ReadWhole};
use crate::stateful::bytes::{decode_row, encode_row, read_varint, unzigzag, write_varint, zigzag};

pub(super) const PREV: &str = "thalweg-prev";

const ROW: u8 = 1;
const PROMISE: u8 = 2;

const EVENT_TIME: u8 = 1;
const WATERMARK: u8 = 2;
const IDLE: u8 = 4;

/// The columns that stand behind those of the row: what the steps behind need to know of it.
pub(crate) const FACTS: [(&str, DataType); 8] = [
    ("way", DataType::String),
    ("offset", DataType::BigInt),
    ("index", DataType::BigInt),
    ("prev offset", DataType::BigInt),
    ("prev index", DataType::BigInt),
    ("event time", DataType::Timestamp),
    ("watermark", DataType::Timestamp),
    ("idle", DataType::Boolean),
];

/// The facts as fields of a schema.
pub(super) fn facts() -> impl Iterator<Item = Field> {
    FACTS
        .iter()
        .map(|(name, data_type)| Field::nullable(*name, data_type.clone()))
}

/// Appends the value of a row.
pub(super) fn write_row(
    row: &[Value],
    event_time: Option<Micros>,
    watermark: Option<Micros>,
    out: &mut Vec<u8>,
) {
    head(ROW, event_time, watermark, false, out);
    encode_row(row, out);
}

/// Appends the value of a promise.
pub(super) fn write_promise(watermark: Option<Micros>, idle: bool, out: &mut Vec<u8>) {
    head(PROMISE, None, watermark, idle, out);
}

fn head(
    kind: u8,
    event_time: Option<Micros>,
    watermark: Option<Micros>,
    idle: bool,
    out: &mut Vec<u8>,
) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(kind);
    out.push(
        flag(event_time.is_some(), EVENT_TIME)
            | flag(watermark.is_some(), WATERMARK)
            | flag(idle, IDLE),
    );
    for time in [event_time, watermark].into_iter().flatten() {
        write_varint(zigzag(time), out);
    }
}

/// The headers of a record; `way` is `v1;job;query;topic;partition;`.
pub(super) fn headers(
    way: &str,
    id: &str,
    at: Option<Coordinate>,
    before: Option<Coordinate>,
) -> Box<[Header]> {
    let text = |start: &str, separator: &str, at: Option<Coordinate>| -> Arc<[u8]> {
        let mut text = Vec::with_capacity(start.len() + 32);
        text.extend_from_slice(start.as_bytes());
        text.extend_from_slice(separator.as_bytes());
        coordinates::append(at, &mut text);
        Arc::from(text)
    };
    let mut start = String::with_capacity(id.len() + 3);
    start.push_str("v1;");
    start.push_str(id);
    Box::new([
        Header {
            name: SmolStr::new_static(ORIGIN),
            value: Some(text(way, "", at)),
        },
        Header {
            name: SmolStr::new_static(PREV),
            value: Some(text(&start, ";", before)),
        },
    ])
}

/// Reads records of the exchange topic: the columns of the row, then [`FACTS`]. A record of another query gives NULL in
/// all of them.
pub(super) struct Reading {
    exchange: Arc<Exchange>,
    /// Names of ways by `topic;partition`: there are few, and each comes again and again.
    ways: Vec<(Box<str>, SmolStr)>,
}

impl Reading {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self {
            exchange,
            ways: Vec::new(),
        }
    }

    fn way(&mut self, text: &str) -> Option<SmolStr> {
        if let Some((_, way)) = self.ways.iter().find(|(known, _)| **known == *text) {
            return Some(way.clone());
        }
        let (topic, partition) = text.split_once(';')?;
        let way = partition_name(topic, partition);
        self.ways.push((text.into(), way.clone()));
        Some(way)
    }

    /// The way and the coordinate that the origin names; None of it where it is another query's.
    fn origin<'t>(&self, text: &'t str) -> Option<(&'t str, Option<Coordinate>)> {
        let rest = text.strip_prefix("v1;")?;
        let rest = rest.strip_prefix(self.exchange.names.as_str())?;
        let rest = rest.strip_prefix(';')?;
        let (rest, index) = rest.rsplit_once(';')?;
        let (way, offset) = rest.rsplit_once(';')?;
        Some((way, coordinate(offset, index)?))
    }

    /// The coordinate before; None where the record is of another life of the query.
    fn before(&self, text: &str) -> Option<Option<Coordinate>> {
        let rest = text.strip_prefix("v1;")?;
        let rest = rest.strip_prefix(self.exchange.id.get()?.as_str())?;
        let (offset, index) = rest.strip_prefix(';')?.split_once(';')?;
        coordinate(offset, index)
    }
}

/// The coordinate of two numbers; Some(None) where both are empty.
#[allow(
    clippy::option_option,
    reason = "no coordinate is another thing than no number"
)]
fn coordinate(offset: &str, index: &str) -> Option<Option<Coordinate>> {
    if offset.is_empty() && index.is_empty() {
        return Some(None);
    }
    Some(Some(Coordinate {
        offset: offset.parse().ok()?,
        index: index.parse().ok()?,
    }))
}

impl ReadWhole for Reading {
    fn read(&mut self, record: &dyn Facts, row: &mut Row) -> Result<(), RecordError> {
        let width = self.exchange.types.len();
        let text = |name| {
            record
                .header(name)
                .and_then(|text| std::str::from_utf8(text).ok())
        };
        let ours = text(ORIGIN_C)
            .and_then(|text| self.origin(text))
            .zip(text(c"thalweg-prev").and_then(|text| self.before(text)));
        let Some(((way, at), before)) = ours else {
            row.resize(width + FACTS.len(), Value::Null);
            return Ok(());
        };
        let way = self.way(way).ok_or_else(foreign)?;
        let mut bytes = record.value().unwrap_or_default();
        let (kind, flags) = match bytes {
            [kind, flags, rest @ ..] => {
                let head = (*kind, *flags);
                bytes = rest;
                head
            }
            _ => return Err(foreign()),
        };
        let mut time = |flag: u8| -> Result<Value, RecordError> {
            if flags & flag == 0 {
                return Ok(Value::Null);
            }
            let time = read_varint(&mut bytes).ok_or_else(foreign)?;
            Ok(Value::Timestamp(unzigzag(time)))
        };
        let (event_time, watermark) = (time(EVENT_TIME)?, time(WATERMARK)?);
        match (kind, at) {
            (ROW, Some(_)) => {
                row.extend(decode_row(&mut bytes, &self.exchange.types).ok_or_else(foreign)?);
            }
            (PROMISE, None) => row.resize(width, Value::Null),
            _ => return Err(foreign()),
        }
        if !bytes.is_empty() {
            return Err(foreign());
        }
        row.push(Value::String(way));
        for coordinate in [at, before] {
            let number = |number: i64| Value::BigInt(number);
            row.push(coordinate.map_or(Value::Null, |at| number(at.offset)));
            row.push(coordinate.map_or(Value::Null, |at| number(i64::from(at.index))));
        }
        row.extend([event_time, watermark, Value::Boolean(flags & IDLE != 0)]);
        Ok(())
    }
}

fn foreign() -> RecordError {
    RecordError::broken(
        "the exchange topic holds a record that says it is this query's and is none: nobody but the query may write there",
    )
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::sync::OnceLock;

    use super::*;

    struct Record(Vec<u8>, Box<[Header]>);

    impl Facts for Record {
        fn value(&self) -> Option<&[u8]> {
            Some(&self.0)
        }
        fn header(&self, name: &CStr) -> Option<&[u8]> {
            let header = self
                .1
                .iter()
                .find(|h| Ok(h.name.as_str()) == name.to_str())?;
            header.value.as_deref()
        }
    }

    fn reading(id: &str) -> Reading {
        Reading::new(Arc::new(Exchange {
            topic: "j-q-exchange".into(),
            partitions: 2,
            made: false,
            input: "in".into(),
            types: vec![DataType::String, DataType::Int],
            keys: vec![0],
            names: "j;q".into(),
            id: OnceLock::from(SmolStr::new(id)),
        }))
    }

    fn at(offset: i64, index: u32) -> Option<Coordinate> {
        Some(Coordinate { offset, index })
    }

    fn read(record: &Record, id: &str) -> Result<Row, RecordError> {
        let mut row = Row::new();
        reading(id).read(record, &mut row).map(|()| row)
    }

    const WAY: &str = "v1;j;q;in-topic;3;";

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let row = [Value::String("C-1".into()), Value::Null];
        let mut value = Vec::new();
        write_row(&row, Some(-5), Some(9), &mut value);
        let record = Record(value, headers(WAY, "id", at(17, 2), at(16, 0)));
        let origin = record.header(c"thalweg-origin").unwrap();
        assert_eq!(origin, b"v1;j;q;in-topic;3;17;2");
        assert_eq!(record.header(c"thalweg-prev").unwrap(), b"v1;id;16;0");
        let facts = [
            Value::String("in-topic/3".into()),
            Value::BigInt(17),
            Value::BigInt(2),
            Value::BigInt(16),
            Value::BigInt(0),
            Value::Timestamp(-5),
            Value::Timestamp(9),
            Value::Boolean(false),
        ];
        assert_eq!(read(&record, "id").unwrap(), [&row[..], &facts].concat());
    }

    #[test]
    fn a_promise_has_no_coordinate() {
        let mut value = Vec::new();
        write_promise(None, true, &mut value);
        let record = Record(value, headers(WAY, "id", None, None));
        let row = read(&record, "id").unwrap();
        assert_eq!(row[..2], [Value::Null, Value::Null]);
        assert_eq!((&row[3], &row[9]), (&Value::Null, &Value::Boolean(true)));
    }

    #[test]
    fn what_another_query_wrote_is_passed_over_and_what_is_damaged_is_not() {
        let mut value = Vec::new();
        write_row(&[Value::Null, Value::Int(1)], None, None, &mut value);
        let theirs = "v1;j;q2;in-topic;3;";
        for (way, id) in [(theirs, "id"), (WAY, "other")] {
            let record = Record(value.clone(), headers(way, id, at(1, 0), None));
            assert!(read(&record, "id").unwrap().iter().all(Value::is_null));
        }
        assert!(
            read(&Record(value.clone(), Box::new([])), "id")
                .unwrap()
                .iter()
                .all(Value::is_null)
        );
        value.push(0);
        let record = Record(value, headers(WAY, "id", at(1, 0), None));
        assert!(read(&record, "id").is_err());
    }
}
