//! The job's own web server, and servers of others that do not answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::command::{COUNTS, ended, job, terminate, until, within};
use super::said;

/// The status line and the body of a GET.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: thalweg\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn probes_and_metrics_are_served_and_a_taken_port_is_refused() {
    let folder = job(COUNTS);
    let mut child = within(folder.path(), &["run", "job.sql", "--http", "127.0.0.1:0"])
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = errors
        .find_map(|line| {
            line.unwrap()
                .split_once("probes at http://")
                .map(|(_, at)| at.to_owned())
        })
        .unwrap();
    let mut rows = BufReader::new(child.stdout.take().unwrap()).lines();
    let drain = std::thread::spawn(move || rows.by_ref().count());

    until("the query is ready", || {
        get(&address, "/ready").0.starts_with("HTTP/1.1 200")
    });
    let ready: serde_json::Value = serde_json::from_str(&get(&address, "/ready").1).unwrap();
    assert_eq!(ready["queries"][0]["query"], "console");
    assert_eq!(ready["queries"][0]["phase"], "running");
    assert!(get(&address, "/live").0.starts_with("HTTP/1.1 200"));
    until("an epoch is committed", || {
        !get(&address, "/metrics")
            .1
            .contains("thalweg_epochs_committed_total{query=\"console\"} 0\n")
    });
    let (head, body) = get(&address, "/metrics");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        body.contains(&format!("thalweg_build_info{{version=\"{version}\"}} 1")),
        "{body}"
    );
    assert!(
        body.contains("thalweg_query_ready{query=\"console\"} 1"),
        "{body}"
    );
    assert!(get(&address, "/nothing").0.starts_with("HTTP/1.1 404"));

    let second = said(folder.path(), &["run", "job.sql", "--http", &address]);
    assert_eq!(second.code, 2, "{second:?}");
    assert!(
        second.err.contains("another process listens there"),
        "{second:?}"
    );
    terminate(&child);
    assert_eq!(ended(child).code, 0);
    drain.join().unwrap();
}

/// Reads from a broker that is not there.
const UNREACHABLE: &str = "\
SET checkpointLocation = './checkpoints';
CREATE TABLE invoices USING kafka OPTIONS (
  kafka.bootstrap.servers '127.0.0.1:1', subscribe 'invoices', kafka.sasl.password '${SECRET}');
CREATE TABLE gone USING noop;
INSERT INTO gone SELECT value FROM invoices;
";

#[test]
fn a_broker_that_does_not_answer_is_waited_for_and_ready_says_so() {
    let folder = job(UNREACHABLE);
    let mut child = within(folder.path(), &["run", "job.sql", "--http", "127.0.0.1:0"])
        .env("SECRET", "hunter2hunter2")
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    let address = errors
        .find_map(|line| {
            let line = line.unwrap();
            said.push_str(&line);
            line.split_once("probes at http://")
                .map(|(_, at)| at.to_owned())
        })
        .unwrap();
    until("/ready names the broker", || {
        let (head, body) = get(&address, "/ready");
        said.push_str(&body);
        head.starts_with("HTTP/1.1 503") && body.contains("127.0.0.1:1")
    });
    assert!(get(&address, "/live").0.starts_with("HTTP/1.1 200"));
    terminate(&child);
    said.extend(errors.map(Result::unwrap));
    let done = ended(child);
    assert_eq!(done.code, 0, "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn check_hides_secrets_and_with_connect_names_the_broker_that_does_not_answer() {
    let folder = job(UNREACHABLE);
    // Without a connection it needs no secrets, and says which it has not got.
    let checked = said(folder.path(), &["check", "job.sql"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let unknown = "kafka.sasl.password ${SECRET} (no value here)";
    assert!(checked.out.contains(unknown), "{checked:?}");
    let mut command = within(folder.path(), &["check", "job.sql", "--connect"]);
    let refused = ended(command.env("SECRET", "hunter2hunter2").spawn().unwrap());
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.out.contains("kafka.sasl.password ******"),
        "{refused:?}"
    );
    assert!(refused.err.contains("invoices (read)"), "{refused:?}");
    assert!(refused.err.contains("127.0.0.1:1"), "{refused:?}");
    assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
}

#[test]
fn check_with_connect_says_where_there_is_nobody_to_ask() {
    let folder = job("CREATE TABLE ticks USING rate;
CREATE TABLE gone USING noop;
INSERT INTO gone SELECT value FROM ticks;
");
    let checked = said(folder.path(), &["check", "job.sql", "--connect"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let asked = checked.out.split_once("\nconnections\n").unwrap().1;
    assert!(asked.starts_with("  nothing to ask: "), "{checked:?}");
}

#[test]
fn a_server_that_says_nothing_is_named_within_ten_seconds_however_many_tables_it_has() {
    // Connections are taken by the system, and nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let folder = job(&UNREACHABLE
        .replace("127.0.0.1:1", &address)
        .replace(", kafka.sasl.password '${SECRET}'", "")
        .replace(
            "USING noop",
            &format!("USING kafka OPTIONS (kafka.bootstrap.servers '{address}', topic 'gone')"),
        ));
    let began = Instant::now();
    let refused = said(folder.path(), &["check", "job.sql", "--connect"]);
    let took = began.elapsed();
    assert_eq!(refused.code, 2, "{refused:?}");
    for table in ["invoices (read)", "gone (written)"] {
        let line = refused.err.lines().find(|line| line.contains(table));
        let line = line.unwrap();
        assert!(line.contains(&address), "{refused:?}");
        assert!(line.contains("nothing has come back"), "{refused:?}");
        assert!(line.contains("set kafka.security.protocol"), "{refused:?}");
    }
    assert!(
        took < Duration::from_secs(10),
        "too late: {took:?} {refused:?}"
    );
}

#[test]
fn a_port_that_is_none_is_shown_in_the_job_file() {
    let folder = job(&UNREACHABLE.replace("127.0.0.1:1", "localhost:kafka"));
    let mut command = within(folder.path(), &["run", "job.sql", "--http", "off"]);
    let refused = ended(command.env("SECRET", "x").spawn().unwrap());
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.err.starts_with("error: job.sql:3:3: "),
        "{refused:?}"
    );
    assert!(
        refused.err.contains("`localhost:kafka` has no valid port"),
        "{refused:?}"
    );
}
