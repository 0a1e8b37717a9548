//! Whether state is local to a partition: every input is one topic that says what it is partitioned by, and every key holds
//! that. Where there are several inputs, partitions of one number meet: a join has what each side is partitioned by among
//! its equalities.

use smol_str::SmolStr;

use crate::plan::node::{Declared, Node};
use crate::sources;

/// Which partitions the lanes of a query read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lanes {
    /// Each has one of its own.
    Each,
    /// Each number has one, which reads that partition of every input.
    Numbered,
    /// One lane reads all. Of a join it says why.
    Gathered(Option<String>),
}

/// Which lanes a plan needs, so that rows which belong together come to one of them.
pub(crate) fn lanes(node: &Node) -> Lanes {
    if !node.has_state() {
        return Lanes::Each;
    }
    let mut inputs = Vec::new();
    inputs_of(node, &mut inputs);
    let local = match inputs.as_slice() {
        [] => Err(String::new()),
        [only] => partitioned(only).and_then(|by| within(node, by)),
        several => alike(several).and_then(|by| within(node, by)),
    };
    match local {
        Ok(()) if inputs.len() == 1 => Lanes::Each,
        Ok(()) => Lanes::Numbered,
        Err(why) => Lanes::Gathered(Some(why).filter(|_| joins(node))),
    }
}

fn joins(node: &Node) -> bool {
    matches!(node, Node::Join { .. }) || node.below().any(joins)
}

fn inputs_of<'n>(node: &'n Node, found: &mut Vec<&'n Declared>) {
    if let Node::Source { input, .. } = node
        && !found
            .iter()
            .any(|known| known.table.name == input.table.name)
    {
        found.push(input);
    }
    node.below().for_each(|node| inputs_of(node, found));
}

/// How many columns say where the rows of an input lie.
fn partitioned(input: &Declared) -> Result<usize, String> {
    let table = &input.table;
    if table.partitioned_by.is_empty() {
        return Err(format!("`{}` is not PARTITIONED BY anything", table.name));
    }
    // Of several topics each may hold records of one key.
    if !sources::kafka::one_topic(table) {
        return Err(format!("`{}` is not one topic", table.name));
    }
    Ok(table.partitioned_by.len())
}

/// The same of several inputs, of which rows of one key must lie in partitions of one number.
fn alike(inputs: &[&Declared]) -> Result<usize, String> {
    let mut all: Option<usize> = None;
    let mut known: Option<(&str, &SmolStr)> = None;
    let names: Vec<SmolStr> = inputs
        .iter()
        .map(|input| SmolStr::new(&input.table.name))
        .collect();
    for (input, name) in inputs.iter().zip(&names) {
        let by = partitioned(input)?;
        if input.read_from.is_some() {
            return Err(format!("`{name}` is read from a file"));
        }
        if !sources::kafka::whole_topic(&input.table) {
            return Err(format!("`{name}` is not all of its topic"));
        }
        if all.is_some_and(|all| all != by) {
            return Err("its inputs are PARTITIONED BY different numbers of columns".to_owned());
        }
        all = Some(by);
        let Some(partitioner) = sources::kafka::partitioner(&input.table) else {
            continue;
        };
        match known {
            Some((other, of)) if other != partitioner => {
                return Err(format!(
                    "the partitioner of `{of}` is {other}, that of `{name}` {partitioner}"
                ));
            }
            _ => known = Some((partitioner, name)),
        }
    }
    all.ok_or_else(String::new)
}

/// Whether every step with state keeps what belongs to one value of the inputs' so many columns apart from the rest.
fn within(node: &Node, by: usize) -> Result<(), String> {
    let holds = |below: &Node, keys: &mut dyn Iterator<Item = usize>| {
        let parts = parts(below);
        let keys: Vec<Option<usize>> = keys.map(|key| parts.get(key).copied().flatten()).collect();
        (0..by).all(|part| keys.contains(&Some(part)))
    };
    let here = match node {
        Node::Aggregate { below, group } => holds(below, &mut (0..group.grouping.keys.len())),
        Node::Dedup { below, dedup } => holds(below, &mut dedup.keys.iter().copied()),
        Node::Over { below, windows } => holds(below, &mut windows.over.keys.iter().copied()),
        Node::Join { below, join } => {
            let sides = [parts(&below[0]), parts(&below[1])];
            let part = |side: usize, key: usize| sides[side].get(key).copied().flatten();
            let equal = |part_of_both: usize| {
                let mut pairs = join.keys[0].iter().zip(&join.keys[1]);
                pairs.any(|(left, right)| {
                    part(0, *left) == Some(part_of_both) && part(1, *right) == Some(part_of_both)
                })
            };
            if !(0..by).all(equal) {
                return Err(format!(
                    "the join with {} does not ask that what its sides are PARTITIONED BY is equal",
                    join.with
                ));
            }
            true
        }
        // They are about all rows.
        Node::Sort { .. } | Node::Limit { .. } => false,
        _ => true,
    };
    if !here {
        return Err(
            "a step with state has not all columns among its keys that its inputs are PARTITIONED BY"
                .to_owned(),
        );
    }
    node.below().try_for_each(|node| within(node, by))
}

/// For each column which of the columns it is, unchanged, that say in which partition its row lies.
fn parts(node: &Node) -> Vec<Option<usize>> {
    traced(node, &|leaf| match leaf {
        Node::Source {
            input,
            columns,
            metadata,
        } => {
            let by = &input.table.partitioned_by;
            let part = |name: &str| by.iter().position(|part| part.eq_ignore_ascii_case(name));
            let columns = columns.iter().map(|(_, field)| part(&field.name));
            Some(columns.chain(metadata.iter().map(|_| None)).collect())
        }
        Node::Join { below, join } => {
            // A side that may be absent shows NULL, wherever the row lies.
            let side = |side: usize| {
                let absent = !join.kind.left_only() && join.kind.keeps_alone(1 - side);
                let parts = parts(&below[side]).into_iter();
                parts.map(move |part| part.filter(|_| !absent))
            };
            if join.kind.left_only() {
                return Some(side(0).collect());
            }
            Some(side(0).chain(side(1)).collect())
        }
        Node::Union { below } => {
            let mut branches = below.iter().map(parts);
            let first = branches.next()?;
            Some(branches.fold(first, |known, other| {
                let same = |(a, b): (Option<usize>, Option<usize>)| a.filter(|_| a == b);
                known.into_iter().zip(other).map(same).collect()
            }))
        }
        _ => None,
    })
}

/// For each column what it is at the leaf, unchanged. `leaf` knows the columns of a node that is one.
pub(super) fn traced<T: Clone>(
    node: &Node,
    leaf: &dyn Fn(&Node) -> Option<Vec<Option<T>>>,
) -> Vec<Option<T>> {
    if let Some(known) = leaf(node) {
        return known;
    }
    let origins = |node: &Node| traced(node, leaf);
    match node {
        Node::Project { below, items } => {
            let below = origins(below);
            let origin = |place: usize| below.get(place).cloned().flatten();
            items
                .iter()
                .map(|item| item.column().and_then(origin))
                .collect()
        }
        Node::Explode {
            below,
            kept,
            generated,
            ..
        } => {
            let below = origins(below);
            let kept = kept
                .iter()
                .map(|place| below.get(*place).cloned().flatten());
            kept.chain(generated.iter().map(|_| None)).collect()
        }
        Node::EventTime { below, column, .. } => {
            let mut origins = origins(below);
            origins.extend(column.iter().map(|_| None));
            origins
        }
        Node::Aggregate { below, group } => {
            let below = origins(below);
            let key = |key| {
                group
                    .below_key(key)
                    .and_then(|p| below.get(p).cloned().flatten())
            };
            let keys = (0..group.keys.len()).map(key);
            let aggregates = group.grouping.aggregates.iter().map(|_| None);
            keys.chain(aggregates).collect()
        }
        Node::Lookup { below, beside } => {
            let mut origins = origins(below);
            origins.extend(beside.added().iter().map(|_| None));
            origins
        }
        Node::Over { below, windows } => {
            let mut origins = origins(below);
            origins.extend(windows.fields.iter().map(|_| None));
            origins
        }
        Node::Filter { below, .. }
        | Node::Rekey { below, .. }
        | Node::Dedup { below, .. }
        | Node::Sort { below, .. }
        | Node::Limit { below, .. } => origins(below),
        Node::Source { .. }
        | Node::Union { .. }
        | Node::Join { .. }
        | Node::Fork { .. }
        | Node::Hole { .. } => {
            vec![None; node.width()]
        }
    }
}
