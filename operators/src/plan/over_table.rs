//! OVER the rows of a static table: all are there, so they are sorted first, whatever the ORDER BY, and then counted.

use smol_str::SmolStr;
use sqlparser::ast::{Function as Written, WindowSpec};
use thalweg_engine::schema::DataType;

use crate::expr::check::check;
use crate::job_error::{JobError, Location};
use crate::plan::names;
use crate::plan::node::Node;
use crate::plan::order::{Sort, SortKey};
use crate::plan::over_frame;
use crate::plan::over_select::Gathered;
use crate::plan::tail;
use crate::sql::cursor::start_of;

/// Refuses functions that need more than the rows before, and row_number without an order, as Spark does.
pub(super) fn refuse(function: &Written, spec: &WindowSpec, at: Location) -> Result<(), JobError> {
    let name = function.name.to_string().to_lowercase();
    if !matches!(name.as_str(), "row_number" | "lag") {
        return Err(JobError::new(
            at,
            format!(
                "`{name}` over the rows of a static table: only row_number and lag are answered"
            ),
        )
        .help("group the table in a subquery and join that, or write the result into its file"));
    }
    if spec.order_by.is_empty() {
        return Err(JobError::new(
            at,
            format!("window function {name}() requires window to be ordered"),
        )
        .help("write OVER (PARTITION BY ... ORDER BY ...)"));
    }
    Ok(())
}

/// What the rows of a window are sorted by: its keys, then its ORDER BY.
pub(super) fn order(
    gathered: &mut Gathered<'_>,
    keys: &[usize],
    spec: &WindowSpec,
    at: Location,
) -> Result<Vec<SortKey>, JobError> {
    let ascending = |place: &usize| SortKey {
        place: *place,
        descending: false,
        nulls_first: true,
    };
    let mut sort: Vec<SortKey> = keys.iter().map(ascending).collect();
    for one in &spec.order_by {
        let at = start_of(&one.expr, at);
        let typed = check(&one.expr, &gathered.scope)?;
        if matches!(typed.data_type, DataType::Map(_)) {
            let message = format!(
                "`{}` is a {}, which has no order",
                one.expr, typed.data_type
            );
            return Err(JobError::new(at, message));
        }
        over_frame::deterministic(&typed, &one.expr, at)?;
        let text = names::identity(&one.expr, &gathered.scope);
        sort.push(tail::key(gathered.place(typed, &text), &one.options));
    }
    Ok(sort)
}

/// An ORDER BY as it is written.
pub(super) fn shown(spec: &WindowSpec) -> Option<SmolStr> {
    let all: Vec<String> = spec.order_by.iter().map(ToString::to_string).collect();
    (!all.is_empty()).then(|| SmolStr::new(all.join(", ")))
}

/// The rows in order, where there is one.
pub(super) fn sorted(below: Node, keys: Vec<SortKey>, at: Location) -> Node {
    if keys.is_empty() {
        return below;
    }
    Node::Sort {
        below: Box::new(below),
        sort: Sort {
            keys,
            limit: None,
            at,
        },
    }
}
