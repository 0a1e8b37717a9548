//! GROUP BY as a user meets it: rows of a file in, results of groups out, no server.

#![allow(clippy::unwrap_used)]

mod command;

use std::fs;

use command::{Said, ended, thalweg};

/// A job over twelve ticks that come from a file.
fn said(query: &str) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let job = format!("CREATE TABLE rate USING rate;\n{query}\n");
    fs::write(folder.path().join("job.sql"), job).unwrap();
    let ticks: String = (0..12)
        .map(|n| format!("{{\"timestamp\": \"2024-01-01T00:00:{n:02}Z\", \"value\": {n}}}\n"))
        .collect();
    fs::write(folder.path().join("ticks.jsonl"), ticks).unwrap();
    let mut command = thalweg(&[
        "run",
        "job.sql",
        "--input",
        "rate=ticks.jsonl",
        "--http",
        "off",
    ]);
    command.current_dir(folder.path());
    let said = ended(command.spawn().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    said
}

#[test]
fn the_whole_result_comes_to_the_console_at_the_end_of_the_input() {
    let said = said(
        "SET outputMode = 'complete';\nSELECT value % 3 AS k, count(*) FROM rate GROUP BY value % 3;",
    );
    for line in [
        "|  k|count(1)|",
        "|  0|       4|",
        "|  1|       4|",
        "|  2|       4|",
    ] {
        assert!(said.out.contains(line), "{said:?}");
    }
}

#[test]
fn a_group_of_a_long_expression_is_committed_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let whens: Vec<String> = (0..40)
        .map(|n| format!("WHEN value = {n} THEN 'number {n}'"))
        .collect();
    let job = format!(
        "SET checkpointLocation = '{}';\nSET outputMode = 'update';\n\
         CREATE TABLE counts USING file OPTIONS (path '{}');\n\
         INSERT INTO counts SELECT CASE {} END AS k, count(*) AS n FROM rate GROUP BY 1;",
        folder.path().join("checkpoints").display(),
        folder.path().join("out.jsonl").display(),
        whens.join(" ")
    );
    for _ in 0..2 {
        let said = said(&job);
        assert!(!said.err.contains("does not take"), "{said:?}");
    }
    let rows = fs::read_to_string(folder.path().join("out.jsonl")).unwrap();
    assert_eq!(
        rows.lines().next(),
        Some(r#"{"k":"number 0","n":1}"#),
        "{rows}"
    );
}

#[test]
fn update_at_once_writes_every_change_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.jsonl");
    let said = said(&format!(
        "SET checkpointLocation = '{}';\nSET outputMode = 'update';\n\
         CREATE TABLE counts USING file OPTIONS (path '{}');\n\
         INSERT INTO counts SELECT value % 3 AS k, count(*) AS n FROM rate GROUP BY value % 3;",
        folder.path().join("checkpoints").display(),
        out.display()
    ));
    let rows = fs::read_to_string(out).unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    assert_eq!(rows.len(), 12, "{said:?}");
    assert_eq!(rows[3], r#"{"k":0,"n":2}"#);
    assert_eq!(rows[11], r#"{"k":2,"n":4}"#);
}

#[test]
fn a_mode_that_spark_refuses_is_refused_at_the_group_by() {
    let folder = tempfile::tempdir().unwrap();
    let job = "CREATE TABLE rate USING rate;\nSELECT value % 3 AS k, count(*) FROM rate GROUP BY value % 3;\n";
    fs::write(folder.path().join("job.sql"), job).unwrap();
    let mut command = thalweg(&["check", "job.sql"]);
    command.current_dir(folder.path());
    let said = ended(command.spawn().unwrap());
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.err
            .starts_with("error: job.sql:2:52: invalid streaming output mode: append"),
        "{said:?}"
    );
}

#[test]
fn check_says_how_much_memory_so_many_keys_take() {
    let folder = tempfile::tempdir().unwrap();
    let job = "CREATE TABLE rate USING rate;\nSET outputMode = 'update';\nSELECT value, count(*) FROM rate GROUP BY value;\n";
    fs::write(folder.path().join("job.sql"), job).unwrap();
    let mut command = thalweg(&["check", "job.sql", "--keys", "20000", "--rate", "100"]);
    command.current_dir(folder.path());
    let said = ended(command.spawn().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    let memory = said
        .out
        .split("memory with 20,000 keys and 100 rows a second\n");
    let memory = memory.last().unwrap();
    let line = memory.lines().next().unwrap();
    assert!(
        line.starts_with("  console, aggregate by value: "),
        "{said:?}"
    );
    assert!(line.ends_with(" bytes for each of 20,000"), "{said:?}");
}
