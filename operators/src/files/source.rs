//! The source: one partition, read by one walker. Its position is a file and a row; which files were read is its state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::behalf::carrying;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Micros, Partition, Position};
use thalweg_engine::schema::Schema;
use thalweg_engine::source::{Committed, Health, RecordStream, Resume, Source, Start};
use thalweg_engine::state::StateChanges;
use tokio::sync::mpsc::channel;

use super::columns::{Shape, chosen, columns};
use super::depot::{Depot, Waiter};
use super::late::Opened;
use super::listing::{Found, Visitor};
use super::options::Settings;
use super::seen::{Seen, seconds};
use super::spark_log::LOG;
use super::stream::Records;
use super::token::{self, Place};
use super::waiting::key;
use super::walker::{Shared, Walker};
use crate::job_error::JobError;
use crate::table::{OpenContext, Table};
use thalweg_engine::clock::now;

/// What helps where the folder is not there.
pub(super) const LOST: &str = "make the folder";

/// How many batches may wait for the lane.
const BATCHES_MAX: usize = 4;
/// How often a folder is listed at least, although nothing was heard.
const LOOK: Duration = Duration::from_secs(1);

/// Opens a table of files for one run; rows hold the columns at the places `wanted`, in that order.
///
/// # Errors
/// When the options do not fit the table.
pub fn open(
    table: &Table,
    wanted: &[usize],
    context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    let columns = columns(table).map_err(refuse)?;
    let settings = Settings::of(table).map_err(refuse)?;
    let shape = Shape::new(table, &columns, wanted, &settings, context)?;
    let depot = Depot::open(&settings)?;
    let shared = Shared::default();
    shared.journal.lock().cleans = settings.clean.is_some();
    Ok(Arc::new(Folder {
        table: SmolStr::new(&table.name),
        schema: chosen(&columns, table, wanted),
        settings,
        depot,
        #[cfg(feature = "object-store")]
        bounded: context.bounded,
        shape: Arc::new(shape),
        interval: context
            .trigger_interval
            .filter(|interval| !interval.is_zero())
            .unwrap_or(Duration::from_secs(1)),
        shared: Arc::new(shared),
        seen: Mutex::default(),
        walker: Mutex::default(),
    }))
}

struct Folder {
    table: SmolStr,
    schema: Schema,
    settings: Settings,
    depot: Depot,
    #[cfg(feature = "object-store")]
    bounded: bool,
    shape: Arc<Shape>,
    interval: Duration,
    shared: Arc<Shared>,
    /// What the checkpoint says was read, until the walker takes it.
    seen: Mutex<Seen>,
    walker: Mutex<Option<JoinHandle<()>>>,
}

impl Folder {
    fn partition(&self) -> SmolStr {
        format_smolstr!("{}/0", self.table)
    }

    fn unreadable(&self, error: &std::io::Error) -> Failure {
        let shown = &self.settings.pattern.text;
        self.depot.unreadable(&self.table, shown, LOST, error)
    }

    #[cfg(feature = "object-store")]
    fn waiter(&self) -> Waiter {
        Arc::new(super::patience::Waits {
            shared: Arc::clone(&self.shared),
            shown: self.settings.pattern.text.clone(),
            bounded: self.bounded,
        })
    }

    #[cfg(not(feature = "object-store"))]
    fn waiter(&self) -> Waiter {}

    /// How often the folder is listed: each listing of a bucket is paid for, and nobody wants rows between two triggers.
    fn look(&self) -> Duration {
        if self.depot.tells() {
            LOOK
        } else {
            self.interval.max(LOOK)
        }
    }
}

/// Where a query goes on that steps over the record at this position: at the next row, or where the rest of the file cannot
/// be read at the next file.
pub fn behind(record: &Position) -> Option<Position> {
    match Place::parse(record).ok()? {
        Place::Row(row, path) => Some(Place::Behind(row, path).position()),
        Place::Begin | Place::Behind(..) | Place::End(_) => None,
    }
}

/// Looks when the newest file appeared, and reads nothing.
struct Newest(Micros);

impl Visitor for Newest {
    fn skips(&mut self, _: &str) -> bool {
        false
    }

    fn visit(&mut self, found: Found) {
        self.0 = self.0.max(found.appeared);
    }
}

impl Source for Folder {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn grows(&self) -> bool {
        false
    }

    fn behind(&self, record: &Position) -> Option<Position> {
        behind(record)
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        let partition = self.partition();
        let position = resume
            .and_then(|resume| resume.positions.get(&partition))
            .cloned()
            .unwrap_or_else(|| Place::Begin.position());
        Place::parse(&position)?;
        if self.settings.clean.is_some() && self.depot.has_log(&self.settings).unwrap_or(false) {
            return Err(Failure::refuse(format!(
                "`{}`: a stream of Spark has written {}, and its log `{LOG}` would name files that cleanSource takes away: leave \
                 cleanSource out",
                self.table, self.settings.pattern.text
            )));
        }
        // What was there at a first start may come back later, as in any other outage.
        if resume.is_none()
            && let Err(error) = self.depot.probe(&self.settings)
            && !self.settings.may_be_missing(&error)
        {
            return Err(self.unreadable(&error));
        }
        Ok(vec![Start {
            partition,
            position,
            after: Vec::new(),
        }])
    }

    /// It is read from its beginning: nothing stands before that.
    fn back(&self, starts: &[Start], _: Duration) -> Result<Option<Vec<Position>>, Failure> {
        let starts = starts.iter().map(|start| start.position.clone());
        Ok(Some(starts.collect()))
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        // A file's times are of its file system, whose clock may be ahead.
        let mut newest = Newest(now());
        match self.depot.list(&self.settings, &mut newest) {
            Err(error) if !self.settings.may_be_missing(&error) => Err(self.unreadable(&error)),
            _ => Ok(BTreeMap::from([(self.partition(), token::until(newest.0))])),
        }
    }

    fn restore(&self, _: &Partition, changes: &[StateChanges]) -> Result<(), Failure> {
        let seen = Seen::restore(changes, seconds(now()))?;
        if seen.was_lowered() {
            tracing::warn!(
                "a file that was dated ahead of this machine's clock had made all others too old for maxFileAge: files are read \
                 again from now on; of those that were written until now, `touch` the ones that were not read"
            );
        }
        *self.seen.lock() = seen;
        Ok(())
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        let from = Place::parse(from)?;
        let (to, messages) = channel(BATCHES_MAX);
        let walker = Walker {
            settings: self.settings.clone(),
            depot: self.depot.clone(),
            waiter: self.waiter(),
            look: self.look(),
            shape: Arc::clone(&self.shape),
            shared: Arc::clone(&self.shared),
            seen: std::mem::take(&mut *self.seen.lock()),
            opened: Opened::default(),
            newest: None,
            interval: self.interval,
            until: until.map(token::until_time).transpose()?,
            to,
        };
        let handle = std::thread::Builder::new()
            .name(format!("files {}", self.table))
            .spawn(carrying(move || walker.run(from)))
            .map_err(|error| {
                Failure::restart(format!("no thread to read `{}`: {error}", self.table))
            })?;
        *self.walker.lock() = Some(handle);
        let records = Records::new(Arc::clone(partition), messages, Arc::clone(&self.shared));
        Ok(Box::pin(records))
    }

    fn changes(&self, _: &Partition, position: &Position) -> Option<StateChanges> {
        let key = |path: &str| key(&self.settings, path);
        self.shared.journal.lock().changes(position, key)
    }

    fn forget(&self, committed: &Committed) {
        let Some(how) = &self.settings.clean else {
            return;
        };
        for (_, position) in &committed.positions {
            let files = self.shared.journal.lock().safe(position);
            for (file, time) in files {
                self.depot.clean(&file, time, how);
            }
        }
    }

    fn health(&self) -> Health {
        match &*self.shared.missing.lock() {
            None => Health::Up,
            Some(why) => Health::Down(why.clone()),
        }
    }

    fn close(&self) {
        self.shared.post.stop();
        self.depot.close();
        if let Some(walker) = self.walker.lock().take() {
            let _ = walker.join();
        }
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
pub(super) mod tests;

#[cfg(test)]
#[path = "source_stories.rs"]
mod stories;

#[cfg(test)]
#[path = "source_options.rs"]
mod option_stories;
