//! What a run knows of the topics that it reads, and saves with its positions: their ids and numbers of partitions.
//!
//! An id that is another one means that the topic was deleted and made again. A number that has grown means that the
//! writers' partitioners put keys elsewhere from then on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use thalweg_engine::counted::counted;

/// What is known of one topic.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub(crate) struct Known {
    /// Empty where the broker has no ids.
    pub(crate) id: String,
    /// How many partitions it had when the query first saw it; 0 where a checkpoint does not say.
    pub(crate) partitions: i32,
    /// The number against which the keys of its records are checked; 0 when it has grown since.
    #[serde(skip)]
    pub(crate) checked: Arc<AtomicU32>,
}

/// As it is saved; the first version saved the id alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Saved {
    Id(String),
    Told { id: String, partitions: i32 },
}

impl From<Saved> for Known {
    fn from(saved: Saved) -> Self {
        let (id, partitions) = match saved {
            Saved::Id(id) => (id, 0),
            Saved::Told { id, partitions } => (id, partitions),
        };
        Self {
            id,
            partitions,
            checked: Arc::default(),
        }
    }
}

impl Known {
    /// A topic that is seen for the first time.
    pub(crate) fn new(id: String, partitions: i32) -> Self {
        Self {
            id,
            partitions,
            checked: Arc::new(AtomicU32::new(u32::try_from(partitions).unwrap_or(0))),
        }
    }

    /// What is known of a topic with `partitions` now, of which a checkpoint says `before`.
    pub(crate) fn resumed(id: String, partitions: i32, before: &Self) -> Self {
        if before.partitions == 0 || before.partitions == partitions {
            return Self::new(id, partitions);
        }
        Self {
            id,
            partitions: before.partitions,
            checked: Arc::default(),
        }
    }

    /// Why state that was kept by partition since the query began is not that of the records any more, where the topic
    /// has another number of partitions now.
    pub(crate) fn moved(&self, topic: &str, partitions: i32) -> Option<String> {
        if self.partitions == 0 || self.partitions == partitions {
            return None;
        }
        Some(format!(
            "topic `{topic}` has {} now, and had {} when the state of this query began. Its writers \
             put keys into other partitions since, where the state that PARTITIONED BY keeps with each partition does \
             not follow them. {REMEDY}",
            counted(partitions, "partition"),
            self.partitions
        ))
    }

    /// Ends the check of keys; says whether there was one.
    pub(crate) fn uncheck(&self) -> bool {
        self.checked.swap(0, Ordering::Relaxed) != 0
    }
}

/// What helps where a topic has grown.
const REMEDY: &str = "Take PARTITIONED BY out of the table, so that one lane reads all partitions; or let the records be \
    written once more, into a new topic with as many partitions as it will ever need, and read that. Then build the state \
    anew: with another checkpointLocation, startingOffsets 'earliest' and `thalweg run --fresh`.";

/// The topics by name.
pub(crate) type KnownTopics = BTreeMap<String, Known>;

/// What a checkpoint says of the topics; nothing where it says nothing that this version understands.
pub(crate) fn read(state: Option<&[u8]>) -> KnownTopics {
    state
        .and_then(|state| serde_json::from_slice(state).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_read_again() {
        let topics = KnownTopics::from([("t".to_owned(), Known::new("id-1".into(), 4))]);
        let again = read(Some(&serde_json::to_vec(&topics).unwrap()));
        assert_eq!((again["t"].id.as_str(), again["t"].partitions), ("id-1", 4));
    }

    #[test]
    fn the_first_versions_ids_are_read_too() {
        let again = read(Some(br#"{"t":"id-1"}"#));
        assert_eq!((again["t"].id.as_str(), again["t"].partitions), ("id-1", 0));
        assert!(read(None).is_empty());
        assert!(read(Some(b"[]")).is_empty());
    }

    #[test]
    fn state_by_partition_ends_where_the_number_of_partitions_is_another_one() {
        let known = Known::new("id-1".into(), 2);
        assert_eq!(known.moved("t", 2), None);
        let why = known.moved("t", 3).unwrap();
        for part in ["`t` has 3", "had 2", "Take PARTITIONED BY out", "--fresh"] {
            assert!(why.contains(part), "{why}");
        }
        assert_eq!(Known::from(Saved::Id("id-1".into())).moved("t", 3), None);
    }

    #[test]
    fn a_topic_that_has_grown_keeps_its_first_number_and_is_not_checked() {
        let before = Known::new("id-1".into(), 2);
        let grown = Known::resumed("id-1".into(), 3, &before);
        assert_eq!(grown.partitions, 2);
        assert!(!grown.uncheck());
        let same = Known::resumed("id-1".into(), 2, &before);
        assert!(same.uncheck() && !same.uncheck());
    }
}
