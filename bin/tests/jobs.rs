//! The jobs that ship with the program have tests, and `thalweg test` says what differs.

#![allow(clippy::unwrap_used)]

mod command;
#[path = "stage/runtime.rs"]
#[allow(dead_code, unreachable_pub)]
mod runtime;

use std::fs;
use std::path::{Path, PathBuf};

use command::{Said, ended, thalweg};

fn jobs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs")
}

fn test(job: &Path, folder: &Path, more: &[&str]) -> Said {
    let mut arguments = vec!["test", job.to_str().unwrap(), folder.to_str().unwrap()];
    arguments.extend_from_slice(more);
    let mut command = thalweg(&arguments);
    if job.ends_with("fraud.sql") {
        // Its model lies beside it.
        command.current_dir(jobs());
        command.env("ORT_DYLIB_PATH", runtime::runtime());
    }
    ended(command.spawn().unwrap())
}

/// A folder with a job and the files of its test.
fn scene(job: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.sql");
    fs::write(&file, job).unwrap();
    fs::create_dir(folder.path().join("test")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join("test").join(name), text).unwrap();
    }
    (folder, file)
}

const DOUBLES: &str = "\
SET checkpointLocation = './checkpoints';
CREATE TABLE amounts (id BIGINT NOT NULL, amount DOUBLE) USING kafka OPTIONS (
  kafka.bootstrap.servers '${NOWHERE}', subscribe 'amounts', format 'json', kafka.sasl.password '${file:/no/such/file}');
CREATE TABLE doubled USING kafka OPTIONS (kafka.bootstrap.servers '${NOWHERE}', topic 'doubled', format 'json');
INSERT INTO doubled SELECT id, amount * 2 AS amount, current_timestamp() AS at FROM amounts;
";

#[test]
fn every_shipped_job_passes_its_test_also_with_a_restart_after_each_record() {
    let mut tested = 0;
    for entry in fs::read_dir(jobs()).unwrap() {
        let job = entry.unwrap().path();
        if job.extension().is_none_or(|kind| kind != "sql") {
            continue;
        }
        // A build without what they need refuses them.
        if !cfg!(feature = "kinesis") && job.ends_with("kinesis_messages.sql")
            || !cfg!(feature = "parquet") && job.ends_with("archive.sql")
            || !cfg!(feature = "onnx") && job.ends_with("fraud.sql")
        {
            continue;
        }
        let folder = jobs().join("tests").join(job.file_stem().unwrap());
        assert!(folder.is_dir(), "{} has no test", job.display());
        for more in [&[][..], &["--restarts"][..]] {
            let said = test(&job, &folder, more);
            assert_eq!(said.code, 0, "{} {more:?}: {said:?}", job.display());
        }
        tested += 1;
    }
    assert!(tested >= 2);
}

#[test]
fn a_test_needs_no_secret_and_no_server_and_its_clock_stands_still() {
    let (folder, job) = scene(
        DOUBLES,
        &[
            (
                "amounts.jsonl",
                "{\"id\":1,\"amount\":2.5}\n{\"id\":2,\"_at\":\"+90 seconds\",\"_metadata\":{\"key\":\"k\"}}\n",
            ),
            (
                "doubled.expected.jsonl",
                "{\"id\":1,\"amount\":5,\"at\":\"2026-01-01T00:00:00.000Z\"}\n\
                 {\"id\":2,\"amount\":null,\"at\":\"2026-01-01T00:01:30.000Z\"}\n",
            ),
        ],
    );
    let said = test(&job, &folder.path().join("test"), &[]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.out
            .contains("doubled.expected.jsonl: 2 rows, as expected"),
        "{said:?}"
    );
}

#[test]
fn what_differs_is_shown_and_update_writes_it_down() {
    let (folder, job) = scene(
        DOUBLES,
        &[
            (
                "amounts.jsonl",
                "{\"id\":1,\"amount\":2.5}\n{\"id\":2,\"amount\":1}\n",
            ),
            (
                "doubled.expected.jsonl",
                "{\"id\":1,\"amount\":4.0,\"at\":\"2026-01-01T00:00:00.000Z\"}\n{\"id\":9}\n",
            ),
        ],
    );
    let files = folder.path().join("test");
    let said = test(&job, &files, &[]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out
            .contains("doubled.expected.jsonl: 1 changed, 1 missing, 1 unexpected, 0 as expected"),
        "{said:?}"
    );
    assert!(said.out.contains("in        amount\n"), "{said:?}");
    assert_eq!(test(&job, &files, &["--update"]).code, 0);
    assert_eq!(test(&job, &files, &[]).code, 0);
}

#[test]
fn a_bad_record_is_a_failure_or_goes_the_way_that_the_job_says() {
    let amounts = "{\"id\":1,\"amount\":2.5}\n{\"id\":null}\nnull\n{\"id\":3,\"amount\":0}\n";
    let (folder, job) = scene(
        DOUBLES,
        &[("amounts.jsonl", amounts), ("doubled.expected.jsonl", "")],
    );
    let files = folder.path().join("test");
    let said = test(&job, &files, &[]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out
            .contains("query doubled ended: a record failed (decode)")
            && said.out.contains("amounts.jsonl:2: "),
        "{said:?}"
    );
    let skip = ["--set", "onError=skip", "--update"];
    let said = test(&job, &files, &skip);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.out.contains("1 record was bad and skipped"),
        "{said:?}"
    );
    let rows = fs::read_to_string(files.join("doubled.expected.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 2, "{rows}");
}

#[test]
fn files_that_are_missing_or_of_no_table_are_refused() {
    let (folder, job) = scene(DOUBLES, &[]);
    let files = folder.path().join("test");
    let said = test(&job, &files, &[]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("holds no amounts.jsonl"), "{said:?}");
    fs::write(files.join("amount.jsonl"), "").unwrap();
    let said = test(&job, &files, &[]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.err.contains("its tables are amounts, doubled"),
        "{said:?}"
    );
    fs::remove_file(files.join("amount.jsonl")).unwrap();
    fs::write(files.join("amounts.jsonl"), "").unwrap();
    let said = test(&job, &files, &[]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("--update writes it"), "{said:?}");
    fs::write(files.join("amounts.jsonl"), "{\"_at\":\"soon\"}\n").unwrap();
    let said = test(&job, &files, &["--update"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.err.contains("amounts.jsonl:1: `_at` takes a time"),
        "{said:?}"
    );
}

#[test]
fn a_trigger_comes_with_the_clock_of_the_test() {
    let (folder, job) = scene(
        "CREATE TABLE lines USING socket OPTIONS (host 'h', port '1');\n\
         SET outputMode = 'complete';\nSET trigger = '8 seconds';\n\
         SELECT value, count(*) AS n FROM lines GROUP BY value;\n",
        &[
            (
                "lines.jsonl",
                "{\"value\":\"a\"}\n{\"value\":\"b\",\"_at\":\"+7 seconds\"}\n{\"value\":\"a\",\"_at\":\"+1 minute\"}\n",
            ),
            (
                "console.expected.jsonl",
                "{\"value\":\"a\",\"n\":1}\n{\"value\":\"b\",\"n\":1}\n{\"value\":\"a\",\"n\":2}\n{\"value\":\"b\",\"n\":1}\n",
            ),
        ],
    );
    let said = test(&job, &folder.path().join("test"), &[]);
    assert_eq!(said.code, 0, "{said:?}");
}
