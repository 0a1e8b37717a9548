//! From statements to a job: names are declared once, settings hold from where they stand, queries are planned.

use std::sync::Arc;

use crate::connectors::{Connector, find};
use crate::expr::check::check;
use crate::expr::coerce;
use crate::expr::scope::{Access, Macro, Scope, ScopeColumn};
use crate::extensions::Extensions;
use crate::files;
use crate::job_error::{JobError, Location};
use crate::models::{Model, Models};
use crate::plan::lower::{Catalog, View};
use crate::plan::node::Declared;
use crate::sql::front::{self, Name, ParsedQuery, Statement, TableParts, Written};
use crate::sql::settings::{self, Given, Reach};
use crate::sql::substitute::{Missing, Substituter};
use crate::sql::{Job, Overrides, tokens};
use crate::table::{OptionValue, Options, Table};

/// Reads a job.
pub(crate) fn read(
    text: &str,
    overrides: &Overrides,
    substituter: &Substituter<'_>,
    extensions: &Arc<Extensions>,
) -> Result<Job, JobError> {
    let connectors = &extensions.all_connectors();
    let mut reader = Reader {
        overrides,
        substituter,
        connectors,
        catalog: Catalog {
            extensions: Arc::clone(extensions),
            ..Catalog::default()
        },
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
pub(super) struct Draft {
    pub(super) at: Location,
    /// The output table; None for a SELECT alone.
    pub(super) table: Option<Name>,
    /// What the query's columns are called there; empty when they keep their names.
    pub(super) columns: Vec<Name>,
    pub(super) query: ParsedQuery,
    pub(super) given: Vec<Given>,
}

pub(super) struct Reader<'r> {
    pub(super) overrides: &'r Overrides,
    pub(super) substituter: &'r Substituter<'r>,
    pub(super) connectors: &'r [Connector],
    pub(super) catalog: Catalog,
    pub(super) given: Vec<Given>,
    pub(super) drafts: Vec<Draft>,
    /// Tables and views: name, kind, place.
    pub(super) names: Vec<(String, &'static str, Location)>,
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
            Statement::Model {
                name,
                kind,
                options,
            } => self.model(&name, &kind, &options),
            Statement::Insert {
                table,
                columns,
                query,
            } => {
                self.draft(at, Some(table), columns, query);
                Ok(())
            }
            Statement::Select(query) => {
                self.draft(at, None, Vec::new(), query);
                Ok(())
            }
        }
    }

    fn draft(&mut self, at: Location, table: Option<Name>, columns: Vec<Name>, query: ParsedQuery) {
        let given = self.given.clone();
        // `queryName` is for one query.
        self.given.retain(|given| given.spec.reach != Reach::Next);
        self.drafts.push(Draft {
            at,
            table,
            columns,
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

    /// Options as they were written, with `${...}` replaced.
    fn options(&self, written: &[(Name, Written)], missing: Missing) -> Result<Options, JobError> {
        let mut options = Vec::new();
        for (name, value) in written {
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
        Ok(Options::new(options))
    }

    fn model(
        &mut self,
        name: &Name,
        kind: &Name,
        options: &[(Name, Written)],
    ) -> Result<(), JobError> {
        let mut known = self.catalog.models.iter();
        if let Some(first) = known.find(|model| model.name().eq_ignore_ascii_case(&name.text)) {
            let line = first.at().line;
            let message = format!("model `{}` is declared already in line {line}", name.text);
            return Err(JobError::new(name.at, message));
        }
        let options = self.options(options, Missing::Refuse)?;
        let model = Model::declare(&name.text, (&kind.text, kind.at), &options, name.at)?;
        self.catalog.models.push(Arc::new(model));
        Ok(())
    }

    fn table(&mut self, parts: TableParts) -> Result<(), JobError> {
        self.declare(&parts.name, "table")?;
        let file = |list: &[(String, String)]| {
            list.iter()
                .find(|(table, _)| table.eq_ignore_ascii_case(&parts.name.text))
                .map(|(_, file)| file.clone())
        };
        let read_from = file(&self.overrides.inputs);
        let written_to = file(&self.overrides.outputs);
        let replaced = read_from.is_some() || written_to.is_some();
        let missing = if self.overrides.offline || replaced {
            Missing::Keep
        } else {
            Missing::Refuse
        };
        let options = self.options(&parts.options, missing)?;
        let columns = parts.columns;
        let writes_files = self.connectors.iter().any(|connector| {
            let named = connector.name.eq_ignore_ascii_case(&parts.connector.text);
            named
                && connector
                    .output
                    .is_some_and(|output| output.files.is_some())
        });
        // Without a list the query says which columns there are.
        let own = columns.is_some() || !writes_files;
        let by = parts.partitioned_by.iter().filter(|_| own);
        for key in parts.primary_key.iter().chain(by) {
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
        let connector = parts.connector.text.to_lowercase();
        if let Some(key) = parts.primary_key.first()
            && connector != "kafka"
        {
            return Err(JobError::new(
                key.at,
                format!("PRIMARY KEY is for tables of connector kafka, not of {connector}"),
            )
            .help(
                "a keyed table is a compacted topic: the newest record of each message key counts",
            ));
        }
        if let Some(column) = parts.partitioned_by.first()
            && connector != "kafka"
            && !writes_files
            && !files::FORMATS.iter().any(|format| format.name == connector)
        {
            return Err(JobError::new(
                column.at,
                format!(
                    "PARTITIONED BY is for Kafka tables, where it says by which columns their writer partitions, and for \
                     folders of files, where it names the folders key=value; not for connector {connector}"
                ),
            ));
        }
        let texts = |names: &[Name]| {
            names
                .iter()
                .map(|name| name.text.clone())
                .collect::<Vec<_>>()
        };
        let table = Table {
            name: parts.name.text,
            at: parts.name.at,
            connector,
            primary_key: texts(&parts.primary_key),
            partitioned_by: texts(&parts.partitioned_by),
            columns: columns.map(|columns| columns.into_iter().map(|(field, _)| field).collect()),
            options,
        };
        let connector = find(self.connectors, &table, parts.connector.at)?;
        self.catalog.tables.push(Arc::new(Declared {
            table,
            connector: *connector,
            watermark: parts.watermark,
            read_from,
            written_to,
        }));
        Ok(())
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
            access: Access::Listed,
        })
        .collect();
    let scope = Scope {
        columns,
        macros: catalog.macros.clone(),
        extensions: Arc::clone(&catalog.extensions),
        models: Models {
            all: catalog.models.as_slice().into(),
            ..Models::default()
        },
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
