//! Regular expressions as Java (and so Spark) writes them, run by the `fancy-regex` crate.
//!
//! Translated: `\d \w \s` and their opposites are ASCII, `\h \v \R \Q..\E \0n \cX \e`, `\p{Alpha}` and the other POSIX
//! classes, `\p{IsLatin}`; `.`, `^`, `$` and `\Z` with all of Java's ends of lines, as `(?m)`, `(?s)` and `(?d)` say; a
//! bracket within brackets is a class, also `[[:alpha:]]`, which is the characters `:alph`. Different from Java: `(?i)` is
//! not limited to ASCII, `(?U)` is refused, and Unicode blocks (`\p{InGreek}`) are not known.

use std::iter::Peekable;
use std::str::Chars;

use fancy_regex::{Captures, Match};
use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;

use super::forms::failed;
use crate::expr::access::text;
use crate::expr::typed::Typed;

const SPACE: &str = r" \t\n\x0B\f\r";
const HORIZONTAL: &str = r" \t\x{A0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}";
const VERTICAL: &str = r"\n\x0B\f\r\x{85}\x{2028}\x{2029}";

/// A regular expression in Java's syntax.
#[derive(Clone, Debug)]
pub(in crate::expr) struct Regex {
    exact: fancy_regex::Regex,
    /// The same for texts of one line, where it is another: it need not look around, and is run in linear time.
    one_line: Option<fancy_regex::Regex>,
}

impl Regex {
    /// # Errors
    /// What is wrong with it, in words that hold parts of it.
    pub(in crate::expr) fn new(java: &str) -> Result<Self, String> {
        let compiled =
            |text: &str| fancy_regex::Regex::new(text).map_err(|error| error.to_string());
        let exact = translate(java, false)?;
        let one_line = translate(java, true)?;
        Ok(Self {
            exact: compiled(&exact)?,
            one_line: (one_line != exact)
                .then(|| compiled(&one_line))
                .transpose()?,
        })
    }

    /// The expression for this text.
    pub(in crate::expr) fn of(&self, text: &str) -> &fancy_regex::Regex {
        match &self.one_line {
            Some(regex) if is_one_line(text) => regex,
            _ => &self.exact,
        }
    }

    /// How many groups it has, with the whole match.
    pub(super) fn captures_len(&self) -> usize {
        self.exact.captures_len()
    }
}

/// Whether a text has no end of a line, nor is empty: even there `(?m)^` does not match.
fn is_one_line(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |at: usize| match bytes[at] {
        b'\n' | b'\r' => true,
        0xC2 => bytes.get(at + 1) == Some(&0x85),
        0xE2 => bytes.get(at + 1) == Some(&0x80) && matches!(bytes.get(at + 2), Some(0xA8 | 0xA9)),
        _ => false,
    };
    !text.is_empty() && !(0..bytes.len()).any(ends)
}

/// The regular expressions of one call: compiled once where the argument is constant, else whenever it changes.
///
/// A clone has caches of its own, so that lanes do not wait for each other.
#[derive(Clone)]
pub(super) struct Patterns {
    fixed: Option<Regex>,
    last: Option<(SmolStr, Regex)>,
}

impl Patterns {
    /// # Errors
    /// Where the argument is a constant but no regular expression.
    pub(super) fn of(arg: &Typed) -> Result<Self, String> {
        let fixed = arg.constant_text().map(Regex::new).transpose()?;
        Ok(Self { fixed, last: None })
    }

    /// The constant expression, if it is one.
    pub(super) fn fixed(&self) -> Option<&Regex> {
        self.fixed.as_ref()
    }

    /// The expression of this row, for this text.
    pub(super) fn get(
        &mut self,
        argument: &Value,
        whole: &str,
    ) -> Result<&fancy_regex::Regex, RecordError> {
        if self.fixed.is_none() {
            let given = text(argument);
            if self.last.as_ref().is_none_or(|(known, _)| known != given) {
                let regex = Regex::new(given).map_err(|error| {
                    failed("the text is not a regular expression").with_content(error)
                })?;
                self.last = Some((SmolStr::new(given), regex));
            }
        }
        match (&self.fixed, &self.last) {
            (Some(regex), _) | (None, Some((_, regex))) => Ok(regex.of(whole)),
            (None, None) => Err(failed("there is no regular expression")),
        }
    }
}

/// The first match at or after a byte.
pub(super) fn find<'t>(
    regex: &fancy_regex::Regex,
    text: &'t str,
    from: usize,
) -> Result<Option<Match<'t>>, RecordError> {
    regex.find_from_pos(text, from).map_err(too_hard)
}

/// The groups of the first match at or after a byte.
pub(super) fn captures<'t>(
    regex: &fancy_regex::Regex,
    text: &'t str,
    from: usize,
) -> Result<Option<Captures<'t>>, RecordError> {
    regex.captures_from_pos(text, from).map_err(too_hard)
}

#[cold]
pub(super) fn too_hard(_: fancy_regex::Error) -> RecordError {
    failed("the regular expression needs too many steps for this text")
}

/// Where Java looks for the next match; None at the end of the text.
pub(super) fn after(text: &str, start: usize, end: usize) -> Option<usize> {
    if start < end {
        return Some(end);
    }
    text[end..].chars().next().map(|c| end + c.len_utf8())
}

/// What the flags at a place of the expression say: `(?m)`, `(?s)`, `(?d)`, `(?x)`.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    lines: bool,
    dot_all: bool,
    unix: bool,
    comments: bool,
}

impl Flags {
    fn dot(self) -> &'static str {
        match (self.dot_all, self.unix) {
            (true, _) => "(?s:.)",
            (false, true) => r"[^\n]",
            (false, false) => r"[^\n\r\x{85}\x{2028}\x{2029}]",
        }
    }

    /// `^`: with `(?m)` behind each end of a line too, but not at the end of the text.
    fn begin(self, one_line: bool) -> &'static str {
        match (self.lines && !one_line, self.unix) {
            (false, _) => "^",
            (true, true) => r"(?:(?!\z)(?:\A|(?<=\n)))",
            (true, false) => r"(?:(?!\z)(?:\A|(?<=[\n\x{85}\x{2028}\x{2029}])|(?<=\r)(?!\n)))",
        }
    }

    /// `$`: before the last end of a line, with `(?m)` before each.
    fn end(self, one_line: bool) -> &'static str {
        match (one_line, self.lines, self.unix) {
            (true, _, _) => r"(?:\z)",
            (false, true, true) => r"(?=\n|\z)",
            (false, true, false) => r"(?:\z|(?=[\r\x{85}\x{2028}\x{2029}])|(?<!\r)(?=\n))",
            (false, false, true) => r"(?=\n?\z)",
            (false, false, false) => {
                r"(?:\z|(?=(?:\r\n|[\r\x{85}\x{2028}\x{2029}])\z)|(?<!\r)(?=\n\z))"
            }
        }
    }

    /// Takes what stands between `(?` and `:` or `)`; what the other syntax needs of it is left.
    fn take(&mut self, written: &str) -> Result<String, String> {
        let mut left = String::new();
        let mut on = true;
        for flag in written.chars() {
            match flag {
                '-' => on = false,
                'm' => self.lines = on,
                's' => self.dot_all = on,
                'd' => self.unix = on,
                'u' => {}
                'x' | 'i' => {
                    if flag == 'x' {
                        self.comments = on;
                    }
                    if !on && !left.contains('-') {
                        left.push('-');
                    }
                    left.push(flag);
                }
                other => return Err(format!("the flag (?{other}) is not supported")),
            }
        }
        Ok(left)
    }
}

/// The expression for `fancy-regex`; `one_line` for texts without an end of a line.
fn translate(java: &str, one_line: bool) -> Result<String, String> {
    let mut out = String::with_capacity(java.len() + 16);
    let mut chars = java.chars().peekable();
    let mut depth = 0_usize;
    let mut flags = Flags::default();
    let mut groups = Vec::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' if depth == 0 && chars.next_if_eq(&'Z').is_some() => {
                let whole = Flags {
                    lines: false,
                    ..flags
                };
                out.push_str(whole.end(one_line));
            }
            '\\' => escape(&mut chars, depth > 0, &mut out)?,
            '(' if depth == 0 => {
                groups.push(flags);
                match flags_written(&mut chars) {
                    Some((written, ':')) => out.extend(["(?", &flags.take(&written)?, ":"]),
                    Some((written, _)) => {
                        groups.pop();
                        match flags.take(&written)? {
                            left if left.is_empty() => {}
                            left => out.extend(["(?", &left, ")"]),
                        }
                    }
                    None => out.push(c),
                }
            }
            ')' if depth == 0 => {
                flags = groups.pop().unwrap_or(flags);
                out.push(c);
            }
            '.' if depth == 0 => out.push_str(flags.dot()),
            '^' if depth == 0 => out.push_str(flags.begin(one_line)),
            '$' if depth == 0 => out.push_str(flags.end(one_line)),
            '#' if depth == 0 && flags.comments => while chars.next_if(|c| *c != '\n').is_some() {},
            '[' => {
                depth += 1;
                out.push(c);
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                match chars.next_if(|c| "]:".contains(*c)) {
                    // Here it is a member, and no end.
                    Some(']') => out.push_str(r"\]"),
                    // A second one changes no set, and no class of POSIX begins so.
                    Some(_) => out.push_str("::"),
                    None => {}
                }
            }
            ']' => {
                depth = depth.saturating_sub(1);
                out.push(c);
            }
            // Set operations that Java does not have.
            '~' if depth > 0 => out.push_str(r"\~"),
            '-' if depth > 0 && chars.peek() == Some(&'-') => out.push_str(r"\-"),
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// What stands between `(?` and the `:` or `)` behind it, where these are flags.
fn flags_written(chars: &mut Peekable<Chars<'_>>) -> Option<(String, char)> {
    let mut ahead = chars.clone();
    ahead.next_if_eq(&'?')?;
    let mut written = String::new();
    while let Some(flag) = ahead.next_if(|c| c.is_ascii_alphabetic() || *c == '-') {
        written.push(flag);
    }
    let end = ahead.next_if(|c| ":)".contains(*c))?;
    *chars = ahead;
    Some((written, end))
}

/// A set of characters, bare inside a class.
fn set(members: &str, negated: bool, in_class: bool, out: &mut String) {
    match (negated, in_class) {
        (false, true) => out.push_str(members),
        (false, false) => out.extend(["[", members, "]"]),
        (true, _) => out.extend(["[^", members, "]"]),
    }
}

fn code_point(code: u32, out: &mut String) {
    out.push_str(&format!(r"\x{{{code:x}}}"));
}

fn escape(chars: &mut Peekable<Chars<'_>>, in_class: bool, out: &mut String) -> Result<(), String> {
    let Some(c) = chars.next() else {
        return Err(r"it ends with a lone \".to_owned());
    };
    match c {
        'd' | 'D' => set("0-9", c == 'D', in_class, out),
        'w' | 'W' => set("a-zA-Z0-9_", c == 'W', in_class, out),
        's' | 'S' => set(SPACE, c == 'S', in_class, out),
        'h' | 'H' => set(HORIZONTAL, c == 'H', in_class, out),
        'v' | 'V' => set(VERTICAL, c == 'V', in_class, out),
        'R' if !in_class => out.extend([r"(?:\r\n|[", VERTICAL, "])"]),
        'Q' => quote(chars, out),
        'e' => out.push_str(r"\x1B"),
        'c' => match chars.next() {
            Some(control) => code_point(u32::from(control) ^ 64, out),
            None => return Err(r"\c needs a character".to_owned()),
        },
        '0' => octal(chars, out)?,
        'u' => {
            let digits: String = chars.by_ref().take(4).collect();
            match u32::from_str_radix(&digits, 16) {
                Ok(code) if digits.len() == 4 => code_point(code, out),
                _ => return Err(r"\u needs four hexadecimal digits".to_owned()),
            }
        }
        'p' | 'P' => property(chars, c == 'P', in_class, out)?,
        'a' | 't' | 'n' | 'r' | 'f' | 'x' | '1'..='9' | 'k' | 'A' | 'z' | 'b' | 'B' | 'G' => {
            out.extend(['\\', c]);
        }
        letter if letter.is_ascii_alphanumeric() => {
            return Err(format!(r"\{letter} has no meaning"));
        }
        literal => literally(literal, out),
    }
    Ok(())
}

fn literally(c: char, out: &mut String) {
    if c.is_ascii_punctuation() || c.is_ascii_whitespace() {
        code_point(u32::from(c), out);
    } else {
        out.push(c);
    }
}

fn quote(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(c) = chars.next() {
        if c == '\\' && chars.peek() == Some(&'E') {
            chars.next();
            return;
        }
        literally(c, out);
    }
}

/// `\0n`, `\0nn`, `\0mnn` with m up to 3.
fn octal(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    let mut code = 0;
    let mut digits = 0;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) {
        if digits == 3 || code * 8 + digit > 0o377 {
            break;
        }
        code = code * 8 + digit;
        digits += 1;
        chars.next();
    }
    if digits == 0 {
        return Err(r"\0 needs octal digits".to_owned());
    }
    code_point(code, out);
    Ok(())
}

fn property(
    chars: &mut Peekable<Chars<'_>>,
    negated: bool,
    in_class: bool,
    out: &mut String,
) -> Result<(), String> {
    let name: String = match chars.next() {
        Some('{') => {
            let mut closed = false;
            let name = chars
                .by_ref()
                .take_while(|c| {
                    closed = *c == '}';
                    !closed
                })
                .collect();
            if !closed {
                return Err(r"\p{ is not closed".to_owned());
            }
            name
        }
        Some(letter) => letter.to_string(),
        None => return Err(r"\p needs a name".to_owned()),
    };
    let members = match name.as_str() {
        "Lower" => "a-z",
        "Upper" => "A-Z",
        "ASCII" => r"\x00-\x7F",
        "Alpha" => "a-zA-Z",
        "Digit" => "0-9",
        "Alnum" => "a-zA-Z0-9",
        "Punct" => r"!-/:-@\[-`{-\x7E",
        "Graph" => r"!-\x7E",
        "Print" => r" -\x7E",
        "Blank" => r" \t",
        "Cntrl" => r"\x00-\x1F\x7F",
        "XDigit" => "0-9a-fA-F",
        "Space" => SPACE,
        "javaLowerCase" => r"\p{Lowercase}",
        "javaUpperCase" => r"\p{Uppercase}",
        "javaWhitespace" => r"\p{White_Space}",
        "javaLetter" => r"\p{L}",
        other => {
            let name = other.strip_prefix("Is").unwrap_or(other);
            let letter = if negated { 'P' } else { 'p' };
            out.push_str(&format!(r"\{letter}{{{name}}}"));
            return Ok(());
        }
    };
    set(members, negated, in_class, out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_syntax_means_what_java_means() {
        for (java, whole, expected) in [
            (r"\d+", "a١٢12", Some("12")),
            (r"[\d.]+", "v1.2", Some("1.2")),
            (r"\w+", "ä_a1", Some("_a1")),
            (r"[^\W_]+", "_ab_", Some("ab")),
            (r"\Qa.b\E+", "xa.bb", Some("a.bb")),
            (r"\p{Alpha}+", "äab", Some("ab")),
            (r"\p{IsGreek}", "aβ", Some("β")),
            (r"[a-z&&[^bc]]+", "bcad", Some("ad")),
            (r"a++b", "aab", Some("aab")),
            (r"(?<=a)b(?!c)", "abcab", Some("b")),
            (r"(\w)\1", "abccd", Some("cc")),
            (r"\x41B", "AB", Some("AB")),
            (r"\u0041\102", "AB", None),
            (r"\u0041\0102", "AB", Some("AB")),
            (r"\<a\>", "<a>", Some("<a>")),
            (r"a\Z", "a\n", Some("a")),
            (r"[[:alpha:]]+", "bx:lpha", Some(":lpha")),
            (r"[].]+", "a].", Some("].")),
            (r"(?s:a.)(?-s)b.*", "a\nbc\rd", Some("a\nbc")),
            ("(?x) b # a.(\n [.]", "ab.", Some("b.")),
            (r"(?i)B(?-i:c)", "abC bc", Some("bc")),
        ] {
            let found = Regex::new(java).ok().and_then(|regex| {
                let found = regex.of(whole).find(whole).unwrap();
                found.map(|m| m.as_str().to_owned())
            });
            assert_eq!(found.as_deref(), expected, "{java}");
        }
    }

    #[test]
    fn what_java_refuses_is_refused() {
        for java in [r"\y", "a\\", "(", r"\p{Nothing}", "[a"] {
            assert!(Regex::new(java).is_err(), "{java}");
        }
    }

    #[test]
    fn lines_end_where_java_ends_them() {
        let places = |java: &str, text: &str| -> Vec<usize> {
            let regex = Regex::new(java).unwrap();
            let found = regex.of(text).find_iter(text);
            found.map(|found| found.unwrap().start()).collect()
        };
        let ends = ["\n", "\r\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"];
        for end in ends {
            let (one, two) = (format!("a{end}"), format!("a{end}b"));
            let behind = one.len();
            for java in ["$", r"\Z", "(?m)$"] {
                assert_eq!(places(java, &one), [1, behind], "{java} {end:?}");
            }
            assert_eq!(places("$", &two), [behind + 1], "{end:?}");
            assert_eq!(places("(?m)$", &two), [1, behind + 1], "{end:?}");
            assert_eq!(places("(?m)^", &one), [0], "{end:?}");
            assert_eq!(places("(?m)^", &two), [0, behind], "{end:?}");
            assert_eq!(places(".", &two), [0, behind], "{end:?}");
            let unix = if end.ends_with('\n') {
                behind - 1
            } else {
                behind
            };
            let expected = if unix < behind {
                vec![unix, behind]
            } else {
                vec![behind]
            };
            assert_eq!(places("(?d)$", &one), expected, "{end:?}");
            assert_eq!(places("(?md)$", &one), expected, "{end:?}");
        }
        assert_eq!(places("$", "a\n\n"), [2, 3]);
        assert_eq!(places("(?m)$", "a\r\n\n"), [1, 3, 4]);
        assert_eq!(places("(?m)^$", "a\n\n"), [2]);
        assert!(places("(?m)^", "").is_empty());
        assert_eq!(places("^$", ""), [0]);
    }
}
