//! Which tables the text of a query names.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query as Ast, SetExpr, TableFactor, TableWithJoins, visit_expressions};

/// The names after FROM anywhere in a query; those of WITH among them do no harm.
pub(super) fn mentions(query: &Ast, names: &mut Vec<String>) {
    for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
        mentions(&cte.query, names);
    }
    mentioned(&query.body, names);
}

fn mentioned(body: &SetExpr, names: &mut Vec<String>) {
    match body {
        SetExpr::Select(select) => {
            let from = select.from.iter();
            from.for_each(|from| mentioned_table(from, names));
            let _ = visit_expressions(&select.selection, |part| {
                if let Expr::InSubquery { subquery, .. } | Expr::Exists { subquery, .. } = part {
                    mentions(subquery, names);
                }
                ControlFlow::<()>::Continue(())
            });
        }
        SetExpr::Query(query) => mentions(query, names),
        SetExpr::SetOperation { left, right, .. } => {
            mentioned(left, names);
            mentioned(right, names);
        }
        _ => {}
    }
}

fn mentioned_table(from: &TableWithJoins, names: &mut Vec<String>) {
    let factors =
        std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation));
    for factor in factors {
        match factor {
            TableFactor::Table { name, .. } => {
                if let Some(ident) = name.0.last().and_then(|part| part.as_ident()) {
                    names.push(ident.value.clone());
                }
            }
            TableFactor::Derived { subquery, .. } => mentions(subquery, names),
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => mentioned_table(table_with_joins, names),
            _ => {}
        }
    }
}
