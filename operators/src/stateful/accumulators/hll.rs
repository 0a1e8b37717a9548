//! `approx_count_distinct`: HyperLogLog++ with as many registers as the standard deviation asks for; 512 for Spark's default
//! of 5 %.
//!
//! Hash, registers and estimate are Spark's, so the numbers agree.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;

use super::accumulator::Accumulator;
use super::hll_bias::BIASES;
use super::hll_raw::RAW_ESTIMATES;
use crate::expr::functions::spark_xxhash64;
use crate::stateful::bytes::{take, write_varint};

/// Registers of 6 bits in a word.
const PER_WORD: usize = 10;
const MASK: u64 = 63;
/// The fewest bits of the hash that choose the register.
const BITS_MIN: u32 = 4;
/// Below these, from 2^4 registers on, counting empty registers is more exact.
const LINEAR_UP_TO: [f64; 11] = [
    10.0, 20.0, 40.0, 80.0, 220.0, 400.0, 900.0, 1800.0, 3100.0, 6500.0, 11500.0,
];
/// How many neighbours the bias is interpolated from.
const NEIGHBOURS: usize = 6;

/// The registers lie in the cell.
pub(super) struct ApproxCountDistinct {
    argument: usize,
    /// Whether its decimals are hashed as bytes.
    wide_decimal: bool,
    /// Bits of the hash that choose the register.
    bits: u32,
}

impl ApproxCountDistinct {
    /// With this relative standard deviation, of 0.01 to 0.39.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn new(argument: usize, wide_decimal: bool, deviation: f64) -> Self {
        let bits = (2.0 * (1.106 / deviation).ln() / 2_f64.ln()).ceil() as u32;
        Self {
            argument,
            wide_decimal,
            bits: bits.clamp(BITS_MIN, BITS_MIN + 10),
        }
    }

    fn registers(&self) -> usize {
        1 << self.bits
    }
}

fn register(cell: &[u64], index: usize) -> u64 {
    (cell[index / PER_WORD] >> (6 * (index % PER_WORD))) & MASK
}

fn raise(cell: &mut [u64], index: usize, to: u64) {
    let shift = 6 * (index % PER_WORD);
    let word = &mut cell[index / PER_WORD];
    if to > (*word >> shift) & MASK {
        *word = (*word & !(MASK << shift)) | (to << shift);
    }
}

impl Accumulator for ApproxCountDistinct {
    fn words(&self) -> usize {
        self.registers() / PER_WORD + 1
    }

    #[allow(clippy::cast_possible_truncation)]
    fn update(&mut self, cell: &mut [u64], row: &[Value]) -> Result<(), RecordError> {
        let value = &row[self.argument];
        if value.is_null() {
            return Ok(());
        }
        let hash = spark_xxhash64(value, self.wide_decimal, 42);
        let index = (hash >> (64 - self.bits)) as usize;
        let zeros = ((hash << self.bits) | (1 << (self.bits - 1))).leading_zeros() + 1;
        raise(cell, index, u64::from(zeros));
        Ok(())
    }

    fn merge(&mut self, into: &mut [u64], from: &[u64]) -> Result<(), RecordError> {
        for index in 0..self.registers() {
            raise(into, index, register(from, index));
        }
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn result(&self, cell: &[u64]) -> Result<Value, RecordError> {
        let m = self.registers() as f64;
        let (mut inverse, mut empty) = (0.0, 0.0);
        for index in 0..self.registers() {
            let value = register(cell, index);
            inverse += 1.0 / (1_u64 << value) as f64;
            if value == 0 {
                empty += 1.0;
            }
        }
        let alpha = match self.bits {
            4 => 0.673,
            5 => 0.697,
            6 => 0.709,
            _ => 0.7213 / (1.0 + 1.079 / m),
        };
        let raw = alpha * m * m / inverse;
        let table = (self.bits - BITS_MIN) as usize;
        let corrected = || {
            if raw < 5.0 * m {
                raw - bias(raw, RAW_ESTIMATES[table], BIASES[table])
            } else {
                raw
            }
        };
        let estimate = if empty > 0.0 {
            let linear = m * (m / empty).ln();
            if linear <= LINEAR_UP_TO[table] || raw <= 2.5 * m {
                linear
            } else {
                corrected()
            }
        } else {
            corrected()
        };
        Ok(Value::BigInt((estimate + 0.5).floor() as i64))
    }

    /// Registers that are not empty: how many, and each as its distance to the one before and its value; all of them as
    /// they lie when that is shorter.
    fn write(&self, cell: &[u64], out: &mut Vec<u8>) {
        // Most words of a group with few values are empty.
        let words = cell.iter().enumerate().filter(|(_, word)| **word != 0);
        let filled = words.flat_map(|(at, word)| {
            let registers = (0..PER_WORD).map(move |place| {
                let value = (word >> (6 * place)) & MASK;
                (at * PER_WORD + place, value)
            });
            registers.filter(|(_, value)| *value > 0)
        });
        let count = filled.clone().count();
        write_varint(count as u64, out);
        if count > self.words() * 8 / 3 {
            for word in cell {
                out.extend_from_slice(&word.to_le_bytes());
            }
            return;
        }
        for (index, value) in filled {
            out.extend_from_slice(&u16::try_from(index).unwrap_or(0).to_le_bytes());
            out.push(value.to_le_bytes()[0]);
        }
    }

    fn read(&mut self, cell: &mut [u64], bytes: &mut &[u8]) -> Option<()> {
        let count = usize::try_from(crate::stateful::bytes::read_varint(bytes)?).ok()?;
        if count > self.words() * 8 / 3 {
            for (word, bytes) in cell
                .iter_mut()
                .zip(take(bytes, self.words() * 8)?.chunks_exact(8))
            {
                *word = u64::from_le_bytes(bytes.try_into().ok()?);
            }
            return Some(());
        }
        for entry in take(bytes, count * 3)?.chunks_exact(3) {
            let index = usize::from(u16::from_le_bytes([entry[0], entry[1]]));
            if index >= self.registers() {
                return None;
            }
            raise(cell, index, u64::from(entry[2]) & MASK);
        }
        Some(())
    }
}

/// The mean bias of the nearest estimates that were measured.
fn bias(raw: f64, estimates: &[f64], biases: &[f64]) -> f64 {
    let nearest = estimates.partition_point(|estimate| *estimate < raw);
    let distance = |place: usize| (raw - estimates[place]).powi(2);
    let mut low = (nearest + 1).saturating_sub(NEIGHBOURS);
    let mut high = (low + NEIGHBOURS).min(estimates.len());
    while high < estimates.len() && distance(high) < distance(low) {
        low += 1;
        high += 1;
    }
    let biases = &biases[low..high];
    #[allow(clippy::cast_precision_loss)]
    let count = biases.len() as f64;
    biases.iter().sum::<f64>() / count
}
