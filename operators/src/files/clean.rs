//! What becomes of files once an epoch that covers them is committed: deleted, or moved to an archive.

use std::fs::{self, File};
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

/// Moves a file below a folder, where it keeps its whole path. What stands there already stays, as in Spark.
fn archive(path: &Path, folder: &Path) -> io::Result<()> {
    let (absolute, folder) = (std::path::absolute(path)?, std::path::absolute(folder)?);
    let below: PathBuf = absolute
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect();
    let to = folder.join(below);
    if fs::symlink_metadata(&to).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("the archive has a file {} already", to.display()),
        ));
    }
    let parent = to.parent().unwrap_or(&folder);
    fs::create_dir_all(parent)?;
    match fs::rename(path, &to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            carry(path, &to, parent)?;
            let made = parent.ancestors().take_while(|at| at.starts_with(&folder));
            for at in made.chain(folder.parent()) {
                File::open(at)?.sync_all()?;
            }
            fs::remove_file(path)
        }
        moved => moved,
    }
}

/// Copies a file to another file system, with its time: it is durable there before it has its name.
fn carry(path: &Path, to: &Path, parent: &Path) -> io::Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let aside = parent.join(format!(".{name}.moving"));
    fs::copy(path, &aside)?;
    let copy = File::options().write(true).open(&aside)?;
    copy.set_modified(fs::metadata(path)?.modified()?)?;
    copy.sync_all()?;
    fs::rename(&aside, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(path: &Path) -> Micros {
        listing::look(path.to_str().unwrap()).unwrap().time
    }

    #[test]
    fn what_stands_in_the_archive_stays_and_so_does_the_file() {
        let at = tempfile::tempdir().unwrap();
        let (file, old) = (at.path().join("a.json"), at.path().join("old"));
        let moved = old.join(file.strip_prefix("/").unwrap());
        let how = Clean::Archive(old);
        let path = file.to_str().unwrap();
        fs::write(&file, "first").unwrap();
        clean(path, time(&file), &how).unwrap();
        fs::write(&file, "second").unwrap();
        let refused = clean(path, time(&file), &how).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&moved).unwrap(), "first");
        assert_eq!(fs::read_to_string(&file).unwrap(), "second");
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

    #[test]
    fn a_copy_on_another_file_system_has_the_content_and_the_time() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, to) = (here.path().join("a.json"), there.path().join("b.json"));
        fs::write(&file, "content").unwrap();
        carry(&file, &to, there.path()).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "content");
        assert_eq!(time(&to), time(&file));
        assert_eq!(fs::read_dir(there.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_are_moved_to_another_file_system() {
        use std::os::unix::fs::MetadataExt;
        let here = tempfile::tempdir().unwrap();
        let Ok(there) = tempfile::tempdir_in("/dev/shm") else {
            return;
        };
        let device = |at: &Path| fs::metadata(at).unwrap().dev();
        if device(here.path()) == device(there.path()) {
            return;
        }
        let file = here.path().join("a.json");
        fs::write(&file, "content").unwrap();
        archive(&file, there.path()).unwrap();
        let moved = there.path().join(file.strip_prefix("/").unwrap());
        assert_eq!(fs::read_to_string(moved).unwrap(), "content");
        assert!(!file.exists());
    }
}
