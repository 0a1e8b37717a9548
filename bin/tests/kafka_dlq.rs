//! `thalweg dlq` on a real broker: dead letters listed, shown and sent again, each once.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use stage::{Broker, Loyalty, PATIENCE, Rec, Running, Scene, invoice, thalweg};

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

fn letters(scene: &Scene) -> String {
    format!("{}-dead", scene.name)
}

fn retry(scene: &Scene) -> String {
    format!("{}.retry", scene.input())
}

/// An invoice whose card is no number.
fn bad(number: u64) -> Rec {
    let value = format!(r#"{{"BillNo":"bad-{number}","CustomerCardNo":"card","TotalValue":1}}"#);
    Rec::new(format!("bad-{number}"), value).header("trace", number.to_string())
}

/// The job before its fix and behind it: it reads its retry topic too.
fn job(scene: &Scene, card: &str) -> PathBuf {
    let dead = format!(
        "CREATE TABLE dead USING kafka OPTIONS (kafka.bootstrap.servers '${{KAFKA}}', topic '{}');",
        letters(scene)
    );
    Loyalty::default()
        .set("onError = 'deadLetter'")
        .set("deadLetterTable = 'dead'")
        .subscribed_to(&format!("{},{}", scene.input(), retry(scene)))
        .with_tables(&dead)
        .selecting(&format!("BillNo, {card} AS card"))
        .write(scene)
}

const BROKEN: &str = "CAST(CustomerCardNo AS INT)";
const FIXED: &str = "try_cast(CustomerCardNo AS INT)";

/// A job that has met so many bad records, and one that is no JSON and no text.
fn failed(name: &str, count: u64) -> (Scene, PathBuf) {
    let scene = Scene::with_topics(name, broker(), 2);
    scene.topics.make(&retry(&scene), 2, &[]);
    scene.topics.make(&letters(&scene), 1, &[]);
    let job = job(&scene, BROKEN);
    let mut records: Vec<Rec> = (0..count).map(bad).collect();
    records.push(invoice(1));
    records.push(Rec::new("worse", vec![0xff, 0x00, 0x1b]).to(1));
    scene.topics.send(&scene.input(), &records);
    let running = scene.run(&job);
    let all = i64::try_from(count).unwrap() + 1;
    stage::until("all are dead letters", PATIENCE, || {
        scene.topics.count(&letters(&scene)) == all
    });
    running.finish();
    (scene, job)
}

#[test]
fn dead_letters_are_listed_by_reason_and_one_is_shown_with_its_bytes() {
    let (scene, job) = failed("dlqlist", 5);
    let job = job.to_str().unwrap();
    let topic = letters(&scene);
    let said = scene.call(&["dlq", "list", "--job", job]);
    said.expect(
        0,
        &[
            "dlqlist-dead: 6 dead letters",
            "expression",
            "decode",
            "dlqlist-in/1@",
        ],
    );
    let json = scene.call(&["dlq", "list", "--job", job, "--reason", "decode", "--json"]);
    let line: serde_json::Value = serde_json::from_str(json.out.trim()).unwrap();
    assert_eq!(line["reason"], "decode");
    assert_eq!(line["job"], "dlqlist");
    let place = format!("{}@{}", line["partition"], line["offset"]);
    let shown = scene.call(&["dlq", "show", &place, "--job", job]);
    shown.expect(
        0,
        &[
            "reason     decode",
            "3 bytes",
            "ff 00 1b",
            "worse",
            "query      notification",
        ],
    );
    // Without a job, and by where they come from and when.
    let brokers = scene.broker.bootstrap();
    let bare = ["--topic", &topic, "--brokers", brokers];
    for (choice, count) in [
        (&["--input", "dlqlist-in"][..], "6 dead letters"),
        (&["--input", "dlqlist-in/7"], "0 dead letters"),
        (&["--from", "2020-01-01"], "6 dead letters"),
        (&["--until", "2020-01-01"], "0 dead letters"),
        (
            &["--reason", "Expression", "--limit", "2"],
            "3 are not listed",
        ),
    ] {
        let said = scene.call(&[&["dlq", "list"], &bare[..], choice].concat());
        said.expect(0, &[count]);
    }
    let text = scene.call(
        &[
            &["dlq", "list", "--reason", "expression", "--json"],
            &bare[..],
        ]
        .concat(),
    );
    let first: serde_json::Value = serde_json::from_str(text.out.lines().next().unwrap()).unwrap();
    let place = format!("{topic}/{}@{}", first["partition"], first["offset"]);
    let shown = scene.call(&[&["dlq", "show", &place], &bare[..]].concat());
    shown.expect(0, &["\"CustomerCardNo\":\"card\"", "trace = "]);
    // A topic that the job does not read has no dead letters in it, and never will.
    for command in ["list", "replay"] {
        let said = scene.call(&["dlq", command, "--job", job, "--input", "dlqlist-inn/1"]);
        said.expect(
            2,
            &["no topic `dlqlist-inn`; it reads dlqlist-in, dlqlist-in.retry"],
        );
    }
    let shown = scene.call(&[&["dlq", "show", "0@99"], &bare[..]].concat());
    shown.expect(2, &["up to before 6"]);
}

#[test]
fn a_replay_that_is_killed_midway_and_started_again_sends_each_once() {
    let count = 300;
    let (scene, broken) = failed("dlqreplay", count);
    let broken = broken.to_str().unwrap();
    let chosen = ["--job", broken, "--reason", "expression"];
    let replay = [&["dlq", "replay"], &chosen[..]].concat();
    let dry = scene.call(&[&replay[..], &["--dry-run"]].concat());
    dry.expect(
        0,
        &[
            "300 dead letters chosen",
            "to dlqreplay-in.retry: 300 to send",
        ],
    );
    scene
        .call(&replay)
        .expect(2, &["add --yes", "Nothing was sent"]);
    assert_eq!(scene.topics.count(&retry(&scene)), 0);
    let slowly = [&replay[..], &["--yes", "--rate", "40"]].concat();
    for _ in 0..2 {
        let before = scene.topics.read(&retry(&scene)).len();
        let mut command = thalweg(&slowly);
        command
            .current_dir(scene.dir())
            .env("KAFKA", scene.broker.bootstrap());
        let running = Running::start(command);
        stage::until("some are sent", PATIENCE, || {
            scene.topics.read(&retry(&scene)).len() > before + 20
        });
        running.kill();
    }
    let quickly = [&replay[..], &["--yes", "--rate", "100000"]].concat();
    scene
        .call(&quickly)
        .expect(0, &["were sent before", "records sent"]);
    scene
        .call(&quickly)
        .expect(0, &["0 to send, 300 were sent before"]);
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    for got in scene.topics.read(&retry(&scene)) {
        *sent.entry(got.key()).or_default() += 1;
        let header = |name: &str| got.header(name).unwrap();
        assert_eq!(format!("bad-{}", header("trace")), got.key());
        assert_eq!(header("thalweg-origin"), header("thalweg-replayed"));
        assert!(header("thalweg-origin").starts_with("v1;dlqreplay;notification;dlqreplay-in;"));
        assert!(header("thalweg-timestamp").parse::<i64>().unwrap() > 0);
        assert_eq!(got.header("thalweg-error"), None);
    }
    assert_eq!(sent.len() as u64, count);
    assert!(sent.values().all(|times| *times == 1), "{sent:?}");
    // The job as it was fails on them again: they are later attempts of the same records.
    let running = scene.run(broken.as_ref());
    let all = i64::try_from(2 * count).unwrap() + 1;
    stage::until("all have failed again", PATIENCE, || {
        scene.topics.count(&letters(&scene)) == all
    });
    running.finish();
    let later = scene.call(&[
        "dlq",
        "list",
        "--job",
        broken,
        "--input",
        &retry(&scene),
        "--json",
    ]);
    let line: serde_json::Value = serde_json::from_str(later.out.lines().next().unwrap()).unwrap();
    let first = line["first"].as_str().unwrap();
    assert!(
        first.starts_with("v1;dlqreplay;notification;dlqreplay-in;"),
        "{first}"
    );
    // Fixed, and sent again: each of the first attempts was sent, of the second none.
    let fixed = job(&scene, FIXED);
    let running = scene.run(&fixed);
    scene.call(&quickly).expect(
        0,
        &["300 to send, 300 were sent before", "300 records sent"],
    );
    scene.until_out(i64::try_from(count).unwrap() + 1, PATIENCE);
    running.finish();
    let rows = scene.topics.read(&scene.output());
    assert_eq!(rows.len() as u64, count + 1);
}

#[test]
fn a_letter_that_is_too_large_is_named_and_the_others_can_be_sent_without_it() {
    let scene = Scene::with_topics("dlqlarge", broker(), 1);
    let limit = [("max.message.bytes", "10000")];
    scene.topics.make(&retry(&scene), 1, &limit);
    scene.topics.make(&letters(&scene), 1, &[]);
    let job = job(&scene, BROKEN);
    let large = format!(
        r#"{{"BillNo":"large","CustomerCardNo":"card","TotalValue":1,"more":"{}"}}"#,
        "x".repeat(20_000)
    );
    let records = [bad(0), bad(1), Rec::new("large", large), bad(3)];
    scene.topics.send(&scene.input(), &records);
    let running = scene.run(&job);
    stage::until("all are dead letters", PATIENCE, || {
        scene.topics.count(&letters(&scene)) == 4
    });
    running.finish();
    let job = job.to_str().unwrap();
    let replay = ["dlq", "replay", "--job", job, "--yes"];
    scene.call(&replay).expect(
        2,
        &[
            "the dead letter 0@2 is too large for the topic `dlqlarge-in.retry`",
            "Raise max.message.bytes",
            "--only",
            "Nothing was sent.",
        ],
    );
    let others = ["--only", "0@0", "--only", "0@1", "--only", "0@3"];
    scene
        .call(&[&replay[..], &others].concat())
        .expect(0, &["3 records sent"]);
}

/// The replay of the letters of one reason.
fn replayed(job: &str) -> [&str; 7] {
    [
        "dlq",
        "replay",
        "--job",
        job,
        "--reason",
        "expression",
        "--yes",
    ]
}

#[test]
fn a_second_replay_ends_the_first_which_says_so_and_each_is_sent_once() {
    let count = 40;
    let (scene, job) = failed("dlqtwo", count);
    let job = job.to_str().unwrap();
    let replay = replayed(job);
    let mut command = thalweg(&[&replay[..], &["--rate", "4"]].concat());
    command
        .current_dir(scene.dir())
        .env("KAFKA", scene.broker.bootstrap());
    let first = Running::start(command);
    stage::until("some are sent", PATIENCE, || {
        scene.topics.read(&retry(&scene)).len() > 2
    });
    scene
        .call(&[&replay[..], &["--rate", "1000"]].concat())
        .expect(0, &["were sent before", "records sent"]);
    first.end(PATIENCE).expect(
        2,
        &["another replay of this job has started", "were sent before"],
    );
    until_sent(&scene, &retry(&scene), 40);
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    for got in scene.topics.read(&retry(&scene)) {
        *sent.entry(got.key()).or_default() += 1;
    }
    assert_eq!(sent.len() as u64, count);
    assert!(sent.values().all(|times| *times == 1), "{sent:?}");
}

/// Waits until so many can be read: a transaction that is committed is readable a moment later.
fn until_sent(scene: &Scene, topic: &str, count: usize) {
    stage::until("what was sent can be read", PATIENCE, || {
        scene.topics.read(topic).len() == count
    });
}

#[test]
fn what_may_have_been_sent_before_is_told_when_the_retry_topic_has_lost_records() {
    let (scene, job) = failed("dlqlost", 10);
    let job = job.to_str().unwrap();
    let replay = replayed(job);
    scene.call(&replay).expect(0, &["10 records sent"]);
    until_sent(&scene, &retry(&scene), 10);
    for partition in 0..2 {
        let (_, end) = scene.topics.ends(&retry(&scene), partition);
        if end > 0 {
            scene.topics.delete_records(&retry(&scene), partition, end);
        }
    }
    let said = scene.call(&replay);
    said.expect(
        2,
        &[
            "10 of them may have been sent before",
            "whether they were sent before (0@",
            "--accept-doubles",
            "Nothing was sent",
        ],
    );
    // Which ones, as the list of all of them says.
    let listed = scene.call(&[
        "dlq",
        "list",
        "--job",
        job,
        "--reason",
        "expression",
        "--json",
    ]);
    let places: Vec<i64> = (listed.out.lines())
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|letter| letter["offset"].as_i64().unwrap())
        .collect();
    let mut stretches = String::new();
    for stretch in places.chunk_by(|one, next| one + 1 == *next) {
        let (first, last) = (stretch[0], stretch[stretch.len() - 1]);
        let comma = if stretches.is_empty() { "" } else { ", " };
        let to = if last > first {
            format!(" to @{last}")
        } else {
            String::new()
        };
        stretches.push_str(&format!("{comma}0@{first}{to}"));
    }
    let dry = scene.call(&[&replay[..], &["--dry-run"]].concat());
    dry.expect(0, &[&format!("they stand at {stretches}\n")]);
    assert!(said.err.contains(&format!("({stretches})")), "{said:?}");
    let anyway = [&replay[..], &["--accept-doubles"]].concat();
    scene.call(&anyway).expect(0, &["10 records sent"]);
}

#[test]
fn where_they_go_is_the_users_choice() {
    let (scene, job) = failed("dlqto", 3);
    let topic = letters(&scene);
    scene.topics.make("dlqto-elsewhere", 1, &[]);
    let brokers = scene.broker.bootstrap();
    let bare = [
        "dlq",
        "replay",
        "--topic",
        &topic,
        "--brokers",
        brokers,
        "--yes",
    ];
    scene.call(&bare).expect(2, &["--to TOPIC", "--to-source"]);
    let elsewhere = [&bare[..], &["--to", "dlqto-elsewhere", "--only", "0@1"]].concat();
    scene.call(&elsewhere).expect(0, &["1 record sent"]);
    until_sent(&scene, "dlqto-elsewhere", 1);
    let gone = [&bare[..], &["--to", "dlqto-elsewhere", "--only", "0@99"]].concat();
    scene
        .call(&gone)
        .expect(2, &["stands at 0@99", "Nothing was sent"]);
    // Those of a job are those that it wrote under its name.
    let text = std::fs::read_to_string(&job).unwrap();
    scene.write(&format!("SET jobName = 'renamed';\n{text}"));
    let said = scene.call(&["dlq", "list", "--job", job.to_str().unwrap()]);
    said.expect(
        0,
        &[
            "0 dead letters",
            "4 more in the topic are of other jobs or queries",
        ],
    );
    scene.write(&text);
    let before = scene.topics.read(&scene.input()).len();
    let back = [&bare[..], &["--to-source"]].concat();
    scene
        .call(&back)
        .expect(0, &["to dlqto-in: 4 to send", "4 records sent"]);
    until_sent(&scene, &scene.input(), before + 4);
    // A job that does not read the retry topic cannot be sent there.
    let text = std::fs::read_to_string(&job).unwrap();
    let job = scene.write(&text.replace(&format!(",{}", retry(&scene)), ""));
    let said = scene.call(&["dlq", "replay", "--job", job.to_str().unwrap(), "--dry-run"]);
    said.expect(2, &["subscribe 'dlqto-in,dlqto-in.retry'", "--to TOPIC"]);
    let began = scene.call(&["dlq", "list", "--topic", "nowhere", "--brokers", brokers]);
    began.expect(2, &["topic `nowhere` does not exist"]);
    assert!(began.took < Duration::from_secs(30));
}

#[test]
fn one_component_says_more_from_when_it_is_asked_to_until_it_is_told_otherwise() {
    let scene = Scene::with_topics("dlqlevel", broker(), 1);
    scene.topics.make(&retry(&scene), 1, &[]);
    scene.topics.make(&letters(&scene), 1, &[]);
    let job = job(&scene, BROKEN);
    let mut running = scene.run_with(&job, &["--log-format", "json"]);
    for (number, level) in (0..).zip(["info", "debug", "info"]) {
        let body = format!(r#"{{"component":"thalweg_engine","level":"{level}"}}"#);
        let kind = "Content-Type: application/json\r\n";
        let (status, ..) = running.with("PUT /api/v1/log", kind, body.as_bytes());
        assert_eq!(status, 200);
        scene.topics.send(&scene.input(), &[bad(number)]);
        let all = i64::try_from(number).unwrap() + 1;
        stage::until("it is a dead letter", PATIENCE, || {
            scene.topics.count(&letters(&scene)) == all
        });
    }
    let said = running.finish();
    let lines = said.err.lines().map(|line| -> serde_json::Value {
        serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))
    });
    let more: Vec<_> = lines.filter(|line| line["level"] == "DEBUG").collect();
    assert!(
        more.iter().all(|line| line["target"]
            .as_str()
            .unwrap()
            .starts_with("thalweg_engine")),
        "{more:?}"
    );
    let failed = more
        .iter()
        .filter(|line| line["message"] == "a record failed and goes to the dead letters");
    let places: Vec<_> = failed.map(|line| &line["place"]).collect();
    assert_eq!(places, [&format!("{}/0@1", scene.input())]);
}
