//! The sink.

use std::sync::atomic::Ordering;

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;
use thalweg_operators::sinks::kafka;

use crate::broker::{context, open_writer, output, shared, table, wait, write};

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
