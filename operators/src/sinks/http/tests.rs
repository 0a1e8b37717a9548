//! Stories of the `http` sink, with a server that has its moods.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use thalweg_engine::error::{Failure, Remedy};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::sink::{Origin, Readiness, Sink, Writer};
use thalweg_engine::source::Health;

use super::server::{Answer, Request, Server, TAKEN};
use super::*;
use crate::sinks::testing::{Observed, context, meta, wait};
use crate::sources::file::test_context;
use crate::table::Options;

const BUSY: Answer = Answer::Status(503, "", "not now");

fn columns() -> Schema {
    Schema::new(vec![
        Field::nullable("id", DataType::Int),
        Field::nullable("name", DataType::String),
    ])
}

fn table(url: &str, options: &[(&str, &str)]) -> Table {
    let table = Table::using("hook", "http")
        .option("url", url)
        .option("retryInterval", "5 ms")
        .option("maxRetryInterval", "20 ms");
    options
        .iter()
        .fold(table, |table, (name, value)| table.option(*name, *value))
}

struct Output {
    sink: Arc<dyn Sink>,
    writer: Box<dyn Writer>,
    observed: Arc<Observed>,
}

impl Output {
    fn open(url: &str, options: &[(&str, &str)]) -> Self {
        let sink = open(&table(url, options), &columns(), &test_context()).unwrap();
        let observed = Arc::new(Observed::default());
        Self {
            writer: sink.open(context(&observed)).unwrap(),
            sink,
            observed,
        }
    }

    fn write(&mut self, id: i32) -> Result<Readiness, Failure> {
        let row = [Value::Int(id), Value::from("n")];
        let origin = Origin {
            meta: &meta(),
            index: 0,
            moment: false,
        };
        self.writer.write(&row, origin).unwrap();
        self.writer.accept()
    }

    fn deliver(&mut self, ids: std::ops::Range<i32>) {
        for id in ids {
            self.write(id).unwrap();
        }
        wait(self.writer.delivered()).unwrap();
    }
}

/// The ids of a request's rows.
fn ids(request: &Request) -> Vec<i64> {
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    let rows = match &body {
        serde_json::Value::Array(rows) => rows.clone(),
        one => vec![one.clone()],
    };
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[track_caller]
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn each_row_is_a_request_of_its_own_in_order_on_one_connection() {
    let server = Server::start(|_, _| TAKEN);
    let mut output = Output::open(&server.url(), &[]);
    output.deliver(0..50);
    let requests = server.requests();
    assert_eq!(requests[0].body, r#"{"id":0,"name":"n"}"#);
    assert!(requests[0].head.starts_with("post /rows "));
    assert!(requests[0].head.contains("content-type: application/json"));
    let all: Vec<i64> = requests.iter().flat_map(ids).collect();
    assert_eq!(all, (0..50).collect::<Vec<i64>>());
    assert!(requests.iter().all(|request| request.connection == 0));
    assert_eq!(output.observed.rows(), 50);
    assert_eq!(output.sink.in_flight(), 0);
}

#[test]
fn with_a_batch_size_a_request_is_an_array_of_what_has_gathered() {
    let server = Server::start(|_, _| TAKEN);
    let mut output = Output::open(&server.url(), &[("batchSize", "20")]);
    output.deliver(0..200);
    let requests = server.requests();
    let sizes: Vec<usize> = requests.iter().map(|request| ids(request).len()).collect();
    assert!(
        sizes.iter().all(|size| (1..=20).contains(size)),
        "{sizes:?}"
    );
    assert!(requests.len() < 200, "no request has several rows");
    let all: Vec<i64> = requests.iter().flat_map(ids).collect();
    assert_eq!(all, (0..200).collect::<Vec<i64>>());
}

#[test]
fn a_server_with_moods_gets_every_row_and_none_overtakes_another() {
    // Some requests are refused, some are cut off, some are taken and the answer is lost.
    let server = Server::start(|number, _| match number % 7 {
        1 => Answer::Status(500, "", "oh"),
        2 => BUSY,
        4 => Answer::Cut,
        5 => Answer::Status(429, "Retry-After: 0\r\n", ""),
        6 => Answer::Status(408, "", ""),
        _ => TAKEN,
    });
    let mut output = Output::open(&server.url(), &[]);
    output.deliver(0..40);
    let mut all: Vec<i64> = server.requests().iter().flat_map(ids).collect();
    assert!(all.is_sorted(), "{all:?}");
    all.dedup();
    assert_eq!(all, (0..40).collect::<Vec<i64>>());
    assert_eq!(output.observed.rows(), 40);
}

#[test]
fn an_outage_is_waited_out_and_told_and_nothing_is_lost() {
    let server = Server::start(|_, _| TAKEN);
    let (address, url) = (server.address, server.url());
    let mut output = Output::open(&url, &[]);
    output.deliver(0..3);
    drop(server);
    output.write(3).unwrap();
    until("the outage is told", || output.sink.health() != Health::Up);
    let Health::Down(reason) = output.sink.health() else {
        panic!("it is over already")
    };
    assert!(reason.contains(&url), "{reason}");
    // The lane pauses when much has gathered, and goes on after.
    let mut id = 4;
    while output.write(id).unwrap() == Readiness::Ready {
        id += 1;
    }
    assert_eq!(output.sink.in_flight(), 1000);
    let server = Server::start_at(address, |_, _| TAKEN);
    wait(output.writer.drained()).unwrap();
    wait(output.writer.delivered()).unwrap();
    until("the end of the outage is told", || {
        output.sink.health() == Health::Up
    });
    let all: Vec<i64> = server.requests().iter().flat_map(ids).collect();
    assert_eq!(all, (3..=i64::from(id)).collect::<Vec<i64>>());
}

#[test]
fn a_server_that_is_too_slow_is_asked_again() {
    // Often enough to be seen.
    let server = Server::start(|number, _| match number {
        0..5 => Answer::Silence,
        _ => TAKEN,
    });
    let mut output = Output::open(&server.url(), &[("timeout", "100 ms")]);
    output.write(0).unwrap();
    until("the outage is told", || output.sink.health() != Health::Up);
    let Health::Down(reason) = output.sink.health() else {
        panic!("it is over already")
    };
    assert!(
        reason.ends_with("within 100ms, the option `timeout`"),
        "{reason}"
    );
    output.deliver(1..2);
    let all: Vec<i64> = server.requests().iter().flat_map(ids).collect();
    assert_eq!(all, [0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    let server = Server::start(|number, _| match number {
        0 => Answer::Status(429, "Retry-After: 1\r\n", "slowly"),
        _ => TAKEN,
    });
    let mut output = Output::open(&server.url(), &[]);
    let began = Instant::now();
    output.deliver(0..1);
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_refused_row_ends_the_query_with_what_the_server_says_and_no_secret() {
    let server = Server::start(|_, request| match request.body.contains(":1,") {
        true => Answer::Status(422, "", "the field\n  name is too short"),
        false => TAKEN,
    });
    let url = format!("http://me:hush@{}/rows?key=hush", server.address);
    let mut output = Output::open(&url, &[("headers", "X-Key: hush")]);
    for id in 0..3 {
        output.write(id).unwrap();
    }
    let failure = wait(output.writer.delivered()).unwrap_err();
    assert_eq!(failure.remedy, Remedy::End);
    let shown = server.url();
    assert_eq!(
        failure.message,
        format!(
            "{shown} refuses rows of the output, it answers 422 Unprocessable Entity: the field name is too short"
        )
    );
    assert_eq!(output.write(3), Err(failure));
    assert_eq!(output.observed.rows(), 1);
    let head = server.requests()[0].head.clone();
    assert!(head.contains("x-key: hush") && head.contains("authorization: basic"));
    assert!(head.starts_with("post /rows?key=hush "), "{head}");
}

#[test]
fn a_post_is_not_sent_elsewhere() {
    let server = Server::start(|_, _| Answer::Status(302, "Location: /new\r\n", ""));
    let mut output = Output::open(&server.url(), &[]);
    output.write(0).unwrap();
    let failure = wait(output.writer.delivered()).unwrap_err();
    assert!(failure.message.contains("give the `url`"), "{failure}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn closing_waits_neither_for_an_answer_nor_for_a_server_that_is_away() {
    let silent = Server::start(|_, _| Answer::Silence);
    let away = {
        let server = Server::start(|_, _| TAKEN);
        server.url()
    };
    for (url, options) in [
        (silent.url(), [("timeout", "1 hour")]),
        (away, [("retryInterval", "1 hour")]),
    ] {
        let table = options.iter().fold(
            Table::using("hook", "http").option("url", url.as_str()),
            |table, (name, value)| table.option(*name, *value),
        );
        let sink = open(&table, &columns(), &test_context()).unwrap();
        let observed = Arc::new(Observed::default());
        let mut writer = sink.open(context(&observed)).unwrap();
        let row = [Value::Int(1), Value::Null];
        let origin = Origin {
            meta: &meta(),
            index: 0,
            moment: false,
        };
        writer.write(&row, origin).unwrap();
        writer.accept().unwrap();
        let delivered = writer.delivered();
        until("the request is under way", || {
            sink.health() != Health::Up || !silent.requests().is_empty()
        });
        let began = Instant::now();
        sink.close();
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(wait(delivered).is_err());
        assert_eq!(observed.rows(), 0);
    }
}

#[test]
fn lanes_do_not_wait_for_each_other() {
    let held = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&held);
    let server = Server::start(move |_, request| match request.body.contains(":1,") {
        true => {
            seen.fetch_add(1, Ordering::Relaxed);
            Answer::Silence
        }
        false => TAKEN,
    });
    let mut output = Output::open(&server.url(), &[]);
    output.write(1).unwrap();
    until("the first lane waits", || held.load(Ordering::Relaxed) > 0);
    let mut other = context(&output.observed);
    other.lane = "1".to_owned();
    let held_up = std::mem::replace(&mut output.writer, output.sink.open(other).unwrap());
    output.deliver(2..5);
    assert_eq!(output.observed.rows(), 3);
    output.sink.close();
    drop(held_up);
}

#[test]
fn what_a_table_lacks_is_said_without_its_secrets() {
    let refused = |url: &str, options: &[(&str, &str)]| {
        let error = check(&table(url, options), &columns()).unwrap_err();
        assert!(!error.message.contains("hush"), "{}", error.message);
        error.message
    };
    assert!(refused("", &[]).contains("needs the option `url`"));
    for url in ["ftp://hush/", "hush", "/hush", "http://"] {
        assert!(refused(url, &[]).contains("takes an address"), "{url}");
    }
    let url = "http://localhost/";
    assert!(refused(url, &[("headers", "a: b\nhush")]).contains("line 2 has no `:`"));
    assert!(refused(url, &[("headers", "hu sh: b")]).contains("no name of a header"));
    for own in [
        "Content-Length: hush",
        "transfer-encoding: hush",
        "Expect: hush",
    ] {
        assert!(refused(url, &[("headers", own)]).contains("which the client writes itself"));
    }
    assert!(check(&table(url, &[("headers", "Host: other")]), &columns()).is_ok());
    assert!(refused(url, &[("timeout", "0 s")]).contains("more than nothing"));
    assert!(refused(url, &[("format", "csv")]).contains("format"));
    let table = table(
        "https://me:hush@host:1/a?b=hush",
        &[("headers", "Authorization: hush")],
    );
    let shown: Vec<String> = table.options.iter().map(Options::shown).collect();
    assert_eq!(shown[0], "https://host:1/a");
    assert!(!shown.concat().contains("hush"));
}

#[test]
fn a_file_of_authorities_is_for_https() {
    let refused = |url: &str, path: &str| {
        let table = Table::using("hook", "http")
            .option("url", url)
            .option("caFile", path);
        match Settings::of(&table) {
            Ok(settings) => settings.agent().map(|_| ()).unwrap_err().message,
            Err(error) => error.message,
        }
    };
    assert!(refused("http://h/rows", "ca.pem").contains("reached by https"));
    assert!(refused("https://h/rows", " ").contains("takes the path of a file"));
    assert!(refused("https://h/rows", "/no/such/ca.pem").contains("cannot be read"));
}
