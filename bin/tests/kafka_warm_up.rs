//! Warm-up on a real broker: records before the starting position are counted and nothing is written for them.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use stage::{Broker, PATIENCE, Rec, Running, Scene, now, until, until_shared};

const CARDS: i64 = 13;
const MINUTE: i64 = 60_000;

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
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

/// What was answered in the column `name`, by payment.
fn column(scene: &Scene, name: &str) -> BTreeMap<i64, i64> {
    let written = scene.topics.read(&scene.output()).into_iter();
    written
        .filter_map(|got| Some((got.key().parse().unwrap(), got.json()[name].as_i64()?)))
        .collect()
}

/// A job that has counted payments before, with a column more.
fn grown(name: &str, partitioned: &str) {
    let scene = Scene::with_topics(name, broker(), 2);
    let slow = "startingOffsets 'earliest', maxOffsetsPerTrigger '1000'";
    let first = "startingOffsets 'earliest'";
    let path = job(&scene, "checkpoints", first, partitioned, "");
    // Older than the hour, and within it.
    scene.topics.send(&scene.input(), &payments(0..200, 90));
    scene.topics.send(&scene.input(), &payments(200..4_000, 30));
    let running = scene.run_with(&path, &["--set", "notification.warmUp=none"]);
    until("all is answered", PATIENCE, || {
        answers(&scene).len() == 4_000
    });
    running.finish();
    let more = ", count(id) OVER (PARTITION BY card) AS since";
    let path = job(&scene, "checkpoints", slow, partitioned, more);
    let folder = scene.checkpoints();
    let checked = scene.call(&[
        "check",
        path.to_str().unwrap(),
        "--against",
        folder.to_str().unwrap(),
    ]);
    checked.expect(0, &["over by card: kept", ": new, built by warmUp"]);
    scene
        .topics
        .send(&scene.input(), &payments(4_000..4_050, 0));
    let mut running = scene.run(&path);
    until("a part is read back", PATIENCE, || {
        let left = running.metric("thalweg_warm_up_records_left");
        left > 0.0 && left < 2_900.0
    });
    let (status, body) = running.get("/ready");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("warming up"), "{body}");
    running.kill();
    assert_eq!(
        scene.topics.count(&scene.output()),
        4_000,
        "nothing is written for what is read back"
    );
    let mut running = scene.run(&path);
    until("what came since is answered", PATIENCE, || {
        answers(&scene).len() >= 4_050
    });
    running.until_ready();
    running.kill();
    // The epoch after it has made it permanent, or it is built once more: the answers are the same.
    let path = job(&scene, "checkpoints", first, partitioned, more);
    let running = scene.run(&path);
    scene
        .topics
        .send(&scene.input(), &payments(4_050..4_100, 0));
    let all = expected(0, 0..4_100);
    until("all is answered", PATIENCE, || {
        answers(&scene).len() >= all.len()
    });
    running.finish();
    assert_eq!(
        answers(&scene),
        all,
        "the kept column counts each payment once"
    );
    assert_eq!(column(&scene, "since"), expected(200, 4_000..4_100));
}

#[test]
fn a_new_column_is_built_from_the_last_hour_beside_kept_state() {
    grown("grown", "");
}

#[test]
fn a_new_column_is_built_partition_by_partition_where_state_lies_so() {
    grown("grownown", "PARTITIONED BY (card)");
}

#[test]
fn members_build_a_new_column_each_for_its_partitions_and_a_kill_in_the_middle_changes_nothing() {
    let scene = Scene::with_topics("grownshared", broker(), 4);
    let written = |table: &str, more: &str| {
        let session = "kafka.session.timeout.ms '6000', kafka.heartbeat.interval.ms '200'";
        let table = format!("{table}, {session}");
        let path = job(&scene, "checkpoints", &table, "PARTITIONED BY (card)", more);
        let text = std::fs::read_to_string(path).unwrap();
        scene.write(&format!(
            "SET jobName = 'grownshared';\nSET assignment = 'group';\n{text}"
        ))
    };
    let started = |path: &PathBuf, names: &[&str], more: &[&str]| -> Vec<Running> {
        let member = |name: &&str| scene.run_with(path, &[&["--member", *name], more].concat());
        names.iter().map(member).collect()
    };
    let stopped = |members: Vec<Running>| {
        for mut member in members {
            member.until_ready();
            member.finish();
        }
    };
    // Older than the hour, and within it.
    scene.topics.send(&scene.input(), &payments(0..200, 90));
    scene.topics.send(&scene.input(), &payments(200..4_000, 30));
    let (first, without) = (
        "startingOffsets 'earliest'",
        ["--set", "notification.warmUp=none"],
    );
    let mut members = started(&written(first, ""), &["a", "b"], &without);
    until_shared(&mut members, &[2, 2]);
    until("all is answered", PATIENCE, || {
        answers(&scene).len() == 4_000
    });
    stopped(members);
    scene
        .topics
        .send(&scene.input(), &payments(4_000..4_050, 0));
    let more = ", count(id) OVER (PARTITION BY card) AS since";
    let path = written(&format!("{first}, maxOffsetsPerTrigger '400'"), more);
    let mut members = started(&path, &["a", "b"], &[]);
    for member in &mut members {
        until("a part is read back", PATIENCE, || {
            member.metric("thalweg_warm_up_records_left") > 2.0
        });
    }
    let (status, body) = members[1].get("/ready");
    assert_eq!((status, body.contains("warming up")), (503, true), "{body}");
    members.remove(0).kill();
    // It comes back under its name, and builds what it had not committed.
    members.extend(started(&path, &["a"], &[]));
    until("what came since is answered", PATIENCE, || {
        answers(&scene).len() == 4_050
    });
    // What is built moves with its partition.
    members.extend(started(&path, &["c"], &[]));
    until_shared(&mut members, &[1, 1, 2]);
    scene
        .topics
        .send(&scene.input(), &payments(4_050..4_100, 0));
    until("what came since is answered", PATIENCE, || {
        answers(&scene).len() == 4_100
    });
    stopped(members);
    // It is all there: nothing needs to be said of it any more.
    let mut members = started(&written(first, more), &["a", "b", "c"], &without);
    until_shared(&mut members, &[1, 1, 2]);
    scene
        .topics
        .send(&scene.input(), &payments(4_100..4_150, 0));
    let all = expected(0, 0..4_150);
    until("all is answered", PATIENCE, || {
        answers(&scene).len() >= all.len()
    });
    stopped(members);
    assert_eq!(answers(&scene), all);
    assert_eq!(column(&scene, "since"), expected(200, 4_000..4_150));
}

#[test]
fn a_new_step_behind_a_kept_join_is_built_from_rows_joined_with_the_table_as_it_is() {
    let scene = Scene::with_topics("joined", broker(), 1);
    let cards = format!("{}-cards", scene.input());
    scene
        .topics
        .make(&cards, 1, &[("cleanup.policy", "compact")]);
    let card = |number: i64| {
        Rec::new(
            format!("C-{number}"),
            format!(r#"{{"shop":"S-{}"}}"#, number % 2),
        )
    };
    scene
        .topics
        .send(&cards, &(0..CARDS).map(card).collect::<Vec<_>>());
    let job = |more: &str| {
        scene.write(&format!(
            "SET checkpointLocation = '{}';
SET checkpointInterval = '100 ms';
SET warmUp = '1 hour';
CREATE TABLE payments (id STRING, card STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', format 'json', startingOffsets 'earliest');
CREATE TABLE cards (id STRING PRIMARY KEY, shop STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{cards}', format 'json');
CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'id');
INSERT INTO notification
SELECT p.id, c.shop{more} FROM payments p JOIN cards c ON p.card = c.id;
",
            scene.checkpoints().display(),
            scene.input(),
            scene.output()
        ))
    };
    scene.topics.send(&scene.input(), &payments(0..100, 20));
    let path = job("");
    let running = scene.run(&path);
    scene.until_out(100, PATIENCE);
    running.finish();
    scene.topics.send(&scene.input(), &payments(100..200, 0));
    let path = job(", count(*) OVER (PARTITION BY c.shop) AS n");
    let running = scene.run(&path);
    scene.until_out(200, PATIENCE);
    running.finish();
    let shop = |number: i64| number % CARDS % 2;
    let count = |number: i64| {
        (0..=number)
            .filter(|other| shop(*other) == shop(number))
            .count()
    };
    let expected = (100..200)
        .map(|number| (number, count(number) as i64))
        .collect();
    assert_eq!(column(&scene, "n"), expected);
}

#[test]
fn a_new_column_begins_empty_without_a_warm_up_or_all_state_is_built_anew() {
    let scene = Scene::with_topics("newstep", broker(), 2);
    let first = "startingOffsets 'earliest'";
    let path = job(&scene, "checkpoints", first, "", "");
    scene.topics.send(&scene.input(), &payments(0..100, 20));
    let running = scene.run(&path);
    until("all is answered", PATIENCE, || answers(&scene).len() == 100);
    running.finish();
    let more = ", max(id) OVER (PARTITION BY card) AS newest";
    let path = job(&scene, "checkpoints", first, "", more);
    let cold = ["--set", "notification.warmUp=none"];
    let said = scene.run_with(&path, &cold).end(PATIENCE);
    said.expect(2, &["--accept-new-state", "warmUp"]);
    // The first way.
    scene.topics.send(&scene.input(), &payments(100..200, 0));
    let running = scene.run_with(&path, &[&cold[..], &["--accept-new-state"]].concat());
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
