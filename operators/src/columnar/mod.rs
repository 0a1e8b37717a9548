//! Arrow's arrays as the values of declared columns: what the readers of parquet and orc share.
//!
//! A column of a file is found by its name, as Spark finds it: first exactly, then in any case. Its type may be narrower
//! than the declared one, as Spark allows it; a column that the file lacks is NULL.

mod cells;
mod nested;
#[cfg(test)]
mod stories;

use std::sync::Arc;
use std::vec::IntoIter;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType as Arrow, Field as ArrowField, Fields, Int64Type, TimestampMicrosecondType,
};
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::files::format::{Batch, Item};

pub(crate) use cells::Cells;

/// Why a column cannot be read from files of columns, if it cannot.
pub(crate) fn unsupported(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Void | DataType::YearMonthInterval | DataType::DayTimeInterval => {
            Some(format!("such files have no values of type {data_type}"))
        }
        DataType::Array(element) => unsupported(element),
        DataType::Map(pair) => unsupported(&pair.0).or_else(|| unsupported(&pair.1)),
        DataType::Struct(fields) => fields
            .iter()
            .find_map(|field| unsupported(&field.data_type)),
        _ => None,
    }
}

/// Which of a file's columns are read for the wanted ones.
pub(crate) struct Projection {
    wanted: Vec<Wanted>,
    /// The file's columns that are read, ascending.
    pub(crate) roots: Vec<usize>,
    /// Whether a whole number may be a time without zone: so Spark writes these to ORC.
    pub(crate) whole_times: bool,
}

struct Wanted {
    field: Field,
    /// The place among those that are read; None where the file has no such column.
    place: Option<usize>,
    /// Whether its texts stand with blanks behind them, up to their length.
    padded: bool,
}

impl Projection {
    /// Finds the wanted columns in a file's.
    pub(crate) fn new(columns: &[Field], wanted: &[usize], file: &Fields) -> Self {
        Self::found(columns, wanted, |_, field| position(file, &field.name))
    }

    /// The same of a file whose columns have their places for names.
    #[cfg(feature = "orc")]
    pub(crate) fn by_place(columns: &[Field], wanted: &[usize], file: &Fields) -> Self {
        Self::found(columns, wanted, |place, _| {
            (place < file.len()).then_some(place)
        })
    }

    /// Leaves out the blanks behind texts of those columns of the file of which this is so: CHAR of a length.
    #[cfg(feature = "orc")]
    pub(crate) fn unpad(&mut self, is_padded: impl Fn(usize) -> bool) {
        for wanted in &mut self.wanted {
            let root = wanted.place.and_then(|place| self.roots.get(place));
            wanted.padded = root.is_some_and(|root| is_padded(*root));
        }
    }

    fn found(
        columns: &[Field],
        wanted: &[usize],
        find: impl Fn(usize, &Field) -> Option<usize>,
    ) -> Self {
        let found: Vec<(Field, Option<usize>)> = wanted
            .iter()
            .filter_map(|place| Some((*place, columns.get(*place)?)))
            .map(|(place, field)| (field.clone(), find(place, field)))
            .collect();
        let mut roots: Vec<usize> = found.iter().filter_map(|(_, root)| *root).collect();
        roots.sort_unstable();
        roots.dedup();
        let wanted = found
            .into_iter()
            .map(|(field, root)| Wanted {
                field,
                place: root.and_then(|root| roots.iter().position(|known| *known == root)),
                padded: false,
            })
            .collect();
        Self {
            wanted,
            roots,
            whole_times: false,
        }
    }

    /// The rows of a batch of the columns that are read; `count` where there are none of these.
    ///
    /// # Errors
    /// When a column's type is none that the declared one can be read from.
    pub(crate) fn rows(&self, batch: &RecordBatch) -> Result<Batch, RecordError> {
        let count = batch.num_rows();
        let width = self.wanted.len();
        let mut columns: Vec<IntoIter<Value>> = Vec::with_capacity(width);
        let mut bad: Vec<(usize, RecordError)> = Vec::new();
        for wanted in &self.wanted {
            let field = &wanted.field;
            let Some(place) = wanted.place else {
                if !field.nullable {
                    bad.extend((0..count).map(|row| (row, without_value(field))));
                }
                // Where a column has no more values, NULL stands.
                columns.push(Vec::new().into_iter());
                continue;
            };
            let mut array = Arc::clone(batch.column(place));
            let is_time = field.data_type == DataType::TimestampNtz;
            if self.whole_times && is_time && *array.data_type() == Arrow::Int64 {
                let times = array.as_primitive::<Int64Type>();
                array = Arc::new(times.reinterpret_cast::<TimestampMicrosecondType>());
            }
            let mut cells = Cells::with_capacity(count);
            if !cells.read(&array, &field.data_type) {
                return Err(RecordError::decode(format!(
                    "column `{}` is {} in the file, which cannot be read as {}",
                    field.name,
                    in_the_file(array.data_type()),
                    field.data_type
                )));
            }
            if wanted.padded {
                cells.unpad();
            }
            for place in cells.bad.drain(..) {
                bad.push((place, misfit(field)));
            }
            if !field.nullable && array.null_count() > 0 {
                let nulls = (0..count).filter(|row| array.is_null(*row));
                bad.extend(nulls.map(|row| (row, without_value(field))));
            }
            columns.push(cells.values.into_iter());
        }
        // Each value is written once: filling rows with NULLs first takes as long as this.
        let mut values = Vec::with_capacity(count * width);
        for _ in 0..count {
            let row = columns.iter_mut();
            values.extend(row.map(|column| column.next().unwrap_or_default()));
        }
        let mut items: Vec<Item> = (0..count).map(|_| Item::Row(())).collect();
        if !bad.is_empty() {
            for (row, error) in bad {
                items[row] = Item::Bad(Box::new(error));
            }
            // Only rows have values.
            let mut place = 0..;
            values.retain(|_| {
                let row = place.next().unwrap_or(0) / width;
                matches!(items[row], Item::Row(()))
            });
        }
        Ok(Batch {
            items,
            values,
            width,
            ..Batch::default()
        })
    }
}

/// What a column is in the file: texts are read as bytes, so they are told apart by their place only.
fn in_the_file(data_type: &Arrow) -> String {
    match data_type {
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Binary | Arrow::LargeBinary => {
            "text or bytes".to_owned()
        }
        other => other.to_string(),
    }
}

#[cold]
fn without_value(field: &Field) -> RecordError {
    RecordError::decode(format!(
        "column `{}` is NOT NULL, but absent or null",
        field.name
    ))
}

#[cold]
fn misfit(field: &Field) -> RecordError {
    RecordError::decode(format!(
        "column `{}` is {}, the file's value is beyond that",
        field.name, field.data_type
    ))
}

/// The place of the column of this name: exactly, else in any case.
fn position(file: &Fields, name: &str) -> Option<usize> {
    let exact = file.iter().position(|field| field.name() == name);
    exact.or_else(|| {
        let lower = name.to_lowercase();
        let same = |field: &ArrowField| field.name().to_lowercase() == lower;
        file.iter().position(|field| same(field))
    })
}
