//! A sink of your own after USING: a list in Markdown, one line for each row.
//!
//!     cargo run --example own_sink

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use thalweg::connectors::{Connector, Output};
use thalweg::error::{Failure, RecordError};
use thalweg::push::{Push, PushSink};
use thalweg::row::{Row, Value};
use thalweg::table::{OptionKind, OptionSpec};
use thalweg::{Error, Job};

/// The manual of its options: a misspelt one is refused with the name that was meant.
const OPTIONS: &[OptionSpec] = &[OptionSpec {
    name: "path",
    kind: OptionKind::Text,
    default: "list.md",
    example: "sent.md",
    about: "The file.",
}];

/// A connector is a table of plain functions.
pub(crate) const MARKDOWN: Connector = Connector {
    name: "markdown",
    about: "A list in Markdown.",
    input: None,
    output: Some(Output::new(OPTIONS, |table, _, _| {
        let path = table.options.get("path").unwrap_or("list.md").to_owned();
        // One for each lane, on its thread.
        Ok(Arc::new(PushSink::new(move |_| {
            let file = OpenOptions::new().create(true).append(true).open(&path);
            file.map(List).map_err(failed)
        })))
    })),
};

struct List(File);

fn failed(error: std::io::Error) -> Failure {
    Failure::restart(format!("the list cannot be written: {error}"))
}

impl Push for List {
    fn check(&mut self, row: &[Value]) -> Result<(), RecordError> {
        let text = row[0].as_str().map(drop);
        text.ok_or_else(|| RecordError::write("a line of a list is a text"))
    }

    /// The rows of one record that has succeeded.
    fn push(&mut self, rows: &[Row]) -> Result<(), Failure> {
        let texts = rows.iter().filter_map(|row| row[0].as_str());
        let lines: String = texts.map(|text| format!("- {text}\n")).collect();
        self.0.write_all(lines.as_bytes()).map_err(failed)
    }

    /// A checkpoint waits for this. After a crash, what was pushed later is pushed again.
    fn sync(&mut self) -> Result<(), Failure> {
        self.0.sync_data().map_err(failed)
    }
}

pub(crate) fn main() -> Result<(), Error> {
    let folder = std::env::temp_dir().join("thalweg-own-sink");
    let job = Job::parse(format!(
        "SET checkpointLocation = '{0}';
         CREATE TABLE numbers USING rate OPTIONS (rowsPerSecond '100');
         CREATE TABLE list USING markdown OPTIONS (path '{0}/list.md');
         INSERT INTO list SELECT 'number ' || value FROM numbers;",
        folder.display()
    ))?;
    // The next run goes on with the number after the last one of this.
    let job = job.connector(MARKDOWN).at_most(Duration::from_secs(2));
    job.run().map(drop)
}
