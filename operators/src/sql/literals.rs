//! Spark's literals that the parser does not know.

use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use crate::job_error::JobError;
use crate::sql::tokens::{is_word, place};

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
    use crate::sql::tokens::statements;

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
}
