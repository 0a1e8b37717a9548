//! Three brokers with three replicas of everything: one of them may go at any time.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::time::{Duration, Instant};

use stage::{Account, Broker, Loyalty, PATIENCE, Scene, until};

/// How long it may take until the partitions of a killed broker have another leader and records come out of them again:
/// its session must end first.
const TAKEN_OVER: Duration = Duration::from_secs(30);

#[test]
fn each_broker_of_three_is_killed_in_turn_and_nothing_is_lost() {
    let cluster: &'static Broker = Box::leak(Box::new(Broker::cluster(
        3,
        &[
            "broker.session.timeout.ms=3000",
            "broker.heartbeat.interval.ms=500",
        ],
    )));
    let scene = Scene::with_topics("cluster", cluster, 6);
    let mut running = scene.started(&Loyalty::default().write(&scene));
    let load = scene.load(300);
    scene.until_out(300, PATIENCE);
    for number in 1..=3 {
        let node = cluster.node(number);
        node.kill();
        let began = Instant::now();
        // What is sent from now on comes out while the broker is away, whichever partition it goes to.
        let due = i64::try_from(load.sent()).unwrap() + 600;
        scene.until_out(due, TAKEN_OVER);
        eprintln!("without broker {number} after {:?}", began.elapsed());
        assert!(running.alive(), "{}", running.said());
        node.up();
        until("all replicas are in sync", PATIENCE, || {
            scene.topics.in_sync()
        });
    }
    let sent = load.stop();
    scene.until_out(i64::try_from(sent).unwrap(), PATIENCE);
    running.until_ready();
    assert!(
        running.metric("thalweg_restarts_total") < 1.0,
        "{}",
        running.said()
    );
    running.finish();
    // One run has gone through it all, and idempotent delivery holds: nothing twice.
    Account::of(&scene).expect_exactly(sent);
}
