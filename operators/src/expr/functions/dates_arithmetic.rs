//! Functions that calculate with dates and times: adding, differences, truncating.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Boolean, Date, Int, Long, Text, Time, Timestamp};
use super::dates::local;
use super::forms::{error_or_null, failed};
use super::time_pattern::weekday;
use super::{BindContext, Function, function};
use crate::expr::access::{boolean, date, int, long, micros, text};
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
                let months =
                    months_between(micros(&v[0]), micros(&v[1]), zone).ok_or_else(out_of_range)?;
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
                let Some(unit) = truncation(text(&v[0])) else {
                    return Ok(Value::Null);
                };
                truncated(micros(&v[1]), unit, zone)
                    .map(Value::Timestamp)
                    .ok_or_else(out_of_range)
            })
        },
    ),
];

#[cold]
pub(super) fn out_of_range() -> RecordError {
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
    named(name).ok_or_else(|| cx.error(format!("`{name}` is no unit of time")))
}

/// Whether timestampadd and timestampdiff know a unit of this name.
pub(in crate::expr) fn is_unit(name: &str) -> bool {
    named(name).is_some()
}

fn named(unit: &str) -> Option<Unit> {
    Some(match unit.to_ascii_uppercase().as_str() {
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
        _ => return None,
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

fn add_unit(instant: i64, count: i64, unit: Unit, zone: Option<Zone>) -> Option<i64> {
    let shown = |instant| match zone {
        Some(zone) => calendar::shown(instant, zone),
        None => Some(instant),
    };
    let back = |local| match zone {
        Some(zone) => calendar::utc(local, zone),
        None => Some(local),
    };
    match unit {
        Unit::Exact(size) => instant.checked_add(count.checked_mul(size)?),
        Unit::Days(size) => {
            let shift = count.checked_mul(size)?.checked_mul(MICROS_PER_DAY)?;
            shown(instant)?.checked_add(shift).and_then(back)
        }
        Unit::Months(size) => {
            let months = i32::try_from(count.checked_mul(size)?).ok()?;
            add_months(shown(instant)?, months).and_then(back)
        }
    }
}

/// The local time so many months later.
fn add_months(local: i64, months: i32) -> Option<i64> {
    let date = i32::try_from(local.div_euclid(MICROS_PER_DAY)).ok()?;
    let moved = calendar::add_months(date, months)?;
    calendar::moment(moved, local.rem_euclid(MICROS_PER_DAY))
}

fn timestamp_diff(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let unit = unit(&args, cx)?;
    let mut args = cx.take(args, &[Text, Time, Time], 3)?;
    args.remove(0);
    let zone = cx.settings.zone;
    cx.strict(DataType::BigInt, args, move |v| {
        let (first, last) = (local(&v[0], zone)?, local(&v[1], zone)?);
        let between = i128::from(last) - i128::from(first);
        let units = match unit {
            Unit::Exact(size) => between / i128::from(size),
            Unit::Days(size) => between / i128::from(size * MICROS_PER_DAY),
            Unit::Months(size) => i128::from(whole_months(first, last) / size),
        };
        i64::try_from(units)
            .map(Value::BigInt)
            .map_err(|_| out_of_range())
    })
}

/// Whole months between two local times, as Java counts them: a day that has not passed in full at the end is left out first,
/// which may be the last one of a month.
fn whole_months(first: i64, last: i64) -> i64 {
    let parts = |local: i64| {
        (
            local.div_euclid(MICROS_PER_DAY),
            local.rem_euclid(MICROS_PER_DAY),
        )
    };
    let ((first, first_clock), (mut last, last_clock)) = (parts(first), parts(last));
    if last > first && last_clock < first_clock {
        last -= 1;
    } else if last < first && last_clock > first_clock {
        last += 1;
    }
    // Months of 32 days, in which the days of all months have a place.
    let packed = |date: i64| {
        let (year, month, day) = civil(i32::try_from(date).unwrap_or(0));
        (i64::from(year) * 12 + i64::from(month)) * 32 + i64::from(day)
    };
    (packed(last) - packed(first)) / 32
}

#[allow(clippy::cast_precision_loss)]
fn months_between(last: i64, first: i64, zone: Zone) -> Option<f64> {
    let parts = |instant: i64| {
        let local = calendar::local(instant, zone);
        let date = i32::try_from(local.div_euclid(MICROS_PER_DAY)).unwrap_or(0);
        let (year, month, day) = civil(date);
        let ends = days_of_month(year, month) == day;
        // Time that has passed since midnight, not what the clock shows.
        let midnight = calendar::utc(calendar::midnight(date)?, zone)?;
        let second = instant.checked_sub(midnight)? / MICROS_PER_SECOND;
        Some((
            i64::from(year) * 12 + i64::from(month),
            i64::from(day),
            ends,
            second,
        ))
    };
    let (last_month, last_day, last_ends, last_second) = parts(last)?;
    let (first_month, first_day, first_ends, first_second) = parts(first)?;
    let months = (last_month - first_month) as f64;
    if last_day == first_day || last_ends && first_ends {
        return Some(months);
    }
    let seconds = (last_day - first_day) * 86_400 + last_second - first_second;
    Some(months + seconds as f64 / (31.0 * 86_400.0))
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

fn truncated(instant: i64, unit: Truncation, zone: Zone) -> Option<i64> {
    let shown = calendar::shown(instant, zone)?;
    let size = match unit {
        Truncation::Microsecond => return Some(instant),
        Truncation::Millisecond => return instant.checked_sub(instant.rem_euclid(1_000)),
        Truncation::Second => return instant.checked_sub(instant.rem_euclid(MICROS_PER_SECOND)),
        Truncation::Minute => 60 * MICROS_PER_SECOND,
        Truncation::Hour => 3600 * MICROS_PER_SECOND,
        _ => MICROS_PER_DAY,
    };
    let whole = if unit < Truncation::Day {
        let date = i32::try_from(shown.div_euclid(MICROS_PER_DAY)).ok()?;
        calendar::midnight(truncated_date(date, unit)?)?
    } else {
        shown.checked_sub(shown.rem_euclid(size))?
    };
    // Within an hour that clocks show twice, the offset stays what it is.
    let kept = whole.checked_sub(shown.checked_sub(instant)?)?;
    if calendar::local(kept, zone) == whole {
        Some(kept)
    } else {
        calendar::utc(whole, zone)
    }
}
