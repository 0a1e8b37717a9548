//! What saves give, put together, is what the state holds, whatever happened in between.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{KeyedState, Slot};

#[derive(Clone, Debug)]
enum Step {
    /// These keys are set to this by one record, or taken out where it is None; the record is kept or not.
    Record(Vec<(u8, Option<u64>)>, bool),
    /// A save; of all where nearly all has changed.
    Save,
    /// A save of all.
    Whole,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = (0_u8..20, prop::option::weighted(0.7, 0_u64..1000));
    let record = (
        prop::collection::vec(change, 1..4),
        prop::bool::weighted(0.8),
    );
    let step = prop_oneof![
        20 => record.prop_map(|(changes, kept)| Step::Record(changes, kept)),
        3 => Just(Step::Save),
        1 => Just(Step::Whole),
    ];
    prop::collection::vec(step, 0..300)
}

fn write(state: &KeyedState, slot: Slot, out: &mut Vec<u8>) {
    out.extend_from_slice(&state.cell(slot)[0].to_le_bytes());
}

fn held(state: &KeyedState) -> BTreeMap<Vec<u8>, u64> {
    let slots = (0..state.slots()).filter(|slot| state.is_live(*slot));
    slots
        .map(|slot| (state.key(slot).to_vec(), state.cell(slot)[0]))
        .collect()
}

/// Saves and takes what it gives into `saved`.
fn save(state: &mut KeyedState, saved: &mut BTreeMap<Vec<u8>, u64>, whole: bool) {
    if whole {
        state.mark_all_dirty();
        saved.clear();
    }
    for (key, value) in &state.save(write) {
        match value {
            Some(value) => {
                let value = u64::from_le_bytes(value.try_into().expect("a word"));
                saved.insert(key.to_vec(), value);
            }
            None => {
                saved.remove(key);
            }
        }
    }
}

proptest! {
    #[test]
    fn saves_put_together_are_what_is_held(steps in steps(), at_once in any::<bool>()) {
        let mut state = KeyedState::new(1);
        let mut saved = BTreeMap::new();
        let mut expected = BTreeMap::new();
        for step in steps {
            match step {
                Step::Record(changes, kept) => {
                    let before = expected.clone();
                    for (key, value) in changes {
                        let key = vec![key; 1 + usize::from(key % 3)];
                        match value {
                            Some(value) => {
                                let (slot, _) = state.entry(&key);
                                state.cell_mut(slot)[0] = value;
                                expected.insert(key, value);
                            }
                            None => {
                                if let Some(slot) = state.find(&key) {
                                    state.remove(slot);
                                }
                                expected.remove(&key);
                            }
                        }
                    }
                    match (kept, at_once) {
                        (true, true) => state.accept_with(write),
                        (true, false) => state.accept(),
                        (false, _) => {
                            state.reject(|_, _| {});
                            expected = before;
                        }
                    }
                }
                Step::Save | Step::Whole => {
                    save(&mut state, &mut saved, matches!(step, Step::Whole));
                    prop_assert_eq!(&saved, &expected);
                    prop_assert!(!state.is_dirty());
                }
            }
            prop_assert_eq!(&held(&state), &expected);
            prop_assert_eq!(state.len(), expected.len());
        }
        save(&mut state, &mut saved, false);
        prop_assert_eq!(saved, expected);
    }
}

#[test]
fn a_key_that_changed_once_is_ready_before_the_save() {
    let mut state = KeyedState::new(1);
    for key in 0..4_u8 {
        let (slot, _) = state.entry(&[key]);
        state.cell_mut(slot)[0] = 7;
        state.accept_with(write);
    }
    assert_eq!(state.changes.ready.len(), 4);
    let (slot, _) = state.entry(&[1]);
    state.cell_mut(slot)[0] = 8;
    state.accept_with(write);
    // The second change of a key does not write it a second time before the save.
    assert_eq!(state.changes.ready.len(), 4);
    assert_eq!(state.save(write).len(), 5);
}

#[test]
fn a_first_save_of_many_keys_is_whole_without_writing_them_again() {
    let mut state = KeyedState::new(1);
    for key in 0..2_000_u16 {
        state.entry(&key.to_le_bytes());
        state.accept_with(write);
    }
    assert!(state.is_mostly_dirty());
    state.mark_all_dirty();
    assert_eq!(state.save(write).len(), 2_000);
    // A tenth of them changes: not all are saved.
    for key in 0..200_u16 {
        state.entry(&key.to_le_bytes());
        state.accept_with(write);
    }
    assert!(!state.is_mostly_dirty());
    assert_eq!(state.save(write).len(), 200);
}
