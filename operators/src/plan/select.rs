//! The columns of a SELECT: stars, names, lateral aliases.

use smol_str::SmolStr;
use sqlparser::ast::{
    Expr, Ident, ObjectName, Select, SelectItem, SelectItemQualifiedWildcardKind,
    WildcardAdditionalOptions,
};
use thalweg_engine::schema::{DataType, Field};

use crate::expr::check::check;
use crate::expr::scope::{Scope, starred};
use crate::expr::typed::Typed;
use crate::job_error::{JobError, Location};
use crate::plan::generator::{Generated, explode_item};
use crate::plan::lower::{Lowering, Relation};
use crate::plan::names;
use crate::plan::node::Item;
use crate::plan::tail::{List, Tail};
use crate::sql::cursor::{ident_at, start_of};
use crate::sql::excepted;

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
            let typed = check(expr, scope)?;
            items.push(Item {
                field: field(name_of(expr, scope), &typed),
                typed,
                required: false,
            });
        }
        SelectItem::ExprWithAlias { expr, alias } => {
            let typed = check(expr, scope)?;
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

fn field(name: SmolStr, typed: &Typed) -> Field {
    Field {
        name,
        data_type: typed.data_type.clone(),
        nullable: typed.nullable,
    }
}

/// The name of an item without AS: that of its column, else its text. A cast of a column keeps the column's name.
pub(super) fn name_of(expr: &Expr, scope: &Scope) -> SmolStr {
    // Names of columns are those below a GROUP BY.
    if let Some(grouped) = &scope.grouped {
        return name_of(expr, &grouped.borrow().input);
    }
    if let Some(name) = scope.called_like_a_function(expr) {
        return SmolStr::new(&name.value);
    }
    match expr {
        Expr::Identifier(name) => SmolStr::new(&name.value),
        Expr::CompoundIdentifier(parts) => parts
            .last()
            .map_or_else(SmolStr::default, |part| SmolStr::new(&part.value)),
        Expr::Nested(inner) => name_of(inner, scope),
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
    // Those of the row around a subquery are no columns of its own.
    let own = |place: usize| qualifier.is_some() || place >= scope.around;
    for (place, column) in starred(&columns, qualifier).filter(|(place, _)| own(*place)) {
        let is_it = |name: &&Ident| {
            let (table, name) = excepted::parts(name);
            let own = column.qualifier.as_deref();
            name.eq_ignore_ascii_case(&column.field.name)
                && table.is_none_or(|t| own.is_some_and(|own| own.eq_ignore_ascii_case(t)))
        };
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

/// The columns that a star is, each by its name; what EXCEPT leaves out is not among them.
fn columns_of_star(
    scope: &Scope,
    table: Option<&ObjectName>,
    options: &WildcardAdditionalOptions,
    at: Location,
) -> Result<Vec<Expr>, JobError> {
    let except = excepted(options, at)?.into_iter().cloned().collect();
    let star = excepted::Star { table, except };
    Ok(star.left(scope.star(table)))
}

/// What a SELECT lists, its stars as the columns that they are.
pub(super) fn listed(select: &Select, scope: &Scope, at: Location) -> Result<Vec<Expr>, JobError> {
    use SelectItemQualifiedWildcardKind::ObjectName;
    let mut all = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                all.push(expr.clone());
            }
            SelectItem::Wildcard(options) => {
                all.extend(columns_of_star(scope, None, options, at)?);
            }
            SelectItem::QualifiedWildcard(ObjectName(of), options) => {
                all.extend(columns_of_star(scope, Some(of), options, at)?);
            }
            _ => {}
        }
    }
    Ok(all)
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
