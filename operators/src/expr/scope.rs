//! What an expression may refer to: columns, aliases, macros, and the settings that change its meaning.

use std::collections::HashMap;
use std::sync::Arc;

use smol_str::SmolStr;
use sqlparser::ast::{Expr, FunctionArguments, Ident, ObjectName, ObjectNamePart};
use thalweg_engine::schema::{DataType, Field, Schema};

use crate::expr::calendar::Zone;
use crate::expr::coerce::Settings;
use crate::expr::grouped::SharedGrouped;
use crate::expr::operators;
use crate::expr::typed::Typed;
use crate::extensions::Extensions;
use crate::job_error::{JobError, Location};
use crate::models::Models;

/// The qualifier of the columns that say where a record came from.
pub const METADATA: &str = "_metadata";

/// A column of the row that the expression is evaluated over; its place in [`Scope::columns`] is its place in the row.
#[derive(Clone, Debug)]
pub struct ScopeColumn {
    /// The name or alias of the table or subquery it belongs to.
    pub qualifier: Option<SmolStr>,
    /// Name, type, nullability.
    pub field: Field,
    /// How it is reached.
    pub access: Access,
}

impl ScopeColumn {
    /// Whether it is one of the columns that `*` means.
    pub(crate) fn listed(&self) -> bool {
        self.access == Access::Listed
    }
}

/// The columns that `*` means, or `table.*`, in its order, with their places in the row.
pub(crate) fn starred<'c>(
    columns: &'c [ScopeColumn],
    table: Option<&str>,
) -> impl Iterator<Item = (usize, &'c ScopeColumn)> {
    let of_table = |column: &ScopeColumn| {
        let own = column.qualifier.as_deref();
        table.is_none_or(|table| own.is_some_and(|own| own.eq_ignore_ascii_case(table)))
    };
    let meant = |(_, column): &(usize, &ScopeColumn)| match column.access {
        Access::Listed => of_table(column),
        Access::Qualified => table.is_some() && of_table(column),
        Access::Metadata => false,
    };
    let meant = columns.iter().enumerate().filter(meant);
    let (listed, first): (Vec<_>, Vec<_>) = meant.partition(|(_, column)| column.listed());
    first.into_iter().chain(listed)
}

/// How a column is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// By its name, with or without its table's, and by `*`.
    Listed,
    /// Only as `_metadata.name` or `table._metadata.name`.
    Metadata,
    /// Only as `table.name` and by `table.*`, where it comes first: what USING has made one column of.
    Qualified,
}

/// A function of `CREATE TEMPORARY FUNCTION`: expanded where it is called.
#[derive(Clone, Debug)]
pub struct Macro {
    /// Its name as declared.
    pub name: SmolStr,
    /// Names and types of the parameters.
    pub parameters: Vec<(SmolStr, DataType)>,
    /// The declared type of the result.
    pub returns: DataType,
    /// The expression after `RETURN`.
    pub body: Expr,
}

/// A name that is bound inside an expression: a parameter of a lambda or a macro.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) name: SmolStr,
    pub(crate) typed: Typed,
}

/// What the names in an expression mean, and the settings it is checked under.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The columns of the row, in order.
    pub columns: Vec<ScopeColumn>,
    /// How many of them, from the first on, are of the row around a subquery: they are found where its own tables have no
    /// such name.
    pub(crate) around: usize,
    /// Lateral column aliases: names of earlier items of the same SELECT. A column of the same name wins, as in Spark.
    pub aliases: Vec<(SmolStr, Typed)>,
    /// Temporary functions by lower-case name.
    pub macros: HashMap<String, Arc<Macro>>,
    /// What the program adds to the language.
    pub extensions: Arc<Extensions>,
    /// The models of the job.
    pub(crate) models: Models,
    /// `SET ansi`.
    pub ansi: bool,
    /// `SET timeZone`.
    pub time_zone: Zone,
    pub(crate) bound: Vec<Bound>,
    /// Macros being expanded, against recursion.
    pub(crate) expanding: Vec<String>,
    pub(crate) next_variable: u32,
    /// The GROUP BY under the expression, whose keys are then the columns.
    pub(crate) grouped: Option<SharedGrouped>,
    /// Whether it is of ORDER BY, where a literal is what it says also where it is a key.
    pub(crate) ordering: bool,
    /// Why no aggregate may stand here, where the clause has a reason of its own.
    pub(crate) refuse_aggregates: Option<&'static str>,
}

impl Default for Scope {
    /// No columns, `ansi` on, UTC.
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            around: 0,
            aliases: Vec::new(),
            macros: HashMap::new(),
            extensions: Arc::default(),
            models: Models::default(),
            ansi: true,
            time_zone: Zone::UTC,
            bound: Vec::new(),
            expanding: Vec::new(),
            next_variable: 0,
            grouped: None,
            ordering: false,
            refuse_aggregates: None,
        }
    }
}

/// A name that was found, and how many of its parts it took.
pub(crate) struct Found {
    pub(crate) typed: Typed,
    pub(crate) parts: usize,
}

impl Scope {
    /// A scope of one table's columns, `ansi` on, UTC.
    pub fn of(qualifier: Option<&str>, schema: &Schema) -> Self {
        let mut scope = Self::default();
        scope.add(qualifier, schema);
        scope
    }

    /// Adds the columns of one more table at the end of the row.
    pub fn add(&mut self, qualifier: Option<&str>, schema: &Schema) {
        self.columns
            .extend(schema.fields.iter().map(|field| ScopeColumn {
                qualifier: qualifier.map(SmolStr::new),
                field: field.clone(),
                access: Access::Listed,
            }));
    }

    /// The settings that expressions depend on.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            ansi: self.ansi,
            zone: self.time_zone,
        }
    }

    /// The columns that `*` means, or `table.*`, or the fields that `column.*` does: their names.
    pub(crate) fn star(&self, of: Option<&ObjectName>) -> Vec<Expr> {
        let Some(of) = of else {
            return self.columns_of(None);
        };
        let parts: Vec<&Ident> = of.0.iter().filter_map(|part| part.as_ident()).collect();
        if let [table] = parts[..] {
            let columns = self.columns_of(Some(&table.value));
            if !columns.is_empty() {
                return columns;
            }
        }
        let names: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        let Ok(found) = self.resolve(&names, Location::default()) else {
            return Vec::new();
        };
        let mut inner = &found.typed.data_type;
        for name in &names[found.parts..] {
            let DataType::Struct(fields) = inner else {
                return Vec::new();
            };
            let mut same = fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name));
            let Some(field) = same.next() else {
                return Vec::new();
            };
            inner = &field.data_type;
        }
        let DataType::Struct(fields) = inner else {
            return Vec::new();
        };
        let path = |field: &Field| {
            let own = Ident::new(field.name.as_str());
            parts.iter().copied().cloned().chain([own]).collect()
        };
        let fields = fields.iter();
        fields
            .map(|field| Expr::CompoundIdentifier(path(field)))
            .collect()
    }

    fn columns_of(&self, table: Option<&str>) -> Vec<Expr> {
        let all = match &self.grouped {
            Some(grouped) => grouped.borrow().input.columns.clone(),
            None => self.columns.clone(),
        };
        starred(&all, table)
            .map(|(_, column)| {
                let names = column.qualifier.iter().chain([&column.field.name]);
                Expr::CompoundIdentifier(names.map(|name| Ident::new(name.as_str())).collect())
            })
            .collect()
    }

    /// Adds a hidden column, reached as `_metadata.name`, at the end of the row.
    pub fn add_metadata(&mut self, qualifier: Option<&str>, field: Field) {
        self.columns.push(ScopeColumn {
            qualifier: qualifier.map(SmolStr::new),
            field,
            access: Access::Metadata,
        });
    }

    /// Finds what the first parts of a dotted name mean; the rest are fields of a struct.
    pub(crate) fn resolve(&self, parts: &[&str], at: Location) -> Result<Found, JobError> {
        let same =
            |a: &str, b: &str| a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase();
        let [first, ..] = parts else {
            return Err(JobError::new(at, "expected a name"));
        };
        if let Some(bound) = self.bound.iter().rev().find(|b| same(&b.name, first)) {
            let mut typed = bound.typed.clone();
            typed.at = at;
            return Ok(Found { typed, parts: 1 });
        }
        // `table.column` before `column.field`, as in Spark.
        type Test<'t> = Box<dyn Fn(&ScopeColumn) -> bool + 't>;
        let qualified = |column: &ScopeColumn, name: &str| {
            column.qualifier.as_deref().is_some_and(|q| same(q, name))
        };
        let mut tests: Vec<(usize, Test<'_>)> = Vec::new();
        if let [table, meta, name, ..] = parts
            && same(meta, METADATA)
        {
            tests.push((
                3,
                Box::new(move |c| {
                    c.access == Access::Metadata && qualified(c, table) && same(&c.field.name, name)
                }),
            ));
        }
        if let [one, two, ..] = parts {
            tests.push((
                2,
                Box::new(move |c| {
                    if c.access == Access::Metadata {
                        same(one, METADATA) && same(&c.field.name, two)
                    } else {
                        qualified(c, one) && same(&c.field.name, two)
                    }
                }),
            ));
        }
        tests.push((
            1,
            Box::new(move |c| c.listed() && same(&c.field.name, first)),
        ));
        for places in [self.around..self.columns.len(), 0..self.around] {
            for (used, test) in &tests {
                let found: Vec<usize> =
                    places.clone().filter(|i| test(&self.columns[*i])).collect();
                match found.as_slice() {
                    [] => {}
                    [index] => {
                        return Ok(Found {
                            typed: Typed::column(*index, &self.columns[*index].field, at),
                            parts: *used,
                        });
                    }
                    several => return Err(self.ambiguous(&parts[..*used], several, at)),
                }
            }
        }
        if let Some(found) = self.whole_metadata(parts, at) {
            return Ok(found);
        }
        if let Some((_, alias)) = self
            .aliases
            .iter()
            .rev()
            .find(|(name, _)| same(name, first))
        {
            let mut typed = alias.clone();
            typed.at = at;
            return Ok(Found { typed, parts: 1 });
        }
        Err(self.unknown(parts, at))
    }

    /// The name, where an expression is a function without parentheses that a column is called like: `current_date`. It is the
    /// column then, also one below a GROUP BY.
    pub(crate) fn called_like_a_function(&self, expr: &Expr) -> Option<Ident> {
        let Expr::Function(function) = expr else {
            return None;
        };
        let FunctionArguments::None = function.args else {
            return None;
        };
        let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else {
            return None;
        };
        let own = self.columns.get(self.around..).unwrap_or_default();
        let is_it = |column: &ScopeColumn| {
            column.listed() && column.field.name.eq_ignore_ascii_case(&name.value)
        };
        let below = || {
            let grouped = self.grouped.as_ref()?.borrow();
            grouped.input.called_like_a_function(expr)
        };
        match own.iter().any(is_it) {
            true => Some(name.clone()),
            false => below(),
        }
    }

    /// `_metadata` itself, or `table._metadata`: a struct of all that is known of where a record came from.
    fn whole_metadata(&self, parts: &[&str], at: Location) -> Option<Found> {
        let (table, meta) = match *parts {
            [meta] => (None, meta),
            [table, meta] => (Some(table), meta),
            _ => return None,
        };
        if !meta.eq_ignore_ascii_case(METADATA) {
            return None;
        }
        let of_table = |column: &ScopeColumn| {
            let own = column.qualifier.as_deref();
            table.is_none_or(|table| own.is_some_and(|own| own.eq_ignore_ascii_case(table)))
        };
        let (names, columns): (Vec<_>, Vec<_>) = (0..)
            .zip(&self.columns)
            .filter(|(_, column)| column.access == Access::Metadata && of_table(column))
            // What steps pass on to each other has no name that could be written.
            .filter(|(_, column)| !column.field.name.starts_with('\u{1}'))
            .map(|(place, column)| {
                let name = column.field.name.clone();
                (name, Typed::column(place, &column.field, at))
            })
            .unzip();
        let once = (1..names.len()).all(|place| !names[..place].contains(&names[place]));
        (!names.is_empty() && once).then(|| Found {
            typed: operators::structure(names, columns, at),
            parts: parts.len(),
        })
    }

    fn ambiguous(&self, parts: &[&str], found: &[usize], at: Location) -> JobError {
        let names: Vec<String> = found
            .iter()
            .map(|i| self.shown(&self.columns[*i]))
            .collect();
        let given = parts.join(".");
        // The names of their tables do not tell them apart either.
        if names.windows(2).all(|pair| pair[0] == pair[1]) {
            let message = format!(
                "column `{given}` is ambiguous: {} columns are called so",
                names.len()
            );
            return JobError::new(at, message).help(
                "give each a name of its own with AS in the subquery, or each table an alias of its own",
            );
        }
        JobError::new(
            at,
            format!(
                "column `{given}` is ambiguous: it may be {}",
                names.join(" or ")
            ),
        )
        .help("write the table's name or alias before it")
    }

    fn shown(&self, column: &ScopeColumn) -> String {
        let mut shown = String::new();
        if let Some(qualifier) = &column.qualifier {
            shown.push_str(qualifier);
            shown.push('.');
        }
        if column.access == Access::Metadata {
            shown.push_str(METADATA);
            shown.push('.');
        }
        shown.push_str(&column.field.name);
        shown
    }

    fn unknown(&self, parts: &[&str], at: Location) -> JobError {
        let given = parts.join(".");
        let mut known: Vec<String> = Vec::new();
        // The columns of GROUP BY's expressions have no names.
        let named = |column: &&ScopeColumn| !column.field.name.starts_with('\u{1}');
        for column in self.columns.iter().filter(named) {
            match column.access {
                Access::Listed => known.push(column.field.name.to_string()),
                Access::Metadata if parts.len() > 1 => {
                    known.push(format!("{METADATA}.{}", column.field.name));
                }
                _ => {}
            }
            if parts.len() > 1 {
                known.push(self.shown(column));
            }
        }
        let aliases = self.aliases.iter().map(|(name, _)| name.to_string());
        // Those that begin so are no names of the author's.
        known.extend(aliases.filter(|name| !name.starts_with('\u{1}')));
        known.extend(self.bound.iter().map(|bound| bound.name.to_string()));
        let mut seen = std::collections::HashSet::new();
        known.retain(|name| seen.insert(name.clone()));
        let made = parts.len() == 2 && parts[0].eq_ignore_ascii_case("window");
        let error = JobError::new(at, format!("unknown column `{given}`"))
            .or_help((made && !known.iter().any(|name| name == "window")).then_some(
                "GROUP BY window(ts, '10 minutes') makes the column `window`; elsewhere name it in a subquery: \
                 FROM (SELECT *, window(ts, '10 minutes') AS w FROM t)",
            ))
            .nearest(&given, known.iter().map(String::as_str));
        if error.help.is_some() {
            return error;
        }
        match known.len() {
            0 => error.help("no columns are in scope here"),
            _ => {
                let rest = if known.len() > 12 { ", …" } else { "" };
                known.truncate(12);
                error.help(format!("known are {}{rest}", known.join(", ")))
            }
        }
    }
}
