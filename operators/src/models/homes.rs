//! Copies of the versions that were in force, beside the checkpoints that name them: a start finds them there although their
//! file has been replaced, or never was one.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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

/// An unfinished copy of another process is its past once it is so old.
const LEFTOVER_AGE: Duration = Duration::from_secs(3_600);

/// Several processes may keep the same copy at the same moment.
fn put(home: &Path, tag: &Tag, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(home)?;
    let path = home.join(format!("{}.onnx", tag.hash));
    if fs::metadata(&path).is_ok_and(|about| about.len() == bytes.len() as u64) {
        // It counts as the newest again.
        match File::options().append(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            file => return file?.set_modified(SystemTime::now()),
        }
    }
    // Each writes its own: none takes away what another is about to rename.
    let own = RandomState::new().hash_one(&tag.hash);
    let temporary = home.join(format!(".{}.{own:016x}.tmp", tag.hash));
    let written = File::create_new(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    File::open(home)?.sync_all()?;
    prune(home)
}

/// Removes all but the newest copies, and what was never finished.
fn prune(home: &Path) -> io::Result<()> {
    let mut copies = Vec::new();
    for entry in fs::read_dir(home)?.flatten() {
        let path = entry.path();
        // One that another process has removed meanwhile is gone for this one too.
        let Ok(modified) = entry.metadata().and_then(|about| about.modified()) else {
            continue;
        };
        let of_kind = |kind: &str| path.extension().is_some_and(|extension| extension == kind);
        if of_kind("onnx") {
            copies.push((modified, path));
        } else if of_kind("tmp") && modified.elapsed().is_ok_and(|age| age >= LEFTOVER_AGE) {
            let _ = fs::remove_file(path);
        }
    }
    copies.sort();
    let surplus = copies.len().saturating_sub(COPIES_MAX);
    for (_, path) in &copies[..surplus] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
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

    #[test]
    fn processes_that_keep_the_same_copy_at_once_all_keep_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("fraud");
        let begin = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for number in 0..200_u32 {
                        let bytes = number.to_le_bytes().repeat(1000);
                        let tag = Tag {
                            version: "v".into(),
                            hash: hash(&bytes),
                        };
                        begin.wait();
                        let homes = [Home::Folder(folder.clone())];
                        keep(&homes, &tag, &bytes).unwrap();
                    }
                });
            }
        });
        let left = fs::read_dir(&folder).unwrap().flatten();
        let left: Vec<String> = left
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(left.len(), COPIES_MAX, "{left:?}");
        assert!(left.iter().all(|name| name.ends_with(".onnx")), "{left:?}");
    }
}
