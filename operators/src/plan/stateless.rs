//! The steps of an input up to the first that keeps rows: what they make of a record depends on the record alone.

use std::collections::BTreeMap;

use thalweg_engine::flow::pipeline;

use crate::plan::{Query, StepKind, Target};

/// Fresh operators of such steps.
pub struct Stateless {
    /// The steps; what goes on to a step that keeps rows goes to the writer.
    pub steps: Vec<pipeline::Step>,
    /// Where the rows of the input enter.
    pub entries: Vec<Target>,
    /// Whether these are all steps: each row that comes to the writer is a row of the output.
    pub whole: bool,
}

impl Query {
    /// Those of the input at this place.
    pub fn stateless(&self, input: usize) -> Stateless {
        let keeps = |place: usize| {
            let step = &self.steps[place];
            matches!(
                step.kind,
                StepKind::Rekey(_)
                    | StepKind::Own(_)
                    | StepKind::Sort(_)
                    | StepKind::Limit(_)
                    | StepKind::Join(_)
            ) || step.kind.state_name(&step.schema).is_some()
        };
        // Steps emit to steps behind them, so one look in their order finds all that are reached.
        let mut reached: BTreeMap<usize, usize> = BTreeMap::new();
        let mut open: Vec<Target> = self.steps[input].targets().collect();
        let mut whole = true;
        while let Some(target) = open.pop() {
            let Target::Step { step: place, .. } = target else {
                continue;
            };
            if keeps(place) {
                whole = false;
            } else if reached.insert(place, 0).is_none() {
                open.push(self.steps[place].to);
            }
        }
        for (number, place) in reached.values_mut().enumerate() {
            *place = number;
        }
        let moved = |target: Target| match target {
            Target::Step { step, input } => reached
                .get(&step)
                .map_or(Target::Writer, |step| Target::Step { step: *step, input }),
            Target::Writer => Target::Writer,
        };
        let entries = self.steps[input].targets().map(moved).collect();
        let steps = self.lane().steps.into_iter().enumerate();
        let steps = steps
            .filter(|(place, _)| reached.contains_key(place))
            .filter_map(|(_, step)| step)
            .map(|step| pipeline::Step {
                to: moved(step.to),
                ..step
            })
            .collect();
        Stateless {
            steps,
            entries,
            whole,
        }
    }
}
