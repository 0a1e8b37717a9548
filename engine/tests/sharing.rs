//! Processes that share the partitions of a query: they come, go, die and are left behind, on paused time and with every
//! choice made by a seed. Whatever happens, no row is lost and every count is right.
#![allow(clippy::unwrap_used)]

#[path = "sharing/shelf.rs"]
mod shelf;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actix::System;
use actix::clock::sleep;
use parking_lot::Mutex;
use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::epoch::checkpoint::ObjectRef;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySink, MemorySource};
use thalweg_engine::metrics::Metrics;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::query::{Group, Host, Query, Settings};
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::source::{Ownership, RecordStream, Resume, Source, Start, TellOwnership};
use thalweg_engine::state::{Entries, StateChanges};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::Workers;
use tokio::sync::watch;

use shelf::{Rival, Shelf};

const PARTITIONS: usize = 4;
const MEMBERS: usize = 3;

/// Choices by a seed.
#[derive(Clone)]
struct Dice(Arc<Mutex<u64>>);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(
            seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        )))
    }

    fn below(&self, n: usize) -> usize {
        let mut state = self.0.lock();
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state % n as u64).unwrap()
    }

    fn millis(&self, max: usize) -> Duration {
        Duration::from_millis(self.below(max + 1) as u64)
    }
}

/// The group: says which member reads what, and hears what was let go of.
#[derive(Default)]
struct Board {
    tell: BTreeMap<usize, TellOwnership>,
    /// Who is to have a partition that its owner has not let go of yet.
    moving: BTreeMap<SmolStr, usize>,
    owner: BTreeMap<SmolStr, usize>,
}

#[derive(Clone, Default)]
struct Hub(Arc<Mutex<Board>>);

impl Hub {
    fn give(&self, to: usize, partition: &SmolStr) {
        let mut board = self.0.lock();
        board.owner.insert(partition.clone(), to);
        if let Some(tell) = board.tell.get(&to) {
            tell(Ownership::Given(vec![partition.clone()]));
        }
    }

    /// As a group moves a partition: the new owner has it when the old one has let go.
    fn move_to(&self, to: usize, partition: &SmolStr) {
        let mut board = self.0.lock();
        let from = board.owner.get(partition).copied();
        if from == Some(to) || board.moving.contains_key(partition) {
            return;
        }
        match from.and_then(|from| board.tell.get(&from)) {
            Some(tell) => {
                tell(Ownership::Taken(vec![partition.clone()]));
                board.moving.insert(partition.clone(), to);
            }
            None => {
                drop(board);
                self.give(to, partition);
            }
        }
    }

    /// The group takes a member for dead: others get what it had, and it is not told.
    fn presume_dead(&self, member: usize, heir: usize) {
        let mut board = self.0.lock();
        let mut had: Vec<SmolStr> = Vec::new();
        for (partition, owner) in &board.owner {
            if *owner == member {
                had.push(partition.clone());
            }
        }
        let moved = board.moving.keys().filter(|one| had.contains(one));
        let moved: Vec<SmolStr> = moved.cloned().collect();
        let heirs: Vec<(SmolStr, usize)> = had
            .into_iter()
            .map(|one| {
                let to = board.moving.get(&one).copied().filter(|to| *to != member);
                (one, to.unwrap_or(heir))
            })
            .collect();
        for one in moved {
            board.moving.remove(&one);
        }
        drop(board);
        for (partition, heir) in heirs {
            self.give(heir, &partition);
        }
    }

    fn leave(&self, member: usize) {
        self.0.lock().tell.remove(&member);
    }
}

/// A log that several members share.
struct SharedSource {
    inner: MemorySource,
    hub: Hub,
    member: usize,
}

impl Source for SharedSource {
    fn schema(&self) -> &Schema {
        self.inner.schema()
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        self.inner.resolve(resume)
    }

    fn join(&self, _: Option<&[u8]>, tell: TellOwnership) -> Result<(), Failure> {
        let mut board = self.hub.0.lock();
        let own = board
            .owner
            .iter()
            .filter(|(_, owner)| **owner == self.member);
        let own: Vec<SmolStr> = own.map(|(partition, _)| partition.clone()).collect();
        tell(Ownership::Given(own));
        board.tell.insert(self.member, tell);
        Ok(())
    }

    fn release(&self, partitions: &[SmolStr]) {
        for partition in partitions {
            let to = self.hub.0.lock().moving.remove(partition);
            if let Some(to) = to {
                self.hub.give(to, partition);
            }
        }
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        self.inner.ends()
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        self.inner.read(partition, from, until)
    }
}

/// Numbers the rows of its lane.
#[derive(Default)]
struct Numbering {
    count: i64,
    before: i64,
    saved: i64,
}

impl Operator for Numbering {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        self.before = self.count;
        self.count += 1;
        let mut numbered = row.to_vec();
        numbered.push(Value::BigInt(self.count));
        emit.emit(&numbered, meta)
    }

    fn reject(&mut self) {
        self.count = self.before;
    }

    fn save(&mut self) -> Option<StateChanges> {
        if self.saved == self.count {
            return None;
        }
        self.saved = self.count;
        let mut entries = Entries::default();
        entries.put(b"count", |out| out.extend(self.count.to_le_bytes()));
        Some(StateChanges {
            whole: false,
            layout: "numbering".into(),
            entries,
        })
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        for (_, value) in changes.iter().flat_map(|one| &one.entries) {
            self.count = i64::from_le_bytes(value.unwrap().try_into().unwrap());
        }
        self.saved = self.count;
        Ok(())
    }
}

#[derive(Clone)]
struct Numbered {
    log: MemoryLog,
    sink: MemorySink,
    hub: Hub,
    member: usize,
}

impl Plan for Numbered {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        Ok(Opened {
            inputs: vec![Input {
                name: "in".into(),
                entries: vec![Target::Step { step: 0, input: 0 }],
                role: Role::default(),
                source: Arc::new(SharedSource {
                    inner: MemorySource::new(&self.log),
                    hub: self.hub.clone(),
                    member: self.member,
                }),
            }],
            exchanges: Vec::new(),
            sink: Arc::new(self.sink.clone()),
            on_error: OnError::Fail,
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        vec![Step {
            name: "numbering".into(),
            operator: Box::new(Numbering::default()),
            to: Target::Writer,
        }]
    }

    fn gathers(&self) -> bool {
        false
    }

    fn identity(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

/// What all members see.
struct World {
    dice: Dice,
    shelf: Shelf,
    hub: Hub,
    log: MemoryLog,
    sink: MemorySink,
    written: [i64; PARTITIONS],
}

/// A living member.
struct Member {
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<Result<(), Failure>>,
    status: Arc<QueryStatus>,
}

fn partition(number: usize) -> SmolStr {
    format_smolstr!("in/{number}")
}

impl World {
    fn new(seed: u64) -> Self {
        let schema = Schema::new([
            Field::required("partition", DataType::BigInt),
            Field::required("place", DataType::BigInt),
        ]);
        Self {
            dice: Dice::new(seed),
            shelf: Shelf::default(),
            hub: Hub::default(),
            log: MemoryLog::new("in", schema, PARTITIONS),
            sink: MemorySink::default(),
            written: [0; PARTITIONS],
        }
    }

    fn start(&self, member: usize) -> Member {
        let metrics = Metrics::new().query("q");
        let status = Arc::new(QueryStatus::new("q", metrics));
        let (dice, shelf) = (self.dice.clone(), self.shelf.clone());
        let query = Query {
            job: "job".into(),
            name: "q".into(),
            plan: Arc::new(Numbered {
                log: self.log.clone(),
                sink: self.sink.clone(),
                hub: self.hub.clone(),
                member,
            }),
            settings: Settings {
                checkpoint_interval: Duration::from_millis(20),
                checkpoints_kept: 3,
                checkpoint_history: false,
                ..Settings::default()
            },
            log: Arc::new(CheckpointLog::new(Arc::new(self.shelf.clone()), 3, false)),
            host: Host {
                arbiters: Vec::new(),
                workers: Workers::simulated(Arc::new(move || dice.millis(15))),
                budget: Arc::default(),
            },
            status: Arc::clone(&status),
            group: Some(Group {
                chain: Box::new(move |lane| {
                    let chain = shelf.within(&format!("lanes/{lane}"));
                    Ok(CheckpointLog::new(Arc::new(chain), 3, false))
                }),
            }),
        };
        let (stop, told) = watch::channel(false);
        Member {
            stop,
            running: tokio::task::spawn_local(query.run(told)),
            status,
        }
    }

    fn append(&mut self) {
        let number = self.dice.below(PARTITIONS);
        for _ in 0..self.dice.below(20) {
            let place = &mut self.written[number];
            let row = vec![Value::BigInt(number as i64), Value::BigInt(*place)];
            self.log.append(number, Ok(row));
            *place += 1;
        }
    }

    /// Every row that was written out, as partition and place; each must have the number that it has in its partition.
    fn out(&self) -> Vec<(i64, i64)> {
        let rows = self.sink.rows();
        rows.iter()
            .map(|row| {
                let [
                    Value::BigInt(partition),
                    Value::BigInt(place),
                    Value::BigInt(count),
                ] = row[..]
                else {
                    panic!("not a numbered row: {row:?}");
                };
                assert_eq!(count, place + 1, "row {place} of in/{partition}");
                (partition, place)
            })
            .collect()
    }

    /// Waits until everything appended has been written out.
    async fn all_out(&self) {
        for _ in 0..4_000 {
            sleep(Duration::from_millis(10)).await;
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

fn simulated<F: Future<Output = ()>>(story: impl FnOnce() -> F + 'static) {
    let system = System::with_tokio_rt(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build();
        runtime.expect("a runtime")
    });
    system.block_on(async move { story().await });
}

#[test]
fn partitions_that_move_while_rows_come_are_written_once_and_counted_on() {
    simulated(|| async {
        let mut world = World::new(7);
        let members: Vec<Member> = (0..MEMBERS).map(|member| world.start(member)).collect();
        for number in 0..PARTITIONS {
            world.hub.give(0, &partition(number));
        }
        for turn in 0..60 {
            world.append();
            sleep(world.dice.millis(60)).await;
            let (to, which) = (world.dice.below(MEMBERS), turn % PARTITIONS);
            world.hub.move_to(to, &partition(which));
        }
        world.all_out().await;
        let out = world.out();
        let once: BTreeSet<&(i64, i64)> = out.iter().collect();
        assert_eq!(
            out.len(),
            once.len(),
            "a partition that is let go of repeats nothing"
        );
        for member in members {
            member.stop.send_replace(true);
            member.running.await.unwrap().unwrap();
        }
    });
}

#[test]
fn a_member_that_is_left_behind_commits_nothing_and_lives_on_with_the_rest() {
    simulated(|| async {
        let mut world = World::new(11);
        let members = [world.start(0), world.start(1)];
        world.hub.give(0, &partition(0));
        world.hub.give(0, &partition(1));
        for _ in 0..10 {
            world.append();
            sleep(Duration::from_millis(30)).await;
        }
        // The group gives one of them away without a word to the first.
        world.hub.give(1, &partition(0));
        for _ in 0..40 {
            world.append();
            sleep(Duration::from_millis(30)).await;
        }
        let held = |member: &Member| -> BTreeSet<SmolStr> {
            let newest = member.status.newest().unwrap();
            newest
                .partitions()
                .map(|cut| cut.partition.clone())
                .collect()
        };
        assert!(held(&members[1]).contains("in/0") || held(&members[0]).contains("in/0"));
        assert!(
            held(&members[0]).contains("in/1"),
            "what it still has goes on"
        );
        world.hub.leave(0);
        members[0].stop.send_replace(true);
        world.hub.give(1, &partition(1));
        world.hub.give(1, &partition(2));
        world.hub.give(1, &partition(3));
        world.all_out().await;
        for member in members {
            member.stop.send_replace(true);
            member.running.await.unwrap().unwrap();
        }
    });
}

#[test]
fn what_the_owner_is_about_to_commit_is_still_there_when_it_has_committed_it() {
    simulated(|| async {
        let mut world = World::new(3);
        let first = world.start(0);
        world.hub.give(0, &partition(0));
        while world.written[0] < 50 {
            world.append();
        }
        sleep(Duration::from_millis(500)).await;
        first.stop.send_replace(true);
        first.running.await.unwrap().unwrap();
        world.hub.leave(0);
        let log = CheckpointLog::new(Arc::new(world.shelf.within("lanes/in%3Ain%2F0")), 3, false);
        let mut checkpoint = log.newest().unwrap().unwrap();
        let count = world.written[0];
        checkpoint.epoch += 1;
        let chain = checkpoint.lanes[0].state.get_mut("numbering").unwrap();
        chain.push(ObjectRef {
            name: "rival".into(),
            bytes: 1,
        });
        let mut entries = Entries::default();
        entries.put(b"count", |out| out.extend(count.to_le_bytes()));
        let state = StateChanges {
            whole: false,
            layout: "numbering".into(),
            entries,
        };
        // Its commit meets the claim of the next process.
        *world.shelf.rival.lock() = Some(Rival {
            state: Some(state),
            checkpoint,
        });
        let next = world.start(1);
        world.hub.give(1, &partition(0));
        world
            .log
            .append(0, Ok(vec![Value::BigInt(0), Value::BigInt(count)]));
        sleep(Duration::from_millis(500)).await;
        assert_eq!(
            world.out().last(),
            Some(&(0, count)),
            "it goes on from there"
        );
        assert!(world.shelf.rival.lock().is_none());
        next.stop.send_replace(true);
        next.running.await.unwrap().unwrap();
    });
}

#[test]
fn whatever_happens_to_members_nothing_is_lost_and_every_count_is_right() {
    let seeds = std::env::var("THALWEG_SEEDS").ok();
    let seeds: u64 = seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(60);
    for seed in 0..seeds {
        simulated(move || async move {
            println!("seed {seed}");
            let mut world = World::new(seed + 1);
            let mut members: Vec<Member> = (0..MEMBERS).map(|member| world.start(member)).collect();
            for number in 0..PARTITIONS {
                world
                    .hub
                    .give(world.dice.below(MEMBERS), &partition(number));
            }
            for _ in 0..60 {
                world.append();
                sleep(world.dice.millis(70)).await;
                let (one, other) = (world.dice.below(MEMBERS), world.dice.below(MEMBERS));
                match world.dice.below(8) {
                    0..=2 => {
                        let which = world.dice.below(PARTITIONS);
                        world.hub.move_to(one, &partition(which));
                    }
                    3 if one != other => world.hub.presume_dead(one, other),
                    // Killed: nobody is there any more, and nothing was let go of. What it was doing may go on for a
                    // while, as what is on its way to a broker does.
                    4 if one != other => {
                        world.hub.leave(one);
                        members[one].running.abort();
                        world.hub.presume_dead(one, other);
                        members[one] = world.start(one);
                    }
                    // Stopped and started again, before the group takes notice.
                    5 => {
                        world.hub.leave(one);
                        members[one].stop.send_replace(true);
                        let ended = std::mem::replace(&mut members[one], world.start(one));
                        ended.running.await.unwrap().unwrap();
                    }
                    _ => {}
                }
            }
            // In the end each partition has one owner, and nobody believes to have what it has not.
            for number in 0..PARTITIONS {
                let name = partition(number);
                let owner = world.hub.0.lock().owner[&name];
                let board = world.hub.0.lock();
                for (member, tell) in &board.tell {
                    if *member != owner {
                        tell(Ownership::Taken(vec![name.clone()]));
                    }
                }
            }
            world.all_out().await;
            for member in members {
                member.stop.send_replace(true);
                member.running.await.unwrap().unwrap();
            }
        });
    }
}
