//! Which columns of a plan are the event time: what a watermark passes.
//!
//! As in Spark the knowledge goes with the column: through filters, projections that only rename, `window_time`, and the
//! keys of a GROUP BY; a window over the event time is event time itself.

use thalweg_engine::record::Micros;

use crate::expr::typed::{Kind, Op, Typed};
use crate::plan::node::Node;

/// For each column of a node's rows whether it is event time.
pub(crate) fn event_columns(node: &Node) -> Vec<bool> {
    match node {
        Node::Source { .. } | Node::Hole { .. } => vec![false; node.width()],
        Node::EventTime {
            below,
            time,
            column,
            ..
        } => {
            let mut times = vec![false; below.width()];
            match (column, &time.kind) {
                (Some(_), _) => times.push(true),
                (None, Kind::Column { index, .. }) => {
                    if let Some(time) = times.get_mut(*index) {
                        *time = true;
                    }
                }
                (None, _) => {}
            }
            times
        }
        Node::Project { below, items } => {
            let mut times = event_columns(below);
            let width = times.len();
            for item in items {
                times.push(is_time(&item.typed, &times));
            }
            times.split_off(width)
        }
        Node::Explode {
            below,
            value,
            kept,
            generated,
            ..
        } => {
            let below = event_columns(below);
            let kept = kept.iter().map(|place| below.get(*place) == Some(&true));
            // The windows that hold it.
            let time = is_time(value, &below);
            kept.chain(generated.iter().map(|_| time)).collect()
        }
        Node::Aggregate { below, group } => {
            let below = event_columns(below);
            let window = group.grouping.window.as_ref();
            let keys = (0..group.keys.len()).map(|key| {
                let place = group.below_key(key).or(window.map(|window| window.time));
                place.and_then(|place| below.get(place)) == Some(&true)
            });
            let aggregates = group.grouping.aggregates.iter().map(|_| false);
            keys.chain(aggregates).collect()
        }
        Node::Rekey { below, .. } => event_columns(below),
        Node::Lookup { below, beside } => {
            let mut times = event_columns(below);
            times.extend(beside.added().iter().map(|_| false));
            times
        }
        Node::Over { below, windows } => {
            let mut times = event_columns(below);
            times.resize(times.len() + windows.fields.len(), false);
            times
        }
        Node::Filter { below, .. }
        | Node::Dedup { below, .. }
        | Node::Sort { below, .. }
        | Node::Limit { below, .. } => event_columns(below),
        Node::Join { below, join } => {
            let mut times = event_columns(&below[0]);
            if !join.kind.left_only() {
                times.extend(event_columns(&below[1]));
            }
            times
        }
        // Spark takes the columns of the first side.
        Node::Union { below }
        | Node::Fork {
            branches: below, ..
        } => below.first().map(event_columns).unwrap_or_default(),
    }
}

fn is_time(typed: &Typed, below: &[bool]) -> bool {
    match &typed.kind {
        Kind::Column { index, .. } => below.get(*index) == Some(&true),
        Kind::Node {
            op: Op::Call(call),
            args,
        } if call.name == "window_time" || call.name == "window" => {
            args.first().is_some_and(|arg| is_time(arg, below))
        }
        _ => false,
    }
}

/// How late the rows of a node may be at most, where they have an event time.
pub(crate) fn delay(node: &Node) -> Option<Micros> {
    let own = match node {
        Node::EventTime { delay, .. } => Some(*delay),
        _ => None,
    };
    own.max(node.below().filter_map(delay).max())
}

/// The tables whose rows get an event time.
pub(crate) fn inputs_with_time(node: &Node, timed: bool, found: &mut Vec<(String, bool)>) {
    let timed = timed || matches!(node, Node::EventTime { .. });
    match node {
        Node::Source { input, .. } => found.push((input.table.name.clone(), timed)),
        // A keyed table has no event time, whatever is declared over its join.
        Node::Join { below, join } if join.deleted.is_some() => {
            inputs_with_time(&below[0], timed, found);
            inputs_with_time(&below[1], false, found);
        }
        // What a branch declares holds for what is below the fork.
        Node::Fork { below, branches } => {
            let declares = branches.iter().any(declares_time);
            inputs_with_time(below, timed || declares, found);
        }
        other => other
            .below()
            .for_each(|node| inputs_with_time(node, timed, found)),
    }
}

fn declares_time(node: &Node) -> bool {
    matches!(node, Node::EventTime { .. }) || node.below().any(declares_time)
}
