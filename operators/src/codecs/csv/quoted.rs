//! Values in quotes, and what looks like one: escapes, stray quotes, text behind the closing quote.
//!
//! `previous` is the character before the one that stands here, as far as it has a meaning: a quote that may have ended
//! the value, an escape that may belong to what follows.

use super::dialect::UnescapedQuote;
use super::tokens::{Cursor, DELIMITER, Malformed, NONE, Stop, Token, Tokens};

impl Tokens {
    /// The rest of a value whose opening quote stands here. Ends on the delimiter or the line's end behind it.
    pub(super) fn quoted(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        if self.previous != NONE && self.until_delimiter() {
            return self.unquoted_after_all(c);
        }
        self.next(c)?;
        loop {
            let closed = self.previous == self.quote;
            if closed && (self.on_space() || self.ch == DELIMITER || self.ch == self.new_line) {
                break;
            }
            if self.ch == self.quote || self.ch == self.escape {
                self.quote_or_escape(c)?;
                self.previous = self.ch;
                self.next(c)?;
                if self.unescaped && (self.ch == DELIMITER || self.ch == self.new_line) {
                    return Ok(());
                }
                continue;
            }
            if closed {
                return self.stray_quote(c);
            }
            if self.previous == self.escape && self.escape != NONE {
                self.append(self.escape);
            }
            let stops = [self.quote, self.escape, self.escape_escape];
            self.append_until(c, &stops)?;
            self.previous = self.ch;
            self.next(c)?;
        }
        self.behind_the_quote(c)
    }

    fn until_delimiter(&self) -> bool {
        matches!(
            self.stray,
            UnescapedQuote::StopAtDelimiter
                | UnescapedQuote::SkipValue
                | UnescapedQuote::BackToDelimiter
        )
    }

    /// The value has turned out not to be quoted: its opening quote belongs to it, and it goes on to the delimiter.
    fn unquoted_after_all(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        if self.stray == UnescapedQuote::SkipValue {
            return self.skip_value(c);
        }
        if let Some(quote) = char::from_u32(self.quote) {
            self.built.insert(self.begin, quote);
        }
        self.next(c)?;
        self.trim = self.trim_trailing;
        self.append_until(c, &[DELIMITER, self.new_line])
    }

    fn skip_value(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        self.built.truncate(self.begin);
        self.skipped = true;
        let first = self.ch;
        while self.ch != DELIMITER && self.ch != self.new_line {
            if let Err(stop) = self.next(c) {
                self.ch = first;
                return Err(stop);
            }
        }
        Ok(())
    }

    /// A quote or an escape inside a value.
    fn quote_or_escape(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        if self.ch == self.escape
            && self.previous == self.escape_escape
            && self.escape_escape != NONE
        {
            self.append(self.escape);
            self.ch = NONE;
        } else if self.previous == self.escape {
            if self.ch == self.quote {
                self.append(self.quote);
                self.ch = NONE;
            } else {
                self.append(self.previous);
            }
        } else if self.ch == self.quote && self.previous == self.quote {
            self.append(self.quote);
        } else if self.previous == self.quote {
            return self.stray_escape(c);
        }
        Ok(())
    }

    /// An escape that stands behind a quote which nothing escapes.
    fn stray_escape(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        match self.stray {
            UnescapedQuote::SkipValue => self.skip_value(c),
            UnescapedQuote::RaiseError => Err(Stop::Malformed(Malformed::StrayQuote)),
            _ => {
                self.append(self.quote);
                self.previous = self.ch;
                self.escapes_until_delimiter(c)
            }
        }
    }

    fn escapes_until_delimiter(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        while self.ch != DELIMITER && self.ch != self.new_line {
            if self.ch == self.quote || self.ch == self.escape {
                self.quote_or_escape(c)?;
            } else if self.previous == self.quote {
                return self.stray_escape(c);
            } else {
                self.append(self.ch);
            }
            self.previous = self.ch;
            self.next(c)?;
        }
        Ok(())
    }

    /// A quote that neither ends the value nor is escaped stood before the character here.
    fn stray_quote(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        self.unescaped = true;
        match self.stray {
            UnescapedQuote::BackToDelimiter => {
                self.take_apart_again()?;
                self.append(self.ch);
                self.previous = NONE;
                self.quoted(c)
            }
            UnescapedQuote::StopAtClosingQuote | UnescapedQuote::StopAtDelimiter => {
                self.append(self.quote);
                self.append(self.ch);
                self.previous = self.ch;
                self.quoted(c)
            }
            UnescapedQuote::SkipValue => self.skip_value(c),
            UnescapedQuote::RaiseError => Err(Stop::Malformed(Malformed::StrayQuote)),
        }
    }

    /// What was taken for one value are several: those before each delimiter are values of their own.
    fn take_apart_again(&mut self) -> Result<(), Stop> {
        let new_line = char::from_u32(self.new_line).unwrap_or('\n');
        loop {
            let value = &self.built[self.begin..];
            let delimiter = value.find(&*self.delimiter);
            let line = value.find(new_line);
            let (at, length, is_line) = match (delimiter, line) {
                (Some(at), Some(line)) if line < at => (line, new_line.len_utf8(), true),
                (Some(at), _) => (at, self.delimiter.len(), false),
                (None, Some(line)) => (line, new_line.len_utf8(), true),
                (None, None) => return Ok(()),
            };
            self.found.push(if at == 0 {
                Token::Empty
            } else {
                Token::Built(self.begin, self.begin + at)
            });
            self.begin += at + length;
            if is_line && self.record_end.is_none() {
                self.record_end = Some(self.found.len());
            }
        }
    }

    /// White space behind the closing quote is no part of the value, unless something follows it.
    fn behind_the_quote(&mut self, c: &mut Cursor<'_>) -> Result<(), Stop> {
        if self.ch == DELIMITER || self.ch == self.new_line {
            return Ok(());
        }
        self.space.clear();
        while self.on_space() {
            self.space.extend(char::from_u32(self.ch));
            self.next(c)?;
            if self.ch == self.new_line {
                return Ok(());
            }
        }
        if self.ch == DELIMITER {
            return Ok(());
        }
        if self.stray == UnescapedQuote::RaiseError {
            return Err(Stop::Malformed(Malformed::StrayQuote));
        }
        self.append(self.quote);
        let space = std::mem::take(&mut self.space);
        self.built.push_str(&space);
        self.space = space;
        if self.until_delimiter() || self.ch != self.quote && self.ch != self.escape {
            self.append(self.ch);
        }
        self.previous = self.ch;
        self.quoted(c)
    }
}
