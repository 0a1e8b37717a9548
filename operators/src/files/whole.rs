//! A static table, or several together: their files read whole, and again when they are others.
//!
//! The first reading is part of the start of a run. A thread then watches, as the walker of a stream does, by notifications and
//! by listing; what cannot be read leaves the rows in force that there are.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::RecommendedWatcher;
use smol_str::SmolStr;
use thalweg_engine::behalf::carrying;
use thalweg_engine::counted::counted;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::Row;
use thalweg_engine::workers::yielding;

use super::depot::Depot;
use super::listing::Found;
use super::options::Settings;
use super::watch::Post;
use super::whole_files::{Files, Trouble};
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

/// Makes an edition of the rows of tables.
pub(crate) trait Filling {
    /// Takes the next row of the table of this number: the wanted columns. All rows of a table come before those of the next.
    ///
    /// # Errors
    /// When what is computed of it fails.
    fn add(&mut self, table: usize, row: Row) -> Result<(), RecordError>;
    /// The edition of all rows.
    ///
    /// # Errors
    /// When what is computed of all of them fails.
    fn finish(self: Box<Self>) -> Result<Edition, RecordError>;
}

/// Begins an edition.
pub(crate) type Begin = Arc<dyn Fn() -> Box<dyn Filling> + Send + Sync>;

/// Watches the files of tables as long as it lives.
pub(crate) struct Keeper {
    post: Arc<Post>,
    /// Where the files of each table lie.
    depots: Vec<Depot>,
}

impl Keeper {
    /// Reaches the files of the table of this number as it says now, and looks at them, once its store lets them be listed so.
    /// Blocks.
    ///
    /// # Errors
    /// When it does not; the keys of before stay in force.
    pub(crate) fn renew(&self, number: usize, table: &Table) -> Result<(), Failure> {
        let settings = Settings::of(table).map_err(|error| Failure::refuse(error.message))?;
        if let Some(depot) = self.depots.get(number) {
            depot.renew(&settings)?;
            self.post.rescan();
        }
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.post.stop();
    }
}

/// Reads tables, of each of which the columns at the places beside it are used, and keeps the newest edition of all of them on
/// the shelf as long as the keeper lives. A bounded run keeps what it began with.
///
/// # Errors
/// When the files cannot be read: what is in force then is nothing.
pub(crate) fn keep(
    tables: &[(&Table, &[usize])],
    context: &OpenContext,
    begin: Begin,
    shelf: Arc<Shelf>,
) -> Result<Keeper, Failure> {
    let names: Vec<&str> = tables
        .iter()
        .map(|(table, _)| table.name.as_str())
        .collect();
    let names = names.join(", ");
    let tables = tables.iter();
    let tables = tables.map(|(table, wanted)| Files::open(table, wanted, context));
    let post = Arc::new(Post::default());
    let mut reader = Reader {
        name: SmolStr::new(&names),
        tables: tables.collect::<Result<_, _>>()?,
        begin,
        shelf,
        post: Arc::clone(&post),
        watchers: Vec::new(),
        in_force: Vec::new(),
        tried: None,
    };
    if !context.bounded {
        let tables = reader.tables.iter();
        reader.watchers = tables.filter_map(|table| table.listen(&post)).collect();
    }
    reader.first()?;
    let keeper = Keeper {
        post,
        depots: reader.tables.iter().map(Files::depot).collect(),
    };
    if !context.bounded {
        let thread = std::thread::Builder::new().name(format!("static {names}"));
        thread
            .spawn(carrying(yielding(move || reader.watch())))
            .map_err(|error| Failure::restart(format!("no thread to watch `{names}`: {error}")))?;
    }
    Ok(keeper)
}

struct Reader {
    name: SmolStr,
    tables: Vec<Files>,
    begin: Begin,
    shelf: Arc<Shelf>,
    post: Arc<Post>,
    watchers: Vec<RecommendedWatcher>,
    /// The files of each table whose rows are in force.
    in_force: Vec<Vec<Found>>,
    /// Those that could not be read.
    tried: Option<Vec<Vec<Found>>>,
}

impl Reader {
    /// The files that there are of each table; where they cannot be listed, of which.
    fn files(&self) -> Result<Vec<Vec<Found>>, (&Files, io::Error)> {
        let tables = self.tables.iter();
        let listed = tables.map(|table| table.list().map_err(|error| (table, error)));
        listed.collect()
    }

    /// The reading of a start.
    fn first(&mut self) -> Result<(), Failure> {
        let name = &self.name;
        for left in (0..TRIES).rev() {
            let files = self.files();
            let files = files.map_err(|(table, error)| table.unreadable(name, &error))?;
            match self.read(&files, left == 0) {
                Ok(edition) => {
                    self.put_in_force(files, edition);
                    return Ok(());
                }
                Err(Trouble::Changing) => {}
                Err(Trouble::Files(why)) => {
                    return Err(Failure::end(format!(
                        "the static table `{name}` cannot be read: {why}"
                    )));
                }
                Err(Trouble::Query(why)) => {
                    return Err(Failure::end(format!(
                        "what the query computes of the static table `{name}` fails: {why}"
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
    fn read(&self, files: &[Vec<Found>], anyway: bool) -> Result<Edition, Trouble> {
        let mut filling = (self.begin)();
        let mut tables = self.tables.iter().zip(files).enumerate();
        let read = tables.try_for_each(|(number, (table, files))| {
            let mut files = files.iter();
            files.try_for_each(|found| table.read(found, &mut |row| filling.add(number, row)))
        });
        let same = || self.files().is_ok_and(|now| now == files);
        match read {
            _ if !anyway && !same() => Err(Trouble::Changing),
            Ok(()) => filling
                .finish()
                .map_err(|error| Trouble::of(&error, error.reason.to_string())),
            Err(trouble) => Err(trouble),
        }
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
            let own = |path: &PathBuf| self.tables.iter().any(|table| table.has(path));
            let heard = noticed.rescan || noticed.appeared.iter().any(own);
            if heard || Instant::now() >= next {
                let begun = Instant::now();
                self.look();
                // Files of a slow system are not looked at all the time.
                let least = match self.tables.iter().all(Files::tells) {
                    true => LOOK,
                    false => LOOK_REMOTE,
                };
                next = Instant::now() + begun.elapsed().saturating_mul(20).max(least);
            }
        }
    }

    fn look(&mut self) {
        let files = match self.files() {
            Ok(files) => files,
            Err((table, error)) => {
                let why = format!("{} cannot be read: {error}", table.shown());
                return self.stays(why);
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
            std::path::absolute(&*found.path)
                .is_ok_and(|path| self.post.is_being_written(&path, Instant::now()))
        };
        if self.tried.as_ref() == Some(&files) || files.iter().flatten().any(written) {
            return;
        }
        let shelf = Arc::clone(&self.shelf);
        match shelf.reading().during(|| self.read(&files, false)) {
            Ok(edition) => {
                self.put_in_force(files, edition);
                self.tried = None;
            }
            // They are looked at again soon.
            Err(Trouble::Changing) => {}
            Err(Trouble::System(failure)) => self.stays(failure.message),
            Err(Trouble::Files(why)) => {
                self.tried = Some(files);
                self.stays(why);
            }
            Err(Trouble::Query(why)) => {
                self.tried = Some(files);
                self.stays(format!("what the query computes of it fails: {why}"));
            }
        }
    }

    fn put_in_force(&mut self, files: Vec<Vec<Found>>, edition: Edition) {
        let said = read(&self.name, &files, &edition);
        self.shelf.put(edition);
        self.shelf.set_fault(None);
        self.in_force = files;
        // Last: whoever reads it counts on the new rows.
        tracing::info!("{said}");
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

fn read(name: &str, files: &[Vec<Found>], edition: &Edition) -> String {
    format!(
        "the static table `{name}` is read: {} of {}",
        counted(edition.len(), "row"),
        counted(files.iter().map(Vec::len).sum::<usize>(), "file")
    )
}

#[cfg(test)]
#[path = "whole_tests.rs"]
mod tests;
