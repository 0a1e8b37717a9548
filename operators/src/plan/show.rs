//! A plan as the user sees it: a tree from the output to the inputs, each step with its expressions and types.

use std::fmt::Write;

use smol_str::SmolStr;
use thalweg_engine::counted::counted;
use thalweg_engine::row::Value;
use thalweg_engine::schema::Field;

use crate::expr::typed::{Kind, Typed};
use crate::plan::group::Group;
use crate::plan::stateful::{kept, length, remembered, shape, sorted};
use crate::plan::{Query, Step, StepKind, Target};
use crate::stateful::grouping::{Emits, Shape};

impl Query {
    /// The plan as a tree, its output first. Values that a `${...}` put in do not show.
    pub fn fmt_tree(&self) -> String {
        let mut out = String::new();
        let table = self.output();
        let name = if table.name == table.connector {
            String::new()
        } else {
            format!("{} ", table.connector)
        };
        let _ = writeln!(
            out,
            "write {name}{}: {}",
            table.name,
            columns(&self.schema.fields)
        );
        let below = self.feeding(Target::Writer);
        self.branch(&below, "", &mut out);
        self.hide(&out)
    }

    fn feeding(&self, target: Target) -> Vec<usize> {
        (0..self.steps.len())
            .filter(|place| self.steps[*place].targets().any(|to| to == target))
            .collect()
    }

    fn branch(&self, places: &[usize], indent: &str, out: &mut String) {
        // A chain goes straight down; several that meet are a union.
        let (mut indent, mut below) = (indent.to_owned(), places.to_vec());
        if below.len() > 1 {
            let _ = writeln!(out, "{indent}└─ union of {}", below.len());
            indent.push_str("   ");
        }
        loop {
            let last = below.len().saturating_sub(1);
            if let [place] = below[..] {
                let _ = writeln!(out, "{indent}└─ {}", self.step(place));
                below = self.feeding(Target::Step {
                    step: place,
                    input: 0,
                });
                indent.push_str("   ");
                self.forked(place, &indent, out);
                if matches!(self.steps[place].kind, StepKind::Join(_)) {
                    return self.sides(place, &indent, out);
                }
                if below.len() > 1 {
                    return self.branch(&below, &indent, out);
                }
                continue;
            }
            for (index, place) in below.iter().enumerate() {
                let (corner, line) = if index == last {
                    ("└─", "   ")
                } else {
                    ("├─", "│  ")
                };
                let _ = writeln!(out, "{indent}{corner} {}", self.step(*place));
                self.forked(*place, &format!("{indent}{line}"), out);
                if matches!(self.steps[*place].kind, StepKind::Join(_)) {
                    self.sides(*place, &format!("{indent}{line}"), out);
                    continue;
                }
                let feeding = self.feeding(Target::Step {
                    step: *place,
                    input: 0,
                });
                if !feeding.is_empty() {
                    self.branch(&feeding, &format!("{indent}{line}"), out);
                }
            }
            return;
        }
    }

    /// What feeds the left and the right side of a join.
    fn sides(&self, step: usize, indent: &str, out: &mut String) {
        for (input, corner, line) in [(0, "├─", "│  "), (1, "└─", "   ")] {
            let feeding = self.feeding(Target::Step { step, input });
            let mut side = String::new();
            self.branch(&feeding, "", &mut side);
            for (number, text) in side.lines().enumerate() {
                let (before, text) = match text.strip_prefix("└─") {
                    Some(text) if number == 0 => (corner, text),
                    // The tree of one side hangs under its first step.
                    _ => (line, text.get(3..).unwrap_or(text)),
                };
                let _ = writeln!(out, "{indent}{before}{text}");
            }
        }
    }

    /// What the step at this place does, as in the tree.
    pub fn shown_step(&self, place: usize) -> String {
        self.hide(&self.step(place))
    }

    fn step(&self, place: usize) -> String {
        self.one(&self.steps[place])
    }

    /// What a static table is made of; the branches of a fork, a line each: the last step first, as in the tree.
    fn forked(&self, place: usize, indent: &str, out: &mut String) {
        if let StepKind::Lookup(looking) = &self.steps[place].kind {
            let made_of = looking.made_of(&|step| self.one(step));
            let _ = writeln!(out, "{indent}table: {made_of}");
            return;
        }
        let StepKind::Fork(branches) = &self.steps[place].kind else {
            return;
        };
        for (index, branch) in branches.iter().enumerate() {
            let steps: Vec<String> = branch.iter().rev().map(|step| self.one(step)).collect();
            let steps = if steps.is_empty() {
                "as it is".to_owned()
            } else {
                steps.join(" ← ")
            };
            let _ = writeln!(out, "{indent}{}: {steps}", index + 1);
        }
    }

    fn one(&self, step: &Step) -> String {
        match &step.kind {
            StepKind::Source(input) => {
                let read = if step.schema.fields.is_empty() {
                    "no columns".to_owned()
                } else {
                    columns(&step.schema.fields)
                };
                format!("read {} {}: {read}", input.table().connector, step.name)
            }
            StepKind::Fork(branches) => format!("fork into {}", branches.len()),
            StepKind::Join(joining) => joining.shown(&|typed| self.shown(typed)),
            StepKind::Lookup(looking) => looking.shown(&|typed| self.shown(typed)),
            StepKind::Filter(conditions) => {
                let all: Vec<String> = conditions.iter().map(|c| self.shown(c)).collect();
                format!("filter {}", all.join(" AND "))
            }
            StepKind::Project(projection) => {
                let all: Vec<String> = projection
                    .items
                    .iter()
                    .map(|item| {
                        let value = self.shown(&item.typed);
                        let name = &item.field.name;
                        let required = if item.required { " NOT NULL" } else { "" };
                        if value == **name {
                            format!("{name} {}{required}", item.field.data_type)
                        } else {
                            format!("{value} AS {name} {}{required}", item.field.data_type)
                        }
                    })
                    .collect();
                format!("project {}", all.join(", "))
            }
            StepKind::Explode(explosion) => {
                let generated = &step.schema.fields[explosion.kept.len()..];
                let outer = if explosion.generator.outer && !explosion.name.ends_with("_outer") {
                    " outer"
                } else {
                    ""
                };
                let value = self.shown(&explosion.value);
                // What makes its rows itself is shown as the call that it is.
                let name = match value.strip_prefix(explosion.name) {
                    Some(call) if call.starts_with('(') => String::new(),
                    _ => format!("{}{outer} ", explosion.name),
                };
                format!("{name}{value} AS {}", columns(generated))
            }
            StepKind::Aggregate(group) => self.group(group, &step.name),
            StepKind::Dedup(dedup) => format!("{}; {}", step.name, remembered(dedup)),
            StepKind::Sort(sort) => {
                let keys: Vec<String> = sort
                    .keys
                    .iter()
                    .map(|key| {
                        let name = step.schema.fields.get(key.place).map_or("", |f| &f.name);
                        let descending = if key.descending { " DESC" } else { "" };
                        let nulls = match (key.descending, key.nulls_first) {
                            (false, false) => " NULLS LAST",
                            (true, true) => " NULLS FIRST",
                            _ => "",
                        };
                        format!("{name}{descending}{nulls}")
                    })
                    .collect();
                format!("sort by {}; {}", keys.join(", "), sorted(sort))
            }
            StepKind::Own(own) => own.shown.clone(),
            StepKind::Over(windows) => {
                format!(
                    "{}: {}; {}",
                    step.name,
                    self.hide(&windows.shown()),
                    windows.kept()
                )
            }
            StepKind::Rekey(rekey) => format!(
                "{}, through a topic of its own: {}",
                step.name,
                columns(&rekey.fields)
            ),
            StepKind::Limit(limit) if limit.each_trigger => {
                format!("limit {} of each trigger", counted(limit.rows, "row"))
            }
            StepKind::Limit(limit) => {
                let rows = match limit.rows {
                    u64::MAX => "all rows".to_owned(),
                    rows => counted(rows, "row"),
                };
                match limit.skipped {
                    0 => format!("limit {rows}"),
                    skipped => format!("limit {rows} behind the first {skipped}"),
                }
            }
            StepKind::EventTime(time) => {
                let name = match step.schema.fields.last() {
                    Some(field) if time.column => format!(" AS {} {}", field.name, field.data_type),
                    _ => String::new(),
                };
                format!(
                    "watermark {}{name}, rows may be {} late",
                    self.shown(&time.value),
                    length(time.delay)
                )
            }
        }
    }

    /// A GROUP BY: its window, its aggregates, what it keeps.
    fn group(&self, group: &Group, name: &str) -> String {
        let grouping = &group.grouping;
        let mut text = name.to_owned();
        if let Some(window) = &grouping.window {
            let key = group.keys.get(window.at).map_or("window", |key| key);
            text.push_str(&match window.shape {
                Shape::Session { .. } => String::new(),
                Shape::Fixed { .. } => format!(", {key} of {}", shape(&window.shape)),
            });
        }
        let results = group.fields.iter().skip(group.keys.len());
        let aggregates: Vec<String> = results
            .map(|field| format!("{} {}", field.name, field.data_type))
            .collect();
        if !aggregates.is_empty() {
            text.push_str(": ");
            text.push_str(&self.hide(&aggregates.join(", ")));
        }
        let emits = match grouping.emits {
            Emits::Append => "a group once, when it is over",
            Emits::UpdateAtOnce => "a changed group at once",
            Emits::UpdateAtTrigger => "changed groups at each trigger",
            Emits::Complete => "all groups at each trigger",
        };
        format!("{text}; {}; emits {emits}", kept(group))
    }

    /// An expression without what a `${...}` put in.
    fn shown(&self, typed: &Typed) -> String {
        let mut typed = typed.clone();
        typed.visit_mut(&mut |part| {
            if let Kind::Literal(Value::String(text)) = &mut part.kind
                && let Some((_, name)) =
                    self.hidden.iter().find(|(value, _)| value == text.as_str())
            {
                *text = SmolStr::new(name);
            }
        });
        typed.to_string()
    }

    /// A text without the values that a `${...}` put in.
    pub fn hide(&self, text: &str) -> String {
        let long = self
            .hidden
            .iter()
            .filter(|(value, _)| value.chars().count() >= 4);
        long.fold(text.to_owned(), |text, (value, name)| {
            text.replace(value, name)
        })
    }
}

pub(super) fn columns(fields: &[Field]) -> String {
    let all: Vec<String> = fields
        .iter()
        .map(|field| {
            format!(
                "{} {}{}",
                field.name,
                field.data_type,
                if field.nullable { "" } else { " NOT NULL" }
            )
        })
        .collect();
    all.join(", ")
}
