//! GROUP BY as a step of the plan: what it groups by, what it keeps, what it emits.

use smol_str::SmolStr;
use thalweg_engine::schema::Field;

use crate::job_error::Location;
use crate::stateful::grouping::{Grouping, Shape};

/// A GROUP BY over a row of keys, the window's time, and what the aggregates take.
#[derive(Clone, Debug)]
pub struct Group {
    /// What the operator gets. What it emits and when a group is over is filled in when the whole plan is known.
    pub(crate) grouping: Grouping,
    /// The columns of what it emits: keys, then results.
    pub(crate) fields: Vec<Field>,
    /// What it groups by, as it is written; the window's place among them is that of its struct.
    pub(crate) keys: Vec<SmolStr>,
    /// Where it stands in the job file.
    pub(crate) at: Location,
}

impl Group {
    /// Forgets the aggregates that nobody needs. Gives the new place of each column it emits, and the columns that it
    /// needs from below, in order.
    pub(crate) fn keep(&mut self, needed: &[usize]) -> (Vec<Option<usize>>, Vec<usize>) {
        let keys = self.keys.len();
        let mut places: Vec<Option<usize>> = (0..keys).map(Some).collect();
        let mut wanted: Vec<usize> = (0..self.grouping.keys.len()).collect();
        if let Some(window) = &self.grouping.window {
            wanted.push(window.time);
            if let Shape::Session { gap } = window.shape {
                wanted.push(gap);
            }
        }
        let mut next = keys;
        let mut fields = self.fields.split_off(keys).into_iter();
        let mut kept = Vec::new();
        for (index, aggregate) in std::mem::take(&mut self.grouping.aggregates)
            .into_iter()
            .enumerate()
        {
            let field = fields.next();
            if !needed.contains(&(keys + index)) {
                places.push(None);
                continue;
            }
            places.push(Some(next));
            next += 1;
            self.fields.extend(field);
            wanted.extend(&aggregate.arguments);
            wanted.extend(aggregate.filter);
            kept.push(aggregate);
        }
        wanted.sort_unstable();
        wanted.dedup();
        self.grouping.aggregates = kept;
        self.remap(&|old| wanted.iter().position(|place| *place == old).unwrap_or(old));
        (places, wanted)
    }

    /// Gives the columns of the row below other places.
    fn remap(&mut self, place: &dyn Fn(usize) -> usize) {
        if let Some(window) = &mut self.grouping.window {
            window.time = place(window.time);
            if let Shape::Session { gap } = &mut window.shape {
                *gap = place(*gap);
            }
        }
        for aggregate in &mut self.grouping.aggregates {
            for argument in &mut aggregate.arguments {
                *argument = place(*argument);
            }
            if let Some(filter) = &mut aggregate.filter {
                *filter = place(*filter);
            }
        }
    }

    /// The place in the row below of a key of what it emits; None for the window's struct.
    pub(crate) fn below_key(&self, key: usize) -> Option<usize> {
        match &self.grouping.window {
            Some(window) if key == window.at => None,
            Some(window) if key > window.at => Some(key - 1),
            _ => Some(key),
        }
    }
}
