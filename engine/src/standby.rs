//! Standing by: a process keeps in memory what the newest checkpoints of partitions hold that it does not own. When it is given one of
//! them it reads only what was written since.
//!
//! Who stands by for a partition is a pure function of the names of those who share the input and of what each of them has:
//! everybody comes to the same answer, and nobody asks anybody. Being wrong for a while costs memory or time, never more: what is
//! held is only taken where the chain names the same object, and objects never change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use smol_str::SmolStr;

use crate::claim::Place;
use crate::epoch::checkpoint::Checkpoint;
use crate::epoch::checkpoint_log::CheckpointLog;
use crate::epoch::state_store;
use crate::error::Failure;
use crate::flow::cut::folder_name;
use crate::lanes;
use crate::plan::Opened;
use crate::query::{Group, Query};
use crate::source::Sharers;
use crate::state::StateChanges;

/// Those who share an input are asked for at every so manieth look.
const ASK_EVERY: usize = 10;

/// Objects of a partition's chain, by name.
pub(crate) type Objects = BTreeMap<String, StateChanges>;

/// What one process keeps of the partitions of others.
#[derive(Default)]
pub(crate) struct Standby {
    held: Mutex<BTreeMap<Place, Held>>,
    /// By input, who shares it, as it was last told.
    sharers: Mutex<BTreeMap<SmolStr, Sharers>>,
    looks: AtomicUsize,
    bytes: AtomicU64,
}

/// A chain that is followed.
struct Held {
    log: Arc<CheckpointLog>,
    epoch: Option<u64>,
    objects: Objects,
}

impl Standby {
    /// Reads what is new in the chains that this process is to stand by for, and lets go of all others. Blocks.
    pub(crate) fn look(
        &self,
        query: &Query,
        group: &Group,
        opened: &Opened,
        start: &Checkpoint,
        owned: &BTreeSet<Place>,
    ) {
        if self
            .looks
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(ASK_EVERY)
        {
            for input in opened.all_inputs() {
                if let Some(sharers) = input.source.sharers() {
                    self.sharers.lock().insert(input.name.clone(), sharers);
                }
            }
        }
        let sharers = self.sharers.lock().clone();
        let named = start.partitions();
        let named = named.map(|cut| (cut.input.clone(), cut.partition.clone()));
        let wanted: BTreeSet<Place> = named
            .filter(|place| !owned.contains(place))
            .filter(|(input, partition)| {
                sharers
                    .get(input)
                    .is_some_and(|sharers| stands_by(sharers, partition, group.standby))
            })
            .collect();
        self.held.lock().retain(|place, _| wanted.contains(place));
        for place in &wanted {
            if let Err(failure) = self.follow(query, group, place) {
                tracing::debug!(query = query.status.query(), partition = %place.1, "not followed for now: {}", failure.message);
            }
        }
        self.measure();
    }

    /// Reads what is new in one chain.
    fn follow(&self, query: &Query, group: &Group, place: &Place) -> Result<(), Failure> {
        let known = self
            .held
            .lock()
            .get(place)
            .map(|held| Arc::clone(&held.log));
        let log = match known {
            Some(log) => log,
            None => {
                let lane = lanes::name(&*query.plan, &place.0, &place.1);
                let log = Arc::new((group.chain)(&folder_name(&lane))?);
                let held = Held {
                    log: Arc::clone(&log),
                    epoch: None,
                    objects: Objects::new(),
                };
                self.held.lock().insert(place.clone(), held);
                log
            }
        };
        let Some(newest) = log.newest()? else {
            return Ok(());
        };
        let named: BTreeSet<&String> = newest.state().collect();
        let missing: Vec<&String> = {
            let held = self.held.lock();
            match held.get(place) {
                Some(held) if held.epoch != Some(newest.epoch) => {
                    let held = |name: &&String| held.objects.contains_key(*name);
                    named.iter().copied().filter(|name| !held(name)).collect()
                }
                _ => return Ok(()),
            }
        };
        for name in missing {
            let path = format!("state/{name}");
            // The owner may have merged it away meanwhile: the next look finds what took its place.
            let read = state_store::read(&**log.store(), &path)
                .map_err(|error| log.unusable_state(newest.epoch, &path, &error))?;
            match self.held.lock().get_mut(place) {
                Some(held) => held.objects.insert(name.clone(), read),
                None => return Ok(()),
            };
        }
        if let Some(held) = self.held.lock().get_mut(place) {
            held.objects.retain(|name, _| named.contains(name));
            held.epoch = Some(newest.epoch);
        }
        Ok(())
    }

    /// Hands over what is held of a partition.
    pub(crate) fn take(&self, place: &Place) -> Objects {
        let held = self.held.lock().remove(place);
        self.measure();
        held.map_or_else(Objects::new, |held| held.objects)
    }

    fn measure(&self) {
        let held = self.held.lock();
        let objects = held.values().flat_map(|held| held.objects.values());
        let bytes = objects
            .map(|changes| changes.entries.bytes().len() as u64)
            .sum();
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Whether this process is one of the `replicas` that stand by for a partition: of those who do not have it, those with the highest
/// numbers by name and partition. Who comes or goes changes the place of few.
fn stands_by(sharers: &Sharers, partition: &str, replicas: usize) -> bool {
    let mut others: Vec<(u64, &SmolStr)> = sharers
        .shares
        .iter()
        .filter(|(_, share)| !share.contains(partition))
        .map(|(name, _)| (number(name, partition), name))
        .collect();
    others.sort_unstable_by(|a, b| b.cmp(a));
    others
        .iter()
        .take(replicas)
        .any(|(_, name)| **name == sharers.own)
}

/// The same on every machine.
fn number(name: &str, partition: &str) -> u64 {
    let sum = crc32c::crc32c_append(crc32c::crc32c(name.as_bytes()), partition.as_bytes());
    // Sums of names that differ in one letter differ in the same bits for every partition: spread.
    let mut number = u64::from(sum).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    number ^= number >> 32;
    number.wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those who share, each with the one partition that it has, if it has one.
    fn sharers(own: &str, shares: &[(&str, Option<&str>)]) -> Sharers {
        let shares = shares.iter().map(|(name, share)| {
            let share = share.iter().map(SmolStr::new).collect();
            (SmolStr::new(name), share)
        });
        Sharers {
            own: own.into(),
            shares: shares.collect(),
        }
    }

    #[test]
    fn all_agree_on_who_stands_by_and_the_owner_does_not() {
        let names = ["pod-0", "pod-1", "pod-2", "pod-3"];
        let mut stood: BTreeMap<&str, usize> = BTreeMap::new();
        for number in 0..64 {
            let partition = format!("in/{number}");
            let shares: Vec<(&str, Option<&str>)> = names
                .iter()
                .enumerate()
                .map(|(index, name)| (*name, (index == number % 4).then_some(&*partition)))
                .collect();
            let by: Vec<&str> = names
                .into_iter()
                .filter(|name| stands_by(&sharers(name, &shares), &partition, 2))
                .collect();
            assert_eq!(by.len(), 2);
            assert!(!by.contains(&names[number % 4]));
            for name in by {
                *stood.entry(name).or_default() += 1;
            }
        }
        assert!(
            stood.values().all(|count| (16..=48).contains(count)),
            "{stood:?}"
        );
    }

    #[test]
    fn who_is_told_of_nobody_stands_by_for_nobody() {
        assert!(!stands_by(&sharers("a", &[]), "in/0", 3));
        assert!(!stands_by(&sharers("a", &[("a", None)]), "in/0", 0));
        assert!(stands_by(&sharers("a", &[("a", None)]), "in/0", 1));
    }
}
