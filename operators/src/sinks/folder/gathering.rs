//! The bytes of a part, gathered strand by strand from its segments: several are on their way while one is read.

use std::collections::VecDeque;
use std::io::{self, Read};

use thalweg_engine::epoch::segment::{self, Coming};
use thalweg_engine::epoch::store::Store;

use super::part::{self, Part, Strand};

/// So many bytes of a part are in memory or on their way, if its next strand alone has no more.
pub(super) const AHEAD_BYTES: u64 = 16 << 20;
/// So many strands of a part are on their way at once.
pub(super) const AHEAD_MAX: usize = 16;

/// Reads a part.
pub(super) struct Gathering<'g> {
    store: &'g dyn Store,
    run: &'g str,
    /// What was not asked for yet.
    strands: std::slice::Iter<'g, Strand>,
    /// What was, in order, each with the name of its segment.
    coming: VecDeque<(String, Coming<'g>)>,
    /// The strand that is being read, and its bytes.
    open: Option<(segment::Strand, u64)>,
    /// The segment that was looked for in vain.
    missing: Option<String>,
}

impl<'g> Gathering<'g> {
    pub(super) fn of(part: &'g Part, store: &'g dyn Store) -> Self {
        Self {
            store,
            run: part::run_of(&part.file),
            strands: part.strands.iter(),
            coming: VecDeque::new(),
            open: None,
            missing: None,
        }
    }

    /// The segment that is not there, if reading has failed because of that.
    pub(super) fn missing(&mut self) -> Option<String> {
        self.missing.take()
    }

    /// Asks for what there is room for.
    fn ask(&mut self) {
        let coming = self.coming.iter().map(|(_, coming)| coming.bytes());
        let mut bytes = coming.sum::<u64>() + self.open.as_ref().map_or(0, |(_, bytes)| *bytes);
        while let Some(next) = self.strands.as_slice().first() {
            bytes += next.span.length;
            let idle = self.coming.is_empty() && self.open.is_none();
            if !idle && (bytes > AHEAD_BYTES || self.coming.len() >= AHEAD_MAX) {
                return;
            }
            let name = format!("state/{}", part::segment(self.run, next.segment));
            let coming = segment::fetch(self.store, &name, next.span);
            self.coming.push_back((name, coming));
            self.strands.next();
        }
    }
}

impl Read for Gathering<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some((strand, _)) = &mut self.open {
                match strand.read(into)? {
                    0 if !into.is_empty() => self.open = None,
                    read => return Ok(read),
                }
            }
            self.ask();
            let Some((name, coming)) = self.coming.pop_front() else {
                return Ok(0);
            };
            let bytes = coming.bytes();
            match coming.arrive() {
                Ok(strand) => self.open = Some((strand, bytes)),
                Err(error) => {
                    if error.kind() == io::ErrorKind::NotFound {
                        self.missing = Some(name);
                    }
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use thalweg_engine::epoch::store::{Entry, Fetch, FolderStore};

    use super::*;

    /// What was asked for and has not arrived: how many, how many bytes; and the most that there were of each.
    #[derive(Clone, Copy, Default)]
    struct UnderWay {
        count: usize,
        bytes: u64,
        most: (usize, u64),
    }

    /// A store whose answers take long.
    struct Far {
        inner: FolderStore,
        under_way: Arc<Mutex<UnderWay>>,
    }

    impl Store for Far {
        fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
            self.inner.put(name, bytes)
        }

        fn get(&self, name: &str) -> io::Result<Vec<u8>> {
            self.inner.get(name)
        }

        fn fetch<'s>(&'s self, name: &str, from: u64, length: u64) -> Fetch<'s> {
            let mut now = self.under_way.lock();
            now.count += 1;
            now.bytes += length;
            now.most = (now.most.0.max(now.count), now.most.1.max(now.bytes));
            let coming = self.inner.fetch(name, from, length);
            Box::new(move || {
                let mut now = self.under_way.lock();
                now.count -= 1;
                now.bytes -= length;
                coming()
            })
        }

        fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
            self.inner.list(folder)
        }

        fn remove(&self, name: &str) -> io::Result<()> {
            self.inner.remove(name)
        }

        fn location(&self) -> String {
            self.inner.location()
        }

        fn note(&self, epoch: u64) -> io::Result<()> {
            self.inner.note(epoch)
        }

        fn noted(&self) -> Option<u64> {
            self.inner.noted()
        }
    }

    /// A part whose strands have these lengths is read as a whole. Gives how many strands, and bytes, were under way at once.
    fn read(lengths: impl Iterator<Item = usize>) -> (usize, u64) {
        let dir = tempfile::tempdir().unwrap();
        let store = Far {
            inner: FolderStore::lock(dir.path()).unwrap(),
            under_way: Arc::default(),
        };
        let (mut strands, mut rows) = (Vec::new(), Vec::new());
        for (number, length) in lengths.enumerate() {
            let strand: Vec<u8> = (0..length).map(|byte| (byte * 7 + number) as u8).collect();
            rows.extend_from_slice(&strand);
            let name = format!("state/{}", part::segment("run1", number as u64));
            let (_, spans) = segment::write(&store, &name, &[strand]).unwrap();
            strands.push(Strand {
                segment: number as u64,
                span: spans[0],
            });
        }
        let part = Part {
            file: part::name(0, "run1", ".txt"),
            bytes: rows.len() as u64,
            complete: true,
            as_rows: false,
            strands,
        };
        let mut found = Vec::new();
        let mut gathering = Gathering::of(&part, &store);
        gathering.read_to_end(&mut found).unwrap();
        assert!(found == rows);
        let under_way = *store.under_way.lock();
        assert_eq!((under_way.count, under_way.bytes), (0, 0));
        under_way.most
    }

    #[test]
    fn small_strands_are_all_under_way_at_once_and_large_ones_within_a_bound() {
        assert_eq!(read(std::iter::repeat_n(1_000, 12)).0, 12);
        assert_eq!(read(std::iter::repeat_n(10, 100)).0, AHEAD_MAX);
        let (count, bytes) = read(std::iter::repeat_n(3 << 20, 12));
        assert!(count > 3 && bytes <= AHEAD_BYTES, "{count}: {bytes} bytes");
        // One that is larger than that comes alone.
        let larger = usize::try_from(AHEAD_BYTES).unwrap() + 1;
        assert_eq!(read([larger, larger].into_iter()).0, 1);
    }

    #[test]
    fn the_segment_that_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = FolderStore::lock(dir.path()).unwrap();
        let span = segment::Span { from: 0, length: 9 };
        let part = Part {
            file: part::name(0, "run1", ".txt"),
            bytes: 9,
            complete: true,
            as_rows: false,
            strands: vec![Strand { segment: 4, span }],
        };
        let mut gathering = Gathering::of(&part, &store);
        gathering.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(
            gathering.missing().as_deref(),
            Some("state/run1-000004-rows")
        );
    }
}
