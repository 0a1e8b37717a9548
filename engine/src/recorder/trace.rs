//! What goes with a record's rows from the lane to their acknowledgement.

use crate::record::{Micros, Position, RecordMeta};

/// Marks a place whose position is a token: [`Trace::position`] is then the record's number, or its row in a file.
const TOKEN: u32 = 1 << 31;

/// Marks a record that is traced.
const TRACED: u32 = 1 << 30;

/// Stands for a record without a timestamp.
const NO_TIME: Micros = Micros::MIN;

/// Place and times of a record, small enough to lie beside each of its rows until it is acknowledged. Writers carry it and
/// look at nothing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its position; where that is a token its number, and of one in a file its row.
    pub(crate) position: i64,
    pub(crate) taken_at: Micros,
    record_time: Micros,
    /// The number of its partition in the lane, whether its position is a token, and whether it is traced.
    place: u32,
    /// Microseconds from its bytes in hand to its row.
    pub(crate) decode: u32,
    /// Its number in the lane; 0 for no record.
    pub(crate) number: u32,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            position: 0,
            taken_at: 0,
            record_time: NO_TIME,
            place: 0,
            decode: 0,
            number: 0,
        }
    }
}

impl Trace {
    /// Of the record with this number, read from this partition of the lane.
    #[inline]
    pub(crate) fn of(meta: &RecordMeta, reader: usize, decode: u32, number: u32) -> Self {
        // A lane has far fewer partitions than that.
        let reader = u32::try_from(reader).unwrap_or(0) & !(TOKEN | TRACED);
        let (position, place) = match &meta.position {
            Position::Number(position) => (*position, reader),
            Position::Token(_) => (i64::from(number), reader | TOKEN),
            Position::Row(row, _) => (row.cast_signed(), reader | TOKEN),
        };
        Self {
            position,
            taken_at: meta.taken_at,
            record_time: meta.record_time.unwrap_or(NO_TIME),
            place,
            decode,
            number,
        }
    }

    /// The number of its partition in the lane.
    pub(crate) fn reader(&self) -> usize {
        (self.place & !(TOKEN | TRACED)) as usize
    }

    /// The same of a record that is traced.
    pub(crate) fn traced(mut self) -> Self {
        self.place |= TRACED;
        self
    }

    /// Whether the record is traced: then who has asked for this says by [`crate::sink::DeliveryObserver::sent`] how many rows
    /// it will tell of.
    #[inline]
    pub fn is_traced(&self) -> bool {
        self.place & TRACED != 0
    }

    /// Whether its position is a token.
    pub(crate) fn is_token(&self) -> bool {
        self.place & TOKEN != 0
    }

    /// The record's own timestamp.
    pub(crate) fn record_time(&self) -> Option<Micros> {
        (self.record_time != NO_TIME).then_some(self.record_time)
    }

    /// Microseconds from its own timestamp to taken; 0 where it has none, or a clock was behind.
    #[inline]
    pub(crate) fn before(&self) -> u64 {
        if self.record_time == NO_TIME {
            return 0;
        }
        u64::try_from(self.taken_at.saturating_sub(self.record_time)).unwrap_or(0)
    }

    /// As five words.
    #[inline]
    pub(crate) fn words(&self) -> [u64; 5] {
        [
            self.position.cast_unsigned(),
            self.taken_at.cast_unsigned(),
            self.record_time.cast_unsigned(),
            u64::from(self.place) << 32 | u64::from(self.decode),
            u64::from(self.number),
        ]
    }

    /// Of its five words.
    #[inline]
    pub(crate) fn of_words(words: [u64; 5]) -> Self {
        let low = |word: u64| u32::try_from(word & u64::from(u32::MAX)).unwrap_or(0);
        Self {
            position: words[0].cast_signed(),
            taken_at: words[1].cast_signed(),
            record_time: words[2].cast_signed(),
            place: low(words[3] >> 32),
            decode: low(words[3]),
            number: low(words[4]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::meta;

    #[test]
    fn a_trace_is_what_its_words_say() {
        let mut about = meta(0, 0, None);
        about.position = Position::Number(-7);
        about.record_time = Some(5);
        about.taken_at = 12;
        let trace = Trace::of(&about, 3, 4, 9);
        assert_eq!(Trace::of_words(trace.words()), trace);
        assert_eq!(
            (trace.reader(), trace.is_token(), trace.before()),
            (3, false, 7)
        );
        about.position = Position::Token("a".into());
        about.record_time = None;
        let trace = Trace::of(&about, 3, 4, 9);
        assert_eq!(Trace::of_words(trace.words()), trace);
        assert_eq!(
            (trace.reader(), trace.is_token(), trace.position),
            (3, true, 9)
        );
        assert!(!trace.is_traced() && trace.traced().is_traced());
        assert_eq!(trace.traced().reader(), 3);
        assert_eq!((trace.before(), trace.record_time()), (0, None));
    }
}
