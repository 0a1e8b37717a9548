//! `thalweg inspect --dump` beside a job that runs: what its state holds, line by line.

#![allow(clippy::unwrap_used)]

mod command;

use std::collections::BTreeMap;
use std::fs;

use command::{ended, run, terminate, thalweg, until};
use serde_json::Value;

const JOB: &str = "\
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '500');
CREATE TABLE counts USING noop;
CREATE TABLE answers USING noop;
SET checkpointInterval = '100 ms';
SET outputMode = 'update';
INSERT INTO counts SELECT value % 3 AS k, count(*) AS n, sum(value) AS total FROM ticks GROUP BY value % 3;
SET outputMode = 'append';
INSERT INTO answers
SELECT value, avg(value) OVER (PARTITION BY value % 2 ORDER BY value ROWS BETWEEN 4 PRECEDING AND CURRENT ROW) AS near
FROM ticks;
";

fn lines(out: &str) -> Vec<Value> {
    out.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn the_state_of_a_running_job_is_shown_as_it_was_at_one_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let job = folder.path().join("job.sql");
    let checkpoints = folder.path().join("checkpoints");
    let place = checkpoints.to_str().unwrap();
    fs::write(&job, format!("SET checkpointLocation = '{place}';\n{JOB}")).unwrap();
    let child = thalweg(&["run", job.to_str().unwrap(), "--http", "off"])
        .spawn()
        .unwrap();
    until("the state of both queries", || {
        let said = run(&["inspect", place, "--dump"]);
        said.code == 0 && said.out.contains("\"aggregate by") && said.out.contains("\"over by")
    });
    let said = run(&["inspect", place, "--dump", "--step", "aggregate"]);
    assert_eq!(said.code, 0, "{said:?}");
    let mut groups: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for line in lines(&said.out) {
        assert_eq!(line["query"], "counts", "{line}");
        assert_eq!(line["what"], "group", "{line}");
        let (key, value) = (&line["key"], &line["value"]);
        let number = |name: &str| value[name].as_i64().unwrap();
        let k = key["value % 3"].as_i64().unwrap();
        groups.insert(k, (number("count(*)"), number("sum(value)")));
    }
    // One cut: of the numbers from 0 on each has been counted once.
    let all: i64 = groups.values().map(|(n, _)| n).sum();
    for (k, (n, total)) in &groups {
        assert_eq!(*n, (all - k + 2) / 3, "{groups:?}");
        assert_eq!(*total, n * k + 3 * n * (n - 1) / 2, "{groups:?}");
    }
    let said = run(&["inspect", &format!("{place}/answers"), "--dump"]);
    let rows = lines(&said.out);
    assert!(!rows.is_empty(), "{said:?}");
    for row in &rows {
        assert_eq!(row["what"], "row", "{row}");
        let value = row["value"]["value"].as_i64().unwrap();
        assert_eq!(row["key"]["value % 2"], value % 2, "{row}");
    }
    terminate(&child);
    assert_eq!(ended(child).code, 0);
}

#[test]
fn which_files_a_query_has_read_is_no_state_of_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir(path("in")).unwrap();
    fs::write(path("in/a.json"), "{\"k\":\"a\"}\n{\"k\":\"a\"}\n").unwrap();
    let text = format!(
        "SET checkpointLocation = '{}';\nSET trigger = 'available now';\nSET outputMode = 'update';\n
         CREATE TABLE t (k STRING) USING json OPTIONS (path '{}');\n
         CREATE TABLE o USING noop;\nINSERT INTO o SELECT k, count(*) AS n FROM t GROUP BY k;\n",
        path("checkpoints"),
        path("in"),
    );
    fs::write(path("job.sql"), text).unwrap();
    let said = run(&["run", &path("job.sql"), "--http", "off"]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = run(&["inspect", &path("checkpoints"), "--dump"]);
    assert_eq!(said.code, 0, "{said:?}");
    let rows = lines(&said.out);
    let mut groups = rows.iter().filter(|row| row["what"] == "group");
    assert_eq!(groups.next().unwrap()["value"]["count(*)"], 2, "{said:?}");
    let steps = rows.iter().map(|row| row["step"].as_str().unwrap());
    assert!(
        steps.clone().all(|step| step == "aggregate by k"),
        "{said:?}"
    );
}

#[test]
fn a_step_that_is_not_there_is_answered_with_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = folder.path().join("checkpoints");
    let place = checkpoints.to_str().unwrap();
    let job = folder.path().join("job.sql");
    fs::write(&job, format!("SET checkpointLocation = '{place}';\n{JOB}")).unwrap();
    let child = thalweg(&["run", job.to_str().unwrap(), "--http", "off"])
        .spawn()
        .unwrap();
    until("state", || {
        run(&["inspect", place]).out.contains("aggregate by")
    });
    terminate(&child);
    assert_eq!(ended(child).code, 0);
    let said = run(&[
        "inspect",
        &format!("{place}/counts"),
        "--dump",
        "--step",
        "join",
    ]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.err.contains(
            "no step with state has `join` in its name. There are: `aggregate by value % 3`"
        ),
        "{said:?}"
    );
    // An object that is damaged is no state.
    let state = checkpoints.join("counts/state");
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 20;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let said = run(&["inspect", place, "--dump"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("its checksum does not match"), "{said:?}");
}
