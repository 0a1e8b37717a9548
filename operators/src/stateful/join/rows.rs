//! The rows of one side of a join of streams: by key in order of arrival, and by the time at which they are over.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use thalweg_engine::record::Micros;
use thalweg_engine::state::{Entries, StateSize};

use crate::stateful::join::hashing::KeyHash;

/// The bytes of a key, shared by its rows.
pub(super) type Key = Rc<[u8]>;

/// One row that waits for partners.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its number in order of arrival.
    pub(super) number: u64,
    /// Its event time, or when it came where its side has no bound.
    pub(super) time: Micros,
    /// Its values.
    pub(super) bytes: Box<[u8]>,
    /// Whether it had a partner.
    pub(super) matched: bool,
    /// Whether a checkpoint may hold it.
    saved: bool,
    /// Whether it is among the changed.
    changed: bool,
}

/// What undoes a change.
#[derive(Debug)]
enum Undo {
    Added(Key, u64),
    Matched(Key, u64),
    Removed(Key, Waiting),
}

/// What a row costs beside its bytes: its place by key and by time, in a tree whose nodes are little more than half full.
const ROW_COST: usize = size_of::<Waiting>() + 2 * size_of::<(Micros, u64, Key)>() + 16;
/// What a key costs beside its bytes: its place in a table that is two thirds full, and the pieces of memory themselves.
const KEY_COST: usize = size_of::<(Key, Vec<Waiting>)>() * 3 / 2 + 48;

/// All rows of a side that wait.
#[derive(Debug, Default)]
pub(super) struct Rows {
    by_key: HashMap<Key, Vec<Waiting>, KeyHash>,
    by_time: BTreeSet<(Micros, u64, Key)>,
    next: u64,
    count: u64,
    bytes: usize,
    changed: Vec<(Key, u64)>,
    gone: Vec<(Key, u64)>,
    undo: Vec<Undo>,
}

impl Rows {
    /// The rows of a key, in order of arrival.
    pub(super) fn of(&self, key: &[u8]) -> &[Waiting] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// Adds a row behind all others.
    pub(super) fn add(&mut self, key: &[u8], time: Micros, bytes: &[u8], matched: bool) {
        let number = self.next;
        self.next += 1;
        let key = self.put(
            key,
            Waiting {
                number,
                time,
                bytes: bytes.into(),
                matched,
                saved: false,
                changed: true,
            },
        );
        self.changed.push((Rc::clone(&key), number));
        self.undo.push(Undo::Added(key, number));
    }

    /// Places a row among those of its key.
    fn put(&mut self, key: &[u8], row: Waiting) -> Key {
        let key = match self.by_key.get_key_value(key) {
            Some((known, _)) => Rc::clone(known),
            None => {
                self.bytes += KEY_COST + key.len();
                Rc::from(key)
            }
        };
        self.count += 1;
        self.bytes += ROW_COST + row.bytes.len();
        self.by_time.insert((row.time, row.number, Rc::clone(&key)));
        // Most keys have one row.
        let rows = self.by_key.entry(Rc::clone(&key));
        let rows = rows.or_insert_with(|| Vec::with_capacity(1));
        let at = rows.partition_point(|other| other.number < row.number);
        rows.insert(at, row);
        key
    }

    /// Takes a row away.
    fn take(&mut self, key: &Key, number: u64) -> Option<Waiting> {
        let rows = self.by_key.get_mut(key)?;
        let at = rows.binary_search_by_key(&number, |row| row.number).ok()?;
        let row = rows.remove(at);
        if rows.is_empty() {
            self.by_key.remove(key);
            self.bytes -= KEY_COST + key.len();
        }
        self.count -= 1;
        self.bytes -= ROW_COST + row.bytes.len();
        self.by_time.remove(&(row.time, number, Rc::clone(key)));
        Some(row)
    }

    fn row(&mut self, key: &[u8], number: u64) -> Option<&mut Waiting> {
        let rows = self.by_key.get_mut(key)?;
        let at = rows.binary_search_by_key(&number, |row| row.number).ok()?;
        rows.get_mut(at)
    }

    /// Notes that a row has had its first partner.
    pub(super) fn mark(&mut self, key: &[u8], number: u64) {
        let Some((key, _)) = self.by_key.get_key_value(key) else {
            return;
        };
        let key = Rc::clone(key);
        let Some(row) = self.row(&key, number) else {
            return;
        };
        if std::mem::replace(&mut row.matched, true) {
            return;
        }
        if !std::mem::replace(&mut row.changed, true) {
            self.changed.push((Rc::clone(&key), number));
        }
        self.undo.push(Undo::Matched(key, number));
    }

    /// Takes a row away while a record is processed.
    pub(super) fn remove(&mut self, key: &[u8], number: u64) {
        let Some((key, _)) = self.by_key.get_key_value(key) else {
            return;
        };
        let key = Rc::clone(key);
        if let Some(row) = self.take(&key, number) {
            self.forget(&key, &row);
            self.undo.push(Undo::Removed(key, row));
        }
    }

    /// How many rows wait.
    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }

    /// Takes the row that is over first, if its time is before this. Not to be undone.
    pub(super) fn pop(&mut self, before: Micros) -> Option<Waiting> {
        let (time, ..) = self.by_time.first()?;
        if *time >= before {
            return None;
        }
        let (_, number, key) = self.by_time.pop_first()?;
        let row = self.take(&key, number)?;
        self.forget(&key, &row);
        Some(row)
    }

    fn forget(&mut self, key: &Key, row: &Waiting) {
        if row.saved {
            self.gone.push((Rc::clone(key), row.number));
        }
    }

    /// What was done since the last call may stay.
    pub(super) fn accept(&mut self) {
        self.undo.clear();
    }

    /// What was done since the last call is undone.
    pub(super) fn reject(&mut self) {
        while let Some(step) = self.undo.pop() {
            match step {
                Undo::Added(key, number) => {
                    self.take(&key, number);
                }
                Undo::Matched(key, number) => {
                    if let Some(row) = self.row(&key, number) {
                        row.matched = false;
                    }
                }
                Undo::Removed(key, row) => {
                    if row.saved {
                        self.gone.pop();
                    }
                    self.put(&key, row);
                }
            }
        }
    }

    /// How much it keeps.
    pub(super) fn size(&self) -> StateSize {
        StateSize {
            keys: self.count,
            bytes: self.bytes as u64,
        }
    }

    /// Writes what changed since the last call, or everything.
    pub(super) fn save(&mut self, side: u8, whole: bool, entries: &mut Entries) {
        let mut name = Vec::new();
        if whole {
            self.gone.clear();
            self.changed.clear();
            for (key, rows) in &mut self.by_key {
                for row in rows {
                    row.write(entry_key(key, side, row.number, &mut name), entries);
                }
            }
            return;
        }
        for (key, number) in self.gone.drain(..) {
            entries.remove(entry_key(&key, side, number, &mut name));
        }
        for (key, number) in std::mem::take(&mut self.changed) {
            if let Some(row) = self.row(&key, number) {
                row.write(entry_key(&key, side, number, &mut name), entries);
            }
        }
    }

    /// Takes a row back as a checkpoint holds it.
    pub(super) fn restore(&mut self, key: &[u8], number: u64, row: Option<Restored>) {
        if let Some((key, _)) = self.by_key.get_key_value(key) {
            let key = Rc::clone(key);
            self.take(&key, number);
        }
        self.next = self.next.max(number + 1);
        if let Some(row) = row {
            self.put(
                key,
                Waiting {
                    number,
                    time: row.time,
                    bytes: row.bytes.into(),
                    matched: row.matched,
                    saved: true,
                    changed: false,
                },
            );
        }
    }
}

/// A row as a checkpoint holds it.
pub(super) struct Restored<'b> {
    pub(super) time: Micros,
    pub(super) matched: bool,
    pub(super) bytes: std::borrow::Cow<'b, [u8]>,
}

impl Waiting {
    /// Adds it to what is saved: time, whether it had a partner, values.
    fn write(&mut self, key: &[u8], entries: &mut Entries) {
        entries.put(key, |out| {
            out.extend_from_slice(&self.time.to_le_bytes());
            out.push(u8::from(self.matched));
            out.extend_from_slice(&self.bytes);
        });
        self.saved = true;
        self.changed = false;
    }
}

/// The key under which a row is saved: the join's key, the side, the row's number.
fn entry_key<'o>(key: &[u8], side: u8, number: u64, out: &'o mut Vec<u8>) -> &'o [u8] {
    out.clear();
    out.extend_from_slice(key);
    out.push(side);
    out.extend_from_slice(&number.to_le_bytes());
    out
}

/// The parts of what [`entry_key`] has made.
pub(super) fn split_key(name: &[u8]) -> Option<(&[u8], u8, u64)> {
    let (rest, number) = name.split_last_chunk::<8>()?;
    let (side, key) = rest.split_last()?;
    Some((key, *side, u64::from_le_bytes(*number)))
}
