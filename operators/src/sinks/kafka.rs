//! Rows to a Kafka topic: encoded in the lane, batched by acknowledgement, delivered without gaps.
//!
//! One idempotent producer serves all writers of a query. A row is encoded and measured in `write`, so that one that is
//! too large is an error of its record before any of its outputs is handed over; `accept` chooses the partition and
//! hands over. A keyed record goes where Java's default partitioner would send it, the column `partition` wins, and
//! records without a key stay on a partition while their batch grows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::counted::counted;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::Value;
use thalweg_engine::schema::Schema;
use thalweg_engine::sink::{
    DeliveryObserver, LocalFuture, Origin, Prepared, Readiness, Recovered, Recovery, Sink, Writer,
    WriterContext,
};
use thalweg_engine::source::Health;

use crate::codecs::Encoder;
use crate::coordinates::{Marks, Stamper, Stamping};
use crate::job_error::JobError;
use crate::kafka::{
    Answered, Connection, Delivered, Drained, Encoders, Layout, LookUp, Outlet, OutletShared,
    SINK_OPTIONS, Staged, Survey, Target, Window, partition_of, trial, verify,
};
use crate::table::{OpenContext, OptionSpec, Table};

/// The manual of the options.
pub const OPTIONS: &[OptionSpec] = SINK_OPTIONS;

/// Makes the encoder of one writer.
pub type MakeEncoder = Box<dyn Fn() -> Box<dyn Encoder> + Send + Sync>;

/// Bytes that records without a key put on one partition before the next has its turn.
const STICKY_BYTES: usize = 16 * 1024;
/// Partitions among which records without a key spread at once, to keep requests few and batches large.
const STICKY_PARTITIONS: usize = 4;
/// Encoded bytes that a writer keeps room for.
const KEEP_CAPACITY: usize = 256 * 1024;

/// Checks that a query with these columns can be written to the table.
///
/// # Errors
/// With the place in the job file.
pub fn check(table: &Table, input: &Schema) -> Result<(), JobError> {
    verify(table)?;
    trial::writes(table, &Connection::of(table)?)?;
    let layout = Layout::of(table, input)?;
    if layout.encodes_value()
        && let Some(format) = table.options.entry("format")
        && format.value.trim().eq_ignore_ascii_case("text")
    {
        return Err(JobError::new(
            format.at,
            "a Kafka table is written in the formats json, csv and avro; for text leave `format` out and select a column `value`",
        ));
    }
    Ok(())
}

/// The columns that the key encoder is made for, in this order; None where none is needed. A key of one STRING or BINARY
/// column needs none.
///
/// # Errors
/// As [`check`].
pub fn key_columns(table: &Table, input: &Schema) -> Result<Option<Vec<usize>>, JobError> {
    Ok(Layout::of(table, input)?
        .encoded_key()
        .map(<[usize]>::to_vec))
}

/// Opens the output. `encoder` gets whole rows and is needed with `format`; `key_encoder` gets the columns of
/// [`key_columns`]. Blocks until a broker has told the topic's partitions and limits.
///
/// # Errors
/// `Restart` when no broker answers, `End` when the topic is missing, `Refuse` for what [`check`] finds.
pub fn open(
    table: &Table,
    input: &Schema,
    encoder: Option<MakeEncoder>,
    key_encoder: Option<MakeEncoder>,
    context: &OpenContext,
) -> Result<Arc<dyn Sink>, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    let layout = Layout::of(table, input).map_err(refuse)?;
    let connection = Connection::of(table).map_err(refuse)?;
    if layout.encodes_value() && encoder.is_none() {
        return Err(Failure::refuse(format!(
            "table `{}` has no encoder for its format",
            table.name
        )));
    }
    if layout.encoded_key().is_some() && key_encoder.is_none() {
        return Err(Failure::refuse(format!(
            "table `{}` has no encoder for its key",
            table.name
        )));
    }
    let topic = table
        .options
        .get("topic")
        .map(|topic| topic.trim().to_owned());
    let outlet = Outlet::open(&connection, topic.as_deref(), context.delivery_timeout)?;
    Ok(Arc::new(KafkaSink {
        outlet,
        connection,
        stamping: Stamping::of(context),
        survey: Mutex::default(),
        layout: Arc::new(layout),
        topic,
        encoder,
        key_encoder,
    }))
}

struct KafkaSink {
    outlet: Outlet,
    connection: Connection,
    /// Where the job wants coordinates.
    stamping: Option<Stamping>,
    /// What asks and reads the topic at a start.
    survey: Mutex<Option<Survey>>,
    layout: Arc<Layout>,
    topic: Option<String>,
    encoder: Option<MakeEncoder>,
    key_encoder: Option<MakeEncoder>,
}

impl KafkaSink {
    /// The topic of the option, where a start leaves out what stands in it.
    fn skips(&self) -> Option<&str> {
        let skips = self.stamping.as_ref().is_some_and(Stamping::skips);
        self.topic.as_deref().filter(|_| skips)
    }

    /// Asks where the partitions end now. Where nobody says, what is written at first is repeated by a crash.
    fn ends(&self, survey: &mut Option<Survey>, topic: &str) -> Option<Marks> {
        let told = match survey {
            Some(survey) => survey.ends(topic),
            // What others have in open transactions must not hide what stands behind it.
            None => Survey::connect(&self.connection, false)
                .and_then(|connected| survey.insert(connected).ends(topic)),
        };
        told.map(Marks)
            .inspect_err(|failure| {
                tracing::warn!(
                    topic,
                    "the end of the output is not known, so a crash may repeat what is written at first: {failure}"
                );
            })
            .ok()
    }
}

impl Sink for KafkaSink {
    fn begin(&self) -> Result<Option<Vec<u8>>, Failure> {
        let mut survey = self.survey.lock();
        let marks = self.skips().and_then(|topic| self.ends(&mut survey, topic));
        Ok(marks.map(|marks| marks.write()))
    }

    fn recover(&self, recovery: &Recovery<'_>) -> Result<Recovered, Failure> {
        let Some(stamping) = &self.stamping else {
            return Ok(Recovered::Kept);
        };
        let topic = self.skips();
        let mut survey = self.survey.lock().take();
        if let Some(topic) = topic
            && let Some(target) = self.outlet.shared().known(topic)
            && let Some(ends) = self.ends(&mut survey, topic)
        {
            for (window, end) in target.windows().into_iter().zip(ends.0) {
                window.ends_at(end);
            }
        }
        stamping.recover(recovery, survey.as_ref().zip(topic));
        Ok(Recovered::Kept)
    }

    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        let shared = Arc::clone(self.outlet.shared());
        shared.failure()?;
        let default = match &self.topic {
            None => None,
            Some(topic) => Some(Route::new(shared.known(topic).ok_or_else(|| {
                Failure::restart(format!("topic `{topic}` went with the Kafka sink"))
            })?)),
        };
        Ok(Box::new(KafkaWriter {
            lane: shared.observe(Arc::clone(&context.observer)),
            observer: context.observer,
            stamper: self.stamping.as_ref().map(Stamping::stamper),
            shared,
            layout: Arc::clone(&self.layout),
            encoders: Encoders {
                value: self.encoder.as_ref().map(|make| make()),
                key: self.key_encoder.as_ref().map(|make| make()),
                scratch: Vec::new(),
            },
            buffer: Vec::new(),
            staged: Vec::new(),
            default,
            routes: HashMap::new(),
            asked: None,
        }))
    }

    fn health(&self) -> Health {
        self.outlet.shared().health()
    }

    fn in_flight(&self) -> u64 {
        self.outlet.shared().in_flight()
    }

    fn close(&self) {
        self.outlet.close();
    }
}

/// A topic as one writer sees it.
struct Route {
    target: Arc<Target>,
    /// The ways to its partitions, and how many rows each had taken with this writer's last one; 0 where everything of
    /// this writer is known to be acknowledged.
    windows: Vec<(Arc<Window>, u64)>,
    sticky: usize,
    sticky_bytes: usize,
}

impl Route {
    fn new(target: Arc<Target>) -> Self {
        let mut route = Self {
            target,
            windows: Vec::new(),
            sticky: 0,
            sticky_bytes: 0,
        };
        route.grow();
        // Writers begin on different partitions.
        route.sticky = Arc::as_ptr(&route.target) as usize / 64 % route.windows.len().max(1);
        route
    }

    fn grow(&mut self) {
        while let Some(window) = self.target.window(self.windows.len()) {
            self.windows.push((window, 0));
        }
    }

    /// Checks what can be checked before the row is handed over.
    fn check(&mut self, row: &Staged) -> Result<(), RecordError> {
        if row.size() > self.target.record_max() {
            return Err(RecordError::write(format!(
                "the record of {} bytes is too large: topic `{}` and the client take {} bytes of key, value and headers \
                 (max.message.bytes of the topic, kafka.message.max.bytes of the table)",
                row.size(),
                self.target.name(),
                self.target.record_max()
            )));
        }
        if let Some(partition) = row.partition {
            let exists = |count: usize| usize::try_from(partition).is_ok_and(|p| p < count);
            if !exists(self.windows.len()) {
                self.grow();
            }
            if !exists(self.windows.len()) {
                return Err(RecordError::write(format!(
                    "the column `partition` says {partition}, but topic `{}` has {}",
                    self.target.name(),
                    counted(self.windows.len(), "partition")
                )));
            }
        }
        Ok(())
    }

    fn choose(&mut self, row: &Staged, bytes: &[u8], busy: usize) -> usize {
        if let Some(partition) = row.partition {
            return usize::try_from(partition).unwrap_or(0);
        }
        if self.windows.len() < self.target.partitions() {
            self.grow();
        }
        let count = self.windows.len().max(1);
        if let Some(key) = &row.key {
            return partition_of(&bytes[key.clone()], count);
        }
        self.sticky_bytes += row.size();
        let full = self.sticky_bytes > STICKY_BYTES;
        // An idle partition saves the wait for this one's acknowledgement, as long as few are under way.
        let spread =
            busy < STICKY_PARTITIONS.min(count) && self.windows[self.sticky % count].0.busy();
        if full || spread {
            self.sticky += 1;
            self.sticky_bytes = 0;
        }
        self.sticky %= count;
        self.sticky
    }
}

struct KafkaWriter {
    shared: Arc<OutletShared>,
    lane: u32,
    observer: Arc<dyn DeliveryObserver>,
    /// Gives rows their coordinates.
    stamper: Option<Stamper>,
    layout: Arc<Layout>,
    encoders: Encoders,
    /// The encoded bytes of `staged`.
    buffer: Vec<u8>,
    staged: Vec<Staged>,
    /// The topic of the option.
    default: Option<Route>,
    /// Topics of the column `topic`.
    routes: HashMap<SmolStr, Route>,
    /// The topic that the last row had to wait for.
    asked: Option<SmolStr>,
}

/// The route of a row; the name of its topic in `asked` where the broker must say first whether there is one.
fn route<'a>(
    default: &'a mut Option<Route>,
    routes: &'a mut HashMap<SmolStr, Route>,
    shared: &OutletShared,
    topic: Option<&SmolStr>,
    asked: &mut Option<SmolStr>,
) -> Result<&'a mut Route, RecordError> {
    if let Some(route) = default {
        return Ok(route);
    }
    let Some(topic) = topic else {
        return Err(RecordError::write("the record has no topic"));
    };
    if !routes.contains_key(topic) {
        let target = match shared.look_up(topic) {
            LookUp::Known(target) => target,
            LookUp::Unusable(error) => return Err(error),
            LookUp::Asked => {
                *asked = Some(topic.clone());
                return Err(RecordError::write(
                    "the broker has not said yet whether the topic of the column `topic` exists",
                )
                .with_content(topic.as_str()));
            }
        };
        routes.insert(topic.clone(), Route::new(target));
    }
    routes
        .get_mut(topic)
        .ok_or_else(|| RecordError::write("the record has no topic"))
}

impl Writer for KafkaWriter {
    fn write(&mut self, row: &[Value], origin: Origin<'_>) -> Result<(), RecordError> {
        self.asked = None;
        let taken = origin.meta.taken;
        let (encoders, buffer) = (&mut self.encoders, &mut self.buffer);
        let mut staged = self.layout.stage(row, taken, encoders, buffer)?;
        if let Some(stamper) = &mut self.stamper {
            staged = staged.stamped(stamper.stamp(origin));
        }
        if let Some(carried) = self.observer.carried() {
            staged = staged.carrying(carried);
        }
        route(
            &mut self.default,
            &mut self.routes,
            &self.shared,
            staged.topic.as_ref(),
            &mut self.asked,
        )?
        .check(&staged)?;
        self.staged.push(staged);
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        self.shared.failure()?;
        if self.staged.is_empty() {
            return Ok(self.shared.readiness());
        }
        let (written, trace) = (Instant::now(), self.observer.trace());
        let mut sent = 0;
        for mut row in self.staged.drain(..) {
            if let (Some(stamper), Some(stamp)) = (&mut self.stamper, &mut row.stamp) {
                if stamper.stands(stamp) {
                    continue;
                }
                let waited = written.saturating_duration_since(row.taken).as_micros();
                stamp.micros = u64::try_from(waited).unwrap_or(u64::MAX);
            }
            let route = route(
                &mut self.default,
                &mut self.routes,
                &self.shared,
                row.topic.as_ref(),
                &mut self.asked,
            )
            .map_err(|error| Failure::end(error.reason.to_string()))?;
            let chosen = route.choose(&row, &self.buffer, self.shared.busy());
            let Some((window, tail)) = route.windows.get_mut(chosen) else {
                return Err(Failure::restart(format!(
                    "topic `{}` has no partition {chosen}",
                    route.target.name()
                )));
            };
            *tail = self
                .shared
                .push(window, &mut row, &self.buffer, self.lane, written, trace)?;
            sent += 1;
        }
        if trace.is_traced() {
            self.observer.sent(&trace, sent);
        }
        self.reject();
        Ok(self.shared.readiness())
    }

    fn reject(&mut self) {
        self.staged.clear();
        self.buffer.clear();
        self.buffer.shrink_to(KEEP_CAPACITY);
    }

    fn drained(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(Drained {
            shared: Arc::clone(&self.shared),
        })
    }

    fn undecided(&mut self) -> Option<LocalFuture<Result<(), Failure>>> {
        let topic = self.asked.take()?;
        Some(Box::pin(Answered {
            shared: Arc::clone(&self.shared),
            topic: topic.into(),
        }))
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        let mut marks = Vec::new();
        for route in self.default.iter_mut().chain(self.routes.values_mut()) {
            for (window, tail) in &mut route.windows {
                if *tail > 0 && !window.reached(*tail) {
                    marks.push((Arc::clone(window), *tail));
                } else {
                    *tail = 0;
                }
            }
        }
        Box::pin(Delivered {
            shared: Arc::clone(&self.shared),
            marks,
        })
    }

    fn epoch(&mut self, epoch: u64) {
        if let Some(stamper) = &mut self.stamper {
            stamper.epoch(epoch);
        }
    }

    /// With coordinates: behind which offsets later rows stand.
    fn prepare(&mut self, _last: bool) -> LocalFuture<Result<Option<Prepared>, Failure>> {
        let mut marks = None;
        if let (Some(stamper), Some(route)) = (&self.stamper, &self.default) {
            let windows = route.target.windows();
            marks = stamper.marks(windows.iter().map(|window| window.end()));
        }
        Box::pin(std::future::ready(Ok(marks.map(Prepared::from))))
    }
}
