//! Rows through the steps of a plan: what goes in as JSON comes out of the query.
#![allow(clippy::unwrap_used)] // In the stage that all tests share, not only in tests.

use std::sync::Arc;
use std::time::Instant;

use thalweg_engine::error::RecordError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::operator::Emit;
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_operators::codecs::Mode;
use thalweg_operators::codecs::json::{JsonOptions, decoder, encoder};
use thalweg_operators::expr::functions::manual::manual;
use thalweg_operators::plan::{self, Query};
use thalweg_operators::sql::{Overrides, load};

/// What comes out: rows as JSON, and their event times.
#[derive(Default)]
struct Out {
    rows: Vec<Row>,
    event_times: Vec<Option<i64>>,
}

/// The steps behind a place; the last of them is the last of the plan.
struct Rest<'s> {
    steps: &'s mut [Option<Step>],
    total: usize,
    to: Target,
    out: &'s mut Out,
}

impl Emit for Rest<'_> {
    fn emit(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError> {
        let Target::Step { step, input } = self.to else {
            self.out.rows.push(row.to_vec());
            self.out.event_times.push(meta.event_time);
            return Ok(());
        };
        let first = self.total - self.steps.len();
        let (step, rest) = self.steps[step - first..].split_first_mut().unwrap();
        let step = step.as_mut().unwrap();
        let mut behind = Rest {
            steps: rest,
            total: self.total,
            to: step.to,
            out: self.out,
        };
        step.operator.process(input, row, meta, &mut behind)
    }
}

fn meta(input: &str) -> RecordMeta {
    RecordMeta {
        partition: Arc::new(Partition {
            input: input.into(),
            name: format!("{input}/0").into(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        watermark: None,
        taken_at: 1_700_000_000_000_000,
        taken: Instant::now(),
    }
}

/// Sends JSON records of an input through a query.
fn send(query: &Query, input: &str, records: &[&str]) -> Result<Out, RecordError> {
    let mut lane = query.lane();
    let (place, read) = query
        .inputs()
        .find(|(_, i)| i.table().name == input)
        .unwrap();
    let (_, entries) = lane.entries.iter().find(|(at, _)| *at == place).unwrap();
    let entry = entries[0];
    let columns = read.table().columns.clone().unwrap();
    let mut decoder = decoder(
        &columns,
        read.wanted(),
        Mode::FailFast,
        &JsonOptions::default(),
    );
    let mut out = Out::default();
    for record in records {
        let mut row = Row::new();
        decoder.decode(record.as_bytes(), &mut row)?;
        let total = lane.steps.len();
        let mut first = Rest {
            steps: &mut lane.steps,
            total,
            to: entry,
            out: &mut out,
        };
        first.emit(&row, &meta(input))?;
    }
    Ok(out)
}

/// The rows as JSON objects.
fn json(query: &Query, out: &Out) -> Vec<String> {
    let mut encoder = encoder(query.schema());
    let one = |row: &Row| {
        let mut bytes = Vec::new();
        encoder.encode(row, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    out.rows.iter().map(one).collect()
}

const TABLES: &str = "CREATE TABLE a (id INT, name STRING, price DOUBLE, tags ARRAY<STRING>, at STRING,
  items ARRAY<STRUCT<sku: STRING, n: INT>>, box STRUCT<w: INT, h: INT>) USING file OPTIONS (path 'a', format 'json');
CREATE TABLE b (key BIGINT, label STRING) USING file OPTIONS (path 'b', format 'json');
CREATE TABLE typed (id SMALLINT NOT NULL, price DECIMAL(6,2)) USING noop;
";

fn query(text: &str) -> Query {
    let text = format!("{TABLES}{text}");
    let job = load(&text, &Overrides::default(), &|_| None).map_err(|e| e.render("job.sql", &text));
    match job {
        Ok(mut job) => job.queries.remove(0),
        Err(error) => panic!("{error}"),
    }
}

/// The rows of a query over the table `a`.
fn rows(text: &str, records: &[&str]) -> Vec<String> {
    let query = query(text);
    let out = send(&query, "a", records).unwrap();
    json(&query, &out)
}

#[test]
fn rows_are_filtered_and_projected() {
    let out = rows(
        "SELECT upper(name) AS n, price * 2 AS twice FROM a WHERE price > 1",
        &[
            r#"{"id":1,"name":"x","price":2}"#,
            r#"{"name":"y","price":1}"#,
            r#"{"name":"z"}"#,
        ],
    );
    assert_eq!(out, [r#"{"n":"X","twice":4.0}"#]);
}

#[test]
fn what_checks_a_row_is_worked_out_though_it_gives_nothing() {
    let checked = query("SELECT id, assert_true(id > 3) AS checked FROM a");
    let out = send(&checked, "a", &[r#"{"id":5}"#]).unwrap();
    assert_eq!(json(&checked, &out), [r#"{"id":5}"#]);
    let failed = send(&checked, "a", &[r#"{"id":1}"#]).err().unwrap();
    assert!(failed.to_string().contains("is not true"), "{failed}");
}

#[test]
fn sliding_windows_that_are_kept_in_panes_do_not_become_whole_ones() {
    let counts = |trigger: &str, slide: &str| {
        let counts = query(&format!(
            "SET outputMode = 'update'; SET trigger = '{trigger}';
             SELECT window.start, count(*) AS n FROM a GROUP BY window(at, '10 seconds', '{slide} seconds')",
        ));
        counts.noted()
    };
    let change = |slide| plan::compare(&counts("1 minute", slide), &counts("continuous", slide));
    assert_eq!(change("10"), Ok(()));
    let refused = change("5").unwrap_err();
    assert!(refused.contains("take the change of trigger"), "{refused}");
    assert_eq!(
        plan::compare(&counts("1 minute", "5"), &counts("2 minutes", "5")),
        Ok(())
    );
}

#[test]
fn a_gap_of_months_is_an_error_of_its_row_and_not_a_row_that_vanishes() {
    let sessions = query(
        "SET outputMode = 'complete';
         SELECT session_window.start, count(*) AS n FROM a
         GROUP BY session_window(at, CASE WHEN id = 1 THEN '1 month' ELSE '31 days' END)",
    );
    let send = |id: u32| {
        let record = format!(r#"{{"id":{id},"at":"2024-01-01T10:00:00Z"}}"#);
        send(&sessions, "a", &[&record]).err()
    };
    assert!(send(2).is_none());
    let error = send(1).unwrap().to_string();
    assert!(error.contains("write it in days"), "{error}");
}

#[test]
fn an_alias_is_used_by_the_items_after_it() {
    let out = rows(
        "SELECT id, id + 1 AS b, b * 2 AS c, c - id AS d FROM a",
        &[r#"{"id":5}"#, r#"{"id":1}"#],
    );
    assert_eq!(
        out,
        [
            r#"{"id":5,"b":6,"c":12,"d":7}"#,
            r#"{"id":1,"b":2,"c":4,"d":3}"#
        ]
    );
}

#[test]
fn views_and_with_change_nothing_of_the_rows() {
    let record = [r#"{"id":7,"name":"q","price":3,"box":{"w":1,"h":2}}"#];
    let plain = rows(
        "SELECT name AS label, box.h AS high FROM a WHERE id = 7",
        &record,
    );
    let views = rows(
        "CREATE VIEW v AS SELECT *, price * 100 AS unused FROM a;
         CREATE VIEW w (i, label, high) AS WITH x AS (SELECT id, name, box FROM v) SELECT id, name, box.h FROM x;
         SELECT label, high FROM (SELECT * FROM w WHERE i = 7) AS q",
        &record,
    );
    assert_eq!(plain, [r#"{"label":"q","high":2}"#]);
    assert_eq!(plain, views);
}

#[test]
fn both_sides_of_a_union_come_out_in_one_shape() {
    let query = query("SELECT id, name FROM a WHERE id > 1 UNION ALL SELECT key, label FROM b");
    let a = send(&query, "a", &[r#"{"id":1}"#, r#"{"id":2,"name":"two"}"#]).unwrap();
    let b = send(&query, "b", &[r#"{"key":3000000000,"label":"l"}"#]).unwrap();
    assert_eq!(a.rows, [vec![Value::BigInt(2), Value::from("two")]]);
    assert_eq!(json(&query, &b), [r#"{"id":3000000000,"name":"l"}"#]);
}

#[test]
fn explode_gives_a_row_for_each_element() {
    let record = [
        r#"{"id":1,"tags":["x","y"],"items":[{"sku":"s","n":2}]}"#,
        r#"{"id":2,"tags":[]}"#,
    ];
    assert_eq!(
        rows("SELECT posexplode(tags) AS (i, tag), id FROM a", &record),
        [r#"{"i":0,"tag":"x","id":1}"#, r#"{"i":1,"tag":"y","id":1}"#]
    );
    assert_eq!(
        rows(
            "SELECT id, t, sku, n FROM a LATERAL VIEW OUTER explode(tags) v AS t LATERAL VIEW OUTER inline(items) w AS sku, n WHERE id < 3",
            &record
        ),
        [
            r#"{"id":1,"t":"x","sku":"s","n":2}"#,
            r#"{"id":1,"t":"y","sku":"s","n":2}"#,
            r#"{"id":2}"#
        ]
    );
}

#[test]
fn several_values_and_fields_of_a_text_become_rows_and_columns() {
    let record = [
        r#"{"id":1,"at":"{\"a\":{\"b\":[1]},\"c\":\"x\"}"}"#,
        r#"{"id":2}"#,
    ];
    assert_eq!(
        rows(
            "SELECT id, json_tuple(at, 'c', 'a', 'z') AS (c, a, z) FROM a",
            &record
        ),
        [r#"{"id":1,"c":"x","a":"{\"b\":[1]}"}"#, r#"{"id":2}"#]
    );
    assert_eq!(
        rows(
            "SELECT n, v FROM a LATERAL VIEW stack(3, 'id', id, 'more', id + 1, 'none') s AS n, v WHERE id = 1",
            &record
        ),
        [
            r#"{"n":"id","v":1}"#,
            r#"{"n":"more","v":2}"#,
            r#"{"n":"none"}"#
        ]
    );
}

#[test]
fn the_examples_of_functions_that_give_rows_are_true() {
    let manual = manual();
    let (_, entries) = manual.iter().find(|(family, _)| *family == "rows").unwrap();
    for entry in entries {
        let select = format!("SELECT {} FROM a", entry.example);
        let answer = rows(&select, &[r#"{"id":1}"#]).join(" ");
        assert_eq!(answer, entry.result, "{}", entry.example);
    }
}

#[test]
fn the_event_time_stands_beside_the_row() {
    let query = query(
        "SELECT id, ts FROM a WATERMARK CAST(at AS TIMESTAMP) AS ts DELAY OF INTERVAL 1 MINUTE WHERE id > 0",
    );
    let out = send(&query, "a", &[r#"{"id":1,"at":"1970-01-01 00:00:07"}"#]).unwrap();
    assert_eq!(out.event_times, [Some(7_000_000)]);
    assert_eq!(out.rows, [vec![Value::Int(1), Value::Timestamp(7_000_000)]]);
}

#[test]
fn columns_are_stored_as_the_output_declares_them() {
    let query = query("INSERT INTO typed SELECT price, id FROM a");
    let out = send(&query, "a", &[r#"{"id":3,"price":1.005}"#]).unwrap();
    assert_eq!(out.rows[0][0], Value::SmallInt(3));
    let refused = |record: &str| send(&query, "a", &[record]).err().unwrap().reason;
    assert!(refused(r#"{"id":70000,"price":1}"#).contains("SMALLINT"));
    assert_eq!(
        &*refused(r#"{"price":1}"#),
        "column id is NULL, but NOT NULL in table typed"
    );
}

#[test]
fn without_ansi_what_cannot_be_computed_is_null() {
    let strict = query("SELECT CAST(name AS INT) AS n FROM a");
    assert!(send(&strict, "a", &[r#"{"name":"x"}"#]).is_err());
    let lenient = query("SET ansi = false; SELECT CAST(name AS INT) AS n FROM a");
    let out = send(&lenient, "a", &[r#"{"name":"x"}"#]).unwrap();
    assert_eq!(out.rows, [vec![Value::Null]]);
}

#[test]
fn the_deepest_expression_that_is_taken_can_be_computed() {
    let sum = format!("SELECT id{} AS n FROM a", " + 1".repeat(190));
    assert_eq!(rows(&sum, &[r#"{"id":10}"#]), [r#"{"n":200}"#]);
    let text = format!("{TABLES}SELECT id{} AS n FROM a", " + 1".repeat(600));
    let error = load(&text, &Overrides::default(), &|_| None).err().unwrap();
    assert!(error.message.contains("nested too deeply"));
}

#[test]
fn a_table_named_twice_is_read_once_and_its_rows_go_both_ways() {
    let query = query(
        "SELECT id, 'cheap' AS why FROM a WHERE price < 5 UNION ALL SELECT id, name FROM a WHERE name = 'x'",
    );
    assert_eq!(query.inputs().count(), 1);
    let records = [
        r#"{"id":1,"name":"x","price":1}"#,
        r#"{"id":2,"price":9}"#,
        r#"{"id":3,"name":"x","price":7}"#,
    ];
    let out = send(&query, "a", &records).unwrap();
    assert_eq!(
        json(&query, &out),
        [
            r#"{"id":1,"why":"cheap"}"#,
            r#"{"id":1,"why":"x"}"#,
            r#"{"id":3,"why":"x"}"#
        ]
    );
}
