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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::stage::{column, compute, through};

    #[test]
    fn only_true_passes_and_null_is_not_true() {
        let mut filter = Filter::new(vec![column(0)]);
        let rows = [
            vec![Value::Boolean(true)],
            vec![Value::Boolean(false)],
            vec![Value::Null],
        ];
        assert_eq!(
            through(&mut filter, &rows).unwrap().rows,
            [vec![Value::Boolean(true)]]
        );
    }

    #[test]
    fn a_later_condition_is_not_tried_when_an_earlier_one_fails() {
        let never = compute(|_| Err(RecordError::expression("tried")));
        let mut filter = Filter::new(vec![column(0), never]);
        assert!(through(&mut filter, &[vec![Value::Boolean(false)]]).is_ok());
        assert!(through(&mut filter, &[vec![Value::Boolean(true)]]).is_err());
    }
}
