//! Times and days of ORC files. Times are read as decimals, for which alone the reader has room: it refuses what is finer than a
//! microsecond, and in nanoseconds most centuries do not fit. Here they become microseconds, and days of the old calendar those
//! of ours.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType as Arrow, Date32Type, Decimal128Type, FieldRef, Schema, SchemaRef,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;

use crate::expr::calendar::{MICROS_PER_DAY, of_julian};

/// How the reader is asked for times: nanoseconds, with nine digits behind the second.
const DECIMAL: Arrow = Arrow::Decimal128(38, 9);

/// How the times and days of one file are read.
pub(super) struct Times {
    schema: SchemaRef,
    hybrid: bool,
}

impl Times {
    /// `schema` is that of the columns that are read; `hybrid` says that days before 1582-10-15 are those of the Julian calendar.
    pub(super) fn new(schema: SchemaRef, hybrid: bool) -> Self {
        Self { schema, hybrid }
    }

    /// The schema that the reader is asked for.
    pub(super) fn asked(&self) -> SchemaRef {
        let fields = self.schema.fields().iter().map(asked);
        let fields: Vec<FieldRef> = fields.collect();
        Arc::new(Schema::new_with_metadata(
            fields,
            self.schema.metadata().clone(),
        ))
    }

    /// A batch of that schema with times as times.
    ///
    /// # Errors
    /// When a time is beyond what microseconds hold.
    pub(super) fn read(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let fields = self.schema.fields().iter();
        let columns = fields
            .zip(batch.columns())
            .map(|(field, column)| self.column(column, field.data_type()));
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect::<Result<_, _>>()?)
    }

    fn column(&self, array: &ArrayRef, to: &Arrow) -> Result<ArrayRef, ArrowError> {
        Ok(match to {
            Arrow::Timestamp(_, zone) => {
                let times: TimestampMicrosecondArray =
                    array
                        .as_primitive::<Decimal128Type>()
                        .try_unary::<_, TimestampMicrosecondType, ArrowError>(|nanos| {
                            let micros = i64::try_from(nanos.div_euclid(1000));
                            let micros = micros.map_err(|_| {
                                ArrowError::CastError(format!("{nanos} nanoseconds are no time"))
                            })?;
                            Ok(if self.hybrid {
                                moved_time(micros)
                            } else {
                                micros
                            })
                        })?;
                Arc::new(times.with_timezone_opt(zone.clone()))
            }
            Arrow::Date32 if self.hybrid => Arc::new(
                array
                    .as_primitive::<Date32Type>()
                    .unary::<_, Date32Type>(of_julian),
            ),
            Arrow::List(element) => {
                let list = array.as_list::<i32>();
                let values = self.column(list.values(), element.data_type())?;
                let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
                Arc::new(ListArray::try_new(
                    Arc::clone(element),
                    offsets,
                    values,
                    nulls,
                )?)
            }
            Arrow::Map(pair, sorted) => {
                let map = array.as_map();
                let pairs: ArrayRef = Arc::new(map.entries().clone());
                let pairs = self.column(&pairs, pair.data_type())?;
                let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
                Arc::new(MapArray::try_new(
                    Arc::clone(pair),
                    offsets,
                    pairs.as_struct().clone(),
                    nulls,
                    *sorted,
                )?)
            }
            Arrow::Struct(fields) if !fields.is_empty() => {
                let parts = array.as_struct();
                let columns = fields.iter().zip(parts.columns());
                let columns = columns.map(|(field, part)| self.column(part, field.data_type()));
                Arc::new(StructArray::try_new(
                    fields.clone(),
                    columns.collect::<Result<_, _>>()?,
                    parts.nulls().cloned(),
                )?)
            }
            _ => Arc::clone(array),
        })
    }
}

/// The field with times as decimals.
fn asked(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        Arrow::Timestamp(..) => DECIMAL,
        Arrow::List(element) => Arrow::List(asked(element)),
        Arrow::Map(pair, sorted) => Arrow::Map(asked(pair), *sorted),
        Arrow::Struct(fields) => Arrow::Struct(fields.iter().map(asked).collect()),
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

fn moved_time(micros: i64) -> i64 {
    let day = micros.div_euclid(MICROS_PER_DAY);
    let by = i32::try_from(day).map_or(0, |day| i64::from(of_julian(day)) - i64::from(day));
    micros.saturating_add(by * MICROS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_old_calendar_keep_their_names() {
        let time =
            i64::from(crate::expr::calendar::days(1500, 1, 10).unwrap()) * MICROS_PER_DAY + 5;
        assert_eq!(moved_time(time), time - 9 * MICROS_PER_DAY);
    }
}
