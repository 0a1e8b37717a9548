//! Text cut into records: lines, by `\n`, `\r\n` and `\r` or by a separator of the table's own; or the whole file.

use std::ops::Range;

/// What the first bytes of a text are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A record: its content, and where the next begins.
    Record(Range<usize>, usize),
    /// Nothing that counts up to here: a blank line.
    Nothing(usize),
    /// A record whose end has not been seen.
    More,
}

/// Cuts a text into records, piece by piece. Lives as long as one file.
pub trait Splitter: Send {
    /// The first record of `text`, which begins where the last one ended. After [`Cut::More`] it is called with the same
    /// text and more behind it; `whole` says that no more will come, and then [`Cut::More`] must not be answered.
    fn cut(&mut self, text: &[u8], whole: bool) -> Cut;

    /// The record that begins the text is too long: what has been seen of it is taken away but for its last bytes, and the
    /// next text is its rest.
    fn leave(&mut self);

    /// What ends lines in this file, as far as its text has said it.
    fn line_end(&self) -> &str {
        "\n"
    }
}

/// Lines that end with `\n`, `\r\n` or `\r`, as Spark reads them.
#[derive(Debug, Default)]
pub struct AnyLines {
    /// How much of the current line is known to have no end.
    known: usize,
    /// Whether an empty line is a record.
    pub blank: bool,
}

impl AnyLines {
    /// Lines of which blank ones count or not.
    pub fn new(blank: bool) -> Self {
        Self { known: 0, blank }
    }

    fn line(&mut self, text: &[u8], end: usize, next: usize) -> Cut {
        self.known = 0;
        if self.blank || !text[..end].trim_ascii().is_empty() {
            Cut::Record(0..end, next)
        } else {
            Cut::Nothing(next)
        }
    }
}

impl Splitter for AnyLines {
    fn cut(&mut self, text: &[u8], whole: bool) -> Cut {
        let found = line_end(&text[self.known..]).map(|at| self.known + at);
        match found {
            // What follows a `\r` tells whether a `\n` belongs to it.
            Some(at) if text[at] == b'\r' => match text.get(at + 1) {
                Some(b'\n') => self.line(text, at, at + 2),
                None if !whole => {
                    self.known = at;
                    Cut::More
                }
                _ => self.line(text, at, at + 1),
            },
            Some(at) => self.line(text, at, at + 1),
            None if text.is_empty() && whole => Cut::Nothing(0),
            None if whole => self.line(text, text.len(), text.len()),
            None => {
                self.known = text.len();
                Cut::More
            }
        }
    }

    fn leave(&mut self) {
        self.known = 0;
    }
}

/// The first `\n` or `\r`, eight bytes at a time.
fn line_end(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let has = |word: u64, byte: u8| {
        let word = word ^ (ONES * u64::from(byte));
        word.wrapping_sub(ONES) & !word & HIGHS
    };
    let (words, _) = text.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = has(word, b'\n') | has(word, b'\r');
        if found != 0 {
            return Some(number * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let rest = words.len() * 8;
    let found = text[rest..]
        .iter()
        .position(|byte| matches!(byte, b'\n' | b'\r'));
    found.map(|at| rest + at)
}

/// Records that end with the separator of the option `lineSep`.
#[derive(Debug)]
pub struct SeparatedBy {
    separator: Vec<u8>,
    known: usize,
    blank: bool,
}

impl SeparatedBy {
    /// Records behind which this stands; it is not empty.
    pub fn new(separator: &str, blank: bool) -> Self {
        Self {
            separator: separator.as_bytes().to_vec(),
            known: 0,
            blank,
        }
    }
}

impl Splitter for SeparatedBy {
    fn cut(&mut self, text: &[u8], whole: bool) -> Cut {
        let wide = self.separator.len();
        let found = text[self.known..]
            .windows(wide)
            .position(|some| some == self.separator);
        let (end, next) = match found {
            Some(at) => (self.known + at, self.known + at + wide),
            None if text.is_empty() && whole => return Cut::Nothing(0),
            None if whole => (text.len(), text.len()),
            None => {
                self.known = text.len().saturating_sub(wide - 1);
                return Cut::More;
            }
        };
        self.known = 0;
        if self.blank || !text[..end].trim_ascii().is_empty() {
            Cut::Record(0..end, next)
        } else {
            Cut::Nothing(next)
        }
    }

    fn leave(&mut self) {
        self.known = 0;
    }
}

/// The whole text is one record, also an empty one.
#[derive(Debug, Default)]
pub struct Whole;

impl Splitter for Whole {
    fn cut(&mut self, text: &[u8], whole: bool) -> Cut {
        if whole {
            Cut::Record(0..text.len(), text.len())
        } else {
            Cut::More
        }
    }

    fn leave(&mut self) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Cuts a text that comes in pieces of these sizes.
    fn pieces(splitter: &mut dyn Splitter, text: &[u8], step: usize) -> Vec<String> {
        let (mut from, mut seen, mut found) = (0, 0, Vec::new());
        while from < text.len() {
            match splitter.cut(&text[from..seen], seen == text.len()) {
                Cut::Record(span, next) => {
                    let record = &text[from + span.start..from + span.end];
                    found.push(String::from_utf8_lossy(record).into_owned());
                    from += next;
                }
                Cut::Nothing(next) => from += next,
                Cut::More => seen = (seen + step).min(text.len()),
            }
            seen = seen.max(from);
        }
        found
    }

    #[test]
    fn lines_end_as_in_any_system() {
        let text = b"one\ntwo\r\nthree\r\n\r\nfour\rfive";
        let lines = |blank| pieces(&mut AnyLines::new(blank), text, 3);
        assert_eq!(lines(false), ["one", "two", "three", "four", "five"]);
        assert_eq!(lines(true), ["one", "two", "three", "", "four", "five"]);
    }

    #[test]
    fn a_separator_of_ones_own_leaves_line_ends_alone() {
        let text = b"one\nmore||two||";
        let found = pieces(&mut SeparatedBy::new("||", true), text, 1);
        assert_eq!(found, ["one\nmore", "two"]);
    }

    proptest! {
        #[test]
        fn the_records_do_not_depend_on_the_pieces(
            text in "[ab\r\n|]{0,60}",
            step in 1_usize..20,
        ) {
            let text = text.as_bytes();
            let whole = |splitter: &mut dyn Splitter| pieces(splitter, text, text.len().max(1));
            prop_assert_eq!(
                pieces(&mut AnyLines::new(true), text, step),
                whole(&mut AnyLines::new(true))
            );
            prop_assert_eq!(
                pieces(&mut SeparatedBy::new("||", true), text, step),
                whole(&mut SeparatedBy::new("||", true))
            );
        }
    }
}
