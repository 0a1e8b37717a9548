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
fn what_state_ttl_has_outlived_while_nothing_ran_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let job = "SET checkpointLocation = './checkpoints';
        SET trigger = 'available now';
        SET stateTtl = '2 seconds';
        CREATE TABLE visits (card STRING) USING json OPTIONS (path 'in');
        CREATE TABLE totals USING file OPTIONS (path 'totals.jsonl');
        CREATE TABLE counts USING file OPTIONS (path 'counts.jsonl');
        CREATE TABLE firsts USING file OPTIONS (path 'firsts.jsonl');
        INSERT INTO totals SELECT card, count(*) OVER (PARTITION BY card ROWS UNBOUNDED PRECEDING) AS n FROM visits;
        INSERT INTO firsts SELECT DISTINCT card FROM visits;
        SET outputMode = 'update';
        INSERT INTO counts SELECT card, count(*) AS n FROM visits GROUP BY card;";
    fs::write(folder.path().join("job.sql"), job).unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    let visit = |name: &str| {
        fs::write(folder.path().join("in").join(name), "{\"card\": \"A\"}\n").unwrap();
        let mut command = thalweg(&["run", "job.sql", "--http", "off"]);
        command.current_dir(folder.path());
        let said = ended(command.spawn().unwrap());
        assert_eq!(said.code, 0, "{said:?}");
    };
    visit("1.json");
    // Time is what is asked about: twice as much, as it counts in whole seconds.
    std::thread::sleep(std::time::Duration::from_secs(4));
    visit("2.json");
    for (output, row) in [
        ("totals", r#"{"card":"A","n":1}"#),
        ("firsts", r#"{"card":"A"}"#),
        ("counts", r#"{"card":"A","n":1}"#),
    ] {
        let rows = fs::read_to_string(folder.path().join(format!("{output}.jsonl"))).unwrap();
        assert_eq!(rows.lines().collect::<Vec<_>>(), [row, row], "{output}");
    }
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

/// Runs a job over files again and again, each time with what has come since; gives its rows.
fn runs(query: &str, arrivals: &[&[(&str, &str)]]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let table = |name: &str, delay: &str| {
        format!(
            "CREATE TABLE {name} (id INT, ts TIMESTAMP) USING json OPTIONS (path './{name}') WATERMARK ts DELAY OF INTERVAL {delay};\n"
        )
    };
    let job = format!(
        "SET checkpointLocation = './checkpoints';\nSET trigger = 'available now';\n{}{}\
         CREATE TABLE rows USING file OPTIONS (path 'out.jsonl');\nINSERT INTO rows {query};\n",
        table("a", "10 SECONDS"),
        table("b", "10 SECONDS")
    );
    fs::write(folder.path().join("job.sql"), job).unwrap();
    for name in ["a", "b"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for (number, rows) in arrivals.iter().enumerate() {
        for (name, row) in *rows {
            let file = folder.path().join(name).join(format!("{number}.json"));
            fs::write(file, format!("{row}\n")).unwrap();
        }
        let mut command = thalweg(&["run", "job.sql", "--http", "off"]);
        command.current_dir(folder.path());
        let said = ended(command.spawn().unwrap());
        assert_eq!(said.code, 0, "{said:?}");
    }
    let rows = fs::read_to_string(folder.path().join("out.jsonl")).unwrap();
    rows.lines().map(str::to_owned).collect()
}

// What Spark 4.3 answers to the same runs: its one watermark is that of the slower stream.

#[test]
fn in_runs_with_an_end_a_row_finds_its_partner_although_its_own_stream_is_far_ahead() {
    let rows = runs(
        "SELECT a.id, a.ts AS made, b.ts AS paid FROM a JOIN b
         ON a.id = b.id AND b.ts BETWEEN a.ts AND a.ts + INTERVAL 30 SECONDS",
        &[
            &[
                ("a", r#"{"id":1,"ts":"2024-01-01T10:00:00Z"}"#),
                ("b", r#"{"id":9,"ts":"2024-01-01T10:01:00Z"}"#),
            ],
            &[("b", r#"{"id":1,"ts":"2024-01-01T10:00:15Z"}"#)],
        ],
    );
    let expected =
        r#"{"id":1,"made":"2024-01-01T10:00:00.000Z","paid":"2024-01-01T10:00:15.000Z"}"#;
    assert_eq!(rows, [expected]);
}

#[test]
fn in_runs_with_an_end_a_window_over_two_streams_takes_rows_until_the_slower_one_has_passed_it() {
    let rows = runs(
        "SELECT window.start AS w, count(*) AS n FROM (SELECT id, ts FROM a UNION ALL SELECT id, ts FROM b)
         GROUP BY window(ts, '30 seconds')",
        &[
            &[
                ("a", r#"{"id":1,"ts":"2024-01-01T10:00:08Z"}"#),
                ("b", r#"{"id":2,"ts":"2024-01-01T10:01:00Z"}"#),
            ],
            &[("b", r#"{"id":3,"ts":"2024-01-01T10:00:15Z"}"#)],
            &[
                ("a", r#"{"id":4,"ts":"2024-01-01T11:00:00Z"}"#),
                ("b", r#"{"id":5,"ts":"2024-01-01T11:00:00Z"}"#),
            ],
        ],
    );
    assert_eq!(
        rows[0], r#"{"w":"2024-01-01T10:00:00.000Z","n":2}"#,
        "{rows:?}"
    );
}
