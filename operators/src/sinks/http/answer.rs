//! What an answer of the server means, and how long to wait before a request is repeated. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// The longest pause that a server can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// Characters of an answer that a message shows.
const SHOWN_MAX: usize = 200;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The rows are delivered.
    Taken,
    /// The same request may succeed later.
    Later,
    /// The same request will never succeed.
    Never,
}

/// What a status says of the request.
pub(super) fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Taken,
        // Request timeout, too early, too many requests.
        408 | 425 | 429 | 500.. => Verdict::Later,
        _ => Verdict::Never,
    }
}

/// The pause that the header Retry-After asks for: seconds, or a date.
pub(super) fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    let asked = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(value).ok()?;
            // A date that has passed asks for no pause.
            (until.to_utc() - now).to_std().unwrap_or_default()
        }
    };
    Some(asked.min(PAUSE_MAX))
}

/// The pause before attempt `failed` + 1, doubled each time.
pub(super) fn pause(failed: u32, first: Duration, longest: Duration) -> Duration {
    let factor = 1_u32
        .checked_shl(failed.saturating_sub(1))
        .unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}

/// The beginning of an answer, on one line.
pub(super) fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_waited_out_and_what_does_not_is_final() {
        for status in [200, 201, 204] {
            assert_eq!(verdict(status), Verdict::Taken);
        }
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(verdict(status), Verdict::Later);
        }
        for status in [301, 307, 400, 401, 404, 413, 422] {
            assert_eq!(verdict(status), Verdict::Never);
        }
    }

    #[test]
    fn a_server_asks_for_a_pause_in_seconds_or_until_a_date() {
        let now = DateTime::from_timestamp(1_445_412_420, 0).unwrap();
        let seconds = |value| retry_after(value, now).map(|pause| pause.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), Some(60));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:00:00 GMT"), Some(0));
        assert_eq!(seconds("999999999"), Some(3600));
        assert_eq!(seconds("soon"), None);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let [first, longest] = [100, 1000].map(Duration::from_millis);
        let pauses: Vec<u128> = (1..7)
            .map(|failed| pause(failed, first, longest).as_millis())
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(pause(u32::MAX, first, longest), longest);
    }

    #[test]
    fn a_message_shows_the_beginning_of_an_answer_on_one_line() {
        assert_eq!(beginning(b"no\n  such thing\n"), "no such thing");
        assert_eq!(beginning("ü".repeat(300).as_bytes()).chars().count(), 203);
    }
}
