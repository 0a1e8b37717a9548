//! Values of Avro to the wanted columns, by the schema that each value names.

use std::sync::Arc;
use std::task::Waker;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::Field;

use super::cells::{Named, record};
use super::questions::{Answer, Questions};
use super::{HEAD, MAGIC};
use crate::codecs::{Decoded, Decoder, Mode};

/// Bytes of a value that an error shows.
const SHOWN: usize = 8;

/// The decoder of one partition.
pub(crate) struct AvroDecoder {
    questions: Arc<Questions>,
    /// The wanted columns.
    columns: Vec<Field>,
    mode: Mode,
    /// The schema of the last value, which the next one has most often too.
    last: Option<(u32, Arc<Named>)>,
}

impl AvroDecoder {
    pub(crate) fn new(questions: Arc<Questions>, columns: Vec<Field>, mode: Mode) -> Self {
        Self {
            questions,
            columns,
            mode,
            last: None,
        }
    }

    /// The id of the value's schema, and what it explains.
    fn split(bytes: &[u8]) -> Result<(u32, &[u8]), RecordError> {
        match bytes {
            [MAGIC, a, b, c, d, rest @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), rest)),
            _ => {
                let shown = &bytes[..bytes.len().min(SHOWN)];
                let error = RecordError::decode(format!(
                    "the value is not in the format of a schema registry, a zero byte and {} bytes that name a schema",
                    HEAD - 1
                ));
                Err(error.with_content(format!("it begins with {shown:02x?}")))
            }
        }
    }

    fn schema(&mut self, id: u32) -> Result<Arc<Named>, RecordError> {
        if let Some((last, schema)) = &self.last
            && *last == id
        {
            return Ok(Arc::clone(schema));
        }
        match self.questions.look_up(id) {
            Answer::Schema(schema) => {
                self.last = Some((id, Arc::clone(&schema)));
                Ok(schema)
            }
            Answer::Unusable(why) => Err(RecordError::decode(why)),
            Answer::Open => Err(RecordError::decode(format!(
                "the registry has not said yet what the schema of the id {id} is"
            ))),
        }
    }

    fn row(&mut self, bytes: &[u8], row: &mut Row) -> Result<(), RecordError> {
        let (id, mut rest) = Self::split(bytes)?;
        let named = self.schema(id)?;
        let reader = GenericDatumReader::builder(&named.schema).build();
        let value = reader.and_then(|reader| reader.read_value(&mut rest));
        let value = value.map_err(|error| {
            RecordError::decode(format!(
                "the value does not fit its schema, that of the id {id}: {error}"
            ))
        })?;
        let Avro::Record(values) = value else {
            return Err(RecordError::decode(format!(
                "the schema of the id {id} is no record, so it has no columns"
            )));
        };
        record(values, &named.schema, &named, &self.columns, row).map_err(RecordError::decode)
    }
}

impl Decoder for AvroDecoder {
    fn decode(&mut self, bytes: &[u8], row: &mut Row) -> Result<Decoded, RecordError> {
        let before = row.len();
        let Err(error) = self.row(bytes, row) else {
            return Ok(Decoded::Row);
        };
        match self.mode {
            Mode::Permissive if self.columns.iter().all(|column| column.nullable) => {
                row.truncate(before);
                row.resize(before + self.columns.len(), Value::Null);
                Ok(Decoded::Row)
            }
            Mode::DropMalformed => {
                row.truncate(before);
                Ok(Decoded::Dropped)
            }
            Mode::Permissive | Mode::FailFast => Err(error),
        }
    }

    fn undecided(&mut self, bytes: &[u8], waker: &Waker) -> bool {
        let Ok((id, _)) = Self::split(bytes) else {
            return false;
        };
        if self.last.as_ref().is_some_and(|(last, _)| *last == id) {
            return false;
        }
        matches!(self.questions.look_up(id), Answer::Open) && self.questions.waits(id, waker)
    }
}
