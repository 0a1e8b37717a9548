//! A step with state behind a join of streams: it hears of event time later.
//!
//! What a join gives may be as old as the rows that wait in it, while the watermark goes by what its inputs have promised.
//! For the steps behind it the promise is less by the time that rows wait at most.

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::state::{StateChanges, StateSize};

/// Runs a step with watermarks that are earlier.
pub struct Behind {
    inner: Box<dyn Operator>,
    delay: Micros,
}

impl Behind {
    /// The step hears of each watermark less `delay`.
    pub fn new(inner: Box<dyn Operator>, delay: Micros) -> Self {
        Self { inner, delay }
    }

    fn earlier(&self, meta: &RecordMeta) -> RecordMeta {
        RecordMeta {
            watermark: meta.watermark.map(|at| at.saturating_sub(self.delay)),
            ..meta.clone()
        }
    }
}

/// Gives the rows on with the watermark as it is: each step behind takes its own delay off.
struct Onward<'e> {
    emit: &'e mut dyn Emit,
    watermark: Option<Micros>,
}

impl Emit for Onward<'_> {
    fn emit(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError> {
        let meta = RecordMeta {
            watermark: self.watermark,
            ..meta.clone()
        };
        self.emit.emit(row, &meta)
    }

    fn watermark(&mut self, watermark: Micros) {
        self.emit.watermark(watermark);
    }

    fn late(&mut self, rows: u64) {
        self.emit.late(rows);
    }
}

impl Operator for Behind {
    fn process(
        &mut self,
        input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let earlier = self.earlier(meta);
        let watermark = meta.watermark;
        self.inner
            .process(input, row, &earlier, &mut Onward { emit, watermark })
    }

    fn accept(&mut self) {
        self.inner.accept();
    }

    fn reject(&mut self) {
        self.inner.reject();
    }

    fn advance(
        &mut self,
        watermark: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        let earlier = self.earlier(at);
        let to = watermark.saturating_sub(self.delay);
        let watermark = at.watermark;
        self.inner
            .advance(to, &earlier, &mut Onward { emit, watermark })
    }

    fn tick(
        &mut self,
        now: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        let earlier = self.earlier(at);
        let watermark = at.watermark;
        self.inner
            .tick(now, &earlier, &mut Onward { emit, watermark })
    }

    fn resume(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let earlier = self.earlier(at);
        let watermark = at.watermark;
        self.inner.resume(&earlier, &mut Onward { emit, watermark })
    }

    fn expire(&mut self, now: Micros) {
        self.inner.expire(now);
    }

    fn save(&mut self) -> Option<StateChanges> {
        self.inner.save()
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        self.inner.restore(changes)
    }

    fn size(&self) -> StateSize {
        self.inner.size()
    }
}

#[cfg(test)]
mod tests {
    use thalweg_engine::testing::meta;

    use super::*;

    /// Emits what it hears of the watermark.
    struct Tells;

    impl Operator for Tells {
        fn process(
            &mut self,
            _: usize,
            _: &[Value],
            meta: &RecordMeta,
            emit: &mut dyn Emit,
        ) -> Result<(), RecordError> {
            emit.emit(&[Value::Timestamp(meta.watermark.unwrap_or(-1))], meta)
        }

        fn advance(
            &mut self,
            watermark: Micros,
            at: &RecordMeta,
            emit: &mut dyn Emit,
        ) -> Result<Progress, RecordError> {
            emit.emit(&[Value::Timestamp(watermark)], at)?;
            Ok(Progress::Done)
        }
    }

    /// What was emitted, each with the watermark that goes on with it.
    #[derive(Default)]
    struct Heard(Vec<(Value, Option<Micros>)>);

    impl Emit for Heard {
        fn emit(&mut self, row: &[Value], meta: &RecordMeta) -> Result<(), RecordError> {
            self.0.push((row[0].clone(), meta.watermark));
            Ok(())
        }
    }

    #[test]
    fn the_step_hears_of_earlier_watermarks_and_those_behind_it_of_all() {
        let mut step = Behind::new(Box::new(Tells), 10);
        let mut heard = Heard::default();
        let at = RecordMeta {
            watermark: Some(100),
            ..meta(0, 0, None)
        };
        step.process(0, &[], &at, &mut heard).unwrap();
        step.advance(105, &at, &mut heard).unwrap();
        assert_eq!(
            heard.0,
            [
                (Value::Timestamp(90), Some(100)),
                (Value::Timestamp(95), Some(100))
            ]
        );
    }
}
