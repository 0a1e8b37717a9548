//! The slowest records of the last minutes. Pure: time is what the records say.
//!
//! By minute two short lists: by the time from taken to delivered, and by the time since the record's own timestamp.
//! Records of one moment mostly have one cause, so a list keeps one of them, the slowest, and how many more there were. A
//! record that is hardly slower than the fastest one of a full list is left out, so that the lists change seldom while
//! everything becomes slower and slower.

use std::collections::VecDeque;

use super::OVERLAPS_MAX;
use super::doings::Overlap;
use super::watch::Times;
use crate::record::{Micros, Position};

/// For how many minutes the slowest are kept.
pub const MINUTES: usize = 10;

/// Records of one minute, by the time from taken to delivered.
const BY_TOTAL: usize = 8;

/// Records of one minute, by the time since their timestamps.
const BY_WHOLE: usize = 4;

/// What is delivered so soon after another is of the same moment.
const MOMENT: Micros = 20_000;

const MINUTE: Micros = 60_000_000;

/// A record that was slow.
#[derive(Clone, Debug)]
pub(crate) struct Slow {
    pub(crate) reader: u32,
    pub(crate) position: Option<Position>,
    pub(crate) taken_at: Micros,
    pub(crate) record_time: Option<Micros>,
    pub(crate) delivered_at: Micros,
    pub(crate) decode: u32,
    /// Microseconds from taken to written.
    pub(crate) written: u64,
    /// Microseconds from written to acknowledged; None where the output tells no such thing of a record.
    pub(crate) delivered: Option<u64>,
    /// What each step took, where that was timed.
    pub(crate) times: Option<Times>,
    pub(crate) doings: [Option<Overlap>; OVERLAPS_MAX],
    /// As slow ones of the same moment beside it.
    pub(crate) alike: u32,
}

impl Slow {
    /// Microseconds from taken to delivered.
    pub(crate) fn total(&self) -> u64 {
        self.written + self.delivered.unwrap_or(0)
    }

    /// Microseconds since its own timestamp.
    pub(crate) fn whole(&self) -> u64 {
        let before = self.record_time.map_or(0, |time| self.taken_at - time);
        u64::try_from(before).unwrap_or(0) + self.total()
    }
}

/// What a record has to reach to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floors {
    /// From taken to delivered.
    pub(crate) total: u64,
    /// Since its timestamp.
    pub(crate) whole: u64,
    /// From when on everything is looked at again.
    pub(crate) until: Micros,
}

#[derive(Debug, Default)]
struct Minute {
    number: Micros,
    by_total: Vec<Slow>,
    by_whole: Vec<Slow>,
}

/// The lists of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Slowest {
    minutes: VecDeque<Minute>,
}

/// Puts a record into a list where it belongs. `make` is called when it does.
fn offer(
    list: &mut Vec<Slow>,
    max: usize,
    of: fn(&Slow) -> u64,
    value: u64,
    at: Micros,
    make: &mut dyn FnMut() -> Slow,
) {
    if let Some(alike) = list
        .iter_mut()
        .find(|kept| (kept.delivered_at - at).abs() < MOMENT)
    {
        let before = alike.alike + 1;
        if value > of(alike) + of(alike) / 16 {
            *alike = make();
        }
        alike.alike = before;
        return;
    }
    if list.len() < max {
        if list.capacity() == 0 {
            list.reserve_exact(max);
        }
        list.push(make());
        return;
    }
    let least = list.iter_mut().min_by_key(|kept| of(kept));
    if let Some(least) = least.filter(|least| value > of(least)) {
        *least = make();
    }
}

/// What a record must reach to change a list.
fn floor(list: &[Slow], max: usize, of: fn(&Slow) -> u64) -> u64 {
    if list.len() < max {
        return 0;
    }
    let least = list.iter().map(of).min().unwrap_or(0);
    least + least / 16 + 1
}

impl Slowest {
    /// Offers a record that was delivered at this moment, so long after it was taken and after its timestamp. `make` makes
    /// what is kept of it. Gives what the next one has to reach.
    pub(crate) fn offer(
        &mut self,
        at: Micros,
        total: u64,
        whole: u64,
        make: &mut dyn FnMut() -> Slow,
    ) -> Floors {
        let number = at / MINUTE;
        if self
            .minutes
            .back()
            .is_none_or(|newest| newest.number < number)
        {
            if self.minutes.len() == MINUTES {
                self.minutes.pop_front();
            }
            self.minutes.push_back(Minute {
                number,
                ..Minute::default()
            });
        }
        let Some(minute) = self.minutes.back_mut() else {
            return Floors {
                total: 0,
                whole: 0,
                until: 0,
            };
        };
        if total >= floor(&minute.by_total, BY_TOTAL, Slow::total) {
            offer(&mut minute.by_total, BY_TOTAL, Slow::total, total, at, make);
        }
        // Without a timestamp both are the same.
        if whole > total && whole >= floor(&minute.by_whole, BY_WHOLE, Slow::whole) {
            offer(&mut minute.by_whole, BY_WHOLE, Slow::whole, whole, at, make);
        }
        Floors {
            total: floor(&minute.by_total, BY_TOTAL, Slow::total),
            whole: floor(&minute.by_whole, BY_WHOLE, Slow::whole),
            until: (minute.number + 1) * MINUTE,
        }
    }

    /// Those that were delivered since this moment: by the time from taken to delivered, and since their timestamps.
    pub(crate) fn since(&self, from: Micros) -> (Vec<Slow>, Vec<Slow>) {
        let later = |slow: &&Slow| slow.delivered_at >= from;
        let all = |list: fn(&Minute) -> &Vec<Slow>| {
            let lists = self.minutes.iter().flat_map(list);
            lists.filter(later).cloned().collect()
        };
        (
            all(|minute| &minute.by_total),
            all(|minute| &minute.by_whole),
        )
    }

    /// What all lists may take.
    #[cfg(test)]
    pub(crate) const BYTES: usize = MINUTES * (BY_TOTAL + BY_WHOLE) * size_of::<Slow>();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(at: Micros, total: u64, before: u64) -> Slow {
        let taken_at = at - total.cast_signed();
        Slow {
            reader: 0,
            position: Some(Position::Number(at)),
            taken_at,
            record_time: Some(taken_at - before.cast_signed()),
            delivered_at: at,
            decode: 0,
            written: total,
            delivered: None,
            times: None,
            doings: [None; OVERLAPS_MAX],
            alike: 0,
        }
    }

    fn take(slowest: &mut Slowest, at: Micros, total: u64, before: u64) -> Floors {
        slowest.offer(at, total, total + before, &mut || slow(at, total, before))
    }

    fn totals(slowest: &Slowest, from: Micros) -> Vec<u64> {
        let mut totals: Vec<u64> = slowest.since(from).0.iter().map(Slow::total).collect();
        totals.sort_unstable();
        totals
    }

    #[test]
    fn the_slowest_of_each_minute_stay_for_ten_minutes() {
        let mut slowest = Slowest::default();
        for minute in 0..12 {
            for second in 0..60 {
                let at = minute * MINUTE + second * 1_000_000;
                take(
                    &mut slowest,
                    at,
                    100 + (second * 7919 % 60).cast_unsigned() * 10,
                    5,
                );
            }
        }
        let totals = totals(&slowest, 0);
        assert_eq!(totals.len(), MINUTES * BY_TOTAL);
        assert_eq!(
            totals.iter().filter(|total| **total == 690).count(),
            MINUTES
        );
        assert!(totals.iter().all(|total| *total >= 600), "{totals:?}");
    }

    #[test]
    fn what_comes_at_one_moment_takes_one_place_and_is_counted() {
        let mut slowest = Slowest::default();
        for record in 0..50 {
            take(
                &mut slowest,
                1_000_000 + record * 100,
                1_000 + record.cast_unsigned(),
                0,
            );
        }
        take(&mut slowest, 1_010_000, 5_000, 0);
        let (by_total, by_whole) = slowest.since(0);
        assert_eq!(by_total.len(), 1);
        assert_eq!((by_total[0].total(), by_total[0].alike), (5_000, 50));
        assert!(by_whole.is_empty());
    }

    #[test]
    fn a_floor_rises_when_a_list_is_full_and_falls_with_the_next_minute() {
        let mut slowest = Slowest::default();
        let mut floors = take(&mut slowest, 0, 1_600, 10);
        assert_eq!(floors.total, 0);
        for number in 1..20 {
            floors = take(&mut slowest, number * 100_000, 1_600, 10);
        }
        assert_eq!((floors.total, floors.until), (1_701, MINUTE));
        assert_eq!(floors.whole, 1_610 + 100 + 1);
        floors = take(&mut slowest, MINUTE, 1, 0);
        assert_eq!((floors.total, floors.until), (0, 2 * MINUTE));
        assert_eq!(totals(&slowest, MINUTE), [1]);
    }

    #[test]
    fn what_waited_long_before_it_was_taken_is_kept_although_the_engine_was_fast() {
        let mut slowest = Slowest::default();
        for number in 0..100 {
            take(&mut slowest, number * 100_000, 9_000, 10);
        }
        take(&mut slowest, 20_000_000, 50, 3_000_000);
        let (_, by_whole) = slowest.since(0);
        assert!(by_whole.iter().any(|slow| slow.whole() == 3_000_050));
    }
}
