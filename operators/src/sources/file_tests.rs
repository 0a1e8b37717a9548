//! What a reader of a file sees.

use std::io::Write;

use futures_util::StreamExt;
use thalweg_engine::record::{Body, Record, Skip};
use thalweg_engine::row::Value;
use thalweg_engine::source::SourceEvent;

use super::*;
use crate::job_error::Location;
use crate::table::{OptionValue, Options};

fn table(connector: &str, columns: Option<Vec<Field>>, options: &[(&str, &str)]) -> Table {
    let at = Location { line: 1, column: 1 };
    Table {
        name: "invoices".to_owned(),
        at,
        connector: connector.to_owned(),
        columns,
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

fn two_columns() -> Option<Vec<Field>> {
    Some(vec![
        Field::nullable("id", DataType::Int),
        Field::nullable("name", DataType::String),
    ])
}

fn text_file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn in_place(table: &Table, schema: &Schema, path: &Path) -> Arc<dyn Source> {
    let wanted: Vec<usize> = (0..schema.fields.len()).collect();
    open_in_place(
        table,
        schema,
        &wanted,
        path.to_str().unwrap(),
        &test_context(),
    )
    .unwrap()
}

/// All records from a position on, and whether the end was told.
fn read(source: &dyn Source, from: i64, until: Option<i64>) -> (Vec<Record>, bool) {
    let partition = Arc::new(Partition {
        input: "invoices".into(),
        name: "invoices/0".into(),
    });
    let until = until.map(Position::Number);
    let mut stream = source
        .read(&partition, &Position::Number(from), until.as_ref())
        .unwrap();
    let mut records = Vec::new();
    let mut ended = false;
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(async {
            while let Some(event) = stream.next().await {
                match event {
                    SourceEvent::Record(record) => records.push(record),
                    SourceEvent::Ended => ended = true,
                    SourceEvent::Failed(failure) => panic!("{failure}"),
                    SourceEvent::CaughtUp(_) => {}
                }
            }
        });
    (records, ended)
}

fn row(record: &Record) -> &[Value] {
    match &record.body {
        Body::Row(row) => row,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_line_is_a_record_and_its_position_is_where_it_begins() {
    let file = text_file("{\"id\":1}\r\n\n{\"id\":2,\"name\":\"b\"}");
    let table = table("kafka", two_columns(), &[("format", "json")]);
    let source = in_place(&table, &Schema::new(two_columns().unwrap()), file.path());
    let (records, ended) = read(&*source, 0, None);
    assert!(ended);
    assert_eq!(records.len(), 2);
    assert_eq!(row(&records[0]), [Value::Int(1), Value::Null]);
    assert_eq!(row(&records[1]), [Value::Int(2), Value::from("b")]);
    assert_eq!(records[0].next, Position::Number(10));
    assert_eq!(records[1].meta.position, Position::Number(11));
    assert_eq!(records[1].next, Position::Number(30));
    assert_eq!(
        records[0].raw.as_ref().unwrap().value(),
        Some(&b"{\"id\":1}"[..])
    );
}

#[test]
fn a_bad_line_is_named_by_file_and_line_and_does_not_stop_the_others() {
    let file = text_file("{\"id\":1}\n{\"id\":\"x\"}\n{\"id\":3}\n");
    let table = table("kafka", two_columns(), &[("format", "json")]);
    let source = in_place(&table, &Schema::new(two_columns().unwrap()), file.path());
    let (records, _) = read(&*source, 0, None);
    assert_eq!(records.len(), 3);
    let Body::Bad(error) = &records[1].body else {
        panic!("a bad record")
    };
    let expected = format!(
        "{}:2: column `id` is INT, a string at byte 6 does not fit",
        file.path().display()
    );
    assert_eq!(&*error.reason, expected);
    assert_eq!(row(&records[2])[0], Value::Int(3));
}

#[test]
fn a_file_table_takes_sparks_default_mode() {
    let file = text_file("{\"id\":\"x\"}\n");
    let path = file.path().to_str().unwrap();
    for (options, skipped) in [
        (vec![("path", path)], false),
        (vec![("path", path), ("mode", "dropMalformed")], true),
    ] {
        let table = table("file", two_columns(), &options);
        let source = open(&table, &[0], &test_context()).unwrap();
        let (records, _) = read(&*source, 0, None);
        if skipped {
            assert!(matches!(records[0].body, Body::Skipped(Skip::Malformed)));
        } else {
            assert_eq!(row(&records[0]), [Value::Null]);
        }
    }
}

#[test]
fn reading_goes_on_at_a_position_with_the_right_line_number() {
    let file = text_file("{\"id\":1}\n{\"id\":2}\nbroken");
    let table = table("kafka", two_columns(), &[("format", "json")]);
    let source = in_place(&table, &Schema::new(two_columns().unwrap()), file.path());
    let (records, _) = read(&*source, 9, None);
    assert_eq!(row(&records[0])[0], Value::Int(2));
    let Body::Bad(error) = &records[1].body else {
        panic!("a bad record")
    };
    assert!(error.reason.contains(":3: not JSON"), "{error}");
}

#[test]
fn a_bounded_run_reads_to_the_end_that_was_there() {
    let mut file = text_file("{\"id\":1}\n{\"id\":2}\n");
    let table = table("kafka", two_columns(), &[("format", "json")]);
    let source = in_place(&table, &Schema::new(two_columns().unwrap()), file.path());
    let Position::Number(end) = source.ends().unwrap()["invoices/0"] else {
        panic!("a number")
    };
    file.write_all(b"{\"id\":3}\n").unwrap();
    let (records, ended) = read(&*source, 0, Some(end));
    assert_eq!((records.len(), ended), (2, true));
}

#[test]
fn in_place_of_bare_kafka_a_line_is_the_value_and_the_facts_are_made_up() {
    let schema = Schema::new(vec![
        Field::nullable("key", DataType::Binary),
        Field::nullable("value", DataType::Binary),
        Field::nullable("topic", DataType::String),
        Field::nullable("partition", DataType::Int),
        Field::nullable("offset", DataType::BigInt),
    ]);
    let file = text_file("a\n\nb\n");
    let source = in_place(&table("kafka", None, &[]), &schema, file.path());
    let (records, _) = read(&*source, 0, None);
    assert_eq!(records.len(), 3);
    assert_eq!(
        row(&records[2]),
        [
            Value::Null,
            Value::Binary((*b"b").into()),
            Value::from("invoices"),
            Value::Int(0),
            Value::BigInt(2)
        ]
    );
}

#[test]
fn decoded_columns_and_metadata_of_the_same_name_stand_side_by_side() {
    let mut fields = vec![
        Field::nullable("offset", DataType::Int),
        Field::nullable("name", DataType::String),
    ];
    let table = table("kafka", Some(fields.clone()), &[("format", "json")]);
    fields.push(Field::nullable("key", DataType::Binary));
    fields.push(Field::required("offset", DataType::BigInt));
    let file = text_file("{\"name\":\"a\",\"offset\":7}\n");
    let source = in_place(&table, &Schema::new(fields), file.path());
    let (records, _) = read(&*source, 0, None);
    assert_eq!(
        row(&records[0]),
        [
            Value::Int(7),
            Value::from("a"),
            Value::Null,
            Value::BigInt(0)
        ]
    );
}

#[test]
fn a_long_line_over_many_pieces_is_one_record() {
    let long = "x".repeat(1_000_000);
    let file = text_file(&format!("short\n{long}\nlast"));
    let path = file.path().to_str().unwrap();
    let table = table("file", None, &[("path", path), ("format", "text")]);
    let source = open(&table, &[0], &test_context()).unwrap();
    let (records, _) = read(&*source, 0, None);
    let lengths: Vec<usize> = records
        .iter()
        .map(|record| match &row(record)[0] {
            Value::String(text) => text.len(),
            _ => 0,
        })
        .collect();
    assert_eq!(lengths, [5, 1_000_000, 4]);
}

#[test]
fn a_file_that_became_shorter_is_refused() {
    let file = text_file("a\n");
    let table = table("kafka", None, &[]);
    let source = in_place(&table, &Schema::new(Vec::new()), file.path());
    let positions = BTreeMap::from([("invoices/0".into(), Position::Number(100))]);
    let error = source
        .resolve(Some(&Resume {
            checkpoint: "c",
            epoch: 1,
            rewound: false,
            positions: &positions,
            state: None,
        }))
        .unwrap_err();
    assert!(error.message.contains("was replaced"), "{error}");
}

#[test]
fn what_cannot_be_read_is_refused_before_the_first_record() {
    let missing = in_place(
        &table("kafka", None, &[]),
        &Schema::new(Vec::new()),
        Path::new("/nowhere"),
    );
    assert!(
        missing
            .resolve(None)
            .unwrap_err()
            .message
            .contains("/nowhere")
    );
    let csv = table("kafka", two_columns(), &[("format", "avro")]);
    let error = open_in_place(
        &csv,
        &Schema::new(two_columns().unwrap()),
        &[0],
        "-",
        &test_context(),
    )
    .err()
    .unwrap();
    assert!(error.message.contains("`avro`"), "{error}");
    let error = columns(&table("file", two_columns(), &[])).unwrap_err();
    assert!(error.message.contains("`path`"));
    let error = columns(&table("file", None, &[("path", "a")])).unwrap_err();
    assert!(error.message.contains("declared columns"));
}
