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
/// A file that somebody has begun to write is left alone until it is closed, or nothing has been heard of it for so long.
const WRITING_MAX: Duration = Duration::from_secs(60);

#[derive(Default)]
struct News {
    appeared: Vec<PathBuf>,
    /// Files that are open for writing, and when something was heard of them.
    writing: HashMap<PathBuf, Instant>,
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

    /// Whether the file is open for writing, as far as is known.
    pub(crate) fn is_written(&self, path: &Path) -> bool {
        let news = self.news.lock();
        let heard = news.writing.get(path);
        heard.is_some_and(|heard| heard.elapsed() < WRITING_MAX)
    }

    fn hear(&self, event: Event) {
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
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                for path in &event.paths {
                    news.writing.remove(path);
                }
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
                let now = Instant::now();
                if news.writing.len() < PATHS_MAX {
                    news.writing
                        .extend(event.paths.into_iter().map(|path| (path, now)));
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
        Ok(event) => to.hear(event),
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
