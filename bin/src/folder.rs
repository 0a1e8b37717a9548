//! Checkpoint folders: whose they are, who has them, and what lies in them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::measured::{Measured, StoreCounters};
use thalweg_engine::epoch::store::{FolderStore, OpenError, Store};
use thalweg_engine::error::Failure;
use thalweg_engine::query::new_id;

use crate::place::Place;
use crate::refusal::Refusal;

/// Where the checkpoints of a shared query's lanes lie, in its folder.
pub(crate) const LANES: &str = "lanes";
/// Where epochs lie in the place of a query or a lane.
const EPOCHS: &str = "epochs";
/// Where objects of state lie there.
const STATE: &str = "state";

/// Opens the log of a query for the only process that writes it, making its place where it is missing. A folder is locked; in an
/// object store the first run claims it.
///
/// # Errors
/// When another process has it, or it cannot be written; the message says what to do.
pub(crate) fn own(
    place: &Place,
    kept_max: usize,
    history: bool,
    counters: Option<&StoreCounters>,
) -> Result<Arc<CheckpointLog>, Refusal> {
    let shared = match place {
        Place::Folder(folder) => folder.join(LANES).is_dir(),
        Place::Remote(remote) => {
            remote.prove()?;
            place.places()?.iter().any(|name| name == LANES)
        }
    };
    not_shared(place, shared)?;
    let store = measured(lock(place)?, counters);
    Ok(Arc::new(CheckpointLog::new(store, kept_max, history)))
}

/// Opens the log of a job that is stopped, for a command that adds an epoch; `shared` says that several processes write there. Nothing
/// that is kept is removed, however much it is.
///
/// # Errors
/// As [`own`] and [`share`].
pub(crate) fn stopped(place: &Place, shared: bool) -> Result<Arc<CheckpointLog>, Refusal> {
    if shared || is_of_a_lane(place) {
        let token = format!("{}-", new_id());
        return Ok(Arc::new(share(place, &token, usize::MAX, true, None)?));
    }
    own(place, usize::MAX, true, None)
}

/// A store whose operations are counted, where somebody looks at that.
fn measured(store: Arc<dyn Store>, counters: Option<&StoreCounters>) -> Arc<dyn Store> {
    match counters {
        Some(counters) => Arc::new(Measured::new(store, counters.clone())),
        None => store,
    }
}

fn not_shared(place: &Place, shared: bool) -> Result<(), Refusal> {
    if shared {
        return Err(Refusal::new(format!(
            "the checkpoints in {} are of processes that share the job: a query goes on in the way it began. Set \
             assignment = 'group', or another checkpointLocation.",
            place.shown()
        )));
    }
    Ok(())
}

fn lock_folder(folder: &Path) -> Result<FolderStore, Refusal> {
    let shown = folder.display();
    FolderStore::lock(folder).map_err(|error| match error {
        OpenError::InUse { by } => {
            let by = by.or_else(|| holder(folder)).map_or_else(
                || "another process".to_owned(),
                |pid| format!("the process {pid}"),
            );
            // That process may end, as a pod does that is moved.
            Refusal::passing(format!(
                "the checkpoint folder {shown} is in use by {by}. Two processes on one folder would undo each other's \
                 work: stop that one first, or give this one another checkpointLocation."
            ))
        }
        OpenError::Io(what, error) => Refusal::new(unusable(folder, &what, &error)),
    })
}

/// The objects of a place, for the only process that writes it as far as that can be had.
///
/// # Errors
/// As [`own`].
pub(crate) fn lock(place: &Place) -> Result<Arc<dyn Store>, Refusal> {
    Ok(match place {
        Place::Folder(folder) => Arc::new(lock_folder(folder)?),
        Place::Remote(remote) => Arc::clone(remote) as Arc<dyn Store>,
    })
}

/// Opens the log in a place that several processes write, making it where it is missing. `token` is of this process alone.
/// An object store is asked nothing.
///
/// # Errors
/// When it cannot be written; the message says what to do.
pub(crate) fn share(
    place: &Place,
    token: &str,
    kept_max: usize,
    history: bool,
    counters: Option<&StoreCounters>,
) -> Result<CheckpointLog, Failure> {
    let store: Arc<dyn Store> = match place {
        Place::Remote(remote) => Arc::clone(remote) as Arc<dyn Store>,
        Place::Folder(folder) => match FolderStore::share(folder, token) {
            Ok(store) => Arc::new(store),
            Err(OpenError::Io(what, error)) => {
                return Err(Failure::restart(unusable(folder, &what, &error)));
            }
            Err(OpenError::InUse { .. }) => {
                return Err(Failure::restart(format!(
                    "the checkpoint folder {} is locked",
                    folder.display()
                )));
            }
        },
    };
    Ok(CheckpointLog::new(
        measured(store, counters),
        kept_max,
        history,
    ))
}

fn unusable(folder: &Path, what: &str, error: &io::Error) -> String {
    format!(
        "the checkpoint folder {} cannot be used: {what}: {error}. {}, or set another checkpointLocation.",
        folder.display(),
        remedy(folder, error)
    )
}

/// What helps where a checkpoint folder cannot be used.
fn remedy(folder: &Path, error: &io::Error) -> String {
    if is_full(error) {
        return "Make room on its file system (`df` and `df -i` show what is left)".to_owned();
    }
    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
        return "Raise the limit of open files (`ulimit -n`)".to_owned();
    }
    let (epochs, state) = (folder.join(EPOCHS), folder.join(STATE));
    let mut way: Vec<&Path> = folder.ancestors().collect();
    way.reverse();
    way.extend([epochs.as_path(), state.as_path()]);
    for place in way {
        let shown = place.display();
        match fs::metadata(place) {
            Ok(about) if !about.is_dir() => {
                return format!("{shown} is no folder: move it away");
            }
            Err(_) if place.is_symlink() && !is_forbidden(error) => {
                return format!(
                    "{shown} is a link that leads to nothing: make the folder that it names, or remove it"
                );
            }
            _ => {}
        }
    }
    "Make it writable for this user".to_owned()
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

fn is_forbidden(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// Whether a place is a folder with the checkpoints of one lane of a shared query: several processes write there, none locks it.
fn is_of_a_lane(place: &Place) -> bool {
    match place {
        Place::Folder(folder) => fs::canonicalize(folder)
            .ok()
            .and_then(|folder| Some(folder.parent()?.file_name()? == LANES))
            .unwrap_or(false),
        Place::Remote(_) => false,
    }
}

/// Whether a place is that of one query, by the names of what lies there.
pub(crate) fn is_of_one_query(names: &[String]) -> bool {
    names.iter().any(|name| name == EPOCHS || name == LANES)
}

/// The places of queries at a place: the place itself, or those right below it, by name.
///
/// # Errors
/// When there is no such place, it cannot be read, or no checkpoints lie there.
pub(crate) fn queries(place: &Place) -> Result<Vec<Place>, Refusal> {
    let names = place.places()?;
    let has = |names: &[String], name: &str| names.iter().any(|other| other == name);
    if has(&names, LANES) {
        return queries(&place.join(LANES));
    }
    if has(&names, EPOCHS) {
        return Ok(vec![place.clone()]);
    }
    let mut found = Vec::new();
    for name in names {
        let below = place.join(&name);
        let names = below.places()?;
        if has(&names, LANES) {
            found.extend(queries(&below.join(LANES))?);
        } else if has(&names, EPOCHS) {
            found.push(below);
        }
    }
    if found.is_empty() {
        return Err(nothing(place));
    }
    Ok(found)
}

/// The place of exactly one query.
///
/// # Errors
/// As [`queries`], and when the place holds several.
pub(crate) fn one_query(place: &Place) -> Result<Place, Refusal> {
    let found = queries(place)?;
    match found.as_slice() {
        [one] if one.is(place) => Ok(one.clone()),
        several => {
            let names: Vec<String> = several.iter().map(Place::shown).collect();
            Err(Refusal::new(format!(
                "{} holds the folders of queries; give one: {}",
                place.shown(),
                names.join(", ")
            )))
        }
    }
}

/// The checkpoints of one query or of one lane, below the place where they were looked for.
pub(crate) struct Chain {
    path: Vec<String>,
    /// Whether several processes write there.
    pub(crate) shared: bool,
}

impl Chain {
    /// Its place.
    pub(crate) fn of(&self, place: &Place) -> Place {
        let names = self.path.iter();
        names.fold(place.clone(), |place, name| place.join(name))
    }

    /// As messages name it.
    pub(crate) fn name(&self) -> String {
        match self.path.as_slice() {
            [] => "the query".to_owned(),
            path => path.join("/"),
        }
    }
}

/// All checkpoints at a place, those of lanes before those of their query.
///
/// # Errors
/// As [`queries`].
pub(crate) fn chains(place: &Place) -> Result<Vec<Chain>, Refusal> {
    let names = place.places()?;
    let mut found = Vec::new();
    if !add_chains(place, &names, &[], &mut found)? {
        for name in names {
            let below = place.join(&name);
            add_chains(&below, &below.places()?, &[name], &mut found)?;
        }
    }
    if found.is_empty() {
        return Err(nothing(place));
    }
    Ok(found)
}

/// Adds those of one query, whose place holds places of these names; false where it is none.
fn add_chains(
    place: &Place,
    names: &[String],
    path: &[String],
    found: &mut Vec<Chain>,
) -> Result<bool, Refusal> {
    let shared = names.iter().any(|name| name == LANES);
    if shared {
        for lane in place.join(LANES).places()? {
            found.push(Chain {
                path: [path, &[LANES.to_owned(), lane]].concat(),
                shared,
            });
        }
    }
    let own = names.iter().any(|name| name == EPOCHS);
    if own {
        found.push(Chain {
            path: path.to_vec(),
            shared,
        });
    }
    Ok(shared || own)
}

fn nothing(place: &Place) -> Refusal {
    Refusal::new(format!(
        "no checkpoints in `{}`. Give the job's checkpointLocation, or the folder of one query in it.",
        place.shown()
    ))
}

/// The process that has a place, as far as this machine knows.
pub(crate) fn in_use(place: &Place) -> Option<u32> {
    match place {
        Place::Folder(folder) => holder(folder),
        Place::Remote(_) => None,
    }
}

/// The process that has the folder's lock, as the kernel tells without touching the lock.
fn holder(folder: &Path) -> Option<u32> {
    let lock = fs::metadata(folder.join("lock")).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        // 3: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF
        let words: Vec<&str> = line.split_whitespace().collect();
        let place = words.iter().position(|word| *word == "FLOCK")?;
        let inode = words.get(place + 4)?.rsplit(':').next()?;
        if inode.parse::<u64>().ok()? != lock.ino() {
            return None;
        }
        words.get(place + 3)?.parse::<u32>().ok()
    })
}
