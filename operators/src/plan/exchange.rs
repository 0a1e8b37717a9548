//! `SET exchange = 'topic'`: where a plan is cut in two, and what may not stand before the cut.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::schema::Field;
use thalweg_engine::sink::Sink;
use thalweg_engine::source::Source;

use crate::exchange;
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::lookup::changing;
use crate::plan::node::{Declared, Node};
use crate::plan::{Query, StepKind};
use crate::plan::{exchange_keys, share};
use crate::sql::settings::{OnError, OutputMode, Settings, Trigger};
use crate::table::{OpenContext, Table};

/// A change of partition through a topic, of the rows of one input.
#[derive(Clone, Debug)]
pub struct Rekey {
    /// Its number in the query.
    pub(crate) number: usize,
    /// Whether the query has others.
    pub(crate) among: bool,
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

    /// The table that is read before it.
    pub fn input(&self) -> &str {
        &self.input.table.name
    }

    /// Whether its rows have event times.
    pub fn has_event_time(&self) -> bool {
        self.timed
    }

    /// What the marks are known by from run to run.
    pub(super) fn name(&self) -> String {
        let by = self.key_names().join(", ");
        if self.among {
            return format!("exchange of {} by {by}", self.input());
        }
        format!("exchange by {by}")
    }

    /// What its topic is called beside others of the query.
    fn part(&self) -> Option<&str> {
        self.among.then(|| self.input())
    }

    /// The step behind the topic; `before` are the partitions that are read, each with its input.
    pub(super) fn arrival(
        &self,
        before: &[(SmolStr, SmolStr)],
    ) -> Box<dyn thalweg_engine::operator::Operator> {
        let own = before.iter().filter(|(input, _)| input == self.input());
        let own: Vec<SmolStr> = own.map(|(_, partition)| partition.clone()).collect();
        let (width, timed) = (self.fields.len(), self.timed);
        Box::new(exchange::arrival::Arrival::new(
            width,
            self.input(),
            timed,
            &own,
        ))
    }

    fn columns(&self) -> String {
        let columns = self.fields.iter();
        let columns = columns.map(|field| format!("{} {}", field.name, field.data_type));
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// The way of one input through its topic for one run: its step's place, how the topic is read, how it is written.
pub type Opened = (usize, Arc<dyn Source>, Arc<dyn Sink>);

impl Query {
    /// The places of the changes of partition through a topic: one for each input, or none.
    pub fn rekeys(&self) -> impl Iterator<Item = (usize, &Rekey)> {
        let steps = self.steps.iter().enumerate();
        steps.filter_map(|(place, step)| match &step.kind {
            StepKind::Rekey(rekey) => Some((place, rekey.as_ref())),
            _ => None,
        })
    }

    /// The change of partition at this place.
    pub fn rekey_at(&self, place: usize) -> Option<&Rekey> {
        match &self.steps.get(place)?.kind {
            StepKind::Rekey(rekey) => Some(rekey),
            _ => None,
        }
    }

    /// Whether its rows change partition through topics.
    pub fn exchanges(&self) -> bool {
        self.rekeys().next().is_some()
    }

    /// The topics that rows go through, each with the table whose rows these are.
    pub fn exchange_topics(&self, job: &str) -> Vec<(String, &Table)> {
        self.rekeys()
            .map(|(_, rekey)| {
                let topic = exchange::topic_name(job, &self.name, rekey.part());
                (topic, &rekey.input.table)
            })
            .collect()
    }

    /// Opens both ends of the topics for one run.
    ///
    /// # Errors
    /// Where a topic cannot be made, or its settings are wrong.
    pub fn open_exchanges(&self, context: &OpenContext) -> Result<Vec<Opened>, Failure> {
        let inputs: Vec<exchange::Input<'_>> = self
            .rekeys()
            .map(|(_, rekey)| exchange::Input {
                table: &rekey.input.table,
                topic: exchange::topic_name(&context.job, &context.query, rekey.part()),
                types: rekey.fields.iter().map(|f| f.data_type.clone()).collect(),
                keys: rekey.keys.clone(),
            })
            .collect();
        let opened = exchange::open(inputs, context)?;
        let places = self.rekeys().map(|(place, _)| place);
        let opened = places.zip(opened);
        Ok(opened
            .map(|(place, (source, sink))| (place, source, sink))
            .collect())
    }

    /// What must not change from run to run: what stands in the topics is read by it.
    pub(super) fn exchange_identity(&self) -> Option<serde_json::Value> {
        let told = |tell: &dyn Fn(&Rekey) -> String| {
            let each = self.rekeys().map(|(_, rekey)| match rekey.part() {
                Some(input) => format!("{} of {input}", tell(rekey)),
                None => tell(rekey),
            });
            each.collect::<Vec<_>>().join("; ")
        };
        let by = told(&|rekey| rekey.key_names().join(", "));
        let columns = told(&Rekey::columns);
        self.exchanges()
            .then(|| serde_json::json!({ "by": by, "columns": columns }))
    }
}

/// Cuts a plan below the lowest steps with state, on the way of each input. `timed` are the tables, and whether their rows
/// have event times.
///
/// # Errors
/// With the reason, where the query cannot change partition through topics.
pub(crate) fn cut(
    node: Node,
    settings: &Settings,
    timed: &[(String, bool)],
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
    let mut cutting = Cutting {
        timed,
        inputs: 0,
        read: Vec::new(),
        error: None,
    };
    let mut node = cutting.above(node);
    if let Some(reason) = cutting.error {
        return refuse(&reason);
    }
    let keys = match exchange_keys::common(&node, cutting.inputs) {
        Ok(keys) => keys,
        Err(reason) => return refuse(reason),
    };
    set_keys(&mut node, &keys);
    if let Some(name) = key_of_table(&node) {
        return refuse(&format!(
            "rows go by `{name}`, which comes from a static table: a record that is read again after a crash may have another \
             one by then, and would count in two places"
        ));
    }
    let mut read = Vec::new();
    sources(&node, &mut read);
    read.iter()
        .try_for_each(|input| exchange::check(&input.table))?;
    Ok(node)
}

/// A plan that is being cut.
struct Cutting<'c> {
    timed: &'c [(String, bool)],
    /// How many ways are cut.
    inputs: usize,
    /// The tables that they begin with.
    read: Vec<String>,
    /// Why it cannot be.
    error: Option<String>,
}

impl Cutting<'_> {
    fn refuse(&mut self, reason: &str) {
        self.error.get_or_insert_with(|| reason.to_owned());
    }

    /// A node with state in it or below it.
    fn above(&mut self, node: Node) -> Node {
        match node {
            Node::EventTime { .. } => {
                self.refuse("WATERMARK stands behind a step with state; write it at the input");
            }
            Node::Sort { .. } | Node::Limit { .. } => {
                self.refuse("ORDER BY and LIMIT are about all rows together");
            }
            Node::Source { .. } | Node::Hole { .. } => self.refuse("it has no step with state"),
            Node::Fork { .. } => {
                self.refuse("the query has several ways with state side by side");
            }
            _ => {}
        }
        node.map_below(&mut |below| {
            if below.has_state() {
                self.above(below)
            } else {
                self.through(below)
            }
        })
    }

    /// The steps below the lowest with state: each way from an input goes through a topic.
    fn through(&mut self, node: Node) -> Node {
        if let Some(what) = unfit(&node) {
            self.refuse(&format!(
                "{what} stands before the change of partition and may give another result when the row is read again after a \
                 crash"
            ));
        }
        let mut ways = Vec::new();
        share::spread(node, &mut ways);
        let mut ways: Vec<Node> = ways.into_iter().map(|way| self.way(way)).collect();
        match ways.len() {
            1 => ways.remove(0),
            _ => Node::Union { below: ways },
        }
    }

    fn way(&mut self, way: Node) -> Node {
        let mut inputs = Vec::new();
        sources(&way, &mut inputs);
        let Some(input) = inputs.pop() else {
            self.refuse("it has no input");
            return way;
        };
        if input.connector.name != "kafka" {
            self.refuse("an input is no Kafka topic, so that it names no broker for the exchange");
        }
        if !input.table.primary_key.is_empty() {
            self.refuse(
                "a table with a PRIMARY KEY must be read to its end before the first row of a stream, and behind a topic nobody \
                 knows when that is; beside it every lane would need all of the table, and a partition belongs to one lane. Say \
                 PARTITIONED BY of both inputs, where they are, or leave exchange out",
            );
        }
        let timed = self.timed.iter();
        let mut timed = timed.filter(|(name, _)| *name == input.table.name);
        let number = self.inputs;
        if self.read.contains(&input.table.name) {
            self.refuse("a table stands in several places with state, and its rows go through the topic once");
        }
        self.read.push(input.table.name.clone());
        self.inputs += 1;
        Node::Rekey {
            rekey: Box::new(Rekey {
                number,
                among: false,
                keys: Vec::new(),
                fields: way.fields(),
                timed: timed.any(|(_, timed)| *timed),
                input,
            }),
            below: Box::new(way),
        }
    }
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

/// The first expression that may give something else when it is computed again.
pub(super) fn unfit(node: &Node) -> Option<String> {
    let shown = |typed: &Typed| (!typed.deterministic()).then(|| format!("`{typed}`"));
    let here = match node {
        Node::Filter { conditions, .. } => conditions.iter().find_map(shown),
        Node::Project { items, .. } => items.iter().find_map(|item| shown(&item.typed)),
        Node::Explode { value, .. } => shown(value),
        Node::EventTime { time, .. } => shown(time),
        Node::Lookup { beside, .. } => beside.join.conditions.iter().find_map(shown),
        Node::Join { join, .. } => join.conditions.iter().find_map(shown),
        _ => None,
    };
    here.or_else(|| node.below().find_map(unfit))
}

/// A key of a change of partition that comes from a static table.
fn key_of_table(node: &Node) -> Option<SmolStr> {
    if let Node::Rekey { below, rekey } = node {
        let changes = changing(below);
        let mut keys = rekey.keys.iter();
        let key = keys.find(|key| changes.get(**key) == Some(&true))?;
        return rekey.fields.get(*key).map(|field| field.name.clone());
    }
    node.below().find_map(key_of_table)
}

/// Tells each change of partition its keys.
fn set_keys(node: &mut Node, keys: &[Vec<usize>]) {
    if let Node::Rekey { rekey, .. } = node {
        rekey.among = keys.len() > 1;
        rekey.keys = keys.get(rekey.number).cloned().unwrap_or_default();
        return;
    }
    node.below_mut().for_each(|node| set_keys(node, keys));
}
