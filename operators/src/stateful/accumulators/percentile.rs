//! `percentile`, `median`, `percentile_cont`, `percentile_disc`: exact, from how often each value came.

use std::collections::BTreeMap;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use super::slab::Slab;
use crate::stateful::bytes::{read_varint, take_array, write_varint};

/// Memory of a value with its count in the map.
const VALUE_BYTES: usize = 28;

/// How often each value came. A value is an integer in the order of doubles.
type Counts = BTreeMap<u64, u64>;

/// Which value of the ordered ones is taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Form {
    /// The greatest value is the first.
    pub(super) descending: bool,
    /// One of the values, and none between two.
    pub(super) discrete: bool,
}

/// A cell is the number of its counts.
pub(super) struct Percentile {
    argument: usize,
    /// The argument that says how often a value counts.
    frequency: Option<usize>,
    data_type: DataType,
    form: Form,
    percentages: Vec<f64>,
    /// Whether the result is an array.
    several: bool,
    counts: Slab<Counts>,
    /// Counts that changed: the value, and how often it had come.
    undo: Vec<(u64, u64, u64)>,
    bytes: usize,
}

/// A double as an integer of the same order: one NaN, the greatest; zeros are one.
fn key(x: f64) -> u64 {
    let x = if x.is_nan() { f64::NAN } else { x + 0.0 };
    let bits = x.to_bits();
    if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    }
}

fn value(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 {
        key & !(1 << 63)
    } else {
        !key
    })
}

impl Percentile {
    pub(super) fn new(
        argument: usize,
        data_type: &DataType,
        form: Form,
        percentages: &[f64],
        several: bool,
    ) -> Self {
        Self {
            argument,
            frequency: None,
            data_type: data_type.clone(),
            form,
            percentages: percentages.to_vec(),
            several,
            counts: Slab::default(),
            undo: Vec::new(),
            bytes: 0,
        }
    }

    /// One whose values count as often as this argument says.
    pub(super) fn counting(self, frequency: Option<usize>) -> Self {
        Self { frequency, ..self }
    }

    /// How often the value of a row counts; NULL is never.
    fn times(&self, row: &[Value]) -> Result<u64, RecordError> {
        match self.frequency.map(|place| &row[place]) {
            None => Ok(1),
            Some(Value::BigInt(times)) => u64::try_from(*times).map_err(|_| {
                RecordError::expression("percentile: a value cannot count less than 0 times")
            }),
            Some(_) => Ok(0),
        }
    }

    fn add(&mut self, cell: &mut [u64], key: u64, times: u64) {
        if self.counts.get(cell[0]).is_none() {
            cell[0] = self.counts.insert(Counts::new());
        }
        if let Some(counts) = self.counts.get_mut(cell[0]) {
            let count = counts.entry(key).or_default();
            if *count == 0 {
                self.bytes += VALUE_BYTES;
            }
            self.undo.push((cell[0], key, *count));
            *count = count.saturating_add(times);
        }
    }

    /// The value below which a share of all lies, as a double.
    #[allow(clippy::cast_precision_loss)]
    fn of(&self, counts: &Counts, share: f64) -> f64 {
        let total = counts
            .values()
            .fold(0, |all: u64, n| all.saturating_add(*n)) as f64;
        let position = if self.form.discrete {
            ((total * share).ceil() - 1.0).max(0.0)
        } else {
            (total - 1.0) * share
        };
        let pairs = counts.iter().map(|(key, count)| (*key, *count));
        if self.form.descending {
            at(pairs.rev(), position)
        } else {
            at(pairs, position)
        }
    }

    /// A double as a value of the type that the values have.
    #[allow(clippy::cast_possible_truncation)]
    fn value(&self, number: f64) -> Value {
        match &self.data_type {
            DataType::YearMonthInterval => Value::YearMonthInterval(number as i32),
            DataType::DayTimeInterval => Value::DayTimeInterval(number as i64),
            _ => Value::Double(number),
        }
    }
}

/// The value at this place among all, between the two nearest.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
fn at(counts: impl Iterator<Item = (u64, u64)>, position: f64) -> f64 {
    let (lower, higher) = (position.floor(), position.ceil());
    let mut seen = 0;
    let mut found = None;
    for (key, count) in counts {
        seen = u64::saturating_add(seen, count);
        if found.is_none() && seen > lower as u64 {
            found = Some(key);
        }
        if seen > higher as u64 {
            let (below, above) = (value(found.unwrap_or(key)), value(key));
            // Also of -0.0 and 0.0.
            if below == above {
                return below;
            }
            return below + (above - below) * (position - lower);
        }
    }
    f64::NAN
}

impl Accumulator for Percentile {
    fn words(&self) -> usize {
        1
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        #[allow(clippy::cast_precision_loss)]
        let x = match row[self.argument] {
            Value::Double(x) => x,
            Value::YearMonthInterval(months) => f64::from(months),
            Value::DayTimeInterval(micros) => micros as f64,
            _ => return Ok(()),
        };
        let times = self.times(row)?;
        if times > 0 {
            self.add(cell, key(x), times);
        }
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        for (key, count) in self.counts.get(from[0]).cloned().unwrap_or_default() {
            self.add(into, key, count);
        }
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        let Some(counts) = self.counts.get(cell[0]).filter(|counts| !counts.is_empty()) else {
            return Ok(Value::Null);
        };
        let of = |share: &f64| self.value(self.of(counts, *share));
        Ok(match self.percentages.as_slice() {
            [one] if !self.several => of(one),
            all => Value::Array(all.iter().map(of).collect()),
        })
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        let none = Counts::new();
        let counts = self.counts.get(cell[0]).unwrap_or(&none);
        write_varint(counts.len() as u64, out);
        for (key, count) in counts {
            out.extend_from_slice(&key.to_le_bytes());
            write_varint(*count, out);
        }
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        for _ in 0..read_varint(bytes)? {
            let key = u64::from_le_bytes(take_array(bytes)?);
            let count = read_varint(bytes)?;
            self.add(cell, key, count);
        }
        Some(())
    }

    fn free(&mut self, cell: &[u64]) {
        self.counts.free(cell[0]);
    }

    fn accept(&mut self) {
        self.undo.clear();
        let bytes = &mut self.bytes;
        self.counts
            .accept(|counts| *bytes -= (counts.len() * VALUE_BYTES).min(*bytes));
    }

    fn reject(&mut self) {
        while let Some((word, key, before)) = self.undo.pop() {
            if let Some(counts) = self.counts.get_mut(word) {
                if before > 0 {
                    counts.insert(key, before);
                } else if counts.remove(&key).is_some() {
                    self.bytes -= VALUE_BYTES.min(self.bytes);
                }
            }
        }
        let bytes = &mut self.bytes;
        self.counts
            .reject(|counts| *bytes -= (counts.len() * VALUE_BYTES).min(*bytes));
    }

    fn bytes(&self) -> usize {
        self.bytes + self.counts.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_stand_as_the_doubles_do() {
        let sorted = [f64::NEG_INFINITY, -2.5, 0.0, 1e-300, 3.0, f64::INFINITY];
        assert!(sorted.map(key).is_sorted());
        assert!(key(f64::NAN) > key(f64::INFINITY));
        assert_eq!(key(-0.0), key(0.0));
        for x in sorted {
            assert_eq!(value(key(x)), x);
        }
    }
}
