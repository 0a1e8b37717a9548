//! What ends a job from outside: signals, a terminal that goes, a reader that leaves.

#![allow(clippy::unwrap_used)]

mod command;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command::{COUNTS, ended, job, started, terminate, until, within};

#[test]
fn sigterm_ends_a_job_cleanly() {
    let folder = job(COUNTS);
    let child = started(folder.path(), &["run", "job.sql", "--http", "off"]);
    terminate(&child);
    let done = ended(child);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("SIGTERM: reading stops"), "{done:?}");
    assert!(done.err.contains("console: ended"), "{done:?}");
}

#[test]
fn a_terminal_that_is_closed_ends_a_job_cleanly_unless_it_is_to_outlive_it() {
    let folder = job(COUNTS);
    let arguments = ["run", "job.sql", "--http", "off"];
    let child = started(folder.path(), &arguments);
    send(&child, libc::SIGHUP);
    let done = ended(child);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("the terminal is gone"), "{done:?}");

    let nohup = Command::new("nohup")
        .arg(env!("CARGO_BIN_EXE_thalweg"))
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = nohup.unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    send(&child, libc::SIGHUP);
    terminate(&child);
    let done = ended(child);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("SIGTERM: reading stops"), "{done:?}");
}

fn send(child: &Child, signal: libc::c_int) {
    let pid = i32::try_from(child.id()).unwrap();
    // SAFETY: a signal to a child that is not yet waited for, so its id is still its own.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

#[test]
fn ctrl_c_that_arrives_twice_is_one_and_pressed_again_it_ends_the_job_at_once() {
    // Whoever listens takes connections and never answers, so that a stop has to wait.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = job(&format!(
        "SET checkpointLocation = './checkpoints';
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '50');
CREATE TABLE hook USING http OPTIONS (url 'http://{}/');
INSERT INTO hook SELECT value FROM ticks;
",
        silent.local_addr().unwrap()
    ));
    let mut child = within(folder.path(), &["run", "job.sql", "--http", "off"])
        .spawn()
        .unwrap();
    let (mut stream, _) = silent.accept().unwrap();
    stream.read_exact(&mut [0]).unwrap();
    // A terminal sends it to a wrapper too, which hands it on.
    send(&child, libc::SIGINT);
    send(&child, libc::SIGINT);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let stops = lines.any(|line| line.unwrap().contains("Ctrl-C: reading stops"));
    assert!(stops && child.try_wait().unwrap().is_none());
    until("it has ended", || {
        send(&child, libc::SIGINT);
        child.try_wait().unwrap().is_some()
    });
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(
        said.iter().any(|line| line.contains("Ctrl-C again")),
        "{said:?}"
    );
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// The second record takes minutes: a look ahead to the end of the text from each of its letters.
const LONG_RECORD: &str = "\
SET checkpointLocation = './checkpoints';
SET stopTimeout = '1 second';
CREATE TABLE texts (s STRING) USING file OPTIONS (path 'texts.jsonl');
CREATE TABLE found USING file OPTIONS (path 'found.jsonl');
INSERT INTO found SELECT s RLIKE '(?=.*b)a*c' AS there FROM texts;
";

#[test]
fn a_record_that_is_computed_for_minutes_does_not_hold_up_a_stop() {
    let arguments = ["run", "job.sql", "--http", "off"];
    let binary = env!("CARGO_BIN_EXE_thalweg");
    // On one processor the signals and the record are one thread's.
    for before in [&[][..], &["taskset", "-c", "0"]] {
        let folder = job(LONG_RECORD);
        let text = format!("{{\"s\": \"{}\"}}\n", "a".repeat(1_000_000));
        std::fs::write(folder.path().join("texts.jsonl"), text).unwrap();
        let command = [before, &[binary]].concat();
        let mut child = Command::new(command[0])
            .args([&command[1..], &arguments].concat())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until("it computes", || processor_seconds(&child) > 2);
        assert!(child.try_wait().unwrap().is_none());
        terminate(&child);
        let asked = Instant::now();
        let done = ended(child);
        assert!(asked.elapsed() < Duration::from_secs(15), "{done:?}");
        done.expect(
            1,
            &[
                "found",
                "stopped after stopTimeout",
                "a record is being computed",
            ],
        );
    }
}

/// The processor's time of a process so far.
fn processor_seconds(child: &Child) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let ticks = stat.split_whitespace().nth(13).unwrap();
    ticks.parse::<u64>().unwrap() / 100
}

#[test]
fn a_reader_that_leaves_ends_the_job_without_an_error() {
    let folder = job(COUNTS);
    let mut child = started(folder.path(), &["run", "job.sql", "--http", "off"]);
    drop(child.stdout.take());
    let done = ended(child);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!done.err.contains("ERROR"), "{done:?}");
}
