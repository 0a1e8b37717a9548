//! Syntax that the parser lacks and a dialect's hook adds: number suffixes, `exists(array, lambda)`, and intervals of
//! several units.

use sqlparser::ast::{
    CastKind, DataType, DateTimeField, Expr, ExtractSyntax, Ident, Interval, ObjectName,
    TimezoneInfo, TrimWhereField, TypedString, UnaryOperator, Value,
};
use sqlparser::ast::{
    Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentList,
    FunctionArguments,
};
use sqlparser::dialect::{Dialect, Precedence, SparkSqlDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{IsOptional, Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::models;
use crate::sql::excepted;

const SPARK: SparkSqlDialect = SparkSqlDialect {};

/// Parses an expression that begins here, if it is one of the forms that the parser does not know; for
/// `Dialect::parse_prefix`.
///
/// A number with a suffix comes out as a number whose text ends with it: `1.5D`, `2BD`, `1S`, `1Y`, `1.5F`.
/// `exists(array, x -> ...)` comes out as a function; an interval of several units as one of a text without unit.
pub fn parse_prefix(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let first = parser.peek_token();
    match &first.token {
        Token::SingleQuotedString(_) => strings(parser),
        Token::Number(digits, false) => suffixed(parser, &first, digits),
        Token::Minus => signed(parser),
        Token::Tilde => Some(complement(parser)),
        Token::Word(word) if word.keyword == Keyword::EXTRACT => extract(parser),
        Token::Word(word) if word.keyword == Keyword::TRIM => trim(parser),
        Token::Word(word) if word.value.eq_ignore_ascii_case("TIMESTAMP_LTZ") => zoned(parser),
        Token::Word(word) if word.keyword == Keyword::EXISTS => exists(parser, &first),
        Token::Word(word) if word.keyword == Keyword::NOT => not_exists(parser),
        Token::Word(word) if word.keyword == Keyword::INTERVAL => interval(parser),
        Token::Word(word) if word.keyword == Keyword::STRUCT => structure(parser),
        Token::Word(word) if word.keyword == Keyword::SOME => like_some(parser, &first),
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("x") => {
            bytes(parser, &first)
        }
        Token::Word(word) if is_scoring(&word.value) => scoring(parser, &first),
        _ => None,
    }
}

/// Strings side by side, which are one.
fn strings(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    if !matches!(parser.peek_nth_token(1).token, Token::SingleQuotedString(_)) {
        return None;
    }
    let span = parser.peek_token().span;
    let mut whole = String::new();
    while let Token::SingleQuotedString(part) = &parser.peek_token().token {
        whole.push_str(part);
        parser.next_token();
    }
    let whole = Value::SingleQuotedString(whole);
    Some(Ok(Expr::Value(whole.with_span(span))))
}

/// `SOME ('a%', 'b%')` behind LIKE, which is no aggregate: it comes out as a call of [`LIKE_SOME`].
fn like_some(parser: &mut Parser<'_>, some: &TokenWithSpan) -> Option<Result<Expr, ParserError>> {
    let behind = matches!(&parser.get_current_token().token, Token::Word(word)
        if matches!(word.keyword, Keyword::LIKE | Keyword::ILIKE));
    if !behind || parser.peek_nth_token(1).token != Token::LParen {
        return None;
    }
    parser.next_token();
    parser.next_token();
    let patterns = parser.parse_comma_separated(Parser::parse_expr);
    Some(patterns.and_then(|patterns| {
        parser.expect_token(&Token::RParen)?;
        Ok(call(Ident::with_span(some.span, LIKE_SOME), patterns))
    }))
}

/// What the patterns of LIKE SOME are the arguments of.
pub(crate) const LIKE_SOME: &str = "like_some";

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

/// `-5::STRING`: the sign belongs to the number, and the cast comes after it.
fn signed(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let number = parser.peek_nth_token(1);
    let Token::Number(digits, _) = &number.token else {
        return None;
    };
    let next = parser.peek_nth_token(2);
    let suffix = matches!(&next.token, Token::Word(_)) && adjacent(&number, &next);
    let cast = parser.peek_nth_token(2 + usize::from(suffix));
    if cast.token != Token::DoubleColon {
        return None;
    }
    parser.next_token();
    let number = match suffixed(parser, &number, digits) {
        Some(number) => number,
        None => parser.parse_value().map(Expr::Value),
    };
    Some(number.map(|number| unary(UnaryOperator::Minus, number)))
}

/// `X '1F'` with a blank between, which the tokenizer takes for two words.
fn bytes(parser: &mut Parser<'_>, x: &TokenWithSpan) -> Option<Result<Expr, ParserError>> {
    let Token::SingleQuotedString(digits) = parser.peek_nth_token(1).token else {
        return None;
    };
    parser.next_token();
    parser.next_token();
    let bytes = Value::HexStringLiteral(digits);
    Some(Ok(Expr::Value(bytes.with_span(x.span))))
}

/// `TIMESTAMP_LTZ '...'`, which is `TIMESTAMP '...'`.
fn zoned(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    if !matches!(parser.peek_nth_token(1).token, Token::SingleQuotedString(_)) {
        return None;
    }
    parser.next_token();
    Some(parser.parse_value().map(|value| {
        Expr::TypedString(TypedString {
            data_type: DataType::Timestamp(None, TimezoneInfo::None),
            value,
            uses_odbc_syntax: false,
        })
    }))
}

/// `EXTRACT(field FROM x)`: the field as it is written, which the name of the column has too.
fn extract(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let Token::Word(field) = parser.peek_nth_token(2).token else {
        return None;
    };
    if parser.peek_nth_token(1).token != Token::LParen || !is_from(parser, 3) {
        return None;
    }
    Some(last_argument(parser, 4).map(|expr| Expr::Extract {
        field: DateTimeField::Custom(Ident::new(field.value)),
        syntax: ExtractSyntax::From,
        expr,
    }))
}

/// `TRIM(TRAILING FROM x)`.
fn trim(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let Token::Word(side) = parser.peek_nth_token(2).token else {
        return None;
    };
    let trim_where = match side.keyword {
        Keyword::BOTH => TrimWhereField::Both,
        Keyword::LEADING => TrimWhereField::Leading,
        Keyword::TRAILING => TrimWhereField::Trailing,
        _ => return None,
    };
    if parser.peek_nth_token(1).token != Token::LParen || !is_from(parser, 3) {
        return None;
    }
    Some(last_argument(parser, 4).map(|expr| Expr::Trim {
        trim_where: Some(trim_where),
        trim_what: None,
        expr,
        trim_characters: None,
    }))
}

fn is_from(parser: &Parser<'_>, place: usize) -> bool {
    matches!(&parser.peek_nth_token(place).token, Token::Word(word) if word.keyword == Keyword::FROM)
}

/// The expression after so many tokens, and the parenthesis behind it.
fn last_argument(parser: &mut Parser<'_>, skipped: usize) -> Result<Box<Expr>, ParserError> {
    for _ in 0..skipped {
        parser.next_token();
    }
    let expr = parser.parse_expr()?;
    parser.expect_token(&Token::RParen)?;
    Ok(Box::new(expr))
}

/// Parses what stands behind an expression, if the parser does not know it; for `Dialect::parse_infix`.
///
/// `a >>> b` comes out as `shiftrightunsigned(a, b)`.
pub fn parse_infix(
    parser: &mut Parser<'_>,
    left: &Expr,
    precedence: u8,
) -> Option<Result<Expr, ParserError>> {
    let (first, last) = (parser.peek_token(), parser.peek_nth_token(1));
    if matches!(&first.token, Token::Word(word) if word.keyword == Keyword::COLLATE) {
        parser.next_token();
        return Some(
            parser
                .parse_object_name(false)
                .map(|collation| Expr::Collate {
                    expr: Box::new(left.clone()),
                    collation,
                }),
        );
    }
    if first.token == Token::DoubleColon {
        parser.next_token();
        return Some(cast(parser, left.clone()));
    }
    if first.token != Token::ShiftRight || last.token != Token::Gt || !adjacent(&first, &last) {
        return None;
    }
    parser.next_token();
    parser.next_token();
    let right = parser.parse_subexpr(precedence);
    let name = Ident::with_span(first.span, "shiftrightunsigned");
    Some(right.map(|right| call(name, vec![left.clone(), right])))
}

/// `x::ARRAY<INT>[0]`: what stands behind the type is of the value.
fn cast(parser: &mut Parser<'_>, expr: Expr) -> Result<Expr, ParserError> {
    let cast = Expr::Cast {
        kind: CastKind::DoubleColon,
        expr: Box::new(expr),
        data_type: parser.parse_data_type()?,
        format: None,
    };
    parser.parse_compound_expr(cast, Vec::new())
}

fn exists(parser: &mut Parser<'_>, name: &TokenWithSpan) -> Option<Result<Expr, ParserError>> {
    if parser.peek_nth_token(1).token != Token::LParen || begins_query(parser, 2) {
        return None;
    }
    parser.next_token();
    parser.next_token();
    let args = parser
        .parse_comma_separated(Parser::parse_expr)
        .and_then(|args| parser.expect_token(&Token::RParen).map(|_| args));
    Some(args.map(|args| call(Ident::with_span(name.span, "exists"), args)))
}

/// `NOT exists(array, x -> ...)`, which the parser takes for one of a subquery.
fn not_exists(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let exists = matches!(&parser.peek_nth_token(1).token, Token::Word(word) if word.keyword == Keyword::EXISTS);
    if !exists || parser.peek_nth_token(2).token != Token::LParen || begins_query(parser, 3) {
        return None;
    }
    parser.next_token();
    let inner = parser.parse_subexpr(SPARK.prec_value(Precedence::UnaryNot));
    Some(inner.map(|inner| unary(UnaryOperator::Not, inner)))
}

/// Whether a subquery begins at this place, also in parentheses of its own.
fn begins_query(parser: &Parser<'_>, mut place: usize) -> bool {
    while parser.peek_nth_token(place).token == Token::LParen {
        place += 1;
    }
    matches!(&parser.peek_nth_token(place).token, Token::Word(word)
        if matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES))
}

/// `~a * b` is `(~a) * b`.
fn complement(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    parser.next_token();
    let inner = parser.parse_subexpr(SPARK.prec_value(Precedence::MulDivModOp));
    inner.map(|inner| unary(UnaryOperator::BitwiseNot, inner))
}

fn unary(op: UnaryOperator, expr: Expr) -> Expr {
    Expr::UnaryOp {
        op,
        expr: Box::new(expr),
    }
}

/// `struct(*)`, `struct(t.* EXCEPT (y), x AS name, y other)`: the parser takes neither stars nor names without AS there.
fn structure(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    if parser.peek_nth_token(1).token != Token::LParen {
        return None;
    }
    parser.next_token();
    parser.next_token();
    let values = parser
        .parse_comma_separated(|parser| {
            let expr = parser.parse_wildcard_expr()?;
            let star = matches!(expr, Expr::Wildcard(_) | Expr::QualifiedWildcard(..));
            if star && parser.parse_keyword(Keyword::EXCEPT) {
                let names = parser.parse_parenthesized_column_list(IsOptional::Mandatory, false)?;
                return Ok(excepted::star(expr, &names));
            }
            // Behind a value only its name can be a word.
            let named = matches!(parser.peek_token_ref().token, Token::Word(_));
            if !parser.parse_keyword(Keyword::AS) && !named {
                return Ok(expr);
            }
            Ok(Expr::Named {
                expr: Box::new(expr),
                name: parser.parse_identifier()?,
            })
        })
        .and_then(|values| parser.expect_token(&Token::RParen).map(|_| values));
    Some(values.map(|values| Expr::Struct {
        values,
        fields: Vec::new(),
    }))
}

fn is_scoring(name: &str) -> bool {
    models::is_model_call(&name.to_ascii_lowercase())
}

/// `predict(...) FALLBACK value`: the fallback becomes an argument of that name.
fn scoring(parser: &mut Parser<'_>, name: &TokenWithSpan) -> Option<Result<Expr, ParserError>> {
    let Token::Word(word) = &name.token else {
        return None;
    };
    if parser.peek_nth_token(1).token != Token::LParen {
        return None;
    }
    parser.next_token();
    let ident = Ident::with_span(name.span, word.value.clone());
    let called = parser.parse_function(ObjectName::from(vec![ident]));
    Some(called.and_then(|called| fallback(parser, called)))
}

/// Binds tighter than every operator: what may follow a value.
const VALUE: u8 = 45;

fn fallback(parser: &mut Parser<'_>, mut called: Expr) -> Result<Expr, ParserError> {
    let next = parser.peek_token();
    let follows = matches!(&next.token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(models::FALLBACK));
    let Expr::Function(Function {
        args: FunctionArguments::List(list),
        ..
    }) = &mut called
    else {
        return Ok(called);
    };
    if !follows {
        return Ok(called);
    }
    parser.next_token();
    let value = parser.parse_subexpr(VALUE)?;
    let operator = parser.peek_token();
    let calculates = matches!(
        operator.token,
        Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat
    );
    if calculates {
        return parser.expected_ref(
            "the FALLBACK in parentheses, if it is more than one value",
            parser.peek_token_ref(),
        );
    }
    list.args.push(FunctionArg::Named {
        name: Ident::with_span(next.span, models::FALLBACK),
        arg: FunctionArgExpr::Expr(value),
        operator: FunctionArgOperator::RightArrow,
    });
    Ok(called)
}

fn call(name: Ident, args: Vec<Expr>) -> Expr {
    let args = args
        .into_iter()
        .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)))
        .collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
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
}

/// `INTERVAL 1 DAY 2 HOURS`; anything shorter is left to the parser.
fn interval(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let mut text = String::new();
    let mut place = 1;
    let mut units = 0;
    let first = parser.peek_nth_token(1);
    let signed = matches!(first.token, Token::Plus | Token::Minus);
    let counts =
        matches!(&parser.peek_nth_token(3).token, Token::Word(word) if is_unit(&word.value));
    let sum = signed
        && !counts
        && matches!(
            parser.peek_nth_token(2).token,
            Token::Number(..) | Token::Word(_)
        );
    if sum || is_behind_a_name(&first.token) {
        let name = parser.next_token();
        return Some(Ok(Expr::Identifier(Ident::with_span(
            name.span,
            name.token.to_string(),
        ))));
    }
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

/// Whether what follows INTERVAL begins no value, so that a column is called so.
fn is_behind_a_name(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AS
                | Keyword::FROM
                | Keyword::IS
                | Keyword::IN
                | Keyword::NOT
                | Keyword::BETWEEN
                | Keyword::LIKE
                | Keyword::AND
                | Keyword::OR
                | Keyword::THEN
                | Keyword::ELSE
                | Keyword::END
                | Keyword::WHEN
                | Keyword::WHERE
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::ORDER
                | Keyword::LIMIT
                | Keyword::ASC
                | Keyword::DESC
                | Keyword::UNION
                | Keyword::JOIN
                | Keyword::LEFT
        ),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::LParen
        | Token::Minus
        | Token::Plus => false,
        _ => true,
    }
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn is_unit(word: &str) -> bool {
    crate::expr::interval::unit(word).is_some()
}
