//! Topics archived to files: each record once, whatever kills the job, also where processes share it.
//!
//! The long form: THALWEG_KILLS=50.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

#[cfg(feature = "object-store")]
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
#[cfg(feature = "object-store")]
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
#[cfg(feature = "object-store")]
use stage::S3;
use stage::{
    Broker, Load, PATIENCE, Rec, Running, Scene, kills, parquet_of, until, until_shared,
    visible_files,
};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// The first column of a Parquet file.
fn column(path: &Path) -> Vec<i64> {
    column_of(fs::File::open(path).unwrap())
}

fn column_of(file: fs::File) -> Vec<i64> {
    let reader = SerializedFileReader::new(file).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().get_long(0).unwrap()).collect()
}

fn field(path: &Path) -> Vec<i64> {
    ids(&fs::read_to_string(path).unwrap())
}

fn ids(text: &str) -> Vec<i64> {
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

/// An archive that members share, at this path with these options.
fn shared_archive(scene: &Scene, format: &str, options: &str) -> PathBuf {
    let settings = format!(
        "SET checkpointLocation = '{}';
SET checkpointInterval = '100 ms';",
        scene.checkpoints().display()
    );
    let options = format!("rollInterval '2 seconds', {options}");
    shared_archive_with(scene, &settings, format, &options)
}

/// The same with these settings, which say where checkpoints lie and how often there is one.
fn shared_archive_with(scene: &Scene, settings: &str, format: &str, options: &str) -> PathBuf {
    scene.write(&format!(
        "SET jobName = '{name}';
SET assignment = 'group';
{settings}
CREATE TABLE records (id BIGINT) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{input}', startingOffsets 'earliest', format 'json',
  kafka.session.timeout.ms '6000', kafka.heartbeat.interval.ms '200');
CREATE TABLE archive USING {format} OPTIONS ({options}) PARTITIONED BY (kind);
INSERT INTO archive SELECT id, id % 3 AS kind FROM records;
",
        name = scene.name,
        input = scene.input(),
    ))
}

fn member(scene: &Scene, job: &Path, name: &str) -> Running {
    let mut running = scene.run_with(job, &["--member", name]);
    running.until_ready();
    running
}

/// Three members share four partitions; one after the other is killed, comes back, is paused for longer than its session, leaves.
fn members_archive(scene: &Scene, job: &Path, seen: impl Fn() -> BTreeMap<i64, u32>) {
    let once = |when: &str| {
        let seen = seen();
        let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "there twice {when}: {twice:?}");
        seen.len()
    };
    let number = |number: u64| record(i64::try_from(number).unwrap());
    let load = Load::of(&scene.topics, &scene.input(), 100, number);
    let mut members: Vec<Running> = ["a", "b", "c"].map(|name| member(scene, job, name)).into();
    until_shared(&mut members, &[1, 1, 2]);
    for _ in 0..kills(1) {
        let shown = once("before the kill");
        until("something more is visible", PATIENCE, || {
            seen().len() > shown
        });
        members.remove(0).kill();
        until_shared(&mut members, &[2, 2]);
        once("after a kill");
        let name = format!("m{}", load.sent());
        members.push(member(scene, job, &name));
        until_shared(&mut members, &[1, 1, 2]);
        // It is succeeded, and goes on with what it had: the chains say no.
        members[0].pause();
        until_shared(&mut members[1..], &[2, 2]);
        let shown = once("while one is paused");
        members[0].resume();
        until_shared(&mut members, &[1, 1, 2]);
        until("something more is visible", PATIENCE, || {
            seen().len() > shown
        });
        once("after the pause");
        // It comes back sooner than the group takes notice.
        members.remove(1).kill();
        members.insert(1, scene.run_with(job, &["--member", "back"]));
        members[1].until_ready();
        until_shared(&mut members, &[1, 1, 2]);
        let mut leaver = members.remove(0);
        let address = format!("http://{}", leaver.address());
        scene.call(&["leave", "--url", &address]).expect(0, &[]);
        leaver.end(PATIENCE).expect(0, &["leaves"]);
        until_shared(&mut members, &[2, 2]);
        members.push(member(scene, job, "late"));
        until_shared(&mut members, &[1, 1, 2]);
    }
    let sent = i64::try_from(load.stop()).unwrap();
    until("all records are visible", PATIENCE, || {
        seen().len() == usize::try_from(sent).unwrap()
    });
    once("in the end");
    for member in members {
        member.finish();
    }
    let all = seen();
    assert!(all.values().all(|times| *times == 1), "{all:?}");
    assert!(all.into_keys().eq(0..sent));
}

#[test]
fn members_archive_a_topic_to_json_once_whatever_happens_to_them() {
    let scene = Scene::with_topics("sharedjson", broker(), 4);
    let out = scene.dir().join("archive");
    let job = shared_archive(&scene, "json", &format!("path '{}'", out.display()));
    members_archive(&scene, &job, || seen(&out));
}

#[cfg(feature = "parquet")]
#[test]
fn members_archive_a_topic_to_parquet_once_whatever_happens_to_them() {
    let scene = Scene::with_topics("sharedparquet", broker(), 4);
    let out = scene.dir().join("archive");
    let job = shared_archive(&scene, "parquet", &format!("path '{}'", out.display()));
    members_archive(&scene, &job, || seen(&out));
}

#[cfg(feature = "object-store")]
#[test]
fn members_archive_a_topic_to_a_bucket_once_whatever_happens_to_them() {
    let (scene, s3) = (Scene::with_topics("sharedbucket", broker(), 4), S3::start());
    let options = format!(
        "path 's3://shop/archive', {}, fs.s3a.access.key 't', fs.s3a.secret.key 't'",
        s3.options()
    );
    let job = shared_archive(&scene, "json", &options);
    let found = RefCell::new(Seen::default());
    members_archive(&scene, &job, || found.borrow_mut().look(&s3));
}

/// What stands in the objects of an archive. An object never changes, so each is fetched once.
#[cfg(feature = "object-store")]
#[derive(Default)]
struct Seen(BTreeMap<String, Vec<i64>>);

#[cfg(feature = "object-store")]
impl Seen {
    fn look(&mut self, s3: &S3) -> BTreeMap<i64, u32> {
        // A list of the bucket ends at a thousand.
        let keys = (0..3).flat_map(|kind| s3.keys(&format!("archive/kind={kind}/")));
        let keys: Vec<String> = keys.collect();
        for gone in self.0.keys() {
            assert!(keys.contains(gone), "{gone} is gone");
        }
        for key in keys {
            self.0.entry(key).or_insert_with_key(|key| {
                let content = s3.get(key);
                let ids = match key.ends_with(".parquet") {
                    true => {
                        let mut file = tempfile::tempfile().unwrap();
                        file.write_all(&content).unwrap();
                        column_of(file)
                    }
                    false => ids(std::str::from_utf8(&content).unwrap()),
                };
                assert!(!ids.is_empty(), "{key} has no row");
                ids
            });
        }
        let mut seen = BTreeMap::new();
        for id in self.0.values().flatten() {
            *seen.entry(*id).or_default() += 1;
        }
        seen
    }
}

/// Nothing but the bucket is shared: files, what is not complete of them, and checkpoints.
#[cfg(feature = "object-store")]
fn members_archive_to_a_bucket_alone(name: &str, format: &str) {
    let (scene, s3) = (Scene::with_topics(name, broker(), 4), S3::start());
    // Few epochs and fewer files: the bucket answers one request after the other, also those of who looks into it.
    let settings = format!(
        "SET checkpointLocation = 's3://shop/jobs';
SET checkpointOptions = 'fs.s3a.endpoint={}, fs.s3a.access.key=t, fs.s3a.secret.key=t';
SET checkpointInterval = '500 ms';",
        s3.url()
    );
    let options = format!(
        "path 's3://shop/archive', rollInterval '10 seconds', {}, fs.s3a.access.key 't', fs.s3a.secret.key 't'",
        s3.options()
    );
    let job = shared_archive_with(&scene, &settings, format, &options);
    let found = RefCell::new(Seen::default());
    members_archive(&scene, &job, || found.borrow_mut().look(&s3));
    // What waited for its file is not kept any longer than the epochs that name it, and nothing lies on this machine.
    assert!(!scene.checkpoints().exists());
    for lane in 0..4 {
        let waiting = s3.keys(&format!(
            "jobs/archive/lanes/in%3A{name}-in%2F{lane}/state/"
        ));
        assert!(waiting.len() <= 400, "{} objects wait", waiting.len());
    }
}

#[cfg(feature = "object-store")]
#[test]
fn members_archive_a_topic_to_a_bucket_alone_once_whatever_happens_to_them() {
    members_archive_to_a_bucket_alone("bucketjson", "json");
}

#[cfg(all(feature = "object-store", feature = "parquet"))]
#[test]
fn members_archive_a_topic_to_parquet_in_a_bucket_alone_once_whatever_happens_to_them() {
    members_archive_to_a_bucket_alone("bucketparquet", "parquet");
}

#[test]
fn a_folder_that_members_do_not_share_is_refused() {
    let scene = Scene::with_topics("unsharedfolder", broker(), 1);
    let (here, there) = (scene.dir().join("here"), scene.dir().join("there"));
    let at = |folder: &Path| {
        fs::create_dir_all(folder).unwrap();
        let job = shared_archive(
            &scene,
            "json",
            &format!("path '{}/archive', rollSize '1 GB'", folder.display()),
        );
        let text = fs::read_to_string(&job).unwrap();
        let job = folder.join("job.sql");
        fs::write(&job, text.replace("'2 seconds'", "'1 hour'")).unwrap();
        job
    };
    let (first, second) = (at(&here), at(&there));
    let mut running = member(&scene, &first, "a");
    let records: Vec<Rec> = (0..100).map(record).collect();
    scene.topics.send(&scene.input(), &records);
    until("the records are committed", PATIENCE, || {
        running.metric("thalweg_partition_position{") >= 100.0
    });
    running.kill();
    let refused = scene.run_with(&second, &["--member", "a"]);
    refused
        .end(PATIENCE)
        .expect(2, &["must be one that all processes of the job see"]);
    let running = member(&scene, &first, "a");
    until("what was committed is visible", PATIENCE, || {
        seen(&here.join("archive")).len() == 100
    });
    running.finish();
}

#[test]
fn half_a_parquet_file_is_a_dead_letter_and_the_next_file_is_read() {
    let scene = Scene::new("halfdead", broker());
    let letters = format!("{}-dead", scene.name);
    scene.topics.make(&letters, 1, &[]);
    let inbox = scene.dir().join("in");
    fs::create_dir(&inbox).unwrap();
    let whole = parquet_of(&[0, 1, 2]);
    fs::write(inbox.join("a.parquet"), &whole[..whole.len() / 2]).unwrap();
    fs::write(inbox.join("b.parquet"), &whole).unwrap();
    let job = scene.write(&format!(
        "SET checkpointLocation = './checkpoints'; SET trigger = 'once';
SET onError = 'deadLetter'; SET deadLetterTable = 'dead';
CREATE TABLE arrivals (id BIGINT) USING parquet OPTIONS (path 'in');
CREATE TABLE copy USING file OPTIONS (path 'copy');
CREATE TABLE dead USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{letters}');
INSERT INTO copy SELECT id FROM arrivals;
"
    ));
    let said = scene.call(&["run", job.to_str().unwrap(), "--http", "off"]);
    said.expect(0, &[]);
    assert_eq!(field(&scene.dir().join("copy")), [0, 1, 2]);
    let dead = scene.topics.read(&letters);
    assert_eq!(dead.len(), 1);
    let error = dead[0]
        .headers
        .iter()
        .find(|(name, _)| name == "thalweg-error");
    let error = error.unwrap().1.as_deref().unwrap();
    let error = String::from_utf8_lossy(error);
    let said = "in/a.parquet, row 1: the file is no whole parquet file";
    assert!(error.contains(said), "{error}");
}
