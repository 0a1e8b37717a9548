//! Stories of the format `avro`, with a registry that has its moods.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use thalweg_engine::error::Remedy;
use thalweg_engine::row::{Unscaled, Value};
use thalweg_engine::schema::{DataType, Field};
use thalweg_engine::source::Health;

use super::*;
use crate::codecs::{Adviser, Decoder, Encoder, Mode};
use crate::sinks::http::server::{Answer, Request, Server};
use crate::table::Table;

fn settings(url: &str, more: &[(&str, &str)]) -> Settings {
    let table = Table::using("t", "kafka").option("schema.registry.url", url);
    let table = more
        .iter()
        .fold(table, |table, (name, value)| table.option(*name, *value));
    Settings::of(&table).unwrap()
}

fn address(server: &Server) -> String {
    format!("http://{}", server.address)
}

/// Columns of every type that is written.
fn columns() -> Vec<Field> {
    let inner: Arc<[Field]> = Arc::from([
        Field::nullable("x", DataType::Int),
        Field::nullable("y", DataType::String),
    ]);
    let decimal = DataType::Decimal {
        precision: 12,
        scale: 2,
    };
    vec![
        Field::nullable("a", DataType::Boolean),
        Field::nullable("b", DataType::TinyInt),
        Field::nullable("c", DataType::BigInt),
        Field::nullable("d", DataType::Double),
        Field::nullable("e", decimal),
        Field::nullable("f", DataType::String),
        Field::nullable("g", DataType::Binary),
        Field::nullable("h", DataType::Date),
        Field::nullable("i", DataType::Timestamp),
        Field::nullable("j", DataType::TimestampNtz),
        Field::nullable("k", DataType::Array(Arc::new(DataType::Struct(inner)))),
        Field::nullable(
            "l",
            DataType::Map(Arc::new((DataType::String, DataType::Int))),
        ),
    ]
}

fn row() -> Vec<Value> {
    vec![
        Value::Boolean(true),
        Value::TinyInt(-7),
        Value::BigInt(i64::MIN),
        Value::Double(0.5),
        Value::Decimal(Unscaled::from(-129)),
        Value::from("größe"),
        Value::Binary(Arc::from([0_u8, 255])),
        Value::Date(-1),
        Value::Timestamp(1_700_000_000_000_001),
        Value::TimestampNtz(-5),
        Value::Array(Arc::from([
            Value::Null,
            Value::Struct(Arc::from([Value::Int(300), Value::Null])),
        ])),
        Value::Map(Arc::from([(Value::from("k"), Value::Int(1))])),
    ]
}

/// Waits until the decoder knows what it needs for these bytes.
#[track_caller]
fn until_decided(decoder: &mut AvroDecoder, bytes: &[u8]) {
    let began = Instant::now();
    while decoder.undecided(bytes, Waker::noop()) {
        assert!(began.elapsed() < Duration::from_secs(20), "never decided");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn decoded(
    decoder: &mut AvroDecoder,
    bytes: &[u8],
) -> Result<Vec<Value>, thalweg_engine::error::RecordError> {
    let mut row = Vec::new();
    decoder.decode(bytes, &mut row).map(|_| row)
}

/// The answer of a registry that has this schema under every id.
fn explains(schema: &serde_json::Value) -> &'static str {
    let body = serde_json::json!({ "schema": schema.to_string() });
    Box::leak(body.to_string().into_boxed_str())
}

#[test]
fn what_is_written_is_read_again_and_the_registry_is_asked_once() {
    let body = explains(&schema_of(&columns()));
    let server = Server::start(move |_, request: &Request| {
        match request
            .head
            .starts_with("post /subjects/out-value/versions ")
        {
            true => Answer::Status(200, "", r#"{"id":258}"#),
            false => Answer::Status(200, "", body),
        }
    });
    let user = [("schema.registry.basic.auth.user.info", "me:hush")];
    let settings = settings(&address(&server), &user);
    let mut encoder = encoder(&settings, "out", &columns()).unwrap();
    let questions = Questions::open(&settings).unwrap();
    let mut decoder = AvroDecoder::new(questions, columns(), Mode::FailFast);
    let nulls = vec![Value::Null; columns().len()];
    for row in [row(), nulls] {
        let mut bytes = Vec::new();
        encoder.encode(&row, &mut bytes).unwrap();
        assert_eq!(bytes[..5], [0, 0, 0, 1, 2]);
        until_decided(&mut decoder, &bytes);
        assert_eq!(decoded(&mut decoder, &bytes).unwrap(), row);
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].head.starts_with("get /schemas/ids/258 "));
    for request in requests {
        assert!(request.head.contains("authorization: basic bwu6ahvzaa=="));
    }
}

#[test]
fn a_writers_schema_is_matched_by_name_with_avros_promotions() {
    let body = explains(
        &serde_json::json!({"type": "record", "name": "W", "fields": [
            {"name": "other", "type": "string"},
            {"name": "id", "type": "int"},
            {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "B"]}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 1}},
        ]}),
    );
    let server = Server::start(move |_, _| Answer::Status(200, "", body));
    let questions = Questions::open(&settings(&address(&server), &[])).unwrap();
    let decimal = DataType::Decimal {
        precision: 8,
        scale: 3,
    };
    let wanted = vec![
        Field::nullable("price", decimal),
        Field::nullable("id", DataType::BigInt),
        Field::nullable("kind", DataType::String),
        Field::nullable("at", DataType::Timestamp),
        Field::nullable("absent", DataType::String),
    ];
    let mut decoder = AvroDecoder::new(Arc::clone(&questions), wanted, Mode::FailFast);
    let bytes = [0, 0, 0, 0, 9, 2, b'o', 84, 2, 4, 2, 15];
    until_decided(&mut decoder, &bytes);
    assert_eq!(
        decoded(&mut decoder, &bytes).unwrap(),
        [
            Value::Decimal(Unscaled::from(1500)),
            Value::BigInt(42),
            Value::from("B"),
            Value::Timestamp(2000),
            Value::Null,
        ]
    );
    let column = vec![Field::nullable("kind", DataType::Int)];
    let mut decoder = AvroDecoder::new(Arc::clone(&questions), column, Mode::FailFast);
    let error = decoded(&mut decoder, &bytes).unwrap_err();
    assert!(
        error
            .reason
            .contains("`kind`: a value of Avro's type enum is not read as INT"),
        "{error}"
    );
    let cut = decoded(&mut decoder, &bytes[..8]).unwrap_err();
    assert!(cut.reason.contains("does not fit its schema"), "{cut}");
    questions.close();
}

#[test]
fn a_registry_that_is_away_is_waited_for_and_one_that_knows_nothing_is_believed_for_a_while() {
    let server = Server::start(|number, _| match number {
        0 => Answer::Status(503, "", "not now"),
        1 => Answer::Cut,
        _ => Answer::Status(
            404,
            "",
            r#"{"error_code":40403,"message":"Schema not found"}"#,
        ),
    });
    let questions = Questions::open(&settings(&address(&server), &[])).unwrap();
    let column = vec![Field::nullable("a", DataType::Int)];
    let mut decoder = AvroDecoder::new(Arc::clone(&questions), column.clone(), Mode::FailFast);
    let bytes = [0, 0, 0, 0, 3, 2];
    assert!(decoder.undecided(&bytes, Waker::noop()));
    let began = Instant::now();
    while questions.health() == Health::Up {
        assert!(began.elapsed() < Duration::from_secs(20), "never told");
        std::thread::sleep(Duration::from_millis(1));
    }
    until_decided(&mut decoder, &bytes);
    assert_eq!(questions.health(), Health::Up);
    for _ in 0..3 {
        let error = decoded(&mut decoder, &bytes).unwrap_err();
        assert!(
            error.reason.contains("has no schema of the id 3"),
            "{error}"
        );
    }
    assert_eq!(server.requests().len(), 3);
    let error = decoded(&mut decoder, b"{\"a\":1}").unwrap_err();
    assert!(
        error.reason.ends_with("bytes that name a schema"),
        "{error}"
    );
    let content = error.content.unwrap();
    assert!(content.starts_with("it begins with [7b, 22"), "{content}");
    let mut lenient = AvroDecoder::new(questions, column, Mode::Permissive);
    assert_eq!(decoded(&mut lenient, b"{}").unwrap(), [Value::Null]);
}

#[test]
fn who_may_not_read_schemas_is_told_and_who_is_not_known_is_asked_for_a_login() {
    let server = Server::start(|number, _| match number {
        0 => Answer::Status(401, "", ""),
        _ => Answer::Status(403, "", ""),
    });
    let questions = Questions::open(&settings(&address(&server), &[])).unwrap();
    let column = vec![Field::nullable("a", DataType::Int)];
    let mut decoder = AvroDecoder::new(Arc::clone(&questions), column.clone(), Mode::FailFast);
    let bytes = [0, 0, 0, 0, 3, 2];
    assert!(decoder.undecided(&bytes, Waker::noop()));
    let began = Instant::now();
    let failure = loop {
        if let Health::Down(why) = questions.health() {
            assert!(
                why.contains("401") && why.contains("it wants a login"),
                "{why}"
            );
        }
        if let Some(failure) = questions.failure() {
            break failure;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "never told");
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(failure.remedy, Remedy::End);
    assert!(failure.message.contains("lacks the right"), "{failure}");
    // The record waits: that it cannot be read is not its fault.
    assert!(decoder.undecided(&bytes, Waker::noop()));
    let user = [("schema.registry.basic.auth.user.info", "me:hush")];
    let failure = encoder(&settings(&address(&server), &user), "out", &column).unwrap_err();
    assert_eq!(failure.remedy, Remedy::End);
    drop(server);
    let server = Server::start(|_, _| Answer::Status(401, "", ""));
    let failure = encoder(&settings(&address(&server), &user), "out", &column).unwrap_err();
    assert_eq!(failure.remedy, Remedy::Restart);
    assert!(
        failure.message.contains("are not taken") && !failure.message.contains("hush"),
        "{failure}"
    );
}

#[test]
fn a_schema_may_refer_to_schemas_of_other_subjects_and_these_to_others() {
    let order = serde_json::json!({"type": "record", "name": "Order", "fields": [
        {"name": "id", "type": "int"}, {"name": "from", "type": "geo.Place"}, {"name": "to", "type": "geo.Place"}]});
    let place = serde_json::json!({"type": "record", "name": "Place", "namespace": "geo", "fields": [
        {"name": "city", "type": "string"}, {"name": "zone", "type": "Zone"}]});
    let zone = serde_json::json!({"type": "enum", "name": "Zone", "namespace": "geo", "symbols": ["A", "B"]});
    let answer = |schema: &serde_json::Value, references: serde_json::Value| -> &'static str {
        let body = serde_json::json!({"schema": schema.to_string(), "references": references});
        Box::leak(body.to_string().into_boxed_str())
    };
    let refers = |name: &str, subject: &str, version: i32| serde_json::json!([{"name": name, "subject": subject, "version": version}]);
    let order = answer(&order, refers("geo.Place", "places/a", 2));
    let place = answer(&place, refers("geo.Zone", "zones", 1));
    let zone = answer(&zone, serde_json::json!([]));
    let server = Server::start(move |_, request: &Request| {
        let path = request.head.split(' ').nth(1).unwrap();
        match path {
            "/schemas/ids/5" => Answer::Status(200, "", order),
            "/subjects/places%2fa/versions/2" => Answer::Status(200, "", place),
            "/subjects/zones/versions/1" => Answer::Status(200, "", zone),
            _ => Answer::Status(404, "", r#"{"error_code":40401,"message":"no"}"#),
        }
    });
    let place = DataType::Struct(Arc::from([
        Field::nullable("zone", DataType::String),
        Field::nullable("city", DataType::String),
    ]));
    let columns = vec![
        Field::nullable("to", place),
        Field::nullable("id", DataType::Int),
    ];
    let questions = Questions::open(&settings(&address(&server), &[])).unwrap();
    let mut decoder = AvroDecoder::new(questions, columns, Mode::FailFast);
    // 42, (x, B), (y, A)
    let bytes = [0, 0, 0, 0, 5, 84, 2, b'x', 2, 2, b'y', 0];
    until_decided(&mut decoder, &bytes);
    assert_eq!(
        decoded(&mut decoder, &bytes).unwrap(),
        [
            Value::Struct(Arc::from([Value::from("A"), Value::from("y")])),
            Value::Int(42),
        ]
    );
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_schema_that_refers_to_what_the_registry_has_not_says_so() {
    let body = serde_json::json!({"schema": "{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"b\",\"type\":\"B\"}]}",
        "references": [{"name": "B", "subject": "bs", "version": 7}]});
    let body: &'static str = Box::leak(body.to_string().into_boxed_str());
    let server = Server::start(move |_, request: &Request| {
        match request.head.starts_with("get /schemas/") {
            true => Answer::Status(200, "", body),
            false => Answer::Status(404, "", r#"{"error_code":40401,"message":"no"}"#),
        }
    });
    let questions = Questions::open(&settings(&address(&server), &[])).unwrap();
    let columns = vec![Field::nullable("b", DataType::String)];
    let mut decoder = AvroDecoder::new(questions, columns, Mode::FailFast);
    let bytes = [0, 0, 0, 0, 5, 0];
    until_decided(&mut decoder, &bytes);
    let error = decoded(&mut decoder, &bytes).unwrap_err();
    assert!(
        error
            .reason
            .contains("refers to version 7 of the subject `bs`, which the registry has not"),
        "{error}"
    );
}

#[test]
fn a_schema_that_the_registry_does_not_take_ends_the_query() {
    let server = Server::start(|_, request: &Request| {
        match request
            .head
            .starts_with("post /subjects/out-value/versions")
        {
            true => Answer::Status(409, "", r#"{"error_code":409,"message":"incompatible"}"#),
            false => Answer::Status(404, "", r#"{"error_code":40401,"message":"no subject"}"#),
        }
    });
    let column = [Field::nullable("a", DataType::Int)];
    for (register, said) in [("true", "incompatible"), ("false", "no subject")] {
        let option = [("auto.register.schemas", register)];
        let failure = encoder(&settings(&address(&server), &option), "out", &column).unwrap_err();
        assert_eq!(failure.remedy, Remedy::End);
        assert!(failure.message.contains(said), "{failure}");
    }
    let url = address(&server);
    drop(server);
    let failure = encoder(&settings(&url, &[]), "out", &column).unwrap_err();
    assert_eq!(failure.remedy, Remedy::Restart);
}

#[test]
fn columns_that_avro_has_no_name_or_type_for_are_refused() {
    let why = |name: &str, data_type| unsupported(&[Field::nullable(name, data_type)]);
    assert!(
        why("größe", DataType::Int)
            .unwrap()
            .contains("no name in Avro")
    );
    assert!(why("a", DataType::DayTimeInterval).is_some());
    assert_eq!(unsupported(&columns()), None);
}
