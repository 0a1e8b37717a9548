//! Records that cannot be decoded, computed or written: every one moves the position, in the way that onError says.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::sync::OnceLock;
use std::time::Duration;

use stage::{Broker, Loyalty, PATIENCE, Rec, Scene, invoice};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&["message.max.bytes=16000000"]))
}

/// What an invoice's value may be instead, and a word of the reason that is given.
fn bad_values() -> Vec<(&'static str, Vec<u8>)> {
    let mut invalid = br#"{"BillNo":"a","CustomerCardNo":""#.to_vec();
    invalid.extend_from_slice(&[0xff, 0xfe, 0x80]);
    invalid.extend_from_slice(br#""}"#);
    let nested = format!(
        r#"{{"BillNo":"a","x":{}{}}}"#,
        "[".repeat(1_100),
        "]".repeat(1_100)
    );
    vec![
        ("not JSON", b"not json".to_vec()),
        ("cut off", br#"{"BillNo":"a","TotalValue":12"#.to_vec()),
        (
            "a wrong type",
            br#"{"BillNo":"a","TotalValue":"many"}"#.to_vec(),
        ),
        (
            "a number out of range",
            br#"{"BillNo":"a","CreatedTime":9223372036854775808}"#.to_vec(),
        ),
        ("an empty value", Vec::new()),
        ("invalid UTF-8", invalid),
        ("1,100 levels", nested.into_bytes()),
        ("10 MB that are no JSON", vec![b'x'; 10_000_000]),
    ]
}

/// The loyalty job with a column more, so that its range is looked at.
fn job() -> Loyalty {
    Loyalty::default().selecting("BillNo, CreatedTime, CustomerCardNo, TotalValue")
}

fn scene(name: &str, output: &[(&str, &str)]) -> Scene {
    let scene = Scene::new(name, broker());
    scene.topics.make(&scene.input(), 1, &[]);
    scene.topics.make(&scene.output(), 1, output);
    scene
}

/// A good invoice before each bad record and one behind the last.
fn send_all(scene: &Scene) -> i64 {
    let mut records = Vec::new();
    for (number, (_, value)) in bad_values().into_iter().enumerate() {
        records.push(invoice(number as u64));
        records.push(Rec::new(format!("bad-{number}"), value).header("trace", number.to_string()));
    }
    records.push(Rec::tombstone("gone"));
    records.push(invoice(900));
    scene.topics.send(&scene.input(), &records);
    i64::try_from(records.len()).unwrap()
}

/// Nothing but the good ones came out, each once.
fn expect_good(scene: &Scene) {
    let mut keys: Vec<String> = scene
        .topics
        .read(&scene.output())
        .iter()
        .map(stage::Got::key)
        .collect();
    keys.sort();
    let mut expected: Vec<String> = (0..bad_values().len())
        .map(|number| format!("bill-{number:07}"))
        .collect();
    expected.push("bill-0000900".to_owned());
    assert_eq!(keys, expected);
}

#[test]
fn with_skip_every_bad_record_is_counted_and_moves_the_position() {
    let scene = scene("skip", &[]);
    let end = send_all(&scene);
    let job = job().set("onError = 'skip'").write(&scene);
    let mut running = scene.run(&job);
    let good = i64::try_from(bad_values().len()).unwrap() + 1;
    scene.until_out(good, PATIENCE);
    // Counts are handed over with each epoch.
    stage::until("all are counted", PATIENCE, || {
        running.metric("thalweg_records_in_total") >= end as f64
    });
    let bad = bad_values().len() as f64;
    assert!((running.metric(r#"reason="decode""#) - bad).abs() < 0.1);
    assert!((running.metric(r#"reason="tombstone""#) - 1.0).abs() < 0.1);
    let said = running.finish();
    // The place is told, what the record held is not.
    assert!(said.err.contains("skip-in/0@1"), "{}", said.err);
    assert!(!said.err.contains("many"), "{}", said.err);
    assert_eq!(scene.positions(), [("skip-in/0".to_owned(), end)]);
    assert_eq!(
        scene.topics.committed(&scene.group(), &scene.input()),
        [end]
    );
    expect_good(&scene);
}

#[test]
fn with_fail_the_message_holds_the_place_and_the_command_that_steps_over_it() {
    let scene = scene("fail", &[]);
    let end = send_all(&scene);
    let job = job().write(&scene);
    for (number, (what, _)) in bad_values().into_iter().enumerate() {
        let at = 2 * number + 1;
        let said = scene.run(&job).end(PATIENCE);
        let place = format!("fail-in/0@{at}");
        assert_eq!(said.code, 1, "{what}: {}", said.err);
        assert!(said.err.contains(&place), "{what}: {}", said.err);
        assert_eq!(
            scene.positions(),
            [("fail-in/0".to_owned(), at as i64)],
            "{what}: what stands before it is committed"
        );
        // As a user would paste it.
        let (_, command) = said.err.split_once("thalweg checkpoint set ").unwrap();
        let words: Vec<&str> = command.split_whitespace().take(3).collect();
        assert_eq!(words[1..], ["--skip", place.as_str()]);
        let stepped = scene.call(&["checkpoint", "set", words[0], words[1], words[2], "--yes"]);
        assert_eq!(stepped.code, 0, "{stepped:?}");
    }
    let running = scene.run(&job);
    scene.until_out(i64::try_from(bad_values().len()).unwrap() + 1, PATIENCE);
    running.finish();
    assert_eq!(scene.positions(), [("fail-in/0".to_owned(), end)]);
    expect_good(&scene);
}

const DEAD: &str = "CREATE TABLE dead USING kafka OPTIONS (kafka.bootstrap.servers '${KAFKA}', topic '{}', kafka.message.max.bytes '16000000');";

#[test]
fn with_dead_letter_the_record_stands_there_as_it_was_with_where_and_why() {
    let scene = scene("dead", &[]);
    scene.topics.make("dead-letters", 1, &[]);
    let end = send_all(&scene);
    let job = job()
        .with_tables(&DEAD.replace("{}", "dead-letters"))
        .set("onError = 'deadLetter'")
        .set("deadLetterTable = 'dead'")
        .write(&scene);
    let running = scene.run(&job);
    scene.until_out(i64::try_from(bad_values().len()).unwrap() + 1, PATIENCE);
    running.finish();
    expect_good(&scene);
    assert_eq!(scene.positions(), [("dead-in/0".to_owned(), end)]);
    let letters = scene.topics.read("dead-letters");
    assert_eq!(letters.len(), bad_values().len());
    for (number, (letter, (what, value))) in letters.iter().zip(bad_values()).enumerate() {
        let header = |name: &str| letter.header(name).unwrap_or_default();
        assert_eq!(letter.key(), format!("bad-{number}"), "{what}");
        assert!(letter.value.as_deref() == Some(&value[..]), "{what}");
        assert_eq!(header("trace"), number.to_string(), "{what}");
        let at = 2 * number + 1;
        assert_eq!(
            header("thalweg-origin"),
            format!("v1;dead;notification;dead-in;0;{at};0"),
            "{what}"
        );
        assert_eq!(header("thalweg-error-class"), "decode", "{what}");
        assert!(!header("thalweg-error").is_empty(), "{what}");
        assert!(
            header("thalweg-timestamp").parse::<i64>().unwrap() > 0,
            "{what}"
        );
    }
}

/// An invoice whose output has so many bytes more.
fn long(number: u64, more: usize) -> Rec {
    let card = "5".repeat(more);
    let value = format!(r#"{{"BillNo":"long-{number}","CustomerCardNo":"{card}","TotalValue":1}}"#);
    Rec::new(format!("long-{number}"), value)
}

#[test]
fn an_output_that_the_topic_finds_too_large_goes_the_way_of_on_error() {
    for policy in ["skip", "deadLetter", "fail"] {
        let name = format!("large-{policy}");
        let scene = scene(&name, &[("max.message.bytes", "5000")]);
        let letters = format!("{name}-letters");
        scene.topics.make(&letters, 1, &[]);
        let records = [invoice(0), long(1, 4_000), long(2, 6_000), invoice(3)];
        scene.topics.send(&scene.input(), &records);
        let mut job = Loyalty::default().set(&format!("onError = '{policy}'"));
        if policy == "deadLetter" {
            job = job
                .with_tables(&DEAD.replace("{}", &letters))
                .set("deadLetterTable = 'dead'");
        }
        let job = job.write(&scene);
        let mut running = scene.run(&job);
        if policy == "fail" {
            let said = running.end(PATIENCE);
            said.expect(
                1,
                &[&format!("{name}-in/0@2"), "max.message.bytes", "--skip"],
            );
            let folder = scene.folder();
            let place = format!("{name}-in/0@2");
            let folder = folder.to_str().unwrap();
            scene
                .call(&["checkpoint", "set", folder, "--skip", &place, "--yes"])
                .expect(0, &[]);
            running = scene.run(&job);
        }
        scene.until_out(3, PATIENCE);
        running.finish();
        let keys: Vec<String> = scene
            .topics
            .read(&scene.output())
            .iter()
            .map(stage::Got::key)
            .collect();
        assert_eq!(keys, ["bill-0000000", "long-1", "bill-0000003"], "{policy}");
        assert_eq!(scene.positions(), [(format!("{name}-in/0"), 4)]);
        if policy == "deadLetter" {
            let letters = scene.topics.read(&letters);
            assert_eq!(letters.len(), 1);
            assert_eq!(letters[0].key(), "long-2");
            assert_eq!(letters[0].header("thalweg-error-class").unwrap(), "write");
        }
    }
}

#[test]
fn a_record_of_ten_megabytes_is_a_record_like_any_other() {
    let scene = scene("huge", &[]);
    let value = format!(
        r#"{{"BillNo":"huge","pad":"{}","TotalValue":7}}"#,
        "x".repeat(10_000_000)
    );
    let records = [invoice(0), Rec::new("huge", value), invoice(1)];
    scene.topics.send(&scene.input(), &records);
    let running = scene.run(&Loyalty::default().write(&scene));
    scene.until_out(3, PATIENCE);
    running.finish();
    let rows = scene.topics.read(&scene.output());
    assert_eq!(rows[1].key(), "huge");
    assert_eq!(rows[1].json()["TotalValue"], 7.0);
}

#[test]
fn permissive_gives_null_and_drop_malformed_drops() {
    for (mode, expected) in [
        (
            "PERMISSIVE",
            vec![r#"{"BillNo":"a"}"#, r#"{"BillNo":"b","TotalValue":2.0}"#],
        ),
        ("DROPMALFORMED", vec![r#"{"BillNo":"b","TotalValue":2.0}"#]),
    ] {
        let scene = scene(&format!("mode-{mode}"), &[]);
        scene.topics.send(
            &scene.input(),
            &[
                Rec::new("a", r#"{"BillNo":"a","TotalValue":"many"}"#),
                Rec::new("b", r#"{"BillNo":"b","TotalValue":2}"#),
            ],
        );
        let job = Loyalty::default()
            .reading(&["startingOffsets 'earliest'", &format!("mode '{mode}'")])
            .selecting("BillNo, TotalValue")
            .set("trigger = 'available now'")
            .write(&scene);
        scene.run(&job).end(Duration::from_secs(20)).expect(0, &[]);
        let rows: Vec<String> = scene
            .topics
            .read(&scene.output())
            .into_iter()
            .map(|got| String::from_utf8(got.value.unwrap()).unwrap())
            .collect();
        assert_eq!(rows, expected, "{mode}");
    }
}

#[test]
fn an_expression_that_fails_is_an_error_of_its_record() {
    let scene = scene("cast", &[]);
    scene.topics.send(
        &scene.input(),
        &[
            Rec::new("a", r#"{"BillNo":"a","CustomerCardNo":"12"}"#),
            Rec::new("b", r#"{"BillNo":"b","CustomerCardNo":"secret"}"#),
            Rec::new("c", r#"{"BillNo":"c","CustomerCardNo":"13"}"#),
        ],
    );
    let job = Loyalty::default()
        .selecting("BillNo, CAST(CustomerCardNo AS INT) AS card")
        .set("onError = 'skip'")
        .write(&scene);
    let mut running = scene.run(&job);
    scene.until_out(2, PATIENCE);
    stage::until("it is counted", PATIENCE, || {
        running.metric(r#"reason="expression""#) > 0.0
    });
    let said = running.finish();
    assert!(said.err.contains("cast-in/0@1"), "{}", said.err);
    assert!(!said.err.contains("secret"), "{}", said.err);
}

#[test]
fn each_line_of_the_log_says_its_job_and_where_it_has_one_its_query_and_its_partition() {
    let scene = scene("lines", &[]);
    let job = job().set("onError = 'skip'").write(&scene);
    let broken = Rec::new("broken", "not json");
    scene.topics.send(&scene.input(), &[broken, invoice(1)]);
    // Everything that the client says of itself comes too.
    let more = ["--log-format", "json", "--log-level", "info,kafka=debug"];
    let running = scene.run_with(&job, &more);
    scene.until_out(1, PATIENCE);
    let said = running.finish();
    let lines: Vec<serde_json::Value> = said
        .err
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    for line in &lines {
        assert_eq!(line["job"], "lines", "{line}");
        if line["target"] == "kafka" {
            assert_eq!(line["query"], "notification", "{line}");
        }
    }
    let failed = |line: &&serde_json::Value| line["message"] == "a record failed and is skipped";
    let failed = lines.iter().find(failed).unwrap();
    assert_eq!(failed["query"], "notification");
    assert_eq!(failed["partition"], format!("{}/0", scene.input()));
}
