//! `max_by(x, y, k)` and `min_by(x, y, k)`: of the rows with the greatest or least y.

use std::cmp::Ordering;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use super::place::value_bytes;
use super::slab::Slab;
use crate::expr::compare::compare;
use crate::stateful::bytes::{decode_value, encode_value, read_varint, write_varint};

/// Pairs of y and x, the best first.
type Best = Vec<(Value, Value)>;

/// A cell is the number of its list. Of equal ones the first to arrive is first.
pub(super) struct Top {
    x: usize,
    y: usize,
    types: [DataType; 2],
    /// Less for the least.
    wanted: Ordering,
    /// How many are kept.
    most: usize,
    lists: Slab<Best>,
    /// Lists that changed, as they were.
    undo: Vec<(u64, Best)>,
    bytes: usize,
}

fn pair_bytes((y, x): &(Value, Value)) -> usize {
    48 + value_bytes(y) + value_bytes(x)
}

fn list_bytes(list: &[(Value, Value)]) -> usize {
    list.iter().map(pair_bytes).sum()
}

impl Top {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn new(places: &[usize], types: &[DataType], wanted: Ordering, most: f64) -> Self {
        let x = places.first().copied().unwrap_or(0);
        let of = |place: usize| types.get(place).cloned().unwrap_or(DataType::Void);
        Self {
            x,
            y: places.last().copied().unwrap_or(x),
            types: [of(1), of(0)],
            wanted,
            most: most as usize,
            lists: Slab::default(),
            undo: Vec::new(),
            bytes: 0,
        }
    }

    fn take(&mut self, cell: &mut [u64], y: &Value, x: &Value) {
        if y.is_null() {
            return;
        }
        if self.lists.get(cell[0]).is_none() {
            cell[0] = self.lists.insert(Best::new());
        }
        let (wanted, most) = (self.wanted, self.most);
        let Some(list) = self.lists.get_mut(cell[0]) else {
            return;
        };
        let place = list.partition_point(|(kept, _)| compare(y, kept) != wanted);
        if place >= most {
            return;
        }
        self.undo.push((cell[0], list.clone()));
        let pair = (y.clone(), x.clone());
        self.bytes += pair_bytes(&pair);
        list.insert(place, pair);
        if list.len() > most
            && let Some(gone) = list.pop()
        {
            self.bytes -= pair_bytes(&gone).min(self.bytes);
        }
    }
}

impl Accumulator for Top {
    fn words(&self) -> usize {
        1
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        self.take(cell, &row[self.y], &row[self.x]);
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        for (y, x) in self.lists.get(from[0]).cloned().unwrap_or_default() {
            self.take(into, &y, &x);
        }
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        Ok(match self.lists.get(cell[0]) {
            Some(list) if !list.is_empty() => {
                Value::Array(list.iter().map(|(_, x)| x.clone()).collect())
            }
            _ => Value::Null,
        })
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        let list = self.lists.get(cell[0]).map_or(&[][..], Vec::as_slice);
        write_varint(list.len() as u64, out);
        for (y, x) in list {
            encode_value(y, out);
            encode_value(x, out);
        }
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        for _ in 0..read_varint(bytes)? {
            let y = decode_value(bytes, &self.types[0])?;
            let x = decode_value(bytes, &self.types[1])?;
            self.take(cell, &y, &x);
        }
        Some(())
    }

    fn free(&mut self, cell: &[u64]) {
        self.lists.free(cell[0]);
    }

    fn accept(&mut self) {
        self.undo.clear();
        let bytes = &mut self.bytes;
        self.lists
            .accept(|list| *bytes -= list_bytes(&list).min(*bytes));
    }

    fn reject(&mut self) {
        while let Some((word, before)) = self.undo.pop() {
            self.bytes += list_bytes(&before);
            if let Some(list) = self.lists.get_mut(word) {
                let after = std::mem::replace(list, before);
                self.bytes -= list_bytes(&after).min(self.bytes);
            }
        }
        let bytes = &mut self.bytes;
        self.lists
            .reject(|list| *bytes -= list_bytes(&list).min(*bytes));
    }

    fn bytes(&self) -> usize {
        self.bytes + self.lists.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_kept_in_order_and_a_null_has_no_place() {
        let types = [DataType::String, DataType::Int];
        let mut top = Top::new(&[0, 1], &types, Ordering::Greater, 2.0);
        let mut cell = vec![0; top.words()];
        for (x, y) in [
            ("a", Some(3)),
            ("b", None),
            ("c", Some(1)),
            ("d", Some(5)),
            ("e", Some(3)),
        ] {
            let row = [Value::from(x), y.map_or(Value::Null, Value::Int)];
            top.update(&mut cell, &row).unwrap();
        }
        let expected = Value::Array(["d", "a"].map(Value::from).into());
        assert_eq!(top.result(&cell), Ok(expected));
    }
}
