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
    /// The same, and an accuracy if one likes.
    PercentagesAndAccuracy,
    /// A relative standard deviation if one likes.
    Deviation,
}

/// The constants of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// As the accumulator takes them: of `percentile_approx` the accuracy, then the percentages.
    pub numbers: Vec<f64>,
    /// Whether the result is an array.
    pub several: bool,
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
            Constants::Percentages | Constants::Deviation => 1,
            Constants::PercentagesAndAccuracy => 2,
        };
        let least = usize::from(self.constants != Constants::Deviation).min(most);
        if constants.len() < least || constants.len() > most {
            return Err(format!("`{}` is called {}", self.name, self.signature));
        }
        let constant = |at: usize, what: &str| match constants.get(at) {
            Some(Some(value)) => Ok(value),
            _ => Err(format!("{}: the {what} must be a constant", self.name)),
        };
        if self.constants == Constants::None {
            return Ok(Parameters::default());
        }
        if self.constants == Constants::Deviation {
            if constants.is_empty() {
                return Ok(Parameters::default());
            }
            let deviation = number(constant(0, "deviation")?).unwrap_or(f64::NAN);
            if !(0.01..=0.39).contains(&deviation) {
                return Err(format!(
                    "{}: the deviation must be at least 0.01 (a group would take more than 13 kB) and at most 0.39",
                    self.name
                ));
            }
            return Ok(Parameters {
                numbers: vec![deviation],
                several: false,
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
        Ok(Parameters { numbers, several })
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
