//! Regular expressions as Java (and so Spark) writes them, run by the `fancy-regex` crate.
//!
//! Translated: `\d \w \s` and their opposites are ASCII, `\h \v \R \Q..\E \0n \cX \e`, `\p{Alpha}` and the other POSIX
//! classes, `\p{IsLatin}`, `\Z`. Different from Java: `$` without `(?m)` matches only at the very end, `.` excludes
//! only `\n`, `(?i)` is not limited to ASCII, and Unicode blocks (`\p{InGreek}`) are not known.

use std::iter::Peekable;
use std::str::Chars;

use fancy_regex::{Captures, Match, Regex};
use smol_str::SmolStr;
use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;

use super::forms::failed;
use crate::expr::access::text;
use crate::expr::typed::Typed;

const SPACE: &str = r" \t\n\x0B\f\r";
const HORIZONTAL: &str = r" \t\x{A0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}";
const VERTICAL: &str = r"\n\x0B\f\r\x{85}\x{2028}\x{2029}";

/// Compiles a regular expression in Java's syntax.
///
/// # Errors
/// What is wrong with it, in words that hold parts of it.
pub(in crate::expr) fn compile(java: &str) -> Result<Regex, String> {
    Regex::new(&translate(java)?).map_err(|error| error.to_string())
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
        let fixed = arg.constant_text().map(compile).transpose()?;
        Ok(Self { fixed, last: None })
    }

    /// The constant expression, if it is one.
    pub(super) fn fixed(&self) -> Option<&Regex> {
        self.fixed.as_ref()
    }

    /// The expression of this row.
    pub(super) fn get(&mut self, argument: &Value) -> Result<&Regex, RecordError> {
        if self.fixed.is_none() {
            let given = text(argument);
            if self.last.as_ref().is_none_or(|(known, _)| known != given) {
                let regex = compile(given).map_err(|error| {
                    failed("the text is not a regular expression").with_content(error)
                })?;
                self.last = Some((SmolStr::new(given), regex));
            }
        }
        match (&self.fixed, &self.last) {
            (Some(regex), _) | (None, Some((_, regex))) => Ok(regex),
            (None, None) => Err(failed("there is no regular expression")),
        }
    }
}

/// The first match at or after a byte.
pub(super) fn find<'t>(
    regex: &Regex,
    text: &'t str,
    from: usize,
) -> Result<Option<Match<'t>>, RecordError> {
    regex.find_from_pos(text, from).map_err(too_hard)
}

/// The groups of the first match at or after a byte.
pub(super) fn captures<'t>(
    regex: &Regex,
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

fn translate(java: &str) -> Result<String, String> {
    let mut out = String::with_capacity(java.len() + 16);
    let mut chars = java.chars().peekable();
    let mut depth = 0_usize;
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(&mut chars, depth > 0, &mut out)?,
            '[' => {
                depth += 1;
                out.push(c);
                if chars.peek() == Some(&'^') {
                    out.push('^');
                    chars.next();
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
        'Z' if !in_class => out.push_str(r"(?=\n?\z)"),
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
        ] {
            let found = compile(java)
                .ok()
                .and_then(|regex| regex.find(whole).unwrap().map(|m| m.as_str().to_owned()));
            assert_eq!(found.as_deref(), expected, "{java}");
        }
    }

    #[test]
    fn what_java_refuses_is_refused() {
        for java in [r"\y", "a\\", "(", r"\p{Nothing}", "[a"] {
            assert!(compile(java).is_err(), "{java}");
        }
    }
}
