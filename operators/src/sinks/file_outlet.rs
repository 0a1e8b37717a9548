//! A thread that writes lines to a file, a pipe or a terminal, so that a slow reader never holds up a lane.
//!
//! It writes what has gathered since its last write: one line at once when little comes, many together when much comes.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use thalweg_engine::behalf::carrying;
use thalweg_engine::error::Failure;
use thalweg_engine::recorder::Trace;
use thalweg_engine::sink::{DeliveryObserver, LocalFuture, Origin, Readiness};
use tokio::sync::oneshot;

use super::stream::Target;

/// With so many bytes waiting the lanes pause.
const WAITING_MAX: usize = 1 << 20;
/// The output rows of one record.
struct Note {
    observer: Arc<dyn DeliveryObserver>,
    rows: u64,
    bytes: u64,
    written: Instant,
    taken: Instant,
    trace: Trace,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    notes: Vec<Note>,
    rows: u64,
    delivered: Vec<oneshot::Sender<Result<(), Failure>>>,
    drained: Vec<oneshot::Sender<Result<(), Failure>>>,
    failed: Option<Failure>,
    closed: bool,
}

impl State {
    fn idle(&self) -> bool {
        self.waiting.is_empty() && self.notes.is_empty() && self.delivered.is_empty()
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

/// The thread and what waits for it.
pub(super) struct Outlet {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Outlet {
    pub(super) fn open(target: Target) -> Result<Arc<Self>, Failure> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name(format!("write {}", target.shown()))
            .spawn(carrying({
                let shared = Arc::clone(&shared);
                move || run(target, &shared)
            }))
            .map_err(|error| Failure::restart(format!("no thread to write with: {error}")))?;
        Ok(Arc::new(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Rows taken and not yet written.
    pub(super) fn in_flight(&self) -> u64 {
        self.shared.state.lock().rows
    }

    /// Writes what it can at once, then ends the thread.
    pub(super) fn close(&self) {
        self.shared.state.lock().closed = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(mut target: Target, shared: &Shared) {
    let mut bytes = Vec::new();
    let mut notes = Vec::new();
    loop {
        bytes.clear();
        let delivered;
        let drained;
        {
            let mut state = shared.state.lock();
            while state.idle() && !state.closed {
                shared.wake.wait(&mut state);
            }
            if state.closed && state.idle() {
                return;
            }
            std::mem::swap(&mut bytes, &mut state.waiting);
            std::mem::swap(&mut notes, &mut state.notes);
            delivered = std::mem::take(&mut state.delivered);
            drained = std::mem::take(&mut state.drained);
        }
        for waiter in drained {
            let _ = waiter.send(Ok(()));
        }
        let closed = || shared.state.lock().closed;
        let written = target.write(&bytes, &closed).and_then(|()| {
            if delivered.is_empty() {
                Ok(())
            } else {
                target.make_safe()
            }
        });
        let result = written.map_err(|error| target.failure(&error));
        if let Err(failure) = &result {
            let mut state = shared.state.lock();
            state.failed = Some(failure.clone());
            let State {
                delivered: later,
                drained,
                ..
            } = &mut *state;
            for waiter in delivered
                .into_iter()
                .chain(later.drain(..))
                .chain(drained.drain(..))
            {
                let _ = waiter.send(Err(failure.clone()));
            }
            return;
        }
        let rows: u64 = notes.iter().map(|note| note.rows).sum();
        shared.state.lock().rows -= rows;
        for note in notes.drain(..) {
            note.acknowledge();
        }
        for waiter in delivered {
            let _ = waiter.send(Ok(()));
        }
    }
}

impl Note {
    fn acknowledge(self) {
        let micros =
            |since: Instant| u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.observer.acknowledged(self.rows, self.bytes);
        self.observer
            .delivered(&self.trace, micros(self.written), micros(self.taken));
    }
}

/// One lane's way to the outlet.
pub(super) struct Inlet {
    outlet: Arc<Outlet>,
    observer: Arc<dyn DeliveryObserver>,
    /// The lines of the record that is being written.
    pub(super) staged: Vec<u8>,
    rows: u64,
    taken: Option<Instant>,
}

impl Inlet {
    pub(super) fn new(outlet: &Arc<Outlet>, observer: Arc<dyn DeliveryObserver>) -> Self {
        Self {
            outlet: Arc::clone(outlet),
            observer,
            staged: Vec::new(),
            rows: 0,
            taken: None,
        }
    }

    /// Notes that a row stands in `staged`.
    pub(super) fn row(&mut self, origin: Origin<'_>) {
        self.rows += 1;
        self.taken = Some(origin.meta.taken);
    }

    /// Hands over what is staged.
    pub(super) fn accept(&mut self) -> Result<Readiness, Failure> {
        let mut state = self.outlet.shared.state.lock();
        if let Some(failure) = &state.failed {
            return Err(failure.clone());
        }
        if self.rows > 0 || !self.staged.is_empty() {
            let now = Instant::now();
            state.waiting.extend_from_slice(&self.staged);
            state.rows += self.rows;
            state.notes.push(Note {
                observer: Arc::clone(&self.observer),
                rows: self.rows,
                bytes: self.staged.len() as u64,
                written: now,
                taken: self.taken.unwrap_or(now),
                trace: self.observer.trace(),
            });
            self.outlet.shared.wake.notify_one();
        }
        let full = state.waiting.len() >= WAITING_MAX;
        drop(state);
        self.reject();
        Ok(if full {
            Readiness::Full
        } else {
            Readiness::Ready
        })
    }

    /// Forgets what is staged.
    pub(super) fn reject(&mut self) {
        self.staged.clear();
        self.rows = 0;
        self.taken = None;
    }

    pub(super) fn drained(&self) -> LocalFuture<Result<(), Failure>> {
        self.when(|state| (state.waiting.len() >= WAITING_MAX).then_some(&mut state.drained))
    }

    pub(super) fn delivered(&self) -> LocalFuture<Result<(), Failure>> {
        self.when(|state| Some(&mut state.delivered))
    }

    /// Resolves when the thread has seen to this list; at once where there is none.
    fn when(
        &self,
        list: impl FnOnce(&mut State) -> Option<&mut Vec<oneshot::Sender<Result<(), Failure>>>>,
    ) -> LocalFuture<Result<(), Failure>> {
        let mut state = self.outlet.shared.state.lock();
        if let Some(failure) = &state.failed {
            return Box::pin(std::future::ready(Err(failure.clone())));
        }
        let Some(list) = list(&mut state) else {
            return Box::pin(std::future::ready(Ok(())));
        };
        let (sender, receiver) = oneshot::channel();
        list.push(sender);
        drop(state);
        self.outlet.shared.wake.notify_one();
        Box::pin(async move {
            receiver
                .await
                .unwrap_or_else(|_| Err(Failure::restart("the output was closed")))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{self, Read};
    use std::os::fd::OwnedFd;

    use super::super::stream::READER_GONE;
    use super::super::testing::{Observed, meta, wait};
    use super::*;

    fn pipe() -> (io::PipeReader, Target) {
        let (reader, writer) = io::pipe().unwrap();
        let file = File::from(OwnedFd::from(writer));
        (reader, Target::file(file, "a pipe".to_owned()).unwrap())
    }

    fn line(inlet: &mut Inlet, text: &[u8]) -> Result<Readiness, Failure> {
        inlet.staged.extend_from_slice(text);
        inlet.row(Origin {
            meta: &meta(),
            index: 0,
            moment: false,
        });
        inlet.accept()
    }

    #[test]
    fn a_single_line_is_written_at_once_without_a_flush() {
        let (mut reader, target) = pipe();
        let observed = Arc::new(Observed::default());
        let mut inlet = Inlet::new(&Outlet::open(target).unwrap(), Arc::clone(&observed) as _);
        line(&mut inlet, b"first\n").unwrap();
        let mut bytes = [0; 6];
        reader.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"first\n");
    }

    #[test]
    fn a_reader_that_stops_reading_fills_the_outlet_but_blocks_neither_lane_nor_stop() {
        let (reader, target) = pipe();
        let outlet = Outlet::open(target).unwrap();
        let mut inlet = Inlet::new(&outlet, Arc::new(Observed::default()));
        let text = vec![b'x'; 64 * 1024];
        let mut lines = 0;
        while line(&mut inlet, &text).unwrap() == Readiness::Ready {
            lines += 1;
            assert!(lines < 100);
        }
        assert!(outlet.in_flight() > 0);
        outlet.close();
        drop(reader);
    }

    #[test]
    fn a_full_outlet_drains_when_its_reader_goes_on() {
        let (mut reader, target) = pipe();
        let outlet = Outlet::open(target).unwrap();
        let mut inlet = Inlet::new(&outlet, Arc::new(Observed::default()));
        let text = vec![b'x'; 64 * 1024];
        let mut bytes = text.len();
        while line(&mut inlet, &text).unwrap() == Readiness::Ready {
            bytes += text.len();
        }
        let read = std::thread::spawn(move || {
            let mut all = vec![0; bytes];
            reader.read_exact(&mut all).unwrap();
        });
        wait(inlet.drained()).unwrap();
        wait(inlet.delivered()).unwrap();
        read.join().unwrap();
        assert_eq!(outlet.in_flight(), 0);
    }

    #[test]
    fn a_reader_that_has_gone_is_a_failure_and_no_panic() {
        let (reader, mut target) = pipe();
        target.stdout = true;
        drop(reader);
        let outlet = Outlet::open(target).unwrap();
        let mut inlet = Inlet::new(&outlet, Arc::new(Observed::default()));
        line(&mut inlet, b"lost\n").unwrap();
        assert_eq!(wait(inlet.delivered()), Err(Failure::end(READER_GONE)));
        assert_eq!(line(&mut inlet, b"lost\n"), Err(Failure::end(READER_GONE)));
    }

    #[test]
    fn what_is_rejected_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let target = Target::file(File::create(&path).unwrap(), "out".to_owned()).unwrap();
        let observed = Arc::new(Observed::default());
        let mut inlet = Inlet::new(&Outlet::open(target).unwrap(), Arc::clone(&observed) as _);
        inlet.staged.extend_from_slice(b"rejected\n");
        inlet.reject();
        line(&mut inlet, b"accepted\n").unwrap();
        wait(inlet.delivered()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"accepted\n");
        assert_eq!(observed.rows(), 1);
    }
}
