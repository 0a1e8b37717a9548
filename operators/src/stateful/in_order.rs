//! All groups in order of arrival, a bounded part at a time.

use super::groups::SLICE;
use super::keyed_state::{KeyedState, Slot};
use super::runs::Runs;

/// Slots that are looked at in one slice.
const LOOKED_AT: Slot = 16_384;

/// How far it is. No group comes or goes meanwhile.
#[derive(Default)]
pub(super) struct InOrder {
    runs: Runs<(u64, Slot)>,
    next: Slot,
}

impl InOrder {
    /// The next groups, none while it still looks for them; None when all were given.
    pub(super) fn slice(&mut self, state: &KeyedState) -> Option<Vec<Slot>> {
        let end = state.slots();
        if self.next < end {
            let to = end.min(self.next.saturating_add(LOOKED_AT));
            let live = (self.next..to).filter(|slot| state.is_live(*slot));
            let run = live.map(|slot| (state.sequence(slot), slot)).collect();
            self.runs.add(run, Ord::cmp);
            self.next = to;
            if to < end {
                return Some(Vec::new());
            }
        }
        let taken = std::iter::from_fn(|| self.runs.pop(Ord::cmp));
        let slots: Vec<Slot> = taken.take(SLICE).map(|(_, slot)| slot).collect();
        (!slots.is_empty()).then_some(slots)
    }

    /// Whether all were given.
    pub(super) fn is_done(&self, state: &KeyedState) -> bool {
        self.next >= state.slots() && self.runs.len() == 0
    }
}
