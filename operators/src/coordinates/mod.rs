//! Coordinates: where an output record comes from, as it stands in its headers.
//!
//! | header | holds |
//! | --- | --- |
//! | `thalweg-origin` | `v1;job;query;topic;partition;offset;index`: the record that made it, and its number among the outputs of that record. The last two are empty where no record alone has made it: a window that closed, a trigger |
//! | `thalweg-epoch` | `v1;checkpoint;epoch`: the history of checkpoints, and the epoch that it is committed with |
//! | `thalweg-micros` | microseconds from when the record was taken to when the output was written |
//!
//! Where a header stands several times the last counts: a record that went through several jobs may bring those of the
//! earlier ones.

mod marks;
pub mod seen;
mod stamper;
mod standing;
mod tail;

use std::ffi::CStr;

use thalweg_engine::record::Partition;

pub(crate) use marks::Marks;
pub use seen::Seen;
pub(crate) use stamper::{Stamper, Stamping};

/// The header of the coordinate.
pub const ORIGIN: &str = "thalweg-origin";
/// The header of the epoch.
pub const EPOCH: &str = "thalweg-epoch";
/// The header of the time.
pub const MICROS: &str = "thalweg-micros";

/// [`ORIGIN`] as the client takes it.
pub(crate) const ORIGIN_C: &CStr = c"thalweg-origin";
/// [`EPOCH`] as the client takes it.
pub(crate) const EPOCH_C: &CStr = c"thalweg-epoch";

/// What an output does with coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coordinates {
    /// Nothing.
    #[default]
    Off,
    /// Each output record carries its own.
    Written,
    /// And a start does not write again what stands in the output already.
    Skipping,
}

/// The offset of a record of the input, and the number of the row among those that the record gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coordinate {
    /// The record's offset.
    pub offset: i64,
    /// The row's number, from 0.
    pub index: u32,
}

/// What a header of the coordinate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'t> {
    /// The job.
    pub job: &'t str,
    /// The query.
    pub query: &'t str,
    /// The topic, or what an input of another kind calls the whole.
    pub topic: &'t str,
    /// The partition.
    pub partition: &'t str,
    /// The offset, or another source's position.
    pub position: &'t str,
    /// The number among the outputs.
    pub index: &'t str,
}

impl<'t> Origin<'t> {
    /// Reads a header; None for what is none.
    pub fn read(bytes: &'t [u8]) -> Option<Self> {
        let rest = std::str::from_utf8(bytes).ok()?.strip_prefix("v1;")?;
        let (job, rest) = rest.split_once(';')?;
        let (query, rest) = rest.split_once(';')?;
        let (rest, index) = rest.rsplit_once(';')?;
        let (rest, position) = rest.rsplit_once(';')?;
        let (topic, partition) = rest.rsplit_once(';')?;
        Some(Self {
            job,
            query,
            topic,
            partition,
            position,
            index,
        })
    }

    /// Whether it is of this query.
    pub fn is_of(&self, job: &str, query: &str) -> bool {
        self.job == job && self.query == query
    }

    /// Offset and index, where it has them as numbers.
    pub fn coordinate(&self) -> Option<Coordinate> {
        Some(Coordinate {
            offset: self.position.parse().ok().filter(|offset| *offset >= 0)?,
            index: self.index.parse().ok()?,
        })
    }

    /// The partition, where it has a number.
    pub fn number(&self) -> Option<i32> {
        self.partition.parse().ok()
    }
}

/// Topic and partition of a partition's name; of an input that has no topics, its name and the partition's.
fn halves(partition: &Partition) -> (&str, &str) {
    partition
        .name
        .rsplit_once('/')
        .unwrap_or((&partition.input, &partition.name))
}

/// What the coordinates of one input partition begin with: all up to the offset. `names` are job and query, `job;query`.
pub fn way(names: &str, partition: &Partition) -> String {
    let (topic, number) = halves(partition);
    format!("v1;{names};{topic};{number};")
}

/// Appends offset and index to what [`way`] gave.
pub(crate) fn append(at: Option<Coordinate>, out: &mut Vec<u8>) {
    let Some(at) = at else {
        out.push(b';');
        return;
    };
    out.extend_from_slice(itoa::Buffer::new().format(at.offset).as_bytes());
    out.push(b';');
    out.extend_from_slice(itoa::Buffer::new().format(at.index).as_bytes());
}

/// The checkpoint and the epoch that a header says.
pub fn epoch(bytes: &[u8]) -> Option<(&str, u64)> {
    let rest = std::str::from_utf8(bytes).ok()?.strip_prefix("v1;")?;
    let (checkpoint, epoch) = rest.split_once(';')?;
    Some((checkpoint, epoch.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(name: &str) -> Partition {
        Partition {
            input: "invoices".into(),
            name: name.into(),
        }
    }

    #[test]
    fn a_coordinate_is_read_as_it_was_written() {
        let mut text = way("loyalty;notification", &partition("in/3")).into_bytes();
        let at = Coordinate {
            offset: 310,
            index: 2,
        };
        append(Some(at), &mut text);
        assert_eq!(text, b"v1;loyalty;notification;in;3;310;2");
        let origin = Origin::read(&text).unwrap();
        assert!(origin.is_of("loyalty", "notification"));
        assert_eq!((origin.topic, origin.number()), ("in", Some(3)));
        assert_eq!(origin.coordinate(), Some(at));
    }

    #[test]
    fn what_no_record_alone_has_made_has_no_coordinate() {
        let mut text = way("j;q", &partition("in/3")).into_bytes();
        append(None, &mut text);
        assert_eq!(text, b"v1;j;q;in;3;;");
        assert_eq!(Origin::read(&text).unwrap().coordinate(), None);
    }

    #[test]
    fn a_folder_with_any_name_is_read_from_both_ends() {
        let text = way("j;q", &partition("a;b/c;d/0"));
        let text = format!("{text}token;0");
        let origin = Origin::read(text.as_bytes()).unwrap();
        assert_eq!((origin.topic, origin.partition), ("a;b/c;d", "0"));
        assert_eq!(origin.coordinate(), None);
    }

    #[test]
    fn what_another_wrote_is_none() {
        for text in ["", "v2;j;q;t;0;1;0", "v1;j;q;0;1;0", "x"] {
            assert_eq!(Origin::read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(epoch(b"v1;0123abcd;7"), Some(("0123abcd", 7)));
        assert_eq!(epoch(b"7"), None);
    }
}
