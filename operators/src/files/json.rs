//! Files of the format `json`: objects, one a line or, with `multiLine`, one a file; and arrays of them.

use std::collections::VecDeque;
use std::sync::Arc;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::schema::Field;

use super::format::{FileFormat, FormatSpec, mode};
use super::kinds::{
    CHARSET, COMPRESSION, ENCODING, LINE_SEP, NO_FALLBACK, NO_VARIANT, encoding, lines, open_codec,
    separator,
};
use super::lines::{Cut, Splitter, Whole};
use super::text::TextCodec;
use crate::codecs::json::{self, Documents, JsonOptions, Records};
use crate::codecs::{Decoder, Mode};
use crate::expr::calendar::Zone;
use crate::formats::{Format, corrupt_column, json_options};
use crate::job_error::JobError;
use crate::table::{OpenContext, OptionKind, OptionSpec, Table, joined};

/// The format `json`.
pub(crate) const JSON: FormatSpec = FormatSpec {
    name: "json",
    options: &joined::<26>(&[
        &[
            OptionSpec {
                default: "PERMISSIVE",
                ..json::READ_OPTIONS[0]
            },
            OptionSpec {
                name: "multiLine",
                kind: OptionKind::Boolean,
                default: "false",
                example: "true",
                about: "Whether each file is one object, or one array of objects, instead of one a line",
            },
            LINE_SEP,
            ENCODING,
            CHARSET,
            COMPRESSION,
            NO_VARIANT,
            NO_FALLBACK,
        ],
        json::READ_OPTIONS.split_at(1).1,
    ]),
    fixed: None,
    check,
    open,
};

fn check(table: &Table, columns: &[Field]) -> Result<(), JobError> {
    separator(table)?;
    encoding(table)?;
    corrupt_column(table, columns)?;
    json_options(table, Zone::UTC, true)?;
    match Format::Json.unsupported(columns) {
        Some(reason) => Err(JobError::new(table.at, reason)),
        None => Ok(()),
    }
}

fn open(
    table: &Table,
    columns: &[Field],
    wanted: &[usize],
    context: &OpenContext,
) -> Result<Arc<dyn FileFormat>, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    let codec = Json {
        separator: separator(table).map_err(refuse)?,
        whole: table.options.flag("multiLine", false),
        columns: columns.to_vec(),
        wanted: wanted.to_vec(),
        mode: mode(table),
        options: JsonOptions {
            // As in Spark, what follows a record's value is left alone.
            trailing: true,
            ..json_options(table, context.time_zone, true).map_err(refuse)?
        },
    };
    open_codec(table, codec)
}

struct Json {
    separator: Option<String>,
    /// Whether each file is one document.
    whole: bool,
    columns: Vec<Field>,
    wanted: Vec<usize>,
    mode: Mode,
    options: JsonOptions,
}

impl TextCodec for Json {
    fn splitter(&self) -> Box<dyn Splitter> {
        Box::new(Objects {
            lines: if self.whole {
                Box::new(Whole)
            } else {
                lines(self.separator.as_deref(), false)
            },
            documents: Documents::new(self.options.syntax),
            waiting: VecDeque::new(),
            leaving: false,
        })
    }

    fn decoder(&self, _: Option<&[u8]>, _: &dyn Splitter) -> Result<Box<dyn Decoder>, RecordError> {
        Ok(json::decoder(
            &self.columns,
            &self.wanted,
            self.mode,
            &self.options,
        ))
    }
}

/// Cuts documents, and those that are arrays into their objects.
struct Objects {
    lines: Box<dyn Splitter>,
    documents: Documents,
    /// The objects of an array that were not given yet: each counted from where the last one ended.
    waiting: VecDeque<Cut>,
    /// Whether the next document is the rest of one that is too long.
    leaving: bool,
}

impl Splitter for Objects {
    fn cut(&mut self, text: &[u8], whole: bool) -> Cut {
        if let Some(next) = self.waiting.pop_front() {
            return next;
        }
        let cut = self.lines.cut(text, whole);
        if cut == Cut::More || std::mem::take(&mut self.leaving) {
            return cut;
        }
        let Cut::Record(span, next) = cut else {
            return cut;
        };
        let document = &text[span.clone()];
        if document.trim_ascii().is_empty() {
            return Cut::Nothing(next);
        }
        let objects = match self.documents.records(document) {
            Records::One => return Cut::Record(span, next),
            Records::Many(objects) => objects,
        };
        let mut done = 0;
        for object in objects {
            let (from, to) = (span.start + object.start, span.start + object.end);
            let cut = Cut::Record(from - done..to - done, to - done);
            self.waiting.push_back(cut);
            done = to;
        }
        self.waiting.push_back(Cut::Nothing(next - done));
        self.waiting.pop_front().unwrap_or(Cut::Nothing(next))
    }

    fn leave(&mut self) {
        self.lines.leave();
        self.leaving = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codecs::json::Syntax;

    fn cut(text: &str) -> Vec<&str> {
        cut_as(text, Syntax::default())
    }

    fn cut_as(text: &str, syntax: Syntax) -> Vec<&str> {
        let mut objects = Objects {
            lines: lines(None, false),
            documents: Documents::new(syntax),
            waiting: VecDeque::new(),
            leaving: false,
        };
        let (mut at, mut found) = (0, Vec::new());
        while at < text.len() {
            match objects.cut(&text.as_bytes()[at..], true) {
                Cut::Record(span, next) => {
                    found.push(&text[at + span.start..at + span.end]);
                    at += next;
                }
                Cut::Nothing(next) => at += next,
                Cut::More => panic!("more of {text}"),
            }
        }
        found
    }

    #[test]
    fn an_array_of_objects_is_a_record_for_each() {
        assert_eq!(
            cut(" [{\"a\":1} , {\"a\":[2]}]\n\n{\"a\":3}\n[]\n"),
            ["{\"a\":1}", "{\"a\":[2]}", "{\"a\":3}"]
        );
    }

    #[test]
    fn where_comments_may_stand_they_are_no_record() {
        let text =
            "// of today\n{\"a\":1}\n/* [ */ [{\"a\":2}] // ]\n /* none */ // here\n/* open\n";
        let comments = Syntax {
            comments: true,
            ..Syntax::default()
        };
        assert_eq!(
            cut_as(text, comments),
            ["{\"a\":1}", "{\"a\":2}", "/* open"]
        );
    }

    #[test]
    fn an_array_of_something_else_is_one_record() {
        assert_eq!(cut("[{\"a\":1},2]\n[{"), ["[{\"a\":1},2]", "[{"]);
    }
}
