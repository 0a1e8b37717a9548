//! Values and rows: what flows through a pipeline.
//!
//! A [`Value`] takes 24 bytes; text of up to 23 bytes lives inside it, and longer text, bytes and nested values are
//! shared, so cloning a value never copies its content. A value does not know its type beyond its variant: the scale
//! of a decimal and the names of a struct stand in the [`DataType`] beside it.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::schema::DataType;

/// One value of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// SQL NULL.
    #[default]
    Null,
    /// `BOOLEAN`.
    Boolean(bool),
    /// `TINYINT`.
    TinyInt(i8),
    /// `SMALLINT`.
    SmallInt(i16),
    /// `INT`.
    Int(i32),
    /// `BIGINT`.
    BigInt(i64),
    /// `FLOAT`.
    Float(f32),
    /// `DOUBLE`.
    Double(f64),
    /// `DECIMAL`: the unscaled number; the scale stands in the type.
    Decimal(Unscaled),
    /// `STRING`.
    String(SmolStr),
    /// `BINARY`.
    Binary(Arc<[u8]>),
    /// `DATE`: days since 1970-01-01.
    Date(i32),
    /// `TIMESTAMP`: microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// `TIMESTAMP_NTZ`: microseconds since 1970-01-01T00:00:00, no time zone.
    TimestampNtz(i64),
    /// `INTERVAL YEAR TO MONTH`: months.
    YearMonthInterval(i32),
    /// `INTERVAL DAY TO SECOND`: microseconds.
    DayTimeInterval(i64),
    /// `ARRAY`.
    Array(Arc<[Value]>),
    /// `MAP`, in insertion order, keys unique but for those that a text names twice.
    Map(Arc<[(Value, Value)]>),
    /// `STRUCT`, in the order of its type's fields.
    Struct(Arc<[Value]>),
}

impl Value {
    /// Whether the value is NULL.
    #[inline]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl Value {
    /// Whether it may stand in a column of this type: NULL may in each. What is in an array, a map or a struct is not looked at.
    pub fn is_of(&self, data_type: &DataType) -> bool {
        match (self, data_type) {
            (Self::Null, _)
            | (Self::Boolean(_), DataType::Boolean)
            | (Self::TinyInt(_), DataType::TinyInt)
            | (Self::SmallInt(_), DataType::SmallInt)
            | (Self::Int(_), DataType::Int)
            | (Self::BigInt(_), DataType::BigInt)
            | (Self::Float(_), DataType::Float)
            | (Self::Double(_), DataType::Double)
            | (Self::Decimal(_), DataType::Decimal { .. })
            | (Self::String(_), DataType::String)
            | (Self::Binary(_), DataType::Binary)
            | (Self::Date(_), DataType::Date)
            | (Self::Timestamp(_), DataType::Timestamp)
            | (Self::TimestampNtz(_), DataType::TimestampNtz)
            | (Self::YearMonthInterval(_), DataType::YearMonthInterval)
            | (Self::DayTimeInterval(_), DataType::DayTimeInterval)
            | (Self::Array(_), DataType::Array(_))
            | (Self::Map(_), DataType::Map(_)) => true,
            (Self::Struct(fields), DataType::Struct(types)) => fields.len() == types.len(),
            _ => false,
        }
    }

    /// The text of a STRING.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// An integer of any width.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::TinyInt(number) => Some(number.into()),
            Self::SmallInt(number) => Some(number.into()),
            Self::Int(number) => Some(number.into()),
            Self::BigInt(number) => Some(number),
            _ => None,
        }
    }

    /// A DOUBLE or a FLOAT.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Float(number) => Some(number.into()),
            Self::Double(number) => Some(number),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(SmolStr::new(text))
    }
}

/// The unscaled number of a `DECIMAL`, kept in two halves so that a [`Value`] is aligned to 8 bytes, not 16.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unscaled {
    high: i64,
    low: u64,
}

impl From<i128> for Unscaled {
    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn from(number: i128) -> Self {
        Self {
            high: (number >> 64) as i64,
            low: number as u64,
        }
    }
}

impl From<Unscaled> for i128 {
    #[inline]
    fn from(number: Unscaled) -> Self {
        (Self::from(number.high) << 64) | Self::from(number.low)
    }
}

impl std::fmt::Debug for Unscaled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", i128::from(*self))
    }
}

/// The values of one record, in the order of a schema.
pub type Row = Vec<Value>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_three_words() {
        assert_eq!(size_of::<Value>(), 24);
    }

    #[test]
    fn a_decimal_keeps_its_sign_and_its_128_bits() {
        for number in [0, 1, -1, i128::MAX, i128::MIN, 10_i128.pow(38) - 1] {
            assert_eq!(i128::from(Unscaled::from(number)), number);
        }
    }
}
