//! Texts with arguments in them: Java's `Formatter`, as far as `format_string` needs it.

use std::fmt::Write;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Any, Text};
use super::forms::{check_text_size, failed, scratch_with_nulls, string};
use super::rounding::{Rounding, append_fixed, round_decimal};
use super::{BindContext, Function, function};
use crate::expr::access::{double, long, unscaled};
use crate::expr::calendar::Zone;
use crate::expr::text::{append, append_decimal};
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "format_string",
        "format_string(format, a, b, ...)",
        "The arguments in a format as Java's Formatter has it: %s %d %x %o %f %e %g %c %b %n %%, with flags and widths.",
        "format_string('%05d %s %.2f', 42, 'days', 1.005D)",
        "00042 days 1.01",
        format_string,
    )
    .aliases(&["printf"]),
];

/// One `%...` of a format.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    /// The number of the argument, from 1; 0 for the next.
    argument: usize,
    left: bool,
    zeros: bool,
    plus: bool,
    space: bool,
    commas: bool,
    parentheses: bool,
    prefix: bool,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

/// The spec after a `%` and how many bytes it takes; None where it is none.
fn spec(text: &str) -> Option<(Spec, usize)> {
    let mut spec = Spec::default();
    let mut rest = text;
    let number = |rest: &mut &str| -> Option<usize> {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = rest[..digits].parse().ok()?;
        *rest = &rest[digits..];
        Some(number)
    };
    let mut after_number = rest;
    if !rest.starts_with('0')
        && let Some(argument) = number(&mut after_number)
        && let Some(after) = after_number.strip_prefix('$')
    {
        spec.argument = argument;
        rest = after;
    }
    loop {
        let flag = match rest.chars().next()? {
            '-' => &mut spec.left,
            '0' => &mut spec.zeros,
            '+' => &mut spec.plus,
            ' ' => &mut spec.space,
            ',' => &mut spec.commas,
            '(' => &mut spec.parentheses,
            '#' => &mut spec.prefix,
            _ => break,
        };
        *flag = true;
        rest = &rest[1..];
    }
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        spec.width = number(&mut rest)?;
    }
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        spec.precision = Some(number(&mut rest)?);
    }
    spec.conversion = rest.chars().next()?;
    Some((spec, text.len() - rest.len() + spec.conversion.len_utf8()))
}

/// Whether the conversion takes a value of the type; `%n` and `%%` take none.
fn fits(conversion: char, data_type: &DataType) -> bool {
    let void = *data_type == DataType::Void;
    match conversion {
        's' | 'S' | 'b' | 'B' | 'n' | '%' => true,
        'd' | 'x' | 'X' | 'o' => void || data_type.is_integer(),
        'c' => {
            void || matches!(
                data_type,
                DataType::TinyInt | DataType::SmallInt | DataType::Int
            )
        }
        'f' | 'e' | 'E' | 'g' | 'G' => {
            void || matches!(
                data_type,
                DataType::Float | DataType::Double | DataType::Decimal { .. }
            )
        }
        _ => false,
    }
}

fn format_string(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take_all(args, Any, 1)?;
    let mut args = args;
    let format = cx.coerce(args.remove(0), Text, 0)?;
    let types: Vec<DataType> = args.iter().map(|arg| arg.data_type.clone()).collect();
    if let Some(format) = format.constant_text() {
        each_spec(format, &types, |_| Ok(()), |_, _| Ok(()))
            .map_err(|error| cx.error(error.content.unwrap_or(error.reason)))?;
    }
    let nullable = format.nullable;
    args.insert(0, format);
    let zone = cx.settings.zone;
    scratch_with_nulls(cx, DataType::String, nullable, args, move || {
        let types = types.clone();
        let (mut out, mut one, mut body) = (String::new(), String::new(), String::new());
        Box::new(move |v| {
            let Value::String(format) = &v[0] else {
                return Ok(Value::Null);
            };
            out.clear();
            let out_cell = std::cell::RefCell::new(&mut out);
            each_spec(
                format,
                &types,
                |literal| {
                    out_cell.borrow_mut().push_str(literal);
                    Ok(())
                },
                |spec, place| {
                    one.clear();
                    let (value, data_type) = (&v[place + 1], &types[place]);
                    let null = value.is_null() && !matches!(spec.conversion, 'b' | 'B');
                    if null {
                        one.push_str(nothing(spec));
                    } else {
                        convert(spec, value, data_type, zone, &mut one)?;
                    }
                    body.clear();
                    lay_out(spec, &one, null, &mut body, &mut out_cell.borrow_mut());
                    Ok(())
                },
            )?;
            Ok(string(&out))
        })
    })
}

/// What is written for NULL: a precision cuts it, but for the conversions of integers, which have none.
fn nothing(spec: &Spec) -> &'static str {
    let whole = if spec.conversion.is_uppercase() {
        "NULL"
    } else {
        "null"
    };
    &whole[..spec.precision.unwrap_or(whole.len()).min(whole.len())]
}

/// What is wrong with a format may hold parts of the record.
#[cold]
fn unfit(content: String) -> RecordError {
    failed("the format does not fit its arguments").with_content(content)
}

/// Goes through a format: literal texts, and specs with the place of their argument.
fn each_spec(
    format: &str,
    types: &[DataType],
    mut literal: impl FnMut(&str) -> Result<(), RecordError>,
    mut argument: impl FnMut(&Spec, usize) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let (mut rest, mut next) = (format, 0);
    while let Some(percent) = rest.find('%') {
        literal(&rest[..percent])?;
        rest = &rest[percent + 1..];
        let Some((spec, length)) = spec(rest) else {
            return Err(unfit(
                "it has a % that nothing fitting follows; %% is a %".to_owned(),
            ));
        };
        rest = &rest[length..];
        match spec.conversion {
            '%' => literal("%")?,
            'n' => literal("\n")?,
            conversion => {
                let place = match spec.argument.checked_sub(1) {
                    Some(place) => place,
                    None => {
                        next += 1;
                        next - 1
                    }
                };
                let Some(data_type) = types.get(place) else {
                    return Err(unfit(format!("it needs an argument {}", place + 1)));
                };
                if !fits(conversion, data_type) {
                    return Err(unfit(format!("%{conversion} does not take a {data_type}")));
                }
                check_text_size(spec.width.max(spec.precision.unwrap_or(0)))?;
                argument(&spec, place)?;
            }
        }
    }
    literal(rest)
}

fn convert(
    spec: &Spec,
    value: &Value,
    data_type: &DataType,
    zone: Zone,
    out: &mut String,
) -> Result<(), RecordError> {
    let written = |result: std::fmt::Result| result.map_err(|_| failed("out of memory"));
    match spec.conversion {
        's' | 'S' => {
            append(out, value, data_type, zone);
            if let Some(most) = spec.precision {
                let end = super::strings::offset(out, most);
                out.truncate(end);
            }
            if spec.conversion == 'S' {
                *out = out.to_uppercase();
            }
        }
        'b' | 'B' => out.push_str(match (value, spec.conversion) {
            (Value::Null | Value::Boolean(false), 'b') => "false",
            (Value::Null | Value::Boolean(false), _) => "FALSE",
            (_, 'b') => "true",
            _ => "TRUE",
        }),
        'c' => {
            let code = u32::try_from(long(value)).ok().and_then(char::from_u32);
            out.push(code.ok_or_else(|| failed("%c needs the code of a character"))?);
        }
        'd' => out.push_str(itoa::Buffer::new().format(long(value))),
        'x' | 'X' | 'o' => {
            let bits = match value {
                Value::TinyInt(n) => u64::from(n.cast_unsigned()),
                Value::SmallInt(n) => u64::from(n.cast_unsigned()),
                Value::Int(n) => u64::from(n.cast_unsigned()),
                other => long(other).cast_unsigned(),
            };
            written(match (spec.conversion, spec.prefix) {
                ('x', true) => write!(out, "{bits:#x}"),
                ('x', false) => write!(out, "{bits:x}"),
                ('X', true) => write!(out, "0X{bits:X}"),
                ('X', false) => write!(out, "{bits:X}"),
                (_, true) => write!(out, "0{bits:o}"),
                (_, false) => write!(out, "{bits:o}"),
            })?;
        }
        'f' => {
            let precision = spec.precision.unwrap_or(6);
            match (value, data_type) {
                (Value::Decimal(_), DataType::Decimal { scale, .. }) => {
                    let kept = u8::try_from(precision).unwrap_or(*scale).min(*scale);
                    let number =
                        round_decimal(unscaled(value), *scale, i32::from(kept), Rounding::HalfUp);
                    append_decimal(out, number.unwrap_or_default(), kept);
                    if kept == 0 && precision > 0 {
                        out.push('.');
                    }
                    out.extend(std::iter::repeat_n('0', precision - usize::from(kept)));
                }
                _ => append_fixed(out, double(value), precision),
            }
        }
        _ => {
            let number = match (value, data_type) {
                (Value::Decimal(_), DataType::Decimal { scale, .. }) => {
                    let mut text = String::new();
                    append_decimal(&mut text, unscaled(value), *scale);
                    text.parse().unwrap_or(f64::NAN)
                }
                _ => double(value),
            };
            match spec.conversion {
                'g' | 'G' => general(number, spec.precision.unwrap_or(6).max(1), out),
                _ => scientific(number, spec.precision.unwrap_or(6), out),
            }
            if spec.conversion.is_uppercase() {
                out.make_ascii_uppercase();
            }
        }
    }
    Ok(())
}

/// `1.234560e+01`: a half goes up on the digits as they are written.
fn scientific(number: f64, precision: usize, out: &mut String) {
    if !number.is_finite() {
        append_fixed(out, number, 0);
        return;
    }
    if number == 0.0 {
        append_fixed(out, number, precision);
        out.push_str("e+00");
        return;
    }
    let shortest = format!("{number:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let mut exponent: i32 = exponent.parse().unwrap_or(0);
    let start = out.len();
    append_fixed(out, mantissa.parse().unwrap_or(0.0), precision);
    if out[start..].trim_start_matches('-').starts_with("10") {
        exponent += 1;
        out.truncate(start);
        append_fixed(out, number.signum(), precision);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    out.push_str(&format!("e{sign}{:02}", exponent.unsigned_abs()));
}

/// As many digits as the precision says, with an exponent where the number is small or has more before its point.
fn general(number: f64, precision: usize, out: &mut String) {
    let start = out.len();
    scientific(number, precision - 1, out);
    let exponent = out[start..].split_once('e').map(|(_, e)| e.parse::<i32>());
    if let Some(Ok(exponent)) = exponent
        && exponent >= -4
        && let Ok(digits) =
            usize::try_from(i64::try_from(precision).unwrap_or(0) - 1 - i64::from(exponent))
    {
        out.truncate(start);
        append_fixed(out, number, digits);
    }
}

/// Signs, commas and width; `body` is empty scratch space.
fn lay_out(spec: &Spec, one: &str, null: bool, body: &mut String, out: &mut String) {
    let numeric = !null && matches!(spec.conversion, 'd' | 'f' | 'e' | 'E' | 'g' | 'G');
    let (negative, digits) = match one.strip_prefix('-') {
        Some(digits) if numeric => (true, digits),
        _ => (false, one),
    };
    if numeric {
        body.push_str(match negative {
            true if spec.parentheses => "(",
            true => "-",
            false if spec.plus => "+",
            false if spec.space => " ",
            false => "",
        });
    }
    let lead = body.len();
    let finite = digits.starts_with(|c: char| c.is_ascii_digit());
    if numeric && spec.commas && finite {
        let whole = digits.find(['.', 'e']).unwrap_or(digits.len());
        for (place, c) in digits[..whole].chars().enumerate() {
            if place > 0 && (whole - place) % 3 == 0 {
                body.push(',');
            }
            body.push(c);
        }
        body.push_str(&digits[whole..]);
    } else {
        body.push_str(digits);
    }
    if negative && spec.parentheses {
        body.push(')');
    }
    let missing = spec.width.saturating_sub(body.chars().count());
    let zeros = spec.zeros && (finite && !null);
    if zeros && !spec.left {
        out.push_str(&body[..lead]);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(&body[lead..]);
    } else if spec.left {
        out.push_str(body);
        out.extend(std::iter::repeat_n(' ', missing));
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(body);
    }
}
