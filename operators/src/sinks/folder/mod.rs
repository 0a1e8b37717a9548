//! Files in a folder as an output, exactly once: `json`, `csv`, `text`, `parquet`.
//!
//! A `part` is one file. While it takes rows it is hidden in `_thalweg/<checkpoint>/` of the table's folder, where the
//! `outlet` appends to it; each cut makes what is there safe and notes its length. It is complete after a time, at a size,
//! or when the run ends; once an epoch that says so is committed, the `publisher` renames it to its place. At a start
//! `recovery` cuts off what is not committed, makes the rest visible and removes what no checkpoint names. So what is
//! visible is committed, whole, and there once. Where processes share the lanes, each lane has a folder of its own in the hidden
//! one, and its heir does what a start does, but only there: that is `takeover`.
//!
//! Where a part becomes visible is its `goal`. With one in an object store parts are hidden beside the checkpoints. Where those
//! lie in one too, nothing can be appended to: parts are `strands` through segments that the `depositor` puts there, `beside`
//! the epochs that name them, and each is made of its segments at its goal, also by an heir. `waiting` is the one or the other.
//! `gathering` reads a part's segments, several at once; `lease` says whether the lane is one's own when the part appears.

#[cfg(feature = "parquet")]
mod arrays;
mod beside;
#[cfg(test)]
mod beside_tests;
mod depositor;
mod disk;
mod gathering;
mod goal;
mod lease;
mod lock;
mod options;
mod outlet;
mod packing;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(test)]
#[cfg(feature = "parquet")]
mod parquet_tests;
mod part;
mod partitions;
mod publisher;
mod recovery;
#[cfg(test)]
mod scene;
mod settling;
#[cfg(test)]
mod shared_tests;
mod strands;
mod table;
mod takeover;
#[cfg(test)]
mod tests;
mod waiting;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use thalweg_engine::error::Failure;
use thalweg_engine::schema::{Field, Schema};
use thalweg_engine::sink::{Beside, Recovered, Recovery, Sink, TakenOver, Writer, WriterContext};
use thalweg_engine::source::Health;

use depositor::Depositor;
use disk::Disk;
use goal::Goal;
use options::{Compression, Rolling};
use outlet::Outlet;
use packing::Packing;
use partitions::Partitions;
use publisher::Publisher;
use strands::Strands;
#[cfg(feature = "object-store")]
pub(crate) use table::reach;
pub use table::{CSV, JSON, ORC, PARQUET, TEXT, folder};
use table::{Format, Layout};
use waiting::{Keeper, Waiting};
use writer::FolderWriter;

use crate::checkpoints::is_remote;
use crate::codecs::csv::CsvOptions;
use crate::codecs::json::JsonOptions;
use crate::codecs::{Encoder, csv, json, text};
use crate::expr::calendar::Zone;
use crate::table::{OpenContext, Options, Table};

/// What a build without Parquet says.
#[cfg(not(feature = "parquet"))]
pub(super) const LACKS_PARQUET: &str =
    "this build lacks the feature `parquet`: cargo build --release --features parquet";

/// Our own folder in that of the table. Readers leave out what begins with `_`.
pub(crate) const OWN: &str = "_thalweg";

/// What the writers of one run share.
struct Target {
    /// Whose own folder hides parts, where they do not lie beside the checkpoints.
    root: PathBuf,
    goal: Arc<Goal>,
    hidden: OnceLock<PathBuf>,
    /// Set once it is known that the goal is there.
    checked: OnceLock<()>,
    /// Whether other processes write other lanes.
    shared: bool,
    /// Whether parts are kept as rows until they are complete.
    as_rows: bool,
    /// What a part begins with, and a row ends with.
    begins_with: Vec<u8>,
    line_end: Vec<u8>,
    extension: String,
    rolling: Rolling,
    run: String,
    next: AtomicU64,
    disk: Arc<Disk>,
    keeper: Keeper,
    publisher: Publisher,
}

impl Target {
    /// A new part: its number in this run, and its name, which no other part ever has.
    fn name(&self) -> (u64, String) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number, part::name(number, &self.run, &self.extension))
    }

    /// Where what is not visible yet of a lane waits.
    fn waiting(&self, lane: &str, beside: Option<Beside>) -> Result<Waiting, Failure> {
        match (&self.keeper, beside) {
            (Keeper::Hidden(outlet), _) => Ok(Waiting::Hidden {
                outlet: Arc::clone(outlet),
                folder: self.hidden(lane),
                as_rows: self.as_rows,
            }),
            (Keeper::Beside(depositor), Some(beside)) => {
                Ok(Waiting::Beside(Strands::new(depositor, beside)))
            }
            (Keeper::Beside(_), None) => Err(Failure::restart(
                "this output has no checkpoints to lie beside: a bug",
            )),
        }
    }

    /// Where the parts of a lane are hidden.
    fn hidden(&self, lane: &str) -> PathBuf {
        let hidden = self.hidden.get().unwrap_or(&self.root);
        if self.shared {
            hidden.join(partitions::escaped(lane))
        } else {
            hidden.clone()
        }
    }

    fn full(&self) -> bool {
        self.keeper.full() || self.publisher.full()
    }
}

struct FolderSink {
    target: Arc<Target>,
    layout: Layout,
    options: Options,
    input: Schema,
    zone: Zone,
    /// Held while this run writes.
    lock: Mutex<Option<File>>,
}

/// Opens the folder for one run; `input` are the columns of the rows that will be written.
fn open(
    format: Format,
    declared: &Table,
    input: &Schema,
    context: &OpenContext,
) -> Result<Arc<dyn Sink>, Failure> {
    // An object cannot grow, and whoever goes on may be on another machine.
    let path = declared.options.get("path").unwrap_or_default().trim();
    let beside = is_remote(path) && is_remote(&context.checkpoint);
    open_keeping(format, declared, input, context, beside)
}

/// As [`open`]; `beside` says whether what is not complete lies beside the checkpoints.
fn open_keeping(
    format: Format,
    declared: &Table,
    input: &Schema,
    context: &OpenContext,
    beside: bool,
) -> Result<Arc<dyn Sink>, Failure> {
    let layout =
        Layout::of(format, declared, input).map_err(|error| Failure::refuse(error.message))?;
    let root = match layout.remote {
        None => layout.root.clone(),
        // Whoever moves the checkpoints moves what they name.
        Some(_) => Path::new(&context.checkpoint).join("output"),
    };
    let goal = Arc::new(Goal::open(&layout)?);
    let lock = match context.member {
        // Whose checkpoints they are, the checkpoints say.
        _ if beside => None,
        None => Some(lock::alone(&root)?),
        Some(_) => {
            let name = format!("{} {}", context.job, context.query);
            Some(lock::shared(&root, &name)?)
        }
    };
    let packing = match (format, layout.compression) {
        (Format::Parquet, _) => Packing::Plain,
        (_, Compression::Gzip) => Packing::Gzip,
        (_, Compression::Zstd) => Packing::Zstd,
        (_, Compression::None | Compression::Snappy) => Packing::Plain,
    };
    let disk = Arc::new(Disk::default());
    let target = Target {
        hidden: OnceLock::new(),
        checked: OnceLock::new(),
        shared: context.member.is_some(),
        as_rows: format == Format::Parquet,
        begins_with: begin(&layout, declared, input),
        line_end: layout.line_end.clone(),
        extension: layout.extension(),
        rolling: layout.rolling,
        run: context.run.clone(),
        next: AtomicU64::new(0),
        keeper: if beside {
            Keeper::Beside(Arc::new(Depositor::start(&disk, packing, &context.run)?))
        } else {
            Keeper::Hidden(Arc::new(Outlet::start(&disk, packing)?))
        },
        publisher: Publisher::start(&disk, &goal)?,
        disk,
        root,
        goal,
    };
    Ok(Arc::new(FolderSink {
        target: Arc::new(target),
        layout,
        options: declared.options.clone(),
        input: input.clone(),
        zone: context.time_zone,
        lock: Mutex::new(lock),
    }))
}

/// The columns that stand in the files.
fn written(layout: &Layout, input: &Schema) -> Vec<Field> {
    let fields = input.fields.iter().enumerate();
    fields
        .filter(|(place, _)| !layout.partitions.contains(place))
        .map(|(_, field)| field.clone())
        .collect()
}

/// What a file begins with.
fn begin(layout: &Layout, table: &Table, input: &Schema) -> Vec<u8> {
    let option = |name: &str| table.options.get(name);
    match layout.format {
        #[cfg(feature = "parquet")]
        Format::Parquet => parquet::header(&written(layout, input), layout.compression),
        // Checked before.
        Format::Csv => match CsvOptions::with(Zone::UTC, false, &option) {
            Ok(options) if options.header => {
                let names = csv::header(&Schema::new(written(layout, input)), &options);
                [names.as_bytes(), &layout.line_end].concat()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

impl FolderSink {
    fn encoder(&self, fields: Vec<Field>) -> Result<Box<dyn Encoder>, Failure> {
        let option = |name: &str| self.options.get(name);
        let refused = |(_, why): (&'static str, String)| Failure::refuse(why);
        match self.layout.format {
            Format::Json => {
                let options = JsonOptions::with(self.zone, false, &option).map_err(refused)?;
                Ok(json::encoder_with(&Schema::new(fields), &options))
            }
            Format::Csv => {
                let options = CsvOptions::with(self.zone, false, &option).map_err(refused)?;
                Ok(csv::encoder(&Schema::new(fields), &options))
            }
            Format::Text => Ok(text::key_encoder(&fields, &JsonOptions::in_zone(self.zone))),
            #[cfg(feature = "parquet")]
            Format::Parquet => Ok(Box::new(parquet::RowsEncoder)),
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => Err(Failure::refuse(LACKS_PARQUET)),
        }
    }
}

impl Sink for FolderSink {
    fn recover(&self, recovery: &Recovery<'_>) -> Result<Recovered, Failure> {
        self.target.goal.check()?;
        if matches!(self.target.keeper, Keeper::Beside(_)) {
            beside::recover(&self.target.goal, recovery, &|| true)?;
            return Ok(Recovered::Done);
        }
        let hidden = self.target.root.join(OWN).join(recovery.checkpoint);
        recovery::recover(&self.target.goal, &hidden, recovery)?;
        let _ = self.target.hidden.set(hidden);
        Ok(Recovered::Done)
    }

    fn take_over(&self, taken: &TakenOver<'_>) -> Result<Recovered, Failure> {
        let target = &self.target;
        if matches!(target.keeper, Keeper::Beside(_)) {
            if target.checked.get().is_none() {
                target.goal.check()?;
                let _ = target.checked.set(());
            }
            beside::recover(&target.goal, &taken.recovery, taken.owned)?;
            return Ok(Recovered::Done);
        }
        if target.hidden.get().is_none() {
            target.goal.check()?;
            let hidden = target.root.join(OWN).join(taken.recovery.checkpoint);
            let _ = target.hidden.set(hidden);
        }
        takeover::take_over(&target.goal, &target.hidden(taken.lane), &target.run, taken)?;
        Ok(Recovered::Done)
    }

    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        disk::writes(&self.target.root);
        disk::writes(&self.target.goal.place());
        let places = &self.layout.partitions;
        let partitions = Partitions::new(&self.input.fields, places, self.zone);
        let columns = (!partitions.is_empty()).then(|| {
            let all = 0..self.input.fields.len();
            all.filter(|place| !places.contains(place)).collect()
        });
        Ok(Box::new(FolderWriter::new(
            &self.target,
            self.target.waiting(&context.lane, context.beside)?,
            context.observer,
            self.encoder(written(&self.layout, &self.input))?,
            partitions,
            columns,
        )))
    }

    fn health(&self) -> Health {
        self.target.disk.away().map_or(Health::Up, Health::Down)
    }

    fn in_flight(&self) -> u64 {
        self.target.keeper.in_flight()
    }

    fn close(&self) {
        self.target.disk.close();
        self.target.goal.close();
        self.target.keeper.join();
        self.target.publisher.join();
        self.lock.lock().take();
    }
}
