//! A join with a static table: each row with the rows of the table that have its key, as the table is at that moment.
//!
//! The table is one copy for all lanes. Who reads it puts a new [`Edition`] on the [`Shelf`]; a lane looks at the number of the
//! edition before each row, and takes the new one where it has changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::state::StateSize;

use crate::hearing::Hearing;
use crate::stateful::join::{Condition, Kind, holds, key_of};

/// No row follows.
const END: u32 = u32::MAX;

/// All rows of a table as its files were at one time, found by key.
#[derive(Debug, Default)]
pub struct Edition {
    keys: Vec<usize>,
    width: usize,
    /// Row after row.
    values: Vec<Value>,
    /// For each row the next one of its key.
    next: Vec<u32>,
    /// The first and the last row of each key.
    found: HashMap<Box<[u8]>, (u32, u32)>,
    /// How many rows were left out because they have no key.
    keyless: usize,
    /// What values keep elsewhere.
    beside: usize,
    key: Vec<u8>,
}

impl Edition {
    /// An edition without rows; `keys` are the places of the key in a row of so many columns.
    pub fn new(keys: Vec<usize>, width: usize) -> Self {
        Self {
            keys,
            width,
            ..Self::default()
        }
    }

    /// How many rows it has that something can be equal to.
    pub fn len(&self) -> usize {
        self.next.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// Adds a row. One without a key is left out: nothing is equal to it.
    ///
    /// # Errors
    /// When there are more rows than can be counted.
    pub fn add(&mut self, row: &[Value]) -> Result<(), RecordError> {
        if !key_of(row, &self.keys, &mut self.key) {
            self.keyless += 1;
            return Ok(());
        }
        let number = u32::try_from(self.next.len())
            .ok()
            .filter(|number| *number != END)
            .ok_or_else(|| {
                RecordError::expression("a static table takes at most 4294967294 rows")
            })?;
        self.next.push(END);
        self.beside += row.iter().map(beside).sum::<usize>();
        self.values.extend_from_slice(row);
        match self.found.get_mut(self.key.as_slice()) {
            Some((_, last)) => {
                if let Some(before) = self.next.get_mut(*last as usize) {
                    *before = number;
                }
                *last = number;
            }
            None => {
                self.beside += self.key.len();
                let key = self.key.as_slice().into();
                self.found.insert(key, (number, number));
            }
        }
        Ok(())
    }

    /// Whether one of its rows is equal to a key, or may be because one of both is NULL.
    fn may_have(&self, key: Option<&[u8]>) -> bool {
        match key {
            Some(key) => self.keyless > 0 || self.first(key).is_some(),
            None => self.keyless > 0 || !self.is_empty(),
        }
    }

    fn first(&self, key: &[u8]) -> Option<u32> {
        self.found.get(key).map(|(first, _)| *first)
    }

    fn behind(&self, number: u32) -> Option<u32> {
        let next = self.next.get(number as usize).copied();
        next.filter(|next| *next != END)
    }

    fn row(&self, number: u32) -> &[Value] {
        let from = number as usize * self.width;
        self.values.get(from..from + self.width).unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        let entry = size_of::<(Box<[u8]>, (u32, u32))>() + 1;
        self.values.capacity() * size_of::<Value>()
            + self.next.capacity() * size_of::<u32>()
            + self.found.capacity() * entry
            + self.beside
    }
}

/// What a value keeps outside of the row.
fn beside(value: &Value) -> usize {
    let all = |values: &[Value]| size_of_val(values) + values.iter().map(beside).sum::<usize>();
    match value {
        Value::String(text) if text.is_heap_allocated() => text.len(),
        Value::Binary(bytes) => bytes.len(),
        Value::Array(values) | Value::Struct(values) => all(values),
        Value::Map(pairs) => {
            let each = |(key, value): &(Value, Value)| beside(key) + beside(value);
            size_of_val(&**pairs) + pairs.iter().map(each).sum::<usize>()
        }
        _ => 0,
    }
}

/// Where the newest edition of a table lies, for all lanes of a query.
#[derive(Debug, Default)]
pub struct Shelf {
    edition: Mutex<Arc<Edition>>,
    /// Counts the editions.
    number: AtomicU64,
    /// How many lanes read here.
    lanes: AtomicUsize,
    /// Why what is in the files now is not in force, if it is not.
    fault: Mutex<Option<String>>,
    reading: Hearing,
}

impl Shelf {
    /// Puts an edition in the place of the one before.
    pub fn put(&self, edition: Edition) {
        let mut place = self.edition.lock();
        *place = Arc::new(edition);
        self.number.fetch_add(1, Ordering::Release);
    }

    /// The newest edition and its number.
    fn take(&self) -> (Arc<Edition>, u64) {
        let place = self.edition.lock();
        (Arc::clone(&place), self.number.load(Ordering::Acquire))
    }

    /// Who is told when other files are read while rows go on.
    pub fn reading(&self) -> &Hearing {
        &self.reading
    }

    /// How many rows the newest edition has.
    pub fn len(&self) -> usize {
        self.edition.lock().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Why an older edition is in force than the files hold, if it is.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    /// Says why, or that it is not; gives what was said before.
    pub fn set_fault(&self, fault: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.fault.lock(), fault)
    }
}

/// How many rows of the table a row may meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Most {
    /// All that there are.
    #[default]
    All,
    /// The first of them.
    First,
    /// One: a second is an error of the record.
    One,
}

/// Joins rows with those of a static table.
pub struct Lookup {
    kind: Kind,
    keys: Vec<usize>,
    width: usize,
    condition: Condition,
    null_aware: bool,
    most: Most,
    shelf: Arc<Shelf>,
    edition: Arc<Edition>,
    number: u64,
    key: Vec<u8>,
    joined: Vec<Value>,
}

impl Lookup {
    /// `keys` are the places in the rows that come, `width` is how many columns the table's rows have; the condition is over
    /// the joined row.
    pub fn new(
        kind: Kind,
        keys: Vec<usize>,
        width: usize,
        condition: Condition,
        shelf: Arc<Shelf>,
    ) -> Self {
        shelf.lanes.fetch_add(1, Ordering::Relaxed);
        let (edition, number) = shelf.take();
        Self {
            kind,
            keys,
            width,
            condition,
            null_aware: false,
            most: Most::All,
            shelf,
            edition,
            number,
            key: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// Keeps the rows whose key is in no row of the table, and of which that is known, as NOT IN does. Of an anti join without
    /// a condition.
    pub fn null_aware(mut self, aware: bool) -> Self {
        self.null_aware = aware;
        self
    }

    /// Meets no more rows than that.
    pub fn most(mut self, most: Most) -> Self {
        self.most = most;
        self
    }

    /// Takes the newest edition.
    fn renew(&mut self) {
        if self.shelf.number.load(Ordering::Acquire) != self.number {
            (self.edition, self.number) = self.shelf.take();
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.shelf.lanes.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Operator for Lookup {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        self.renew();
        let mut met = false;
        let mut next = None;
        let keyed = key_of(row, &self.keys, &mut self.key);
        if self.null_aware {
            let key = keyed.then_some(self.key.as_slice());
            return match self.edition.may_have(key) {
                true => Ok(()),
                false => emit.emit(row, meta),
            };
        }
        if keyed {
            next = self.edition.first(&self.key);
        }
        while let Some(number) = next {
            self.joined.clear();
            self.joined.extend_from_slice(row);
            self.joined.extend_from_slice(self.edition.row(number));
            if holds(&mut self.condition, &self.joined, meta)? {
                if met && self.most == Most::One {
                    return Err(RecordError::expression(
                        "a subquery that stands for one value gave more than one row",
                    ));
                }
                met = true;
                if self.kind.left_only() {
                    break;
                }
                emit.emit(&self.joined, meta)?;
                if self.most == Most::First {
                    break;
                }
            }
            next = self.edition.behind(number);
        }
        match self.kind {
            Kind::LeftSemi if met => emit.emit(row, meta),
            Kind::LeftAnti if !met => emit.emit(row, meta),
            Kind::Left if !met => {
                self.joined.clear();
                self.joined.extend_from_slice(row);
                self.joined.resize(row.len() + self.width, Value::Null);
                emit.emit(&self.joined, meta)
            }
            _ => Ok(()),
        }
    }

    /// A lane without rows lets go of an old edition too.
    fn expire(&mut self, _now: Micros) {
        self.renew();
    }

    /// Its share of the one copy.
    fn size(&self) -> StateSize {
        let lanes = self.shelf.lanes.load(Ordering::Relaxed).max(1);
        let share = |all: usize| u64::try_from(all / lanes).unwrap_or(u64::MAX);
        StateSize {
            keys: share(self.edition.len()),
            bytes: share(self.edition.bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::stage::{compute, through};

    fn merchants(rows: &[(&str, &str)]) -> Edition {
        let mut edition = Edition::new(vec![0], 2);
        for (id, city) in rows {
            let row = [Value::from(*id), Value::from(*city)];
            edition.add(&row).unwrap();
        }
        edition.add(&[Value::Null, Value::from("nowhere")]).unwrap();
        edition
    }

    fn lookup(kind: Kind, shelf: &Arc<Shelf>) -> Lookup {
        Lookup::new(kind, vec![1], 2, None, Arc::clone(shelf))
    }

    fn payment(id: i32, merchant: Value) -> Vec<Value> {
        vec![Value::Int(id), merchant]
    }

    fn with(id: i32, merchant: &str, city: &str) -> Vec<Value> {
        vec![
            Value::Int(id),
            Value::from(merchant),
            Value::from(merchant),
            Value::from(city),
        ]
    }

    #[test]
    fn a_payment_meets_every_row_of_its_merchant_in_the_order_of_the_file() {
        let shelf = Arc::new(Shelf::default());
        shelf.put(merchants(&[("a", "Riga"), ("b", "Kyiv"), ("a", "Oslo")]));
        let payments = [
            payment(1, Value::from("a")),
            payment(2, Value::from("c")),
            payment(3, Value::Null),
        ];
        let rows = |kind| through(&mut lookup(kind, &shelf), &payments).unwrap().rows;
        let both = [with(1, "a", "Riga"), with(1, "a", "Oslo")];
        assert_eq!(rows(Kind::Inner), both);
        let left = rows(Kind::Left);
        assert_eq!(left[..2], both);
        assert_eq!(left[2][2..], [Value::Null, Value::Null]);
        assert_eq!(
            left[3],
            vec![Value::Int(3), Value::Null, Value::Null, Value::Null]
        );
        assert_eq!(rows(Kind::LeftSemi), payments[..1]);
        assert_eq!(rows(Kind::LeftAnti), payments[1..]);
    }

    #[test]
    fn not_in_keeps_a_payment_whose_merchant_is_certainly_not_in_the_table() {
        let payments = [
            payment(1, Value::from("a")),
            payment(2, Value::from("c")),
            payment(3, Value::Null),
        ];
        let kept = |edition: Edition| {
            let shelf = Arc::new(Shelf::default());
            shelf.put(edition);
            let mut not_in = lookup(Kind::LeftAnti, &shelf).null_aware(true);
            through(&mut not_in, &payments).unwrap().rows
        };
        let mut blocked = Edition::new(vec![0], 2);
        blocked
            .add(&[Value::from("a"), Value::from("Riga")])
            .unwrap();
        assert_eq!(kept(blocked), payments[1..2]);
        // A merchant that is not known may be any of them.
        assert!(kept(merchants(&[("a", "Riga")])).is_empty());
        // None is in an empty table.
        assert_eq!(kept(Edition::new(vec![0], 2)), payments);
    }

    #[test]
    fn a_condition_chooses_among_the_rows_of_the_key() {
        let shelf = Arc::new(Shelf::default());
        shelf.put(merchants(&[("a", "Riga"), ("a", "Oslo")]));
        let oslo = compute(|row| Ok(Value::Boolean(row[3] == Value::from("Oslo"))));
        let mut left = Lookup::new(Kind::Left, vec![1], 2, Some(oslo), Arc::clone(&shelf));
        let rows = through(&mut left, &[payment(1, Value::from("a"))]).unwrap();
        assert_eq!(rows.rows, [with(1, "a", "Oslo")]);
    }

    #[test]
    fn a_new_edition_counts_from_the_next_payment_on_and_lanes_share_its_size() {
        let shelf = Arc::new(Shelf::default());
        shelf.put(merchants(&[("a", "Riga")]));
        let (mut one, two) = (lookup(Kind::Inner, &shelf), lookup(Kind::Inner, &shelf));
        let payments = [payment(1, Value::from("a"))];
        let rows = through(&mut one, &payments).unwrap().rows;
        assert_eq!(rows, [with(1, "a", "Riga")]);
        let half = one.size().bytes;
        drop(two);
        assert!(half > 0 && one.size().bytes >= 2 * half);
        shelf.put(merchants(&[("a", "Oslo")]));
        let rows = through(&mut one, &payments).unwrap().rows;
        assert_eq!(rows, [with(1, "a", "Oslo")]);
    }
}
