//! A dead letter: the record as it was, and the headers that say where it comes from and why it failed.

use smol_str::SmolStr;
use thalweg_operators::coordinates::{Coordinate, ORIGIN, Origin};
use thalweg_operators::kafka::Found;

/// The original's timestamp.
pub(super) const TIMESTAMP: &str = "thalweg-timestamp";
/// Why it failed: the kind.
pub(super) const CLASS: &str = "thalweg-error-class";
/// Why it failed: the sentence.
pub(super) const ERROR: &str = "thalweg-error";
/// On a record that was sent again: which attempt it repeats.
pub(super) const REPLAYED: &str = "thalweg-replayed";

type Headers = Vec<(SmolStr, Option<Vec<u8>>)>;

/// A dead letter without its key and value.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// Where it stands among the dead letters.
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// When it came there, in milliseconds.
    pub(super) millis: Option<i64>,
    /// The origin of the attempt that failed.
    pub(super) origin: String,
    pub(super) class: String,
    pub(super) error: String,
    /// The original's timestamp in milliseconds, as text.
    pub(super) timestamp: Option<String>,
    /// The headers that the record had when it failed.
    pub(super) headers: Headers,
}

/// The last header of a name, as text.
fn last(headers: &Headers, name: &str) -> Option<String> {
    let (_, value) = headers.iter().rev().find(|(known, _)| known == name)?;
    Some(String::from_utf8_lossy(value.as_deref()?).into_owned())
}

impl Letter {
    /// None for a record that is no dead letter.
    pub(super) fn of(found: &Found<'_>) -> Option<Self> {
        let headers = found.headers().into_iter();
        let headers = headers.map(|(name, value)| (name, value.map(<[u8]>::to_vec)));
        Self::read(
            (found.partition, found.offset),
            found.millis,
            headers.collect(),
        )
    }

    fn read(place: (i32, i64), millis: Option<i64>, mut headers: Headers) -> Option<Self> {
        // From the last origin on they are of the attempt that failed; the record itself may have brought others.
        let from = headers.iter().rposition(|(name, _)| name == ORIGIN)?;
        let failed = headers.split_off(from);
        let origin = last(&failed, ORIGIN)?;
        Origin::read(origin.as_bytes())?;
        Some(Self {
            partition: place.0,
            offset: place.1,
            millis,
            origin,
            class: last(&failed, CLASS)?,
            error: last(&failed, ERROR).unwrap_or_default(),
            timestamp: last(&failed, TIMESTAMP),
            headers,
        })
    }

    /// Where the record stood.
    pub(super) fn origin(&self) -> Option<Origin<'_>> {
        Origin::read(self.origin.as_bytes())
    }

    /// Where it stood, as people write it.
    pub(super) fn from(&self) -> String {
        self.origin()
            .map_or_else(String::new, |origin| place(&origin))
    }

    /// The origin of its first attempt, where this is a later one.
    pub(super) fn first(&self) -> Option<String> {
        last(&self.headers, REPLAYED)?;
        last(&self.headers, ORIGIN)
    }

    /// What names the attempt: one that stands twice among the dead letters, because a restart has written it again, has the
    /// same name. Where the input has no offsets it is the place among the dead letters.
    pub(super) fn name(&self, topic: &str) -> (String, Coordinate) {
        if let Some(coordinate) = self.origin().and_then(|origin| origin.coordinate())
            && let Some((way, _)) = self.origin.rsplit_once(';')
            && let Some((way, _)) = way.rsplit_once(';')
        {
            return (format!("{way};"), coordinate);
        }
        let way = format!("v1;dlq;{topic};{topic};{};", self.partition);
        let at = Coordinate {
            offset: self.offset,
            index: 0,
        };
        (way, at)
    }

    /// The headers of the record when it is sent again: its own, with the origin and the time of its first attempt, and the
    /// attempt that it repeats.
    pub(super) fn again(&self, name: &str) -> Headers {
        let mut headers = self.headers.clone();
        let first = self.first().is_none();
        headers.retain(|(known, _)| known != REPLAYED);
        let mut add = |name: &'static str, value: &str| {
            headers.push((SmolStr::new_static(name), Some(value.as_bytes().to_vec())));
        };
        if first {
            add(ORIGIN, &self.origin);
            if let Some(timestamp) = &self.timestamp {
                add(TIMESTAMP, timestamp);
            }
        }
        add(REPLAYED, name);
        headers
    }
}

/// A place as people write it.
pub(super) fn place(origin: &Origin<'_>) -> String {
    format!("{}/{}@{}", origin.topic, origin.partition, origin.position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&str, &str)]) -> Headers {
        let given = given.iter();
        given
            .map(|(name, value)| (SmolStr::new(name), Some(value.as_bytes().to_vec())))
            .collect()
    }

    const FAILED: [(&str, &str); 4] = [
        (ORIGIN, "v1;loyalty;notification;in;3;310;0"),
        (TIMESTAMP, "1700000000123"),
        (CLASS, "decode"),
        (ERROR, "not JSON"),
    ];

    fn letter(before: &[(&str, &str)], failed: &[(&str, &str)]) -> Letter {
        Letter::read((0, 17), Some(5), headers(&[before, failed].concat())).unwrap()
    }

    #[test]
    fn a_letter_says_where_it_comes_from_and_keeps_the_headers_that_its_record_had() {
        // The record came from an output with coordinates.
        let upstream = ("thalweg-origin", "v1;other;out;raw;0;5;0");
        let letter = letter(&[("trace", "7"), upstream], &FAILED);
        assert_eq!(letter.from(), "in/3@310");
        assert_eq!(letter.class, "decode");
        assert_eq!(letter.first(), None);
        assert_eq!(letter.headers, headers(&[("trace", "7"), upstream]));
        let (way, at) = letter.name("dead");
        assert_eq!(way, "v1;loyalty;notification;in;3;");
        assert_eq!((at.offset, at.index), (310, 0));
    }

    #[test]
    fn what_is_sent_again_says_its_first_attempt_and_keeps_saying_it() {
        let first = letter(&[("trace", "7")], &FAILED);
        let sent = first.again("v1;loyalty;notification;in;3;310;0");
        let expected = [
            ("trace", "7"),
            FAILED[0],
            FAILED[1],
            (REPLAYED, "v1;loyalty;notification;in;3;310;0"),
        ];
        assert_eq!(sent, headers(&expected));
        let failed = [
            (ORIGIN, "v1;loyalty;notification;in.retry;3;2;0"),
            FAILED[2],
            FAILED[3],
        ];
        let second = letter(&expected, &failed);
        assert_eq!(second.from(), "in.retry/3@2");
        assert_eq!(second.first().as_deref(), Some(FAILED[0].1));
        let sent = second.again("v1;loyalty;notification;in.retry;3;2;0");
        let expected = [
            ("trace", "7"),
            FAILED[0],
            FAILED[1],
            (REPLAYED, "v1;loyalty;notification;in.retry;3;2;0"),
        ];
        assert_eq!(sent, headers(&expected));
    }

    #[test]
    fn a_record_without_the_headers_is_no_dead_letter() {
        assert!(Letter::read((0, 0), None, headers(&FAILED[..2])).is_none());
        assert!(Letter::read((0, 0), None, headers(&[(ORIGIN, "x"), FAILED[2]])).is_none());
    }
}
