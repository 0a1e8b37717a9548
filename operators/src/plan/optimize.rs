//! What a plan does without: steps that do nothing, conditions applied late, columns that nobody uses.

use thalweg_engine::row::Value;

use crate::expr::typed::{Kind, Op, Typed};
use crate::plan::node::{Item, Node};

/// The same rows with fewer and earlier steps. The root's columns stay as they are.
pub(crate) fn optimize(node: Node) -> Node {
    let node = simplify(node);
    let all: Vec<usize> = (0..node.width()).collect();
    let pruned = exactly(prune(node, &all), &all);
    tidy(pruned)
}

// Filters go down, projections melt together.

fn simplify(node: Node) -> Node {
    match node {
        Node::Source { .. } => node,
        Node::Filter { below, conditions } => filter(simplify(*below), conditions),
        Node::Project { below, items } => project(simplify(*below), items),
        Node::Explode {
            below,
            value,
            name,
            generator,
            kept,
            generated,
        } => Node::Explode {
            below: Box::new(simplify(*below)),
            value,
            name,
            generator,
            kept,
            generated,
        },
        Node::EventTime {
            below,
            time,
            column,
            delay,
        } => Node::EventTime {
            below: Box::new(simplify(*below)),
            time,
            column,
            delay,
        },
        Node::Union { below } => {
            // UNION ALL of UNION ALL is one union.
            let mut all = Vec::new();
            for node in below.into_iter().map(simplify) {
                match node {
                    Node::Union { below } => all.extend(below),
                    other => all.push(other),
                }
            }
            Node::Union { below: all }
        }
    }
}

/// A filter over a node, as low as its conditions can go.
fn filter(below: Node, conditions: Vec<Typed>) -> Node {
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
fn conjuncts(condition: Typed) -> Vec<Typed> {
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

// Only the columns that somebody uses.

/// A node after pruning, and where each of its former columns is now.
struct Pruned {
    node: Node,
    places: Vec<Option<usize>>,
}

impl Pruned {
    fn place(&self, old: usize) -> usize {
        // Every column that is used was asked for, so it has a place.
        self.places.get(old).copied().flatten().unwrap_or(old)
    }
}

/// Adds a projection where the pruned node's row is not exactly the needed columns in order.
fn exactly(pruned: Pruned, needed: &[usize]) -> Node {
    let places: Vec<usize> = needed.iter().map(|old| pruned.place(*old)).collect();
    let exact = pruned.node.width() == needed.len()
        && places.iter().enumerate().all(|(i, place)| i == *place);
    if exact {
        pruned.node
    } else {
        Node::pick(pruned.node, &places)
    }
}

fn with(needed: &[usize], typed: &[Typed]) -> Vec<usize> {
    let mut all = needed.to_vec();
    all.extend(typed.iter().flat_map(Typed::columns));
    all.sort_unstable();
    all.dedup();
    all
}

/// Makes a node yield the needed columns, and as few others as is free of cost.
fn prune(node: Node, needed: &[usize]) -> Pruned {
    match node {
        Node::Source {
            input,
            columns,
            metadata,
            at,
        } => {
            let width = columns.len();
            let mut places = vec![None; width + metadata.len()];
            for (new, old) in needed.iter().enumerate() {
                if let Some(place) = places.get_mut(*old) {
                    *place = Some(new);
                }
            }
            let used = |offset: usize| move |(i, _): &(usize, _)| needed.contains(&(i + offset));
            let keep = |fields: Vec<(usize, _)>, offset: usize| {
                fields
                    .into_iter()
                    .enumerate()
                    .filter(used(offset))
                    .map(|(_, field)| field)
                    .collect()
            };
            let node = Node::Source {
                input,
                columns: keep(columns, 0),
                metadata: keep(metadata, width),
                at,
            };
            Pruned { node, places }
        }
        Node::Filter {
            below,
            mut conditions,
        } => {
            let below = prune(*below, &with(needed, &conditions));
            conditions
                .iter_mut()
                .for_each(|c| c.remap(&|old| below.place(old)));
            Pruned {
                node: Node::Filter {
                    below: Box::new(below.node),
                    conditions,
                },
                places: below.places,
            }
        }
        Node::EventTime {
            below,
            mut time,
            column,
            delay,
        } => {
            let width = below.width();
            let from_below: Vec<usize> = needed
                .iter()
                .copied()
                .filter(|place| *place < width)
                .collect();
            let below = prune(*below, &with(&from_below, std::slice::from_ref(&time)));
            time.remap(&|old| below.place(old));
            let mut places = below.places.clone();
            places.resize(width, None);
            // The event time is computed in any case; its column only where it is used.
            let column = column.filter(|_| needed.contains(&width));
            places.push(column.is_some().then(|| below.node.width()));
            Pruned {
                node: Node::EventTime {
                    below: Box::new(below.node),
                    time,
                    column,
                    delay,
                },
                places,
            }
        }
        Node::Explode {
            below,
            mut value,
            name,
            generator,
            kept,
            generated,
        } => {
            let mut places: Vec<Option<usize>> = vec![None; kept.len() + generated.len()];
            let still: Vec<usize> = (0..kept.len()).filter(|i| needed.contains(i)).collect();
            let below_needed: Vec<usize> = still.iter().map(|i| kept[*i]).collect();
            let below = prune(*below, &with(&below_needed, std::slice::from_ref(&value)));
            value.remap(&|old| below.place(old));
            for (new, old) in still.iter().enumerate() {
                places[*old] = Some(new);
            }
            for (offset, place) in places[kept.len()..].iter_mut().enumerate() {
                *place = Some(still.len() + offset);
            }
            let kept = below_needed.iter().map(|old| below.place(*old)).collect();
            let node = Node::Explode {
                below: Box::new(below.node),
                value,
                name,
                generator,
                kept,
                generated,
            };
            Pruned { node, places }
        }
        Node::Project { below, items } => prune_project(*below, items, needed),
        Node::Union { below } => {
            let width = below.first().map_or(0, Node::width);
            let below = below
                .into_iter()
                .map(|node| exactly(prune(node, needed), needed))
                .collect();
            let mut places = vec![None; width];
            for (new, old) in needed.iter().enumerate() {
                if let Some(place) = places.get_mut(*old) {
                    *place = Some(new);
                }
            }
            Pruned {
                node: Node::Union { below },
                places,
            }
        }
    }
}

fn prune_project(below: Node, items: Vec<Item>, needed: &[usize]) -> Pruned {
    let width = below.width();
    // Items may use items before them: what is needed grows from the last to the first.
    let mut used = vec![false; items.len()];
    for place in needed {
        if let Some(used) = used.get_mut(*place) {
            *used = true;
        }
    }
    let mut below_needed = Vec::new();
    for index in (0..items.len()).rev() {
        if !used[index] {
            continue;
        }
        for column in items[index].typed.columns() {
            match column.checked_sub(width) {
                None => below_needed.push(column),
                Some(item) => {
                    if let Some(used) = used.get_mut(item) {
                        *used = true;
                    }
                }
            }
        }
    }
    below_needed.sort_unstable();
    below_needed.dedup();
    let below = prune(below, &below_needed);
    let new_width = below.node.width();
    let mut places = vec![None; items.len()];
    let mut next = 0;
    for (index, used) in used.iter().enumerate() {
        if *used {
            places[index] = Some(next);
            next += 1;
        }
    }
    let items = items
        .into_iter()
        .zip(&used)
        .filter(|(_, used)| **used)
        .map(|(mut item, _)| {
            item.typed.remap(&|old| match old.checked_sub(width) {
                None => below.place(old),
                Some(item) => new_width + places.get(item).copied().flatten().unwrap_or(item),
            });
            item
        })
        .collect();
    Pruned {
        node: Node::Project {
            below: Box::new(below.node),
            items,
        },
        places,
    }
}

// Steps that pruning has made idle.

fn tidy(node: Node) -> Node {
    match node {
        Node::Project { below, items } => {
            let below = tidy(*below);
            let idle = items.len() == below.width()
                && items
                    .iter()
                    .enumerate()
                    .all(|(i, item)| item.column() == Some(i));
            if idle { below } else { project(below, items) }
        }
        Node::Source { .. } => node,
        Node::Filter { below, conditions } => Node::Filter {
            below: Box::new(tidy(*below)),
            conditions,
        },
        Node::Explode {
            below,
            value,
            name,
            generator,
            kept,
            generated,
        } => Node::Explode {
            below: Box::new(tidy(*below)),
            value,
            name,
            generator,
            kept,
            generated,
        },
        Node::EventTime {
            below,
            time,
            column,
            delay,
        } => Node::EventTime {
            below: Box::new(tidy(*below)),
            time,
            column,
            delay,
        },
        Node::Union { below } => Node::Union {
            below: below.into_iter().map(tidy).collect(),
        },
    }
}
