//! Only the columns that somebody uses, from the output down to the inputs.

use thalweg_engine::schema::Field;

use crate::expr::typed::Typed;
use crate::plan::group::Group;
use crate::plan::join::Join;
use crate::plan::lookup::Beside;
use crate::plan::node::{Item, Node};
use crate::plan::over::Windows;

/// A node after pruning, and where each of its former columns is now.
pub(super) struct Pruned {
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
pub(super) fn exactly(pruned: Pruned, needed: &[usize]) -> Node {
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
pub(super) fn prune(node: Node, needed: &[usize]) -> Pruned {
    match node {
        Node::Source {
            input,
            columns,
            metadata,
        } => {
            let width = columns.len();
            let all = width + metadata.len();
            let node = Node::Source {
                input,
                columns: keep(columns, 0, needed),
                metadata: keep(metadata, width, needed),
            };
            Pruned {
                node,
                places: in_order(needed, all),
            }
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
            time,
            column,
            delay,
        } => prune_event_time(*below, time, column, delay, needed),
        Node::Explode { .. } => prune_explode(node, needed),
        Node::Aggregate { below, group } => prune_aggregate(*below, *group, needed),
        Node::Over { below, windows } => prune_over(*below, *windows, needed),
        Node::Dedup { .. } | Node::Sort { .. } | Node::Limit { .. } => prune_rows(node, needed),
        Node::Join { below, join } => {
            let (below, join, places) = prune_join(*below, *join, needed);
            Pruned {
                node: Node::Join {
                    below: Box::new(below),
                    join: Box::new(join),
                },
                places,
            }
        }
        Node::Lookup { below, beside } => {
            let Beside { side, join } = *beside;
            let ([below, side], join, places) = prune_join([*below, side], join, needed);
            Pruned {
                node: Node::Lookup {
                    below: Box::new(below),
                    beside: Box::new(Beside { side, join }),
                },
                places,
            }
        }
        Node::Project { below, items } => prune_project(*below, items, needed),
        // What goes through the topic is settled after pruning.
        Node::Rekey { below, rekey } => {
            let all: Vec<usize> = (0..below.width()).collect();
            let below = Box::new(exactly(prune(*below, &all), &all));
            Pruned {
                node: Node::Rekey { below, rekey },
                places: in_order(&all, all.len()),
            }
        }
        Node::Hole { fields, wanted } => {
            let wanted = wanted.unwrap_or_else(|| needed.to_vec());
            Pruned {
                places: in_order(&wanted, fields.len()),
                node: Node::Hole {
                    fields: keep(fields, 0, &wanted),
                    wanted: Some(wanted),
                },
            }
        }
        Node::Fork { below, branches } => prune_fork(*below, branches, needed),
        Node::Union { below } => {
            let width = below.first().map_or(0, Node::width);
            let below = below
                .into_iter()
                .map(|node| exactly(prune(node, needed), needed))
                .collect();
            Pruned {
                node: Node::Union { below },
                places: in_order(needed, width),
            }
        }
    }
}

/// All branches get the same row: every column that one of them needs.
fn prune_fork(below: Node, branches: Vec<Node>, needed: &[usize]) -> Pruned {
    let width = branches.first().map_or(0, Node::width);
    let mut wanted: Vec<usize> = branches
        .iter()
        .flat_map(|branch| {
            let mut alone = prune(branch.clone(), needed).node;
            hole(&mut alone).and_then(Option::take).unwrap_or_default()
        })
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let branches = branches
        .into_iter()
        .map(|mut branch| {
            if let Some(hole) = hole(&mut branch) {
                *hole = Some(wanted.clone());
            }
            exactly(prune(branch, needed), needed)
        })
        .collect();
    let below = Box::new(exactly(prune(below, &wanted), &wanted));
    Pruned {
        node: Node::Fork { below, branches },
        places: in_order(needed, width),
    }
}

/// The hole of a branch: what its row is asked to hold.
fn hole(branch: &mut Node) -> Option<&mut Option<Vec<usize>>> {
    match branch {
        Node::Hole { wanted, .. } => Some(wanted),
        Node::Union { .. } | Node::Join { .. } | Node::Fork { .. } => None,
        other => other.below_mut().next().and_then(hole),
    }
}

/// The fields that are needed, where the first has this place.
fn keep<T>(fields: Vec<T>, first: usize, needed: &[usize]) -> Vec<T> {
    fields
        .into_iter()
        .enumerate()
        .filter(|(index, _)| needed.contains(&(first + index)))
        .map(|(_, field)| field)
        .collect()
}

/// The places of columns of which the needed ones are left, in their order.
fn in_order(needed: &[usize], width: usize) -> Vec<Option<usize>> {
    let mut places = vec![None; width];
    for (new, old) in needed.iter().enumerate() {
        if let Some(place) = places.get_mut(*old) {
            *place = Some(new);
        }
    }
    places
}

fn prune_event_time(
    below: Node,
    mut time: Typed,
    column: Option<Field>,
    delay: i64,
    needed: &[usize],
) -> Pruned {
    let width = below.width();
    let from_below: Vec<usize> = needed
        .iter()
        .copied()
        .filter(|place| *place < width)
        .collect();
    let below = prune(below, &with(&from_below, std::slice::from_ref(&time)));
    time.remap(&|old| below.place(old));
    let mut places = below.places;
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

/// Its keys stay; an aggregate that nobody uses is not kept.
fn prune_aggregate(below: Node, mut group: Group, needed: &[usize]) -> Pruned {
    let (places, wanted) = group.keep(needed);
    let below = Box::new(exactly(prune(below, &wanted), &wanted));
    let group = Box::new(group);
    Pruned {
        node: Node::Aggregate { below, group },
        places,
    }
}

/// The row below goes through; a function that nobody uses is not kept.
fn prune_over(below: Node, mut windows: Windows, needed: &[usize]) -> Pruned {
    let width = below.width();
    let used = |result: usize| needed.contains(&(width + result));
    let results = windows.fields.len();
    windows.keep(used);
    let mut all: Vec<usize> = needed.iter().copied().filter(|p| *p < width).collect();
    if windows.fields.is_empty() {
        let mut below = prune(below, &all);
        below.places.resize(width + results, None);
        return below;
    }
    all.extend(windows.looks_at());
    all.sort_unstable();
    all.dedup();
    let below = prune(below, &all);
    windows.remap(&|old| below.place(old));
    let mut places = below.places;
    places.resize(width, None);
    let mut next = below.node.width()..;
    places.extend((0..results).map(|result| used(result).then(|| next.next()).flatten()));
    Pruned {
        node: Node::Over {
            below: Box::new(below.node),
            windows: Box::new(windows),
        },
        places,
    }
}

/// Steps that let rows through as they are, and look at some of their columns.
fn prune_rows(mut node: Node, needed: &[usize]) -> Pruned {
    let mut all = needed.to_vec();
    all.extend(node.looks_at());
    all.sort_unstable();
    all.dedup();
    let mut places = Vec::new();
    node = node.map_below(&mut |below| {
        let below = prune(below, &all);
        places = below.places;
        below.node
    });
    node.remap_looks(&|old| places.get(old).copied().flatten().unwrap_or(old));
    Pruned { node, places }
}

/// A side keeps what is needed of it, and what its join looks at.
fn prune_join(
    below: [Node; 2],
    mut join: Join,
    needed: &[usize],
) -> ([Node; 2], Join, Vec<Option<usize>>) {
    let width = below[0].width();
    let all = width + below[1].width();
    let mut used = with(needed, &join.conditions);
    used.extend(join.looks_at(width));
    used.sort_unstable();
    used.dedup();
    let right = used.partition_point(|place| *place < width);
    let (left, right) = used.split_at(right);
    let right: Vec<usize> = right.iter().map(|place| place - width).collect();
    join.remap(width, left.len(), &|old| {
        used.binary_search(&old).unwrap_or(old)
    });
    let [first, second] = below;
    let below = [
        exactly(prune(first, left), left),
        exactly(prune(second, &right), &right),
    ];
    let width = if join.kind.left_only() { width } else { all };
    let mut places = in_order(&used, all);
    places.truncate(width);
    (below, join, places)
}

fn prune_explode(node: Node, needed: &[usize]) -> Pruned {
    let Node::Explode {
        below,
        mut value,
        name,
        generator,
        kept,
        generated,
    } = node
    else {
        let places = (0..node.width()).map(Some).collect();
        return Pruned { node, places };
    };
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
