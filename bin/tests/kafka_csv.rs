//! Values of CSV from topic to topic on a real broker: bad ones go the way of `mode` and `onError`, a crash loses none.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use stage::{Broker, PATIENCE, Rec, Scene, kills, until};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// A job from readings to warnings, with these options for what is read.
fn job(scene: &Scene, settings: &str, options: &str) -> std::path::PathBuf {
    scene.write(&format!(
        "SET checkpointLocation = './checkpoints';
SET checkpointInterval = '100 ms';
{settings}
CREATE TABLE readings (sensor STRING, at TIMESTAMP, degrees DOUBLE, note STRING, _corrupt_record STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'csv', sep ';',
  timestampFormat 'dd.MM.yyyy HH:mm'{options});
CREATE TABLE warnings USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', key 'key', format 'csv', sep '|', dateFormat 'yyyy/MM/dd');
INSERT INTO warnings
SELECT CAST(_metadata.key AS STRING) AS key, sensor, to_date(at) AS day, degrees * 2 AS twice, note, _corrupt_record FROM readings;",
        scene.input(),
        scene.output(),
    ))
}

fn written(scene: &Scene) -> Vec<(String, String)> {
    let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap()).unwrap();
    let rows = scene.topics.read(&scene.output()).into_iter();
    rows.map(|got| (got.key(), text(got.value))).collect()
}

fn readings() -> Vec<Rec> {
    vec![
        Rec::new("plain", "s1;24.11.2026 10:30;20.5;fine"),
        Rec::new(
            "quoted",
            "\"s;2\";24.11.2026 10:30;1e2;\"said \\\"no\\\"|\"",
        ),
        Rec::new("empty", "s3;;;"),
        Rec::new("no number", "s4;24.11.2026 10:30;warm;x"),
        Rec::new("too few", "s5;24.11.2026 10:30"),
        Rec::new("no text", b"s6\xff;24.11.2026 10:30;1;x".to_vec()),
        Rec::tombstone("gone"),
        Rec::new("last", "s7;25.11.2026 00:00;-0.5;x"),
    ]
}

#[test]
fn a_value_that_does_not_fit_is_null_and_the_record_stands_beside_it() {
    let scene = Scene::with_topics("csv", broker(), 1);
    let job = job(&scene, "", ", mode 'PERMISSIVE'");
    scene.topics.send(&scene.input(), &readings());
    let running = scene.run(&job);
    scene.until_out(7, PATIENCE);
    running.finish();
    let rows = written(&scene);
    let rows: Vec<(&str, &str)> = rows.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("plain", "plain|s1|2026/11/24|41.0|fine|"),
            (
                "quoted",
                "quoted|s;2|2026/11/24|200.0|\"said \\\"no\\\"|\"|"
            ),
            ("empty", "empty|s3||||"),
            (
                "no number",
                "no number|s4|2026/11/24||x|s4;24.11.2026 10:30;warm;x"
            ),
            ("too few", "too few|s5|2026/11/24|||s5;24.11.2026 10:30"),
            ("no text", "no text|s6\u{fffd}|2026/11/24|2.0|x|"),
            ("last", "last|s7|2026/11/25|-1.0|x|"),
        ]
    );
}

#[test]
fn without_a_mode_a_value_that_does_not_fit_is_an_error_of_its_record() {
    let scene = Scene::with_topics("csvfail", broker(), 1);
    let job = job(&scene, "SET onError = 'skip';", "");
    scene.topics.send(&scene.input(), &readings());
    let mut running = scene.run(&job);
    scene.until_out(5, PATIENCE);
    until("both are counted", PATIENCE, || {
        running.metric(r#"reason="decode""#) > 1.5
    });
    let said = running.finish();
    assert!(
        said.err
            .contains("column `degrees` is DOUBLE, value 3 of the record does not fit"),
        "{}",
        said.err
    );
    let keys: Vec<String> = written(&scene).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["plain", "quoted", "empty", "no text", "last"]);
}

#[test]
fn a_job_that_is_killed_goes_on_and_misses_no_record() {
    let scene = Scene::with_topics("csvkill", broker(), 2);
    let job = job(&scene, "", "");
    let record = |number: u64| {
        let key = format!("r{number:05}");
        Rec::new(
            key.clone(),
            format!("{key};24.11.2026 10:30;{number};\"a;b\""),
        )
    };
    let send = |numbers: std::ops::Range<u64>| {
        let records: Vec<Rec> = numbers.map(record).collect();
        scene.topics.send(&scene.input(), &records);
    };
    let kills = u64::from(kills(3));
    for life in 0..kills {
        send(life * 1000..life * 1000 + 500);
        let running = scene.run(&job);
        let before = scene.topics.count(&scene.output());
        scene.until_out(before + 100, PATIENCE);
        send(life * 1000 + 500..life * 1000 + 1000);
        running.kill();
    }
    let running = scene.started(&job);
    until("every record is out", PATIENCE, || {
        let keys: BTreeSet<String> = written(&scene).into_iter().map(|(key, _)| key).collect();
        keys.len() as u64 == kills * 1000
    });
    running.finish();
    for (key, value) in written(&scene) {
        let number: f64 = key[1..].parse().unwrap();
        assert_eq!(
            value,
            format!("{key}|{key}|2026/11/24|{:?}|a;b|", number * 2.0)
        );
    }
}
