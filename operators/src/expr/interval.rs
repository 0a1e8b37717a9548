//! Interval literals: `INTERVAL 3 DAYS`, `INTERVAL '1 day 2 hours'`, `INTERVAL '1 02:03:04.5' DAY TO SECOND`.

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::calendar::MICROS_PER_DAY;

/// A unit of an interval literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Twelve months.
    Year,
    /// A month.
    Month,
    /// Seven days.
    Week,
    /// 24 hours.
    Day,
    /// 60 minutes.
    Hour,
    /// 60 seconds.
    Minute,
    /// A second, possibly with a fraction.
    Second,
    /// 1,000 microseconds.
    Millisecond,
    /// A microsecond.
    Microsecond,
}

impl Unit {
    /// Months or microseconds of one.
    fn size(self) -> i64 {
        match self {
            Self::Year => 12,
            Self::Month | Self::Microsecond => 1,
            Self::Week => 7 * MICROS_PER_DAY,
            Self::Day => MICROS_PER_DAY,
            Self::Hour => 3_600_000_000,
            Self::Minute => 60_000_000,
            Self::Second => 1_000_000,
            Self::Millisecond => 1_000,
        }
    }

    fn of_months(self) -> bool {
        self <= Self::Month
    }
}

/// The unit of this name, in any case, singular or plural.
pub fn unit(name: &str) -> Option<Unit> {
    let name = name.to_ascii_lowercase();
    Some(match name.strip_suffix('s').unwrap_or(&name) {
        "year" => Unit::Year,
        "month" => Unit::Month,
        "week" => Unit::Week,
        "day" => Unit::Day,
        "hour" => Unit::Hour,
        "minute" => Unit::Minute,
        "second" => Unit::Second,
        "millisecond" => Unit::Millisecond,
        "microsecond" => Unit::Microsecond,
        _ => return None,
    })
}

/// An interval of a text such as `1 day -2 hours`, with or without `interval` before it; also the forms that a cast to
/// STRING gives. Err says why not.
pub fn parse(text: &str) -> Result<(Value, DataType), &'static str> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let words = lower.strip_prefix("interval").unwrap_or(&lower).trim();
    if let Some(rest) = words.strip_prefix('\'') {
        let (quoted, units) = rest.split_once('\'').ok_or("a quote is missing")?;
        let mut units = units.split_whitespace();
        let first = units.next().and_then(unit).ok_or("the unit is missing")?;
        let last = match (units.next(), units.next().map(unit)) {
            (None, _) => None,
            (Some("to"), Some(Some(last))) => Some(last),
            _ => return Err("expected unit TO unit"),
        };
        return parse_fields(quoted, first, last);
    }
    let mut words = words.split_whitespace();
    let mut months: Option<i64> = None;
    let mut micros: Option<i64> = None;
    while let Some(number) = words.next() {
        let name = words.next().ok_or("a number has no unit after it")?;
        let unit = unit(name).ok_or("expected units such as day, hours, minute")?;
        let amount = amount(number, unit)?;
        let total = if unit.of_months() {
            &mut months
        } else {
            &mut micros
        };
        *total = Some(
            total
                .unwrap_or(0)
                .checked_add(amount)
                .ok_or("it is out of range")?,
        );
    }
    match (months, micros) {
        (Some(months), None) => year_month(months),
        (None, Some(micros)) => Ok((Value::DayTimeInterval(micros), DataType::DayTimeInterval)),
        (Some(_), Some(_)) => Err("years and months cannot be mixed with days and times"),
        (None, None) => Err("it is empty"),
    }
}

fn year_month(months: i64) -> Result<(Value, DataType), &'static str> {
    let months = i32::try_from(months).map_err(|_| "it is out of range")?;
    Ok((
        Value::YearMonthInterval(months),
        DataType::YearMonthInterval,
    ))
}

/// A number of units; only seconds may have a fraction.
fn amount(number: &str, unit: Unit) -> Result<i64, &'static str> {
    if unit == Unit::Second {
        return seconds(number);
    }
    let number: i64 = number
        .parse()
        .map_err(|_| "expected whole numbers (only seconds may have a fraction)")?;
    number.checked_mul(unit.size()).ok_or("it is out of range")
}

/// Seconds with up to nine digits after the point, in microseconds.
fn seconds(number: &str) -> Result<i64, &'static str> {
    const WRONG: &str = "expected a number of seconds";
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(WRONG);
    }
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| "it is out of range")?
    };
    let mut micros = 0_i64;
    for i in 0..6 {
        let digit = fraction
            .as_bytes()
            .get(i)
            .map_or(0, |b| i64::from(b - b'0'));
        micros = micros * 10 + digit;
    }
    let total = whole
        .checked_mul(1_000_000)
        .and_then(|whole| whole.checked_add(micros))
        .ok_or("it is out of range")?;
    Ok(if negative { -total } else { total })
}

/// An interval of a text and the units it is in: `'3' DAY`, `'1-2' YEAR TO MONTH`, `'1 02:03:04' DAY TO SECOND`.
pub fn parse_fields(
    text: &str,
    first: Unit,
    last: Option<Unit>,
) -> Result<(Value, DataType), &'static str> {
    let text = text.trim();
    let Some(last) = last else {
        let amount = amount(text, first)?;
        return if first.of_months() {
            year_month(amount)
        } else {
            Ok((Value::DayTimeInterval(amount), DataType::DayTimeInterval))
        };
    };
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let units: Vec<Unit> = [
        Unit::Year,
        Unit::Month,
        Unit::Day,
        Unit::Hour,
        Unit::Minute,
        Unit::Second,
    ]
    .into_iter()
    .filter(|unit| *unit >= first && *unit <= last)
    .collect();
    if units.len() < 2 || first.of_months() != last.of_months() {
        return Err("the units are YEAR TO MONTH, or DAY, HOUR, MINUTE TO HOUR, MINUTE, SECOND");
    }
    let parts: Vec<&str> = body
        .split(['-', ' ', ':'])
        .filter(|p| !p.is_empty())
        .collect();
    if parts.len() != units.len() {
        return Err("it has other parts than its units say");
    }
    let mut total = 0_i64;
    for (part, unit) in parts.iter().zip(&units) {
        total = amount(part, *unit)?
            .checked_add(total)
            .ok_or("it is out of range")?;
    }
    if negative {
        total = -total;
    }
    if first.of_months() {
        year_month(total)
    } else {
        Ok((Value::DayTimeInterval(total), DataType::DayTimeInterval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_in_all_their_forms() {
        let micros = |text| match parse(text) {
            Ok((Value::DayTimeInterval(micros), _)) => micros,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(micros("1 day 2 hours"), 93_600_000_000);
        assert_eq!(micros("interval -3 minutes 1.5 seconds"), -178_500_000);
        assert_eq!(
            micros("INTERVAL '1 02:03:04.5' DAY TO SECOND"),
            93_784_500_000
        );
        assert_eq!(micros("interval '-10' minute"), -600_000_000);
        assert_eq!(
            parse("1 year 2 months").unwrap().0,
            Value::YearMonthInterval(14)
        );
        assert_eq!(
            parse_fields("-1-2", Unit::Year, Some(Unit::Month))
                .unwrap()
                .0,
            Value::YearMonthInterval(-14)
        );
        for wrong in [
            "",
            "1",
            "1 day 1 month",
            "x days",
            "1.5 days",
            "99999999999 days",
            "1 fortnight",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
