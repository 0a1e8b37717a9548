//! Functions that take dates and times apart, and those of the clock and of Unix time.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{self, Any, Date, Long, Text, Time, Timestamp};
use super::dates_arithmetic::out_of_range;
use super::forms::{failed, string};
use super::time_pattern::{DAYS, MONTHS, weekday};
use super::{BindContext, Function, function};
use crate::expr::access::{date, double, long, micros, unscaled};
use crate::expr::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND, Zone, civil, day_of_year};
use crate::expr::coerce;
use crate::expr::typed::{Kind, Typed};
use crate::job_error::JobError;

/// A part of a date as an INT.
macro_rules! part_of_date {
    ($name:literal, $about:literal, $example:literal, $result:literal, $part:expr) => {
        function(
            $name,
            concat!($name, "(date or time)"),
            $about,
            $example,
            $result,
            |args, cx| {
                let args = cx.take(args, &[Date], 1)?;
                cx.strict(DataType::Int, args, |v| {
                    let part: fn(i32) -> i32 = $part;
                    Ok(Value::Int(part(date(&v[0]))))
                })
            },
        )
    };
}

/// A part of the time of day as an INT.
macro_rules! part_of_time {
    ($name:literal, $about:literal, $example:literal, $result:literal, $size:literal, $modulus:literal) => {
        function(
            $name,
            concat!($name, "(time)"),
            $about,
            $example,
            $result,
            |args, cx| {
                let args = cx.take(args, &[Time], 1)?;
                let zone = cx.settings.zone;
                cx.strict(DataType::Int, args, move |v| {
                    let second = local(&v[0], zone)?.rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND;
                    let part = second / $size % $modulus;
                    Ok(Value::Int(i32::try_from(part).unwrap_or(0)))
                })
            },
        )
    };
}

/// Unix time in a unit, as a BIGINT.
macro_rules! unix {
    ($name:literal, $about:literal, $example:literal, $result:literal, $size:literal) => {
        function(
            $name,
            concat!($name, "(time)"),
            $about,
            $example,
            $result,
            |args, cx| {
                let args = cx.take(args, &[Timestamp], 1)?;
                cx.strict(DataType::BigInt, args, |v| {
                    Ok(Value::BigInt(micros(&v[0]).div_euclid($size)))
                })
            },
        )
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "current_timestamp",
        "current_timestamp()",
        "When the engine took the record; the same in all expressions over it.",
        "current_timestamp()",
        "",
        |args, cx| {
            cx.take(args, &[], 0)?;
            Ok(taken_at(cx))
        },
    )
    .aliases(&["now"]),
    function(
        "current_date",
        "current_date()",
        "The date, in the job's time zone, when the engine took the record.",
        "current_date()",
        "",
        |args, cx| {
            cx.take(args, &[], 0)?;
            Ok(coerce::cast(taken_at(cx), &DataType::Date, cx.mode(), cx.settings, true))
        },
    )
    .aliases(&["curdate"]),
    function(
        "localtimestamp",
        "localtimestamp()",
        "What the clocks of the job's time zone showed when the engine took the record, as a TIMESTAMP_NTZ.",
        "localtimestamp()",
        "",
        |args, cx| {
            cx.take(args, &[], 0)?;
            let to = DataType::TimestampNtz;
            Ok(coerce::cast(taken_at(cx), &to, cx.mode(), cx.settings, true))
        },
    ),
    function(
        "current_timezone",
        "current_timezone()",
        "The job's time zone.",
        "current_timezone()",
        "UTC",
        |args, cx| {
            cx.take(args, &[], 0)?;
            Ok(Typed::literal(string(&cx.settings.zone.to_string()), DataType::String, cx.at))
        },
    ),
    part_of_date!("year", "The year.", "year('2016-07-30')", "2016", |d| civil(d).0),
    part_of_date!("quarter", "The quarter, 1 to 4.", "quarter('2016-08-31')", "3", |d| {
        (month(d) - 1) / 3 + 1
    }),
    part_of_date!("month", "The month, 1 to 12.", "month('2016-07-30')", "7", month),
    part_of_date!("day", "The day of the month.", "day('2009-07-30')", "30", day).aliases(&["dayofmonth"]),
    part_of_date!("dayofyear", "The day of the year.", "dayofyear('2016-04-09')", "100", day_of_year),
    part_of_date!("dayofweek", "The day of the week, 1 for Sunday to 7.", "dayofweek('2009-07-30')", "5", |d| {
        (monday_based(d) + 1) % 7 + 1
    }),
    part_of_date!("weekday", "The day of the week, 0 for Monday to 6.", "weekday('2009-07-30')", "3", monday_based),
    part_of_date!(
        "weekofyear",
        "The week of the year: weeks begin on Monday, the first has more than three days.",
        "weekofyear('2008-02-20')",
        "8",
        |d| iso_week(d).1
    ),
    part_of_time!("hour", "The hour, 0 to 23.", "hour('2009-07-30 12:58:59')", "12", 3600, 24),
    part_of_time!("minute", "The minute, 0 to 59.", "minute('2009-07-30 12:58:59')", "58", 60, 60),
    part_of_time!("second", "The second, 0 to 59.", "second('2009-07-30 12:58:59')", "59", 1, 60),
    function(
        "monthname",
        "monthname(date)",
        "The month's name in three letters.",
        "monthname('2008-02-20')",
        "Feb",
        |args, cx| {
            let args = cx.take(args, &[Date], 1)?;
            cx.strict(DataType::String, args, |v| {
                let month = civil(date(&v[0])).1 as usize;
                Ok(string(&MONTHS[month - 1][..3]))
            })
        },
    ),
    function(
        "dayname",
        "dayname(date)",
        "The weekday's name in three letters.",
        "dayname('2008-02-20')",
        "Wed",
        |args, cx| {
            let args = cx.take(args, &[Date], 1)?;
            cx.strict(DataType::String, args, |v| Ok(string(&DAYS[weekday(date(&v[0]))][..3])))
        },
    ),
    function(
        "extract",
        "extract(field FROM source)",
        "A field of a date, a time or an interval: YEAR, QUARTER, MONTH, WEEK, DAY, DOW, DOY, HOUR, MINUTE, SECOND ...",
        "extract(WEEK FROM TIMESTAMP'2019-08-12 01:00:00.123456')",
        "33",
        extract,
    )
    .aliases(&["date_part", "datepart"]),
    unix!("unix_seconds", "Seconds since 1970-01-01 00:00:00 UTC.", "unix_seconds(TIMESTAMP'1970-01-01 00:00:01Z')", "1", 1_000_000),
    unix!("unix_millis", "Milliseconds since 1970-01-01 00:00:00 UTC.", "unix_millis(TIMESTAMP'1970-01-01 00:00:01Z')", "1000", 1_000),
    unix!("unix_micros", "Microseconds since 1970-01-01 00:00:00 UTC.", "unix_micros(TIMESTAMP'1970-01-01 00:00:01Z')", "1000000", 1),
    function(
        "unix_date",
        "unix_date(date)",
        "Days since 1970-01-01.",
        "unix_date(DATE'1970-01-02')",
        "1",
        |args, cx| {
            let args = cx.take(args, &[Date], 1)?;
            cx.strict(DataType::Int, args, |v| Ok(Value::Int(date(&v[0]))))
        },
    ),
    function(
        "date_from_unix_date",
        "date_from_unix_date(days)",
        "The date so many days after 1970-01-01.",
        "date_from_unix_date(1)",
        "1970-01-02",
        |args, cx| {
            let args = cx.take(args, &[Param::Int], 1)?;
            cx.strict(DataType::Date, args, |v| Ok(Value::Date(crate::expr::access::int(&v[0]))))
        },
    ),
    function(
        "timestamp_seconds",
        "timestamp_seconds(number)",
        "The time so many seconds, perhaps with a fraction, after 1970-01-01 00:00:00 UTC.",
        "timestamp_seconds(1230219000.123)",
        "2008-12-25 15:30:00.123",
        timestamp_seconds,
    ),
    function(
        "timestamp_millis",
        "timestamp_millis(number)",
        "The time so many milliseconds after 1970-01-01 00:00:00 UTC.",
        "timestamp_millis(1230219000123)",
        "2008-12-25 15:30:00.123",
        |args, cx| from_integer(args, cx, 1_000),
    ),
    function(
        "timestamp_micros",
        "timestamp_micros(number)",
        "The time so many microseconds after 1970-01-01 00:00:00 UTC.",
        "timestamp_micros(1230219000123123)",
        "2008-12-25 15:30:00.123123",
        |args, cx| from_integer(args, cx, 1),
    ),
];

fn taken_at(cx: &BindContext) -> Typed {
    Typed {
        kind: Kind::TakenAt,
        data_type: DataType::Timestamp,
        nullable: false,
        at: cx.at,
        written: false,
    }
}

/// A date's midnight in microseconds.
pub(super) fn midnight(days: i32) -> Result<i64, RecordError> {
    calendar::midnight(days).ok_or_else(out_of_range)
}

/// What clocks show at a date (midnight) or time, in microseconds since 1970-01-01T00:00:00.
pub(super) fn local(value: &Value, zone: Zone) -> Result<i64, RecordError> {
    match value {
        Value::Date(days) => midnight(*days),
        Value::TimestampNtz(local) => Ok(*local),
        other => Ok(calendar::local(micros(other), zone)),
    }
}

/// The date that clocks show.
pub(super) fn local_date(value: &Value, zone: Zone) -> i32 {
    match value {
        Value::Date(days) => *days,
        other => local(other, zone).map_or(0, |local| {
            i32::try_from(local.div_euclid(MICROS_PER_DAY)).unwrap_or(0)
        }),
    }
}

fn month(date: i32) -> i32 {
    i32::try_from(civil(date).1).unwrap_or(1)
}

fn day(date: i32) -> i32 {
    i32::try_from(civil(date).2).unwrap_or(1)
}

fn monday_based(date: i32) -> i32 {
    i32::try_from(weekday(date)).unwrap_or(0)
}

/// The year and week of ISO 8601.
fn iso_week(date: i32) -> (i32, i32) {
    // The week belongs to the year that its Thursday is in.
    let thursday = date.saturating_add(3 - monday_based(date));
    (civil(thursday).0, (day_of_year(thursday) - 1) / 7 + 1)
}

fn from_integer(args: Vec<Typed>, cx: &BindContext, size: i64) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Long], 1)?;
    cx.strict(DataType::Timestamp, args, move |v| {
        long(&v[0])
            .checked_mul(size)
            .map(Value::Timestamp)
            .ok_or_else(|| failed("the time is out of range"))
    })
}

fn timestamp_seconds(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let args = cx.take(args, &[Param::Number], 1)?;
    match args[0].data_type {
        DataType::Decimal { scale, .. } => cx.strict(DataType::Timestamp, args, move |v| {
            let number = unscaled(&v[0]);
            let exact = if scale <= 6 {
                number.checked_mul(10_i128.pow(u32::from(6 - scale)))
            } else {
                let divisor = 10_i128.pow(u32::from(scale - 6));
                (number % divisor == 0).then(|| number / divisor)
            };
            exact
                .and_then(|micros| i64::try_from(micros).ok())
                .map(Value::Timestamp)
                .ok_or_else(|| {
                    failed(
                        "the seconds have more than 6 digits after the point, or are out of range",
                    )
                })
        }),
        DataType::Float | DataType::Double => cx.partial(DataType::Timestamp, args, |v| {
            let seconds = double(&v[0]);
            if !seconds.is_finite() {
                return Ok(Value::Null);
            }
            #[allow(clippy::cast_possible_truncation)]
            Ok(Value::Timestamp((seconds * 1e6) as i64))
        }),
        _ => from_integer(args, cx, MICROS_PER_SECOND),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldOf {
    Year,
    YearOfWeek,
    Quarter,
    Month,
    Week,
    Day,
    DayOfWeek,
    DayOfWeekIso,
    DayOfYear,
    Hour,
    Minute,
    Second,
}

fn field(name: &str) -> Option<FieldOf> {
    Some(match name.to_ascii_uppercase().as_str() {
        "YEAR" | "Y" | "YEARS" | "YR" | "YRS" => FieldOf::Year,
        "YEAROFWEEK" => FieldOf::YearOfWeek,
        "QUARTER" | "QTR" => FieldOf::Quarter,
        "MONTH" | "MON" | "MONS" | "MONTHS" => FieldOf::Month,
        "WEEK" | "W" | "WEEKS" => FieldOf::Week,
        "DAY" | "D" | "DAYS" => FieldOf::Day,
        "DAYOFWEEK" | "DOW" => FieldOf::DayOfWeek,
        "DAYOFWEEK_ISO" | "DOW_ISO" => FieldOf::DayOfWeekIso,
        "DOY" | "DAYOFYEAR" => FieldOf::DayOfYear,
        "HOUR" | "H" | "HOURS" | "HR" | "HRS" => FieldOf::Hour,
        "MINUTE" | "M" | "MIN" | "MINS" | "MINUTES" => FieldOf::Minute,
        "SECOND" | "S" | "SEC" | "SECONDS" | "SECS" => FieldOf::Second,
        _ => return None,
    })
}

fn extract(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Text, Any], 2)?;
    let source = args.remove(1);
    let Some(name) = args[0].constant_text() else {
        return Err(cx.error("the field must be a constant"));
    };
    let Some(field) = field(name) else {
        return Err(cx.error(format!("`{name}` is no field of a date or time")));
    };
    let interval = matches!(
        source.data_type,
        DataType::DayTimeInterval | DataType::YearMonthInterval
    );
    let source = if interval {
        source
    } else {
        cx.coerce(source, Time, 1)?
    };
    let months = source.data_type == DataType::YearMonthInterval;
    let fits = match field {
        FieldOf::Year | FieldOf::Month => !interval || months,
        FieldOf::Day | FieldOf::Hour | FieldOf::Minute | FieldOf::Second => !interval || !months,
        _ => !interval,
    };
    if !fits {
        return Err(cx.error(format!("an {} has no {name}", source.data_type)));
    }
    let zone = cx.settings.zone;
    let seconds = DataType::Decimal {
        precision: 8,
        scale: 6,
    };
    let data_type = match (field, interval, months) {
        (FieldOf::Second, _, _) => seconds,
        (FieldOf::Month, true, true) | (FieldOf::Hour | FieldOf::Minute, true, false) => {
            DataType::TinyInt
        }
        _ => DataType::Int,
    };
    let narrow = data_type == DataType::TinyInt;
    cx.strict(data_type, vec![source], move |v| {
        let number = if interval {
            interval_part(field, &v[0])
        } else {
            time_part(field, &v[0], zone)?
        };
        Ok(if field == FieldOf::Second {
            Value::Decimal(i128::from(number).into())
        } else if narrow {
            Value::TinyInt(i8::try_from(number).unwrap_or(0))
        } else {
            Value::Int(i32::try_from(number).unwrap_or(0))
        })
    })
}

fn time_part(field: FieldOf, value: &Value, zone: Zone) -> Result<i64, RecordError> {
    let date = local_date(value, zone);
    let of_day = || Ok(local(value, zone)?.rem_euclid(MICROS_PER_DAY));
    Ok(i64::from(match field {
        FieldOf::Year => civil(date).0,
        FieldOf::YearOfWeek => iso_week(date).0,
        FieldOf::Quarter => (month(date) - 1) / 3 + 1,
        FieldOf::Month => month(date),
        FieldOf::Week => iso_week(date).1,
        FieldOf::Day => day(date),
        FieldOf::DayOfWeek => (monday_based(date) + 1) % 7 + 1,
        FieldOf::DayOfWeekIso => monday_based(date) + 1,
        FieldOf::DayOfYear => day_of_year(date),
        FieldOf::Hour => return Ok(of_day()? / (3600 * MICROS_PER_SECOND)),
        FieldOf::Minute => return Ok(of_day()? / (60 * MICROS_PER_SECOND) % 60),
        FieldOf::Second => return Ok(of_day()? % (60 * MICROS_PER_SECOND)),
    }))
}

fn interval_part(field: FieldOf, value: &Value) -> i64 {
    let number = long(value);
    match field {
        FieldOf::Year => number / 12,
        FieldOf::Month => number % 12,
        FieldOf::Day => number / MICROS_PER_DAY,
        FieldOf::Hour => number % MICROS_PER_DAY / (3600 * MICROS_PER_SECOND),
        FieldOf::Minute => number / (60 * MICROS_PER_SECOND) % 60,
        _ => number % (60 * MICROS_PER_SECOND),
    }
}
