//! Whether state is local to a partition: the only input is one topic that says what it is partitioned by, and every key
//! holds that.

use crate::plan::node::Node;
use crate::sources;

/// Whether the rows of each partition meet only state of their own, so that every partition may have its own lane.
pub(crate) fn local(node: &Node) -> bool {
    if !node.has_state() {
        return true;
    }
    let mut inputs = Vec::new();
    inputs_of(node, &mut inputs);
    let [Node::Source { input, .. }] = inputs.as_slice() else {
        return false;
    };
    // Of several topics each may hold records of one key.
    let by = &input.table.partitioned_by;
    !by.is_empty() && sources::kafka::one_topic(&input.table) && within(node, by)
}

fn inputs_of<'n>(node: &'n Node, found: &mut Vec<&'n Node>) {
    if matches!(node, Node::Source { .. }) {
        found.push(node);
    }
    node.below().for_each(|node| inputs_of(node, found));
}

/// Whether every step with state keeps what belongs to one value of these columns apart from the rest.
fn within(node: &Node, by: &[String]) -> bool {
    let here = match node {
        Node::Aggregate { below, group } => {
            let origins = origins(below);
            let keys = 0..group.grouping.keys.len();
            holds(keys.map(|key| origins.get(key)), by)
        }
        Node::Dedup { below, dedup } => {
            let origins = origins(below);
            holds(dedup.keys.iter().map(|key| origins.get(*key)), by)
        }
        Node::Over { below, windows } => {
            let origins = origins(below);
            holds(windows.over.keys.iter().map(|key| origins.get(*key)), by)
        }
        // They are about all rows.
        Node::Sort { .. } | Node::Limit { .. } => false,
        // Its sides are two inputs, of which nothing says that they are partitioned alike.
        Node::Join { .. } => false,
        _ => true,
    };
    here && node.below().all(|node| within(node, by))
}

fn holds<'o>(keys: impl Iterator<Item = Option<&'o Option<String>>>, by: &[String]) -> bool {
    let keys: Vec<&String> = keys.flatten().flatten().collect();
    by.iter()
        .all(|column| keys.iter().any(|key| key.eq_ignore_ascii_case(column)))
}

/// For each column the column of the input that it is, unchanged.
fn origins(node: &Node) -> Vec<Option<String>> {
    traced(node, &|leaf| match leaf {
        Node::Source {
            columns, metadata, ..
        } => Some(
            columns
                .iter()
                .map(|(_, field)| Some(field.name.to_string()))
                .chain(metadata.iter().map(|_| None))
                .collect(),
        ),
        _ => None,
    })
}

/// For each column the place of the column at the change of partition that it is, unchanged.
pub(crate) fn origins_above(node: &Node) -> Vec<Option<usize>> {
    traced(node, &|leaf| match leaf {
        Node::Rekey { below, .. } => Some((0..below.width()).map(Some).collect()),
        _ => None,
    })
}

/// For each column what it is at the leaf, unchanged. `leaf` knows the columns of a node that is one.
fn traced<T: Clone>(node: &Node, leaf: &dyn Fn(&Node) -> Option<Vec<Option<T>>>) -> Vec<Option<T>> {
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
