//! The keys of a step that a program writes: their values and their timers.

use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::{Form, Reader, Show, Shown, seconds};
use crate::stateful::bytes::{decode_row, read_varint};
use crate::stateful::processor::{Timer, read_cell};

/// A processor's state.
pub(super) struct ProcessorReader {
    keys: Vec<DataType>,
    values: Vec<DataType>,
    forms: [Form; 1],
}

impl ProcessorReader {
    pub(super) fn new(keys: Vec<Field>, value: Vec<Field>) -> Self {
        let types = |fields: &[Field]| -> Vec<DataType> {
            fields.iter().map(|f| f.data_type.clone()).collect()
        };
        let times = |name| Field::nullable(name, DataType::Array(DataType::Timestamp.into()));
        Self {
            keys: types(&keys),
            values: types(&value),
            forms: [Form {
                what: "key",
                key: keys,
                // A key may have timers alone.
                value: value
                    .into_iter()
                    .map(|field| Field::nullable(field.name, field.data_type))
                    .collect(),
                about: vec![
                    times("event_timers"),
                    times("clock_timers"),
                    Field::nullable("changed", DataType::Timestamp),
                ],
            }],
        }
    }
}

/// Times as a list; NULL for none.
fn times(all: impl Iterator<Item = i64>) -> Value {
    let all: Vec<Value> = all.map(Value::Timestamp).collect();
    if all.is_empty() {
        Value::Null
    } else {
        Value::Array(all.into())
    }
}

impl Reader for ProcessorReader {
    fn forms(&self) -> &[Form] {
        &self.forms
    }

    fn entry(
        &mut self,
        _layout: &str,
        mut key: &[u8],
        mut bytes: &[u8],
        show: &mut Show<'_>,
    ) -> Option<()> {
        let keys = decode_row(&mut key, &self.keys)?;
        let changed = seconds(read_varint(&mut bytes)?);
        let (value, timers) = read_cell(&mut bytes, &self.values)?;
        let value = value.unwrap_or_else(|| vec![Value::Null; self.values.len()]);
        let event = timers.iter().filter_map(|timer| match timer {
            Timer::Event(time) => Some(*time),
            Timer::Processing(_) => None,
        });
        let clock = timers.iter().filter_map(|timer| match timer {
            Timer::Processing(time) => Some(*time),
            Timer::Event(_) => None,
        });
        show(Shown {
            form: 0,
            key: &keys,
            value: &value,
            about: &[times(event), times(clock), changed],
        });
        (key.is_empty() && bytes.is_empty()).then_some(())
    }
}
