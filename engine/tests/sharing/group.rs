//! A group in memory: says which member reads what; and an input that its members share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::memory::MemorySource;
use thalweg_engine::record::{Partition, Position};
use thalweg_engine::schema::Schema;
use thalweg_engine::source::{
    Committed, Ownership, RecordStream, Resume, Sharers, Source, Start, TellOwnership,
};

/// The group: says which member reads what, and hears what was let go of.
#[derive(Default)]
pub(crate) struct Board {
    pub(crate) tell: BTreeMap<usize, TellOwnership>,
    /// Who is to have a partition that its owner has not let go of yet.
    moving: BTreeMap<SmolStr, usize>,
    pub(crate) owner: BTreeMap<SmolStr, usize>,
    /// By partition, the epoch that was last said to be committed.
    witness: BTreeMap<SmolStr, u64>,
}

#[derive(Clone, Default)]
pub(crate) struct Hub(pub(crate) Arc<Mutex<Board>>);

impl Hub {
    pub(crate) fn give(&self, to: usize, partition: &SmolStr) {
        let mut board = self.0.lock();
        board.owner.insert(partition.clone(), to);
        if let Some(tell) = board.tell.get(&to) {
            tell(Ownership::Given(vec![partition.clone()]));
        }
    }

    /// As a group moves a partition: the new owner has it when the old one has let go.
    pub(crate) fn move_to(&self, to: usize, partition: &SmolStr) {
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
    pub(crate) fn presume_dead(&self, member: usize, heir: usize) {
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

    /// It is not there for a while: nobody else gets what it has.
    pub(crate) fn miss(&self, member: usize) {
        self.0.lock().tell.remove(&member);
    }

    /// Its session is lost and it joins again: what it has is taken, and given again before its lanes have ended.
    pub(crate) fn lose(&self, member: usize) {
        let board = self.0.lock();
        let has = |(partition, owner): &(&SmolStr, &usize)| {
            **owner == member && !board.moving.contains_key(*partition)
        };
        let had = board.owner.iter().filter(has);
        let had: Vec<SmolStr> = had.map(|(partition, _)| partition.clone()).collect();
        if let Some(tell) = board.tell.get(&member) {
            tell(Ownership::Taken(had.clone()));
            tell(Ownership::Given(had));
        }
    }

    /// It goes for good: each of the others that are there gets a share of what it had.
    fn part_with(&self, member: usize) {
        let mut board = self.0.lock();
        board.tell.remove(&member);
        let heirs: Vec<usize> = board.tell.keys().copied().collect();
        let had = board.owner.iter().filter(|(_, owner)| **owner == member);
        let had: Vec<SmolStr> = had.map(|(partition, _)| partition.clone()).collect();
        for (index, partition) in had.iter().enumerate() {
            board.moving.remove(partition);
            if let Some(heir) = heirs.get(index % heirs.len().max(1)) {
                board.owner.insert(partition.clone(), *heir);
                board.tell[heir](Ownership::Given(vec![partition.clone()]));
            }
        }
    }
}

/// A log that several members share.
pub(crate) struct SharedSource {
    pub(crate) inner: MemorySource,
    pub(crate) hub: Hub,
    pub(crate) member: usize,
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

    /// As a source does that keeps the positions elsewhere, too: an epoch that is said to be committed must be there.
    fn start_of(&self, partition: &str, resume: &Resume<'_>) -> Result<Start, Failure> {
        let witness = self.hub.0.lock().witness.get(partition).copied();
        if witness > Some(resume.epoch) {
            return Err(Failure::refuse(format!(
                "{partition} was committed up to epoch {witness:?}, and the newest is {}",
                resume.epoch
            )));
        }
        self.inner.start_of(partition, resume)
    }

    fn forget(&self, committed: &Committed) {
        let mut board = self.hub.0.lock();
        for (partition, _) in &committed.positions {
            board.witness.insert(partition.clone(), committed.epoch);
        }
    }

    fn release(&self, partitions: &[SmolStr]) {
        for partition in partitions {
            let to = self.hub.0.lock().moving.remove(partition);
            if let Some(to) = to {
                self.hub.give(to, partition);
            }
        }
    }

    fn sharers(&self) -> Option<Sharers> {
        let name = |member: usize| SmolStr::from(member.to_string());
        let board = self.hub.0.lock();
        let members = board
            .tell
            .keys()
            .map(|member| (name(*member), BTreeSet::new()));
        let mut shares: BTreeMap<SmolStr, BTreeSet<SmolStr>> = members.collect();
        for (partition, owner) in &board.owner {
            if let Some(share) = shares.get_mut(&name(*owner)) {
                share.insert(partition.clone());
            }
        }
        Some(Sharers {
            own: name(self.member),
            shares,
        })
    }

    fn leave(&self) {
        self.hub.part_with(self.member);
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        self.inner.ends()
    }

    fn back(&self, starts: &[Start], by: Duration) -> Result<Option<Vec<Position>>, Failure> {
        self.inner.back(starts, by)
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
