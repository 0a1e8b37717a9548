//! Records sent in transactions, by a program that is no job: all of a transaction can be read, or nothing of it, and who
//! begins with the same name ends what an earlier one has left open.

use std::collections::HashMap;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use smol_str::SmolStr;
use thalweg_engine::error::Failure;

use super::client::{Client, Queue, Role, code_of, take_error};
use super::codes::Code;
use super::hand_over::{self, Way};
use super::options::Connection;
use super::questions::{Topic, metadata, ms};
use crate::table::Table;

/// How long the broker may take for a step of a transaction.
const STEP: Duration = Duration::from_secs(30);

/// A producer with a transactional id.
pub struct Sender {
    client: Arc<Client>,
    queue: Queue,
    topics: HashMap<String, Topic>,
    name: String,
}

impl Sender {
    /// Connects, and ends what an earlier sender of this name has left open.
    ///
    /// # Errors
    /// When no broker answers, or this user may not use the transactional id.
    pub fn open(table: &Table, name: &str) -> Result<Self, Failure> {
        let connection = Connection::of(table).map_err(|error| Failure::refuse(error.message))?;
        let configuration = connection.configuration(
            &[
                ("linger.ms", "5"),
                ("message.max.bytes", "1000000000"),
                ("reconnect.backoff.ms", "20"),
                ("reconnect.backoff.max.ms", "500"),
                ("socket.nagle.disable", "true"),
                ("log.connection.close", "false"),
                ("client.id", "thalweg"),
            ],
            &[
                ("transactional.id", name),
                // With more, one that is turned away could be held for acknowledged by the next (see `gate`).
                ("max.in.flight.requests.per.connection", "1"),
                ("message.timeout.ms", "30000"),
                ("allow.auto.create.topics", "false"),
            ],
        )?;
        let client = Client::new(Role::Producer, configuration)?;
        let sender = Self {
            queue: Queue::main(&client),
            topics: HashMap::new(),
            name: name.to_owned(),
            client,
        };
        let _ = metadata(&sender.client, false, Duration::from_secs(1));
        // SAFETY: a live handle; the error is consumed.
        let begun = unsafe {
            take_error(sys::rd_kafka_init_transactions(
                sender.client.native(),
                ms(STEP),
            ))
        };
        sender.judge(begun, "begin")?;
        Ok(sender)
    }

    fn judge(&self, done: Result<(), (Code, String)>, what: &str) -> Result<(), Failure> {
        done.map_err(|(code, reason)| {
            let remedy = match code {
                Code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => format!(
                    ": grant this user WRITE and DESCRIBE on the transactional id `{}`",
                    self.name
                ),
                _ => String::new(),
            };
            Failure::end(format!("a transaction cannot {what}: {reason}{remedy}"))
        })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// When another sender of this name has begun since.
    pub fn begin(&self) -> Result<(), Failure> {
        // SAFETY: a live handle; the error is consumed.
        let begun = unsafe { take_error(sys::rd_kafka_begin_transaction(self.client.native())) };
        self.judge(begun, "begin")
    }

    /// Sends one record in the open transaction.
    ///
    /// # Errors
    /// When the client does not take it.
    pub fn send(
        &mut self,
        topic: &str,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(SmolStr, Option<Vec<u8>>)],
    ) -> Result<(), Failure> {
        if !self.topics.contains_key(topic) {
            let held = Topic::new(&self.client, topic)?;
            self.topics.insert(topic.to_owned(), held);
        }
        let held = self
            .topics
            .get(topic)
            .map_or(ptr::null_mut(), Topic::native);
        let way = Way {
            client: self.client.native(),
            topic: held,
            partition,
            opaque: ptr::null_mut(),
        };
        loop {
            // SAFETY: client and topic are live and belong together.
            let taken = unsafe {
                hand_over::with_headers(&way, key, value, |add| {
                    for (name, value) in headers {
                        add(name, value.as_deref());
                    }
                })
            };
            match taken {
                Ok(()) => break,
                Err(Code::QUEUE_FULL) => self.look(100)?,
                Err(code) => {
                    return Err(Failure::end(format!(
                        "a record for {topic}/{partition} is not taken: {}",
                        code.describe()
                    )));
                }
            }
        }
        self.look(0)
    }

    /// Looks at what was delivered, waiting for a moment.
    fn look(&self, wait_ms: i32) -> Result<(), Failure> {
        let mut messages = Vec::new();
        while let Some(event) = self.queue.poll(wait_ms) {
            match event.kind() {
                sys::RD_KAFKA_EVENT_DR => {
                    event.delivered(&mut messages);
                    for message in &messages {
                        // SAFETY: messages live as long as their event.
                        let code = unsafe { code_of(&raw const (**message).err) };
                        if code != Code::OK {
                            return Err(Failure::end(format!(
                                "a record was not delivered: {}",
                                code.describe()
                            )));
                        }
                    }
                }
                sys::RD_KAFKA_EVENT_ERROR if event.error() == Code::FATAL => {
                    return Err(Failure::end(format!(
                        "the producer has failed for good: {}",
                        event.error_text()
                    )));
                }
                _ => {}
            }
            if wait_ms > 0 {
                break;
            }
        }
        Ok(())
    }

    /// Waits until all are delivered, and makes them readable.
    ///
    /// # Errors
    /// When one is not delivered, or the transaction is not committed: then none of it can be read.
    pub fn commit(&self) -> Result<(), Failure> {
        let until = Instant::now() + STEP;
        // SAFETY: a live handle.
        while unsafe { sys::rd_kafka_outq_len(self.client.native()) } > 0 {
            self.look(50)?;
            if Instant::now() > until {
                return Err(Failure::end(format!(
                    "records were not delivered within {STEP:?}"
                )));
            }
        }
        // SAFETY: a live handle; the error is consumed.
        let done = unsafe {
            take_error(sys::rd_kafka_commit_transaction(
                self.client.native(),
                ms(STEP),
            ))
        };
        self.judge(done, "be committed")
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // What was not committed is purged, so that the end of the client waits for nothing.
        // SAFETY: a live handle.
        unsafe {
            sys::rd_kafka_purge(
                self.client.native(),
                sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT,
            );
        }
    }
}
