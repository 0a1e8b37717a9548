//! What a reader of the rate source sees, on a clock that the test moves.

use futures_util::StreamExt;

use thalweg_engine::row::Row;

use super::*;
use crate::job_error::Location;
use crate::table::{OptionValue, Options};

fn table(options: &[(&str, &str)]) -> Table {
    let at = Location { line: 1, column: 1 };
    Table {
        name: "ticks".to_owned(),
        at,
        connector: "rate".to_owned(),
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

fn source(options: &[(&str, &str)], wanted: &[usize]) -> Arc<dyn Source> {
    open(
        &table(options),
        wanted,
        &crate::sources::file::test_context(),
    )
    .unwrap()
}

fn read(source: &dyn Source, start: &Start, until: Option<i64>) -> RecordStream {
    let partition = Arc::new(Partition {
        input: "ticks".into(),
        name: start.partition.clone(),
    });
    let until = until.map(Position::Number);
    source
        .read(&partition, &start.position, until.as_ref())
        .unwrap()
}

async fn rows(mut stream: RecordStream) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some(event) = stream.next().await {
        if let SourceEvent::Record(Record {
            body: Body::Row(row),
            ..
        }) = event
        {
            rows.push(row);
        }
    }
    rows
}

/// Runs on a clock that jumps to the next timer when all wait.
fn on_a_test_clock<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn the_speed_grows_as_in_spark() {
    let pace = Pace {
        rows_per_second: 10,
        ramp_up_seconds: 4,
    };
    let counts: Vec<i64> = (0..=6)
        .map(|second| pace.rows_before_second(second))
        .collect();
    assert_eq!(counts, [0, 2, 6, 12, 20, 30, 40]);
}

#[test]
fn a_row_has_come_exactly_when_its_moment_has() {
    for (rows_per_second, ramp_up_seconds) in [
        (1, 0),
        (3, 0),
        (1000, 7),
        (1_000_000, 3),
        (7_000_001, 0),
        (2, 5),
    ] {
        let pace = Pace {
            rows_per_second,
            ramp_up_seconds,
        };
        for value in (0..200).chain([rows_per_second * 3, rows_per_second * 11 + 1]) {
            let moment = pace.moment(value);
            assert!(pace.rows(moment) > value, "{pace:?} {value}");
            assert!(pace.rows(moment - 1) <= value, "{pace:?} {value}");
        }
    }
}

#[test]
fn the_first_row_comes_at_once_and_the_others_at_their_time() {
    on_a_test_clock(async {
        let source = source(&[("rowsPerSecond", "4"), ("numPartitions", "1")], &[0, 1]);
        let starts = source.resolve(None).unwrap();
        let before = Instant::now();
        let rows = rows(read(&*source, &starts[0], Some(5))).await;
        assert_eq!(before.elapsed().as_millis() / 10, 100);
        let Value::Timestamp(start) = rows[0][0] else {
            panic!("a timestamp")
        };
        for (value, row) in (0..).zip(&rows) {
            assert_eq!(
                row[..],
                [
                    Value::Timestamp(start + value * 250_000),
                    Value::BigInt(value)
                ]
            );
        }
    });
}

#[test]
fn a_million_rows_per_second_come_in_bursts_and_not_one_wakeup_each() {
    on_a_test_clock(async {
        let source = source(
            &[("rowsPerSecond", "1000000"), ("numPartitions", "1")],
            &[1],
        );
        let starts = source.resolve(None).unwrap();
        let mut stream = read(&*source, &starts[0], Some(100_000));
        let before = Instant::now();
        let mut rests = 0;
        let mut next = 0;
        while let Some(event) = stream.next().await {
            match event {
                SourceEvent::Record(record) => {
                    assert_eq!(record.meta.position, Position::Number(next));
                    next += 1;
                }
                SourceEvent::CaughtUp(_) => rests += 1,
                _ => {}
            }
        }
        assert_eq!(next, 100_000);
        assert!((90..=110).contains(&before.elapsed().as_millis()));
        assert!((40..=110).contains(&rests), "{rests}");
    });
}

#[test]
fn partitions_share_the_values_without_gap_or_overlap() {
    on_a_test_clock(async {
        let source = source(&[("rowsPerSecond", "100"), ("numPartitions", "3")], &[1]);
        let starts = source.resolve(None).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let ends = source.ends().unwrap();
        let mut values = Vec::new();
        for start in &starts {
            let Position::Number(until) = ends[&start.partition] else {
                panic!("a number")
            };
            values.extend(rows(read(&*source, start, Some(until))).await);
        }
        values.sort_by_key(|row| match row[0] {
            Value::BigInt(value) => value,
            _ => -1,
        });
        let expected: Vec<Vec<Value>> = (0..101).map(|value| vec![Value::BigInt(value)]).collect();
        assert_eq!(values, expected);
    });
}

/// The last two rows before a stop and the first two after it.
fn stopped_and_started(
    first: &[(&str, &str)],
    then: &[(&str, &str)],
) -> Result<(Vec<Row>, Vec<Row>), Failure> {
    on_a_test_clock(async {
        let source_before = source(first, &[0, 1]);
        let starts = source_before.resolve(None).unwrap();
        let before = rows(read(&*source_before, &starts[0], Some(2))).await;
        let state = source_before.save().unwrap();
        let positions = BTreeMap::from([(starts[0].partition.clone(), Position::Number(2))]);
        let source_after = source(then, &[0, 1]);
        let starts = source_after.resolve(Some(&Resume {
            checkpoint: "c",
            epoch: 1,
            rewound: false,
            positions: &positions,
            state: Some(&state),
        }))?;
        assert_eq!(starts[0].position, Position::Number(2));
        let after = rows(read(&*source_after, &starts[0], Some(4))).await;
        Ok((before, after))
    })
}

#[test]
fn after_a_restart_value_and_timestamp_go_on_without_a_gap() {
    let options = [("rowsPerSecond", "10"), ("numPartitions", "1")];
    let (before, after) = stopped_and_started(&options, &options).unwrap();
    let Value::Timestamp(start) = before[0][0] else {
        panic!("a timestamp")
    };
    assert_eq!(
        after[0],
        [Value::Timestamp(start + 200_000), Value::BigInt(2)]
    );
    assert_eq!(
        after[1],
        [Value::Timestamp(start + 300_000), Value::BigInt(3)]
    );
}

#[test]
fn a_clock_that_is_behind_the_rows_of_before_is_noticed() {
    let begun = Begun {
        start: 0,
        partitions: 2,
        pace: Pace {
            rows_per_second: 10,
            ramp_up_seconds: 0,
        },
    };
    // Values up to 38 of the first partition and 21 of the second: the last one was due at 3.8 seconds.
    let starts = [20, 11].map(|read| Start {
        partition: "ticks".into(),
        position: Position::Number(read),
        after: Vec::new(),
    });
    assert_eq!(begun.ahead(&starts, 0), Some(3_800_000));
    assert_eq!(begun.ahead(&starts, 3_000_000), None, "a correction");
    assert_eq!(begun.ahead(&starts, 9_000_000), None);
    let none = starts.map(|start| Start {
        position: Position::Number(0),
        ..start
    });
    assert_eq!(begun.ahead(&none, 0), None);
}

#[test]
fn another_speed_goes_on_with_the_next_value_from_now() {
    let one = [("rowsPerSecond", "1"), ("numPartitions", "1")];
    let thousand = [("rowsPerSecond", "1000"), ("numPartitions", "1")];
    let (_, after) = stopped_and_started(&one, &thousand).unwrap();
    assert_eq!(after[0][1], Value::BigInt(2));
    let (Value::Timestamp(first), Value::Timestamp(second)) = (&after[0][0], &after[1][0]) else {
        panic!("timestamps")
    };
    assert_eq!(second - first, 1000);
}

#[test]
fn another_number_of_partitions_is_refused() {
    let error =
        stopped_and_started(&[("numPartitions", "1")], &[("numPartitions", "2")]).unwrap_err();
    assert!(error.message.contains("numPartitions 1"), "{error}");
}

#[test]
fn declared_columns_are_refused() {
    let mut table = table(&[]);
    table.columns = Some(Vec::new());
    assert!(columns(&table).unwrap_err().message.contains("fixed"));
}
