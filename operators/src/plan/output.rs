//! What a query writes: its columns matched with those that the output declares.

use std::sync::Arc;

use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};

use crate::expr::coerce;
use crate::expr::typed::{Mode, Typed};
use crate::job_error::{JobError, Location};
use crate::plan::from::rename;
use crate::plan::lower::{Lowering, Relation};
use crate::plan::node::{Declared, Item, Node};
use crate::sql::front::Name;

/// Makes the rows of a query those of its output: declared columns by name, each of its declared type. `listed` are the names
/// that INSERT gives the query's columns, in their order; declared columns that are not among them are NULL.
pub(crate) fn assign(
    lowering: &Lowering<'_>,
    mut relation: Relation,
    output: &Declared,
    listed: &[Name],
    at: Location,
) -> Result<(Node, Schema), JobError> {
    let list_at = listed.first().map_or(at, |name| name.at);
    rename(&mut relation, listed, list_at)?;
    let fields: Vec<Field> = relation
        .columns
        .iter()
        .filter(|c| c.listed())
        .map(|c| c.field.clone())
        .collect();
    // What is only looked at needs no names to be found by, as in Spark: a join that prints both tables' columns.
    let passing = output.connector.output.is_some_and(|to| to.passing);
    let nameless = passing && output.table.columns.is_none() && output.written_to.is_none();
    for (index, field) in fields.iter().enumerate().filter(|_| !nameless) {
        if fields[..index]
            .iter()
            .any(|earlier| earlier.name.eq_ignore_ascii_case(&field.name))
        {
            return Err(JobError::new(
                column_at(&relation, listed, index, at),
                format!(
                    "two columns for table `{}` are called `{}`",
                    output.table.name, field.name
                ),
            )
            .help("give one of them another name with AS"));
        }
    }
    let Some(declared) = &output.table.columns else {
        let node = if relation.node.width() == fields.len() {
            relation.node
        } else {
            let places: Vec<usize> = (0..relation.columns.len())
                .filter(|i| relation.columns[*i].listed())
                .collect();
            Node::pick(relation.node, &places)
        };
        return Ok(texts_of_nulls(node, fields, lowering.settings()));
    };
    let table = &output.table.name;
    let items = declared_items(lowering, &relation, (table, declared), listed, at)?;
    let node = Node::Project {
        below: Box::new(relation.node),
        items,
    };
    Ok((node, Schema::new(declared.clone())))
}

/// The rows for an output that declares no columns: a bare NULL has no type that it could have, and is a text there. So is what
/// gives NULL or an error, as `assert_true` does.
fn texts_of_nulls(
    node: Node,
    mut fields: Vec<Field>,
    settings: coerce::Settings,
) -> (Node, Schema) {
    let items: Vec<Item> = (0..)
        .zip(&mut fields)
        .map(|(place, field)| {
            let column = Typed::column(place, field, Location::default());
            let typed = match field.data_type {
                DataType::Void => {
                    field.data_type = DataType::String;
                    coerce::cast_implicitly(column, &DataType::String, settings)
                }
                _ => column,
            };
            Item {
                field: field.clone(),
                typed,
                required: false,
            }
        })
        .collect();
    let below = Box::new(node);
    let node = match items.iter().all(|item| item.column().is_some()) {
        true => *below,
        false => Node::Project { below, items },
    };
    (node, Schema::new(fields))
}

/// Where the item stands that gives a column; `otherwise` where the SELECT does not name it.
fn item_at(relation: &Relation, place: usize, otherwise: Location) -> Location {
    match &relation.node {
        Node::Project { items, .. } => items
            .get(place)
            .map(|item| item.typed.at)
            .filter(|at| at.line != 0)
            .unwrap_or(otherwise),
        _ => otherwise,
    }
}

/// Where a column has its name from: the list of INSERT, or its item.
fn column_at(relation: &Relation, listed: &[Name], index: usize, at: Location) -> Location {
    match listed.get(index) {
        Some(name) => name.at,
        None => item_at(relation, index, at),
    }
}

/// The declared columns of an output, found by name and cast to their types.
fn declared_items(
    lowering: &Lowering<'_>,
    relation: &Relation,
    (table, declared): (&str, &[Field]),
    listed: &[Name],
    at: Location,
) -> Result<Vec<Item>, JobError> {
    let given = || relation.columns.iter().filter(|c| c.listed());
    let known = || declared.iter().map(|field| field.name.as_str());
    for (index, field) in given().map(|c| &c.field).enumerate() {
        if !known().any(|name| name.eq_ignore_ascii_case(&field.name)) {
            return Err(JobError::new(
                column_at(relation, listed, index, at),
                format!("table `{table}` has no column `{}`", field.name),
            )
            .nearest(&field.name, known()));
        }
    }
    let mut items = Vec::with_capacity(declared.len());
    for to in declared {
        let found = relation
            .columns
            .iter()
            .position(|c| c.listed() && c.field.name.eq_ignore_ascii_case(&to.name));
        if found.is_none() && !listed.is_empty() && to.nullable {
            items.push(Item {
                field: to.clone(),
                typed: Typed::literal(Value::Null, to.data_type.clone(), at),
                required: false,
            });
            continue;
        }
        let Some(place) = found else {
            return Err(JobError::new(
                at,
                format!(
                    "column `{}` of table `{table}` is missing from the {}",
                    to.name,
                    if listed.is_empty() { "SELECT" } else { "list" }
                ),
            )
            .nearest(&to.name, given().map(|c| c.field.name.as_str())));
        };
        let from = &relation.columns[place].field;
        if !storable(&from.data_type, &to.data_type) {
            return Err(JobError::new(
                item_at(relation, place, at),
                format!(
                    "column `{}` of table `{table}` is {}, the SELECT gives {}",
                    to.name, to.data_type, from.data_type
                ),
            )
            .help(format!(
                "write CAST(... AS {}) AS {}",
                to.data_type, to.name
            )));
        }
        let typed = Typed::column(place, from, at);
        items.push(Item {
            field: to.clone(),
            // An overflow while storing is an error of the record whatever `ansi` says, as in Spark.
            typed: coerce::cast(typed, &to.data_type, Mode::Ansi, lowering.settings(), true),
            required: !to.nullable && from.nullable,
        });
    }
    Ok(items)
}

/// Spark's ANSI store assignment: numbers to numbers, times to times, everything plain to STRING.
fn storable(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    match (from, to) {
        (a, b) if a == b => true,
        (T::Void, _) => true,
        (a, b) if a.is_numeric() && b.is_numeric() => true,
        (T::Array(_) | T::Map(_) | T::Struct(_), T::String) => false,
        (_, T::String) => true,
        (T::Date | T::Timestamp | T::TimestampNtz, T::Date | T::Timestamp | T::TimestampNtz) => {
            true
        }
        (T::Array(a), T::Array(b)) => storable(a, b),
        (T::Map(a), T::Map(b)) => storable(&a.0, &b.0) && storable(&a.1, &b.1),
        (T::Struct(a), T::Struct(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b.iter())
                    .all(|(a, b)| storable(&a.data_type, &b.data_type))
        }
        _ => false,
    }
}

/// The columns of a dead letter: `key` and `value` as they were, `headers` with those that say where and why.
pub fn dead_letter_schema() -> Schema {
    let header = DataType::Struct(Arc::new([
        Field::required("key", DataType::String),
        Field::nullable("value", DataType::Binary),
    ]));
    Schema::new(vec![
        Field::nullable("key", DataType::Binary),
        Field::nullable("value", DataType::Binary),
        Field::nullable("headers", DataType::Array(Arc::new(header))),
    ])
}
