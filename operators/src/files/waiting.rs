//! The files that wait to be read, in their order: by time, then by path.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use thalweg_engine::record::Micros;

use super::listing::{Found, Visitor};
use super::options::Settings;
use super::seen::{Key, Seen};

/// What a file is known by.
pub(crate) fn key(settings: &Settings, path: &str) -> Key {
    if settings.name_only {
        Key::of(path.rsplit('/').next().unwrap_or(path))
    } else {
        Key::of(path)
    }
}

/// What is held of a file that waits, beside its time and path.
#[derive(Clone, Copy)]
struct Held {
    key: Key,
    appeared: Micros,
    size: u64,
    tag: u64,
}

/// At most `maxCachedFiles` files: those that come first.
pub(crate) struct Waiting {
    files: BTreeMap<(Micros, Box<str>), Held>,
    keys: HashSet<Key>,
    latest_first: bool,
    max: usize,
    min: usize,
    /// Whether there were more than may be held.
    more: bool,
}

impl Waiting {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            files: BTreeMap::new(),
            keys: HashSet::new(),
            latest_first: settings.latest_first,
            max: settings.cached_max,
            min: settings.cached_min,
            more: false,
        }
    }

    /// A listing begins: it will find all that there is.
    pub(crate) fn begin_scan(&mut self) {
        self.more = false;
    }

    pub(crate) fn contains(&self, key: Key) -> bool {
        self.keys.contains(&key)
    }

    pub(crate) fn add(&mut self, key: Key, found: &Found) {
        if self.keys.contains(&key) {
            return;
        }
        if self.files.len() >= self.max {
            self.more = true;
            if !self.comes_before_the_last(found) {
                return;
            }
            if let Some((_, gone)) = self.pop_last() {
                self.keys.remove(&gone.key);
            }
        }
        self.keys.insert(key);
        let held = Held {
            key,
            appeared: found.appeared,
            size: found.size,
            tag: found.tag,
        };
        self.files
            .insert((found.time, Box::from(&*found.path)), held);
    }

    /// Whether a file is read before the last of those that are held.
    fn comes_before_the_last(&self, found: &Found) -> bool {
        let order =
            |(time, path): &(Micros, Box<str>)| (found.time, &*found.path).cmp(&(*time, path));
        if self.latest_first {
            let last = self.files.first_key_value();
            last.is_some_and(|(place, _)| order(place).is_gt())
        } else {
            let last = self.files.last_key_value();
            last.is_some_and(|(place, _)| order(place).is_lt())
        }
    }

    fn pop_last(&mut self) -> Option<((Micros, Box<str>), Held)> {
        if self.latest_first {
            self.files.pop_first()
        } else {
            self.files.pop_last()
        }
    }

    /// The next file.
    pub(crate) fn next(&mut self) -> Option<Found> {
        let ((time, path), held) = if self.latest_first {
            self.files.pop_last()
        } else {
            self.files.pop_first()
        }?;
        self.keys.remove(&held.key);
        Some(Found {
            path: Arc::from(path),
            time,
            appeared: held.appeared,
            size: held.size,
            tag: held.tag,
        })
    }

    /// Whether there are more files than are held, and few are left.
    pub(crate) fn is_low(&self) -> bool {
        self.more && (self.files.is_empty() || self.files.len() < self.min)
    }

    /// Whether there are more files than are held.
    pub(crate) fn more(&self) -> bool {
        self.more
    }

    /// The time of the oldest one.
    pub(crate) fn oldest(&self) -> Option<Micros> {
        self.files.first_key_value().map(|((time, _), _)| *time)
    }
}

/// A listing that adds what is new.
pub(crate) struct Scan<'s> {
    pub(crate) settings: &'s Settings,
    pub(crate) seen: &'s Seen,
    /// What appeared later is left out.
    pub(crate) until: Option<Micros>,
    /// What appeared in this time is left out: the system is about to tell of it, and whether it is being written.
    pub(crate) young: Option<Range<Micros>>,
    pub(crate) waiting: &'s mut Waiting,
    /// What had appeared by then was read, or it was said that it is not.
    pub(crate) before: Micros,
    /// The first one that appeared too late for its age.
    pub(crate) left_out: Option<Found>,
}

impl Visitor for Scan<'_> {
    fn skips(&mut self, path: &str) -> bool {
        let key = key(self.settings, path);
        self.seen.contains(key) || self.waiting.contains(key)
    }

    fn visit(&mut self, found: Found) {
        let young = |young: &Range<Micros>| young.contains(&found.appeared);
        if self.seen.is_old(found.time) {
            // One that appeared as long ago as it is old was read and forgotten.
            if !self.seen.is_old(found.appeared) && found.appeared > self.before {
                self.left_out.get_or_insert(found);
            }
            return;
        }
        if self.until.is_some_and(|until| found.appeared > until)
            || self.young.as_ref().is_some_and(young)
        {
            return;
        }
        let key = key(self.settings, &found.path);
        self.waiting.add(key, &found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    fn settings(ratio: &str) -> Result<Settings, String> {
        let table = Table::using("in", "text")
            .option("path", "./in")
            .option("maxCachedFiles", "10")
            .option("discardCachedInputRatio", ratio);
        Settings::of(&table).map_err(|error| error.message)
    }

    #[test]
    fn the_folder_is_listed_again_when_fewer_than_the_ratio_says_are_held() {
        for (ratio, left) in [("1", 9), ("0.5", 4), ("0", 0)] {
            let settings = settings(ratio).unwrap();
            let mut waiting = Waiting::new(&settings);
            for time in 0..12 {
                let path = time.to_string();
                let found = Found {
                    path: Arc::from(&*path),
                    time,
                    appeared: time,
                    size: 1,
                    tag: 0,
                };
                waiting.add(key(&settings, &path), &found);
            }
            assert!(!waiting.is_low(), "ten are held");
            let taken = std::iter::from_fn(|| waiting.next()).take(10 - left - 1);
            assert_eq!(taken.count(), 10 - left - 1);
            assert!(!waiting.is_low(), "{ratio}: {} are held", left + 1);
            waiting.next();
            assert!(waiting.is_low(), "{ratio}: {left} are held");
        }
        for wrong in ["-0.1", "1.1", "some"] {
            let refused = settings(wrong).err().unwrap();
            assert!(refused.contains("takes a number from 0 to 1"), "{refused}");
        }
    }
}
