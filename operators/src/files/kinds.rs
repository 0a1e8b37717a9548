//! The format `text`, and what all formats of text share.

use std::sync::Arc;

use encoding_rs::Encoding;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};

use super::format::{FileFormat, FormatSpec};
use super::lines::{AnyLines, SeparatedBy, Splitter, Whole};
use super::text::{TextCodec, TextFormat};
use crate::codecs::encoding::named;
use crate::codecs::{Decoded, Decoder, Mode, text};
use crate::job_error::JobError;
use crate::table::{OpenContext, OptionKind, OptionSpec, Table, refused};

/// How text is read, in all formats of text.
pub(super) const ENCODING: OptionSpec = OptionSpec {
    name: "encoding",
    kind: OptionKind::Text,
    default: "UTF-8",
    example: "ISO-8859-1",
    about: "What the bytes are, such as `ISO-8859-1` or `UTF-16LE`; `charset` is the same. What is not of the encoding becomes \
            U+FFFD, except in UTF-8, where it is an error or NULL",
};
pub(super) const CHARSET: OptionSpec = OptionSpec {
    name: "charset",
    about: "The same as `encoding`",
    ..ENCODING
};
pub(super) const LINE_SEP: OptionSpec = OptionSpec {
    name: "lineSep",
    kind: OptionKind::Text,
    default: "\\r, \\r\\n and \\n",
    example: "\r\n",
    about: "What stands behind each record. The escapes \\n, \\r, \\t and \\\\ are known",
};
/// How files may be packed: their names say it.
pub(super) const COMPRESSION: OptionSpec = OptionSpec {
    name: "compression",
    kind: OptionKind::Refused,
    default: "",
    example: "",
    about: "how a file is packed is seen by its suffix: .gz, .zst, .deflate",
};

/// A type that there is not.
pub(super) const NO_VARIANT: OptionSpec = refused(
    "singleVariantColumn",
    "there is no type VARIANT; declare the columns, or read lines as they are with USING text",
);
/// Texts that Spark's older versions took for times.
pub(super) const NO_FALLBACK: OptionSpec = refused(
    "enableDateTimeParsingFallback",
    "texts that do not fit the pattern are no dates; leave the pattern out to read them as a cast does",
);

/// The format `text`.
pub(crate) const TEXT: FormatSpec = FormatSpec {
    name: "text",
    options: &[
        OptionSpec {
            name: "wholetext",
            kind: OptionKind::Boolean,
            default: "false",
            example: "true",
            about: "Whether each file is one row",
        },
        LINE_SEP,
        ENCODING,
        CHARSET,
        COMPRESSION,
    ],
    fixed: Some(|| vec![Field::nullable("value", DataType::String)]),
    check: check_text,
    open: open_text,
};

fn check_text(table: &Table, columns: &[Field]) -> Result<(), JobError> {
    separator(table)?;
    encoding(table)?;
    if table.options.flag("wholetext", false)
        && let Some(entry) = table.options.entry("lineSep")
    {
        return Err(JobError::new(
            entry.at,
            "option `lineSep` is without effect: with wholetext a file is not cut",
        ));
    }
    let folders = !table.options.flag("recursiveFileLookup", false);
    // Folders may say all others: which do is seen with each file.
    if folders && columns.len() > 1 && columns.iter().any(|column| is_text(&column.data_type)) {
        return Ok(());
    }
    match unsupported(columns) {
        Some(reason) => Err(JobError::new(table.at, reason)),
        None => Ok(()),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::String | DataType::Binary)
}

/// Why files of text do not give these columns, if they do not.
fn unsupported(columns: &[Field]) -> Option<String> {
    match columns {
        [column] if is_text(&column.data_type) => None,
        columns => text::unsupported(columns),
    }
}

/// What the option `lineSep` says.
pub(crate) fn separator(table: &Table) -> Result<Option<String>, JobError> {
    let Some(entry) = table.options.entry("lineSep") else {
        return Ok(None);
    };
    let mut plain = String::new();
    let mut letters = entry.value.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some(other) => {
                if other != '\\' {
                    plain.push('\\');
                }
                plain.push(other);
            }
            None => plain.push('\\'),
        }
    }
    if plain.is_empty() {
        return Err(JobError::new(entry.at, "option `lineSep` is not empty"));
    }
    Ok(Some(plain))
}

/// What the bytes are, where they are not UTF-8.
pub(crate) fn encoding(table: &Table) -> Result<Option<&'static Encoding>, JobError> {
    let options = &table.options;
    let Some(entry) = options
        .entry("encoding")
        .or_else(|| options.entry("charset"))
    else {
        return Ok(None);
    };
    named(&entry.value)
        .map_err(|why| JobError::new(entry.at, format!("option `{}`: {why}", entry.name)))
}

/// Opens a format of text.
pub(crate) fn open_codec(
    table: &Table,
    codec: impl TextCodec + 'static,
) -> Result<Arc<dyn FileFormat>, Failure> {
    let encoding = encoding(table).map_err(|error| Failure::refuse(error.message))?;
    Ok(Arc::new(TextFormat::new(Arc::new(codec), encoding)))
}

fn open_text(
    table: &Table,
    columns: &[Field],
    wanted: &[usize],
    _: &OpenContext,
) -> Result<Arc<dyn FileFormat>, Failure> {
    let codec = Text {
        whole: table.options.flag("wholetext", false),
        separator: separator(table).map_err(|error| Failure::refuse(error.message))?,
        unsupported: unsupported(columns).map(|why| {
            format!("{why}: the file lies in no folders `key=value` that say the others")
        }),
        binary: columns.iter().any(|c| c.data_type == DataType::Binary),
        wanted: wanted.to_vec(),
    };
    open_codec(table, codec)
}

struct Text {
    whole: bool,
    separator: Option<String>,
    /// Why a file cannot be read whose folders do not say all columns but one.
    unsupported: Option<String>,
    binary: bool,
    wanted: Vec<usize>,
}

/// Cuts lines of which blank ones count or not.
pub(super) fn lines(separator: Option<&str>, blank: bool) -> Box<dyn Splitter> {
    match separator {
        Some(separator) => Box::new(SeparatedBy::new(separator, blank)),
        None => Box::new(AnyLines::new(blank)),
    }
}

impl TextCodec for Text {
    fn splitter(&self) -> Box<dyn Splitter> {
        if self.whole {
            return Box::new(Whole);
        }
        lines(self.separator.as_deref(), true)
    }

    fn decoder(&self, _: Option<&[u8]>, _: &dyn Splitter) -> Result<Box<dyn Decoder>, RecordError> {
        if let Some(why) = &self.unsupported {
            return Err(RecordError::decode(why.as_str()));
        }
        if self.binary {
            return Ok(Box::new(Bytes(self.wanted.len())));
        }
        Ok(text::decoder(&self.wanted, Mode::FailFast))
    }
}

/// The bytes as they are, so many times.
struct Bytes(usize);

impl Decoder for Bytes {
    fn decode(&mut self, bytes: &[u8], row: &mut Row) -> Result<Decoded, RecordError> {
        if self.0 > 0 {
            row.resize(row.len() + self.0, Value::Binary(bytes.into()));
        }
        Ok(Decoded::Row)
    }
}
