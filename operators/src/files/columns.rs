//! The columns of a table of files: from inside the files, from folders `key=value`, and facts of the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono_tz::Tz;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};

use super::format::{Batch, FormatSpec, Item};
use super::listing::Found;
use super::options::{OPTIONS, Settings};
use super::{FORMATS, uri};
use crate::expr::cast;
use crate::job_error::JobError;
use crate::table::{OptionSpec, Table};

/// The value of a folder `key=value` that stands for NULL, as Hive writes it.
pub(crate) const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

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

/// What a wanted column is.
#[derive(Clone, Debug)]
enum Slot {
    /// The next column of the format, unless a folder says its value.
    Inside(Field),
    /// What a folder says.
    Folder(Field),
    Fact(Fact),
}

/// How the rows of a file become rows of the table.
#[derive(Debug)]
pub(crate) struct Shape {
    slots: Vec<Slot>,
    zone: Tz,
    /// The columns inside the files, and the places of those that are wanted.
    pub(crate) inside: Vec<Field>,
    pub(crate) wanted: Vec<usize>,
    /// The keys of folders that say nothing new: those of columns, and those that the path names itself.
    known: Vec<String>,
    /// Whether it was said that a folder is of another key; with `recursiveFileLookup` folders are no columns in Spark either.
    told: AtomicBool,
}

impl Shape {
    pub(crate) fn new(table: &Table, columns: &[Field], wanted: &[usize], zone: Tz) -> Self {
        let inside = inside(table, columns);
        let mut decoded = Vec::new();
        let slots = wanted.iter().filter_map(|place| {
            let Some(column) = columns.get(*place) else {
                let (_, fact, _) = FACTS.get(place - columns.len())?;
                return Some(Slot::Fact(*fact));
            };
            if is_partition(table, column) {
                return Some(Slot::Folder(column.clone()));
            }
            decoded.push(inside.iter().position(|known| known.name == column.name)?);
            Some(Slot::Inside(column.clone()))
        });
        let slots = slots.collect();
        let path = format!("{}/", table.options.get("path").unwrap_or_default());
        let named = folders(&path).into_iter().map(|(key, _)| key);
        let declared = columns.iter().map(|column| column.name.to_string());
        Self {
            known: declared.chain(named).collect(),
            told: AtomicBool::new(table.options.flag("recursiveFileLookup", false)),
            slots,
            zone,
            inside,
            wanted: decoded,
        }
    }

    /// What is the same in all rows of a file.
    ///
    /// # Errors
    /// When a folder does not say what it should.
    pub(crate) fn fills(&self, found: &Found) -> Result<Fills, RecordError> {
        let keys = folders(&found.path);
        self.tell_undeclared(&keys, found);
        let said = |column: &Field| {
            keys.iter()
                .rev()
                .find(|(key, _)| key.eq_ignore_ascii_case(&column.name))
                .map(|(_, text)| value(text, column, self.zone))
                .transpose()
        };
        let fills = self.slots.iter().map(|slot| match slot {
            Slot::Inside(column) => Ok(match said(column)? {
                Some(value) => Fill::Instead(value),
                None => Fill::Inside,
            }),
            Slot::Folder(column) => match said(column)? {
                Some(value) => Ok(Fill::Same(value)),
                None => Err(RecordError::decode(format!(
                    "the file lies in no folder `{}=...`, as PARTITIONED BY says",
                    column.name
                ))),
            },
            Slot::Fact(Fact::Row) => Ok(Fill::Row),
            Slot::Fact(fact) => Ok(Fill::Same(known(*fact, found))),
        });
        let fills: Vec<Fill> = fills.collect::<Result<_, _>>()?;
        Ok(Fills {
            plain: fills.iter().all(|fill| matches!(fill, Fill::Inside)),
            fills,
        })
    }
}

impl Shape {
    /// Says once in a run that folders are of keys which are no columns of the table: Spark adds them.
    fn tell_undeclared(&self, keys: &[(String, String)], found: &Found) {
        let known = |key: &str| {
            self.known
                .iter()
                .any(|known| known.eq_ignore_ascii_case(key))
        };
        let keys = keys.iter().map(|(key, _)| key.as_str());
        let undeclared: Vec<&str> = keys.filter(|key| !known(key)).collect();
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

/// The folders `key=value` on the way to a file.
fn folders(path: &str) -> Vec<(String, String)> {
    let (folders, _) = path.rsplit_once('/').unwrap_or_default();
    folders
        .split('/')
        .filter_map(|name| name.split_once('='))
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (uri::unescaped(key), uri::unescaped(value)))
        .collect()
}

fn value(text: &str, column: &Field, zone: Tz) -> Result<Value, RecordError> {
    if text == HIVE_NULL || text.is_empty() {
        return Ok(Value::Null);
    }
    match &column.data_type {
        DataType::String => Ok(Value::from(text)),
        DataType::Binary => Ok(Value::Binary(text.as_bytes().into())),
        other => cast::parse(text, other, zone, false).ok_or_else(|| {
            RecordError::decode(format!(
                "the folder `{}=...` says no {other}, as the column is declared",
                column.name
            ))
            .with_content(text)
        }),
    }
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
    /// Not what the file says, but this.
    Instead(Value),
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
                Fill::Instead(value) => {
                    inside.next();
                    value.clone()
                }
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
