//! Steps that are closures of a program.

use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;

/// Makes the operator of one lane.
type Make = Arc<dyn Fn() -> Box<dyn Operator> + Send + Sync>;

/// Where a closure puts the rows that it makes of one.
pub struct Rows<'e, 'm> {
    emit: &'e mut dyn Emit,
    meta: &'m RecordMeta,
}

impl Rows<'_, '_> {
    /// Sends a row on.
    ///
    /// # Errors
    /// When a step behind fails on it. It must be passed on.
    pub fn push(&mut self, row: &[Value]) -> Result<(), RecordError> {
        self.emit.emit(row, self.meta)
    }
}

/// A step that calls `each` with every row.
pub(crate) fn each<F>(each: F) -> Make
where
    F: Fn(&[Value], &mut Rows<'_, '_>) -> Result<(), RecordError> + Send + Sync + 'static,
{
    struct Each<F>(Arc<F>);
    impl<F> Operator for Each<F>
    where
        F: Fn(&[Value], &mut Rows<'_, '_>) -> Result<(), RecordError>,
    {
        fn process(
            &mut self,
            _input: usize,
            row: &[Value],
            meta: &RecordMeta,
            emit: &mut dyn Emit,
        ) -> Result<(), RecordError> {
            (self.0)(row, &mut Rows { emit, meta })
        }
    }
    let each = Arc::new(each);
    Arc::new(move || Box::new(Each(Arc::clone(&each))))
}

/// A step that gives rows the event time that `time` says, and shows it, less the delay, to their partition.
pub(crate) fn event_time<F>(time: F, delay: Micros) -> Make
where
    F: Fn(&[Value]) -> Option<Micros> + Send + Sync + 'static,
{
    struct Times<F>(Arc<F>, Micros);
    impl<F: Fn(&[Value]) -> Option<Micros>> Operator for Times<F> {
        fn process(
            &mut self,
            _input: usize,
            row: &[Value],
            meta: &RecordMeta,
            emit: &mut dyn Emit,
        ) -> Result<(), RecordError> {
            let event_time = (self.0)(row);
            if let Some(time) = event_time {
                emit.watermark(time.saturating_sub(self.1));
            }
            let meta = RecordMeta {
                event_time,
                ..meta.clone()
            };
            emit.emit(row, &meta)
        }
    }
    let time = Arc::new(time);
    Arc::new(move || Box::new(Times(Arc::clone(&time), delay)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::stage::through;

    #[test]
    fn a_closure_makes_any_number_of_rows() {
        let mut twice = each(|row, out| {
            out.push(row)?;
            out.push(row)
        })();
        let rows = [vec![Value::Int(1)], vec![Value::Int(2)]];
        let through = through(&mut *twice, &rows).unwrap();
        assert_eq!(through.rows.len(), 4);
    }

    #[test]
    fn an_event_time_stands_beside_the_row_and_moves_the_watermark() {
        let time = |row: &[Value]| match row {
            [Value::BigInt(time)] => Some(*time),
            _ => None,
        };
        let rows = [vec![Value::BigInt(7)], vec![Value::Null]];
        let through = through(&mut *event_time(time, 5)(), &rows).unwrap();
        assert_eq!(through.event_times, [Some(7), None]);
        assert_eq!(through.watermark, Some(2));
        assert_eq!(through.rows, rows);
    }
}
