//! The groups of a GROUP BY with the results that they have so far.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::record::Micros;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::{Form, Reader, Show, Shown, seconds};
use crate::extensions::unread_type;
use crate::stateful::bytes::{read_varint, unzigzag};
use crate::stateful::grid::Grid;
use crate::stateful::grouping::{Aggregate, Emits, Grouping, Over, Shape};
use crate::stateful::groups::{Groups, OWN};
use crate::stateful::panes::pane_and_floor;

/// What tells a group of its key columns from another.
enum Tail {
    Nothing,
    /// The beginning of its window.
    Window(Micros),
    /// The beginning of its pane, and which windows do not have it.
    Pane(Micros),
    /// The session's number; its bounds stand in the value.
    Session,
}

/// What an aggregate is called: its expression, without the types that tell it from others.
fn called(aggregate: &Aggregate) -> &str {
    let types: Vec<String> = aggregate.types.iter().map(ToString::to_string).collect();
    let types = format!(" of {}", types.join(", "));
    let identity = &aggregate.identity;
    identity.strip_suffix(types.as_str()).unwrap_or(identity)
}

/// Whether saved groups are kept as these are.
///
/// # Errors
/// Refuses where sliding windows are kept whole by the one, so that each row tells of all that it is in, and in panes by the other.
pub(super) fn take_over(was: &Grouping, now: &Grouping) -> Result<(), Failure> {
    let slides = now
        .window
        .as_ref()
        .is_some_and(|window| match window.shape {
            Shape::Fixed { size, slide, .. } => size != slide,
            Shape::Session { .. } => false,
        });
    let at_once = |grouping: &Grouping| grouping.emits == Emits::UpdateAtOnce;
    if slides && at_once(was) != at_once(now) {
        return Err(Failure::refuse(
            "its sliding windows are kept otherwise where changes are told at once, in update mode with the trigger \
             continuous: take the change of trigger or outputMode back",
        ));
    }
    Ok(())
}

/// GROUP BY.
pub(super) struct GroupsReader {
    groups: Groups,
    tail: Tail,
    ntz: bool,
    at: usize,
    forms: [Form; 2],
    cell: Vec<u64>,
}

impl GroupsReader {
    pub(super) fn new(names: &[SmolStr], grouping: Grouping) -> Self {
        let window = grouping.window.clone();
        let tail = match window.as_ref().map(|window| &window.shape) {
            None => Tail::Nothing,
            Some(Shape::Session { .. }) => Tail::Session,
            Some(Shape::Fixed { size, slide, start }) => {
                let keyed = matches!(grouping.over, Over::Key(_));
                if size == slide || grouping.emits == Emits::UpdateAtOnce || keyed {
                    Tail::Window(*size)
                } else {
                    let grid = Grid {
                        size: *size,
                        slide: *slide,
                        start: *start,
                    };
                    Tail::Pane(grid.pane())
                }
            }
        };
        let own = match tail {
            Tail::Session => 2,
            _ => 0,
        };
        let at = window.as_ref().map_or(usize::MAX, |window| window.at);
        let mut types = grouping.keys.iter();
        let mut key: Vec<Field> = Vec::new();
        for (place, name) in names.iter().enumerate() {
            match &window {
                Some(window) if place == at => {
                    let bound = |name| Field::required(name, window.data_type.clone());
                    let bounds = DataType::Struct(Arc::new([bound("start"), bound("end")]));
                    // What is kept of windows that overlap are the pieces that they share.
                    let name = match tail {
                        Tail::Pane(_) => "pane",
                        _ => name,
                    };
                    key.push(Field::required(name, bounds));
                }
                _ => key.extend(
                    types
                        .next()
                        .map(|t| Field::nullable(name.clone(), t.clone())),
                ),
            }
        }
        let aggregates = grouping.aggregates.iter();
        let value = aggregates
            .map(|one| {
                let own = one.own.map(|_| unread_type());
                Field::nullable(called(one), own.unwrap_or_else(|| one.result.clone()))
            })
            .collect();
        let time = |name| Field::nullable(name, DataType::Timestamp);
        Self {
            ntz: window.is_some_and(|window| window.data_type == DataType::TimestampNtz),
            groups: Groups::new(grouping, own),
            tail,
            at,
            cell: Vec::new(),
            forms: [
                Form {
                    what: "group",
                    key,
                    value,
                    about: vec![time("only_windows_after"), time("changed")],
                },
                Form {
                    what: "triggers",
                    key: Vec::new(),
                    value: vec![Field::required("served", DataType::BigInt)],
                    about: Vec::new(),
                },
            ],
        }
    }

    fn time(&self, micros: Micros) -> Value {
        if self.ntz {
            Value::TimestampNtz(micros)
        } else {
            Value::Timestamp(micros)
        }
    }

    fn group(
        &mut self,
        places: &[Option<usize>],
        key: &[u8],
        mut bytes: &[u8],
        show: &mut Show<'_>,
    ) -> Option<()> {
        let (mut keys, tail) = self.groups.decode_key(key)?;
        let _waits = read_varint(&mut bytes)?;
        let _order = read_varint(&mut bytes)?;
        let changed = seconds(read_varint(&mut bytes)?);
        let mut floor = None;
        let bounds = match self.tail {
            Tail::Nothing => None,
            Tail::Window(size) | Tail::Pane(size) => {
                let (start, at) = pane_and_floor(tail)?;
                floor = at;
                Some((start, start.saturating_add(size)))
            }
            Tail::Session => {
                let start = unzigzag(read_varint(&mut bytes)?);
                Some((start, unzigzag(read_varint(&mut bytes)?)))
            }
        };
        if let Some((start, end)) = bounds {
            let window = Value::Struct([self.time(start), self.time(end)].into());
            keys.insert(self.at.min(keys.len()), window);
        }
        let columns = &mut self.groups.columns;
        self.cell.clear();
        self.cell.resize(columns.words(), 0);
        columns.read(&mut self.cell, places, &mut bytes)?;
        let mut results = Vec::new();
        for column in 0..columns.len() {
            // A sum that has overflowed has no result; the rest of the group has.
            results.push(columns.result(column, &self.cell).unwrap_or_default());
        }
        columns.free(&self.cell);
        columns.accept();
        show(Shown {
            form: 0,
            key: &keys,
            value: &results,
            about: &[floor.map_or(Value::Null, Value::Timestamp), changed],
        });
        Some(())
    }
}

impl Reader for GroupsReader {
    fn forms(&self) -> &[Form] {
        &self.forms
    }

    fn entry(
        &mut self,
        layout: &str,
        key: &[u8],
        mut value: &[u8],
        show: &mut Show<'_>,
    ) -> Option<()> {
        if key == OWN {
            let served = read_varint(&mut value)?.cast_signed();
            show(Shown {
                form: 1,
                key: &[],
                value: &[Value::BigInt(served)],
                about: &[],
            });
            return Some(());
        }
        let places = self.groups.places(layout).ok()?;
        self.group(&places, key, value, show)
    }
}
