//! Arrays, maps and structs of a column.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::datatypes::DataType as Arrow;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::cells::Cells;
use super::position;

impl Cells {
    /// Whether a value in this range does not fit.
    fn has_bad(&self, range: &Range<usize>) -> bool {
        let from = self.bad.partition_point(|place| *place < range.start);
        self.bad.get(from).is_some_and(|place| *place < range.end)
    }

    /// Appends a value, or NULL and that it does not fit.
    fn push(&mut self, fits: bool, value: Value) {
        if !fits {
            self.bad.push(self.values.len());
        }
        self.values.push(if fits { value } else { Value::Null });
    }

    pub(super) fn lists(&mut self, array: &ArrayRef, element: &DataType) -> bool {
        match array.data_type() {
            Arrow::List(_) => self.list::<i32>(array, element),
            Arrow::LargeList(_) => self.list::<i64>(array, element),
            _ => false,
        }
    }

    fn list<O: OffsetSizeTrait>(&mut self, array: &ArrayRef, element: &DataType) -> bool {
        let array = array.as_list::<O>();
        let mut elements = Self::with_capacity(array.values().len());
        if !elements.read(array.values(), element) {
            return false;
        }
        for row in 0..array.len() {
            if array.is_null(row) {
                self.values.push(Value::Null);
                continue;
            }
            let offsets = array.value_offsets();
            let range = offsets[row].as_usize()..offsets[row + 1].as_usize();
            let fits = !elements.has_bad(&range);
            self.push(fits, Value::Array(elements.values[range].into()));
        }
        true
    }

    pub(super) fn maps(&mut self, array: &ArrayRef, key: &DataType, value: &DataType) -> bool {
        let Some(array) = array.as_map_opt() else {
            return false;
        };
        let (mut keys, mut values) = (Self::default(), Self::default());
        if !keys.read(array.keys(), key) || !values.read(array.values(), value) {
            return false;
        }
        for row in 0..array.len() {
            if array.is_null(row) {
                self.values.push(Value::Null);
                continue;
            }
            let offsets = array.value_offsets();
            let from = usize::try_from(offsets[row]).unwrap_or_default();
            let to = usize::try_from(offsets[row + 1]).unwrap_or_default();
            let fits = !keys.has_bad(&(from..to)) && !values.has_bad(&(from..to));
            let pairs: Arc<[(Value, Value)]> = (from..to)
                .map(|place| (keys.values[place].clone(), values.values[place].clone()))
                .collect();
            self.push(fits, Value::Map(pairs));
        }
        true
    }

    pub(super) fn structs(&mut self, array: &ArrayRef, fields: &[Field]) -> bool {
        let Some(array) = array.as_struct_opt() else {
            return false;
        };
        let mut parts: Vec<Option<Self>> = Vec::with_capacity(fields.len());
        for field in fields {
            parts.push(match position(array.fields(), &field.name) {
                None => None,
                Some(place) => {
                    let mut cells = Self::with_capacity(array.len());
                    if !cells.read(array.column(place), &field.data_type) {
                        return false;
                    }
                    Some(cells)
                }
            });
        }
        for row in 0..array.len() {
            if array.is_null(row) {
                self.values.push(Value::Null);
                continue;
            }
            let part = |cells: &mut Option<Self>| match cells {
                Some(cells) => std::mem::take(&mut cells.values[row]),
                None => Value::Null,
            };
            let values: Arc<[Value]> = parts.iter_mut().map(part).collect();
            let whole = row..row + 1;
            let fits = !parts.iter().flatten().any(|cells| cells.has_bad(&whole));
            self.push(fits, Value::Struct(values));
        }
        true
    }
}
