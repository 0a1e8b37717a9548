//! One value out of many: `min`, `max`, `first`, `last`, `min_by`, `max_by`.

use std::cmp::Ordering;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use super::place::Place;
use crate::expr::compare::compare;

/// `min` and `max`, and with a second column `min_by` and `max_by`.
pub(super) struct Extreme {
    /// What is given.
    argument: usize,
    /// What it is chosen by.
    by: usize,
    /// Greater for the greatest.
    wanted: Ordering,
    chosen: Place,
    /// Where the value that it is chosen by stands, when that is another.
    key: Option<Place>,
}

impl Extreme {
    pub(super) fn new(arguments: &[usize], types: &[DataType], wanted: Ordering) -> Self {
        Self {
            argument: arguments[0],
            by: *arguments.last().unwrap_or(&arguments[0]),
            wanted,
            chosen: Place::new(&types[0]),
            key: types.get(1).map(Place::new),
        }
    }

    #[inline]
    fn take(&mut self, cell: &mut [u64], value: &Value, by: &Value) {
        if by.is_null() {
            return;
        }
        let (chosen, key) = cell.split_at_mut(self.chosen.words());
        let kept = match &self.key {
            Some(place) => place.get(key),
            None => self.chosen.get(chosen),
        };
        let better = kept.is_none_or(|kept| {
            let order = compare(by, &kept);
            order == self.wanted || (order == Ordering::Equal && self.key.is_some())
        });
        if better {
            self.chosen.set(chosen, value);
            if let Some(place) = &mut self.key {
                place.set(key, by);
            }
        }
    }
}

impl Accumulator for Extreme {
    fn words(&self) -> usize {
        self.chosen.words() + self.key.as_ref().map_or(0, Place::words)
    }

    #[inline]
    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        self.take(cell, &row[self.argument], &row[self.by]);
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        let (chosen, key) = from.split_at(self.chosen.words());
        let Some(value) = self.chosen.get(chosen) else {
            return Ok(());
        };
        match &self.key {
            Some(place) => {
                let by = place.get(key).unwrap_or_default();
                self.take(into, &value, &by);
            }
            None => self.take(into, &value, &value),
        }
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        Ok(self.chosen.get(cell).unwrap_or_default())
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        let (chosen, key) = cell.split_at(self.chosen.words());
        self.chosen.write(chosen, out);
        if let Some(place) = &self.key {
            place.write(key, out);
        }
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        let (chosen, key) = cell.split_at_mut(self.chosen.words());
        self.chosen.read(chosen, bytes)?;
        match &mut self.key {
            Some(place) => place.read(key, bytes),
            None => Some(()),
        }
    }

    fn free(&mut self, cell: &[u64]) {
        let (chosen, key) = cell.split_at(self.chosen.words());
        self.chosen.free(chosen);
        if let Some(place) = &mut self.key {
            place.free(key);
        }
    }

    #[inline]
    fn accept(&mut self) {
        self.chosen.accept();
        if let Some(place) = &mut self.key {
            place.accept();
        }
    }

    fn reject(&mut self) {
        self.chosen.reject();
        if let Some(place) = &mut self.key {
            place.reject();
        }
    }

    fn bytes(&self) -> usize {
        self.chosen.bytes() + self.key.as_ref().map_or(0, Place::bytes)
    }
}

/// `first` and `last`, in order of arrival.
pub(super) struct Arrival {
    argument: usize,
    last: bool,
    ignore_nulls: bool,
    place: Place,
}

impl Arrival {
    pub(super) fn new(
        argument: usize,
        data_type: &DataType,
        last: bool,
        ignore_nulls: bool,
    ) -> Self {
        Self {
            argument,
            last,
            ignore_nulls,
            place: Place::new(data_type),
        }
    }

    #[inline]
    fn take(&mut self, cell: &mut [u64], value: &Value) {
        let counts = !(self.ignore_nulls && value.is_null());
        if counts && (self.last || self.place.is_empty(cell)) {
            self.place.set(cell, value);
        }
    }
}

impl Accumulator for Arrival {
    fn words(&self) -> usize {
        self.place.words()
    }

    #[inline]
    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        self.take(cell, &row[self.argument]);
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        if let Some(value) = self.place.get(from) {
            self.take(into, &value);
        }
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        Ok(self.place.get(cell).unwrap_or_default())
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        self.place.write(cell, out);
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        self.place.read(cell, bytes)
    }

    fn free(&mut self, cell: &[u64]) {
        self.place.free(cell);
    }

    #[inline]
    fn accept(&mut self) {
        self.place.accept();
    }

    fn reject(&mut self) {
        self.place.reject();
    }

    fn bytes(&self) -> usize {
        self.place.bytes()
    }
}
