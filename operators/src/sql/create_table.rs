//! `CREATE TABLE`: columns, the connector, its options, and what else stands behind them.

use sqlparser::tokenizer::{Token, TokenWithSpan};
use thalweg_engine::schema::Field;

use crate::job_error::{JobError, Location};
use crate::sql::cursor::{Cursor, replaced};
use crate::sql::front::{Name, Statement, TableParts};
use crate::sql::spark_calls;
use crate::sql::tokens::is_word;
use crate::sql::watermark;

impl Cursor<'_> {
    pub(super) fn table(&mut self) -> Result<Statement, JobError> {
        let name = self.declared("the table's name")?;
        let mut primary_key = Vec::new();
        let columns = if self.peek() == Some(&Token::LParen) {
            Some(self.columns(&mut primary_key)?)
        } else {
            None
        };
        if self.peek().is_none() {
            return self
                .expected("USING and the connector")
                .map_err(|e: JobError| e.help("write USING kafka OPTIONS (...)"));
        }
        if self.peek().is_some_and(|token| is_word(token, "AS")) {
            return self.expected("USING and the connector").map_err(|e: JobError| {
                e.help("write CREATE VIEW name AS SELECT ... for a step between, CREATE TABLE and INSERT INTO name SELECT ... for an output")
            });
        }
        let hives = ["STORED", "ROW"];
        let is_hives = |token: &Token| hives.iter().any(|word| is_word(token, word));
        if self.peek().is_some_and(is_hives) {
            return self.expected("USING and the connector").map_err(|e: JobError| {
                e.help("write USING parquet OPTIONS (path '...') for STORED AS PARQUET, USING csv OPTIONS (path '...', sep ',') for ROW FORMAT DELIMITED")
            });
        }
        self.expect_word("USING")?;
        let connector = self.name("the connector's name")?;
        if self.peek() == Some(&Token::Period) {
            return self.expected("OPTIONS behind the connector").map_err(|e: JobError| {
                e.help("a connector is called by its short name: USING json, not by the name of a class")
            });
        }
        let mut parts = TableParts {
            name,
            columns,
            primary_key,
            connector,
            options: Vec::new(),
            partitioned_by: Vec::new(),
            watermark: None,
        };
        let mut seen: Vec<&str> = Vec::new();
        while self.peek().is_some() {
            self.clause(&mut parts, &mut seen)?;
        }
        Ok(Statement::Table(Box::new(parts)))
    }

    fn clause(&mut self, parts: &mut TableParts, seen: &mut Vec<&str>) -> Result<(), JobError> {
        const CLAUSES: [&str; 5] = ["OPTIONS", "PARTITIONED", "WATERMARK", "LOCATION", "COMMENT"];
        let at = self.at();
        let Some(clause) = CLAUSES.into_iter().find(|word| self.accept_word(word)) else {
            let error = self.expected::<()>("OPTIONS, PARTITIONED BY, WATERMARK or `;`");
            return match self.peek() {
                Some(Token::LParen) => error.map_err(|e| e.help("write OPTIONS before `(`")),
                Some(Token::Word(given)) if given.value.eq_ignore_ascii_case("WITH") => {
                    error.map_err(|e| e.help("options are written OPTIONS (name 'value', ...)"))
                }
                Some(Token::Word(given)) => error.map_err(|e| {
                    e.or_help(spark_calls::clause(&given.value))
                        .nearest(&given.value, CLAUSES)
                }),
                _ => error,
            };
        };
        if seen.contains(&clause) {
            return Err(JobError::new(at, format!("{clause} is given twice")));
        }
        seen.push(clause);
        match clause {
            "OPTIONS" => parts.options.extend(self.options()?),
            "LOCATION" => {
                let name = Name {
                    text: "path".to_owned(),
                    at,
                };
                let path = self.quoted("the folder")?;
                parts.options.push((name, path));
            }
            // It says something to people only.
            "COMMENT" => {
                self.quoted("the comment")?;
            }
            "PARTITIONED" => {
                self.expect_word("BY")?;
                self.partition_columns(parts)?;
            }
            _ => {
                let tokens = replaced(self.rest, self.replace)?;
                let (watermark, used) = watermark::read(&tokens, self.end)?;
                self.rest = &self.rest[used.min(self.rest.len())..];
                parts.watermark = Some(watermark);
            }
        }
        Ok(())
    }

    fn columns(&mut self, primary_key: &mut Vec<Name>) -> Result<Vec<(Field, Location)>, JobError> {
        self.expect(&Token::LParen, "`(`")?;
        let mut columns: Vec<(Field, Location)> = Vec::new();
        loop {
            if watermark::is_flinks(self.rest) {
                let message = "the WATERMARK of a table stands behind its columns and options";
                return Err(JobError::new(self.at(), message).help(watermark::BEHIND));
            }
            if is_primary(self.rest) {
                let at = self.at();
                self.rest = &self.rest[2..];
                let names = self.names("a column's name")?;
                self.key(primary_key, names, at)?;
            } else {
                let name = self.name("a column's name")?;
                refuse_twice(&columns, &name)?;
                if matches!(self.peek(), None | Some(Token::Comma | Token::RParen)) {
                    return self.expected(&format!("the type of column `{}`", name.text));
                }
                let mut field = Field::nullable(name.text.as_str(), self.data_type()?);
                self.constraints(&mut field, &name, primary_key)?;
                columns.push((field, name.at));
            }
            if self.accept(&Token::RParen) {
                return Ok(columns);
            }
            let fields = self.peek() == Some(&Token::LParen);
            self.expect(&Token::Comma, "`,` or `)` after the column")
                .map_err(|error| {
                    error.or_help(
                        fields.then_some("the fields of a STRUCT stand in <>: STRUCT<a: INT>"),
                    )
                })?;
        }
    }

    /// The names after PARTITIONED BY. One with a type is a further column of the table, as Hive writes it.
    fn partition_columns(&mut self, parts: &mut TableParts) -> Result<(), JobError> {
        self.expect(&Token::LParen, "`(`")?;
        loop {
            let name = self.name("a column's name")?;
            if let Some(Token::Word(_)) = self.peek() {
                let columns = parts.columns.get_or_insert_default();
                refuse_twice(columns, &name)?;
                let field = Field::nullable(name.text.as_str(), self.data_type()?);
                columns.push((field, name.at));
            }
            parts.partitioned_by.push(name);
            if self.accept(&Token::RParen) {
                return Ok(());
            }
            self.expect(&Token::Comma, "`,` or `)`")?;
        }
    }

    fn key(
        &self,
        primary_key: &mut Vec<Name>,
        names: Vec<Name>,
        at: Location,
    ) -> Result<(), JobError> {
        if !primary_key.is_empty() {
            return Err(JobError::new(at, "PRIMARY KEY is given twice")
                .help("write PRIMARY KEY (a, b) for several columns"));
        }
        *primary_key = names;
        Ok(())
    }

    fn constraints(
        &mut self,
        field: &mut Field,
        name: &Name,
        primary_key: &mut Vec<Name>,
    ) -> Result<(), JobError> {
        loop {
            let at = self.at();
            if is_primary(self.rest) {
                self.rest = &self.rest[2..];
                self.key(primary_key, vec![name.clone()], at)?;
            } else if self.accept_word("NOT") {
                self.expect_word("NULL")?;
                field.nullable = false;
            } else if self.accept_word("NULL") {
            } else if self.accept_word("COMMENT") {
                self.quoted("the comment")?;
            } else if let Some(Token::Word(word)) = self.peek() {
                let advice = spark_calls::constraint(&word.value);
                return self
                    .expected("NOT NULL, PRIMARY KEY, COMMENT, `,` or `)`")
                    .map_err(|error| error.or_help(advice));
            } else {
                return Ok(());
            }
        }
    }
}

fn refuse_twice(columns: &[(Field, Location)], name: &Name) -> Result<(), JobError> {
    let same = |(field, _): &(Field, _)| field.name.eq_ignore_ascii_case(&name.text);
    match columns.iter().any(same) {
        true => Err(JobError::new(
            name.at,
            format!("column `{}` is declared twice", name.text),
        )),
        false => Ok(()),
    }
}

fn is_primary(tokens: &[TokenWithSpan]) -> bool {
    matches!(tokens, [a, b, ..] if is_word(&a.token, "PRIMARY") && is_word(&b.token, "KEY"))
}
