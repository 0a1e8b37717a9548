//! Where the files of a table lie: in folders of this machine, or in a bucket of an object store.

use std::fs::{self, File};
use std::io;
#[cfg(feature = "object-store")]
use std::path::Path;
use std::path::PathBuf;
#[cfg(feature = "object-store")]
use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::error::Failure;
use thalweg_engine::record::Micros;

use super::clean;
use super::content::Content;
#[cfg(feature = "object-store")]
use super::content::Remote;
use super::listing::{self, Found, Visitor};
use super::options::{Clean, Settings};
use super::spark_log::{LOG, Named, OfLog};
use crate::objects::untrusted;
#[cfg(feature = "object-store")]
use crate::objects::{Facts, Object, Patience, Store};

/// How often a folder is looked at although nothing was heard.
const LOOK: Duration = Duration::from_secs(1);

/// The place of a table's files.
#[derive(Clone)]
pub(crate) enum Depot {
    Folders,
    #[cfg(feature = "object-store")]
    Bucket(Arc<Store>),
}

/// Who waits for a store that is away; nobody needs to for a folder of this machine.
#[cfg(feature = "object-store")]
pub(crate) type Waiter = Arc<dyn Patience>;
#[cfg(not(feature = "object-store"))]
pub(crate) type Waiter = ();

impl Depot {
    /// Opens the place that the settings name.
    ///
    /// # Errors
    /// When this build cannot reach it, or the options do not say enough.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Failure> {
        match &settings.remote {
            None => Ok(Self::Folders),
            #[cfg(feature = "object-store")]
            Some(remote) => Ok(Self::Bucket(Arc::new(Store::open(remote)?))),
            #[cfg(not(feature = "object-store"))]
            Some(_) => Err(Failure::refuse(crate::objects::LACKS)),
        }
    }

    /// Asks the bucket as these settings say from now on, once it can be listed so. Where they name another place, nothing
    /// changes. Blocks.
    ///
    /// # Errors
    /// When it cannot be listed; the keys of before stay in force.
    #[cfg_attr(not(feature = "object-store"), allow(unused_variables))]
    pub(crate) fn renew(&self, settings: &Settings) -> Result<(), Failure> {
        match self {
            Self::Folders => Ok(()),
            #[cfg(feature = "object-store")]
            Self::Bucket(store) => match &settings.remote {
                Some(remote) if remote.address.root == store.root() => store.renew(remote),
                _ => Ok(()),
            },
        }
    }

    /// Whether the system may tell of what happens there.
    pub(crate) fn tells(&self) -> bool {
        matches!(self, Self::Folders)
    }

    /// Why a start ends, or is tried again, that cannot list what the option `path` of this table names. `remedy` is for what is
    /// not there.
    pub(super) fn unreadable(
        &self,
        table: &str,
        shown: &str,
        remedy: &str,
        error: &io::Error,
    ) -> Failure {
        if error.kind() == io::ErrorKind::NotFound && self.tells() {
            return Failure::refuse(format!(
                "`{table}`: there is no {shown}: {remedy}, or mend the option `path` (relative paths begin at the working \
                 directory)"
            ));
        }
        let text = format!("`{table}`: {shown} cannot be read: {error}");
        if error.kind() == io::ErrorKind::NotConnected && !untrusted(error) {
            return Failure::restart(text);
        }
        Failure::refuse(text)
    }

    /// How long to wait after so many listings in a row that went wrong.
    #[cfg_attr(not(feature = "object-store"), allow(unused_variables))]
    pub(crate) fn wait_after(&self, times: u32) -> Duration {
        match self {
            // It costs nothing to ask.
            Self::Folders => LOOK,
            #[cfg(feature = "object-store")]
            Self::Bucket(_) => super::patience::wait_after(times),
        }
    }

    /// Whether there is anything that could be listed.
    ///
    /// # Errors
    /// When there is not, or it cannot be told.
    pub(crate) fn probe(&self, settings: &Settings) -> io::Result<()> {
        match self {
            Self::Folders => fs::metadata(&settings.pattern.base).map(drop),
            #[cfg(feature = "object-store")]
            Self::Bucket(store) => store.first(key(&settings.pattern.base)).map(drop),
        }
    }

    /// Whether the table reads a folder that a stream of Spark has written. As with Spark a pattern reads what fits it.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(crate) fn has_log(&self, settings: &Settings) -> io::Result<bool> {
        if !settings.pattern.levels.is_empty() {
            return Ok(false);
        }
        match self {
            Self::Folders => Ok(settings.pattern.base.join(LOG).is_dir()),
            #[cfg(feature = "object-store")]
            Self::Bucket(store) => Ok(store.first(&log(settings))?.is_some()),
        }
    }

    /// What the log of that stream names.
    fn named(&self, settings: &Settings) -> io::Result<Named> {
        let mut names = Vec::new();
        match self {
            Self::Folders => {
                let log = settings.pattern.base.join(LOG);
                for entry in fs::read_dir(&log)? {
                    names.extend(entry?.file_name().into_string());
                }
                Named::read(&names, |name| fs::read(log.join(name)))
            }
            #[cfg(feature = "object-store")]
            Self::Bucket(store) => {
                let log = log(settings);
                store.each(&log, |facts| {
                    names.extend(facts.key.rsplit('/').next().map(str::to_owned));
                })?;
                Named::read(&names, |name| store.get(&format!("{log}/{name}")))
            }
        }
    }

    /// Shows all files of a table to a visitor.
    ///
    /// # Errors
    /// When the folder, the file or the bucket that the path begins with cannot be read.
    pub(crate) fn list(&self, settings: &Settings, visitor: &mut dyn Visitor) -> io::Result<()> {
        if !self.has_log(settings)? {
            return self.list_all(settings, visitor);
        }
        let named = self.named(settings)?;
        self.list_all(settings, &mut OfLog { named, visitor })
    }

    fn list_all(&self, settings: &Settings, visitor: &mut dyn Visitor) -> io::Result<()> {
        match self {
            Self::Folders => listing::list(settings, visitor),
            #[cfg(feature = "object-store")]
            Self::Bucket(store) => {
                let below = key(&settings.pattern.base);
                let mut show = |facts: Facts| {
                    let path = store.url(&facts.key);
                    if !visitor.skips(&path) {
                        visitor.visit(found(&path, &facts));
                    }
                };
                // The path may be one object.
                if settings.pattern.levels.is_empty()
                    && !below.is_empty()
                    && let Some(facts) = store.look(below)?
                {
                    show(facts);
                }
                store.each(below, |facts| {
                    let inside = facts.key.get(below.len()..).unwrap_or_default();
                    let names: Vec<&str> = inside.trim_start_matches('/').split('/').collect();
                    if listing::fits(settings, &names) {
                        show(facts);
                    }
                })
            }
        }
    }

    /// The file at a path, if there is one and the place says so.
    #[cfg_attr(not(feature = "object-store"), allow(unused_variables))]
    pub(crate) fn look(&self, path: &str, waiter: &Waiter) -> Option<Found> {
        match self {
            Self::Folders => listing::look(path),
            #[cfg(feature = "object-store")]
            Self::Bucket(store) => {
                let mut times = 0;
                loop {
                    match store.look(inside(store, path)) {
                        Ok(facts) => {
                            if times > 0 {
                                waiter.answers();
                            }
                            return facts.map(|facts| found(path, &facts));
                        }
                        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                            times += 1;
                            if !waiter.wait(times, &error) {
                                return None;
                            }
                        }
                        Err(_) => return None,
                    }
                }
            }
        }
    }

    /// What a file that was found a while ago is now, where it costs nothing to ask.
    pub(crate) fn now(&self, found: &Found) -> Found {
        let now = self.tells().then(|| listing::look(&found.path)).flatten();
        now.unwrap_or_else(|| found.clone())
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// When it is not there or may not be read.
    #[cfg_attr(not(feature = "object-store"), allow(unused_variables))]
    pub(crate) fn content(&self, found: &Found, waiter: &Waiter) -> io::Result<Content> {
        match self {
            Self::Folders => File::open(&*found.path).map(Content::File),
            #[cfg(feature = "object-store")]
            Self::Bucket(store) => {
                let key = inside(store, &found.path);
                let object = Object::open(store, key, found.size, Arc::clone(waiter))?;
                let stream = crate::objects::Stream::new(&object);
                Ok(Content::Object(Remote(stream)))
            }
        }
    }

    /// Cleans one file that was read and opened when it had this time. What cannot be cleaned stays: a warning says so.
    pub(crate) fn clean(&self, path: &str, time: Micros, how: &Clean) {
        let done = match self {
            Self::Folders => clean::clean(path, time, how),
            #[cfg(feature = "object-store")]
            Self::Bucket(store) => match how {
                Clean::Delete => store.remove(inside(store, path)),
                Clean::Archive(folder) => {
                    let from = inside(store, path);
                    store.rename(from, &format!("{}/{from}", key(folder)))
                }
            },
        };
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = path, %error, "a file that was read cannot be cleaned away, so it stays");
            }
            _ => {}
        }
    }

    /// Ends what is under way there.
    pub(crate) fn close(&self) {
        match self {
            Self::Folders => {}
            #[cfg(feature = "object-store")]
            Self::Bucket(store) => store.close(),
        }
    }
}

/// The folder as the system's notifications name it.
pub(crate) fn absolute(settings: &Settings) -> PathBuf {
    let base = &settings.pattern.base;
    std::path::absolute(base).unwrap_or_else(|_| base.clone())
}

/// A path inside a bucket as a key.
#[cfg(feature = "object-store")]
pub(super) fn key(path: &Path) -> &str {
    path.to_str().unwrap_or_default().trim_matches('/')
}

/// The key of the log of a stream of Spark.
#[cfg(feature = "object-store")]
fn log(settings: &Settings) -> String {
    let below = key(&settings.pattern.base);
    format!("{below}/{LOG}").trim_start_matches('/').to_owned()
}

/// The key in a whole address.
#[cfg(feature = "object-store")]
fn inside<'p>(store: &Store, path: &'p str) -> &'p str {
    path.get(store.root().len() + 1..).unwrap_or_default()
}

#[cfg(feature = "object-store")]
fn found(path: &str, facts: &Facts) -> Found {
    Found {
        path: Arc::from(path),
        time: facts.time,
        appeared: facts.time,
        size: facts.size,
        tag: facts
            .tag
            .as_ref()
            .map_or(0, |tag| xxhash_rust::xxh64::xxh64(tag.as_bytes(), 0)),
    }
}
