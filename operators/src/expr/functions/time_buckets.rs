//! `time_bucket`: the start of the bucket of time that a moment falls into.

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Param::{Any, Time};
use super::dates_arithmetic::out_of_range;
use super::{BindContext, Function, function};
use crate::expr::access::{long, micros};
use crate::expr::calendar::{self, MICROS_PER_DAY, Zone};
use crate::expr::coerce;
use crate::expr::typed::Typed;
use crate::job_error::JobError;

pub(super) const FUNCTIONS: &[Function] = &[function(
    "time_bucket",
    "time_bucket(size, time[, origin])",
    "The start of the bucket that the time falls into; buckets are counted from the origin, 1970-01-01 00:00:00 if none is given.",
    "time_bucket(INTERVAL '15' MINUTE, TIMESTAMP'2024-02-29 12:34:56')",
    "2024-02-29 12:30:00",
    time_bucket,
)];

/// How large a bucket is.
#[derive(Clone, Copy)]
enum Size {
    Months(i64),
    Micros(i64),
}

/// Where buckets begin.
#[derive(Clone, Copy)]
struct Buckets {
    size: Size,
    /// On the clock.
    origin: i64,
    /// None for times without zone.
    zone: Option<Zone>,
}

impl Buckets {
    /// The start of the bucket of this number.
    fn start(&self, number: i64) -> Option<i64> {
        let instant = |local: i64| match self.zone {
            Some(zone) => calendar::utc(local, zone),
            None => Some(local),
        };
        match self.size {
            Size::Months(months) => {
                let months = i32::try_from(months.checked_mul(number)?).ok()?;
                let day = i32::try_from(self.origin.div_euclid(MICROS_PER_DAY)).ok()?;
                let of_day = self.origin.rem_euclid(MICROS_PER_DAY);
                instant(calendar::moment(
                    calendar::add_months(day, months)?,
                    of_day,
                )?)
            }
            Size::Micros(size) if size < MICROS_PER_DAY => {
                instant(self.origin)?.checked_add(size.checked_mul(number)?)
            }
            // Days are days of the calendar, the rest is time that passes.
            Size::Micros(size) => {
                let passed = size.checked_mul(number)?;
                let days = passed - passed % MICROS_PER_DAY;
                instant(self.origin.checked_add(days)?)?.checked_add(passed % MICROS_PER_DAY)
            }
        }
    }

    fn of(&self, time: i64) -> Option<i64> {
        let local = self.zone.map_or(time, |zone| calendar::local(time, zone));
        // Near enough: the clock may have been turned, or the month begun and its day not reached.
        let mut number = match self.size {
            Size::Micros(size) => local.checked_sub(self.origin)?.div_euclid(size),
            Size::Months(months) => (month(local)? - month(self.origin)?).div_euclid(months),
        };
        while self.start(number)? > time {
            number -= 1;
        }
        while self.start(number + 1).is_some_and(|next| next <= time) {
            number += 1;
        }
        self.start(number)
    }
}

/// The months since year 0 of a moment on the clock.
fn month(local: i64) -> Option<i64> {
    let day = i32::try_from(local.div_euclid(MICROS_PER_DAY)).ok()?;
    let (year, month, _) = calendar::civil(day);
    Some(i64::from(year) * 12 + i64::from(month))
}

fn time_bucket(args: Vec<Typed>, cx: &BindContext) -> Result<Typed, JobError> {
    let mut args = cx.take(args, &[Any, Time, Time], 2)?;
    let data_type = args[1].data_type.clone();
    let times = matches!(data_type, DataType::Timestamp | DataType::TimestampNtz);
    if !times || args.get(2).is_some_and(|arg| arg.data_type != data_type) {
        return Err(cx.error("it takes a TIMESTAMP or TIMESTAMP_NTZ, and an origin of that type"));
    }
    let zone = (data_type == DataType::Timestamp).then_some(cx.settings.zone);
    let size = match args[0].constant() {
        Some(Value::YearMonthInterval(months @ 1..)) => Size::Months(i64::from(*months)),
        Some(Value::DayTimeInterval(micros @ 1..)) => Size::Micros(*micros),
        Some(Value::Null) => return Ok(Typed::literal(Value::Null, data_type, cx.at)),
        _ => return Err(cx.error("the size must be a constant interval above zero")),
    };
    let origin = match args.get(2).map(|arg| (arg.constant(), arg)) {
        None => 0,
        Some((Some(Value::Null), _)) => {
            return Ok(Typed::literal(Value::Null, data_type, cx.at));
        }
        Some((Some(value), _)) => {
            zone.map_or(long(value), |zone| calendar::local(long(value), zone))
        }
        Some((None, _)) => return Err(cx.error("the origin must be a constant")),
    };
    let buckets = Buckets { size, origin, zone };
    let time = coerce::cast_implicitly(args.remove(1), &data_type, cx.settings);
    cx.strict(data_type, vec![time], move |v| {
        let start = buckets.of(micros(&v[0])).ok_or_else(out_of_range)?;
        Ok(match zone {
            Some(_) => Value::Timestamp(start),
            None => Value::TimestampNtz(start),
        })
    })
}
