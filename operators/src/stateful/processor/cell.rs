//! What is kept of one key: its value and its timers, and both as bytes.

use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::DataType;

use super::Timer;
use crate::stateful::bytes::{
    decode_row, encode_row, read_varint, take, unzigzag, write_varint, zigzag,
};

/// The value and the timers of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cell {
    pub(super) value: Option<Row>,
    /// In order.
    pub(super) timers: Vec<Timer>,
}

impl Cell {
    /// Whether there is nothing to keep.
    pub(super) fn is_empty(&self) -> bool {
        self.value.is_none() && self.timers.is_empty()
    }

    /// Adds a timer; false when it was set.
    pub(super) fn add(&mut self, timer: Timer) -> bool {
        match self.timers.binary_search(&timer) {
            Ok(_) => false,
            Err(place) => {
                self.timers.insert(place, timer);
                true
            }
        }
    }

    /// Takes a timer out; whether it was set.
    pub(super) fn take(&mut self, timer: Timer) -> bool {
        let found = self.timers.binary_search(&timer);
        if let Ok(place) = found {
            self.timers.remove(place);
        }
        found.is_ok()
    }

    /// Bytes of memory that it takes outside of itself.
    pub(super) fn memory(&self) -> usize {
        let values = self.value.iter().flatten();
        let long = values.map(|value| match value {
            Value::String(text) if text.is_heap_allocated() => text.len() + 16,
            Value::Binary(bytes) => bytes.len() + 16,
            Value::Array(items) | Value::Struct(items) => 24 * items.len() + 16,
            Value::Map(pairs) => 48 * pairs.len() + 16,
            _ => 0,
        });
        let row = self.value.as_ref().map_or(0, |row| row.len() * 24);
        // A timer lies in the key's list and in the order of all.
        long.sum::<usize>() + row + self.timers.len() * 56
    }

    /// Appends it: whether there is a value, the value, the number of timers, each as its kind and its time.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.value.is_some()));
        if let Some(value) = &self.value {
            encode_row(value, out);
        }
        write_varint(self.timers.len() as u64, out);
        for timer in &self.timers {
            let (kind, time) = match timer {
                Timer::Event(time) => (0, *time),
                Timer::Processing(time) => (1, *time),
            };
            out.push(kind);
            write_varint(zigzag(time), out);
        }
    }

    /// Takes one whose value has these types from the front of the bytes; None when they are not such.
    pub(super) fn read(bytes: &mut &[u8], types: &[DataType]) -> Option<Self> {
        let value = match take(bytes, 1)?[0] {
            0 => None,
            1 => Some(decode_row(bytes, types)?),
            _ => return None,
        };
        let mut cell = Self {
            value,
            timers: Vec::new(),
        };
        for _ in 0..read_varint(bytes)? {
            let kind = take(bytes, 1)?[0];
            let time = unzigzag(read_varint(bytes)?);
            cell.add(match kind {
                0 => Timer::Event(time),
                1 => Timer::Processing(time),
                _ => return None,
            });
        }
        Some(cell)
    }
}
