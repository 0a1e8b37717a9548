//! Expressions with a syntax of their own: CASE, LIKE, structs, and functions such as EXTRACT and TRIM.

use std::borrow::Cow;

use smol_str::SmolStr;
use sqlparser::ast::{self, AccessExpr, CeilFloorKind, Expr, Ident, TrimWhereField};
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;

use crate::expr::check::{Checker, place};
use crate::expr::typed::{Comparison, Typed};
use crate::expr::{call, literal, prefix};
use crate::expr::{choice, operators};
use crate::job_error::{JobError, Location};
use crate::sql::excepted::Star;

impl Checker<'_> {
    /// Functions that the parser knows by a syntax of their own.
    pub(crate) fn special(&mut self, expr: &Expr, at: Location) -> Result<Typed, JobError> {
        match expr {
            Expr::Ceil { expr, field } => self.rounded("ceil", expr, field, at),
            Expr::Floor { expr, field } => self.rounded("floor", expr, field, at),
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => {
                let mut args = vec![expr.as_ref()];
                args.extend(substring_from.as_deref());
                args.extend(substring_for.as_deref());
                call::named(self, "substring", args, at)
            }
            Expr::Position { expr, r#in } => call::named(self, "locate", vec![expr, r#in], at),
            Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let mut args = vec![expr.as_ref(), overlay_what, overlay_from];
                args.extend(overlay_for.as_deref());
                call::named(self, "overlay", args, at)
            }
            Expr::Extract { field, expr, .. } => {
                let field = Typed::literal(
                    Value::from(field.to_string().to_uppercase().as_str()),
                    DataType::String,
                    at,
                );
                let value = self.expr(expr, at)?;
                call::with_args(self, "extract", vec![field, value], at)
            }
            Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters: None,
            } => match (trim_where, trim_what.as_deref()) {
                (None | Some(TrimWhereField::Both), None) => {
                    call::named(self, "trim", vec![expr], at)
                }
                (None | Some(TrimWhereField::Both), Some(what)) => {
                    call::named(self, "btrim", vec![expr, what], at)
                }
                // The two-argument form of these names the characters first.
                (Some(TrimWhereField::Leading), what) => call::named(
                    self,
                    "ltrim",
                    what.into_iter().chain([&**expr]).collect(),
                    at,
                ),
                (Some(TrimWhereField::Trailing), what) => call::named(
                    self,
                    "rtrim",
                    what.into_iter().chain([&**expr]).collect(),
                    at,
                ),
            },
            Expr::Collate { expr, .. } => Err(JobError::new(
                at,
                "COLLATE is not supported: texts are compared by their bytes",
            )
            .help(format!(
                "write lower({expr}) on both sides where case does not count"
            ))),
            Expr::JsonAccess { .. } => Err(JobError::new(at, "`:` paths are not supported")
                .help("use get_json_object(text, '$.path')")),
            other => Err(JobError::new(
                at,
                format!("`{other}` is not supported in an expression"),
            )),
        }
    }

    pub(crate) fn case(&mut self, expr: &Expr, at: Location) -> Result<Typed, JobError> {
        let Expr::Case {
            operand,
            conditions,
            else_result,
            ..
        } = expr
        else {
            return Err(JobError::new(at, "expected CASE"));
        };
        let settings = self.settings();
        let operand = match operand {
            Some(operand) => Some(self.expr(operand, at)?),
            None => None,
        };
        let mut branches = Vec::with_capacity(conditions.len());
        for branch in conditions {
            let mut when = self.expr(&branch.condition, at)?;
            if let Some(operand) = &operand {
                let when_at = when.at;
                when = operators::comparison(
                    Comparison::Equal,
                    operand.clone(),
                    when,
                    settings,
                    when_at,
                )?;
            }
            branches.push((when, self.expr(&branch.result, at)?));
        }
        let otherwise = match else_result {
            Some(value) => Some(self.expr(value, at)?),
            None => None,
        };
        choice::case(branches, otherwise, settings, at)
    }

    pub(crate) fn like(&mut self, expr: &Expr, at: Location) -> Result<Typed, JobError> {
        let any_case = matches!(expr, Expr::ILike { .. });
        let (Expr::Like {
            negated,
            any,
            expr,
            pattern,
            escape_char,
        }
        | Expr::ILike {
            negated,
            any,
            expr,
            pattern,
            escape_char,
        }) = expr
        else {
            return Err(JobError::new(at, "expected LIKE"));
        };
        let settings = self.settings();
        let escape = match escape_char {
            Some(escape) => Some(self.expr(escape, at)?),
            None => None,
        };
        let escape = match &escape {
            None => None,
            Some(typed) => Some(
                typed
                    .constant_text()
                    .ok_or_else(|| JobError::new(typed.at, "ESCAPE takes a constant character"))?,
            ),
        };
        let value = self.expr(expr, at)?;
        let (all, patterns) = several(pattern, *any).unwrap_or((false, vec![pattern.as_ref()]));
        let mut matches = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let pattern = self.expr(pattern, at)?;
            matches.push(operators::like(
                value.clone(),
                pattern,
                escape,
                any_case,
                *negated,
                settings,
                at,
            )?);
        }
        match matches.len() {
            1 => matches
                .pop()
                .ok_or_else(|| JobError::new(at, "expected a pattern")),
            _ => Ok(operators::logic(all, matches, at)),
        }
    }

    /// `struct(a, b AS name)` and `(a, b)`: a field is named by its alias, its column, or `col` and its number.
    pub(crate) fn structure(&mut self, values: &[Expr], at: Location) -> Result<Typed, JobError> {
        let values = self.without_stars(values.iter(), at)?;
        let mut names = Vec::with_capacity(values.len());
        let mut args = Vec::with_capacity(values.len());
        for (i, value) in values.iter().enumerate() {
            names.push(field_name(value, i));
            let value = match value.as_ref() {
                Expr::Named { expr, .. } => expr,
                value => value,
            };
            args.push(self.expr(value, at)?);
        }
        Ok(operators::structure(names, args, at))
    }

    /// The same expressions with the columns that they mean in place of `*` and `t.*`.
    pub(crate) fn without_stars<'e>(
        &self,
        exprs: impl Iterator<Item = &'e Expr>,
        at: Location,
    ) -> Result<Vec<Cow<'e, Expr>>, JobError> {
        let mut out = Vec::new();
        for expr in exprs {
            let Some(star) = Star::of(expr) else {
                out.push(Cow::Borrowed(expr));
                continue;
            };
            let table = star.table;
            let columns = self.scope.star(table);
            if columns.is_empty() {
                let shown = table.map_or_else(String::new, ToString::to_string);
                let columns = self.scope.columns.iter();
                let known: Vec<&str> = columns
                    .flat_map(|column| column.qualifier.iter().chain([&column.field.name]))
                    .map(SmolStr::as_str)
                    .collect();
                let error = JobError::new(
                    place(expr, at),
                    format!("`{shown}.*`: there is no table and no STRUCT `{shown}`"),
                );
                return Err(error.nearest(&shown, known));
            }
            let unused = |name: &&Ident| !columns.iter().any(|column| Star::is_it(name, column));
            if let Some(name) = star.except.iter().find(unused) {
                let message = format!("EXCEPT names `{}`, which is no column here", name.value);
                return Err(JobError::new(place(expr, at), message));
            }
            out.extend(star.left(columns).into_iter().map(Cow::Owned));
        }
        Ok(out)
    }

    fn rounded(
        &mut self,
        name: &'static str,
        inner: &Expr,
        field: &CeilFloorKind,
        at: Location,
    ) -> Result<Typed, JobError> {
        let mut args = vec![self.expr(inner, at)?];
        match field {
            CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) => {}
            CeilFloorKind::Scale(scale) => args.push(literal::literal(&scale.value, false, at)?),
            CeilFloorKind::DateTimeField(field) => {
                return Err(
                    JobError::new(at, format!("{name} to {field} is not supported"))
                        .help("use date_trunc"),
                );
            }
        }
        call::with_args(self, name, args, at)
    }
}

/// What a struct calls the field of a value in its list: by its alias, its column, or `col` and its number.
pub(crate) fn field_name(value: &Expr, place: usize) -> SmolStr {
    let name = match value {
        Expr::Named { name, .. } | Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(parts) => parts.last(),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(name))) => Some(name),
            _ => None,
        },
        _ => None,
    };
    match name {
        Some(name) => SmolStr::new(&name.value),
        None => SmolStr::new(format!("col{}", place + 1)),
    }
}

/// The patterns of `LIKE ANY (...)`, and of `LIKE ALL (...)` and `LIKE SOME (...)`, which the parser takes for calls, and whether
/// all must match.
pub(crate) fn several(pattern: &Expr, any: bool) -> Option<(bool, Vec<&Expr>)> {
    let function = match pattern {
        Expr::Function(function) => function,
        Expr::Tuple(patterns) if any => return Some((false, patterns.iter().collect())),
        Expr::Nested(inner) if any => return Some((false, vec![inner.as_ref()])),
        _ => return None,
    };
    let [ast::ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else {
        return None;
    };
    let all = match name.value.to_ascii_lowercase().as_str() {
        "all" => true,
        prefix::LIKE_SOME => false,
        _ => return None,
    };
    let ast::FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let patterns = list.args.iter().map(|arg| match arg {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(pattern)) => Some(pattern),
        _ => None,
    });
    Some((all, patterns.collect::<Option<_>>()?))
}
