//! An accumulator of rows in which another argument is not NULL either: the parts of a regression.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;

use super::accumulator::Accumulator;

/// Gives a row to another accumulator where the argument at a place is not NULL.
pub(super) struct Both {
    other: usize,
    inner: Box<dyn Accumulator>,
}

impl Both {
    pub(super) fn new(other: usize, inner: impl Accumulator + 'static) -> Self {
        Self {
            other,
            inner: Box::new(inner),
        }
    }
}

impl Accumulator for Both {
    fn words(&self) -> usize {
        self.inner.words()
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        if row[self.other].is_null() {
            return Ok(());
        }
        self.inner.update(cell, row)
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        self.inner.merge(into, from)
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        self.inner.result(cell)
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        self.inner.write(cell, out);
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        self.inner.read(cell, bytes)
    }

    fn free(&mut self, cell: &[u64]) {
        self.inner.free(cell);
    }

    fn accept(&mut self) {
        self.inner.accept();
    }

    fn reject(&mut self) {
        self.inner.reject();
    }

    fn bytes(&self) -> usize {
        self.inner.bytes()
    }
}
