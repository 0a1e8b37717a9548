//! The system's notifications: which files appeared, and which are being written.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::{Condvar, Mutex};

/// So many paths are held; of more the folder is listed instead.
const PATHS_MAX: usize = 10_000;
/// Of a file that is open for writing something is heard within this time, or it is said that it waits.
const QUIET_MAX: Duration = Duration::from_secs(60);

/// A file that is open for writing.
struct Writing {
    /// When something was heard of it.
    heard: Instant,
    /// Whether it has been said that nothing is.
    said: bool,
}

#[derive(Default)]
struct News {
    appeared: Vec<PathBuf>,
    /// Files that are open for writing.
    writing: HashMap<PathBuf, Writing>,
    /// Whether more has changed than can be told.
    rescan: bool,
    stop: bool,
}

/// What has happened.
#[derive(Debug, Default)]
pub(crate) struct Noticed {
    /// Files that appeared or were closed.
    pub(crate) appeared: Vec<PathBuf>,
    /// The folder must be listed again.
    pub(crate) rescan: bool,
    /// The source is closed.
    pub(crate) stop: bool,
}

/// Where notifications arrive and the walker waits.
#[derive(Default)]
pub(crate) struct Post {
    news: Mutex<News>,
    changed: Condvar,
}

impl Post {
    /// Tells the walker to end.
    pub(crate) fn stop(&self) {
        self.news.lock().stop = true;
        self.changed.notify_all();
    }

    /// Tells the walker to list the folder again.
    pub(crate) fn rescan(&self) {
        self.news.lock().rescan = true;
        self.changed.notify_all();
    }

    /// What has happened since the last call.
    pub(crate) fn take(&self) -> Noticed {
        let mut news = self.news.lock();
        Noticed {
            appeared: std::mem::take(&mut news.appeared),
            rescan: std::mem::take(&mut news.rescan),
            stop: news.stop,
        }
    }

    /// Waits until something happens, or until then.
    pub(crate) fn wait(&self, until: Instant) {
        let mut news = self.news.lock();
        while news.appeared.is_empty() && !news.rescan && !news.stop {
            if self.changed.wait_until(&mut news, until).timed_out() {
                return;
            }
        }
    }

    /// Waits until then, whatever appears. False when the source is closed.
    pub(crate) fn pause(&self, until: Instant) -> bool {
        let mut news = self.news.lock();
        while !news.stop {
            if self.changed.wait_until(&mut news, until).timed_out() {
                return true;
            }
        }
        false
    }

    /// Whether the file is open for writing, as far as is known. Its writer may be slow.
    pub(crate) fn is_written(&self, path: &Path) -> bool {
        self.news.lock().writing.contains_key(path)
    }

    /// Whether somebody writes the file: it is open for that, and something was heard of it lately.
    pub(crate) fn is_being_written(&self, path: &Path, now: Instant) -> bool {
        let news = self.news.lock();
        let open = news.writing.get(path);
        open.is_some_and(|open| now.saturating_duration_since(open.heard) < QUIET_MAX)
    }

    /// Whether the file is open for writing, nothing was heard of it for long, and that was not said yet.
    pub(crate) fn says_quiet(&self, path: &Path, now: Instant) -> bool {
        let mut news = self.news.lock();
        let Some(open) = news.writing.get_mut(path) else {
            return false;
        };
        let quiet = now.saturating_duration_since(open.heard) >= QUIET_MAX;
        quiet && !std::mem::replace(&mut open.said, true)
    }

    fn hear(&self, event: Event, now: Instant) {
        let mut news = self.news.lock();
        if event.need_rescan() {
            news.rescan = true;
            news.writing.clear();
        }
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                for path in event.paths {
                    news.writing.remove(&path);
                    news.appear(path);
                }
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Any)) => {
                for path in event.paths {
                    news.appear(path);
                }
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::From))
            | EventKind::Remove(RemoveKind::File) => {
                for path in &event.paths {
                    news.writing.remove(path);
                }
                return;
            }
            EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => {
                news.rescan = true;
            }
            EventKind::Create(_) if event.paths.iter().all(|path| is_link(path)) => {
                for path in event.paths {
                    news.appear(path);
                }
            }
            EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_)) => {
                for path in event.paths {
                    if news.writing.len() < PATHS_MAX || news.writing.contains_key(&path) {
                        let open = Writing {
                            heard: now,
                            said: false,
                        };
                        news.writing.insert(path, open);
                    }
                }
                return;
            }
            _ => return,
        }
        self.changed.notify_all();
    }
}

/// Whether what was made is another name for a file: it is whole then, and nobody closes it.
fn is_link(path: &Path) -> bool {
    let facts = std::fs::symlink_metadata(path);
    facts.is_ok_and(|facts| facts.is_symlink() || facts.nlink() > 1)
}

impl News {
    fn appear(&mut self, path: PathBuf) {
        if self.appeared.len() < PATHS_MAX {
            self.appeared.push(path);
        } else {
            self.rescan = true;
        }
    }
}

/// Watches a folder as long as it lives. None where the system gives no notifications: a warning says why.
pub(crate) fn watch(folder: &Path, deep: bool, post: &Arc<Post>) -> Option<RecommendedWatcher> {
    let to = Arc::clone(post);
    let made = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
        Ok(event) => to.hear(event, Instant::now()),
        Err(_) => {
            to.news.lock().rescan = true;
            to.changed.notify_all();
        }
    });
    let mode = if deep {
        RecursiveMode::Recursive
    } else {
        RecursiveMode::NonRecursive
    };
    let watching = made.and_then(|mut watcher| {
        watcher.watch(folder, mode)?;
        Ok(watcher)
    });
    match watching {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(
                folder = %folder.display(),
                %error,
                "the system does not tell of new files, so the folder is listed every second"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use notify::event::DataChange;

    use super::*;

    #[test]
    fn a_file_is_open_until_it_is_closed_removed_or_renamed_however_slow_its_writer_is() {
        let path = Path::new("/in/a.txt");
        let begun = Instant::now();
        let hour = Duration::from_secs(3_600);
        let event = |kind| Event::new(kind).add_path(path.to_owned());
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        for ends in [
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            EventKind::Remove(RemoveKind::File),
            EventKind::Modify(ModifyKind::Name(RenameMode::From)),
        ] {
            let post = Post::default();
            post.hear(event(EventKind::Create(CreateKind::File)), begun);
            post.hear(event(written), begun + hour);
            assert!(post.is_written(path));
            assert!(post.is_being_written(path, begun + hour + QUIET_MAX / 2));
            assert!(!post.says_quiet(path, begun + hour + QUIET_MAX / 2));
            assert!(!post.is_being_written(path, begun + hour + QUIET_MAX));
            assert!(post.says_quiet(path, begun + hour + QUIET_MAX));
            assert!(!post.says_quiet(path, begun + hour * 2), "it is said once");
            assert!(post.is_written(path));
            post.hear(event(ends), begun + hour * 2);
            assert!(!post.is_written(path));
            let closed = ends.is_access();
            assert_eq!(post.take().appeared.len(), usize::from(closed));
        }
    }
}
