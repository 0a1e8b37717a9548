//! The decoder: a record's bytes into the wanted columns.

use std::borrow::Cow;
use std::ops::Range;

use smol_str::SmolStr;
use thalweg_engine::counted::counted;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::convert;
use super::dialect::CsvOptions;
use super::split;
use super::tokens::{LineEnd, Malformed, Token, Tokens};
use crate::codecs::{Decoded, Decoder, Mode, tell_once};

/// Decodes one record.
pub(super) struct CsvDecoder {
    tokens: Tokens,
    wanted: Vec<Wanted>,
    /// How many values a record must have; None where that is not looked at, as in Spark when not all columns are used.
    count: Option<usize>,
    options: CsvOptions,
    /// What ends lines, where the file has said it.
    line_end: Option<LineEnd>,
    records: u64,
    /// Where in its text the record stands that was read last: empty lines may stand before it.
    stands: Range<usize>,
    /// Whether one of them had several values.
    separated: bool,
}

/// A wanted column.
struct Wanted {
    /// Which value of a record it is; None for the column that takes the record's text.
    place: Option<usize>,
    name: SmolStr,
    data_type: DataType,
    nullable: bool,
}

/// What is wrong with a record.
enum Fault {
    /// It has no values.
    Nothing,
    Malformed(Malformed),
    /// How many values it has.
    Count(usize),
    /// The column at this place of the wanted ones, and what its value is.
    Misfit(usize, Token),
    /// A column that is NOT NULL has no value.
    Null(usize),
}

impl CsvDecoder {
    pub(super) fn new(columns: &[Field], wanted: &[usize], options: &CsvOptions) -> Self {
        let corrupt = columns
            .iter()
            .position(|column| column.name == options.corrupt_column.as_str());
        let values = columns.len() - usize::from(corrupt.is_some());
        let wanted: Vec<Wanted> = wanted
            .iter()
            .filter_map(|place| Some((*place, columns.get(*place)?)))
            .map(|(place, column)| Wanted {
                // The column for broken records is none of the file's.
                place: match corrupt {
                    Some(corrupt) if corrupt == place => None,
                    Some(corrupt) => Some(place - usize::from(place > corrupt)),
                    None => Some(place),
                },
                name: column.name.clone(),
                data_type: column.data_type.clone(),
                nullable: column.nullable,
            })
            .collect();
        let used = wanted
            .iter()
            .filter(|column| column.place.is_some())
            .count();
        let whole = used == values;
        Self {
            tokens: Tokens::new(options),
            wanted,
            count: whole.then_some(values),
            options: options.clone(),
            line_end: None,
            records: 0,
            stands: 0..0,
            separated: false,
        }
    }

    /// The same decoder for the records of one file, whose lines end so.
    pub(super) fn of_file(mut self, line_end: &str) -> Self {
        self.line_end = Some(split::line_end_of(line_end.as_bytes()));
        self
    }

    fn read(&mut self, text: &str, row: &mut Row) -> Result<(), Fault> {
        let Self {
            tokens,
            wanted,
            options,
            records,
            stands,
            separated,
            ..
        } = self;
        *stands = 0..text.len();
        if options.comments(text) {
            return Err(Fault::Nothing);
        }
        let mut from = 0;
        loop {
            let next = tokens.record(text, from).map_err(Fault::Malformed)?;
            *stands = from..next;
            from = next;
            if !tokens.found.is_empty() || from >= text.len() {
                break;
            }
        }
        let found = &tokens.found;
        if found.is_empty() {
            return Err(Fault::Nothing);
        }
        *records += 1;
        *separated |= found.len() > 1;
        let mut fault = match self.count {
            Some(count) if count != found.len() => Some(Fault::Count(found.len())),
            _ => None,
        };
        let counted = self.count.is_some();
        row.reserve(wanted.len());
        for (column, wanted) in wanted.iter().enumerate() {
            let Some(place) = wanted.place else {
                row.push(Value::Null);
                continue;
            };
            let token = found.get(place).copied();
            let content = match token {
                Some(Token::Empty) => Some(options.empty_value.as_str()),
                Some(token) => tokens.text(token, text),
                None => None,
            };
            let content = content.filter(|content| *content != options.null_value);
            let value = match (content, token) {
                (Some(content), Some(token)) => convert::value(content, &wanted.data_type, options)
                    .unwrap_or_else(|| {
                        fault.get_or_insert(Fault::Misfit(column, token));
                        Value::Null
                    }),
                _ => Value::Null,
            };
            if value.is_null() && !wanted.nullable && (token.is_some() || !counted) {
                fault.get_or_insert(Fault::Null(column));
            }
            row.push(value);
        }
        fault.map_or(Ok(()), Err)
    }

    /// What the mode makes of a record that does not fit.
    #[cold]
    fn fault(
        &self,
        fault: &Fault,
        text: &str,
        row: &mut Row,
        base: usize,
    ) -> Result<Decoded, RecordError> {
        let limit = matches!(fault, Fault::Malformed(_));
        if self.options.mode == Mode::DropMalformed && !limit {
            row.truncate(base);
            return Ok(Decoded::Dropped);
        }
        let required = self.wanted.iter().any(|column| !column.nullable);
        // What cannot be taken apart is an error in every mode, as in Spark; so is a NOT NULL without value.
        if self.options.mode == Mode::FailFast
            || limit
            || required && !matches!(fault, Fault::Misfit(place, _) if self.wanted[*place].nullable)
        {
            return Err(self.error(fault, text));
        }
        row.resize(base + self.wanted.len(), Value::Null);
        // An empty text and a comment are nothing that could be kept.
        let nothing = text.is_empty() || self.options.comments(text);
        if matches!(fault, Fault::Nothing) && nothing {
            return Ok(Decoded::Row);
        }
        let record = text.get(self.stands.clone()).unwrap_or(text);
        for (place, column) in self.wanted.iter().enumerate() {
            if column.place.is_none() {
                row[base + place] = Value::String(SmolStr::new(split::without_end(record)));
            }
        }
        Ok(Decoded::Row)
    }

    fn error(&self, fault: &Fault, text: &str) -> RecordError {
        // So much of the content helps, more only fills the log.
        const SHOWN: usize = 200;
        let mut shown = text;
        let reason = match fault {
            Fault::Nothing => "not CSV: there is no value".to_owned(),
            Fault::Malformed(Malformed::StrayQuote) => {
                "not CSV: a quote inside a value in quotes, and `unescapedQuoteHandling` is RAISE_ERROR".to_owned()
            }
            Fault::Malformed(Malformed::Columns) => format!(
                "more values than `maxColumns`, which is {}",
                self.options.max_columns
            ),
            Fault::Malformed(Malformed::Characters) => format!(
                "a value longer than `maxCharsPerColumn`, which is {}",
                self.options.max_chars.unwrap_or_default()
            ),
            Fault::Count(found) => format!(
                "the record has {}, the table {}",
                counted(found, "value"),
                counted(self.count.unwrap_or_default(), "column")
            ),
            Fault::Misfit(place, token) => {
                let column = &self.wanted[*place];
                shown = self.tokens.text(*token, text).unwrap_or_default();
                format!(
                    "column `{}` is {}, value {} of the record does not fit",
                    column.name,
                    column.data_type,
                    column.place.unwrap_or_default() + 1
                )
            }
            Fault::Null(place) => format!(
                "column `{}` is NOT NULL, but the record has no value for it",
                self.wanted[*place].name
            ),
        };
        let cut = shown
            .char_indices()
            .nth(SHOWN)
            .map_or(shown, |(end, _)| &shown[..end]);
        RecordError::decode(reason).with_content(cut)
    }
}

impl Drop for CsvDecoder {
    fn drop(&mut self) {
        let several = self.wanted.iter().any(|column| column.place > Some(0));
        if self.records == 0 || self.separated || !several || self.options.table.is_empty() {
            return;
        }
        let CsvOptions { table, told, .. } = &self.options;
        let strange = format!(
            "none of {} records had more than one value: nothing in them is separated by `{}`, see the option `sep`",
            self.records, self.options.delimiter
        );
        tell_once(table, told, &strange);
    }
}

impl Decoder for CsvDecoder {
    fn decode(&mut self, bytes: &[u8], row: &mut Row) -> Result<Decoded, RecordError> {
        let base = row.len();
        // Nothing of the record is looked at where no column is used.
        if self.wanted.is_empty() && self.count != Some(0) {
            return Ok(Decoded::Row);
        }
        // As in Spark, what is no UTF-8 becomes the replacement character.
        let text: Cow<'_, str> = match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(bytes),
        };
        if self.options.multi_line && self.options.line_sep.is_none() {
            let line_end = self
                .line_end
                .unwrap_or_else(|| split::line_end_of(text.as_bytes()));
            self.tokens.set_line_end(line_end);
        }
        match self.read(&text, row) {
            Ok(()) => Ok(Decoded::Row),
            Err(fault) => self.fault(&fault, &text, row, base),
        }
    }
}
