//! State objects: what a step changed in an epoch, on disk, and their merging in the background.
//!
//! An object is a sequence of blocks, each `length, crc32c` (32-bit little-endian numbers) and its bytes. The first holds
//! the header as JSON, the next ones whole entries sorted by key, one entry per key; the last is empty and its checksum is
//! that of the number of entries (64-bit), so that a truncated object is noticed. The header says the object's own name, so
//! that one that lies in the place of another is noticed: all of them are whole, and a wrong one would count wrongly.
//!
//! | given | then |
//! | --- | --- |
//! | a checksum that does not match, an end that is missing | damaged |
//! | a header of another format | of another version |
//! | a header with another name | another object, put in its place |
//! | a header without a name | of an early version, taken as it is |
//!
//! A chain is the objects of one step, oldest first. What is new is appended; [`merge_from`] says when a stretch of it is
//! worth merging into one object, so that a chain stays short and each entry is written a logarithmic number of times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, BufRead as _, BufReader, Read, Write};

use serde::{Deserialize, Serialize};

use crate::epoch::store::Store;
use crate::state::{Entries, StateChanges, put, remove, split};

/// The format that this version writes and reads.
const FORMAT: u32 = 1;
/// Bytes after which a block is full; an entry that is larger has a block of its own.
const BLOCK: usize = 64 * 1024;
/// The longest block that is read: entries have lengths of 32 bits.
const BLOCK_MAX: u32 = u32::MAX - 1;
/// Objects that a chain may have before it is looked at.
const CHAIN: usize = 8;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    /// The object's own name, without its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    whole: bool,
    layout: String,
}

/// The name of an object within its folder.
fn own(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, own)| own)
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

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

/// An error with the object that it is about.
pub(super) fn of(name: &str, error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() && error.kind() != io::ErrorKind::NotFound {
        // What the system says of the process (too many open files) is asked for by its number.
        return error;
    }
    io::Error::new(error.kind(), format!("{name}: {error}"))
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

struct Writer<'a> {
    out: &'a mut dyn Write,
    block: Vec<u8>,
    count: u64,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut dyn Write, name: &str, whole: bool, layout: &str) -> io::Result<Self> {
        let header = Header {
            format: FORMAT,
            name: Some(own(name).to_owned()),
            whole,
            layout: layout.to_owned(),
        };
        let mut writer = Self {
            out,
            block: serde_json::to_vec(&header)?,
            count: 0,
        };
        writer.flush()?;
        Ok(writer)
    }

    fn entry(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        match value {
            Some(value) => put(&mut self.block, key, |out| out.extend_from_slice(value)),
            None => remove(&mut self.block, key),
        }
        self.count += 1;
        if self.block.len() >= BLOCK {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.block.len())
            .ok()
            .filter(|length| *length <= BLOCK_MAX)
            .ok_or_else(|| damaged("an entry of more than 4 GB"))?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out
            .write_all(&crc32c::crc32c(&self.block).to_le_bytes())?;
        self.out.write_all(&self.block)?;
        self.block.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.flush()?;
        }
        self.out.write_all(&0_u32.to_le_bytes())?;
        let seal = crc32c::crc32c(&self.count.to_le_bytes());
        self.out.write_all(&seal.to_le_bytes())
    }
}

/// Reads an object entry by entry, a block at a time.
pub(super) struct Reader {
    name: String,
    from: BufReader<Box<dyn Read + Send>>,
    header: Header,
    block: Vec<u8>,
    at: usize,
    count: u64,
}

/// A key with its value.
type Owned = (Vec<u8>, Option<Vec<u8>>);

impl Reader {
    fn open(store: &dyn Store, name: &str) -> io::Result<Self> {
        Self::of(name, store.read(name)?)
    }

    /// Reads an object from its first byte on.
    pub(super) fn of(name: &str, from: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut reader = Self {
            name: name.to_owned(),
            from: BufReader::with_capacity(16 * 1024, from),
            header: Header {
                format: FORMAT,
                name: None,
                whole: false,
                layout: String::new(),
            },
            block: Vec::new(),
            at: 0,
            count: 0,
        };
        if reader.block()?.is_none() {
            return Err(damaged("it has no header"));
        }
        let value: serde_json::Value =
            serde_json::from_slice(&reader.block).map_err(|_| damaged("its header is no JSON"))?;
        let format = value.get("format").and_then(serde_json::Value::as_u64);
        if format != Some(u64::from(FORMAT)) {
            return Err(damaged(&format!(
                "it has format {}, and this version reads format {FORMAT}",
                format.map_or_else(|| "none".to_owned(), |format| format.to_string())
            )));
        }
        reader.header = serde_json::from_value(value)
            .map_err(|error| damaged(&format!("its header is not as expected: {error}")))?;
        reader.block.clear();
        match &reader.header.name {
            Some(other) if other != own(name) => Err(damaged(&format!(
                "it is the object {other}, which was put in its place"
            ))),
            _ => Ok(reader),
        }
    }

    /// Whether the object is the whole state.
    pub(super) fn whole(&self) -> bool {
        self.header.whole
    }

    /// What its keys and values mean.
    pub(super) fn layout(&self) -> &str {
        &self.header.layout
    }

    /// The next block; None at the end, whose checksum is that of the number of entries.
    fn block(&mut self) -> io::Result<Option<()>> {
        let mut word = [0; 4];
        let mut number = |from: &mut BufReader<_>| -> io::Result<u32> {
            from.read_exact(&mut word)
                .map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => damaged("it is truncated"),
                    _ => error,
                })?;
            Ok(u32::from_le_bytes(word))
        };
        let (length, crc) = (number(&mut self.from)?, number(&mut self.from)?);
        self.block.clear();
        self.at = 0;
        if length == 0 {
            if crc != crc32c::crc32c(&self.count.to_le_bytes()) {
                return Err(damaged("entries are missing"));
            }
            return match self.from.fill_buf()? {
                [] => Ok(None),
                _ => Err(damaged("something stands behind its end")),
            };
        }
        // The length is not to be trusted before the checksum: nothing is allocated for what is not there.
        (&mut self.from)
            .take(u64::from(length))
            .read_to_end(&mut self.block)?;
        if self.block.len() < length as usize {
            return Err(damaged("it is truncated"));
        }
        if crc32c::crc32c(&self.block) != crc {
            return Err(damaged("its checksum does not match"));
        }
        Ok(Some(()))
    }

    /// Reads the next block of entries; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        if self.block()?.is_none() {
            return Ok(false);
        }
        let mut rest = self.block.as_slice();
        while !rest.is_empty() {
            rest = split(rest)
                .ok_or_else(|| damaged("its entries are not whole"))?
                .1;
            self.count += 1;
        }
        Ok(true)
    }

    /// The next entry; an error says of which object.
    fn named_next(&mut self) -> io::Result<Option<Owned>> {
        self.next().map_err(|error| of(&self.name, error))
    }

    fn next(&mut self) -> io::Result<Option<Owned>> {
        if self.at >= self.block.len() && !self.fill()? {
            return Ok(None);
        }
        let rest = &self.block[self.at..];
        let ((key, value), behind) =
            split(rest).ok_or_else(|| damaged("its entries are not whole"))?;
        let owned = (key.to_vec(), value.map(<[u8]>::to_vec));
        self.at += rest.len() - behind.len();
        Ok(Some(owned))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use crate::testing::cases;
    use proptest::prelude::*;

    use super::*;
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
