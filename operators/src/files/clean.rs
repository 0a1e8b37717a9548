//! What becomes of files once an epoch that covers them is committed: deleted, or moved to an archive.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::options::Clean;

/// Cleans one file of this machine.
pub(super) fn clean(path: &str, how: &Clean) -> io::Result<()> {
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
