//! Records that the Kinesis Producer Library has put together: one record of the stream that holds many of the user's.
//!
//! The bytes are `F3 89 9A C2`, a protobuf message and the MD5 of that message. What begins so and has another MD5 is no such
//! record but the user's own bytes, as AWS' own client library sees it too.

use std::ops::Range;

use md5::{Digest, Md5};
use thalweg_engine::error::RecordError;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST: usize = 16;

/// One of the user's records: where its key and its data stand in the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) key: Range<usize>,
    pub(super) data: Range<usize>,
}

/// The user's records in the bytes; None where they are not aggregated.
///
/// # Errors
/// When they are by their digest, and the message is not what it should be.
pub(super) fn parts(bytes: &[u8]) -> Option<Result<Vec<Part>, RecordError>> {
    let end = bytes.len().checked_sub(DIGEST)?;
    let message = bytes.get(MAGIC.len()..end)?;
    if bytes[..MAGIC.len()] != MAGIC || Md5::digest(message)[..] != bytes[end..] {
        return None;
    }
    let reader = Reader {
        bytes,
        at: MAGIC.len(),
        end,
    };
    Some(message_parts(reader).ok_or_else(|| {
        RecordError::decode("an aggregated record of the Kinesis Producer Library that is broken")
    }))
}

/// A protobuf message within the bytes.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
    end: usize,
}

enum Field {
    Number(u64),
    Bytes(Range<usize>),
}

impl<'b> Reader<'b> {
    fn within(bytes: &'b [u8], range: &Range<usize>) -> Self {
        Self {
            bytes,
            at: range.start,
            end: range.end,
        }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes[..self.end].get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The next field with its number; None at the end. An error is a None within the Some.
    fn next(&mut self) -> Option<Option<(u64, Field)>> {
        if self.at == self.end {
            return None;
        }
        Some(self.field())
    }

    fn field(&mut self) -> Option<(u64, Field)> {
        let tag = self.varint()?;
        let skip = |length: usize, reader: &mut Self| {
            let start = reader.at;
            let end = start.checked_add(length).filter(|end| *end <= reader.end)?;
            reader.at = end;
            Some(start..end)
        };
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => Field::Bytes(skip(8, self)?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(skip(length, self)?)
            }
            5 => Field::Bytes(skip(4, self)?),
            _ => return None,
        };
        Some((tag >> 3, field))
    }
}

fn message_parts(mut reader: Reader<'_>) -> Option<Vec<Part>> {
    let bytes = reader.bytes;
    let (mut keys, mut records) = (Vec::new(), Vec::new());
    while let Some(field) = reader.next() {
        match field? {
            (1, Field::Bytes(key)) => keys.push(key),
            (3, Field::Bytes(record)) => records.push(record),
            _ => {}
        }
    }
    records
        .iter()
        .map(|record| part(Reader::within(bytes, record), &keys))
        .collect()
}

fn part(mut reader: Reader<'_>, keys: &[Range<usize>]) -> Option<Part> {
    let (mut key, mut data) = (None, None);
    while let Some(field) = reader.next() {
        match field? {
            (1, Field::Number(index)) => key = keys.get(usize::try_from(index).ok()?).cloned(),
            (3, Field::Bytes(range)) => data = Some(range),
            _ => {}
        }
    }
    Some(Part {
        key: key?,
        data: data?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An aggregated record of `{"n":1}` with the key `bob` and `{"n":2}` with the key `alice`.
    pub(in crate::kinesis) fn of_two() -> Vec<u8> {
        sealed(&two())
    }

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        out.extend_from_slice(bytes);
        out
    }

    fn record(key: u8, data: &[u8]) -> Vec<u8> {
        let mut record = vec![1 << 3, key];
        record.extend(field(3, data));
        field(3, &record)
    }

    fn sealed(message: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(message);
        bytes.extend_from_slice(&Md5::digest(message));
        bytes
    }

    fn two() -> Vec<u8> {
        let mut message = field(1, b"alice");
        message.extend(field(1, b"bob"));
        message.extend(record(1, b"{\"n\":1}"));
        message.extend(record(0, b"{\"n\":2}"));
        message
    }

    #[test]
    fn an_aggregated_record_holds_records_with_their_keys() {
        let bytes = of_two();
        let parts = parts(&bytes).unwrap().unwrap();
        let texts: Vec<(&[u8], &[u8])> = parts
            .iter()
            .map(|part| (&bytes[part.key.clone()], &bytes[part.data.clone()]))
            .collect();
        let expected: [(&[u8], &[u8]); 2] = [(b"bob", b"{\"n\":1}"), (b"alice", b"{\"n\":2}")];
        assert_eq!(texts, expected);
    }

    #[test]
    fn other_bytes_are_the_users_own() {
        let mut bytes = sealed(&two());
        *bytes.last_mut().unwrap() ^= 1;
        for bytes in [&bytes[..], b"", b"{}", &MAGIC, &[0; 40]] {
            assert!(parts(bytes).is_none());
        }
    }

    #[test]
    fn a_broken_message_is_an_error_and_never_a_panic() {
        let whole = two();
        for length in 1..whole.len() {
            // A cut between two fields leaves a shorter message that is well formed.
            let _ = parts(&sealed(&whole[..length])).unwrap();
        }
        assert!(parts(&sealed(&record(7, b"x"))).unwrap().is_err());
        assert!(parts(&sealed(&[0xFF; 20])).unwrap().is_err());
    }
}
