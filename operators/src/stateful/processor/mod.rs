//! A step with state and timers that a program writes itself: Spark's `transformWithState`, key by key.
//!
//! A [`StatefulProcessor`] sees one key at a time, through a [`Key`]: its value, its timers, and the way out for rows. What
//! it changes there is part of the record in hand: it stays when the record has succeeded in all steps, and is saved with
//! the epoch, only the keys that changed.

mod cell;
mod operator;
#[cfg(test)]
mod tests;

use std::time::Duration;

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::Emit;
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Schema};

use cell::Cell;
pub use operator::Processing;

/// Takes the value and the timers of a saved key from the front of the bytes; None when they are not such.
pub(in crate::stateful) fn read_cell(
    bytes: &mut &[u8],
    types: &[DataType],
) -> Option<(Option<Row>, Vec<Timer>)> {
    let cell = Cell::read(bytes, types)?;
    Some((cell.value, cell.timers))
}

/// A time at which a key wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// When the watermark has reached this event time.
    Event(Micros),
    /// At this time of the wall clock, or up to a second later.
    Processing(Micros),
}

/// A step with state and timers. Each lane has its own, made when the lane begins; what must outlive that lies in the
/// values of the keys. The order of calls: `open` once, then the others in any order.
pub trait StatefulProcessor: 'static {
    /// Before anything else.
    fn open(&mut self) {}

    /// A row of this key.
    ///
    /// # Errors
    /// When the row cannot be processed; nothing of its record stays, and `onError` says what becomes of it.
    fn process(&mut self, row: &[Value], key: &mut Key<'_>) -> Result<(), RecordError>;

    /// A timer that was set for this key. It is gone; those of other times are still set. Timers that are set here for a
    /// time that is reached already are called when time moves on again.
    ///
    /// # Errors
    /// The query ends.
    fn timer(&mut self, timer: Timer, key: &mut Key<'_>) -> Result<(), RecordError> {
        let _ = (timer, key);
        Ok(())
    }

    /// The key has had no row and no timer for [`Keeps::ttl`]. It is gone after this, with its value and its timers.
    fn expire(&mut self, key: &[Value], value: Option<&[Value]>) {
        let _ = (key, value);
    }
}

/// What a processor keeps, and by which key.
#[derive(Clone, Debug)]
pub struct Keeps {
    /// The places of the key's columns in the incoming row.
    pub keys: Vec<usize>,
    /// Their types.
    pub key_types: Vec<DataType>,
    /// The columns of the value of a key.
    pub value: Schema,
    /// The version of what the value means. A checkpoint of another version is refused.
    pub version: u32,
    /// How long a key is kept that nothing happens to; None: for ever.
    pub ttl: Option<Duration>,
}

/// One key while it is processed.
pub struct Key<'a> {
    values: &'a [Value],
    cell: &'a mut Cell,
    /// Whether anything of it was changed.
    changed: bool,
    /// How many columns a value has.
    width: usize,
    meta: &'a RecordMeta,
    now: Micros,
    emit: &'a mut dyn Emit,
}

impl Key<'_> {
    /// The key's columns.
    pub fn columns(&self) -> &[Value] {
        self.values
    }

    /// Its value; None before the first [`Key::set`] and after [`Key::clear`].
    pub fn value(&self) -> Option<&[Value]> {
        self.cell.value.as_deref()
    }

    /// Gives it a value, which must have the columns that the processor says it keeps.
    ///
    /// # Errors
    /// When the number of columns differs: a mistake of the processor.
    pub fn set(&mut self, value: Row) -> Result<(), RecordError> {
        if value.len() != self.width {
            return Err(RecordError::expression(format!(
                "a processor set a value of {} columns where it keeps {}",
                value.len(),
                self.width
            )));
        }
        self.cell.value = Some(value);
        self.changed = true;
        Ok(())
    }

    /// Takes its value away. A key without value and timers is forgotten.
    pub fn clear(&mut self) {
        self.changed |= self.cell.value.take().is_some();
    }

    /// Sets a timer. One for the same time that is set already stays one.
    pub fn set_timer(&mut self, timer: Timer) {
        self.changed |= self.cell.add(timer);
    }

    /// Takes a timer back; whether it was set.
    pub fn remove_timer(&mut self, timer: Timer) -> bool {
        let was = self.cell.take(timer);
        self.changed |= was;
        was
    }

    /// The timers that are set, in order of time, those of event time first.
    pub fn timers(&self) -> &[Timer] {
        &self.cell.timers
    }

    /// Sends a row on.
    ///
    /// # Errors
    /// When a step behind fails on it. It must be passed on.
    pub fn emit(&mut self, row: &[Value]) -> Result<(), RecordError> {
        self.emit.emit(row, self.meta)
    }

    /// The event time of the row, or of the timer that was reached.
    pub fn event_time(&self) -> Option<Micros> {
        self.meta.event_time
    }

    /// What was promised before the row came: one whose event time is not behind it is late.
    pub fn watermark(&self) -> Option<Micros> {
        self.meta.watermark
    }

    /// The wall clock: when the row was taken, or the timer was called.
    pub fn now(&self) -> Micros {
        self.now
    }
}
