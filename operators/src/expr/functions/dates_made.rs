//! Functions that make dates, times and intervals of numbers, and move times between zones.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Int, Number, Text, Time, Timestamp};
use super::dates_arithmetic::out_of_range;
use super::forms::{error_or_null, failed};
use super::{BindContext, Function, function};
use crate::expr::access::{int, micros, text, unscaled};
use crate::expr::body::Outcome;
use crate::expr::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND, Zone, days};
use crate::expr::coerce;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "make_date",
        "make_date(year, month, day)",
        "The date of these numbers.",
        "make_date(2013, 7, 15)",
        "2013-07-15",
        |args, cx| {
            let args = cx.take(args, &[Int, Int, Int], 3)?;
            let ansi = cx.settings.ansi;
            cx.partial(DataType::Date, args, move |v| {
                match date_of(int(&v[0]), int(&v[1]), int(&v[2])) {
                    Some(date) => Ok(Value::Date(date)),
                    None => error_or_null(ansi, || "there is no such date".to_owned()),
                }
            })
        },
    ),
    function(
        "make_timestamp",
        "make_timestamp(year, month, day, hour, minute, second[, zone])",
        "The time of these numbers, in the job's time zone if none is given.",
        "make_timestamp(2014, 12, 28, 6, 30, 45.887)",
        "2014-12-28 06:30:45.887",
        |args, cx| make_timestamp(args, cx, true, cx.settings.ansi),
    )
    .aliases(&["make_timestamp_ltz"]),
    function(
        "try_make_timestamp",
        "try_make_timestamp(year, month, day, hour, minute, second[, zone])",
        "The time of these numbers; NULL where there is none.",
        "try_make_timestamp(2014, 13, 28, 6, 30, 45.887)",
        "NULL",
        |args, cx| make_timestamp(args, cx, true, false),
    )
    .aliases(&["try_make_timestamp_ltz"]),
    function(
        "make_timestamp_ntz",
        "make_timestamp_ntz(year, month, day, hour, minute, second)",
        "The time of these numbers as a TIMESTAMP_NTZ.",
        "make_timestamp_ntz(2014, 12, 28, 6, 30, 45.887)",
        "2014-12-28 06:30:45.887",
        |args, cx| make_timestamp(args, cx, false, cx.settings.ansi),
    ),
    function(
        "try_make_timestamp_ntz",
        "try_make_timestamp_ntz(year, month, day, hour, minute, second)",
        "The time of these numbers as a TIMESTAMP_NTZ; NULL where there is none.",
        "try_make_timestamp_ntz(2014, 13, 28, 6, 30, 45.887)",
        "NULL",
        |args, cx| make_timestamp(args, cx, false, false),
    ),
    function(
        "make_dt_interval",
        "make_dt_interval([days[, hours[, minutes[, seconds]]]])",
        "An interval of days to seconds.",
        "make_dt_interval(1, 12, 30, 1.001001)",
        "INTERVAL '1 12:30:01.001001' DAY TO SECOND",
        |args, cx| {
            let mut args = cx.take(args, &[Int, Int, Int, Number], 0)?;
            if args.len() == 4 {
                let seconds = args.remove(3);
                args.push(coerce::cast_implicitly(seconds, &SECONDS, cx.settings));
            }
            cx.strict(DataType::DayTimeInterval, args, |v| {
                let part = |place: usize, size: i64| {
                    v.get(place)
                        .map_or(0, |number| i128::from(int(number)) * i128::from(size))
                };
                let total = part(0, MICROS_PER_DAY)
                    + part(1, 3600 * MICROS_PER_SECOND)
                    + part(2, 60 * MICROS_PER_SECOND)
                    + v.get(3).map_or(0, unscaled);
                i64::try_from(total)
                    .map(Value::DayTimeInterval)
                    .map_err(|_| out_of_range())
            })
        },
    ),
    function(
        "make_ym_interval",
        "make_ym_interval([years[, months]])",
        "An interval of years and months.",
        "make_ym_interval(1, 2)",
        "INTERVAL '1-2' YEAR TO MONTH",
        |args, cx| {
            let args = cx.take(args, &[Int, Int], 0)?;
            cx.strict(DataType::YearMonthInterval, args, |v| {
                let years = v.first().map_or(0, int);
                let months = v.get(1).map_or(0, int);
                years
                    .checked_mul(12)
                    .and_then(|total| total.checked_add(months))
                    .map(Value::YearMonthInterval)
                    .ok_or_else(out_of_range)
            })
        },
    ),
    function(
        "from_utc_timestamp",
        "from_utc_timestamp(time, zone)",
        "What the clocks of a zone show when those of UTC show this.",
        "from_utc_timestamp('2016-08-31', 'Asia/Seoul')",
        "2016-08-31 09:00:00",
        |args, cx| moved(args, cx, calendar::shown),
    ),
    function(
        "to_utc_timestamp",
        "to_utc_timestamp(time, zone)",
        "What the clocks of UTC show when those of a zone show this.",
        "to_utc_timestamp('2016-08-31', 'Asia/Seoul')",
        "2016-08-30 15:00:00",
        |args, cx| moved(args, cx, calendar::utc),
    ),
    function(
        "convert_timezone",
        "convert_timezone([from, ]to, time)",
        "What the clocks of a zone show when those of another (the job's if not given) show this, as a TIMESTAMP_NTZ.",
        "convert_timezone('Europe/Brussels', 'America/Los_Angeles', TIMESTAMP_NTZ'2021-12-06 00:00:00')",
        "2021-12-05 15:00:00",
        convert_timezone,
    ),
];

/// The type of seconds with a fraction.
const SECONDS: DataType = DataType::Decimal {
    precision: 18,
    scale: 6,
};

fn date_of(year: i32, month: i32, day: i32) -> Option<i32> {
    days(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
}

fn make_timestamp(
    args: Vec<Typed>,
    cx: &BindContext,
    zoned: bool,
    strict: bool,
) -> Result<Typed, JobError> {
    let params = [Int, Int, Int, Int, Int, Number, Text];
    let mut args = cx.take(args, &params[..if zoned { 7 } else { 6 }], 6)?;
    let seconds = args.remove(5);
    args.insert(5, coerce::cast_implicitly(seconds, &SECONDS, cx.settings));
    let data_type = if zoned {
        DataType::Timestamp
    } else {
        DataType::TimestampNtz
    };
    let session = cx.settings.zone;
    cx.partial(data_type, args, move |v| {
        let Some(local) = local_time(v) else {
            return error_or_null(strict, || "there is no such time".to_owned());
        };
        if !zoned {
            return Ok(Value::TimestampNtz(local));
        }
        let zone = match v.get(6) {
            Some(name) => calendar::zone(text(name)).ok_or_else(unknown_zone)?,
            None => session,
        };
        match calendar::utc(local, zone) {
            Some(instant) => Ok(Value::Timestamp(instant)),
            None => error_or_null(strict, || "there is no such time".to_owned()),
        }
    })
}

fn local_time(v: &[Value]) -> Option<i64> {
    let date = date_of(int(&v[0]), int(&v[1]), int(&v[2]))?;
    let (hour, minute) = (i64::from(int(&v[3])), i64::from(int(&v[4])));
    let second = i64::try_from(unscaled(&v[5])).ok()?;
    // 60 is the next minute, but without a fraction.
    let fits = (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60 * MICROS_PER_SECOND).contains(&second);
    fits.then_some(())?;
    let of_day = (hour * 3600 + minute * 60) * MICROS_PER_SECOND + second;
    calendar::moment(date, of_day)
}

#[cold]
fn unknown_zone() -> RecordError {
    failed("the text is no time zone, such as Europe/Berlin or +01:00")
}

/// Checks a constant zone at once.
fn zone_of(arg: &Typed, cx: &BindContext) -> Result<Option<Zone>, JobError> {
    match arg.constant_text() {
        None => Ok(None),
        Some(name) => match calendar::zone(name) {
            Some(zone) => Ok(Some(zone)),
            None => Err(cx.error(format!(
                "`{name}` is no time zone, such as Europe/Berlin or +01:00"
            ))),
        },
    }
}

fn zone_in(fixed: Option<Zone>, value: &Value) -> Result<Zone, RecordError> {
    match fixed {
        Some(zone) => Ok(zone),
        None => calendar::zone(text(value)).ok_or_else(unknown_zone),
    }
}

fn moved(
    args: Vec<Typed>,
    cx: &BindContext,
    shift: fn(i64, Zone) -> Option<i64>,
) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Timestamp, Text], 2)?;
    let fixed = zone_of(&args[1], cx)?;
    cx.strict(DataType::Timestamp, args, move |v| -> Outcome {
        let zone = zone_in(fixed, &v[1])?;
        let moved = shift(micros(&v[0]), zone).ok_or_else(out_of_range)?;
        Ok(Value::Timestamp(moved))
    })
}

fn convert_timezone(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = args;
    if args.len() == 2 {
        let session = Value::from(cx.settings.zone.to_string().as_str());
        args.insert(0, Typed::literal(session, DataType::String, cx.at));
    }
    let mut args = cx.take(args, &[Text, Text, Time], 3)?;
    let time = args.remove(2);
    args.push(coerce::cast_implicitly(
        time,
        &DataType::TimestampNtz,
        cx.settings,
    ));
    let (from, to) = (zone_of(&args[0], cx)?, zone_of(&args[1], cx)?);
    cx.strict(DataType::TimestampNtz, args, move |v| {
        let (from, to) = (zone_in(from, &v[0])?, zone_in(to, &v[1])?);
        calendar::utc(micros(&v[2]), from)
            .and_then(|instant| calendar::shown(instant, to))
            .map(Value::TimestampNtz)
            .ok_or_else(out_of_range)
    })
}
