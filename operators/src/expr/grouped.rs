//! What an expression above a GROUP BY may name: the keys, by the expressions that they are, and aggregates.
//!
//! A key is found by its normal form: columns by their place, no brackets, names of functions in lower case. An aggregate
//! is noted when it is met; its place in the row is behind the keys, in the order in which they were met.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use smol_str::SmolStr;
use sqlparser::ast::{
    self, DuplicateTreatment, Expr, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, NullTreatment, ObjectNamePart, UnaryOperator, Visit, Visitor,
    visit_expressions_mut,
};
use thalweg_engine::schema::{DataType, Field};

use crate::expr::aggregated;
use crate::expr::check::Checker;
use crate::expr::grouping_id::{self, GroupingId};
use crate::expr::operators;
use crate::expr::scope::Scope;
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::names;
use crate::stateful::accumulators::Function;

/// A GROUP BY while the expressions above it are checked.
#[derive(Debug)]
pub(crate) struct Grouped {
    /// The columns under it.
    pub(crate) input: Scope,
    /// The normal forms of its keys, in the order of what it emits; None for a plain column, which is found by its name.
    pub(crate) keys: Vec<Option<Expr>>,
    /// The columns of its keys.
    pub(crate) fields: Vec<Field>,
    /// Whether GROUP BY is written.
    pub(crate) written: bool,
    /// What tells grouping sets apart, where there are several.
    pub(crate) sets: Option<GroupingId>,
    /// The aggregates met so far.
    pub(crate) calls: Vec<Aggregation>,
}

/// Shared by the scopes of all expressions above one GROUP BY.
pub(crate) type SharedGrouped = Rc<RefCell<Grouped>>;

/// One aggregate.
#[derive(Clone, Debug)]
pub(crate) struct Aggregation {
    normal: Expr,
    pub(crate) function: &'static Function,
    /// Over the row under the GROUP BY, of the types that the function takes.
    pub(crate) arguments: Vec<Typed>,
    pub(crate) filter: Option<Typed>,
    pub(crate) distinct: bool,
    pub(crate) ignore_nulls: bool,
    /// The constants behind the arguments.
    pub(crate) parameters: Vec<f64>,
    /// What stands between two texts of a list.
    pub(crate) delimiter: String,
    pub(crate) field: Field,
    pub(crate) identity: String,
}

/// The function over groups that a call is of, where it is one: not a macro, not over a window of rows.
pub(crate) fn aggregate_of(function: &ast::Function, scope: &Scope) -> Option<&'static Function> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else {
        return None;
    };
    if function.over.is_some() || scope.macros.contains_key(&name.value.to_ascii_lowercase()) {
        return None;
    }
    scope.extensions.aggregate(&name.value)
}

/// Whether an expression holds an aggregate; one in a subquery is that one's.
pub(crate) fn has_aggregate(expr: &Expr, scope: &Scope) -> bool {
    let mut aggregates = Aggregates { scope, queries: 0 };
    expr.visit(&mut aggregates).is_break()
}

/// Ends at an aggregate that stands in no subquery.
struct Aggregates<'s> {
    scope: &'s Scope,
    /// How many subqueries are around what is visited.
    queries: usize,
}

impl Visitor for Aggregates<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function)
                if self.queries == 0 && aggregate_of(function, self.scope).is_some() =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// An expression so that two that mean the same over these columns are equal. None where a name in it is that of a
/// lambda's parameter, which means something else elsewhere.
pub(crate) fn normal(expr: &Expr, scope: &Scope) -> Option<Expr> {
    let mut normal = expr.clone();
    let mut bound = false;
    let _: ControlFlow<()> = visit_expressions_mut(&mut normal, |part| {
        while let Expr::Nested(inner) = part {
            *part = (**inner).clone();
        }
        if let Some(name) = scope.called_like_a_function(part) {
            *part = Expr::Identifier(name);
        }
        let parts: Vec<&str> = match part {
            Expr::Identifier(name) => vec![&name.value],
            Expr::CompoundIdentifier(names) => names.iter().map(|n| n.value.as_str()).collect(),
            Expr::Function(function) => {
                for name in &mut function.name.0 {
                    if let ObjectNamePart::Identifier(name) = name {
                        *name = Ident::new(name.value.to_lowercase());
                    }
                }
                return ControlFlow::Continue(());
            }
            _ => return ControlFlow::Continue(()),
        };
        let is_bound = |name: &str| {
            let mut all = scope.bound.iter();
            all.any(|one| one.name.eq_ignore_ascii_case(name))
        };
        bound |= parts.first().is_some_and(|name| is_bound(name));
        if let Ok(found) = scope.resolve(&parts, Location::default())
            && let [place] = found.typed.columns()[..]
        {
            let fields = parts[found.parts..].iter().map(|name| name.to_lowercase());
            let names: Vec<String> = std::iter::once(format!("\u{1}{place}"))
                .chain(fields)
                .collect();
            *part = Expr::Identifier(Ident::new(names.join(".")));
        }
        ControlFlow::Continue(())
    });
    (!bound).then_some(normal)
}

/// A key or an aggregate, where the expression is one.
pub(super) fn find(
    checker: &mut Checker<'_>,
    expr: &Expr,
    at: Location,
) -> Result<Option<Typed>, JobError> {
    let Some(grouped) = checker.scope.grouped.clone() else {
        return Ok(None);
    };
    if let Some(key) = key(&grouped.borrow(), checker.scope, expr) {
        let field = grouped.borrow().fields.get(key).cloned();
        // A literal is the same in all groups, unless grouping sets leave it out: there it is NULL.
        let apart = |field: &Field| field.nullable && !checker.scope.ordering;
        let field = field.filter(|field| !is_literal(expr) || apart(field));
        return Ok(field.map(|field| Typed::column(key, &field, at)));
    }
    match expr {
        Expr::Identifier(name) if name.value.eq_ignore_ascii_case(grouping_id::HIVES) => {
            let known = |scope: &Scope| scope.resolve(&[&name.value], at).is_ok();
            match known(checker.scope) || known(&grouped.borrow().input) {
                true => Ok(None),
                false => grouping_id::hives(&grouped.borrow(), checker.settings(), at).map(Some),
            }
        }
        Expr::Function(function) if grouping_id::is_one(function, checker.scope) => {
            grouping_id::call(&grouped.borrow(), function, checker.settings(), at).map(Some)
        }
        Expr::Function(function) => match aggregate_of(function, checker.scope) {
            Some(known) => aggregate(checker, &grouped, function, known, at).map(Some),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => matches!(**expr, Expr::Value(_)),
        _ => false,
    }
}

/// The key that an expression is, where that is no plain column.
fn key(grouped: &Grouped, scope: &Scope, expr: &Expr) -> Option<usize> {
    if grouped.keys.iter().all(Option::is_none) {
        return None;
    }
    let mut input = grouped.input.clone();
    input.bound.clone_from(&scope.bound);
    let normal = normal(expr, &input)?;
    grouped
        .keys
        .iter()
        .position(|key| key.as_ref() == Some(&normal))
}

/// Why a name has no meaning above the GROUP BY, where it is a column below it.
pub(super) fn missing(scope: &Scope, parts: &[&str], error: JobError) -> JobError {
    let Some(grouped) = &scope.grouped else {
        return error;
    };
    let grouped = grouped.borrow();
    if grouped.input.resolve(parts, error.at).is_err() {
        // The columns below are what the author may have meant.
        let unknown = grouped.input.resolve(parts, error.at);
        return match unknown {
            Err(below) if error.help.is_none() || grouped.keys.is_empty() => below,
            _ => error,
        };
    }
    let name = parts.join(".");
    if !grouped.written {
        return JobError::new(
            error.at,
            format!("the query does not include a GROUP BY clause, and `{name}` stands outside of an aggregate"),
        )
        .help(format!("add GROUP BY {name}, or aggregate it"));
    }
    JobError::new(
        error.at,
        format!("the non-aggregating expression `{name}` is based on columns which are not participating in the GROUP BY clause"),
    )
    .help(format!(
        "add it to the GROUP BY, aggregate it, or write any_value({name}) if you do not care which value of a group is returned"
    ))
}

/// A call as it is written, its arguments apart.
struct Written<'e> {
    arguments: Vec<&'e Expr>,
    distinct: bool,
    ignore_nulls: bool,
}

fn written<'e>(
    function: &'e ast::Function,
    known: &Function,
    at: Location,
) -> Result<Written<'e>, JobError> {
    let name = known.name;
    let mut written = Written {
        arguments: Vec::new(),
        distinct: false,
        ignore_nulls: matches!(function.null_treatment, Some(NullTreatment::IgnoreNulls)),
    };
    let list = match &function.args {
        FunctionArguments::List(list) => list,
        FunctionArguments::None => return Ok(written),
        FunctionArguments::Subquery(_) => {
            return Err(JobError::new(
                at,
                format!("{name}: subqueries are not supported here"),
            ));
        }
    };
    written.distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
    for clause in &list.clauses {
        match clause {
            FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => {
                written.ignore_nulls = matches!(treatment, NullTreatment::IgnoreNulls);
            }
            other => {
                return Err(JobError::new(
                    at,
                    format!("{name}: `{other}` has no meaning here"),
                ));
            }
        }
    }
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => written.arguments.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard)
                if name == "count" && list.args.len() == 1 && !written.distinct => {}
            other => {
                return Err(JobError::new(
                    at,
                    format!("{name}: expected an expression, got `{other}`"),
                ));
            }
        }
    }
    // first(x, true) is first(x) IGNORE NULLS.
    let takes_nulls = ["first", "last", "any_value"];
    if takes_nulls.contains(&name)
        && let [_, Expr::Value(value)] = written.arguments.as_slice()
        && let ast::Value::Boolean(ignore) = value.value
    {
        written.ignore_nulls |= ignore;
        written.arguments.truncate(1);
    }
    if written.ignore_nulls && !takes_nulls.contains(&name) {
        return Err(JobError::new(
            at,
            format!(
                "{name}: IGNORE NULLS is for first, last and any_value; others ignore NULLs anyway"
            ),
        ));
    }
    Ok(written)
}

/// `count(DISTINCT *)` with the columns that the star is.
fn starless(function: &ast::Function, input: &Scope) -> Option<ast::Function> {
    let mut listed = function.clone();
    let FunctionArguments::List(list) = &mut listed.args else {
        return None;
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] = &list.args[..] else {
        return None;
    };
    let distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
    if !distinct || !function.name.to_string().eq_ignore_ascii_case("count") {
        return None;
    }
    let columns = input.star(None).into_iter();
    let columns = columns.map(|column| FunctionArg::Unnamed(FunctionArgExpr::Expr(column)));
    list.args = columns.collect();
    (!list.args.is_empty()).then_some(listed)
}

fn aggregate(
    checker: &Checker<'_>,
    grouped: &SharedGrouped,
    function: &ast::Function,
    known: &'static Function,
    at: Location,
) -> Result<Typed, JobError> {
    if !checker.scope.bound.is_empty() {
        return Err(JobError::new(
            at,
            format!(
                "{}: an aggregate has no meaning inside a lambda or a temporary function",
                known.name
            ),
        ));
    }
    let mut input = grouped.borrow().input.clone();
    let listed = starless(function, &input);
    let function = listed.as_ref().unwrap_or(function);
    let written = written(function, known, at)?;
    let normal_form = normal(&Expr::Function(function.clone()), &input)
        .unwrap_or_else(|| Expr::Function(function.clone()));
    let place = |grouped: &Grouped, call: usize| grouped.keys.len() + call;
    let same = |call: &Aggregation| call.normal == normal_form;
    if let Some(call) = grouped.borrow().calls.iter().position(same) {
        let grouped = grouped.borrow();
        let field = &grouped.calls[call].field;
        return Ok(Typed::column(place(&grouped, call), field, at));
    }
    let settings = checker.settings();
    let columns = input.clone();
    input.refuse_aggregates = Some(
        "an aggregate does not stand in the argument of another: use the inner one in a subquery",
    );
    let mut inner = Checker {
        scope: &mut input,
        depth: checker.depth,
    };
    let parts = aggregated::Written {
        arguments: written.arguments,
        distinct: written.distinct,
        within: &function.within_group,
    };
    let call = aggregated::call(known, &parts, &columns, |expr| inner.expr(expr, at), at)?;
    let filter = match &function.filter {
        None => None,
        Some(filter) => Some(operators::decision(inner.expr(filter, at)?, settings)?),
    };
    let aggregated::Call {
        arguments,
        parameters,
        result,
    } = call;
    if let Some(part) = arguments.iter().chain(&filter).find(|a| !a.deterministic()) {
        return Err(JobError::new(
            part.at,
            format!(
                "{}: a non-deterministic expression should not appear in the arguments of an aggregate function",
                known.name
            ),
        ));
    }
    let types: Vec<DataType> = arguments.iter().map(|a| a.data_type.clone()).collect();
    let call = Expr::Function(function.clone());
    let mut identity = names::identity(&call, &input);
    if !types.is_empty() {
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        identity.push_str(&format!(" of {}", types.join(", ")));
    }
    if written.ignore_nulls && !identity.to_uppercase().ends_with(" IGNORE NULLS") {
        identity.push_str(" IGNORE NULLS");
    }
    let field = Field {
        name: SmolStr::new(names::of(&call, &input)),
        data_type: result,
        nullable: !matches!(
            known.name,
            "count"
                | "count_if"
                | "regr_count"
                | "approx_count_distinct"
                | "collect_list"
                | "collect_set"
                | "collect_union"
                | "bitmap_construct_agg"
                | "bitmap_or_agg"
                | "bitmap_and_agg"
        ),
    };
    let mut grouped = grouped.borrow_mut();
    let call = grouped.calls.len();
    let typed = Typed::column(place(&grouped, call), &field, at);
    grouped.calls.push(Aggregation {
        normal: normal_form,
        function: known,
        arguments,
        filter,
        distinct: written.distinct,
        ignore_nulls: written.ignore_nulls,
        parameters: parameters.numbers,
        delimiter: parameters.delimiter,
        field,
        identity,
    });
    Ok(typed)
}
