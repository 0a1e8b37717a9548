//! `window` and `session_window` as keys of a GROUP BY: their time, and how it is cut.

use std::sync::Arc;

use smol_str::SmolStr;
use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};
use thalweg_engine::error::RecordError;
use thalweg_engine::record::Micros;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::body::Body;
use crate::expr::check::check;
use crate::expr::coerce::{self, Settings};
use crate::expr::functions::windows;
use crate::expr::interval;
use crate::expr::scope::Scope;
use crate::expr::typed::{Call, Form, Op, Typed};
use crate::job_error::{JobError, Location};

/// A window as a key.
#[derive(Debug)]
pub(super) struct WindowKey {
    /// `window` or `session_window`: also the name of its column.
    pub(super) name: &'static str,
    /// TIMESTAMP or TIMESTAMP_NTZ, over the row below.
    pub(super) time: Typed,
    pub(super) cut: Cut,
}

/// How it is cut.
#[derive(Debug)]
pub(super) enum Cut {
    Fixed {
        size: Micros,
        slide: Micros,
        start: Micros,
    },
    /// The gap is a BIGINT of microseconds, over the row below.
    Session { gap: Typed },
}

impl WindowKey {
    /// Its column.
    pub(super) fn field(&self) -> Field {
        Field::required(self.name, windows::struct_of(&self.time.data_type))
    }
}

const NAMES: [(&str, &str); 2] = [
    ("window", "window(time, size[, slide[, start]])"),
    ("session_window", "session_window(time, gap)"),
];

fn name_of(function: &Function) -> Option<(&'static str, &'static str)> {
    let written = function.name.to_string();
    let mut names = NAMES.into_iter();
    names.find(|(name, _)| name.eq_ignore_ascii_case(&written))
}

/// The window that an expression is, if it is one.
pub(super) fn key(expr: &Expr, scope: &Scope, at: Location) -> Result<Option<WindowKey>, JobError> {
    let Expr::Function(function) = expr else {
        return Ok(None);
    };
    let Some((name, signature)) = name_of(function) else {
        return Ok(None);
    };
    let wrong = |at: Location, message: String| {
        Err(JobError::new(at, format!("{name}: {message}"))
            .help(format!("it is called {signature}")))
    };
    let FunctionArguments::List(list) = &function.args else {
        return wrong(at, "it takes a time and intervals".to_owned());
    };
    let mut arguments = Vec::new();
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr),
            other => return wrong(at, format!("expected an expression, got `{other}`")),
        }
    }
    let most = if name == "window" { 4 } else { 2 };
    if arguments.len() < 2 || arguments.len() > most {
        return wrong(
            at,
            format!("expected 2 to {most} arguments, got {}", arguments.len()),
        );
    }
    let settings = scope.settings();
    let time = check(arguments[0], scope)?;
    let time_at = if time.at.line == 0 { at } else { time.at };
    let shown = time.data_type.clone();
    let text = time.constant_text().map(str::to_owned);
    let Some(time) = time_of(time, settings) else {
        return wrong(
            time_at,
            format!("it takes a TIMESTAMP or a window, not {shown}"),
        );
    };
    if let Some(text) = text.filter(|_| time.constant().is_none()) {
        return wrong(
            time_at,
            format!("'{text}' is a text and no time: a column is written without quotes"),
        );
    }
    if name == "session_window" {
        let gap = gap(check(arguments[1], scope)?, at)?;
        let cut = Cut::Session { gap };
        return Ok(Some(WindowKey { name, time, cut }));
    }
    let mut lengths = [0; 3];
    for (slot, argument) in lengths.iter_mut().zip(&arguments[1..]) {
        let typed = check(argument, scope)?;
        let place = if typed.at.line == 0 { at } else { typed.at };
        match length(&typed) {
            Ok(micros) => *slot = micros,
            Err(message) => return wrong(place, message),
        }
    }
    let [size, mut slide, start] = lengths;
    if arguments.len() == 2 {
        slide = size;
    }
    if size <= 0 || slide <= 0 {
        return wrong(
            at,
            "the window duration and the slide duration must be greater than 0".to_owned(),
        );
    }
    if slide > size {
        return wrong(
            at,
            "the slide duration must be less than or equal to the window duration".to_owned(),
        );
    }
    if start.abs() >= slide {
        return wrong(
            at,
            "the absolute value of the start time must be less than the slide duration".to_owned(),
        );
    }
    let cut = Cut::Fixed { size, slide, start };
    Ok(Some(WindowKey { name, time, cut }))
}

/// A time, the last moment of a window, or what becomes a time.
fn time_of(typed: Typed, settings: Settings) -> Option<Typed> {
    match &typed.data_type {
        DataType::Timestamp | DataType::TimestampNtz => Some(typed),
        DataType::Date | DataType::String => Some(coerce::cast_implicitly(
            typed,
            &DataType::Timestamp,
            settings,
        )),
        DataType::Struct(_) => windows::time_of(typed),
        _ => None,
    }
}

/// A constant length: an interval, or microseconds.
fn length(typed: &Typed) -> Result<Micros, String> {
    match typed.constant() {
        Some(Value::DayTimeInterval(micros)) => Ok(*micros),
        Some(Value::BigInt(micros)) => Ok(*micros),
        Some(Value::Int(micros)) => Ok(i64::from(*micros)),
        Some(Value::String(text)) => parsed(text),
        _ => Err("it takes constant intervals such as '10 minutes'".to_owned()),
    }
}

fn parsed(text: &str) -> Result<Micros, String> {
    match interval::parse(text) {
        Ok((Value::DayTimeInterval(micros), _)) => Ok(micros),
        Ok(_) => Err(format!(
            "intervals greater than a month is not supported ({text})"
        )),
        Err(_) => Err(format!("'{text}' is no interval such as '10 minutes'")),
    }
}

/// The gap of a session as microseconds, for each row.
fn gap(typed: Typed, at: Location) -> Result<Typed, JobError> {
    let at = if typed.at.line == 0 { at } else { typed.at };
    let wrong = |message: String| JobError::new(at, format!("session_window: {message}"));
    if typed.constant().is_some() {
        let micros = length(&typed).map_err(wrong)?;
        if micros <= 0 {
            return Err(wrong("the gap must be greater than 0".to_owned()));
        }
        return Ok(Typed::literal(Value::BigInt(micros), DataType::BigInt, at));
    }
    let text = match typed.data_type {
        DataType::DayTimeInterval => false,
        DataType::String => true,
        ref other => {
            return Err(wrong(format!(
                "the gap is an interval such as '5 minutes', not {other}"
            )));
        }
    };
    let call = move |values: &[Value]| {
        Ok(match values.first() {
            Some(Value::DayTimeInterval(micros)) => Value::BigInt(*micros),
            Some(Value::String(content)) if text => match interval::parse(content) {
                Ok((Value::DayTimeInterval(micros), _)) => Value::BigInt(micros),
                Ok(_) => {
                    return Err(RecordError::expression(format!(
                        "session_window: a gap of months ({content}) is of no certain length: write it in days"
                    )));
                }
                Err(_) => Value::Null,
            },
            _ => Value::Null,
        })
    };
    let call = Call {
        name: SmolStr::new_static("micros"),
        form: Form::Function,
        body: Body::Pure {
            call: Arc::new(call),
            nulls: false,
        },
        deterministic: true,
    };
    Ok(Typed::node(
        Op::Call(call),
        vec![typed],
        DataType::BigInt,
        true,
        at,
    ))
}
