//! Copies of the versions that were in force, beside the checkpoints that name them: a start finds them there although their
//! file has been replaced, or never was one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::edition::{Tag, hash};

/// Copies of a model that are kept in a folder.
const COPIES_MAX: usize = 10;

/// Keeps a copy in each folder.
///
/// # Errors
/// When one cannot be written.
pub(super) fn keep(homes: &[PathBuf], tag: &Tag, bytes: &[u8]) -> Result<(), String> {
    for home in homes {
        put(home, tag, bytes)
            .map_err(|error| format!("no copy can be kept in {}: {error}", home.display()))?;
    }
    Ok(())
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
pub(super) fn find(homes: &[PathBuf], tag: &Tag) -> Option<Arc<[u8]>> {
    homes.iter().find_map(|home| {
        let bytes = fs::read(home.join(format!("{}.onnx", tag.hash))).ok()?;
        (hash(&bytes) == tag.hash).then(|| bytes.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_copies_are_kept_and_found_by_their_hash() {
        let home = tempfile::tempdir().unwrap();
        let homes = [home.path().join("fraud")];
        let tag = |number: u32| Tag {
            version: format!("v{number}").into(),
            hash: hash(&number.to_le_bytes()),
        };
        for number in 0..12_u32 {
            keep(&homes, &tag(number), &number.to_le_bytes()).unwrap();
        }
        assert_eq!(fs::read_dir(&homes[0]).unwrap().count(), COPIES_MAX);
        assert_eq!(
            find(&homes, &tag(11)).as_deref(),
            Some(&11_u32.to_le_bytes()[..])
        );
        let path = homes[0].join(format!("{}.onnx", tag(11).hash));
        fs::write(path, "damaged").unwrap();
        assert_eq!(find(&homes, &tag(11)), None);
    }
}
