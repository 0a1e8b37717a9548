//! From the parser's tree to the typed tree: names are found, types are known, casts are made visible.

use sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CastKind, Expr, Spanned, Subscript, UnaryOperator,
};
use thalweg_engine::schema::DataType;

use crate::expr::coerce::{self, Settings};
use crate::expr::operators::{self, Bits};
use crate::expr::scope::Scope;
use crate::expr::typed::{Arithmetic, Comparison, Mode, Op, Typed};
use crate::expr::{arithmetic, call, cast, choice, grouped, joined, literal, path, type_name};
use crate::job_error::{JobError, Location};
use crate::sql::advice;

/// How deep expressions may be nested.
const DEEPEST: usize = 200;

/// Checks an expression.
///
/// # Errors
/// For unknown or ambiguous names, wrong types, wrong numbers of arguments, and syntax that the language does not have;
/// each at its place in the job file.
pub fn check(expr: &Expr, scope: &Scope) -> Result<Typed, JobError> {
    let mut scope = scope.clone();
    Checker {
        scope: &mut scope,
        depth: 0,
    }
    .expr(expr, Location::default())
}

/// Checks a FILTER: as [`check`], and the result is BOOLEAN.
///
/// # Errors
/// Those of [`check`], and when the expression is no condition.
pub fn check_condition(expr: &Expr, scope: &Scope) -> Result<Typed, JobError> {
    conditional(expr, scope, operators::decision)
}

/// Checks a HAVING: as [`check_condition`], but a text becomes a condition, as in Spark.
///
/// # Errors
/// Those of [`check_condition`].
pub(crate) fn check_having(expr: &Expr, scope: &Scope) -> Result<Typed, JobError> {
    conditional(expr, scope, operators::condition)
}

fn conditional(
    expr: &Expr,
    scope: &Scope,
    condition: fn(Typed, Settings) -> Result<Typed, JobError>,
) -> Result<Typed, JobError> {
    let settings = scope.settings();
    let typed = condition(check(expr, scope)?, settings);
    typed.map_err(|error| error.or_help(joined::advice(&[expr])))
}

pub(crate) struct Checker<'s> {
    pub(crate) scope: &'s mut Scope,
    pub(crate) depth: usize,
}

impl Checker<'_> {
    pub(crate) fn settings(&self) -> Settings {
        self.scope.settings()
    }

    pub(crate) fn expr(&mut self, expr: &Expr, around: Location) -> Result<Typed, JobError> {
        let at = place(expr, around);
        if self.depth >= DEEPEST {
            return Err(JobError::new(
                at,
                format!("the expression is nested deeper than {DEEPEST} levels"),
            )
            .help("split it with a view or a lateral alias"));
        }
        self.depth += 1;
        let typed = match grouped::find(self, expr, at) {
            Ok(None) => self.at(expr, at),
            Ok(Some(typed)) => Ok(typed),
            Err(error) => Err(error),
        };
        self.depth -= 1;
        typed
    }

    fn at(&mut self, expr: &Expr, at: Location) -> Result<Typed, JobError> {
        let settings = self.settings();
        match expr {
            Expr::Nested(inner) => self.expr(inner, at),
            Expr::Value(value) => literal::literal(&value.value, false, at),
            Expr::TypedString(typed) => literal::typed_string(typed, settings, at),
            Expr::Interval(interval) => literal::interval(interval, at),
            Expr::Identifier(name) => self.name(&[&name.value], at),
            Expr::CompoundIdentifier(names) => {
                let parts: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
                self.name(&parts, at)
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.path(root, access_chain, at),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, at),
            Expr::UnaryOp { op, expr } => self.unary(op, expr, at),
            Expr::Function(function) => match self.scope.called_like_a_function(expr) {
                Some(name) => self.name(&[&name.value], at),
                None => call::function(self, function, at),
            },
            Expr::Cast {
                kind,
                expr,
                data_type,
                format,
            } => match format {
                None => self.cast(kind, expr, data_type, at),
                Some(_) => Err(JobError::new(at, "CAST has no FORMAT here")
                    .help("use to_date, to_timestamp or date_format")),
            },
            Expr::Case { .. } => self.case(expr, at),
            Expr::Struct { values, fields } if fields.is_empty() => self.structure(values, at),
            Expr::Tuple(values) => self.structure(values, at),
            Expr::Array(array) if !array.named => {
                Err(JobError::new(at, "`[` begins no expression").help(advice::BRACKET))
            }
            Expr::Array(array) => call::named(self, "array", array.elem.iter().collect(), at),
            Expr::Lambda(_) => Err(JobError::new(
                at,
                "a lambda stands only as an argument of a function that takes one",
            )),
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => Err(
                JobError::new(at, "a subquery stands in no expression")
                    .help("write it in WHERE, beside the rest with AND: x IN (SELECT id FROM t), EXISTS (SELECT 1 FROM t WHERE t.id = x); or join with the table"),
            ),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => {
                Err(JobError::new(at, "`*` stands only in a SELECT list"))
            }
            other => self.predicate(other, at),
        }
    }

    /// Conditions, and the functions that have a syntax of their own.
    fn predicate(&mut self, expr: &Expr, at: Location) -> Result<Typed, JobError> {
        let settings = self.settings();
        match expr {
            Expr::IsNull(inner) => self.is_null(inner, Op::IsNull, at),
            Expr::IsNotNull(inner) => self.is_null(inner, Op::IsNotNull, at),
            Expr::IsUnknown(inner) => self.is_null(inner, Op::IsNull, at),
            Expr::IsNotUnknown(inner) => self.is_null(inner, Op::IsNotNull, at),
            Expr::IsTrue(inner) => self.is_boolean(inner, true, false, at),
            Expr::IsNotTrue(inner) => self.is_boolean(inner, true, true, at),
            Expr::IsFalse(inner) => self.is_boolean(inner, false, false, at),
            Expr::IsNotFalse(inner) => self.is_boolean(inner, false, true, at),
            Expr::IsDistinctFrom(left, right) => {
                let same = self.compare(Comparison::NullSafeEqual, left, right, at)?;
                Ok(operators::not(same, at))
            }
            Expr::IsNotDistinctFrom(left, right) => {
                self.compare(Comparison::NullSafeEqual, left, right, at)
            }
            Expr::InList {
                expr,
                list,
                negated,
            } => {
                let value = self.expr(expr, at)?;
                let list = list
                    .iter()
                    .map(|item| self.expr(item, at))
                    .collect::<Result<Vec<_>, _>>()?;
                choice::in_list(value, list, *negated, settings, at)
            }
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let low = self.compare(Comparison::GreaterOrEqual, expr, low, at)?;
                let high = self.compare(Comparison::LessOrEqual, expr, high, at)?;
                let both = operators::logic(true, vec![low, high], at);
                Ok(if *negated {
                    operators::not(both, at)
                } else {
                    both
                })
            }
            Expr::Like { .. } | Expr::ILike { .. } => self.like(expr, at),
            Expr::RLike {
                negated,
                expr,
                pattern,
                ..
            } => {
                let (value, pattern) = (self.expr(expr, at)?, self.expr(pattern, at)?);
                operators::rlike(value, pattern, *negated, settings, at)
            }
            other => self.special(other, at),
        }
    }

    /// A dotted name: a column, and the fields of it.
    fn name(&self, parts: &[&str], at: Location) -> Result<Typed, JobError> {
        let found = self
            .scope
            .resolve(parts, at)
            .map_err(|error| grouped::missing(self.scope, parts, error))?;
        parts[found.parts..]
            .iter()
            .try_fold(found.typed, |base, field| {
                path::field(base, field, self.settings(), at)
            })
    }

    fn path(&mut self, root: &Expr, chain: &[AccessExpr], at: Location) -> Result<Typed, JobError> {
        let settings = self.settings();
        let mut chain = chain.iter().peekable();
        let mut typed = if let Expr::Identifier(first) = root {
            // The leading names may be a table and its column.
            let mut names = vec![first.value.as_str()];
            while let Some(AccessExpr::Dot(Expr::Identifier(name))) = chain.peek() {
                names.push(&name.value);
                chain.next();
            }
            self.name(&names, at)?
        } else {
            self.expr(root, at)?
        };
        for access in chain {
            typed = match access {
                AccessExpr::Dot(Expr::Identifier(name)) => {
                    path::field(typed, &name.value, settings, at)?
                }
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    let key = self.expr(index, at)?;
                    path::element(typed, key, settings, at)?
                }
                AccessExpr::Subscript(Subscript::Slice { .. }) => {
                    return Err(JobError::new(at, "slices are not supported")
                        .help("use slice(array, start, length)"));
                }
                AccessExpr::Dot(other) => {
                    return Err(JobError::new(
                        place(other, at),
                        format!("expected the name of a field after the dot, got `{other}`"),
                    ));
                }
            };
        }
        Ok(typed)
    }

    fn binary(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        at: Location,
    ) -> Result<Typed, JobError> {
        use BinaryOperator as B;
        let settings = self.settings();
        let comparison = match op {
            B::Eq => Some(Comparison::Equal),
            B::NotEq => Some(Comparison::NotEqual),
            B::Lt => Some(Comparison::Less),
            B::LtEq => Some(Comparison::LessOrEqual),
            B::Gt => Some(Comparison::Greater),
            B::GtEq => Some(Comparison::GreaterOrEqual),
            B::Spaceship => Some(Comparison::NullSafeEqual),
            _ => None,
        };
        if let Some(comparison) = comparison {
            return self.compare(comparison, left, right, at);
        }
        let operator = match op {
            B::Plus => Some(Arithmetic::Add),
            B::Minus => Some(Arithmetic::Subtract),
            B::Multiply => Some(Arithmetic::Multiply),
            B::Divide => Some(Arithmetic::Divide),
            B::Modulo => Some(Arithmetic::Remainder),
            B::MyIntegerDivide => Some(Arithmetic::IntegralDivide),
            _ => None,
        };
        if let Some(operator) = operator {
            let (left, right) = (self.expr(left, at)?, self.expr(right, at)?);
            let mode = Mode::of(settings.ansi);
            return arithmetic::bind(operator, left, right, mode, settings, at);
        }
        match op {
            B::And | B::Or => self.logic(left, op, right, at),
            B::StringConcat if joined::is_condition(left) || joined::is_condition(right) => {
                let (what, help) = joined::CONDITION;
                Err(JobError::new(at, what).help(help))
            }
            B::StringConcat => call::named(self, "concat", vec![left, right], at),
            B::BitwiseAnd => self.bits(Bits::And, left, right, at),
            B::BitwiseOr => self.bits(Bits::Or, left, right, at),
            B::BitwiseXor => self.bits(Bits::Xor, left, right, at),
            B::PGBitwiseShiftLeft => call::named(self, "shiftleft", vec![left, right], at),
            B::PGBitwiseShiftRight => call::named(self, "shiftright", vec![left, right], at),
            other => Err(JobError::new(
                at,
                format!("the operator `{other}` is not supported"),
            )),
        }
    }

    /// A chain of one of AND and OR becomes one node, however long it is.
    fn logic(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        at: Location,
    ) -> Result<Typed, JobError> {
        let mut terms = vec![right];
        let mut rest = left;
        while let Expr::BinaryOp {
            left,
            op: inner,
            right,
        } = rest
        {
            if inner != op {
                break;
            }
            terms.push(right);
            rest = left;
        }
        terms.push(rest);
        let settings = self.settings();
        let args = terms
            .into_iter()
            .rev()
            .map(|term| {
                self.expr(term, at)
                    .and_then(|typed| operators::condition(typed, settings))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(operators::logic(*op == BinaryOperator::And, args, at))
    }

    fn bits(
        &mut self,
        operator: Bits,
        left: &Expr,
        right: &Expr,
        at: Location,
    ) -> Result<Typed, JobError> {
        let (left, right) = (self.expr(left, at)?, self.expr(right, at)?);
        operators::bits(operator, left, right, self.settings(), at)
    }

    fn compare(
        &mut self,
        comparison: Comparison,
        left: &Expr,
        right: &Expr,
        at: Location,
    ) -> Result<Typed, JobError> {
        let (first, second) = (self.expr(left, at)?, self.expr(right, at)?);
        operators::comparison(comparison, first, second, self.settings(), at)
            .map_err(|error| error.or_help(joined::advice(&[left, right])))
    }

    fn unary(&mut self, op: &UnaryOperator, inner: &Expr, at: Location) -> Result<Typed, JobError> {
        let settings = self.settings();
        match (op, inner) {
            // The smallest integers exist only with their sign.
            (UnaryOperator::Minus, Expr::Value(value))
                if matches!(value.value, ast::Value::Number(..)) =>
            {
                literal::literal(&value.value, true, at)
            }
            (UnaryOperator::Minus, _) => {
                let typed = self.expr(inner, at)?;
                operators::negate(typed, settings, at)
            }
            (UnaryOperator::Plus, _) => {
                let typed = self.expr(inner, at)?.computed();
                operators::signed("+", typed, settings, at)
            }
            (UnaryOperator::Not | UnaryOperator::BangNot, _) => {
                let typed = self.expr(inner, at)?;
                Ok(operators::not(operators::condition(typed, settings)?, at))
            }
            (UnaryOperator::BitwiseNot, _) => {
                let typed = self.expr(inner, at)?;
                operators::complement(typed, at)
            }
            (other, _) => Err(JobError::new(
                at,
                format!("the operator `{other}` is not supported"),
            )),
        }
    }

    fn is_null(&mut self, inner: &Expr, op: Op, at: Location) -> Result<Typed, JobError> {
        let typed = self.expr(inner, at)?;
        Ok(Typed::node(op, vec![typed], DataType::Boolean, false, at))
    }

    fn is_boolean(
        &mut self,
        inner: &Expr,
        wanted: bool,
        negated: bool,
        at: Location,
    ) -> Result<Typed, JobError> {
        let typed = self.expr(inner, at)?;
        operators::is_boolean(typed, wanted, negated, self.settings(), at)
    }

    fn cast(
        &mut self,
        kind: &CastKind,
        inner: &Expr,
        to: &ast::DataType,
        at: Location,
    ) -> Result<Typed, JobError> {
        let settings = self.settings();
        let mut typed = self.expr(inner, at)?.computed();
        if let Some(unit) =
            type_name::single_unit(to).filter(|_| typed.data_type == DataType::String)
        {
            typed = operators::with_unit(typed, unit, at);
        }
        let to = type_name::cast_type(to, at)?;
        let mode = match kind {
            CastKind::TryCast | CastKind::SafeCast => Mode::Try,
            CastKind::Cast | CastKind::DoubleColon => Mode::of(settings.ansi),
        };
        explicit_cast(typed, &to, mode, settings, at)
    }
}

/// A cast that the author wrote.
pub(crate) fn explicit_cast(
    typed: Typed,
    to: &DataType,
    mode: Mode,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    if !cast::allowed(&typed.data_type, to, mode) {
        let from = typed.data_type.to_string();
        let article = if from.starts_with(['A', 'I']) {
            "an"
        } else {
            "a"
        };
        return Err(JobError::new(
            at,
            format!("{article} {from} cannot be cast to {to}"),
        ));
    }
    Ok(coerce::cast(typed, to, mode, settings, false))
}

/// Where an expression begins; where the parser does not know, where the one around it does.
pub(crate) fn place(expr: &Expr, around: Location) -> Location {
    // To the leftmost part by a loop: a chain of operators may be longer than the stack is deep.
    let mut inner = expr;
    while let Expr::BinaryOp { left: first, .. }
    | Expr::IsNull(first)
    | Expr::IsNotNull(first)
    | Expr::IsDistinctFrom(first, _)
    | Expr::IsNotDistinctFrom(first, _)
    | Expr::InList { expr: first, .. }
    | Expr::Between { expr: first, .. }
    | Expr::Like { expr: first, .. }
    | Expr::ILike { expr: first, .. }
    | Expr::RLike { expr: first, .. }
    | Expr::Nested(first) = inner
    {
        inner = first;
    }
    let start = inner.span().start;
    if start.line == 0 {
        return around;
    }
    Location {
        line: u32::try_from(start.line).unwrap_or(u32::MAX),
        column: u32::try_from(start.column).unwrap_or(u32::MAX),
    }
}
