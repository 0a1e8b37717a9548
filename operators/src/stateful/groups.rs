//! The groups of a GROUP BY in memory and as saved: what all its forms share.
//!
//! The key of a group is its key columns as bytes and, where there is a window, what tells which. Its value as saved:
//!
//! | part | bytes |
//! | --- | --- |
//! | the trigger that it waits for, 0 for none | varint |
//! | its order of arrival | varint |
//! | when it last changed, in seconds, 0 without a `stateTtl` | varint |
//! | the operator's own words | zigzag varints |
//! | the aggregates | each with its length before it |
//!
//! A group waits for a trigger when it changed since the last one. That it no longer waits is not written to each group:
//! the entry `OWN` holds the number of the last trigger that was served.

use serde::{Deserialize, Serialize};
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::Emit;
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;
use thalweg_engine::state::{StateChanges, StateSize};

use super::bytes::{decode_row, read_varint, unzigzag, write_varint, zigzag};
use super::columns::Columns;
use super::grouping::{Emits, Grouping, Shape};
use super::keyed_state::{KeyedState, Slot};
use super::round::Round;

/// The key of the entry with the operator's own numbers; no group has it, because a key of one byte is a NULL.
pub(super) const OWN: &[u8] = &[0xff];

/// Rows in a slice of what is emitted.
pub(super) const SLICE: usize = 1000;

/// What the bytes of a saved state mean.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Layout {
    version: u32,
    step: String,
    keys: Vec<String>,
    window: String,
    columns: Vec<String>,
}

/// What writes a group as it is saved.
struct Writer<'a> {
    columns: &'a Columns,
    own_words: usize,
    waits_for: u64,
}

impl Writer<'_> {
    #[inline]
    fn write(&self, state: &KeyedState, slot: Slot, out: &mut Vec<u8>) {
        let waits = if state.is_changed(slot) {
            self.waits_for
        } else {
            0
        };
        write_varint(waits, out);
        write_varint(state.sequence(slot), out);
        write_varint(u64::from(state.touched(slot)), out);
        let (own, cell) = state.cell(slot).split_at(self.own_words);
        for word in own {
            write_varint(zigzag(word.cast_signed()), out);
        }
        self.columns.write(cell, out);
    }
}

/// The groups of one GROUP BY.
pub(super) struct Groups {
    pub(super) grouping: Grouping,
    pub(super) columns: Columns,
    pub(super) state: KeyedState,
    /// Words of a cell before those of the aggregates: the operator's.
    own_words: usize,
    /// Scratch for the key of the row in hand.
    pub(super) key: Vec<u8>,
    /// Groups that changed since the last trigger; some may have been emitted or undone since.
    pub(super) pending: Vec<Slot>,
    /// How many triggers have been served.
    served: u64,
    /// Numbers of the operator that are saved with the groups.
    pub(super) own: Vec<i64>,
    own_changed: bool,
    /// What was last saved was of another layout.
    whole: bool,
    /// Which aggregates the restored state had.
    restored: Vec<bool>,
    layout: String,
    out: Vec<Value>,
    /// Where `expire` goes on.
    round: Round,
}

impl Groups {
    /// No groups; each cell begins with `own_words` of the operator.
    pub(super) fn new(grouping: Grouping, own_words: usize) -> Self {
        let columns = Columns::new(&grouping.aggregates);
        let layout = Layout {
            version: 1,
            step: "group by".to_owned(),
            keys: grouping.keys.iter().map(ToString::to_string).collect(),
            window: match &grouping.window {
                None => String::new(),
                Some(window) => match window.shape {
                    Shape::Fixed { size, slide, start } => {
                        let at_once = grouping.emits == Emits::UpdateAtOnce;
                        let form = if size == slide || at_once {
                            "windows"
                        } else {
                            "panes"
                        };
                        format!("{form} {size} {slide} {start}")
                    }
                    Shape::Session { .. } => "sessions".to_owned(),
                },
            },
            columns: columns.identities().map(str::to_owned).collect(),
        };
        Self {
            state: KeyedState::new(own_words + columns.words()),
            columns,
            own_words,
            key: Vec::new(),
            pending: Vec::new(),
            served: 0,
            own: Vec::new(),
            own_changed: false,
            whole: false,
            restored: Vec::new(),
            layout: serde_json::to_string(&layout).unwrap_or_default(),
            out: Vec::new(),
            round: Round::default(),
            grouping,
        }
    }

    /// Takes the row into a group that was touched.
    #[inline]
    pub(super) fn update(
        &mut self,
        slot: Slot,
        row: &[Value],
        meta: &RecordMeta,
    ) -> Result<(), RecordError> {
        if self.grouping.ttl.is_some() {
            self.state.set_touched(slot, seconds(meta.taken_at));
        }
        let cell = &mut self.state.cell_mut(slot)[self.own_words..];
        self.columns.update(cell, row)
    }

    /// The group has changed since the last trigger.
    #[inline]
    pub(super) fn wait(&mut self, slot: Slot) {
        if self.state.set_changed(slot) {
            self.pending.push(slot);
        }
    }

    /// Whether changes wait to be told before what is over may go.
    pub(super) fn waits(&self) -> bool {
        self.grouping.emits.changes() && !self.pending.is_empty()
    }

    /// Whether they wait where no trigger comes.
    pub(super) fn left_waiting(&self) -> bool {
        self.grouping.emits == Emits::UpdateAtOnce && !self.pending.is_empty()
    }

    /// The groups that changed since the last trigger, in order of arrival.
    pub(super) fn take_pending(&mut self) -> Vec<Slot> {
        let mut slots = std::mem::take(&mut self.pending);
        slots.retain(|slot| self.state.is_live(*slot) && self.state.is_changed(*slot));
        self.state.sort(&mut slots);
        slots.dedup();
        slots
    }

    /// All that waited for the trigger has been emitted.
    pub(super) fn serve(&mut self) {
        self.served += 1;
        self.own_changed = true;
    }

    /// Sets one of the operator's own numbers.
    pub(super) fn set_own(&mut self, place: usize, number: i64) {
        if self.own.len() <= place {
            self.own.resize(place + 1, i64::MIN);
        }
        if self.own[place] != number {
            self.own[place] = number;
            self.own_changed = true;
        }
    }

    /// One of the operator's own numbers; the least there is when it was never set.
    pub(super) fn own(&self, place: usize) -> i64 {
        self.own.get(place).copied().unwrap_or(i64::MIN)
    }

    /// The operator's words of a group.
    #[inline]
    pub(super) fn words(&self, slot: Slot) -> &[u64] {
        &self.state.cell(slot)[..self.own_words]
    }

    /// The aggregates' words of a group.
    #[inline]
    pub(super) fn cell(&self, slot: Slot) -> &[u64] {
        &self.state.cell(slot)[self.own_words..]
    }

    /// Takes a group out.
    pub(super) fn remove(&mut self, slot: Slot) {
        self.columns.free(&self.state.cell(slot)[self.own_words..]);
        self.state.remove(slot);
    }

    /// Emits the result of a group, whose window is this one.
    pub(super) fn emit(
        &mut self,
        slot: Slot,
        window: Option<(Micros, Micros)>,
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let mut out = std::mem::take(&mut self.out);
        let outcome = self.row(self.state.key(slot), self.cell(slot), window, &mut out);
        let outcome = outcome.and_then(|()| emit.emit(&out, meta));
        self.out = out;
        outcome
    }

    /// Emits the result of a cell that belongs to no group, under the key of one.
    pub(super) fn emit_cell(
        &mut self,
        slot: Slot,
        cell: &[u64],
        window: Option<(Micros, Micros)>,
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let mut out = std::mem::take(&mut self.out);
        let outcome = self.row(self.state.key(slot), cell, window, &mut out);
        let outcome = outcome.and_then(|()| emit.emit(&out, meta));
        self.out = out;
        outcome
    }

    /// Emits the result of no rows at all.
    pub(super) fn emit_empty(
        &mut self,
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let cell = vec![0; self.columns.words()];
        let mut out = Vec::new();
        self.row(&[], &cell, None, &mut out)?;
        emit.emit(&out, meta)
    }

    fn row(
        &self,
        mut key: &[u8],
        cell: &[u64],
        window: Option<(Micros, Micros)>,
        out: &mut Vec<Value>,
    ) -> Result<(), RecordError> {
        out.clear();
        let broken = || RecordError::expression("the key of a group cannot be read");
        let at = self.grouping.window.as_ref().map(|window| window.at);
        for (place, data_type) in self.grouping.keys.iter().enumerate() {
            if at == Some(place) {
                out.extend(self.window_value(window));
            }
            let value = super::bytes::decode_value(&mut key, data_type);
            out.push(value.ok_or_else(broken)?);
        }
        if at == Some(self.grouping.keys.len()) {
            out.extend(self.window_value(window));
        }
        self.columns.results(cell, out)
    }

    fn window_value(&self, bounds: Option<(Micros, Micros)>) -> Option<Value> {
        let window = self.grouping.window.as_ref()?;
        let (start, end) = bounds?;
        let time = |micros| match window.data_type {
            DataType::TimestampNtz => Value::TimestampNtz(micros),
            _ => Value::Timestamp(micros),
        };
        Some(Value::Struct([time(start), time(end)].into()))
    }

    /// The values of a group's key columns, and what stands behind them.
    pub(super) fn decode_key<'s>(&self, mut key: &'s [u8]) -> Option<(Vec<Value>, &'s [u8])> {
        let values = decode_row(&mut key, &self.grouping.keys)?;
        Some((values, key))
    }

    /// What happened since the last call stays.
    #[inline]
    pub(super) fn accept(&mut self) {
        self.columns.accept();
        let (state, writer) = self.writer();
        state.accept_with(|state, slot, out| writer.write(state, slot, out));
    }

    /// The groups, and what writes one as it is saved.
    #[inline]
    fn writer(&mut self) -> (&mut KeyedState, Writer<'_>) {
        let writer = Writer {
            columns: &self.columns,
            own_words: self.own_words,
            waits_for: self.served + 1,
        };
        (&mut self.state, writer)
    }

    /// What happened since the last call is undone; each group that had come is shown before it goes.
    pub(super) fn reject(&mut self, dropped: impl FnMut(&KeyedState, Slot)) {
        self.state.reject(dropped);
        self.columns.reject();
    }

    /// Groups that have not changed for `stateTtl`, out of the next part of all.
    pub(super) fn expired(&mut self, now: Micros) -> Vec<Slot> {
        let Some(ttl) = self.grouping.ttl else {
            return Vec::new();
        };
        let until = seconds(now.saturating_sub(ttl));
        let mut expired = Vec::new();
        for slot in self.round.slots(self.state.slots(), 20_000) {
            let state = &self.state;
            if state.is_live(slot) && state.touched(slot) < until && !state.is_changed(slot) {
                expired.push(slot);
            }
        }
        expired
    }

    /// What changed since the last call.
    pub(super) fn save(&mut self) -> Option<StateChanges> {
        let whole = std::mem::take(&mut self.whole) || self.state.is_mostly_dirty();
        if whole {
            self.state.mark_all_dirty();
            self.own_changed = true;
        }
        if !self.state.is_dirty() && !self.own_changed {
            return None;
        }
        let (state, writer) = self.writer();
        let mut entries = state.save(|state, slot, out| writer.write(state, slot, out));
        if std::mem::take(&mut self.own_changed) {
            entries.put(OWN, |out| {
                write_varint(self.served, out);
                for number in &self.own {
                    write_varint(zigzag(*number), out);
                }
            });
        }
        Some(StateChanges {
            whole,
            layout: self.layout.clone(),
            entries,
        })
    }

    /// Takes back what was saved.
    pub(super) fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        let mut waits = Vec::new();
        for change in changes {
            if change.whole {
                self.columns = Columns::new(&self.grouping.aggregates);
                self.state = KeyedState::new(self.own_words + self.columns.words());
                waits.clear();
                self.served = 0;
                self.own.clear();
            }
            let places = self.places(&change.layout)?;
            self.whole = change.layout != self.layout;
            self.restored = vec![false; self.columns.len()];
            for place in places.iter().flatten() {
                self.restored[*place] = true;
            }
            for (key, value) in &change.entries {
                self.restore_entry(key, value, &places, &mut waits)
                    .ok_or_else(|| {
                        Failure::refuse(
                            "the saved state of a GROUP BY is broken; restore the checkpoint folder from a copy, or begin with a new one",
                        )
                    })?;
            }
            self.columns.accept();
        }
        for (slot, wait) in (0..).zip(waits) {
            if wait > self.served && self.state.is_live(slot) {
                self.wait(slot);
            }
        }
        Ok(())
    }

    /// Takes the aggregates that the restored state had nothing of from all that other groups have saved. `find` says which group
    /// here a saved one belongs to, by its key and the operator's words; one that is here no more stays away.
    pub(super) fn adopt(
        &mut self,
        built: &StateChanges,
        find: impl Fn(&Self, &[u8], &[u64]) -> Option<Slot>,
    ) -> Result<(), Failure> {
        let mut places = self.places(&built.layout)?;
        let known = |place: &usize| self.restored.get(*place) == Some(&true);
        places
            .iter_mut()
            .for_each(|place| *place = place.filter(|place| !known(place)));
        for (key, value) in built.entries.latest() {
            if let Some(bytes) = value.filter(|_| key != OWN) {
                self.adopt_entry(key, bytes, &places, &find)?;
            }
        }
        self.state.accept();
        self.columns.accept();
        self.whole = true;
        Ok(())
    }

    fn adopt_entry(
        &mut self,
        key: &[u8],
        mut bytes: &[u8],
        places: &[Option<usize>],
        find: &impl Fn(&Self, &[u8], &[u64]) -> Option<Slot>,
    ) -> Result<(), Failure> {
        let broken = || Failure::restart("what was built for a GROUP BY cannot be read: a bug");
        // When it waits, came and changed is as the group here says.
        for _ in 0..3 {
            read_varint(&mut bytes).ok_or_else(broken)?;
        }
        let words = (0..self.own_words).map(|_| Some(unzigzag(read_varint(&mut bytes)?)));
        let words: Option<Vec<u64>> = words.map(|word| Some(word?.cast_unsigned())).collect();
        let Some(slot) = find(self, key, &words.ok_or_else(broken)?) else {
            return Ok(());
        };
        let cell = &mut self.state.cell_mut(slot)[self.own_words..];
        self.columns
            .merge_saved(cell, places, &mut bytes)
            .map_err(|error| Failure::end(format!("new aggregates of a GROUP BY: {error}")))?
            .ok_or_else(broken)
    }

    fn restore_entry(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        places: &[Option<usize>],
        waits: &mut Vec<u64>,
    ) -> Option<()> {
        let (columns, own_words) = (&mut self.columns, self.own_words);
        let Some(mut bytes) = value else {
            self.state
                .restore_removed(key, |cell| columns.free(&cell[own_words..]));
            return Some(());
        };
        if key == OWN {
            self.served = read_varint(&mut bytes)?;
            self.own.clear();
            while !bytes.is_empty() {
                self.own.push(unzigzag(read_varint(&mut bytes)?));
            }
            return Some(());
        }
        let wait = read_varint(&mut bytes)?;
        let sequence = read_varint(&mut bytes)?;
        let touched = u32::try_from(read_varint(&mut bytes)?).ok()?;
        let slot = self
            .state
            .restore(key, sequence, |cell| columns.free(&cell[own_words..]));
        self.state.set_touched(slot, touched);
        let place = slot as usize;
        if wait > 0 || waits.len() > place {
            waits.resize(waits.len().max(place + 1), 0);
            waits[place] = wait;
        }
        let (own, cell) = self.state.cell_mut(slot).split_at_mut(own_words);
        for word in own {
            *word = unzigzag(read_varint(&mut bytes)?).cast_unsigned();
        }
        columns.read(cell, places, &mut bytes)
    }

    /// Which aggregate here each one of a saved layout is.
    pub(super) fn places(&self, layout: &str) -> Result<Vec<Option<usize>>, Failure> {
        let identities: Vec<&str> = self.columns.identities().collect();
        if layout == self.layout {
            return Ok((0..identities.len()).map(Some).collect());
        }
        let read = |text| serde_json::from_str::<Layout>(text).ok();
        let (saved, own) = (read(layout), read(&self.layout));
        let (Some(saved), Some(own)) = (saved, own) else {
            return Err(Failure::refuse(
                "the saved state of a GROUP BY was written by another version; start it with that version, or begin with a new checkpoint folder",
            ));
        };
        if (saved.version, &saved.step, &saved.keys, &saved.window)
            != (own.version, &own.step, &own.keys, &own.window)
        {
            return Err(Failure::refuse(
                "the keys or the window of a GROUP BY are not those of its saved state; give the query another queryName, or begin with a new checkpoint folder",
            ));
        }
        let mut free: Vec<bool> = vec![true; identities.len()];
        let places = saved.columns.iter().map(|column| {
            let place = identities
                .iter()
                .zip(&free)
                .position(|(identity, free)| *free && identity == column)?;
            free[place] = false;
            Some(place)
        });
        Ok(places.collect())
    }

    /// Keys, and bytes of memory.
    pub(super) fn size(&self) -> StateSize {
        let mut size = self.state.size();
        size.bytes += (self.columns.bytes() + self.pending.capacity() * 4) as u64;
        size
    }
}

/// Whole seconds since 1970.
pub(super) fn seconds(micros: Micros) -> u32 {
    u32::try_from(micros.div_euclid(1_000_000).max(0)).unwrap_or(u32::MAX)
}
