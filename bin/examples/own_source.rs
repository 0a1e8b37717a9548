//! A source of your own after USING: readings of sensors, a partition for each.
//!
//!     cargo run --example own_source

use std::sync::Arc;
use std::time::Duration;

use thalweg::connectors::{Connector, Input};
use thalweg::memory::MemorySink;
use thalweg::pull::{PullSource, Pulled};
use thalweg::record::Position;
use thalweg::row::Value;
use thalweg::schema::{DataType, Field, Schema};
use thalweg::table::{OptionKind, OptionSpec, Table};
use thalweg::{Error, Job};

const JOB: &str = "
CREATE TABLE readings USING sensors OPTIONS (count '3');
CREATE TABLE out USING noop;
INSERT INTO out SELECT sensor, value FROM readings WHERE value % 2 = 0;
";

/// The manual of its options: a misspelt one is refused with the name that was meant.
const OPTIONS: &[OptionSpec] = &[OptionSpec {
    name: "count",
    kind: OptionKind::Whole(1, 1000),
    default: "1",
    example: "3",
    about: "How many sensors there are.",
}];

/// A connector is a table of plain functions.
pub(crate) const SENSORS: Connector = Connector {
    name: "sensors",
    about: "Readings of sensors.",
    input: Some(Input {
        options: OPTIONS,
        columns: |_| Ok(columns()),
        metadata: |_| Vec::new(),
        open: |table, wanted, _| Ok(Arc::new(sensors(table).with_columns(wanted))),
        // Positions in a checkpoint would mean something else if this option changed.
        identity: &["count"],
        reads_back: true,
        shared: false,
        behind: Position::next_number,
    }),
    output: None,
};

fn columns() -> Schema {
    Schema::new(["sensor", "value"].map(|name| Field::required(name, DataType::BigInt)))
}

/// Each partition is read by asking what stands at a position, and where to go on behind it: that goes into the checkpoint.
/// The closure must not block: where nothing is there yet it says `Pulled::Wait`.
fn sensors(table: &Table) -> PullSource {
    let count = table.options.whole("count").unwrap_or(1);
    let names = (0..count).map(|sensor| sensor.to_string());
    PullSource::new(columns(), names, Position::Number(0), |name: &str| {
        let sensor: i64 = name.parse().unwrap_or_default();
        move |at: &Position| match *at {
            Position::Number(100) => Ok(Pulled::End),
            Position::Number(number) => Ok(Pulled::Row {
                row: Ok([sensor, number].map(Value::BigInt).to_vec()),
                next: Position::Number(number + 1),
                time: None,
            }),
            _ => Ok(Pulled::Wait(Duration::from_secs(1))),
        }
    })
}

pub(crate) fn main() -> Result<(), Error> {
    let out = MemorySink::default();
    let job = Job::parse(JOB)?.connector(SENSORS).output("out", &out);
    let read = job.run()?.queries[0].records_in;
    println!("{read} records read, {} rows written", out.rows().len());
    Ok(())
}
