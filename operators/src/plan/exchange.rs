//! `SET exchange = 'topic'`: where a plan is cut in two, by which key, and what may not stand before the cut.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::schema::{DataType, Field};
use thalweg_engine::sink::Sink;
use thalweg_engine::source::Source;

use crate::exchange;
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::node::{Declared, Node};
use crate::plan::partitions::origins_above;
use crate::plan::{Query, StepKind};
use crate::sql::settings::{OnError, OutputMode, Settings, Trigger};
use crate::table::OpenContext;

/// A change of partition through a topic.
#[derive(Clone, Debug)]
pub struct Rekey {
    /// The places of the key's columns.
    pub(crate) keys: Vec<usize>,
    /// The columns that go through the topic.
    pub(crate) fields: Vec<Field>,
    /// The table that is read before it.
    pub(crate) input: Arc<Declared>,
    /// Whether its rows have event times.
    pub(crate) timed: bool,
}

impl Rekey {
    /// The names of the key's columns.
    pub(crate) fn key_names(&self) -> Vec<&str> {
        let name = |key: &usize| self.fields.get(*key).map(|field| field.name.as_str());
        self.keys.iter().filter_map(name).collect()
    }

    /// The step behind the topic.
    pub(super) fn arrival(
        &self,
        before: &[SmolStr],
    ) -> Box<dyn thalweg_engine::operator::Operator> {
        let name = &self.input.table.name;
        Box::new(exchange::arrival::Arrival::new(
            self.fields.len(),
            name,
            self.timed,
            before,
        ))
    }

    /// What must not change from run to run: what stands in the topic is read by it.
    pub(super) fn identity(&self) -> serde_json::Value {
        let columns: Vec<String> = self
            .fields
            .iter()
            .map(|field| format!("{} {}", field.name, field.data_type))
            .collect();
        serde_json::json!({ "by": self.key_names().join(", "), "columns": columns.join(", ") })
    }
}

/// Both ends of the topic for one run: its step's place, how it is read, how it is written.
pub type Opened = (usize, Arc<dyn Source>, Arc<dyn Sink>);

impl Query {
    /// The place of the change of partition through a topic, where there is one: the steps before it are the first half.
    pub fn rekey(&self) -> Option<(usize, &Rekey)> {
        self.steps
            .iter()
            .enumerate()
            .find_map(|(place, step)| match &step.kind {
                StepKind::Rekey(rekey) => Some((place, rekey.as_ref())),
                _ => None,
            })
    }

    /// The topic that rows go through.
    pub fn exchange_topic(&self, job: &str) -> Option<String> {
        self.rekey().map(|_| exchange::topic_name(job, &self.name))
    }

    /// Opens both ends of the topic for one run: its step's place, how it is read, how it is written.
    ///
    /// # Errors
    /// Where the topic cannot be made, or its settings are wrong.
    pub fn open_exchange(&self, context: &OpenContext) -> Result<Option<Opened>, Failure> {
        let Some((place, rekey)) = self.rekey() else {
            return Ok(None);
        };
        let types: Vec<DataType> = rekey.fields.iter().map(|f| f.data_type.clone()).collect();
        let (source, sink) =
            exchange::open(&rekey.input.table, types, rekey.keys.clone(), context)?;
        Ok(Some((place, source, sink)))
    }
}

/// Cuts a plan below its lowest step with state. `timed` says whether the rows of its input have event times.
///
/// # Errors
/// With the reason, where the query cannot change partition through a topic.
pub(crate) fn cut(
    mut node: Node,
    settings: &Settings,
    timed: bool,
    at: Location,
) -> Result<Node, JobError> {
    let refuse = |reason: &str| Err(refusal(settings, at, reason));
    if settings.on_error == OnError::DeadLetter {
        return refuse(
            "a record that fails behind the topic is not a record of the input any more, so that it cannot be a dead letter; \
             use onError = 'fail' or 'skip'",
        );
    }
    if settings.warm_up.is_some() {
        return refuse(
            "warmUp reads back in front of the topic, and what stands behind it could not tell those rows from new ones",
        );
    }
    let mut inputs = Vec::new();
    sources(&node, &mut inputs);
    let [input] = inputs.as_slice() else {
        return refuse("the query reads several inputs, and joins and unions with state gather");
    };
    let input = Arc::clone(input);
    if input.connector.name != "kafka" {
        return refuse("its input is no Kafka topic, so that it names no broker for the exchange");
    }
    let place = match lowest(&mut node) {
        Ok(place) => place,
        Err(reason) => return refuse(reason),
    };
    if let Some(what) = unfit(place) {
        return refuse(&format!(
            "{what} stands before the change of partition and may give another result when the row is read again after a \
             crash"
        ));
    }
    let fields = place.fields();
    let below = std::mem::replace(place, Node::Union { below: Vec::new() });
    *place = Node::Rekey {
        below: Box::new(below),
        rekey: Box::new(Rekey {
            keys: Vec::new(),
            fields,
            input,
            timed,
        }),
    };
    let keys = match common_keys(&node) {
        Ok(keys) => keys,
        Err(reason) => return refuse(reason),
    };
    set_keys(&mut node, keys);
    Ok(node)
}

/// Refuses what the output and the settings do not allow.
///
/// # Errors
/// With the reason.
pub(crate) fn check(
    settings: &Settings,
    temporary: bool,
    one_table: bool,
    at: Location,
) -> Result<(), JobError> {
    let reason = if temporary {
        "the query has no checkpointLocation, and the topic outlives the process"
    } else if one_table
        && (settings.trigger != Trigger::Continuous || settings.output_mode == OutputMode::Complete)
    {
        "its output shows one table for each trigger, which one lane must write"
    } else {
        return Ok(());
    };
    Err(refusal(settings, at, reason))
}

fn refusal(settings: &Settings, at: Location, reason: &str) -> JobError {
    JobError::new(
        settings.at("exchange", at),
        format!("exchange = 'topic' cannot be used here: {reason}"),
    )
    .help("leave it out: one lane then reads all partitions, with the same results")
}

fn sources(node: &Node, found: &mut Vec<Arc<Declared>>) {
    if let Node::Source { input, .. } = node {
        found.push(Arc::clone(input));
    }
    node.below().for_each(|node| sources(node, found));
}

/// The node below the lowest step with state.
fn lowest(node: &mut Node) -> Result<&mut Node, &'static str> {
    if matches!(node, Node::EventTime { .. }) {
        return Err("WATERMARK stands behind a step with state; write it at the input");
    }
    if matches!(node, Node::Sort { .. } | Node::Limit { .. }) {
        return Err("ORDER BY and LIMIT are about all rows together");
    }
    if node.below().count() != 1 {
        return Err("the query has several ways with state side by side, and joins gather");
    }
    let last = node.stateful() && !node.below().any(Node::has_state);
    let Some(below) = node.below_mut().next() else {
        return Err("it has no step with state");
    };
    if last { Ok(below) } else { lowest(below) }
}

/// The first expression that may give something else when it is computed again.
fn unfit(node: &Node) -> Option<String> {
    let shown = |typed: &Typed| (!typed.deterministic()).then(|| format!("`{typed}`"));
    let here = match node {
        Node::Filter { conditions, .. } => conditions.iter().find_map(shown),
        Node::Project { items, .. } => items.iter().find_map(|item| shown(&item.typed)),
        Node::Explode { value, .. } => shown(value),
        Node::EventTime { time, .. } => shown(time),
        _ => None,
    };
    here.or_else(|| node.below().find_map(unfit))
}

/// The columns at the cut that every step with state has among its keys.
fn common_keys(node: &Node) -> Result<Vec<usize>, &'static str> {
    let mut common: Option<Vec<usize>> = None;
    narrow(node, &mut common);
    match common {
        Some(keys) if !keys.is_empty() => Ok(keys),
        _ if count_stateful(node) > 1 => {
            Err("its steps with state have no key in common, and rows go through the topic once")
        }
        _ => Err("all rows are one group: it has no key besides a window"),
    }
}

fn count_stateful(node: &Node) -> usize {
    usize::from(node.stateful()) + node.below().map(count_stateful).sum::<usize>()
}

fn narrow(node: &Node, common: &mut Option<Vec<usize>>) {
    if matches!(node, Node::Rekey { .. }) {
        return;
    }
    let places: Option<Vec<usize>> = match node {
        Node::Aggregate { group, .. } => Some((0..group.grouping.keys.len()).collect()),
        Node::Dedup { dedup, .. } => Some(dedup.keys.clone()),
        Node::Over { windows, .. } => Some(windows.over.keys.clone()),
        _ => None,
    };
    for below in node.below() {
        if let Some(places) = &places {
            let origins = origins_above(below);
            let mut keys: Vec<usize> = places
                .iter()
                .filter_map(|place| origins.get(*place).copied().flatten())
                .collect();
            keys.sort_unstable();
            keys.dedup();
            match common {
                None => *common = Some(keys),
                Some(known) => known.retain(|key| keys.contains(key)),
            }
        }
        narrow(below, common);
    }
}

fn set_keys(node: &mut Node, keys: Vec<usize>) {
    if let Node::Rekey { rekey, .. } = node {
        rekey.keys = keys;
        return;
    }
    if let Some(below) = node.below_mut().next() {
        set_keys(below, keys);
    }
}
