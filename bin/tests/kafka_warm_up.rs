//! Warm-up on a real broker: records before the starting position are counted and nothing is written for them.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use stage::{Broker, PATIENCE, Rec, Scene, until};

const CARDS: i64 = 13;
const MINUTE: i64 = 60_000;

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Payments by their numbers, written some minutes ago.
fn payments(numbers: std::ops::Range<i64>, minutes_ago: i64) -> Vec<Rec> {
    let at = now() - minutes_ago * MINUTE;
    numbers
        .map(|number| {
            let card = format!("C-{}", number % CARDS);
            let value = format!(r#"{{"id":"{number}","card":"{card}"}}"#);
            Rec::new(card, value).at(at)
        })
        .collect()
}

/// Counts the payments of each card, for each payment.
fn job(scene: &Scene, folder: &str, table: &str, partitioned: &str, more: &str) -> PathBuf {
    scene.write(&format!(
        "SET checkpointLocation = '{}/{folder}';
SET checkpointInterval = '100 ms';
SET warmUp = '1 hour';
CREATE TABLE payments (id STRING, card STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', format 'json', {table}) {partitioned};
CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'id');
INSERT INTO notification
SELECT id, card, count(*) OVER (PARTITION BY card) AS n{more} FROM payments;
",
        scene.dir().display(),
        scene.input(),
        scene.output()
    ))
}

/// What was written: the count that each payment was answered with. One that is answered twice is answered the same.
fn answers(scene: &Scene) -> BTreeMap<i64, i64> {
    let mut answers = BTreeMap::new();
    for got in scene.topics.read(&scene.output()) {
        let count = got.json()["n"].as_i64().unwrap();
        let before = answers.insert(got.key().parse().unwrap(), count);
        assert!(before.is_none_or(|before| before == count), "{got:?}");
    }
    answers
}

/// The answers to these payments where those from `first` on are counted.
fn expected(first: i64, numbers: std::ops::Range<i64>) -> BTreeMap<i64, i64> {
    let count = |number: i64| {
        (first..=number)
            .filter(|n| n % CARDS == number % CARDS)
            .count()
    };
    numbers
        .map(|number| (number, i64::try_from(count(number)).unwrap()))
        .collect()
}

fn warmed_up_and_killed(name: &str, partitioned: &str) {
    let scene = Scene::with_topics(name, broker(), 2);
    let slow = "startingOffsets 'latest', maxOffsetsPerTrigger '1000'";
    let job = job(&scene, "checkpoints", slow, partitioned, "");
    // Older than the hour, and within it.
    scene.topics.send(&scene.input(), &payments(0..200, 90));
    scene.topics.send(&scene.input(), &payments(200..4_000, 30));
    let mut running = scene.run(&job);
    until("a part is read and committed", PATIENCE, || {
        let left = running.metric("thalweg_warm_up_records_left");
        left > 0.0 && left < 2_900.0 && running.metric("thalweg_partition_position") > 400.0
    });
    let (status, body) = running.get("/ready");
    assert_eq!(status, 503, "{body}");
    assert!(
        body.contains("warming up") && body.contains("records are left"),
        "{body}"
    );
    running.kill();
    assert_eq!(scene.topics.count(&scene.output()), 0);
    // What comes while it is down stands behind the starting position all the same.
    scene
        .topics
        .send(&scene.input(), &payments(4_000..4_050, 0));
    let mut running = scene.run(&job);
    until("what came since is answered", PATIENCE, || {
        answers(&scene).len() >= 50
    });
    running.until_ready();
    scene
        .topics
        .send(&scene.input(), &payments(4_050..4_100, 0));
    let expected = expected(200, 4_000..4_100);
    until("all is answered", PATIENCE, || {
        answers(&scene).len() >= expected.len()
    });
    running.finish();
    assert_eq!(answers(&scene), expected);
}

#[test]
fn counts_hold_the_last_hour_and_a_kill_in_the_middle_changes_nothing() {
    warmed_up_and_killed("warm", "");
}

#[test]
fn each_partition_warms_up_by_itself_where_it_keeps_its_own_state() {
    warmed_up_and_killed("warmown", "PARTITIONED BY (card)");
}

#[test]
fn after_a_lost_folder_the_output_goes_on_with_the_state_of_before() {
    let scene = Scene::with_topics("lost", broker(), 2);
    let path = job(&scene, "checkpoints", "startingOffsets 'earliest'", "", "");
    scene.topics.send(&scene.input(), &payments(0..300, 20));
    let running = scene.run(&path);
    until("all is answered", PATIENCE, || answers(&scene).len() == 300);
    running.finish();
    std::fs::remove_dir_all(scene.checkpoints()).unwrap();
    scene.topics.send(&scene.input(), &payments(300..400, 0));
    // The group says how far the output was.
    let path = job(&scene, "checkpoints", "startingOffsets 'group'", "", "");
    let running = scene.run_with(&path, &["--fresh"]);
    until("all is answered", PATIENCE, || answers(&scene).len() == 400);
    running.finish();
    assert_eq!(answers(&scene), expected(0, 0..400));
    assert_eq!(scene.topics.count(&scene.output()), 400, "each once");
}

#[test]
fn a_new_step_beside_kept_state_is_refused_with_two_ways_to_go_on() {
    let scene = Scene::with_topics("newstep", broker(), 2);
    let first = "startingOffsets 'earliest'";
    let path = job(&scene, "checkpoints", first, "", "");
    scene.topics.send(&scene.input(), &payments(0..100, 20));
    let running = scene.run(&path);
    until("all is answered", PATIENCE, || answers(&scene).len() == 100);
    running.finish();
    let more = ", max(id) OVER (PARTITION BY card) AS newest";
    let path = job(&scene, "checkpoints", first, "", more);
    let said = scene.run_with(&path, &["--accept-new-state"]).end(PATIENCE);
    said.expect(2, &["--set notification.warmUp=none", "'group'"]);
    // The first way.
    scene.topics.send(&scene.input(), &payments(100..200, 0));
    let cold = ["--accept-new-state", "--set", "notification.warmUp=none"];
    let running = scene.run_with(&path, &cold);
    until("all is answered", PATIENCE, || answers(&scene).len() == 200);
    running.finish();
    // The second: all state anew, and the output goes on.
    scene.topics.send(&scene.input(), &payments(200..300, 0));
    let path = job(&scene, "anew", "startingOffsets 'group'", "", more);
    let running = scene.run_with(&path, &["--fresh"]);
    until("all is answered", PATIENCE, || answers(&scene).len() == 300);
    running.finish();
    assert_eq!(answers(&scene), expected(0, 0..300));
    assert_eq!(scene.topics.count(&scene.output()), 300, "each once");
}

#[test]
fn a_window_that_reaches_over_the_start_counts_all_its_rows_and_closed_ones_are_not_written() {
    let scene = Scene::with_topics("windows", broker(), 1);
    let job = scene.write(&format!(
        "SET checkpointLocation = '{}';
SET warmUp = '1 hour';
CREATE TABLE payments (second BIGINT) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', format 'json', startingOffsets 'latest')
  WATERMARK timestamp_seconds(second) AS ts DELAY OF INTERVAL 0 SECONDS;
CREATE TABLE notification USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json');
INSERT INTO notification
SELECT unix_timestamp(window.start) AS begin, count(*) AS n FROM payments GROUP BY window(ts, '10 seconds');
",
        scene.checkpoints().display(),
        scene.input(),
        scene.output()
    ));
    let seconds = |range: std::ops::Range<i64>| -> Vec<Rec> {
        range
            .map(|second| Rec::new("k", format!(r#"{{"second":{second}}}"#)))
            .collect()
    };
    scene.topics.send(&scene.input(), &seconds(0..96));
    let running = scene.started(&job);
    assert_eq!(scene.topics.count(&scene.output()), 0);
    scene.topics.send(&scene.input(), &seconds(96..131));
    scene.until_out(4, PATIENCE);
    running.finish();
    let windows: Vec<(i64, i64)> = scene
        .topics
        .read(&scene.output())
        .iter()
        .map(|got| {
            let row = got.json();
            (row["begin"].as_i64().unwrap(), row["n"].as_i64().unwrap())
        })
        .collect();
    assert_eq!(windows, [(90, 10), (100, 10), (110, 10), (120, 10)]);
}
