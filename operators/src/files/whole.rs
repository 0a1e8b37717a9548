//! A static table: its files read whole, and again when they are others.
//!
//! The first reading is part of the start of a run. A thread then watches, as the walker of a stream does, by notifications and
//! by listing; what cannot be read leaves the rows in force that there are.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::RecommendedWatcher;
use smol_str::SmolStr;
use thalweg_engine::behalf::carrying;
use thalweg_engine::counted::counted;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::Row;
use thalweg_engine::workers::yielding;

use super::columns::{Shape, columns, format};
use super::depot::{self, Depot, Waiter};
use super::format::{FileFault, FileFormat, Item, OpenFile};
use super::listing::{self, Found, Visitor};
use super::options::Settings;
use super::text::fault;
use super::watch::{Post, watch};
use crate::job_error::JobError;
use crate::objects::untrusted;
use crate::table::{OpenContext, Table};
use crate::transforms::{Edition, Shelf};

/// How often the files are looked at although nothing was heard.
const LOOK: Duration = Duration::from_secs(1);
/// The same in an object store, where each look is paid for.
const LOOK_REMOTE: Duration = Duration::from_secs(10);
/// How often a first reading begins anew because files changed meanwhile.
const TRIES: usize = 3;

/// Whether a table of files is static.
pub(crate) fn is_static(table: &Table) -> bool {
    let known = super::FORMATS.iter();
    known.into_iter().any(|known| known.name == table.connector)
        && table.options.flag("static", false)
}

/// Makes an edition of the rows of a table.
pub(crate) trait Filling {
    /// Takes the next row: the wanted columns.
    ///
    /// # Errors
    /// When what is computed of it fails.
    fn add(&mut self, row: Row) -> Result<(), RecordError>;
    /// The edition of all rows.
    ///
    /// # Errors
    /// When what is computed of all of them fails.
    fn finish(self: Box<Self>) -> Result<Edition, RecordError>;
}

/// Begins an edition.
pub(crate) type Begin = Arc<dyn Fn() -> Box<dyn Filling> + Send + Sync>;

/// Watches the files of a table as long as it lives.
pub(crate) struct Keeper {
    post: Arc<Post>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.post.stop();
    }
}

/// Reads a table, of which the columns at the places `wanted` are used, and keeps the newest edition on the shelf as long as the
/// keeper lives. A bounded run keeps what it began with.
///
/// # Errors
/// When the files cannot be read: what is in force then is nothing.
pub(crate) fn keep(
    table: &Table,
    wanted: &[usize],
    context: &OpenContext,
    begin: Begin,
    shelf: Arc<Shelf>,
) -> Result<Keeper, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    let columns = columns(table).map_err(refuse)?;
    let settings = Settings::of(table).map_err(refuse)?;
    let shape = Shape::new(table, &columns.fields, wanted, context.time_zone);
    let spec = format(table).map_err(refuse)?;
    let format = (spec.open)(table, &shape.inside, &shape.wanted, context)?;
    let base = depot::absolute(&settings);
    let depot = Depot::open(&settings)?;
    let post = Arc::new(Post::default());
    let mut reader = Reader {
        name: SmolStr::new(&table.name),
        settings,
        depot,
        format,
        shape,
        base,
        begin,
        shelf,
        post: Arc::clone(&post),
        watcher: None,
        in_force: Vec::new(),
        tried: None,
    };
    if !context.bounded {
        reader.listen();
    }
    reader.first()?;
    let keeper = Keeper { post };
    if !context.bounded {
        let name = format!("static {}", table.name);
        let thread = std::thread::Builder::new().name(name);
        thread
            .spawn(carrying(yielding(move || reader.watch())))
            .map_err(|error| {
                Failure::restart(format!("no thread to watch `{}`: {error}", table.name))
            })?;
    }
    Ok(keeper)
}

/// Why there is no new edition.
enum Trouble {
    /// The files hold what cannot be read; others may.
    Files(String),
    /// The system failed, and may not the next time.
    System(Failure),
    /// The files changed while they were read.
    Changing,
}

struct Reader {
    name: SmolStr,
    settings: Settings,
    depot: Depot,
    format: Arc<dyn FileFormat>,
    shape: Shape,
    base: std::path::PathBuf,
    begin: Begin,
    shelf: Arc<Shelf>,
    post: Arc<Post>,
    watcher: Option<RecommendedWatcher>,
    /// The files whose rows are in force.
    in_force: Vec<Found>,
    /// Those that could not be read.
    tried: Option<Vec<Found>>,
}

/// All files.
struct All(Vec<Found>);

impl Visitor for All {
    fn skips(&mut self, _: &str) -> bool {
        false
    }

    fn visit(&mut self, found: Found) {
        self.0.push(found);
    }
}

impl Reader {
    /// The files that there are, by path.
    fn files(&self) -> io::Result<Vec<Found>> {
        let mut all = All(Vec::new());
        match self.depot.list(&self.settings, &mut all) {
            Err(error) if !self.settings.may_be_missing(&error) => return Err(error),
            _ => {}
        }
        all.0.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all.0)
    }

    /// The reading of a start.
    fn first(&mut self) -> Result<(), Failure> {
        let (name, shown) = (&self.name, &self.settings.pattern.text);
        for left in (0..TRIES).rev() {
            let files = self.files().map_err(|error| match error.kind() {
                io::ErrorKind::NotConnected if !untrusted(&error) => {
                    Failure::restart(format!("`{name}`: {shown} cannot be read: {error}"))
                }
                io::ErrorKind::NotFound if self.depot.tells() => Failure::refuse(format!(
                    "`{name}`: there is no {shown}: put it there, or mend the option `path` (relative paths begin at the \
                     working directory)"
                )),
                _ => Failure::refuse(format!("`{name}`: {shown} cannot be read: {error}")),
            })?;
            match self.read(&files, left == 0) {
                Ok(edition) => {
                    tracing::info!("{}", read(name, &files, &edition));
                    self.shelf.put(edition);
                    self.shelf.set_fault(None);
                    self.in_force = files;
                    return Ok(());
                }
                Err(Trouble::Changing) => {}
                Err(Trouble::Files(why)) => {
                    return Err(Failure::end(format!(
                        "the static table `{name}` cannot be read: {why}"
                    )));
                }
                Err(Trouble::System(failure)) => return Err(failure),
            }
        }
        Err(Failure::restart(format!(
            "the files of `{name}` change while they are read"
        )))
    }

    /// Reads all rows of these files. With `anyway` also where the files are others behind it.
    fn read(&self, files: &[Found], anyway: bool) -> Result<Edition, Trouble> {
        let mut filling = (self.begin)();
        let read = files
            .iter()
            .try_for_each(|found| self.file(found, &mut *filling));
        let same = || self.files().is_ok_and(|now| now == files);
        match read {
            _ if !anyway && !same() => Err(Trouble::Changing),
            Ok(()) => filling
                .finish()
                .map_err(|error| Trouble::Files(error.reason.to_string())),
            Err(trouble) => Err(trouble),
        }
    }

    fn file(&self, found: &Found, filling: &mut dyn Filling) -> Result<(), Trouble> {
        let path = &found.path;
        let lost = |fault: FileFault| match fault {
            FileFault::Lost(error) => Trouble::Files(format!("{path}: {}", error.reason)),
            FileFault::System(failure) => Trouble::System(Failure {
                message: format!("{path}: {}", failure.message),
                ..failure
            }),
        };
        let at = Path::new(&**path);
        let content = self.depot.content(found, &never());
        let content = content.map_err(|error| lost(fault(&error)))?;
        let mut fills = self
            .shape
            .fills(found)
            .map_err(|error| lost(FileFault::Lost(error)))?;
        let open = OpenFile {
            content,
            path: at,
            size: found.size,
        };
        let mut rows = self.format.open(open, 0).map_err(lost)?;
        let mut number = 0;
        while let Some(mut batch) = rows.next().map_err(lost)? {
            fills.apply(number, &mut batch);
            for item in batch.take_rows() {
                number += 1;
                let taken = match item {
                    Item::Row(row) => filling.add(row),
                    Item::Dropped => Ok(()),
                    Item::Bad(error) => Err(*error),
                };
                taken.map_err(|error| {
                    Trouble::Files(format!("{path}, row {number}: {}", error.reason))
                })?;
            }
        }
        Ok(())
    }

    /// Asks the system to tell of changes: of a folder in it, of a file in the folder where it lies.
    fn listen(&mut self) {
        if !self.depot.tells() {
            return;
        }
        let folder = if self.base.is_dir() {
            Some(self.base.as_path())
        } else {
            self.base.parent()
        };
        let settings = &self.settings;
        let deep = self.base.is_dir()
            && (settings.recursive || settings.partitioned || !settings.pattern.levels.is_empty());
        self.watcher = folder.and_then(|folder| watch(folder, deep, &self.post));
    }

    /// Looks at the files whenever something is heard of them, and every second, until the keeper is gone.
    fn watch(mut self) {
        let mut next = Instant::now();
        loop {
            self.post.wait(next);
            let noticed = self.post.take();
            if noticed.stop {
                return;
            }
            let own = |path: &std::path::PathBuf| {
                *path == self.base || listing::own(&self.settings, &self.base, path).is_some()
            };
            let heard = noticed.rescan || noticed.appeared.iter().any(own);
            if heard || Instant::now() >= next {
                let begun = Instant::now();
                self.look();
                // Files of a slow system are not looked at all the time.
                let least = if self.depot.tells() {
                    LOOK
                } else {
                    LOOK_REMOTE
                };
                next = Instant::now() + begun.elapsed().saturating_mul(20).max(least);
            }
        }
    }

    fn look(&mut self) {
        let files = match self.files() {
            Ok(files) => files,
            Err(error) => {
                let shown = &self.settings.pattern.text;
                return self.stays(format!("{shown} cannot be read: {error}"));
            }
        };
        if files == self.in_force {
            self.tried = None;
            if self.shelf.set_fault(None).is_some() {
                tracing::info!(
                    "the files of the static table `{}` are there again",
                    self.name
                );
            }
            return;
        }
        let written = |found: &Found| {
            std::path::absolute(&*found.path).is_ok_and(|path| self.post.is_written(&path))
        };
        if self.tried.as_ref() == Some(&files) || files.iter().any(written) {
            return;
        }
        let shelf = Arc::clone(&self.shelf);
        match shelf.reading().during(|| self.read(&files, false)) {
            Ok(edition) => {
                tracing::info!("{}", read(&self.name, &files, &edition));
                self.shelf.put(edition);
                self.shelf.set_fault(None);
                self.in_force = files;
                self.tried = None;
            }
            // They are looked at again soon.
            Err(Trouble::Changing) => {}
            Err(Trouble::System(failure)) => self.stays(failure.message),
            Err(Trouble::Files(why)) => {
                self.tried = Some(files);
                self.stays(why);
            }
        }
    }

    /// Says once why the rows that are in force stay so.
    fn stays(&self, why: String) {
        let before = self.shelf.set_fault(Some(why.clone()));
        if before.as_deref() != Some(why.as_str()) {
            tracing::warn!(
                "the static table `{}` keeps the rows that it has: {why}",
                self.name
            );
        }
    }
}

/// Nobody waits for a store here: the rows of before stay.
#[cfg(feature = "object-store")]
fn never() -> Waiter {
    Arc::new(super::patience::Never)
}

#[cfg(not(feature = "object-store"))]
fn never() -> Waiter {}

fn read(name: &str, files: &[Found], edition: &Edition) -> String {
    format!(
        "the static table `{name}` is read: {} of {}",
        counted(edition.len(), "row"),
        counted(files.len(), "file")
    )
}

#[cfg(test)]
#[path = "whole_tests.rs"]
mod tests;
