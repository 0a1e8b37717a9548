//! UNPIVOT in FROM: a row for each of some columns, with the column's name and its value.

use smol_str::SmolStr;
use sqlparser::ast::{Expr, NullInclusion, TableFactor};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::check::check;
use crate::expr::coerce::{cast_implicitly, wider};
use crate::expr::functions::{BindContext, generators};
use crate::expr::operators;
use crate::expr::typed::{Kind, Op, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::lower::{Ctes, Lowering, Relation, named};
use crate::plan::node::Node;
use crate::sql::cursor::{ident_at, start_of};
use crate::sql::front::ParsedQuery;
use crate::transforms::Generator;

/// What it is called in plans and errors.
const NAME: &str = "UNPIVOT";

/// One row that it makes of each: what it is called, and its values.
struct Made {
    name: String,
    cells: Vec<Typed>,
}

impl Lowering<'_> {
    /// The rows of an UNPIVOT: the columns that it does not take, then that of the names, then those of the values.
    pub(super) fn unpivot(
        &self,
        factor: &TableFactor,
        parsed: &ParsedQuery,
        ctes: Ctes<'_>,
        at: Location,
    ) -> Result<Relation, JobError> {
        let TableFactor::Unpivot {
            table,
            value,
            name,
            columns,
            null_inclusion,
            alias,
        } = factor
        else {
            return Err(JobError::new(at, "expected UNPIVOT"));
        };
        let below = self.factor(table, parsed, ctes, at)?;
        let scope = self.scope(below.columns.clone());
        let mut made = Vec::with_capacity(columns.len());
        for column in columns {
            let mut names = Vec::new();
            let mut cells = Vec::new();
            for expr in several(&column.expr) {
                let cell = check(expr, &scope)?;
                let Some(place) = place(&cell) else {
                    let message = format!("{NAME} takes columns, and `{expr}` is none");
                    return Err(JobError::new(start_of(expr, at), message).help(
                        "compute it in a subquery: FROM (SELECT ... AS a FROM t) UNPIVOT ...",
                    ));
                };
                names.push(below.columns[place].field.name.to_string());
                cells.push(cell);
            }
            made.push(Made {
                name: column
                    .alias
                    .as_ref()
                    .map_or_else(|| names.join("_"), |alias| alias.value.clone()),
                cells,
            });
        }
        let fields = self.values_of(&several(value), &made, at)?;
        let taken: Vec<usize> = made
            .iter()
            .flat_map(|row| row.cells.iter().filter_map(place))
            .collect();
        let kept: Vec<usize> = (0..below.columns.len())
            .filter(|place| !taken.contains(place))
            .collect();
        let mut generated = vec![Field::nullable(name.value.as_str(), DataType::String)];
        generated.extend(fields);
        let mut shown: Vec<_> = kept.iter().map(|p| below.columns[*p].clone()).collect();
        shown.extend(named(&generated, None));
        let node = Node::Explode {
            below: Box::new(below.node),
            value: self.stacked(made, &generated, at)?,
            name: NAME,
            generator: Generator {
                position: false,
                fields: true,
                width: generated.len(),
                outer: false,
            },
            generated,
            kept,
        };
        let mut relation = Relation {
            node,
            columns: shown,
        };
        if *null_inclusion != Some(NullInclusion::IncludeNulls) {
            relation = with_a_value(relation, several(value).len(), at);
        }
        match alias {
            Some(_) => self.alias(relation, alias.as_ref(), None, None, at),
            None => Ok(relation),
        }
    }

    /// The columns of the values: of the type that all rows have in common.
    fn values_of(
        &self,
        names: &[&Expr],
        made: &[Made],
        at: Location,
    ) -> Result<Vec<Field>, JobError> {
        let mut fields = Vec::with_capacity(names.len());
        for (place, expr) in names.iter().enumerate() {
            let Expr::Identifier(name) = expr else {
                return Err(JobError::new(
                    start_of(*expr, at),
                    format!("`{expr}` is no name for a column"),
                )
                .help("write UNPIVOT (value FOR name IN (a, b))"));
            };
            let mut common: Option<DataType> = None;
            for row in made {
                let Some(cell) = row
                    .cells
                    .get(place)
                    .filter(|_| row.cells.len() == names.len())
                else {
                    let message = format!(
                        "UNPIVOT names {} values, and `{}` has {}",
                        names.len(),
                        row.name,
                        row.cells.len()
                    );
                    return Err(
                        JobError::new(row.cells.first().map_or(at, |c| c.at), message)
                            .help("write UNPIVOT ((a, b) FOR name IN ((a1, b1), (a2, b2)))"),
                    );
                };
                common = match common {
                    None => Some(cell.data_type.clone()),
                    Some(known) => match wider(&known, &cell.data_type, self.ansi) {
                        Some(wider) => Some(wider),
                        None => {
                            let message = format!(
                                "the columns of UNPIVOT have one type: {known} before, {} here",
                                cell.data_type
                            );
                            return Err(JobError::new(cell.at, message)
                                .help("cast one of them in a subquery"));
                        }
                    },
                };
            }
            let data_type = match common {
                None | Some(DataType::Void) => DataType::String,
                Some(known) => known,
            };
            if fields
                .iter()
                .any(|field: &Field| field.name.eq_ignore_ascii_case(&name.value))
            {
                let message = format!("UNPIVOT names `{}` twice", name.value);
                return Err(JobError::new(ident_at(name, at), message));
            }
            fields.push(Field::nullable(SmolStr::new(&name.value), data_type));
        }
        Ok(fields)
    }

    /// The rows as an array of structs.
    fn stacked(
        &self,
        made: Vec<Made>,
        generated: &[Field],
        at: Location,
    ) -> Result<Typed, JobError> {
        let count = i32::try_from(made.len()).unwrap_or(i32::MAX);
        let mut all = vec![Typed::literal(Value::Int(count), DataType::Int, at)];
        for Made { name, cells } in made {
            all.push(Typed::literal(
                Value::String(name.as_str().into()),
                DataType::String,
                at,
            ));
            let cells = cells.into_iter().zip(&generated[1..]);
            all.extend(
                cells.map(|(cell, to)| cast_implicitly(cell, &to.data_type, self.settings())),
            );
        }
        let context = BindContext {
            name: NAME,
            signature: generators::STACK,
            settings: self.settings(),
            at,
        };
        generators::stack(all, &context)
    }
}

/// The rows of which one of the last columns is not NULL.
fn with_a_value(relation: Relation, values: usize, at: Location) -> Relation {
    let first = relation.columns.len() - values;
    let known = relation.columns[first..]
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cell = Typed::column(first + index, &column.field, at);
            Typed::node(Op::IsNotNull, vec![cell], DataType::Boolean, false, at)
        });
    let mut known: Vec<Typed> = known.collect();
    let condition = match (known.pop(), known.is_empty()) {
        (Some(one), true) => one,
        (last, _) => {
            known.extend(last);
            operators::logic(false, known, at)
        }
    };
    Relation {
        node: Node::Filter {
            below: Box::new(relation.node),
            conditions: vec![condition],
        },
        columns: relation.columns,
    }
}

/// The parts of `(a, b)`; one alone is its own part.
fn several(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Tuple(all) => all.iter().collect(),
        Expr::Nested(one) => vec![one],
        one => vec![one],
    }
}

fn place(typed: &Typed) -> Option<usize> {
    match typed.kind {
        Kind::Column { .. } => typed.columns().first().copied(),
        _ => None,
    }
}
