//! WATERMARK: gives each row its event time.

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;

use crate::expr::Eval;

/// Computes the event time of each row, keeps it beside the row and, where it has a name, in a column behind the others.
pub struct EventTime {
    time: Box<dyn Eval>,
    column: bool,
    scratch: Vec<Value>,
}

impl EventTime {
    /// With `column`, the time is appended to the row.
    pub fn new(time: Box<dyn Eval>, column: bool) -> Self {
        Self {
            time,
            column,
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
        if !self.column {
            return emit.emit(row, &meta);
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(row);
        self.scratch.push(time);
        emit.emit(&self.scratch, &meta)
    }
}
