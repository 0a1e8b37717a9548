//! Patterns of dates and times, as Java's `DateTimeFormatter` and Spark have them: `yyyy-MM-dd'T'HH:mm:ss.SSSXXX`.
//!
//! Letters: G y M L d D E F a h H k K m s S V z O X x Z Q q, quotes, and `[ ]` for parts that a text may lack. Not here,
//! as in Spark: weeks (Y w W u e c). Not here, unlike Spark: full zone names (`zzzz`) and zone names in parsing.

use std::fmt::Write;

use chrono::{Offset, TimeZone};
use chrono_tz::OffsetName;

use super::time_parse::{self, Parsed};
use crate::expr::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND, Zone, civil};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// From Monday.
pub(super) const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    items: Vec<Item>,
    /// Whether the era stands in it: years are then counted within it.
    era: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Literal(String),
    Field(char, usize),
    /// In formatting all of it is written; in parsing it is there whole or not at all.
    Optional(Vec<Item>),
}

/// So many optional parts may lie in each other: a pattern may be a record's, and each is a call within a call.
const OPTIONAL_MAX: usize = 64;

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let mut open: Vec<Vec<Item>> = vec![Vec::new()];
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            let item = match c {
                '[' => {
                    if open.len() > OPTIONAL_MAX {
                        return Err(format!("more than {OPTIONAL_MAX} [ in each other"));
                    }
                    open.push(Vec::new());
                    continue;
                }
                ']' => match open.pop() {
                    Some(items) if !open.is_empty() => Item::Optional(items),
                    _ => return Err("a ] without a [ before it".to_owned()),
                },
                '\'' => Item::Literal(quoted(&mut chars)?),
                letter if letter.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while chars.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    if !known(letter, count) {
                        let letters = String::from(letter).repeat(count);
                        let here = instead(letter, count);
                        return Err(format!("`{letters}` has no meaning in a pattern{here}"));
                    }
                    Item::Field(letter, count)
                }
                '#' | '{' | '}' => return Err(format!("`{c}` is reserved; quote it")),
                other => Item::Literal(other.to_string()),
            };
            if let Some(items) = open.last_mut() {
                items.push(item);
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some(items), true) => Ok(Self {
                era: has_era(&items),
                items,
            }),
            _ => Err("a [ without a ] after it".to_owned()),
        }
    }

    /// Whether texts can be parsed by it: names of weekdays and quarters say too little.
    pub(crate) fn parses(&self) -> Result<(), String> {
        fn find(items: &[Item]) -> Option<char> {
            items.iter().find_map(|item| match item {
                Item::Field(letter, count)
                    if "EFqQz".contains(*letter) || *letter == 'G' && *count > 3 =>
                {
                    Some(*letter)
                }
                Item::Optional(items) => find(items),
                _ => None,
            })
        }
        match find(&self.items) {
            Some(letter) => Err(format!("`{letter}` is for formatting only")),
            None => Ok(()),
        }
    }

    /// Appends a time: what clocks show (microseconds since 1970-01-01T00:00:00 there), and the zone with its offset.
    pub(crate) fn format(&self, out: &mut String, instant: i64, zone: Zone) {
        self.write(out, Shown::new(instant, zone));
    }

    /// Appends a date, also one that no time reaches.
    pub(crate) fn format_date(&self, out: &mut String, days: i32) {
        self.write(out, Shown::of_date(days));
    }

    fn write(&self, out: &mut String, mut shown: Shown) {
        if self.era && shown.year <= 0 {
            shown.shown_year = 1 - shown.year;
        }
        format_items(&self.items, out, &shown);
    }

    /// The time that a text means; None where it does not fit the pattern.
    pub(crate) fn parse(&self, text: &str) -> Option<Parsed> {
        time_parse::parse(&self.items, text)
    }
}

fn has_era(items: &[Item]) -> bool {
    items.iter().any(|item| match item {
        Item::Field(letter, _) => *letter == 'G',
        Item::Optional(items) => has_era(items),
        Item::Literal(_) => false,
    })
}

fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    if chars.next_if_eq(&'\'').is_some() {
        return Ok("'".to_owned());
    }
    let mut literal = String::new();
    while let Some(c) = chars.next() {
        if c != '\'' {
            literal.push(c);
        } else if chars.next_if_eq(&'\'').is_some() {
            literal.push('\'');
        } else {
            return Ok(literal);
        }
    }
    Err("a quote is not closed".to_owned())
}

fn known(letter: char, count: usize) -> bool {
    match letter {
        'y' => count <= 6,
        'G' | 'M' | 'L' | 'E' | 'Q' | 'q' => count <= 4,
        'd' | 'h' | 'H' | 'k' | 'K' | 'm' | 's' => count <= 2,
        'D' | 'z' => count <= 3,
        'F' | 'a' => count == 1,
        'S' => count <= 9,
        'V' => count == 2,
        'O' => count == 1 || count == 4,
        'X' | 'x' | 'Z' => count <= 5,
        _ => false,
    }
}

/// What is meant by letters that have no meaning, as the end of a sentence.
fn instead(letter: char, count: usize) -> String {
    match letter {
        'Y' => format!(": write {} for the year", "y".repeat(count.min(6))),
        'w' | 'W' => ": extract(WEEK FROM ts) is the week".to_owned(),
        'c' | 'e' | 'u' => ": write E for the weekday".to_owned(),
        'V' => ": write VV for the zone".to_owned(),
        'z' if count == 4 => {
            ": names of zones in full are not known here; write z for the short one, VV for the zone's own".to_owned()
        }
        letter if known(letter, 1) => ": there are too many of this letter".to_owned(),
        _ => ": letters of the text itself stand in quotes".to_owned(),
    }
}

/// The parts of a time that formatting needs.
struct Shown {
    year: i32,
    /// The year as it is written: of its era, where the pattern has one.
    shown_year: i32,
    month: u32,
    day: u32,
    date: i32,
    micros: i64,
    offset: i32,
    instant: i64,
    zone: Zone,
}

impl Shown {
    fn new(instant: i64, zone: Zone) -> Self {
        let offset = calendar::offset_at(instant, zone);
        let local = instant.saturating_add(i64::from(offset) * MICROS_PER_SECOND);
        let date = i32::try_from(local.div_euclid(MICROS_PER_DAY)).unwrap_or(0);
        Self {
            micros: local.rem_euclid(MICROS_PER_DAY),
            offset,
            instant,
            zone,
            ..Self::of_date(date)
        }
    }

    /// A date's midnight, in UTC.
    fn of_date(date: i32) -> Self {
        let (year, month, day) = civil(date);
        Self {
            year,
            shown_year: year,
            month,
            day,
            date,
            micros: 0,
            offset: 0,
            instant: 0,
            zone: Zone::Fixed(0),
        }
    }

    fn number(&self, letter: char) -> i64 {
        let second = self.micros / MICROS_PER_SECOND;
        let hour = second / 3600;
        match letter {
            'M' | 'L' => i64::from(self.month),
            'd' => i64::from(self.day),
            'D' => i64::from(calendar::day_of_year(self.date)),
            'F' => (i64::from(self.day) - 1) % 7 + 1,
            'Q' | 'q' => (i64::from(self.month) - 1) / 3 + 1,
            'H' => hour,
            'k' => (hour + 23) % 24 + 1,
            'K' => hour % 12,
            'h' => (hour + 11) % 12 + 1,
            'm' => second / 60 % 60,
            _ => second % 60,
        }
    }
}

/// 0 is Monday.
pub(super) fn weekday(date: i32) -> usize {
    usize::try_from((i64::from(date) + 3).rem_euclid(7)).unwrap_or(0)
}

fn format_items(items: &[Item], out: &mut String, shown: &Shown) {
    for item in items {
        match item {
            Item::Literal(text) => out.push_str(text),
            Item::Optional(items) => format_items(items, out, shown),
            Item::Field(letter, count) => format_field(*letter, *count, out, shown),
        }
    }
}

fn padded(out: &mut String, number: i64, width: usize) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number.unsigned_abs());
    if number < 0 {
        out.push('-');
    }
    out.extend(std::iter::repeat_n('0', width.saturating_sub(digits.len())));
    out.push_str(digits);
}

fn named(out: &mut String, name: &str, count: usize) {
    out.push_str(if count == 4 { name } else { &name[..3] });
}

fn format_field(letter: char, count: usize, out: &mut String, shown: &Shown) {
    match (letter, count) {
        ('G', 4) => out.push_str(if shown.year > 0 {
            "Anno Domini"
        } else {
            "Before Christ"
        }),
        ('G', _) => out.push_str(if shown.year > 0 { "AD" } else { "BC" }),
        ('y', 2) => padded(out, i64::from(shown.shown_year.unsigned_abs() % 100), 2),
        ('y', width) => {
            let year = shown.shown_year;
            let digits = if year.unsigned_abs() > 9_999_999 {
                8
            } else {
                year.unsigned_abs()
                    .checked_ilog10()
                    .map_or(1, |n| n as usize + 1)
            };
            if width >= 4 && year > 0 && digits > width {
                out.push('+');
            }
            padded(out, i64::from(year), width);
        }
        ('M' | 'L', 3 | 4) => named(out, MONTHS[shown.month as usize - 1], count),
        ('E', _) => named(out, DAYS[weekday(shown.date)], count),
        ('Q' | 'q', 3) => {
            out.push('Q');
            padded(out, shown.number('Q'), 1);
        }
        ('Q' | 'q', 4) => out.push_str(match shown.number('Q') {
            1 => "1st quarter",
            2 => "2nd quarter",
            3 => "3rd quarter",
            _ => "4th quarter",
        }),
        ('a', _) => out.push_str(if shown.number('H') < 12 { "AM" } else { "PM" }),
        ('S', digits) => {
            let nanos = shown.micros % MICROS_PER_SECOND * 1000;
            let start = out.len();
            padded(out, nanos, 9);
            out.truncate(start + digits);
        }
        ('V' | 'z' | 'O' | 'X' | 'x' | 'Z', _) => format_zone(letter, count, out, shown),
        (_, width) => padded(out, shown.number(letter), width),
    }
}

fn format_zone(letter: char, count: usize, out: &mut String, shown: &Shown) {
    let offset = shown.offset;
    match (letter, count, shown.zone) {
        ('V', _, Zone::Region(zone)) => out.push_str(zone.name()),
        ('V' | 'z', _, Zone::Fixed(0)) => out.push_str("UTC"),
        ('z', _, Zone::Region(zone)) => {
            let seconds = shown.instant.div_euclid(MICROS_PER_SECOND);
            match chrono::DateTime::from_timestamp(seconds, 0) {
                Some(time) => {
                    let offset = zone.offset_from_utc_datetime(&time.naive_utc());
                    match offset.abbreviation() {
                        Some(name) => out.push_str(name),
                        None => append_offset(out, offset.fix().local_minus_utc(), 3),
                    }
                }
                None => out.push_str(zone.name()),
            }
        }
        ('V' | 'z', _, Zone::Fixed(_)) => append_offset(out, offset, 3),
        ('O', 1, _) => {
            out.push_str("GMT");
            if offset != 0 {
                out.push(if offset < 0 { '-' } else { '+' });
                let _ = write!(out, "{}", offset.abs() / 3600);
                if offset % 3600 != 0 {
                    let _ = write!(out, ":{:02}", offset.abs() / 60 % 60);
                }
                if offset % 60 != 0 {
                    let _ = write!(out, ":{:02}", offset.abs() % 60);
                }
            }
        }
        ('O', _, _) | ('Z', 4, _) => {
            out.push_str("GMT");
            if offset != 0 {
                append_offset(out, offset, 5);
            }
        }
        ('X', _, _) | ('Z', 5, _) if offset == 0 => out.push('Z'),
        ('Z', 5, _) => append_offset(out, offset, 5),
        ('Z', _, _) => append_offset(out, offset, 2),
        (_, count, _) => append_offset(out, offset, count),
    }
}

/// `+hh[mm]` (1), `+hhmm` (2), `+hh:mm` (3), with seconds where there are any `+hhmmss` (4), `+hh:mm:ss` (5).
fn append_offset(out: &mut String, offset: i32, form: usize) {
    let (hours, minutes, seconds) = (
        offset.abs() / 3600,
        offset.abs() / 60 % 60,
        offset.abs() % 60,
    );
    let colon = if form % 2 == 1 && form > 1 { ":" } else { "" };
    out.push(if offset < 0 { '-' } else { '+' });
    let _ = write!(out, "{hours:02}");
    if form > 1 || minutes != 0 {
        let _ = write!(out, "{colon}{minutes:02}");
    }
    if form > 3 && seconds != 0 {
        let _ = write!(out, "{colon}{seconds:02}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::calendar::days;

    fn at(year: i32, month: u32, day: u32, hour: i64, minute: i64, second: i64) -> i64 {
        i64::from(days(year, month, day).unwrap()) * MICROS_PER_DAY
            + (hour * 3600 + minute * 60 + second) * MICROS_PER_SECOND
    }

    #[test]
    fn times_are_written_as_java_writes_them() {
        let time = at(2024, 3, 5, 14, 7, 9) + 123_456;
        let berlin = Zone::Region(chrono_tz::Tz::Europe__Berlin);
        for (pattern, expected) in [
            ("yyyy-MM-dd HH:mm:ss.SSS", "2024-03-05 15:07:09.123"),
            ("d.M.yy h:mm a", "5.3.24 3:07 PM"),
            ("EEE, EEEE, MMM MMMM", "Tue, Tuesday, Mar March"),
            ("D Q QQQ QQQQ F", "65 1 Q1 1st quarter 5"),
            ("yyyy-MM-dd'T'HH:mm:ssXXX", "2024-03-05T15:07:09+01:00"),
            (
                "X x Z ZZZZ O OOOO",
                "+01 +01 +0100 GMT+01:00 GMT+1 GMT+01:00",
            ),
            ("VV z", "Europe/Berlin CET"),
            ("SSSSSS 'o''clock' k K", "123456 o'clock 15 3"),
            ("G y[ MM]", "AD 2024 03"),
        ] {
            let mut out = String::new();
            Pattern::new(pattern)
                .unwrap()
                .format(&mut out, time, berlin);
            assert_eq!(out, expected, "{pattern}");
        }
    }

    #[test]
    fn a_date_that_no_time_reaches_is_written_too() {
        let mut out = String::new();
        let pattern = Pattern::new("yyyy-MM-dd D HH").unwrap();
        pattern.format_date(&mut out, i32::MAX);
        assert_eq!(out, "+5881580-07-11 193 00");
    }

    #[test]
    fn texts_are_read_as_java_reads_them() {
        let local = |pattern: &str, text: &str| {
            Pattern::new(pattern)
                .unwrap()
                .parse(text)
                .map(|parsed| parsed.local)
        };
        let noon = Some(at(2024, 3, 5, 12, 0, 0));
        for (pattern, text) in [
            ("yyyy-MM-dd HH:mm:ss", "2024-03-05 12:00:00"),
            ("yyyyMMddHHmmss", "20240305120000"),
            ("d/M/yy h:mm a", "5/3/24 12:00 pm"),
            ("MMM d, yyyy HH", "mar 5, 2024 12"),
            ("yyyy-MM-dd[ HH:mm]", "2024-03-05 12:00"),
            ("yyyy-D k", "2024-65 12"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSX", "2024-03-05T12:00:00.0Z"),
            ("yyyy-MM-dd HH VV", "2024-03-05 12 Europe/Berlin"),
        ] {
            assert_eq!(local(pattern, text), noon, "{pattern}");
        }
        for (pattern, text) in [
            ("yyyy-MM-dd", "2024-02-30"),
            ("yyyy-MM-dd", "24-02-01"),
            ("yyyy-MM-dd", "2024-1-1"),
            ("yyyy-MM-dd", "2024-01-01 "),
            ("HH:mm", "24:00"),
            ("yyyy-MM-dd", "12024-01-01"),
            ("XXX", "+0100"),
        ] {
            assert_eq!(local(pattern, text), None, "{pattern} {text}");
        }
        assert_eq!(
            local("yyyy-MM-dd[ HH:mm]", "2024-03-05"),
            Some(at(2024, 3, 5, 0, 0, 0))
        );
    }

    #[test]
    fn patterns_without_meaning_are_refused() {
        for pattern in [
            "YYYY",
            "ww",
            "yyyy-mm-dd 'x",
            "u",
            "[yyyy",
            "hhh",
            "zzzz",
            "{",
        ] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
        let nested = |depth: usize| "[".repeat(depth) + "yyyy" + &"]".repeat(depth);
        assert!(Pattern::new(&nested(OPTIONAL_MAX)).is_ok());
        assert!(Pattern::new(&nested(50_000)).is_err());
        assert!(Pattern::new("EEE").unwrap().parses().is_err());
    }
}
