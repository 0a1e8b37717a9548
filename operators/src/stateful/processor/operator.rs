//! The operator around a processor: finds the key, keeps what it changed, calls its timers.

use std::collections::{BTreeSet, VecDeque};

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::DataType;
use thalweg_engine::state::{StateChanges, StateSize};

use super::{Cell, Keeps, Key, StatefulProcessor, Timer};
use crate::stateful::bytes::{decode_row, encode_key, read_varint, write_varint};
use crate::stateful::groups::seconds;
use crate::stateful::keyed_state::{KeyedState, Slot};
use crate::stateful::round::Round;

/// Timers that are called in a slice.
const CALLED: usize = 1000;

/// The keys of a processor with their values and timers.
struct Keys {
    state: KeyedState,
    /// By slot.
    cells: Vec<Cell>,
    /// All timers in order; those of one time in order of their slots.
    timers: BTreeSet<(Timer, Slot)>,
    /// Cells before the record in hand changed them, in the order of the changes.
    undo: Vec<(Slot, Cell)>,
    /// Bytes of memory of all cells.
    memory: usize,
}

impl Keys {
    fn new() -> Self {
        Self {
            state: KeyedState::new(0),
            cells: Vec::new(),
            timers: BTreeSet::new(),
            undo: Vec::new(),
            memory: 0,
        }
    }

    /// Puts a cell in its place, its timers into the order of all; gives the old one.
    fn put(&mut self, slot: Slot, cell: Cell) -> Cell {
        let place = slot as usize;
        if place >= self.cells.len() {
            self.cells.resize_with(place + 1, Cell::default);
        }
        for timer in &cell.timers {
            self.timers.insert((*timer, slot));
        }
        self.memory += cell.memory();
        let old = std::mem::replace(&mut self.cells[place], cell);
        self.memory = self.memory.saturating_sub(old.memory());
        for timer in &old.timers {
            if !self.cells[place].timers.contains(timer) {
                self.timers.remove(&(*timer, slot));
            }
        }
        old
    }

    /// Keeps what became of a key of the record in hand.
    fn keep(&mut self, slot: Slot, cell: Cell, now: Micros) {
        self.state.touch(slot);
        self.state.set_touched(slot, seconds(now));
        let gone = cell.is_empty();
        let old = self.put(slot, cell);
        self.undo.push((slot, old));
        if gone {
            self.state.remove(slot);
        }
    }

    fn accept(&mut self) {
        self.undo.clear();
        self.state.accept();
    }

    fn reject(&mut self) {
        while let Some((slot, old)) = self.undo.pop() {
            self.put(slot, old);
        }
        self.state.reject(|_, _| {});
    }
}

/// Runs a processor over rows by key.
pub struct Processing<P> {
    processor: P,
    keeps: Keeps,
    /// The types of the columns of a value.
    types: Vec<DataType>,
    layout: String,
    keys: Keys,
    /// Timers that are to be called now.
    due: VecDeque<(Timer, Slot)>,
    /// The moment that they are due at, by the wall clock.
    now: Micros,
    key: Vec<u8>,
    values: Vec<Value>,
    /// Where `expire` goes on.
    round: Round,
}

impl<P: StatefulProcessor> Processing<P> {
    /// A processor over rows whose key and values are these.
    pub fn new(mut processor: P, keeps: Keeps) -> Self {
        processor.open();
        let types: Vec<DataType> = keeps
            .value
            .fields
            .iter()
            .map(|f| f.data_type.clone())
            .collect();
        Self {
            processor,
            layout: layout(&keeps).to_string(),
            types,
            keeps,
            keys: Keys::new(),
            due: VecDeque::new(),
            now: 0,
            key: Vec::new(),
            values: Vec::new(),
            round: Round::default(),
        }
    }

    /// Calls timers that are due, a slice of them.
    fn call(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        for _ in 0..CALLED {
            let Some((timer, slot)) = self.due.pop_front() else {
                return Ok(Progress::Done);
            };
            let Some(mut cell) = self.keys.cells.get(slot as usize).cloned() else {
                continue;
            };
            // One called before it may have taken it back.
            if !cell.take(timer) {
                continue;
            }
            let values = self.columns(slot)?;
            let event_time = match timer {
                Timer::Event(time) => Some(time),
                Timer::Processing(_) => None,
            };
            let meta = RecordMeta {
                event_time,
                ..at.clone()
            };
            let mut key = Key {
                values: &values,
                cell: &mut cell,
                changed: true,
                width: self.types.len(),
                meta: &meta,
                now: self.now,
                emit,
            };
            self.processor.timer(timer, &mut key)?;
            self.keys.keep(slot, cell, self.now);
        }
        Ok(if self.due.is_empty() {
            Progress::Done
        } else {
            Progress::More
        })
    }

    fn columns(&self, slot: Slot) -> Result<Row, RecordError> {
        decode_row(&mut self.keys.state.key(slot), &self.keeps.key_types)
            .ok_or_else(|| RecordError::broken("the key of a processor cannot be read: a bug"))
    }

    /// Queues the timers up to this one.
    fn gather(&mut self, from: Timer, to: Timer) {
        let due = self.keys.timers.range((from, 0)..=(to, Slot::MAX));
        self.due.extend(due.copied());
    }

    fn read(&mut self, key: &[u8], bytes: &[u8]) -> Option<()> {
        let mut rest = bytes;
        let touched = u32::try_from(read_varint(&mut rest)?).ok()?;
        let cell = Cell::read(&mut rest, &self.types)?;
        let sequence = self.keys.state.next_sequence();
        let slot = self.keys.state.restore(key, sequence, |_| {});
        self.keys.state.set_touched(slot, touched);
        self.keys.put(slot, cell);
        rest.is_empty().then_some(())
    }
}

impl<P: StatefulProcessor> Operator for Processing<P> {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        self.values.clear();
        self.values
            .extend(self.keeps.keys.iter().map(|&place| row[place].clone()));
        self.key.clear();
        encode_key(&self.values, &mut self.key);
        let found = self.keys.state.find(&self.key);
        let mut cell =
            found.map_or_else(Cell::default, |slot| self.keys.cells[slot as usize].clone());
        let mut key = Key {
            values: &self.values,
            cell: &mut cell,
            changed: false,
            width: self.types.len(),
            meta,
            now: meta.taken_at,
            emit,
        };
        self.processor.process(row, &mut key)?;
        // A row keeps its key alive, whatever it changes.
        let changed = key.changed || found.is_some() && self.keeps.ttl.is_some();
        if !changed || (found.is_none() && cell.is_empty()) {
            return Ok(());
        }
        let slot = found.unwrap_or_else(|| self.keys.state.entry(&self.key).0);
        self.keys.keep(slot, cell, meta.taken_at);
        Ok(())
    }

    fn accept(&mut self) {
        self.keys.accept();
    }

    fn reject(&mut self) {
        self.keys.reject();
    }

    fn advance(
        &mut self,
        watermark: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.now = at.taken_at;
        self.gather(Timer::Event(Micros::MIN), Timer::Event(watermark));
        self.call(at, emit)
    }

    fn alarm(&self) -> Option<Micros> {
        let processing = (Timer::Processing(Micros::MIN), 0);
        match self.keys.timers.range(processing..).next() {
            Some((Timer::Processing(time), _)) => Some(*time),
            _ => None,
        }
    }

    fn clock(
        &mut self,
        now: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.now = now;
        self.gather(Timer::Processing(Micros::MIN), Timer::Processing(now));
        self.call(at, emit)
    }

    fn resume(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        self.call(at, emit)
    }

    fn expire(&mut self, now: Micros) {
        let Some(ttl) = self.keeps.ttl else {
            return;
        };
        let ttl = Micros::try_from(ttl.as_micros()).unwrap_or(Micros::MAX);
        let until = seconds(now.saturating_sub(ttl));
        for slot in self.round.slots(self.keys.state.slots(), 20_000) {
            let state = &self.keys.state;
            if state.is_live(slot) && state.touched(slot) < until {
                if let Ok(key) = self.columns(slot) {
                    let value = self.keys.cells[slot as usize].value.as_deref();
                    self.processor.expire(&key, value);
                }
                self.keys.keep(slot, Cell::default(), now);
            }
        }
        self.keys.accept();
    }

    fn save(&mut self) -> Option<StateChanges> {
        if !self.keys.state.is_dirty() {
            return None;
        }
        let cells = &self.keys.cells;
        let entries = self.keys.state.save(|state, slot, out| {
            write_varint(u64::from(state.touched(slot)), out);
            cells[slot as usize].write(out);
        });
        Some(StateChanges {
            whole: false,
            layout: self.layout.clone(),
            entries,
        })
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        for change in changes {
            if change.layout != self.layout {
                return Err(Failure::refuse(format!(
                    "the key, the value or the version of a processor is not that of its saved state: it was {} and is \
                     {} now. Give the query another queryName, or begin with a new checkpoint folder.",
                    change.layout, self.layout
                )));
            }
            if change.whole {
                self.keys = Keys::new();
            }
            for (key, value) in &change.entries {
                let Some(bytes) = value else {
                    if let Some(slot) = self.keys.state.find(key) {
                        self.keys.put(slot, Cell::default());
                    }
                    self.keys.state.restore_removed(key, |_| {});
                    continue;
                };
                self.read(key, bytes).ok_or_else(|| {
                    Failure::refuse(
                        "the saved state of a processor is broken; restore the checkpoint folder from a copy, or begin \
                         with a new one",
                    )
                })?;
            }
        }
        Ok(())
    }

    fn size(&self) -> StateSize {
        let mut size = self.keys.state.size();
        size.bytes += (self.keys.memory + self.keys.cells.len() * size_of::<Cell>()) as u64;
        size
    }
}

/// What keys and values of the saved state mean.
fn layout(keeps: &Keeps) -> serde_json::Value {
    let keys: Vec<String> = keeps.key_types.iter().map(ToString::to_string).collect();
    let columns = keeps.value.fields.iter();
    let columns: Vec<String> = columns
        .map(|field| format!("{} {}", field.name, field.data_type))
        .collect();
    serde_json::json!({
        "version": 1, "step": "processor", "keys": keys, "value": columns, "own": keeps.version,
    })
}
