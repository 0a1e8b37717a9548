//! The end of an output topic, read at a start: which rows of this query stand there behind the newest checkpoint.
//!
//! Nothing depends on it but repetition: what is not seen is written again. So a topic that cannot be read, or whose end is
//! too long, is a warning and no error.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Partition, Position};

use super::marks::{Marks, UNKNOWN};
use super::standing::Standing;
use super::{EPOCH_C, ORIGIN_C, Origin, Seen, epoch, way};
use crate::kafka::{Read, Span, Survey};

/// How long a start reads at most.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Memory that the coordinates may take.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is asked of the topic.
pub(crate) struct Tail<'a> {
    pub(crate) survey: &'a Survey,
    pub(crate) topic: &'a str,
    /// Job and query, `job;query`.
    pub(crate) names: &'a str,
    /// The history of checkpoints.
    pub(crate) checkpoint: &'a str,
    /// The partitions that the query reads, and where each goes on.
    pub(crate) goes_on: &'a [(Partition, Position)],
}

/// The stretches to read: from the marks to the end. A partition whose beginning was removed since is left out: what stands
/// behind a gap must be written again with what stood in it, or their order would change.
fn spans(topic: &str, marks: &Marks, begins: &[i64], ends: &[i64]) -> (Vec<Span>, Vec<i32>) {
    let (mut spans, mut gone) = (Vec::new(), Vec::new());
    for (place, (begin, end)) in begins.iter().zip(ends).enumerate() {
        let partition = i32::try_from(place).unwrap_or(i32::MAX);
        let mark = marks.of(place);
        if mark != UNKNOWN && mark < *begin && mark < *end {
            gone.push(partition);
            continue;
        }
        let from = mark.max(*begin);
        if from < *end {
            spans.push(Span {
                topic: topic.to_owned(),
                partition,
                from,
                until: *end,
            });
        }
    }
    (spans, gone)
}

impl Tail<'_> {
    /// Reads from the marks on. Gives what stands there.
    pub(crate) fn read(&self, marks: &Marks) -> Result<Standing, Failure> {
        let began = Instant::now();
        let (survey, topic) = (self.survey, self.topic);
        if survey.is_compacted(topic)? {
            tracing::info!(
                topic,
                "the output is compacted: a start writes again what came after the newest checkpoint, because a row that \
                 compaction has removed cannot be told from one that was never written"
            );
            return Ok(Standing::default());
        }
        let (begins, ends) = (survey.begins(topic)?, survey.ends(topic)?);
        let (spans, gone) = spans(topic, marks, &begins, &ends);
        for partition in gone {
            tracing::warn!(
                topic,
                partition,
                "records behind the newest checkpoint were removed from the output: what came after it is written again there"
            );
        }
        let mut look = Look {
            goes_on: self.goes_on(),
            names: format!("v1;{};", self.names),
            checkpoint: self.checkpoint,
            ways: HashMap::new(),
            records: 0,
            bytes: 0,
        };
        let read = survey.read(&spans, Some(began + TIME_MAX), &mut |found| {
            look.at(found.header(ORIGIN_C), found.header(EPOCH_C))
        })?;
        if read == Read::Broken {
            tracing::warn!(
                topic,
                records = look.records,
                "the end of the output is too long to be read at a start (more than {TIME_MAX:?} or {} MB of coordinates): \
                 what was not read is written again",
                BYTES_MAX / 1024 / 1024
            );
        }
        let standing = Standing::new(look.ways);
        tracing::debug!(
            topic,
            records = look.records,
            found = standing.found(),
            took = ?began.elapsed(),
            "the end of the output is read"
        );
        Ok(standing)
    }

    /// By way, where its input partition goes on.
    fn goes_on(&self) -> HashMap<String, i64> {
        let numbers = self.goes_on.iter().map(|(partition, position)| {
            let offset = match position {
                Position::Number(offset) => *offset,
                Position::Token(_) | Position::Row(..) => 0,
            };
            (way(self.names, partition), offset)
        });
        numbers.collect()
    }
}

/// What was looked at so far.
struct Look<'a> {
    goes_on: HashMap<String, i64>,
    /// What the coordinates of this query begin with.
    names: String,
    checkpoint: &'a str,
    ways: HashMap<SmolStr, Seen>,
    records: u64,
    bytes: u64,
}

impl Look<'_> {
    fn at(&mut self, origin: Option<&[u8]>, told: Option<&[u8]>) -> ControlFlow<()> {
        self.records += 1;
        let Some(origin) = origin.filter(|origin| origin.starts_with(self.names.as_bytes())) else {
            return ControlFlow::Continue(());
        };
        // Another history of the same names: a copy of the job, or one that was begun anew.
        let ours = told.and_then(epoch);
        if ours.is_none_or(|(checkpoint, _)| checkpoint != self.checkpoint) {
            return ControlFlow::Continue(());
        }
        let at = Origin::read(origin).and_then(|origin| origin.coordinate());
        let (Some(at), Some(way)) = (at, way_of(origin)) else {
            return ControlFlow::Continue(());
        };
        if self.goes_on.get(way).is_some_and(|from| at.offset < *from) {
            return ControlFlow::Continue(());
        }
        let seen = match self.ways.get_mut(way) {
            Some(seen) => seen,
            None => self.ways.entry(way.into()).or_default(),
        };
        let before = seen.bytes();
        seen.insert(at);
        self.bytes += seen.bytes() - before;
        if self.bytes > BYTES_MAX {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// What a coordinate begins with: all up to its offset.
fn way_of(origin: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(origin).ok()?;
    let index = text.rfind(';')?;
    let offset = text[..index].rfind(';')?;
    text.get(..=offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinates::Coordinate;

    fn span(partition: i32, from: i64, until: i64) -> Span {
        Span {
            topic: "out".into(),
            partition,
            from,
            until,
        }
    }

    #[test]
    fn each_partition_is_read_from_its_mark_and_one_whose_mark_is_gone_is_not() {
        let marks = Marks(vec![5, 9, 3, 4]);
        let (read, gone) = spans("out", &marks, &[0, 0, 6, 0, 2], &[8, 9, 9, 4, 7]);
        assert_eq!(read, [span(0, 5, 8), span(4, 2, 7)]);
        assert_eq!(gone, [2]);
    }

    #[test]
    fn only_rows_of_this_history_behind_the_position_count() {
        let mut look = Look {
            goes_on: HashMap::from([("v1;j;q;in;0;".to_owned(), 10)]),
            names: "v1;j;q;".to_owned(),
            checkpoint: "id",
            ways: HashMap::new(),
            records: 0,
            bytes: 0,
        };
        for (origin, told) in [
            ("v1;j;q;in;0;9;0", "v1;id;3"),
            ("v1;j;q;in;0;10;1", "v1;id;3"),
            ("v1;j;q;in;1;2;0", "v1;id;3"),
            ("v1;j;q;in;0;11;0", "v1;other;3"),
            ("v1;j;q2;in;0;11;0", "v1;id;3"),
            ("v1;j;q;in;0;;", "v1;id;3"),
            ("no coordinate", "v1;id;3"),
        ] {
            assert!(
                look.at(Some(origin.as_bytes()), Some(told.as_bytes()))
                    .is_continue()
            );
        }
        assert!(look.at(None, None).is_continue());
        assert_eq!(look.records, 8);
        let of = |way: &str| {
            look.ways
                .get(way)
                .map(|seen| seen.iter().collect::<Vec<_>>())
        };
        let at = |offset, index| Some(vec![Coordinate { offset, index }]);
        assert_eq!(of("v1;j;q;in;0;"), at(10, 1));
        assert_eq!(of("v1;j;q;in;1;"), at(2, 0));
        assert_eq!(look.ways.len(), 2);
    }
}
