//! Folders of files for which Spark's answers are known: `tests/spark/folders.jsonl`, made by `tests/spark/formats.py`.

use std::fmt::Write;

use serde_json::Value;
use thalweg_engine::record::Body;
use thalweg_engine::schema::{Field, Schema};

use super::source::tests::{put, run, table};
use super::token::Place;
use crate::codecs::goldens::Case;
use crate::codecs::json::{self, JsonOptions};

/// What Spark answers otherwise: the beginning of a case's name, and why.
const DIFFERENT: &[(&str, &str)] = &[(
    "values beside a folder 3",
    "a folder whose key is no column is told of and makes none",
)];

/// The rows, or why a file cannot be read.
fn rows(case: &Case) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in case.0["files"].as_object().unwrap() {
        put(&folder.path().join("in"), name, text.as_str().unwrap());
    }
    let path = format!("{}/{}", folder.path().display(), case.text("path").unwrap());
    let options = case.0["options"].as_object().unwrap().iter();
    let options = options.map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    let options: Vec<_> = options.chain([("path", path.as_str())]).collect();
    let columns = case.columns();
    let wanted = case.wanted(&columns);
    let shown: Vec<Field> = wanted.iter().map(|place| columns[*place].clone()).collect();
    let mut table = table(case.text("format").unwrap(), folder.path(), &options);
    table.columns = Some(columns);
    let manner = JsonOptions {
        nulls: true,
        ..JsonOptions::default()
    };
    let mut objects = json::encoder_with(&Schema::new(shown), &manner);
    let ran = run(&table, &wanted, &Place::Begin.position(), &[]);
    let lines = ran.records.iter().map(|record| match &record.body {
        Body::Row(row) => {
            let mut line = Vec::new();
            objects.encode(row, &mut line).unwrap();
            Ok(String::from_utf8(line).unwrap())
        }
        Body::Bad(error) => Err(error.to_string()),
        Body::Skipped(skip) => Err(format!("{skip:?}")),
    });
    lines.collect()
}

#[test]
fn folders_are_read_as_spark_reads_them() {
    let cases = include_str!("../../../tests/spark/folders.jsonl").lines();
    let (mut seen, mut wrong) = (0, String::new());
    for line in cases {
        let case = Case(serde_json::from_str(line).unwrap());
        seen += 1;
        let name = case.text("name").unwrap();
        let known = DIFFERENT.iter().any(|known| name.starts_with(known.0));
        // Spark puts the columns that folders say behind the others.
        let values = |lines: &[String]| {
            let value = |line: &String| -> Value { serde_json::from_str(line).unwrap() };
            let mut values: Vec<String> =
                lines.iter().map(|line| value(line).to_string()).collect();
            values.sort();
            values
        };
        let (ours, sparks) = (rows(&case), case.strings("rows"));
        let same = match (&ours, &sparks) {
            (Ok(ours), Some(sparks)) => values(ours) == values(sparks),
            (Err(_), None) => true,
            _ => false,
        };
        if same == known {
            let _ = writeln!(wrong, "== {name} {}\n   ours  {ours:?}", case.0["files"]);
            let fails = case.text("fails").unwrap_or_default();
            let _ = writeln!(wrong, "   spark {sparks:?} {fails}");
        }
    }
    assert!(seen > 100, "only {seen} folders");
    assert!(wrong.is_empty(), "{wrong}");
}
