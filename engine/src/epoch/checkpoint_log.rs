//! The log of checkpoints: one object per epoch under `epochs/`, its state under `state/`.
//!
//! Format: [`Checkpoint`]. Write: [`CheckpointLog::commit`], one object at a time, in the order of epochs. Read:
//! [`CheckpointLog::newest`]. Recover: at the start, state that no kept checkpoint names is removed; a newest checkpoint
//! that is broken or missing is an error, never a silent step back.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::epoch::checkpoint::{Checkpoint, Damage};
use crate::epoch::retention;
use crate::epoch::state_store;
use crate::epoch::store::{Entry, Store};
use crate::error::Failure;
use crate::record::Micros;

/// An epoch that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub epoch: u64,
    /// Bytes of the checkpoint, without state.
    pub size: u64,
    /// When it was written.
    pub at: Micros,
}

/// The checkpoints of one query.
pub struct CheckpointLog {
    store: Arc<dyn Store>,
    kept_max: usize,
    history: bool,
    /// Epoch by epoch: when it was committed and the state objects it needs; None until they are known.
    kept: Mutex<BTreeMap<u64, (Micros, BTreeSet<String>)>>,
}

fn object(epoch: u64) -> String {
    format!("epochs/{epoch:020}.json")
}

fn micros(time: SystemTime) -> Micros {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
    })
}

fn kept(entry: &Entry) -> Option<Kept> {
    let digits = entry.name.strip_suffix(".json")?;
    (digits.len() == 20).then_some(())?;
    Some(Kept {
        epoch: digits.parse().ok()?,
        size: entry.size,
        at: micros(entry.modified),
    })
}

impl CheckpointLog {
    /// A log in this store that keeps the newest `kept_max` epochs, and with `history` one per minute for an hour and one
    /// per hour for a day.
    pub fn new(store: Arc<dyn Store>, kept_max: usize, history: bool) -> Self {
        Self {
            store,
            kept_max,
            history,
            kept: Mutex::default(),
        }
    }

    /// Where it lies, for messages.
    pub fn location(&self) -> String {
        self.store.location()
    }

    /// The store below.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The epochs there are, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self) -> Result<Vec<Kept>, Failure> {
        let entries = self
            .store
            .list("epochs")
            .map_err(|error| self.unreadable("epochs", &error))?;
        Ok(entries.iter().filter_map(kept).collect())
    }

    /// The checkpoint of one epoch.
    ///
    /// # Errors
    /// `Refuse` when it is missing or damaged; the message names the file and the remedy.
    pub fn read(&self, epoch: u64) -> Result<Checkpoint, Failure> {
        let name = object(epoch);
        let bytes = self
            .store
            .get(&name)
            .map_err(|error| self.unreadable(&name, &error))?;
        let checkpoint =
            Checkpoint::decode(&bytes).map_err(|damage| self.damaged(&name, &damage))?;
        if checkpoint.epoch != epoch {
            return Err(self.damaged(
                &name,
                &Damage::Content(format!(
                    "it is the checkpoint of epoch {}",
                    checkpoint.epoch
                )),
            ));
        }
        Ok(checkpoint)
    }

    /// The newest checkpoint; None when there has never been one.
    ///
    /// # Errors
    /// `Refuse` when the newest is damaged, or was deleted.
    pub fn newest(&self) -> Result<Option<Checkpoint>, Failure> {
        let newest = self.list()?.last().map(|kept| kept.epoch);
        if let Some(noted) = self.store.noted()
            && newest < Some(noted)
        {
            let found = newest.map_or("there is none".to_owned(), |epoch| {
                format!("the newest there is epoch {epoch}")
            });
            return Err(Failure::refuse(format!(
                "{}/{} is missing: epoch {noted} was committed, but {found}. Records after it would be \
                 processed again. Put the file back, or accept that with `thalweg checkpoint rollback {} {}`.",
                self.location(),
                object(noted),
                self.location(),
                newest.unwrap_or(0),
            )));
        }
        newest.map(|epoch| self.read(epoch)).transpose()
    }

    /// Reads all state objects of a checkpoint and keeps nothing of them: whether a start from it would find them whole.
    ///
    /// # Errors
    /// `Refuse` when one is missing or damaged; the message names the file and the remedy.
    pub fn verify_state(&self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        checkpoint.objects().try_for_each(|object| {
            let name = format!("state/{object}");
            state_store::verify(&*self.store, &name)
                .map_err(|error| self.unusable_state(checkpoint.epoch, &name, &error))
        })
    }

    /// What to say of a state object that cannot be read.
    pub(crate) fn unusable_state(&self, epoch: u64, name: &str, error: &io::Error) -> Failure {
        let location = self.location();
        let why = match error.kind() {
            io::ErrorKind::NotFound => "is missing".to_owned(),
            io::ErrorKind::InvalidData => format!("is damaged: {error}"),
            _ => format!("cannot be read: {error}"),
        };
        Failure::refuse(format!(
            "{location}/{name}, state of epoch {epoch}, {why}. Nothing was changed. Restore the file from a copy, or go \
             back to an epoch that does not need it: `thalweg inspect {location}` lists them, `thalweg checkpoint \
             rollback {location} N` goes back to epoch N."
        ))
    }

    /// Prepares for writing: learns what is kept and removes state that no kept checkpoint names. Returns the newest.
    ///
    /// # Errors
    /// As [`CheckpointLog::newest`].
    pub fn recover(&self) -> Result<Option<Checkpoint>, Failure> {
        let newest = self.newest()?;
        let state = self
            .store
            .list("state")
            .map_err(|error| self.unreadable("state", &error))?;
        let mut known = BTreeMap::new();
        for kept in self.list()? {
            // Without any state there is nothing to look up, and a start stays fast.
            let objects = if state.is_empty() {
                BTreeSet::new()
            } else {
                match self.read(kept.epoch) {
                    Ok(checkpoint) => checkpoint.objects().cloned().collect(),
                    // An older one that is damaged is of no use and holds nothing back.
                    Err(_) => BTreeSet::new(),
                }
            };
            known.insert(kept.epoch, (kept.at, objects));
        }
        for entry in state {
            if !known
                .values()
                .any(|(_, objects)| objects.contains(&entry.name))
            {
                self.forget(&format!("state/{}", entry.name));
            }
        }
        *self.kept.lock() = known;
        Ok(newest)
    }

    /// The decision moment: once it returns, the epoch is committed. Gives the checkpoint's size in bytes.
    ///
    /// # Errors
    /// `AlreadyExists` when another has committed this epoch; else what the store says; the epoch is then not committed and
    /// may be tried again.
    pub fn commit(&self, checkpoint: &Checkpoint) -> io::Result<u64> {
        let (name, bytes) = (object(checkpoint.epoch), checkpoint.encode());
        match self.store.put(&name, &bytes) {
            // A put that seemed to fail, and was tried again, may have succeeded.
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists
                    && self.store.get(&name).is_ok_and(|there| there == bytes) => {}
            put => put?,
        }
        // The note only helps to notice a deleted file; without it nothing is lost.
        if let Err(error) = self.store.note(checkpoint.epoch) {
            tracing::debug!(%error, "the note of the newest epoch could not be written");
        }
        self.clean(checkpoint);
        Ok(bytes.len() as u64)
    }

    /// Removes the epochs that need not be kept any longer, and their state.
    fn clean(&self, newest: &Checkpoint) {
        let mut kept = self.kept.lock();
        kept.insert(
            newest.epoch,
            (newest.committed_at, newest.objects().cloned().collect()),
        );
        let epochs: Vec<(u64, Micros)> =
            kept.iter().map(|(epoch, (at, _))| (*epoch, *at)).collect();
        for epoch in
            retention::superfluous(&epochs, newest.committed_at, self.kept_max, self.history)
        {
            self.forget(&object(epoch));
            let Some((_, objects)) = kept.remove(&epoch) else {
                continue;
            };
            for name in objects {
                if !kept.values().any(|(_, objects)| objects.contains(&name)) {
                    self.forget(&format!("state/{name}"));
                }
            }
        }
    }

    /// Removes an object that nothing names any more.
    pub(crate) fn forget(&self, name: &str) {
        if let Err(error) = self.store.remove(name) {
            tracing::warn!(%error, object = name, location = self.location(), "an old object could not be removed");
        }
    }

    fn unreadable(&self, name: &str, error: &io::Error) -> Failure {
        Failure::refuse(format!(
            "{}/{name} cannot be read: {error}",
            self.location()
        ))
    }

    fn damaged(&self, name: &str, damage: &Damage) -> Failure {
        let location = self.location();
        Failure::refuse(format!(
            "{location}/{name} cannot be used: {damage}. Nothing was changed. Restore the file from a copy, or go \
             back to an older epoch: `thalweg inspect {location}` lists them, `thalweg checkpoint rollback {location} N` \
             goes back to epoch N."
        ))
    }
}
