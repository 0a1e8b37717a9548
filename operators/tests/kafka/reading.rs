//! The source.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use thalweg_engine::error::Remedy;
use thalweg_engine::record::{Body, Position, Skip};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};
use thalweg_engine::source::{Committed, Health, SourceEvent};
use thalweg_operators::connectors::{CONNECTORS, find};
use thalweg_operators::sources::kafka;

use crate::broker::{Broker, SOON, put_numbers, shared, until, wait};
use crate::drivers::{context, drain, next_record, open_source, read, resume, row, table, text};

#[test]
fn a_topic_is_read_with_sparks_columns() {
    let topic = shared().topic(1, &[]);
    shared().put(&topic, 0, &[(Some("k"), Some("v")), (None, Some(""))]);
    let source = open_source(
        shared(),
        "columns",
        &[("subscribe", &topic), ("startingOffsets", "earliest")],
    );
    let starts = source.resolve(None).unwrap();
    assert_eq!(starts[0].partition, format!("{topic}/0"));
    wait(async {
        let mut stream = read(&source, &starts[0].partition, 0, None);
        let first = next_record(&mut stream).await;
        let values = row(&first);
        assert_eq!(text(&values[0]), "k");
        assert_eq!(text(&values[1]), "v");
        assert_eq!(values[2], Value::from(topic.as_str()));
        assert_eq!(values[3], Value::Int(0));
        assert_eq!(values[4], Value::BigInt(0));
        assert_eq!(
            first.meta.record_time.map(Value::Timestamp).unwrap(),
            values[5]
        );
        assert_eq!(values[6], Value::Int(0));
        assert_eq!(first.next, Position::Number(1));
        assert_eq!(first.size, 2);
        let second = next_record(&mut stream).await;
        assert_eq!(row(&second)[0], Value::Null);
        assert_eq!(text(&row(&second)[1]), "");
        let raw = first.raw.unwrap();
        assert_eq!(raw.key(), Some(&b"k"[..]));
        assert_eq!(second.raw.unwrap().key(), None);
    });
    source.close();
}

#[test]
fn a_tombstone_and_a_broken_record_move_the_position() {
    let topic = shared().topic(1, &[]);
    let records = [
        (Some("a"), Some(r#"{"id":1,"name":"x"}"#)),
        (Some("b"), None),
        (Some("c"), Some("{")),
        (Some("d"), Some("")),
        (Some("e"), Some(r#"{"id":2}"#)),
    ];
    shared().put(&topic, 0, &records);
    let columns = vec![
        Field::nullable("id", DataType::BigInt),
        Field::nullable("name", DataType::String),
    ];
    let options = [("subscribe", topic.as_str()), ("format", "json")];
    let table = table(shared(), Some(columns), &options);
    let metadata = kafka::metadata(&table);
    let offset = metadata.iter().position(|f| f.name == "offset").unwrap();
    let declared = kafka::columns(&table).unwrap().fields.len();
    let wanted = [0, declared, declared + offset];
    let connector = find(CONNECTORS, &table, table.at).unwrap();
    let source = (connector.input.unwrap().open)(&table, &wanted, &context("tombstones")).unwrap();
    source.resolve(None).unwrap();
    wait(async {
        let mut stream = read(&source, &format!("{topic}/0"), 0, Some(5));
        let (records, ended) = drain(&mut stream).await;
        let (records, ended) = if ended {
            (records, true)
        } else {
            (records, drain(&mut stream).await.1)
        };
        assert!(ended);
        let next: Vec<_> = records.iter().map(|r| r.next.clone()).collect();
        assert_eq!(next, (1..=5).map(Position::Number).collect::<Vec<_>>());
        assert_eq!(row(&records[0])[0], Value::BigInt(1));
        assert_eq!(text(&row(&records[0])[1]), "a");
        assert_eq!(row(&records[0])[2], Value::BigInt(0));
        assert!(matches!(records[1].body, Body::Skipped(Skip::Tombstone)));
        assert!(matches!(records[2].body, Body::Bad(_)));
        assert!(matches!(records[3].body, Body::Bad(_)));
        assert_eq!(row(&records[4])[0], Value::BigInt(2));
        assert_eq!(records[2].raw.as_ref().unwrap().value(), Some(&b"{"[..]));
    });
}

#[test]
fn an_end_behind_an_aborted_transaction_is_reached() {
    let topic = shared().topic(1, &[]);
    shared().put_in_transaction(&topic, &["kept"], true);
    shared().put_in_transaction(&topic, &["dropped", "dropped too"], false);
    let source = open_source(
        shared(),
        "aborted",
        &[("subscribe", &topic), ("startingOffsets", "earliest")],
    );
    let starts = source.resolve(None).unwrap();
    let ends = source.ends().unwrap();
    let name = starts[0].partition.as_str();
    // Two markers and two aborted records stand behind the one that is delivered.
    assert_eq!(ends[name], Position::Number(5));
    wait(async {
        let mut stream = read(&source, name, 0, Some(5));
        let mut seen = Vec::new();
        loop {
            match stream.next().await {
                Some(SourceEvent::Record(record)) => seen.push(text(&row(&record)[1]).to_owned()),
                Some(SourceEvent::CaughtUp(_)) => {}
                Some(SourceEvent::Ended) => break,
                Some(SourceEvent::Failed(failure)) => panic!("{failure}"),
                None => panic!("over without an end"),
            }
        }
        assert_eq!(seen, ["kept"]);
        assert!(stream.next().await.is_none());
        // Nothing is left before the end: over at once.
        let mut done = read(&source, name, 5, Some(5));
        assert!(matches!(done.next().await, Some(SourceEvent::Ended)));
    });
}

#[test]
fn a_hundred_assignments_keep_the_split() {
    let topic = shared().topic(2, &[]);
    put_numbers(shared(), &topic, 0, 0, 5);
    put_numbers(shared(), &topic, 1, 0, 5);
    let source = open_source(
        shared(),
        "hundred",
        &[("subscribe", &topic), ("startingOffsets", "earliest")],
    );
    source.resolve(None).unwrap();
    wait(async {
        let mut other = read(&source, &format!("{topic}/1"), 0, None);
        for round in 0..100 {
            let mut stream = read(&source, &format!("{topic}/0"), round % 5, None);
            let record = next_record(&mut stream).await;
            assert_eq!(record.meta.position, Position::Number(round % 5));
        }
        // A record on the consumer's own queue would have failed the run of both.
        for n in 0..5 {
            let record = next_record(&mut other).await;
            assert_eq!(record.meta.position, Position::Number(n));
        }
    });
}

#[test]
fn a_missing_topic_ends_the_query_with_its_name() {
    let source = open_source(shared(), "missing", &[("subscribe", "no-such-topic")]);
    let began = Instant::now();
    let failure = source.resolve(None).unwrap_err();
    assert_eq!(failure.remedy, Remedy::End);
    assert!(failure.message.contains("no-such-topic"), "{failure}");
    assert!(began.elapsed() < Duration::from_secs(10), "too late");
    // And nobody has made it by asking.
    let failure = source.resolve(None).unwrap_err();
    assert_eq!(failure.remedy, Remedy::End);
}

#[test]
fn an_address_without_a_broker_is_named_within_ten_seconds() {
    for (address, word) in [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("no-such-host.invalid:9092", "resolve"),
    ] {
        let mut table = table(shared(), None, &[("subscribe", "t")]);
        let mut options: Vec<_> = table.options.iter().cloned().collect();
        options[0].value = address.to_owned();
        table.options = thalweg_operators::table::Options::new(options);
        let source = kafka::open(&table, &[1], None, None, None, &context("nobody")).unwrap();
        let began = Instant::now();
        let failure = source.resolve(None).unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10), "too late");
        assert_eq!(failure.remedy, Remedy::Restart);
        assert!(failure.message.contains(address), "{failure}");
        assert!(failure.message.contains(word), "{failure}");
    }
}

#[test]
fn removed_records_are_refused_or_passed_over() {
    let topic = shared().topic(1, &[]);
    put_numbers(shared(), &topic, 0, 0, 10);
    shared().remove_before(&topic, 0, 7);
    let at = BTreeMap::from([(format!("{topic}/0").into(), Position::Number(3))]);
    let source = open_source(shared(), "loss", &[("subscribe", &topic)]);
    let refused = source.resolve(Some(&resume(&at, 1))).unwrap_err();
    assert_eq!(refused.remedy, Remedy::Refuse);
    for part in ["offset 3", "kept is 7", "4 records"] {
        assert!(refused.message.contains(part), "{refused}");
    }
    let source = open_source(
        shared(),
        "loss",
        &[("subscribe", &topic), ("failOnDataLoss", "false")],
    );
    let starts = source.resolve(Some(&resume(&at, 1))).unwrap();
    assert_eq!(starts[0].position, Position::Number(7));
}

/// The next run asks why, and does what the option says: the topic may be another one by now.
#[test]
fn records_that_vanish_under_a_reader_fail_the_run() {
    for fails in ["true", "false"] {
        let topic = shared().topic(1, &[]);
        put_numbers(shared(), &topic, 0, 0, 10);
        let options = [("subscribe", topic.as_str()), ("failOnDataLoss", fails)];
        let source = open_source(shared(), "vanish", &options);
        source.resolve(None).unwrap();
        shared().remove_before(&topic, 0, 7);
        wait(async {
            let mut stream = read(&source, &format!("{topic}/0"), 3, None);
            match stream.next().await {
                Some(SourceEvent::Failed(failure)) => {
                    assert_eq!(failure.remedy, Remedy::Restart);
                    assert!(failure.message.contains("offset 3"), "{failure}");
                }
                _ => panic!("no failure"),
            }
            assert!(stream.next().await.is_none());
        });
    }
}

fn committed(epoch: u64, name: &str, offset: i64) -> Committed {
    Committed {
        checkpoint: "c1".into(),
        epoch,
        positions: vec![(name.into(), Position::Number(offset))],
    }
}

#[test]
fn the_group_bears_witness_of_committed_epochs() {
    let topic = shared().topic(1, &[]);
    put_numbers(shared(), &topic, 0, 0, 10);
    let name = format!("{topic}/0");
    let options = [("subscribe", topic.as_str()), ("startingOffsets", "group")];
    let first = open_source(shared(), "witness", &options);
    let starts = first.resolve(None).unwrap();
    assert_eq!(starts[0].position, Position::Number(0));
    // Many at once: the newest is what remains.
    for epoch in 1..=50 {
        first.forget(&committed(epoch, &name, 5));
    }
    first.close();

    // The folder is lost.
    let refused = open_source(shared(), "witness", &options)
        .resolve(None)
        .unwrap_err();
    assert_eq!(refused.remedy, Remedy::Refuse);
    for part in ["./checkpoints/q", "job-witness", "epoch 50"] {
        assert!(refused.message.contains(part), "{refused}");
    }
    // The newest files are lost.
    let at = BTreeMap::from([(name.as_str().into(), Position::Number(3))]);
    let source = open_source(shared(), "witness", &options);
    let refused = source.resolve(Some(&resume(&at, 48))).unwrap_err();
    assert!(refused.message.contains("epoch 48") && refused.message.contains("epoch 50"));
    assert!(source.resolve(Some(&resume(&at, 50))).is_ok());
    let mut back = resume(&at, 48);
    back.rewound = true;
    assert!(source.resolve(Some(&back)).is_ok());
    // A fresh start is asked for, and the group's offset is a start like any other.
    let table = table(shared(), None, &options);
    let mut fresh = context("witness");
    fresh.fresh = true;
    let source = kafka::open(&table, &[1], None, None, None, &fresh).unwrap();
    assert_eq!(
        source.resolve(None).unwrap()[0].position,
        Position::Number(5)
    );
    // A query on a temporary folder neither asks nor writes.
    let mut temporary = context("witness");
    temporary.temporary = true;
    let source = kafka::open(&table, &[1], None, None, None, &temporary).unwrap();
    assert!(source.resolve(None).is_ok());
    source.forget(&committed(99, &name, 9));
    source.close();
    let source = open_source(shared(), "witness", &options);
    assert!(source.resolve(Some(&resume(&at, 50))).is_ok());
}

#[test]
fn a_first_start_is_where_the_options_say() {
    let topic = shared().topic(1, &[]);
    put_numbers(shared(), &topic, 0, 0, 4);
    let start = |options: &[(&str, &str)]| {
        let mut all = vec![("subscribe", topic.as_str())];
        all.extend_from_slice(options);
        open_source(shared(), "starts", &all)
            .resolve(None)
            .map(|starts| starts[0].position.clone())
    };
    assert_eq!(start(&[]).unwrap(), Position::Number(4));
    assert_eq!(
        start(&[("startingOffsets", "earliest")]).unwrap(),
        Position::Number(0)
    );
    let exact = |n: i64| format!(r#"{{"{topic}":{{"0":{n}}}}}"#);
    assert_eq!(
        start(&[("startingOffsets", &exact(2))]).unwrap(),
        Position::Number(2)
    );
    assert_eq!(
        start(&[("startingOffsets", &exact(-1))]).unwrap(),
        Position::Number(4)
    );
    assert_eq!(
        start(&[("startingOffsets", &exact(-2))]).unwrap(),
        Position::Number(0)
    );
    assert_eq!(
        start(&[("startingOffsets", &exact(9))]).unwrap_err().remedy,
        Remedy::Refuse
    );
    assert_eq!(
        start(&[("startingTimestamp", "1000")]).unwrap(),
        Position::Number(0)
    );
    let future = "4000000000000";
    assert!(start(&[("startingTimestamp", future)]).is_err());
    assert_eq!(
        start(&[
            ("startingTimestamp", future),
            ("startingOffsetsByTimestampStrategy", "latest"),
        ])
        .unwrap(),
        Position::Number(4)
    );
}

#[test]
fn reading_goes_on_after_the_broker_was_killed() {
    let broker = Broker::start();
    let topic = broker.topic(1, &[]);
    put_numbers(&broker, &topic, 0, 0, 10);
    let source = open_source(
        &broker,
        "killed",
        &[("subscribe", &topic), ("startingOffsets", "earliest")],
    );
    source.resolve(None).unwrap();
    assert_eq!(source.health(), Health::Up);
    wait(async {
        let mut stream = read(&source, &format!("{topic}/0"), 0, None);
        for n in 0..10 {
            assert_eq!(
                text(&row(&next_record(&mut stream).await)[1]),
                n.to_string()
            );
        }
        broker.kill();
        until("the outage is seen", || {
            matches!(source.health(), Health::Down(_))
        });
        assert!(
            source
                .discover(&[format!("{topic}/0").into()])
                .unwrap()
                .is_empty()
        );
        broker.start_again();
        put_numbers(&broker, &topic, 0, 10, 20);
        let returned = Instant::now();
        for n in 10..20 {
            assert_eq!(
                text(&row(&next_record(&mut stream).await)[1]),
                n.to_string()
            );
        }
        assert!(
            returned.elapsed() < Duration::from_secs(2),
            "too late: {:?}",
            returned.elapsed()
        );
        until("the broker is seen again", || source.health() == Health::Up);
    });
    until("the lag is known", || {
        source.lag() == [(format!("{topic}/0").into(), 0)] || source.lag().is_empty()
    });
}

#[test]
fn a_limit_of_records_per_second_is_kept() {
    let topic = shared().topic(2, &[]);
    put_numbers(shared(), &topic, 0, 0, 1000);
    put_numbers(shared(), &topic, 1, 0, 1000);
    let source = open_source(
        shared(),
        "limited",
        &[
            ("subscribe", &topic),
            ("startingOffsets", "earliest"),
            ("maxOffsetsPerTrigger", "200"),
        ],
    );
    source.resolve(None).unwrap();
    wait(async {
        let mut streams = futures_util::stream::select(
            read(&source, &format!("{topic}/0"), 0, None),
            read(&source, &format!("{topic}/1"), 0, None),
        );
        let began = Instant::now();
        let mut count = 0;
        while count < 300 {
            if let Some(SourceEvent::Record(_)) = streams.next().await {
                count += 1;
            }
        }
        let took = began.elapsed();
        assert!(took > Duration::from_millis(1200), "{took:?}");
        assert!(took < SOON, "too late: {took:?}");
    });
}

#[test]
fn headers_are_shown_when_asked_for() {
    let topic = shared().topic(1, &[]);
    shared().put_with_header(&topic, "name", b"content");
    let source = open_source(
        shared(),
        "headers",
        &[
            ("subscribe", &topic),
            ("startingOffsets", "earliest"),
            ("includeHeaders", "true"),
        ],
    );
    source.resolve(None).unwrap();
    wait(async {
        let mut stream = read(&source, &format!("{topic}/0"), 0, None);
        let record = next_record(&mut stream).await;
        let header =
            Value::Struct([Value::from("name"), Value::Binary(b"content"[..].into())].into());
        assert_eq!(row(&record)[7], Value::Array([header].into()));
        let raw = record.raw.unwrap().headers();
        assert_eq!(raw, [("name".into(), Some(b"content".to_vec()))]);
    });
}

#[test]
fn a_partition_that_is_left_and_opened_at_once_is_read() {
    let topic = shared().topic(1, &[]);
    put_numbers(shared(), &topic, 0, 0, 5);
    let name = format!("{topic}/0");
    let source = open_source(
        shared(),
        "left",
        &[("subscribe", &topic), ("startingOffsets", "earliest")],
    );
    source.resolve(None).unwrap();
    wait(async {
        // Opened and left before the client has heard of it, left twice, and opened while the former is still there.
        for _ in 0..50 {
            drop(read(&source, &name, 0, None));
            drop(read(&source, &name, 5, Some(5)));
            let former = read(&source, &name, 0, None);
            let mut stream = read(&source, &name, 2, None);
            drop(former);
            let record = next_record(&mut stream).await;
            assert_eq!(record.meta.position, Position::Number(2));
        }
    });
}
