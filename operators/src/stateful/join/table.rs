//! A stream joined with a table: each row of the stream is answered at once, from the table as it is.
//!
//! Input 0 is the stream. Input 1 are the changes of the table: its newest row for a key, or with `deleted` that there is none
//! any more.

use std::rc::Rc;

use serde_json::json;
use std::collections::{HashMap, HashSet};
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;
use thalweg_engine::schema::Field;
use thalweg_engine::state::{Entries, StateChanges, StateSize};

use crate::stateful::bytes;
use crate::stateful::join::hashing::KeyHash;
use crate::stateful::join::saved::{self, Layout, damaged};
use crate::stateful::join::{Condition, Kind, Side, append, holds, key_of};

/// What a key costs beside its bytes.
const KEY_COST: usize = size_of::<(Rc<[u8]>, Box<[u8]>)>() + 24;

/// A key, and the row that it had.
type Before = (Rc<[u8]>, Option<Box<[u8]>>);

/// The step.
pub struct TableJoin {
    kind: Kind,
    stream: Side,
    table: Side,
    /// The place in a change that says whether the key is gone.
    deleted: usize,
    condition: Condition,
    rows: HashMap<Rc<[u8]>, Box<[u8]>, KeyHash>,
    bytes: usize,
    changed: HashSet<Rc<[u8]>, KeyHash>,
    /// What the keys that the current record changes had before.
    undo: Vec<Before>,
    layout: String,
    /// Whether what is saved next must be everything.
    whole: bool,
    key: Vec<u8>,
    joined: Vec<Value>,
}

impl TableJoin {
    /// A join of a stream with a table. `kind` keeps no row of the table alone.
    pub fn new(
        kind: Kind,
        stream: Side,
        table: Side,
        deleted: usize,
        condition: Condition,
    ) -> Self {
        Self {
            layout: layout_of(&table),
            kind,
            stream,
            table,
            deleted,
            condition,
            rows: HashMap::default(),
            bytes: 0,
            changed: HashSet::default(),
            undo: Vec::new(),
            whole: false,
            key: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// Puts or takes away the row of a key; gives what was there.
    fn set(&mut self, key: &Rc<[u8]>, row: Option<Box<[u8]>>) -> Option<Box<[u8]>> {
        let cost = |row: &[u8]| KEY_COST + key.len() + row.len();
        self.bytes += row.as_deref().map_or(0, cost);
        let before = match row {
            Some(row) => self.rows.insert(Rc::clone(key), row),
            None => self.rows.remove(key),
        };
        self.bytes -= before.as_deref().map_or(0, cost);
        before
    }

    fn change(&mut self, row: &[Value]) -> Result<(), RecordError> {
        if !key_of(row, &self.table.keys, &mut self.key) {
            return Err(RecordError::decode(
                "a record of a keyed table has no key: a part of its PRIMARY KEY is NULL",
            ));
        }
        let key = match self.rows.get_key_value(self.key.as_slice()) {
            Some((key, _)) => Rc::clone(key),
            None => Rc::from(self.key.as_slice()),
        };
        let gone = row.get(self.deleted) == Some(&Value::Boolean(true));
        let row = (!gone).then(|| {
            let mut out = Vec::new();
            bytes::encode_row(row, &mut out);
            out.into_boxed_slice()
        });
        if gone && !self.rows.contains_key(&key) {
            return Ok(());
        }
        let before = self.set(&key, row);
        self.changed.insert(Rc::clone(&key));
        self.undo.push((key, before));
        Ok(())
    }

    fn answer(
        &mut self,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        self.joined.clear();
        let partner = if key_of(row, &self.stream.keys, &mut self.key) {
            self.rows.get(self.key.as_slice())
        } else {
            None
        };
        let mut matched = false;
        if let Some(partner) = partner {
            self.joined.extend_from_slice(row);
            append(partner, &self.table.columns, &mut self.joined)?;
            matched = holds(&mut self.condition, &self.joined, meta)?;
        }
        match self.kind {
            Kind::LeftSemi if matched => emit.emit(row, meta),
            Kind::LeftAnti if !matched => emit.emit(row, meta),
            Kind::LeftSemi | Kind::LeftAnti => Ok(()),
            _ if matched => emit.emit(&self.joined, meta),
            kind if kind.keeps_alone(0) => {
                self.joined.clear();
                self.joined.extend_from_slice(row);
                let width = row.len() + self.table.columns.len();
                self.joined.resize(width, Value::Null);
                emit.emit(&self.joined, meta)
            }
            _ => Ok(()),
        }
    }
}

impl Operator for TableJoin {
    fn process(
        &mut self,
        input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        if input == 1 {
            self.change(row)
        } else {
            self.answer(row, meta, emit)
        }
    }

    fn accept(&mut self) {
        self.undo.clear();
    }

    fn reject(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            self.set(&key, before);
        }
    }

    fn save(&mut self) -> Option<StateChanges> {
        let mut entries = Entries::default();
        let whole = std::mem::take(&mut self.whole);
        if whole {
            self.changed.clear();
            for (key, row) in &self.rows {
                entries.put(key, |out| out.extend_from_slice(row));
            }
        }
        for key in self.changed.drain() {
            match self.rows.get(&key) {
                Some(row) => entries.put(&key, |out| out.extend_from_slice(row)),
                None => entries.remove(&key),
            }
        }
        (whole || !entries.is_empty()).then(|| StateChanges {
            whole,
            layout: self.layout.clone(),
            entries,
        })
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        for change in changes {
            if change.whole {
                self.rows.clear();
                self.bytes = 0;
            }
            let layout = Layout::read(&change.layout, &self.layout)?;
            let reading = layout.side(0, &self.table.columns)?;
            self.whole |= reading.differs();
            for (key, value) in &change.entries {
                let row = value
                    .map(|bytes| reading.row(bytes).ok_or_else(damaged))
                    .transpose()?
                    .map(|bytes| bytes.into_owned().into_boxed_slice());
                self.set(&Rc::from(key), row);
            }
        }
        Ok(())
    }

    fn size(&self) -> StateSize {
        StateSize {
            keys: self.rows.len() as u64,
            bytes: self.bytes as u64,
        }
    }
}

fn layout_of(table: &Side) -> String {
    let keys: Vec<Field> = table
        .keys
        .iter()
        .filter_map(|place| table.columns.get(*place).cloned())
        .collect();
    let columns = json!({ "columns": saved::columns(&table.columns) });
    saved::layout("table", &keys, &[columns])
}

/// Whether a join can go on from the table that another one has kept.
///
/// # Errors
/// When it cannot, as at its restore.
pub(in crate::stateful) fn takes_over(before: &Side, now: &Side) -> Result<(), Failure> {
    let saved = Layout::read(&layout_of(before), &layout_of(now))?;
    saved.side(0, &now.columns).map(drop)
}
