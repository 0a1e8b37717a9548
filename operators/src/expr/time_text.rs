//! Dates and times in texts, as Spark's casts read them.

use crate::expr::calendar::{self, MICROS_PER_SECOND, Zone};
use crate::expr::text::trim;

/// A cursor over the digits of a date or time.
struct Digits<'t> {
    rest: &'t [u8],
}

impl Digits<'_> {
    /// A number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if count < least || count > most {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        Some(
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + u32::from(digit - b'0')),
        )
    }

    fn skip(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// `[+-]yyyy*[-[m]m[-[d]d]]`: the day, and whether all three parts were there.
    fn date(&mut self) -> Option<(i32, bool)> {
        let negative = self.skip(b'-');
        if !negative {
            self.skip(b'+');
        }
        let year = i32::try_from(self.number(4, 7)?).ok()?;
        let year = if negative { -year } else { year };
        if !self.skip(b'-') {
            return calendar::days(year, 1, 1).map(|days| (days, false));
        }
        let month = self.number(1, 2)?;
        if !self.skip(b'-') {
            return calendar::days(year, month, 1).map(|days| (days, false));
        }
        let day = self.number(1, 2)?;
        calendar::days(year, month, day).map(|days| (days, true))
    }
}

/// A date as Spark's cast reads it: `yyyy`, `yyyy-[m]m`, `yyyy-[m]m-[d]d`, the last also followed by a space or `T` and
/// anything. Days since 1970-01-01.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let mut digits = Digits {
        rest: trim(text).as_bytes(),
    };
    let (days, complete) = digits.date()?;
    match digits.rest.first() {
        None => Some(days),
        Some(b' ' | b'T') if complete => Some(days),
        Some(_) => None,
    }
}

/// A time as Spark's cast reads it, `yyyy[-[m]m[-[d]d[( |T)[h]h:[m]m[:[s]s[.f]][zone]]]]`: microseconds since
/// 1970-01-01T00:00:00Z. A text without zone is a time of `zone`.
pub(crate) fn parse_timestamp(text: &str, zone: Zone) -> Option<i64> {
    let (local, own) = parse_time(text)?;
    match own {
        Some(own) => calendar::utc(local, calendar::zone(own)?),
        None => calendar::utc(local, zone),
    }
}

/// A time without zone; a zone in the text is read and left out, as in Spark's cast to TIMESTAMP_NTZ.
pub(crate) fn parse_timestamp_ntz(text: &str) -> Option<i64> {
    let (local, zone) = parse_time(text)?;
    match zone {
        Some(zone) => calendar::zone(zone).map(|_| local),
        None => Some(local),
    }
}

/// A time without zone; None where the text has one, as Spark's readers of files want it.
pub(crate) fn parse_local(text: &str) -> Option<i64> {
    match parse_time(text)? {
        (local, None) => Some(local),
        _ => None,
    }
}

/// A time of day as Spark's cast reads it, `[h]h:[m]m[:[s]s[.f]][zone]`, behind a `T` also the hour alone: microseconds
/// since midnight, and its zone.
pub(crate) fn parse_clock(text: &str) -> Option<(i64, Option<Zone>)> {
    let text = trim(text);
    let (rest, alone) = match text.strip_prefix('T') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let hour = rest.bytes().take_while(u8::is_ascii_digit).count();
    let ends = alone && hour == rest.len();
    if !(1..=2).contains(&hour) || !(ends || rest[hour..].starts_with(':')) {
        return None;
    }
    let dated = format!("1970-01-01 {rest}");
    match parse_time(&dated)? {
        (micros, None) => Some((micros, None)),
        (micros, Some(zone)) => Some((micros, Some(calendar::zone(zone)?))),
    }
}

/// Microseconds on the clock, and the zone behind them.
fn parse_time(text: &str) -> Option<(i64, Option<&str>)> {
    let text = trim(text);
    let mut digits = Digits {
        rest: text.as_bytes(),
    };
    let (days, complete) = digits.date()?;
    if digits.rest.is_empty() {
        return Some((calendar::midnight(days)?, None));
    }
    if !complete || !(digits.skip(b' ') || digits.skip(b'T')) {
        return None;
    }
    let hour = digits.number(1, 2)?;
    let mut minute = 0;
    let mut second = 0;
    let mut fraction = 0;
    if digits.skip(b':') {
        minute = digits.number(1, 2)?;
        if digits.skip(b':') {
            second = digits.number(1, 2)?;
            if digits.skip(b'.') {
                fraction = fraction_of(&mut digits);
            }
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // What is left is the zone; `get` cannot fail, because only ASCII was read so far.
    let zone = text.get(text.len() - digits.rest.len()..).map(trim);
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    let local = calendar::moment(days, seconds * MICROS_PER_SECOND + i64::from(fraction))?;
    Some((local, zone.filter(|zone| !zone.is_empty())))
}

/// Six digits after the second; further ones are cut.
fn fraction_of(digits: &mut Digits<'_>) -> u32 {
    let mut micros = 0;
    let mut places = 0;
    while let Some((digit, rest)) = digits.rest.split_first() {
        if !digit.is_ascii_digit() {
            break;
        }
        if places < 6 {
            micros = micros * 10 + u32::from(digit - b'0');
            places += 1;
        }
        digits.rest = rest;
    }
    micros * 10_u32.pow(6 - places)
}

#[cfg(test)]
mod tests {
    use crate::expr::calendar::Zone;

    use super::*;

    #[test]
    fn dates_are_read_as_spark_reads_them() {
        let day = |y, m, d| calendar::days(y, m, d);
        for (text, expected) in [
            ("2024-02-29", day(2024, 2, 29)),
            (" 2024-2-9 ", day(2024, 2, 9)),
            ("2024", day(2024, 1, 1)),
            ("2024-05", day(2024, 5, 1)),
            ("2024-05-01T", day(2024, 5, 1)),
            ("2024-05-01 whatever", day(2024, 5, 1)),
            ("+12024-05-01", day(12024, 5, 1)),
            ("2023-02-29", None),
            ("24-01-01", None),
            ("2024-05-", None),
            ("2024/05/01", None),
            ("20240501", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text), expected, "{text:?}");
        }
    }

    #[test]
    fn times_are_read_with_their_own_zone_or_the_sessions() {
        let utc = |text| parse_timestamp(text, Zone::UTC);
        assert_eq!(utc("1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(utc("1970-01-01T00:00:01.5Z"), Some(1_500_000));
        assert_eq!(utc("1970-01-01 01:00:00+01:00"), Some(0));
        assert_eq!(utc("1970-01-01 01:00:00 Europe/Berlin"), Some(0));
        assert_eq!(utc("1970-01-01 00:00:00.1234567"), Some(123_456));
        assert_eq!(utc("1970-01-01"), Some(0));
        assert_eq!(utc("1970-01-01 1:2"), Some(3_720_000_000));
        assert_eq!(utc("1970-01-01 25:00:00"), None);
        assert_eq!(utc("1970-01-01 00:00:00 nowhere"), None);
        assert_eq!(utc("1970-01-01é"), None);
        assert_eq!(utc("+294247-01-10T04:00:54.775807"), Some(i64::MAX));
        assert_eq!(utc("+294247-01-10T04:00:54.775807-01:00"), None);
        assert_eq!(utc("-290308-12-21T19:59:05.224192Z"), Some(i64::MIN));
        assert_eq!(utc("-290308-12-22T00:00:00+18:00"), None);
        assert_eq!(
            parse_timestamp(
                "1970-01-01 01:00:00",
                Zone::Region(chrono_tz::Tz::Europe__Berlin)
            ),
            Some(0)
        );
        assert_eq!(
            parse_timestamp_ntz("1970-01-01 01:00:00Z"),
            Some(3_600_000_000)
        );
    }
}
