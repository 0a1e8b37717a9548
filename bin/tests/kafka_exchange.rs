//! A re-key through a topic on a real broker: exact after kills, ends where its input ends, and never wrong when a record is
//! lost.
//!
//! The long form: THALWEG_KILLS=50.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use stage::{Broker, PATIENCE, Rec, Scene, kills, until};

const CARDS: u64 = 97;

/// Transactions for each kill: more than a life of the job can read, so that a kill meets it at work.
const PER_KILL: u64 = 3_000;

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start(&[]))
}

/// Transactions by their numbers. The key is the number, so that each card is in every partition.
fn transactions(numbers: std::ops::Range<u64>) -> Vec<Rec> {
    numbers
        .map(|number| {
            let card = format!("C-{}", number % CARDS);
            let value = format!(
                r#"{{"id":"{number}","card":"{card}","amount":{}.25,"ms":{}}}"#,
                number % 100,
                number * 10
            );
            Rec::new(number.to_string(), value)
        })
        .collect()
}

const COUNTS: &str =
    "SELECT card, count(*) AS n, sum(amount) AS total FROM transactions GROUP BY card";

/// A job over the transactions; `more` are settings.
fn job(scene: &Scene, more: &str, watermark: &str, select: &str) -> PathBuf {
    scene.write(&format!(
        "SET checkpointLocation = '{}';
SET checkpointInterval = '100 ms';
SET exchange = 'topic';
{more}
CREATE TABLE transactions (id STRING NOT NULL, card STRING NOT NULL, amount DOUBLE, ms BIGINT) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{}', startingOffsets 'earliest', format 'json',
  maxOffsetsPerTrigger '4000') {watermark};
CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{}', format 'json', key 'card');
INSERT INTO notification
{select};
",
        scene.checkpoints().display(),
        scene.input(),
        scene.output()
    ))
}

fn counting(scene: &Scene, more: &str) -> PathBuf {
    job(
        scene,
        &format!("SET outputMode = 'update';\n{more}"),
        "",
        COUNTS,
    )
}

fn exchange(scene: &Scene) -> String {
    format!("{}-notification-exchange", scene.name)
}

/// For each card what was said of it: by count the rest of the answer. Panics where one count has two answers.
fn answers(scene: &Scene) -> BTreeMap<String, BTreeMap<u64, String>> {
    let mut all: BTreeMap<String, BTreeMap<u64, String>> = BTreeMap::new();
    for got in scene.topics.read(&scene.output()) {
        let json = got.json();
        let (card, n) = (json["card"].as_str().unwrap(), json["n"].as_u64().unwrap());
        let answer = json.to_string();
        let before = all
            .entry(card.to_owned())
            .or_default()
            .insert(n, answer.clone());
        assert!(
            before.as_ref().is_none_or(|before| *before == answer),
            "answered with {before:?} and with {answer}"
        );
    }
    all
}

fn expected(count: u64, card: u64) -> u64 {
    (count + CARDS - 1 - card) / CARDS
}

/// Every count of every card was said, and none that is too high.
fn exact(scene: &Scene, count: u64) -> bool {
    let answers = answers(scene);
    (0..CARDS).all(|card| {
        let said = answers.get(&format!("C-{card}"));
        let said: Vec<u64> = said.into_iter().flat_map(BTreeMap::keys).copied().collect();
        let expected = expected(count, card);
        assert!(
            said.last().is_none_or(|last| *last <= expected),
            "counted twice: {said:?}"
        );
        said == (1..=expected).collect::<Vec<_>>()
    })
}

/// The last answer of each card holds the sum of all its amounts.
fn expect_totals(scene: &Scene, count: u64) {
    for (card, said) in answers(scene) {
        let card: u64 = card.strip_prefix("C-").unwrap().parse().unwrap();
        let amounts = (0..count).filter(|n| n % CARDS == card);
        let total: f64 = amounts.map(|n| (n % 100) as f64 + 0.25).sum();
        let last: serde_json::Value = serde_json::from_str(said.values().last().unwrap()).unwrap();
        assert_eq!(last["total"].as_f64(), Some(total), "{last}");
    }
}

#[test]
fn counts_are_exact_after_kills() {
    let kills = kills(4);
    let count = PER_KILL * u64::from(kills);
    let scene = Scene::with_topics("exgroup", broker(), 4);
    let job = counting(&scene, "");
    scene.topics.send(&scene.input(), &transactions(0..count));
    scene.kill_again_and_again(&job, count, kills);
    let running = scene.started(&job);
    until("every transaction is counted", PATIENCE, || {
        exact(&scene, count)
    });
    running.finish();
    expect_totals(&scene, count);
    assert_eq!(scene.topics.partitions(&exchange(&scene)), 4);
    assert!(scene.topics.count(&exchange(&scene)) >= i64::try_from(count).unwrap());
}

#[test]
fn available_now_ends_when_all_that_was_there_is_counted() {
    let scene = Scene::with_topics("exnow", broker(), 3);
    let job = counting(&scene, "SET trigger = 'available now';");
    // Nothing is there yet.
    scene.run(&job).end(PATIENCE).expect(0, &[]);
    let mut sent = 0;
    for more in [1_000, 1, 500] {
        scene
            .topics
            .send(&scene.input(), &transactions(sent..sent + more));
        sent += more;
        scene.run(&job).end(PATIENCE).expect(0, &[]);
        let last: BTreeMap<String, u64> = answers(&scene)
            .into_iter()
            .map(|(card, said)| (card, *said.keys().last().unwrap()))
            .collect();
        for card in 0..CARDS.min(sent) {
            assert_eq!(last.get(&format!("C-{card}")), Some(&expected(sent, card)));
        }
    }
}

#[test]
fn running_totals_are_one_per_record_after_kills() {
    let kills = kills(4);
    let count = PER_KILL * u64::from(kills);
    let scene = Scene::with_topics("exover", broker(), 3);
    let job = job(
        &scene,
        "",
        "WATERMARK timestamp_millis(ms) AS ts DELAY OF INTERVAL 10 MINUTES",
        "SELECT id, card, count(*) OVER mine AS n, sum(amount) OVER mine AS total FROM transactions
WINDOW mine AS (PARTITION BY card ORDER BY ts)",
    );
    scene.topics.send(&scene.input(), &transactions(0..count));
    scene.kill_again_and_again(&job, count, kills);
    let running = scene.started(&job);
    until("every transaction has its total", PATIENCE, || {
        exact(&scene, count)
    });
    running.finish();
    expect_totals(&scene, count);
    let mut by_id: BTreeMap<String, u64> = BTreeMap::new();
    for got in scene.topics.read(&scene.output()) {
        let json = got.json();
        let (id, n) = (json["id"].as_str().unwrap(), json["n"].as_u64().unwrap());
        let before = by_id.insert(id.to_owned(), n);
        assert!(
            before.is_none_or(|before| before == n),
            "{id}: {before:?} and {n}"
        );
    }
    assert_eq!(by_id.len() as u64, count);
}

/// Windows of ten seconds by card over transactions that are ten milliseconds apart.
fn windows(scene: &Scene, more: &str) -> PathBuf {
    job(
        scene,
        more,
        "WATERMARK timestamp_millis(ms) AS ts DELAY OF INTERVAL 1 SECOND",
        "SELECT card, count(*) AS n, unix_millis(window.start) AS total FROM transactions
GROUP BY card, window(ts, '10 seconds')",
    )
}

fn closed(scene: &Scene) -> BTreeMap<(u64, String), u64> {
    let mut all = BTreeMap::new();
    for got in scene.topics.read(&scene.output()) {
        let json = got.json();
        let window = (
            json["total"].as_u64().unwrap(),
            json["card"].as_str().unwrap().to_owned(),
        );
        let n = json["n"].as_u64().unwrap();
        let before = all.insert(window, n);
        assert!(
            before.is_none_or(|before| before == n),
            "a window twice: {before:?} and {n}"
        );
    }
    all
}

/// What the windows that end at or before a time hold.
fn expected_windows(count: u64, until: u64) -> BTreeMap<(u64, String), u64> {
    let mut all = BTreeMap::new();
    for number in 0..count {
        let window = number * 10 / 10_000 * 10_000;
        if window + 10_000 <= until {
            *all.entry((window, format!("C-{}", number % CARDS)))
                .or_default() += 1;
        }
    }
    all
}

#[test]
fn windows_close_on_the_slowest_partition_and_are_exact_after_kills() {
    let kills = kills(4);
    let count = PER_KILL * u64::from(kills);
    let scene = Scene::with_topics("exwindow", broker(), 3);
    let job = windows(&scene, "SET idleTimeout = '1 hour';");
    // Two partitions have everything that is theirs, the third stops half-way: it holds the windows back.
    let records: Vec<Rec> = transactions(0..count)
        .into_iter()
        .zip(0_i32..)
        .map(|(record, number)| record.to(number % 3))
        .collect();
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for (number, record) in (0..count).zip(records) {
        if number % 3 != 2 || number < count / 2 {
            early.push(record);
        } else {
            late.push(record);
        }
    }
    scene.topics.send(&scene.input(), &early);
    let half = count / 2 * 10 - 1_000;
    let mut first = expected_windows(count, half);
    scene.kill_again_and_again(&job, first.len() as u64, kills);
    let running = scene.run(&job);
    until("the windows of the first half are closed", PATIENCE, || {
        closed(&scene).len() >= first.len()
    });
    assert_eq!(closed(&scene), first);
    running.kill();
    scene.topics.send(&scene.input(), &late);
    let running = scene.run(&job);
    first = expected_windows(count, count * 10 - 1_040);
    until("all windows but the last are closed", PATIENCE, || {
        closed(&scene).len() >= first.len()
    });
    running.finish();
    assert_eq!(closed(&scene), first);
}

#[test]
fn a_partition_without_records_holds_nothing_back_once_it_is_idle() {
    let scene = Scene::with_topics("exidle", broker(), 3);
    let job = windows(&scene, "SET idleTimeout = '1 second';");
    let one: Vec<Rec> = transactions(0..2_500)
        .into_iter()
        .map(|record| record.to(1))
        .collect();
    scene.topics.send(&scene.input(), &one);
    let running = scene.run(&job);
    let expected = expected_windows(2_500, 24_980 - 1_000);
    until("windows close", PATIENCE, || {
        closed(&scene).len() >= expected.len()
    });
    running.finish();
    assert_eq!(closed(&scene), expected);
}

#[test]
fn a_record_that_is_lost_ends_the_query_before_anything_is_counted_wrong() {
    let scene = Scene::with_topics("exlost", broker(), 1);
    let job = counting(&scene, "");
    scene.topics.send(&scene.input(), &transactions(0..300));
    let running = scene.started(&job);
    until("all are counted", PATIENCE, || exact(&scene, 300));
    // A record as the query would write it two rows later: the one between is missing.
    let last = scene.topics.read(&exchange(&scene)).pop().unwrap();
    let origin = last.header("thalweg-origin").unwrap();
    assert_eq!(origin, "v1;exlost;notification;exlost-in;0;299;0");
    let prev = last.header("thalweg-prev").unwrap();
    let (id, _) = prev.strip_prefix("v1;").unwrap().split_once(';').unwrap();
    let forged = Rec::new(last.key.clone().unwrap(), last.value.clone().unwrap())
        .header("thalweg-origin", "v1;exlost;notification;exlost-in;0;301;0")
        .header("thalweg-prev", format!("v1;{id};300;0"));
    let foreign = Rec::new(last.key.unwrap(), last.value.unwrap())
        .header("thalweg-origin", "v1;exlost;notification;exlost-in;0;300;0")
        .header("thalweg-prev", "v1;0123456789abcdef;299;0");
    scene.topics.send(&exchange(&scene), &[foreign]);
    scene.topics.send(&exchange(&scene), &[forged]);
    let said = running.end(PATIENCE);
    said.expect(
        1,
        &[
            "a record of the exchange topic is lost",
            "exlost-in/0",
            "offset 300",
        ],
    );
    assert!(exact(&scene, 300), "nothing was counted that should not");
}

#[test]
fn records_deleted_before_they_were_read_refuse_the_start() {
    let scene = Scene::with_topics("exgone", broker(), 1);
    let job = counting(&scene, "");
    scene.topics.send(&scene.input(), &transactions(0..300));
    let running = scene.started(&job);
    until("all are counted", PATIENCE, || exact(&scene, 300));
    running.finish();
    // The writing half is ahead of the reading one only while the process lives; so a tail is put there.
    let topic = exchange(&scene);
    scene
        .topics
        .send(&topic, &[Rec::new("k", "a"), Rec::new("k", "b")]);
    let (_, end) = scene.topics.ends(&topic, 0);
    scene.topics.delete_records(&topic, 0, end);
    let said = scene.run(&job).end(PATIENCE);
    said.expect(
        2,
        &["exchange topic", "records are gone", "another queryName"],
    );
    assert!(exact(&scene, 300));
}

#[test]
fn a_topic_whose_records_would_expire_or_whose_partitions_have_changed_is_refused() {
    let scene = Scene::with_topics("exwrong", broker(), 2);
    let job = counting(&scene, "");
    let topic = exchange(&scene);
    scene.topics.make(&topic, 5, &[("retention.ms", "60000")]);
    let said = scene.run(&job).end(PATIENCE);
    said.expect(
        2,
        &[
            &topic,
            "retention.ms=60000",
            "kafka-configs",
            "retention.ms=-1",
        ],
    );
    scene.topics.delete(&topic);
    until("it is gone", PATIENCE, || {
        !scene.topics.names().contains(&topic)
    });
    scene.topics.make(
        &topic,
        5,
        &[
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
            ("cleanup.policy", "delete"),
        ],
    );
    scene.topics.send(&scene.input(), &transactions(0..300));
    let running = scene.started(&job);
    until("all are counted", PATIENCE, || exact(&scene, 300));
    running.finish();
    scene.topics.grow(&topic, 6);
    let said = scene.run(&job).end(PATIENCE);
    said.expect(2, &[&topic, "6 partitions", "knows 5"]);
    assert!(exact(&scene, 300));
    scene.topics.delete(&topic);
    until("it is gone again", PATIENCE, || {
        !scene.topics.names().contains(&topic)
    });
    let said = scene.run(&job).end(PATIENCE);
    said.expect(2, &[&topic, "was deleted since the checkpoint"]);
}

#[test]
fn what_is_no_longer_needed_is_deleted_from_the_topic() {
    let scene = Scene::with_topics("extidy", broker(), 1);
    let job = counting(&scene, "");
    let running = scene.started(&job);
    let mut sent = 0;
    until("the topic's beginning moves", PATIENCE, || {
        scene
            .topics
            .send(&scene.input(), &transactions(sent..sent + 10));
        sent += 10;
        std::thread::sleep(Duration::from_millis(50));
        scene.topics.ends(&exchange(&scene), 0).0 > 20
    });
    running.kill();
    let running = scene.started(&job);
    until("all are counted", PATIENCE, || exact(&scene, sent));
    running.finish();
}

#[test]
fn a_rollback_goes_on_from_an_older_epoch() {
    let scene = Scene::with_topics("exback", broker(), 2);
    let job = counting(&scene, "");
    let running = scene.started(&job);
    let epoch = || -> u64 {
        let newest = scene.newest_file().unwrap();
        let name = newest.file_stem().unwrap().to_str().unwrap();
        name.parse().unwrap()
    };
    let mut sent = 0;
    for _ in 0..4 {
        scene
            .topics
            .send(&scene.input(), &transactions(sent..sent + 100));
        sent += 100;
        let begun = epoch();
        until("an epoch is committed", PATIENCE, || epoch() > begun + 1);
    }
    until("all are counted", PATIENCE, || exact(&scene, sent));
    running.finish();
    let back = (epoch() - 4).to_string();
    let folder = scene.folder();
    let folder = folder.to_str().unwrap();
    let dumped = scene.call(&["inspect", folder, "--dump"]);
    assert_eq!(
        (dumped.code, dumped.out.lines().count()),
        (0, 97),
        "{dumped:?}"
    );
    scene
        .call(&["checkpoint", "rollback", folder, &back, "--yes"])
        .expect(0, &[]);
    scene
        .topics
        .send(&scene.input(), &transactions(sent..sent + 100));
    let running = scene.run(&job);
    until("all are counted", PATIENCE, || exact(&scene, sent + 100));
    running.finish();
}

#[test]
fn a_partition_of_the_input_that_appears_is_counted_too() {
    let scene = Scene::with_topics("exgrow", broker(), 1);
    let job = counting(&scene, "");
    scene.topics.send(&scene.input(), &transactions(0..200));
    let running = scene.started(&job);
    until("all are counted", PATIENCE, || exact(&scene, 200));
    scene.topics.grow(&scene.input(), 2);
    let more: Vec<Rec> = transactions(200..400)
        .into_iter()
        .map(|record| record.to(1))
        .collect();
    scene.topics.send(&scene.input(), &more);
    until("the new ones are counted too", PATIENCE, || {
        exact(&scene, 400)
    });
    running.kill();
    let running = scene.run(&job);
    scene.topics.send(&scene.input(), &transactions(400..500));
    until("all are counted", PATIENCE, || exact(&scene, 500));
    running.finish();
    assert_eq!(scene.topics.partitions(&exchange(&scene)), 1);
}

#[test]
fn transactions_of_two_inputs_are_counted_together_after_kills() {
    let kills = kills(4);
    let count = 2 * PER_KILL * u64::from(kills);
    let scene = Scene::with_topics("exunion", broker(), 2);
    let other = format!("{}-too", scene.name);
    scene.topics.make(&other, 3, &[]);
    let job = counting(&scene, "");
    let text = std::fs::read_to_string(&job).unwrap();
    let table = text.find("CREATE TABLE transactions").unwrap();
    let end = text.find("CREATE TABLE notification").unwrap();
    let too = text[table..end]
        .replace("TABLE transactions", "TABLE too")
        .replace(&scene.input(), &other);
    let both = "(SELECT card, amount FROM transactions UNION ALL SELECT card, amount FROM too)";
    let text = text.replace("FROM transactions", &format!("FROM {both}"));
    let job = scene.write(&text.replacen("CREATE TABLE", &format!("{too}CREATE TABLE"), 1));
    let (odd, even): (Vec<_>, Vec<_>) = transactions(0..count)
        .into_iter()
        .zip(0..)
        .partition(|(_, number)| number % 2 == 1);
    let sent = |part: Vec<(Rec, u64)>| part.into_iter().map(|(rec, _)| rec).collect::<Vec<_>>();
    scene.topics.send(&scene.input(), &sent(odd));
    scene.topics.send(&other, &sent(even));
    scene.kill_again_and_again(&job, count, kills);
    let running = scene.run(&job);
    until("every transaction is counted", PATIENCE, || {
        counted(&scene)
            == (0..CARDS)
                .map(|card| expected(count, card))
                .collect::<Vec<_>>()
    });
    running.finish();
    for input in ["transactions", "too"] {
        let topic = format!("exunion-notification-{input}-exchange");
        assert_eq!(scene.topics.partitions(&topic), 3);
    }
}

/// The highest count of each card; every lower one was said too. Two inputs may be read in another order after a crash, so
/// that one count may be said with two sums.
fn counted(scene: &Scene) -> Vec<u64> {
    let mut all: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for got in scene.topics.read(&scene.output()) {
        let json = got.json();
        let card = json["card"].as_str().unwrap().to_owned();
        all.entry(card)
            .or_default()
            .insert(json["n"].as_u64().unwrap());
    }
    let last = |card: u64| {
        let said = all.get(&format!("C-{card}"))?;
        let last = *said.last()?;
        assert_eq!(said.len() as u64, last, "a count of C-{card} is missing");
        Some(last)
    };
    (0..CARDS).map(|card| last(card).unwrap_or(0)).collect()
}

#[test]
fn a_job_of_the_same_name_that_reads_another_topic_is_told_whose_exchange_it_meets() {
    let scene = Scene::with_topics("exagain", broker(), 2);
    let first = counting(&scene, "SET trigger = 'available now';");
    scene.topics.send(&scene.input(), &transactions(0..200));
    scene.run(&first).end(PATIENCE).expect(0, &[]);
    // The same job over another topic, with another folder.
    let other = format!("{}-more", scene.input());
    scene.topics.make(&other, 2, &[]);
    scene.topics.send(&other, &transactions(0..300));
    let text = std::fs::read_to_string(&first).unwrap();
    let text = text
        .replace(&format!("'{}'", scene.input()), &format!("'{other}'"))
        .replace("checkpoints'", "others'");
    let second = scene.write(&text);
    let exchange = exchange(&scene);
    scene.run(&second).end(PATIENCE).expect(
        2,
        &[
            "--fresh",
            &exchange,
            "whatever topic the query reads",
            "another jobName or queryName",
        ],
    );
    scene
        .run_with(&second, &["--fresh"])
        .end(PATIENCE)
        .expect(0, &[]);
    let mut highest: BTreeMap<String, u64> = BTreeMap::new();
    for got in scene.topics.read(&scene.output()) {
        let json = got.json();
        let count = highest
            .entry(json["card"].as_str().unwrap().to_owned())
            .or_default();
        *count = (*count).max(json["n"].as_u64().unwrap());
    }
    let all: BTreeMap<String, u64> = (0..CARDS)
        .map(|card| (format!("C-{card}"), expected(300, card)))
        .collect();
    assert_eq!(highest, all, "nothing of the earlier job's rows is counted");
}
