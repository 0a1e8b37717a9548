//! Topics archived to files: each record once, whatever kills the job.
//!
//! The long form: THALWEG_KILLS=50.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use stage::{Broker, PATIENCE, Rec, Scene, kills, until, visible_files};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// The first column of a Parquet file.
fn column(path: &Path) -> Vec<i64> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().get_long(0).unwrap()).collect()
}

fn field(path: &Path) -> Vec<i64> {
    let text = fs::read_to_string(path).unwrap();
    let number = |line: &str| -> i64 {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        row["id"].as_i64().unwrap()
    };
    text.lines().map(number).collect()
}

fn seen(folder: &Path) -> BTreeMap<i64, u32> {
    let mut seen = BTreeMap::new();
    for path in visible_files(folder) {
        let ids = if path.extension().is_some_and(|kind| kind == "parquet") {
            column(&path)
        } else {
            field(&path)
        };
        assert!(!ids.is_empty(), "{} has no row", path.display());
        for id in ids {
            *seen.entry(id).or_default() += 1;
        }
    }
    seen
}

fn record(id: i64) -> Rec {
    let value = format!("{{\"id\":{id},\"kind\":\"kind {}\"}}", id % 3);
    Rec::new(format!("{id}"), value)
}

fn archive(name: &str, format: &str) {
    let scene = Scene::with_topics(name, broker(), 2);
    let out = scene.dir().join("archive");
    let job = scene.write(&format!(
        "SET checkpointLocation = '{}';
SET checkpointInterval = '80 ms';
CREATE TABLE records (id BIGINT, kind STRING) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'json');
CREATE TABLE archive USING {format} OPTIONS (path '{}', rollInterval '150 ms') PARTITIONED BY (kind);
INSERT INTO archive SELECT id, kind FROM records;
",
        scene.checkpoints().display(),
        scene.input(),
        out.display()
    ));
    let mut sent = 0;
    for kill in 0..kills(6) {
        let running = scene.run(&job);
        let records: Vec<Rec> = (sent..sent + 200).map(record).collect();
        sent += 200;
        let before = seen(&out).len();
        scene.topics.send(&scene.input(), &records[..100]);
        until("something new is visible", PATIENCE, || {
            seen(&out).len() > before
        });
        scene.topics.send(&scene.input(), &records[100..]);
        std::thread::sleep(Duration::from_millis(u64::from(kill) * 29 % 200));
        running.kill();
        let twice: Vec<_> = seen(&out)
            .into_iter()
            .filter(|(_, times)| *times > 1)
            .collect();
        assert!(twice.is_empty(), "there twice after kill {kill}: {twice:?}");
    }
    let running = scene.started(&job);
    until("all records are visible", PATIENCE, || {
        seen(&out).len() == usize::try_from(sent).unwrap()
    });
    running.finish();
    let all = seen(&out);
    assert!(all.values().all(|times| *times == 1), "{all:?}");
    assert!(all.into_keys().eq(0..sent));
}

/// The job that ships with the program, as it stands, but with files of a second.
#[cfg(feature = "parquet")]
#[test]
fn the_archive_of_payments_has_a_folder_for_each_day() {
    let scene = Scene::new("payments", broker());
    scene.topics.make("payments", 2, &[]);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/archive.sql");
    let text = fs::read_to_string(shipped).unwrap();
    let job = scene.write(&text.replace("'1 hour'", "'1 second'"));
    let day = |id: i64| format!("2026-01-{:02}", 1 + id % 3);
    let send = |ids: std::ops::Range<i64>| {
        let payment = |id: i64| {
            let at = format!("{}T{:02}:00:00Z", day(id), id % 24);
            Rec::new(
                format!("{id}"),
                format!("{{\"id\":{id},\"amount\":{id}.25,\"items\":[\"tea\"],\"at\":\"{at}\"}}"),
            )
        };
        let payments: Vec<Rec> = ids.map(payment).collect();
        scene.topics.send("payments", &payments);
    };
    let out = scene.dir().join("archive");
    send(0..300);
    let running = scene.run(&job);
    until("files of the first payments", PATIENCE, || {
        seen(&out).len() == 300
    });
    send(300..600);
    running.kill();
    let running = scene.run(&job);
    until("all payments", PATIENCE, || seen(&out).len() == 600);
    running.finish();
    assert!(seen(&out).into_values().all(|times| times == 1));
    for path in visible_files(&out) {
        let folder = path
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap();
        for id in column(&path) {
            assert_eq!(folder, format!("day={}", day(id)));
        }
    }
}

#[test]
fn a_topic_is_archived_to_json_once_whatever_kills_the_job() {
    archive("archivejson", "json");
}

#[cfg(feature = "parquet")]
#[test]
fn a_topic_is_archived_to_parquet_once_whatever_kills_the_job() {
    archive("archiveparquet", "parquet");
}
