//! The types of the language, from the parser's tree.

use std::sync::Arc;

use smol_str::SmolStr;
use sqlparser::ast::{self, ArrayElemTypeDef, ExactNumberInfo, IntervalFields, TimezoneInfo};
use thalweg_engine::schema::{DataType, Field};

use crate::job_error::{JobError, Location};
use crate::sql::spark_calls;

const KNOWN: [&str; 19] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "STRING",
    "BINARY",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP_NTZ",
    "INTERVAL",
    "ARRAY",
    "MAP",
    "STRUCT",
    "LONG",
    "VOID",
];

/// Whether a name in lower case is that of a type.
pub(crate) fn is_simple(name: &str) -> bool {
    KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A type as a cast and `from_json` take it: names that are no words in backticks.
pub(crate) fn in_sql(data_type: &DataType) -> String {
    match data_type {
        DataType::Array(element) => format!("ARRAY<{}>", in_sql(element)),
        DataType::Map(pair) => format!("MAP<{}, {}>", in_sql(&pair.0), in_sql(&pair.1)),
        DataType::Struct(fields) => {
            let field = |field: &Field| {
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let plain = field.name.chars().all(word)
                    && field.name.starts_with(|c: char| !c.is_ascii_digit());
                let name = if plain {
                    field.name.to_string()
                } else {
                    format!("`{}`", field.name.replace('`', "``"))
                };
                format!("{name}: {}", in_sql(&field.data_type))
            };
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// The type that a cast names: of texts with a length the length is left out, as in Spark.
pub(crate) fn cast_type(ast: &ast::DataType, at: Location) -> Result<DataType, JobError> {
    match ast {
        ast::DataType::Varchar(Some(_)) | ast::DataType::Char(Some(_)) => Ok(DataType::String),
        other => data_type(other, at),
    }
}

/// The type that a declaration or cast names.
///
/// # Errors
/// For a type that the language does not have, or a decimal beyond 38 digits; placed at `at`, because the parser gives
/// types no place of their own.
pub fn data_type(ast: &ast::DataType, at: Location) -> Result<DataType, JobError> {
    use ast::DataType as T;
    let simple = match ast {
        T::Boolean | T::Bool => DataType::Boolean,
        T::TinyInt(None) => DataType::TinyInt,
        T::SmallInt(None) => DataType::SmallInt,
        T::Int(None) | T::Integer(None) => DataType::Int,
        T::BigInt(None) => DataType::BigInt,
        T::Float(ExactNumberInfo::None) | T::Real => DataType::Float,
        T::Double(ExactNumberInfo::None) | T::DoublePrecision => DataType::Double,
        T::Decimal(info) | T::Dec(info) | T::Numeric(info) => decimal(info, at)?,
        T::String(None) | T::Text => DataType::String,
        T::Varchar(_) | T::Char(_) => {
            return Err(JobError::new(
                at,
                format!("type {ast} is not supported: lengths are not enforced"),
            )
            .help("write STRING"));
        }
        T::Binary(None) => DataType::Binary,
        T::Date => DataType::Date,
        T::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithTimeZone) => DataType::Timestamp,
        T::Timestamp(None, TimezoneInfo::WithoutTimeZone) | T::TimestampNtz(None) => {
            DataType::TimestampNtz
        }
        T::Interval { fields, .. } => interval(fields.as_ref(), at)?,
        T::Array(
            ArrayElemTypeDef::AngleBracket(element) | ArrayElemTypeDef::Parenthesis(element),
        ) => DataType::Array(Arc::new(data_type(element, at)?)),
        T::Map(key, value, _) => {
            DataType::Map(Arc::new((data_type(key, at)?, data_type(value, at)?)))
        }
        T::Struct(fields, _) => DataType::Struct(
            fields
                .iter()
                .map(|field| {
                    let Some(name) = &field.field_name else {
                        return Err(JobError::new(at, "a field of a STRUCT needs a name")
                            .help("write STRUCT<name: TYPE, ...>"));
                    };
                    Ok(Field::nullable(
                        SmolStr::new(&name.value),
                        data_type(&field.field_type, at)?,
                    ))
                })
                .collect::<Result<Arc<[Field]>, _>>()?,
        ),
        T::Custom(name, arguments) => custom(&name.to_string(), arguments, at)?,
        other => return Err(unknown(&other.to_string(), at)),
    };
    Ok(simple)
}

fn unknown(given: &str, at: Location) -> JobError {
    let error = JobError::new(at, format!("unknown type {given}"))
        .or_help(spark_calls::data_type(given))
        .nearest(given, KNOWN);
    if error.help.is_some() {
        error
    } else {
        error.help(format!("known are {}", KNOWN.join(", ")))
    }
}

fn custom(name: &str, arguments: &[String], at: Location) -> Result<DataType, JobError> {
    let plain = match name.to_ascii_uppercase().as_str() {
        "BYTE" => DataType::TinyInt,
        "SHORT" => DataType::SmallInt,
        "LONG" => DataType::BigInt,
        "VOID" => DataType::Void,
        "TIMESTAMP_NTZ" => DataType::TimestampNtz,
        "TIMESTAMP_LTZ" => DataType::Timestamp,
        _ => return Err(unknown(name, at)),
    };
    if arguments.is_empty() {
        Ok(plain)
    } else {
        Err(JobError::new(at, format!("type {name} takes no arguments")))
    }
}

fn decimal(info: &ExactNumberInfo, at: Location) -> Result<DataType, JobError> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (10, 0),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale <= precision => {
            Ok(DataType::Decimal { precision, scale })
        }
        _ => Err(JobError::new(
            at,
            format!(
                "DECIMAL({precision},{scale}): the precision is 1 to 38, the scale 0 to the precision"
            ),
        )),
    }
}

/// The unit of an interval of one: `INTERVAL DAY`.
pub(crate) fn single_unit(data_type: &ast::DataType) -> Option<&'static str> {
    use IntervalFields as F;
    let ast::DataType::Interval {
        fields: Some(fields),
        ..
    } = data_type
    else {
        return None;
    };
    Some(match fields {
        F::Year => "year",
        F::Month => "month",
        F::Day => "day",
        F::Hour => "hour",
        F::Minute => "minute",
        F::Second => "second",
        _ => return None,
    })
}

fn interval(fields: Option<&IntervalFields>, at: Location) -> Result<DataType, JobError> {
    use IntervalFields as F;
    match fields {
        Some(F::Year | F::Month | F::YearToMonth) => Ok(DataType::YearMonthInterval),
        Some(_) => Ok(DataType::DayTimeInterval),
        None => Err(JobError::new(at, "type INTERVAL needs its fields")
            .help("write INTERVAL DAY TO SECOND or INTERVAL YEAR TO MONTH")),
    }
}
