//! Checkpoints that several processes see: one is held up amid what it does with them, until the epochs that it looked at are
//! not kept any more.
#![allow(clippy::unwrap_used)]

mod epochs;

use std::io;
use std::path::Path;
use std::sync::Arc;

use epochs::checkpoint;
use parking_lot::Mutex;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::state_store;
use thalweg_engine::epoch::store::{Entry, FolderStore, Store};
use thalweg_engine::state::StateChanges;

/// What others do meanwhile.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// A folder as a process sees it that is held up before it reads the first epoch of those that it has found.
struct HeldUp {
    below: FolderStore,
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl Store for HeldUp {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.below.put(name, bytes)
    }

    fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        let meanwhile = self.meanwhile.lock().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        self.below.get(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        self.below.list(folder)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.below.remove(name)
    }

    fn locked(&self) -> bool {
        false
    }

    fn location(&self) -> String {
        self.below.location()
    }

    fn note(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn noted(&self) -> Option<u64> {
        None
    }
}

fn store(folder: &Path, token: &str) -> FolderStore {
    FolderStore::share(folder, token).unwrap()
}

/// The log of a process that is held up once, while another one goes on behind epoch 1 until that is not kept any more.
fn held_up(folder: &Path) -> (CheckpointLog, Arc<HeldUp>) {
    let below = Arc::new(HeldUp {
        below: store(folder, "a-"),
        meanwhile: Mutex::default(),
    });
    let mut changes = StateChanges::default();
    changes.entries.put(b"n", |out| out.push(1));
    state_store::write(&*below, "state/count", &changes).unwrap();
    let log = CheckpointLog::new(below.clone(), 3, false);
    log.commit(&checkpoint(0, &["count"])).unwrap();
    log.commit(&checkpoint(1, &["count"])).unwrap();
    let other = CheckpointLog::new(Arc::new(store(folder, "b-")), 3, false);
    *below.meanwhile.lock() = Some(Box::new(move || {
        other.recover().unwrap();
        for epoch in 2..10 {
            other.commit(&checkpoint(epoch, &["count"])).unwrap();
        }
    }));
    (log, below)
}

#[test]
fn state_stays_that_the_epochs_of_a_successor_name_and_none_of_those_that_were_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let (log, below) = held_up(folder.path());
    // The newest is read first: only then is it held up, before it reads what the kept ones name.
    let meanwhile = below.meanwhile.lock().take();
    let again = Arc::clone(&below);
    *below.meanwhile.lock() = Some(Box::new(move || *again.meanwhile.lock() = meanwhile));
    log.recover().unwrap();
    let log = CheckpointLog::new(Arc::new(store(folder.path(), "c-")), 3, false);
    let newest = log.newest().unwrap().unwrap();
    assert_eq!(newest.epoch, 9);
    log.verify_state(&newest).unwrap();
}

#[test]
fn the_newest_epoch_is_the_one_there_is_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = held_up(folder.path());
    assert_eq!(log.newest().unwrap().unwrap().epoch, 9);
}

#[test]
fn a_lane_is_anothers_also_where_the_epoch_that_says_so_is_not_kept_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (log, below) = held_up(folder.path());
    let other = CheckpointLog::new(Arc::new(store(folder.path(), "c-")), 3, false);
    other.recover().unwrap();
    other.commit(&checkpoint(2, &["count"])).unwrap();
    *below.meanwhile.lock() = Some(Box::new(move || {
        for epoch in 3..10 {
            other.commit(&checkpoint(epoch, &["count"])).unwrap();
        }
    }));
    assert!(!log.is_still_of("held up").unwrap());
}

#[test]
fn what_another_process_has_put_stays_where_this_one_cannot_write_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (store(folder.path(), "a-"), store(folder.path(), "b-"));
    let name = "epochs/00000000000000000007.json";
    other.put(name, b"of the other").unwrap();
    let refused = own.put(name, b"of this one").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    // Nor where it fails before that: something is in its way.
    let aside = ".tmp-a-00000000000000000007.json";
    std::fs::create_dir(folder.path().join("epochs").join(aside)).unwrap();
    own.put(name, b"of this one").unwrap_err();
    assert_eq!(other.get(name).unwrap(), b"of the other");
    assert_eq!(other.list("epochs").unwrap().len(), 1);
}

#[test]
fn state_whose_writing_seemed_to_fail_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let shared = store(folder.path(), "a-");
    let mut changes = StateChanges::default();
    changes.entries.put(b"n", |out| out.push(1));
    for _ in 0..2 {
        state_store::write(&shared, "state/count", &changes).unwrap();
    }
    let read = state_store::read(&shared, "state/count").unwrap();
    assert_eq!(read.entries.len(), changes.entries.len());
}
