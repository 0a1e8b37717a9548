//! What a statement that cannot be parsed lacks, at the place where it lacks it: the parser often stops much later.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::job_error::{JobError, Location};
use crate::sql::advice::keyword;
use crate::sql::tokens::place;

/// The first thing that is certainly missing.
pub(super) fn missing(tokens: &[TokenWithSpan]) -> Option<JobError> {
    case(tokens).or_else(|| pairs(tokens))
}

/// A CASE that was begun, and what it has had so far.
struct Case {
    at: Location,
    /// The last WHEN, while its THEN has not come.
    when: Option<Location>,
    any: bool,
}

/// A CASE that has no END or no WHEN, a WHEN that has no THEN.
fn case(tokens: &[TokenWithSpan]) -> Option<JobError> {
    const HELP: &str = "write CASE WHEN condition THEN value ELSE value END";
    let error = |at, message| Some(JobError::new(at, message).help(HELP));
    let mut open: Vec<Case> = Vec::new();
    let mut before: Option<&Token> = None;
    for token in tokens {
        let at = place(token.span.start);
        let word = match before {
            Some(Token::Period) => None,
            _ => keyword(&token.token),
        };
        before = Some(&token.token);
        match (word, open.last_mut()) {
            (Some(Keyword::CASE), _) => open.push(Case {
                at,
                when: None,
                any: false,
            }),
            (Some(Keyword::WHEN), Some(case)) => {
                if let Some(at) = case.when {
                    return error(at, "this WHEN has no THEN");
                }
                (case.when, case.any) = (Some(at), true);
            }
            (Some(Keyword::THEN), Some(case)) => {
                let begun = case.when.take().is_some() || case.any;
                if !begun {
                    return error(case.at, "this CASE has no WHEN");
                }
            }
            (Some(Keyword::END | Keyword::ELSE), Some(case)) => {
                if let Some(at) = case.when {
                    return error(at, "this WHEN has no THEN");
                }
                if word == Some(Keyword::END) {
                    open.pop();
                }
            }
            _ => {}
        }
    }
    let last = open.pop()?;
    error(last.at, "this CASE has no END")
}

/// Two words, or a comma and a word, that never follow each other.
fn pairs(tokens: &[TokenWithSpan]) -> Option<JobError> {
    let mut before: Option<&Token> = None;
    tokens.windows(2).find_map(|pair| {
        let [first, second] = pair else { return None };
        let part = before == Some(&Token::Period);
        before = Some(&first.token);
        if part {
            return None;
        }
        let at = place(first.span.start);
        let next = keyword(&second.token);
        match (&first.token, keyword(&first.token), next) {
            (Token::Comma, _, Some(word)) if begins_a_clause(word) => {
                let message = format!("nothing stands between this `,` and {}", second.token);
                Some(JobError::new(at, message).help("remove the comma, or write what is missing"))
            }
            (_, Some(Keyword::OVER), Some(Keyword::PARTITION | Keyword::ORDER)) => Some(
                JobError::new(at, "what follows OVER stands in parentheses")
                    .help("write OVER (PARTITION BY a ORDER BY ts)"),
            ),
            (_, Some(side @ (Keyword::LEFT | Keyword::RIGHT | Keyword::FULL)), next)
                if matches!(second.token, Token::Word(_))
                    && !matches!(
                        next,
                        Some(
                            Keyword::JOIN
                                | Keyword::OUTER
                                | Keyword::SEMI
                                | Keyword::ANTI
                                // A function of this name, as a column of `left`.
                                | Keyword::FROM
                                | Keyword::AS
                        )
                    ) =>
            {
                let message = format!("JOIN is missing behind {side:?}");
                Some(
                    JobError::new(place(second.span.start), message)
                        .help("write LEFT JOIN t ON ..."),
                )
            }
            _ => None,
        }
    })
}

fn begins_a_clause(word: Keyword) -> bool {
    matches!(
        word,
        Keyword::FROM
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::UNION
    )
}
