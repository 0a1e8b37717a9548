//! What the demonstration has found: of each pattern that was planted, how many transactions, and how many of them were not
//! approved.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::push::{Push, PushSink};
use thalweg_engine::row::{Row, Value};
use thalweg_operators::connectors::{Connector, Output};

use crate::duration::grouped;

/// The output that keeps the score, of rows of `planted` and `verdict`.
pub(crate) const SCOREBOARD: Connector = Connector {
    name: "scoreboard",
    about: "Counts what was planted and what was found.",
    input: None,
    output: Some(Output::new(&[], |_, _, _| {
        Ok(Arc::new(PushSink::new(|_| Ok(Marker))))
    })),
};

/// What is planted, in the order of the columns of [`COUNTS`]; what nobody planted stands last.
const PLANTED: [&str; 4] = [
    "card testing",
    "impossible travel",
    "burst of declines",
    "new device",
];

/// Of each pattern, then of the honest ones: how many were approved, how many not. A connector is a table of plain
/// functions, and there is one demonstration in a process.
static COUNTS: [[AtomicU64; 2]; 5] = [const { [const { AtomicU64::new(0) }; 2] }; 5];

struct Marker;

impl Push for Marker {
    fn check(&mut self, _row: &[Value]) -> Result<(), RecordError> {
        Ok(())
    }

    fn push(&mut self, rows: &[Row]) -> Result<(), Failure> {
        for row in rows {
            let [planted, verdict] = row.as_slice() else {
                continue;
            };
            let place = match planted.as_str() {
                None => PLANTED.len(),
                Some(pattern) => PLANTED
                    .iter()
                    .position(|known| *known == pattern)
                    .unwrap_or(PLANTED.len()),
            };
            let found = verdict.as_str() != Some("approve");
            COUNTS[place][usize::from(found)].fetch_add(1, Relaxed);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// How many were judged, with precision and recall in all and recall by pattern. Empty when nothing was judged.
pub(crate) fn summary() -> String {
    let counts = COUNTS
        .each_ref()
        .map(|pair| pair.each_ref().map(|count| count.load(Relaxed)));
    said(counts)
}

fn said(counts: [[u64; 2]; 5]) -> String {
    let [planted @ .., [approved, alarms]] = counts;
    let found: u64 = planted.iter().map(|[_, found]| found).sum();
    let missed: u64 = planted.iter().map(|[missed, _]| missed).sum();
    let judged = found + missed + approved + alarms;
    if judged == 0 {
        return String::new();
    }
    let mut said = format!(
        "\n{} transactions judged, {} of them planted fraud\n  \
         precision  {}: {} of {} that were not approved\n  \
         recall     {}: {} of {} that were planted",
        grouped(judged),
        grouped(found + missed),
        share(found, found + alarms),
        grouped(found),
        grouped(found + alarms),
        share(found, found + missed),
        grouped(found),
        grouped(found + missed),
    );
    for (pattern, [missed, found]) in PLANTED.iter().zip(planted) {
        let all = found + missed;
        let _ = write!(
            said,
            "\n             {pattern:18} {} of {}",
            grouped(found),
            grouped(all)
        );
    }
    said
}

#[allow(clippy::cast_precision_loss)]
fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "unknown".to_owned();
    }
    format!("{:.1} %", 100.0 * part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_is_of_the_alarms_and_recall_of_what_was_planted() {
        let said = said([[1, 3], [0, 0], [2, 4], [0, 0], [1_000, 1]]);
        assert!(said.contains("1,011 transactions judged, 10 of them planted"));
        assert!(said.contains("precision  87.5 %: 7 of 8"), "{said}");
        assert!(said.contains("recall     70.0 %: 7 of 10"), "{said}");
        assert!(said.contains("burst of declines  4 of 6"), "{said}");
        assert_eq!(self::said([[0; 2]; 5]), "");
    }

    #[test]
    fn an_alarm_is_what_was_not_approved() {
        let row = |planted: Option<&str>, verdict: &str| {
            vec![
                planted.map_or(Value::Null, Value::from),
                Value::from(verdict),
            ]
        };
        let rows = [
            row(Some("new device"), "review"),
            row(Some("new device"), "approve"),
            row(None, "decline"),
            row(None, "approve"),
        ];
        Marker.push(&rows).unwrap();
        let said = summary();
        assert!(said.contains("new device         1 of 2"), "{said}");
        assert!(said.contains("precision  50.0 %"), "{said}");
    }
}
