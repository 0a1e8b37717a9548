//! Functions that calculate with dates and times: adding, differences, truncating, making, time zones.

use chrono_tz::Tz;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Boolean, Date, Int, Long, Number, Text, Time, Timestamp};
use super::dates::local;
use super::forms::{error_or_null, failed};
use super::time_pattern::weekday;
use super::{BindContext, Function, function};
use crate::expr::access::{boolean, date, int, long, micros, text, unscaled};
use crate::expr::body::Outcome;
use crate::expr::calendar::{
    self, MICROS_PER_DAY, MICROS_PER_SECOND, Zone, civil, days, days_of_month,
};
use crate::expr::coerce;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "date_add",
        "date_add(date, days) or date_add(unit, count, time)",
        "The date so many days later; or the time so many units later.",
        "date_add('2016-07-30', 1)",
        "2016-07-31",
        |args, cx| match args.len() {
            3 => timestamp_add(args, cx),
            _ => shifted(args, cx, 1),
        },
    )
    .aliases(&["dateadd"]),
    function(
        "date_sub",
        "date_sub(date, days)",
        "The date so many days earlier.",
        "date_sub('2016-07-30', 1)",
        "2016-07-29",
        |args, cx| shifted(args, cx, -1),
    ),
    function(
        "datediff",
        "datediff(last, first) or datediff(unit, first, last)",
        "The days from the first date to the last; or the whole units between two times.",
        "datediff('2009-07-31', '2009-07-30')",
        "1",
        |args, cx| {
            if args.len() == 3 {
                return timestamp_diff(args, cx);
            }
            let args = cx.take(args, &[Date, Date], 2)?;
            cx.strict(DataType::Int, args, |v| {
                Ok(Value::Int(date(&v[0]).wrapping_sub(date(&v[1]))))
            })
        },
    )
    .aliases(&["date_diff"]),
    function(
        "timestampadd",
        "timestampadd(unit, count, time)",
        "The time so many units (MICROSECOND to YEAR) later, by the clocks of the job's time zone from DAY on.",
        "timestampadd(HOUR, 8, TIMESTAMP_NTZ'2022-02-11 20:30:00')",
        "2022-02-12 04:30:00",
        timestamp_add,
    ),
    function(
        "timestampdiff",
        "timestampdiff(unit, first, last)",
        "The whole units (MICROSECOND to YEAR) between two times.",
        "timestampdiff(MONTH, TIMESTAMP'2021-02-28 12:00:00', TIMESTAMP'2021-03-28 11:59:59')",
        "0",
        timestamp_diff,
    ),
    function(
        "add_months",
        "add_months(date, months)",
        "The date so many months later; the last day of a month that has no such day.",
        "add_months('2016-08-31', 1)",
        "2016-09-30",
        |args, cx| {
            let args = cx.take(args, &[Date, Int], 2)?;
            cx.strict(DataType::Date, args, |v| {
                calendar::add_months(date(&v[0]), int(&v[1]))
                    .map(Value::Date)
                    .ok_or_else(out_of_range)
            })
        },
    ),
    function(
        "months_between",
        "months_between(last, first[, rounded])",
        "The months between two times, the rest in months of 31 days; rounded to 8 digits if not told otherwise.",
        "months_between('1997-02-28 10:30:00', '1996-10-30')",
        "3.94959677",
        |args, cx| {
            let args = cx.take(args, &[Timestamp, Timestamp, Boolean], 2)?;
            let zone = cx.settings.zone;
            cx.strict(DataType::Double, args, move |v| {
                let months = months_between(local(&v[0], zone), local(&v[1], zone));
                Ok(Value::Double(if v.get(2).is_none_or(boolean) {
                    (months * 1e8 + 0.5).floor() / 1e8
                } else {
                    months
                }))
            })
        },
    ),
    function(
        "last_day",
        "last_day(date)",
        "The last day of the date's month.",
        "last_day('2009-01-12')",
        "2009-01-31",
        |args, cx| {
            let args = cx.take(args, &[Date], 1)?;
            cx.strict(DataType::Date, args, |v| {
                let (year, month, _) = civil(date(&v[0]));
                days(year, month, days_of_month(year, month))
                    .map(Value::Date)
                    .ok_or_else(out_of_range)
            })
        },
    ),
    function(
        "next_day",
        "next_day(date, weekday)",
        "The first date after it that is the weekday: 'Mo', 'Mon' or 'Monday'.",
        "next_day('2015-01-14', 'TU')",
        "2015-01-20",
        |args, cx| {
            let args = cx.take(args, &[Date, Text], 2)?;
            let ansi = cx.settings.ansi;
            cx.partial(DataType::Date, args, move |v| {
                let date = date(&v[0]);
                let Some(wanted) = day_of_week(text(&v[1])) else {
                    return error_or_null(ansi, || "the text is no weekday".to_owned());
                };
                let ahead = (wanted + 6 - weekday(date)) % 7 + 1;
                let ahead = i32::try_from(ahead).unwrap_or(7);
                date.checked_add(ahead)
                    .map(Value::Date)
                    .ok_or_else(out_of_range)
            })
        },
    ),
    function(
        "trunc",
        "trunc(date, unit)",
        "The first day of the date's 'year', 'quarter', 'month' or 'week'; NULL for another unit.",
        "trunc('2019-08-04', 'week')",
        "2019-07-29",
        |args, cx| {
            let args = cx.take(args, &[Date, Text], 2)?;
            cx.partial(DataType::Date, args, |v| {
                let unit = truncation(text(&v[1])).filter(|unit| *unit <= Truncation::Week);
                Ok(unit
                    .and_then(|unit| truncated_date(date(&v[0]), unit))
                    .map_or(Value::Null, Value::Date))
            })
        },
    ),
    function(
        "date_trunc",
        "date_trunc(unit, time)",
        "The beginning of the time's 'year', 'quarter', 'month', 'week', 'day', 'hour', 'minute', 'second' ...",
        "date_trunc('HOUR', '2015-03-05T09:32:05.359')",
        "2015-03-05 09:00:00",
        |args, cx| {
            let args = cx.take(args, &[Text, Timestamp], 2)?;
            let zone = cx.settings.zone;
            cx.partial(DataType::Timestamp, args, move |v| {
                let unit = truncation(text(&v[0]));
                Ok(unit.map_or(Value::Null, |unit| {
                    Value::Timestamp(truncated(micros(&v[1]), unit, zone))
                }))
            })
        },
    ),
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
    ),
    function(
        "make_timestamp_ntz",
        "make_timestamp_ntz(year, month, day, hour, minute, second)",
        "The time of these numbers as a TIMESTAMP_NTZ.",
        "make_timestamp_ntz(2014, 12, 28, 6, 30, 45.887)",
        "2014-12-28 06:30:45.887",
        |args, cx| make_timestamp(args, cx, false, cx.settings.ansi),
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
        |args, cx| moved(args, cx, |micros, zone| calendar::local(micros, zone)),
    ),
    function(
        "to_utc_timestamp",
        "to_utc_timestamp(time, zone)",
        "What the clocks of UTC show when those of a zone show this.",
        "to_utc_timestamp('2016-08-31', 'Asia/Seoul')",
        "2016-08-30 15:00:00",
        |args, cx| moved(args, cx, |micros, zone| calendar::utc(micros, zone)),
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

#[cold]
fn out_of_range() -> RecordError {
    failed("the date, time or interval is out of range")
}

fn shifted(args: Vec<Typed>, cx: &BindContext, sign: i32) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Date, Int], 2)?;
    cx.strict(DataType::Date, args, move |v| {
        let shift = int(&v[1]).checked_mul(sign);
        shift
            .and_then(|shift| date(&v[0]).checked_add(shift))
            .map(Value::Date)
            .ok_or_else(out_of_range)
    })
}

/// A unit of timestampadd and timestampdiff.
#[derive(Clone, Copy, Debug)]
enum Unit {
    /// Of so many microseconds.
    Exact(i64),
    /// Of so many days.
    Days(i64),
    /// Of so many months.
    Months(i64),
}

fn unit(args: &[Typed], cx: &BindContext) -> Result<Unit, JobError> {
    let Some(name) = args.first().and_then(Typed::constant_text) else {
        return Err(cx.error("the unit must be a constant, such as HOUR"));
    };
    Ok(match name.to_ascii_uppercase().as_str() {
        "MICROSECOND" => Unit::Exact(1),
        "MILLISECOND" => Unit::Exact(1_000),
        "SECOND" => Unit::Exact(MICROS_PER_SECOND),
        "MINUTE" => Unit::Exact(60 * MICROS_PER_SECOND),
        "HOUR" => Unit::Exact(3600 * MICROS_PER_SECOND),
        "DAY" | "DAYOFYEAR" => Unit::Days(1),
        "WEEK" => Unit::Days(7),
        "MONTH" => Unit::Months(1),
        "QUARTER" => Unit::Months(3),
        "YEAR" => Unit::Months(12),
        _ => return Err(cx.error(format!("`{name}` is no unit of time"))),
    })
}

fn timestamp_add(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let unit = unit(&args, cx)?;
    let mut args = cx.take(args, &[Text, Long, Time], 3)?;
    let mut time = args.remove(2);
    if time.data_type == DataType::Date {
        time = coerce::cast_implicitly(time, &DataType::Timestamp, cx.settings);
    }
    let count = args.remove(1);
    let zone = (time.data_type == DataType::Timestamp).then_some(cx.settings.zone);
    cx.strict(time.data_type.clone(), vec![count, time], move |v| {
        let moved = add_unit(micros(&v[1]), long(&v[0]), unit, zone).ok_or_else(out_of_range)?;
        Ok(match zone {
            Some(_) => Value::Timestamp(moved),
            None => Value::TimestampNtz(moved),
        })
    })
}

fn add_unit(instant: i64, count: i64, unit: Unit, zone: Option<Tz>) -> Option<i64> {
    let shown = |instant| zone.map_or(instant, |zone| calendar::local(instant, zone));
    let back = |local| zone.map_or(local, |zone| calendar::utc(local, zone));
    match unit {
        Unit::Exact(size) => instant.checked_add(count.checked_mul(size)?),
        Unit::Days(size) => {
            let shift = count.checked_mul(size)?.checked_mul(MICROS_PER_DAY)?;
            shown(instant).checked_add(shift).map(back)
        }
        Unit::Months(size) => {
            let months = i32::try_from(count.checked_mul(size)?).ok()?;
            add_months(shown(instant), months).map(back)
        }
    }
}

/// The local time so many months later.
fn add_months(local: i64, months: i32) -> Option<i64> {
    let date = i32::try_from(local.div_euclid(MICROS_PER_DAY)).ok()?;
    let moved = i64::from(calendar::add_months(date, months)?);
    moved
        .checked_mul(MICROS_PER_DAY)?
        .checked_add(local.rem_euclid(MICROS_PER_DAY))
}

fn timestamp_diff(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let unit = unit(&args, cx)?;
    let mut args = cx.take(args, &[Text, Time, Time], 3)?;
    args.remove(0);
    let zone = cx.settings.zone;
    cx.strict(DataType::BigInt, args, move |v| {
        let (first, last) = (local(&v[0], zone), local(&v[1], zone));
        let between = last.saturating_sub(first);
        Ok(Value::BigInt(match unit {
            Unit::Exact(size) => between / size,
            Unit::Days(size) => between / (size * MICROS_PER_DAY),
            Unit::Months(size) => whole_months(first, last) / size,
        }))
    })
}

/// Whole months between two local times.
fn whole_months(first: i64, last: i64) -> i64 {
    let parts = |local: i64| {
        let date = i32::try_from(local.div_euclid(MICROS_PER_DAY)).unwrap_or(0);
        let (year, month, day) = civil(date);
        let rest = i64::from(day) * MICROS_PER_DAY + local.rem_euclid(MICROS_PER_DAY);
        (i64::from(year) * 12 + i64::from(month), rest)
    };
    let ((first, first_rest), (last, last_rest)) = (parts(first), parts(last));
    let months = last - first;
    if months > 0 && last_rest < first_rest {
        months - 1
    } else if months < 0 && last_rest > first_rest {
        months + 1
    } else {
        months
    }
}

#[allow(clippy::cast_precision_loss)]
fn months_between(last: i64, first: i64) -> f64 {
    let parts = |local: i64| {
        let date = i32::try_from(local.div_euclid(MICROS_PER_DAY)).unwrap_or(0);
        let (year, month, day) = civil(date);
        let ends = days_of_month(year, month) == day;
        let second = local.rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND;
        (
            i64::from(year) * 12 + i64::from(month),
            i64::from(day),
            ends,
            second,
        )
    };
    let (last_month, last_day, last_ends, last_second) = parts(last);
    let (first_month, first_day, first_ends, first_second) = parts(first);
    let months = (last_month - first_month) as f64;
    if last_day == first_day || last_ends && first_ends {
        return months;
    }
    let seconds = (last_day - first_day) * 86_400 + last_second - first_second;
    months + seconds as f64 / (31.0 * 86_400.0)
}

/// 0 is Monday.
fn day_of_week(name: &str) -> Option<usize> {
    Some(match name.trim().to_ascii_uppercase().as_str() {
        "MO" | "MON" | "MONDAY" => 0,
        "TU" | "TUE" | "TUESDAY" => 1,
        "WE" | "WED" | "WEDNESDAY" => 2,
        "TH" | "THU" | "THURSDAY" => 3,
        "FR" | "FRI" | "FRIDAY" => 4,
        "SA" | "SAT" | "SATURDAY" => 5,
        "SU" | "SUN" | "SUNDAY" => 6,
        _ => return None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Truncation {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
}

fn truncation(name: &str) -> Option<Truncation> {
    let is = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    [
        (Truncation::Year, &["year", "yyyy", "yy"][..]),
        (Truncation::Quarter, &["quarter"]),
        (Truncation::Month, &["month", "mon", "mm"]),
        (Truncation::Week, &["week"]),
        (Truncation::Day, &["day", "dd"]),
        (Truncation::Hour, &["hour"]),
        (Truncation::Minute, &["minute"]),
        (Truncation::Second, &["second"]),
        (Truncation::Millisecond, &["millisecond"]),
        (Truncation::Microsecond, &["microsecond"]),
    ]
    .into_iter()
    .find_map(|(unit, names)| is(names).then_some(unit))
}

fn truncated_date(date: i32, unit: Truncation) -> Option<i32> {
    let (year, month, _) = civil(date);
    match unit {
        Truncation::Year => days(year, 1, 1),
        Truncation::Quarter => days(year, (month - 1) / 3 * 3 + 1, 1),
        Truncation::Month => days(year, month, 1),
        Truncation::Week => date.checked_sub(i32::try_from(weekday(date)).ok()?),
        _ => Some(date),
    }
}

fn truncated(instant: i64, unit: Truncation, zone: Tz) -> i64 {
    let shown = calendar::local(instant, zone);
    let size = match unit {
        Truncation::Microsecond => return instant,
        Truncation::Millisecond => return instant - instant.rem_euclid(1_000),
        Truncation::Second => return instant - instant.rem_euclid(MICROS_PER_SECOND),
        Truncation::Minute => 60 * MICROS_PER_SECOND,
        Truncation::Hour => 3600 * MICROS_PER_SECOND,
        _ => MICROS_PER_DAY,
    };
    let whole = shown - shown.rem_euclid(size);
    let whole = if unit < Truncation::Day {
        let date = i32::try_from(whole.div_euclid(MICROS_PER_DAY)).unwrap_or(0);
        truncated_date(date, unit).map_or(whole, |date| i64::from(date) * MICROS_PER_DAY)
    } else {
        whole
    };
    // Within an hour that clocks show twice, the offset stays what it is.
    let offset = shown - instant;
    if calendar::local(whole - offset, zone) == whole {
        whole - offset
    } else {
        calendar::utc(whole, zone)
    }
}

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
    let session = Zone::from(cx.settings.zone);
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
        Ok(Value::Timestamp(calendar::utc(local, zone)))
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
    i64::from(date)
        .checked_mul(MICROS_PER_DAY)?
        .checked_add(of_day)
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
    shift: fn(i64, Zone) -> i64,
) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Timestamp, Text], 2)?;
    let fixed = zone_of(&args[1], cx)?;
    cx.strict(DataType::Timestamp, args, move |v| -> Outcome {
        let zone = zone_in(fixed, &v[1])?;
        Ok(Value::Timestamp(shift(micros(&v[0]), zone)))
    })
}

fn convert_timezone(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = args;
    if args.len() == 2 {
        let session = Value::from(cx.settings.zone.name());
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
        let instant = calendar::utc(micros(&v[2]), zone_in(from, &v[0])?);
        Ok(Value::TimestampNtz(calendar::local(
            instant,
            zone_in(to, &v[1])?,
        )))
    })
}
