//! A scanner over one JSON text: no tree, no copies, no recursion.
//!
//! It walks over a text that is known to be UTF-8 and hands out slices of it. Beside RFC 8259 it accepts what its
//! [`Syntax`] allows.

use std::ops::Range;

use super::number::{DIGITS_MAX, Number, eight_digits};
use super::plain::plain_end;
use super::syntax::Syntax;

/// How deep arrays and objects may lie in each other, a record's own object among them: as deep as Spark reads them. It counts
/// alike for values that are read and for those that are stepped over, so that the columns which are used make no difference.
pub(super) const DEPTH_MAX: usize = 1000;

/// Why the scanner stopped.
#[derive(Debug)]
pub(super) enum Fault {
    /// The text is not JSON.
    Syntax {
        /// Where, in bytes.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The text is JSON, a value does not fit its type.
    Misfit(Box<Misfit>),
}

/// A value that does not fit its type.
#[derive(Debug)]
pub(super) struct Misfit {
    /// The names of the fields that lead to it, joined by dots.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
    /// Where it stands.
    pub span: Range<usize>,
}

/// What kind of value begins at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    True,
    False,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// What kind of value begins with this byte.
    #[inline]
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            b'"' => Self::String,
            b'-' | b'0'..=b'9' | b'N' | b'I' | b'+' => Self::Number,
            b'{' => Self::Object,
            b'[' => Self::Array,
            b't' => Self::True,
            b'f' => Self::False,
            b'n' => Self::Null,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::True | Self::False => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// The place in a text.
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// In how many arrays and objects it stands, of those that are being read.
    depth: usize,
    allowed: Syntax,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, allowed: Syntax) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
            allowed,
        }
    }

    /// Where it stands, in bytes.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes back to a place where a value begins, so deep.
    pub(super) fn back_to(&mut self, at: usize, depth: usize) {
        self.at = at;
        self.depth = depth;
    }

    /// In how many arrays and objects it stands.
    #[inline]
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Steps into the array or object that begins here.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<(), Fault> {
        if self.depth == DEPTH_MAX {
            return Err(self.too_deep());
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// The array or object that was entered last is over.
    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    #[cold]
    fn too_deep(&self) -> Fault {
        self.syntax("arrays and objects lie too deep in each other")
    }

    /// What was read from a place up to here.
    pub(super) fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// What has not been read.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[cold]
    pub(super) fn syntax(&self, what: &'static str) -> Fault {
        let what = if self.at >= self.bytes.len() {
            "the text ends too early"
        } else {
            what
        };
        Fault::Syntax { at: self.at, what }
    }

    /// The byte here; 0, which is nowhere legal, at the end.
    #[inline]
    fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Steps over white space.
    #[inline]
    pub(super) fn space(&mut self) {
        while matches!(self.byte(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
        if self.byte() == b'/' && self.allowed.comments {
            self.comment();
        }
    }

    /// Steps over a comment and the white space behind it; one that does not end is left for what reads on.
    #[cold]
    fn comment(&mut self) {
        let rest = self.rest();
        let length = if rest.starts_with(b"//") {
            rest.iter()
                .position(|byte| matches!(byte, b'\n' | b'\r'))
                .unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            match rest[2..].windows(2).position(|pair| pair == b"*/") {
                Some(at) => at + 4,
                None => return,
            }
        } else {
            return;
        };
        self.at += length;
        self.space();
    }

    /// Steps over white space and then over this byte, if it stands there.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        if self.byte() != byte {
            self.space();
        }
        let here = self.byte() == byte;
        self.at += usize::from(here);
        here
    }

    // This and `number` are part of those that call them: as calls, whose results go through memory, they cost a twentieth of a
    // record.
    /// What kind of value stands here.
    #[inline(always)]
    pub(super) fn kind(&mut self) -> Result<Kind, Fault> {
        match Kind::of(self.byte()) {
            Some(kind) => Ok(kind),
            None => self.kind_behind_space(),
        }
    }

    #[inline(never)]
    fn kind_behind_space(&mut self) -> Result<Kind, Fault> {
        self.space();
        match (Kind::of(self.byte()), self.byte()) {
            (Some(kind), _) => Ok(kind),
            (None, b'\'') if self.allowed.single_quotes => Ok(Kind::String),
            _ => Err(self.syntax("expected a value")),
        }
    }

    /// Steps over `null`, `true` or `false`.
    pub(super) fn word(&mut self, kind: Kind) -> Result<(), Fault> {
        let word: &[u8] = match kind {
            Kind::Null => b"null",
            Kind::True => b"true",
            _ => b"false",
        };
        if !self.rest().starts_with(word) {
            return Err(self.syntax("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads a number.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Result<Number<'a>, Fault> {
        let start = self.at;
        let negative = self.byte() == b'-';
        self.at += usize::from(negative);
        if !self.byte().is_ascii_digit() {
            return self.special_number(start);
        }
        let (mut digits, mut count) = (0, 0);
        if self.byte() == b'0' {
            self.at += 1;
            if self.byte().is_ascii_digit() {
                if !self.allowed.leading_zeros {
                    return Err(self.syntax("a number with leading zeros"));
                }
                while self.byte() == b'0' {
                    self.at += 1;
                }
                count = self.digits(&mut digits);
            }
        } else {
            count = self.digits(&mut digits);
        }
        let (mut scale, mut integer, mut exponent) = (0, true, false);
        if self.byte() == b'.' {
            self.at += 1;
            integer = false;
            let behind = self.digits(&mut digits);
            if behind == 0 {
                return Err(self.syntax("a number without digits after its point"));
            }
            scale = -i32::try_from(behind).unwrap_or(i32::MAX);
            count += behind;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            (integer, exponent) = (false, true);
            self.at += usize::from(matches!(self.byte(), b'+' | b'-'));
            if self.digits(&mut 0) == 0 {
                return Err(self.syntax("a number without digits in its exponent"));
            }
        }
        Ok(Number {
            within: self.text,
            at: (start, self.at),
            negative,
            integer,
            digits: (count <= DIGITS_MAX).then_some(digits),
            scale,
            exponent,
            special: false,
        })
    }

    /// Reads digits behind those of `number`, which means nothing with more than [`DIGITS_MAX`]. Returns their count.
    #[inline]
    fn digits(&mut self, number: &mut u64) -> usize {
        let (rest, mut count) = (self.rest(), 0);
        while let Some(eight) = rest
            .get(count..)
            .and_then(|rest| eight_digits(rest.first_chunk()?))
        {
            *number = number.wrapping_mul(100_000_000).wrapping_add(eight);
            count += 8;
        }
        while let Some(byte @ b'0'..=b'9') = rest.get(count) {
            *number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            count += 1;
        }
        self.at += count;
        count
    }

    #[cold]
    fn special_number(&mut self, start: usize) -> Result<Number<'a>, Fault> {
        self.at = start;
        let rest = self.rest();
        let sign = usize::from(matches!(rest.first(), Some(b'-' | b'+')));
        for word in ["Infinity", "INF", "NaN"] {
            if self.allowed.non_numeric
                && rest[sign..].starts_with(word.as_bytes())
                && if word == "INF" {
                    sign == 1
                } else {
                    sign == 0 || word != "NaN"
                }
            {
                self.at += sign + word.len();
                return Ok(Number {
                    within: self.text,
                    at: (start, self.at),
                    negative: sign == 1 && rest[0] == b'-',
                    integer: false,
                    digits: None,
                    scale: 0,
                    exponent: false,
                    special: true,
                });
            }
        }
        Err(self.syntax("expected a value"))
    }

    /// Reads a string. It is a slice of the text where it has no escapes, otherwise it is built in `scratch`.
    #[inline]
    pub(super) fn string<'s>(&mut self, scratch: &'s mut String) -> Result<&'s str, Fault>
    where
        'a: 's,
    {
        let quote = self.open_quote()?;
        let start = self.at;
        self.at = plain_end(self.bytes, start, quote);
        if self.byte() == quote {
            let text = self.since(start);
            self.at += 1;
            return Ok(text);
        }
        self.escaped(start, quote, Some(scratch))?;
        Ok(scratch)
    }

    /// Steps over a string.
    #[inline]
    fn skip_string(&mut self) -> Result<(), Fault> {
        let quote = self.open_quote()?;
        let start = self.at;
        self.at = plain_end(self.bytes, start, quote);
        if self.byte() == quote {
            self.at += 1;
            return Ok(());
        }
        self.escaped(start, quote, None)
    }

    #[inline]
    fn open_quote(&mut self) -> Result<u8, Fault> {
        let quote = self.byte();
        if quote != b'"' && (quote != b'\'' || !self.allowed.single_quotes) {
            return Err(self.syntax("expected a string"));
        }
        self.at += 1;
        Ok(quote)
    }

    /// The rest of a string that has escapes; `start` is where its content begins.
    #[inline(never)]
    fn escaped(
        &mut self,
        start: usize,
        quote: u8,
        mut out: Option<&mut String>,
    ) -> Result<(), Fault> {
        if let Some(out) = out.as_deref_mut() {
            out.clear();
            out.push_str(self.since(start));
        }
        loop {
            match self.byte() {
                b'\\' => {
                    let c = self.escape()?;
                    if let Some(out) = out.as_deref_mut() {
                        out.push(c);
                    }
                }
                here if here == quote => {
                    self.at += 1;
                    return Ok(());
                }
                _ if self.allowed.control_characters && self.at < self.bytes.len() => {
                    if let Some(out) = out.as_deref_mut() {
                        out.push(char::from(self.byte()));
                    }
                    self.at += 1;
                }
                _ => return Err(self.syntax("a control character in a string")),
            }
            let plain = self.at;
            self.at = plain_end(self.bytes, plain, quote);
            if let Some(out) = out.as_deref_mut() {
                out.push_str(self.since(plain));
            }
        }
    }

    /// Reads one escape; stands on its backslash.
    fn escape(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let c = match self.byte() {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            c @ (b'"' | b'\\' | b'/' | b'\'') => char::from(c),
            b'u' => return self.unicode_escape(),
            _ if self.allowed.any_escape => return self.any_escape(),
            _ => return Err(self.syntax("an unknown escape in a string")),
        };
        self.at += 1;
        Ok(c)
    }

    /// Reads the character behind a backslash, whatever it is.
    #[cold]
    fn any_escape(&mut self) -> Result<char, Fault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let c = rest.chars().next();
        let c = c.ok_or_else(|| self.syntax("an unknown escape in a string"))?;
        self.at += c.len_utf8();
        Ok(c)
    }

    /// Reads `uXXXX`, or two of them for one character; stands on the `u`.
    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let lone = "half of a surrogate pair in a string";
        let unit = self.hex4()?;
        if let Some(c) = char::from_u32(unit) {
            return Ok(c);
        }
        if unit >= 0xDC00 || !self.rest().starts_with(b"\\u") {
            return Err(self.syntax(lone));
        }
        self.at += 1;
        let low = self.hex4()?;
        if !(0xDC00..0xE000).contains(&low) {
            return Err(self.syntax(lone));
        }
        char::from_u32(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
            .ok_or_else(|| self.syntax(lone))
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = char::from(self.byte())
                .to_digit(16)
                .ok_or_else(|| self.syntax("expected four hexadecimal digits after \\u"))?;
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    /// Steps over any value, checking its syntax.
    #[inline]
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        match self.kind()? {
            Kind::String => self.skip_string(),
            Kind::Number => self.number().map(drop),
            Kind::Array | Kind::Object => self.skip_nested(),
            word => self.word(word),
        }
    }

    fn skip_nested(&mut self) -> Result<(), Fault> {
        // One bit for each open level: 1 for an object.
        let mut objects = [0_u64; DEPTH_MAX.div_ceil(64)];
        let mut depth = 0;
        loop {
            match self.kind()? {
                Kind::String => self.skip_string()?,
                Kind::Number => self.number().map(drop)?,
                open @ (Kind::Array | Kind::Object) => {
                    if self.depth + depth == DEPTH_MAX {
                        return Err(self.too_deep());
                    }
                    let (word, bit) = (depth / 64, depth % 64);
                    let object = open == Kind::Object;
                    objects[word] = (objects[word] & !(1 << bit)) | (u64::from(object) << bit);
                    self.at += 1;
                    if !self.take(if object { b'}' } else { b']' }) {
                        depth += 1;
                        if object {
                            self.skip_key()?;
                        }
                        continue;
                    }
                }
                word => self.word(word)?,
            }
            // A value is over: close what ends here, or step to the next value.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = objects[(depth - 1) / 64] >> ((depth - 1) % 64) & 1 == 1;
                if self.more(if object { b'}' } else { b']' })? {
                    if object {
                        self.skip_key()?;
                    }
                    break;
                }
                depth -= 1;
            }
        }
    }

    /// After a value: whether another one follows (a comma) or `close` ends the list.
    #[inline]
    pub(super) fn more(&mut self, close: u8) -> Result<bool, Fault> {
        if self.take(b',') {
            return Ok(true);
        }
        if self.byte() != close {
            return Err(self.syntax(if close == b'}' {
                "expected `,` or `}`"
            } else {
                "expected `,` or `]`"
            }));
        }
        self.at += 1;
        Ok(false)
    }

    fn skip_key(&mut self) -> Result<(), Fault> {
        self.space();
        if self.bare_name().is_none() {
            if !matches!(self.byte(), b'"' | b'\'') {
                return Err(self.syntax("expected the name of a field"));
            }
            self.skip_string()?;
        }
        self.colon()
    }

    /// Reads the name of a field without quotes, where such are allowed and one stands here.
    #[inline]
    pub(super) fn bare_name(&mut self) -> Option<&'a str> {
        if !self.allowed.bare_names || matches!(self.byte(), b'"' | b'\'') {
            return None;
        }
        let rest = self.text.get(self.at..)?;
        let belongs = |c: char| c.is_alphanumeric() || !c.is_ascii() || "_$@#*-+".contains(c);
        let name = &rest[..rest.find(|c| !belongs(c)).unwrap_or(rest.len())];
        self.at += name.len();
        (!name.is_empty()).then_some(name)
    }

    /// Steps over the colon after a name.
    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), Fault> {
        if self.take(b':') {
            return Ok(());
        }
        Err(self.syntax("expected `:`"))
    }

    /// That nothing but white space follows.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(self.syntax("something follows the value"))
    }
}
