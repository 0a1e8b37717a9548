//! The `text` format: the whole value is one column; and the text form of message keys.

use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::json::{self, JsonOptions};
use super::{Decoded, Decoder, Encoder, Mode};
use crate::expr::calendar::Zone;
use crate::expr::text;

/// Why these columns cannot be read from text, if they cannot: it takes one column, a STRING.
pub fn unsupported(columns: &[Field]) -> Option<String> {
    match columns {
        [column] if column.data_type == DataType::String => None,
        [column] => Some(format!(
            "the format `text` gives a STRING, but column `{}` is {}",
            column.name, column.data_type
        )),
        _ => Some(format!(
            "the format `text` gives one column, not {}",
            columns.len()
        )),
    }
}

/// A decoder that takes the value as it is. `wanted` names the column, or none of them.
pub fn decoder(wanted: &[usize], mode: Mode) -> Box<dyn Decoder> {
    Box::new(TextDecoder {
        copies: wanted.len(),
        mode,
    })
}

struct TextDecoder {
    copies: usize,
    mode: Mode,
}

impl Decoder for TextDecoder {
    fn decode(&mut self, bytes: &[u8], row: &mut Row) -> Result<Decoded, RecordError> {
        let value = match (std::str::from_utf8(bytes), self.mode) {
            (Ok(text), _) => Value::String(SmolStr::new(text)),
            (Err(_), Mode::Permissive) => Value::Null,
            (Err(_), Mode::DropMalformed) => return Ok(Decoded::Dropped),
            (Err(error), Mode::FailFast) => {
                return Err(RecordError::decode(format!(
                    "not text: the bytes are not UTF-8, at byte {}",
                    error.valid_up_to()
                )));
            }
        };
        row.resize(row.len() + self.copies, value);
        Ok(Decoded::Row)
    }
}

/// An encoder of message keys: one column as its text in UTF-8 (BINARY as it is), several as one JSON object. NULL in
/// the one column appends nothing.
pub fn key_encoder(columns: &[Field], options: &JsonOptions) -> Box<dyn Encoder> {
    match columns {
        [column] => Box::new(TextEncoder {
            data_type: column.data_type.clone(),
            zone: options.zone(),
            scratch: String::new(),
        }),
        _ => json::encoder_with(
            &thalweg_engine::schema::Schema::new(columns.to_vec()),
            options,
        ),
    }
}

struct TextEncoder {
    data_type: DataType,
    zone: Zone,
    scratch: String,
}

impl Encoder for TextEncoder {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<(), RecordError> {
        match row.first() {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => out.extend_from_slice(text.as_bytes()),
            Some(Value::Binary(bytes)) => out.extend_from_slice(bytes),
            Some(value) => {
                self.scratch.clear();
                text::append(&mut self.scratch, value, &self.data_type, self.zone);
                out.extend_from_slice(self.scratch.as_bytes());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_value_is_one_column() {
        let mut row = Row::new();
        decoder(&[0], Mode::FailFast)
            .decode("größer".as_bytes(), &mut row)
            .unwrap();
        assert_eq!(row, [Value::from("größer")]);
    }

    #[test]
    fn bytes_that_are_no_text_go_the_way_of_the_mode() {
        let bytes = b"ab\xff";
        let mut row = Row::new();
        let error = decoder(&[0], Mode::FailFast)
            .decode(bytes, &mut row)
            .unwrap_err();
        assert_eq!(
            &*error.reason,
            "not text: the bytes are not UTF-8, at byte 2"
        );
        assert_eq!(
            decoder(&[0], Mode::DropMalformed).decode(bytes, &mut row),
            Ok(Decoded::Dropped)
        );
        assert!(row.is_empty());
        decoder(&[0], Mode::Permissive)
            .decode(bytes, &mut row)
            .unwrap();
        assert_eq!(row, [Value::Null]);
    }

    #[test]
    fn one_key_column_is_its_text_and_several_are_json() {
        let mut out = Vec::new();
        let id = Field::nullable("id", DataType::BigInt);
        let name = Field::nullable("name", DataType::String);
        key_encoder(std::slice::from_ref(&id), &JsonOptions::default())
            .encode(&[Value::BigInt(7)], &mut out)
            .unwrap();
        assert_eq!(out, b"7");
        out.clear();
        key_encoder(&[id, name], &JsonOptions::default())
            .encode(&[Value::BigInt(7), Value::from("a")], &mut out)
            .unwrap();
        assert_eq!(out, br#"{"id":7,"name":"a"}"#);
    }
}
