//! Which records were slow and why, asked of a job on a real broker.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::time::Duration;

use serde_json::Value;
use stage::{Broker, Loyalty, PATIENCE, Running, Said, Scene, invoices, now, until};

/// A broker of its own: it is paused.
fn broker() -> &'static Broker {
    Box::leak(Box::new(Broker::start(&[])))
}

fn url(running: &mut Running) -> String {
    let line = running.until_said("metrics and probes at http://", PATIENCE);
    format!("http://{}", line.rsplit("http://").next().unwrap().trim())
}

fn why_slow(scene: &Scene, url: &str, more: &[&str]) -> Said {
    let mut arguments = vec!["why-slow", "--url", url];
    arguments.extend_from_slice(more);
    scene.call(&arguments)
}

fn slowest(running: &mut Running) -> Value {
    let (status, body) = running.get("/api/v1/slow?minutes=10&limit=50");
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer["queries"][0].clone()
}

/// Whether what held rows up while the broker stood still is told beside a record.
fn told_what_held_rows(slow: &Value) -> bool {
    let lists = ["slowest", "longestSinceTimestamp"].map(|list| slow[list].as_array().unwrap());
    let meanwhile = lists
        .into_iter()
        .flatten()
        .flat_map(|slow| slow["meanwhile"].as_array());
    let mut waits = meanwhile
        .flatten()
        .filter(|doing| doing["micros"].as_u64() > Some(100_000));
    waits.any(|doing| {
        doing["holdsRows"] == true
            && ["fetchGap", "sinkFull", "away"].contains(&doing["doing"].as_str().unwrap())
    })
}

#[test]
fn a_broker_that_stalls_is_why_records_are_slow_and_their_places_are_told() {
    let scene = Scene::with_topics("slow", broker(), 2);
    let job = Loyalty::default().write(&scene);
    let mut running = scene.started(&job);
    let url = url(&mut running);
    why_slow(&scene, &url, &[]).expect(0, &["notification: no record was delivered in"]);

    let load = scene.load(200);
    scene.until_out(300, PATIENCE);
    // A record that was written when the broker stopped is acknowledged when it goes on, and for one that came later there was
    // nothing to take, or no room for what was taken. Whether there are both is chance.
    let mut record = Value::Null;
    let mut waited = false;
    let stalled = |record: &Value| record["micros"].as_u64() > Some(300_000);
    for _ in 0..20 {
        scene.broker.pause();
        std::thread::sleep(Duration::from_millis(700));
        scene.broker.resume();
        let held = scene.topics.count(&scene.output());
        scene.until_out(held + 200, PATIENCE);
        let slow = slowest(&mut running);
        record = slow["slowest"][0].clone();
        waited = waited || told_what_held_rows(&slow);
        if stalled(&record) && waited {
            break;
        }
    }
    let sent = load.stop();
    scene.until_out(i64::try_from(sent).unwrap(), PATIENCE);
    assert!(stalled(&record), "{record:#}");
    assert_eq!(record["most"]["stage"], "deliver", "{record:#}");
    assert_eq!(record["input"], "invoices");
    let partition = record["partition"].as_str().unwrap();
    assert!(partition.starts_with("slow-in/"), "{record:#}");
    let offset = record["position"].as_i64().unwrap();
    let number: i32 = partition.rsplit('/').next().unwrap().parse().unwrap();
    assert!((0..scene.topics.ends(&scene.input(), number).1).contains(&offset));
    let stages = record["stages"].as_array().unwrap();
    let after_taken = stages
        .iter()
        .filter(|stage| !["before", "decode"].contains(&stage["stage"].as_str().unwrap()));
    let sum: u64 = after_taken
        .map(|stage| stage["micros"].as_u64().unwrap())
        .sum();
    assert_eq!(record["micros"].as_u64().unwrap(), sum, "{record:#}");
    let meanwhile = record["meanwhile"].as_array().unwrap();
    assert!(
        meanwhile
            .iter()
            .any(|doing| ["epoch", "saving"].contains(&doing["doing"].as_str().unwrap())),
        "{record:#}"
    );

    // Records that came while nothing could be written waited before they were taken, or for their delivery.
    let longest = &slowest(&mut running)["longestSinceTimestamp"][0];
    assert!(
        longest["microsSinceTimestamp"].as_u64().unwrap() > 300_000,
        "{longest:#}"
    );

    assert!(waited, "{:#}", slowest(&mut running));

    let said = why_slow(&scene, &url, &["--limit", "3"]);
    said.expect(
        0,
        &[
            "notification: the slowest records of the last 10 minutes",
            "slow-in/",
            "most of it until the output had acknowledged it",
            "meanwhile",
        ],
    );
    // Places, and nothing of what a record holds.
    assert!(!said.out.contains("bill"), "{}", said.out);
    let json = why_slow(&scene, &url, &["--json", "--minutes", "1"]);
    json.expect(0, &["\"minutes\":1", "\"slowest\""]);
    for stage in ["decode", "steps", "write", "acknowledged"] {
        let name =
            format!("thalweg_latency_seconds_count{{query=\"notification\",stage=\"{stage}\"}}");
        assert!(running.metric(&name) > 0.0, "{stage}");
    }
    let (status, body) = running.get("/api/v1/slow?minutes=11");
    assert_eq!((status, body.contains("minutes is 1 to 10")), (400, true));
    running.finish();
    why_slow(&scene, &url, &[]).expect(2, &["no job answers at", "Is it running"]);
}

#[test]
fn an_outage_is_told_and_what_was_read_before_and_after_it_stands_together() {
    let scene = Scene::with_topics("slowout", broker(), 1);
    let job = Loyalty::default().write(&scene);
    let mut running = scene.started(&job);
    scene.topics.send(&scene.input(), &invoices(0..50));
    scene.until_out(50, PATIENCE);
    scene.broker.kill();
    running.until_said("waiting", PATIENCE);
    // As the tills wrote them, that could not send them until the broker was there again.
    let written = now();
    scene.broker.up();
    let more = invoices(50..100).into_iter().map(|one| one.at(written));
    scene.topics.send(&scene.input(), &more.collect::<Vec<_>>());
    scene.until_out(100, PATIENCE);
    until("records of before and after are told", PATIENCE, || {
        let slow = slowest(&mut running);
        let offsets = slow["slowest"].as_array().unwrap().iter();
        let offsets: Vec<i64> = offsets
            .map(|slow| slow["position"].as_i64().unwrap())
            .collect();
        offsets.iter().any(|offset| *offset < 50) && offsets.iter().any(|offset| *offset >= 50)
    });
    let words = "a broker or the checkpoint folder did not answer for";
    told(&scene, &mut running, "away", words);
    running.finish();
}

/// Whether one of the slow records says that this was done meanwhile.
fn waited_for(running: &mut Running, doing: &str) -> bool {
    let slow = slowest(running);
    let lists = ["slowest", "longestSinceTimestamp"].map(|list| slow[list].as_array().unwrap());
    let mut meanwhile = lists
        .into_iter()
        .flatten()
        .flat_map(|slow| slow["meanwhile"].as_array().unwrap());
    meanwhile.any(|one| one["doing"] == doing)
}

/// Waits until one of the slow records says that this was done meanwhile, and why-slow in these words.
#[track_caller]
fn told(scene: &Scene, running: &mut Running, doing: &str, words: &str) {
    until(doing, PATIENCE, || waited_for(running, doing));
    let url = url(running);
    why_slow(scene, &url, &["--limit", "50"]).expect(0, &[words]);
}

#[test]
fn a_new_partition_and_a_cut_are_told_as_what_records_waited_for() {
    let scene = Scene::with_topics("waits", broker(), 1);
    let job = Loyalty::default()
        .selecting("BillNo, count(*) OVER (PARTITION BY BillNo) AS times")
        .write(&scene);
    let mut running = scene.started(&job);
    let mut sent = 0;
    let mut send = |count: u64| {
        let some = invoices(sent..sent + count);
        scene.topics.send(&scene.input(), &some);
        sent += count;
        i64::try_from(sent).unwrap()
    };
    // It is found some seconds after it is there.
    scene.topics.grow(&scene.input(), 2);
    scene.until_out(send(20), PATIENCE);
    let words = "a new partition was opened for";
    told(&scene, &mut running, "newPartition", words);

    // All of these keys are new: the cut hands them over.
    until("a record met a cut", PATIENCE, || {
        scene.until_out(send(5_000), PATIENCE);
        waited_for(&mut running, "cut")
    });
    told(
        &scene,
        &mut running,
        "cut",
        "the lane made the cut of epoch",
    );
    running.finish();
}
