//! The broker goes away under load and comes back, in several ways. The long form: THALWEG_OUTAGE_SECONDS=30.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use stage::{Account, Broker, Load, Loyalty, PATIENCE, Scene, invoices, until};

/// The stories share a broker that each of them takes away, so they come one after another.
fn broker() -> (&'static Broker, MutexGuard<'static, ()>) {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock();
    (BROKER.get_or_init(|| Broker::start(&[])), turn)
}

fn outage() -> Duration {
    let seconds = std::env::var("THALWEG_OUTAGE_SECONDS").ok();
    Duration::from_secs(seconds.map_or(10, |seconds| seconds.parse().unwrap()))
}

/// Working again so soon after the broker serves requests.
const BACK: Duration = Duration::from_secs(2);

/// Takes the broker away under load, brings it back, and accounts for every record.
fn away_and_back(
    name: &str,
    away: impl FnOnce(&Broker),
    back: impl FnOnce(&Broker),
    pause: Duration,
) {
    let (broker, _turn) = broker();
    let scene = Scene::with_topics(name, broker, 4);
    let job = Loyalty::default().write(&scene);
    let mut running = scene.started(&job);
    let load = scene.load(500);
    scene.until_out(500, PATIENCE);
    away(broker);
    let began = Instant::now();
    // An outage is no failure of the query: it waits and says so.
    let mut waits = false;
    while began.elapsed() < pause {
        assert!(running.alive(), "{}", running.said());
        waits = waits || running.get("/ready").0 == 503;
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(waits, "/ready has said yes all the time");
    back(broker);
    let returned = Instant::now();
    let held = scene.topics.count(&scene.output());
    scene.until_out(held + 1, PATIENCE);
    let took = returned.elapsed();
    assert!(
        took <= BACK,
        "too late: the first record came {took:?} after the broker's return"
    );
    running.until_ready();
    let sent = load.stop();
    scene.until_out(i64::try_from(sent).unwrap(), PATIENCE);
    assert!(
        running.metric("thalweg_restarts_total") < 1.0,
        "{}",
        running.said()
    );
    let said = running.finish().err;
    // What the client says of it comes through the log: with time and level, and none of its own lines beside.
    assert!(said.contains(" the Kafka client says: "), "{said}");
    let strange = said
        .lines()
        .find(|line| line.starts_with('%') || line.contains("rdkafka#"));
    assert_eq!(strange, None, "{said}");
    // The same run went on and idempotent delivery holds: nothing twice.
    Account::of(&scene).expect_exactly(sent);
}

#[test]
fn a_broker_that_is_stopped_and_started_again_costs_nothing() {
    away_and_back("restart", Broker::stop, Broker::up, outage());
}

#[test]
fn a_broker_that_is_killed_and_started_again_costs_nothing() {
    away_and_back("crash", Broker::kill, Broker::up, Duration::from_secs(3));
}

#[test]
fn a_stop_while_the_broker_is_away_ends_within_the_stop_timeout() {
    let (broker, _turn) = broker();
    let scene = Scene::with_topics("stopaway", broker, 4);
    let job = Loyalty::default()
        .set("stopTimeout = '3 seconds'")
        .write(&scene);
    let mut running = scene.started(&job);
    // Once with nothing on its way, once under load.
    scene.topics.send(&scene.input(), &invoices(0..100));
    scene.until_out(100, PATIENCE);
    for loaded in [false, true] {
        let load = loaded.then(|| scene.load(2_000));
        if loaded {
            scene.until_out(2_000, PATIENCE);
        }
        broker.kill();
        let began = Instant::now();
        running.terminate();
        let said = running.end(PATIENCE);
        let took = began.elapsed();
        broker.up();
        assert!(
            took < Duration::from_secs(4),
            "too late, {took:?}: {}",
            said.err
        );
        let sent = load.map_or(100, Load::stop);
        running = scene.run(&job);
        until("all records are out", PATIENCE, || {
            Account::of(&scene).missing(sent).is_empty()
        });
        running.until_ready();
    }
    running.finish();
}

#[test]
fn a_stop_that_waits_is_cut_short_by_ctrl_c_and_not_by_a_second_sigterm() {
    let (broker, _turn) = broker();
    let scene = Scene::with_topics("waits", broker, 1);
    let mut running = scene.started(&Loyalty::default().write(&scene));
    let load = scene.load(500);
    scene.until_out(100, PATIENCE);
    // The last positions cannot reach the group, so the stop waits.
    broker.pause();
    running.terminate();
    running.until_said("SIGTERM: reading stops", PATIENCE);
    // Some supervisors send it twice without meaning anything by it.
    running.terminate();
    running.until_said("SIGTERM again", PATIENCE);
    running.interrupt();
    let said = running.end(Duration::from_secs(2));
    broker.resume();
    said.expect(1, &["ending at once"]);
    load.stop();
}

#[test]
fn a_start_without_a_broker_says_so_and_runs_when_it_appears() {
    let (broker, _turn) = broker();
    let scene = Scene::with_topics("late", broker, 4);
    let job = Loyalty::default().write(&scene);
    scene.topics.send(&scene.input(), &invoices(0..100));
    broker.stop();

    let began = Instant::now();
    let check = scene.call(&["check", job.to_str().unwrap(), "--connect"]);
    check.expect(2, &[broker.bootstrap()]);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "too late: {check:?}"
    );

    let mut running = scene.run(&job);
    running.until_said(broker.bootstrap(), Duration::from_secs(10));
    let (status, why) = running.get("/ready");
    assert_eq!(status, 503, "{why}");
    broker.up();
    scene.until_out(100, PATIENCE);
    running.until_ready();
    running.finish();
    Account::of(&scene).expect_exactly(100);
    scene
        .call(&["check", job.to_str().unwrap(), "--connect"])
        .expect(0, &[]);
}

#[test]
fn an_address_that_nobody_has_is_named_within_ten_seconds() {
    let (broker, _turn) = broker();
    let scene = Scene::with_topics("nowhere", broker, 1);
    for (servers, word) in [
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("no-such-host.invalid:9092", "no-such-host.invalid:9092"),
    ] {
        let text = Loyalty::default().text(&scene).replace("${KAFKA}", servers);
        let job = scene.write(&text);
        let began = Instant::now();
        let said = scene.call(&["check", job.to_str().unwrap(), "--connect"]);
        said.expect(2, &[word]);
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "too late: {said:?}"
        );
        let mut running = scene.run(&job);
        running.until_said(word, Duration::from_secs(10));
        assert!(running.alive(), "it goes on trying");
        running.finish();
    }
}

#[test]
fn broker_and_process_killed_together_lose_nothing() {
    let (broker, _turn) = broker();
    let scene = Scene::with_topics("both", broker, 4);
    let job = Loyalty::default().write(&scene);
    let load = scene.load(500);
    let running = scene.run(&job);
    scene.until_out(500, PATIENCE);
    broker.kill();
    running.kill();
    let mut running = scene.run(&job);
    running.until_said(broker.bootstrap(), Duration::from_secs(10));
    broker.up();
    running.until_ready();
    let sent = load.stop();
    until("all records are out", PATIENCE, || {
        Account::of(&scene).missing(sent).is_empty()
    });
    running.finish();
    Account::of(&scene).expect_all(sent);
}

#[test]
fn a_broker_that_hangs_is_waited_for() {
    let (broker, _turn) = broker();
    let scene = Scene::with_topics("hang", broker, 4);
    let job = Loyalty::default().write(&scene);
    let mut running = scene.started(&job);
    let load = scene.load(200);
    scene.until_out(200, PATIENCE);
    broker.pause();
    std::thread::sleep(Duration::from_secs(3));
    assert!(running.alive(), "{}", running.said());
    broker.resume();
    let held = scene.topics.count(&scene.output());
    scene.until_out(held + 200, PATIENCE);
    let sent = load.stop();
    scene.until_out(i64::try_from(sent).unwrap(), PATIENCE);
    running.finish();
    Account::of(&scene).expect_exactly(sent);
}
