//! What is said about the account of a crash test: the faults, the table, the JSON.

use std::time::Duration;

use crate::audit::Account;
use crate::document::{Contender, Document};
use crate::failure::{Failure, Result};
use crate::figures::{Figures, medians, short, table};

/// Mishaps of the command that are not about records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mishaps {
    /// It ended although nobody had asked.
    pub(crate) unexpected_ends: u64,
    /// It did not end with 0 in time after SIGTERM.
    pub(crate) unclean_stops: u64,
}

/// What is a fault beside a missing record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Every stop was asked for, so that nothing may be repeated.
    pub(crate) clean_stops: bool,
    /// The longest wait of a record.
    pub(crate) max_wait: Option<Duration>,
    /// The most repeated records after one kill.
    pub(crate) max_repeated: Option<u64>,
}

/// What is wrong with this account, one sentence each.
pub(crate) fn faults(limits: &Limits, account: &Account, mishaps: Mishaps) -> Vec<String> {
    let mut faults = Vec::new();
    if account.missing > 0 {
        faults.push(format!(
            "{} records are missing, among them {:?}",
            account.missing, account.missing_ranges
        ));
    }
    if account.unknown > 0 {
        faults.push(format!(
            "{} records came out that were never sent",
            account.unknown
        ));
    }
    if limits.clean_stops && account.duplicates > 0 {
        faults.push(format!(
            "{} records were repeated although every stop was clean",
            account.duplicates
        ));
    }
    if mishaps.unclean_stops > 0 {
        faults.push(format!(
            "{} times SIGTERM did not lead to exit 0 in time",
            mishaps.unclean_stops
        ));
    }
    if mishaps.unexpected_ends > 0 {
        faults.push(format!(
            "the command ended by itself {} times",
            mishaps.unexpected_ends
        ));
    }
    if let Some(limit) = limits
        .max_wait
        .filter(|limit| account.longest_wait_ms > limit.as_secs_f64() * 1e3)
    {
        faults.push(format!(
            "a record waited {} ms, allowed are {} ms",
            short(account.longest_wait_ms),
            limit.as_millis()
        ));
    }
    if let Some(limit) = limits
        .max_repeated
        .filter(|limit| account.duplicates_max_per_kill > *limit)
    {
        faults.push(format!(
            "{} records were repeated after one kill, allowed are {limit}",
            account.duplicates_max_per_kill
        ));
    }
    faults
}

/// Shows the account, life by life, and the faults.
pub(crate) fn print(account: &Account, mishaps: Mishaps, faults: &[String]) {
    let head = ["after", "first seen", "repeated", "longest wait ms"]
        .map(str::to_owned)
        .to_vec();
    let rows = account.lives.iter().enumerate().map(|(place, life)| {
        let name = if place == 0 {
            "start".to_owned()
        } else {
            format!("kill {place}")
        };
        vec![
            name,
            short(life.first_seen as f64),
            short(life.duplicates as f64),
            short(life.longest_wait_ms),
        ]
    });
    println!(
        "{}",
        table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
    );
    println!(
        "{} records sent, {} missing, {} repeated (at most {} after one kill), longest wait {} ms, {} unclean stops, {} unexpected ends",
        account.sent,
        account.missing,
        account.duplicates,
        account.duplicates_max_per_kill,
        short(account.longest_wait_ms),
        mishaps.unclean_stops,
        mishaps.unexpected_ends
    );
    match faults {
        [] => println!("the account is clean"),
        faults => faults.iter().for_each(|fault| println!("FAULT: {fault}")),
    }
}

/// The account as a result, its lives among the details.
pub(crate) fn document(
    scenario: String,
    command: String,
    kills: usize,
    account: &Account,
    mishaps: Mishaps,
) -> Result<Document> {
    let figure = |name: &str, value: f64| (name.to_owned(), value);
    let rounds = vec![Figures::from([
        figure("killed", kills as f64),
        figure("missing", account.missing as f64),
        figure("duplicates", account.duplicates as f64),
        figure(
            "duplicates_max_per_kill",
            account.duplicates_max_per_kill as f64,
        ),
        figure("longest_wait_ms", account.longest_wait_ms),
        figure("unclean_stops", mishaps.unclean_stops as f64),
        figure("unexpected_ends", mishaps.unexpected_ends as f64),
    ])];
    let median = medians(&rounds);
    let contenders = vec![Contender {
        name: "crash".into(),
        command,
        rounds,
        median,
        ratio: Figures::new(),
    }];
    let details = serde_json::to_value(account)
        .map_err(|e| Failure::new(format!("the account cannot be written as JSON: {e}")))?;
    Ok(Document {
        details,
        ..Document::new(scenario, contenders)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Audit;

    /// Record 0 once and record 1 twice, the second time after a kill; `sent` were sent.
    fn account(sent: u64) -> Account {
        let mut audit = Audit::default();
        audit.arrived(0, 700_000_000, 0);
        audit.arrived(1, 0, 0);
        audit.arrived(1, 0, 1);
        audit.account(sent, 1)
    }

    #[test]
    fn a_missing_record_is_always_a_fault_and_a_repeated_one_after_a_kill_is_none() {
        let none = Limits::default();
        assert!(faults(&none, &account(2), Mishaps::default()).is_empty());
        assert!(
            faults(&none, &account(3), Mishaps::default())[0]
                .contains("1 records are missing, among them [(2, 2)]")
        );
    }

    #[test]
    fn limits_and_mishaps_are_faults_of_their_own() {
        let strict = Limits {
            clean_stops: true,
            max_wait: Some(Duration::from_millis(600)),
            max_repeated: Some(0),
        };
        let found = faults(
            &strict,
            &account(2),
            Mishaps {
                unexpected_ends: 1,
                unclean_stops: 1,
            },
        );
        assert_eq!(found.len(), 5, "{found:?}");
        let loose = Limits {
            clean_stops: false,
            max_wait: Some(Duration::from_secs(1)),
            max_repeated: Some(1),
        };
        assert!(faults(&loose, &account(2), Mishaps::default()).is_empty());
    }
}
