//! How long partitions waited after what happened to members: by event, never by average.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::audit::Account;
use crate::figures::{short, table};

/// A partition whose records waited longer than this was held up.
const HELD_UP_MS: f64 = 30.0;

/// Pauses after one kind of event.
#[derive(Debug, Serialize)]
pub(crate) struct Pauses {
    /// What happened.
    pub(crate) after: String,
    /// How often it happened.
    pub(crate) times: usize,
    /// The longest wait of each partition that was held up, in milliseconds, sorted; all events together.
    pub(crate) held_up_ms: Vec<f64>,
}

impl Pauses {
    /// The pause that this share of them does not exceed.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let last = self.held_up_ms.len().saturating_sub(1);
        let place = (share * last as f64).ceil() as usize;
        self.held_up_ms.get(place).copied().unwrap_or(0.0)
    }
}

/// The pauses by what happened before them; those of the start are left out.
pub(crate) fn pauses(
    longest: &BTreeMap<(usize, i32), u64>,
    events: &[&'static str],
) -> Vec<Pauses> {
    let mut kinds: Vec<&str> = events[1..].to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    let of = |kind: &str| {
        let mut held_up_ms: Vec<f64> = longest
            .iter()
            .filter(|((event, _), _)| *event > 0 && events[*event] == kind)
            .map(|(_, wait)| *wait as f64 / 1e6)
            .filter(|wait| *wait > HELD_UP_MS)
            .collect();
        held_up_ms.sort_by(f64::total_cmp);
        Pauses {
            after: kind.to_owned(),
            times: events.iter().filter(|event| **event == kind).count(),
            held_up_ms,
        }
    };
    kinds.into_iter().map(of).collect()
}

/// Shows pauses, account and faults.
pub(crate) fn print(account: &Account, pauses: &[Pauses], faults: &[String]) {
    let head = [
        "after",
        "times",
        "partitions held up",
        "p50 ms",
        "p99 ms",
        "longest ms",
    ];
    let rows = pauses.iter().map(|pauses| {
        vec![
            pauses.after.clone(),
            pauses.times.to_string(),
            pauses.held_up_ms.len().to_string(),
            short(pauses.at(0.5)),
            short(pauses.at(0.99)),
            short(pauses.at(1.0)),
        ]
    });
    let head = head.map(str::to_owned).to_vec();
    println!(
        "{}",
        table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
    );
    println!(
        "{} records sent, {} missing, {} repeated (at most {} after one event)",
        account.sent, account.missing, account.duplicates, account.duplicates_max_per_kill
    );
    match faults {
        [] => println!("the account is clean"),
        faults => faults.iter().for_each(|fault| println!("FAULT: {fault}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_belong_to_what_happened_before_them_and_the_start_is_no_event() {
        let events = ["the start", "one more", "a leave", "one more"];
        let ms = |ms: u64| ms * 1_000_000;
        let longest = BTreeMap::from([
            ((0, 0), ms(4_000)),
            ((1, 0), ms(3)),
            ((1, 1), ms(200)),
            ((2, 0), ms(90)),
            ((3, 1), ms(100)),
        ]);
        let pauses = pauses(&longest, &events);
        let kinds: Vec<(&str, usize)> = pauses
            .iter()
            .map(|pauses| (pauses.after.as_str(), pauses.times))
            .collect();
        assert_eq!(kinds, [("a leave", 1), ("one more", 2)]);
        assert_eq!(pauses[1].held_up_ms, [100.0, 200.0]);
        assert_eq!((pauses[1].at(0.5), pauses[1].at(0.99)), (200.0, 200.0));
    }
}
