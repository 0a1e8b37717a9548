//! `mode`: the value that came most often.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use super::slab::Slab;
use crate::expr::compare::compare;
use crate::stateful::bytes::{decode_row, encode_key, read_varint, take, write_varint};

/// How often each value came, by its bytes as a key.
type Counts = BTreeMap<Box<[u8]>, u64>;

/// A cell is the number of its counts. Of several that came equally often it is the least, or the greatest.
pub(super) struct Mode {
    argument: usize,
    data_type: DataType,
    greatest: bool,
    counts: Slab<Counts>,
    /// Counts that changed: the value, and how often it had come.
    undo: Vec<(u64, Box<[u8]>, u64)>,
    bytes: usize,
    encoded: Vec<u8>,
}

/// A value's own bytes, its count, and its share of the map.
fn value_bytes(value: &[u8]) -> usize {
    value.len() + 40
}

fn counts_bytes(counts: &Counts) -> usize {
    counts.keys().map(|value| value_bytes(value)).sum()
}

impl Mode {
    pub(super) fn new(argument: usize, data_type: &DataType, greatest: bool) -> Self {
        Self {
            argument,
            data_type: data_type.clone(),
            greatest,
            counts: Slab::default(),
            undo: Vec::new(),
            bytes: 0,
            encoded: Vec::new(),
        }
    }

    fn add(&mut self, cell: &mut [u64], value: &[u8], times: u64) {
        if self.counts.get(cell[0]).is_none() {
            cell[0] = self.counts.insert(Counts::new());
        }
        let Some(counts) = self.counts.get_mut(cell[0]) else {
            return;
        };
        let before = match counts.get_mut(value) {
            Some(count) => {
                let before = *count;
                *count += times;
                before
            }
            None => {
                counts.insert(value.into(), times);
                self.bytes += value_bytes(value);
                0
            }
        };
        self.undo.push((cell[0], value.into(), before));
    }

    fn decoded(&self, value: &[u8]) -> Value {
        let types = std::slice::from_ref(&self.data_type);
        let row = decode_row(&mut &*value, types);
        row.and_then(|row| row.first().cloned()).unwrap_or_default()
    }
}

impl Accumulator for Mode {
    fn words(&self) -> usize {
        1
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        let value = &row[self.argument];
        if !value.is_null() {
            let mut encoded = std::mem::take(&mut self.encoded);
            encoded.clear();
            encode_key(std::slice::from_ref(value), &mut encoded);
            self.add(cell, &encoded, 1);
            self.encoded = encoded;
        }
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        for (value, count) in self.counts.get(from[0]).cloned().unwrap_or_default() {
            self.add(into, &value, count);
        }
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        let Some(counts) = self.counts.get(cell[0]) else {
            return Ok(Value::Null);
        };
        let most = counts.values().max().copied().unwrap_or(0);
        let often = counts.iter().filter(|(_, count)| **count == most);
        let wanted = if self.greatest {
            Ordering::Greater
        } else {
            Ordering::Less
        };
        let chosen = often
            .map(|(value, _)| self.decoded(value))
            .reduce(|kept, value| {
                if compare(&value, &kept) == wanted {
                    value
                } else {
                    kept
                }
            });
        Ok(chosen.unwrap_or_default())
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        let none = Counts::new();
        let counts = self.counts.get(cell[0]).unwrap_or(&none);
        write_varint(counts.len() as u64, out);
        for (value, count) in counts {
            write_varint(value.len() as u64, out);
            out.extend_from_slice(value);
            write_varint(*count, out);
        }
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        for _ in 0..read_varint(bytes)? {
            let length = usize::try_from(read_varint(bytes)?).ok()?;
            let value = take(bytes, length)?;
            let count = read_varint(bytes)?;
            self.add(cell, value, count);
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
            .accept(|counts| *bytes -= counts_bytes(&counts).min(*bytes));
    }

    fn reject(&mut self) {
        while let Some((word, value, before)) = self.undo.pop() {
            if let Some(counts) = self.counts.get_mut(word) {
                if before > 0 {
                    counts.insert(value, before);
                } else if counts.remove(&value).is_some() {
                    self.bytes -= value_bytes(&value).min(self.bytes);
                }
            }
        }
        let bytes = &mut self.bytes;
        self.counts
            .reject(|counts| *bytes -= counts_bytes(&counts).min(*bytes));
    }

    fn bytes(&self) -> usize {
        self.bytes + self.counts.bytes()
    }
}
