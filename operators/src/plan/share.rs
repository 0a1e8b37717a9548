//! A table that a query names several times is read once, and its rows go several ways.

use crate::plan::node::{Declared, Node};

/// Makes one source of all sources of a table, with a fork behind it. Steps over a union go into its sides for that.
pub(crate) fn share(node: Node) -> Node {
    let mut names = Vec::new();
    tables(&node, &mut names);
    let twice = names
        .iter()
        .enumerate()
        .any(|(i, name)| names[..i].contains(name));
    if !twice {
        return node;
    }
    let mut chains = Vec::new();
    spread(node, &mut |chain| chain, &mut chains);
    let mut sides: Vec<Node> = Vec::new();
    while !chains.is_empty() {
        let first = chains.remove(0);
        let table = source(&first).map(|input| input.table.name.clone());
        let (mut same, others): (Vec<Node>, Vec<Node>) = chains
            .into_iter()
            .partition(|chain| source(chain).map(|input| &input.table.name) == table.as_ref());
        chains = others;
        if same.is_empty() {
            sides.push(first);
            continue;
        }
        same.insert(0, first);
        // All of them begin with the same source.
        let below = same.iter_mut().filter_map(take_source).last();
        sides.extend(below.map(|below| Node::Fork {
            below: Box::new(below),
            branches: same,
        }));
    }
    if sides.len() == 1
        && let Some(only) = sides.pop()
    {
        return only;
    }
    Node::Union { below: sides }
}

/// The tables that are read, each as often as it is named.
fn tables(node: &Node, names: &mut Vec<String>) {
    match node {
        Node::Source { input, .. } => names.push(input.table.name.clone()),
        Node::Hole { .. } => {}
        Node::Union { below } => below.iter().for_each(|node| tables(node, names)),
        Node::Filter { below, .. }
        | Node::Project { below, .. }
        | Node::Explode { below, .. }
        | Node::EventTime { below, .. }
        | Node::Fork { below, .. } => tables(below, names),
    }
}

/// The chains of a tree: every way from a source to the root, with the steps over unions on each.
fn spread(node: Node, above: &mut dyn FnMut(Node) -> Node, chains: &mut Vec<Node>) {
    match node {
        Node::Union { below } => {
            for node in below {
                spread(node, above, chains);
            }
        }
        Node::Filter { below, conditions } => {
            let mut step = |below| {
                above(Node::Filter {
                    below: Box::new(below),
                    conditions: conditions.clone(),
                })
            };
            spread(*below, &mut step, chains);
        }
        Node::Project { below, items } => {
            let mut step = |below| {
                above(Node::Project {
                    below: Box::new(below),
                    items: items.clone(),
                })
            };
            spread(*below, &mut step, chains);
        }
        Node::Explode {
            below,
            value,
            name,
            generator,
            kept,
            generated,
        } => {
            let mut step = |below| {
                above(Node::Explode {
                    below: Box::new(below),
                    value: value.clone(),
                    name,
                    generator,
                    kept: kept.clone(),
                    generated: generated.clone(),
                })
            };
            spread(*below, &mut step, chains);
        }
        Node::EventTime {
            below,
            time,
            column,
            delay,
        } => {
            let mut step = |below| {
                above(Node::EventTime {
                    below: Box::new(below),
                    time: time.clone(),
                    column: column.clone(),
                    delay,
                })
            };
            spread(*below, &mut step, chains);
        }
        leaf @ (Node::Source { .. } | Node::Fork { .. } | Node::Hole { .. }) => {
            chains.push(above(leaf));
        }
    }
}

/// The table that a chain begins with.
fn source(chain: &Node) -> Option<&Declared> {
    match chain {
        Node::Source { input, .. } => Some(input),
        Node::Filter { below, .. }
        | Node::Project { below, .. }
        | Node::Explode { below, .. }
        | Node::EventTime { below, .. } => source(below),
        Node::Union { .. } | Node::Fork { .. } | Node::Hole { .. } => None,
    }
}

/// Takes the source out of a chain and leaves a hole.
fn take_source(chain: &mut Node) -> Option<Node> {
    match chain {
        Node::Source { .. } => {
            let hole = Node::Hole {
                fields: chain.fields(),
                wanted: None,
            };
            Some(std::mem::replace(chain, hole))
        }
        Node::Filter { below, .. }
        | Node::Project { below, .. }
        | Node::Explode { below, .. }
        | Node::EventTime { below, .. } => take_source(below),
        Node::Union { .. } | Node::Fork { .. } | Node::Hole { .. } => None,
    }
}
