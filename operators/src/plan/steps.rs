//! From the tree to steps in order.

use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::flow::pipeline::Target;
use thalweg_engine::schema::{Field, Schema};

use crate::expr::typed::{Kind, Typed};
use crate::plan::join::{Join, Joining};
use crate::plan::node::{Item, Node};
use crate::plan::{Explosion, Input, Looking, Projection, Step, StepKind, Time};

/// The steps of a tree, in an order in which rows only go forward.
pub(crate) fn steps(root: Node) -> Vec<Step> {
    let mut steps = Vec::new();
    let ends = place(root, &mut steps);
    for (number, end) in ends.iter().enumerate() {
        // The rows of a table may go elsewhere, too, or come out twice.
        let step = &mut steps[*end];
        if step.to != Target::Writer || ends[..number].contains(end) {
            step.also.push(Target::Writer);
        }
    }
    steps
}

/// Leads the rows of a step on. Those of a table that stands in several places go several ways.
fn lead(step: &mut Step, to: Target) {
    if matches!(step.kind, StepKind::Source(_)) && step.to != Target::Writer {
        step.also.push(to);
    } else {
        step.to = to;
    }
}

/// Places a node behind everything that feeds it; gives the steps whose rows are its own.
fn place(node: Node, steps: &mut Vec<Step>) -> Vec<usize> {
    let schema = Schema::new(node.fields());
    let (below, word, kind) = match node {
        Node::Union { below } => {
            let mut ends = Vec::new();
            for node in below {
                ends.extend(place(node, steps));
            }
            return ends;
        }
        Node::Hole { .. } => return Vec::new(),
        Node::Join { below, join } => return joined(*below, *join, schema, steps),
        Node::Fork { below, branches } => {
            let branches = branches.into_iter().map(branch).collect();
            (below, "fork", StepKind::Fork(branches))
        }
        Node::Source {
            input,
            columns,
            metadata,
        } => {
            let used = columns.iter().chain(&metadata);
            let input = Input {
                declared: input,
                wanted: used.map(|(place, _)| *place).collect(),
                own: None,
            };
            return source(input, schema, steps);
        }
        Node::Filter {
            below,
            mut conditions,
        } => {
            let names = below.fields();
            conditions.iter_mut().for_each(|c| name(c, &names));
            (below, "filter", StepKind::Filter(conditions))
        }
        Node::Project { below, items } => {
            let projection = projection(&below, items);
            (below, "project", StepKind::Project(projection))
        }
        Node::Explode {
            below,
            mut value,
            name: function,
            generator,
            kept,
            ..
        } => {
            name(&mut value, &below.fields());
            let explosion = Explosion {
                value,
                name: function,
                generator,
                kept,
            };
            (below, "explode", StepKind::Explode(explosion))
        }
        Node::EventTime {
            below,
            time: mut value,
            column,
            delay,
        } => {
            name(&mut value, &below.fields());
            let column = column.is_some();
            let time = Time {
                value,
                column,
                delay,
            };
            (below, "watermark", StepKind::EventTime(time))
        }
        Node::Lookup { below, mut beside } => {
            let stream = below.fields();
            let names = [stream.as_slice(), &beside.side.fields()].concat();
            let conditions = beside.join.conditions.iter_mut();
            conditions.for_each(|c| name(c, &names));
            match Looking::new(stream, *beside) {
                Some(looking) => (below, "lookup", StepKind::Lookup(Box::new(looking))),
                None => return place(*below, steps),
            }
        }
        Node::Aggregate { below, group } => (below, "", StepKind::Aggregate(group)),
        Node::Dedup { below, dedup } => (below, "", StepKind::Dedup(dedup)),
        Node::Sort { below, sort } => (below, "", StepKind::Sort(sort)),
        Node::Limit { below, limit } => (below, "", StepKind::Limit(limit)),
        Node::Over { below, windows } => (below, "", StepKind::Over(windows)),
        Node::Rekey { below, rekey } => (below, "", StepKind::Rekey(rekey)),
    };
    let ends = place(*below, steps);
    let step = steps.len();
    for end in ends {
        lead(&mut steps[end], Target::Step { step, input: 0 });
    }
    let name = match (kind.state_name(&schema), &kind) {
        (Some(name), _) => own_name(name, steps),
        (None, StepKind::Lookup(looking)) => own_name(looking.name(), steps),
        (None, StepKind::Project(projection)) => match computed(&projection.items) {
            Some(columns) => own_name(format!("{word} {columns}"), steps),
            None => format_smolstr!("{word} {step}"),
        },
        (None, _) => format_smolstr!("{word} {step}"),
    };
    steps.push(Step {
        name,
        kind,
        schema,
        to: Target::Writer,
        also: Vec::new(),
    });
    vec![step]
}

/// Places a join behind both of its sides.
fn joined(below: [Node; 2], mut join: Join, schema: Schema, steps: &mut Vec<Step>) -> Vec<usize> {
    let sides = [below[0].fields(), below[1].fields()];
    let names = sides.concat();
    join.conditions.iter_mut().for_each(|c| name(c, &names));
    let ends = below.map(|node| place(node, steps));
    let step = steps.len();
    for (input, ends) in ends.into_iter().enumerate() {
        for end in ends {
            lead(&mut steps[end], Target::Step { step, input });
        }
    }
    let kind = StepKind::Join(Box::new(Joining { join, sides }));
    let name = kind.state_name(&schema).unwrap_or_default();
    steps.push(Step {
        name: own_name(name, steps),
        kind,
        schema,
        to: Target::Writer,
        also: Vec::new(),
    });
    vec![step]
}

/// So many characters of the columns that a projection computes are in its name.
const NAMED_MAX: usize = 40;

/// The columns that a projection computes, as many as a name has room for; None where it only picks.
fn computed(items: &[Item]) -> Option<String> {
    let mut columns = items.iter().filter(|item| item.column().is_none());
    let mut named = columns.next()?.field.name.to_string();
    for item in columns {
        if named.len() + item.field.name.len() > NAMED_MAX {
            return Some(named + ", ...");
        }
        named.push_str(", ");
        named.push_str(&item.field.name);
    }
    Some(named)
}

/// A name that no step with state has yet. It says what the step does, not where it stands: other columns, filters and
/// queries leave it as it is.
fn own_name(name: String, steps: &[Step]) -> SmolStr {
    let taken = |name: &str| steps.iter().any(|step| step.name == name);
    if !taken(&name) {
        return name.into();
    }
    let mut numbers = 2..;
    numbers
        .find_map(|number| Some(format!("{name} ({number})")).filter(|name| !taken(name)))
        .unwrap_or(name)
        .into()
}

/// The steps of a branch, in order.
fn branch(node: Node) -> Vec<Step> {
    let mut steps = Vec::new();
    place(node, &mut steps);
    steps
}

fn source(input: Input, schema: Schema, steps: &mut Vec<Step>) -> Vec<usize> {
    let name = &input.table().name;
    let known = |step: &Step| matches!(step.kind, StepKind::Source(_)) && step.name == *name;
    if let Some(place) = steps.iter().position(known) {
        return vec![place];
    }
    steps.push(Step {
        name: SmolStr::new(&input.table().name),
        kind: StepKind::Source(input),
        schema,
        to: Target::Writer,
        also: Vec::new(),
    });
    vec![steps.len() - 1]
}

fn projection(below: &Node, mut items: Vec<Item>) -> Projection {
    let mut names = below.fields();
    let width = names.len();
    for item in &mut items {
        name(&mut item.typed, &names);
        names.push(item.field.clone());
    }
    Projection { items, width }
}

/// Calls the columns of an expression what they are called in the row below: views had their own names for them.
fn name(typed: &mut Typed, below: &[Field]) {
    typed.visit_mut(&mut |part| {
        if let Kind::Column { index, name } = &mut part.kind
            && let Some(field) = below.get(*index)
        {
            name.clone_from(&field.name);
        }
    });
}
