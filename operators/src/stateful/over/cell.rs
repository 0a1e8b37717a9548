//! How values are kept: numbers and times as 64 bits, everything else as a value.

use serde::{Deserialize, Serialize};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::stateful::over::order::NULL_TIME;

/// NULL among values of at most 32 bits, which are kept sign-extended.
const NULL_NARROW: u64 = 1 << 63;
/// NULL among doubles: a NaN that no value has, because NaN is kept as one bit pattern.
const NULL_REAL: u64 = 0x7ff8_0000_0000_0001;

/// A kept value.
#[derive(Clone, Copy)]
pub(super) enum Cell<'a> {
    /// NULL.
    Null,
    /// One that was packed.
    Word(u64),
    /// One that was not.
    Value(&'a Value),
}

/// How values of a type are packed into 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Packed {
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    Date,
    Months,
    BigInt,
    Timestamp,
    TimestampNtz,
    Micros,
    /// The unscaled number of one with at most 18 digits.
    Decimal,
    /// As a double.
    Float,
    Double,
}

impl Packed {
    /// How values of this type are packed; None where they are not.
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::TinyInt => Self::TinyInt,
            DataType::SmallInt => Self::SmallInt,
            DataType::Int => Self::Int,
            DataType::BigInt => Self::BigInt,
            DataType::Float => Self::Float,
            DataType::Double => Self::Double,
            DataType::Decimal { precision, .. } if *precision <= 18 => Self::Decimal,
            DataType::Date => Self::Date,
            DataType::Timestamp => Self::Timestamp,
            DataType::TimestampNtz => Self::TimestampNtz,
            DataType::YearMonthInterval => Self::Months,
            DataType::DayTimeInterval => Self::Micros,
            _ => return None,
        })
    }

    /// Whether it is a double.
    pub(super) fn real(self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    /// Whether every bit pattern is a value, so that NULL needs a bit elsewhere.
    fn full(self) -> bool {
        matches!(
            self,
            Self::BigInt | Self::Timestamp | Self::TimestampNtz | Self::Micros | Self::Decimal
        )
    }

    fn null(self) -> u64 {
        if self.real() { NULL_REAL } else { NULL_NARROW }
    }

    /// The bits of a value; None for NULL (and for a value of another type, which the plan excludes).
    #[inline]
    pub(super) fn pack(self, value: &Value) -> Option<u64> {
        Some(match value {
            Value::Double(x) => real(*x),
            Value::Float(x) => real(f64::from(*x)),
            Value::BigInt(n)
            | Value::Timestamp(n)
            | Value::TimestampNtz(n)
            | Value::DayTimeInterval(n) => n.cast_unsigned(),
            Value::Int(n) | Value::Date(n) | Value::YearMonthInterval(n) => {
                i64::from(*n).cast_unsigned()
            }
            Value::SmallInt(n) => i64::from(*n).cast_unsigned(),
            Value::TinyInt(n) => i64::from(*n).cast_unsigned(),
            Value::Boolean(b) => u64::from(*b),
            Value::Decimal(n) => i64::try_from(i128::from(*n)).ok()?.cast_unsigned(),
            _ => return None,
        })
    }

    /// The value of these bits.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn unpack(self, word: u64) -> Value {
        let n = word.cast_signed();
        match self {
            Self::Boolean => Value::Boolean(n != 0),
            Self::TinyInt => Value::TinyInt(n as i8),
            Self::SmallInt => Value::SmallInt(n as i16),
            Self::Int => Value::Int(n as i32),
            Self::Date => Value::Date(n as i32),
            Self::Months => Value::YearMonthInterval(n as i32),
            Self::BigInt => Value::BigInt(n),
            Self::Timestamp => Value::Timestamp(n),
            Self::TimestampNtz => Value::TimestampNtz(n),
            Self::Micros => Value::DayTimeInterval(n),
            Self::Decimal => Value::Decimal(i128::from(n).into()),
            Self::Float => Value::Float(f64::from_bits(word) as f32),
            Self::Double => Value::Double(f64::from_bits(word)),
        }
    }
}

#[inline]
fn real(x: f64) -> u64 {
    if x.is_nan() {
        f64::NAN.to_bits()
    } else {
        x.to_bits()
    }
}

/// Where a column of the kept rows stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stored {
    /// Among the words of a row; NULL is a bit pattern.
    Word(Packed, usize),
    /// Among the words of a row; NULL is this bit of the mask.
    Masked(Packed, usize, u8),
    /// Among the values of a row.
    Value(usize),
    /// The time of the row itself, by which rows are ordered.
    Time(Packed),
}

/// The columns of kept rows. A row is `words` 64-bit words (its time, the mask where there is one, packed columns) and
/// `values` values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Columns {
    pub(super) stored: Vec<Stored>,
    pub(super) words: usize,
    pub(super) values: usize,
    /// Behind the time there are no columns but the aggregates of one row or of several.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) merged: bool,
}

/// Where the mask stands in a row.
const MASK: usize = 1;

impl Columns {
    /// Aggregates of so many words and values.
    pub(super) fn merged(words: usize, values: usize) -> Self {
        Self {
            stored: Vec::new(),
            words: words + 1,
            values,
            merged: true,
        }
    }

    /// Columns of these types; the one at the place `time` is the TIMESTAMP by which rows are ordered.
    pub(super) fn new<'t>(
        types: impl Iterator<Item = &'t DataType> + Clone,
        time: Option<usize>,
    ) -> Self {
        let full = |(column, data_type): (usize, &DataType)| {
            Some(column) != time && Packed::of(data_type).is_some_and(Packed::full)
        };
        let mut words = if types.clone().enumerate().any(full) {
            MASK + 1
        } else {
            MASK
        };
        let (mut values, mut bits) = (0, 0);
        let stored = types
            .enumerate()
            .map(|(column, data_type)| {
                let packed = match Packed::of(data_type) {
                    Some(packed) if Some(column) == time => return Stored::Time(packed),
                    // The mask has 64 bits.
                    Some(packed) if !packed.full() || bits < 64 => packed,
                    _ => {
                        values += 1;
                        return Stored::Value(values - 1);
                    }
                };
                words += 1;
                if packed.full() {
                    bits += 1;
                    Stored::Masked(packed, words - 1, bits - 1)
                } else {
                    Stored::Word(packed, words - 1)
                }
            })
            .collect();
        Self {
            stored,
            words,
            values,
            merged: false,
        }
    }

    /// Writes a row of this time; `value` gives the value of each column.
    #[inline]
    pub(super) fn write<'v>(
        &self,
        time: i64,
        value: impl Fn(usize) -> &'v Value,
        words: &mut Vec<u64>,
        values: &mut Vec<Value>,
    ) {
        let begin = words.len();
        words.resize(begin + self.words, 0);
        words[begin] = time.cast_unsigned();
        for (column, stored) in self.stored.iter().enumerate() {
            let value = value(column);
            match *stored {
                Stored::Word(packed, at) => {
                    words[begin + at] = packed.pack(value).unwrap_or_else(|| packed.null());
                }
                Stored::Masked(packed, at, bit) => match packed.pack(value) {
                    Some(word) => words[begin + at] = word,
                    None => words[begin + MASK] |= 1 << bit,
                },
                Stored::Value(_) => values.push(value.clone()),
                Stored::Time(_) => {}
            }
        }
    }

    /// A column of a row.
    #[inline]
    pub(super) fn cell<'r>(&self, column: usize, words: &[u64], values: &'r [Value]) -> Cell<'r> {
        match self.stored[column] {
            Stored::Word(packed, at) if words[at] == packed.null() => Cell::Null,
            Stored::Masked(_, _, bit) if words[MASK] >> bit & 1 == 1 => Cell::Null,
            Stored::Word(_, at) | Stored::Masked(_, at, _) => Cell::Word(words[at]),
            Stored::Time(_) if words[0].cast_signed() == NULL_TIME => Cell::Null,
            Stored::Time(_) => Cell::Word(words[0]),
            Stored::Value(at) => match &values[at] {
                Value::Null => Cell::Null,
                value => Cell::Value(value),
            },
        }
    }

    /// A column of a row as a value.
    pub(super) fn value(&self, column: usize, words: &[u64], values: &[Value]) -> Value {
        match (self.cell(column, words, values), self.stored[column]) {
            (Cell::Null, _) => Value::Null,
            (Cell::Value(value), _) => value.clone(),
            (
                Cell::Word(word),
                Stored::Word(packed, _) | Stored::Masked(packed, ..) | Stored::Time(packed),
            ) => packed.unpack(word),
            (Cell::Word(_), Stored::Value(_)) => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_null_included() {
        let types = [
            DataType::Double,
            DataType::BigInt,
            DataType::String,
            DataType::Int,
            DataType::Decimal {
                precision: 38,
                scale: 2,
            },
            DataType::Timestamp,
        ];
        let columns = Columns::new(types.iter(), None);
        assert_eq!((columns.words, columns.values), (6, 2));
        let rows = [
            vec![
                Value::Double(-0.0),
                Value::BigInt(i64::MIN),
                Value::from("x"),
                Value::Int(i32::MIN),
                Value::Decimal(i128::MAX.into()),
                Value::Timestamp(-1),
            ],
            vec![Value::Null; 6],
        ];
        for row in rows {
            let (mut words, mut values) = (Vec::new(), Vec::new());
            columns.write(7, |column| &row[column], &mut words, &mut values);
            assert_eq!(words[0], 7);
            let back: Vec<Value> = (0..6)
                .map(|column| columns.value(column, &words, &values))
                .collect();
            assert_eq!(back, row);
        }
    }

    #[test]
    fn a_double_alone_takes_two_words_with_its_time() {
        assert_eq!(Columns::new([DataType::Double].iter(), None).words, 2);
    }

    #[test]
    fn the_time_that_rows_are_ordered_by_is_kept_once() {
        let types = [DataType::Timestamp, DataType::Double];
        let columns = Columns::new(types.iter(), Some(0));
        assert_eq!((columns.words, columns.values), (2, 0));
        for (time, value) in [(7, Value::Timestamp(7)), (NULL_TIME, Value::Null)] {
            let row = [value, Value::Double(1.5)];
            let (mut words, mut values) = (Vec::new(), Vec::new());
            columns.write(time, |column| &row[column], &mut words, &mut values);
            let back = [0, 1].map(|column| columns.value(column, &words, &values));
            assert_eq!(back, row);
        }
    }
}
