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

/// Why a record was not sent, or a transaction not committed: nothing of the transaction can be read then.
#[derive(Debug)]
pub enum Unsent {
    /// The topic takes no record of so many bytes.
    TooLarge {
        /// What the record was called when it was handed over.
        what: String,
        /// The topic.
        topic: String,
        /// Its key, value and headers.
        bytes: usize,
    },
    /// Another sender of this name has begun since, or the broker has given up on this one, which stood still for a minute.
    Fenced,
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for Unsent {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A record on its way.
struct Flight {
    what: String,
    topic: String,
    bytes: usize,
}

/// A producer with a transactional id.
pub struct Sender {
    client: Arc<Client>,
    queue: Queue,
    topics: HashMap<String, Topic>,
    name: String,
    /// Records on their way, by the number that comes back with the report on each.
    flights: HashMap<usize, Flight>,
    number: usize,
}

impl Sender {
    /// Connects, and ends what an earlier sender of this name has left open.
    ///
    /// # Errors
    /// When no broker answers, or this user may not use the transactional id.
    pub fn open(table: &Table, name: &str) -> Result<Self, Unsent> {
        let connection = Connection::of(table).map_err(|error| Failure::refuse(error.message))?;
        let configuration = connection.configuration(
            &[
                ("linger.ms", "5"),
                // A record that is too large takes few others with it: one of more bytes is sent alone.
                ("batch.size", "65536"),
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
            flights: HashMap::new(),
            number: 0,
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

    /// What has ended a transaction: a code may only say that something has, and the client what.
    fn ended(&self, code: Code, failure: Failure) -> Unsent {
        const FENCED: [Code; 3] = [
            Code::FENCED,
            Code::INVALID_PRODUCER_EPOCH,
            Code::PRODUCER_FENCED,
        ];
        let fatal = self.client.fatal().map(|(code, _)| code);
        match FENCED.contains(&code) || fatal.is_some_and(|code| FENCED.contains(&code)) {
            true => Unsent::Fenced,
            false => Unsent::Failed(failure),
        }
    }

    fn judge(&self, done: Result<(), (Code, String)>, what: &str) -> Result<(), Unsent> {
        done.map_err(|(code, reason)| {
            let remedy = match code {
                Code::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => format!(
                    ": grant this user WRITE and DESCRIBE on the transactional id `{}`",
                    self.name
                ),
                _ => String::new(),
            };
            let failure = Failure::end(format!("a transaction cannot {what}: {reason}{remedy}"));
            self.ended(code, failure)
        })
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// When another sender of this name has begun since.
    pub fn begin(&self) -> Result<(), Unsent> {
        // SAFETY: a live handle; the error is consumed.
        let begun = unsafe { take_error(sys::rd_kafka_begin_transaction(self.client.native())) };
        self.judge(begun, "begin")
    }

    /// Sends one record in the open transaction. An error that is about it calls it `what`.
    ///
    /// # Errors
    /// When the client does not take it, or one before it was not delivered.
    pub fn send(
        &mut self,
        what: &str,
        (topic, partition): (&str, i32),
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(SmolStr, Option<Vec<u8>>)],
    ) -> Result<(), Unsent> {
        if !self.topics.contains_key(topic) {
            let held = Topic::new(&self.client, topic)?;
            self.topics.insert(topic.to_owned(), held);
        }
        let held = self
            .topics
            .get(topic)
            .map_or(ptr::null_mut(), Topic::native);
        let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let of_headers = headers.iter();
        let of_headers = of_headers.map(|(name, value)| name.len() + length(value.as_deref()));
        let flight = Flight {
            what: what.to_owned(),
            topic: topic.to_owned(),
            bytes: length(key) + length(value) + of_headers.sum::<usize>(),
        };
        self.number += 1;
        self.flights.insert(self.number, flight);
        let way = Way {
            client: self.client.native(),
            topic: held,
            partition,
            opaque: ptr::without_provenance_mut(self.number),
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
                    let failure = Failure::end(format!(
                        "{what} is not taken for {topic}/{partition}: {}",
                        code.describe()
                    ));
                    return Err(self.ended(code, failure));
                }
            }
        }
        self.look(0)
    }

    /// Looks at what was delivered, waiting for a moment.
    fn look(&mut self, wait_ms: i32) -> Result<(), Unsent> {
        let mut messages = Vec::new();
        while let Some(event) = self.queue.poll(wait_ms) {
            match event.kind() {
                sys::RD_KAFKA_EVENT_DR => {
                    event.delivered(&mut messages);
                    let reports = messages.iter().map(|message| {
                        // SAFETY: messages live as long as their event.
                        let code = unsafe { code_of(&raw const (**message).err) };
                        // SAFETY: as above; the number that it was handed over with.
                        (code, unsafe { (**message)._private }.addr())
                    });
                    self.landed(reports)?;
                }
                sys::RD_KAFKA_EVENT_ERROR if event.error() == Code::FATAL => {
                    let failure = Failure::end(format!(
                        "the producer has failed for good: {}",
                        event.error_text()
                    ));
                    return Err(self.ended(Code::FATAL, failure));
                }
                _ => {}
            }
            if wait_ms > 0 {
                break;
            }
        }
        Ok(())
    }

    /// These records are delivered, or were not: of a batch that was too large the largest is to blame.
    fn landed(&mut self, reports: impl Iterator<Item = (Code, usize)>) -> Result<(), Unsent> {
        let mut worst: Option<(Code, Flight)> = None;
        for (code, number) in reports {
            let flight = self.flights.remove(&number);
            if let Some(flight) = flight.filter(|_| code != Code::OK)
                && worst
                    .as_ref()
                    .is_none_or(|(_, before)| before.bytes < flight.bytes)
            {
                worst = Some((code, flight));
            }
        }
        let Some((code, Flight { what, topic, bytes })) = worst else {
            return Ok(());
        };
        if code == Code::MSG_SIZE_TOO_LARGE {
            return Err(Unsent::TooLarge { what, topic, bytes });
        }
        let why = code.describe();
        let failure = Failure::end(format!("{what} was not delivered to `{topic}`: {why}"));
        Err(self.ended(code, failure))
    }

    /// Waits until all are delivered, and makes them readable.
    ///
    /// # Errors
    /// When one is not delivered, or the transaction is not committed: then none of it can be read.
    pub fn commit(&mut self) -> Result<(), Unsent> {
        let until = Instant::now() + STEP;
        // SAFETY: a live handle.
        while unsafe { sys::rd_kafka_outq_len(self.client.native()) } > 0 {
            self.look(50)?;
            if Instant::now() > until {
                let failure = format!("records were not delivered within {STEP:?}");
                return Err(Failure::end(failure).into());
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
