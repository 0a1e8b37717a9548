//! By which columns the rows of each input go through its topic: such that all that meet in a step with state, or are counted
//! together there, come to one partition.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_engine::schema::DataType;

use crate::plan::node::Node;
use crate::plan::partitions::traced;

/// A column of each of several inputs, equal in all rows that belong together: its place by the input's number.
type Part = BTreeMap<usize, usize>;

/// What a step with state may be spread by.
struct Demand {
    /// The inputs whose rows come to it.
    inputs: BTreeSet<usize>,
    /// Any of these, or several.
    parts: BTreeSet<Part>,
}

/// For each input the places of its key.
///
/// # Errors
/// The reason why there is none.
pub(super) fn common(node: &Node, inputs: usize) -> Result<Vec<Vec<usize>>, &'static str> {
    let mut demands = Vec::new();
    collect(node, &mut demands);
    let Some(all) = demands.iter().find(|demand| demand.inputs.len() == inputs) else {
        return Err("the query has several ways with state side by side");
    };
    let fits = |part: &&Part| {
        demands.iter().all(|demand| {
            let own = part
                .iter()
                .filter(|(input, _)| demand.inputs.contains(input));
            let own: Part = own.map(|(input, place)| (*input, *place)).collect();
            demand.parts.contains(&own)
        })
    };
    let types = types(node, inputs);
    let alike = |part: &&Part| {
        let mut known = part.iter().map(|(input, place)| types[*input].get(*place));
        let first = known.next();
        known.all(|other| Some(other) == first)
    };
    let parts: Vec<&Part> = all.parts.iter().filter(fits).filter(alike).collect();
    if parts.is_empty() && demands.len() > 1 {
        return Err(
            "its steps with state have no key in common, and rows go through the topic once",
        );
    }
    if parts.is_empty() {
        return Err("all rows are one group: it has no key besides a window");
    }
    let place = |input| {
        parts
            .iter()
            .filter_map(|part| part.get(&input).copied())
            .collect()
    };
    Ok((0..inputs).map(place).collect())
}

/// The types of the columns that go through each topic.
fn types(node: &Node, inputs: usize) -> Vec<Vec<DataType>> {
    let mut types = vec![Vec::new(); inputs];
    fill(node, &mut types);
    types
}

fn fill(node: &Node, types: &mut [Vec<DataType>]) {
    if let Node::Rekey { rekey, .. } = node {
        if let Some(types) = types.get_mut(rekey.number) {
            *types = rekey.fields.iter().map(|f| f.data_type.clone()).collect();
        }
        return;
    }
    node.below().for_each(|node| fill(node, types));
}

fn inputs_below(node: &Node, found: &mut BTreeSet<usize>) {
    match node {
        Node::Rekey { rekey, .. } => {
            found.insert(rekey.number);
        }
        other => other.below().for_each(|node| inputs_below(node, found)),
    }
}

fn collect(node: &Node, demands: &mut Vec<Demand>) {
    if matches!(node, Node::Rekey { .. }) {
        return;
    }
    let keys: Option<Vec<Option<Part>>> = match node {
        Node::Aggregate { below, group } => {
            let origins = origins(below);
            let keys = 0..group.grouping.keys.len();
            Some(
                keys.map(|key| origins.get(key).cloned().flatten())
                    .collect(),
            )
        }
        Node::Dedup { below, dedup } => Some(picked(below, &dedup.keys)),
        Node::Over { below, windows } => Some(picked(below, &windows.over.keys)),
        Node::Join { below, join } => {
            let sides = [0, 1].map(|side| picked(&below[side], &join.keys[side]));
            let [left, right] = sides;
            let both = |(a, b): (Option<Part>, Option<Part>)| merged(a?, b?);
            Some(left.into_iter().zip(right).map(both).collect())
        }
        _ => None,
    };
    if let Some(keys) = keys {
        let mut inputs = BTreeSet::new();
        inputs_below(node, &mut inputs);
        let whole = |part: &Part| part.len() == inputs.len();
        let parts = keys.into_iter().flatten().filter(whole).collect();
        demands.push(Demand { inputs, parts });
    }
    node.below().for_each(|node| collect(node, demands));
}

fn picked(below: &Node, keys: &[usize]) -> Vec<Option<Part>> {
    let origins = origins(below);
    let origin = |key: &usize| origins.get(*key).cloned().flatten();
    keys.iter().map(origin).collect()
}

fn merged(mut a: Part, b: Part) -> Option<Part> {
    a.extend(b);
    Some(a)
}

/// For each column what it is at the topics, unchanged.
fn origins(node: &Node) -> Vec<Option<Part>> {
    traced(node, &|leaf| match leaf {
        Node::Rekey { below, rekey } => {
            let part = |place| Some(Part::from([(rekey.number, place)]));
            Some((0..below.width()).map(part).collect())
        }
        Node::Union { below } => {
            let mut branches = below.iter().map(origins);
            let first = branches.next()?;
            let both = |(a, b): (Option<Part>, Option<Part>)| merged(a?, b?);
            Some(branches.fold(first, |known, other| {
                known.into_iter().zip(other).map(both).collect()
            }))
        }
        Node::Join { below, join } => {
            let sides = [origins(&below[0]), origins(&below[1])];
            // A row that has a partner is where that is; the columns of a side that may be absent say nothing.
            let side = |side: usize| {
                let absent = !join.kind.left_only() && join.kind.keeps_alone(1 - side);
                let known = sides[side].iter().enumerate();
                let known = known.map(|(place, part)| {
                    let mut pairs = join.keys[side].iter().zip(&join.keys[1 - side]);
                    let partner = pairs.find(|(own, _)| **own == place);
                    let partner =
                        partner.and_then(|(_, other)| sides[1 - side].get(*other).cloned()?);
                    let part = part.clone().filter(|_| !absent)?;
                    merged(part, partner.unwrap_or_default())
                });
                known.collect::<Vec<_>>()
            };
            let mut all = side(0);
            if !join.kind.left_only() {
                all.extend(side(1));
            }
            Some(all)
        }
        _ => None,
    })
}
