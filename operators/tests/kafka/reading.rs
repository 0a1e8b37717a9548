//! The source.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use thalweg_engine::error::Remedy;
use thalweg_engine::record::{Body, Position, Skip};
use thalweg_engine::row::Value;
use thalweg_engine::source::{Committed, Health, SourceEvent};

use crate::broker::{
    drain, next_record, open_source, positions, read, resume, row, shared, text, until, wait,
};

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
