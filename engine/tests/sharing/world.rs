//! What members see in common, and members that live in it, with every choice made by a seed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::clock::sleep;
use parking_lot::Mutex;
use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::error::Failure;
use thalweg_engine::memory::{MemoryLog, MemorySink};
use thalweg_engine::metrics::Metrics;
use thalweg_engine::query::{Group, Host, Query, Settings};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::{Workers, hold_up};
use tokio::sync::watch;

use crate::files::Disk;
use crate::group::Hub;
use crate::numbered::Numbered;
use crate::shelf::Shelf;

pub(crate) const PARTITIONS: usize = 4;

/// The longest time for which work is held up: many epochs of others.
const HELD_UP: usize = 1_500;

/// Choices by a seed.
#[derive(Clone)]
pub(crate) struct Dice {
    state: Arc<Mutex<u64>>,
    /// Whether work is held up in the middle.
    holds: bool,
}

impl Dice {
    pub(crate) fn new(seed: u64, holds: bool) -> Self {
        let state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Self {
            state: Arc::new(Mutex::new(state)),
            holds,
        }
    }

    pub(crate) fn below(&self, n: usize) -> usize {
        let mut state = self.state.lock();
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state % n as u64).unwrap()
    }

    pub(crate) fn millis(&self, max: usize) -> Duration {
        Duration::from_millis(self.below(max + 1) as u64)
    }

    /// Whether one of so many times something happens that only happens where work is held up.
    pub(crate) fn once_in(&self, times: usize) -> bool {
        self.holds && self.below(times) == 0
    }

    /// Where work is done that these choices hold up.
    pub(crate) fn workers(&self) -> Workers {
        let dice = self.clone();
        let delay = Arc::new(move || dice.millis(15));
        if self.holds {
            Workers::held_up(delay)
        } else {
            Workers::simulated(delay)
        }
    }

    /// Here work may be held up for a moment, or for long.
    pub(crate) fn hold(&self) {
        if self.once_in(120) {
            hold_up(self.millis(HELD_UP));
        } else if self.once_in(8) {
            hold_up(self.millis(5));
        }
    }
}

/// What all members see.
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) shelf: Shelf,
    pub(crate) hub: Hub,
    pub(crate) log: MemoryLog,
    pub(crate) sink: MemorySink,
    pub(crate) written: [i64; PARTITIONS],
    /// How many stand by for each partition.
    pub(crate) standby: usize,
    /// How many steps the job has that members are started with, and how many records of each partition are read back to build what is
    /// new of them.
    pub(crate) steps: usize,
    pub(crate) warm_up: Option<Duration>,
    /// How many epochs are kept.
    pub(crate) kept: usize,
    /// Where rows are written to files that become visible with their epochs, in the place of `sink`.
    pub(crate) disk: Option<Disk>,
}

/// A living member.
pub(crate) struct Member {
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) running: tokio::task::JoinHandle<Result<(), Failure>>,
    pub(crate) status: Arc<QueryStatus>,
    pub(crate) leaving: Arc<AtomicBool>,
}

pub(crate) fn partition(number: usize) -> SmolStr {
    format_smolstr!("in/{number}")
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::of(Dice::new(seed, false))
    }

    /// One in which whatever a process does is held up in the middle, for longer than epochs are kept; answers of the store are
    /// lost, and what was asked for happens later.
    pub(crate) fn held_up(seed: u64) -> Self {
        let kept = 1 + usize::try_from(seed % 3).unwrap();
        Self {
            kept,
            ..Self::of(Dice::new(seed, true))
        }
    }

    fn of(dice: Dice) -> Self {
        let schema = Schema::new([
            Field::required("partition", DataType::BigInt),
            Field::required("place", DataType::BigInt),
        ]);
        Self {
            shelf: Shelf::of(dice.clone()),
            dice,
            hub: Hub::default(),
            log: MemoryLog::new("in", schema, PARTITIONS),
            sink: MemorySink::default(),
            written: [0; PARTITIONS],
            standby: 0,
            steps: 1,
            warm_up: None,
            kept: 3,
            disk: None,
        }
    }

    pub(crate) fn start(&self, member: usize) -> Member {
        let metrics = Metrics::new().query("q");
        let status = Arc::new(QueryStatus::new("q", metrics));
        let leaving = Arc::default();
        let (dice, shelf) = (self.dice.clone(), self.shelf.seen_by(member));
        let (kept, root) = (self.kept, Arc::new(shelf.clone()));
        let workers = dice.workers();
        let query = Query {
            job: "job".into(),
            name: "q".into(),
            plan: Arc::new(Numbered {
                log: self.log.clone(),
                sink: self.sink.clone(),
                files: self.disk.clone().map(|disk| (disk, self.dice.clone())),
                hub: self.hub.clone(),
                member,
                steps: self.steps,
            }),
            settings: Settings {
                checkpoint_interval: Duration::from_millis(20),
                checkpoints_kept: kept,
                checkpoint_history: false,
                warm_up: self.warm_up,
                // What holds up work holds up the last epoch as well.
                stop_timeout: Duration::from_secs(60),
                ..Settings::default()
            },
            log: Arc::new(CheckpointLog::new(root, kept, false)),
            host: Host {
                arbiters: Vec::new(),
                workers,
                budget: Arc::default(),
            },
            status: Arc::clone(&status),
            group: Some(Group {
                leaving: Arc::clone(&leaving),
                standby: self.standby,
                chain: Arc::new(move |lane| {
                    let chain = shelf.within(&format!("lanes/{lane}"));
                    Ok(CheckpointLog::new(Arc::new(chain), kept, false))
                }),
            }),
        };
        let (stop, told) = watch::channel(false);
        Member {
            stop,
            running: tokio::task::spawn_local(query.run(told)),
            status,
            leaving,
        }
    }

    /// How many kinds of things happen to members.
    pub(crate) fn kinds(&self) -> usize {
        if self.dice.holds { 11 } else { 8 }
    }

    pub(crate) fn append(&mut self) {
        let number = self.dice.below(PARTITIONS);
        for _ in 0..self.dice.below(20) {
            let place = &mut self.written[number];
            let row = vec![Value::BigInt(number as i64), Value::BigInt(*place)];
            self.log.append(number, Ok(row));
            *place += 1;
        }
    }

    /// Every row that was written out, as partition and place; each must have the number that it has in its partition, by every
    /// step.
    pub(crate) fn out(&self) -> Vec<(i64, i64)> {
        let rows = match &self.disk {
            Some(disk) => disk.rows(),
            None => self.sink.rows(),
        };
        let number = |value: &Value| match value {
            Value::BigInt(number) => *number,
            other => panic!("not a number: {other:?}"),
        };
        rows.iter()
            .map(|row| {
                let row: Vec<i64> = row.iter().map(number).collect();
                let [partition, place, counts @ ..] = &row[..] else {
                    panic!("not a numbered row: {row:?}");
                };
                assert!(!counts.is_empty(), "not a numbered row: {row:?}");
                for count in counts {
                    assert_eq!(*count, place + 1, "row {place} of in/{partition}: {row:?}");
                }
                (*partition, *place)
            })
            .collect()
    }

    /// Nothing that is written to files can be seen twice.
    pub(crate) fn expect_once(&self) {
        if self.disk.is_some() {
            let out = self.out();
            let once: BTreeSet<&(i64, i64)> = out.iter().collect();
            assert_eq!(out.len(), once.len(), "rows are there twice");
        }
    }

    /// Waits until everything appended has been written out.
    pub(crate) async fn all_out(&self) {
        for _ in 0..4_000 {
            sleep(Duration::from_millis(10)).await;
            self.expect_once();
            let seen: BTreeSet<(i64, i64)> = self.out().into_iter().collect();
            if seen.len() == usize::try_from(self.written.iter().sum::<i64>()).unwrap() {
                return;
            }
        }
        panic!(
            "rows are missing: {} of {:?}",
            self.out().len(),
            self.written
        );
    }
}
