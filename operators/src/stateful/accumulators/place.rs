//! A place for one value of any type in a cell: in words where the type has a fixed width, else in a slab.

use thalweg_engine::row::{Unscaled, Value};
use thalweg_engine::schema::DataType;

use super::slab::{Slab, number};
use crate::stateful::bytes::{decode_value, encode_value};

const NOTHING: u64 = 0;
const NULL: u64 = 1;
const VALUE: u64 = 2;

/// Where a value of one type stands: a word that says what is there, and its content.
pub(super) struct Place {
    data_type: DataType,
    /// Words of content; 0 for types that need the slab.
    fixed: usize,
    slab: Slab<Value>,
    /// What stood in the slab before it was changed.
    undo: Vec<(u64, Value)>,
    bytes: usize,
}

impl Place {
    pub(super) fn new(data_type: &DataType) -> Self {
        let fixed = match data_type {
            DataType::String
            | DataType::Binary
            | DataType::Array(_)
            | DataType::Map(_)
            | DataType::Struct(_) => 0,
            DataType::Decimal { .. } => 2,
            _ => 1,
        };
        Self {
            data_type: data_type.clone(),
            fixed,
            slab: Slab::default(),
            undo: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn words(&self) -> usize {
        1 + self.fixed.max(1)
    }

    /// The value; None when nothing has been put there, not even NULL.
    #[inline]
    pub(super) fn get(&self, cell: &[u64]) -> Option<Value> {
        match cell[0] {
            NOTHING => None,
            NULL => Some(Value::Null),
            _ if self.fixed > 0 => Some(from_words(&cell[1..], &self.data_type)),
            _ => self.slab.get(cell[1]).cloned(),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self, cell: &[u64]) -> bool {
        cell[0] == NOTHING
    }

    /// Puts a value there.
    #[inline]
    pub(super) fn set(&mut self, cell: &mut [u64], value: &Value) {
        if value.is_null() {
            cell[0] = NULL;
            return;
        }
        cell[0] = VALUE;
        if self.fixed > 0 {
            return to_words(value, &mut cell[1..]);
        }
        self.bytes += value_bytes(value);
        match self.slab.get_mut(cell[1]) {
            Some(old) => {
                let old = std::mem::replace(old, value.clone());
                self.bytes -= value_bytes(&old).min(self.bytes);
                self.undo.push((cell[1], old));
            }
            None => cell[1] = self.slab.insert(value.clone()),
        }
    }

    pub(super) fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        match self.get(cell) {
            Some(value) => encode_value(&value, out),
            None => out.push(2),
        }
    }

    pub(super) fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        if bytes.first() == Some(&2) {
            *bytes = &bytes[1..];
        } else {
            let value = decode_value(bytes, &self.data_type)?;
            self.set(cell, &value);
        }
        Some(())
    }

    pub(super) fn free(&mut self, cell: &[u64]) {
        if self.fixed == 0 && number(cell[1]).is_some() {
            self.slab.free(cell[1]);
        }
    }

    #[inline]
    pub(super) fn accept(&mut self) {
        if self.fixed == 0 {
            self.undo.clear();
            let bytes = &mut self.bytes;
            self.slab
                .accept(|value| *bytes -= value_bytes(&value).min(*bytes));
        }
    }

    pub(super) fn reject(&mut self) {
        while let Some((word, old)) = self.undo.pop() {
            self.bytes += value_bytes(&old);
            if let Some(item) = self.slab.get_mut(word) {
                let new = std::mem::replace(item, old);
                self.bytes -= value_bytes(&new).min(self.bytes);
            }
        }
        let bytes = &mut self.bytes;
        self.slab
            .reject(|value| *bytes -= value_bytes(&value).min(*bytes));
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.slab.bytes()
    }
}

/// Bytes of memory that a value takes outside itself.
pub(super) fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) if text.len() > 23 => text.len() + 16,
        Value::Binary(bytes) => bytes.len() + 16,
        Value::Array(values) | Value::Struct(values) => {
            16 + values.iter().map(|v| 24 + value_bytes(v)).sum::<usize>()
        }
        Value::Map(pairs) => {
            let pair = |(key, value): &(Value, Value)| 48 + value_bytes(key) + value_bytes(value);
            16 + pairs.iter().map(pair).sum::<usize>()
        }
        _ => 0,
    }
}

#[inline]
fn to_words(value: &Value, words: &mut [u64]) {
    words[0] = match value {
        Value::Boolean(value) => u64::from(*value),
        Value::TinyInt(number) => i64::from(*number).cast_unsigned(),
        Value::SmallInt(number) => i64::from(*number).cast_unsigned(),
        Value::Int(number) | Value::Date(number) | Value::YearMonthInterval(number) => {
            i64::from(*number).cast_unsigned()
        }
        Value::BigInt(number)
        | Value::Timestamp(number)
        | Value::TimestampNtz(number)
        | Value::DayTimeInterval(number) => number.cast_unsigned(),
        Value::Float(number) => u64::from(number.to_bits()),
        Value::Double(number) => number.to_bits(),
        Value::Decimal(number) => {
            write_i128(i128::from(*number), words);
            return;
        }
        _ => 0,
    };
}

/// A 128-bit number in two words.
#[inline]
#[allow(clippy::cast_possible_truncation)]
pub(super) fn write_i128(number: i128, words: &mut [u64]) {
    let bits = number.cast_unsigned();
    words[0] = bits as u64;
    words[1] = (bits >> 64) as u64;
}

/// The number that [`write_i128`] wrote.
#[inline]
pub(super) fn read_i128(words: &[u64]) -> i128 {
    (u128::from(words[0]) | (u128::from(words[1]) << 64)).cast_signed()
}

#[inline]
#[allow(clippy::cast_possible_truncation)]
fn from_words(words: &[u64], data_type: &DataType) -> Value {
    let word = words[0].cast_signed();
    match data_type {
        DataType::Boolean => Value::Boolean(word != 0),
        DataType::TinyInt => Value::TinyInt(word as i8),
        DataType::SmallInt => Value::SmallInt(word as i16),
        DataType::Int => Value::Int(word as i32),
        DataType::BigInt => Value::BigInt(word),
        DataType::Float => Value::Float(f32::from_bits(words[0] as u32)),
        DataType::Double => Value::Double(f64::from_bits(words[0])),
        DataType::Decimal { .. } => Value::Decimal(Unscaled::from(read_i128(words))),
        DataType::Date => Value::Date(word as i32),
        DataType::Timestamp => Value::Timestamp(word),
        DataType::TimestampNtz => Value::TimestampNtz(word),
        DataType::YearMonthInterval => Value::YearMonthInterval(word as i32),
        DataType::DayTimeInterval => Value::DayTimeInterval(word),
        _ => Value::Null,
    }
}
