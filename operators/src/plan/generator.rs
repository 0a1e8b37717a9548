//! Functions that give rows: `explode` and its family, `stack` and `json_tuple`.

use smol_str::SmolStr;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, LateralView, SelectItem,
};
use thalweg_engine::counted::counted;
use thalweg_engine::schema::{DataType, Field};

use crate::expr::check::check;
use crate::expr::functions::{BindContext, generators};
use crate::expr::scope::Scope;
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::lower::{Lowering, Relation, named};
use crate::plan::node::Node;
use crate::sql::cursor::{ident_at, start_of};
use crate::transforms::Generator;

/// A function that gives rows.
struct Known {
    name: &'static str,
    /// The element's place stands before its values.
    position: bool,
    /// The fields of each struct are columns.
    fields: bool,
    /// A row of NULLs where there is no element.
    outer: bool,
    /// Makes the array of structs of its arguments; None where it takes the array or map itself.
    made: Option<Made>,
}

type Made = (
    &'static str,
    fn(Vec<Typed>, &BindContext) -> Result<Typed, JobError>,
);

const fn known(name: &'static str, position: bool, fields: bool, outer: bool) -> Known {
    Known {
        name,
        position,
        fields,
        outer,
        made: None,
    }
}

static GENERATORS: [Known; 8] = [
    known("explode", false, false, false),
    known("explode_outer", false, false, true),
    known("posexplode", true, false, false),
    known("posexplode_outer", true, false, true),
    known("inline", false, true, false),
    known("inline_outer", false, true, true),
    Known {
        made: Some((generators::STACK, generators::stack)),
        ..known("stack", false, true, false)
    },
    Known {
        made: Some((generators::JSON_TUPLE, generators::json_tuple)),
        ..known("json_tuple", false, true, false)
    },
];

/// Whether a function of this name gives rows.
pub(crate) fn is_generator(name: &str) -> bool {
    find(name).is_some()
}

fn find(name: &str) -> Option<&'static Known> {
    GENERATORS
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(name))
}

/// A call of one: which, its arguments.
struct Call<'e> {
    known: &'static Known,
    outer: bool,
    arguments: Vec<&'e Expr>,
    at: Location,
}

fn generator(expr: &Expr, at: Location) -> Result<Option<Call<'_>>, JobError> {
    let Expr::Function(Function { name, args, .. }) = expr else {
        return Ok(None);
    };
    let Some(known) = find(&name.to_string()) else {
        return Ok(None);
    };
    let at = start_of(expr, at);
    let list: &[FunctionArg] = match args {
        FunctionArguments::List(list) => &list.args,
        _ => &[],
    };
    let arguments: Option<Vec<&Expr>> = list
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => Some(argument),
            _ => None,
        })
        .collect();
    match arguments {
        Some(arguments) if known.made.is_some() || arguments.len() == 1 => Ok(Some(Call {
            known,
            outer: known.outer,
            arguments,
            at,
        })),
        _ => Err(JobError::new(
            at,
            match known.made {
                None => format!("{} takes one argument", known.name),
                Some((signature, _)) => format!("it is called {signature}"),
            },
        )),
    }
}

impl Call<'_> {
    /// The step that makes the rows; its generated columns carry the given names.
    fn plan(
        self,
        lowering: &Lowering<'_>,
        relation: Relation,
        names: &[Ident],
    ) -> Result<(Relation, Vec<Field>), JobError> {
        let name = self.known.name;
        let value = self.value(&lowering.scope(relation.columns.clone()))?;
        let mut generated = self.columns(&value.data_type)?;
        if !names.is_empty() {
            if names.len() != generated.len() {
                let at = names
                    .first()
                    .map_or(self.at, |name| ident_at(name, self.at));
                let message = format!(
                    "{name} gives {}, named are {}",
                    counted(generated.len(), "column"),
                    names.len()
                );
                return Err(JobError::new(at, message).help(named_as(&generated)));
            }
            for (field, name) in generated.iter_mut().zip(names) {
                field.name = SmolStr::new(&name.value);
            }
        }
        let mut columns = relation.columns;
        columns.extend(named(&generated, None));
        let node = Node::Explode {
            kept: (0..relation.node.width()).collect(),
            below: Box::new(relation.node),
            value,
            name,
            generator: Generator {
                position: self.known.position,
                fields: self.known.fields,
                width: generated.len() - usize::from(self.known.position),
                outer: self.outer,
            },
            generated: generated.clone(),
        };
        Ok((Relation { node, columns }, generated))
    }

    /// The array or map whose elements become rows.
    fn value(&self, scope: &Scope) -> Result<Typed, JobError> {
        let mut checked = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            checked.push(check(argument, scope)?);
        }
        match (self.known.made, checked.pop()) {
            (None, Some(value)) => Ok(value),
            (None, None) => Err(JobError::new(
                self.at,
                format!("{} takes one argument", self.known.name),
            )),
            (Some((signature, made)), last) => {
                checked.extend(last);
                let context = BindContext {
                    name: self.known.name,
                    signature,
                    settings: scope.settings(),
                    at: self.at,
                };
                made(checked, &context)
            }
        }
    }

    /// The columns that it makes of a value of this type.
    fn columns(&self, of: &DataType) -> Result<Vec<Field>, JobError> {
        let (name, fields, outer) = (self.known.name, self.known.fields, self.outer);
        let nullable = |name: &str, data_type: &DataType| Field::nullable(name, data_type.clone());
        let mut generated: Vec<Field> = Vec::new();
        if self.known.position {
            generated.push(Field {
                nullable: outer,
                ..Field::required("pos", DataType::Int)
            });
        }
        match of {
            DataType::Array(element) if fields => match element.as_ref() {
                DataType::Struct(fields) => generated.extend(fields.iter().map(|f| Field {
                    nullable: true,
                    ..f.clone()
                })),
                other => {
                    let message = format!("{name} takes an ARRAY of STRUCT, not of {other}");
                    return Err(JobError::new(self.at, message));
                }
            },
            DataType::Array(element) => generated.push(nullable("col", element)),
            DataType::Map(pair) if !fields => {
                generated.push(Field {
                    nullable: outer,
                    ..Field::required("key", pair.0.clone())
                });
                generated.push(nullable("value", &pair.1));
            }
            other => {
                let takes = if fields {
                    "an ARRAY of STRUCT"
                } else {
                    "an ARRAY or MAP"
                };
                let error = JobError::new(self.at, format!("{name} takes {takes}, not {other}"));
                let text = *other == DataType::String && !fields;
                return Err(error.or_help(text.then_some(
                    "split(text, ' ') makes an ARRAY of a text, from_json(text, 'ARRAY<INT>') of JSON",
                )));
            }
        }
        Ok(generated)
    }
}

/// How the columns of a generator are named.
fn named_as(generated: &[Field]) -> String {
    let names: Vec<&str> = generated.iter().map(|field| field.name.as_str()).collect();
    let names = names.join(", ");
    match generated.len() {
        1 => format!("write AS {names}"),
        _ => format!("write AS ({names}) in a SELECT, AS {names} in a LATERAL VIEW"),
    }
}

/// Plans the generator of a SELECT list, if it has one: its place in the list and its columns, the last of the row.
pub(super) type Generated = Option<(usize, Vec<Field>)>;

pub(super) fn explode_item(
    lowering: &Lowering<'_>,
    relation: Relation,
    list: &[SelectItem],
    at: Location,
) -> Result<(Relation, Generated), JobError> {
    let mut found: Option<(usize, Call<'_>, Vec<Ident>)> = None;
    for (index, item) in list.iter().enumerate() {
        let (expr, names) = match item {
            SelectItem::UnnamedExpr(expr) => (expr, Vec::new()),
            SelectItem::ExprWithAlias { expr, alias } => (expr, vec![alias.clone()]),
            SelectItem::ExprWithAliases { expr, aliases } => (expr, aliases.clone()),
            _ => continue,
        };
        let Some(call) = generator(expr, at)? else {
            continue;
        };
        if found.is_some() {
            return Err(JobError::new(
                call.at,
                format!(
                    "only one of explode and its family stands in a SELECT; {} is the second",
                    call.known.name
                ),
            )
            .help("write LATERAL VIEW for one of them"));
        }
        found = Some((index, call, names));
    }
    match found {
        None => Ok((relation, None)),
        Some((index, call, names)) => {
            let (relation, columns) = call.plan(lowering, relation, &names)?;
            Ok((relation, Some((index, columns))))
        }
    }
}

/// `LATERAL VIEW [OUTER] explode(x) name AS a, b`.
pub(crate) fn lateral_view(
    lowering: &Lowering<'_>,
    relation: Relation,
    view: &LateralView,
    at: Location,
) -> Result<Relation, JobError> {
    let at = start_of(&view.lateral_view, at);
    let Some(mut call) = generator(&view.lateral_view, at)? else {
        let names: Vec<&str> = GENERATORS.iter().map(|known| known.name).collect();
        return Err(
            JobError::new(at, "LATERAL VIEW takes explode or one of its family")
                .help(format!("known are {}", names.join(", "))),
        );
    };
    call.outer |= view.outer;
    let (mut relation, generated) = call.plan(lowering, relation, &view.lateral_col_alias)?;
    let qualifier = view
        .lateral_view_name
        .0
        .last()
        .and_then(|part| part.as_ident())
        .map(|ident| SmolStr::new(&ident.value));
    let first = relation.columns.len() - generated.len();
    for column in &mut relation.columns[first..] {
        column.qualifier.clone_from(&qualifier);
    }
    Ok(relation)
}
