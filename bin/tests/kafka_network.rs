//! The network between engine and broker fails while records flow: late, reset, cut, silent, half open. Nothing is lost and nothing is counted
//! twice, the process lives, and where nothing answers any more its log says so once.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use stage::{Broker, Load, PATIENCE, Proxy, Rec, Running, Scene, Way};

const CARDS: u64 = 40;

/// Transactions a second.
const RATE: u32 = 200;

/// How long a connection may say nothing.
const TIMEOUT: &str = ", kafka.socket.timeout.ms '2000'";

/// What a query that waits says of a network that is away, with the broker's address.
const AWAY: &str = "waiting: no Kafka broker at";

fn transaction(number: u64) -> Rec {
    let card = format!("C-{}", number % CARDS);
    let value = format!(r#"{{"card":"{card}"}}"#);
    Rec::new(card, value)
}

/// A running count for each card, read and written through the proxy.
fn counting(scene: &Scene, proxy: &Proxy, more: &str) -> PathBuf {
    let address = proxy.address();
    scene.write(&format!(
        "SET checkpointLocation = '{}';
SET checkpointInterval = '200 ms';
SET outputMode = 'update';
CREATE TABLE transactions (card STRING NOT NULL) USING kafka OPTIONS (
  kafka.bootstrap.servers '{address}', subscribe '{}', startingOffsets 'earliest', format 'json'{more}
) PARTITIONED BY (card);
CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '{address}', topic '{}', format 'json', key 'card'{more});
INSERT INTO notification SELECT card, count(*) AS n FROM transactions GROUP BY card;
",
        scene.checkpoints().display(),
        scene.input(),
        scene.output()
    ))
}

/// Asserts that every count of every card was written once.
#[track_caller]
fn expect_exactly(scene: &Scene, count: u64) {
    let mut said: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for got in scene.topics.read(&scene.output()) {
        let n = got.json()["n"].as_u64().unwrap();
        said.entry(got.key()).or_default().push(n);
    }
    for card in 0..CARDS {
        let all: Vec<u64> = (1..=count / CARDS + u64::from(card < count % CARDS)).collect();
        assert_eq!(said[&format!("C-{card}")], all, "card {card}");
    }
}

/// Waits until all that was sent so far came out.
#[track_caller]
fn until_caught_up(scene: &Scene, load: &Load, within: Duration) {
    scene.until_out(i64::try_from(load.sent()).unwrap(), within);
}

/// How often it was said that nothing answers.
fn said_away(running: &Running) -> usize {
    let said = running.said();
    let waits = |line: &&str| line.contains(AWAY);
    said.lines().filter(waits).count()
}

#[test]
fn a_network_that_fails_loses_nothing_counts_nothing_twice_and_is_told_of() {
    let (broker, proxy) = Broker::proxied();
    let broker: &Broker = Box::leak(Box::new(broker));
    let scene = Scene::with_topics("network", broker, 4);
    let mut running = scene.started(&counting(&scene, &proxy, TIMEOUT));
    let load = Load::of(&scene.topics, &scene.input(), RATE, transaction);
    scene.until_out(100, PATIENCE);

    // Rows flow on, later.
    for way in [Way::Late(Duration::from_millis(200)), Way::Resets(100)] {
        proxy.set(way);
        let held = scene.topics.count(&scene.output());
        scene.until_out(held + 2 * i64::from(RATE), PATIENCE);
        proxy.set(Way::Open);
        until_caught_up(&scene, &load, PATIENCE);
    }

    // Nothing flows until it is over. It is said once, by the address.
    for way in [Way::Cut, Way::Silent, Way::Unanswered] {
        running.until_ready();
        let number = said_away(&running) + 1;
        proxy.set(way);
        let began = Instant::now();
        stage::until("it is said", PATIENCE, || said_away(&running) == number);
        println!("{way:?} is told of after {:?}", began.elapsed());
        let (status, why) = running.get("/ready");
        assert!(status == 503 && why.contains(&proxy.address()), "{why}");
        proxy.set(Way::Open);
        let began = Instant::now();
        until_caught_up(&scene, &load, Duration::from_secs(10));
        println!("{way:?} is over after {:?}", began.elapsed());
        running.until_ready();
        assert_eq!(said_away(&running), number, "{}", running.said());
    }

    // Connections are forgotten on the way, and nobody is told: they are noticed by their silence, after ten seconds in a job that
    // says no other time; that to the output only when the input flows again, where nothing was under way on it.
    let usual = Scene::with_topics("usual", broker, 4);
    let with_usual = usual.started(&counting(&usual, &proxy, ""));
    let load_of_usual = Load::of(&usual.topics, &usual.input(), RATE, transaction);
    usual.until_out(100, PATIENCE);
    proxy.forget();
    let began = Instant::now();
    for (scene, within) in [(&scene, 10), (&usual, 30)] {
        let held = scene.topics.count(&scene.output());
        let within = Duration::from_secs(within).saturating_sub(began.elapsed());
        scene.until_out(held + 2 * i64::from(RATE), within);
        println!("{} flows after {:?}", scene.name, began.elapsed());
    }
    running.until_ready();
    let sent = load_of_usual.stop();
    usual.until_out(i64::try_from(sent).unwrap(), PATIENCE);
    with_usual.finish();
    expect_exactly(&usual, sent);

    let restarts = running.metric("thalweg_restarts_total");
    assert!(restarts < 1.0, "{}", running.said());
    let sent = load.stop();
    scene.until_out(i64::try_from(sent).unwrap(), PATIENCE);
    running.finish();
    expect_exactly(&scene, sent);
}
