//! The files of one static table: which there are, and their rows.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::RecommendedWatcher;
use thalweg_engine::error::{ErrorClass, Failure, RecordError};
use thalweg_engine::row::Row;

use super::columns::{Shape, columns};
use super::depot::{self, Depot, Waiter};
use super::format::{FileFault, Item, OpenFile};
use super::listing::{self, Found, Visitor};
use super::options::Settings;
use super::text::fault;
use super::watch::{Post, watch};
use crate::job_error::JobError;
use crate::table::{OpenContext, Table};

/// Why there is no new edition.
pub(super) enum Trouble {
    /// The files hold what cannot be read; others may.
    Files(String),
    /// The files are read, but what the query computes of a row fails.
    Query(String),
    /// The system failed, and may not the next time.
    System(Failure),
    /// The files changed while they were read.
    Changing,
}

impl Trouble {
    /// That of an error of a row, or of all rows together.
    pub(super) fn of(error: &RecordError, why: String) -> Self {
        match error.class {
            ErrorClass::Expression => Self::Query(why),
            _ => Self::Files(why),
        }
    }
}

pub(super) struct Files {
    settings: Settings,
    depot: Depot,
    shape: Shape,
    base: PathBuf,
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

impl Files {
    /// Those of a table, of which the columns at the places `wanted` are used.
    ///
    /// # Errors
    /// When its options do not fit, or its store cannot be reached.
    pub(super) fn open(
        table: &Table,
        wanted: &[usize],
        context: &OpenContext,
    ) -> Result<Self, Failure> {
        let refuse = |error: JobError| Failure::refuse(error.message);
        let columns = columns(table).map_err(refuse)?;
        let settings = Settings::of(table).map_err(refuse)?;
        let shape = Shape::new(table, &columns, wanted, &settings, context)?;
        let base = depot::absolute(&settings);
        let depot = Depot::open(&settings)?;
        Ok(Self {
            settings,
            depot,
            shape,
            base,
        })
    }

    /// Where they lie.
    pub(super) fn depot(&self) -> Depot {
        self.depot.clone()
    }

    /// The option `path`, as it is shown.
    pub(super) fn shown(&self) -> &str {
        &self.settings.pattern.text
    }

    /// Why a start ends, or is tried again, that cannot list them for the table of this name.
    pub(super) fn unreadable(&self, table: &str, error: &io::Error) -> Failure {
        self.depot
            .unreadable(table, self.shown(), "put it there", error)
    }

    /// Whether the system tells of changes.
    pub(super) fn tells(&self) -> bool {
        self.depot.tells()
    }

    /// The files that there are, by path.
    pub(super) fn list(&self) -> io::Result<Vec<Found>> {
        let mut all = All(Vec::new());
        match self.depot.list(&self.settings, &mut all) {
            Err(error) if !self.settings.may_be_missing(&error) => return Err(error),
            _ => {}
        }
        all.0.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all.0)
    }

    /// Takes each row of a file.
    pub(super) fn read(
        &self,
        found: &Found,
        take: &mut dyn FnMut(Row) -> Result<(), RecordError>,
    ) -> Result<(), Trouble> {
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
        let (format, mut fills) = self.shape.of(found).map_err(lost)?;
        let open = OpenFile {
            content,
            path: at,
            size: found.size,
        };
        let mut rows = format.open(open, 0).map_err(lost)?;
        let mut number = 0;
        while let Some(mut batch) = rows.next().map_err(lost)? {
            fills.apply(number, &mut batch);
            for item in batch.take_rows() {
                number += 1;
                let taken = match item {
                    Item::Row(row) => take(row),
                    Item::Dropped => Ok(()),
                    Item::Bad(error) => Err(*error),
                };
                taken.map_err(|error| {
                    Trouble::of(&error, format!("{path}, row {number}: {}", error.reason))
                })?;
            }
        }
        Ok(())
    }

    /// Asks the system to tell of changes: of a folder in it, of a file in the folder where it lies.
    pub(super) fn listen(&self, post: &Arc<Post>) -> Option<RecommendedWatcher> {
        if !self.depot.tells() {
            return None;
        }
        let folder = if self.base.is_dir() {
            Some(self.base.as_path())
        } else {
            self.base.parent()
        };
        let settings = &self.settings;
        let deep = self.base.is_dir()
            && (settings.recursive || settings.partitioned || !settings.pattern.levels.is_empty());
        folder.and_then(|folder| watch(folder, deep, post))
    }

    /// Whether a file that was heard of may be one of them.
    pub(super) fn has(&self, path: &Path) -> bool {
        path == self.base || listing::own(&self.settings, &self.base, path).is_some()
    }
}

/// Nobody waits for a store here: the rows of before stay.
#[cfg(feature = "object-store")]
fn never() -> Waiter {
    Arc::new(super::patience::Never)
}

#[cfg(not(feature = "object-store"))]
fn never() -> Waiter {}
