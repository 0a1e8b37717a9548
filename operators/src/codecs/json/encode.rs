//! The encoder: a row straight into the output's buffer, as Spark's `to_json` writes it.

use base64::Engine as _;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::JsonOptions;
use super::plain::plain_end;
use crate::codecs::Encoder;
use crate::codecs::times::Times;
use crate::expr::calendar::{self, Zone};
use crate::expr::text;

/// Encodes each row as one object.
pub(super) struct JsonEncoder {
    columns: Vec<Column>,
    manner: Manner,
}

/// How values are written.
pub(super) struct Manner {
    times: Times,
    /// Whether fields that are NULL are written.
    nulls: bool,
}

impl Manner {
    pub(super) fn of(options: &JsonOptions) -> Self {
        Self {
            times: options.times.clone(),
            nulls: options.nulls,
        }
    }
}

impl JsonEncoder {
    pub(super) fn new(fields: &[Field], options: &JsonOptions) -> Self {
        Self {
            columns: columns(fields),
            manner: Manner::of(options),
        }
    }
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<(), RecordError> {
        object(out, &self.columns, row, &self.manner);
        Ok(())
    }
}

/// Objects of these columns for people who look: a NULL shows, times are UTC.
pub struct Objects(Vec<Column>, Manner);

impl Objects {
    /// Objects of these columns.
    pub fn new(fields: &[Field]) -> Self {
        Self(columns(fields), Manner::of(&JsonOptions::default()))
    }

    /// Appends an object with all columns.
    pub fn append(&self, values: &[Value], out: &mut Vec<u8>) {
        out.push(b'{');
        for (place, (column, value)) in self.0.iter().zip(values).enumerate() {
            if place > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&column.prefix);
            column.shape.append(out, value, &self.1);
        }
        out.push(b'}');
    }

    /// Appends the columns that are not NULL to an object that is open, each behind a comma.
    pub fn append_known(&self, values: &[Value], out: &mut Vec<u8>) {
        for (column, value) in self.0.iter().zip(values).filter(|(_, v)| !v.is_null()) {
            out.push(b',');
            out.extend_from_slice(&column.prefix);
            column.shape.append(out, value, &self.1);
        }
    }
}

/// What a value's variant does not say of its type.
pub(super) enum Shape {
    /// Nothing.
    Plain,
    Decimal(u8),
    Array(Box<Shape>),
    Map(DataType, Box<Shape>),
    Struct(Vec<Column>),
}

/// A field of an object.
pub(super) struct Column {
    /// `"name":`, escaped.
    prefix: Box<[u8]>,
    shape: Shape,
}

fn columns(fields: &[Field]) -> Vec<Column> {
    fields
        .iter()
        .map(|field| {
            let mut prefix = Vec::with_capacity(field.name.len() + 3);
            string(&mut prefix, &field.name);
            prefix.push(b':');
            Column {
                prefix: prefix.into(),
                shape: Shape::new(&field.data_type),
            }
        })
        .collect()
}

impl Shape {
    pub(super) fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Decimal { scale, .. } => Self::Decimal(*scale),
            DataType::Array(element) => Self::Array(Box::new(Self::new(element))),
            DataType::Map(pair) => Self::Map(pair.0.clone(), Box::new(Self::new(&pair.1))),
            DataType::Struct(fields) => Self::Struct(columns(fields)),
            _ => Self::Plain,
        }
    }

    /// Appends a value of this shape.
    pub(super) fn append(&self, out: &mut Vec<u8>, value: &Value, manner: &Manner) {
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Boolean(true) => out.extend_from_slice(b"true"),
            Value::Boolean(false) => out.extend_from_slice(b"false"),
            Value::TinyInt(n) => integer(out, *n),
            Value::SmallInt(n) => integer(out, *n),
            Value::Int(n) => integer(out, *n),
            Value::BigInt(n) => integer(out, *n),
            Value::Double(n) => number(out, n.is_finite(), value, &DataType::Double),
            Value::Float(n) => number(out, n.is_finite(), value, &DataType::Float),
            Value::Decimal(n) => {
                let scale = if let Self::Decimal(scale) = self {
                    *scale
                } else {
                    0
                };
                decimal(out, (*n).into(), scale);
            }
            Value::String(text) => string(out, text),
            Value::Binary(bytes) => base64(out, bytes),
            Value::Date(_) | Value::Timestamp(_) | Value::TimestampNtz(_) => {
                time(out, value, &manner.times);
            }
            Value::YearMonthInterval(_) => {
                quoted(out, value, &DataType::YearMonthInterval, Zone::Fixed(0));
            }
            Value::DayTimeInterval(_) => {
                quoted(out, value, &DataType::DayTimeInterval, Zone::Fixed(0));
            }
            Value::Array(values) => {
                let element = if let Self::Array(element) = self {
                    element
                } else {
                    self
                };
                out.push(b'[');
                for (place, value) in values.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    element.append(out, value, manner);
                }
                out.push(b']');
            }
            Value::Map(pairs) => {
                if let Self::Map(key_type, shape) = self {
                    map(out, pairs, key_type, shape, manner);
                }
            }
            Value::Struct(values) => {
                if let Self::Struct(columns) = self {
                    object(out, columns, values, manner);
                }
            }
        }
    }
}

fn object(out: &mut Vec<u8>, columns: &[Column], values: &[Value], manner: &Manner) {
    out.push(b'{');
    let mut first = true;
    for (column, value) in columns.iter().zip(values) {
        if value.is_null() && !manner.nulls {
            continue;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        out.extend_from_slice(&column.prefix);
        column.shape.append(out, value, manner);
    }
    out.push(b'}');
}

fn map(
    out: &mut Vec<u8>,
    pairs: &[(Value, Value)],
    key_type: &DataType,
    shape: &Shape,
    manner: &Manner,
) {
    out.push(b'{');
    for (place, (key, value)) in pairs.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        match key {
            Value::String(key) => string(out, key),
            // As Spark, which writes a key as it holds it: days, microseconds, months.
            Value::Date(n) | Value::YearMonthInterval(n) => number_in_quotes(out, *n),
            Value::Timestamp(n) | Value::TimestampNtz(n) | Value::DayTimeInterval(n) => {
                number_in_quotes(out, *n);
            }
            _ => quoted(out, key, key_type, manner.times.zone),
        }
        out.push(b':');
        shape.append(out, value, manner);
    }
    out.push(b'}');
}

fn number_in_quotes(out: &mut Vec<u8>, n: impl itoa::Integer) {
    out.push(b'"');
    integer(out, n);
    out.push(b'"');
}

fn integer(out: &mut Vec<u8>, n: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// A double as Java writes it; what JSON has no number for as a string.
fn number(out: &mut Vec<u8>, finite: bool, value: &Value, data_type: &DataType) {
    if finite {
        with_text(value, data_type, Zone::Fixed(0), |text| {
            out.extend_from_slice(text.as_bytes());
        });
    } else {
        quoted(out, value, data_type, Zone::Fixed(0));
    }
}

/// A value's text as a string.
fn quoted(out: &mut Vec<u8>, value: &Value, data_type: &DataType, zone: Zone) {
    with_text(value, data_type, zone, |text| string(out, text));
}

fn with_text(value: &Value, data_type: &DataType, zone: Zone, act: impl FnOnce(&str)) {
    thread_local! {
        static SCRATCH: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
    }
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        text::append(scratch, value, data_type, zone);
        act(scratch);
    });
}

/// A decimal with all digits of its scale and no exponent.
fn decimal(out: &mut Vec<u8>, unscaled: i128, scale: u8) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    let scale = usize::from(scale);
    if let Some(whole) = digits.len().checked_sub(scale).filter(|whole| *whole > 0) {
        out.extend_from_slice(&digits[..whole]);
        if scale > 0 {
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // The room is exactly what the encoder needs, so it cannot fail.
    let written = base64::engine::general_purpose::STANDARD
        .encode_slice(bytes, &mut out[start..])
        .unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}

/// A date or a time as a string.
fn time(out: &mut Vec<u8>, value: &Value, times: &Times) {
    let mut shown = String::new();
    let by_pattern = match value {
        Value::Date(days) => times.show_date(&mut shown, *days),
        Value::Timestamp(micros) => times.show_timestamp(&mut shown, *micros),
        Value::TimestampNtz(micros) => times.show_local(&mut shown, *micros),
        _ => false,
    };
    if by_pattern {
        return string(out, &shown);
    }
    out.push(b'"');
    match value {
        Value::Date(days) => date(out, *days),
        Value::Timestamp(micros) => bare_timestamp(out, *micros, Some(times.zone)),
        Value::TimestampNtz(micros) => bare_timestamp(out, *micros, None),
        _ => {}
    }
    out.push(b'"');
}

/// `2026-11-21T10:00:00.000Z`: milliseconds and the zone's offset, as Spark writes times to JSON and CSV.
pub(super) fn bare_timestamp(out: &mut Vec<u8>, micros: i64, zone: Option<Zone>) {
    const DAY: i64 = 86_400_000_000;
    let local = zone.map_or(micros, |zone| calendar::local(micros, zone));
    let (days, time) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    date(out, i32::try_from(days).unwrap_or(i32::MAX));
    out.push(b'T');
    padded(out, time / 3_600_000_000, 2);
    out.push(b':');
    padded(out, time / 60_000_000 % 60, 2);
    out.push(b':');
    padded(out, time / 1_000_000 % 60, 2);
    out.push(b'.');
    padded(out, time / 1000 % 1000, 3);
    if zone.is_some() {
        let seconds = (local - micros) / 1_000_000;
        if seconds == 0 {
            out.push(b'Z');
        } else {
            out.push(if seconds < 0 { b'-' } else { b'+' });
            padded(out, seconds.abs() / 3600, 2);
            out.push(b':');
            padded(out, seconds.abs() / 60 % 60, 2);
            // As long as clocks showed the time of their own place.
            if seconds % 60 != 0 {
                out.push(b':');
                padded(out, seconds.abs() % 60, 2);
            }
        }
    }
}

/// `2026-11-21`; a year beyond four digits has a sign, as in Java.
fn date(out: &mut Vec<u8>, days: i32) {
    let (year, month, day) = calendar::civil(days);
    let year = i64::from(year);
    if year < 0 {
        out.push(b'-');
    } else if year > 9999 {
        out.push(b'+');
    }
    padded(out, year.abs(), 4);
    out.push(b'-');
    padded(out, i64::from(month), 2);
    out.push(b'-');
    padded(out, i64::from(day), 2);
}

fn padded(out: &mut Vec<u8>, n: i64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(n).as_bytes();
    out.resize(out.len() + width.saturating_sub(digits.len()), b'0');
    out.extend_from_slice(digits);
}

/// A string with its quotes.
fn string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut at = 0;
    loop {
        let end = plain_end(bytes, at, b'"');
        out.extend_from_slice(&bytes[at..end]);
        let Some(byte) = bytes.get(end) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x8 => out.extend_from_slice(b"\\b"),
            0xC => out.extend_from_slice(b"\\f"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        at = end + 1;
    }
    out.push(b'"');
}
