//! docs/score_transactions.md as a reader follows it, from the empty folder to the job on Kafka whose model of one's own is replaced.

#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use stage::{Broker, PATIENCE, Running, models, runtime, until};

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

/// What a reader types into a shell, in that folder.
fn typed(script: &str, folder: &Path) -> Command {
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
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", path)
        .env("ORT_DYLIB_PATH", runtime());
    shell
}

/// What the shell prints when all went well.
#[track_caller]
fn printed(script: &str, folder: &Path) -> String {
    let done = typed(script, folder).output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{script}\n{out}\n{err}");
    out.into_owned()
}

/// The text with another in the place of what stands in it.
#[track_caller]
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` in\n{text}");
    text.replace(from, to)
}

#[test]
fn whoever_follows_the_tutorial_has_a_job_that_scores_with_a_model_of_ones_own() {
    let (files, kafka) = TUTORIAL.split_once("\n## On Kafka").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("fraud");
    on_files(files, &folder);
    on_kafka(kafka, &folder);
}

fn on_files(chapters: &str, folder: &Path) {
    let blocks = blocks(chapters);
    fs::create_dir(folder).unwrap();
    save(folder, &blocks);
    // What is installed there lies in a cache here.
    let lines = blocks
        .iter()
        .filter(|(language, text)| *language == "sh" && !text.contains("pip install"));
    let script: String = lines.map(|(_, text)| format!("{text}\n")).collect();
    // A fifth of the transactions is enough to learn from, and a build of the tests takes minutes for all.
    let made = "--transactions history.jsonl\n";
    let less = format!("{made}head -n {HISTORY} history.jsonl >part; mv part history.jsonl\n");
    let script = with(&script, made, &less);
    assert!(
        script.contains("train.py") && script.contains("thalweg run fraud.sql"),
        "{script}"
    );
    let out = printed(&script, folder.parent().unwrap());
    for said in [
        "version 1: precision 0.9",
        "model fraud: runs",
        "\"version\":\"1\"",
    ] {
        assert!(out.contains(said), "{said}: {out}");
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

/// In the folder of the chapters before, with the broker of the story in place of one at port 9092.
fn on_kafka(chapter: &str, folder: &Path) {
    let broker = Broker::start(&[]);
    let blocks = blocks(chapter);
    let [starting, sending, replacing] = &blocks[..] else {
        panic!("three blocks: {blocks:?}");
    };
    let repository = concat!("repository=", env!("CARGO_MANIFEST_DIR"), "/..");
    let here = |text: &str| {
        let text = with(text, "localhost:9092", broker.bootstrap());
        with(&text, "repository=..", repository)
    };
    let start = "\"$repository/loadtest/broker.sh\" start \"$PWD/broker\" 9092\n";
    let run = "\nthalweg run fraud.sql";
    let script = with(&here(starting.1), start, "");
    let script = with(
        &script,
        run,
        "\nexec thalweg run fraud.sql --http 127.0.0.1:0",
    );
    let mut command = typed(&script, folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut job = Running::start(command);
    job.until_ready();

    let address = job.address();
    let at = |text: &str| with(text, "127.0.0.1:9464", &address);
    let sent = with(&here(sending.1), "--count 100000", "--count 2000");
    let programs = Path::new(env!("CARGO_BIN_EXE_thalweg")).parent().unwrap();
    let sent = with(
        &sent,
        "$repository/target/release",
        programs.to_str().unwrap(),
    );
    let metrics = printed(&at(&sent), folder);
    assert!(metrics.contains("version=\"1\""), "{metrics}");

    let replaced = with(replacing.1, "python/bin/python3", "python3");
    let said = printed(&at(&replaced), folder);
    assert!(said.contains("version 2: precision 0.9"), "{said}");
    until("the second version scores", PATIENCE, || {
        job.get("/api/v1/models/fraud")
            .1
            .contains("\"version\":\"2\"")
    });
    job.interrupt();
    let said = job.end(PATIENCE);
    assert_eq!(said.code, 0, "{}", said.err);
    let checked = format!("topic verdicts at {}: 4 partitions", broker.bootstrap());
    assert!(said.out.contains(&checked), "{}", said.out);
}
