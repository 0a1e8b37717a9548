//! Stories of static tables: formats of blocks, and files behind links that are swapped.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::*;
use crate::files::config_map::config_map;
use crate::sources::file::test_context;

/// The rows that are in force.
type InForce = Arc<Mutex<Vec<Row>>>;

struct Rows {
    rows: Vec<Row>,
    to: InForce,
}

impl Filling for Rows {
    fn add(&mut self, _: usize, row: Row) -> Result<(), RecordError> {
        self.rows.push(row);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Edition, RecordError> {
        *self.to.lock() = self.rows;
        Ok(Edition::default())
    }
}

fn table(connector: &str, path: &Path) -> Table {
    let columns = vec![
        Field::nullable("id", DataType::Int),
        Field::nullable("name", DataType::String),
    ];
    let path = path.to_str().unwrap();
    Table::using("shops", connector)
        .option("path", path)
        .option("static", "true")
        .columns(columns)
}

fn kept(table: &Table) -> (Keeper, InForce, Arc<Shelf>) {
    let (in_force, shelf) = (InForce::default(), Arc::new(Shelf::default()));
    let to = Arc::clone(&in_force);
    let begin: Begin = Arc::new(move || {
        Box::new(Rows {
            rows: Vec::new(),
            to: Arc::clone(&to),
        })
    });
    let tables: [(&Table, &[usize]); 1] = [(table, &[0, 1])];
    let keeper = keep(&tables, &test_context(), begin, Arc::clone(&shelf)).unwrap();
    (keeper, in_force, shelf)
}

/// Fails at the second row, as what a query computes of it may.
struct Failing(usize);

impl Filling for Failing {
    fn add(&mut self, _: usize, _: Row) -> Result<(), RecordError> {
        self.0 += 1;
        match self.0 {
            2 => Err(RecordError::expression("division by zero")),
            _ => Ok(()),
        }
    }

    fn finish(self: Box<Self>) -> Result<Edition, RecordError> {
        Ok(Edition::default())
    }
}

#[test]
fn a_query_that_fails_for_a_row_is_not_told_as_a_file_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shops.json");
    let table = table("json", &file);
    std::fs::write(&file, "{\"id\": 1}\n{\"id\": 0}\n").unwrap();
    let tables: [(&Table, &[usize]); 1] = [(&table, &[0, 1])];
    let begin: Begin = Arc::new(|| Box::new(Failing(0)));
    let kept = keep(&tables, &test_context(), begin, Arc::default());
    let said = kept.err().unwrap().message;
    let expected = format!(
        "what the query computes of the static table `shops` fails: {}, row 2: division by zero",
        file.display()
    );
    assert_eq!(said, expected);
}

fn names(rows: &InForce) -> Vec<String> {
    let rows = rows.lock();
    let name = |row: &Row| match &row[1] {
        Value::String(name) => name.to_string(),
        other => format!("{other:?}"),
    };
    rows.iter().map(name).collect()
}

#[track_caller]
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(all(feature = "parquet", feature = "orc"))]
#[test]
fn files_of_blocks_are_read_whole_and_again_when_they_are_replaced() {
    use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};

    let batch = |names: &[&str]| {
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..names.len() as i32));
        let names: ArrayRef = Arc::new(StringArray::from(names.to_vec()));
        RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("name", names, true)])
            .unwrap()
    };
    let write = |format: &str, folder: &Path, names: &[&str]| {
        let batch = batch(names);
        let file = std::fs::File::create(folder.join("aside")).unwrap();
        if format == "orc" {
            let writer = orc_rust::ArrowWriterBuilder::new(file, batch.schema());
            let mut writer = writer.try_build().unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        } else {
            let writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None);
            let mut writer = writer.unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        }
        std::fs::rename(folder.join("aside"), folder.join("shops")).unwrap();
    };
    for format in ["orc", "parquet"] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        write(format, at, &["Riga", "Oslo"]);
        let (keeper, rows, shelf) = kept(&table(format, &at.join("shops")));
        assert_eq!(names(&rows), ["Riga", "Oslo"]);
        write(format, at, &["Cesis"]);
        until("the new file", || names(&rows) == ["Cesis"]);
        std::fs::write(at.join("aside"), "half of something").unwrap();
        std::fs::rename(at.join("aside"), at.join("shops")).unwrap();
        until("it says what is wrong", || {
            shelf.fault().is_some_and(|why| why.contains("no whole"))
        });
        assert_eq!(names(&rows), ["Cesis"], "the rows of before stay");
        drop(keeper);
    }
}

#[test]
fn a_list_whose_header_is_missing_or_another_is_not_taken_where_it_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let put = |text: &str| {
        std::fs::write(folder.path().join("aside"), text).unwrap();
        std::fs::rename(folder.path().join("aside"), folder.path().join("shops")).unwrap();
    };
    let table = table("csv", &folder.path().join("shops")).option("header", "true");
    let strict = |mode: &str| {
        let table = table.clone().option("enforceSchema", "false");
        table.option("mode", mode)
    };
    put("id,name\n1,Riga\n");
    let (keeper, rows, shelf) = kept(&strict("FAILFAST"));
    assert_eq!(names(&rows), ["Riga"]);
    for (slip, why) in [
        ("", "has no header line"),
        ("\n\n", "has no header line"),
        ("1,Oslo\n", "is not named `id`"),
    ] {
        put(slip);
        until(why, || shelf.fault().is_some_and(|said| said.contains(why)));
        assert_eq!(names(&rows), ["Riga"], "the rows of before stay");
    }
    put("id,name\n");
    until("a list without rows is taken", || names(&rows).is_empty());
    until("it is told no more", || shelf.fault().is_none());
    drop(keeper);
    // Where nobody asked for the header an empty file is an empty list, as in Spark.
    for lenient in [
        table.clone().option("mode", "FAILFAST"),
        strict("PERMISSIVE"),
    ] {
        put("id,name\n1,Riga\n");
        let (keeper, rows, _) = kept(&lenient);
        put("");
        until("it is empty", || names(&rows).is_empty());
        drop(keeper);
    }
}

#[test]
fn a_config_map_is_read_again_when_it_is_swapped_as_a_file_and_as_a_folder() {
    for whole in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        config_map(at, 1, &[("a.csv", "1,Riga\n")]);
        let path = if whole {
            at.to_owned()
        } else {
            at.join("a.csv")
        };
        let (keeper, rows, shelf) = kept(&table("csv", &path));
        assert_eq!(names(&rows), ["Riga"]);
        // Of the same size, so that it is not that which tells.
        config_map(at, 2, &[("a.csv", "1,Oslo\n")]);
        until("the new version", || names(&rows) == ["Oslo"]);
        config_map(at, 3, &[("a.csv", "1,Oslo\n2,Cesis\n")]);
        until("the next one", || names(&rows) == ["Oslo", "Cesis"]);
        assert_eq!(shelf.fault(), None);
        drop(keeper);
    }
}
