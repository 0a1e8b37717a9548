//! Functions by name: what they take, what they give, and their manual.
//!
//! A function is one entry of its family's table. Its `bind` runs once, when the job is checked: it checks and coerces
//! the arguments ([`BindContext::take`]) and hands back a typed node whose closure runs for each row
//! ([`BindContext::strict`] and its siblings). A NULL argument gives NULL without a call, unless the function asks to
//! see NULLs.
//!
//! Names, results and types are Spark 4's; `expr/tests/spark.rs` compares them with Spark's own answers. Different, on
//! purpose (`docs/functions.md` has the whole list):
//! - `rand`, `randn`: a seed gives the numbers of Spark's first partition, in every partition.
//! - `current_timestamp` and its family: of the record, not of a batch.
//! - Texts and arrays that a number makes (`repeat`, `sequence`) have limits.
//! - Patterns of dates have no full zone names (`zzzz`), and no zone names in parsing; regular expressions differ from
//!   Java's in what `java_regex` says.
//! - Counts take any integer that fits (`date_add`); `format_string` writes dates and times as text.
//! - The last digit of `exp`, `sin` and the like may differ: they are the platform's.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use smol_str::SmolStr;
use thalweg_engine::counted::counted;
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::Eval;
use crate::expr::body::{Body, Lambda, Outcome, ScratchFn};
use crate::expr::coerce::{self, Settings};
use crate::expr::typed::{Call, Form, Kind, Mode, Op, Typed};
use crate::job_error::{JobError, Location};

mod arithmetic_functions;
mod array_sets;
mod arrays;
mod bits;
mod byte_formats;
mod conditional;
mod csv;
mod dates;
mod dates_arithmetic;
mod dates_made;
mod dates_text;
mod digit_pattern;
mod encryption;
mod forms;
pub(crate) mod generators;
mod geography;
mod hash;
pub(in crate::expr) mod java_regex;
mod json;
mod json_path;
mod json_schema;
mod lambdas;
pub mod manual;
mod maps;
mod mathematics;
mod number_formats;
mod number_patterns;
mod numbers;
mod random;
mod rounding;
mod sentences;
mod strings;
mod strings_regex;
mod strings_search;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_nested;
#[cfg(test)]
mod tests_numbers;
#[cfg(test)]
mod tests_text;
#[cfg(test)]
mod tests_times;
mod text_formats;
mod text_likeness;
mod text_template;
mod time_buckets;
pub(crate) mod time_parse;
pub(crate) mod time_pattern;
mod urls;
mod vectors;
pub(crate) mod windows;

#[cfg(test)]
pub(in crate::expr) use conditional::type_name;
pub(in crate::expr) use dates_arithmetic::is_unit;

/// Spark's `xxhash64` of one value from a seed; decimals of more than 18 digits are hashed as bytes.
pub(crate) fn spark_xxhash64(value: &Value, wide_decimal: bool, seed: u64) -> u64 {
    hash::spark_xxhash64(value, wide_decimal, seed)
}

/// Checks and coerces the arguments and gives the typed node.
pub type Bind = fn(Vec<Typed>, &BindContext) -> Result<Typed, JobError>;

/// The types (and nullability) of a lambda's parameters, from the arguments before the lambda and the number of its
/// parameters; None when a lambda may not stand there, or not with so many parameters.
pub type LambdaTypes = fn(&[Typed], usize) -> Option<Vec<(DataType, bool)>>;

/// A scalar function.
#[derive(Clone, Copy)]
pub struct Function {
    /// Its name, as Spark writes it.
    pub name: &'static str,
    /// Further names for the same function.
    pub aliases: &'static [&'static str],
    /// How it is called: `substring(text, start[, length])`.
    pub signature: &'static str,
    /// One line on what it gives.
    pub about: &'static str,
    /// A call, as a SQL expression over constants.
    pub example: &'static str,
    /// What the example gives, as Spark prints it. Empty where it differs from run to run.
    pub result: &'static str,
    /// Checks a call.
    pub bind: Bind,
    /// The parameters of its lambdas; None where it takes none.
    pub lambda: Option<LambdaTypes>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.signature)
    }
}

/// An entry of a family's table.
pub(crate) const fn function(
    name: &'static str,
    signature: &'static str,
    about: &'static str,
    example: &'static str,
    result: &'static str,
    bind: Bind,
) -> Function {
    Function {
        name,
        aliases: &[],
        signature,
        about,
        example,
        result,
        bind,
        lambda: None,
    }
}

impl Function {
    /// The same function with further names.
    pub(crate) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same function, taking lambdas.
    pub(crate) const fn lambda(mut self, types: LambdaTypes) -> Self {
        self.lambda = Some(types);
        self
    }
}

/// The families and their functions, for the manual.
pub fn families() -> [(&'static str, &'static [Function]); 33] {
    [
        ("conditional", conditional::FUNCTIONS),
        ("numbers", numbers::FUNCTIONS),
        ("arithmetic", arithmetic_functions::FUNCTIONS),
        ("mathematics", mathematics::FUNCTIONS),
        ("bits and number systems", bits::FUNCTIONS),
        ("random numbers", random::FUNCTIONS),
        ("text", strings::FUNCTIONS),
        ("finding and replacing text", strings_search::FUNCTIONS),
        ("regular expressions", strings_regex::FUNCTIONS),
        ("numbers as text", number_formats::FUNCTIONS),
        ("numbers by digits", number_patterns::FUNCTIONS),
        ("sentences", sentences::FUNCTIONS),
        ("templates", text_template::FUNCTIONS),
        ("likeness of texts", text_likeness::FUNCTIONS),
        ("encodings", text_formats::FUNCTIONS),
        ("bytes", byte_formats::FUNCTIONS),
        ("URLs", urls::FUNCTIONS),
        ("dates and times", dates::FUNCTIONS),
        ("dates and times as text", dates_text::FUNCTIONS),
        ("making dates and times", dates_made::FUNCTIONS),
        (
            "calculating with dates and times",
            dates_arithmetic::FUNCTIONS,
        ),
        ("windows of time", windows::FUNCTIONS),
        ("buckets of time", time_buckets::FUNCTIONS),
        ("arrays", arrays::FUNCTIONS),
        ("sorted arrays and sets", array_sets::FUNCTIONS),
        ("arrays and lambdas", lambdas::FUNCTIONS),
        ("vectors", vectors::FUNCTIONS),
        ("maps and structs", maps::FUNCTIONS),
        ("JSON", json::FUNCTIONS),
        ("CSV", csv::FUNCTIONS),
        ("places on Earth", geography::FUNCTIONS),
        ("hashes and identifiers", hash::FUNCTIONS),
        ("encryption", encryption::FUNCTIONS),
    ]
}

/// All functions.
pub fn all() -> impl Iterator<Item = &'static Function> {
    families().into_iter().flat_map(|(_, functions)| functions)
}

/// The function of this name, in any case.
pub fn find(name: &str) -> Option<&'static Function> {
    static BY_NAME: LazyLock<HashMap<String, &'static Function>> = LazyLock::new(|| {
        all()
            .flat_map(|function| {
                std::iter::once(function.name)
                    .chain(function.aliases.iter().copied())
                    .map(move |name| (name.to_ascii_lowercase(), function))
            })
            .collect()
    });
    BY_NAME.get(&name.to_ascii_lowercase()).copied()
}

/// What a parameter takes; arguments are coerced to it as Spark coerces them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// Anything, as it is.
    Any,
    /// BOOLEAN.
    Boolean,
    /// INT.
    Int,
    /// BIGINT.
    Long,
    /// An integer of any width, as it is.
    Integral,
    /// DOUBLE.
    Double,
    /// A number of any type, as it is; a STRING becomes a DOUBLE.
    Number,
    /// STRING.
    Text,
    /// BINARY.
    Binary,
    /// STRING or BINARY, as it is; anything else becomes a STRING.
    TextOrBinary,
    /// DATE.
    Date,
    /// TIMESTAMP.
    Timestamp,
    /// DATE, TIMESTAMP or TIMESTAMP_NTZ as it is; a STRING becomes a TIMESTAMP.
    Time,
    /// An ARRAY, as it is.
    Array,
    /// A MAP, as it is.
    Map,
    /// A STRUCT, as it is.
    Struct,
    /// A lambda.
    Lambda,
}

/// What a binding function knows of the call.
#[derive(Clone, Copy, Debug)]
pub struct BindContext {
    /// The function's name.
    pub name: &'static str,
    /// How it is called.
    pub signature: &'static str,
    /// `SET ansi` and `SET timeZone`.
    pub settings: Settings,
    /// Where the call stands.
    pub at: Location,
}

impl BindContext {
    /// What a failure gives: an error of the record under `ansi`, else Spark's older answer.
    pub fn mode(&self) -> Mode {
        Mode::of(self.settings.ansi)
    }

    /// An error of this call.
    pub fn error(&self, message: impl Into<String>) -> JobError {
        JobError::new(self.at, format!("{}: {}", self.name, message.into()))
            .help(format!("it is called {}", self.signature))
    }

    /// Coerces the arguments to these parameters, of which the first `required` must be given.
    ///
    /// # Errors
    /// For too few or too many arguments, or one that does not fit.
    pub fn take(
        &self,
        args: Vec<Typed>,
        params: &[Param],
        required: usize,
    ) -> Result<Vec<Typed>, JobError> {
        if args.len() < required || args.len() > params.len() {
            let expected = match (required, params.len()) {
                (least, most) if least == most => counted(least, "argument"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            return Err(self.error(format!("expected {expected}, got {}", args.len())));
        }
        args.into_iter()
            .zip(params)
            .enumerate()
            .map(|(i, (arg, param))| self.coerce(arg, *param, i))
            .collect()
    }

    /// Coerces any number of arguments, at least `required`, to one parameter.
    ///
    /// # Errors
    /// For too few arguments, or one that does not fit.
    pub fn take_all(
        &self,
        args: Vec<Typed>,
        param: Param,
        required: usize,
    ) -> Result<Vec<Typed>, JobError> {
        if args.len() < required {
            return Err(self.error(format!(
                "expected at least {required} arguments, got {}",
                args.len()
            )));
        }
        args.into_iter()
            .enumerate()
            .map(|(i, arg)| self.coerce(arg, param, i))
            .collect()
    }

    /// Coerces one argument; `place` counts from 0.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn coerce(&self, arg: Typed, param: Param, place: usize) -> Result<Typed, JobError> {
        let at = arg.at;
        let got = arg.data_type.clone();
        let constant = arg.constant_text().map(str::to_owned);
        let wrong = |message: String| {
            let mut error = self.error(format!("argument {}{message}", place + 1));
            if at.line > 0 {
                error.at = at;
            }
            error
        };
        let Some(coerced) = coerce::to_param(arg, param, self.settings) else {
            let expected = coerce::param_name(param);
            return Err(wrong(format!(" takes {expected}, got {got}")));
        };
        match constant {
            // It would fail for every row: a mistake of the job.
            Some(text) if self.settings.ansi && coerced.constant().is_none() => {
                Err(wrong(format!(": '{text}' is no {}", coerced.data_type)))
            }
            _ => Ok(coerced),
        }
    }

    /// Coerces arguments to the one type that all of them fit, as `coalesce` and `array` do.
    ///
    /// # Errors
    /// When there is none.
    pub fn same_type(&self, args: Vec<Typed>) -> Result<(Vec<Typed>, DataType), JobError> {
        match coerce::common_type(args.iter(), self.settings) {
            Some(data_type) => {
                let args = args
                    .into_iter()
                    .map(|arg| coerce::cast_implicitly(arg, &data_type, self.settings))
                    .collect();
                Ok((args, data_type))
            }
            None => {
                let types: Vec<String> = args.iter().map(|a| a.data_type.to_string()).collect();
                Err(self.error(format!(
                    "the arguments have no type in common: {}",
                    types.join(", ")
                )))
            }
        }
    }

    /// A lambda among the arguments.
    ///
    /// # Errors
    /// When the argument is something else.
    pub fn expect_lambda<'t>(&self, arg: &'t Typed) -> Result<&'t Typed, JobError> {
        match &arg.kind {
            Kind::Lambda { .. } => Ok(arg),
            _ => Err(self.error("expected a lambda such as x -> x + 1")),
        }
    }

    /// A node that is NULL exactly when an argument is.
    ///
    /// # Errors
    /// None; a `Result` so that a binding can end with it.
    pub fn strict(
        &self,
        data_type: DataType,
        args: Vec<Typed>,
        call: impl Fn(&[Value]) -> Outcome + Send + Sync + 'static,
    ) -> Result<Typed, JobError> {
        let nullable = args.iter().any(|arg| arg.nullable);
        let body = Body::Pure {
            call: Arc::new(call),
            nulls: false,
        };
        Ok(self.node(body, args, data_type, nullable, true))
    }

    /// A node that is NULL when an argument is, and may be NULL otherwise.
    ///
    /// # Errors
    /// None.
    pub fn partial(
        &self,
        data_type: DataType,
        args: Vec<Typed>,
        call: impl Fn(&[Value]) -> Outcome + Send + Sync + 'static,
    ) -> Result<Typed, JobError> {
        let body = Body::Pure {
            call: Arc::new(call),
            nulls: false,
        };
        Ok(self.node(body, args, data_type, true, true))
    }

    /// A node whose function sees NULL arguments.
    ///
    /// # Errors
    /// None.
    pub fn with_nulls(
        &self,
        data_type: DataType,
        nullable: bool,
        args: Vec<Typed>,
        call: impl Fn(&[Value]) -> Outcome + Send + Sync + 'static,
    ) -> Result<Typed, JobError> {
        let body = Body::Pure {
            call: Arc::new(call),
            nulls: true,
        };
        Ok(self.node(body, args, data_type, nullable, true))
    }

    /// A node whose function keeps scratch space between rows: `make` runs once per compiled expression. NULL arguments
    /// give NULL, and the function may give NULL otherwise.
    ///
    /// # Errors
    /// None.
    pub fn scratch(
        &self,
        data_type: DataType,
        args: Vec<Typed>,
        make: impl Fn() -> ScratchFn + Send + Sync + 'static,
    ) -> Result<Typed, JobError> {
        let body = Body::Scratch {
            make: Arc::new(make),
            nulls: false,
        };
        Ok(self.node(body, args, data_type, true, true))
    }

    /// A node that gives another value each time, never NULL: `rand()`, `uuid()`.
    ///
    /// # Errors
    /// None.
    pub fn volatile(
        &self,
        data_type: DataType,
        args: Vec<Typed>,
        make: impl Fn() -> ScratchFn + Send + Sync + 'static,
    ) -> Result<Typed, JobError> {
        let body = Body::Scratch {
            make: Arc::new(make),
            nulls: true,
        };
        Ok(self.node(body, args, data_type, false, false))
    }

    /// A node whose function calls lambdas: it gets the values of the other arguments, NULLs too, and the lambdas.
    ///
    /// # Errors
    /// None.
    pub fn higher_order(
        &self,
        data_type: DataType,
        args: Vec<Typed>,
        call: impl Fn(&[Value], &mut [Lambda], &RecordMeta) -> Outcome + Send + Sync + 'static,
    ) -> Result<Typed, JobError> {
        let deterministic = args.iter().all(Typed::deterministic);
        let body = Body::HigherOrder(Arc::new(call));
        Ok(self.node(body, args, data_type, true, deterministic))
    }

    /// A node whose function decides which arguments are evaluated.
    ///
    /// # Errors
    /// None.
    pub fn lazy(
        &self,
        data_type: DataType,
        nullable: bool,
        args: Vec<Typed>,
        make: impl Fn(Vec<Box<dyn Eval>>) -> Box<dyn Eval> + Send + Sync + 'static,
    ) -> Result<Typed, JobError> {
        let body = Body::Lazy(Arc::new(make));
        Ok(self.node(body, args, data_type, nullable, true))
    }

    fn node(
        &self,
        body: Body,
        args: Vec<Typed>,
        data_type: DataType,
        nullable: bool,
        deterministic: bool,
    ) -> Typed {
        let call = Call {
            name: SmolStr::new_static(self.name),
            form: Form::Function,
            body,
            deterministic,
        };
        Typed::node(Op::Call(call), args, data_type, nullable, self.at)
    }
}
