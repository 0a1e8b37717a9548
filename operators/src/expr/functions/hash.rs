//! Hashes and identifiers.

use md5::Digest;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;
use xxhash_rust::xxh64::xxh64;

use super::Param::{Any, Int, TextOrBinary};
use super::forms::{failed, string, written, written_or_null};
use super::{BindContext, Function, function};
use crate::expr::access::{bytes, int};
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "md5",
        "md5(text or binary)",
        "The MD5 sum as hexadecimal digits.",
        "md5('Spark')",
        "8cde774d6f7333752ed72cacddb05126",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary], 1)?;
            written(cx, args, |v, out| {
                hexadecimal(&md5::Md5::digest(bytes(&v[0])), out);
                Ok(())
            })
        },
    ),
    function(
        "sha1",
        "sha1(text or binary)",
        "The SHA-1 sum as hexadecimal digits.",
        "sha1('Spark')",
        "85f5955f4b27a9a4c2aab6ffe5d7189fc298b92c",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary], 1)?;
            written(cx, args, |v, out| {
                hexadecimal(&sha1::Sha1::digest(bytes(&v[0])), out);
                Ok(())
            })
        },
    )
    .aliases(&["sha"]),
    function(
        "sha2",
        "sha2(text or binary, bits)",
        "The SHA-2 sum of 224, 256 (or 0), 384 or 512 bits as hexadecimal digits; NULL for other bits.",
        "sha2('Spark', 256)",
        "529bc3b07127ecb7e53a4dcf1991d9152c24537d919178022b2c42657f79a26b",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary, Int], 2)?;
            written_or_null(cx, args, |v, out| {
                let content = bytes(&v[0]);
                match int(&v[1]) {
                    224 => hexadecimal(&sha2::Sha224::digest(content), out),
                    0 | 256 => hexadecimal(&sha2::Sha256::digest(content), out),
                    384 => hexadecimal(&sha2::Sha384::digest(content), out),
                    512 => hexadecimal(&sha2::Sha512::digest(content), out),
                    _ => return Ok(false),
                }
                Ok(true)
            })
        },
    ),
    function(
        "crc32",
        "crc32(text or binary)",
        "The CRC-32 sum as a BIGINT.",
        "crc32('Spark')",
        "1557323817",
        |args, cx| {
            let args = cx.take(args, &[TextOrBinary], 1)?;
            cx.strict(DataType::BigInt, args, |v| {
                Ok(Value::BigInt(i64::from(crc32fast::hash(bytes(&v[0])))))
            })
        },
    ),
    function(
        "hash",
        "hash(a, b, ...)",
        "Spark's 32-bit Murmur3 hash of the values and their types; NULLs do not count.",
        "hash('Spark', array(123), 2)",
        "-1321691492",
        |args, cx| {
            let (args, plans) = hashed(args, cx)?;
            cx.with_nulls(DataType::Int, false, args, move |v| {
                let hash = v
                    .iter()
                    .zip(&plans)
                    .fold(42, |seed, (value, wide)| murmur3(value, wide, seed));
                Ok(Value::Int(hash.cast_signed()))
            })
        },
    ),
    function(
        "xxhash64",
        "xxhash64(a, b, ...)",
        "The 64-bit xxHash of the values and their types; NULLs do not count.",
        "xxhash64('Spark', array(123), 2)",
        "5602566077635097486",
        |args, cx| {
            let (args, plans) = hashed(args, cx)?;
            cx.with_nulls(DataType::BigInt, false, args, move |v| {
                let hash = v
                    .iter()
                    .zip(&plans)
                    .fold(42, |seed, (value, wide)| xxhash(value, wide, seed));
                Ok(Value::BigInt(hash.cast_signed()))
            })
        },
    ),
    function(
        "uuid",
        "uuid()",
        "A random UUID (version 4), another one for each record and each time it is read.",
        "uuid()",
        "",
        |args, cx| {
            let args = cx.take(args, &[], 0)?;
            cx.volatile(DataType::String, args, || {
                // Many at once: asking the system costs more than what it gives.
                let mut random = [0_u8; 1024];
                let mut used = random.len();
                Box::new(move |_| {
                    if used == random.len() {
                        getrandom::fill(&mut random)
                            .map_err(|_| failed("the system has no random numbers"))?;
                        used = 0;
                    }
                    let mut id = [0_u8; 16];
                    id.copy_from_slice(&random[used..used + 16]);
                    used += 16;
                    Ok(uuid(id))
                })
            })
        },
    ),
];

/// Bytes as lower-case hexadecimal digits.
fn hexadecimal(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        out.push(digit(byte >> 4));
        out.push(digit(byte & 15));
    }
}

fn digit(nibble: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(nibble & 15)])
}

fn uuid(mut id: [u8; 16]) -> Value {
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    let mut text = [b'-'; 36];
    let mut place = 0;
    for (i, byte) in id.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            place += 1;
        }
        text[place] = b"0123456789abcdef"[usize::from(byte >> 4)];
        text[place + 1] = b"0123456789abcdef"[usize::from(byte & 15)];
        place += 2;
    }
    string(std::str::from_utf8(&text).unwrap_or_default())
}

/// What a hash needs to know of a type: which decimals are hashed as bytes.
#[derive(Clone, Debug, PartialEq)]
enum Wide {
    /// By the value alone.
    No,
    /// A DECIMAL of more than 18 digits.
    Decimal,
    /// The elements of an array.
    Elements(Box<Wide>),
    /// The fields of a struct.
    Fields(Vec<Wide>),
}

fn hashed(args: Vec<Typed>, cx: &BindContext) -> Result<(Vec<Typed>, Vec<Wide>), JobError> {
    let args = cx.take_all(args, Any, 1)?;
    let plans = args
        .iter()
        .map(|arg| {
            wide(&arg.data_type).ok_or_else(|| {
                cx.error("a MAP cannot be hashed, because equal maps may differ in their order")
            })
        })
        .collect::<Result<_, _>>()?;
    Ok((args, plans))
}

/// None for a type with a MAP in it.
fn wide(data_type: &DataType) -> Option<Wide> {
    Some(match data_type {
        DataType::Map(_) => return None,
        DataType::Decimal { precision, .. } if *precision > 18 => Wide::Decimal,
        DataType::Array(element) => match wide(element)? {
            Wide::No => Wide::No,
            element => Wide::Elements(Box::new(element)),
        },
        DataType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| wide(&field.data_type))
                .collect::<Option<Vec<_>>>()?;
            if fields.iter().all(|field| *field == Wide::No) {
                Wide::No
            } else {
                Wide::Fields(fields)
            }
        }
        _ => Wide::No,
    })
}

/// What is hashed of a value.
enum Content<'v> {
    Nothing,
    Word(i32),
    Long(i64),
    Bytes(&'v [u8]),
    /// The shortest two's complement, most significant byte first.
    Number([u8; 16], usize),
    Values(&'v [Value]),
}

fn content<'v>(value: &'v Value, wide: &Wide) -> Content<'v> {
    match value {
        Value::Null | Value::Map(_) => Content::Nothing,
        Value::Boolean(value) => Content::Word(i32::from(*value)),
        Value::TinyInt(number) => Content::Word(i32::from(*number)),
        Value::SmallInt(number) => Content::Word(i32::from(*number)),
        Value::Int(number) | Value::Date(number) | Value::YearMonthInterval(number) => {
            Content::Word(*number)
        }
        Value::BigInt(number)
        | Value::Timestamp(number)
        | Value::TimestampNtz(number)
        | Value::DayTimeInterval(number) => Content::Long(*number),
        Value::Float(number) => Content::Word(if number.is_nan() {
            0x7fc0_0000
        } else {
            // -0.0 + 0.0 is 0.0.
            (number + 0.0).to_bits().cast_signed()
        }),
        Value::Double(number) => Content::Long(if number.is_nan() {
            0x7ff8_0000_0000_0000
        } else {
            (number + 0.0).to_bits().cast_signed()
        }),
        Value::Decimal(number) => {
            let number = i128::from(*number);
            match i64::try_from(number) {
                Ok(short) if *wide != Wide::Decimal => Content::Long(short),
                _ => {
                    let bits = if number < 0 { !number } else { number };
                    let used = 128 - bits.leading_zeros() as usize;
                    Content::Number(number.to_be_bytes(), used / 8 + 1)
                }
            }
        }
        Value::String(text) => Content::Bytes(text.as_bytes()),
        Value::Binary(bytes) => Content::Bytes(bytes),
        Value::Array(values) | Value::Struct(values) => Content::Values(values),
    }
}

/// Goes through the elements or fields of a nested value.
fn nested<S>(values: &[Value], wide: &Wide, seed: S, hash: fn(&Value, &Wide, S) -> S) -> S {
    match wide {
        Wide::Elements(element) => values
            .iter()
            .fold(seed, |seed, value| hash(value, element, seed)),
        Wide::Fields(fields) => values
            .iter()
            .zip(fields)
            .fold(seed, |seed, (value, wide)| hash(value, wide, seed)),
        Wide::No | Wide::Decimal => values
            .iter()
            .fold(seed, |seed, value| hash(value, &Wide::No, seed)),
    }
}

/// Spark's `xxhash64` of one value from a seed; decimals of more than 18 digits are hashed as bytes.
pub(super) fn spark_xxhash64(value: &Value, wide_decimal: bool, seed: u64) -> u64 {
    let wide = if wide_decimal {
        Wide::Decimal
    } else {
        Wide::No
    };
    xxhash(value, &wide, seed)
}

/// A hash for sets of values: equal values have equal ones.
pub(super) fn fingerprint(value: &Value) -> u64 {
    xxhash(value, &Wide::No, 0)
}

fn xxhash(value: &Value, wide: &Wide, seed: u64) -> u64 {
    match content(value, wide) {
        Content::Nothing => seed,
        Content::Word(word) => xxh64(&word.to_le_bytes(), seed),
        Content::Long(long) => xxh64(&long.to_le_bytes(), seed),
        Content::Bytes(bytes) => xxh64(bytes, seed),
        Content::Number(bytes, used) => xxh64(&bytes[16 - used..], seed),
        Content::Values(values) => nested(values, wide, seed, xxhash),
    }
}

fn murmur3(value: &Value, wide: &Wide, seed: u32) -> u32 {
    match content(value, wide) {
        Content::Nothing => seed,
        Content::Word(word) => finish(mix(seed, word.cast_unsigned()), 4),
        Content::Long(long) => {
            let bytes = long.to_le_bytes();
            murmur3_bytes(&bytes, seed)
        }
        Content::Bytes(bytes) => murmur3_bytes(bytes, seed),
        Content::Number(bytes, used) => murmur3_bytes(&bytes[16 - used..], seed),
        Content::Values(values) => nested(values, wide, seed, murmur3),
    }
}

/// Spark's form of Murmur3: each byte after the last whole word is mixed in as a signed word of its own.
fn murmur3_bytes(bytes: &[u8], seed: u32) -> u32 {
    let mut words = bytes.chunks_exact(4);
    let mut hash = seed;
    for word in &mut words {
        let word = [word[0], word[1], word[2], word[3]];
        hash = mix(hash, u32::from_le_bytes(word));
    }
    for byte in words.remainder() {
        hash = mix(hash, i32::from(byte.cast_signed()).cast_unsigned());
    }
    #[allow(clippy::cast_possible_truncation)]
    finish(hash, bytes.len() as u32)
}

fn mix(hash: u32, word: u32) -> u32 {
    let word = word
        .wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593);
    (hash ^ word)
        .rotate_left(13)
        .wrapping_mul(5)
        .wrapping_add(0xe654_6b64)
}

fn finish(hash: u32, length: u32) -> u32 {
    let mut hash = hash ^ length;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}
