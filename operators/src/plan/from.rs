//! FROM: tables, views, WITH, subqueries, and their event time.

use std::ops::ControlFlow;
use std::sync::Arc;

use smol_str::SmolStr;
use sqlparser::ast::{
    Expr, JoinConstraint, JoinOperator, ObjectName, Select, TableAlias, TableFactor,
    TableWithJoins, visit_expressions,
};
use thalweg_engine::counted::counted;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::calendar::MICROS_PER_DAY;
use crate::expr::check::check;
use crate::expr::scope::{Access, ScopeColumn};
use crate::expr::typed::Kind;
use crate::job_error::{JobError, Location};
use crate::plan::lateral_subquery::is_lateral;
use crate::plan::lower::{Ctes, Lowering, Relation, View, named};
use crate::plan::node::{Declared, Node};
use crate::plan::static_side::still;
use crate::plan::values::one_row;
use crate::plan::{generator, lateral};
use crate::sql::cursor::{ident_at, start_of};
use crate::sql::front::{Name, ParsedQuery};
use crate::sql::spark_calls;
use crate::sql::watermark::{self, Watermark};

/// How many LATERAL VIEWs a SELECT may have.
const LATERAL_VIEWS_MAX: usize = 50;

impl Lowering<'_> {
    /// The tables of a SELECT, joined, with the LATERAL VIEWs behind them; one row without columns where it has no FROM.
    pub(super) fn tables(
        &self,
        select: &Select,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let Some((first, others)) = select.from.split_first() else {
            self.scan(at)?;
            return Ok(Relation {
                node: one_row(at),
                columns: Vec::new(),
            });
        };
        let mut relation = self.from(first, parsed, ctes, at)?;
        // From left to right, as in Spark: a comma binds as JOIN does, so that `a, b JOIN c ON ...` may name columns of `a`.
        for other in others {
            let at = start_of(other, at);
            let factor = &other.relation;
            relation = if let Some(view) = lateral::view(factor, false) {
                generator::lateral_view(self, relation, &view, at)?
            } else if is_lateral(factor) {
                self.lateral_subquery(relation, factor, false, parsed, ctes, at)?
            } else if let Some(right) = self.apart(&relation, other, parsed, ctes, at) {
                relation = self.comma(relation, right, at);
                continue;
            } else {
                let right = self.factor(factor, parsed, ctes, at)?;
                self.comma(relation, right, at)
            };
            for join in &other.joins {
                relation = self.join(relation, join, parsed, ctes, at)?;
            }
        }
        if let Some(view) = select.lateral_views.get(LATERAL_VIEWS_MAX) {
            let at = start_of(&view.lateral_view, at);
            let message = format!("more than {LATERAL_VIEWS_MAX} LATERAL VIEWs in one SELECT");
            return Err(JobError::new(at, message));
        }
        for view in &select.lateral_views {
            relation = generator::lateral_view(self, relation, view, at)?;
        }
        Ok(relation)
    }

    /// What stands behind a comma with joins that name nothing before it and keep each of its rows that fits: it is the same
    /// whichever comes first, and streams that are joined so have their equality.
    fn apart(
        &self,
        before: &Relation,
        from: &TableWithJoins,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Option<Relation> {
        use JoinOperator as Op;
        let of_before = |part: &Expr| match part {
            Expr::CompoundIdentifier(names) => before.columns.iter().any(|column| {
                let table = column.qualifier.as_deref();
                table.is_some_and(|table| table.eq_ignore_ascii_case(&names[0].value))
            }),
            _ => false,
        };
        let names_before = |on: &Expr| {
            visit_expressions(on, |part| match of_before(part) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
            .is_break()
        };
        let by_itself = |operator: &Op| match operator {
            Op::Join(constraint)
            | Op::Inner(constraint)
            | Op::CrossJoin(constraint)
            | Op::Left(constraint)
            | Op::LeftOuter(constraint)
            | Op::Semi(constraint)
            | Op::LeftSemi(constraint)
            | Op::Anti(constraint)
            | Op::LeftAnti(constraint) => match constraint {
                JoinConstraint::On(on) => !names_before(on),
                JoinConstraint::None => true,
                _ => false,
            },
            _ => false,
        };
        let mut joins = from.joins.iter();
        let apart = !from.joins.is_empty() && joins.all(|join| by_itself(&join.join_operator));
        apart.then(|| self.from(from, parsed, ctes, at).ok())?
    }

    pub(super) fn from(
        &self,
        from: &TableWithJoins,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let mut relation = self.factor(&from.relation, parsed, ctes, at)?;
        for join in &from.joins {
            relation = self.join(relation, join, parsed, ctes, at)?;
        }
        Ok(relation)
    }

    /// One table, view or subquery.
    pub(super) fn factor(
        &self,
        factor: &TableFactor,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let at = start_of(factor, at);
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                if args.is_some() {
                    let last = name.0.last().and_then(|part| part.as_ident());
                    return Err(JobError::new(
                        at,
                        format!(
                            "`{name}(...)` in FROM is not supported: FROM takes a table, a view or a subquery"
                        ),
                    )
                    .or_help(last.and_then(|last| spark_calls::function(&last.value))));
                }
                if version.is_some()
                    || *with_ordinality
                    || json_path.is_some()
                    || !(with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty())
                {
                    return Err(JobError::new(
                        at,
                        "a table in FROM takes an alias and a WATERMARK only",
                    ));
                }
                let clause = match sample {
                    Some(sample) => {
                        match watermark::of_sample(sample).and_then(|i| parsed.watermarks.get(i)) {
                            Some(clause) => Some(clause),
                            None => {
                                return Err(JobError::new(
                                    at,
                                    "TABLESAMPLE is not supported on a stream",
                                )
                                .help("write WHERE rand() < 0.1"));
                            }
                        }
                    }
                    None => None,
                };
                let relation = self.named_input(name, ctes, at)?;
                self.alias(relation, alias.as_ref(), Some(last(name)), clause, at)
            }
            TableFactor::Derived {
                lateral: false,
                subquery,
                alias,
                sample: None,
            } => {
                let relation = self.subquery(subquery, parsed, ctes, at)?;
                self.alias(relation, alias.as_ref(), None, None, at)
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => self.enter(at, || self.from(table_with_joins, parsed, ctes, at)),
            TableFactor::Derived { lateral: true, .. } => Err(JobError::new(
                at,
                "LATERAL stands behind the table whose rows it computes of",
            )
            .help("write FROM t, LATERAL (SELECT t.a + t.b AS c)")),
            TableFactor::Pivot { .. } => Err(JobError::new(
                at,
                "PIVOT is not part of the language: its columns are aggregates of a part of the rows",
            )
            .help("write sum(x) FILTER (WHERE kind = 'a') AS a, ... with GROUP BY")),
            TableFactor::Unpivot { .. } => {
                self.enter(at, || self.unpivot(factor, parsed, ctes, at))
            }
            other => Err(JobError::new(
                at,
                format!(
                    "`{other}` in FROM is not supported: FROM takes a table, a view or a subquery"
                ),
            )),
        }
    }

    fn named_input(
        &self,
        name: &ObjectName,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let [part] = name.0.as_slice() else {
            let first = name.0.first().and_then(|part| part.as_ident());
            return Err(
                JobError::new(at, format!("`{name}`: a table's name has one part"))
                    .or_help(first.and_then(|first| spark_calls::qualifier(&first.value)))
                    .or_help(Some(
                        "there are no catalogs and schemas: all names of a job stand in its file",
                    )),
            );
        };
        let given = part
            .as_ident()
            .map_or_else(|| part.to_string(), |ident| ident.value.clone());
        let mut scope = Some(&ctes);
        while let Some(here) = scope {
            if let Some((cte, parsed)) = here.cte
                && cte.alias.name.value.eq_ignore_ascii_case(&given)
            {
                // A table of WITH sees those before it, not itself.
                let outer = here.around.copied().unwrap_or(Ctes {
                    around: None,
                    cte: None,
                });
                let mut relation = self.subquery(&cte.query, parsed, outer, at)?;
                rename(&mut relation, &columns_of(Some(&cte.alias)), at)?;
                return Ok(relation);
            }
            scope = here.around;
        }
        if let Some(view) = self.catalog.view(&given) {
            return self.view(view, at);
        }
        if let Some(declared) = self.catalog.table(&given) {
            return self.table(declared, at);
        }
        let known = self.catalog.tables.iter().map(|t| t.table.name.as_str());
        let views = self
            .catalog
            .views
            .iter()
            .map(|view| view.name.text.as_str());
        Err(unknown_table(
            JobError::new(at, format!("unknown table or view `{given}`")),
            &given,
            &known.chain(views).collect::<Vec<_>>(),
        ))
    }

    /// The rows of a view.
    pub(crate) fn view(&self, view: &View, at: Location) -> Result<Relation, JobError> {
        let mut relation = self.enter(at, || {
            self.subquery(
                &view.query.query,
                &view.query,
                Ctes {
                    around: None,
                    cte: None,
                },
                view.query.at,
            )
        })?;
        rename(&mut relation, &view.columns, view.name.at)?;
        Ok(relation)
    }

    fn table(&self, declared: &Arc<Declared>, at: Location) -> Result<Relation, JobError> {
        let table = &declared.table;
        self.scan(at)?;
        let Some(input) = declared.connector.input else {
            return Err(JobError::new(
                at,
                format!(
                    "table `{}` cannot be read: connector {} is an output",
                    table.name, table.connector
                ),
            ));
        };
        let schema = (input.columns)(table)?;
        let metadata = (input.metadata)(table);
        let mut columns = named(&schema.fields, None);
        columns.extend(metadata.iter().map(|field| ScopeColumn {
            qualifier: None,
            field: field.clone(),
            access: Access::Metadata,
        }));
        let node = Node::Source {
            input: declared.clone(),
            columns: schema.fields.iter().cloned().enumerate().collect(),
            metadata: (schema.fields.len()..).zip(metadata).collect(),
        };
        let relation = Relation { node, columns };
        match &declared.watermark {
            Some(clause) => self.event_time(relation, clause, Some(&table.name)),
            None => Ok(relation),
        }
    }

    /// Gives a relation its name and, with WATERMARK, its event time.
    pub(super) fn alias(
        &self,
        mut relation: Relation,
        alias: Option<&TableAlias>,
        name: Option<String>,
        clause: Option<&Watermark>,
        at: Location,
    ) -> Result<Relation, JobError> {
        if let Some(clause) = clause {
            relation = self.event_time(relation, clause, name.as_deref())?;
        }
        rename(&mut relation, &columns_of(alias), at)?;
        let qualifier = alias
            .map(|alias| alias.name.value.clone())
            .or(name)
            .map(SmolStr::new);
        for column in &mut relation.columns {
            column.qualifier.clone_from(&qualifier);
        }
        Ok(relation)
    }

    pub(super) fn event_time(
        &self,
        mut relation: Relation,
        clause: &Watermark,
        qualifier: Option<&str>,
    ) -> Result<Relation, JobError> {
        if let Some(table) = still(&relation.node) {
            let message = format!("`{}` is static, and has no WATERMARK", table.table.name);
            return Err(JobError::new(clause.at, message)
                .help("its rows are all there at any time: only a stream has event times"));
        }
        let mut columns = relation.columns.clone();
        for column in &mut columns {
            column.qualifier = qualifier.map(SmolStr::new);
        }
        let scope = self.scope(columns);
        let time = check(&clause.expr, &scope)?;
        if !matches!(time.data_type, DataType::Timestamp | DataType::TimestampNtz) {
            return Err(JobError::new(
                clause.at,
                format!("WATERMARK takes a TIMESTAMP, not {}", time.data_type),
            )
            .help(
                "for milliseconds write timestamp_millis(column), for text to_timestamp(column)",
            ));
        }
        let delay = check(&clause.delay, &scope)?;
        let delay = match delay.constant() {
            Some(Value::DayTimeInterval(micros)) if *micros >= 0 => *micros,
            // A month is the longest there is, as to Spark: a later row may still come.
            Some(Value::YearMonthInterval(months)) if *months >= 0 => {
                i64::from(*months).saturating_mul(31 * MICROS_PER_DAY)
            }
            _ => {
                return Err(
                    JobError::new(delay.at, "DELAY OF takes an interval, not negative")
                        .help("write DELAY OF INTERVAL 10 MINUTES"),
                );
            }
        };
        let column = match (&clause.column, &time.kind) {
            (Some(name), _) => Some(Field {
                name: name.text.as_str().into(),
                data_type: time.data_type.clone(),
                nullable: time.nullable,
            }),
            (None, Kind::Column { .. }) => None,
            (None, _) => {
                return Err(JobError::new(clause.at, "the event time needs a name")
                    .help("write WATERMARK expression AS name DELAY OF ..."));
            }
        };
        if let (Some(field), Some(name)) = (&column, &clause.column) {
            if relation
                .columns
                .iter()
                .any(|c| c.listed() && c.field.name.eq_ignore_ascii_case(&field.name))
            {
                return Err(JobError::new(
                    name.at,
                    format!("there is a column `{}` already", field.name),
                ));
            }
            relation.columns.push(ScopeColumn {
                qualifier: None,
                field: field.clone(),
                access: Access::Listed,
            });
        }
        relation.node = Node::EventTime {
            below: Box::new(relation.node),
            time,
            column,
            delay,
        };
        Ok(relation)
    }
}

/// An error about an unknown table, with the nearest of the declared names, or all of them.
pub(crate) fn unknown_table(error: JobError, given: &str, declared: &[&str]) -> JobError {
    let all = (!declared.is_empty()).then(|| format!("declared are {}", declared.join(", ")));
    error
        .or_help(spark_calls::table(given))
        .nearest(given, declared.iter().copied())
        .or_help(all)
}

fn last(name: &ObjectName) -> String {
    name.0
        .last()
        .and_then(|part| part.as_ident())
        .map_or_else(|| name.to_string(), |ident| ident.value.clone())
}

fn columns_of(alias: Option<&TableAlias>) -> Vec<Name> {
    alias.map_or_else(Vec::new, |alias| {
        alias
            .columns
            .iter()
            .map(|column| Name {
                text: column.name.value.clone(),
                at: ident_at(&column.name, Location::default()),
            })
            .collect()
    })
}

/// Gives the columns other names, where a list of them is given.
pub(super) fn rename(
    relation: &mut Relation,
    names: &[Name],
    at: Location,
) -> Result<(), JobError> {
    if names.is_empty() {
        return Ok(());
    }
    let shown: Vec<usize> = (0..relation.columns.len())
        .filter(|i| relation.columns[*i].listed())
        .collect();
    if shown.len() != names.len() {
        return Err(JobError::new(
            at,
            format!(
                "{} for {}",
                counted(names.len(), "name"),
                counted(shown.len(), "column")
            ),
        ));
    }
    for (place, name) in shown.into_iter().zip(names) {
        relation.columns[place].field.name = name.text.as_str().into();
    }
    Ok(())
}
