//! What to write where the parser met something it did not expect.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::job_error::nearest;
use crate::sql::spark_calls;
use crate::sql::tokens::is_word;

pub(super) const SEMICOLON: &str = "a statement ends with `;`";

const NAME: &str = "a name that is a word of the language stands behind AS, or in backticks";

pub(crate) const TOP: &str = "write LIMIT 10 at the end of the query instead of TOP 10";

/// Where a `[` stands that takes no element of what is before it.
pub(crate) const BRACKET: &str =
    "a name is quoted with backticks, as in `id`; an array is written array(1, 2)";

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

pub(super) fn keyword(token: &Token) -> Option<Keyword> {
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

/// What to write instead of the token that was found; `text` is what the parser says.
pub(super) fn of(text: &str, tokens: &[TokenWithSpan], found: usize) -> Option<String> {
    let around = &tokens[found.saturating_sub(1).min(tokens.len())..tokens.len().min(found + 1)];
    let mut around = around.iter();
    let known: &[&str] = match text.contains(" after IS") {
        true => &["NULL"],
        false => &KEYWORDS,
    };
    let word = around.find_map(|token| near(&token.token, known));
    word.or_else(|| {
        let here = Here {
            text,
            tokens,
            found,
        };
        let said = here.unnamed().or_else(|| here.wanted());
        let said = said.or_else(|| here.instead());
        said.or_else(|| here.between()).map(str::to_owned)
    })
}

/// The place where the parser stopped.
struct Here<'t> {
    text: &'t str,
    tokens: &'t [TokenWithSpan],
    found: usize,
}

impl<'t> Here<'t> {
    /// The token so many places behind the one that was found, or before it.
    fn token(&self, places: isize) -> Option<&'t Token> {
        let place = self.found.checked_add_signed(places)?;
        self.tokens.get(place).map(|token| &token.token)
    }

    fn word(&self, places: isize) -> Option<Keyword> {
        self.token(places).and_then(keyword)
    }

    /// An operator's word where an item ends was meant as its name.
    fn unnamed(&self) -> Option<&'static str> {
        let operator = matches!(
            self.word(-1)?,
            Keyword::AND
                | Keyword::BETWEEN
                | Keyword::DIV
                | Keyword::IN
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::OR
                | Keyword::RLIKE
        );
        let ends = self.token(0) == Some(&Token::Comma) || self.word(0) == Some(Keyword::FROM);
        (operator && ends && !self.behind_where()).then_some(NAME)
    }

    /// By what was expected.
    fn wanted(&self) -> Option<&'static str> {
        let begins = |text| self.text.starts_with(text);
        if begins("expected AND") && self.token(0) == Some(&Token::Comma) {
            Some("write BETWEEN 1 AND 2")
        } else if begins("expected PRECEDING or FOLLOWING") && self.word(0) == Some(Keyword::ROW) {
            Some(
                "each end of a frame says its side: BETWEEN INTERVAL 1 HOUR PRECEDING AND CURRENT ROW",
            )
        } else if self.text.contains(" after IS") {
            Some("IS asks for NULL, TRUE, FALSE or DISTINCT FROM; a value is compared with =")
        } else if begins("expected <") {
            match self.word(-1)? {
                Keyword::ARRAY => Some("write ARRAY<INT>"),
                Keyword::MAP => Some("write MAP<STRING, INT>"),
                Keyword::STRUCT => Some("write STRUCT<a: INT, b: STRING>"),
                _ => None,
            }
        } else if begins("expected ,") && self.token(0) == Some(&Token::Gt) {
            Some("a MAP has two types: MAP<STRING, INT>")
        } else if begins("expected (") && self.word(-1) == Some(Keyword::AS) {
            Some("a table of WITH stands in parentheses: WITH x AS (SELECT ...) SELECT ...")
        } else if self.text.contains(QUERY_BODY) {
            match (self.token(-1), self.word(0)) {
                (Some(Token::RParen), _) => Some(
                    "a comma stands between the tables of WITH, and the SELECT follows the last one",
                ),
                _ => Some("write SELECT"),
            }
        } else {
            None
        }
    }

    /// By the token and its neighbours.
    fn instead(&self) -> Option<&'static str> {
        match (self.token(-1), self.token(0)?, self.token(1)) {
            (_, Token::Period, Some(Token::Mul)) => Some(
                "name the struct in a subquery, and take its fields there: SELECT d.* FROM (SELECT from_json(...) AS d FROM t)",
            ),
            (_, Token::Period, _) if self.word(-3) == Some(Keyword::JOIN) => {
                Some("the condition of a join stands behind ON")
            }
            (_, Token::Overlap, _) => Some("write AND"),
            (_, Token::LBracket, _) => Some(BRACKET),
            (_, Token::RArrow, _) => Some(
                "write >= where two values are compared, x -> x + 1 for a function of the elements",
            ),
            (Some(Token::Eq), Token::Lt, _) => Some("write <="),
            (_, Token::ExclamationMark, Some(Token::Eq)) => Some("write != without a space"),
            (Some(Token::Placeholder(sign)), Token::LBrace, _) if sign == "$" => Some(
                "${...} is replaced in quotes only: write '${NAME}', and cast it where it is no text",
            ),
            (_, Token::Placeholder(_), _) => Some(
                "write if(condition, value, other), or CASE WHEN condition THEN value ELSE other END",
            ),
            (_, Token::Pipe | Token::VerticalBarRightAngleBracket, _) => {
                Some("the |> of pipes is not part of the language: write SELECT")
            }
            (Some(Token::Comma), Token::RParen, _) => Some("remove the comma before `)`"),
            (Some(Token::LParen), Token::RParen, _) if self.word(-2) == Some(Keyword::IN) => {
                Some("IN takes one value at least")
            }
            (Some(before), Token::Number(..), _) if is_word(before, "TOP") => Some(TOP),
            (Some(Token::Number(..)), Token::Word(word), _) if is_unit(&word.value) => {
                Some("write INTERVAL 10 MINUTES; in window '10 minutes'")
            }
            (_, Token::Number(number, _), _) if number.starts_with('.') => Some(
                "an element of an array is written a[0], a field of a struct that has such a name s.`0`",
            ),
            (Some(table), _, _) if is_word(table, "TABLE") => match self.token(-3)? {
                Token::Word(function) => spark_calls::function(&function.value),
                _ => None,
            },
            _ => self.instead_of_word(),
        }
    }

    fn instead_of_word(&self) -> Option<&'static str> {
        let next = self.word(1);
        match (self.word(-1), self.word(0)) {
            (Some(Keyword::FROM), _) if self.word(-2) == Some(Keyword::AS) => {
                Some("write a name between AS and FROM")
            }
            (Some(Keyword::IN), _) => Some("write IN ('a', 'b'), or IN (SELECT a FROM t)"),
            (Some(Keyword::SELECT), _) if self.token(-2) == Some(&Token::Comma) => {
                Some("remove the comma before SELECT")
            }
            (Some(Keyword::AND | Keyword::OR), _) | (_, Some(Keyword::AND | Keyword::OR))
                if !self.behind_where() =>
            {
                Some("the conditions begin with WHERE")
            }
            (_, Some(Keyword::GROUP)) if next != Some(Keyword::BY) => Some("write GROUP BY"),
            (_, Some(Keyword::ORDER)) if next != Some(Keyword::BY) => Some("write ORDER BY"),
            (_, Some(Keyword::PARTITION)) if next != Some(Keyword::BY) => {
                Some("write PARTITION BY")
            }
            (_, Some(Keyword::EXISTS)) if self.token(1) != Some(&Token::LParen) => {
                Some("write EXISTS (SELECT ...)")
            }
            (_, Some(Keyword::THEN)) => Some(
                "write if(condition, value, other), or CASE WHEN condition THEN value ELSE other END",
            ),
            (_, Some(Keyword::LATERAL)) => {
                Some("write LATERAL VIEW explode(x) v AS name, or , LATERAL explode(x) AS v(name)")
            }
            (_, Some(Keyword::INTO)) => Some(SEMICOLON),
            (_, Some(_)) if next == Some(Keyword::INTO) => Some(SEMICOLON),
            (_, Some(Keyword::CREATE | Keyword::INSERT | Keyword::SELECT | Keyword::SET))
                if self.text.starts_with("expected `;`") =>
            {
                Some(SEMICOLON)
            }
            _ => None,
        }
    }

    /// What may be missing between two values.
    fn between(&self) -> Option<&'static str> {
        if !self.text.starts_with("expected `;`") {
            return None;
        }
        match self.token(0)? {
            Token::Comma if self.before(&[Keyword::LIMIT]) => {
                Some("write LIMIT with one number: rows cannot be left out of a stream")
            }
            Token::Word(_) | Token::SingleQuotedString(_) | Token::Number(..) => {
                let list = self.tokens[self.found..]
                    .iter()
                    .any(|token| keyword(&token.token) == Some(Keyword::FROM));
                if list {
                    Some("is a comma missing before it?")
                } else if self.behind_where() {
                    Some("is AND, OR or an operator missing before it?")
                } else {
                    self.word(0)
                        .filter(|word| *word != Keyword::NoKeyword)
                        .map(|_| NAME)
                }
            }
            _ => None,
        }
    }

    fn behind_where(&self) -> bool {
        self.before(&[Keyword::WHERE, Keyword::ON, Keyword::HAVING])
    }

    /// Whether one of these words stands before the place.
    fn before(&self, words: &[Keyword]) -> bool {
        let mut before = self.tokens[..self.found].iter();
        before.any(|token| keyword(&token.token).is_some_and(|word| words.contains(&word)))
    }
}

/// What the parser crate calls a SELECT.
pub(super) const QUERY_BODY: &str = "SELECT, VALUES, or a subquery in the query body";

fn is_unit(word: &str) -> bool {
    const UNITS: [&str; 8] = [
        "MICROSECOND",
        "MILLISECOND",
        "SECOND",
        "MINUTE",
        "HOUR",
        "DAY",
        "WEEK",
        "MONTH",
    ];
    let upper = word.to_ascii_uppercase();
    UNITS.contains(&upper.strip_suffix('S').unwrap_or(&upper))
}
