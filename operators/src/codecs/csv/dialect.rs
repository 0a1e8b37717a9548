//! How a table's CSV is written: its characters, what is trimmed, what stands for no value.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use smol_str::SmolStr;

use crate::codecs::Mode;
use crate::codecs::times::Times;
use crate::expr::calendar::Zone;

/// What a quote inside a quoted value means that is neither escaped nor the end of it: `unescapedQuoteHandling`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnescapedQuote {
    /// The value goes on to the quote that ends it.
    StopAtClosingQuote,
    /// The value was never quoted and ends at the next delimiter, its quotes belong to it.
    StopAtDelimiter,
    /// What was read is taken apart at its delimiters again.
    BackToDelimiter,
    /// The value is skipped and NULL.
    SkipValue,
    /// The record is an error.
    RaiseError,
}

/// The options of the format, read.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// What stands between values: one character or several.
    pub delimiter: String,
    /// What encloses values; `\0` for nothing.
    pub quote: char,
    /// What makes a quote inside a quoted value a character of it; `\0` for nothing.
    pub escape: char,
    /// What makes an escape before a quote a character; `\0` for nothing.
    pub escape_escape: char,
    /// What begins a line that is no record.
    pub comment: Option<char>,
    /// Whether the first record names the columns.
    pub header: bool,
    /// Whether these names need not be the declared ones.
    pub enforce_schema: bool,
    /// Whether white space before a value is cut off.
    pub trim_leading: bool,
    /// Whether white space behind a value is cut off.
    pub trim_trailing: bool,
    /// What stands for NULL.
    pub null_value: String,
    /// What an empty quoted value is read as; written, what an empty text is shown as (as is, with its quotes).
    pub empty_value: String,
    /// The text of a NaN.
    pub nan: String,
    /// The text of the positive infinity.
    pub positive_inf: String,
    /// The text of the negative infinity.
    pub negative_inf: String,
    /// Dates and times.
    pub times: Times,
    /// How many values a record may have.
    pub max_columns: usize,
    /// How many characters a value may have.
    pub max_chars: Option<usize>,
    /// What happens to a record that does not fit.
    pub mode: Mode,
    /// The column that takes the text of a record that does not fit, where it is declared.
    pub corrupt_column: String,
    /// Whether a value in quotes may go over several lines.
    pub multi_line: bool,
    /// What ends a record, where not a line's end of any kind.
    pub line_sep: Option<String>,
    /// What a stray quote means.
    pub unescaped_quote: UnescapedQuote,
    /// Whether every value is written in quotes.
    pub quote_all: bool,
    /// Whether a value with a quote in it is written in quotes.
    pub escape_quotes: bool,
    /// The table's name, for warnings; empty where it is none.
    pub table: SmolStr,
    /// Whether it was told that the records are written otherwise: once for all decoders of a table.
    pub told: Arc<AtomicBool>,
}

impl CsvOptions {
    /// Spark's defaults for reading.
    pub fn new(times: Times) -> Self {
        Self {
            delimiter: ",".to_owned(),
            quote: '"',
            escape: '\\',
            escape_escape: '\\',
            comment: None,
            header: false,
            enforce_schema: true,
            trim_leading: false,
            trim_trailing: false,
            null_value: String::new(),
            empty_value: String::new(),
            nan: "NaN".to_owned(),
            positive_inf: "Inf".to_owned(),
            negative_inf: "-Inf".to_owned(),
            times,
            max_columns: 20_480,
            max_chars: None,
            mode: Mode::Permissive,
            corrupt_column: CORRUPT_RECORD.to_owned(),
            multi_line: false,
            line_sep: None,
            unescaped_quote: UnescapedQuote::StopAtDelimiter,
            quote_all: false,
            escape_quotes: true,
            table: SmolStr::default(),
            told: Arc::default(),
        }
    }

    /// The options that `option` gives, with Spark's defaults for reading or, not `reading`, for writing.
    ///
    /// # Errors
    /// The option and what is wrong with it.
    pub fn with<'t>(
        zone: Zone,
        reading: bool,
        option: &dyn Fn(&str) -> Option<&'t str>,
    ) -> Result<Self, (&'static str, String)> {
        let defaults = Self::new(Times::with(zone, reading, option)?);
        let text = |name: &'static str, default: &str| option(name).unwrap_or(default).to_owned();
        let flag = |name: &'static str, default: bool| match option(name) {
            None => Ok(default),
            Some(word) if word.eq_ignore_ascii_case("true") => Ok(true),
            Some(word) if word.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err((name, format!("option `{name}` takes true or false"))),
        };
        let quote = character("quote", option("quote"), '"')?;
        let escape = character("escape", option("escape"), '\\')?;
        let own = if quote == escape { '\0' } else { escape };
        let given = option("charToEscapeQuoteEscaping").filter(|given| !given.is_empty());
        let comment = character("comment", option("comment"), '\0')?;
        let delimiter = option("sep").or(option("delimiter"));
        let (delimiter_name, delimiter) = match (option("sep"), delimiter) {
            (Some(_), Some(given)) => ("sep", delimiter_text("sep", given)?),
            (None, Some(given)) => ("delimiter", delimiter_text("delimiter", given)?),
            _ => ("sep", ",".to_owned()),
        };
        if quote != '\0' && delimiter.contains(quote) {
            let why = format!("option `{delimiter_name}` cannot hold the quote");
            return Err((delimiter_name, why));
        }
        Ok(Self {
            delimiter,
            quote,
            escape,
            escape_escape: character("charToEscapeQuoteEscaping", given, own)?,
            comment: (comment != '\0').then_some(comment),
            header: flag("header", false)?,
            enforce_schema: flag("enforceSchema", true)?,
            trim_leading: flag("ignoreLeadingWhiteSpace", !reading)?,
            trim_trailing: flag("ignoreTrailingWhiteSpace", !reading)?,
            null_value: text("nullValue", ""),
            empty_value: text("emptyValue", if reading { "" } else { "\"\"" }),
            nan: text("nanValue", "NaN"),
            positive_inf: text("positiveInf", "Inf"),
            negative_inf: text("negativeInf", "-Inf"),
            max_columns: match option("maxColumns") {
                Some("-1") => {
                    let why =
                        "option `maxColumns` takes a number of at least 1: leave it out for 20480";
                    return Err(("maxColumns", why.to_owned()));
                }
                given => count("maxColumns", given)?.unwrap_or(20_480),
            },
            max_chars: count("maxCharsPerColumn", option("maxCharsPerColumn"))?,
            mode: option("mode")
                .map(Mode::of_word)
                .unwrap_or(Mode::Permissive),
            corrupt_column: text("columnNameOfCorruptRecord", CORRUPT_RECORD),
            multi_line: flag("multiLine", false)?,
            line_sep: line_sep(option("lineSep"))?,
            unescaped_quote: unescaped_quote(option("unescapedQuoteHandling")),
            quote_all: flag("quoteAll", false)?,
            escape_quotes: flag("escapeQuotes", true)?,
            ..defaults
        })
    }

    /// Whether a record is a comment, and none.
    pub(super) fn comments(&self, record: &str) -> bool {
        self.comment.is_some_and(|mark| record.starts_with(mark))
    }
}

/// The column that takes the text of a broken record where the option names no other.
pub(crate) const CORRUPT_RECORD: &str = "_corrupt_record";

type Wrong = (&'static str, String);

/// One character, `\0` for an empty text.
fn character(name: &'static str, given: Option<&str>, default: char) -> Result<char, Wrong> {
    let Some(given) = given else {
        return Ok(default);
    };
    let mut chars = given.chars();
    match (chars.next(), chars.next()) {
        (None, _) => Ok('\0'),
        (Some(one), None) => Ok(one),
        _ => Err((
            name,
            format!("option `{name}` takes one character, or none for nothing"),
        )),
    }
}

/// A delimiter as Spark reads it: `\t` and its like are one character, a backslash is written twice.
fn delimiter_text(name: &'static str, given: &str) -> Result<String, Wrong> {
    let wrong = |why: &str| Err((name, format!("option `{name}` {why}")));
    if given.is_empty() {
        return wrong("cannot be empty");
    }
    let mut text = String::new();
    let mut chars = given.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        text.push(match chars.next() {
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('"') => '"',
            Some('\'') => '\'',
            Some('\\') => '\\',
            Some('u') if chars.as_str() == "0000" => {
                chars = "".chars();
                '\0'
            }
            _ => return wrong("has a backslash that begins no known escape: write it twice"),
        });
    }
    if text.contains(['\n', '\r']) {
        return wrong("cannot hold a line's end");
    }
    Ok(text)
}

/// A positive number; -1 is no limit.
fn count(name: &'static str, given: Option<&str>) -> Result<Option<usize>, Wrong> {
    match given.map(str::trim) {
        None | Some("-1") => Ok(None),
        Some(text) => match text.parse() {
            Ok(count) if count > 0 => Ok(Some(count)),
            _ => Err((
                name,
                format!("option `{name}` takes a number of at least 1, or -1 for no limit"),
            )),
        },
    }
}

fn line_sep(given: Option<&str>) -> Result<Option<String>, Wrong> {
    match given {
        None => Ok(None),
        Some(text) if (1..=2).contains(&text.chars().count()) => Ok(Some(text.to_owned())),
        Some(_) => Err((
            "lineSep",
            "option `lineSep` takes one character, or two such as \\r\\n".to_owned(),
        )),
    }
}

fn unescaped_quote(given: Option<&str>) -> UnescapedQuote {
    match given.map(str::to_ascii_uppercase).as_deref() {
        Some("STOP_AT_CLOSING_QUOTE") => UnescapedQuote::StopAtClosingQuote,
        Some("BACK_TO_DELIMITER") => UnescapedQuote::BackToDelimiter,
        Some("SKIP_VALUE") => UnescapedQuote::SkipValue,
        Some("RAISE_ERROR") => UnescapedQuote::RaiseError,
        _ => UnescapedQuote::StopAtDelimiter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(options: &[(&str, &str)]) -> Result<CsvOptions, String> {
        let find = |name: &str| {
            options
                .iter()
                .find(|given| given.0 == name)
                .map(|given| given.1)
        };
        CsvOptions::with(Zone::UTC, true, &find).map_err(|(_, why)| why)
    }

    #[test]
    fn delimiters_are_read_as_spark_reads_them() {
        let delimiter = |text| with(&[("sep", text)]).map(|options| options.delimiter);
        assert_eq!(delimiter("\\t"), Ok("\t".to_owned()));
        assert_eq!(delimiter("||"), Ok("||".to_owned()));
        assert_eq!(delimiter("\\\\"), Ok("\\".to_owned()));
        assert!(delimiter("\\x").is_err());
        assert!(delimiter("").is_err());
    }

    #[test]
    fn an_escape_escapes_itself_unless_it_is_the_quote() {
        assert_eq!(with(&[]).unwrap().escape_escape, '\\');
        assert_eq!(with(&[("escape", "\"")]).unwrap().escape_escape, '\0');
        assert_eq!(with(&[("escape", "")]).unwrap().escape, '\0');
        assert!(with(&[("quote", "ab")]).is_err());
    }
}
