//! Numbers by a pattern of digits such as `S$99,999.99`: `to_number` and `to_char`.

use std::sync::Arc;

use thalweg_engine::row::{Unscaled, Value};
use thalweg_engine::schema::DataType;

use super::Param::{Any, Text};
use super::digit_pattern::Pattern;
use super::forms::{failed, strict_scratch, string};
use super::{BindContext, Function, dates_text, function, text_formats};
use crate::expr::access::{text, unscaled};
use crate::expr::coerce;
use crate::expr::decimal::MAX_PRECISION;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "to_number",
        "to_number(text, pattern)",
        "The number that a text of the pattern writes: 9 and 0 for digits, G or a comma, D or a point, $, S, MI, PR.",
        "to_number('$78.12', '$99.99')",
        "78.12",
        |args, cx| to_number(args, cx, true),
    ),
    function(
        "try_to_number",
        "try_to_number(text, pattern)",
        "The number that a text of the pattern writes, as to_number gives it; NULL where the text is not of the pattern.",
        "try_to_number('78.x', '99.99')",
        "NULL",
        |args, cx| to_number(args, cx, false),
    ),
    function(
        "to_char",
        "to_char(number, time or binary, pattern)",
        "The number by a pattern as to_number reads it, a time by a pattern as date_format takes it, or bytes as 'base64', 'hex' or 'utf-8'.",
        "to_char(-12454.8, '99G999D9S')",
        "12,454.8-",
        to_char,
    )
    .aliases(&["to_varchar"]),
];

/// The constant pattern of a call; None where it is NULL.
fn pattern(arg: &Typed, cx: &BindContext) -> Result<Option<Pattern>, JobError> {
    match arg.constant() {
        Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Pattern::parse(text)
            .map(Some)
            .map_err(|why| cx.error(format!("the pattern '{text}' {why}"))),
        _ => Err(cx.error("the pattern must be a constant")),
    }
}

fn to_number(args: Vec<Typed>, cx: &BindContext, strict: bool) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Text, Text], 2)?;
    let Some(pattern) = pattern(&args[1], cx)? else {
        let (precision, scale) = (MAX_PRECISION, 18);
        let kind = DataType::Decimal { precision, scale };
        return Ok(Typed::literal(Value::Null, kind, cx.at));
    };
    let (precision, scale) = pattern.size();
    if precision > MAX_PRECISION {
        return Err(cx.error(format!("the pattern has more than {MAX_PRECISION} digits")));
    }
    let kind = DataType::Decimal { precision, scale };
    cx.partial(kind, args, move |v| match pattern.read(text(&v[0])) {
        Some(number) => Ok(Value::Decimal(Unscaled::from(number))),
        None if strict => Err(failed("the text is not of the pattern").with_content(text(&v[0]))),
        None => Ok(Value::Null),
    })
}

fn to_char(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    match args.first().map(|arg| &arg.data_type) {
        Some(DataType::Date | DataType::Timestamp | DataType::TimestampNtz) => {
            return dates_text::date_format(args, cx);
        }
        Some(DataType::Binary) => return text_formats::shown_binary(args, cx),
        _ => {}
    }
    let mut args = cx.take(args, &[Any, Text], 2)?;
    let kind = match &args[0].data_type {
        DataType::Float => Some((14, 7)),
        DataType::Double => Some((30, 15)),
        DataType::String | DataType::Void => Some((MAX_PRECISION, 18)),
        other => coerce::as_decimal(other),
    };
    let Some((precision, scale)) = kind else {
        let got = args[0].data_type.clone();
        return Err(cx.error(format!(
            "argument 1 takes a number, a time or BINARY, got {got}"
        )));
    };
    let Some(pattern) = pattern(&args[1], cx)? else {
        return Ok(Typed::literal(Value::Null, DataType::String, cx.at));
    };
    let kind = DataType::Decimal { precision, scale };
    let number = args.remove(0);
    args.insert(0, coerce::cast_implicitly(number, &kind, cx.settings));
    let pattern = Arc::new(pattern);
    strict_scratch(cx, DataType::String, args, move || {
        let (pattern, mut out) = (Arc::clone(&pattern), String::new());
        Box::new(move |v| {
            out.clear();
            pattern.write(unscaled(&v[0]), scale, &mut out);
            Ok(string(&out))
        })
    })
}
