//! The store of the world: objects in memory, with puts that fail.

use std::io;
use std::time::SystemTime;

use thalweg_engine::epoch::store::{Entry, Store};

use crate::World;

impl Store for World {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut objects = self.objects.lock();
        if objects.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if self.fault(12) {
            return Err(io::Error::other("planted: fsync failed"));
        }
        objects.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        let objects = self.objects.lock();
        objects
            .get(name)
            .cloned()
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        let objects = self.objects.lock();
        Ok(objects
            .iter()
            .filter_map(|(name, bytes)| {
                Some(Entry {
                    name: name.strip_prefix(folder)?.strip_prefix('/')?.to_owned(),
                    size: bytes.len() as u64,
                    modified: SystemTime::UNIX_EPOCH,
                })
            })
            .collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.objects.lock().remove(name);
        Ok(())
    }

    fn locked(&self) -> bool {
        self.locked
    }

    fn location(&self) -> String {
        "simulated".into()
    }

    fn note(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn noted(&self) -> Option<u64> {
        None
    }
}
