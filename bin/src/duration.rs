//! Times, durations and sizes as people read and write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat};
use thalweg_engine::record::Micros;

/// `2026-01-31T12:00:00Z`.
pub(crate) fn time(micros: Micros) -> String {
    DateTime::from_timestamp_micros(micros).map_or_else(
        || format!("{micros} us since 1970"),
        |time| time.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

/// How long ago: `2 s`, `5 min`, `3 h`, `2 days`.
pub(crate) fn ago(micros: Micros) -> String {
    let seconds = micros.max(0) / 1_000_000;
    match seconds {
        0 => "less than a second".to_owned(),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `310 B`, `1.2 kB`, `3.4 MB`.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A latency: `45 us`, `1.20 ms`, `2.50 s`.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn latency(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.2} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// A whole number in groups of three: `1,204,311`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Milliseconds since 1970 of a time as the command line takes it: RFC 3339, a date with or without a time in UTC, or
/// the milliseconds themselves.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(millis) = text.parse::<i64>() {
        return Some(millis);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    for form in [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
    ] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, form) {
            return Some(time.and_utc().timestamp_millis());
        }
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_in_every_usual_form() {
        let noon = Some(1_769_860_800_000);
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T13:00:00+01:00",
            "2026-01-31 12:00",
            "2026-01-31T12:00:00.000",
            "1769860800000",
        ] {
            assert_eq!(parse_time(text), noon, "{text}");
        }
        assert_eq!(parse_time("2026-01-31"), Some(1_769_817_600_000));
        assert_eq!(parse_time("noon"), None);
    }

    #[test]
    fn numbers_are_shown_as_people_read_them() {
        assert_eq!(grouped(1_204_311), "1,204,311");
        assert_eq!(grouped(12), "12");
        assert_eq!(bytes(1_234), "1.2 kB");
        assert_eq!(latency(45), "45 us");
        assert_eq!(latency(1_200), "1.20 ms");
        assert_eq!(ago(150_000_000), "2 min");
    }
}
