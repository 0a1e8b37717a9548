//! What the producer of an output is made of: the client's properties, and what the broker says of a topic to write to.

use thalweg_engine::error::Failure;

use super::client::Configuration;
use super::gate::SLOTS;
use super::options::{ANSWER_MS, Connection, SOCKET_TIMEOUT};
use super::scout::Scout;

/// What the C client allows for one request where the user says nothing.
pub(super) const CLIENT_MAX: usize = 1_000_000;

pub(super) fn number(text: Option<&str>) -> Option<usize> {
    text.and_then(|text| text.trim().parse().ok())
}

/// Requests that may be on their way to one broker.
pub(super) fn slots(connection: &Connection) -> usize {
    ["max.in.flight.requests.per.connection", "max.in.flight"]
        .iter()
        .find_map(|name| number(connection.property(name)))
        .map_or(SLOTS, |wished| wished.clamp(1, SLOTS))
}

/// The bytes that the user allows for one request.
pub(super) fn wished(connection: &Connection) -> usize {
    number(connection.property("message.max.bytes")).unwrap_or(CLIENT_MAX)
}

/// What the client puts in one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    pub(super) bytes: usize,
    pub(super) rows: usize,
}

impl Batch {
    pub(super) fn of(connection: &Connection, client_max: usize) -> Self {
        let bytes = number(connection.property("batch.size")).unwrap_or(CLIENT_MAX);
        let rows = number(connection.property("batch.num.messages"));
        Self {
            bytes: bytes.min(client_max.max(1)),
            rows: rows.unwrap_or(10_000),
        }
    }
}

/// The configuration of the producer.
pub(super) fn configuration(
    connection: &Connection,
    client_max: usize,
) -> Result<Configuration, Failure> {
    // The client takes 1,000 at least; a smaller limit of the topic holds through the batch size and the writer's check.
    let max = client_max.max(1_000).to_string();
    let batch = Batch::of(connection, client_max).bytes.to_string();
    // A broker that waits for replicas says so before its connection is given up.
    let answer = number(connection.property("socket.timeout.ms")).unwrap_or(ANSWER_MS);
    let acknowledged = (answer / 5 * 4).max(1).to_string();
    connection.configuration(
        &[
            ("linger.ms", "0"),
            ("request.timeout.ms", &acknowledged),
            ("retry.backoff.ms", "20"),
            ("retry.backoff.max.ms", "200"),
            ("reconnect.backoff.ms", "20"),
            ("reconnect.backoff.max.ms", "500"),
            ("topic.metadata.refresh.fast.interval.ms", "50"),
            ("topic.metadata.refresh.interval.ms", "30000"),
            ("socket.nagle.disable", "true"),
            SOCKET_TIMEOUT,
            ("log.connection.close", "false"),
            ("client.id", "thalweg"),
        ],
        &[
            // A producer would make a topic that was deleted again, by asking for it.
            ("allow.auto.create.topics", "false"),
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "0"),
            ("message.max.bytes", &max),
            ("batch.size", &batch),
            ("queue.buffering.max.kbytes", "2097151"),
            ("queue.buffering.max.messages", "0"),
            ("statistics.interval.ms", "1000"),
            // Of the others the interceptor tells.
            ("delivery.report.only.error", "true"),
        ],
    )
}

/// What the broker says of a topic to write to.
pub(super) struct Found {
    pub(super) partitions: i32,
    /// `max.message.bytes`; None where one may not see it.
    pub(super) max: Option<usize>,
}

/// Asks for a topic, which must exist.
pub(super) fn ask(scout: &Scout, name: &str) -> Result<Found, Failure> {
    let topic = scout.existing_topic(name)?;
    limits(scout, name, topic.partitions)
}

/// Asks for the limits of a topic that exists.
pub(super) fn limits(scout: &Scout, name: &str, partitions: i32) -> Result<Found, Failure> {
    let max = scout.topic_property(name, "max.message.bytes")?;
    if max.is_none() {
        tracing::warn!(target: "kafka", "the broker does not tell max.message.bytes of topic `{name}` (it needs the right DESCRIBE_CONFIGS): {CLIENT_MAX} is taken unless kafka.message.max.bytes says otherwise");
    }
    Ok(Found {
        partitions,
        max: number(max.as_deref()),
    })
}
