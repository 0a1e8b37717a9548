//! Options of a Kinesis input, its lag, shards that expire, and the shipped job.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::stage::{Kinesis, PATIENCE, Running, until};
use crate::{NUMBERS, OLDEST, ONCE, audit, numbers, written};

#[test]
fn lag_is_what_the_service_says() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 1);
    kinesis.send("s", numbers(0, 10));
    let job = kinesis.job("", OLDEST, NUMBERS);
    kinesis.plant_behind(61_000);
    let mut running = kinesis.run(&job, &[]);
    kinesis.until_out(10, PATIENCE);
    let mut lag = |expected: f64| {
        until("the lag", PATIENCE, || {
            let lag = running.metric("thalweg_partition_lag_milliseconds");
            (lag - expected).abs() < 0.5
        });
    };
    lag(61_000.0);
    kinesis.plant_errors(&[]);
    lag(0.0);
    running.finish();
}

#[test]
fn a_start_at_a_time_begins_with_what_arrived_from_then_on() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 2);
    kinesis.send("s", numbers(0, 20));
    std::thread::sleep(Duration::from_millis(50));
    kinesis.send("s", numbers(20, 40));
    let at =
        "CAST(CAST(data AS STRING) AS INT) AS n, approximateArrivalTimestamp AS at FROM messages";
    let job = kinesis.job(ONCE, OLDEST, &format!("SELECT partitionKey AS k, {at}"));
    let run = |job: PathBuf| {
        let said = kinesis.call(&["run", job.to_str().unwrap(), "--http", "off"]);
        said.expect(0, &[]);
        let out = kinesis.out();
        std::fs::remove_file(kinesis.dir().join("out.jsonl")).unwrap();
        std::fs::remove_dir_all(kinesis.dir().join("checkpoints")).unwrap();
        out
    };
    let all = run(job);
    assert_eq!(all.len(), 40);
    let late = all.iter().filter(|row| row["n"].as_i64() >= Some(20));
    let since = late.map(|row| row["at"].as_str().unwrap()).min().unwrap();
    let job = kinesis.job(
        ONCE,
        &format!("startingPosition 'AT_TIMESTAMP {since}'"),
        NUMBERS,
    );
    let rows = run(job);
    let mut read: Vec<i64> = rows.iter().map(|row| row["n"].as_i64().unwrap()).collect();
    read.sort_unstable();
    assert_eq!(read, (20..40).collect::<Vec<_>>());
}

#[test]
fn a_read_asks_for_so_many_records_and_a_shard_gives_so_many_in_an_interval() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 1);
    kinesis.send("s", numbers(0, 200));
    let few = format!("{OLDEST}, kinesis.executor.maxRecordPerRead '50'");
    let job = kinesis.job(ONCE, &few, NUMBERS);
    let path = job.to_str().unwrap();
    kinesis.call(&["run", path, "--http", "off"]).expect(0, &[]);
    assert_eq!(audit(&kinesis, 200), 0);
    let reads = kinesis.count("GetRecords");
    assert!(reads >= 4, "200 records in {reads} reads");

    let slow = format!("{OLDEST}, kinesis.executor.maxFetchRecordsPerShard '100'");
    let job = kinesis.job("SET trigger = '700 ms';", &slow, NUMBERS);
    kinesis.send("s", numbers(200, 500));
    let began = Instant::now();
    let running = kinesis.run(&job, &[]);
    kinesis.until_out(500, PATIENCE);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(1_400),
        "300 records in {took:?}"
    );
    running.finish();
    assert_eq!(audit(&kinesis, 500), 0);
}

#[test]
fn a_shard_that_has_expired_before_it_was_read_is_noticed() {
    let kinesis = Kinesis::start();
    kinesis.make("s", 2);
    kinesis.send("s", numbers(0, 50));
    let job = kinesis.job("", OLDEST, NUMBERS);
    let running = kinesis.run(&job, &[]);
    kinesis.until_out(50, PATIENCE);
    running.finish();
    kinesis.plant_without("shardId-000000000001");
    let said = kinesis.call(&["run", job.to_str().unwrap(), "--http", "off"]);
    said.expect(
        2,
        &[
            "1 of the shards that the checkpoint names are not there any more and were not read to their end, \
             s/shardId-000000000001",
            "set failOnDataLoss to false to go on without it",
        ],
    );
    let loose = format!("{OLDEST}, failOnDataLoss 'false'");
    let job = kinesis.job("", &loose, NUMBERS);
    kinesis.send("s", numbers(50, 100));
    let mut running = kinesis.run(&job, &[]);
    running.until_said("because failOnDataLoss is false", PATIENCE);
    until("the other shard is read on", PATIENCE, || {
        written(&kinesis).len() > 50
    });
    running.finish();
}

/// The shipped job in continuous mode, and its screen.
fn shipped(kinesis: &Kinesis, more: &[(&str, &str)]) -> (Running, PathBuf) {
    let job = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/kinesis_messages.sql");
    let mut command = kinesis.command(&["run", job, "--http", "127.0.0.1:0"]);
    command
        .env("KINESIS", kinesis.url())
        .envs(more.iter().copied());
    let screen = kinesis.dir().join("screen");
    command.stdout(std::fs::File::create(&screen).unwrap());
    (Running::start(command), screen)
}

#[test]
fn the_shipped_job_shows_messages_once_as_they_come_and_from_now_on() {
    let kinesis = Kinesis::start();
    kinesis.make("messages", 1);
    let message = |kind: &str| {
        (
            "a",
            format!("{{\"message_type\": \"{kind}\", \"count\": 17}}"),
        )
    };
    kinesis.send("messages", [message("first")]);
    let job = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/kinesis_messages.sql");
    let mut command = kinesis.command(&["run", job, "--http", "off", "--set", "trigger=once"]);
    command.env("KINESIS", kinesis.url());
    let said = Running::start(command).end(PATIENCE);
    said.expect(0, &["|       first|   17|"]);
    for (position, shows) in [("TRIM_HORIZON", true), ("LATEST", false)] {
        let (mut running, screen) = shipped(&kinesis, &[("STARTING", position)]);
        running.until_ready();
        kinesis.send("messages", [message(position)]);
        let shown = || std::fs::read_to_string(&screen).unwrap();
        until("the message", PATIENCE, || shown().contains(position));
        assert_eq!(shown().contains("first"), shows, "{}", shown());
        running.finish();
    }
}
