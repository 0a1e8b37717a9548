//! Words counted from topic to topic, by the jobs that ship with the program: exact whatever kills them.
//!
//! The long form: THALWEG_KILLS=50.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use stage::{Broker, PATIENCE, Rec, Running, Scene, kills, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

fn job(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("jobs/{name}.sql"))
}

const WORDS: [&str; 7] = ["to", "be", "or", "not", "that", "is", "question"];

/// Lines of words; the same number gives the same line.
fn line(number: usize) -> String {
    let word = |place: usize| WORDS[(number * 31 + place * place * 7) % WORDS.len()];
    (0..=number % 5).map(word).collect::<Vec<_>>().join(" ")
}

fn add(counts: &mut BTreeMap<String, u64>, key: &str, line: &str) {
    for word in line.split(' ') {
        *counts.entry(format!("{key}{word}")).or_default() += 1;
    }
}

/// Starts the job with short intervals.
fn start(scene: &Scene, name: &str) -> Running {
    let short = [
        "--set",
        "trigger=300 ms",
        "--set",
        "checkpointInterval=100 ms",
    ];
    scene.run_with(&job(name), &short)
}

/// The newest value of each key.
fn newest(scene: &Scene, topic: &str) -> BTreeMap<String, u64> {
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().unwrap()).unwrap();
    scene
        .topics
        .read(topic)
        .iter()
        .map(|got| (got.key(), text(&got.value).parse().unwrap()))
        .collect()
}

/// Sends 200 records a life, kills the job in the middle of each, and gives the records that were sent. Something new is
/// written in each life, so no kill is idle.
fn killed_again_and_again(
    scene: &Scene,
    (input, output): (&str, &str),
    record: impl Fn(usize) -> Rec,
    start: impl Fn() -> Running,
) -> usize {
    let kills = kills(6) as usize;
    for life in 0..kills {
        let running = start();
        let records: Vec<Rec> = (life * 200..(life + 1) * 200).map(&record).collect();
        let before = scene.topics.count(output);
        scene.topics.send(input, &records[..100]);
        until("something new is written", PATIENCE, || {
            scene.topics.count(output) > before
        });
        scene.topics.send(input, &records[100..]);
        running.kill();
    }
    kills * 200
}

#[test]
fn complete_counts_go_on_after_kills_and_are_exact() {
    let scene = Scene::new("words", broker());
    scene.topics.make("lines", 2, &[]);
    scene.topics.make("counts", 2, &[]);
    let sent = killed_again_and_again(
        &scene,
        ("lines", "counts"),
        |number| Rec::new("k", line(number)),
        || start(&scene, "word_count_kafka"),
    );
    let mut expected = BTreeMap::new();
    for number in 0..sent {
        add(&mut expected, "", &line(number));
    }
    let mut running = start(&scene, "word_count_kafka");
    until("the counts are those of all lines", PATIENCE, || {
        newest(&scene, "counts") == expected
    });
    // Without new lines no table is written again, once the last one is written whole.
    until("the table is written whole", PATIENCE, || {
        let handed = running.metric("thalweg_records_out_total") as usize;
        let acknowledged = running.metric("thalweg_records_acknowledged_total") as usize;
        handed == acknowledged && handed.is_multiple_of(WORDS.len())
    });
    let written = scene.topics.count("counts");
    let said = running.finish();
    assert_eq!(scene.topics.count("counts"), written, "{}", said.err);
    assert_eq!(newest(&scene, "counts"), expected);
}

#[test]
fn counts_of_words_that_stay_in_their_partitions_are_exact_after_kills() {
    let scene = Scene::with_topics("ownwords", broker(), 3);
    let job = scene.write(&format!(
        "SET checkpointLocation = '{}';
SET checkpointInterval = '100 ms';
SET outputMode = 'update';
SET trigger = '200 ms';
CREATE TABLE words (word STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'text') PARTITIONED BY (word);
CREATE TABLE counts USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{}');
INSERT INTO counts SELECT word AS key, CAST(count(*) AS STRING) AS value FROM words GROUP BY word;
",
        scene.checkpoints().display(),
        scene.input(),
        scene.output()
    ));
    let word = |number: usize| format!("word-{}", number % 40);
    let sent = killed_again_and_again(
        &scene,
        (&scene.input(), &scene.output()),
        |number| Rec::new(word(number), word(number)),
        || scene.run(&job),
    );
    let mut expected = BTreeMap::new();
    for number in 0..sent {
        add(&mut expected, "", &word(number));
    }
    let running = scene.run(&job);
    until("the counts are those of all words", PATIENCE, || {
        newest(&scene, &scene.output()) == expected
    });
    running.finish();
}

#[test]
fn counts_of_each_key_are_updated_under_their_key() {
    let scene = Scene::new("keyed", broker());
    scene.topics.make("events", 2, &[]);
    scene.topics.make("event-counts", 2, &[]);
    let mut expected = BTreeMap::new();
    let mut records = Vec::new();
    for number in 0..300 {
        let key = ["ann", "bob", "cid"][number % 3];
        add(&mut expected, &format!("{key} "), &line(number));
        records.push(Rec::new(key, line(number)));
    }
    let running = start(&scene, "word_count_keyed");
    scene.topics.send("events", &records[..150]);
    scene.topics.send("events", &records[150..]);
    let counts = || -> BTreeMap<String, u64> {
        let read = scene.topics.read("event-counts");
        read.iter()
            .map(|got| {
                let value = String::from_utf8(got.value.clone().unwrap()).unwrap();
                let (word, count) = value.rsplit_once(' ').unwrap();
                (format!("{} {word}", got.key()), count.parse().unwrap())
            })
            .collect()
    };
    until("the counts are those of all events", PATIENCE, || {
        counts() == expected
    });
    running.finish();
}
