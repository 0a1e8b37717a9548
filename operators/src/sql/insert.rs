//! INSERT INTO: before its query, or behind a WITH or FROM that the query begins with.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::job_error::JobError;
use crate::sql::cursor::Cursor;
use crate::sql::front::{Name, Statement};
use crate::sql::tokens;

/// Where INSERT stands in `WITH x AS (...) INSERT INTO t SELECT ...` and `FROM x INSERT INTO t SELECT ...`.
/// None where it stands in parentheses only.
pub(super) fn position(statement: &[TokenWithSpan]) -> Option<usize> {
    let mut depth = 0_usize;
    statement.iter().zip(0..).find_map(|(token, place)| {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        let word = |place: usize, word| {
            statement
                .get(place)
                .is_some_and(|token| tokens::is_word(&token.token, word))
        };
        let into = word(place + 1, "INTO") || word(place + 1, "OVERWRITE");
        (depth == 0 && word(place, "INSERT") && into).then_some(place)
    })
}

impl Cursor<'_> {
    pub(super) fn insert(&mut self) -> Result<Statement, JobError> {
        let (table, columns) = self.into()?;
        let query = self.query()?;
        Ok(Statement::Insert {
            table,
            columns,
            query,
        })
    }

    /// An INSERT whose query begins before it, and ends behind it.
    pub(super) fn insert_behind(&mut self, place: usize) -> Result<Statement, JobError> {
        let (begin, rest) = self.rest.split_at(place);
        self.rest = rest;
        let (table, columns) = self.into()?;
        if let Some(again) = position(self.rest) {
            let at = tokens::place(self.rest[again].span.start);
            return Err(JobError::new(at, "one statement has one INSERT")
                .help("write each INSERT as a statement of its own, with `;` behind it"));
        }
        let query: Vec<TokenWithSpan> = begin.iter().chain(self.rest).cloned().collect();
        Ok(Statement::Insert {
            table,
            columns,
            query: Cursor::new(&query, self.end, self.replace).query()?,
        })
    }

    /// `INSERT INTO table (columns)`.
    fn into(&mut self) -> Result<(Name, Vec<Name>), JobError> {
        self.next();
        let at = self.at();
        if self.accept_word("OVERWRITE") {
            return Err(JobError::new(
                at,
                "a stream only adds: INSERT OVERWRITE has no meaning here",
            )
            .help("write INSERT INTO"));
        }
        self.expect_word("INTO")?;
        self.accept_word("TABLE");
        let table = self.own_name("the output table's name")?;
        if self
            .peek()
            .is_some_and(|next| tokens::is_word(next, "PARTITION"))
        {
            return Err(JobError::new(self.at(), "an INSERT has no PARTITION here").help(format!(
                "leave it out: PARTITIONED BY of table `{}` names the columns, and the SELECT gives each by its name",
                table.text
            )));
        }
        let columns = match self.rest.get(1) {
            Some(second) if self.peek() == Some(&Token::LParen) => {
                let begins = |word| tokens::is_word(&second.token, word);
                match ["SELECT", "WITH", "FROM"].into_iter().any(begins) {
                    true => Vec::new(),
                    false => self.names("a column's name")?,
                }
            }
            // Columns are found by name in any case.
            _ if self.accept_word("BY") => {
                self.expect_word("NAME")?;
                Vec::new()
            }
            _ => Vec::new(),
        };
        Ok((table, columns))
    }
}
