//! `--hold-on-refusal`: a refused job stays up, says why, and ends at once when it is told to.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::fs;
use std::path::Path;
use std::time::Duration;

use stage::{PATIENCE, Running, thalweg};

/// How long the end of a held job may take.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Doubles amounts, from a file or without end, to a file.
fn doubles(from: &str) -> String {
    format!(
        "SET jobName = 'doubles';\nSET checkpointLocation = './checkpoints';\nSET checkpointInterval = '50 ms';\n{from}\n\
         CREATE TABLE doubled USING file OPTIONS (path 'out.jsonl');\n\
         INSERT INTO doubled SELECT id, id * 2 AS twice FROM amounts;\n"
    )
}

const ENDLESS: &str = "CREATE VIEW amounts AS SELECT value AS id FROM ticks;";
const TICKS: &str = "CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '50');";
const FILE: &str = "CREATE TABLE amounts (id BIGINT) USING file OPTIONS (path 'in.jsonl');";

fn endless() -> String {
    doubles(&format!("{TICKS}\n{ENDLESS}"))
}

fn folder(job: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("job.sql"), job).unwrap();
    fs::write(folder.path().join("in.jsonl"), "{\"id\": 1}\n{\"id\": 2}\n").unwrap();
    folder
}

fn started(folder: &Path, more: &[&str]) -> Running {
    let mut command = thalweg(&["run", "job.sql", "--http", "127.0.0.1:0"]);
    command.args(more).current_dir(folder);
    Running::start(command)
}

/// It is held: alive, not ready for this reason, seen by Prometheus, and one line says what is wrong.
#[track_caller]
fn is_held(held: &mut Running, why: &str) {
    held.until_said("refused and held", PATIENCE);
    assert_eq!(held.get("/live").0, 200);
    let (status, head, _) = held.with("GET /nowhere", "", b"");
    assert!(
        matches!(status, 404 | 503) && head.contains("x-content-type-options: nosniff"),
        "{head}"
    );
    let (status, answer) = held.get("/ready");
    assert_eq!(status, 503);
    let plain = answer.replace("\\n", "\n").replace("\\\"", "\"");
    assert!(plain.contains(why), "`{why}` is not in {answer}");
    assert!((held.metric("thalweg_job_refused") - 1.0).abs() < f64::EPSILON);
    assert_eq!(held.said().matches(why).count(), 1, "{}", held.said());
}

/// SIGTERM ends it at once, as the refusal would have.
#[track_caller]
fn ends_as_refused(held: Running) {
    held.terminate();
    let said = held.end(AT_ONCE);
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn a_roll_out_of_a_job_with_a_typo_stands_still_and_is_undone() {
    let folder = folder(&endless());
    let mut before = started(folder.path(), &["--hold-on-refusal"]);
    before.until_ready();
    before.finish();
    let good = fs::read_to_string(folder.path().join("job.sql")).unwrap();

    fs::write(
        folder.path().join("job.sql"),
        good.replace("id * 2", "idd * 2"),
    )
    .unwrap();
    let mut broken = started(folder.path(), &["--hold-on-refusal"]);
    is_held(&mut broken, "unknown column `idd`");
    // Whoever looks the usual way reads the reason, not of a page that is not there.
    let (status, answer) = broken.get("/api/v1/board");
    assert_eq!(status, 503);
    assert!(answer.contains("unknown column `idd`"), "{answer}");
    let url = format!("http://{}", broken.address());
    Running::start(thalweg(&["top", "--url", &url]))
        .end(PATIENCE)
        .expect(2, &["the job is refused and held", "unknown column `idd`"]);
    ends_as_refused(broken);

    fs::write(folder.path().join("job.sql"), good).unwrap();
    let mut again = started(folder.path(), &["--hold-on-refusal"]);
    again.until_ready();
    again.finish();
}

#[test]
fn a_job_whose_checkpoint_is_damaged_is_held_with_the_file_and_the_remedy() {
    let folder = folder(&doubles(FILE));
    let done = started(folder.path(), &[]).end(PATIENCE);
    assert_eq!(done.code, 0, "{}", done.err);
    let epochs = folder.path().join("checkpoints/doubled/epochs");
    let mut files: Vec<_> = fs::read_dir(epochs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let newest = files.pop().unwrap();
    fs::write(&newest, "{").unwrap();

    let refused = started(folder.path(), &[]).end(PATIENCE);
    assert_eq!(refused.code, 2, "{}", refused.err);
    let mut held = started(folder.path(), &["--hold-on-refusal"]);
    is_held(&mut held, newest.file_name().unwrap().to_str().unwrap());
    assert!(held.metric("thalweg_query_ready").abs() < f64::EPSILON);
    ends_as_refused(held);
}

#[test]
fn checkpoints_that_another_process_has_are_not_waited_for() {
    let folder = folder(&endless());
    let mut first = started(folder.path(), &[]);
    first.until_ready();
    let second = started(folder.path(), &["--hold-on-refusal"]).end(PATIENCE);
    assert_eq!(second.code, 2, "{}", second.err);
    assert!(second.err.contains("is in use by"), "{}", second.err);
    first.finish();
}

#[test]
fn where_nobody_could_ask_why_nothing_is_held() {
    let folder = folder(&endless());
    let mut command = thalweg(&["run", "job.sql", "--http", "nowhere", "--hold-on-refusal"]);
    command.current_dir(folder.path());
    let said = Running::start(command).end(PATIENCE);
    assert_eq!(said.code, 2, "{}", said.err);
    assert_eq!(
        said.err.matches("--http nowhere").count(),
        1,
        "{}",
        said.err
    );
}

#[test]
fn a_job_that_is_not_refused_runs_fails_and_ends_as_ever() {
    let folder = folder(&doubles(FILE));
    let done = started(folder.path(), &["--hold-on-refusal"]).end(PATIENCE);
    assert_eq!(done.code, 0, "{}", done.err);
    fs::write(
        folder.path().join("in.jsonl"),
        "{\"id\": 1}\n{\"id\": 2}\n{\"id\": \"x\"}\n",
    )
    .unwrap();
    fs::remove_dir_all(folder.path().join("checkpoints")).unwrap();
    let job = fs::read_to_string(folder.path().join("job.sql")).unwrap();
    fs::write(
        folder.path().join("job.sql"),
        job.replace("path 'in.jsonl'", "path 'in.jsonl', mode 'FAILFAST'"),
    )
    .unwrap();
    let failed = started(folder.path(), &["--hold-on-refusal"]).end(PATIENCE);
    assert_eq!(failed.code, 1, "{}", failed.err);
}
