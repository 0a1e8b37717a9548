//! What an aggregate is called with: its arguments, the constants behind them, and the order of WITHIN GROUP.

use std::sync::Arc;

use smol_str::format_smolstr;
use sqlparser::ast::{Expr, OrderByExpr, OrderBySort};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::coerce::{self, Settings};
use crate::expr::compile::evaluate_constant;
use crate::expr::grouped::normal;
use crate::expr::operators;
use crate::expr::scope::Scope;
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::stateful::accumulators::{Constants, Direction, Function, Parameters, Within};

/// What an aggregate is computed of.
pub(crate) struct Call {
    /// Of the types that the function takes.
    pub(crate) arguments: Vec<Typed>,
    pub(crate) parameters: Parameters,
    /// The type of what it gives.
    pub(crate) result: DataType,
}

/// A call as it is written.
pub(crate) struct Written<'e> {
    /// What stands in the brackets.
    pub(crate) arguments: Vec<&'e Expr>,
    pub(crate) distinct: bool,
    /// What stands behind them.
    pub(crate) within: &'e [OrderByExpr],
}

/// Checks a call of an aggregate; `check` gives an expression its type, over the columns of `scope`.
pub(crate) fn call(
    known: &'static Function,
    written: &Written<'_>,
    scope: &Scope,
    mut check: impl FnMut(&Expr) -> Result<Typed, JobError>,
    at: Location,
) -> Result<Call, JobError> {
    refuse(known, written, at)?;
    let settings = scope.settings();
    let mut arguments = Vec::new();
    if argument_is_ordered(known, written) {
        arguments.push(check(&written.within[0].expr)?);
    }
    for expr in &written.arguments {
        arguments.push(check(expr)?);
    }
    if known.constants == Constants::PercentagesAndFrequency && arguments.len() == 3 {
        // The constant stands between the arguments.
        arguments.swap(1, 2);
    }
    let constants = arguments.split_off(known.arguments_of(arguments.len()));
    let mut parameters = parameters(known, constants, settings, at)?;
    let mut arguments = fitting(known, arguments, settings, at)?;
    let types: Vec<DataType> = arguments.iter().map(|a| a.data_type.clone()).collect();
    let result = known
        .result_type(&types, scope.ansi)
        .map_err(|message| JobError::new(at, message))?;
    let result = parameters.result(result);
    let directions = written.within.iter().map(direction);
    if argument_is_ordered(known, written) {
        let descending = directions.map(|one| f64::from(u8::from(one.descending)));
        parameters.numbers.splice(0..0, descending);
    } else if !written.within.is_empty() {
        parameters.numbers.extend(directions.map(Direction::number));
        sort(&mut arguments, written, scope, check, at)?;
    }
    Ok(Call {
        arguments,
        parameters,
        result,
    })
}

/// Whether the argument is what WITHIN GROUP orders by.
fn argument_is_ordered(known: &Function, written: &Written<'_>) -> bool {
    matches!(known.within, Within::Argument | Within::Needed) && !written.within.is_empty()
}

fn refuse(known: &Function, written: &Written<'_>, at: Location) -> Result<(), JobError> {
    let name = known.name;
    let wrong = |what: String| {
        Err(JobError::new(at, what).help(format!("it is called {}", known.signature)))
    };
    match (known.within, written.within.len()) {
        (_, 0) if known.within != Within::Needed => Ok(()),
        (Within::Needed, 0) => wrong(format!("{name} needs WITHIN GROUP (ORDER BY ...)")),
        (Within::No, _) => Err(JobError::new(
            at,
            format!("{name}: WITHIN GROUP has no meaning here"),
        )),
        (Within::Sorted, _) => Ok(()),
        (_, 1) if written.distinct => {
            wrong(format!("{name}: DISTINCT has no meaning with WITHIN GROUP"))
        }
        (Within::Argument, 1) if !written.arguments.is_empty() => wrong(format!(
            "{name}: with WITHIN GROUP nothing stands in its brackets"
        )),
        (_, 1) => Ok(()),
        _ => wrong(format!("{name}: WITHIN GROUP orders by one expression")),
    }
}

fn direction(key: &OrderByExpr) -> Direction {
    let descending = matches!(key.options.sort, Some(OrderBySort::Desc));
    Direction {
        descending,
        nulls_first: key.options.nulls_first.unwrap_or(!descending),
    }
}

/// Puts the keys behind the argument, as fields of one struct; what is ordered by itself needs none.
fn sort(
    arguments: &mut Vec<Typed>,
    written: &Written<'_>,
    scope: &Scope,
    check: impl FnMut(&Expr) -> Result<Typed, JobError>,
    at: Location,
) -> Result<(), JobError> {
    let listed = written
        .arguments
        .first()
        .and_then(|expr| normal(expr, scope));
    let itself = |key: &OrderByExpr| normal(&key.expr, scope) == listed && listed.is_some();
    let alone = written.within.len() == 1 && written.within.iter().all(itself);
    if written.distinct && !alone {
        return Err(JobError::new(
            at,
            "a list of DISTINCT values is ordered by these values and by nothing else",
        ));
    }
    let mut check = check;
    let keys = written.within.iter().map(|key| check(&key.expr));
    let keys = keys.collect::<Result<Vec<Typed>, _>>()?;
    if let Some(key) = keys.iter().find(|key| key.data_type.has_map()) {
        return Err(JobError::new(
            key.at,
            format!("{} has no order", key.data_type),
        ));
    }
    if alone && arguments.first().map(|x| &x.data_type) == keys.first().map(|key| &key.data_type) {
        return Ok(());
    }
    let parts: Vec<Typed> = arguments.drain(..).chain(keys).collect();
    let names = (1..=parts.len()).map(|number| format_smolstr!("col{number}"));
    arguments.push(operators::structure(names.collect(), parts, at));
    Ok(())
}

/// The constants behind the arguments of a call.
fn parameters(
    known: &Function,
    constants: Vec<Typed>,
    settings: Settings,
    at: Location,
) -> Result<Parameters, JobError> {
    let values = constants.into_iter().map(|typed| {
        if !typed.columns().is_empty() || !typed.deterministic() {
            return None;
        }
        let typed = match (known.constants, &typed.data_type) {
            (Constants::Delimiter | Constants::Deterministic, _) => typed,
            (_, DataType::Array(_)) => {
                let double = DataType::Array(Arc::new(DataType::Double));
                coerce::cast_implicitly(typed, &double, settings)
            }
            _ => coerce::cast_implicitly(typed, &DataType::Double, settings),
        };
        evaluate_constant(&typed).ok()
    });
    let values: Vec<Option<Value>> = values.collect();
    known
        .parameters(&values)
        .map_err(|message| JobError::new(at, message))
}

/// The arguments cast to what the function takes.
fn fitting(
    known: &Function,
    arguments: Vec<Typed>,
    settings: Settings,
    at: Location,
) -> Result<Vec<Typed>, JobError> {
    // `count(1)` counts rows, as `count(*)` does.
    if known.name == "count"
        && let [one] = arguments.as_slice()
        && one.constant().is_some_and(|value| *value != Value::Null)
    {
        return Ok(Vec::new());
    }
    let types: Vec<DataType> = arguments.iter().map(|a| a.data_type.clone()).collect();
    let takes = known
        .takes(&types)
        .map_err(|message| JobError::new(at, message))?;
    Ok(arguments
        .into_iter()
        .zip(takes)
        .map(|(argument, to)| coerce::cast_implicitly(argument, &to, settings))
        .collect())
}
