//! docs/score_transactions.md as a reader follows it, from the empty folder to the job with a model of one's own; without the
//! chapter that needs a broker.

#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

#[path = "stage/runtime.rs"]
#[allow(dead_code, unreachable_pub)]
mod runtime;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use runtime::models;

/// So many transactions are learned from and scored.
const HISTORY: usize = 40_000;

const TUTORIAL: &str = include_str!("../../docs/score_transactions.md");

/// The fenced blocks: language and text.
fn blocks(document: &str) -> Vec<(&str, &str)> {
    let mut parts = document.split("\n```");
    let mut found = Vec::new();
    parts.next();
    while let (Some(block), _) = (parts.next(), parts.next()) {
        let (language, text) = block.split_once('\n').unwrap();
        found.push((language, text));
    }
    found
}

/// The transaction of a line.
fn id(line: &str) -> &str {
    let (_, from) = line.split_once("\"id\":\"").unwrap();
    from.split('"').next().unwrap()
}

/// What a reader saves: the jobs under the names in their first lines, and the one script.
fn save(folder: &Path, blocks: &[(&str, &str)]) {
    for (language, text) in blocks {
        let name = match *language {
            "sql" => {
                let first = text.lines().next().unwrap();
                first
                    .strip_prefix("-- ")
                    .unwrap()
                    .split(':')
                    .next()
                    .unwrap()
            }
            "python" => "train.py",
            _ => continue,
        };
        fs::write(folder.join(name), format!("{text}\n")).unwrap();
    }
}

#[test]
fn whoever_follows_the_tutorial_has_a_job_that_scores_with_a_model_of_ones_own() {
    let (chapters, _) = TUTORIAL.split_once("\n## On Kafka").unwrap();
    let blocks = blocks(chapters);
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("fraud");
    fs::create_dir(&folder).unwrap();
    save(&folder, &blocks);
    // What is installed there lies in a cache here.
    let lines = blocks
        .iter()
        .filter(|(language, text)| *language == "sh" && !text.contains("pip install"));
    let script: String = lines.map(|(_, text)| format!("{text}\n")).collect();
    // A fifth of the transactions is enough to learn from, and a build of the tests takes minutes for all.
    let made = "--transactions history.jsonl\n";
    let less = format!("{made}head -n {HISTORY} history.jsonl >part; mv part history.jsonl\n");
    assert!(script.contains(made), "{script}");
    let script = script.replacen(made, &less, 1);
    assert!(
        script.contains("train.py") && script.contains("thalweg run fraud.sql"),
        "{script}"
    );
    let python = Command::new(models().join("make"))
        .arg("python")
        .output()
        .unwrap();
    let python = String::from_utf8(python.stdout).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_thalweg")).parent().unwrap();
    let path = format!(
        "{}:{}:{}",
        program.display(),
        python.trim(),
        std::env::var("PATH").unwrap()
    );
    let done = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(dir.path())
        .env("PATH", path)
        .env("ORT_DYLIB_PATH", runtime::runtime())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{out}\n{err}");
    for said in [
        "version 1: precision 0.9",
        "model fraud: runs",
        "\"version\":\"1\"",
    ] {
        assert!(out.contains(said), "{said}: {out}\n{err}");
    }
    let lines = |name: &str| {
        fs::read_to_string(folder.join(name))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!(
        (lines("history.jsonl"), lines("scored.jsonl")),
        (HISTORY, HISTORY)
    );
    // A machine that is busy with other tests may give the model no time: then the rules answer, and say so.
    let scored = fs::read_to_string(folder.join("scored.jsonl")).unwrap();
    let by_model: HashMap<&str, bool> = scored
        .lines()
        .filter(|line| !line.contains("\"fallback\":"))
        .map(|line| (id(line), line.contains("\"verdict\":\"decline\"")))
        .collect();
    assert!(by_model.len() > 1000, "{} by the model", by_model.len());
    let history = fs::read_to_string(folder.join("history.jsonl")).unwrap();
    let planted = history
        .lines()
        .filter(|line| line.contains("\"planted\":") && by_model.contains_key(id(line)))
        .count();
    let declined = by_model.values().filter(|declined| **declined).count();
    let (most, least) = (planted + planted / 10, planted - planted / 10);
    assert!(
        (least..=most).contains(&declined),
        "of {} transactions that the model answered {declined} declined, {planted} planted",
        by_model.len()
    );
}
