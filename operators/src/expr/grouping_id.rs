//! `grouping(key)` and `grouping_id()`: which keys the grouping set of a row has.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};
use thalweg_engine::schema::{DataType, Field};

use crate::expr::check::check;
use crate::expr::coerce::Settings;
use crate::expr::grouped::{Grouped, normal};
use crate::expr::scope::{Access, Scope, ScopeColumn};
use crate::expr::typed::Typed;
use crate::expr::written::written;
use crate::job_error::{JobError, Location};

/// The key behind all others that is the number of the set: a bit for each key, 1 where the set has it not, the first
/// key's the highest.
#[derive(Debug)]
pub(crate) struct GroupingId {
    /// The normal forms of the keys before it.
    forms: Vec<Option<Expr>>,
    /// Whether there is such a key: one set of all keys has none, and the number 0.
    apart: bool,
}

impl GroupingId {
    /// That behind keys of these normal forms.
    pub(crate) fn of(forms: Vec<Option<Expr>>, apart: bool) -> Self {
        Self { forms, apart }
    }

    /// An expression of the number of the set.
    fn value(&self, text: &str, settings: Settings, at: Location) -> Result<Typed, JobError> {
        let scope = Scope {
            columns: vec![ScopeColumn {
                qualifier: None,
                field: Field::required("id", DataType::BigInt),
                access: Access::Listed,
            }],
            ansi: settings.ansi,
            time_zone: settings.zone,
            ..Scope::default()
        };
        if !self.apart {
            return check(&written(&text.replace("id", "0L"), at)?, &scope);
        }
        let mut typed = check(&written(text, at)?, &scope)?;
        typed.remap(&|_| self.forms.len());
        Ok(typed)
    }
}

/// Hive's name for `grouping_id()`.
pub(crate) const HIVES: &str = "grouping__id";

/// The value of [`HIVES`].
///
/// # Errors
/// Those of [`call`].
pub(crate) fn hives(
    grouped: &Grouped,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    known(grouped, HIVES, at)?.value("id", settings, at)
}

fn known<'g>(grouped: &'g Grouped, name: &str, at: Location) -> Result<&'g GroupingId, JobError> {
    grouped.sets.as_ref().ok_or_else(|| {
        let message = format!("{name} can only be used with GROUPING SETS, ROLLUP or CUBE");
        JobError::new(at, message).help("without them every row has all keys: leave it out")
    })
}

/// Whether a call is one of them.
pub(crate) fn is_one(function: &Function, scope: &Scope) -> bool {
    let name = function.name.to_string().to_ascii_lowercase();
    matches!(name.as_str(), "grouping" | "grouping_id") && !scope.macros.contains_key(&name)
}

/// The value of a call.
///
/// # Errors
/// Where there is one set only, and where what it names are not the keys.
pub(crate) fn call(
    grouped: &Grouped,
    function: &Function,
    settings: Settings,
    at: Location,
) -> Result<Typed, JobError> {
    let name = function.name.to_string().to_ascii_lowercase();
    let sets = known(grouped, &format!("{name}()"), at)?;
    let forms = &sets.forms;
    let mut given = Vec::new();
    if let FunctionArguments::List(list) = &function.args {
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    given.push(normal(expr, &grouped.input));
                }
                other => {
                    let message = format!("{name}: expected a key, got `{other}`");
                    return Err(JobError::new(at, message));
                }
            }
        }
    }
    if name == "grouping_id" {
        if !given.is_empty() && given != *forms {
            return Err(JobError::new(
                at,
                "the columns of grouping_id are not those of the GROUP BY in their order",
            )
            .help("write grouping_id() for all of them, or grouping(key) for one"));
        }
        return sets.value("id", settings, at);
    }
    let key = match &given[..] {
        [Some(one)] => forms.iter().position(|form| form.as_ref() == Some(one)),
        _ => None,
    };
    let Some(key) = key else {
        return Err(JobError::new(at, "grouping takes one key of the GROUP BY")
            .help("grouping(key) is 1 where the row's grouping set has not the key, else 0"));
    };
    let shift = forms.len() - 1 - key;
    sets.value(
        &format!("CAST(shiftright(id, {shift}) & 1 AS TINYINT)"),
        settings,
        at,
    )
}
