//! Functions of whole numbers: bits, number systems, factorials.

use std::fmt::Write;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Any, Binary, Int, Integral, Long, Text};
use super::forms::{failed, written, written_or_null};
use super::{BindContext, Function, function};
use crate::expr::access::{bytes, int, long, text};
use crate::expr::coerce;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

/// How many bits one bitmap has.
const BITMAP_BITS: i64 = 32_768;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "factorial",
        "factorial(n)",
        "1 · 2 · … · n as a BIGINT; NULL below 0 and above 20.",
        "factorial(5)",
        "120",
        |args, cx| {
            let args = cx.take(args, &[Int], 1)?;
            cx.partial(DataType::BigInt, args, |v| {
                Ok(match int(&v[0]) {
                    n @ 0..=20 => Value::BigInt((1..=i64::from(n)).product()),
                    _ => Value::Null,
                })
            })
        },
    ),
    function(
        "bin",
        "bin(n)",
        "The number in binary digits; a negative one as 64 bits.",
        "bin(13)",
        "1101",
        |args, cx| {
            let args = cx.take(args, &[Long], 1)?;
            written(cx, args, |v, out| {
                write!(out, "{:b}", long(&v[0])).map_err(|_| failed("bin: out of memory"))
            })
        },
    ),
    function(
        "conv",
        "conv(number, from, to)",
        "A number as text from one base (2 to 36) to another; a negative base to write negative numbers with a sign.",
        "conv('100', 2, 10)",
        "4",
        |args, cx| {
            let args = cx.take(args, &[Text, Int, Int], 3)?;
            let ansi = cx.settings.ansi;
            written_or_null(cx, args, move |v, out| {
                convert(text(&v[0]), int(&v[1]), int(&v[2]), ansi, out)
            })
        },
    ),
    function(
        "shiftleft",
        "shiftleft(n, bits)",
        "The number's bits moved to the left.",
        "shiftleft(2, 1)",
        "4",
        |args, cx| {
            shift(
                args,
                cx,
                |n, by| n.wrapping_shl(by),
                |n, by| n.wrapping_shl(by),
            )
        },
    ),
    function(
        "shiftright",
        "shiftright(n, bits)",
        "The number's bits moved to the right, the sign kept.",
        "shiftright(4, 1)",
        "2",
        |args, cx| {
            shift(
                args,
                cx,
                |n, by| n.wrapping_shr(by),
                |n, by| n.wrapping_shr(by),
            )
        },
    ),
    function(
        "shiftrightunsigned",
        "shiftrightunsigned(n, bits)",
        "The number's bits moved to the right, zeros moving in.",
        "shiftrightunsigned(-4, 30)",
        "3",
        |args, cx| {
            shift(
                args,
                cx,
                |n, by| n.cast_unsigned().wrapping_shr(by).cast_signed(),
                |n, by| n.cast_unsigned().wrapping_shr(by).cast_signed(),
            )
        },
    ),
    function(
        "bitmap_bucket_number",
        "bitmap_bucket_number(n)",
        "Which bitmap of 32768 bits the number is kept in.",
        "bitmap_bucket_number(32769)",
        "2",
        |args, cx| {
            let args = cx.take(args, &[Long], 1)?;
            cx.strict(DataType::BigInt, args, |v| {
                Ok(Value::BigInt(match long(&v[0]) {
                    n @ 1.. => 1 + (n - 1) / BITMAP_BITS,
                    n => n / BITMAP_BITS,
                }))
            })
        },
    ),
    function(
        "bitmap_bit_position",
        "bitmap_bit_position(n)",
        "Which bit of its bitmap stands for the number.",
        "bitmap_bit_position(32769)",
        "0",
        |args, cx| {
            let args = cx.take(args, &[Long], 1)?;
            cx.strict(DataType::BigInt, args, |v| {
                Ok(Value::BigInt(match long(&v[0]) {
                    n @ 1.. => (n - 1) % BITMAP_BITS,
                    n => -(n % BITMAP_BITS),
                }))
            })
        },
    ),
    function(
        "bitmap_count",
        "bitmap_count(bitmap)",
        "How many bits of a BINARY are set.",
        "bitmap_count(X'FF01')",
        "9",
        |args, cx| {
            let binary = args
                .first()
                .is_none_or(|arg| matches!(arg.data_type, DataType::Binary | DataType::Void));
            if !binary {
                return Err(cx.error("argument 1 takes BINARY"));
            }
            let args = cx.take(args, &[Binary], 1)?;
            cx.strict(DataType::BigInt, args, |v| {
                let set = bytes(&v[0]).iter().map(|byte| i64::from(byte.count_ones()));
                Ok(Value::BigInt(set.sum()))
            })
        },
    ),
    function(
        "bit_count",
        "bit_count(n)",
        "How many bits of the number (64 of them when negative), or of a BOOLEAN, are set.",
        "bit_count(5)",
        "2",
        |args, cx| {
            let boolean = args
                .first()
                .is_some_and(|a| a.data_type == DataType::Boolean);
            let args = cx.take(args, &[if boolean { Any } else { Integral }], 1)?;
            cx.strict(DataType::Int, args, |v| {
                Ok(Value::Int(match &v[0] {
                    Value::Boolean(set) => i32::from(*set),
                    number => long(number).count_ones().cast_signed(),
                }))
            })
        },
    ),
    function(
        "bit_get",
        "bit_get(n, place)",
        "The bit at a place, counted from 0 on the right, as a TINYINT.",
        "bit_get(11, 2)",
        "0",
        |args, cx| {
            let args = cx.take(args, &[Integral, Int], 2)?;
            cx.strict(DataType::TinyInt, args, |v| {
                let width = match &v[0] {
                    Value::TinyInt(_) => 8,
                    Value::SmallInt(_) => 16,
                    Value::Int(_) => 32,
                    _ => 64,
                };
                match int(&v[1]) {
                    place if (0..width).contains(&place) => {
                        Ok(Value::TinyInt(i8::from(long(&v[0]) >> place & 1 == 1)))
                    }
                    _ => Err(failed(format!("bit_get: the place must be below {width}"))),
                }
            })
        },
    )
    .aliases(&["getbit"]),
];

fn shift(
    args: Vec<Typed>,
    cx: &BindContext,
    of_int: fn(i32, u32) -> i32,
    of_long: fn(i64, u32) -> i64,
) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Integral, Int], 2)?;
    if matches!(args[0].data_type, DataType::TinyInt | DataType::SmallInt) {
        let narrow = args.remove(0);
        let wide = coerce::cast_implicitly(narrow, &DataType::Int, cx.settings);
        args.insert(0, wide);
    }
    cx.strict(args[0].data_type.clone(), args, move |v| {
        let by = int(&v[1]).cast_unsigned();
        Ok(match &v[0] {
            Value::Int(n) => Value::Int(of_int(*n, by)),
            other => Value::BigInt(of_long(long(other), by)),
        })
    })
}

/// As Spark: digits up to the first that the base does not have, through an unsigned number of 64 bits.
fn convert(
    number: &str,
    from: i32,
    to: i32,
    ansi: bool,
    out: &mut String,
) -> Result<bool, RecordError> {
    let number = number.trim_matches(' ');
    let (Ok(radix @ 2..=36), 2..=36) = (u32::try_from(from), to.unsigned_abs()) else {
        return Ok(false);
    };
    if number.is_empty() {
        return Ok(false);
    }
    let (mut negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number),
    };
    let mut magnitude = 0_u64;
    for digit in digits.chars().map_while(|c| c.to_digit(radix)) {
        let next = magnitude
            .checked_mul(u64::from(radix))
            .and_then(|n| n.checked_add(u64::from(digit)));
        magnitude = match next {
            Some(next) => next,
            None if ansi => return Err(failed("conv: the number has more than 64 bits")),
            None => {
                magnitude = u64::MAX;
                break;
            }
        };
    }
    if negative && to > 0 {
        magnitude = if magnitude.cast_signed() < 0 {
            u64::MAX
        } else {
            magnitude.wrapping_neg()
        };
    }
    if to < 0 && magnitude.cast_signed() < 0 {
        magnitude = magnitude.wrapping_neg();
        negative = true;
    }
    if negative && to < 0 {
        out.push('-');
    }
    let base = u64::from(to.unsigned_abs());
    let start = out.len();
    loop {
        let digit = u32::try_from(magnitude % base).unwrap_or(0);
        let c = char::from_digit(digit, 36).unwrap_or('0');
        out.insert(start, c.to_ascii_uppercase());
        magnitude /= base;
        if magnitude == 0 {
            return Ok(true);
        }
    }
}
