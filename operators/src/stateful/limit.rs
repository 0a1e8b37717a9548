//! LIMIT: so many rows go on, of each trigger or of all there will ever be.

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::state::{Entries, StateChanges};

use super::bytes::{read_varint, write_varint};

const LAYOUT: &str = r#"{"version":1,"step":"limit"}"#;

/// So many rows go on.
pub struct Limit {
    /// How many have come where the last one goes on.
    end: u64,
    skipped: u64,
    each_trigger: bool,
    given: u64,
    /// As it was before the record in hand.
    before: u64,
    changed: bool,
}

impl Limit {
    /// So many rows of each trigger, or of all, behind so many that are skipped.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(rows: u64, skipped: u64, each_trigger: bool) -> Box<dyn Operator> {
        Box::new(Self {
            end: skipped.saturating_add(rows),
            skipped,
            each_trigger,
            given: 0,
            before: 0,
            changed: false,
        })
    }
}

impl Operator for Limit {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        if self.given >= self.end {
            return Ok(());
        }
        self.given += 1;
        match self.given > self.skipped {
            true => emit.emit(row, meta),
            false => Ok(()),
        }
    }

    fn accept(&mut self) {
        self.changed |= self.given != self.before;
        self.before = self.given;
    }

    fn reject(&mut self) {
        self.given = self.before;
    }

    fn tick(
        &mut self,
        _now: Micros,
        _at: &RecordMeta,
        _emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        if self.each_trigger {
            self.given = 0;
            self.before = 0;
        }
        Ok(Progress::Done)
    }

    /// The count of all; that of a trigger begins anew after a restart, because the table is sent anew.
    fn save(&mut self) -> Option<StateChanges> {
        if self.each_trigger || !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut entries = Entries::default();
        entries.put(b"", |out| write_varint(self.given, out));
        Some(StateChanges {
            whole: true,
            layout: LAYOUT.to_owned(),
            entries,
        })
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        for change in changes {
            let given = change
                .entries
                .iter()
                .find_map(|(_, value)| read_varint(&mut value?));
            let (true, Some(given)) = (change.layout == LAYOUT, given) else {
                return Err(Failure::refuse(
                    "the saved state of a LIMIT is not of this version; begin with a new checkpoint folder",
                ));
            };
            self.given = given;
            self.before = given;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use thalweg_engine::testing::{Action, assert_operator};

    use super::*;

    fn row(number: i64) -> Vec<Value> {
        vec![Value::BigInt(number)]
    }

    #[test]
    fn so_many_rows_go_on_and_no_more_after_a_restart() {
        let actions: Vec<_> = (0..4).map(|n| Action::Row(row(n))).collect();
        let expected = [Ok(vec![row(0)]), Ok(vec![row(1)]), Ok(vec![]), Ok(vec![])];
        assert_operator(|| Limit::new(2, 0, false), &actions, &expected);
    }
}
