//! A job that reads a socket, with a server that comes and goes.

#![allow(clippy::unwrap_used)]

mod command;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use command::{thalweg, until};

const JOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/word_count_socket.sql");

/// A job that runs, with what it has said so far.
struct Job {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
}

fn gather(mut from: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let said = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&said);
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            heard
                .lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&piece[..count]));
        }
    });
    said
}

impl Job {
    fn start(port: u16, more: &[&str]) -> Self {
        let mut arguments = vec!["run", JOB, "--http", "127.0.0.1:0"];
        arguments.extend_from_slice(more);
        let mut child = thalweg(&arguments)
            .env("SOCKET_HOST", "127.0.0.1")
            .env("SOCKET_PORT", port.to_string())
            .spawn()
            .unwrap();
        Self {
            out: gather(child.stdout.take().unwrap()),
            err: gather(child.stderr.take().unwrap()),
            child,
        }
    }

    fn shows(&self, text: &str) {
        until(text, || self.out.lock().unwrap().contains(text));
    }

    fn says(&self, text: &str) {
        until(text, || self.err.lock().unwrap().contains(text));
    }

    /// Status and body of `/ready`.
    fn ready(&self) -> (bool, String) {
        self.says("metrics and probes at http://");
        let said = self.err.lock().unwrap().clone();
        let line = said.lines().find(|line| line.contains("http://")).unwrap();
        let address = line.rsplit("http://").next().unwrap().trim();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.starts_with("HTTP/1.1 200"), answer)
    }

    /// Ctrl-C; the exit code and how long it took.
    fn interrupt(mut self) -> (i32, Duration) {
        let began = Instant::now();
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: a signal to a child that is not yet waited for, so its id is still its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or(-1), began.elapsed())
    }
}

/// One batch as Spark's console prints it.
fn batch(number: u32, rows: &[(&str, u32)]) -> String {
    let rule = "-".repeat(43);
    let width = rows.iter().map(|(word, _)| word.len()).fold(4, usize::max);
    let edge = format!("+{}+-----+\n", "-".repeat(width));
    let mut out = format!(
        "{rule}\nBatch: {number}\n{rule}\n{edge}|{:>width$}|count|\n{edge}",
        "word"
    );
    for (word, count) in rows {
        out.push_str(&format!("|{word:>width$}|{count:>5}|\n"));
    }
    out + &edge + "\n"
}

#[test]
fn words_are_counted_and_shown_as_spark_shows_them() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let job = Job::start(port, &["--set", "trigger=300 ms"]);
    let (mut stream, _) = server.accept().unwrap();
    job.shows(&batch(0, &[]));
    stream.write_all(b"apache spark apache kafka\n").unwrap();
    job.shows(&batch(1, &[("apache", 2), ("spark", 1), ("kafka", 1)]));
    // The server goes and comes again; the counts go on.
    let before = job.err.lock().unwrap().len();
    drop((server, stream));
    job.says("has ended the connection; calling it again until it answers");
    until("/ready says no", || {
        let (ready, answer) = job.ready();
        !ready && answer.contains(&format!("127.0.0.1:{port}"))
    });
    let server = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (mut stream, _) = server.accept().unwrap();
    stream.write_all(b"kafka\n").unwrap();
    job.shows(&batch(2, &[("apache", 2), ("spark", 1), ("kafka", 2)]));
    until("/ready says yes", || job.ready().0);
    // The connection that ended and the calls that were refused are one outage.
    let said = job.err.lock().unwrap()[before..].to_owned();
    let told = |what: &str| said.lines().filter(|line| line.contains(what)).count();
    assert_eq!((told(" WARN "), told("running again")), (1, 1), "{said}");
    // Nothing comes for some triggers: no batch. Then a stop while the connection is idle.
    let (code, took) = job.interrupt();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(3), "too late: {took:?}");
}

#[test]
fn without_a_server_the_job_waits_says_so_and_stops_when_it_is_told() {
    let port = {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
        nobody.local_addr().unwrap().port()
    };
    let job = Job::start(port, &[]);
    job.says(&format!("waiting: `lines`: 127.0.0.1:{port} "));
    until("/ready says no", || {
        let (ready, answer) = job.ready();
        !ready && answer.contains(&format!("127.0.0.1:{port} "))
    });
    let (code, took) = job.interrupt();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(3), "too late: {took:?}");
}

#[test]
fn triggers_that_read_to_an_end_are_refused() {
    let said = command::run(&[
        "run",
        JOB,
        "--http",
        "off",
        "--set",
        "trigger=available now",
    ]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("has no end"), "{said:?}");
}
