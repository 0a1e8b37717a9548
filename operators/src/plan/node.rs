//! The plan while it is made: a tree whose root is what the output gets.

use std::sync::Arc;

use smol_str::format_smolstr;
use thalweg_engine::schema::Field;

use crate::connectors::Connector;
use crate::expr::scope::METADATA;
use crate::expr::typed::{Kind, Typed};
use crate::job_error::Location;
use crate::plan::exchange::Rekey;
use crate::plan::group::Group;
use crate::plan::join::Join;
use crate::plan::lookup::Beside;
use crate::plan::order::{Dedup, Limit, Sort};
use crate::plan::over::Windows;
use crate::sql::watermark::Watermark;
use crate::table::Table;
use crate::transforms::Generator;

/// A table of the job with its connector.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) table: Table,
    pub(crate) connector: Connector,
    pub(crate) watermark: Option<Watermark>,
    /// The file that the command line has it read from instead.
    pub(crate) read_from: Option<String>,
    /// The file that the command line has it written to instead.
    pub(crate) written_to: Option<String>,
}

/// One column of a projection.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) field: Field,
    pub(crate) typed: Typed,
    /// The output's column that must not be NULL.
    pub(crate) required: bool,
}

impl Item {
    /// The place in the row below, where the item is a plain column.
    pub(crate) fn column(&self) -> Option<usize> {
        match self.typed.kind {
            Kind::Column { index, .. } if !self.required => Some(index),
            _ => None,
        }
    }
}

/// One step and what feeds it.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Reads a table: its columns, then its metadata, each with its place among all of them.
    Source {
        input: Arc<Declared>,
        columns: Vec<(usize, Field)>,
        metadata: Vec<(usize, Field)>,
    },
    /// Keeps rows for which all conditions are true.
    Filter {
        below: Box<Node>,
        conditions: Vec<Typed>,
    },
    /// Computes new rows. An item may use the ones before it, at the places behind the row's.
    Project { below: Box<Node>, items: Vec<Item> },
    /// One row for each element: the kept columns, then the generated ones.
    Explode {
        below: Box<Node>,
        value: Typed,
        name: &'static str,
        generator: Generator,
        kept: Vec<usize>,
        generated: Vec<Field>,
    },
    /// Gives rows their event time, and with a field a column of it behind the others.
    EventTime {
        below: Box<Node>,
        time: Typed,
        column: Option<Field>,
        delay: i64,
    },
    /// GROUP BY: the row below is the keys, the window's time, then what the aggregates take.
    Aggregate { below: Box<Node>, group: Box<Group> },
    /// The first row of each key.
    Dedup { below: Box<Node>, dedup: Dedup },
    /// ORDER BY, with the LIMIT behind it.
    Sort { below: Box<Node>, sort: Sort },
    /// LIMIT alone.
    Limit { below: Box<Node>, limit: Limit },
    /// The rows of two nodes, left and right, together.
    Join {
        below: Box<[Node; 2]>,
        join: Box<Join>,
    },
    /// The rows of a node with those of a static table, which is no input.
    Lookup {
        below: Box<Node>,
        beside: Box<Beside>,
    },
    /// OVER: the row below with the results behind it.
    Over {
        below: Box<Node>,
        windows: Box<Windows>,
    },
    /// The rows of one node by key, through a topic.
    Rekey { below: Box<Node>, rekey: Box<Rekey> },
    /// The rows of one node on several ways; each branch ends in a hole.
    Fork {
        below: Box<Node>,
        branches: Vec<Node>,
    },
    /// Where a branch of a fork begins. Pruning keeps the wanted columns, or those that are needed.
    Hole {
        fields: Vec<Field>,
        wanted: Option<Vec<usize>>,
    },
    /// The rows of all.
    Union { below: Vec<Node> },
}

impl Node {
    /// The columns of its rows.
    pub(crate) fn fields(&self) -> Vec<Field> {
        match self {
            Self::Source {
                columns, metadata, ..
            } => {
                let hidden = metadata.iter().map(|(_, field)| Field {
                    name: format_smolstr!("{METADATA}.{}", field.name),
                    ..field.clone()
                });
                let columns = columns.iter().map(|(_, field)| field.clone());
                columns.chain(hidden).collect()
            }
            Self::Filter { below, .. }
            | Self::Rekey { below, .. }
            | Self::Dedup { below, .. }
            | Self::Sort { below, .. }
            | Self::Limit { below, .. } => below.fields(),
            Self::Aggregate { group, .. } => group.fields.clone(),
            Self::Join { below, join } => join.fields(below),
            Self::Lookup { below, beside } => {
                below.fields().into_iter().chain(beside.added()).collect()
            }
            Self::Over { below, windows } => {
                let below = below.fields().into_iter();
                below.chain(windows.fields.iter().cloned()).collect()
            }
            Self::Project { items, .. } => items.iter().map(|item| item.field.clone()).collect(),
            Self::Explode {
                below,
                kept,
                generated,
                ..
            } => {
                let below = below.fields();
                kept.iter()
                    .filter_map(|place| below.get(*place).cloned())
                    .chain(generated.iter().cloned())
                    .collect()
            }
            Self::EventTime { below, column, .. } => {
                below.fields().into_iter().chain(column.clone()).collect()
            }
            Self::Hole { fields, .. } => fields.clone(),
            Self::Union { below }
            | Self::Fork {
                branches: below, ..
            } => below.first().map(Self::fields).unwrap_or_default(),
        }
    }

    /// How many columns its rows have.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Source {
                columns, metadata, ..
            } => columns.len() + metadata.len(),
            Self::Filter { below, .. }
            | Self::Rekey { below, .. }
            | Self::Dedup { below, .. }
            | Self::Sort { below, .. }
            | Self::Limit { below, .. } => below.width(),
            Self::Aggregate { group, .. } => group.fields.len(),
            Self::Join { below, join } if join.kind.left_only() => below[0].width(),
            Self::Join { below, .. } => below[0].width() + below[1].width(),
            Self::Lookup { below, beside } if beside.join.kind.left_only() => below.width(),
            Self::Lookup { below, beside } => below.width() + beside.side.width(),
            Self::Over { below, windows } => below.width() + windows.fields.len(),
            Self::Project { items, .. } => items.len(),
            Self::Explode {
                kept, generated, ..
            } => kept.len() + generated.len(),
            Self::EventTime { below, column, .. } => below.width() + usize::from(column.is_some()),
            Self::Hole { fields, .. } => fields.len(),
            Self::Union { below }
            | Self::Fork {
                branches: below, ..
            } => below.first().map_or(0, Self::width),
        }
    }

    /// How many steps it has.
    pub(crate) fn steps(&self) -> usize {
        let own = !matches!(self, Self::Hole { .. } | Self::Union { .. });
        usize::from(own) + self.below().map(Self::steps).sum::<usize>()
    }

    /// Whether it keeps state itself.
    pub(crate) fn stateful(&self) -> bool {
        matches!(
            self,
            Self::Aggregate { .. }
                | Self::Dedup { .. }
                | Self::Sort { .. }
                | Self::Limit { .. }
                | Self::Join { .. }
                | Self::Over { .. }
        )
    }

    /// Whether it or one below keeps state.
    pub(crate) fn has_state(&self) -> bool {
        self.stateful() || self.below().any(Self::has_state)
    }

    /// The nodes that feed it, and the branches of a fork.
    pub(crate) fn below(&self) -> impl Iterator<Item = &Self> {
        let (one, many): (Option<&Self>, &[Self]) = match self {
            Self::Source { .. } | Self::Hole { .. } => (None, &[]),
            Self::Filter { below, .. }
            | Self::Project { below, .. }
            | Self::Explode { below, .. }
            | Self::EventTime { below, .. }
            | Self::Aggregate { below, .. }
            | Self::Dedup { below, .. }
            | Self::Sort { below, .. }
            | Self::Over { below, .. }
            | Self::Limit { below, .. }
            | Self::Lookup { below, .. }
            | Self::Rekey { below, .. } => (Some(below), &[]),
            Self::Union { below } => (None, below),
            Self::Join { below, .. } => (None, &below[..]),
            Self::Fork { below, branches } => (Some(below), branches),
        };
        one.into_iter().chain(many)
    }

    /// As [`Node::below`], to be changed.
    pub(crate) fn below_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        let (one, many): (Option<&mut Self>, &mut [Self]) = match self {
            Self::Source { .. } | Self::Hole { .. } => (None, &mut []),
            Self::Filter { below, .. }
            | Self::Project { below, .. }
            | Self::Explode { below, .. }
            | Self::EventTime { below, .. }
            | Self::Aggregate { below, .. }
            | Self::Dedup { below, .. }
            | Self::Sort { below, .. }
            | Self::Over { below, .. }
            | Self::Limit { below, .. }
            | Self::Lookup { below, .. }
            | Self::Rekey { below, .. } => (Some(below), &mut []),
            Self::Union { below } => (None, below),
            Self::Join { below, .. } => (None, &mut below[..]),
            Self::Fork { below, branches } => (Some(below), branches),
        };
        one.into_iter().chain(many)
    }

    /// The places that a step looks at which lets rows through as they are.
    pub(crate) fn looks_at(&self) -> Vec<usize> {
        match self {
            Self::Dedup { dedup, .. } => dedup.keys.clone(),
            Self::Sort { sort, .. } => sort.keys.iter().map(|key| key.place).collect(),
            _ => Vec::new(),
        }
    }

    /// Gives them other places.
    pub(crate) fn remap_looks(&mut self, place: &dyn Fn(usize) -> usize) {
        match self {
            Self::Dedup { dedup, .. } => dedup.keys.iter_mut().for_each(|key| *key = place(*key)),
            Self::Sort { sort, .. } => {
                sort.keys
                    .iter_mut()
                    .for_each(|key| key.place = place(key.place));
            }
            _ => {}
        }
    }

    /// The same node over other ones.
    pub(crate) fn map_below(mut self, f: &mut dyn FnMut(Self) -> Self) -> Self {
        for below in self.below_mut() {
            let taken = std::mem::replace(below, Self::Union { below: Vec::new() });
            *below = f(taken);
        }
        self
    }

    /// A projection that picks columns of the row below.
    pub(crate) fn pick(below: Self, places: &[usize]) -> Self {
        let fields = below.fields();
        let items = places
            .iter()
            .filter_map(|place| fields.get(*place).map(|field| (*place, field)))
            .map(|(place, field)| Item {
                field: field.clone(),
                typed: Typed::column(place, field, Location::default()),
                required: false,
            })
            .collect();
        Self::Project {
            below: Box::new(below),
            items,
        }
    }
}
