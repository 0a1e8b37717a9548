//! What the open parts of one lane have beside the checkpoints: each part is a strand of bytes that runs through segments.
//!
//! Each cut, and every 4 MiB between two, ends a segment with what all parts of the lane have got since. Small segments would be
//! many by the time a part is complete, so a segment takes up the newest ones before it that are not much larger than itself:
//! what is left of them grows geometrically, and there are few, however little an epoch brings. What is taken up is in memory still,
//! so nothing is read back, and a cut is one object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use thalweg_engine::epoch::checkpoint::ObjectRef;
use thalweg_engine::epoch::store::Store;
use thalweg_engine::sink::Beside;

use super::depositor::{Content, Depositor, Note, Segment};
use super::lease::Lease;
use super::outlet::Rows;
use super::part::Strand;
use super::publisher::Place;
use super::waiting::Safe;

/// So many bytes are collected before a segment ends, if there is no cut meanwhile.
const COLLECTED: usize = 4 << 20;
/// A segment costs a request, and has a header: one of fewer bytes is worth no more when it is asked what it may take up.
const LEAST: u64 = 1 << 10;

/// What a cut found of a part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Laid {
    pub(super) bytes: u64,
    pub(super) strands: Vec<Strand>,
}

/// The lane's strands.
pub(super) struct Strands {
    depositor: Arc<Depositor>,
    store: Arc<dyn Store>,
    lease: Arc<Lease<'static>>,
    /// Parts that are not visible yet, and those of them that are complete.
    parts: BTreeSet<u64>,
    complete: BTreeSet<u64>,
    /// What came since the last segment.
    loose: BTreeMap<u64, Content>,
    notes: Vec<Note>,
    bytes: usize,
    /// The segments that these parts run through, oldest first.
    segments: Vec<Arc<Segment>>,
    /// The newest of them that a cut has named.
    named: Option<u64>,
}

impl Strands {
    pub(super) fn new(depositor: &Arc<Depositor>, beside: Beside) -> Self {
        Self {
            depositor: Arc::clone(depositor),
            store: beside.store,
            lease: Arc::new(Lease::new(move || (beside.owned)())),
            parts: BTreeSet::new(),
            complete: BTreeSet::new(),
            loose: BTreeMap::new(),
            notes: Vec::new(),
            bytes: 0,
            segments: Vec::new(),
            named: None,
        }
    }

    /// From where its parts become visible.
    pub(super) fn place(&self) -> Place {
        Place::Beside {
            store: Arc::clone(&self.store),
            lease: Arc::clone(&self.lease),
        }
    }

    /// Begins a part.
    pub(super) fn open(&mut self, part: u64) {
        self.parts.insert(part);
    }

    /// Appends to a part.
    pub(super) fn write(&mut self, part: u64, rows: Rows) {
        self.bytes += rows.bytes.len();
        self.depositor.took(rows.count);
        self.notes.push(Note {
            rows: rows.count,
            bytes: rows.bytes.len() as u64,
            taken: rows.taken,
            written: rows.written,
            trace: rows.trace,
            observer: rows.observer,
        });
        let content = self.loose.entry(part).or_default();
        if content.loose.is_empty() {
            content.loose = rows.bytes;
        } else {
            content.loose.extend_from_slice(&rows.bytes);
        }
        if self.bytes >= COLLECTED {
            self.end_segment();
        }
    }

    /// Ends a part.
    pub(super) fn complete(&mut self, part: u64) {
        self.complete.insert(part);
    }

    /// Forgets parts: they are visible.
    pub(super) fn forget(&mut self, parts: &[u64]) {
        for part in parts {
            self.parts.remove(part);
            self.complete.remove(part);
        }
        let live = &self.parts;
        let needed = |segment: &Arc<Segment>| segment.parts.iter().any(|part| live.contains(part));
        self.segments.retain(needed);
    }

    /// What is beside the checkpoints of these parts, once all is there that was written before.
    pub(super) fn cut(&mut self, parts: Vec<u64>) -> Safe {
        self.end_segment();
        if let Some(newest) = self.segments.last() {
            self.named = Some(newest.number);
        }
        let needed =
            |segment: &&Arc<Segment>| segment.parts.iter().any(|part| parts.contains(part));
        let segments: Vec<Arc<Segment>> = self.segments.iter().filter(needed).cloned().collect();
        let depositor = Arc::clone(&self.depositor);
        Box::pin(async move {
            let disk = depositor.disk();
            loop {
                let heard = disk.progress.notified();
                tokio::pin!(heard);
                // Registered before the look, so that the last step cannot be missed in between.
                heard.as_mut().enable();
                if disk.failed().is_some() || disk.closed() {
                    return Err(disk.why());
                }
                if segments.iter().all(|segment| segment.put().is_some()) {
                    break;
                }
                heard.await;
            }
            Ok(laid(&parts, &segments, &depositor))
        })
    }

    /// Puts what came since the last segment, with what can be taken up.
    fn end_segment(&mut self) {
        if self.loose.is_empty() {
            return;
        }
        let mut content = std::mem::take(&mut self.loose);
        let sizes = self
            .segments
            .iter()
            .rev()
            .map_while(|segment| self.small(segment));
        let count = taken_up(sizes, self.bytes as u64);
        let rest = self.segments.len() - count;
        // Oldest first, as the rows of a part came.
        for segment in self.segments.drain(rest..) {
            for (part, strand) in segment.held().into_iter().flatten() {
                if self.parts.contains(&part) {
                    content.entry(part).or_default().packed.push(strand);
                }
            }
        }
        // What stands before a large one is never taken up.
        let large = |segment: &Arc<Segment>| segment.put().is_some() && segment.held().is_none();
        if let Some(place) = self.segments.iter().rposition(large) {
            self.segments[..place]
                .iter()
                .for_each(|before| before.release());
        }
        let notes = std::mem::take(&mut self.notes);
        self.bytes = 0;
        let segment = self.depositor.put(&self.store, content, notes);
        self.segments.push(segment);
    }

    /// The bytes of a segment that can be taken up: it is there, in memory too, and nobody is about to make a part of it. It was
    /// named, too: what no epoch has ever named is removed at the next start only.
    fn small(&self, segment: &Segment) -> Option<u64> {
        let put = segment.put()?;
        let named = Some(segment.number) <= self.named;
        let ended = segment
            .parts
            .iter()
            .any(|part| self.complete.contains(part));
        (named && !ended && segment.held().is_some()).then_some(put.bytes)
    }
}

impl Drop for Strands {
    fn drop(&mut self) {
        let rows = self.notes.iter().map(|note| note.rows).sum();
        self.depositor.gave_up(rows);
    }
}

/// Where the strands of these parts stand, and the segments that they run through.
fn laid(
    parts: &[u64],
    segments: &[Arc<Segment>],
    depositor: &Depositor,
) -> (Vec<Laid>, Vec<ObjectRef>) {
    let there = || {
        let put = segments
            .iter()
            .map(|segment| Some((segment, segment.put()?)));
        put.flatten()
    };
    let found = parts.iter().map(|part| {
        let mut laid = Laid::default();
        for (segment, put) in there() {
            if let Some((span, bytes)) = put.strands.get(part) {
                laid.bytes += bytes;
                laid.strands.push(Strand {
                    segment: segment.number,
                    span: *span,
                });
            }
        }
        laid
    });
    let objects = there().map(|(segment, put)| ObjectRef {
        name: depositor.name(segment.number),
        bytes: put.bytes,
    });
    (found.collect(), objects.collect())
}

/// How many of the newest segments the next one takes up, which has so many bytes of its own; `sizes` begins with the newest.
fn taken_up(sizes: impl Iterator<Item = u64>, own: u64) -> usize {
    let mut all = own.max(LEAST);
    sizes
        .take_while(|size| {
            let taken = *size <= all.saturating_mul(2);
            all += size;
            taken
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::super::depositor::SMALL;
    use super::*;

    /// The sizes of segments after epochs of so many bytes, and how many bytes were put for them.
    fn after(epochs: impl Iterator<Item = u64>) -> (Vec<u64>, u64) {
        let (mut sizes, mut put) = (Vec::new(), 0);
        for own in epochs {
            let small = sizes
                .iter()
                .rev()
                .copied()
                .take_while(|size| *size <= SMALL);
            let count = taken_up(small, own);
            let size = own + sizes.drain(sizes.len() - count..).sum::<u64>();
            sizes.push(size);
            put += size;
        }
        (sizes, put)
    }

    #[test]
    fn segments_are_few_whatever_epochs_bring() {
        let hour = 3_600;
        let mut dice = 1_u64;
        let mut any = move || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            1 + (dice >> 40) % 60_000
        };
        let (few, put) = after((0..hour).map(|_| 500));
        assert!(few.len() <= 13, "{few:?}");
        assert!(put < 500 * hour * 16, "{put} bytes are put");
        let (some, put) = after((0..hour).map(|_| any()));
        let all: u64 = some.iter().sum();
        assert!(some.len() as u64 <= 2 * all / SMALL + 20, "{some:?}");
        assert!(put < all * 10, "{put} of {all} bytes are put");
        // Ever smaller: what was put before is twice as large as all behind it.
        let (falling, _) = after((1..1_000).rev());
        assert!(falling.len() <= 12, "{falling:?}");
    }
}
