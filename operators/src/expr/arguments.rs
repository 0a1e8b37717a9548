//! Arguments of a call as they are written: in their places, as stars, or by the names of their parameters
//! (`mask(s, digitChar => 'd')`).

use std::borrow::Cow;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{self, Expr, FunctionArg, FunctionArgExpr};

use crate::expr::functions;
use crate::expr::scope::Scope;
use crate::job_error::{JobError, Location};

/// A parameter of a function: what it is called, and its value where a call leaves it out.
struct Parameter<'f> {
    name: &'f str,
    default: Option<ast::Value>,
}

/// The parameters of the functions that Spark calls by name, and of the job's own.
fn parameters<'f>(function: &str, scope: &'f Scope) -> Option<Vec<Parameter<'f>>> {
    let lower = function.to_ascii_lowercase();
    if let Some(own) = scope.macros.get(&lower) {
        let names = own.parameters.iter().map(|(name, _)| needed(name));
        return Some(names.collect());
    }
    let text = |name, text: &str| Parameter {
        name,
        default: Some(ast::Value::SingleQuotedString(text.to_owned())),
    };
    match lower.as_str() {
        "mask" => Some(vec![
            needed("str"),
            text("upperChar", "X"),
            text("lowerChar", "x"),
            text("digitChar", "n"),
            Parameter {
                name: "otherChar",
                default: Some(ast::Value::Null),
            },
        ]),
        _ => None,
    }
}

fn needed(name: &str) -> Parameter<'_> {
    Parameter {
        name,
        default: None,
    }
}

/// The arguments in the order of the parameters.
///
/// # Errors
/// An argument that is no expression; a name that the function has not, that comes twice or before an argument without one;
/// a parameter that is left out and has no default.
pub(super) fn in_places<'e>(
    function: &str,
    written: &'e [FunctionArg],
    scope: &Scope,
    at: Location,
) -> Result<Vec<Cow<'e, Expr>>, JobError> {
    let wrong = |message: String| JobError::new(at, format!("{function}: {message}"));
    let mut args = Vec::with_capacity(written.len());
    let mut named: Vec<(&str, &'e Expr)> = Vec::new();
    for argument in written {
        match argument {
            FunctionArg::Named {
                name,
                arg: FunctionArgExpr::Expr(expr),
                operator: ast::FunctionArgOperator::RightArrow,
            } => named.push((name.value.as_str(), expr)),
            FunctionArg::Unnamed(_) if !named.is_empty() => {
                return Err(wrong(format!(
                    "`{argument}` has no name and stands behind an argument with one"
                ))
                .help("arguments without a name come first"));
            }
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => args.push(Cow::Borrowed(expr)),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {
                args.push(Cow::Owned(Expr::Wildcard(AttachedToken::empty())));
            }
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(table)) => {
                args.push(Cow::Owned(Expr::QualifiedWildcard(
                    table.clone(),
                    AttachedToken::empty(),
                )));
            }
            other => return Err(wrong(format!("expected an expression, got `{other}`"))),
        }
    }
    let Some((first, _)) = named.first() else {
        return Ok(args);
    };
    let Some(parameters) = parameters(function, scope) else {
        let known = functions::find(&function.to_ascii_lowercase());
        let lambda = known.is_some_and(|known| known.lambda.is_some());
        return Err(
            wrong(format!("its arguments have no names, as `{first}`")).help(match lambda {
                true => "a function of the elements is written with ->, as in x -> x + 1",
                false => "write the arguments in their order, without names",
            }),
        );
    };
    for (place, (name, _)) in named.iter().enumerate() {
        let same = |other: &str| other.eq_ignore_ascii_case(name);
        let known = || parameters.iter().map(|parameter| parameter.name);
        match known().position(same) {
            None => {
                return Err(wrong(format!("it has no parameter `{name}`"))
                    .nearest(name, known())
                    .or_help(Some(format!(
                        "it has {}",
                        known().collect::<Vec<_>>().join(", ")
                    ))));
            }
            Some(taken) if taken < args.len() => {
                return Err(wrong(format!("`{name}` is argument {} too", taken + 1))
                    .help("leave one of them out"));
            }
            Some(_) if named[..place].iter().any(|(earlier, _)| same(earlier)) => {
                return Err(wrong(format!("`{name}` comes twice")).help("leave one of them out"));
            }
            Some(_) => {}
        }
    }
    let last = parameters
        .iter()
        .rposition(|parameter| {
            named
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(parameter.name))
        })
        .map_or(0, |place| place + 1);
    for parameter in parameters.get(args.len()..last).unwrap_or_default() {
        let given = named
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(parameter.name));
        args.push(match (given, &parameter.default) {
            (Some((_, expr)), _) => Cow::Borrowed(*expr),
            (None, Some(value)) => Cow::Owned(Expr::Value(value.clone().into())),
            (None, None) => {
                return Err(
                    wrong(format!("the argument `{}` is missing", parameter.name))
                        .help(format!("write {} => value", parameter.name)),
                );
            }
        });
    }
    Ok(args)
}
