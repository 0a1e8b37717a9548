//! What an output does with coordinates: gives one to each row, and leaves out the rows that stand in the topic already.

use std::sync::Arc;

use parking_lot::Mutex;
use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::record::{Partition, Position};
use thalweg_engine::sink::{Origin, Recovery};

use super::marks::Marks;
use super::standing::{Mine, Standing};
use super::tail::Tail;
use super::{Coordinate, Coordinates, way};
use crate::kafka::{Stamp, Survey, Way};
use crate::table::OpenContext;

/// The coordinates of one output in one run.
pub(crate) struct Stamping {
    /// Job and query, `job;query`.
    names: SmolStr,
    skips: bool,
    begun: Mutex<Begun>,
}

/// What the newest checkpoint says.
#[derive(Clone, Default)]
struct Begun {
    history: SmolStr,
    standing: Arc<Standing>,
    /// Where the reading of the topic began.
    marks: Marks,
}

impl Stamping {
    /// None where the job wants no coordinates.
    pub(crate) fn of(context: &OpenContext) -> Option<Self> {
        (context.coordinates != Coordinates::Off).then(|| Self {
            names: format_smolstr!("{};{}", context.job, context.query),
            skips: context.coordinates == Coordinates::Skipping,
            begun: Mutex::default(),
        })
    }

    /// Whether a start leaves out what stands in the topic.
    pub(crate) fn skips(&self) -> bool {
        self.skips
    }

    /// Takes up what the checkpoint says; reads the end of the topic, where rows may be left out. A topic that cannot be read is
    /// no error.
    pub(crate) fn recover(&self, recovery: &Recovery<'_>, from: Option<(&Survey, &str)>) {
        let mut begun = Begun {
            history: format_smolstr!("v1;{};", recovery.checkpoint),
            ..Begun::default()
        };
        let marks = recovery.prepared.values().map(|bytes| Marks::read(bytes));
        let marks = marks
            .reduce(|one, other| Some(one?.earlier(&other?)))
            .flatten();
        // A step back is meant: what is read again is written again.
        if let (Some(marks), Some((survey, topic)), false) = (marks, from, recovery.rewound) {
            let tail = Tail {
                survey,
                topic,
                names: &self.names,
                checkpoint: recovery.checkpoint,
                goes_on: recovery.partitions,
            };
            match tail.read(&marks) {
                Ok(standing) => begun.standing = Arc::new(standing),
                Err(failure) => tracing::warn!(
                    topic,
                    "the end of the output cannot be read, so what came after the newest checkpoint is written again: {failure}"
                ),
            }
            begun.marks = marks;
        }
        *self.begun.lock() = begun;
    }

    /// The coordinates of one writer.
    pub(crate) fn stamper(&self) -> Stamper {
        let mut begun = self.begun.lock().clone();
        if begun.history.is_empty() {
            // Of processes that share a query each partition has a history of its own.
            begun.history = SmolStr::new_static("v1;;");
        }
        Stamper {
            moment: Arc::new(Way {
                origin: format_smolstr!("v1;{};;;", self.names),
                history: begun.history.clone(),
            }),
            names: self.names.clone(),
            skips: self.skips,
            begun,
            epoch: 0,
            partitions: Vec::new(),
            last: 0,
        }
    }
}

/// The coordinates of one writer.
pub(crate) struct Stamper {
    names: SmolStr,
    skips: bool,
    begun: Begun,
    epoch: u64,
    /// For rows that no record alone has made.
    moment: Arc<Way>,
    partitions: Vec<Known>,
    /// The place of the one that the last row came from.
    last: usize,
}

/// An input partition that rows came from.
struct Known {
    partition: Arc<Partition>,
    way: Arc<Way>,
    mine: Option<Mine>,
}

impl Stamper {
    /// Rows from now on are committed with this epoch.
    pub(crate) fn epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// The coordinate of a row.
    pub(crate) fn stamp(&mut self, origin: Origin<'_>) -> Stamp {
        let epoch = self.epoch;
        let (way, at) = if origin.moment {
            (&self.moment, None)
        } else {
            let known = self.known(&origin.meta.partition);
            let at = (origin.meta.position.clone(), origin.index);
            (&known.way, Some(at))
        };
        Stamp {
            way: Arc::clone(way),
            at,
            epoch,
            micros: 0,
        }
    }

    /// Whether the row stands in the topic already. Asked once for each row that is handed over, in their order.
    pub(crate) fn stands(&mut self, stamp: &Stamp) -> bool {
        if !self.begun.standing.waits() {
            return false;
        }
        let mut known = self.partitions.iter_mut();
        let Some(known) = known.find(|known| Arc::ptr_eq(&known.way, &stamp.way)) else {
            return false;
        };
        let (Some(mine), Some((Position::Number(offset), index))) = (&mut known.mine, &stamp.at)
        else {
            return false;
        };
        let stands = mine.stands(Coordinate {
            offset: *offset,
            index: *index,
        });
        if mine.is_over() {
            known.mine = None;
        }
        stands
    }

    fn known(&mut self, partition: &Arc<Partition>) -> &mut Known {
        let same = |known: &Known| Arc::ptr_eq(&known.partition, partition);
        if !self.partitions.get(self.last).is_some_and(same) {
            let known = self.partitions.iter();
            let found = known.clone().position(same);
            let found = found.or_else(|| known.clone().position(|k| k.partition == *partition));
            self.last = found.unwrap_or_else(|| {
                self.partitions.push(self.meet(partition));
                self.partitions.len() - 1
            });
        }
        &mut self.partitions[self.last]
    }

    fn meet(&self, partition: &Arc<Partition>) -> Known {
        let origin: SmolStr = way(&self.names, partition).into();
        let mine = self
            .skips
            .then(|| Mine::of(&self.begun.standing, &origin))
            .flatten();
        Known {
            partition: Arc::clone(partition),
            way: Arc::new(Way {
                origin,
                history: self.begun.history.clone(),
            }),
            mine,
        }
    }

    /// What a cut holds: where the partitions of the topic end, or, while rows of an earlier run have not come again, where the
    /// reading of the topic began. None where nothing is to be skipped.
    pub(crate) fn marks(&self, ends: impl Iterator<Item = i64>) -> Option<Vec<u8>> {
        if !self.skips {
            return None;
        }
        if self.begun.standing.waits() {
            return Some(self.begun.marks.write());
        }
        Some(Marks(ends.collect()).write())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Instant;

    use thalweg_engine::record::RecordMeta;

    use super::*;
    use crate::coordinates::Seen;

    fn meta(offset: i64) -> RecordMeta {
        RecordMeta {
            partition: Arc::new(Partition {
                input: "invoices".into(),
                name: "in/0".into(),
            }),
            position: Position::Number(offset),
            record_time: None,
            event_time: None,
            watermark: None,
            taken_at: 0,
            taken: Instant::now(),
        }
    }

    fn stamping() -> Stamping {
        let mut seen = Seen::default();
        seen.insert(Coordinate {
            offset: 7,
            index: 1,
        });
        let ways = HashMap::from([("v1;j;q;in;0;".into(), seen)]);
        Stamping {
            names: "j;q".into(),
            skips: true,
            begun: Mutex::new(Begun {
                history: "v1;id;".into(),
                standing: Arc::new(Standing::new(ways)),
                marks: Marks(vec![3]),
            }),
        }
    }

    #[test]
    fn the_marks_stay_where_reading_began_until_all_that_stands_has_come_again() {
        let mut stamper = stamping().stamper();
        stamper.epoch(5);
        let ends = || [9].into_iter();
        let marks = |marks: Vec<i64>| Some(Marks(marks).write());
        for (index, stands) in [(0, false), (1, true), (2, false)] {
            let expected = if index > 1 { vec![9] } else { vec![3] };
            assert_eq!(stamper.marks(ends()), marks(expected));
            let stamp = stamper.stamp(Origin {
                meta: &meta(7),
                index,
                moment: false,
            });
            assert_eq!(stamper.stands(&stamp), stands, "{index}");
        }
    }

    #[test]
    fn what_a_moment_brings_has_no_coordinate_and_is_never_left_out() {
        let mut stamper = stamping().stamper();
        for _ in 0..2 {
            let stamp = stamper.stamp(Origin {
                meta: &meta(7),
                index: 1,
                moment: true,
            });
            let mut text = Vec::new();
            assert!(!stamper.stands(&stamp));
            let named = stamp.write(&mut text);
            assert_eq!(&text[named[0].1.clone()], b"v1;j;q;;;;");
        }
    }
}
