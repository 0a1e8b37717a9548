//! What changes topics: making one, deleting the records before an offset.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::sync::Arc;

use rdkafka_sys as sys;
use thalweg_engine::error::Failure;

use super::client::{Client, Queue, c_name, text};
use super::codes::Code;
use super::partition_list::{PartitionList, entries_of};
use super::questions::{AdminOptions, answer};
use super::scout::Scout;
use super::starting::Place;

/// Why a topic was not made.
#[derive(Debug)]
pub(crate) struct NotMade {
    /// In words.
    pub(crate) reason: String,
    /// Whether nobody has refused it, so that the same may succeed later.
    pub(crate) unanswered: bool,
}

impl NotMade {
    fn refused(reason: String) -> Self {
        Self {
            reason,
            unanswered: false,
        }
    }

    fn of(code: Code, reason: String) -> Self {
        let unanswered = matches!(
            code,
            Code::TIMED_OUT
                | Code::TRANSPORT
                | Code::RESOLVE
                | Code::ALL_BROKERS_DOWN
                | Code::REQUEST_TIMED_OUT
                | Code::NOT_CONTROLLER
        );
        Self { reason, unanswered }
    }
}

impl Scout {
    /// Whether the topic exists and may be seen.
    pub(crate) fn knows(&self, topic: &str) -> Result<bool, Failure> {
        let found = self.topics(&[topic])?.pop();
        Ok(found.is_some_and(|found| found.error == Code::OK && found.partitions > 0))
    }

    /// Makes a topic with the broker's own number of replicas. That it is there already is no error.
    ///
    /// # Errors
    /// The reason, and whether it is for good.
    pub(crate) fn make_topic(
        &self,
        topic: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<(), NotMade> {
        let options = creating(&self.client);
        make_topic(&self.client, topic, partitions, settings, &options)
    }

    /// Whether [`Scout::make_topic`] would make it; nothing is made.
    ///
    /// # Errors
    /// The reason why not.
    pub(crate) fn may_make_topic(
        &self,
        topic: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<(), NotMade> {
        let options = creating(&self.client).only_ask();
        make_topic(&self.client, topic, partitions, settings, &options)
    }

    /// Deletes the records before these offsets. Where that fails it is logged: they stay, and a later call deletes them.
    pub(crate) fn delete_before(&self, offsets: &BTreeMap<Place, i64>) {
        if let Err(reason) = delete_before(&self.client, offsets) {
            tracing::warn!(target: "kafka", "records that are no longer needed stay in their topic for now: {reason}. The next epochs try again; this needs the right DELETE");
        }
    }
}

fn creating(client: &Client) -> AdminOptions {
    AdminOptions::new(
        client,
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS,
    )
}

fn make_topic(
    client: &Arc<Client>,
    topic: &str,
    partitions: i32,
    settings: &[(&str, &str)],
    options: &AdminOptions,
) -> Result<(), NotMade> {
    let name = c_name(topic).map_err(|failure| NotMade::refused(failure.message))?;
    let queue = Queue::temporary(client);
    let mut reason = [0 as c_char; 256];
    // SAFETY: all objects live for the calls; the client copies names and settings; the result lives as long as its event.
    unsafe {
        let mut new = sys::rd_kafka_NewTopic_new(
            name.as_ptr(),
            partitions,
            -1,
            reason.as_mut_ptr(),
            reason.len(),
        );
        if new.is_null() {
            return Err(NotMade::refused(text(reason.as_ptr())));
        }
        for (setting, value) in settings {
            if let (Ok(setting), Ok(value)) = (CString::new(*setting), CString::new(*value)) {
                let _ = sys::rd_kafka_NewTopic_set_config(new, setting.as_ptr(), value.as_ptr());
            }
        }
        sys::rd_kafka_CreateTopics(
            client.native(),
            &raw mut new,
            1,
            options.native(),
            queue.native(),
        );
        sys::rd_kafka_NewTopic_destroy(new);
        let event = answer(&queue).map_err(|code| NotMade::of(code, code.describe()))?;
        let result = sys::rd_kafka_event_CreateTopics_result(event.native());
        if result.is_null() {
            return Err(NotMade::refused(Code::BAD_MSG.describe()));
        }
        let mut count = 0;
        let topics = sys::rd_kafka_CreateTopics_result_topics(result, &raw mut count);
        for index in 0..count {
            let made = *topics.add(index);
            let code = Code::from(sys::rd_kafka_topic_result_error(made));
            if code != Code::OK && code != Code::TOPIC_ALREADY_EXISTS {
                let said = text(sys::rd_kafka_topic_result_error_string(made));
                let said = if said.is_empty() {
                    code.describe()
                } else {
                    said
                };
                return Err(NotMade::of(code, said));
            }
        }
        Ok(())
    }
}

fn delete_before(client: &Arc<Client>, offsets: &BTreeMap<Place, i64>) -> Result<(), String> {
    let mut list = PartitionList::new();
    for ((topic, partition), offset) in offsets {
        list.add(topic, *partition, *offset, None)
            .map_err(|failure| failure.message)?;
    }
    let queue = Queue::temporary(client);
    let options = AdminOptions::new(
        client,
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETERECORDS,
    );
    // SAFETY: all objects live for the calls; the client copies the list; the result lives as long as its event.
    unsafe {
        let mut records = sys::rd_kafka_DeleteRecords_new(list.native());
        sys::rd_kafka_DeleteRecords(
            client.native(),
            &raw mut records,
            1,
            options.native(),
            queue.native(),
        );
        sys::rd_kafka_DeleteRecords_destroy(records);
        let event = answer(&queue).map_err(Code::describe)?;
        let result = sys::rd_kafka_event_DeleteRecords_result(event.native());
        if result.is_null() {
            return Err(Code::BAD_MSG.describe());
        }
        let done = sys::rd_kafka_DeleteRecords_result_offsets(result);
        for entry in entries_of(done) {
            if entry.error != Code::OK {
                return Err(format!(
                    "{}/{}: {}",
                    entry.topic,
                    entry.partition,
                    entry.error.describe()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_somebody_has_refused_is_for_good() {
        let of = |code: Code| NotMade::of(code, code.describe()).unanswered;
        assert!(of(Code::TIMED_OUT) && of(Code::TRANSPORT) && of(Code::NOT_CONTROLLER));
        assert!(!of(Code::TOPIC_AUTHORIZATION_FAILED) && !of(Code::UNSUPPORTED_VERSION));
    }
}
