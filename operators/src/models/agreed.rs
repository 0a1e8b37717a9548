//! Which version of a model is in force in all processes that share a job.
//!
//! Each change is an object of its own beside the checkpoints, with the next number. Of two processes that name a version at one
//! moment the second is told that the number is taken, and names its version after the other's: the highest number counts. Every
//! process looks for it every two seconds, and one that joins begins with it.
//!
//! A file at the path that no process has seen before is a new version also at a start: one of a new image. One that some
//! process has seen is not: a process that was away does not bring back what the others have left behind.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use thalweg_engine::epoch::store::Store;

use super::Standing;

/// How often a process looks.
const LOOK: Duration = Duration::from_secs(2);
/// Objects that are kept; the newest alone counts.
const KEPT: usize = 8;
/// Files that are remembered, the newest.
const FILES_MAX: usize = 64;
/// How often a number that another has taken meanwhile is tried again.
const TRIES: usize = 8;
/// What is written and read.
const FORMAT: u32 = 1;

/// Where the processes that share a job name the version of one model.
#[derive(Clone)]
pub struct Agreement {
    store: Arc<dyn Store>,
    folder: String,
}

impl fmt::Debug for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.store.location(), self.folder)
    }
}

/// What an object says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    format: u32,
    standing: Standing,
    /// Hashes of the files that were looked at, the oldest first.
    files: Vec<SmolStr>,
}

/// Why it cannot be told what is in force.
#[derive(Debug)]
enum Trouble {
    /// The store does not answer, or not as it should.
    Store(String),
    /// What lies there is not what this version writes.
    Content(String),
}

impl Trouble {
    fn words(self) -> String {
        match self {
            Self::Store(why) | Self::Content(why) => why,
        }
    }
}

impl Agreement {
    /// In this folder of a store in which an object that exists is never replaced.
    pub fn new(store: Arc<dyn Store>, folder: String) -> Self {
        Self { store, folder }
    }

    fn object(&self, number: u64) -> String {
        format!("{}/{number:020}.json", self.folder)
    }

    fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = self.store.list(&self.folder)?;
        let numbers = entries.iter().filter_map(|entry| {
            let digits = entry.name.strip_suffix(".json")?;
            digits.parse().ok()
        });
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The newest, where it is newer than this number.
    fn newest(&self, than: u64) -> Result<Option<(u64, Named)>, Trouble> {
        let unread = |error: io::Error| Trouble::Store(format!("{self:?} cannot be read: {error}"));
        let mut gone = None;
        let (number, bytes) = loop {
            let newest = self.numbers().map_err(unread)?.pop();
            let Some(number) = newest.filter(|number| *number > than) else {
                return Ok(None);
            };
            match self.store.get(&self.object(number)) {
                // Others have named so many since this process looked that it is not kept any more.
                Err(error) if error.kind() == io::ErrorKind::NotFound && gone != newest => {
                    gone = newest;
                }
                bytes => break (number, bytes.map_err(unread)?),
            }
        };
        let other = |why: String| {
            Trouble::Content(format!(
                "{}/{} is not of this version: {why}",
                self.store.location(),
                self.object(number)
            ))
        };
        let named: Named =
            serde_json::from_slice(&bytes).map_err(|error| other(error.to_string()))?;
        if named.format != FORMAT {
            return Err(other(format!("it has format {}", named.format)));
        }
        Ok(Some((number, named)))
    }

    /// Whether a number is not the highest. A process that was held up before it named a version finds that the next number is free
    /// although others have taken it: what they had named with it is not kept any more.
    fn is_behind(&self, number: u64) -> io::Result<bool> {
        Ok(self.numbers()?.last().is_some_and(|last| *last > number))
    }

    /// Removes all but the newest. What cannot be removed is removed after the next change.
    fn prune(&self) {
        let Ok(numbers) = self.numbers() else { return };
        for number in numbers.iter().rev().skip(KEPT) {
            let _ = self.store.remove(&self.object(*number));
        }
    }
}

/// What a process knows of it.
#[derive(Debug)]
pub(super) struct Agreed {
    at: Agreement,
    seen: u64,
    files: Vec<SmolStr>,
    looked: Instant,
}

impl Agreed {
    /// Looks for the first time. Gives how the model stands in the others, if it was ever named.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn open(at: Agreement) -> Result<(Self, Option<Standing>), String> {
        let mut agreed = Self {
            at,
            seen: 0,
            files: Vec::new(),
            looked: Instant::now(),
        };
        let standing = agreed.look().map_err(Trouble::words)?;
        Ok((agreed, standing))
    }

    /// Whether some process has seen the file of this hash.
    pub(super) fn knows(&self, file: &SmolStr) -> bool {
        self.files.contains(file)
    }

    fn look(&mut self) -> Result<Option<Standing>, Trouble> {
        self.looked = Instant::now();
        let newest = self.at.newest(self.seen)?;
        Ok(newest.map(|(number, named)| {
            self.seen = number;
            self.files = named.files;
            named.standing
        }))
    }

    /// What another process has named since, or why that cannot be used; None where it is not time to look. A store that does not
    /// answer is asked again at the next look: the query itself says that it is away.
    pub(super) fn news(&mut self) -> Option<Result<Option<Standing>, String>> {
        if self.looked.elapsed() < LOOK {
            return None;
        }
        match self.look() {
            Ok(standing) => Some(Ok(standing)),
            Err(Trouble::Content(why)) => Some(Err(why)),
            Err(Trouble::Store(why)) => {
                tracing::debug!(why, "not known for now which version is in force");
                None
            }
        }
    }

    /// What was named last could not be taken for now: it is news again.
    pub(super) fn again(&mut self) {
        self.seen = self.seen.saturating_sub(1);
    }

    /// Names a version for all. Where another process has just named the same, that stands.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn name(&mut self, standing: &Standing) -> Result<(), String> {
        for _ in 0..TRIES {
            if let Some(theirs) = self.look().map_err(Trouble::words)?
                && theirs.active.hash == standing.active.hash
                && self.knows(&standing.file)
            {
                return Ok(());
            }
            if !self.knows(&standing.file) {
                self.files.push(standing.file.clone());
                let surplus = self.files.len().saturating_sub(FILES_MAX);
                self.files.drain(..surplus);
            }
            let named = Named {
                format: FORMAT,
                standing: standing.clone(),
                files: self.files.clone(),
            };
            let bytes = serde_json::to_vec(&named).map_err(|error| error.to_string())?;
            let number = self.seen + 1;
            let object = self.at.object(number);
            let put = self.at.store.put(&object, &bytes);
            match put.and_then(|()| self.at.is_behind(number)) {
                Ok(false) => {
                    self.seen = number;
                    self.at.prune();
                    return Ok(());
                }
                Ok(true) => {
                    let _ = self.at.store.remove(&object);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(format!(
                        "the others cannot be told: {:?} cannot be written: {error}",
                        self.at
                    ));
                }
            }
        }
        Err("the others name versions faster than this process: try again".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use thalweg_engine::epoch::store::{Entry, FolderStore};

    use super::super::Tag;
    use super::*;

    fn standing(hash: &str, file: &str) -> Standing {
        Standing {
            active: Tag {
                version: hash.into(),
                hash: hash.into(),
            },
            previous: None,
            file: file.into(),
            since: 1,
        }
    }

    fn process(folder: &std::path::Path, token: &str) -> (Agreed, Option<Standing>) {
        std::fs::create_dir_all(folder.join("in-force/fraud")).unwrap();
        let store = Arc::new(FolderStore::share(folder, token).unwrap());
        Agreed::open(Agreement::new(store, "in-force/fraud".into())).unwrap()
    }

    /// What another has named, as if it were time to look.
    fn told(agreed: &mut Agreed) -> Option<String> {
        agreed
            .look()
            .unwrap()
            .map(|standing| standing.active.hash.to_string())
    }

    #[test]
    fn the_last_to_name_a_version_has_named_it_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let (mut a, none) = process(folder.path(), "a-");
        assert_eq!(none, None);
        a.name(&standing("one", "f1")).unwrap();
        let (mut b, found) = process(folder.path(), "b-");
        assert_eq!(found, Some(standing("one", "f1")));
        // Both at one moment: neither has seen the other's.
        b.name(&standing("two", "f1")).unwrap();
        a.name(&standing("three", "f1")).unwrap();
        assert_eq!(told(&mut b).as_deref(), Some("three"));
        assert_eq!(told(&mut a), None, "its own is no news");
        b.again();
        assert_eq!(told(&mut b).as_deref(), Some("three"));
    }

    #[test]
    fn what_two_find_in_one_folder_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let (mut a, _) = process(folder.path(), "a-");
        let (mut b, _) = process(folder.path(), "b-");
        a.name(&standing("one", "f1")).unwrap();
        b.name(&standing("one", "f1")).unwrap();
        assert_eq!((a.seen, b.seen), (1, 1));
    }

    #[test]
    fn the_newest_are_kept_and_every_file_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let (mut a, _) = process(folder.path(), "a-");
        for number in 0..20 {
            a.name(&standing(&format!("v{number}"), &format!("f{number}")))
                .unwrap();
        }
        assert_eq!(a.at.numbers().unwrap(), (13..=20).collect::<Vec<u64>>());
        let (c, found) = process(folder.path(), "c-");
        assert_eq!(found.unwrap().active.hash, "v19");
        assert!(c.knows(&"f0".into()) && !c.knows(&"f20".into()));
    }

    /// A store in which others name versions while this process is held up before it puts one.
    struct Busy {
        below: FolderStore,
        others: Mutex<Option<Agreed>>,
    }

    impl Store for Busy {
        fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
            if let Some(mut others) = self.others.lock().take() {
                for number in 0..2 * KEPT {
                    let theirs = format!("theirs {number}");
                    others.name(&standing(&theirs, "f1")).unwrap();
                }
            }
            self.below.put(name, bytes)
        }

        fn get(&self, name: &str) -> io::Result<Vec<u8>> {
            self.below.get(name)
        }

        fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
            self.below.list(folder)
        }

        fn remove(&self, name: &str) -> io::Result<()> {
            self.below.remove(name)
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

    #[test]
    fn what_a_process_names_that_was_held_up_counts_after_all_that_others_have_named_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let (mut a, _) = process(folder.path(), "a-");
        a.name(&standing("one", "f1")).unwrap();
        let (others, _) = process(folder.path(), "b-");
        let busy = Arc::new(Busy {
            below: FolderStore::share(folder.path(), "c-").unwrap(),
            others: Mutex::new(Some(others)),
        });
        let (mut c, _) = Agreed::open(Agreement::new(busy, "in-force/fraud".into())).unwrap();
        c.name(&standing("mine", "f1")).unwrap();
        assert_eq!(told(&mut a).as_deref(), Some("mine"));
        let numbers = a.at.numbers().unwrap();
        assert!(numbers.is_sorted() && numbers.len() == KEPT, "{numbers:?}");
        assert_eq!(numbers.last(), Some(&(2 * KEPT as u64 + 2)));
    }

    #[test]
    fn what_is_not_of_this_version_is_said_and_not_guessed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut a, _) = process(folder.path(), "a-");
        a.name(&standing("one", "f1")).unwrap();
        let path = folder
            .path()
            .join("in-force/fraud/00000000000000000002.json");
        std::fs::write(path, r#"{"format":9}"#).unwrap();
        assert!(
            a.look()
                .unwrap_err()
                .words()
                .contains("is not of this version")
        );
    }
}
