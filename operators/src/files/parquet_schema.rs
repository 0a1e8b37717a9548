//! What a parquet file is read as, where Arrow would take less than the file may have.

use std::sync::Arc;

use arrow::datatypes::{DataType as Arrow, FieldRef, Schema, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{ConvertedType, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::ChunkReader;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, Type};

/// What a file says of itself, with texts as bytes, of which one may be no UTF-8, and times of the type int96 in microseconds.
///
/// # Errors
/// Where the file is no whole one, or Arrow has no type for one of the file's.
pub(super) fn widened(file: &impl ChunkReader) -> Result<ArrowReaderMetadata, ParquetError> {
    // What the file is, not what its writer had in memory.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let whole = texts_as_bytes(ParquetMetaDataReader::new().parse_and_finish(file)?)?;
    let metadata = ArrowReaderMetadata::try_new(Arc::new(whole), options.clone())?;
    match int96_as_micros(&metadata) {
        Some(schema) => {
            let whole = Arc::clone(metadata.metadata());
            ArrowReaderMetadata::try_new(whole, options.with_schema(schema))
        }
        None => Ok(metadata),
    }
}

/// Arrow's reader looks whether texts are UTF-8, and gives up the rest of the file at the first that is not; bytes it leaves as
/// they are.
fn texts_as_bytes(whole: ParquetMetaData) -> Result<ParquetMetaData, ParquetError> {
    let file = whole.file_metadata();
    let mut leaves = file.schema_descr().columns().iter();
    if !leaves.any(|column| is_text(column.converted_type())) {
        return Ok(whole);
    }
    let root = bytes_for_texts(file.schema_descr().root_schema())?;
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        Arc::new(SchemaDescriptor::new(Arc::new(root))),
        file.column_orders().cloned(),
    );
    let groups = whole.into_builder().take_row_groups();
    Ok(ParquetMetaData::new(file, groups))
}

/// What Arrow's reader takes for a text. Of JSON it does not even look whether it is one.
fn is_text(kind: ConvertedType) -> bool {
    matches!(kind, ConvertedType::UTF8 | ConvertedType::JSON)
}

fn bytes_for_texts(schema: &Type) -> Result<Type, ParquetError> {
    match schema {
        Type::PrimitiveType { basic_info, .. } if is_text(basic_info.converted_type()) => {
            let id = basic_info.has_id().then(|| basic_info.id());
            Type::primitive_type_builder(basic_info.name(), Physical::BYTE_ARRAY)
                .with_repetition(basic_info.repetition())
                .with_id(id)
                .build()
        }
        Type::PrimitiveType { .. } => Ok(schema.clone()),
        Type::GroupType { basic_info, fields } => {
            let fields = fields.iter();
            let fields = fields.map(|field| bytes_for_texts(field).map(Arc::new));
            Ok(Type::GroupType {
                basic_info: basic_info.clone(),
                fields: fields.collect::<Result<_, _>>()?,
            })
        }
    }
}

/// The schema with times of the type int96 in microseconds, where there are some: in nanoseconds, as Arrow reads them, most
/// centuries do not fit.
fn int96_as_micros(metadata: &ArrowReaderMetadata) -> Option<SchemaRef> {
    /// Walks over the leaves in the order of the file's columns.
    fn changed(field: &FieldRef, leaves: &mut dyn Iterator<Item = bool>) -> FieldRef {
        let data_type = match field.data_type() {
            Arrow::List(element) => Arrow::List(changed(element, leaves)),
            Arrow::LargeList(element) => Arrow::LargeList(changed(element, leaves)),
            Arrow::Map(entries, sorted) => Arrow::Map(changed(entries, leaves), *sorted),
            Arrow::Struct(fields) => {
                Arrow::Struct(fields.iter().map(|field| changed(field, leaves)).collect())
            }
            other => match leaves.next() {
                Some(true) => Arrow::Timestamp(TimeUnit::Microsecond, None),
                _ => other.clone(),
            },
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    }

    let columns = metadata.parquet_schema().columns();
    let int96 = |column: &ColumnDescPtr| column.physical_type() == Physical::INT96;
    if !columns.iter().any(int96) {
        return None;
    }
    let mut leaves = columns.iter().map(int96);
    let fields = metadata.schema().fields().iter();
    let fields: Vec<FieldRef> = fields.map(|field| changed(field, &mut leaves)).collect();
    Some(Arc::new(Schema::new(fields)))
}
