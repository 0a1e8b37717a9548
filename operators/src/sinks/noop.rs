//! The `noop` sink: takes every row and keeps none, for measuring what stands before it.

use std::sync::Arc;
use std::time::Instant;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::Value;
use thalweg_engine::schema::Schema;
use thalweg_engine::sink::{
    DeliveryObserver, LocalFuture, Origin, Readiness, Sink, Writer, WriterContext,
};

use crate::job_error::JobError;
use crate::table::{OpenContext, OptionSpec, Table};

/// It has no options.
pub const OPTIONS: &[OptionSpec] = &[];

/// Checks the table.
///
/// # Errors
/// For any option.
pub fn check(table: &Table, _input: &Schema) -> Result<(), JobError> {
    table.options.verify("noop", OPTIONS)
}

/// Opens the sink for one run.
///
/// # Errors
/// None.
pub fn open(
    _table: &Table,
    _input: &Schema,
    _context: &OpenContext,
) -> Result<Arc<dyn Sink>, Failure> {
    Ok(Arc::new(Noop))
}

struct Noop;

impl Sink for Noop {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(NoopWriter {
            observer: context.observer,
            rows: 0,
            taken: None,
            last: None,
        }))
    }
}

struct NoopWriter {
    observer: Arc<dyn DeliveryObserver>,
    /// Rows since the last `accept` or `reject`, and when their record was taken.
    rows: u64,
    taken: Option<Instant>,
    /// When the record before was taken, and how long it took.
    last: Option<(Instant, u64)>,
}

impl Writer for NoopWriter {
    fn write(&mut self, _row: &[Value], origin: Origin<'_>) -> Result<(), RecordError> {
        self.rows += 1;
        self.taken = Some(origin.meta.taken);
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        if let Some(taken) = self.taken.take() {
            // Records that were taken at one moment are measured once.
            let since = match self.last {
                Some((moment, since)) if moment == taken => since,
                _ => u64::try_from(taken.elapsed().as_micros()).unwrap_or(u64::MAX),
            };
            self.last = Some((taken, since));
            self.observer.acknowledged(self.rows, 0);
            self.observer.delivered(&self.observer.trace(), 0, since);
        }
        self.rows = 0;
        Ok(Readiness::Ready)
    }

    fn reject(&mut self) {
        self.rows = 0;
        self.taken = None;
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::testing::{Observed, context, meta};

    #[test]
    fn every_accepted_row_is_acknowledged_at_once_and_no_rejected_one() {
        let observed = Arc::new(Observed::default());
        let mut writer = Noop.open(context(&observed)).unwrap();
        let meta = meta();
        for (index, accepted) in [(0, true), (1, false), (2, true)] {
            let origin = Origin {
                meta: &meta,
                index,
                moment: false,
            };
            writer.write(&[], origin).unwrap();
            writer.write(&[], origin).unwrap();
            if accepted {
                assert_eq!(writer.accept(), Ok(Readiness::Ready));
            } else {
                writer.reject();
            }
        }
        assert_eq!(observed.rows(), 4);
    }
}
