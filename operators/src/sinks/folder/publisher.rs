//! Makes complete parts visible: in one step under their final name, and the same however often it is begun.
//!
//! | hidden | then |
//! | --- | --- |
//! | rows only | the part is made of them, under a name of its own until it is whole |
//! | the whole part, and rows | the rows go |
//! | the whole part | it is renamed to its place, or put into its bucket |
//! | nothing | this was done before, or another process that has taken the lane over does it |

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use thalweg_engine::behalf::carrying;
use thalweg_engine::epoch::store::Store;
use thalweg_engine::error::Failure;
use tokio::sync::oneshot;

use super::beside;
use super::disk::{self, Disk, Undone};
use super::goal::Goal;
use super::lease::Lease;
use super::part::{Hidden, Part};

/// So many complete parts may wait before no row is taken.
const WAITING_MAX: usize = 64;

/// Where the rows of a part are.
#[derive(Clone)]
pub(super) enum Place {
    /// In a folder of hidden files.
    Hidden(PathBuf),
    /// Beside the checkpoints, as long as these are this process's.
    Beside {
        store: Arc<dyn Store>,
        lease: Arc<Lease<'static>>,
    },
}

struct Job {
    part: Part,
    place: Place,
    done: oneshot::Sender<()>,
}

#[derive(Default)]
struct Shared {
    jobs: Mutex<VecDeque<Job>>,
    wake: Condvar,
}

/// The threads that make parts visible while rows are being written.
pub(super) struct Publisher {
    shared: Arc<Shared>,
    disk: Arc<Disk>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Publisher {
    pub(super) fn start(disk: &Arc<Disk>, goal: &Arc<Goal>) -> Result<Self, Failure> {
        let this = Self {
            shared: Arc::default(),
            disk: Arc::clone(disk),
            threads: Mutex::default(),
        };
        for _ in 0..goal.at_once() {
            let (shared, disk, goal) =
                (Arc::clone(&this.shared), Arc::clone(disk), Arc::clone(goal));
            let thread = std::thread::Builder::new()
                .name("publish files".to_owned())
                .spawn(carrying(move || run(&shared, &disk, &goal)))
                .map_err(|error| Failure::restart(format!("no thread to write with: {error}")))?;
            this.threads.lock().push(thread);
        }
        Ok(this)
    }

    /// Makes a part visible; resolves when it is.
    pub(super) fn publish(&self, part: Part, place: Place) -> oneshot::Receiver<()> {
        let (done, published) = oneshot::channel();
        self.shared.jobs.lock().push_back(Job { part, place, done });
        self.shared.wake.notify_one();
        published
    }

    /// Whether so many wait that no more rows should come.
    pub(super) fn full(&self) -> bool {
        self.shared.jobs.lock().len() >= WAITING_MAX
    }

    /// Ends the threads; the disk is closed already. The next start makes visible what is left.
    pub(super) fn join(&self) {
        // Under the lock, so that no thread can look just before and wait just after.
        drop(self.shared.jobs.lock());
        self.shared.wake.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            let _ = thread.join();
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.disk.close();
        self.join();
    }
}

fn run(shared: &Shared, disk: &Disk, goal: &Goal) {
    loop {
        let job = {
            let mut jobs = shared.jobs.lock();
            loop {
                if disk.closed() {
                    return jobs.clear();
                }
                match jobs.pop_front() {
                    Some(job) => break job,
                    None => shared.wake.wait(&mut jobs),
                }
            }
        };
        let shown = goal.shown(&job.part.file);
        let published = disk.patiently(&shown, || match &job.place {
            Place::Hidden(hidden) => publish(&job.part, hidden, goal),
            Place::Beside { store, lease } => beside::publish(&job.part, &**store, lease, goal),
        });
        match published {
            Ok(()) => {
                // Nobody waits only when the lane is gone.
                let _ = job.done.send(());
                disk.progress.notify_waiters();
            }
            Err(undone) => {
                if let Undone::Failed(failure) = undone {
                    disk.fail(failure);
                }
                return shared.jobs.lock().clear();
            }
        }
    }
}

/// Makes a part visible, from wherever an earlier try has left it.
pub(super) fn publish(part: &Part, hidden: &Path, goal: &Goal) -> io::Result<()> {
    let from = Hidden::of(hidden, &part.file);
    if !from.whole.try_exists()? && from.rows.try_exists()? {
        make_whole(part, &from, hidden)?;
    }
    match fs::remove_file(&from.rows) {
        // The part may stand in its place only when the rows cannot come back.
        Ok(()) => disk::sync_folder(hidden)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if goal.take(&from.whole, &part.file)? {
        disk::sync_folder(hidden)?;
    }
    Ok(())
}

/// Makes the part of its committed rows. Where others are quicker there is nothing left to do.
#[cfg(feature = "parquet")]
fn make_whole(part: &Part, from: &Hidden, hidden: &Path) -> io::Result<()> {
    // There before the rows are looked for: who takes the lane over removes it when the rows have gone.
    let half = from.half();
    let made = fs::File::create(&half)
        .and_then(|file| {
            super::parquet::make(fs::File::open(&from.rows)?, part.bytes, &file)?;
            file.sync_all()
        })
        .and_then(|()| from.rows.try_exists());
    let done = match made {
        Ok(true) => fs::rename(&half, &from.whole),
        Ok(false) => Err(io::ErrorKind::NotFound.into()),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => disk::sync_folder(hidden),
        Err(error) => {
            // A disk without room is asked again.
            let _ = fs::remove_file(&half);
            match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }
        }
    }
}

#[cfg(not(feature = "parquet"))]
fn make_whole(_: &Part, from: &Hidden, _: &Path) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!(
            "{} holds rows of a Parquet file, and {}",
            from.rows.display(),
            super::LACKS_PARQUET
        ),
    ))
}
