//! What becomes of the state of a query when its job has changed: kept, new, dropped or refused, step by step.
//!
//! A step is known by its name, an aggregate by its expression. Outputs, filters and the order of things do not matter.

use std::fmt;

use serde_json::{Map, Value};

use crate::stateful::contents::Contents;

/// What becomes of a step's state, or of one aggregate's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It goes on from the checkpoint.
    Kept,
    /// The checkpoint has none of it: it begins empty.
    New,
    /// The job no longer has it.
    Dropped,
    /// The checkpoint cannot be continued.
    Refused(String),
}

/// One step with state, in the checkpoint or in the job or in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepChange {
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub change: Change,
    /// What becomes of its aggregates, where the step itself is kept.
    pub parts: Vec<(String, Change)>,
    /// Whether it keeps a table, of which only what comes behind the checkpoint's position is read.
    table: bool,
}

impl StepChange {
    /// Whether the checkpoint has no state of it, or not all.
    fn lacks(&self) -> bool {
        let new = |change: &Change| *change == Change::New;
        new(&self.change) || self.parts.iter().any(|(_, change)| new(change))
    }
}

/// What becomes of all state of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The steps of the job, then those that only the checkpoint has.
    pub steps: Vec<StepChange>,
}

impl Changes {
    /// Compares the identity that a checkpoint holds with that of the query now.
    pub fn of(old: &Value, new: &Value) -> Self {
        let (was, is) = (steps(old), steps(new));
        let mut changes = Vec::new();
        for (name, now) in &is {
            changes.push(match was.get(name) {
                None => StepChange {
                    table: now.get("of").and_then(Value::as_str) == Some("table"),
                    ..one(name, Change::New)
                },
                Some(before) => compared(name, before, now),
            });
        }
        for name in was.keys().filter(|name| !is.contains_key(*name)) {
            changes.push(one(name, Change::Dropped));
        }
        Self { steps: changes }
    }

    /// Whether the query may go on from that checkpoint; with `new_state` also where state begins empty.
    ///
    /// # Errors
    /// The reason why not, as a sentence.
    pub fn accept(&self, new_state: bool) -> Result<(), String> {
        for step in &self.steps {
            if let Change::Refused(why) = &step.change {
                return Err(format!("its step `{}` {why}", step.name));
            }
        }
        let begins = self.begins_empty();
        if new_state || begins.is_empty() {
            return Ok(());
        }
        Err(format!(
            "its checkpoint has no state of {}, which would begin empty: accept that with --accept-new-state, or let warmUp build it",
            begins.join(", ")
        ))
    }

    /// The steps that the job has no more.
    pub fn dropped(&self) -> impl Iterator<Item = &str> {
        let steps = self.steps.iter();
        let dropped = steps.filter(|step| step.change == Change::Dropped);
        dropped.map(|step| step.name.as_str())
    }

    /// The steps of which the checkpoint has no state, or not all: what `warmUp` builds.
    pub fn lacking(&self) -> Vec<&str> {
        let lacking = self.steps.iter().filter(|step| step.lacks());
        lacking.map(|step| step.name.as_str()).collect()
    }

    /// Whether `warmUp` can build what is new, with nothing refused.
    ///
    /// # Errors
    /// The reason why not, as a sentence.
    pub fn build(&self) -> Result<(), String> {
        self.accept(true)?;
        match self.steps.iter().find(|step| step.table && step.lacks()) {
            None => Ok(()),
            Some(step) => Err(format!(
                "warmUp cannot build its new step `{}`: the rows of that table stand before the checkpoint's position, and a \
                 table is not read back",
                step.name
            )),
        }
    }

    /// The steps and parts of steps of which the checkpoint has no state.
    pub fn begins_empty(&self) -> Vec<String> {
        let mut begins = Vec::new();
        for step in &self.steps {
            if step.change == Change::New {
                begins.push(format!("`{}`", step.name));
            }
            let parts = step
                .parts
                .iter()
                .filter(|(_, change)| *change == Change::New);
            begins.extend(parts.map(|(part, _)| format!("`{part}` of `{}`", step.name)));
        }
        begins
    }

    /// A line for each step and each changed part of it; `built` says whether `warmUp` builds what is new.
    pub fn shown(&self, built: bool) -> String {
        let (mut text, new) = (self.to_string(), ": new\n");
        if built {
            text = text.replace(new, ": new, built by warmUp\n");
        }
        text
    }
}

impl fmt::Display for Changes {
    /// A line for each step and each changed part of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |change: &Change| match change {
            Change::Kept => "kept".to_owned(),
            Change::New => "new".to_owned(),
            Change::Dropped => "dropped".to_owned(),
            Change::Refused(why) => format!("refused: it {why}"),
        };
        for step in &self.steps {
            writeln!(f, "{}: {}", step.name, word(&step.change))?;
            for (part, change) in &step.parts {
                writeln!(f, "  {part}: {}", word(change))?;
            }
        }
        Ok(())
    }
}

fn one(name: &str, change: Change) -> StepChange {
    StepChange {
        name: name.to_owned(),
        change,
        parts: Vec::new(),
        table: false,
    }
}

fn steps(identity: &Value) -> Map<String, Value> {
    let steps = identity.get("steps").and_then(Value::as_object);
    steps.cloned().unwrap_or_default()
}

fn compared(name: &str, before: &Value, now: &Value) -> StepChange {
    for (what, words) in [
        ("kind", "was of the kind"),
        ("keys", "was by"),
        ("window", "had the window"),
    ] {
        let (was, is) = (shown(before.get(what)), shown(now.get(what)));
        if was != is {
            let why = format!("{words} {was} and is {is} now");
            return one(name, Change::Refused(why));
        }
    }
    let contents =
        |step: &Value| serde_json::from_value::<Contents>(step.get("contents")?.clone()).ok();
    if let (Some(before), Some(now)) = (contents(before), contents(now))
        && let Err(why) = now.takes_over(&before)
    {
        return one(
            name,
            Change::Refused(format!("cannot go on: {}", why.message)),
        );
    }
    let parts = |step: &Value| -> Vec<String> {
        let parts = step.get("aggregates").and_then(Value::as_array);
        let texts = parts.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let (was, is) = (parts(before), parts(now));
    let mut changes: Vec<(String, Change)> = is
        .iter()
        .map(|part| {
            let change = if was.contains(part) {
                Change::Kept
            } else {
                Change::New
            };
            (part.clone(), change)
        })
        .collect();
    let dropped = was.into_iter().filter(|part| !is.contains(part));
    changes.extend(dropped.map(|part| (part, Change::Dropped)));
    StepChange {
        name: name.to_owned(),
        change: Change::Kept,
        parts: changes,
        table: false,
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => {
            let all: Vec<String> = all.iter().map(|one| shown(Some(one))).collect();
            all.join(", ")
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(keys: &[&str], aggregates: &[&str]) -> Value {
        json!({ "steps": { "aggregate by store": {
            "kind": "aggregate", "keys": keys, "aggregates": aggregates
        } } })
    }

    #[test]
    fn an_aggregate_more_or_less_keeps_the_others() {
        let old = query(&["store STRING"], &["count(*)", "sum(total)"]);
        let new = query(&["store STRING"], &["max(total)", "count(*)"]);
        let changes = Changes::of(&old, &new);
        assert_eq!(
            changes.to_string(),
            "aggregate by store: kept\n  max(total): new\n  count(*): kept\n  sum(total): dropped\n"
        );
        assert_eq!(changes.accept(true), Ok(()));
        assert_eq!(
            changes.accept(false).unwrap_err(),
            "its checkpoint has no state of `max(total)` of `aggregate by store`, which would begin empty: accept that with --accept-new-state, or let warmUp build it"
        );
        let fewer = query(&["store STRING"], &["count(*)"]);
        assert_eq!(Changes::of(&old, &fewer).accept(false), Ok(()));
    }

    #[test]
    fn another_type_of_a_key_is_refused() {
        let old = query(&["store STRING"], &["count(*)"]);
        let changes = Changes::of(&old, &query(&["store INT"], &["count(*)"]));
        assert_eq!(
            changes.accept(true).unwrap_err(),
            "its step `aggregate by store` was by store STRING and is store INT now"
        );
    }

    #[test]
    fn frames_in_other_steps_are_other_state() {
        let over = |step: &str| {
            let name = format!("over by card order by ts{step}");
            json!({ "steps": { name: { "kind": "over", "keys": ["card STRING"], "aggregates": ["count(*)"] } } })
        };
        let changes = Changes::of(&over(""), &over(" in steps of 1 minute"));
        assert_eq!(
            changes.to_string(),
            "over by card order by ts in steps of 1 minute: new\nover by card order by ts: dropped\n"
        );
        assert!(changes.accept(false).is_err());
        assert_eq!(changes.accept(true), Ok(()));
    }

    #[test]
    fn what_is_new_is_built_where_it_can_be_read_back() {
        let old = query(&["store STRING"], &["count(*)"]);
        let changes = Changes::of(&old, &query(&["store STRING"], &["count(*)", "max(total)"]));
        assert_eq!(changes.lacking(), ["aggregate by store"]);
        assert_eq!(changes.build(), Ok(()));
        assert_eq!(
            changes.shown(true),
            "aggregate by store: kept\n  count(*): kept\n  max(total): new, built by warmUp\n"
        );
        let join =
            |of: &str| json!({ "steps": { "join": { "kind": "join", "of": of, "keys": [] } } });
        let none = json!({});
        assert_eq!(Changes::of(&none, &join("streams")).build(), Ok(()));
        let refused = Changes::of(&none, &join("table")).build().unwrap_err();
        assert!(refused.contains("`join`"), "{refused}");
        let kept = Changes::of(&join("table"), &join("table"));
        assert_eq!((kept.build(), kept.lacking()), (Ok(()), Vec::new()));
    }

    #[test]
    fn a_join_that_needs_what_its_rows_do_not_have_is_refused() {
        let join = |kind: &str, of_left: &[&str]| {
            let side = |columns: &[&str]| {
                let columns: Vec<Value> = columns.iter().map(|name| json!([name, "INT"])).collect();
                json!({ "columns": columns, "keys": [0], "bound": null })
            };
            let contents =
                json!({ "of": "streams", "kind": kind, "sides": [side(of_left), side(&["k"])] });
            json!({ "steps": { "join b on k": { "kind": "join", "keys": ["INT"], "contents": contents } } })
        };
        let change = |old: &Value, new: &Value| Changes::of(old, new).accept(false);
        let inner = join("Inner", &["k", "total"]);
        assert_eq!(change(&inner, &join("LeftSemi", &["k"])), Ok(()));
        assert_eq!(
            change(&join("Left", &["k"]), &join("Inner", &["k"])),
            Ok(())
        );
        let left = change(&inner, &join("Left", &["k", "total"])).unwrap_err();
        assert!(
            left.contains("do not know whether they had a partner"),
            "{left}"
        );
        let column = change(&inner, &join("Inner", &["k", "total", "device"])).unwrap_err();
        assert!(
            column.contains("without the column `device` INT"),
            "{column}"
        );
    }

    #[test]
    fn a_step_that_is_new_or_gone_is_named() {
        let old = query(&["store STRING"], &[]);
        let changes = Changes::of(&old, &json!({}));
        assert_eq!(changes.to_string(), "aggregate by store: dropped\n");
        assert_eq!(changes.accept(false), Ok(()));
        let changes = Changes::of(&json!({}), &old);
        assert!(changes.accept(false).is_err());
        assert_eq!(changes.accept(true), Ok(()));
    }
}
