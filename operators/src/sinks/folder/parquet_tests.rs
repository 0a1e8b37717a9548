//! Parquet: what a reader sees, and a publication that a crash cut short.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::file::reader::{FileReader, SerializedFileReader};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};

use super::scene::Scene;
use super::table::PARQUET;

pub(super) fn read(path: &Path) -> Vec<String> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().to_string()).collect()
}

#[test]
fn rows_become_a_parquet_file_when_it_is_complete() {
    let schema = Schema::new([
        Field::nullable("day", DataType::Date),
        Field::required("n", DataType::BigInt),
        Field::nullable(
            "amount",
            DataType::Decimal {
                precision: 10,
                scale: 2,
            },
        ),
        Field::nullable("list", DataType::Array(Arc::new(DataType::Int))),
        Field::nullable(
            "map",
            DataType::Map(Arc::new((DataType::String, DataType::Double))),
        ),
        Field::nullable(
            "part",
            DataType::Struct(Arc::from([Field::nullable("x", DataType::Boolean)])),
        ),
    ]);
    let row = |n: i64| {
        vec![
            Value::Date(20_484),
            Value::BigInt(n),
            Value::Decimal((n as i128 * 100 + 5).into()),
            Value::Array(Arc::from([Value::Int(1), Value::Null])),
            Value::Map(Arc::from([(Value::from("k"), Value::Double(0.5))])),
            Value::Struct(Arc::from([Value::Boolean(true)])),
        ]
    };
    let nulls = |n: i64| {
        let mut row = vec![Value::Null; 6];
        row[1] = Value::BigInt(n);
        row
    };
    let mut scene = Scene::new(PARQUET, &[]).by(&["day"]);
    let mut run = scene.start(&schema, None);
    run.write(&row(1));
    run.write(&nulls(2));
    let committed = run.prepare(false).unwrap();
    run.write(&row(3));
    run.prepare(true).unwrap();
    run.crash();
    assert!(scene.seen().is_empty());
    let mut run = scene.start(&schema, Some(&committed));
    run.write(&row(3));
    let last = run.prepare(true).unwrap();
    run.commit(&last);
    assert!(scene.hidden().is_empty());
    let mut rows: Vec<String> = Vec::new();
    for name in scene.seen().keys() {
        assert!(name.ends_with("-c000.snappy.parquet"), "{name}");
        rows.extend(read(&scene.path().join(name)));
    }
    rows.sort();
    assert_eq!(
        rows,
        [
            "{n: 1, amount: 1.05, list: [1, null], map: {\"k\" -> 0.5}, part: {x: true}}",
            "{n: 2, amount: null, list: null, map: null, part: null}",
            "{n: 3, amount: 3.05, list: [1, null], map: {\"k\" -> 0.5}, part: {x: true}}",
        ]
    );
}

#[test]
fn the_crash_of_a_publication_at_any_of_its_steps_is_made_good() {
    let schema = Schema::new([Field::nullable("n", DataType::BigInt)]);
    // What a crash may leave of it: the half file, the whole beside the rows, the whole alone.
    for step in 0..3 {
        let mut scene = Scene::new(PARQUET, &[]);
        let mut run = scene.start(&schema, None);
        run.write(&[Value::BigInt(7)]);
        let last = run.prepare(true).unwrap();
        run.crash();
        let rows = scene.hidden().remove(0);
        let whole = PathBuf::from(rows.to_str().unwrap().strip_suffix(".rows").unwrap());
        if step == 0 {
            fs::write(whole.with_extension("parquet.half"), b"half").unwrap();
        } else {
            let length = fs::metadata(&rows).unwrap().len();
            let file = fs::File::create(&whole).unwrap();
            super::parquet::make(fs::File::open(&rows).unwrap(), length, &file).unwrap();
        }
        if step == 2 {
            fs::remove_file(&rows).unwrap();
        }
        scene.start(&schema, Some(&last));
        let seen = scene.seen();
        assert_eq!(seen.len(), 1, "{step}");
        let name = seen.keys().next().unwrap();
        assert_eq!(read(&scene.path().join(name)), ["{n: 7}"], "{step}");
        assert!(scene.hidden().is_empty());
    }
}

#[test]
fn a_reader_that_steps_over_rows_by_the_least_and_the_greatest_does_not_miss_nan() {
    let doubles = Field::nullable("x", DataType::Double);
    let schema = Schema::new([
        Field::nullable("n", DataType::BigInt),
        Field::nullable("part", DataType::Struct(Arc::from([doubles]))),
    ]);
    let mut scene = Scene::new(PARQUET, &[]);
    let mut run = scene.start(&schema, None);
    for (n, x) in [(1, 1.5), (2, f64::NAN)] {
        let part = Value::Struct(Arc::from([Value::Double(x)]));
        run.write(&[Value::BigInt(n), part]);
    }
    let last = run.prepare(true).unwrap();
    run.commit(&last);
    let seen = scene.seen();
    let path = scene.path().join(seen.keys().next().unwrap());
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let group = reader.metadata().row_group(0);
    let greatest = |column| {
        let known = group.column(column).statistics();
        known.and_then(|known| known.max_bytes_opt().map(<[u8]>::to_vec))
    };
    assert_eq!(greatest(0), Some(2_i64.to_le_bytes().to_vec()));
    assert_eq!(greatest(1), None);
}
