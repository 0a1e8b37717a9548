//! Texts that are taken apart by `from_json` and `from_csv`: what a plan decodes of them, and that its answers are those
//! of the whole.
#![allow(clippy::unwrap_used)] // In the stage that all tests share, not only in tests.

use std::cell::RefCell;
use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::pipeline::{Pipeline, Step, Target};
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::sink::{LocalFuture, Origin, Readiness, Writer};
use thalweg_operators::plan::Query;
use thalweg_operators::sql::{Overrides, load};

const TABLES: &str = "
CREATE TABLE raw USING kafka OPTIONS (kafka.bootstrap.servers 'b:9092', subscribe 'raw');
CREATE VIEW bills AS SELECT key, from_json(CAST(value AS STRING),
  'card STRING, total DOUBLE, items ARRAY<STRUCT<name: STRING, n: INT>>, at TIMESTAMP, note STRING') AS bill FROM raw;
CREATE VIEW renamed AS SELECT upper(CAST(key AS STRING)) AS key, bill AS b FROM bills WHERE bill.total > 1;
";

/// What `bills` would be with a STRUCT that is made first and asked for its fields then.
const WHOLE: &str = "coalesce(from_json(CAST(value AS STRING), ";

fn planned(text: &str) -> Query {
    let text = format!("{TABLES}{text};");
    let job = load(&text, &Overrides::default(), &|_| None);
    job.unwrap_or_else(|error| panic!("{}", error.render("job.sql", &text)))
        .queries
        .remove(0)
}

/// The line of the plan that takes texts apart: the last one before the input.
fn decoded(query: &str) -> String {
    let tree = planned(query).fmt_tree();
    let line = tree.lines().rev().find(|line| line.contains("from_"));
    let line = line.unwrap_or_else(|| panic!("{tree}"));
    line.trim_start_matches([' ', '└', '─']).to_owned()
}

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

/// What comes out of a query for these values of messages, each with its number as the key.
fn rows(query: &str, values: &[&[u8]]) -> Result<Vec<Row>, String> {
    let query = planned(query);
    let parts = query.lane();
    let is_input = |place: &usize| query.inputs().any(|(input, _)| input == *place);
    let moved = |to: Target| match to {
        Target::Writer => Target::Writer,
        Target::Step { step, input } => Target::Step {
            step: step - (0..step).filter(is_input).count(),
            input,
        },
    };
    let (_, input) = query.inputs().next().unwrap();
    let entries: Vec<Target> = parts.entries[0].1.iter().map(|to| moved(*to)).collect();
    let steps = parts.steps.into_iter().flatten().map(|step| Step {
        to: moved(step.to),
        ..step
    });
    let out = Rc::default();
    let mut pipeline = Pipeline::new(steps.collect(), Box::new(Out(Rc::clone(&out)))).unwrap();
    let meta = RecordMeta {
        partition: Arc::new(Partition {
            input: "raw".into(),
            name: "raw/0".into(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        watermark: None,
        taken_at: 0,
        taken: Instant::now(),
    };
    for (number, value) in values.iter().enumerate() {
        let key = number.to_string();
        let full = [
            Value::Binary(key.as_bytes().into()),
            Value::Binary((*value).into()),
        ];
        let row: Row = input.wanted().iter().map(|p| full[*p].clone()).collect();
        let done = pipeline.process(&entries, &row, &meta);
        done.map_err(|error| error.reason.to_string())?;
        pipeline.accept().unwrap();
    }
    let rows = out.borrow().clone();
    Ok(rows)
}

const VALUES: &[&[u8]] = &[
    br#"{"card":"c1","total":2.5,"items":[{"name":"x","n":1},{"name":"y","n":2}],"at":"2024-01-01T00:00:00Z","note":"n"}"#,
    br#"{"card":"c2","total":"not a number","items":7,"note":[1,2]}"#,
    br#"{"card":"c3","total":3,"items":[],"other":{"a":[1]}}"#,
    br#"{"card":"c4","total":4,"note":"broken"#,
    br#"{"card":"c5","total":5,"other":01}"#,
    b"",
    b"   ",
    b"[]",
    br#"[{"card":"c6","total":6},{"card":"c7"}]"#,
    b"{\"card\":\"\xff\xfe\",\"total\":9,\"note\":\"caf\xe9\"}",
    b"null",
];

/// The same rows with the STRUCT taken apart early and made whole.
#[track_caller]
fn agrees(query: &str) -> Vec<Row> {
    let narrow = rows(query, VALUES).unwrap();
    let views = TABLES.replace("from_json(CAST(value AS STRING),", WHOLE);
    let views = views.replace("note STRING')", "note STRING'), NULL)");
    let views = views.replace("VIEW bills", "VIEW whole_bills");
    let views = views.replace("FROM bills", "FROM whole_bills");
    let views = views.replace("VIEW renamed", "VIEW whole_renamed");
    let views = views.split_once("'raw');").unwrap().1;
    let other = query.replace("FROM bills", "FROM whole_bills");
    let other = other.replace("FROM renamed", "FROM whole_renamed");
    assert!(other != query, "{query}");
    assert_eq!(
        narrow,
        rows(&format!("{views}{other}"), VALUES).unwrap(),
        "{query}"
    );
    narrow
}

#[test]
fn only_fields_that_later_steps_use_are_decoded() {
    assert_eq!(
        decoded("SELECT bill.card FROM bills"),
        "project from_json(CAST(value AS STRING)).card AS card STRING"
    );
    // Through views, other projections and conditions, in whatever name.
    assert_eq!(
        decoded("SELECT key, b.note FROM renamed WHERE b.card IS NOT NULL"),
        "project key BINARY, from_json(CAST(value AS STRING)).note AS bill.note STRING, \
         from_json(CAST(value AS STRING)).total AS bill.total DOUBLE, from_json(CAST(value AS STRING)).card AS bill.card STRING"
    );
    assert_eq!(
        decoded("SELECT explode(bill.items) AS item, bill.card FROM bills"),
        "project from_json(CAST(value AS STRING)).card AS bill.card STRING, \
         from_json(CAST(value AS STRING)).items AS bill.items ARRAY<STRUCT<name: STRING, n: INT>>"
    );
    assert_eq!(
        decoded("SELECT bill.card FROM bills WHERE bill IS NOT NULL"),
        "project from_json(CAST(value AS STRING)).card AS bill.card STRING, \
         (from_json(CAST(value AS STRING)) IS NOT NULL) AS (bill IS NOT NULL) BOOLEAN"
    );
    let both = decoded(
        "SELECT b.card FROM (SELECT bill AS b FROM bills UNION ALL SELECT b FROM renamed) WHERE b.total < 3",
    );
    let fields = "project from_json(CAST(value AS STRING)).card AS bill.card STRING, from_json(CAST(value AS STRING)).total AS bill.total DOUBLE";
    assert!(both.ends_with(fields), "{both}");
    assert_eq!(
        decoded(
            "SELECT d.a FROM (SELECT from_csv(CAST(value AS STRING), 'a INT, b STRING') AS d FROM raw)"
        ),
        "project from_csv(CAST(value AS STRING)).a AS a INT"
    );
}

#[test]
fn a_struct_that_is_used_whole_is_made_once() {
    let whole = decoded("SELECT bill, bill.card FROM bills");
    assert!(
        whole.contains("from_json(CAST(value AS STRING)) AS bill STRUCT"),
        "{whole}"
    );
    let rows = agrees("SELECT bill, bill.card FROM bills");
    assert_eq!(rows[0][1], Value::from("c1"));
}

#[test]
fn whatever_the_text_the_answers_are_those_of_the_whole() {
    let rows = agrees("SELECT CAST(key AS STRING) AS key, bill.card, bill.total FROM bills");
    let nulls = |from: usize| rows[from][1..].iter().all(Value::is_null);
    assert_eq!(rows[1][1..], [Value::from("c2"), Value::Null]);
    // What is no JSON says nothing at all, also where the fault is behind the fields that are used.
    assert!(nulls(3) && nulls(4) && nulls(5) && nulls(10));
    // Nor does an array where a STRUCT is read, as in Spark.
    assert!(nulls(7) && nulls(8));
    assert_eq!(rows[9][1], Value::from("\u{fffd}\u{fffd}"));
    for query in [
        "SELECT bill.note FROM bills",
        "SELECT bill.* FROM bills",
        "SELECT bill IS NULL AS n, bill.at FROM bills",
        "SELECT key, bill IS NOT NULL AS n FROM bills WHERE bill IS NOT NULL OR bill.total > 1",
        "SELECT get(bill.items, 0).name AS first, size(bill.items) AS n FROM bills",
        "SELECT key, inline_outer(bill.items) FROM bills",
        "SELECT b.card, b.total * 2 AS double FROM renamed WHERE b.note <> 'x' OR b.note IS NULL",
        "SELECT bill AS b, b.card FROM bills",
        "SELECT b.card FROM (SELECT bill AS b FROM bills UNION ALL SELECT b FROM renamed) WHERE b.total < 9",
        "SELECT CASE WHEN bill.total > 3 THEN bill.card ELSE bill.note END AS c FROM bills",
        "SELECT i.name, bill.card FROM bills LATERAL VIEW explode(bill.items) v AS i WHERE i.n > 0",
    ] {
        agrees(query);
    }
}

#[test]
fn in_failfast_mode_every_field_counts() {
    let query = "SELECT d.a FROM (SELECT from_json(CAST(value AS STRING), 'a INT, b INT', map('mode', 'FAILFAST')) AS d FROM raw)";
    assert_eq!(
        rows(query, &[br#"{"a":1,"b":2}"#]).unwrap(),
        [[Value::Int(1)]]
    );
    let error = rows(query, &[br#"{"a":1,"b":"x"}"#]).unwrap_err();
    assert!(error.starts_with("from_json: column `b` is INT"), "{error}");
}

#[test]
fn of_two_fields_of_one_name_the_last_takes_the_value() {
    let query = "SELECT d IS NULL AS n FROM (SELECT from_json(CAST(value AS STRING), 'a INT, a INT, b INT') AS d FROM raw)";
    assert_eq!(
        rows(query, &[b"{\"a\":1}"]).unwrap(),
        [[Value::Boolean(false)]]
    );
}

#[test]
fn what_is_random_is_not_asked_twice() {
    let query = "SELECT d.a = d.b AS same FROM (SELECT from_json(concat('{\"a\":', t, ',\"b\":', t, '}'), 'a DOUBLE, b DOUBLE') AS d
      FROM (SELECT CAST(rand() AS STRING) AS t FROM raw))";
    let values: Vec<&[u8]> = vec![b""; 20];
    for row in rows(query, &values).unwrap() {
        assert_eq!(row, [Value::Boolean(true)]);
    }
    let query = "SELECT d.a, d.b FROM (SELECT from_json(array(to_json(struct(rand() AS a)))[0], 'a DOUBLE, b DOUBLE') AS d FROM raw)";
    assert_eq!(rows(query, &values).unwrap().len(), 20);
}

#[test]
fn records_of_csv_are_read_in_part_and_say_the_same() {
    let schema = "'id INT, name STRING, n DOUBLE, day DATE'";
    let values: &[&[u8]] = &[
        b"1,anna,2.5,2024-01-01",
        b"x,\"a, b\",y,z",
        b"1",
        b"1,2,3,2024-01-01,5,6",
        b"",
        b"\"\"",
        b",,,",
        b"4,\xff,1e3,2024-02-30",
    ];
    for fields in [
        "name",
        "id, d.day",
        "n, d.name, d.id",
        "day, d.n, d.name, d.id",
    ] {
        let narrow = format!(
            "SELECT d.{fields}, d IS NULL AS none FROM (SELECT from_csv(CAST(value AS STRING), {schema}) AS d FROM raw)"
        );
        let whole = narrow
            .replace("from_csv(", "coalesce(from_csv(")
            .replace(") AS d", "), NULL) AS d");
        assert_eq!(
            rows(&narrow, values).unwrap(),
            rows(&whole, values).unwrap(),
            "{fields}"
        );
    }
}
