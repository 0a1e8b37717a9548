//! From aggregates to answers: Spark's types, NULL where there is nothing, overflow as the mode says.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::decimal;
use crate::stateful::over::decay::Decay;
use crate::stateful::over::distinct::Counted;
use crate::stateful::over::fold::{Fold, Rule};
use crate::stateful::over::order::NULL_TIME;
use crate::stateful::over::{Function, Kind};

/// How the result of a function comes about.
#[derive(Clone, Debug)]
pub(super) enum Finish {
    /// From an aggregate that is kept from UNBOUNDED PRECEDING; before the row is added unless `current`.
    Running { current: bool, answer: Answer },
    /// From the aggregates of a frame.
    Framed { frame: usize, answer: Answer },
    /// How many rows the frame has.
    Rows { frame: usize },
    /// The value of the frame's first row.
    First { frame: usize, column: usize },
    /// The value of the frame's last row.
    Last { frame: usize, column: usize },
    /// The value of the row `offset` before; `default` is a place in the incoming row.
    Lag {
        offset: usize,
        column: usize,
        default: Option<usize>,
    },
    /// How many values differ.
    Distinct { frame: usize, which: usize },
    /// The values.
    Collect {
        frame: usize,
        counted: Counted,
        distinct: bool,
    },
}

/// How an aggregate is read.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Count(Fold),
    /// A count as an INT.
    Number(Fold),
    Sum {
        fold: Fold,
        result: DataType,
        ansi: bool,
    },
    Avg {
        fold: Fold,
        /// The scale of the argument.
        scale: u8,
        result: DataType,
        ansi: bool,
    },
    Held(Fold),
    Deviation {
        fold: Fold,
        sample: bool,
        root: bool,
    },
    Decayed(Fold, Decay),
}

impl Answer {
    pub(super) fn new(function: &Function, fold: Fold) -> Self {
        let (result, ansi) = (function.result.clone(), function.ansi);
        if let Rule::Decayed(decay) = fold.rule {
            return Self::Decayed(fold, decay);
        }
        match function.kind {
            Kind::Sum => Self::Sum { fold, result, ansi },
            Kind::Avg => Self::Avg {
                fold,
                scale: match function.argument.as_ref().map(|a| &a.data_type) {
                    Some(DataType::Decimal { scale, .. }) => *scale,
                    _ => 0,
                },
                result,
                ansi,
            },
            Kind::Min | Kind::Max | Kind::First { .. } | Kind::Last { .. } => Self::Held(fold),
            Kind::Deviation { sample, root } => Self::Deviation { fold, sample, root },
            _ => Self::Count(fold),
        }
    }

    /// The result at this time; only what fades asks for it.
    #[inline]
    pub(super) fn value_at(
        &self,
        time: i64,
        words: &[u64],
        values: &[Value],
    ) -> Result<Value, RecordError> {
        match self {
            Self::Decayed(fold, decay) => Ok(decay.value(&words[fold.at..], time)),
            _ => self.value(words, values),
        }
    }

    /// The result; of what fades the one at its newest time.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn value(&self, words: &[u64], values: &[Value]) -> Result<Value, RecordError> {
        match self {
            Self::Count(fold) => Ok(Value::BigInt(fold.count(words).cast_signed())),
            Self::Number(fold) => match i32::try_from(fold.count(words)) {
                Ok(number) => Ok(Value::Int(number)),
                Err(_) => Err(overflow("row_number", &DataType::Int)),
            },
            Self::Held(fold) => Ok(fold.held(words, values)),
            Self::Decayed(fold, decay) => Ok(decay.value(&words[fold.at..], NULL_TIME)),
            Self::Sum { fold, .. } | Self::Avg { fold, .. } | Self::Deviation { fold, .. }
                if fold.count(words) == 0 =>
            {
                Ok(Value::Null)
            }
            Self::Sum { fold, result, ansi } => match result {
                DataType::Decimal { precision, .. } => {
                    let sum = fold.whole(words).filter(|n| decimal::fits(*n, *precision));
                    decimal_or_overflow(sum, "sum", result, *ansi)
                }
                DataType::BigInt => match fold.whole(words).map(i64::try_from) {
                    Some(Ok(sum)) => Ok(Value::BigInt(sum)),
                    #[allow(clippy::cast_possible_truncation)]
                    _ if !ansi => Ok(Value::BigInt(fold.whole(words).unwrap_or_default() as i64)),
                    _ => Err(overflow("sum", result)),
                },
                _ => Ok(Value::Double(fold.real(words))),
            },
            Self::Avg {
                fold,
                scale,
                result,
                ansi,
            } => {
                let count = fold.count(words);
                let DataType::Decimal {
                    precision,
                    scale: wanted,
                } = result
                else {
                    return Ok(Value::Double(fold.real(words) / count as f64));
                };
                let by = (i128::from(count), 0);
                let average = fold
                    .whole(words)
                    .and_then(|sum| decimal::divide((sum, *scale), by, *precision, *wanted));
                decimal_or_overflow(average, "avg", result, *ansi)
            }
            Self::Deviation { fold, sample, root } => {
                let count = fold.count(words);
                if *sample && count == 1 {
                    return Ok(Value::Null);
                }
                let variance = fold.squares(words) / (count - u64::from(*sample)) as f64;
                let value = if *root { variance.sqrt() } else { variance };
                Ok(Value::Double(value))
            }
        }
    }
}

fn decimal_or_overflow(
    number: Option<i128>,
    function: &str,
    result: &DataType,
    ansi: bool,
) -> Result<Value, RecordError> {
    match number {
        Some(number) => Ok(Value::Decimal(number.into())),
        None if ansi => Err(overflow(function, result)),
        None => Ok(Value::Null),
    }
}

#[cold]
fn overflow(function: &str, result: &DataType) -> RecordError {
    RecordError::expression(format!(
        "overflow: the result of `{function}` over the rows of its frame does not fit {result}"
    ))
}
