//! One input, several ways: what UNION ALL of one table with itself becomes, so that the table is read once.

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;

/// Sends each row through every branch; the rows of all branches come out.
pub struct Fork {
    branches: Vec<Vec<Box<dyn Operator>>>,
}

impl Fork {
    /// A fork into branches of steps without state. A branch without steps lets rows pass.
    pub fn new(branches: Vec<Vec<Box<dyn Operator>>>) -> Self {
        Self { branches }
    }
}

impl Operator for Fork {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        for branch in &mut self.branches {
            Behind { rest: branch, emit }.emit(row, meta)?;
        }
        Ok(())
    }
}

/// The steps that are still to come, then what is behind them.
struct Behind<'b> {
    rest: &'b mut [Box<dyn Operator>],
    emit: &'b mut dyn Emit,
}

impl Emit for Behind<'_> {
    fn emit(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError> {
        match self.rest.split_first_mut() {
            Some((step, rest)) => {
                let emit = &mut *self.emit;
                step.process(0, row, meta, &mut Behind { rest, emit })
            }
            None => self.emit.emit(row, meta),
        }
    }

    fn watermark(&mut self, watermark: Micros) {
        self.emit.watermark(watermark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::stage::{column, through};
    use crate::transforms::{Cell, Filter, Project};

    #[test]
    fn a_row_goes_every_way_in_order() {
        let some: Box<dyn Operator> = Box::new(Filter::new(vec![column(0)]));
        let picked: Box<dyn Operator> = Box::new(Project::new(vec![Cell::Column(1)]));
        let other: Box<dyn Operator> = Box::new(Project::new(vec![Cell::Column(0)]));
        let mut fork = Fork::new(vec![vec![some, picked], vec![other]]);
        let rows = [
            vec![Value::Boolean(true), Value::Int(1)],
            vec![Value::Boolean(false), Value::Int(2)],
        ];
        assert_eq!(
            through(&mut fork, &rows).unwrap().rows,
            [
                vec![Value::Int(1)],
                vec![Value::Boolean(true)],
                vec![Value::Boolean(false)]
            ]
        );
    }
}
