//! A plan as programs draw it: its steps, and where the rows of each go.

use smol_str::SmolStr;

use crate::plan::{Query, StepKind, Target};

/// A step as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Its name: that of its state, for an input the table's.
    pub name: SmolStr,
    /// What it does, in a word: `read`, `filter`, `join`, ...
    pub kind: &'static str,
    /// What it does, as in the tree. Values that a `${...}` put in do not show.
    pub shown: String,
    /// The places of the steps that its rows go to; None is the output.
    pub to: Vec<Option<usize>>,
}

impl Query {
    /// Its steps, in the order of [`Query::steps`].
    pub fn drawn(&self) -> Vec<Drawn> {
        let steps = self.steps.iter().enumerate();
        steps
            .map(|(place, step)| Drawn {
                name: step.name.clone(),
                kind: step.kind.word(),
                shown: self.shown_step(place),
                to: step
                    .targets()
                    .map(|target| match target {
                        Target::Writer => None,
                        Target::Step { step, .. } => Some(step),
                    })
                    .collect(),
            })
            .collect()
    }
}

impl StepKind {
    /// What it does, in a word.
    fn word(&self) -> &'static str {
        match self {
            Self::Source(_) => "read",
            Self::Filter(_) => "filter",
            Self::Project(_) => "project",
            Self::Explode(_) => "explode",
            Self::EventTime(_) => "watermark",
            Self::Fork(_) => "fork",
            Self::Aggregate(_) => "group",
            Self::Dedup(_) => "distinct",
            Self::Sort(_) => "sort",
            Self::Limit(_) => "limit",
            Self::Join(_) => "join",
            Self::Lookup(_) => "lookup",
            Self::Over(_) => "over",
            Self::Rekey(_) => "exchange",
            Self::Own(_) => "own",
        }
    }
}
