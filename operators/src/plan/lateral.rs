//! `LATERAL explode(x)` in FROM: a LATERAL VIEW that is written as a join.

use sqlparser::ast::{
    Expr, Function, FunctionArgumentList, FunctionArguments, JoinConstraint, JoinOperator,
    LateralView, ObjectName, TableFactor, Value,
};

use crate::job_error::{JobError, Location};

/// The LATERAL VIEW that this is, where it is a call behind LATERAL.
pub(super) fn view(factor: &TableFactor, outer: bool) -> Option<LateralView> {
    let TableFactor::Function {
        lateral: true,
        name,
        args,
        with_ordinality: false,
        alias,
    } = factor
    else {
        return None;
    };
    let call = Function {
        name: name.clone(),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.clone(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    };
    let columns = alias.iter().flat_map(|alias| &alias.columns);
    let name = alias.iter().map(|alias| alias.name.clone());
    Some(LateralView {
        lateral_view: Expr::Function(call),
        lateral_view_name: ObjectName::from(name.collect::<Vec<_>>()),
        lateral_col_alias: columns.map(|column| column.name.clone()).collect(),
        outer,
    })
}

/// What an inner join with LATERAL asks of its rows, which WHERE could ask as well.
pub(super) fn asked(join: &JoinOperator) -> Option<&Expr> {
    match join {
        JoinOperator::Join(JoinConstraint::On(condition))
        | JoinOperator::Inner(JoinConstraint::On(condition))
        | JoinOperator::CrossJoin(JoinConstraint::On(condition)) => Some(condition),
        _ => None,
    }
}

/// Whether a join with LATERAL keeps rows for which the function gives none.
pub(super) fn keeps(join: &JoinOperator, at: Location) -> Result<bool, JobError> {
    let (outer, constraint) = match join {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::CrossJoin(constraint) => (false, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (true, constraint),
        _ => {
            return Err(JobError::new(
                at,
                "LATERAL stands in a JOIN, a LEFT JOIN or a CROSS JOIN",
            ));
        }
    };
    let always = match constraint {
        JoinConstraint::None => true,
        JoinConstraint::On(Expr::Value(value)) => value.value == Value::Boolean(true),
        _ => false,
    };
    if always {
        return Ok(outer);
    }
    Err(
        JobError::new(at, "a join with LATERAL has no condition but ON true")
            .help("write it behind WHERE"),
    )
}
