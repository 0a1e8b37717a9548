//! The threads that put segments beside the checkpoints, aside from the lanes: several at once, because each waits for its answer.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use thalweg_engine::behalf::carrying;
use thalweg_engine::epoch::segment::{self, Span};
use thalweg_engine::epoch::store::Store;
use thalweg_engine::error::Failure;
use thalweg_engine::recorder::Trace;
use thalweg_engine::sink::DeliveryObserver;

use super::disk::{self, Disk, Undone};
use super::packing::Packing;

/// So many bytes may wait for the store before no row is taken.
const WAITING_MAX: usize = 32 << 20;
/// Segments that are put at once.
const AT_ONCE: usize = 8;
/// The strands of a segment that has not more bytes stay in memory, so that the next one can take them up.
pub(super) const SMALL: u64 = 1 << 20;

/// Packed bytes by part.
type Strands = BTreeMap<u64, Arc<Vec<u8>>>;

/// A segment on its way, or there.
pub(super) struct Segment {
    /// Its number in the run.
    pub(super) number: u64,
    /// The parts of which it has a strand.
    pub(super) parts: Vec<u64>,
    put: OnceLock<Put>,
    /// What can be taken up by another.
    held: Mutex<Option<Strands>>,
}

/// A segment that is there.
pub(super) struct Put {
    /// Its bytes.
    pub(super) bytes: u64,
    /// By part, where its strand stands and how many bytes it has.
    pub(super) strands: BTreeMap<u64, (Span, u64)>,
}

impl Segment {
    /// What is known of it once it is there.
    pub(super) fn put(&self) -> Option<&Put> {
        self.put.get()
    }

    /// Its strands, as long as they are in memory.
    pub(super) fn held(&self) -> Option<Strands> {
        self.held.lock().clone()
    }

    /// Gives up what is in memory.
    pub(super) fn release(&self) {
        self.held.lock().take();
    }
}

/// Rows that are safe with a segment, and who is told.
pub(super) struct Note {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) taken: Instant,
    pub(super) written: Instant,
    pub(super) trace: Trace,
    pub(super) observer: Arc<dyn DeliveryObserver>,
}

/// What a part has in a segment that is to be put.
#[derive(Default)]
pub(super) struct Content {
    /// Taken up from other segments, packed.
    pub(super) packed: Vec<Arc<Vec<u8>>>,
    /// What came since.
    pub(super) loose: Vec<u8>,
}

/// A segment to put.
pub(super) struct Job {
    pub(super) store: Arc<dyn Store>,
    pub(super) name: String,
    pub(super) content: BTreeMap<u64, Content>,
    pub(super) notes: Vec<Note>,
    pub(super) segment: Arc<Segment>,
}

impl Job {
    fn loose(&self) -> usize {
        self.content.values().map(|part| part.loose.len()).sum()
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Bytes of rows that wait, or are on their way.
    bytes: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// Rows that were taken and are not safe.
    rows: AtomicU64,
}

/// The threads, and the way to them.
pub(super) struct Depositor {
    shared: Arc<Shared>,
    disk: Arc<Disk>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    run: String,
    next: AtomicU64,
}

impl Depositor {
    pub(super) fn start(disk: &Arc<Disk>, packing: Packing, run: &str) -> Result<Self, Failure> {
        let this = Self {
            shared: Arc::default(),
            disk: Arc::clone(disk),
            threads: Mutex::default(),
            run: run.to_owned(),
            next: AtomicU64::new(0),
        };
        for _ in 0..AT_ONCE {
            let (shared, disk) = (Arc::clone(&this.shared), Arc::clone(disk));
            let thread = std::thread::Builder::new()
                .name("put segments".to_owned())
                .spawn(carrying(move || run_jobs(&shared, &disk, packing)))
                .map_err(|error| Failure::restart(format!("no thread to write with: {error}")))?;
            this.threads.lock().push(thread);
        }
        Ok(this)
    }

    pub(super) fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    /// Puts a segment of these parts; it says itself when it is there, and the disk when anything is.
    pub(super) fn put(
        &self,
        store: &Arc<dyn Store>,
        content: BTreeMap<u64, Content>,
        notes: Vec<Note>,
    ) -> Arc<Segment> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let segment = Arc::new(Segment {
            number,
            parts: content.keys().copied().collect(),
            put: OnceLock::new(),
            held: Mutex::default(),
        });
        let job = Job {
            store: Arc::clone(store),
            name: self.name(number),
            content,
            notes,
            segment: Arc::clone(&segment),
        };
        let mut state = self.shared.state.lock();
        state.bytes += job.loose();
        state.jobs.push_back(job);
        drop(state);
        self.shared.wake.notify_one();
        segment
    }

    /// What a segment of this run is called.
    pub(super) fn name(&self, number: u64) -> String {
        super::part::segment(&self.run, number)
    }

    /// Rows were taken that a segment will hold.
    pub(super) fn took(&self, rows: u64) {
        self.shared.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Rows that were taken will never be put.
    pub(super) fn gave_up(&self, rows: u64) {
        self.shared.rows.fetch_sub(rows, Ordering::Relaxed);
    }

    /// Whether so much waits that no more should come.
    pub(super) fn full(&self) -> bool {
        self.shared.state.lock().bytes >= WAITING_MAX
    }

    /// Rows that are not safe.
    pub(super) fn in_flight(&self) -> u64 {
        self.shared.rows.load(Ordering::Relaxed)
    }

    /// Ends the threads; the disk is closed already. What is not put is given up.
    pub(super) fn join(&self) {
        // Under the lock, so that no thread can look just before and wait just after.
        drop(self.shared.state.lock());
        self.shared.wake.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            let _ = thread.join();
        }
    }
}

impl Drop for Depositor {
    fn drop(&mut self) {
        self.disk.close();
        self.join();
    }
}

fn run_jobs(shared: &Shared, disk: &Disk, packing: Packing) {
    loop {
        let mut job = {
            let mut state = shared.state.lock();
            loop {
                if disk.closed() {
                    return state.jobs.clear();
                }
                match state.jobs.pop_front() {
                    Some(job) => break job,
                    None => shared.wake.wait(&mut state),
                }
            }
        };
        let bytes = job.loose();
        let done = deposit(&mut job, disk, packing);
        let rows = job.notes.iter().map(|note| note.rows).sum();
        shared.rows.fetch_sub(rows, Ordering::Relaxed);
        let mut state = shared.state.lock();
        state.bytes -= bytes;
        if let Err(undone) = done {
            // Who waits for the segment learns why from the disk.
            if let Undone::Failed(failure) = undone {
                disk.fail(failure);
            }
            return state.jobs.clear();
        }
        drop(state);
        disk.progress.notify_waiters();
    }
}

fn deposit(job: &mut Job, disk: &Disk, packing: Packing) -> Result<(), Undone> {
    let path = format!("{}/state/{}", job.store.location(), job.name);
    let failed = |error: io::Error| Undone::Failed(disk::failure(Path::new(&path), &error));
    let mut parts = Vec::with_capacity(job.content.len());
    let mut strands = Vec::with_capacity(job.content.len());
    for (part, content) in std::mem::take(&mut job.content) {
        let mut strand = Vec::new();
        for packed in &content.packed {
            strand.extend_from_slice(packed);
        }
        if !content.loose.is_empty() {
            strand.extend(packing.member(&content.loose).map_err(failed)?);
        }
        parts.push(part);
        strands.push(strand);
    }
    let name = format!("state/{}", job.name);
    let (bytes, spans) = disk.patiently(Path::new(&path), || {
        segment::write(&*job.store, &name, &strands)
    })?;
    let lengths = strands.iter().map(|strand| strand.len() as u64);
    let placed = spans.into_iter().zip(lengths);
    let put = Put {
        bytes,
        strands: parts.iter().copied().zip(placed).collect(),
    };
    if bytes <= SMALL {
        let held = parts.into_iter().zip(strands.into_iter().map(Arc::new));
        *job.segment.held.lock() = Some(held.collect());
    }
    // Put once only.
    let _ = job.segment.put.set(put);
    let micros = |since: Instant| u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
    for note in &job.notes {
        let observer = &note.observer;
        observer.acknowledged(note.rows, note.bytes);
        observer.delivered(&note.trace, micros(note.written), micros(note.taken));
    }
    Ok(())
}
