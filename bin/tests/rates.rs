//! The shipped jobs over made-up rows, as they run: what they show goes by the clock, so the numbers must fit each other.

#![allow(clippy::unwrap_used)]

mod command;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use command::{ended, terminate, thalweg, until};
use serde_json::Value;

fn job(name: &str) -> String {
    format!("{}/jobs/{name}.sql", env!("CARGO_MANIFEST_DIR"))
}

/// The batches that a console showed: number and cells.
fn batches(out: &str) -> Vec<(u64, Vec<Vec<String>>)> {
    let rule = "-".repeat(43);
    let mut batches = Vec::new();
    for block in out.split(&format!("{rule}\nBatch: ")).skip(1) {
        let (number, rest) = block.split_once('\n').unwrap();
        let rows = rest
            .lines()
            .filter(|line| line.starts_with('|'))
            .skip(1)
            .map(|line| {
                let cells = line.trim_matches('|').split('|');
                cells.map(|cell| cell.trim().to_owned()).collect()
            });
        batches.push((number.parse().unwrap(), rows.collect()));
    }
    batches
}

/// The rows that an output in the place of a table holds so far, whole lines only.
fn rows(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn what_changed_is_shown_batch_after_batch_and_not_truncated() {
    let folder = tempfile::tempdir().unwrap();
    let screen = folder.path().join("screen");
    let child = thalweg(&[
        "run",
        &job("rate_counts"),
        "--http",
        "off",
        "--set",
        "trigger=500 ms",
    ])
    .stdout(fs::File::create(&screen).unwrap())
    .spawn()
    .unwrap();
    until("a sixth batch", || {
        fs::read_to_string(&screen).unwrap().contains("Batch: 5\n")
    });
    terminate(&child);
    let said = ended(child);
    assert_eq!(said.code, 0, "{}", said.err);
    let out = fs::read_to_string(&screen).unwrap();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (index, (number, rows)) in batches(&out).into_iter().enumerate() {
        assert_eq!(number, index as u64, "{out}");
        for row in rows {
            let count: u64 = row[1].parse().unwrap();
            let before = counts.insert(row[0].clone(), count);
            assert!(
                before < Some(count),
                "only what changed is shown: {row:?}\n{out}"
            );
            assert!(row[2].starts_with("20") && !row[2].contains("..."), "{out}");
        }
    }
    // Rows come in the order of their last digit, so no two counts are more than one apart.
    let (low, high) = (
        counts.values().min().unwrap(),
        counts.values().max().unwrap(),
    );
    assert!(counts.len() == 10 && high - low <= 1, "{counts:?}\n{out}");
}

#[test]
fn windows_are_counted_in_each_mode_and_the_modes_agree() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let output = |name: &str| format!("{name}={}", file(name).display());
    let (closed, changed, everything) = (output("closed"), output("changed"), output("everything"));
    let child = thalweg(&[
        "run",
        &job("windowed_rate"),
        "--http",
        "off",
        "--set",
        "trigger=1 second",
        "--output",
        &closed,
        "--output",
        &changed,
        "--output",
        &everything,
    ])
    .spawn()
    .unwrap();
    // The first windows close when rows of five seconds after their end have come.
    until("two windows have closed", || {
        rows(&file("closed")).len() >= 2
    });
    terminate(&child);
    let said = ended(child);
    assert_eq!(said.code, 0, "{}", said.err);
    let start = |row: &Value| row["seconds"]["start"].as_str().unwrap().to_owned();
    let closed = rows(&file("closed"));
    let (changed, everything) = (rows(&file("changed")), rows(&file("everything")));
    for window in &closed {
        let count = window["count"].as_i64().unwrap();
        assert!((1..=50).contains(&count), "{window}");
        let others = closed.iter().filter(|other| start(other) == start(window));
        assert_eq!(others.count(), 1, "a window closes once: {closed:?}");
    }
    // A changed window comes with a greater count than before.
    let mut seen: BTreeMap<String, i64> = BTreeMap::new();
    for window in &changed {
        let count = window["count"].as_i64().unwrap();
        let before = seen.insert(start(window), count);
        assert!(before < Some(count), "{changed:?}");
    }
    // A whole table is in order, and the next one begins with the first window again.
    let first = start(&everything[0]);
    for two in everything.windows(2) {
        assert!(
            start(&two[0]) < start(&two[1]) || start(&two[1]) == first,
            "{everything:?}"
        );
    }
    let last = everything.last().unwrap();
    assert!(start(last) > first, "{everything:?}");
}
