//! Reads the state that a checkpoint names, before the lanes of a run begin.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::epoch::checkpoint::{Checkpoint, LaneCut};
use crate::epoch::state_store;
use crate::error::Failure;
use crate::query::{LaneStates, Query};
use crate::state::StateChanges;

impl Query {
    /// The state of all lanes, several at a time.
    pub(crate) fn read_state(&self, checkpoint: &Checkpoint) -> Result<LaneStates, Failure> {
        let readers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let share = checkpoint.lanes.len().div_ceil(readers).max(1);
        let read = |lanes: &[LaneCut]| -> Result<Vec<_>, Failure> {
            let lanes = lanes.iter().filter(|lane| !lane.state.is_empty());
            lanes
                .map(|lane| Ok((lane.lane.clone(), self.read_lane(checkpoint.epoch, lane)?)))
                .collect()
        };
        let read = &read;
        let shares: Vec<Result<Vec<_>, Failure>> = std::thread::scope(|scope| {
            let reading: Vec<_> = checkpoint
                .lanes
                .chunks(share)
                .map(|lanes| scope.spawn(move || read(lanes)))
                .collect();
            let lost = || Err(Failure::restart("reading the state panicked: a bug"));
            reading
                .into_iter()
                .map(|share| share.join().unwrap_or_else(|_| lost()))
                .collect()
        });
        let mut states = BTreeMap::new();
        for share in shares {
            states.extend(share?);
        }
        Ok(states)
    }

    fn read_lane(
        &self,
        epoch: u64,
        lane: &LaneCut,
    ) -> Result<BTreeMap<SmolStr, Vec<StateChanges>>, Failure> {
        let mut steps = BTreeMap::new();
        for (step, objects) in &lane.state {
            let mut chain = Vec::with_capacity(objects.len());
            for object in objects {
                let name = format!("state/{}", object.name);
                let changes = state_store::read(&**self.log.store(), &name)
                    .map_err(|error| self.log.unusable_state(epoch, &name, &error))?;
                chain.push(changes);
            }
            steps.insert(step.clone(), chain);
        }
        Ok(steps)
    }
}
