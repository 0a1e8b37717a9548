//! Which files there are: a folder, or what fits a pattern, without hidden files.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use thalweg_engine::record::Micros;

use super::options::Settings;
use super::spark_log::LOG;
use crate::sinks::folder::OWN;

/// Of so many files it is said that their names are no text.
const TOLD_MAX: usize = 100;

/// A file that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: Arc<str>,
    /// When its content was changed last.
    pub(crate) time: Micros,
    /// When it was changed last, also in its name: not before it appeared here.
    pub(crate) appeared: Micros,
    pub(crate) size: u64,
    /// What tells it from another file of this name, time and size: its number, or what its store says.
    pub(crate) tag: u64,
}

/// Who looks at what is found.
pub(crate) trait Visitor {
    /// Whether the file at this path is not wanted; its facts are then not asked for.
    fn skips(&mut self, path: &str) -> bool;
    /// A file that is wanted.
    fn visit(&mut self, found: Found);
}

/// Whether Spark leaves files and folders of this name out.
pub(crate) fn is_hidden(name: &str) -> bool {
    (name.starts_with('_') && !name.contains('='))
        || name.starts_with('.')
        || name.ends_with("._COPYING_")
}

/// Whether a pattern of so many levels shows a folder at this one although its name is hidden. Those that engines keep in the
/// folders of their outputs are never read.
fn is_shown(level: usize, levels: usize, name: &str) -> bool {
    level < levels && name != LOG && name != OWN
}

/// Whether a folder of this name holds a part of the table: `key=value`.
fn is_partition(name: &str) -> bool {
    name.find('=').is_some_and(|at| at > 0)
}

/// Shows all files of a table to a visitor.
///
/// # Errors
/// When the folder, or the file, that the path begins with cannot be read. What vanishes meanwhile is left out.
pub(crate) fn list(settings: &Settings, visitor: &mut dyn Visitor) -> io::Result<()> {
    let pattern = &settings.pattern;
    let base = pattern.base.to_string_lossy();
    if !fs::metadata(&pattern.base)?.is_dir() {
        if pattern.levels.is_empty() && !visitor.skips(&base) {
            visit(&pattern.base, &base, visitor);
        }
        return Ok(());
    }
    let mut waiting = vec![(base.trim_end_matches('/').to_owned(), 0)];
    let mut first = true;
    while let Some((folder, level)) = waiting.pop() {
        let at = if folder.is_empty() { "/" } else { &folder };
        let entries = match fs::read_dir(at) {
            Ok(entries) => entries,
            Err(error) if first => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                tracing::warn!(folder, %error, "a folder cannot be read, so its files are not");
                continue;
            }
        };
        first = false;
        for entry in entries {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                tell_nameless(&folder, &entry.file_name());
                continue;
            };
            let levels = &pattern.levels;
            // A pattern shows the folders that fit it, as in Spark, and files only where they are not hidden.
            if is_hidden(&name) && !(is_shown(level, levels.len(), &name) && is_folder(&entry)) {
                continue;
            }
            if levels
                .get(level)
                .is_some_and(|level| !level.is_match(&name))
            {
                continue;
            }
            let path = format!("{folder}/{name}");
            if is_folder(&entry) {
                if level < levels.len() || settings.recursive || is_partition(&name) {
                    waiting.push((path, level + 1));
                }
            } else if level + 1 >= levels.len()
                && settings
                    .names
                    .as_ref()
                    .is_none_or(|names| names.is_match(&name))
                && !visitor.skips(&path)
            {
                visit(&entry.path(), &path, visitor);
            }
        }
    }
    Ok(())
}

/// Says once of each file that its name is no text; of more than a few that there are more.
fn tell_nameless(folder: &str, name: &OsStr) {
    static TOLD: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock();
    if told.len() > TOLD_MAX || !told.insert(Path::new(folder).join(name)) {
        return;
    }
    let name = name.to_string_lossy();
    if told.len() > TOLD_MAX {
        tracing::warn!(
            folder,
            %name,
            "a file whose name is not UTF-8 is left out: rename it; of more of them nothing is said"
        );
    } else {
        tracing::warn!(folder, %name, "a file whose name is not UTF-8 is left out: rename it");
    }
}

fn is_folder(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => fs::metadata(entry.path()).is_ok_and(|to| to.is_dir()),
        Ok(kind) => kind.is_dir(),
        Err(_) => false,
    }
}

fn visit(at: &Path, path: &str, visitor: &mut dyn Visitor) {
    if let Ok(facts) = fs::metadata(at)
        && facts.is_file()
    {
        visitor.visit(found(path, &facts));
    }
}

fn found(path: &str, facts: &Metadata) -> Found {
    let micros = |seconds: i64, nanos: i64| {
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(nanos / 1_000)
    };
    Found {
        path: Arc::from(path),
        time: micros(facts.mtime(), facts.mtime_nsec()),
        appeared: micros(facts.ctime(), facts.ctime_nsec()),
        size: facts.len(),
        tag: facts.ino(),
    }
}

/// The name that the listing gives a file at this absolute path, if it is one of the table's.
pub(crate) fn own(settings: &Settings, base: &Path, path: &Path) -> Option<String> {
    let pattern = &settings.pattern;
    let below = path.strip_prefix(base).ok()?;
    let names: Vec<&str> = below
        .iter()
        .map(|name| name.to_str())
        .collect::<Option<_>>()?;
    let shown = pattern.base.to_string_lossy();
    fits(settings, &names).then(|| format!("{}/{}", shown.trim_end_matches('/'), names.join("/")))
}

/// Whether a file is one of the table's: `names` are those of the folders below the base on the way to it, and its own.
pub(super) fn fits(settings: &Settings, names: &[&str]) -> bool {
    let Some((name, folders)) = names.split_last() else {
        return false;
    };
    let levels = &settings.pattern.levels;
    let hidden = |(level, name): (usize, &&str)| {
        let shown = level < folders.len() && is_shown(level, levels.len(), name);
        is_hidden(name) && !shown
    };
    names.len() >= levels.len()
        && !names.iter().any(|name| name.is_empty())
        && !names.iter().enumerate().any(hidden)
        && names
            .iter()
            .zip(levels)
            .all(|(name, level)| level.is_match(name))
        && folders
            .iter()
            .skip(levels.len())
            .all(|name| settings.recursive || is_partition(name))
        && settings
            .names
            .as_ref()
            .is_none_or(|names| names.is_match(name))
}

/// The file at a path, if there is one.
pub(crate) fn look(path: &str) -> Option<Found> {
    let facts = fs::metadata(path).ok()?;
    facts.is_file().then(|| found(path, &facts))
}
