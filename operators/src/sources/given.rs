//! The lines of a test: what stands in the place of a table while its job is tried in virtual time.
//!
//! `table.jsonl` holds an object a line. Of a table with columns it is the value, decoded as the table says; of any other
//! (`kafka` without columns, `rate`, `socket`) its members are the table's columns, BINARY as text. Two members are the
//! test's own: `_at` says when the record comes (`2026-01-01 00:00:08`, or `+8 seconds` after the line before), and
//! `_metadata` holds the record's facts, such as `{"key": "4711"}`. What is not given is made up: no key, the table's name
//! as the topic, partition 0, the line's number from 0 as the offset, and the time of the clock. A line `null` is a null value.
//! `table.txt` holds a value a line, as it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value as Json};
use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::record::{
    Body, Micros, Original, Partition, Position, Raw, Record, RecordMeta, Skip,
};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field, Schema};

use super::file::default_mode;
use super::kafka::DELETED;
use crate::codecs::json::{self, JsonOptions};
use crate::codecs::{Decoded, Decoder, Mode, text};
use crate::formats::{Format, value_decoder};
use crate::plan::Input;
use crate::table::{OpenContext, parse_duration};

/// The member that says when a record comes.
const AT: &str = "_at";
/// The member that holds the facts of a record.
const METADATA: &str = "_metadata";

/// Reads a file in the place of an input: its records in order, each with the time at which it comes. The first comes at
/// `start` where it says nothing else.
///
/// # Errors
/// `Refuse` for a file that cannot be read, and for a line that says no time where it should.
pub fn read(
    input: &Input,
    path: &Path,
    context: &OpenContext,
    start: Micros,
) -> Result<Vec<Record>, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::refuse(format!("{} cannot be read: {error}", path.display())))?;
    let is_text = path.extension().is_some_and(|kind| kind == "txt");
    let mut lines = Lines::new(input, context, is_text)?;
    let mut clock = start;
    let mut records = Vec::new();
    // The last line ends as all do; what follows its end is no line.
    let whole = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let all = whole.split(|byte| *byte == b'\n').enumerate();
    for (number, line) in all.take_while(|_| !bytes.is_empty()) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !is_text && line.trim_ascii().is_empty() {
            continue;
        }
        let place = || format!("{}:{}", path.display(), number + 1);
        let object = if is_text { None } else { object(line) };
        clock = lines
            .time(object.as_ref(), clock)
            .map_err(|why| Failure::refuse(format!("{}: {why}", place())))?;
        let count = records.len();
        let mut record = lines.record(line, object, clock, count);
        if let Body::Bad(error) = &mut record.body {
            error.reason = format!("{}: {}", place(), error.reason).into();
        }
        records.push(record);
    }
    Ok(records)
}

fn object(line: &[u8]) -> Option<Map<String, Json>> {
    match serde_json::from_slice(line) {
        Ok(Json::Object(object)) => Some(object),
        _ => None,
    }
}

/// Rows that were written, a line of JSON each, bytes as text where they are UTF-8.
///
/// # Errors
/// `Refuse` for a column that JSON has no form for.
pub fn lines(rows: &[Row], schema: &Schema, context: &OpenContext) -> Result<Vec<String>, Failure> {
    for field in schema.fields.iter() {
        if let Some(why) = json::unsupported(&field.data_type) {
            let why = format!("the column `{}` cannot be compared: {why}", field.name);
            return Err(Failure::refuse(why));
        }
    }
    let shown: Vec<Field> = schema
        .fields
        .iter()
        .map(|field| Field::nullable(field.name.clone(), textual(&field.data_type)))
        .collect();
    let options = JsonOptions::of(context, "");
    let mut encoder = json::encoder_with(&Schema::new(shown), &options);
    rows.iter()
        .map(|row| {
            let row: Row = row.iter().cloned().map(legible).collect();
            let mut line = Vec::new();
            encoder
                .encode(&row, &mut line)
                .map_err(|error| Failure::end(error.to_string()))?;
            Ok(String::from_utf8_lossy(&line).into_owned())
        })
        .collect()
}

/// A value with its bytes as text: as it is where it is UTF-8, else in base64.
fn legible(value: Value) -> Value {
    match value {
        Value::Binary(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => Value::from(text),
            Err(_) => Value::from(BASE64.encode(&bytes).as_str()),
        },
        Value::Array(items) => Value::Array(items.iter().cloned().map(legible).collect()),
        Value::Struct(parts) => Value::Struct(parts.iter().cloned().map(legible).collect()),
        Value::Map(pairs) => Value::Map(
            pairs
                .iter()
                .map(|(key, value)| (key.clone(), legible(value.clone())))
                .collect(),
        ),
        value => value,
    }
}

/// What a wanted column is.
enum Wanted {
    /// The next column of the decoder.
    Decoded,
    /// The fact at this place.
    Fact(usize),
}

/// How lines become records of one table.
struct Lines {
    table: SmolStr,
    options: JsonOptions,
    /// How many columns are decoded from the value; behind them stand the facts.
    declared: usize,
    /// The facts that there are. The metadata of a table that shows them as columns too are the same.
    known: Vec<Field>,
    /// What each wanted column is.
    wanted: Vec<Wanted>,
    is_text: bool,
    /// Decodes the wanted ones of the declared columns.
    decoder: Option<Box<dyn Decoder>>,
    /// Decodes facts, bytes as text.
    facts: Box<dyn Decoder>,
    times: Box<dyn Decoder>,
}

impl Lines {
    fn new(input: &Input, context: &OpenContext, is_text: bool) -> Result<Self, Failure> {
        let table = input.table();
        let fields = input.fields()?;
        let columns = table.columns.clone().unwrap_or_default();
        let declared = columns.len();
        let options = JsonOptions::of(context, &table.name);
        let decoded: Vec<usize> = input
            .wanted()
            .iter()
            .copied()
            .filter(|place| *place < declared)
            .collect();
        let given = table.options.get("mode");
        let mode = given.map_or_else(|| default_mode(table), Mode::of_word);
        let is_csv = Format::of(table) == Some(Format::Csv);
        let made = |format| {
            value_decoder(table, format, &columns, &decoded, mode, context.time_zone)
                .map_err(|error| Failure::refuse(error.message))
        };
        let decoder = match (declared, is_text) {
            (0, _) => None,
            (_, true) if is_csv => Some(made(Format::Csv)?()),
            (_, true) => {
                if let Some(why) = text::unsupported(&columns) {
                    return Err(Failure::refuse(format!(
                        "`{}` cannot be read from a .txt file: {why}",
                        table.name
                    )));
                }
                Some(text::decoder(&decoded, mode))
            }
            (_, false) if is_csv => Some(json::decoder(&columns, &decoded, mode, &options)),
            (_, false) => Some(made(Format::Json)?()),
        };
        let mut known: Vec<Field> = Vec::new();
        for field in &fields[declared..] {
            if !known.iter().any(|other| other.name == field.name) {
                known.push(field.clone());
            }
        }
        let wanted = input.wanted().iter().map(|place| {
            let name = fields.get(*place).map(|field| &field.name);
            match known.iter().position(|field| Some(&field.name) == name) {
                Some(fact) if *place >= declared => Wanted::Fact(fact),
                _ => Wanted::Decoded,
            }
        });
        let wanted = wanted.collect();
        let facts: Vec<Field> = known
            .iter()
            .map(|field| Field::nullable(field.name.clone(), textual(&field.data_type)))
            .collect();
        let all: Vec<usize> = (0..facts.len()).collect();
        let at = [Field::nullable(AT, DataType::Timestamp)];
        Ok(Self {
            table: SmolStr::new(&table.name),
            facts: json::decoder(&facts, &all, Mode::FailFast, &options),
            times: json::decoder(&at, &[0], Mode::FailFast, &options),
            options,
            declared,
            known,
            wanted,
            is_text,
            decoder,
        })
    }

    /// When the record comes.
    fn time(
        &mut self,
        object: Option<&Map<String, Json>>,
        clock: Micros,
    ) -> Result<Micros, String> {
        let Some(at) = object.and_then(|object| object.get(AT)) else {
            return Ok(clock);
        };
        let step = at.as_str().and_then(|text| text.strip_prefix('+'));
        let time = match step {
            Some(step) => parse_duration(step)
                .and_then(|step| Micros::try_from(step.as_micros()).ok())
                .map(|step| clock.saturating_add(step)),
            None => {
                let mut row = Row::new();
                let text = serde_json::json!({ AT: at }).to_string();
                match self.times.decode(text.as_bytes(), &mut row) {
                    Ok(Decoded::Row) => match row.first() {
                        Some(Value::Timestamp(time)) => Some(*time),
                        _ => None,
                    },
                    _ => None,
                }
            }
        };
        match time {
            None => Err(format!(
                "`{AT}` takes a time such as \"2026-01-01 00:00:08\" or a step such as \"+8 seconds\", not {at}"
            )),
            Some(time) if time < clock => Err(format!(
                "`{AT}` goes back: lines stand in the order of time"
            )),
            Some(time) => Ok(time),
        }
    }

    fn record(
        &mut self,
        line: &[u8],
        object: Option<Map<String, Json>>,
        clock: Micros,
        number: usize,
    ) -> Record {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let mut partition = 0;
        let body = match self.row(line, object, clock, number, &mut partition) {
            Ok(Some(row)) => Body::Row(row),
            Ok(None) if self.declared > 0 && line.trim_ascii() == b"null" => {
                Body::Skipped(Skip::Tombstone)
            }
            Ok(None) => Body::Skipped(Skip::Malformed),
            Err(error) => Body::Bad(Box::new(error)),
        };
        Record {
            meta: RecordMeta {
                partition: Arc::new(Partition {
                    input: self.table.clone(),
                    name: format_smolstr!("{}/{partition}", self.table),
                }),
                position: Position::Number(number),
                record_time: Some(clock),
                event_time: None,
                watermark: None,
                taken_at: clock,
                taken: Instant::now(),
            },
            next: Position::Number(number + 1),
            body,
            size: u32::try_from(line.len()).unwrap_or(u32::MAX),
            raw: Some(Original::own(Line(line.to_vec()))),
        }
    }

    /// The row of a line; None where there is none.
    fn row(
        &mut self,
        line: &[u8],
        object: Option<Map<String, Json>>,
        clock: Micros,
        number: i64,
        partition: &mut i32,
    ) -> Result<Option<Row>, RecordError> {
        let facts = match object {
            Some(mut object) if self.declared > 0 => match object.remove(METADATA) {
                Some(Json::Object(facts)) => facts,
                _ => Map::new(),
            },
            Some(object) => object,
            None if self.declared == 0 && !self.is_text => {
                return Err(RecordError::decode(
                    "not a JSON object, which a test of this table takes",
                ));
            }
            None => Map::new(),
        };
        let mut decoded = Row::new();
        if let Some(decoder) = &mut self.decoder {
            if !self.is_text && line.trim_ascii() == b"null" {
                return Ok(None);
            }
            if decoder.decode(line, &mut decoded)? == Decoded::Dropped {
                return Ok(None);
            }
        }
        let facts = self.facts(&facts, line, clock, number)?;
        if let Some(Value::Int(given)) = self.fact(&facts, "partition") {
            *partition = *given;
        }
        let mut decoded = decoded.into_iter();
        let row = self.wanted.iter().map(|wanted| match wanted {
            Wanted::Decoded => decoded.next().unwrap_or_default(),
            Wanted::Fact(fact) => facts.get(*fact).cloned().unwrap_or_default(),
        });
        Ok(Some(row.collect()))
    }

    fn fact<'f>(&self, facts: &'f Row, name: &str) -> Option<&'f Value> {
        let place = self.known.iter().position(|field| field.name == name)?;
        facts.get(place)
    }

    /// The record's facts, in the order of their fields: given or made up.
    fn facts(
        &mut self,
        given: &Map<String, Json>,
        line: &[u8],
        clock: Micros,
        number: i64,
    ) -> Result<Row, RecordError> {
        let fields = &self.known;
        let unknown = given
            .keys()
            .find(|name| *name != AT && !fields.iter().any(|field| field.name == name.as_str()));
        if let Some(name) = unknown {
            return Err(RecordError::decode(format!(
                "the table `{}` has no `{name}`",
                self.table
            )));
        }
        let mut row = Row::new();
        let text = Json::Object(given.clone()).to_string();
        self.facts.decode(text.as_bytes(), &mut row)?;
        let whole = if self.is_text && self.declared == 0 {
            Some(
                std::str::from_utf8(line)
                    .map_err(|_| RecordError::decode("not text: the bytes are not UTF-8"))?,
            )
        } else {
            None
        };
        for (field, value) in fields.iter().zip(row.iter_mut()) {
            if let (Some(line), "value" | "data") = (whole, field.name.as_str()) {
                *value = Value::from(line);
            }
            if value.is_null() && !given.contains_key(field.name.as_str()) {
                *value = made_up(field, &self.options.table, clock, number);
            }
            *value = bytes(std::mem::take(value), &field.data_type);
        }
        Ok(row)
    }
}

/// A fact that the line does not give.
fn made_up(field: &Field, table: &str, clock: Micros, number: i64) -> Value {
    match (field.name.as_str(), &field.data_type) {
        ("topic", DataType::String) => Value::from(table),
        ("partition" | "timestampType", DataType::Int) => Value::Int(0),
        ("offset" | "value", DataType::BigInt) => Value::BigInt(number),
        ("timestamp" | "file_modification_time", DataType::Timestamp) => Value::Timestamp(clock),
        ("file_path" | "file_name", DataType::String) => Value::from(table),
        ("file_size" | "file_block_start" | "file_block_length", DataType::BigInt) => {
            Value::BigInt(0)
        }
        ("row_index", DataType::BigInt) => Value::BigInt(number),
        (DELETED, DataType::Boolean) => Value::Boolean(false),
        ("streamName", DataType::String) => Value::from(table),
        ("sequenceNumber", DataType::String) => Value::from(number.to_string().as_str()),
        ("approximateArrivalTimestamp", DataType::Timestamp) => Value::Timestamp(clock),
        _ => Value::Null,
    }
}

/// A type with text in the place of bytes.
fn textual(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Binary => DataType::String,
        DataType::Array(element) => DataType::Array(Arc::new(textual(element))),
        DataType::Map(pair) => DataType::Map(Arc::new((pair.0.clone(), textual(&pair.1)))),
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| Field::nullable(field.name.clone(), textual(&field.data_type)))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// A value whose type was [`textual`], with its bytes again.
fn bytes(value: Value, data_type: &DataType) -> Value {
    match (value, data_type) {
        (Value::String(text), DataType::Binary) => Value::Binary(text.as_bytes().into()),
        (Value::Array(items), DataType::Array(element)) => Value::Array(
            items
                .iter()
                .map(|item| bytes(item.clone(), element))
                .collect(),
        ),
        (Value::Struct(parts), DataType::Struct(fields)) => Value::Struct(
            parts
                .iter()
                .zip(fields.iter())
                .map(|(part, field)| bytes(part.clone(), &field.data_type))
                .collect(),
        ),
        (value, _) => value,
    }
}

/// The original of a record.
struct Line(Vec<u8>);

impl Raw for Line {
    fn key(&self) -> Option<&[u8]> {
        None
    }

    fn value(&self) -> Option<&[u8]> {
        Some(&self.0)
    }

    fn headers(&self) -> Vec<(SmolStr, Option<Vec<u8>>)> {
        Vec::new()
    }
}
