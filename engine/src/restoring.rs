//! Reads the state that a checkpoint names, before the lanes of a run begin.

use std::collections::BTreeMap;
use std::time::Instant;

use smol_str::SmolStr;

use crate::epoch::checkpoint::{Checkpoint, LaneCut};
use crate::epoch::checkpoint_log::CheckpointLog;
use crate::epoch::state_store;
use crate::error::Failure;
use crate::lanes;
use crate::plan::Plan;
use crate::query::{LaneStates, Query};
use crate::standby::Objects;
use crate::state::StateChanges;

impl Query {
    /// The state of the one lane of a chain, of which some objects are in memory already.
    pub(crate) fn read_claimed(
        &self,
        checkpoint: &Checkpoint,
        mut held: Objects,
    ) -> Result<LaneStates, Failure> {
        let began = Instant::now();
        let (had, mut states) = (held.len(), LaneStates::new());
        for lane in checkpoint
            .lanes
            .iter()
            .filter(|lane| !lane.state.is_empty())
        {
            let steps = read_steps(&self.log, checkpoint.epoch, lane, |name| held.remove(name))?;
            states.insert(lane.lane.clone(), steps);
        }
        let count = checkpoint.state().count();
        let in_memory = had - held.len();
        if count > 0 {
            tracing::debug!(
                "{count} state objects in {:?}, {in_memory} of them were in memory",
                began.elapsed()
            );
        }
        Ok(states)
    }

    /// As [`Query::accept`], for the checkpoint that says where the partitions of a shared query began. The state lies in their
    /// chains, each of which is compared when it is claimed; here it is only seen that they will be found.
    pub(crate) fn accept_start(&self, start: &Checkpoint) -> Result<(), Failure> {
        is_of(&self.log, &self.job, &self.name, start)?;
        follows(&self.log, &self.name, self.plan.compare_ends(&start.plan))?;
        stays(
            &self.log,
            &self.name,
            lanes::renamed(&*self.plan, &start.lanes),
        )
    }

    /// The state of all lanes, several at a time.
    pub(crate) fn read_state(&self, checkpoint: &Checkpoint) -> Result<LaneStates, Failure> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let readers = cores.max(self.log.store().at_once());
        let share = checkpoint.lanes.len().div_ceil(readers).max(1);
        let read = |lanes: &[LaneCut]| -> Result<Vec<_>, Failure> {
            let lanes = lanes.iter().filter(|lane| !lane.state.is_empty());
            lanes
                .map(|lane| {
                    Ok((
                        lane.lane.clone(),
                        read_lane(&self.log, checkpoint.epoch, lane)?,
                    ))
                })
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
}

/// The state of one lane, by step.
pub(crate) fn read_lane(
    log: &CheckpointLog,
    epoch: u64,
    lane: &LaneCut,
) -> Result<BTreeMap<SmolStr, Vec<StateChanges>>, Failure> {
    read_steps(log, epoch, lane, |_| None)
}

/// As [`read_lane`]; what `held` gives need not be read.
fn read_steps(
    log: &CheckpointLog,
    epoch: u64,
    lane: &LaneCut,
    mut held: impl FnMut(&str) -> Option<StateChanges>,
) -> Result<BTreeMap<SmolStr, Vec<StateChanges>>, Failure> {
    let mut steps = BTreeMap::new();
    for (step, objects) in &lane.state {
        let mut chain = Vec::with_capacity(objects.len());
        for object in objects {
            if let Some(changes) = held(&object.name) {
                chain.push(changes);
                continue;
            }
            let name = format!("state/{}", object.name);
            let changes = state_store::read(&**log.store(), &name)
                .map_err(|error| log.unusable_state(epoch, &name, &error))?;
            chain.push(changes);
        }
        steps.insert(step.clone(), chain);
    }
    Ok(steps)
}

/// Whether a checkpoint is of this query, and its plan can go on from it.
pub(crate) fn accept(
    log: &CheckpointLog,
    plan: &dyn Plan,
    job: &str,
    name: &str,
    checkpoint: &Checkpoint,
) -> Result<(), Failure> {
    is_of(log, job, name, checkpoint)?;
    follows(log, name, plan.compare(&checkpoint.plan))?;
    stays(log, name, lanes::moved(plan, checkpoint))
}

/// Whether a checkpoint is of this query.
fn is_of(
    log: &CheckpointLog,
    job: &str,
    name: &str,
    checkpoint: &Checkpoint,
) -> Result<(), Failure> {
    if checkpoint.job == job && checkpoint.query == name {
        return Ok(());
    }
    Err(Failure::refuse(format!(
        "the checkpoints in {} are of the query `{}` of the job `{}`, and this is the query `{name}` of \
         the job `{job}`. Set another checkpointLocation, or the jobName or queryName they were written with.",
        log.location(),
        checkpoint.query,
        checkpoint.job
    )))
}

/// What the plan says to a checkpoint, with what helps.
fn follows(log: &CheckpointLog, name: &str, compared: Result<(), String>) -> Result<(), Failure> {
    compared.map_err(|why| {
        Failure::refuse(format!(
            "the query `{name}` has changed in a way that its checkpoints in {} cannot follow: {why}. Give it \
             another queryName or checkpointLocation to begin anew, or take the change back.",
            log.location()
        ))
    })
}

/// Whether state lies where the plan looks for it.
fn stays(
    log: &CheckpointLog,
    name: &str,
    moved: Option<(&'static str, &'static str)>,
) -> Result<(), Failure> {
    let Some((was, is)) = moved else {
        return Ok(());
    };
    Err(Failure::refuse(format!(
        "the checkpoints in {} hold the state of the query `{name}` {was}, and it is kept {is} now. Give it \
         another queryName or checkpointLocation to begin anew, or take back what was changed: PARTITIONED BY, or the step that keeps it.",
        log.location()
    )))
}
