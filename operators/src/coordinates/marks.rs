//! What a checkpoint holds of an output topic: for each partition an offset, behind which stands all that was written later.

use crate::stateful::bytes::{read_varint, unzigzag, write_varint, zigzag};

/// What the bytes begin with.
const VERSION: u8 = 1;

/// A partition whose end is not known: everything in it may be later.
pub(crate) const UNKNOWN: i64 = -1;

/// By partition of the topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(pub(crate) Vec<i64>);

impl Marks {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + self.0.len() * 5);
        out.push(VERSION);
        write_varint(self.0.len() as u64, &mut out);
        for mark in &self.0 {
            write_varint(zigzag(*mark), &mut out);
        }
        out
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (version, mut rest) = bytes.split_first()?;
        let count = usize::try_from(read_varint(&mut rest)?).ok()?;
        if *version != VERSION || count > rest.len() {
            return None;
        }
        let marks: Option<Vec<i64>> = (0..count)
            .map(|_| read_varint(&mut rest).map(unzigzag))
            .collect();
        marks.map(Self).filter(|_| rest.is_empty())
    }

    /// The mark of a partition.
    pub(crate) fn of(&self, partition: usize) -> i64 {
        self.0.get(partition).copied().unwrap_or(UNKNOWN)
    }

    /// The earlier of both, partition by partition.
    pub(crate) fn earlier(&self, other: &Self) -> Self {
        let partitions = 0..self.0.len().max(other.0.len());
        Self(partitions.map(|at| self.of(at).min(other.of(at))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_written_and_nothing_else_is() {
        let marks = Marks(vec![0, 1_234_567_890_123, UNKNOWN]);
        let bytes = marks.write();
        assert_eq!(Marks::read(&bytes), Some(marks));
        assert_eq!(Marks::read(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Marks::read(&[]), None);
        assert_eq!(Marks::read(&[2, 0]), None);
        assert_eq!(Marks::read(&[1, 200]), None);
    }

    #[test]
    fn of_several_lanes_the_earliest_counts_and_a_partition_that_one_does_not_know_is_read_whole() {
        let both = Marks(vec![5, 9]).earlier(&Marks(vec![7, 3, 4]));
        assert_eq!(both, Marks(vec![5, 3, UNKNOWN]));
    }
}
