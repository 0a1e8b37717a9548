//! Reading tokens one at a time, and handing what the parser crate knows to it.

use sqlparser::ast::{Ident, Spanned};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};
use thalweg_engine::schema::DataType;

use crate::expr::type_name;
use crate::job_error::{JobError, Location};
use crate::secrets;
use crate::sql::advice;
use crate::sql::dialect::JobDialect;
use crate::sql::front::{Name, ParsedQuery, Replace};
use crate::sql::tokens::{is_word, lower_first, over_rows, place};
use crate::sql::unfinished;
use crate::sql::watermark;

/// How deep parentheses and calls may nest.
const NESTING_MAX: usize = 200;

/// The tokens of a statement that are not read yet.
pub(super) struct Cursor<'t> {
    pub(super) rest: &'t [TokenWithSpan],
    pub(super) end: Location,
    pub(super) replace: Replace<'t>,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(tokens: &'t [TokenWithSpan], end: Location, replace: Replace<'t>) -> Self {
        Self {
            rest: tokens,
            end,
            replace,
        }
    }

    // One token at a time.

    pub(super) fn at(&self) -> Location {
        self.rest
            .first()
            .map_or(self.end, |token| place(token.span.start))
    }

    pub(super) fn peek(&self) -> Option<&'t Token> {
        self.rest.first().map(|token| &token.token)
    }

    pub(super) fn next(&mut self) -> Option<&'t TokenWithSpan> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    pub(super) fn expected<T>(&self, what: &str) -> Result<T, JobError> {
        let found = self.peek().map_or_else(
            || "the end of the statement".to_owned(),
            |token| format!("`{token}`"),
        );
        let error = JobError::new(self.at(), format!("expected {what}, found {found}"));
        let begins = self.peek().is_some_and(advice::begins_a_statement);
        Err(error.or_help((what.starts_with("`;`") && begins).then_some(advice::SEMICOLON)))
    }

    /// What was expected behind the name of an option. What was found is not said where it may be a piece of a secret.
    pub(super) fn expected_after<T>(&self, option: &str, what: &str) -> Result<T, JobError> {
        if secrets::meant(option) {
            return Err(JobError::new(self.at(), format!("expected {what}")));
        }
        self.expected(what)
    }

    pub(super) fn accept(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn accept_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| is_word(token, word));
        if found {
            self.next();
        }
        found
    }

    pub(super) fn expect(&mut self, token: &Token, what: &str) -> Result<(), JobError> {
        if self.accept(token) {
            Ok(())
        } else {
            self.expected(what)
        }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), JobError> {
        if self.accept_word(word) {
            return Ok(());
        }
        let error = self.expected::<()>(word);
        match self.peek() {
            Some(Token::Word(given)) => error.map_err(|e| e.nearest(&given.value, [word])),
            _ => error,
        }
    }

    pub(super) fn end(&self) -> Result<(), JobError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            self.expected("`;` after the statement")
        }
    }

    pub(super) fn name(&mut self, what: &str) -> Result<Name, JobError> {
        let at = self.at();
        match self.peek() {
            Some(Token::Word(word)) => {
                let text = word.value.clone();
                self.next();
                Ok(Name { text, at })
            }
            _ => self.expected(what),
        }
    }

    /// The name of something the job declares: one part.
    pub(super) fn own_name(&mut self, what: &str) -> Result<Name, JobError> {
        let name = self.name(what)?;
        if self.peek() == Some(&Token::Period) {
            return Err(
                JobError::new(name.at, format!("{what} has one part, without a dot")).help(
                    "there are no catalogs and schemas: all names of a job stand in its file",
                ),
            );
        }
        Ok(name)
    }

    pub(super) fn names(&mut self, what: &str) -> Result<Vec<Name>, JobError> {
        self.expect(&Token::LParen, "`(`")?;
        let mut names = Vec::new();
        loop {
            names.push(self.name(what)?);
            if self.accept(&Token::RParen) {
                return Ok(names);
            }
            self.expect(&Token::Comma, "`,` or `)`")?;
        }
    }

    /// `a.b.c`, or the same in quotes.
    pub(super) fn dotted(&mut self, what: &str) -> Result<Name, JobError> {
        let at = self.at();
        if let Some(Token::SingleQuotedString(text)) = self.peek() {
            let text = text.clone();
            self.next();
            return Ok(Name { text, at });
        }
        let mut name = self.name(what)?;
        while self.accept(&Token::Period) {
            name.text.push('.');
            name.text.push_str(&self.name("a name after the dot")?.text);
        }
        Ok(name)
    }

    // Through the parser crate.

    /// Parses with the crate from here on; what it leaves stays.
    pub(super) fn parse<T>(
        &mut self,
        read: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
    ) -> Result<T, JobError> {
        let (value, used) = parse(self.rest, self.end, read)?;
        self.rest = &self.rest[used..];
        Ok(value)
    }

    pub(super) fn data_type(&mut self) -> Result<DataType, JobError> {
        let at = self.at();
        let ast = self.parse(|parser| parser.parse_data_type())?;
        type_name::data_type(&ast, at)
    }

    /// The rest of the statement as a query.
    pub(super) fn query(&mut self) -> Result<ParsedQuery, JobError> {
        let at = self.at();
        let rest = std::mem::take(&mut self.rest);
        let whole;
        let rest = match rest {
            // `TABLE name` is all of it.
            [table, of @ ..] if is_word(&table.token, "TABLE") => {
                let all = [
                    Token::make_keyword("SELECT"),
                    Token::Mul,
                    Token::make_keyword("FROM"),
                ];
                let all = all.map(|token| TokenWithSpan::new(token, table.span));
                whole = [all.as_slice(), of].concat();
                &whole
            }
            rest => rest,
        };
        if !rest.iter().any(|t| is_word(&t.token, "SELECT")) {
            return Err(JobError::new(at, "expected a SELECT")
                .or_help(advice::misspelt(rest, "SELECT"))
                .or_help(Some("a query reads at least one input table")));
        }
        let mut tokens = replaced(rest, self.replace)?;
        let watermarks = watermark::cut(&mut tokens, self.end)?;
        let parsed = parse(&tokens, self.end, |parser| {
            let query = parser.parse_query()?;
            match parser.peek_token_ref().token {
                Token::EOF => Ok(query),
                _ => parser.expected_ref("`;` after the statement", parser.peek_token_ref()),
            }
        });
        match parsed {
            Ok((query, _)) => Ok(ParsedQuery {
                query,
                watermarks,
                over_rows: over_rows(&tokens),
                at,
            }),
            Err(error) => Err(unfinished::missing(&tokens)
                .or_else(|| inner_error(&tokens, self.end))
                .unwrap_or(error)),
        }
    }
}

/// The tokens of an expression or query, with `${...}` replaced in quoted strings.
pub(super) fn replaced(
    tokens: &[TokenWithSpan],
    replace: Replace<'_>,
) -> Result<Vec<TokenWithSpan>, JobError> {
    tokens
        .iter()
        .enumerate()
        .map(|(index, token)| {
            number(token, tokens.get(index + 1))?;
            let mut token = token.clone();
            if let Token::SingleQuotedString(text) = &mut token.token
                && text.contains("${")
            {
                *text = replace(text, place(token.span.start))?;
            }
            Ok(token)
        })
        .collect()
}

/// Refuses a number that touches a word which is no suffix; the parser would take the word for an alias.
fn number(token: &TokenWithSpan, next: Option<&TokenWithSpan>) -> Result<(), JobError> {
    const SUFFIXES: [&str; 5] = ["S", "Y", "F", "D", "BD"];
    if let (Token::Number(number, _), Some(next)) = (&token.token, next)
        && let Token::Word(word) = &next.token
        && token.span.end == next.span.start
        && !SUFFIXES.iter().any(|s| word.value.eq_ignore_ascii_case(s))
    {
        let at = place(token.span.start);
        let message = format!("`{number}{}` is not a number", word.value);
        return Err(
            JobError::new(at, message).help("the suffixes of numbers are L, S, Y, F, D and BD")
        );
    }
    Ok(())
}

/// Parses with the crate; gives the number of tokens it took.
pub(crate) fn parse<T>(
    tokens: &[TokenWithSpan],
    end: Location,
    read: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<(T, usize), JobError> {
    let mut parser = Parser::new(&JobDialect)
        .with_recursion_limit(NESTING_MAX)
        .with_tokens_with_locations(tokens.to_vec());
    let start = tokens.first().map_or(end, |token| place(token.span.start));
    match read(&mut parser) {
        Ok(value) => Ok((value, parser.index().min(tokens.len()))),
        Err(error) => Err(job_error(error, tokens, start, end)),
    }
}

/// The crate's error as ours: its place stands at the end of its text.
fn job_error(
    error: ParserError,
    tokens: &[TokenWithSpan],
    start: Location,
    end: Location,
) -> JobError {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            return JobError::new(
                start,
                format!("nested too deeply: more than {NESTING_MAX} levels"),
            )
            .help("use a view for a part of it");
        }
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
    };
    let (text, at) = match message.rsplit_once(" at Line: ") {
        Some((text, at)) => (text.to_owned(), location(at).unwrap_or(end)),
        None => (message, end),
    };
    let text = lower_first(&text)
        .replacen("expected: ", "expected ", 1)
        .replacen("found: EOF", "found: the end of the statement", 1)
        .replacen(", found: ", ", found ", 1);
    let found = found(&text, tokens, at);
    let at = tokens
        .get(found)
        .map_or(end, |token| place(token.span.start));
    let help = advice::of(&text, tokens, found);
    match advice::no_operator(&text, tokens, found) {
        Some(text) => JobError::new(at, text),
        None => JobError::new(at, quoted(text)),
    }
    .or_help(help)
}

/// The place of the token that the crate's text speaks of; for some errors the crate's own is one further.
fn found(text: &str, tokens: &[TokenWithSpan], at: Location) -> usize {
    let place = tokens
        .iter()
        .position(|token| place(token.span.start) == at)
        .unwrap_or(tokens.len());
    let said = text.rsplit_once(", found ").map(|(_, found)| found);
    let is = |place: usize| {
        let token = tokens.get(place).map(|token| token.token.to_string());
        token.as_deref() == said
    };
    match place.checked_sub(1) {
        Some(before) if said.is_some() && !is(place) && is(before) => before,
        _ => place,
    }
}

/// The message with what was expected in our words, and marks and the token that was found in quotes.
fn quoted(text: String) -> String {
    let Some((expected, found)) = text.split_once(", found ") else {
        return text;
    };
    let expected = match expected.strip_prefix("expected ") {
        Some(IS) => "expected NULL, TRUE, FALSE or DISTINCT FROM after IS".to_owned(),
        Some(advice::QUERY_BODY) => "expected a SELECT".to_owned(),
        Some(mark) if mark.chars().all(|c| c.is_ascii_punctuation() && c != '`') => {
            format!("expected `{mark}`")
        }
        _ => expected.to_owned(),
    };
    match found.starts_with("the end") {
        true => format!("{expected}, found {found}"),
        false => format!("{expected}, found `{found}`"),
    }
}

/// What the crate expects behind IS.
const IS: &str = "[NOT] NULL | TRUE | FALSE | DISTINCT | [NOT] JSON [VALUE | SCALAR | ARRAY | OBJECT] [WITH | WITHOUT UNIQUE [KEYS]] | [form] NORMALIZED FROM after IS";

fn location(text: &str) -> Option<Location> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Location {
        line: line.trim().parse().ok()?,
        column: column.trim().parse().ok()?,
    })
}

/// The error of the innermost subquery that cannot be parsed alone: the crate reports a wrong place for it, because it
/// tries a parenthesis as something else when it is no subquery.
fn inner_error(tokens: &[TokenWithSpan], end: Location) -> Option<JobError> {
    let mut open = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => open.push(index),
            Token::RParen => {
                let inside = &tokens[open.pop()? + 1..index];
                let first = inside.first()?;
                if !(is_word(&first.token, "SELECT") || is_word(&first.token, "WITH")) {
                    continue;
                }
                let end = inside.last().map_or(end, |_| place(token.span.start));
                let result = parse(inside, end, |parser| {
                    let query = parser.parse_query()?;
                    match parser.peek_token_ref().token {
                        Token::EOF => Ok(query),
                        _ => parser.expected_ref("`)` after the subquery", parser.peek_token_ref()),
                    }
                });
                if let Err(error) = result {
                    return Some(error);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where a part of the tree begins; `otherwise` where the parser does not know.
pub(crate) fn start_of(part: &impl Spanned, otherwise: Location) -> Location {
    let start = part.span().start;
    if start.line == 0 {
        otherwise
    } else {
        place(start)
    }
}

/// Where a name stands.
pub(crate) fn ident_at(ident: &Ident, otherwise: Location) -> Location {
    if ident.span.start.line == 0 {
        otherwise
    } else {
        place(ident.span.start)
    }
}
