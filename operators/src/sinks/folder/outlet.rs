//! The thread that appends rows to hidden parts, aside from the lanes, and makes them survive a crash at each cut.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use thalweg_engine::behalf::carrying;
use thalweg_engine::error::Failure;
use thalweg_engine::recorder::Trace;
use thalweg_engine::sink::DeliveryObserver;
use tokio::sync::oneshot;

use super::disk::{self, Disk, Undone};
use super::packing::Packing;

/// So many bytes may wait for the disk before no row is taken.
const WAITING_MAX: usize = 8 << 20;

/// So many bytes are packed together, if an epoch has so many.
const MEMBER: usize = 256 << 10;

/// Rows of one part, encoded.
pub(super) struct Rows {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
    /// When the oldest was taken from the input, and when it was written.
    pub(super) taken: Instant,
    pub(super) written: Instant,
    /// The record that it comes from.
    pub(super) trace: Trace,
    pub(super) observer: Arc<dyn DeliveryObserver>,
}

/// The lengths of the parts that a cut asked for.
pub(super) type Lengths = oneshot::Receiver<Result<Vec<u64>, Failure>>;

enum Order {
    Open(u64, PathBuf),
    Write(u64, Rows),
    /// No row comes after those that were written.
    Complete(u64),
    /// Answered with the lengths once they would survive a crash.
    Cut(Vec<u64>, oneshot::Sender<Result<Vec<u64>, Failure>>),
    /// These are visible, or their lane is no more: they are not asked for again.
    Forget(Vec<u64>),
}

#[derive(Default)]
struct State {
    orders: VecDeque<Order>,
    bytes: usize,
    rows: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

/// The thread, and the way to it.
pub(super) struct Outlet {
    shared: Arc<Shared>,
    disk: Arc<Disk>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Outlet {
    pub(super) fn start(disk: &Arc<Disk>, packing: Packing) -> Result<Self, Failure> {
        let shared = Arc::new(Shared::default());
        let mut hands = Hands {
            disk: Arc::clone(disk),
            packing,
            files: HashMap::new(),
            lengths: HashMap::new(),
            unsynced: BTreeSet::new(),
        };
        let inside = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("append to files".to_owned())
            .spawn(carrying(move || run(&inside, &mut hands)))
            .map_err(|error| Failure::restart(format!("no thread to write with: {error}")))?;
        Ok(Self {
            shared,
            disk: Arc::clone(disk),
            thread: Mutex::new(Some(thread)),
        })
    }

    fn order(&self, order: Order) {
        self.shared.state.lock().orders.push_back(order);
        self.shared.wake.notify_one();
    }

    /// Begins a part.
    pub(super) fn open(&self, part: u64, file: PathBuf) {
        self.order(Order::Open(part, file));
    }

    /// Appends to a part.
    pub(super) fn write(&self, part: u64, rows: Rows) {
        let mut state = self.shared.state.lock();
        state.bytes += rows.bytes.len();
        state.rows += rows.count;
        state.orders.push_back(Order::Write(part, rows));
        drop(state);
        self.shared.wake.notify_one();
    }

    /// Ends a part.
    pub(super) fn complete(&self, part: u64) {
        self.order(Order::Complete(part));
    }

    /// Asks for the lengths of parts, as they are when all that was ordered before is done and would survive a crash.
    pub(super) fn cut(&self, parts: Vec<u64>) -> Lengths {
        let (answer, lengths) = oneshot::channel();
        self.order(Order::Cut(parts, answer));
        lengths
    }

    /// Forgets parts, and closes them where they are open.
    pub(super) fn forget(&self, parts: Vec<u64>) {
        self.order(Order::Forget(parts));
    }

    /// Whether so much waits that no more should come.
    pub(super) fn full(&self) -> bool {
        self.shared.state.lock().bytes >= WAITING_MAX
    }

    /// Rows that wait.
    pub(super) fn in_flight(&self) -> u64 {
        self.shared.state.lock().rows
    }

    /// Ends the thread; the disk is closed already. What is not written is given up.
    pub(super) fn join(&self) {
        // Under the lock, so that the thread cannot look just before and wait just after.
        drop(self.shared.state.lock());
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.disk.close();
        self.join();
    }
}

fn run(shared: &Shared, hands: &mut Hands) {
    loop {
        let order = {
            let mut state = shared.state.lock();
            loop {
                if hands.disk.closed() {
                    return state.orders.clear();
                }
                match state.orders.pop_front() {
                    Some(order) => break order,
                    None => shared.wake.wait(&mut state),
                }
            }
        };
        let (bytes, rows) = match &order {
            Order::Write(_, rows) => (rows.bytes.len(), rows.count),
            _ => (0, 0),
        };
        let done = hands.carry_out(order);
        let mut state = shared.state.lock();
        state.bytes -= bytes;
        state.rows -= rows;
        match done {
            Ok(()) => {
                drop(state);
                hands.disk.progress.notify_waiters();
            }
            Err(undone) => {
                // Who waits for an answer learns why from the disk, so that must be said first.
                if let Undone::Failed(failure) = undone {
                    hands.disk.fail(failure);
                }
                return state.orders.clear();
            }
        }
    }
}

/// A part that grows.
struct Growing {
    file: File,
    path: PathBuf,
    /// Bytes of the file that are of rows; what stands behind them was not written whole.
    length: u64,
    /// Bytes that wait to be packed.
    loose: Vec<u8>,
    /// Whether something was written that would not survive a crash.
    dirty: bool,
}

struct Hands {
    disk: Arc<Disk>,
    packing: Packing,
    files: HashMap<u64, Growing>,
    /// Of complete parts.
    lengths: HashMap<u64, u64>,
    /// The folders that have new files whose names would not survive a crash.
    unsynced: BTreeSet<PathBuf>,
}

impl Hands {
    fn carry_out(&mut self, order: Order) -> Result<(), Undone> {
        match order {
            Order::Open(part, path) => self.open(part, path),
            Order::Write(part, rows) => self.write(part, &rows),
            Order::Complete(part) => self.complete(part),
            Order::Forget(parts) => {
                for part in parts {
                    self.files.remove(&part);
                    self.lengths.remove(&part);
                }
                Ok(())
            }
            Order::Cut(parts, answer) => {
                let cut = self.cut(&parts);
                let answered = match &cut {
                    Ok(lengths) => answer.send(Ok(lengths.clone())),
                    Err(Undone::Failed(failure)) => answer.send(Err(failure.clone())),
                    Err(Undone::Closed) => Ok(()),
                };
                // Nobody waits only when the lane is gone.
                let _ = answered;
                cut.map(|_| ())
            }
        }
    }

    fn open(&mut self, part: u64, path: PathBuf) -> Result<(), Undone> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let file = self.disk.patiently(&path, || options.open(&path))?;
        self.unsynced.extend(path.parent().map(Path::to_path_buf));
        let growing = Growing {
            file,
            path,
            length: 0,
            loose: Vec::new(),
            dirty: false,
        };
        self.files.insert(part, growing);
        Ok(())
    }

    fn write(&mut self, part: u64, rows: &Rows) -> Result<(), Undone> {
        let Some(growing) = self.files.get_mut(&part) else {
            return Err(Undone::Failed(Failure::restart(
                "rows came for a part that is not open: a bug",
            )));
        };
        if self.packing == Packing::Plain {
            append(&self.disk, growing, &rows.bytes)?;
        } else {
            growing.loose.extend_from_slice(&rows.bytes);
            if growing.loose.len() >= MEMBER {
                pack(&self.disk, growing, self.packing)?;
            }
        }
        let micros =
            |since: Instant| u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        let observer = &rows.observer;
        observer.acknowledged(rows.count, rows.bytes.len() as u64);
        observer.delivered(&rows.trace, micros(rows.written), micros(rows.taken));
        Ok(())
    }

    fn complete(&mut self, part: u64) -> Result<(), Undone> {
        if let Some(mut growing) = self.files.remove(&part) {
            settle(&self.disk, &mut growing, self.packing)?;
            self.lengths.insert(part, growing.length);
        }
        Ok(())
    }

    fn cut(&mut self, parts: &[u64]) -> Result<Vec<u64>, Undone> {
        let mut lengths = Vec::with_capacity(parts.len());
        for part in parts {
            if let Some(growing) = self.files.get_mut(part) {
                settle(&self.disk, growing, self.packing)?;
                lengths.push(growing.length);
            } else {
                lengths.push(self.lengths.get(part).copied().unwrap_or(0));
            }
        }
        while let Some(folder) = self.unsynced.pop_first() {
            let synced = disk::sync_folder(&folder);
            synced.map_err(|error| Undone::Failed(disk::failure(&folder, &error)))?;
        }
        Ok(lengths)
    }
}

/// Makes all rows of a part survive a crash.
fn settle(disk: &Disk, growing: &mut Growing, packing: Packing) -> Result<(), Undone> {
    if !growing.loose.is_empty() {
        pack(disk, growing, packing)?;
    }
    if growing.dirty {
        // Not again after a failure: what is not safe then is not known, and the checkpoint before names what is.
        let synced = growing.file.sync_data();
        synced.map_err(|error| Undone::Failed(disk::failure(&growing.path, &error)))?;
        growing.dirty = false;
    }
    Ok(())
}

fn pack(disk: &Disk, growing: &mut Growing, packing: Packing) -> Result<(), Undone> {
    let member = packing.member(&growing.loose);
    let member = member.map_err(|error| Undone::Failed(disk::failure(&growing.path, &error)))?;
    growing.loose.clear();
    append(disk, growing, &member)
}

fn append(disk: &Disk, growing: &mut Growing, bytes: &[u8]) -> Result<(), Undone> {
    growing.dirty = true;
    // At its place, so that what was half written is overwritten.
    let (file, at) = (&growing.file, growing.length);
    disk.patiently(&growing.path, || file.write_all_at(bytes, at))?;
    growing.length += bytes.len() as u64;
    Ok(())
}
