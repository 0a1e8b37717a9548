//! A stage for tests of one step: rows in, rows out.

use std::sync::Arc;
use std::time::Instant;

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::row::{Row, Value};

use crate::expr::Eval;

/// A record's meta data.
pub(crate) fn meta() -> RecordMeta {
    RecordMeta {
        partition: Arc::new(Partition {
            input: "t".into(),
            name: "t/0".into(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        watermark: None,
        taken_at: 0,
        taken: Instant::now(),
    }
}

/// The value at a place of the row.
pub(crate) fn column(place: usize) -> Box<dyn Eval> {
    compute(move |row| Ok(row[place].clone()))
}

/// A value computed from the row.
pub(crate) fn compute<F>(function: F) -> Box<dyn Eval>
where
    F: FnMut(&[Value]) -> Result<Value, RecordError> + Send + 'static,
{
    struct Computed<F>(F);
    impl<F: FnMut(&[Value]) -> Result<Value, RecordError> + Send> Eval for Computed<F> {
        fn eval(&mut self, row: &[Value], _meta: &RecordMeta) -> Result<Value, RecordError> {
            (self.0)(row)
        }
    }
    Box::new(Computed(function))
}

/// What comes out, with the event times.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) rows: Vec<Row>,
    pub(crate) event_times: Vec<Option<i64>>,
    pub(crate) watermark: Option<i64>,
}

impl Emit for Collected {
    fn emit(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError> {
        self.rows.push(row.to_vec());
        self.event_times.push(meta.event_time);
        Ok(())
    }

    fn watermark(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(Some(watermark));
    }
}

/// Sends rows through a step.
pub(crate) fn through(operator: &mut dyn Operator, rows: &[Row]) -> Result<Collected, RecordError> {
    let mut collected = Collected::default();
    let meta = meta();
    for row in rows {
        operator.process(0, row, &meta, &mut collected)?;
    }
    Ok(collected)
}
