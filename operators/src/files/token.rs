//! A position in a folder: a file and a row of it, as text. Pure.
//!
//! | text | meaning |
//! | --- | --- |
//! | `begin` | nothing is read |
//! | `17:in/a.json` | the next row is number 17 of the file, counted from 0 |
//! | `behind:17:in/a.json` | number 17 was stepped over by hand: the next row is number 18, and if the rest of the file cannot be read that is no error any more |
//! | `end:in/a.json` | the file is read, the next one is not begun |
//! | `until:1700000000000000` | the end of a bounded run: files that were there at this time, in microseconds |

use std::sync::Arc;

use thalweg_engine::error::Failure;
use thalweg_engine::record::{Micros, Position};

/// Where to read next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the first file.
    Begin,
    /// At this row of this file.
    Row(u64, Arc<str>),
    /// Behind this row of this file, which somebody has stepped over, with all that cannot be read after it.
    Behind(u64, Arc<str>),
    /// Behind this file.
    End(Arc<str>),
}

impl Place {
    /// The place that a position names.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse(position: &Position) -> Result<Self, Failure> {
        let parsed = match position {
            Position::Token(token) if &**token == "begin" => Some(Self::Begin),
            Position::Token(token) => token.split_once(':').and_then(|(row, path)| match row {
                "end" => Some(Self::End(Arc::from(path))),
                "behind" => {
                    let (row, path) = path.split_once(':')?;
                    Some(Self::Behind(row.parse().ok()?, Arc::from(path)))
                }
                row => Some(Self::Row(row.parse().ok()?, Arc::from(path))),
            }),
            Position::Row(row, path) => Some(Self::Row(*row, Arc::clone(path))),
            Position::Number(_) => None,
        };
        parsed.ok_or_else(|| {
            Failure::refuse(format!(
                "`{position}` is no position of a folder: it is a row and a file, such as 17:in/a.json"
            ))
        })
    }

    /// The position that names the place.
    pub(crate) fn position(&self) -> Position {
        match self {
            Self::Begin => Position::Token(Arc::from("begin")),
            Self::Row(row, path) => Position::Row(*row, Arc::clone(path)),
            Self::Behind(row, path) => Position::Token(Arc::from(format!("behind:{row}:{path}"))),
            Self::End(path) => Position::Token(Arc::from(format!("end:{path}"))),
        }
    }
}

/// The end of a bounded run.
pub(crate) fn until(time: Micros) -> Position {
    Position::Token(Arc::from(format!("until:{time}")))
}

/// The time that such an end says.
///
/// # Errors
/// When the position is no such end.
pub(crate) fn until_time(position: &Position) -> Result<Micros, Failure> {
    let time = match position {
        Position::Token(token) => token.strip_prefix("until:").and_then(|t| t.parse().ok()),
        Position::Number(_) | Position::Row(..) => None,
    };
    time.ok_or_else(|| Failure::refuse(format!("`{position}` is no end of a folder")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_a_position_and_back() {
        for place in [
            Place::Begin,
            Place::Row(0, "in/a:b.json".into()),
            Place::Row(17, "end".into()),
            Place::Behind(17, "in/a:b.json".into()),
            Place::End("in/day=1/a.json".into()),
        ] {
            assert_eq!(Place::parse(&place.position()).unwrap(), place);
            // As it comes back from a checkpoint.
            let written = Position::Token(place.position().to_string().into());
            assert_eq!(Place::parse(&written).unwrap(), place);
        }
    }

    #[test]
    fn a_position_of_something_else_is_refused() {
        for position in [Position::Number(3), Position::Token("a".into())] {
            let error = Place::parse(&position).unwrap_err();
            assert!(error.message.contains("no position of a folder"), "{error}");
        }
    }
}
