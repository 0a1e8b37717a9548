//! State objects: what a step changed in an epoch, on disk, and their merging in the background. How one is written is in
//! `blocks`.
//!
//! A chain is the objects of one step, oldest first. What is new is appended; [`merge_from`] says when a stretch of it is
//! worth merging into one object, so that a chain stays short and each entry is written a logarithmic number of times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

use crate::epoch::blocks::{Reader, Writer, damaged, of};
use crate::epoch::store::Store;
use crate::state::{Entries, StateChanges};

/// Objects that a chain may have before it is looked at.
const CHAIN: usize = 8;

/// Writes the changes as an object, sorted and without repetition. Gives its bytes.
///
/// # Errors
/// What the store says.
pub fn write(store: &dyn Store, name: &str, changes: &StateChanges) -> io::Result<u64> {
    // Where each entry stands is all that is held beside the changes.
    let mut places: Vec<usize> = changes.entries.places().collect();
    let at = |place: usize| changes.entries.at(place);
    places.sort_unstable_by_key(|place| (at(*place).0, *place));
    store.write(name, &mut |out| {
        let mut writer = Writer::new(out, name, changes.whole, &changes.layout)?;
        for (index, place) in places.iter().enumerate() {
            let (key, value) = at(*place);
            let last = places.get(index + 1).is_none_or(|next| at(*next).0 != key);
            if last {
                writer.entry(key, value)?;
            }
        }
        writer.finish()
    })
}

/// Reads a whole object.
///
/// # Errors
/// `NotFound`, `InvalidData` when it is damaged, or what the store says.
pub fn read(store: &dyn Store, name: &str) -> io::Result<StateChanges> {
    let mut reader = Reader::open(store, name)?;
    let mut bytes = Vec::new();
    while reader.fill()? {
        bytes.extend_from_slice(&reader.block);
    }
    let entries = Entries::from_bytes(bytes).ok_or_else(|| damaged("its entries are not whole"))?;
    Ok(StateChanges {
        whole: reader.header.whole,
        layout: reader.header.layout,
        entries,
    })
}

/// Merges objects, oldest first, into a new one; with `first`, the oldest is the beginning of its chain, so that what is
/// removed need not be remembered. None when they are of different layouts. Memory: a block of each.
///
/// # Errors
/// As [`read`] and [`write`](fn@write).
pub fn merge(
    store: &dyn Store,
    names: &[String],
    into: &str,
    first: bool,
) -> io::Result<Option<u64>> {
    let mut header: Option<(bool, String)> = None;
    for name in names {
        let next = Reader::open(store, name)
            .map_err(|error| of(name, error))?
            .header;
        match &header {
            Some((_, layout)) if *layout != next.layout => return Ok(None),
            Some((_, layout)) if next.whole => header = Some((true, layout.clone())),
            Some(_) => {}
            None => header = Some((next.whole, next.layout)),
        }
    }
    let Some((whole, layout)) = header else {
        return Ok(None);
    };
    let written = store.write(into, &mut |out| {
        let mut writer = Writer::new(out, into, whole, &layout)?;
        let mut readers = Vec::with_capacity(names.len());
        for name in names {
            readers.push(Reader::open(store, name).map_err(|error| of(name, error))?);
        }
        merged(&mut readers, |key, value, _| match value {
            None if first => Ok(()),
            value => writer.entry(key, value),
        })?;
        writer.finish()
    })?;
    Ok(Some(written))
}

/// Reads an object to its end and keeps nothing of it. Memory: a block.
///
/// # Errors
/// As [`read`].
pub(super) fn verify(store: &dyn Store, name: &str) -> io::Result<()> {
    let mut reader = Reader::open(store, name)?;
    while reader.fill()? {}
    Ok(())
}

/// Shows the newest entry of each key of several objects, oldest first, in the order of keys, with the number of its object.
pub(super) fn merged(
    readers: &mut [Reader],
    mut each: impl FnMut(&[u8], Option<&[u8]>, usize) -> io::Result<()>,
) -> io::Result<()> {
    // By key, then the newest first.
    let mut heads = BinaryHeap::with_capacity(readers.len());
    for (number, reader) in readers.iter_mut().enumerate() {
        if let Some((key, value)) = reader.named_next()? {
            heads.push(Reverse((key, Reverse(number), value)));
        }
    }
    let mut before: Option<Vec<u8>> = None;
    while let Some(Reverse((key, Reverse(number), value))) = heads.pop() {
        if before.as_ref() != Some(&key) {
            each(&key, value.as_deref(), number)?;
            before = Some(key);
        }
        if let Some((key, value)) = readers[number].named_next()? {
            heads.push(Reverse((key, Reverse(number), value)));
        }
    }
    Ok(())
}

/// From which object on a chain of these sizes should be merged into one: the longest end of it whose first object is not
/// larger than all behind it together. All of it where what came since the first object is twice as large, because each
/// kept epoch would hold that much. None while it is short, or well shaped.
pub fn merge_from(sizes: &[u64]) -> Option<usize> {
    if sizes.len() < CHAIN {
        let (first, rest) = sizes.split_first()?;
        return (rest.iter().sum::<u64>() >= first.saturating_mul(2) && rest.len() > 1)
            .then_some(0);
    }
    let mut behind = 0;
    let mut from = None;
    for (index, size) in sizes.iter().enumerate().rev() {
        if index + 1 < sizes.len() && *size <= behind {
            from = Some(index);
        }
        behind += size;
    }
    // Of sizes that more than halve there is nothing to gain, but the newest two are always small.
    from.or(Some(sizes.len() - 2))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use crate::testing::cases;
    use proptest::prelude::*;

    use super::*;
    use crate::epoch::blocks::BLOCK;
    use crate::epoch::store::FolderStore;

    /// Changes of keys of one byte; None removes.
    pub(in crate::epoch) fn changes(layout: &str, of: &[(u8, Option<u8>)]) -> StateChanges {
        let mut entries = Entries::default();
        for (key, value) in of {
            match value {
                Some(value) => entries.put(&[*key], |out| out.push(*value)),
                None => entries.remove(&[*key]),
            }
        }
        StateChanges {
            whole: false,
            layout: layout.to_owned(),
            entries,
        }
    }

    fn store() -> (tempfile::TempDir, FolderStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = FolderStore::lock(dir.path()).unwrap();
        (dir, store)
    }

    fn table(objects: &[StateChanges]) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut table = BTreeMap::new();
        for (key, value) in objects.iter().flat_map(|object| &object.entries) {
            match value {
                Some(value) => table.insert(key.to_vec(), value.to_vec()),
                None => table.remove(key),
            };
        }
        table
    }

    #[test]
    fn objects_of_two_layouts_are_never_merged() {
        let (_dir, store) = store();
        write(&store, "state/a", &changes("1", &[(1, Some(1))])).unwrap();
        write(&store, "state/b", &changes("2", &[(1, Some(2))])).unwrap();
        let names = ["state/a".to_owned(), "state/b".to_owned()];
        assert_eq!(merge(&store, &names, "state/c", true).unwrap(), None);
    }

    #[test]
    fn an_object_in_the_place_of_another_is_refused() {
        let (dir, store) = store();
        write(&store, "state/a", &changes("1", &[(1, Some(1))])).unwrap();
        write(&store, "state/b", &changes("1", &[(1, Some(2))])).unwrap();
        std::fs::rename(dir.path().join("state/b"), dir.path().join("state/a")).unwrap();
        let refused = read(&store, "state/a").unwrap_err().to_string();
        assert_eq!(refused, "it is the object b, which was put in its place");
        let names = ["state/a".to_owned()];
        let refused = merge(&store, &names, "state/c", true).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("state/a: it is the object b"),
            "{refused}"
        );
    }

    #[test]
    fn a_large_state_takes_many_blocks() {
        let (_dir, store) = store();
        let mut entries = Entries::default();
        for key in 0..20_000_u32 {
            entries.put(&key.to_be_bytes(), |out| out.extend_from_slice(&[7; 20]));
        }
        let large = StateChanges {
            whole: true,
            layout: "1".into(),
            entries,
        };
        let bytes = write(&store, "state/a", &large).unwrap();
        assert!(bytes > 5 * BLOCK as u64);
        assert_eq!(read(&store, "state/a").unwrap(), large);
    }

    #[test]
    fn a_chain_stays_short_and_each_entry_is_written_a_few_times() {
        let mut chain: Vec<u64> = Vec::new();
        let mut written = 0;
        for _ in 0..10_000 {
            chain.push(100);
            if let Some(from) = merge_from(&chain) {
                let merged = chain.drain(from..).sum();
                written += merged;
                chain.push(merged);
            }
            assert!(chain.len() <= 24, "{chain:?}");
        }
        assert!(written <= 1_000_000 * 16, "{written}");
    }

    #[test]
    fn a_chain_whose_objects_are_as_large_as_the_state_is_merged_at_once() {
        let mut chain: Vec<u64> = Vec::new();
        for _ in 0..100 {
            // All keys change each time: what is merged is as large as each of them.
            chain.push(100);
            if let Some(from) = merge_from(&chain) {
                chain.truncate(from);
                chain.push(100);
            }
            assert!(chain.iter().sum::<u64>() <= 300, "{chain:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases(64)))]

        #[test]
        fn merged_objects_say_what_the_chain_said(
            objects in prop::collection::vec(prop::collection::vec((0_u8..6, prop::option::of(0_u8..9)), 0..12), 1..5),
            from in 0_usize..4,
        ) {
            let (_dir, store) = store();
            let objects: Vec<StateChanges> = objects.iter().map(|one| changes("1", one)).collect();
            let names: Vec<String> = (0..objects.len()).map(|number| format!("state/{number}")).collect();
            for (name, object) in names.iter().zip(&objects) {
                write(&store, name, object).unwrap();
                prop_assert_eq!(table(&[read(&store, name).unwrap()]), table(std::slice::from_ref(object)));
            }
            let from = from.min(names.len() - 1);
            merge(&store, &names[from..], "state/merged", from == 0).unwrap().unwrap();
            let mut chain: Vec<StateChanges> = objects[..from].to_vec();
            chain.push(read(&store, "state/merged").unwrap());
            prop_assert_eq!(table(&chain), table(&objects));
        }

        #[test]
        fn an_object_cut_changed_or_too_long_is_refused(at in 0_usize..200, change in 0_u8..4) {
            let (dir, store) = store();
            write(&store, "state/a", &changes("1", &[(1, Some(2)), (2, None), (3, Some(4))])).unwrap();
            let path = dir.path().join("state/a");
            let mut bytes = std::fs::read(&path).unwrap();
            let at = at % bytes.len();
            match change {
                0 => bytes.truncate(at),
                1 => bytes[at] ^= 1,
                2 => bytes[at] ^= 0x80,
                _ => bytes.push(bytes[at]),
            }
            std::fs::write(&path, bytes).unwrap();
            prop_assert!(read(&store, "state/a").is_err());
        }
    }
}
