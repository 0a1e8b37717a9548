//! `mode`: the value that came most often.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use super::slab::Slab;
use crate::expr::compare::compare;
use crate::stateful::bytes::{decode_value, encode_key, read_varint, take, write_varint};

/// How often each value came, by its bytes as a key.
type Values = BTreeMap<Box<[u8]>, u64>;

/// The value that came most often, and how often that is. It is kept beside the counts, because a query that answers each row at
/// once asks for it with each.
#[derive(Clone, Default)]
struct Most {
    value: Value,
    count: u64,
}

#[derive(Default)]
struct Counts {
    values: Values,
    most: Most,
}

/// A count that changed, and what it was.
struct Undo {
    word: u64,
    value: Box<[u8]>,
    before: u64,
    most: Most,
}

/// A cell is the number of its counts. Of several that came equally often it is the least, or the greatest.
pub(super) struct Mode {
    argument: usize,
    data_type: DataType,
    /// How a value stands to another that came as often and is taken before it.
    wanted: Ordering,
    counts: Slab<Counts>,
    undo: Vec<Undo>,
    bytes: usize,
    encoded: Vec<u8>,
}

/// A value's own bytes, its count, and its share of the map.
fn value_bytes(value: &[u8]) -> usize {
    value.len() + 40
}

fn counts_bytes(counts: &Counts) -> usize {
    counts.values.keys().map(|value| value_bytes(value)).sum()
}

impl Mode {
    pub(super) fn new(argument: usize, data_type: &DataType, greatest: bool) -> Self {
        Self {
            argument,
            data_type: data_type.clone(),
            wanted: if greatest {
                Ordering::Greater
            } else {
                Ordering::Less
            },
            counts: Slab::default(),
            undo: Vec::new(),
            bytes: 0,
            encoded: Vec::new(),
        }
    }

    fn add(&mut self, cell: &mut [u64], value: &[u8], times: u64) {
        if self.counts.get(cell[0]).is_none() {
            cell[0] = self.counts.insert(Counts::default());
        }
        let Some(counts) = self.counts.get_mut(cell[0]) else {
            return;
        };
        let before = match counts.values.get_mut(value) {
            Some(count) => {
                let before = *count;
                *count += times;
                before
            }
            None => {
                counts.values.insert(value.into(), times);
                self.bytes += value_bytes(value);
                0
            }
        };
        self.undo.push(Undo {
            word: cell[0],
            value: value.into(),
            before,
            most: counts.most.clone(),
        });
        let (count, most) = (before + times, &mut counts.most);
        if count >= most.count {
            let value = decode_value(&mut &*value, &self.data_type).unwrap_or_default();
            if count > most.count || compare(&value, &most.value) == self.wanted {
                *most = Most { value, count };
            }
        }
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
        let from = self.counts.get(from[0]);
        let values = from.map(|counts| counts.values.clone());
        for (value, count) in values.unwrap_or_default() {
            self.add(into, &value, count);
        }
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        let counts = self.counts.get(cell[0]);
        Ok(counts.map_or(Value::Null, |counts| counts.most.value.clone()))
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        let none = Values::new();
        let counts = self.counts.get(cell[0]);
        let values = counts.map_or(&none, |counts| &counts.values);
        write_varint(values.len() as u64, out);
        for (value, count) in values {
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
        while let Some(step) = self.undo.pop() {
            if let Some(counts) = self.counts.get_mut(step.word) {
                counts.most = step.most;
                if step.before > 0 {
                    counts.values.insert(step.value, step.before);
                } else if counts.values.remove(&step.value).is_some() {
                    self.bytes -= value_bytes(&step.value).min(self.bytes);
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
