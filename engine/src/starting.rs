//! Where a run begins: the clients are opened, each partition's start is found, and a first start commits it as epoch 0 before any record
//! is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use smol_str::SmolStr;

use crate::clock::now;
use crate::epoch::checkpoint::{Checkpoint, FORMAT, LaneCut, PartitionCut};
use crate::error::Failure;
use crate::lanes;
use crate::plan::{Opened, Side};
use crate::query::{LaneStates, Query, new_id};
use crate::record::Position;
use crate::recovery::recover;
use crate::restoring::accept;
use crate::source::{Resume, Start};
use crate::warming::Warming;

/// By input and partition.
pub(crate) type Places<T> = BTreeMap<(SmolStr, SmolStr), T>;

/// By input and partition, the end of a bounded run.
pub(crate) type Ends = BTreeMap<SmolStr, BTreeMap<SmolStr, Position>>;

/// Where a run begins, and where it ends.
pub(crate) struct Resolved {
    pub(crate) newest: Checkpoint,
    pub(crate) starts: Vec<(SmolStr, Start)>,
    pub(crate) ends: Ends,
    pub(crate) state: LaneStates,
    pub(crate) warming: Warming,
    /// The partitions before exchanges that other processes read.
    pub(crate) before: Vec<(SmolStr, SmolStr)>,
    /// Whether its lane is alone: others come and go, with checkpoints of their own.
    pub(crate) alone: bool,
}

impl Resolved {
    /// A checkpoint from which no partition starts yet.
    pub(crate) fn none(newest: Checkpoint) -> Self {
        Self {
            warming: Warming::under_way(&newest),
            newest,
            starts: Vec::new(),
            ends: BTreeMap::new(),
            state: BTreeMap::new(),
            before: Vec::new(),
            alone: false,
        }
    }
}

/// A run that is ready to start.
pub(crate) struct Prepared {
    pub(crate) run: Arc<str>,
    pub(crate) opened: Opened,
    pub(crate) resolved: Resolved,
}

impl Query {
    /// Opens clients and finds out where each partition starts. Writes epoch 0 where there is no checkpoint. Blocks.
    pub(crate) fn prepare(&self) -> Result<Prepared, Failure> {
        let mut newest = self.log.newest()?;
        let run: Arc<str> = Arc::from(new_id());
        if let Some(checkpoint) = &mut newest {
            self.accept(checkpoint)?;
            self.claim_all(checkpoint, &run)?;
        }
        let opened = self.plan.open(&run)?;
        match self.resolve(newest, &run, &opened) {
            Ok(resolved) => Ok(Prepared {
                run,
                opened,
                resolved,
            }),
            Err(failure) => {
                opened.close();
                Err(self.log.or_taken_over(failure))
            }
        }
    }

    fn resolve(
        &self,
        newest: Option<Checkpoint>,
        run: &Arc<str>,
        opened: &Opened,
    ) -> Result<Resolved, Failure> {
        let mut starts = Vec::new();
        let mut ends = BTreeMap::new();
        for input in opened.all_inputs() {
            let resolved = match &newest {
                Some(checkpoint) => {
                    let positions: BTreeMap<SmolStr, Position> = checkpoint
                        .partitions()
                        .filter(|cut| cut.input == input.name)
                        .map(|cut| (cut.partition.clone(), cut.position.clone()))
                        .collect();
                    let ended = checkpoint.ended(&input.name);
                    let state = checkpoint
                        .sources
                        .get(&input.name)
                        .map(|text| BASE64.decode(text))
                        .transpose()
                        .map_err(|_| {
                            Failure::refuse("the checkpoint's source state is not base64")
                        })?;
                    input.source.leave_out(ended);
                    input.source.resolve(Some(&Resume {
                        checkpoint: &checkpoint.checkpoint,
                        epoch: checkpoint.epoch,
                        rewound: checkpoint.rewound,
                        positions: &positions,
                        state: state.as_deref(),
                    }))?
                }
                None => input.source.resolve(None)?,
            };
            // Where an exchange ends is known when the lanes before it have ended.
            if self.settings.bounded && opened.side(&input.name) != Side::Behind {
                ends.insert(input.name.clone(), input.source.ends()?);
            }
            starts.extend(
                resolved
                    .into_iter()
                    .map(|start| (input.name.clone(), start)),
            );
        }
        let partitions = starts.iter();
        let partitions = partitions.map(|(input, start)| (input.clone(), start.partition.clone()));
        self.plan.fits(&partitions.collect::<Vec<_>>())?;
        let (mut newest, state, warming) = match newest {
            Some(mut checkpoint) => {
                let warming = self.build(&checkpoint, opened, &mut starts)?;
                self.follow(&mut checkpoint);
                let state = self.read_state(&checkpoint)?;
                (checkpoint, state, warming)
            }
            None => {
                let warm = self.read_back(opened, &mut starts)?;
                let zero = self.epoch_zero(run, opened, &starts, &warm)?;
                let warming = Warming::under_way(&zero);
                (zero, BTreeMap::new(), warming)
            }
        };
        recover(opened, &mut newest, &**self.log.store())?;
        Ok(Resolved {
            starts,
            ends,
            state,
            warming,
            ..Resolved::none(newest)
        })
    }

    /// Whether the newest checkpoint is this query's and its plan can go on from it.
    pub(crate) fn accept(&self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        accept(&self.log, &*self.plan, &self.job, &self.name, checkpoint)
    }

    /// Makes an accepted checkpoint that of the plan as it is now: steps that the plan no longer has are dropped with their
    /// state, at the next commit.
    pub(crate) fn follow(&self, checkpoint: &mut Checkpoint) {
        checkpoint.plan = self.plan.identity();
        if checkpoint.state().next().is_none() {
            return;
        }
        let steps: Vec<SmolStr> = [Side::Whole, Side::Before, Side::Behind]
            .into_iter()
            .flat_map(|side| self.plan.steps(side, &[]))
            .map(|step| step.name)
            .collect();
        for lane in &mut checkpoint.lanes {
            let read = &lane.partitions;
            // What a source keeps of a partition stands under the partition's name.
            lane.state.retain(|step, _| {
                steps.contains(step) || read.iter().any(|cut| cut.partition == *step)
            });
        }
    }

    /// Commits the resolved start of every partition before the first record is read.
    pub(crate) fn epoch_zero(
        &self,
        run: &Arc<str>,
        opened: &Opened,
        starts: &[(SmolStr, Start)],
        warm: &Places<Position>,
    ) -> Result<Checkpoint, Failure> {
        let cut = |input: &SmolStr, start: &Start| PartitionCut {
            input: input.clone(),
            partition: start.partition.clone(),
            position: start.position.clone(),
            watermark: None,
            seen: None,
            ended: false,
            start: warm.get(&(input.clone(), start.partition.clone())).cloned(),
        };
        let written = opened.sink.begin()?.map(|bytes| BASE64.encode(bytes));
        let mut begun: Vec<LaneCut> = Vec::new();
        for (input, start) in starts {
            let lane = lanes::name(&*self.plan, input, &start.partition);
            let cut = cut(input, start);
            match begun.iter_mut().find(|known| known.lane == lane) {
                Some(lane) => lane.partitions.push(cut),
                None => begun.push(LaneCut {
                    // What stands before an exchange writes that.
                    writer: written
                        .clone()
                        .filter(|_| opened.side(input) != Side::Before),
                    ..lanes::beginning(&*self.plan, vec![cut])
                }),
            }
        }
        let sources = opened
            .all_inputs()
            .filter_map(|input| Some((input.name.clone(), BASE64.encode(input.source.save()?))))
            .collect();
        let checkpoint = Checkpoint {
            format: FORMAT,
            job: self.job.clone(),
            query: self.name.clone(),
            checkpoint: new_id(),
            run: run.to_string(),
            epoch: 0,
            committed_at: now(),
            interval: self.log.announces(self.settings.checkpoint_interval),
            rewound: false,
            plan: self.plan.identity(),
            sources,
            beside: self.plan.beside(),
            lanes: begun,
        };
        self.log.commit(&checkpoint).map_err(|error| {
            let failure = self.log.unwritable("the first checkpoint", &error);
            self.log.or_taken_over(failure)
        })?;
        Ok(checkpoint)
    }
}
