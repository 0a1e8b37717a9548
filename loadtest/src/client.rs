//! librdkafka's own calls behind the few that a generator, a reader and a forwarder need: read a batch, send a record.
//!
//! The wrappers of the `rdkafka` crate cost a callback and some allocations per record; a floor to compare with must not.
//! A client stays on the thread that made it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::types::{RDKafkaConfRes, RDKafkaRespErr, RDKafkaType};

use crate::failure::{Failure, Result};

/// The most records that one `read` hands out.
const BATCH_MAX: usize = 1_000;
/// librdkafka's RD_KAFKA_PARTITION_UA: the partitioner chooses.
const UNASSIGNED: i32 = -1;
/// How often a new client asks about its topic. librdkafka does two things once at its start, when no broker is connected yet, and then
/// only half a second later: it requests the id of an idempotent producer, and it looks up where a partition begins or ends. The
/// first is done again with each answer about a topic, the second at once when the leader is known. One answer may still
/// come from the connection that is given up for the broker's own.
const ASKED: usize = 3;
/// How long the broker may take to answer about a topic.
const PATIENCE_MS: c_int = 10_000;

/// Where a consumer begins.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// At the oldest record of each partition.
    Earliest,
    /// At the end each partition has when it is first asked.
    Latest,
    /// At these offsets, one per partition.
    At(Vec<i64>),
}

/// A consumer of one topic with all partitions assigned by hand, read through one queue.
pub(crate) struct Consumer {
    client: *mut rd::rd_kafka_t,
    queue: *mut rd::rd_kafka_queue_t,
    batch: Vec<*mut rd::rd_kafka_message_t>,
    last_error: Option<String>,
}

impl Consumer {
    /// Assigns all partitions of `topic`. Refused when a setting is unknown or the topic is missing.
    pub(crate) fn new(
        bootstrap: &str,
        settings: &[(&str, &str)],
        topic: &str,
        start: &Start,
    ) -> Result<Self> {
        let mut all = vec![
            ("bootstrap.servers", bootstrap),
            ("group.id", "thalweg-loadtest"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("fetch.min.bytes", "1"),
            ("fetch.wait.max.ms", "50"),
            ("fetch.error.backoff.ms", "10"),
            ("fetch.queue.backoff.ms", "1"),
            ("reconnect.backoff.ms", "20"),
            ("reconnect.backoff.max.ms", "200"),
            ("queued.min.messages", "5000"),
            ("queued.max.messages.kbytes", "8192"),
        ];
        all.extend_from_slice(settings);
        let client = open(RDKafkaType::RD_KAFKA_CONSUMER, &all, ptr::null_mut())?;
        // SAFETY: `client` is a live consumer.
        let queue = unsafe {
            rd::rd_kafka_poll_set_consumer(client);
            rd::rd_kafka_queue_get_consumer(client)
        };
        let consumer = Consumer {
            client,
            queue,
            batch: vec![ptr::null_mut(); BATCH_MAX],
            last_error: None,
        };
        consumer.assign(bootstrap, topic, start).map(|()| consumer)
    }

    fn assign(&self, bootstrap: &str, topic: &str, start: &Start) -> Result<()> {
        let name = c_string(topic)?;
        let handle = TopicHandle::new(self.client, topic)?;
        let mut partitions = 0;
        for _ in 0..ASKED {
            partitions = ask_about(self.client, &handle, bootstrap)?;
        }
        // SAFETY: the client is alive; the list is ours, filled while alive and destroyed once; librdkafka copies it.
        let error = unsafe {
            let list = rd::rd_kafka_topic_partition_list_new(partitions as c_int);
            for partition in 0..partitions {
                let entry =
                    rd::rd_kafka_topic_partition_list_add(list, name.as_ptr(), partition as i32);
                (*entry).offset = match start {
                    Start::Earliest => i64::from(rd::RD_KAFKA_OFFSET_BEGINNING),
                    Start::Latest => i64::from(rd::RD_KAFKA_OFFSET_END),
                    Start::At(offsets) => offsets.get(partition).copied().unwrap_or(0),
                };
            }
            let error = rd::rd_kafka_assign(self.client, list);
            rd::rd_kafka_topic_partition_list_destroy(list);
            error
        };
        match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            error => Err(Failure::new(format!(
                "the partitions of '{topic}' could not be assigned: {}",
                text_of(error)
            ))),
        }
    }

    /// Waits up to `wait` for a first record, then hands over what is there, at most 1,000 records: partition, key, value
    /// (absent ones are empty). Returns how many there were; errors of the connection are kept for `last_error`, because the
    /// client heals them by itself.
    pub(crate) fn read(
        &mut self,
        wait: Duration,
        mut each: impl FnMut(i32, &[u8], &[u8]),
    ) -> usize {
        let wait = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // A batch call waits until the batch is full: so the first record is waited for alone and the rest is taken at once.
        let mut count = self.take(wait, 0, 1);
        if count == 1 {
            count += self.take(0, 1, BATCH_MAX - 1);
        }
        let mut records = 0;
        for place in 0..count {
            let message = self.batch[place];
            // SAFETY: librdkafka gave us this message, which stays alive until it is destroyed below, exactly once.
            unsafe {
                let (partition, error) = ((*message).partition, (*message).err);
                match error {
                    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => {
                        each(
                            partition,
                            bytes(message, (*message).key, (*message).key_len),
                            bytes(message, (*message).payload, (*message).len),
                        );
                        records += 1;
                    }
                    error => self.last_error = Some(text_of(error)),
                }
                rd::rd_kafka_message_destroy(message);
            }
        }
        records
    }

    /// The newest error that the client reported, as text.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    fn take(&mut self, wait_ms: c_int, from: usize, most: usize) -> usize {
        let room = &mut self.batch[from..from + most];
        // SAFETY: the queue is alive, and `room` has `most` places.
        let count = unsafe {
            rd::rd_kafka_consume_batch_queue(self.queue, wait_ms, room.as_mut_ptr(), most)
        };
        usize::try_from(count).unwrap_or(0)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // SAFETY: both handles are alive and not used after this.
        unsafe {
            rd::rd_kafka_queue_destroy(self.queue);
            rd::rd_kafka_destroy(self.client);
        }
    }
}

/// SAFETY: `at` must be null or point to `length` bytes that live as long as `_message`.
unsafe fn bytes<'m>(
    _message: *mut rd::rd_kafka_message_t,
    at: *mut c_void,
    length: usize,
) -> &'m [u8] {
    if at.is_null() {
        return &[];
    }
    // SAFETY: see the function's contract.
    unsafe { std::slice::from_raw_parts(at.cast::<u8>().cast_const(), length) }
}

/// What became of a record handed to the producer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sent {
    /// The client has it and goes on trying until it is acknowledged.
    Taken,
    /// The client's queue is full: nothing was taken.
    Full,
}

/// A producer to one topic. Successful deliveries are not reported one by one: `finish` says whether all arrived.
pub(crate) struct Producer {
    client: *mut rd::rd_kafka_t,
    topic: TopicHandle,
    /// The error code of the first record that could not be delivered; 0 if none.
    refused: Box<AtomicI32>,
}

impl Producer {
    /// Idempotent, acks of all, no expiry, Java's partitioner; `settings` replaces what stands here.
    pub(crate) fn new(bootstrap: &str, settings: &[(&str, &str)], topic: &str) -> Result<Self> {
        let mut all = vec![
            ("bootstrap.servers", bootstrap),
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("message.timeout.ms", "0"),
            ("partitioner", "murmur2_random"),
            ("linger.ms", "0"),
            ("retry.backoff.ms", "10"),
            ("retry.backoff.max.ms", "200"),
            ("reconnect.backoff.ms", "20"),
            ("reconnect.backoff.max.ms", "200"),
            ("queue.buffering.max.kbytes", "32768"),
            ("delivery.report.only.error", "true"),
        ];
        all.extend_from_slice(settings);
        let refused = Box::new(AtomicI32::new(0));
        let client = open(
            RDKafkaType::RD_KAFKA_PRODUCER,
            &all,
            ptr::from_ref(&*refused).cast_mut().cast(),
        )?;
        let producer = Producer {
            topic: TopicHandle::new(client, topic)?,
            client,
            refused,
        };
        for _ in 0..ASKED {
            ask_about(client, &producer.topic, bootstrap)?;
        }
        Ok(producer)
    }

    /// Hands over one record. An error is final: this producer cannot go on.
    pub(crate) fn send(&self, key: &[u8], value: &[u8]) -> Result<Sent> {
        self.produce(key, value, 0)
    }

    /// As `send`, but waits while the queue is full.
    pub(crate) fn send_waiting(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.produce(key, value, rd::RD_KAFKA_MSG_F_BLOCK)
            .map(|_| ())
    }

    fn produce(&self, key: &[u8], value: &[u8], flags: i32) -> Result<Sent> {
        let key_at = if key.is_empty() {
            ptr::null()
        } else {
            key.as_ptr()
        };
        // SAFETY: the handles are alive; librdkafka copies key and value before it returns (the COPY flag).
        let code = unsafe {
            rd::rd_kafka_produce(
                self.topic.handle,
                UNASSIGNED,
                rd::RD_KAFKA_MSG_F_COPY | flags,
                value.as_ptr().cast_mut().cast(),
                value.len(),
                key_at.cast(),
                key.len(),
                ptr::null_mut(),
            )
        };
        if code == 0 {
            return Ok(Sent::Taken);
        }
        // SAFETY: reads the error of this thread's last call.
        match unsafe { rd::rd_kafka_last_error() } {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__QUEUE_FULL => Ok(Sent::Full),
            error => Err(Failure::new(format!(
                "the producer refused a record: {}",
                text_of(error)
            ))),
        }
    }

    /// Lets the client report what could not be delivered; waits up to `wait` for a report.
    pub(crate) fn poll(&self, wait: Duration) -> Result<()> {
        // SAFETY: the client is alive; the only callback touches `refused`, which lives as long as the client.
        unsafe { rd::rd_kafka_poll(self.client, wait.as_millis() as c_int) };
        match self.refused.load(Ordering::Relaxed) {
            0 => Ok(()),
            code => Err(Failure::new(format!(
                "the broker did not take a record (librdkafka error {code})"
            ))),
        }
    }

    /// Waits up to `wait` until every record is acknowledged; an error says how many are not.
    pub(crate) fn finish(&self, wait: Duration) -> Result<()> {
        // SAFETY: the client is alive.
        let left = unsafe {
            rd::rd_kafka_flush(self.client, wait.as_millis() as c_int);
            rd::rd_kafka_outq_len(self.client)
        };
        self.poll(Duration::ZERO)?;
        match left {
            0 => Ok(()),
            left => Err(Failure::new(format!(
                "{left} records were not acknowledged within {} s: is the broker up?",
                wait.as_secs()
            ))),
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // SAFETY: the handles are alive and not used after this; what is still queued is given up on purpose.
        unsafe {
            rd::rd_kafka_purge(
                self.client,
                rd::RD_KAFKA_PURGE_F_QUEUE | rd::RD_KAFKA_PURGE_F_INFLIGHT,
            );
            self.topic.close();
            rd::rd_kafka_destroy(self.client);
        }
    }
}

unsafe extern "C" fn not_delivered(
    _: *mut rd::rd_kafka_t,
    message: *const rd::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: librdkafka hands over a live message, and `opaque` is the producer's counter, which outlives the client.
    unsafe {
        let code = (*message).err as i32;
        let _ = (*opaque.cast::<AtomicI32>()).compare_exchange(
            0,
            code,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }
}

/// Makes a client. Its log is silent: what goes wrong is read from calls and messages.
fn open(
    kind: RDKafkaType,
    settings: &[(&str, &str)],
    opaque: *mut c_void,
) -> Result<*mut rd::rd_kafka_t> {
    let mut reason = [0 as c_char; 512];
    // SAFETY: `conf` is ours until rd_kafka_new has taken it; all strings live over the call that reads them.
    unsafe {
        let conf = rd::rd_kafka_conf_new();
        for (name, value) in settings {
            let (c_name, c_value) = (c_string(name)?, c_string(value)?);
            let answer = rd::rd_kafka_conf_set(
                conf,
                c_name.as_ptr(),
                c_value.as_ptr(),
                reason.as_mut_ptr(),
                reason.len(),
            );
            if answer != RDKafkaConfRes::RD_KAFKA_CONF_OK {
                rd::rd_kafka_conf_destroy(conf);
                return Err(Failure::new(format!(
                    "Kafka setting {name}: {}",
                    CStr::from_ptr(reason.as_ptr()).to_string_lossy()
                )));
            }
        }
        rd::rd_kafka_conf_set_log_cb(conf, None);
        if !opaque.is_null() {
            rd::rd_kafka_conf_set_opaque(conf, opaque);
            rd::rd_kafka_conf_set_dr_msg_cb(conf, Some(not_delivered));
        }
        let client = rd::rd_kafka_new(kind, conf, reason.as_mut_ptr(), reason.len());
        if client.is_null() {
            rd::rd_kafka_conf_destroy(conf);
            return Err(Failure::new(format!(
                "the Kafka client could not be made: {}",
                CStr::from_ptr(reason.as_ptr()).to_string_lossy()
            )));
        }
        Ok(client)
    }
}

/// A client's handle of a topic. It must be closed before its client is destroyed, so its owner does that.
struct TopicHandle {
    name: String,
    handle: *mut rd::rd_kafka_topic_t,
}

impl TopicHandle {
    fn new(client: *mut rd::rd_kafka_t, topic: &str) -> Result<Self> {
        let name = c_string(topic)?;
        // SAFETY: the client is alive; a null configuration means the client's own.
        let handle = unsafe { rd::rd_kafka_topic_new(client, name.as_ptr(), ptr::null_mut()) };
        match handle.is_null() {
            true => Err(Failure::new(format!(
                "'{topic}' is not a usable topic name"
            ))),
            false => Ok(TopicHandle {
                name: topic.to_owned(),
                handle,
            }),
        }
    }

    fn close(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: the handle is alive, and from here on it is null.
            unsafe { rd::rd_kafka_topic_destroy(self.handle) };
            self.handle = ptr::null_mut();
        }
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        self.close();
    }
}

/// How many partitions the topic has, as the broker tells now. An answer also makes the client learn where the leaders are.
fn ask_about(client: *mut rd::rd_kafka_t, topic: &TopicHandle, bootstrap: &str) -> Result<usize> {
    let mut answer: *const rd::rd_kafka_metadata = ptr::null();
    // SAFETY: client and handle are alive; the answer is read before it is destroyed, once.
    let (error, partitions) = unsafe {
        let error = rd::rd_kafka_metadata(client, 0, topic.handle, &raw mut answer, PATIENCE_MS);
        if answer.is_null() || (*answer).topic_cnt < 1 {
            (error, 0)
        } else {
            let found = &*(*answer).topics;
            let both = (found.err, found.partition_cnt);
            rd::rd_kafka_metadata_destroy(answer);
            both
        }
    };
    match (error, usize::try_from(partitions)) {
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR, Ok(partitions)) if partitions > 0 => {
            Ok(partitions)
        }
        (error, _) => Err(Failure::new(format!(
            "topic '{}' at {bootstrap}: {}",
            topic.name,
            text_of(error)
        ))),
    }
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text)
        .map_err(|_| Failure::new(format!("'{}' holds a zero byte", text.escape_debug())))
}

fn text_of(error: RDKafkaRespErr) -> String {
    // SAFETY: librdkafka returns a static string for every code.
    unsafe {
        CStr::from_ptr(rd::rd_kafka_err2str(error))
            .to_string_lossy()
            .into_owned()
    }
}
