//! State as bytes: what an operator hands over at a cut, and gets back when it begins.
//!
//! Entries stand one behind the other: length of the key and of the value as 32-bit little-endian numbers (the value's all
//! ones when the key is removed), the key, the value.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// The length of a value that is none: the key is gone.
const REMOVED: u32 = u32::MAX;

/// Keys with their values, or with their removal, in the order in which they changed. The last entry of a key counts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Entries {
    bytes: Vec<u8>,
    count: usize,
}

/// One key with its value; None when it is removed.
pub type Entry<'a> = (&'a [u8], Option<&'a [u8]>);

impl Entries {
    /// Adds a key whose value `write` appends.
    #[inline]
    pub fn put(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        put(&mut self.bytes, key, write);
        self.count += 1;
    }

    /// Adds that a key is gone.
    #[inline]
    pub fn remove(&mut self, key: &[u8]) {
        remove(&mut self.bytes, key);
        self.count += 1;
    }

    /// Makes room for so many bytes, so that it does not grow step by step.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Bytes of memory.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them as bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes bytes that [`Entries::bytes`] gave; None when they are not whole entries.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let mut count = 0;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            rest = split(rest)?.1;
            count += 1;
        }
        Some(Self { bytes, count })
    }

    /// The entry of each key that counts.
    pub fn latest(&self) -> Vec<Entry<'_>> {
        let mut latest: Vec<_> = self.iter().collect();
        let mut seen = HashSet::with_capacity(latest.len());
        latest.reverse();
        latest.retain(|(key, _)| seen.insert(*key));
        latest.reverse();
        latest
    }

    /// Where each entry begins, in order.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        let mut rest = self.iter();
        std::iter::from_fn(move || {
            let place = self.bytes.len() - rest.0.len();
            rest.next().map(|_| place)
        })
    }

    /// The entry that begins at a place.
    pub(crate) fn at(&self, place: usize) -> Entry<'_> {
        split(&self.bytes[place..]).map_or((&[], None), |(entry, _)| entry)
    }

    /// Each entry, in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.bytes)
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = Entry<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The entries in order.
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let (entry, rest) = split(self.0)?;
        self.0 = rest;
        Some(entry)
    }
}

/// Appends an entry whose value `write` appends.
#[inline]
pub(crate) fn put(bytes: &mut Vec<u8>, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
    let header = begin(bytes, key);
    let value = bytes.len();
    write(bytes);
    let length = u32::try_from(bytes.len() - value).unwrap_or(REMOVED - 1);
    bytes[header + 4..header + 8].copy_from_slice(&length.to_le_bytes());
}

/// Appends the entry of a key that is gone.
#[inline]
pub(crate) fn remove(bytes: &mut Vec<u8>, key: &[u8]) {
    let header = begin(bytes, key);
    bytes[header + 4..header + 8].copy_from_slice(&REMOVED.to_le_bytes());
}

fn begin(bytes: &mut Vec<u8>, key: &[u8]) -> usize {
    let header = bytes.len();
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(key);
    header
}

/// The first entry and what stands behind it.
#[inline]
pub(crate) fn split(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (key_length, rest) = bytes.split_first_chunk::<4>()?;
    let (value_length, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_length) as usize)?;
    let value_length = u32::from_le_bytes(*value_length);
    if value_length == REMOVED {
        return Some(((key, None), rest));
    }
    let (value, rest) = rest.split_at_checked(value_length as usize)?;
    Some(((key, Some(value)), rest))
}

/// What changed in an operator's state since the last cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// Whether the entries are the whole state, so that everything saved before is void.
    pub whole: bool,
    /// What keys and values mean, in the operator's own words (JSON, with a version). Changes of different layouts are
    /// never merged: an operator that restored another layout than its own saves the whole state next.
    pub layout: String,
    /// The keys that changed.
    pub entries: Entries,
}

/// How much an operator keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    /// Keys.
    pub keys: u64,
    /// Bytes of memory, as well as the operator can tell.
    pub bytes: u64,
}

impl std::ops::AddAssign for StateSize {
    fn add_assign(&mut self, other: Self) {
        self.keys += other.keys;
        self.bytes += other.bytes;
    }
}

/// The memory that the state of a job may take, shared by all its lanes.
#[derive(Debug)]
pub struct StateBudget {
    max: u64,
    used: AtomicU64,
    /// Whether somebody looks after the pages that it lies in.
    pub(crate) tended: AtomicBool,
}

impl StateBudget {
    /// At most this many bytes.
    pub fn new(max: u64) -> Self {
        Self {
            max,
            used: AtomicU64::new(0),
            tended: AtomicBool::new(false),
        }
    }

    /// One lane had `before` bytes and has `now`. Gives the sum of all when it is more than may be.
    pub fn change(&self, before: u64, now: u64) -> Option<u64> {
        let used = if now >= before {
            self.used.fetch_add(now - before, Relaxed) + (now - before)
        } else {
            self.used.fetch_sub(before - now, Relaxed) - (before - now)
        };
        (used > self.max && now > before).then_some(used)
    }

    /// What all lanes have, in bytes.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// The limit in bytes.
    pub fn max(&self) -> u64 {
        self.max
    }
}

impl Default for StateBudget {
    /// No limit.
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_put_and_removed_is_read_back_in_order() {
        let mut entries = Entries::default();
        entries.put(b"a", |out| out.extend_from_slice(b"one"));
        entries.remove(b"b");
        entries.put(b"", |_| {});
        let expected: [Entry<'_>; 3] = [(b"a", Some(b"one")), (b"b", None), (b"", Some(b""))];
        assert!(entries.iter().eq(expected));
        let again = Entries::from_bytes(entries.bytes().to_vec()).unwrap();
        assert_eq!(again, entries);
        entries.remove(b"a");
        let latest: [Entry<'_>; 3] = [(b"b", None), (b"", Some(b"")), (b"a", None)];
        assert_eq!(entries.latest(), latest);
    }

    proptest! {
        #[test]
        fn any_bytes_are_entries_or_refused(bytes in prop::collection::vec(0_u8..4, 0..60)) {
            if let Some(entries) = Entries::from_bytes(bytes) {
                prop_assert_eq!(entries.iter().count(), entries.len());
            }
        }
    }
}
