//! Values of Avro from topic to topic, with a registry of the story's own.

#![cfg(feature = "avro")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

#[path = "../../operators/src/sinks/http/server.rs"]
mod server;
mod stage;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};
use server::{Answer, Request, Server};
use stage::{Broker, PATIENCE, Rec, Scene, kills, until};

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
        let schema = body["schema"].as_str().unwrap();
        // The same schema has the same id, however often it is registered.
        let known = schemas.iter().position(|known| known == schema);
        let place = known.unwrap_or_else(|| {
            schemas.push(schema.to_owned());
            schemas.len() - 1
        });
        return said(&json!({"id": place + 1}));
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

/// A number as Avro writes it.
fn long(number: i64) -> Vec<u8> {
    let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
    let mut bytes = Vec::new();
    while rest > 0x7F {
        bytes.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// Takes a number off the front.
fn take_long(bytes: &mut &[u8]) -> i64 {
    let (mut number, mut shift) = (0_u64, 0);
    loop {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        number |= u64::from(first & 0x7F) << shift;
        shift += 7;
        if first & 0x80 == 0 {
            return (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        }
    }
}

/// Every key has its numbers, each with what the job computes of it, and within a key none comes before a smaller one for the
/// first time. Gives how often each number came.
#[track_caller]
fn audit(scene: &Scene, count: i64) -> BTreeMap<i64, usize> {
    let rows = scene.topics.read(&scene.output());
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    for row in &rows {
        let value = row.value.as_deref().unwrap();
        assert_eq!(value[..4], [0, 0, 0, 0]);
        let mut rest = &value[5..];
        // Each column may be NULL: which of both stands before it.
        assert_eq!(take_long(&mut rest), 1);
        let id = take_long(&mut rest);
        assert_eq!(take_long(&mut rest), 1);
        assert_eq!(take_long(&mut rest), id * id);
        let key = row.key();
        assert_eq!(key, (id % 10).to_string());
        let times = seen.entry(id).or_default();
        *times += 1;
        let newest = newest.entry(key).or_insert(-1);
        assert!(
            *times > 1 || id > *newest,
            "{id} comes after {newest} of its key"
        );
        *newest = (*newest).max(id);
    }
    let missing: Vec<i64> = (0..count).filter(|id| !seen.contains_key(id)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    seen
}

#[test]
fn killed_again_and_again_no_value_of_any_key_is_missing_and_none_committed_is_repeated() {
    const EACH: i64 = 200;
    let scene = Scene::with_topics("avrokills", broker(), 2);
    let schemas = Arc::new(Mutex::new(vec![
        json!({"type": "record", "name": "In", "fields": [{"name": "id", "type": "long"}]})
            .to_string(),
    ]));
    let server = Server::start(move |_, request| registry(&schemas, request));
    let job = scene.write(&format!(
        "SET checkpointLocation = './checkpoints';
SET checkpointInterval = '100 ms';
CREATE TABLE source (id BIGINT) USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}',
  subscribe '{}', startingOffsets 'earliest', format 'avro', schema.registry.url 'http://{address}');
CREATE TABLE target USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{}',
  format 'avro', schema.registry.url 'http://{address}', key 'key');
INSERT INTO target SELECT id, id * id AS square, CAST(id % 10 AS STRING) AS key FROM source;
",
        scene.input(),
        scene.output(),
        address = server.address
    ));
    let kills = i64::from(kills(6));
    let mut survived: Vec<BTreeMap<String, i64>> = Vec::new();
    for kill in 0..kills {
        let running = scene.started(&job);
        let before = scene.topics.count(&scene.output());
        let values: Vec<Rec> = (kill * EACH..(kill + 1) * EACH)
            .map(|id| {
                let value = [&[0, 0, 0, 0, 1][..], &long(id)].concat();
                Rec::new((id % 10).to_string(), value)
            })
            .collect();
        scene.topics.send(&scene.input(), &values);
        until("something new has come", PATIENCE, || {
            scene.topics.count(&scene.output()) > before
        });
        std::thread::sleep(std::time::Duration::from_millis(
            u64::try_from(kill * 37 % 200).unwrap(),
        ));
        running.kill();
        survived.push(scene.positions_of("target").into_iter().collect());
    }
    let mut running = scene.started(&job);
    running.until_ready();
    let total = kills * EACH;
    until("everything is there", PATIENCE, || {
        let rows = scene.topics.read(&scene.output());
        let mut values: Vec<_> = rows.into_iter().map(|row| row.value).collect();
        values.sort_unstable();
        values.dedup();
        values.len() == usize::try_from(total).unwrap()
    });
    running.finish();
    let times = audit(&scene, total);
    // What came twice stood behind the newest checkpoint of one of the kills.
    for record in scene.topics.read(&scene.input()) {
        let name = format!("{}/{}", scene.input(), record.partition);
        let id = take_long(&mut &record.value.unwrap()[5..]);
        let behind = survived.iter().filter(|positions| {
            let at = positions.get(&name);
            at.is_none_or(|at| record.offset >= *at)
        });
        let behind = behind.count();
        assert!(
            times[&id] <= 1 + behind,
            "{id} came {} times, but {behind} kills had not committed it",
            times[&id]
        );
    }
}

#[test]
fn a_registry_that_does_not_let_the_job_in_is_an_error_of_the_job_and_not_an_outage() {
    let scene = Scene::with_topics("avrodenied", broker(), 1);
    let server = Server::start(|_, _| Answer::Status(403, "", ""));
    let job = scene.write(&format!(
        "CREATE TABLE source (id BIGINT) USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}',
  subscribe '{}', startingOffsets 'earliest', format 'avro', schema.registry.url 'http://{}');
CREATE TABLE target USING noop;
SET onError = 'skip';
INSERT INTO target SELECT id FROM source;
",
        scene.input(),
        server.address
    ));
    scene
        .topics
        .send(&scene.input(), &[Rec::new("a", vec![0, 0, 0, 0, 1, 2])]);
    let said = scene.run(&job).end(PATIENCE);
    said.expect(
        1,
        &["the schema registry http://", "403", "lacks the right"],
    );
    // A login may be mended on the other side: a job goes on asking, a check says what is wrong.
    let address = server.address;
    drop(server);
    let _server = Server::start_at(address, |_, _| Answer::Status(401, "", ""));
    let said = scene.call(&["check", job.to_str().unwrap(), "--connect"]);
    said.expect(2, &[&address.to_string(), "401", "it wants a login"]);
    let mut running = scene.run(&job);
    running.until_said("it wants a login", PATIENCE);
    assert!(running.alive());
    running.finish();
}
