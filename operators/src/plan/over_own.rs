//! An own aggregate with OVER: the arguments of the frame's rows are collected, and for each record the aggregate is computed
//! of them. Its parts do not add up backwards, when rows leave the frame, as those of `sum` do.

use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};
use sqlparser::ast::{Expr, Function as Written};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::body::{Body, Outcome};
use crate::expr::check::{check, check_condition};
use crate::expr::choice::case;
use crate::expr::coerce::cast_implicitly;
use crate::expr::operators;
use crate::expr::typed::{Form, Typed};
use crate::extensions::Own;
use crate::job_error::{JobError, Location};
use crate::plan::over_call::{Call, column, made};
use crate::plan::over_select::Gathered;
use crate::plan::{names, over_frame};
use crate::sql::cursor::start_of;
use crate::stateful::accumulators::Function;
use crate::stateful::over::{Argument, Kind};

/// What becomes of the collected rows.
pub(super) struct Answer {
    name: SmolStr,
    own: Own,
    takes: Vec<DataType>,
    gives: DataType,
}

/// The call as one that collects its arguments.
pub(super) fn call(
    gathered: &mut Gathered<'_>,
    written: &Written,
    (arguments, distinct): (&[&Expr], bool),
    (known, own): (&Function, Own),
    at: Location,
) -> Result<Call, JobError> {
    let settings = gathered.lowering.settings();
    let mut given = Vec::new();
    for &expr in arguments {
        let typed = check(expr, &gathered.scope)?;
        over_frame::deterministic(&typed, expr, start_of(expr, at))?;
        given.push(typed);
    }
    let types: Vec<DataType> = given.iter().map(|a| a.data_type.clone()).collect();
    let signature = own.types(known, &types);
    let signature = signature.map_err(|message| JobError::new(at, message))?;
    let given: Vec<Typed> = given
        .into_iter()
        .zip(&signature.takes)
        .map(|(argument, to)| cast_implicitly(argument, to, settings))
        .collect();
    let places = (1..=given.len()).map(|number| format_smolstr!("col{number}"));
    let mut row = operators::structure(places.collect(), given, at);
    let mut text: Vec<String> = arguments
        .iter()
        .map(|expr| names::identity(expr, &gathered.scope))
        .collect();
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
        Kind::Collect { distinct },
        Some(argument),
        field,
    );
    call.own = Some(Answer {
        name: SmolStr::new(known.name),
        own,
        takes: signature.takes,
        gives: signature.gives,
    });
    Ok(call)
}

/// The answer of a call from its column: the column itself, or the own aggregate of what was collected in it.
pub(super) fn answer(column: Typed, own: Option<&Answer>) -> Typed {
    let Some(answer) = own else {
        return column;
    };
    let (own, takes) = (answer.own, answer.takes.clone());
    let places: Vec<usize> = (0..takes.len()).collect();
    let compute = move |arguments: &[Value]| -> Outcome {
        let mut accumulator = own.accumulator(&places, &takes);
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
    let (gives, at) = (answer.gives.clone(), column.at);
    operators::call(
        &answer.name,
        Form::Function,
        body,
        vec![column],
        gives,
        true,
        at,
    )
}
