//! Files that change while they are read, or after that: what came to them is not read, and that is said.

use std::collections::VecDeque;

use thalweg_engine::error::RecordError;
use thalweg_engine::record::Micros;

use super::listing::Found;
use super::seen::Key;

/// Of so many files that were read last it is known what they were.
const KNOWN: usize = 256;

/// What helps in all cases.
pub(super) const REMEDY: &str =
    "write files elsewhere and rename them into the folder when they are whole";

/// The error of the last record of a file that has changed while it was read.
pub(super) fn cut() -> RecordError {
    RecordError::decode(format!(
        "the file has changed while it was read, so that this record may be cut, and what stands behind it is not read: {REMEDY}"
    ))
}

/// The error of the rest of an object that is another one than when its first rows were read.
pub(super) fn other() -> RecordError {
    RecordError::decode(
        "the object was replaced after the rows before this one were read: give each new content a name of its own",
    )
}

/// What the files that were read last were when they were opened.
#[derive(Debug, Default)]
pub(crate) struct Opened(VecDeque<(Key, Micros, u64)>);

impl Opened {
    pub(crate) fn note(&mut self, found: &Found) {
        if self.0.len() == KNOWN {
            self.0.pop_front();
        }
        let key = Key::of(&found.path);
        self.0.push_back((key, found.time, found.size));
    }

    /// Whether a file is another now than when it was opened; None where that is too long ago.
    pub(crate) fn changed(&self, now: &Found) -> Option<bool> {
        let key = Key::of(&now.path);
        let mut known = self.0.iter().rev();
        let (_, time, size) = known.find(|(known, ..)| *known == key)?;
        Some((*time, *size) != (now.time, now.size))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_file_that_was_read_lately_is_known_by_time_and_size() {
        let file = |number: usize, size| Found {
            path: Arc::from(number.to_string()),
            time: 7,
            appeared: 7,
            size,
            tag: 0,
        };
        let mut opened = Opened::default();
        for number in 0..=KNOWN {
            opened.note(&file(number, 1));
        }
        assert_eq!(opened.changed(&file(KNOWN, 1)), Some(false));
        assert_eq!(opened.changed(&file(KNOWN, 2)), Some(true));
        assert_eq!(opened.changed(&file(0, 2)), None, "too long ago");
    }
}
