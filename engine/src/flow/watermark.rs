//! The watermark of a lane: the minimum over its partitions, which never goes back.
//!
//! Each partition's own watermark is a pure function of that partition's log, so a replay after a crash finds the same
//! one; the lane's is their minimum. A partition without any event yet holds it back, until it is idle: read to its end,
//! with nothing new for a while. When all are idle, the watermark stays.
//!
//! Held, all of that stays as it was, and what is seen is kept beside it until the hold ends. Rows are then late as in Spark, which has
//! one watermark for all streams: only where every other stream had gone past them, too, when the hold began.

use smol_str::SmolStr;

use crate::record::Micros;

/// The watermarks of the partitions that one lane reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watermarks {
    partitions: Vec<Track>,
    current: Option<Micros>,
    held: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Track {
    own: Option<Micros>,
    /// Its input.
    input: SmolStr,
    /// What its rows are late against while all are held.
    bound: Option<Micros>,
    /// The newest that it has seen while all are held.
    seen: Option<Micros>,
    /// Whether its input has event times at all.
    counts: bool,
    idle: bool,
    /// Whether the checkpoint that the lane starts from does not name it.
    new: bool,
}

impl Watermarks {
    /// Adds a partition with the watermark that its checkpoint holds. One whose input has no event times holds nothing
    /// back. Gives its number, counted from 0.
    pub fn add(&mut self, restored: Option<Micros>, counts: bool) -> usize {
        self.push(restored, counts, false)
    }

    /// Adds a partition that no checkpoint names: it joins at what the lane has reached. Gives its number.
    pub fn join(&mut self, counts: bool) -> usize {
        self.push(None, counts, true)
    }

    fn push(&mut self, restored: Option<Micros>, counts: bool, new: bool) -> usize {
        self.partitions.push(Track {
            own: restored.max(self.current),
            input: SmolStr::default(),
            bound: restored.max(self.current),
            seen: None,
            counts,
            idle: false,
            new,
        });
        self.partitions.len() - 1
    }

    /// The minimum of what was restored: where the lane goes on after a restart, and where those join that are new.
    pub fn reached(&mut self) -> Option<Micros> {
        let restored = self.partitions.iter();
        let restored = restored
            .filter(|track| track.counts && !track.new)
            .map(|track| track.own)
            .min()
            .flatten();
        for track in self.partitions.iter_mut().filter(|track| track.new) {
            track.own = track.own.max(restored);
        }
        let moved = self.minimum();
        if self.held {
            self.bind();
        }
        moved
    }

    /// Says of which input a partition is. Before [`Watermarks::reached`].
    pub fn belongs(&mut self, partition: usize, input: &SmolStr) {
        if let Some(track) = self.partitions.get_mut(partition) {
            track.input = input.clone();
        }
    }

    /// Finds what rows of each partition are late against while all are held: its own watermark, or that of another input which is
    /// behind it. An input is as far as its first partition, as it is in Spark.
    fn bind(&mut self) {
        let mut inputs: Vec<(SmolStr, Option<Micros>)> = Vec::new();
        for track in self.partitions.iter().filter(|track| track.counts) {
            match inputs.iter_mut().find(|(input, _)| *input == track.input) {
                Some((_, newest)) => *newest = (*newest).max(track.own),
                None => inputs.push((track.input.clone(), track.own)),
            }
        }
        for track in &mut self.partitions {
            let others = inputs.iter().filter(|(input, _)| *input != track.input);
            let others = others.map(|(_, newest)| *newest).min();
            track.bound = others.map_or(track.own, |others| track.own.min(others));
        }
    }

    /// The partition has seen this watermark. Gives the lane's new watermark if it moved.
    pub fn observe(&mut self, partition: usize, watermark: Micros) -> Option<Micros> {
        let track = self.partitions.get_mut(partition)?;
        track.idle = false;
        if self.held {
            track.seen = track.seen.max(Some(watermark));
            return None;
        }
        if track.own >= Some(watermark) {
            return None;
        }
        let held_back = track.own <= self.current || self.current.is_none();
        track.own = Some(watermark);
        if held_back { self.minimum() } else { None }
    }

    /// The partition was read to its end long ago. Gives the lane's new watermark if it moved.
    pub fn idle(&mut self, partition: usize) -> Option<Micros> {
        let track = self.partitions.get_mut(partition)?;
        if std::mem::replace(&mut track.idle, true) || self.held {
            return None;
        }
        self.minimum()
    }

    /// From now on nothing moves until [`Watermarks::let_go`].
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// What the partition had seen in a run before this one, while that held it. Before [`Watermarks::reached`].
    pub fn remember(&mut self, partition: usize, seen: Option<Micros>) {
        if let Some(track) = self.partitions.get_mut(partition) {
            let place = if self.held {
                &mut track.seen
            } else {
                &mut track.own
            };
            *place = seen.max(*place);
        }
    }

    /// The hold is over: what was seen meanwhile counts. Gives the lane's new watermark if it moved.
    pub fn let_go(&mut self) -> Option<Micros> {
        if !std::mem::replace(&mut self.held, false) {
            return None;
        }
        for track in &mut self.partitions {
            track.own = track.own.max(track.seen.take());
        }
        self.minimum()
    }

    /// What the partition has seen while held.
    pub fn seen(&self, partition: usize) -> Option<Micros> {
        self.partitions.get(partition)?.seen
    }

    fn minimum(&mut self) -> Option<Micros> {
        let minimum = self.holding()?.own;
        if minimum > self.current {
            self.current = minimum;
            return minimum;
        }
        None
    }

    fn holding(&self) -> Option<&Track> {
        let counting = self.partitions.iter();
        counting
            .filter(|track| track.counts && !track.idle)
            .min_by_key(|track| track.own)
    }

    /// Whether there are partitions with event times, and all of them are idle.
    pub fn all_idle(&self) -> bool {
        let mut counting = self
            .partitions
            .iter()
            .filter(|track| track.counts)
            .peekable();
        counting.peek().is_some() && counting.all(|track| track.idle)
    }

    /// The watermark of the lane.
    pub fn current(&self) -> Option<Micros> {
        self.current
    }

    /// What rows of the partition are late against.
    #[inline]
    pub fn against(&self, partition: usize) -> Option<Micros> {
        if !self.held {
            return self.of(partition);
        }
        let track = self.partitions.get(partition)?;
        if track.counts {
            track.bound.max(self.current)
        } else {
            None
        }
    }

    /// What the partition's cut holds: its own watermark, or the lane's where that has gone on without it.
    #[inline]
    pub fn of(&self, partition: usize) -> Option<Micros> {
        let track = self.partitions.get(partition)?;
        if track.counts {
            track.own.max(self.current)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn two() -> Watermarks {
        let mut watermarks = Watermarks::default();
        watermarks.add(None, true);
        watermarks.add(None, true);
        watermarks
    }

    #[test]
    fn the_slowest_partition_holds_the_lane_back() {
        let mut watermarks = two();
        assert_eq!(watermarks.observe(0, 50), None);
        assert_eq!(watermarks.observe(1, 20), Some(20));
        assert_eq!(watermarks.observe(1, 10), None);
        assert_eq!(watermarks.observe(1, 70), Some(50));
    }

    #[test]
    fn an_idle_partition_lets_the_others_go_on_and_is_late_against_them_afterwards() {
        let mut watermarks = two();
        watermarks.observe(0, 50);
        assert_eq!(watermarks.idle(1), Some(50));
        assert_eq!(watermarks.of(1), Some(50));
        assert_eq!(watermarks.observe(1, 20), None);
        assert_eq!(
            (watermarks.of(1), watermarks.current()),
            (Some(50), Some(50))
        );
        assert_eq!(watermarks.observe(0, 90), None, "it holds them back again");
        assert_eq!(watermarks.observe(1, 70), Some(70));
    }

    #[test]
    fn while_held_rows_are_late_where_the_other_stream_has_gone_past_them_too() {
        let mut watermarks = Watermarks::default();
        for (number, (restored, input)) in [(50, "a"), (30, "a"), (10, "b")].into_iter().enumerate()
        {
            watermarks.add(Some(restored), true);
            watermarks.belongs(number, &input.into());
        }
        watermarks.add(None, false);
        let late = |watermarks: &Watermarks| [0, 1, 2, 3].map(|number| watermarks.against(number));
        let each = [Some(50), Some(30), Some(10), None];
        let mut held = watermarks.clone();
        assert_eq!((watermarks.reached(), late(&watermarks)), (Some(10), each));
        held.hold();
        let first = [Some(10), Some(10), Some(10), None];
        assert_eq!((held.reached(), late(&held)), (Some(10), first));
        // One of another stream is as far as its first partition.
        let mut ahead = Watermarks::default();
        for (number, (restored, input)) in [(50, "a"), (30, "a"), (70, "b")].into_iter().enumerate()
        {
            ahead.add(Some(restored), true);
            ahead.belongs(number, &input.into());
        }
        ahead.hold();
        ahead.reached();
        assert_eq!(
            [0, 1, 2].map(|number| ahead.against(number)),
            [Some(50), Some(30), Some(50)]
        );
        assert_eq!(ahead.of(2), Some(70), "its cut keeps what it has seen");
    }

    #[test]
    fn while_held_nothing_moves_and_then_all_that_was_seen_counts() {
        let mut watermarks = Watermarks::default();
        watermarks.add(Some(10), true);
        watermarks.add(Some(20), true);
        watermarks.hold();
        assert_eq!(watermarks.reached(), Some(10));
        assert_eq!(watermarks.observe(0, 50), None);
        assert_eq!(watermarks.observe(0, 40), None);
        assert_eq!(watermarks.observe(1, 30), None);
        assert_eq!((watermarks.of(0), watermarks.of(1)), (Some(10), Some(20)));
        assert_eq!(
            (watermarks.seen(0), watermarks.seen(1)),
            (Some(50), Some(30))
        );
        assert_eq!(watermarks.let_go(), Some(30));
        assert_eq!((watermarks.of(0), watermarks.seen(0)), (Some(50), None));
        assert_eq!(watermarks.observe(1, 60), Some(50), "it goes on as ever");
    }

    #[test]
    fn what_was_seen_before_a_restart_counts_with_the_rest_or_at_once() {
        for held in [true, false] {
            let mut watermarks = Watermarks::default();
            if held {
                watermarks.hold();
            }
            for (restored, seen) in [(Some(10), Some(50)), (Some(20), None)] {
                let number = watermarks.add(restored, true);
                watermarks.remember(number, seen);
            }
            let of = |watermarks: &Watermarks| [0, 1].map(|number| watermarks.of(number));
            if held {
                assert_eq!(watermarks.reached(), Some(10));
                assert_eq!(of(&watermarks), [Some(10), Some(20)]);
                assert_eq!(watermarks.let_go(), Some(20));
            } else {
                assert_eq!(watermarks.reached(), Some(20));
            }
            assert_eq!(of(&watermarks), [Some(50), Some(20)]);
        }
    }

    #[test]
    fn when_all_are_idle_the_watermark_stays() {
        let mut watermarks = two();
        watermarks.observe(0, 50);
        watermarks.observe(1, 20);
        assert_eq!(watermarks.idle(1), Some(50));
        assert_eq!(watermarks.idle(0), None);
        assert_eq!(watermarks.current(), Some(50));
    }

    #[test]
    fn a_new_partition_joins_at_the_current_minimum() {
        let mut watermarks = Watermarks::default();
        watermarks.add(None, true);
        watermarks.observe(0, 50);
        let new = watermarks.join(true);
        assert_eq!(watermarks.of(new), Some(50));
        assert_eq!(watermarks.observe(0, 80), None);
        assert_eq!(watermarks.observe(new, 60), Some(60));
    }

    #[test]
    fn a_partition_that_appeared_between_two_runs_does_not_take_the_lane_back() {
        let mut watermarks = Watermarks::default();
        let new = watermarks.join(true);
        watermarks.add(Some(50), true);
        watermarks.add(Some(80), true);
        assert_eq!(watermarks.reached(), Some(50));
        assert_eq!(watermarks.of(new), Some(50), "what is older is late");
        assert_eq!(watermarks.observe(1, 70), None, "it holds the lane back");
        assert_eq!(watermarks.observe(new, 60), Some(60));
    }

    #[test]
    fn a_partition_without_events_still_holds_back_after_a_restart() {
        let mut watermarks = Watermarks::default();
        watermarks.add(Some(50), true);
        watermarks.add(None, true);
        let new = watermarks.join(true);
        assert_eq!(watermarks.reached(), None);
        assert_eq!(watermarks.of(new), None);
    }

    #[test]
    fn an_input_without_event_times_holds_nothing_back() {
        let mut watermarks = Watermarks::default();
        watermarks.add(None, false);
        watermarks.add(None, true);
        assert_eq!(watermarks.observe(1, 7), Some(7));
        assert_eq!(watermarks.of(0), None);
    }

    proptest! {
        #[test]
        fn it_never_goes_back(events in prop::collection::vec((0_usize..3, -100_i64..100, 0..8), 0..100)) {
            let mut watermarks = two();
            watermarks.add(None, true);
            let mut last = None;
            for (partition, event, idle) in events {
                let moved = if idle == 0 { watermarks.idle(partition) } else { watermarks.observe(partition, event) };
                if let Some(now) = moved {
                    prop_assert!(Some(now) > last);
                    last = Some(now);
                }
                prop_assert!(watermarks.of(partition) >= last);
            }
        }

        #[test]
        fn a_restart_goes_on_where_it_was(events in prop::collection::vec((0_usize..3, -100_i64..100, 0..8), 0..60)) {
            let mut watermarks = two();
            watermarks.add(None, true);
            for (partition, event, idle) in events {
                if idle == 0 { watermarks.idle(partition); } else { watermarks.observe(partition, event); }
            }
            let mut again = Watermarks::default();
            let cuts: Vec<_> = (0..3).map(|partition| watermarks.of(partition)).collect();
            for cut in &cuts {
                again.add(*cut, true);
            }
            again.reached();
            prop_assert_eq!(again.current(), watermarks.current());
            for (partition, cut) in cuts.iter().enumerate() {
                prop_assert_eq!(again.of(partition), *cut);
            }
        }
    }
}
