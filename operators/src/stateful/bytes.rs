//! Values as bytes and back: keys and rows of state.
//!
//! | value | bytes |
//! | --- | --- |
//! | NULL | 0 |
//! | any other | 1, then its content |
//! | numbers, dates, times, intervals | fixed width, little-endian; a decimal's unscaled number as a zigzag varint |
//! | text and bytes | length as a varint, the bytes |
//! | arrays, maps | length as a varint, the elements (a map's keys and values in turn), each as a value |
//! | structs | the fields, each as a value |
//!
//! The bytes do not hold their type: who reads them knows it. Equal keys have equal bytes: NaN is one NaN and -0.0 is 0.0,
//! as Spark groups them; rows keep their bits.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::DataType;

/// Appends the values of a key, so that equal keys have equal bytes and different ones different.
pub fn encode_key(values: &[Value], out: &mut Vec<u8>) {
    for value in values {
        encode::<true>(value, out);
    }
}

/// Appends the values of a row as they are.
pub fn encode_row(values: &[Value], out: &mut Vec<u8>) {
    for value in values {
        encode::<false>(value, out);
    }
}

/// Appends one value as it is.
pub fn encode_value(value: &Value, out: &mut Vec<u8>) {
    encode::<false>(value, out);
}

/// Takes values of these types from the front of the bytes; None when they are not such values.
pub fn decode_row<'t>(
    bytes: &mut &[u8],
    types: impl IntoIterator<Item = &'t DataType>,
) -> Option<Row> {
    types
        .into_iter()
        .map(|data_type| decode_value(bytes, data_type))
        .collect()
}

/// Appends a number in as few bytes as it needs, seven bits in each.
#[inline]
pub fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    out.push(low_bits(number));
}

#[inline]
fn low_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

/// Takes a number that [`write_varint`] wrote.
#[inline]
pub fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// A number with its sign in the lowest bit, so that small negative ones are short too.
#[inline]
pub fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// The number that [`zigzag`] was given.
#[inline]
pub fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

/// Takes as many bytes as are asked for.
#[inline]
pub fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// Takes a fixed number of bytes.
#[inline]
pub fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

fn encode<const KEY: bool>(value: &Value, out: &mut Vec<u8>) {
    if value.is_null() {
        return out.push(0);
    }
    out.push(1);
    match value {
        Value::Null => {}
        Value::Boolean(value) => out.push(u8::from(*value)),
        Value::TinyInt(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::SmallInt(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Int(number) | Value::Date(number) | Value::YearMonthInterval(number) => {
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::BigInt(number)
        | Value::Timestamp(number)
        | Value::TimestampNtz(number)
        | Value::DayTimeInterval(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Float(number) => {
            let number = if KEY { normal_float(*number) } else { *number };
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Double(number) => {
            let number = if KEY { normal_double(*number) } else { *number };
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Decimal(number) => encode_decimal(i128::from(*number), out),
        Value::String(text) => encode_bytes(text.as_bytes(), out),
        Value::Binary(bytes) => encode_bytes(bytes, out),
        Value::Array(values) => {
            write_varint(values.len() as u64, out);
            for value in values.iter() {
                encode::<KEY>(value, out);
            }
        }
        Value::Map(pairs) => {
            write_varint(pairs.len() as u64, out);
            for (key, value) in pairs.iter() {
                encode::<KEY>(key, out);
                encode::<KEY>(value, out);
            }
        }
        Value::Struct(fields) => {
            for value in fields.iter() {
                encode::<KEY>(value, out);
            }
        }
    }
}

/// The one NaN, and zero without a sign.
pub(super) fn normal_double(number: f64) -> f64 {
    if number.is_nan() {
        f64::NAN
    } else {
        // -0.0 + 0.0 is 0.0.
        number + 0.0
    }
}

fn normal_float(number: f32) -> f32 {
    if number.is_nan() {
        f32::NAN
    } else {
        number + 0.0
    }
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn encode_decimal(number: i128, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 127)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest.to_le_bytes()[0] & 0x7f) | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

fn decode_decimal(bytes: &mut &[u8]) -> Option<i128> {
    let mut number = 0_u128;
    for shift in (0..128).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u128::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()));
        }
    }
    None
}

/// Takes one value of this type from the front of the bytes; None when they are no such value.
pub fn decode_value(bytes: &mut &[u8], data_type: &DataType) -> Option<Value> {
    match take_array::<1>(bytes)? {
        [0] => return Some(Value::Null),
        [1] => {}
        _ => return None,
    }
    Some(match data_type {
        DataType::Void => return None,
        DataType::Boolean => Value::Boolean(take_array::<1>(bytes)? == [1]),
        DataType::TinyInt => Value::TinyInt(i8::from_le_bytes(take_array(bytes)?)),
        DataType::SmallInt => Value::SmallInt(i16::from_le_bytes(take_array(bytes)?)),
        DataType::Int => Value::Int(i32::from_le_bytes(take_array(bytes)?)),
        DataType::BigInt => Value::BigInt(i64::from_le_bytes(take_array(bytes)?)),
        DataType::Float => Value::Float(f32::from_le_bytes(take_array(bytes)?)),
        DataType::Double => Value::Double(f64::from_le_bytes(take_array(bytes)?)),
        DataType::Decimal { .. } => Value::Decimal(decode_decimal(bytes)?.into()),
        DataType::String => {
            let length = usize::try_from(read_varint(bytes)?).ok()?;
            Value::String(SmolStr::new(
                std::str::from_utf8(take(bytes, length)?).ok()?,
            ))
        }
        DataType::Binary => {
            let length = usize::try_from(read_varint(bytes)?).ok()?;
            Value::Binary(Arc::from(take(bytes, length)?))
        }
        DataType::Date => Value::Date(i32::from_le_bytes(take_array(bytes)?)),
        DataType::Timestamp => Value::Timestamp(i64::from_le_bytes(take_array(bytes)?)),
        DataType::TimestampNtz => Value::TimestampNtz(i64::from_le_bytes(take_array(bytes)?)),
        DataType::YearMonthInterval => {
            Value::YearMonthInterval(i32::from_le_bytes(take_array(bytes)?))
        }
        DataType::DayTimeInterval => Value::DayTimeInterval(i64::from_le_bytes(take_array(bytes)?)),
        DataType::Array(element) => {
            let length = read_varint(bytes)?;
            let values = (0..length).map(|_| decode_value(bytes, element));
            Value::Array(values.collect::<Option<_>>()?)
        }
        DataType::Map(pair) => {
            let length = read_varint(bytes)?;
            let pairs = (0..length)
                .map(|_| Some((decode_value(bytes, &pair.0)?, decode_value(bytes, &pair.1)?)));
            Value::Map(pairs.collect::<Option<_>>()?)
        }
        DataType::Struct(fields) => {
            let values = fields
                .iter()
                .map(|field| decode_value(bytes, &field.data_type));
            Value::Struct(values.collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use thalweg_engine::schema::Field;

    use super::*;
    use crate::expr::compare;

    /// Any type, nested a little.
    pub(in crate::stateful) fn any_type() -> impl Strategy<Value = DataType> {
        let leaf = prop::sample::select(vec![
            DataType::Boolean,
            DataType::TinyInt,
            DataType::SmallInt,
            DataType::Int,
            DataType::BigInt,
            DataType::Float,
            DataType::Double,
            DataType::Decimal {
                precision: 38,
                scale: 10,
            },
            DataType::String,
            DataType::Binary,
            DataType::Date,
            DataType::Timestamp,
            DataType::TimestampNtz,
            DataType::YearMonthInterval,
            DataType::DayTimeInterval,
            DataType::Void,
        ]);
        leaf.prop_recursive(2, 6, 3, |inner| {
            prop_oneof![
                inner
                    .clone()
                    .prop_map(|element| DataType::Array(Arc::new(element))),
                (inner.clone(), inner.clone()).prop_map(|pair| DataType::Map(Arc::new(pair))),
                prop::collection::vec(inner, 1..3).prop_map(|types| {
                    let fields = types.into_iter().map(|t| Field::nullable("f", t));
                    DataType::Struct(fields.collect())
                }),
            ]
        })
    }

    /// Any value of a type, NULL too.
    pub(in crate::stateful) fn any_value(data_type: &DataType) -> BoxedStrategy<Value> {
        let double = prop_oneof![
            any::<f64>(),
            Just(f64::NAN),
            Just(-0.0),
            (-3..3_i8).prop_map(f64::from)
        ];
        let some: BoxedStrategy<Value> = match data_type {
            DataType::Void => Just(Value::Null).boxed(),
            DataType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
            DataType::TinyInt => any::<i8>().prop_map(Value::TinyInt).boxed(),
            DataType::SmallInt => any::<i16>().prop_map(Value::SmallInt).boxed(),
            DataType::Int => any::<i32>().prop_map(Value::Int).boxed(),
            DataType::BigInt => any::<i64>().prop_map(Value::BigInt).boxed(),
            DataType::Float => any::<f32>().prop_map(Value::Float).boxed(),
            DataType::Double => double.prop_map(Value::Double).boxed(),
            DataType::Decimal { .. } => any::<i128>()
                .prop_map(|number| Value::Decimal(number.into()))
                .boxed(),
            DataType::String => ".{0,30}"
                .prop_map(|text| Value::String(text.into()))
                .boxed(),
            DataType::Binary => any::<Vec<u8>>()
                .prop_map(|bytes| Value::Binary(bytes.into()))
                .boxed(),
            DataType::Date => any::<i32>().prop_map(Value::Date).boxed(),
            DataType::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
            DataType::TimestampNtz => any::<i64>().prop_map(Value::TimestampNtz).boxed(),
            DataType::YearMonthInterval => any::<i32>().prop_map(Value::YearMonthInterval).boxed(),
            DataType::DayTimeInterval => any::<i64>().prop_map(Value::DayTimeInterval).boxed(),
            DataType::Array(element) => prop::collection::vec(any_value(element), 0..4)
                .prop_map(|values| Value::Array(values.into()))
                .boxed(),
            DataType::Map(pair) => {
                prop::collection::vec((any_value(&pair.0), any_value(&pair.1)), 0..3)
                    .prop_map(|pairs| Value::Map(pairs.into()))
                    .boxed()
            }
            DataType::Struct(fields) => fields
                .iter()
                .map(|field| any_value(&field.data_type))
                .collect::<Vec<_>>()
                .prop_map(|values| Value::Struct(values.into()))
                .boxed(),
        };
        prop_oneof![1 => Just(Value::Null), 8 => some].boxed()
    }

    fn typed_values(count: usize) -> impl Strategy<Value = (DataType, Vec<Value>)> {
        any_type().prop_flat_map(move |data_type| {
            let values = prop::collection::vec(any_value(&data_type), count);
            (Just(data_type), values)
        })
    }

    proptest! {
        #[test]
        fn a_row_comes_back_as_it_went((data_type, values) in typed_values(2)) {
            let mut bytes = Vec::new();
            encode_row(&values, &mut bytes);
            let mut rest = bytes.as_slice();
            let back = decode_row(&mut rest, [&data_type, &data_type]).unwrap();
            prop_assert!(rest.is_empty());
            // NaN is not equal to itself, so the bytes are compared.
            let mut again = Vec::new();
            encode_row(&back, &mut again);
            prop_assert_eq!(again, bytes);
            prop_assert!(back.iter().zip(&values).all(|(a, b)| compare::equal(a, b)));
        }

        #[test]
        fn keys_are_equal_when_their_values_are((_, values) in typed_values(2)) {
            let bytes = |value: &Value| {
                let mut bytes = Vec::new();
                encode_key(std::slice::from_ref(value), &mut bytes);
                bytes
            };
            let same = bytes(&values[0]) == bytes(&values[1]);
            prop_assert_eq!(same, compare::equal(&values[0], &values[1]));
        }

        #[test]
        fn no_bytes_make_it_panic(data_type in any_type(), bytes: Vec<u8>) {
            let _ = decode_value(&mut bytes.as_slice(), &data_type);
        }

        #[test]
        fn small_numbers_are_short(number: i64) {
            let mut bytes = Vec::new();
            write_varint(zigzag(number), &mut bytes);
            let back = read_varint(&mut bytes.as_slice()).map(unzigzag);
            prop_assert_eq!(back, Some(number));
            prop_assert!(bytes.len() == 1 || !(-64..64).contains(&number));
        }
    }

    #[test]
    fn zeros_are_one_key_and_so_are_nans() {
        let bytes = |value: Value| {
            let mut bytes = Vec::new();
            encode_key(&[value], &mut bytes);
            bytes
        };
        assert_eq!(bytes(Value::Double(-0.0)), bytes(Value::Double(0.0)));
        let other = f64::from_bits(f64::NAN.to_bits() | 1);
        assert_eq!(bytes(Value::Double(other)), bytes(Value::Double(f64::NAN)));
        assert_ne!(bytes(Value::Null), bytes(Value::Double(0.0)));
    }
}
