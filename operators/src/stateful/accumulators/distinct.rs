//! DISTINCT in any aggregate, and `collect_set`, which is a list of distinct values.

use hashbrown::HashTable;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;
use xxhash_rust::xxh64::xxh64;

use super::accumulator::Accumulator;
use super::slab::Slab;
use crate::stateful::bytes::{decode_row, encode_key, read_varint, take, write_varint};

/// Rows in order of their first arrival, each once.
#[derive(Default)]
struct Set {
    rows: Vec<Box<[u8]>>,
    places: HashTable<u32>,
}

impl Set {
    /// Adds a row unless it is there.
    fn insert(&mut self, row: &[u8]) -> bool {
        let hash = xxh64(row, 0);
        let known = |place: &u32| *self.rows[*place as usize] == *row;
        if self.places.find(hash, known).is_some() {
            return false;
        }
        let place = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        self.rows.push(row.into());
        let rows = &self.rows;
        self.places
            .insert_unique(hash, place, |place| xxh64(&rows[*place as usize], 0));
        true
    }

    fn truncate(&mut self, length: usize) {
        while self.rows.len() > length {
            let place = u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX);
            let row = self.rows.pop().unwrap_or_default();
            if let Ok(entry) = self
                .places
                .find_entry(xxh64(&row, 0), |other| *other == place)
            {
                entry.remove();
            }
        }
    }

    fn bytes(&self) -> usize {
        self.rows.iter().map(|row| row_bytes(row)).sum()
    }
}

/// A row's own bytes and its share of both lists.
fn row_bytes(row: &[u8]) -> usize {
    row.len() + 40
}

/// Gives each different row of arguments to another accumulator once. The cell is the number of the set, then the other's.
pub(super) struct Distinct {
    arguments: Vec<usize>,
    types: Vec<DataType>,
    inner: Box<dyn Accumulator>,
    sets: Slab<Set>,
    /// Sets that grew, and how many rows they had.
    undo: Vec<(u64, usize)>,
    bytes: usize,
    encoded: Vec<u8>,
    values: Vec<Value>,
}

impl Distinct {
    /// `inner` takes the arguments at the places 0, 1...
    pub(super) fn new(
        arguments: Vec<usize>,
        types: Vec<DataType>,
        inner: Box<dyn Accumulator>,
    ) -> Self {
        Self {
            arguments,
            types,
            inner,
            sets: Slab::default(),
            undo: Vec::new(),
            bytes: 0,
            encoded: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Whether the row was not there.
    fn insert(&mut self, cell: &mut [u64], row: &[u8]) -> bool {
        let new = match self.sets.get_mut(cell[0]) {
            Some(set) => {
                let before = set.rows.len();
                let new = set.insert(row);
                if new {
                    self.undo.push((cell[0], before));
                }
                new
            }
            None => {
                let mut set = Set::default();
                set.insert(row);
                cell[0] = self.sets.insert(set);
                true
            }
        };
        if new {
            self.bytes += row_bytes(row);
        }
        new
    }

    /// Adds a row that stands as bytes. The other takes its values as the bytes have them, -0.0 as 0.0, as it will after a
    /// restart.
    fn add(&mut self, cell: &mut [u64], row: &[u8]) -> Result<(), RecordError> {
        if self.insert(cell, row)
            && let Some(values) = decode_row(&mut &*row, &self.types)
        {
            self.inner.update(&mut cell[1..], &values)?;
        }
        Ok(())
    }
}

impl Accumulator for Distinct {
    fn words(&self) -> usize {
        1 + self.inner.words()
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        let mut values = std::mem::take(&mut self.values);
        values.clear();
        values.extend(self.arguments.iter().map(|&place| row[place].clone()));
        let mut outcome = Ok(());
        if !values.iter().any(Value::is_null) {
            let mut encoded = std::mem::take(&mut self.encoded);
            encoded.clear();
            encode_key(&values, &mut encoded);
            outcome = self.add(cell, &encoded);
            self.encoded = encoded;
        }
        self.values = values;
        outcome
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        let rows = self.sets.get(from[0]).map(|set| set.rows.clone());
        for row in rows.unwrap_or_default() {
            self.add(into, &row)?;
        }
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        self.inner.result(&cell[1..])
    }

    /// The rows alone: the other's cell follows from them.
    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        let rows = self.sets.get(cell[0]).map_or(&[][..], |set| &set.rows);
        write_varint(rows.len() as u64, out);
        for row in rows {
            write_varint(row.len() as u64, out);
            out.extend_from_slice(row);
        }
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        for _ in 0..read_varint(bytes)? {
            let length = usize::try_from(read_varint(bytes)?).ok()?;
            self.add(cell, take(bytes, length)?).ok()?;
        }
        Some(())
    }

    fn free(&mut self, cell: &[u64]) {
        self.sets.free(cell[0]);
        self.inner.free(&cell[1..]);
    }

    fn accept(&mut self) {
        self.undo.clear();
        let bytes = &mut self.bytes;
        self.sets.accept(|set| *bytes -= set.bytes().min(*bytes));
        self.inner.accept();
    }

    fn reject(&mut self) {
        while let Some((word, length)) = self.undo.pop() {
            if let Some(set) = self.sets.get_mut(word) {
                let gone: usize = set.rows[length..].iter().map(|row| row_bytes(row)).sum();
                self.bytes -= gone.min(self.bytes);
                set.truncate(length);
            }
        }
        let bytes = &mut self.bytes;
        self.sets.reject(|set| *bytes -= set.bytes().min(*bytes));
        self.inner.reject();
    }

    fn bytes(&self) -> usize {
        self.bytes + self.sets.bytes() + self.inner.bytes()
    }
}
