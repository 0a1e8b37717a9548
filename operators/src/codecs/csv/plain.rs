//! Records without quotes and control characters, as most are: their values stand between delimiters, and one pass finds
//! all of them.

use super::dialect::CsvOptions;
use super::tokens::Token;

const ONES: u64 = 0x0101_0101_0101_0101;
const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// What such a record has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    delimiter: u8,
    quote: u8,
    max_columns: usize,
    max_chars: usize,
}

impl Plain {
    /// None where records are looked at more closely: white space is cut off, or the delimiter is more than a byte.
    pub(super) fn new(options: &CsvOptions) -> Option<Self> {
        let [delimiter] = options.delimiter.as_bytes() else {
            return None;
        };
        let quote = u8::try_from(options.quote).ok().filter(u8::is_ascii)?;
        let plain = !options.trim_leading && !options.trim_trailing && *delimiter != quote;
        plain.then_some(Self {
            delimiter: *delimiter,
            quote,
            max_columns: options.max_columns,
            max_chars: options.max_chars.unwrap_or(usize::MAX),
        })
    }

    /// Finds the values of a record; false where it is none of these, whatever was found until then.
    #[inline]
    pub(super) fn find(&self, text: &str, found: &mut Vec<Token>) -> bool {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return false;
        }
        let (delimiters, quotes) = (
            ONES * u64::from(self.delimiter),
            ONES * u64::from(self.quote),
        );
        let (mut at, mut start) = (0, 0);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            let mut ends = zeros(word ^ delimiters);
            // A control character has none of the upper three bits.
            let others = zeros(word ^ quotes) | zeros(word & (ONES * 0xe0));
            if others & !ends != 0 {
                return false;
            }
            while ends != 0 {
                let end = at + ends.trailing_zeros() as usize / 8;
                if !self.push(start, end, found) {
                    return false;
                }
                start = end + 1;
                ends &= ends - 1;
            }
            at += 8;
        }
        for byte in rest {
            if *byte == self.delimiter {
                if !self.push(start, at, found) {
                    return false;
                }
                start = at + 1;
            } else if *byte == self.quote || *byte < b' ' {
                return false;
            }
            at += 1;
        }
        self.push(start, at, found) && found.len() <= self.max_columns
    }

    #[inline]
    fn push(&self, start: usize, end: usize, found: &mut Vec<Token>) -> bool {
        found.push(if start == end {
            Token::Null
        } else {
            Token::Plain(start, end)
        });
        end - start <= self.max_chars
    }
}

/// The high bit of each byte that is zero, and of no other.
#[inline]
fn zeros(word: u64) -> u64 {
    !(((word & LOW) + LOW) | word | LOW)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tokens::Tokens;
    use super::*;
    use crate::codecs::times::Times;

    fn values(tokens: &Tokens, text: &str) -> Vec<Option<String>> {
        let value = |token: &Token| match token {
            Token::Empty => Some(String::new()),
            token => tokens.text(*token, text).map(str::to_owned),
        };
        tokens.found.iter().map(value).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
        #[test]
        fn the_values_are_those_that_a_close_look_finds(
            text in "([a-c ,;\\\\é]{0,20}|[a-c,\"\n\t \u{0}']{0,12}|[,]{0,9})",
            delimiter in prop_oneof![Just(","), Just(";"), Just("\t")],
            quote in prop_oneof![Just('"'), Just('\''), Just('\0')],
            (columns, chars) in (1_usize..9, prop::option::of(1_usize..9)),
        ) {
            let options = CsvOptions {
                delimiter: delimiter.to_owned(),
                quote,
                max_columns: columns,
                max_chars: chars,
                ..CsvOptions::new(Times::new(crate::expr::calendar::Zone::UTC))
            };
            let mut found = Vec::new();
            if !Plain::new(&options).unwrap().find(&text, &mut found) {
                return Ok(());
            }
            let mut close = Tokens::new(&CsvOptions { trim_leading: false, ..options.clone() });
            close.plain = None;
            prop_assert_eq!(close.record(&text, 0), Ok(text.len()));
            let expected = values(&close, &text);
            close.found = found;
            prop_assert_eq!(values(&close, &text), expected);
        }
    }
}
