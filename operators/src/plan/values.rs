//! VALUES in FROM: rows that stand in the job's text, for a stream to be joined with.
//!
//! They are a static table without a file: a source of one row without columns, and over it the step that makes rows of an
//! array.

use std::sync::Arc;

use smol_str::format_smolstr;
use sqlparser::ast::{Expr, Values};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::connectors::Connector;
use crate::expr::check::check;
use crate::expr::coerce::{cast_implicitly, wider};
use crate::expr::functions::{BindContext, generators};
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::lower::{Lowering, Relation, named};
use crate::plan::node::{Declared, Node};
use crate::sql::cursor::start_of;
use crate::table::Table;
use crate::transforms::Generator;

/// What it is called in plans and errors.
const NAME: &str = "VALUES";

/// The most rows of one.
const ROWS_MAX: usize = generators::STACK_MAX;

/// No connector that could be named after USING: nothing is opened.
const CONNECTOR: Connector = Connector {
    name: NAME,
    about: "Rows that stand in the text of the job.",
    input: None,
    output: None,
};

/// Whether a table is rows of the text.
pub(crate) fn is_values(table: &Table) -> bool {
    table.connector == NAME
}

impl Lowering<'_> {
    /// The rows of a VALUES; its columns are called `col1`, `col2` and so on, as in Spark.
    pub(super) fn values(&self, values: &Values, at: Location) -> Result<Relation, JobError> {
        self.scan(at)?;
        if values.rows.len() > ROWS_MAX {
            let message = format!("VALUES has more than {ROWS_MAX} rows");
            return Err(JobError::new(at, message).help(
                "put them in a file, and declare a table of it with the option static 'true'",
            ));
        }
        let rows = values.rows.iter();
        let rows = rows.map(|row| self.constants(&row.content, at));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let types = self.types(&rows, at)?;
        let context = BindContext {
            name: NAME,
            signature: generators::STACK,
            settings: self.settings(),
            at,
        };
        let count = i32::try_from(rows.len()).unwrap_or(i32::MAX);
        let mut all = vec![Typed::literal(Value::Int(count), DataType::Int, at)];
        for row in rows {
            let cells = row.into_iter().zip(&types);
            all.extend(cells.map(|(cell, to)| cast_implicitly(cell, to, self.settings())));
        }
        let fields: Vec<Field> = types
            .into_iter()
            .enumerate()
            .map(|(place, data_type)| {
                Field::nullable(format_smolstr!("col{}", place + 1), data_type)
            })
            .collect();
        let node = Node::Explode {
            below: Box::new(one_row(at)),
            value: generators::stack(all, &context)?,
            name: NAME,
            generator: Generator {
                position: false,
                fields: true,
                width: fields.len(),
                outer: false,
            },
            kept: Vec::new(),
            generated: fields.clone(),
        };
        Ok(Relation {
            columns: named(&fields, None),
            node,
        })
    }

    /// One row: expressions without columns that are the same at any time.
    fn constants(&self, row: &[Expr], at: Location) -> Result<Vec<Typed>, JobError> {
        let scope = self.scope(Vec::new());
        let one = |expr: &Expr| {
            let typed = check(expr, &scope)?;
            if typed.deterministic() {
                return Ok(typed);
            }
            let message = format!("`{expr}` is another value each time, and VALUES has constants");
            Err(JobError::new(start_of(expr, at), message)
                .help("write it in the SELECT over the join"))
        };
        row.iter().map(one).collect()
    }

    /// The type that all rows have in common, for each column.
    fn types(&self, rows: &[Vec<Typed>], at: Location) -> Result<Vec<DataType>, JobError> {
        let mut types: Vec<DataType> = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            if number == 0 {
                types = row.iter().map(|cell| cell.data_type.clone()).collect();
            }
            if row.len() != types.len() {
                let message = format!(
                    "the rows of VALUES need equal numbers of columns: {} before, {} here",
                    types.len(),
                    row.len()
                );
                return Err(JobError::new(
                    row.first().map_or(at, |cell| cell.at),
                    message,
                ));
            }
            for (place, (common, cell)) in types.iter_mut().zip(row).enumerate() {
                let Some(wider) = wider(common, &cell.data_type, self.ansi) else {
                    let message = format!(
                        "column {} of VALUES is {common} before and {} here",
                        place + 1,
                        cell.data_type
                    );
                    return Err(JobError::new(cell.at, message).help("cast one of them"));
                };
                *common = wider;
            }
        }
        Ok(types)
    }
}

/// The source of one row, which has no columns.
pub(super) fn one_row(at: Location) -> Node {
    let table = Table {
        at,
        connector: NAME.to_owned(),
        ..Table::using(NAME, NAME)
    };
    Node::Source {
        input: Arc::new(Declared {
            table,
            connector: CONNECTOR,
            watermark: None,
            read_from: None,
            written_to: None,
        }),
        columns: Vec::new(),
        metadata: Vec::new(),
    }
}
