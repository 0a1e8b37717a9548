//! `decayed_count` and `decayed_sum`: what a row adds is halved with each half-life that has passed since its time.

use sqlparser::ast::{Expr, Function as Written};
use thalweg_engine::record::Micros;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::check::{check, check_condition};
use crate::expr::coerce::cast_implicitly;
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::over_call::{Call, Parts, Window, column, computed, filtered, made};
use crate::plan::over_select::Gathered;
use crate::plan::{names, over_frame};
use crate::sql::cursor::start_of;
use crate::stateful::over::{Frame, Kind};

/// How each is called.
const CALLED: [(&str, &str); 2] = [
    ("decayed_count", "decayed_count(half_life)"),
    ("decayed_sum", "decayed_sum(x, half_life)"),
];

/// Whether a function of this name is one of them.
pub(super) fn is_one(name: &str) -> bool {
    CALLED.iter().any(|(known, _)| *known == name)
}

/// The call of one of them.
pub(super) fn call(
    gathered: &mut Gathered<'_>,
    written: &Written,
    parts: &Parts<'_>,
    window: &Window<'_>,
    at: Location,
) -> Result<Call, JobError> {
    let name = written.name.to_string().to_lowercase();
    let sum = name == "decayed_sum";
    let wrong = |what: &str| JobError::new(at, format!("{name}: {what}"));
    let called = format!(
        "it is called {} OVER (... ORDER BY ts)",
        CALLED[usize::from(sum)].1
    );
    if parts.distinct || parts.ignore_nulls {
        return Err(wrong("DISTINCT and IGNORE NULLS have no meaning here"));
    }
    let (value, half_life) = match (sum, parts.arguments.as_slice()) {
        (true, [value, half_life]) => (Some(*value), *half_life),
        (false, [half_life]) => (None, *half_life),
        (_, other) => {
            let error = wrong(&format!(
                "expected {} arguments, got {}",
                1 + usize::from(sum),
                other.len()
            ));
            return Err(error.help(called));
        }
    };
    let half_life = self::half_life(gathered, half_life, &wrong, at)?;
    let order = window.order.map(|order| &order.data_type);
    if !matches!(order, Some(DataType::Timestamp | DataType::TimestampNtz)) {
        return Err(
            wrong("it needs an ORDER BY of a TIMESTAMP, the time that passes").help(called),
        );
    }
    if !matches!(window.frame, Frame::Unbounded { .. }) {
        return Err(
            wrong("it has no frame with a beginning, what is long ago fades by itself")
                .help("leave RANGE or ROWS out"),
        );
    }
    let settings = gathered.lowering.settings();
    let mut text = Vec::new();
    let mut argument: Option<Typed> = None;
    if let Some(expr) = value {
        let typed = check(expr, &gathered.scope)?;
        over_frame::deterministic(&typed, expr, start_of(expr, at))?;
        if !typed.data_type.is_numeric() && typed.data_type != DataType::Void {
            return Err(wrong(&format!("it sums numbers, not {}", typed.data_type)));
        }
        text.push(names::identity(expr, &gathered.scope));
        argument = Some(cast_implicitly(typed, &DataType::Double, settings));
    }
    if let Some(filter) = written.filter.as_deref() {
        let condition = check_condition(filter, &gathered.scope)?;
        over_frame::deterministic(&condition, filter, at)?;
        argument = Some(filtered(
            gathered,
            (condition, filter),
            argument.take(),
            &mut text,
            at,
        )?);
    }
    let argument = argument.map(|typed| computed(gathered, typed, &text));
    let field = Field {
        name: column(written, gathered),
        data_type: DataType::Double,
        nullable: sum,
    };
    let kind = Kind::Decayed { half_life, sum };
    Ok(made(written, gathered, kind, argument, field))
}

/// The half-life in microseconds.
fn half_life(
    gathered: &Gathered<'_>,
    expr: &Expr,
    wrong: &dyn Fn(&str) -> JobError,
    at: Location,
) -> Result<Micros, JobError> {
    match check(expr, &gathered.scope)?.constant() {
        Some(Value::DayTimeInterval(micros)) if *micros > 0 => Ok(*micros),
        _ => {
            let what = format!("the half-life is a constant interval above zero, not `{expr}`");
            let error = JobError {
                at: start_of(expr, at),
                ..wrong(&what)
            };
            Err(error.help("such as INTERVAL 1 HOUR"))
        }
    }
}
