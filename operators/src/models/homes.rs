//! Copies of the versions that were in force, beside the checkpoints that name them: a start finds them there although their
//! file has been replaced, or never was one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg_engine::epoch::store::Store;

use super::edition::{Tag, hash};
use super::place;

/// Copies of a model that are kept in a folder.
const COPIES_MAX: usize = 10;

/// Where copies are kept.
#[derive(Clone)]
pub enum Home {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A folder of an object store.
    Store {
        /// The store.
        store: Arc<dyn Store>,
        /// What stands before the names of copies in it.
        folder: String,
    },
}

impl Home {
    fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Store { store, folder } => format!("{}/{folder}", store.location()),
        }
    }
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

/// Keeps a copy in each home.
///
/// # Errors
/// When one cannot be written.
pub(super) fn keep(homes: &[Home], tag: &Tag, bytes: &[u8]) -> Result<(), String> {
    for home in homes {
        let kept = match home {
            Home::Folder(folder) => put(folder, tag, bytes),
            Home::Store { store, folder } => put_object(&**store, folder, tag, bytes),
        };
        kept.map_err(|error| format!("no copy can be kept in {}: {error}", home.shown()))?;
    }
    Ok(())
}

/// As [`put`], in an object store.
fn put_object(store: &dyn Store, folder: &str, tag: &Tag, bytes: &[u8]) -> io::Result<()> {
    // Written again it counts as the newest again.
    store.write(&object(folder, tag), &mut |out| out.write_all(bytes))?;
    let mut copies = store.list(folder)?;
    copies.sort_by_key(|copy| copy.modified);
    let surplus = copies.len().saturating_sub(COPIES_MAX);
    copies[..surplus]
        .iter()
        .try_for_each(|copy| store.remove(&format!("{folder}/{}", copy.name)))
}

fn object(folder: &str, tag: &Tag) -> String {
    format!("{folder}/{}.onnx", tag.hash)
}

fn put(home: &Path, tag: &Tag, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(home)?;
    let path = home.join(format!("{}.onnx", tag.hash));
    if fs::metadata(&path).is_ok_and(|about| about.len() == bytes.len() as u64) {
        // It counts as the newest again.
        return File::options()
            .append(true)
            .open(&path)?
            .set_modified(std::time::SystemTime::now());
    }
    let temporary = home.join(format!(".{}.tmp", tag.hash));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    File::open(home)?.sync_all()?;
    prune(home)
}

/// Removes all but the newest copies.
fn prune(home: &Path) -> io::Result<()> {
    let mut copies = Vec::new();
    for entry in fs::read_dir(home)?.flatten() {
        let path = entry.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "onnx")
        {
            copies.push((entry.metadata()?.modified()?, path));
        }
    }
    copies.sort();
    let surplus = copies.len().saturating_sub(COPIES_MAX);
    copies[..surplus]
        .iter()
        .try_for_each(|(_, path)| fs::remove_file(path))
}

/// The bytes of a version, where a copy of it is kept.
pub(super) fn find(homes: &[Home], tag: &Tag) -> Option<Arc<[u8]>> {
    homes.iter().find_map(|home| {
        let bytes = match home {
            Home::Folder(folder) => place::content(&folder.join(format!("{}.onnx", tag.hash))).ok(),
            Home::Store { store, folder } => store.get(&object(folder, tag)).ok(),
        };
        let bytes = bytes?;
        (hash(&bytes) == tag.hash).then(|| bytes.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_copies_are_kept_and_found_by_their_hash() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("fraud");
        let homes = [Home::Folder(folder.clone())];
        let tag = |number: u32| Tag {
            version: format!("v{number}").into(),
            hash: hash(&number.to_le_bytes()),
        };
        for number in 0..12_u32 {
            keep(&homes, &tag(number), &number.to_le_bytes()).unwrap();
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), COPIES_MAX);
        assert_eq!(
            find(&homes, &tag(11)).as_deref(),
            Some(&11_u32.to_le_bytes()[..])
        );
        let path = folder.join(format!("{}.onnx", tag(11).hash));
        fs::write(path, "damaged").unwrap();
        assert_eq!(find(&homes, &tag(11)), None);
    }
}
