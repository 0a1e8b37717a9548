//! Joins from the job file to their rows: records of two inputs go through a whole lane, with its watermark.
#![allow(clippy::unwrap_used)] // In the stage that all tests share, not only in tests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::pipeline::{Moment, Pipeline, Step, Target};
use thalweg_engine::flow::watermark::Watermarks;
use thalweg_engine::operator::Progress;
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::Field;
use thalweg_engine::sink::{LocalFuture, Origin, Readiness, Writer};
use thalweg_operators::codecs::Mode;
use thalweg_operators::codecs::json::{JsonOptions, decoder, encoder};
use thalweg_operators::plan::Query;
use thalweg_operators::sql::{Overrides, load};

/// Takes what comes out.
struct Out(Rc<RefCell<Vec<Row>>>);

impl Writer for Out {
    fn write(&mut self, row: &[Value], _origin: Origin<'_>) -> Result<(), RecordError> {
        self.0.borrow_mut().push(row.to_vec());
        Ok(())
    }
    fn accept(&mut self) -> Result<Readiness, Failure> {
        Ok(Readiness::Ready)
    }
    fn reject(&mut self) {}
    fn drained(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(ready(Ok(())))
    }
    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(ready(Ok(())))
    }
}

const TABLES: &str = "
CREATE TABLE a (k STRING, x INT, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'a', format 'json') WATERMARK at DELAY OF INTERVAL 0 SECONDS;
CREATE TABLE b (k STRING, y BIGINT, at TIMESTAMP) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'b', format 'json') WATERMARK at DELAY OF INTERVAL 0 SECONDS;
CREATE TABLE c (id STRING PRIMARY KEY, name STRING, n INT) USING kafka OPTIONS (
  kafka.bootstrap.servers 'b:9092', subscribe 'c', format 'json');
";

/// A lane over several inputs, one partition each.
struct Lane {
    query: Query,
    pipeline: Pipeline,
    inputs: BTreeMap<String, (usize, Target)>,
    watermarks: Watermarks,
    out: Rc<RefCell<Vec<Row>>>,
    late: u64,
}

fn lane(text: &str) -> Lane {
    let text = format!("{TABLES}{text}");
    let job = load(&text, &Overrides::default(), &|_| None).map_err(|e| e.render("job.sql", &text));
    let query = job
        .unwrap_or_else(|error| panic!("{error}"))
        .queries
        .remove(0);
    let parts = query.lane();
    let is_input = |place: &usize| query.inputs().any(|(input, _)| input == *place);
    let moved = |to: Target| match to {
        Target::Writer => Target::Writer,
        Target::Step { step, input } => Target::Step {
            step: step - (0..step).filter(is_input).count(),
            input,
        },
    };
    let mut watermarks = Watermarks::default();
    let mut inputs = BTreeMap::new();
    for ((_, input), (_, entry)) in query.inputs().zip(&parts.entries) {
        let reader = watermarks.add(None, query.has_event_time(input));
        inputs.insert(input.table().name.clone(), (reader, moved(*entry)));
    }
    let steps = parts.steps.into_iter().flatten().map(|step| Step {
        to: moved(step.to),
        ..step
    });
    let out = Rc::default();
    let pipeline = Pipeline::new(steps.collect(), Box::new(Out(Rc::clone(&out)))).unwrap();
    Lane {
        query,
        pipeline,
        inputs,
        watermarks,
        out,
        late: 0,
    }
}

impl Lane {
    fn meta(&self, watermark: Option<i64>) -> RecordMeta {
        RecordMeta {
            partition: Arc::new(Partition {
                input: "in".into(),
                name: "in/0".into(),
            }),
            position: Position::Number(0),
            record_time: None,
            event_time: None,
            watermark,
            taken_at: 0,
            taken: Instant::now(),
        }
    }

    /// Sends a record to a table, and gives what came out.
    fn send(&mut self, table: &str, record: &str) -> Vec<String> {
        let (_, input) = self
            .query
            .inputs()
            .find(|(_, input)| input.table().name == table)
            .unwrap();
        // As the source gives them: the columns, then of the metadata the mark of a tombstone.
        let mut columns: Vec<Field> = input.table().columns.clone().unwrap();
        let declared = columns.len();
        let facts = (input.wanted().iter()).filter(|place| **place >= declared);
        for _ in facts {
            columns.push(Field::nullable(
                "deleted",
                thalweg_engine::schema::DataType::Boolean,
            ));
        }
        let wanted: Vec<usize> = (input.wanted().iter())
            .map(|place| (*place).min(columns.len() - 1))
            .collect();
        let mut row = Row::new();
        decoder(&columns, &wanted, Mode::FailFast, &JsonOptions::default())
            .decode(record.as_bytes(), &mut row)
            .unwrap();
        let (reader, entry) = self.inputs[table];
        let meta = self.meta(self.watermarks.of(reader));
        self.pipeline.process(entry, &row, &meta).unwrap();
        self.pipeline.accept().unwrap();
        self.late += self.pipeline.take_late();
        let before = self.watermarks.current();
        if let Some(reached) = self.pipeline.take_watermark()
            && let Some(now) = self.watermarks.observe(reader, reached)
        {
            let at = self.meta(before);
            let mut progress = self.pipeline.begin(Moment::Watermark(now), &at).unwrap();
            while progress == Progress::More {
                progress = self.pipeline.resume(&at).unwrap();
            }
            self.pipeline.accept().unwrap();
            self.late += self.pipeline.take_late();
        }
        let mut encoder = encoder(self.query.schema());
        (self.out.borrow_mut().drain(..))
            .map(|row| {
                let mut bytes = Vec::new();
                encoder.encode(&row, &mut bytes).unwrap();
                String::from_utf8(bytes).unwrap()
            })
            .collect()
    }

    fn a(&mut self, k: &str, x: i32, minute: u32) -> Vec<String> {
        self.send(
            "a",
            &format!(r#"{{"k":"{k}","x":{x},"at":"{}"}}"#, at(minute)),
        )
    }

    fn b(&mut self, k: &str, y: i32, minute: u32) -> Vec<String> {
        self.send(
            "b",
            &format!(r#"{{"k":"{k}","y":{y},"at":"{}"}}"#, at(minute)),
        )
    }
}

fn at(minute: u32) -> String {
    format!("2024-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60)
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_left_join_gives_pairs_at_once_and_the_rest_when_the_watermark_has_passed() {
    let mut lane = lane(
        "SELECT a.x, b.y FROM a LEFT JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + INTERVAL 10 MINUTES AND a.x <> 9",
    );
    assert_eq!(lane.a("u", 1, 0), NOTHING);
    assert_eq!(lane.b("u", 7, 5), [r#"{"x":1,"y":7}"#]);
    assert_eq!(lane.a("v", 2, 1), NOTHING);
    assert_eq!(lane.a("u", 9, 2), NOTHING);
    assert_eq!(lane.b("v", 8, 20), NOTHING);
    // Only now is it sure that nothing comes for the second row: both inputs are past it.
    assert_eq!(lane.a("w", 3, 12), [r#"{"x":2}"#]);
    assert_eq!(lane.a("w", 4, 30), [r#"{"x":9}"#]);
    assert_eq!(lane.late, 0);
}

#[test]
fn types_are_cast_to_a_common_one_and_where_is_asked_early() {
    let mut lane = lane(
        "SELECT a.k, b.y FROM a, b WHERE a.x = b.y AND b.at >= a.at - INTERVAL 1 HOUR AND a.at >= b.at AND a.k > 'b' AND b.k <> a.k",
    );
    assert!(lane.query.gather());
    assert_eq!(lane.b("q", 5, 0), NOTHING);
    assert_eq!(lane.a("a", 5, 1), NOTHING);
    assert_eq!(lane.a("q", 5, 1), NOTHING);
    assert_eq!(lane.a("r", 5, 1), [r#"{"k":"r","y":5}"#]);
}

#[test]
fn a_full_join_using_has_the_column_of_either_side() {
    let mut lane = lane("SELECT k, x, y FROM a FULL JOIN b USING (k, at)");
    lane.a("l", 1, 1);
    lane.b("r", 2, 1);
    lane.a("both", 3, 2);
    assert_eq!(
        lane.b("both", 4, 2),
        [
            r#"{"k":"both","x":3,"y":4}"#,
            r#"{"k":"l","x":1}"#,
            r#"{"k":"r","y":2}"#
        ]
    );
}

#[test]
fn windows_behind_a_join_wait_for_rows_that_wait_in_it() {
    let mut lane = lane(
        "SELECT window.start AS s, count(*) AS n FROM a JOIN b ON a.k = b.k AND a.at BETWEEN b.at - INTERVAL 30 MINUTES AND b.at
         GROUP BY window(a.at, '10 minutes')",
    );
    lane.a("u", 1, 5);
    lane.a("w", 2, 40);
    // 35 minutes later the pair still comes, for a window that the watermark has passed.
    assert_eq!(lane.b("u", 1, 35), NOTHING);
    assert_eq!(lane.b("x", 1, 39), NOTHING);
    assert_eq!(lane.a("w", 3, 60), NOTHING);
    assert_eq!(
        lane.b("x", 1, 60),
        [r#"{"s":"2024-01-01T00:00:00.000Z","n":1}"#]
    );
    assert_eq!(lane.late, 0);
}

#[test]
fn a_table_answers_from_what_it_is_and_a_tombstone_deletes() {
    let mut lane = lane(
        "SELECT a.x, c.name FROM (SELECT id, name FROM c WHERE n > 0) AS c RIGHT JOIN a ON a.k = c.id",
    );
    assert_eq!(lane.a("u", 1, 0), [r#"{"x":1}"#]);
    assert_eq!(lane.send("c", r#"{"id":"u","name":"Ada","n":1}"#), NOTHING);
    assert_eq!(lane.a("u", 2, 0), [r#"{"x":2,"name":"Ada"}"#]);
    // A row that its view leaves out is not the older one that it did not.
    lane.send("c", r#"{"id":"u","name":"Bob","n":0}"#);
    assert_eq!(lane.a("u", 3, 0), [r#"{"x":3}"#]);
    lane.send("c", r#"{"id":"u","name":"Cyd","n":2}"#);
    assert_eq!(lane.a("u", 4, 0), [r#"{"x":4,"name":"Cyd"}"#]);
    lane.send("c", r#"{"id":"u","deleted":true}"#);
    assert_eq!(lane.a("u", 5, 0), [r#"{"x":5}"#]);
}

#[test]
fn several_joins_in_a_row_are_steps_of_their_own_names() {
    let mut lane = lane(
        "SELECT a.x, b.y, c.name FROM a JOIN b ON a.k = b.k AND b.at BETWEEN a.at AND a.at + INTERVAL 5 MINUTES
         JOIN c ON c.id = b.k WHERE c.n = 1 AND a.x < 100",
    );
    lane.send("c", r#"{"id":"u","name":"Ada","n":1}"#);
    lane.a("u", 1, 0);
    lane.a("u", 100, 0);
    assert_eq!(lane.b("u", 2, 1), [r#"{"x":1,"y":2,"name":"Ada"}"#]);
    let names: Vec<&str> = (lane.query.steps.iter())
        .map(|step| step.name.as_str())
        .filter(|name| name.starts_with("join"))
        .collect();
    assert_eq!(names, ["join b on k", "join c on id"]);
}
