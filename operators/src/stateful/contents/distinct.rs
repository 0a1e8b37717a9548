//! The keys that a DISTINCT remembers.

use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::{Form, Reader, Show, Shown, seconds};
use crate::stateful::bytes::{decode_row, read_varint, unzigzag};

/// DISTINCT: a key, until when it is remembered, and when it came.
pub(super) struct DistinctReader {
    types: Vec<DataType>,
    forms: [Form; 1],
}

impl DistinctReader {
    pub(super) fn new(keys: Vec<Field>) -> Self {
        Self {
            types: keys.iter().map(|field| field.data_type.clone()).collect(),
            forms: [Form {
                what: "key",
                key: keys,
                value: Vec::new(),
                about: vec![
                    Field::nullable("until", DataType::Timestamp),
                    Field::nullable("came", DataType::Timestamp),
                ],
            }],
        }
    }
}

impl Reader for DistinctReader {
    fn forms(&self) -> &[Form] {
        &self.forms
    }

    fn entry(
        &mut self,
        _layout: &str,
        mut key: &[u8],
        mut value: &[u8],
        show: &mut Show<'_>,
    ) -> Option<()> {
        let keys = decode_row(&mut key, &self.types)?;
        let until = read_varint(&mut value)?.checked_sub(1).map(unzigzag);
        let came = seconds(read_varint(&mut value)?);
        show(Shown {
            form: 0,
            key: &keys,
            value: &[],
            about: &[until.map_or(Value::Null, Value::Timestamp), came],
        });
        key.is_empty().then_some(())
    }
}
