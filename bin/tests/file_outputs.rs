//! Files as an output, of numbers that follow each other, so that what is missing or there twice shows: kills, a full disk,
//! a folder that is gone, an end.
//!
//! The long form: THALWEG_KILLS=50.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use stage::plain::{Said, run, until};
use stage::{PATIENCE, Running, kills, visible_files};

struct Job {
    dir: tempfile::TempDir,
}

impl Job {
    /// Numbers into files, with these options of the output.
    fn numbers(options: &str) -> Self {
        let job = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        job.write(&format!(
            "SET checkpointLocation = '{}';
SET checkpointInterval = '50 ms';
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '2000', numPartitions '2');
CREATE TABLE archive USING json OPTIONS (path '{}', {options}) PARTITIONED BY (part);
INSERT INTO archive SELECT value, value % 3 AS part FROM ticks;
",
            job.checkpoints().display(),
            job.folder().display()
        ));
        job
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("job.sql")
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn checkpoints(&self) -> PathBuf {
        self.dir.path().join("checkpoints")
    }

    fn start(&self) -> Running {
        let file = self.file();
        let arguments = ["run", file.to_str().unwrap(), "--http", "127.0.0.1:0"];
        Running::start(stage::thalweg(&arguments))
    }

    fn call(&self, verb: &str) -> Said {
        run(&[verb, self.file().to_str().unwrap()])
    }

    /// How often each number is visible, each in its folder and each file whole.
    fn seen(&self) -> BTreeMap<i64, u32> {
        let mut seen = BTreeMap::new();
        for path in visible_files(&self.folder()) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.ends_with('\n'), "{} is not whole", path.display());
            for line in text.lines() {
                let row: serde_json::Value = serde_json::from_str(line).unwrap();
                let value = row["value"].as_i64().unwrap();
                let folder = format!("part={}", value % 3);
                assert!(
                    path.parent().unwrap().ends_with(&folder),
                    "{path:?}: {line}"
                );
                *seen.entry(value).or_default() += 1;
            }
        }
        seen
    }

    /// All numbers of each partition up to its highest are there once. Gives how many.
    #[track_caller]
    fn expect_all_once(&self) -> usize {
        let seen = self.seen();
        let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "there twice: {twice:?}");
        for partition in 0..2 {
            let own: Vec<i64> = seen
                .keys()
                .copied()
                .filter(|value| value % 2 == partition)
                .collect();
            let all = (partition..).step_by(2).take(own.len());
            assert!(own.iter().copied().eq(all), "some are missing: {own:?}");
        }
        seen.len()
    }
}

#[test]
fn every_number_is_there_once_whatever_kills_the_job() {
    let job = Job::numbers("rollInterval '120 ms'");
    for kill in 0..kills(8) {
        let running = job.start();
        let before = job.seen().len();
        until("something new is visible", || job.seen().len() > before);
        std::thread::sleep(Duration::from_millis(u64::from(kill) * 37 % 300));
        running.kill();
        let twice = job.seen().into_values().any(|times| times > 1);
        assert!(!twice, "after kill {kill}");
    }
    // What the last kill has left becomes visible before it is ready; a stop does not wait for a start.
    let mut running = job.start();
    running.until_ready();
    let said = running.finish();
    assert!(job.expect_all_once() > 0, "{}", said.err);
    let hidden = fs::read_dir(job.folder().join("_thalweg")).unwrap();
    for entry in hidden
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let left = fs::read_dir(&entry).unwrap().count();
        assert_eq!(left, 0, "a clean stop leaves nothing hidden");
    }
}

#[test]
fn an_open_file_outlives_epochs_and_a_stop_ends_it() {
    let job = Job::numbers("rollInterval '1 hour'");
    let mut running = job.start();
    running.until_ready();
    until("epochs pass", || {
        running.metric("thalweg_epochs_committed_total") > 10.0
    });
    assert!(job.seen().is_empty(), "an open file is seen");
    running.finish();
    assert!(job.expect_all_once() > 0);
    assert_eq!(
        visible_files(&job.folder()).len(),
        6,
        "one for each lane and folder"
    );
}

#[test]
fn a_disk_without_room_holds_rows_back_and_loses_none() {
    let job = Job::numbers("rollInterval '1 hour'");
    let mut running = job.start();
    running.until_ready();
    running.limit_files(40_000);
    running.until_said("no row is taken until there is room", PATIENCE);
    until("the job is not ready", || running.get("/ready").0 == 503);
    let (_, why) = running.get("/ready");
    assert!(
        why.contains("File too large") && why.contains("out/_thalweg"),
        "{why}"
    );
    running.limit_files(libc::RLIM_INFINITY);
    running.until_said("running again", PATIENCE);
    running.until_ready();
    let so_far = running.metric("thalweg_records_out_total");
    until("rows flow again", || {
        running.metric("thalweg_records_out_total") > so_far + 1000.0
    });
    running.finish();
    assert!(job.expect_all_once() > 1000);
}

#[test]
fn a_kill_while_there_is_no_room_costs_nothing() {
    let job = Job::numbers("rollInterval '1 hour'");
    let mut running = job.start();
    running.until_ready();
    running.limit_files(40_000);
    running.until_said("no row is taken until there is room", PATIENCE);
    running.kill();
    let mut running = job.start();
    running.until_ready();
    running.finish();
    assert!(job.expect_all_once() > 0);
}

/// A job that was killed while files were open.
fn killed() -> Job {
    let job = Job::numbers("rollInterval '1 hour'");
    let mut running = job.start();
    running.until_ready();
    until("epochs pass", || {
        running.metric("thalweg_epochs_committed_total") > 6.0
    });
    running.kill();
    job
}

#[test]
fn a_folder_that_was_emptied_is_not_taken_for_the_one_that_was_written() {
    let job = killed();
    fs::remove_dir_all(job.folder()).unwrap();
    let said = job.start().end(PATIENCE);
    said.expect(
        2,
        &[
            "lacks the rows of",
            "Put the folder back",
            "thalweg checkpoint rollback",
        ],
    );
    // The way out that it names.
    let folder = job.checkpoints().join("archive");
    let command = format!("thalweg checkpoint rollback {} ", folder.display());
    let epoch = said.err.rsplit_once(&command).unwrap().1;
    let epoch: String = epoch.chars().take_while(char::is_ascii_digit).collect();
    let folder = folder.to_str().unwrap();
    let back = run(&["checkpoint", "rollback", folder, &epoch, "--yes"]);
    assert_eq!(back.code, 0, "{back:?}");
    let mut running = job.start();
    running.until_said("the rows are lost", PATIENCE);
    running.until_ready();
    running.finish();
    assert!(job.seen().into_values().all(|times| times == 1));
}

#[test]
fn a_folder_that_was_moved_goes_on_where_it_is_now() {
    let job = killed();
    let text = fs::read_to_string(job.file()).unwrap();
    let moved = job.dir.path().join("moved");
    fs::rename(job.folder(), &moved).unwrap();
    job.write(&text.replace(job.folder().to_str().unwrap(), moved.to_str().unwrap()));
    let mut running = job.start();
    running.until_ready();
    running.finish();
    fs::rename(&moved, job.folder()).unwrap();
    assert!(job.expect_all_once() > 0);
}

#[test]
fn rows_after_an_epoch_gone_back_to_are_written_again_and_none_is_lost() {
    let job = killed();
    let folder = job.checkpoints().join("archive");
    let back = run(&[
        "checkpoint",
        "rollback",
        folder.to_str().unwrap(),
        "3",
        "--yes",
    ]);
    assert_eq!(back.code, 0, "{back:?}");
    let mut running = job.start();
    running.until_ready();
    running.finish();
    // What was still hidden is cut off where the epoch was, so nothing is there twice.
    assert!(job.expect_all_once() > 0);
}

#[test]
fn a_bounded_run_leaves_all_rows_visible() {
    let job = Job::numbers("rollInterval '1 hour'");
    let input = job.dir.path().join("in.jsonl");
    let lines: Vec<String> = (0..500).map(|n| format!("{{\"value\":{n}}}\n")).collect();
    fs::write(&input, lines.concat()).unwrap();
    job.write(&format!(
        "SET checkpointLocation = '{}';
SET trigger = 'available now';
CREATE TABLE numbers (value BIGINT) USING file OPTIONS (path '{}');
CREATE TABLE archive USING json OPTIONS (path '{}') PARTITIONED BY (part);
INSERT INTO archive SELECT value, value % 3 AS part FROM numbers;
",
        job.checkpoints().display(),
        input.display(),
        job.folder().display()
    ));
    for _ in 0..2 {
        let said = job.start().end(PATIENCE);
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(job.expect_all_once(), 500);
    }
    assert_eq!(
        visible_files(&job.folder()).len(),
        3,
        "a run without rows leaves no file"
    );
}

#[test]
fn what_cannot_be_is_said_before_anything_is_read() {
    let job = Job::numbers("compression 'gzip'");
    let said = job.call("check");
    assert_eq!(said.code, 0, "{said:?}");
    let folder = job.folder();
    assert!(
        said.out.contains(&format!(
            "writes {}/part=*/part-*.json.gz",
            folder.display()
        )) && said.out.contains("with value BIGINT")
            && said
                .out
                .contains("becomes visible 600 seconds after its first row"),
        "{}",
        said.out
    );

    fs::write(&folder, "a file in its place").unwrap();
    let said = job.start().end(PATIENCE);
    said.expect(2, &["cannot be written", folder.to_str().unwrap()]);
    fs::remove_file(&folder).unwrap();

    let text = fs::read_to_string(job.file()).unwrap();
    let expect = |text: &str, says: &str| {
        job.write(text);
        let said = job.call("check");
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains(says), "{said:?}");
    };
    expect(
        &text
            .replace("INSERT", "SET outputMode = 'complete';\nINSERT")
            .replace(
                "SELECT value, value % 3 AS part FROM ticks",
                "SELECT count(*) AS value, value % 3 AS part FROM ticks GROUP BY value % 3",
            ),
        "Data source json does not support Complete output mode",
    );
    let second = text
        .replace("TABLE archive", "TABLE other")
        .replace("INTO archive", "INTO other");
    let second = second.split_once("CREATE TABLE other").unwrap().1;
    let both = format!("{text}CREATE TABLE other{second}");
    expect(&both, "write the same folder");
    expect(
        &text.replace("USING json", "USING orc"),
        "ORC files are not written",
    );
    expect(
        &text.replace("(part);", "(day);"),
        "the query gives no column `day`",
    );
}

#[test]
fn two_jobs_do_not_write_one_folder() {
    let job = Job::numbers("rollInterval '1 hour'");
    let mut first = job.start();
    first.until_ready();
    let text = fs::read_to_string(job.file()).unwrap();
    job.write(&text.replace("/checkpoints'", "/others'"));
    let said = job.start().end(PATIENCE);
    said.expect(2, &["is being written by another query"]);
    first.finish();
}
