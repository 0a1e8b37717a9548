//! Who is in a group, and what each of its members has.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, c_char};
use std::sync::Arc;

use rdkafka_sys as sys;
use smol_str::SmolStr;

use super::client::{Client, Queue, c_name};
use super::codes::Code;
use super::partition_list::entries_of;
use super::questions::{AdminOptions, answer};
use super::starting::Place;

/// A group as its coordinator sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupView {
    /// Whether everybody has what was shared out last; else the group is about to change.
    pub(super) stable: bool,
    /// By the name of its process, what is known of each member; those without one count by the name that the group gave them.
    pub(super) members: BTreeMap<SmolStr, MemberView>,
}

/// A member as its group's coordinator sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MemberView {
    /// The id that the group has given to whoever joined last under its name.
    pub(super) id: SmolStr,
    /// What it calls itself, its `client.id`.
    pub(super) client: SmolStr,
    /// Where it is, as the broker writes it.
    pub(super) host: SmolStr,
    /// What it has.
    pub(super) owned: BTreeSet<Place>,
}

impl GroupView {
    /// What all members have together; None while the group changes.
    pub(super) fn owned(&self) -> Option<BTreeSet<Place>> {
        let all = || {
            let members = self.members.values();
            members
                .flat_map(|member| member.owned.iter().cloned())
                .collect()
        };
        self.stable.then(all)
    }
}

/// Asks for the view of a group; None where it cannot be had.
pub(super) fn view(client: &Arc<Client>, group: &str) -> Option<GroupView> {
    described(client, group, |group| {
        if error_of(group) != Code::OK {
            return None;
        }
        let stable = sys::rd_kafka_consumer_group_state_t::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE;
        // SAFETY: a live description, whose texts and lists are copied.
        unsafe {
            let mut view = GroupView {
                stable: sys::rd_kafka_ConsumerGroupDescription_state(group) == stable,
                members: BTreeMap::new(),
            };
            for index in 0..sys::rd_kafka_ConsumerGroupDescription_member_count(group) {
                let (name, member) =
                    member(sys::rd_kafka_ConsumerGroupDescription_member(group, index));
                view.members.insert(name, member);
            }
            Some(view)
        }
    })
    .flatten()
}

/// Whether this user may not look at the group.
pub(super) fn is_forbidden(client: &Arc<Client>, group: &str) -> bool {
    described(client, group, error_of) == Some(Code::GROUP_AUTHORIZATION_FAILED)
}

fn error_of(group: *const sys::rd_kafka_ConsumerGroupDescription_t) -> Code {
    // SAFETY: a live description; its error lives as long.
    unsafe {
        let error = sys::rd_kafka_ConsumerGroupDescription_error(group);
        match error.is_null() {
            true => Code::OK,
            false => Code::from(sys::rd_kafka_error_code(error)),
        }
    }
}

/// Asks for the description of a group and reads it, while it lives; None where nothing came.
fn described<T>(
    client: &Arc<Client>,
    group: &str,
    read: impl FnOnce(*const sys::rd_kafka_ConsumerGroupDescription_t) -> T,
) -> Option<T> {
    let name = c_name(group).ok()?;
    let mut names: [*const c_char; 1] = [name.as_ptr()];
    let queue = Queue::temporary(client);
    let options = AdminOptions::new(
        client,
        sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
    );
    // SAFETY: the call copies the names; the result lives as long as its event.
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
        Some(read(group))
    }
}

/// The name of a member and what is known of it.
///
/// # Safety
/// The description must be live.
unsafe fn member(member: *const sys::rd_kafka_MemberDescription_t) -> (SmolStr, MemberView) {
    // SAFETY: a live description, whose texts and lists are copied.
    unsafe {
        let own = sys::rd_kafka_MemberDescription_group_instance_id(member);
        let given = sys::rd_kafka_MemberDescription_consumer_id(member);
        let text = |text: *const c_char| {
            if text.is_null() {
                SmolStr::default()
            } else {
                SmolStr::new(CStr::from_ptr(text).to_string_lossy())
            }
        };
        let name = text(if own.is_null() { given } else { own });
        let id = text(given);
        let client = text(sys::rd_kafka_MemberDescription_client_id(member));
        let host = text(sys::rd_kafka_MemberDescription_host(member));
        let assignment = sys::rd_kafka_MemberDescription_assignment(member);
        let list = if assignment.is_null() {
            std::ptr::null()
        } else {
            sys::rd_kafka_MemberAssignment_partitions(assignment)
        };
        let owned = entries_of(list)
            .into_iter()
            .map(|entry| (entry.topic, entry.partition))
            .collect();
        let view = MemberView {
            id,
            client,
            host,
            owned,
        };
        (name, view)
    }
}
