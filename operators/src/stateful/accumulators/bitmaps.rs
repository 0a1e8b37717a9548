//! Bitmaps of 32,768 bits: `bitmap_construct_agg`, `bitmap_or_agg`, `bitmap_and_agg`.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;

use super::accumulator::Accumulator;
use super::slab::Slab;
use crate::stateful::bytes::take;

/// Bytes of a bitmap.
const BYTES: usize = 4096;

/// How a value becomes part of a bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is the place of a bit that is set.
    Set,
    /// It is a bitmap, whose bits are set too.
    Or,
    /// It is a bitmap; bits that it has not set are taken away, those behind its end too.
    And,
}

/// One bitmap for each group; a cell is its number. No row: no bit is set, or with AND all are.
pub(super) struct Bitmaps {
    argument: usize,
    way: Way,
    maps: Slab<Box<[u8; BYTES]>>,
    /// Bytes that changed, and what they were.
    undo: Vec<(u64, u16, u8)>,
    count: usize,
}

impl Bitmaps {
    pub(super) fn new(argument: usize, way: Way) -> Self {
        Self {
            argument,
            way,
            maps: Slab::default(),
            undo: Vec::new(),
            count: 0,
        }
    }

    fn empty(&self) -> [u8; BYTES] {
        match self.way {
            Way::And => [u8::MAX; BYTES],
            Way::Set | Way::Or => [0; BYTES],
        }
    }

    fn of(&self, cell: &[u64]) -> Option<&[u8; BYTES]> {
        self.maps.get(cell[0]).map(|map| &**map)
    }

    /// The bitmap of a cell, made where there is none.
    fn made(&mut self, cell: &mut [u64]) -> u64 {
        if self.maps.get(cell[0]).is_none() {
            cell[0] = self.maps.insert(Box::new(self.empty()));
            self.count += 1;
        }
        cell[0]
    }

    fn put(&mut self, word: u64, place: usize, byte: u8) {
        let Some(old) = self.maps.get_mut(word).and_then(|map| map.get_mut(place)) else {
            return;
        };
        if *old != byte {
            let place = u16::try_from(place).unwrap_or(u16::MAX);
            self.undo.push((word, place, std::mem::replace(old, byte)));
        }
    }

    /// Joins a bitmap with that of a cell.
    fn join(&mut self, cell: &mut [u64], bits: &[u8]) {
        let word = self.made(cell);
        for place in 0..BYTES {
            let byte = bits.get(place).copied().unwrap_or(0);
            let old = self.maps.get(word).map_or(0, |map| map[place]);
            let new = match self.way {
                Way::And => old & byte,
                Way::Set | Way::Or => old | byte,
            };
            self.put(word, place, new);
        }
    }
}

impl Accumulator for Bitmaps {
    fn words(&self) -> usize {
        1
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        match &row[self.argument] {
            Value::BigInt(bit) => {
                let place = usize::try_from(*bit).ok().filter(|bit| *bit < BYTES * 8);
                let Some(place) = place else {
                    return Err(RecordError::expression(format!(
                        "the place {bit} is outside of a bitmap, which has {} bits: bitmap_bit_position gives a place",
                        BYTES * 8
                    )));
                };
                let word = self.made(cell);
                let old = self.maps.get(word).map_or(0, |map| map[place / 8]);
                self.put(word, place / 8, old | (1 << (place % 8)));
            }
            Value::Binary(bits) => self.join(cell, bits),
            _ => {}
        }
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        if let Some(bits) = self.of(from).copied() {
            self.join(into, &bits);
        }
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        let bits = self.of(cell).copied().unwrap_or_else(|| self.empty());
        Ok(Value::Binary(bits.as_slice().into()))
    }

    /// Whether there is a bitmap, then its bytes.
    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        match self.of(cell) {
            Some(bits) => {
                out.push(1);
                out.extend_from_slice(bits);
            }
            None => out.push(0),
        }
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        match take(bytes, 1)? {
            [0] => {}
            [1] => {
                let bits: [u8; BYTES] = take(bytes, BYTES)?.try_into().ok()?;
                let word = self.made(cell);
                if let Some(map) = self.maps.get_mut(word) {
                    **map = bits;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn free(&mut self, cell: &[u64]) {
        self.maps.free(cell[0]);
    }

    fn accept(&mut self) {
        self.undo.clear();
        let count = &mut self.count;
        self.maps.accept(|_| *count = count.saturating_sub(1));
    }

    fn reject(&mut self) {
        while let Some((word, place, byte)) = self.undo.pop() {
            if let Some(map) = self.maps.get_mut(word) {
                map[usize::from(place)] = byte;
            }
        }
        let count = &mut self.count;
        self.maps.reject(|_| *count = count.saturating_sub(1));
    }

    fn bytes(&self) -> usize {
        self.count * BYTES + self.maps.bytes()
    }
}
