//! Values as bytes: a tag that says which, then the content. Values that Spark groups together have the same bytes.

use std::sync::Arc;

use thalweg_engine::row::Value;

/// Adds a value. All NaN are one, and -0 is 0.
pub(super) fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0),
        Value::Boolean(b) => out.extend([1, u8::from(*b)]),
        Value::TinyInt(n) => out.extend([2, n.cast_unsigned()]),
        Value::SmallInt(n) => fixed(out, 3, &n.to_le_bytes()),
        Value::Int(n) => fixed(out, 4, &n.to_le_bytes()),
        Value::BigInt(n) => fixed(out, 5, &n.to_le_bytes()),
        Value::Float(x) => {
            let x = if x.is_nan() { f32::NAN } else { x + 0.0 };
            fixed(out, 6, &x.to_le_bytes());
        }
        Value::Double(x) => {
            let x = if x.is_nan() { f64::NAN } else { x + 0.0 };
            fixed(out, 7, &x.to_le_bytes());
        }
        Value::Decimal(n) => fixed(out, 8, &i128::from(*n).to_le_bytes()),
        Value::String(text) => sized(out, 9, text.as_bytes()),
        Value::Binary(bytes) => sized(out, 10, bytes),
        Value::Date(n) => fixed(out, 11, &n.to_le_bytes()),
        Value::Timestamp(n) => fixed(out, 12, &n.to_le_bytes()),
        Value::TimestampNtz(n) => fixed(out, 13, &n.to_le_bytes()),
        Value::YearMonthInterval(n) => fixed(out, 14, &n.to_le_bytes()),
        Value::DayTimeInterval(n) => fixed(out, 15, &n.to_le_bytes()),
        Value::Array(items) => {
            length(out, 16, items.len());
            items.iter().for_each(|item| encode(item, out));
        }
        Value::Map(pairs) => {
            length(out, 17, pairs.len());
            for (key, value) in pairs.iter() {
                encode(key, out);
                encode(value, out);
            }
        }
        Value::Struct(fields) => {
            length(out, 18, fields.len());
            fields.iter().for_each(|field| encode(field, out));
        }
    }
}

fn fixed(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn length(out: &mut Vec<u8>, tag: u8, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    fixed(out, tag, &length.to_le_bytes());
}

fn sized(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    length(out, tag, bytes.len());
    out.extend_from_slice(bytes);
}

/// Takes a value off the front; None when the bytes are none.
pub(super) fn decode(bytes: &mut &[u8]) -> Option<Value> {
    let (tag, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(match tag {
        0 => Value::Null,
        1 => Value::Boolean(take::<1>(bytes)?[0] != 0),
        2 => Value::TinyInt(i8::from_le_bytes(take(bytes)?)),
        3 => Value::SmallInt(i16::from_le_bytes(take(bytes)?)),
        4 => Value::Int(i32::from_le_bytes(take(bytes)?)),
        5 => Value::BigInt(i64::from_le_bytes(take(bytes)?)),
        6 => Value::Float(f32::from_le_bytes(take(bytes)?)),
        7 => Value::Double(f64::from_le_bytes(take(bytes)?)),
        8 => Value::Decimal(i128::from_le_bytes(take(bytes)?).into()),
        9 => Value::from(std::str::from_utf8(slice(bytes)?).ok()?),
        10 => Value::Binary(slice(bytes)?.into()),
        11 => Value::Date(i32::from_le_bytes(take(bytes)?)),
        12 => Value::Timestamp(i64::from_le_bytes(take(bytes)?)),
        13 => Value::TimestampNtz(i64::from_le_bytes(take(bytes)?)),
        14 => Value::YearMonthInterval(i32::from_le_bytes(take(bytes)?)),
        15 => Value::DayTimeInterval(i64::from_le_bytes(take(bytes)?)),
        16 => Value::Array(several(bytes)?),
        17 => {
            let count = u32::from_le_bytes(take(bytes)?);
            let pairs: Option<Arc<[_]>> = (0..count)
                .map(|_| Some((decode(bytes)?, decode(bytes)?)))
                .collect();
            Value::Map(pairs?)
        }
        18 => Value::Struct(several(bytes)?),
        _ => return None,
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

fn slice<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u32::from_le_bytes(take(bytes)?);
    let (taken, rest) = bytes.split_at_checked(length as usize)?;
    *bytes = rest;
    Some(taken)
}

fn several(bytes: &mut &[u8]) -> Option<Arc<[Value]>> {
    let count = u32::from_le_bytes(take(bytes)?);
    (0..count).map(|_| decode(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_read_back() {
        let values = [
            Value::Null,
            Value::Boolean(true),
            Value::TinyInt(-1),
            Value::SmallInt(-2),
            Value::Int(-3),
            Value::BigInt(i64::MIN),
            Value::Float(1.5),
            Value::Double(-2.5),
            Value::Decimal(i128::MIN.into()),
            Value::from("a text that does not fit inside a value"),
            Value::Binary([0, 255].into()),
            Value::Date(-1),
            Value::Timestamp(1),
            Value::TimestampNtz(2),
            Value::YearMonthInterval(3),
            Value::DayTimeInterval(4),
            Value::Array([Value::Null, Value::Int(1)].into()),
            Value::Map([(Value::from("k"), Value::Null)].into()),
        ];
        let all = Value::Struct(values.into());
        let mut bytes = Vec::new();
        encode(&all, &mut bytes);
        assert_eq!(decode(&mut bytes.as_slice()), Some(all));
        for end in 0..bytes.len() {
            assert_eq!(decode(&mut &bytes[..end]), None);
        }
    }

    #[test]
    fn zero_and_minus_zero_have_the_same_bytes_and_so_have_all_nan() {
        let bytes = |x: f64| {
            let mut out = Vec::new();
            encode(&Value::Double(x), &mut out);
            out
        };
        assert_eq!(bytes(0.0), bytes(-0.0));
        assert_eq!(bytes(f64::NAN), bytes(-f64::NAN));
        assert_ne!(bytes(0.0), bytes(1.0));
    }
}
