//! An own function of one row.

use std::fmt;
use std::sync::Arc;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use super::{Signature, Types, fixed};
use crate::expr::body::{Body, PureFn};
use crate::expr::coerce::{self, Settings};
use crate::expr::typed::{Call, Form, Op, Typed};
use crate::job_error::{JobError, Location};

/// A function of one row, written in Rust.
///
/// It is checked like those of the language: the number and types of its arguments when the job is read, with line and
/// column; what it gives has a type from then on. A NULL argument gives NULL without a call, unless it
/// [sees NULLs](Self::sees_nulls).
#[derive(Clone)]
pub struct ScalarFunction {
    name: &'static str,
    signature: &'static str,
    about: &'static str,
    types: Types,
    call: PureFn,
    nulls: bool,
    deterministic: bool,
}

impl fmt::Debug for ScalarFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.signature)
    }
}

impl ScalarFunction {
    /// A function that takes arguments of these types; others are cast to them where Spark would without being asked.
    ///
    /// What `call` gives must be NULL or of the type `gives`; another value is an error of the record, as its own error is, and
    /// `onError` says what becomes of that. What is in an array, a map or a struct is not looked at.
    pub fn new(
        name: &'static str,
        takes: impl Into<Vec<DataType>>,
        gives: DataType,
        call: impl Fn(&[Value]) -> Result<Value, RecordError> + Send + Sync + 'static,
    ) -> Self {
        Self::made(name, fixed(takes.into(), gives), Arc::new(call))
    }

    /// A function whose types depend on those of its arguments. The error of `types` is a sentence for the author of the
    /// job; it is shown with line and column.
    pub fn generic(
        name: &'static str,
        types: impl Fn(&[DataType]) -> Result<Signature, String> + Send + Sync + 'static,
        call: impl Fn(&[Value]) -> Result<Value, RecordError> + Send + Sync + 'static,
    ) -> Self {
        Self::made(name, Arc::new(types), Arc::new(call))
    }

    fn made(name: &'static str, types: Types, call: PureFn) -> Self {
        Self {
            name,
            signature: name,
            about: "",
            types,
            call,
            nulls: false,
            deterministic: true,
        }
    }

    /// How it is called (`haversine(lat1, lon1, lat2, lon2)`) and one line on what it gives: for messages and
    /// `thalweg functions`.
    #[must_use]
    pub fn described(mut self, signature: &'static str, about: &'static str) -> Self {
        self.signature = signature;
        self.about = about;
        self
    }

    /// The same function, called with NULL arguments too.
    #[must_use]
    pub fn sees_nulls(mut self) -> Self {
        self.nulls = true;
        self
    }

    /// The same function, which may give another value for the same arguments. It is then never computed in advance, and
    /// refused where a row must be the same when it is read again.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.deterministic = false;
        self
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How it is called.
    pub(super) fn signature(&self) -> &'static str {
        self.signature
    }

    /// What it gives.
    pub(super) fn about_it(&self) -> &'static str {
        self.about
    }

    /// A call with checked arguments.
    pub(crate) fn bind(
        &self,
        args: Vec<Typed>,
        settings: Settings,
        at: Location,
    ) -> Result<Typed, JobError> {
        let wrong = |at: Location, message: String| {
            JobError::new(at, format!("{}: {message}", self.name))
                .help(format!("it is called {}", self.signature))
        };
        let given: Vec<DataType> = args.iter().map(|arg| arg.data_type.clone()).collect();
        let Signature { takes, gives } =
            (self.types)(&given).map_err(|message| wrong(at, message))?;
        if takes.len() != args.len() {
            let message = format!("takes {} arguments, got {}", takes.len(), args.len());
            return Err(wrong(at, message));
        }
        let args = args
            .into_iter()
            .zip(&takes)
            .enumerate()
            .map(|(place, (arg, to))| {
                if fits(&arg.data_type, to, settings.ansi) {
                    return Ok(coerce::cast_implicitly(arg, to, settings));
                }
                let own = if arg.at.line > 0 { arg.at } else { at };
                let message = format!("argument {} takes {to}, got {}", place + 1, arg.data_type);
                Err(wrong(own, message))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let op = Op::Call(Call {
            name: self.name.into(),
            form: Form::Function,
            body: Body::Pure {
                call: checked(self.name, &self.call, gives.clone()),
                nulls: self.nulls,
            },
            deterministic: self.deterministic,
        });
        Ok(Typed::node(op, args, gives, true, at))
    }
}

/// The function, and an error where it gives a value of another type than it says.
fn checked(name: &'static str, call: &PureFn, gives: DataType) -> PureFn {
    let call = Arc::clone(call);
    Arc::new(move |args| {
        let value = call(args)?;
        if value.is_of(&gives) {
            return Ok(value);
        }
        Err(RecordError::expression(format!(
            "{name} gave a value that is no {gives}, as it says it would"
        )))
    })
}

/// Whether an argument of one type is cast to another without being asked.
pub(super) fn fits(given: &DataType, to: &DataType, ansi: bool) -> bool {
    let decimals = matches!(to, DataType::Decimal { .. })
        && (given.is_integer() || matches!(given, DataType::Decimal { .. }));
    decimals || coerce::wider(given, to, ansi).as_ref() == Some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Location = Location { line: 3, column: 8 };

    fn typed(value: Value, data_type: DataType) -> Typed {
        Typed::literal(value, data_type, AT)
    }

    fn half() -> ScalarFunction {
        ScalarFunction::new("half", [DataType::Double], DataType::Double, |args| {
            Ok(match args {
                [Value::Double(x)] => Value::Double(x / 2.0),
                _ => Value::Null,
            })
        })
        .described("half(x)", "Half of x.")
    }

    fn bind(args: Vec<Typed>) -> Result<Typed, JobError> {
        let settings = Settings {
            ansi: true,
            zone: crate::expr::calendar::Zone::UTC,
        };
        half().bind(args, settings, AT)
    }

    #[test]
    fn arguments_are_cast_and_constants_are_computed_once() {
        let bound = bind(vec![typed(Value::Int(3), DataType::Int)]).unwrap();
        assert_eq!(bound.data_type, DataType::Double);
        assert_eq!(bound.constant(), Some(&Value::Double(1.5)));
        let null = bind(vec![typed(Value::Null, DataType::Void)]).unwrap();
        assert_eq!(null.constant(), Some(&Value::Null));
    }

    #[test]
    fn a_value_of_another_type_than_it_says_is_an_error_of_the_record() {
        let texts = ScalarFunction::new("texts", [], DataType::BigInt, |_| Ok(Value::from("7")));
        let gives = checked(texts.name, &texts.call, DataType::BigInt);
        let error = gives(&[]).unwrap_err();
        assert_eq!(
            &*error.reason,
            "texts gave a value that is no BIGINT, as it says it would"
        );
        let gives = checked(texts.name, &texts.call, DataType::String);
        assert_eq!(gives(&[]).unwrap(), Value::from("7"));
    }

    #[test]
    fn a_wrong_call_says_where_it_stands_and_how_it_is_called() {
        let error = bind(vec![typed(Value::Boolean(true), DataType::Boolean)]).unwrap_err();
        assert_eq!(error.message, "half: argument 1 takes DOUBLE, got BOOLEAN");
        assert_eq!(
            (error.at, error.help.as_deref()),
            (AT, Some("it is called half(x)"))
        );
        let error = bind(Vec::new()).unwrap_err();
        assert_eq!(error.message, "half: expected 1 argument, got 0");
    }
}
