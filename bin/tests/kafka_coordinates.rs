//! Coordinates in the headers of output records, and starts that do not write again what stands in the output.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use stage::{Account, Broker, Got, Loyalty, PATIENCE, Rec, Scene, invoices, kills};

#[allow(dead_code, reason = "its main is for the command line")]
#[path = "../examples/read_once.rs"]
mod read_once;

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

fn job() -> Loyalty {
    Loyalty::default().set("coordinates = on")
}

/// How long the last run may take, which reads 4,000 records a second: what so many kills have left of as many times 4,000.
fn to_the_end(kills: u32) -> Duration {
    PATIENCE + Duration::from_secs(kills.into())
}

/// Topic, partition, offset and index of a record's origin, which must be of the story's query.
#[track_caller]
fn origin(scene: &Scene, got: &Got) -> (String, i32, i64, u32) {
    let text = got.header("thalweg-origin").unwrap();
    let parts: Vec<&str> = text.split(';').collect();
    assert_eq!(parts[..3], ["v1", &scene.name, "notification"], "{text}");
    (
        parts[3].to_owned(),
        parts[4].parse().unwrap(),
        parts[5].parse().unwrap(),
        parts[6].parse().unwrap(),
    )
}

#[test]
fn every_output_record_says_which_record_made_it_in_which_epoch_and_how_long_it_took() {
    let scene = Scene::with_topics("coords", broker(), 2);
    // The row brings a header of its own, and one of a job before this.
    let header = "named_struct('key', 'trace', 'value', CAST(BillNo AS BINARY))";
    let earlier =
        "named_struct('key', 'thalweg-origin', 'value', CAST('v1;a;b;c;0;1;0' AS BINARY))";
    let job = job()
        .selecting(&format!(
            "BillNo, half, array({header}, {earlier}) AS about"
        ))
        .filtered("LATERAL VIEW explode(array(1, 2)) halves AS half WHERE TotalValue > 1.0")
        .writing(&["headers 'about'"])
        .write(&scene);
    scene.topics.send(&scene.input(), &invoices(0..10));
    let running = scene.run(&job);
    scene.until_out(18, PATIENCE);
    running.finish();
    let input: BTreeMap<String, (i32, i64)> = scene
        .topics
        .read(&scene.input())
        .iter()
        .map(|got| (got.key(), (got.partition, got.offset)))
        .collect();
    let rows = scene.topics.read(&scene.output());
    assert_eq!(rows.len(), 18);
    for got in &rows {
        assert_eq!(got.header("trace"), Some(got.key()));
        let names: Vec<&str> = got.headers.iter().map(|(name, _)| name.as_str()).collect();
        let expected = ["trace", "thalweg-origin", "thalweg-epoch", "thalweg-micros"];
        assert_eq!(names[..3], expected[..3]);
        assert_eq!(names[3..], expected[3..]);
        let (topic, partition, offset, index) = origin(&scene, got);
        assert_eq!(topic, scene.input());
        assert_eq!(input[&got.key()], (partition, offset));
        assert_eq!(got.json()["half"], index + 1);
        let epoch = got.header("thalweg-epoch").unwrap();
        let parts: Vec<&str> = epoch.split(';').collect();
        assert_eq!((parts[0], parts[1].len()), ("v1", 16), "{epoch}");
        assert!(parts[2].parse::<u64>().unwrap() >= 1, "{epoch}");
        let micros = got.header("thalweg-micros").unwrap();
        assert!(micros.parse::<u64>().unwrap() < 10_000_000, "{micros}");
    }
    let said = scene.call(&["check", job.to_str().unwrap()]);
    said.expect(0, &["written; a start does not write again"]);
}

#[test]
fn kills_repeat_nothing_but_what_was_in_flight() {
    let kills = kills(5);
    let count = 4_000 * u64::from(kills);
    let scene = Scene::with_topics("coordkills", broker(), 4);
    // Epochs that are long beside the kills: without coordinates each kill would repeat all since the start.
    let job = Loyalty::default()
        .set("coordinates = on")
        .set("checkpointInterval = '5 seconds'")
        .reading(&["startingOffsets 'earliest'", "maxOffsetsPerTrigger '4000'"])
        .write(&scene);
    scene.topics.send(&scene.input(), &invoices(0..count));
    scene.kill_again_and_again(&job, count, kills);
    let running = scene.started(&job);
    stage::until("all are out", to_the_end(kills), || {
        Account::of(&scene).missing(count).is_empty()
    });
    running.finish();
    let account = Account::of(&scene);
    account.expect_all(count);
    println!(
        "{} of {count} repeated after {kills} kills",
        account.repeated()
    );
    // A request that the broker was still reading when the next start looked.
    assert!(
        account.repeated() <= u64::from(kills),
        "{}",
        account.repeated()
    );
    let said = scene.call_for(
        to_the_end(kills),
        &["verify", "--job", job.to_str().unwrap()],
    );
    let twice = account.repeated();
    let told = format!("{twice}  outputs that stand twice");
    said.expect(i32::from(twice > 0), &["0  missing", &told]);
}

/// Sends transactions of cards; the key is the card, so that a card stays in one partition.
fn transactions(numbers: std::ops::Range<u64>) -> Vec<Rec> {
    let record = |number: u64| {
        let card = format!("C-{}", number % 97);
        let value = format!(
            r#"{{"id":"{number}","card":"{card}","ms":{}}}"#,
            number * 10
        );
        Rec::new(card, value)
    };
    numbers.map(record).collect()
}

/// A verdict on each transaction; the rows have no key, so a restart puts them elsewhere.
fn verdicts(scene: &Scene) -> PathBuf {
    scene.write(&format!(
        "SET checkpointLocation = '{}';
SET checkpointInterval = '5 seconds';
SET coordinates = on;
CREATE TABLE transactions (id STRING NOT NULL, card STRING NOT NULL, ms BIGINT) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'json',
  maxOffsetsPerTrigger '4000') WATERMARK timestamp_millis(ms) AS ts DELAY OF INTERVAL 1 HOUR;
CREATE TABLE notification USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json');
INSERT INTO notification
SELECT id, count(*) OVER (PARTITION BY card ORDER BY ts) > 5 AS suspicious, uuid() AS answer FROM transactions;
",
        scene.checkpoints().display(),
        scene.input(),
        scene.output()
    ))
}

#[test]
fn no_transaction_has_two_verdicts_after_kills() {
    let kills = kills(5);
    let count = 4_000 * u64::from(kills);
    let scene = Scene::with_topics("coordverdicts", broker(), 3);
    let job = verdicts(&scene);
    scene.topics.send(&scene.input(), &transactions(0..count));
    scene.kill_again_and_again(&job, count, kills);
    let running = scene.run(&job);
    let verdicts = |scene: &Scene| {
        let mut verdicts: BTreeMap<u64, u64> = BTreeMap::new();
        for got in scene.topics.read(&scene.output()) {
            let id = got.json()["id"].as_str().unwrap().parse().unwrap();
            *verdicts.entry(id).or_default() += 1;
        }
        verdicts
    };
    stage::until("all have a verdict", to_the_end(kills), || {
        verdicts(&scene).len() as u64 == count
    });
    running.finish();
    let twice = verdicts(&scene)
        .values()
        .filter(|times| **times > 1)
        .count();
    println!("{twice} of {count} have two verdicts after {kills} kills");
    assert!(twice <= kills as usize, "{twice}");
}

/// Counts per card, one answer for each transaction.
#[test]
fn each_count_of_a_partition_is_told_once_after_kills() {
    let kills = kills(5);
    let count = 4_000 * u64::from(kills);
    let scene = Scene::with_topics("coordcounts", broker(), 3);
    let job = scene.write(&format!(
        "SET checkpointLocation = '{}';
SET checkpointInterval = '2 seconds';
SET coordinates = on;
SET outputMode = 'update';
CREATE TABLE transactions (id STRING NOT NULL, card STRING NOT NULL, ms BIGINT) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'json',
  maxOffsetsPerTrigger '4000') PARTITIONED BY (card);
CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'card');
INSERT INTO notification SELECT card, count(*) AS n FROM transactions GROUP BY card;
",
        scene.checkpoints().display(),
        scene.input(),
        scene.output()
    ));
    let said = scene.call(&["check", job.to_str().unwrap()]);
    said.expect(0, &["written; a start does not write again"]);
    scene.topics.send(&scene.input(), &transactions(0..count));
    scene.kill_again_and_again(&job, count, kills);
    let running = scene.run(&job);
    let answers = |scene: &Scene| {
        let mut answers: BTreeMap<(String, u64), u64> = BTreeMap::new();
        for got in scene.topics.read(&scene.output()) {
            let n = got.json()["n"].as_u64().unwrap();
            *answers.entry((got.key(), n)).or_default() += 1;
        }
        answers
    };
    stage::until("all are counted", to_the_end(kills), || {
        answers(&scene).len() as u64 == count
    });
    running.finish();
    let answers = answers(&scene);
    for card in 0..97 {
        let expected = (count - card).div_ceil(97);
        assert!(answers.contains_key(&(format!("C-{card}"), expected)));
    }
    let twice = answers.values().filter(|times| **times > 1).count();
    println!("{twice} of {count} answers stand twice after {kills} kills");
    assert!(twice <= kills as usize, "{twice}");
}

/// A job that has committed an epoch and then written on, and was killed. Gives where its checkpoint stands.
fn killed_behind_its_checkpoint(scene: &Scene, job: &Path) -> u64 {
    scene.topics.send(&scene.input(), &invoices(0..50));
    let mut running = scene.started(job);
    scene.until_out(50, PATIENCE);
    stage::until("the first epoch is committed", PATIENCE, || {
        running.metric("thalweg_epochs_committed_total") >= 1.0
    });
    scene.topics.send(&scene.input(), &invoices(50..100));
    scene.until_out(100, PATIENCE);
    running.kill();
    let (_, position) = scene.positions().remove(0);
    assert!(position <= 50, "{position}");
    position.unsigned_abs()
}

/// With epochs so seldom that only the first is committed.
fn seldom() -> Loyalty {
    Loyalty {
        settings: vec![
            "checkpointInterval = '1 hour'".to_owned(),
            "coordinates = on".to_owned(),
        ],
        ..Loyalty::default()
    }
}

/// Starts again, sends ten more, and waits until they are out. Gives the keys of the output in their order.
fn goes_on(scene: &Scene, job: &Path) -> Vec<String> {
    let running = scene.started(job);
    scene.topics.send(&scene.input(), &invoices(100..110));
    stage::until("the new ones are out", PATIENCE, || {
        let rows = scene.topics.read(&scene.output());
        rows.iter().any(|got| got.key() == "bill-0000109")
    });
    running.finish();
    let rows = scene.topics.read(&scene.output());
    rows.iter().map(Got::key).collect()
}

fn bills(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("bill-{number:07}")).collect()
}

#[test]
fn what_stands_behind_the_checkpoint_is_not_written_again() {
    let scene = Scene::with_topics("coordstands", broker(), 1);
    let job = seldom().write(&scene);
    killed_behind_its_checkpoint(&scene, &job);
    // Others write there too, also in transactions that are aborted.
    let theirs = Rec::new("theirs", "{}").header("thalweg-origin", "v1;other;q;in;0;99;0");
    scene
        .topics
        .transaction("theirs", &scene.output(), &[theirs], false);
    let mut expected = bills(0..100);
    expected.extend(bills(100..110));
    assert_eq!(goes_on(&scene, &job), expected);
    // Killed again and again before an epoch is committed: what the first run wrote is still known.
    for _ in 0..3 {
        let running = scene.started(&job);
        running.kill();
    }
    let running = scene.started(&job);
    running.finish();
    assert_eq!(scene.topics.read(&scene.output()).len(), 110);
}

#[test]
fn rows_that_retention_has_removed_are_written_again_with_all_behind_them() {
    let scene = Scene::with_topics("coordretention", broker(), 1);
    let job = seldom().write(&scene);
    let position = killed_behind_its_checkpoint(&scene, &job);
    scene.topics.delete_records(&scene.output(), 0, 80);
    let mut expected = bills(80..100);
    expected.extend(bills(position..110));
    assert_eq!(goes_on(&scene, &job), expected);
}

#[test]
fn a_compacted_output_is_written_again() {
    let scene = Scene::new("coordcompact", broker());
    scene.topics.make(&scene.input(), 1, &[]);
    scene
        .topics
        .make(&scene.output(), 1, &[("cleanup.policy", "compact")]);
    let job = seldom().write(&scene);
    let position = killed_behind_its_checkpoint(&scene, &job);
    let mut expected = bills(0..100);
    expected.extend(bills(position..110));
    assert_eq!(goes_on(&scene, &job), expected);
}

#[test]
fn a_step_back_writes_again_and_a_reader_knows_the_repetitions() {
    let scene = Scene::with_topics("coordback", broker(), 1);
    let job = job().write(&scene);
    scene.topics.send(&scene.input(), &invoices(0..100));
    let running = scene.run(&job);
    scene.until_out(100, PATIENCE);
    running.finish();
    let folder = scene.folder();
    let back = format!("{}/0=0", scene.input());
    let folder = folder.to_str().unwrap();
    scene
        .call(&["checkpoint", "set", folder, "--to-offset", &back, "--yes"])
        .expect(0, &[]);
    let running = scene.run(&job);
    scene.until_out(200, PATIENCE);
    running.finish();
    // Begun anew: the history is another one.
    std::fs::remove_dir_all(scene.checkpoints()).unwrap();
    let running = scene.run_with(&job, &["--fresh"]);
    scene.until_out(300, PATIENCE);
    running.finish();
    let rows = scene.topics.read(&scene.output());
    let epochs: BTreeSet<String> = rows
        .iter()
        .map(|got| got.header("thalweg-epoch").unwrap())
        .map(|epoch| epoch.split(';').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!((rows.len(), epochs.len()), (300, 2));
    let mut once = read_once::Once::default();
    let new = rows
        .iter()
        .filter(|got| once.is_new(&got.header("thalweg-origin").unwrap()))
        .count();
    assert_eq!(new, 100);
    assert!(once.is_new("v1;j;q;;;;") && once.is_new("v1;j;q;;;;"));
}

#[test]
fn a_job_whose_rows_depend_on_the_order_of_partitions_says_that_it_repeats() {
    let scene = Scene::new("coordsays", broker());
    let job = job()
        .selecting("StoreID AS BillNo, count(*) AS n")
        .filtered("GROUP BY StoreID")
        .set("outputMode = 'update'")
        .write(&scene);
    let said = scene.call(&["check", job.to_str().unwrap()]);
    said.expect(
        0,
        &["a start writes again what came after the newest checkpoint, because"],
    );
    let said = scene.call(&["check", job.to_str().unwrap(), "--set", "exchange=topic"]);
    said.expect(0, &["because its rows go through an exchange topic"]);
}
