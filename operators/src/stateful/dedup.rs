//! SELECT DISTINCT and DISTINCT ON: of the rows with one key the first to arrive goes on.
//!
//! A key is remembered for ever, for `stateTtl`, or until the watermark has reached its time: rows of that time that come later
//! are late. Where the time is none of the key's columns, a key is remembered as Spark's `dropDuplicatesWithinWatermark` does, for
//! the delay of the watermark longer. Keys are forgotten by whole seconds of their time.

use std::collections::BTreeMap;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;
use thalweg_engine::state::{StateChanges, StateSize};

use super::aggregate::time_of;
use super::bytes::{decode_row, encode_key, read_varint, unzigzag, write_varint, zigzag};
use super::groups::seconds;
use super::keyed_state::{KeyedState, Slot};
use super::round::Round;

/// Keys that are forgotten in a slice.
const FORGOTTEN: usize = 4000;

/// How long a key is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    /// For ever, or for `stateTtl`.
    Always,
    /// Until the watermark has reached the time in this column of the row.
    Column(usize),
    /// Until the watermark is so far past the record's event time, which is the delay of the watermark: a row that is as much
    /// later may come as much too late. A record without an event time counts as one of 1970, as in Spark.
    EventTime(Micros),
}

/// A key as it is saved: when it is over, and when it came.
#[inline]
fn write(state: &KeyedState, slot: Slot, out: &mut Vec<u8>) {
    let time = state.cell(slot)[0].cast_signed();
    let over = if time == NEVER { 0 } else { zigzag(time) + 1 };
    write_varint(over, out);
    write_varint(u64::from(state.touched(slot)), out);
}

/// The first row of each key goes on.
pub struct Dedup {
    keys: Vec<usize>,
    /// The types of the keys, where the row that goes on has them as groups have theirs: -0.0 as 0.0, every NaN as one.
    normal: Option<Vec<DataType>>,
    remember: Remember,
    ttl: Option<Micros>,
    /// A cell holds the time at which the key is forgotten.
    state: KeyedState,
    /// Keys by the second in which they are over.
    closing: BTreeMap<i64, Vec<Slot>>,
    watermark: Option<Micros>,
    key: Vec<u8>,
    values: Vec<Value>,
    layout: String,
    /// Where `expire` goes on.
    round: Round,
}

/// The first whole second that is not before this time.
fn second(time: Micros) -> i64 {
    time.div_euclid(1_000_000) + i64::from(time.rem_euclid(1_000_000) > 0)
}

/// Whether a type holds numbers of which equal ones may differ in their bits.
fn has_real(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float | DataType::Double => true,
        DataType::Array(element) => has_real(element),
        DataType::Map(pair) => has_real(&pair.0) || has_real(&pair.1),
        DataType::Struct(fields) => fields.iter().any(|field| has_real(&field.data_type)),
        _ => false,
    }
}

/// The time of a key that is never over.
const NEVER: i64 = i64::MAX;

impl Dedup {
    /// Rows whose columns at `keys` have these types. With a `ttl` a key is forgotten when it is that old.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(
        keys: Vec<usize>,
        types: &[DataType],
        remember: Remember,
        ttl: Option<Micros>,
    ) -> Box<dyn Operator> {
        let normal = types.iter().any(has_real);
        let normal = normal.then(|| types.to_vec());
        let types: Vec<_> = types.iter().map(ToString::to_string).collect();
        Box::new(Self {
            keys,
            normal,
            remember,
            ttl: ttl.filter(|_| remember == Remember::Always),
            state: KeyedState::new(1),
            closing: BTreeMap::new(),
            watermark: None,
            key: Vec::new(),
            values: Vec::new(),
            layout: serde_json::json!({"version": 1, "step": "distinct", "keys": types})
                .to_string(),
            round: Round::default(),
        })
    }

    fn forget(&mut self) -> Progress {
        let Some(watermark) = self.watermark else {
            return Progress::Done;
        };
        for _ in 0..FORGOTTEN {
            let Some(mut first) = self.closing.first_entry() else {
                return Progress::Done;
            };
            if *first.key() > watermark.div_euclid(1_000_000) {
                return Progress::Done;
            }
            match first.get_mut().pop() {
                Some(slot) => self.state.remove(slot),
                None => {
                    first.remove();
                }
            }
        }
        Progress::More
    }
}

impl Operator for Dedup {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let time = match self.remember {
            Remember::Always => None,
            Remember::Column(place) => time_of(&row[place]),
            Remember::EventTime(_) => meta.event_time,
        };
        if time.is_some_and(|time| meta.watermark >= Some(time)) {
            emit.late(1);
            return Ok(());
        }
        self.values.clear();
        self.values
            .extend(self.keys.iter().map(|&place| row[place].clone()));
        self.key.clear();
        encode_key(&self.values, &mut self.key);
        if self.state.find(&self.key).is_some() {
            return Ok(());
        }
        let (slot, _) = self.state.entry(&self.key);
        let until = match self.remember {
            Remember::EventTime(delay) => Some(time.unwrap_or(0).saturating_add(delay)),
            _ => time,
        };
        // A key that is over at the ends of all times is saved as one of any other time.
        let until = until.map(|time| time.clamp(NEVER.saturating_neg() + 1, NEVER - 1));
        self.state.cell_mut(slot)[0] = until.unwrap_or(NEVER).cast_unsigned();
        self.state.set_touched(slot, seconds(meta.taken_at));
        if let Some(until) = until {
            self.closing.entry(second(until)).or_default().push(slot);
        }
        let Some(types) = &self.normal else {
            return emit.emit(row, meta);
        };
        let mut row = row.to_vec();
        let key = decode_row(&mut &self.key[..], types);
        for (place, value) in self.keys.iter().zip(key.into_iter().flatten()) {
            row[*place] = value;
        }
        emit.emit(&row, meta)
    }

    fn accept(&mut self) {
        self.state.accept_with(write);
    }

    fn reject(&mut self) {
        let closing = &mut self.closing;
        self.state.reject(|state, slot| {
            let second = second(state.cell(slot)[0].cast_signed());
            if let Some(slots) = closing.get_mut(&second) {
                slots.retain(|other| *other != slot);
                if slots.is_empty() {
                    closing.remove(&second);
                }
            }
        });
    }

    fn advance(
        &mut self,
        watermark: Micros,
        _at: &RecordMeta,
        _emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.watermark = self.watermark.max(Some(watermark));
        Ok(self.forget())
    }

    fn resume(&mut self, _at: &RecordMeta, _emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        Ok(self.forget())
    }

    fn expire(&mut self, now: Micros) {
        let Some(ttl) = self.ttl else {
            return;
        };
        let until = seconds(now.saturating_sub(ttl));
        for slot in self.round.slots(self.state.slots(), 20_000) {
            if self.state.is_live(slot) && self.state.touched(slot) < until {
                self.state.remove(slot);
            }
        }
        self.state.accept();
    }

    fn save(&mut self) -> Option<StateChanges> {
        if !self.state.is_dirty() {
            return None;
        }
        let entries = self.state.save(write);
        Some(StateChanges {
            whole: false,
            layout: self.layout.clone(),
            entries,
        })
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        for change in changes {
            if change.layout != self.layout {
                return Err(Failure::refuse(
                    "the columns of a DISTINCT are not those of its saved state; give the query another queryName, or begin with a new checkpoint folder",
                ));
            }
            if change.whole {
                self.state = KeyedState::new(1);
            }
            for (key, value) in &change.entries {
                let Some(mut bytes) = value else {
                    self.state.restore_removed(key, |_| {});
                    continue;
                };
                let (Some(over), Some(touched)) =
                    (read_varint(&mut bytes), read_varint(&mut bytes))
                else {
                    return Err(Failure::refuse(
                        "the saved state of a DISTINCT is broken; restore the checkpoint folder from a copy, or begin with a new one",
                    ));
                };
                let sequence = self.state.next_sequence();
                let slot = self.state.restore(key, sequence, |_| {});
                // One without a time; a version before kept it for ever.
                let timeless = match self.remember {
                    Remember::EventTime(delay) => delay.min(NEVER - 1),
                    _ => NEVER,
                };
                let time = over.checked_sub(1).map_or(timeless, unzigzag);
                self.state.cell_mut(slot)[0] = time.cast_unsigned();
                let touched = u32::try_from(touched).unwrap_or(u32::MAX);
                self.state.set_touched(slot, touched);
            }
        }
        self.closing.clear();
        for slot in self.state.in_order() {
            let time = self.state.cell(slot)[0].cast_signed();
            if time != NEVER {
                self.closing.entry(second(time)).or_default().push(slot);
            }
        }
        Ok(())
    }

    fn size(&self) -> StateSize {
        let mut size = self.state.size();
        if self.remember != Remember::Always {
            size.bytes += size.keys * 8;
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::HashMap;
    use thalweg_engine::testing::{self, Action, assert_operator};

    use super::*;
    use crate::transforms::stage::Collected;

    fn row(id: i64, text: &str) -> Vec<Value> {
        vec![Value::BigInt(id), Value::from(text)]
    }

    fn on_id(remember: Remember, ttl: Option<Micros>) -> Box<dyn Operator> {
        Dedup::new(vec![0], &[DataType::BigInt], remember, ttl)
    }

    #[test]
    fn the_first_of_a_key_goes_on_and_a_null_is_a_key() {
        let null = vec![Value::Null, Value::from("n")];
        let actions = [
            Action::Row(row(1, "a")),
            Action::Row(row(1, "b")),
            Action::Row(null.clone()),
            Action::Row(null.clone()),
            Action::Row(row(2, "c")),
        ];
        let expected = [
            Ok(vec![row(1, "a")]),
            Ok(vec![]),
            Ok(vec![null]),
            Ok(vec![]),
            Ok(vec![row(2, "c")]),
        ];
        assert_operator(|| on_id(Remember::Always, None), &actions, &expected);
    }

    #[test]
    fn a_key_without_a_time_is_forgotten_as_one_of_1970() {
        let at = |seconds: Option<i64>, text| {
            Action::RowOf(
                0,
                0,
                seconds.map(|seconds| seconds * 1_000_000),
                row(1, text),
            )
        };
        let actions = [
            at(None, "a"),
            at(Some(100), "b"),
            Action::Watermark(90_000_000),
            at(Some(110), "c"),
            at(Some(111), "d"),
        ];
        let expected = [
            Ok(vec![row(1, "a")]),
            Ok(vec![]),
            Ok(vec![]),
            Ok(vec![row(1, "c")]),
            Ok(vec![]),
        ];
        let make = || on_id(Remember::EventTime(10_000_000), None);
        assert_operator(make, &actions, &expected);
    }

    #[test]
    fn a_key_is_forgotten_when_the_watermark_has_passed_it_and_old_rows_are_late() {
        let at =
            |seconds: i64, id, text| Action::RowOf(0, 0, Some(seconds * 1_000_000), row(id, text));
        let actions = [
            at(10, 1, "a"),
            at(30, 1, "b"),
            Action::Watermark(10_000_000),
            at(30, 1, "c"),
            at(10, 2, "late"),
            at(31, 1, "d"),
        ];
        let expected = [
            Ok(vec![row(1, "a")]),
            Ok(vec![]),
            Ok(vec![]),
            Ok(vec![row(1, "c")]),
            Ok(vec![]),
            Ok(vec![]),
        ];
        assert_operator(|| on_id(Remember::EventTime(0), None), &actions, &expected);
    }

    #[test]
    fn a_key_is_remembered_as_long_as_a_row_may_be_later_and_too_late() {
        let at =
            |seconds: i64, id, text| Action::RowOf(0, 0, Some(seconds * 1_000_000), row(id, text));
        let actions = [
            at(10, 1, "a"),
            Action::Watermark(10_000_000),
            at(14, 1, "b"),
            Action::Watermark(14_000_000),
            at(15, 1, "c"),
            Action::Watermark(15_000_000),
            at(16, 1, "d"),
        ];
        let expected = [
            Ok(vec![row(1, "a")]),
            Ok(vec![]),
            Ok(vec![]),
            Ok(vec![]),
            Ok(vec![]),
            Ok(vec![]),
            Ok(vec![row(1, "d")]),
        ];
        assert_operator(
            || on_id(Remember::EventTime(5_000_000), None),
            &actions,
            &expected,
        );
    }

    #[test]
    fn a_key_without_a_time_that_a_version_before_kept_for_ever_is_forgotten_too() {
        let mut before = on_id(Remember::Always, None);
        let mut collected = Collected::default();
        let meta = testing::meta(0, 0, None);
        before
            .process(0, &row(1, "a"), &meta, &mut collected)
            .unwrap();
        before.accept();
        let mut dedup = on_id(Remember::EventTime(5_000_000), None);
        dedup.restore(&[before.save().unwrap()]).unwrap();
        assert_eq!(dedup.size().keys, 1);
        dedup.advance(5_000_000, &meta, &mut collected).unwrap();
        assert_eq!(dedup.size().keys, 0);
    }

    #[test]
    fn keys_of_the_first_and_the_last_time_of_all_are_kept_and_found_again() {
        let at = |time| Action::RowOf(0, 0, Some(time), vec![Value::Timestamp(time)]);
        let make = || Dedup::new(vec![0], &[DataType::Timestamp], Remember::Column(0), None);
        let ends = [i64::MIN, i64::MAX];
        let actions = ends.map(at).into_iter().chain(ends.map(at));
        let row = |time| Ok(vec![vec![Value::Timestamp(time)]]);
        let expected = [row(i64::MIN), row(i64::MAX), Ok(vec![]), Ok(vec![])];
        assert_operator(make, &actions.collect::<Vec<_>>(), &expected);
    }

    #[test]
    fn a_date_that_no_time_reaches_is_a_time_of_a_key() {
        let row = vec![Value::Date(i32::MAX)];
        let make = || Dedup::new(vec![0], &[DataType::Date], Remember::Column(0), None);
        let actions = [Action::Row(row.clone()), Action::Row(row.clone())];
        assert_operator(make, &actions, &[Ok(vec![row]), Ok(vec![])]);
    }

    #[test]
    fn without_a_watermark_a_key_is_forgotten_after_its_time_to_live() {
        let mut dedup = on_id(Remember::Always, Some(10_000_000));
        let mut collected = Collected::default();
        let mut meta = testing::meta(0, 0, None);
        meta.taken_at = 100_000_000;
        dedup
            .process(0, &row(1, "a"), &meta, &mut collected)
            .unwrap();
        dedup.accept();
        dedup.expire(109_000_000);
        assert_eq!(dedup.size().keys, 1);
        dedup.expire(112_000_000);
        assert_eq!(dedup.size().keys, 0);
    }

    proptest! {
        #[test]
        fn it_is_as_a_map_of_what_was_seen(
            rows in prop::collection::vec((0..6_i64, 0..60_i64, any::<bool>()), 1..120),
            cut in 0..120_usize,
        ) {
            let mut dedup = on_id(Remember::EventTime(3_000_000), None);
            let mut seen: HashMap<i64, i64> = HashMap::new();
            let mut saved = Vec::new();
            let mut watermark = None;
            let mut collected = Collected::default();
            let mut expected = Vec::new();
            for (place, (id, second, advance)) in rows.into_iter().enumerate() {
                let time = second * 1_000_000;
                if advance {
                    watermark = watermark.max(Some(time - 10_000_000));
                    let to = watermark.unwrap_or(0);
                    dedup.advance(to, &testing::meta(0, 0, None), &mut collected).unwrap();
                    dedup.accept();
                    seen.retain(|_, until| *until > to);
                }
                let mut meta = testing::meta(0, 0, Some(time));
                meta.watermark = watermark;
                let text = place.to_string();
                if watermark.is_none_or(|to| to < time) && !seen.contains_key(&id) {
                    seen.insert(id, time + 3_000_000);
                    expected.push(row(id, &text));
                }
                dedup.process(0, &row(id, &text), &meta, &mut collected).unwrap();
                dedup.accept();
                saved.extend((place % 7 == 0).then(|| dedup.save()).flatten());
                if place == cut {
                    saved.extend(dedup.save());
                    dedup = on_id(Remember::EventTime(3_000_000), None);
                    dedup.restore(&saved).unwrap();
                    let to = watermark.unwrap_or(i64::MIN);
                    dedup.advance(to, &testing::meta(0, 0, None), &mut collected).unwrap();
                    dedup.accept();
                }
            }
            prop_assert_eq!(collected.rows, expected);
            dedup.advance(i64::MAX, &testing::meta(0, 0, None), &mut Collected::default()).unwrap();
            dedup.accept();
            prop_assert_eq!(dedup.size().keys, 0);
        }
    }
}
