//! A table that stands in several places of a plan behind which its rows go through different state: it is read once, with all
//! columns that any of the places uses, and each record goes to all of them.

use std::collections::BTreeMap;

use thalweg_engine::schema::Field;

use crate::plan::node::Node;

/// Columns with their places among all of a table.
type Columns = Vec<(usize, Field)>;

/// What is read of a table, and in how many places it stands.
#[derive(Default)]
struct Read {
    columns: Columns,
    metadata: Columns,
    places: usize,
}

/// Makes all places of a table read the same columns.
pub(crate) fn merge(node: Node) -> Node {
    let mut tables = BTreeMap::new();
    gather(&node, &mut tables);
    tables.retain(|_, read| read.places > 1);
    if tables.is_empty() {
        return node;
    }
    widen(node, &tables)
}

fn gather(node: &Node, tables: &mut BTreeMap<String, Read>) {
    if let Node::Source {
        input,
        columns,
        metadata,
    } = node
    {
        let read = tables.entry(input.table.name.clone()).or_default();
        read.places += 1;
        add(&mut read.columns, columns);
        add(&mut read.metadata, metadata);
    }
    node.below().for_each(|node| gather(node, tables));
}

fn add(all: &mut Columns, more: &Columns) {
    all.extend(more.iter().cloned());
    all.sort_by_key(|(place, _)| *place);
    all.dedup_by_key(|(place, _)| *place);
}

fn widen(node: Node, tables: &BTreeMap<String, Read>) -> Node {
    match node {
        Node::Source {
            input,
            columns,
            metadata,
        } => {
            let Some(read) = tables.get(&input.table.name) else {
                return Node::Source {
                    input,
                    columns,
                    metadata,
                };
            };
            let own = places(&columns, &read.columns, 0);
            let own = own.chain(places(&metadata, &read.metadata, read.columns.len()));
            let own: Vec<usize> = own.collect();
            let source = Node::Source {
                input,
                columns: read.columns.clone(),
                metadata: read.metadata.clone(),
            };
            Node::pick(source, &own)
        }
        other => other.map_below(&mut |below| widen(below, tables)),
    }
}

fn places<'c>(
    own: &'c Columns,
    all: &'c Columns,
    before: usize,
) -> impl Iterator<Item = usize> + 'c {
    own.iter().filter_map(move |(place, _)| {
        let at = all.iter().position(|(other, _)| other == place)?;
        Some(before + at)
    })
}
