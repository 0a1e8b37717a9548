//! Quotes that the reader of tokens does not know: those that are missing, and those that end `r'..'`, in which a backslash is none.

use std::borrow::Cow;

/// Advice to look for a quote where a text begins that goes over the end of this line.
pub(super) fn missing(line: u32) -> String {
    format!(
        "the text that begins in line {line} goes on in line {}: is its closing quote missing?",
        line.saturating_add(1)
    )
}

/// The line where the first string begins that goes over its end. From the first quote that is missing on, all that stands
/// between two strings is taken for one.
pub(super) fn over_lines(text: &str) -> Option<u32> {
    let mut rest = text;
    while let Some(begin) = rest.find(['\'', '"', '`', '-', '/']) {
        let from = &rest[begin..];
        let first = from.chars().next()?;
        let body = &from[1..];
        rest = match first {
            '-' if body.starts_with('-') => body.split_once('\n')?.1,
            '/' if body.starts_with('*') => body.split_once("*/")?.1,
            '-' | '/' => body,
            quote => {
                let end = closing(body, quote);
                let inside = &body[..end.unwrap_or(body.len())];
                if inside.contains('\n') {
                    let before = &text[..text.len() - from.len()];
                    return u32::try_from(before.matches('\n').count() + 1).ok();
                }
                &body[end? + 1..]
            }
        };
    }
    None
}

/// The text with another character for each backslash in `r'..'` and `r".."`, and that character: what reads tokens takes a
/// backslash before a quote for a sign that the string goes on. All else is where it was.
pub(super) fn raw_shown(text: &str) -> (Cow<'_, str>, char) {
    // Characters that no text has: they mean nothing.
    let backslash = ('\u{fdd0}'..='\u{fdef}')
        .find(|c| !text.contains(*c))
        .unwrap_or('\u{fdd0}');
    let mut shown = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(['\'', '"', '`', '-', '/']) {
        let (before, from) = rest.split_at(begin);
        let first = from.chars().next().unwrap_or_default();
        let body = &from[1..];
        let is_raw = matches!(first, '\'' | '"') && is_r(before);
        let length = match first {
            '-' if body.starts_with('-') => body.find('\n'),
            '/' if body.starts_with('*') => comment(body),
            '-' | '/' => Some(0),
            '`' => body.find('`').map(|end| end + 1),
            quote if is_raw => body.find(quote).map(|end| end + 1),
            quote => closing(body, quote).map(|end| end + 1),
        };
        let (inside, behind) = body.split_at(length.unwrap_or(body.len()));
        shown.push_str(before);
        shown.push(first);
        match is_raw {
            true => shown.push_str(&inside.replace('\\', backslash.encode_utf8(&mut [0; 4]))),
            false => shown.push_str(inside),
        }
        rest = behind;
    }
    if shown.is_empty() {
        return (Cow::Borrowed(text), backslash);
    }
    shown.push_str(rest);
    (Cow::Owned(shown), backslash)
}

/// Where a string ends, from behind its first quote: at the next one without a backslash.
fn closing(body: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    body.find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

/// The length of a comment and of those within it, from behind its `/`.
fn comment(body: &str) -> Option<usize> {
    let (mut open, mut at) = (1, 1);
    while open > 0 {
        let rest = body.get(at..)?;
        let next = rest.find(['*', '/'])?;
        let (step, length) = match &rest[next..] {
            two if two.starts_with("/*") => (1, 2),
            two if two.starts_with("*/") => (-1, 2),
            _ => (0, 1),
        };
        open += step;
        at += next + length;
    }
    Some(at)
}

/// Whether the word `r` stands at the end.
fn is_r(before: &str) -> bool {
    let Some(before) = before.strip_suffix(['r', 'R']) else {
        return false;
    };
    !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_text_that_goes_over_its_line_is_found() {
        for (text, line) in [
            ("a 'b'\n c 'd\n e 'f'", Some(2)),
            ("-- it's\n/* 'x\n */ a 'b\n'", Some(3)),
            ("a 'it''s' \"b\n\"", Some(1)),
            (r"a '\'", Some(1)),
            ("a - b / c 'd'\n 'e", None),
            ("a 'b'\n-- 'c", None),
        ] {
            let text = text.replace(r"\'", "\\'\n");
            assert_eq!(over_lines(&text), line, "{text}");
        }
    }

    #[test]
    fn a_backslash_is_hidden_in_raw_strings_alone() {
        for (text, shown) in [
            (r"r'a\' '\''", r"r'a?' '\''"),
            (r#"R"\d" "\d" br'\'"#, r#"R"?d" "\d" br'\'"#),
            (r"-- r'\'", r"-- r'\'"),
            (r"/* it's */ r'\'", r"/* it's */ r'?'"),
            (
                r"/* ä /* b*é **/ it's */ r'\'",
                r"/* ä /* b*é **/ it's */ r'?'",
            ),
            (r"`r'\` + r'\' - 1 / r'\", r"`r'\` + r'?' - 1 / r'?"),
            (r"r'it''s\'", r"r'it''s\'"),
        ] {
            let (given, sign) = raw_shown(text);
            assert_eq!(given.replace(sign, "?"), shown, "{text}");
        }
    }
}
