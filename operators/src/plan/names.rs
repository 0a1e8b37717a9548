//! What a column without AS is called: the text of its expression as Spark writes it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, DuplicateTreatment, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart, OrderByExpr, Subscript,
    UnaryOperator, Value, visit_expressions_mut,
};

use crate::expr::scope::Scope;
use crate::expr::typed::Kind;
use crate::job_error::Location;

/// The name of an expression.
pub(crate) fn of(expr: &Expr, scope: &Scope) -> String {
    let name = |inner: &Expr| of(inner, scope);
    match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(parts) => bare(parts, scope).join("."),
        Expr::Nested(inner) => name(inner),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            Value::Number(number, _) => number.clone(),
            other => other.to_string(),
        },
        Expr::BinaryOp { left, op, right } => {
            let op = match op {
                BinaryOperator::MyIntegerDivide => "div".to_owned(),
                BinaryOperator::NotEq => {
                    return format!("(NOT ({} = {}))", name(left), name(right));
                }
                BinaryOperator::StringConcat => {
                    return format!("concat({}, {})", name(left), name(right));
                }
                other => other.to_string(),
            };
            format!("({} {op} {})", name(left), name(right))
        }
        Expr::UnaryOp { op, expr } => match op {
            UnaryOperator::Not | UnaryOperator::BangNot => format!("(NOT {})", name(expr)),
            UnaryOperator::Minus if matches!(**expr, Expr::Value(_)) => format!("-{}", name(expr)),
            other => format!("({other} {})", name(expr)),
        },
        Expr::IsNull(inner) => format!("({} IS NULL)", name(inner)),
        Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", name(inner)),
        Expr::InList {
            expr,
            list,
            negated,
        } => {
            let all: Vec<String> = list.iter().map(name).collect();
            let inside = format!("({} IN ({}))", name(expr), all.join(", "));
            if *negated {
                format!("(NOT {inside})")
            } else {
                inside
            }
        }
        Expr::Cast {
            expr, data_type, ..
        } => format!(
            "CAST({} AS {})",
            name(expr),
            data_type.to_string().to_uppercase()
        ),
        Expr::Case {
            operand,
            conditions,
            else_result,
            ..
        } => case(
            operand.as_deref(),
            conditions,
            else_result.as_deref(),
            scope,
        ),
        Expr::Function(function) => call(function, scope),
        Expr::Substring {
            expr,
            substring_from,
            substring_for,
            ..
        } => {
            let all = std::iter::once(expr)
                .chain(substring_from)
                .chain(substring_for);
            let all: Vec<String> = all.map(|part| name(part)).collect();
            format!("substring({})", all.join(", "))
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut text = name(root);
            for access in access_chain {
                match access {
                    AccessExpr::Dot(field) => {
                        text.push('.');
                        text.push_str(&name(field));
                    }
                    AccessExpr::Subscript(Subscript::Index { index }) => {
                        text.push_str(&format!("[{}]", name(index)));
                    }
                    AccessExpr::Subscript(index) => text.push_str(&format!("[{index}]")),
                }
            }
            text
        }
        other => other.to_string(),
    }
}

/// A dotted name without the table's.
fn bare(parts: &[Ident], scope: &Scope) -> Vec<String> {
    let names: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
    let from = match scope.resolve(&names, Location::default()) {
        Ok(found) => found.parts.saturating_sub(1),
        Err(_) => 0,
    };
    names[from..].iter().map(|&name| name.to_owned()).collect()
}

/// A dotted name as the table's schema writes it.
fn declared(parts: &[Ident], scope: &Scope) -> Vec<Ident> {
    let names: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
    let Ok(found) = scope.resolve(&names, Location::default()) else {
        return names.into_iter().map(Ident::new).collect();
    };
    let Kind::Column { name, .. } = &found.typed.kind else {
        return names.into_iter().map(Ident::new).collect();
    };
    let fields = names[found.parts..].iter().map(|name| Ident::new(*name));
    std::iter::once(Ident::new(name.as_str()))
        .chain(fields)
        .collect()
}

fn case(
    operand: Option<&Expr>,
    conditions: &[CaseWhen],
    otherwise: Option<&Expr>,
    scope: &Scope,
) -> String {
    let mut text = "CASE".to_owned();
    for when in conditions {
        let condition = of(&when.condition, scope);
        let condition = match operand {
            Some(operand) => format!("({} = {condition})", of(operand, scope)),
            None => condition,
        };
        text.push_str(&format!(
            " WHEN {condition} THEN {}",
            of(&when.result, scope)
        ));
    }
    if let Some(otherwise) = otherwise {
        text.push_str(&format!(" ELSE {}", of(otherwise, scope)));
    }
    text + " END"
}

fn call(function: &Function, scope: &Scope) -> String {
    let name = function.name.to_string().to_lowercase();
    let FunctionArguments::List(list) = &function.args else {
        return format!("{name}()");
    };
    if function.over.is_some() {
        return function.to_string();
    }
    // The columns that these make have names of their own.
    if name == "window" || name == "session_window" {
        return name;
    }
    let arguments: Vec<String> = list
        .args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => of(expr, scope),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "count" => "1".to_owned(),
            other => other.to_string(),
        })
        .collect();
    let distinct = match list.duplicate_treatment {
        Some(DuplicateTreatment::Distinct) => "DISTINCT ",
        _ => "",
    };
    let filter = match &function.filter {
        Some(filter) => format!(" FILTER (WHERE {})", of(filter, scope)),
        None => String::new(),
    };
    let keys: Vec<String> = function
        .within_group
        .iter()
        .map(|key| ordered(key, scope))
        .collect();
    let within = match keys.as_slice() {
        [] => String::new(),
        keys => format!(" WITHIN GROUP (ORDER BY {})", keys.join(", ")),
    };
    format!("{name}({distinct}{}){within}{filter}", arguments.join(", "))
}

/// A key of WITHIN GROUP.
fn ordered(key: &OrderByExpr, scope: &Scope) -> String {
    let options = key.options.to_string();
    format!("{}{options}", of(&key.expr, scope))
}

/// What an expression is known by from run to run: its text, columns without the table's name, functions in lower case.
pub(crate) fn identity(expr: &Expr, scope: &Scope) -> String {
    let mut expr = expr.clone();
    while let Expr::Nested(inner) = expr {
        expr = *inner;
    }
    let _: ControlFlow<()> = visit_expressions_mut(&mut expr, |part| {
        if let Expr::Struct { values, .. } = part {
            *values = values
                .drain(..)
                .flat_map(|value| match &value {
                    Expr::Wildcard(_) => scope.star(None),
                    Expr::QualifiedWildcard(table, _) => scope.star(Some(table)),
                    _ => vec![value],
                })
                .collect();
        }
        ControlFlow::Continue(())
    });
    let _: ControlFlow<()> = visit_expressions_mut(&mut expr, |part| {
        match part {
            Expr::Function(function) => {
                for name in &mut function.name.0 {
                    if let ObjectNamePart::Identifier(name) = name {
                        *name = Ident::new(name.value.to_lowercase());
                    }
                }
            }
            Expr::CompoundIdentifier(parts) => {
                *part = Expr::CompoundIdentifier(declared(parts, scope));
            }
            Expr::Identifier(name) => {
                *part = Expr::CompoundIdentifier(declared(std::slice::from_ref(name), scope));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    expr.to_string()
}
