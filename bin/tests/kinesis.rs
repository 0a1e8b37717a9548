//! Kinesis as an input, against a real server on loopback.

#![cfg(feature = "kinesis")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

#[path = "kinesis/options.rs"]
mod options;
mod stage;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stage::{Kinesis, PATIENCE, Running, kills, thalweg};

const OLDEST: &str = "startingPosition 'TRIM_HORIZON'";
const ONCE: &str = "SET trigger = 'once';";
/// Said within this time, whatever is wrong.
const SAID: Duration = Duration::from_secs(10);
/// Key and number of a message.
const NUMBERS: &str =
    "SELECT partitionKey AS k, CAST(CAST(data AS STRING) AS INT) AS n FROM messages";

/// Numbered messages of ten keys.
fn numbers(from: u32, to: u32) -> impl Iterator<Item = (&'static str, String)> {
    const KEYS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    (from..to).map(|n| (KEYS[n as usize % 10], n.to_string()))
}

fn written(kinesis: &Kinesis) -> Vec<(String, i64)> {
    let rows = kinesis.out().into_iter();
    rows.map(|row| {
        (
            row["k"].as_str().unwrap().to_owned(),
            row["n"].as_i64().unwrap(),
        )
    })
    .collect()
}

/// Every number is there, and within a key none comes before a smaller one for the first time. Gives how many were repeated.
#[track_caller]
fn audit(kinesis: &Kinesis, count: i64) -> usize {
    let rows = written(kinesis);
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
    for (key, n) in &rows {
        let times = seen.entry(*n).or_default();
        *times += 1;
        let newest = newest.entry(key).or_insert(-1);
        if *times == 1 {
            assert!(*n > *newest, "{n} of {key} comes after {newest}");
        }
        *newest = (*newest).max(*n);
    }
    let missing: Vec<i64> = (0..count).filter(|n| !seen.contains_key(n)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    rows.len() - seen.len()
}

#[test]
fn a_run_once_reads_what_is_there_and_the_next_goes_on_from_there() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 2);
    kinesis.send("s", numbers(0, 300));
    let job = kinesis.job(ONCE, OLDEST, NUMBERS);
    let job = job.to_str().unwrap();
    kinesis.call(&["run", job, "--http", "off"]).expect(0, &[]);
    assert_eq!(audit(&kinesis, 300), 0);
    kinesis.send("s", numbers(300, 350));
    kinesis.call(&["run", job, "--http", "off"]).expect(0, &[]);
    assert_eq!(audit(&kinesis, 350), 0);
}

/// The block of this language in the chapter of docs/programs.md.
fn shown(language: &str) -> &'static str {
    let document = include_str!("../../docs/programs.md");
    let (_, chapter) = document.split_once("\n## Messages of Kinesis\n").unwrap();
    let (_, block) = chapter.split_once(&format!("\n```{language}\n")).unwrap();
    block.split("```").next().unwrap()
}

#[test]
fn the_program_of_the_documents_prints_what_stands_there() {
    let kinesis = Kinesis::start();
    kinesis.make("messages", 1);
    let messages = shown("json").lines().map(|line| ("a", line.to_owned()));
    kinesis.send("messages", messages);
    let shipped = include_str!("../jobs/kinesis_messages.sql");
    let job =
        kinesis.write_job(&shipped.replace("${KINESIS:-http://127.0.0.1:4567}", &kinesis.url()));
    let job = job.to_str().unwrap();
    let said = kinesis.call(&["run", job, "--set", "trigger=once", "--http", "off"]);
    said.expect(0, &[]);
    let lines = |text: &str| {
        text.trim()
            .lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(lines(&said.out), lines(shown("text")));
}

#[test]
fn the_fixed_columns_are_those_of_sparks_connectors() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 1);
    kinesis.send("s", [("alice", "{\"n\": 7}".to_owned())]);
    let job = kinesis.job(
        ONCE,
        OLDEST,
        "SELECT CAST(data AS STRING) AS data, streamName, partitionKey, sequenceNumber, \
         approximateArrivalTimestamp AS at FROM messages",
    );
    let said = kinesis.call(&["run", job.to_str().unwrap(), "--http", "off"]);
    said.expect(0, &[]);
    let row = &kinesis.out()[0];
    assert_eq!(row["data"], "{\"n\": 7}");
    assert_eq!(row["streamName"], "s");
    assert_eq!(row["partitionKey"], "alice");
    assert!(row["sequenceNumber"].as_str().unwrap().len() > 40, "{row}");
    assert!(row["at"].as_str().unwrap().starts_with("20"), "{row}");
}

#[test]
fn declared_columns_are_decoded_and_the_facts_stand_in_the_metadata() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 1);
    kinesis.send("s", [("alice", "{\"n\": 7, \"x\": 1}".to_owned())]);
    let path = kinesis.dir().join("job.sql");
    let text = format!(
        "SET checkpointLocation = './checkpoints'; SET trigger = 'available now';
         CREATE TABLE messages (n INT) USING kinesis OPTIONS (
           kinesis.streamName 's', kinesis.endpointUrl '{}', kinesis.startingPosition 'EARLIEST', format 'json');
         CREATE TABLE out USING file OPTIONS (path 'out.jsonl');
         INSERT INTO out SELECT n, _metadata.partitionKey AS k FROM messages;",
        kinesis.url()
    );
    std::fs::write(&path, text).unwrap();
    let said = kinesis.call(&["run", path.to_str().unwrap(), "--http", "off"]);
    said.expect(0, &[]);
    assert_eq!(written(&kinesis), [("alice".to_owned(), 7)]);
}

#[test]
fn latest_loses_nothing_that_is_sent_after_the_start() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 2);
    kinesis.send("s", [("old", "-1".to_owned())]);
    std::thread::sleep(Duration::from_millis(20));
    let job = kinesis.job("", "startingPosition 'LATEST'", NUMBERS);
    // Killed as soon as its first checkpoint is there: what is sent before the next start is not lost either.
    let running = kinesis.run(&job, &[]);
    let zero = kinesis
        .dir()
        .join("checkpoints/out/epochs/00000000000000000000.json");
    stage::until("epoch 0 is there", PATIENCE, || zero.exists());
    running.kill();
    kinesis.send("s", numbers(0, 50));
    let mut running = kinesis.run(&job, &[]);
    kinesis.until_out(50, PATIENCE);
    kinesis.send("s", numbers(50, 100));
    kinesis.until_out(100, PATIENCE);
    assert_eq!(audit(&kinesis, 100), 0);
    assert!(written(&kinesis).iter().all(|(key, _)| key != "old"));
    assert_eq!(running.metric("thalweg_partition_lag_milliseconds"), 0.0);
    running.finish();
}

#[test]
fn splits_and_merges_are_followed_in_order_while_it_runs() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 1);
    let job = kinesis.job("", OLDEST, NUMBERS);
    let running = kinesis.run(&job, &[]);
    kinesis.send("s", numbers(0, 100));
    kinesis.split("s", "shardId-000000000000");
    kinesis.send("s", numbers(100, 200));
    kinesis.until_out(200, PATIENCE);
    kinesis.split("s", "shardId-000000000001");
    kinesis.send("s", numbers(200, 300));
    kinesis.merge("s", "shardId-000000000003", "shardId-000000000004");
    kinesis.send("s", numbers(300, 400));
    kinesis.until_out(400, PATIENCE);
    running.finish();
    assert_eq!(audit(&kinesis, 400), 0);
    // A restart reads none of the shards that have ended again.
    let running = kinesis.run(&job, &[]);
    kinesis.send("s", numbers(400, 450));
    kinesis.until_out(450, PATIENCE);
    running.finish();
    assert_eq!(audit(&kinesis, 450), 0);
}

#[test]
fn a_run_once_reads_parents_and_then_their_children_and_emits_once() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 1);
    kinesis.send("s", numbers(0, 100));
    kinesis.split("s", "shardId-000000000000");
    kinesis.send("s", numbers(100, 200));
    kinesis.merge("s", "shardId-000000000001", "shardId-000000000002");
    kinesis.send("s", numbers(200, 300));
    let job = kinesis.job(ONCE, OLDEST, NUMBERS);
    kinesis
        .call(&["run", job.to_str().unwrap(), "--http", "off"])
        .expect(0, &[]);
    assert_eq!(audit(&kinesis, 300), 0);
    let counts = kinesis.dir().join("counts.sql");
    let text = format!(
        "SET trigger = 'once'; SET outputMode = 'complete';
         CREATE TABLE messages USING kinesis OPTIONS (streamName 's', endpointUrl '{}', {OLDEST});
         SELECT count(*) AS c FROM messages;",
        kinesis.url()
    );
    std::fs::write(&counts, text).unwrap();
    let said = kinesis.call(&["run", counts.to_str().unwrap(), "--http", "off"]);
    said.expect(0, &["|300|"]);
    assert_eq!(said.out.matches("Batch: ").count(), 1, "{}", said.out);
}

/// The newest checkpoint as it stands in its file.
fn newest_checkpoint(kinesis: &Kinesis) -> String {
    let folder = kinesis.dir().join("checkpoints/out/epochs");
    let files = std::fs::read_dir(folder).unwrap();
    let newest = files.map(|entry| entry.unwrap().path()).max().unwrap();
    std::fs::read_to_string(newest).unwrap_or_default()
}

#[test]
fn a_shard_that_has_ended_is_let_go_once_the_stream_does_not_list_it_any_more() {
    const PARENT: &str = "shardId-000000000000";
    let kinesis = Kinesis::start();
    kinesis.make("s", 1);
    let job = kinesis.job("SET checkpointInterval = '100 ms';", OLDEST, NUMBERS);
    let running = kinesis.run(&job, &[]);
    kinesis.send("s", numbers(0, 50));
    kinesis.split("s", PARENT);
    kinesis.send("s", numbers(50, 100));
    kinesis.until_out(100, PATIENCE);
    stage::until("the children are in a checkpoint", PATIENCE, || {
        newest_checkpoint(&kinesis).contains("s/shardId-000000000002")
    });
    assert!(newest_checkpoint(&kinesis).contains(PARENT));
    kinesis.plant_without(PARENT);
    stage::until("the parent is let go", PATIENCE, || {
        let newest = newest_checkpoint(&kinesis);
        !newest.is_empty() && !newest.contains(PARENT)
    });
    kinesis.send("s", numbers(100, 150));
    kinesis.until_out(150, PATIENCE);
    running.finish();
    let running = kinesis.run(&job, &[]);
    kinesis.send("s", numbers(150, 200));
    kinesis.until_out(200, PATIENCE);
    running.finish();
    assert_eq!(audit(&kinesis, 200), 0);
}

#[test]
fn records_that_retention_has_removed_before_they_were_read_are_noticed() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 1);
    kinesis.send("s", numbers(0, 10));
    let job = kinesis.job("", OLDEST, NUMBERS);
    let running = kinesis.run(&job, &[]);
    kinesis.until_out(10, PATIENCE);
    running.finish();
    // Whatever came since the stop is older than a stream keeps that keeps nothing.
    kinesis.plant_retention(0, 1);
    let said = kinesis.call(&["run", job.to_str().unwrap(), "--http", "off"]);
    said.expect(
        1,
        &[
            "s/shardId-000000000000 was read up to what arrived until",
            "the stream keeps records for 0 hours",
            "Set failOnDataLoss to false",
        ],
    );
    let loose = format!("{OLDEST}, failOnDataLoss 'false'");
    let job = kinesis.job("", &loose, NUMBERS);
    kinesis.send("s", numbers(10, 20));
    kinesis.plant_retention(0, 1);
    let mut running = kinesis.run(&job, &[]);
    running.until_said("because failOnDataLoss is false", PATIENCE);
    kinesis.until_out(20, PATIENCE);
    running.finish();
    assert_eq!(audit(&kinesis, 20), 0);
}

#[test]
fn throttling_expired_iterators_and_server_errors_are_survived() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 2);
    kinesis.send("s", numbers(0, 100));
    let job = kinesis.job("", OLDEST, NUMBERS);
    kinesis.plant_errors(&[
        ("ListShards", "LimitExceededException", 400, 2),
        (
            "GetShardIterator",
            "ProvisionedThroughputExceededException",
            400,
            2,
        ),
    ]);
    let running = kinesis.run(&job, &[]);
    kinesis.until_out(100, PATIENCE);
    for (round, (code, status)) in [
        ("ProvisionedThroughputExceededException", 400),
        ("ExpiredIteratorException", 400),
        ("InternalFailure", 500),
        ("ServiceUnavailable", 503),
    ]
    .into_iter()
    .enumerate()
    {
        kinesis.plant_errors(&[("GetRecords", code, status, 4)]);
        let from = 100 + u32::try_from(round).unwrap() * 100;
        kinesis.send("s", numbers(from, from + 100));
        kinesis.until_out(from as usize + 100, PATIENCE);
    }
    running.finish();
    assert_eq!(audit(&kinesis, 500), 0);
}

/// The number of the shard that a record of this sequence number stands in.
fn shard_of(sequence: &str) -> u128 {
    // The last 36 bits: the shard's number, and a version of 4 bits.
    let digits = sequence.bytes().map(|digit| u128::from(digit - b'0'));
    digits.fold(0, |number, digit| (number * 10 + digit) % (1 << 36)) >> 4
}

/// Where the newest checkpoint goes on, by the number of the shard.
fn positions(kinesis: &Kinesis) -> BTreeMap<u128, String> {
    let folder = kinesis.dir().join("checkpoints/out");
    let said = kinesis.call(&["inspect", folder.to_str().unwrap(), "--json"]);
    let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let cuts = document[0]["newest"]["partitions"].as_array().unwrap();
    cuts.iter()
        .map(|cut| {
            let shard = cut["partition"].as_str().unwrap();
            let (_, number) = shard.split_once("shardId-").unwrap();
            let position = cut["position"].as_str().unwrap();
            (number.parse().unwrap(), position.to_owned())
        })
        .collect()
}

/// Whether a record stands before these positions.
fn covers(positions: &BTreeMap<u128, String>, sequence: &str) -> bool {
    let Some(position) = positions.get(&shard_of(sequence)) else {
        return false;
    };
    match position.strip_prefix("after:") {
        Some(last) => sequence <= last,
        // A time or the oldest record is no number.
        None => position.starts_with(|c: char| c.is_ascii_digit()) && sequence < position.as_str(),
    }
}

#[test]
fn killed_again_and_again_while_shards_change_it_loses_nothing_and_repeats_nothing_committed() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 2);
    let columns = NUMBERS.replace(" FROM", ", sequenceNumber AS s FROM");
    let job = kinesis.job("SET checkpointInterval = '200 ms';", OLDEST, &columns);
    let kills = kills(6);
    let mut survived = Vec::new();
    for kill in 0..kills {
        let running = kinesis.run(&job, &[]);
        let before = kinesis.out().len();
        kinesis.send("s", numbers(kill * 100, kill * 100 + 100));
        match kill {
            1 => kinesis.split("s", "shardId-000000000000"),
            3 => kinesis.merge("s", "shardId-000000000002", "shardId-000000000003"),
            _ => {}
        }
        kinesis.until_out(before + 1, PATIENCE);
        std::thread::sleep(Duration::from_millis(u64::from(kill) * 137 % 700));
        running.kill();
        survived.push(positions(&kinesis));
    }
    let total = i64::from(kills) * 100;
    let mut running = kinesis.run(&job, &[]);
    running.until_ready();
    stage::until("everything is there", PATIENCE, || {
        let mut rows: Vec<i64> = written(&kinesis).iter().map(|(_, n)| *n).collect();
        rows.sort_unstable();
        rows.dedup();
        rows.len() == usize::try_from(total).unwrap()
    });
    running.finish();
    audit(&kinesis, total);
    // What came twice stood behind the newest checkpoint of one of the kills.
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for row in kinesis.out() {
        let record = row["s"].as_str().unwrap().to_owned();
        *times.entry(record).or_default() += 1;
    }
    let mut covered = 0;
    for (record, times) in times {
        let by = survived.iter().filter(|cut| covers(cut, &record)).count();
        let behind = survived.len() - by;
        covered += usize::from(by > 0);
        assert!(
            times <= 1 + behind,
            "{record} came {times} times, and {behind} kills had not committed it"
        );
    }
    assert!(covered > 0, "no checkpoint covers anything: {survived:?}");
}

#[test]
fn what_is_wrong_is_said_within_ten_seconds() {
    let kinesis = Kinesis::start();
    let job = kinesis.job("", OLDEST, NUMBERS);
    let path = job.to_str().unwrap();
    let said = kinesis.call(&["run", path, "--http", "off"]);
    said.expect(1, &["the stream `s` does not exist at http://127.0.0.1"]);
    assert!(said.took < SAID, "too late: {:?}", said.took);
    let said = kinesis.call(&["check", path, "--connect"]);
    said.expect(2, &["the stream `s` does not exist"]);
    kinesis.make("s", 3);
    let said = kinesis.call(&["check", path, "--connect"]);
    said.expect(0, &["stream s at http://127.0.0.1", "3 shards"]);

    let keys = |id: &str| format!("{OLDEST}, awsAccessKeyId '{id}', awsSecretKey 'geheim'");
    let job = kinesis.job("", &keys("denied"), NUMBERS);
    let said = kinesis.call(&["run", job.to_str().unwrap(), "--http", "off"]);
    said.expect(1, &["no right to read the stream `s`"]);
    let job = kinesis.job("", &keys("wrong"), NUMBERS);
    let said = kinesis.call(&["check", job.to_str().unwrap(), "--connect"]);
    said.expect(2, &["does not accept the credentials"]);
    assert!(said.took < SAID, "too late: {said:?}");
    assert!(!said.err.contains("geheim"), "{said:?}");
    let mut running = kinesis.run(&job, &[]);
    running.until_said("does not accept the credentials", SAID);
    assert!(running.alive());
    running.finish();

    let text = std::fs::read_to_string(&job).unwrap();
    std::fs::write(&job, text.replace(&kinesis.url(), "http://127.0.0.1:1")).unwrap();
    let said = kinesis.call(&["check", job.to_str().unwrap(), "--connect"]);
    said.expect(2, &["http://127.0.0.1:1 does not answer"]);
    assert!(said.took < SAID, "too late: {:?}", said.took);
}

#[test]
fn a_stream_that_is_deleted_while_it_is_read_ends_the_query() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 2);
    kinesis.send("s", numbers(0, 10));
    let job = kinesis.job("", OLDEST, NUMBERS);
    let running = kinesis.run(&job, &[]);
    kinesis.until_out(10, PATIENCE);
    kinesis.delete("s");
    let deleted = Instant::now();
    running
        .end(PATIENCE)
        .expect(1, &["does not exist any more"]);
    assert!(
        deleted.elapsed() < SAID,
        "too late: {:?}",
        deleted.elapsed()
    );
    // One of the same name is another one, which is known by the second that it was made in.
    std::thread::sleep(Duration::from_millis(1_100));
    kinesis.make("s", 2);
    let path = job.to_str().unwrap();
    let said = kinesis.call(&["run", path, "--http", "off"]);
    said.expect(2, &["was deleted and made again"]);
    let loose = format!("{OLDEST}, failOnDataLoss 'false'");
    let job = kinesis.job("", &loose, NUMBERS);
    kinesis.send("s", numbers(10, 20));
    let running = kinesis.run(&job, &[]);
    kinesis.until_out(20, PATIENCE);
    running.finish();
}

#[test]
fn a_bad_record_is_stepped_over_by_the_command_that_the_message_holds() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 1);
    kinesis.send("s", [("a", "0".to_owned()), ("a", "x".to_owned())]);
    kinesis.send("s", [("a", "1".to_owned())]);
    let job = kinesis.job(ONCE, OLDEST, NUMBERS);
    let path = job.to_str().unwrap();
    let said = kinesis.call(&["run", path, "--http", "off"]);
    said.expect(1, &["To step over this record: thalweg checkpoint set"]);
    let place = said.err.split("--skip ").nth(1).unwrap();
    let place = place.split_whitespace().next().unwrap();
    let place = place.trim_end_matches(|c: char| !c.is_ascii_digit());
    let folder = kinesis.dir().join("checkpoints/out");
    let folder = folder.to_str().unwrap();
    let skip = ["checkpoint", "set", folder, "--skip", place, "--yes"];
    kinesis.call(&skip).expect(0, &["after:"]);
    kinesis.call(&["run", path, "--http", "off"]).expect(0, &[]);
    assert_eq!(audit(&kinesis, 2), 0);
}

#[test]
fn a_shard_is_read_five_times_a_second_and_not_more() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 1);
    let job = kinesis.job("", OLDEST, NUMBERS);
    let mut running = kinesis.run(&job, &[]);
    running.until_ready();
    let (began, before) = (Instant::now(), kinesis.count("GetRecords"));
    stage::until("ten reads", PATIENCE, || {
        kinesis.count("GetRecords") >= before + 10
    });
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(1_790),
        "ten reads in {took:?}"
    );
    running.finish();
}

#[test]
fn the_jobs_of_the_document_are_taken() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/kinesis.md");
    let text = std::fs::read_to_string(document).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut taken = 0;
    for block in text.split("```sql\n").skip(1) {
        let job = folder.path().join("job.sql");
        std::fs::write(&job, block.split("```").next().unwrap()).unwrap();
        let said = Running::start(thalweg(&["check", job.to_str().unwrap()])).end(PATIENCE);
        said.expect(0, &["USING kinesis"]);
        taken += 1;
    }
    assert!(taken >= 2);
}
