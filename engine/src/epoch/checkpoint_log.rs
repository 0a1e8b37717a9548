//! The log of checkpoints: one object per epoch under `epochs/`, its state under `state/`.
//!
//! Format: [`Checkpoint`]. Write: [`CheckpointLog::commit`], one object at a time, in the order of epochs. Read:
//! [`CheckpointLog::newest`]. Recover: at the start, state that no kept checkpoint names is removed; a newest checkpoint
//! that is broken or missing is an error, never a silent step back.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock;
use crate::epoch::checkpoint::{Checkpoint, Damage, USUAL_INTERVAL_MAX};
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
    /// The epoch that this process has committed last.
    own: Mutex<Option<u64>>,
}

fn object(epoch: u64) -> String {
    format!("epochs/{epoch:020}.json")
}

/// Whether the store is away and may come back, as an object store may; a folder that cannot be read is a person's to mend.
fn away(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotConnected
}

fn kept(entry: &Entry) -> Option<Kept> {
    let digits = entry.name.strip_suffix(".json")?;
    (digits.len() == 20).then_some(())?;
    Some(Kept {
        epoch: digits.parse().ok()?,
        size: entry.size,
        at: clock::micros(entry.modified),
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
            own: Mutex::default(),
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
        let newest = self.last()?;
        if let Some(noted) = self.store.noted()
            && newest < Some(noted)
        {
            let place = self.location();
            let (found, remedy) = match newest {
                Some(epoch) => (
                    format!(
                        "the newest there is epoch {epoch}. Records after it would be processed again"
                    ),
                    format!("accept that with `thalweg checkpoint rollback {place} {epoch}`"),
                ),
                None => (
                    "there is none: the query would begin anew".to_owned(),
                    format!("if that is meant, remove {place} and start with --fresh"),
                ),
            };
            return Err(Failure::refuse(format!(
                "{place}/{} is missing: epoch {noted} was committed, but {found}. Put the file back, or {remedy}.",
                object(noted),
            )));
        }
        newest.map(|epoch| self.read_newest(epoch)).transpose()
    }

    /// The newest checkpoint, which was this one just now. Whoever reads beside a job that runs, and was held up after the
    /// look, finds that it is not kept any more: there are later ones then.
    fn read_newest(&self, mut newest: u64) -> Result<Checkpoint, Failure> {
        loop {
            let failure = match self.read(newest) {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(failure) => failure,
            };
            match self.last()? {
                Some(last) if last > newest => newest = last,
                _ => return Err(failure),
            }
        }
    }

    /// The number of the last epoch there is.
    ///
    /// # Errors
    /// As [`CheckpointLog::list`].
    pub(crate) fn last(&self) -> Result<Option<u64>, Failure> {
        Ok(self.list()?.last().map(|kept| kept.epoch))
    }

    /// Reads all state objects of a checkpoint and keeps nothing of them: whether a start from it would find them whole.
    ///
    /// # Errors
    /// `Refuse` when one is missing or damaged; the message names the file and the remedy.
    pub fn verify_state(&self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        let mut objects = checkpoint.objects();
        objects.try_for_each(|object| self.verify_object(checkpoint.epoch, object))
    }

    /// Reads one state object that an epoch names, and keeps nothing of it.
    ///
    /// # Errors
    /// As [`CheckpointLog::verify_state`].
    pub fn verify_object(&self, epoch: u64, object: &str) -> Result<(), Failure> {
        let name = format!("state/{object}");
        state_store::verify(&*self.store, &name)
            .map_err(|error| self.unusable_state(epoch, &name, &error))
    }

    /// What to say of a state object that cannot be read.
    pub(crate) fn unusable_state(&self, epoch: u64, name: &str, error: &io::Error) -> Failure {
        let location = self.location();
        let why = match error.kind() {
            io::ErrorKind::NotFound => "is missing".to_owned(),
            io::ErrorKind::InvalidData => format!("is damaged: {error}"),
            _ if away(error) => {
                return Failure::restart(format!(
                    "{location}/{name}, state of epoch {epoch}, cannot be read: {error}"
                ));
            }
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
        let kept = self.list()?;
        // Without any state there is nothing to look up, and a start stays fast.
        let known: BTreeMap<u64, (Micros, BTreeSet<String>)> = if state.is_empty() {
            let kept = kept.iter();
            kept.map(|kept| (kept.epoch, (kept.at, BTreeSet::new())))
                .collect()
        } else {
            self.named(&kept)?
        };
        let named: BTreeSet<&String> = known.values().flat_map(|(_, objects)| objects).collect();
        let unnamed = state.iter().filter(|entry| !named.contains(&entry.name));
        let unnamed: Vec<String> = unnamed
            .map(|entry| format!("state/{}", entry.name))
            .collect();
        if !unnamed.is_empty() && self.is_alone()? {
            self.forget_all(&unnamed);
        }
        *self.kept.lock() = known;
        Ok(newest)
    }

    /// Whether what was looked at so far was of this process alone: nobody has committed after it. Asked when all is read: if
    /// the state that was listed holds some of another process, the claim of that one is there; and an epoch that names state
    /// was not removed before it was read, as it is while a process is held up.
    fn is_alone(&self) -> Result<bool, Failure> {
        Ok(self.store.locked() || self.last()? == *self.own.lock())
    }

    /// By epoch, when it was written and the state objects that it needs. An older one that is damaged is of no use and holds
    /// nothing back.
    ///
    /// # Errors
    /// When one cannot be read: what the store does not tell now may be needed all the same.
    fn named(&self, kept: &[Kept]) -> Result<BTreeMap<u64, (Micros, BTreeSet<String>)>, Failure> {
        let read = |kept: &[Kept]| -> Result<Vec<_>, Failure> {
            let read = kept.iter().map(|kept| {
                let name = object(kept.epoch);
                let objects = match self.store.get(&name) {
                    Ok(bytes) => {
                        let decoded = Checkpoint::decode(&bytes);
                        decoded.map_or_else(|_| BTreeSet::new(), |c| c.objects().cloned().collect())
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
                    Err(error) => return Err(self.unreadable(&name, &error)),
                };
                Ok((kept.epoch, (kept.at, objects)))
            });
            read.collect()
        };
        let readers = self.store.at_once().max(1);
        if readers == 1 {
            return Ok(read(kept)?.into_iter().collect());
        }
        let read = &read;
        let shares = std::thread::scope(|scope| {
            let share = kept.len().div_ceil(readers).max(1);
            let shares = kept.chunks(share);
            let reading: Vec<_> = shares
                .map(|share| scope.spawn(move || read(share)))
                .collect();
            let lost = || Err(Failure::restart("reading the checkpoints panicked: a bug"));
            let shares = reading.into_iter();
            shares
                .map(|share| share.join().unwrap_or_else(|_| lost()))
                .collect::<Result<Vec<_>, _>>()
        });
        Ok(shares?.into_iter().flatten().collect())
    }

    /// What a checkpoint says of when the next one comes: nothing where a lock tells whether anybody commits, or where it comes soon.
    pub(crate) fn announces(&self, interval: Duration) -> Option<Micros> {
        let said = !self.store.locked() && interval > USUAL_INTERVAL_MAX;
        said.then(|| Micros::try_from(interval.as_micros()).unwrap_or(Micros::MAX))
    }

    /// Where no lock keeps other processes out: whether a start has to claim the epoch behind the newest checkpoint before it
    /// reads anything.
    ///
    /// # Errors
    /// `End` when another process has committed behind the last epoch of this one.
    pub(crate) fn must_claim(&self, newest: &Checkpoint) -> Result<bool, Failure> {
        match *self.own.lock() {
            None => Ok(true),
            Some(own) if own >= newest.epoch => Ok(false),
            Some(_) => Err(self.taken_over()),
        }
    }

    /// Whether the newest epoch is of this run still: no other process has gone on from there. Asked where this run has committed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn is_still_of(&self, run: &str) -> io::Result<bool> {
        if self.store.locked() {
            return Ok(true);
        }
        let there = self.store.list("epochs")?;
        let Some(last) = there.iter().filter_map(kept).map(|kept| kept.epoch).max() else {
            return Ok(false);
        };
        if *self.own.lock() == Some(last) {
            return Ok(true);
        }
        // This run may be about to learn that it has committed it.
        let name = object(last);
        let bytes = match self.store.get(&name) {
            // Too old to be kept by now: there are later ones, and none of them is of this run.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            got => got?,
        };
        let newest = Checkpoint::decode(&bytes).map_err(|damage| {
            let failure = self.damaged(&name, &damage);
            io::Error::new(io::ErrorKind::InvalidData, failure.message)
        })?;
        Ok(newest.run == run)
    }

    /// What to say of a failure in what this process does with the checkpoints that it has claimed, or begins where there were
    /// none: if another process has gone on from them meanwhile, it has removed what it does not need, and others show traces
    /// of what it has done. Epoch 0 alone may be this process's own, put late.
    pub(crate) fn or_taken_over(&self, failure: Failure) -> Failure {
        let own = self.own.lock().unwrap_or(0);
        let behind = |last: Option<u64>| last > Some(own);
        if !self.store.locked() && self.last().is_ok_and(behind) {
            return self.taken_over();
        }
        failure
    }

    /// What to say when another process has committed here.
    pub(crate) fn taken_over(&self) -> Failure {
        Failure::end(format!(
            "another process has been started later with the checkpoints in {} and goes on from them: this one commits nothing \
             more and ends. Two processes on one checkpointLocation would undo each other's work: stop one of them, or give it \
             another checkpointLocation",
            self.location()
        ))
    }

    /// What to say of a checkpoint that cannot be written at a start.
    pub(crate) fn unwritable(&self, what: &str, error: &io::Error) -> Failure {
        let text = format!("{what} cannot be written to {}: {error}", self.location());
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => Failure::refuse(text),
            _ => Failure::restart(text),
        }
    }

    /// The decision moment: once it returns, the epoch is committed. Gives the checkpoint's size in bytes.
    ///
    /// # Errors
    /// `AlreadyExists` when another has committed this epoch or a later one; else what the store says; the epoch is then not
    /// committed and may be tried again.
    pub fn commit(&self, checkpoint: &Checkpoint) -> io::Result<u64> {
        let (name, bytes) = (object(checkpoint.epoch), checkpoint.encode());
        match self.store.put(&name, &bytes) {
            // A put that seemed to fail, and was tried again, may have succeeded.
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists
                    && self.store.get(&name).is_ok_and(|there| there == bytes) => {}
            put => put?,
        }
        if !self.store.locked() && self.is_behind(checkpoint.epoch)? {
            self.forget(&name);
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} has later epochs than {name}", self.location()),
            ));
        }
        *self.own.lock() = Some(checkpoint.epoch);
        // The note only helps to notice a deleted file; without it nothing is lost.
        if let Err(error) = self.store.note(checkpoint.epoch) {
            tracing::debug!(%error, "the note of the newest epoch could not be written");
        }
        self.clean(checkpoint);
        Ok(bytes.len() as u64)
    }

    /// Whether there are later epochs. A process that was paused for long finds the place of its next epoch free although
    /// another has committed there: what that one had put is too old to be kept. What came after it is not.
    fn is_behind(&self, epoch: u64) -> io::Result<bool> {
        let there = self.store.list("epochs")?;
        Ok(there.iter().filter_map(kept).any(|kept| kept.epoch > epoch))
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
        let superfluous =
            retention::superfluous(&epochs, newest.committed_at, self.kept_max, self.history);
        // An epoch goes before its state: what is read beside finds whole epochs.
        let old: Vec<String> = superfluous.iter().map(|epoch| object(*epoch)).collect();
        let mut state = BTreeSet::new();
        for epoch in superfluous {
            if let Some((_, objects)) = kept.remove(&epoch) {
                state.extend(objects);
            }
        }
        state.retain(|name| !kept.values().any(|(_, objects)| objects.contains(name)));
        drop(kept);
        let state: Vec<String> = state.iter().map(|name| format!("state/{name}")).collect();
        self.forget_all(&old);
        self.forget_all(&state);
    }

    fn forget_all(&self, names: &[String]) {
        for (object, error) in self.store.remove_all(names) {
            tracing::warn!(%error, object, location = self.location(), "an old object could not be removed");
        }
    }

    /// Removes an object that nothing names any more.
    pub(crate) fn forget(&self, name: &str) {
        if let Err(error) = self.store.remove(name) {
            tracing::warn!(%error, object = name, location = self.location(), "an old object could not be removed");
        }
    }

    fn unreadable(&self, name: &str, error: &io::Error) -> Failure {
        let text = format!("{}/{name} cannot be read: {error}", self.location());
        if away(error) {
            Failure::restart(text)
        } else {
            Failure::refuse(text)
        }
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
