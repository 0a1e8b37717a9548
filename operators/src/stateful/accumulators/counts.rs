//! Counts, and what holds for all or any: `count`, `count_if`, `bool_and`, `bool_or`, `bit_and`, `bit_or`, `bit_xor`.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::accumulator::Accumulator;
use crate::stateful::bytes::{read_varint, write_varint};

/// `count(*)`, `count(x, ...)` and `count_if(x)`.
pub(super) struct Count {
    arguments: Vec<usize>,
    /// Whether only `true` counts.
    if_true: bool,
}

impl Count {
    pub(super) fn new(arguments: Vec<usize>, if_true: bool) -> Self {
        Self { arguments, if_true }
    }
}

impl Accumulator for Count {
    fn words(&self) -> usize {
        1
    }

    #[inline]
    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        let counts = if self.if_true {
            matches!(row[self.arguments[0]], Value::Boolean(true))
        } else {
            self.arguments.iter().all(|&place| !row[place].is_null())
        };
        cell[0] += u64::from(counts);
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        into[0] += from[0];
        Ok(())
    }

    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        Ok(Value::BigInt(cell[0].cast_signed()))
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        write_varint(cell[0], out);
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        cell[0] = read_varint(bytes)?;
        Some(())
    }
}

/// How bits of two values become those of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    And,
    Or,
    Xor,
}

/// Bits of all values together; a BOOLEAN is one bit.
pub(super) struct Bits {
    argument: usize,
    data_type: DataType,
    join: Join,
}

impl Bits {
    pub(super) fn new(argument: usize, data_type: DataType, join: Join) -> Self {
        Self {
            argument,
            data_type,
            join,
        }
    }

    fn take(&self, cell: &mut [u64], bits: u64) {
        cell[0] = match self.join {
            _ if cell[1] == 0 => bits,
            Join::And => cell[0] & bits,
            Join::Or => cell[0] | bits,
            Join::Xor => cell[0] ^ bits,
        };
        cell[1] = 1;
    }
}

impl Accumulator for Bits {
    fn words(&self) -> usize {
        2
    }

    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        let bits = match row[self.argument] {
            Value::Boolean(value) => i64::from(value),
            Value::TinyInt(number) => i64::from(number),
            Value::SmallInt(number) => i64::from(number),
            Value::Int(number) => i64::from(number),
            Value::BigInt(number) => number,
            _ => return Ok(()),
        };
        self.take(cell, bits.cast_unsigned());
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        if from[1] != 0 {
            self.take(into, from[0]);
        }
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation)]
    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        let bits = cell[0].cast_signed();
        Ok(match self.data_type {
            _ if cell[1] == 0 => Value::Null,
            DataType::Boolean => Value::Boolean(bits != 0),
            // Each came from this width, so nothing is lost.
            DataType::TinyInt => Value::TinyInt(bits as i8),
            DataType::SmallInt => Value::SmallInt(bits as i16),
            DataType::Int => Value::Int(bits as i32),
            _ => Value::BigInt(bits),
        })
    }

    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        write_varint(cell[1], out);
        write_varint(cell[0], out);
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        cell[1] = read_varint(bytes)?;
        cell[0] = read_varint(bytes)?;
        Some(())
    }
}
