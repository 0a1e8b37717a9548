//! How far a job has read, as its newest checkpoints say: what is behind that is not missing, it is yet to come.

use std::collections::BTreeMap;
use std::path::Path;

use thalweg_engine::record::Position;
use thalweg_operators::plan::Query;

use crate::folder;
use crate::place::Place;

/// By partition the next offset that is read. Empty where no checkpoint is at hand.
pub(super) fn positions(query: &Query) -> BTreeMap<String, i64> {
    let given = &query.settings;
    let place = given
        .checkpoint_location
        .as_ref()
        .and_then(|location| Place::at(Path::new(location), &given.checkpoint_options).ok())
        .map(|place| place.join(&query.name));
    let Some(place) = place else {
        return BTreeMap::new();
    };
    let chains = folder::chains(&place).unwrap_or_default();
    let mut positions = BTreeMap::new();
    for chain in chains {
        let newest = chain.of(&place).look().newest();
        for cut in newest
            .iter()
            .flatten()
            .flat_map(|newest| newest.partitions())
        {
            if let Position::Number(at) = cut.position {
                let known = positions.entry(cut.partition.to_string()).or_insert(at);
                *known = at.max(*known);
            }
        }
    }
    positions
}
