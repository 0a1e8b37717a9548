//! The encoder: a row as one line of CSV, as Spark's writer makes it.

use std::borrow::Cow;
use std::mem::take;

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field};

use super::dialect::CsvOptions;
use crate::codecs::Encoder;
use crate::expr::text;

/// Encodes each row as one record, without a line's end.
pub(super) struct CsvEncoder {
    types: Vec<DataType>,
    options: CsvOptions,
    marks: Marks,
    scratch: String,
    line: String,
}

impl CsvEncoder {
    pub(super) fn new(fields: &[Field], options: &CsvOptions) -> Self {
        Self {
            types: fields.iter().map(|field| field.data_type.clone()).collect(),
            options: options.clone(),
            marks: Marks::new(options),
            scratch: String::new(),
            line: String::new(),
        }
    }

    /// The names of the columns as a record.
    pub(super) fn header(fields: &[Field], options: &CsvOptions) -> String {
        let mut line = String::new();
        let marks = Marks::new(options);
        for (place, field) in fields.iter().enumerate() {
            if place > 0 {
                line.push_str(&options.delimiter);
            }
            append(&mut line, Some(&field.name), place, options, &marks);
        }
        line
    }
}

impl Encoder for CsvEncoder {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<(), RecordError> {
        self.line.clear();
        for (place, (value, data_type)) in row.iter().zip(&self.types).enumerate() {
            if place > 0 {
                self.line.push_str(&self.options.delimiter);
            }
            let mut content = take(&mut self.scratch);
            content.clear();
            let some = show(&mut content, value, data_type, &self.options);
            append(
                &mut self.line,
                some.then_some(&*content),
                place,
                &self.options,
                &self.marks,
            );
            self.scratch = content;
        }
        out.extend_from_slice(self.line.as_bytes());
        Ok(())
    }

    fn leaves_out_nothing(&self) -> bool {
        true
    }
}

/// Appends the text of a value; false for NULL.
fn show(out: &mut String, value: &Value, data_type: &DataType, options: &CsvOptions) -> bool {
    let times = &options.times;
    match value {
        Value::Null => return false,
        Value::Date(days) => {
            if !times.show_date(out, *days) {
                text::append_date(out, *days);
            }
        }
        Value::Timestamp(micros) => {
            if !times.show_timestamp(out, *micros) {
                super::times_text(out, *micros, Some(times.zone));
            }
        }
        Value::TimestampNtz(micros) => {
            if !times.show_local(out, *micros) {
                super::times_text(out, *micros, None);
            }
        }
        Value::Decimal(unscaled) => {
            let scale = match data_type {
                DataType::Decimal { scale, .. } => *scale,
                _ => 0,
            };
            java_decimal(out, (*unscaled).into(), scale);
        }
        Value::Binary(bytes) => text::append_bytes(out, bytes),
        Value::Array(_) | Value::Map(_) | Value::Struct(_) => {
            show_nested(out, value, data_type, options);
        }
        _ => text::append(out, value, data_type, times.zone),
    }
    true
}

/// Appends a list, map or struct as `to_csv` writes it: what is in it as beside it, and NULL as `nullValue` says, behind a
/// blank, or as nothing.
fn show_nested(out: &mut String, value: &Value, data_type: &DataType, options: &CsvOptions) {
    let part = |out: &mut String, begins: bool, value: &Value, data_type: &DataType| {
        let null = value.is_null();
        if !null && !begins || null && !options.null_value.is_empty() {
            out.push(' ');
        }
        if !show(out, value, data_type, options) {
            out.push_str(&options.null_value);
        }
    };
    let list = |out: &mut String, parts: &mut dyn Iterator<Item = (&Value, &DataType)>| {
        for (place, (value, data_type)) in parts.enumerate() {
            if place > 0 {
                out.push(',');
            }
            part(out, place == 0, value, data_type);
        }
    };
    match (value, data_type) {
        (Value::Array(elements), DataType::Array(element)) => {
            out.push('[');
            list(
                out,
                &mut elements.iter().map(|value| (value, element.as_ref())),
            );
            out.push(']');
        }
        (Value::Struct(values), DataType::Struct(fields)) => {
            let types = fields.iter().map(|field| &field.data_type);
            out.push('{');
            list(out, &mut values.iter().zip(types));
            out.push('}');
        }
        (Value::Map(pairs), DataType::Map(types)) => {
            out.push('{');
            for (place, (key, value)) in pairs.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                part(out, place == 0, key, &types.0);
                out.push_str(" ->");
                part(out, false, value, &types.1);
            }
            out.push('}');
        }
        _ => {}
    }
}

/// A decimal as Java's `toString` shows it: very small ones with an exponent.
fn java_decimal(out: &mut String, unscaled: i128, scale: u8) {
    let digits = unscaled.unsigned_abs().to_string();
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let exponent = length - 1 - i64::from(scale);
    if exponent >= -6 {
        text::append_decimal(out, unscaled, scale);
        return;
    }
    if unscaled < 0 {
        out.push('-');
    }
    let (first, rest) = digits.split_at(1);
    out.push_str(first);
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    out.push('E');
    out.push_str(&exponent.to_string());
}

/// Appends one value of a record, in quotes where it needs them. `place` is its column.
fn append(
    out: &mut String,
    content: Option<&str>,
    place: usize,
    options: &CsvOptions,
    marks: &Marks,
) {
    let stands_for = match content {
        None => Some(options.null_value.as_str()),
        Some("") => Some(options.empty_value.as_str()),
        Some(_) => None,
    };
    let element = stands_for.or(content).unwrap_or_default();
    let start = if options.trim_leading {
        element.len() - element.trim_start_matches(|c| c <= ' ').len()
    } else {
        0
    };
    let body = &element[start..];
    let trimmed = if options.trim_trailing {
        body.trim_end_matches(|c| c <= ' ')
    } else {
        body
    };
    let is_quote = |c: char| c == options.quote && options.quote != '\0';
    // Spark's writer takes `#` for the begin of a comment where the option says nothing.
    let commented = place == 0 && element.starts_with(options.comment.unwrap_or('#'));
    let begins = body.starts_with(is_quote) || !body.is_empty() && commented;
    // White space only, and all of it was cut off.
    let cut_off = trimmed.is_empty() && stands_for.is_none();
    let trimmed = if cut_off {
        &options.empty_value
    } else {
        trimmed
    };
    let ready = (stands_for.is_some() || cut_off)
        && trimmed.len() >= 2
        && trimmed.starts_with(is_quote)
        && trimmed.ends_with(is_quote);
    let quotes = options.quote_all || begins || marks.quotes(body, options);
    let shown = match options.line_sep.as_deref() {
        // An end of lines of two characters is that of the lines within a value too.
        Some(end) if end.chars().count() == 2 && trimmed.contains('\n') => {
            Cow::Owned(trimmed.replace('\n', end))
        }
        _ => Cow::Borrowed(trimmed),
    };
    if quotes && !ready && options.quote != '\0' {
        out.push(options.quote);
        escaped(out, &shown, options);
        out.push(options.quote);
    } else {
        // What stands for nothing may bring its quotes along.
        out.push_str(&shown);
    }
}

/// The first bytes of what makes a value need quotes. Most values have none of them and are looked at no more closely.
struct Marks([bool; 256]);

impl Marks {
    fn new(options: &CsvOptions) -> Self {
        let end = options.line_sep.as_deref().unwrap_or("\n");
        let delimiter = options.delimiter.chars().take(1);
        let quote = options.escape_quotes.then_some(options.quote);
        let mut marks = [false; 256];
        let mut buffer = [0; 4];
        for c in "\n\r"
            .chars()
            .chain(end.chars())
            .chain(delimiter)
            .chain(quote)
        {
            let bytes = c.encode_utf8(&mut buffer).as_bytes();
            marks[usize::from(bytes[0])] = true;
        }
        Self(marks)
    }

    /// Whether a value could not be read back without quotes.
    fn quotes(&self, body: &str, options: &CsvOptions) -> bool {
        body.bytes().any(|byte| self.0[usize::from(byte)]) && needs_quotes(body, options)
    }
}

/// [`Marks::quotes`], by a close look at each character.
fn needs_quotes(body: &str, options: &CsvOptions) -> bool {
    let end = options.line_sep.as_deref().unwrap_or("\n");
    body.contains(options.delimiter.as_str())
        || body.contains(|c: char| {
            matches!(c, '\n' | '\r')
                || end.contains(c)
                || options.escape_quotes && c == options.quote && c != '\0'
        })
}

fn escaped(out: &mut String, body: &str, options: &CsvOptions) {
    for c in body.chars() {
        if c == options.quote {
            out.push(options.escape);
        } else if c == options.escape && options.escape_escape != '\0' {
            out.push(options.escape_escape);
        }
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codecs::times::Times;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
        #[test]
        fn a_value_is_in_quotes_exactly_when_a_close_look_says_so(
            body in "[a-cé€,;|\n\r\"' ]{0,8}",
            delimiter in prop_oneof![Just(","), Just("||"), Just("€"), Just("é;")],
            quote in prop_oneof![Just('"'), Just('\''), Just('\0')],
            line_sep in prop_oneof![Just(None), Just(Some("\r\n")), Just(Some("é"))],
            escape_quotes in any::<bool>(),
        ) {
            let options = CsvOptions {
                delimiter: delimiter.to_owned(),
                quote,
                escape_quotes,
                line_sep: line_sep.map(str::to_owned),
                ..CsvOptions::new(Times::new(crate::expr::calendar::Zone::UTC))
            };
            let marks = Marks::new(&options);
            prop_assert_eq!(marks.quotes(&body, &options), needs_quotes(&body, &options));
        }
    }
}
