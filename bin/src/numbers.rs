//! Numbers of partitions: where those of one number of all inputs come to one lane, each input must have them all.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_engine::error::Failure;

/// The number in a partition's name.
pub(crate) fn of(partition: &str) -> Option<u32> {
    partition.rsplit_once('/')?.1.parse().ok()
}

/// Whether all inputs have the same partitions; each is given with its input.
///
/// # Errors
/// `Refuse`, with what helps, where they have not: a key lies under another number then.
pub(crate) fn equal<'p>(
    partitions: impl Iterator<Item = (&'p str, &'p str)>,
) -> Result<(), Failure> {
    let mut inputs: BTreeMap<&str, BTreeSet<Option<u32>>> = BTreeMap::new();
    for (input, partition) in partitions {
        inputs.entry(input).or_default().insert(of(partition));
    }
    let mut sets = inputs.values();
    let first = sets.next();
    if sets.all(|set| Some(set) == first) {
        return Ok(());
    }
    let told: Vec<String> = inputs
        .iter()
        .map(|(input, numbers)| format!("`{input}` has {}", numbers.len()))
        .collect();
    Err(Failure::refuse(format!(
        "all inputs are PARTITIONED BY what they meet in, so that each lane reads the partitions of one number, and their numbers \
         of partitions differ: {}. A key lies under another number then. Take PARTITIONED BY out of one of the tables, so that \
         one lane reads all partitions; or let the records of one topic be written once more, into a new topic with as many \
         partitions as the other, and read that",
        told.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_with_the_same_numbers_fit() {
        let all = [("a", "t/0"), ("a", "t/1"), ("b", "u/1"), ("b", "u/0")];
        assert_eq!(equal(all.into_iter()), Ok(()));
        assert_eq!((of("in/voices/12"), of("file.jsonl")), (Some(12), None));
    }

    #[test]
    fn another_number_is_refused_with_what_helps() {
        let one_more = [("a", "t/0"), ("a", "t/1"), ("b", "u/0")];
        let failure = equal(one_more.into_iter()).unwrap_err();
        for part in ["`a` has 2, `b` has 1", "Take PARTITIONED BY out of one"] {
            assert!(failure.message.contains(part), "{failure}");
        }
    }
}
