//! Folders in an object store, against a real server on loopback: as an input, as a static table and as an output.

#![cfg(feature = "object-store")]
#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

#[path = "object_store/keys.rs"]
mod keys;
#[path = "object_store/replaced.rs"]
mod replaced;
mod stage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stage::{PATIENCE, Running, S3, Terminator, kills, until};

/// What a job begins with.
const HEAD: &str =
    "SET checkpointLocation = './checkpoints';\nSET checkpointInterval = '200 ms';\n";

/// A file of JSON with these ids.
fn ids(ids: std::ops::Range<u64>) -> String {
    ids.map(|id| format!("{{\"id\":{id}}}\n")).collect()
}

/// A job that copies what arrives in the bucket into one file of this machine.
fn copies(s3: &S3, path: &str, options: &str) -> PathBuf {
    let reach = s3.options();
    s3.job(&format!(
        "{HEAD}CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path '{path}', {reach}{options});
         CREATE TABLE copy USING file OPTIONS (path 'out.jsonl');
         INSERT INTO copy SELECT id, _metadata.file_path AS file FROM arrivals;"
    ))
}

/// How often each id was written.
fn copied(rows: &[Value]) -> BTreeMap<u64, u64> {
    let mut ids = BTreeMap::new();
    for row in rows {
        *ids.entry(row["id"].as_u64().unwrap()).or_default() += 1;
    }
    ids
}

/// Waits until `/ready` says no, for this reason.
#[track_caller]
fn until_not_ready(running: &mut Running, why: &str) {
    let mut last = String::new();
    let began = Instant::now();
    while !last.contains(why) {
        assert!(began.elapsed() < PATIENCE, "`{why}` is not said: {last}");
        let (status, body) = running.get("/ready");
        last = format!("{status} {body}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(last.starts_with("503 "), "{last}");
}

fn ended(running: Running) {
    running.terminate();
    running.end(PATIENCE).expect(0, &[]);
}

#[test]
fn files_are_read_as_they_arrive_and_a_run_once_ends_with_those_that_are_there() {
    let s3 = S3::start();
    s3.put("in/day=1/a.json", ids(0..10));
    s3.put("in/day=1/a.txt", "not one of them");
    s3.put("in/_SUCCESS", "");
    s3.put("inside.json", ids(90..99));
    let job = copies(&s3, "s3a://shop/in", ", pathGlobFilter '*.json'");
    let path = job.to_str().unwrap();
    s3.call(&["run", path, "--http", "off", "--set", "trigger=once"])
        .expect(0, &[]);
    assert_eq!(s3.out().len(), 10);
    assert_eq!(s3.out()[0]["file"], "s3a://shop/in/day=1/a.json");
    s3.put("in/b.json", ids(10..20));
    let running = s3.run(&job, &[]);
    s3.until_out(20);
    s3.put("in/c.json", ids(20..30));
    s3.until_out(30);
    ended(running);
    assert!(copied(&s3.out()).values().all(|times| *times == 1));
}

#[test]
fn patterns_choose_and_a_path_may_be_one_object() {
    let s3 = S3::start();
    s3.put("2026-01/a.json", ids(0..1));
    s3.put("2026-02/b.json", ids(1..2));
    s3.put("2025-12/c.json", ids(2..3));
    s3.put("2026-01/deeper/d.json", ids(3..4));
    let read = |path: &str| {
        let job = copies(&s3, path, "");
        let file = job.to_str().unwrap();
        let _ = std::fs::remove_dir_all(s3.dir().join("checkpoints"));
        let _ = std::fs::remove_file(s3.dir().join("out.jsonl"));
        s3.call(&["run", file, "--http", "off", "--set", "trigger=once"])
            .expect(0, &[]);
        copied(&s3.out()).into_keys().collect::<Vec<u64>>()
    };
    assert_eq!(read("s3://shop/2026-*/*.json"), [0, 1]);
    assert_eq!(read("s3://shop/2025-12/c.json"), [2]);
    assert_eq!(read("s3://shop/2026-01"), [0]);
    assert_eq!(read("s3://shop/nothing/here"), [0_u64; 0]);
}

/// Each id that is visible in the bucket, and how often.
fn archived(s3: &S3) -> BTreeMap<u64, u64> {
    let mut rows = Vec::new();
    for key in s3.keys("archive/") {
        let text = String::from_utf8(s3.get(&key)).unwrap();
        rows.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
    }
    copied(&rows)
}

#[test]
fn what_arrives_in_a_bucket_stands_in_another_folder_of_it_once_whatever_is_killed() {
    let s3 = S3::start();
    let reach = s3.options();
    let job = s3.job(&format!(
        "{HEAD}CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 's3://shop/in/*.json', {reach});
         CREATE TABLE archive USING json OPTIONS (path 's3://shop/archive', rollInterval '300 ms', {reach}) PARTITIONED BY (part);
         INSERT INTO archive SELECT id, id % 3 AS part FROM arrivals;"
    ));
    let kills = u64::from(kills(6));
    let mut next = 0;
    for kill in 0..kills {
        let running = s3.run(&job, &[]);
        let known = archived(&s3).len();
        for _ in 0..4 {
            s3.put(&format!("in/{next:06}.json"), ids(next..next + 50));
            next += 50;
        }
        until("more is visible", PATIENCE, || archived(&s3).len() > known);
        std::thread::sleep(Duration::from_millis(kill * 97 % 400));
        running.kill();
    }
    let path = job.to_str().unwrap();
    s3.call(&["run", path, "--http", "off", "--set", "trigger=once"])
        .expect(0, &[]);
    let archived = archived(&s3);
    let missing: Vec<u64> = (0..next).filter(|id| !archived.contains_key(id)).collect();
    assert!(missing.is_empty(), "missing of {next}: {missing:?}");
    let twice: Vec<&u64> = archived.values().filter(|times| **times > 1).collect();
    assert!(twice.is_empty(), "{} are there twice", twice.len());
    assert!(s3.keys("archive/").iter().all(|key| key.contains("/part=")));
}

#[test]
fn parquet_in_a_bucket_is_written_and_read_back_column_by_column() {
    let s3 = S3::start();
    let reach = s3.options();
    let text: String = (0..30_000)
        .map(|id| format!("{{\"id\":{id},\"text\":\"{:064x}\"}}\n", id * 7_919_u64))
        .collect();
    std::fs::create_dir(s3.dir().join("in")).unwrap();
    std::fs::write(s3.dir().join("in/a.json"), text).unwrap();
    let write = s3.job(&format!(
        "{HEAD}SET trigger = 'once';
         CREATE TABLE arrivals (id BIGINT, text STRING) USING json OPTIONS (path 'in');
         CREATE TABLE archive USING parquet OPTIONS (path 's3://shop/archive', {reach});
         INSERT INTO archive SELECT id, text, 1 AS one FROM arrivals;"
    ));
    s3.call(&["run", write.to_str().unwrap(), "--http", "off"])
        .expect(0, &[]);
    assert_eq!(s3.keys("archive/").len(), 1, "{:?}", s3.keys("archive/"));
    let read = s3.job(&format!(
        "SET checkpointLocation = './read'; SET trigger = 'once';
         CREATE TABLE archive (id BIGINT, text STRING) USING parquet OPTIONS (path 's3://shop/archive', {reach});
         CREATE TABLE copy USING file OPTIONS (path 'out.jsonl');
         INSERT INTO copy SELECT id, text FROM archive;"
    ));
    s3.call(&["run", read.to_str().unwrap(), "--http", "off"])
        .expect(0, &[]);
    let rows = s3.out();
    assert_eq!(copied(&rows).len(), 30_000);
    let text = format!("{:064x}", 29_999 * 7_919);
    assert_eq!(rows[29_999]["text"], Value::from(text));
}

#[test]
fn a_store_that_goes_away_is_waited_for_and_said_while_rows_of_others_go_on() {
    let s3 = S3::start();
    let reach = s3.options();
    let job = s3.job(&format!(
        "{HEAD}CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 's3://shop/in', {reach});
         CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '100');
         CREATE TABLE copy USING file OPTIONS (path 'out.jsonl');
         CREATE TABLE others USING file OPTIONS (path 'others.jsonl');
         INSERT INTO copy SELECT id FROM arrivals;
         INSERT INTO others SELECT value FROM ticks;"
    ));
    s3.put("in/a.json", ids(0..10));
    let mut running = s3.run(&job, &[]);
    s3.until_out(10);
    running.until_ready();
    s3.away();
    until_not_ready(&mut running, "s3://shop/in cannot be read: planted");
    let others = || std::fs::metadata(s3.dir().join("others.jsonl")).map_or(0, |facts| facts.len());
    let before = others();
    until("rows of the others go on", PATIENCE, || others() > before);
    s3.back();
    s3.put("in/b.json", ids(10..20));
    s3.until_out(20);
    running.until_ready();
    ended(running);
    assert!(copied(&s3.out()).values().all(|times| *times == 1));
}

/// The lines of a log that warn of something.
fn warnings(said: &str) -> Vec<&str> {
    said.lines()
        .filter(|line| line.contains(" WARN "))
        .collect()
}

#[test]
fn a_run_once_gives_up_a_store_that_stays_away_and_says_for_what() {
    let s3 = S3::start();
    let job = copies(&s3, "s3://shop/in", "");
    let path = job.to_str().unwrap();
    s3.put("in/a.json", ids(0..10));
    s3.away();
    let run = ["run", path, "--http", "off", "--set", "trigger=once"];
    let limited = [&run[..], &["--set", "outageTimeout=1 second"]].concat();
    let said = s3.call(&limited);
    said.expect(
        1,
        &["s3://shop/in cannot be read: planted", "outageTimeout"],
    );
    // One line for the fault, one for the end: the client's own tries are nobody's business.
    assert_eq!(warnings(&said.err).len(), 1, "{}", said.err);
    assert!(!said.err.contains("retry"), "{}", said.err);
    s3.back();
    s3.call(&run).expect(0, &[]);
    assert_eq!(s3.out().len(), 10);
}

#[test]
fn an_address_that_can_never_be_one_is_refused_at_the_start() {
    let s3 = S3::start();
    for wrong in [
        "ftp://localhost:9000",
        "http://local host",
        "http://localhost:port",
    ] {
        let options = format!(
            "{}, fs.s3a.endpoint '{wrong}'",
            "fs.s3a.path.style.access 'true'"
        );
        let job = s3.job(&format!(
            "{HEAD}CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 's3://shop/in', {options});
             SELECT id FROM arrivals;"
        ));
        for command in [&["check"][..], &["run", "--http", "off"]] {
            let path = job.to_str().unwrap();
            let said = s3.call(&[command, &[path]].concat());
            said.expect(2, &["the address in the option `fs.s3a.endpoint`"]);
        }
    }
    // What stands in the environment or in a key's file is known when the store is opened: at each start, not at the first alone.
    let text = |path: &str| {
        format!(
            "{HEAD}CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path {path});
             CREATE TABLE copy USING file OPTIONS (path 'out.jsonl');
             INSERT INTO copy SELECT id FROM arrivals;"
        )
    };
    let job = s3.job(&text("'s3://shop/in'"));
    let run = |trigger: &str, address: &str| {
        let trigger = format!("trigger={trigger}");
        let path = job.to_str().unwrap();
        let arguments = ["run", path, "--http", "off", "--set", &trigger];
        s3.call_in(&arguments, &[("AWS_ENDPOINT_URL", address)])
    };
    run("once", &s3.url()).expect(0, &[]);
    let said = "the address in AWS_ENDPOINT_URL begins with neither http:// nor https://";
    run("continuous", s3.address()).expect(2, &[said]);
    let key = r#"{"gcs_base_url": "http://localhost:1", "disable_oauth": true, "client_email": "", "private_key": "",
        "private_key_id": ""}"#;
    std::fs::write(s3.dir().join("key.json"), key).unwrap();
    s3.job(
        &text("'gs://shop/in', google.cloud.auth.service.account.json.keyfile 'key.json'")
            .replace("./checkpoints", "./others"),
    );
    for trigger in ["continuous", "once"] {
        run(trigger, "").expect(2, &["gs://shop", "`gcs_base_url`", "https:// only"]);
    }
    std::fs::remove_file(s3.dir().join("key.json")).unwrap();
    run("once", "").expect(
        2,
        &[
            "gs://shop",
            "the file `key.json` with Google's key cannot be read",
        ],
    );
}

#[test]
fn a_certificate_that_is_not_trusted_is_refused_at_the_first_start_and_waited_for_later() {
    let s3 = S3::start();
    let front = Terminator::start(s3.url().trim_start_matches("http://"));
    s3.put("in/a.json", ids(0..10));
    let job = s3.job(&format!(
        "{HEAD}CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 's3://shop/in', fs.s3a.endpoint '{}');
         CREATE TABLE copy USING file OPTIONS (path 'out.jsonl');
         INSERT INTO copy SELECT id FROM arrivals;",
        front.url()
    ));
    let run = |trusted: &str| {
        let mut command = s3.command(&["run", job.to_str().unwrap(), "--http", "127.0.0.1:0"]);
        command.env("SSL_CERT_FILE", trusted);
        Running::start(command)
    };
    let authority = front.authority();
    let (known, other) = (authority.to_str().unwrap(), Terminator::start(s3.address()));
    let stranger = other.authority();
    let stranger = stranger.to_str().unwrap();
    let said = [
        "the certificate of the store is not trusted",
        "SSL_CERT_FILE",
    ];
    run(stranger).end(PATIENCE).expect(2, &said);
    let running = run(known);
    s3.until_out(10);
    ended(running);
    // A certificate that was replaced: nothing is read, and nothing ends.
    let mut running = run(stranger);
    until_not_ready(&mut running, said[0]);
    ended(running);
}

#[test]
fn an_output_waits_for_its_store_and_loses_nothing() {
    let s3 = S3::start();
    let reach = s3.options();
    let job = s3.job(&format!(
        "{HEAD}CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 'in');
         CREATE TABLE archive USING json OPTIONS (path 's3://shop/archive', rollInterval '200 ms', {reach});
         INSERT INTO archive SELECT id FROM arrivals;"
    ));
    std::fs::create_dir(s3.dir().join("in")).unwrap();
    let arrive = |name: &str, text: String| {
        std::fs::write(s3.dir().join("aside"), text).unwrap();
        std::fs::rename(s3.dir().join("aside"), s3.dir().join("in").join(name)).unwrap();
    };
    let mut running = s3.run(&job, &[]);
    arrive("a.json", ids(0..10));
    until("the first file", PATIENCE, || archived(&s3).len() == 10);
    s3.plant(&json!([{ "method": "PUT", "status": 503, "code": "SlowDown", "times": -1, "path": "/shop" }]));
    arrive("b.json", ids(10..20));
    until_not_ready(&mut running, "cannot be written: ");
    s3.back();
    until("the second file", PATIENCE, || archived(&s3).len() == 20);
    running.until_ready();
    ended(running);
    assert!(archived(&s3).values().all(|times| *times == 1));
}

#[test]
fn files_that_were_fetched_and_removed_do_not_come_back_when_the_job_runs_again() {
    let s3 = S3::start();
    let reach = s3.options();
    let job = s3.job(&format!(
        "SET checkpointLocation = 's3://shop/jobs'; SET checkpointOptions = 'fs.s3a.endpoint={}'; SET trigger = 'once';
         CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 'in');
         CREATE TABLE archive USING json OPTIONS (path 's3://shop/archive', {reach});
         INSERT INTO archive SELECT id FROM arrivals;",
        s3.url(),
    ));
    std::fs::create_dir(s3.dir().join("in")).unwrap();
    for day in 0..3 {
        let arrives = s3.dir().join(format!("in/{day}.json"));
        std::fs::write(arrives, ids(day * 10..day * 10 + 10)).unwrap();
        for again in [false, true] {
            s3.call(&["run", job.to_str().unwrap(), "--http", "off"])
                .expect(0, &[]);
            let seen: Vec<u64> = archived(&s3).into_keys().collect();
            let expected: Vec<u64> = if again {
                Vec::new()
            } else {
                (day * 10..day * 10 + 10).collect()
            };
            assert_eq!(seen, expected, "day {day}, again {again}");
            for key in s3.keys("archive/") {
                s3.delete(&key);
            }
        }
    }
}

/// So many lines that an object of them is fetched in several ranges.
#[test]
fn files_that_were_read_are_deleted_or_moved_inside_the_bucket() {
    for (options, left) in [
        (", cleanSource 'delete'", ""),
        (
            ", cleanSource 'archive', sourceArchiveDir 's3://shop/done'",
            "done/in/a.json",
        ),
    ] {
        let s3 = S3::start();
        s3.put("in/a.json", ids(0..10));
        let job = copies(&s3, "s3://shop/in", options);
        let running = s3.run(&job, &[]);
        s3.until_out(10);
        until("the object is gone", PATIENCE, || s3.keys("in/").is_empty());
        assert_eq!(s3.keys("").concat(), left);
        ended(running);
    }
}

#[test]
fn a_static_table_in_a_bucket_is_read_again_when_it_is_replaced() {
    let s3 = S3::start();
    let reach = s3.options();
    s3.put("shops.csv", "1,Riga\n2,Oslo\n");
    std::fs::create_dir(s3.dir().join("in")).unwrap();
    let job = s3.job(&format!(
        "{HEAD}CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 'in');
         CREATE TABLE shops (shop BIGINT, city STRING) USING csv OPTIONS (path 's3://shop/shops.csv', static 'true', {reach});
         CREATE TABLE copy USING file OPTIONS (path 'out.jsonl');
         INSERT INTO copy SELECT a.id, s.city FROM arrivals a JOIN shops s ON a.id % 10 = s.shop;"
    ));
    let arrive = |id: u64| {
        std::fs::write(s3.dir().join("aside"), ids(id..id + 1)).unwrap();
        let to = s3.dir().join("in").join(format!("{id}.json"));
        std::fs::rename(s3.dir().join("aside"), to).unwrap();
    };
    arrive(1);
    let running = s3.run(&job, &[]);
    s3.until_out(1);
    s3.put("shops.csv", "1,Cesis\n2,Oslo\n");
    let mut next = 11;
    until("the new city is joined", PATIENCE, || {
        arrive(next);
        next += 10;
        s3.out().iter().any(|row| row["city"] == "Cesis")
    });
    ended(running);
    assert_eq!(s3.out()[0]["city"], "Riga");
}

#[test]
fn what_cannot_be_reached_is_refused_at_once_and_no_secret_is_said() {
    let s3 = S3::start();
    let refused = |path: &str, options: &str, environment: &[(&str, &str)], said: &[&str]| {
        let job = copies(&s3, path, options);
        let arguments = ["run", job.to_str().unwrap(), "--http", "off"];
        let all = s3.call_in(&arguments, environment);
        all.expect(2, said);
        assert!(
            !all.err.contains("hush") && !all.out.contains("hush"),
            "{all:?}"
        );
        let check = s3.call_in(&["check", job.to_str().unwrap()], environment);
        assert!(
            !check.err.contains("hush") && !check.out.contains("hush"),
            "{check:?}"
        );
    };
    let wrong = ", fs.s3a.access.key 'wrong', fs.s3a.secret.key 'hush-hush'";
    refused("s3://shop/in", wrong, &[], &["InvalidAccessKeyId"]);
    refused("s3://nowhere/in", "", &[], &["NoSuchBucket"]);
    refused(
        "hdfs://shop/in",
        "",
        &[],
        &["`hdfs://` is no place of files"],
    );
    let archive = ", cleanSource 'archive', sourceArchiveDir 's3://other/done'";
    refused(
        "s3://shop/in",
        archive,
        &[],
        &["from one bucket to another"],
    );
    let reach = s3.options();
    let nowhere = s3.job(&format!(
        "{HEAD}CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '1');
         CREATE TABLE archive USING json OPTIONS (path 's3://nowhere/archive', {reach});
         INSERT INTO archive SELECT value FROM ticks;"
    ));
    s3.call(&["run", nowhere.to_str().unwrap(), "--http", "off"])
        .expect(2, &["s3://nowhere/archive", "NoSuchBucket"]);
    // Keys come from a profile where the environment gives none.
    let profile = s3.dir().join("credentials");
    let text = "[me]\naws_access_key_id = denied\naws_secret_access_key = hush-hush\n";
    std::fs::write(&profile, text).unwrap();
    let environment = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_SHARED_CREDENTIALS_FILE", profile.to_str().unwrap()),
        ("AWS_PROFILE", "me"),
    ];
    refused("s3://shop/in", "", &environment, &["AccessDenied"]);
    let nobody = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
    refused("s3://shop/in", "", &nobody, &["no key is known"]);
}

#[test]
fn a_check_asks_the_bucket_for_the_rights_that_the_job_needs_and_leaves_it_as_it_is() {
    let s3 = S3::start();
    let reach = s3.options();
    let job = s3.job(&format!(
        "{HEAD}CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 's3://shop/in/*.json', {reach},
           cleanSource 'archive', sourceArchiveDir 's3://shop/done');
         CREATE TABLE copy USING parquet OPTIONS (path 's3://shop/out', {reach});
         INSERT INTO copy SELECT id FROM arrivals;"
    ));
    let check = ["check", job.to_str().unwrap(), "--connect"];
    let well = |place: &str| {
        let lines = [
            &*format!("arrivals (read): {place}"),
            "arrivals (read): s3://shop/done can be written",
            "copy (written): s3://shop/out can be written",
        ];
        s3.call(&check).expect(0, &lines);
    };
    well("s3://shop/in can be listed; nothing lies there to try reading");
    s3.put("in/a.json", ids(0..3));
    well("s3://shop/in can be listed and read");
    assert_eq!(s3.keys(""), ["in/a.json"]);

    let refused = |method: &str, path: &str, said: &str| {
        s3.plant(&json!([{
            "method": method, "path": path, "status": 403, "code": "AccessDenied", "times": -1
        }]));
        s3.call(&check).expect(2, &[said]);
        s3.back();
    };
    refused("GET", "prefix=in", "the right to list s3://shop/in");
    let one = "the right to read s3://shop/in/a.json, although it may list it";
    refused("HEAD", "/shop/in/a.json", one);
    let out = "copy (written): this key lacks the right to write to s3://shop/out";
    refused("POST", "/shop/out", out);
    refused("POST", "/shop/done", "to write to s3://shop/done");
    let denied = [("AWS_ACCESS_KEY_ID", "denied")];
    let said = s3.call_in(&check, &denied);
    said.expect(2, &["list s3://shop/in", "write to s3://shop/out"]);
    let wrong = s3.call_in(&check, &[("AWS_ACCESS_KEY_ID", "wrong")]);
    wrong.expect(2, &["s3://shop/in cannot be listed", "InvalidAccessKeyId"]);

    let text = std::fs::read_to_string(&job).unwrap();
    std::fs::write(&job, text.replace("s3://shop/out", "s3://nowhere/out")).unwrap();
    let nowhere = ["s3://nowhere/out cannot be written", "NoSuchBucket"];
    s3.call(&check).expect(2, &nowhere);
}
