//! GROUP BY from the job file to its rows: records go through a whole lane, with its watermark and its triggers.
#![allow(clippy::unwrap_used)] // In the stage that all tests share, not only in tests.

use std::cell::RefCell;
use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::pipeline::{Moment, Pipeline, Step, Target};
use thalweg_engine::operator::Progress;
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
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

/// One lane of a query over the table `a`.
struct Lane {
    query: Query,
    pipeline: Pipeline,
    entry: Target,
    out: Rc<RefCell<Vec<Row>>>,
    watermark: Option<i64>,
    late: u64,
}

const TABLES: &str =
    "CREATE TABLE a (k STRING, x INT, y DOUBLE, ts TIMESTAMP, box STRUCT<w: INT, h: INT>)
USING file OPTIONS (path 'a', format 'json') WATERMARK ts DELAY OF INTERVAL 10 SECONDS;
";

fn lane(text: &str) -> Lane {
    let text = format!("{TABLES}{text}");
    let job = load(&text, &Overrides::default(), &|_| None).map_err(|e| e.render("job.sql", &text));
    let query = match job {
        Ok(mut job) => job.queries.remove(0),
        Err(error) => panic!("{error}"),
    };
    let parts = query.lane();
    let is_input = |place: &usize| query.inputs().any(|(input, _)| input == *place);
    let moved = |to: Target| match to {
        Target::Writer => Target::Writer,
        Target::Step { step, input } => Target::Step {
            step: step - (0..step).filter(is_input).count(),
            input,
        },
    };
    let entry = moved(parts.entries[0].1[0]);
    let steps = parts
        .steps
        .into_iter()
        .flatten()
        .map(|step| Step {
            to: moved(step.to),
            ..step
        })
        .collect();
    let out = Rc::default();
    let pipeline = Pipeline::new(steps, Box::new(Out(Rc::clone(&out)))).unwrap();
    Lane {
        query,
        pipeline,
        entry,
        out,
        watermark: None,
        late: 0,
    }
}

impl Lane {
    fn meta(&self) -> RecordMeta {
        RecordMeta {
            partition: Arc::new(Partition {
                input: "a".into(),
                name: "a/0".into(),
            }),
            position: Position::Number(0),
            record_time: None,
            event_time: None,
            watermark: self.watermark,
            taken_at: 0,
            taken: Instant::now(),
        }
    }

    fn moment(&mut self, moment: Moment) {
        let at = self.meta();
        let mut progress = self.pipeline.begin(moment, &at).unwrap();
        while progress == Progress::More {
            self.pipeline.accept().unwrap();
            progress = self.pipeline.resume(&at).unwrap();
        }
        self.pipeline.accept().unwrap();
    }

    /// Sends records, and gives what came out since the last call.
    fn send(&mut self, records: &[&str]) -> Vec<String> {
        let (_, input) = self.query.inputs().next().unwrap();
        let columns = input.table().columns.clone().unwrap();
        let wanted = input.wanted().to_vec();
        let mut decoder = decoder(&columns, &wanted, Mode::FailFast, &JsonOptions::default());
        for record in records {
            let mut row = Row::new();
            decoder.decode(record.as_bytes(), &mut row).unwrap();
            let meta = self.meta();
            self.pipeline.process(&[self.entry], &row, &meta).unwrap();
            self.pipeline.accept().unwrap();
            self.late += self.pipeline.take_late();
            let reached = self.pipeline.take_watermark();
            if let Some(reached) = reached
                && self.watermark.is_none_or(|before| before < reached)
            {
                // What closes now was not late when it was counted.
                self.moment(Moment::Watermark(reached));
                self.watermark = Some(reached);
            }
        }
        self.rows()
    }

    /// The trigger's moment, and what comes out; in some order.
    fn trigger(&mut self) -> Vec<String> {
        self.moment(Moment::Trigger(0));
        let mut rows = self.rows();
        rows.sort();
        rows
    }

    fn rows(&mut self) -> Vec<String> {
        let mut encoder = encoder(self.query.schema());
        self.out
            .borrow_mut()
            .drain(..)
            .map(|row| {
                let mut bytes = Vec::new();
                encoder.encode(&row, &mut bytes).unwrap();
                String::from_utf8(bytes).unwrap()
            })
            .collect()
    }
}

#[test]
fn update_without_an_interval_writes_a_result_for_each_row() {
    let mut lane = lane(
        "SET outputMode = 'update'; SELECT x % 3 AS k, count(*) AS n, sum(x) AS s FROM a GROUP BY x % 3",
    );
    assert_eq!(
        lane.send(&[r#"{"x":1}"#, r#"{"x":4}"#, r#"{"x":2}"#, r#"{}"#]),
        [
            r#"{"k":1,"n":1,"s":1}"#,
            r#"{"k":1,"n":2,"s":5}"#,
            r#"{"k":2,"n":1,"s":2}"#,
            r#"{"n":1}"#
        ]
    );
    assert_eq!(lane.trigger(), [""; 0]);
}

#[test]
fn update_with_an_interval_writes_what_has_changed_since_the_last() {
    let mut lane = lane(
        "SET outputMode = 'update'; SET trigger = '1 second'; SELECT k, max(x) AS m FROM a GROUP BY k",
    );
    let sent = [
        r#"{"k":"a","x":1}"#,
        r#"{"k":"a","x":3}"#,
        r#"{"k":"b","x":2}"#,
    ];
    assert_eq!(lane.send(&sent), [""; 0]);
    assert_eq!(lane.trigger(), [r#"{"k":"a","m":3}"#, r#"{"k":"b","m":2}"#]);
    lane.send(&[r#"{"k":"b","x":5}"#]);
    assert_eq!(lane.trigger(), [r#"{"k":"b","m":5}"#]);
}

#[test]
fn complete_writes_the_whole_result_each_time() {
    let mut lane = lane(
        "SET outputMode = 'complete'; SELECT k, CASE WHEN avg(y) > 1 THEN 'high' ELSE 'low' END AS w FROM a GROUP BY k HAVING count(*) > 1",
    );
    assert_eq!(
        lane.query.interval(),
        Some(std::time::Duration::from_secs(1))
    );
    assert!(lane.query.gather());
    lane.send(&[
        r#"{"k":"a","y":1}"#,
        r#"{"k":"a","y":2}"#,
        r#"{"k":"b","y":9}"#,
    ]);
    assert_eq!(lane.trigger(), [r#"{"k":"a","w":"high"}"#]);
    lane.send(&[r#"{"k":"b","y":-9}"#]);
    assert_eq!(
        lane.trigger(),
        [r#"{"k":"a","w":"high"}"#, r#"{"k":"b","w":"low"}"#]
    );
}

#[test]
fn append_writes_a_window_once_when_the_watermark_has_passed_it() {
    let mut lane = lane(
        "SELECT window.start AS s, window.end AS e, k, count(*) AS n FROM a GROUP BY window(ts, '1 minute'), k",
    );
    let first = [
        r#"{"k":"a","ts":"2024-01-01T00:00:10Z"}"#,
        r#"{"k":"a","ts":"2024-01-01T00:00:50Z"}"#,
        r#"{"k":"a","ts":"2024-01-01T00:01:05Z"}"#,
        r#"{"k":"a","ts":"2024-01-01T00:00:59Z"}"#,
    ];
    assert_eq!(lane.send(&first), [""; 0]);
    assert_eq!(
        lane.send(&[r#"{"k":"b","ts":"2024-01-01T00:01:10Z"}"#]),
        [r#"{"s":"2024-01-01T00:00:00.000Z","e":"2024-01-01T00:01:00.000Z","k":"a","n":3}"#]
    );
    assert_eq!(
        lane.send(&[r#"{"k":"b","ts":"2024-01-01T00:00:59Z"}"#]),
        [""; 0]
    );
    assert_eq!(lane.late, 1);
}

#[test]
fn windows_of_windows_close_one_after_the_other() {
    let mut lane = lane(
        "WITH minutes AS (SELECT window, k, sum(x) AS s FROM a GROUP BY window(ts, '1 minute'), k)
         SELECT window.end AS e, max(s) AS most, max_by(k, s) AS who, count(*) AS n FROM minutes GROUP BY window(window, '2 minutes')",
    );
    let sent = [
        r#"{"k":"a","x":1,"ts":"2024-01-01T00:00:10Z"}"#,
        r#"{"k":"b","x":2,"ts":"2024-01-01T00:00:10Z"}"#,
        r#"{"k":"a","x":5,"ts":"2024-01-01T00:01:10Z"}"#,
        r#"{"k":"a","x":1,"ts":"2024-01-01T00:02:00Z"}"#,
    ];
    assert_eq!(lane.send(&sent), [""; 0]);
    assert_eq!(
        lane.send(&[r#"{"k":"a","x":1,"ts":"2024-01-01T00:02:10Z"}"#]),
        [r#"{"e":"2024-01-01T00:02:00.000Z","most":5,"who":"a","n":3}"#]
    );
}

#[test]
fn a_session_ends_when_nothing_has_come_for_the_gap() {
    let mut lane = lane(
        "SELECT session_window.start AS s, session_window.end AS e, k, count(*) AS n FROM a
         GROUP BY session_window(ts, CASE WHEN k = 'slow' THEN '1 minute' ELSE '5 seconds' END), k",
    );
    let sent = [
        r#"{"k":"fast","ts":"2024-01-01T00:00:10Z"}"#,
        r#"{"k":"fast","ts":"2024-01-01T00:00:14Z"}"#,
        r#"{"k":"slow","ts":"2024-01-01T00:00:14Z"}"#,
    ];
    assert_eq!(lane.send(&sent), [""; 0]);
    assert_eq!(
        lane.send(&[r#"{"k":"other","ts":"2024-01-01T00:00:30Z"}"#]),
        [r#"{"s":"2024-01-01T00:00:10.000Z","e":"2024-01-01T00:00:19.000Z","k":"fast","n":2}"#]
    );
}

#[test]
fn distinct_filter_and_ignore_nulls_are_of_one_call() {
    let mut lane = lane(
        "SET outputMode = 'complete';
         SELECT count(DISTINCT box.w) AS w, count(*) FILTER (WHERE x > 1) AS big, first(k) IGNORE NULLS AS f, first(k) AS g,
           sum(x) + max(box.h) AS t FROM a",
    );
    lane.send(&[
        r#"{"x":1,"box":{"w":1,"h":7}}"#,
        r#"{"k":"k","x":2,"box":{"w":1,"h":2}}"#,
        r#"{"x":3,"box":{"w":2}}"#,
    ]);
    assert_eq!(lane.trigger(), [r#"{"w":2,"big":2,"f":"k","t":13}"#]);
}

#[test]
fn keys_may_be_named_by_place_and_by_alias_and_be_used_inside_expressions() {
    let mut lane = lane(
        "SET outputMode = 'update';
         SELECT upper(A.K) AS name, length(upper(k)) + 1 AS l, box.w * 2 AS w, count(*) AS n, n * 10 AS tens FROM a
         GROUP BY name, 3",
    );
    assert_eq!(
        lane.send(&[r#"{"k":"ab","box":{"w":3}}"#]),
        [r#"{"name":"AB","l":3,"w":6,"n":1,"tens":10}"#]
    );
}

#[test]
fn groups_of_a_table_that_is_named_twice_count_both_ways() {
    let mut lane = lane(
        "SET outputMode = 'update';
         SELECT k, count(*) AS n FROM (SELECT k FROM a WHERE x > 1 UNION ALL SELECT k FROM a) GROUP BY k",
    );
    assert_eq!(
        lane.send(&[r#"{"k":"a","x":2}"#, r#"{"k":"a","x":1}"#]),
        [
            r#"{"k":"a","n":1}"#,
            r#"{"k":"a","n":2}"#,
            r#"{"k":"a","n":3}"#
        ]
    );
}

#[test]
fn complete_may_be_ordered_and_limited() {
    let mut lane = lane(
        "SET outputMode = 'complete'; SELECT k, count(*) AS n FROM a GROUP BY k ORDER BY n DESC, k LIMIT 2",
    );
    lane.send(&[
        r#"{"k":"c"}"#,
        r#"{"k":"b"}"#,
        r#"{"k":"a"}"#,
        r#"{"k":"c"}"#,
    ]);
    lane.moment(Moment::Trigger(0));
    assert_eq!(lane.rows(), [r#"{"k":"c","n":2}"#, r#"{"k":"a","n":1}"#]);
    lane.send(&[r#"{"k":"b"}"#, r#"{"k":"b"}"#]);
    lane.moment(Moment::Trigger(0));
    assert_eq!(lane.rows(), [r#"{"k":"b","n":3}"#, r#"{"k":"c","n":2}"#]);
}

#[test]
fn distinct_lets_the_first_row_of_each_key_through() {
    let mut all = lane("SELECT DISTINCT k, x % 2 AS odd FROM a");
    let sent = [
        r#"{"k":"a","x":1}"#,
        r#"{"k":"a","x":3}"#,
        r#"{"k":"a","x":2}"#,
    ];
    assert_eq!(
        all.send(&sent),
        [r#"{"k":"a","odd":1}"#, r#"{"k":"a","odd":0}"#]
    );
    let mut on = lane("SELECT DISTINCT ON (upper(k)) k, x FROM a");
    let sent = [
        r#"{"k":"a","x":1,"ts":"2024-01-01T00:00:00Z"}"#,
        r#"{"k":"A","x":2,"ts":"2024-01-01T00:00:05Z"}"#,
        r#"{"k":"b","x":3,"ts":"2024-01-01T00:00:15Z"}"#,
        // The watermark is at 5 seconds: the first row is held for a delay of 10 seconds more.
        r#"{"k":"a","x":4,"ts":"2024-01-01T00:00:16Z"}"#,
        r#"{"k":"b","x":5,"ts":"2024-01-01T00:00:22Z"}"#,
        r#"{"k":"a","x":6,"ts":"2024-01-01T00:00:23Z"}"#,
    ];
    assert_eq!(
        on.send(&sent),
        [
            r#"{"k":"a","x":1}"#,
            r#"{"k":"b","x":3}"#,
            r#"{"k":"a","x":6}"#
        ]
    );
    let mut whole = lane("SET outputMode = 'complete'; SELECT DISTINCT k FROM a");
    whole.send(&[r#"{"k":"a"}"#, r#"{"k":"b"}"#, r#"{"k":"a"}"#]);
    assert_eq!(whole.trigger(), [r#"{"k":"a"}"#, r#"{"k":"b"}"#]);
    assert_eq!(whole.trigger(), [r#"{"k":"a"}"#, r#"{"k":"b"}"#]);
}

#[test]
fn limit_lets_so_many_rows_through_for_ever() {
    let mut lane = lane("SELECT x FROM a WHERE x > 0 LIMIT 2");
    assert_eq!(
        lane.send(&[r#"{"x":1}"#, r#"{"x":0}"#, r#"{"x":2}"#, r#"{"x":3}"#]),
        [r#"{"x":1}"#, r#"{"x":2}"#]
    );
}

#[test]
fn an_input_partitioned_by_a_key_needs_no_gathering() {
    let read = |topics: &str, by: &str, group: &str| {
        let text = format!(
            "CREATE TABLE p (card STRING, shop STRING, amount INT) USING kafka
             OPTIONS (kafka.bootstrap.servers 'b:1', {topics}, format 'json') PARTITIONED BY ({by});
             SET outputMode = 'update';
             SELECT count(*) AS n FROM (SELECT card AS c, upper(shop) AS s, amount FROM p WHERE amount > 1) GROUP BY {group};"
        );
        let job = load(&text, &Overrides::default(), &|_| None);
        job.map_err(|e| e.render("job.sql", &text))
            .unwrap()
            .queries
            .remove(0)
    };
    let text = |by: &str, group: &str| read("subscribe 'p'", by, group);
    assert!(!text("card", "c").gather());
    assert!(!text("card", "s, c").gather());
    assert!(text("card", "s").gather());
    assert!(
        text("shop", "s").gather(),
        "what a key is computed from does not hold it"
    );
    assert!(text("card, shop", "c").gather());
    for several in ["subscribe 'p,q'", "subscribePattern 'p.*'"] {
        assert!(
            read(several, "card", "c").gather(),
            "a key may stand in several topics"
        );
    }
    let assigned = read(r#"assign '{"p":[0,1]}'"#, "card", "c");
    assert!(!assigned.gather());
}
