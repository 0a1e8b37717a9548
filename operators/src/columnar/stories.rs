//! What Arrow's arrays become.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Decimal256Array, Int32Array, Int64Array, ListArray, NullArray,
    RecordBatch, StringArray, StructArray, TimestampMillisecondArray, UInt32Array,
};
use arrow::datatypes::{Field as ArrowField, Int32Type, i256};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::Projection;
use crate::files::format::Item;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

/// The rows of all declared columns; None for a bad record.
fn rows(columns: &[Field], batch: &RecordBatch) -> Result<Vec<Option<Row>>, String> {
    let wanted: Vec<usize> = (0..columns.len()).collect();
    let projection = Projection::new(columns, &wanted, batch.schema().fields());
    let read = batch.project(&projection.roots).unwrap();
    let mut found = projection.rows(&read).map_err(|error| error.to_string())?;
    Ok(found
        .take_rows()
        .map(|item| match item {
            Item::Row(row) => Some(row),
            _ => None,
        })
        .collect())
}

#[test]
fn columns_are_found_by_their_names_and_one_that_is_missing_is_null() {
    let file = batch(vec![
        ("b", Arc::new(StringArray::from(vec![Some("x"), None]))),
        ("A", Arc::new(Int32Array::from(vec![1, 2]))),
    ]);
    let columns = [
        Field::nullable("a", DataType::BigInt),
        Field::nullable("b", DataType::String),
        Field::nullable("c", DataType::Date),
    ];
    assert_eq!(
        rows(&columns, &file).unwrap(),
        [
            Some(vec![Value::BigInt(1), Value::from("x"), Value::Null]),
            Some(vec![Value::BigInt(2), Value::Null, Value::Null]),
        ]
    );
}

#[test]
fn a_value_beyond_its_type_is_an_error_of_its_record_alone() {
    let file = batch(vec![("n", Arc::new(Int64Array::from(vec![1, 2])))]);
    let error = rows(&[Field::nullable("n", DataType::Int)], &file).unwrap_err();
    assert!(error.contains("cannot be read as INT"), "{error}");
    let file = batch(vec![("n", Arc::new(Int32Array::from(vec![1, 300])))]);
    assert_eq!(
        rows(&[Field::nullable("n", DataType::TinyInt)], &file).unwrap(),
        [Some(vec![Value::TinyInt(1)]), None]
    );
    let file = batch(vec![("n", Arc::new(Int32Array::from(vec![Some(1), None])))]);
    assert_eq!(
        rows(&[Field::required("n", DataType::Int)], &file).unwrap(),
        [Some(vec![Value::Int(1)]), None]
    );
}

#[test]
fn decimals_and_times_are_widened() {
    let money = Decimal128Array::from(vec![125])
        .with_precision_and_scale(5, 2)
        .unwrap();
    let times = TimestampMillisecondArray::from(vec![1500]);
    let file = batch(vec![
        ("m", Arc::new(money)),
        ("t", Arc::new(times.clone())),
        ("l", Arc::new(times)),
    ]);
    let columns = [
        Field::nullable(
            "m",
            DataType::Decimal {
                precision: 10,
                scale: 4,
            },
        ),
        Field::nullable("t", DataType::Timestamp),
        Field::nullable("l", DataType::TimestampNtz),
    ];
    assert_eq!(
        rows(&columns, &file).unwrap(),
        [Some(vec![
            Value::Decimal(12_500.into()),
            Value::Timestamp(1_500_000),
            Value::TimestampNtz(1_500_000),
        ])]
    );
}

#[test]
fn nested_values_keep_their_shape() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1), None]),
        None,
        Some(vec![Some(300)]),
    ]);
    let inner: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None, Some(9)]));
    let x = Arc::new(ArrowField::new("x", inner.data_type().clone(), true));
    let file = batch(vec![
        ("l", Arc::new(list)),
        ("s", Arc::new(StructArray::from(vec![(x, inner)]))),
    ]);
    let fields = [
        Field::nullable("y", DataType::String),
        Field::nullable("X", DataType::BigInt),
    ];
    let columns = [
        Field::nullable("l", DataType::Array(DataType::TinyInt.into())),
        Field::nullable("s", DataType::Struct(fields.into())),
    ];
    let part = |x: Value| Value::Struct([Value::Null, x].into());
    assert_eq!(
        rows(&columns, &file).unwrap(),
        [
            Some(vec![
                Value::Array([Value::TinyInt(1), Value::Null].into()),
                part(Value::BigInt(7)),
            ]),
            Some(vec![Value::Null, part(Value::Null)]),
            None,
        ]
    );
}

#[test]
fn columns_of_no_type_of_unsigned_numbers_and_of_long_decimals_are_read() {
    let long = Decimal256Array::from(vec![Some(i256::from_i128(125)), Some(i256::MAX)]);
    let long = long.with_precision_and_scale(50, 2).unwrap();
    let file = batch(vec![
        ("nothing", Arc::new(NullArray::new(2))),
        ("few", Arc::new(UInt32Array::from(vec![1, u32::MAX]))),
        ("long", Arc::new(long)),
    ]);
    let decimal = DataType::Decimal {
        precision: 38,
        scale: 2,
    };
    let columns = [
        Field::nullable("nothing", DataType::Int),
        Field::nullable("few", DataType::Double),
        Field::nullable("long", decimal),
    ];
    let first = vec![
        Value::Null,
        Value::Double(1.0),
        Value::Decimal(125_i128.into()),
    ];
    assert_eq!(rows(&columns, &file).unwrap(), [Some(first), None]);
}
