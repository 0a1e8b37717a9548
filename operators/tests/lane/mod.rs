//! A lane over several inputs: records in, rows out, with its watermark.
// Each test program uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

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
pub struct Lane {
    pub query: Query,
    pub pipeline: Pipeline,
    inputs: BTreeMap<String, (usize, Vec<Target>)>,
    watermarks: Watermarks,
    out: Rc<RefCell<Vec<Row>>>,
    pub late: u64,
}

/// A lane of the query behind the tables `a`, `b` and `c`.
pub fn lane(text: &str) -> Lane {
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
    for ((_, input), (_, entries)) in query.inputs().zip(&parts.entries) {
        let reader = watermarks.add(None, query.has_event_time(input));
        let entries: Vec<Target> = entries.iter().map(|to| moved(*to)).collect();
        inputs.insert(input.table().name.clone(), (reader, entries));
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
    pub fn send(&mut self, table: &str, record: &str) -> Vec<String> {
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
        let (reader, entries) = self.inputs[table].clone();
        let meta = self.meta(self.watermarks.of(reader));
        self.pipeline.process(&entries, &row, &meta).unwrap();
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

    pub fn a(&mut self, k: &str, x: i32, minute: u32) -> Vec<String> {
        self.send(
            "a",
            &format!(r#"{{"k":"{k}","x":{x},"at":"{}"}}"#, at(minute)),
        )
    }

    pub fn b(&mut self, k: &str, y: i32, minute: u32) -> Vec<String> {
        self.send(
            "b",
            &format!(r#"{{"k":"{k}","y":{y},"at":"{}"}}"#, at(minute)),
        )
    }
}

/// So many minutes into 2024.
pub fn at(minute: u32) -> String {
    format!("2024-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60)
}
