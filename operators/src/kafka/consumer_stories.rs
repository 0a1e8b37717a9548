//! The watchdog of the consumer, against a broker inside the process.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::consumer::{Consumer, Limits};
use super::lane::Lane;
use super::options::Connection;
use crate::job_error::Location;
use crate::table::{OptionValue, Options, Table};

fn connection(servers: String) -> Connection {
    let at = Location::default();
    Connection::of(&Table {
        name: "t".into(),
        at,
        connector: "kafka".into(),
        columns: None,
        primary_key: Vec::new(),
        partitioned_by: Vec::new(),
        options: Options::new(vec![OptionValue {
            name: "kafka.bootstrap.servers".into(),
            value: servers,
            substituted: false,
            at,
        }]),
    })
    .unwrap()
}

fn asks_since_long(lane: &Lane) {
    lane.asking.store(true, Ordering::Relaxed);
    lane.moved_at.store(0, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(20));
}

#[test]
fn a_partition_that_stands_still_is_read_anew_and_then_ends_the_run() {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("t", 1, 1).unwrap();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", mock.bootstrap_servers())
        .create()
        .unwrap();
    let consumer = Consumer::start(
        &connection(mock.bootstrap_servers()),
        "g",
        Limits {
            partitions: 1,
            max_offsets: None,
            trigger: None,
            stall_after: Duration::from_millis(10),
        },
    )
    .unwrap();
    consumer.learn(&["t"]).unwrap();
    let shared = &consumer.shared;
    let (lane, turn) = shared.enter(&"t/0".into(), "t", 0, 0).unwrap();
    shared.assign(&lane, turn, 0);

    // The end is where the reader stands: it waits for what is not there, which is no stall.
    asks_since_long(&lane);
    consumer.watch().unwrap();
    assert!(!lane.sought.load(Ordering::Relaxed));

    producer
        .send(BaseRecord::<(), str>::to("t").payload("v"))
        .unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();
    // One that does not ask is not watched: its sink is full.
    asks_since_long(&lane);
    lane.asking.store(false, Ordering::Relaxed);
    consumer.watch().unwrap();
    assert!(!lane.sought.load(Ordering::Relaxed));
    // One that asks in vain is read anew, and if that does not help the run ends.
    asks_since_long(&lane);
    consumer.watch().unwrap();
    assert!(lane.sought.load(Ordering::Relaxed));
    asks_since_long(&lane);
    let failure = consumer.watch().unwrap_err();
    assert!(failure.message.contains("stands at offset 0"), "{failure}");
    assert_eq!(shared.failure(), None);
}
