//! The coordinate of a row on its way out. It becomes text when the client takes the row, in a buffer that is used again: a row
//! with a coordinate costs no allocation here.

use std::ops::Range;
use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::record::Position;

use crate::coordinates::{EPOCH, MICROS, ORIGIN};

/// What the coordinates of one input partition have in common.
#[derive(Debug)]
pub(crate) struct Way {
    /// What the coordinate begins with: all up to the offset.
    pub(crate) origin: SmolStr,
    /// What the epoch begins with: `v1;checkpoint;`.
    pub(crate) history: SmolStr,
}

/// The coordinate of one row.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) way: Arc<Way>,
    /// The record, and the number among its outputs; None where no record alone has made the row.
    pub(crate) at: Option<(Position, u32)>,
    pub(crate) epoch: u64,
    /// From taken to written.
    pub(crate) micros: u64,
}

/// A header's name, and its place in the text.
pub(crate) type Named = (&'static str, Range<usize>);

impl Stamp {
    /// Bytes of names and texts, at most.
    pub(crate) fn size(&self) -> usize {
        let numbers = match &self.at {
            Some((Position::Token(token) | Position::Row(_, token), _)) => token.len() + 50,
            _ => 70,
        };
        let names = ORIGIN.len() + EPOCH.len() + MICROS.len();
        names + self.way.origin.len() + self.way.history.len() + numbers
    }

    /// How many headers it is.
    pub(crate) const HEADERS: usize = 3;

    /// Writes the texts of the headers.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> [Named; Self::HEADERS] {
        let mut number = itoa::Buffer::new();
        out.clear();
        out.extend_from_slice(self.way.origin.as_bytes());
        match &self.at {
            None => out.push(b';'),
            Some((position, index)) => {
                match position {
                    Position::Number(offset) => {
                        out.extend_from_slice(number.format(*offset).as_bytes());
                    }
                    Position::Token(token) => out.extend_from_slice(token.as_bytes()),
                    Position::Row(row, file) => {
                        out.extend_from_slice(number.format(*row).as_bytes());
                        out.push(b':');
                        out.extend_from_slice(file.as_bytes());
                    }
                }
                out.push(b';');
                out.extend_from_slice(number.format(*index).as_bytes());
            }
        }
        let origin = out.len();
        out.extend_from_slice(self.way.history.as_bytes());
        out.extend_from_slice(number.format(self.epoch).as_bytes());
        let epoch = out.len();
        out.extend_from_slice(number.format(self.micros).as_bytes());
        [
            (ORIGIN, 0..origin),
            (EPOCH, origin..epoch),
            (MICROS, epoch..out.len()),
        ]
    }

    /// Whether it writes a header of this name, so that one that the row brings is left out.
    pub(crate) fn names(header: &str) -> bool {
        [ORIGIN, EPOCH, MICROS].contains(&header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_a_stamp_are_those_of_the_manual_and_no_longer_than_it_says() {
        let way = Arc::new(Way {
            origin: "v1;loyalty;notification;in;3;".into(),
            history: "v1;00c0ffee00c0ffee;".into(),
        });
        let stamp = |at| Stamp {
            way: Arc::clone(&way),
            at,
            epoch: u64::MAX,
            micros: u64::MAX,
        };
        let number = stamp(Some((Position::Number(i64::MAX), u32::MAX)));
        let token = stamp(Some((Position::Token("T-17".into()), 0)));
        for (stamp, origin) in [
            (
                number,
                "v1;loyalty;notification;in;3;9223372036854775807;4294967295",
            ),
            (token, "v1;loyalty;notification;in;3;T-17;0"),
            (stamp(None), "v1;loyalty;notification;in;3;;"),
        ] {
            let mut out = vec![b'x'];
            let written = stamp.write(&mut out);
            let text = |at: usize| std::str::from_utf8(&out[written[at].1.clone()]).unwrap();
            assert_eq!(text(0), origin);
            assert_eq!(text(1), format!("v1;00c0ffee00c0ffee;{}", u64::MAX));
            assert_eq!(text(2), u64::MAX.to_string());
            let names: usize = written.iter().map(|(name, _)| name.len()).sum();
            assert!(names + out.len() <= stamp.size());
        }
    }
}
