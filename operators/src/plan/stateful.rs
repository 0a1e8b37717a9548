//! Steps with state as a plan knows them: their names, what they keep and until when.

use serde_json::{Value, json};
use smol_str::SmolStr;
use thalweg_engine::schema::{Field, Schema};

use crate::plan::built::OwnState;
use crate::plan::group::Group;
use crate::plan::order::{Dedup, Sort};
use crate::plan::{Query, Step, StepKind};
use crate::stateful::contents::Contents;
use crate::stateful::dedup::Remember;
use crate::stateful::grouping::{Over, Shape};

impl StepKind {
    /// What its state is known by from run to run; None where it keeps none. It names what the step does.
    pub(super) fn state_name(&self, schema: &Schema) -> Option<String> {
        let columns = |places: &mut dyn Iterator<Item = usize>| {
            let names: Vec<&str> = places
                .filter_map(|place| schema.fields.get(place))
                .map(|field| field.name.as_str())
                .collect();
            names.join(", ")
        };
        Some(match self {
            Self::Aggregate(group) if group.keys.is_empty() => "aggregate".to_owned(),
            Self::Aggregate(group) => format!("aggregate by {}", group.keys.join(", ")),
            Self::Dedup(dedup) => {
                format!("distinct by {}", columns(&mut dedup.keys.iter().copied()))
            }
            Self::Sort(sort) => {
                format!(
                    "sort by {}",
                    columns(&mut sort.keys.iter().map(|k| k.place))
                )
            }
            Self::Limit(_) => "limit".to_owned(),
            Self::Join(joining) => joining.name(),
            Self::Over(windows) => windows.name(),
            Self::Rekey(rekey) => rekey.name(),
            Self::Own(own) => own.keeps.as_ref()?.name.clone(),
            Self::Source(_)
            | Self::Filter(_)
            | Self::Project(_)
            | Self::Explode(_)
            | Self::Lookup(_)
            | Self::EventTime(_)
            | Self::Fork(_) => return None,
        })
    }
}

impl Step {
    /// What its state depends on; None where nothing of it outlives a trigger.
    pub(super) fn state_identity(&self) -> Option<Value> {
        let typed = |name: &str, field: &Field| format!("{name} {}", field.data_type);
        match &self.kind {
            StepKind::Aggregate(group) => {
                let keys: Vec<String> = group
                    .keys
                    .iter()
                    .zip(&self.schema.fields[..])
                    .map(|(name, field)| typed(name, field))
                    .collect();
                let aggregates = group.grouping.aggregates.iter();
                let aggregates: Vec<&str> = aggregates.map(|a| a.identity.as_str()).collect();
                let mut identity =
                    json!({ "kind": "aggregate", "keys": keys, "aggregates": aggregates });
                if let Some(window) = &group.grouping.window {
                    identity["window"] = Value::String(shape(&window.shape));
                }
                Some(identity)
            }
            StepKind::Dedup(dedup) => {
                let fields = dedup
                    .keys
                    .iter()
                    .filter_map(|key| self.schema.fields.get(*key));
                let keys: Vec<String> = fields.map(|field| typed(&field.name, field)).collect();
                Some(json!({ "kind": "distinct", "keys": keys }))
            }
            StepKind::Join(joining) => Some(joining.identity()),
            StepKind::Over(windows) => Some(windows.identity(&self.schema)),
            StepKind::Own(own) => own.keeps.as_ref().map(OwnState::identity),
            StepKind::Limit(limit) if !limit.each_trigger => Some(json!({ "kind": "limit" })),
            _ => None,
        }
    }

    /// What lies in its state.
    fn contents(&self) -> Option<Contents> {
        let columns = |places: &[usize], names: Option<&[SmolStr]>| {
            let fields = places.iter().enumerate().filter_map(|(at, place)| {
                let field = self.schema.fields.get(*place)?;
                let name = names.and_then(|names| names.get(at));
                Some(Field::nullable(
                    name.unwrap_or(&field.name).clone(),
                    field.data_type.clone(),
                ))
            });
            fields.collect::<Vec<_>>()
        };
        Some(match &self.kind {
            StepKind::Aggregate(group) => Contents::Groups {
                keys: group.keys.clone(),
                group: group.grouping.clone(),
            },
            StepKind::Dedup(dedup) => Contents::Distinct {
                keys: columns(&dedup.keys, None),
            },
            StepKind::Over(windows) => Contents::Over {
                keys: columns(&windows.over.keys, Some(&windows.keys)),
                order: windows.order.clone(),
                over: windows.over.clone(),
            },
            StepKind::Join(joining) => joining.contents(),
            StepKind::Own(own) => {
                let keeps = own.keeps.as_ref()?;
                Contents::Processor {
                    keys: keeps.keys.clone(),
                    value: keeps.value.fields.to_vec(),
                }
            }
            StepKind::Limit(_) => Contents::Limit,
            _ => return None,
        })
    }
}

impl Query {
    /// What its checkpoints say of its plan: its identity, and for each step with state what lies in it, so that it can be
    /// read without the job.
    pub fn noted(&self) -> Value {
        let mut noted = self.identity();
        for step in &self.steps {
            if let Some(contents) = step.contents()
                && let Some(identity) = noted["steps"].get_mut(step.name.as_str())
            {
                identity[CONTENTS] = serde_json::to_value(contents).unwrap_or_default();
            }
        }
        noted
    }
}

/// Where a checkpoint says what lies in a step's state, within what it says of the step.
const CONTENTS: &str = "contents";

/// What lies in the state of a step, as a checkpoint says; None where it does not, or not so that this version knows it.
pub fn contents_of(noted: &Value, step: &str) -> Option<Contents> {
    let contents = noted.get("steps")?.get(step)?.get(CONTENTS)?;
    let contents: Contents = serde_json::from_value(contents.clone()).ok()?;
    contents.is_known().then_some(contents)
}

/// A window in words.
pub(super) fn shape(shape: &Shape) -> String {
    match shape {
        Shape::Session { .. } => "session".to_owned(),
        Shape::Fixed { size, slide, start } => {
            let mut text = length(*size);
            if slide != size {
                text.push_str(&format!(" every {}", length(*slide)));
            }
            if *start != 0 {
                text.push_str(&format!(" from {}", length(*start)));
            }
            text
        }
    }
}

/// What a GROUP BY keeps and until when.
pub(super) fn kept(group: &Group) -> String {
    let each = if group.keys.is_empty() {
        "one group".to_owned()
    } else {
        format!("a group for each {}", group.keys.join(", "))
    };
    let until = match (group.grouping.over, group.grouping.ttl) {
        (Over::Window, _) => match group.grouping.window.as_ref().map(|w| &w.shape) {
            Some(Shape::Session { .. }) => {
                "until the watermark has passed the session's end".to_owned()
            }
            _ => "until the watermark has passed the window's end".to_owned(),
        },
        (Over::Key(key), _) => {
            let name = group.keys.get(key).map_or("its key", |name| name.as_str());
            format!("until the watermark has passed {name}")
        }
        (Over::Never, Some(ttl)) => format!("until it has not changed for {}", length(ttl)),
        (Over::Never, None) => "for ever".to_owned(),
    };
    format!("{each}, kept {until}")
}

/// What DISTINCT keeps and until when.
pub(super) fn remembered(dedup: &Dedup) -> String {
    match (dedup.remember(), dedup.ttl) {
        (Remember::Always, Some(ttl)) => format!("each key kept for {}", length(ttl)),
        (Remember::Always, None) => "each key kept for ever".to_owned(),
        (Remember::Column(_), _) => "each key kept until the watermark has passed it".to_owned(),
        (Remember::EventTime(0), _) => {
            "each key kept until the watermark has passed its first row".to_owned()
        }
        (Remember::EventTime(delay), _) => format!(
            "each key kept until the watermark is {} past its first row",
            length(delay)
        ),
    }
}

/// What ORDER BY keeps.
pub(super) fn sorted(sort: &Sort) -> String {
    match sort.limit {
        Some(1) => "the first row of each trigger".to_owned(),
        Some(rows) => format!("the first {rows} rows of each trigger"),
        None => "the rows of each trigger".to_owned(),
    }
}

/// How long rows wait: a bound that leaves its end out is a microsecond short of what was written.
pub(super) fn wait(micros: i64) -> String {
    const SECOND: i64 = 1_000_000;
    match micros.checked_add(1) {
        Some(end) if end % SECOND == 0 => length(end),
        _ => length(micros),
    }
}

/// An amount of microseconds in the largest unit that it is whole in.
pub(super) fn length(micros: i64) -> String {
    for (unit, size) in [
        ("days", 86_400_000_000),
        ("hours", 3_600_000_000),
        ("minutes", 60_000_000),
        ("seconds", 1_000_000),
        ("ms", 1_000),
    ] {
        if micros == size {
            return format!(
                "1 {}",
                unit.strip_suffix('s').filter(|u| *u != "m").unwrap_or(unit)
            );
        }
        if micros != 0 && micros % size == 0 {
            return format!("{} {unit}", micros / size);
        }
    }
    if micros == 0 {
        "0 seconds".to_owned()
    } else {
        format!("{micros} us")
    }
}
