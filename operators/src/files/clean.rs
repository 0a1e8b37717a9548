//! What becomes of files once an epoch that covers them is committed: deleted, or moved to an archive.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use thalweg_engine::record::Micros;

use super::listing;
use super::options::Clean;

/// Cleans one file of this machine, which had this time when it was opened.
pub(super) fn clean(path: &str, time: Micros, how: &Clean) -> io::Result<()> {
    // What came to it since has not been read.
    if listing::look(path).is_some_and(|now| now.time != time) {
        return Err(io::Error::other("it was written after it was read"));
    }
    match how {
        Clean::Delete => fs::remove_file(path),
        Clean::Archive(folder) => archive(Path::new(path), folder),
    }
}

/// Moves a file below a folder, where it keeps its whole path.
fn archive(path: &Path, folder: &Path) -> io::Result<()> {
    let absolute = std::path::absolute(path)?;
    let below: PathBuf = absolute
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect();
    let to = folder.join(below);
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::rename(path, &to) {
        // Another file system.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let aside = to.with_extension("moving");
            fs::copy(path, &aside)?;
            fs::rename(&aside, &to)?;
            fs::remove_file(path)
        }
        moved => moved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(path: &Path) -> Micros {
        listing::look(path.to_str().unwrap()).unwrap().time
    }

    #[test]
    fn a_file_that_was_written_after_it_was_read_stays() {
        let at = tempfile::tempdir().unwrap();
        let file = at.path().join("a.json");
        fs::write(&file, "read").unwrap();
        let opened = time(&file) - 1;
        clean(file.to_str().unwrap(), opened, &Clean::Delete).unwrap_err();
        assert!(file.exists());
    }
}
