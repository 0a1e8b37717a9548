//! What `explain-record` has found out, as text and as JSON.

use std::fmt::Write;

use serde::Serialize;
use serde_json::value::RawValue;
use thalweg_engine::counted::counted;
use thalweg_engine::row::Row;
use thalweg_engine::schema::Field;
use thalweg_operators::codecs::json::Objects;

use crate::duration::grouped;
use crate::output_record::Written;

/// A record as one query made of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explained {
    pub(crate) query: String,
    /// Where it was read.
    pub(crate) record: String,
    pub(crate) timestamp: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    /// Whether the steps could be replayed; else what the output holds is all there is.
    pub(crate) replayed: bool,
    /// From where; None where the steps keep nothing, so that the record alone says all.
    pub(crate) from: Option<From>,
    /// Why it yields no row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) skipped: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    pub(crate) steps: Vec<Explanation>,
    /// What it writes.
    pub(crate) outputs: Vec<Box<RawValue>>,
    /// Records of the output topic that say they come from it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) output_records: Vec<Written>,
    /// What one should know of all this.
    pub(crate) notes: Vec<String>,
}

/// The checkpoint that a replay began from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct From {
    pub(crate) epoch: u64,
    pub(crate) committed_at: String,
    /// Records between it and the record.
    pub(crate) records_replayed: u64,
}

/// What a step made of it.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    /// What the step does.
    pub(crate) step: String,
    /// The rows that it put out, in order.
    pub(crate) rows: Vec<Box<RawValue>>,
}

/// Rows of these columns as JSON.
pub(crate) fn rows(fields: &[Field], rows: &[Row]) -> Vec<Box<RawValue>> {
    let objects = Objects::new(fields);
    let shown = rows.iter().filter_map(|row| {
        let mut text = Vec::new();
        objects.append(row, &mut text);
        RawValue::from_string(String::from_utf8_lossy(&text).into_owned()).ok()
    });
    shown.collect()
}

impl Explained {
    /// As people read it.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let _ = write!(out, "record {}", self.record);
        if let Some(time) = &self.timestamp {
            let _ = write!(out, " of {time}");
        }
        if let Some(key) = &self.key {
            let _ = write!(out, ", key {key}");
        }
        out.push('\n');
        if let Some(value) = &self.value {
            let _ = writeln!(out, "  {value}");
        }
        let _ = write!(out, "query {}", self.query);
        match &self.from {
            Some(from) => {
                let _ = writeln!(
                    out,
                    ", replayed from the checkpoint of epoch {} ({}), {} before this one",
                    from.epoch,
                    from.committed_at,
                    counted(grouped(from.records_replayed), "record")
                );
            }
            None if self.replayed => {
                out.push_str(", whose steps keep nothing: the record alone says all\n");
            }
            None => out.push('\n'),
        }
        for step in &self.steps {
            let _ = writeln!(out, "  {}", step.step);
            lines(&step.rows, "no row", &mut out);
        }
        if let Some(skipped) = &self.skipped {
            let _ = writeln!(out, "  no row: {skipped}");
        }
        if let Some(error) = &self.error {
            let _ = writeln!(out, "  it failed: {error}");
        }
        if self.replayed {
            out.push_str("  written\n");
            lines(&self.outputs, "nothing", &mut out);
        }
        for written in &self.output_records {
            let _ = write!(out, "the output holds {}", written.record);
            if let Some(time) = &written.timestamp {
                let _ = write!(out, " of {time}");
            }
            let _ = writeln!(
                out,
                ", key {}\n    {}",
                written.key.as_deref().unwrap_or("null"),
                written.value.as_deref().unwrap_or("null")
            );
        }
        for note in &self.notes {
            let _ = writeln!(out, "note: {note}");
        }
        out
    }
}

fn lines(rows: &[Box<RawValue>], none: &str, out: &mut String) {
    if rows.is_empty() {
        let _ = writeln!(out, "    {none}");
    }
    for row in rows {
        let _ = writeln!(out, "    {}", row.get());
    }
}
