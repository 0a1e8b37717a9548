//! Where checkpoints and state lie: named, immutable objects that are safe once `put` has returned.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Cursor, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// An object as `list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name within the folder.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// When it was written.
    pub modified: SystemTime,
}

/// Writes an object's bytes to where they go.
pub type WriteObject<'a> = dyn FnMut(&mut dyn Write) -> io::Result<()> + 'a;

/// Bytes of an object that may be on their way: waits for them.
pub type Fetch<'s> = Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send + 's>;

/// Objects by name; a name is `folder/object`. Methods block.
pub trait Store: Send + Sync {
    /// Writes a new object; durable when it returns, and never visible in part. An object of that name must not exist.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the medium says. The object may then exist or not; it is never damaged.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// The bytes of an object.
    ///
    /// # Errors
    /// `NotFound`, or what the medium says.
    fn get(&self, name: &str) -> io::Result<Vec<u8>>;

    /// As [`Store::put`], for an object that need not fit into memory, under a name that one run alone gives: `write` is
    /// called with where its bytes go. Gives how many they were. When it failed it may be tried again.
    ///
    /// # Errors
    /// As [`Store::put`], and what `write` says; nothing is written then.
    fn write(&self, name: &str, write: &mut WriteObject<'_>) -> io::Result<u64> {
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        self.put(name, &bytes)?;
        Ok(bytes.len() as u64)
    }

    /// The bytes of an object, piece by piece.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn read(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.get(name)?)))
    }

    /// `length` bytes of an object from `from` on, which it has.
    ///
    /// # Errors
    /// As [`Store::get`]; whoever reads an object that is shorter meets its end.
    fn read_range(&self, name: &str, from: u64, length: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut whole = self.read(name)?;
        io::copy(&mut (&mut whole).take(from), &mut io::sink())?;
        Ok(Box::new(whole.take(length)))
    }

    /// As [`Store::read_range`], asked now and waited for later, so that several are on their way at once where an answer takes
    /// long. Where it does not, nothing is asked before somebody waits.
    fn fetch<'s>(&'s self, name: &str, from: u64, length: u64) -> Fetch<'s> {
        let name = name.to_owned();
        Box::new(move || self.read_range(&name, from, length))
    }

    /// The objects of a folder, in order of their names; empty when there is no such folder.
    ///
    /// # Errors
    /// What the medium says.
    fn list(&self, folder: &str) -> io::Result<Vec<Entry>>;

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// What the medium says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Removes several objects; gives those that could not be, each with the reason.
    fn remove_all(&self, names: &[String]) -> Vec<(String, io::Error)> {
        let failed = names
            .iter()
            .filter_map(|name| Some((name.clone(), self.remove(name).err()?)));
        failed.collect()
    }

    /// Whether a lock keeps all other processes out. Where none does, whoever starts claims the next epoch, so that a process
    /// that still runs elsewhere commits nothing any more.
    fn locked(&self) -> bool {
        true
    }

    /// How many objects are best read at once: more than one where an answer is long on its way.
    fn at_once(&self) -> usize {
        1
    }

    /// Where it is, for messages.
    fn location(&self) -> String;

    /// A note of the newest committed epoch beside the objects, so that a newest object that was deleted is noticed. Not
    /// durable: after a power cut it may be behind, never ahead.
    ///
    /// # Errors
    /// What the medium says.
    fn note(&self, epoch: u64) -> io::Result<()>;

    /// The note; None when there is none.
    fn noted(&self) -> Option<u64>;
}

/// A local folder: locked by one process, looked at by any, or shared by several, where whoever puts an object first has
/// put it.
pub struct FolderStore {
    root: PathBuf,
    lock: Option<File>,
    /// What tells this process's unfinished objects from those of others, where the folder is shared.
    shared: Option<String>,
}

/// Why a folder cannot be opened for writing.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it.
    InUse {
        /// Its process id, where it wrote it.
        by: Option<u32>,
    },
    /// What the system says, with what was tried.
    Io(String, io::Error),
}

impl FolderStore {
    /// Opens a folder to read only: nothing is locked, made or changed.
    pub fn read_only(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            lock: None,
            shared: None,
        }
    }

    /// Opens a folder that several processes write, making it where it is missing. Nothing is locked: of two that put an
    /// object of one name, one is told that it exists. `token` is of this process alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn share(root: impl Into<PathBuf>, token: &str) -> Result<Self, OpenError> {
        let root = root.into();
        make_folders(&root)?;
        remove_leftovers(&root, Some(LEFTOVER_AGE))?;
        Ok(Self {
            root,
            lock: None,
            shared: Some(token.to_owned()),
        })
    }

    /// Makes the folder where it is missing, locks it, and removes what an interrupted `put` has left.
    ///
    /// # Errors
    /// When another process has it, or it cannot be written.
    pub fn lock(root: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let root = root.into();
        make_folders(&root)?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join("lock"))
            .map_err(|error| OpenError::Io("cannot open the file `lock`".into(), error))?;
        // SAFETY: flock on a descriptor that `lock` owns; it has no memory effects.
        if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::WouldBlock {
                let text = fs::read_to_string(root.join("lock")).unwrap_or_default();
                let by = text
                    .split_whitespace()
                    .skip_while(|word| *word != "pid")
                    .nth(1)
                    .and_then(|word| word.parse().ok());
                return Err(OpenError::InUse { by });
            }
            return Err(OpenError::Io("cannot lock the file `lock`".into(), error));
        }
        let store = Self {
            root,
            lock: Some(lock),
            shared: None,
        };
        remove_leftovers(&store.root, None)?;
        if let Some(noted) = store.noted() {
            // Writes the process id beside the note that was there.
            store
                .note(noted)
                .map_err(|error| OpenError::Io("cannot write the file `lock`".into(), error))?;
        }
        Ok(store)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes an object: a new one, or in the place of one of its name.
    fn place(&self, name: &str, new: bool, write: &mut WriteObject<'_>) -> io::Result<u64> {
        let path = self.root.join(name);
        // Where it is shared, the link says it.
        if new && self.shared.is_none() && path.exists() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} exists", path.display()),
            ));
        }
        let folder = path.parent().unwrap_or(&self.root);
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let token = self.shared.as_deref().unwrap_or_default();
        let temporary = folder.join(format!("{TEMPORARY}{token}{file_name}"));
        let mut in_place = false;
        let written: io::Result<u64> = (|| {
            let mut out = BufWriter::with_capacity(BUFFER, File::create(&temporary)?);
            write(&mut out)?;
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_data()?;
            if new && self.shared.is_some() {
                // Unlike a rename, a link never takes the place of what another process has put meanwhile.
                fs::hard_link(&temporary, &path)?;
                in_place = true;
                let _ = fs::remove_file(&temporary);
            } else {
                fs::rename(&temporary, &path)?;
                in_place = true;
            }
            // The rename itself is safe only when the folder is.
            File::open(folder)?.sync_all()?;
            Ok(file.metadata()?.len())
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
            // After a failed fsync nobody knows what is on disk: the object must not be taken for whole. What stands there
            // otherwise is another process's, which has put it meanwhile.
            if in_place {
                let _ = fs::remove_file(&path);
            }
        }
        written
    }
}

/// The folders of objects.
const FOLDERS: [&str; 2] = ["epochs", "state"];
/// An unfinished object of another process is its past once it is so old.
const LEFTOVER_AGE: Duration = Duration::from_secs(3_600);

fn make_folders(root: &Path) -> Result<(), OpenError> {
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))
            .map_err(|error| OpenError::Io("cannot make the folder".into(), error))?;
    }
    Ok(())
}

/// Removes unfinished objects, those that are as old as told. One that cannot be removed harms nobody.
fn remove_leftovers(root: &Path, age: Option<Duration>) -> Result<(), OpenError> {
    let old = |entry: &fs::DirEntry| {
        let modified = entry.metadata().and_then(|about| about.modified());
        age.is_none_or(|age| {
            modified.is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed >= age))
        })
    };
    for folder in FOLDERS {
        let entries = fs::read_dir(root.join(folder))
            .map_err(|error| OpenError::Io("cannot list the folder".into(), error))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) && old(&entry) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    Ok(())
}

/// Bytes that go to the system at once.
const BUFFER: usize = 64 * 1024;
/// How the names of unfinished objects begin.
const TEMPORARY: &str = ".tmp-";

impl Store for FolderStore {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let put = self.place(name, true, &mut |out| out.write_all(bytes));
        put.map(drop)
    }

    fn write(&self, name: &str, write: &mut WriteObject<'_>) -> io::Result<u64> {
        // One run alone gives such a name, so what stands there is of a try that seemed to fail.
        self.place(name, false, write)
    }

    fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.root.join(name))
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.root.join(name))?))
    }

    fn read_range(&self, name: &str, from: u64, length: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(self.root.join(name))?;
        file.seek(SeekFrom::Start(from))?;
        Ok(Box::new(file.take(length)))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        let entries = match fs::read_dir(self.root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(TEMPORARY) {
                continue;
            }
            let about = match entry.metadata() {
                Ok(about) => about,
                // Removed since: a reader beside the running job may see that.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            found.push(Entry {
                name,
                size: about.len(),
                modified: about.modified()?,
            });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.root.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn locked(&self) -> bool {
        self.lock.is_some()
    }

    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn note(&self, epoch: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let Some(lock) = &self.lock else {
            return Ok(());
        };
        // One write of a fixed length, so that a crash leaves either the old or the new note.
        let note = format!("epoch {epoch:020} pid {:010}\n", std::process::id());
        lock.write_all_at(note.as_bytes(), 0)
    }

    fn noted(&self) -> Option<u64> {
        let text = fs::read_to_string(self.root.join("lock")).ok()?;
        text.split_whitespace().nth(1)?.parse().ok()
    }
}
