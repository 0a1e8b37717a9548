//! Files of parquet and ORC: whole, half, and none of the format.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::*;
use crate::files::format::Item;

fn columns() -> Vec<Field> {
    vec![
        Field::nullable("id", DataType::BigInt),
        Field::nullable("absent", DataType::String),
        Field::nullable("name", DataType::String),
    ]
}

/// Two thousand rows.
fn batch() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..2000));
    let names = (0..2000).map(|id| (id % 3 != 0).then(|| format!("name {id}")));
    let names: ArrayRef = Arc::new(StringArray::from_iter(names));
    RecordBatch::try_from_iter_with_nullable([("name", names, true), ("ID", ids, true)]).unwrap()
}

fn write(format: &str, folder: &Path) -> PathBuf {
    let path = folder.join(format);
    let file = File::create(&path).unwrap();
    let batch = batch();
    if format == "orc" {
        let mut writer = orc_rust::ArrowWriterBuilder::new(file, batch.schema())
            .try_build()
            .unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    } else {
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
    path
}

/// The rows of a file from a number on, or why it cannot be read.
fn read(format: &str, path: &Path, wanted: &[usize], from: u64) -> Result<Vec<Row>, String> {
    let chosen = Chosen::new(&columns(), wanted);
    let format: Box<dyn FileFormat> = match format {
        "orc" => Box::new(Orc(chosen)),
        _ => Box::new(Parquet(chosen)),
    };
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let open = OpenFile { file, path, size };
    let reason = |fault| match fault {
        FileFault::Lost(error) => error.to_string(),
        FileFault::System(failure) => failure.message,
    };
    let mut rows = format.open(open, from).map_err(reason)?;
    let mut found = Vec::new();
    while let Some(batch) = rows.next().map_err(reason)? {
        assert!(batch.items.len() <= BATCH_ROWS);
        found.extend(batch.items.into_iter().map(|item| match item {
            Item::Row(row) => row,
            _ => panic!("a bad record"),
        }));
    }
    Ok(found)
}

#[test]
fn rows_come_in_order_from_any_number_on() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["parquet", "orc"] {
        let path = write(format, folder.path());
        let rows = read(format, &path, &[0, 1, 2], 0).unwrap();
        assert_eq!(rows.len(), 2000, "{format}");
        let name = Value::from("name 1");
        assert_eq!(rows[1], [Value::BigInt(1), Value::Null, name], "{format}");
        assert_eq!(rows[3], [Value::BigInt(3), Value::Null, Value::Null]);
        let later = read(format, &path, &[0, 1, 2], 777).unwrap();
        assert_eq!(later, rows[777..], "{format}");
        let none = read(format, &path, &[1], 1999).unwrap();
        assert_eq!(none, [[Value::Null]], "{format}");
        assert_eq!(read(format, &path, &[], 0).unwrap().len(), 2000, "{format}");
    }
}

#[test]
fn half_a_file_and_no_such_file_are_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["parquet", "orc"] {
        let path = write(format, folder.path());
        let bytes = std::fs::read(&path).unwrap();
        for broken in [&bytes[..bytes.len() / 2], b"", b"no such file", &bytes[4..]] {
            std::fs::write(&path, broken).unwrap();
            let error = read(format, &path, &[0, 2], 0).unwrap_err();
            assert!(
                error.contains(&format!("no whole {format} file")),
                "{error}"
            );
        }
    }
}
