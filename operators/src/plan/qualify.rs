//! `SELECT ... QUALIFY condition`: rows by what OVER has answered, as a condition over the SELECT as a subquery would choose them.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, Select, SelectItem, visit_expressions_mut};
use thalweg_engine::schema::DataType;

use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::lower::{Ctes, Lowering, Relation};
use crate::plan::node::Node;
use crate::plan::tail::Tail;
use crate::sql::cursor::start_of;
use crate::sql::front::ParsedQuery;

/// What the condition is called among the columns.
const HIDDEN: &str = "__qualify";

/// The condition with what its names of the SELECT's items stand for. There they come before columns of the same name, as in Spark.
fn in_full(condition: &Expr, items: &[SelectItem]) -> Expr {
    let mut condition = condition.clone();
    let _: ControlFlow<()> = visit_expressions_mut(&mut condition, |part| {
        if let Expr::Identifier(name) = part {
            let meant = items.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } => {
                    let same = alias.value.eq_ignore_ascii_case(&name.value);
                    same.then(|| Expr::Nested(Box::new(expr.clone())))
                }
                _ => None,
            });
            if let Some(meant) = meant {
                *part = meant;
            }
        }
        ControlFlow::Continue(())
    });
    condition
}

impl Lowering<'_> {
    /// The rows of a SELECT for which its QUALIFY holds.
    pub(super) fn qualified(
        &self,
        select: &Select,
        condition: &Expr,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let condition_at = start_of(condition, at);
        if select.distinct.is_some() {
            return Err(
                JobError::new(condition_at, "SELECT DISTINCT has no QUALIFY here")
                    .help("write SELECT DISTINCT over the SELECT with QUALIFY as a subquery"),
            );
        }
        let mut select = select.clone();
        select.qualify = None;
        select.projection.push(SelectItem::ExprWithAlias {
            expr: in_full(condition, &select.projection),
            alias: Ident::new(HIDDEN),
        });
        let mut relation = self.select(&select, &Tail::default(), parsed, ctes, at)?;
        let place = relation.columns.len() - 1;
        let field = relation.columns[place].field.clone();
        if field.data_type != DataType::Boolean {
            return Err(JobError::new(
                condition_at,
                format!("QUALIFY takes a BOOLEAN, this is {}", field.data_type),
            ));
        }
        let kept: Vec<usize> = (0..place).collect();
        let filtered = Node::Filter {
            below: Box::new(relation.node),
            conditions: vec![Typed::column(place, &field, condition_at)],
        };
        relation.columns.truncate(place);
        relation.node = Node::pick(filtered, &kept);
        Ok(relation)
    }
}
