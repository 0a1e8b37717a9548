//! `--input` and `--output`: a job on files, pipes and stdin in place of its tables, and when such a run ends.

#![allow(clippy::unwrap_used)]

mod command;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use command::{Said, ended, thalweg};

/// The loyalty job as it ships; its tables are Kafka's.
const LOYALTY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/loyalty.sql");

/// The two invoices of the README, and what comes out.
const SAMPLE: &str = "\
{\"BillNo\": \"4711\", \"CustomerCardNo\": \"C-1\", \"TotalValue\": 120.5}
{\"BillNo\": \"4712\", \"CustomerCardNo\": \"C-2\", \"TotalValue\": 80}
";
const POINTS: &str = "\
{\"BillNo\":\"4711\",\"CustomerCardNo\":\"C-1\",\"TotalValue\":120.5,\"EarnedLoyaltyPoints\":24.1}
{\"BillNo\":\"4712\",\"CustomerCardNo\":\"C-2\",\"TotalValue\":80.0,\"EarnedLoyaltyPoints\":16.0}
";

/// The loyalty job with `invoices` read from here and `notification` written to stdout.
fn loyalty(folder: &Path, from: &str, more: &[&str]) -> Command {
    let input = format!("invoices={from}");
    let output = "notification=-";
    let mut arguments = vec![
        "run", LOYALTY, "--input", &input, "--output", output, "--http", "off",
    ];
    arguments.extend_from_slice(more);
    let mut command = thalweg(&arguments);
    command.current_dir(folder);
    command
}

fn said(mut command: Command) -> Said {
    ended(command.spawn().unwrap())
}

/// A folder with the sample in `sample.jsonl`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sample.jsonl"), SAMPLE).unwrap();
    folder
}

#[test]
fn a_file_is_read_to_its_end_and_then_the_job_has_ended_whatever_its_trigger() {
    let folder = folder();
    for trigger in ["continuous", "1 second", "once", "available now"] {
        let trigger = format!("trigger={trigger}");
        let done = said(loyalty(folder.path(), "sample.jsonl", &["--set", &trigger]));
        assert_eq!(
            (done.code, done.out.as_str()),
            (0, POINTS),
            "{trigger} {done:?}"
        );
        assert!(
            done.err.contains("notification: ended"),
            "{trigger} {done:?}"
        );
    }
    assert!(
        !folder.path().join("checkpoints").exists(),
        "a temporary folder serves"
    );
}

#[test]
fn fields_that_are_missing_or_unknown_are_no_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("in.jsonl"),
        "{\"BillNo\":\"b-1\",\"CreatedTime\":1,\"StoreID\":\"s\",\"PaymentMode\":\"CARD\",\"CustomerCardNo\":\"c-1\",\"TotalValue\":100.0}\n\
         {\"BillNo\":\"b-2\",\"CustomerCardNo\":null,\"TotalValue\":12.5,\"unknown\":[1]}\n",
    )
    .unwrap();
    let done = said(loyalty(folder.path(), "in.jsonl", &[]));
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        done.out,
        "{\"BillNo\":\"b-1\",\"CustomerCardNo\":\"c-1\",\"TotalValue\":100.0,\"EarnedLoyaltyPoints\":20.0}\n\
         {\"BillNo\":\"b-2\",\"TotalValue\":12.5,\"EarnedLoyaltyPoints\":2.5}\n"
    );
}

#[test]
fn stdin_is_followed_until_it_is_closed() {
    let folder = folder();
    let mut command = loyalty(folder.path(), "-", &[]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut rows = BufReader::new(child.stdout.take().unwrap()).lines();
    for (line, row) in SAMPLE.lines().zip(POINTS.lines()) {
        // Each row comes out while the next line is not written yet: nothing waits for the end.
        writeln!(input, "{line}").unwrap();
        assert_eq!(rows.next().unwrap().unwrap(), row);
        assert!(
            child.try_wait().unwrap().is_none(),
            "it has ended before its input"
        );
    }
    drop(input);
    let done = ended(child);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(rows.next().is_none());
}

#[test]
fn a_named_pipe_is_followed_until_its_writer_closes_it() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let child = loyalty(folder.path(), "pipe", &[]).spawn().unwrap();
    fs::write(&pipe, SAMPLE).unwrap();
    let done = ended(child);
    assert_eq!((done.code, done.out.as_str()), (0, POINTS), "{done:?}");
}

#[test]
fn an_empty_file_and_one_without_a_last_newline_end_as_well() {
    let folder = folder();
    for (text, rows) in [("", ""), (SAMPLE.trim_end(), POINTS)] {
        fs::write(folder.path().join("in.jsonl"), text).unwrap();
        let done = said(loyalty(folder.path(), "in.jsonl", &[]));
        assert_eq!((done.code, done.out.as_str()), (0, rows), "{done:?}");
    }
}

#[test]
fn what_cannot_be_read_or_is_no_input_is_refused() {
    let folder = folder();
    for (from, why) in [
        ("nowhere.jsonl", "nowhere.jsonl cannot be read"),
        (".", "is a folder, not a file"),
    ] {
        let done = said(loyalty(folder.path(), from, &[]));
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.err.contains(why), "{done:?}");
        assert_eq!(done.out, "");
    }
    for (arguments, why) in [
        (
            ["--input", "invoice=sample.jsonl"],
            "did you mean `invoices`?",
        ),
        (["--input", "invoices"], "<TABLE=FILE>': it has no `=`"),
        (
            ["--output", "notifications=-"],
            "did you mean `notification`?",
        ),
        // It would run on the topics that the file was to keep it from.
        (
            ["--input", "notification=sample.jsonl"],
            "no query reads the table `notification`\n  help: write --output notification=...",
        ),
        (
            ["--output", "invoices=-"],
            "no query writes the table `invoices`\n  help: write --input invoices=...",
        ),
    ] {
        let mut command = thalweg(&["run", LOYALTY, "--http", "off", arguments[0], arguments[1]]);
        command.current_dir(folder.path());
        let done = said(command);
        assert_eq!(done.code, 2, "{arguments:?} {done:?}");
        assert!(done.err.contains(why), "{arguments:?} {done:?}");
    }
}

#[test]
fn a_file_that_is_read_is_not_written_over() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::hard_link(at("sample.jsonl"), at("again.jsonl")).unwrap();
    for output in ["sample.jsonl", "./sample.jsonl", "again.jsonl"] {
        let mut command = thalweg(&["run", LOYALTY, "--http", "off"]);
        command.args(["--input", "invoices=sample.jsonl"]);
        command
            .arg("--output")
            .arg(format!("notification={output}"));
        command.current_dir(folder.path());
        let done = said(command);
        assert_eq!(done.code, 2, "{done:?}");
        let why = "would be written to the file that `invoices` is read from, sample.jsonl";
        assert!(done.err.contains(why), "{done:?}");
        assert_eq!(fs::read_to_string(at("sample.jsonl")).unwrap(), SAMPLE);
    }
    // As tables of the job, whichever query has them, and however it is named.
    let uri = format!("file:{}", at("sample.jsonl").display());
    for (read, written) in [
        ("sample.jsonl", "sample.jsonl"),
        ("sample.jsonl", &uri),
        (&uri, "again.jsonl"),
    ] {
        let text = format!(
            "SET checkpointLocation = './checkpoints';
CREATE TABLE invoices (BillNo STRING) USING file OPTIONS (path '{read}');
CREATE TABLE copied USING file OPTIONS (path '{written}');
CREATE TABLE ticks USING rate;
INSERT INTO copied SELECT value FROM ticks;
SELECT BillNo FROM invoices;
"
        );
        fs::write(at("job.sql"), text).unwrap();
        let mut command = thalweg(&["run", "job.sql", "--http", "off"]);
        command.current_dir(folder.path());
        let done = said(command);
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.err.starts_with("error: job.sql:5:"), "{done:?}");
        assert_eq!(fs::read_to_string(at("sample.jsonl")).unwrap(), SAMPLE);
    }
}

#[test]
fn a_bad_line_names_what_helps_where_no_checkpoint_stays() {
    let folder = folder();
    fs::write(
        folder.path().join("in.jsonl"),
        format!("{SAMPLE}{{\"BillNo\": \"4713\", \"TotalValue\": \"many\"}}\n{SAMPLE}"),
    )
    .unwrap();
    let failed = said(loyalty(folder.path(), "in.jsonl", &[]));
    assert_eq!(
        (failed.code, failed.out.as_str()),
        (1, POINTS),
        "{failed:?}"
    );
    for part in ["in.jsonl:3:", "`TotalValue`", "--set onError=skip"] {
        assert!(failed.err.contains(part), "{part}: {failed:?}");
    }
    // The temporary folder is gone with the process: no command can step over a record there.
    assert!(!failed.err.contains("thalweg checkpoint"), "{failed:?}");
    // What the message proposes is what helps.
    let skipped = said(loyalty(
        folder.path(),
        "in.jsonl",
        &["--set", "onError=skip"],
    ));
    assert_eq!(skipped.code, 0, "{skipped:?}");
    assert_eq!(skipped.out, format!("{POINTS}{POINTS}"));
}
