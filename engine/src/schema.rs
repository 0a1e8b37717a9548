//! Types and schemas: what a column may hold.

use std::fmt;
use std::sync::Arc;

use smol_str::SmolStr;

/// The type of a column or an expression, with Spark SQL's names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// The type of a bare `NULL`; casts to every other type.
    Void,
    /// `true` or `false`.
    Boolean,
    /// 8-bit signed integer.
    TinyInt,
    /// 16-bit signed integer.
    SmallInt,
    /// 32-bit signed integer.
    Int,
    /// 64-bit signed integer.
    BigInt,
    /// 32-bit IEEE 754.
    Float,
    /// 64-bit IEEE 754.
    Double,
    /// `precision` decimal digits (1 to 38), `scale` of them after the point.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to `precision`.
        scale: u8,
    },
    /// UTF-8 text.
    String,
    /// Bytes.
    Binary,
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// Microseconds since 1970-01-01T00:00:00 of an unnamed time zone.
    TimestampNtz,
    /// Months.
    YearMonthInterval,
    /// Microseconds.
    DayTimeInterval,
    /// A list of values of one type.
    Array(Arc<DataType>),
    /// Pairs of key and value.
    Map(Arc<(DataType, DataType)>),
    /// Named values.
    Struct(Arc<[Field]>),
}

impl DataType {
    /// Whether the type is an integer of any width.
    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt
        )
    }

    /// Whether there is a map in it: maps have no order and cannot be compared.
    pub fn has_map(&self) -> bool {
        match self {
            Self::Map(_) => true,
            Self::Array(element) => element.has_map(),
            Self::Struct(fields) => fields.iter().any(|field| field.data_type.has_map()),
            _ => false,
        }
    }

    /// Whether the type is a number.
    pub fn is_numeric(&self) -> bool {
        self.is_integer() || matches!(self, Self::Float | Self::Double | Self::Decimal { .. })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let simple = match self {
            Self::Void => "VOID",
            Self::Boolean => "BOOLEAN",
            Self::TinyInt => "TINYINT",
            Self::SmallInt => "SMALLINT",
            Self::Int => "INT",
            Self::BigInt => "BIGINT",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::String => "STRING",
            Self::Binary => "BINARY",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::TimestampNtz => "TIMESTAMP_NTZ",
            Self::YearMonthInterval => "INTERVAL YEAR TO MONTH",
            Self::DayTimeInterval => "INTERVAL DAY TO SECOND",
            Self::Decimal { precision, scale } => {
                return write!(f, "DECIMAL({precision},{scale})");
            }
            Self::Array(element) => return write!(f, "ARRAY<{element}>"),
            Self::Map(pair) => return write!(f, "MAP<{}, {}>", pair.0, pair.1),
            Self::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{}: {}", field.name, field.data_type)?;
                }
                return f.write_str(">");
            }
        };
        f.write_str(simple)
    }
}

/// A named, typed column.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// The column's name, as it was written.
    pub name: SmolStr,
    /// What it holds.
    pub data_type: DataType,
    /// Whether it may be NULL.
    pub nullable: bool,
}

impl Field {
    /// A column that may be NULL.
    pub fn nullable(name: impl Into<SmolStr>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            data_type,
            nullable: true,
        }
    }

    /// A column that is never NULL.
    pub fn required(name: impl Into<SmolStr>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            data_type,
            nullable: false,
        }
    }
}

/// The columns of a row, in order. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The columns.
    pub fields: Arc<[Field]>,
}

impl Schema {
    /// A schema of these columns.
    pub fn new(fields: impl Into<Arc<[Field]>>) -> Self {
        Self {
            fields: fields.into(),
        }
    }

    /// The place of the column with exactly this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}
