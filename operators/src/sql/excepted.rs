//! `* EXCEPT (t.c)`: the parser takes plain names there, so a name with its table goes through it as one word.

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
pub(crate) fn parts(name: &sqlparser::ast::Ident) -> (Option<&str>, &str) {
    match name.value.split_once('.') {
        Some((table, column)) if name.quote_style.is_none() => (Some(table), column),
        _ => (None, &name.value),
    }
}
