//! Aggregates that are made of parts: values are added one by one, and the aggregates of two stretches of rows make that of
//! both.

use std::borrow::Cow;
use std::cmp::Ordering;

use thalweg_engine::row::Value;

use crate::expr::compare::{compare, compare_double};
use crate::stateful::over::cell::{Cell, Columns, Packed};
use crate::stateful::over::decay::{self, Decay};
use crate::stateful::over::precise::Precise;
use crate::stateful::over::tree::Parts;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// How many rows. One word.
    Rows,
    /// How many values. One word.
    Count,
    /// The exact sum of integers or of the unscaled numbers of decimals. Three words: how many, and 128 bits.
    Whole,
    /// The sum of doubles. Three words: how many, and the sum in twice the precision.
    Real,
    /// The sum of doubles one after the other, as Spark adds them up. Two words: how many, and the sum.
    InOrder,
    /// Sum and sum of squares of doubles in twice the precision, and how many. Five words.
    Moments,
    /// The least or the greatest value.
    Extreme { max: bool, packed: Option<Packed> },
    /// The first or the last value; `nulls` count as values.
    Edge {
        last: bool,
        nulls: bool,
        packed: Option<Packed>,
    },
    /// A count or a sum that fades. Three words.
    Decayed(Decay),
}

/// In the count of a sum: it left 128 bits.
const OVERFLOW: u64 = 1 << 63;

/// In the first word of `Edge` and `Extreme`.
const NOTHING: u64 = 0;
const IS_NULL: u64 = 1;
const IS_VALUE: u64 = 2;

/// An aggregate of one column, and where it stands among the words and values of an accumulator.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub(super) rule: Rule,
    /// The place of the column: in the kept row, or in the incoming row.
    pub(super) column: usize,
    pub(super) at: usize,
    pub(super) value_at: usize,
}

impl Rule {
    /// What its state is called.
    pub(super) fn name(self) -> Cow<'static, str> {
        let name = match self {
            Self::Decayed(decay) => return decay.name().into(),
            Self::Rows => "rows",
            Self::Count => "count",
            Self::Whole => "sum",
            Self::Real => "precise sum",
            Self::InOrder => "sum in order",
            Self::Moments => "moments",
            Self::Extreme { max: false, .. } => "min",
            Self::Extreme { max: true, .. } => "max",
            Self::Edge {
                last: false, nulls, ..
            } => ["first not null", "first"][usize::from(nulls)],
            Self::Edge {
                last: true, nulls, ..
            } => ["last not null", "last"][usize::from(nulls)],
        };
        name.into()
    }

    /// How many words and values its accumulator has.
    pub(super) fn size(self) -> (usize, usize) {
        match self {
            Self::Rows | Self::Count => (1, 0),
            Self::InOrder => (2, 0),
            Self::Whole | Self::Real => (3, 0),
            Self::Moments => (5, 0),
            Self::Decayed(_) => (decay::WORDS, 0),
            Self::Extreme { packed, .. } | Self::Edge { packed, .. } => match packed {
                Some(_) => (2, 0),
                None => (1, 1),
            },
        }
    }
}

#[inline]
fn precise(words: &[u64]) -> Precise {
    Precise {
        high: f64::from_bits(words[0]),
        low: f64::from_bits(words[1]),
    }
}

#[inline]
fn set_precise(words: &mut [u64], sum: Precise) {
    words[0] = sum.high.to_bits();
    words[1] = sum.low.to_bits();
}

#[inline]
#[allow(clippy::cast_possible_truncation)]
fn set_whole(words: &mut [u64], sum: i128) {
    words[0] = sum as u64;
    words[1] = (sum >> 64) as u64;
}

#[inline]
fn whole(words: &[u64]) -> i128 {
    (i128::from(words[1].cast_signed()) << 64) | i128::from(words[0])
}

#[inline]
fn order(packed: Packed, a: u64, b: u64) -> Ordering {
    if packed.real() {
        compare_double(f64::from_bits(a), f64::from_bits(b))
    } else {
        a.cast_signed().cmp(&b.cast_signed())
    }
}

impl Fold {
    /// Adds a kept row, or a pane.
    #[inline]
    pub(super) fn add_row(
        &self,
        words: &mut [u64],
        values: &mut [Value],
        (row, row_values): Parts<'_>,
        columns: &Columns,
    ) {
        if columns.merged {
            self.merge(words, values, &row[1..], row_values);
        } else if self.rule == Rule::Rows {
            words[self.at] += 1;
        } else {
            let cell = columns.cell(self.column, row, row_values);
            self.add(words, values, cell);
        }
    }

    /// Adds one value of a row that came at this time.
    #[inline]
    pub(super) fn add_at(
        &self,
        words: &mut [u64],
        values: &mut [Value],
        (time, cell): (i64, Cell<'_>),
    ) {
        match self.rule {
            Rule::Decayed(decay) => decay.add(&mut words[self.at..], time, cell),
            _ => self.add(words, values, cell),
        }
    }

    /// Adds one value.
    #[inline]
    pub(super) fn add(&self, words: &mut [u64], values: &mut [Value], cell: Cell<'_>) {
        let acc = &mut words[self.at..];
        match self.rule {
            Rule::Rows => acc[0] += 1,
            Rule::Edge { last, nulls, .. } => {
                if acc[0] != NOTHING && !last {
                    return;
                }
                match cell {
                    Cell::Null if nulls => acc[0] = IS_NULL,
                    Cell::Null => {}
                    Cell::Word(word) => (acc[0], acc[1]) = (IS_VALUE, word),
                    Cell::Value(value) => {
                        acc[0] = IS_VALUE;
                        values[self.value_at] = value.clone();
                    }
                }
            }
            Rule::Count => acc[0] += u64::from(!matches!(cell, Cell::Null)),
            // It is kept from UNBOUNDED PRECEDING alone, where rows come with their times.
            Rule::Decayed(_) => {}
            Rule::InOrder => {
                if let Cell::Word(word) = cell {
                    acc[0] += 1;
                    acc[1] = (f64::from_bits(acc[1]) + f64::from_bits(word)).to_bits();
                }
            }
            Rule::Real => {
                if let Cell::Word(word) = cell {
                    acc[0] += 1;
                    let sum = precise(&acc[1..]).add(Precise::of(f64::from_bits(word)));
                    set_precise(&mut acc[1..], sum);
                }
            }
            Rule::Moments => {
                if let Cell::Word(word) = cell {
                    let x = f64::from_bits(word);
                    acc[0] += 1;
                    let sum = precise(&acc[1..]).add(Precise::of(x));
                    set_precise(&mut acc[1..], sum);
                    let squares = precise(&acc[3..]).add(Precise::square(x));
                    set_precise(&mut acc[3..], squares);
                }
            }
            Rule::Whole => match cell {
                Cell::Word(word) => add_whole(acc, 1, i128::from(word.cast_signed())),
                Cell::Value(Value::Decimal(n)) => add_whole(acc, 1, i128::from(*n)),
                Cell::Value(_) | Cell::Null => {}
            },
            Rule::Extreme { max, packed } => {
                let better = |order: Ordering| {
                    order
                        == if max {
                            Ordering::Greater
                        } else {
                            Ordering::Less
                        }
                };
                match (cell, packed) {
                    (Cell::Word(word), Some(packed))
                        if acc[0] == NOTHING || better(order(packed, word, acc[1])) =>
                    {
                        (acc[0], acc[1]) = (IS_VALUE, word);
                    }
                    (Cell::Value(value), _) => {
                        let held = &mut values[self.value_at];
                        if acc[0] == NOTHING || better(compare(value, held)) {
                            acc[0] = IS_VALUE;
                            *held = value.clone();
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Adds the aggregate of the rows that follow.
    #[inline]
    pub(super) fn merge(
        &self,
        words: &mut [u64],
        values: &mut [Value],
        next: &[u64],
        next_values: &[Value],
    ) {
        let next = &next[self.at..];
        let acc = &mut words[self.at..];
        match self.rule {
            Rule::Rows | Rule::Count => acc[0] += next[0],
            Rule::Decayed(_) => {}
            Rule::Whole => add_whole(acc, next[0], whole(&next[1..])),
            Rule::InOrder => {
                acc[0] += next[0];
                acc[1] = (f64::from_bits(acc[1]) + f64::from_bits(next[1])).to_bits();
            }
            Rule::Real => {
                acc[0] += next[0];
                let sum = precise(&acc[1..]).add(precise(&next[1..]));
                set_precise(&mut acc[1..], sum);
            }
            Rule::Moments => {
                acc[0] += next[0];
                let sum = precise(&acc[1..]).add(precise(&next[1..]));
                set_precise(&mut acc[1..], sum);
                let squares = precise(&acc[3..]).add(precise(&next[3..]));
                set_precise(&mut acc[3..], squares);
            }
            Rule::Extreme { packed, .. } | Rule::Edge { packed, .. } => {
                let cell = match (next[0], packed) {
                    (NOTHING, _) => return,
                    (IS_NULL, _) => Cell::Null,
                    (_, Some(_)) => Cell::Word(next[1]),
                    (_, None) => Cell::Value(&next_values[self.value_at]),
                };
                self.add(words, values, cell);
            }
        }
    }

    /// How many values are in a count or a sum.
    pub(super) fn count(&self, words: &[u64]) -> u64 {
        words[self.at] & !OVERFLOW
    }

    /// The exact sum; None when it left 128 bits.
    pub(super) fn whole(&self, words: &[u64]) -> Option<i128> {
        let acc = &words[self.at..];
        (acc[0] & OVERFLOW == 0).then(|| whole(&acc[1..]))
    }

    /// The sum as a double.
    pub(super) fn real(&self, words: &[u64]) -> f64 {
        let acc = &words[self.at..];
        match self.rule {
            Rule::InOrder => f64::from_bits(acc[1]),
            #[allow(clippy::cast_precision_loss)]
            Rule::Whole => whole(&acc[1..]) as f64,
            _ => precise(&acc[1..]).value(),
        }
    }

    /// The sum of the squares of the differences from the mean.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn squares(&self, words: &[u64]) -> f64 {
        let acc = &words[self.at..];
        let n = self.count(words) as f64;
        let (sum, squares) = (precise(&acc[1..]), precise(&acc[3..]));
        // In twice the precision, so that little is lost where much cancels.
        let result = squares.minus(sum.squared().divided(n));
        result.value().max(0.0)
    }

    /// The value of `Extreme` or `Edge`.
    pub(super) fn held(&self, words: &[u64], values: &[Value]) -> Value {
        let acc = &words[self.at..];
        match self.rule {
            Rule::Extreme { packed, .. } | Rule::Edge { packed, .. } if acc[0] == IS_VALUE => {
                match packed {
                    Some(packed) => packed.unpack(acc[1]),
                    None => values[self.value_at].clone(),
                }
            }
            _ => Value::Null,
        }
    }
}

#[inline]
fn add_whole(acc: &mut [u64], count: u64, number: i128) {
    acc[0] = (acc[0] & OVERFLOW) | (count & OVERFLOW) | ((acc[0] + count) & !OVERFLOW);
    match whole(&acc[1..]).checked_add(number) {
        Some(sum) => set_whole(&mut acc[1..], sum),
        None => acc[0] |= OVERFLOW,
    }
}
