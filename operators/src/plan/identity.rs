//! What must not change between two runs of a query, because its checkpoints depend on it.

use serde_json::{Map, Value, json};

use crate::plan::Query;
use crate::plan::changes::Changes;
use crate::table::Options;

/// An option whose value may be written in another way.
const PATTERN: &str = "subscribePattern";

/// Whether two patterns differ in whether they say that they are of the whole name. Versions before took every pattern for one
/// that is; which topics they had read their positions tell.
fn same_pattern(before: Option<&Value>, now: Option<&Value>) -> bool {
    let bare = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str)?;
        let text = text.strip_prefix('^').unwrap_or(text);
        let text = text.strip_suffix('$').unwrap_or(text);
        let inner = text
            .strip_prefix("(?:")
            .and_then(|text| text.strip_suffix(')'));
        Some(inner.unwrap_or(text).to_owned())
    };
    let (before, now) = (bare(before), bare(now));
    before.is_some() && before == now
}

impl Query {
    /// A description of what its checkpoints depend on: the inputs by name, each with its connector and the options that
    /// say what is read, the kind of its output, and the steps with state by name, each with its keys and aggregates.
    /// Filters, projections, rate limits and the topic written may change.
    /// What a `${...}` put in is there as a checksum.
    pub fn identity(&self) -> Value {
        let inputs: Map<String, Value> = self
            .inputs()
            .map(|(place, input)| {
                let table = input.table();
                let names = input
                    .declared
                    .connector
                    .input
                    .map_or(&[][..], |input| input.identity);
                let options: Map<String, Value> = names
                    .iter()
                    .filter_map(|name| {
                        Some((
                            (*name).to_owned(),
                            Value::String(kept(&table.options, name)?),
                        ))
                    })
                    .collect();
                (
                    self.steps[place].name.to_string(),
                    json!({ "connector": table.connector, "options": options }),
                )
            })
            .collect();
        let mut identity = json!({ "inputs": inputs, "output": self.output().connector });
        if let Some(exchange) = self.exchange_identity() {
            identity["exchange"] = exchange;
        }
        let steps: Map<String, Value> = self
            .steps
            .iter()
            .filter_map(|step| Some((step.name.to_string(), step.state_identity()?)))
            .collect();
        if !steps.is_empty() {
            identity["steps"] = Value::Object(steps);
        }
        identity
    }
}

fn kept(options: &Options, name: &str) -> Option<String> {
    let entry = options.entry(name)?;
    let value: String = entry.value.split_whitespace().collect();
    if entry.substituted {
        return Some(format!("checksum {:016x}", checksum(&value)));
    }
    Some(value)
}

/// FNV-1a, 64 bits: the same in every release.
fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Compares the identity that a checkpoint holds with that of the query now: inputs and output, then the state.
///
/// # Errors
/// The reason why the query cannot go on from that checkpoint, as a sentence.
pub fn compare(old: &Value, new: &Value) -> Result<(), String> {
    compare_ends(old, new)?;
    Changes::of(old, new).accept(false)
}

/// As [`compare`], of inputs and output alone: what becomes of the state is said by [`Changes::of`].
///
/// # Errors
/// The reason why the query cannot go on from that checkpoint, as a sentence.
pub fn compare_ends(old: &Value, new: &Value) -> Result<(), String> {
    let empty = Map::new();
    let inputs = |value: &'_ Value| {
        value
            .get("inputs")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_else(|| empty.clone())
    };
    let (was, is) = (inputs(old), inputs(new));
    for (name, before) in &was {
        let Some(now) = is.get(name) else {
            return Err(format!(
                "its checkpoint has positions of the input `{name}`, which it no longer reads"
            ));
        };
        let connector = |value: &Value| {
            value
                .get("connector")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        if connector(before) != connector(now) {
            return Err(format!(
                "its input `{name}` was {} and is {} now",
                connector(before),
                connector(now)
            ));
        }
        let options = |value: &Value| {
            value
                .get("options")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default()
        };
        let (before, now) = (options(before), options(now));
        for key in before.keys().chain(now.keys()) {
            let (a, b) = (before.get(key), now.get(key));
            if a != b && !(key == PATTERN && same_pattern(a, b)) {
                let shown = |value: Option<&Value>| {
                    value
                        .and_then(Value::as_str)
                        .map_or_else(|| "not given".to_owned(), |v| format!("'{v}'"))
                };
                return Err(format!(
                    "option `{key}` of its input `{name}` was {} and is {} now",
                    shown(a),
                    shown(b)
                ));
            }
        }
    }
    if let Some(added) = is.keys().find(|name| !was.contains_key(*name)) {
        return Err(format!(
            "it reads the input `{added}`, of which its checkpoint has no positions"
        ));
    }
    compare_exchange(old.get("exchange"), new.get("exchange"))?;
    let output = |value: &Value| {
        value
            .get("output")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    // A file output is exact only with its own checkpoints; any other may follow any other.
    if output(old) != output(new) && output(new) == "file" {
        return Err(format!(
            "its output was {} and is {} now",
            output(old),
            output(new)
        ));
    }
    Ok(())
}

/// Whether a step of the query with this identity keeps the marks of an exchange: places, nothing of records.
pub fn keeps_marks(identity: &Value, step: &str) -> bool {
    let begins = ["exchange by ", "exchange of "];
    identity.get("exchange").is_some() && begins.iter().any(|begin| step.starts_with(begin))
}

/// Rows that stand in the exchange topic are read as they were written, and state lies where their keys are.
fn compare_exchange(old: Option<&Value>, new: Option<&Value>) -> Result<(), String> {
    let text = |value: &Value, what: &str| {
        let text = value.get(what).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    match (old, new) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err("its rows did not go through a topic, and do now".to_owned()),
        (Some(_), None) => Err("its rows went through a topic, and do not now".to_owned()),
        (Some(old), Some(new)) => {
            for (what, words) in [("by", "by the key"), ("columns", "with the columns")] {
                let (was, is) = (text(old, what), text(new, what));
                if was != is {
                    return Err(format!(
                        "its rows went through the exchange topic {words} {was}, and do {words} {is} now"
                    ));
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(inputs: Value, output: &str) -> Value {
        json!({ "inputs": inputs, "output": output })
    }

    fn topic(topic: &str) -> Value {
        json!({ "connector": "kafka", "options": { "subscribe": topic } })
    }

    #[test]
    fn a_pattern_may_say_that_it_is_of_the_whole_name() {
        let of = |pattern: &str| {
            let table = json!({ "connector": "kafka", "options": { "subscribePattern": pattern } });
            reads(json!({ "bills": table }), "kafka")
        };
        for now in ["^bills-.*$", "^(?:bills-.*)$", "bills-.*"] {
            assert_eq!(compare(&of("bills-.*"), &of(now)), Ok(()), "{now}");
        }
        assert!(compare(&of("bills-.*"), &of("^bills-a$")).is_err());
    }

    #[test]
    fn another_sink_topic_is_allowed_and_other_inputs_are_not() {
        let old = reads(json!({ "invoices": topic("invoices") }), "kafka");
        assert_eq!(compare(&old, &old), Ok(()));
        assert_eq!(
            compare(
                &old,
                &reads(json!({ "invoices": topic("invoices") }), "console")
            ),
            Ok(())
        );
        let refused = |new: Value| compare(&old, &new).unwrap_err();
        assert_eq!(
            refused(reads(json!({ "invoices": topic("bills") }), "kafka")),
            "option `subscribe` of its input `invoices` was 'invoices' and is 'bills' now"
        );
        assert_eq!(
            refused(reads(json!({ "bills": topic("invoices") }), "kafka")),
            "its checkpoint has positions of the input `invoices`, which it no longer reads"
        );
        assert!(
            refused(reads(
                json!({ "invoices": topic("invoices"), "more": topic("x") }),
                "kafka"
            ))
            .contains("`more`")
        );
        assert!(
            refused(reads(json!({ "invoices": topic("invoices") }), "file")).contains("output")
        );
    }

    #[test]
    fn the_checksum_does_not_change() {
        assert_eq!(checksum("invoices"), checksum("invoices"));
        assert_eq!(checksum(""), 0xcbf2_9ce4_8422_2325);
    }
}
