//! Objects in memory that all processes of a simulation see, and another process that commits at the worst moment.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use thalweg_engine::epoch::checkpoint::Checkpoint;
use thalweg_engine::epoch::state_store;
use thalweg_engine::epoch::store::{Entry, Store};
use thalweg_engine::state::StateChanges;

/// What another process is about to commit.
pub(crate) struct Rival {
    /// Until it is written.
    pub(crate) state: Option<StateChanges>,
    pub(crate) checkpoint: Checkpoint,
}

/// Objects that all processes see; whoever puts one first has put it.
#[derive(Clone, Default)]
pub(crate) struct Shelf {
    objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    folder: String,
    pub(crate) rival: Arc<Mutex<Option<Rival>>>,
    /// How often state was read.
    pub(crate) reads: Arc<AtomicUsize>,
}

impl Shelf {
    pub(crate) fn within(&self, folder: &str) -> Self {
        Self {
            objects: Arc::clone(&self.objects),
            folder: format!("{}{folder}/", self.folder),
            rival: Arc::clone(&self.rival),
            reads: Arc::clone(&self.reads),
        }
    }

    /// The rival writes its state.
    fn rival_writes(&self, rival: &mut Rival) {
        if let Some(state) = rival.state.take() {
            let name = rival.checkpoint.objects().last().unwrap();
            state_store::write(self, &format!("state/{name}"), &state).unwrap();
        }
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }
}

impl Store for Shelf {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let epoch =
            |rival: &mut Rival| name == format!("epochs/{:020}.json", rival.checkpoint.epoch);
        let rival = self.rival.lock().take_if(epoch);
        if let Some(mut rival) = rival {
            self.rival_writes(&mut rival);
            self.put(name, &rival.checkpoint.encode())?;
        }
        match self.objects.lock().entry(self.path(name)) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(bytes.to_vec());
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(_) => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
        }
    }

    fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        if name.starts_with("state/") {
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
        let objects = self.objects.lock();
        let object = objects.get(&self.path(name)).cloned();
        object.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        let rival = self.rival.lock().take();
        if let Some(mut rival) = rival {
            if folder == "state" {
                self.rival_writes(&mut rival);
            }
            *self.rival.lock() = Some(rival);
        }
        let prefix = format!("{}/", self.path(folder));
        let objects = self.objects.lock();
        let found = objects.iter().filter_map(|(name, bytes)| {
            Some(Entry {
                name: name.strip_prefix(&prefix)?.to_owned(),
                size: bytes.len() as u64,
                modified: SystemTime::UNIX_EPOCH,
            })
        });
        Ok(found.collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.objects.lock().remove(&self.path(name));
        Ok(())
    }

    fn locked(&self) -> bool {
        false
    }

    fn location(&self) -> String {
        format!("shelf/{}", self.folder)
    }

    fn note(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn noted(&self) -> Option<u64> {
        None
    }
}
