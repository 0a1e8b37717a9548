//! What the folders `key=value` on the way to a file say.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::calendar::Zone;
use crate::expr::{cast, number};

/// The value of a folder `key=value` that stands for NULL, as Hive writes it.
pub(crate) const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// A folder `key=value`.
pub(super) struct Folder<'p> {
    pub(super) key: String,
    /// As it is written, with its escapes.
    value: &'p str,
    /// How many folders lie above it.
    pub(super) above: usize,
}

/// Those on the way to a file.
pub(super) fn folders(path: &str) -> Vec<Folder<'_>> {
    let (folders, _) = path.rsplit_once('/').unwrap_or_default();
    let folders = folders.split('/').enumerate();
    folders
        .filter_map(|(above, name)| {
            let (key, value) = name.split_once('=')?;
            (!key.is_empty()).then(|| Folder {
                key: unescaped(key),
                value,
                above,
            })
        })
        .collect()
}

impl Folder<'_> {
    /// Its value in a column, read as Spark reads it: more strictly than a cast, and texts alone have escapes.
    ///
    /// # Errors
    /// When it says none of the column's type.
    pub(super) fn value(&self, column: &Field, zone: Zone) -> Result<Value, RecordError> {
        if self.value == HIVE_NULL {
            return Ok(Value::Null);
        }
        if self.value.is_empty() {
            return Err(RecordError::decode(format!(
                "the folder `{}=` says no value: one for NULL is called `{}={HIVE_NULL}`",
                self.key, self.key
            )));
        }
        value(self.value, &column.data_type, zone).ok_or_else(|| {
            RecordError::decode(format!(
                "the folder `{}=...` says no {}, as the column is declared",
                column.name, column.data_type
            ))
            .with_content(self.value)
        })
    }
}

fn value(text: &str, to: &DataType, zone: Zone) -> Option<Value> {
    use DataType as T;
    Some(match to {
        T::String => Value::from(unescaped(text).as_str()),
        T::Binary => Value::Binary(text.as_bytes().into()),
        T::TinyInt => Value::TinyInt(text.parse().ok()?),
        T::SmallInt => Value::SmallInt(text.parse().ok()?),
        T::Int => Value::Int(text.parse().ok()?),
        T::BigInt => Value::BigInt(text.parse().ok()?),
        T::Double => Value::Double(number::parse_double(text.trim_matches(|c| c <= ' '))?),
        T::Decimal { precision, scale } => match number::parse_decimal(text, *precision, *scale) {
            Some(unscaled) => Value::Decimal(unscaled.into()),
            // A number that is too great is NULL.
            None if is_number(text) => Value::Null,
            None => return None,
        },
        T::Boolean if text.eq_ignore_ascii_case("true") => Value::Boolean(true),
        T::Boolean if text.eq_ignore_ascii_case("false") => Value::Boolean(false),
        T::Boolean => return None,
        other => return cast::parse(&unescaped(text), other, zone, false),
    })
}

/// Whether a text is a number in digits, however great.
fn is_number(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_digit() || c == '.') && number::parse_double(text).is_some()
}

/// A name with its escapes `%3A` undone, as Hive writes characters that a folder's name cannot hold: each is one character.
fn unescaped(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, behind)) = rest.split_once('%') {
        plain.push_str(before);
        let digits = behind.get(..2).filter(|digits| !digits.starts_with('+'));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                plain.push(char::from(code));
                rest = &behind[2..];
            }
            None => {
                plain.push('%');
                rest = behind;
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_have_the_escapes_of_hive() {
        assert_eq!(unescaped("10%3A30"), "10:30");
        assert_eq!(unescaped("100%"), "100%");
        assert_eq!(unescaped("%zz%+1%é"), "%zz%+1%é");
        assert_eq!(unescaped("%FC"), "ü");
    }
}
