//! Words that the parser knows of other dialects, and that Spark has for names only.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Words that begin no clause of the language and are none of its operators.
const NAMES: [Keyword; 21] = [
    Keyword::ANALYZE,
    Keyword::ASOF,
    Keyword::CONNECT,
    Keyword::EXPLAIN,
    Keyword::FORMAT,
    Keyword::GLOB,
    Keyword::GLOBAL,
    Keyword::MATCH,
    Keyword::MEMBER,
    Keyword::OPEN,
    Keyword::OPERATOR,
    Keyword::OUTPUT,
    Keyword::OVERLAPS,
    Keyword::PREWHERE,
    Keyword::RETURNING,
    Keyword::SAMPLE,
    Keyword::SETTINGS,
    Keyword::SIMILAR,
    Keyword::START,
    Keyword::TOP,
    Keyword::XOR,
];

/// Makes names of them, so that `SELECT top, v member FROM t` is what it is in Spark.
pub(super) fn named(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for token in &mut tokens {
        if let Token::Word(word) = &mut token.token
            && NAMES.contains(&word.keyword)
        {
            word.keyword = Keyword::NoKeyword;
        }
    }
    tokens
}
