//! Rows to values of Avro: the schema of the columns, and the bytes.

use serde_json::{Value as Json, json};
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::{MAGIC, shown};
use crate::codecs::Encoder;

/// The name of the record of a row, as Spark's `to_avro` calls it.
const RECORD: &str = "topLevelRecord";

/// Why columns cannot be written, if they cannot.
pub(crate) fn unsupported(columns: &[Field]) -> Option<String> {
    columns.iter().find_map(|column| {
        let why = unnameable(&column.name).or_else(|| unwritable(&column.data_type))?;
        Some(format!("column `{}`: {why}", column.name))
    })
}

fn unnameable(name: &str) -> Option<String> {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let legal = name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
    (!legal)
        .then(|| format!("`{name}` is no name in Avro: letters, digits and _ only, no digit first"))
}

fn unwritable(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Void | DataType::YearMonthInterval | DataType::DayTimeInterval => {
            Some(format!("{} has no type in Avro", shown(data_type)))
        }
        DataType::Array(element) => unwritable(element),
        DataType::Map(types) if types.0 != DataType::String => {
            Some("a map of Avro has keys of STRING".to_owned())
        }
        DataType::Map(types) => unwritable(&types.1),
        DataType::Struct(fields) => unsupported(fields),
        _ => None,
    }
}

/// The schema of rows of these columns.
pub(crate) fn schema_of(columns: &[Field]) -> Json {
    record(RECORD, columns)
}

/// A record. One inside another is named by where it stands, so that no name is there twice.
fn record(name: &str, fields: &[Field]) -> Json {
    let fields: Vec<Json> = fields
        .iter()
        .map(|field| {
            let of = plain(&field.data_type, &format!("{name}_{}", field.name));
            match field.nullable {
                // With a default, a column that is added later can be read from older values too.
                true => json!({"name": field.name, "type": ["null", of], "default": null}),
                false => json!({"name": field.name, "type": of}),
            }
        })
        .collect();
    json!({"type": "record", "name": name, "fields": fields})
}

/// An element of a list or a map, which may be NULL.
fn element(data_type: &DataType, path: &str) -> Json {
    json!(["null", plain(data_type, path)])
}

fn plain(data_type: &DataType, path: &str) -> Json {
    match data_type {
        DataType::Boolean => json!("boolean"),
        DataType::TinyInt | DataType::SmallInt | DataType::Int => json!("int"),
        DataType::BigInt => json!("long"),
        DataType::Float => json!("float"),
        DataType::Double => json!("double"),
        DataType::Decimal { precision, scale } => json!({
            "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale
        }),
        DataType::Binary => json!("bytes"),
        DataType::Date => json!({"type": "int", "logicalType": "date"}),
        DataType::Timestamp => json!({"type": "long", "logicalType": "timestamp-micros"}),
        DataType::TimestampNtz => {
            json!({"type": "long", "logicalType": "local-timestamp-micros"})
        }
        DataType::Array(of) => json!({"type": "array", "items": element(of, path)}),
        DataType::Map(types) => json!({"type": "map", "values": element(&types.1, path)}),
        DataType::Struct(fields) => record(path, fields),
        // The others are refused before.
        _ => json!("string"),
    }
}

/// The encoder of one writer.
#[derive(Clone, Debug)]
pub(crate) struct AvroEncoder {
    id: u32,
    columns: Vec<Field>,
}

impl AvroEncoder {
    pub(crate) fn new(id: u32, columns: &[Field]) -> Self {
        Self {
            id,
            columns: columns.to_vec(),
        }
    }
}

impl Encoder for AvroEncoder {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<(), RecordError> {
        out.push(MAGIC);
        out.extend_from_slice(&self.id.to_be_bytes());
        fields(row, &self.columns, out).map_err(RecordError::write)
    }
}

fn fields(row: &[Value], fields: &[Field], out: &mut Vec<u8>) -> Result<(), String> {
    for (value, field) in row.iter().zip(fields) {
        if field.nullable {
            optional(value, &field.data_type, out)
        } else if value.is_null() {
            Err("it is NOT NULL, but null".to_owned())
        } else {
            put(value, &field.data_type, out)
        }
        .map_err(|why| format!("column `{}`: {why}", field.name))?;
    }
    Ok(())
}

/// One of a union of null and the type.
fn optional(value: &Value, data_type: &DataType, out: &mut Vec<u8>) -> Result<(), String> {
    if value.is_null() {
        long(0, out);
        return Ok(());
    }
    long(1, out);
    put(value, data_type, out)
}

fn put(value: &Value, data_type: &DataType, out: &mut Vec<u8>) -> Result<(), String> {
    match (value, data_type) {
        (Value::Boolean(value), _) => out.push(u8::from(*value)),
        (Value::TinyInt(value), _) => long((*value).into(), out),
        (Value::SmallInt(value), _) => long((*value).into(), out),
        (Value::Int(value) | Value::Date(value), _) => long((*value).into(), out),
        (Value::BigInt(value) | Value::Timestamp(value) | Value::TimestampNtz(value), _) => {
            long(*value, out);
        }
        (Value::Float(value), _) => out.extend_from_slice(&value.to_le_bytes()),
        (Value::Double(value), _) => out.extend_from_slice(&value.to_le_bytes()),
        (Value::Decimal(value), _) => bytes(shortest(&i128::from(*value).to_be_bytes()), out),
        (Value::String(value), _) => bytes(value.as_bytes(), out),
        (Value::Binary(value), _) => bytes(value, out),
        (Value::Array(values), DataType::Array(of)) => {
            count(values.len(), out);
            for value in values.iter() {
                optional(value, of, out)?;
            }
            long(0, out);
        }
        (Value::Map(values), DataType::Map(types)) => {
            count(values.len(), out);
            for (key, value) in values.iter() {
                let Value::String(key) = key else {
                    return Err("a map of Avro has keys of STRING".to_owned());
                };
                bytes(key.as_bytes(), out);
                optional(value, &types.1, out)?;
            }
            long(0, out);
        }
        (Value::Struct(values), DataType::Struct(of)) => fields(values, of, out)?,
        (_, other) => return Err(format!("{} has no type in Avro", shown(other))),
    }
    Ok(())
}

/// Of a list or map with something in it: how many follow.
fn count(length: usize, out: &mut Vec<u8>) {
    if length > 0 {
        long(i64::try_from(length).unwrap_or(i64::MAX), out);
    }
}

fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    long(i64::try_from(bytes.len()).unwrap_or(i64::MAX), out);
    out.extend_from_slice(bytes);
}

/// A number's bytes without those that only repeat its sign.
fn shortest(bytes: &[u8]) -> &[u8] {
    let mut bytes = bytes;
    while let [first, second, ..] = bytes
        && (*first == 0 && second & 0x80 == 0 || *first == 0xff && second & 0x80 != 0)
    {
        bytes = &bytes[1..];
    }
    bytes
}

/// A number as Avro writes it: zigzag, seven bits a byte.
fn long(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
