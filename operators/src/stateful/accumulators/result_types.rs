//! What aggregates take and give: the types of arguments and results.

use std::sync::Arc;

use thalweg_engine::schema::DataType;

use super::Function;

/// What the arguments of a function must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Anything.
    Any,
    /// Anything that has an order: no MAP in it.
    Ordered,
    /// The first anything, the second with an order.
    AnyAndOrdered,
    /// A number or an interval; a STRING becomes a DOUBLE.
    Summable,
    /// A number, which becomes a DOUBLE.
    Double,
    /// A number; a STRING becomes a DOUBLE.
    Number,
    /// A number, which becomes a DOUBLE, or an interval.
    Spread,
    /// The same, and an integer, which becomes a BIGINT.
    SpreadAndFrequency,
    /// A STRING or BINARY; what is written as text becomes one.
    Text,
    /// BOOLEAN.
    Boolean,
    /// An integer of any width.
    Integer,
    /// A number, a date, a time or an interval; a STRING becomes a DOUBLE.
    Quantile,
    /// The place of a bit: an integer, which becomes a BIGINT, or its text.
    Place,
    /// BINARY.
    Binary,
    /// An ARRAY of what has an order.
    Elements,
}

impl Arguments {
    /// The type that an argument of this type becomes.
    pub(super) fn take(
        self,
        function: &Function,
        place: usize,
        given: &DataType,
    ) -> Result<DataType, String> {
        let refused = |wanted: &str| {
            Err(format!(
                "argument {} of `{}` must be {wanted}, not {given}: {}",
                place + 1,
                function.name,
                function.signature
            ))
        };
        match self {
            Self::Any => Ok(given.clone()),
            Self::AnyAndOrdered if place == 0 => Ok(given.clone()),
            Self::Ordered | Self::AnyAndOrdered => {
                if given.has_map() {
                    return refused("of a type that has an order");
                }
                Ok(given.clone())
            }
            Self::Summable => match given {
                DataType::String | DataType::Void => Ok(DataType::Double),
                DataType::YearMonthInterval | DataType::DayTimeInterval => Ok(given.clone()),
                given if given.is_numeric() => Ok(given.clone()),
                _ => refused("a number or an interval"),
            },
            Self::Double => match given {
                DataType::String | DataType::Void => Ok(DataType::Double),
                given if given.is_numeric() => Ok(DataType::Double),
                _ => refused("a number"),
            },
            Self::Number => match given {
                DataType::String | DataType::Void => Ok(DataType::Double),
                given if given.is_numeric() => Ok(given.clone()),
                _ => refused("a number"),
            },
            Self::SpreadAndFrequency if place > 0 => match given {
                DataType::Void => Ok(DataType::BigInt),
                given if given.is_integer() => Ok(DataType::BigInt),
                _ => refused("an integer"),
            },
            Self::Spread | Self::SpreadAndFrequency => match given {
                DataType::String | DataType::Void => Ok(DataType::Double),
                DataType::YearMonthInterval | DataType::DayTimeInterval => Ok(given.clone()),
                given if given.is_numeric() => Ok(DataType::Double),
                _ => refused("a number or an interval"),
            },
            Self::Text => match given {
                DataType::Binary => Ok(DataType::Binary),
                DataType::Array(_) | DataType::Map(_) | DataType::Struct(_) => {
                    refused("a STRING or BINARY")
                }
                _ => Ok(DataType::String),
            },
            Self::Boolean => match given {
                DataType::Boolean | DataType::Void => Ok(DataType::Boolean),
                _ => refused("a BOOLEAN"),
            },
            Self::Quantile => match given {
                DataType::String | DataType::Void => Ok(DataType::Double),
                DataType::Date
                | DataType::Timestamp
                | DataType::TimestampNtz
                | DataType::YearMonthInterval
                | DataType::DayTimeInterval => Ok(given.clone()),
                given if given.is_numeric() => Ok(given.clone()),
                _ => refused("a number, a date, a time or an interval"),
            },
            Self::Place => match given {
                DataType::Void | DataType::String => Ok(DataType::BigInt),
                given if given.is_integer() => Ok(DataType::BigInt),
                _ => refused("an integer"),
            },
            Self::Binary => match given {
                DataType::Void | DataType::Binary => Ok(DataType::Binary),
                _ => refused("BINARY"),
            },
            Self::Elements => match given {
                DataType::Array(_) if !given.has_map() => Ok(given.clone()),
                _ => refused("an ARRAY of a type that has an order"),
            },
            Self::Integer => match given {
                DataType::Void => Ok(DataType::BigInt),
                given if given.is_integer() => Ok(given.clone()),
                _ => refused("an integer"),
            },
        }
    }
}

/// The type of a result, from the type that the first argument was cast to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// BIGINT.
    BigInt,
    /// DOUBLE.
    Double,
    /// BOOLEAN.
    Boolean,
    /// BINARY.
    Binary,
    /// The type of the first argument.
    Same,
    /// An array of it.
    Array,
    /// BIGINT for integers, ten digits more for decimals.
    Sum,
    /// DOUBLE, or four digits more before and after the point for decimals.
    Average,
    /// The same of the last argument.
    AverageOfLast,
    /// An interval of its own type, else DOUBLE.
    Spread,
}

impl Gives {
    /// The type over arguments of these types.
    pub(super) fn over(self, arguments: &[DataType]) -> DataType {
        let argument = match self {
            Self::AverageOfLast => arguments.last(),
            _ => arguments.first(),
        };
        self.of(argument.unwrap_or(&DataType::Void))
    }

    fn of(self, argument: &DataType) -> DataType {
        match (self, argument) {
            (Self::BigInt, _) => DataType::BigInt,
            (Self::Double, _) => DataType::Double,
            (Self::Boolean, _) => DataType::Boolean,
            (Self::Binary, _) => DataType::Binary,
            (Self::Array, argument) => DataType::Array(Arc::new(argument.clone())),
            (Self::Sum, DataType::Decimal { precision, scale }) => {
                decimal(*precision, 10, *scale, 0)
            }
            (Self::Spread, DataType::YearMonthInterval | DataType::DayTimeInterval) => {
                argument.clone()
            }
            (Self::Spread, _) => DataType::Double,
            (Self::Average | Self::AverageOfLast, DataType::Decimal { precision, scale }) => {
                decimal(*precision, 4, *scale, 4)
            }
            (Self::Sum, argument) if argument.is_integer() => DataType::BigInt,
            (Self::Sum | Self::Average | Self::AverageOfLast, argument)
                if argument.is_numeric() =>
            {
                DataType::Double
            }
            (Self::Same | Self::Sum | Self::Average | Self::AverageOfLast, argument) => {
                argument.clone()
            }
        }
    }
}

/// Spark's `DecimalType.bounded`: both cut at 38.
fn decimal(precision: u8, more: u8, scale: u8, more_scale: u8) -> DataType {
    DataType::Decimal {
        precision: precision.saturating_add(more).min(38),
        scale: scale.saturating_add(more_scale).min(38),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{all, find};
    use super::*;

    fn result(name: &str, arguments: &[DataType]) -> Result<DataType, String> {
        find(name).unwrap().result_type(arguments, true)
    }

    #[test]
    fn results_have_sparks_types() {
        let decimal = |precision, scale| DataType::Decimal { precision, scale };
        for (name, argument, expected) in [
            ("sum", DataType::Int, DataType::BigInt),
            ("sum", DataType::Float, DataType::Double),
            ("sum", DataType::String, DataType::Double),
            ("sum", decimal(10, 2), decimal(20, 2)),
            ("sum", decimal(38, 18), decimal(38, 18)),
            ("avg", DataType::BigInt, DataType::Double),
            ("mean", decimal(10, 2), decimal(14, 6)),
            ("avg", DataType::DayTimeInterval, DataType::DayTimeInterval),
            ("max", DataType::Date, DataType::Date),
            ("STDDEV", decimal(10, 2), DataType::Double),
            ("count", DataType::String, DataType::BigInt),
            (
                "collect_list",
                DataType::Int,
                DataType::Array(Arc::new(DataType::Int)),
            ),
            ("every", DataType::Boolean, DataType::Boolean),
            ("bit_or", DataType::SmallInt, DataType::SmallInt),
        ] {
            assert_eq!(result(name, &[argument]), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_wrong_argument_is_refused_in_words() {
        let refused = result("sum", &[DataType::Boolean]).unwrap_err();
        assert_eq!(
            refused,
            "argument 1 of `sum` must be a number or an interval, not BOOLEAN: sum(x)"
        );
        let refused = result("max_by", &[DataType::Int]).unwrap_err();
        assert_eq!(
            refused,
            "`max_by` takes 2 arguments, not 1: max_by(x, y[, k])"
        );
    }

    #[test]
    fn no_name_stands_for_two_functions() {
        let mut names: Vec<_> = all()
            .flat_map(|f| f.aliases.iter().copied().chain([f.name]))
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
