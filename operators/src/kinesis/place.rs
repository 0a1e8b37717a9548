//! Where a shard is read next, and its form in a checkpoint.
//!
//! | token | the next record |
//! | --- | --- |
//! | `TRIM_HORIZON` | the oldest that is there |
//! | `AT_TIMESTAMP 1769860800000` | the first that arrived at or after these milliseconds |
//! | `4959...` | this one |
//! | `4959...+2` | in this one, which is aggregated, the third |
//! | `after:4959...` | the one after it |

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::record::Position;

/// Where to read next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The oldest record.
    Oldest,
    /// The first that arrived at or after this time, in milliseconds.
    Time(i64),
    /// The record of this sequence number, from its part of this number on.
    At(SmolStr, u32),
    /// The one after it.
    After(SmolStr),
}

const OLDEST: &str = "TRIM_HORIZON";
const TIME: &str = "AT_TIMESTAMP ";
const AFTER: &str = "after:";

/// Whether this could be a sequence number.
pub(super) fn is_sequence(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Place {
    /// What a checkpoint says.
    ///
    /// # Errors
    /// For what this version did not write.
    pub(crate) fn of(position: &Position) -> Result<Self, Failure> {
        let no = || {
            Failure::refuse(format!(
                "`{position}` is no position of a Kinesis shard: it was written by something else"
            ))
        };
        let Position::Token(token) = position else {
            return Err(no());
        };
        if &**token == OLDEST {
            return Ok(Self::Oldest);
        }
        if let Some(millis) = token.strip_prefix(TIME) {
            return millis.parse().map(Self::Time).map_err(|_| no());
        }
        if let Some(sequence) = token.strip_prefix(AFTER) {
            return if is_sequence(sequence) {
                Ok(Self::After(sequence.into()))
            } else {
                Err(no())
            };
        }
        let (sequence, part) = match token.split_once('+') {
            Some((sequence, part)) => (sequence, part.parse().map_err(|_| no())?),
            None => (&**token, 0),
        };
        if is_sequence(sequence) {
            Ok(Self::At(sequence.into(), part))
        } else {
            Err(no())
        }
    }

    /// As it stands in a checkpoint.
    pub(crate) fn position(&self) -> Position {
        Position::Token(match self {
            Self::Oldest => Arc::from(OLDEST),
            Self::Time(millis) => Arc::from(format!("{TIME}{millis}")),
            Self::At(sequence, 0) => Arc::from(sequence.as_str()),
            Self::At(sequence, part) => Arc::from(format!("{sequence}+{part}")),
            Self::After(sequence) => Arc::from(format!("{AFTER}{sequence}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_read_as_it_was_written() {
        for place in [
            Place::Oldest,
            Place::Time(1_769_860_800_000),
            Place::At("49590338271490256608".into(), 0),
            Place::At("49590338271490256608".into(), 2),
            Place::After("49590338271490256608".into()),
        ] {
            assert_eq!(Place::of(&place.position()).unwrap(), place);
        }
    }

    #[test]
    fn what_something_else_wrote_is_refused() {
        let token = |text: &str| Position::Token(text.into());
        for position in [
            Position::Number(7),
            token(""),
            token("after:"),
            token("LATEST"),
            token("12+"),
            token("12+x"),
            token("AT_TIMESTAMP soon"),
        ] {
            assert!(Place::of(&position).is_err(), "{position}");
        }
    }
}
