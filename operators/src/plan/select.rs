//! The columns of a SELECT: stars, names, lateral aliases, and `explode` with its family.

use smol_str::SmolStr;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, LateralView, Select,
    SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};
use thalweg_engine::schema::{DataType, Field};

use crate::expr::check::check;
use crate::expr::scope::Scope;
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::lower::{Lowering, Relation, named};
use crate::plan::names;
use crate::plan::node::{Item, Node};
use crate::plan::tail::{List, Tail};
use crate::sql::cursor::{ident_at, start_of};
use crate::transforms::Generator;

/// Functions that give rows: name, with position, of structs, with a row of NULLs for nothing.
const GENERATORS: [(&str, bool, bool, bool); 6] = [
    ("explode", false, false, false),
    ("explode_outer", false, false, true),
    ("posexplode", true, false, false),
    ("posexplode_outer", true, false, true),
    ("inline", false, true, false),
    ("inline_outer", false, true, true),
];

/// Whether a function of this name gives rows.
pub(crate) fn is_generator(name: &str) -> bool {
    GENERATORS
        .iter()
        .any(|(known, ..)| known.eq_ignore_ascii_case(name))
}

/// Lowers a SELECT without groups, from its list on.
pub(super) fn items(
    lowering: &Lowering<'_>,
    relation: Relation,
    select: &Select,
    tail: &Tail<'_>,
    at: Location,
) -> Result<Relation, JobError> {
    let list = &select.projection;
    let (relation, generated) = explode_item(lowering, relation, list, at)?;
    let width = relation.node.width();
    let hidden = generated.as_ref().map_or(0, |(_, columns)| columns.len());
    // Columns that explode made are reached through their item, not by `*`.
    let mut visible = relation.columns.clone();
    visible.truncate(width - hidden);
    let mut scope = lowering.scope(visible);
    let items = self::list(&mut scope, width, generated, list, at)?;
    let list = List {
        items,
        scope,
        width,
    };
    list.finish(relation.node, Some(select), tail, at)
}

/// The list after SELECT over a row of so many columns.
pub(super) fn list(
    scope: &mut Scope,
    width: usize,
    generated: Generated,
    list: &[SelectItem],
    at: Location,
) -> Result<Vec<Item>, JobError> {
    let hidden = generated.as_ref().map_or(0, |(_, columns)| columns.len());
    let mut items: Vec<Item> = Vec::new();
    for (index, item) in list.iter().enumerate() {
        match &generated {
            Some((place, columns)) if *place == index => {
                for (offset, field) in columns.iter().enumerate() {
                    let typed = Typed::column(width - hidden + offset, field, at);
                    items.push(Item {
                        field: field.clone(),
                        typed,
                        required: false,
                    });
                }
                continue;
            }
            _ => one(scope, item, at, &mut items)?,
        }
        // From here on the item's alias can be used, where no column has its name.
        if let (SelectItem::ExprWithAlias { alias, .. }, Some(item)) = (item, items.last()) {
            let typed = Typed::column(width + items.len() - 1, &item.field, ident_at(alias, at));
            scope.aliases.push((SmolStr::new(&alias.value), typed));
        }
    }
    Ok(items)
}

fn one(
    scope: &Scope,
    item: &SelectItem,
    at: Location,
    items: &mut Vec<Item>,
) -> Result<(), JobError> {
    match item {
        SelectItem::UnnamedExpr(expr) => {
            let typed = checked(expr, scope)?;
            items.push(Item {
                field: field(name_of(expr, scope), &typed),
                typed,
                required: false,
            });
        }
        SelectItem::ExprWithAlias { expr, alias } => {
            let typed = checked(expr, scope)?;
            items.push(Item {
                field: field(SmolStr::new(&alias.value), &typed),
                typed,
                required: false,
            });
        }
        SelectItem::ExprWithAliases { expr, .. } => {
            return Err(JobError::new(
                start_of(expr, at),
                "several names are for posexplode, inline and explode of a map only",
            ));
        }
        SelectItem::Wildcard(options) => star(scope, None, options, at, items)?,
        SelectItem::QualifiedWildcard(kind, options) => {
            qualified(scope, kind, options, at, items)?;
        }
    }
    Ok(())
}

fn checked(expr: &Expr, scope: &Scope) -> Result<Typed, JobError> {
    let typed = check(expr, scope)?;
    if typed.data_type == DataType::Void {
        // A bare NULL has no type that an output could have.
        return Ok(Typed::literal(
            thalweg_engine::row::Value::Null,
            DataType::String,
            typed.at,
        ));
    }
    Ok(typed)
}

fn field(name: SmolStr, typed: &Typed) -> Field {
    Field {
        name,
        data_type: typed.data_type.clone(),
        nullable: typed.nullable,
    }
}

/// The name of an item without AS: that of its column, else its text. A cast of a column keeps the column's name.
fn name_of(expr: &Expr, scope: &Scope) -> SmolStr {
    // Names of columns are those below a GROUP BY.
    if let Some(grouped) = &scope.grouped {
        return name_of(expr, &grouped.borrow().input);
    }
    match expr {
        Expr::Identifier(name) => SmolStr::new(&name.value),
        Expr::CompoundIdentifier(parts) => parts
            .last()
            .map_or_else(SmolStr::default, |part| SmolStr::new(&part.value)),
        Expr::Nested(inner) => name_of(inner, scope),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(sqlparser::ast::AccessExpr::Dot(Expr::Identifier(name))) => {
                SmolStr::new(&name.value)
            }
            _ => SmolStr::new(names::of(expr, scope)),
        },
        Expr::Cast { expr: inner, .. }
            if matches!(**inner, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) =>
        {
            name_of(inner, scope)
        }
        other => SmolStr::new(names::of(other, scope)),
    }
}

/// `*` and `t.*`, with EXCEPT.
fn star(
    scope: &Scope,
    qualifier: Option<&str>,
    options: &WildcardAdditionalOptions,
    at: Location,
    items: &mut Vec<Item>,
) -> Result<(), JobError> {
    let except = excepted(options, at)?;
    let mut unused: Vec<&Ident> = except.clone();
    // Above a GROUP BY a star means the columns below it, each of which must then be a key.
    let columns = match &scope.grouped {
        Some(grouped) => grouped.borrow().input.columns.clone(),
        None => scope.columns.clone(),
    };
    for (place, column) in columns.iter().enumerate() {
        let of_table = qualifier.is_none_or(|q| {
            column
                .qualifier
                .as_deref()
                .is_some_and(|own| own.eq_ignore_ascii_case(q))
        });
        if column.metadata || !of_table {
            continue;
        }
        let is_it = |name: &&Ident| name.value.eq_ignore_ascii_case(&column.field.name);
        unused.retain(|name| !is_it(name));
        if except.iter().any(is_it) {
            continue;
        }
        let typed = if scope.grouped.is_some() {
            let names = column.qualifier.iter().chain([&column.field.name]);
            let names = names.map(|name| Ident::new(name.as_str())).collect();
            check(&Expr::CompoundIdentifier(names), scope)
                .map_err(|error| JobError { at, ..error })?
        } else {
            Typed::column(place, &column.field, at)
        };
        items.push(Item {
            field: column.field.clone(),
            typed,
            required: false,
        });
    }
    not_excepted(
        unused.first().copied(),
        columns.iter().map(|c| c.field.name.as_str()),
        at,
    )
}

fn not_excepted<'n>(
    name: Option<&Ident>,
    known: impl Iterator<Item = &'n str>,
    at: Location,
) -> Result<(), JobError> {
    match name {
        Some(name) => Err(JobError::new(
            ident_at(name, at),
            format!("EXCEPT names `{}`, which is no column here", name.value),
        )
        .nearest(&name.value, known)),
        None => Ok(()),
    }
}

fn excepted(options: &WildcardAdditionalOptions, at: Location) -> Result<Vec<&Ident>, JobError> {
    let foreign = options.opt_ilike.is_some()
        || options.opt_exclude.is_some()
        || options.opt_replace.is_some()
        || options.opt_rename.is_some()
        || options.opt_alias.is_some();
    if foreign {
        return Err(JobError::new(at, "a star takes EXCEPT (columns) only"));
    }
    Ok(options.opt_except.as_ref().map_or_else(Vec::new, |except| {
        std::iter::once(&except.first_element)
            .chain(&except.additional_elements)
            .collect()
    }))
}

/// `t.*` of a table, or `data.*` of a struct.
fn qualified(
    scope: &Scope,
    kind: &SelectItemQualifiedWildcardKind,
    options: &WildcardAdditionalOptions,
    at: Location,
    items: &mut Vec<Item>,
) -> Result<(), JobError> {
    let expr = match kind {
        SelectItemQualifiedWildcardKind::ObjectName(name) => {
            let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
            if let [one] = parts.as_slice()
                && scope.columns.iter().any(|c| {
                    c.qualifier
                        .as_deref()
                        .is_some_and(|q| q.eq_ignore_ascii_case(&one.value))
                })
            {
                return star(scope, Some(&one.value), options, ident_at(one, at), items);
            }
            match parts.as_slice() {
                [one] => Expr::Identifier((*one).clone()),
                several => {
                    Expr::CompoundIdentifier(several.iter().map(|ident| (*ident).clone()).collect())
                }
            }
        }
        SelectItemQualifiedWildcardKind::Expr(expr) => expr.clone(),
    };
    let at = start_of(&expr, at);
    let whole = check(&expr, scope).map_err(|error| {
        if error.message.starts_with("unknown column") {
            JobError::new(
                error.at,
                format!("`{expr}.*`: no table or column is called so"),
            )
            .help(error.help.unwrap_or_default())
        } else {
            error
        }
    })?;
    let DataType::Struct(fields) = &whole.data_type else {
        return Err(JobError::new(
            at,
            format!("`{expr}.*` takes a STRUCT, not {}", whole.data_type),
        ));
    };
    let except = excepted(options, at)?;
    let missing = except
        .iter()
        .find(|name| {
            !fields
                .iter()
                .any(|f| f.name.eq_ignore_ascii_case(&name.value))
        })
        .copied();
    not_excepted(missing, fields.iter().map(|f| f.name.as_str()), at)?;
    for inner in fields.iter().filter(|f| {
        !except
            .iter()
            .any(|name| name.value.eq_ignore_ascii_case(&f.name))
    }) {
        let mut ident = Ident::with_quote('`', inner.name.as_str());
        ident.span = sqlparser::ast::Spanned::span(&expr);
        let access = match &expr {
            Expr::Identifier(root) => Expr::CompoundIdentifier(vec![root.clone(), ident]),
            Expr::CompoundIdentifier(parts) => {
                Expr::CompoundIdentifier(parts.iter().cloned().chain([ident]).collect())
            }
            other => Expr::CompoundFieldAccess {
                root: Box::new(other.clone()),
                access_chain: vec![sqlparser::ast::AccessExpr::Dot(Expr::Identifier(ident))],
            },
        };
        let typed = check(&access, scope)?;
        items.push(Item {
            field: field(inner.name.clone(), &typed),
            typed,
            required: false,
        });
    }
    Ok(())
}

// explode and its family.

/// A generator call: which, its argument.
struct Call<'e> {
    name: &'static str,
    generator: Generator,
    argument: &'e Expr,
    at: Location,
}

fn generator(expr: &Expr, at: Location) -> Result<Option<Call<'_>>, JobError> {
    let Expr::Function(Function { name, args, .. }) = expr else {
        return Ok(None);
    };
    let given = name.to_string();
    let Some((name, position, fields, outer)) = GENERATORS
        .iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(&given))
    else {
        return Ok(None);
    };
    let at = start_of(expr, at);
    let argument = match args {
        FunctionArguments::List(list) => match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] => Some(argument),
            _ => None,
        },
        _ => None,
    };
    let Some(argument) = argument else {
        return Err(JobError::new(at, format!("{name} takes one argument")));
    };
    let generator = Generator {
        position: *position,
        fields: *fields,
        width: 0,
        outer: *outer,
    };
    Ok(Some(Call {
        name,
        generator,
        argument,
        at,
    }))
}

impl Call<'_> {
    /// The step that makes the rows; its generated columns carry the given names.
    fn plan(
        mut self,
        lowering: &Lowering<'_>,
        relation: Relation,
        names: &[Ident],
    ) -> Result<(Relation, Vec<Field>), JobError> {
        let value = check(self.argument, &lowering.scope(relation.columns.clone()))?;
        let outer = self.generator.outer;
        let nullable = |name: &str, data_type: &DataType| Field::nullable(name, data_type.clone());
        let mut generated: Vec<Field> = Vec::new();
        if self.generator.position {
            generated.push(Field {
                nullable: outer,
                ..Field::required("pos", DataType::Int)
            });
        }
        match &value.data_type {
            DataType::Array(element) if self.generator.fields => match element.as_ref() {
                DataType::Struct(fields) => generated.extend(fields.iter().map(|f| Field {
                    nullable: true,
                    ..f.clone()
                })),
                other => {
                    return Err(JobError::new(
                        self.at,
                        format!("{} takes an ARRAY of STRUCT, not of {other}", self.name),
                    ));
                }
            },
            DataType::Array(element) => generated.push(nullable("col", element)),
            DataType::Map(pair) if !self.generator.fields => {
                generated.push(Field {
                    nullable: outer,
                    ..Field::required("key", pair.0.clone())
                });
                generated.push(nullable("value", &pair.1));
            }
            other => {
                let takes = if self.generator.fields {
                    "an ARRAY of STRUCT"
                } else {
                    "an ARRAY or MAP"
                };
                let error =
                    JobError::new(self.at, format!("{} takes {takes}, not {other}", self.name));
                let text = *other == DataType::String && !self.generator.fields;
                return Err(error.or_help(text.then_some(
                    "split(text, ' ') makes an ARRAY of a text, from_json(text, 'ARRAY<INT>') of JSON",
                )));
            }
        }
        self.generator.width = generated.len() - usize::from(self.generator.position);
        if !names.is_empty() {
            if names.len() != generated.len() {
                return Err(JobError::new(
                    names
                        .first()
                        .map_or(self.at, |name| ident_at(name, self.at)),
                    format!(
                        "{} gives {} columns, named are {}",
                        self.name,
                        generated.len(),
                        names.len()
                    ),
                )
                .help(named_as(&generated)));
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
            name: self.name,
            generator: self.generator,
            generated: generated.clone(),
        };
        Ok((Relation { node, columns }, generated))
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
type Generated = Option<(usize, Vec<Field>)>;

fn explode_item(
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
                    call.name
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
        let names: Vec<&str> = GENERATORS.iter().map(|(name, ..)| *name).collect();
        return Err(
            JobError::new(at, "LATERAL VIEW takes explode or one of its family")
                .help(format!("known are {}", names.join(", "))),
        );
    };
    call.generator.outer |= view.outer;
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
