//! Where a record ends in a file.

use super::dialect::CsvOptions;
use super::tokens::{LineEnd, Tokens, either};

/// What stands at the begin of some bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// A record of `length` bytes without its line's end; the next one begins `next` bytes from here.
    Record {
        /// How many bytes are the record's.
        length: usize,
        /// Where the next one begins.
        next: usize,
    },
    /// Nothing that is a record: an empty line, a comment.
    Skip(usize),
    /// Not enough: the record does not end in these bytes.
    More,
}

/// Finds the records of one file, one after the other.
pub struct CsvSplitter {
    tokens: Tokens,
    multi_line: bool,
    line_sep: Option<Box<[u8]>>,
    quote: char,
    comment: Option<char>,
    begun: bool,
    line_end: Option<LineEnd>,
}

impl CsvSplitter {
    /// One for a file that is read from its begin.
    pub fn new(options: &CsvOptions) -> Self {
        Self {
            tokens: Tokens::new(options),
            multi_line: options.multi_line,
            line_sep: options.line_sep.as_ref().map(|text| text.as_bytes().into()),
            quote: options.quote,
            comment: options.comment,
            begun: false,
            line_end: None,
        }
    }

    /// What ends lines in this file, as far as its first bytes have said it.
    pub fn found_line_end(&self) -> &'static str {
        match self.line_end {
            Some(LineEnd::DOS) => "\r\n",
            Some(LineEnd::MAC) => "\r",
            _ => "\n",
        }
    }

    /// The record that begins the text is too long and is left out: the next text is its rest.
    pub fn leave_record(&mut self) {
        self.begun = true;
    }

    /// What stands at the begin of `bytes`; `whole` where the file ends with them.
    pub fn next(&mut self, bytes: &[u8], whole: bool) -> Split {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if !self.begun {
            if !whole && bytes.len() < MARK.len() {
                return Split::More;
            }
            self.begun = true;
            if bytes.starts_with(MARK) {
                return Split::Skip(MARK.len());
            }
        }
        if bytes.is_empty() {
            return if whole { Split::Skip(0) } else { Split::More };
        }
        if self.multi_line {
            return self.multi_line(bytes, whole);
        }
        let Some((length, next)) = line(bytes, whole, self.line_sep.as_deref()) else {
            return Split::More;
        };
        let record = &bytes[..length];
        if blank(record) || self.comments(record) {
            return Split::Skip(next);
        }
        Split::Record { length, next }
    }

    fn comments(&self, record: &[u8]) -> bool {
        let mut buffer = [0; 4];
        self.comment
            .is_some_and(|c| record.starts_with(c.encode_utf8(&mut buffer).as_bytes()))
    }

    fn multi_line(&mut self, bytes: &[u8], whole: bool) -> Split {
        if self.line_sep.is_none() {
            // A carriage return that is the last of these bytes has not said yet what it is.
            let end = either(bytes, 0, b'\n', b'\r');
            if !whole && end.is_none_or(|end| end + 1 == bytes.len()) {
                return Split::More;
            }
            let line_end = line_end_of(bytes);
            self.line_end = Some(line_end);
            self.tokens.set_line_end(line_end);
            self.line_sep = Some(line_end.bytes().into());
        }
        let Some((length, next)) = line(bytes, whole, self.line_sep.as_deref()) else {
            return Split::More;
        };
        let first = &bytes[..length];
        if first.is_empty() || self.comments(first) {
            return Split::Skip(next);
        }
        let mut buffer = [0; 4];
        let quote = self.quote.encode_utf8(&mut buffer).as_bytes();
        let quoted = self.quote != '\0' && contains(first, quote);
        // To Spark a `\n` ends a record too where `\r` or `\r\n` does.
        let ended = self.tokens.new_line == u32::from('\n') && contains(first, b"\n");
        if !quoted && !ended {
            return Split::Record { length: next, next };
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            // Bytes that are no text cannot be a quote: they are read as some character that means nothing.
            Err(_) => return self.masked(bytes, whole),
        };
        self.record(text, whole)
    }

    fn masked(&mut self, bytes: &[u8], whole: bool) -> Split {
        let mut masked = Vec::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            masked.extend_from_slice(chunk.valid().as_bytes());
            masked.resize(masked.len() + chunk.invalid().len(), b'?');
        }
        match std::str::from_utf8(&masked) {
            Ok(text) => self.record(text, whole),
            Err(_) => Split::More,
        }
    }

    fn record(&mut self, text: &str, whole: bool) -> Split {
        self.tokens.partial = !whole;
        match self.tokens.record(text, 0) {
            Ok(end) if self.tokens.found.is_empty() && end > 0 && (end < text.len() || whole) => {
                Split::Skip(end)
            }
            Ok(end) if end < text.len() || whole => Split::Record {
                length: end,
                next: end,
            },
            Ok(_) => Split::More,
            // It ends where its line does; the decoder says what is wrong with it.
            Err(_) => match line(text.as_bytes(), whole, self.line_sep.as_deref()) {
                Some((_, next)) => Split::Record { length: next, next },
                None => Split::More,
            },
        }
    }
}

/// The length of the first line and where the next one begins; None where it does not end here.
pub(crate) fn line(bytes: &[u8], whole: bool, separator: Option<&[u8]>) -> Option<(usize, usize)> {
    let all = || whole.then_some((bytes.len(), bytes.len()));
    if let Some(separator) = separator {
        let mut at = 0;
        while let Some(found) = either(bytes, at, separator[0], separator[0]) {
            if bytes[found..].starts_with(separator) {
                return Some((found, found + separator.len()));
            }
            at = found + 1;
        }
        return all();
    }
    match either(bytes, 0, b'\n', b'\r') {
        None => all(),
        Some(end) if bytes[end] == b'\n' => Some((end, end + 1)),
        Some(end) => match bytes.get(end + 1) {
            Some(b'\n') => Some((end, end + 2)),
            None if !whole => None,
            _ => Some((end, end + 1)),
        },
    }
}

/// Whether Java's `trim` leaves nothing of a line.
fn blank(line: &[u8]) -> bool {
    line.iter().all(|byte| *byte <= b' ')
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    match part {
        [one] => either(bytes, 0, *one, *one).is_some(),
        _ => bytes.windows(part.len()).any(|window| window == part),
    }
}

/// What ends lines in a text: the first that does.
pub(super) fn line_end_of(bytes: &[u8]) -> LineEnd {
    match either(bytes, 0, b'\n', b'\r') {
        Some(at) if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') => LineEnd::DOS,
        Some(at) if bytes[at] == b'\r' => LineEnd::MAC,
        _ => LineEnd::UNIX,
    }
}

/// A record without the line's end behind it, of whatever kind and whatever else ends the records of its file.
pub(super) fn without_end(record: &str) -> &str {
    let ended = ["\r\n", "\n", "\r"];
    let ended = ended.iter().find_map(|end| record.strip_suffix(end));
    ended.unwrap_or(record)
}
