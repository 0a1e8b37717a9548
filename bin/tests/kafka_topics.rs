//! Topics that are missing, that grow, and that end with an aborted transaction.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use stage::{Account, Broker, Loyalty, PATIENCE, Rec, Scene, invoice, invoices, until};

/// One that makes every topic that somebody asks for: the command must not ask that way.
fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&["auto.create.topics.enable=true"]))
}

#[test]
fn a_missing_topic_is_named_and_never_made() {
    let scene = Scene::with_topics("missing", broker(), 1);
    for job in [
        Loyalty::default().subscribed_to("missing-nowhere"),
        Loyalty::default().published_to("missing-nowhere"),
        Loyalty::default()
            .with_tables(
                "CREATE TABLE dead USING kafka OPTIONS (kafka.bootstrap.servers '${KAFKA}', topic 'missing-nowhere');",
            )
            .set("onError = 'deadLetter'")
            .set("deadLetterTable = 'dead'"),
    ] {
        let job = job.write(&scene);
        let began = Instant::now();
        let check = scene.call(&["check", job.to_str().unwrap(), "--connect"]);
        check.expect(2, &["missing-nowhere"]);
        let said = scene.run(&job).end(PATIENCE);
        said.expect(1, &["missing-nowhere", broker().bootstrap()]);
        assert!(began.elapsed() < Duration::from_secs(25), "too late: {said:?}");
        assert!(!scene.topics.names().contains("missing-nowhere"));
    }
}

#[test]
fn a_partition_that_appears_is_read_within_five_seconds_from_its_beginning() {
    let scene = Scene::with_topics("growing", broker(), 1);
    let job = Loyalty::default()
        .reading(&["startingOffsets 'latest'"])
        .write(&scene);
    let mut running = scene.started(&job);
    scene.topics.send(&scene.input(), &[invoice(0).to(0)]);
    scene.until_out(1, PATIENCE);
    scene.topics.grow(&scene.input(), 3);
    let grown = Instant::now();
    scene
        .topics
        .send(&scene.input(), &[invoice(1).to(1), invoice(2).to(2)]);
    scene.topics.send(&scene.input(), &[invoice(3).to(0)]);
    scene.until_out(4, PATIENCE);
    let took = grown.elapsed();
    assert!(took < Duration::from_secs(6), "too late: {took:?}");
    assert!(running.metric("thalweg_restarts_total") < 1.0);
    running.finish();
    assert_eq!(
        scene.positions(),
        [0, 1, 2].map(|partition| {
            let name = format!("{}/{partition}", scene.input());
            (name, scene.topics.ends(&scene.input(), partition).1)
        })
    );
    Account::of(&scene).expect_exactly(4);
}

#[test]
fn partitions_that_appear_while_it_is_stopped_are_read_too() {
    let scene = Scene::with_topics("grown", broker(), 1);
    let job = Loyalty::default()
        .reading(&["startingOffsets 'latest'"])
        .write(&scene);
    let running = scene.started(&job);
    running.finish();
    scene.topics.grow(&scene.input(), 2);
    scene
        .topics
        .send(&scene.input(), &[invoice(0).to(0), invoice(1).to(1)]);
    let running = scene.run(&job);
    scene.until_out(2, PATIENCE);
    running.finish();
    Account::of(&scene).expect_exactly(2);
}

#[test]
fn an_aborted_transaction_at_the_tail_is_no_endless_wait() {
    let scene = Scene::with_topics("aborted", broker(), 2);
    let to = |partition: i32, numbers: std::ops::Range<u64>| -> Vec<_> {
        invoices(numbers)
            .into_iter()
            .map(|record| record.to(partition))
            .collect()
    };
    let (topics, input) = (&scene.topics, scene.input());
    topics.transaction("good", &input, &to(0, 0..10), true);
    topics.transaction("bad", &input, &to(0, 900..910), false);
    // The other partition holds nothing that was committed.
    topics.transaction("bad", &input, &to(1, 910..920), false);
    let job = Loyalty::default()
        .set("trigger = 'available now'")
        .write(&scene);
    let said = scene.run(&job).end(Duration::from_secs(20));
    said.expect(0, &[]);
    Account::of(&scene).expect_exactly(10);
    let held = topics.committed(&scene.group(), &input);
    assert_eq!(
        held,
        topics.end_offsets(&input),
        "the group lags by nothing"
    );

    // The next run goes on behind the aborted records.
    topics.send(&input, &to(1, 10..20));
    scene.run(&job).end(Duration::from_secs(20)).expect(0, &[]);
    Account::of(&scene).expect_exactly(20);
}

#[test]
fn an_empty_topic_is_read_to_its_end() {
    let scene = Scene::with_topics("empty", broker(), 2);
    let job = Loyalty::default()
        .set("trigger = 'available now'")
        .write(&scene);
    scene.run(&job).end(Duration::from_secs(20)).expect(0, &[]);
    assert_eq!(scene.topics.count(&scene.output()), 0);
}

#[test]
fn a_transaction_that_is_committed_later_is_read_then() {
    let scene = Scene::with_topics("open", broker(), 1);
    let job = Loyalty::default().write(&scene);
    let running = scene.started(&job);
    for start in [0, 50] {
        let records = invoices(start..start + 50);
        scene
            .topics
            .transaction("later", &scene.input(), &records, true);
    }
    scene.until_out(100, PATIENCE);
    // The end of a transaction is an offset without a record. Where nothing follows it, it is behind the group all the same.
    let ends = scene.topics.end_offsets(&scene.input());
    until("the group stands at the topic's end", PATIENCE, || {
        scene.topics.committed(&scene.group(), &scene.input()) == ends
    });
    running.finish();
    Account::of(&scene).expect_exactly(100);
}

#[test]
fn a_topic_that_is_made_after_a_pattern_is_read() {
    let scene = Scene::with_topics("pattern", broker(), 1);
    scene.topics.make("pattern-a-1", 1, &[]);
    let text = Loyalty::default()
        .text(&scene)
        .replace("subscribe 'pattern-in'", "subscribePattern 'pattern-a-.*'");
    let job = scene.write(&text);
    let running = scene.started(&job);
    scene.topics.send("pattern-a-1", &[invoice(0)]);
    scene.until_out(1, PATIENCE);
    scene.topics.make("pattern-a-2", 1, &[]);
    scene.topics.send("pattern-a-2", &[invoice(1)]);
    scene.until_out(2, Duration::from_secs(10));
    running.finish();
    Account::of(&scene).expect_exactly(2);
}

#[test]
fn a_topic_that_is_deleted_under_way_ends_the_query_and_is_named() {
    for (name, which) in [("delin", "in"), ("delout", "out")] {
        let scene = Scene::with_topics(name, broker(), 1);
        let job = Loyalty::default()
            .set("deliveryTimeout = '5 seconds'")
            .write(&scene);
        let running = scene.started(&job);
        scene.topics.send(&scene.input(), &invoices(0..10));
        scene.until_out(10, PATIENCE);
        let topic = format!("{name}-{which}");
        scene.topics.delete(&topic);
        if which == "out" {
            // Nobody can know before something is to be written.
            scene.topics.send(&scene.input(), &invoices(10..20));
        }
        let said = running.end(Duration::from_secs(60));
        said.expect(1, &[&topic]);
        assert!(!scene.topics.names().contains(&topic), "it was made again");
    }
}

#[test]
fn each_record_of_a_topic_that_is_made_again_counts_once() {
    let scene = Scene::with_topics("again", broker(), 1);
    let job = Loyalty::default()
        .reading(&["startingOffsets 'earliest'", "failOnDataLoss 'false'"])
        .selecting("BillNo, count(*) OVER (PARTITION BY BillNo) AS times")
        .write(&scene);
    let running = scene.started(&job);
    scene.topics.send(&scene.input(), &invoices(0..50));
    scene.until_out(50, PATIENCE);
    scene.topics.delete(&scene.input());
    scene.topics.make(&scene.input(), 1, &[]);
    // Fewer than before: what is asked for is not there, and that is noticed before the topic is seen to be another.
    scene.topics.send(&scene.input(), &invoices(50..80));
    scene.until_out(80, PATIENCE);
    scene.topics.send(&scene.input(), &invoices(80..100));
    scene.until_out(100, PATIENCE);
    running
        .finish()
        .expect(0, &["was deleted and made again since the checkpoint"]);
    let rows = scene.topics.read(&scene.output());
    let times = rows.iter().map(|row| row.json()["times"].clone());
    assert!(times.into_iter().all(|times| times == 1), "counted twice");
    Account::of(&scene).expect_exactly(100);
}

#[test]
fn a_topic_of_a_pattern_that_is_deleted_is_told_and_the_others_go_on() {
    let scene = Scene::with_topics("fewer", broker(), 1);
    let topics = ["fewer-a-1", "fewer-a-2"];
    for topic in topics {
        scene.topics.make(topic, 1, &[]);
    }
    let text = Loyalty::default()
        .reading(&["startingOffsets 'earliest'", "failOnDataLoss 'false'"])
        .text(&scene)
        .replace("subscribe 'fewer-in'", "subscribePattern 'fewer-a-.*'");
    let mut running = scene.started(&scene.write(&text));
    scene.topics.send(topics[0], &invoices(0..10));
    scene.topics.send(topics[1], &invoices(10..20));
    scene.until_out(20, PATIENCE);
    scene.topics.delete(topics[0]);
    running.until_said("`fewer-a-1`", PATIENCE);
    running.until_said("going on because failOnDataLoss is false", PATIENCE);
    scene.topics.send(topics[1], &invoices(20..30));
    scene.until_out(30, PATIENCE);
    running.finish();
    Account::of(&scene).expect_exactly(30);
}

/// Each record goes to the topic that its key names.
const ROUTED: &str = "
CREATE TABLE events USING kafka OPTIONS (
  kafka.bootstrap.servers '${KAFKA}', subscribe 'routed-in', startingOffsets 'earliest');
CREATE TABLE notification USING kafka OPTIONS (kafka.bootstrap.servers '${KAFKA}');
INSERT INTO notification SELECT value, CAST(key AS STRING) AS topic FROM events;
";

#[test]
fn a_row_for_an_unknown_topic_waits_alone_and_then_goes_the_way_of_on_error() {
    let scene = Scene::new("routed", broker());
    scene.topics.make(&scene.input(), 4, &[]);
    scene.topics.make("routed-there", 1, &[]);
    let job = scene.write(&format!(
        "SET checkpointLocation = '{}';\nSET checkpointInterval = '200 ms';\nSET onError = 'skip';\n{ROUTED}",
        scene.checkpoints().display()
    ));
    let mut running = scene.started(&job);
    scene
        .topics
        .send(&scene.input(), &[Rec::new("routed-there", "first").to(2)]);
    until("the known topic is written", PATIENCE, || {
        scene.topics.count("routed-there") == 1
    });

    // Partitions 0 and 2 share a thread of the engine on a machine with two cores.
    let mut records = vec![
        Rec::new("routed-nowhere", "bad").to(0),
        Rec::new("routed-there", "behind the bad one").to(0),
    ];
    records.resize(12, Rec::new("routed-there", "meanwhile").to(2));
    scene.topics.send(&scene.input(), &records);
    until("the others are not held up", Duration::from_secs(3), || {
        scene.topics.count("routed-there") == 11
    });
    until("the bad one is left out", Duration::from_secs(10), || {
        scene.topics.count("routed-there") == 12
    });
    until("it is counted", PATIENCE, || {
        running.metric(r#"reason="write""#) > 0.0
    });

    // A topic that is made while its row waits is written.
    scene
        .topics
        .send(&scene.input(), &[Rec::new("routed-late", "late").to(0)]);
    scene.topics.make("routed-late", 1, &[]);
    until("the late topic is written", PATIENCE, || {
        scene.topics.count("routed-late") == 1
    });
    let said = running.finish();
    assert!(said.err.contains("routed-in/0@0"), "{}", said.err);
    assert!(
        !scene.topics.names().contains("routed-nowhere"),
        "it was made"
    );
    // Three of partition 0 and eleven of partition 2.
    let positions: i64 = scene.positions().iter().map(|(_, at)| at).sum();
    assert_eq!(positions, 14);
}
