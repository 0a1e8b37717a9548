//! Where a run reads back to, to build state: all of it at a first start, new steps beside kept state in a changed plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::epoch::checkpoint::Checkpoint;
use crate::error::Failure;
use crate::plan::Opened;
use crate::query::Query;
use crate::record::Position;
use crate::source::Start;
use crate::starting::Places;

/// The warm-up of one run.
#[derive(Debug, Default)]
pub(crate) struct Warming {
    /// Where rows begin to be written, of partitions that are read from before.
    pub(crate) warm: Places<Position>,
    /// The steps that are built beside kept state; None where all state is, or nothing.
    pub(crate) builds: Option<Arc<BTreeSet<SmolStr>>>,
}

impl Warming {
    /// The warm-up that a checkpoint is in the middle of.
    pub(crate) fn under_way(checkpoint: &Checkpoint) -> Self {
        let cuts = checkpoint.partitions();
        let warm = cuts.filter_map(|cut| {
            let place = (cut.input.clone(), cut.partition.clone());
            Some((place, cut.start.clone()?))
        });
        Self {
            warm: warm.collect(),
            builds: None,
        }
    }
}

impl Query {
    /// What a run from this checkpoint reads back: the rest of a warm-up that it is in the middle of, or, where the plan has
    /// steps that it has no state of, what stands before its positions. The starts are moved back then; the
    /// checkpoint is not, so a run that does not come to its first epoch leaves nothing behind.
    pub(crate) fn build(
        &self,
        checkpoint: &Checkpoint,
        opened: &Opened,
        starts: &mut [(SmolStr, Start)],
    ) -> Result<Warming, Failure> {
        let under_way = Warming::under_way(checkpoint);
        let lacks = self.plan.lacks(&checkpoint.plan);
        if self.settings.warm_up.is_none() || lacks.is_empty() {
            return Ok(under_way);
        }
        if !under_way.warm.is_empty() {
            return Err(Failure::refuse(format!(
                "the query `{}` has new state ({}), and the checkpoint in {} is in the middle of a warm-up: start it as it was \
                 until it is ready, then with the change",
                self.name,
                lacks.join(", "),
                self.log.location()
            )));
        }
        let warm = self.read_back(opened, starts)?;
        let builds = (!warm.is_empty()).then(|| {
            tracing::info!(
                steps = lacks.join(", "),
                "new state is built from the newest records"
            );
            Arc::new(lacks.into_iter().collect())
        });
        Ok(Warming { warm, builds })
    }

    /// Commits where all partitions of the inputs start, as the options say it.
    pub(crate) fn start_all(&self, run: &Arc<str>, opened: &Opened) -> Result<Checkpoint, Failure> {
        let mut starts = Vec::new();
        for input in opened.all_inputs() {
            let resolved = input.source.resolve(None)?.into_iter();
            starts.extend(resolved.map(|start| (input.name.clone(), start)));
        }
        let partitions = starts.iter();
        let partitions = partitions.map(|(input, start)| (input.clone(), start.partition.clone()));
        self.plan.fits(&partitions.collect::<Vec<_>>())?;
        let warm = self.read_back(opened, &mut starts)?;
        self.epoch_zero(run, opened, &starts, &warm)
    }

    /// As [`Query::build`], for one lane of a shared query. One whose chain has not `begun` and that is to warm up has nothing
    /// that its plan could lack.
    pub(crate) fn build_shared(
        &self,
        claim: &Checkpoint,
        begun: bool,
        opened: &Opened,
        begins: &mut [(SmolStr, Start)],
    ) -> Result<Warming, Failure> {
        let under_way = Warming::under_way(claim);
        if !begun && !under_way.warm.is_empty() {
            return Ok(under_way);
        }
        self.build(claim, opened, begins)
    }

    /// Moves the starts of streams back by the warm-up. Gives where they were.
    pub(crate) fn read_back(
        &self,
        opened: &Opened,
        starts: &mut [(SmolStr, Start)],
    ) -> Result<Places<Position>, Failure> {
        let mut warm = Places::new();
        let Some(by) = self.settings.warm_up else {
            return Ok(warm);
        };
        for input in opened.inputs.iter().filter(|input| !input.role.table) {
            let mut own: Vec<&mut Start> = starts
                .iter_mut()
                .filter(|(of, _)| *of == input.name)
                .map(|(_, start)| start)
                .collect();
            let given: Vec<Start> = own.iter().map(|start| (**start).clone()).collect();
            let back = input.source.back(&given, by)?.ok_or_else(|| {
                Failure::refuse(format!(
                    "warmUp reads back what stands before the start, and the input `{}` cannot be read back: leave warmUp out",
                    input.name
                ))
            })?;
            for (start, back) in own.iter_mut().zip(back) {
                let position = std::mem::replace(&mut start.position, back);
                if position != start.position {
                    warm.insert((input.name.clone(), start.partition.clone()), position);
                }
            }
        }
        Ok(warm)
    }
}
