//! Running totals per card on a real broker: exact after kills, and what is answered twice is answered the same.
//!
//! The long form: THALWEG_KILLS=50.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use stage::{Broker, PATIENCE, Rec, Scene, kills, until};

const CARDS: u64 = 97;

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// Transactions by their numbers. The key is the card, so that a card stays in one partition.
fn transactions(numbers: std::ops::Range<u64>) -> Vec<Rec> {
    numbers
        .map(|number| {
            let card = format!("C-{}", number % CARDS);
            let value = format!(
                r#"{{"id":"{number}","card":"{card}","amount":{}.25,"ms":{}}}"#,
                number % 100,
                number * 10
            );
            Rec::new(card, value)
        })
        .collect()
}

/// Totals from the beginning and over the last 500 transactions or so, by time.
fn job(scene: &Scene, partitioned: &str) -> PathBuf {
    scene.write(&format!(
        "SET checkpointLocation = '{}';
SET checkpointInterval = '100 ms';
CREATE TABLE transactions (id STRING NOT NULL, card STRING NOT NULL, amount DOUBLE, ms BIGINT) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'json',
  maxOffsetsPerTrigger '4000')
  {partitioned} WATERMARK timestamp_millis(ms) AS ts DELAY OF INTERVAL 10 SECONDS;
CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'id');
INSERT INTO notification
SELECT id, card, count(*) OVER (PARTITION BY card ORDER BY ts) AS n, sum(amount) OVER (PARTITION BY card ORDER BY ts) AS total,
  count(*) OVER near AS near, max(amount) OVER near AS most
FROM transactions
WINDOW near AS (PARTITION BY card ORDER BY ts RANGE BETWEEN INTERVAL 5 SECONDS PRECEDING AND CURRENT ROW);
",
        scene.checkpoints().display(),
        scene.input(),
        scene.output()
    ))
}

/// What each transaction should be answered with.
fn expected(count: u64) -> BTreeMap<String, String> {
    let mut seen: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    (0..count)
        .map(|number| {
            let card = number % CARDS;
            let all = seen.entry(card).or_default();
            all.push(number);
            let amount = |number: u64| (number % 100) as f64 + 0.25;
            let total: f64 = all.iter().map(|n| amount(*n)).sum();
            let near: Vec<f64> = all
                .iter()
                .filter(|n| **n * 10 + 5_000 >= number * 10)
                .map(|n| amount(*n))
                .collect();
            let most = near.iter().copied().fold(0.0, f64::max);
            let answer = format!(
                r#"{{"id":"{number}","card":"C-{card}","n":{},"total":{total:?},"near":{},"most":{most:?}}}"#,
                all.len(),
                near.len()
            );
            (number.to_string(), answer)
        })
        .collect()
}

fn killed_again_and_again(name: &str, partitioned: &str) {
    let kills = kills(4);
    // Enough that something is under way at most of the kills.
    let count = 3_000 * u64::from(kills);
    let scene = Scene::with_topics(name, broker(), 4);
    let job = job(&scene, partitioned);
    scene.topics.send(&scene.input(), &transactions(0..count));
    scene.kill_again_and_again(&job, count, kills);
    let running = scene.run(&job);
    let expected = expected(count);
    let mut answers: BTreeMap<String, String> = BTreeMap::new();
    until("every transaction is answered", PATIENCE, || {
        answers.clear();
        for got in scene.topics.read(&scene.output()) {
            let answer = String::from_utf8(got.value.clone().unwrap()).unwrap();
            let before = answers.insert(got.key(), answer.clone());
            assert!(
                before.as_ref().is_none_or(|before| *before == answer),
                "answered with {before:?} and with {answer}"
            );
        }
        answers.len() as u64 == count
    });
    running.finish();
    for (id, answer) in &expected {
        assert_eq!(answers.get(id), Some(answer));
    }
}

#[test]
fn totals_are_exact_after_kills_when_all_partitions_are_gathered() {
    killed_again_and_again("cardsall", "");
}

#[test]
fn totals_are_exact_after_kills_when_each_partition_keeps_its_own_cards() {
    killed_again_and_again("cardsown", "PARTITIONED BY (card)");
}
