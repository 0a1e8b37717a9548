//! From statements to a job: names are declared once, settings hold from where they stand, queries are planned.

use std::sync::Arc;

use sqlparser::ast::{Query as Ast, SetExpr, TableFactor, TableWithJoins};

use crate::connectors::{Connector, Use, find};
use crate::expr::check::check;
use crate::expr::coerce;
use crate::expr::scope::{Macro, Scope, ScopeColumn};
use crate::job_error::{JobError, Location};
use crate::plan::lower::{Catalog, Lowering, View};
use crate::plan::node::Declared;
use crate::plan::optimize::optimize;
use crate::plan::{self, Query, output};
use crate::sql::front::{self, Name, ParsedQuery, Statement, TableParts, Written};
use crate::sql::settings::{self, Given, OnError, Reach, Settings};
use crate::sql::substitute::{Missing, Substituter};
use crate::sql::{Job, Overrides, tokens};
use crate::table::{OptionValue, Options, Table};

/// Reads a job.
pub(crate) fn read(
    text: &str,
    overrides: &Overrides,
    substituter: &Substituter<'_>,
    connectors: &[Connector],
) -> Result<Job, JobError> {
    let mut reader = Reader {
        overrides,
        substituter,
        connectors,
        catalog: Catalog::default(),
        given: Vec::new(),
        drafts: Vec::new(),
        names: Vec::new(),
    };
    let replace = |text: &str, at: Location| {
        substituter
            .apply(text, at, Missing::Refuse)
            .map(|done| done.text)
    };
    for tokens in tokens::statements(text)? {
        let at = tokens.start();
        let statement = front::statement(&tokens, &replace)?;
        reader.statement(statement, at)?;
    }
    reader.finish()
}

/// A query before it is planned.
struct Draft {
    at: Location,
    /// The output table; None for a SELECT alone.
    table: Option<Name>,
    query: ParsedQuery,
    given: Vec<Given>,
}

struct Reader<'r> {
    overrides: &'r Overrides,
    substituter: &'r Substituter<'r>,
    connectors: &'r [Connector],
    catalog: Catalog,
    given: Vec<Given>,
    drafts: Vec<Draft>,
    /// Tables and views: name, kind, place.
    names: Vec<(String, &'static str, Location)>,
}

impl Reader<'_> {
    fn statement(&mut self, statement: Statement, at: Location) -> Result<(), JobError> {
        match statement {
            Statement::Set { name, value } => self.set(&name, &value),
            Statement::Table(parts) => self.table(*parts),
            Statement::View {
                name,
                columns,
                query,
            } => {
                self.declare(&name, "view")?;
                self.catalog.views.push(View {
                    name,
                    columns,
                    query,
                });
                Ok(())
            }
            Statement::Function {
                name,
                parameters,
                returns,
                body,
            } => {
                let key = name.text.to_lowercase();
                let made = Macro {
                    name: name.text.as_str().into(),
                    parameters: parameters
                        .iter()
                        .map(|(name, t)| (name.text.as_str().into(), t.clone()))
                        .collect(),
                    returns,
                    body: *body,
                };
                check_macro(&made, &parameters, &self.catalog)?;
                if self.catalog.macros.insert(key, Arc::new(made)).is_some() {
                    return Err(JobError::new(
                        name.at,
                        format!("function `{}` is declared twice", name.text),
                    ));
                }
                Ok(())
            }
            Statement::Insert { table, query } => {
                self.draft(at, Some(table), query);
                Ok(())
            }
            Statement::Select(query) => {
                self.draft(at, None, query);
                Ok(())
            }
        }
    }

    fn draft(&mut self, at: Location, table: Option<Name>, query: ParsedQuery) {
        let given = self.given.clone();
        // `queryName` is for one query.
        self.given.retain(|given| given.spec.reach != Reach::Next);
        self.drafts.push(Draft {
            at,
            table,
            query,
            given,
        });
    }

    fn text(&self, written: &Written) -> Result<String, JobError> {
        if !written.quoted {
            return Ok(written.text.clone());
        }
        Ok(self
            .substituter
            .apply(&written.text, written.at, Missing::Refuse)?
            .text)
    }

    fn set(&mut self, name: &Name, value: &Written) -> Result<(), JobError> {
        let given = settings::given(&name.text, name.at, &self.text(value)?, value.at)?;
        if given.spec.reach == Reach::Job {
            if let Some(first) = self.given.iter().find(|g| g.spec.name == given.spec.name) {
                return Err(JobError::new(
                    name.at,
                    format!("`{}` is set already in line {}", name.text, first.at.line),
                ));
            }
            if let Some(first) = self.drafts.first() {
                return Err(JobError::new(
                    name.at,
                    format!(
                        "`{}` is the job's: set it before the first query, which is in line {}",
                        name.text, first.at.line
                    ),
                ));
            }
        }
        self.given.push(given);
        Ok(())
    }

    fn declare(&mut self, name: &Name, kind: &'static str) -> Result<(), JobError> {
        if let Some((_, was, at)) = self
            .names
            .iter()
            .find(|(known, ..)| known.eq_ignore_ascii_case(&name.text))
        {
            return Err(JobError::new(
                name.at,
                format!(
                    "{kind} `{}` has the name of the {was} in line {}",
                    name.text, at.line
                ),
            ));
        }
        self.names.push((name.text.clone(), kind, name.at));
        Ok(())
    }

    fn table(&mut self, parts: TableParts) -> Result<(), JobError> {
        self.declare(&parts.name, "table")?;
        let is = |list: &[(String, String)]| {
            list.iter()
                .any(|(table, _)| table.eq_ignore_ascii_case(&parts.name.text))
        };
        let replaced = is(&self.overrides.inputs) || is(&self.overrides.outputs);
        let missing = if self.overrides.offline || replaced {
            Missing::Keep
        } else {
            Missing::Refuse
        };
        let mut options = Vec::new();
        for (name, value) in &parts.options {
            let (text, substituted) = if value.quoted {
                let done = self.substituter.apply(&value.text, value.at, missing)?;
                (done.text, done.changed)
            } else {
                (value.text.clone(), false)
            };
            options.push(OptionValue {
                name: name.text.clone(),
                value: text,
                substituted,
                at: name.at,
            });
        }
        let columns = parts.columns;
        for key in parts.primary_key.iter().chain(&parts.partitioned_by) {
            let known = || {
                columns
                    .iter()
                    .flatten()
                    .map(|(field, _)| field.name.as_str())
            };
            if !known().any(|name| name.eq_ignore_ascii_case(&key.text)) {
                return Err(JobError::new(
                    key.at,
                    format!(
                        "table `{}` declares no column `{}`",
                        parts.name.text, key.text
                    ),
                )
                .nearest(&key.text, known()));
            }
        }
        let texts = |names: &[Name]| {
            names
                .iter()
                .map(|name| name.text.clone())
                .collect::<Vec<_>>()
        };
        let mut table = Table {
            name: parts.name.text,
            at: parts.name.at,
            connector: parts.connector.text.to_lowercase(),
            primary_key: texts(&parts.primary_key),
            partitioned_by: texts(&parts.partitioned_by),
            columns: columns.map(|columns| columns.into_iter().map(|(field, _)| field).collect()),
            options: Options::new(options),
        };
        let connector = *find(
            self.connectors,
            &Table {
                at: parts.connector.at,
                ..table.clone()
            },
        )?;
        let mut declared = Declared {
            table: table.clone(),
            connector,
            watermark: parts.watermark,
            replaced,
        };
        if replaced {
            table = self.replaced(&declared)?;
            declared.connector = *find(self.connectors, &table)?;
            declared.table = table;
        }
        self.catalog.tables.push(Arc::new(declared));
        Ok(())
    }

    /// The file of JSON lines that stands for a table on the command line, with the table's columns.
    fn replaced(&self, declared: &Declared) -> Result<Table, JobError> {
        let table = &declared.table;
        let file = |list: &[(String, String)]| {
            list.iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(&table.name))
                .map(|(_, file)| file.clone())
        };
        let (input, output) = (file(&self.overrides.inputs), file(&self.overrides.outputs));
        if let (Some(_), Some(_)) = (&input, &output) {
            return Err(JobError::new(
                table.at,
                format!(
                    "table `{}` is given by both --input and --output",
                    table.name
                ),
            ));
        }
        declared.connector.verify(
            table,
            Use {
                read: input.is_some(),
                written: output.is_some(),
            },
        )?;
        let columns = match (&input, declared.connector.input) {
            (Some(_), Some(connector)) => Some((connector.columns)(table)?.fields.to_vec()),
            _ => table.columns.clone(),
        };
        let path = input.or(output).unwrap_or_default();
        let option = |name: &str, value: &str| OptionValue {
            name: name.to_owned(),
            value: value.to_owned(),
            substituted: false,
            at: table.at,
        };
        let mut options = vec![option("path", &path), option("format", "json")];
        if let Some(mode) = table.options.get("mode") {
            options.push(option("mode", mode));
        }
        Ok(Table {
            connector: "file".to_owned(),
            columns,
            options: Options::new(options),
            ..table.clone()
        })
    }

    fn finish(mut self) -> Result<Job, JobError> {
        self.known_overrides()?;
        if let Some(unused) = self
            .given
            .iter()
            .find(|given| given.spec.reach == Reach::Next)
        {
            return Err(JobError::new(
                unused.at,
                "`queryName` names the next query, and none follows",
            ));
        }
        if self.drafts.is_empty() {
            return Err(JobError::new(Location::default(), "the job has no query")
                .help("add an INSERT INTO ... SELECT, or a SELECT for the console"));
        }
        let (for_all, for_one) = self.overridden()?;
        let name = for_all
            .iter()
            .chain(&self.given)
            .find(|given| given.spec.name == "jobName")
            .map(|given| given.value.clone());
        let drafts = std::mem::take(&mut self.drafts);
        let mut settled: Vec<(String, Settings)> = Vec::new();
        for draft in &drafts {
            settled.push(self.settle(draft, &for_all, &for_one)?);
        }
        self.distinct(&drafts, &settled)?;
        for (query, given) in &for_one {
            if !settled.iter().any(|(name, _)| name == query) {
                let error = JobError::new(
                    given.at,
                    format!(
                        "--set {query}.{}: no query is called `{query}`",
                        given.spec.name
                    ),
                );
                return Err(error.nearest(query, settled.iter().map(|(name, _)| name.as_str())));
            }
        }
        self.verify(&drafts, &settled)?;
        for view in &self.catalog.views {
            Lowering::new(&self.catalog, true, chrono_tz::Tz::UTC).view(view, view.name.at)?;
        }
        let queries = drafts
            .iter()
            .zip(settled)
            .map(|(draft, (name, settings))| self.plan(draft, name, settings))
            .collect::<Result<Vec<_>, _>>()?;
        let mut queries = queries;
        let hidden = self.substituter.hidden();
        for query in &mut queries {
            query.hidden.clone_from(&hidden);
        }
        let tables = self
            .catalog
            .tables
            .iter()
            .map(|declared| declared.table.clone())
            .collect();
        Ok(Job {
            name,
            tables,
            queries,
        })
    }

    /// `--input` and `--output` name tables of the job.
    fn known_overrides(&self) -> Result<(), JobError> {
        for (flag, list) in [
            ("--input", &self.overrides.inputs),
            ("--output", &self.overrides.outputs),
        ] {
            for (name, _) in list {
                if self.catalog.table(name).is_none() {
                    let known = self
                        .catalog
                        .tables
                        .iter()
                        .map(|declared| declared.table.name.as_str());
                    return Err(JobError::new(
                        Location::default(),
                        format!("{flag} {name}=...: the job has no table `{name}`"),
                    )
                    .nearest(name, known));
                }
            }
        }
        Ok(())
    }

    /// The `--set`s: for all queries, and for one.
    fn overridden(&self) -> Result<(Vec<Given>, Vec<(String, Given)>), JobError> {
        let (mut for_all, mut for_one) = (Vec::new(), Vec::new());
        let nowhere = Location::default();
        for (name, value) in &self.overrides.set {
            let flag = |error: JobError| JobError {
                message: format!("--set {name}: {}", error.message),
                ..error
            };
            let (query, setting) = match name.rsplit_once('.') {
                Some((query, setting)) => (Some(query), setting),
                None => (None, name.as_str()),
            };
            let given = settings::given(setting, nowhere, value, nowhere).map_err(flag)?;
            match query {
                Some(_) if given.spec.reach == Reach::Job => {
                    return Err(flag(JobError::new(
                        nowhere,
                        format!("`{setting}` is the job's, not a query's"),
                    )));
                }
                None if given.spec.reach == Reach::Next && self.drafts.len() > 1 => {
                    return Err(flag(
                        JobError::new(nowhere, "the job has several queries")
                            .help(format!("write --set query.{setting}=...")),
                    ));
                }
                Some(query) => for_one.push((query.to_owned(), given)),
                None => for_all.push(given),
            }
        }
        Ok((for_all, for_one))
    }

    /// The name and settings of a query.
    fn settle(
        &self,
        draft: &Draft,
        for_all: &[Given],
        for_one: &[(String, Given)],
    ) -> Result<(String, Settings), JobError> {
        let output = draft
            .table
            .as_ref()
            .map_or("console", |table| table.text.as_str());
        let plain = settings::settle(draft.given.iter().chain(for_all));
        let name = plain
            .query_name
            .clone()
            .unwrap_or_else(|| output.to_owned());
        let mine = for_one
            .iter()
            .filter(|(query, _)| *query == name)
            .map(|(_, given)| given);
        let settings = settings::settle(draft.given.iter().chain(for_all).chain(mine));
        let name = settings.query_name.clone().unwrap_or(name);
        if !settings::is_name(&name) {
            return Err(JobError::new(
                draft.at,
                format!("`{name}` cannot be the name of a query, because it names a folder"),
            )
            .help("write SET queryName = '...' before it, with letters, digits, _, - and ."));
        }
        Ok((name, settings))
    }

    fn distinct(&self, drafts: &[Draft], settled: &[(String, Settings)]) -> Result<(), JobError> {
        for (index, (name, _)) in settled.iter().enumerate() {
            if let Some(first) = settled[..index]
                .iter()
                .position(|(other, _)| other.eq_ignore_ascii_case(name))
            {
                let (first, second) = (drafts[first].at, drafts[index].at);
                return Err(JobError::new(
                    second,
                    format!(
                        "two queries are called `{name}`: in line {} and in line {}",
                        first.line, second.line
                    ),
                )
                .help("write SET queryName = '...' before one of them"));
            }
        }
        Ok(())
    }

    /// Checks every table's options for what the queries do with it.
    fn verify(&self, drafts: &[Draft], settled: &[(String, Settings)]) -> Result<(), JobError> {
        let mut read: Vec<String> = Vec::new();
        for draft in drafts {
            mentions(&draft.query.query, &mut read);
        }
        for view in &self.catalog.views {
            mentions(&view.query.query, &mut read);
        }
        let mut written: Vec<&str> = drafts
            .iter()
            .filter_map(|draft| draft.table.as_ref())
            .map(|name| name.text.as_str())
            .collect();
        written.extend(
            settled
                .iter()
                .filter_map(|(_, settings)| settings.dead_letter_table.as_deref()),
        );
        for declared in &self.catalog.tables {
            let name = &declared.table.name;
            let used = Use {
                read: read.iter().any(|other| other.eq_ignore_ascii_case(name)),
                written: written.iter().any(|other| other.eq_ignore_ascii_case(name)),
            };
            declared.connector.verify(&declared.table, used)?;
        }
        Ok(())
    }

    fn plan(&self, draft: &Draft, name: String, settings: Settings) -> Result<Query, JobError> {
        let output = self.output(draft)?;
        let Some(sink) = output.connector.output else {
            let at = draft.table.as_ref().map_or(draft.at, |table| table.at);
            return Err(JobError::new(
                at,
                format!(
                    "table `{}` cannot be written: connector {} is an input",
                    output.table.name, output.table.connector
                ),
            ));
        };
        let lowering = Lowering::new(&self.catalog, settings.ansi, settings.time_zone);
        let relation = lowering.query(&draft.query)?;
        let at = draft.query.at;
        let (node, schema) = output::assign(&lowering, relation, &output, at)?;
        (sink.check)(&output.table, &schema).map_err(|error| {
            if error.at.line == 0 {
                JobError { at, ..error }
            } else {
                error
            }
        })?;
        let steps = plan::steps(optimize(node))?;
        let inputs: Vec<&Declared> = steps
            .iter()
            .filter_map(|step| match &step.kind {
                plan::StepKind::Source(input) => Some(input.declared.as_ref()),
                _ => None,
            })
            .collect();
        let dead_letters = self.dead_letters(draft, &settings, &inputs)?;
        if draft.table.is_some()
            && inputs
                .iter()
                .any(|input| input.table.name == output.table.name)
        {
            return Err(JobError::new(
                draft.at,
                format!(
                    "the query reads and writes table `{}`: it would read its own output for ever",
                    output.table.name
                ),
            ));
        }
        let replaced = output.replaced || inputs.iter().any(|input| input.replaced);
        let temporary = replaced || (sink.passing && settings.checkpoint_location.is_none());
        if !temporary && settings.checkpoint_location.is_none() {
            return Err(JobError::new(
                draft.at,
                format!(
                    "checkpointLocation must be specified: the output `{}` outlives the process",
                    output.table.name
                ),
            )
            .help("write SET checkpointLocation = './checkpoints' before the query"));
        }
        Ok(Query {
            name,
            at: draft.at,
            settings,
            steps,
            temporary,
            output,
            schema,
            dead_letters,
            hidden: Vec::new(),
        })
    }

    /// The table that a query writes; the console for a SELECT alone.
    fn output(&self, draft: &Draft) -> Result<Arc<Declared>, JobError> {
        let Some(name) = &draft.table else {
            let table = Table {
                name: "console".to_owned(),
                at: draft.at,
                connector: "console".to_owned(),
                columns: None,
                primary_key: Vec::new(),
                partitioned_by: Vec::new(),
                options: Options::default(),
            };
            let connector = *find(self.connectors, &table)?;
            return Ok(Arc::new(Declared {
                table,
                connector,
                watermark: None,
                replaced: false,
            }));
        };
        if let Some(declared) = self.catalog.table(&name.text) {
            return Ok(declared.clone());
        }
        if self.catalog.view(&name.text).is_some() {
            return Err(JobError::new(
                name.at,
                format!("`{}` is a view, which cannot be written", name.text),
            ));
        }
        let known = self
            .catalog
            .tables
            .iter()
            .map(|declared| declared.table.name.as_str());
        Err(
            JobError::new(name.at, format!("unknown table `{}`", name.text))
                .nearest(&name.text, known),
        )
    }

    fn dead_letters(
        &self,
        draft: &Draft,
        settings: &Settings,
        inputs: &[&Declared],
    ) -> Result<Option<Arc<Declared>>, JobError> {
        let at = settings.at("deadLetterTable", settings.at("onError", draft.at));
        let name = match (settings.on_error, &settings.dead_letter_table) {
            (OnError::DeadLetter, Some(name)) => name,
            (OnError::DeadLetter, None) => {
                return Err(
                    JobError::new(at, "onError = 'deadLetter' needs deadLetterTable")
                        .help("write SET deadLetterTable = 'name' with the name of a table"),
                );
            }
            // The command line may switch dead letters off for once.
            (_, Some(_)) if settings.at("onError", draft.at).line != 0 => {
                return Err(JobError::new(
                    at,
                    "deadLetterTable has no effect without onError = 'deadLetter'",
                ));
            }
            _ => return Ok(None),
        };
        let Some(declared) = self.catalog.table(name) else {
            let known = self
                .catalog
                .tables
                .iter()
                .map(|declared| declared.table.name.as_str());
            return Err(
                JobError::new(at, format!("deadLetterTable: unknown table `{name}`"))
                    .nearest(name, known),
            );
        };
        let table = &declared.table;
        let Some(sink) = declared.connector.output else {
            return Err(JobError::new(
                at,
                format!(
                    "deadLetterTable: table `{name}` cannot be written: connector {} is an input",
                    table.connector
                ),
            ));
        };
        if inputs.iter().any(|input| input.table.name == table.name) {
            return Err(JobError::new(
                at,
                format!(
                    "deadLetterTable: the query reads table `{name}`, it would get its dead letters back"
                ),
            ));
        }
        if table.columns.is_some() {
            return Err(JobError::new(
                table.at,
                format!(
                    "table `{name}` takes dead letters, whose columns are key, value and headers"
                ),
            )
            .help("remove its columns"));
        }
        if table.connector == "kafka" && table.options.get("format").is_some() {
            return Err(JobError::new(
                table.options.at("format", table.at),
                format!("table `{name}` takes dead letters, which are written as they were"),
            )
            .help("remove its format"));
        }
        (sink.check)(table, &plan::dead_letter_schema())?;
        Ok(Some(declared.clone()))
    }
}

/// Checks a function's body where it is declared, with its parameters as columns.
fn check_macro(
    made: &Macro,
    parameters: &[(Name, thalweg_engine::schema::DataType)],
    catalog: &Catalog,
) -> Result<(), JobError> {
    for (index, (name, _)) in parameters.iter().enumerate() {
        if parameters[..index]
            .iter()
            .any(|(earlier, _)| earlier.text.eq_ignore_ascii_case(&name.text))
        {
            return Err(JobError::new(
                name.at,
                format!("parameter `{}` is declared twice", name.text),
            ));
        }
    }
    let columns = made
        .parameters
        .iter()
        .map(|(name, data_type)| ScopeColumn {
            qualifier: None,
            field: thalweg_engine::schema::Field::nullable(name.clone(), data_type.clone()),
            metadata: false,
        })
        .collect();
    let scope = Scope {
        columns,
        macros: catalog.macros.clone(),
        ..Scope::default()
    };
    let typed = check(&made.body, &scope)?;
    if coerce::wider(&typed.data_type, &made.returns, true).is_none()
        && typed.data_type != made.returns
    {
        let numeric = typed.data_type.is_numeric() && made.returns.is_numeric();
        if !numeric {
            return Err(JobError::new(
                typed.at,
                format!(
                    "function `{}` RETURNS {}, its expression gives {}",
                    made.name, made.returns, typed.data_type
                ),
            ));
        }
    }
    Ok(())
}

/// The names after FROM anywhere in a query; those of WITH among them do no harm.
fn mentions(query: &Ast, names: &mut Vec<String>) {
    for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
        mentions(&cte.query, names);
    }
    mentioned(&query.body, names);
}

fn mentioned(body: &SetExpr, names: &mut Vec<String>) {
    match body {
        SetExpr::Select(select) => select
            .from
            .iter()
            .for_each(|from| mentioned_table(from, names)),
        SetExpr::Query(query) => mentions(query, names),
        SetExpr::SetOperation { left, right, .. } => {
            mentioned(left, names);
            mentioned(right, names);
        }
        _ => {}
    }
}

fn mentioned_table(from: &TableWithJoins, names: &mut Vec<String>) {
    let factors =
        std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation));
    for factor in factors {
        match factor {
            TableFactor::Table { name, .. } => {
                if let Some(ident) = name.0.last().and_then(|part| part.as_ident()) {
                    names.push(ident.value.clone());
                }
            }
            TableFactor::Derived { subquery, .. } => mentions(subquery, names),
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => mentioned_table(table_with_joins, names),
            _ => {}
        }
    }
}
