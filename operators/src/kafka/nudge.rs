//! A group that has left partitions to nobody is made to share them out again.
//!
//! A cooperative group moves a partition in two rounds: its owner gives it up, and asks for the second round, in which
//! another one gets it. A static member that dies between the two and comes back under its name before the group takes notice is
//! handed what it had, without a round; nobody asks for the second one. Kafka's protocol has no word for that from
//! those who are there, but a member that comes or goes makes a round: so one without partitions comes and goes.

use std::collections::BTreeSet;
use std::ffi::{c_char, c_int};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka_sys as sys;
use thalweg_engine::error::Failure;

use super::client::{Client, Queue, Role, c_name, take_error};
use super::codes::Code;
use super::membership::{answer as group_answer, subscribe};
use super::options::Connection;
use super::partition_list::entry_of;
use super::questions::{AdminOptions, answer};
use super::starting::Place;

/// How long the member that comes and goes waits for its round.
const ROUND: Duration = Duration::from_secs(20);
/// How long it waits for its leave to be taken.
const LEAVE: Duration = Duration::from_secs(5);
/// Milliseconds between two looks at its queue.
const LOOK: c_int = 100;

/// The partitions that the members of a group have; None while the group changes, or where that cannot be told.
pub(super) fn owned(client: &Arc<Client>, group: &str) -> Option<BTreeSet<Place>> {
    let name = c_name(group).ok()?;
    let mut names: [*const c_char; 1] = [name.as_ptr()];
    let queue = Queue::temporary(client);
    let options = AdminOptions::new(
        client,
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
    );
    // SAFETY: the call copies the names; the result lives as long as its event and is copied.
    unsafe {
        sys::rd_kafka_DescribeConsumerGroups(
            client.native(),
            names.as_mut_ptr(),
            names.len(),
            options.native(),
            queue.native(),
        );
        let event = answer(&queue).ok()?;
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event.native());
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let groups = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
        let group = *groups.as_ref().filter(|_| count == 1)?;
        let stable = sys::rd_kafka_consumer_group_state_t::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE;
        if sys::rd_kafka_ConsumerGroupDescription_state(group) != stable {
            return None;
        }
        let mut owned = BTreeSet::new();
        for index in 0..sys::rd_kafka_ConsumerGroupDescription_member_count(group) {
            let member = sys::rd_kafka_ConsumerGroupDescription_member(group, index);
            let assignment = sys::rd_kafka_MemberDescription_assignment(member);
            let list = sys::rd_kafka_MemberAssignment_partitions(assignment);
            let count = if list.is_null() { 0 } else { (*list).cnt };
            for index in 0..usize::try_from(count).unwrap_or(0) {
                let entry = entry_of((*list).elems.add(index));
                owned.insert((entry.topic, entry.partition));
            }
        }
        Some(owned)
    }
}

/// Comes as a member without a topic, and goes.
pub(super) fn come_and_go(connection: &Connection, group: &str) -> Result<(), Failure> {
    let configuration = connection.configuration(
        &[("client.id", "thalweg"), ("log.connection.close", "false")],
        &[
            ("group.id", group),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("enable.auto.commit", "false"),
            ("allow.auto.create.topics", "false"),
        ],
    )?;
    let client = Client::new(Role::Member, configuration)?;
    let queue = Queue::consumer(&client);
    subscribe(&client, [format!("{group}-no-topic").as_str()])?;
    let mut until = Instant::now() + ROUND;
    let mut leaving = false;
    while Instant::now() < until {
        // SAFETY: a live handle.
        if leaving && unsafe { sys::rd_kafka_consumer_closed(client.native()) } != 0 {
            break;
        }
        let Some(event) = queue.poll(LOOK) else {
            continue;
        };
        if event.kind() != sys::RD_KAFKA_EVENT_REBALANCE {
            continue;
        }
        let given = event.error() == Code::ASSIGN_PARTITIONS;
        // What is done here fails at worst, and is tried again.
        let _ = group_answer(&client, given);
        if given && !leaving {
            leaving = true;
            until = Instant::now() + LEAVE;
            // SAFETY: live objects; the returned error is consumed.
            unsafe {
                let _ = take_error(sys::rd_kafka_consumer_close_queue(
                    client.native(),
                    queue.native(),
                ));
            }
        }
    }
    Ok(())
}
