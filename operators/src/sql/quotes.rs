//! Where a quote is missing that the reader of tokens has not missed.

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
                let mut escaped = false;
                let end = body.find(|c| {
                    let ends = c == quote && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
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
}
