//! A part of a JSON text as Spark writes it where it is read as STRING.

use crate::expr::text::append_double;

/// The JSON without white space between its tokens; numbers with a fraction as Spark writes a DOUBLE.
pub(crate) fn compact(json: &str, out: &mut String) {
    let mut rest = json;
    let stops = |c: char| c == '"' || c == '-' || c.is_ascii_digit() || c.is_ascii_whitespace();
    while let Some(start) = rest.find(stops) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        if rest.starts_with(|c: char| c.is_ascii_whitespace()) {
            rest = rest.trim_ascii_start();
            continue;
        }
        if !rest.starts_with('"') {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
                .unwrap_or(rest.len());
            match rest[..end].parse() {
                Ok(number) if rest[..end].contains(['.', 'e', 'E']) => append_double(out, number),
                // Of whole numbers nought has no sign.
                _ if &rest[..end] == "-0" => out.push('0'),
                _ => out.push_str(&rest[..end]),
            }
            rest = &rest[end..];
            continue;
        }
        let mut escaped = false;
        let end = rest[1..]
            .find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })
            .map_or(rest.len(), |end| end + 2);
        out.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    out.push_str(rest);
}
