//! What stands behind the arguments of an aggregate and is the same for all rows: percentages, accuracies.

use std::sync::Arc;

use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::Function;

/// What constants a function takes behind its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constants {
    /// None.
    None,
    /// One percentage, or an array of them.
    Percentages,
    /// The same, and behind it how often the value counts, if one likes: that is an argument again.
    PercentagesAndFrequency,
    /// The same, and an accuracy if one likes.
    PercentagesAndAccuracy,
    /// A relative standard deviation if one likes.
    Deviation,
    /// Whether the result is the same each time, if one likes: it always is.
    Deterministic,
    /// A text if one likes.
    Delimiter,
    /// How many, if one likes; the result is then an array.
    HowMany,
}

/// Whether WITHIN GROUP (ORDER BY ...) stands behind the brackets of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// It has no meaning.
    No,
    /// The rows come in its order.
    Sorted,
    /// What it orders by is the argument, where there is none in the brackets.
    Argument,
    /// The same, and it must stand there.
    Needed,
}

/// The constants of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// As the accumulator takes them: of `percentile_approx` the accuracy, then the percentages.
    pub numbers: Vec<f64>,
    /// Whether the result is an array.
    pub several: bool,
    /// What stands between two texts.
    pub delimiter: String,
}

impl Parameters {
    /// The type of the result, from that of one.
    pub fn result(&self, one: DataType) -> DataType {
        if self.several {
            DataType::Array(Arc::new(one))
        } else {
            one
        }
    }
}

impl Function {
    /// How many of the expressions in its brackets are arguments: all but the constants behind them.
    pub fn arguments_of(&self, written: usize) -> usize {
        match self.constants {
            Constants::None => written,
            Constants::HowMany => written.min(2),
            Constants::PercentagesAndFrequency if written == 3 => 2,
            _ => written.min(1),
        }
    }

    /// Its constants; None for one that is not constant.
    ///
    /// # Errors
    /// When they are not what it takes: a sentence for the author of the job.
    pub fn parameters(&self, constants: &[Option<Value>]) -> Result<Parameters, String> {
        let most = match self.constants {
            Constants::None => 0,
            Constants::Percentages
            | Constants::PercentagesAndFrequency
            | Constants::Deviation
            | Constants::Deterministic
            | Constants::Delimiter
            | Constants::HowMany => 1,
            Constants::PercentagesAndAccuracy => 2,
        };
        let needed = matches!(
            self.constants,
            Constants::Percentages
                | Constants::PercentagesAndFrequency
                | Constants::PercentagesAndAccuracy
        );
        let least = usize::from(needed);
        if constants.len() < least || constants.len() > most {
            return Err(format!("`{}` is called {}", self.name, self.signature));
        }
        let constant = |at: usize, what: &str| match constants.get(at) {
            Some(Some(value)) => Ok(value),
            _ => Err(format!("{}: the {what} must be a constant", self.name)),
        };
        if constants.is_empty() && !needed {
            return Ok(Parameters::default());
        }
        if self.constants == Constants::Deterministic {
            constant(0, "second argument")?;
            return Ok(Parameters::default());
        }
        if self.constants == Constants::Delimiter {
            return Ok(Parameters {
                delimiter: text(constant(0, "delimiter")?),
                ..Parameters::default()
            });
        }
        if self.constants == Constants::HowMany {
            let most = number(constant(0, "number of values")?).unwrap_or(f64::NAN);
            if !(1.0..=MOST).contains(&most) {
                return Err(format!(
                    "{}: the number of values must be at least 1 and at most {MOST}",
                    self.name
                ));
            }
            return Ok(Parameters {
                numbers: vec![most.floor()],
                several: true,
                ..Parameters::default()
            });
        }
        if self.constants == Constants::Deviation {
            let deviation = number(constant(0, "deviation")?).unwrap_or(f64::NAN);
            if !(0.01..=0.39).contains(&deviation) {
                return Err(format!(
                    "{}: the deviation must be at least 0.01 (a group would take more than 13 kB) and at most 0.39",
                    self.name
                ));
            }
            return Ok(Parameters {
                numbers: vec![deviation],
                ..Parameters::default()
            });
        }
        let mut numbers = Vec::new();
        if self.constants == Constants::PercentagesAndAccuracy {
            let accuracy = match constants.get(1) {
                None => 10_000.0,
                Some(_) => number(constant(1, "accuracy")?).unwrap_or(f64::NAN),
            };
            if !(1.0..=2_147_483_647.0).contains(&accuracy) {
                return Err(format!(
                    "{}: the accuracy must be a number of at least 1",
                    self.name
                ));
            }
            numbers.push(accuracy);
        }
        let percentages = constant(0, "percentage")?;
        let (all, several) = match percentages {
            Value::Array(all) => (&all[..], true),
            one => (std::slice::from_ref(one), false),
        };
        for one in all {
            let share = number(one).filter(|share| (0.0..=1.0).contains(share));
            numbers.push(share.ok_or_else(|| {
                format!(
                    "{}: percentages must be between 0.0 and 1.0, and are shares: 0.99, not 99",
                    self.name
                )
            })?);
        }
        Ok(Parameters {
            numbers,
            several,
            ..Parameters::default()
        })
    }
}

/// The most values that `max_by` and `min_by` give, as in Spark.
const MOST: f64 = 100_000.0;

/// A delimiter; NULL is none.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        Value::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

/// A number as a double; decimals must have been cast.
fn number(value: &Value) -> Option<f64> {
    Some(match value {
        Value::TinyInt(n) => f64::from(*n),
        Value::SmallInt(n) => f64::from(*n),
        Value::Int(n) => f64::from(*n),
        #[allow(clippy::cast_precision_loss)]
        Value::BigInt(n) => *n as f64,
        Value::Float(x) => f64::from(*x),
        Value::Double(x) => *x,
        _ => return None,
    })
}
