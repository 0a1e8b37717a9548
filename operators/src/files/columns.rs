//! The columns of a table of files: from inside the files, from folders `key=value`, and facts of the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};

use super::folder_values::{Folder, folders};
use super::format::{Batch, FileFault, FileFormat, FormatSpec, Item};
use super::listing::Found;
use super::options::{OPTIONS, Settings};
use super::{FORMATS, uri};
use crate::formats::{BESIDE_CORRUPT, only_corrupt};
use crate::job_error::JobError;
use crate::table::{OpenContext, OptionSpec, Table};

/// A fact of a file or a row, as a field of `_metadata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    Path,
    Name,
    Size,
    BlockStart,
    BlockLength,
    Time,
    Row,
}

const FACTS: [(&str, Fact, DataType); 7] = [
    ("file_path", Fact::Path, DataType::String),
    ("file_name", Fact::Name, DataType::String),
    ("file_size", Fact::Size, DataType::BigInt),
    ("file_block_start", Fact::BlockStart, DataType::BigInt),
    ("file_block_length", Fact::BlockLength, DataType::BigInt),
    ("file_modification_time", Fact::Time, DataType::Timestamp),
    ("row_index", Fact::Row, DataType::BigInt),
];

/// The format of a table.
///
/// # Errors
/// When its connector is none.
pub(crate) fn format(table: &Table) -> Result<&'static FormatSpec, JobError> {
    FORMATS
        .iter()
        .find(|format| format.name == table.connector)
        .ok_or_else(|| {
            JobError::new(
                table.at,
                format!("`{}` is no format of files", table.connector),
            )
        })
}

/// The columns: those declared, or those that the format gives by itself.
///
/// # Errors
/// For options that do not fit, and for columns that the format or a folder's name cannot give.
pub fn columns(table: &Table) -> Result<Schema, JobError> {
    let format = format(table)?;
    let specs: Vec<OptionSpec> = OPTIONS.iter().chain(format.options).copied().collect();
    table.options.verify(format.name, &specs)?;
    Settings::of(table)?;
    let columns = match (&table.columns, format.fixed) {
        (Some(columns), _) => columns.clone(),
        (None, Some(fixed)) => fixed(),
        (None, None) => {
            return Err(JobError::new(
                table.at,
                format!("a table `USING {}` needs declared columns", format.name),
            )
            .help(format!(
                "write CREATE TABLE {} (column TYPE, ...) USING {}",
                table.name, format.name
            )));
        }
    };
    for column in columns.iter().filter(|column| is_partition(table, column)) {
        if matches!(
            column.data_type,
            DataType::Array(_) | DataType::Map(_) | DataType::Struct(_) | DataType::Void
        ) {
            return Err(JobError::new(
                table.at,
                format!(
                    "column `{}` is {}, and the name of a folder is none",
                    column.name, column.data_type
                ),
            ));
        }
    }
    (format.check)(table, &inside(table, &columns))?;
    Ok(Schema::new(columns))
}

/// The fields of `_metadata`.
pub fn metadata(_: &Table) -> Vec<Field> {
    FACTS
        .iter()
        .map(|(name, _, data_type)| Field::required(*name, data_type.clone()))
        .collect()
}

fn is_partition(table: &Table, column: &Field) -> bool {
    let mut by = table.partitioned_by.iter();
    by.any(|name| name.eq_ignore_ascii_case(&column.name))
}

/// The columns that stand in the files.
fn inside(table: &Table, columns: &[Field]) -> Vec<Field> {
    let inside = columns.iter().filter(|column| !is_partition(table, column));
    inside.cloned().collect()
}

/// What a wanted column is in the rows of a file.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// The next column of the format.
    Inside,
    /// What a folder says: the place of the column.
    Folder(usize),
    Fact(Fact),
}

/// So many ways in which files are read are kept.
const LAYOUTS_MAX: usize = 16;

/// How the rows of files become rows of the table.
pub(crate) struct Shape {
    table: Table,
    spec: &'static FormatSpec,
    context: OpenContext,
    columns: Arc<[Field]>,
    wanted: Vec<usize>,
    /// So many folders on the way to a file are those of the path: what they say is not of the table. None where no folder is.
    above: Option<usize>,
    /// How files have been read, the last one last: most lie in folders of the same keys.
    layouts: Mutex<Vec<Arc<Layout>>>,
    /// Whether it was said that a folder is of another key.
    told: AtomicBool,
}

/// How files are read that lie in folders of the same keys.
struct Layout {
    /// Whether a folder says the value of the column of this place, so that it is none of the file's.
    outside: Vec<bool>,
    slots: Vec<Slot>,
    format: Arc<dyn FileFormat>,
}

impl Shape {
    /// # Errors
    /// When the format cannot be opened.
    pub(crate) fn new(
        table: &Table,
        columns: &Schema,
        wanted: &[usize],
        settings: &Settings,
        context: &OpenContext,
    ) -> Result<Self, Failure> {
        let spec = format(table).map_err(|error| Failure::refuse(error.message))?;
        let columns = Arc::clone(&columns.fields);
        let outside = columns.iter().map(|column| is_partition(table, column));
        let first = layout(spec, table, &columns, wanted, outside.collect(), context)?;
        Ok(Self {
            table: table.clone(),
            spec,
            context: context.clone(),
            columns,
            wanted: wanted.to_vec(),
            above: (!settings.recursive).then(|| settings.depth()),
            layouts: Mutex::new(vec![Arc::new(first)]),
            told: AtomicBool::new(false),
        })
    }

    /// The format as the file is to be read with it, and what is the same in all of its rows.
    ///
    /// # Errors
    /// When a folder does not say what it should, or the format cannot be opened.
    pub(crate) fn of(&self, found: &Found) -> Result<(Arc<dyn FileFormat>, Fills), FileFault> {
        let folders = folders(&found.path);
        let own = |folder: &&Folder<'_>| self.above.is_some_and(|above| folder.above >= above);
        self.tell_undeclared(folders.iter().filter(own), found);
        let said: Vec<Option<&Folder<'_>>> = self
            .columns
            .iter()
            .map(|column| {
                let named = is_partition(&self.table, column);
                folders.iter().rev().find(|folder| {
                    folder.key.eq_ignore_ascii_case(&column.name) && (named || own(folder))
                })
            })
            .collect();
        let layout = self.layout(&said).map_err(FileFault::System)?;
        let fills = layout.slots.iter().map(|slot| match slot {
            Slot::Inside => Ok(Fill::Inside),
            Slot::Folder(place) => match said[*place] {
                Some(folder) => folder
                    .value(&self.columns[*place], self.context.time_zone)
                    .map(Fill::Same),
                None => Err(RecordError::decode(format!(
                    "the file lies in no folder `{}=...`, as PARTITIONED BY says",
                    self.columns[*place].name
                ))),
            },
            Slot::Fact(Fact::Row) => Ok(Fill::Row),
            Slot::Fact(fact) => Ok(Fill::Same(known(*fact, found))),
        });
        let fills: Vec<Fill> = fills.collect::<Result<_, _>>().map_err(FileFault::Lost)?;
        let fills = Fills {
            plain: fills.iter().all(|fill| matches!(fill, Fill::Inside)),
            fills,
        };
        Ok((Arc::clone(&layout.format), fills))
    }

    /// The layout of a file of which folders say these columns.
    fn layout(&self, said: &[Option<&Folder<'_>>]) -> Result<Arc<Layout>, Failure> {
        let outside = self.columns.iter().zip(said);
        let outside: Vec<bool> = outside
            .map(|(column, folder)| folder.is_some() || is_partition(&self.table, column))
            .collect();
        let mut layouts = self.layouts.lock();
        let known = layouts.iter().rposition(|known| known.outside == outside);
        let found = match known {
            Some(place) => layouts.remove(place),
            None => {
                let (spec, table, columns) = (self.spec, &self.table, &self.columns);
                let new = layout(spec, table, columns, &self.wanted, outside, &self.context)?;
                if layouts.len() == LAYOUTS_MAX {
                    layouts.remove(0);
                }
                Arc::new(new)
            }
        };
        layouts.push(Arc::clone(&found));
        Ok(found)
    }

    /// Says once in a run that folders are of keys which are no columns of the table: Spark adds them.
    fn tell_undeclared<'f>(&self, folders: impl Iterator<Item = &'f Folder<'f>>, found: &Found) {
        let declared = |key: &str| {
            let mut names = self.columns.iter().map(|column| &column.name);
            names.any(|name| name.eq_ignore_ascii_case(key))
        };
        let keys = folders.map(|folder| folder.key.as_str());
        let undeclared: Vec<&str> = keys.filter(|key| !declared(key)).collect();
        if undeclared.is_empty() || self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let columns = undeclared.join(", ");
        tracing::warn!(
            file = &*found.path,
            "the file lies in folders that Spark makes columns of, and the table declares none of that name: {columns}. Declare them \
             with their types and write PARTITIONED BY ({columns}) behind the options, or recursiveFileLookup 'true' where they say \
             nothing"
        );
    }
}

fn layout(
    spec: &FormatSpec,
    table: &Table,
    columns: &[Field],
    wanted: &[usize],
    outside: Vec<bool>,
    context: &OpenContext,
) -> Result<Layout, Failure> {
    let inside: Vec<usize> = (0..columns.len())
        .filter(|place| !outside[*place])
        .collect();
    let mut decoded = Vec::new();
    let slots = wanted.iter().filter_map(|place| {
        if *place >= columns.len() {
            let (_, fact, _) = FACTS.get(place - columns.len())?;
            return Some(Slot::Fact(*fact));
        }
        if outside[*place] {
            return Some(Slot::Folder(*place));
        }
        decoded.push(inside.iter().position(|inside| inside == place)?);
        Some(Slot::Inside)
    });
    let slots = slots.collect();
    let used = decoded.iter().map(|place| &columns[inside[*place]]);
    if let Some(why) = only_corrupt(table, &used.collect::<Vec<_>>()) {
        return Err(Failure::refuse(format!("{why}: {BESIDE_CORRUPT}")));
    }
    let inside: Vec<Field> = inside.iter().map(|place| columns[*place].clone()).collect();
    let format = (spec.open)(table, &inside, &decoded, context)?;
    Ok(Layout {
        outside,
        slots,
        format,
    })
}

fn known(fact: Fact, found: &Found) -> Value {
    let size = i64::try_from(found.size).unwrap_or(i64::MAX);
    match fact {
        Fact::Path => Value::from(uri::of_path(&found.path).as_str()),
        Fact::Name => {
            let name = found.path.rsplit('/').next().unwrap_or_default();
            Value::from(uri::escaped(name).as_str())
        }
        Fact::Size | Fact::BlockLength => Value::BigInt(size),
        Fact::BlockStart => Value::BigInt(0),
        Fact::Time => Value::Timestamp(found.time),
        Fact::Row => Value::Null,
    }
}

enum Fill {
    Inside,
    Same(Value),
    Row,
}

/// What one file adds to its rows.
pub(crate) struct Fills {
    fills: Vec<Fill>,
    plain: bool,
}

impl Fills {
    /// Completes rows of which the first has this number.
    pub(crate) fn apply(&mut self, first: u64, batch: &mut Batch) {
        if self.plain {
            return;
        }
        let mut inside = std::mem::take(&mut batch.values).into_iter();
        batch.width = self.fills.len();
        batch.values.reserve_exact(batch.items.len() * batch.width);
        for (number, item) in (first..).zip(&batch.items) {
            if !matches!(item, Item::Row(())) {
                continue;
            }
            let whole = self.fills.iter().map(|fill| match fill {
                Fill::Inside => inside.next().unwrap_or_default(),
                Fill::Same(value) => value.clone(),
                Fill::Row => Value::BigInt(i64::try_from(number).unwrap_or(i64::MAX)),
            });
            batch.values.extend(whole);
        }
    }
}

/// The columns of rows: those wanted.
pub(crate) fn chosen(columns: &Schema, table: &Table, wanted: &[usize]) -> Schema {
    let all: Vec<Field> = columns
        .fields
        .iter()
        .cloned()
        .chain(metadata(table))
        .collect();
    let chosen = wanted.iter().filter_map(|place| all.get(*place).cloned());
    Schema::new(Arc::from(chosen.collect::<Vec<_>>()))
}
