//! Objects of state that are damaged, gone or in each other's place, and a folder that takes none: a start is refused or
//! rows flow on, and no count is ever wrong.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use serde_json::Value;
use stage::plain::{ended, run, terminate, thalweg, until};
use stage::{PATIENCE, Running};
use thalweg_engine::epoch::checkpoint::{Checkpoint, ObjectRef};
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::FolderStore;

/// Counts by group and totals by row, each of a sequence of numbers from 0, so that every answer can be checked by itself.
const TICKS: &str = "\
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '300', numPartitions '1');
SET checkpointInterval = '100 ms';
";
/// The queries, each with its statements.
const JOB: [(&str, &str); 2] = [
    (
        "counts",
        "SET outputMode = 'update';\n\
         INSERT INTO counts SELECT value % 3 AS k, count(*) AS n FROM ticks GROUP BY value % 3;\n",
    ),
    (
        "totals",
        "SET outputMode = 'append';\n\
         INSERT INTO totals SELECT value, count(*) OVER (PARTITION BY value % 2) AS n FROM ticks;\n",
    ),
];
const QUERIES: [&str; 2] = [JOB[0].0, JOB[1].0];

struct Job {
    dir: tempfile::TempDir,
}

impl Job {
    /// With an output for each query, as a path. Each query is also a job of its own.
    fn new(output: impl Fn(&Path, &str) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = dir.path().join("checkpoints");
        let mut all = format!(
            "SET checkpointLocation = '{}';\n{TICKS}",
            checkpoints.display()
        );
        let begin = all.clone();
        for (query, statements) in JOB {
            let path = output(dir.path(), query);
            let one =
                format!("CREATE TABLE {query} USING file OPTIONS (path '{path}');\n{statements}");
            let alone = dir.path().join(format!("{query}-alone"));
            fs::create_dir(&alone).unwrap();
            fs::write(alone.join("job.sql"), format!("{begin}{one}")).unwrap();
            all += &one;
        }
        fs::write(dir.path().join("job.sql"), all).unwrap();
        Self { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn folder(&self, query: &str) -> PathBuf {
        self.file("checkpoints").join(query)
    }

    fn start(&self) -> Child {
        let job = self.file("job.sql");
        let arguments = ["run", job.to_str().unwrap(), "--http", "off"];
        thalweg(&arguments).spawn().unwrap()
    }

    fn newest(&self, query: &str) -> Option<Checkpoint> {
        let store = FolderStore::read_only(self.folder(query));
        let log = CheckpointLog::new(std::sync::Arc::new(store), 10, false);
        log.newest().ok().flatten()
    }

    /// The chain of the one step that the query has.
    fn chain(&self, query: &str) -> Vec<ObjectRef> {
        let newest = self.newest(query);
        let lanes = newest.into_iter().flat_map(|newest| newest.lanes);
        lanes
            .flat_map(|lane| lane.state.into_values().flatten())
            .collect()
    }

    fn output(&self, query: &str) -> String {
        fs::read_to_string(self.file(query)).unwrap_or_default()
    }

    /// What a dump shows of the groups is what the position says.
    fn expect_exact_state(&self) {
        let said = run(&["inspect", self.folder("counts").to_str().unwrap(), "--dump"]);
        assert_eq!(said.code, 0, "{said:?}");
        let newest = self.newest("counts").unwrap();
        let read: i64 = newest
            .partitions()
            .next()
            .unwrap()
            .position
            .to_string()
            .parse()
            .unwrap();
        let lines: Vec<Value> = said
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3, "{said:?}");
        for line in lines {
            let k = line["key"]["value % 3"].as_i64().unwrap();
            assert_eq!(
                line["value"]["count(*)"],
                (read - k + 2) / 3,
                "{read}: {line}"
            );
        }
    }
}

/// Each row's total is the one that its number asks for.
fn expect_true_total(line: &str) {
    let row: Value = serde_json::from_str(line).unwrap();
    let value = row["value"].as_i64().unwrap();
    assert_eq!(row["n"], value / 2 + 1, "{line}");
}

/// A job that has written epochs with chains of several objects, and was stopped.
fn stopped() -> Job {
    let job = Job::new(|dir, query| dir.join(query).display().to_string());
    let long = |least| QUERIES.iter().all(|query| job.chain(query).len() >= least);
    // A merge may end just before the stop.
    while !long(2) {
        let child = job.start();
        until("chains of four objects", || long(4));
        terminate(&child);
        let said = ended(child);
        assert_eq!(said.code, 0, "{said:?}");
    }
    job
}

/// The files that a start may not change: a state object that no checkpoint names is nobody's, and goes.
fn needed(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = files(folder);
    let named: String = files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|kind| kind == "json"))
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    files.retain(|path, _| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !path
            .parent()
            .is_some_and(|folder| folder.ends_with("state"))
            || named.contains(&*name)
    });
    files
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().unwrap() != "lock" {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// What happens to the chain of a query: the paths of its objects, oldest first. Gives the one that must be named, and what
/// is said of it.
type Damage = fn(&[PathBuf]) -> (PathBuf, &'static str);

const DAMAGES: [(&str, Damage); 5] = [
    ("a flipped byte", |chain| {
        let mut bytes = fs::read(&chain[0]).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(&chain[0], bytes).unwrap();
        (chain[0].clone(), "is damaged: ")
    }),
    ("a truncated object", |chain| {
        let bytes = fs::read(&chain[0]).unwrap();
        fs::write(&chain[0], &bytes[..bytes.len() - 9]).unwrap();
        (chain[0].clone(), "is damaged: it is truncated")
    }),
    ("a missing delta", |chain| {
        let last = chain.last().unwrap();
        fs::remove_file(last).unwrap();
        (last.clone(), "is missing")
    }),
    ("a missing base", |chain| {
        fs::remove_file(&chain[0]).unwrap();
        (chain[0].clone(), "is missing")
    }),
    ("two that are swapped", |chain| {
        let (one, other) = (fs::read(&chain[0]).unwrap(), fs::read(&chain[1]).unwrap());
        fs::write(&chain[0], other).unwrap();
        fs::write(&chain[1], one).unwrap();
        (chain[0].clone(), "which was put in its place")
    }),
];

#[test]
fn a_start_from_damaged_state_is_refused_by_the_name_of_the_file() {
    for query in QUERIES {
        for (what, damage) in DAMAGES {
            eprintln!("{query}: {what}");
            refuse(query, damage);
        }
    }
}

fn refuse(query: &str, damage: Damage) {
    let job = stopped();
    let chain: Vec<PathBuf> = job
        .chain(query)
        .iter()
        .map(|object| job.folder(query).join("state").join(&object.name))
        .collect();
    let whole = files(&job.folder(query));
    let (file, says) = damage(&chain);
    let file = file.to_str().unwrap();
    let (before, output) = (needed(&job.folder(query)), job.output(query));
    let path = job.file(&format!("{query}-alone/job.sql"));
    let arguments = ["run", path.to_str().unwrap(), "--http", "off"];
    let said = ended(thalweg(&arguments).spawn().unwrap());
    assert_eq!(said.code, 2, "{said:?}");
    expect_said(
        &said.err,
        &[
            file,
            says,
            "Restore the file",
            "thalweg checkpoint rollback",
        ],
    );
    assert_eq!(needed(&job.folder(query)), before, "something was changed");
    assert_eq!(job.output(query), output, "something was written");

    let folder = job.folder(query);
    let place = folder.to_str().unwrap();
    let said = run(&["inspect", place]);
    assert_eq!(said.code, 1, "{said:?}");
    expect_said(
        &said.out,
        &["a start would be refused", file, says, "rollback"],
    );
    let said = run(&["inspect", place, "--dump"]);
    assert_eq!(said.code, 2, "{said:?}");
    expect_said(
        &said.err,
        &[Path::new(file).file_name().unwrap().to_str().unwrap()],
    );

    // Going back to an epoch that needs the file is no way out, and is not taken for one.
    let newest = job.newest(query).unwrap().epoch.to_string();
    let said = run(&["checkpoint", "rollback", place, &newest, "--yes"]);
    assert_eq!(said.code, 2, "{said:?}");
    expect_said(&said.err, &[file, says]);
    assert_eq!(files(&folder), before, "something was changed");

    for (path, bytes) in whole {
        fs::write(path, bytes).unwrap();
    }
    go_on(&job);
}

/// With the files restored the job goes on as if nothing had been.
fn go_on(job: &Job) {
    let before = job.output("totals").lines().count();
    let child = job.start();
    until("more rows", || {
        job.output("totals").lines().count() > before + 50
    });
    terminate(&child);
    let said = ended(child);
    assert_eq!(said.code, 0, "{said:?}");
    let totals = job.output("totals");
    totals.lines().for_each(expect_true_total);
    job.expect_exact_state();
}

#[track_caller]
fn expect_said(said: &str, texts: &[&str]) {
    for text in texts {
        assert!(said.contains(text), "`{text}` is not said: {said}");
    }
}

/// A job that writes to its standard output and has committed state.
fn running(job: &Job) -> Running {
    let path = job.file("job.sql");
    let arguments = ["run", path.to_str().unwrap(), "--http", "127.0.0.1:0"];
    let mut running = Running::start(thalweg(&arguments));
    running.until_ready();
    until("state", || {
        QUERIES.iter().all(|query| !job.chain(query).is_empty())
    });
    running
}

/// Rows flow on while the folder takes nothing, and it is said why nothing is committed.
fn full(job: &Job, running: &mut Running) {
    running.limit_files(0);
    for query in QUERIES {
        running.until_said(
            &format!("{query}: waiting: the checkpoint folder"),
            PATIENCE,
        );
    }
    let (status, why) = running.get("/ready");
    assert_eq!(status, 503, "{why}");
    assert!(why.contains("File too large"), "{why}");
    let newest = QUERIES.map(|query| job.newest(query).unwrap().epoch);
    let written = running.metric("thalweg_records_out_total");
    until("rows flow on", || {
        running.metric("thalweg_records_out_total") > written + 200.0
    });
    assert_eq!(
        QUERIES.map(|query| job.newest(query).unwrap().epoch),
        newest,
        "no epoch is committed"
    );
}

fn expect_true_totals(out: &str) -> i64 {
    let totals: Vec<&str> = out
        .lines()
        .filter(|line| line.contains("\"value\""))
        .collect();
    totals.iter().copied().for_each(expect_true_total);
    i64::try_from(totals.len()).unwrap()
}

#[test]
fn state_that_finds_no_room_waits_and_counts_exactly_once_there_is_some() {
    let job = Job::new(|_, _| "-".to_owned());
    let mut running = running(&job);
    full(&job, &mut running);
    running.limit_files(libc::RLIM_INFINITY);
    running.until_said("takes checkpoints again", PATIENCE);
    running.until_ready();
    let said = running.finish();
    let rows = expect_true_totals(&said.out);
    let newest = job.newest("totals").unwrap();
    let read = newest.partitions().next().unwrap().position.to_string();
    assert_eq!(read, rows.to_string(), "each row was answered once");
    job.expect_exact_state();
    let names: Vec<_> = files(&job.file("checkpoints")).into_keys().collect();
    assert!(
        !names
            .iter()
            .any(|name| name.to_str().unwrap().contains(".tmp-")),
        "{names:?}"
    );
}

#[test]
fn a_kill_while_state_finds_no_room_costs_no_count() {
    let job = Job::new(|_, _| "-".to_owned());
    let mut first = running(&job);
    full(&job, &mut first);
    first.kill();
    let before = job.newest("totals").unwrap().epoch;
    let second = running(&job);
    until("an epoch after it", || {
        job.newest("totals").unwrap().epoch > before
    });
    let said = second.finish();
    assert!(expect_true_totals(&said.out) > 0);
    job.expect_exact_state();
}
