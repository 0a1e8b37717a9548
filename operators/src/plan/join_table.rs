//! A stream joined with a keyed table, when the whole plan is known: the table as it is, its whole key, the stream on the left.

use smol_str::SmolStr;
use thalweg_engine::schema::Field;

use crate::expr::typed::{Kind as Part, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::join::Join;
use crate::plan::join_settle::{equal, with};
use crate::plan::node::{Declared, Item, Node};
use crate::sources::kafka::DELETED;
use crate::stateful::join::Kind;

/// The keyed table that a side is, perhaps with some of its columns and rows.
pub(super) fn keyed(node: &Node) -> Option<&Declared> {
    match node {
        Node::Source { input, .. } if !input.table.primary_key.is_empty() => Some(input),
        Node::Filter { below, .. } | Node::Project { below, .. } => keyed(below),
        _ => None,
    }
}

/// A table on the left of its stream: the same join with the sides changed.
pub(super) fn swapped(
    below: [Node; 2],
    mut join: Join,
    table: &str,
    with_table: fn([Node; 2], Join) -> Result<Node, JobError>,
) -> Result<Node, JobError> {
    join.with = SmolStr::new(table);
    let kind = match join.kind {
        Kind::Inner => Kind::Inner,
        Kind::Right => Kind::Left,
        Kind::Left => {
            return Err(refused(
                &join,
                "LeftOuter join with a streaming DataFrame/Dataset on the right and a static DataFrame/Dataset on the left is not supported",
            ));
        }
        Kind::LeftSemi => {
            return Err(refused(
                &join,
                "LeftSemi join with a streaming DataFrame/Dataset on the right and a static DataFrame/Dataset on the left is not supported",
            ));
        }
        Kind::LeftAnti => {
            return Err(refused(
                &join,
                "LeftAnti joins with a streaming DataFrame/Dataset on the right are not supported",
            ));
        }
        Kind::Full => return Err(full(&join)),
    };
    let [table, stream] = below;
    let (before, after) = (table.width(), stream.width());
    let place = |old: usize| {
        if old < before {
            after + old
        } else {
            old - before
        }
    };
    join.kind = kind;
    for condition in &mut join.conditions {
        condition.remap(&place);
    }
    let node = with_table([stream, table], join)?;
    let places: Vec<usize> = (0..before + after).map(place).collect();
    Ok(Node::pick(node, &places))
}

pub(super) fn refused(join: &Join, reason: &str) -> JobError {
    JobError::new(join.at, reason)
        .help("rows of a stream are answered from the table, the table's rows wait for nothing: put the stream on the side that is kept")
}

pub(super) fn full(join: &Join) -> JobError {
    refused(
        join,
        "FullOuter joins with streaming DataFrames/Datasets on one side and static on the other side is not supported",
    )
}

pub(super) fn with_table(below: [Node; 2], mut join: Join) -> Result<Node, JobError> {
    match join.kind {
        Kind::Right => {
            return Err(refused(
                &join,
                "RightOuter join with a streaming DataFrame/Dataset on the left and a static DataFrame/DataSet on the right not supported",
            ));
        }
        Kind::Full => return Err(full(&join)),
        _ => {}
    }
    let [stream, table] = below;
    let width = stream.width();
    let Taken {
        source,
        places,
        conditions,
    } = take(table, join.at)?;
    let Node::Source {
        input,
        columns,
        metadata,
    } = &source
    else {
        return Err(not_as_it_is(join.at));
    };
    let marked = metadata.iter().position(|(_, field)| field.name == DELETED);
    join.deleted = marked.map(|place| columns.len() + place);
    for condition in &mut join.conditions {
        condition.remap(&|old| match old.checked_sub(width) {
            Some(right) => width + places[right],
            None => old,
        });
    }
    join.conditions
        .extend(conditions.into_iter().map(|mut condition| {
            condition.remap(&|place| width + place);
            condition
        }));
    let computed = keys(&mut join, input, columns, width)?;
    let more = computed.len();
    let stream = with(stream, computed);
    for condition in &mut join.conditions {
        condition.remap(&|old| if old < width { old } else { old + more });
    }
    let left_only = join.kind.left_only();
    let node = Node::Join {
        below: Box::new([stream, source]),
        join: Box::new(join),
    };
    let right = places.iter().map(|place| width + more + place);
    let places: Vec<usize> = if left_only {
        (0..width).collect()
    } else {
        (0..width).chain(right).collect()
    };
    Ok(Node::pick(node, &places))
}

/// Finds what the primary key of the table is equal to. Gives the columns that the stream needs for that behind its own.
fn keys(
    join: &mut Join,
    table: &Declared,
    columns: &[(usize, Field)],
    width: usize,
) -> Result<Vec<Typed>, JobError> {
    let mut computed = Vec::new();
    for key in &table.table.primary_key {
        let place = columns
            .iter()
            .position(|(_, field)| field.name.eq_ignore_ascii_case(key));
        let found = join.conditions.iter().position(|condition| {
            equal(condition, width).is_some_and(|[_, right]| {
                matches!(right.kind, Part::Column { index, .. } if Some(index) == place)
            })
        });
        let Some((condition, place)) = found.zip(place) else {
            return Err(no_key(join, table, key, columns, width));
        };
        let condition = join.conditions.remove(condition);
        let Some([left, _]) = equal(&condition, width) else {
            continue;
        };
        join.keys[1].push(place);
        match left.kind {
            Part::Column { index, .. } => join.keys[0].push(index),
            _ => {
                join.keys[0].push(width + computed.len());
                computed.push(left);
            }
        }
    }
    Ok(computed)
}

/// Why the key of a table is not met.
fn no_key(
    join: &Join,
    table: &Declared,
    key: &str,
    columns: &[(usize, Field)],
    width: usize,
) -> JobError {
    let name = &table.table.name;
    let cast = join.conditions.iter().find_map(|condition| {
        let [_, right] = equal(condition, width)?;
        let place = right.columns().first().copied()?;
        let (_, field) = columns.get(place)?;
        field.name.eq_ignore_ascii_case(key).then_some(field)
    });
    if let Some(field) = cast {
        return JobError::new(
            join.at,
            format!(
                "the key `{key}` of table `{name}` is {}, and is compared as another type or computed with",
                field.data_type
            ),
        )
        .help(format!("cast the other side: CAST(... AS {})", field.data_type));
    }
    JobError::new(
        join.at,
        format!(
            "a keyed table is joined by its whole PRIMARY KEY ({}): nothing of the stream is equal to `{key}` of `{name}`",
            table.table.primary_key.join(", ")
        ),
    )
    .help(format!("write ON stream.column = {name}.{key}"))
}

/// A table without the steps over it.
struct Taken {
    source: Node,
    /// For each column of the side its place in the table's rows.
    places: Vec<usize>,
    /// What rows must fulfil, over the table's columns: asked when a row of the stream comes, so that a change of the
    /// table is never lost.
    conditions: Vec<Typed>,
}

fn take(node: Node, at: Location) -> Result<Taken, JobError> {
    match node {
        Node::Source { .. } => Ok(Taken {
            places: (0..node.width()).collect(),
            source: node,
            conditions: Vec::new(),
        }),
        Node::Filter { below, conditions } => {
            let mut taken = take(*below, at)?;
            let places = &taken.places;
            taken
                .conditions
                .extend(conditions.into_iter().map(|mut condition| {
                    condition.remap(&|place| places[place]);
                    condition
                }));
            Ok(taken)
        }
        Node::Project { below, items } => {
            let mut taken = take(*below, at)?;
            let plain = |item: &Item| taken.places.get(item.column()?).copied();
            let places: Option<Vec<usize>> = items.iter().map(plain).collect();
            taken.places = places.ok_or_else(|| not_as_it_is(at))?;
            Ok(taken)
        }
        _ => Err(not_as_it_is(at)),
    }
}

fn not_as_it_is(at: Location) -> JobError {
    JobError::new(
        at,
        "a keyed table is joined as it is, with some or all of its columns and rows",
    )
    .help("compute with its columns in the SELECT over the join")
}
