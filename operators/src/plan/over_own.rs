//! An aggregate with OVER whose parts do not add up backwards, when rows leave the frame, as those of `sum` do: those of a
//! program, `median`, `listagg`. The arguments of the frame's rows are collected, and for each record it is computed of them.

use std::sync::Arc;

use smol_str::format_smolstr;
use sqlparser::ast::Function as Written;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::aggregated;
use crate::expr::body::{Body, Outcome};
use crate::expr::check::{check, check_condition};
use crate::expr::choice::case;
use crate::expr::operators;
use crate::expr::typed::{Form, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::over_call::{Call, Parts, column, made};
use crate::plan::over_select::Gathered;
use crate::plan::{names, over_frame};
use crate::sql::cursor::start_of;
use crate::stateful::accumulators::{Function, build};
use crate::stateful::grouping::Aggregate;
use crate::stateful::over::{Argument, Kind};

/// What becomes of the collected rows.
pub(super) struct Answer(Aggregate);

/// The call as one that collects its arguments.
pub(super) fn call(
    gathered: &mut Gathered<'_>,
    (written, parts): (&Written, &Parts<'_>),
    known: &'static Function,
    at: Location,
) -> Result<Call, JobError> {
    let settings = gathered.lowering.settings();
    let scope = gathered.scope.clone();
    let typed = |expr: &_| {
        let typed = check(expr, &scope)?;
        over_frame::deterministic(&typed, expr, start_of(expr, at))?;
        Ok(typed)
    };
    let called = aggregated::Written {
        arguments: parts.arguments.clone(),
        distinct: parts.distinct,
        within: &written.within_group,
    };
    let called = aggregated::call(known, &called, &scope, typed, at)?;
    let given = called.arguments;
    let types: Vec<DataType> = given.iter().map(|a| a.data_type.clone()).collect();
    let places = (1..=given.len()).map(|number| format_smolstr!("col{number}"));
    let mut row = operators::structure(places.collect(), given, at);
    let keys = written.within_group.iter().map(|key| &key.expr);
    let mut text: Vec<String> = parts
        .arguments
        .iter()
        .copied()
        .chain(keys)
        .map(|expr| names::identity(expr, &gathered.scope))
        .collect();
    if known.own.is_none() {
        // Two functions may take one argument as different types.
        text.push(format!("as {}", row.data_type));
    }
    if let Some(filter) = written.filter.as_deref() {
        let condition = check_condition(filter, &gathered.scope)?;
        over_frame::deterministic(&condition, filter, at)?;
        text.push(format!(
            "FILTER {}",
            names::identity(filter, &gathered.scope)
        ));
        // A row that is NULL is not collected.
        row = case(vec![(condition, row)], None, settings, at)?;
    }
    // Not the name of an argument that stands alone.
    let identity = format!("rows of {}", text.join(", "));
    let data_type = row.data_type.clone();
    let field = Field::required(
        column(written, gathered),
        DataType::Array(Arc::new(data_type.clone())),
    );
    let argument = Argument {
        place: gathered.place(row, &identity),
        identity,
        data_type,
    };
    let mut call = made(
        written,
        gathered,
        Kind::Collect {
            distinct: parts.distinct,
        },
        Some(argument),
        field,
    );
    call.own = Some(Answer(Aggregate {
        identity: String::new(),
        function: known.name,
        own: known.own,
        arguments: (0..types.len()).collect(),
        types,
        filter: None,
        distinct: false,
        ignore_nulls: false,
        parameters: called.parameters.numbers,
        delimiter: called.parameters.delimiter,
        result: called.result,
        ansi: gathered.lowering.ansi,
    }));
    Ok(call)
}

/// The answer of a call from its column: the column itself, or the aggregate of what was collected in it.
pub(super) fn answer(column: Typed, own: Option<&Answer>) -> Typed {
    let Some(Answer(aggregate)) = own else {
        return column;
    };
    let (name, gives, at) = (aggregate.function, aggregate.result.clone(), column.at);
    let aggregate = aggregate.clone();
    let compute = move |arguments: &[Value]| -> Outcome {
        let mut accumulator = build(&aggregate);
        let mut cell = vec![0; accumulator.words()];
        if let Some(Value::Array(rows)) = arguments.first() {
            for row in rows.iter() {
                if let Value::Struct(values) = row {
                    accumulator.update(&mut cell, values)?;
                }
            }
        }
        accumulator.result(&cell)
    };
    let body = Body::Pure {
        call: Arc::new(compute),
        nulls: false,
    };
    operators::call(name, Form::Function, body, vec![column], gives, true, at)
}
