//! WATERMARK: gives each row its event time.

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;

use crate::expr::Eval;

/// Computes the event time of each row, keeps it beside the row and, where it has a name, in a column behind the others.
/// The event time less the delay is the watermark that the row shows to its partition.
pub struct EventTime {
    time: Box<dyn Eval>,
    column: bool,
    delay: Micros,
    scratch: Vec<Value>,
}

impl EventTime {
    /// With `column`, the time is appended to the row. Rows may be `delay` microseconds late.
    pub fn new(time: Box<dyn Eval>, column: bool, delay: Micros) -> Self {
        Self {
            time,
            column,
            delay,
            scratch: Vec::new(),
        }
    }
}

impl Operator for EventTime {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let time = self.time.eval(row, meta)?;
        let meta = RecordMeta {
            event_time: match &time {
                Value::Timestamp(micros) | Value::TimestampNtz(micros) => Some(*micros),
                _ => None,
            },
            ..meta.clone()
        };
        if let Some(time) = meta.event_time {
            emit.watermark(time.saturating_sub(self.delay));
        }
        if !self.column {
            return emit.emit(row, &meta);
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(row);
        self.scratch.push(time);
        emit.emit(&self.scratch, &meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::stage::{column, through};

    #[test]
    fn the_time_stands_beside_the_row_and_in_its_column() {
        let rows = [vec![Value::Timestamp(7)], vec![Value::Null]];
        let named = through(&mut EventTime::new(column(0), true, 5), &rows).unwrap();
        assert_eq!(named.event_times, [Some(7), None]);
        assert_eq!(named.watermark, Some(2));
        assert_eq!(named.rows[0], [Value::Timestamp(7), Value::Timestamp(7)]);
        let unnamed = through(&mut EventTime::new(column(0), false, 5), &rows).unwrap();
        assert_eq!(unnamed.event_times, [Some(7), None]);
        assert_eq!(unnamed.rows, rows);
    }
}
