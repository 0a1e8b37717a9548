//! Aggregates by name: what they take, what they give, and their manual.
//!
//! The plan asks [`find`] for a function, casts the arguments to what [`Function::takes`] says, and gets the type of the
//! result from [`Function::result_type`]. NULL arguments do not count unless the function's line says so.

use std::collections::HashMap;
use std::sync::LazyLock;

use thalweg_engine::counted::counted;
use thalweg_engine::schema::DataType;

use crate::extensions::Own;

mod accumulator;
mod bitmaps;
mod both;
mod build;
mod counts;
mod distinct;
mod elements;
mod hll;
mod hll_bias;
mod hll_raw;
mod listagg;
mod lists;
mod mode;
mod moments;
mod parameters;
mod percentile;
mod percentile_approx;
mod place;
mod quantiles;
mod result_types;
mod slab;
mod sums;
mod table;
#[cfg(test)]
mod tests;
mod top;
mod values;

pub use accumulator::Accumulator;
pub use build::build;
pub use listagg::Direction;
pub use parameters::{Constants, Parameters, Within};
pub use result_types::{Arguments, Gives};
pub(crate) use slab::{Slab, number};

/// An aggregate function.
#[derive(Clone, Copy)]
pub struct Function {
    /// Its name, as Spark writes it; lower case.
    pub name: &'static str,
    /// Further names for the same function.
    pub aliases: &'static [&'static str],
    /// How it is called: `max_by(x, y)`.
    pub signature: &'static str,
    /// One line on what it gives.
    pub about: &'static str,
    /// A call, and in brackets the values of `x` (and `y`) of its rows.
    pub example: &'static str,
    /// What the example gives.
    pub result: &'static str,
    /// How many arguments it takes, least and most.
    pub arity: (usize, usize),
    /// What its arguments must be.
    pub arguments: Arguments,
    /// The type of its result.
    pub gives: Gives,
    /// What stands behind its arguments and is the same for all rows.
    pub constants: Constants,
    /// Whether WITHIN GROUP (ORDER BY ...) stands behind its brackets.
    pub within: Within,
    /// What makes it one that a program has added.
    pub own: Option<Own>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.signature)
    }
}

impl Function {
    /// The types that the arguments must be cast to before they come to the operator; most stay as they are. `count(*)`
    /// has no arguments.
    ///
    /// # Errors
    /// When the function does not take so many arguments or such; a sentence for the author of the job.
    pub fn takes(&self, arguments: &[DataType]) -> Result<Vec<DataType>, String> {
        if let Some(own) = self.own {
            return Ok(own.types(self, arguments)?.takes);
        }
        let (least, most) = self.arity;
        if arguments.len() < least || arguments.len() > most {
            let expected = match (least, most) {
                (least, usize::MAX) => format!("at least {}", counted(least, "argument")),
                (least, most) if least == most => counted(least, "argument"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            return Err(format!(
                "`{}` takes {expected}, not {}: {}",
                self.name,
                arguments.len(),
                self.signature
            ));
        }
        arguments
            .iter()
            .enumerate()
            .map(|(place, given)| self.arguments.take(self, place, given))
            .collect()
    }

    /// The type of the result over arguments of these types, before or after they are cast.
    ///
    /// # Errors
    /// As [`Function::takes`].
    pub fn result_type(&self, arguments: &[DataType], ansi: bool) -> Result<DataType, String> {
        // Overflow changes what a result is, never its type.
        let _ = ansi;
        if let Some(own) = self.own {
            return Ok(own.types(self, arguments)?.gives);
        }
        let taken = self.takes(arguments)?;
        Ok(self.gives.over(&taken))
    }
}

/// All aggregate functions, in the order of the manual.
pub fn all() -> impl Iterator<Item = &'static Function> {
    table::FUNCTIONS.iter()
}

/// The function of this name, in any case.
pub fn find(name: &str) -> Option<&'static Function> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Function>> = LazyLock::new(|| {
        all()
            .flat_map(|function| {
                std::iter::once(function.name)
                    .chain(function.aliases.iter().copied())
                    .map(move |name| (name, function))
            })
            .collect()
    });
    BY_NAME.get(name.to_ascii_lowercase().as_str()).copied()
}
