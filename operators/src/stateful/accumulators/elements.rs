//! The elements of arrays, one by one, for an accumulator of values: `collect_union`.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;

use super::accumulator::Accumulator;

/// Gives each element of the arrays to an accumulator of rows with one column.
pub(super) struct Elements<A> {
    argument: usize,
    of: A,
}

impl<A: Accumulator> Elements<A> {
    pub(super) fn new(argument: usize, of: A) -> Self {
        Self { argument, of }
    }
}

impl<A: Accumulator> Accumulator for Elements<A> {
    fn words(&self) -> usize {
        self.of.words()
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        let Value::Array(elements) = &row[self.argument] else {
            return Ok(());
        };
        let mut elements = elements.iter();
        elements.try_for_each(|element| self.of.update(cell, std::slice::from_ref(element)))
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        self.of.merge(into, from)
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        self.of.result(cell)
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        self.of.write(cell, out);
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        self.of.read(cell, bytes)
    }

    fn free(&mut self, cell: &[u64]) {
        self.of.free(cell);
    }

    fn accept(&mut self) {
        self.of.accept();
    }

    fn reject(&mut self) {
        self.of.reject();
    }

    fn bytes(&self) -> usize {
        self.of.bytes()
    }
}
