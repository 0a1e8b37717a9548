//! The type of a value of CSV: what `schema_of_csv` says.

use thalweg_engine::schema::DataType;

use super::convert;
use super::dialect::CsvOptions;
use super::tokens::{Token, Tokens};
use crate::expr::{number, time_text};

/// The types of the values of one record, as Spark infers them.
///
/// # Errors
/// Where it is no record; why in words.
pub fn inferred(record: &str, options: &CsvOptions) -> Result<Vec<DataType>, String> {
    let mut tokens = Tokens::new(options);
    let wrong = || "the text is no record of CSV".to_owned();
    if options.comments(record) {
        return Err(wrong());
    }
    tokens.record(record, 0).map_err(|_| wrong())?;
    if tokens.found.is_empty() {
        return Err(wrong());
    }
    let content = |token: &Token| match token {
        Token::Empty => Some(options.empty_value.as_str()),
        token => tokens.text(*token, record),
    };
    let one = |token| match content(token) {
        Some(content) if !content.is_empty() && content != options.null_value => {
            one(content, options)
        }
        _ => DataType::String,
    };
    Ok(tokens.found.iter().map(one).collect())
}

fn one(content: &str, options: &CsvOptions) -> DataType {
    if content.parse::<i32>().is_ok() {
        return DataType::Int;
    }
    if content.parse::<i64>().is_ok() {
        return DataType::BigInt;
    }
    let digits = content.strip_prefix(['-', '+']).unwrap_or(content);
    if (1..=38).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        let precision = u8::try_from(digits.trim_start_matches('0').len().max(1)).unwrap_or(38);
        return DataType::Decimal {
            precision,
            scale: 0,
        };
    }
    let words = [&options.nan, &options.positive_inf, &options.negative_inf];
    let double = convert::java_number(content).and_then(number::parse_double);
    if words.iter().any(|word| *word == content) || double.is_some() {
        return DataType::Double;
    }
    let is_date = match options.times.has_date_pattern() {
        true => options.times.read_date(content).is_some(),
        false => content.len() == 10 && time_text::parse_date(content).is_some(),
    };
    if is_date {
        DataType::Date
    } else if options.times.read_timestamp(content).is_some() {
        DataType::Timestamp
    } else if content.eq_ignore_ascii_case("true") || content.eq_ignore_ascii_case("false") {
        DataType::Boolean
    } else {
        DataType::String
    }
}
