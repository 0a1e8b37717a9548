//! The account of an input: what the outputs say of each of its records. Pure; a few bits for each record.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use thalweg_operators::coordinates::{Coordinate, Seen};
use thalweg_operators::kafka::Span;

/// Memory that the bits may take.
const BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Outputs that one record may have at most.
const OUTPUTS_MAX: u32 = 10_000;

/// How many outputs a record has: at least and at most. They differ where rows of other records decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outputs {
    least: u32,
    most: u32,
}

impl Outputs {
    /// So many.
    pub(super) fn exactly(count: u32) -> Self {
        Self {
            least: count,
            most: count,
        }
    }
}

impl fmt::Display for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.least == self.most {
            true => write!(f, "{}", self.most),
            false => write!(f, "{}..{}", self.least, self.most),
        }
    }
}

/// `1`, or `0..1`: both ends are meant.
impl FromStr for Outputs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse().ok().filter(|n| *n <= OUTPUTS_MAX);
        let outputs = match text.split_once("..") {
            None => number(text).map(Self::exactly),
            Some((least, most)) => {
                let ends = number(least).zip(number(most));
                ends.map(|(least, most)| Self { least, most })
            }
        };
        outputs
            .filter(|outputs| outputs.least <= outputs.most)
            .ok_or_else(|| {
                format!("write a number up to {OUTPUTS_MAX}, or two with `..` between them: 0..1")
            })
    }
}

/// What should have become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// So many outputs.
    Outputs(Outputs),
    /// No output: a condition of the job leaves it out.
    Filtered,
    /// A dead letter, because it cannot be decoded or computed.
    DeadLetter,
    /// Nothing: `onError` skips it.
    Skipped,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// These records, one after the other, have no output and no dead letter.
    Missing { place: String, last: i64 },
    /// Some of the outputs of a record are missing.
    Partly { place: String, outputs: String },
    /// An output stands twice.
    Doubled { output: String, at: String },
    /// An output stands behind a later one of the same input partition.
    OutOfPlace {
        output: String,
        at: String,
        behind: i64,
    },
    /// An output of a record that should have none, or not so many.
    Unexpected { output: String, why: &'static str },
}

/// How many of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) records: u64,
    pub(super) written: u64,
    pub(super) filtered: u64,
    /// Without an output, and none was needed.
    pub(super) left_out: u64,
    pub(super) skipped: u64,
    pub(super) dead: u64,
    pub(super) missing: u64,
    pub(super) doubled: u64,
    pub(super) out_of_place: u64,
    pub(super) unexpected: u64,
}

impl Counts {
    /// Whether every record is accounted for.
    pub(super) fn well(&self) -> bool {
        self.missing + self.doubled + self.out_of_place + self.unexpected == 0
    }
}

/// The account of one input partition.
struct Part {
    span: Span,
    outputs: Seen,
    dead: Seen,
    /// By output partition, the latest that stands there.
    latest: HashMap<i32, Coordinate>,
    /// Records in a row that are missing.
    missing: Option<(i64, i64)>,
    /// The last record. Behind it no record stands, but maybe the end of a transaction.
    last: Option<i64>,
}

/// The account of all.
pub(super) struct Account<'f> {
    parts: HashMap<(String, i32), Part>,
    pub(super) counts: Counts,
    fault: &'f mut dyn FnMut(Fault),
}

fn shown(topic: &str, partition: i32, at: Coordinate) -> String {
    format!("{topic}/{partition}@{};{}", at.offset, at.index)
}

impl<'f> Account<'f> {
    /// An account of these stretches; each fault is told when it is found.
    pub(super) fn new(spans: &[Span], fault: &'f mut dyn FnMut(Fault)) -> Self {
        let parts = spans.iter().map(|span| {
            let part = Part {
                span: span.clone(),
                outputs: Seen::default(),
                dead: Seen::default(),
                latest: HashMap::new(),
                missing: None,
                last: None,
            };
            ((span.topic.clone(), span.partition), part)
        });
        Self {
            parts: parts.collect(),
            counts: Counts::default(),
            fault,
        }
    }

    /// Whether the bits take more than they may.
    pub(super) fn is_too_large(&self) -> bool {
        let parts = self.parts.values();
        let bytes: u64 = parts
            .map(|part| part.outputs.bytes() + part.dead.bytes())
            .sum();
        bytes > BYTES_MAX
    }

    /// An output of a record stands at a place of the output. False where the record is not of this account.
    pub(super) fn output(
        &mut self,
        topic: &str,
        partition: i32,
        at: Coordinate,
        stands: (&str, i32, i64),
    ) -> bool {
        let Some(part) = self.parts.get_mut(&(topic.to_owned(), partition)) else {
            return false;
        };
        if !(part.span.from..part.span.until).contains(&at.offset) {
            return false;
        }
        let (output, number, offset) = stands;
        let place = || format!("{output}/{number}@{offset}");
        if !part.outputs.insert(at) {
            self.counts.doubled += 1;
            (self.fault)(Fault::Doubled {
                output: shown(topic, partition, at),
                at: place(),
            });
            return true;
        }
        let latest = part.latest.entry(number).or_insert(at);
        if at < *latest {
            self.counts.out_of_place += 1;
            (self.fault)(Fault::OutOfPlace {
                output: shown(topic, partition, at),
                at: place(),
                behind: latest.offset,
            });
        } else {
            *latest = at;
        }
        true
    }

    /// A record stands in the dead letters.
    pub(super) fn dead_letter(&mut self, topic: &str, partition: i32, offset: i64) {
        if let Some(part) = self.parts.get_mut(&(topic.to_owned(), partition)) {
            // One that stands there twice was written again by a restart: it is one dead letter.
            part.dead.insert(Coordinate { offset, index: 0 });
        }
    }

    /// The next record of an input partition, and what should have become of it.
    pub(super) fn record(&mut self, topic: &str, partition: i32, offset: i64, should: Expected) {
        let Some(part) = self.parts.get_mut(&(topic.to_owned(), partition)) else {
            return;
        };
        self.counts.records += 1;
        part.last = part.last.max(Some(offset));
        let place = || format!("{topic}/{partition}@{offset}");
        let at = |index| Coordinate { offset, index };
        let dead = part.dead.remove(at(0));
        let wanted = match should {
            Expected::Outputs(outputs) => outputs.most,
            Expected::Filtered | Expected::DeadLetter | Expected::Skipped => 0,
        };
        let beyond = part.outputs.beyond(offset, wanted);
        let there: Vec<u32> = (0..wanted)
            .filter(|i| part.outputs.remove(at(*i)))
            .collect();
        for index in &beyond {
            part.outputs.remove(at(*index));
            self.counts.unexpected += 1;
            (self.fault)(Fault::Unexpected {
                output: shown(topic, partition, at(*index)),
                why: match should {
                    _ if dead => "its record is a dead letter too",
                    Expected::Filtered => "its record is filtered",
                    Expected::Outputs(_) => "its record should have fewer outputs",
                    Expected::DeadLetter | Expected::Skipped => "its record fails",
                },
            });
        }
        let missing = match should {
            _ if dead => {
                self.counts.dead += 1;
                if !there.is_empty() {
                    self.counts.unexpected += 1;
                    (self.fault)(Fault::Unexpected {
                        output: shown(topic, partition, at(there[0])),
                        why: "its record is a dead letter too",
                    });
                }
                false
            }
            Expected::Filtered => {
                self.counts.filtered += 1;
                false
            }
            Expected::Skipped => {
                self.counts.skipped += 1;
                false
            }
            Expected::DeadLetter => true,
            Expected::Outputs(outputs) => {
                // The first ones are needed, and those before the last that is there.
                let needed = there.last().map_or(0, |last| last + 1).max(outputs.least);
                let lacks = (0..needed).filter(|index| !there.contains(index));
                let lacks: Vec<String> = lacks.map(|index| index.to_string()).collect();
                if there.is_empty() && beyond.is_empty() && outputs.least > 0 {
                    true
                } else {
                    match (lacks.is_empty(), there.is_empty()) {
                        (true, false) => self.counts.written += 1,
                        (true, true) => self.counts.left_out += u64::from(beyond.is_empty()),
                        (false, _) => {
                            self.counts.missing += 1;
                            (self.fault)(Fault::Partly {
                                place: place(),
                                outputs: lacks.join(", "),
                            });
                        }
                    }
                    false
                }
            }
        };
        if missing {
            self.counts.missing += 1;
            // Offsets between them that hold no record do not end a stretch.
            let first = part.missing.map_or(offset, |(first, _)| first);
            part.missing = Some((first, offset));
        } else if let Some(run) = part.missing.take() {
            Self::tell(self.fault, &part.span, run);
        }
    }

    fn tell(fault: &mut dyn FnMut(Fault), span: &Span, (first, last): (i64, i64)) {
        fault(Fault::Missing {
            place: format!("{}/{}@{first}", span.topic, span.partition),
            last,
        });
    }

    /// Whether a record at this offset of a partition, or behind it, was shown.
    pub(super) fn has_from(&self, partition: &str, offset: i64) -> bool {
        let mut parts = self.parts.values();
        parts.any(|part| {
            format!("{}/{}", part.span.topic, part.span.partition) == partition
                && part.last >= Some(offset)
        })
    }

    /// All records were shown: what is left is of none.
    pub(super) fn finish(mut self) -> Counts {
        let mut parts: Vec<Part> = self.parts.drain().map(|(_, part)| part).collect();
        parts.sort_by(|a, b| {
            (&a.span.topic, a.span.partition).cmp(&(&b.span.topic, b.span.partition))
        });
        for mut part in parts {
            if let Some(run) = part.missing.take() {
                Self::tell(self.fault, &part.span, run);
            }
            for at in part.outputs.iter() {
                self.counts.unexpected += 1;
                (self.fault)(Fault::Unexpected {
                    output: shown(&part.span.topic, part.span.partition, at),
                    why: "the input holds no such record",
                });
            }
        }
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64, index: u32) -> Coordinate {
        Coordinate { offset, index }
    }

    /// Accounts for `in/0` from 0 to 10.
    fn account(act: impl FnOnce(&mut Account<'_>)) -> (Counts, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut fault = |found| faults.push(found);
        let span = Span {
            topic: "in".into(),
            partition: 0,
            from: 0,
            until: 10,
        };
        let mut account = Account::new(&[span], &mut fault);
        act(&mut account);
        let counts = account.finish();
        (counts, faults)
    }

    fn write(account: &mut Account<'_>, outputs: &[(i64, u32)]) {
        for ((offset, index), place) in outputs.iter().zip(0..) {
            account.output("in", 0, at(*offset, *index), ("out", 0, place));
        }
    }

    fn read(account: &mut Account<'_>, records: &[i64], should: Expected) {
        for offset in records {
            account.record("in", 0, *offset, should);
        }
    }

    #[test]
    fn an_account_where_each_record_has_its_output_is_well() {
        let (counts, faults) = account(|account| {
            write(account, &[(0, 0), (1, 0), (3, 0)]);
            // Offset 2 holds no record: a transaction's end.
            read(account, &[0, 1, 3], Expected::Outputs(Outputs::exactly(1)));
        });
        assert!(counts.well() && faults.is_empty());
        assert_eq!((counts.records, counts.written), (3, 3));
    }

    #[test]
    fn records_without_an_output_are_told_as_stretches() {
        let (counts, faults) = account(|account| {
            write(account, &[(0, 0), (4, 0)]);
            account.dead_letter("in", 0, 5);
            read(
                account,
                &[0, 1, 3, 4, 5, 6],
                Expected::Outputs(Outputs::exactly(1)),
            );
        });
        let missing = |first, last| Fault::Missing {
            place: format!("in/0@{first}"),
            last,
        };
        assert_eq!(faults, [missing(1, 3), missing(6, 6)]);
        assert_eq!((counts.missing, counts.dead, counts.written), (3, 1, 2));
    }

    #[test]
    fn an_output_that_stands_twice_and_one_behind_a_later_one_are_told_with_their_places() {
        let (counts, faults) = account(|account| {
            write(account, &[(0, 0), (1, 0), (0, 0), (3, 0), (2, 0)]);
            read(
                account,
                &[0, 1, 2, 3],
                Expected::Outputs(Outputs::exactly(1)),
            );
        });
        assert_eq!(
            (counts.doubled, counts.out_of_place, counts.missing),
            (1, 1, 0)
        );
        let doubled = Fault::Doubled {
            output: "in/0@0;0".into(),
            at: "out/0@2".into(),
        };
        let out_of_place = Fault::OutOfPlace {
            output: "in/0@2;0".into(),
            at: "out/0@4".into(),
            behind: 3,
        };
        assert_eq!(faults, [doubled, out_of_place]);
    }

    #[test]
    fn outputs_that_should_not_be_there_are_told_with_the_reason() {
        let (counts, faults) = account(|account| {
            write(account, &[(0, 0), (1, 0), (1, 2), (2, 0), (7, 0)]);
            account.dead_letter("in", 0, 2);
            read(account, &[0], Expected::Filtered);
            read(account, &[1], Expected::Outputs(Outputs::exactly(2)));
            read(account, &[2], Expected::DeadLetter);
        });
        let why: Vec<&str> = faults
            .iter()
            .filter_map(|fault| match fault {
                Fault::Unexpected { why, .. } => Some(*why),
                _ => None,
            })
            .collect();
        assert_eq!(
            why,
            [
                "its record is filtered",
                "its record should have fewer outputs",
                "its record is a dead letter too",
                "the input holds no such record"
            ]
        );
        assert!(faults.contains(&Fault::Partly {
            place: "in/0@1".into(),
            outputs: "1".into(),
        }));
        assert_eq!((counts.unexpected, counts.missing, counts.dead), (4, 1, 1));
    }

    #[test]
    fn where_other_records_decide_a_record_may_have_no_output_and_too_many_are_told() {
        let some = |text: &str| Expected::Outputs(text.parse().unwrap());
        let (counts, faults) = account(|account| {
            write(account, &[(0, 0), (2, 0), (2, 1), (3, 1)]);
            read(account, &[0, 1, 2], some("0..1"));
            read(account, &[3], some("0..2"));
            read(account, &[4], some("1..2"));
        });
        let known = (counts.written, counts.left_out, counts.missing);
        assert_eq!((known, counts.unexpected), ((2, 1, 2), 1));
        let told = [
            Fault::Unexpected {
                output: "in/0@2;1".into(),
                why: "its record should have fewer outputs",
            },
            Fault::Partly {
                place: "in/0@3".into(),
                outputs: "0".into(),
            },
            Fault::Missing {
                place: "in/0@4".into(),
                last: 4,
            },
        ];
        assert_eq!(faults, told);
    }

    #[test]
    fn how_many_outputs_is_a_number_or_a_range() {
        for (text, shown) in [
            ("3", Some("3")),
            ("0..1", Some("0..1")),
            ("2..2", Some("2")),
        ] {
            let outputs: Option<Outputs> = text.parse().ok();
            assert_eq!(outputs.map(|outputs| outputs.to_string()).as_deref(), shown);
        }
        for wrong in ["", "1..0", "x", "0..", "10001", "-1"] {
            assert!(wrong.parse::<Outputs>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_stands_outside_the_stretch_is_not_of_this_account() {
        let (counts, faults) = account(|account| {
            assert!(!account.output("in", 0, at(10, 0), ("out", 0, 0)));
            assert!(!account.output("in", 1, at(0, 0), ("out", 0, 1)));
        });
        assert_eq!((counts, faults.len()), (Counts::default(), 0));
    }
}
