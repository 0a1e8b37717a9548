//! Rows as Arrow's arrays, of the types that become Spark's in a Parquet file.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray, NullArray, RecordBatch,
    RecordBatchOptions, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as Arrow, Field as ArrowField, Fields, Schema, TimeUnit};
use arrow::error::ArrowError;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

/// The columns of a file. All may be NULL, as in the files that Spark writes.
pub(super) fn schema(columns: &[Field]) -> Arc<Schema> {
    Arc::new(Schema::new(fields(columns)))
}

/// Rows of these columns.
pub(super) fn batch(
    schema: &Arc<Schema>,
    columns: &[Field],
    rows: &[Row],
) -> Result<RecordBatch, ArrowError> {
    let arrays = columns.iter().enumerate().map(|(place, column)| {
        let values: Vec<&Value> = rows
            .iter()
            .map(|row| row.get(place).unwrap_or(&Value::Null))
            .collect();
        array(&values, &column.data_type)
    });
    let arrays: Result<Vec<ArrayRef>, ArrowError> = arrays.collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays?, &options)
}

fn fields(columns: &[Field]) -> Fields {
    columns
        .iter()
        .map(|column| ArrowField::new(column.name.as_str(), arrow(&column.data_type), true))
        .collect()
}

fn arrow(data_type: &DataType) -> Arrow {
    match data_type {
        DataType::Void | DataType::YearMonthInterval | DataType::DayTimeInterval => Arrow::Null,
        DataType::Boolean => Arrow::Boolean,
        DataType::TinyInt => Arrow::Int8,
        DataType::SmallInt => Arrow::Int16,
        DataType::Int => Arrow::Int32,
        DataType::BigInt => Arrow::Int64,
        DataType::Float => Arrow::Float32,
        DataType::Double => Arrow::Float64,
        DataType::Decimal { precision, scale } => {
            Arrow::Decimal128(*precision, i8::try_from(*scale).unwrap_or(0))
        }
        DataType::String => Arrow::Utf8,
        DataType::Binary => Arrow::Binary,
        DataType::Date => Arrow::Date32,
        DataType::Timestamp => Arrow::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::TimestampNtz => Arrow::Timestamp(TimeUnit::Microsecond, None),
        DataType::Array(element) => Arrow::List(element_field(element)),
        DataType::Map(pair) => Arrow::Map(
            Arc::new(ArrowField::new(
                "key_value",
                Arrow::Struct(pair_fields(pair)),
                false,
            )),
            false,
        ),
        DataType::Struct(columns) => Arrow::Struct(fields(columns)),
    }
}

fn element_field(element: &DataType) -> Arc<ArrowField> {
    Arc::new(ArrowField::new("element", arrow(element), true))
}

fn pair_fields(pair: &(DataType, DataType)) -> Fields {
    Fields::from(vec![
        ArrowField::new("key", arrow(&pair.0), false),
        ArrowField::new("value", arrow(&pair.1), true),
    ])
}

/// One array of the values that a pattern finds, NULL where it finds none.
macro_rules! flat {
    ($array:ty, $values:expr, $pattern:pat => $value:expr) => {
        Arc::new(
            $values
                .iter()
                .map(|value| match value {
                    $pattern => Some($value),
                    _ => None,
                })
                .collect::<$array>(),
        )
    };
}

fn array(values: &[&Value], data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    Ok(match data_type {
        DataType::Void | DataType::YearMonthInterval | DataType::DayTimeInterval => {
            Arc::new(NullArray::new(values.len()))
        }
        DataType::Boolean => flat!(BooleanArray, values, Value::Boolean(it) => *it),
        DataType::TinyInt => flat!(Int8Array, values, Value::TinyInt(it) => *it),
        DataType::SmallInt => flat!(Int16Array, values, Value::SmallInt(it) => *it),
        DataType::Int => flat!(Int32Array, values, Value::Int(it) => *it),
        DataType::BigInt => flat!(Int64Array, values, Value::BigInt(it) => *it),
        DataType::Float => flat!(Float32Array, values, Value::Float(it) => *it),
        DataType::Double => flat!(Float64Array, values, Value::Double(it) => *it),
        DataType::String => flat!(StringArray, values, Value::String(it) => it.as_str()),
        DataType::Binary => flat!(BinaryArray, values, Value::Binary(it) => &**it),
        DataType::Date => flat!(Date32Array, values, Value::Date(it) => *it),
        DataType::Decimal { precision, scale } => {
            let numbers = values.iter().map(|value| match value {
                Value::Decimal(it) => Some(i128::from(*it)),
                _ => None,
            });
            let scale = i8::try_from(*scale).unwrap_or(0);
            let numbers = numbers.collect::<Decimal128Array>();
            Arc::new(numbers.with_precision_and_scale(*precision, scale)?)
        }
        DataType::Timestamp | DataType::TimestampNtz => {
            let micros = values.iter().map(|value| match value {
                Value::Timestamp(it) | Value::TimestampNtz(it) => Some(*it),
                _ => None,
            });
            let micros = micros.collect::<TimestampMicrosecondArray>();
            Arc::new(if *data_type == DataType::Timestamp {
                micros.with_timezone("UTC")
            } else {
                micros
            })
        }
        DataType::Array(element) => {
            let inner = |value: &'_ Value| match value {
                Value::Array(items) => items.len(),
                _ => 0,
            };
            let offsets = OffsetBuffer::from_lengths(values.iter().map(|value| inner(value)));
            let items: Vec<&Value> = values
                .iter()
                .flat_map(|value| match value {
                    Value::Array(items) => &items[..],
                    _ => &[],
                })
                .collect();
            let items = array(&items, element)?;
            Arc::new(ListArray::try_new(
                element_field(element),
                offsets,
                items,
                nulls(values),
            )?)
        }
        DataType::Map(pair) => map(values, pair)?,
        DataType::Struct(columns) => {
            let parts = columns.iter().enumerate().map(|(place, column)| {
                let parts: Vec<&Value> = values
                    .iter()
                    .map(|value| match value {
                        Value::Struct(parts) => parts.get(place).unwrap_or(&Value::Null),
                        _ => &Value::Null,
                    })
                    .collect();
                array(&parts, &column.data_type)
            });
            let parts: Result<Vec<ArrayRef>, ArrowError> = parts.collect();
            Arc::new(StructArray::try_new(
                fields(columns),
                parts?,
                nulls(values),
            )?)
        }
    })
}

fn map(values: &[&Value], pair: &(DataType, DataType)) -> Result<ArrayRef, ArrowError> {
    let pairs = |value: &'_ &'_ Value| match value {
        Value::Map(pairs) => pairs.len(),
        _ => 0,
    };
    let offsets = OffsetBuffer::from_lengths(values.iter().map(pairs));
    let all: Vec<&(Value, Value)> = values
        .iter()
        .flat_map(|value| match value {
            Value::Map(pairs) => &pairs[..],
            _ => &[],
        })
        .collect();
    let keys: Vec<&Value> = all.iter().map(|(key, _)| key).collect();
    let contents: Vec<&Value> = all.iter().map(|(_, value)| value).collect();
    let columns = vec![array(&keys, &pair.0)?, array(&contents, &pair.1)?];
    let entries = StructArray::try_new(pair_fields(pair), columns, None)?;
    let field = ArrowField::new("key_value", Arrow::Struct(pair_fields(pair)), false);
    Ok(Arc::new(MapArray::try_new(
        Arc::new(field),
        offsets,
        entries,
        nulls(values),
        false,
    )?))
}

fn nulls(values: &[&Value]) -> Option<NullBuffer> {
    let nulls = NullBuffer::from_iter(values.iter().map(|value| !value.is_null()));
    (nulls.null_count() > 0).then_some(nulls)
}
