//! The files that have been read, and what of that belongs to a position.
//!
//! A file is known by a hash of its path, or of its name where `fileNameOnly` says so: 96 bits, so that of ten million files two
//! are taken for one with a chance of 1 in 10^15. With its time it takes 16 bytes. What is older than `maxFileAge` is
//! forgotten, and files so old are not read any more.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashTable;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Micros, Position};
use thalweg_engine::state::{Entries, StateChanges};
use xxhash_rust::xxh64::xxh64;

use super::token::Place;

/// What the state's bytes mean: by key the time in seconds, and under no key the time before which files are left out.
const LAYOUT: &str = r#"{"files":1}"#;

/// A file's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key([u32; 3]);

impl Key {
    /// The key of what the file is known by.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn of(name: &str) -> Self {
        let (first, second) = (xxh64(name.as_bytes(), 0), xxh64(name.as_bytes(), 1));
        Self([first as u32, (first >> 32) as u32, second as u32])
    }

    fn hash(self) -> u64 {
        u64::from(self.0[0]) | (u64::from(self.0[1]) << 32)
    }

    fn bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (part, word) in bytes.chunks_exact_mut(4).zip(self.0) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<4>() else {
            return None;
        };
        let words: &[[u8; 4]; 3] = words.try_into().ok()?;
        Some(Self(words.map(u32::from_le_bytes)))
    }
}

/// Seconds since 1970, in 32 bits: enough until 2106.
pub(crate) fn seconds(time: Micros) -> u32 {
    u32::try_from(time.div_euclid(1_000_000).max(0)).unwrap_or(u32::MAX)
}

/// Files that have been read, or are being read.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    files: HashTable<(Key, u32)>,
    /// The latest time of one, where the clock has come so far.
    newest: u32,
    /// Files that are older are left out, in seconds.
    oldest: u32,
    /// Whether a checkpoint named a limit that is ahead of the clock, which was lowered to it and is to be saved so.
    lowered: bool,
}

impl Seen {
    pub(crate) fn contains(&self, key: Key) -> bool {
        self.files
            .find(key.hash(), |(known, _)| *known == key)
            .is_some()
    }

    /// When a file that was read was changed last, in seconds.
    pub(crate) fn time(&self, key: Key) -> Option<u32> {
        let known = self.files.find(key.hash(), |(known, _)| *known == key);
        known.map(|(_, time)| *time)
    }

    /// Whether a file of this time is too old to be read.
    pub(crate) fn is_old(&self, time: Micros) -> bool {
        seconds(time) < self.oldest
    }

    /// Whether the checkpoint's limit was ahead of the clock: files of any time would have been left out.
    pub(crate) fn was_lowered(&self) -> bool {
        self.lowered
    }

    /// Whether no file that is known is newer than this time.
    pub(crate) fn is_newest(&self, time: u32) -> bool {
        time >= self.newest
    }

    /// A time that is ahead of the clock counts as now: one file with a wrong date is not to make all others too old.
    pub(crate) fn insert(&mut self, key: Key, time: u32, now: u32) {
        self.newest = self.newest.max(time.min(now));
        let same = |(known, _): &(Key, u32)| *known == key;
        match self.files.find_mut(key.hash(), same) {
            Some(known) => known.1 = time,
            None => {
                self.files
                    .insert_unique(key.hash(), (key, time), |(key, _)| key.hash());
            }
        }
    }

    fn remove(&mut self, key: Key) {
        if let Ok(entry) = self
            .files
            .find_entry(key.hash(), |(known, _)| *known == key)
        {
            entry.remove();
        }
    }

    /// Forgets what is older than `max_age` before the newest file, and not older than a file that waits. Gives what became
    /// of it; None where nothing did.
    pub(crate) fn forget(&mut self, max_age: Micros, waiting: Option<Micros>) -> Option<Forgotten> {
        let age = u32::try_from(max_age / 1_000_000).unwrap_or(u32::MAX);
        let mut oldest = self.newest.saturating_sub(age);
        if let Some(waiting) = waiting {
            oldest = oldest.min(seconds(waiting));
        }
        // Looking at all of them is worth it only now and then.
        let step = (age / 64).max(1);
        if !std::mem::take(&mut self.lowered) && oldest < self.oldest.saturating_add(step) {
            return None;
        }
        let oldest = oldest.max(self.oldest);
        self.oldest = oldest;
        let mut keys = Vec::new();
        self.files.retain(|(key, time)| {
            let stays = *time >= oldest;
            if !stays {
                keys.push(*key);
            }
            stays
        });
        self.files
            .shrink_to(self.files.len() * 2, |(key, _)| key.hash());
        Some(Forgotten { oldest, keys })
    }

    /// Files that are known.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// What the state holds, read at this time in seconds.
    ///
    /// # Errors
    /// When it is not of this source.
    pub(crate) fn restore(changes: &[StateChanges], now: u32) -> Result<Self, Failure> {
        let mut seen = Self::default();
        for change in changes {
            if change.layout != LAYOUT {
                return Err(damaged(&change.layout));
            }
            if change.whole {
                seen = Self::default();
            }
            for (key, value) in &change.entries {
                let time = value
                    .map(|value| value.try_into().map(u32::from_le_bytes))
                    .transpose()
                    .map_err(|_| damaged("a time of another length"))?;
                match (key, time) {
                    ([], Some(oldest)) => seen.oldest = oldest,
                    (key, time) => {
                        let key = Key::of_bytes(key).ok_or_else(|| damaged("a key"))?;
                        match time {
                            Some(time) => seen.insert(key, time, now),
                            None => seen.remove(key),
                        }
                    }
                }
            }
        }
        // A file that was dated ahead had set it. Not lower than now: what was forgotten for it may lie there still.
        seen.lowered = seen.oldest > now;
        seen.oldest = seen.oldest.min(now);
        Ok(seen)
    }
}

fn damaged(what: &str) -> Failure {
    Failure::refuse(format!(
        "the checkpoint's list of files that were read is of another version: {what}"
    ))
}

/// What [`Seen::forget`] did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forgotten {
    oldest: u32,
    keys: Vec<Key>,
}

/// A file that was begun. A folder may have many between two cuts, so its path is not kept.
#[derive(Debug)]
struct Begun {
    key: Key,
    time: u32,
    /// Whether a cut in its middle has saved it.
    noted: bool,
}

/// So much of what was begun may be held without giving memory back.
const BEGUN_KEPT: usize = 1024;

/// What was begun since the last cut, in order: so much of it is saved as the position of the cut says.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    begun: VecDeque<Begun>,
    /// How many were begun before these.
    before: u64,
    /// What was forgotten since, each with the number of the file that was the last one begun, or is the next where all of
    /// them were saved.
    forgotten: VecDeque<(u64, Forgotten)>,
    /// Files that may be cleaned once a cut that covers them is committed, the newest not read yet; kept where that is wanted.
    /// Each with its time when it was opened.
    read: VecDeque<(Arc<str>, Micros)>,
    /// By cut, how many of all files ever read it covers.
    cuts: VecDeque<(Position, u64)>,
    /// How many have left `read` at its front.
    cleaned: u64,
    pub(crate) cleans: bool,
}

impl Journal {
    /// A file is about to be handed over.
    pub(crate) fn begin(&mut self, path: &Arc<str>, key: Key, time: Micros) {
        let begun = Begun {
            key,
            time: seconds(time),
            noted: false,
        };
        self.begun.push_back(begun);
        if self.cleans {
            self.read.push_back((Arc::clone(path), time));
        }
    }

    /// Something was forgotten; that counts from the file on that was begun last, or is begun next.
    pub(crate) fn forget(&mut self, forgotten: Forgotten) {
        let last = self.begun.len().saturating_sub(1) as u64;
        self.forgotten.push_back((self.before + last, forgotten));
    }

    /// What has been read before a position and was not saved yet, and of a file that was read in part its time: a restart sees
    /// by it that another one lies there. `key` is what a path is known by.
    pub(crate) fn changes(
        &mut self,
        position: &Position,
        key: impl FnOnce(&str) -> Key,
    ) -> Option<StateChanges> {
        let (path, ended, within) = match Place::parse(position).ok()? {
            Place::Begin => return None,
            Place::Row(row, path) => (path, false, row > 0),
            Place::Behind(_, path) => (path, false, true),
            Place::End(path) => (path, true, false),
        };
        let key = key(&path);
        let at = self.begun.iter().position(|begun| begun.key == key)?;
        let count = at + usize::from(ended);
        let mut entries = Entries::default();
        for begun in self.begun.drain(..count) {
            let time = begun.time.to_le_bytes();
            entries.put(&begun.key.bytes(), |out| out.extend_from_slice(&time));
            let with = |(number, _): &mut (u64, Forgotten)| *number <= self.before;
            while let Some((_, forgotten)) = self.forgotten.pop_front_if(with) {
                let oldest = forgotten.oldest.to_le_bytes();
                entries.put(&[], |out| out.extend_from_slice(&oldest));
                for key in forgotten.keys {
                    entries.remove(&key.bytes());
                }
            }
            self.before += 1;
        }
        if within
            && let Some(begun) = self.begun.front_mut()
            && !std::mem::replace(&mut begun.noted, true)
        {
            let time = begun.time.to_le_bytes();
            entries.put(&begun.key.bytes(), |out| out.extend_from_slice(&time));
        }
        self.begun.shrink_to(BEGUN_KEPT.max(self.begun.len() * 2));
        if self.cleans {
            let covered = self.cleaned + (self.read.len() - self.begun.len()) as u64;
            self.cuts.push_back((position.clone(), covered));
        }
        (!entries.is_empty()).then(|| StateChanges {
            whole: false,
            layout: LAYOUT.to_owned(),
            entries,
        })
    }

    /// The files that an epoch with this position has made safe, each once, with its time when it was opened.
    pub(crate) fn safe(&mut self, position: &Position) -> Vec<(Arc<str>, Micros)> {
        let Some(at) = self.cuts.iter().position(|(known, _)| known == position) else {
            return Vec::new();
        };
        let covered = self
            .cuts
            .drain(..=at)
            .next_back()
            .map_or(0, |(_, covered)| covered);
        let count = usize::try_from(covered.saturating_sub(self.cleaned)).unwrap_or(0);
        self.cleaned = self.cleaned.max(covered);
        self.read.drain(..count.min(self.read.len())).collect()
    }
}

#[cfg(test)]
#[path = "seen_tests.rs"]
mod tests;
