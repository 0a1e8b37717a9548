//! Files of the formats `parquet` and `orc`: columns in blocks, read by Arrow's readers.

#[cfg(any(feature = "parquet", feature = "orc"))]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

#[cfg(any(feature = "parquet", feature = "orc"))]
use arrow::array::RecordBatch;
#[cfg(any(feature = "parquet", feature = "orc"))]
use arrow::error::ArrowError;
#[cfg(any(feature = "parquet", feature = "orc"))]
use thalweg_engine::error::RecordError;

use thalweg_engine::error::Failure;
use thalweg_engine::schema::Field;

#[cfg(any(feature = "parquet", feature = "orc"))]
use super::content::{Places, Watch};
#[cfg(any(feature = "parquet", feature = "orc"))]
use super::format::{BATCH_ROWS, Batch, FileFault, FileRows, OpenFile};
use super::format::{FileFormat, FormatSpec};
#[cfg(feature = "orc")]
use super::orc_tail::{self, Footers};
#[cfg(feature = "orc")]
use super::orc_times::Times;
#[cfg(feature = "parquet")]
use super::parquet_schema;
#[cfg(any(feature = "parquet", feature = "orc"))]
use crate::columnar::{self, Projection};
use crate::job_error::JobError;
use crate::table::{OpenContext, OptionSpec, Table, refused};

/// The format `parquet`.
pub(crate) const PARQUET: FormatSpec = FormatSpec {
    name: "parquet",
    options: &[
        refused(
            "mergeSchema",
            "the declared columns are looked for in each file, and one that a file lacks is NULL",
        ),
        refused(
            "datetimeRebaseMode",
            "days before 1582-10-15 are read as they stand; only Spark 2 and Hive wrote others",
        ),
        refused(
            "int96RebaseMode",
            "times before 1582-10-15 are read as they stand; only Spark 2 and Hive wrote others",
        ),
        COMPRESSION,
    ],
    fixed: None,
    check: |table, columns| check(table, columns, cfg!(feature = "parquet")),
    open: open_parquet,
};

/// The format `orc`.
pub(crate) const ORC: FormatSpec = FormatSpec {
    name: "orc",
    options: &[
        refused(
            "mergeSchema",
            "the declared columns are looked for in each file, and one that a file lacks is NULL",
        ),
        COMPRESSION,
    ],
    fixed: None,
    check: |table, columns| check(table, columns, cfg!(feature = "orc")),
    open: open_orc,
};

const COMPRESSION: OptionSpec = refused(
    "compression",
    "such a file says itself how its blocks are packed",
);

/// That the build can read the format, and the format has the columns.
fn check(table: &Table, columns: &[Field], built: bool) -> Result<(), JobError> {
    if !built {
        return Err(JobError::new(table.at, lacks(&table.connector)));
    }
    let unfit = columns.iter().find_map(|column| {
        let reason = unsupported(column)?;
        Some(format!("column `{}`: {reason}", column.name))
    });
    match unfit {
        Some(reason) => Err(JobError::new(table.at, reason)),
        None => Ok(()),
    }
}

#[cfg(any(feature = "parquet", feature = "orc"))]
fn unsupported(column: &Field) -> Option<String> {
    columnar::unsupported(&column.data_type)
}

#[cfg(not(any(feature = "parquet", feature = "orc")))]
fn unsupported(_: &Field) -> Option<String> {
    None
}

fn lacks(format: &str) -> String {
    format!("this build lacks the feature `{format}`: cargo build --release --features {format}")
}

#[cfg(not(feature = "parquet"))]
fn open_parquet(
    _: &Table,
    _: &[Field],
    _: &[usize],
    _: &OpenContext,
) -> Result<Arc<dyn FileFormat>, Failure> {
    Err(Failure::refuse(lacks("parquet")))
}

#[cfg(not(feature = "orc"))]
fn open_orc(
    _: &Table,
    _: &[Field],
    _: &[usize],
    _: &OpenContext,
) -> Result<Arc<dyn FileFormat>, Failure> {
    Err(Failure::refuse(lacks("orc")))
}

#[cfg(feature = "parquet")]
fn open_parquet(
    _: &Table,
    columns: &[Field],
    wanted: &[usize],
    _: &OpenContext,
) -> Result<Arc<dyn FileFormat>, Failure> {
    Ok(Arc::new(Parquet(Chosen::new(columns, wanted))))
}

#[cfg(feature = "orc")]
fn open_orc(
    _: &Table,
    columns: &[Field],
    wanted: &[usize],
    _: &OpenContext,
) -> Result<Arc<dyn FileFormat>, Failure> {
    Ok(Arc::new(Orc(Chosen::new(columns, wanted))))
}

/// The columns of a table and those of them that are wanted.
#[cfg(any(feature = "parquet", feature = "orc"))]
struct Chosen {
    columns: Vec<Field>,
    wanted: Vec<usize>,
}

#[cfg(any(feature = "parquet", feature = "orc"))]
impl Chosen {
    fn new(columns: &[Field], wanted: &[usize]) -> Self {
        Self {
            columns: columns.to_vec(),
            wanted: wanted.to_vec(),
        }
    }
}

/// What the readers of files do, which are others' work: one that panics has met a file that it does not expect, and the thread
/// that reads all files goes on.
#[cfg(any(feature = "parquet", feature = "orc"))]
fn guarded<T>(
    format: &str,
    watch: &Watch,
    work: impl FnOnce() -> Result<T, FileFault>,
) -> Result<T, FileFault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason is given");
        Err(watch.fault().unwrap_or_else(|| lost(format, &said)))
    })
}

/// A format whose files are read in any order of their bytes, by a reader that is not ours.
#[cfg(any(feature = "parquet", feature = "orc"))]
trait Block: Send + Sync {
    /// What it is called in messages.
    const NAME: &'static str;

    /// As [`FileFormat::open`]; what panics within is told as damage.
    fn open_places(&self, places: Places, from: u64) -> Result<Box<dyn FileRows>, FileFault>;
}

#[cfg(any(feature = "parquet", feature = "orc"))]
impl<B: Block> FileFormat for B {
    fn open(&self, file: OpenFile<'_>, from: u64) -> Result<Box<dyn FileRows>, FileFault> {
        if file.size == 0 {
            return Ok(Box::new(Nothing));
        }
        let places = Places::of(file.content);
        let watch = places.watch();
        guarded(B::NAME, &watch, || self.open_places(places, from))
    }
}

/// A file without a byte, as `touch` makes one, and some tools in a bucket for a folder: no rows, as in Spark.
#[cfg(any(feature = "parquet", feature = "orc"))]
struct Nothing;

#[cfg(any(feature = "parquet", feature = "orc"))]
impl FileRows for Nothing {
    fn next(&mut self) -> Result<Option<Batch>, FileFault> {
        Ok(None)
    }
}

#[cfg(any(feature = "parquet", feature = "orc"))]
#[cold]
fn lost(format: &str, error: &dyn std::fmt::Display) -> FileFault {
    FileFault::Lost(RecordError::decode(format!(
        "the file is no whole {format} file, it is truncated or damaged: {error}"
    )))
}

#[cfg(feature = "parquet")]
struct Parquet(Chosen);

#[cfg(feature = "parquet")]
impl Block for Parquet {
    const NAME: &'static str = "parquet";

    fn open_places(&self, places: Places, from: u64) -> Result<Box<dyn FileRows>, FileFault> {
        use parquet::arrow::ProjectionMask;
        use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

        let watch = places.watch();
        let broken = |error: parquet::errors::ParquetError| {
            watch.fault().unwrap_or_else(|| lost("parquet", &error))
        };
        let metadata = parquet_schema::widened(&places).map_err(broken)?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(places, metadata);
        let projection = Projection::new(&self.0.columns, &self.0.wanted, reader.schema().fields());
        let roots = projection.roots.iter().copied();
        let mask = ProjectionMask::roots(reader.parquet_schema(), roots);
        if let Some(why) = packed_otherwise(reader.metadata(), &mask) {
            return Err(FileFault::Lost(RecordError::decode(why)));
        }
        let batches = reader
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .with_offset(usize::try_from(from).unwrap_or(usize::MAX))
            .build()
            .map_err(broken)?;
        Ok(Box::new(Blocks {
            format: "parquet",
            batches,
            projection,
            skip: 0,
            watch,
            told: Box::new(|| None),
        }))
    }
}

/// What to say of a file whose columns are packed in a way that is not unpacked here; None where those that are read are not.
#[cfg(feature = "parquet")]
fn packed_otherwise(
    metadata: &parquet::file::metadata::ParquetMetaData,
    mask: &parquet::arrow::ProjectionMask,
) -> Option<String> {
    use parquet::basic::Compression;

    let groups = metadata.row_groups().iter();
    let mut columns = groups.flat_map(|group| group.columns().iter().enumerate());
    let (name, column) = columns.find_map(|(place, column)| match column.compression() {
        Compression::BROTLI(_) if mask.leaf_included(place) => Some(("Brotli", column)),
        Compression::LZO if mask.leaf_included(place) => Some(("LZO", column)),
        _ => None,
    })?;
    Some(format!(
        "column `{}` of the file is packed with {name}, which is not unpacked here: pack it with snappy, gzip, zstd or lz4",
        column.column_path().string()
    ))
}

#[cfg(feature = "orc")]
struct Orc(Chosen);

#[cfg(feature = "orc")]
impl Block for Orc {
    const NAME: &'static str = "orc";

    fn open_places(&self, places: Places, from: u64) -> Result<Box<dyn FileRows>, FileFault> {
        use orc_rust::arrow_reader::ArrowReaderBuilder;
        use orc_rust::projection::ProjectionMask;
        use orc_rust::schema::{DataType as OrcType, TimestampPrecision};

        let watch = places.watch();
        let broken =
            |error: &dyn std::fmt::Display| watch.fault().unwrap_or_else(|| lost("orc", error));
        let places = Arc::new(places);
        let footer = orc_tail::footer(&places).map_err(|error| broken(&error))?;
        if !orc_tail::is_tree(&footer) {
            return Err(broken(&"its types are no tree"));
        }
        let footers = Footers::of(Arc::clone(&places));
        let known = footers.known();
        let reader = ArrowReaderBuilder::try_new(footers)
            .map_err(|error| broken(&error))?
            .with_timestamp_precision(TimestampPrecision::Microsecond);
        let metadata = reader.file_metadata();
        known.tail(metadata);
        let schema = reader.schema();
        let fields = schema.fields();
        // So Hive names them, and Spark takes them by their places.
        let nameless = fields.iter().all(|field| field.name().starts_with("_col"));
        let project = match nameless {
            true => Projection::by_place,
            false => Projection::new,
        };
        let mut projection = project(&self.0.columns, &self.0.wanted, fields);
        projection.whole_times = true;
        let types = metadata.root_data_type().children();
        projection.unpad(|root| {
            let column = types.get(root);
            column.is_some_and(|column| matches!(column.data_type(), OrcType::Char { .. }))
        });
        let mut names: Vec<&str> = projection
            .roots
            .iter()
            .filter_map(|root| schema.fields().get(*root))
            .map(|field| field.name().as_str())
            .collect();
        // Without any column a reader does not know how many rows there are.
        if let (true, Some(first)) = (names.is_empty(), schema.fields().first()) {
            names.push(first.name());
        }
        let mask = ProjectionMask::named_roots(metadata.root_data_type(), &names);
        let reader = reader.with_projection(mask).with_batch_size(BATCH_ROWS);
        let times = Times::new(reader.schema(), orc_tail::is_hybrid(&footer));
        let batches = reader.with_schema(times.asked()).build();
        Ok(Box::new(Blocks {
            format: "orc",
            batches: batches.map(move |batch| times.read(&batch?)),
            projection,
            skip: usize::try_from(from).unwrap_or(usize::MAX),
            watch,
            told: Box::new(move || known.strange()),
        }))
    }
}

/// The rows of one file, batch by batch.
#[cfg(any(feature = "parquet", feature = "orc"))]
struct Blocks<I> {
    format: &'static str,
    batches: I,
    projection: Projection,
    /// So many rows are stepped over.
    skip: usize,
    watch: Watch,
    /// What there is to say of a fault that the reader tells in words of its own.
    told: Box<dyn Fn() -> Option<String> + Send>,
}

#[cfg(any(feature = "parquet", feature = "orc"))]
impl<I: Iterator<Item = Result<RecordBatch, ArrowError>> + Send> Blocks<I> {
    fn read(&mut self) -> Result<Option<RecordBatch>, FileFault> {
        let Self { watch, batches, .. } = self;
        let batch = guarded(self.format, watch, || {
            batches
                .next()
                .transpose()
                .map_err(|error| watch.fault().unwrap_or_else(|| lost(self.format, &error)))
        });
        batch.map_err(|fault| match (fault, (self.told)()) {
            (FileFault::Lost(_), Some(why)) => FileFault::Lost(RecordError::decode(why)),
            (fault, _) => fault,
        })
    }
}

#[cfg(any(feature = "parquet", feature = "orc"))]
impl<I: Iterator<Item = Result<RecordBatch, ArrowError>> + Send> FileRows for Blocks<I> {
    fn next(&mut self) -> Result<Option<Batch>, FileFault> {
        loop {
            let Some(mut batch) = self.read()? else {
                return Ok(None);
            };
            let over = self.skip.min(batch.num_rows());
            self.skip -= over;
            if over > 0 {
                batch = batch.slice(over, batch.num_rows() - over);
            }
            if batch.num_rows() > 0 {
                return self
                    .projection
                    .rows(&batch)
                    .map(Some)
                    .map_err(FileFault::Lost);
            }
        }
    }
}

#[cfg(test)]
#[cfg(all(feature = "parquet", feature = "orc"))]
#[path = "blocks_tests.rs"]
mod tests;
