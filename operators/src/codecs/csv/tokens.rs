//! The values of a record: where each begins and ends, and what it says.
//!
//! It answers as Spark's reader does, also where CSV is badly written: stray quotes, text behind a quoted value, a quote
//! that never ends. Most values are plain and are handed out as slices of the record; the others are built aside, and
//! [`super::quoted`] has the rules for those in quotes.

use super::dialect::{CsvOptions, UnescapedQuote};
use super::plain::Plain;

/// A value of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Nothing stands there.
    Null,
    /// A quoted value without content.
    Empty,
    /// A slice of the record.
    Plain(usize, usize),
    /// A slice of [`Tokens::built`].
    Built(usize, usize),
}

/// Why a record has no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// `unescapedQuoteHandling` is RAISE_ERROR and a stray quote stands there.
    StrayQuote,
    /// More values than `maxColumns`.
    Columns,
    /// A value is longer than `maxCharsPerColumn`.
    Characters,
}

/// Why reading stops in the middle of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The text is over.
    End,
    /// The record cannot be taken apart.
    Malformed(Malformed),
}

/// A character, or [`DELIMITER`].
pub(super) type Char = u32;

/// Stands for the whole delimiter, whatever its length. No character has this number.
pub(super) const DELIMITER: Char = u32::MAX;
/// No character: before a value, and for a quote or an escape that is switched off.
pub(super) const NONE: Char = 0;

/// What ends lines: one character or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineEnd {
    pub(super) first: char,
    pub(super) second: Option<char>,
}

impl LineEnd {
    pub(super) const UNIX: Self = Self {
        first: '\n',
        second: None,
    };
    pub(super) const DOS: Self = Self {
        first: '\r',
        second: Some('\n'),
    };
    pub(super) const MAC: Self = Self {
        first: '\r',
        second: None,
    };

    pub(super) fn bytes(self) -> Vec<u8> {
        [Some(self.first), self.second]
            .into_iter()
            .flatten()
            .collect::<String>()
            .into_bytes()
    }
}

/// Takes records apart.
pub(super) struct Tokens {
    pub(super) quote: Char,
    pub(super) escape: Char,
    pub(super) escape_escape: Char,
    pub(super) delimiter: Box<str>,
    delimiter_first: char,
    trim_leading: bool,
    pub(super) trim_trailing: bool,
    pub(super) stray: UnescapedQuote,
    max_columns: usize,
    max_chars: usize,
    pub(super) line_end: LineEnd,
    /// The character that a line's end is taken for: as in Spark the option's own where it is one, and then `\n` is a
    /// character like others.
    pub(super) new_line: Char,
    /// Whether line ends in quotes become `\n`.
    normalize_in_quotes: bool,
    /// How plain records are taken apart, where they may be.
    pub(super) plain: Option<Plain>,
    /// Quote, escape and the first of a line's end, where all are ASCII.
    plain_quotes: Option<(u8, u8, u8)>,
    /// The values found so far.
    pub(super) found: Vec<Token>,
    /// Where values are built that do not stand in the record as they are.
    pub(super) built: String,
    /// Where the value that is being built begins.
    pub(super) begin: usize,
    /// White space behind a closing quote.
    pub(super) space: String,
    /// How many values a record has that another record gave up on the way (BACK_TO_DELIMITER).
    pub(super) record_end: Option<usize>,
    pub(super) ch: Char,
    pub(super) previous: Char,
    pub(super) unescaped: bool,
    /// Whether white space at the end of the value is cut off.
    pub(super) trim: bool,
    /// Whether the text may go on behind its end.
    pub(super) partial: bool,
    /// Whether the value is skipped, whatever still comes of it.
    pub(super) skipped: bool,
}

/// The place in a record's text.
pub(super) struct Cursor<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    pub(super) normalize: bool,
}

impl Tokens {
    pub(super) fn new(options: &CsvOptions) -> Self {
        let line_end = match options.line_sep.as_deref().map(str::chars) {
            Some(mut chars) => LineEnd {
                first: chars.next().unwrap_or('\n'),
                second: chars.next(),
            },
            None => LineEnd::UNIX,
        };
        let new_line = match line_end.second {
            None => line_end.first,
            Some(_) => '\n',
        };
        let ascii = |c: char| u8::try_from(c).ok().filter(u8::is_ascii);
        let plain_quotes = (options.quote != '\0')
            .then(|| {
                let line_end = ascii(line_end.first)?;
                Some((ascii(options.quote)?, ascii(options.escape)?, line_end))
            })
            .flatten();
        Self {
            plain: Plain::new(options),
            plain_quotes,
            quote: options.quote.into(),
            escape: options.escape.into(),
            escape_escape: options.escape_escape.into(),
            delimiter: options.delimiter.as_str().into(),
            delimiter_first: options.delimiter.chars().next().unwrap_or(','),
            trim_leading: options.trim_leading,
            trim_trailing: options.trim_trailing,
            stray: options.unescaped_quote,
            max_columns: options.max_columns,
            max_chars: options.max_chars.unwrap_or(usize::MAX),
            line_end,
            new_line: new_line.into(),
            normalize_in_quotes: options.line_sep.is_none() || !options.multi_line,
            found: Vec::new(),
            built: String::new(),
            begin: 0,
            space: String::new(),
            record_end: None,
            ch: NONE,
            previous: NONE,
            unescaped: false,
            trim: false,
            partial: false,
            skipped: false,
        }
    }

    /// What ends lines in this file.
    pub(super) fn set_line_end(&mut self, line_end: LineEnd) {
        self.line_end = line_end;
        let first = u8::try_from(line_end.first).ok().filter(u8::is_ascii);
        self.plain_quotes = match (self.plain_quotes, first) {
            (Some((quote, escape, _)), Some(first)) => Some((quote, escape, first)),
            _ => None,
        };
    }

    /// What a value says; None for no value.
    pub(super) fn text<'s>(&'s self, token: Token, record: &'s str) -> Option<&'s str> {
        match token {
            Token::Null | Token::Empty => None,
            Token::Plain(from, to) => record.get(from..to),
            Token::Built(from, to) => self.built.get(from..to),
        }
    }

    /// Takes the record apart that begins at `from`, and says where the next one begins. [`Tokens::found`] is empty where
    /// there is no record: an empty line.
    ///
    /// # Errors
    /// When it cannot be taken apart.
    pub(super) fn record(&mut self, text: &str, from: usize) -> Result<usize, Malformed> {
        self.found.clear();
        if let (Some(plain), false, 0) = (&self.plain, self.partial, from)
            && !may_hold(text, self.line_end)
        {
            if plain.find(text, &mut self.found) {
                return Ok(text.len());
            }
            self.found.clear();
        }
        self.built.clear();
        self.begin = 0;
        self.record_end = None;
        self.skipped = false;
        let mut cursor = Cursor {
            text,
            at: from,
            normalize: true,
        };
        let c = &mut cursor;
        match self.read(c) {
            Ok(()) => {}
            Err(Stop::End) => self.finish(from < text.len())?,
            Err(Stop::Malformed(malformed)) => return Err(malformed),
        }
        if let Some(end) = self.record_end {
            self.found.truncate(end);
        }
        if self.found.len() > self.max_columns {
            return Err(Malformed::Columns);
        }
        Ok(cursor.at)
    }

    fn read(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        self.next(c)?;
        self.skip_space(c)?;
        while self.ch != self.new_line {
            self.skip_space(c)?;
            if self.ch == DELIMITER || self.ch == self.new_line {
                self.found.push(Token::Null);
            } else {
                self.value(c)?;
            }
            if self.found.len() > self.max_columns {
                return Err(Stop::Malformed(Malformed::Columns));
            }
            if self.ch != self.new_line {
                self.next(c)?;
                if self.ch == self.new_line {
                    self.found.push(Token::Null);
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn value(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        self.unescaped = false;
        self.previous = NONE;
        if self.ch == self.quote {
            c.normalize = self.normalize_in_quotes;
            if self.simple_quoted(c) {
                c.normalize = true;
                // It stands on the quote that ends the value: the delimiter is next.
                self.next(c)?;
                return Ok(());
            }
            self.trim = false;
            self.quoted(c)?;
            c.normalize = true;
            let nothing_left = self.unescaped
                && self.stray == UnescapedQuote::BackToDelimiter
                && self.built.len() == self.begin;
            return if nothing_left {
                Ok(())
            } else {
                self.push_built()
            };
        }
        if self.simple_plain(c) {
            return self.next(c);
        }
        let start = c.at - char_len(self.ch);
        let bytes = c.text.as_bytes();
        if self.partial && plain_end(bytes, start, &self.delimiter, self.line_end).is_none() {
            // Only what follows says where the value ends.
            c.at = c.text.len();
            return Err(Stop::End);
        }
        self.trim = self.trim_trailing;
        self.append_until(c, &[DELIMITER, self.new_line])?;
        self.push_built()
    }

    /// A value without quotes that ends before the record does: nothing of it is copied.
    #[inline]
    fn simple_plain(&mut self, c: &mut Cursor<'_>) -> bool {
        let start = c.at - char_len(self.ch);
        let bytes = c.text.as_bytes();
        let Some(end) = plain_end(bytes, start, &self.delimiter, self.line_end) else {
            return false;
        };
        if end - start > self.max_chars {
            return false;
        }
        c.at = end;
        let mut last = end;
        if self.trim_trailing {
            while last > start && bytes[last - 1] <= b' ' {
                last -= 1;
            }
        }
        self.found.push(if last == start {
            Token::Null
        } else {
            Token::Plain(start, last)
        });
        true
    }

    /// A quoted value without escapes that ends where a delimiter stands; stays before it.
    #[inline]
    fn simple_quoted(&mut self, c: &mut Cursor<'_>) -> bool {
        let Some((quote, escape, line_end)) = self.plain_quotes else {
            return false;
        };
        let rest = &c.text[c.at..];
        let bytes = rest.as_bytes();
        let line_end = if c.normalize { line_end } else { quote };
        let end = bytes
            .iter()
            .position(|b| *b == quote || *b == escape || *b == line_end);
        let Some(end) = end.filter(|end| bytes[*end] == quote && *end <= self.max_chars) else {
            return false;
        };
        let after = &rest[end + 1..];
        let ends = || after.chars().next().map(Char::from) == Some(self.new_line);
        if !(after.starts_with(&*self.delimiter) || ends()) {
            return false;
        }
        self.found.push(if end == 0 {
            Token::Empty
        } else {
            Token::Plain(c.at, c.at + end)
        });
        c.at += end + 1;
        true
    }

    /// The next character, a line's end as [`Self::new_line`] and a whole delimiter as one.
    #[inline]
    pub(super) fn next(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        let rest = c.text.get(c.at..).unwrap_or_default();
        let Some(ch) = rest.chars().next() else {
            return Err(Stop::End);
        };
        // The first character decides nearly always; comparing the whole costs a call.
        if ch == self.delimiter_first && rest.starts_with(&*self.delimiter) {
            c.at += self.delimiter.len();
            self.ch = DELIMITER;
            return Ok(());
        }
        c.at += ch.len_utf8();
        self.ch = ch.into();
        if ch == self.line_end.first && c.normalize {
            match self.line_end.second {
                None => self.ch = self.new_line,
                Some(second) if rest[ch.len_utf8()..].starts_with(second) => {
                    c.at += second.len_utf8();
                    self.ch = self.new_line;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Whether the character here is white space.
    #[inline]
    pub(super) fn on_space(&self) -> bool {
        self.ch <= u32::from(' ')
    }

    #[inline]
    fn skip_space(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        if self.trim_leading {
            while self.ch <= u32::from(' ') && self.ch != self.new_line && self.ch != self.quote {
                self.next(c)?;
            }
        }
        Ok(())
    }

    /// Appends a character to the value that is being built.
    pub(super) fn append(&mut self, ch: Char) {
        if self.skipped {
            return;
        }
        match char::from_u32(ch) {
            Some(ch) => self.built.push(ch),
            None => {
                let delimiter = &*self.delimiter;
                self.built.push_str(delimiter);
            }
        }
    }

    /// Appends from the character here up to one of these.
    pub(super) fn append_until(&mut self, c: &mut Cursor<'_>, stops: &[Char]) -> Result<(), Stop> {
        let first = self.ch;
        while !stops.contains(&self.ch) {
            self.append(self.ch);
            if let Err(stop) = self.next(c) {
                // What the text ends in is judged by where this stretch began; but not with a wide delimiter, so that
                // Spark doubles a quote there.
                if stops[0] != DELIMITER || self.delimiter.chars().nth(1).is_none() {
                    self.ch = first;
                }
                return Err(stop);
            }
        }
        Ok(())
    }

    /// The value that was built is whole.
    pub(super) fn push_built(&mut self) -> Result<(), Stop> {
        if self.built.len() - self.begin > self.max_chars
            && self.built[self.begin..].chars().count() > self.max_chars
        {
            return Err(Stop::Malformed(Malformed::Characters));
        }
        if self.trim {
            let kept = self.built[self.begin..]
                .trim_end_matches(|c| c <= ' ')
                .len();
            self.built.truncate(self.begin + kept);
        }
        let end = self.built.len();
        self.found.push(if std::mem::take(&mut self.skipped) {
            Token::Null
        } else if end == self.begin {
            Token::Empty
        } else {
            Token::Built(self.begin, end)
        });
        self.begin = end;
        Ok(())
    }

    /// The text is over in the middle of a value, or behind a delimiter.
    fn finish(&mut self, any: bool) -> Result<(), Malformed> {
        let mut whole = false;
        if self.ch == self.quote {
            if self.previous == self.quote {
                whole = true;
            } else if !self.unescaped {
                self.append(self.quote);
            }
        }
        let begun = self.previous != NONE && self.ch != DELIMITER && self.ch != self.new_line;
        if whole || begun || self.built.len() > self.begin {
            if let Err(Stop::Malformed(malformed)) = self.push_built() {
                return Err(malformed);
            }
        } else if any {
            self.found.push(Token::Null);
        }
        Ok(())
    }
}

/// Whether what ends lines may stand in a plain record, which has no control characters.
fn may_hold(text: &str, line_end: LineEnd) -> bool {
    line_end.first >= ' ' && text.contains(line_end.first)
}

fn char_len(ch: Char) -> usize {
    char::from_u32(ch).map_or(0, char::len_utf8)
}

/// Where the first delimiter or line end stands from `at` on.
#[inline]
fn plain_end(bytes: &[u8], mut at: usize, delimiter: &str, line_end: LineEnd) -> Option<usize> {
    let delimiter = delimiter.as_bytes();
    let first = *delimiter.first()?;
    let mut buffer = [0; 4];
    let end = line_end.first.encode_utf8(&mut buffer).as_bytes();
    loop {
        at = either(bytes, at, first, end[0])?;
        // Of one byte each, as nearly always, they are found by it.
        let one = if bytes[at] == first {
            delimiter.len() == 1
        } else {
            end.len() == 1 && line_end.second.is_none()
        };
        if one {
            return Some(at);
        }
        let rest = &bytes[at..];
        if rest.starts_with(delimiter) {
            return Some(at);
        }
        if rest.starts_with(end) {
            match line_end.second {
                None => return Some(at),
                Some(second) => {
                    let mut buffer = [0; 4];
                    if rest[end.len()..].starts_with(second.encode_utf8(&mut buffer).as_bytes()) {
                        return Some(at);
                    }
                }
            }
        }
        at += 1;
    }
}

/// The first of two bytes from `at` on, eight bytes at a time.
#[inline]
pub(super) fn either(bytes: &[u8], mut at: usize, a: u8, b: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Sets the high bit of each zero byte; what stands above the lowest one may be wrong, so only that one is used.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (first, second) = (ONES * u64::from(a), ONES * u64::from(b));
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let hits = zeros(word ^ first) | zeros(word ^ second);
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter()
        .position(|byte| *byte == a || *byte == b)
        .map(|found| at + found)
}
