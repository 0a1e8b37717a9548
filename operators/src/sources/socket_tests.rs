//! What a reader of a socket sees, with a real server.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use thalweg_engine::record::{Body, Record, Skip};
use thalweg_engine::row::Value;
use thalweg_engine::source::SourceEvent;

use super::*;
use crate::job_error::Location;
use crate::sources::file::test_context;
use crate::sources::socket_lines::{LINE_MAX, Outage};
use crate::table::{OptionValue, Options};

fn table(options: &[(&str, &str)]) -> Table {
    let at = Location { line: 1, column: 1 };
    Table {
        name: "lines".to_owned(),
        at,
        connector: "socket".to_owned(),
        columns: None,
        primary_key: Vec::new(),
        partitioned_by: Vec::new(),
        options: Options::new(
            options
                .iter()
                .map(|(name, value)| OptionValue {
                    name: (*name).to_owned(),
                    value: (*value).to_owned(),
                    substituted: false,
                    at,
                })
                .collect(),
        ),
    }
}

struct Scene {
    listener: TcpListener,
    source: Arc<dyn Source>,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn new(options: &[(&str, &str)], wanted: &[usize]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let mut all = vec![("host", "127.0.0.1"), ("port", port.as_str())];
        all.extend_from_slice(options);
        Self {
            source: open(&table(&all), wanted, &test_context()).unwrap(),
            listener,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    /// The source as a query opens it, and a server that does this with its first connection and then ends it.
    fn serve(&self, serve: impl FnOnce(TcpStream) + Send + 'static) -> RecordStream {
        let listener = self.listener.try_clone().unwrap();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            serve(stream);
        });
        self.read(0)
    }

    fn read(&self, from: i64) -> RecordStream {
        let partition = Arc::new(Partition {
            input: "lines".into(),
            name: "lines/0".into(),
        });
        self.source
            .read(&partition, &Position::Number(from), None)
            .unwrap()
    }

    /// The next so many records.
    fn take(&self, stream: &mut RecordStream, count: usize) -> Vec<Record> {
        self.runtime.block_on(async {
            let mut records = Vec::new();
            while records.len() < count {
                match stream.next().await {
                    Some(SourceEvent::Record(record)) => records.push(record),
                    Some(SourceEvent::CaughtUp(_)) => {}
                    Some(SourceEvent::Ended) | None => panic!("a socket never ends"),
                    Some(SourceEvent::Failed(failure)) => panic!("{failure}"),
                }
            }
            records
        })
    }
}

fn says(text: &'static [u8]) -> impl FnOnce(TcpStream) + Send + 'static {
    move |mut stream| stream.write_all(text).unwrap()
}

fn values(records: &[Record]) -> Vec<Value> {
    let value = |record: &Record| match &record.body {
        Body::Row(row) => row[0].clone(),
        other => panic!("{other:?}"),
    };
    records.iter().map(value).collect()
}

#[test]
fn each_line_is_a_record_and_its_position_is_its_number() {
    let scene = Scene::new(&[], &[0]);
    let mut stream = scene.serve(says("one\r\n\ngrün\nlast without an end".as_bytes()));
    let records = scene.take(&mut stream, 4);
    assert_eq!(
        values(&records),
        ["one", "", "grün", "last without an end"].map(Value::from)
    );
    assert_eq!(records[2].meta.position, Position::Number(2));
    assert_eq!(records[2].next, Position::Number(3));
    assert_eq!(records[0].raw.as_ref().unwrap().value(), Some(&b"one"[..]));
}

#[test]
fn a_timestamp_says_when_the_line_arrived() {
    let scene = Scene::new(&[("includeTimestamp", "true")], &[0, 1]);
    let mut stream = scene.serve(says(b"one\n"));
    let records = scene.take(&mut stream, 1);
    let Body::Row(row) = &records[0].body else {
        panic!("{:?}", records[0].body);
    };
    assert_eq!(
        row.as_slice(),
        [
            Value::from("one"),
            Value::Timestamp(records[0].meta.taken_at)
        ]
    );

    let scene = Scene::new(&[("includeTimestamp", "true")], &[1]);
    let mut stream = scene.serve(says(b"one\n"));
    assert!(matches!(
        values(&scene.take(&mut stream, 1))[0],
        Value::Timestamp(_)
    ));
}

#[test]
fn bytes_that_are_no_text_go_the_way_of_the_mode() {
    let kinds = |mode| {
        let scene = Scene::new(&[("mode", mode)], &[0]);
        let mut stream = scene.serve(says(b"ab\xff\ngood\n"));
        let records = scene.take(&mut stream, 2);
        assert_eq!(values(&records[1..]), [Value::from("good")]);
        match &records[0].body {
            Body::Row(row) => format!("{row:?}"),
            Body::Skipped(Skip::Malformed) => "skipped".to_owned(),
            Body::Skipped(other) => panic!("{other:?}"),
            Body::Bad(error) => error.reason.to_string(),
        }
    };
    assert_eq!(
        kinds("failfast"),
        "not text: the bytes are not UTF-8, at byte 2"
    );
    assert_eq!(kinds("permissive"), "[Null]");
    assert_eq!(kinds("dropmalformed"), "skipped");
}

#[test]
fn a_line_without_end_is_refused_at_the_limit_and_the_next_one_is_read() {
    let scene = Scene::new(&[], &[0]);
    let mut stream = scene.serve(|mut stream| {
        stream.write_all(&vec![b'x'; LINE_MAX]).unwrap();
        stream.write_all(b"\n").unwrap();
        stream.write_all(&vec![b'y'; 5 * LINE_MAX]).unwrap();
        stream.write_all(b"\nshort\n").unwrap();
    });
    let records = scene.take(&mut stream, 3);
    assert!(
        matches!(&records[0].body, Body::Row(_)),
        "exactly the limit"
    );
    let Body::Bad(error) = &records[1].body else {
        panic!("{:?}", records[1].body);
    };
    assert!(error.reason.contains("longer than 1024 KiB"), "{error}");
    let raw = records[1].raw.as_ref().unwrap();
    assert_eq!(raw.value().map(<[u8]>::len), Some(LINE_MAX));
    assert_eq!(values(&records[2..]), [Value::from("short")]);
    assert_eq!(records[2].meta.position, Position::Number(2));
}

#[test]
fn a_server_that_ends_the_connection_is_called_again_and_the_lines_go_on_counting() {
    let scene = Scene::new(&[], &[0]);
    let listener = scene.listener.try_clone().unwrap();
    thread::spawn(move || {
        for text in ["one\nrest", "two\n", "three\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(text.as_bytes()).unwrap();
        }
    });
    let mut stream = scene.read(7);
    let records = scene.take(&mut stream, 4);
    assert_eq!(
        values(&records),
        ["one", "rest", "two", "three"].map(Value::from)
    );
    assert_eq!(records[3].next, Position::Number(11));
}

#[test]
fn the_beginning_of_a_line_is_forgotten_when_its_connection_breaks() {
    let scene = Scene::new(&[], &[0]);
    let listener = scene.listener.try_clone().unwrap();
    let (go, gone) = channel::<()>();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"whole\nha").unwrap();
        gone.recv().unwrap();
        // Closing with no time to linger resets the connection.
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(stream);
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"next\n").unwrap();
    });
    let mut stream = scene.read(0);
    assert_eq!(values(&scene.take(&mut stream, 1)), [Value::from("whole")]);
    go.send(()).unwrap();
    assert_eq!(values(&scene.take(&mut stream, 1)), [Value::from("next")]);
}

#[test]
fn health_tells_whether_the_server_answers() {
    let scene = Scene::new(&[], &[0]);
    let down = |part: &str| match scene.source.health() {
        Health::Down(why) => assert!(why.contains(part), "{why}"),
        other => panic!("{other:?}"),
    };
    down("is being called");
    let (done, over) = channel::<()>();
    let mut stream = scene.serve(move |mut stream| {
        stream.write_all(b"one\n").unwrap();
        over.recv().unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    });
    scene.take(&mut stream, 1);
    assert_eq!(scene.source.health(), Health::Up);
    done.send(()).unwrap();
    // Nothing more comes, so the stream is polled until the end of the connection is noticed.
    scene.runtime.block_on(async {
        while scene.source.health() == Health::Up {
            let polled = tokio::time::timeout(Duration::from_millis(10), stream.next()).await;
            assert!(
                !matches!(polled, Ok(Some(SourceEvent::Record(_)))),
                "a record out of nothing"
            );
        }
    });
    down("127.0.0.1:");
    down("has ended the connection");
}

#[test]
fn one_outage_has_one_reason_and_the_next_one_its_own() {
    let why = |outage: &Outage| match outage.health() {
        Health::Down(why) => why,
        other => format!("{other:?}"),
    };
    let outage = Outage::begun("is being called".to_owned());
    outage.goes_on("refuses".to_owned());
    assert_eq!(why(&outage), "refuses", "nobody had been told yet");
    outage.goes_on("does not answer".to_owned());
    assert_eq!(why(&outage), "refuses");
    outage.over();
    assert_eq!(why(&outage), "Up");
    outage.goes_on("has ended the connection".to_owned());
    assert_eq!(why(&outage), "has ended the connection");
}

#[test]
fn everything_read_is_told_while_the_connection_lasts() {
    let scene = Scene::new(&[], &[0]);
    let (done, over) = channel::<()>();
    let mut stream = scene.serve(move |mut stream| {
        stream.write_all(b"one\n").unwrap();
        let _ = over.recv();
    });
    scene.runtime.block_on(async {
        loop {
            match stream.next().await {
                Some(SourceEvent::Record(_)) => break,
                Some(SourceEvent::CaughtUp(_)) => {}
                _ => panic!("neither a record nor its absence"),
            }
        }
        assert!(matches!(
            stream.next().await,
            Some(SourceEvent::CaughtUp(_))
        ));
    });
    drop(done);
}

/// Sends `total` bytes of short lines and says how many it has sent when it has to wait, and at the end.
fn flood(mut stream: TcpStream, total: usize, waits: &std::sync::mpsc::Sender<usize>) {
    let block = b"0123456789abcde\n".repeat(4096);
    stream
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let mut sent = 0;
    while sent < total {
        match stream.write(&block[sent % block.len()..]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let _ = waits.send(sent);
            }
            Err(error) => panic!("{error}"),
        }
    }
    let _ = waits.send(sent);
}

#[test]
fn a_lane_that_takes_no_records_makes_the_server_wait() {
    const TOTAL: usize = 64 << 20;
    let scene = Scene::new(&[], &[0]);
    let (waits, waiting): (_, Receiver<usize>) = channel();
    let mut stream = scene.serve(move |stream| flood(stream, TOTAL, &waits));
    scene.take(&mut stream, 10);
    // Only the system's own buffers are filled now.
    let sent = waiting.recv().unwrap();
    assert!(sent < TOTAL / 2, "{sent} bytes were read ahead");
    let lines = TOTAL / 16;
    let last = scene.take(&mut stream, lines - 10).pop().unwrap();
    assert_eq!(last.next, Position::Number(i64::try_from(lines).unwrap()));
    assert_eq!(values(&[last]), [Value::from("0123456789abcde")]);
}

#[test]
fn options_say_what_is_missing_or_has_no_meaning() {
    let reason = |options: &[(&str, &str)]| columns(&table(options)).unwrap_err().message;
    assert_eq!(
        reason(&[("port", "1")]),
        "a table `USING socket` needs the option `host`"
    );
    assert_eq!(
        reason(&[("host", "h")]),
        "a table `USING socket` needs the option `port`"
    );
    let both = |more| [("host", "h"), ("port", "9999"), more];
    assert!(reason(&both(("numPartitions", "2"))).contains("one partition"));
    let mut declared = table(&[("host", "h"), ("port", "9999")]);
    declared.columns = Some(Vec::new());
    assert!(columns(&declared).unwrap_err().message.contains("fixed"));
}

#[test]
fn a_socket_has_no_end_to_read_up_to() {
    let scene = Scene::new(&[], &[0]);
    let failure = scene.source.ends().unwrap_err();
    assert!(failure.message.contains("available now"), "{failure}");
}
