//! What to write where the parser met something it did not expect.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::job_error::{JobError, nearest};
use crate::sql::tokens::place;

pub(super) const SEMICOLON: &str = "a statement ends with `;`";

/// Words of the language that an alias is easily taken for when they are misspelt.
const KEYWORDS: [&str; 24] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "JOIN",
    "INNER",
    "UNION",
    "ALL",
    "LATERAL",
    "VIEW",
    "WATERMARK",
    "DELAY",
    "BETWEEN",
    "LIKE",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "INTERVAL",
    "EXCEPT",
    "WITH",
];

/// Whether a token is the first word of a statement.
pub(super) fn begins_a_statement(token: &Token) -> bool {
    keyword(token).is_some_and(|word| {
        matches!(
            word,
            Keyword::CREATE | Keyword::INSERT | Keyword::SELECT | Keyword::SET
        )
    })
}

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// The word among these tokens that is nearly the wanted one.
pub(super) fn misspelt(tokens: &[TokenWithSpan], wanted: &'static str) -> Option<String> {
    tokens
        .iter()
        .find_map(|token| near(&token.token, &[wanted]))
}

fn near(token: &Token, known: &[&'static str]) -> Option<String> {
    match token {
        Token::Word(word) if word.keyword == Keyword::NoKeyword => {
            let found = nearest(&word.value, known.iter().copied())?;
            Some(format!(
                "did you mean `{found}` instead of `{}`?",
                word.value
            ))
        }
        _ => None,
    }
}

/// What the parser's text means where a token is no operator between expressions.
pub(super) fn no_operator(text: &str, tokens: &[TokenWithSpan], found: usize) -> Option<String> {
    let token = tokens
        .get(found)
        .filter(|_| text.starts_with("no infix parser"))?;
    Some(format!("`{}` is no operator", token.token))
}

/// What to write instead of the token that was found.
pub(super) fn of(tokens: &[TokenWithSpan], found: usize) -> Option<String> {
    let around = &tokens[found.saturating_sub(1).min(tokens.len())..tokens.len().min(found + 1)];
    let mut around = around.iter();
    let word = around.find_map(|token| near(&token.token, &KEYWORDS));
    word.or_else(|| instead(tokens, found).map(str::to_owned))
}

fn instead(tokens: &[TokenWithSpan], found: usize) -> Option<&'static str> {
    let token = |index: usize| tokens.get(index).map(|token| &token.token);
    let before = found.checked_sub(1).and_then(token);
    let here = token(found)?;
    match (before, here, token(found + 1)) {
        (_, Token::Period, Some(Token::Mul)) => Some(
            "name the struct in a subquery, and take its fields there: SELECT d.* FROM (SELECT from_json(...) AS d FROM t)",
        ),
        (_, Token::Overlap, _) => Some("write AND"),
        (Some(Token::Comma), Token::Word(word), _) if word.keyword == Keyword::FROM => {
            Some("remove the comma before FROM, or write a column between")
        }
        (Some(Token::Word(word)), _, _) if word.keyword == Keyword::IN => {
            Some("write IN ('a', 'b'), or IN (SELECT a FROM t)")
        }
        (_, Token::Word(word), _) if word.keyword == Keyword::INTO => Some(SEMICOLON),
        (_, Token::Word(_), Some(Token::Word(next))) if next.keyword == Keyword::INTO => {
            Some(SEMICOLON)
        }
        _ => None,
    }
}

/// A CASE that has no END: where it stands.
pub(super) fn open_case(tokens: &[TokenWithSpan]) -> Option<JobError> {
    let mut open = Vec::new();
    let mut before = None;
    for token in tokens {
        match keyword(&token.token) {
            _ if before == Some(&Token::Period) => {}
            Some(Keyword::CASE) => open.push(place(token.span.start)),
            Some(Keyword::END) => drop(open.pop()),
            _ => {}
        }
        before = Some(&token.token);
    }
    open.pop().map(|at| {
        JobError::new(at, "this CASE has no END")
            .help("write CASE WHEN condition THEN value ELSE value END")
    })
}
