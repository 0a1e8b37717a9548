//! Three processes share three queries on three brokers with three replicas, and all of them are killed, paused and restarted: no
//! record is lost, few are repeated, and every count of every key is right, by PARTITIONED BY and through a topic.
//!
//! The short form takes processes away. The long form takes brokers away as well: THALWEG_KILLS=100, about ten minutes.
//! THALWEG_SEED chooses what happens.

#![allow(clippy::unwrap_used, reason = "these are all tests and their helpers")]

mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stage::{Broker, Load, PATIENCE, Rec, Running, Scene, kills, until};

const CARDS: u64 = 60;
const RATE: u32 = 300;
const PARTITIONS: i32 = 6;
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Longer than the session: who is paused for so long is succeeded, and left behind.
const LONG_PAUSE: Duration = Duration::from_secs(9);
/// How long everything may take to come out in the end.
const IN_THE_END: Duration = Duration::from_secs(120);
/// How long a process that was left behind writes on after it has come to itself, until it has heard of its loss.
const UNTIL_HEARD: u64 = 2;

/// A transaction by its number, keyed by its card.
fn transaction(number: u64) -> Rec {
    let card = format!("C-{}", number % CARDS);
    let value = format!(r#"{{"id":"{number}","card":"{card}"}}"#);
    Rec::new(card, value)
}

/// Each transaction passed on, counts of the cards by partition, and counts of the cards through a topic.
fn job(scene: &Scene) -> PathBuf {
    let input = scene.input();
    let read = format!(
        "kafka.bootstrap.servers '${{KAFKA}}', subscribe '{input}', startingOffsets 'earliest', format 'json',
  kafka.session.timeout.ms '6000', kafka.heartbeat.interval.ms '200'"
    );
    let write = |topic: &str, key: &str| {
        format!("kafka.bootstrap.servers '${{KAFKA}}', topic '{topic}', format 'json', key '{key}'")
    };
    scene.write(&format!(
        "SET jobName = '{name}';
SET assignment = 'group';
SET standbyReplicas = '1';
SET checkpointLocation = '{checkpoints}';
SET checkpointInterval = '200 ms';
CREATE TABLE transactions (id STRING NOT NULL, card STRING NOT NULL) USING kafka OPTIONS ({read});
CREATE TABLE by_card (id STRING NOT NULL, card STRING NOT NULL) USING kafka OPTIONS ({read}) PARTITIONED BY (card);
CREATE TABLE passed USING kafka OPTIONS ({passed});
CREATE TABLE counted USING kafka OPTIONS ({counted});
CREATE TABLE exchanged USING kafka OPTIONS ({exchanged});
INSERT INTO passed SELECT id, card FROM transactions;
SET outputMode = 'update';
INSERT INTO counted SELECT card, count(*) AS n FROM by_card GROUP BY card;
SET exchange = 'topic';
INSERT INTO exchanged SELECT card, count(*) AS n FROM transactions GROUP BY card;
",
        name = scene.name,
        checkpoints = scene.checkpoints().display(),
        passed = write(&scene.output(), "id"),
        counted = write(&topic(scene, "counted"), "card"),
        exchanged = write(&topic(scene, "exchanged"), "card"),
    ))
}

fn topic(scene: &Scene, name: &str) -> String {
    format!("{}-{name}", scene.name)
}

/// Choices by a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn wait(&mut self, min: u64, max: u64) {
        let millis = min + self.below(max - min);
        std::thread::sleep(Duration::from_millis(millis));
    }
}

/// The members and the brokers.
struct World<'s> {
    scene: &'s Scene,
    cluster: &'static Broker,
    job: PathBuf,
    members: BTreeMap<&'static str, Running>,
    dice: Dice,
    /// How many transactions the faults so far may have repeated.
    may_repeat: u64,
}

impl World<'_> {
    fn start(&mut self, name: &'static str) {
        let running = self.scene.run_with(&self.job, &["--member", name]);
        self.members.insert(name, running);
    }

    /// How many transactions have been sent and stand in no checkpoint yet. That is what comes again of a process that is gone now:
    /// the transactions of an interval and of the epoch under way, however long that takes here.
    fn uncommitted(&self, load: &Load) -> u64 {
        let folder = self.scene.checkpoints().join("passed");
        let mut committed = 0;
        // A checkpoint that is taken away while it is looked at: the next look finds a newer one.
        until("the checkpoints are read", PATIENCE, || {
            let said = self
                .scene
                .call(&["inspect", folder.to_str().unwrap(), "--json"]);
            match positions(&said.out) {
                Some(found) => committed = found,
                None => return false,
            }
            true
        });
        load.sent() - committed
    }

    /// Something happens to a member, or to a broker. Gives what.
    fn fault(&mut self, load: &Load) -> &'static str {
        let name = NAMES[usize::try_from(self.dice.below(3)).unwrap()];
        let brokers_too = std::env::var_os("THALWEG_KILLS").is_some();
        match self.dice.below(if brokers_too { 10 } else { 8 }) {
            0..=3 => {
                self.members.remove(name).unwrap().kill();
                self.may_repeat += self.uncommitted(load);
                // Some come back when the others have taken over.
                if self.dice.below(4) == 0 {
                    self.dice.wait(7_000, 9_000);
                }
                self.start(name);
                "a kill"
            }
            4..=5 => {
                self.members[name].pause();
                let (before, uncommitted) = (load.sent(), self.uncommitted(load));
                if self.dice.below(2) == 0 {
                    std::thread::sleep(LONG_PAUSE);
                } else {
                    self.dice.wait(500, 5_000);
                }
                // What came meanwhile others may have passed on, and this one passes it on again until it has heard of it.
                let meanwhile = load.sent() - before;
                self.may_repeat += uncommitted + meanwhile + u64::from(RATE) * UNTIL_HEARD;
                self.members[name].resume();
                "a pause"
            }
            6..=7 => {
                let mut member = self.members.remove(name).unwrap();
                // Who has just been started hears no signal yet.
                member.address();
                member.finish();
                self.start(name);
                "a restart"
            }
            8 => {
                let node = self.node();
                node.kill();
                self.dice.wait(500, 5_000);
                // No epoch ends while it is away; a run that ends by it begins where the newest one ended.
                self.may_repeat += self.uncommitted(load);
                node.up();
                self.in_sync();
                "a broker's kill"
            }
            _ => {
                let node = self.node();
                node.stop();
                self.dice.wait(500, 3_000);
                self.may_repeat += self.uncommitted(load);
                node.up();
                self.in_sync();
                "a broker's restart"
            }
        }
    }

    fn node(&mut self) -> Broker {
        self.cluster
            .node(1 + usize::try_from(self.dice.below(3)).unwrap())
    }

    /// Two brokers must not be away at once: nothing could be written then.
    fn in_sync(&self) {
        until("all replicas are in sync", PATIENCE, || {
            self.scene.topics.in_sync()
        });
    }

    fn all_live(&mut self) {
        for (name, member) in &mut self.members {
            assert!(member.alive(), "{name} has ended:\n{}", member.said());
        }
    }
}

/// The sum of the positions in the newest checkpoints of all partitions, as `thalweg inspect --json` says it.
fn positions(said: &str) -> Option<u64> {
    let chains: Vec<serde_json::Value> = serde_json::from_str(said).ok()?;
    let position =
        |chain: &serde_json::Value| chain["newest"]["partitions"][0]["position"].as_u64();
    let found: Vec<u64> = chains.iter().filter_map(position).collect();
    (found.len() == usize::try_from(PARTITIONS).unwrap()).then(|| found.iter().sum())
}

/// The transactions that were passed on, and how many were so more than once.
fn passed(scene: &Scene) -> (BTreeSet<u64>, u64) {
    let (mut seen, mut repeated) = (BTreeSet::new(), 0);
    for got in scene.topics.read(&scene.output()) {
        let number = got.json()["id"].as_str().unwrap().parse().unwrap();
        repeated += u64::from(!seen.insert(number));
    }
    (seen, repeated)
}

/// Whether every count of every card was said, and none that is too high.
fn exact(scene: &Scene, name: &str, sent: u64) -> bool {
    let mut said: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for got in scene.topics.read(&topic(scene, name)) {
        let json = got.json();
        let card = json["card"].as_str().unwrap().to_owned();
        let counts = said.entry(card).or_default();
        counts.insert(json["n"].as_u64().unwrap());
    }
    (0..CARDS.min(sent)).all(|card| {
        let expected: BTreeSet<u64> = (1..=(sent - card).div_ceil(CARDS)).collect();
        let counts = said.remove(&format!("C-{card}")).unwrap_or_default();
        assert!(
            counts.last() <= expected.last(),
            "{name}: C-{card} was counted twice, up to {:?} of {:?}",
            counts.last(),
            expected.last()
        );
        counts == expected
    })
}

#[test]
fn whatever_is_taken_away_nothing_is_lost_and_every_count_is_right() {
    let cluster: &'static Broker = Box::leak(Box::new(Broker::cluster(
        3,
        &[
            "broker.session.timeout.ms=3000",
            "broker.heartbeat.interval.ms=500",
        ],
    )));
    let scene = Scene::with_topics("chaos", cluster, PARTITIONS);
    for name in ["counted", "exchanged"] {
        scene.topics.make(&topic(&scene, name), PARTITIONS, &[]);
    }
    let seed = std::env::var("THALWEG_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut world = World {
        scene: &scene,
        cluster,
        job: job(&scene),
        members: BTreeMap::new(),
        dice: Dice(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15) | 1),
        may_repeat: 0,
    };
    for name in NAMES {
        world.start(name);
    }
    for member in world.members.values_mut() {
        member.until_ready();
    }
    let load = Load::of(&scene.topics, &scene.input(), RATE, transaction);
    let (faults, began) = (kills(6), Instant::now());
    let mut happened: BTreeMap<&str, u32> = BTreeMap::new();
    for fault in 1..=faults {
        world.dice.wait(500, 4_000);
        let what = world.fault(&load);
        *happened.entry(what).or_default() += 1;
        eprintln!("{:?}: {what}, {fault} of {faults}", began.elapsed());
        world.all_live();
    }
    let sent = load.stop();
    let calm = Instant::now();
    until("every transaction is passed on", IN_THE_END, || {
        passed(&scene).0.len() as u64 == sent
    });
    let repeated = passed(&scene).1;
    for name in ["counted", "exchanged"] {
        until("every transaction is counted", IN_THE_END, || {
            exact(&scene, name, sent)
        });
    }
    world.all_live();
    eprintln!(
        "{happened:?} over {:?}: {sent} transactions, {repeated} repeated (at most {may_repeat}); all there {:?} after the last",
        began.elapsed(),
        calm.elapsed(),
        may_repeat = world.may_repeat,
    );
    assert!(
        repeated <= world.may_repeat,
        "{repeated} of {sent} repeated after {faults} faults, {} at most were in no checkpoint",
        world.may_repeat
    );
    for (_, member) in world.members {
        member.finish();
    }
    inspect(&scene, &scene.checkpoints());
}

/// The checkpoints that are left can be read.
fn inspect(scene: &Scene, checkpoints: &Path) {
    let said = scene.call(&["inspect", checkpoints.to_str().unwrap()]);
    said.expect(0, &["chaos-in/0", "chaos-in/5"]);
}
