//! The questions to a broker in the client's own terms: each asks once, waits, and copies the answer.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka_sys as sys;
use thalweg_engine::error::Failure;

use super::client::{Client, Event, Queue, c_name, code_of, take_error, text};
use super::codes::Code;
use super::partition_list::{Entry, PartitionList, entry_of};

/// How long any question may take.
pub(crate) const ASK_TIMEOUT: Duration = Duration::from_secs(8);

pub(super) fn ms(duration: Duration) -> c_int {
    c_int::try_from(duration.as_millis()).unwrap_or(c_int::MAX)
}

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
    Delete,
    Other,
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

pub(super) fn metadata(
    client: &Client,
    all: bool,
    timeout: Duration,
) -> Result<Vec<TopicInfo>, Code> {
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
pub(super) struct AdminOptions(*mut sys::rd_kafka_AdminOptions_t);

impl AdminOptions {
    pub(super) fn native(&self) -> *mut sys::rd_kafka_AdminOptions_t {
        self.0
    }

    pub(super) fn new(client: &Client, question: sys::rd_kafka_admin_op_t) -> Self {
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

    /// Has the broker say whether it would, and do nothing.
    pub(super) fn only_ask(self) -> Self {
        let mut reason = [0 as c_char; 256];
        // SAFETY: owned options.
        unsafe {
            let _ = sys::rd_kafka_AdminOptions_set_validate_only(
                self.0,
                1,
                reason.as_mut_ptr(),
                reason.len(),
            );
        }
        self
    }
}

impl Drop for AdminOptions {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0) };
    }
}

/// The one answer to a question.
pub(super) fn answer(queue: &Queue) -> Result<Event, Code> {
    let event = queue
        .poll(ms(ASK_TIMEOUT + Duration::from_secs(1)))
        .ok_or(Code::TIMED_OUT)?;
    match event.error() {
        Code::OK => Ok(event),
        code => Err(code),
    }
}

pub(super) fn list_offsets(
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

pub(super) fn describe_topics(
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
                    6 => Right::Delete,
                    8 => Right::Describe,
                    10 => Right::DescribeConfigs,
                    _ => Right::Other,
                })
                .collect()
        };
        Description { error, id, rights }
    }
}

pub(super) fn topic_property(
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
