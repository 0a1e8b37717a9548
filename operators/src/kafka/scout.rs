//! Questions to a broker: which topics, which offsets, which committed positions, which limits and rights.
//!
//! Every question has a timeout and an answer in words that name the broker's address.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use thalweg_engine::error::Failure;

use super::client::{
    Client, Code, Entry, PartitionList, Queue, Role, c_name, code_of, entry_of, take_error, text,
};
use super::options::Connection;
use super::starting::Place;

/// How long a first answer may take before the address is reported.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// After this long without any broker a refused connection is reported.
const REFUSED_AFTER: Duration = Duration::from_secs(2);
/// How long any other question may take.
pub(crate) const ASK_TIMEOUT: Duration = Duration::from_secs(8);

/// After this long a topic that nobody knows is missing.
const MISSING_AFTER: Duration = Duration::from_secs(4);

/// What is known of a topic.
#[derive(Clone, Debug)]
pub(crate) struct TopicInfo {
    pub(crate) name: String,
    pub(crate) error: Code,
    /// How many partitions it has.
    pub(crate) partitions: i32,
}

/// What a broker tells of a topic beyond its partitions.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) error: Code,
    /// An id that a topic made again under the same name does not share.
    pub(crate) id: String,
    /// What one may do with it, by the broker's words; empty where the broker has no rights to check.
    pub(crate) rights: Vec<Right>,
}

/// A right on a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Read,
    Write,
    Describe,
    DescribeConfigs,
    Other,
}

/// The offset that is asked for; numbers from 0 are times in milliseconds.
pub(crate) const EARLIEST: i64 = -2;
/// As [`EARLIEST`].
pub(crate) const LATEST: i64 = -1;

/// A client that only asks.
pub(crate) struct Scout {
    pub(crate) client: Arc<Client>,
    servers: String,
}

fn ms(duration: Duration) -> c_int {
    c_int::try_from(duration.as_millis()).unwrap_or(c_int::MAX)
}

impl Scout {
    /// Connects and waits until a broker answers.
    ///
    /// # Errors
    /// `Restart` with the address and the reason when none does; `Refuse` where files or properties are wrong.
    pub(crate) fn connect(connection: &Connection, group: &str) -> Result<Self, Failure> {
        let configuration = connection.configuration(
            &[
                ("reconnect.backoff.ms", "20"),
                ("reconnect.backoff.max.ms", "500"),
                ("socket.nagle.disable", "true"),
                ("log.connection.close", "false"),
                ("api.version.request.timeout.ms", "5000"),
            ],
            &[
                ("group.id", group),
                ("enable.auto.commit", "false"),
                // A consumer never lets a broker make a topic by asking for it.
                ("allow.auto.create.topics", "false"),
            ],
        )?;
        let scout = Self {
            client: Client::new(Role::Consumer, configuration)?,
            servers: connection.servers.clone(),
        };
        scout.wait_for_broker()?;
        Ok(scout)
    }

    /// Asks with a client that is already connected.
    pub(crate) fn with(client: &Arc<Client>, servers: &str) -> Self {
        Self {
            client: Arc::clone(client),
            servers: servers.to_owned(),
        }
    }

    fn wait_for_broker(&self) -> Result<(), Failure> {
        let began = Instant::now();
        let events = Queue::main(&self.client);
        let mut reason: Option<(Code, String)> = None;
        loop {
            let failed = match metadata(&self.client, false, Duration::from_millis(250)) {
                Ok(_) => return Ok(()),
                Err(code) => code,
            };
            while let Some(event) = events.poll(0) {
                if event.kind() == sys::RD_KAFKA_EVENT_ERROR {
                    let code = event.error();
                    // "All brokers are down" says less than the reason before it.
                    if code != Code::ALL_BROKERS_DOWN || reason.is_none() {
                        reason = Some((code, event.error_text()));
                    }
                }
            }
            let waited = began.elapsed();
            let clear = reason.as_ref().is_some_and(|(code, _)| {
                matches!(*code, Code::AUTHENTICATION | Code::SSL | Code::RESOLVE)
                    || waited > REFUSED_AFTER && *code == Code::TRANSPORT
            });
            if clear || waited > CONNECT_TIMEOUT {
                let (code, sentence) = reason.unwrap_or((failed, failed.describe()));
                return Err(self.unreachable(code, &sentence));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn unreachable(&self, code: Code, reason: &str) -> Failure {
        let (what, remedy) = match code {
            Code::AUTHENTICATION => (
                "refuses the login",
                "check user, password and kafka.sasl.mechanism",
            ),
            Code::SSL => (
                "cannot be reached by TLS",
                "check kafka.security.protocol and the certificates",
            ),
            Code::RESOLVE => (
                "cannot be found",
                "the host's name does not resolve: check kafka.bootstrap.servers",
            ),
            _ => (
                "does not answer",
                "check kafka.bootstrap.servers and that the broker runs",
            ),
        };
        Failure::restart(format!(
            "the Kafka broker at {} {what}: {reason} ({remedy})",
            self.servers
        ))
    }

    /// The failure of a question.
    pub(crate) fn failed(&self, question: &str, code: Code) -> Failure {
        let message = format!(
            "the Kafka broker at {} did not say {question}: {}",
            self.servers,
            code.describe()
        );
        match code {
            Code::TOPIC_AUTHORIZATION_FAILED
            | Code::GROUP_AUTHORIZATION_FAILED
            | Code::CLUSTER_AUTHORIZATION_FAILED => Failure::end(message),
            _ => Failure::restart(message),
        }
    }

    /// What is known of these topics.
    pub(crate) fn topics(&self, names: &[&str]) -> Result<Vec<TopicInfo>, Failure> {
        // The client asks for the topics that it holds.
        let held = names
            .iter()
            .map(|name| Topic::new(&self.client, name))
            .collect::<Result<Vec<_>, _>>()?;
        let known = metadata(&self.client, false, ASK_TIMEOUT)
            .map_err(|code| self.failed("which partitions a topic has", code))?;
        drop(held);
        Ok(names
            .iter()
            .map(|name| {
                known
                    .iter()
                    .find(|topic| topic.name == *name)
                    .cloned()
                    .unwrap_or_else(|| TopicInfo {
                        name: (*name).to_owned(),
                        error: Code::UNKNOWN_TOPIC_OR_PART,
                        partitions: 0,
                    })
            })
            .collect())
    }

    /// The topic, which must exist; one that was made a moment ago may need a few seconds to be seen.
    ///
    /// # Errors
    /// `End` when it does not exist or may not be seen.
    pub(crate) fn existing_topic(&self, name: &str) -> Result<TopicInfo, Failure> {
        let until = Instant::now() + MISSING_AFTER;
        loop {
            let topic = self
                .topics(&[name])?
                .pop()
                .ok_or_else(|| self.failed("which topics there are", Code::UNKNOWN_TOPIC))?;
            match topic.error {
                Code::OK if topic.partitions > 0 => return Ok(topic),
                Code::TOPIC_AUTHORIZATION_FAILED => {
                    return Err(Failure::end(format!(
                        "no right to see topic `{name}` at {}: grant this user DESCRIBE on it",
                        self.servers
                    )));
                }
                _ if Instant::now() >= until => {
                    return Err(Failure::end(format!(
                        "topic `{name}` does not exist at {}: make it, it is never made by itself",
                        self.servers
                    )));
                }
                _ => std::thread::sleep(Duration::from_millis(250)),
            }
        }
    }

    /// All topics that one may see.
    pub(crate) fn all_topics(&self) -> Result<Vec<TopicInfo>, Failure> {
        metadata(&self.client, true, ASK_TIMEOUT)
            .map_err(|code| self.failed("which topics there are", code))
    }

    /// The offsets of partitions: [`EARLIEST`], [`LATEST`] (with `committed`: the last stable offset), or the first at or
    /// after a time; -1 where no record is that new.
    pub(crate) fn offsets(
        &self,
        asked: &BTreeMap<Place, i64>,
        committed: bool,
    ) -> Result<BTreeMap<Place, i64>, Failure> {
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut list = PartitionList::new();
        for ((topic, partition), spec) in asked {
            list.add(topic, *partition, *spec, None)?;
        }
        let question = "where a partition begins and ends";
        let entries = list_offsets(&self.client, &list, committed)
            .map_err(|code| self.failed(question, code))?;
        let mut offsets = BTreeMap::new();
        for entry in entries {
            if entry.error != Code::OK {
                return Err(self.failed(
                    &format!("{question} ({}/{})", entry.topic, entry.partition),
                    entry.error,
                ));
            }
            offsets.insert((entry.topic, entry.partition), entry.offset);
        }
        match asked.keys().find(|place| !offsets.contains_key(*place)) {
            Some((topic, partition)) => Err(self.failed(
                &format!("{question} ({topic}/{partition})"),
                Code::UNKNOWN_PARTITION,
            )),
            None => Ok(offsets),
        }
    }

    /// What the consumer group holds of these partitions: offset and metadata; nothing where it holds nothing.
    pub(crate) fn committed(&self, places: &[Place]) -> Result<Vec<Entry>, Failure> {
        let mut list = PartitionList::new();
        for (topic, partition) in places {
            list.add(topic, *partition, -1001, None)?;
        }
        // SAFETY: a live handle and list; the client fills in the list.
        let code = Code::from(unsafe {
            sys::rd_kafka_committed(self.client.native(), list.native(), ms(ASK_TIMEOUT))
        });
        let question = "where the consumer group stands";
        if code != Code::OK {
            return Err(self.failed(question, code));
        }
        let entries = list.entries();
        if let Some(entry) = entries.iter().find(|entry| entry.error != Code::OK) {
            return Err(self.failed(question, entry.error));
        }
        Ok(entries
            .into_iter()
            .filter(|entry| entry.offset >= 0)
            .collect())
    }

    /// Ids of topics and the rights one has.
    pub(crate) fn describe(
        &self,
        names: &[&str],
    ) -> Result<BTreeMap<String, Description>, Failure> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        describe_topics(&self.client, names)
            .map_err(|code| self.failed("what one may do with a topic", code))
    }

    /// A property of a topic; None where the broker does not tell (no right) or does not know it.
    pub(crate) fn topic_property(
        &self,
        topic: &str,
        property: &str,
    ) -> Result<Option<String>, Failure> {
        match topic_property(&self.client, topic, property) {
            Ok(value) => Ok(value),
            Err(Code::TOPIC_AUTHORIZATION_FAILED | Code::CLUSTER_AUTHORIZATION_FAILED) => Ok(None),
            Err(code) => Err(self.failed(&format!("`{property}` of topic `{topic}`"), code)),
        }
    }
}

/// A topic that a client holds.
pub(crate) struct Topic {
    topic: *mut sys::rd_kafka_topic_t,
    client: Arc<Client>,
}

// SAFETY: the client library is thread safe.
unsafe impl Send for Topic {}
// SAFETY: as above.
unsafe impl Sync for Topic {}

impl Topic {
    pub(crate) fn new(client: &Arc<Client>, name: &str) -> Result<Self, Failure> {
        let name = c_name(name)?;
        // SAFETY: a live handle and a terminated name; null takes the client's default properties.
        let topic =
            unsafe { sys::rd_kafka_topic_new(client.native(), name.as_ptr(), ptr::null_mut()) };
        if topic.is_null() {
            // SAFETY: reads the thread's last error.
            let code = Code::from(unsafe { sys::rd_kafka_last_error() });
            return Err(Failure::refuse(format!(
                "topic {name:?} cannot be used: {}",
                code.describe()
            )));
        }
        Ok(Self {
            topic,
            client: Arc::clone(client),
        })
    }

    pub(crate) fn native(&self) -> *mut sys::rd_kafka_topic_t {
        self.topic
    }

    /// The native handle of its client.
    pub(crate) fn client(&self) -> *mut sys::rd_kafka_t {
        self.client.native()
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: owned; the client lives until after this.
        unsafe { sys::rd_kafka_topic_destroy(self.topic) };
    }
}

fn metadata(client: &Client, all: bool, timeout: Duration) -> Result<Vec<TopicInfo>, Code> {
    let mut found: *const sys::rd_kafka_metadata = ptr::null();
    // SAFETY: a live handle; the answer is copied and then freed.
    unsafe {
        let code = Code::from(sys::rd_kafka_metadata(
            client.native(),
            c_int::from(all),
            ptr::null_mut(),
            &raw mut found,
            ms(timeout),
        ));
        if code != Code::OK {
            return Err(code);
        }
        let count = usize::try_from((*found).topic_cnt).unwrap_or(0);
        let topics = (0..count)
            .map(|index| {
                let topic = (*found).topics.add(index);
                TopicInfo {
                    name: text((*topic).topic),
                    error: code_of(&raw const (*topic).err),
                    partitions: (*topic).partition_cnt,
                }
            })
            .collect();
        sys::rd_kafka_metadata_destroy(found);
        Ok(topics)
    }
}

/// Options of an administrative question.
struct AdminOptions(*mut sys::rd_kafka_AdminOptions_t);

impl AdminOptions {
    fn new(client: &Client, question: sys::rd_kafka_admin_op_t) -> Self {
        let mut reason = [0 as c_char; 256];
        // SAFETY: a live handle; a failed setting leaves the default timeout.
        unsafe {
            let options = sys::rd_kafka_AdminOptions_new(client.native(), question);
            let _ = sys::rd_kafka_AdminOptions_set_request_timeout(
                options,
                ms(ASK_TIMEOUT),
                reason.as_mut_ptr(),
                reason.len(),
            );
            Self(options)
        }
    }
}

impl Drop for AdminOptions {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0) };
    }
}

/// The one answer to a question.
fn answer(queue: &Queue) -> Result<super::client::Event, Code> {
    let event = queue
        .poll(ms(ASK_TIMEOUT + Duration::from_secs(1)))
        .ok_or(Code::TIMED_OUT)?;
    match event.error() {
        Code::OK => Ok(event),
        code => Err(code),
    }
}

fn list_offsets(
    client: &Arc<Client>,
    list: &PartitionList,
    committed: bool,
) -> Result<Vec<Entry>, Code> {
    let queue = Queue::temporary(client);
    let options = AdminOptions::new(
        client,
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
    );
    let isolation = if committed {
        sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
    } else {
        sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
    };
    // SAFETY: all objects live for the calls; the result lives as long as its event and is copied.
    unsafe {
        take_error(sys::rd_kafka_AdminOptions_set_isolation_level(
            options.0, isolation,
        ))
        .map_err(|(code, _)| code)?;
        sys::rd_kafka_ListOffsets(client.native(), list.native(), options.0, queue.native());
        let event = answer(&queue)?;
        let result = sys::rd_kafka_event_ListOffsets_result(event.native());
        if result.is_null() {
            return Err(Code::BAD_MSG);
        }
        let mut count = 0;
        let infos = sys::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
        Ok((0..count)
            .map(|index| {
                entry_of(sys::rd_kafka_ListOffsetsResultInfo_topic_partition(
                    *infos.add(index),
                ))
            })
            .collect())
    }
}

fn describe_topics(
    client: &Arc<Client>,
    names: &[&str],
) -> Result<BTreeMap<String, Description>, Code> {
    let queue = Queue::temporary(client);
    let options = AdminOptions::new(
        client,
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
    );
    let owned: Vec<CString> = names
        .iter()
        .filter_map(|name| CString::new(*name).ok())
        .collect();
    let mut pointers: Vec<*const c_char> = owned.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: the collection copies the names; the result lives as long as its event and is copied.
    unsafe {
        take_error(sys::rd_kafka_AdminOptions_set_include_authorized_operations(options.0, 1))
            .map_err(|(code, _)| code)?;
        let collection =
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        sys::rd_kafka_DescribeTopics(client.native(), collection, options.0, queue.native());
        sys::rd_kafka_TopicCollection_destroy(collection);
        let event = answer(&queue)?;
        let result = sys::rd_kafka_event_DescribeTopics_result(event.native());
        if result.is_null() {
            return Err(Code::BAD_MSG);
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        Ok((0..count)
            .map(|index| {
                let topic = *topics.add(index);
                (
                    text(sys::rd_kafka_TopicDescription_name(topic)),
                    description(topic),
                )
            })
            .collect())
    }
}

/// A copy of a topic's description.
///
/// # Safety
/// `topic` points to a live description.
unsafe fn description(topic: *const sys::rd_kafka_TopicDescription_t) -> Description {
    // SAFETY: as the caller promises; all parts live as long as the description.
    unsafe {
        let error = sys::rd_kafka_TopicDescription_error(topic);
        let error = if error.is_null() {
            Code::OK
        } else {
            Code::from(sys::rd_kafka_error_code(error))
        };
        if error != Code::OK {
            return Description {
                error,
                id: String::new(),
                rights: Vec::new(),
            };
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let id = if id.is_null() {
            String::new()
        } else {
            text(sys::rd_kafka_Uuid_base64str(id))
        };
        let mut count = 0;
        let rights = sys::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
        let rights = if rights.is_null() {
            Vec::new()
        } else {
            (0..count)
                // Read as a number: a newer broker may send a right that the enumeration lacks.
                .map(|index| match rights.add(index).cast::<u32>().read() {
                    3 => Right::Read,
                    4 => Right::Write,
                    8 => Right::Describe,
                    10 => Right::DescribeConfigs,
                    _ => Right::Other,
                })
                .collect()
        };
        Description { error, id, rights }
    }
}

fn topic_property(
    client: &Arc<Client>,
    topic: &str,
    property: &str,
) -> Result<Option<String>, Code> {
    let queue = Queue::temporary(client);
    let options = AdminOptions::new(
        client,
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
    );
    let Ok(name) = CString::new(topic) else {
        return Ok(None);
    };
    // SAFETY: all objects live for the calls; the result lives as long as its event and is copied.
    unsafe {
        let mut resource = sys::rd_kafka_ConfigResource_new(
            sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
            name.as_ptr(),
        );
        sys::rd_kafka_DescribeConfigs(
            client.native(),
            &raw mut resource,
            1,
            options.0,
            queue.native(),
        );
        sys::rd_kafka_ConfigResource_destroy(resource);
        let event = answer(&queue)?;
        let result = sys::rd_kafka_event_DescribeConfigs_result(event.native());
        let mut count = 0;
        if result.is_null() {
            return Err(Code::BAD_MSG);
        }
        let resources = sys::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
        if count == 0 {
            return Ok(None);
        }
        let described = *resources;
        let error = Code::from(sys::rd_kafka_ConfigResource_error(described));
        if error != Code::OK {
            return Err(error);
        }
        let mut entries = 0;
        let configs = sys::rd_kafka_ConfigResource_configs(described, &raw mut entries);
        Ok((0..entries).find_map(|index| {
            let entry = *configs.add(index);
            (text(sys::rd_kafka_ConfigEntry_name(entry)) == property)
                .then(|| text(sys::rd_kafka_ConfigEntry_value(entry)))
        }))
    }
}
