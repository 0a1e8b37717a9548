//! Files of parquet and ORC: whole, half, and none of the format.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray};
use prost::Message;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::*;
use crate::files::content::Content;
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
    write_batch(format, folder, &batch())
}

fn write_batch(format: &str, folder: &Path, batch: &RecordBatch) -> PathBuf {
    let path = folder.join(format);
    let file = File::create(&path).unwrap();
    if format == "orc" {
        let mut writer = orc_rust::ArrowWriterBuilder::new(file, batch.schema())
            .try_build()
            .unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    } else {
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    }
    path
}

/// The rows of a file from a number on, or why it cannot be read.
fn read(format: &str, path: &Path, wanted: &[usize], from: u64) -> Result<Vec<Row>, String> {
    read_as(columns(), format, path, wanted, from)
}

fn read_as(
    columns: Vec<Field>,
    format: &str,
    path: &Path,
    wanted: &[usize],
    from: u64,
) -> Result<Vec<Row>, String> {
    let chosen = Chosen::new(&columns, wanted);
    let format: Box<dyn FileFormat> = if format.ends_with("orc") {
        Box::new(Orc(chosen))
    } else {
        Box::new(Parquet(chosen))
    };
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let content = Content::File(file);
    let open = OpenFile {
        content,
        path,
        size,
    };
    let reason = |fault| match fault {
        FileFault::Lost(error) => error.to_string(),
        FileFault::System(failure) => failure.message,
    };
    let mut rows = format.open(open, from).map_err(reason)?;
    let mut found = Vec::new();
    while let Some(mut batch) = rows.next().map_err(reason)? {
        assert!(batch.items.len() <= BATCH_ROWS);
        found.extend(batch.take_rows().map(|item| match item {
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
        for broken in [&bytes[..bytes.len() / 2], b"no such file", &bytes[4..]] {
            std::fs::write(&path, broken).unwrap();
            let error = read(format, &path, &[0, 2], 0).unwrap_err();
            assert!(
                error.contains(&format!("no whole {format} file")),
                "{error}"
            );
        }
    }
}

#[test]
fn a_file_without_a_byte_has_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["parquet", "orc"] {
        let path = folder.path().join(format);
        File::create(&path).unwrap();
        let rows = read(format, &path, &[0, 2], 0).unwrap();
        assert!(rows.is_empty(), "{format}: Spark passes over it too");
    }
}

#[test]
fn a_file_that_makes_its_reader_panic_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orc");
    let writer = orc_rust::ArrowWriterBuilder::new(File::create(&path).unwrap(), batch().schema())
        .with_compression(orc_rust::compression::CompressionType::Zlib);
    let mut writer = writer.try_build().unwrap();
    writer.write(&batch()).unwrap();
    writer.close().unwrap();
    let whole = std::fs::read(&path).unwrap();
    // The bytes of columns, the tail with the metadata, the last byte.
    for damaged in [
        10..200,
        whole.len() - 80..whole.len() - 40,
        whole.len() - 1..whole.len(),
    ] {
        let mut bytes = whole.clone();
        bytes[damaged.clone()].fill(0xff);
        std::fs::write(&path, bytes).unwrap();
        let error = read("orc", &path, &[0, 2], 0).unwrap_err();
        assert!(error.contains("no whole orc file"), "{damaged:?}: {error}");
    }
}

#[test]
fn a_column_that_is_packed_in_an_unknown_way_is_said_to_be() {
    use parquet::basic::{BrotliLevel, Compression};
    use parquet::file::metadata::{
        ParquetMetaDataBuilder, ParquetMetaDataReader, ParquetMetaDataWriter,
    };

    let folder = tempfile::tempdir().unwrap();
    let path = write("parquet", folder.path());
    let known = ParquetMetaDataReader::new()
        .parse_and_finish(&File::open(&path).unwrap())
        .unwrap();
    let group = known.row_group(0);
    let mut columns = group.columns().to_vec();
    let packed = columns[0].clone().into_builder();
    let brotli = Compression::BROTLI(BrotliLevel::default());
    columns[0] = packed.set_compression(brotli).build().unwrap();
    let group = group.clone().into_builder().set_column_metadata(columns);
    let changed = ParquetMetaDataBuilder::new(known.file_metadata().clone())
        .add_row_group(group.build().unwrap())
        .build();
    let mut bytes = std::fs::read(&path).unwrap();
    ParquetMetaDataWriter::new(&mut bytes, &changed)
        .finish()
        .unwrap();
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(
        read("parquet", &path, &[0, 2], 0).unwrap_err(),
        "column `name` of the file is packed with Brotli, which is not unpacked here: pack it with snappy, gzip, zstd or lz4"
    );
    // A column that nobody reads does not matter.
    assert_eq!(
        read("parquet", &path, &[0], 1999).unwrap(),
        [[Value::BigInt(1999)]]
    );
}

#[test]
fn what_is_finer_than_a_microsecond_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let nanos = [Some(1_577_840_523_456_789_123), None, Some(-62_000_000_001)];
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(nanos.to_vec()));
    let batch = RecordBatch::try_from_iter_with_nullable([("at", times, true)]).unwrap();
    for format in ["parquet", "orc"] {
        let path = write_batch(format, folder.path(), &batch);
        let columns = vec![Field::nullable("at", DataType::TimestampNtz)];
        assert_eq!(
            read_as(columns, format, &path, &[0], 0).unwrap(),
            [
                [Value::TimestampNtz(1_577_840_523_456_789)],
                [Value::Null],
                [Value::TimestampNtz(-62_000_001)],
            ],
            "{format}"
        );
    }
}

/// Java's zones of fixed offsets have no names in the database of zones. As all times without zone the clock's is taken for UTC.
#[test]
fn a_file_of_a_zone_without_a_name_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/spark/blocks/zone.orc");
    let columns = vec![
        Field::nullable("id", DataType::Int),
        Field::nullable("at", DataType::Timestamp),
    ];
    assert_eq!(
        read_as(columns, "orc", &path, &[0, 1], 0).unwrap(),
        [[Value::Int(1), Value::Timestamp(1_709_208_672_500_000)]]
    );
}

/// What `tests/spark/formats.py` declares, for parquet wider than the files are.
fn spark_columns(wide: bool) -> Vec<Field> {
    use DataType as T;
    let decimal = |precision, scale| T::Decimal { precision, scale };
    let pick = |wider: T, own: T| if wide { wider } else { own };
    let z = [Field::nullable("z", T::Timestamp)];
    let parts = [
        Field::nullable("x", T::Int),
        Field::nullable("y", T::Array(T::Struct(z.into()).into())),
    ];
    let mut columns = vec![
        ("id", pick(T::BigInt, T::Int)),
        ("name", T::String),
        ("small", pick(decimal(12, 4), decimal(9, 2))),
        ("big", pick(decimal(38, 10), decimal(30, 10))),
        ("day", T::Date),
        ("at", T::Timestamp),
        ("local", T::TimestampNtz),
        ("tiny", pick(T::Int, T::TinyInt)),
        ("f", pick(T::Double, T::Float)),
        ("flag", T::Boolean),
        ("list", T::Array(pick(T::BigInt, T::Int).into())),
        ("pairs", T::Map((T::String, T::BigInt).into())),
        ("parts", T::Struct(parts.into())),
        ("bytes", T::Binary),
    ];
    if wide {
        columns.push(("absent", T::String));
    }
    let field = |(name, data_type)| Field::nullable(name, data_type);
    columns.into_iter().map(field).collect()
}

#[test]
fn files_of_spark_are_read_as_spark_reads_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/spark/blocks");
    for name in [
        "int96.parquet",
        "micros.parquet",
        "millis.parquet",
        "times.orc",
    ] {
        let path = folder.join(name);
        let columns = spark_columns(name.ends_with("parquet"));
        let wanted: Vec<usize> = (0..columns.len()).collect();
        let options = crate::codecs::json::JsonOptions {
            nulls: true,
            ..Default::default()
        };
        let schema = thalweg_engine::schema::Schema::new(columns.clone());
        let mut encoder = crate::codecs::json::encoder_with(&schema, &options);
        let rows = read_as(columns, name, &path, &wanted, 0).unwrap();
        let lines: Vec<String> = rows
            .iter()
            .map(|row| {
                let mut line = Vec::new();
                encoder.encode(row, &mut line).unwrap();
                String::from_utf8(line).unwrap()
            })
            .collect();
        let expected = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap();
        // Small decimals are written otherwise: see docs/formats.md.
        let expected = expected.replace("-1E-10", "-0.0000000001");
        assert_eq!(lines, expected.lines().collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn a_text_that_is_no_utf8_costs_no_other_row() {
    for kind in ["UTF8", "STRING", "JSON", "ENUM"] {
        a_text_of_this_kind_costs_no_other_row(kind);
    }
}

fn a_text_of_this_kind_costs_no_other_row(kind: &str) {
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("parquet");
    let schema = format!(
        "message m {{ required binary name ({kind}); optional group tags (LIST) {{ repeated group list {{ optional binary element ({kind}); }} }} }}"
    );
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let mut writer =
        SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let texts: [&[u8]; 3] = [b"one", b"tw\xff", "dr\u{e9}i".as_bytes()];
    let texts = texts.map(|text| ByteArray::from(text.to_vec()));
    let levels: [Option<&[i16]>; 2] = [None, Some(&[3, 3, 3])];
    for levels in levels {
        let mut column = group.next_column().unwrap().unwrap();
        let repeated = levels.map(|_| [0_i16, 0, 0].as_slice());
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&texts, levels, repeated).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();

    let read = |name, element| {
        let columns = vec![
            Field::nullable("name", name),
            Field::nullable("tags", DataType::Array(Arc::new(element))),
        ];
        read_as(columns, "parquet", &path, &[0, 1], 0).unwrap()
    };
    let rows = read(DataType::String, DataType::String);
    let expected = ["one", "tw\u{fffd}", "dr\u{e9}i"].map(|text| {
        let text = Value::from(text);
        vec![text.clone(), Value::Array(vec![text].into())]
    });
    assert_eq!(rows, expected);
    let rows = read(DataType::Binary, DataType::String);
    assert_eq!(rows[1][0], Value::Binary(b"tw\xff".as_slice().into()));
    assert_eq!(
        rows[2],
        [
            Value::Binary("dr\u{e9}i".as_bytes().into()),
            expected[2][1].clone()
        ]
    );
}

#[test]
fn columns_of_hive_are_found_by_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..2));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let batch =
        RecordBatch::try_from_iter_with_nullable([("_col0", names, true), ("_col1", ids, true)])
            .unwrap();
    let path = write_batch("orc", folder.path(), &batch);
    let columns = || {
        vec![
            Field::nullable("name", DataType::String),
            Field::nullable("id", DataType::BigInt),
            Field::nullable("absent", DataType::String),
        ]
    };
    let rows = read_as(columns(), "orc", &path, &[0, 1, 2], 0).unwrap();
    assert_eq!(rows[1], [Value::from("b"), Value::BigInt(1), Value::Null]);
    let rows = read_as(columns(), "orc", &path, &[1], 0).unwrap();
    assert_eq!(rows, [[Value::BigInt(0)], [Value::BigInt(1)]]);
}

/// Overwrites bytes in the footer of an ORC file: `found` becomes `other`, which is as long.
fn patch(path: &Path, found: &[u8], other: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    let mut windows = bytes.windows(found.len());
    let at = windows.rposition(|window| window == found).unwrap();
    bytes[at..at + other.len()].copy_from_slice(other);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn an_orc_file_whose_types_go_in_a_circle_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = write("orc", folder.path());
    // A struct (12) of the types 1 and 2; then of itself.
    patch(&path, &[8, 12, 18, 2, 1, 2], &[8, 12, 18, 2, 1, 0]);
    let error = read("orc", &path, &[0], 0).unwrap_err();
    assert!(error.contains("its types are no tree"), "{error}");
}

#[test]
fn a_text_of_a_length_comes_without_the_blanks_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let names: ArrayRef = Arc::new(StringArray::from(vec!["ab   ", "  c  "]));
    let batch = RecordBatch::try_from_iter_with_nullable([("name", names, true)]).unwrap();
    let path = write_batch("orc", folder.path(), &batch);
    let columns = || vec![Field::nullable("name", DataType::String)];
    let rows = read_as(columns(), "orc", &path, &[0], 0).unwrap();
    assert_eq!(rows, [[Value::from("ab   ")], [Value::from("  c  ")]]);
    // The name of the last field, then a type: STRING (7) becomes CHAR (17).
    patch(&path, b"name\x22\x02\x08\x07", b"name\x22\x02\x08\x11");
    let rows = read_as(columns(), "orc", &path, &[0], 0).unwrap();
    assert_eq!(rows, [[Value::from("ab")], [Value::from("  c")]]);
}

#[test]
fn a_footer_of_an_orc_file_that_is_longer_than_all_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = write("orc", folder.path());
    let bytes = std::fs::read(&path).unwrap();
    let tail = usize::from(*bytes.last().unwrap());
    let postscript = &bytes[bytes.len() - 1 - tail..bytes.len() - 1];
    let mut changed = orc_rust::proto::PostScript::decode(postscript).unwrap();
    changed.footer_length = Some(1 << 45);
    let changed = changed.encode_to_vec();
    let length = u8::try_from(changed.len()).unwrap();
    let whole = &bytes[..bytes.len() - 1 - tail];
    std::fs::write(&path, [whole, &changed, &[length]].concat()).unwrap();
    let error = read("orc", &path, &[0], 0).unwrap_err();
    assert!(error.contains("beyond the end of the file"), "{error}");
}
