//! A checkpoint folder that run after run has.

use std::path::Path;
use std::time::{Duration, Instant};

use thalweg_engine::epoch::store::{FolderStore, OpenError};

/// The folder, whose lock the thread of the coordinator lets go a moment after the run before has ended.
pub(crate) fn locked(folder: &Path) -> FolderStore {
    let began = Instant::now();
    loop {
        match FolderStore::lock(folder) {
            Err(OpenError::InUse { .. }) if began.elapsed() < Duration::from_secs(60) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            locked => return locked.unwrap(),
        }
    }
}
