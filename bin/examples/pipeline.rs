//! A query without SQL: the words of some lines that are longer than three letters.
//!
//!     cargo run --example pipeline

use thalweg::error::RecordError;
use thalweg::memory::{MemoryLog, MemorySink};
use thalweg::row::Value;
use thalweg::schema::{DataType, Field, Schema};
use thalweg::{Error, Job, Pipeline};

/// Rows are values in the order of their columns. The steps are called in this order for each row; what a step gives has
/// the columns that it says.
fn words(lines: &MemoryLog, words: &MemorySink) -> Pipeline {
    let word = Field::required("word", DataType::String);
    Pipeline::new("words")
        // The settings are those of SET in SQL. With a checkpointLocation a new run goes on where the last one ended, as
        // does the query after a failure; without one, and with an output in memory, the folder is a temporary one.
        .set("trigger", "available now")
        .set("onError", "skip")
        // Any connector may stand here: .read(Table::using("lines", "kafka").option("subscribe", "lines")...)
        .read_memory(lines)
        .flat_map([word.clone()], |row, out| {
            let Value::String(line) = &row[0] else {
                // The record is left out and counted, as onError says.
                return Err(RecordError::expression("the line is NULL"));
            };
            for word in line.split_whitespace() {
                out.push(&[Value::from(word)])?;
            }
            Ok(())
        })
        .filter(|row| matches!(&row[0], Value::String(word) if word.len() > 3))
        .map([word, Field::required("length", DataType::Int)], |row| {
            let Value::String(word) = &row[0] else {
                return Err(RecordError::expression("no word"));
            };
            let length = i32::try_from(word.len()).unwrap_or(i32::MAX);
            Ok(vec![row[0].clone(), Value::Int(length)])
        })
        .write_memory(words)
}

pub(crate) fn main() -> Result<(), Error> {
    let columns = Schema::new([Field::nullable("line", DataType::String)]);
    // Two partitions: two lanes, each a thread of thought of its own.
    let lines = MemoryLog::new("lines", columns, 2);
    lines.append(
        0,
        Ok(vec![Value::from(
            "a row goes through by plain function calls",
        )]),
    );
    lines.append(
        1,
        Ok(vec![Value::from("nothing is in flight between two rows")]),
    );
    lines.append(1, Ok(vec![Value::Null]));
    let long = MemorySink::default();
    let ended = Job::named("example").pipeline(words(&lines, &long)).run()?;
    for row in long.rows() {
        println!("{row:?}");
    }
    let query = &ended.queries[0];
    assert_eq!((query.records_in, query.left_out), (3, 1));
    assert_eq!(long.rows().len(), 9);
    Ok(())
}
