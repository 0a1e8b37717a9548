//! Numbers as formatted text: Java's `DecimalFormat`, as far as `format_number` needs it.

use std::fmt::Write;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Int, Number, Text};
use super::forms::{check_text_size, failed, string};
use super::rounding::{Rounding, round_decimal};
use super::{BindContext, Function, function};
use crate::expr::access::{double, int, long, unscaled};
use crate::expr::text::append_decimal;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[function(
    "format_number",
    "format_number(x, digits) or format_number(x, pattern)",
    "The number with commas between thousands and so many digits after the point, or by a pattern such as '#,##0.##'.",
    "format_number(12332.123456, 4)",
    "12,332.1235",
    format_number,
)];

/// From here on a DOUBLE has more digits before the point than mean something.
const EXACT: f64 = 1e17;

/// How a number is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layout {
    before: String,
    after: String,
    /// Digits in a group; 0 for none.
    group: usize,
    whole_least: usize,
    fraction_least: usize,
    fraction_most: usize,
}

impl Layout {
    fn digits(count: usize) -> Self {
        Self {
            before: String::new(),
            after: String::new(),
            group: 3,
            whole_least: 1,
            fraction_least: count,
            fraction_most: count,
        }
    }

    /// `#,##0.00` with literal text around it.
    fn parse(pattern: &str) -> Option<Self> {
        let special = |c: char| "#0,.".contains(c);
        if pattern.contains(['%', '‰', 'E', ';', '\'', '¤']) {
            return None;
        }
        let start = pattern.find(special)?;
        let end = pattern.rfind(special)? + 1;
        let (whole, fraction) = match pattern[start..end].split_once('.') {
            Some((whole, fraction)) => (whole, fraction),
            None => (&pattern[start..end], ""),
        };
        let ordered = |text: &str, first: char, then: char| {
            !text
                .trim_start_matches(first)
                .trim_start_matches(then)
                .contains(special)
        };
        let digits: String = whole.chars().filter(|c| *c != ',').collect();
        let legal = ordered(&digits, '#', '0')
            && ordered(fraction, '0', '#')
            && pattern[start..end].chars().all(special);
        // Without a 0 in it, a pattern with a point asks for a digit beside the point.
        let least = |digits: &str, alone: bool| match digits.matches('0').count() {
            0 if alone && pattern[start..end].contains('.') => 1,
            count => count,
        };
        let none = !whole.contains('0') && !fraction.contains('0');
        legal.then(|| Self {
            before: pattern[..start].to_owned(),
            after: pattern[end..].to_owned(),
            group: whole.rfind(',').map_or(0, |comma| whole.len() - comma - 1),
            whole_least: least(&digits, none && !digits.is_empty()),
            fraction_least: least(fraction, none && digits.is_empty()),
            fraction_most: fraction.len(),
        })
    }
}

fn format_number(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let by_pattern = args
        .get(1)
        .is_some_and(|arg| arg.data_type == DataType::String);
    let args = cx.take(args, &[Number, if by_pattern { Text } else { Int }], 2)?;
    let scale = match args[0].data_type {
        DataType::Decimal { scale, .. } => scale,
        _ => 0,
    };
    let fixed = match args[1].constant_text() {
        Some(pattern) if by_pattern => Some(Layout::parse(pattern).ok_or_else(|| {
            cx.error("the pattern may have #, 0, a comma and a point, and plain text around them")
        })?),
        None if by_pattern => return Err(cx.error("the pattern must be a constant")),
        _ => None,
    };
    cx.scratch(DataType::String, args, move || {
        let fixed = fixed.clone();
        let (mut out, mut plain) = (String::new(), String::new());
        Box::new(move |v| {
            out.clear();
            plain.clear();
            if let Some(layout) = &fixed {
                append_number(&mut out, &mut plain, &v[0], scale, layout)?;
                return Ok(string(&out));
            }
            let Ok(digits) = usize::try_from(int(&v[1])) else {
                return Ok(Value::Null);
            };
            check_text_size(digits)?;
            append_number(&mut out, &mut plain, &v[0], scale, &Layout::digits(digits))?;
            Ok(string(&out))
        })
    })
}

/// `plain` is empty scratch space.
fn append_number(
    out: &mut String,
    plain: &mut String,
    value: &Value,
    scale: u8,
    layout: &Layout,
) -> Result<(), RecordError> {
    let most = layout.fraction_most;
    match value {
        Value::Double(_) | Value::Float(_) => {
            let number = double(value);
            if !number.is_finite() {
                let name = if number.is_nan() { "NaN" } else { "∞" };
                let sign = if number < 0.0 { "-" } else { "" };
                out.extend([sign, &layout.before, name, &layout.after]);
                return Ok(());
            }
            let written = if number.abs() < EXACT {
                // A half goes to the even digit, judged on the exact binary value, as in Java.
                write!(plain, "{number:.most$}")
            } else {
                // Java knows the shortest digits only, and zeros behind them.
                write!(plain, "{number}")
            };
            written.map_err(|_| failed("out of memory"))?;
        }
        Value::Decimal(_) => {
            let kept = u8::try_from(most).unwrap_or(scale).min(scale);
            let digits = i32::from(kept);
            let rounded = round_decimal(unscaled(value), scale, digits, Rounding::HalfEven)
                .ok_or_else(|| failed("the number has more than 38 digits"))?;
            append_decimal(plain, rounded, kept);
        }
        other => plain.push_str(itoa::Buffer::new().format(long(other))),
    }
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        // A decimal that was rounded to zero keeps its sign, as in Java.
        None => (is_negative(value), plain.as_ref()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if negative {
        out.push('-');
    }
    out.push_str(&layout.before);
    append_whole(out, whole.trim_start_matches('0'), layout);
    let kept = fraction
        .trim_end_matches('0')
        .len()
        .max(layout.fraction_least);
    if kept > 0 {
        out.push('.');
        let given = kept.min(fraction.len());
        out.push_str(&fraction[..given]);
        out.extend(std::iter::repeat_n('0', kept - given));
    }
    out.push_str(&layout.after);
    Ok(())
}

fn is_negative(value: &Value) -> bool {
    match value {
        Value::Decimal(number) => i128::from(*number) < 0,
        _ => false,
    }
}

fn append_whole(out: &mut String, digits: &str, layout: &Layout) {
    // With neither a digit asked for nor a fraction to follow, zero is still written.
    let least = if layout.fraction_most == 0 {
        layout.whole_least.max(1)
    } else {
        layout.whole_least
    };
    let count = digits.len().max(least);
    for place in 0..count {
        let left = count - place;
        if place > 0 && layout.group > 0 && left % layout.group == 0 {
            out.push(',');
        }
        let index = (place + digits.len()).checked_sub(count);
        out.push(index.map_or('0', |index| char::from(digits.as_bytes()[index])));
    }
}
