//! Days, months and time zones: the proleptic Gregorian calendar, as Spark counts.

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// Microseconds of a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds of a day.
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// A time zone: of a region, or a fixed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// A region with its rules.
    Region(Tz),
    /// Seconds east of UTC.
    Fixed(i32),
}

impl Zone {
    /// That of all others.
    pub const UTC: Self = Self::Fixed(0);
}

impl std::fmt::Display for Zone {
    /// The name of its region, or how far east of UTC it is: `+05:30`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = match self {
            Self::Region(zone) => return f.write_str(zone.name()),
            Self::Fixed(0) => return f.write_str("UTC"),
            Self::Fixed(seconds) => *seconds,
        };
        let sign = if seconds < 0 { '-' } else { '+' };
        let east = seconds.abs();
        write!(f, "{sign}{:02}:{:02}", east / 3600, east / 60 % 60)?;
        match east % 60 {
            0 => Ok(()),
            rest => write!(f, ":{rest:02}"),
        }
    }
}

impl From<Tz> for Zone {
    fn from(zone: Tz) -> Self {
        if zone == Tz::UTC {
            Self::Fixed(0)
        } else {
            Self::Region(zone)
        }
    }
}

/// Year, month (1 to 12) and day (1 to 31) of a day counted from 1970-01-01.
pub fn civil(days: i32) -> (i32, u32, u32) {
    let shifted = i64::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (
        i32::try_from(year).unwrap_or(i32::MAX),
        u32::try_from(month).unwrap_or(1),
        u32::try_from(day).unwrap_or(1),
    )
}

/// The day counted from 1970-01-01; None when there is no such day or it is out of range.
pub fn days(year: i32, month: u32, day: u32) -> Option<i32> {
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_index = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_index + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - 719_468).ok()
}

/// Whether the year has a 29 February.
pub fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// How many days the month has.
pub fn days_of_month(year: i32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The date so many months later; the last day of the month where the day does not exist. None out of range.
pub fn add_months(date: i32, months: i32) -> Option<i32> {
    let (year, month, day) = civil(date);
    let total = i64::from(year) * 12 + i64::from(month) - 1 + i64::from(months);
    let year = i32::try_from(total.div_euclid(12)).ok()?;
    let month = u32::try_from(total.rem_euclid(12)).ok()? + 1;
    days(year, month, day.min(days_of_month(year, month)))
}

/// 1582-10-15, the first day of the Gregorian calendar, in days since 1970.
const GREGORIAN: i32 = -141_427;

/// The day of our calendar that is called as this one was in the calendar of its time: both are counted in days since 1970.
pub fn of_julian(day: i32) -> i32 {
    if day >= GREGORIAN {
        return day;
    }
    // Days since the first of March of the year -4800 of the Julian calendar, whose years begin with March.
    let count = i64::from(day) + 2_440_588 + 32_082;
    let year = (4 * count + 3).div_euclid(1461);
    let within = count - (1461 * year).div_euclid(4);
    let month = (5 * within + 2) / 153;
    let of_month = within - (153 * month + 2) / 5 + 1;
    let (year, month) = (year - 4800 + month / 10, month + 3 - 12 * (month / 10));
    let small = |number: i64| u32::try_from(number).unwrap_or_default();
    // A day that ours lacks, as 1500-02-29, is the one behind it.
    i32::try_from(year)
        .ok()
        .and_then(|year| days(year, small(month), 1))
        .map_or(day, |first| {
            first.saturating_add_unsigned(small(of_month) - 1)
        })
}

/// The day of the year, counted from 1.
pub fn day_of_year(days: i32) -> i32 {
    let (year, month, day) = civil(days);
    let before: u32 = (1..month).map(|month| days_of_month(year, month)).sum();
    i32::try_from(before + day).unwrap_or(1)
}

/// The beginning of a date on the clock; None for one that no time reaches.
pub fn midnight(days: i32) -> Option<i64> {
    moment(days, 0)
}

/// So many microseconds after the beginning of a date; None out of range.
pub fn moment(days: i32, of_day: i64) -> Option<i64> {
    let midnight = i128::from(days) * i128::from(MICROS_PER_DAY);
    i64::try_from(midnight + i128::from(of_day)).ok()
}

/// What the clocks of the zone show at an instant: microseconds since 1970-01-01T00:00:00 there. At the ends of all times the
/// last that they can show.
pub fn local(micros: i64, zone: Zone) -> i64 {
    micros.saturating_add(i64::from(offset_at(micros, zone)) * MICROS_PER_SECOND)
}

/// What the clocks show, where it is to be a time itself: None out of range.
pub fn shown(micros: i64, zone: Zone) -> Option<i64> {
    micros.checked_add(i64::from(offset_at(micros, zone)) * MICROS_PER_SECOND)
}

/// The instant at which the clocks of the zone show this. In a gap it is later by the gap, in an overlap the earlier one.
/// None out of range.
pub fn utc(local: i64, zone: Zone) -> Option<i64> {
    let offset = match zone {
        Zone::Fixed(seconds) => seconds,
        Zone::Region(zone) => match zone.offset_from_local_datetime(&naive(local)) {
            chrono::LocalResult::Single(offset) | chrono::LocalResult::Ambiguous(offset, _) => {
                offset.fix().local_minus_utc()
            }
            chrono::LocalResult::None => {
                offset_at(local.saturating_sub(MICROS_PER_DAY), Zone::Region(zone))
            }
        },
    };
    local.checked_sub(i64::from(offset) * MICROS_PER_SECOND)
}

/// Seconds east of UTC at an instant.
pub fn offset_at(micros: i64, zone: Zone) -> i32 {
    match zone {
        Zone::Fixed(seconds) => seconds,
        Zone::Region(zone) => zone
            .offset_from_utc_datetime(&naive(micros))
            .fix()
            .local_minus_utc(),
    }
}

/// A time for the tables of zones, which end before all times do: beyond their ends nothing changes any more.
fn naive(micros: i64) -> NaiveDateTime {
    const LAST: i64 = 8_200_000_000_000;
    let seconds = micros.div_euclid(MICROS_PER_SECOND).clamp(-LAST, LAST);
    DateTime::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .naive_utc()
}

/// The time zone of this name: a region (`Europe/Berlin`), `Z`, `UTC`, `+01:00`, `GMT+1`, or one of Java's short names.
pub fn zone(name: &str) -> Option<Zone> {
    let name = name.trim();
    match name {
        "Z" | "z" | "UTC" | "GMT" | "UT" => return Some(Zone::Fixed(0)),
        "EST" => return Some(Zone::Fixed(-5 * 3600)),
        "MST" => return Some(Zone::Fixed(-7 * 3600)),
        "HST" => return Some(Zone::Fixed(-10 * 3600)),
        _ => {}
    }
    let rest = ["UTC", "GMT", "UT"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    if rest.starts_with(['+', '-']) {
        return offset(rest).map(Zone::Fixed);
    }
    let region = SHORT_NAMES
        .iter()
        .find(|(short, _)| *short == name)
        .map_or(name, |(_, region)| region);
    region.parse::<Tz>().ok().map(Zone::from)
}

/// `+1`, `+01`, `+1:00`, `+01:00`, `+0100`, `+01:00:00`: seconds east of UTC, at most 18 hours.
fn offset(text: &str) -> Option<i32> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let text = text.get(1..)?;
    let digits = |part: &str| {
        ((1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<i32>().ok())
            .flatten()
    };
    let (hours, minutes, seconds) = if text.contains(':') {
        let mut parts = text.split(':').map(digits);
        let hours = parts.next()??;
        let minutes = parts.next()??;
        let seconds = match parts.next() {
            Some(part) => part?,
            None => 0,
        };
        if parts.next().is_some() {
            return None;
        }
        (hours, minutes, seconds)
    } else if text.len() > 2 {
        if text.len() % 2 == 1 || text.len() > 6 {
            return None;
        }
        let part = |from: usize| text.get(from..from + 2).map_or(Some(0), digits);
        (part(0)?, part(2)?, part(4)?)
    } else {
        (digits(text)?, 0, 0)
    };
    let total = hours * 3600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && total <= 18 * 3600).then_some(sign * total)
}

/// Java's `ZoneId.SHORT_IDS`.
const SHORT_NAMES: [(&str, &str); 25] = [
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        for day in (-2_000_000..3_000_000).step_by(37) {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), Some(day));
        }
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(days(2024, 2, 29), Some(19_782));
        assert_eq!(days(2023, 2, 29), None);
    }

    #[test]
    fn days_of_the_old_calendar_keep_their_names() {
        let ours = |year, month, day| days(year, month, day).unwrap();
        // 1582-10-04 was the day before 1582-10-15.
        assert_eq!(of_julian(GREGORIAN), ours(1582, 10, 15));
        assert_eq!(of_julian(GREGORIAN - 1), ours(1582, 10, 4));
        assert_eq!(of_julian(ours(1500, 1, 10)), ours(1500, 1, 1));
        assert_eq!(
            of_julian(ours(1500, 3, 10)),
            ours(1500, 3, 1),
            "a 29th of February"
        );
        assert_eq!(of_julian(ours(1500, 3, 11)), ours(1500, 3, 1));
        assert_eq!(of_julian(ours(1, 1, 1) - 2), ours(1, 1, 1));
        assert_eq!(of_julian(0), 0);
    }

    #[test]
    fn a_month_later_ends_at_the_months_last_day() {
        let day = |y, m, d| days(y, m, d).unwrap();
        assert_eq!(add_months(day(2024, 1, 31), 1), Some(day(2024, 2, 29)));
        assert_eq!(add_months(day(2024, 2, 29), 1), Some(day(2024, 3, 29)));
        assert_eq!(add_months(day(2024, 1, 31), -2), Some(day(2023, 11, 30)));
    }

    #[test]
    fn a_time_in_the_gap_is_later_by_the_gap_and_in_the_overlap_the_earlier() {
        let berlin = Zone::Region(Tz::Europe__Berlin);
        let at = |y, m, d, hour: i64| {
            i64::from(days(y, m, d).unwrap()) * MICROS_PER_DAY + hour * 3600 * MICROS_PER_SECOND
        };
        // 2024-03-31 02:00 to 03:00 does not exist; 2024-10-27 02:00 to 03:00 exists twice.
        assert_eq!(utc(at(2024, 3, 31, 2), berlin), Some(at(2024, 3, 31, 1)));
        assert_eq!(local(at(2024, 3, 31, 1), berlin), at(2024, 3, 31, 3));
        assert_eq!(utc(at(2024, 10, 27, 2), berlin), Some(at(2024, 10, 27, 0)));
    }

    #[test]
    fn beyond_the_ends_of_times_there_is_none() {
        let west = Zone::Fixed(-3600);
        assert_eq!(utc(i64::MAX, west), None);
        assert_eq!(utc(i64::MIN, Zone::Fixed(18 * 3600)), None);
        assert_eq!(shown(i64::MIN, west), None);
        assert_eq!(local(i64::MIN, west), i64::MIN);
        assert_eq!(midnight(106_751_991), Some(9_223_372_022_400_000_000));
        assert_eq!([midnight(106_751_992), midnight(-106_751_992)], [None; 2]);
        assert_eq!(moment(-106_751_992, 71_945_224_192), Some(i64::MIN));
        assert_eq!(moment(-106_751_992, 71_945_224_191), None);
        assert_eq!([day_of_year(i32::MIN), day_of_year(i32::MAX)], [174, 193]);
        assert_eq!(day_of_year(days(2024, 12, 31).unwrap()), 366);
    }

    #[test]
    fn zones_are_read_as_java_reads_them() {
        assert_eq!(zone("+01:00"), Some(Zone::Fixed(3600)));
        assert_eq!(zone("+1:00"), Some(Zone::Fixed(3600)));
        assert_eq!(zone("-0730"), Some(Zone::Fixed(-27_000)));
        assert_eq!(zone("UTC+8"), Some(Zone::Fixed(28_800)));
        assert_eq!(zone("Z"), Some(Zone::Fixed(0)));
        assert_eq!(zone("PST"), Some(Zone::Region(Tz::America__Los_Angeles)));
        for (name, shown) in [
            ("+05:30", "+05:30"),
            ("-07:15:30", "-07:15:30"),
            ("GMT+1", "+01:00"),
            ("UTC", "UTC"),
            ("Asia/Kolkata", "Asia/Kolkata"),
        ] {
            assert_eq!(zone(name).unwrap().to_string(), shown);
        }
        assert_eq!(zone("+25:00"), None);
        assert_eq!(zone("Europe/Nowhere"), None);
        assert_eq!(zone("+é"), None);
    }
}
