//! A whole query under a seed: memory source, a sink and a store that fail, crashes at any moment.
//!
//! One step counts the rows of a key as they come, another the rows of a window when the watermark has passed it; both keep
//! state. Some rows can never be written and are skipped: nothing of them may stay. After every crash: no committed position is ahead of delivery, and the newest checkpoint can be read. At the end: every
//! row was delivered, and every count is exact. A seed reproduces its run. Seeds in CI: 300. More: `THALWEG_SEEDS=100000`, one: `THALWEG_SEED=17`.
#![allow(clippy::unwrap_used)]

#[path = "simulation/counting.rs"]
mod counting;
#[path = "simulation/exchange.rs"]
mod exchange;
#[path = "simulation/files.rs"]
mod files;
#[path = "simulation/growth.rs"]
mod growth;
#[path = "simulation/life.rs"]
mod life;
#[path = "simulation/numbered.rs"]
mod numbered;
#[path = "simulation/sink.rs"]
mod sink;
#[path = "simulation/store.rs"]
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::clock::{Instant, sleep, sleep_until};
use actix::prelude::*;
use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::epoch::checkpoint::Checkpoint;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::Store;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySource};
use thalweg_engine::metrics::Metrics;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::query::{Host, Query, Settings};
use thalweg_engine::record::{Position, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::Workers;
use tokio::sync::watch;

use life::quiet;
use sink::SimulatedSink;

/// splitmix64: small, and the same on every machine.
#[derive(Clone)]
struct Dice(Arc<Mutex<u64>>);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed)))
    }

    fn roll(&self, sides: u64) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn millis(&self, below: u64) -> Duration {
        Duration::from_micros(self.roll(below * 1000))
    }
}

/// A bug to plant: the simulation must find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    ReportsBeforeDelivery,
    SinkSkipsARow,
    StateForgetsAChange,
    StateKeepsWhatWasRejected,
    LogLosesARow,
    MarksAreForgotten,
    EndIsToldTooEarly,
    NamedOnlyOnce,
    LeftoversStay,
    OpenPartsAreShown,
}

/// What outlives a crash: the rows that were delivered, and the objects of the store.
#[derive(Clone)]
struct World {
    dice: Dice,
    bug: Bug,
    /// Delivered rows: how often each (partition, index) is there.
    delivered: Arc<Mutex<BTreeMap<(i64, i64), u32>>>,
    /// Windows that were delivered.
    windows: Arc<Mutex<BTreeSet<(i64, i64)>>>,
    /// The first count that is not what it must be.
    wrong: Arc<Mutex<Option<String>>>,
    objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// Whether a lock keeps others out of the store, or a start must claim it.
    locked: bool,
    /// What an output of files has written.
    disk: files::Disk,
    /// No more faults: the last run must get through.
    calm: Arc<AtomicBool>,
}

impl World {
    fn deliver(&self, (partition, number): (i64, i64)) {
        if let Some(window) = counting::window(number) {
            self.windows.lock().insert((partition, window));
        } else {
            *self
                .delivered
                .lock()
                .entry((partition, number))
                .or_default() += 1;
        }
    }

    fn fault(&self, sides: u64) -> bool {
        !self.calm.load(Ordering::Relaxed) && self.dice.one_in(sides)
    }
}

/// Passes rows on; panics now and then.
struct Shaky(World);

impl Operator for Shaky {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        assert!(!self.0.fault(1500), "planted: the operator panicked");
        emit.emit(row, meta)
    }
}

struct SimulatedPlan {
    world: World,
    log: MemoryLog,
    gathers: bool,
    files: bool,
}

impl Plan for SimulatedPlan {
    fn open(&self, run: &str) -> Result<Opened, Failure> {
        if self.world.fault(10) {
            return Err(Failure::restart("planted: the broker is away"));
        }
        Ok(Opened {
            inputs: vec![Input {
                name: "in".into(),
                entries: vec![Target::Step { step: 0, input: 0 }],
                role: Role {
                    event_time: true,
                    table: false,
                },
                source: Arc::new(MemorySource::new(&self.log)),
            }],
            exchanges: Vec::new(),
            sink: if self.files {
                Arc::new(files::FileSink::new(&self.world, run))
            } else {
                Arc::new(SimulatedSink::new(&self.world))
            },
            on_error: OnError::Skip,
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        let to = |step| Target::Step { step, input: 0 };
        vec![
            Step {
                name: "count".into(),
                operator: Box::new(counting::Count::new(self.world.bug)),
                to: to(1),
            },
            Step {
                name: "windows".into(),
                operator: Box::new(counting::Windows::new(self.world.bug)),
                to: to(2),
            },
            Step {
                name: "shaky".into(),
                operator: Box::new(Shaky(self.world.clone())),
                to: Target::Writer,
            },
        ]
    }

    fn gathers(&self) -> bool {
        self.gathers
    }

    fn identity(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

/// How one life of the process ends.
enum Fate {
    /// kill -9 after this time.
    Killed(Duration),
    /// SIGTERM after this time.
    Stopped(Duration),
    /// It reads to the end.
    Bounded,
}

const PARTITIONS: i64 = 3;
const ROWS: i64 = 150;

struct Simulation {
    world: World,
    log: MemoryLog,
    gathers: bool,
    /// Whether the output becomes visible with its epochs.
    files: bool,
}

impl Simulation {
    fn new(seed: u64, bug: Bug) -> Self {
        let world = World::new(seed, bug);
        let dice = &world.dice;
        let schema = Schema::new([
            Field::required("partition", DataType::BigInt),
            Field::required("index", DataType::BigInt),
        ]);
        let partitions = if dice.one_in(2) {
            PARTITIONS - 1
        } else {
            PARTITIONS
        };
        Self {
            gathers: dice.one_in(3),
            files: false,
            log: MemoryLog::new("in", schema, usize::try_from(partitions).unwrap()),
            world,
        }
    }

    fn query(&self, bounded: bool) -> Query {
        let dice = self.world.dice.clone();
        let metrics = Metrics::new();
        Query {
            job: "simulated".into(),
            name: "q".into(),
            plan: Arc::new(SimulatedPlan {
                world: self.world.clone(),
                log: self.log.clone(),
                gathers: self.gathers,
                files: self.files,
            }),
            settings: Settings {
                checkpoint_interval: Duration::from_millis(20),
                epoch_timeout: Duration::from_secs(2),
                discover_interval: Duration::from_millis(50),
                checkpoints_kept: 3,
                checkpoint_history: false,
                bounded,
                ..Settings::default()
            },
            log: Arc::new(CheckpointLog::new(Arc::new(self.world.clone()), 3, false)),
            host: Host {
                arbiters: Vec::new(),
                workers: Workers::simulated(Arc::new(move || dice.millis(15))),
                budget: Arc::default(),
            },
            status: Arc::new(QueryStatus::new("q", metrics.query("q"))),
            group: None,
        }
    }

    /// One life of the process. Gives what the query ended with, if it came to an end.
    fn live(&self, fate: &Fate, written: &mut i64) -> Option<Result<(), Failure>> {
        let system = System::with_tokio_rt(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .expect("a runtime")
        });
        let query = self.query(matches!(fate, Fate::Bounded));
        let (tell, told) = watch::channel(false);
        let dice = self.world.dice.clone();
        let log = self.log.clone();
        system.block_on(async {
            let start = Instant::now();
            let mut running = Box::pin(query.run(told));
            let appending = async {
                while *written < ROWS {
                    sleep(dice.millis(4)).await;
                    if *written == ROWS / 2 {
                        // In half of the seeds a partition appears now; in the other half it is one nobody reads.
                        log.grow(1);
                    }
                    for partition in 0..PARTITIONS {
                        let row = vec![Value::BigInt(partition), Value::BigInt(*written)];
                        log.append(usize::try_from(partition).unwrap(), Ok(row));
                    }
                    *written += 1;
                }
                std::future::pending::<()>().await;
            };
            let deadline = async {
                match fate {
                    Fate::Killed(after) => sleep_until(start + *after).await,
                    Fate::Stopped(after) => {
                        sleep_until(start + *after).await;
                        tell.send(true).expect("the query listens");
                        std::future::pending::<()>().await;
                    }
                    Fate::Bounded => std::future::pending::<()>().await,
                }
            };
            tokio::select! {
                biased;
                ended = &mut running => Some(ended),
                () = deadline => None,
                () = appending => None,
            }
        })
    }

    /// Everything before a committed position is delivered.
    fn check(&self, seed: u64) -> Result<Option<Checkpoint>, String> {
        let log = CheckpointLog::new(Arc::new(self.world.clone()), 3, false);
        let newest = log.newest().map_err(|failure| {
            format!("seed {seed}: the newest checkpoint cannot be read: {failure}")
        })?;
        if let Some(wrong) = self.world.wrong.lock().clone() {
            return Err(format!("seed {seed}: {wrong}"));
        }
        self.expect_tidy(&log)
            .map_err(|why| format!("seed {seed}: {why}"))?;
        if self.files {
            self.expect_committed(newest.as_ref())
                .map_err(|why| format!("seed {seed}: {why}"))?;
            return Ok(newest);
        }
        let delivered = self.world.delivered.lock();
        for cut in newest.iter().flat_map(Checkpoint::partitions) {
            let partition: i64 = cut.partition.as_str()["in/".len()..].parse().unwrap();
            let Position::Number(position) = cut.position else {
                return Err(format!("seed {seed}: a position that is no number"));
            };
            let first = self.first(partition);
            for index in first..first + position {
                if !counting::fails(index - first) && !delivered.contains_key(&(partition, index)) {
                    return Err(format!(
                        "seed {seed}: {} is committed up to {position}, and row {index} was not delivered",
                        cut.partition
                    ));
                }
            }
        }
        Ok(newest)
    }

    /// State that no kept checkpoint names is of the newest run at most: each run removes what the one before has left.
    fn expect_tidy(&self, log: &CheckpointLog) -> Result<(), String> {
        let mut named = BTreeSet::new();
        for kept in log.list().unwrap() {
            named.extend(log.read(kept.epoch).unwrap().objects().cloned());
        }
        let objects = self.world.list("state").unwrap().into_iter();
        let unnamed = objects
            .map(|object| object.name)
            .filter(|name| !named.contains(name));
        let runs: BTreeSet<String> = unnamed
            .filter_map(|name| Some(name.split_once('-')?.0.to_owned()))
            .collect();
        if runs.len() > 1 {
            return Err(format!(
                "objects that nothing names are kept of the runs {runs:?}"
            ));
        }
        Ok(())
    }

    /// The number of the first row of a partition: one that appeared later missed the rows before.
    fn first(&self, partition: i64) -> i64 {
        let rows = thalweg_engine::source::Source::ends(&MemorySource::new(&self.log)).unwrap();
        match rows.get(&SmolStr::from(format!("in/{partition}"))) {
            Some(Position::Number(count)) if partition == PARTITIONS - 1 => {
                // Rows are appended one by one to all partitions, so what is missing was before its time.
                let others = match rows.get("in/0") {
                    Some(Position::Number(count)) => *count,
                    _ => 0,
                };
                others - count
            }
            _ => 0,
        }
    }

    /// The last row of the partition that the watermark of this one waits for. One that appeared and never had a row holds
    /// a gathered lane back where it joined.
    fn slowest(&self, partition: i64) -> i64 {
        let rows = thalweg_engine::source::Source::ends(&MemorySource::new(&self.log)).unwrap();
        if self.gathers && rows.len() > usize::try_from(PARTITIONS).unwrap() {
            return 0;
        }
        let first = if self.gathers {
            (0..PARTITIONS).map(|partition| self.first(partition)).max()
        } else {
            Some(self.first(partition))
        };
        ROWS - 1 - first.unwrap_or(0)
    }

    fn run(seed: u64, bug: Bug) -> Result<(), String> {
        Self::new(seed, bug).play(seed)
    }

    fn play(self, seed: u64) -> Result<(), String> {
        let simulation = self;
        let dice = simulation.world.dice.clone();
        let mut written = 0;
        for _ in 0..dice.roll(6) {
            let after = dice.millis(250);
            let fate = if dice.one_in(4) {
                Fate::Stopped(after)
            } else {
                Fate::Killed(after)
            };
            if let Some(Err(failure)) = simulation.live(&fate, &mut written)
                && !failure.message.contains("planted")
                && !failure.message.contains("panicked")
            {
                return Err(format!("seed {seed}: the query gave up: {failure}"));
            }
            simulation.check(seed)?;
        }
        simulation.world.calm.store(true, Ordering::Relaxed);
        while written < ROWS {
            simulation.live(&Fate::Killed(Duration::from_millis(100)), &mut written);
            simulation.check(seed)?;
        }
        match simulation.live(&Fate::Bounded, &mut written) {
            Some(Ok(())) => {}
            ended => return Err(format!("seed {seed}: the last run ended with {ended:?}")),
        }
        simulation.check(seed)?;
        for (partition, number, _) in simulation.world.disk.seen().into_keys() {
            simulation.world.deliver((partition, number));
        }
        let delivered = simulation.world.delivered.lock();
        for partition in 0..PARTITIONS {
            let first = simulation.first(partition);
            if first == 0 {
                let windows = simulation.world.windows.lock();
                if let Some(window) = counting::closed(simulation.slowest(partition))
                    .find(|window| !windows.contains(&(partition, *window)))
                {
                    return Err(format!(
                        "seed {seed}: window {window} of in/{partition} is lost"
                    ));
                }
            }
            for index in first..ROWS {
                if !counting::fails(index - first) && !delivered.contains_key(&(partition, index)) {
                    return Err(format!(
                        "seed {seed}: row {index} of in/{partition} is lost"
                    ));
                }
            }
        }
        Ok(())
    }
}

fn seeds(default: u64) -> impl Iterator<Item = u64> {
    let read = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    match read("THALWEG_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..read("THALWEG_SEEDS").unwrap_or(default),
    }
}

#[test]
fn nothing_is_lost_whatever_fails() {
    quiet();
    for seed in seeds(300) {
        if let Err(violation) = Simulation::run(seed, Bug::None) {
            panic!("{violation}");
        }
    }
}

#[test]
fn a_seed_reproduces_its_run() {
    quiet();
    let run = |seed| {
        let simulation = Simulation::new(seed, Bug::None);
        let mut written = 0;
        simulation.live(&Fate::Killed(Duration::from_millis(180)), &mut written);
        let delivered = simulation.world.delivered.lock().clone();
        (written, delivered, simulation.world.dice.roll(1 << 40))
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

#[test]
fn a_report_before_delivery_is_found() {
    quiet();
    assert!((0..200).any(|seed| Simulation::run(seed, Bug::ReportsBeforeDelivery).is_err()));
}

#[test]
fn a_sink_that_skips_a_row_is_found() {
    quiet();
    assert!((0..50).any(|seed| Simulation::run(seed, Bug::SinkSkipsARow).is_err()));
}

#[test]
fn a_state_that_forgets_a_change_is_found() {
    quiet();
    assert!((0..100).any(|seed| Simulation::run(seed, Bug::StateForgetsAChange).is_err()));
}

#[test]
fn a_state_that_keeps_what_was_rejected_is_found() {
    quiet();
    assert!((0..100).any(|seed| Simulation::run(seed, Bug::StateKeepsWhatWasRejected).is_err()));
}
