//! A call with OVER: which function it is, what it takes, what it gives.

use smol_str::SmolStr;
use sqlparser::ast::{
    DuplicateTreatment, Expr, Function as Written, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, NullTreatment, WindowSpec,
};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::check::{check, check_condition};
use crate::expr::choice::case;
use crate::expr::coerce::{cast_implicitly, wider};
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::over_select::Gathered;
use crate::plan::{names, over_decayed, over_frame, over_own};
use crate::sql::cursor::start_of;
use crate::stateful::accumulators;
use crate::stateful::over::{Argument, Frame, Function, Kind, Order};

/// A function with its column; its frame is filled in by whoever knows it.
pub(super) struct Call {
    pub(super) function: Function,
    pub(super) field: Field,
    /// Of an own aggregate: what is computed of the column.
    pub(super) own: Option<over_own::Answer>,
}

/// The window of a call.
pub(super) struct Window<'a> {
    pub(super) spec: &'a WindowSpec,
    pub(super) order: Option<&'a Order>,
    pub(super) frame: Frame,
}

/// Functions that a stream cannot answer, and why.
const REFUSED: [(&str, &str); 7] = [
    ("lead", "the rows that follow have not arrived"),
    (
        "rank",
        "a row that comes later would change the ranks of others",
    ),
    (
        "dense_rank",
        "a row that comes later would change the ranks of others",
    ),
    ("percent_rank", "it needs all rows, and a stream has no end"),
    ("cume_dist", "it needs all rows, and a stream has no end"),
    ("ntile", "it needs all rows, and a stream has no end"),
    ("nth_value", "write lag, or first_value over a frame"),
];

/// Names of functions that have a meaning only with OVER.
pub(crate) fn only_with_over(name: &str) -> bool {
    let refused = REFUSED.iter().any(|(known, _)| *known == name);
    refused || name == "lag" || name == "row_number" || over_decayed::is_one(name)
}

/// What a function costs with OVER, where a key has n rows in the frame: work for a record, and what is kept for the key. None
/// of functions that have no form with OVER.
pub(crate) fn cost(name: &str) -> Option<&'static str> {
    match name {
        "row_number" => return Some("O(1) for a record; one number for each key"),
        "lag" => return Some("O(log n) for a record; as many rows as it looks back"),
        name if over_decayed::is_one(name) => {
            return Some("O(1) for a record; three numbers for each key");
        }
        _ => {}
    }
    let known = accumulators::all().find(|known| known.name == name)?;
    let parts = Parts {
        arguments: Vec::new(),
        distinct: false,
        ignore_nulls: false,
    };
    let kind = match known.own {
        Some(_) => None,
        None => kind(known, &parts, Location::default()).ok()?,
    };
    Some(match kind {
        None if running(name).is_some() => {
            "O(1) for a record and one number for each key from UNBOUNDED PRECEDING; O(n) with any other frame, computed anew of its \
             n rows, which are kept"
        }
        None => "O(n) for a record: computed anew of the frame's n rows, which are kept",
        Some(Kind::Collect { .. }) => {
            "O(n) for a record: the answer is as long as the frame, whose n rows are kept"
        }
        Some(Kind::Count) if name == "count" => {
            "O(1) for a record and one number for each key from UNBOUNDED PRECEDING, O(log n) and the frame's n rows in RANGE and \
             ROWS; count(DISTINCT x) O(1), where records come in order, and the n rows"
        }
        Some(_) => {
            "O(1) for a record and 1 to 5 numbers for each key from UNBOUNDED PRECEDING, O(log n) and the frame's n rows in RANGE \
             and ROWS"
        }
    })
}

/// What stands between the brackets.
pub(super) struct Parts<'e> {
    pub(super) arguments: Vec<&'e Expr>,
    pub(super) distinct: bool,
    pub(super) ignore_nulls: bool,
}

fn parts<'e>(written: &'e Written, name: &str, at: Location) -> Result<Parts<'e>, JobError> {
    let wrong = |what: String| Err(JobError::new(at, format!("{name}: {what}")));
    let mut parts = Parts {
        arguments: Vec::new(),
        distinct: false,
        ignore_nulls: matches!(written.null_treatment, Some(NullTreatment::IgnoreNulls)),
    };
    let list = match &written.args {
        FunctionArguments::List(list) => list,
        FunctionArguments::None => return Ok(parts),
        FunctionArguments::Subquery(_) => {
            return wrong("subqueries are not supported here".to_owned());
        }
    };
    parts.distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
    for clause in &list.clauses {
        match clause {
            FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => {
                parts.ignore_nulls = matches!(treatment, NullTreatment::IgnoreNulls);
            }
            other => return wrong(format!("`{other}` has no meaning here")),
        }
    }
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => parts.arguments.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard)
                if name == "count" && list.args.len() == 1 && !parts.distinct => {}
            other => return wrong(format!("expected an expression, got `{other}`")),
        }
    }
    Ok(parts)
}

/// The call of a function over the rows of a window.
pub(super) fn call(
    gathered: &mut Gathered<'_>,
    written: &Written,
    window: &Window<'_>,
    at: Location,
) -> Result<Call, JobError> {
    let name = written.name.to_string().to_lowercase();
    if let Some((_, reason)) = REFUSED.iter().find(|(known, _)| *known == name) {
        return Err(JobError::new(at, format!("{name}: {reason}")));
    }
    let mut parts = parts(written, &name, at)?;
    if name == "lag" || name == "row_number" {
        if window.spec.window_frame.is_some() {
            return Err(JobError::new(
                at,
                format!("cannot specify window frame for {name} function"),
            ));
        }
        if parts.distinct || parts.ignore_nulls || written.filter.is_some() {
            return Err(JobError::new(
                at,
                format!("{name}: DISTINCT, FILTER and IGNORE NULLS have no meaning here"),
            ));
        }
        return if name == "lag" {
            lag(gathered, written, &parts, at)
        } else if parts.arguments.is_empty() {
            let field = Field::required(column(written, gathered), DataType::Int);
            Ok(made(written, gathered, Kind::RowNumber, None, field))
        } else {
            Err(JobError::new(at, "row_number takes no arguments"))
        };
    }
    if over_decayed::is_one(&name) {
        return over_decayed::call(gathered, written, &parts, window, at);
    }
    let extensions = &gathered.lowering.catalog.extensions;
    let Some(known) = extensions.aggregate(&name) else {
        let all = accumulators::all().map(|function| function.name);
        let all = all.chain(extensions.aggregate_names());
        return Err(
            JobError::new(at, format!("`{name}` is no function over rows")).nearest(
                &name,
                all.chain(["lag", "row_number", "decayed_count", "decayed_sum"]),
            ),
        );
    };
    // first(x, true) is first(x) IGNORE NULLS.
    let edge = matches!(known.name, "first" | "last" | "any_value");
    if edge
        && let [_, Expr::Value(value)] = parts.arguments.as_slice()
        && let sqlparser::ast::Value::Boolean(ignore) = value.value
    {
        parts.ignore_nulls |= ignore;
        parts.arguments.truncate(1);
    }
    if parts.ignore_nulls && !edge {
        return Err(JobError::new(
            at,
            format!(
                "{name}: IGNORE NULLS is for first_value and last_value; others ignore NULLs anyway"
            ),
        ));
    }
    let kind = match known.own {
        Some(_) => None,
        None => kind(known, &parts, at)?,
    };
    let running =
        || running(known.name).filter(|_| matches!(window.frame, Frame::Unbounded { .. }));
    let Some(kind) = kind.or_else(running) else {
        return collected(gathered, (written, &parts), known, window.frame, at);
    };
    refuse_unbounded(kind, window.frame, &name, at)?;
    aggregate(gathered, (written, &parts), (known, kind), window.frame, at)
}

/// A call whose parts do not add up when rows leave the frame: what the rows have is kept, and computed of for each answer.
fn collected(
    gathered: &mut Gathered<'_>,
    (written, parts): (&Written, &Parts<'_>),
    known: &'static accumulators::Function,
    frame: Frame,
    at: Location,
) -> Result<Call, JobError> {
    if matches!(frame, Frame::Unbounded { .. }) {
        return Err(for_ever(
            format!(
                "{} is computed anew of all rows of its frame: from UNBOUNDED PRECEDING it would keep every value for ever",
                known.name
            ),
            at,
        ));
    }
    over_own::call(gathered, (written, parts), known, at)
}

/// How a function is computed from row to row; None where it is computed of all rows of the frame.
fn kind(
    known: &accumulators::Function,
    parts: &Parts<'_>,
    at: Location,
) -> Result<Option<Kind>, JobError> {
    let name = known.name;
    let deviation = |sample, root| Kind::Deviation { sample, root };
    let ignore_nulls = parts.ignore_nulls;
    let kind = Some(match name {
        "count" if parts.distinct => Kind::CountDistinct,
        "count" | "count_if" => Kind::Count,
        "sum" => Kind::Sum,
        "avg" => Kind::Avg,
        "min" => Kind::Min,
        "max" => Kind::Max,
        "stddev" | "stddev_samp" | "std" => deviation(true, true),
        "stddev_pop" => deviation(false, true),
        "variance" | "var_samp" => deviation(true, false),
        "var_pop" => deviation(false, false),
        "first" | "any_value" => Kind::First { ignore_nulls },
        "last" => Kind::Last { ignore_nulls },
        "collect_list" => Kind::Collect { distinct: false },
        "collect_set" => Kind::Collect { distinct: true },
        _ => return no_distinct(None, parts, name, at),
    });
    no_distinct(kind, parts, name, at)
}

/// What a function is of all rows so far, where its parts would not add up when rows leave the frame: of conditions the least
/// is their AND, the greatest their OR.
fn running(name: &str) -> Option<Kind> {
    match name {
        "bool_and" => Some(Kind::Min),
        "bool_or" => Some(Kind::Max),
        _ => None,
    }
}

/// DISTINCT has a meaning for few.
fn no_distinct(
    kind: Option<Kind>,
    parts: &Parts<'_>,
    name: &str,
    at: Location,
) -> Result<Option<Kind>, JobError> {
    if parts.distinct && kind != Some(Kind::CountDistinct) {
        return Err(JobError::new(
            at,
            format!("{name}(DISTINCT) has no form with OVER; count(DISTINCT) and collect_set have"),
        ));
    }
    if kind == Some(Kind::CountDistinct) && parts.arguments.len() != 1 {
        return Err(
            JobError::new(at, "count(DISTINCT) with OVER takes one expression")
                .help("write count(DISTINCT struct(a, b)) for several"),
        );
    }
    Ok(kind)
}

/// What keeps single values would keep them for ever.
fn refuse_unbounded(kind: Kind, frame: Frame, name: &str, at: Location) -> Result<(), JobError> {
    let keeps = matches!(kind, Kind::CountDistinct | Kind::Collect { .. });
    if keeps && matches!(frame, Frame::Unbounded { .. }) {
        let message = format!("{name} from UNBOUNDED PRECEDING would keep every value for ever");
        return Err(for_ever(message, at));
    }
    Ok(())
}

fn for_ever(message: String, at: Location) -> JobError {
    JobError::new(at, message)
        .help("give the frame a beginning: RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND CURRENT ROW")
}

fn aggregate(
    gathered: &mut Gathered<'_>,
    (written, parts): (&Written, &Parts<'_>),
    (known, kind): (&'static accumulators::Function, Kind),
    frame: Frame,
    at: Location,
) -> Result<Call, JobError> {
    if !written.within_group.is_empty() {
        return Err(JobError::new(
            at,
            format!("{}: WITHIN GROUP has no meaning here", known.name),
        ));
    }
    let settings = gathered.lowering.settings();
    let mut arguments = Vec::new();
    for &expr in &parts.arguments {
        let typed = check(expr, &gathered.scope)?;
        over_frame::deterministic(&typed, expr, start_of(expr, at))?;
        arguments.push(typed);
    }
    let types: Vec<DataType> = arguments.iter().map(|a| a.data_type.clone()).collect();
    let refused = |message| JobError::new(at, message);
    let takes = known.takes(&types).map_err(refused)?;
    let result = known.result_type(&types, settings.ansi).map_err(refused)?;
    if matches!(
        result,
        DataType::YearMonthInterval | DataType::DayTimeInterval
    ) && matches!(kind, Kind::Sum | Kind::Avg)
    {
        return collected(gathered, (written, parts), known, frame, at);
    }
    let mut text: Vec<String> = parts
        .arguments
        .iter()
        .map(|expr| names::identity(expr, &gathered.scope))
        .collect();
    let mut argument = arguments
        .into_iter()
        .zip(&takes)
        .map(|(argument, to)| cast_implicitly(argument, to, settings))
        .next();
    let mut kind = kind;
    // `count(1)` counts rows, as `count(*)` does.
    let constant = |argument: &Typed| argument.constant().is_some_and(|value| !value.is_null());
    if kind == Kind::Count && known.name == "count" && argument.as_ref().is_none_or(constant) {
        (argument, kind) = (None, Kind::CountRows);
        text.clear();
    }
    let mut condition = written
        .filter
        .as_deref()
        .map(|filter| Ok((check_condition(filter, &gathered.scope)?, filter.clone())))
        .transpose()?;
    if known.name == "count_if"
        && let Some(counted) = argument.take()
    {
        if condition.is_some() {
            return Err(JobError::new(
                at,
                "count_if with FILTER: write one condition",
            ));
        }
        condition = parts
            .arguments
            .first()
            .map(|expr| (counted, (*expr).clone()));
        text.clear();
    }
    if let Some((condition, expr)) = condition {
        over_frame::deterministic(&condition, &expr, at)?;
        if matches!(
            kind,
            Kind::First {
                ignore_nulls: false
            } | Kind::Last {
                ignore_nulls: false
            }
        ) {
            return Err(JobError::new(
                at,
                format!("{}: FILTER needs IGNORE NULLS here", known.name),
            ));
        }
        argument = Some(filtered(
            gathered,
            (condition, &expr),
            argument.take(),
            &mut text,
            at,
        )?);
        if kind == Kind::CountRows {
            kind = Kind::Count;
        }
    }
    let argument = argument.map(|typed| computed(gathered, typed, &text));
    let field = Field {
        name: column(written, gathered),
        data_type: result,
        nullable: !matches!(
            kind,
            Kind::Count | Kind::CountRows | Kind::CountDistinct | Kind::Collect { .. }
        ),
    };
    Ok(made(written, gathered, kind, argument, field))
}

/// The argument where the condition of FILTER holds (1 where there is none), else NULL; `text` says so from then on.
pub(super) fn filtered(
    gathered: &Gathered<'_>,
    (condition, expr): (Typed, &Expr),
    argument: Option<Typed>,
    text: &mut Vec<String>,
    at: Location,
) -> Result<Typed, JobError> {
    text.push(format!("FILTER {}", names::identity(expr, &gathered.scope)));
    let value = argument.unwrap_or_else(|| Typed::literal(Value::Int(1), DataType::Int, at));
    let settings = gathered.lowering.settings();
    case(vec![(condition, value)], None, settings, at)
}

/// The column that a function is computed over.
pub(super) fn computed(gathered: &mut Gathered<'_>, typed: Typed, text: &[String]) -> Argument {
    let identity = text.join(", ");
    let data_type = typed.data_type.clone();
    Argument {
        place: gathered.place(typed, &identity),
        identity,
        data_type,
    }
}

/// `lag(x[, offset[, default]])`.
fn lag(
    gathered: &mut Gathered<'_>,
    written: &Written,
    parts: &Parts<'_>,
    at: Location,
) -> Result<Call, JobError> {
    let (value, rest) = match parts.arguments.split_first() {
        Some((value, rest)) if rest.len() <= 2 => (*value, rest),
        _ => {
            return Err(JobError::new(
                at,
                format!("lag takes 1 to 3 arguments, not {}", parts.arguments.len()),
            )
            .help("it is called lag(x[, offset[, default]])"));
        }
    };
    let typed = check(value, &gathered.scope)?;
    over_frame::deterministic(&typed, value, start_of(value, at))?;
    let offset = match rest.first() {
        None => 1,
        Some(&expr) => {
            let typed = check(expr, &gathered.scope)?;
            match typed.constant() {
                Some(Value::Int(n)) if *n >= 0 => u64::from(n.unsigned_abs()),
                Some(Value::Int(_)) => {
                    return Err(JobError::new(
                        start_of(expr, at),
                        "lag with a negative offset is lead: the rows that follow have not arrived",
                    ));
                }
                _ => {
                    return Err(JobError::new(
                        start_of(expr, at),
                        format!("the offset of lag is a constant INT, not `{expr}`"),
                    ));
                }
            }
        }
    };
    let data_type = typed.data_type.clone();
    let default = match rest.get(1) {
        None => None,
        Some(&expr) => {
            let default = check(expr, &gathered.scope)?;
            let settings = gathered.lowering.settings();
            let same = default.data_type == data_type || default.data_type == DataType::Void;
            let wider = wider(&default.data_type, &data_type, settings.ansi);
            if !same && wider.as_ref() != Some(&data_type) {
                return Err(JobError::new(
                    start_of(expr, at),
                    format!(
                        "the default of lag is {}, its values are {data_type}",
                        default.data_type
                    ),
                ));
            }
            let default = cast_implicitly(default, &data_type, settings);
            Some(gathered.place(default, &expr.to_string()))
        }
    };
    let identity = names::identity(value, &gathered.scope);
    let argument = Argument {
        place: gathered.place(typed, &identity),
        identity,
        data_type: data_type.clone(),
    };
    let field = Field::nullable(column(written, gathered), data_type);
    let kind = Kind::Lag { offset, default };
    Ok(made(written, gathered, kind, Some(argument), field))
}

pub(super) fn column(written: &Written, gathered: &Gathered<'_>) -> SmolStr {
    SmolStr::new(names::of(&Expr::Function(written.clone()), &gathered.scope))
}

pub(super) fn made(
    written: &Written,
    gathered: &Gathered<'_>,
    kind: Kind,
    argument: Option<Argument>,
    field: Field,
) -> Call {
    // Without OVER: partition and order are the step's, and a named window may be called otherwise tomorrow.
    let alone = Written {
        over: None,
        ..written.clone()
    };
    let function = Function {
        identity: names::identity(&Expr::Function(alone), &gathered.scope),
        kind,
        argument,
        frame: 0,
        result: field.data_type.clone(),
        ansi: gathered.lowering.ansi,
    };
    Call {
        function,
        field,
        own: None,
    }
}
