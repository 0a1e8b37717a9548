//! `thalweg demo` as a user meets it: with the model, without the runtime, and the transactions that it writes.

#![allow(clippy::unwrap_used)]

mod command;
#[cfg(feature = "onnx")]
#[path = "stage/runtime.rs"]
#[allow(dead_code, unreachable_pub)]
mod runtime;

use std::fs;

use command::{Said, ended, run, thalweg};

#[test]
fn the_demo_shows_rows_and_ends_with_a_summary() {
    let done = run(&["demo", "--seconds", "2", "--rules"]);
    assert_eq!(done.code, 0, "{done:?}");
    let (rows, summary) = done.out.split_once(" ran for ").unwrap();
    assert!(rows.lines().count() > 3, "{done:?}");
    assert!(!summary.contains("records  0 in"), "{done:?}");
    for part in [
        "in, ",
        "out",
        "p50 ",
        "p99 ",
        "p99.9 ",
        "max ",
        "committed",
        "transactions judged",
        "precision  ",
        "recall     ",
        "card testing ",
        "impossible travel ",
        "burst of declines ",
        "new device ",
        "where the time of a transaction goes",
        "made up   project ",
        "features  over by card order by ts ",
        "features  project f ",
        "rules     project ruled ",
        "score     project score, seen ",
        "verdict   project score, verdict, reasons ",
        "encode ",
        "cut p50 ",
        "scored by rules alone: --rules was given",
    ] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    assert!(!summary.contains("epochs   0 committed"), "{summary}");
}

/// The demonstration with the runtime's library at a path.
fn demo_with(library: &str) -> Said {
    let mut command = thalweg(&["demo", "--seconds", "2"]);
    ended(command.env("ORT_DYLIB_PATH", library).spawn().unwrap())
}

#[test]
fn the_demo_scores_by_rules_where_there_is_no_runtime_and_says_how_to_add_the_model() {
    let done = demo_with("/nowhere/libonnxruntime.so");
    assert_eq!(done.code, 0, "{done:?}");
    let remedy = match cfg!(feature = "onnx") {
        true => "pip install onnxruntime",
        false => "--features onnx",
    };
    for part in [
        "scored by rules alone",
        remedy,
        "docs/score_transactions.md",
    ] {
        assert!(done.out.contains(part), "{part}: {done:?}");
    }
}

#[cfg(feature = "onnx")]
#[test]
fn the_demo_scores_with_the_shipped_model_and_finds_nearly_all_that_is_planted() {
    let done = demo_with(runtime::runtime());
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.out.contains("scored by the model fraud, version 1"),
        "{done:?}"
    );
    assert!(
        done.out.contains("looks like fraud to the model"),
        "{done:?}"
    );
    assert!(done.out.contains("score     project d "), "{done:?}");
    for what in ["precision", "recall"] {
        let line = done
            .out
            .lines()
            .find(|line| line.trim_start().starts_with(what));
        let share = line
            .and_then(|line| line.split_whitespace().nth(1))
            .unwrap();
        assert!(share.parse::<f64>().unwrap() > 90.0, "{what}: {done:?}");
    }
}

#[test]
fn the_demo_writes_transactions_to_train_a_model_with() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.jsonl");
    let path = file.to_str().unwrap();
    let done = run(&["demo", "--transactions", path, "--count", "2000"]);
    assert_eq!(done.code, 0, "{done:?}");
    let text = fs::read_to_string(&file).unwrap();
    let rows: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2_000);
    assert!(
        rows.iter()
            .all(|row| row["id"].is_string() && row["card"].is_string())
    );
    let planted = rows.iter().filter(|row| row["planted"].is_string());
    assert!((20..200).contains(&planted.count()));
}
