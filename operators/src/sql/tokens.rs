//! From text to statements: tokens with their places, Spark's strings and literals, and limits on what a parser is shown.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location as At, Token, TokenWithSpan, Tokenizer, Word};

use crate::job_error::{JobError, Location};
use crate::sql::dialect::JobDialect;
use crate::sql::excepted;
use crate::sql::field_notes;
use crate::sql::plain_names;
use crate::sql::quotes;
use crate::stateful::accumulators;

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
    let (shown, backslash) = quotes::raw_shown(text);
    let tokens = Tokenizer::new(&JobDialect, &shown)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| token_error(text, &error.message, place(error.location)))?;
    let mut all = Vec::new();
    let mut current: Vec<TokenWithSpan> = Vec::new();
    for token in tokens {
        match token.token {
            Token::Whitespace(_) | Token::EOF => {}
            Token::SemiColon => {
                let end = place(token.span.start);
                if !current.is_empty() {
                    all.push(statement(std::mem::take(&mut current), end, backslash)?);
                }
            }
            _ => current.push(token),
        }
    }
    if let Some(last) = current.last() {
        let end = place(last.span.end);
        all.push(statement(current, end, backslash)?);
    }
    Ok(all)
}

fn token_error(text: &str, message: &str, at: Location) -> JobError {
    if message.starts_with("Unterminated string") {
        let earlier = quotes::over_lines(text).filter(|line| *line < at.line);
        JobError::new(at, "the string that begins here has no closing quote")
            .or_help(earlier.map(quotes::missing))
            .or_help(Some("write '' or \\' for a quote inside a string"))
    } else if message.contains("multi-line comment") {
        JobError::new(
            last_comment(text).unwrap_or(at),
            "the comment that begins here is not closed",
        )
        .help("close it with */")
    } else if message.starts_with("Expected close delimiter") {
        JobError::new(at, "the quoted name that begins here has no closing `")
    } else {
        JobError::new(at, lower_first(message))
    }
}

/// Where the last comment begins.
fn last_comment(text: &str) -> Option<Location> {
    let before = &text[..text.rfind("/*")?];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    Some(Location {
        line: u32::try_from(line).ok()?,
        column: u32::try_from(column).ok()?,
    })
}

/// The sentence with a small first letter.
pub(crate) fn lower_first(message: &str) -> String {
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn statement(
    tokens: Vec<TokenWithSpan>,
    end: Location,
    backslash: char,
) -> Result<Tokens, JobError> {
    let tokens = field_notes::left_out(strings(tokens, backslash)?);
    let tokens = plain_names::named(excepted::joined(tokens));
    balance(&tokens)?;
    limit(&tokens)?;
    Ok(Tokens { tokens, end })
}

/// Makes one kind of string of `'..'`, `".."` and `r'..'`, with Spark's escapes; a doubled backtick in a quoted name is one.
/// `backslash` is what stands for one in `r'..'`.
fn strings(tokens: Vec<TokenWithSpan>, backslash: char) -> Result<Vec<TokenWithSpan>, JobError> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for mut token in tokens {
        let (raw, quote) = match &token.token {
            Token::SingleQuotedString(raw) => (raw, '\''),
            Token::DoubleQuotedString(raw) => (raw, '"'),
            Token::Word(name) if name.quote_style == Some('`') && name.value.contains("``") => {
                let value = name.value.replace("``", "`");
                token.token = Token::Word(Word {
                    value,
                    ..name.clone()
                });
                out.push(token);
                continue;
            }
            Token::Word(suffix) if suffix.quote_style.is_none() && suffix.value == "l" => {
                // The tokenizer itself knows 1L only.
                match out.last_mut() {
                    Some(TokenWithSpan {
                        token: Token::Number(_, long @ false),
                        span,
                    }) if span.end == token.span.start => {
                        *long = true;
                        span.end = token.span.end;
                    }
                    _ => out.push(token),
                }
                continue;
            }
            Token::Char(c) => {
                return Err(JobError::new(
                    place(token.span.start),
                    format!("unexpected character `{}`", c.escape_debug()),
                )
                .help(
                    "a name with other characters than letters, digits and _ stands in backticks",
                ));
            }
            _ => {
                out.push(token);
                continue;
            }
        };
        let prefix = out.pop_if(|before| {
            before.span.end == token.span.start
                && (is_word(&before.token, "r") || is_word(&before.token, "x"))
        });
        if let Some(prefix) = &prefix {
            token.span.start = prefix.span.start;
        }
        let is = |word| prefix.as_ref().is_some_and(|p| is_word(&p.token, word));
        if is("x") {
            // The tokenizer itself knows x'1F' only.
            token.token = Token::HexStringLiteral(raw.clone());
            out.push(token);
            continue;
        }
        let text = if is("r") {
            // It ends at its first quote: behind a doubled one another string begins, which is of the same text.
            let (raw, rest) = raw
                .split_once(&format!("{quote}{quote}"))
                .unwrap_or((raw, ""));
            let raw = raw.replace(backslash, "\\");
            raw + &unescape(rest, quote, place(token.span.start))?
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

/// Refuses parentheses that do not match: the parser would complain about something far from them.
fn balance(tokens: &[TokenWithSpan]) -> Result<(), JobError> {
    let mut open: Vec<&TokenWithSpan> = Vec::new();
    for token in tokens {
        let opening = match token.token {
            Token::LParen | Token::LBracket => {
                open.push(token);
                continue;
            }
            Token::RParen => Token::LParen,
            Token::RBracket => Token::LBracket,
            _ => continue,
        };
        let at = place(token.span.start);
        match open.pop() {
            Some(last) if last.token == opening => {}
            Some(last) => {
                let message = format!("`{}` closes the `{}` before it", token.token, last.token);
                return Err(JobError::new(at, message));
            }
            None => {
                return Err(JobError::new(
                    at,
                    format!("`{}` closes nothing", token.token),
                ));
            }
        }
    }
    match open.last() {
        Some(last) => Err(JobError::new(
            place(last.span.start),
            format!("this `{}` is not closed", last.token),
        )),
        None => Ok(()),
    }
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

/// Windows of time.
const WINDOWS: [&str; 3] = ["window", "session_window", "window_time"];

/// Functions over several rows, and those of models.
const AGGREGATES: &[&str] = &[
    "any_value",
    "approx_count_distinct",
    "approx_percentile",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "collect_list",
    "collect_set",
    "corr",
    "count",
    "count_if",
    "count_min_sketch",
    "covar_pop",
    "covar_samp",
    "every",
    "first",
    "first_value",
    "histogram_numeric",
    "kurtosis",
    "last",
    "last_value",
    "listagg",
    "max",
    "max_by",
    "mean",
    "median",
    "min",
    "min_by",
    "mode",
    "percentile",
    "percentile_approx",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_slope",
    "session_window",
    "skewness",
    "some",
    "std",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "try_avg",
    "try_sum",
    "var_pop",
    "var_samp",
    "variance",
    "window",
    "window_time",
];

/// The first call of a function over several rows that there is not yet: what it is called and where it stands.
pub(crate) fn over_rows(tokens: &[TokenWithSpan]) -> Option<(String, Location)> {
    tokens.iter().enumerate().find_map(|(index, token)| {
        let Token::Word(word) = &token.token else {
            return None;
        };
        let before = index
            .checked_sub(1)
            .and_then(|i| tokens.get(i))
            .map(|t| &t.token);
        let after = tokens.get(index + 1).map(|t| &t.token);
        let at = place(token.span.start);
        let name = word.value.to_lowercase();
        let call = after == Some(&Token::LParen) && before != Some(&Token::Period);
        let known = accumulators::find(&name).is_some() || WINDOWS.contains(&name.as_str());
        (call && !known && AGGREGATES.contains(&name.as_str())).then_some((name, at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(
            statements("SELECT (1 + (2)")
                .unwrap_err()
                .message
                .contains("not closed"),
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
