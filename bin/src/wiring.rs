//! From the plan of a query to what the engine runs: places of steps, clients of a run, dead letters, settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::lane::{DeadLetters, OnError};
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::plan::{Exchange, Input, Opened, Plan, Role, Side};
use thalweg_engine::query::Settings;
use thalweg_engine::record::Record;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::sink::Sink;
use thalweg_engine::source::Source;
use thalweg_operators::coordinates::{self, Coordinates};
use thalweg_operators::plan::{self, Changes, Query, StepKind};
use thalweg_operators::sql::settings::{OnError as Policy, OutputMode};
use thalweg_operators::table::OpenContext;

use crate::numbers;

/// What helps after a failed record in a run with a temporary folder.
const WITHOUT_CHECKPOINTS: &str = "This run keeps no checkpoint to go on from: mend the record in its input, or leave \
    such records out with --set onError=skip, or collect them with onError = 'deadLetter' and a deadLetterTable.";

/// A query's plan as the engine asks for it.
pub(crate) struct Wired {
    query: Query,
    context: OpenContext,
    accept_new_state: bool,
    /// The same query with what files of secrets hold now: the next run's clients are made of it.
    renewed: Mutex<Option<Arc<Query>>>,
}

impl Wired {
    /// Wires a query; `context` holds what is the same for all its runs. With `accept_new_state` steps that a checkpoint
    /// does not know begin empty.
    pub(crate) fn new(query: Query, context: OpenContext, accept_new_state: bool) -> Self {
        Self {
            query,
            context,
            accept_new_state,
            renewed: Mutex::new(None),
        }
    }

    /// Lets the next runs make their clients of this one, which is the same query read again.
    pub(crate) fn renew(&self, query: Query) {
        *self.renewed.lock() = Some(Arc::new(query));
    }

    /// Looks at the query of which the next run makes its clients.
    pub(crate) fn with_clients<T>(&self, look: impl FnOnce(&Query) -> T) -> T {
        let renewed = self.renewed.lock().clone();
        look(renewed.as_deref().unwrap_or(&self.query))
    }

    /// The query.
    pub(crate) fn query(&self) -> &Query {
        &self.query
    }

    /// Where the rows of the input at this place of the plan enter the pipeline.
    pub(crate) fn entries(&self, place: usize) -> Vec<Target> {
        let places = Places::of(&self.query);
        let targets = self.query.steps[place].targets();
        targets.map(|to| places.target(place, to)).collect()
    }

    /// What the input at this place of the plan is to the query.
    pub(crate) fn role(&self, place: usize) -> Role {
        match &self.query.steps[place].kind {
            StepKind::Source(input) => Role {
                event_time: self.query.has_event_time(input),
                table: input.is_keyed(),
            },
            StepKind::Rekey(rekey) => Role {
                event_time: rekey.has_event_time(),
                table: false,
            },
            _ => Role::default(),
        }
    }

    fn policy(&self, clients: &Query, context: &OpenContext) -> Result<OnError, Failure> {
        Ok(match self.query.settings.on_error {
            Policy::Fail => OnError::Fail,
            Policy::Skip => OnError::Skip,
            Policy::DeadLetter => {
                // A dead letter has a coordinate of its own.
                let context = &OpenContext {
                    coordinates: Coordinates::Off,
                    ..context.clone()
                };
                let sink = clients.dead_letters(context)?.ok_or_else(|| {
                    Failure::refuse("onError is 'deadLetter', and there is no deadLetterTable")
                })?;
                let (job, query) = (context.job.clone(), context.query.clone());
                let show = self.query.settings.show_records;
                OnError::DeadLetter(DeadLetters {
                    sink,
                    row: Arc::new(move |record, error| {
                        dead_letter(&job, &query, show, record, error)
                    }),
                })
            }
        })
    }
}

/// Closes what was opened when the rest cannot be.
struct Opening {
    sources: Vec<Arc<dyn Source>>,
    sinks: Vec<Arc<dyn Sink>>,
}

impl Drop for Opening {
    fn drop(&mut self) {
        for source in &self.sources {
            source.close();
        }
        for sink in &self.sinks {
            sink.close();
        }
    }
}

impl Plan for Wired {
    fn open(&self, run: &str) -> Result<Opened, Failure> {
        let context = OpenContext {
            run: run.to_owned(),
            ..self.context.clone()
        };
        let renewed = self.renewed.lock().clone();
        let clients = renewed.as_deref().unwrap_or(&self.query);
        self.query.open_statics_as(clients, &context)?;
        let mut opening = Opening {
            sources: Vec::new(),
            sinks: Vec::new(),
        };
        let sink = clients.sink(&context)?;
        opening.sinks.push(Arc::clone(&sink));
        let on_error = self.policy(clients, &context)?;
        if let OnError::DeadLetter(dead) = &on_error {
            opening.sinks.push(Arc::clone(&dead.sink));
        }
        let mut inputs = Vec::new();
        for (place, source) in clients.sources(&context)? {
            opening.sources.push(Arc::clone(&source));
            inputs.push(Input {
                name: self.query.steps[place].name.clone(),
                entries: self.entries(place),
                role: self.role(place),
                source,
            });
        }
        let places = Places::of(&self.query);
        let exchanges = clients.open_exchanges(&context)?.into_iter();
        let exchanges = exchanges.map(|(place, source, sink)| Exchange {
            of: self
                .query
                .rekey_at(place)
                .map_or_else(SmolStr::default, |rekey| rekey.input().into()),
            input: Input {
                name: self.query.steps[place].name.clone(),
                entries: vec![places.arrival(place)],
                role: self.role(place),
                source,
            },
            sink,
        });
        let exchanges = exchanges.collect();
        opening.sources.clear();
        opening.sinks.clear();
        Ok(Opened {
            inputs,
            exchanges,
            sink,
            on_error,
        })
    }

    fn steps(&self, side: Side, before: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        let places = Places::of(&self.query);
        let steps = self.query.lane_behind(before).steps;
        let mine = steps
            .into_iter()
            .enumerate()
            .filter(|(place, _)| places.side(*place) == side);
        mine.filter_map(|(place, step)| {
            let mut step = step?;
            step.to = places.target(place, step.to);
            Some(step)
        })
        .collect()
    }

    fn gathers(&self) -> bool {
        self.query.gather()
    }

    fn number(&self, input: &str, partition: &str) -> Option<u32> {
        let exchanged = || {
            let mut exchanges = self.query.rekeys();
            self.query.exchanges_by_number()
                && exchanges.any(|(place, _)| self.query.steps[place].name == input)
        };
        numbers::of(partition).filter(|_| self.query.by_number() || exchanged())
    }

    fn fits(&self, partitions: &[(SmolStr, SmolStr)]) -> Result<(), Failure> {
        if !self.query.by_number() {
            return Ok(());
        }
        numbers::equal(
            partitions
                .iter()
                .map(|(input, name)| (input.as_str(), name.as_str())),
        )
    }

    fn beside(&self) -> BTreeMap<SmolStr, serde_json::Value> {
        let models = self.query.models.iter();
        let standing = models.filter_map(|model| {
            let standing = serde_json::to_value(model.standing()?).ok()?;
            Some((SmolStr::new(model.name()), standing))
        });
        standing.collect()
    }

    fn identity(&self) -> serde_json::Value {
        self.query.noted()
    }

    fn compare(&self, old: &serde_json::Value) -> Result<(), String> {
        let new = self.query.noted();
        plan::compare_ends(old, &new)?;
        let changes = Changes::of(old, &new);
        if self.query.settings.warm_up.is_none() {
            return changes.accept(self.accept_new_state);
        }
        changes.build().map_err(|why| {
            format!(
                "{why}. To begin with it empty, leave warmUp out: --accept-new-state --set {}.warmUp=none. To build all state \
                 anew and go on with the output where it is, keep warmUp and take startingOffsets 'group', another \
                 checkpointLocation and --fresh",
                self.query.name
            )
        })
    }

    fn compare_ends(&self, old: &serde_json::Value) -> Result<(), String> {
        plan::compare_ends(old, &self.query.identity())
    }

    fn lacks(&self, old: &serde_json::Value) -> Vec<SmolStr> {
        let changes = Changes::of(old, &self.query.noted());
        changes.lacking().into_iter().map(SmolStr::new).collect()
    }

    fn drops(&self, old: &serde_json::Value) -> Vec<SmolStr> {
        let changes = Changes::of(old, &self.query.noted());
        changes.dropped().map(SmolStr::new).collect()
    }
}

/// The places of a query's steps in the pipelines of its lanes. Inputs are steps of a plan but no operators of a
/// pipeline, so the places behind them move up; and each side of an exchange has a pipeline of its own.
struct Places {
    /// By place in the plan.
    places: Vec<usize>,
    sides: Vec<Side>,
}

impl Places {
    fn of(query: &Query) -> Self {
        let mut sides = vec![Side::Whole; query.steps.len()];
        if query.exchanges() {
            // From the end on: what leads to a change of partition stands before it.
            for place in (0..sides.len()).rev() {
                sides[place] = match query.steps[place].to {
                    Target::Step { step, .. } if query.rekey_at(step).is_some() => Side::Before,
                    Target::Step { step, .. } => sides[step],
                    Target::Writer => Side::Behind,
                };
            }
        }
        let operator = |place: usize| !matches!(query.steps[place].kind, StepKind::Source(_));
        let place = |place: usize| {
            let own = (0..place).filter(|other| sides[*other] == sides[place]);
            own.filter(|other| operator(*other)).count()
        };
        Self {
            places: (0..query.steps.len()).map(place).collect(),
            sides,
        }
    }

    /// On which side of an exchange the step at this place stands.
    fn side(&self, place: usize) -> Side {
        self.sides.get(place).copied().unwrap_or_default()
    }

    /// Where what an exchange gives enters.
    fn arrival(&self, place: usize) -> Target {
        Target::Step {
            step: self.places.get(place).copied().unwrap_or_default(),
            input: 0,
        }
    }

    /// Where the rows of the step at `from` go. What goes to the exchange goes to its writer.
    fn target(&self, from: usize, target: Target) -> Target {
        match target {
            Target::Writer => Target::Writer,
            Target::Step { step, .. } if self.side(step) != self.side(from) => Target::Writer,
            Target::Step { step, input } => Target::Step {
                step: self.places.get(step).copied().unwrap_or(step),
                input,
            },
        }
    }
}

/// How a query runs.
pub(crate) fn settings(query: &Query) -> Settings {
    let given = &query.settings;
    Settings {
        checkpoint_interval: given.checkpoint_interval,
        checkpoints_kept: given.checkpoints_kept,
        checkpoint_history: given.checkpoint_history,
        epoch_timeout: given.epoch_timeout,
        open_epochs_max: given.open_epochs_max,
        stop_timeout: given.stop_timeout,
        restarts_max: given
            .restarts_max
            .map(|max| u32::try_from(max).unwrap_or(u32::MAX)),
        outage_timeout: given.outage_timeout,
        trigger: query.interval(),
        bounded: query.bounded(),
        one_batch: query.one_batch(),
        show_records: given.show_records,
        partition_metrics: given.partition_metrics,
        idle_timeout: given.idle_timeout,
        alignment_max: given.alignment_max,
        warm_up: given.warm_up.filter(|_| query.keeps_state()),
        without_checkpoints: query.temporary.then(|| WITHOUT_CHECKPOINTS.to_owned()),
        ..Settings::default()
    }
}

/// What connectors know of all runs of a query.
pub(crate) fn context(job: &str, query: &Query, fresh: bool, checkpoint: String) -> OpenContext {
    OpenContext {
        job: job.to_owned(),
        query: query.name.clone(),
        run: String::new(),
        temporary: query.temporary,
        fresh,
        checkpoint,
        member: None,
        further: false,
        delivery_timeout: query.settings.delivery_timeout,
        trigger_interval: query.interval(),
        bounded: query.bounded(),
        complete: query.settings.output_mode == OutputMode::Complete,
        partitioned: query.keeps_state_by_partition(),
        coordinates: query.coordinates(),
        time_zone: query.settings.time_zone,
    }
}

/// A failed record as a row of the dead-letter table: key, value and headers as they were, and headers that say where
/// it came from and why it failed.
fn dead_letter(job: &str, query: &str, show: bool, record: &Record, error: &RecordError) -> Row {
    let raw = record.raw.as_ref();
    let bytes =
        |bytes: Option<&[u8]>| bytes.map_or(Value::Null, |bytes| Value::Binary(bytes.into()));
    let meta = &record.meta;
    let way = coordinates::way(&format!("{job};{query}"), &meta.partition);
    let origin = format!("{way}{};0", meta.position);
    let reason = match &error.content {
        Some(content) if show => format!("{}: {content}", error.reason),
        _ => error.reason.to_string(),
    };
    let header = |name: SmolStr, value: Option<&[u8]>| {
        Value::Struct(Arc::from([Value::String(name), bytes(value)]))
    };
    let mut headers: Vec<Value> = raw
        .map(thalweg_engine::record::Original::headers)
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| header(name, value.as_deref()))
        .collect();
    let mut add =
        |name, value: &str| headers.push(header(SmolStr::new_static(name), Some(value.as_bytes())));
    add(coordinates::ORIGIN, &origin);
    if let Some(time) = meta.record_time {
        add("thalweg-timestamp", &(time / 1_000).to_string());
    }
    add("thalweg-error-class", error.class.name());
    add("thalweg-error", &reason);
    [
        bytes(raw.and_then(|raw| raw.key())),
        bytes(raw.and_then(|raw| raw.value())),
        Value::Array(headers.into()),
    ]
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use thalweg_engine::record::{Body, Original, Partition, Position, Raw, RecordMeta};

    use super::*;

    struct Invoice;

    impl Raw for Invoice {
        fn key(&self) -> Option<&[u8]> {
            Some(b"b-1")
        }
        fn value(&self) -> Option<&[u8]> {
            None
        }
        fn headers(&self) -> Vec<(SmolStr, Option<Vec<u8>>)> {
            vec![("trace".into(), Some(b"7".to_vec()))]
        }
    }

    fn letter(show: bool) -> Row {
        let record = Record {
            meta: RecordMeta {
                partition: Arc::new(Partition {
                    input: "invoices".into(),
                    name: "in/voices/3".into(),
                }),
                position: Position::Number(310),
                record_time: Some(1_700_000_000_123_000),
                event_time: None,
                watermark: None,
                taken_at: 0,
                taken: Instant::now(),
            },
            next: Position::Number(311),
            body: Body::Row(Row::default()),
            size: 0,
            raw: Some(Original::own(Invoice)),
        };
        let error = RecordError::decode("not JSON").with_content("{secret");
        dead_letter("loyalty", "notification", show, &record, &error)
    }

    fn text(value: &Value) -> String {
        match value {
            Value::String(text) => text.to_string(),
            Value::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Value::Struct(parts) => parts.iter().map(text).collect::<Vec<_>>().join("="),
            Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join("\n"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_dead_letter_keeps_the_record_and_says_where_and_why() {
        let row = letter(false);
        assert_eq!((text(&row[0]).as_str(), &row[1]), ("b-1", &Value::Null));
        assert_eq!(
            text(&row[2]),
            "trace=7\n\
             thalweg-origin=v1;loyalty;notification;in/voices;3;310;0\n\
             thalweg-timestamp=1700000000123\n\
             thalweg-error-class=decode\n\
             thalweg-error=not JSON"
        );
    }

    #[test]
    fn content_of_a_record_is_quoted_only_when_the_job_says_so() {
        assert!(!text(&letter(false)[2]).contains("secret"));
        assert!(text(&letter(true)[2]).ends_with("thalweg-error=not JSON: {secret"));
    }
}
