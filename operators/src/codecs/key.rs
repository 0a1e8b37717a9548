//! Message keys as columns: one is its text, several are one JSON object, as they are written.

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::json::{self, JsonOptions};
use super::{Decoder, Mode};
use crate::expr::calendar::Zone;
use crate::expr::cast;

/// Why this column cannot be (a part of) a key, if it cannot.
pub fn unsupported(column: &Field) -> Option<String> {
    match &column.data_type {
        DataType::Array(_) | DataType::Map(_) | DataType::Struct(_) | DataType::Void => {
            Some(format!("a key is no {}", column.data_type))
        }
        DataType::Float | DataType::Double => Some(format!(
            "a key of type {} is equal to hardly any other",
            column.data_type
        )),
        other => json::unsupported(other),
    }
}

/// Reads the columns of a key.
pub struct KeyDecoder {
    columns: Vec<Field>,
    zone: Zone,
    object: Option<Box<dyn Decoder>>,
}

impl KeyDecoder {
    /// A decoder of keys of these columns.
    pub fn new(columns: &[Field], options: &JsonOptions) -> Self {
        let columns: Vec<Field> = columns
            .iter()
            .map(|column| Field::required(column.name.clone(), column.data_type.clone()))
            .collect();
        let places: Vec<usize> = (0..columns.len()).collect();
        Self {
            object: (columns.len() > 1)
                .then(|| json::decoder(&columns, &places, Mode::FailFast, options)),
            columns,
            zone: options.zone(),
        }
    }

    /// Appends the columns to `row`, in their order.
    ///
    /// # Errors
    /// When there is no key, or it is not of these columns.
    pub fn decode(&mut self, key: Option<&[u8]>, row: &mut Row) -> Result<(), RecordError> {
        let Some(key) = key else {
            return Err(RecordError::decode(
                "the record has no key, which holds the PRIMARY KEY of its table",
            ));
        };
        if let Some(object) = &mut self.object {
            let decoded = object.decode(key, row);
            return decoded.map(|_| ()).map_err(|error| RecordError {
                reason: format!("the key is {}", error.reason).into(),
                ..error
            });
        }
        let Some(column) = self.columns.first() else {
            return Ok(());
        };
        if column.data_type == DataType::Binary {
            row.push(Value::Binary(key.into()));
            return Ok(());
        }
        let value = std::str::from_utf8(key)
            .ok()
            .and_then(|text| match column.data_type {
                DataType::String => Some(Value::String(SmolStr::new(text))),
                _ => cast::parse(text, &column.data_type, self.zone, false),
            });
        match value {
            Some(value) => row.push(value),
            None => {
                return Err(RecordError::decode(format!(
                    "the key is no {}, as column `{}` is declared",
                    column.data_type, column.name
                ))
                .with_content(String::from_utf8_lossy(key)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(columns: &[Field], key: Option<&str>) -> Result<Row, String> {
        let mut row = Row::new();
        KeyDecoder::new(columns, &JsonOptions::default())
            .decode(key.map(str::as_bytes), &mut row)
            .map_err(|error| error.reason.to_string())?;
        Ok(row)
    }

    #[test]
    fn one_column_is_its_text() {
        let id = [Field::nullable("id", DataType::BigInt)];
        let name = [Field::nullable("name", DataType::String)];
        assert_eq!(read(&id, Some("7")), Ok(vec![Value::BigInt(7)]));
        assert_eq!(read(&name, Some("7")), Ok(vec![Value::from("7")]));
        assert_eq!(read(&name, Some("")), Ok(vec![Value::from("")]));
        let wrong = read(&id, Some("seven")).unwrap_err();
        assert_eq!(wrong, "the key is no BIGINT, as column `id` is declared");
        assert!(read(&id, None).unwrap_err().contains("no key"));
    }

    #[test]
    fn several_are_json() {
        let both = [
            Field::nullable("id", DataType::BigInt),
            Field::nullable("shop", DataType::String),
        ];
        let read = |key| read(&both, Some(key));
        let row = vec![Value::BigInt(7), Value::from("a")];
        assert_eq!(read(r#"{"shop":"a","id":7}"#), Ok(row));
        assert!(read(r#"{"id":7}"#).unwrap_err().contains("`shop`"));
        assert!(read("7").unwrap_err().starts_with("the key is"));
    }
}
