//! The watermark of a lane: the minimum over its partitions, which never goes back.
//!
//! Each partition's own watermark is a pure function of that partition's log, so a replay after a crash finds the same
//! one; the lane's is their minimum. A partition without any event yet holds it back.

use crate::record::Micros;

/// The watermarks of the partitions that one lane reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watermarks {
    partitions: Vec<Option<Micros>>,
    current: Option<Micros>,
}

impl Watermarks {
    /// Adds a partition with the watermark that its checkpoint holds. Gives its number, counted from 0.
    pub fn add(&mut self, restored: Option<Micros>) -> usize {
        self.partitions.push(restored);
        self.partitions.len() - 1
    }

    /// The partition has seen this watermark. Gives the lane's new watermark if it moved.
    pub fn observe(&mut self, partition: usize, watermark: Micros) -> Option<Micros> {
        let own = self.partitions.get_mut(partition)?;
        if *own >= Some(watermark) {
            return None;
        }
        *own = Some(watermark);
        let minimum = self.partitions.iter().copied().min().flatten();
        if minimum > self.current {
            self.current = minimum;
            return minimum;
        }
        None
    }

    /// The watermark of one partition.
    pub fn of(&self, partition: usize) -> Option<Micros> {
        self.partitions.get(partition).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_slowest_partition_holds_the_lane_back() {
        let mut watermarks = Watermarks::default();
        watermarks.add(None);
        watermarks.add(None);
        assert_eq!(watermarks.observe(0, 50), None);
        assert_eq!(watermarks.observe(1, 20), Some(20));
        assert_eq!(watermarks.observe(1, 10), None);
        assert_eq!(watermarks.observe(1, 70), Some(50));
    }

    proptest! {
        #[test]
        fn it_never_goes_back(events in prop::collection::vec((0_usize..3, -100_i64..100), 0..100)) {
            let mut watermarks = Watermarks::default();
            for _ in 0..3 {
                watermarks.add(None);
            }
            let mut last = None;
            for (partition, event) in events {
                if let Some(now) = watermarks.observe(partition, event) {
                    prop_assert!(Some(now) > last);
                    last = Some(now);
                }
            }
        }
    }
}
