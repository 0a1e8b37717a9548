//! The chain of a step's state objects read as one table, beside the job that writes it: nothing is locked, and what the
//! job removes meanwhile stays readable once it is open.
//!
//! Memory: a block of each object, or its longest entry.

use std::io::{self, Read};

use crate::epoch::blocks::{Reader, of};
use crate::epoch::state_store::merged;
use crate::epoch::store::Store;

/// The objects of a chain, open, oldest first.
pub struct Chain(Vec<(String, Box<dyn Read + Send>)>);

impl Chain {
    /// Opens the objects of these names.
    ///
    /// # Errors
    /// `NotFound` when the job has removed one since, or what the store says.
    pub fn open<N: AsRef<str>>(
        store: &dyn Store,
        names: impl IntoIterator<Item = N>,
    ) -> io::Result<Self> {
        let files = names.into_iter().map(|name| {
            let name = name.as_ref();
            let file = store.read(name).map_err(|error| of(name, error))?;
            Ok((name.to_owned(), file))
        });
        Ok(Self(files.collect::<io::Result<_>>()?))
    }

    /// Shows each key that there is with its value, in the order of keys, and before them the layout of its object.
    ///
    /// # Errors
    /// `InvalidData` when an object is damaged (the error begins with its name), what the medium says, and what `each` says.
    pub fn each(
        self,
        mut each: impl FnMut(&str, &[u8], &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let readers = self
            .0
            .into_iter()
            .map(|(name, file)| Reader::of(&name, file).map_err(|error| of(&name, error)));
        let mut readers: Vec<Reader> = readers.collect::<io::Result<_>>()?;
        // What stands before a whole object is void.
        let begin = readers
            .iter()
            .rposition(|reader| reader.header.whole)
            .unwrap_or(0);
        readers.drain(..begin);
        let layouts = readers.iter().map(|reader| reader.header.layout.clone());
        let layouts: Vec<String> = layouts.collect();
        merged(&mut readers, |key, value, number| match value {
            Some(value) => each(&layouts[number], key, value),
            None => Ok(()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::state_store::{self, write};
    use crate::epoch::store::FolderStore;
    use crate::state::StateChanges;

    fn changes(whole: bool, layout: &str, of: &[(u8, Option<u8>)]) -> StateChanges {
        StateChanges {
            whole,
            ..state_store::tests::changes(layout, of)
        }
    }

    #[test]
    fn a_chain_is_one_table_also_when_its_objects_are_removed_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let store = FolderStore::lock(dir.path()).unwrap();
        let objects = [
            changes(false, "old", &[(9, Some(9))]),
            changes(true, "a", &[(1, Some(1)), (2, Some(1)), (3, Some(1))]),
            changes(false, "a", &[(2, None), (3, Some(2))]),
            changes(false, "b", &[(4, Some(3))]),
        ];
        let names = ["state/0", "state/1", "state/2", "state/3"];
        for (name, object) in names.iter().zip(&objects) {
            write(&store, name, object).unwrap();
        }
        let chain = Chain::open(&store, names).unwrap();
        for name in names {
            store.remove(name).unwrap();
        }
        let mut seen = Vec::new();
        chain
            .each(|layout, key, value| {
                seen.push(format!("{layout} {} {}", key[0], value[0]));
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, ["a 1 1", "a 3 2", "b 4 3"]);
        let gone = Chain::open(&store, names).err().unwrap();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }
}
