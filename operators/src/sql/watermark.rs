//! `WATERMARK expr [AS col] DELAY OF INTERVAL ...`: read, and cut out of queries, whose parser does not know it.
//!
//! The clause stands after a table or subquery in FROM. It is taken out of the tokens and a mark is left that the parser
//! reads as something else: `TABLESAMPLE (mark)` after a table, `FOR SHARE OF mark` at the end of a subquery.

use sqlparser::ast::{Expr, LockClause, TableSampleKind};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::job_error::{JobError, Location};
use crate::sql::cursor::parse;
use crate::sql::front::Name;
use crate::sql::tokens::{is_word, place};

/// One clause.
#[derive(Clone, Debug)]
pub(crate) struct Watermark {
    /// The event time.
    pub(crate) expr: Expr,
    /// The name of the column that holds it.
    pub(crate) column: Option<Name>,
    /// The interval after DELAY OF.
    pub(crate) delay: Expr,
    pub(crate) at: Location,
}

/// What to write instead of a clause among the columns.
pub(super) const BEHIND: &str = "write CREATE TABLE name (ts TIMESTAMP, ...) USING ... OPTIONS (...) WATERMARK ts DELAY OF INTERVAL 5 SECONDS";

/// Whether `WATERMARK FOR ts AS ts - INTERVAL '5' SECOND` begins here, which stands among the columns in Flink's SQL.
pub(super) fn is_flinks(tokens: &[TokenWithSpan]) -> bool {
    matches!(tokens, [a, b, ..] if is_word(&a.token, "WATERMARK") && is_word(&b.token, "FOR"))
}

/// Begins the marks; no identifier of a job file begins so.
const MARK: &str = "\u{1}watermark";

/// Reads a clause from the token after WATERMARK on; gives the number of tokens it took.
pub(crate) fn read(
    tokens: &[TokenWithSpan],
    end: Location,
) -> Result<(Watermark, usize), JobError> {
    let at = tokens.first().map_or(end, |token| place(token.span.start));
    let (expr, mut used) = parse(tokens, end, |parser| parser.parse_expr())?;
    let here = |used: usize| {
        tokens
            .get(used)
            .map_or(end, |token| place(token.span.start))
    };
    let word = |used: usize, word: &str| tokens.get(used).is_some_and(|t| is_word(&t.token, word));
    let mut column = None;
    if word(used, "AS") {
        let Some(Token::Word(name)) = tokens.get(used + 1).map(|t| &t.token) else {
            return Err(JobError::new(
                here(used + 1),
                "expected the name of the event time's column",
            ));
        };
        column = Some(Name {
            text: name.value.clone(),
            at: here(used + 1),
        });
        used += 2;
    }
    if !(word(used, "DELAY") && word(used + 1, "OF")) {
        return Err(
            JobError::new(here(used), "expected DELAY OF and an interval")
                .help("write WATERMARK ts DELAY OF INTERVAL 10 MINUTES"),
        );
    }
    used += 2;
    if !word(used, "INTERVAL") {
        return Err(JobError::new(here(used), "expected INTERVAL")
            .help("write DELAY OF INTERVAL 10 MINUTES"));
    }
    // The interval alone, not an expression: what stands behind it may be an alias.
    let (delay, taken) = parse(&tokens[used..], end, |parser| parser.parse_prefix())?;
    Ok((
        Watermark {
            expr,
            column,
            delay,
            at,
        },
        used + taken,
    ))
}

/// Cuts every clause out of the tokens of a query and leaves marks.
pub(crate) fn cut(
    tokens: &mut Vec<TokenWithSpan>,
    end: Location,
) -> Result<Vec<Watermark>, JobError> {
    let mut found = Vec::new();
    let mut index = 1;
    while index < tokens.len() {
        if !is_word(&tokens[index].token, "WATERMARK") || !follows_input(&tokens[index - 1].token) {
            index += 1;
            continue;
        }
        let (watermark, used) = match read(&tokens[index + 1..], end) {
            Ok(read) => read,
            // A column or alias of that name.
            Err(_) if ends_item(tokens.get(index + 1).map(|t| &t.token)) => {
                index += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        let span = tokens[index].span;
        let mark = format!("{MARK}{}", found.len());
        found.push(watermark);
        let word = |text: &str| TokenWithSpan::new(Token::make_word(text, None), span);
        tokens.drain(index..=index + used);
        if tokens[index - 1].token == Token::RParen {
            tokens.splice(
                index - 1..index - 1,
                [word("FOR"), word("SHARE"), word("OF"), word(&mark)],
            );
            index += 4;
        } else {
            let plain = |token| TokenWithSpan::new(token, span);
            tokens.splice(
                index..index,
                [
                    word("TABLESAMPLE"),
                    plain(Token::LParen),
                    word(&mark),
                    plain(Token::RParen),
                ],
            );
            index += 4;
        }
    }
    Ok(found)
}

fn follows_input(before: &Token) -> bool {
    const NOT_A_TABLE: [&str; 20] = [
        "SELECT", "WHERE", "AND", "OR", "NOT", "ON", "BY", "WHEN", "THEN", "ELSE", "CASE", "AS",
        "BETWEEN", "IN", "LIKE", "RLIKE", "HAVING", "DISTINCT", "ALL", "FROM",
    ];
    match before {
        Token::RParen => true,
        Token::Word(word) => {
            word.quote_style.is_some()
                || !NOT_A_TABLE
                    .iter()
                    .any(|known| word.value.eq_ignore_ascii_case(known))
        }
        _ => false,
    }
}

fn ends_item(after: Option<&Token>) -> bool {
    match after {
        None | Some(Token::Comma | Token::RParen) => true,
        Some(token) => [
            "FROM", "WHERE", "UNION", "GROUP", "ORDER", "LIMIT", "LATERAL", "JOIN",
        ]
        .iter()
        .any(|word| is_word(token, word)),
    }
}

/// The number of the clause that a mark in a TABLESAMPLE stands for.
pub(crate) fn of_sample(sample: &TableSampleKind) -> Option<usize> {
    let (TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) =
        sample;
    match &sample.quantity.as_ref()?.value {
        Expr::Identifier(name) => number(&name.value),
        _ => None,
    }
}

/// The number of the clause that a mark in a FOR SHARE stands for.
pub(crate) fn of_lock(lock: &LockClause) -> Option<usize> {
    number(&lock.of.as_ref()?.0.first()?.as_ident()?.value)
}

fn number(name: &str) -> Option<usize> {
    name.strip_prefix(MARK)?.parse().ok()
}
