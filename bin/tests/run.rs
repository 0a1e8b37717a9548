//! `thalweg run` and `check` as a user meets them, without any server.

#![allow(clippy::unwrap_used)]

mod command;
#[path = "run/servers.rs"]
mod servers;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use command::{COUNTS, Said, ended, job, run, started, terminate, within};

/// Doubles amounts from file to file.
const DOUBLES: &str = "\
SET checkpointLocation = './checkpoints';
CREATE TABLE amounts (id BIGINT, amount DOUBLE) USING file OPTIONS (path 'in.jsonl', mode 'FAILFAST');
CREATE TABLE doubled USING file OPTIONS (path 'out.jsonl');
INSERT INTO doubled SELECT id, amount * 2 AS amount FROM amounts;
";

fn said(folder: &Path, arguments: &[&str]) -> Said {
    ended(within(folder, arguments).spawn().unwrap())
}

#[test]
fn a_typo_is_shown_with_line_column_and_caret() {
    let folder = job(
        "CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '50');\nSELECT valeu FROM ticks;\n",
    );
    for command in ["run", "check"] {
        let refused = said(folder.path(), &[command, "job.sql"]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            refused.err.starts_with("error: job.sql:2:8: "),
            "{refused:?}"
        );
        assert!(
            refused
                .err
                .contains("2 | SELECT valeu FROM ticks;\n  |        ^"),
            "{refused:?}"
        );
        assert!(refused.err.contains("did you mean `value`?"), "{refused:?}");
        assert_eq!(refused.out, "");
    }
}

#[test]
fn queries_whose_positions_go_to_one_group_are_warned_of() {
    let two = |group: &str| {
        format!(
            "SET checkpointLocation = './checkpoints';
             CREATE TABLE came USING kafka OPTIONS (kafka.bootstrap.servers 'b:9092', subscribe 'words'{group});
             CREATE TABLE some USING kafka OPTIONS (kafka.bootstrap.servers 'b:9092', topic 'some');
             CREATE TABLE more USING kafka OPTIONS (kafka.bootstrap.servers 'b:9092', topic 'more');
             INSERT INTO some SELECT value FROM came;
             INSERT INTO more SELECT value FROM came;"
        )
    };
    for (group, warned) in [(", kafka.group.id 'all'", 2), ("", 0)] {
        let folder = job(&two(group));
        let checked = said(folder.path(), &["check", "job.sql"]);
        assert_eq!(checked.code, 0, "{checked:?}");
        let warnings = checked.out.matches("commits to the same Kafka group, all");
        assert_eq!(warnings.count(), warned, "{checked:?}");
    }
}

#[test]
fn a_query_that_reads_a_topic_it_writes_is_warned_of() {
    let echo = |reads: &str| {
        format!(
            "SET checkpointLocation = './checkpoints';
             SET onError = 'deadLetter';
             SET deadLetterTable = 'failed';
             CREATE TABLE came USING kafka OPTIONS (kafka.bootstrap.servers 'b:9092', {reads});
             CREATE TABLE goes USING kafka OPTIONS (kafka.bootstrap.servers 'b:9092', topic 'words');
             CREATE TABLE failed USING kafka OPTIONS (kafka.bootstrap.servers 'b:9092', topic 'words-failed');
             INSERT INTO goes SELECT value FROM came;"
        )
    };
    for (reads, warned) in [
        ("subscribe 'other, words'", &["words"][..]),
        ("subscribe 'word'", &[]),
        ("subscribePattern 'word'", &["words", "words-failed"]),
        ("subscribePattern '^word$'", &[]),
    ] {
        let folder = job(&echo(reads));
        let check = said(folder.path(), &["check", "job.sql"]);
        assert_eq!(check.code, 0, "{check:?}");
        for topic in ["words", "words-failed"] {
            let warning = format!("the query reads the topic {topic} that it writes");
            let expected = warned.contains(&topic);
            assert_eq!(check.out.contains(&warning), expected, "{check:?}");
        }
    }
}

#[test]
fn a_mirror_of_a_topic_says_which_columns_are_not_written() {
    let mirror = |columns: &str| {
        format!(
            "SET checkpointLocation = './checkpoints';
             CREATE TABLE came USING kafka OPTIONS (kafka.bootstrap.servers 'b:9092', subscribe 'words');
             CREATE TABLE copies USING kafka OPTIONS (kafka.bootstrap.servers 'b:9092', topic 'copies');
             INSERT INTO copies SELECT {columns} FROM came;"
        )
    };
    let folder = job(&mirror("*"));
    let check = said(folder.path(), &["check", "job.sql"]);
    assert_eq!(check.code, 0, "{check:?}");
    let told = "not written: offset, timestamp, timestampType. Without";
    assert!(check.out.contains(told), "{check:?}");
    let folder = job(&mirror("key, value, topic, partition"));
    let check = said(folder.path(), &["check", "job.sql"]);
    assert!(!check.out.contains("not written"), "{check:?}");
    let folder = job(&mirror("key"));
    let check = said(folder.path(), &["check", "job.sql"]);
    assert_eq!(check.code, 2, "{check:?}");
}

#[test]
fn what_the_command_line_gets_wrong_is_refused_before_anything_begins() {
    let folder = job(COUNTS);
    for (arguments, why) in [
        (&["run", "job.sql", "--frsh"][..], "--fresh"),
        (&["rum", "job.sql"], "run"),
        (&["run", "none.sql"], "cannot be read"),
        (&["run", "."], "is a folder"),
        (
            &["run", "job.sql", "--set", "checkpointIntervall=1 second"],
            "checkpointInterval",
        ),
        (&["run", "job.sql", "--input", "nothing=-"], "nothing"),
        (&["run", "job.sql", "--input", "in.jsonl"], "it has no `=`"),
        (&["run", "job.sql", "--http", "nowhere"], "--http nowhere"),
        (&["run", "job.sql", "--log-level", "=loud="], "log level"),
        (&["run", "job.sql", "--log-level", "inof"], "`inof` is no"),
    ] {
        let refused = said(folder.path(), arguments);
        assert_eq!(refused.code, 2, "{arguments:?} {refused:?}");
        assert!(refused.err.contains(why), "{arguments:?} {refused:?}");
        assert_eq!(refused.out, "", "{arguments:?}");
    }
}

#[test]
fn a_password_in_the_line_of_a_mistake_is_not_shown() {
    let table = |password: &str| {
        format!(
            "CREATE TABLE t (a STRING) USING kafka OPTIONS (kafka.bootstrap.servers 'a:1', {password}, subscibe 't');\nSELECT a FROM t;\n"
        )
    };
    for password in [
        "kafka.sasl.password 'hunter2'",
        "kafka.sasl.pasword 'hunter2'",
        "kafka.sasl.password hunter2",
        "kafka.sasl.password 'x' 'hunter2'",
        "kafka.sasl.jaas.config 'x required username=\"a\" password=\"hunter2\";'",
    ] {
        let refused = said(job(&table(password)).path(), &["run", "job.sql"]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.err.contains("1 | CREATE TABLE t"), "{refused:?}");
        assert!(!refused.err.contains("hunter2"), "{refused:?}");
    }
}

#[test]
fn a_missing_quote_is_looked_for_where_the_text_begins() {
    // One is missing: nothing closes the last of the file. Two are: every second text is read as words.
    for rest in [
        "'json');\nSELECT 'b' AS b FROM t",
        "'json);\nSELECT a FROM t",
    ] {
        let folder = job(&format!(
            "-- it's\nCREATE TABLE t (a STRING) USING file OPTIONS (path 'in,\n  format {rest};\n"
        ));
        let refused = said(folder.path(), &["check", "job.sql"]);
        assert_eq!(refused.code, 2, "{refused:?}");
        let help =
            "the text that begins in line 2 goes on in line 3: is its closing quote missing?";
        assert!(refused.err.contains(help), "{refused:?}");
    }
}

#[test]
fn a_file_from_an_editor_of_windows_is_read() {
    let folder = job(&format!("\u{feff}{}", COUNTS.replace('\n', "\r\n")));
    let checked = said(folder.path(), &["check", "job.sql"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let text = format!("\u{feff}{}", COUNTS.replace("USING rate", "USING rat"));
    fs::write(folder.path().join("job.sql"), text).unwrap();
    let refused = said(folder.path(), &["check", "job.sql"]);
    assert!(
        refused.err.starts_with("error: job.sql:1:26: "),
        "{refused:?}"
    );
    assert!(refused.err.contains("1 | CREATE TABLE"), "{refused:?}");
    let mut wide = vec![0xff, 0xfe];
    wide.extend(COUNTS.encode_utf16().flat_map(u16::to_le_bytes));
    fs::write(folder.path().join("job.sql"), wide).unwrap();
    let refused = said(folder.path(), &["check", "job.sql"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let why = "is written in UTF-16: save it as UTF-8";
    assert!(refused.err.contains(why), "{refused:?}");
}

#[test]
fn a_log_that_cannot_be_written_any_more_ends_no_job() {
    let folder = job(COUNTS);
    for gone in ["the reader has gone", "the disk is full"] {
        let mut command = within(folder.path(), &["run", "job.sql", "--http", "off"]);
        if gone == "the disk is full" {
            command.stderr(fs::File::create("/dev/full").unwrap());
        }
        let mut child = command.spawn().unwrap();
        drop(child.stderr.take());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().trim() == "5"), "{gone}");
        // What it says of the signal cannot be written either.
        terminate(&child);
        lines.for_each(drop);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{gone}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    let folder = job(COUNTS);
    for arguments in [&["check", "job.sql"][..], &["functions"], &["version"]] {
        let mut command = within(folder.path(), arguments);
        command.stdout(fs::File::create("/dev/full").unwrap());
        let failed = command.output().unwrap();
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}");
        let err = String::from_utf8_lossy(&failed.stderr);
        assert!(err.contains("stdout cannot be written: No space"), "{err}");
    }
}

#[test]
fn check_shows_the_typed_plan_and_the_settings_in_force() {
    let folder = job(DOUBLES);
    let shown = said(
        folder.path(),
        &["check", "job.sql", "--set", "checkpointInterval=250 ms"],
    );
    assert_eq!(shown.code, 0, "{shown:?}");
    for part in [
        "job job (job.sql), 1 query",
        "query doubled (line 4)",
        "amounts USING file",
        "(amount * 2",
        "DOUBLE",
        "./checkpoints/doubled",
        "checkpointInterval   250 ms  (command line)",
    ] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    assert!(
        !folder.path().join("checkpoints").exists(),
        "a check makes nothing"
    );
}

#[test]
fn check_says_which_table_each_row_is_compared_with_whole() {
    let job_of = |condition: &str| {
        job(&format!(
            "CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '50');\n\
             CREATE TABLE bands (low BIGINT, name STRING) USING csv OPTIONS (path './bands', static 'true');\n\
             SELECT value, name FROM ticks JOIN bands ON {condition};\n"
        ))
    };
    let cost = "each row is compared with every row of bands";
    let folder = job_of("value > low");
    let checked = said(folder.path(), &["check", "job.sql"]);
    assert!(checked.out.contains(cost), "{checked:?}");
    let folder = job_of("value = low");
    let checked = said(folder.path(), &["check", "job.sql"]);
    assert!(!checked.out.contains(cost), "{checked:?}");
}

#[test]
fn two_processes_cannot_share_a_checkpoint_folder() {
    let text = "SET checkpointLocation = './checkpoints';\n\
                CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '50');\n\
                CREATE TABLE out USING file OPTIONS (path '-');\n\
                INSERT INTO out SELECT value FROM ticks;\n";
    let folder = job(text);
    let first = started(folder.path(), &["run", "job.sql", "--http", "off"]);
    let second = said(folder.path(), &["run", "job.sql", "--http", "off"]);
    assert_eq!(second.code, 2, "{second:?}");
    let pid = first.id();
    assert!(
        second
            .err
            .contains(&format!("is in use by the process {pid}")),
        "{second:?}"
    );
    terminate(&first);
    assert_eq!(ended(first).code, 0);
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let folder = job(&DOUBLES.replace("./checkpoints", "./job.sql/checkpoints"));
    fs::write(folder.path().join("in.jsonl"), "").unwrap();
    let refused = said(folder.path(), &["run", "job.sql", "--http", "off"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused
            .err
            .contains("checkpoint folder ./job.sql/checkpoints/doubled cannot be used"),
        "{refused:?}"
    );
    assert!(
        refused
            .err
            .contains("./job.sql is no folder: move it away, or set another checkpointLocation"),
        "{refused:?}"
    );
}

#[test]
fn a_checkpoint_folder_behind_a_link_that_leads_to_nothing_says_so() {
    let folder = job(DOUBLES);
    fs::write(folder.path().join("in.jsonl"), "").unwrap();
    std::os::unix::fs::symlink("gone", folder.path().join("checkpoints")).unwrap();
    said(folder.path(), &["run", "job.sql", "--http", "off"]).expect(
        2,
        &["./checkpoints is a link that leads to nothing: make the folder that it names"],
    );
}

#[test]
fn a_limit_of_open_files_that_no_job_can_live_with_is_refused_and_a_low_soft_one_is_raised() {
    let folder = job(DOUBLES);
    fs::write(
        folder.path().join("in.jsonl"),
        "{\"id\": 1, \"amount\": 2}\n",
    )
    .unwrap();
    let limited = |limit: &str| {
        let run = format!(
            "ulimit {limit}; exec '{}' run job.sql --http off --set trigger='available now'",
            env!("CARGO_BIN_EXE_thalweg")
        );
        let child = Command::new("sh")
            .args(["-c", &run])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        ended(child.unwrap())
    };
    limited("-n 16").expect(2, &["raise the limit (`ulimit -n`)"]);
    limited("-Sn 16").expect(0, &[]);
}

#[test]
fn a_variable_that_is_no_text_is_not_taken_for_one_that_is_not_set() {
    use std::os::unix::ffi::OsStrExt;
    let folder = job(&DOUBLES.replace("in.jsonl", "${THALWEG_IN:-in.jsonl}"));
    fs::write(folder.path().join("in.jsonl"), "").unwrap();
    let child = within(folder.path(), &["run", "job.sql", "--http", "off"])
        .env("THALWEG_IN", std::ffi::OsStr::from_bytes(b"\xff.jsonl"))
        .spawn();
    ended(child.unwrap()).expect(
        2,
        &["the value of the environment variable THALWEG_IN is not UTF-8 text"],
    );
}

#[test]
fn a_bad_record_ends_the_job_with_1_and_what_to_do_and_a_restart_goes_on() {
    let folder = job(DOUBLES);
    let at = |name: &str| folder.path().join(name);
    fs::write(
        at("in.jsonl"),
        "{\"id\":1,\"amount\":1.5}\n{\"id\":true}\n{\"id\":3,\"amount\":3}\n",
    )
    .unwrap();
    let failed = said(folder.path(), &["run", "job.sql", "--http", "off"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.err.contains("amounts/0@22"), "{failed:?}");
    // Positions are bytes: what comes after one is not known without reading on.
    assert!(
        failed
            .err
            .contains("run the query with --set onError=skip until it is past it"),
        "{failed:?}"
    );
    assert_eq!(
        fs::read_to_string(at("out.jsonl")).unwrap(),
        "{\"id\":1,\"amount\":3.0}\n"
    );

    let shown = said(folder.path(), &["inspect", "checkpoints"]);
    assert!(
        shown.out.contains("at amounts/0 from position 22\n"),
        "{shown:?}"
    );

    let skipped = said(
        folder.path(),
        &[
            "run",
            "job.sql",
            "--http",
            "off",
            "--set",
            "doubled.onError=skip",
        ],
    );
    assert_eq!(skipped.code, 0, "{skipped:?}");
    let rows = "{\"id\":1,\"amount\":3.0}\n{\"id\":3,\"amount\":6.0}\n";
    assert_eq!(
        fs::read_to_string(at("out.jsonl")).unwrap(),
        rows,
        "nothing is repeated"
    );

    let back = said(
        folder.path(),
        &[
            "checkpoint",
            "rollback",
            "checkpoints/doubled",
            "0",
            "--yes",
        ],
    );
    assert_eq!(back.code, 0, "{back:?}");
    let again = said(
        folder.path(),
        &["run", "job.sql", "--http", "off", "--set", "onError=skip"],
    );
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(
        fs::read_to_string(at("out.jsonl")).unwrap(),
        format!("{rows}{rows}")
    );
}

#[test]
fn one_query_that_fails_leaves_the_others_running_unless_they_fail_together() {
    let text = format!(
        "{COUNTS}CREATE TABLE amounts (id BIGINT) USING file OPTIONS (path 'in.jsonl', mode 'FAILFAST');\n\
                        CREATE TABLE gone USING noop;\nINSERT INTO gone SELECT id FROM amounts;\n"
    );
    let folder = job(&text);
    fs::write(folder.path().join("in.jsonl"), "{\n").unwrap();
    let together = said(
        folder.path(),
        &["run", "job.sql", "--http", "off", "--fail-together"],
    );
    assert_eq!(together.code, 1, "{together:?}");
    assert!(together.err.contains("console: ended"), "{together:?}");

    let mut child = within(folder.path(), &["run", "job.sql", "--http", "off"])
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(errors.any(|line| line.unwrap().contains("gone: the query cannot go on")));
    let mut rows = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        rows.nth(30).is_some(),
        "the other query shows rows all the same"
    );
    terminate(&child);
    let drain = std::thread::spawn(move || rows.count());
    assert!(errors.any(|line| line.unwrap().contains("console: ended")));
    assert_eq!(ended(child).code, 1);
    drain.join().unwrap();
}

#[test]
fn log_lines_are_json_when_asked_for() {
    let folder = job(COUNTS);
    let child = started(
        folder.path(),
        &["run", "job.sql", "--http", "off", "--log-format", "json"],
    );
    terminate(&child);
    let done = ended(child);
    assert_eq!(done.code, 0, "{done:?}");
    let lines: Vec<serde_json::Value> = done
        .err
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line["query"] == "console" && line["message"] == "running"),
        "{done:?}"
    );
    // What comes before the job is read knows no job.
    assert!(lines.iter().all(|line| line["job"] == "job"), "{done:?}");
}

#[test]
fn functions_are_listed_and_explained() {
    let all = run(&["functions"]);
    assert_eq!(all.code, 0);
    let one = run(&["functions", "substring"]);
    assert!(
        one.out.starts_with("substring(") && one.out.contains("example: "),
        "{one:?}"
    );
    assert!(all.out.lines().count() > one.out.lines().count());
    let wrong = run(&["functions", "lenght"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("did you mean `length`?"), "{wrong:?}");
}

#[test]
fn help_and_version_are_there() {
    let help = run(&["--help"]);
    assert_eq!(help.code, 0);
    assert_eq!(run(&["help"]).out, help.out);
    let one = run(&["help", "dlq", "list"]);
    assert_eq!(one.code, 0, "{one:?}");
    assert!(one.out.contains("--reason"), "{one:?}");
    assert!(help.out.contains("thalweg demo --seconds 5"), "{help:?}");
    let version = run(&["version"]);
    let first = format!("thalweg {}\n", env!("CARGO_PKG_VERSION"));
    assert!(version.out.starts_with(&first), "{version:?}");
}
