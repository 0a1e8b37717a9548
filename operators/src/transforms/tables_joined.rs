//! A join of two static tables while they are read: the rows of the left wait until all of the right are there.

use std::mem::take;
use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::{Row, Value};

use crate::transforms::{Edition, Lookup, Shelf};

/// The step: the left side is input 0, the right side input 1. For one reading of the tables, whose end is the tick.
pub struct TablesJoined {
    left: Vec<Row>,
    right: Edition,
    shelf: Arc<Shelf>,
    lookup: Lookup,
}

impl TablesJoined {
    /// Looks each row of the left up on the shelf, onto which the rows of the right are put, found by their keys.
    pub fn new(lookup: Lookup, shelf: Arc<Shelf>, right: Edition) -> Self {
        Self {
            left: Vec::new(),
            right,
            shelf,
            lookup,
        }
    }
}

impl Operator for TablesJoined {
    fn process(
        &mut self,
        side: usize,
        row: &[Value],
        _: &RecordMeta,
        _: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        if side == 1 {
            return self.right.add(row);
        }
        self.left.push(row.into());
        Ok(())
    }

    fn tick(
        &mut self,
        _: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.shelf.put(take(&mut self.right));
        for row in take(&mut self.left) {
            self.lookup.process(0, &row, at, emit)?;
        }
        Ok(Progress::Done)
    }
}
