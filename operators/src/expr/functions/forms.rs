//! The forms that functions of several families share: nodes that write text, limits, argument positions.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::BindContext;
use crate::expr::body::{Body, Outcome, ScratchFn};
use crate::expr::typed::{Call, Form, Op, Typed};
use crate::job_error::JobError;

/// The most bytes that a function may make out of a number (`repeat`, `lpad`, `space`).
pub(super) const TEXT_MAX: usize = 64 << 20;

/// The most elements that a function may make out of a number (`sequence`, `array_repeat`).
pub(super) const ELEMENTS_MAX: usize = 1 << 20;

/// An error of the record, in words without its content.
#[cold]
pub(super) fn failed(reason: impl Into<Box<str>>) -> RecordError {
    RecordError::expression(reason)
}

/// A STRING value.
#[inline]
pub(super) fn string(text: &str) -> Value {
    Value::String(SmolStr::new(text))
}

/// A BINARY value.
#[inline]
pub(super) fn binary(bytes: &[u8]) -> Value {
    Value::Binary(Arc::from(bytes))
}

/// A count as Spark's INT.
#[inline]
pub(super) fn int(count: usize) -> Value {
    Value::Int(i32::try_from(count).unwrap_or(i32::MAX))
}

/// Refuses a text that a number made larger than [`TEXT_MAX`].
pub(super) fn check_text_size(bytes: usize) -> Result<(), RecordError> {
    if bytes > TEXT_MAX {
        return Err(failed(format!(
            "the text would take more than {TEXT_MAX} bytes"
        )));
    }
    Ok(())
}

/// Refuses an array that a number made larger than [`ELEMENTS_MAX`].
pub(super) fn check_elements(count: usize) -> Result<(), RecordError> {
    if count > ELEMENTS_MAX {
        return Err(failed(format!(
            "the array would have more than {ELEMENTS_MAX} elements"
        )));
    }
    Ok(())
}

/// A node with its own body, for the forms that [`BindContext`] has no method for.
pub(super) fn node(
    cx: &BindContext,
    body: Body,
    args: Vec<Typed>,
    data_type: DataType,
    nullable: bool,
) -> Typed {
    let call = Call {
        name: SmolStr::new_static(cx.name),
        form: Form::Function,
        body,
        deterministic: true,
    };
    Typed::node(Op::Call(call), args, data_type, nullable, cx.at)
}

/// A node with scratch space that sees NULL arguments.
pub(super) fn scratch_with_nulls(
    cx: &BindContext,
    data_type: DataType,
    nullable: bool,
    args: Vec<Typed>,
    make: impl Fn() -> ScratchFn + Send + Sync + 'static,
) -> Result<Typed, JobError> {
    let body = Body::Scratch {
        make: Arc::new(make),
        nulls: true,
    };
    Ok(node(cx, body, args, data_type, nullable))
}

/// A node with scratch space that is NULL exactly when an argument is.
pub(super) fn strict_scratch(
    cx: &BindContext,
    data_type: DataType,
    args: Vec<Typed>,
    make: impl Fn() -> ScratchFn + Send + Sync + 'static,
) -> Result<Typed, JobError> {
    let nullable = args.iter().any(|arg| arg.nullable);
    let mut typed = cx.scratch(data_type, args, make)?;
    typed.nullable &= nullable;
    Ok(typed)
}

/// A STRING node that writes into a buffer kept between rows; NULL exactly when an argument is.
pub(super) fn written(
    cx: &BindContext,
    args: Vec<Typed>,
    write: impl Fn(&[Value], &mut String) -> Result<(), RecordError> + Send + Sync + 'static,
) -> Result<Typed, JobError> {
    let nullable = args.iter().any(|arg| arg.nullable);
    let mut typed = written_or_null(cx, args, move |v, out| write(v, out).map(|()| true))?;
    typed.nullable &= nullable;
    Ok(typed)
}

/// A STRING node that writes into a buffer kept between rows; NULL where `write` gives false.
pub(super) fn written_or_null(
    cx: &BindContext,
    args: Vec<Typed>,
    write: impl Fn(&[Value], &mut String) -> Result<bool, RecordError> + Send + Sync + 'static,
) -> Result<Typed, JobError> {
    let write = Arc::new(write);
    cx.scratch(DataType::String, args, move || {
        let write = Arc::clone(&write);
        let mut out = String::new();
        Box::new(move |v| {
            out.clear();
            Ok(if write(v, &mut out)? {
                string(&out)
            } else {
                Value::Null
            })
        })
    })
}

/// A node that rewrites what Spark answers with NULL when `ansi` is off: an error under `ansi`.
pub(super) fn error_or_null(ansi: bool, reason: impl FnOnce() -> String) -> Outcome {
    if ansi {
        Err(failed(reason()))
    } else {
        Ok(Value::Null)
    }
}

/// The argument's constant value as Rust's `i64`, if it is a constant integer.
pub(super) fn constant_long(arg: &Typed) -> Option<i64> {
    match arg.constant()? {
        Value::TinyInt(number) => Some(i64::from(*number)),
        Value::SmallInt(number) => Some(i64::from(*number)),
        Value::Int(number) => Some(i64::from(*number)),
        Value::BigInt(number) => Some(*number),
        _ => None,
    }
}

/// Which part of `length` things Spark's 1-based `position` and `count` mean; a position before the first counts from
/// the end, one of 0 is the first.
pub(super) fn part(length: usize, position: i32, count: i32) -> (usize, usize) {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let position = i64::from(position);
    let start = match position {
        1.. => position - 1,
        0 => 0,
        _ => length + position,
    };
    let end = (start + i64::from(count)).min(length);
    let (start, end) = (start.max(0), end.max(0));
    if end <= start {
        return (0, 0);
    }
    (
        usize::try_from(start).unwrap_or(0),
        usize::try_from(end).unwrap_or(0),
    )
}
