//! From the list of shards to what is read: where each starts, and after which others. Pure.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::record::Position;
use thalweg_engine::source::Start;

use super::place::Place;
use super::starting::Starting;

/// A shard as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) id: SmolStr,
    /// The shards that it was split or merged from.
    pub(super) parents: Vec<SmolStr>,
    /// Whether nothing will be written to it any more.
    pub(super) closed: bool,
}

/// The name of a partition.
pub(super) fn name(stream: &str, shard: &str) -> SmolStr {
    format_smolstr!("{stream}/{shard}")
}

/// The shard of a partition.
pub(super) fn shard_of(partition: &str) -> &str {
    partition
        .rsplit_once('/')
        .map_or(partition, |(_, shard)| shard)
}

fn start(stream: &str, shard: &Shard, position: Position, there: &BTreeSet<&SmolStr>) -> Start {
    // A parent that is not listed any more has nothing that could be read first.
    let parents = shard.parents.iter().filter(|parent| there.contains(parent));
    Start {
        partition: name(stream, &shard.id),
        position,
        after: parents.map(|parent| name(stream, parent)).collect(),
    }
}

fn there(shards: &[Shard]) -> BTreeSet<&SmolStr> {
    shards.iter().map(|shard| &shard.id).collect()
}

/// A first start at `now`. Closed shards too: a checkpoint that does not name them would have them read later.
pub(super) fn first(stream: &str, shards: &[Shard], starting: &Starting, now: i64) -> Vec<Start> {
    let there = there(shards);
    let position = |shard: &Shard| starting.place(&shard.id, now).position();
    shards
        .iter()
        .map(|shard| start(stream, shard, position(shard), &there))
        .collect()
}

/// A start from a checkpoint: shards that it does not name are new, and read from their oldest record.
pub(super) fn resumed(
    stream: &str,
    shards: &[Shard],
    positions: &BTreeMap<SmolStr, Position>,
    ended: &BTreeSet<SmolStr>,
) -> Vec<Start> {
    let there = there(shards);
    let read = shards
        .iter()
        .filter(|shard| !ended.contains(&name(stream, &shard.id)));
    read.map(|shard| {
        let known = positions.get(&name(stream, &shard.id)).cloned();
        let position = known.unwrap_or_else(|| Place::Oldest.position());
        start(stream, shard, position, &there)
    })
    .collect()
}

/// Shards that a checkpoint has not read to their end and that are not there any more.
pub(super) fn lost<'p>(
    stream: &str,
    shards: &[Shard],
    positions: &'p BTreeMap<SmolStr, Position>,
    ended: &BTreeSet<SmolStr>,
) -> Vec<&'p SmolStr> {
    let there: BTreeSet<SmolStr> = shards.iter().map(|shard| name(stream, &shard.id)).collect();
    positions
        .keys()
        .filter(|partition| !there.contains(*partition) && !ended.contains(*partition))
        .collect()
}

/// Shards that appeared since.
pub(super) fn found(
    stream: &str,
    shards: &[Shard],
    known: &[SmolStr],
    ended: &BTreeSet<SmolStr>,
) -> Vec<Start> {
    let there = there(shards);
    let is_new = |shard: &&Shard| {
        let name = name(stream, &shard.id);
        !known.contains(&name) && !ended.contains(&name)
    };
    shards
        .iter()
        .filter(is_new)
        .map(|shard| start(stream, shard, Place::Oldest.position(), &there))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str], closed: bool) -> Shard {
        Shard {
            id: id.into(),
            parents: parents.iter().map(|parent| (*parent).into()).collect(),
            closed,
        }
    }

    /// A was split into B and C, which were merged into D. A's own parent is forgotten.
    fn family() -> Vec<Shard> {
        vec![
            shard("A", &["Z"], true),
            shard("B", &["A"], true),
            shard("C", &["A"], true),
            shard("D", &["B", "C"], false),
        ]
    }

    fn after(starts: &[Start]) -> Vec<(&str, Vec<&str>)> {
        starts
            .iter()
            .map(|start| {
                let after = start.after.iter().map(SmolStr::as_str).collect();
                (start.partition.as_str(), after)
            })
            .collect()
    }

    fn names(names: &[&str]) -> BTreeSet<SmolStr> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn children_are_read_after_their_parents_that_are_there() {
        let starting = Starting::of("LATEST").unwrap();
        let starts = first("s", &family(), &starting, 77);
        assert_eq!(
            after(&starts),
            [
                ("s/A", vec![]),
                ("s/B", vec!["s/A"]),
                ("s/C", vec!["s/A"]),
                ("s/D", vec!["s/B", "s/C"]),
            ]
        );
        let latest = Place::Time(77).position();
        assert!(starts.iter().all(|start| start.position == latest));
    }

    #[test]
    fn a_restart_leaves_out_what_has_ended_and_reads_what_is_new_from_its_oldest_record() {
        let at = Place::After("4959".into()).position();
        let positions = [("s/A".into(), at.clone()), ("s/B".into(), at.clone())].into();
        let starts = resumed("s", &family(), &positions, &names(&["s/A"]));
        let expected: Vec<(&str, Position)> = vec![
            ("s/B", at),
            ("s/C", Place::Oldest.position()),
            ("s/D", Place::Oldest.position()),
        ];
        let got: Vec<(&str, Position)> = starts
            .iter()
            .map(|start| (start.partition.as_str(), start.position.clone()))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn a_shard_is_lost_when_it_is_gone_and_was_not_read_to_its_end() {
        let at = Place::Oldest.position();
        let positions = [("s/Y", &at), ("s/Z", &at), ("s/B", &at)]
            .map(|(name, at)| (SmolStr::from(name), at.clone()))
            .into();
        let ended = names(&["s/Z"]);
        assert_eq!(lost("s", &family(), &positions, &ended), ["s/Y"]);
    }

    #[test]
    fn a_shard_is_found_once_and_never_after_its_end() {
        let known = ["s/A".into(), "s/B".into()];
        let found = found("s", &family(), &known, &names(&["s/C"]));
        assert_eq!(after(&found), [("s/D", vec!["s/B", "s/C"])]);
    }
}
