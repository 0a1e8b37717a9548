//! A part of a JSON text as Spark writes it where it is read as STRING.

use std::fmt::Write;

use super::number::special;
use crate::expr::text::append_double;

/// How Spark writes a character beyond U+FFFF within a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// As the two escapes of its halves: `\uD83D\uDE00`.
    Escaped,
    /// As it is.
    Plain,
}

/// The JSON without white space between its tokens; numbers with a fraction as Spark writes a DOUBLE, those that are none and
/// names without quotes as strings, strings in double quotes and with no escapes but those that they need.
pub(crate) fn compact(json: &str, beyond: Beyond, out: &mut String) {
    let mut rest = json;
    let quotes = |c: char| matches!(c, '"' | '\'');
    // A word is a number, a literal or a name without quotes.
    let of_word =
        |c: char| c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_' | '$' | '#' | '@' | '*');
    let stops = |c: char| quotes(c) || c.is_ascii_whitespace() || of_word(c);
    while let Some(start) = rest.find(stops) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        if rest.starts_with(|c: char| c.is_ascii_whitespace()) {
            rest = rest.trim_ascii_start();
            continue;
        }
        let Some(quote) = rest.chars().next().filter(|c| quotes(*c)) else {
            let end = rest.find(|c| !of_word(c)).unwrap_or(rest.len());
            let names = rest[end..].trim_ascii_start().starts_with(':');
            word(&rest[..end], names, out);
            rest = &rest[end..];
            continue;
        };
        let mut escaped = false;
        let end = rest[1..]
            .find(|c| {
                let ends = c == quote && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })
            .map_or(rest.len(), |end| end + 1);
        out.push('"');
        string(&rest[1..end], beyond, out);
        out.push('"');
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// A word outside of strings; `names` where it is the name of a field.
fn word(word: &str, names: bool, out: &mut String) {
    let quoted = |text: &str, out: &mut String| out.extend(["\"", text, "\""]);
    if names {
        return quoted(word, out);
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // Of whole numbers nought has no sign, and none a nought before it.
        let digits = match digits.trim_start_matches('0') {
            "" => return out.push('0'),
            digits => digits,
        };
        if word.starts_with('-') {
            out.push('-');
        }
        return out.push_str(digits);
    }
    let number = special(word).or_else(|| {
        let fraction = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        fraction.then(|| word.parse().ok()).flatten()
    });
    match number {
        Some(number) if number.is_finite() => append_double(out, number),
        Some(number) if number.is_nan() => quoted("NaN", out),
        Some(number) if number > 0.0 => quoted("Infinity", out),
        Some(_) => quoted("-Infinity", out),
        None => out.push_str(word),
    }
}

/// What stands between the quotes of a string, written anew.
fn string(content: &str, beyond: Beyond, out: &mut String) {
    let as_it_is = |byte: u8| byte >= b' ' && !matches!(byte, b'"' | b'\\') && byte < 0xF0;
    if content.bytes().all(as_it_is) {
        out.push_str(content);
        return;
    }
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            character(c, beyond, out);
            continue;
        }
        match chars.next() {
            Some('b') => out.push_str("\\b"),
            Some('t') => out.push_str("\\t"),
            Some('n') => out.push_str("\\n"),
            Some('f') => out.push_str("\\f"),
            Some('r') => out.push_str("\\r"),
            Some('u') => {
                let unit = unit(&mut chars);
                let mut ahead = chars.clone();
                let second = match (0xD800..0xDC00).contains(&unit) && ahead.next() == Some('\\') {
                    true if ahead.next() == Some('u') => Some(self::unit(&mut ahead)),
                    _ => None,
                };
                let units = [unit, second.unwrap_or_default()];
                match char::decode_utf16(units).next() {
                    Some(Ok(c)) => {
                        if c > '\u{FFFF}' {
                            chars = ahead;
                        }
                        character(c, beyond, out);
                    }
                    // A half without the other stays an escape.
                    _ => escape(unit, out),
                }
            }
            Some(other) => character(other, beyond, out),
            None => {}
        }
    }
}

/// The four digits of an escape.
fn unit(chars: &mut std::str::Chars<'_>) -> u16 {
    let digits = chars.by_ref().take(4);
    digits.fold(0, |unit, c| {
        unit << 4 | u16::try_from(c.to_digit(16).unwrap_or(0)).unwrap_or(0)
    })
}

fn character(c: char, beyond: Beyond, out: &mut String) {
    match c {
        '"' | '\\' => out.extend(['\\', c]),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{C}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        c if c < ' ' || c > '\u{FFFF}' && beyond == Beyond::Escaped => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escape(*unit, out);
            }
        }
        c => out.push(c),
    }
}

fn escape(unit: u16, out: &mut String) {
    let _ = write!(out, "\\u{unit:04X}");
}
