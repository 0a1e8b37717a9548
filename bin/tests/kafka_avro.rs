//! Values of Avro from topic to topic, with a registry of the story's own.

#![cfg(feature = "avro")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

#[path = "../../operators/src/sinks/http/server.rs"]
mod server;
mod stage;

use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};
use server::{Answer, Request, Server};
use stage::{Broker, PATIENCE, Rec, Scene, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

fn said(answer: &Value) -> Answer {
    let text = answer.to_string();
    Answer::Status(200, "", Box::leak(text.into_boxed_str()))
}

/// What a registry with these schemas, counted from 1, answers.
fn registry(schemas: &Arc<Mutex<Vec<String>>>, request: &Request) -> Answer {
    let mut schemas = schemas.lock().unwrap();
    let path = request.head.split(' ').nth(1).unwrap();
    let Some(id) = path.strip_prefix("/schemas/ids/") else {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        schemas.push(body["schema"].as_str().unwrap().to_owned());
        return said(&json!({"id": schemas.len()}));
    };
    match schemas.get(id.parse::<usize>().unwrap() - 1) {
        Some(schema) => said(&json!({ "schema": schema })),
        None => Answer::Status(
            404,
            "",
            r#"{"error_code":40403,"message":"Schema not found"}"#,
        ),
    }
}

#[test]
fn values_are_read_and_written_by_their_schemas_and_a_registry_that_is_away_is_waited_for() {
    let scene = Scene::with_topics("avro", broker(), 1);
    let schemas = Arc::new(Mutex::new(vec![
        json!({"type": "record", "name": "In", "fields": [
            {"name": "name", "type": "string"}, {"name": "id", "type": "int"}]})
        .to_string(),
    ]));
    let known = Arc::clone(&schemas);
    let start = move |_: usize, request: &Request| registry(&known, request);
    let server = Server::start(start.clone());
    let address = server.address;
    let job = scene.write(&format!(
        "SET checkpointLocation = './checkpoints';
SET checkpointInterval = '100 ms';
SET onError = 'skip';
CREATE TABLE source (id BIGINT, name STRING) USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}',
  subscribe '{}', startingOffsets 'earliest', format 'avro', schema.registry.url 'http://{address}');
CREATE TABLE target USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{}',
  format 'avro', schema.registry.url 'http://{address}');
INSERT INTO target SELECT id * 2 AS double, name FROM source;
",
        scene.input(),
        scene.output()
    ));
    let mut running = scene.started(&job);
    drop(server);
    let value = |id: u8, rest: &[u8]| [&[0, 0, 0, 0, id], rest].concat();
    scene.topics.send(
        &scene.input(),
        &[
            Rec::new("a", value(1, &[2, b'x', 42])),
            Rec::new("b", "{}"),
            Rec::new("c", value(9, &[0, 0])),
            Rec::new("d", value(1, &[2, b'y', 44])),
        ],
    );
    until("the registry is missed", PATIENCE, || {
        let (status, why) = running.get("/ready");
        status == 503 && why.contains(&address.to_string())
    });
    assert_eq!(scene.topics.count(&scene.output()), 0);
    let server = Server::start_at(address, start);
    scene.until_out(2, PATIENCE);
    running.until_ready();
    running.finish();
    drop(server);
    let written: Vec<Vec<u8>> = scene
        .topics
        .read(&scene.output())
        .into_iter()
        .map(|got| got.value.unwrap())
        .collect();
    assert_eq!(
        written,
        [
            value(2, &[2, 84, 2, 2, b'x']),
            value(2, &[2, 88, 2, 2, b'y'])
        ]
    );
    let own: Value = serde_json::from_str(&schemas.lock().unwrap()[1]).unwrap();
    assert_eq!(own["fields"][0]["type"], json!(["null", "long"]));
}
