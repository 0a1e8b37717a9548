//! `* EXCEPT (t.c)`: the parser takes plain names there, so a name with its table goes through it as one word; and within
//! `struct(...)` it takes none, so the star goes on as an expression whose name says what is left out.

use sqlparser::ast::{Expr, Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use crate::sql::tokens::is_word;

/// Makes one word of `t.c` in the brackets behind `* EXCEPT`.
pub(super) fn joined(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut inside = false;
    for token in tokens {
        match (&token.token, out.as_slice()) {
            (Token::LParen, [.., star, except])
                if star.token == Token::Mul && is_word(&except.token, "EXCEPT") =>
            {
                inside = true;
            }
            (Token::RParen, _) => inside = false,
            (Token::Word(word), [.., table, point]) if inside && point.token == Token::Period => {
                if let Some(value) = both(&table.token, word) {
                    let start = table.span.start;
                    out.truncate(out.len() - 2);
                    let mut one = token;
                    one.span.start = start;
                    one.token = Token::Word(Word {
                        value,
                        quote_style: None,
                        keyword: Keyword::NoKeyword,
                    });
                    out.push(one);
                    continue;
                }
            }
            _ => {}
        }
        out.push(token);
    }
    out
}

/// `t.c`, unless the point in it could be that of a name.
fn both(table: &Token, column: &Word) -> Option<String> {
    let Token::Word(table) = table else {
        return None;
    };
    let clear = !table.value.contains('.') && !column.value.contains('.');
    clear.then(|| format!("{}.{}", table.value, column.value))
}

/// The table and the column of a name behind EXCEPT.
pub(crate) fn parts(name: &Ident) -> (Option<&str>, &str) {
    match name.value.split_once('.') {
        Some((table, column)) if name.quote_style.is_none() => (Some(table), column),
        _ => (None, &name.value),
    }
}

/// Between the names of a star, which have none of it.
const BETWEEN: char = '\0';

/// A star without these columns.
pub(crate) fn star(star: Expr, names: &[Ident]) -> Expr {
    let one = |name: &Ident| {
        let quote = name.quote_style.map_or(String::new(), String::from);
        format!("{quote}{}", name.value)
    };
    let names: Vec<String> = names.iter().map(one).collect();
    Expr::Named {
        expr: Box::new(star),
        name: Ident::new(names.join(&BETWEEN.to_string())),
    }
}

/// A star as a value within a call: `*`, `t.*`, or one of [`star`].
pub(crate) struct Star<'e> {
    pub(crate) table: Option<&'e ObjectName>,
    pub(crate) except: Vec<Ident>,
}

impl<'e> Star<'e> {
    pub(crate) fn of(expr: &'e Expr) -> Option<Self> {
        let table = match expr {
            Expr::Wildcard(_) => None,
            Expr::QualifiedWildcard(table, _) => Some(table),
            Expr::Named { expr, name } => {
                let name_of = |name: &str| match name.strip_prefix('`') {
                    Some(quoted) => Ident::with_quote('`', quoted),
                    None => Ident::new(name),
                };
                let except = name.value.split(BETWEEN).map(name_of).collect();
                return Some(Self {
                    except,
                    ..Self::of(expr)?
                });
            }
            _ => return None,
        };
        Some(Self {
            table,
            except: Vec::new(),
        })
    }

    /// Whether a name behind EXCEPT means this column of the star.
    pub(crate) fn is_it(name: &Ident, column: &Expr) -> bool {
        let Expr::CompoundIdentifier(path) = column else {
            return false;
        };
        let (table, name) = parts(name);
        let same = |part: Option<&Ident>, name: &str| {
            part.is_some_and(|part| part.value.eq_ignore_ascii_case(name))
        };
        let mut path = path.iter().rev();
        same(path.next(), name) && table.is_none_or(|table| same(path.next(), table))
    }

    /// Its columns without those that it leaves out.
    pub(crate) fn left(&self, columns: Vec<Expr>) -> Vec<Expr> {
        let is_left = |column: &Expr| !self.except.iter().any(|name| Self::is_it(name, column));
        columns.into_iter().filter(is_left).collect()
    }
}
