//! The loyalty job: invoices in, their points out; a load of invoices, and the account of what came out.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseProducer, Producer};

use super::topics::{Rec, Topics, hand_over, producer};
use super::{PATIENCE, Scene, until};

/// The job file in parts that a story may change.
#[derive(Clone, Debug)]
pub struct Loyalty {
    /// `SET` statements without the word.
    pub settings: Vec<String>,
    /// More options of the input.
    pub input: Vec<String>,
    /// More options of the output.
    pub output: Vec<String>,
    /// More statements before the query.
    pub tables: String,
    /// The select list and what follows `FROM invoices`.
    pub select: String,
    pub filter: String,
    pub subscribe: Option<String>,
    pub topic: Option<String>,
}

impl Default for Loyalty {
    fn default() -> Self {
        Self {
            settings: vec!["checkpointInterval = '200 ms'".to_owned()],
            input: vec!["startingOffsets 'earliest'".to_owned()],
            output: Vec::new(),
            tables: String::new(),
            select: "BillNo, CustomerCardNo, TotalValue, TotalValue * 0.2 AS EarnedLoyaltyPoints"
                .to_owned(),
            filter: String::new(),
            subscribe: None,
            topic: None,
        }
    }
}

impl Loyalty {
    /// With a setting more.
    pub fn set(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// Without any option of the input but these.
    pub fn reading(mut self, options: &[&str]) -> Self {
        self.input = options.iter().map(|option| (*option).to_owned()).collect();
        self
    }

    /// With these options of the output.
    pub fn writing(mut self, options: &[&str]) -> Self {
        self.output = options.iter().map(|option| (*option).to_owned()).collect();
        self
    }

    pub fn selecting(mut self, select: &str) -> Self {
        select.clone_into(&mut self.select);
        self
    }

    pub fn filtered(mut self, filter: &str) -> Self {
        filter.clone_into(&mut self.filter);
        self
    }

    pub fn subscribed_to(mut self, topic: &str) -> Self {
        self.subscribe = Some(topic.to_owned());
        self
    }

    pub fn published_to(mut self, topic: &str) -> Self {
        self.topic = Some(topic.to_owned());
        self
    }

    pub fn with_tables(mut self, tables: &str) -> Self {
        tables.clone_into(&mut self.tables);
        self
    }

    /// The job's text for a scene.
    pub fn text(&self, scene: &Scene) -> String {
        let mut text = format!(
            "SET checkpointLocation = '{}';\n",
            scene.checkpoints().display()
        );
        for setting in &self.settings {
            let _ = writeln!(text, "SET {setting};");
        }
        let input = self.subscribe.clone().unwrap_or_else(|| scene.input());
        let output = self.topic.clone().unwrap_or_else(|| scene.output());
        let options = |more: &[String]| -> String {
            more.iter().map(|option| format!(", {option}")).collect()
        };
        let _ = write!(
            text,
            "CREATE TABLE invoices (
  BillNo STRING, CreatedTime BIGINT, StoreID STRING, PaymentMode STRING, CustomerCardNo STRING, TotalValue DOUBLE
) USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', subscribe '{input}', format 'json'{});

CREATE TABLE notification USING kafka OPTIONS (
  kafka.bootstrap.servers '${{KAFKA}}', topic '{output}', format 'json', key 'BillNo'{});

{}
INSERT INTO notification SELECT {} FROM invoices {};
",
            options(&self.input),
            options(&self.output),
            self.tables,
            self.select,
            self.filter
        );
        text
    }

    /// Writes the job file of a scene.
    pub fn write(&self, scene: &Scene) -> PathBuf {
        scene.write(&self.text(scene))
    }
}

/// The number of an invoice in its key.
fn key(number: u64) -> String {
    format!("bill-{number:07}")
}

/// An invoice by its number.
pub fn invoice(number: u64) -> Rec {
    let key = key(number);
    let value = format!(
        r#"{{"BillNo":"{key}","CreatedTime":1595688902254,"StoreID":"STR{}","PaymentMode":"CARD","CustomerCardNo":"{}","TotalValue":{}.5}}"#,
        number % 97,
        number % 1013,
        number % 5000
    );
    Rec::new(key, value)
}

/// Invoices by their numbers.
pub fn invoices(numbers: std::ops::Range<u64>) -> Vec<Rec> {
    numbers.map(invoice).collect()
}

/// A steady stream of invoices in the background. Invoices are numbered from 0; none is ever given up.
pub struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Sends so many a second until it is stopped.
    pub fn start(topics: &Topics, topic: &str, rate: u32) -> Self {
        Self::of(topics, topic, rate, invoice)
    }

    /// The same with records of another kind, each made from its number.
    pub fn of(topics: &Topics, topic: &str, rate: u32, record: fn(u64) -> Rec) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let servers = topics.bootstrap().to_owned();
        let producer: BaseProducer = producer(&servers).create().unwrap();
        let (topic, stopped, counted) = (topic.to_owned(), Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            let mut number = 0;
            let mut look = began;
            while !stopped.load(Ordering::Relaxed) {
                let due = began + Duration::from_secs(1) * u32::try_from(number).unwrap() / rate;
                let now = Instant::now();
                if due > now {
                    producer.poll((due - now).min(Duration::from_millis(5)));
                    continue;
                }
                if now > look + Duration::from_millis(500) {
                    look = now;
                    if producer.in_flight_count() > i32::try_from(rate).unwrap() {
                        begin_again(&producer, &servers);
                    }
                }
                hand_over(&producer, &topic, &record(number));
                number += 1;
                counted.store(number, Ordering::Relaxed);
            }
            until("all are acknowledged", PATIENCE, || {
                let flushed = producer.flush(Duration::from_secs(1)).is_ok();
                if !flushed {
                    begin_again(&producer, &servers);
                }
                flushed
            });
        });
        Self {
            stop,
            sent,
            thread: Some(thread),
        }
    }

    /// How many were given to the client so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it, waits until all are acknowledged, and says how many there were.
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.sent()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A client that is told last by a broker which stops that there are no brokers has nobody left to ask when it is back.
fn begin_again(producer: &BaseProducer, servers: &str) {
    let servers = CString::new(servers).unwrap();
    // SAFETY: a live handle and a terminated string, which the client copies.
    unsafe {
        rdkafka::bindings::rd_kafka_brokers_add(producer.client().native_ptr(), servers.as_ptr())
    };
}

/// What came out: how often each invoice.
#[derive(Debug, Default)]
pub struct Account {
    pub seen: BTreeMap<String, u64>,
}

impl Account {
    /// Reads the output of a scene.
    pub fn of(scene: &Scene) -> Self {
        let mut account = Self::default();
        for got in scene.topics.read(&scene.output()) {
            *account.seen.entry(got.key()).or_default() += 1;
        }
        account
    }

    /// Invoices that came out more than once, and how often beyond the first.
    pub fn repeated(&self) -> u64 {
        self.seen.values().map(|times| times - 1).sum()
    }

    /// Numbers below `sent` that never came out.
    pub fn missing(&self, sent: u64) -> Vec<u64> {
        (0..sent)
            .filter(|number| !self.seen.contains_key(&key(*number)))
            .collect()
    }

    /// Asserts that each invoice below `sent` came out once.
    #[track_caller]
    pub fn expect_exactly(&self, sent: u64) {
        self.expect_all(sent);
        assert_eq!(self.repeated(), 0, "repeated records");
    }

    /// Asserts that each invoice below `sent` came out, and nothing else.
    #[track_caller]
    pub fn expect_all(&self, sent: u64) {
        let missing = self.missing(sent);
        assert!(
            missing.is_empty(),
            "{} of {sent} are missing, first {:?}",
            missing.len(),
            &missing[..missing.len().min(10)]
        );
        assert_eq!(self.seen.len() as u64, sent, "records that nobody sent");
    }
}
