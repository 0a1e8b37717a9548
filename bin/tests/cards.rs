//! Answers over the rows of a card, from JSON lines to JSON lines: no broker.

#![allow(clippy::unwrap_used)]

mod command;

use std::fs;

use command::{ended, thalweg};

/// The job of running totals as it ships; its tables are Kafka's.
const TOTALS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/card_totals.sql");

#[test]
fn each_transaction_is_answered_with_the_running_count_and_sum_of_its_card() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("in.jsonl"),
        "{\"id\":\"a\",\"card\":\"C-1\",\"amount\":10}\n\
         {\"id\":\"b\",\"card\":\"C-2\",\"amount\":5.5}\n\
         {\"id\":\"c\",\"card\":\"C-1\",\"amount\":0.25}\n\
         {\"id\":\"d\",\"card\":\"C-1\"}\n",
    )
    .unwrap();
    let mut command = thalweg(&[
        "run",
        TOTALS,
        "--input",
        "transactions=in.jsonl",
        "--output",
        "totals=-",
        "--http",
        "off",
    ]);
    let done = ended(command.current_dir(folder.path()).spawn().unwrap());
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        done.out,
        "{\"id\":\"a\",\"card\":\"C-1\",\"amount\":10.0,\"transactions\":1,\"total\":10.0}\n\
         {\"id\":\"b\",\"card\":\"C-2\",\"amount\":5.5,\"transactions\":1,\"total\":5.5}\n\
         {\"id\":\"c\",\"card\":\"C-1\",\"amount\":0.25,\"transactions\":2,\"total\":10.25}\n\
         {\"id\":\"d\",\"card\":\"C-1\",\"transactions\":3,\"total\":10.25}\n"
    );
}

/// Frames in time and in rows, named and not, inside expressions; the third row comes late.
const FEATURES: &str = "\
CREATE TABLE events (id STRING, card STRING, amount DOUBLE, place STRING, ms BIGINT)
  USING file OPTIONS (path 'in.jsonl')
  WATERMARK timestamp_millis(ms) AS ts DELAY OF INTERVAL 1 HOUR;
CREATE TABLE features USING file OPTIONS (path 'out.jsonl');
INSERT INTO features
SELECT id, count(*) OVER minute AS n, round(amount / avg(amount) OVER minute, 3) AS ratio,
  count(DISTINCT place) OVER minute AS places,
  ms - lag(ms, 1, 0) OVER (PARTITION BY card ORDER BY ts) AS since,
  sum(amount) OVER (PARTITION BY card ORDER BY ts ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING) AS two_before,
  row_number() OVER (PARTITION BY card ORDER BY ts) AS nth
FROM events
WINDOW minute AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 1 MINUTE PRECEDING AND CURRENT ROW);
";

#[test]
fn a_late_row_is_answered_from_the_rows_before_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("job.sql"), FEATURES).unwrap();
    let line = |id: &str, amount: f64, place: &str, ms: i64| {
        format!(
            "{{\"id\":\"{id}\",\"card\":\"C\",\"amount\":{amount},\"place\":\"{place}\",\"ms\":{ms}}}\n"
        )
    };
    let lines = [
        line("a", 10.0, "x", 100_000),
        line("b", 30.0, "y", 150_000),
        line("late", 20.0, "x", 120_000),
        line("c", 40.0, "z", 170_000),
    ];
    fs::write(folder.path().join("in.jsonl"), lines.concat()).unwrap();
    let arguments = [
        "run",
        "job.sql",
        "--input",
        "events=in.jsonl",
        "--output",
        "features=-",
        "--http",
        "off",
    ];
    let mut command = thalweg(&arguments);
    let done = ended(command.current_dir(folder.path()).spawn().unwrap());
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        done.out,
        "{\"id\":\"a\",\"n\":1,\"ratio\":1.0,\"places\":1,\"since\":100000,\"nth\":1}\n\
         {\"id\":\"b\",\"n\":2,\"ratio\":1.5,\"places\":2,\"since\":50000,\"two_before\":10.0,\"nth\":2}\n\
         {\"id\":\"late\",\"n\":2,\"ratio\":1.333,\"places\":1,\"since\":20000,\"two_before\":10.0,\"nth\":3}\n\
         {\"id\":\"c\",\"n\":3,\"ratio\":1.333,\"places\":3,\"since\":20000,\"two_before\":50.0,\"nth\":4}\n"
    );
}

/// A block of a document, by its number among those of its language.
fn block(text: &str, language: &str, number: usize) -> String {
    let begin = format!("```{language}\n");
    let mut blocks = text.split(&begin).skip(1);
    let block = blocks.nth(number).unwrap();
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn the_example_of_the_document_says_what_comes_out() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/over.md");
    let text = fs::read_to_string(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("features.sql"), block(&text, "sql", 0)).unwrap();
    let shell = block(&text, "sh", 0);
    let lines = shell.split("<<END\n").nth(1).unwrap();
    let (lines, command) = lines.split_once("END\n").unwrap();
    fs::write(folder.path().join("in.jsonl"), lines).unwrap();
    let mut words: Vec<&str> = command.split_whitespace().skip(1).collect();
    words.extend(["--http", "off"]);
    let mut command = thalweg(&words);
    let done = ended(command.current_dir(folder.path()).spawn().unwrap());
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.out, block(&text, "text", 0));
}

#[test]
fn frames_in_steps_are_exact_but_for_their_far_edge() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/over.md");
    let text = fs::read_to_string(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("job.sql"), block(&text, "sql", 3)).unwrap();
    let lines: String = (0..100)
        .map(|n| {
            let (hour, minute) = (10 + n / 60, n % 60);
            format!("{{\"id\":\"{n}\",\"card\":\"C\",\"amount\":{n},\"ts\":\"2026-01-01T{hour}:{minute:02}:30Z\"}}\n")
        })
        .collect();
    fs::write(folder.path().join("in.jsonl"), lines).unwrap();
    let arguments = [
        "run",
        "job.sql",
        "--input",
        "events=in.jsonl",
        "--output",
        "features=-",
        "--http",
        "off",
    ];
    let done = ended(
        thalweg(&arguments)
            .current_dir(folder.path())
            .spawn()
            .unwrap(),
    );
    assert_eq!(done.code, 0, "{done:?}");
    // An hour before 11:39:30 is 10:39:30, the pane of 10:39: that row and the 60 behind it.
    let last = done.out.lines().last().unwrap();
    assert_eq!(last, r#"{"id":"99","n":61,"mean":69.0}"#);
}
