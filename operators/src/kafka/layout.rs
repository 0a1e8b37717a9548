//! How a row of the query becomes a Kafka record: which columns are value, key, headers, topic and partition.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::spans::{Carried, TRACEPARENT, TRACESTATE};

use super::stamp::Stamp;
use super::starting::legal_topic;
use crate::codecs::Encoder;
use crate::job_error::JobError;
use crate::table::Table;

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: SmolStr,
    pub(crate) value: Option<Arc<[u8]>>,
}

/// A record that was encoded but not handed over: ranges of the writer's buffer.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) key: Option<Range<usize>>,
    pub(crate) value: Option<Range<usize>>,
    pub(crate) headers: Option<Box<[Header]>>,
    /// Its coordinate, which becomes headers too.
    pub(crate) stamp: Option<Stamp>,
    /// The topic of the column `topic`.
    pub(crate) topic: Option<SmolStr>,
    /// The partition of the column `partition`.
    pub(crate) partition: Option<i32>,
    /// When the engine took the record that it comes from.
    pub(crate) taken: Instant,
    headers_size: usize,
}

impl Staged {
    /// A record whose partition is chosen already.
    pub(crate) fn new(
        key: Option<Range<usize>>,
        value: Option<Range<usize>>,
        headers: Box<[Header]>,
        taken: Instant,
    ) -> Self {
        Self {
            key,
            value,
            headers_size: headers_size(&headers),
            headers: Some(headers),
            stamp: None,
            topic: None,
            partition: None,
            taken,
        }
    }

    /// With its coordinate.
    pub(crate) fn stamped(mut self, stamp: Stamp) -> Self {
        self.headers_size += stamp.size() + Stamp::HEADERS * HEADER_OVERHEAD;
        self.stamp = Some(stamp);
        self
    }

    /// Whose readers go on with this trace. What the row itself says of one gives way.
    pub(crate) fn carrying(mut self, carried: Carried) -> Self {
        let ours = [TRACEPARENT, TRACESTATE];
        let mut headers = Vec::from(self.headers.take().unwrap_or_default());
        self.headers_size -= headers_size(&headers);
        headers.retain(|header| !ours.contains(&header.name.as_str()));
        headers.extend(trace_headers(carried));
        self.headers_size += headers_size(&headers);
        self.headers = Some(headers.into_boxed_slice());
        self
    }

    /// Bytes of key, value and headers, with what headers cost in the log.
    pub(crate) fn size(&self) -> usize {
        let length = |range: &Option<Range<usize>>| range.as_ref().map_or(0, Range::len);
        length(&self.key) + length(&self.value) + self.headers_size
    }
}

/// The headers of a trace.
pub(crate) fn trace_headers(carried: Carried) -> impl Iterator<Item = Header> {
    let parent = Header {
        name: SmolStr::new_static(TRACEPARENT),
        value: Some(carried.parent),
    };
    let state = carried.state.map(|state| Header {
        name: SmolStr::new_static(TRACESTATE),
        value: Some(state),
    });
    std::iter::once(parent).chain(state)
}

/// Lengths that the log writes before a header's name and value, at most.
const HEADER_OVERHEAD: usize = 10;

/// Bytes of headers, with what they cost in the log.
fn headers_size(headers: &[Header]) -> usize {
    headers
        .iter()
        .map(|h| h.name.len() + h.value.as_ref().map_or(0, |v| v.len()) + HEADER_OVERHEAD)
        .sum()
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    None,
    Column(usize),
    /// By the key encoder, from these columns.
    Encoded(Vec<usize>),
}

/// Which columns are what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The column of the value; None where all columns are encoded.
    value: Option<usize>,
    key: Key,
    headers: Option<usize>,
    topic: Option<usize>,
    partition: Option<usize>,
}

/// The columns that make a record where the table has no `format`.
const COLUMNS: [&str; 5] = ["value", "key", "topic", "headers", "partition"];

/// The columns of a query that a Kafka table leaves out, as Spark does.
pub fn unwritten<'s>(table: &Table, input: &'s Schema) -> Vec<&'s str> {
    if table.options.get("format").is_some() {
        return Vec::new();
    }
    let names = input.fields.iter().map(|field| field.name.as_str());
    names
        .filter(|name| !COLUMNS.iter().any(|known| name.eq_ignore_ascii_case(known)))
        .collect()
}

/// The element of the column `headers`.
fn is_headers(data_type: &DataType) -> bool {
    let DataType::Array(element) = data_type else {
        return false;
    };
    let DataType::Struct(fields) = element.as_ref() else {
        return false;
    };
    matches!(
        fields.as_ref(),
        [name, value] if name.data_type == DataType::String
            && matches!(value.data_type, DataType::Binary | DataType::String)
    )
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::String | DataType::Binary | DataType::Void
    )
}

impl Layout {
    /// Reads and checks what the table's options and the query's columns say.
    pub(crate) fn of(table: &Table, input: &Schema) -> Result<Self, JobError> {
        let topic = table.options.entry("topic");
        if let Some(topic) = topic
            && !legal_topic(topic.value.trim())
        {
            return Err(JobError::new(
                topic.at,
                "option `topic` is no topic: letters, digits, `.`, `_` and `-`, 249 at most",
            ));
        }
        if table.options.get("format").is_some() {
            if topic.is_none() {
                return Err(JobError::new(
                    table.at,
                    format!(
                        "table `{}` needs the option `topic`: with `format` every column is a field of the value",
                        table.name
                    ),
                ));
            }
            Self::formatted(table, input)
        } else {
            Self::plain(table, input, topic.is_some())
        }
    }

    fn formatted(table: &Table, input: &Schema) -> Result<Self, JobError> {
        let at = |option: &str| table.options.at(option, table.at);
        let find = |option: &str, name: &str| {
            position(input, name).ok_or_else(|| {
                JobError::new(
                    at(option),
                    format!("option `{option}` names `{name}`, which is no column of the query"),
                )
                .nearest(name, input.fields.iter().map(|field| field.name.as_str()))
                .or_help(has(input))
            })
        };
        let key = match table.options.get("key") {
            None => Key::None,
            Some(names) => {
                let columns = names
                    .split(',')
                    .map(|name| find("key", name.trim()))
                    .collect::<Result<Vec<_>, _>>()?;
                match columns.as_slice() {
                    [one] if is_bytes(&input.fields[*one].data_type) => Key::Column(*one),
                    _ => Key::Encoded(columns),
                }
            }
        };
        let headers = match table.options.get("headers") {
            None => None,
            Some(name) => {
                let column = find("headers", name.trim())?;
                check_headers(&input.fields[column])
                    .map_err(|reason| JobError::new(at("headers"), reason))?;
                Some(column)
            }
        };
        Ok(Self {
            value: None,
            key,
            headers,
            topic: None,
            partition: None,
        })
    }

    fn plain(table: &Table, input: &Schema, has_topic: bool) -> Result<Self, JobError> {
        let wrong = |reason: String| JobError::new(table.at, reason);
        for option in ["key", "headers"] {
            if let Some(entry) = table.options.entry(option) {
                return Err(JobError::new(
                    entry.at,
                    format!(
                        "option `{option}` needs `format`; without it the columns {} are written",
                        COLUMNS.join(", ")
                    ),
                ));
            }
        }
        let column =
            |name: &str, fits: fn(&DataType) -> bool, expected: &str| match position(input, name) {
                Some(index) if !fits(&input.fields[index].data_type) => Err(wrong(format!(
                    "column `{name}` of Kafka table `{}` must be {expected}, not {}",
                    table.name, input.fields[index].data_type
                ))),
                found => Ok(found),
            };
        let value = column("value", is_bytes, "STRING or BINARY")?;
        if value.is_none() {
            return Err(wrong(format!(
                "the query has no column `value` for Kafka table `{}`, which is written without the option `format`",
                table.name
            ))
            .help(
                "name the column that is the record's value: to_json(struct(*)) AS value; or say format 'json' to write every \
                 column as a field of the value",
            ));
        }
        let topic = column("topic", |t| *t == DataType::String, "STRING")?;
        if topic.is_none() && !has_topic {
            return Err(wrong(format!(
                "Kafka table `{}` needs the option `topic`, or the query a column `topic`",
                table.name
            )));
        }
        let headers = column(
            "headers",
            is_headers,
            "ARRAY<STRUCT<key: STRING, value: BINARY>>",
        )?;
        Ok(Self {
            value,
            key: column("key", is_bytes, "STRING or BINARY")?.map_or(Key::None, Key::Column),
            headers,
            // As in Spark the option wins.
            topic: topic.filter(|_| !has_topic),
            partition: column("partition", |t| *t == DataType::Int, "INT")?,
        })
    }

    /// The columns that the key encoder gets, in this order; None where it is not needed.
    pub(crate) fn encoded_key(&self) -> Option<&[usize]> {
        match &self.key {
            Key::Encoded(columns) => Some(columns),
            _ => None,
        }
    }

    /// Whether the value encoder is needed.
    pub(crate) fn encodes_value(&self) -> bool {
        self.value.is_none()
    }

    /// Encodes a row into `buffer`.
    ///
    /// # Errors
    /// When a value cannot be encoded. The buffer may then hold a part of it.
    pub(crate) fn stage(
        &self,
        row: &[Value],
        taken: Instant,
        encoders: &mut Encoders,
        buffer: &mut Vec<u8>,
    ) -> Result<Staged, RecordError> {
        let key = match &self.key {
            Key::None => None,
            Key::Column(column) => append(&row[*column], buffer),
            Key::Encoded(columns) => encoders.key(row, columns, buffer)?,
        };
        let value = match self.value {
            Some(column) => append(&row[column], buffer),
            None => encoders.value(row, buffer)?,
        };
        let headers = self.headers.and_then(|column| headers_of(&row[column]));
        let headers_size = headers.as_deref().map_or(0, headers_size);
        let topic = match self.topic.map(|column| &row[column]) {
            None => None,
            Some(Value::String(topic)) if legal_topic(topic) => Some(topic.clone()),
            Some(Value::String(topic)) => {
                return Err(RecordError::write(
                    "the column `topic` names no topic: letters, digits, `.`, `_` and `-`, 249 at most",
                )
                .with_content(topic.as_str()));
            }
            Some(_) => return Err(RecordError::write("the column `topic` is NULL")),
        };
        let partition = match self.partition.map(|column| &row[column]) {
            Some(Value::Int(partition)) => Some(*partition),
            _ => None,
        };
        Ok(Staged {
            key,
            value,
            headers,
            stamp: None,
            topic,
            partition,
            taken,
            headers_size,
        })
    }
}

/// The encoders of a writer.
pub(crate) struct Encoders {
    pub(crate) value: Option<Box<dyn Encoder>>,
    pub(crate) key: Option<Box<dyn Encoder>>,
    /// The key's columns, for the key encoder.
    pub(crate) scratch: Vec<Value>,
}

impl Encoders {
    fn value(
        &mut self,
        row: &[Value],
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Range<usize>>, RecordError> {
        let Some(encoder) = &mut self.value else {
            return Ok(None);
        };
        let start = buffer.len();
        encoder.encode(row, buffer)?;
        Ok(Some(start..buffer.len()))
    }

    fn key(
        &mut self,
        row: &[Value],
        columns: &[usize],
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Range<usize>>, RecordError> {
        let Some(encoder) = &mut self.key else {
            return Ok(None);
        };
        // One column that is NULL: a record without key, as in Spark.
        if let [one] = columns
            && row[*one].is_null()
        {
            return Ok(None);
        }
        self.scratch.clear();
        self.scratch
            .extend(columns.iter().map(|column| row[*column].clone()));
        let start = buffer.len();
        encoder.encode(&self.scratch, buffer)?;
        Ok(Some(start..buffer.len()))
    }
}

fn append(value: &Value, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
    let start = buffer.len();
    match value {
        Value::String(text) => buffer.extend_from_slice(text.as_bytes()),
        Value::Binary(bytes) => buffer.extend_from_slice(bytes),
        _ => return None,
    }
    Some(start..buffer.len())
}

fn headers_of(value: &Value) -> Option<Box<[Header]>> {
    let Value::Array(elements) = value else {
        return None;
    };
    let headers: Box<[Header]> = elements
        .iter()
        .filter_map(|element| {
            let Value::Struct(pair) = element else {
                return None;
            };
            let Value::String(name) = pair.first()? else {
                return None;
            };
            let value = match pair.get(1) {
                Some(Value::Binary(bytes)) => Some(Arc::clone(bytes)),
                Some(Value::String(text)) => Some(Arc::from(text.as_bytes())),
                _ => None,
            };
            Some(Header {
                name: name.clone(),
                value,
            })
        })
        .collect();
    (!headers.is_empty()).then_some(headers)
}

fn check_headers(field: &Field) -> Result<(), String> {
    if is_headers(&field.data_type) {
        return Ok(());
    }
    Err(format!(
        "the column of `headers` must be ARRAY<STRUCT<key: STRING, value: BINARY>>, not {}",
        field.data_type
    ))
}

fn position(input: &Schema, name: &str) -> Option<usize> {
    input.index_of(name).or_else(|| {
        input
            .fields
            .iter()
            .position(|field| field.name.eq_ignore_ascii_case(name))
    })
}

/// The columns of the query, where they are few enough to be read.
fn has(input: &Schema) -> Option<String> {
    let names: Vec<&str> = input
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    (names.len() <= 12).then(|| format!("its columns are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(options: &[(&str, &str)]) -> Table {
        let table = Table::using("mirror", "kafka");
        options
            .iter()
            .fold(table, |table, (name, value)| table.option(*name, *value))
    }

    fn record() -> Schema {
        let column = |name: &str, data_type| Field::nullable(name, data_type);
        Schema::new(vec![
            column("key", DataType::Binary),
            column("value", DataType::Binary),
            column("topic", DataType::String),
            column("partition", DataType::Int),
            column("offset", DataType::BigInt),
            column("timestampType", DataType::Int),
        ])
    }

    #[test]
    fn a_record_that_was_read_is_written_as_it_is() {
        let mirror = table(&[("topic", "copies")]);
        let layout = Layout::of(&mirror, &record()).unwrap();
        let row = [
            Value::Null,
            Value::Binary(Arc::from(&b"v"[..])),
            Value::String("invoices".into()),
            Value::Int(3),
            Value::BigInt(4711),
            Value::Int(0),
        ];
        let (mut encoders, mut buffer) = (
            Encoders {
                value: None,
                key: None,
                scratch: Vec::new(),
            },
            Vec::new(),
        );
        let staged = layout.stage(&row, Instant::now(), &mut encoders, &mut buffer);
        let staged = staged.unwrap();
        assert_eq!(buffer, b"v");
        assert_eq!((staged.topic, staged.partition), (None, Some(3)));
    }

    #[test]
    fn the_columns_that_a_record_has_no_place_for_are_told() {
        let told = |options: &[_]| unwritten(&table(options), &record()).join(", ");
        assert_eq!(told(&[("topic", "copies")]), "offset, timestampType");
        assert_eq!(told(&[("topic", "copies"), ("format", "json")]), "");
    }

    #[test]
    fn a_query_without_a_value_is_told_both_ways_out() {
        let input = Schema::new(vec![Field::nullable("id", DataType::String)]);
        let error = Layout::of(&table(&[("topic", "copies")]), &input).unwrap_err();
        assert!(error.message.contains("has no column `value`"), "{error}");
        let help = error.help.unwrap();
        assert!(
            help.contains("AS value") && help.contains("format 'json'"),
            "{help}"
        );
    }
}
