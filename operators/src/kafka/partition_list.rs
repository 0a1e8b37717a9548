//! Lists of partitions as the client takes and gives them.

use std::ptr;

use rdkafka_sys as sys;
use thalweg_engine::error::Failure;

use super::client::{c_name, code_of, text};
use super::codes::Code;

/// A list of partitions with an offset each.
pub(crate) struct PartitionList {
    list: *mut sys::rd_kafka_topic_partition_list_t,
}

/// One entry of a [`PartitionList`].
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) error: Code,
    pub(crate) metadata: Option<Vec<u8>>,
}

/// The offset of a partition that was asked about and not answered.
const UNTOLD: i64 = sys::RD_KAFKA_OFFSET_INVALID as i64;

impl Entry {
    /// Why its offset is not known. A broker that goes away while it is asked may leave a partition out of its answer: the
    /// client then says neither an error nor an offset.
    pub(crate) fn untold(&self) -> Option<Code> {
        match self.error {
            Code::OK if self.offset == UNTOLD => Some(Code::LEADER_NOT_AVAILABLE),
            Code::OK => None,
            code => Some(code),
        }
    }
}

impl PartitionList {
    pub(crate) fn new() -> Self {
        // SAFETY: allocates; no preconditions.
        let list = unsafe { sys::rd_kafka_topic_partition_list_new(8) };
        Self { list }
    }

    pub(crate) fn native(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.list
    }

    /// Adds an entry, with the metadata that a commit stores beside the offset.
    pub(crate) fn add(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        metadata: Option<&str>,
    ) -> Result<(), Failure> {
        let name = c_name(topic)?;
        // SAFETY: the entry is valid until the list changes. The client frees its metadata with free(), so it must come
        // from malloc().
        unsafe {
            let entry = sys::rd_kafka_topic_partition_list_add(self.list, name.as_ptr(), partition);
            (*entry).offset = offset;
            if let Some(metadata) = metadata {
                let copy = libc::malloc(metadata.len().max(1));
                if !copy.is_null() {
                    ptr::copy_nonoverlapping(metadata.as_ptr(), copy.cast::<u8>(), metadata.len());
                    (*entry).metadata = copy;
                    (*entry).metadata_size = metadata.len();
                }
            }
        }
        Ok(())
    }

    /// A copy of the entries.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        // SAFETY: the list is owned.
        unsafe { entries_of(self.list) }
    }
}

/// A copy of the entries of a native list; none where there is no list.
///
/// # Safety
/// `list` points to a live list, or is null.
pub(crate) unsafe fn entries_of(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<Entry> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: as the caller promises; it holds `cnt` entries.
    unsafe {
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        let entries = (*list).elems;
        (0..count)
            .map(|index| entry_of(entries.add(index)))
            .collect()
    }
}

/// A copy of a native entry.
///
/// # Safety
/// `entry` points to a live entry.
pub(crate) unsafe fn entry_of(entry: *const sys::rd_kafka_topic_partition_t) -> Entry {
    // SAFETY: as the caller promises; metadata of the given size is readable.
    unsafe {
        let metadata = (!(*entry).metadata.is_null()).then(|| {
            std::slice::from_raw_parts((*entry).metadata.cast::<u8>(), (*entry).metadata_size)
                .to_vec()
        });
        Entry {
            topic: text((*entry).topic),
            partition: (*entry).partition,
            offset: (*entry).offset,
            error: code_of(&raw const (*entry).err),
            metadata,
        }
    }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: owned.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.list) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_a_broker_left_out_of_its_answer_has_no_offset() {
        let entry = |offset, error| Entry {
            topic: "bills".to_owned(),
            partition: 0,
            offset,
            error,
            metadata: None,
        };
        assert_eq!(entry(0, Code::OK).untold(), None);
        assert_eq!(entry(-1, Code::OK).untold(), None);
        assert_eq!(
            entry(-1001, Code::OK).untold(),
            Some(Code::LEADER_NOT_AVAILABLE)
        );
        assert_eq!(
            entry(-1001, Code::TIMED_OUT).untold(),
            Some(Code::TIMED_OUT)
        );
    }
}
