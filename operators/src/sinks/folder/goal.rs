//! Where parts become visible: in a folder of this machine, or in a bucket of an object store.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
#[cfg(feature = "object-store")]
use std::sync::Arc;

use thalweg_engine::error::Failure;
use thalweg_engine::query::new_id;

use super::OWN;
use super::disk;
use super::table::Layout;
use crate::files::spark_log::LOG;
#[cfg(feature = "object-store")]
use crate::objects::Store;

/// Parts that become visible at once in a bucket, because each waits for several answers. Each of Parquet takes memory.
#[cfg(feature = "object-store")]
const AT_ONCE: usize = 4;

/// Writes the bytes of a part to where they go.
pub(super) type Making<'m> = dyn FnMut(&mut (dyn Write + Send)) -> io::Result<()> + 'm;

/// The place.
pub(super) enum Goal {
    Folder(PathBuf),
    #[cfg(feature = "object-store")]
    Bucket {
        store: Arc<Store>,
        /// What keys begin with, with its `/`.
        below: String,
    },
}

impl Goal {
    /// The place that a table names.
    ///
    /// # Errors
    /// For a folder that a stream of Spark has written; of a bucket [`Goal::check`] says so.
    pub(super) fn open(layout: &Layout) -> Result<Self, Failure> {
        match &layout.remote {
            None if layout.root.join(LOG).is_dir() => Err(of_spark(&layout.root)),
            None => Ok(Self::Folder(layout.root.clone())),
            #[cfg(feature = "object-store")]
            Some(remote) => {
                let key = &remote.address.key;
                Ok(Self::Bucket {
                    store: Arc::new(Store::open(remote)?),
                    below: if key.is_empty() {
                        String::new()
                    } else {
                        format!("{key}/")
                    },
                })
            }
            #[cfg(not(feature = "object-store"))]
            Some(_) => Err(Failure::refuse(crate::objects::LACKS)),
        }
    }

    /// Whether it is there at all: a folder was made, a bucket is not.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Folder(_) => Ok(()),
            #[cfg(feature = "object-store")]
            Self::Bucket { store, below } => match store.first(below.trim_end_matches('/')) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let failure = disk::failure(&self.place(), &error);
                    Err(Failure::refuse(failure.message))
                }
                // Who may write need not be allowed to list.
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                    Err(disk::hindrance(&self.place(), &error))
                }
                Ok(_) if matches!(store.first(&format!("{below}{LOG}")), Ok(Some(_))) => {
                    Err(of_spark(&self.place()))
                }
                _ => Ok(()),
            },
        }
    }

    /// How many parts should become visible at once.
    pub(super) fn at_once(&self) -> usize {
        match self {
            Self::Folder(_) => 1,
            #[cfg(feature = "object-store")]
            Self::Bucket { .. } => AT_ONCE,
        }
    }

    /// What to call it.
    pub(super) fn place(&self) -> PathBuf {
        match self {
            Self::Folder(root) => root.clone(),
            #[cfg(feature = "object-store")]
            Self::Bucket { store, below } => PathBuf::from(store.url(below.trim_end_matches('/'))),
        }
    }

    /// What to call a part there.
    pub(super) fn shown(&self, file: &str) -> PathBuf {
        match self {
            Self::Folder(root) => root.join(file),
            #[cfg(feature = "object-store")]
            Self::Bucket { store, below } => PathBuf::from(store.url(&format!("{below}{file}"))),
        }
    }

    /// Whether a part is visible.
    pub(super) fn has(&self, file: &str) -> io::Result<bool> {
        match self {
            Self::Folder(root) => root.join(file).try_exists(),
            #[cfg(feature = "object-store")]
            Self::Bucket { store, below } => Ok(store.look(&format!("{below}{file}"))?.is_some()),
        }
    }

    /// Takes a whole part there, in one step; false where it is not at hand, because that was done before.
    pub(super) fn take(&self, whole: &Path, file: &str) -> io::Result<bool> {
        match self {
            Self::Folder(root) => {
                let to = root.join(file);
                let folder = to.parent().unwrap_or(root);
                make_folder(folder, root)?;
                match fs::rename(whole, &to) {
                    Ok(()) => disk::sync_folder(folder).map(|()| true),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                    Err(error) => Err(error),
                }
            }
            // A crash between the two leaves both: the same bytes are then put under the same name once more.
            #[cfg(feature = "object-store")]
            Self::Bucket { store, below } => {
                if !whole.try_exists()? {
                    return Ok(false);
                }
                match store.put(&format!("{below}{file}"), whole) {
                    Err(error)
                        if error.kind() == io::ErrorKind::NotFound && !whole.try_exists()? =>
                    {
                        return Ok(false);
                    }
                    put => put?,
                }
                match fs::remove_file(whole) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(true),
                }
            }
        }
    }

    /// Writes a part there, which appears in one step when all of it is written.
    pub(super) fn make(&self, file: &str, write: &mut Making<'_>) -> io::Result<()> {
        match self {
            Self::Folder(root) => {
                let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
                let half = root.join(OWN).join(format!("{name}.{}.half", new_id()));
                let to = root.join(file);
                let folder = to.parent().unwrap_or(root);
                fs::create_dir_all(root.join(OWN))?;
                make_folder(folder, root)?;
                let mut out = fs::File::create(&half)?;
                let made = write(&mut out)
                    .and_then(|()| out.sync_all())
                    .and_then(|()| fs::rename(&half, &to));
                if made.is_err() {
                    let _ = fs::remove_file(&half);
                }
                made.and_then(|()| disk::sync_folder(folder))
            }
            #[cfg(feature = "object-store")]
            Self::Bucket { store, below } => {
                store.write(&format!("{below}{file}"), write).map(drop)
            }
        }
    }

    /// Ends what is under way.
    pub(super) fn close(&self) {
        match self {
            Self::Folder(_) => {}
            #[cfg(feature = "object-store")]
            Self::Bucket { store, .. } => store.close(),
        }
    }
}

fn of_spark(place: &Path) -> Failure {
    let place = place.display();
    Failure::refuse(format!(
        "a stream of Spark has written {place}, and of such a folder Spark reads only what the log {place}/{LOG} names: nobody would \
         see what is written here. Write to another path, or remove {LOG} once no stream of Spark writes there"
    ))
}

/// Makes a folder below `root`, so that it survives a crash.
fn make_folder(folder: &Path, root: &Path) -> io::Result<()> {
    if folder == root || folder.try_exists()? {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(root);
    make_folder(parent, root)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    disk::sync_folder(parent)
}
