//! Coordinates: the place of a row among all that its input partition gives, and what a reader does with it.
//!
//! | the record | is |
//! | --- | --- |
//! | at the mark or before it | seen: it was written again after a crash |
//! | behind the mark, and the one before it is not | next |
//! | behind the mark, and so is the one before it | behind a gap: a record between the mark and it is lost |

use thalweg_engine::error::RecordError;

pub(crate) use crate::coordinates::Coordinate;
use crate::stateful::bytes::{read_varint, unzigzag, write_varint, zigzag};

/// What a record is to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Seen,
    Next,
    Gap,
}

/// Judges a record of a way by the mark, which is the newest coordinate seen on that way, and by the coordinate before the
/// record's own.
pub(crate) fn judge(
    mark: Option<Coordinate>,
    at: Coordinate,
    before: Option<Coordinate>,
) -> Verdict {
    if mark >= Some(at) {
        Verdict::Seen
    } else if before > mark {
        Verdict::Gap
    } else {
        Verdict::Next
    }
}

/// What a gap says to the user.
pub(crate) fn gap(way: &str, mark: Option<Coordinate>, before: Option<Coordinate>) -> RecordError {
    RecordError::broken(format!(
        "a record of the exchange topic is lost: the row of {way} at {} should have come first, and the last that came is {}. \
         Records of this topic must neither be deleted nor expire (retention.ms -1), and positions in it must not be moved. \
         What was counted so far is right, and it cannot be continued: begin anew with another queryName or \
         checkpointLocation",
        shown(before),
        shown(mark),
    ))
}

fn shown(coordinate: Option<Coordinate>) -> String {
    coordinate.map_or_else(
        || "none".to_owned(),
        |at| format!("offset {} (row {})", at.offset, at.index),
    )
}

/// Appends a coordinate, or that there is none.
pub(crate) fn write(coordinate: Option<Coordinate>, out: &mut Vec<u8>) {
    match coordinate {
        None => out.push(0),
        Some(at) => {
            out.push(1);
            write_varint(zigzag(at.offset), out);
            write_varint(u64::from(at.index), out);
        }
    }
}

/// Takes what [`write`] wrote; None when the bytes are not that.
pub(crate) fn read(bytes: &mut &[u8]) -> Option<Option<Coordinate>> {
    let (some, rest) = bytes.split_first()?;
    *bytes = rest;
    match some {
        0 => Some(None),
        1 => Some(Some(Coordinate {
            offset: unzigzag(read_varint(bytes)?),
            index: u32::try_from(read_varint(bytes)?).ok()?,
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(offset: i64) -> Option<Coordinate> {
        Some(Coordinate { offset, index: 0 })
    }

    fn judged(mark: Option<i64>, offset: i64, before: Option<i64>) -> Verdict {
        judge(
            mark.and_then(at),
            Coordinate { offset, index: 0 },
            before.and_then(at),
        )
    }

    #[test]
    fn a_record_is_seen_next_or_behind_a_gap() {
        assert_eq!(judged(None, 5, None), Verdict::Next);
        assert_eq!(judged(None, 7, Some(5)), Verdict::Gap);
        assert_eq!(judged(Some(5), 5, None), Verdict::Seen);
        assert_eq!(judged(Some(5), 7, Some(5)), Verdict::Next);
        assert_eq!(judged(Some(5), 9, Some(7)), Verdict::Gap);
    }

    #[test]
    fn a_filter_that_is_stricter_after_a_restart_leaves_no_gap() {
        // 5 and 7 had been read; now 7 is filtered out, and 9 follows 5.
        assert_eq!(judged(Some(7), 9, Some(5)), Verdict::Next);
    }

    /// A log of one way: what writers that are killed at any time leave there. Each begins at the last cut of the ones
    /// before, and repeats what was written since. The rest of a killed one may come while the next already writes.
    fn log(rows: &[i64], lives: &[(usize, usize, usize)]) -> Vec<(Coordinate, Option<Coordinate>)> {
        let chain: Vec<(Coordinate, Option<Coordinate>)> = rows
            .iter()
            .enumerate()
            .map(|(place, offset)| {
                let before = place.checked_sub(1).and_then(|before| at(rows[before]));
                (
                    Coordinate {
                        offset: *offset,
                        index: 0,
                    },
                    before,
                )
            })
            .collect();
        let (mut log, mut cut): (Vec<_>, usize) = (Vec::new(), 0);
        let mut written = 0;
        for (ahead, late, committed) in lives {
            // What of it is in the log is a stretch without a hole: the producer delivers in order.
            let end = (cut + ahead).min(chain.len());
            let split = end.saturating_sub(*late).max(cut);
            log.extend_from_slice(&chain[cut..split]);
            let rest = &chain[split..end];
            let again = (cut + committed).min(split.max(written)).max(cut);
            let next = &chain[again..(again + late).min(end.max(again))];
            // Interleaved, each in its own order.
            let mut both = rest.iter().zip(next);
            log.extend(both.by_ref().flat_map(|(a, b)| [*b, *a]));
            let (a, b) = (rest.len(), next.len());
            log.extend_from_slice(&rest[b.min(a)..]);
            log.extend_from_slice(&next[a.min(b)..]);
            written = written.max(end);
            cut = again;
        }
        log.extend_from_slice(&chain[cut..]);
        log
    }

    fn read_all(log: &[(Coordinate, Option<Coordinate>)]) -> (Vec<i64>, bool) {
        let (mut mark, mut taken) = (None, Vec::new());
        for (at, before) in log {
            match judge(mark, *at, *before) {
                Verdict::Seen => {}
                Verdict::Gap => return (taken, false),
                Verdict::Next => {
                    mark = Some(*at);
                    taken.push(at.offset);
                }
            }
        }
        (taken, true)
    }

    proptest! {
        /// Whatever crashes repeat: each row is taken once, in order, and no gap is seen.
        #[test]
        fn every_row_is_taken_once_whatever_is_written_again(
            gaps in prop::collection::vec(1_i64..4, 1..30),
            lives in prop::collection::vec((0_usize..12, 0_usize..5, 0_usize..12), 0..6),
        ) {
            let rows: Vec<i64> = gaps.iter().scan(0, |sum, gap| { *sum += gap; Some(*sum) }).collect();
            prop_assert_eq!(read_all(&log(&rows, &lives)), (rows, true));
        }

        /// Every copy of a row is lost: either a gap is seen before any later row is taken, or there is no later row.
        #[test]
        fn a_lost_row_is_noticed_before_a_later_one_is_taken(
            gaps in prop::collection::vec(1_i64..4, 1..30),
            lives in prop::collection::vec((0_usize..12, 0_usize..5, 0_usize..12), 0..6),
            lost in any::<prop::sample::Index>(),
        ) {
            let rows: Vec<i64> = gaps.iter().scan(0, |sum, gap| { *sum += gap; Some(*sum) }).collect();
            let lost = rows[lost.index(rows.len())];
            let mut log = log(&rows, &lives);
            log.retain(|(at, _)| at.offset != lost);
            let (taken, whole) = read_all(&log);
            let before: Vec<i64> = rows.iter().copied().filter(|row| *row < lost).collect();
            prop_assert_eq!(taken, before);
            prop_assert_eq!(whole, Some(&lost) == rows.last());
        }

        #[test]
        fn coordinates_are_read_as_they_were_written(offset in any::<i64>(), index in any::<u32>(), some in any::<bool>()) {
            let coordinate = some.then_some(Coordinate { offset, index });
            let mut bytes = Vec::new();
            write(coordinate, &mut bytes);
            prop_assert_eq!(read(&mut bytes.as_slice()), Some(coordinate));
        }
    }
}
