//! What later steps use of a text that is taken apart becomes a column where that is done: `data.a` over
//! `from_json(value, 'a INT, b INT') AS data` is `from_json(value, ...).a` there. A field that nobody uses is then a column
//! that nobody uses, and no value is made of all fields only to be taken apart again.

use smol_str::format_smolstr;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::parsed::{Part, parse, part};
use crate::expr::typed::{Kind, Typed};
use crate::job_error::Location;
use crate::plan::node::{Item, Node};

/// The same rows, with parts of texts taken as early as can be.
pub(super) fn reach(node: Node) -> Node {
    as_it_was(take(node, &[]))
}

/// A part that is wanted of a column.
#[derive(Clone)]
struct Want {
    place: usize,
    part: Part,
    /// The part of any value.
    typed: Typed,
}

impl Want {
    /// The same part of another value.
    fn over(&self, value: &Typed) -> Typed {
        let mut typed = self.typed.clone();
        if let Kind::Node { args, .. } = &mut typed.kind {
            *args = vec![value.clone()];
        }
        typed
    }

    /// It as a column of a projection.
    fn item(&self, value: &Typed, column: &Field) -> Item {
        let shown = self.over(&Typed::column(0, column, Location::default()));
        Item {
            field: Field {
                name: format_smolstr!("{shown}"),
                data_type: shown.data_type,
                nullable: shown.nullable,
            },
            typed: self.over(value),
            required: false,
        }
    }
}

/// The parts that are wanted of columns, each once.
#[derive(Default)]
struct Wants(Vec<Want>);

impl Wants {
    /// Adds one, and says which it is.
    fn add(&mut self, want: &Want, place: usize) -> usize {
        let known = self
            .0
            .iter()
            .position(|known| known.place == place && known.part == want.part);
        known.unwrap_or_else(|| {
            self.0.push(Want {
                place,
                ..want.clone()
            });
            self.0.len() - 1
        })
    }

    /// Adds what an expression takes of the columns at places before this one.
    fn add_of(&mut self, typed: &Typed, width: usize) {
        typed.visit(&mut |typed| {
            if let Some((place, part)) = wanted(typed).filter(|(place, _)| *place < width) {
                let typed = typed.clone();
                self.add(&Want { place, part, typed }, place);
            }
        });
    }
}

/// The column that an expression takes a part of, where it does no more than that.
fn wanted(typed: &Typed) -> Option<(usize, Part)> {
    let (part, arg) = part(typed)?;
    match (&arg.kind, &arg.data_type) {
        (Kind::Column { index, .. }, DataType::Struct(_)) => Some((*index, part)),
        _ => None,
    }
}

/// A node that has the wanted parts as columns.
struct Reached {
    node: Node,
    /// Where each of its former columns is now.
    places: Vec<usize>,
    /// Where each wanted part is; None where it is none of a text.
    parts: Vec<Option<usize>>,
}

impl Reached {
    fn nothing(node: Node, wants: &[Want]) -> Self {
        Self {
            places: (0..node.width()).collect(),
            parts: vec![None; wants.len()],
            node,
        }
    }

    fn place(&self, old: usize) -> usize {
        self.places.get(old).copied().unwrap_or(old)
    }

    /// Has an expression use the columns, the parts of `asked` among them.
    fn rewrite(&self, typed: &mut Typed, asked: &Wants, beyond: &dyn Fn(usize) -> usize) {
        typed.visit_mut(&mut |typed| {
            if let Some((place, part)) = wanted(typed)
                && let Some(number) = asked
                    .0
                    .iter()
                    .position(|want| want.place == place && want.part == part)
                && let Some(index) = self.parts.get(number).copied().flatten()
            {
                let name = format_smolstr!("{typed}");
                typed.kind = Kind::Column { index, name };
            } else if let Kind::Column { index, .. } = &mut typed.kind {
                *index = match self.places.get(*index) {
                    Some(place) => *place,
                    None => beyond(*index),
                };
            }
        });
    }
}

/// The node with its former columns alone.
fn as_it_was(reached: Reached) -> Node {
    let Reached { node, places, .. } = reached;
    let same = node.width() == places.len() && places.iter().enumerate().all(|(i, at)| i == *at);
    if same {
        node
    } else {
        Node::pick(node, &places)
    }
}

fn take(node: Node, wants: &[Want]) -> Reached {
    match node {
        Node::Project { below, items } => of_project(*below, items, wants),
        Node::Filter {
            below,
            mut conditions,
        } => {
            let width = below.width();
            let (mut asked, places) = through(wants, width);
            conditions.iter().for_each(|c| asked.add_of(c, width));
            let mut reached = take(*below, &asked.0);
            for condition in &mut conditions {
                reached.rewrite(condition, &asked, &|place| place);
            }
            let below = Box::new(reached.node);
            reached.node = Node::Filter { below, conditions };
            with_parts(reached, &places)
        }
        Node::EventTime {
            below,
            mut time,
            column,
            delay,
        } => {
            let width = below.width();
            let (mut asked, places) = through(wants, width);
            asked.add_of(&time, width);
            let mut reached = take(*below, &asked.0);
            reached.rewrite(&mut time, &asked, &|place| place);
            let own = reached.node.width();
            reached.places.extend(column.iter().map(|_| own));
            reached.node = Node::EventTime {
                below: Box::new(reached.node),
                time,
                column,
                delay,
            };
            with_parts(reached, &places)
        }
        Node::Explode { .. } => of_explode(node, wants),
        Node::Union { below } => of_union(below, wants),
        other => {
            let node = other.map_below(&mut |below| as_it_was(take(below, &[])));
            Reached::nothing(node, wants)
        }
    }
}

/// The wants of a step that lets its row through, as those of the row below; and which each is there.
fn through(wants: &[Want], width: usize) -> (Wants, Vec<Option<usize>>) {
    let mut asked = Wants::default();
    let places = wants
        .iter()
        .map(|want| (want.place < width).then(|| asked.add(want, want.place)))
        .collect();
    (asked, places)
}

/// The parts that were found below for those wants.
fn with_parts(mut reached: Reached, places: &[Option<usize>]) -> Reached {
    let found = |place: &Option<usize>| reached.parts.get((*place)?).copied().flatten();
    reached.parts = places.iter().map(found).collect();
    reached
}

fn of_project(below: Node, mut items: Vec<Item>, wants: &[Want]) -> Reached {
    let width = below.width();
    aliases(&mut items, width);
    let mut asked = Wants::default();
    for item in &items {
        asked.add_of(&item.typed, width);
    }
    let passed: Vec<Option<usize>> = wants
        .iter()
        .map(|want| {
            let column = items.get(want.place)?.column()?;
            (column < width).then(|| asked.add(want, column))
        })
        .collect();
    let reached = take(below, &asked.0);
    let own = reached.node.width();
    for item in &mut items {
        reached.rewrite(&mut item.typed, &asked, &|place| place - width + own);
    }
    let places = (0..items.len()).collect();
    let mut added: Vec<Item> = Vec::new();
    let mut parts = Vec::new();
    for (want, passed) in wants.iter().zip(passed) {
        let item = items.get(want.place).and_then(|item| match passed {
            Some(number) => {
                let place = reached.parts.get(number).copied().flatten()?;
                let part = want.item(&item.typed, &item.field);
                Some(Item {
                    typed: Typed::column(place, &part.field, item.typed.at),
                    ..part
                })
            }
            None => is_text(item).then(|| want.item(&item.typed, &item.field)),
        });
        parts.push(item.is_some().then(|| items.len() + added.len()));
        added.extend(item);
    }
    items.extend(added);
    Reached {
        node: Node::Project {
            below: Box::new(reached.node),
            items,
        },
        places,
        parts,
    }
}

/// Whether an item is a text that is taken apart, and would say the same if that were done twice.
fn is_text(item: &Item) -> bool {
    !item.required && parse(&item.typed).is_some() && item.typed.deterministic()
}

/// Items that are parts of an item before them take them of the text itself: `from_json(...) AS d, d.a`.
fn aliases(items: &mut [Item], width: usize) {
    for number in 1..items.len() {
        let (before, rest) = items.split_at_mut(number);
        let item = &mut rest[0];
        let text = wanted(&item.typed)
            .and_then(|(place, _)| before.get(place.checked_sub(width)?))
            .filter(|item| is_text(item));
        if let (Some(text), Kind::Node { args, .. }) = (text, &mut item.typed.kind) {
            *args = vec![text.typed.clone()];
        }
    }
}

fn of_explode(node: Node, wants: &[Want]) -> Reached {
    let Node::Explode {
        below,
        mut value,
        name,
        generator,
        kept,
        generated,
    } = node
    else {
        return Reached::nothing(node, wants);
    };
    let width = below.width();
    let mut asked = Wants::default();
    let passed: Vec<Option<usize>> = wants
        .iter()
        .map(|want| Some(asked.add(want, *kept.get(want.place)?)))
        .collect();
    asked.add_of(&value, width);
    let reached = take(*below, &asked.0);
    reached.rewrite(&mut value, &asked, &|place| place);
    let mut places: Vec<usize> = (0..kept.len()).collect();
    let mut kept: Vec<usize> = kept.iter().map(|place| reached.place(*place)).collect();
    let mut parts = Vec::new();
    for number in passed {
        let place = number.and_then(|number| reached.parts.get(number).copied().flatten());
        parts.push(place.map(|_| kept.len()));
        kept.extend(place);
    }
    // What is kept stands before what is generated.
    places.extend((0..generated.len()).map(|number| kept.len() + number));
    Reached {
        node: Node::Explode {
            below: Box::new(reached.node),
            value,
            name,
            generator,
            kept,
            generated,
        },
        places,
        parts,
    }
}

/// A part of the rows of several nodes is one that each of them has.
fn of_union(below: Vec<Node>, wants: &[Want]) -> Reached {
    let width = below.first().map_or(0, Node::width);
    let sides: Vec<Reached> = below.into_iter().map(|node| take(node, wants)).collect();
    let everywhere = |number: usize| sides.iter().all(|side| side.parts[number].is_some());
    let found: Vec<usize> = (0..wants.len()).filter(|n| everywhere(*n)).collect();
    let mut parts = vec![None; wants.len()];
    for (place, number) in found.iter().enumerate() {
        parts[*number] = Some(width + place);
    }
    let below = sides.into_iter().map(|mut side| {
        let own = found.iter().filter_map(|number| side.parts[*number]);
        side.places.extend(own);
        as_it_was(side)
    });
    Reached {
        node: Node::Union {
            below: below.collect(),
        },
        places: (0..width).collect(),
        parts,
    }
}
