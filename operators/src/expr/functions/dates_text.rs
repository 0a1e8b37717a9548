//! Dates and times from text and to text, by patterns.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Any, Long, Text, Time, Timestamp};
use super::dates::midnight;
use super::forms::{error_or_null, failed, strict_scratch, string};
use super::time_parse::Parsed;
use super::time_pattern::Pattern;
use super::{BindContext, Function, function};
use crate::expr::access::{long, micros, text};
use crate::expr::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND, Zone};
use crate::expr::coerce;
use crate::expr::typed::{Kind, Mode, Typed};
use crate::job_error::JobError;

/// Spark's pattern of `from_unixtime` and `unix_timestamp`.
const DEFAULT: &str = "yyyy-MM-dd HH:mm:ss";

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "to_date",
        "to_date(text[, pattern])",
        "The date of a text.",
        "to_date('31/12/2016', 'dd/MM/yyyy')",
        "2016-12-31",
        |args, cx| from_text(args, cx, &DataType::Date, cx.mode()),
    ),
    function(
        "try_to_date",
        "try_to_date(text[, pattern])",
        "The date of a text; NULL where it is none.",
        "try_to_date('2016-02-30', 'yyyy-MM-dd')",
        "NULL",
        |args, cx| from_text(args, cx, &DataType::Date, Mode::Try),
    ),
    function(
        "to_timestamp",
        "to_timestamp(text[, pattern])",
        "The time of a text, in the job's time zone if the text has none.",
        "to_timestamp('31/12/2016 08.15', 'dd/MM/yyyy HH.mm')",
        "2016-12-31 08:15:00",
        |args, cx| from_text(args, cx, &DataType::Timestamp, cx.mode()),
    )
    .aliases(&["to_timestamp_ltz"]),
    function(
        "try_to_timestamp",
        "try_to_timestamp(text[, pattern])",
        "The time of a text; NULL where it is none.",
        "try_to_timestamp('foo', 'yyyy-MM-dd')",
        "NULL",
        |args, cx| from_text(args, cx, &DataType::Timestamp, Mode::Try),
    ),
    function(
        "to_timestamp_ntz",
        "to_timestamp_ntz(text[, pattern])",
        "The time of a text as a TIMESTAMP_NTZ.",
        "to_timestamp_ntz('2016-12-31 00:12:00')",
        "2016-12-31 00:12:00",
        |args, cx| from_text(args, cx, &DataType::TimestampNtz, cx.mode()),
    ),
    function(
        "date_format",
        "date_format(time, pattern)",
        "A date or time as text.",
        "date_format('2016-04-08', 'EEE, d MMM yyyy')",
        "Fri, 8 Apr 2016",
        date_format,
    ),
    function(
        "from_unixtime",
        "from_unixtime(seconds[, pattern])",
        "The time so many seconds after 1970-01-01 00:00:00 UTC as text.",
        "from_unixtime(0, 'yyyy-MM-dd HH:mm:ss')",
        "1970-01-01 00:00:00",
        |args, cx| {
            let mut args = cx.take(args, &[Long, Text], 1)?;
            default_pattern(&mut args, cx);
            let patterns = Patterns::of(&args[1], cx, false)?;
            let zone = cx.settings.zone;
            strict_scratch(cx, DataType::String, args, move || {
                let mut patterns = patterns.clone();
                let mut out = String::new();
                Box::new(move |v| {
                    out.clear();
                    let instant = long(&v[0])
                        .checked_mul(MICROS_PER_SECOND)
                        .ok_or_else(|| failed("the time is out of range"))?;
                    patterns.get(&v[1])?.format(&mut out, instant, zone);
                    Ok(string(&out))
                })
            })
        },
    ),
    function(
        "unix_timestamp",
        "unix_timestamp([time or text[, pattern]])",
        "Seconds since 1970-01-01 00:00:00 UTC of a date, a time or a text; without arguments of now.",
        "unix_timestamp('2016-04-08', 'yyyy-MM-dd')",
        "1460073600",
        unix_timestamp,
    )
    .aliases(&["to_unix_timestamp"]),
];

/// A date or time by a pattern.
pub(super) fn date_format(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Time, Text], 2)?;
    let patterns = Patterns::of(&args[1], cx, false)?;
    let zone = cx.settings.zone;
    strict_scratch(cx, DataType::String, args, move || {
        let mut patterns = patterns.clone();
        let mut out = String::new();
        Box::new(move |v| {
            out.clear();
            let (instant, zone) = match &v[0] {
                Value::Timestamp(micros) => (*micros, zone),
                Value::Date(days) => (midnight(*days)?, Zone::Fixed(0)),
                other => (micros(other), Zone::Fixed(0)),
            };
            patterns.get(&v[1])?.format(&mut out, instant, zone);
            Ok(string(&out))
        })
    })
}

fn default_pattern(args: &mut Vec<Typed>, cx: &BindContext) {
    if args.len() == 1 {
        args.push(Typed::literal(
            Value::from(DEFAULT),
            DataType::String,
            cx.at,
        ));
    }
}

/// The patterns of one call: read once where the argument is constant, else whenever it changes.
#[derive(Clone)]
struct Patterns {
    fixed: Option<Arc<Pattern>>,
    last: Option<(SmolStr, Arc<Pattern>)>,
    parsing: bool,
}

impl Patterns {
    fn of(arg: &Typed, cx: &BindContext, parsing: bool) -> Result<Self, JobError> {
        let fixed = match arg.constant_text() {
            None => None,
            Some(text) => {
                let pattern = read(text, parsing).map_err(|error| {
                    cx.error(format!("the pattern '{text}' is not valid: {error}"))
                })?;
                Some(Arc::new(pattern))
            }
        };
        Ok(Self {
            fixed,
            last: None,
            parsing,
        })
    }

    fn get(&mut self, argument: &Value) -> Result<&Pattern, RecordError> {
        if self.fixed.is_none() {
            let given = text(argument);
            if self.last.as_ref().is_none_or(|(known, _)| known != given) {
                let pattern = read(given, self.parsing).map_err(|error| {
                    failed("the text is not a pattern of dates and times").with_content(error)
                })?;
                self.last = Some((SmolStr::new(given), Arc::new(pattern)));
            }
        }
        match (&self.fixed, &self.last) {
            (Some(pattern), _) | (None, Some((_, pattern))) => Ok(pattern),
            (None, None) => Err(failed("there is no pattern")),
        }
    }
}

fn read(text: &str, parsing: bool) -> Result<Pattern, String> {
    let pattern = Pattern::new(text)?;
    if parsing {
        pattern.parses()?;
    }
    Ok(pattern)
}

/// The instant that a text means.
fn instant(parsed: Parsed, zone: Zone) -> Option<i64> {
    calendar::utc(parsed.local, parsed.zone.unwrap_or(zone))
}

fn from_text(
    args: Vec<Typed>,
    cx: &BindContext,
    to: &DataType,
    mode: Mode,
) -> Result<Typed, JobError> {
    let written = matches!(
        args.first().map(|arg| &arg.data_type),
        Some(DataType::String)
    );
    let mut args = cx.take(args, &[Any, Text], 1)?;
    if args.len() == 1 || !written {
        let source = args.remove(0);
        if !crate::expr::cast::allowed(&source.data_type, to, mode) {
            return Err(cx.error(format!(
                "a {} is neither a date nor a time",
                source.data_type
            )));
        }
        return Ok(coerce::cast(source, to, mode, cx.settings, true));
    }
    let patterns = Patterns::of(&args[1], cx, true)?;
    let zone = cx.settings.zone;
    let strict = mode == Mode::Ansi;
    let nullable = !strict || args.iter().any(|arg| arg.nullable);
    let target = to.clone();
    let mut typed = cx.scratch(to.clone(), args, move || {
        let mut patterns = patterns.clone();
        let target = target.clone();
        Box::new(move |v| {
            let parsed = patterns.get(&v[1])?.parse(text(&v[0]));
            let time = parsed.and_then(|parsed| match target {
                DataType::Timestamp => instant(parsed, zone).map(Value::Timestamp),
                DataType::TimestampNtz => Some(Value::TimestampNtz(parsed.local)),
                _ => {
                    let shown = match parsed.zone {
                        Some(_) => calendar::local(instant(parsed, zone)?, zone),
                        None => parsed.local,
                    };
                    let day = shown.div_euclid(MICROS_PER_DAY);
                    i32::try_from(day).ok().map(Value::Date)
                }
            });
            match time {
                Some(time) => Ok(time),
                None => error_or_null(strict, || {
                    "the text does not fit the pattern; the function with try_ before its name gives NULL".to_owned()
                }),
            }
        })
    })?;
    typed.nullable &= nullable;
    Ok(typed)
}

fn unix_timestamp(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = args;
    if args.is_empty() {
        args.push(Typed {
            kind: Kind::TakenAt,
            data_type: DataType::Timestamp,
            nullable: false,
            at: cx.at,
            written: false,
        });
    }
    let written = matches!(args[0].data_type, DataType::String | DataType::Void);
    if !written {
        // A time without zone counts as one of UTC, whatever the job's zone is.
        let zoned = args[0].data_type != DataType::TimestampNtz;
        let time = if zoned { Timestamp } else { Time };
        let mut args = cx.take(args, &[time, Text], 1)?;
        args.truncate(1);
        return cx.strict(DataType::BigInt, args, |v| {
            Ok(Value::BigInt(micros(&v[0]) / MICROS_PER_SECOND))
        });
    }
    let mut args = cx.take(args, &[Text, Text], 1)?;
    default_pattern(&mut args, cx);
    let parsed = from_text(args, cx, &DataType::Timestamp, cx.mode())?;
    cx.strict(DataType::BigInt, vec![parsed], |v| {
        Ok(Value::BigInt(micros(&v[0]) / MICROS_PER_SECOND))
    })
}
