//! The statements of the language: what the parser crate does not know is read here, expressions and queries by it.

use sqlparser::ast::{Expr, Query};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use thalweg_engine::schema::{DataType, Field};

use crate::job_error::{JobError, Location};
use crate::sql::advice;
use crate::sql::cursor::{Cursor, parse, replaced};
use crate::sql::insert;
use crate::sql::quotes;
use crate::sql::spark_calls;
use crate::sql::tokens::{Tokens, is_word, place};
use crate::sql::watermark::Watermark;

/// A name with its place.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) at: Location,
}

/// A string or word with its place, before substitution.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) text: String,
    /// Whether it stood in quotes, so that `${...}` in it is replaced.
    pub(crate) quoted: bool,
    pub(crate) at: Location,
}

/// A query and the WATERMARK clauses that were cut out of it.
#[derive(Clone, Debug)]
pub(crate) struct ParsedQuery {
    pub(crate) query: Box<Query>,
    pub(crate) watermarks: Vec<Watermark>,
    /// The first call of a function over several rows that there is not yet.
    pub(crate) over_rows: Option<(String, Location)>,
    pub(crate) at: Location,
}

/// A column of CREATE TABLE.
#[derive(Clone, Debug)]
pub(crate) struct TableParts {
    pub(crate) name: Name,
    pub(crate) columns: Option<Vec<(Field, Location)>>,
    pub(crate) primary_key: Vec<Name>,
    pub(crate) connector: Name,
    pub(crate) options: Vec<(Name, Written)>,
    pub(crate) partitioned_by: Vec<Name>,
    pub(crate) watermark: Option<Watermark>,
}

/// One statement of a job file.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    Set {
        name: Name,
        value: Written,
    },
    Table(Box<TableParts>),
    View {
        name: Name,
        columns: Vec<Name>,
        query: ParsedQuery,
    },
    Function {
        name: Name,
        parameters: Vec<(Name, DataType)>,
        returns: DataType,
        body: Box<Expr>,
    },
    Model {
        name: Name,
        kind: Name,
        options: Vec<(Name, Written)>,
    },
    Insert {
        table: Name,
        /// What the query's columns are called there; empty when they keep their names.
        columns: Vec<Name>,
        query: ParsedQuery,
    },
    Select(ParsedQuery),
}

const STATEMENTS: [&str; 6] = ["SET", "CREATE", "INSERT", "SELECT", "WITH", "FROM"];

/// Replaces `${...}` in a quoted string of an expression.
pub(crate) type Replace<'r> = &'r dyn Fn(&str, Location) -> Result<String, JobError>;

/// Reads one statement.
pub(crate) fn statement(tokens: &Tokens, replace: Replace<'_>) -> Result<Statement, JobError> {
    let mut front = Cursor::new(&tokens.tokens, tokens.end, replace);
    let Some(first) = tokens.tokens.first() else {
        return Err(JobError::new(tokens.end, "expected a statement"));
    };
    let word = |word| is_word(&first.token, word);
    let behind = match word("WITH") || word("FROM") {
        true => insert::position(&tokens.tokens),
        false => None,
    };
    if let Some(place) = behind {
        front.insert_behind(place)
    } else if word("SET") {
        front.set()
    } else if word("CREATE") {
        front.create()
    } else if word("INSERT") {
        front.insert()
    } else if word("SELECT")
        || word("WITH")
        || word("TABLE")
        || word("FROM") && is_query(tokens)
        || first.token == Token::LParen
    {
        Ok(Statement::Select(front.query()?))
    } else {
        let shown = first.token.to_string();
        let next = tokens.tokens.get(1).map(|next| &next.token);
        let assigned = matches!(
            next,
            Some(Token::Eq | Token::Period | Token::LParen | Token::Colon)
        );
        Err(JobError::new(tokens.start(), format!("unknown statement `{shown}`"))
            .or_help(spark_calls::statement(&shown, assigned))
            .nearest(&shown, STATEMENTS)
            .or_help(Some("statements are SET, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY FUNCTION, CREATE MODEL, INSERT INTO and SELECT")))
    }
}

/// Whether a statement that begins with FROM is a query, and no line of a script.
fn is_query(tokens: &Tokens) -> bool {
    let has = |word| tokens.tokens.iter().any(|t| is_word(&t.token, word));
    has("SELECT") && !has("import")
}

impl Cursor<'_> {
    fn set(&mut self) -> Result<Statement, JobError> {
        self.next();
        if self.accept_word("TIME") && self.accept_word("ZONE") {
            return Err(JobError::new(self.at(), "expected the name of a setting")
                .help("write SET timeZone = 'Europe/Berlin'"));
        }
        let name = self.dotted("the name of a setting")?;
        if !self.accept(&Token::Eq) {
            let variable = ["VAR", "VARIABLE"]
                .iter()
                .any(|word| name.text.eq_ignore_ascii_case(word));
            let advice = variable.then(|| spark_calls::statement("DECLARE", false));
            return self
                .expected(&format!("`=` after `{}`", name.text))
                .map_err(|error| error.or_help(advice.flatten()));
        }
        let at = self.at();
        let value = match self.rest {
            [] => return self.expected("a value"),
            [
                TokenWithSpan {
                    token: Token::SingleQuotedString(text),
                    ..
                },
            ] => Written {
                text: text.clone(),
                quoted: true,
                at,
            },
            [
                TokenWithSpan {
                    token: Token::SingleQuotedString(_),
                    ..
                },
                next,
                ..,
            ] => return Err(unended(next)),
            [first, rest @ ..] => {
                let mut text = first.token.to_string();
                let mut end = first.span.end;
                for token in rest {
                    if matches!(token.token, Token::SingleQuotedString(_) | Token::Eq)
                        || advice::begins_a_statement(&token.token)
                    {
                        return Err(unended(token));
                    }
                    if token.span.start != end {
                        text.push(' ');
                    }
                    text.push_str(&token.token.to_string());
                    end = token.span.end;
                }
                Written {
                    text,
                    quoted: false,
                    at,
                }
            }
        };
        Ok(Statement::Set { name, value })
    }

    fn create(&mut self) -> Result<Statement, JobError> {
        self.next();
        // Said or not, each name is declared once.
        let _ = self.accept_word("OR") && self.accept_word("REPLACE");
        if let Some(Token::Word(word)) = self.peek()
            && let Some(help) = spark_calls::created(&word.value)
        {
            return self
                .expected("TABLE, VIEW, TEMPORARY FUNCTION or MODEL")
                .map_err(|error| error.help(help));
        }
        let temporary = self.accept_word("TEMPORARY") || self.accept_word("TEMP");
        let what = self.at();
        let statement = if self.accept_word("VIEW") {
            match temporary && self.is_of_a_connector() {
                true => self.table(),
                false => self.view(),
            }
        } else if self.accept_word("FUNCTION") {
            if !temporary {
                return Err(JobError::new(what, "a function of a job file is temporary")
                    .help("write CREATE TEMPORARY FUNCTION"));
            }
            self.function()
        } else if temporary {
            self.expected("VIEW or FUNCTION")
        } else if self.accept_word("TABLE") {
            self.table()
        } else if self.accept_word("EXTERNAL") {
            // Said or not, its rows lie where LOCATION or an option says.
            self.expect_word("TABLE")?;
            self.table()
        } else if self.accept_word("MODEL") {
            self.model()
        } else {
            let error = self.expected("TABLE, VIEW, TEMPORARY FUNCTION or MODEL");
            match self.peek() {
                Some(Token::Word(given)) => error.map_err(|e| {
                    e.nearest(
                        &given.value,
                        ["TABLE", "VIEW", "TEMPORARY", "FUNCTION", "MODEL"],
                    )
                }),
                _ => error,
            }
        }?;
        self.end()?;
        Ok(statement)
    }

    pub(super) fn declared(&mut self, what: &str) -> Result<Name, JobError> {
        // Said or not, each name is declared once.
        if self.accept_word("IF") && !(self.accept_word("NOT") && self.accept_word("EXISTS")) {
            return self.expected("NOT EXISTS");
        }
        self.own_name(what)
    }

    /// `CREATE TEMPORARY VIEW name USING json OPTIONS (...)` declares a table.
    fn is_of_a_connector(&self) -> bool {
        let first = |word| self.rest.iter().position(|t| is_word(&t.token, word));
        first("USING").is_some_and(|using| first("AS").is_none_or(|query| using < query))
    }

    fn view(&mut self) -> Result<Statement, JobError> {
        let name = self.declared("the view's name")?;
        let columns = if self.accept(&Token::LParen) {
            self.view_columns()?
        } else {
            Vec::new()
        };
        if self.accept_word("COMMENT") {
            self.quoted("the comment")?;
        }
        if self.peek().is_some_and(|token| is_word(token, "USING")) {
            return self.expected("AS and a SELECT").map_err(|error| {
                error.help(
                    "a table is declared with CREATE TABLE name USING connector OPTIONS (...)",
                )
            });
        }
        self.expect_word("AS")?;
        let query = self.query()?;
        Ok(Statement::View {
            name,
            columns,
            query,
        })
    }

    /// The names of a view's columns, each with a comment or without, behind the bracket that begins them.
    fn view_columns(&mut self) -> Result<Vec<Name>, JobError> {
        let mut names = Vec::new();
        loop {
            names.push(self.name("a column's name")?);
            if self.accept_word("COMMENT") {
                self.quoted("the comment")?;
            }
            if self.accept(&Token::RParen) {
                return Ok(names);
            }
            self.expect(&Token::Comma, "`,` or `)`")?;
        }
    }

    fn function(&mut self) -> Result<Statement, JobError> {
        let name = self.declared("the function's name")?;
        self.expect(&Token::LParen, "`(` and the parameters")?;
        let mut parameters = Vec::new();
        if !self.accept(&Token::RParen) {
            loop {
                let parameter = self.name("a parameter's name")?;
                parameters.push((parameter, self.data_type()?));
                if self.accept(&Token::RParen) {
                    break;
                }
                self.expect(&Token::Comma, "`,` or `)`")?;
            }
        }
        if self.peek().is_some_and(|token| is_word(token, "RETURN")) {
            return self
                .expected("RETURNS and the type of the result")
                .map_err(|error| error.help("write RETURNS TYPE before RETURN"));
        }
        self.expect_word("RETURNS")?;
        let returns = self.data_type()?;
        self.expect_word("RETURN")?;
        let rest = std::mem::take(&mut self.rest);
        let tokens = replaced(rest, self.replace)?;
        let (body, _) = parse(&tokens, self.end, |parser| {
            let body = parser.parse_expr()?;
            match parser.peek_token_ref().token {
                Token::EOF => Ok(body),
                _ => parser.expected_ref("`;` after the expression", parser.peek_token_ref()),
            }
        })?;
        Ok(Statement::Function {
            name,
            parameters,
            returns,
            body: Box::new(body),
        })
    }

    fn model(&mut self) -> Result<Statement, JobError> {
        let name = self.declared("the model's name")?;
        self.expect_word("USING")?;
        let kind = self.name("the kind of model")?;
        self.expect_word("OPTIONS")?;
        let options = self.options()?;
        Ok(Statement::Model {
            name,
            kind,
            options,
        })
    }

    pub(super) fn quoted(&mut self, what: &str) -> Result<Written, JobError> {
        let at = self.at();
        match self.peek() {
            Some(Token::SingleQuotedString(text)) => {
                self.next();
                Ok(Written {
                    text: text.clone(),
                    quoted: true,
                    at,
                })
            }
            _ => self.expected(&format!("{what} in quotes")),
        }
    }

    pub(super) fn options(&mut self) -> Result<Vec<(Name, Written)>, JobError> {
        self.expect(&Token::LParen, "`(` and the options")?;
        let mut options = Vec::new();
        if self.accept(&Token::RParen) {
            return Ok(options);
        }
        loop {
            let name = self.dotted("an option's name")?;
            self.accept(&Token::Eq);
            let at = self.at();
            let negative = self.accept(&Token::Minus);
            let (text, quoted) = match self.peek() {
                Some(Token::SingleQuotedString(text)) if !negative => (text.clone(), true),
                Some(Token::Number(number, _)) => (
                    format!("{}{number}", if negative { "-" } else { "" }),
                    false,
                ),
                Some(Token::Word(word))
                    if !negative && matches!(word.keyword, Keyword::TRUE | Keyword::FALSE) =>
                {
                    (word.value.to_lowercase(), false)
                }
                found => {
                    let comma = matches!(
                        found,
                        Some(Token::Comma | Token::Colon | Token::RArrow | Token::Assignment)
                    );
                    let wanted = format!("the value of option `{}` in quotes", name.text);
                    return self
                        .expected_after(&name.text, &wanted)
                        .map_err(|error: JobError| {
                            error.or_help(comma.then_some(
                                "between a name and its value stands nothing, or `=`: OPTIONS (name 'value', name 'value')",
                            ))
                        });
                }
            };
            let value = self.next();
            let closed = self.accept(&Token::RParen);
            if !closed && !self.accept(&Token::Comma) {
                return self
                    .expected_after(&name.text, "`,` or `)` after the option")
                    .map_err(|error: JobError| error.or_help(value.and_then(over_lines)));
            }
            options.push((name, Written { text, quoted, at }));
            if closed {
                return Ok(options);
            }
        }
    }
}

/// A SET whose value is over, and something that is no `;` behind it.
fn unended(next: &TokenWithSpan) -> JobError {
    let message = format!("expected `;`, found `{}`", next.token);
    let begins = advice::begins_a_statement(&next.token);
    JobError::new(place(next.span.start), message).or_help(begins.then_some(advice::SEMICOLON))
}

/// Advice where a text goes over lines: mostly its own quote is missing, and it ends at the first of the next text.
fn over_lines(text: &TokenWithSpan) -> Option<String> {
    let begin = place(text.span.start).line;
    (begin < place(text.span.end).line).then(|| quotes::missing(begin))
}
