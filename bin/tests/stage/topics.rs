//! What a user of Kafka does beside the command: makes topics, sends and reads records, looks at groups.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{PATIENCE, until};

/// The present as a record's timestamp says it, in milliseconds.
pub fn now() -> i64 {
    let since = UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A record to send.
#[derive(Clone, Debug, Default)]
pub struct Rec {
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its timestamp in milliseconds; the present where none is given.
    pub millis: Option<i64>,
}

impl Rec {
    pub fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: Some(key.into()),
            value: Some(value.into()),
            ..Self::default()
        }
    }

    pub fn tombstone(key: impl Into<Vec<u8>>) -> Self {
        Self {
            key: Some(key.into()),
            ..Self::default()
        }
    }

    pub fn to(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    pub fn at(mut self, millis: i64) -> Self {
        self.millis = Some(millis);
        self
    }

    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A record that was read.
#[derive(Clone, Debug)]
pub struct Got {
    pub partition: i32,
    pub offset: i64,
    /// Its timestamp in milliseconds.
    pub millis: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Got {
    /// The key as text.
    pub fn key(&self) -> String {
        String::from_utf8(self.key.clone().unwrap_or_default()).unwrap()
    }

    /// The value as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.value.as_deref().unwrap_or_default()).unwrap()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        String::from_utf8(value.clone()?).ok()
    }
}

/// The topics of a broker.
pub struct Topics {
    bootstrap: String,
    admin: AdminClient<DefaultClientContext>,
    asker: BaseConsumer,
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "100")
        .set("retry.backoff.ms", "20")
        .set("retry.backoff.max.ms", "200")
        .set("log_level", "2");
    config
}

/// The configuration of producers; no record is given up.
pub fn producer(bootstrap: &str) -> ClientConfig {
    let mut config = client(bootstrap);
    config
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", "0")
        .set("linger.ms", "0")
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", "20000000");
    config
}

fn consumer(bootstrap: &str) -> ClientConfig {
    let mut config = client(bootstrap);
    config
        .set("group.id", "stage")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "20")
        .set("fetch.message.max.bytes", "20000000")
        .set("receive.message.max.bytes", "100000000")
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false");
    config
}

/// How long one question to the broker may take.
const QUESTION: Duration = Duration::from_secs(5);

/// Asks again until there is an answer: a broker that has just started refuses some questions for a moment.
#[track_caller]
fn insist<T>(what: &str, mut ask: impl FnMut() -> KafkaResult<T>) -> T {
    let began = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{what}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

impl Topics {
    pub fn of(bootstrap: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            admin: client(bootstrap).create().unwrap(),
            asker: consumer(bootstrap).create().unwrap(),
        }
    }

    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Makes a topic with the broker's number of replicas, and waits until it can be written to.
    pub fn make(&self, name: &str, partitions: i32, properties: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
        for (name, value) in properties {
            topic = topic.set(name, value);
        }
        let made = wait(self.admin.create_topics([&topic], &AdminOptions::new())).unwrap();
        made.into_iter().next().unwrap().unwrap();
        self.wait_for(name, partitions);
    }

    /// Waits until every partition is seen and led: of what is sent to one that is not led yet a producer may lose the first.
    fn wait_for(&self, name: &str, partitions: i32) {
        let began = Instant::now();
        let led = |partition| {
            self.asker
                .fetch_watermarks(name, partition, PATIENCE)
                .is_ok()
        };
        while self.partitions(name) != partitions || !(0..partitions).all(led) {
            assert!(began.elapsed() < PATIENCE, "{name} is not there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Gives a topic more partitions and waits until they can be written to.
    pub fn grow(&self, name: &str, partitions: usize) {
        let more = NewPartitions::new(name, partitions);
        let made = wait(self.admin.create_partitions([&more], &AdminOptions::new())).unwrap();
        made.into_iter().next().unwrap().unwrap();
        self.wait_for(name, partitions as i32);
    }

    /// Deletes a topic and waits until it cannot be seen any more.
    pub fn delete(&self, name: &str) {
        let deleted = wait(self.admin.delete_topics(&[name], &AdminOptions::new())).unwrap();
        deleted.into_iter().next().unwrap().unwrap();
        let began = Instant::now();
        while self.names().contains(name) {
            assert!(began.elapsed() < PATIENCE, "{name} is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Removes what stands before an offset.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before))
            .unwrap();
        wait(self.admin.delete_records(&list, &AdminOptions::new())).unwrap();
    }

    /// All topics that there are.
    pub fn names(&self) -> BTreeSet<String> {
        let metadata = insist("all topics", || self.asker.fetch_metadata(None, QUESTION));
        metadata
            .topics()
            .iter()
            .map(|topic| topic.name().to_owned())
            .collect()
    }

    /// How many partitions a topic has.
    pub fn partitions(&self, topic: &str) -> i32 {
        insist(topic, || {
            let metadata = self.asker.fetch_metadata(Some(topic), QUESTION)?;
            let partitions = metadata.topics()[0].partitions();
            // A broker that has just come back tells of its topics one after another.
            let led = partitions.iter().all(|partition| partition.leader() >= 0);
            match i32::try_from(partitions.len()) {
                Ok(count) if count > 0 && led => Ok(count),
                _ => Err(KafkaError::MetadataFetch(
                    RDKafkaErrorCode::LeaderNotAvailable,
                )),
            }
        })
    }

    /// Whether every replica of every topic has all that its leader has.
    pub fn in_sync(&self) -> bool {
        let metadata = insist("all topics", || self.asker.fetch_metadata(None, QUESTION));
        metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
            .all(|partition| partition.isr().len() == partition.replicas().len())
    }

    /// Beginning and end of a partition.
    pub fn ends(&self, topic: &str, partition: i32) -> (i64, i64) {
        insist(topic, || {
            let ends = self.asker.fetch_watermarks(topic, partition, QUESTION);
            if ends.is_err() {
                // The topic may have grown since the client has asked for it.
                self.partitions(topic);
            }
            ends
        })
    }

    /// How many offsets each partition of a topic has given out.
    pub fn end_offsets(&self, topic: &str) -> Vec<i64> {
        (0..self.partitions(topic))
            .map(|partition| self.ends(topic, partition).1)
            .collect()
    }

    /// How many offsets a topic has given out.
    pub fn count(&self, topic: &str) -> i64 {
        self.end_offsets(topic).iter().sum()
    }

    /// What a group holds of the partitions of a topic: -1 for nothing.
    pub fn committed(&self, group: &str, topic: &str) -> Vec<i64> {
        let asker: BaseConsumer = consumer(&self.bootstrap)
            .set("group.id", group)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions(topic) {
            list.add_partition(topic, partition);
        }
        let held = insist(group, || asker.committed_offsets(list.clone(), QUESTION));
        let elements = held.elements();
        elements
            .iter()
            .map(|element| match element.offset() {
                Offset::Offset(offset) => offset,
                _ => -1,
            })
            .collect()
    }

    /// Joins a group as any consumer may that shares out as this program does, and waits until it is given something.
    pub fn joined(&self, group: &str, topic: &str) -> BaseConsumer {
        let member: BaseConsumer = consumer(&self.bootstrap)
            .set("group.id", group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .create()
            .unwrap();
        member.subscribe(&[topic]).unwrap();
        let given = || member.assignment().unwrap().count() > 0;
        until("the consumer is given a partition", PATIENCE, || {
            let _ = member.poll(Duration::from_millis(10));
            given()
        });
        member
    }

    /// Sends records and waits until all are acknowledged.
    pub fn send(&self, topic: &str, records: &[Rec]) {
        let producer: BaseProducer = producer(&self.bootstrap).create().unwrap();
        for record in records {
            hand_over(&producer, topic, record);
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Sends records as [`Topics::send`], with one of the client's partitioners.
    pub fn send_with(&self, partitioner: &str, topic: &str, records: &[Rec]) {
        let producer: BaseProducer = producer(&self.bootstrap)
            .set("partitioner", partitioner)
            .create()
            .unwrap();
        for record in records {
            hand_over(&producer, topic, record);
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Sends records in a transaction, and commits or aborts it.
    pub fn transaction(&self, id: &str, topic: &str, records: &[Rec], commit: bool) {
        let producer: BaseProducer = producer(&self.bootstrap)
            .set("transactional.id", id)
            .set("message.timeout.ms", "30000")
            .create()
            .unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        for record in records {
            hand_over(&producer, topic, record);
        }
        producer.flush(PATIENCE).unwrap();
        if commit {
            producer.commit_transaction(PATIENCE).unwrap();
        } else {
            producer.abort_transaction(PATIENCE).unwrap();
        }
    }

    /// Reads a topic from its beginning to the end that it has now.
    pub fn read(&self, topic: &str) -> Vec<Got> {
        let reader: BaseConsumer = consumer(&self.bootstrap).create().unwrap();
        let partitions = self.partitions(topic);
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            // Learns the leader, so that the assignment is fetched at once.
            insist(topic, || {
                reader.fetch_watermarks(topic, partition, QUESTION)
            });
            list.add_partition_offset(topic, partition, Offset::Beginning)
                .unwrap();
        }
        reader.assign(&list).unwrap();
        let mut open: BTreeSet<i32> = (0..partitions).collect();
        let mut got = Vec::new();
        let began = Instant::now();
        while !open.is_empty() {
            assert!(
                began.elapsed() < PATIENCE,
                "{topic} cannot be read to its end"
            );
            match reader.poll(Duration::from_millis(100)) {
                None => {}
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                // The client reconnects by itself.
                Some(Err(_)) => {}
                Some(Ok(message)) => got.push(Got {
                    partition: message.partition(),
                    offset: message.offset(),
                    millis: message.timestamp().to_millis().unwrap_or(-1),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: message
                        .headers()
                        .map(|headers| {
                            headers
                                .iter()
                                .map(|header| {
                                    (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
                                })
                                .collect()
                        })
                        .unwrap_or_default(),
                }),
            }
        }
        got
    }
}

/// Gives a record to a producer, waiting while its queue is full.
pub fn hand_over(producer: &BaseProducer, topic: &str, record: &Rec) {
    let mut headers = OwnedHeaders::new();
    for (name, value) in &record.headers {
        headers = headers.insert(Header {
            key: name,
            value: Some(value),
        });
    }
    let mut message: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).headers(headers);
    message.partition = record.partition;
    message.key = record.key.as_deref();
    message.payload = record.value.as_deref();
    message.timestamp = record.millis;
    loop {
        match producer.send(message) {
            Ok(()) => break,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(10));
                message = back;
            }
            Err((error, _)) => panic!("{topic}: {error}"),
        }
    }
    producer.poll(Duration::ZERO);
}
