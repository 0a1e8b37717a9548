//! The sessions of each key, found by time.
//!
//! The sessions of a key, its *family*, lie apart from each other: in order of their beginnings they are in order of their
//! ends, too. So those that a row touches stand side by side, and a tree finds them. Most keys have one session at a time,
//! which the family names itself; only those of a family that has had two at a time lie in the tree.

use std::collections::BTreeMap;

use thalweg_engine::record::Micros;

use super::keyed_state::{KeyedState, Slot};

/// What a family's cell holds instead of its only session's slot plus 1.
const SEVERAL: u64 = u64::MAX;
/// Memory of a session in the tree, whose nodes are about two thirds full.
const PLACE_BYTES: usize = size_of::<(Place, Slot)>() * 3 / 2;

/// A family and the beginning of a session.
type Place = (Slot, Micros);

pub(super) struct Families {
    /// By the bytes of the key columns.
    keys: KeyedState,
    /// The sessions of families that have had several at a time.
    several: BTreeMap<Place, Slot>,
    /// What stood where the record in hand has changed `several`.
    undo: Vec<(Place, Option<Slot>)>,
}

impl Families {
    pub(super) fn new() -> Self {
        Self {
            keys: KeyedState::new(1),
            several: BTreeMap::new(),
            undo: Vec::new(),
        }
    }

    /// The family of a key.
    pub(super) fn find(&self, key: &[u8]) -> Option<Slot> {
        self.keys.find(key)
    }

    /// The same, made if there is none.
    pub(super) fn entry(&mut self, key: &[u8]) -> Slot {
        self.keys.entry(key).0
    }

    /// The sessions of a family that touch this time, the latest first; `bounds` knows from when to when each one reaches.
    pub(super) fn touching(
        &self,
        family: Slot,
        from: Micros,
        to: Micros,
        bounds: impl Fn(Slot) -> (Micros, Micros),
    ) -> impl Iterator<Item = Slot> {
        let word = self.keys.cell(family)[0];
        let begun = (word == SEVERAL).then(|| {
            let begun = self.several.range((family, Micros::MIN)..=(family, to));
            begun.rev().map(|(_, slot)| *slot)
        });
        only(word)
            .into_iter()
            .chain(begun.into_iter().flatten())
            .map(move |slot| (slot, bounds(slot)))
            .take_while(move |(_, (start, end))| *start <= to && from <= *end)
            .map(|(slot, _)| slot)
    }

    /// Adds a session; `start_of` knows when another one begins.
    pub(super) fn add(
        &mut self,
        family: Slot,
        start: Micros,
        slot: Slot,
        start_of: impl Fn(Slot) -> Micros,
    ) {
        let word = self.keys.cell(family)[0];
        if word == 0 {
            return self.set(family, u64::from(slot) + 1);
        }
        if let Some(other) = only(word) {
            self.set(family, SEVERAL);
            self.place((family, start_of(other)), Some(other));
        }
        self.place((family, start), Some(slot));
    }

    /// Takes away the session that begins there; the family goes with its last one.
    pub(super) fn remove(&mut self, family: Slot, start: Micros) {
        self.place((family, start), None);
        let mut left = self
            .several
            .range((family, Micros::MIN)..=(family, Micros::MAX));
        if left.next().is_none() {
            self.set(family, 0);
            self.keys.remove(family);
        }
    }

    /// A session begins earlier than it did.
    pub(super) fn begins_earlier(&mut self, family: Slot, start: Micros, now: Micros) {
        if let Some(slot) = self.several.get(&(family, start)).copied() {
            self.place((family, start), None);
            self.place((family, now), Some(slot));
        }
    }

    fn set(&mut self, family: Slot, word: u64) {
        self.keys.touch(family);
        self.keys.cell_mut(family)[0] = word;
    }

    fn place(&mut self, place: Place, slot: Option<Slot>) {
        let before = self.put(place, slot);
        if before != slot {
            self.undo.push((place, before));
        }
    }

    fn put(&mut self, place: Place, slot: Option<Slot>) -> Option<Slot> {
        match slot {
            Some(slot) => self.several.insert(place, slot),
            None => self.several.remove(&place),
        }
    }

    /// What was done since the last call stays.
    pub(super) fn accept(&mut self) {
        self.keys.accept();
        self.undo.clear();
    }

    /// What was done since the last call is undone.
    pub(super) fn reject(&mut self) {
        self.keys.reject(|_, _| {});
        while let Some((place, before)) = self.undo.pop() {
            self.put(place, before);
        }
    }

    /// They follow from the sessions, so nothing of them is ever saved.
    pub(super) fn forget_changes(&mut self) {
        self.keys.forget_changes();
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> u64 {
        self.keys.size().bytes + (self.several.len() * PLACE_BYTES) as u64
    }
}

/// The only session of a family, by what its cell holds.
fn only(word: u64) -> Option<Slot> {
    Slot::try_from(word).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Sessions of five, ten apart: the slot says when.
    fn bounds(slot: Slot) -> (Micros, Micros) {
        let start = Micros::from(slot) * 10;
        (start, start + 5)
    }

    fn touching(families: &Families, family: Slot, from: Micros, to: Micros) -> Vec<Slot> {
        families.touching(family, from, to, bounds).collect()
    }

    #[test]
    fn a_row_looks_at_the_sessions_that_it_touches_and_at_one_more() {
        let mut families = Families::new();
        let family = families.entry(b"key");
        let looked = Cell::new(0);
        let counting = |slot| {
            looked.set(looked.get() + 1);
            bounds(slot)
        };
        for slot in (0..1000).rev().chain(1000..2000) {
            let (start, end) = bounds(slot);
            assert_eq!(families.touching(family, start, end, counting).count(), 0);
            families.add(family, start, slot, |slot| counting(slot).0);
            families.accept();
        }
        assert!(looked.get() <= 2001, "{}", looked.get());
        looked.set(0);
        let bridged: Vec<_> = families.touching(family, 995, 1010, counting).collect();
        assert_eq!((bridged, looked.get()), (vec![101, 100, 99], 4));
        for slot in 0..2000 {
            families.remove(family, bounds(slot).0);
            families.accept();
        }
        assert_eq!(families.find(b"key"), None);
        assert!(families.several.is_empty());
    }

    #[test]
    fn a_key_with_one_session_takes_no_room_in_the_tree() {
        let mut families = Families::new();
        for (slot, key) in (0..).zip([b"a", b"b", b"c"]) {
            let family = families.entry(key);
            families.add(family, bounds(slot).0, slot, |slot| bounds(slot).0);
            families.accept();
            let own = bounds(slot);
            assert_eq!(touching(&families, family, own.1, own.1), [slot]);
            assert!(touching(&families, family, own.1 + 1, own.1 + 2).is_empty());
            assert!(touching(&families, family, own.0 - 2, own.0 - 1).is_empty());
        }
        assert!(families.several.is_empty());
    }

    #[test]
    fn what_a_rejected_record_did_is_undone() {
        let mut families = Families::new();
        let family = families.entry(b"key");
        families.add(family, 20, 2, |slot| bounds(slot).0);
        families.accept();
        families.add(family, 40, 4, |slot| bounds(slot).0);
        families.reject();
        assert_eq!(touching(&families, family, 0, 100), [2]);
        assert!(families.several.is_empty());
        families.add(family, 40, 4, |slot| bounds(slot).0);
        families.accept();
        families.begins_earlier(family, 40, 30);
        families.remove(family, 20);
        families.remove(family, 30);
        families.reject();
        assert_eq!(families.find(b"key"), Some(family));
        assert_eq!(touching(&families, family, 0, 25), [2]);
        families.remove(family, 40);
        families.remove(family, 20);
        families.accept();
        assert_eq!(families.find(b"key"), None);
    }
}
