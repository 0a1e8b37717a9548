//! A table that a query names several times is read once, and its rows go several ways.

use crate::plan::node::{Declared, Node};

/// Makes one source of all sources of a table, with a fork behind it. Steps over a union go into its sides for that,
/// unless they keep state: what is below such a step is shared for itself.
pub(crate) fn share(node: Node) -> Node {
    match node {
        Node::Union { below } if below.iter().any(Node::has_state) => {
            let (with, without): (Vec<Node>, Vec<Node>) =
                below.into_iter().partition(Node::has_state);
            let mut sides: Vec<Node> = with.into_iter().map(share).collect();
            match together(Node::Union { below: without }) {
                Node::Union { below } => sides.extend(below),
                one => sides.push(one),
            }
            Node::Union { below: sides }
        }
        node if node.has_state() => node.map_below(&mut share),
        node => together(node),
    }
}

/// As [`share`], of steps without state.
fn together(node: Node) -> Node {
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
    spread(node, &mut chains);
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
        // Its branches begin with what is below it.
        Node::Fork { below, .. } => tables(below, names),
        other => other.below().for_each(|node| tables(node, names)),
    }
}

/// The chains of a tree: every way from a source to the root, with the steps over unions on each.
pub(super) fn spread(mut node: Node, chains: &mut Vec<Node>) {
    match node {
        Node::Union { below } => below.into_iter().for_each(|node| spread(node, chains)),
        Node::Source { .. } | Node::Fork { .. } | Node::Hole { .. } => chains.push(node),
        _ => {
            let mut ways = Vec::new();
            if let Some(below) = node.below_mut().next() {
                spread(
                    std::mem::replace(below, Node::Union { below: Vec::new() }),
                    &mut ways,
                );
            }
            for way in ways {
                let mut chain = node.clone();
                if let Some(below) = chain.below_mut().next() {
                    *below = way;
                }
                chains.push(chain);
            }
        }
    }
}

/// The table that a chain begins with.
fn source(chain: &Node) -> Option<&Declared> {
    match chain {
        Node::Source { input, .. } => Some(input),
        Node::Union { .. } | Node::Join { .. } | Node::Fork { .. } => None,
        other => other.below().next().and_then(source),
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
        Node::Union { .. } | Node::Join { .. } | Node::Fork { .. } => None,
        other => other.below_mut().next().and_then(take_source),
    }
}
