//! Parquet: rows are kept in a log while their part is open, and become a file when it is complete.
//!
//! A Parquet file ends with its directory, so one that is open cannot be read after a crash, and cannot grow after one. The
//! log is a header (the columns and the compression, so that it can be read whatever the job says by then) and the rows, each
//! behind its length.

use std::io::{self, BufReader, Read, Write};

use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression as Codec, GzipLevel, Type, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde::{Deserialize, Serialize};
use thalweg_engine::error::RecordError;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::Compression;
use super::arrays;
use crate::codecs::Encoder;
use crate::stateful::bytes::{decode_row, encode_row};
use crate::stateful::contents::types_as_json;

/// So many rows become arrays together, or so many bytes of the log.
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 4 << 20;

/// So many bytes are in memory before a row group ends.
const GROUP: usize = 32 << 20;

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(with = "types_as_json::columns")]
    columns: Vec<Field>,
    compression: String,
}

/// Why a column of this type cannot be written, if it cannot.
pub(super) fn unsupported(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Void | DataType::YearMonthInterval | DataType::DayTimeInterval => {
            Some(format!("Parquet has no type for {data_type}"))
        }
        DataType::Array(element) => unsupported(element),
        DataType::Map(pair) => unsupported(&pair.0).or_else(|| unsupported(&pair.1)),
        DataType::Struct(fields) if fields.is_empty() => {
            Some("Parquet has no STRUCT without fields".to_owned())
        }
        DataType::Struct(fields) => fields.iter().find_map(|f| unsupported(&f.data_type)),
        _ => None,
    }
}

/// What a log begins with.
pub(super) fn header(columns: &[Field], compression: Compression) -> Vec<u8> {
    let header = Header {
        columns: columns.to_vec(),
        compression: compression.name().to_owned(),
    };
    // A value of plain strings always has a JSON form.
    framed(&serde_json::to_vec(&header).unwrap_or_default())
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), bytes].concat()
}

/// Encodes a row as it stands in the log.
pub(super) struct RowsEncoder;

impl Encoder for RowsEncoder {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<(), RecordError> {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        encode_row(row, out);
        let length = u32::try_from(out.len() - start - 4)
            .map_err(|_| RecordError::write("the row takes more than 4 GB"))?;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

/// Writes a Parquet file of the first `bytes` of a log.
pub(super) fn make(log: impl Read, bytes: u64, out: impl Write + Send) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, log).take(bytes);
    let mut frame = Vec::new();
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "its rows cannot be read");
    if !next(&mut reader, &mut frame)? {
        return Err(damaged());
    }
    let header: Header = serde_json::from_slice(&frame).map_err(|_| damaged())?;
    let compression = Compression::named(&header.compression).ok_or_else(damaged)?;
    let columns = &header.columns;
    let schema = arrays::schema(columns);
    let mut properties = WriterProperties::builder()
        .set_compression(codec(compression))
        .set_created_by(format!("thalweg version {}", env!("CARGO_PKG_VERSION")));
    let leaves = ArrowSchemaConverter::new()
        .convert(&schema)
        .map_err(plain)?;
    for leaf in leaves.columns() {
        // The least and the greatest would leave NaN out, which to Spark is greater than all: it would step over rows with it.
        if matches!(leaf.physical_type(), Type::FLOAT | Type::DOUBLE) {
            let path = leaf.path().clone();
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    // Without Arrow's own description of the columns, as Spark writes it.
    let options = ArrowWriterOptions::new()
        .with_properties(properties.build())
        .with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(out, schema.clone(), options).map_err(plain)?;
    let mut rows: Vec<Row> = Vec::with_capacity(BATCH_ROWS);
    let mut taken = 0;
    loop {
        let more = next(&mut reader, &mut frame)?;
        if more {
            let types = columns.iter().map(|column| &column.data_type);
            rows.push(decode_row(&mut frame.as_slice(), types).ok_or_else(damaged)?);
            taken += frame.len();
        }
        if !rows.is_empty() && (!more || rows.len() >= BATCH_ROWS || taken >= BATCH_BYTES) {
            let batch = arrays::batch(&schema, columns, &rows).map_err(io::Error::other)?;
            writer.write(&batch).map_err(plain)?;
            rows.clear();
            taken = 0;
            if writer.in_progress_size() >= GROUP {
                writer.flush().map_err(plain)?;
            }
        }
        if !more {
            break;
        }
    }
    writer.close().map(drop).map_err(plain)
}

/// Reads the next frame; false at the end.
fn next(from: &mut impl Read, frame: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 4];
    let mut got = 0;
    while got < length.len() {
        match from.read(&mut length[got..])? {
            0 if got == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => got += more,
        }
    }
    frame.clear();
    let length = u64::from(u32::from_le_bytes(length));
    if from.take(length).read_to_end(frame)? as u64 == length {
        Ok(true)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn codec(compression: Compression) -> Codec {
    match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Gzip => Codec::GZIP(GzipLevel::default()),
        Compression::Zstd => Codec::ZSTD(ZstdLevel::default()),
    }
}

/// The disk's own error, where it is one.
fn plain(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
