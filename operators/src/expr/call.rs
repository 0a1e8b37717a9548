//! Calls: functions by name, macros, lambdas, and types used as functions.

use std::borrow::Cow;
use std::sync::Arc;

use smol_str::SmolStr;
use sqlparser::ast::{
    self, Expr, FunctionArguments, LambdaFunction, ObjectNamePart, OneOrManyWithParens,
};
use thalweg_engine::counted::counted;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::arguments;
use crate::expr::check::{Checker, explicit_cast, place};
use crate::expr::coerce;
use crate::expr::functions::{self, BindContext, Function};
use crate::expr::grouped::aggregate_of;
use crate::expr::input_file;
use crate::expr::scope::{Bound, Macro, Scope};
use crate::expr::typed::{Kind, Mode, Typed};
use crate::job_error::{JobError, Location};
use crate::models;
use crate::plan::generator;
use crate::plan::over_call::only_with_over;
use crate::sql::spark_calls;
use crate::stateful::accumulators;

/// Functions whose first argument may be a bare unit: `timestampdiff(HOUR, a, b)`.
const WITH_UNIT: [&str; 7] = [
    "timestampdiff",
    "timestampadd",
    "dateadd",
    "datediff",
    "date_add",
    "date_diff",
    "date_trunc",
];

/// Types whose names are functions too: `int('1')`.
pub(crate) fn as_type(name: &str) -> Option<DataType> {
    Some(match name {
        "boolean" => DataType::Boolean,
        "tinyint" => DataType::TinyInt,
        "smallint" => DataType::SmallInt,
        "int" => DataType::Int,
        "bigint" => DataType::BigInt,
        "float" => DataType::Float,
        "double" => DataType::Double,
        "decimal" => DataType::Decimal {
            precision: 10,
            scale: 0,
        },
        "string" => DataType::String,
        "binary" => DataType::Binary,
        "date" => DataType::Date,
        "timestamp" => DataType::Timestamp,
        _ => return None,
    })
}

/// A call as it is written.
pub(crate) fn function(
    checker: &mut Checker<'_>,
    function: &ast::Function,
    at: Location,
) -> Result<Typed, JobError> {
    let name = match function.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => name.value.as_str(),
        _ => {
            return Err(
                JobError::new(at, format!("unknown function `{}`", function.name))
                    .help("functions have no qualifier here"),
            );
        }
    };
    let lower = name.to_ascii_lowercase();
    if function.over.is_some() {
        return Err(JobError::new(
            at,
            format!("{lower}: OVER stands in the list of a SELECT only"),
        )
        .help("compute it in a subquery, and use its column here"));
    }
    if only_with_over(&lower) && !checker.scope.macros.contains_key(&lower) {
        return Err(
            JobError::new(at, format!("{lower} needs OVER")).help(format!(
                "write {lower}(...) OVER (PARTITION BY key ORDER BY time)"
            )),
        );
    }
    if models::is_model_call(&lower) && !checker.scope.macros.contains_key(&lower) {
        return models::bind(checker, &lower, function, at);
    }
    if let Some(known) = aggregate_of(function, checker.scope)
        && let Some(error) = aggregate(checker.scope, known.name, at)
    {
        return Err(error);
    }
    if function.filter.is_some()
        || function.null_treatment.is_some()
        || !function.within_group.is_empty()
    {
        return Err(JobError::new(
            at,
            format!("{name}: FILTER, WITHIN GROUP and IGNORE NULLS have no meaning here"),
        ));
    }
    let args = match &function.args {
        FunctionArguments::None => Vec::new(),
        FunctionArguments::Subquery(_) => {
            return Err(JobError::new(
                at,
                format!("{name}: subqueries are not supported here"),
            ));
        }
        FunctionArguments::List(list) => {
            if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
                return Err(JobError::new(
                    at,
                    format!("{name}: DISTINCT, ORDER BY and the like have no meaning here"),
                ));
            }
            arguments::in_places(name, &list.args, checker.scope, at)
                .map_err(|error| aggregate(checker.scope, name, at).unwrap_or(error))?
        }
    };
    let args = checker.without_stars(args.iter().map(Cow::as_ref), at)?;
    named(checker, name, args.iter().map(Cow::as_ref).collect(), at)
}

/// Why an aggregate has no meaning here, where the name is that of one.
fn aggregate(scope: &Scope, name: &str, at: Location) -> Option<JobError> {
    scope.extensions.aggregate(name)?;
    Some(match scope.refuse_aggregates {
        Some(reason) => JobError::new(at, format!("{name}: {reason}")),
        None => JobError::new(
            at,
            format!("{name} is an aggregate function: it has no meaning for one row"),
        ),
    })
}

/// A call of a function by name with unchecked arguments.
pub(crate) fn named(
    checker: &mut Checker<'_>,
    name: &str,
    args: Vec<&Expr>,
    at: Location,
) -> Result<Typed, JobError> {
    let lower = name.to_ascii_lowercase();
    if checker.scope.macros.contains_key(&lower) {
        let args = plain(checker, &args, at)?;
        return with_args(checker, name, args, at);
    }
    if lower == input_file::NAME {
        return input_file::name(checker, args.len(), at);
    }
    let Some(function) = functions::find(&lower) else {
        let args = match as_type(&lower) {
            Some(_) => plain(checker, &args, at)?,
            None if checker.scope.extensions.scalar(&lower).is_some() => plain(checker, &args, at)?,
            None => return Err(unknown(checker.scope, name, at)),
        };
        return with_args(checker, name, args, at);
    };
    let count = args.len();
    let unit = WITH_UNIT.contains(&lower.as_str()) && (count == 3 || lower == "date_trunc");
    let mut typed: Vec<Typed> = Vec::with_capacity(args.len());
    for (i, arg) in args.into_iter().enumerate() {
        let next = match (arg, i) {
            (Expr::Lambda(written), _) => lambda(checker, function, written, &typed, at)?,
            (Expr::Identifier(word), 0)
                if unit
                    && (count == 3 && functions::is_unit(&word.value)
                        || checker.scope.resolve(&[&word.value], at).is_err()) =>
            {
                Typed::literal(Value::from(word.value.as_str()), DataType::String, at)
            }
            _ => checker.expr(arg, at)?,
        };
        typed.push(next);
    }
    bind(checker, function, typed, at)
}

fn plain(checker: &mut Checker<'_>, args: &[&Expr], at: Location) -> Result<Vec<Typed>, JobError> {
    args.iter().map(|arg| checker.expr(arg, at)).collect()
}

/// A call of a function by name with checked arguments.
pub(crate) fn with_args(
    checker: &mut Checker<'_>,
    name: &str,
    args: Vec<Typed>,
    at: Location,
) -> Result<Typed, JobError> {
    let lower = name.to_ascii_lowercase();
    if let Some(found) = checker.scope.macros.get(&lower).cloned() {
        return expand(checker, &found, args, at);
    }
    if let Some(function) = functions::find(&lower) {
        return bind(checker, function, args, at);
    }
    let settings = checker.settings();
    if let Some(own) = checker.scope.extensions.scalar(&lower) {
        return own.bind(args, settings, at);
    }
    match (as_type(&lower), <[Typed; 1]>::try_from(args)) {
        (Some(to), Ok([arg])) => explicit_cast(arg, &to, Mode::of(settings.ansi), settings, at),
        (Some(_), Err(args)) => Err(JobError::new(
            at,
            format!("{name}: expected 1 argument, got {}", args.len()),
        )),
        (None, _) => Err(unknown(checker.scope, name, at)),
    }
}

fn bind(
    checker: &Checker<'_>,
    function: &'static Function,
    args: Vec<Typed>,
    at: Location,
) -> Result<Typed, JobError> {
    let context = BindContext {
        name: function.name,
        signature: function.signature,
        settings: checker.settings(),
        at,
    };
    (function.bind)(args, &context)
}

fn unknown(scope: &Scope, name: &str, at: Location) -> JobError {
    if let Some(error) = aggregate(scope, name, at) {
        return error;
    }
    if generator::is_generator(name) {
        let message = format!("{name} stands alone as an item of the SELECT, or in a LATERAL VIEW");
        return JobError::new(at, message)
            .help(format!("write it in a subquery, and use its column: SELECT ... FROM (SELECT {name}(...) AS x FROM t)"));
    }
    if ["window", "session_window"].contains(&name.to_lowercase().as_str()) {
        let (stands, why) = match name.to_lowercase().as_str() {
            "window" => (
                "in GROUP BY, or in the list of a SELECT without groups",
                "and a row may be in several",
            ),
            _ => (
                "in GROUP BY",
                "and where a session ends is not known of one row",
            ),
        };
        return JobError::new(
            at,
            format!("{name} stands {stands}: it makes stretches of time, {why}"),
        )
        .help(format!(
            "write GROUP BY {name}(...), which the SELECT may repeat, or name it in a subquery and use its column here"
        ));
    }
    let known = functions::all()
        .flat_map(|function| std::iter::once(function.name).chain(function.aliases.iter().copied()))
        .chain(accumulators::all().map(|function| function.name))
        .chain(scope.extensions.scalar_names())
        .chain(scope.macros.values().map(|found| found.name.as_str()));
    JobError::new(at, format!("unknown function `{name}`"))
        .or_help(spark_calls::function(name))
        .nearest(name, known)
        .or_help(Some("`thalweg functions` lists them all"))
}

/// Checks a lambda; its parameters' types come from the arguments before it.
fn lambda(
    checker: &mut Checker<'_>,
    function: &'static Function,
    written: &LambdaFunction,
    before: &[Typed],
    at: Location,
) -> Result<Typed, JobError> {
    let names: Vec<&ast::Ident> = match &written.params {
        OneOrManyWithParens::One(one) => vec![&one.name],
        OneOrManyWithParens::Many(many) => many.iter().map(|parameter| &parameter.name).collect(),
    };
    let at = names.first().map_or(at, |name| {
        place(&Expr::Identifier(ast::Ident::clone(name)), at)
    });
    let wrong = |message: String| {
        JobError::new(at, message).help(format!("it is called {}", function.signature))
    };
    let types = match function.lambda {
        None => return Err(wrong(format!("{} takes no lambda", function.name))),
        Some(types) => types(before, names.len()).ok_or_else(|| {
            wrong(format!(
                "{}: a lambda of {} parameters does not fit here",
                function.name,
                names.len()
            ))
        })?,
    };
    let outer = checker.scope.bound.len();
    let mut parameters = Vec::with_capacity(names.len());
    for (name, (data_type, nullable)) in names.into_iter().zip(types) {
        let id = checker.scope.next_variable;
        checker.scope.next_variable += 1;
        let name = SmolStr::new(&name.value);
        parameters.push((id, name.clone()));
        checker.scope.bound.push(Bound {
            name: name.clone(),
            typed: Typed {
                kind: Kind::Variable { id, name },
                data_type,
                nullable,
                at,
                written: false,
            },
        });
    }
    let body = checker.expr(&written.body, at);
    checker.scope.bound.truncate(outer);
    let body = body?;
    Ok(Typed {
        data_type: body.data_type.clone(),
        nullable: body.nullable,
        kind: Kind::Lambda {
            parameters,
            body: Box::new(body),
        },
        at,
        written: false,
    })
}

/// How many parts the expression of a macro's call may have.
const EXPANDED_MAX: usize = 10_000;

/// Replaces a call of a macro by its body, its parameters by the arguments.
fn expand(
    checker: &mut Checker<'_>,
    found: &Macro,
    args: Vec<Typed>,
    at: Location,
) -> Result<Typed, JobError> {
    let settings = checker.settings();
    let name = found.name.to_ascii_lowercase();
    if checker.scope.expanding.contains(&name) {
        return Err(JobError::new(
            at,
            format!("function `{}` calls itself", found.name),
        ));
    }
    if args.len() != found.parameters.len() {
        return Err(JobError::new(
            at,
            format!(
                "{}: expected {}, got {}",
                found.name,
                counted(found.parameters.len(), "argument"),
                args.len()
            ),
        ));
    }
    let bound = args
        .into_iter()
        .zip(&found.parameters)
        .map(|(arg, (name, data_type))| {
            let at = arg.at;
            if coerce::wider(&arg.data_type, data_type, settings.ansi).is_none() {
                return Err(JobError::new(
                    at,
                    format!(
                        "{}: parameter {name} is {data_type}, got {}",
                        found.name, arg.data_type
                    ),
                ));
            }
            Ok(Bound {
                name: name.clone(),
                typed: coerce::cast_implicitly(arg, data_type, settings).computed(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut expanding = checker.scope.expanding.clone();
    expanding.push(name);
    let mut inner = Scope {
        columns: Vec::new(),
        around: 0,
        aliases: Vec::new(),
        macros: checker.scope.macros.clone(),
        extensions: Arc::clone(&checker.scope.extensions),
        models: checker.scope.models.clone(),
        ansi: checker.scope.ansi,
        time_zone: checker.scope.time_zone,
        bound,
        expanding,
        next_variable: checker.scope.next_variable,
        grouped: None,
        ordering: false,
        refuse_aggregates: checker.scope.refuse_aggregates,
    };
    let mut body = Checker {
        depth: checker.depth,
        scope: &mut inner,
    };
    let typed = body.expr(&found.body, at)?;
    checker.scope.next_variable = inner.next_variable;
    // Functions that use each other or a parameter twice grow exponentially.
    let mut nodes = 0_usize;
    typed.visit(&mut |_| nodes += 1);
    if nodes > EXPANDED_MAX {
        return Err(JobError::new(
            at,
            format!(
                "function `{}` expands to an expression of more than {EXPANDED_MAX} parts",
                found.name
            ),
        )
        .help("compute a part of it in a view"));
    }
    explicit_cast(typed, &found.returns, Mode::of(settings.ansi), settings, at)
}
