//! What PARTITIONED BY claims of a topic, on a real broker: keys where real clients put them, and topics that grow.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use stage::{Broker, PATIENCE, Rec, Scene, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// Keys of many lengths and of all bytes; none is empty.
fn keys() -> Vec<Vec<u8>> {
    (1..400_usize)
        .map(|number| {
            let byte = |place: usize| ((number * 131 + place * 89) % 256) as u8;
            (0..=number % 23).map(byte).collect()
        })
        .collect()
}

/// Passes on what lies where the partitioner puts it, and collects the rest.
fn checked(scene: &Scene, topic: &str, partitioner: &str, name: &str) -> PathBuf {
    let letters = format!("{name}-letters");
    let output = format!("{name}-out");
    scene.topics.make(&letters, 1, &[]);
    scene.topics.make(&output, 1, &[]);
    let path = scene.dir().join(format!("{name}.sql"));
    let text = format!(
        "SET checkpointLocation = '{}/{name}';
SET trigger = 'available now';
SET onError = 'deadLetter';
SET deadLetterTable = 'letters';
CREATE TABLE cards (card STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{topic}', startingOffsets 'earliest', format 'json',
  partitioner '{partitioner}') PARTITIONED BY (card);
CREATE TABLE letters USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{letters}');
CREATE TABLE passed USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{output}', format 'json');
INSERT INTO passed SELECT card FROM cards;
",
        scene.dir().display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_keys_of_each_client_lie_where_its_partitioner_puts_them() {
    let scene = Scene::new("clients", broker());
    let records: Vec<Rec> = keys().into_iter().map(|key| Rec::new(key, "{}")).collect();
    let count = i64::try_from(records.len()).unwrap();
    for (client, partitioner) in [
        ("murmur2_random", "murmur2"),
        ("consistent_random", "crc32"),
        ("fnv1a_random", "fnv1a"),
    ] {
        let topic = format!("by-{partitioner}");
        scene.topics.make(&topic, 7, &[]);
        scene.topics.send_with(client, &topic, &records);
        let name = format!("right-{partitioner}");
        let job = checked(&scene, &topic, partitioner, &name);
        scene.run(&job).end(PATIENCE).expect(0, &[]);
        let passed = scene.topics.count(&format!("{name}-out"));
        assert_eq!(passed, count, "{partitioner}");
        assert_eq!(scene.topics.count(&format!("{name}-letters")), 0);
    }
    // Another client's keys lie right by chance only.
    let job = checked(&scene, "by-crc32", "murmur2", "wrong");
    scene.run(&job).end(PATIENCE).expect(0, &[]);
    let (passed, letters) = (
        scene.topics.count("wrong-out"),
        scene.topics.count("wrong-letters"),
    );
    assert_eq!(passed + letters, count);
    assert!(letters > count / 2, "{letters} of {count}");
}

#[test]
fn the_keys_of_javas_client_lie_where_murmur2_puts_them() {
    let scene = Scene::new("java", broker());
    scene.topics.make("by-java", 5, &[]);
    let records: Vec<(String, String)> = (0..300)
        .map(|number| {
            let card = format!("card-{}-{}", number, "é".repeat(number % 7));
            let value = format!(r#"{{"card":"{card}"}}"#);
            (card, value)
        })
        .collect();
    broker().send_with_java("by-java", &records);
    let job = checked(&scene, "by-java", "murmur2", "java");
    scene.run(&job).end(PATIENCE).expect(0, &[]);
    assert_eq!(scene.topics.count("java-out"), 300);
    assert_eq!(scene.topics.count("java-letters"), 0);
}

#[test]
fn a_record_in_another_partition_or_without_a_key_is_an_error_of_the_record() {
    let scene = Scene::new("strays", broker());
    scene.topics.make("strays-in", 3, &[]);
    let home = Rec::new("card-1", r#"{"card":"card-1"}"#);
    scene.topics.send("strays-in", std::slice::from_ref(&home));
    let right = scene.topics.read("strays-in")[0].partition;
    let keyless = Rec {
        key: None,
        ..home.clone()
    };
    scene.topics.send(
        "strays-in",
        &[home.clone().to((right + 1) % 3), keyless.to(right)],
    );
    let job = checked(&scene, "strays-in", "murmur2", "strays");
    scene.run(&job).end(PATIENCE).expect(0, &[]);
    assert_eq!(scene.topics.count("strays-out"), 1);
    let mut reasons: Vec<String> = scene
        .topics
        .read("strays-letters")
        .iter()
        .map(|letter| letter.header("thalweg-error").unwrap())
        .collect();
    reasons.sort();
    let puts = format!("puts its key into partition {right} of 3");
    assert!(reasons[0].contains("has no key"), "{reasons:?}");
    assert!(reasons[1].contains(&puts), "{reasons:?}");
}

/// Counts the records of each card.
fn counting(scene: &Scene, partitioned: &str, folder: &str) -> PathBuf {
    scene.write(&format!(
        "SET checkpointLocation = '{}/{folder}';
SET checkpointInterval = '100 ms';
SET outputMode = 'update';
CREATE TABLE cards (card STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'json') {partitioned};
CREATE TABLE notification USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'card');
INSERT INTO notification SELECT card, count(*) AS n FROM cards GROUP BY card;
",
        scene.dir().display(),
        scene.input(),
        scene.output()
    ))
}

fn send_cards(scene: &Scene) {
    let cards = (0..60).map(|number| format!("card-{}", number % 20));
    let records: Vec<Rec> = cards
        .map(|card| Rec::new(card.clone(), format!(r#"{{"card":"{card}"}}"#)))
        .collect();
    scene.topics.send(&scene.input(), &records);
}

/// The newest count of each card.
fn counts(scene: &Scene) -> BTreeMap<String, i64> {
    let read = scene.topics.read(&scene.output());
    read.iter()
        .map(|got| (got.key(), got.json()["n"].as_i64().unwrap()))
        .collect()
}

fn all_counted(scene: &Scene, times: i64) -> bool {
    let counts = counts(scene);
    counts.len() == 20 && counts.values().all(|count| *count == times)
}

#[test]
fn a_topic_that_grows_ends_a_query_whose_state_stays_with_its_partitions() {
    let scene = Scene::with_topics("grows", broker(), 2);
    let job = counting(&scene, "PARTITIONED BY (card)", "own");
    send_cards(&scene);
    let running = scene.started(&job);
    until("all cards are counted", PATIENCE, || all_counted(&scene, 3));
    scene.topics.grow(&scene.input(), 3);
    let said = running.end(PATIENCE);
    let reason = "topic `grows-in` has 3 partitions now, and had 2";
    said.expect(1, &[reason, "Take PARTITIONED BY out of the table"]);
    assert!(!said.err.contains("a new one begins"), "{}", said.err);
    // Nor does a later start go on.
    scene.run(&job).end(PATIENCE).expect(2, &[reason]);
    // What the message says helps.
    send_cards(&scene);
    let job = counting(&scene, "", "all");
    let running = scene.run_with(&job, &["--fresh"]);
    until("all cards are counted anew", PATIENCE, || {
        all_counted(&scene, 6)
    });
    running.finish();
}

#[test]
fn a_topic_that_has_grown_between_two_runs_is_refused() {
    let scene = Scene::with_topics("grown", broker(), 2);
    let job = counting(&scene, "PARTITIONED BY (card)", "own");
    send_cards(&scene);
    let running = scene.started(&job);
    until("all cards are counted", PATIENCE, || all_counted(&scene, 3));
    running.finish();
    scene.topics.grow(&scene.input(), 4);
    until("it can be seen", PATIENCE, || {
        scene.topics.partitions(&scene.input()) == 4
    });
    scene.run(&job).end(PATIENCE).expect(
        2,
        &[
            "topic `grown-in` has 4 partitions now, and had 2",
            "--fresh",
        ],
    );
}

#[test]
fn gathered_state_takes_new_partitions_in() {
    let scene = Scene::with_topics("gathers", broker(), 2);
    let job = counting(&scene, "", "all");
    send_cards(&scene);
    let running = scene.started(&job);
    until("all cards are counted", PATIENCE, || all_counted(&scene, 3));
    scene.topics.grow(&scene.input(), 3);
    until("it can be seen", PATIENCE, || {
        scene.topics.partitions(&scene.input()) == 3
    });
    send_cards(&scene);
    until("the new partition's too", PATIENCE, || {
        all_counted(&scene, 6)
    });
    running.finish();
}
