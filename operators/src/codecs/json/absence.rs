//! Columns that the records do not have: a typing error in the job, or a producer that has changed.

use smol_str::SmolStr;

use super::object::Object;
use crate::job_error::nearest;

/// A column that this many records in a row did not have is reported.
const RECORDS: u64 = 1000;

/// Names that are listed at most.
const NAMES_MAX: usize = 5;

/// Notes which columns come, at the price of one store each.
pub(super) struct Absence {
    records: u64,
    /// The last record that had the column, counted from 1.
    last: Vec<u64>,
    /// Columns that may always be absent.
    elsewhere: Vec<bool>,
    reported: Vec<bool>,
    count: u64,
}

impl Absence {
    /// Of the columns of an object; those named `elsewhere` need not come.
    pub(super) fn new(object: &Object, elsewhere: &[SmolStr]) -> Self {
        let columns = object.len();
        let is_elsewhere = |slot| {
            let name = object.name(slot);
            elsewhere
                .iter()
                .any(|other| name.eq_ignore_ascii_case(other))
        };
        Self {
            records: 0,
            last: vec![0; columns],
            elsewhere: (0..columns).map(is_elsewhere).collect(),
            reported: vec![false; columns],
            count: 0,
        }
    }

    /// A record begins; its number.
    #[inline]
    pub(super) fn begin(&mut self) -> u64 {
        self.records += 1;
        self.records
    }

    /// Where the last record of each column is noted.
    #[inline]
    pub(super) fn last(&mut self) -> &mut [u64] {
        &mut self.last
    }

    /// A record is over.
    #[inline]
    pub(super) fn end(&mut self, object: &Object, table: &str) {
        if self.records.is_multiple_of(RECORDS) {
            self.look(object, table);
        }
    }

    /// How many reports there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// What is strange about few records at their end: none had any of the columns, or one has another case. Of a column alone
    /// that did not come among so few nothing is said: it may be rare.
    pub(super) fn strange(&self, object: &Object) -> Option<String> {
        if self.records == 0 || self.records >= RECORDS {
            return None;
        }
        let theirs = || (0..object.len()).filter(|slot| !self.elsewhere[*slot]);
        let never = theirs().filter(|slot| self.last[*slot] == 0);
        let never: Vec<&str> = never.map(|slot| object.name(slot).as_str()).collect();
        let listed = |names: &[&str]| {
            let names = names.iter().take(NAMES_MAX).map(|name| format!("`{name}`"));
            names.collect::<Vec<_>>().join(", ")
        };
        let records = self.records;
        if !never.is_empty() && never.len() == theirs().count() {
            let there: Vec<&str> = object.unwanted().collect();
            let there = match there.is_empty() {
                true => String::new(),
                false => format!("; they have {}", listed(&there)),
            };
            return Some(format!(
                "none of {records} records had one of the columns {}{there}",
                listed(&never)
            ));
        }
        let cased = |column: &&str| {
            let mut there = object.unwanted();
            there.any(|name| name.eq_ignore_ascii_case(column))
        };
        let column = never.into_iter().find(cased)?;
        Some(format!(
            "none of {records} records had the column `{column}`: they write it in other letters, small and large ones are not the same"
        ))
    }

    #[cold]
    fn look(&mut self, object: &Object, table: &str) {
        for slot in 0..object.len() {
            let absent = self.records - self.last[slot] >= RECORDS && !self.elsewhere[slot];
            if absent && !self.reported[slot] {
                self.count += 1;
                report(object, slot, table, self.last[slot] == 0);
            }
            // A column that comes back may vanish again.
            self.reported[slot] = absent;
        }
    }
}

fn report(object: &Object, slot: usize, table: &str, never: bool) {
    let column = object.name(slot).as_str();
    let history = if never {
        format!("none of the first {RECORDS} records had it")
    } else {
        format!("the last {RECORDS} records did not have it any more")
    };
    let advice = nearest(column, object.unwanted())
        .map(|name| format!("; the nearest field that the records have is `{name}`"))
        .unwrap_or_default();
    tracing::warn!(
        table,
        column,
        "column `{column}` of `{table}` is NULL: {history}{advice}"
    );
}
