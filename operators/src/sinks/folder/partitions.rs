//! PARTITIONED BY: the folder that a row belongs to, named as Spark names it.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::calendar::Zone;
use crate::expr::text;

/// What stands for NULL, and for the empty text.
const NONE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The longest name that file systems take.
const NAME_MAX: usize = 255;

/// The columns that say which folder a row belongs to.
pub(super) struct Partitions {
    columns: Vec<Column>,
    zone: Zone,
    scratch: String,
}

struct Column {
    place: usize,
    /// `name=`, escaped.
    prefix: String,
    data_type: DataType,
}

impl Partitions {
    /// Of the columns at these places.
    pub(super) fn new(fields: &[Field], places: &[usize], zone: Zone) -> Self {
        let columns = places.iter().map(|place| {
            let mut prefix = String::new();
            escape(&mut prefix, &fields[*place].name);
            prefix.push('=');
            Column {
                place: *place,
                prefix,
                data_type: fields[*place].data_type.clone(),
            }
        });
        Self {
            columns: columns.collect(),
            zone,
            scratch: String::new(),
        }
    }

    /// Whether all rows belong to one folder.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Appends the folder of a row, such as `day=2026-01-31/kind=a`; nothing without columns.
    pub(super) fn append(&mut self, row: &[Value], out: &mut String) -> Result<(), RecordError> {
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push('/');
            }
            let start = out.len();
            out.push_str(&column.prefix);
            self.scratch.clear();
            match row.get(column.place) {
                None | Some(Value::Null) => {}
                Some(value) => text::append(&mut self.scratch, value, &column.data_type, self.zone),
            }
            if self.scratch.is_empty() {
                out.push_str(NONE);
            } else {
                escape(out, &self.scratch);
            }
            if out.len() - start > NAME_MAX {
                return Err(RecordError::write(format!(
                    "the value of a column of PARTITIONED BY is too long for the name of a folder: `{}` and it may take \
                     {NAME_MAX} bytes",
                    column.prefix.trim_end_matches('=')
                )));
            }
        }
        Ok(())
    }
}

/// Why a column of this type cannot name a folder, if it cannot.
pub(super) fn unsupported(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Array(_) | DataType::Map(_) | DataType::Struct(_) | DataType::Void
    )
}

/// A text as the name of a folder.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(&mut out, text);
    out
}

/// Escapes what Spark escapes in the name of a folder.
fn escape(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for c in text.chars() {
        let special = matches!(
            c,
            '\u{1}'
                ..='\u{1f}'
                    | '\u{7f}'
                    | '"'
                    | '#'
                    | '%'
                    | '\''
                    | '*'
                    | '/'
                    | ':'
                    | '='
                    | '?'
                    | '\\'
                    | '{'
                    | '['
                    | ']'
                    | '^'
        );
        // A NUL ends a name for the system; Spark cannot write it at all.
        if special || c == '\0' {
            let byte = c as usize;
            out.push('%');
            out.push(char::from(HEX[byte >> 4]));
            out.push(char::from(HEX[byte & 15]));
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(values: &[(&str, DataType, Value)]) -> String {
        let fields: Vec<Field> = values
            .iter()
            .map(|(name, data_type, _)| Field::nullable(*name, data_type.clone()))
            .collect();
        let places: Vec<usize> = (0..fields.len()).collect();
        let row: Vec<Value> = values.iter().map(|(_, _, value)| value.clone()).collect();
        let mut out = String::new();
        Partitions::new(&fields, &places, Zone::UTC)
            .append(&row, &mut out)
            .unwrap();
        out
    }

    #[test]
    fn folders_are_named_as_spark_names_them() {
        let text = |value: &str| ("k", DataType::String, Value::from(value));
        assert_eq!(
            folder(&[("day", DataType::Date, Value::Date(20_484)), text("a b")]),
            "day=2026-01-31/k=a b"
        );
        assert_eq!(
            folder(&[text("a/b:c=d%{e}[f]^g")]),
            "k=a%2Fb%3Ac%3Dd%25%7Be}%5Bf%5D%5Eg"
        );
        assert_eq!(folder(&[text("größer\n")]), "k=größer%0A");
        assert_eq!(
            folder(&[("t", DataType::Timestamp, Value::Timestamp(0))]),
            "t=1970-01-01 00%3A00%3A00"
        );
    }

    #[test]
    fn null_and_the_empty_text_have_a_folder_of_their_own() {
        let none = "k=__HIVE_DEFAULT_PARTITION__";
        assert_eq!(folder(&[("k", DataType::Int, Value::Null)]), none);
        assert_eq!(folder(&[("k", DataType::String, Value::from(""))]), none);
    }

    #[test]
    fn a_value_that_no_folder_can_be_named_after_is_an_error_of_its_record() {
        let fields = [Field::nullable("k", DataType::String)];
        let mut out = String::new();
        let long = Value::from(&*"x".repeat(300));
        assert!(
            Partitions::new(&fields, &[0], Zone::UTC)
                .append(&[long], &mut out)
                .is_err()
        );
    }
}
