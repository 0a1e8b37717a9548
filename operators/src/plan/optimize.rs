//! What a plan does without: steps that do nothing, conditions applied late, columns that nobody uses.

use thalweg_engine::row::Value;

use crate::expr::typed::{Kind, Op, Typed};
use crate::plan::join;
use crate::plan::node::{Item, Node};
use crate::plan::prune::{exactly, prune};
use crate::plan::reach::reach;
use crate::plan::share::share;

/// The same rows with fewer and earlier steps. The root's columns stay as they are.
pub(crate) fn optimize(node: Node) -> Node {
    let node = share(simplify(reach(simplify(node))));
    let all: Vec<usize> = (0..node.width()).collect();
    let pruned = exactly(prune(node, &all), &all);
    tidy(pruned)
}

// Filters go down, projections melt together.

pub(super) fn simplify(node: Node) -> Node {
    match node.map_below(&mut simplify) {
        Node::Filter { below, conditions } => filter(*below, conditions),
        Node::Project { below, items } => project(*below, items),
        Node::Union { below } => {
            // UNION ALL of UNION ALL is one union.
            let mut all = Vec::new();
            for node in below {
                match node {
                    Node::Union { below } => all.extend(below),
                    other => all.push(other),
                }
            }
            Node::Union { below: all }
        }
        Node::Join { below, join } => join::push(*below, *join, Vec::new()),
        other => other,
    }
}

/// A filter over a node, as low as its conditions can go.
pub(super) fn filter(below: Node, conditions: Vec<Typed>) -> Node {
    let mut conditions: Vec<Typed> = conditions.into_iter().flat_map(conjuncts).collect();
    conditions.retain(|condition| condition.constant() != Some(&Value::Boolean(true)));
    if conditions.is_empty() {
        return below;
    }
    // A condition that is not deterministic stays where it was written.
    let movable = conditions.iter().all(Typed::deterministic);
    match below {
        Node::Filter {
            below,
            conditions: mut first,
        } => {
            first.extend(conditions);
            Node::Filter {
                below,
                conditions: first,
            }
        }
        Node::Project { below, items }
            if movable
                && passes(&conditions, |place| {
                    items
                        .get(place)
                        .and_then(Item::column)
                        .filter(|p| *p < below.width())
                }) =>
        {
            for condition in &mut conditions {
                condition.remap(&|place| items.get(place).and_then(Item::column).unwrap_or(place));
            }
            Node::Project {
                below: Box::new(filter(*below, conditions)),
                items,
            }
        }
        Node::Explode {
            below,
            value,
            name,
            generator,
            kept,
            generated,
        } if movable && passes(&conditions, |place| kept.get(place).copied()) => {
            for condition in &mut conditions {
                condition.remap(&|place| kept.get(place).copied().unwrap_or(place));
            }
            Node::Explode {
                below: Box::new(filter(*below, conditions)),
                value,
                name,
                generator,
                kept,
                generated,
            }
        }
        Node::Join { below, join } => join::push(*below, *join, conditions),
        Node::Union { below } if movable => Node::Union {
            below: below
                .into_iter()
                .map(|node| filter(node, conditions.clone()))
                .collect(),
        },
        other => Node::Filter {
            below: Box::new(other),
            conditions,
        },
    }
}

/// The parts of an AND.
pub(super) fn conjuncts(condition: Typed) -> Vec<Typed> {
    match condition.kind {
        Kind::Node { op: Op::And, args } => args.into_iter().flat_map(conjuncts).collect(),
        _ => vec![condition],
    }
}

fn passes(conditions: &[Typed], place: impl Fn(usize) -> Option<usize>) -> bool {
    conditions.iter().all(|condition| {
        condition
            .columns()
            .iter()
            .all(|column| place(*column).is_some())
    })
}

/// A projection over a node: one projection where two can be one.
fn project(below: Node, items: Vec<Item>) -> Node {
    let Node::Project {
        below: inner,
        items: first,
    } = below
    else {
        return Node::Project {
            below: Box::new(below),
            items,
        };
    };
    let inner_width = inner.width();
    let lateral = |items: &[Item], width: usize| {
        items
            .iter()
            .any(|item| item.typed.columns().iter().any(|c| *c >= width))
    };
    if lateral(&items, first.len()) || lateral(&first, inner_width) {
        let below = Node::Project {
            below: inner,
            items: first,
        };
        return Node::Project {
            below: Box::new(below),
            items,
        };
    }
    let plain_below = first.iter().all(|item| item.column().is_some());
    if plain_below {
        let items = items
            .into_iter()
            .map(|mut item| {
                item.typed
                    .remap(&|place| first.get(place).and_then(Item::column).unwrap_or(place));
                item
            })
            .collect();
        return Node::Project {
            below: inner,
            items,
        };
    }
    // Above only picks: take the computed items, unless one would then be computed twice.
    let mut taken = vec![0_usize; first.len()];
    let picks = items.iter().all(|item| match item.column() {
        Some(place) if place < first.len() => {
            taken[place] += 1;
            taken[place] == 1 || first[place].column().is_some()
        }
        _ => false,
    });
    if picks {
        let items = items
            .into_iter()
            .filter_map(|item| {
                let mut from = first.get(item.column()?)?.clone();
                from.field = item.field;
                Some(from)
            })
            .collect();
        return Node::Project {
            below: inner,
            items,
        };
    }
    let below = Node::Project {
        below: inner,
        items: first,
    };
    Node::Project {
        below: Box::new(below),
        items,
    }
}

// Steps that pruning has made idle.

fn tidy(node: Node) -> Node {
    match node.map_below(&mut tidy) {
        Node::Project { below, items } => {
            let idle = items.len() == below.width()
                && items
                    .iter()
                    .enumerate()
                    .all(|(i, item)| item.column() == Some(i));
            if idle { *below } else { project(*below, items) }
        }
        other => other,
    }
}
