//! Checkpoints in an object store, against a real server on loopback: killed, fenced, away, copied, looked at.

#![cfg(feature = "object-store")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stage::{PATIENCE, Running, S3, Way, kills, until};

/// A job that counts what arrives in a folder of this machine, with its checkpoints in the bucket.
fn counts(s3: &S3) -> PathBuf {
    counts_by(s3, &s3.url())
}

/// The same; the store is reached at this address.
fn counts_by(s3: &S3, url: &str) -> PathBuf {
    std::fs::create_dir_all(s3.dir().join("in")).unwrap();
    s3.job(&format!(
        "SET checkpointLocation = 's3://shop/jobs';
         SET checkpointOptions = 'fs.s3a.endpoint={url}';
         SET checkpointInterval = '100 ms';
         SET outputMode = 'update';
         CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 'in');
         CREATE TABLE counts USING file OPTIONS (path 'out.jsonl');
         INSERT INTO counts SELECT id % 7 AS k, count(*) AS n FROM arrivals GROUP BY id % 7;"
    ))
}

/// A file with these ids arrives.
fn arrive(s3: &S3, name: &str, ids: std::ops::Range<u64>) {
    let text: String = ids.map(|id| format!("{{\"id\":{id}}}\n")).collect();
    std::fs::write(s3.dir().join("aside"), text).unwrap();
    std::fs::rename(s3.dir().join("aside"), s3.dir().join("in").join(name)).unwrap();
}

/// The last count of each key.
fn counted(s3: &S3) -> BTreeMap<u64, u64> {
    let rows = s3.out().into_iter();
    rows.map(|row| (row["k"].as_u64().unwrap(), row["n"].as_u64().unwrap()))
        .collect()
}

fn total(s3: &S3) -> u64 {
    counted(s3).values().sum()
}

#[track_caller]
fn until_counted(s3: &S3, ids: u64) {
    until(&format!("{ids} are counted"), PATIENCE, || total(s3) == ids);
}

/// What `thalweg inspect` says of the only query of a place.
#[track_caller]
fn inspected(s3: &S3, place: &str) -> Value {
    let said = s3.call(&["inspect", place, "--json", "--option", &option(s3)]);
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    report[0].clone()
}

fn option(s3: &S3) -> String {
    format!("fs.s3a.endpoint={}", s3.url())
}

/// The job has counted 70 ids, and is ready.
fn counting() -> (S3, PathBuf, Running) {
    let s3 = S3::start();
    let job = counts(&s3);
    arrive(&s3, "a.json", 0..70);
    let mut running = s3.run(&job, &[]);
    until_counted(&s3, 70);
    running.until_ready();
    (s3, job, running)
}

/// Files keep arriving behind the first 70 ids, and each is counted, until `/ready` says no and it is as told. How many ids came.
#[track_caller]
fn flows_until(s3: &S3, running: &mut Running, so: impl Fn(u64, &str) -> bool) -> u64 {
    let began = Instant::now();
    let mut next = 70;
    loop {
        arrive(s3, &format!("{next:06}.json"), next..next + 70);
        next += 70;
        until_counted(s3, next);
        let (status, said) = running.get("/ready");
        if status == 503 && so(next, &said) {
            return next;
        }
        assert!(began.elapsed() < PATIENCE, "{status} {said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn ended(running: Running) {
    running.terminate();
    running.end(PATIENCE).expect(0, &[]);
}

#[test]
fn counts_are_exact_whatever_is_killed_and_old_objects_are_removed() {
    let s3 = S3::start();
    let job = counts(&s3);
    let mut next = 0;
    for kill in 0..u64::from(kills(6)) {
        let running = s3.run(&job, &["--set", "checkpointHistory=off"]);
        for _ in 0..3 {
            arrive(&s3, &format!("{next:06}.json"), next..next + 50);
            next += 50;
        }
        until("more is counted", PATIENCE, || total(&s3) + 100 > next);
        std::thread::sleep(Duration::from_millis(kill * 67 % 300));
        running.kill();
    }
    let mut running = s3.run(&job, &["--set", "checkpointHistory=off"]);
    running.until_ready();
    // What was counted before the last kill is said again: only what comes now tells that this run has done it all.
    arrive(&s3, &format!("{next:06}.json"), next..next + 50);
    next += 50;
    until_counted(&s3, next);
    ended(running);
    assert_eq!(total(&s3), next);
    let epochs = s3.keys("jobs/counts/epochs/");
    assert!((2..=10).contains(&epochs.len()), "{epochs:?}");
    // A chain has a few objects and one that was merged; what no epoch names is gone.
    let state = s3.keys("jobs/counts/state/");
    assert!(state.len() <= 40, "{state:?}");
    let report = inspected(&s3, "s3://shop/jobs");
    assert_eq!(report["folder"], "s3://shop/jobs/counts");
    assert_eq!(report["trouble"], Value::Null);
    let option = option(&s3);
    let dump = [
        "inspect",
        "s3://shop/jobs",
        "--dump",
        "--step",
        "aggregate",
        "--option",
        &option,
    ];
    let dumped = s3.call(&dump);
    dumped.expect(0, &["\"count(*)\":"]);
    assert_eq!(dumped.out.lines().count(), 7, "{dumped:?}");
}

#[test]
fn who_was_started_later_has_the_checkpoints_and_the_other_one_ends() {
    let s3 = S3::start();
    let job = counts(&s3);
    arrive(&s3, "a.json", 0..70);
    let first = s3.run(&job, &[]);
    until_counted(&s3, 70);
    first.pause();
    let mut second = s3.run(&job, &[]);
    second.until_ready();
    arrive(&s3, "b.json", 70..140);
    until_counted(&s3, 140);
    first.resume();
    let first = first.end(PATIENCE);
    first.expect(
        1,
        &[
            "another process has been started later",
            "s3://shop/jobs/counts",
        ],
    );
    arrive(&s3, "c.json", 140..210);
    until_counted(&s3, 210);
    ended(second);
    assert!(
        counted(&s3).values().all(|n| *n == 30),
        "{:?}",
        counted(&s3)
    );
}

#[test]
fn a_store_that_is_away_delays_epochs_and_no_row() {
    let (s3, job, mut running) = counting();
    s3.away();
    let next = flows_until(&s3, &mut running, |next, said| {
        next >= 700 && said.contains("s3://shop/jobs/counts does not take anything")
    });
    let (_, metrics) = running.get("/metrics");
    let open = metrics
        .lines()
        .find(|line| line.starts_with("thalweg_epochs_open"));
    let open: f64 = open.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(open <= 4.0, "{open}");
    s3.back();
    running.until_ready();
    let before = inspected(&s3, "s3://shop/jobs")["newest"]["epoch"].as_u64();
    until("epochs are committed again", PATIENCE, || {
        inspected(&s3, "s3://shop/jobs")["newest"]["epoch"].as_u64() > before
    });
    running.kill();
    let running = s3.run(&job, &[]);
    arrive(&s3, "last.json", next..next + 70);
    until_counted(&s3, next + 70);
    ended(running);
}

#[test]
fn a_store_that_says_nothing_is_told_of_and_waited_for() {
    let (s3, _, mut running) = counting();
    s3.plant(&json!([{ "method": "PUT", "path": "/shop", "hold": true, "times": -1 }]));
    let next = flows_until(&s3, &mut running, |_, said| {
        said.contains("it has not answered for 5 s")
    });
    s3.back();
    running.until_ready();
    ended(running);
    assert_eq!(total(&s3), next);
}

#[test]
fn a_start_that_waits_for_a_store_that_says_nothing_can_be_ended() {
    let s3 = S3::start();
    let job = counts(&s3);
    arrive(&s3, "a.json", 0..7);
    s3.plant(&json!([{ "method": "GET", "path": "/shop", "hold": true, "times": -1 }]));
    let asked = s3.count("GET");
    let running = s3.run(&job, &[]);
    until("the start asks", PATIENCE, || s3.count("GET") > asked);
    running.terminate();
    let said = running.end(PATIENCE);
    s3.back();
    said.expect(0, &["SIGTERM: the job ends before it has begun"]);
    assert!(said.out.is_empty() && s3.out().is_empty(), "{said:?}");
}

#[test]
fn a_stop_that_the_store_does_not_let_end_says_so() {
    let s3 = S3::start();
    let job = counts(&s3);
    arrive(&s3, "a.json", 0..70);
    let mut running = s3.run(&job, &["--set", "stopTimeout=2 seconds"]);
    until_counted(&s3, 70);
    running.until_ready();
    s3.plant(&json!([{ "method": "PUT", "path": "/shop", "hold": true, "times": -1 }]));
    running.terminate();
    // Past the limit, and before a store that says nothing counts as one that is away.
    std::thread::sleep(Duration::from_secs(3));
    s3.back();
    let said = running.end(PATIENCE);
    said.expect(1, &["It waited: ", "s3://shop/jobs/counts"]);
}

#[test]
fn a_check_asks_the_store_that_keeps_checkpoints_and_leaves_it_as_it_is() {
    let s3 = S3::start();
    let job = counts(&s3);
    let check = |set: &[&str]| {
        let arguments = ["check", job.to_str().unwrap(), "--connect"];
        s3.call(&[&arguments[..], set].concat())
    };
    let well = [
        "arrivals (read): in is there",
        "checkpoints of counts: s3://shop/jobs/counts can be written",
    ];
    check(&[]).expect(0, &well);
    assert!(s3.keys("").is_empty());
    let nowhere = ["--set", "checkpointLocation=s3://nowhere/jobs"];
    check(&nowhere).expect(2, &["s3://nowhere/jobs/counts", "NoSuchBucket"]);
    s3.plant(&json!([{ "method": "POST", "path": "/shop", "status": 403, "code": "AccessDenied", "times": -1 }]));
    let lacks = "checkpoints of counts: this key lacks the right to write to s3://shop/jobs/counts";
    check(&[]).expect(2, &[lacks]);
    s3.back();
    let here = ["--set", "checkpointLocation=checkpoints"];
    std::fs::remove_dir_all(s3.dir().join("in")).unwrap();
    check(&here).expect(2, &["`arrivals`: there is no in: make the folder"]);
}

#[test]
fn a_network_that_fails_between_engine_and_store_delays_no_row_and_loses_nothing() {
    let s3 = S3::start();
    let proxy = s3.proxied();
    let job = counts_by(&s3, &proxy.url());
    let mut next = 0;
    let mut flow = |times: u64| {
        for _ in 0..times {
            arrive(&s3, &format!("{next:06}.json"), next..next + 7);
            next += 7;
            // A folder is looked at every second at most.
            until("the row is counted", Duration::from_secs(4), || {
                total(&s3) == next
            });
        }
        next
    };
    let mut running = s3.run(&job, &[]);
    flow(1);
    running.until_ready();
    let committed = |running: &mut Running| {
        let before = running.metric("thalweg_epochs_committed_total");
        until("epochs are committed", PATIENCE, || {
            running.metric("thalweg_epochs_committed_total") > before + 2.0
        });
    };
    for way in [
        Way::Late(Duration::from_millis(200)),
        Way::Resets(20),
        Way::Cut,
        Way::Silent,
        Way::Unanswered,
    ] {
        proxy.set(way);
        flow(5);
        proxy.set(Way::Open);
        committed(&mut running);
        running.until_ready();
    }
    proxy.forget();
    flow(5);
    committed(&mut running);
    running.until_ready();
    running.kill();
    let mut running = s3.run(&job, &[]);
    running.until_ready();
    let ids = flow(1);
    ended(running);
    assert_eq!(total(&s3), ids);
}

#[test]
fn a_job_that_runs_says_no_secret_of_its_store_not_even_at_trace_level() {
    let s3 = S3::start();
    let job = counts(&s3);
    let options = format!(
        "checkpointOptions=fs.s3a.endpoint={}, fs.s3a.access.key=test, fs.s3a.secret.key=hush-hush, fs.s3a.session.token=hush-token",
        s3.url()
    );
    let levels = "trace,object_store=trace,actix_http=trace,actix_web=trace";
    let mut running = s3.run(&job, &["--log-level", levels, "--set", &options]);
    arrive(&s3, "a.json", 0..70);
    until_counted(&s3, 70);
    running.until_ready();
    let shown = running.everything();
    running.terminate();
    let said = running.end(PATIENCE);
    said.expect(0, &["TRACE"]);
    let place = |text: &str| {
        text.lines()
            .find(|line| line.contains("hush"))
            .map(str::to_owned)
    };
    for text in [&said.err, &said.out, &shown] {
        assert_eq!(place(text), None);
    }
}

#[test]
fn what_cannot_keep_checkpoints_is_refused_at_the_start_and_no_secret_is_said() {
    let s3 = S3::start();
    let job = counts(&s3);
    let refused = |set: &[&str], said: &[&str]| {
        let mut arguments = vec!["run", job.to_str().unwrap(), "--http", "off"];
        arguments.extend(["--log-level", "trace"]);
        arguments.extend_from_slice(set);
        let all = s3.call(&arguments);
        all.expect(2, said);
        assert!(
            !all.err.contains("hush") && !all.out.contains("hush"),
            "{all:?}"
        );
        let mut arguments = vec!["check", job.to_str().unwrap()];
        arguments.extend_from_slice(set);
        let check = s3.call(&arguments);
        assert!(
            !check.err.contains("hush") && !check.out.contains("hush"),
            "{check:?}"
        );
    };
    let nowhere = ["--set", "checkpointLocation=s3://nowhere/jobs"];
    refused(&nowhere, &["s3://nowhere/jobs/counts", "NoSuchBucket"]);
    let keys = format!(
        "checkpointOptions=fs.s3a.endpoint={}, fs.s3a.access.key=wrong, fs.s3a.secret.key=hush-hush",
        s3.url()
    );
    refused(&["--set", &keys], &["InvalidAccessKeyId"]);
    refused(
        &["--set", "checkpointOptions=fs.s3a.secret.keys=hush-hush"],
        &["unknown option `fs.s3a.secret.keys` of checkpointOptions"],
    );
    refused(
        &["--set", "checkpointOptions=endpoint=http://127.0.0.1:9"],
        &["s3://shop/jobs/counts cannot be kept"],
    );
    refused(
        &["--set", "checkpointLocation=hdfs://shop/jobs"],
        &["`hdfs://` is no place of files"],
    );
    // A store that takes a new object where there is one cannot keep two processes apart.
    s3.plant(&json!([{ "method": "PUT", "path": "/once", "careless": true, "times": -1 }]));
    refused(&[], &["If-None-Match"]);
}

/// Runs the job once, with its checkpoints there.
fn run_once(s3: &S3, job: &Path, location: &str) {
    let location = format!("checkpointLocation={location}");
    let path = job.to_str().unwrap();
    let arguments = [
        "run",
        path,
        "--http",
        "off",
        "--set",
        "trigger=once",
        "--set",
        &location,
    ];
    s3.call(&arguments).expect(0, &[]);
}

#[test]
fn checkpoints_move_from_a_folder_to_a_store_and_back() {
    let s3 = S3::start();
    let job = counts(&s3);
    let once = |location: &str| run_once(&s3, &job, location);
    let copy = |from: &str, to: &str, more: &[&str]| {
        let option = option(&s3);
        let mut arguments = vec!["checkpoint", "copy", from, to];
        arguments.extend_from_slice(more);
        arguments.extend(["--option", &option]);
        s3.call(&arguments)
    };
    arrive(&s3, "a.json", 0..70);
    once("here");
    copy("here", "s3://shop/moved", &[]).expect(0, &["All is there", "newest epoch"]);
    arrive(&s3, "b.json", 70..140);
    once("s3://shop/moved");
    assert_eq!(total(&s3), 140);
    // What lies there is not of this folder any more.
    copy("here", "s3://shop/moved", &[]).expect(2, &["holds other checkpoints", "--replace"]);
    copy("s3://shop/moved", "back", &[]).expect(0, &["All is there"]);
    copy("s3://shop/moved", "back", &[]).expect(0, &["All is there"]);
    arrive(&s3, "c.json", 140..210);
    once("back");
    assert_eq!(total(&s3), 210);
    copy("s3://shop/moved", "back", &["--replace"]).expect(0, &["All is there"]);
    once("back");
    assert_eq!(
        total(&s3),
        210,
        "the last file is counted again from the older checkpoint"
    );
    // A damaged object is never copied as if it were whole.
    for key in s3.keys("moved/counts/state/") {
        let mut bytes = s3.get(&key);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        s3.put(&key, bytes);
    }
    copy("s3://shop/moved", "damaged", &[])
        .expect(2, &["s3://shop/moved/counts/state/", "is damaged"]);
    assert!(
        !s3.dir()
            .join("damaged/counts/epochs")
            .read_dir()
            .unwrap()
            .any(|_| true)
    );
}

#[test]
fn an_interrupted_copy_shows_nothing_and_is_gone_on_with() {
    let s3 = S3::start();
    let job = counts(&s3);
    arrive(&s3, "a.json", 0..70);
    run_once(&s3, &job, "here");
    let option = option(&s3);
    let copy = [
        "checkpoint",
        "copy",
        "here",
        "s3://shop/moved",
        "--option",
        &option,
    ];
    s3.plant(&json!([{ "method": "PUT", "path": "/epochs/", "status": 403, "code": "AccessDenied", "times": -1 }]));
    s3.call(&copy)
        .expect(2, &["cannot be written", "AccessDenied"]);
    assert!(s3.keys("moved/counts/epochs/").is_empty());
    assert!(!s3.keys("moved/counts/state/").is_empty());
    s3.back();
    let before = s3.count("PUT");
    s3.call(&copy).expect(0, &["All is there"]);
    assert_eq!(inspected(&s3, "s3://shop/moved")["trouble"], Value::Null);
    let kept = s3.keys("moved/counts/epochs/").len() as u64;
    // The proof of the place, and the epochs: the state was there.
    assert!(
        s3.count("PUT") - before <= kept + 1,
        "{}",
        s3.count("PUT") - before
    );
}

#[test]
fn a_query_that_runs_is_not_moved_and_one_that_was_killed_is() {
    let (s3, job, running) = counting();
    let option = option(&s3);
    let place = "s3://shop/jobs/counts";
    let back = |more: &[&str]| {
        let newest = inspected(&s3, place)["newest"]["epoch"].to_string();
        let back = [
            "checkpoint",
            "rollback",
            place,
            &newest,
            "--yes",
            "--option",
            &option,
        ];
        s3.call(&[&back, more].concat())
    };
    back(&[]).expect(2, &["the job runs", "Stop it first"]);
    arrive(&s3, "b.json", 70..140);
    until_counted(&s3, 140);
    running.kill();
    back(&[]).expect(0, &["is written"]);
    let mut running = s3.run(&job, &["--set", "checkpointInterval=10 minutes"]);
    running.until_ready();
    until_counted(&s3, 140);
    running.kill();
    // It would be looked for as long as its epochs are apart, had nobody said that it is gone.
    back(&["--stopped"]).expect(0, &["is written"]);
}

#[test]
fn a_stopped_query_is_moved_in_its_store_as_in_a_folder() {
    let s3 = S3::start();
    let job = counts(&s3);
    let path = job.to_str().unwrap();
    for (name, ids) in [("a.json", 0..70), ("b.json", 70..140)] {
        arrive(&s3, name, ids);
        s3.call(&["run", path, "--http", "off", "--set", "trigger=once"])
            .expect(0, &[]);
    }
    assert_eq!(total(&s3), 140);
    let option = option(&s3);
    let against = ["check", path, "--against", "s3://shop/jobs"];
    s3.call(&against).expect(0, &["query counts from epoch"]);
    let report = inspected(&s3, "s3://shop/jobs/counts");
    let epochs = report["epochs"].as_array().unwrap().clone();
    let first = epochs[0]["epoch"].to_string();
    let back = [
        "checkpoint",
        "rollback",
        "s3://shop/jobs/counts",
        &first,
        "--yes",
        "--option",
        &option,
    ];
    s3.call(&back).expect(0, &["is written"]);
    // As AWS' own tools do it, the environment says where the store is.
    let environment = [("AWS_ENDPOINT_URL_S3", s3.url())];
    let environment = environment
        .each_ref()
        .map(|(name, url)| (*name, url.as_str()));
    s3.call_in(&["inspect", "s3://shop/jobs"], &environment)
        .expect(0, &["written by a checkpoint command"]);
    s3.call(&["run", path, "--http", "off", "--set", "trigger=once"])
        .expect(0, &[]);
    assert_eq!(total(&s3), 140, "all files are read again from nothing");
}
