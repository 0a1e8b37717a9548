//! Objects in memory that all processes of a simulation see, and another process that commits at the worst moment.
//!
//! Where work is held up, a request may take long on its way there or back; one that seemed to fail may be carried out later.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use thalweg_engine::epoch::checkpoint::Checkpoint;
use thalweg_engine::epoch::state_store;
use thalweg_engine::epoch::store::{Entry, Store, WriteObject};
use thalweg_engine::state::StateChanges;
use thalweg_engine::workers::hold_up;

use crate::world::Dice;

/// What another process is about to commit.
pub(crate) struct Rival {
    /// Until it is written.
    pub(crate) state: Option<StateChanges>,
    pub(crate) checkpoint: Checkpoint,
}

/// A request that is carried out when so many others were.
struct Late {
    after: usize,
    path: String,
    /// What is put; None where an object is removed.
    bytes: Option<Vec<u8>>,
}

/// How many requests of a member are held up, each for how long.
type Paused = BTreeMap<usize, (usize, Duration)>;

/// Objects that all processes see; whoever puts one first has put it.
#[derive(Clone)]
pub(crate) struct Shelf {
    objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    late: Arc<Mutex<Vec<Late>>>,
    paused: Arc<Mutex<Paused>>,
    dice: Dice,
    /// Whose requests these are.
    member: Option<usize>,
    folder: String,
    pub(crate) rival: Arc<Mutex<Option<Rival>>>,
    /// How often state was read.
    pub(crate) reads: Arc<AtomicUsize>,
}

impl Shelf {
    pub(crate) fn of(dice: Dice) -> Self {
        Self {
            objects: Arc::default(),
            late: Arc::default(),
            paused: Arc::default(),
            dice,
            member: None,
            folder: String::new(),
            rival: Arc::default(),
            reads: Arc::default(),
        }
    }

    pub(crate) fn seen_by(&self, member: usize) -> Self {
        Self {
            member: Some(member),
            ..self.clone()
        }
    }

    pub(crate) fn within(&self, folder: &str) -> Self {
        Self {
            folder: format!("{}{folder}/", self.folder),
            ..self.clone()
        }
    }

    /// The next requests of a member wait for so long.
    pub(crate) fn pause(&self, member: usize, requests: usize, time: Duration) {
        self.paused.lock().insert(member, (requests, time));
    }

    /// A request is on its way, there or back.
    fn travel(&self) {
        self.dice.hold();
        let paused = self.member.and_then(|member| {
            let mut paused = self.paused.lock();
            let (left, time) = paused.get_mut(&member)?;
            *left = left.checked_sub(1)?;
            Some(*time)
        });
        if let Some(time) = paused {
            hold_up(time);
        }
        let mut late = self.late.lock();
        for request in &mut *late {
            request.after = request.after.saturating_sub(1);
        }
        let due: Vec<Late> = late.extract_if(.., |request| request.after == 0).collect();
        drop(late);
        let mut objects = self.objects.lock();
        for request in due {
            match request.bytes {
                Some(bytes) => drop(objects.entry(request.path).or_insert(bytes)),
                None => drop(objects.remove(&request.path)),
            }
        }
    }

    /// Whether the answer to a request is lost, which is carried out later.
    fn loses(&self, name: &str, bytes: Option<&[u8]>) -> bool {
        let lost = self.member.is_some() && self.dice.once_in(60);
        if lost {
            self.late.lock().push(Late {
                after: 1 + self.dice.below(400),
                path: self.path(name),
                bytes: bytes.map(<[u8]>::to_vec),
            });
        }
        lost
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
        self.travel();
        if self.loses(name, Some(bytes)) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let epoch =
            |rival: &mut Rival| name == format!("epochs/{:020}.json", rival.checkpoint.epoch);
        let rival = self.rival.lock().take_if(epoch);
        if let Some(mut rival) = rival {
            self.rival_writes(&mut rival);
            self.put(name, &rival.checkpoint.encode())?;
        }
        let put = match self.objects.lock().entry(self.path(name)) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(bytes.to_vec());
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(_) => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
        };
        self.travel();
        put
    }

    fn write(&self, name: &str, write: &mut WriteObject<'_>) -> io::Result<u64> {
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        match self.put(name, &bytes) {
            // A try that seemed to fail has written it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            put => put?,
        }
        Ok(bytes.len() as u64)
    }

    fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        if name.starts_with("state/") {
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
        self.travel();
        let objects = self.objects.lock();
        let object = objects.get(&self.path(name)).cloned();
        object.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        self.travel();
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
        let found = found.collect();
        drop(objects);
        self.travel();
        Ok(found)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.travel();
        if self.loses(name, None) {
            return Err(io::ErrorKind::NotConnected.into());
        }
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
