//! What a column without AS is called: the text of its expression as Spark writes it.
//!
//! `calls` has the functions whose text is not their name and arguments as they stand, `literals` the constants.

mod calls;
mod literals;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, CeilFloorKind, DateTimeField, DuplicateTreatment, Expr,
    Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, LambdaFunction,
    ObjectNamePart, OrderByExpr, OrderBySort, Subscript, TrimWhereField, UnaryOperator,
    visit_expressions_mut,
};
use thalweg_engine::schema::DataType;

use crate::expr::check::check;
use crate::expr::scope::Scope;
use crate::expr::special::{field_name, several};
use crate::expr::type_name;
use crate::expr::typed::Kind;
use crate::job_error::Location;
use crate::sql::excepted::Star;

/// The name of an expression.
pub(crate) fn of(expr: &Expr, scope: &Scope) -> String {
    let variables = Vec::new();
    Writer { scope, variables }.name(expr)
}

/// What writes an expression: the columns that it may name, and the variables of the lambdas that it stands in.
struct Writer<'s> {
    scope: &'s Scope,
    variables: Vec<String>,
}

impl Writer<'_> {
    fn name(&self, expr: &Expr) -> String {
        match expr {
            Expr::Identifier(name) if self.is_variable(name) => VARIABLE.to_owned(),
            Expr::Identifier(name) => name.value.clone(),
            Expr::CompoundIdentifier(parts) => match parts.split_first() {
                Some((first, fields)) if self.is_variable(first) => {
                    let fields = fields.iter().map(|field| format!(".{}", field.value));
                    format!("{VARIABLE}{}", fields.collect::<String>())
                }
                _ => bare(parts, self.scope).join("."),
            },
            Expr::Nested(inner) => self.name(inner),
            Expr::Value(value) => literals::value(&value.value, false),
            Expr::TypedString(typed) => literals::typed(typed, self.scope),
            Expr::Interval(interval) => literals::interval(interval),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::UnaryOp { op, expr } => match op {
                UnaryOperator::Not | UnaryOperator::BangNot => negated(true, self.name(expr)),
                UnaryOperator::Minus if let Expr::Value(value) = &**expr => {
                    literals::value(&value.value, true)
                }
                UnaryOperator::BitwiseNot => format!("~{}", self.name(expr)),
                other => format!("({other} {})", self.name(expr)),
            },
            Expr::IsNull(inner) | Expr::IsUnknown(inner) => {
                format!("({} IS NULL)", self.name(inner))
            }
            Expr::IsNotNull(inner) | Expr::IsNotUnknown(inner) => {
                format!("({} IS NOT NULL)", self.name(inner))
            }
            Expr::IsTrue(inner) => format!("({} <=> true)", self.name(inner)),
            Expr::IsNotTrue(inner) => negated(true, format!("({} <=> true)", self.name(inner))),
            Expr::IsFalse(inner) => format!("({} <=> false)", self.name(inner)),
            Expr::IsNotFalse(inner) => negated(true, format!("({} <=> false)", self.name(inner))),
            Expr::IsDistinctFrom(left, right) => negated(true, self.joined(left, "<=>", right)),
            Expr::IsNotDistinctFrom(left, right) => self.joined(left, "<=>", right),
            Expr::InList {
                expr,
                list,
                negated: not,
            } => {
                let list = self.names(list);
                negated(*not, format!("({} IN ({list}))", self.name(expr)))
            }
            Expr::Between {
                expr,
                negated: not,
                low,
                high,
            } => negated(*not, call("between", &self.names([&**expr, low, high]))),
            Expr::Like { .. } | Expr::ILike { .. } => self.like(expr),
            Expr::RLike {
                negated: not,
                expr,
                pattern,
                ..
            } => negated(*not, call("RLIKE", &self.names([&**expr, pattern]))),
            Expr::Cast {
                kind,
                expr,
                data_type,
                ..
            } => {
                let cast = match kind {
                    sqlparser::ast::CastKind::TryCast => "TRY_CAST",
                    _ => "CAST",
                };
                let shown = match type_name::cast_type(data_type, Location::default()) {
                    // As they were written: what they were cast to is in their fields.
                    Ok(DataType::YearMonthInterval | DataType::DayTimeInterval) | Err(_) => {
                        data_type.to_string().to_uppercase()
                    }
                    Ok(DataType::Array(_) | DataType::Map(_) | DataType::Struct(_)) => {
                        return self.name(expr);
                    }
                    Ok(known) => known.to_string(),
                };
                format!("{cast}({} AS {shown})", self.name(expr))
            }
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(operand.as_deref(), conditions, else_result.as_deref()),
            Expr::Function(function) => match self.scope.called_like_a_function(expr) {
                Some(name) => name.value,
                None => self.function(function),
            },
            Expr::Lambda(lambda) => self.lambda(lambda),
            Expr::CompoundFieldAccess { root, access_chain } => self.path(root, access_chain),
            Expr::Struct { values, .. } => call("struct", &self.names(values)),
            Expr::Tuple(values) => self.tuple(values),
            Expr::Named { expr, name } => format!("{} AS {}", self.name(expr), name.value),
            other => self.special(other),
        }
    }

    fn names<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> String {
        let names: Vec<String> = exprs
            .into_iter()
            .flat_map(|expr| without_star(expr.clone(), self.scope))
            .map(|expr| self.name(&expr))
            .collect();
        names.join(", ")
    }

    fn joined(&self, left: &Expr, op: &str, right: &Expr) -> String {
        format!("({} {op} {})", self.name(left), self.name(right))
    }

    fn is_variable(&self, name: &Ident) -> bool {
        let mut known = self.variables.iter();
        known.any(|variable| variable.eq_ignore_ascii_case(&name.value))
    }

    fn binary(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> String {
        match op {
            BinaryOperator::MyIntegerDivide => self.joined(left, "div", right),
            BinaryOperator::NotEq => negated(true, self.joined(left, "=", right)),
            BinaryOperator::StringConcat => call("concat", &self.names([left, right])),
            BinaryOperator::Plus | BinaryOperator::Minus
                if let Some(moved) = self.moved(left, op, right) =>
            {
                moved
            }
            other => self.joined(left, &other.to_string(), right),
        }
    }

    /// A date or time and what it is moved by, if it is that.
    fn moved(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<String> {
        let back = *op == BinaryOperator::Minus;
        let moves = |by: &DataType| {
            by.is_integer() || matches!(by, DataType::YearMonthInterval | DataType::DayTimeInterval)
        };
        let of = |expr| check(expr, self.scope).ok().map(|typed| typed.data_type);
        let (time, by, kind, moved) = match (of(left)?, of(right)?) {
            (kind, by) if moves(&by) => (left, right, by, kind),
            (by, kind) if moves(&by) && !back => (right, left, by, kind),
            _ => return None,
        };
        let (time, by) = (self.name(time), self.name(by));
        Some(match (moved, kind) {
            (DataType::Date, DataType::DayTimeInterval) if by.ends_with("' DAY") => {
                let days = format!("extractansiintervaldays({by})");
                let days = if back { format!("(- {days})") } else { days };
                format!("date_add({time}, {days})")
            }
            (DataType::Date, by_days) if by_days.is_integer() => {
                let name = if back { "date_sub" } else { "date_add" };
                format!("{name}({time}, {by})")
            }
            // Without brackets.
            (
                DataType::Date | DataType::Timestamp | DataType::TimestampNtz,
                DataType::YearMonthInterval | DataType::DayTimeInterval,
            ) => format!("{time} {op} {by}"),
            _ => return None,
        })
    }

    fn is_time(&self, expr: &Expr) -> bool {
        check(expr, self.scope).is_ok_and(|typed| {
            matches!(
                typed.data_type,
                DataType::Date | DataType::Timestamp | DataType::TimestampNtz
            )
        })
    }

    fn like(&self, expr: &Expr) -> String {
        let any_case = matches!(expr, Expr::ILike { .. });
        let (Expr::Like {
            negated: not,
            any,
            expr,
            pattern,
            escape_char,
        }
        | Expr::ILike {
            negated: not,
            any,
            expr,
            pattern,
            escape_char,
        }) = expr
        else {
            return expr.to_string();
        };
        let value = self.name(expr);
        if let Some((all, _)) = several(pattern, *any) {
            let not = if *not { "not" } else { "" };
            let value = match any_case {
                true => call("lower", &value),
                false => value,
            };
            return call(
                &format!("{not}like{}", if all { "all" } else { "any" }),
                &value,
            );
        }
        let pattern = self.name(pattern);
        let escape = match escape_char {
            Some(escape) if any_case => format!(", {}", self.name(escape)),
            Some(escape) => format!(" ESCAPE '{}'", self.name(escape)),
            None => String::new(),
        };
        if any_case {
            return negated(*not, format!("ilike({value}, {pattern}{escape})"));
        }
        negated(*not, format!("{value} LIKE {pattern}{escape}"))
    }

    fn path(&self, root: &Expr, access_chain: &[AccessExpr]) -> String {
        let mut chain = access_chain.iter().peekable();
        let mut text = match root {
            // The names before the first bracket: a table's is left out.
            Expr::Identifier(first) if !self.is_variable(first) => {
                let mut parts = vec![first.clone()];
                while let Some(AccessExpr::Dot(Expr::Identifier(name))) = chain.peek() {
                    parts.push(name.clone());
                    chain.next();
                }
                bare(&parts, self.scope).join(".")
            }
            other => self.name(other),
        };
        for access in chain {
            text.push_str(&match access {
                AccessExpr::Dot(Expr::Identifier(field)) => format!(".{}", field.value),
                AccessExpr::Dot(field) => format!(".{}", self.name(field)),
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    format!("[{}]", self.name(index))
                }
                AccessExpr::Subscript(index) => format!("[{index}]"),
            });
        }
        text
    }

    /// `(a, b)` is `named_struct('a', a, 'b', b)`.
    fn tuple(&self, values: &[Expr]) -> String {
        let fields = values
            .iter()
            .enumerate()
            .map(|(i, value)| format!("{}, {}", field_name(value, i), self.name(value)));
        call("named_struct", &fields.collect::<Vec<_>>().join(", "))
    }

    fn case(
        &self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> String {
        let mut text = "CASE".to_owned();
        for when in conditions {
            let condition = match operand {
                Some(operand) => self.joined(operand, "=", &when.condition),
                None => self.name(&when.condition),
            };
            text.push_str(&format!(
                " WHEN {condition} THEN {}",
                self.name(&when.result)
            ));
        }
        if let Some(otherwise) = otherwise {
            text.push_str(&format!(" ELSE {}", self.name(otherwise)));
        }
        text + " END"
    }

    fn lambda(&self, lambda: &LambdaFunction) -> String {
        let parameters = lambda.params.iter().map(|one| one.name.value.clone());
        let parameters: Vec<String> = parameters.collect();
        let count = parameters.len();
        let within = Self {
            scope: self.scope,
            variables: self.variables.iter().cloned().chain(parameters).collect(),
        };
        let body = within.name(&lambda.body);
        call(
            "lambdafunction",
            &format!("{body}{}", format!(", {VARIABLE}").repeat(count)),
        )
    }

    /// Functions with a syntax of their own.
    fn special(&self, expr: &Expr) -> String {
        match expr {
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                shorthand,
                special,
            } => {
                let name = match special {
                    true if *shorthand => "substr",
                    // With FROM and FOR.
                    _ => "substring",
                };
                let parts = [Some(expr), substring_from.as_ref(), substring_for.as_ref()];
                let parts = parts.into_iter().flatten().map(|part| self.name(part));
                calls::text(name, parts.collect())
            }
            Expr::Position { expr, r#in } => {
                calls::text("locate", vec![self.name(expr), self.name(r#in)])
            }
            Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let parts = [
                    Some(expr),
                    Some(overlay_what),
                    Some(overlay_from),
                    overlay_for.as_ref(),
                ];
                let parts = parts.into_iter().flatten().map(|part| self.name(part));
                calls::text("overlay", parts.collect())
            }
            Expr::Extract { field, expr, .. } => {
                format!("extract({field} FROM {})", self.name(expr))
            }
            Expr::Ceil { expr, field } => self.rounded("ceil", expr, field),
            Expr::Floor { expr, field } => self.rounded("floor", expr, field),
            Expr::Trim {
                trim_where,
                trim_what,
                expr,
                ..
            } => {
                let text = self.name(expr);
                let what = trim_what.as_ref().map(|what| self.name(what));
                match (trim_where, what) {
                    (None | Some(TrimWhereField::Both), None) => call("trim", &text),
                    (Some(TrimWhereField::Leading), None) => call("ltrim", &text),
                    (Some(TrimWhereField::Trailing), None) => call("rtrim", &text),
                    (side, Some(what)) => {
                        let side = side.unwrap_or(TrimWhereField::Both);
                        format!("TRIM({side} {what} FROM {text})")
                    }
                }
            }
            other => other.to_string(),
        }
    }

    fn rounded(&self, name: &str, expr: &Expr, field: &CeilFloorKind) -> String {
        let text = self.name(expr);
        match field {
            CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => {
                call(&name.to_uppercase(), &text)
            }
            CeilFloorKind::DateTimeField(field) => call(name, &format!("{text} TO {field}")),
            CeilFloorKind::Scale(scale) => call(
                name,
                &format!("{text}, {}", literals::value(&scale.value, false)),
            ),
        }
    }

    fn function(&self, function: &Function) -> String {
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
        let mut arguments = Vec::with_capacity(list.args.len());
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    arguments.push(self.names([expr]));
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard)
                    if name == "count" && list.duplicate_treatment.is_none() =>
                {
                    arguments.push("1".to_owned());
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "count" => {
                    arguments.push(self.names(&self.scope.star(None)));
                }
                other => arguments.push(other.to_string()),
            }
        }
        let distinct = match list.duplicate_treatment {
            Some(DuplicateTreatment::Distinct) => "DISTINCT ",
            _ => "",
        };
        let filter = match &function.filter {
            Some(filter) => format!(" FILTER (WHERE {})", self.name(filter)),
            None => String::new(),
        };
        let keys: Vec<String> = function
            .within_group
            .iter()
            .map(|key| self.ordered(&name, key))
            .collect();
        let within = match keys.as_slice() {
            [] => String::new(),
            keys => format!(" WITHIN GROUP (ORDER BY {})", keys.join(", ")),
        };
        if let Some(first) = arguments.first_mut() {
            first.insert_str(0, distinct);
        }
        let shown = match (name.as_str(), list.args.first()) {
            ("to_char" | "to_varchar", Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))))
                if self.is_time(expr) =>
            {
                "date_format"
            }
            (name, _) => name,
        };
        calls::text(shown, arguments) + &within + &filter
    }

    /// A key of WITHIN GROUP.
    fn ordered(&self, function: &str, key: &OrderByExpr) -> String {
        let text = self.name(&key.expr);
        let down = matches!(key.options.sort, Some(OrderBySort::Desc));
        match function {
            // The least of the most frequent is the first from behind.
            "mode" => format!("{text}{}", if down { "" } else { " DESC" }),
            "listagg" | "string_agg" => {
                let first = key.options.nulls_first.unwrap_or(!down);
                let order = if down { "DESC" } else { "ASC" };
                format!(
                    "{text} {order} NULLS {}",
                    if first { "FIRST" } else { "LAST" }
                )
            }
            _ => format!("{text}{}", key.options),
        }
    }
}

/// What stands for any variable of a lambda.
const VARIABLE: &str = "namedlambdavariable()";

fn negated(not: bool, text: String) -> String {
    if not { format!("(NOT {text})") } else { text }
}

fn call(name: &str, arguments: &str) -> String {
    format!("{name}({arguments})")
}

/// The columns that `*` and `t.*` in a list of values mean; another value itself.
fn without_star(value: Expr, scope: &Scope) -> Vec<Expr> {
    match Star::of(&value) {
        Some(star) => star.left(scope.star(star.table)),
        None => vec![value],
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
                .flat_map(|value| without_star(value, scope))
                .collect();
        }
        ControlFlow::Continue(())
    });
    let _: ControlFlow<()> = visit_expressions_mut(&mut expr, |part| {
        if let Some(name) = scope.called_like_a_function(part) {
            *part = Expr::Identifier(name);
        }
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
            Expr::Extract {
                field: DateTimeField::Custom(field),
                ..
            } => field.value = field.value.to_uppercase(),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    expr.to_string()
}
