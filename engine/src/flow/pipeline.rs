//! The living operators of one lane, wired into a tree that ends in its writer.

use smol_str::SmolStr;

use crate::operator::Operator;

/// Where a step's rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the input `input` of the step at this place in the pipeline.
    Step {
        /// The place; always behind the step that emits.
        step: usize,
        /// 0, or 1 for the right side of a join.
        input: usize,
    },
    /// To the writer.
    Writer,
}

/// One step, ready to run.
pub struct Step {
    /// Its name: the identity of its state.
    pub name: SmolStr,
    /// What it does.
    pub operator: Box<dyn Operator>,
    /// Where its rows go.
    pub to: Target,
}
