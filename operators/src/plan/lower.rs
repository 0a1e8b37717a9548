//! From the parser's query to a plan: FROM, WHERE, UNION ALL, WITH, views; what needs state is refused at its place.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use chrono_tz::Tz;
use smol_str::SmolStr;
use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, ObjectName, OrderByKind, Query, Select, SetExpr,
    SetOperator, SetQuantifier, TableAlias, TableFactor, TableWithJoins,
};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::check::check;
use crate::expr::coerce::{self, cast_implicitly};
use crate::expr::scope::{Macro, Scope, ScopeColumn};
use crate::expr::typed::{Kind, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::node::{Declared, Item, Node};
use crate::plan::select;
use crate::sql::front::{Name, ParsedQuery, ident_at, start_of};
use crate::sql::watermark::{self, Watermark};

/// How deep views and subqueries may stand in each other.
const VIEWS_MAX: usize = 64;
/// How many steps a query may have.
const STEPS_MAX: usize = 2_000;

/// A view as it was declared.
pub(crate) struct View {
    pub(crate) name: Name,
    pub(crate) columns: Vec<Name>,
    pub(crate) query: ParsedQuery,
}

/// What the names of a job mean.
#[derive(Default)]
pub(crate) struct Catalog {
    pub(crate) tables: Vec<Arc<Declared>>,
    pub(crate) views: Vec<View>,
    pub(crate) macros: HashMap<String, Arc<Macro>>,
}

impl Catalog {
    pub(crate) fn table(&self, name: &str) -> Option<&Arc<Declared>> {
        self.tables
            .iter()
            .find(|declared| declared.table.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn view(&self, name: &str) -> Option<&View> {
        self.views
            .iter()
            .find(|view| view.name.text.eq_ignore_ascii_case(name))
    }
}

/// A plan so far, and how its columns are called.
pub(crate) struct Relation {
    pub(crate) node: Node,
    pub(crate) columns: Vec<ScopeColumn>,
}

/// The tables of WITH that are in sight, the innermost last.
#[derive(Clone, Copy)]
struct Ctes<'a> {
    around: Option<&'a Ctes<'a>>,
    cte: Option<(&'a sqlparser::ast::Cte, &'a ParsedQuery)>,
}

/// Lowers the queries of a job under the settings of one query.
pub(crate) struct Lowering<'c> {
    pub(crate) catalog: &'c Catalog,
    pub(crate) ansi: bool,
    pub(crate) zone: Tz,
    depth: Cell<usize>,
}

impl<'c> Lowering<'c> {
    pub(crate) fn new(catalog: &'c Catalog, ansi: bool, zone: Tz) -> Self {
        Self {
            catalog,
            ansi,
            zone,
            depth: Cell::new(0),
        }
    }

    /// Lowers a whole query.
    pub(crate) fn query(&self, parsed: &ParsedQuery) -> Result<Relation, JobError> {
        let relation = self.subquery(
            &parsed.query,
            parsed,
            Ctes {
                around: None,
                cte: None,
            },
            parsed.at,
        )?;
        if relation.node.steps() > STEPS_MAX {
            return Err(JobError::new(
                parsed.at,
                format!(
                    "the query has more than {STEPS_MAX} steps, its views counted each time they are used"
                ),
            ));
        }
        Ok(relation)
    }

    /// The settings that expressions depend on.
    pub(crate) fn settings(&self) -> coerce::Settings {
        coerce::Settings {
            ansi: self.ansi,
            zone: self.zone,
        }
    }

    /// A scope of these columns.
    pub(crate) fn scope(&self, columns: Vec<ScopeColumn>) -> Scope {
        Scope {
            columns,
            macros: self.catalog.macros.clone(),
            ansi: self.ansi,
            time_zone: self.zone,
            ..Scope::default()
        }
    }

    fn enter<T>(
        &self,
        at: Location,
        work: impl FnOnce() -> Result<T, JobError>,
    ) -> Result<T, JobError> {
        let depth = self.depth.get();
        if depth >= VIEWS_MAX {
            return Err(JobError::new(
                at,
                format!("views and subqueries stand in each other more than {VIEWS_MAX} deep"),
            )
            .help("does a view use itself?"));
        }
        self.depth.set(depth + 1);
        let result = work();
        self.depth.set(depth);
        result
    }

    fn subquery(
        &self,
        query: &Query,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        self.enter(at, || {
            refuse_clauses(query, at)?;
            let tables = query
                .with
                .as_ref()
                .map_or(&[][..], |with| with.cte_tables.as_slice());
            if query.with.as_ref().is_some_and(|with| with.recursive) {
                return Err(JobError::new(
                    at,
                    "WITH RECURSIVE has no meaning on a stream",
                ));
            }
            let relation = self.with(tables, query, parsed, ctes, at)?;
            match query.locks.iter().find_map(watermark::of_lock) {
                Some(index) => match parsed.watermarks.get(index) {
                    Some(clause) => self.event_time(relation, clause, None),
                    None => Ok(relation),
                },
                None => Ok(relation),
            }
        })
    }

    fn with(
        &self,
        tables: &[sqlparser::ast::Cte],
        query: &Query,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        match tables {
            [] => self.body(&query.body, parsed, ctes, at),
            [cte, rest @ ..] => {
                let name = &cte.alias.name;
                if rest
                    .iter()
                    .any(|other| other.alias.name.value.eq_ignore_ascii_case(&name.value))
                {
                    return Err(JobError::new(
                        ident_at(name, at),
                        format!("WITH names `{}` twice", name.value),
                    ));
                }
                // Checked where it stands, also when nobody uses it.
                self.subquery(&cte.query, parsed, ctes, ident_at(name, at))?;
                let inner = Ctes {
                    around: Some(&ctes),
                    cte: Some((cte, parsed)),
                };
                self.with(rest, query, parsed, inner, at)
            }
        }
    }

    fn body(
        &self,
        body: &SetExpr,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        match body {
            SetExpr::Select(select) => self.enter(at, || self.select(select, parsed, ctes, at)),
            SetExpr::Query(query) => self.subquery(query, parsed, ctes, at),
            SetExpr::SetOperation {
                op, set_quantifier, ..
            } => {
                let at = start_of(body, at);
                match (op, set_quantifier) {
                    (SetOperator::Union, SetQuantifier::All) => {}
                    (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => {
                        return Err(needs_state(at, "UNION without ALL drops duplicates, which")
                            .help("write UNION ALL"));
                    }
                    (SetOperator::Union, _) => {
                        return Err(
                            JobError::new(at, "UNION BY NAME is not part of the language")
                                .help("write UNION ALL with the columns in one order"),
                        );
                    }
                    _ => return Err(needs_state(at, &format!("{op}"))),
                }
                let mut sides = Vec::new();
                self.sides(body, parsed, ctes, at, &mut sides)?;
                self.union(sides)
            }
            SetExpr::Values(_) => Err(JobError::new(
                at,
                "VALUES is no stream: a query reads at least one input table",
            )),
            _ => Err(JobError::new(start_of(body, at), "expected a SELECT")),
        }
    }

    /// The sides of a chain of UNION ALL, from left to right.
    fn sides(
        &self,
        body: &SetExpr,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
        sides: &mut Vec<(Relation, Location)>,
    ) -> Result<(), JobError> {
        let mut chain = Vec::new();
        let mut left = body;
        while let SetExpr::SetOperation {
            op: SetOperator::Union,
            set_quantifier: SetQuantifier::All,
            left: next,
            right,
        } = left
        {
            chain.push(right);
            left = next;
        }
        let mut one = |side: &SetExpr| -> Result<(), JobError> {
            let at = start_of(side, at);
            sides.push((self.body(side, parsed, ctes, at)?, at));
            Ok(())
        };
        one(left)?;
        chain.into_iter().rev().try_for_each(|side| one(side))
    }

    /// UNION ALL: columns by position, each cast to the type that all sides have in common.
    fn union(&self, sides: Vec<(Relation, Location)>) -> Result<Relation, JobError> {
        let mut fields: Vec<Field> = Vec::new();
        for (number, (side, at)) in sides.iter().enumerate() {
            let these = side.node.fields();
            if number == 0 {
                fields = these;
                continue;
            }
            if these.len() != fields.len() {
                return Err(JobError::new(
                    *at,
                    format!(
                        "UNION ALL needs equal numbers of columns: {} before, {} here",
                        fields.len(),
                        these.len()
                    ),
                ));
            }
            for (common, field) in fields.iter_mut().zip(these) {
                let Some(wider) = coerce::wider(&common.data_type, &field.data_type, self.ansi)
                else {
                    return Err(JobError::new(
                        *at,
                        format!(
                            "column `{}` of UNION ALL is {} before and {} here",
                            common.name, common.data_type, field.data_type
                        ),
                    )
                    .help("cast one of them"));
                };
                common.data_type = wider;
                common.nullable |= field.nullable;
            }
        }
        let below = sides
            .into_iter()
            .map(|(side, at)| {
                let own = side.node.fields();
                let items = own
                    .iter()
                    .enumerate()
                    .zip(&fields)
                    .map(|((index, from), to)| Item {
                        field: to.clone(),
                        typed: cast_implicitly(
                            Typed::column(index, from, at),
                            &to.data_type,
                            self.settings(),
                        ),
                        required: false,
                    });
                Node::Project {
                    items: items.collect(),
                    below: Box::new(side.node),
                }
            })
            .collect();
        Ok(Relation {
            columns: named(&fields, None),
            node: Node::Union { below },
        })
    }

    fn select(
        &self,
        select: &Select,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let at = start_of_select(select, at);
        refuse_select(select, at)?;
        let [from] = select.from.as_slice() else {
            return Err(match select.from.get(1) {
                Some(second) => needs_state(start_of(second, at), "a join"),
                None => JobError::new(
                    at,
                    "the SELECT has no FROM: a query reads at least one input table",
                ),
            });
        };
        let mut relation = self.from(from, parsed, ctes, at)?;
        for view in &select.lateral_views {
            relation = select::lateral_view(self, relation, view, at)?;
        }
        if let Some(condition) = &select.selection {
            let typed = check(condition, &self.scope(relation.columns.clone()))?;
            let typed = self.condition(typed)?;
            relation.node = Node::Filter {
                below: Box::new(relation.node),
                conditions: vec![typed],
            };
        }
        select::items(self, relation, &select.projection, at)
    }

    fn condition(&self, typed: Typed) -> Result<Typed, JobError> {
        match typed.data_type {
            DataType::Boolean => Ok(typed),
            DataType::Void => Ok(cast_implicitly(typed, &DataType::Boolean, self.settings())),
            _ => Err(JobError::new(
                typed.at,
                format!("WHERE takes a BOOLEAN, not {}", typed.data_type),
            )),
        }
    }

    fn from(
        &self,
        from: &TableWithJoins,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        if let Some(join) = from.joins.first() {
            return Err(needs_state(start_of(&join.relation, at), "a join"));
        }
        let at = start_of(&from.relation, at);
        match &from.relation {
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
                    return Err(JobError::new(
                        at,
                        format!(
                            "`{name}(...)` in FROM is not supported: FROM takes a table, a view or a subquery"
                        ),
                    ));
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
            TableFactor::Derived { lateral: true, .. } => {
                Err(JobError::new(at, "LATERAL subqueries are not supported")
                    .help("write LATERAL VIEW explode(...)"))
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
            return Err(
                JobError::new(at, format!("`{name}`: a table's name has one part")).help(
                    "there are no catalogs and schemas: all names of a job stand in its file",
                ),
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
        Err(
            JobError::new(at, format!("unknown table or view `{given}`"))
                .nearest(&given, known.chain(views)),
        )
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
        let Some(input) = declared.connector.input else {
            return Err(JobError::new(
                at,
                format!(
                    "table `{}` cannot be read: connector {} is an output",
                    table.name, table.connector
                ),
            ));
        };
        if !table.primary_key.is_empty() {
            return Err(needs_state(
                table.at,
                &format!("the keyed table `{}` (PRIMARY KEY)", table.name),
            ));
        }
        let schema = (input.columns)(table)?;
        let metadata = (input.metadata)(table);
        let mut columns = named(&schema.fields, None);
        columns.extend(metadata.iter().map(|field| ScopeColumn {
            qualifier: None,
            field: field.clone(),
            metadata: true,
        }));
        let node = Node::Source {
            input: declared.clone(),
            columns: schema.fields.iter().cloned().enumerate().collect(),
            metadata: metadata.into_iter().enumerate().collect(),
            at,
        };
        let relation = Relation { node, columns };
        match &declared.watermark {
            Some(clause) => self.event_time(relation, clause, Some(&table.name)),
            None => Ok(relation),
        }
    }

    /// Gives a relation its name and, with WATERMARK, its event time.
    fn alias(
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

    fn event_time(
        &self,
        mut relation: Relation,
        clause: &Watermark,
        qualifier: Option<&str>,
    ) -> Result<Relation, JobError> {
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
            _ => {
                return Err(JobError::new(
                    delay.at,
                    "DELAY OF takes an interval of days to seconds, not negative",
                )
                .help("write DELAY OF INTERVAL 10 MINUTES"));
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
                .any(|c| !c.metadata && c.field.name.eq_ignore_ascii_case(&field.name))
            {
                return Err(JobError::new(
                    name.at,
                    format!("there is a column `{}` already", field.name),
                ));
            }
            relation.columns.push(ScopeColumn {
                qualifier: None,
                field: field.clone(),
                metadata: false,
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

/// What every clause without state yet says.
pub(crate) fn needs_state(at: Location, what: &str) -> JobError {
    JobError::new(
        at,
        format!("{what} needs state, which this version does not have yet"),
    )
}

/// Columns of one table or subquery.
pub(crate) fn named(fields: &[Field], qualifier: Option<&SmolStr>) -> Vec<ScopeColumn> {
    fields
        .iter()
        .map(|field| ScopeColumn {
            qualifier: qualifier.cloned(),
            field: field.clone(),
            metadata: false,
        })
        .collect()
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
fn rename(relation: &mut Relation, names: &[Name], at: Location) -> Result<(), JobError> {
    if names.is_empty() {
        return Ok(());
    }
    let shown: Vec<usize> = (0..relation.columns.len())
        .filter(|i| !relation.columns[*i].metadata)
        .collect();
    if shown.len() != names.len() {
        return Err(JobError::new(
            at,
            format!("{} names for {} columns", names.len(), shown.len()),
        ));
    }
    for (place, name) in shown.into_iter().zip(names) {
        relation.columns[place].field.name = name.text.as_str().into();
    }
    Ok(())
}

fn start_of_select(select: &Select, otherwise: Location) -> Location {
    let start = select.select_token.0.span.start;
    if start.line == 0 {
        otherwise
    } else {
        crate::sql::tokens::place(start)
    }
}

fn refuse_clauses(query: &Query, at: Location) -> Result<(), JobError> {
    if let Some(order) = &query.order_by {
        let at = match &order.kind {
            OrderByKind::Expressions(all) => all.first().map_or(at, |one| start_of(one, at)),
            OrderByKind::All(_) => at,
        };
        return Err(JobError::new(
            at,
            "Sorting is not supported on streaming DataFrames/Datasets, unless it is on aggregated DataFrame/Dataset in Complete output mode",
        )
        .help("a stream has no end that a sort could wait for; remove ORDER BY"));
    }
    if let Some(limit) = &query.limit_clause {
        let expr = match limit {
            LimitClause::LimitOffset { limit, .. } => limit.as_ref(),
            LimitClause::OffsetCommaLimit { limit, .. } => Some(limit),
        };
        return Err(needs_state(
            expr.map_or(at, |expr: &Expr| start_of(expr, at)),
            "LIMIT",
        ));
    }
    if query.fetch.is_some() {
        return Err(needs_state(at, "FETCH"));
    }
    if query
        .locks
        .iter()
        .any(|lock| watermark::of_lock(lock).is_none())
    {
        return Err(JobError::new(
            at,
            "FOR UPDATE and FOR SHARE have no meaning on a stream",
        ));
    }
    if query.for_clause.is_some()
        || query.settings.is_some()
        || query.format_clause.is_some()
        || !query.pipe_operators.is_empty()
    {
        return Err(JobError::new(
            at,
            "a clause after this SELECT is not part of the language",
        ));
    }
    Ok(())
}

fn refuse_select(select: &Select, at: Location) -> Result<(), JobError> {
    let first = |all: &[Expr]| all.first().map(|expr| start_of(expr, at));
    match &select.distinct {
        Some(Distinct::Distinct | Distinct::On(_)) => {
            return Err(needs_state(at, "SELECT DISTINCT"));
        }
        Some(Distinct::All) | None => {}
    }
    match &select.group_by {
        GroupByExpr::All(_) => return Err(needs_state(at, "GROUP BY")),
        GroupByExpr::Expressions(all, _) => {
            if let Some(at) = first(all) {
                return Err(needs_state(at, "GROUP BY"));
            }
        }
    }
    if let Some(having) = &select.having {
        return Err(needs_state(start_of(having, at), "HAVING"));
    }
    if let Some(window) = select.named_window.first() {
        return Err(needs_state(ident_at(&window.0, at), "WINDOW"));
    }
    if let Some(qualify) = &select.qualify {
        return Err(needs_state(start_of(qualify, at), "QUALIFY"));
    }
    let sorted = !select.sort_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty();
    if sorted {
        return Err(JobError::new(
            at,
            "SORT BY, CLUSTER BY and DISTRIBUTE BY have no meaning on a stream: rows are processed one by one",
        ));
    }
    let foreign = select.top.is_some()
        || select.into.is_some()
        || select.prewhere.is_some()
        || select.exclude.is_some()
        || select.value_table_mode.is_some()
        || select.select_modifiers.is_some()
        || !select.connect_by.is_empty()
        || !select.optimizer_hints.is_empty();
    if foreign {
        return Err(
            JobError::new(at, "a clause of this SELECT is not part of the language")
                .help("a SELECT has columns, FROM, LATERAL VIEW and WHERE"),
        );
    }
    Ok(())
}
