//! A block of docs/rust.md, as it stands there.

use thalweg::{Pipeline, table::Table};

pub(crate) fn errors() -> Pipeline {
    Pipeline::new("errors")
        .set("checkpointLocation", "./checkpoints")
        .read(Table::using("lines", "kafka")
            .option("kafka.bootstrap.servers", "localhost:9092")
            .option("subscribe", "lines")
            .option("format", "text"))
        .filter(|row| row[0].as_str().is_some_and(|line| line.contains("ERROR")))
        .write(Table::using("screen", "console"))
}
