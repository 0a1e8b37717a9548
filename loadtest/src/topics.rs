//! Topics of the broker: make one, count its partitions, ask for its ends.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::failure::{Failure, Result};

/// How long the broker may take for one request.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection for questions about topics.
pub(crate) struct Topics {
    admin: AdminClient<DefaultClientContext>,
    bootstrap: String,
}

impl Topics {
    /// Connects; fails with the address when no broker answers within 10 s.
    pub(crate) fn connect(bootstrap: &str) -> Result<Self> {
        let admin: AdminClient<_> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("log_level", "2")
            .create()
            .map_err(|error| Failure::new(format!("no client for {bootstrap}: {error}")))?;
        admin
            .inner()
            .fetch_metadata(None, PATIENCE)
            .map_err(|error| Failure::new(format!("no Kafka broker answers at {bootstrap} ({error}): start one, or leave --bootstrap out")))?;
        Ok(Topics {
            admin,
            bootstrap: bootstrap.to_owned(),
        })
    }

    /// Makes a topic; one that exists already with as many partitions is taken as it is.
    pub(crate) fn create(&self, name: &str, partitions: usize) -> Result<()> {
        let topic = NewTopic::new(name, partitions as i32, TopicReplication::Fixed(1));
        let options = AdminOptions::new()
            .operation_timeout(Some(PATIENCE))
            .request_timeout(Some(PATIENCE));
        let failed = |why: String| {
            Failure::new(format!(
                "topic '{name}' could not be made at {}: {why}",
                self.bootstrap
            ))
        };
        let answers = block_on(self.admin.create_topics([&topic], &options))
            .map_err(|error| failed(error.to_string()))?;
        for answer in answers {
            match answer {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, error)) => return Err(failed(error.to_string())),
            }
        }
        let until = Instant::now() + PATIENCE;
        loop {
            match self.partitions(name) {
                Ok(found) if found == partitions => return self.ends(name, partitions).map(|_| ()),
                Ok(found) => {
                    return Err(failed(format!(
                        "it exists with {found} partitions, not {partitions}"
                    )));
                }
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// How many partitions a topic has; an error when it is missing or has no leader yet.
    pub(crate) fn partitions(&self, name: &str) -> Result<usize> {
        let refused =
            |why: String| Failure::new(format!("topic '{name}' at {}: {why}", self.bootstrap));
        let metadata = self
            .admin
            .inner()
            .fetch_metadata(Some(name), PATIENCE)
            .map_err(|error| refused(error.to_string()))?;
        let topic = metadata
            .topics()
            .first()
            .ok_or_else(|| refused("no answer about it".into()))?;
        if topic.error().is_some() || topic.partitions().is_empty() {
            return Err(refused(
                "it does not exist: make it with 'produce --create'".into(),
            ));
        }
        match topic
            .partitions()
            .iter()
            .find(|partition| partition.leader() < 0)
        {
            Some(partition) => Err(refused(format!(
                "partition {} has no leader",
                partition.id()
            ))),
            None => Ok(topic.partitions().len()),
        }
    }

    /// The next offset of each partition. A partition that was just made has no leader for a moment: that is waited out.
    pub(crate) fn ends(&self, name: &str, partitions: usize) -> Result<Vec<i64>> {
        let until = Instant::now() + PATIENCE;
        let end = |partition| loop {
            match self
                .admin
                .inner()
                .fetch_watermarks(name, partition, PATIENCE)
            {
                Ok((_, high)) => return Ok(high),
                Err(_) if Instant::now() < until => thread::sleep(Duration::from_millis(10)),
                Err(error) => {
                    let place =
                        format!("topic '{name}' partition {partition} at {}", self.bootstrap);
                    return Err(Failure::new(format!("{place}: {error}")));
                }
            }
        };
        (0..partitions as i32).map(end).collect()
    }

    /// How many records a topic holds, control records included.
    pub(crate) fn count(&self, name: &str, partitions: usize) -> Result<u64> {
        Ok(self
            .ends(name, partitions)?
            .iter()
            .map(|end| u64::try_from(*end).unwrap_or(0))
            .sum())
    }

    /// A consumer group, to ask for its positions.
    pub(crate) fn group(&self, name: &str) -> Result<Group> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", name)
            .set("log_level", "2")
            .create()
            .map_err(|error| Failure::new(format!("no client for {}: {error}", self.bootstrap)))?;
        Ok(Group {
            consumer,
            name: name.to_owned(),
        })
    }

    /// Removes topics that are no longer needed, to give the disk back; the broker does it in its own time.
    pub(crate) fn delete(&self, names: &[&str]) {
        // A topic that stays behind takes disk and nothing else: not worth the loss of a measurement.
        let _ = block_on(
            self.admin
                .delete_topics(names, &AdminOptions::new().request_timeout(Some(PATIENCE))),
        );
    }
}

/// A consumer group of the broker; asking does not join it.
pub(crate) struct Group {
    consumer: BaseConsumer,
    name: String,
}

impl Group {
    /// The sum of its positions in a topic with so many partitions; 0 where it has none.
    pub(crate) fn committed(&self, topic: &str, partitions: usize) -> Result<u64> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, partitions as i32 - 1);
        let told = match self.consumer.committed_offsets(asked, PATIENCE) {
            Ok(told) => told,
            // A fresh broker makes its topic of positions when it is asked for the first time.
            Err(error)
                if matches!(
                    error.rdkafka_error_code(),
                    Some(
                        RDKafkaErrorCode::NotCoordinator
                            | RDKafkaErrorCode::CoordinatorNotAvailable
                            | RDKafkaErrorCode::CoordinatorLoadInProgress
                    )
                ) =>
            {
                return Ok(0);
            }
            Err(error) => {
                let name = &self.name;
                return Err(Failure::new(format!(
                    "where group '{name}' stands: {error}"
                )));
            }
        };
        let position = |offset| match offset {
            Offset::Offset(offset) => u64::try_from(offset).unwrap_or(0),
            _ => 0,
        };
        Ok(told
            .elements()
            .iter()
            .map(|element| position(element.offset()))
            .sum())
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs one future on this thread; the admin client has a thread of its own that wakes us.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
