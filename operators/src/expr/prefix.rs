//! Syntax that the parser lacks and a dialect's hook adds: number suffixes, `exists(array, lambda)`, and intervals of
//! several units.

use sqlparser::ast::{Expr, Ident, Interval, ObjectName, Value};
use sqlparser::ast::{
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Parses an expression that begins here, if it is one of the forms that the parser does not know; for
/// `Dialect::parse_prefix`.
///
/// A number with a suffix comes out as a number whose text ends with it: `1.5D`, `2BD`, `1S`, `1Y`, `1.5F`.
/// `exists(array, x -> ...)` comes out as a function; an interval of several units as one of a text without unit.
pub fn parse_prefix(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let first = parser.peek_token();
    match &first.token {
        Token::Number(digits, false) => suffixed(parser, &first, digits),
        Token::Word(word) if word.keyword == Keyword::EXISTS => exists(parser, &first),
        Token::Word(word) if word.keyword == Keyword::INTERVAL => interval(parser),
        _ => None,
    }
}

/// Whether two tokens touch.
fn adjacent(first: &TokenWithSpan, second: &TokenWithSpan) -> bool {
    first.span.end == second.span.start
}

fn suffixed(
    parser: &mut Parser<'_>,
    number: &TokenWithSpan,
    digits: &str,
) -> Option<Result<Expr, ParserError>> {
    let next = parser.peek_nth_token(1);
    let Token::Word(word) = &next.token else {
        return None;
    };
    let known = ["D", "F", "S", "Y", "BD"]
        .iter()
        .any(|suffix| word.value.eq_ignore_ascii_case(suffix));
    if !known || word.quote_style.is_some() || !adjacent(number, &next) {
        return None;
    }
    let text = format!("{digits}{}", word.value.to_ascii_uppercase());
    parser.next_token();
    parser.next_token();
    Some(Ok(Expr::Value(
        Value::Number(text, false).with_span(number.span),
    )))
}

fn exists(parser: &mut Parser<'_>, name: &TokenWithSpan) -> Option<Result<Expr, ParserError>> {
    if parser.peek_nth_token(1).token != Token::LParen {
        return None;
    }
    if let Token::Word(word) = &parser.peek_nth_token(2).token
        && matches!(
            word.keyword,
            Keyword::SELECT | Keyword::WITH | Keyword::VALUES
        )
    {
        return None;
    }
    parser.next_token();
    parser.next_token();
    let args = parser
        .parse_comma_separated(Parser::parse_expr)
        .and_then(|args| parser.expect_token(&Token::RParen).map(|_| args));
    Some(args.map(|args| {
        let args = args
            .into_iter()
            .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)))
            .collect();
        Expr::Function(Function {
            name: ObjectName::from(vec![Ident::with_span(name.span, "exists")]),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                args,
                clauses: vec![],
            }),
            within_group: vec![],
            filter: None,
            null_treatment: None,
            over: None,
        })
    }))
}

/// `INTERVAL 1 DAY 2 HOURS`; anything shorter is left to the parser.
fn interval(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let mut text = String::new();
    let mut place = 1;
    let mut units = 0;
    let first = parser.peek_nth_token(1);
    loop {
        let mut token = parser.peek_nth_token(place).token;
        let minus = token == Token::Minus;
        if minus {
            token = parser.peek_nth_token(place + 1).token;
        }
        let number = match token {
            Token::Number(digits, false) => digits,
            Token::SingleQuotedString(text) if is_number(&text) => text,
            _ => break,
        };
        let unit_place = place + 1 + usize::from(minus);
        let Token::Word(unit) = parser.peek_nth_token(unit_place).token else {
            break;
        };
        if !is_unit(&unit.value) {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        if minus {
            text.push('-');
        }
        text.push_str(&number);
        text.push(' ');
        text.push_str(&unit.value);
        units += 1;
        place = unit_place + 1;
    }
    if units < 2 {
        return None;
    }
    for _ in 0..place {
        parser.next_token();
    }
    Some(Ok(Expr::Interval(Interval {
        value: Box::new(Expr::Value(
            Value::SingleQuotedString(text).with_span(first.span),
        )),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })))
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn is_unit(word: &str) -> bool {
    crate::expr::interval::unit(word).is_some()
}
