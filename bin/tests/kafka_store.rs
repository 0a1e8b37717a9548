//! Members that share a job keep its checkpoints in an object store. On a real broker and a real S3.

#![cfg(feature = "object-store")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use stage::{Broker, PATIENCE, Rec, Running, S3, Scene, kills, until, until_shared};

const CARDS: u64 = 40;

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// A running count for each card, shared by members, with the checkpoints in the bucket.
fn counting(scene: &Scene, s3: &S3) -> PathBuf {
    scene.write(&format!(
        "SET jobName = '{}';
SET assignment = 'group';
SET checkpointLocation = 's3://shop/jobs';
SET checkpointOptions = 'fs.s3a.endpoint={}, fs.s3a.access.key=t, fs.s3a.secret.key=t';
SET checkpointInterval = '100 ms';
SET outputMode = 'update';
CREATE TABLE transactions (id STRING NOT NULL, card STRING NOT NULL) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'json',
  maxOffsetsPerTrigger '600', kafka.session.timeout.ms '6000', kafka.heartbeat.interval.ms '200') PARTITIONED BY (card);
CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'card');
INSERT INTO notification SELECT card, count(*) AS n FROM transactions GROUP BY card;
",
        scene.name,
        s3.url(),
        scene.input(),
        scene.output()
    ))
}

fn send(scene: &Scene, numbers: std::ops::Range<u64>) {
    let records = numbers.map(|number| {
        let card = format!("C-{}", number % CARDS);
        let value = format!(r#"{{"id":"{number}","card":"{card}"}}"#);
        Rec::new(card, value)
    });
    let records: Vec<Rec> = records.collect();
    scene.topics.send(&scene.input(), &records);
}

/// Waits until every count of every card was said; none may be too high.
#[track_caller]
fn until_exact(scene: &Scene, count: u64) {
    let expected: BTreeSet<u64> = (1..=count / CARDS).collect();
    until("every transaction is counted", PATIENCE, || {
        let mut said: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for got in scene.topics.read(&scene.output()) {
            let json = got.json();
            let card = json["card"].as_str().unwrap().to_owned();
            let counts = said.entry(card).or_default();
            counts.insert(json["n"].as_u64().unwrap());
            assert!(
                counts.last() <= expected.last(),
                "counted twice: {counts:?}"
            );
        }
        said.len() as u64 == CARDS && said.values().all(|counts| *counts == expected)
    });
}

#[test]
fn counts_stay_exact_when_members_are_killed() {
    let (kills, s3) = (kills(3), S3::start());
    let count = u64::from(kills) * 3_000;
    let scene = Scene::with_topics("storekeys", broker(), 4);
    let job = counting(&scene, &s3);
    send(&scene, 0..count);
    let mut members: Vec<Running> = ["a", "b"]
        .map(|name| scene.run_with(&job, &["--member", name]))
        .into();
    let mut held = 0;
    for kill in 0..kills {
        scene.until_out(held + 1, PATIENCE);
        std::thread::sleep(Duration::from_millis(u64::from(kill) * 173 % 900));
        let name = ["a", "b"][kill as usize % 2];
        members.remove(0).kill();
        members.push(scene.run_with(&job, &["--member", name]));
        held = scene.topics.count(&scene.output());
    }
    until_exact(&scene, count);
    for member in members {
        member.finish();
    }
    let option = format!("fs.s3a.endpoint={}", s3.url());
    let keys = ["--option", "accessKey=t", "--option", "secretKey=t"];
    let inspect = ["inspect", "s3://shop/jobs", "--option", &option];
    let said = scene.call(&[&inspect[..], &keys].concat());
    said.expect(0, &["storekeys-in/0", "storekeys-in/3", "/lanes/"]);
    let copied = scene.dir().join("copied");
    let copy = [
        "checkpoint",
        "copy",
        "s3://shop/jobs",
        copied.to_str().unwrap(),
        "--option",
        &option,
    ];
    scene
        .call(&[&copy[..], &keys].concat())
        .expect(0, &["notification/lanes/", "All is there"]);
    let location = format!("checkpointLocation={}", copied.display());
    let moved = scene.run_with(&job, &["--member", "a", "--set", &location]);
    send(&scene, count..count + CARDS * 10);
    until_exact(&scene, count + CARDS * 10);
    moved.finish();
}

#[test]
fn one_that_was_paused_for_too_long_commits_nothing_and_takes_its_place_again() {
    let s3 = S3::start();
    let scene = Scene::with_topics("storepaused", broker(), 4);
    let job = counting(&scene, &s3);
    let mut members: Vec<Running> = ["a", "b"]
        .map(|name| scene.run_with(&job, &["--member", name]))
        .into();
    until_shared(&mut members, &[2, 2]);
    send(&scene, 0..CARDS * 10);
    until_exact(&scene, CARDS * 10);
    // So that it is paused in the middle of an epoch, and has something to commit when it goes on.
    let held = scene.topics.count(&scene.output());
    send(&scene, CARDS * 10..CARDS * 15);
    scene.until_out(held + 1, PATIENCE);
    members[0].pause();
    until_shared(&mut members[1..], &[4]);
    send(&scene, CARDS * 15..CARDS * 20);
    until_exact(&scene, CARDS * 20);
    members[0].resume();
    until_shared(&mut members, &[2, 2]);
    send(&scene, CARDS * 20..CARDS * 30);
    until_exact(&scene, CARDS * 30);
    // It hears of its loss from the group or from the chain, whichever is first: what counts is that all is counted once.
    for member in members {
        member.finish();
    }
}

#[test]
fn a_store_that_goes_away_holds_up_no_row_of_a_shared_job() {
    let s3 = S3::start();
    let scene = Scene::with_topics("storeaway", broker(), 4);
    let job = counting(&scene, &s3);
    let mut running = scene.run_with(&job, &["--member", "a"]);
    running.until_ready();
    send(&scene, 0..CARDS * 10);
    until_exact(&scene, CARDS * 10);
    s3.away();
    until("it says so", PATIENCE, || running.get("/ready").0 == 503);
    send(&scene, CARDS * 10..CARDS * 20);
    until_exact(&scene, CARDS * 20);
    s3.back();
    running.until_ready();
    running.finish();
    let again = scene.run_with(&job, &["--member", "a"]);
    send(&scene, CARDS * 20..CARDS * 30);
    until_exact(&scene, CARDS * 30);
    again.finish();
}
