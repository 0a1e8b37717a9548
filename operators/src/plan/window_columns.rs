//! Which columns of a plan are windows of a known length, so that a join by them knows how long rows wait.

use thalweg_engine::record::Micros;
use thalweg_engine::row::Value;

use crate::expr::typed::{Kind, Op, Typed};
use crate::plan::node::Node;
use crate::stateful::grouping::Shape;

/// For each column of a node's rows how long its windows are, where it holds windows that are all of one length.
pub(crate) fn lengths(node: &Node) -> Vec<Option<Micros>> {
    match node {
        Node::Source { .. } | Node::Hole { .. } => vec![None; node.width()],
        Node::Project { below, items } => {
            let below = lengths(below);
            let of = |place| below.get(place).copied().flatten();
            let items = items.iter();
            items.map(|item| item.column().and_then(of)).collect()
        }
        Node::Explode {
            below,
            value,
            kept,
            generated,
            ..
        } => {
            let below = lengths(below);
            let kept = kept
                .iter()
                .map(|place| below.get(*place).copied().flatten());
            kept.chain(generated.iter().map(|_| length(value)))
                .collect()
        }
        Node::Aggregate { below, group } => {
            let below = lengths(below);
            let window = match group.grouping.window.as_ref().map(|window| &window.shape) {
                Some(Shape::Fixed { size, .. }) => Some(*size),
                _ => None,
            };
            let keys = (0..group.keys.len()).map(|key| match group.below_key(key) {
                Some(place) => below.get(place).copied().flatten(),
                None => window,
            });
            let aggregates = group.grouping.aggregates.iter().map(|_| None);
            keys.chain(aggregates).collect()
        }
        Node::Join { below, join } => {
            let mut found = lengths(&below[0]);
            if !join.kind.left_only() {
                found.extend(lengths(&below[1]));
            }
            found
        }
        Node::Union { below }
        | Node::Fork {
            branches: below, ..
        } => below
            .iter()
            .map(lengths)
            .reduce(|all, one| {
                let both = all.into_iter().zip(one);
                both.map(|(a, b)| if a == b { a } else { None }).collect()
            })
            .unwrap_or_default(),
        // Columns of their own stand behind those from below.
        Node::EventTime { below, .. }
        | Node::Rekey { below, .. }
        | Node::Lookup { below, .. }
        | Node::Over { below, .. }
        | Node::Filter { below, .. }
        | Node::Dedup { below, .. }
        | Node::Sort { below, .. }
        | Node::Limit { below, .. } => {
            let mut found = lengths(below);
            found.resize(node.width(), None);
            found
        }
    }
}

/// The length in a call of `window`.
fn length(typed: &Typed) -> Option<Micros> {
    match &typed.kind {
        Kind::Node {
            op: Op::Call(call),
            args,
        } if call.name == "window" => match args.get(1)?.constant()? {
            Value::DayTimeInterval(micros) => Some(*micros),
            _ => None,
        },
        _ => None,
    }
}
