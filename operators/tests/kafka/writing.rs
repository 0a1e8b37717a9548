//! The sink.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use thalweg_engine::error::{RecordError, Remedy};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::sink::{Origin, Readiness, Writer};
use thalweg_engine::source::Health;
use thalweg_operators::connectors::{CONNECTORS, find};
use thalweg_operators::sinks::kafka;

use crate::broker::{Broker, Seen, shared, until, wait};
use crate::drivers::{context, open_writer, origin, output, table, write};

fn headers_type() -> DataType {
    let header: Arc<[Field]> = Arc::from([
        Field::nullable("key", DataType::String),
        Field::nullable("value", DataType::Binary),
    ]);
    DataType::Array(Arc::new(DataType::Struct(header)))
}

#[test]
fn rows_are_written_and_acknowledged() {
    let topic = shared().topic(4, &[]);
    let table = table(shared(), None, &[("topic", &topic)]);
    let schema = output(&[("key", DataType::String), ("value", DataType::String)]);
    kafka::check(&table, &schema).unwrap();
    let sink = kafka::open(&table, &schema, None, None, &context("written")).unwrap();
    let (mut writer, counter) = open_writer(&sink, "lane");
    for n in 0..1000 {
        write(
            &mut writer,
            &[
                format!("k{}", n % 10).as_str().into(),
                n.to_string().as_str().into(),
            ],
        );
    }
    wait(writer.delivered()).unwrap();
    assert_eq!(counter.rows.load(Ordering::Relaxed), 1000);
    assert_eq!(counter.latencies.load(Ordering::Relaxed), 1000);
    assert_eq!(sink.in_flight(), 0);
    drop(writer);
    sink.close();
    let seen = shared().contents(&topic);
    assert_eq!(seen.len(), 1000);
    // In order within each key, and each key in one partition.
    for key in 0..10 {
        let of_key: Vec<_> = seen
            .iter()
            .filter(|s| s.key.as_deref() == Some(format!("k{key}").as_bytes()))
            .collect();
        let numbers: Vec<usize> = of_key.iter().map(|s| s.text().parse().unwrap()).collect();
        assert_eq!(numbers, (0..100).map(|n| n * 10 + key).collect::<Vec<_>>());
        assert!(of_key.iter().all(|s| s.partition == of_key[0].partition));
    }
}

#[test]
fn a_null_value_is_a_tombstone() {
    let topic = shared().topic(1, &[]);
    let table = table(shared(), None, &[("topic", &topic)]);
    let schema = output(&[("key", DataType::String), ("value", DataType::Binary)]);
    let sink = kafka::open(&table, &schema, None, None, &context("tombstones")).unwrap();
    let (mut writer, _) = open_writer(&sink, "lane");
    write(&mut writer, &["k".into(), Value::Null]);
    write(&mut writer, &["k".into(), Value::Binary([].into())]);
    write(&mut writer, &[Value::Null, Value::Binary([1, 2].into())]);
    wait(writer.delivered()).unwrap();
    sink.close();
    let seen = shared().contents(&topic);
    let values: Vec<_> = seen.iter().map(|s| s.value.clone()).collect();
    assert_eq!(values, [None, Some(vec![]), Some(vec![1, 2])]);
    assert_eq!(seen[2].key, None);
}

#[test]
fn a_record_that_is_too_large_is_its_own_error_and_nobody_elses() {
    let topic = shared().topic(1, &[("max.message.bytes", "5000")]);
    let table = table(shared(), None, &[("topic", &topic)]);
    let schema = output(&[("value", DataType::String)]);
    let sink = kafka::open(&table, &schema, None, None, &context("large")).unwrap();
    let (mut writer, _) = open_writer(&sink, "lane");
    let meta = origin();
    let origin = Origin {
        meta: &meta,
        index: 0,
        moment: false,
    };
    let text = |length: usize| vec![Value::from("x".repeat(length).as_str())];
    // The largest that fits is taken by the broker, one byte more is refused here.
    let (mut fits, mut large) = (1000, 6000);
    while large - fits > 1 {
        let middle = (fits + large) / 2;
        match writer.write(&text(middle), origin) {
            Ok(()) => fits = middle,
            Err(_) => large = middle,
        }
        writer.reject();
    }
    assert!(fits > 4800, "{fits}");
    let error = writer.write(&text(large), origin).unwrap_err();
    assert!(error.reason.contains("too large"), "{error}");
    writer.reject();
    // Many of them, so that batches form: none of the batches is larger than the topic takes.
    for _ in 0..50 {
        writer.write(&text(fits), origin).unwrap();
        writer.write(&text(10), origin).unwrap();
        writer.accept().unwrap();
    }
    wait(writer.delivered()).unwrap();
    sink.close();
    assert_eq!(shared().contents(&topic).len(), 100);
}

#[test]
fn a_missing_output_topic_ends_the_query_and_is_not_made() {
    let table = table(shared(), None, &[("topic", "no-such-output")]);
    let schema = output(&[("value", DataType::String)]);
    for _ in 0..2 {
        let failure = kafka::open(&table, &schema, None, None, &context("missing"))
            .err()
            .unwrap();
        assert_eq!(failure.remedy, Remedy::End);
        assert!(failure.message.contains("no-such-output"));
    }
}

#[test]
fn partition_and_headers_of_a_row_are_kept() {
    let topic = shared().topic(3, &[]);
    let table = table(shared(), None, &[("topic", &topic)]);
    let schema = output(&[
        ("value", DataType::String),
        ("partition", DataType::Int),
        ("headers", headers_type()),
    ]);
    kafka::check(&table, &schema).unwrap();
    let sink = kafka::open(&table, &schema, None, None, &context("explicit")).unwrap();
    let (mut writer, _) = open_writer(&sink, "lane");
    let header = Value::Struct([Value::from("h"), Value::Binary([7].into())].into());
    for n in 0..30 {
        let headers = if n % 2 == 0 {
            Value::Array([header.clone()].into())
        } else {
            Value::Null
        };
        let row = [n.to_string().as_str().into(), Value::Int(n % 3), headers];
        write(&mut writer, &row);
    }
    let meta = origin();
    let wrong = ["v".into(), Value::Int(3), Value::Null];
    let error = writer
        .write(
            &wrong,
            Origin {
                meta: &meta,
                index: 0,
                moment: false,
            },
        )
        .unwrap_err();
    assert!(error.reason.contains("3 partitions"), "{error}");
    writer.reject();
    wait(writer.delivered()).unwrap();
    sink.close();
    let seen = shared().contents(&topic);
    assert_eq!(seen.len(), 30);
    for record in &seen {
        let n: i32 = record.text().parse().unwrap();
        assert_eq!(record.partition, n % 3);
        let expected = if n % 2 == 0 {
            vec![("h".to_owned(), Some(vec![7]))]
        } else {
            Vec::new()
        };
        assert_eq!(record.headers, expected);
    }
    // In order within each partition, with and without headers.
    for partition in 0..3 {
        let of: Vec<i32> = seen
            .iter()
            .filter(|r| r.partition == partition)
            .map(|r| r.text().parse().unwrap())
            .collect();
        assert!(of.is_sorted());
    }
}

/// Writes a row as the engine does: a writer that must ask first is waited for. Gives how long the calls took at most.
fn write_when_decided(
    writer: &mut Box<dyn Writer>,
    row: &[Value],
) -> (Duration, Result<(), RecordError>) {
    let meta = origin();
    let mut longest = Duration::ZERO;
    loop {
        let began = Instant::now();
        let origin = Origin {
            meta: &meta,
            index: 0,
            moment: false,
        };
        let written = writer.write(row, origin);
        longest = longest.max(began.elapsed());
        match written {
            Ok(()) => {
                writer.accept().unwrap();
                return (longest, Ok(()));
            }
            Err(error) => {
                writer.reject();
                match writer.undecided() {
                    Some(decided) => wait(decided).unwrap(),
                    None => return (longest, Err(error)),
                }
            }
        }
    }
}

/// A call that asks nobody.
const AT_ONCE: Duration = Duration::from_millis(100);

#[test]
fn the_column_topic_says_where_a_row_goes_and_no_write_waits_for_the_broker() {
    let (a, b) = (shared().topic(1, &[]), shared().topic(1, &[]));
    let table = table(shared(), None, &[]);
    let schema = output(&[("value", DataType::String), ("topic", DataType::String)]);
    kafka::check(&table, &schema).unwrap();
    let sink = kafka::open(&table, &schema, None, None, &context("by-column")).unwrap();
    let (mut writer, _) = open_writer(&sink, "lane");
    for (value, topic) in [("to a", &a), ("to b", &b), ("to a again", &a)] {
        let row = [Value::from(value), topic.as_str().into()];
        let (longest, written) = write_when_decided(&mut writer, &row);
        written.unwrap();
        assert!(longest < AT_ONCE, "{longest:?}");
    }
    // A topic that is missing is asked for aside, once; then its rows fail at once.
    let row = [Value::from("x"), "no-such-column-topic".into()];
    let (longest, written) = write_when_decided(&mut writer, &row);
    assert!(longest < AT_ONCE, "{longest:?}");
    assert!(written.unwrap_err().reason.contains("does not exist"));
    let began = Instant::now();
    assert!(write_when_decided(&mut writer, &row).1.is_err());
    assert!(began.elapsed() < AT_ONCE, "too late: {:?}", began.elapsed());
    // What can be no topic is asked of nobody.
    for topic in [Value::from("no such topic"), Value::from(""), Value::Null] {
        let began = Instant::now();
        assert!(
            write_when_decided(&mut writer, &["x".into(), topic])
                .1
                .is_err()
        );
        assert!(began.elapsed() < AT_ONCE, "too late: {:?}", began.elapsed());
    }
    wait(writer.delivered()).unwrap();
    sink.close();
    let texts: Vec<String> = shared().contents(&a).iter().map(Seen::text).collect();
    assert_eq!(texts, ["to a", "to a again"]);
    assert_eq!(shared().contents(&b)[0].text(), "to b");
}

#[test]
fn with_a_format_columns_are_fields_and_keys_are_text_or_json() {
    let schema = output(&[("id", DataType::BigInt), ("name", DataType::String)]);
    for (key, expected) in [
        ("name", "x"),
        ("id", "7"),
        ("id,name", r#"{"id":7,"name":"x"}"#),
    ] {
        let topic = shared().topic(1, &[]);
        let options = [("topic", topic.as_str()), ("format", "json"), ("key", key)];
        let table = table(shared(), None, &options);
        let output = find(CONNECTORS, &table, table.at).unwrap().output.unwrap();
        (output.check)(&table, &schema).unwrap();
        let sink = (output.open)(&table, &schema, &context("formatted")).unwrap();
        let (mut writer, _) = open_writer(&sink, "lane");
        write(&mut writer, &[Value::BigInt(7), "x".into()]);
        wait(writer.delivered()).unwrap();
        sink.close();
        let seen = shared().contents(&topic);
        assert_eq!(seen[0].text(), r#"{"id":7,"name":"x"}"#);
        assert_eq!(seen[0].key.as_deref(), Some(expected.as_bytes()));
    }
}

#[test]
fn what_a_query_cannot_write_is_refused_when_it_is_checked() {
    let refused = |schema: &Schema, options: &[(&str, &str)]| {
        let error = kafka::check(&table(shared(), None, options), schema).unwrap_err();
        format!("{} {}", error.message, error.help.unwrap_or_default())
    };
    let no_value = output(&[("id", DataType::BigInt)]);
    assert!(refused(&no_value, &[("topic", "t")]).contains("format 'json'"));
    let schema = output(&[("id", DataType::BigInt), ("value", DataType::String)]);
    let refusal = |options: &[(&str, &str)]| refused(&schema, options);
    assert!(refusal(&[("format", "json")]).contains("topic"));
    assert!(refusal(&[("topic", "t"), ("format", "json"), ("key", "ix")]).contains("`id`"));
    assert!(refusal(&[("topic", "t"), ("format", "json"), ("headers", "id")]).contains("ARRAY"));
    assert!(refusal(&[("topic", "a b")]).contains("no topic"));
}

/// Writes numbered rows of a kilobyte until the writer is full; gives how many.
fn fill(writer: &mut Box<dyn Writer>, from: usize, most: usize) -> usize {
    let padding = "x".repeat(1000);
    for n in from..from + most {
        let row = [format!("{n} {padding}").as_str().into()];
        if write(writer, &row) == Readiness::Full {
            return n + 1;
        }
    }
    from + most
}

fn written_numbers(broker: &Broker, topic: &str) -> Vec<usize> {
    broker
        .contents(topic)
        .iter()
        .map(|r| r.text().split(' ').next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn a_broker_that_stops_and_comes_back_loses_nothing() {
    let broker = Broker::start();
    let topic = broker.topic(1, &[]);
    let table = table(&broker, None, &[("topic", &topic)]);
    let schema = output(&[("value", DataType::String)]);
    let sink = kafka::open(&table, &schema, None, None, &context("stopped")).unwrap();
    let (mut writer, _) = open_writer(&sink, "lane");
    let first = fill(&mut writer, 0, 100);
    wait(writer.delivered()).unwrap();

    // Silent: the writer takes what its limit allows and is then full, and nothing fails.
    broker.pause();
    let second = fill(&mut writer, first, 100_000);
    assert!(
        second < 40_000,
        "{second} rows of a kilobyte are more than the limit"
    );
    until("the silence is seen", || {
        matches!(sink.health(), Health::Down(_))
    });
    broker.resume();
    wait(writer.drained()).unwrap();
    let third = fill(&mut writer, second, 100);

    // Gone without a word, and back.
    broker.kill();
    let fourth = fill(&mut writer, third, 1000);
    until("the outage is seen", || {
        matches!(sink.health(), Health::Down(_))
    });
    broker.start_again();
    wait(writer.delivered()).unwrap();
    until("the broker is seen again", || sink.health() == Health::Up);
    assert_eq!(sink.in_flight(), 0);
    sink.close();
    assert_eq!(
        written_numbers(&broker, &topic),
        (0..fourth).collect::<Vec<_>>()
    );
}

#[test]
fn a_closed_sink_writes_nothing_more() {
    let broker = Broker::start();
    let topic = broker.topic(1, &[]);
    let table = table(&broker, None, &[("topic", &topic)]);
    let schema = output(&[("value", DataType::String)]);
    let sink = kafka::open(&table, &schema, None, None, &context("closed")).unwrap();
    let (mut writer, _) = open_writer(&sink, "lane");
    fill(&mut writer, 0, 10);
    wait(writer.delivered()).unwrap();
    broker.kill();
    fill(&mut writer, 10, 1000);
    let delivered = writer.delivered();
    let began = Instant::now();
    sink.close();
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "too late: {:?}",
        began.elapsed()
    );
    assert!(wait(delivered).is_err());
    assert!(writer.accept().is_err());
    broker.start_again();
    assert_eq!(
        written_numbers(&broker, &topic),
        (0..10).collect::<Vec<_>>()
    );
}

#[test]
fn lanes_that_share_a_producer_are_acknowledged_one_by_one() {
    let topic = shared().topic(2, &[]);
    let table = table(shared(), None, &[("topic", &topic)]);
    let schema = output(&[("key", DataType::String), ("value", DataType::String)]);
    let sink = kafka::open(&table, &schema, None, None, &context("lanes")).unwrap();
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let sink = &sink;
            scope.spawn(move || {
                let (mut writer, counter) = open_writer(sink, &format!("lane {lane}"));
                for round in 0..20 {
                    for n in 0..100 {
                        let value = format!("{lane}-{round}-{n}");
                        write(
                            &mut writer,
                            &[lane.to_string().as_str().into(), value.as_str().into()],
                        );
                    }
                    wait(writer.delivered()).unwrap();
                    // Its observer hears of each row once, shortly after.
                    until("all rows are reported", || {
                        counter.rows.load(Ordering::Relaxed) == (round + 1) * 100
                    });
                }
            });
        }
    });
    sink.close();
    let seen = shared().contents(&topic);
    assert_eq!(seen.len(), 8000);
    for lane in 0..4 {
        let of: Vec<String> = seen
            .iter()
            .filter(|r| r.key.as_deref() == Some(lane.to_string().as_bytes()))
            .map(Seen::text)
            .collect();
        let expected: Vec<String> = (0..20)
            .flat_map(|round| (0..100).map(move |n| format!("{lane}-{round}-{n}")))
            .collect();
        assert_eq!(of, expected);
    }
}

#[test]
fn partitions_that_are_added_are_written_to() {
    let topic = shared().topic(1, &[]);
    let options = [
        ("topic", topic.as_str()),
        ("kafka.topic.metadata.refresh.interval.ms", "300"),
    ];
    let table = table(shared(), None, &options);
    let schema = output(&[("value", DataType::String), ("partition", DataType::Int)]);
    let sink = kafka::open(&table, &schema, None, None, &context("grown")).unwrap();
    let (mut writer, _) = open_writer(&sink, "lane");
    shared().grow(&topic, 2);
    let meta = origin();
    until("the new partition is known", || {
        let row = ["new".into(), Value::Int(1)];
        let known = writer
            .write(
                &row,
                Origin {
                    meta: &meta,
                    index: 0,
                    moment: false,
                },
            )
            .is_ok();
        if !known {
            writer.reject();
        }
        known
    });
    writer.accept().unwrap();
    wait(writer.delivered()).unwrap();
    sink.close();
    assert_eq!(shared().contents(&topic)[0].partition, 1);
}

#[test]
fn rows_without_a_key_reach_every_partition() {
    let topic = shared().topic(4, &[]);
    let table = table(shared(), None, &[("topic", &topic)]);
    let schema = output(&[("value", DataType::String)]);
    let sink = kafka::open(&table, &schema, None, None, &context("keyless")).unwrap();
    let (mut writer, _) = open_writer(&sink, "lane");
    fill(&mut writer, 0, 2000);
    wait(writer.delivered()).unwrap();
    sink.close();
    let seen = shared().contents(&topic);
    assert_eq!(seen.len(), 2000);
    for partition in 0..4 {
        let count = seen.iter().filter(|r| r.partition == partition).count();
        assert!(
            (300..=700).contains(&count),
            "partition {partition} has {count}"
        );
    }
}

#[test]
fn many_partitions_share_a_few_requests_and_none_is_left_behind() {
    let topic = shared().topic(64, &[]);
    let table = table(shared(), None, &[("topic", &topic)]);
    let schema = output(&[("key", DataType::String), ("value", DataType::String)]);
    let sink = kafka::open(&table, &schema, None, None, &context("many")).unwrap();
    std::thread::scope(|scope| {
        for lane in 0..3 {
            let sink = &sink;
            scope.spawn(move || {
                let (mut writer, _) = open_writer(sink, &format!("lane {lane}"));
                // Longer than a second, so that the partitions' brokers become known on the way.
                for round in 0..60 {
                    for n in 0..100 {
                        let key = format!("{lane}-{}", n % 50);
                        let value = (round * 100 + n).to_string();
                        write(&mut writer, &[key.as_str().into(), value.as_str().into()]);
                    }
                    std::thread::sleep(Duration::from_millis(25));
                }
                wait(writer.delivered()).unwrap();
            });
        }
    });
    assert_eq!(sink.in_flight(), 0);
    sink.close();
    let mut by_key = std::collections::BTreeMap::<_, Vec<usize>>::new();
    for record in shared().contents(&topic) {
        let number = record.text().parse().unwrap();
        by_key.entry(record.key).or_default().push(number);
    }
    assert_eq!(by_key.len(), 150);
    for (key, numbers) in &by_key {
        let key = String::from_utf8_lossy(key.as_deref().unwrap());
        let first: usize = key.split_once('-').unwrap().1.parse().unwrap();
        let written: Vec<_> = (0..120).map(|nth| nth * 50 + first).collect();
        assert_eq!(*numbers, written, "of key {key}");
    }
}

/// A broker tells of a new topic before it takes records for all of its partitions, and takes what comes second where the
/// first was turned away: whatever a producer sends to a partition for the first time must have nothing behind it.
#[test]
fn a_topic_that_was_just_made_gets_every_row() {
    let schema = output(&[("key", DataType::String), ("value", DataType::String)]);
    for _ in 0..3 {
        let topic = shared().topic(200, &[]);
        let table = table(shared(), None, &[("topic", &topic)]);
        let sink = kafka::open(&table, &schema, None, None, &context("new")).unwrap();
        let (mut writer, _) = open_writer(&sink, "lane");
        for n in 0..20_000 {
            let (key, value) = ((n % 1000).to_string(), n.to_string());
            write(&mut writer, &[key.as_str().into(), value.as_str().into()]);
        }
        wait(writer.delivered()).unwrap();
        sink.close();
        let mut seen: Vec<usize> = shared()
            .contents(&topic)
            .iter()
            .map(|record| record.text().parse().unwrap())
            .collect();
        seen.sort_unstable();
        let lost: Vec<usize> = (0..20_000)
            .filter(|n| seen.binary_search(n).is_err())
            .collect();
        assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
        assert_eq!(seen.len(), 20_000);
    }
}
