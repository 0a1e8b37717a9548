//! What was sent again before: read from the topics that dead letters are sent to, where each says which attempt it repeats.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use thalweg_engine::error::Failure;
use thalweg_operators::coordinates::{Coordinate, Origin, Seen};
use thalweg_operators::kafka::{Span, Survey};

/// How far the clocks of those who write the topics may be apart.
const SLACK_MS: i64 = 10 * 60 * 1_000;

/// The attempts that are chosen, and where each is to be sent.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    ways: HashMap<String, Seen>,
    pub(super) targets: BTreeMap<String, Target>,
    pub(super) chosen: u64,
}

/// A topic that is sent to.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// How many go there that were not sent before.
    pub(super) left: u64,
    /// How many were.
    pub(super) sent: u64,
    /// When the oldest became a dead letter.
    oldest: Option<i64>,
    /// What was sent before this time may have been removed from the topic since.
    pub(super) certain_from: Option<i64>,
}

impl Wanted {
    /// Adds an attempt. One that stands twice among the dead letters is one.
    pub(super) fn add(&mut self, name: (String, Coordinate), to: &str, millis: Option<i64>) {
        if !self.ways.entry(name.0).or_default().insert(name.1) {
            return;
        }
        self.chosen += 1;
        let target = self.targets.entry(to.to_owned()).or_default();
        target.left += 1;
        let oldest = target.oldest.into_iter().chain(millis);
        target.oldest = oldest.min();
    }

    /// Takes an attempt out; whether it was in.
    pub(super) fn take(&mut self, name: &(String, Coordinate)) -> bool {
        let seen = self.ways.get_mut(&name.0);
        seen.is_some_and(|seen| seen.remove(name.1))
    }

    /// How many are to be sent.
    pub(super) fn left(&self) -> u64 {
        self.targets.values().map(|target| target.left).sum()
    }

    /// Takes out what was sent before.
    ///
    /// # Errors
    /// When a topic cannot be read.
    pub(super) fn without_sent(&mut self, survey: &Survey) -> Result<(), Failure> {
        let topics: Vec<String> = self.targets.keys().cloned().collect();
        for topic in topics {
            let (begins, ends) = (survey.begins(&topic)?, survey.ends(&topic)?);
            let certain_from = kept_from(survey, &topic, &begins, &ends)?;
            let oldest = self.targets.get(&topic).and_then(|target| target.oldest);
            // A record that repeats a dead letter is younger than it.
            let from = match oldest {
                None => begins,
                Some(oldest) => survey.at(&topic, oldest - SLACK_MS)?,
            };
            let spans: Vec<Span> = spans(&topic, &from, &ends);
            let mut sent = 0;
            survey.read(&spans, None, &mut |found| {
                if let Some(name) = found.header(c"thalweg-replayed").and_then(named)
                    && self.take(&name)
                {
                    sent += 1;
                }
                ControlFlow::Continue(())
            })?;
            if let Some(target) = self.targets.get_mut(&topic) {
                target.sent = sent;
                target.left -= sent;
                target.certain_from = certain_from;
            }
        }
        Ok(())
    }

    /// Whether a letter of this time may have been sent before, and its record removed since.
    pub(super) fn is_uncertain(&self, to: &str, millis: Option<i64>) -> bool {
        let target = self.targets.get(to);
        let from = target.and_then(|target| target.certain_from);
        from.is_some_and(|from| millis.is_none_or(|millis| millis < from))
    }
}

fn spans(topic: &str, from: &[i64], ends: &[i64]) -> Vec<Span> {
    let partitions = (0..).zip(from.iter().zip(ends));
    let spans = partitions.map(|(partition, (from, until))| Span {
        topic: topic.to_owned(),
        partition,
        from: *from,
        until: *until,
    });
    spans.collect()
}

/// What the header of a record that was sent again says.
fn named(header: &[u8]) -> Option<(String, Coordinate)> {
    let coordinate = Origin::read(header)?.coordinate()?;
    let text = std::str::from_utf8(header).ok()?;
    let (way, _) = text.rsplit_once(';')?;
    let (way, _) = way.rsplit_once(';')?;
    Some((format!("{way};"), coordinate))
}

/// From which time on a topic still holds all that was written to it; None where nothing was ever removed.
fn kept_from(
    survey: &Survey,
    topic: &str,
    begins: &[i64],
    ends: &[i64],
) -> Result<Option<i64>, Failure> {
    if survey.is_compacted(topic)? {
        return Ok(Some(i64::MAX));
    }
    let mut kept = None;
    for span in spans(topic, begins, ends)
        .iter()
        .filter(|span| span.from > 0)
    {
        // Of an empty one nothing is known.
        let mut first = i64::MAX;
        survey.read(std::slice::from_ref(span), None, &mut |found| {
            first = found.millis.unwrap_or(i64::MAX);
            ControlFlow::Break(())
        })?;
        kept = kept.max(Some(first));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(offset: i64) -> (String, Coordinate) {
        ("v1;j;q;in;0;".to_owned(), Coordinate { offset, index: 0 })
    }

    #[test]
    fn an_attempt_that_stands_twice_is_wanted_once() {
        let mut wanted = Wanted::default();
        for (offset, millis) in [(5, 30), (6, 20), (5, 10)] {
            wanted.add(name(offset), "in.retry", Some(millis));
        }
        assert_eq!((wanted.chosen, wanted.left()), (2, 2));
        assert_eq!(wanted.targets["in.retry"].oldest, Some(20));
        assert!(wanted.take(&name(5)) && !wanted.take(&name(5)));
    }

    #[test]
    fn a_header_names_the_attempt_as_the_letter_does() {
        assert_eq!(named(b"v1;j;q;in;0;5;0"), Some(name(5)));
        assert_eq!(named(b"no"), None);
    }

    #[test]
    fn what_is_older_than_all_that_the_topic_holds_is_uncertain() {
        let mut wanted = Wanted::default();
        wanted.add(name(5), "in.retry", Some(30));
        assert!(!wanted.is_uncertain("in.retry", Some(30)));
        wanted.targets.get_mut("in.retry").unwrap().certain_from = Some(20);
        assert!(!wanted.is_uncertain("in.retry", Some(20)));
        assert!(wanted.is_uncertain("in.retry", Some(19)));
    }
}
