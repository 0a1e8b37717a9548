//! What a cut hands over: for each key that changed its accumulators, and each leaf of its tree that changed.
//!
//! | entry | key | value |
//! | --- | --- | --- |
//! | head | 0, the key's bytes | the words of its accumulators, when its last record came (with `stateTtl`), its values |
//! | leaf | 1, the key's bytes, the label (8 bytes, big-endian) | number of rows (4 bytes), the words of all rows, the values of all rows |
//! | watermark | 2 | the highest watermark (8 bytes) |
//!
//! Numbers are little-endian where nothing else is said; a value stands behind its length. The layout says what the words are.

use serde::{Deserialize, Serialize};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::stateful::bytes::{decode_value, encode_value, read_varint, take, write_varint};
use crate::stateful::over::cell::Columns;
use crate::stateful::over::program::{Identity, Program};

pub(super) const HEAD: u8 = 0;
pub(super) const LEAF: u8 = 1;
pub(super) const WATERMARK: u8 = 2;

/// What the bytes mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    /// Which operator and version.
    pub(super) format: String,
    /// The columns of kept rows, and how they are laid out.
    pub(super) columns: Columns,
    pub(super) kept: Vec<Identity>,
    /// The accumulators from UNBOUNDED PRECEDING: name, first word and how many, first value and how many.
    pub(super) running: Vec<Running>,
    /// Whether a head holds the time of the last record.
    pub(super) time: bool,
    /// Panes instead of rows: their width, and where each aggregate stands behind the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) panes: Option<(i64, Vec<Running>)>,
}

/// An accumulator within a head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Running {
    pub(super) identity: Identity,
    pub(super) words: (usize, usize),
    pub(super) values: (usize, usize),
}

/// The format that this version writes and reads.
pub(super) const FORMAT: &str = "over/1";

impl Layout {
    pub(super) fn of(program: &Program) -> Self {
        let running = program
            .running
            .iter()
            .zip(&program.running_identities)
            .map(|(fold, identity)| {
                let (words, values) = fold.rule.size();
                Running {
                    identity: identity.clone(),
                    words: (fold.at, words),
                    values: (fold.value_at, values),
                }
            })
            .collect();
        Self {
            format: FORMAT.to_owned(),
            columns: program.shape.columns.clone(),
            kept: program.kept_identities.clone(),
            running,
            time: program.ttl.is_some(),
            panes: program.step.map(|step| {
                let folds = program.shape.folds.iter().map(|fold| {
                    let (words, values) = fold.rule.size();
                    Running {
                        identity: program.pane_identity(fold),
                        words: (fold.at, words),
                        values: (fold.value_at, values),
                    }
                });
                (step, folds.collect())
            }),
        }
    }

    pub(super) fn text(&self) -> String {
        // A struct of texts and numbers is always JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

pub(super) fn head_key(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 1);
    head_key_into(key, &mut out);
    out
}

pub(super) fn head_key_into(key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(HEAD);
    out.extend_from_slice(key);
}

pub(super) fn leaf_key(key: &[u8], label: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 9);
    leaf_key_into(key, label, &mut out);
    out
}

pub(super) fn leaf_key_into(key: &[u8], label: u64, out: &mut Vec<u8>) {
    out.clear();
    out.push(LEAF);
    out.extend_from_slice(key);
    out.extend_from_slice(&label.to_be_bytes());
}

pub(super) fn put_words(words: &[u64], out: &mut Vec<u8>) {
    let begin = out.len();
    out.resize(begin + words.len() * 8, 0);
    for (bytes, word) in out[begin..].chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}

pub(super) fn put_values(values: &[Value], out: &mut Vec<u8>) {
    for value in values {
        // Names are short texts mostly: their length is known before they are written.
        if let Value::String(text) = value
            && let Ok(length @ ..0x7e) = u8::try_from(text.len())
        {
            out.extend_from_slice(&[length + 2, 1, length]);
            out.extend_from_slice(text.as_bytes());
            continue;
        }
        let begin = out.len();
        out.push(0);
        encode_value(value, out);
        let length = out.len() - begin - 1;
        match u8::try_from(length) {
            Ok(short) if short < 0x80 => out[begin] = short,
            _ => {
                let mut bytes = Vec::new();
                write_varint(length as u64, &mut bytes);
                out.splice(begin..=begin, bytes);
            }
        }
    }
}

/// Takes a value that was put; NULL where its type is not known, because nobody asks for it any more.
pub(super) fn take_value(bytes: &mut &[u8], data_type: Option<&DataType>) -> Option<Value> {
    let length = usize::try_from(read_varint(bytes)?).ok()?;
    let mut value = take(bytes, length)?;
    let Some(data_type) = data_type else {
        return Some(Value::Null);
    };
    let taken = decode_value(&mut value, data_type)?;
    value.is_empty().then_some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_length_stand_as_all_values_do_and_come_back() {
        for length in [0, 1, 100, 125, 126, 127, 128, 300] {
            let value = Value::from("x".repeat(length).as_str());
            let mut encoded = Vec::new();
            encode_value(&value, &mut encoded);
            let mut expected = Vec::new();
            write_varint(encoded.len() as u64, &mut expected);
            expected.extend_from_slice(&encoded);
            let mut put = Vec::new();
            put_values(std::slice::from_ref(&value), &mut put);
            assert_eq!(put, expected, "{length}");
            let taken = take_value(&mut put.as_slice(), Some(&DataType::String));
            assert_eq!(taken, Some(value), "{length}");
        }
    }
}
