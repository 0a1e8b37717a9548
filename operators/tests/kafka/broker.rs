//! A broker and its topics, as others than the engine write and read them.

use std::future::Future;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, Once};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

/// How long anything may take that should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A running broker; stopped when the test process ends.
pub(crate) struct Broker {
    dir: PathBuf,
    pub(crate) address: String,
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn script() -> PathBuf {
    std::env::var_os("THALWEG_BROKER").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../loadtest/broker.sh"),
        PathBuf::from,
    )
}

/// The folders of all brokers.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

extern "C" fn remove_folders() {
    let Ok(folders) = FOLDERS.lock() else {
        return;
    };
    for folder in folders.iter() {
        let _ = Command::new(script()).arg("kill").arg(folder).output();
        let _ = std::fs::remove_dir_all(folder);
    }
}

static SHARED: LazyLock<Broker> = LazyLock::new(Broker::start);

/// The broker of all tests that leave it running.
pub(crate) fn shared() -> &'static Broker {
    &SHARED
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), &[])
    }

    /// A broker with more options of the script.
    pub(crate) fn start_with(dir: tempfile::TempDir, options: &[&str]) -> Self {
        let dir = dir.keep();
        FOLDERS.lock().unwrap().push(dir.clone());
        // The broker of all tests is never dropped.
        static AT_EXIT: Once = Once::new();
        // SAFETY: the handler is a plain function.
        AT_EXIT.call_once(|| unsafe {
            libc::atexit(remove_folders);
        });
        let mut broker = Self {
            dir,
            address: String::new(),
        };
        let owner = std::process::id().to_string();
        let mut after = vec!["0", "--owner", owner.as_str()];
        after.extend_from_slice(options);
        broker.address = broker.call(&["start"], &after);
        broker
    }

    /// Runs a tool of Apache Kafka against the broker.
    pub(crate) fn tool(&self, class: &str, arguments: &[&str]) {
        let output = Command::new(script())
            .args(["tool", class, "--bootstrap-server", &self.address])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn call(&self, before: &[&str], after: &[&str]) -> String {
        let output = Command::new(script())
            .args(before)
            .arg(&self.dir)
            .args(after)
            .env("BROKER_HEAP", "256m")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn kill(&self) {
        self.call(&["kill"], &[]);
    }

    pub(crate) fn start_again(&self) {
        let owner = std::process::id().to_string();
        assert_eq!(
            self.call(&["start"], &["0", "--owner", &owner]),
            self.address
        );
    }

    pub(crate) fn pause(&self) {
        self.call(&["pause"], &[]);
    }

    pub(crate) fn resume(&self) {
        self.call(&["resume"], &[]);
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.address)
            .set("linger.ms", "0");
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap()
    }

    /// A topic of its own name.
    pub(crate) fn topic(&self, partitions: i32, properties: &[(&str, &str)]) -> String {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.make_topic(&name, partitions, properties);
        name
    }

    pub(crate) fn make_topic(&self, name: &str, partitions: i32, properties: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (property, value) in properties {
            topic = topic.set(property, value);
        }
        let results = wait(self.admin().create_topics(&[topic], &AdminOptions::new())).unwrap();
        results[0].as_ref().unwrap();
        until("the topic is seen", || {
            self.admin()
                .inner()
                .fetch_metadata(Some(name), SOON)
                .is_ok_and(|m| m.topics()[0].partitions().len() == partitions as usize)
        });
    }

    pub(crate) fn delete_topic(&self, name: &str) {
        wait(self.admin().delete_topics(&[name], &AdminOptions::new())).unwrap()[0]
            .as_ref()
            .unwrap();
    }

    pub(crate) fn grow(&self, topic: &str, partitions: usize) {
        wait(self.admin().create_partitions(
            &[NewPartitions::new(topic, partitions)],
            &AdminOptions::new(),
        ))
        .unwrap()[0]
            .as_ref()
            .unwrap();
    }

    /// Removes all records of a partition before an offset, as retention does.
    pub(crate) fn remove_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(offset))
            .unwrap();
        wait(self.admin().delete_records(&list, &AdminOptions::new())).unwrap();
    }

    /// Writes records to a partition and waits until they are there.
    pub(crate) fn put(
        &self,
        topic: &str,
        partition: i32,
        records: &[(Option<&str>, Option<&str>)],
    ) {
        let producer: BaseProducer = self.config().create().unwrap();
        put_with(&producer, topic, partition, records);
    }

    /// Writes one record with a header.
    pub(crate) fn put_with_header(&self, topic: &str, name: &str, value: &[u8]) {
        use rdkafka::message::{Header, OwnedHeaders};
        let producer: BaseProducer = self.config().create().unwrap();
        let headers = OwnedHeaders::new().insert(Header {
            key: name,
            value: Some(value),
        });
        let record = BaseRecord::<str, str>::to(topic)
            .payload("v")
            .headers(headers);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(SOON).unwrap();
    }

    /// Writes records in a transaction that is committed or aborted.
    pub(crate) fn put_in_transaction(&self, topic: &str, values: &[&str], commit: bool) {
        let mut config = self.config();
        config.set("transactional.id", format!("tx-{topic}-{commit}"));
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(SOON).unwrap();
        producer.begin_transaction().unwrap();
        let records: Vec<_> = values.iter().map(|v| (None, Some(*v))).collect();
        put_with(&producer, topic, 0, &records);
        if commit {
            producer.commit_transaction(SOON).unwrap();
        } else {
            producer.abort_transaction(SOON).unwrap();
        }
    }

    /// All records of a topic as a plain consumer sees them: partition, key, value.
    pub(crate) fn contents(&self, topic: &str) -> Vec<Seen> {
        use rdkafka::consumer::{BaseConsumer, Consumer};
        use rdkafka::message::{Headers, Message};
        let mut config = self.config();
        config
            .set("group.id", "contents")
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), SOON).unwrap();
        let mut list = rdkafka::TopicPartitionList::new();
        let count = metadata.topics()[0].partitions().len();
        for partition in 0..count {
            list.add_partition_offset(topic, partition as i32, rdkafka::Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&list).unwrap();
        // The client may tell the end of a partition twice, for it validates a position again when it learns of a new leader.
        let (mut seen, mut ended) = (Vec::new(), std::collections::HashSet::new());
        let deadline = Instant::now() + SOON;
        while ended.len() < count {
            assert!(Instant::now() < deadline, "the topic has no end");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => seen.push(Seen {
                    partition: message.partition(),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: message
                        .headers()
                        .map(|headers| {
                            headers
                                .iter()
                                .map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)))
                                .collect()
                        })
                        .unwrap_or_default(),
                }),
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(partition))) => {
                    ended.insert(partition);
                }
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
        seen
    }
}

/// A record as a plain consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) partition: i32,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Seen {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.value.clone().unwrap()).unwrap()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = Command::new(script()).arg("stop").arg(&self.dir).output();
    }
}

fn put_with(
    producer: &BaseProducer,
    topic: &str,
    partition: i32,
    records: &[(Option<&str>, Option<&str>)],
) {
    for (key, value) in records {
        let mut record = BaseRecord::<str, str>::to(topic).partition(partition);
        if let Some(key) = key {
            record = record.key(key);
        }
        if let Some(value) = value {
            record = record.payload(value);
        }
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(SOON).unwrap();
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(60), future)
            .await
            .expect("it took a minute")
    })
}

fn numbers(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| n.to_string()).collect()
}

/// Writes the numbers of a range to a partition.
pub(crate) fn put_numbers(broker: &Broker, topic: &str, partition: i32, from: usize, to: usize) {
    let values = numbers(from, to);
    let records: Vec<_> = values.iter().map(|v| (None, Some(v.as_str()))).collect();
    broker.put(topic, partition, &records);
}
