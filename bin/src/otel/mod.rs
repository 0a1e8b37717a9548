//! Traces to a collector of OpenTelemetry: what the environment says, and the thread that sends spans.
//!
//! The engine makes spans and puts them into a queue with a limit; one thread takes them from there in batches and posts
//! them. Nothing else of the process waits for it, but a clean end for a moment.

mod collector;
mod json;
mod protobuf;
mod settings;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use thalweg_engine::spans::{Attribute, Kind, Span, Tracer};
use thalweg_engine::status::QueryStatus;
use thalweg_engine::workers::yielding;
use thalweg_operators::table::Table;

use self::collector::Collector;
use self::settings::Settings;
use crate::refusal::Refusal;

/// How long a clean end waits for what is still to be sent.
const LAST: Duration = Duration::from_secs(3);

/// How long the thread waits before it sends a batch again that was not taken; each time twice as long.
const AGAIN: Duration = Duration::from_millis(500);

/// How often a batch is tried.
const TRIES: u32 = 5;

/// What becomes of spans, for Prometheus.
#[derive(Clone)]
struct Counts(IntCounterVec);

impl Counts {
    fn register(registry: &Registry) -> Self {
        let counts = IntCounterVec::new(
            Opts::new(
                "thalweg_trace_spans_total",
                "Spans by what became of them: exported, failed (the collector did not take them), left_out (no room).",
            ),
            &["result"],
        );
        // The name and the label are right.
        #[allow(clippy::expect_used, reason = "a constant that a test makes")]
        let counts = counts.expect("a metric");
        for result in ["exported", "failed", "left_out"] {
            let _ = counts.with_label_values(&[result]);
        }
        if let Err(error) = registry.register(Box::new(counts.clone())) {
            tracing::warn!(%error, "spans have no metrics");
        }
        Self(counts)
    }

    fn of(&self, result: &str) -> IntCounter {
        self.0.with_label_values(&[result])
    }
}

/// The traces of a process, where the environment wants some.
pub(crate) struct Traces {
    running: Option<(Arc<Tracer>, Receiver<()>)>,
}

impl Traces {
    /// Begins to export, as the environment says.
    ///
    /// # Errors
    /// When what it says cannot be done.
    pub(crate) fn begin(
        job: &str,
        member: Option<&str>,
        tables: &[Table],
        registry: &Registry,
    ) -> Result<Self, Refusal> {
        let look = |name: &str| std::env::var(name).ok();
        let Some(settings) = settings::read(&look, job, member).map_err(Refusal::new)? else {
            return Ok(Self { running: None });
        };
        let collector = Collector::of(&settings).map_err(Refusal::new)?;
        let counts = Counts::register(registry);
        let tracer = Arc::new(Tracer::new(
            settings.sampler,
            settings.queue_max,
            settings.batch_max,
            counts.of("left_out"),
        ));
        tracing::info!("traces go to {}", settings.shown());
        let kafka = tables.iter().filter(|table| table.connector == "kafka");
        let exporter = Exporter {
            tracer: Arc::clone(&tracer),
            collector,
            counts,
            kafka: kafka.map(|table| table.name.to_string()).collect(),
            away: false,
            settings,
        };
        let (over, done) = channel();
        std::thread::Builder::new()
            .name("otel".to_owned())
            .spawn(yielding(move || {
                exporter.run();
                // Nobody listens when the end did not wait.
                let _ = over.send(());
            }))
            .map_err(|error| Refusal::new(format!("no thread for traces: {error}")))?;
        Ok(Self {
            running: Some((tracer, done)),
        })
    }

    /// Traces a query.
    pub(crate) fn follow(&self, query: &QueryStatus) {
        if let Some((tracer, _)) = &self.running {
            query.metrics().recorder.trace_to(tracer);
        }
    }

    /// Sends what is left, and gives up what a collector does not take in a moment.
    pub(crate) fn finish(self) {
        if let Some((tracer, done)) = self.running {
            tracer.close();
            if done.recv_timeout(LAST).is_err() {
                tracing::warn!("the last traces were not taken within {LAST:?}, and are given up");
            }
        }
    }
}

/// What the thread works with.
struct Exporter {
    tracer: Arc<Tracer>,
    collector: Collector,
    counts: Counts,
    /// The inputs that are topics.
    kafka: BTreeSet<String>,
    /// Whether it was said that the collector takes nothing.
    away: bool,
    settings: Settings,
}

impl Exporter {
    fn run(mut self) {
        loop {
            // What is there after it was closed is the last.
            let last = self.tracer.is_closed();
            let mut batch = self
                .tracer
                .take(self.settings.batch_max, self.settings.delay);
            if batch.is_empty() {
                if last {
                    return;
                }
                continue;
            }
            for span in &mut batch {
                self.describe(span);
            }
            let taken = self.send(&batch);
            let result = if taken { "exported" } else { "failed" };
            self.counts.of(result).inc_by(batch.len() as u64);
            if last && !taken {
                // Who does not take these does not take the others.
                return;
            }
        }
    }

    /// Whether the collector has taken a batch. One that is away is tried again, while there is time.
    fn send(&mut self, batch: &[Span]) -> bool {
        let mut pause = AGAIN;
        for tries in 1..=TRIES {
            let answer = self.collector.send(batch);
            let Err(refused) = answer else {
                if std::mem::take(&mut self.away) {
                    tracing::info!("the collector takes traces again");
                }
                return true;
            };
            if !self.away {
                self.away = true;
                tracing::warn!(
                    why = refused.why,
                    "the collector at {} takes no traces; records flow on",
                    self.settings.shown()
                );
            }
            if !refused.passes || tries == TRIES || self.tracer.is_closed() {
                return false;
            }
            self.tracer.pause(pause);
            pause *= 2;
        }
        false
    }

    /// Says of a record from a topic what OpenTelemetry calls that.
    fn describe(&self, span: &mut Span) {
        if span.kind != Kind::Consumer {
            return;
        }
        let known = |name: &str| {
            let (_, value) = span.attributes.iter().find(|(known, _)| *known == name)?;
            match value {
                Attribute::Text(text) => Some(text.clone()),
                Attribute::Number(_) => None,
            }
        };
        let (Some(input), Some(partition), Some(offset)) = (
            known("thalweg.input"),
            known("thalweg.partition"),
            known("thalweg.position"),
        ) else {
            return;
        };
        let place = partition.rsplit_once('/');
        if let (true, Some((topic, number))) = (self.kafka.contains(input.as_str()), place) {
            let text = |text: &str| Attribute::Text(text.into());
            span.attributes.extend([
                ("messaging.system", text("kafka")),
                ("messaging.operation.type", text("process")),
                ("messaging.destination.name", text(topic)),
                ("messaging.destination.partition.id", text(number)),
            ]);
            if let Ok(offset) = offset.parse() {
                let offset = ("messaging.kafka.offset", Attribute::Number(offset));
                span.attributes.push(offset);
            }
        }
    }
}
