//! Whether a record lies where the partitioner of its writer puts its key: what `PARTITIONED BY` claims, checked.
//!
//! | partitioner | the partition of a key among `n` | whose default |
//! | --- | --- | --- |
//! | `murmur2` | murmur2 without its sign bit, modulo `n` | Java's clients; librdkafka's `murmur2` and `murmur2_random` |
//! | `crc32` | CRC-32 modulo `n` | librdkafka and what is built on it (`consistent_random`) |
//! | `fnv1a` | the magnitude of the signed FNV-1a modulo `n` | Sarama for Go; librdkafka's `fnv1a` and `fnv1a_random` |
//!
//! A record without a key may lie anywhere, so nothing says where others of its kind are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use thalweg_engine::error::RecordError;

use super::murmur2::murmur2;

/// How the writer of a topic chooses the partition of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Partitioner {
    Murmur2,
    Crc32,
    Fnv1a,
}

impl Partitioner {
    /// The values of the option `partitioner`.
    pub(crate) const NAMES: &[&str] = &["murmur2", "crc32", "fnv1a"];

    /// The partitioner of a name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Self::Murmur2, Self::Crc32, Self::Fnv1a];
        all.into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(name.trim()))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Murmur2 => "murmur2",
            Self::Crc32 => "crc32",
            Self::Fnv1a => "fnv1a",
        }
    }

    /// The partition of a key among `count` (at least 1).
    fn partition(self, key: &[u8], count: u32) -> u32 {
        let hash = match self {
            Self::Murmur2 => murmur2(key) & 0x7fff_ffff,
            Self::Crc32 => crc32fast::hash(key),
            Self::Fnv1a => fnv1a(key).cast_signed().unsigned_abs(),
        };
        hash % count.max(1)
    }
}

/// The 32-bit FNV-1a.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// The partitioner of one topic with the number of its partitions.
#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) partitioner: Partitioner,
    /// 0 when nothing can be said any more.
    pub(crate) count: Arc<AtomicU32>,
}

impl Check {
    /// Whether a record with this key belongs to the partition that it comes from.
    ///
    /// # Errors
    /// When it does not, or when its key says nothing.
    pub(crate) fn check(&self, key: Option<&[u8]>, partition: i32) -> Result<(), RecordError> {
        let count = self.count.load(Ordering::Relaxed);
        if count == 0 {
            return Ok(());
        }
        let name = self.partitioner.name();
        let Some(key) = key else {
            return Err(RecordError::decode(format!(
                "the record has no key, so its partition says nothing of what PARTITIONED BY names (partitioner '{name}')"
            )));
        };
        let wanted = self.partitioner.partition(key, count);
        if i64::from(wanted) == i64::from(partition) {
            return Ok(());
        }
        let error = RecordError::decode(format!(
            "the record lies in partition {partition}, and {name} puts its key into partition {wanted} of {count}: its \
             writer has another partitioner, or wrote it when the topic had another number of partitions"
        ));
        Err(error.with_content(format!("key {}", String::from_utf8_lossy(key))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(partitioner: Partitioner, count: u32) -> Check {
        Check {
            partitioner,
            count: Arc::new(AtomicU32::new(count)),
        }
    }

    #[test]
    fn the_magnitudes_of_fnv1a_are_those_of_sarama_and_librdkafka() {
        // The vectors of librdkafka's own test, which come from Go.
        for (key, magnitude) in [
            ("kafka", 0x0d33_c4e1_u32),
            ("giberish123456789", 0x77a5_8295),
            ("1234", 0x023b_dd03),
            ("234", 0x2dea_3cd2),
            ("34", 0x740f_a83e),
            ("4", 0x310c_a263),
            ("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x65cb_d69c),
            ("", 0x7ee3_623b),
        ] {
            let found = fnv1a(key.as_bytes()).cast_signed().unsigned_abs();
            assert_eq!(found, magnitude, "{key}");
        }
    }

    #[test]
    fn the_partitions_are_those_of_the_clients() {
        let at = |partitioner: Partitioner, key: &str, count| {
            partitioner.partition(key.as_bytes(), count)
        };
        // CRC-32 of "123456789" is 0xcbf43926 by definition; murmur2 of "21" is that of the Java client's own test.
        assert_eq!(at(Partitioner::Crc32, "123456789", 1 << 31), 0x4bf4_3926);
        assert_eq!(at(Partitioner::Crc32, "", 7), 0);
        let java = (-973_932_308_i32).cast_unsigned() & 0x7fff_ffff;
        assert_eq!(at(Partitioner::Murmur2, "21", 97), java % 97);
        assert_eq!(at(Partitioner::Fnv1a, "kafka", 64), 0x0d33_c4e1 % 64);
    }

    #[test]
    fn a_record_elsewhere_or_without_a_key_is_an_error_that_quotes_no_content() {
        let murmur2 = check(Partitioner::Murmur2, 4);
        let home = Partitioner::Murmur2.partition(b"card-7", 4).cast_signed();
        assert_eq!(murmur2.check(Some(b"card-7"), home), Ok(()));
        let error = murmur2.check(Some(b"card-7"), home ^ 1).unwrap_err();
        assert!(
            error
                .reason
                .contains(&format!("into partition {home} of 4"))
        );
        assert!(!error.reason.contains("card-7"), "{error}");
        assert_eq!(error.content.as_deref(), Some("key card-7"));
        let error = murmur2.check(None, home).unwrap_err();
        assert!(error.reason.contains("no key"), "{error}");
    }

    #[test]
    fn where_the_number_of_partitions_is_in_doubt_nothing_is_checked() {
        let murmur2 = check(Partitioner::Murmur2, 0);
        assert_eq!(murmur2.check(Some(b"card-7"), 3), Ok(()));
        assert_eq!(murmur2.check(None, 3), Ok(()));
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Partitioner::named(" Murmur2"), Some(Partitioner::Murmur2));
        assert_eq!(Partitioner::named("md5"), None);
        for name in Partitioner::NAMES {
            assert_eq!(Partitioner::named(name).map(Partitioner::name), Some(*name));
        }
    }
}
