//! Disk and store as the threads of an output see them: one without room, or away, is asked again until it can.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use thalweg_engine::error::Failure;
use tokio::sync::Notify;

use crate::objects::untrusted;

/// How long a disk without room is left alone.
const RETRY: Duration = Duration::from_millis(500);

/// What the threads and the writers of one run share.
#[derive(Default)]
pub(super) struct Disk {
    /// Why nothing can be written now.
    away: Mutex<Option<String>>,
    /// What ended the writing.
    failed: Mutex<Option<Failure>>,
    closed: AtomicBool,
    closing: Condvar,
    /// Told whenever something is written, made visible, or has failed, and at the end.
    pub(super) progress: Notify,
}

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Undone {
    /// The output was closed meanwhile.
    Closed,
    /// It failed.
    Failed(Failure),
}

impl Disk {
    pub(super) fn close(&self) {
        // Under the lock, so that nobody looks just before and waits just after.
        let _away = self.away.lock();
        self.closed.store(true, Ordering::Release);
        self.closing.notify_all();
        self.progress.notify_waiters();
    }

    pub(super) fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn away(&self) -> Option<String> {
        self.away.lock().clone()
    }

    pub(super) fn failed(&self) -> Option<Failure> {
        self.failed.lock().clone()
    }

    /// What ended the writing: closing it, when nothing failed.
    pub(super) fn why(&self) -> Failure {
        let closed = || Failure::restart("the output was closed");
        self.failed().unwrap_or_else(closed)
    }

    pub(super) fn fail(&self, failure: Failure) {
        self.failed.lock().get_or_insert(failure);
        self.progress.notify_waiters();
    }

    /// Does it, and while there is no room does it again. `path` is for the message.
    pub(super) fn patiently<T>(
        &self,
        path: &Path,
        mut act: impl FnMut() -> io::Result<T>,
    ) -> Result<T, Undone> {
        let mut waited = false;
        loop {
            match act() {
                Ok(done) => {
                    if waited {
                        *self.away.lock() = None;
                    }
                    return Ok(done);
                }
                Err(error) if passes(&error) => {
                    let mut away = self.away.lock();
                    waited = true;
                    let then = match error.kind() {
                        io::ErrorKind::NotConnected => "what is complete waits for the store",
                        _ => "no row is taken until there is room",
                    };
                    *away = Some(format!(
                        "{} cannot be written: {error}; {then}",
                        path.display()
                    ));
                    if !self.closed() {
                        self.closing.wait_for(&mut away, RETRY);
                    }
                    if self.closed() {
                        return Err(Undone::Closed);
                    }
                }
                Err(error) => return Err(Undone::Failed(failure(path, &error))),
            }
        }
    }
}

/// What to say of a file or folder that cannot be written.
pub(super) fn failure(path: &Path, error: &io::Error) -> Failure {
    let advice = match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => {
            ". Raise the limit of open files (`ulimit -n`), or lower maxOpenFiles"
        }
        _ => "",
    };
    Failure::restart(format!(
        "{} cannot be written: {error}{advice}",
        path.display()
    ))
}

/// Places that runs of this process have written: where one of these refuses it may be for a moment, as a full disk is.
static WRITTEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A run writes below this place.
pub(super) fn writes(place: &Path) {
    WRITTEN.lock().insert(place.to_owned());
}

/// Whether it is the right to write that is gone, where a run has written before.
pub(super) fn for_a_while(path: &Path, error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
        && path.ancestors().any(|place| WRITTEN.lock().contains(place))
}

/// The same at a start, where nothing helps against some of it but a person; at the first one, and not at that of a new run.
pub(super) fn hindrance(path: &Path, error: &io::Error) -> Failure {
    let failure = failure(path, error);
    match error.kind() {
        _ if untrusted(error) => Failure::refuse(failure.message),
        _ if for_a_while(path, error) => failure,
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::Unsupported => Failure::refuse(failure.message),
        _ => failure,
    }
}

/// Whether the error says that there is no room, or that a store is away.
pub(super) fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::NotConnected
    )
}

/// Makes what stands in a folder survive a crash of the machine.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use thalweg_engine::error::Remedy;

    use super::*;

    #[test]
    fn a_folder_that_refuses_is_an_error_of_the_first_start_alone() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("_thalweg/rows");
        let remedies = || {
            [
                io::ErrorKind::PermissionDenied,
                io::ErrorKind::ReadOnlyFilesystem,
                io::ErrorKind::NotADirectory,
            ]
            .map(|kind| hindrance(&below, &kind.into()).remedy)
        };
        assert_eq!(remedies(), [Remedy::Refuse; 3]);
        writes(folder.path());
        let again = [Remedy::Restart, Remedy::Restart, Remedy::Refuse];
        assert_eq!(remedies(), again);
    }
}
