//! The frame into which formats of files plug: who opens a file, and who gives its rows in order.

use std::path::Path;
use std::sync::Arc;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::Field;

use super::content::Content;
use crate::codecs::Mode;
use crate::job_error::JobError;
use crate::table::{OpenContext, OptionSpec, Table};

/// How many rows a batch should not exceed by much: it is handed over whole.
pub const BATCH_ROWS: usize = 512;

/// A file that is about to be read.
pub struct OpenFile<'f> {
    /// It, at its begin.
    pub content: Content,
    /// Its path, whose suffix says how it is compressed.
    pub path: &'f Path,
    /// Its size when it was opened.
    pub size: u64,
}

/// What one record of a file came to.
#[derive(Debug)]
pub enum Item<R = ()> {
    /// The wanted columns of the format, in their order.
    Row(R),
    /// Malformed, and the mode is DROPMALFORMED.
    Dropped,
    /// It could not be decoded.
    Bad(Box<RecordError>),
}

/// The next records of a file.
#[derive(Debug, Default)]
pub struct Batch {
    /// One for each record, in order. Its place is the row's number: a bad record has one too.
    pub items: Vec<Item>,
    /// The values of the items that are rows, one row behind the other: what one thread allocates for each row and another
    /// gives back would be dear.
    pub values: Vec<Value>,
    /// How many values a row has.
    pub width: usize,
    /// Where each record stands in `bytes`; empty where the format cannot say.
    pub spans: Vec<(u32, u32)>,
    /// The original bytes, for dead letters.
    pub bytes: Arc<Vec<u8>>,
}

impl Batch {
    /// Makes the last record a bad one; one more where there is none.
    pub(super) fn spoil_last(&mut self, error: RecordError) {
        if let Some(Item::Row(())) = self.items.pop() {
            self.values.truncate(self.values.len() - self.width);
        }
        self.items.push(Item::Bad(Box::new(error)));
    }

    /// The items, with the values of those that are rows.
    pub fn take_rows(&mut self) -> Rows {
        Rows {
            items: std::mem::take(&mut self.items).into_iter(),
            values: std::mem::take(&mut self.values).into_iter(),
            width: self.width,
        }
    }
}

/// The items of a batch, each row by itself.
pub struct Rows {
    items: std::vec::IntoIter<Item>,
    values: std::vec::IntoIter<Value>,
    width: usize,
}

impl Iterator for Rows {
    type Item = Item<Row>;

    #[inline]
    fn next(&mut self) -> Option<Item<Row>> {
        Some(match self.items.next()? {
            Item::Row(()) => Item::Row(self.values.by_ref().take(self.width).collect()),
            Item::Dropped => Item::Dropped,
            Item::Bad(error) => Item::Bad(error),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl ExactSizeIterator for Rows {}

/// Why no more rows come from a file.
#[derive(Debug)]
pub enum FileFault {
    /// The rest of the file cannot be read, now or ever: it is damaged, gone, or not allowed. One bad record says so, and
    /// `onError` decides.
    Lost(RecordError),
    /// The system failed. The run ends, another may succeed.
    System(Failure),
}

/// The rows of one open file, in order. Lives on the walker's thread and may block.
pub trait FileRows: Send {
    /// The next records, in an order that is the same each time the file is read; None when there are none any more. A
    /// batch should be given as soon as its rows are there, and hold about [`BATCH_ROWS`] at most.
    ///
    /// # Errors
    /// When the rest of the file cannot be read. It is not asked again.
    fn next(&mut self) -> Result<Option<Batch>, FileFault>;
}

/// A format of files, with the columns and options of one table. Opened for one run.
pub trait FileFormat: Send + Sync {
    /// The rows of a file from number `from` on, counted from 0.
    ///
    /// # Errors
    /// When the file is not of the format at all, or the system fails.
    fn open(&self, file: OpenFile<'_>, from: u64) -> Result<Box<dyn FileRows>, FileFault>;
}

/// Opens a format for a run. The fields are the columns from inside the files, the numbers the places of those that are used.
pub type OpenFormat =
    fn(&Table, &[Field], &[usize], &OpenContext) -> Result<Arc<dyn FileFormat>, Failure>;

/// A format as the connectors know it.
#[derive(Clone, Copy)]
pub struct FormatSpec {
    /// The name after USING.
    pub name: &'static str,
    /// The manual of the format's own options.
    pub options: &'static [OptionSpec],
    /// The columns where the table declares none; None where it must.
    pub fixed: Option<fn() -> Vec<Field>>,
    /// Checks the columns that come from inside the files, and the format's options beyond what their manual says.
    pub check: fn(&Table, &[Field]) -> Result<(), JobError>,
    /// Opens the format for a run: `columns` are those from inside the files, `wanted` the places of those that are used.
    pub open: OpenFormat,
}

/// What a field that does not fit is, in files: Spark's default is PERMISSIVE.
pub fn mode(table: &Table) -> Mode {
    let given = table.options.get("mode");
    given.map_or(Mode::Permissive, Mode::of_word)
}
