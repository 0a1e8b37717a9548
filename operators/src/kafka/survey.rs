//! Topics read from one offset to another, beside or before a run: what stands there, record by record.
//!
//! A consumer of its own without a group: nothing is committed, and it needs the right to read the topic only. Records are
//! looked at where the client holds them, so memory is what the client's queue holds, however long the topic is.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use smol_str::SmolStr;
use thalweg_engine::error::Failure;

use super::client::{Client, Queue, Role, code_of, text};
use super::codes::Code;
use super::message;
use super::options::Connection;
use super::partition_list::PartitionList;
use super::scout::{EARLIEST, LATEST, Scout};
use super::starting::Place;
use crate::table::Table;

/// Records taken from the client's queue at once.
const BURST: usize = 256;
/// How long a topic that holds more may give nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A stretch of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// The offset behind the last.
    pub until: i64,
}

/// A record while its bytes are still the client's.
pub struct Found<'m> {
    /// Its topic.
    pub topic: &'m str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds; None where it has none.
    pub millis: Option<i64>,
    message: &'m sys::rd_kafka_message_t,
}

impl Found<'_> {
    /// The key.
    pub fn key(&self) -> Option<&[u8]> {
        // SAFETY: the bytes live as long as the message.
        unsafe { message::bytes(self.message.key, self.message.key_len) }
    }

    /// The value.
    pub fn value(&self) -> Option<&[u8]> {
        // SAFETY: the bytes live as long as the message.
        unsafe { message::bytes(self.message.payload, self.message.len) }
    }

    /// The last header of this name.
    pub fn header(&self, name: &std::ffi::CStr) -> Option<&[u8]> {
        // SAFETY: a live message.
        unsafe { message::header_of(self.message, name) }
    }

    /// All headers, in order.
    pub fn headers(&self) -> Vec<(SmolStr, Option<&[u8]>)> {
        // SAFETY: a live message.
        unsafe { message::headers_of(self.message) }
    }
}

/// How a reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Everything was read.
    Whole,
    /// Who looked at it had enough, or the time was up.
    Broken,
}

/// A way to look into topics.
pub struct Survey {
    client: Arc<Client>,
    servers: String,
    committed: bool,
}

impl Survey {
    /// Connects to the brokers of a table. With `committed` records of transactions that are open or were aborted are left
    /// out.
    ///
    /// # Errors
    /// When no broker answers, or an option is wrong.
    pub fn open(table: &Table, committed: bool) -> Result<Self, Failure> {
        let connection = Connection::of(table).map_err(|error| Failure::refuse(error.message))?;
        Self::connect(&connection, committed)
    }

    pub(crate) fn connect(connection: &Connection, committed: bool) -> Result<Self, Failure> {
        let isolation = if committed {
            "read_committed"
        } else {
            "read_uncommitted"
        };
        let configuration = connection.configuration(
            &[
                ("fetch.wait.max.ms", "20"),
                ("fetch.error.backoff.ms", "20"),
                ("fetch.queue.backoff.ms", "5"),
                ("queued.max.messages.kbytes", "16384"),
                ("reconnect.backoff.ms", "20"),
                ("reconnect.backoff.max.ms", "500"),
                ("retry.backoff.ms", "20"),
                ("retry.backoff.max.ms", "200"),
                ("topic.metadata.refresh.fast.interval.ms", "50"),
                ("socket.nagle.disable", "true"),
                ("log.connection.close", "false"),
                ("client.id", "thalweg"),
            ],
            &[
                // The client wants one; nothing is asked of it or written to it.
                ("group.id", "thalweg"),
                ("isolation.level", isolation),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("enable.partition.eof", "true"),
                ("allow.auto.create.topics", "false"),
            ],
        )?;
        let client = Client::new(Role::Consumer, configuration)?;
        let survey = Self {
            client,
            servers: connection.servers.clone(),
            committed,
        };
        survey.scout().wait_for_broker()?;
        Ok(survey)
    }

    pub(crate) fn scout(&self) -> Scout {
        Scout::with(&self.client, &self.servers)
    }

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// When it does not exist or may not be seen.
    pub fn partitions(&self, topic: &str) -> Result<i32, Failure> {
        Ok(self.scout().existing_topic(topic)?.partitions)
    }

    /// Whether records of a topic may be removed because a later one has their key. No where the broker does not tell.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn is_compacted(&self, topic: &str) -> Result<bool, Failure> {
        let policy = self.scout().topic_property(topic, "cleanup.policy")?;
        Ok(policy.is_some_and(|policy| policy.contains("compact")))
    }

    /// Where the partitions of a topic begin.
    ///
    /// # Errors
    /// When the broker does not say.
    pub fn begins(&self, topic: &str) -> Result<Vec<i64>, Failure> {
        self.offsets(topic, EARLIEST)
    }

    /// Where the partitions of a topic end now.
    ///
    /// # Errors
    /// When the broker does not say.
    pub fn ends(&self, topic: &str) -> Result<Vec<i64>, Failure> {
        self.offsets(topic, LATEST)
    }

    /// The first offsets at or after a time, in milliseconds since 1970; the end where there is none.
    ///
    /// # Errors
    /// When the broker does not say.
    pub fn at(&self, topic: &str, millis: i64) -> Result<Vec<i64>, Failure> {
        let ends = self.ends(topic)?;
        let found = self.offsets(topic, millis.max(0))?;
        let found = found.into_iter().zip(ends);
        Ok(found
            .map(|(found, end)| if found < 0 { end } else { found })
            .collect())
    }

    fn offsets(&self, topic: &str, spec: i64) -> Result<Vec<i64>, Failure> {
        let places: BTreeMap<Place, i64> = (0..self.partitions(topic)?)
            .map(|partition| ((topic.to_owned(), partition), spec))
            .collect();
        let offsets = self.scout().offsets(&places, self.committed)?;
        Ok(offsets.into_values().collect())
    }

    /// Reads these stretches, each in its order, until all are read, `until` is past or `each` has enough.
    ///
    /// # Errors
    /// When the records cannot be read, or those at the beginning of a stretch are gone.
    pub fn read(
        &self,
        spans: &[Span],
        until: Option<Instant>,
        each: &mut dyn FnMut(&Found<'_>) -> ControlFlow<()>,
    ) -> Result<Read, Failure> {
        let mut topics: Vec<&str> = spans.iter().map(|span| span.topic.as_str()).collect();
        topics.dedup();
        self.scout().topics(&topics)?;
        let mut list = PartitionList::new();
        let mut open = HashMap::new();
        for span in spans.iter().filter(|span| span.from < span.until) {
            list.add(&span.topic, span.partition, span.from, None)?;
            open.insert((span.topic.clone(), span.partition), span.until);
        }
        if open.is_empty() {
            return Ok(Read::Whole);
        }
        let _assigned = Assigned::to(&self.client, &list)?;
        let queue = Queue::consumer(&self.client);
        let mut taken = Taken::default();
        let mut silent = Instant::now();
        loop {
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Read::Broken);
            }
            taken.take(&queue);
            if taken.len > 0 {
                silent = Instant::now();
            } else if silent.elapsed() > SILENCE_MAX {
                return Err(Failure::restart(format!(
                    "the Kafka broker at {} gives no records of {} for {SILENCE_MAX:?}, although there are more",
                    self.servers,
                    topics.join(", ")
                )));
            }
            for message in taken.messages() {
                if look(message, &mut open, each)?.is_break() {
                    return Ok(Read::Broken);
                }
                if open.is_empty() {
                    return Ok(Read::Whole);
                }
            }
        }
    }
}

/// Shows one message where it is of an open stretch; closes the stretch that it ends.
fn look(
    message: &sys::rd_kafka_message_t,
    open: &mut HashMap<Place, i64>,
    each: &mut dyn FnMut(&Found<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Failure> {
    // SAFETY: a live message; its topic lives as long, and the strings are copied.
    let (code, topic) = unsafe {
        let topic = if message.rkt.is_null() {
            String::new()
        } else {
            text(sys::rd_kafka_topic_name(message.rkt))
        };
        (code_of(&raw const message.err), topic)
    };
    let place = (topic, message.partition);
    let topic = &place.0;
    let Some(until) = open.get(&place).copied() else {
        return Ok(ControlFlow::Continue(()));
    };
    match code {
        Code::OK => {}
        Code::PARTITION_EOF => {
            // Also behind control records, which are never given.
            if message.offset >= until {
                open.remove(&place);
            }
            return Ok(ControlFlow::Continue(()));
        }
        Code::TOPIC_AUTHORIZATION_FAILED => {
            return Err(Failure::end(format!(
                "no right to read {topic}/{}: grant this user READ on the topic",
                message.partition
            )));
        }
        Code::AUTO_OFFSET_RESET => {
            return Err(Failure::restart(format!(
                "records of {topic}/{} were removed while they were read",
                message.partition
            )));
        }
        code => {
            tracing::debug!(target: "kafka", "{topic}/{}: {}", message.partition, code.describe());
            return Ok(ControlFlow::Continue(()));
        }
    }
    let mut next = ControlFlow::Continue(());
    if message.offset < until {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: a live message.
        let millis = unsafe { sys::rd_kafka_message_timestamp(message, &raw mut kind) };
        next = each(&Found {
            topic,
            partition: message.partition,
            offset: message.offset,
            millis: (millis >= 0).then_some(millis),
            message,
        });
    }
    if message.offset + 1 >= until {
        open.remove(&place);
    }
    Ok(next)
}

/// The client's assignment, taken back at the end.
struct Assigned<'c>(&'c Client);

impl<'c> Assigned<'c> {
    fn to(client: &'c Client, list: &PartitionList) -> Result<Self, Failure> {
        // SAFETY: a live handle and list, which the client copies.
        let code = Code::from(unsafe { sys::rd_kafka_assign(client.native(), list.native()) });
        if code == Code::OK {
            Ok(Self(client))
        } else {
            Err(Failure::restart(format!(
                "the Kafka client cannot assign partitions: {}",
                code.describe()
            )))
        }
    }
}

impl Drop for Assigned<'_> {
    fn drop(&mut self) {
        // SAFETY: a live handle; null takes all back.
        unsafe {
            sys::rd_kafka_assign(self.0.native(), ptr::null());
        }
    }
}

/// Messages taken at once, given back to the client when new ones are taken and at the end.
struct Taken {
    messages: [*mut sys::rd_kafka_message_t; BURST],
    len: usize,
}

impl Default for Taken {
    fn default() -> Self {
        Self {
            messages: [ptr::null_mut(); BURST],
            len: 0,
        }
    }
}

impl Taken {
    /// Waits a moment for records.
    fn take(&mut self, queue: &Queue) {
        self.give_back();
        // SAFETY: a live queue; the array has room for as many as the call is told.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(queue.native(), 50, self.messages.as_mut_ptr(), BURST)
        };
        self.len = usize::try_from(count).unwrap_or(0);
    }

    fn messages(&self) -> impl Iterator<Item = &sys::rd_kafka_message_t> {
        // SAFETY: taken from the client and not given back while `self` is borrowed.
        self.messages[..self.len]
            .iter()
            .map(|one| unsafe { &**one })
    }

    fn give_back(&mut self) {
        for message in &self.messages[..self.len] {
            // SAFETY: taken from the client, given back once.
            unsafe { sys::rd_kafka_message_destroy(*message) };
        }
        self.len = 0;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.give_back();
    }
}
