//! `collect_list`.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use super::place::value_bytes;
use super::slab::Slab;
use crate::stateful::bytes::{decode_value, encode_value, read_varint, write_varint};

/// All values in order of arrival; a cell is the number of its list.
pub(super) struct CollectList {
    argument: usize,
    element: DataType,
    lists: Slab<Vec<Value>>,
    /// Lists that grew, and how long they were.
    undo: Vec<(u64, usize)>,
    bytes: usize,
}

fn list_bytes(list: &[Value]) -> usize {
    list.iter().map(|value| 24 + value_bytes(value)).sum()
}

impl CollectList {
    pub(super) fn new(argument: usize, element: DataType) -> Self {
        Self {
            argument,
            element,
            lists: Slab::default(),
            undo: Vec::new(),
            bytes: 0,
        }
    }

    /// The values of a cell.
    pub(super) fn of(&self, cell: &[u64]) -> &[Value] {
        self.lists.get(cell[0]).map_or(&[][..], Vec::as_slice)
    }

    fn extend(&mut self, cell: &mut [u64], values: &[Value]) {
        self.bytes += list_bytes(values);
        match self.lists.get_mut(cell[0]) {
            Some(list) => {
                self.undo.push((cell[0], list.len()));
                list.extend_from_slice(values);
            }
            None => cell[0] = self.lists.insert(values.to_vec()),
        }
    }
}

impl Accumulator for CollectList {
    fn words(&self) -> usize {
        1
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        let value = &row[self.argument];
        if !value.is_null() {
            self.extend(cell, std::slice::from_ref(value));
        }
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        let values = self.lists.get(from[0]).cloned().unwrap_or_default();
        if !values.is_empty() {
            self.extend(into, &values);
        }
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        Ok(Value::Array(self.of(cell).into()))
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        let list = self.of(cell);
        write_varint(list.len() as u64, out);
        for value in list {
            encode_value(value, out);
        }
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        let count = read_varint(bytes)?;
        let values = (0..count).map(|_| decode_value(bytes, &self.element));
        let values = values.collect::<Option<Vec<_>>>()?;
        if !values.is_empty() {
            self.extend(cell, &values);
        }
        Some(())
    }

    fn free(&mut self, cell: &[u64]) {
        self.lists.free(cell[0]);
    }

    #[inline]
    fn accept(&mut self) {
        self.undo.clear();
        let bytes = &mut self.bytes;
        self.lists
            .accept(|list| *bytes -= list_bytes(&list).min(*bytes));
    }

    fn reject(&mut self) {
        while let Some((word, length)) = self.undo.pop() {
            if let Some(list) = self.lists.get_mut(word) {
                self.bytes -= list_bytes(&list[length..]).min(self.bytes);
                list.truncate(length);
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
