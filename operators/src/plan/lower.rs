//! From the parser's query to a plan: FROM, WHERE, UNION ALL, WITH, views; what needs state is refused at its place.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;
use sqlparser::ast::{Expr, Query, Select, SetExpr, SetOperator, SetQuantifier};
use thalweg_engine::schema::{DataType, Field};

use crate::expr::calendar::Zone;
use crate::expr::check::check;
use crate::expr::coerce::{self, cast_implicitly};
use crate::expr::joined;
use crate::expr::scope::{Access, Macro, Scope, ScopeColumn};
use crate::expr::typed::Typed;
use crate::extensions::Extensions;
use crate::job_error::{JobError, Location};
use crate::models::{Deadline, Model, Models};
use crate::plan::node::{Declared, Item, Node};
use crate::plan::order::Dedup;
use crate::plan::refuse::{over_rows, refuse_clauses, refuse_select, start_of_select};
use crate::plan::tail::{self, Tail};
use crate::plan::{group_by, over_select, select, subqueries, window_rows};
use crate::sql::cursor::{ident_at, start_of};
use crate::sql::front::{Name, ParsedQuery};
use crate::sql::settings::Settings;
use crate::sql::watermark;

/// How deep views and subqueries may stand in each other.
const VIEWS_MAX: usize = 64;
/// How many steps a query may have.
const STEPS_MAX: usize = 2_000;
/// How often tables may be named, views counted each time they are used.
const SCANS_MAX: usize = 10_000;

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
    pub(crate) extensions: Arc<Extensions>,
    pub(crate) models: Vec<Arc<Model>>,
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
pub(super) struct Ctes<'a> {
    pub(super) around: Option<&'a Ctes<'a>>,
    pub(super) cte: Option<(&'a sqlparser::ast::Cte, &'a ParsedQuery)>,
}

/// Lowers the queries of a job under the settings of one query.
pub(crate) struct Lowering<'c> {
    pub(crate) catalog: &'c Catalog,
    pub(crate) ansi: bool,
    pub(crate) zone: Zone,
    /// `frameStep` in microseconds.
    pub(crate) frame_step: Option<i64>,
    /// The models of the job, and which of them the query has named.
    pub(crate) models: Models,
    depth: Cell<usize>,
    scans: Cell<usize>,
}

impl<'c> Lowering<'c> {
    pub(crate) fn new(catalog: &'c Catalog, ansi: bool, zone: Zone) -> Self {
        Self {
            catalog,
            ansi,
            zone,
            frame_step: None,
            models: Models {
                all: catalog.models.as_slice().into(),
                ..Models::default()
            },
            depth: Cell::new(0),
            scans: Cell::new(0),
        }
    }

    /// With a `frameStep`.
    pub(crate) fn with_frame_step(self, step: Option<Duration>) -> Self {
        let micros = step.map(|step| i64::try_from(step.as_micros()).unwrap_or(i64::MAX));
        Self {
            frame_step: micros.filter(|step| *step > 0),
            ..self
        }
    }

    /// With a deadline for what scores.
    pub(crate) fn with_deadline(mut self, settings: &Settings) -> Self {
        self.models.deadline = settings.deadline.map(|within| Deadline {
            within: i64::try_from(within.as_micros()).unwrap_or(i64::MAX),
            from_record: settings.deadline_from_record,
        });
        self
    }

    /// Lowers a whole query.
    pub(crate) fn query(&self, parsed: &ParsedQuery) -> Result<Relation, JobError> {
        if let SetExpr::Select(select) = parsed.query.body.as_ref()
            && select.from.is_empty()
        {
            return Err(JobError::new(
                start_of_select(select, parsed.at),
                "the SELECT has no FROM: a query reads at least one input table",
            ));
        }
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
            extensions: Arc::clone(&self.catalog.extensions),
            models: self.models.clone(),
            ansi: self.ansi,
            time_zone: self.zone,
            ..Scope::default()
        }
    }

    /// Counts a table that is named.
    pub(super) fn scan(&self, at: Location) -> Result<(), JobError> {
        self.scans.set(self.scans.get() + 1);
        if self.scans.get() > SCANS_MAX {
            let message = format!(
                "tables are named more than {SCANS_MAX} times, views counted each time they are used"
            );
            return Err(JobError::new(at, message));
        }
        Ok(())
    }

    pub(super) fn enter<T>(
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

    pub(super) fn subquery(
        &self,
        query: &Query,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        if let Some((name, at)) = &parsed.over_rows
            && !self.catalog.macros.contains_key(name)
            && !self.catalog.extensions.knows(name)
        {
            return Err(over_rows(name, *at));
        }
        self.enter(at, || {
            refuse_clauses(query, at)?;
            let relation = self.with(query, parsed, ctes, at, &|ctes| {
                self.body(&query.body, &Tail::of(query), parsed, ctes, at)
            })?;
            match query.locks.iter().find_map(watermark::of_lock) {
                Some(index) => match parsed.watermarks.get(index) {
                    Some(clause) => self.event_time(relation, clause, None),
                    None => Ok(relation),
                },
                None => Ok(relation),
            }
        })
    }

    /// What is read of a query, where the tables of its WITH are known.
    pub(super) fn with<T>(
        &self,
        query: &Query,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
        read: &dyn Fn(Ctes<'_>) -> Result<T, JobError>,
    ) -> Result<T, JobError> {
        let Some(with) = &query.with else {
            return read(ctes);
        };
        if with.recursive {
            return Err(JobError::new(
                at,
                "WITH RECURSIVE has no meaning on a stream",
            ));
        }
        self.behind(&with.cte_tables, parsed, ctes, read)
    }

    fn behind<T>(
        &self,
        tables: &[sqlparser::ast::Cte],
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        read: &dyn Fn(Ctes<'_>) -> Result<T, JobError>,
    ) -> Result<T, JobError> {
        let [cte, rest @ ..] = tables else {
            return read(ctes);
        };
        let name = &cte.alias.name;
        let at = ident_at(name, Location::default());
        if rest
            .iter()
            .any(|other| other.alias.name.value.eq_ignore_ascii_case(&name.value))
        {
            return Err(JobError::new(
                at,
                format!("WITH names `{}` twice", name.value),
            ));
        }
        // Checked where it stands, also when nobody uses it.
        self.subquery(&cte.query, parsed, ctes, at)?;
        let inner = Ctes {
            around: Some(&ctes),
            cte: Some((cte, parsed)),
        };
        self.behind(rest, parsed, inner, read)
    }

    fn body(
        &self,
        body: &SetExpr,
        tail: &Tail<'_>,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        match body {
            SetExpr::Select(select) => self.enter(at, || match &select.qualify {
                Some(condition) => {
                    let relation = self.qualified(select, condition, parsed, ctes, at)?;
                    tail::over(self, relation, tail, at)
                }
                None => self.select(select, tail, parsed, ctes, at),
            }),
            SetExpr::Query(query) => {
                let relation = self.subquery(query, parsed, ctes, at)?;
                tail::over(self, relation, tail, at)
            }
            SetExpr::SetOperation {
                op,
                set_quantifier,
                left,
                right,
            } => {
                let at = start_of(body, at);
                let mut sides = Vec::new();
                match (op, set_quantifier) {
                    (SetOperator::Union, SetQuantifier::All) => {}
                    (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => {}
                    (SetOperator::Union, _) => {
                        return Err(
                            JobError::new(at, "UNION BY NAME is not part of the language")
                                .help("write UNION ALL with the columns in one order"),
                        );
                    }
                    _ => {
                        for side in [left, right] {
                            let at = start_of(&**side, at);
                            let tail = Tail::default();
                            sides.push((self.body(side, &tail, parsed, ctes, at)?, at));
                        }
                        let relation = self.set_operation(*op, *set_quantifier, sides, at)?;
                        return tail::over(self, relation, tail, at);
                    }
                }
                self.sides(body, parsed, ctes, at, &mut sides)?;
                let mut relation = self.union(sides)?;
                if *set_quantifier != SetQuantifier::All {
                    relation.node = distinct(relation.node);
                }
                tail::over(self, relation, tail, at)
            }
            SetExpr::Values(rows) => tail::over(self, self.values(rows, at)?, tail, at),
            _ => Err(JobError::new(start_of(body, at), "expected a SELECT")),
        }
    }

    /// The sides of a chain of UNION ALL, from left to right; of UNION those of any within, whose duplicates it drops too.
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
        let distinct = !matches!(
            body,
            SetExpr::SetOperation {
                set_quantifier: SetQuantifier::All,
                ..
            }
        );
        while let SetExpr::SetOperation {
            op: SetOperator::Union,
            set_quantifier,
            left: next,
            right,
        } = left
            && (*set_quantifier == SetQuantifier::All
                || distinct
                    && matches!(
                        set_quantifier,
                        SetQuantifier::None | SetQuantifier::Distinct
                    ))
        {
            chain.push(right);
            left = next;
        }
        let mut one = |side: &SetExpr| -> Result<(), JobError> {
            let at = start_of(side, at);
            sides.push((self.body(side, &Tail::default(), parsed, ctes, at)?, at));
            Ok(())
        };
        one(left)?;
        chain.into_iter().rev().try_for_each(|side| one(side))
    }

    /// UNION ALL: columns by position, each cast to the type that all sides have in common.
    pub(super) fn union(&self, sides: Vec<(Relation, Location)>) -> Result<Relation, JobError> {
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

    pub(super) fn select(
        &self,
        select: &Select,
        tail: &Tail<'_>,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let at = start_of_select(select, at);
        refuse_select(select, at)?;
        let mut relation = self.tables(select, parsed, ctes, at)?;
        if let Some(condition) = &select.selection {
            relation = self.chosen(relation, condition, parsed, ctes, at)?;
        }
        let over = over_select::has_over(select);
        if group_by::groups(select, tail, &self.scope(Vec::new())) {
            if over {
                return Err(over_select::above_groups(at));
            }
            let (relation, select) =
                self.aggregated_subqueries(relation, select, parsed, ctes, at)?;
            return group_by::select(self, relation, &select, tail, (parsed, ctes), at);
        }
        let (relation, select) = self.subquery_values(relation, select, parsed, ctes, at)?;
        let (relation, select) = window_rows::taken(self, relation, &select, at)?;
        let select = &*select;
        if over {
            return over_select::select(self, relation, select, tail, at);
        }
        select::items(self, relation, select, tail, at)
    }

    /// WHERE: what asks subqueries is joined behind the rest.
    fn chosen(
        &self,
        mut relation: Relation,
        condition: &Expr,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let condition = self.asked_by_side(condition, parsed, ctes, at);
        let condition = condition.as_ref();
        let mut parts = Vec::new();
        subqueries::parts(condition, &mut parts);
        let (asked, mut own): (Vec<&Expr>, Vec<&Expr>) =
            parts.into_iter().partition(|part| subqueries::asks(part));
        if asked.is_empty() {
            own = vec![condition];
        }
        if !own.is_empty() {
            let mut taken = Vec::with_capacity(own.len());
            for part in own {
                let value;
                (relation, value) = self.subquery_value(relation, part, parsed, ctes, at)?;
                taken.push(value);
            }
            let scope = self.where_scope(&relation);
            let own = taken.iter().map(|part| check(part, &scope));
            let own = own.zip(&taken).map(|(typed, part)| {
                let condition = self.condition(typed?);
                condition.map_err(|error| error.or_help(joined::advice(&[part])))
            });
            relation.node = Node::Filter {
                conditions: own.collect::<Result<_, _>>()?,
                below: Box::new(relation.node),
            };
        }
        let mut asked = asked.into_iter();
        asked.try_fold(relation, |relation, part| {
            self.asked(relation, part, parsed, ctes, at)
        })
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
}

/// Each row once.
fn distinct(below: Node) -> Node {
    let dedup = Dedup {
        keys: (0..below.width()).collect(),
        on: false,
        time: None,
        delay: None,
        ttl: None,
    };
    Node::Dedup {
        below: Box::new(below),
        dedup,
    }
}

/// Columns of one table or subquery.
pub(crate) fn named(fields: &[Field], qualifier: Option<&SmolStr>) -> Vec<ScopeColumn> {
    fields
        .iter()
        .map(|field| ScopeColumn {
            qualifier: qualifier.cloned(),
            field: field.clone(),
            access: Access::Listed,
        })
        .collect()
}
