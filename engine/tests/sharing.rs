//! Processes that share the partitions of a query: they come, go, die and are left behind, on paused time and with every
//! choice made by a seed. Whatever happens, no row is lost and every count is right.
#![allow(clippy::unwrap_used)]

#[path = "sharing/beside.rs"]
mod beside;
#[path = "sharing/files.rs"]
mod files;
#[path = "sharing/group.rs"]
mod group;
#[path = "sharing/grown.rs"]
mod grown;
#[path = "sharing/numbered.rs"]
mod numbered;
#[path = "sharing/shelf.rs"]
mod shelf;
#[path = "sharing/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::System;
use actix::clock::sleep;
use smol_str::SmolStr;
use thalweg_engine::epoch::checkpoint::ObjectRef;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::row::Value;
use thalweg_engine::source::Ownership;
use thalweg_engine::state::{Entries, StateChanges};

use shelf::Rival;
use world::{Member, PARTITIONS, World, partition};

const MEMBERS: usize = 3;

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
        world.hub.miss(0);
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
        world.hub.miss(0);
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
fn one_that_leaves_hands_over_at_once_and_repeats_nothing() {
    simulated(|| async {
        let mut world = World::new(3);
        let mut members: Vec<Member> = (0..MEMBERS).map(|member| world.start(member)).collect();
        for number in 0..PARTITIONS {
            world.hub.give(0, &partition(number));
        }
        for left in [0, 1] {
            for _ in 0..10 {
                world.append();
                sleep(Duration::from_millis(30)).await;
            }
            let member = members.remove(0);
            member.leaving.store(true, Ordering::Release);
            member.stop.send_replace(true);
            member.running.await.unwrap().unwrap();
            let board = world.hub.0.lock();
            assert!(board.owner.values().all(|owner| *owner != left));
        }
        world.all_out().await;
        let out = world.out();
        let once: BTreeSet<&(i64, i64)> = out.iter().collect();
        assert_eq!(out.len(), once.len(), "nothing is repeated");
        let last = members.remove(0);
        last.stop.send_replace(true);
        last.running.await.unwrap().unwrap();
    });
}

/// How many state objects are read when a partition of a long chain is taken over, with so many who stand by.
fn read_at_a_take_over(standby: usize) -> usize {
    let (tell, told) = std::sync::mpsc::channel();
    simulated(move || async move {
        let mut world = World::new(5);
        world.standby = standby;
        let members = [world.start(0), world.start(1)];
        sleep(Duration::from_millis(100)).await;
        world.hub.give(0, &partition(0));
        for _ in 0..150 {
            let place = world.written[0];
            let row = vec![Value::BigInt(0), Value::BigInt(place)];
            world.log.append(0, Ok(row));
            world.written[0] += 1;
            sleep(Duration::from_millis(50)).await;
        }
        // The rest of the chain is looked at before the owner goes.
        sleep(Duration::from_secs(2)).await;
        let before = world.shelf.reads.load(Ordering::Relaxed);
        members[0].running.abort();
        world.hub.presume_dead(0, 1);
        let row = vec![Value::BigInt(0), Value::BigInt(world.written[0])];
        world.log.append(0, Ok(row));
        world.written[0] += 1;
        world.all_out().await;
        tell.send(world.shelf.reads.load(Ordering::Relaxed) - before)
            .unwrap();
        members[1].stop.send_replace(true);
    });
    told.recv().unwrap()
}

#[test]
fn who_stands_by_takes_over_without_reading_the_chain() {
    let without = read_at_a_take_over(0);
    assert!(without >= 1, "the chain is read: {without}");
    assert_eq!(read_at_a_take_over(1), 0, "all of it was in memory");
}

/// A turn that does not come.
const NEVER: usize = usize::MAX;

/// How many seeds are played.
fn seeds() -> u64 {
    let seeds = std::env::var("THALWEG_SEEDS").ok();
    seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(60)
}

#[test]
fn whatever_is_held_up_in_the_middle_nothing_is_lost_and_every_count_is_right() {
    // Each of them takes many changes of hands between threads: fewer.
    for seed in 0..seeds() / 5 {
        simulated(move || async move {
            println!("seed {seed}");
            let mut world = World::held_up(seed + 1);
            world.standby = usize::try_from(seed % 3).unwrap();
            chaos(&mut world, NEVER).await;
        });
    }
}

/// Members come, go, die and are left behind while rows come; in the end each partition has one owner, and all is written. From the
/// turn `grows_at` on members are started with a step more.
async fn chaos(world: &mut World, grows_at: usize) {
    let mut members: Vec<Member> = (0..MEMBERS).map(|member| world.start(member)).collect();
    for number in 0..PARTITIONS {
        world
            .hub
            .give(world.dice.below(MEMBERS), &partition(number));
    }
    for turn in 0..60 {
        if turn == grows_at {
            world.steps += 1;
        }
        world.append();
        world.expect_once();
        sleep(world.dice.millis(70)).await;
        let (one, other) = (world.dice.below(MEMBERS), world.dice.below(MEMBERS));
        match world.dice.below(world.kinds()) {
            0..=2 => {
                let which = world.dice.below(PARTITIONS);
                world.hub.move_to(one, &partition(which));
            }
            3 if one != other => world.hub.presume_dead(one, other),
            // Killed: nobody is there any more, and nothing was let go of. What it was doing may go on for a
            // while, as what is on its way to a broker does.
            4 if one != other => {
                world.hub.miss(one);
                members[one].running.abort();
                world.hub.presume_dead(one, other);
                members[one] = world.start(one);
            }
            // Stopped and started again, before the group takes notice.
            5 => {
                world.hub.miss(one);
                members[one].stop.send_replace(true);
                let ended = std::mem::replace(&mut members[one], world.start(one));
                ended.running.await.unwrap().unwrap();
            }
            // Goes for good, and is started again later.
            6 if one != other => {
                members[one].leaving.store(true, Ordering::Release);
                members[one].stop.send_replace(true);
                (&mut members[one].running).await.unwrap().unwrap();
                members[one] = world.start(one);
            }
            7 => world.hub.lose(one),
            // Held up until others have gone on with what it has, and are far ahead.
            8.. if one != other => {
                let (requests, time) = (1 + world.dice.below(4), world.dice.millis(1_500));
                world.shelf.pause(one, requests, time);
                world.hub.presume_dead(one, other);
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
    world.expect_once();
}

#[test]
fn whatever_happens_to_members_nothing_is_lost_and_every_count_is_right() {
    for seed in 0..seeds() {
        simulated(move || async move {
            println!("seed {seed}");
            let mut world = World::new(seed + 1);
            world.standby = usize::try_from(seed % 3).unwrap();
            chaos(&mut world, NEVER).await;
        });
    }
}
