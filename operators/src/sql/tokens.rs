//! From text to statements: tokens with their places, Spark's strings and literals, and limits on what a parser is shown.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location as At, Span, Token, TokenWithSpan, Tokenizer, Word};

use crate::job_error::{JobError, Location};
use crate::sql::dialect::JobDialect;

/// Longest job file, in bytes.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most operators that may be in effect at once: bounds the depth of an expression's tree.
const CHAIN_MAX: usize = 500;

/// The tokens of one statement, without white space and comments, never empty.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    /// The tokens. Strings are in single quotes and unescaped.
    pub(crate) tokens: Vec<TokenWithSpan>,
    /// Where the statement ends.
    pub(crate) end: Location,
}

impl Tokens {
    /// Where the statement begins.
    pub(crate) fn start(&self) -> Location {
        self.tokens
            .first()
            .map_or(self.end, |token| place(token.span.start))
    }
}

/// A place as errors name it.
pub(crate) fn place(at: At) -> Location {
    Location {
        line: u32::try_from(at.line).unwrap_or(u32::MAX),
        column: u32::try_from(at.column).unwrap_or(u32::MAX),
    }
}

/// Whether a token is this unquoted word, in any case.
pub(crate) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// Splits the text into statements.
pub(crate) fn statements(text: &str) -> Result<Vec<Tokens>, JobError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(JobError::new(
            Location::default(),
            format!("the file has more than {TEXT_BYTES_MAX} bytes"),
        ));
    }
    let tokens = Tokenizer::new(&JobDialect, text)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| token_error(&error.message, place(error.location)))?;
    let mut all = Vec::new();
    let mut current: Vec<TokenWithSpan> = Vec::new();
    for token in tokens {
        match token.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => {
                let end = place(token.span.start);
                if !current.is_empty() {
                    all.push(statement(std::mem::take(&mut current), end)?);
                }
            }
            _ => current.push(token),
        }
    }
    if let Some(last) = current.last() {
        let end = place(last.span.end);
        all.push(statement(current, end)?);
    }
    Ok(all)
}

fn token_error(message: &str, at: Location) -> JobError {
    if message.starts_with("Unterminated string") {
        JobError::new(at, "the string that begins here has no closing quote")
            .help("write '' or \\' for a quote inside a string")
    } else if message.contains("multi-line comment") {
        JobError::new(at, "a comment is not closed").help("close it with */")
    } else if message.starts_with("Expected close delimiter") {
        JobError::new(at, "the quoted name that begins here has no closing `")
    } else {
        JobError::new(at, lower_first(message))
    }
}

/// The sentence with a small first letter.
pub(crate) fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn statement(tokens: Vec<TokenWithSpan>, end: Location) -> Result<Tokens, JobError> {
    let tokens = strings(tokens)?;
    limit(&tokens)?;
    Ok(Tokens { tokens, end })
}

/// Makes one kind of string of `'..'`, `".."` and `r'..'`, with Spark's escapes.
fn strings(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, JobError> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for mut token in tokens {
        let (raw, quote) = match &token.token {
            Token::SingleQuotedString(raw) => (raw, '\''),
            Token::DoubleQuotedString(raw) => (raw, '"'),
            Token::Char(c) => {
                return Err(JobError::new(
                    place(token.span.start),
                    format!("unexpected character `{}`", c.escape_debug()),
                ));
            }
            _ => {
                out.push(token);
                continue;
            }
        };
        let is_raw = out.last().is_some_and(|before| {
            before.span.end == token.span.start && is_word(&before.token, "r")
        });
        let text = if is_raw {
            if let Some(before) = out.pop() {
                token.span.start = before.span.start;
            }
            raw.clone()
        } else {
            unescape(raw, quote, place(token.span.start))?
        };
        token.token = Token::SingleQuotedString(text);
        out.push(token);
    }
    Ok(out)
}

/// Spark's escapes: `\n` and its kin, `\u0041`, `\U0001F600`, octal `\101`, a doubled quote; `\%` and `\_` stay for LIKE.
fn unescape(raw: &str, quote: char, at: Location) -> Result<String, JobError> {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        if c == quote && chars.peek() == Some(&quote) {
            chars.next();
            out.push(quote);
            continue;
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            None => out.push('\\'),
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('Z') => out.push('\u{1a}'),
            Some(c @ ('%' | '_')) => out.extend(['\\', c]),
            Some(c @ ('u' | 'U')) => {
                let digits: String = chars.clone().take(if c == 'u' { 4 } else { 8 }).collect();
                let complete = digits.len() == if c == 'u' { 4 } else { 8 };
                let code = complete
                    .then(|| {
                        u32::from_str_radix(&digits, 16)
                            .ok()
                            .and_then(char::from_u32)
                    })
                    .flatten();
                let Some(code) = code else {
                    return Err(JobError::new(
                        at,
                        format!("\\{c}{digits} in a string is not a character"),
                    )
                    .help("write \\uXXXX or \\UXXXXXXXX with the character's hexadecimal number"));
                };
                out.push(code);
                for _ in 0..digits.len() {
                    chars.next();
                }
            }
            Some(first @ '0'..='3') => {
                let rest: Vec<char> = chars.clone().take(2).collect();
                match rest.as_slice() {
                    [a @ '0'..='7', b @ '0'..='7'] => {
                        let digit = |c: char| c.to_digit(8).unwrap_or(0);
                        let code = digit(first) * 64 + digit(*a) * 8 + digit(*b);
                        out.extend(char::from_u32(code));
                        chars.next();
                        chars.next();
                    }
                    _ => out.push(if first == '0' { '\0' } else { first }),
                }
            }
            Some(other) => out.push(other),
        }
    }
    Ok(out)
}

/// Refuses what would make a tree deeper than the stack: operators in effect at once, over all open parentheses.
fn limit(tokens: &[TokenWithSpan]) -> Result<(), JobError> {
    let mut open: Vec<usize> = vec![0];
    let mut sum = 0;
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket => {
                open.push(1);
                sum += 1;
            }
            Token::RParen | Token::RBracket => {
                if open.len() > 1 {
                    sum -= open.pop().unwrap_or(0);
                }
                if let Some(count) = open.last_mut() {
                    *count += 1;
                    sum += 1;
                }
            }
            Token::Comma => {
                if let Some(count) = open.last_mut() {
                    sum -= std::mem::take(count);
                }
            }
            Token::Word(word) if clause(word.keyword) => {
                if let Some(count) = open.last_mut() {
                    sum -= std::mem::take(count);
                }
            }
            Token::Word(word) if !operator_word(word) => {}
            Token::Number(..) | Token::SingleQuotedString(_) | Token::HexStringLiteral(_) => {}
            Token::Period => {}
            _ => {
                if let Some(count) = open.last_mut() {
                    *count += 1;
                    sum += 1;
                }
            }
        }
        if sum > CHAIN_MAX {
            return Err(JobError::new(
                place(token.span.start),
                format!("nested too deeply: more than {CHAIN_MAX} operators and parentheses in one expression"),
            )
            .help("use a list (`IN (...)`), a function of several arguments, or a view for a part of it"));
        }
    }
    Ok(())
}

fn clause(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::SELECT
            | Keyword::FROM
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::WHEN
            | Keyword::THEN
    )
}

fn operator_word(word: &Word) -> bool {
    word.quote_style.is_none()
        && matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::BETWEEN
                | Keyword::DIV
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::CASE
        )
}

/// Rewrites what the parser does not know of Spark's literals: `1.5D`, `2BD`, `5Y` become casts, `INTERVAL 1 DAY 2 HOURS`
/// one string.
pub(crate) fn literals(tokens: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>, JobError> {
    let mut out = Vec::with_capacity(tokens.len() + 8);
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        if is_word(&token.token, "interval")
            && let Some((text, used)) = interval(&tokens[index + 1..])
        {
            let span = tokens[index + 1].span;
            out.push(token.clone());
            out.push(TokenWithSpan::new(Token::SingleQuotedString(text), span));
            index += 1 + used;
            continue;
        }
        if let Token::Number(number, false) = &token.token
            && let Some(TokenWithSpan {
                token: Token::Word(suffix),
                span,
            }) = tokens.get(index + 1)
            && span.start == token.span.end
            && suffix.quote_style.is_none()
        {
            suffixed(number, &suffix.value, token.span, &mut out)?;
            index += 2;
            continue;
        }
        out.push(token.clone());
        index += 1;
    }
    Ok(out)
}

fn suffixed(
    number: &str,
    suffix: &str,
    span: Span,
    out: &mut Vec<TokenWithSpan>,
) -> Result<(), JobError> {
    let whole = number.bytes().all(|b| b.is_ascii_digit());
    let target = match (suffix.to_ascii_uppercase().as_str(), whole) {
        ("Y", true) => "TINYINT".to_owned(),
        ("S", true) => "SMALLINT".to_owned(),
        ("F", _) => "FLOAT".to_owned(),
        ("D", _) => "DOUBLE".to_owned(),
        ("BD", _) => decimal_of(number),
        _ => {
            return Err(JobError::new(
                place(span.start),
                format!("`{number}{suffix}` is not a number"),
            )
            .help("the suffixes of numbers are L, S, Y, F, D and BD"));
        }
    };
    let word = |text: &str| Token::make_word(text, None);
    let mut tokens = vec![
        word("CAST"),
        Token::LParen,
        Token::Number(number.to_owned(), false),
        word("AS"),
    ];
    match target.split_once('(') {
        Some((name, digits)) => {
            let (precision, scale) = digits
                .trim_end_matches(')')
                .split_once(',')
                .unwrap_or((digits, "0"));
            tokens.extend([
                word(name),
                Token::LParen,
                Token::Number(precision.to_owned(), false),
                Token::Comma,
                Token::Number(scale.to_owned(), false),
                Token::RParen,
            ]);
        }
        None => tokens.push(word(&target)),
    }
    tokens.push(Token::RParen);
    out.extend(
        tokens
            .into_iter()
            .map(|token| TokenWithSpan::new(token, span)),
    );
    Ok(())
}

/// The smallest decimal type that holds the literal.
fn decimal_of(number: &str) -> String {
    let (mantissa, _) = number.split_once(['e', 'E']).unwrap_or((number, ""));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = whole.trim_start_matches('0').len() + fraction.len();
    let scale = fraction.len();
    format!("DECIMAL({},{scale})", digits.max(scale).max(1))
}

/// `1 DAY 2 HOURS` after INTERVAL, at least two pairs: their text and how many tokens it takes.
fn interval(tokens: &[TokenWithSpan]) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut used = 0;
    let mut pairs = 0;
    loop {
        let rest = &tokens[used..];
        let (sign, rest_after) = match rest.first().map(|t| &t.token) {
            Some(Token::Minus) => ("-", &rest[1..]),
            Some(Token::Plus) => ("", &rest[1..]),
            _ => ("", rest),
        };
        let number = match rest_after.first().map(|t| &t.token) {
            Some(Token::Number(number, false)) => number,
            Some(Token::SingleQuotedString(number)) if number.trim().parse::<f64>().is_ok() => {
                number
            }
            _ => break,
        };
        let Some(Token::Word(unit)) = rest_after.get(1).map(|t| &t.token) else {
            break;
        };
        if unit.quote_style.is_some() || !unit_word(&unit.value) {
            break;
        }
        text.push_str(&format!(
            "{}{sign}{number} {}",
            if pairs > 0 { " " } else { "" },
            unit.value
        ));
        used += rest.len() - rest_after.len() + 2;
        pairs += 1;
    }
    (pairs >= 2).then_some((text, used))
}

fn unit_word(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let word = word.strip_suffix('s').unwrap_or(&word);
    matches!(
        word,
        "year"
            | "month"
            | "week"
            | "day"
            | "hour"
            | "minute"
            | "second"
            | "millisecond"
            | "microsecond"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let all = statements(text).unwrap();
        literals(&all[0].tokens)
            .unwrap()
            .iter()
            .map(|token| token.token.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn strings_are_read_with_sparks_escapes() {
        let text = |sql: &str| match &statements(sql).unwrap()[0].tokens[0].token {
            Token::SingleQuotedString(text) => text.clone(),
            other => panic!("{other}"),
        };
        assert_eq!(text(r"'a\'b'"), "a'b");
        assert_eq!(text("'a''b'"), "a'b");
        assert_eq!(text(r"'\u0041\t\101\%\d'"), "A\tA\\%d");
        assert_eq!(text("\"double\""), "double");
        assert_eq!(text(r"r'\d+'"), r"\d+");
    }

    #[test]
    fn suffixed_numbers_become_casts() {
        assert_eq!(shown("1.5D"), "CAST ( 1.5 AS DOUBLE )");
        assert_eq!(shown("2BD"), "CAST ( 2 AS DECIMAL ( 1 , 0 ) )");
        assert_eq!(shown("12.50BD"), "CAST ( 12.50 AS DECIMAL ( 4 , 2 ) )");
        assert_eq!(shown("7L"), "7L");
        assert_eq!(
            literals(&statements("10s3").unwrap()[0].tokens)
                .unwrap_err()
                .help
                .as_deref(),
            Some("the suffixes of numbers are L, S, Y, F, D and BD")
        );
    }

    #[test]
    fn an_interval_of_several_units_becomes_one_string() {
        assert_eq!(shown("INTERVAL 1 DAY 2 HOURS"), "INTERVAL '1 DAY 2 HOURS'");
        assert_eq!(shown("INTERVAL 10 MINUTES"), "INTERVAL 10 MINUTES");
    }

    #[test]
    fn an_open_quote_is_reported_where_it_begins() {
        let error = statements("SELECT 1;\nSELECT 'abc\nFROM t").unwrap_err();
        assert_eq!(error.at, Location { line: 2, column: 8 });
        assert!(
            error.message.contains("no closing quote"),
            "{}",
            error.message
        );
    }

    #[test]
    fn statements_end_at_semicolons_outside_strings_and_comments() {
        let all = statements("SET a = ';'; -- ;\n/* ; */ SELECT 1;;").unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].start(), Location { line: 2, column: 9 });
    }

    #[test]
    fn a_chain_that_would_overflow_the_stack_is_refused() {
        let long = format!("SELECT 1{}", " + 1".repeat(5000));
        assert!(
            statements(&long)
                .unwrap_err()
                .message
                .contains("nested too deeply")
        );
        let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
        assert!(
            statements(&deep)
                .unwrap_err()
                .message
                .contains("nested too deeply")
        );
        let list = format!("SELECT x IN ({}1)", "1, ".repeat(5000));
        assert!(statements(&list).is_ok());
    }
}
