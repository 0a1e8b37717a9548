//! WHERE: keeps the rows for which every condition is true.

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;

use crate::expr::Eval;

/// Keeps the rows for which every condition is true; NULL is not true.
pub struct Filter {
    conditions: Vec<Box<dyn Eval>>,
}

impl Filter {
    /// A filter of conditions that are tried in this order.
    pub fn new(conditions: Vec<Box<dyn Eval>>) -> Self {
        Self { conditions }
    }
}

impl Operator for Filter {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        for condition in &mut self.conditions {
            if !matches!(condition.eval(row, meta)?, Value::Boolean(true)) {
                return Ok(());
            }
        }
        emit.emit(row, meta)
    }
}
