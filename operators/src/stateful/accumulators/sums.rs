//! `sum` and `avg`, and `try_sum` and `try_avg`.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use super::place::{read_i128, write_i128};
use crate::expr::decimal;
use crate::stateful::bytes::{read_varint, take_array, unzigzag, write_varint, zigzag};

/// The values of one column as numbers of the same kind.
#[derive(Clone, Debug)]
enum Kind {
    /// Integers and intervals, in 64 bits.
    Whole,
    /// Decimals of a scale, whose sum may have so many digits.
    Decimal { scale: u8, precision: u8 },
    /// Everything else.
    Double,
}

/// A sum with the number of what was summed.
///
/// Words: how many; the sum (two words for decimals). Once a sum has overflowed that may be NULL, it stays so: the
/// count's highest bit says so.
pub(super) struct Sum {
    argument: usize,
    data_type: DataType,
    kind: Kind,
    result: DataType,
    average: bool,
    overflow: Overflow,
}

/// What becomes of a sum that overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    /// An error of the record (ANSI).
    Error,
    /// Integers wrap, decimals are NULL from then on, intervals an error.
    Wrap,
    /// NULL from then on: `try_sum`, `try_avg`.
    Null,
}

const OVERFLOWED: u64 = 1 << 63;

impl Sum {
    pub(super) fn new(
        argument: usize,
        data_type: DataType,
        result: DataType,
        average: bool,
        overflow: Overflow,
    ) -> Self {
        let kind = match &data_type {
            DataType::Decimal { precision, scale } => Kind::Decimal {
                scale: *scale,
                precision: precision.saturating_add(10).min(decimal::MAX_PRECISION),
            },
            DataType::YearMonthInterval | DataType::DayTimeInterval => Kind::Whole,
            // Spark averages integers as doubles.
            data_type if data_type.is_integer() && !average => Kind::Whole,
            _ => Kind::Double,
        };
        Self {
            argument,
            data_type,
            kind,
            result,
            average,
            overflow,
        }
    }

    fn overflowed(&self) -> RecordError {
        let name = if self.average { "avg" } else { "sum" };
        RecordError::expression(format!(
            "{name} overflows {}; cast its argument to a wider type",
            self.result
        ))
    }

    #[inline]
    fn add_whole(&self, cell: &mut [u64], number: i64) -> Result<(), RecordError> {
        let sum = cell[1].cast_signed();
        let months = matches!(self.result, DataType::YearMonthInterval);
        let next = match sum.checked_add(number) {
            Some(next) if !months || i32::try_from(next).is_ok() => next,
            _ if self.overflow == Overflow::Null => {
                cell[0] |= OVERFLOWED;
                return Ok(());
            }
            // Intervals have no other answer, whatever `ansi` says.
            _ if self.overflow == Overflow::Error || !self.data_type.is_integer() => {
                return Err(self.overflowed());
            }
            _ => sum.wrapping_add(number),
        };
        cell[1] = next.cast_unsigned();
        Ok(())
    }

    #[inline]
    fn add_decimal(
        &self,
        cell: &mut [u64],
        number: i128,
        precision: u8,
    ) -> Result<(), RecordError> {
        match read_i128(&cell[1..]).checked_add(number) {
            Some(next) if decimal::fits(next, precision) => write_i128(next, &mut cell[1..]),
            _ if self.overflow == Overflow::Error => return Err(self.overflowed()),
            _ => cell[0] |= OVERFLOWED,
        }
        Ok(())
    }

    fn mean(&self, cell: &[u64]) -> Result<Value, RecordError> {
        let count = cell[0] & !OVERFLOWED;
        let whole = || i128::from(cell[1].cast_signed());
        Ok(match (&self.kind, &self.result) {
            (Kind::Double, _) => {
                #[allow(clippy::cast_precision_loss)]
                let count = count as f64;
                Value::Double(f64::from_bits(cell[1]) / count)
            }
            (Kind::Whole, DataType::YearMonthInterval) => {
                let months = half_up(whole(), count);
                Value::YearMonthInterval(i32::try_from(months).map_err(|_| self.overflowed())?)
            }
            (Kind::Whole, _) => {
                let micros = half_up(whole(), count);
                Value::DayTimeInterval(i64::try_from(micros).map_err(|_| self.overflowed())?)
            }
            (
                Kind::Decimal { scale, .. },
                DataType::Decimal {
                    precision,
                    scale: to,
                },
            ) => {
                let sum = (read_i128(&cell[1..]), *scale);
                match decimal::divide(sum, (i128::from(count), 0), *precision, *to) {
                    Some(mean) => Value::Decimal(mean.into()),
                    None if self.overflow == Overflow::Error => return Err(self.overflowed()),
                    None => Value::Null,
                }
            }
            (Kind::Decimal { .. }, _) => Value::Null,
        })
    }
}

/// The quotient, rounded half away from zero.
fn half_up(number: i128, count: u64) -> i128 {
    decimal::divide(
        (number, 0),
        (i128::from(count), 0),
        decimal::MAX_PRECISION,
        0,
    )
    .unwrap_or(0)
}

/// A number as a double, without its scale.
pub(super) fn as_double(value: &Value) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)]
    Some(match value {
        Value::TinyInt(number) => f64::from(*number),
        Value::SmallInt(number) => f64::from(*number),
        Value::Int(number) => f64::from(*number),
        Value::BigInt(number) => *number as f64,
        Value::Float(number) => f64::from(*number),
        Value::Double(number) => *number,
        _ => return None,
    })
}

impl Accumulator for Sum {
    fn words(&self) -> usize {
        match self.kind {
            Kind::Decimal { .. } => 3,
            _ => 2,
        }
    }

    #[inline]
    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        match (&self.kind, &row[self.argument]) {
            (_, Value::Null) => return Ok(()),
            (Kind::Double, value) => {
                let Some(number) = as_double(value) else {
                    return Ok(());
                };
                cell[1] = (f64::from_bits(cell[1]) + number).to_bits();
            }
            (Kind::Decimal { precision, .. }, Value::Decimal(number)) => {
                self.add_decimal(cell, i128::from(*number), *precision)?;
            }
            (Kind::Whole, value) => {
                let number = match value {
                    Value::TinyInt(number) => i64::from(*number),
                    Value::SmallInt(number) => i64::from(*number),
                    Value::Int(number) | Value::YearMonthInterval(number) => i64::from(*number),
                    Value::BigInt(number) | Value::DayTimeInterval(number) => *number,
                    _ => return Ok(()),
                };
                self.add_whole(cell, number)?;
            }
            _ => return Ok(()),
        }
        cell[0] += 1;
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        match self.kind {
            Kind::Double => {
                into[1] = (f64::from_bits(into[1]) + f64::from_bits(from[1])).to_bits();
            }
            Kind::Whole => self.add_whole(into, from[1].cast_signed())?,
            Kind::Decimal { precision, .. } => {
                self.add_decimal(into, read_i128(&from[1..]), precision)?;
            }
        }
        let overflowed = (into[0] | from[0]) & OVERFLOWED;
        into[0] = ((into[0] & !OVERFLOWED) + (from[0] & !OVERFLOWED)) | overflowed;
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        if cell[0] == 0 || cell[0] & OVERFLOWED != 0 {
            return Ok(Value::Null);
        }
        if self.average {
            return self.mean(cell);
        }
        let whole = cell[1].cast_signed();
        Ok(match (&self.kind, &self.result) {
            (Kind::Double, _) => Value::Double(f64::from_bits(cell[1])),
            (Kind::Decimal { .. }, _) => Value::Decimal(read_i128(&cell[1..]).into()),
            (Kind::Whole, DataType::YearMonthInterval) => {
                Value::YearMonthInterval(i32::try_from(whole).map_err(|_| self.overflowed())?)
            }
            (Kind::Whole, DataType::DayTimeInterval) => Value::DayTimeInterval(whole),
            (Kind::Whole, _) => Value::BigInt(whole),
        })
    }

    #[inline]
    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        write_varint(cell[0].rotate_left(1), out);
        match self.kind {
            Kind::Whole => write_varint(zigzag(cell[1].cast_signed()), out),
            Kind::Double => out.extend_from_slice(&cell[1].to_le_bytes()),
            Kind::Decimal { .. } => out.extend_from_slice(&read_i128(&cell[1..]).to_le_bytes()),
        }
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        cell[0] = read_varint(bytes)?.rotate_right(1);
        match self.kind {
            Kind::Whole => cell[1] = unzigzag(read_varint(bytes)?).cast_unsigned(),
            Kind::Double => cell[1] = u64::from_le_bytes(take_array(bytes)?),
            Kind::Decimal { .. } => {
                write_i128(i128::from_le_bytes(take_array(bytes)?), &mut cell[1..]);
            }
        }
        Some(())
    }
}
